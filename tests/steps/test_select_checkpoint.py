"""Which checkpoint is chosen, what is drawn from it by whom, and what trackers get."""

import csv
import importlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mammogan import schedule, steps
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import claim, merge
from mammogan.config.scoring_settings import Selection
from mammogan.config.site import load_site
from mammogan.errors import ConfigError, RunFailedError
from mammogan.run_folder import RunFolder
from mammogan.run_records import Score
from mammogan.steps.choose_checkpoint import choose
from mammogan.steps.select_checkpoint import scores, table
from mammogan.steps.tracking_sync import summarize
from tests.steps.scored import score


def lowest_swd(rivals, tie_sd):
    """Choose as versions up to 0.2.0 did, by scores that know no more than theirs."""
    return choose(rivals, Selection(measures=("swd",), tie_sd=tie_sd))


def test_the_lowest_distance_is_chosen():
    choice = lowest_swd([score(1000, 30.0), score(2000, 20.0), score(3000, 40.0)], 2.0)
    assert (choice.images, choice.checkpoint, choice.ties) == (2000, "digest-2000", (2000,))
    assert (choice.above_floor, choice.tie, choice.lowest) == (15.0, False, 2000)
    assert [rival.images for rival in choice.rivals] == [1000, 2000, 3000]
    assert choice.rivals[0].views == {"CC": 24.0, "MLO": 26.0}


def test_of_those_that_tie_the_latest_is_chosen_and_the_tie_is_given():
    choice = lowest_swd([score(1000, 20.0), score(2000, 21.9), score(3000, 22.1)], 2.0)
    assert (choice.images, choice.ties) == (2000, (1000, 2000))
    assert (choice.tie, choice.lowest) == (True, 1000)


def test_the_margin_is_given_from_the_lowest_to_the_best_that_does_not_tie():
    choice = lowest_swd([score(1000, 30.0), score(2000, 20.0), score(3000, 21.0), score(4000, 25.0)], 2.0)
    assert (choice.second, choice.margin, choice.margin_sd) == (4000, 5.0, 5.0)
    alone = lowest_swd([score(1000, 20.0), score(2000, 20.5)], 2.0)
    assert (alone.second, alone.margin, alone.margin_sd) == (None, None, None)
    exact = lowest_swd([score(1000, 20.0, sd=0.0), score(2000, 20.5, sd=0.0)], 2.0)
    assert (exact.margin, exact.margin_sd) == (0.5, None)


def test_views_count_alike_and_the_floor_is_taken_off():
    # As low in all as its rival, but further above the floor of its views.
    unequal = score(1000, 20.0, sd=0.1, above_floor=17.0)
    assert lowest_swd([unequal, score(500, 20.0, sd=0.1)], 2.0).images == 500


def test_without_a_tolerance_only_equals_tie():
    rivals = [score(1000, 20.0), score(2000, 20.0), score(3000, 20.1)]
    assert lowest_swd(rivals, 0.0).images == 2000


def test_a_single_checkpoint_is_chosen():
    assert lowest_swd([score(1000, 99.0)], 2.0).ties == (1000,)


@given(st.permutations([score(1000, 20.0), score(2000, 21.0), score(3000, 30.0)]))
def test_the_choice_does_not_depend_on_the_order_of_scores(rivals):
    assert lowest_swd(rivals, 2.0).images == 2000


@pytest.fixture
def run(tmp_path):
    method = load_method("tour", ("ladder.stages=2",))
    made = merge(method, (load_recipe("phantom"),), load_site("local"), tmp_path / "shards", "data", "0.1.0")
    claim(tmp_path / "run", made)
    return tmp_path / "run", made


def write_scores(folder, stage, values):
    for images, value in zip(stage.checkpoints(), values, strict=False):
        path = RunFolder(folder).score(stage.index, images)
        path.parent.mkdir(parents=True, exist_ok=True)
        score(images, value, kimg=stage.kimg(images)).write(path)


