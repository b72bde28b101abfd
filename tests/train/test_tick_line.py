"""A tick is one line that a person can read: progress, speed, losses, memory, and the time that is left."""

from __future__ import annotations

import pytest

from mammogan import schedule
from mammogan.config.method import load_method
from mammogan.train.tick_line import tick_line

STAGE = schedule.plan(load_method("quick"))[4]
VALUES = {
    "perf/images_per_s": 50.0,
    "fade": 1.0,
    "critic/wasserstein": -1.234567,
    "critic/penalty": 0.5,
    "generator/adversarial": 2.0,
    "critic/gradient_norm": 0.25,
    "generator/gradient_norm": 0.125,
    "perf/waiting_for_data": 0.031,
    "system/memory_peak_gb": 1.46,
}


def test_a_tick_has_all_that_people_watch_in_one_line():
    line = tick_line(STAGE, 1600, VALUES)
    assert "\n" not in line
    assert line.startswith(
        f"80x64 1.6 of {STAGE.images / 1000:.4g} kimg; 20 s/kimg, 50 images/s; fake less real -1.23;"
    )
    assert (
        "penalty 0.5; generator's loss 2; gradients: critic 0.25; generator 0.125; waiting 3%; memory 1.5 GB"
        in line
    )
    left_s = (STAGE.images - 1600) / 50
    assert line.endswith(f"; {left_s / 60:.0f} min left")


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"fade": 0.4}, "fading in, 40%"),
        ({"system/device_memory_peak_gb": 70.25}, "GPU 70.2 GB"),
        ({"perf/images_per_s": 0.1}, "10000 s/kimg"),
        ({"perf/images_per_s": 1e5}, " s left"),
        ({"perf/images_per_s": 0.5}, " h left"),
        ({"perf/images_per_s": 0.0}, "no image a second"),
        ({"critic/wasserstein": float("nan")}, "fake less real nan"),
    ],
)
def test_what_is_odd_or_absent_is_written_too(changed, words):
    assert words in tick_line(STAGE, 1600, VALUES | changed)
    assert "penalty" not in tick_line(STAGE, 1600, {"perf/images_per_s": 1.0, "fade": 1.0})
