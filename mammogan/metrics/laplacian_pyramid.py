"""The Laplacian pyramid of images, computed where patches are cut and nowhere else.

A level holds what an image loses when it is blurred by the 5x5 binomial [1 4 6 4 1] / 16 with mirrored
borders and halved (Burt and Adelson 1983); the last level is the low-pass that is left. Doubling all of a
low-pass to read 128 patches of it would be most of the work, so only what lies under the patches is doubled.

Shape suffixes: N images, H x W pixels, P patches, S rows of a patch, D its pixels, A rows and B pixels of the
part of the coarser low-pass that a patch hangs on.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SMALLEST_ROWS = 16
PATCH_PX = 7
KERNEL = (1, 4, 6, 4, 1)


def levels(height_px: int, width_px: int) -> tuple[tuple[int, int], ...]:
    """Give the pyramid's resolutions, finest first: halved while even and 16 rows are left."""
    shapes = [(height_px, width_px)]
    while shapes[-1][0] // 2 >= SMALLEST_ROWS and not any(side % 2 for side in shapes[-1]):
        shapes.append((shapes[-1][0] // 2, shapes[-1][1] // 2))
    return tuple(shapes)


def patch_px(shape: tuple[int, int]) -> int:
    """Give the side of a level's patches: 7 pixels, or fewer where the level is smaller."""
    return min(PATCH_PX, *shape)


def low_passes(
    images_NHW: NDArray[np.uint16], shapes: Sequence[tuple[int, int]], device: torch.device
) -> list[Tensor]:
    """Blur and halve uint16 images (N, H, W) again and again: float32 of each of `shapes`, finest first."""
    if device.type == "cpu":  # OpenCV is ten times as fast there
        stacks = [np.empty((len(images_NHW), *shape), np.float32) for shape in shapes]
        stacks[0][...] = images_NHW
        for finer_NHW, coarser_NHW in pairwise(stacks):
            for finer_HW, coarser_HW in zip(finer_NHW, coarser_NHW, strict=True):
                cv2.pyrDown(finer_HW, dst=coarser_HW)
        return [torch.from_numpy(stack) for stack in stacks]
    found = [torch.from_numpy(images_NHW.astype(np.float32)).to(device)]
    for _ in shapes[1:]:
        found.append(halved(found[-1]))
    return found


def halved(images_NHW: Tensor) -> Tensor:
    """Blur and halve in plain sums, which stay fp32 where a GPU's convolutions would be TF32."""
    for axis in (1, 2):
        length = images_NHW.shape[axis]
        places = torch.arange(-2, length + 2, device=images_NHW.device).abs()  # mirrored about the first
        places = torch.where(places < length, places, 2 * length - 2 - places)  # and about the last
        parts = [images_NHW.index_select(axis, places[shift : shift + length : 2]) for shift in range(5)]
        weighted = [part * (weight / sum(KERNEL)) for part, weight in zip(parts, KERNEL, strict=True)]
        images_NHW = torch.stack(weighted).sum(dim=0)
    return images_NHW


def cut(
    low_NHW: Tensor, coarser_NHW: Tensor | None, y_NP: NDArray[np.int64], x_NP: NDArray[np.int64]
) -> Tensor:
    """Cut a level's patches: (N * P, D) float32.

    Parameters
    ----------
    low_NHW, coarser_NHW
        The level's low-pass and that of the next, None at the last level.
    y_NP, x_NP
        Where each patch begins.
    """
    size = patch_px((low_NHW.shape[1], low_NHW.shape[2]))
    y_NP1, x_NP1 = (torch.from_numpy(at_NP[..., None]).to(low_NHW.device) for at_NP in (y_NP, x_NP))
    steps_S = torch.arange(size, device=low_NHW.device)
    patches_PD = _taken(low_NHW, y_NP1 + steps_S, x_NP1 + steps_S)
    if coarser_NHW is None:
        return patches_PD
    # The doubled image is mirrored about its last row, a row between two of the coarser: so the last repeats.
    steps_A = torch.arange(size // 2 + 3, device=low_NHW.device) - 1
    places = [
        (at_NP1.div(2, rounding_mode="floor") + steps_A).abs().clamp(max=side - 1)
        for at_NP1, side in zip((y_NP1, x_NP1), coarser_NHW.shape[1:], strict=True)
    ]
    around_PB = _taken(coarser_NHW, *places)
    parities_P = (y_NP1 % 2 * 2 + x_NP1 % 2).flatten()
    for parity in range(4):
        mine = (parities_P == parity).nonzero().flatten()
        weights_BD = _weights(size, parity).to(low_NHW.device)
        patches_PD.index_add_(0, mine, around_PB.index_select(0, mine) @ weights_BD, alpha=-1)
    return patches_PD


def doubling(size: int, odd: int) -> Tensor:
    """Give the weights by which `size` rows of a doubled image come from those of the coarser: (S, A).

    Doubled means zeros put between, blurred, times 2. The first row is even or `odd`; row 0 of the coarser is
    the one before that which it stands on or after.
    """
    weights_SA = torch.zeros(size, size // 2 + 3)
    for row in range(size):
        stands, between = divmod(row + odd, 2)
        if between:
            weights_SA[row, stands + 1 : stands + 3] = 1 / 2
        else:
            weights_SA[row, stands : stands + 3] = torch.tensor([1 / 8, 6 / 8, 1 / 8])
    return weights_SA


@lru_cache
def _weights(size: int, parity: int) -> Tensor:
    return torch.kron(doubling(size, parity // 2), doubling(size, parity % 2)).T.contiguous()


def _taken(images_NHW: Tensor, rows_NPA: Tensor, columns_NPA: Tensor) -> Tensor:
    count, height, width = images_NHW.shape
    first_N = torch.arange(count, device=images_NHW.device) * (height * width)
    at_NPA = first_N[:, None, None] + rows_NPA * width
    at_NPAA = at_NPA[..., None] + columns_NPA[:, :, None, :]
    return images_NHW.flatten().index_select(0, at_NPAA.flatten()).reshape(-1, at_NPAA[0, 0].numel())
