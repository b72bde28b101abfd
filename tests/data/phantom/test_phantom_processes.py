"""A cohort's bytes are the same from process to process, however many threads OpenCV has there."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest

THREADS = (1, 2, 4)
COMMAND = "import sys, cv2; cv2.setNumThreads(int(sys.argv.pop(1))); from mammogan.cli import main; main()"


@pytest.mark.slow
def test_fresh_processes_write_the_same_bytes_with_one_two_and_four_threads(tmp_path: Path) -> None:
    # At full size: a root rounded otherwise shows in one or two of millions of pixels, so in no small frame.
    digests = {threads: written(tmp_path / str(threads), threads) for threads in THREADS}
    assert len(set(digests.values())) == 1, digests


def written(directory: Path, threads: int) -> str:
    """Have another process write a patient there; give the digest of all paths and bytes."""
    options = ("--patients", "1", "--seed", "7", "--workers", "1")
    command = [sys.executable, "-c", COMMAND, str(threads), "phantom", str(directory), *options]
    subprocess.run(command, check=True, capture_output=True)
    digest = sha256()
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            digest.update(path.relative_to(directory).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
