"""Which job, code and image an entry of a journal comes from."""

from __future__ import annotations

import functools
import json
import os
import subprocess
from pathlib import Path

PACKAGE = Path(__file__).parent
LABELS = Path("/.singularity.d/labels.json")  # where Apptainer puts an image's labels inside it
REVISION = "org.opencontainers.image.revision"
IMAGE = "MAMMOGAN_IMAGE_SHA256"  # set by the batch script, which knows the image's file


def provenance() -> dict[str, str]:
    """Give `job` (Slurm's number), `commit` and `image` (SHA-256 of its file), as far as they are known."""
    found = {"job": os.environ.get("SLURM_JOB_ID"), "commit": _commit(), "image": os.environ.get(IMAGE)}
    return {name: value for name, value in found.items() if value}


@functools.cache
def _commit() -> str:
    """Name the commit of the running code: of its checkout, or else of the image that it is baked into.

    It ends in ``-modified`` where something else runs than what was committed: files changed in the checkout,
    or a folder bound over the image's code.
    """
    if (PACKAGE.parent / ".git").exists():
        commit = _git("rev-parse", "HEAD")
        modified = bool(_git("status", "--porcelain", "--", str(PACKAGE)))
    elif LABELS.exists():
        labels = json.loads(LABELS.read_text(encoding="utf-8"))
        commit, modified = labels.get(REVISION, ""), os.path.ismount(PACKAGE)
    else:
        return ""
    return f"{commit}-modified" if commit and modified else commit


def _git(*arguments: str) -> str:
    """Ask git; it answers nothing where it is missing, or where it does not trust the checkout's owner."""
    # Jobs on many nodes look at one checkout: none may lock its index.
    command = ["git", "--no-optional-locks", "-C", str(PACKAGE), *arguments]
    try:
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
