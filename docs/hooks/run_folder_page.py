"""The paths that `docs/run-folder.md` describes, as patterns to compare a run's folder with."""

from __future__ import annotations

import re
from pathlib import Path

from docs.hooks.links import ROOT

PAGE = ROOT / "docs" / "run-folder.md"
PLACEHOLDERS = ("STAGE", "IMAGES", "NODE", "TASK", "JOB", "RESTART", "SIZE")
ENDS_BEFORE = "## Beside the run folder"


def described() -> dict[str, re.Pattern[str]]:
    """Map each path of the page's tables, as written, to a pattern of paths relative to the run's folder."""
    text = PAGE.read_text(encoding="utf-8").partition(ENDS_BEFORE)[0]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    paths = [path for cell in cells for path in re.findall(r"`([^`]+)`", cell)]
    return {path: _pattern(path) for path in paths}


def undescribed(run: Path) -> list[str]:
    """List the files of a run that the page does not describe."""
    patterns = described().values()
    files = sorted(str(path.relative_to(run)) for path in run.rglob("*") if path.is_file())
    return [file for file in files if not any(pattern.fullmatch(file) for pattern in patterns)]


def _pattern(path: str) -> re.Pattern[str]:
    """Turn a path into a pattern: placeholders and ``*`` end at a slash, a closing slash means all below."""
    text = re.escape(path).replace(r"\*", "[^/]*")
    for name in PLACEHOLDERS:
        text = re.sub(rf"(?<![A-Z]){name}(?![A-Z])", "[^/]+", text)
    return re.compile(text + ".+" if path.endswith("/") else text)
