"""`mammogan launch` and the commands that look at a run, with steps that take no time."""

from __future__ import annotations

import json
import os

import pytest
import torch
import typer
from typer.testing import CliRunner

from mammogan.cli.launch_command import launch
from mammogan.cli.retry_command import retry
from mammogan.cli.run_commands import cancel, logs, step
from mammogan.cli.status_command import status
from mammogan.cluster import submission_ledger
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.cost.calibrate import Calibration, Measured
from mammogan.cost.flops import work
from mammogan.data.store.manifest import PLAN, Plan, PlannedShard, render
from mammogan.errors import ClusterError, ConfigError, RunFailedError
from mammogan.schedule import plan

app = typer.Typer()
for command in (launch, status, logs, cancel, retry, step):
    app.command()(command)


@pytest.fixture
def run(stub, tmp_path, monkeypatch):
    """A method file m.toml, a planned shard set, and a way to call commands in their folder."""
    monkeypatch.chdir(tmp_path)
    lines = []
    for table, values in (stub.METHOD | {"scoring": {"checkpoints": 2}}).items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    (tmp_path / "m.toml").write_text("\n".join(lines))
    splits = ("train", "train", "train", "validation")
    shards = tuple(
        PlannedShard(name=str(i), split=split, samples=8, sha256="") for i, split in enumerate(splits)
    )
    plan = Plan(identity="x", recipes=(load_recipe("phantom"),), shards=shards, tallies=())
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / PLAN).write_text(render(plan))

    def invoke(*words):
        result = CliRunner().invoke(app, words)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return invoke


NEW = ("launch", "--method", "m.toml", "--data", "set", "r")


@pytest.fixture
def laptop(tmp_path, monkeypatch):
    """A machine without any program, and so without Slurm."""
    monkeypatch.setenv("PATH", str(tmp_path / "programs"))


def test_dry_run_shows_stages_and_jobs_and_writes_nothing_but_scripts(run, tmp_path, laptop):
    before = sorted(tmp_path.rglob("*"))
    text = run(*NEW, "--site", "devcluster", "--dry-run").output
    row = next(line.split() for line in text.splitlines() if "5x4" in line)
    # stage, size, images, batch, fade, ranks; a rank's steps, images, at once, shards
    assert row == ["0", "5x4", "80", "8", "0%", "2", "10", "40", "4", "x", "1", "3"]
    assert "score-0: 2 x gpu_one, after train-0" in text
    assert "rank-hours of 2 ranks on: CPU, 1 core a rank" in text  # the devcluster's GPUs are names alone
    assert "nothing was submitted, nothing was written but 9 batch scripts into r.dry-run" in text
    assert len(text.splitlines()) < 60
    assert "this machine has no 'sbatch': launch from a login node" in " ".join(text.split())
    scripts = sorted((tmp_path / "r.dry-run").iterdir())
    assert [path.name for path in scripts][:4] == [
        "1-shards.sbatch",
        "2-finalise.sbatch",
        "3-train-0.sbatch",
        "4-score-0.sbatch",
    ]
    assert all(path.read_text().startswith("#!/bin/bash\n") for path in scripts)
    assert "#SBATCH --dependency='afterok:<train-0>'" in scripts[3].read_text()
    assert sorted(set(tmp_path.rglob("*")) - set(scripts)) == sorted([*before, tmp_path / "r.dry-run"])


def test_the_scripts_of_a_dry_run_go_where_nothing_else_is(run, tmp_path, laptop):
    slurm = (*NEW, "--site", "devcluster", "--dry-run")
    run(*slurm, "--scripts", "mine")
    run(*slurm, "--until", "finalise", "--scripts", "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == [
        "1-shards.sbatch",
        "2-finalise.sbatch",
    ]
    with pytest.raises(ConfigError, match=r"'set' holds other files .* give another folder to --scripts"):
        run(*slurm, "--scripts", "set")


def test_scripts_of_nothing_are_refused_or_it_is_said_that_there_are_none(run):
    with pytest.raises(ConfigError, match="--scripts 'mine' is for a dry run's batch scripts"):
        run(*NEW, "--scripts", "mine")
    text = run(*NEW, "--dry-run", "--scripts", "mine").output
    assert "No batch scripts: the site 'local' has no scheduler." in text


def test_a_dry_run_refuses_what_the_launch_would(run, tmp_path):
    with pytest.raises(ConfigError, match=r"--no-wait needs a scheduler, and the site 'local' has none"):
        run(*NEW, "--dry-run", "--no-wait")
    run(*NEW)
    with pytest.raises(ConfigError, match=r"'r' holds run '\w+' \(stub\).*give another folder"):
        run(*NEW, "--set", "loss.drift_weight=0.5", "--dry-run")
    assert (
        "train-0: 1 x gpu_nodes, after finalise; done, not started again"
        in run("launch", "r", "--dry-run").output
    )
    with (
        submission_ledger.only_launcher(tmp_path / "r"),
        pytest.raises(ClusterError, match="is being launched by"),
    ):
        run("launch", "r", "--dry-run")


