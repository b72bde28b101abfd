"""Each reader against a coin, and beside it what a coin gives when so many toss it.

Shape suffixes: R readers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
LEVEL = 0.05


@dataclass(frozen=True)
class Readers:
    """Exact tests of each reader, and the numbers that chance leads to expect.

    Attributes
    ----------
    low_R, high_R
        Clopper and Pearson's 95 % interval.
    p_above_R, p_two_sided_R, p_bh_R, p_holm_R
        Exact p of so many right or more, of so far from half, and the first adjusted for all readers.
    above, below
        Readers whose one-sided p is at most 0.05, for better and for worse than chance.
    expected_above
        Number of them by chance; for worse it is the same.
    chance_of_any
        Probability that a coin gives one or more of them.
    bh, holm
        Readers that are left after adjustment.
    holm_possible
        Whether a reader with every answer right could be left after Holm's.
    """

    low_R: Floats
    high_R: Floats
    p_above_R: Floats
    p_two_sided_R: Floats
    p_bh_R: Floats
    p_holm_R: Floats
    above: int
    below: int
    expected_above: float
    chance_of_any: float
    bh: int
    holm: int
    holm_possible: bool


def against_a_coin(right_R: Counts, answered_R: Counts) -> Readers:
    """Test every reader who answered anything."""
    from scipy import stats

    wrong_R = answered_R - right_R
    p_above_R = stats.binom.sf(right_R - 1, answered_R, 0.5)
    p_below_R = stats.binom.cdf(right_R, answered_R, 0.5)
    low_R = np.where(right_R > 0, stats.beta.ppf(0.025, right_R, wrong_R + 1), 0.0)
    high_R = np.where(wrong_R > 0, stats.beta.ppf(0.975, right_R + 1, wrong_R), 1.0)
    p_bh_R, p_holm_R = benjamini_hochberg(p_above_R), holm(p_above_R)
    chances = {n: chance_of(n) for n in set(answered_R.tolist())}
    chances_R = np.array([chances[n] for n in answered_R.tolist()])
    return Readers(
        low_R=low_R,
        high_R=high_R,
        p_above_R=p_above_R,
        p_two_sided_R=np.minimum(1, 2 * np.minimum(p_above_R, p_below_R)),
        p_bh_R=p_bh_R,
        p_holm_R=p_holm_R,
        above=int((p_above_R <= LEVEL).sum()),
        below=int((p_below_R <= LEVEL).sum()),
        expected_above=float(chances_R.sum()),
        chance_of_any=float(1 - np.prod(1 - chances_R)),
        bh=int((p_bh_R <= LEVEL).sum()),
        holm=int((p_holm_R <= LEVEL).sum()),
        holm_possible=bool(0.5 ** answered_R.max() * len(answered_R) <= LEVEL),
    )


def least_right(answered: int) -> int | None:
    """Return the fewest right answers that are above chance at 5 %, one-sided; None if not even all are."""
    from scipy import stats

    for right in range(answered + 1):
        if stats.binom.sf(right - 1, answered, 0.5) <= LEVEL:
            return right
    return None


def chance_of(answered: int) -> float:
    """Return the probability that a coin is above chance at 5 %."""
    from scipy import stats

    least = least_right(answered)
    return 0.0 if least is None else float(stats.binom.sf(least - 1, answered, 0.5))


def benjamini_hochberg(p_R: Floats) -> Floats:
    """Adjust p values for the rate of false discoveries."""
    order = np.argsort(p_R)[::-1]
    scaled = p_R[order] * len(p_R) / np.arange(len(p_R), 0, -1)
    adjusted_R = np.empty_like(p_R)
    adjusted_R[order] = np.minimum(1, np.minimum.accumulate(scaled))
    return adjusted_R


def holm(p_R: Floats) -> Floats:
    """Adjust p values for any false claim."""
    order = np.argsort(p_R)
    scaled = p_R[order] * np.arange(len(p_R), 0, -1)
    adjusted_R = np.empty_like(p_R)
    adjusted_R[order] = np.minimum(1, np.maximum.accumulate(scaled))
    return adjusted_R
