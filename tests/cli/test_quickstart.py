"""`mammogan quickstart` says what it guesses and gives ordinary commands; each wall says what helps."""

from __future__ import annotations

import csv
import os
import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app, quickstart_command
from mammogan.cli.quickstart_ladder import LEAST_MIN, OVERHEAD_MIN, SURE_PART, choose
from mammogan.cli.quickstart_sources import Place
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.cost.calibrate import Calibration, Measured
from mammogan.cost.estimate import Measurements
from mammogan.cost.flops import work
from mammogan.data.autodetect import guess
from mammogan.data.autodetect.survey import ImageFile, Survey
from mammogan.data.store.manifest import Plan, render
from mammogan.errors import DataError
from mammogan.schedule import plan
from tests.data.autodetect.test_guess import mammogram


@pytest.fixture
def pictures(tmp_path):
    root = tmp_path / "pictures"
    root.mkdir()

    def write(*names, image=None):
        for name in names:
            cv2.imwrite(str(root / name), mammogram() if image is None else image)
        return root

    return write


@pytest.fixture
def commands(monkeypatch):
    """Note the commands that it gives, and give none."""
    given = []

    def note(*words, variables=None):
        given.append([str(word) for word in words])
        if words[0] == "cost":
            calibration(200.0).save(Path(words[-1]))

    monkeypatch.setattr(quickstart_command, "_run", note)
    monkeypatch.setattr(quickstart_command, "_contents", lambda place: (30, ("CC", "MLO")))
    return given


def calibration(gflops):
    """A device that reaches so many GFLOP/s in the smallest stage, and so in all."""
    method = load_method("quick")
    gflop = work(method, plan(method)[0]).flops / 1e9
    return Calibration(
        "a device", "cpu", "quick", "fp32", (Measured(5, 4, 16, 1.0, gflop, gflop / gflops, 0.0),)
    )


def invoke(*words):
    result = CliRunner().invoke(app, ["quickstart", *map(str, words)])
    return result, (result.output if result.exception is None else f"{result.output}\n{result.exception}")


def test_it_gives_the_ordinary_commands_in_their_order(pictures, commands, tmp_path):
    root = pictures("P1_L_CC.png", "P1_L_MLO.png", "P2_R_CC.png")
    result, text = invoke(root, "--out", tmp_path / "out", "--minutes", 10)
    assert result.exit_code == 0, text
    assert [words[0] for words in commands] == ["cost", "shards", "shards", "launch", "sample"]
    _, planned, _, launch, sample = commands
    assert planned[3:5] == ["--from", f"{tmp_path / 'out' / 'pictures.toml'}={root}"]
    assert "augmentation.kind=adaptive" in launch and "30 training images are few" in text
    [minutes] = [word.partition("=")[2] for word in launch if word.startswith("schedule.minutes=")]
    assert 4 < float(minutes) <= SURE_PART * (10 - OVERHEAD_MIN)
    assert any(word.startswith("augmentation.adjust_kimg=") for word in launch)
    assert "3 images are too few for more" in text
    assert sample[3:] == ["--images", "50", "--format", "png"]
    assert "report" in text and text.count("  mammogan ") == 3
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "out" / "guess.png").exists()


def test_what_was_guessed_is_shown_with_counts_and_by_what(pictures, commands, tmp_path):
    text = invoke(pictures("P1_L_CC.png", "P2_L_CC.png", "x3.png"), "--out", tmp_path / "out")[1]
    rows = [line.split() for line in text.splitlines()]
    assert ["2", "CC", "name", "L", "name"] in rows
    assert ["1", "CC", "pixels", "L", "pixels"] in rows
    assert "3 of 320 x 256 pixels" in text
    assert "each picture counts as a woman of her own" in text


