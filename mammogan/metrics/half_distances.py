"""Sliced Wasserstein distance between halves of two sets: how far a distance deviates over fresh draws.

Each set is projected once. A half's own mean and deviation come from its images' sums, for normalising is
affine and keeps the order of projections; so a split costs the sorting and no more.

Shape suffixes: N images, H images of a half, P patches of an image, D numbers of a patch, R directions, S
splits, L levels.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mammogan.metrics.half_samples import Half, Splits
from mammogan.metrics.patch_store import Floats
from mammogan.metrics.sliced_projection import AT_ONCE_NUMBERS, normalise, sort_rows, unit_directions
from mammogan.metrics.swd import SlicedWasserstein

Values = NDArray[np.float64]


def half_differences(
    a: SlicedWasserstein, b: SlicedWasserstein, of_a: Splits, of_b: Splits, directions: int
) -> Values:
    """Compute half the difference of SWD x 1000 between first and second halves, by split and level: (S, L).

    All halves are projected on the same directions. Both sets must have been gathered image by image, not
    merged, for a half is found by the places of its images.
    """
    a.check_settings(b)
    found_SL = np.zeros((len(of_a), len(a.levels)))
    for level in range(len(a.levels)):
        first, second = (_Level(normalise(one.stores[level].read()), one) for one in (a, b))
        random = np.random.default_rng([a.seed, level])
        directions_DR = unit_directions(len(first.patches_DNP), directions, random)
        found_SL[:, level] = 1000 * _differences(first, second, of_a, of_b, directions_DR)
    return found_SL


class _Level:
    """The patches of one level of a set, and the sums of each image's."""

    def __init__(self, patches_DP: Floats, one: SlicedWasserstein) -> None:
        self.patches_DNP = patches_DP.reshape(len(patches_DP), one.images, one.patches_per_image)
        self.device, self.numbers = one.device, len(patches_DP) * one.patches_per_image
        self.sum_N = sum(row_NP.sum(axis=1, dtype=np.float64) for row_NP in self.patches_DNP)
        self.squares_N = sum(np.square(row_NP, dtype=np.float64).sum(axis=1) for row_NP in self.patches_DNP)

    def project(self, directions_RD: Floats) -> Tensor:
        """Project all patches: (R, N, P)."""
        flat_DP = torch.from_numpy(self.patches_DNP.reshape(len(self.patches_DNP), -1)).to(self.device)
        projected_RP = torch.from_numpy(directions_RD).to(self.device) @ flat_DP
        return projected_RP.reshape(len(directions_RD), *self.patches_DNP.shape[1:])

    def sorted_half(self, projected_RNP: Tensor, images_H: Half, directions_RD: Floats) -> Tensor:
        """Sort the projections of a half that is normalised as a set of its own: (R, H x P)."""
        mean = self.sum_N[images_H].sum() / (len(images_H) * self.numbers)
        square = self.squares_N[images_H].sum() / (len(images_H) * self.numbers)
        deviation = max((square - mean**2) ** 0.5, 1e-12)
        shift_R1 = torch.from_numpy(mean * directions_RD.sum(axis=1, keepdims=True, dtype=np.float64)).float()
        half_RHP = projected_RNP.index_select(1, torch.from_numpy(images_H).to(projected_RNP.device))
        sorted_RP = sort_rows(half_RHP.reshape(len(directions_RD), -1))
        return sorted_RP.sub_(shift_R1.to(sorted_RP.device)).div_(deviation)


def _differences(a: _Level, b: _Level, of_a: Splits, of_b: Splits, directions_DR: Floats) -> Values:
    found_S = np.zeros(len(of_a))
    for some_RD in _parts(directions_DR, a.patches_DNP[0].size):
        a_RNP, b_RNP = a.project(some_RD), b.project(some_RD)
        for number, (mine, theirs) in enumerate(zip(of_a, of_b, strict=True)):
            first, second = (
                a.sorted_half(a_RNP, my, some_RD).sub_(b.sorted_half(b_RNP, their, some_RD)).abs_()
                for my, their in zip(mine, theirs, strict=True)
            )
            found_S[number] += float(first.mean(dim=1).double().sum() - second.mean(dim=1).double().sum()) / 2
    return np.asarray(found_S / directions_DR.shape[1])


def _parts(directions_DR: Floats, patches: int) -> Iterator[Floats]:
    at_once = max(1, AT_ONCE_NUMBERS // max(1, patches))
    directions_RD = np.ascontiguousarray(directions_DR.T)
    for first in range(0, len(directions_RD), at_once):
        yield directions_RD[first : first + at_once]
