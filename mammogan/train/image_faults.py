"""Faults that show in the images of a tick: a lifted background, a veil, stripes, grain and blur.

Pure functions of the two sheets of a tick and of the metrics as they are logged; see `mammogan.train.alarms`.
A young stage has all of these faults, so that they are judged late in it alone, and they are told of only: no
earlier tick is free of them, and no smaller learning rate cures them.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import numpy as np

from mammogan.metrics import band_power
from mammogan.metrics.band_power import BandPower, Bands
from mammogan.train.watch import Images, Tick, Watch

REGIONS = 16
"""Regions an image that power is taken of at most: a sheet has many images, and a tick shall be short."""
FEWEST = 8
"""Images of either sheet with a region in their breast, from which on power is compared."""
LATE = 2 / 3
"""Part of a stage from which on its images are judged."""
STRIPED_OCTAVES = ("2-4px", "4-8px")
ALIKE = 0.15
"""Deviation of fakes by that of reals up to which they count as alike (`collapse`), not as veiled."""


def observe(reals_NHW: Images, fakes_NHW: Images) -> dict[str, float]:
    """Measure two sheets of one shape, uint16 (N, H, W), blended alike while a stage fades in.

    Returns
    -------
    dict of str to float
        ``alarm/contrast_*``, the mean over images of the deviation of their pixels, from -1 to 1;
        ``alarm/background_*`` in greys of 255; and, where `FEWEST` images of both have a region inside the
        breast, fakes by reals: ``alarm/band_power_*`` and ``alarm/anisotropy_*`` by octave,
        ``alarm/fine_power``, which is that of the finest octave near the diagonals, where stripes add
        nothing, and ``alarm/fine_share``, which is that by the power of all frequencies, so that contrast
        is left out. What is not finite is left out.
    """
    values = {}
    for name, images_NHW in (("real", reals_NHW), ("fake", fakes_NHW)):
        deviations = [float(image_HW.std()) / 32767.5 for image_HW in images_NHW]
        values[f"alarm/contrast_{name}"] = float(np.mean(deviations))
    real, fake = _pooled(reals_NHW), _pooled(fakes_NHW)
    values |= {"alarm/background_real": real.background, "alarm/background_fake": fake.background}
    if min(real.measured, fake.measured) >= FEWEST:
        values |= _powers(fake, real)
    return {name: value for name, value in values.items() if math.isfinite(value)}


def _background(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    now = ticks[-1]
    if not _late(now) or "alarm/background_fake" not in now:
        return None
    return now["alarm/background_fake"] - now["alarm/background_real"], ""


def _veil(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    now = ticks[-1]
    deviation, contrast = _ratio(now, "alarm/deviation"), _ratio(now, "alarm/contrast")
    if not _late(now) or deviation is None or contrast is None:
        return None
    # Below that they are alike, which 'collapse' tells of.
    return min((deviation, "deviation"), (contrast, "contrast")) if deviation > ALIKE else None


def _stripes(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    now = ticks[-1]
    found = [
        (now[key], f"periods of {octave.removesuffix('px')} pixels")
        for octave in STRIPED_OCTAVES
        if (key := f"alarm/anisotropy_{octave}") in now
    ]
    return max(found, default=None) if _late(now) else None


def _newest(key: str, ticks: Sequence[Tick]) -> tuple[float, str] | None:
    return (ticks[-1][key], "") if _late(ticks[-1]) and key in ticks[-1] else None


def _late(tick: Tick) -> bool:
    """Whether a stage is old enough; ticks of earlier versions don't say."""
    return tick.get("progress", 0.0) >= LATE and tick.get("fade", 0.0) == 1


def _ratio(tick: Tick, key: str) -> float | None:
    fake, real = tick.get(f"{key}_fake"), tick.get(f"{key}_real", 0.0)
    return None if fake is None or real <= 0 else fake / real


def _powers(fake: Bands, real: Bands) -> dict[str, float]:
    ratios, values = band_power.compare(fake, real), {}
    for number, name in enumerate(band_power.octave_names(real.side)):
        values[f"alarm/band_power_{name}"] = float(ratios.power_O[number])
        values[f"alarm/anisotropy_{name}"] = float(ratios.anisotropy_O[number])
    if real.power_O2[0, 1] > 0:
        values["alarm/fine_power"] = float(fake.power_O2[0, 1] / real.power_O2[0, 1])
        values["alarm/fine_share"] = values["alarm/fine_power"] / (ratios.variance or math.nan)
    return values


def _pooled(images_NHW: Images) -> Bands:
    found = BandPower((images_NHW.shape[1], images_NHW.shape[2]), REGIONS)
    found.update(images_NHW)
    return found.compute()


WATCHES: dict[str, Watch] = {
    "background": Watch(
        _background,
        False,
        "the background of generated images is lighter than that of reals, in greys of 255, by",
        "Images are washed out: let the stage go on, or shorten the memory of the average (table ema).",
        acts=False,
    ),
    "veil": Watch(
        _veil,
        True,
        "generated images are washed out; their {whose}, as a part of the reals', is",
        "The average still holds younger images: let the stage go on, or shorten its memory (table ema).",
        acts=False,
    ),
    "stripes": Watch(
        _stripes,
        False,
        "generated images have stripes; their power near the axes by that near the diagonals, at {whose}, "
        "as a multiple of the reals', is",
        "Look at the sheets of samples; a generator with noise inputs (network.kind) draws fewer of them.",
        acts=False,
    ),
    "grain": Watch(
        partial(_newest, "alarm/fine_power"),
        False,
        "generated images have grain; their finest power, as a multiple of the reals', is",
        "Look at the sheets of samples, and prefer an earlier checkpoint of the stage.",
        acts=False,
    ),
    "blur": Watch(
        partial(_newest, "alarm/fine_share"),
        True,
        "generated images are blurred; the finest power's share of all, as a part of the reals', is",
        "Let the stage go on (schedule.stable_kimg), or widen the networks (network.channels_base).",
        acts=False,
    ),
}
"""Alarms by name, as `mammogan.train.alarms.WATCHES`, of which these are the last rows."""
