"""The ticks of a stage: what is measured, saved, logged and acted upon, in that order."""

from __future__ import annotations

from dataclasses import dataclass, field

from mammogan.config.augmentation_settings import Augmentation
from mammogan.train import alarms, augment
from mammogan.train.alarm_policy import AlarmPolicy
from mammogan.train.checkpoint import Checkpoint, Tick
from mammogan.train.checkpoint_saver import CheckpointSaver
from mammogan.train.diagnostics import Diagnostics
from mammogan.train.recorder import Recorder


@dataclass
class Ticks:
    """Ends ticks, and pauses between them; every rank holds one, and all must call the same."""

    recorder: Recorder
    saver: CheckpointSaver
    policy: AlarmPolicy
    diagnostics: Diagnostics
    augmentation: Augmentation
    history: list[Tick] = field(default_factory=list)

    def resume(self, start: Checkpoint | None) -> None:
        """Go on from `start`; do what its newest tick asks for, which a killed job may not have come to.

        Raises
        ------
        RunFailedError, RolledBackError
            As `end` does.
        """
        if start is None:
            return
        facts, batches = start.facts, self.saver.batches
        self.history = facts["ticks"]
        batches.probability = facts["augmentation"]
        self.recorder.log_missing(self.history)
        since = start.images
        if sums := facts.get("sums"):  # saved between two ticks
            since = facts["since"]
            self.saver.gan_step.sums.load(sums)
        self.recorder.begin_tick(since, start.images)
        if self.history:
            self.policy.act(self.history[-1], since, self.policy.judge(self.history), self.history)

    def end(self, images: int) -> None:
        """Log and save what the stage has come to after `images`.

        Raises
        ------
        RunFailedError
            If no update since the tick before was finite, or an alarm ends the stage.
        RolledBackError
            If an alarm went off and the stage goes on from an earlier tick.
        """
        values = self.recorder.measure(images) | {"rolled_back": float(self.policy.rolled_back)}
        if self.recorder.group.is_main:
            values |= self.diagnostics.observe(values["fade"])
        self._adapt_augmentation(values, images)
        self.history.append({"images": images, **values})
        heard = self.policy.judge(self.history)
        values |= {f"alarms/{name}": float(any(a.name == name for a in heard)) for name in alarms.WATCHES}
        self.saver.save(images, self.history, self.policy.may_go_back_to(self.history))
        self.recorder.log(values, images, heard, self.saver.table)
        self.policy.act(values, images, heard, self.history)
        self.saver.gan_step.sums.reset()
        self.recorder.begin_tick(images, images)

    def pause(self, images: int) -> None:
        """Save what the stage has come to between two ticks, and make no tick of it."""
        keep = self.policy.may_go_back_to(self.history)
        self.saver.save(images, self.history, keep, between_ticks_since=self.recorder.since)

    def _adapt_augmentation(self, values: dict[str, float], images: int) -> None:
        """Let the probability of augmentation follow the critic's overfitting."""
        settings, group, batches = self.augmentation, self.recorder.group, self.saver.batches
        if settings.kind == "none":
            return
        if settings.kind == "adaptive":
            now = batches.probability
            overfit = group.broadcast(self.diagnostics.overfit(now, images) if group.is_main else 0.0)
            batches.probability = augment.adjusted(settings, now, overfit, images - self.recorder.since)
            values["augmentation/overfit"] = overfit
        values["augmentation/probability"] = batches.probability
