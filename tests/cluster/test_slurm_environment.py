"""sbatch is called in an environment of its own: nothing of an enclosing job, no option that nobody meant."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from mammogan.cluster import slurm_commands, slurm_environment
from mammogan.cluster.submit import submit
from mammogan.steps.job_graph import graph

ENCLOSING = {
    "SLURM_JOB_ID": "7",
    "SLURM_MEM_PER_CPU": "4096",
    "SLURM_MEM_PER_NODE": "1024",
    "SLURM_NTASKS": "8",
    "SLURM_CPU_BIND": "quiet,mask_cpu:0x1",
    "SLURM_EXPORT_ENV": "NONE",
    "SLURMD_NODENAME": "n3",
    "SBATCH_EXPORT": "NONE",
    "SBATCH_PARTITION": "elsewhere",
    "SQUEUE_PARTITION": "elsewhere",
    "SRUN_DEBUG": "3",
}
KEPT = {
    "SLURM_CONF": "/c/slurm.conf",
    "SLURM_CLUSTERS": "big",
    "SLURM_JWT": "x",
    "PATH": "/bin",
    "HOME": "/h",
}


def test_an_enclosing_job_leaves_nothing_and_which_slurm_is_meant_stays():
    assert slurm_environment.clean(ENCLOSING | KEPT) == KEPT


def test_what_a_profile_names_is_set_and_nothing_else_of_it():
    named = {"SBATCH_ACCOUNT": "mine", "SLURM_HINT": "nomultithread", "NCCL_DEBUG": "INFO"}
    found = slurm_environment.clean(ENCLOSING | KEPT | {"SBATCH_ACCOUNT": "theirs"}, named)
    assert found == KEPT | {"SBATCH_ACCOUNT": "mine", "SLURM_HINT": "nomultithread"}


def test_options_of_sbatch_that_are_left_out_are_named(monkeypatch):
    assert slurm_environment.notice({}) == ""
    for name, value in ENCLOSING.items():
        monkeypatch.setenv(name, value)
    notice = slurm_environment.notice({"SBATCH_EXPORT": "NONE"})
    assert notice.startswith("Not handed on to sbatch: SBATCH_PARTITION='elsewhere'. The profile alone says")


def test_a_librarys_sbatch_has_it_too_and_afterwards_all_is_as_before(monkeypatch):
    for name, value in ENCLOSING.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with slurm_environment.in_force({"SLURM_HINT": "x"}):
        assert not set(ENCLOSING) & set(os.environ)
        assert os.environ["SLURM_HINT"] == "x"
    assert dict(os.environ) == before


def test_each_of_slurms_commands_is_called_in_it(monkeypatch, tmp_path):
    program = tmp_path / "squeue"
    program.write_text("#!/bin/sh\nenv\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for name, value in ENCLOSING.items():
        monkeypatch.setenv(name, value)
    answer = slurm_commands.ask("squeue", named={"SBATCH_X": "1"})
    seen = dict(line.partition("=")[::2] for line in answer.splitlines())
    assert not set(ENCLOSING) & set(seen)
    assert (seen["SBATCH_X"], Path(seen["PATH"].partition(":")[0])) == ("1", tmp_path)


def test_a_launch_submits_with_it_and_keeps_what_is_no_slurms(monkeypatch, stub, tmp_path):
    """sbatch, its test and squeue are programs on PATH that note what they were called in."""
    answers = {
        "sbatch": f'env >>{tmp_path}/sbatch.env; cat "${{@: -1}}" >>{tmp_path}/scripts\n'
        "echo Submitted batch job $RANDOM",
        "squeue": f"env >>{tmp_path}/squeue.env",
        "scontrol": "echo MaxArraySize = 1001",
    }
    (tmp_path / "bin").mkdir()
    for name, body in answers.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:{os.environ['PATH']}")
    for name, value in (ENCLOSING | {"SLURM_CONF": "/dev/null", "MLFLOW_TRACKING_TOKEN": "t"}).items():
        monkeypatch.setenv(name, value)
    run = stub.make_run(
        tmp_path / "run", "devcluster", "environment.variables={ SBATCH_ACCOUNT = 'mine', X = '1' }"
    )
    submit(tmp_path / "run", graph(run)[:2])
    for program in ("sbatch", "squeue"):
        called = [line.partition("=")[::2] for line in (tmp_path / f"{program}.env").read_text().splitlines()]
        names = {name for name, _ in called}
        assert not names & (set(ENCLOSING) - {"SLURM_CONF"}), program
        assert {"SLURM_CONF", "MLFLOW_TRACKING_TOKEN"} <= names
    assert ("SBATCH_ACCOUNT", "mine") in [
        line.partition("=")[::2] for line in (tmp_path / "sbatch.env").read_text().splitlines()
    ]
    scripts = (tmp_path / "scripts").read_text()
    assert scripts.count("\nsrun ") == scripts.count(" --export=ALL ") == 3  # a test and two submissions
