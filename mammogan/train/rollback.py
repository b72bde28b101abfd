"""Going back to an earlier tick of a stage: each time is noted, and what came after is forgotten."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from mammogan.config.method import Method
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.schedule import Stage
from mammogan.train.checkpoint_retention import Retention


class RolledBackError(Exception):
    """The stage is to be begun again, from the checkpoint that is the newest now."""


def noted(run: Path, stage: int) -> list[dict[str, int]]:
    """List the times that `stage` was rolled back: ``at`` and ``to`` how many images."""
    path = RunFolder(run).rollbacks(stage)
    found: list[dict[str, int]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return found


def note(run: Path, stage: int, at: int, to: int) -> None:
    """Go back to `to` images. A job that is killed in between finishes it at its next start."""
    write(RunFolder(run).rollbacks(stage), json.dumps([*noted(run, stage), {"at": at, "to": to}], indent=1))
    forget(run, stage)


def forget(run: Path, stage: int) -> None:
    """Delete the checkpoints that were left behind by the newest time, but not those saved since."""
    if times := noted(run, stage):
        Retention(run, stage).after_rollback(times[-1]["to"], len(times))


def slowed(stage: Stage, method: Method, times: int) -> Stage:
    """Give the stage with the learning rate that it has after going back `times` times."""
    rate = stage.learning_rate * method.alarms.rollback_rate**times
    return dataclasses.replace(stage, learning_rate=rate)
