"""Groups of readers and of trials, compared as differences with intervals: 'not significant' is no finding.

Which groups of readers there are, and what is compared with what, stands with each question in
`mammogan.study.questions`.

Shape suffixes: N trials, R readers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mammogan.study.analysis.clustered_intervals import Difference, Share, difference, share, slope
from mammogan.study.analysis.trials import Trials
from mammogan.study.questions import QUESTIONS, RADIOLOGIST, Groups, Question, Slope

Mask = NDArray[np.bool_]
FEWEST = 2
"""Readers on a side below which nothing is computed."""
FEW = 10
"""Readers on a side below which the note names how few they are."""


@dataclass(frozen=True)
class Group:
    """Readers or trials of a kind; `share` is None if there are none of them."""

    name: str
    readers: int
    trials: int
    share: Share | None


@dataclass(frozen=True)
class Comparison:
    """A difference, or None with the reason in `note`, which also says where readers are few."""

    name: str
    readers: int
    trials: int
    difference: Difference | None
    note: str = ""


def groups(trials: Trials) -> list[Group]:
    """Return everybody, each group of readers, and each view."""
    found = [_group("all readers", trials, np.ones(len(trials.reader_N), dtype=bool))]
    for question in QUESTIONS.values():
        for way in question.analysis:
            if isinstance(way, Groups):
                for name, mask_R in _members(trials, question, way).items():
                    found.append(_group(_among(name, way, before=True), trials, mask_R[trials.reader_N]))
                answers_R = np.array(trials.answers_to(question.name))
                if way.unsaid and (answers_R == "").any():
                    found.append(_group(way.unsaid, trials, (answers_R == "")[trials.reader_N]))
    for view in sorted(set(trials.view_N.tolist())):
        found.append(_group(f"pairs of {view}", trials, trials.view_N == view))
    return found


def comparisons(trials: Trials) -> list[Comparison]:
    """Compare readers as each question says, then pairs by view and by their place in the series."""
    found = []
    for question in QUESTIONS.values():
        for way in question.analysis:
            if isinstance(way, Slope):
                found.append(_slope(trials, question, way))
            else:
                found += _contrasts(trials, question, way)
    views = sorted(set(trials.view_N.tolist()))
    if len(views) == 2:
        one_N, other_N = trials.view_N == views[1], trials.view_N == views[0]
        found.append(_compared(f"{views[1]} - {views[0]}", trials, one_N, other_N))
    half = (trials.trial_N.max() + 1) / 2
    later_N, earlier_N = trials.trial_N > half, trials.trial_N < half
    return [*found, _compared("second half - first half of the series", trials, later_N, earlier_N)]


def _members(trials: Trials, question: Question, way: Groups) -> dict[str, Mask]:
    """Find who is in each group; options are groups of their own where the way names none."""
    answers_R = np.array(trials.answers_to(question.name))
    named = way.groups or {label: (value,) for value, label in question.options.items()}
    asked_R = _asked(trials, way)
    return {name: asked_R & np.isin(answers_R, values) for name, values in named.items()}


def _contrasts(trials: Trials, question: Question, way: Groups) -> Iterator[Comparison]:
    members = _members(trials, question, way)
    names = list(members)
    pairs = [(name, members[one], members[other]) for name, one, other in way.contrasts]
    if not pairs and len(names) == 2:
        pairs = [(" - ".join(names), members[names[0]], members[names[1]])]
    elif not pairs:
        all_R = np.logical_or.reduce(list(members.values()))
        pairs = [(f"{name} - others", mask_R, all_R & ~mask_R) for name, mask_R in members.items()]
    for name, one_R, other_R in pairs:
        sides = [len(np.unique(trials.reader_N[mask_R[trials.reader_N]])) for mask_R in (one_R, other_R)]
        masks_N = one_R[trials.reader_N], other_R[trials.reader_N]
        known = question.name in trials.answers
        yield _compared(_among(name, way), trials, *masks_N, _note(known, *sides), min(sides) >= FEWEST)


def _slope(trials: Trials, question: Question, way: Slope) -> Comparison:
    x_R = np.array([_value(way, answer) for answer in trials.answers_to(question.name)])
    known_N = (np.isfinite(x_R) & _asked(trials, way))[trials.reader_N]
    x_N, readers = x_R[trials.reader_N][known_N] / way.step, len(np.unique(trials.reader_N[known_N]))
    found, note = None, _note(question.name in trials.answers, readers)
    if readers > FEWEST and np.ptp(x_N):
        found = slope(x_N, trials.correct[known_N], [cluster_N[known_N] for cluster_N in trials.clusters])
    elif readers > FEWEST:
        note = "all gave the same answer"
    return _certain(_among(way.name, way), readers, int(known_N.sum()), found, note)


def _note(known: bool, *sides: int) -> str:
    """Return what limits a comparison of so many readers on each side; nothing if nothing does."""
    if not known:
        return "this table has no column of it"
    against = " against ".join(map(str, sides))
    if min(sides) < FEWEST or sum(sides) <= FEWEST:
        return f"too few readers: {against}"
    return f"few readers: {against}; the interval may be too narrow" if min(sides) < FEW else ""


def _value(way: Slope, answer: str) -> float:
    return way.values.get(answer, np.nan) if way.values else float(answer or "nan")


def _asked(trials: Trials, way: Groups | Slope) -> Mask:
    return np.array([way.all_readers or role == RADIOLOGIST for role in trials.roles])


def _among(name: str, way: Groups | Slope, before: bool = False) -> str:
    if way.all_readers:
        return name
    return f"radiologists, {name}" if before else f"{name}, among radiologists"


def _group(name: str, trials: Trials, mask_N: Mask) -> Group:
    readers = len(np.unique(trials.reader_N[mask_N]))
    found = None
    if readers:
        clusters = [cluster_N[mask_N] for cluster_N in trials.clusters]
        found = share(trials.correct[mask_N], clusters)
    return Group(name, readers, int(mask_N.sum()), found)


def _compared(
    name: str, trials: Trials, one_N: Mask, other_N: Mask, note: str = "", enough: bool = True
) -> Comparison:
    both_N = one_N | other_N
    readers = len(np.unique(trials.reader_N[both_N]))
    found = None
    if enough and min(one_N.sum(), other_N.sum()) > 1:
        masks = one_N.astype(np.float64), other_N.astype(np.float64)
        found = difference(*masks, trials.correct, trials.clusters)
    return _certain(name, readers, int(both_N.sum()), found, note)


def _certain(name: str, readers: int, pairs: int, found: Difference | None, note: str) -> Comparison:
    """Drop a difference without any error: all answers were alike, which gives no idea of its error."""
    if found and not found.se:
        return Comparison(name, readers, pairs, None, "all answers are alike")
    return Comparison(name, readers, pairs, found, note or ("" if found else "too few pairs"))
