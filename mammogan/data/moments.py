"""Moments of the reals' intensity, by sums that are exact whatever the order in which they are added."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

import cv2
import numpy as np
from numpy.typing import NDArray

PowerSums = tuple[int, int, int, int, int]
"""Of grey levels 0..4095: their number, and the sums of their first to fourth powers."""

NOTHING: PowerSums = (0, 0, 0, 0, 0)
LEVELS = 4096
_POWERS = [[level**power for level in range(LEVELS)] for power in range(1, 5)]


def power_sums(image_HW: NDArray[np.uint16]) -> PowerSums:
    """Sum up an image (0 black .. 65535 white), its grey levels rounded down to 12 bits."""
    counts = cv2.calcHist([image_HW], [0], None, [LEVELS], [0, 65536]).ravel()
    assert image_HW.size < 2**24, "a float32 counts no further"
    whole = counts.astype(np.int64).tolist()
    first, second, third, fourth = (sum(map(mul, whole, power)) for power in _POWERS)
    return image_HW.size, first, second, third, fourth


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
