"""How alike two pictures of a set are, drawn at random: a generator that has collapsed draws like ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from mammogan.metrics.bootstrap import Values, Weights
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import ViewSets

Pairs = Mapping[str, np.ndarray]
"""`pairs` (P, 2) of images by number, and the `ms_ssim` of each (P,)."""


def diversity(sets: ViewSets, synthetic: Pairs, real: Pairs) -> Iterator[Measure]:
    """Give the mean MS-SSIM of the synthetics' pairs beside that of reals of different patients."""
    different = np.diff(sets.real.groups_N[real["pairs"]], axis=1)[:, 0] != 0
    mine = synthetic["pairs"], synthetic["ms_ssim"]
    theirs = real["pairs"][different], real["ms_ssim"][different]
    if not len(mine[1]) or not len(theirs[1]):
        return
    value, reals = float(mine[1].mean()), float(theirs[1].mean())
    synthetic_B, real_B = _means(sets.drawn[1], *mine), _means(sets.drawn[0], *theirs)
    halves = [_means(half_SN, *theirs) for half_SN in sets.halves]
    yield sets.measure(
        "ms_ssim",
        value,
        "diversity",
        "",
        synthetic_B,
        np.concatenate(halves),
        within=(0, 1),
        real=reals,
        note=f"{len(mine[1])} and {len(theirs[1])} pairs",
    )
    yield sets.measure(
        "ms_ssim_difference",
        value - reals,
        "diversity",
        "",
        synthetic_B - real_B,
        halves[0] - halves[1],
        ideal=0.0,
    )


def _means(weights_BN: Weights, pairs_P2: np.ndarray, values_P: Values) -> Values:
    """Weigh each pair by how often both of its images are in a draw; NaN where none is."""
    weights_BP = weights_BN[:, pairs_P2[:, 0]] * weights_BN[:, pairs_P2[:, 1]]
    totals_B = weights_BP.sum(axis=1, dtype=np.float64)
    sums_B = weights_BP.astype(np.float64) @ values_P
    return np.asarray(np.where(totals_B > 0, sums_B / np.where(totals_B > 0, totals_B, 1), np.nan))
