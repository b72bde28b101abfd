"""Mean power spectra of images: stripes, and the power of the finest octave.

Shape suffixes: N images, H x W pixels or frequencies, B bands.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
BANDS = ((0.25, 0.5001), (0.125, 0.25), (0.0625, 0.125))
"""Octaves in cycles per pixel, finest first; the first holds the highest frequency that pixels can show."""
SECTOR_DEG = 15.0
"""How far from an axis or a diagonal power is still counted as lying along it."""


def power(images_NHW: NDArray[np.generic]) -> Doubles:
    """Return each image's power spectrum (N, H, W), under a Hann window so that edges don't leak."""
    height, width = images_NHW.shape[1:]
    window_HW = np.hanning(height + 2)[1:-1, None] * np.hanning(width + 2)[1:-1]
    grey_NHW = images_NHW.astype(np.float64)
    means_N = (grey_NHW * window_HW).sum((1, 2)) / window_HW.sum()
    found: Doubles = np.abs(np.fft.fft2((grey_NHW - means_N[:, None, None]) * window_HW)) ** 2
    return found


def frequencies(height: int, width: int) -> tuple[Doubles, Doubles]:
    """Return each bin's radius in cycles per pixel and its angle from the nearer axis in degrees, 0 to 45."""
    y, x = np.abs(np.fft.fftfreq(height))[:, None], np.abs(np.fft.fftfreq(width))
    angle_HW = np.degrees(np.arctan2(np.minimum(y, x), np.maximum(y, x)))
    return np.hypot(y, x), angle_HW


def axes_over_diagonals(power_HW: Doubles) -> Doubles:
    """Return a band's mean power along the axes over that along the diagonals: (B,), finest first."""
    radius_HW, angle_HW = frequencies(*power_HW.shape)
    found = []
    for low, high in BANDS:
        band_HW = (radius_HW >= low) & (radius_HW < high)
        along = power_HW[band_HW & (angle_HW <= SECTOR_DEG)].mean()
        across = power_HW[band_HW & (angle_HW >= 45 - SECTOR_DEG)].mean()
        found.append(along / max(across, 1e-12))
    return np.array(found)


def band_power(power_HW: Doubles) -> Doubles:
    """Return each band's mean power in all directions: (B,), finest first."""
    radius_HW, _ = frequencies(*power_HW.shape)
    return np.array([power_HW[(radius_HW >= low) & (radius_HW < high)].mean() for low, high in BANDS])


def radial(power_HW: Doubles, bins: int = 32) -> tuple[Doubles, Doubles]:
    """Return the mean power at each radius, for a figure: (radii in cycles per pixel, power)."""
    radius_HW, _ = frequencies(*power_HW.shape)
    edges = np.linspace(0, 0.5, bins + 1)
    place_HW = np.digitize(radius_HW, edges) - 1
    kept = [number for number in range(bins) if (place_HW == number).any()]
    middle = (edges[:-1] + edges[1:]) / 2
    return middle[kept], np.array([power_HW[place_HW == number].mean() for number in kept])
