"""Sliced Wasserstein distance (Karras et al. 2018, section 5), written from its definition for one channel.

Shape suffixes: N images, H x W pixels, P patches, D numbers of a patch, R directions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Floats = NDArray[np.float32]
PATCH_PX, PATCHES, SMALLEST_PX = 7, 128, 16
DIRECTIONS = 512
BINOMIAL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def blur(images_NHW: Floats, gain: float = 1.0) -> Floats:
    """Blur by the binomial kernel of 5 x 5, images mirrored at their edges."""
    for axis in (1, 2):
        images_NHW = correlate1d(images_NHW, gain * BINOMIAL, axis=axis, mode="mirror")
    return images_NHW


def laplacian_pyramid(images_NHW: Floats) -> list[Floats]:
    """Return the levels, finest first; the last, 16 px or more at its shorter side, is what is left."""
    levels = []
    while min(images_NHW.shape[1:]) // 2 >= SMALLEST_PX:
        coarser_NHW = blur(images_NHW)[:, ::2, ::2]
        doubled_NHW = np.zeros_like(images_NHW)
        doubled_NHW[:, ::2, ::2] = coarser_NHW
        levels.append(images_NHW - blur(doubled_NHW, gain=2))  # a gain of 2 along each axis
        images_NHW = coarser_NHW
    return [*levels, images_NHW]


def patches(images_NHW: NDArray[np.generic], random: np.random.Generator) -> list[Floats]:
    """Cut 128 patches of 7 x 7 px from every level of every image: (N, P, D) a level."""
    found = []
    for level_NHW in laplacian_pyramid(images_NHW.astype(np.float32)):
        count, height, width = level_NHW.shape
        y_NP = random.integers(0, height - PATCH_PX + 1, (count, PATCHES))[..., None, None]
        x_NP = random.integers(0, width - PATCH_PX + 1, (count, PATCHES))[..., None, None]
        side = np.arange(PATCH_PX)
        cut = level_NHW[np.arange(count)[:, None, None, None], y_NP + side[:, None], x_NP + side]
        found.append(cut.reshape(count, PATCHES, -1))
    return found


def projected(level_NPD: Floats, directions_RD: Floats) -> Floats:
    """Return the sorted projections (R, N * P) of patches: centred, of sd 1 over all their numbers."""
    flat_PD = level_NPD.reshape(-1, level_NPD.shape[-1])
    flat_PD = (flat_PD - flat_PD.mean(dtype=np.float64)) / max(flat_PD.std(dtype=np.float64), 1e-8)
    return np.sort(directions_RD @ flat_PD.astype(np.float32).T, axis=1)


def directions(size: int, random: np.random.Generator) -> Floats:
    """Draw unit vectors: (R, D)."""
    drawn_RD = random.standard_normal((DIRECTIONS, size))
    return (drawn_RD / np.linalg.norm(drawn_RD, axis=1, keepdims=True)).astype(np.float32)


def distances(a: list[Floats], b: list[Floats], random: np.random.Generator) -> list[float]:
    """Return each level's distance x 1000 of two sets with equally many patches, as `patches` gives them."""
    found = []
    for a_NPD, b_NPD in zip(a, b, strict=True):
        directions_RD = directions(a_NPD.shape[-1], random)
        found.append(
            1000 * float(np.abs(projected(a_NPD, directions_RD) - projected(b_NPD, directions_RD)).mean())
        )
    return found
