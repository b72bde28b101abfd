"""Rates of artefacts, what synthetic images have beyond reals, and how far reviewers agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Z = 1.959964
"""Of a normal variable, for 95 %."""
RESAMPLES = 2000


@dataclass(frozen=True)
class Rate:
    """Hits of so many; the interval is Wilson's, 95 %."""

    hits: int
    of: int

    @property
    def value(self) -> float:
        """The share; NaN of nothing."""
        return self.hits / self.of if self.of else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        """Its interval; of nothing, everything is possible."""
        if not self.of:
            return 0.0, 1.0
        p, n, square = self.value, self.of, Z * Z
        middle = (p + square / (2 * n)) / (1 + square / n)
        half = Z * np.sqrt(p * (1 - p) / n + square / (4 * n * n)) / (1 + square / n)
        return max(0.0, float(middle - half)), min(1.0, float(middle + half))


@dataclass(frozen=True)
class Excess:
    """A difference of two rates with its interval, 95 %."""

    value: float
    low: float
    high: float


def excess(synthetic: Rate, real: Rate) -> Excess | None:
    """Subtract the rate of reals, with the interval of Newcombe (1998, method 10); None without images."""
    if not synthetic.of or not real.of:
        return None
    (low_s, high_s), (low_r, high_r) = synthetic.interval, real.interval
    value = synthetic.value - real.value
    down = np.hypot(synthetic.value - low_s, high_r - real.value)
    up = np.hypot(high_s - synthetic.value, real.value - low_r)
    return Excess(value, float(value - down), float(value + up))


@dataclass(frozen=True)
class Agreement:
    """Two reviewers on the images that both saw.

    `both`, `first`, `second`, `neither` count who saw an artefact. `kappa` is Cohen's, with a percentile
    interval over resampled images, None where either called all images alike. `positive` is the agreement on
    artefacts, ``2 both / (2 both + first + second)``: kappa is low where artefacts are rare.
    """

    both: int
    first: int
    second: int
    neither: int
    kappa: float | None
    low: float | None
    high: float | None

    @property
    def images(self) -> int:
        """Images that both saw."""
        return self.both + self.first + self.second + self.neither

    @property
    def observed(self) -> float:
        """Share of images with the same verdict; NaN of nothing."""
        return (self.both + self.neither) / self.images if self.images else float("nan")

    @property
    def positive(self) -> float | None:
        """Agreement on artefacts; None if nobody saw any."""
        either = 2 * self.both + self.first + self.second
        return 2 * self.both / either if either else None


def agreement(first: Sequence[bool], second: Sequence[bool], seed: int = 0) -> Agreement:
    """Compare two reviewers' verdicts on the same images, in one order."""
    one, other = np.asarray(first, dtype=bool), np.asarray(second, dtype=bool)
    cells = np.array([(one & other).sum(), (one & ~other).sum(), (~one & other).sum(), (~one & ~other).sum()])
    both, alone, other_alone, neither = (int(count) for count in cells)
    total = int(cells.sum())
    kappa = _kappas(cells[None])[0] if total else np.nan
    if np.isnan(kappa):
        return Agreement(both, alone, other_alone, neither, None, None, None)
    # Images are alike within a cell, so that resampling them is a multinomial draw.
    drawn = _kappas(np.random.default_rng(seed).multinomial(total, cells / total, RESAMPLES))
    low, high = np.nanquantile(drawn, (0.025, 0.975))
    return Agreement(both, alone, other_alone, neither, float(kappa), float(low), float(high))


def _kappas(cells: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return Cohen's kappa of each row of counts; NaN where both call all images alike."""
    both, first, second, neither = (cells / cells.sum(axis=1, keepdims=True)).T
    expected = (both + first) * (both + second) + (second + neither) * (first + neither)
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (both + neither - expected) / (1 - expected)
    return np.where(expected < 1, found, np.nan)
