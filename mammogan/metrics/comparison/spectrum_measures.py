"""The power of breast tissue by frequency: curves for a figure, the exponent, and grids of a generator.

``spectra[view]`` of ``measures.json`` holds

- `side_px`: of the regions; `band_px`: cycles a pixel between which beta is fitted; `band_of`: ``mm`` if that
  is 0.15 to 0.7 cycles a millimetre, else ``px``;
- `cycles_px`, and `cycles_mm` or null: a list by frequency, as all that follows is;
- `real`, `synthetic`, `train`: log10 of the mean power;
- `ratio`: log10 of synthetics' power by reals', with `ratio_low`, `ratio_high` (bootstrap), and of one
  half of the reals by the other `null_low`, `null_high`.

Shape suffixes: N images, R radii, B draws.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mammogan.metrics import power_spectrum
from mammogan.metrics.bootstrap import Values, Weights
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import Looks, ViewSets, means

SOURCES = ("synthetic", "real", "train")
FAINT = 1e-20


def exponents(sets: ViewSets, spacing_mm: float | None) -> dict[str, Values]:
    """Give beta of each image by source, NaN where no region fits into the breast."""
    cycles, _ = power_spectrum.band(_side(sets), spacing_mm)
    return {source: power_spectrum.exponents(getattr(sets, source)["power"], cycles) for source in SOURCES}


def curves(sets: ViewSets, spacing_mm: float | None) -> dict[str, Any]:
    """Give the curves of the figure; see above."""
    side = _side(sets)
    cycles_R, (band_px, band_of) = power_spectrum.frequencies(side), power_spectrum.band(side, spacing_mm)
    power = {source: _known(getattr(sets, source)) for source in SOURCES}
    ones = {source: np.ones((1, len(getattr(sets, source))), np.float32) for source in SOURCES}
    logs = {source: _log_means(ones[source], power[source])[0] for source in SOURCES}
    ratio_BR = _log_means(sets.drawn[1], power["synthetic"]) - _log_means(sets.drawn[0], power["real"])
    null_SR = _log_means(sets.halves[0], power["real"]) - _log_means(sets.halves[1], power["real"])
    low, high = _range(ratio_BR)
    null_low, null_high = _range(null_SR)
    return {
        "side_px": side,
        "band_px": list(band_px),
        "band_of": band_of,
        "cycles_px": cycles_R.tolist(),
        "cycles_mm": (cycles_R / spacing_mm).tolist() if spacing_mm else None,
        **{source: logs[source].tolist() for source in SOURCES},
        "ratio": (logs["synthetic"] - logs["real"]).tolist(),
        "ratio_low": low,
        "ratio_high": high,
        "null_low": null_low,
        "null_high": null_high,
    }


def spectra(sets: ViewSets, betas: dict[str, Values]) -> Iterator[Measure]:
    """Give the mean exponent, and how far power stands out where upsampling leaves grids (log10)."""
    yield from _mean(sets, "beta", "", betas)
    names = power_spectrum.grid_names(_side(sets))
    for number, name in enumerate(names):
        values = {source: getattr(sets, source)["grids"][:, number] for source in SOURCES}
        yield from _mean(sets, "grid", name, values)


def _mean(sets: ViewSets, name: str, of: str, values: dict[str, Values]) -> Iterator[Measure]:
    whole = {source: values_N[np.isfinite(values_N)] for source, values_N in values.items()}
    if not len(whole["real"]) or not len(whole["synthetic"]):
        return
    halves = np.concatenate([means(half_SN, values["real"]) for half_SN in sets.halves])
    matched = means(sets.some, values["synthetic"])
    yield sets.measure(
        name,
        float(whole["synthetic"].mean()),
        "spectrum",
        of,
        means(sets.drawn[1], values["synthetic"]),
        halves,
        matched=float(np.nanmean(matched)) if np.isfinite(matched).any() else None,
        real=float(whole["real"].mean()),
        train=float(whole["train"].mean()) if len(whole["train"]) else None,
    )


def _side(sets: ViewSets) -> int:
    return 2 * int(sets.real["power"].shape[1])


def _known(source: Looks) -> Values:
    return np.asarray(source["power"])


def _log_means(weights_BN: Weights, power_NR: Values) -> Values:
    """Give log10 of each draw's mean power, images without a region left out: (B, R)."""
    known_N = np.isfinite(power_NR[:, 0])
    totals_B1 = weights_BN[:, known_N].sum(axis=1, keepdims=True, dtype=np.float64)
    sums_BR = weights_BN[:, known_N].astype(np.float64) @ power_NR[known_N]
    mean_BR = np.where(totals_B1 > 0, sums_BR / np.where(totals_B1 > 0, totals_B1, 1), np.nan)
    return np.asarray(np.log10(mean_BR + FAINT))


def _range(values_BR: Values) -> tuple[list[float], list[float]]:
    if not len(values_BR) or not np.isfinite(values_BR).all(axis=1).any():
        return [], []
    whole = values_BR[np.isfinite(values_BR).all(axis=1)]
    low_R, high_R = np.percentile(whole, (2.5, 97.5), axis=0)
    return low_R.tolist(), high_R.tolist()
