"""Each quantity of an image by itself: how far the synthetics' distribution is the reals'."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from mammogan.metrics.bootstrap import Values, Weights
from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import ViewSets
from mammogan.metrics.distribution_overlap import SCORES, SENSITIVITY, Pairing
from mammogan.metrics.image_features import QUANTITIES

FEWEST = 2
SOURCES = ("synthetic", "real", "train")


def quantities(sets: ViewSets, exponents: dict[str, Values]) -> dict[str, dict[str, Values]]:
    """Give all quantities by name and source; `exponents` of the spectrum are among them."""
    found = {
        name: {source: getattr(sets, source).quantity(name) for source in SOURCES} for name in QUANTITIES
    }
    return found | {"beta": exponents}


def distributions(sets: ViewSets, values: dict[str, dict[str, Values]]) -> Iterator[Measure]:
    """Compare every quantity; images that don't have it are left out, and the note says how many."""
    for name, by_source in values.items():
        known = {source: np.isfinite(values_N) for source, values_N in by_source.items()}
        if min(known["real"].sum(), known["synthetic"].sum()) < FEWEST:
            continue
        yield from _compared(sets, name, by_source, known)


def quartiles(values: dict[str, dict[str, Values]]) -> dict[str, dict[str, list[float]]]:
    """Give minimum, quartiles and maximum of each quantity and source."""
    return {
        name: {
            source: np.quantile(values_N[np.isfinite(values_N)], np.linspace(0, 1, 5)).tolist()
            for source, values_N in by_source.items()
            if np.isfinite(values_N).any()
        }
        for name, by_source in values.items()
    }


def _compared(
    sets: ViewSets, name: str, by_source: dict[str, Values], known: dict[str, np.ndarray]
) -> Iterator[Measure]:
    real_N, synthetic_M, train_T = (by_source[s][known[s]] for s in ("real", "synthetic", "train"))
    pairing = Pairing(real_N, synthetic_M)
    value = pairing.value()
    boots = _drawn(pairing, sets.drawn[0][:, known["real"]], sets.drawn[1][:, known["synthetic"]])
    one_SN, other_SN = (half_SN[:, known["real"]] for half_SN in sets.halves)
    nulls = _drawn(Pairing(real_N, real_N), one_SN, other_SN)
    matched = _drawn(pairing, one_SN, sets.some[:, known["synthetic"]])
    train = Pairing(real_N, train_T).value() if len(train_T) >= FEWEST else {}
    left_out = sum(int((~known[s]).sum()) for s in ("real", "synthetic"))
    for score, ideal in SCORES.items():
        yield sets.measure(
            score,
            value[score],
            "distribution",
            name,
            boots[score],
            nulls[score],
            within=(0, 1) if score != "w1" else (0, np.inf),
            matched=_mean(matched[score]),
            train=train.get(score),
            ideal=ideal,
            note=f"{left_out} images don't have it" if left_out else "",
        )
    for bins in SENSITIVITY:
        other = Pairing(real_N, synthetic_M, bins).value()
        for score in ("sis", "ovl"):
            yield sets.measure(
                f"{score}_{bins}_bins", other[score], "distribution", name, ideal=SCORES[score]
            )


def _drawn(pairing: Pairing, real_BN: Weights, synthetic_BM: Weights) -> dict[str, Values]:
    """Score draws, but for those that have no image left of a side."""
    whole_B = (real_BN.sum(axis=1) > 0) & (synthetic_BM.sum(axis=1) > 0)
    return pairing.scores(real_BN[whole_B], synthetic_BM[whole_B])


def _mean(values_B: Values) -> float | None:
    return float(values_B.mean()) if len(values_B) else None
