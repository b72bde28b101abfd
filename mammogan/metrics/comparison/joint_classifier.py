"""All moments, or all features, at once: how well a classifier tells synthetics from reals."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mammogan.metrics.c2st import classify, p_value
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import ViewSets, space
from mammogan.metrics.image_features import QUANTITIES

SPLITS, PERMUTATIONS = 5, 999
COMPONENTS = 30
"""Principal components of the features that the classifier is given: all would take it minutes."""


def joint(sets: ViewSets) -> Iterator[Measure]:
    """Give the classifier's AUC on moments of all pixels, of the breast, and on features."""
    columns = [QUANTITIES.index(name) for name in ("all_mean", "breast_mean")]
    sources = sets.real, sets.synthetic, sets.train
    for of, first in zip(("all_moments", "breast_moments"), columns, strict=True):
        yield from _told(sets, of, [each["quantities"][:, first : first + 5] for each in sources])
    yield from _told(sets, "features", components([space(sets, each, "all") for each in sources]))


def components(parts: list[np.ndarray]) -> list[np.ndarray]:
    """Bring features to the principal components of them all."""
    whole = np.vstack(parts).astype(np.float64)
    mean = whole.mean(axis=0)
    _, vectors = np.linalg.eigh((whole - mean).T @ (whole - mean))
    return [(part - mean) @ vectors[:, ::-1][:, :COMPONENTS] for part in parts]


def _told(sets: ViewSets, of: str, features: list[np.ndarray]) -> Iterator[Measure]:
    real_NF, synthetic_MF, train_TF = features
    random = sets.random(f"c2st {of}")
    groups = sets.real.groups_N, sets.synthetic.groups_N
    result = classify(real_NF, synthetic_MF, groups, random)
    if result is None:
        return
    nulls, matched = [], []
    count = min(SPLITS, max(2, sets.settings.splits // 10))
    splits = [part[:count] > 0 for part in (*sets.halves, sets.some)]
    for one_N, other_N, some_M in zip(*splits, strict=True):
        one_NF, one_groups = real_NF[one_N], groups[0][one_N]
        nulls.append(classify(one_NF, real_NF[other_N], (one_groups, groups[0][other_N]), random))
        matched.append(classify(one_NF, synthetic_MF[some_M], (one_groups, groups[1][some_M]), random))
    of_nulls, of_matched = (np.array([each.auc for each in part if each]) for part in (nulls, matched))
    beside = classify(real_NF, train_TF, (groups[0], sets.train.groups_N), random)
    yield sets.measure(
        "c2st_auc",
        result.auc,
        "joint",
        of,
        result.aucs(*sets.drawn),
        of_nulls,
        within=(0, 1),
        matched=float(of_matched.mean()) if len(of_matched) else None,
        train=beside.auc if beside else None,
        ideal=0.5,
        note=f"permutation p = {p_value(real_NF, synthetic_MF, groups, PERMUTATIONS, random):.3g}",
    )
