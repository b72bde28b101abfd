"""The power spectrum of breast tissue: averaged over square regions, by radius, with its exponent and grids.

A mammogram's power falls with frequency as 1 / f^beta (Burgess 1999); beta of our own reals is the yardstick,
for a vendor's processing moves it.

Shape suffixes: H x W pixels, S the side of a region, R radii 1 .. S / 2 in cycles a region, N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.breast_density import Mask
from mammogan.metrics.histogram_moments import WHITE

Values = NDArray[np.float64]

LARGEST_PX, SMALLEST_PX = 128, 8
BAND_MM = (0.15, 0.7)
"""Cycles a millimetre between which beta is fitted (Chen et al. 2012 and others)."""
BAND_PX = (0.02, 0.4)
"""Cycles a pixel, where the size of a pixel is unknown or `BAND_MM` can't be seen."""
FEWEST_RADII = 3
EDGE_PART = 0.15
"""Depth below the skin line that is left out, as a part of a region's side."""


@dataclass(frozen=True)
class Spectrum:
    """Of one image: power by radius (R,), NaN if no region fits into the breast; grids; regions.

    Power is per pixel: white noise of variance v has power v at all frequencies; white is 1. `grids` has
    how far power stands out at the frequencies of `grid_names`, as log10 of it by its surroundings'.
    """

    power_R: Values
    grids: Values
    regions: int


