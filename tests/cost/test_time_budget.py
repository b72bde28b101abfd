"""A schedule that fills a number of minutes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.cost.time_budget import fill_time, same_but_for_time
from mammogan.errors import ConfigError

QUICK = load_method("quick", ("schedule.minutes=10",))


@dataclass(frozen=True)
class Steady:
    """A device that takes as long for every step of a stage: a second more a stage, over `speed`."""

    speed: float
    name = "steady"

    def step_s(self, stage, work, share, ranks):
        return (1 + stage.index) / self.speed / ranks, "measured"

    def drawing_s(self, stage, work):
        return 1.0


def seconds(method, pace, ranks=1):
    return [stage.steps * pace.step_s(stage, None, stage.batch, ranks)[0] for stage in schedule.plan(method)]


@pytest.mark.parametrize(("speed", "ranks"), [(20, 1), (200, 1), (200, 4)])
def test_each_stage_gets_its_share_of_the_minutes(speed, ranks):
    pace = Steady(speed)
    found = seconds(fill_time(QUICK, ranks, pace), pace, ranks)
    shares = QUICK.schedule.shares
    assert sum(found) == pytest.approx(600, rel=0.02)
    longest = (1 + len(shares)) / speed  # a step
    assert found == pytest.approx([600 * share / sum(shares) for share in shares], abs=longest)


def test_a_stage_fades_over_its_share_of_its_images():
    stages = schedule.plan(fill_time(QUICK, 1, Steady(200)))
    parts = [stage.fade_images / stage.images for stage in stages]
    assert parts == pytest.approx(QUICK.schedule.fade_shares, abs=0.01)


def test_minutes_that_are_too_few_are_refused_with_how_many_it_takes():
    words = (
        r"schedule.minutes '10' is too short: 10 steps of each stage, the fewest, take 5.* Give 1\d at least"
    )
    with pytest.raises(ConfigError, match=words):
        fill_time(QUICK, 1, Steady(0.45))


def test_a_stage_that_would_get_fewer_than_ten_steps_takes_them_from_the_others():
    pace = Steady(1)
    found = fill_time(QUICK, 1, pace)
    steps = [stage.steps for stage in schedule.plan(found)]
    assert min(steps) == 10 and steps[0] == 10 and steps[-1] > 10
    assert sum(seconds(found, pace)) == pytest.approx(600, rel=0.03)


def test_filled_on_other_devices_it_is_the_same_method_and_with_other_minutes_it_is_not():
    slow, fast = (fill_time(QUICK, 1, Steady(speed)) for speed in (20, 200))
    assert slow != fast
    assert same_but_for_time(slow, fast) and same_but_for_time(slow, QUICK)
    assert not same_but_for_time(slow, load_method("quick", ("schedule.minutes=11",)))
    assert not same_but_for_time(slow, load_method("quick", ("schedule.minutes=10", "method.seed=1")))
