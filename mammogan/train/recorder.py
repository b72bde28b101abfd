"""What is logged at a tick: means of the losses, speed and memory, and a sheet of samples."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mammogan.config.method import Method
from mammogan.schedule import Stage
from mammogan.tracking import Journal, read
from mammogan.train import accelerator
from mammogan.train.alarms import Alarm
from mammogan.train.checkpoint import Tick
from mammogan.train.dataloader import BatchLoader
from mammogan.train.distributed import ProcessGroup
from mammogan.train.draw_images import Model, preview
from mammogan.train.gan_step import GanStep
from mammogan.train.label_encoding import LabelTable
from mammogan.train.tick_line import tick_line

log = logging.getLogger(__name__)
OnProgress = Callable[[int, int, str], None]
"""Called with (images, images of the stage, a note)."""


class Recorder:
    """Measures and logs a stage's ticks; every rank holds one, and the main rank's alone writes.

    Attributes
    ----------
    since
        Images of the stage at the newest tick.
    resumed_at
        Images of the stage from which its speed is measured: at that tick, or where this process began.
    """

    def __init__(
        self,
        folder: Path,
        method: Method,
        stage: Stage,
        group: ProcessGroup,
        gan_step: GanStep,
        batches: BatchLoader,
        on_progress: OnProgress,
    ) -> None:
        self.folder, self.method, self.stage, self.group = folder, method, stage, group
        self.gan_step, self.batches, self.on_progress = gan_step, batches, on_progress
        self.journal = Journal(folder, f"train-{stage.index}", writes=group.is_main)
        self.begin_tick(0, 0)

    def begin_tick(self, since: int, resumed_at: int) -> None:
        """Begin to measure: terms since `since` images of the stage, speed since `resumed_at`."""
        self.since, self.resumed_at = since, resumed_at
        self._wall_s, self._cpu_s = time.monotonic(), time.process_time()
        self.batches.waited_s = 0.0

    def measure(self, images: int) -> dict[str, float]:
        """Return what happened since the tick before, by metric name; every rank must call it."""
        steps = (images - self.since) // self.stage.batch
        values = {name: x / steps for name, x in self.gan_step.sums.totals(self.group).items()}
        values["critic/wasserstein"] = values["critic/score_fake"] - values["critic/score_real"]
        seconds = time.monotonic() - self._wall_s
        values["perf/images_per_s"] = (images - self.resumed_at) / seconds
        values["perf/waiting_for_data"] = self.batches.waited_s / seconds
        values |= accelerator.usage()
        values["system/cores"] = (time.process_time() - self._cpu_s) / seconds
        values["fade"] = self.stage.fade(images - self.stage.batch)
        values["progress"] = images / self.stage.images
        return values | {"kimg": self.stage.kimg(images)}

    def log(
        self, values: Mapping[str, float], images: int, alarms: Sequence[Alarm], table: LabelTable
    ) -> None:
        """Write the tick's metrics and a sheet of samples, and report progress; nothing on other ranks."""
        if not self.group.is_main:
            return
        step = self.stage.images_before + images
        self.journal.metrics(values, step=step)
        model = Model(self.gan_step.average, self.method, table, values["fade"])
        self.journal.picture(preview(model), "samples", step)
        log.info("%s", tick_line(self.stage, images, values))
        note = "".join(f", alarm '{alarm.name}'" for alarm in alarms)
        self.on_progress(images, self.stage.images, f"{values['perf/images_per_s']:.0f} images/s{note}")

    def log_missing(self, ticks: Sequence[Tick]) -> None:
        """Log ticks that a job saved, but was killed before it came to log them."""
        logged = {entry["step"] for entry in read(self.folder, self.journal.source)}
        for tick in ticks:
            step = self.stage.images_before + int(tick["images"])
            if step not in logged:
                self.journal.metrics({name: x for name, x in tick.items() if name != "images"}, step)
