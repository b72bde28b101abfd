"""How readers worked: which side they chose, how long they looked, whether they zoomed.

Shape suffixes: N trials.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.study.analysis.clustered_intervals import Share, share
from mammogan.study.analysis.trials import Trials

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
ZOOMED = 1.05
"""Magnification from which an image was zoomed on purpose; fingers that rest on glass give a little."""


@dataclass(frozen=True)
class Side:
    """Share of answers and of synthetic images on the left; `coin_p` tests the software's coin, exactly."""

    answered_left: Share
    hung_left: float
    coin_p: float


@dataclass(frozen=True)
class Times:
    """Quantiles of the time to the answer in seconds, as `QUANTILES`, of the trials where it is known."""

    trials: int
    all_s: tuple[float, ...]
    right_s: tuple[float, ...]
    wrong_s: tuple[float, ...]


@dataclass(frozen=True)
class Effort:
    """Shares of trials with either image zoomed, window or level changed, the page hidden; None: unknown."""

    zoomed: float | None
    windowed: float | None
    hidden: float | None


def side(trials: Trials) -> Side:
    """Measure the leaning to a side over readers and images, and check the coin."""
    from scipy import stats

    left = int(trials.synth_left_N.sum())
    answers_N = trials.answer_left_N.astype(np.float64)
    coin = stats.binomtest(left, len(answers_N), 0.5).pvalue
    return Side(share(answers_N, trials.clusters), left / len(answers_N), float(coin))


def times(trials: Trials) -> Times | None:
    """Return the times' quantiles; None if none is known."""
    seconds_N = trials.rt_ms_N / 1000
    known_N = np.isfinite(seconds_N)
    if not known_N.any():
        return None
    right_N = trials.correct == 1
    return Times(
        int(known_N.sum()),
        *(_quantiles(seconds_N[known_N & mask_N]) for mask_N in (known_N, right_N, ~right_N)),
    )


def effort(trials: Trials) -> Effort:
    """Return the shares of trials in which readers used what the page offers."""
    return Effort(
        zoomed=_share(trials.zoom_N, ZOOMED),
        windowed=_share(trials.wl_changes_N, 1),
        hidden=_share(trials.hidden_ms_N, 1),
    )


def _quantiles(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(np.quantile(values, QUANTILES).tolist()) if len(values) else ()


def _share(values_N: NDArray[np.float64], least: float) -> float | None:
    known = values_N[np.isfinite(values_N)]
    return float((known >= least).mean()) if len(known) else None
