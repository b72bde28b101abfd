"""Measuring a few real training steps at small rungs on this device, for `mammogan cost` to reckon with."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.cost.flops import work
from mammogan.errors import ConfigError
from mammogan.files import write
from mammogan.schedule import Stage

if TYPE_CHECKING:
    import torch

STEPS = 3
"""Steps that are timed of each batch, after one to warm up; the quickest counts, for others slow it down."""
LEAST_S, MOST_STEPS = 0.5, 50
"""Quick steps are timed for so long: a few milliseconds may lie in somebody else's time altogether."""
MOST_IMAGES = 64


@dataclass(frozen=True)
class Measured:
    """A rung: images a second of one rank at `batch`, and the counted GFLOP of an image.

    By two batches an image adds `image_s` to a step, which takes `step_s` beside (both Adams, mostly).
    """

    height_px: int
    width_px: int
    batch: int
    images_per_s: float
    gflop_an_image: float
    image_s: float
    step_s: float

    @property
    def gflops(self) -> float:
        """GFLOP/s reached, what a step takes beside left out."""
        return self.gflop_an_image / self.image_s


@dataclass(frozen=True)
class Calibration:
    """What one device was measured to do; `kind` is ``cpu`` or ``cuda``."""

    device: str
    kind: str
    method: str
    precision: str
    rungs: tuple[Measured, ...]

    def save(self, path: Path) -> None:
        """Write it down as JSON."""
        write(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: Path) -> Calibration:
        """Read it back.

        Raises
        ------
        ConfigError
            If the file is not there or is none.
        """
        try:
            tree = json.loads(path.read_text(encoding="utf-8"))
            rungs = tuple(Measured(**rung) for rung in tree.pop("rungs"))
            found = cls(**tree, rungs=rungs)
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise ConfigError(
                f"--calibration '{path}' is no calibration ({error}). Make one with: "
                "mammogan cost --calibrate"
            ) from None
        if not rungs:
            raise ConfigError(f"--calibration '{path}' holds no rung: measure again, for longer.")
        return found


def calibrate(method: Method, budget_s: float, on_measured: Callable[[Measured], None]) -> Calibration:
    """Measure the rungs of `method` from the smallest up, as far as `budget_s` seconds go; one process.

    Steps of two batches are timed at each rung: of the fewest images, and of as many as a rank takes at once
    if there is time. Images are noise, which takes as long as mammograms; nothing is read or saved.
    """
    import torch

    from mammogan.train import accelerator

    device, end = accelerator.local_device(), time.monotonic() + budget_s
    accelerator.prepare(device, method.engine)
    # With a penalty at each step, so that a step is like the other; how rarely it is taken, `work` counts.
    method = method.model_copy(update={"loss": method.loss.model_copy(update={"penalty_every": 1})})
    found: list[Measured] = []
    for stage in schedule.plan(method):
        flops, group = work(method, stage).flops, method.network.stddev_group
        expected_s = (flops / 1e9 / found[-1].gflops) * group + found[-1].step_s if found else 0.0
        left_s = end - time.monotonic()
        if found and 3 * (STEPS + 1) * expected_s > left_s:  # of one batch, and of one that is twice as large
            break
        few_s = _measured(method, stage, group, device)
        batch = _batch(method, stage, few_s, left_s / 3)
        many_s = _measured(method, stage, batch, device)
        image_s = (many_s - few_s) / (batch - group)
        if image_s <= 0:  # the step is all there is, or something else ran meanwhile
            image_s = many_s / batch
        beside_s = max(0.0, many_s - batch * image_s)
        size_px = stage.height_px, stage.width_px
        found.append(Measured(*size_px, batch, batch / many_s, flops / 1e9, image_s, beside_s))
        on_measured(found[-1])
    name = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(torch.get_num_threads())
    )
    precision = accelerator.training_precision(method.engine.precision, device)
    return Calibration(name, device.type, method.method.name, precision, tuple(found))


def _batch(method: Method, stage: Stage, few_s: float, budget_s: float) -> int:
    """Choose whole groups of images, two at least, that fit into `budget_s`: a group's step takes `few_s`."""
    group = method.network.stddev_group
    fit = int(budget_s / (STEPS + 1) / few_s)
    most = min(stage.micro_batch, MOST_IMAGES) // group
    return max(2, min(most, fit)) * group


def _measured(method: Method, stage: Stage, batch: int, device: torch.device) -> float:
    """Time a step of `batch` images in seconds, the quickest of `STEPS` or more."""
    import copy

    import torch

    from mammogan.train import build_networks
    from mammogan.train.dataloader import Batch
    from mammogan.train.distributed import join
    from mammogan.train.gan_step import GanStep

    alone = replace(stage, batch=batch, micro_batch=batch)
    generator, critic = build_networks.fresh(method, stage.index)
    networks = build_networks.Networks(generator, copy.deepcopy(generator), critic)
    gan_step = GanStep(method, alone, networks, join(), device)
    noise = torch.randn(batch, method.network.latent_size, device=device)
    reals = torch.randn(batch, 1, stage.height_px, stage.width_px, device=device)
    labels = torch.zeros(batch, len(method.supervision.fields), dtype=torch.int64, device=device)
    mix, numbers = torch.rand(batch, device=device), torch.arange(batch, device=device)
    whole = Batch(reals, labels, noise, mix, noise, labels, numbers, numbers, torch.empty(batch, 3, 0))
    seconds: list[float] = []
    while len(seconds) <= STEPS or (sum(seconds[1:]) < LEAST_S and len(seconds) <= MOST_STEPS):
        begin = time.perf_counter()
        gan_step.step(whole, 1.0, len(seconds))
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - begin)
    return min(seconds[1:])


def _processor(threads: int) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        name = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        name = platform.processor() or platform.machine()
    return f"{name}, {threads} threads"
