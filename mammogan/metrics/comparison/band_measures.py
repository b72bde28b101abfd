"""Stripes, grain, blur and a veil: power inside the breast by octave, anisotropy, contrast, and background.

All ratios are of synthetics by reals, each of power that is pooled over its images first, so that an image of
hardly any power does not decide; 1 is alike.

Shape suffixes: N images, B draws, S splits, O octaves, K numbers of a set.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from mammogan.metrics import band_power
from mammogan.metrics.bootstrap import Values, Weights
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import Looks, ViewSets, means

SOURCES = ("synthetic", "real", "train")
GROUP = "bands"


def bands(sets: ViewSets) -> Iterator[Measure]:
    """Give power and anisotropy by octave and contrast of the tissue, as ratios; and the mean background."""
    yield from _ratios(sets)
    yield _background(sets)


def curves(sets: ViewSets) -> dict[str, Any]:
    """Give what a figure shows: `octaves` by name, and the `anisotropy` of each source's pooled power."""
    octaves = names(sets)
    part = slice(len(octaves), 2 * len(octaves))
    ratios = {source: _all(getattr(sets, source), sets)[part].tolist() for source in SOURCES}
    return {"octaves": octaves, "anisotropy": ratios}


def names(sets: ViewSets) -> list[str]:
    """Name the octaves, the finest first."""
    return band_power.octave_names(_side(sets))


def _ratios(sets: ViewSets) -> Iterator[Measure]:
    synthetic_K, real_K, train_K = (_all(getattr(sets, source), sets) for source in SOURCES)
    boots_BK = _numbers(sets.synthetic, sets.drawn[1], sets) / _numbers(sets.real, sets.drawn[0], sets)
    half_SK, other_SK = (_numbers(sets.real, half_SN, sets) for half_SN in sets.halves)
    matched_SK = _numbers(sets.synthetic, sets.some, sets) / half_SK
    lost = sum(int((~_known(getattr(sets, source))).sum()) for source in ("synthetic", "real"))
    octaves = names(sets)
    columns = [("band_power", name) for name in octaves] + [("anisotropy", name) for name in octaves]
    for number, (name, of) in enumerate([*columns, ("tissue_contrast", "")]):
        yield sets.measure(
            name,
            float(synthetic_K[number] / real_K[number]),
            GROUP,
            of,
            boots_BK[:, number],
            half_SK[:, number] / other_SK[:, number],
            within=(0, np.inf),
            matched=_mean(matched_SK[:, number]),
            train=_finite(train_K[number] / real_K[number]),
            ideal=1.0,
            note=f"no region of {_side(sets)} pixels fits into the breast of {lost} images" if lost else "",
        )


def _background(sets: ViewSets) -> Measure:
    value = {source: np.asarray(getattr(sets, source)["background"], np.float64) for source in SOURCES}
    return sets.measure(
        "background",
        float(value["synthetic"].mean()),
        GROUP,
        "",
        means(sets.drawn[1], value["synthetic"]),
        np.concatenate([means(half_SN, value["real"]) for half_SN in sets.halves]),
        within=(0, 255),
        matched=_mean(means(sets.some, value["synthetic"])),
        real=float(value["real"].mean()),
        train=float(value["train"].mean()) if len(sets.train) else None,
    )


def _all(source: Looks, sets: ViewSets) -> Values:
    """Give the numbers of a whole set: (K,)."""
    return np.asarray(_numbers(source, np.ones((1, len(source)), np.float32), sets)[0])


def _numbers(source: Looks, weights_BN: Weights, sets: ViewSets) -> Values:
    """Give each draw's power by octave, anisotropy by octave, and contrast, of pooled power: (B, K)."""
    known_N = _known(source)
    of_images_NK = np.column_stack([source["band-power"].reshape(len(source), -1), source["tissue-variance"]])
    weights_BN = weights_BN[:, known_N].astype(np.float64)
    totals_B1 = weights_BN.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled_BK = (weights_BN @ of_images_NK[known_N]) / totals_B1
    # Of the reals of one woman there are no halves, and B is 0.
    power_BO2 = pooled_BK[:, :-1].reshape(len(pooled_BK), (of_images_NK.shape[1] - 1) // 2, 2)
    return np.column_stack(
        [
            band_power.octave_power(power_BO2, _side(sets)),
            band_power.anisotropy(power_BO2),
            np.sqrt(pooled_BK[:, -1]),
        ]
    )


def _known(source: Looks) -> np.ndarray:
    return np.asarray(np.isfinite(source["tissue-variance"]))


def _side(sets: ViewSets) -> int:
    return 2 * int(sets.real["power"].shape[1])


def _mean(values_B: Values) -> float | None:
    whole_B = values_B[np.isfinite(values_B)]
    return float(whole_B.mean()) if len(whole_B) else None


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
