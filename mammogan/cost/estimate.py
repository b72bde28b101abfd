"""What a run will cost before it starts: time, GPU-hours and bytes of each stage.

Time is that of a device that was measured (`mammogan.cost.calibrate`), or else of a GPU's data sheet
(`mammogan.cost.gpu_datasheets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Protocol

from mammogan import schedule
from mammogan.config.label_fields import VIEWS
from mammogan.config.method import Method
from mammogan.cost import gpu_datasheets
from mammogan.cost.calibrate import Calibration, Measured
from mammogan.cost.flops import Work, work
from mammogan.cost.gpu_datasheets import Gpu
from mammogan.errors import ConfigError
from mammogan.schedule import Stage

SHARD_RATIO, PNG_RATIO = 0.435 / 2.621, 0.490 / 2.621
"""Compressed size of an image in a shard, and as PNG, of its pixels' (docs/speed.md)."""
KEPT_IN_MEMORY = 512 << 20
"""Rungs of no more bytes than this, two a pixel, are read once by each rank."""
RESUMED_FROM = 2
"""Checkpoints that a stage keeps beside those that are to be scored."""


class Pace(Protocol):
    """How fast a device is."""

    @property
    def name(self) -> str:
        """The device, and how its pace is known."""

    def step_s(self, stage: Stage, work: Work, share: int, ranks: int) -> tuple[float, str]:
        """Seconds of a step of `share` images a rank, and how they are known."""

    def drawing_s(self, stage: Stage, work: Work) -> float:
        """Seconds to draw one image."""


@dataclass(frozen=True)
class DataSheet:
    """The pace of a GPU by its data sheet."""

    gpu: Gpu
    precision: str

    @property
    def name(self) -> str:
        """The device."""
        return f"{self.gpu.name}, {self.precision}"

    def step_s(self, stage: Stage, work: Work, share: int, ranks: int) -> tuple[float, str]:
        """Seconds of a step: what bounds it."""
        # Counted traffic is of 4-byte numbers; in bf16 what an image adds is halved.
        moved = share * work.traffic * (0.5 if self.precision == "bf16" else 1) + work.step_traffic
        reduced = gpu_datasheets.reduction_s(work.gradient_bytes, ranks)
        limit = gpu_datasheets.bound(share * work.flops, moved, work.calls, reduced, self.gpu, self.precision)
        return limit.total, "data sheet"

    def drawing_s(self, stage: Stage, work: Work) -> float:
        """Seconds to draw one image, by arithmetic alone."""
        return work.drawing_flops / (self.gpu.flops_s[self.precision] * gpu_datasheets.SUSTAINED)


@dataclass(frozen=True)
class CpuPace:
    """The pace of a rank on so many cores, if each does as well as one that was measured (docs/cost.md)."""

    cores: int

    CORE_FLOPS_S: ClassVar[float] = 40e9
    """Of a training step on one thread of AMD EPYC: 0.53 to 0.63 of the 75 GFLOP/s of its convolutions."""

    @property
    def name(self) -> str:
        """The device."""
        return f"CPU, {self.cores} core{'s' if self.cores > 1 else ''} a rank"

    def step_s(self, stage: Stage, work: Work, share: int, ranks: int) -> tuple[float, str]:
        """Seconds of a step: its arithmetic, and what it takes to call each operator."""
        reduced = gpu_datasheets.reduction_s(work.gradient_bytes, ranks)
        called = work.calls * gpu_datasheets.LAUNCH_S
        return share * work.flops / self.cores / self.CORE_FLOPS_S + called + reduced, "table"

    def drawing_s(self, stage: Stage, work: Work) -> float:
        """Seconds to draw one image."""
        return work.drawing_flops / self.cores / self.CORE_FLOPS_S


@dataclass(frozen=True)
class Measurements:
    """The pace of a device that was measured; rungs that were not go by their work at the last one's pace."""

    calibration: Calibration

    @property
    def name(self) -> str:
        """The device."""
        return self.calibration.device

    def step_s(self, stage: Stage, work: Work, share: int, ranks: int) -> tuple[float, str]:
        """Seconds of a step at the operations a second that were reached, and of what it does beside."""
        rung, known = self._rung(stage)
        reduced = gpu_datasheets.reduction_s(work.gradient_bytes, ranks)
        return share * work.flops / rung.gflops / 1e9 + rung.step_s + reduced, known

    def drawing_s(self, stage: Stage, work: Work) -> float:
        """Seconds to draw one image, at the operations a second of training."""
        return work.drawing_flops / self._rung(stage)[0].gflops / 1e9

    def _rung(self, stage: Stage) -> tuple[Measured, str]:
        for rung in self.calibration.rungs:
            if (rung.height_px, rung.width_px) == (stage.height_px, stage.width_px):
                return rung, "measured"
        return self.calibration.rungs[-1], "by work"


