"""How far a running task is: a small file that it replaces now and then, for `status` to read."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from mammogan.files import write
from mammogan.steps.job_graph import Node


@dataclass(frozen=True)
class Progress:
    """`done` of `total`, counted in `unit`, with a note; `rate_s` is units a second, 0 if not known yet.

    `left_s` is the time that a node's tasks need at their present pace, those that wait included.
    """

    done: int
    total: int
    unit: str
    note: str = ""
    rate_s: float = 0.0
    left_s: float | None = None


_first: dict[Path, tuple[float, int]] = {}  # when this process first told of a task, and how far it was then


def report_progress(run: Path, node: str, task: int, done: int, total: int, unit: str, note: str) -> None:
    """Write how far task `task` of `node` is, and how fast it has been since this process first told."""
    path, now = _path(run, node, task), time.monotonic()
    since, before = _first.setdefault(path, (now, done))
    if done < before:  # the stage was rolled back
        _first[path] = since, before = now, done
    rate_s = (done - before) / (now - since) if now > since else 0.0
    write(path, json.dumps(asdict(Progress(done, total, unit, note, rate_s))))


def progress(run: Path, node: Node) -> Progress | None:
    """Add up how far the tasks of `node` are; None before the first has said anything."""
    parts = []
    for task in range(node.tasks):
        try:
            parts.append(Progress(**json.loads(_path(run, node.name, task).read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError):
            continue
    if not parts:
        return None
    done, total = sum(part.done for part in parts), sum(part.total for part in parts)
    rate_s = sum(part.rate_s for part in parts if part.done < part.total)
    left = total - done + (node.tasks - len(parts)) * total / len(parts)
    left_s = left / rate_s if rate_s else None
    return Progress(done, total, parts[-1].unit, parts[-1].note, rate_s, left_s)


def _path(run: Path, node: str, task: int) -> Path:
    return run / "progress" / f"{node}-{task}.json"
