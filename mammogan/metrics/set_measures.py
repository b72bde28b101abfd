"""What a distance between normalised patches does not see of a set of synthetics, beside reals of one view.

Stripes, grain and blur (power by octave and direction inside the breast), a veil (background), washed-out
pictures (deviation), pictures left out (coverage). `look` measures an image; `compare` two sets of looks.

Shape suffixes: N images, O octaves, P pixels of a thumbnail, F features, H images of a half.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.metrics import band_power, power_spectrum, prdc, random_features
from mammogan.metrics.histogram_moments import WHITE

Image = NDArray[np.uint16]
Looks = dict[str, NDArray[np.float32]]
"""Of one view: ``power`` (N, O, 2), ``background`` (N,), ``thumbnail`` (N, P), ``features`` (N, F)."""

MEASURES = ("band-power", "anisotropy", "background", "deviation", "coverage")
MOST_REGIONS = 16
"""Regions of an image whose power is taken; they are spread over the breast."""
THUMBNAIL_ROWS = 16
FLAT = 1e-6
"""Features that deviate less among reals are not put in units of their deviation."""


@dataclass(frozen=True)
class Found:
    """One measure of synthetics beside reals.

    `value` is for reading, `off` for comparing: how far from alike, the lower the better, 0 at best. NaN
    where there is nothing to measure. `octaves` are values by octave.
    """

    value: float
    off: float
    octaves: dict[str, float] = field(default_factory=dict)


def look(image_HW: Image) -> dict[str, NDArray[np.float32]]:
    """Measure one image; power is NaN if no region fits into its breast."""
    found = band_power.bands(image_HW, MOST_REGIONS)
    power_O2 = found.power_O2 if found.measured else np.full_like(found.power_O2, np.nan)
    rows, columns = image_HW.shape
    size = (max(1, round(columns * THUMBNAIL_ROWS / rows)), min(rows, THUMBNAIL_ROWS))
    size = size if rows > THUMBNAIL_ROWS else (columns, rows)
    thumbnail_HW = cv2.resize(image_HW, size, interpolation=cv2.INTER_AREA)
    return {
        "power": power_O2.astype(np.float32),
        "background": np.array(found.background, np.float32),
        "thumbnail": thumbnail_HW.ravel().astype(np.float32) / WHITE,
        "features": random_features.embed(image_HW),
    }


def some(looks: Looks, images_H: NDArray[np.int64]) -> Looks:
    """Take some images."""
    return {name: values[images_H] for name, values in looks.items()}


def compare(fakes: Looks, reals: Looks, side: int) -> dict[str, Found]:
    """Compare two sets by all `MEASURES`; `side` is of the regions that power was taken in.

    Coverage counts how many of the reals have a synthetic within the distance of their fifth neighbour, in
    the features of the random network, each by its deviation among the reals (Naeem et al. 2020).
    """
    return {
        "band-power": _band_power(fakes, reals, side),
        "anisotropy": _anisotropy(fakes, reals, side),
        "background": _background(fakes, reals),
        "deviation": _deviation(fakes, reals),
        "coverage": _coverage(fakes, reals),
    }


def side_px(size_px: tuple[int, int]) -> int:
    """Return the side of the regions that power is taken in."""
    return power_spectrum.side_px(size_px)


def _power(looks: Looks) -> NDArray[np.float64]:
    """Return the mean power (O, 2) of the images that have any; NaN if none has."""
    power_NO2 = looks["power"].astype(np.float64)
    measured_N = np.isfinite(power_NO2).all(axis=(1, 2)) if power_NO2.size else np.zeros(len(power_NO2), bool)
    return np.asarray(power_NO2[measured_N].sum(axis=0) / (measured_N.sum() or np.nan))


def _band_power(fakes: Looks, reals: Looks, side: int) -> Found:
    """Mean over octaves and directions of the ratio of powers, in doublings whichever way."""
    fake_O2, real_O2 = _power(fakes), _power(reals)
    off = _doublings(fake_O2 / _positive(real_O2))
    ratio_O = band_power.octave_power(fake_O2, side) / _positive(band_power.octave_power(real_O2, side))
    return Found(off, off, _by_octave(ratio_O, side))


def _anisotropy(fakes: Looks, reals: Looks, side: int) -> Found:
    """Power near the axes by power near the diagonals, synthetics by reals: 1 is alike, stripes more."""
    fake_O, real_O = (band_power.anisotropy(_power(looks)) for looks in (fakes, reals))
    ratio_O = fake_O / _positive(real_O)
    return Found(_geometric_mean(ratio_O), _doublings(ratio_O), _by_octave(ratio_O, side))


def _background(fakes: Looks, reals: Looks) -> Found:
    """Grey of the background above that of the reals, of 255."""
    above = float(_mean(fakes["background"]) - _mean(reals["background"]))
    return Found(above, abs(above))


def _deviation(fakes: Looks, reals: Looks) -> Found:
    """Deviation between images, in the mean over pixels of thumbnails, synthetics by reals."""
    fake, real = (
        float(one["thumbnail"].std(axis=0).mean()) if len(one["thumbnail"]) > 1 else np.nan
        for one in (fakes, reals)
    )
    ratio = np.array([fake]) / _positive(np.array([real]))
    return Found(float(ratio[0]), _doublings(ratio))


def _coverage(fakes: Looks, reals: Looks) -> Found:
    mean_F, sd_F = reals["features"].mean(axis=0), reals["features"].std(axis=0)
    real_NF, fake_NF = (
        (one["features"] - mean_F) / np.where(sd_F > FLAT, sd_F, 1).astype(np.float32)
        for one in (reals, fakes)
    )
    covered = prdc.coverage(real_NF, fake_NF)
    return Found(covered, 1 - covered)


def _doublings(ratios: NDArray[np.float64]) -> float:
    with np.errstate(divide="ignore"):
        return float(np.abs(np.log2(ratios)).mean()) if ratios.size else float("nan")


def _geometric_mean(ratios_O: NDArray[np.float64]) -> float:
    with np.errstate(divide="ignore"):
        return float(np.exp(np.log(ratios_O).mean())) if len(ratios_O) else float("nan")


def _positive(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace what nothing can be divided by with NaN."""
    return np.where(values > 0, values, np.nan)


def _mean(values_N: NDArray[np.float32]) -> float:
    return float(values_N.mean(dtype=np.float64)) if len(values_N) else float("nan")


def _by_octave(values_O: NDArray[np.float64], side: int) -> dict[str, float]:
    return dict(zip(band_power.octave_names(side), values_O.tolist(), strict=True))
