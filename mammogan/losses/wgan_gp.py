"""Wasserstein objective with gradient penalty (Gulrajani et al. 2017, equation 3) and drift (PGGAN A.1)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from mammogan.losses.critic_gradients import Critic, norms_between


@dataclass(frozen=True)
class WganGp:
    """E[D(fake)] - E[D(real)] + weight / target^2 E[(|grad D(mix)| - target)^2] + drift E[D(real)^2]."""

    penalty_weight: float = 10.0
    penalty_target: float = 1.0
    drift_weight: float = 0.001

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the reals' scores."""
        return {"adversarial": -scores_N.mean(), "drift": self.drift_weight * scores_N.square().mean()}

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the fakes' scores."""
        return {"adversarial": scores_N.mean()}

    def penalty(self, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
        """Penalise gradients whose norm is not the target, between reals and fakes."""
        norms_N = norms_between(critic, real_NCHW, fake_NCHW, mix_N)
        target = self.penalty_target
        return self.penalty_weight / target**2 * (norms_N - target).square().mean()

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the generator's loss: -E[D(fake)]."""
        return {"adversarial": -scores_N.mean()}
