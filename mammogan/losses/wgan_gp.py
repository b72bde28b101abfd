"""Wasserstein objective with gradient penalty (Gulrajani et al. 2017, equation 3) and drift (PGGAN A.1).

Shape suffixes: N images, C channels, H x W pixels, L labels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Critic = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Images (N, C, H, W) to scores (N,) and label logits (N, L)."""


@dataclass(frozen=True)
class WganGp:
    """E[D(fake)] - E[D(real)] + weight / target^2 E[(|grad D(mix)| - target)^2] + drift E[D(real)^2]."""

    penalty_weight: float = 10.0
    penalty_target: float = 1.0
    drift_weight: float = 0.001

    def critic(self, real_scores_N: Tensor, fake_scores_N: Tensor, norms_N: Tensor) -> dict[str, Tensor]:
        """List the terms that the critic's loss is the sum of; `norms_N` come from `gradient_norms`."""
        target = self.penalty_target
        return {
            "wasserstein": fake_scores_N.mean() - real_scores_N.mean(),
            "penalty": self.penalty_weight / target**2 * (norms_N - target).square().mean(),
            "drift": self.drift_weight * real_scores_N.square().mean(),
        }

    def generator(self, fake_scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the generator's loss: -E[D(fake)]."""
        return {"adversarial": -fake_scores_N.mean()}


def gradient_norms(critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
    """Norm of the score's gradient at a point between each real image and its fake, differentiable; (N,).

    `mix_N` is the share of the fake, uniform in [0, 1], one number an image. The gradient of the sum of
    scores is taken, so that minibatch standard deviation couples the images of a group as in the original.
    """
    mixed_NCHW = torch.lerp(real_NCHW, fake_NCHW, mix_N.view(-1, 1, 1, 1)).requires_grad_(True)
    scores_N, _ = critic(mixed_NCHW)
    (gradient_NCHW,) = torch.autograd.grad(scores_N.sum(), mixed_NCHW, create_graph=True)
    return gradient_NCHW.square().sum(dim=(1, 2, 3)).sqrt()
