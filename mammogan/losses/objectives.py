"""Adversarial objectives: terms of the critic's loss on reals and on fakes, and of the generator's loss.

The critic's loss is a sum of terms of the reals, terms of the fakes and a penalty, so that each part can be
back-propagated by itself: only one part's activations are held at a time. Every term that is returned is
added to the loss and logged by its name; terms of one name, as ``adversarial``, are logged as their sum.

Shape suffixes: N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor
from torch.nn.functional import relu, softplus

from mammogan.config.loss_settings import Loss


class Objective(Protocol):
    """What critic and generator play for; each method maps scores (N,) to named scalars."""

    def __init__(self, settings: Loss) -> None:
        """Take the weights that the objective knows from the method's ``[loss]``."""

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Compute the terms of the critic's loss that follow from the scores of reals."""

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Compute the terms of the critic's loss that follow from the scores of fakes."""

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Compute the terms of the generator's loss from the scores of fakes."""


@dataclass(frozen=True)
class Wasserstein:
    """E[D(fake)] - E[D(real)] + drift E[D(real)^2] (Gulrajani et al. 2017, equation 3; PGGAN A.1)."""

    settings: Loss

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial`` and ``drift``, which keeps the scores from wandering off."""
        drift = self.settings.drift_weight * scores_N.square().mean()
        return {"adversarial": -scores_N.mean(), "drift": drift}

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": scores_N.mean()}

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``: -E[D(fake)]."""
        return {"adversarial": -scores_N.mean()}


@dataclass(frozen=True)
class NonSaturating:
    """E[softplus(D(fake))] + E[softplus(-D(real))], and E[softplus(-D(fake))] (Goodfellow et al. 2014)."""

    settings: Loss

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": softplus(-scores_N).mean()}

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": softplus(scores_N).mean()}

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": softplus(-scores_N).mean()}


@dataclass(frozen=True)
class Hinge:
    """E[max(0, 1 + D(fake))] + E[max(0, 1 - D(real))], and -E[D(fake)] (Lim and Ye 2017)."""

    settings: Loss

    def real(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": relu(1 - scores_N).mean()}

    def fake(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": relu(1 + scores_N).mean()}

    def generator(self, scores_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": -scores_N.mean()}


class PairedObjective(Protocol):
    """An objective of the difference of scores: each fake is held against one real."""

    def __init__(self, settings: Loss) -> None:
        """Take the weights that the objective knows from the method's ``[loss]``."""

    def pairs(self, real_N: Tensor, fake_N: Tensor) -> dict[str, Tensor]:
        """Compute the terms of the critic's loss from the scores of reals and of their fakes."""

    def generator_pairs(self, real_N: Tensor, fake_N: Tensor) -> dict[str, Tensor]:
        """Compute the terms of the generator's loss, the reals scored by the critic that has been updated."""


@dataclass(frozen=True)
class Relativistic:
    """E[softplus(D(fake) - D(real))], and E[softplus(D(real) - D(fake))] (Huang et al. 2024)."""

    settings: Loss

    def pairs(self, real_N: Tensor, fake_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": softplus(fake_N - real_N).mean()}

    def generator_pairs(self, real_N: Tensor, fake_N: Tensor) -> dict[str, Tensor]:
        """Return ``adversarial``."""
        return {"adversarial": softplus(real_N - fake_N).mean()}


OBJECTIVES: dict[str, type[Objective] | type[PairedObjective]] = {
    "wgan-gp": Wasserstein,
    "non-saturating": NonSaturating,
    "hinge": Hinge,
    "relativistic": Relativistic,
}
"""Objectives by their name in ``loss.objective``; `mammogan.train.gan_step` reads the table."""
