"""Fidelity and diversity in spaces of features: precision, recall, density, coverage, and two distances."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mammogan.metrics.bootstrap import Values
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import ViewSets, means, space
from mammogan.metrics.frechet_kid import frechet, kernel_distance
from mammogan.metrics.prdc import Manifolds, manifolds

SPACES = ("random-network", "texture")
SPLITS, DRAWS = 20, 100
WIDE, WIDE_DRAWS = 512, 20
"""A space of more features than this has that many draws and splits: its covariances take seconds each."""


def features(sets: ViewSets, known: bool = False) -> Iterator[Measure]:
    """Give precision, recall, density and coverage in both spaces, and distances in that of the network.

    With `known`, in that of the user's own network, as it is.
    """
    group, spaces = ("network", ("network",)) if known else ("features", SPACES)
    for name in spaces:
        sources = [sets.real, sets.synthetic, sets.train]
        parts = [np.asarray(each[name]) if known else space(sets, each, name) for each in sources]
        yield from _neighbours(sets, group, name, parts)
        if name != "texture":
            yield from _distances(sets, group, name, parts)


def _neighbours(sets: ViewSets, group: str, name: str, parts: list[np.ndarray]) -> Iterator[Measure]:
    real_NF, synthetic_MF, train_TF = parts
    found = manifolds(real_NF, synthetic_MF)
    if found is None:
        return
    boots = _booted(sets, found)
    halves = [part[:SPLITS] > 0 for part in (*sets.halves, sets.some)]
    nulls, matched = [], []
    for one_N, other_N, some_M in zip(*halves, strict=True):
        nulls.append(manifolds(real_NF[one_N], real_NF[other_N]))
        matched.append(manifolds(real_NF[one_N], synthetic_MF[some_M]))
    train = manifolds(real_NF, train_TF)
    for score, value in found.scores.items():
        of_nulls, of_matched = (
            np.array([each.scores[score] for each in some if each]) for some in (nulls, matched)
        )
        yield sets.measure(
            score,
            value,
            group,
            name,
            boots[score],
            of_nulls,
            within=(0, np.inf if score == "density" else 1),
            matched=float(of_matched.mean()) if len(of_matched) else None,
            train=train.scores[score] if train else None,
        )


def _booted(sets: ViewSets, found: Manifolds) -> dict[str, Values]:
    """Draw images anew whose neighbourhoods stay as they are."""
    real_BN, synthetic_BM = sets.drawn
    return {
        "precision": means(synthetic_BM, found.precise_M),
        "density": means(synthetic_BM, found.dense_M),
        "recall": means(real_BN, found.recalled_N),
        "coverage": means(real_BN, found.covered_N),
    }


def _distances(sets: ViewSets, group: str, name: str, parts: list[np.ndarray]) -> Iterator[Measure]:
    real_NF, synthetic_MF, train_TF = parts
    most = WIDE_DRAWS if real_NF.shape[1] > WIDE else DRAWS
    draws = min(most, max(10, sets.settings.bootstraps // 10))
    splits = list(zip(*(part[: min(SPLITS, draws)] > 0 for part in (*sets.halves, sets.some)), strict=True))
    for score, distance in (("frechet", frechet), ("kid", kernel_distance)):
        matched = [distance(real_NF[one_N], synthetic_MF[some_M]) for one_N, _, some_M in splits]
        yield sets.measure(
            score,
            distance(real_NF, synthetic_MF),
            group,
            name,
            _drawn(sets, real_NF, synthetic_MF, draws) if score == "frechet" else None,
            np.array([distance(real_NF[one_N], real_NF[other_N]) for one_N, other_N, _ in splits]),
            within=(0, np.inf),
            matched=float(np.mean(matched)) if matched else None,
            train=distance(real_NF, train_TF),
            ideal=0.0,
            note="an interval of draws with repeats would be of the repeats" if score == "kid" else "",
        )


def _drawn(sets: ViewSets, real_NF: np.ndarray, synthetic_MF: np.ndarray, draws: int) -> Values:
    """Give the Frechet distance of draws, of which one at a time is held: each is as large as the sets."""
    weights = zip(*(part[:draws].astype(np.int64) for part in sets.drawn), strict=True)
    return np.array(
        [
            frechet(np.repeat(real_NF, real_N, axis=0), np.repeat(synthetic_MF, synthetic_M, axis=0))
            for real_N, synthetic_M in weights
        ]
    )
