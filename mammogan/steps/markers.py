"""What has been done: a mark for each task that lists the files it made, by size and SHA-256."""

from __future__ import annotations

import json
from pathlib import Path

from mammogan.files import sha256, write

HASHED_BYTES = 64 * 2**20
"""Larger files are checked by size alone: a launch must not read gigabytes on a login node."""


def mark(run: Path, node: str, task: int, files: list[Path]) -> None:
    """Note that a task has ended well and what it made."""
    entries = {
        str(path.relative_to(run)): {"bytes": path.stat().st_size, "sha256": sha256(path)} for path in files
    }
    write(_path(run, node, task), json.dumps({"files": entries}, indent=1))


def holds(run: Path, node: str, task: int) -> bool:
    """Whether a task is marked as done and its files are still what it made."""
    try:
        entries = json.loads(_path(run, node, task).read_text(encoding="utf-8"))["files"]
        return all(_same(run / name, entry["bytes"], entry["sha256"]) for name, entry in entries.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _same(path: Path, size: int, digest: str) -> bool:
    found = path.stat().st_size
    return found == size and (found > HASHED_BYTES or sha256(path) == digest)


def _path(run: Path, node: str, task: int) -> Path:
    return run / "done" / node / f"{task}.json"
