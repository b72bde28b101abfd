"""Adversarial objectives: terms of the critic's loss on reals and on fakes, and of the generator's loss.

The critic's loss is a sum of terms of the reals, terms of the fakes and a penalty, so that each part can be
back-propagated by itself: only one part's activations are held at a time. Every term that is returned is
added to the loss and logged by its name; terms of one name, as ``adversarial``, are logged as their sum.

Shape suffixes: N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus

from mammogan.config.loss_settings import Loss
from mammogan.config.references import resolve
from mammogan.errors import ConfigError


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


def objective_of(settings: Loss) -> Any:
    """Return the objective that a method names, of either protocol: of the table, or somebody else's.

    Raises
    ------
    ConfigError
        If somebody else's does not follow a protocol: two scores give scalars by name.
    """
    if settings.objective in OBJECTIVES:
        return OBJECTIVES[settings.objective](settings)
    made, scores_N = resolve(settings.objective, "loss.objective"), torch.zeros(2)
    try:
        found = made(settings)
        if hasattr(found, "pairs"):
            terms = [found.pairs(scores_N, scores_N), found.generator_pairs(scores_N, scores_N)]
        else:
            terms = [found.real(scores_N), found.fake(scores_N), found.generator(scores_N)]
        if not all(term.shape == () for part in terms for term in part.values()) or not all(terms):
            raise ValueError("a method gives no scalars by name")
    except Exception as error:  # noqa: BLE001 - it is somebody else's code, which may do anything
        raise ConfigError(
            f"loss.objective '{settings.objective}' does not follow the protocol of an objective: "
            f"{type(error).__name__}: {error}. docs/extending.md says what one must do."
        ) from None
    return found


OBJECTIVES: dict[str, type[Objective] | type[PairedObjective]] = {
    "wgan-gp": Wasserstein,
    "non-saturating": NonSaturating,
    "hinge": Hinge,
    "relativistic": Relativistic,
}
"""Objectives by their name in ``loss.objective``; `objective_of` reads the table."""
