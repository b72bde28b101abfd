"""How a run's standing looks in terminals of several widths, and what it says of its end."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from mammogan.cli.status_view import duration, ending, standing, tracking_lines
from mammogan.cluster.job_usage import NOTHING, Usage
from mammogan.cluster.run_state import NodeState
from mammogan.run_records import TrackingState
from mammogan.steps import Progress
from mammogan.steps.job_graph import Node
from tests.steps import scored


def state(name, *tasks, reason="", expected="", job="1234567"):
    node = Node(name, name.partition("-")[0], None, len(tasks), "gpu_one", ())
    order = ("running", "queued", "failed", "blocked", "waiting", "done")
    return NodeState(node, min(tasks, key=order.index), tasks, {0: job}, reason, None, expected)


TOMORROW = (datetime.now() + timedelta(days=1)).replace(hour=7, minute=5).isoformat(timespec="seconds")
STATES = (
    state("train-0", "done"),
    state("score-0", *("done",) * 3, "running"),
    state("train-1", "running"),
    state("score-1", *("queued",) * 4, reason="waits for the steps before it (Dependency)"),
    state("select", "queued", reason="waits for the steps before it (Dependency)"),
    state("sample", "queued", reason="others are before it in the queue (Priority)", expected=TOMORROW),
)
PROGRESS = {
    "train-1": Progress(
        done=123_456,
        total=1_200_000,
        unit="kimg",
        note="31 images/s, alarm 'collapse'",
        rate_s=31.25,
        left_s=12_345.0,
    ),
    "score-0": Progress(done=3000, total=8000, unit="images", rate_s=10.0, left_s=500.0),
}
USED = {each.node.name: NOTHING for each in STATES} | {"train-1": Usage(4, 2, 1234.5, 99.0)}


def drawn(width, states=STATES, *, gpus=True, choice=None):
    console = Console(width=width, record=True)
    drawing = standing(states, USED, PROGRESS, "Run 1: m at s", gpus=gpus, wide=width >= 100, choice=choice)
    console.print(drawing)
    return console.export_text()


def test_the_choice_is_given_with_its_reason_and_what_one_should_know():
    one = scored.score(2000, 20.0, above_floor_error=4.25)
    text = drawn(
        160, choice=scored.choice(one, reason="by swd 2 tie", notices=["1 of 2 can't be chosen: [x]."])
    )
    assert "Chosen: the checkpoint after 2.0 kimg, SWD 15.0 ± 4.2 above the floor: by swd 2 tie." in text
    assert "1 of 2 can't be chosen: [x]." in text
    of_old = drawn(160, choice=scored.choice(scored.score(2000, 20.0)))
    assert "Chosen: the checkpoint after 2.0 kimg, SWD 15.0 above the floor." in of_old


@pytest.mark.parametrize("width", [80, 100, 160])
def test_no_column_is_cut_at_any_usual_width(width):
    text = drawn(width)
    row = next(line for line in text.splitlines() if line.startswith("train-1"))
    assert row.split()[2:12] == ["0/1", "123.5/1200", "kimg", "31.2", "3", "h", "26", "4", "(2)", "1234.50"]
    assert "…" not in text
    assert ("1234567" in text) == (width >= 100)


def test_steps_that_wait_for_one_reason_share_its_line_with_the_expected_start():
    lines = drawn(160).splitlines()
    assert any("score-1, select" in line and "Dependency" in line for line in lines)
    assert any("Slurm expects it to start on" in line and "at 07:05" in line for line in lines)
    assert any("alarm 'collapse'" in line for line in lines)


def test_hours_are_labelled_as_those_of_ranks_where_there_is_no_gpu():
    assert "rank-" in drawn(100, gpus=False)
    assert "99.00" in drawn(100, gpus=False)
    assert "GPU-" in drawn(100)


def test_the_end_of_a_run_is_told_only_when_all_that_is_left_runs():
    assert ending(STATES, PROGRESS) == (
        "",
        "When the run ends can't be told yet: 3 steps have not begun.",
    )
    assert ending(STATES[:3], PROGRESS) == ("3 h 26", "")
    assert "pace is not known" in ending(STATES[:3], {})[1]
    assert ending(STATES[:1], PROGRESS) == ("", "")
    unknown = replace(STATES[2], state="unknown", tasks=("unknown",))
    assert ending((*STATES[:2], unknown), PROGRESS) == ("", "")


def test_durations():
    seconds = (40, 119, 720, 3600 * 3 + 1200, 3600 * 52)
    assert [duration(s) for s in seconds] == ["40 s", "2 min", "12 min", "3 h 20", "2 d 4 h"]


def test_trackers_that_are_behind_and_what_they_found_are_shown():
    state = TrackingState(
        failures={"mlflow": "no [permission]."}, notices=("the tracker 'mlflow': restored",)
    )
    console = Console(width=200, record=True)
    for line in tracking_lines(state, Path("/runs/r")):
        console.print(line)
    text = console.export_text()
    assert "The tracker 'mlflow' is behind: no [permission]. `mammogan sync /runs/r` brings it up" in text
    assert "The tracker 'mlflow': restored." in text
    assert tracking_lines(None, Path()) == tracking_lines(TrackingState(), Path()) == []


OVER = (state("shards", "done"), state("train-0", "done"), state("score-0", "done", "failed"))
BEGAN = datetime(2026, 11, 30, 9, 41, 7).timestamp()


def over(width=80, *, gpus=True, **used):
    console = Console(width=width, record=True)
    mine = {each.node.name: used.get(each.node.name.replace("-", "_"), NOTHING) for each in OVER}
    console.print(standing(OVER, mine, {}, "Run 1: m at s", gpus=gpus, wide=width >= 100))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 100])
def test_a_run_that_is_over_shows_when_it_ran_and_what_it_used(width):
    text = over(
        width,
        shards=Usage(1, 0, 0.0, 0.25, 0.5, began=BEGAN, ended=BEGAN + 900),
        train_0=Usage(2, 1, 8.0, 8.0, 32.0, began=BEGAN + 1000, ended=BEGAN + 8200),
        score_0=Usage(2, 1, 0.5, 0.5, 1.0, began=BEGAN + 8300, ended=BEGAN + 9000),
    )
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    train = ["train-0", "done", "1/1", "30", "Nov", "09:57", "2", "h", "00", "2", "(1)", "32.00", "8.00"]
    assert rows["train-0"] == train
    assert rows["all"][-4:] == ["5", "(2)", "33.50", "8.50"]
    words = (
        "Began 2026-11-30 09:41:07, ended 2026-11-30 12:11:07: 2 h 30, 33.50 CPU-hours and 8.50 GPU-hours."
    )
    assert words in " ".join(text.split())
    assert "…" not in text and "unknown" not in text.lower()


def test_of_a_run_that_is_over_nothing_is_zero_that_nobody_knows():
    text = over(
        shards=Usage(1, 0, 0.0, 0.0, unknown=1),
        train_0=Usage(1, 0, 0.0, 0.25, 0.0, unknown_cpus=1, began=BEGAN, ended=BEGAN + 900),
        score_0=Usage(2, 1, 0.5, 0.5, 1.0, unknown=1, began=BEGAN, ended=BEGAN + 900),
    )
    rows = {line.split()[0]: line.split() for line in text.splitlines() if line.strip()}
    assert rows["shards"][3:] == ["unknown", "unknown", "1", "unknown", "unknown"]
    assert rows["train-0"][-2:] == ["unknown", "0.00"]  # it held no GPU
    assert rows["score-0"][-4:] == [">", "1.00", ">", "0.50"]
    whole = " ".join(text.split())
    assert "Unknown: how long 2 tasks ran (shards, score-0). There is no accounting by sacct" in whole
    assert "Unknown: on how many CPUs train-0 ran" in whole


def test_of_a_run_that_was_launched_in_part_what_it_used_is_shown_when_that_is_done():
    states = (OVER[0], state("train-0", "waiting"))
    console = Console(width=80, record=True)
    used = {"shards": Usage(1, 0, 0.0, 0.25, 0.5, began=BEGAN, ended=BEGAN + 900), "train-0": NOTHING}
    console.print(standing(states, used, {}, "Run 1: m at s", gpus=False, wide=False))
    text = console.export_text()
    assert "15 min, 0.50 CPU-hours." in text and "train-0 has not begun." in text
    console.print(standing(states, dict.fromkeys(used, NOTHING), {}, "Run 1", gpus=False, wide=False))
    assert "CPU-" not in console.export_text()  # nothing was launched


def test_without_gpus_there_are_no_gpu_hours():
    used = Usage(1, 0, 0.0, 0.25, 0.5, began=BEGAN, ended=BEGAN + 900)
    assert "GPU" not in over(gpus=False, shards=used, train_0=used)
