"""Which checkpoint is chosen, what is drawn from it by whom, and what the tracking server is told."""

import importlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammogan import schedule, steps
from mammogan.config.dataset import load_recipe
from mammogan.config.labels import VIEWS
from mammogan.config.method import Sampling, load_method
from mammogan.config.run import claim, merge
from mammogan.config.site import load_site
from mammogan.errors import ConfigError, RunFailedError
from mammogan.steps.sample import shares
from mammogan.steps.score import score_path
from mammogan.steps.select import lowest_swd, scores
from mammogan.steps.telling import story


def score(images, swd, sd=1.0):
    return {
        "stage": 3,
        "images": images,
        "kimg": images / 1000,
        "checkpoint": f"digest-{images}",
        "swd": swd,
        "sd": sd,
        "floor": 5.0,
        "levels": [{"height_px": 40, "width_px": 32, "swd": swd}],
    }


def test_the_lowest_distance_is_chosen():
    choice = lowest_swd([score(1000, 30.0), score(2000, 20.0), score(3000, 40.0)], 2.0)
    assert (choice["images"], choice["checkpoint"], choice["ties"]) == (2000, "digest-2000", [2000])
    assert choice["above_floor"] == 15.0
    assert [rival["images"] for rival in choice["rivals"]] == [1000, 2000, 3000]


def test_of_those_that_tie_the_latest_is_chosen():
    choice = lowest_swd([score(1000, 20.0), score(2000, 21.9), score(3000, 22.1)], 2.0)
    assert (choice["images"], choice["ties"]) == (2000, [1000, 2000])


def test_without_a_tolerance_only_equals_tie():
    rivals = [score(1000, 20.0), score(2000, 20.0), score(3000, 20.1)]
    assert lowest_swd(rivals, 0.0)["images"] == 2000


def test_a_single_checkpoint_is_chosen():
    assert lowest_swd([score(1000, 99.0)], 2.0)["ties"] == [1000]


@given(st.permutations([score(1000, 20.0), score(2000, 21.0), score(3000, 30.0)]))
def test_the_choice_does_not_depend_on_the_order_of_scores(rivals):
    assert lowest_swd(rivals, 2.0)["images"] == 2000


@given(st.integers(1, 400), st.integers(1, 900))
def test_the_shares_of_the_tasks_are_the_pool_and_no_image_is_drawn_twice(images_per_view, images_per_task):
    sampling = Sampling(images_per_view=images_per_view, images_per_task=images_per_task)
    tasks = -(-images_per_view * len(VIEWS) // images_per_task)
    drawn = []
    for task in range(tasks):
        mine = [(view, number) for view, numbers in shares(task, sampling) for number in numbers]
        assert 0 < len(mine) <= images_per_task
        drawn += mine
    assert drawn == [(view, number) for view in range(len(VIEWS)) for number in range(images_per_view)]
    assert not any(numbers for _, numbers in shares(tasks, sampling))


@pytest.fixture
def run(tmp_path):
    method = load_method("tour", ("ladder.stages=2",))
    made = merge(method, (load_recipe("phantom"),), load_site("local"), tmp_path / "shards", "data", "0.1.0")
    claim(tmp_path / "run", made)
    return tmp_path / "run", made


def write_scores(folder, stage, values):
    for images, value in zip(stage.checkpoints(), values, strict=False):
        path = score_path(folder, stage.index, images)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(score(images, value) | {"kimg": stage.kimg(images)}))


def test_scores_that_are_not_there_yet_are_left_out(run):
    folder, made = run
    stage = schedule.plan(made.method)[1]
    write_scores(folder, stage, [30.0, 20.0])
    assert [found["swd"] for found in scores(folder, stage)] == [30.0, 20.0]


def test_choosing_among_nothing_says_what_to_run_first(run):
    with pytest.raises(RunFailedError, match=r"no checkpoint of stage 1 is scored. Run the step 'score-1'"):
        steps.run(run[0], "select")


def test_an_unknown_step_or_task_is_answered_with_those_that_are(run):
    with pytest.raises(
        ConfigError, match=r"no step 'trian-0'\. Its steps: shards, finalise, train-0, score-0, train-1"
    ):
        steps.run(run[0], "trian-0")
    with pytest.raises(ConfigError, match=r"'select' has no task '1': it has 1, counted from 0"):
        steps.run(run[0], "select", 1)


def test_the_tracking_server_is_told_of_settings_scores_and_files(run, monkeypatch):
    folder, made = run
    monkeypatch.setattr(steps, "is_done", lambda _, node, task: node.name == "train-0")
    stages = schedule.plan(made.method)
    write_scores(folder, stages[0], [30.0])
    told = story(folder, made)
    assert told.params["schedule.batch"] == str(list(made.method.schedule.batch))
    assert told.params["method.name"] == "tour"
    assert told.tags["run_id"] == made.run_id
    assert told.stages == {"train-0": "stage 0: 5x4", "train-1": "stage 1: 10x8"}
    assert told.finished == {"train-0"}
    step = round(stages[0].kimg(stages[0].checkpoints()[0]))
    assert told.scores == [
        ("swd/5x4/mean", 30.0, step),
        ("swd/5x4/floor", 5.0, step),
        ("swd/5x4/level_40", 30.0, step),
    ]
    assert [path.name for path in told.files] == ["run.json"]
    assert (told.ended, told.model) == (False, None)
    assert story(folder, made, finished="train-1").finished == {"train-0", "train-1"}


def test_with_the_report_the_run_has_ended_and_its_model_is_told(run, monkeypatch):
    folder, made = run
    monkeypatch.setattr(steps, "is_done", lambda *_: False)
    told = story(folder, made, finished="report")
    assert (told.ended, told.model) == (True, folder / "model")
    assert hasattr(importlib.import_module(told.loader), "_load_pyfunc")
