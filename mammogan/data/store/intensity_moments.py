"""Moments of the reals' intensity, by sums that are exact whatever the order in which they are added."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mammogan.data.store.manifest import PowerSums

NOTHING: PowerSums = (0, 0, 0, 0, 0)
LEVELS = 4096
_LEVELS = np.arange(LEVELS, dtype=np.int64)
_CUBES, _HIGH, _LOW = _LEVELS**3, _LEVELS**4 >> 24, _LEVELS**4 & (1 << 24) - 1
"""Fourth powers in two halves: an image's sum of them would not fit 64 bits, those of its halves do."""


def power_sums(image_HW: NDArray[np.uint16]) -> PowerSums:
    """Sum up an image (0 black .. 65535 white), its grey levels rounded down to 12 bits."""
    lit = image_HW[image_HW > 0]  # half of a mammogram and more is background
    counts = np.bincount(lit >> 4, minlength=LEVELS)
    fourth = (int(counts @ _HIGH) << 24) + int(counts @ _LOW)
    return image_HW.size, int(counts @ _LEVELS), int(counts @ _LEVELS**2), int(counts @ _CUBES), fourth


def add(left: Sequence[int], right: Sequence[int], sign: int = 1) -> PowerSums:
    """Join the sums of two sets of images; with `sign` -1, take the right ones away again."""
    n, first, second, third, fourth = (a + sign * b for a, b in zip(left, right, strict=True))
    return n, first, second, third, fourth


def moments(sums: Sequence[int]) -> tuple[float, float, float, float]:
    """Work out mean and standard deviation on a scale from 0 to 1, skewness, and kurtosis (normal: 3)."""
    n, first, second, third, fourth = sums
    if n == 0:
        return 0.0, 0.0, 0.0, 0.0
    # Central moments times n**k, in whole numbers: differences of huge sums would lose all digits as floats.
    m2 = n * second - first**2
    m3 = n**2 * third - 3 * n * first * second + 2 * first**3
    m4 = n**3 * fourth - 4 * n**2 * first * third + 6 * n * first**2 * second - 3 * first**4
    mean, sd = (first / n + 0.5) / LEVELS, (m2 / n**2) ** 0.5 / LEVELS
    if m2 == 0:
        return mean, 0.0, 0.0, 0.0
    return mean, sd, m3 / m2**1.5, m4 / m2**2
