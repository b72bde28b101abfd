"""Which checkpoints of a stage are kept: while it trains, after it went back, and once its best are known."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mammogan.run_folder import RunFolder
from mammogan.train import checkpoint
from mammogan.train.checkpoint import Checkpoint

KEPT_TO_RESUME = 2
"""The newest checkpoints of a stage: the second serves if the first is damaged."""


@dataclass(frozen=True)
class Retention:
    """Deletes checkpoints of stage `stage` in the run of folder `run`; nobody else does."""

    run: Path
    stage: int

    def sweep(self) -> None:
        """Delete what a job that was killed has left of a checkpoint; nobody else may be writing."""
        for end in ("tmp", "old"):
            for left_over in RunFolder(self.run).stage(self.stage).glob(f".*.{end}"):
                shutil.rmtree(left_over, ignore_errors=True)

    def while_training(self, scored: Iterable[int], also: Iterable[int] = ()) -> None:
        """Keep what is to be `scored`, what is in `also` (in images of the stage), and the newest."""
        kept = {*scored, *also}
        _delete(old for old in self._saved()[KEPT_TO_RESUME:] if old.images not in kept)

    def once_scored(self, end: int, best: Iterable[int]) -> None:
        """Keep the `best` and the stage's `end`, which the next stage grew from."""
        kept = {end, *best}
        _delete(old for old in self._saved() if old.images not in kept)

    def after_rollback(self, to: int, times: int) -> None:
        """Delete what lies beyond `to` images and was saved before the stage went back `times` times."""
        _delete(old for old in self._saved() if old.images > to and _rollbacks(old) < times)

    def _saved(self) -> list[Checkpoint]:
        return list(checkpoint.saved(self.run, self.stage))


def _delete(checkpoints: Iterable[Checkpoint]) -> None:
    for old in checkpoints:
        shutil.rmtree(old.folder, ignore_errors=True)


def _rollbacks(found: Checkpoint) -> int:
    """Count the times gone back before `found`; -1 where a kill has left half of it, which nobody can use."""
    try:
        return int(found.facts.get("rolled_back", 0))
    except (OSError, ValueError, KeyError):
        return -1
