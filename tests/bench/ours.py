"""MammoGAN's own step for the bench: through its engines, and the same arithmetic without DeepSpeed.

Shape suffixes: N images, C channels, H x W pixels, Z latent, F label fields.
"""

from __future__ import annotations

import copy
import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from mammogan import schedule
from mammogan.config.method import Method, load_method
from mammogan.memory import keep_pages
from mammogan.train import accelerator, build_networks, gan_step
from mammogan.train.adam import SkipNonFiniteAdam
from mammogan.train.dataloader import Batch
from mammogan.train.distributed import ProcessGroup, join
from mammogan.train.gan_step import GanStep
from tests.bench.peers import Shape, Step

UNLABELLED = ('supervision.kind="none"',)
"""For the comparisons: the peers' steps tell no labels."""
SAVINGS = ("loss.shared_fakes=true", "loss.penalty_holds_stddev=true")
PLUS = (
    "network.kind=bilinear-noise",
    "loss.objective=non-saturating",
    "loss.penalty_every=8",
)
"""What `mammogan-plus` changes of the work."""
BF16 = ('engine.precision="bf16"',)


def method_of(shape: Shape, *overrides: str) -> Method:
    """Give the method `mammogan` with the networks and the batch of `shape`."""
    height, width = shape.base_px
    group = 4 if shape.batch % 4 == 0 else shape.batch
    of_shape = (
        f"ladder.base_px=[{height}, {width}]",
        f"ladder.stages={shape.stage + 1}",
        f"network.latent_size={shape.latent}",
        f"network.channels_base={shape.channels_base}",
        f"network.channels_max={shape.channels_max}",
        f"network.stddev_group={group}",
        f"schedule.batch=[{shape.batch}]",
        f"engine.micro_batch=[{shape.batch}]",
    )
    return load_method("mammogan", (*of_shape, *overrides))


class BareEngine:
    """What `GanStep` asks of an engine, with nothing but torch behind it."""

    def __init__(self, module: nn.Module, optimizer: SkipNonFiniteAdam) -> None:
        self.module, self.optimizer = module, optimizer

    def __call__(self, *inputs: object) -> Any:
        return self.module(*inputs)

    def backward(self, loss: Tensor) -> None:
        loss.backward()

    def step(self) -> None:
        self.optimizer.step()
        self.optimizer.zero_grad()


def _bare_engine(module: nn.Module, method: Method, stage: schedule.Stage, **_: object) -> BareEngine:
    settings = method.optimiser
    adam = SkipNonFiniteAdam(
        module.parameters(),
        lr=stage.learning_rate,
        betas=(settings.beta1, settings.beta2),
        eps=settings.epsilon,
        scaled=False,
        partitioned=False,
    )
    return BareEngine(module, adam)


def gan_step_of(shape: Shape, method: Method, here: torch.device, *, bare: bool) -> GanStep:
    """Build both networks of the top rung of `method`, with DeepSpeed's engines or `bare` ones."""
    stage = schedule.plan(method)[shape.stage]
    with torch.device(here):
        generator, critic = build_networks.fresh(method, shape.stage)
    nets = build_networks.Networks(generator, copy.deepcopy(generator), critic)
    if not bare:
        return GanStep(method, stage, nets, join(), here)
    with mock.patch.object(gan_step, "start_engine", _bare_engine):
        return GanStep(method, stage, nets, ProcessGroup(0, 1), here)


def ours(
    shape: Shape,
    *overrides: str,
    bare: bool = False,
    where: str = "cpu",
    numbers: Callable[[], Iterator[int]] = count,
) -> Step:
    """Give MammoGAN's step, exact in fp32 unless `overrides` of the method say otherwise.

    Steps are numbered by `numbers`; by that the rare ones know themselves that take the penalty.
    """
    here = torch.device(where)
    method = method_of(shape, *overrides)
    both = gan_step_of(shape, method, here, bare=bare)
    fields = len(method.supervision.fields)
    reals, labels = shape.reals(where), torch.zeros(shape.batch, fields, dtype=torch.int64, device=here)
    steps = numbers()

    return lambda: both.step(batch_of(shape, reals, labels), 1.0, next(steps))


def batch_of(shape: Shape, reals_NCHW: Tensor, labels_NF: Tensor) -> Batch:
    """Draw a step's noise for given reals and labels; nothing is augmented."""
    here = reals_NCHW.device
    noise = partial(torch.randn, shape.batch, shape.latent, device=here)
    mix_N = torch.rand(shape.batch, device=here)
    numbers_N = torch.arange(shape.batch, device=here)
    changes = torch.empty(shape.batch, 3, 0)
    return Batch(reals_NCHW, labels_NF, noise(), mix_N, noise(), labels_NF, numbers_N, numbers_N, changes)


@contextmanager
def countable() -> Iterator[None]:
    """Let a step be counted on the meta device, for which torch has neither fused Adam nor autocast."""
    enabled = torch.is_autocast_enabled
    with (
        mock.patch("torch.optim.adam._device_dtype_check_for_fused", return_value=None),
        mock.patch("torch.is_autocast_enabled", lambda kind="cpu": kind != "meta" and enabled(kind)),
    ):
        yield


def sampler(shape: Shape, precision: str = "fp32") -> Step:
    """Give MammoGAN's way of drawing a batch."""
    method = method_of(shape, *UNLABELLED)
    generator = build_networks.fresh(method, shape.stage)[0]
    latents, labels = torch.randn(shape.batch, shape.latent), torch.empty(shape.batch, 0)

    @torch.no_grad()
    def draw() -> None:
        with accelerator.compute_in(precision, torch.device("cpu")):
            generator(latents, labels)

    return draw


def pages(kept: bool) -> None:
    """Let glibc keep freed pages, as MammoGAN has it, or give them back, as a process does by itself.

    The second are the thresholds (bytes) that glibc by itself moves to in a process that frees large arrays.
    """
    if kept:
        keep_pages()
        return
    libc = ctypes.CDLL("libc.so.6")
    for parameter, value in ((-4, 65536), (-3, 32 << 20), (-1, 64 << 20)):
        libc.mallopt(parameter, value)
    libc.malloc_trim(0)