def test_pictures_that_nobody_can_tell_stop_it_and_each_way_out_works(pictures, commands, tmp_path):
    root = pictures("a1.png", "a2.png", image=np.full((320, 256), 128, np.uint8))
    out = tmp_path / "out"
    result, text = invoke(root, "--out", out)
    assert result.exit_code != 0 and not commands
    assert "Of 2 of 2 pictures the view and the side is unknown, as of 'a1.png'." in text
    assert len(text.splitlines()) < 24
    for way in ("--view MLO --side L", "--csv TABLE", str(out / "files.csv"), "P12_L_CC.png"):
        assert way in text
    assert invoke(root, "--out", out, "--view", "MLO", "--side", "L")[0].exit_code == 0
    (out / "files.csv").unlink()
    (tmp_path / "t.csv").write_text("name,v,s\na1,CC,left\na2,MLO,left\n")
    assert invoke(root, "--out", out, "--csv", tmp_path / "t.csv")[0].exit_code == 0
    assert [each.view for each in guess.load(out / "files.csv")] == ["CC", "MLO"]
    rows = list(csv.reader((out / "files.csv").open()))
    rows[1][1] = "MLO"
    with (out / "files.csv").open("w") as stream:
        csv.writer(stream).writerows(rows)
    assert invoke(root, "--out", out)[0].exit_code == 0
    assert [each.view for each in guess.load(out / "files.csv")] == ["MLO", "MLO"]


