"""A schedule that fills a given time: so many images of each stage as a device gets through in its share."""

from __future__ import annotations

from collections.abc import Sequence

from mammogan import schedule
from mammogan.config.method import Method
from mammogan.config.settings import entry
from mammogan.cost.estimate import Pace
from mammogan.cost.flops import work
from mammogan.errors import ConfigError

FEWEST_STEPS, TICKS = 10, 12
"""Steps that a stage must have, and ticks that it gets."""


def fill_time(method: Method, ranks: int, pace: Pace) -> Method:
    """Return `method` with the schedule that takes ``schedule.minutes`` on so many ranks of that pace.

    Each stage gets its part of the minutes (``schedule.shares``), but ten steps at least, and fades in over
    its part of the images (``schedule.fade_shares``). Starting, ticks and checkpoints come on top.

    Raises
    ------
    ConfigError
        If ten steps of each stage alone take more than half of the minutes.
    """
    fade_kimg, stable_kimg, ticks_kimg = [], [], []
    wanted, stages = method.schedule, schedule.plan(method)
    paces_s = [pace.step_s(each, work(method, each), each.batch // ranks, ranks)[0] for each in stages]
    fewest_min = FEWEST_STEPS * sum(paces_s) / 60
    if fewest_min > wanted.minutes / 2:
        raise ConfigError(
            f"schedule.minutes '{wanted.minutes:g}' is too short: {FEWEST_STEPS} steps of each stage, the "
            f"fewest, take {fewest_min:.2g} minutes here. Give {2 * fewest_min:.2g} at least, or a method "
            "with fewer stages."
        )
    for stage, steps in zip(stages, _steps(method, paces_s), strict=True):
        fading = entry(wanted.fade_shares, stage.index) if stage.index else 0.0
        faded = round(fading * steps)
        fade_kimg.append(faded * stage.batch / 1000)
        stable_kimg.append((steps - faded) * stage.batch / 1000)
        ticks_kimg.append(max(1, steps // TICKS) * stage.batch / 1000)
    filled = {"fade_kimg": fade_kimg, "stable_kimg": stable_kimg, "tick_kimg": ticks_kimg}
    changed = wanted.model_copy(update={name: tuple(values) for name, values in filled.items()})
    return method.model_copy(update={"schedule": changed})


def _steps(method: Method, paces_s: Sequence[float]) -> list[int]:
    """Share the minutes among the stages; one that would get through fewer steps takes from the others."""
    shares = [entry(method.schedule.shares, stage) for stage in range(len(paces_s))]
    steps = [0] * len(paces_s)
    left_s, open_stages = 60 * method.schedule.minutes, set(range(len(paces_s)))
    while True:
        total = sum(shares[stage] for stage in open_stages)
        for stage in open_stages:
            steps[stage] = int(left_s * shares[stage] / total / paces_s[stage])
        short = {stage for stage in open_stages if steps[stage] < FEWEST_STEPS}
        if not short:
            return steps
        for stage in short:
            steps[stage] = FEWEST_STEPS
            left_s -= FEWEST_STEPS * paces_s[stage]
        open_stages -= short


def same_but_for_time(one: Method, other: Method) -> bool:
    """Whether two methods are one but for what `fill_time` has put into their schedules."""
    return _unfilled(one) == _unfilled(other)


def _unfilled(method: Method) -> Method:
    filled = ("fade_kimg", "stable_kimg", "tick_kimg")
    plain = method.schedule.model_copy(update=dict.fromkeys(filled))
    return method.model_copy(update={"schedule": plain})
