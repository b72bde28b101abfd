"""Do readers differ more than chance makes them? Their mean may be a half while some know and some don't.

Shape suffixes: R readers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]
LARGEST_RHO = 0.95


@dataclass(frozen=True)
class Dispersion:
    """How much readers' true shares differ.

    `ratio` is the variance of the counts over a binomial's, with the two-sided p of its chi-square. `sd` is
    that of readers' shares in a beta-binomial, from `low` to `high` by profile likelihood (95 %); `p_extra`
    tests that it is above 0, by half a chi-square since 0 is the least it can be.
    """

    ratio: float
    p: float
    sd: float
    low: float
    high: float
    p_extra: float


def dispersion(right_R: Counts, answered_R: Counts) -> Dispersion | None:
    """Measure it; None for fewer than two readers, or where all answers are right or all wrong."""
    from scipy import stats

    p = right_R.sum() / answered_R.sum()
    df = len(right_R) - 1
    if df < 1 or not 0 < p < 1:
        return None
    statistic = float(((right_R - answered_R * p) ** 2 / (answered_R * p * (1 - p))).sum())
    tail = stats.chi2.sf(statistic, df)
    sd, low, high, gain = _between(right_R, answered_R)
    return Dispersion(
        ratio=statistic / df,
        p=float(min(1.0, 2 * min(tail, 1 - tail))),
        sd=sd,
        low=low,
        high=high,
        p_extra=float(stats.chi2.sf(gain, 1) / 2) if gain > 0 else 1.0,
    )


def _between(right_R: Counts, answered_R: Counts) -> tuple[float, float, float, float]:
    """Return sd of readers' shares, its interval, and twice the gain of log likelihood over none."""
    from scipy import optimize, stats

    kinds, repeats = np.unique(np.stack([right_R, answered_R]), axis=1, return_counts=True)

    def best(rho: float) -> tuple[float, float]:
        found = optimize.minimize_scalar(
            lambda mean: -_likelihood(kinds, repeats, mean, rho), bounds=(1e-4, 1 - 1e-4), method="bounded"
        )
        return -float(found.fun), float(found.x)

    def sd(rho: float) -> float:
        mean = best(rho)[1]
        return float(np.sqrt(rho * mean * (1 - mean)))

    found = optimize.minimize_scalar(
        lambda rho: -best(rho)[0], bounds=(0.0, LARGEST_RHO), method="bounded", options={"xatol": 1e-6}
    )
    none, top, peak = best(0.0)[0], -float(found.fun), float(found.x)
    if none >= top:
        top, peak = none, 0.0
    drop = float(stats.chi2.ppf(0.95, 1)) / 2

    def below(rho: float) -> float:
        return best(rho)[0] - (top - drop)

    low = 0.0 if below(0.0) >= 0 else float(optimize.brentq(below, 0.0, peak))
    high = LARGEST_RHO if below(LARGEST_RHO) >= 0 else float(optimize.brentq(below, peak, LARGEST_RHO))
    return sd(peak), sd(low), sd(high), 2 * (top - none)


def _likelihood(kinds: Counts, repeats: Counts, mean: float, rho: float) -> float:
    """Return the log likelihood of a beta-binomial, up to a constant; `rho` is 1 / (a + b + 1)."""
    from scipy import special

    right, answered = kinds
    wrong = answered - right
    if rho < 1e-9:
        each = right * np.log(mean) + wrong * np.log1p(-mean)
    else:
        a, b = mean * (1 / rho - 1), (1 - mean) * (1 / rho - 1)
        each = special.betaln(right + a, wrong + b) - special.betaln(a, b)
    return float((repeats * each).sum())
