"""Alarms: what is measured at a tick to see if training goes wrong, and the judgement of a stage's ticks.

Pure functions of arrays and of the metrics as they are logged. Each alarm looks at one number a tick and goes
off after as many bad ticks in a row as its patience; `docs/alarms.md` has the experiments behind the bounds.

Shape suffixes: N images, H x W pixels, F label fields.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from mammogan.config.alarm_settings import Alarms
from mammogan.config.label_fields import UNKNOWN
from mammogan.metrics import self_similarity
from mammogan.train import image_faults
from mammogan.train.watch import Images, Tick, Watch

COMPARED_PX = 320
"""Larger sheets are halved down to this height: whether pictures are alike is seen there, without grain."""
HISTORY, SHORTEST = 16, 3
"""Earlier ticks that a running median is taken of, and the fewest that make one."""


@dataclass(frozen=True)
class Alarm:
    """A number of the newest tick that broke its bound, now for `ticks` ticks in a row.

    A `value` that is not finite broke it, too. One that does not act is told of, whatever `alarms.action` is.
    """

    name: str
    message: str
    value: float
    bound: float
    ticks: int
    acts: bool = True


def judge(settings: Alarms, ticks: Sequence[Tick]) -> tuple[Alarm, ...]:
    """Say which alarms the newest of a stage's `ticks` sets off, causes before consequences.

    `ticks` are the metrics of the stage so far, the oldest first. What a tick does not tell of is not judged.
    """
    alarms = (_alarm(settings, name, ticks) for name in WATCHES)
    return tuple(alarm for alarm in alarms if alarm)


def good_ticks(alarms: Sequence[Alarm], ticks: Sequence[Tick]) -> int:
    """Count the ticks before the trouble: the last of them is to be gone back to; 0 is the stage's start.

    Alarms that do not act are no such trouble.
    """
    return len(ticks) - max((alarm.ticks for alarm in alarms if alarm.acts), default=0)


def sheet(labels_NF: NDArray[np.int64], count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose the reals to be watched, and the labels to draw as many fakes of: positions (M,), labels (M, F).

    Reals from all over the set, ordered so that the neighbours 2i and 2i + 1, which are compared, share their
    labels where there are enough; such fakes always do. M is even: `count`, or fewer in a small set.
    """
    size = min(count, len(labels_NF)) // 2 * 2
    spread_M = np.linspace(0, len(labels_NF) - 1, size).round().astype(np.int64)
    places_M = spread_M[np.lexsort(labels_NF[spread_M].T)]
    return places_M, np.repeat(labels_NF[places_M[::2]], 2, axis=0)


def observe(reals_NHW: Images, fakes_NHW: Images) -> dict[str, float]:
    """Measure two sheets of one shape, uint16 (N, H, W), N even, blended alike while a stage fades in.

    Returns ``alarm/ms_ssim_*``, the mean MS-SSIM of neighbours; ``alarm/deviation_*``, the mean over pixels
    of the deviation between neighbours; and ``alarm/distance``, the mean distance of a real to a fake, which
    is what a critic of slope 1 can tell them apart by. Pixels reach from -1 to 1. What `image_faults.observe`
    tells of is added.
    """
    distances = [_distance(*pair) for pair in zip(reals_NHW, fakes_NHW, strict=True)]
    values = {"alarm/distance": float(np.mean(distances))}
    for name, images_NHW in (("real", reals_NHW), ("fake", fakes_NHW)):
        small_NHW = _reduced(images_NHW)
        values[f"alarm/ms_ssim_{name}"] = self_similarity(small_NHW)
        values[f"alarm/deviation_{name}"] = _deviation(small_NHW)
    return values | image_faults.observe(reals_NHW, fakes_NHW)


def label_entropy(labels_NF: NDArray[np.int64], weight: float) -> dict[str, float]:
    """Give ``alarm/label_entropy``: what ``critic/label_real`` is where only the labels' shares are known.

    The entropies of all fields (N, F), in nats, are added up and multiplied by the supervision's `weight`; an
    unknown label has none.
    """
    total = 0.0
    for labels_N in labels_NF.T:
        _, counts = np.unique(labels_N[labels_N != UNKNOWN], return_counts=True)
        total -= float((counts * np.log(counts / counts.sum())).sum()) / len(labels_N)
    return {"alarm/label_entropy": weight * total}


def _alarm(settings: Alarms, name: str, ticks: Sequence[Tick]) -> Alarm | None:
    rule, watch = getattr(settings, name), WATCHES[name]
    bad, found = 0, None
    while bad < len(ticks) and (broken := watch.broken(rule.bound, ticks[: len(ticks) - bad])):
        bad, found = bad + 1, found or broken
    if found is None or not rule.patience or bad < rule.patience:
        return None
    value, whose = found
    message = (
        f"Alarm '{name}': {watch.finding.format(whose=whose)} '{value:.3g}', and alarms.{name}.bound allows "
        f"{'no less' if watch.low else 'no more'} than {rule.bound:g}; so it was for {bad} "
        f"tick{'s' if bad > 1 else ''}. {watch.advice}"
    )
    return Alarm(name, message, value, rule.bound, bad, watch.acts)


def _newest(key: str, ticks: Sequence[Tick]) -> tuple[float, str] | None:
    value = ticks[-1].get(key)
    return None if value is None else (value, "")


