"""What readers' confidence adds: the area under the ROC curve, and d'.

Each trial gives a rating, positive for the left image called synthetic, as large as the confidence; the curve
asks how well ratings separate trials with the synthetic image on the left from those with it on the right.

Shape suffixes: N trials, T thresholds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.study.analysis.clustered_intervals import Clusters, Difference, Share, interval

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Roc:
    """Area with its interval over readers and images, and the curve from (0, 0) to (1, 1)."""

    area: Difference
    trials: int
    false_T: Floats
    true_T: Floats


def roc(
    synth_left_N: NDArray[np.bool_],
    answer_left_N: NDArray[np.bool_],
    confidence_N: Floats,
    clusters: Clusters,
) -> Roc | None:
    """Estimate the area from the trials with a confidence; None if either side has none.

    The variance sums placement values over clusters (DeLong et al. 1988; Obuchowski 1997).
    """
    from scipy import stats

    known_N = np.isfinite(confidence_N)
    truth_N = synth_left_N[known_N]
    rating_N = np.where(answer_left_N[known_N], 1, -1) * confidence_N[known_N]
    positives, negatives = rating_N[truth_N], rating_N[~truth_N]
    if not len(positives) or not len(negatives):
        return None
    ranks_N = stats.rankdata(rating_N)
    placed_N = np.empty(len(rating_N))
    placed_N[truth_N] = (ranks_N[truth_N] - stats.rankdata(positives)) / len(negatives)
    placed_N[~truth_N] = 1 - (ranks_N[~truth_N] - stats.rankdata(negatives)) / len(positives)
    area = float(placed_N[truth_N].mean())
    sizes_N = np.where(truth_N, len(positives), len(negatives))
    influence_N = len(rating_N) / sizes_N * (placed_N - area)
    everything_N = np.ones(len(rating_N), dtype=bool)
    found = interval(area, influence_N, [cluster_N[known_N] for cluster_N in clusters], everything_N)
    thresholds_T = np.unique(rating_N)[::-1]
    return Roc(found, len(rating_N), _rates(negatives, thresholds_T), _rates(positives, thresholds_T))


def d_prime(share: Share) -> tuple[float, float, float]:
    """Return ``sqrt(2) * z(share)``, the sensitivity in a forced choice of two, with its 95 % interval."""
    from scipy import special

    low, high = (float(np.sqrt(2) * special.ndtri(value)) for value in share.interval())
    return float(np.sqrt(2) * special.ndtri(share.value)), low, high


def _rates(ratings: Floats, thresholds_T: Floats) -> Floats:
    rates = [float((ratings >= threshold).mean()) for threshold in thresholds_T]
    return np.array([0.0, *rates])
