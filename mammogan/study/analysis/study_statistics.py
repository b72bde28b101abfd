"""All statistics of a study at once, from its trials and the margin that it fixed."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mammogan import __version__
from mammogan.study.analysis import chance_counts, group_comparisons, reading_habits
from mammogan.study.analysis.clustered_intervals import EQUIVALENCE_CONFIDENCE, Share, share
from mammogan.study.analysis.dispersion import Dispersion, dispersion
from mammogan.study.analysis.equivalence import CHANCE, SENSITIVITIES, Equivalence, tost
from mammogan.study.analysis.group_comparisons import Comparison, Group
from mammogan.study.analysis.reader_tests import Readers, against_a_coin
from mammogan.study.analysis.roc import Roc, d_prime, roc
from mammogan.study.analysis.trials import Trials


@dataclass(frozen=True)
class Design:
    """The margin of the equivalence test, whether the study fixed it beforehand, and the pairs a reader.

    `filtered` says that images with obvious artefacts were left out, so that all holds for the rest only.
    """

    margin: float
    fixed: bool
    pairs: int
    filtered: bool = False


@dataclass(frozen=True)
class Histogram:
    """Complete readers by right answers; `pooled` and `monte_carlo_p` are None where nobody is complete."""

    counts_B: NDArray[np.int64]
    expected_B: NDArray[np.float64]
    low_B: NDArray[np.int64]
    high_B: NDArray[np.int64]
    pooled: chance_counts.Pooled | None
    monte_carlo_p: float | None


@dataclass(frozen=True)
class Analysis:
    """The results, in the order of the page.

    The primary share is of every scored trial, whether or not its reader went on to the end: an answer given
    is an answer. `completers` is the same of complete readers alone (None if there are none), and only they
    are in the histogram, for only their counts are of as many pairs. `silent` counts who was enrolled and
    answered nothing, None if that is unknown.
    """

    trials: Trials
    design: Design
    complete_R: NDArray[np.bool_]
    share: Share
    completers: Share | None
    equivalence: Equivalence
    sensitivities: tuple[Equivalence, ...]
    histogram: Histogram
    dispersion: Dispersion | None
    readers: Readers
    d_prime: tuple[float, float, float]
    roc: Roc | None
    groups: tuple[Group, ...]
    comparisons: tuple[Comparison, ...]
    side: reading_habits.Side
    times: reading_habits.Times | None
    effort: reading_habits.Effort
    silent: int | None

    @property
    def incomplete(self) -> list[tuple[str, int]]:
        """Readers who stopped early, with the trials that they answered."""
        left_R = (~self.complete_R).nonzero()[0]
        return [(self.trials.readers[r], int(self.trials.answered[r])) for r in left_R]


def analyse(trials: Trials, design: Design, silent: int | None = None) -> Analysis:
    """Compute everything; the same trials give the same numbers."""
    complete_R = trials.answered == design.pairs
    whole_N = complete_R[trials.reader_N]
    overall = share(trials.correct, trials.clusters)
    completers = None
    if whole_N.any():
        clusters = [cluster_N[whole_N] for cluster_N in trials.clusters]
        completers = share(trials.correct[whole_N], clusters)
    rated = trials.synth_left_N, trials.answer_left_N, trials.confidence_N
    return Analysis(
        trials=trials,
        design=design,
        complete_R=complete_R,
        share=overall,
        completers=completers,
        equivalence=tost(overall, design.margin),
        sensitivities=tuple(tost(overall, margin) for margin in SENSITIVITIES),
        histogram=_histogram(trials.right[complete_R], design.pairs),
        dispersion=dispersion(trials.right, trials.answered),
        readers=against_a_coin(trials.right, trials.answered),
        d_prime=d_prime(overall),
        roc=roc(*rated, trials.clusters),
        groups=tuple(group_comparisons.groups(trials)),
        comparisons=tuple(group_comparisons.comparisons(trials)),
        side=reading_habits.side(trials),
        times=reading_habits.times(trials),
        effort=reading_habits.effort(trials),
        silent=silent,
    )


def _histogram(right_R: NDArray[np.int64], pairs: int) -> Histogram:
    found_B, readers = chance_counts.histogram(right_R, pairs), len(right_R)
    return Histogram(
        found_B,
        readers * chance_counts.binomial(pairs),
        *chance_counts.fair_range(readers, pairs),
        pooled=chance_counts.pooled_chi_square(found_B, readers) if readers else None,
        monte_carlo_p=_chance(readers, pairs).p(found_B) if readers else None,
    )


@lru_cache(maxsize=2)
def _chance(readers: int, pairs: int) -> chance_counts.MonteCarlo:
    """Draw once for all histograms of a size."""
    return chance_counts.MonteCarlo(readers, pairs)


def as_json(found: Analysis) -> str:
    """Write every number: probabilities and shares from 0 to 1, intervals of 95 % if not said otherwise."""
    trials, design, shown = found.trials, found.design, found.histogram
    tree = {
        "mammogan": __version__,
        "study": {
            "study_id": trials.study_id,
            "study_version": trials.study_version,
            "readers": len(trials.readers),
            "trials": len(trials.reader_N),
            "pairs_a_reader": design.pairs,
            "filtered": design.filtered,
            "complete_readers": int(found.complete_R.sum()),
            "incomplete": [{"participant": code, "answered": count} for code, count in found.incomplete],
            "enrolled_without_answer": found.silent,
            "questions_not_asked": trials.not_asked,
            "real_images": len(np.unique(trials.real_N)),
            "synthetic_images": len(np.unique(trials.synth_N)),
        },
        "share_right": _share(found.share),
        "share_right_of_complete_readers": found.completers and _share(found.completers),
        "p_share_is_half": found.share.p_two_sided(CHANCE),
        "equivalence": {
            "fixed_beforehand": design.fixed,
            "confidence": EQUIVALENCE_CONFIDENCE,
            **dataclasses.asdict(found.equivalence),
            "sensitivities": [dataclasses.asdict(each) for each in found.sensitivities],
        },
        "histogram": {
            "counts": shown.counts_B.tolist(),
            "expected": shown.expected_B.tolist(),
            "pooled_chi_square": shown.pooled and dataclasses.asdict(shown.pooled),
            "monte_carlo_p": shown.monte_carlo_p,
            "draws": chance_counts.DRAWS,
        },
        "dispersion": found.dispersion and dataclasses.asdict(found.dispersion),
        "readers": {
            key: getattr(found.readers, key)
            for key in ("above", "below", "expected_above", "chance_of_any", "bh", "holm", "holm_possible")
        },
        "d_prime": dict(zip(("value", "low", "high"), found.d_prime, strict=True)),
        "roc_area": found.roc and {**dataclasses.asdict(found.roc.area), "trials": found.roc.trials},
        "side": {
            "answered_left": _share(found.side.answered_left),
            "hung_left": found.side.hung_left,
            "coin_p": found.side.coin_p,
        },
        "times": found.times and {"quantiles": reading_habits.QUANTILES, **dataclasses.asdict(found.times)},
        "effort": dataclasses.asdict(found.effort),
        "groups": [
            {"group": group.name, "readers": group.readers, "trials": group.trials}
            | (_share(group.share) if group.share else {})
            for group in found.groups
        ],
        "differences": [
            {"comparison": each.name, "readers": each.readers, "trials": each.trials, "note": each.note}
            | (dataclasses.asdict(each.difference) if each.difference else {})
            for each in found.comparisons
        ],
    }
    return json.dumps(_plain(tree), indent=1, allow_nan=False) + "\n"


def _share(found: Share) -> dict[str, Any]:
    low, high = found.interval()
    return {**dataclasses.asdict(found), "low": low, "high": high}


def _plain(value: Any) -> Any:
    """Put numbers into JSON's own types; what is not finite (d' of all right) is null."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return float(value) if np.isfinite(value) else None
    return value
