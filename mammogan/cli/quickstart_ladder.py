"""The resolution of a quickstart: the highest that its images, this device and its minutes allow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mammogan.errors import ConfigError

if TYPE_CHECKING:
    from mammogan.config.method import Method
    from mammogan.cost.estimate import Pace
    from mammogan.data.autodetect.survey import Survey

METHOD, STAGES = "quick", 5
"""The method, and its own number of stages: to 80 x 64 pixels."""
FEWEST_STAGES = 4
MOST_STAGES = {1000: 5, 10_000: 7}
"""Below so many images no more stages: what `small`, `small-160` and `mammogan-plus` are for."""
ANY_STAGES = 9
ENOUGH_KIMG, LEAST_KIMG = 20.0, 2.0
"""Thousands of images that the last stage must show: of a higher resolution than the method's own, as `small`
and `small-160` do, and of the method's own, so as not to be mere noise."""
OVERHEAD_MIN, START_S = 1.8, 4.0
"""What starting, checkpoints and the report take beside training and drawing, on two cores where a process
that trains starts within so many seconds; on slower ones it takes longer in proportion."""
LEAST_MIN, SURE_PART = 0.5, 0.6
"""Of the time that is left for training so much is planned: how fast it is, is measured once, in the best of
moments, and a machine that people work at is half as fast in others."""


@dataclass(frozen=True)
class Ladder:
    """A number of stages, minutes of training, in the last `kimg` thousand images, and why no more stages."""

    stages: int
    minutes: float
    kimg: float
    why: str

    @property
    def top_px(self) -> tuple[int, int]:
        """Height and width of the last stage, in pixels."""
        from mammogan.schedule import ladder

        return ladder((5, 4), self.stages)[-1]

    @property
    def settings(self) -> list[str]:
        """What differs from the method, as ``--set`` has it: as many channels at the top as it has there."""
        more = self.stages - STAGES
        if not more:
            return [f"schedule.minutes={self.minutes:g}"]
        method = _method()
        shares, fades = (
            _stretched(method.schedule.shares, more),
            _stretched(method.schedule.fade_shares, more),
        )
        return [
            f"schedule.minutes={self.minutes:g}",
            f"ladder.stages={self.stages}",
            f"network.channels_base={_channels(method, more)}",
            f"schedule.shares={list(shares)}",
            f"schedule.fade_shares={list(fades)}",
        ]


def choose(found: Survey, pace: Pace, ranks: int, left_min: float, start_s: float = 0.0) -> Ladder:
    """Choose the highest ladder of which the time holds enough, on `ranks` devices of that pace.

    A process that trains was seen to start within `start_s` seconds; at 0 nobody has looked.
    """
    overhead_min = OVERHEAD_MIN * max(1.0, start_s / START_S)
    images = len(found.images) + len(found.dicoms)
    most, why = _most_stages(found, images)
    for stages in range(most, FEWEST_STAGES, -1):
        made = _filled(stages, images, pace, ranks, left_min - overhead_min, why)
        if made and made.kimg >= (ENOUGH_KIMG if stages > STAGES else LEAST_KIMG):
            return made
        why = f"{left_min:.3g} minutes are too short for more here"
    made = _filled(FEWEST_STAGES, images, pace, ranks, left_min - overhead_min, why)
    return made or Ladder(FEWEST_STAGES, LEAST_MIN, 0.0, why)


def _most_stages(found: Survey, images: int) -> tuple[int, str]:
    """Limit the stages by how many images there are, and by how large most of the pictures are."""
    stages, why = ANY_STAGES, "no higher is known"
    for below, most in reversed(MOST_STAGES.items()):
        if images < below:
            stages, why = most, f"{images} images are too few for more"
    if found.images and not found.dicoms:
        rows = sorted(image.rows for image in found.images)
        middle = rows[len(rows) // 2]
        while stages > FEWEST_STAGES and 5 << (stages - 1) > middle:
            stages, why = stages - 1, f"the pictures have {middle} rows"
    return stages, why


def _filled(stages: int, images: int, pace: Pace, ranks: int, left_min: float, why: str) -> Ladder | None:
    from mammogan.config.method import load_method
    from mammogan.cost.estimate import Data, cost
    from mammogan.cost.time_budget import fill_time

    minutes = SURE_PART * left_min
    for _ in range(2):  # what scoring draws takes its part, and is known once a schedule is
        ladder = Ladder(stages, max(LEAST_MIN, round(minutes, 1)), 0.0, why)
        try:
            method = fill_time(load_method(METHOD, tuple(ladder.settings)), ranks, pace)
        except ConfigError:  # not ten steps of each stage
            return None
        reckoned = cost(method, Data.expected(max(images, 1), method), ranks, pace)
        drawing_h = reckoned.drawing_hours + sum(stage.scoring_hours for stage in reckoned.stages)
        minutes = SURE_PART * (left_min - 60 * drawing_h)
    kimg = method.schedule.fade_kimg[-1] + method.schedule.stable_kimg[-1]
    return Ladder(stages, ladder.minutes, kimg, why)


def _method() -> Method:
    from mammogan.config.method import load_method

    return load_method(METHOD)


def _channels(method: Method, more: int) -> int:
    return int(method.network.channels_base * 2.0**more)


def _stretched(values: tuple[float, ...], more: int) -> Iterator[float]:
    """Repeat the second stage's value, or leave stages after the first out; the last ones stay the last."""
    yield values[0]
    yield from values[1:2] * more
    yield from values[1 + max(0, -more) :]
