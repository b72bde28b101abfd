"""What is done when an alarm goes off: a warning, the end of the stage, or a return to an earlier tick."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammogan.config.alarm_settings import Alarms
from mammogan.errors import RunFailedError
from mammogan.schedule import Stage
from mammogan.train import alarms, rollback
from mammogan.train.alarms import Alarm
from mammogan.train.checkpoint import Tick
from mammogan.train.distributed import ProcessGroup
from mammogan.train.rollback import RolledBackError

log = logging.getLogger(__name__)
NOTHING, STOP, ROLL_BACK = range(3)
ACTIONS = {"log": NOTHING, "stop": STOP, "roll-back": ROLL_BACK}


@dataclass(frozen=True)
class AlarmPolicy:
    """Judges the ticks of a stage and acts; all ranks follow the main one, which alone has looked."""

    folder: Path
    settings: Alarms
    stage: Stage
    group: ProcessGroup
    rolled_back: int

    def judge(self, ticks: Sequence[Tick]) -> tuple[Alarm, ...]:
        """Return the alarms that the newest tick sets off; none on the other ranks."""
        return alarms.judge(self.settings, ticks) if self.group.is_main else ()

    def may_go_back_to(self, ticks: Sequence[Tick]) -> int:
        """Return the images of the last tick before what is, or may become, an alarm; it is to be kept."""
        pending = alarms.judge(_impatient(self.settings), ticks) if self.group.is_main else ()
        return _last_good(pending, ticks)

    def act(
        self, values: Mapping[str, float], images: int, heard: Sequence[Alarm], ticks: Sequence[Tick]
    ) -> None:
        """Do what the alarms ask for; every rank must call it.

        Raises
        ------
        RunFailedError
            If no update since the tick before was finite, or an alarm ends the stage.
        RolledBackError
            If the stage goes on from an earlier tick.
        """
        index = self.stage.index
        for alarm in heard:
            log.warning("stage %d after %d images: %s", index, images, alarm.message)
        acting = [alarm for alarm in heard if alarm.acts]
        wanted = ACTIONS[self.settings.action] if acting else NOTHING
        verdict = round(self.group.broadcast(wanted))
        if verdict == ROLL_BACK and self.rolled_back < self.settings.rollbacks:
            if self.group.is_main:
                rollback.note(self.folder, index, images, _last_good(acting, ticks))
            self.group.barrier()
            raise RolledBackError(f"stage {index} goes back from {images} images")
        if verdict != NOTHING:
            reasons = " ".join(alarm.message for alarm in acting) or "See the log of the leading rank."
            raise RunFailedError(f"Stage {index} ends after {images} images (alarms.action). {reasons}")
        for net in ("critic", "generator"):
            if values[f"{net}/skipped"] == 1:
                raise RunFailedError(
                    f"Training diverged in stage {index} before image {images}: no gradient of the {net} was "
                    "finite. Lower optimiser.learning_rate, or start this stage again from the one before."
                )


def _last_good(heard: Sequence[Alarm], ticks: Sequence[Tick]) -> int:
    """Count the images of the last tick before the trouble; 0 is the stage's start."""
    good = alarms.good_ticks(heard, ticks)
    return int(ticks[good - 1]["images"]) if good else 0


def _impatient(settings: Alarms) -> Alarms:
    """Let every alarm that is on go off at the first bad tick."""
    rules = {
        name: (rule := getattr(settings, name)).model_copy(update={"patience": min(rule.patience, 1)})
        for name in alarms.WATCHES
    }
    return settings.model_copy(update=rules)
