"""What the networks minimise: tables of objectives and of supervisions, each a function of the critic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from torch import Tensor

from mammogan.losses.bounded import Hinge, NonSaturating
from mammogan.losses.gradients import Critic
from mammogan.losses.supervision import SUPERVISIONS
from mammogan.losses.wgan_gp import WganGp


class Objective(Protocol):
    """What critic and generator play for; made of penalty weight, penalty target and drift weight."""

    def critic(self, real_scores_N: Tensor, fake_scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the critic's loss but for the penalty."""

    def penalty(self, critic: Critic, real_NCHW: Tensor, fake_NCHW: Tensor, mix_N: Tensor) -> Tensor:
        """Penalise the critic's gradients."""

    def generator(self, fake_scores_N: Tensor) -> dict[str, Tensor]:
        """List the terms of the generator's loss."""


OBJECTIVES: dict[str, Callable[[float, float, float], Objective]] = {
    "wgan-gp": WganGp,
    "non-saturating": NonSaturating,
    "hinge": Hinge,
}

__all__ = ["OBJECTIVES", "SUPERVISIONS", "Hinge", "NonSaturating", "Objective", "WganGp"]
