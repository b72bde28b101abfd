"""What the networks minimise: tables of objectives and of supervisions, each a function of the critic.

The critic's loss is a sum of terms of the reals, terms of the fakes and the penalty, so that each part can be
back-propagated by itself: only one part's activations are held at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from mammogan.losses.acgan import SUPERVISIONS
from mammogan.losses.critic_gradients import Critic
from mammogan.losses.nonsaturating import Hinge, NonSaturating
from mammogan.losses.wgan_gp import WganGp


class Objective(Protocol):
    """What critic and generator play for; made of penalty weight, penalty target and drift weight."""

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the critic's loss that follow from the scores of reals."""

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the critic's loss that follow from the scores of fakes."""

    def penalty(self, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
        """Penalise the critic's gradients."""

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the generator's loss."""


OBJECTIVES: dict[str, Callable[[float, float, float], Objective]] = {
    "wgan-gp": WganGp,
    "non-saturating": NonSaturating,
    "hinge": Hinge,
}

__all__ = ["OBJECTIVES", "SUPERVISIONS", "Hinge", "NonSaturating", "Objective", "WganGp"]
