"""Multi-scale structural similarity (Wang, Simoncelli and Bovik 2003) of pairs of images, and within a set.

Two pictures drawn at random from a set that has collapsed are alike, so the mean over such pairs tells how
diverse a set is (Odena et al. 2017). Compare it with that of the reals, for it says nothing of quality.

Shape suffixes: N images or pairs, H x W pixels.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import correlate1d

Floats = NDArray[np.float32]
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
"""Exponents of the scales, finest first (Wang et al. 2003, section 3.2)."""
WINDOW_PX, SIGMA_PX = 11, 1.5
STEADY_MEAN, STEADY_DEVIATION = 0.01**2, 0.03**2
"""C1 and C2 for greys from 0 to 1, which keep the quotients of black and flat pictures finite."""
CHUNK_PX = 1 << 21


def scales(height_px: int, width_px: int) -> int:
    """Count the scales at which a whole window fits, 1 to 5; the published five need 176 pixels."""
    fitting = [s for s in range(len(WEIGHTS)) if min(height_px, width_px) >> s >= WINDOW_PX]
    return max(1, len(fitting))


def ms_ssim(a_NHW: NDArray[np.uint16], b_NHW: NDArray[np.uint16]) -> NDArray[np.float64]:
    """Compare image i of one set with image i of the other: (N,), from 0 to 1, which is equality.

    Small images have fewer scales, whose weights are divided by their sum; sides below 11 pixels have one
    scale, and a window as large as the shorter side with a deviation in proportion. So values compare only
    between images of one size. A negative mean of a scale counts as 0, as in PGGAN.

    Parameters
    ----------
    a_NHW, b_NHW : uint16 (N, H, W)
        The whole range 0 .. 65535 is what the constants are relative to.

    Raises
    ------
    ValueError
        If the sets differ in shape.
    """
    if a_NHW.shape != b_NHW.shape:
        raise ValueError(f"MS-SSIM compares sets of one shape, not {a_NHW.shape} with {b_NHW.shape}")
    at_once = max(1, CHUNK_PX // max(1, a_NHW[:1].size))
    parts = [
        _compared(_grey(a_NHW[first : first + at_once]), _grey(b_NHW[first : first + at_once]))
        for first in range(0, len(a_NHW), at_once)
    ]
    return np.concatenate(parts) if parts else np.empty(0)


def self_similarity(images_NHW: NDArray[np.uint16]) -> float:
    """Mean MS-SSIM of the disjoint pairs (0, 1), (2, 3) ... of a set; an odd last image is left out.

    Raises
    ------
    ValueError
        If there is no pair.
    """
    count = len(images_NHW) // 2 * 2
    if not count:
        raise ValueError(f"MS-SSIM of a set needs two images, not {len(images_NHW)}")
    return float(ms_ssim(images_NHW[0:count:2], images_NHW[1:count:2]).mean())


def _compared(a_NHW: Floats, b_NHW: Floats) -> NDArray[np.float64]:
    count = scales(*a_NHW.shape[1:])
    product_N = np.ones(len(a_NHW))
    for scale, weight in enumerate(WEIGHTS[:count]):
        luminance_NHW, structure_NHW = _terms(a_NHW, b_NHW)
        # Luminance is compared at the coarsest scale alone.
        map_NHW = structure_NHW if scale < count - 1 else luminance_NHW * structure_NHW
        mean_N = map_NHW.mean(axis=(1, 2), dtype=np.float64)
        product_N *= np.maximum(mean_N, 0) ** (weight / sum(WEIGHTS[:count]))
        a_NHW, b_NHW = _halved(a_NHW), _halved(b_NHW)
    return product_N


def _terms(a_NHW: Floats, b_NHW: Floats) -> tuple[Floats, Floats]:
    """Give luminance, then contrast times structure, at every place of the window that is wholly inside."""
    smooth = partial(_smoothed, kernel=window(min(WINDOW_PX, *a_NHW.shape[1:])))
    mean_a, mean_b = smooth(a_NHW), smooth(b_NHW)
    product, squares = mean_a * mean_b, mean_a * mean_a + mean_b * mean_b
    covariance = smooth(a_NHW * b_NHW) - product
    variances = smooth(a_NHW * a_NHW + b_NHW * b_NHW) - squares
    luminance = (2 * product + STEADY_MEAN) / (squares + STEADY_MEAN)
    structure = (2 * covariance + STEADY_DEVIATION) / (variances + STEADY_DEVIATION)
    return np.asarray(luminance, np.float32), np.asarray(structure, np.float32)


def window(size_px: int) -> Floats:
    """Give the Gaussian window's profile, which sums to 1: deviation 1.5 for 11 pixels, and in proportion."""
    places = np.arange(size_px) - (size_px - 1) / 2
    profile = np.exp(-0.5 * (places / (SIGMA_PX * size_px / WINDOW_PX)) ** 2)
    return np.asarray(profile / profile.sum(), dtype=np.float32)


def _smoothed(images_NHW: Floats, kernel: Floats) -> Floats:
    """Filter rows and columns, and keep the places where the whole window is inside."""
    before, after = len(kernel) // 2, (len(kernel) - 1) // 2
    for axis in (1, 2):
        inside = slice(before, images_NHW.shape[axis] - after)
        images_NHW = correlate1d(images_NHW, kernel, axis=axis)
        images_NHW = images_NHW[:, inside] if axis == 1 else images_NHW[:, :, inside]
    return images_NHW


def _halved(images_NHW: Floats) -> Floats:
    """Average blocks of 2x2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in images_NHW.shape[1:])
    even = images_NHW[:, :height, :width]
    sums = even[:, ::2, ::2] + even[:, 1::2, ::2] + even[:, ::2, 1::2] + even[:, 1::2, 1::2]
    return np.asarray(sums / 4, np.float32)


def _grey(images_NHW: NDArray[np.uint16]) -> Floats:
    return images_NHW.astype(np.float32) / np.float32(65535)
