"""Conditional fidelity: what a classifier that learned views from training reals says of synthetics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from mammogan.metrics.comparison.measure import Measure
from mammogan.metrics.comparison.view_sets import ViewSets, means, space
from mammogan.metrics.view_classifier import ViewTeller


def views(both: Sequence[ViewSets]) -> Iterator[Measure]:
    """Give the share of each view's synthetics that are told right, beside that of held-out reals.

    `both` are the sets of every view, which must have been scaled alike: features of each are in units of
    the first one's training reals.

    Raises
    ------
    ValueError
        If there are too few training reals of a view.
    """
    first = both[0]

    def scaled(sets: ViewSets, source: str) -> np.ndarray:
        return space(first, getattr(sets, source), "all")

    train = [scaled(sets, "train") for sets in both]
    numbers = np.repeat(np.arange(len(both)), [len(part) for part in train])
    teller = ViewTeller(np.vstack(train), numbers)
    for number, sets in enumerate(both):
        synthetic_M, real_N = (teller.right(scaled(sets, source), number) for source in ("synthetic", "real"))
        if not len(synthetic_M) or not len(real_N):
            continue
        yield sets.measure(
            "view_told_right",
            float(synthetic_M.mean()),
            "views",
            "",
            means(sets.drawn[1], synthetic_M),
            means(sets.drawn[0], real_N),
            within=(0, 1),
            real=float(real_N.mean()),
            train=float(teller.right(train[number], number).mean()),
            note="null: held-out reals, resampled by patient; train: what it learned from",
        )
