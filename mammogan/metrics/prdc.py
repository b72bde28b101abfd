"""Nearest neighbours in a space of features, in chunks; precision, recall, density and coverage by them.

Precision and recall as in Kynkäänniemi et al. (2019), density and coverage as in Naeem et al. (2020), where
networks with random weights are recommended for pictures unlike those that others were trained on.

Shape suffixes: N reals, M synthetics, Q queries, T targets, F features, K neighbours.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]
Values = NDArray[np.float64]

K = 5
CHUNK = 512
"""Queries whose distances to all targets are held at once: 10 MB for 5,000 targets."""


@dataclass(frozen=True)
class Nearest:
    """The nearest targets of each query, nearest first: distances and positions, (Q, K).

    `mirrored_QK` says that a target's mirror image was nearer than itself. Where there are fewer targets,
    distances are infinite and positions -1.
    """

    distance_QK: Features
    target_QK: NDArray[np.int32]
    mirrored_QK: NDArray[np.bool_]


@dataclass(frozen=True)
class Manifolds:
    """Which images lie near the other set, by ball of radius to the `K`-th neighbour; means are the scores.

    `precise_M`: a synthetic lies in some real's ball; `dense_M`: in how many, by K; `recalled_N`: a real lies
    in some synthetic's ball; `covered_N`: a real's ball holds a synthetic.
    """

    precise_M: Values
    dense_M: Values
    recalled_N: Values
    covered_N: Values

    @property
    def scores(self) -> dict[str, float]:
        """Give precision, recall, density and coverage."""
        named = ("precision", "recall", "density", "coverage")
        values = (self.precise_M, self.recalled_N, self.dense_M, self.covered_N)
        return {name: float(each.mean()) for name, each in zip(named, values, strict=True)}


def squared(queries_QF: Features, targets_TF: Features) -> Features:
    """Give squared distances (Q, T)."""
    products = queries_QF @ targets_TF.T
    lengths = np.einsum("qf,qf->q", queries_QF, queries_QF)[:, None] + np.einsum(
        "tf,tf->t", targets_TF, targets_TF
    )
    return np.asarray(np.maximum(lengths - 2 * products, 0), np.float32)


def nearest(
    queries_QF: Features,
    targets_TF: Features,
    count: int,
    mirrored_TF: Features | None = None,
    barred: Callable[[slice], NDArray[np.bool_]] | None = None,
) -> Nearest:
    """Find each query's `count` nearest targets, or their mirror images.

    Parameters
    ----------
    barred
        Gives for a slice of queries (Q, T), true where a target doesn't count: itself, its own patient.
    """
    rows, wanted = len(queries_QF), min(count, len(targets_TF))
    found = Nearest(
        np.full((rows, count), np.inf, np.float32),
        np.full((rows, count), -1, np.int32),
        np.zeros((rows, count), bool),
    )
    if not wanted:
        return found
    for first in range(0, rows, CHUNK):
        part = slice(first, min(first + CHUNK, rows))
        squared_QT = squared(queries_QF[part], targets_TF)
        flipped_QT = np.zeros(squared_QT.shape, bool)
        if mirrored_TF is not None:
            other_QT = squared(queries_QF[part], mirrored_TF)
            flipped_QT = other_QT < squared_QT
            squared_QT = np.where(flipped_QT, other_QT, squared_QT)
        if barred is not None:
            squared_QT = np.where(barred(part), np.inf, squared_QT)
        some_QK = np.argpartition(squared_QT, wanted - 1, axis=1)[:, :wanted]
        order_QK = np.argsort(np.take_along_axis(squared_QT, some_QK, axis=1), axis=1, kind="stable")
        best_QK = np.take_along_axis(some_QK, order_QK, axis=1)
        distance_QK = np.sqrt(np.take_along_axis(squared_QT, best_QK, axis=1))
        found.distance_QK[part, :wanted] = distance_QK
        found.target_QK[part, :wanted] = np.where(np.isfinite(distance_QK), best_QK, -1)
        found.mirrored_QK[part, :wanted] = np.take_along_axis(flipped_QT, best_QK, axis=1)
    return found


def manifolds(real_NF: Features, synthetic_MF: Features, k: int = K) -> Manifolds | None:
    """Compare two sets; None if either has not more than `k` images."""
    if min(len(real_NF), len(synthetic_MF)) <= k:
        return None
    real_N, synthetic_M = radii(real_NF, k), radii(synthetic_MF, k)
    dense_M, recalled_N, covered_N = (
        np.zeros(len(synthetic_MF)),
        np.zeros(len(real_NF)),
        np.zeros(len(real_NF)),
    )
    for first in range(0, len(real_NF), CHUNK):
        part = slice(first, first + CHUNK)
        squared_NM = squared(real_NF[part], synthetic_MF)
        inside_NM = squared_NM <= real_N[part, None]
        dense_M += inside_NM.sum(axis=0)
        covered_N[part] = inside_NM.any(axis=1)
        recalled_N[part] = (squared_NM <= synthetic_M).any(axis=1)
    return Manifolds(np.asarray(dense_M > 0, np.float64), dense_M / k, recalled_N, covered_N)


def coverage(real_NF: Features, synthetic_MF: Features, k: int = K) -> float:
    """Return the share of reals whose ball holds a synthetic; NaN if either set has not more than `k` images.

    It is the coverage of `manifolds`, for half the work.
    """
    if min(len(real_NF), len(synthetic_MF)) <= k:
        return float("nan")
    real_N, covered = radii(real_NF, k), 0
    for first in range(0, len(real_NF), CHUNK):
        part = slice(first, first + CHUNK)
        nearest_N = squared(real_NF[part], synthetic_MF).min(axis=1)
        covered += int((nearest_N <= real_N[part]).sum())
    return covered / len(real_NF)


def radii(features_NF: Features, k: int = K) -> Features:
    """Give each image's squared distance to its `k`-th neighbour in its own set, itself not counted."""
    found_N = np.empty(len(features_NF), np.float32)
    for first in range(0, len(features_NF), CHUNK):
        part = slice(first, min(first + CHUNK, len(features_NF)))
        squared_QN = squared(features_NF[part], features_NF)
        rows = np.arange(squared_QN.shape[0])
        squared_QN[rows, rows + first] = np.inf
        found_N[part] = np.partition(squared_QN, k - 1, axis=1)[:, k - 1]
    return found_N
