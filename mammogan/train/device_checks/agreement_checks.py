"""Checks that a device trains what a CPU trains, and itself the same each time: parity, resume, drawing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.schedule import Stage
from mammogan.train import accelerator, adam_state, checkpoint
from mammogan.train.accelerator import Arithmetic
from mammogan.train.build_networks import Networks, build_critic, build_generator
from mammogan.train.dataloader import Batch
from mammogan.train.device_checks.check_outcomes import Outcome
from mammogan.train.device_checks.device_trial import (
    CPU,
    FP32,
    PRECISIONS,
    Trial,
    alone,
    differing,
    end,
    loader,
    noise_batch,
    prepared,
    weights,
)
from mammogan.train.distributed import ProcessGroup
from mammogan.train.draw_images import CHUNK, Model
from mammogan.train.gan_step import GanStep
from mammogan.train.label_encoding import LabelTable

HIGHEST = 4
"""Rung, from 0, up to which a CPU trains along."""
STEADY = ("optimiser.epsilon=1e-3",)
"""Adam divides a gradient by its size: the rounding of a gradient of 0 would move weights at full rate."""
DRAWN_GREYS = 64
"""Of 65535; a display shows 256 of them as one."""
ALL_CHANGES = (
    "augmentation.kind=fixed",
    "augmentation.probability=0.8",
    "augmentation.scale=0.1",
    "augmentation.rotation_deg=5",
)


@dataclass(frozen=True)
class Tolerance:
    """How far three steps may be from the CPU's in fp32.

    `losses` is of the largest term of a loss, and `weights` of how far the weights have moved.
    """

    losses: float
    weights: float


TOLERANCES = {"fp32": Tolerance(1e-3, 0.02), "TF32": Tolerance(0.01, 0.1), "bf16": Tolerance(0.03, 0.3)}
"""By the device's arithmetic, which keeps 24, 11 or 8 bits of a factor.

A CPU's bf16 was off by 0.003 and 0.07 at 80x64.
"""


def parity(trial: Trial, name: str, precision: str) -> Iterator[Outcome]:
    """Hold three steps, each with its penalty, against the CPU's: all terms of both losses, all weights."""
    method = trial.narrow(name, *PRECISIONS[precision], *STEADY, "loss.penalty_every=1")
    reference = trial.narrow(name, *FP32, *STEADY, "loss.penalty_every=1")
    index = min(HIGHEST, method.ladder.stages - 1)
    with prepared(trial, method):
        there, begun = _three_steps(trial, method, index, trial.device)
        on_cpu, _ = _three_steps(trial, reference, index, CPU)
    largest = max(abs(value) for value in on_cpu.terms.values())
    losses, worst = max((abs(there.terms[key] - value) / largest, key) for key, value in on_cpu.terms.items())
    moved = _distance(on_cpu.weights, begun)
    off, allowed = _distance(there.weights, on_cpu.weights) / moved, TOLERANCES[precision]
    fine = losses <= allowed.losses and off <= allowed.weights  # not a number: no
    found = (
        f"losses within {losses:.1e} of the CPU's ({worst}; allowed {allowed.losses:g}), weights within "
        f"{off:.1e} of how far they moved (allowed {allowed.weights:g})"
    )
    yield Outcome(
        check="parity", subject=f"{name} {precision}", status="ok" if fine else "failed", found=found
    )


@dataclass(frozen=True)
class _Trained:
    terms: dict[str, float]
    weights: dict[str, Tensor]


def _three_steps(
    trial: Trial, method: Method, index: int, device: torch.device
) -> tuple[_Trained, dict[str, Tensor]]:
    """Train, and return what came of it, and the weights before."""
    stage = alone(method, index, 8)
    gan_step = trial.gan_step(method, stage, on=device)
    begun = weights(gan_step)
    for number in range(3):
        gan_step.step(noise_batch(method, stage, 8, device), 0.5 if index else 1.0, number)
    found = _Trained(gan_step.sums.totals(ProcessGroup(0, 1)), weights(gan_step))
    end(gan_step)
    return found, begun


