"""What the whole schedule of a method would take on GPUs, from counted work and the GPUs' data sheets.

Nothing here is measured on a GPU. A step takes at least what its arithmetic takes, what its memory traffic
takes, and what it takes to launch its operators; the longest of the three counts, and the reduction of the
gradients is added to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.cost import gpu_datasheets
from mammogan.cost.gpu_datasheets import GPUS, Bound, Gpu
from mammogan.schedule import Stage
from mammogan.train.build_networks import fresh
from tests.bench.flops import Work, count
from tests.bench.ours import countable, ours
from tests.bench.peers import Shape
from tests.bench.turns import head, row

COUNTS = (8, 32, 128)


@dataclass(frozen=True)
class Rung:
    """A stage's work: of every image, of every step beside, and bytes of both nets' gradients."""

    stage: Stage
    image: Work
    step: Work
    gradient_bytes: float


def usable(batch: int, gpus: int, group: int) -> int:
    """Find the most of `gpus` ranks on which a global batch splits into whole groups of minibatch stddev."""
    fit = [n for n in range(1, gpus + 1) if batch % n == 0 and (batch // n) % group == 0]
    return max(fit, default=1)


def bound(rung: Rung, batch: int, ranks: int, gpu: Gpu, precision: str) -> Bound:
    """Give the bounds of one step of a global `batch` on so many ranks.

    Counted traffic is of 4-byte numbers; in bf16 what an image adds is halved.
    """
    share = batch / ranks
    width = 0.5 if precision == "bf16" else 1.0
    flops = share * rung.image.flops + rung.step.flops
    moved = share * rung.image.traffic * width + rung.step.traffic
    reduced = gpu_datasheets.reduction_s(rung.gradient_bytes, ranks)
    return gpu_datasheets.bound(flops, moved, rung.step.calls, reduced, gpu, precision)


def hours(rung: Rung, gpus: int, gpu: Gpu, precision: str, group: int, *, grown: bool) -> float:
    """Give the hours of a stage on `gpus`; `grown` lets the batch grow until every GPU has a whole group."""
    batch = max(rung.stage.batch, group * gpus) if grown else rung.stage.batch
    ranks = usable(batch, gpus, group)
    return bound(rung, batch, ranks, gpu, precision).total * rung.stage.images / batch / 3600


def rungs(method: Method, *overrides: str) -> Iterator[Rung]:
    """Count the work of every stage of `method` as its networks do it, without computing anything."""
    group = method.network.stddev_group
    for stage in schedule.plan(method):
        one, two = (_counted(method, stage.index, n * group, overrides) for n in (1, 2))
        image, step = one.by_image(two, group, 2 * group)
        yield Rung(stage, image, step, 2 * 4 * _parameters(method, stage.index))


def _shape(method: Method, stage: int, batch: int) -> Shape:
    net = method.network
    return Shape(method.ladder.base_px, stage, batch, net.channels_base, net.channels_max)


def _counted(method: Method, stage: int, batch: int, overrides: tuple[str, ...]) -> Work:
    with countable():
        step: Callable[[], None] = ours(_shape(method, stage, batch), *overrides, bare=True, where="meta")
        return count(step)


def _parameters(method: Method, stage: int) -> int:
    """Count the parameters of the generator; the critic has as many within 0.1 %."""
    with torch.device("meta"):
        return sum(p.numel() for p in fresh(method, stage)[0].parameters())


HEAD = (
    "stage", "thousand images", "batch", "TFLOP an image", "GB an image", "operators a step",
    "arithmetic ms", "traffic ms", "launches ms", "reduction ms", "bound by", "hours",
)  # fmt: skip


def stage_table(of: list[Rung], group: int, gpu: Gpu, precision: str, gpus: int = 8) -> Iterator[str]:
    """Write what bounds one step of each stage on `gpus`."""
    yield from head(HEAD)
    for rung in of:
        stage, ranks = rung.stage, usable(rung.stage.batch, gpus, group)
        b = bound(rung, stage.batch, ranks, gpu, precision)
        yield row(
            f"{stage.height_px}x{stage.width_px}",
            f"{stage.images / 1000:.0f}",
            stage.batch,
            f"{rung.image.flops / 1e12:.3f}",
            f"{rung.image.traffic / 1e9:.2f}",
            rung.step.calls,
            *(f"{1000 * t:.1f}" for t in (b.arithmetic, b.traffic, b.launches, b.reduction)),
            b.limit,
            f"{hours(rung, gpus, gpu, precision, group, grown=False):.2f}",
        )


def total_table(of: list[Rung], group: int) -> Iterator[str]:
    """Write the hours of the whole schedule by GPU and precision: as it is, and with batches that grow."""
    yield from head(("hours on", *map(str, COUNTS), *(f"{n}, batches grown" for n in COUNTS)))
    for gpu in GPUS:
        for precision in gpu.flops_s:
            cells = [
                sum(hours(rung, n, gpu, precision, group, grown=grown) for rung in of)
                for grown in (False, True)
                for n in COUNTS
            ]
            yield row(f"{gpu.name}, {precision}", *(f"{cell:.1f}" for cell in cells))
