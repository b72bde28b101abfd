"""Intervals for shares of trials that share readers and images.

A trial shows one real and one synthetic image to one reader, and any of the three can make it easy: trials
are alike along three crossed factors. The variance is that of Cameron, Gelbach & Miller (2011) over all
three, of which ``V = V_reader + V_image - V_iid`` is the case of pairs that never change partners: the sum
over single factors, less that over pairs of factors, plus that over the triple. The result speaks of other
readers and of other images of both kinds.

Shape suffixes: N trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Clusters = Sequence[NDArray[np.int64]]
CONFIDENCE, EQUIVALENCE_CONFIDENCE = 0.95, 0.90


@dataclass(frozen=True)
class Share:
    """A share of trials with its uncertainty.

    `design_effect` is the variance over that of as many independent trials, `effective_n` the number of
    independent trials that would say as much; `df` are the degrees of freedom, one less than there are
    readers or images, whichever are fewer.
    """

    value: float
    trials: int
    se: float
    effective_n: float
    design_effect: float
    df: int

    def interval(self, confidence: float = CONFIDENCE) -> tuple[float, float]:
        """Return Wilson's interval for the effective number of trials by Student's t (Franco et al. 2019)."""
        from scipy import stats

        t = float(stats.t.ppf((1 + confidence) / 2, self.df))
        n, p = self.effective_n, self.value
        middle = (p + t * t / (2 * n)) / (1 + t * t / n)
        half = t * np.sqrt(p * (1 - p) / n + t * t / (4 * n * n)) / (1 + t * t / n)
        return max(0.0, float(middle - half)), min(1.0, float(middle + half))

    def score(self, null: float) -> float:
        """Return Student's t of the share against `null`: the test that the interval is the inverse of."""
        return float((self.value - null) / np.sqrt(null * (1 - null) / self.effective_n))

    def p_two_sided(self, null: float) -> float:
        """Return the p of this share or one further from `null`."""
        from scipy import stats

        return float(2 * stats.t.sf(abs(self.score(null)), self.df))


@dataclass(frozen=True)
class Difference:
    """A difference or slope with its 95 % interval."""

    value: float
    se: float
    low: float
    high: float


def share(hits_N: NDArray[np.float64], clusters: Clusters) -> Share:
    """Estimate the share of `hits_N`, 1 or 0."""
    p, count = float(hits_N.mean()), len(hits_N)
    variance, df = mean_variance(hits_N - p, clusters)
    # Where all trials ended alike there is no spread to learn from: as if those of a reader were one.
    effective = p * (1 - p) / variance if 0 < p < 1 else float(len(np.unique(clusters[0])))
    effective = min(effective, float(count))
    return Share(p, count, float(np.sqrt(variance)), effective, count / effective, df)


def difference(one_N: Floats, other_N: Floats, hits_N: Floats, clusters: Clusters) -> Difference:
    """Estimate share of `hits_N` among trials `one_N` less that among `other_N`, masks of 1 and 0."""
    count, shares, influence_N = len(hits_N), [], np.zeros(len(hits_N))
    for sign, mask_N in ((1, one_N), (-1, other_N)):
        inside = mask_N.sum()
        shares.append(float((hits_N * mask_N).sum() / inside))
        influence_N += sign * count / inside * mask_N * (hits_N - shares[-1])
    used_N = (one_N + other_N) > 0
    return interval(shares[0] - shares[1], influence_N, clusters, used_N)


def slope(x_N: Floats, hits_N: Floats, clusters: Clusters) -> Difference:
    """Estimate by how much the share of `hits_N` changes for a step of 1 in `x_N`, by a straight line."""
    centred_N = x_N - x_N.mean()
    spread = (centred_N**2).mean()
    value = float((centred_N * hits_N).mean() / spread)
    left_N = hits_N - hits_N.mean() - value * centred_N
    return interval(value, centred_N * left_N / spread, clusters, np.ones(len(hits_N), dtype=bool))


def interval(value: float, influence_N: Floats, clusters: Clusters, used_N: NDArray[np.bool_]) -> Difference:
    """Return an estimate whose error is the mean of `influence_N`; only clusters with a used trial count."""
    from scipy import stats

    count = len(influence_N)
    variance, df = mean_variance(influence_N[used_N], [cluster_N[used_N] for cluster_N in clusters])
    se = float(np.sqrt(variance) * used_N.sum() / count)
    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, df)) * se
    return Difference(value, se, value - half, value + half)


def mean_variance(influence_N: Floats, clusters: Clusters) -> tuple[float, int]:
    """Return the variance of the mean of `influence_N`, which is centred, and its degrees of freedom.

    Factors with one cluster only are left out: nothing can be learned of how these differ. Trials that are
    less alike than independent ones are a freak of few clusters, and count as independent.
    """
    crossed = [cluster_N for cluster_N in clusters if cluster_N.min() < cluster_N.max()]
    count, total = len(influence_N), 0.0
    if count < 2 or not crossed:
        return 0.0, 1
    for size in range(1, len(crossed) + 1):
        for factors in combinations(crossed, size):
            total -= (-1) ** size * _sum_of_squares(influence_N, factors)
    independent = count / (count - 1) * float((influence_N**2).sum())
    df = min(len(np.unique(cluster_N)) for cluster_N in crossed) - 1
    return max(total, independent) / count**2, df


def _sum_of_squares(influence_N: Floats, factors: Clusters) -> float:
    keys_N = np.zeros(len(influence_N), dtype=np.int64)
    for factor_N in factors:
        keys_N = keys_N * (int(factor_N.max()) + 1) + factor_N
    _, cells_N = np.unique(keys_N, return_inverse=True)
    sums = np.bincount(cells_N, influence_N)
    return len(sums) / max(1, len(sums) - 1) * float((sums**2).sum())