def test_a_dry_run_refuses_what_slurm_would(run, tmp_path, monkeypatch):
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, lines in {
        "scontrol": "echo MaxArraySize=1001",
        "sbatch": "echo no such partition >&2; exit 1",
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{lines}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_CONF", "/dev/null")
    with pytest.raises(
        ClusterError, match=r"Slurm could never run a job of \[resources.cpu_array\].*no such part"
    ):
        run(*NEW, "--site", "devcluster", "--dry-run")


def test_networks_that_are_not_there_are_answered_before_anything_is_submitted(run, tmp_path):
    with pytest.raises(ConfigError, match=r"no pair of networks 'pgan' \(network.kind\).*'pggan'"):
        run(*NEW, "--set", "network.kind=pgan")
    assert not (tmp_path / "r").exists()


@pytest.fixture
def measured(run, tmp_path):
    """A calibration of a device that takes 0.1 s a step of the smallest stage."""
    method = load_method(str(tmp_path / "m.toml"))
    gflop = work(method, plan(method)[0]).flops / 1e9
    rung = Measured(5, 4, 8, 80.0, gflop, 0.0125, 0.0)
    Calibration("some device", "cpu", "m", "fp32", (rung,)).save(tmp_path / "c.json")
    return "--calibration", "c.json"


def test_minutes_are_filled_once_and_the_run_goes_on_with_that_schedule(run, tmp_path, measured):
    minutes = ("--set", "schedule.minutes=2", *measured)
    text = run(*NEW, *minutes, "--dry-run").output
    assert "schedule.minutes '2' hold" in text and "kimg on: some device." in text
    run(*NEW, *minutes)
    first = (tmp_path / "r" / "run.json").read_text()
    assert json.loads(first)["method"]["schedule"]["stable_kimg"] != [0.08]
    again = run(*NEW, "--set", "schedule.minutes=2").output  # nothing is measured, for the run has a schedule
    assert "Measuring" not in again and "hold" not in again
    assert (tmp_path / "r" / "run.json").read_text() == first
    with pytest.raises(ConfigError, match=r"'r' holds run '.*give another folder"):
        run(*NEW, "--set", "schedule.minutes=3", *measured)


def test_on_slurm_minutes_are_those_of_a_data_sheet_which_is_said(run, laptop):
    text = run(*NEW, "--set", "schedule.minutes=2", "--site", "devcluster", "--dry-run").output
    assert (
        "Assumed, not measured: 'CPU, 1 core a rank' (resources.gpu_nodes.device of" in text
        and "--calibration" in text
    )


@pytest.mark.slow  # half a minute of measuring
def test_without_scheduler_this_machine_is_measured(run):
    text = run(*NEW, "--set", "schedule.minutes=1", "--dry-run").output
    assert "Measuring how fast" in text and "kimg on: " in text


def test_until_a_step_takes_all_of_its_nodes_and_what_they_need(run):
    text = run(*NEW, "--set", "ladder.stages=2", "--until", "score", "--dry-run").output
    jobs = [line.split(":")[0].strip() for line in text.splitlines() if " x " in line and ":" in line]
    assert jobs == ["shards", "finalise", "train-0", "score-0", "train-1", "score-1"]


def test_run_goes_to_its_end_and_launching_it_again_needs_no_more_than_its_folder(run, tmp_path):
    assert "report     done      1/1" in run(*NEW).output
    submitted = (tmp_path / "r" / "jobs.jsonl").read_text()
    assert "running" not in run("launch", "r").output
    assert (tmp_path / "r" / "jobs.jsonl").read_text() == submitted
    assert run("status", "r").output.count("done") == 9
    assert run("cancel", "r").output == "Nothing of this run is queued or runs.\n"
    with pytest.raises(ConfigError, match=r"holds run '\w+' \(stub\).*give another folder"):
        run(*NEW, "--set", "loss.drift_weight=0.5")


def test_failed_run_ends_with_the_end_of_its_log_and_what_to_do(run, stub, tmp_path, capsys):
    (tmp_path / "r").mkdir()
    stub.order(tmp_path / "r", train_0="fail")
    with pytest.raises(
        RunFailedError, match=r"7 of 9 steps are not done \(train-0: 'train-0' was told to fail\)"
    ):
        run(*NEW)
    assert "blocked" in run("status", "r").output
    assert "ERROR 'train-0' was told to fail" in run("logs", "r").output
    assert "ERROR" not in run("logs", "r", "shards").output
    with pytest.raises(ConfigError, match=r"no step 'trian-0'. Did you mean 'train-0'"):
        run("logs", "r", "trian-0")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--until", "scor"), r"--until 'scor' is no step of this run.*score-0"),
        (("--set", "trainer.batch=3"), r"no table 'trainer'.*schedule"),
        (("--no-wait",), r"--no-wait needs a scheduler, and the site 'local' has none"),
        (("--site", "devcluster", "--set", "resources.gpu_nodes.nodes=3"), r"can't be split on 3 ranks"),
        (("--site", "nowhere"), r"no site 'nowhere'"),
        (("--set", "tracking.uri=https://me:word@host"), r"tracking.uri .* holds a password.*Take it out"),
        (("--set", 'tracking.trackers=["mlfow"]'), r"there is no tracker 'mlfow'. Valid: mlflow, jsonl"),
    ],
)
def test_impossible_launches_are_explained_and_leave_nothing(run, tmp_path, words, message):
    with pytest.raises(ConfigError, match=message):
        run(*NEW, *words)
    assert not (tmp_path / "r").exists()


