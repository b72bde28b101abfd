"""Power by octave inside the breast, its anisotropy, and the background: stripes, grain, blur and a veil.

A generator may match the reals in every normalised distance and still draw stripes (power near the axes),
grain (too much in the finest octave), blur (too little) or a veil (a background that is not black).

Octaves are of frequency in cycles a pixel, the finest first: [1/4, 1/2], [1/8, 1/4), ... down to two cycles
a region, below which a Hann window mixes what is left of the mean into the power. Sectors: every cell of an
octave belongs to one of two. It is near an axis if the angle between its frequency and the nearest axis is
below 22.5 degrees, and near a diagonal otherwise; tan(22.5 degrees) is irrational, so that no cell lies
between. Anisotropy is the mean power near the axes by that near the diagonals: 1 of white noise. Cells of a
ring differ a little in radius, so that a steep isotropic spectrum isn't exactly 1: compare sets of one size.

Shape suffixes: H x W pixels, S the side of a region, O octaves, N images.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from mammogan.metrics import breast_density, power_spectrum
from mammogan.metrics.histogram_moments import WHITE
from mammogan.metrics.power_spectrum import Values

Image = NDArray[np.uint16]

DARKEST = 0.1
"""Part of an image's pixels, the darkest, whose mean grey is its background."""
SAMPLED_ROWS = 320
"""Of larger images every k-th row and column is asked for the background, so many rows at least."""
LOWEST_CYCLES = 2
NEAR = np.tan(np.pi / 8)
"""Ratio of the two frequencies below which a cell is near an axis."""


@dataclass(frozen=True)
class Bands:
    """Of one image, or pooled over a set.

    Attributes
    ----------
    power_O2
        Mean power near the axes and near the diagonals by octave, NaN if no region fits into a breast. In the
        units of `power_spectrum`: white noise of variance v has power v everywhere; white is 1.
    variance
        Mean power of all frequencies of the regions: their contrast. NaN as above.
    background
        Mean grey of the darkest tenth of pixels, from 0 to 255; see `background`.
    side
        Of regions, in pixels.
    images, measured
        Images, and those of them into whose breast a region fits; powers are of these.
    """

    power_O2: Values
    variance: float
    background: float
    side: int
    images: int = 1
    measured: int = 1

    @property
    def power_O(self) -> Values:  # noqa: N802 - the suffix is a shape
        """Mean power of an octave's cells."""
        return octave_power(self.power_O2, self.side)

    @property
    def anisotropy_O(self) -> Values:  # noqa: N802
        """Power near the axes by power near the diagonals, NaN where there is none."""
        return anisotropy(self.power_O2)


@dataclass(frozen=True)
class BandRatios:
    """Of synthetics beside reals: ratios by octave and of variance; background's difference in greys of 255.

    NaN where either set has no region; 1, 1, 1 and 0 are alike.
    """

    power_O: Values
    anisotropy_O: Values
    variance: float
    background: float


class BandPower:
    """Bands of a set of images of one size: `update` with images, `merge` parts, `compute`.

    Power is pooled: the mean over images comes before any ratio, so that an image of hardly any power does
    not decide. Nothing but sums is held.

    Parameters
    ----------
    size_px : tuple of int
        Height and width of the images.
    most : int or None
        Regions an image at most, spread evenly over the breast; all of them by default.
    """

    def __init__(self, size_px: tuple[int, int], most: int | None = None) -> None:
        self.side, self.most = power_spectrum.side_px(size_px), most
        self.images, self.measured = 0, 0
        self._power_O2, self._variance, self._background = np.zeros((len(octaves(self.side)), 2)), 0.0, 0.0

    def update(self, images_NHW: Iterable[Image]) -> None:
        """Add images, uint16: an array (N, H, W), or one by one."""
        for image_HW in images_NHW:
            found = bands(image_HW, self.most)
            self.images += 1
            self._background += found.background
            if found.measured:
                self.measured += 1
                self._power_O2 += found.power_O2
                self._variance += found.variance

    def merge(self, other: BandPower) -> None:
        """Add the images of another part of the set."""
        if other.side != self.side:
            raise ValueError(f"regions of '{other.side}' pixels don't add up with those of '{self.side}'")
        self.images += other.images
        self.measured += other.measured
        self._power_O2 += other._power_O2
        self._variance += other._variance
        self._background += other._background

    def compute(self) -> Bands:
        """Return the means over images; NaN where no image has it."""
        measured, images = self.measured or np.nan, self.images or np.nan
        return Bands(
            self._power_O2 / measured,
            self._variance / measured,
            self._background / images,
            self.side,
            self.images,
            self.measured,
        )


