import json
import re
import subprocess
import sys
from importlib.resources import files

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import main
from mammogan.cli.shards_command import app
from mammogan.errors import ConfigError, DataError
from tests.data.conftest import half_disc

SMALL = ["--set", "packing.top_px=[160,128]", "--set", "packing.samples_per_shard=8"]


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_plan_build_verify_and_show_go_through(tmp_path, cohort):
    shardset = tmp_path / "set"
    planned = run("plan", shardset, "--from", f"phantom={cohort}", *SMALL)
    assert planned.exit_code == 0, planned.output
    assert "spot-or-magnification" in planned.output
    assert "planned only" in run("show", shardset).output
    built = run("build", shardset, "--workers", 0)
    assert "built, 28 images in every rung" in built.output
    again = run("build", shardset)
    assert (again.exit_code, "already complete" in again.output) == (0, True)
    assert "every shard is as the manifest says" in run("verify", shardset).output
    shown = run("show", shardset, "--rejects", "--out", tmp_path / "sheet.png")
    assert shown.exit_code == 0, shown.output
    for word in ("validation", "MLO", "CC0-1.0", "implant-like", "truncated", "seen"):
        assert word in shown.output
    sheet = cv2.imread(str(tmp_path / "sheet.png"), cv2.IMREAD_UNCHANGED)
    assert np.ptp(sheet) > 100
    (shardset / "5x4" / "train-00000.tar").unlink()
    broken = run("verify", shardset)
    assert isinstance(broken.exception, DataError)
    assert "'5x4/train-00000.tar' is missing" in str(broken.exception)
    assert broken.exception.exit_code == 2


def test_a_source_of_the_wrong_form_is_explained(tmp_path):
    failed = run("plan", tmp_path / "set", "--from", "phantom")
    assert isinstance(failed.exception, ConfigError)
    assert "not of the form RECIPE=FOLDER" in str(failed.exception)


def test_tasks_without_a_scheduler_are_refused_and_nothing_written(tmp_path):
    source = f"phantom={tmp_path}"
    failed = run("build", tmp_path / "set", "--from", source, "--tasks", 3)
    assert isinstance(failed.exception, ConfigError)
    assert "--tasks '3' needs a site with a scheduler" in str(failed.exception)
    assert not [*tmp_path.iterdir()]


def test_a_set_that_is_only_planned_shows_its_splits(tmp_path, cohort):
    few = tmp_path / "few"  # of all that is left out, a sheet takes a process for each file
    for made in json.loads((cohort / "truth.json").read_text())["files"]:
        if made["kind"] == "clean" or "implant" in made["kind"]:
            (few / made["path"]).parent.mkdir(parents=True, exist_ok=True)
            (few / made["path"]).symlink_to(cohort / made["path"])
    run("plan", tmp_path / "set", "--from", f"phantom={few}", "--workers", 0, *SMALL)
    shown = run("show", tmp_path / "set", "--rejects")
    assert shown.exit_code == 0, shown.output
    assert "planned only" in shown.output
    assert "implant.png" in shown.output


def test_a_folder_that_may_not_be_written_is_one_message(tmp_path, cohort, monkeypatch, capsys):
    def refuse(path, *_, **__):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    words = ["mammogan", "shards", "plan", str(tmp_path / "set"), "--from", f"phantom={cohort}"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "set.private': Permission denied. Check the path" in capsys.readouterr().err


def test_an_empty_folder_is_refused_and_nothing_written(tmp_path):
    (tmp_path / "files").mkdir()
    failed = run("plan", tmp_path / "set", "--from", f"phantom={tmp_path / 'files'}")
    assert isinstance(failed.exception, DataError)
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize("heavy", ["numpy", "torch", "pydicom", "cv2"])
def test_importing_the_commands_loads_nothing_heavy(heavy):
    code = f"import sys, mammogan.cli.shards_command; sys.exit({heavy!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.fixture
def few(tmp_path, saved, dicom):
    for number, tags in enumerate(({}, {"BreastImplantPresent": "YES"}, {"PartialView": "YES"})):
        pixels = half_disc(level=2000 + 300 * number)
        made = dicom(pixels, SOPInstanceUID=f"1.2.{number}", PatientID=f"w{number}", **tags)
        saved(made, tmp_path / "files" / f"{number}.dcm")
    return tmp_path / "files"


TINY = ["--set", "packing.top_px=[10,8]", "--workers", 0]
LENIENT = 'screening.only_flag=["partial-view","burned-in","view-conflict","laterality-conflict"]'


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        (
            "screening.implant_area=0.2",
            "comes too late.*type:\nmammogan shards plan .*set --again --set",
        ),
        ("screening.implnt_area=0.2", "unknown key 'screening.implnt_area'. Did you mean 'implant_area'"),
        ("screning.implant_area=0.2", "there is no table 'screning'. Did you mean 'screening'"),
    ],
)
def test_a_setting_that_comes_after_the_plan_is_refused_with_what_to_type(tmp_path, few, setting, message):
    run("plan", tmp_path / "set", "--from", f"phantom={few}", *TINY)
    failed = run("build", tmp_path / "set", "--set", setting)
    assert isinstance(failed.exception, ConfigError)
    assert re.search(message, str(failed.exception), re.DOTALL)
    assert not any((tmp_path / "set").glob("*/*.tar"))