def test_scores_that_are_not_there_yet_are_left_out(run):
    folder, made = run
    stage = schedule.plan(made.method)[1]
    write_scores(folder, stage, [30.0, 20.0])
    assert [found.swd for found in scores(folder, stage)] == [30.0, 20.0]


def test_choosing_among_nothing_says_what_to_run_first(run):
    with pytest.raises(RunFailedError, match=r"no checkpoint of stage 1 is scored. Run the step 'score-1'"):
        steps.run(run[0], "select")


def test_an_unknown_step_or_task_is_answered_with_those_that_are(run):
    with pytest.raises(ConfigError, match=r"no step 'trian-0'\. Did you mean 'train-0'"):
        steps.run(run[0], "trian-0")
    with pytest.raises(ConfigError, match=r"'select' has no task '1': its tasks are 0 to 0"):
        steps.run(run[0], "select", 1)


def test_trackers_get_settings_scores_and_files(run, monkeypatch):
    folder, made = run
    monkeypatch.setattr(steps, "is_done", lambda _, node, task: node.name == "train-0")
    stages = schedule.plan(made.method)
    write_scores(folder, stages[0], [30.0])
    given = summarize(folder, made)
    assert given.params["schedule.batch"] == str(list(made.method.schedule.batch))
    assert given.params["method.name"] == "tour"
    assert given.tags["run_id"] == made.run_id
    assert given.stages == {"train-0": "stage 0: 5x4", "train-1": "stage 1: 10x8"}
    assert given.finished == {"train-0"}
    step = round(stages[0].kimg(stages[0].checkpoints()[0]))
    assert {at for _, _, at in given.scores} == {step}
    assert {name.removeprefix("swd/5x4/"): value for name, value, _ in given.scores} == {
        "mean": 30.0,
        "sd": 1.0,
        "floor": 5.0,
        "above_floor": 25.0,
        "above_floor_sd": 1.0,
        "level_40": 30.0,
        "level_20": 30.0,
        "cc/mean": 29.0,
        "cc/floor": 5.0,
        "mlo/mean": 31.0,
        "mlo/floor": 5.0,
        "breast/mean": 40.0,
        "breast/floor": 5.0,
    }
    assert [path.name for path in given.files] == ["run.json"]
    assert (given.ended, given.model) == (False, None)
    assert summarize(folder, made, finished="train-1").finished == {"train-0", "train-1"}


def test_with_the_report_the_run_has_ended_and_its_model_is_logged(run, monkeypatch):
    folder, made = run
    monkeypatch.setattr(steps, "is_done", lambda *_: False)
    given = summarize(folder, made, finished="report")
    assert (given.ended, given.model.folder) == (True, folder / "model")
    assert hasattr(importlib.import_module(given.model.loader), "_load_pyfunc")


def test_the_table_has_a_line_for_each_checkpoint_view_and_region():
    lines = list(csv.DictReader(io.StringIO(table([score(1000, 30.0), score(2000, 20.0)]))))
    assert len(lines) == 2 * 2 * 3
    found = {(line["images"], line["region"], line["view"]): line for line in lines}
    assert found["2000", "image", "all"]["swd"] == "20.0"
    assert found["1000", "breast", "all"]["swd"] == "40.0"
    assert found["1000", "breast", "MLO"]["swd"] == "31.0"
    assert found["2000", "image", "CC"]["swd_level_1"] == "19.0"
    assert {line["floor"] for line in lines} == {"5.0"}


def test_the_table_of_stages_of_few_and_many_levels_has_columns_for_all():
    tree = score(1000, 30.0).model_dump()
    for one in (tree, *tree["views"].values(), tree["breast"], *tree["breast"]["views"].values()):
        one["levels"] = one["levels"][:1]
    few = Score.model_validate(tree)
    lines = list(csv.DictReader(io.StringIO(table([few, score(2000, 20.0)]))))
    assert {line["swd_level_1"] for line in lines if line["images"] == "1000"} == {""}
    assert all(line["swd_level_1"] for line in lines if line["images"] == "2000")
    assert table([]).count("\n") == 1
