"""The main job as a user runs it: real commands in real processes, and what can go wrong."""

import json
import os
import re
import shutil
import subprocess
import sys

import pytest

from docs.hooks.run_folder_page import undescribed
from mammogan.config.run_config import Run
from mammogan.steps.job_graph import graph
from tests.patience import PATIENCE_S
from tests.train.conftest import SMALL

MAMMOGAN = (sys.executable, "-m", "mammogan")
ONE_THREAD = ("resources.cpu_array.cpus_per_task=1", "resources.gpu_nodes.cpus_per_task=1")
ALL = (*SMALL, "tracking.uri=off", *ONE_THREAD)
SETTINGS = [part for setting in ALL for part in ("--set", setting)]
TWO_STAGES = ["--method", "tour", "--set", "ladder.stages=2"]
PACKING = ["--set", "packing.top_px=[10,8]", "--set", "splits.train=0.6", "--set", "splits.validation=0.4"]


def mammogan(*words, code=0, **environment):
    """Run the command line; give what it printed, stdout and stderr in one."""
    done = subprocess.run(
        [*MAMMOGAN, *map(str, words)],
        env=os.environ | {"COLUMNS": "200"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == code, f"exit code {done.returncode}:\n{done.stdout}"
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


def files_of(folder):
    return {p.relative_to(folder): p.stat().st_mtime_ns for p in folder.rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Make phantoms and a planned shard set by the commands of the README."""
    folder = tmp_path_factory.mktemp("main job")  # with a space, as users' folders have
    mammogan("phantom", folder / "dicoms", "--patients", 5, "--seed", 0, "--frame-scale", 0.25)
    mammogan("shards", "plan", folder / "shards", "--from", f"phantom={folder / 'dicoms'}", *PACKING)
    return folder


def launch(place, run, *more, code=0):
    words = ("--method", "tour", "--data", place / "shards", place / run)
    return mammogan("launch", *words, *SETTINGS, *more, code=code)


def test_a_dry_run_shows_stages_and_writes_nothing(place):
    said = launch(place, "dry", "--dry-run")
    assert re.search(r"10\s*x\s*8", said)
    assert "nothing was submitted" in said
    assert not (place / "dry").exists()
    assert not (place / "dry.dry-run").exists()


@pytest.fixture(scope="module")
def finished(place):
    said = launch(place, "run")
    return place / "run", said


def test_every_file_that_a_run_leaves_is_described(finished):
    assert undescribed(finished[0]) == []


def test_the_graph_runs_from_planned_dicoms_to_the_report(finished):
    run, said = finished
    page = (run / "report" / "index.html").read_text()
    assert "Sliced Wasserstein distance" in page
    assert not re.search(r"(src|href)=.(?!data:|#)", page)
    choice = json.loads((run / "selection.json").read_text())
    assert f"{choice['swd']:.1f}" in page
    assert len(list((run / "samples" / "png").glob("*.png"))) == 10
    assert "report" in said


def test_launched_again_it_finds_everything_done(finished, place):
    run, _ = finished
    before = files_of(run)
    launch(place, "run")
    changed = {name for name, time in files_of(run).items() if before.get(name) != time}
    assert not {
        name for name in changed if name.parts[0] in ("stages", "scores", "samples", "report", "model")
    }


def test_what_is_lost_is_made_again_alone_and_the_same(finished, place):
    run, _ = finished
    lost = run / "samples" / "png" / "mlo-0000002.png"
    content, before = lost.read_bytes(), files_of(run / "stages")
    lost.unlink()
    launch(place, "run")
    assert lost.read_bytes() == content
    assert files_of(run / "stages") == before


def test_status_says_that_all_is_done(finished):
    said = mammogan("status", finished[0])
    assert len(re.findall(r"\bdone\b", said)) == len(graph(Run.load(finished[0])))
    assert "failed" not in said.replace("(failed)", "")  # which heads a column


def test_nothing_private_stands_in_the_run(finished, place):
    """No name, id, date, UID or path of the DICOMs is in anything that the run has written."""
    import pydicom

    words = set()
    for path in (place / "dicoms").rglob("*.dcm"):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        words |= {
            str(header.PatientName),
            header.PatientID,
            header.StudyDate,
            header.SOPInstanceUID,
            path.name,
        }
        words |= {header.AccessionNumber, header.PatientBirthDate, header.StudyInstanceUID}
    words = {word.encode() for word in words if len(word) > 6}
    for folder in (finished[0], place / "shards"):
        for path in folder.rglob("*"):
            if path.is_file():
                found = [word for word in words if word in path.read_bytes()]
                assert not found, f"{path} holds {found[:3]}"


def test_another_method_does_not_go_into_the_same_folder(finished, place):
    said = launch(place, "run", "--set", "ema.decay=0.5", code=2)
    assert "give another folder, or go on with the first" in " ".join(said.split())


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--method", "tuor"], "Did you mean 'tour'?"),
        (["--method", "tour", "--set", "schedule.bach=[4]"], "Did you mean 'batch'?"),
        (["--method", "tour", "--set", "shedule.batch=[4]"], "Did you mean 'schedule'?"),
        (["--method", "tour", "--set", "schedule.batch=[6]"], "is not a multiple of network.stddev_group 4"),
        (["--method", "tour", "--site", "lokal"], "Did you mean 'local'?"),
        ([*TWO_STAGES, "--set", "resources.gpu_nodes.tasks_per_node=3"], "can't be split on 3 ranks"),
        ([*TWO_STAGES, "--until", "tarin-0"], "Did you mean 'train-0'?"),
        (["--method", "tour", "--set", "ladder.stages=9"], "is '20x16', and the shard set"),
    ],
)
def test_a_wrong_setting_is_one_message_and_code_2_before_anything_is_written(place, words, message):
    said = mammogan("launch", "--data", place / "shards", place / "wrong", *words, code=2)
    assert message in " ".join(said.split())
    assert not (place / "wrong").exists()


def test_a_missing_shard_stops_the_run_with_its_name_and_code_1(finished, place):
    shards = place / "copy"
    shutil.copytree(place / "shards", shards)
    next((shards / "5x4").glob("train*.tar")).unlink()
    words = (
        "--method",
        "tour",
        "--data",
        shards,
        place / "missing",
        *SETTINGS,
        "--until",
        "train-0",
    )
    said = mammogan("launch", *words, code=1)
    assert re.search(r"5x4/train\S*\.tar' is missing", " ".join(said.split()))
    assert not list((place / "missing" / "done").rglob("*.json"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk to fill")
def test_a_full_disk_is_one_message_and_code_1_and_leaves_nothing_half_written(finished, place, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=100k", "tmpfs", disk], check=False).returncode:
        pytest.skip("this machine lets nobody mount a disk")
    try:
        words = ("--method", "tour", "--data", place / "shards", disk / "run", *SETTINGS)
        said = mammogan("launch", *words, "--until", "train-1", code=1)
        assert "disk or quota is full" in " ".join(said.split())
        assert not list(disk.rglob("*.tmp"))
    finally:
        subprocess.run(["umount", disk], check=True)
