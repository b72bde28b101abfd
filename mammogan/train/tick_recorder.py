"""What happens at a tick: means are logged, sheets looked at, the state is saved, alarms are heard."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from mammogan.config.alarm_settings import Alarms
from mammogan.config.method import Method
from mammogan.errors import RunFailedError
from mammogan.schedule import Stage
from mammogan.tracking import Journal, read
from mammogan.train import adam_state, alarms, augment, checkpoint, device, rollback
from mammogan.train.checkpoint import Checkpoint
from mammogan.train.dataloader import Feed
from mammogan.train.diagnostics import Observer
from mammogan.train.distributed import Ranks
from mammogan.train.draw_images import Model, preview
from mammogan.train.gan_step import TERMS, Adversaries
from mammogan.train.label_encoding import LabelTable
from mammogan.train.rollback import RolledBackError

log = logging.getLogger(__name__)
NOTHING, STOP, ROLL_BACK = range(3)


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
        observer: Observer,
        start: Checkpoint | None,
        rolled_back: int,
        on_progress: Callable[[int, int, str], None],
    ) -> None:
        self.folder, self.method, self.stage, self.ranks = folder, method, stage, ranks
        self.adversaries, self.feed, self.observer = adversaries, feed, observer
        self.on_progress = on_progress
        self.table = LabelTable.of(feed.labels_NF)
        self.journal = Journal(folder, f"train-{stage.index}", writes=ranks.leads)
        self.past: list[dict[str, Any]] = start.facts["ticks"] if start else []
        self._images = self._since_images = start.images if start else 0
        if start:
            feed.probability = start.facts["augmentation"]
            self._tell_what_is_missing()
            if sums := start.facts.get("sums"):  # saved between two ticks
                self._images = start.facts["since"]
                adversaries.sums.copy_(torch.tensor(sums))
        self.rolled_back = rolled_back
        self._since, self._cpu = time.monotonic(), time.process_time()

    def end(self, images: int) -> None:
        """Log and save what the stage has come to after `images`; every rank must call it.

        Raises
        ------
        RunFailedError
            If no update since the tick before was finite, or an alarm ends the stage.
        RolledBackError
            If an alarm went off and the stage goes on from an earlier tick.
        """
        values = self._means(images)
        if self.ranks.leads:
            values |= self.observer.observe(values["fade"])
        self._adapt(values, images)
        self.past.append({"images": images, **values})
        heard = alarms.judge(self.method.alarms, self.past) if self.ranks.leads else ()
        values |= {f"alarms/{name}": float(any(a.name == name for a in heard)) for name in alarms.WATCHES}
        self._save(images)
        self._tell(values, images, heard)
        self._obey(values, images, heard)
        self._images, self._since_images, self.feed.waited_s = images, images, 0.0
        self._since, self._cpu = time.monotonic(), time.process_time()
        self.adversaries.forget_sums()

    def pause(self, images: int) -> None:
        """Save what the stage has come to between two ticks, and make no tick of it; all ranks call it."""
        self._save(images, sums=self.ranks.mean(self.adversaries.sums).tolist())

    def obey_again(self) -> None:
        """Do what the newest tick asks for, which a killed job may not have come to; raises as `end` does."""
        if self.past:
            heard = alarms.judge(self.method.alarms, self.past) if self.ranks.leads else ()
            self._obey(self.past[-1], self._images, heard)

    def _tell_what_is_missing(self) -> None:
        """Log ticks that a job saved, but was killed before it came to log them."""
        logged = {entry["step"] for entry in read(self.folder, self.journal.source)}
        for tick in self.past:
            step = self.stage.images_before + tick["images"]
            if step not in logged:
                self.journal.metrics({name: x for name, x in tick.items() if name != "images"}, step)

    def _means(self, images: int) -> dict[str, float]:
        steps = (images - self._images) // self.stage.batch
        means = self.ranks.mean(self.adversaries.sums) / steps
        values = dict(zip(TERMS, means.tolist(), strict=True))
        values["critic/wasserstein"] = values["critic/score_fake"] - values["critic/score_real"]
        seconds = time.monotonic() - self._since
        values["perf/images_per_s"] = (images - self._since_images) / seconds
        values["perf/waiting_for_data"] = self.feed.waited_s / seconds
        values |= device.usage()
        values["system/cores"] = (time.process_time() - self._cpu) / seconds
        values["rolled_back"] = float(self.rolled_back)
        values["fade"] = self.stage.fade(images - self.stage.batch)
        return values | {"kimg": self.stage.kimg(images)}

    def _adapt(self, values: dict[str, float], images: int) -> None:
        """Let the probability of augmentation follow the critic's overfitting."""
        settings = self.method.augmentation
        if settings.kind == "none":
            return
        if settings.kind == "adaptive":
            leads, now = self.ranks.leads, self.feed.probability
            overfit = self.ranks.told(self.observer.overfit(now, images) if leads else 0.0)
            self.feed.probability = augment.adjusted(settings, now, overfit, images - self._images)
            values["augmentation/overfit"] = overfit
        values["augmentation/probability"] = self.feed.probability

    def _save(self, images: int, sums: list[float] | None = None) -> None:
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
            facts = {
                "ticks": self.past,
                "augmentation": self.feed.probability,
                "rolled_back": self.rolled_back,
                **({"sums": sums, "since": self._images} if sums else {}),
            }
            checkpoint.save(self.folder, self.stage.index, images, parts, facts)
            # What is not yet an alarm may become one: the tick before the trouble is kept.
            pending = alarms.judge(_impatient(self.method.alarms), self.past)
            checkpoint.prune(self.folder, self.stage, also=[self._good(pending)])

    def _tell(self, values: dict[str, float], images: int, heard: tuple[alarms.Alarm, ...]) -> None:
        if not self.ranks.leads:
            return
        step = self.stage.images_before + images
        self.journal.metrics(values, step=step)
        model = Model(self.adversaries.average, self.method, self.table, values["fade"])
        self.journal.picture(preview(model), "samples", step)
        rung = "".join(f", alarm '{alarm.name}'" for alarm in heard)
        self.on_progress(images, self.stage.images, f"{values['perf/images_per_s']:.0f} images/s{rung}")
        for alarm in heard:
            log.warning("stage %d after %d images: %s", self.stage.index, images, alarm.message)

    def _obey(self, values: dict[str, float], images: int, heard: tuple[alarms.Alarm, ...]) -> None:
        """Do what the alarms ask for; all ranks follow the leading one, which alone has looked."""
        settings, index = self.method.alarms, self.stage.index
        wanted = {"log": NOTHING, "stop": STOP, "roll-back": ROLL_BACK}[settings.action] if heard else NOTHING
        verdict = round(self.ranks.told(wanted))
        if verdict == ROLL_BACK and self.rolled_back < settings.rollbacks:
            if self.ranks.leads:
                rollback.note(self.folder, index, images, self._good(heard))
            self.ranks.wait()
            raise RolledBackError(f"stage {index} goes back from {images} images")
        if verdict != NOTHING:
            said = " ".join(alarm.message for alarm in heard) or "See the log of the leading rank."
            raise RunFailedError(f"Stage {index} ends after {images} images (alarms.action). {said}")
        for who in ("critic", "generator"):
            if values[f"{who}/skipped"] == 1:
                raise RunFailedError(
                    f"Training diverged in stage {index} before image {images}: no gradient of the {who} was "
                    "finite. Lower optimiser.learning_rate, or start this stage again from the one before."
                )

    def _good(self, heard: tuple[alarms.Alarm, ...]) -> int:
        """Count the images of the last tick before the trouble; 0 is the stage's start."""
        good = alarms.good_ticks(heard, self.past)
        return self.past[good - 1]["images"] if good else 0


def _impatient(settings: Alarms) -> Alarms:
    """Let every alarm that is on go off at the first bad tick."""
    rules = {
        name: (rule := getattr(settings, name)).model_copy(update={"patience": min(rule.patience, 1)})
        for name in alarms.WATCHES
    }
    return settings.model_copy(update=rules)
