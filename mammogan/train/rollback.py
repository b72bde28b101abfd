"""Going back to an earlier tick of a stage: each time is noted, and what came after is forgotten."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from mammogan.config.method import Method
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.run_records import Rollback, dump_list, read_list
from mammogan.schedule import Stage
from mammogan.train.checkpoint_retention import Retention


class RolledBackError(Exception):
    """The stage is to be begun again, from the checkpoint that is the newest now."""


def noted(run: Path, stage: int) -> list[Rollback]:
    """List the times that `stage` was rolled back.

    Raises
    ------
    DataError
        If the list is damaged.
    """
    path = RunFolder(run).rollbacks(stage)
    if not path.exists():
        return []
    return read_list(Rollback, path, "Copy it back, or delete it if the stage never went back.")


def note(run: Path, stage: int, at: int, to: int) -> None:
    """Go back to `to` images. A job that is killed in between finishes it at its next start."""
    times = [*noted(run, stage), Rollback(at=at, to=to)]
    write(RunFolder(run).rollbacks(stage), dump_list(times))
    forget(run, stage)


def forget(run: Path, stage: int) -> None:
    """Delete the checkpoints that were left behind by the newest time, but not those saved since."""
    if times := noted(run, stage):
        Retention(run, stage).after_rollback(times[-1].to, len(times))


def slowed(stage: Stage, method: Method, times: int) -> Stage:
    """Give the stage with the learning rate that it has after going back `times` times."""
    rate = stage.learning_rate * method.alarms.rollback_rate**times
    return dataclasses.replace(stage, learning_rate=rate)
