"""How many readers got how many right, against chance: the paper's figure 7, tested on counts.

A chi-square routine that is fed relative frequencies divides the statistic by the number of readers, and
finds a perfect fit in anything; hence only counts are taken, and they must sum to the readers.

Shape suffixes: B numbers of right answers (0 .. trials), C pooled cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.errors import DataError

Histogram = Sequence[float] | NDArray[np.int64]
LEAST_EXPECTED = 5.0
"""In each cell of a chi-square test (Cochran)."""
DRAWS = 100_000
CHANCE = 0.5


@dataclass(frozen=True)
class Pooled:
    """Chi-square of pooled counts; `cells` are their first and last number of right answers."""

    cells: tuple[tuple[int, int], ...]
    observed_C: tuple[int, ...]
    expected_C: tuple[float, ...]
    statistic: float
    df: int
    p: float


def binomial(trials: int) -> NDArray[np.float64]:
    """Return the chance of each number of right answers in `trials`."""
    from scipy import stats

    return np.asarray(stats.binom.pmf(np.arange(trials + 1), trials, CHANCE))


def checked(counts_B: Histogram, readers: int) -> NDArray[np.int64]:
    """Take counts of readers by number of right answers.

    Raises
    ------
    DataError
        If they are shares or percentages, negative, or do not sum to the number of readers.
    """
    values = np.asarray(counts_B, dtype=np.float64)
    shown = ", ".join(f"{value:g}" for value in values)
    total = values.sum()
    if not np.isfinite(values).all() or (values < 0).any() or (values % 1).any() or (total <= 1 < readers):
        raise DataError(
            f"The histogram '{shown}' holds shares, not counts of readers. Chi-square of shares finds a "
            "perfect fit in anything (p near 1): give how many readers got 0, 1, 2, ... right."
        )
    if total != readers:
        raise DataError(
            f"The histogram '{shown}' sums to {total:g}, and there are {readers} readers: give each reader's "
            "count once, neither percentages nor answers."
        )
    return values.astype(np.int64)


def pool(expected_B: NDArray[np.float64], least: float = LEAST_EXPECTED) -> list[tuple[int, int]]:
    """Merge from both tails inward until every cell expects `least` or more; gives first and last of each."""
    left: list[tuple[int, int]] = []
    right: list[tuple[int, int]] = []
    first, last = 0, len(expected_B) - 1
    while expected_B[first : last + 1].sum() >= 2 * least:
        sums = expected_B[first : last + 1].cumsum(), expected_B[first : last + 1][::-1].cumsum()
        width, other = (int((each >= least).argmax()) + 1 for each in sums)
        if first + width + other > last + 1:
            break
        left.append((first, first + width - 1))
        right.append((last - other + 1, last))
        first, last = first + width, last - other
    middle = expected_B[first : last + 1].sum()
    if first > last:
        cells = []
    elif middle >= least or not left:
        cells = [(first, last)]
    else:  # not enough for a cell of its own
        cells, right[-1] = [], (first, right[-1][1])
    return [*left, *cells, *reversed(right)]


def pooled_chi_square(counts_B: Histogram, readers: int) -> Pooled | None:
    """Test counts of readers with 0, 1, 2, ... right answers against Bin(n, 0.5); None for too few readers.

    Raises
    ------
    DataError
        As `checked`.
    """
    from scipy import stats

    found_B = checked(counts_B, readers)
    expected_B = readers * binomial(len(found_B) - 1)
    cells = pool(expected_B)
    if len(cells) < 2:
        return None
    observed = tuple(int(found_B[a : b + 1].sum()) for a, b in cells)
    expected = tuple(float(expected_B[a : b + 1].sum()) for a, b in cells)
    statistic = sum((o - e) ** 2 / e for o, e in zip(observed, expected, strict=True))
    df = len(cells) - 1
    return Pooled(tuple(cells), observed, expected, statistic, df, float(stats.chi2.sf(statistic, df)))


class MonteCarlo:
    """The exact multinomial test by drawing: how often chance gives a histogram as improbable as this one.

    Every cell counts for itself. The draws are of one number of readers and of trials, and serve many
    histograms.
    """

    def __init__(self, readers: int, trials: int, draws: int = DRAWS, seed: int = 0) -> None:
        from scipy import special

        self._readers, self._log_p_B = readers, np.log(binomial(trials))
        self._log_factorials = special.gammaln(np.arange(readers + 1) + 1.0)
        drawn = np.random.default_rng(seed).multinomial(readers, np.exp(self._log_p_B), draws)
        self._null = np.sort(self._improbability(drawn))

    def p(self, counts_B: Histogram) -> float:
        """Return the p of a histogram, at least 1 / (draws + 1).

        Raises
        ------
        DataError
            As `checked`.
        """
        seen = self._improbability(checked(counts_B, self._readers))
        # Sums of the same terms in another order differ in the last digits.
        rarer = len(self._null) - int(np.searchsorted(self._null, seen - 1e-9))
        return (1 + rarer) / (1 + len(self._null))

    def _improbability(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        return np.asarray((self._log_factorials[counts] - counts * self._log_p_B).sum(-1))


def histogram(right_R: NDArray[np.int64], trials: int) -> NDArray[np.int64]:
    """Count readers by their number of right answers, (B,)."""
    return np.bincount(right_R, minlength=trials + 1)


def fair_range(readers: int, trials: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each number of right answers the range of counts that 95 % of fair studies lie in."""
    from scipy import stats

    low, high = stats.binom.interval(0.95, readers, binomial(trials))
    return low.astype(np.int64), high.astype(np.int64)
