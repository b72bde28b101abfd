import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from typer.testing import CliRunner

from mammogan.cli import main
from mammogan.cli.shards_command import app
from mammogan.errors import ConfigError, DataError

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
