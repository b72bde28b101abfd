"""The reals' own support: per image its moments and its power by octaves, and what lies outside of it.

Shape suffixes: N images, H x W pixels, M measures, K frequencies.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.histogram_moments import MOMENTS, WHITE, histogram, moments

Values = NDArray[np.float64]

OCTAVES = {"power-finest": (0.25, 0.75), "power-fine": (0.125, 0.25), "power-coarse": (0.0625, 0.125)}
"""Bands of radial frequency in cycles a pixel, above the first to the second; a checkerboard's is 0.71."""


@dataclass(frozen=True)
class Support:
    """The range of each measure among reals of one view, low and high (M,)."""

    low_M: Values
    high_M: Values

    @classmethod
    def of(cls, values_NM: Values, tail: float) -> Support:
        """Leave out the share `tail` of the reals at each end; (N, M)."""
        low_M, high_M = np.nanquantile(values_NM, (tail, 1 - tail), axis=0)
        return cls(low_M, high_M)

    def outside(self, values_NM: Values) -> NDArray[np.bool_]:
        """Say which measures of which images are out of range, (N, M); what is not a number is."""
        inside_NM: NDArray[np.bool_] = (values_NM >= self.low_M) & (values_NM <= self.high_M)
        return ~inside_NM

    def flagged(self, values_NM: Values) -> NDArray[np.bool_]:
        """Say which images have a measure out of range, (N,)."""
        found_N: NDArray[np.bool_] = np.any(self.outside(values_NM), axis=1)
        return found_N


def names(size_px: tuple[int, int]) -> tuple[str, ...]:
    """Name the measures of images of this size, in the order of `measure`: small ones have fewer octaves."""
    return (*MOMENTS, *(name for name, ring_K in _rings(size_px) if ring_K.any()))


def measure(image_HW: NDArray[np.uint16]) -> Values:
    """Measure one image: its standardised moments over all pixels, white 1, and log10 of power by octaves.

    Power is the mean of the squared spectrum after mean removal and a Hann window; checkerboards and grids
    of a generator stand in the finest.
    """
    off_HW = (image_HW - image_HW.mean()) / WHITE
    height, width = image_HW.shape
    window_HW = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]
    power_K = np.abs(np.fft.rfft2(off_HW * window_HW)) ** 2
    rings = (ring_K for _, ring_K in _rings((height, width)) if ring_K.any())
    octaves = [np.log10(power_K[ring_K].mean() + 1e-12) for ring_K in rings]
    return np.array([*moments(histogram(image_HW)), *octaves])


@lru_cache(maxsize=4)
def _rings(size_px: tuple[int, int]) -> tuple[tuple[str, NDArray[np.bool_]], ...]:
    cycles_K = np.hypot(np.fft.fftfreq(size_px[0])[:, None], np.fft.rfftfreq(size_px[1]))
    return tuple((name, (cycles_K > low) & (cycles_K <= high)) for name, (low, high) in OCTAVES.items())
