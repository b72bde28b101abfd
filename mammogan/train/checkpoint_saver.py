"""The state of a stage as a checkpoint: networks, moments, labels, and the ticks so far."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammogan.schedule import Stage
from mammogan.train import adam_state, checkpoint
from mammogan.train.checkpoint import Tick
from mammogan.train.checkpoint_retention import Retention
from mammogan.train.dataloader import BatchLoader
from mammogan.train.distributed import ProcessGroup
from mammogan.train.gan_step import GanStep
from mammogan.train.label_encoding import LabelTable


@dataclass(frozen=True)
class CheckpointSaver:
    """Saves a stage's state; every rank holds one, and all must save at once."""

    folder: Path
    stage: Stage
    group: ProcessGroup
    gan_step: GanStep
    batches: BatchLoader
    table: LabelTable
    rolled_back: int

    def save(
        self, images: int, ticks: Sequence[Tick], keep: int, between_ticks_since: int | None = None
    ) -> None:
        """Write the checkpoint after `images`, and delete what need not be kept.

        Parameters
        ----------
        ticks
            Those of the stage so far.
        keep
            Images of the tick that the stage may go back to, which is kept.
        between_ticks_since
            Images at the newest tick, where this is none itself: the sums since then are saved too.
        """
        step, partial = self.gan_step, {}
        if between_ticks_since is not None:
            partial = {"sums": step.sums.state(self.group), "since": between_ticks_since}
        parts = {
            "generator": step.generator.state_dict(),
            "average": step.average.state_dict(),
            "critic": step.critic.state_dict(),
            "generator_adam": adam_state.gather(step.generator_engine),
            "critic_adam": adam_state.gather(step.critic_engine),
            "labels": self.table.tensors(),
        }
        if not self.group.is_main:
            return
        facts = {
            "ticks": ticks,
            "augmentation": self.batches.probability,
            "rolled_back": self.rolled_back,
            **partial,
        }
        checkpoint.save(self.folder, self.stage.index, images, parts, facts)
        Retention(self.folder, self.stage.index).while_training(self.stage.checkpoints(), also=[keep])