def _skipped(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    shares = [(ticks[-1].get(f"{net}/skipped", 0.0), net) for net in ("critic", "generator")]
    return max(shares)


def _gradients(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    factors = []
    for net in ("critic", "generator"):
        key = f"{net}/gradient_norm"
        median, norm = _running_median(key, ticks), ticks[-1].get(key)
        if median and norm is not None:
            low = norm < median
            factor = median / norm if low and norm > 0 else norm / median if not low else math.inf
            factors.append((factor, f"{net}'s gradients are {'smaller' if low else 'larger'}"))
    return max(factors, key=_badness, default=None)


def _drift(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    score, distance = ticks[-1].get("critic/score_real"), ticks[-1].get("alarm/distance")
    # Below 1, where real and fake are hardly apart any more, a score says nothing.
    return None if score is None or distance is None else (abs(score) / max(1.0, distance), "")


def _growth(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    median, score = _running_median("critic/score_real", ticks), ticks[-1].get("critic/score_real")
    return None if median is None or score is None else (abs(score) / max(1.0, median), "")


def _collapse(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    now, parts = ticks[-1], []
    if now.get("alarm/deviation_real", 0.0) > 0:
        parts.append((now["alarm/deviation_fake"] / now["alarm/deviation_real"], "deviation"))
    if now.get("alarm/ms_ssim_real", 1.0) < 1:
        parts.append(((1 - now["alarm/ms_ssim_fake"]) / (1 - now["alarm/ms_ssim_real"]), "1 - MS-SSIM"))
    return min(parts, default=None)


def _labels(ticks: Sequence[Tick]) -> tuple[float, str] | None:
    now = ticks[-1]
    chance = now.get("alarm/label_entropy", 0.0)
    # While a stage fades in, its layers are new, and the labels may be hard for that reason alone.
    if chance <= 0 or now.get("fade", 1.0) < 1 or "critic/label_real" not in now:
        return None
    return now["critic/label_real"] / chance, ""


def _running_median(key: str, ticks: Sequence[Tick]) -> float | None:
    """Take the median of sizes over the ticks before the newest, if they are enough."""
    sizes = [abs(tick[key]) for tick in ticks[-1 - HISTORY : -1] if math.isfinite(tick.get(key, math.nan))]
    return float(np.median(sizes)) if len(sizes) >= SHORTEST else None


def _badness(factor: tuple[float, str]) -> float:
    return math.inf if math.isnan(factor[0]) else factor[0]


def _distance(real_HW: Images, fake_HW: Images) -> float:
    return float(np.linalg.norm(real_HW.astype(np.float32) - fake_HW.astype(np.float32)) / 32767.5)


def _deviation(images_NHW: Images) -> float:
    """Deviation between neighbours, which leaves out what differs between labels."""
    apart_NHW = (images_NHW[0::2].astype(np.float32) - images_NHW[1::2].astype(np.float32)) / 32767.5
    return float(np.sqrt(np.square(apart_NHW).mean(axis=0) / 2).mean())


def _reduced(images_NHW: Images) -> Images:
    while images_NHW.shape[1] > COMPARED_PX and not any(side % 2 for side in images_NHW.shape[1:]):
        n, height, width = images_NHW.shape
        blocks = images_NHW.reshape(n, height // 2, 2, width // 2, 2)
        images_NHW = blocks.mean(axis=(2, 4), dtype=np.float32).astype(np.uint16)
    return images_NHW


WATCHES: dict[str, Watch] = {
    "reals": Watch(
        partial(_newest, "alarm/deviation_real"),
        True,
        "real images of a label deviate from each other by",
        "They are all alike: look at them with `mammogan shards show`, and build the shards anew.",
    ),
    "skipped": Watch(
        _skipped,
        False,
        "the share of the {whose}'s updates whose gradients were not finite is",
        "Lower optimiser.learning_rate; with engine.precision fp16, try bf16 or fp32.",
    ),
    "penalty": Watch(
        partial(_newest, "critic/penalty"),
        False,
        "the mean penalty of the critic's gradients is",
        "The critic is not held to its slope: lower optimiser.learning_rate, or raise loss.penalty_weight.",
    ),
    "gradients": Watch(
        _gradients,
        False,
        "the {whose} than they were at this stage, by a factor of",
        "Lower optimiser.learning_rate, or lengthen schedule.fade_kimg if it came with a fade.",
    ),
    "drift": Watch(
        _drift,
        False,
        "the critic's mean score of reals, in distances between real and fake, is",
        "Raise loss.drift_weight, or lower optimiser.learning_rate.",
    ),
    "growth": Watch(
        _growth,
        False,
        "the critic's mean score of reals has grown at this stage, by a factor of",
        "Lower optimiser.learning_rate, or raise loss.drift_weight.",
    ),
    "collapse": Watch(
        _collapse,
        True,
        "generated images of a label are nearly all alike; their {whose}, as a part of the reals', is",
        "Look at the sheets of samples; go back to an earlier tick, and lower optimiser.learning_rate.",
    ),
    "labels": Watch(
        _labels,
        False,
        "the critic does not learn the reals' labels; their entropy to it, as a part of chance, is",
        "Check supervision.fields and the labels with `mammogan shards show`; if they are right and can't be "
        "seen in so small an image, set alarms.labels.patience to 0.",
    ),
    **image_faults.WATCHES,
}
"""Alarms by name, which is that of their settings, causes first."""
