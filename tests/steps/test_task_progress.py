"""How far and how fast tasks are, and how long the rest takes at that pace."""

from __future__ import annotations

import time

import pytest

from mammogan.steps.job_graph import Node
from mammogan.steps.task_progress import progress, report_progress


@pytest.fixture
def clock(monkeypatch):
    """A clock that is moved by hand."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_the_pace_is_what_was_done_since_the_process_first_told(tmp_path, clock):
    node = Node("train-0", "train", 0, 1, "gpu_nodes", ())
    report_progress(tmp_path, "train-0", 0, 500, 1000, "images", "")
    assert progress(tmp_path, node).rate_s == 0
    assert progress(tmp_path, node).left_s is None
    clock[0] += 10
    report_progress(tmp_path, "train-0", 0, 600, 1000, "images", "n")
    assert (progress(tmp_path, node).rate_s, progress(tmp_path, node).left_s) == (10, 40)
    clock[0] += 10
    report_progress(tmp_path, "train-0", 0, 100, 1000, "images", "rolled back")
    assert progress(tmp_path, node).left_s is None


def test_tasks_that_have_not_begun_are_reckoned_as_long_as_the_others(tmp_path, clock):
    node = Node("score-0", "score", 0, 4, "gpu_one", ())
    assert progress(tmp_path, node) is None
    for task in (0, 1):
        report_progress(tmp_path, "score-0", task, 0, 100, "images", "")
    clock[0] += 10
    report_progress(tmp_path, "score-0", 0, 100, 100, "images", "")  # done: it adds nothing to the pace
    report_progress(tmp_path, "score-0", 1, 20, 100, "images", "")
    assert progress(tmp_path, node).left_s == pytest.approx((80 + 200) / 2)
