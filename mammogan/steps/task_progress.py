"""How far a running task is: a small file that it replaces now and then, for `status` to read."""

from __future__ import annotations

import time
from pathlib import Path

from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.run_records import Progress
from mammogan.steps.job_graph import Node

_first: dict[Path, tuple[float, int]] = {}  # when this process first told of a task, and how far it was then


def report_progress(run: Path, node: str, task: int, done: int, total: int, unit: str, note: str) -> None:
    """Write how far task `task` of `node` is, and how fast it has been since this process first told."""
    path, now = RunFolder(run).progress(node, task), time.monotonic()
    since, before = _first.setdefault(path, (now, done))
    if done < before:  # the stage was rolled back
        _first[path] = since, before = now, done
    rate_s = (done - before) / (now - since) if now > since else 0.0
    write(path, Progress(done=done, total=total, unit=unit, note=note, rate_s=rate_s).line)


def progress(run: Path, node: Node) -> Progress | None:
    """Add up how far the tasks of `node` are; None before the first has said anything."""
    folder = RunFolder(run)
    found = (Progress.read_if_sound(folder.progress(node.name, task)) for task in range(node.tasks))
    parts = list(filter(None, found))
    if not parts:
        return None
    done, total = sum(part.done for part in parts), sum(part.total for part in parts)
    rate_s = sum(part.rate_s for part in parts if part.done < part.total)
    left = total - done + (node.tasks - len(parts)) * total / len(parts)
    left_s = left / rate_s if rate_s else None
    newest = parts[-1]
    return Progress(done=done, total=total, unit=newest.unit, note=newest.note, rate_s=rate_s, left_s=left_s)