def test_retry_does_what_failed_and_what_waits_for_it_and_nothing_else(run, stub, tmp_path):
    (tmp_path / "r").mkdir()
    stub.order(tmp_path / "r", score_0_1="fail")
    with pytest.raises(RunFailedError):
        run(*NEW)
    with pytest.raises(ConfigError, match=r"no task '7' of the step 'score-0': its tasks are 0 to 1"):
        run("retry", "r", "score-0", "--task", "7")
    assert "'train-0' is done. What failed or was cancelled: score-0" in run("retry", "r", "train-0").output
    stub.order(tmp_path / "r")
    before = len((tmp_path / "r" / "jobs.jsonl").read_text().splitlines())
    told = run("retry", "r").output
    assert "Tried again: score-0 task 1." in told
    assert not list((tmp_path / "r" / "failures").iterdir())
    after = (tmp_path / "r" / "jobs.jsonl").read_text().splitlines()[before:]
    assert [json.loads(line)["node"] for line in after] == [
        "score-0", "select", "sample", "sample", "assess", "compare", "report",
    ]  # fmt: skip
    assert "Nothing to retry: no step of the run 'r' failed or was cancelled." in run("retry", "r").output


def test_half_a_run_is_explained(run):
    with pytest.raises(ConfigError, match="give both --method and --data"):
        run("launch", "--data", "set", "r")
    with pytest.raises(ConfigError, match="'r' is not a run"):
        run("launch", "r")


def test_a_machine_without_the_gpu_that_its_profile_claims_is_refused_before_anything_starts(run, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    claims = ("--set", "resources.gpu_nodes.device=cuda", "--set", "resources.gpu_nodes.gpus_per_node=1")
    with pytest.raises(ClusterError, match=r"resources.gpu_nodes.device of the site 'local' is 'cuda'") as no:
        run(*NEW, *claims)
    assert no.value.exit_code == 2
    assert not (tmp_path / "r" / "jobs.jsonl").exists()
    assert run(*NEW, *claims, "--until", "finalise").exit_code == 0  # for which no GPU is needed


@pytest.mark.parametrize("dry", [(), ("--dry-run",)])
def test_a_class_that_computes_on_no_gpus_is_refused(run, dry):
    words = r"gpu_one.device of the site 'local' is 'cuda', but gpus_per_node is '0': .*gpus_per_node=1\)"
    with pytest.raises(ConfigError, match=words):
        run(*NEW, "--set", "resources.gpu_one.device=cuda", *dry)


def test_a_device_that_does_not_exist_is_refused(run):
    with pytest.raises(ConfigError, match=r"--device 'gpu': there is no such device\. Valid: cpu, cuda\."):
        run("step", "r", "train-0", "--device", "gpu")


def test_a_run_that_holds_a_password_already_goes_on_with_a_warning(run, stub, tmp_path):
    assert run(*NEW, "--until", "finalise").exit_code == 0
    path = tmp_path / "r" / "run.json"
    tree = json.loads(path.read_text())
    tree["site"]["environment"]["variables"]["MLFLOW_TRACKING_TOKEN"] = "abc"
    path.write_text(json.dumps(tree))
    gone_on = run("launch", "r", "--until", "finalise")
    assert gone_on.exit_code == 0
    assert (
        "Warning: environment.variables.MLFLOW_TRACKING_TOKEN of the site's profile is a secret"
        in gone_on.output
    )
