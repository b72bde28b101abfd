"""The audit of copying: nearer to training images than to held-out ones, planted copies, duplicates.

Two spaces: ``thumbnail``, correlation of the breasts' boxes about the mean of the training reals', and
``random-network``. In both a picture and its mirror image are looked up.

Shape suffixes: N held-out reals, M synthetics, T training reals, P pixels, B draws, S splits, K kinds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from mammogan.metrics import bootstrap, copy_detection
from mammogan.metrics.comparison.measure import Measure, Pair
from mammogan.metrics.comparison.view_sets import Looks, ViewSets, means, space
from mammogan.metrics.copy_detection import LISTED, Detector
from mammogan.metrics.planted_copies import KINDS
from mammogan.metrics.prdc import Nearest, nearest

SPACES = ("thumbnail", "random-network")
DRAWS = 500
CLOSEST, DUPLICATES = 50, 10
TAIL = 0.01


@dataclass(frozen=True)
class Near:
    """Neighbours in one space of synthetics, of held-out reals and of planted copies (kinds in turn).

    `siblings` are other synthetics, `real_others` held-out reals of other patients.
    """

    name: str
    train: Nearest
    held_out: Nearest
    siblings: Nearest
    real_train: Nearest
    real_others: Nearest
    planted_train: Nearest
    planted_held_out: Nearest

    @property
    def detector(self) -> Detector:
        """What calls copies, by the held-out reals."""
        return Detector.of(copy_detection.quotients(self.real_train, self.real_others))


def near(sets: ViewSets, name: str) -> Near:
    """Find all neighbours in a space."""
    real, synthetic, train = sets.real, sets.synthetic, sets.train
    parts, mirrored = {}, {}
    if name == "thumbnail":
        mean_HW = train[name].mean(axis=0, dtype=np.float64).astype(np.float32)
        for key, images in (("real", real[name]), ("synthetic", synthetic[name]), ("train", train[name])):
            parts[key] = copy_detection.correlated(images.reshape(len(images), -1), mean_HW.ravel())
            flipped = images[:, :, ::-1].reshape(len(images), -1)
            mirrored[key] = copy_detection.correlated(flipped, mean_HW.ravel())
        planted = train["planted-thumbnail"]
        parts["planted"] = copy_detection.correlated(planted.reshape(-1, mean_HW.size), mean_HW.ravel())
    else:
        for key, source in (("real", real), ("synthetic", synthetic), ("train", train)):
            parts[key] = space(sets, source, name)
        planted = train[f"planted-{name}"]
        copied = {name: planted.reshape(-1, planted.shape[-1])}
        parts["planted"] = space(sets, Looks(copied, np.arange(len(planted) * len(KINDS))), name)

    def found(queries: str, targets: str, count: int, groups: bootstrap.Groups | None = None) -> Nearest:
        def barred(part: slice) -> np.ndarray:
            assert groups is not None
            return np.asarray(groups[part, None] == groups)

        other = mirrored.get(targets)
        return nearest(parts[queries], parts[targets], count, other, barred if groups is not None else None)

    return Near(
        name,
        found("synthetic", "train", LISTED),
        found("synthetic", "real", LISTED),
        found("synthetic", "synthetic", LISTED, synthetic.groups_N),
        found("real", "train", LISTED),
        found("real", "real", 1, real.groups_N),
        found("planted", "train", 1),
        found("planted", "real", 1),
    )


def audit(sets: ViewSets, near: Near) -> Iterator[Measure]:
    """Give the share nearer to training images, what is called a copy, and what is found of planted ones.

    And how alone the nearest training image is, and duplicates within the synthetic set.
    """
    yield from _nearer(sets, near)
    detector = near.detector
    called_M = detector.found(copy_detection.quotients(near.train, near.held_out)).astype(np.float64)
    about = f"{detector.negatives} held-out reals, of which {detector.alarms:.2%} are called copies"
    yield sets.measure(
        "called_copies",
        float(called_M.mean()),
        "copies",
        near.name,
        means(sets.drawn[1], called_M),
        within=(0, 1),
        real=detector.alarms,
        ideal=copy_detection.ALARMS,
        note=about,
    )
    found_NK = detector.found(copy_detection.quotients(near.planted_train, near.planted_held_out))
    for number, kind in enumerate(KINDS):
        found_N = found_NK[number :: len(KINDS)].astype(np.float64)
        if len(found_N):
            weights = bootstrap.bootstrap(np.arange(len(found_N)), DRAWS, sets.random(f"planted {kind}"))
            boots = means(weights, found_N)
            more: dict[str, Any] = {"ideal": 1.0, "images": len(found_N), "note": about}
            recall = float(found_N.mean())
            yield sets.measure(f"recall_{kind}", recall, "copies", near.name, boots, within=(0, 1), **more)
    yield from _alone(sets, near)
    yield from _duplicates(sets, near)


def closest(sets: ViewSets, near: Near, train_positions: np.ndarray) -> list[Pair]:
    """List synthetics whose quotient of distances is smallest, with the training image that is nearest."""
    return _pairs(
        sets, near, near.train, copy_detection.quotients(near.train, near.held_out), train_positions
    )[:CLOSEST]


def duplicates(sets: ViewSets, near: Near) -> list[Pair]:
    """List the synthetics that are nearest to one another, each pair once."""
    limit = max(_limit(near, len(sets.real)), 1e-9)
    numbers = np.arange(len(sets.synthetic))
    found = _pairs(sets, near, near.siblings, near.siblings.distance_QK[:, 0] / limit, numbers)
    once = {frozenset((pair.number, pair.other)): pair for pair in reversed(found)}
    return sorted(once.values(), key=lambda pair: (pair.ratio, pair.number))[:DUPLICATES]


def _nearer(sets: ViewSets, near: Near) -> Iterator[Measure]:
    real, train, random = sets.real, sets.train, sets.random(f"nearer {near.name}")
    equal = min(len(real), len(train))
    one_ST, _ = bootstrap.subsets(train.groups_N, equal, sets.settings.splits, random)
    if not len(one_ST) or not len(real) or not len(sets.synthetic):
        return
    sizes_S = one_ST.sum(axis=1).astype(np.int64)
    held_SN = np.concatenate([bootstrap.some(len(real), int(size), 1, random) for size in sizes_S])
    every = np.ones((len(one_ST), len(sets.synthetic)), np.float32)
    value = float(copy_detection.share_nearer(near.train, one_ST, near.held_out, held_SN, every).mean())
    draws = min(DRAWS, len(sets.drawn[0]))
    again = np.arange(draws) % len(one_ST)
    train_BT = bootstrap.bootstrap(train.groups_N, draws, random) * one_ST[again]
    held_BN = sets.drawn[0][:draws] * held_SN[again]
    boots = copy_detection.share_nearer(near.train, train_BT, near.held_out, held_BN, sets.drawn[1][:draws])
    a_ST, b_ST = bootstrap.subsets(train.groups_N, min(equal, len(train) // 2), sets.settings.splits, random)
    nulls = copy_detection.share_nearer(near.train, a_ST, near.train, b_ST, every[: len(a_ST)])
    yield sets.measure(
        "nearer_to_train",
        value,
        "copies",
        near.name,
        boots,
        nulls,
        within=(0, 1),
        ideal=0.5,
        note=f"{int(sizes_S.mean())} training and as many held-out reals a time; null: parts of the training "
        "reals without a patient in common",
    )


def _alone(sets: ViewSets, near: Near) -> Iterator[Measure]:
    mine_M, theirs_N = (
        copy_detection.aloneness(found, sets.train.groups_N) for found in (near.train, near.real_train)
    )
    known_M, known_N = (values[np.isfinite(values)] for values in (mine_M, theirs_N))
    if len(known_M) and len(known_N):
        random = sets.random(f"alone {near.name}")
        drawn = random.integers(0, len(known_M), (DRAWS, len(known_M)))
        boots = np.quantile(known_M[drawn], TAIL, axis=1)
        value, real = (float(np.quantile(values, TAIL)) for values in (known_M, known_N))
        yield sets.measure(
            "first_to_second",
            value,
            "copies",
            near.name,
            boots,
            real=real,
            note="1st percentile of the distance to the nearest training image by that to another patient's",
        )


def _duplicates(sets: ViewSets, near: Near) -> Iterator[Measure]:
    """Give the share of synthetics that have a sibling nearer than 1 % of reals have another patient."""
    count = min(len(sets.synthetic), len(sets.real))
    limit = _limit(near, len(sets.real))
    if count < 2 or not np.isfinite(limit):
        return
    random = sets.random(f"duplicates {near.name}")
    drawn_SM = bootstrap.some(len(sets.synthetic), count, sets.settings.splits, random)
    shares = [
        float((copy_detection.first(near.siblings, drawn_M[None])[0][drawn_M > 0] < limit).mean())
        for drawn_M in drawn_SM
    ]
    yield sets.measure(
        "duplicates",
        float(np.mean(shares)),
        "copies",
        near.name,
        np.array(shares),
        within=(0, 1),
        real=TAIL,
        ideal=TAIL,
        note=f"of {count} synthetics a time, those nearer to another than 1 % of reals are",
    )


def _limit(near: Near, reals: int) -> float:
    """Give the distance to another patient's image that 1 % of the reals lie within."""
    known = near.real_others.distance_QK[:, 0]
    known = known[np.isfinite(known)]
    return float(np.quantile(known, TAIL)) if len(known) and reals > 1 else float("nan")


def _pairs(sets: ViewSets, near: Near, found: Nearest, ratios: np.ndarray, others: np.ndarray) -> list[Pair]:
    listed = []
    for number in np.argsort(ratios, kind="stable"):
        target, distance = int(found.target_QK[number, 0]), float(found.distance_QK[number, 0])
        if target < 0:
            continue
        correlation = copy_detection.correlation(distance) if near.name == "thumbnail" else float("nan")
        pair = (sets.view, int(number), int(others[target]), near.name, distance, correlation)
        listed.append(Pair(*pair, float(ratios[number]), bool(found.mirrored_QK[number, 0])))
    return listed
