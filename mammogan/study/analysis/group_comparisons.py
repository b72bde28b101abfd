"""Groups of readers and of trials, compared as differences with intervals: 'not significant' is no finding.

Shape suffixes: N trials, R readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.study.analysis.clustered_intervals import Difference, Share, difference, share, slope
from mammogan.study.analysis.trials import Trials

Mask = NDArray[np.bool_]
YEARS = 10
"""The step that the change with experience is given for."""


@dataclass(frozen=True)
class Group:
    """Readers or trials of a kind; `share` is None if there are none of them."""

    name: str
    readers: int
    trials: int
    share: Share | None


@dataclass(frozen=True)
class Comparison:
    """A difference, or None where a side has no trials, or all answers are alike and tell no uncertainty."""

    name: str
    readers: int
    trials: int
    difference: Difference | None


def groups(trials: Trials) -> list[Group]:
    """Give everybody, each group of readers, and each view."""
    found = [_group("all readers", trials, np.ones(len(trials.reader_N), dtype=bool))]
    for name, mask_R in _readers(trials):
        found.append(_group(name, trials, mask_R[trials.reader_N]))
    for view in sorted(set(trials.view_N.tolist())):
        found.append(_group(f"pairs of {view}", trials, trials.view_N == view))
    return found


def comparisons(trials: Trials) -> list[Comparison]:
    """Compare readers by role, and radiologists by board, specialty and years; pairs by view and time.

    Board and specialty are compared among radiologists alone: among all they would compare roles.
    """
    doctors_R = np.array([role == "radiologist" for role in trials.roles])
    others_R = np.array([role == "other" for role in trials.roles])
    pairs = [
        ("radiologists - others", doctors_R, others_R),
        ("board certified - not, among radiologists", *_split(trials.board_R, doctors_R)),
        ("breast specialists - not, among radiologists", *_split(trials.breast_R, doctors_R)),
    ]
    masks = [(name, one_R[trials.reader_N], other_R[trials.reader_N]) for name, one_R, other_R in pairs]
    views = sorted(set(trials.view_N.tolist()))
    if len(views) == 2:
        masks.append((f"{views[1]} - {views[0]}", trials.view_N == views[1], trials.view_N == views[0]))
    half = (trials.trial_N.max() + 1) / 2
    masks.append(("second half - first half of the series", trials.trial_N > half, trials.trial_N < half))
    found = [_compared(name, trials, one_N, other_N) for name, one_N, other_N in masks]
    return [*found, _years(trials, doctors_R)]


def _readers(trials: Trials) -> Iterator[tuple[str, Mask]]:
    roles = np.array(trials.roles)
    doctors_R = roles == "radiologist"
    yield "radiologists", doctors_R
    yield "other readers", roles == "other"
    for name, flags_R in (("board certified", trials.board_R), ("breast specialists", trials.breast_R)):
        yes_R, no_R = _split(flags_R, doctors_R)
        yield f"radiologists, {name}", yes_R
        yield f"radiologists, not {name}", no_R
    if (roles == "").any():
        yield "role not said", roles == ""


def _split(flags_R: NDArray[np.float64], among_R: Mask) -> tuple[Mask, Mask]:
    return among_R & (flags_R == 1), among_R & (flags_R == 0)


def _group(name: str, trials: Trials, mask_N: Mask) -> Group:
    readers = len(np.unique(trials.reader_N[mask_N]))
    found = None
    if readers:
        clusters = [cluster_N[mask_N] for cluster_N in trials.clusters]
        found = share(trials.correct[mask_N], clusters)
    return Group(name, readers, int(mask_N.sum()), found)


def _compared(name: str, trials: Trials, one_N: Mask, other_N: Mask) -> Comparison:
    both_N = one_N | other_N
    readers = len(np.unique(trials.reader_N[both_N]))
    found = None
    if min(one_N.sum(), other_N.sum()) > 1:
        masks = one_N.astype(np.float64), other_N.astype(np.float64)
        found = difference(*masks, trials.correct, trials.clusters)
    return Comparison(name, readers, int(both_N.sum()), _certain(found))


def _years(trials: Trials, doctors_R: Mask) -> Comparison:
    years_N = trials.years_R[trials.reader_N]
    known_N = np.isfinite(years_N) & doctors_R[trials.reader_N]
    found, x_N = None, years_N[known_N]
    readers = len(np.unique(trials.reader_N[known_N]))
    if readers > 2 and np.ptp(x_N):
        clusters = [cluster_N[known_N] for cluster_N in trials.clusters]
        found = slope(x_N / YEARS, trials.correct[known_N], clusters)
    name = f"for {YEARS} years of experience more, among radiologists"
    return Comparison(name, readers, int(known_N.sum()), _certain(found))


def _certain(found: Difference | None) -> Difference | None:
    return found if found and found.se else None