def test_a_folder_of_dicoms_and_pictures_is_planned_as_two_sources(pictures, commands, tmp_path):
    root = pictures("P1_L_CC.png", "P2_R_MLO.png")
    (root / "sub").mkdir()
    (root / "sub" / "x.dcm").write_bytes(bytes(128) + b"DICM")
    result, text = invoke(root, "--out", tmp_path / "out")
    assert result.exit_code == 0, text
    links = tmp_path / "out" / "links"
    planned = commands[1]
    froms = [planned[i + 1] for i, word in enumerate(planned) if word == "--from"]
    assert froms == [
        f"folder={links / 'dicoms'}",
        f"{tmp_path / 'out' / 'pictures.toml'}={links / 'pictures'}",
    ]
    assert (links / "dicoms" / "sub" / "x.dcm").resolve() == (root / "sub" / "x.dcm").resolve()
    assert sorted(path.name for path in (links / "pictures").iterdir()) == ["P1_L_CC.png", "P2_R_MLO.png"]
    assert invoke(root, "--out", tmp_path / "out")[0].exit_code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["gone"], "There is no folder 'gone': give the one that holds the mammograms."),
        ([".", "--view", "ML"], "--view 'ML' is not a view of screening: give CC or MLO."),
        ([".", "--side", "left"], "--side 'left' is not a side: give L or R."),
        ([".", "--csv", "no.csv"], "There is no table 'no.csv'."),
        ([".", "--out", "sub"], "--out 'sub' is inside of '.': give a folder beside it."),
        (["empty", "--out", "out"], "holds no mammograms that can be read: DICOM, PNG, JPEG, TIFF and PGM"),
    ],
)
def test_what_can_not_be_is_said_before_anything_is_made(tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    result, text = invoke(*words)
    assert result.exit_code != 0
    assert message in text


def test_a_run_that_was_begun_goes_on_as_it_was_begun(pictures, commands, tmp_path):
    root, out = pictures("P1_L_CC.png", "P2_L_CC.png"), tmp_path / "out"
    invoke(root, "--out", out)
    (out / "run").mkdir()
    (out / "run" / "run.json").write_text("{}")
    commands.clear()
    assert invoke(root, "--out", out, "--minutes", 99)[0].exit_code == 0
    assert [words for words in commands if words[0] == "launch"] == [["launch", str(out / "run"), "--wait"]]


@pytest.fixture
def planned(pictures, commands, tmp_path):
    """A quickstart that has planned, really, and was stopped."""
    root, out = pictures("P1_L_CC.png", "P2_R_MLO.png"), tmp_path / "out"
    invoke(root, "--out", out)
    recipe = load_recipe(str(out / "pictures.toml"), ("packing.top_px=[80,64]",))
    (out / "shards").mkdir()
    (out / "shards" / "plan.json").write_text(
        render(Plan(identity="x", recipes=(recipe,), shards=(), tallies=()))
    )
    commands.clear()
    return root, out


def test_a_table_that_is_corrected_before_the_run_is_planned_from_anew(planned, commands):
    root, out = planned
    assert invoke(root, "--out", out)[0].exit_code == 0
    assert commands[0][:2] == ["shards", "build"]  # as it was measured and planned
    commands.clear()
    os.utime(out / "files.csv", (2e9, 2e9))
    assert "is planned anew: what it was planned from has changed" in invoke(root, "--out", out)[1]
    assert commands[0][:2] == ["shards", "plan"] and not (out / "shards" / "plan.json").exists()


def test_pictures_that_came_later_are_added_to_the_table(planned, pictures, commands):
    root, out = planned
    pictures("P3_L_MLO.png")
    assert "1 pictures are not in it yet, and are added." in invoke(root, "--out", out)[1]
    assert [each.patient for each in guess.load(out / "files.csv")] == ["P1", "P2", "P3"]


def test_a_table_that_is_corrected_after_the_run_began_is_not_passed_over(planned, commands):
    root, out = planned
    (out / "run").mkdir()
    (out / "run" / "run.json").write_text("{}")
    assert invoke(root, "--out", out)[0].exit_code == 0
    os.utime(out / "files.csv", (2e9, 2e9))
    result, text = invoke(root, "--out", out)
    assert f"'{out / 'files.csv'}' was changed after '{out / 'shards'}' was planned" in text
    assert result.exception.exit_code == 2


def test_a_set_without_images_for_both_splits_stops_it_with_each_way_out(tmp_path):
    place = Place(tmp_path)
    recipe = load_recipe("phantom")
    place.shards.mkdir()
    place.plan.write_text(render(Plan(identity="x", recipes=(recipe,), shards=(), tallies=())))
    with pytest.raises(DataError) as error:
        quickstart_command._contents(place)
    for way in (
        "0 images are left to learn from",
        f"{place.shards} --rejects",
        "only_flag in",
        "column patient",
    ):
        assert way in str(error.value)


def test_one_picture_is_not_enough_and_is_answered_at_once(pictures, commands, tmp_path):
    text = invoke(pictures("P1_L_CC.png"), "--out", tmp_path / "out")[1]
    assert "holds one mammogram. At least two, of different women, are needed" in text
    assert not commands


@pytest.mark.parametrize(
    ("images", "rows", "gflops", "minutes", "stages", "why"),
    [
        (40, 1024, 100.0, 10, 5, "40 images are too few"),
        (40, 1024, 0.5, 4, 4, "minutes are too short"),
        (3000, 1024, 100.0, 5, 5, "minutes are too short"),
        (3000, 1024, 80.0, 60, 6, "minutes are too short"),
        (3000, 2048, 5e4, 60, 7, "3000 images are too few"),
        (30_000, 2560, 5e5, 600, 9, "no higher is known"),
        (30_000, 200, 5e5, 600, 6, "the pictures have 200 rows"),
    ],
)
def test_images_pictures_pace_and_minutes_choose_the_resolution(images, rows, gflops, minutes, stages, why):
    found = Survey(Path(), [ImageFile(str(number), rows, rows, 8) for number in range(images)])
    ladder = choose(found, Measurements(calibration(gflops)), 1, minutes)
    assert (ladder.stages, why in ladder.why) == (stages, True), ladder
    assert ladder.minutes <= max(LEAST_MIN, SURE_PART * minutes)
    method = load_method("quick", tuple(ladder.settings))
    last, own = plan(method)[-1], load_method("quick")
    assert (last.height_px, last.width_px) == ladder.top_px == (5 << (stages - 1), 4 << (stages - 1))
    assert len(method.schedule.shares) == stages and method.schedule.shares[-1] == own.schedule.shares[-1]
    top = method.network.channels_base / 2**stages
    assert top == own.network.channels_base / 2**own.ladder.stages  # as wide at the top as the method's own


def test_a_command_that_stops_stops_it_with_its_exit_code(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(quickstart_command, "_has_gpu", lambda: False)
    root = pictures("P1_L_CC.png", "P2_L_CC.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "shards").write_text("in the way of the shard set")
    calibration(200.0).save(tmp_path / "out" / "calibration.json")
    result, text = invoke(root, "--out", tmp_path / "out")
    assert "`mammogan shards plan` stopped, as it says above." in text
    assert result.exception.exit_code == 2
    assert f"$ mammogan shards plan {shlex.quote(str(tmp_path / 'out' / 'shards'))}" in text
