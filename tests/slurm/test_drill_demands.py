"""What sites demand of a job, and where a launch may start: each run ends as the undisturbed one does."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path

import pytest

from mammogan.cluster import slurm_commands, submission_ledger
from tests.patience import PATIENCE_S
from tests.slurm.test_drill import (
    SETTINGS,
    STAGE,
    drill,  # noqa: F401 - a fixture
    mammogan,
    shards,  # noqa: F401
    undisturbed,  # noqa: F401
)

pytestmark = pytest.mark.slow
CLASSES = ("login", "cpu_array", "gpu_one", "gpu_nodes")
MEMORY = tuple(f"resources.{name}.mem-per-cpu=500M" for name in CLASSES)
TYPED = ('resources.gpu_nodes.gres="gpu:a100:1"', 'resources.gpu_nodes.constraint="nvlink"')
DEMANDS = {
    "sbatch that exports nothing": ((), {"SBATCH_EXPORT": "NONE"}),
    "a profile that has sbatch export nothing": (
        tuple(f'resources.{name}.sbatch={{ export = "NONE" }}' for name in CLASSES), {},
    ),
    "typed GPUs and a constraint": (TYPED, {}),
    "memory per core only": (MEMORY, {}),
    "whole nodes with all their memory": (
        ("resources.gpu_nodes.exclusive=true", "resources.gpu_nodes.mem_gb=0"), {},
    ),
    "options for other jobs in the environment": (
        (), {"SBATCH_PARTITION": "nowhere", "SBATCH_MEM_PER_CPU": "1M", "SQUEUE_PARTITION": "nowhere"},
    ),
}  # fmt: skip


def words(drill, *settings):  # noqa: F811
    given = [word for each in (*SETTINGS, "tracking.uri=off", *settings) for word in ("--set", each)]
    return (
        *("launch", "--method", "tour", "--data", drill.shards, "--site", "devcluster"),
        *(drill.folder, "--until", STAGE, *given),
    )


@pytest.mark.parametrize("name", DEMANDS)
def test_what_a_site_demands_changes_nothing_else(drill, undisturbed, monkeypatch, name):  # noqa: F811
    settings, environment = DEMANDS[name]
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    drill.ready()
    process = mammogan(*words(drill, *settings))
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output
    for variable, value in environment.items():
        assert (f"{variable}='{value}'" in output) == variable.startswith("SBATCH_")
    drill.end()
    drill.assert_like(undisturbed)


@pytest.mark.parametrize("inside", ["--mem-per-cpu=600", "--mem=700"])
def test_a_launch_from_inside_a_job_hands_nothing_of_it_on(drill, undisturbed, tmp_path, inside):  # noqa: F811
    drill.ready()
    command = shlex.join(
        [str(Path(sys.executable).parent / "mammogan"), *map(str, words(drill, *MEMORY[3:]))]
    )
    asked = ("sbatch", "--parsable", "-p", "cpu", "-n2", inside, "--export=ALL", f"--output={tmp_path}/out")
    job = slurm_commands.ask(*asked, f"--wrap={command}").strip()
    end = time.monotonic() + PATIENCE_S
    while slurm_commands.outcome(job).split(" ")[0] in ("PENDING", "RUNNING", "COMPLETING"):
        assert time.monotonic() < end
        time.sleep(0.3)
    assert slurm_commands.outcome(job).startswith("COMPLETED"), (tmp_path / "out").read_text()
    drill.end()
    drill.assert_like(undisturbed)


def test_what_srun_says_of_a_job_that_never_started_is_its_cause(drill):  # noqa: F811
    settings = 'resources.gpu_nodes.srun=["--mem-per-cpu=1", "--mem=1"]'
    drill.ready()
    mammogan(*words(drill, settings)).communicate(timeout=PATIENCE_S)
    drill.until(lambda: not drill.state().among("running", "queued"))
    assert drill.state().state == "failed"
    assert "srun: fatal: --mem, --mem-per-cpu" in drill.state().reason
    status, _ = mammogan("status", drill.folder).communicate(timeout=PATIENCE_S)
    assert "mutually exclusive" in " ".join(status.split())
    assert len([each for each in submission_ledger.read(drill.folder) if each.node == STAGE]) == 1
