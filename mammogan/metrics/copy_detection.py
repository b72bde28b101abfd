"""Whether a generator copies: its pictures are then nearer to training images than to held-out ones.

No such measure tells memorising from poor variety by itself (Stein et al. 2023), so what it must find is
planted, and what a split of the patients alone does is measured beside it.

Shape suffixes: N images, P pixels of a thumbnail, Q queries, T training images, R held-out reals, B draws,
K nearest.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.bootstrap import Groups, Values, Weights
from mammogan.metrics.prdc import Features, Nearest

LISTED = 64
"""Nearest training images and reals that are kept of each image, so that sets can be drawn anew."""
ALARMS = 0.01
"""Share of held-out reals that the detector may take for copies."""
AT_ONCE = 1 << 23


def correlated(thumbnails_NP: NDArray[np.uint16], mean_P: Features) -> Features:
    """Take the mean picture off and scale to length 1: squared distances are then 2 - 2 x correlation.

    All breasts of a view are alike in outline; about the mean picture, only what is a breast's own counts.
    """
    off_NP = thumbnails_NP.astype(np.float32) - mean_P
    off_NP -= off_NP.mean(axis=1, keepdims=True)
    length_N = np.linalg.norm(off_NP, axis=1, keepdims=True)
    return np.asarray(off_NP / np.maximum(length_N, 1e-6), np.float32)


def correlation(distance: float) -> float:
    """Give the correlation of two pictures at that distance."""
    return 1 - distance**2 / 2


def first(found: Nearest, drawn_BT: Weights, part: slice | None = None) -> Features:
    """Give each query's distance to the nearest target drawn, (B, Q); of none, to the last listed."""
    part = part or slice(None)
    target_QK, distance_QK = found.target_QK[part], found.distance_QK[part]
    there_BQK = (drawn_BT > 0)[:, target_QK] & (target_QK >= 0)
    at_BQ = there_BQK.argmax(axis=2)
    at_BQ = np.where(there_BQK.any(axis=2), at_BQ, target_QK.shape[1] - 1)
    return np.asarray(np.take_along_axis(distance_QK[None], at_BQ[..., None], axis=2)[..., 0])


def share_nearer(
    one: Nearest, one_BT: Weights, other: Nearest, other_BR: Weights, queries_BQ: Weights
) -> Values:
    """Give the share of queries that are nearer to the drawn of one set than to those of another: (B,).

    Both sets must be equally large in each draw: then it is 0.5 if they are alike, half of ties counted in.
    """
    queries, listed = one.target_QK.shape
    shares = np.zeros(len(queries_BQ))
    at_once = max(1, AT_ONCE // max(1, queries * listed))
    for begin in range(0, len(queries_BQ), at_once):
        part = slice(begin, begin + at_once)
        one_BQ, other_BQ = first(one, one_BT[part]), first(other, other_BR[part])
        nearer_BQ = (one_BQ < other_BQ) + 0.5 * (one_BQ == other_BQ)
        shares[part] = (nearer_BQ * queries_BQ[part]).sum(axis=1) / queries_BQ[part].sum(axis=1)
    return shares


@dataclass(frozen=True)
class Detector:
    """What calls a picture a copy: it is so much nearer to a training image than to any held-out real.

    `limit` is of the quotient of both distances, and was set so that no more than `ALARMS` of `negatives`
    held-out reals, each compared with reals of other patients, lie below it.
    """

    limit: float
    negatives: int
    alarms: float

    @classmethod
    def of(cls, negatives_R: Values) -> Detector:
        """Set the limit by the quotients of held-out reals; without any it is 0, and nothing is a copy."""
        known_R = np.sort(negatives_R[np.isfinite(negatives_R)])
        if not len(known_R):
            return cls(0.0, 0, 0.0)
        limit = float(known_R[int(ALARMS * len(known_R))])
        return cls(limit, len(known_R), float((known_R < limit).mean()))

    def found(self, quotients_Q: Values) -> NDArray[np.bool_]:
        """Say which pictures are called copies: (Q,)."""
        return np.asarray(quotients_Q < self.limit)


def quotients(train: Nearest, held_out: Nearest) -> Values:
    """Give each query's distance to its nearest training image by that to its nearest held-out real: (Q,)."""
    return np.asarray(train.distance_QK[:, 0] / np.maximum(held_out.distance_QK[:, 0], 1e-9), np.float64)


def aloneness(train: Nearest, groups_T: Groups) -> Values:
    """Give each query's distance to the nearest training image by that to the nearest other patient's: (Q,).

    Far below 1, one training image is much nearer than all others are.
    """
    group_QK = np.where(train.target_QK >= 0, groups_T[train.target_QK], -1)
    other_QK = (group_QK != group_QK[:, :1]) & (group_QK >= 0)
    second_Q = np.where(other_QK.any(axis=1), other_QK.argmax(axis=1), 0)
    distance_Q = train.distance_QK[np.arange(len(second_Q)), second_Q]
    relative_Q = train.distance_QK[:, 0] / np.maximum(distance_Q, 1e-9)
    return np.asarray(np.where(other_QK.any(axis=1), relative_Q, np.nan), np.float64)
