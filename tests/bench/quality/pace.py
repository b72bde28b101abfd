"""CPU seconds a thousand images at each stage, measured on real steps, and a schedule that fits a budget."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import torch

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.schedule import Stage
from mammogan.train import accelerator, build_networks
from mammogan.train.dataloader import Batch
from mammogan.train.distributed import join
from mammogan.train.gan_step import GanStep

CYCLES = 3
LEAST_S = 1.0
"""A stage's steps are timed for so long at least, the small ones being too quick for a few to count."""


@dataclass(frozen=True)
class Pace:
    """CPU seconds a kimg of one stage while it fades in, and afterwards."""

    size_px: tuple[int, int]
    fade_s: float
    stable_s: float

    def seconds(self, stage: Stage) -> float:
        """Return what the steps of `stage` take."""
        return (stage.fade_images * self.fade_s + stage.stable_images * self.stable_s) / 1000


def measure(method: Method) -> list[Pace]:
    """Time steps of every stage on noise, whole cycles of the rare penalty; this process, its own threads."""
    found = []
    for stage in schedule.plan(method):
        fade_s, stable_s = (_median_s(timer(method, stage, fade)) for fade in (0.5, 1.0))
        size_px = stage.height_px, stage.width_px
        found.append(Pace(size_px, fade_s if stage.index else 0.0, stable_s))
    return found


def _median_s(timed: Callable[[float], float]) -> float:
    return median(timed(LEAST_S / CYCLES) for _ in range(CYCLES))


def timer(method: Method, stage: Stage, fade: float) -> Callable[[float], float]:
    """Build a stage's networks, and return what times them for so long: (seconds) to CPU seconds a kimg.

    A step that is not counted comes first.
    """
    device = accelerator.local_device()
    accelerator.prepare(device)
    step, every = _stepper(method, stage, device), method.loss.penalty_every
    step(fade, 1)

    def timed(least_s: float) -> float:
        begin, cycles, took_s = time.process_time(), 0, 0.0
        while not cycles or took_s < least_s:
            for number in range(every):
                step(fade, number)
            cycles, took_s = cycles + 1, time.process_time() - begin
        return took_s / (cycles * every * stage.batch) * 1000

    return timed


def _stepper(method: Method, stage: Stage, device: torch.device) -> Callable[[float, int], None]:
    generator, critic = build_networks.fresh(method, stage.index)
    networks = build_networks.Networks(generator, copy.deepcopy(generator), critic)
    both, batch = GanStep(method, stage, networks, join(), device), stage.batch
    noise = torch.randn(2, batch, method.network.latent_size)
    reals = torch.rand(batch, 1, stage.height_px, stage.width_px) * 2 - 1
    labels = torch.zeros(batch, len(method.supervision.fields), dtype=torch.int64)
    mix_N, numbers_N, nothing = torch.rand(batch), torch.arange(batch), torch.empty(batch, 3, 0)
    whole = Batch(reals, labels, noise[0], mix_N, noise[1], labels, numbers_N, numbers_N, nothing)
    return lambda fade, number: both.step(whole, fade, number)


def lengths(method: Method, factors: list[float]) -> Method:
    """Multiply every stage's fade and stable phase by its factor; nothing but whole batches is trained."""
    stages = schedule.plan(method)
    pairs = list(zip(stages, factors, strict=True))
    fade = tuple(round(stage.fade_images * factor) / 1000 for stage, factor in pairs)
    stable = tuple(max(stage.batch, round(stage.stable_images * factor)) / 1000 for stage, factor in pairs)
    longer = method.schedule.model_copy(update={"fade_kimg": fade, "stable_kimg": stable})
    return method.model_copy(update={"schedule": longer})


def fit(method: Method, paces: list[Pace], budget_s: float, done: list[float], save_s: float) -> list[float]:
    """Choose the factors of all stages so that those that are not `done` take `budget_s`, one factor for all.

    `done` are the factors of the stages that are behind; `save_s` is what a tick or checkpoint takes.
    """
    left = len(paces) - len(done)

    def seconds(factor: float) -> float:
        stages = schedule.plan(lengths(method, [*done, *[factor] * left]))[len(done) :]
        each = zip(paces[len(done) :], stages, strict=True)
        return sum(pace.seconds(stage) + save_s * len(stage.saves()) for pace, stage in each)

    low, high = 1e-4, 1.0
    while seconds(high) < budget_s:
        high *= 2
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if seconds(middle) < budget_s else (low, middle)
    return [*done, *[low] * left]