def side_px(size_px: tuple[int, int]) -> int:
    """Give the side of regions: 128 pixels, less where images are small, 8 at least."""
    fitting = max(SMALLEST_PX, min(size_px) // 4)
    return int(min(LARGEST_PX, 1 << (fitting.bit_length() - 1)))


def frequencies(side: int) -> Values:
    """Give the radii in cycles a pixel: (R,)."""
    return np.arange(1, side // 2 + 1) / side


def grid_names(side: int) -> tuple[str, ...]:
    """Name the frequencies at which upsampling leaves grids: Nyquist's and halves of it, by direction."""
    return tuple(f"nyquist/{2**k}-{way}" for k in range(len(_grid_radii(side))) for way in ("x", "y", "xy"))


def spectrum(image_HW: NDArray[np.uint16], depth_HW: NDArray[np.float32]) -> Spectrum:
    """Average the periodograms of regions inside the breast; see `periodogram`."""
    return summary(*periodogram(image_HW, depth_HW))


def summary(power_SS: Values, regions: int) -> Spectrum:
    """Return the spectrum of what `periodogram` found."""
    side = len(power_SS)
    if not regions:
        nothing = np.full(side // 2, np.nan), np.full(len(grid_names(side)), np.nan)
        return Spectrum(*nothing, 0)
    return Spectrum(radial(power_SS), _grids(power_SS), regions)


def periodogram(
    image_HW: NDArray[np.uint16], depth_HW: NDArray[np.float32], most: int | None = None
) -> tuple[Values, int]:
    """Average the periodograms of regions that overlap by half and lie inside the breast.

    Each has its mean taken off and a Hann window put on (Welch 1967). `depth_HW` is `breast_density.depth`.
    With `most`, as many regions at most, spread evenly over those that fit.

    Returns
    -------
    tuple of Values and int
        Power (S, S) in the order of `numpy.fft.fft2`, NaN if no region fits; and the number of regions.
    """
    side = side_px((image_HW.shape[0], image_HW.shape[1]))
    inside_HW = depth_HW > max(1, round(EDGE_PART * side))
    window_SS = np.hanning(side + 2)[1:-1, None] * np.hanning(side + 2)[1:-1]
    places = _places(inside_HW, side)
    if most is not None and len(places) > most:
        places = [places[at] for at in np.linspace(0, len(places) - 1, most).round().astype(int)]
    if not places:
        return np.full((side, side), np.nan), 0
    total_SS = np.zeros((side, side))
    for top, left in places:
        region_SS = image_HW[top : top + side, left : left + side] / WHITE
        total_SS += np.abs(np.fft.fft2((region_SS - region_SS.mean()) * window_SS)) ** 2
    return total_SS / len(places) / (window_SS**2).sum(), len(places)


def radial(power_SS: Values) -> Values:
    """Average power over rings one cycle wide: (R,)."""
    side = len(power_SS)
    rings_SS = _rings(side)
    sums = np.bincount(rings_SS.ravel(), power_SS.ravel(), side // 2 + 1)
    return np.asarray((sums / np.bincount(rings_SS.ravel(), minlength=side // 2 + 1))[1 : side // 2 + 1])


def band(side: int, spacing_mm: float | None) -> tuple[tuple[float, float], str]:
    """Give the band that beta is fitted in, in cycles a pixel, and what it is stated in: ``mm`` or ``px``."""
    if spacing_mm:
        low, high = (cycles * spacing_mm for cycles in BAND_MM)
        if high <= 0.5 and _within(side, (low, high)).sum() >= FEWEST_RADII:
            return (low, high), "mm"
    return (BAND_PX if side > SMALLEST_PX else (BAND_PX[0], 0.5)), "px"


def exponents(power_NR: Values, cycles_px: tuple[float, float]) -> Values:
    """Fit beta of each image by least squares of log power on log frequency: (N,)."""
    side = 2 * power_NR.shape[1]
    fitted_R = _within(side, cycles_px)
    if fitted_R.sum() < FEWEST_RADII:
        return np.full(len(power_NR), np.nan)
    x_R = np.log(frequencies(side)[fitted_R])
    x_R -= x_R.mean()
    return np.asarray(-(np.log(np.maximum(power_NR[:, fitted_R], 1e-20)) @ x_R) / (x_R @ x_R))


def _within(side: int, cycles_px: tuple[float, float]) -> NDArray[np.bool_]:
    """Choose radii of a band from 3 on, of the smallest regions from 2: a Hann window blurs lower ones."""
    cycles_R = frequencies(side)
    lowest = (2.5 if side > SMALLEST_PX else 1.5) / side
    return np.asarray((cycles_R >= max(cycles_px[0], lowest)) & (cycles_R <= cycles_px[1]))


def _places(inside_HW: Mask, side: int) -> list[tuple[int, int]]:
    """List the upper left corners of regions that lie inside, half a side apart."""
    sums = np.pad(inside_HW.astype(np.int64), ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    step = max(1, side // 2)
    tops = np.arange(0, inside_HW.shape[0] - side + 1, step)
    lefts = np.arange(0, inside_HW.shape[1] - side + 1, step)
    y, x = np.meshgrid(tops, lefts, indexing="ij")
    filled = sums[y + side, x + side] - sums[y, x + side] - sums[y + side, x] + sums[y, x]
    whole = filled == side * side
    return list(zip(y[whole].tolist(), x[whole].tolist(), strict=True))


def _grid_radii(side: int) -> list[int]:
    """Give Nyquist's frequency and its halves that are clear of the lowest, in cycles a region."""
    return [side >> k for k in range(1, 5) if side >> k >= 4] or [side // 2]


def _grids(power_SS: Values) -> Values:
    """Compare power at each grid's frequency with the median of the frequencies around it."""
    side, found = len(power_SS), []
    ring = np.ones((7, 7), bool)
    ring[2:5, 2:5] = False  # a Hann window spreads a line over its neighbours
    reach = np.arange(-3, 4)
    for radius in _grid_radii(side):
        for y, x in ((0, radius), (radius, 0), (radius, radius)):
            rows, columns = (y + reach) % side, (x + reach) % side
            around = power_SS[np.ix_(rows, columns)]
            found.append(np.log10((around[3, 3] + 1e-20) / (np.median(around[ring]) + 1e-20)))
    return np.array(found)


@lru_cache(maxsize=4)
def _rings(side: int) -> NDArray[np.int64]:
    cycles = np.fft.fftfreq(side) * side
    return np.asarray(np.minimum(np.rint(np.hypot(cycles[:, None], cycles)), side), np.int64)
