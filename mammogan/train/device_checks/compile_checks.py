"""Whether the generator can be compiled here, and run as CUDA graphs; or else why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from mammogan.train.device_checks.agreement_checks import STEADY
from mammogan.train.device_checks.check_outcomes import Outcome
from mammogan.train.device_checks.device_trial import PRECISIONS, Trial, alone, end, noise_batch, prepared

STEPS = 4
FAR = 0.05
"""Of how far the weights have moved: by so much may a compiled generator be apart in fp32."""


def compiled(trial: Trial, name: str, how: str) -> Iterator[Outcome]:
    """Train with the generator compiled, and hold its weights against those that it has as it is written."""
    subject = f"{name}, engine.compile '{how}'"
    if trial.tiny:
        found = "takes a minute on a CPU; tests/train/test_compiled.py does it there"
        yield Outcome(check="compile", subject=subject, status="skipped", found=found)
        return
    try:
        plain, compiled_ones = (_trained(trial, name, each) for each in ("off", how))
    except Exception as error:  # noqa: BLE001 - a compiler may raise whatever it likes
        words = f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:200]}"
        yield Outcome(check="compile", subject=subject, status="refused", found=words)
        return
    off = float((compiled_ones.weights - plain.weights).norm() / (plain.weights - plain.begun).norm())
    found = (
        f"weights within {off:.1e} of how far they moved (allowed {FAR}); a step takes "
        f"{compiled_ones.step_ms:.1f} ms, and {plain.step_ms:.1f} without"
    )
    yield Outcome(check="compile", subject=subject, status="ok" if off <= FAR else "failed", found=found)


@dataclass(frozen=True)
class _Trained:
    begun: Tensor
    weights: Tensor
    step_ms: float


def _trained(trial: Trial, name: str, how: str) -> _Trained:
    """Train a few steps, and time some more."""
    method = trial.narrow(name, *PRECISIONS["fp32"], *STEADY, f"engine.compile={how}")
    stage = alone(method, 2, 8)
    with prepared(trial, method):
        torch.compiler.reset()
        gan_step = trial.gan_step(method, stage)
        try:
            begun, batch = _flat(gan_step.generator), noise_batch(method, stage, 8, trial.device)
            for number in range(STEPS):
                gan_step.step(batch, 1.0, number)
            weights = _flat(gan_step.generator)
            step_ms = 1000 * trial.timed(partial(gan_step.step, batch, 1.0, 1), trial.step_s)
        finally:
            end(gan_step)
            torch.compiler.reset()
    return _Trained(begun, weights, step_ms)


def _flat(net: nn.Module) -> Tensor:
    """Copy all weights to the host, one after the other."""
    return torch.cat([p.detach().flatten().cpu() for p in net.parameters()])
