"""What has been done: a mark for each task that lists the files it made, by size and SHA-256."""

from __future__ import annotations

from pathlib import Path

from mammogan.files import sha256
from mammogan.run_folder import RunFolder
from mammogan.run_records import MadeFile, Marker

HASHED_BYTES = 64 * 2**20
"""Larger files are checked by size alone: a launch must not read gigabytes on a login node."""


def mark(run: Path, node: str, task: int, files: list[Path]) -> None:
    """Note that a task has ended well and what it made."""
    made = {
        str(path.relative_to(run)): MadeFile(bytes=path.stat().st_size, sha256=sha256(path)) for path in files
    }
    Marker(files=made).write(RunFolder(run).marker(node, task))


def holds(run: Path, node: str, task: int) -> bool:
    """Whether a task is marked as done and its files are still what it made."""
    marker = Marker.read_if_sound(RunFolder(run).marker(node, task))
    try:
        return marker is not None and all(_same(run / name, made) for name, made in marker.files.items())
    except OSError:
        return False


def _same(path: Path, made: MadeFile) -> bool:
    size = path.stat().st_size
    return size == made.bytes and (size > HASHED_BYTES or sha256(path) == made.sha256)
