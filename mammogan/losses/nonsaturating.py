"""Objectives of critics that classify: non-saturating and hinge, both steadied by R1 at the reals.

R1 (Mescheder et al. 2018, equation 9) is weight / 2 E[|grad D(real)|^2]; it needs no fakes and no target.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

from mammogan.losses.critic_gradients import Critic, squared_norms


@dataclass(frozen=True)
class _R1:
    """The penalty; target and drift belong to the Wasserstein objective and are not looked at."""

    penalty_weight: float = 10.0
    penalty_target: float = 1.0
    drift_weight: float = 0.0

    def penalty(self, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
        """Penalise gradients at the reals."""
        return self.penalty_weight / 2 * squared_norms(critic, real_NCHW).mean()


class NonSaturating(_R1):
    """E[softplus(D(fake))] + E[softplus(-D(real))], and E[softplus(-D(fake))] (Goodfellow et al. 2014)."""

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the reals' scores."""
        return {"adversarial": softplus(-scores_N).mean()}

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the fakes' scores."""
        return {"adversarial": softplus(scores_N).mean()}

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the generator's loss."""
        return {"adversarial": softplus(-scores_N).mean()}


class Hinge(_R1):
    """E[max(0, 1 + D(fake))] + E[max(0, 1 - D(real))], and -E[D(fake)] (Lim and Ye 2017)."""

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the reals' scores."""
        return {"adversarial": relu(1 - scores_N).mean()}

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the fakes' scores."""
        return {"adversarial": relu(1 + scores_N).mean()}

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the generator's loss."""
        return {"adversarial": -scores_N.mean()}
