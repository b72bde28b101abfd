"""Drawing sets of images anew, whole patients at a time, as weights: how often each image is in each draw.

What is told of draws is vectorised over them, so that 2,000 of 5,000 images take seconds.

Shape suffixes: N images, G groups (patients), B draws.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Weights = NDArray[np.float32]
Groups = NDArray[np.int64]
Values = NDArray[np.float64]


def bootstrap(groups_N: Groups, draws: int, random: np.random.Generator) -> Weights:
    """Draw as many groups as there are, with replacement, again and again: (B, N).

    Parameters
    ----------
    groups_N
        The group of each image, 0 .. G - 1, as `numbered` gives it; images of a group are drawn together.
    """
    groups = int(groups_N.max(initial=-1)) + 1
    if not groups:
        return np.zeros((draws, 0), np.float32)
    drawn_BG = random.multinomial(groups, np.full(groups, 1 / groups), size=draws)
    return np.asarray(drawn_BG[:, groups_N], np.float32)


def halves(groups_N: Groups, splits: int, random: np.random.Generator) -> tuple[Weights, Weights]:
    """Split images in halves that share no group, again and again: two (B, N) of 0 and 1.

    Groups are taken in random order up to half of the images; of a single group no halves can be made, and
    B is 0.
    """
    return subsets(groups_N, len(groups_N) // 2, splits, random) if len(groups_N) else _none(0)


def subsets(
    groups_N: Groups, images: int, splits: int, random: np.random.Generator
) -> tuple[Weights, Weights]:
    """Take two sets that share no group, of up to `images` each and of one group at least; see `halves`."""
    sizes_G = np.bincount(groups_N)
    if len(sizes_G) < 2 or images < 1:
        return _none(len(groups_N))
    sides = np.zeros((2, splits, len(groups_N)), np.float32)
    for split in range(splits):
        order = random.permutation(len(sizes_G))
        upto_G = np.cumsum(sizes_G[order])
        first = min(max(1, int(np.searchsorted(upto_G, images, "right"))), len(order) - 1)
        second = max(first + 1, int(np.searchsorted(upto_G, upto_G[first - 1] + images, "right")))
        chosen_G = np.zeros(len(order), np.int8)
        chosen_G[order[:first]], chosen_G[order[first:second]] = 1, 2
        sides[0, split], sides[1, split] = chosen_G[groups_N] == 1, chosen_G[groups_N] == 2
    return sides[0], sides[1]


def some(count: int, images: int, draws: int, random: np.random.Generator) -> Weights:
    """Take `images` of `count`, without replacement, again and again: (B, N) of 0 and 1."""
    taken_BN = np.zeros((draws, count), np.float32)
    for draw in range(draws):
        taken_BN[draw, random.choice(count, min(images, count), replace=False)] = 1
    return taken_BN


def numbered(names_N: NDArray[np.generic]) -> Groups:
    """Give groups numbers, 0 .. G - 1, in the order of their names."""
    return np.asarray(np.unique(names_N, return_inverse=True)[1], np.int64)


def spread(
    values_B: Values, value: float | None = None, within: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[float, float, float]:
    """Give mean, 2.5th and 97.5th percentile of draws; with `value`, the range is moved to be about it.

    A bootstrap repeats the bias that an estimate has, so that the range of overlaps lies below the overlap:
    moved by the mean difference it tells of the error alone.
    """
    known_B = values_B[np.isfinite(values_B)]
    if not len(known_B):
        return (float("nan"),) * 3
    mean, (low, high) = known_B.mean(), np.percentile(known_B, (2.5, 97.5))
    moved = 0.0 if value is None or not np.isfinite(value) else value - mean
    low, high = np.clip((low + moved, high + moved), *within)
    return float(mean), float(low), float(high)


def _none(count: int) -> tuple[Weights, Weights]:
    return np.zeros((0, count), np.float32), np.zeros((0, count), np.float32)