def test_planning_again_keeps_the_sources_and_shows_what_has_changed(tmp_path, few):
    run("plan", tmp_path / "set", "--from", f"phantom={few}", *TINY)
    said = run("plan", tmp_path / "set", "--again", "--set", LENIENT, "--workers", 0).output
    assert "screening.only_flag was" in said
    assert re.search(r"refused partial-view +│ accepted +│ +1 │ [0-9a-f]{12}", said)
    again = run("plan", tmp_path / "set", "--again", "--workers", 0).output
    assert "Against the last plan: no file is treated otherwise." in again


def test_a_built_set_is_not_planned_again_but_another_like_it(tmp_path, few):
    shardset = tmp_path / "set"
    run("build", shardset, "--from", f"phantom={few}", *TINY)
    failed = run("plan", shardset, "--again", "--set", LENIENT)
    assert f"mammogan shards plan {shardset}-2 --like {shardset} --set" in str(failed.exception)
    assert "comes too late" in str(run("build", shardset, "--set", LENIENT).exception)
    said = run("plan", f"{shardset}-2", "--like", shardset, "--set", LENIENT, "--workers", 0).output
    assert re.search(r"refused partial-view +│ accepted +│ +1", said)
    run("build", f"{shardset}-2", "--workers", 0)
    shown = run("show", f"{shardset}-2", "--against", shardset).output
    assert re.search(r"refused partial-view +│ accepted +│ +1", shown)


def test_the_plan_shows_each_refusal_with_its_threshold_and_a_key_to_ask_about(tmp_path, few, saved, dicom):
    saved(dicom(EstimatedRadiographicMagnificationFactor="1.8"), few / "close.dcm")
    said = run("plan", tmp_path / "set", "--from", f"phantom={few}", *TINY).output
    assert "max_magnification = 1.4" in said
    key = re.search(r"implant +│ +1 │.*\n.*key ([0-9a-f]{12})", said)[1]
    explained = run("explain", tmp_path / "set", key)
    assert explained.exit_code == 0, explained.output
    for word in ("1.dcm", "refused: implant", "BreastImplantPresent = YES", "1.2.1: implant", "implant_area"):
        assert word in explained.output


def test_a_file_of_no_set_is_explained_by_a_recipe(few, tmp_path):
    said = run("explain", few / "2.dcm", "--from", "phantom").output
    assert "refused: partial-view" in said
    assert "only_flag" in said
    assert "Which file?" in str(run("explain", tmp_path / "set").exception)


def test_a_new_plan_that_failed_is_not_built_by_half(tmp_path, few):
    run("plan", tmp_path / "set", "--from", f"phantom={few}", *TINY)
    run("plan", tmp_path / "set", "--again", "--set", 'screening.modalities=["CT"]', "--workers", 0)
    failed = run("build", tmp_path / "set", "--workers", 0)
    assert "A new plan of" in str(failed.exception)
    back = run("plan", tmp_path / "set", "--again", "--set", 'screening.modalities=["MG"]', "--workers", 0)
    assert back.exit_code == 0, back.output
    assert run("build", tmp_path / "set", "--workers", 0).exit_code == 0


def test_no_path_of_a_table_or_list_travels_with_the_set(tmp_path, few):
    (tmp_path / "anna.csv").write_text("accession\nA1\n")
    (tmp_path / "eva.txt").write_text("1.2.0\n1.2.2\n")
    recipe = files("mammogan").joinpath("recipes/phantom/recipe.toml").read_text()
    table = f'[[source.tables]]\nfile = "{tmp_path}/anna.csv"\nmatch = {{ accession = "AccessionNumber" }}\n'
    (tmp_path / "own.toml").write_text(f"{recipe}\n{table}")
    source = ("--from", f"{tmp_path / 'own.toml'}={few}", "--set", f"source.include_list={tmp_path}/eva.txt")
    built = run("build", tmp_path / "set", *source, *TINY)
    assert built.exit_code == 0, built.output
    text = "".join(path.read_text() for path in (tmp_path / "set").glob("*.json"))
    assert not [word for word in ("anna", "eva", str(tmp_path)) if word in text]
    assert run("verify", tmp_path / "set").exit_code == 0
    again = run("build", tmp_path / "set", *source, *TINY)
    assert "already complete" in again.output
