"""What a number of the report is told with: its interval, and what it is between reals alone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Interval:
    """A range from `low` to `high`, which holds 95 % of what was drawn, and the `mean` of that."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Measure:
    """One number about one view.

    Attributes
    ----------
    group : str
        What it belongs to: ``distribution`` (of one image quantity), ``joint`` (C2ST), ``spectrum``,
        ``bands``, ``diversity``, ``features``, ``copies``, ``views``, ``network`` (of the user's own
        network).
    name : str
        As ``sis``, ``ovl``, ``w1``, ``coverage``, ``nearer_to_train``.
    of : str
        What it is taken from: an image quantity as ``breast_skewness``, or a space of features as
        ``random-network``; empty if there is but one.
    view : str
        ``CC`` or ``MLO``.
    value : float
        Of synthetics beside held-out reals, or of synthetics alone.
    ci : Interval or None
        Bootstrap of the value: reals resampled by patient, synthetics by image.
    null : Interval or None
        The same of two halves of the reals without a patient in common, over many splits.
    matched : float or None
        Of synthetics and reals as few as those halves have, in the mean over the same splits: what `null`
        is to be compared with, for many measures depend on the number of images.
    real, train : float or None
        Of held-out reals alone, where the measure is of one set; of training beside held-out reals.
    ideal : float or None
        What identical distributions have; None where the reals' own value is.
    images, reals, patients : int
        Synthetics, held-out reals and their patients.
    note : str
        What a reader has to know, as a p-value.
    """

    group: str
    name: str
    of: str
    view: str
    value: float
    ci: Interval | None = None
    null: Interval | None = None
    matched: float | None = None
    real: float | None = None
    train: float | None = None
    ideal: float | None = None
    images: int = 0
    reals: int = 0
    patients: int = 0
    note: str = ""


@dataclass(frozen=True)
class Pair:
    """Two images that are closest: numbers of a synthetic and of another image of the same view.

    `number` counts the pool's images of the view. `other` is, for `closest`, the position of the training
    image in the rung of split ``train`` (a place, which names nobody), and for `duplicates` another number
    of the pool. `ratio` is the distance to it by that to the nearest held-out real (or, of duplicates, by
    the limit under which 1 % of reals lie); `flipped` says that it is its mirror image.
    """

    view: str
    number: int
    other: int
    space: str
    distance: float
    correlation: float
    ratio: float
    flipped: bool = False
