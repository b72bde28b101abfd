"""What keeps a folder of pictures from being trained on is said with a setting, and following it works."""

from __future__ import annotations

import re
import shlex

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import app
from mammogan.errors import MammoganError
from tests.data.autodetect.test_guess import mammogram

SMALL = ("--set", "packing.top_px=[40,32]", "--set", "packing.samples_per_shard=16")
TOUR = ("--method", "tour", "--site", "local", "--set", "tracking.uri=off")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Write pictures of these names, each another one, and work beside their folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()

    def write(*names, white=120):
        for name in names:
            rng = np.random.default_rng(len(list((tmp_path / "pictures").iterdir())))
            view, side = "MLO" if "MLO" in name else "CC", "R" if "_R_" in name else "L"
            breast = mammogram(view, side, white=white)
            tissue = cv2.resize(rng.normal(0, 9, (20, 16)).astype(np.float32), breast.shape[::-1])
            picture = np.where(breast > 0, np.clip(breast + tissue, 1, 255), 0).astype(np.uint8)
            cv2.imwrite(str(tmp_path / "pictures" / name), picture)

    return write


def give(*words):
    """Give a command; what it prints, and whether it worked."""
    alone = ("--workers", "0") if words[:2] in (("shards", "plan"), ("shards", "build")) else ()
    result = CliRunner().invoke(app, [*words, *alone])
    assert result.exception is None or isinstance(result.exception, MammoganError), result.exception
    return f"{result.output}\n{result.exception or ''}", result.exception is None


def follow(text, holding, *more):
    """Give the command that a message prints, the one in which `holding` stands."""
    lines = (line.strip() for line in text.splitlines())
    command = next(line for line in lines if line.startswith("mammogan ") and holding in line)
    words = shlex.split(command)
    return give(*words[1:], *more)


def launch(shards, *more):
    return give("launch", *TOUR, "--data", shards, "--run", "run", "--dry-run", *more)


PAIRS = [f"P{n}_L_{view}.png" for n in range(10) for view in ("CC", "MLO")]


def test_names_that_tell_nothing_are_refused_with_the_names_expected_and_settings_that_take_them(folder):
    folder(*(f"scan{n:03}.png" for n in range(8)))
    text, worked = give("shards", "plan", "set", "--from", "images=pictures", *SMALL)
    assert not worked
    assert "8 refused: view-unknown" in text
    assert "P12_L_CC.png (patient, side, view" in text
    assert "a table, a CSV (docs/quickstart.md)" in text
    # The next wall is the side, and the one behind it the patient: a message for each.
    text, worked = follow(text, "is:MLO", *SMALL)
    assert not worked and "8 refused: laterality-unknown" in text
    sides = ("--set", 'source.view=["is:MLO"]', *SMALL)
    text, worked = follow(text, "is:L", *sides)
    assert not worked and "8 refused: patient-unknown" in text
    text, worked = follow(text, "source.patient", *sides, "--set", 'source.laterality=["is:L"]')
    assert worked, text
    assert "Planned at most 8 images" in text


def test_a_plan_of_which_most_is_left_out_says_so_and_a_launch_halts_once(folder):
    folder("P1_L_CC.png", "P1_L_MLO.png", "P2_L_CC.png", "P2_L_MLO.png", *(f"x{n}.png" for n in range(36)))
    text, worked = give("shards", "plan", "set", "--from", "images=pictures", *SMALL)
    assert worked
    assert "36 of the 40 pictures of 'images' are left out" in text
    assert "     36  view-unknown" in text
    told, worked = launch("set")
    assert not worked
    assert "36 of the 40 pictures" in told
    assert "To go on with the 4 that are left, give the same command again." in told
    text, worked = launch("set")  # as it says
    assert worked, text
    views = ("--set", 'source.laterality=["is:L"]', "--set", 'source.patient=["path:(.+)"]')
    text, worked = follow(told, "is:MLO", *views)
    assert worked, text
    assert "Planned at most 40 images" in text
    assert launch("set")[1]


