"""Moments of an image's greys, exact from the histogram of its levels: no order of pixels, no chunk matters.

Shape suffixes: H x W pixels, L grey levels, P pixels in any order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

MOMENTS = ("mean", "sd", "skewness", "kurtosis", "hyperskewness")
"""Standardised from the third on; kurtosis is the excess over the normal distribution's 3."""
WHITE = 65535
FLAT_SD = 1e-6
"""Standard deviation (white: 1) below which an image has no shape; moments of higher order are then NaN."""
_LEVELS = np.arange(WHITE + 1) / WHITE


def histogram(pixels_P: NDArray[np.uint16]) -> NDArray[np.int64]:
    """Count the pixels of each of the 65,536 levels; histograms of parts add up to that of the whole."""
    return np.bincount(pixels_P.ravel(), minlength=WHITE + 1)


def moments(counts_L: NDArray[np.int64]) -> Values:
    """Give `MOMENTS` of greys from 0, black, to 1, white: (5,).

    Without any pixel all are NaN, and of a flat image those from the third on.
    """
    pixels = counts_L.sum()
    if not pixels:
        return np.full(len(MOMENTS), np.nan)
    lit = np.flatnonzero(counts_L)
    share_L, level_L = counts_L[lit] / pixels, _LEVELS[lit]
    mean = share_L @ level_L
    off_L = level_L - mean
    sd = float(np.sqrt(share_L @ off_L**2))
    if sd < FLAT_SD:
        return np.array([mean, sd, np.nan, np.nan, np.nan])
    third, fourth, fifth = (share_L @ (off_L / sd) ** order for order in (3, 4, 5))
    return np.array([mean, sd, third, fourth - 3, fifth])


def clipped(counts_L: NDArray[np.int64]) -> float:
    """Give the share of pixels that are black or white through and through; NaN without any pixel."""
    pixels = counts_L.sum()
    return float((counts_L[0] + counts_L[WHITE]) / pixels) if pixels else float("nan")
