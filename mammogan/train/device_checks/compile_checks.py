"""Whether the generator can be compiled here, and run as CUDA graphs; or else why not."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch

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
    found_weights: list[torch.Tensor] = []
    begun = torch.empty(0)
    ms = []
    for each in ("off", how):
        method = trial.narrow(name, *PRECISIONS["fp32"], *STEADY, f"engine.compile={each}")
        stage = alone(method, 2, 8)
        with prepared(trial, method):
            torch.compiler.reset()
            gan_step = trial.gan_step(method, stage)
            begun = _flat(gan_step.generator)
            batch = noise_batch(method, stage, 8, trial.device)
            try:
                for number in range(STEPS):
                    gan_step.step(batch, 1.0, number)
                trial.wait()
            except Exception as error:  # noqa: BLE001 - a compiler may raise whatever it likes
                words = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:200]}"
                yield Outcome(check="compile", subject=subject, status="refused", found=words)
                return
            finally:
                end(gan_step)
            found_weights.append(_flat(gan_step.generator))
            ms.append(1000 * trial.timed(partial(gan_step.step, batch, 1.0, 1), 0.3))
    off = float((found_weights[1] - found_weights[0]).norm() / (found_weights[0] - begun).norm())
    found = f"weights within {off:.1e} of how far they moved; a step of {ms[1]:.1f} ms, {ms[0]:.1f} without"
    yield Outcome(check="compile", subject=subject, status="ok" if off <= FAR else "failed", found=found)


def _flat(net: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten().cpu() for p in net.parameters()])
