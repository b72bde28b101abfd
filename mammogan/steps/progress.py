"""How far a running task is: a small file that it replaces now and then, for `status` to read."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mammogan.files import write
from mammogan.steps.graph import Node


@dataclass(frozen=True)
class Progress:
    """`done` of `total`, counted in `unit`, with a note such as the rate."""

    done: int
    total: int
    unit: str
    note: str = ""


def report_progress(run: Path, node: str, task: int, done: int, total: int, unit: str, note: str) -> None:
    """Write how far task `task` of `node` is."""
    write(_path(run, node, task), json.dumps(asdict(Progress(done, total, unit, note))))


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
    return Progress(
        sum(part.done for part in parts), sum(part.total for part in parts), parts[-1].unit, parts[-1].note
    )


def _path(run: Path, node: str, task: int) -> Path:
    return run / "progress" / f"{node}-{task}.json"