def _distance(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    return float(torch.stack([(one[key].double() - other[key]).norm() for key in one]).norm())


def resume(trial: Trial, name: str, overrides: tuple[str, ...] = ()) -> Iterator[Outcome]:
    """Train twice in one go, and once from a checkpoint half way: weights and moments, bit for bit."""
    method = trial.narrow(name, "engine.deterministic=true", *overrides)
    stage = _short(method)
    with prepared(trial, method), tempfile.TemporaryDirectory() as folder:
        whole = _trained(trial, method, stage, Path(folder), 0, 6)
        again = _trained(trial, method, stage, Path(folder), 0, 3)
        rest = _trained(trial, method, stage, Path(folder), 3, 6)
        twice = _trained(trial, method, stage, Path(folder), 0, 6)
    subject = f"{name}{' augmented' if overrides else ''}"
    for what, other in (("twice the same", twice), ("resumed", rest)):
        off = differing(whole, other)
        found = f"{len(off)} of {len(whole)} tensors differ, as '{off[0]}'" if off else "the same bit for bit"
        yield Outcome(
            check="deterministic", subject=f"{subject}, {what}", status="failed" if off else "ok", found=found
        )
    assert again, "what the checkpoint was saved from"


def _short(method: Method) -> Stage:
    index = min(HIGHEST, method.ladder.stages - 1)
    planned = schedule.plan(method)[index]
    return replace(planned, fade_images=4 * planned.batch, stable_images=8 * planned.batch)


def _trained(
    trial: Trial, method: Method, stage: Stage, folder: Path, first: int, last: int
) -> dict[str, Tensor]:
    """Train the steps `first` to `last`, from a checkpoint unless that is 0, and save one."""
    networks = None
    begun = checkpoint.at(folder, stage.index, first * stage.batch)
    if first:
        nets = [build(method, stage.index) for build in (build_generator, build_generator, build_critic)]
        for part, net in zip(("generator", "average", "critic"), nets, strict=True):
            net.load_state_dict(begun.tensors(part))
        networks = Networks(*nets)
    gan_step = trial.gan_step(method, stage, networks)
    if first:
        for net in ("generator", "critic"):
            adam_state.scatter(getattr(gan_step, f"{net}_engine"), begun.tensors(f"{net}_adam"))
    with closing(loader(trial, method, stage)) as batches:
        for number in range(first, last):
            images = number * stage.batch
            gan_step.step(batches.batch(images), stage.fade(images), number)
    parts = {name: getattr(gan_step, name).state_dict() for name in ("generator", "average", "critic")}
    parts |= {
        f"{n}_adam": adam_state.gather(getattr(gan_step, f"{n}_engine")) for n in ("generator", "critic")
    }
    saved = checkpoint.save(folder, stage.index, last * stage.batch, parts, {})
    end(gan_step)
    return {f"{part} {name}": tensor for part in parts for name, tensor in saved.tensors(part).items()}


def drawing(trial: Trial, name: str) -> Iterator[Outcome]:
    """Draw the same images in one task and in several, whatever arithmetic training has: the same bytes."""
    method = trial.narrow(name)
    index, count = min(HIGHEST, method.ladder.stages - 1), 2 * CHUNK + 5
    accelerator.prepare(trial.device)
    generator = build_generator(method, index).requires_grad_(False).eval().to(trial.device)
    table = LabelTable.of(np.array([[0] * len(method.supervision.fields)]))
    model = Model(generator, method, table)
    whole = list(model.draw(1, range(count), 0))
    parts: list[np.ndarray] = []
    for begin, stop, how in (
        (0, 7, Arithmetic(False, True)),
        (7, 23, Arithmetic()),
        (23, count, Arithmetic(False)),
    ):
        if trial.device.type == "cuda":
            how.apply()
        parts += model.draw(1, range(begin, stop), 0)
    accelerator.prepare(trial.device)
    off = sum(not np.array_equal(one, other) for one, other in zip(whole, parts, strict=True))
    found = f"{off} of {count} images differ" if off else f"{count} images are the same bytes"
    yield Outcome(
        check="deterministic",
        subject=f"{name}, drawn by one task and by three",
        status="failed" if off else "ok",
        found=found,
    )
    in_fp32 = trial.narrow(name, *FP32)
    on_cpu = build_generator(in_fp32, index).eval()
    on_cpu.load_state_dict({key: tensor.cpu() for key, tensor in generator.state_dict().items()})
    drawn = (Model(net, in_fp32, table).draw(1, range(CHUNK), 0) for net in (generator, on_cpu))
    greys = max(int(np.abs(one.astype(int) - other).max()) for one, other in zip(*drawn, strict=True))
    found = f"within {greys} greys of 65535 of the CPU's images in fp32 (allowed {DRAWN_GREYS})"
    fine = greys <= DRAWN_GREYS
    yield Outcome(check="parity", subject=f"{name}, drawn", status="ok" if fine else "failed", found=found)


def batches(trial: Trial, name: str) -> Iterator[Outcome]:
    """Hold batches that come by a stream of their own and several threads against those that don't."""
    settings = ("engine.copy_stream=false", "engine.decode_threads=1"), ("engine.decode_threads=4",)
    found: list[list[Batch]] = []
    for overrides in settings:
        method = trial.narrow(name, *overrides)
        stage = _short(method)
        with prepared(trial, method), closing(loader(trial, method, stage)) as made:
            found.append([made.batch(number * stage.batch) for number in range(6)])
            trial.wait()
    off = [
        field
        for one, other in zip(*found, strict=True)
        for field in Batch.__dataclass_fields__
        if not torch.equal(getattr(one, field), getattr(other, field))
    ]
    yield Outcome(
        check="batches",
        subject=f"{name}, copied beside a step",
        status="failed" if off else "ok",
        found=f"{off[0]} differs" if off else "as copied one after the other, bit for bit",
    )


def waiting(trial: Trial, name: str) -> Iterator[Outcome]:
    """Let torch raise an error where a step waits for the GPU."""
    subject = f"{name}, a step does not wait for the GPU"
    if trial.device.type != "cuda":
        found = "only a GPU tells; tests/train/test_waiting.py looks for what would wait"
        yield Outcome(check="waiting", subject=subject, status="skipped", found=found)
        return
    method = trial.narrow(name, *ALL_CHANGES)
    stage, raised = _short(method), ""
    gan_step: GanStep | None = None
    with prepared(trial, method), closing(loader(trial, method, stage)) as made:
        gan_step = trial.gan_step(method, stage)
        for number in range(3):
            gan_step.step(made.batch(number * stage.batch), 0.5, number)
        batch = made.batch(3 * stage.batch)
        trial.wait()
        torch.cuda.set_sync_debug_mode("error")
        try:
            gan_step.step(batch, 0.5, 0)
        except RuntimeError as error:
            raised = str(error).splitlines()[0]
        finally:
            torch.cuda.set_sync_debug_mode("default")
        end(gan_step)
    yield Outcome(
        check="waiting", subject=subject, status="failed" if raised else "ok", found=raised or "so it is"
    )
