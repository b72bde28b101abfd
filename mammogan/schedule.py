"""The progressive schedule as pure functions of one counter: real images shown to the critic in a stage.

Resolution, fade, batch, ticks and checkpoints follow from the method and that counter alone, so that resuming
is running the same command again. After Karras et al. 2018 (PGGAN), section 2; here each stage is one job: it
fades its new resolution in first and trains it stably afterwards.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from mammogan.config.method import Method
from mammogan.config.settings import entry


@dataclass(frozen=True)
class Stage:
    """One rung of the ladder and its training; counts are in images, multiples of `batch`."""

    index: int
    height_px: int
    width_px: int
    batch: int
    micro_batch: int
    fade_images: int
    stable_images: int
    tick_images: int
    images_before: int
    scored_checkpoints: int
    learning_rate: float
    recompute: bool = False
    decay_images: int = 0
    final_rate: float = 1.0

    @property
    def images(self) -> int:
        """Real images that this stage shows to the critic."""
        return self.fade_images + self.stable_images

    @property
    def steps(self) -> int:
        """Updates of each network in this stage."""
        return self.images // self.batch

    def fade(self, images: int) -> float:
        """Weight of the new resolution after `images` of this stage: 0 at its start, 1 once it is stable."""
        return 1.0 if images >= self.fade_images else images / self.fade_images

    def rate(self, images: int) -> float:
        """Learning rate after `images` of this stage: at its end it may fall by half a cosine."""
        left = self.images - images
        if left >= self.decay_images:
            return self.learning_rate
        height = (1 - math.cos(math.pi * left / self.decay_images)) / 2
        return self.learning_rate * (self.final_rate + (1 - self.final_rate) * height)

    def kimg(self, images: int) -> float:
        """Thousands of images shown since the start of the run."""
        return (self.images_before + images) / 1000

    def checkpoints(self) -> tuple[int, ...]:
        """Counters whose checkpoints are scored: evenly over the stable phase, the end included."""
        steps = self.stable_images // self.batch
        parts = self.scored_checkpoints
        marks = {math.ceil(steps * part / parts) for part in range(1, parts + 1)}
        return tuple(self.fade_images + self.batch * mark for mark in sorted(marks))

    def saves(self) -> tuple[int, ...]:
        """Counters at which the state is saved: every tick, and every checkpoint to be scored."""
        ticks = range(self.tick_images, self.images + 1, self.tick_images)
        return tuple(sorted({*ticks, *self.checkpoints()}))


def ladder(base_px: tuple[int, int], stages: int) -> tuple[tuple[int, int], ...]:
    """Resolutions (height, width) from the base upwards, each twice the one before."""
    return tuple((base_px[0] << stage, base_px[1] << stage) for stage in range(stages))


def plan(method: Method) -> tuple[Stage, ...]:
    """Work out every stage of `method`; the first stage has nothing to fade in from."""
    schedule, stages = method.schedule, []
    before = 0
    for index, (height, width) in enumerate(ladder(method.ladder.base_px, method.ladder.stages)):
        batch = entry(schedule.batch, index)
        stage = Stage(
            index=index,
            height_px=height,
            width_px=width,
            batch=batch,
            micro_batch=min(batch, entry(method.engine.micro_batch, index)),
            fade_images=_whole_batches(entry(schedule.fade_kimg, index), batch) if index else 0,
            stable_images=max(batch, _whole_batches(entry(schedule.stable_kimg, index), batch)),
            tick_images=max(batch, _whole_batches(entry(schedule.tick_kimg, index), batch)),
            images_before=before,
            scored_checkpoints=method.scoring.checkpoints,
            learning_rate=entry(method.optimiser.learning_rate, index),
            recompute=entry(method.engine.recompute, index),
        )
        if index == method.ladder.stages - 1:
            decay = round(method.optimiser.cosine_decay * stage.images)
            stage = replace(stage, decay_images=decay, final_rate=method.optimiser.final_rate)
        stages.append(stage)
        before += stage.images
    return tuple(stages)


def split_batch(batch: int, micro_batch: int, ranks: int, group: int) -> tuple[int, int]:
    """Divide a global batch among ranks: (images a rank takes at once, accumulation steps).

    Raises
    ------
    ValueError
        If `ranks` does not divide the batch into whole groups of `group` images (minibatch stddev).
    """
    share, rest = divmod(batch, ranks)
    if rest or share % group:
        allowed = [n for n in range(1, batch + 1) if batch % n == 0 and batch // n % group == 0]
        raise ValueError(
            f"a global batch of {batch} can't be split on {ranks} ranks into whole groups of {group}; "
            f"numbers of ranks that can: {', '.join(map(str, allowed))}"
        )
    sizes = range(group, min(share, max(group, micro_batch)) + 1, group)
    micro = max(size for size in sizes if share % size == 0)
    return micro, share // micro


def _whole_batches(kimg: float, batch: int) -> int:
    return math.ceil(round(kimg * 1000) / batch) * batch