@pytest.fixture
def refused(folder):
    """A set of 20 planned pictures of which 18 are white, and a strict recipe."""
    folder(*PAIRS[:2])
    folder(*PAIRS[2:], white=238)
    marks = '["few-greys", "foreign-body", "half-decoded", "implant-like", "metal", "paddle"]'
    strict = ("--set", f"screening.only_flag={marks}")
    assert give("shards", "plan", "set", "--from", "images=pictures", *SMALL, *strict)[1]


def test_a_build_of_which_most_is_refused_names_the_rules_and_the_setting_that_lets_them_pass(refused):
    text, worked = give("shards", "build", "set")
    assert worked, text
    assert "18 of the 20 planned images of 'set' were refused" in text
    assert "     18  too-bright: " in text
    text, worked = follow(text, "screening.only_flag=")
    assert worked, text
    assert "Planned at most 20 images" in text
    text, worked = give("shards", "build", "set-2")
    assert worked and "18  accepted with the flag too-bright" in text
    assert launch("set-2")[1]


def test_a_launch_on_a_built_set_with_an_empty_split_stops_and_names_what_fills_it(refused):
    give("shards", "build", "set")
    text, worked = launch("set")
    assert not worked
    assert "Of 20 images 18 were left out: too-bright 18 (too_bright = 0.9)." in text
    assert re.search(r"set' has no images for (train|validation) .*18 were refused", text)
    assert follow(text, "screening.only_flag=")[1]
    give("shards", "build", "set-2")
    assert launch("set-2")[1]


def test_one_patient_fills_one_split_and_the_message_says_what_fills_both(folder):
    folder("P1_L_CC.png", "P1_L_MLO.png", "P1_R_CC.png", "P1_R_MLO.png")
    text, worked = give("shards", "plan", "set", "--from", "images=pictures", *SMALL)
    assert worked and "no images for validation, by which checkpoints are scored" in text
    give("shards", "build", "set")
    text, worked = launch("set")
    assert not worked and "set' has no images for validation (train 4, validation 0)" in text
    text, worked = follow(text, "source.patient")
    assert worked and "no images for" not in text
    give("shards", "build", "set-2")
    assert launch("set-2")[1]


def test_a_split_that_only_fractions_leave_empty_is_filled_by_those_that_are_named(folder):
    folder(*PAIRS)
    none = ("--set", "splits.train=0.0", "--set", "splits.validation=0.5", "--set", "splits.test=0.5")
    assert give("shards", "plan", "set", "--from", "images=pictures", *SMALL, *none)[1]
    give("shards", "build", "set")
    text, worked = launch("set")
    assert not worked and "has no images for train (train 0, validation 10)" in text
    assert follow(text, "splits.train=0.5")[1]
    give("shards", "build", "set-2")
    assert launch("set-2")[1]


def test_a_view_that_the_method_is_taught_and_nobody_has_is_said_with_the_setting_that_leaves_views_out(
    folder,
):
    folder(*(f"P{n}_L_MLO.png" for n in range(8)))
    assert give("shards", "plan", "set", "--from", "images=pictures", *SMALL)[1]
    give("shards", "build", "set")
    text, worked = launch("set")
    assert worked and "There is no CC among the training images: none is drawn." in text
    [setting] = re.findall(r"without them: (--set \S+);", text)
    text, worked = launch("set", *shlex.split(setting))
    assert worked and "supervision.kind" not in text


def test_images_that_would_be_shown_too_often_are_said_with_the_augmentation_that_helps(folder):
    folder(*PAIRS)
    assert give("shards", "plan", "set", "--from", "images=pictures", *SMALL)[1]
    text, worked = launch("set")
    assert worked
    assert re.search(r"Each of the \d+ training images would be shown [\d,]+ times", text)
    [setting] = re.findall(r"give (--set \S+) ", text)
    text, worked = launch("set", *shlex.split(setting))
    assert worked and "by heart" not in text
