"""`mammogan quickstart` says what it guesses and gives ordinary commands; each wall says what helps."""

from __future__ import annotations

import csv
import os
import shlex

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app, quickstart_command
from mammogan.data.autodetect import guess
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
    monkeypatch.setattr(
        quickstart_command, "_run", lambda *words: given.append([str(word) for word in words])
    )
    monkeypatch.setattr(quickstart_command, "_contents", lambda place: (30, ("CC", "MLO")))
    return given


def invoke(*words):
    result = CliRunner().invoke(app, ["quickstart", *map(str, words)])
    return result, (result.output if result.exception is None else f"{result.output}\n{result.exception}")


def test_it_gives_the_ordinary_commands_in_their_order(pictures, commands, tmp_path):
    root = pictures("P1_L_CC.png", "P1_L_MLO.png", "P2_R_CC.png")
    result, text = invoke(root, "--out", tmp_path / "out", "--minutes", 10)
    assert result.exit_code == 0, text
    assert [" ".join(words[:2]) for words in commands] == [
        "shards plan", "shards build", "launch --method", "sample " + str(tmp_path / "out" / "run"),
    ]  # fmt: skip
    plan, _, launch, sample = commands
    assert plan[3:5] == ["--from", f"{tmp_path / 'out' / 'pictures.toml'}={root}"]
    assert "augmentation.kind=adaptive" in launch and "30 training images are few" in text
    assert any(word.startswith("schedule.minutes=8") for word in launch)
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
    froms = [commands[0][i + 1] for i, word in enumerate(commands[0]) if word == "--from"]
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
    root, out = pictures("P1_L_CC.png"), tmp_path / "out"
    invoke(root, "--out", out)
    (out / "run").mkdir()
    (out / "run" / "run.json").write_text("{}")
    commands.clear()
    assert invoke(root, "--out", out, "--minutes", 99)[0].exit_code == 0
    assert [words for words in commands if words[0] == "launch"] == [
        ["launch", "--run", str(out / "run"), "--wait"]
    ]


def test_a_table_that_is_corrected_after_the_build_is_not_passed_over(pictures, commands, tmp_path):
    root, out = pictures("P1_L_CC.png"), tmp_path / "out"
    invoke(root, "--out", out)
    (out / "shards" / "5x4").mkdir(parents=True)
    (out / "shards" / "5x4" / "train-00000.tar").touch()
    (out / "shards" / "plan.json").touch()
    commands.clear()
    assert invoke(root, "--out", out)[0].exit_code == 0
    assert commands[0][:2] == ["shards", "build"]
    os.utime(out / "files.csv", (2e9, 2e9))
    result, text = invoke(root, "--out", out)
    assert f"'{out / 'files.csv'}' was changed after '{out / 'shards'}' was built" in text
    assert result.exception.exit_code == 2


def test_a_command_that_stops_stops_it_with_its_exit_code(pictures, tmp_path, monkeypatch):
    monkeypatch.setattr(
        quickstart_command.subprocess, "Popen", lambda *a, **k: type("Ended", (), {"wait": lambda _: 2})()
    )
    result, text = invoke(pictures("P1_L_CC.png"), "--out", tmp_path / "out")
    assert "`mammogan shards plan` stopped, as it says above." in text
    assert result.exception.exit_code == 2
    assert f"$ mammogan shards plan {shlex.quote(str(tmp_path / 'out' / 'shards'))}" in text
