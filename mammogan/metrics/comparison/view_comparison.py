"""What the report's metrics of one view are computed from; what several need is computed once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.comparison import distributions, memorization, spectrum_measures
from mammogan.metrics.comparison.memorization import Near
from mammogan.metrics.comparison.view_sets import ViewSets

Arrays = Mapping[str, NDArray[Any]]
Values = NDArray[np.float64]


@dataclass(frozen=True)
class ViewComparison:
    """Synthetics against reals of one view.

    Attributes
    ----------
    sets
        What was measured of every image, by source.
    spacing_mm
        Median size of a real's pixel, None if the set does not know it.
    pairs
        What was measured of pairs within the synthetics, and within the reals; empty where there are none.
    user_network
        Whether features of a user's own network were measured too.
    """

    sets: ViewSets
    spacing_mm: float | None
    pairs: tuple[Arrays, Arrays]
    user_network: bool
    _near: dict[str, Near] = field(default_factory=dict)

    @cached_property
    def exponents(self) -> dict[str, Values]:
        """The power spectrum's exponent of every image."""
        return spectrum_measures.exponents(self.sets, self.spacing_mm)

    @cached_property
    def quantities(self) -> dict[str, dict[str, Values]]:
        """Every quantity of every image."""
        return distributions.quantities(self.sets, self.exponents)

    def nearest(self, space: str) -> Near:
        """Nearest neighbours in one of `memorization.SPACES`."""
        if space not in self._near:
            self._near[space] = memorization.near(self.sets, space)
        return self._near[space]