@dataclass(frozen=True)
class Data:
    """Training images, and the bytes of one in the shards by (height, width); `known` if they are built."""

    images: int
    bytes_px: Mapping[tuple[int, int], float]
    known: bool

    @classmethod
    def expected(cls, images: int, method: Method) -> Data:
        """Reckon the bytes of images that no shards were built of."""
        rungs = schedule.ladder(method.ladder.base_px, method.ladder.stages)
        return cls(images, {rung: SHARD_RATIO * 2 * rung[0] * rung[1] for rung in rungs}, known=False)

    @property
    def total_bytes(self) -> float:
        """Bytes of the training shards of all rungs."""
        return self.images * sum(self.bytes_px.values())

    def read_bytes(self, stage: Stage, ranks: int) -> float:
        """Bytes that all ranks of a stage read."""
        each = self.bytes_px[stage.height_px, stage.width_px]
        if 2 * self.images * stage.height_px * stage.width_px <= KEPT_IN_MEMORY:
            return min(stage.images, ranks * self.images) * each
        return stage.images * each


@dataclass(frozen=True)
class StageCost:
    """A stage: hours of the clock and of all ranks, how the pace is known, and bytes."""

    stage: Stage
    hours: float
    rank_hours: float
    scoring_hours: float
    known: str
    read_bytes: float
    peak_bytes: float
    kept_bytes: float


@dataclass(frozen=True)
class Cost:
    """A run: its stages, the pool that it draws, and the bytes of both."""

    stages: tuple[StageCost, ...]
    ranks: int
    pool: int
    drawing_hours: float
    pool_bytes: float

    @property
    def hours(self) -> float:
        """Hours of training, one stage after the other."""
        return sum(each.hours for each in self.stages)

    @property
    def rank_hours(self) -> float:
        """Hours of all ranks, scoring and drawing included."""
        return sum(each.rank_hours + each.scoring_hours for each in self.stages) + self.drawing_hours

    @property
    def peak_bytes(self) -> float:
        """Most bytes of checkpoints at a time: nothing is deleted before the last stage is scored."""
        return sum(each.peak_bytes for each in self.stages)


def cost(method: Method, data: Data, ranks: int, pace: Pace) -> Cost:
    """Reckon what training `method` on so many ranks costs.

    Raises
    ------
    ConfigError
        If a batch can't be split on the ranks.
    """
    stages = [_stage(method, stage, data, ranks, pace) for stage in schedule.plan(method)]
    last, pool = stages[-1].stage, method.sampling.images_per_view * len(VIEWS)
    pixels = 2 * last.height_px * last.width_px
    drawing_s = pool * pace.drawing_s(last, work(method, last))
    # Every image is there twice: as a file, and in the pool's shard.
    return Cost(tuple(stages), ranks, pool, drawing_s / 3600, 2 * pool * pixels * PNG_RATIO)


def _stage(method: Method, stage: Stage, data: Data, ranks: int, pace: Pace) -> StageCost:
    try:
        schedule.split_batch(stage.batch, stage.micro_batch, ranks, method.network.stddev_group)
    except ValueError as error:
        raise ConfigError(
            f"Stage {stage.index} of the method '{method.method.name}' on [resources.gpu_nodes]: {error}."
        ) from None
    counted = work(method, stage)
    seconds, known = pace.step_s(stage, counted, stage.batch // ranks, ranks)
    hours = seconds * stage.steps / 3600
    scored = len(stage.checkpoints())
    drawn = scored * min(method.scoring.images, data.images)
    return StageCost(
        stage,
        hours,
        hours * ranks,
        drawn * pace.drawing_s(stage, counted) / 3600,
        known,
        data.read_bytes(stage, ranks),
        (scored + RESUMED_FROM) * counted.checkpoint_bytes,
        min(scored, method.scoring.kept + 1) * counted.checkpoint_bytes,
    )
