"""Adam that passes over updates whose gradients are not finite, without asking the device for an answer."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

FIRST_LOG2_SCALE, GROWTH, BACKOFF = 6.0, 0.0005, 1.0
"""PGGAN's loss scale for fp16 as its binary logarithm: at first, gained by a good update, lost by a bad."""


class SkipNonFiniteAdam(torch.optim.Adam):
    """Torch's fused Adam, which skips an update with a non-finite gradient on the device itself.

    PGGAN does so in fp32 too. The gradients come multiplied by `scale`; without `scaled` that is 1. With
    `partitioned` gradients this rank holds a part of them and DeepSpeed's ZeRO looks for what is not finite.

    Attributes
    ----------
    norm, skipped : Tensor
        Of the last update: the norm of its gradients, and 1 if it was passed over, else 0.
    """

    def __init__(self, *arguments: Any, scaled: bool, partitioned: bool, **options: Any) -> None:
        super().__init__(*arguments, fused=True, **options)
        device = self.param_groups[0]["params"][0].device
        self.partitioned = partitioned
        self.log2_scale = torch.tensor(FIRST_LOG2_SCALE, device=device) if scaled else None
        self.norm, self.skipped = torch.zeros((), device=device), torch.zeros((), device=device)

    @property
    def scale(self) -> Tensor | float:
        """What a loss is multiplied by before its gradients are taken."""
        return 1.0 if self.log2_scale is None else self.log2_scale.exp2()

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights, or pass this update over."""
        if not self.partitioned:
            norm = torch.stack(torch._foreach_norm(self._gradients())).norm()
            self.found_inf = (~torch.isfinite(norm)).float()
            self.note(norm / self.scale, self.found_inf)
        self.grad_scale = None if self.log2_scale is None else self.log2_scale.exp2()
        super().step()
        self.adapt()

    def _gradients(self) -> list[Tensor]:
        """Give all gradients; a layer out of use has zeros, as DeepSpeed gives it among several ranks."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        for p in parameters:
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        return [p.grad for p in parameters]

    def note(self, norm: Tensor, skipped: Tensor) -> None:
        """Keep what is told of the update."""
        self.norm, self.skipped = torch.where(skipped > 0, 0.0, norm), skipped

    def adapt(self) -> None:
        """Move the loss scale after an update."""
        if self.log2_scale is not None:
            self.log2_scale += torch.where(self.skipped > 0, -BACKOFF, GROWTH)


def take_step(engine: Any) -> tuple[Tensor, Tensor]:
    """Let a DeepSpeed engine reduce its gradients and update; give (their norm, skipped 0 or 1)."""
    if reduction := getattr(engine, "gradient_reduction", None):
        reduction.finish()
    engine.step()
    adam = optimiser_of(engine)
    if adam.partitioned:
        bad = bool(engine.optimizer.overflow)
        norm = torch.as_tensor(engine.optimizer._global_grad_norm or 0.0)
        adam.note(norm.to(adam.norm.device) / adam.scale, torch.as_tensor(float(bad)).to(adam.norm.device))
        if bad:  # then ZeRO has not called `SkipNonFiniteAdam.step`
            adam.adapt()
    return adam.norm, adam.skipped


def set_rate(engine: Any, rate: float) -> None:
    """Set the learning rate of the next update."""
    for group in engine.optimizer.param_groups:
        group["lr"] = rate


def optimiser_of(engine: Any) -> SkipNonFiniteAdam:
    """Find the optimiser in its engine, through ZeRO's own where there is one."""
    optimiser = engine.optimizer
    found: SkipNonFiniteAdam = optimiser if isinstance(optimiser, SkipNonFiniteAdam) else optimiser.optimizer
    return found