def bands(image_HW: Image, most: int | None = None) -> Bands:
    """Measure one image, uint16, its breast outlined above its background; see `BandPower` for `most`."""
    depth_HW = breast_density.depth(outline(image_HW))
    return of_periodogram(image_HW, *power_spectrum.periodogram(image_HW, depth_HW, most))


def of_periodogram(image_HW: Image, power_SS: Values, regions: int) -> Bands:
    """Return the bands of an image whose `power_spectrum.periodogram` is there already."""
    side = len(power_SS)
    sums = np.bincount(_sectors(side).ravel(), power_SS.ravel(), 2 * len(octaves(side)) + 1)[:-1]
    power_O2 = sums.reshape(-1, 2) / cells(side)
    return Bands(power_O2, float(power_SS.mean()), background(image_HW), side, 1, int(regions > 0))


def compare(synthetic: Bands, real: Bands) -> BandRatios:
    """Return synthetics beside reals; both of one size."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return BandRatios(
            synthetic.power_O / real.power_O,
            synthetic.anisotropy_O / real.anisotropy_O,
            float(np.float64(synthetic.variance) / real.variance),
            synthetic.background - real.background,
        )


def background(image_HW: Image) -> float:
    """Return the mean grey of the darkest tenth of the pixels, from 0 to 255.

    Around a breast reals are black, 0, and nearly all frames have a tenth of that. A veiled image is found,
    too, for no outline of the breast is asked: one that goes by darkness takes a lifted background for
    breast. It is the mean of a tenth, not the darkest pixel, so that a few black pixels hide nothing.
    """
    step = max(1, len(image_HW) // SAMPLED_ROWS)
    pixels = image_HW[::step, ::step].ravel()
    count = max(1, round(DARKEST * pixels.size))
    return float(np.partition(pixels, count - 1)[:count].mean() * 255 / WHITE)


def outline(image_HW: Image) -> breast_density.Mask:
    """Outline the breast above the image's own background, which is no part of it where it is not black."""
    level = round(background(image_HW) * WHITE / 255)
    return breast_density.outline(image_HW - np.minimum(image_HW, np.uint16(level)))


def octaves(side: int) -> list[tuple[float, float]]:
    """Return the octaves that regions of a side have, in cycles a pixel, the finest first."""
    found, low = [], side // 4
    while low >= LOWEST_CYCLES:
        found.append((low / side, 2 * low / side))
        low //= 2
    return found


def octave_names(side: int) -> list[str]:
    """Name the octaves by their period in pixels, as ``2-4px`` for the finest."""
    return [f"{2 << k}-{4 << k}px" for k in range(len(octaves(side)))]


def cells(side: int) -> Values:
    """Count the cells near the axes and near the diagonals of each octave: (O, 2)."""
    counts = np.bincount(_sectors(side).ravel(), minlength=2 * len(octaves(side)) + 1)[:-1]
    return counts.reshape(-1, 2).astype(np.float64)


def octave_power(power_O2: Values, side: int) -> Values:
    """Return the mean power of all cells of an octave: (..., O) of (..., O, 2)."""
    counts_O2 = cells(side)
    return np.asarray((power_O2 * counts_O2).sum(axis=-1) / counts_O2.sum(axis=-1))


def anisotropy(power_O2: Values) -> Values:
    """Return power near the axes by power near the diagonals: (..., O) of (..., O, 2)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(power_O2[..., 0] / power_O2[..., 1])


@lru_cache(maxsize=8)
def _sectors(side: int) -> NDArray[np.int64]:
    """Return the sector of each cell of `numpy.fft.fft2`: 2 o near an axis, 2 o + 1 not, 2 O of no octave."""
    cycles = np.abs(np.fft.fftfreq(side) * side)
    radius_SS = np.hypot(cycles[:, None], cycles)
    least_SS, most_SS = np.minimum(cycles[:, None], cycles), np.maximum(cycles[:, None], cycles)
    near_SS = least_SS < NEAR * most_SS
    count = len(octaves(side))
    sectors_SS = np.full((side, side), 2 * count)
    for number, (low, high) in enumerate(octaves(side)):
        below_SS = radius_SS <= side * high if number == 0 else radius_SS < side * high
        inside_SS = (radius_SS >= side * low) & below_SS
        sectors_SS[inside_SS] = 2 * number + np.where(near_SS[inside_SS], 0, 1)
    return sectors_SS
