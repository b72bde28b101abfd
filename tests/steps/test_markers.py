"""What counts as done, and how far what runs is said to be."""

import pytest

from mammogan.steps import markers
from mammogan.steps.job_graph import Node
from mammogan.steps.task_progress import Progress, progress, report_progress

NODE = Node("score-1", "score", 1, 3, "gpu_one", ("train-1",))


@pytest.fixture
def made(tmp_path):
    path = tmp_path / "scores" / "1.json"
    path.parent.mkdir()
    path.write_text("17")
    return path


def test_a_marked_task_is_done_and_others_are_not(tmp_path, made):
    markers.mark(tmp_path, "score-1", 0, [made])
    assert markers.holds(tmp_path, "score-1", 0)
    assert not markers.holds(tmp_path, "score-1", 1)
    assert not markers.holds(tmp_path, "score-2", 0)


def test_a_task_without_files_can_be_done(tmp_path):
    markers.mark(tmp_path, "shards", 0, [])
    assert markers.holds(tmp_path, "shards", 0)


def test_a_task_whose_file_is_gone_is_not_done(tmp_path, made):
    markers.mark(tmp_path, "score-1", 0, [made])
    made.unlink()
    assert not markers.holds(tmp_path, "score-1", 0)


@pytest.mark.parametrize("content", ["18", "170", ""])
def test_a_task_whose_file_has_changed_is_not_done(tmp_path, made, content):
    markers.mark(tmp_path, "score-1", 0, [made])
    made.write_text(content)
    assert not markers.holds(tmp_path, "score-1", 0)


def test_large_files_are_checked_by_size_alone(tmp_path, made, monkeypatch):
    monkeypatch.setattr(markers, "HASHED_BYTES", 1)
    markers.mark(tmp_path, "score-1", 0, [made])
    made.write_text("18")
    assert markers.holds(tmp_path, "score-1", 0)
    made.write_text("170")
    assert not markers.holds(tmp_path, "score-1", 0)


@pytest.mark.parametrize("content", ["", "{", "[]", "17", '{"files": [1]}', '{"files": {"a": 1}}'])
def test_a_damaged_mark_means_not_done(tmp_path, content):
    markers.mark(tmp_path, "score-1", 0, [])
    (tmp_path / "done" / "score-1" / "0.json").write_text(content)
    (tmp_path / "a").touch()
    assert not markers.holds(tmp_path, "score-1", 0)


def test_a_run_may_be_moved(tmp_path, made):
    markers.mark(tmp_path, "score-1", 0, [made])
    moved = tmp_path.rename(tmp_path.with_name("moved"))
    assert markers.holds(moved, "score-1", 0)


def test_nothing_said_is_no_progress(tmp_path):
    assert progress(tmp_path, NODE) is None


def test_the_progress_of_an_array_is_the_sum_of_its_tasks(tmp_path):
    report_progress(tmp_path, "score-1", 0, 5, 10, "images", "7 images/s")
    report_progress(tmp_path, "score-1", 2, 1, 10, "images", "9 images/s")
    report_progress(tmp_path, "score-10", 1, 1, 1, "images", "")
    assert progress(tmp_path, NODE) == Progress(done=6, total=20, unit="images", note="9 images/s")


def test_progress_said_again_replaces_what_was_said(tmp_path):
    for count in (1, 2):
        report_progress(tmp_path, "score-1", 1, count, 4, "images", "")
    said = progress(tmp_path, NODE)
    assert (said.done, said.total) == (2, 4)
    assert said.rate_s > 0


@pytest.mark.parametrize("content", ["", "{", "[]", '{"done": 1}'])
def test_damaged_progress_is_passed_over(tmp_path, content):
    report_progress(tmp_path, "score-1", 0, 5, 10, "images", "")
    (tmp_path / "progress" / "score-1-1.json").write_text(content)
    assert progress(tmp_path, NODE) == Progress(done=5, total=10, unit="images")
