"""The error of a number over fresh draws of every image set that it is taken from, by random half-samples.

All sets are split in halves at random, whole groups (patients) together; the number is taken from the first
halves and from the second. Half the difference of the two deviates as the number itself does over fresh draws
of as many images as there are (McCarthy 1969, Rev. Int. Stat. Inst. 37, 239-264; Krewski and Rao 1981, Ann.
Stat. 9, 1010-1019). Deleting one group at a time overstates it by the root of 2 where two sets are alike,
for distances are not smooth there; so many have to be deleted (Shao and Wu 1989, Ann. Stat. 17, 1176-1197),
and what is bent alike in both halves cancels in their difference.

Shape suffixes: N images, G groups, S splits, H images of a half.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Half = NDArray[np.int64]
Splits = list[tuple[Half, Half]]
"""Positions (H,) of the images of both halves, for each split."""


def ranks(groups: int, count: int, seed: Sequence[int]) -> NDArray[np.int64]:
    """Draw the order in which groups go to the first half, for each split: (S, G)."""
    return np.stack([np.random.default_rng([*seed, number]).permutation(groups) for number in range(count)])


def splits(groups_N: NDArray[np.int64], ranks_SG: NDArray[np.int64]) -> Splits:
    """Split images, each of a group, in two halves of one size; none if all are of one group.

    Groups stay whole, but for one that the middle may fall into, and are in the same half in other parts of
    the set (views) that are split by the same ranks. Of an odd number one image is left out.
    """
    half = len(groups_N) // 2
    if len(np.unique(groups_N)) < 2:
        return []
    found = []
    for rank_G in ranks_SG:
        order_N = np.argsort(rank_G[groups_N], kind="stable")
        found.append((np.sort(order_N[:half]), np.sort(order_N[-half:])))
    return found


def deviation(differences_S: Sequence[float]) -> float | None:
    """Estimate the deviation over fresh draws from half the differences of halves; None without any."""
    if not len(differences_S):
        return None
    return float(np.sqrt(np.mean(np.square(differences_S))))
