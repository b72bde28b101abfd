"""What happens at a tick: means are logged, a sheet is drawn, the state is saved, and trouble is seen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from mammogan.config.method import Method
from mammogan.errors import RunFailedError
from mammogan.schedule import Stage
from mammogan.tracking import Journal
from mammogan.train import adam_state, checkpoint
from mammogan.train.adversaries import TERMS, Adversaries
from mammogan.train.checkpoint import Checkpoint
from mammogan.train.distributed import Ranks
from mammogan.train.draw import Model, preview
from mammogan.train.feed import Feed
from mammogan.train.labels import LabelTable


class Ticks:
    """The ticks of a stage, of which those before `start` are known from it; every rank holds one."""

    def __init__(
        self,
        folder: Path,
        method: Method,
        stage: Stage,
        ranks: Ranks,
        adversaries: Adversaries,
        feed: Feed,
        start: Checkpoint | None,
        on_progress: Callable[[int, int, str], None],
    ) -> None:
        self.folder, self.method, self.stage, self.ranks = folder, method, stage, ranks
        self.adversaries, self.feed, self.on_progress = adversaries, feed, on_progress
        self.table = LabelTable.of(feed.labels_NF)
        self.journal = Journal(folder, f"train-{stage.index}", writes=ranks.leads)
        self.past: list[dict[str, float]] = start.facts["ticks"] if start else []
        self._images = start.images if start else 0
        self._since = time.monotonic()

    def end(self, images: int) -> None:
        """Log and save what the stage has come to after `images`; every rank must call it.

        Raises
        ------
        RunFailedError
            If no update since the tick before was finite.
        """
        values = self._means(images)
        self.past.append(values)
        self._save(images)
        if self.ranks.leads:
            step = self.stage.images_before + images
            self.journal.metrics(values, step=step)
            model = Model(self.adversaries.average, self.method, self.table)
            self.journal.picture(preview(model), "samples", step)
            self.on_progress(images, self.stage.images, f"{values['perf/images_per_s']:.0f} images/s")
        self._check(values, images)
        self._images, self._since, self.feed.waited_s = images, time.monotonic(), 0.0
        self.adversaries.forget_sums()

    def _means(self, images: int) -> dict[str, float]:
        steps = (images - self._images) // self.stage.batch
        means = self.ranks.mean(self.adversaries.sums) / steps
        values = dict(zip(TERMS, means.tolist(), strict=True))
        values["critic/wasserstein"] = values["critic/score_fake"] - values["critic/score_real"]
        seconds = time.monotonic() - self._since
        values["perf/images_per_s"] = (images - self._images) / seconds
        values["perf/waiting_for_data"] = self.feed.waited_s / seconds
        values["fade"] = self.stage.fade(images - self.stage.batch)
        return values | {"kimg": self.stage.kimg(images)}

    def _save(self, images: int) -> None:
        mine = self.adversaries
        parts = {
            "generator": mine.generator.state_dict(),
            "average": mine.average.state_dict(),
            "critic": mine.critic.state_dict(),
            "generator_adam": adam_state.gather(mine.generator_engine),
            "critic_adam": adam_state.gather(mine.critic_engine),
            "labels": self.table.tensors(),
        }
        if self.ranks.leads:
            checkpoint.save(self.folder, self.stage.index, images, parts, {"ticks": self.past})
            checkpoint.prune(self.folder, self.stage)

    def _check(self, values: dict[str, float], images: int) -> None:
        for who in ("critic", "generator"):
            if values[f"{who}/skipped"] == 1:
                raise RunFailedError(
                    f"Training diverged in stage {self.stage.index} before image {images}: no gradient of "
                    f"the {who} was finite. Lower optimiser.learning_rate, or start this stage again from "
                    "the one before."
                )
