"""A schedule that fills a given time: so many images of each stage as a device gets through in its share."""

from __future__ import annotations

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

    Each stage gets its part of the minutes (``schedule.shares``) and fades in over its part of the images
    (``schedule.fade_shares``). Starting, ticks and checkpoints come on top.

    Raises
    ------
    ConfigError
        If a stage would not get through ten steps.
    """
    fade_kimg, stable_kimg, ticks_kimg = [], [], []
    wanted = method.schedule
    for stage in schedule.plan(method):
        part = entry(wanted.shares, stage.index)
        step_s, _ = pace.step_s(stage, work(method, stage), stage.batch // ranks, ranks)
        steps = int(60 * wanted.minutes * part / sum(wanted.shares) / step_s)
        if steps < FEWEST_STEPS:
            raise ConfigError(
                f"schedule.minutes '{wanted.minutes:g}' is too short: stage {stage.index}, "
                f"{stage.height_px}x{stage.width_px}, would take {steps} steps of {step_s:.2g} s, and "
                f"{FEWEST_STEPS} are the fewest. Give more minutes, or a method with fewer stages."
            )
        fading = entry(wanted.fade_shares, stage.index) if stage.index else 0.0
        faded = round(fading * steps)
        fade_kimg.append(faded * stage.batch / 1000)
        stable_kimg.append((steps - faded) * stage.batch / 1000)
        ticks_kimg.append(max(1, steps // TICKS) * stage.batch / 1000)
    filled = {"fade_kimg": fade_kimg, "stable_kimg": stable_kimg, "tick_kimg": ticks_kimg}
    changed = wanted.model_copy(update={name: tuple(values) for name, values in filled.items()})
    return method.model_copy(update={"schedule": changed})


def same_but_for_time(one: Method, other: Method) -> bool:
    """Whether two methods are one but for what `fill_time` has put into their schedules."""
    return _unfilled(one) == _unfilled(other)


def _unfilled(method: Method) -> Method:
    filled = ("fade_kimg", "stable_kimg", "tick_kimg")
    plain = method.schedule.model_copy(update=dict.fromkeys(filled))
    return method.model_copy(update={"schedule": plain})
