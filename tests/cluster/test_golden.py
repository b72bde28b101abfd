"""The batch script of every step at every Slurm site, against slurm/golden; `make golden` rewrites those."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from mammogan.cluster import sbatch_parameters
from mammogan.config.method import Method
from mammogan.config.run_config import Run, shard_build
from mammogan.config.site import load_site, sites
from mammogan.steps.job_graph import graph

GOLDEN = Path(__file__).parents[2] / "slurm" / "golden"
SITES = [name for name in sites() if load_site(name).site.scheduler == "slurm"]
METHOD = Method.model_validate(
    {
        "method": {"name": "golden", "summary": "for golden scripts"},
        "ladder": {"stages": 1},
        "optimiser": {"learning_rate": 0.001},
        "schedule": {"fade_kimg": [0], "stable_kimg": [8], "batch": [32], "tick_kimg": [1]},
        "engine": {"micro_batch": [32]},
    }
)


def run(site: str) -> Run:
    return Run(
        schema_version=1,
        run_id="0123456789ab",
        mammogan="0",
        shards="/data/shards",
        shard_tasks=4,
        data_identity="",
        method=METHOD,
        recipes=(),
        site=load_site(site),
    )


BUILD = shard_build(Path("/data/shards"), 4, load_site("devcluster"), "0")
NODES = {node.step: node for launched in (BUILD, run("devcluster")) for node in graph(launched)}


def text(site: str, step: str) -> str:
    node = NODES[step]
    start = "" if load_site(site).container.image else "python3"  # else that of this test
    after = "afterok:" + ":".join(str(12 + i) for i in range(len(node.needs))) if node.needs else ""
    return sbatch_parameters.batch(run(site), Path("/runs/golden"), node, node.tasks, after, start)


@pytest.mark.parametrize("site", SITES)
@pytest.mark.parametrize("step", NODES)
def test_batch_script_is_the_golden_one(site, step):
    path = GOLDEN / site / f"{step}.sbatch"
    if os.environ.get("MAMMOGAN_GOLDEN"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text(site, step))
    assert text(site, step) == path.read_text()


def test_no_golden_script_is_left_of_a_site_or_step_that_is_gone():
    expected = {GOLDEN / site / f"{step}.sbatch" for site in SITES for step in NODES}
    assert set(GOLDEN.rglob("*.sbatch")) == expected


def script(step, *given, start="python3"):
    launched = run("devcluster").model_copy(update={"site": load_site("devcluster", given)})
    return sbatch_parameters.batch(launched, Path("/runs/golden"), NODES[step], 1, "", start)


@pytest.mark.parametrize(
    ("given", "there", "gone"),
    [
        ('mem-per-cpu="2G"', ["--mem-per-cpu=2G"], r"--mem="),
        ("mem=0", ["--mem=0"], r"--mem=\d+M"),
        ('gres="gpu:a100:1"', ["--gres=gpu:a100:1"], "gpus-per-node"),
        ("sbatch={ gpus-per-task = 1 }", ["--gpus-per-task=1"], "gpus-per-node"),
        ("sbatch={ cpus-per-gpu = 8 }", ["--cpus-per-gpu=8"], "cpus-per-task"),
        ("gpu_type=a100", ["--gpus-per-node=a100:1"], "--gres"),
        ("mem_gb=0", ["--mem=0"], r"--mem=\d+M"),
        ('srun=["--export=ALL,X=1"]', ["--export=ALL,X=1"], r"--export=ALL "),
    ],
)
def test_what_is_given_takes_the_place_of_ours(given, there, gone):
    text = script("score", "resources.gpu_one.mem_gb=4", f"resources.gpu_one.{given}")
    assert all(word in text for word in there)
    assert not re.search(gone, text)
    assert "--mem=4096M" in script("score", "resources.gpu_one.mem_gb=4")  # the control


def test_setup_lines_of_a_class_follow_those_of_the_site():
    given = ('environment.setup=["module load a"]', 'resources.gpu_one.setup=["module load b"]')
    assert "\nmodule load a\nmodule load b\n" in script("score", *given)
    assert "module load b" not in script("assess", *given)


SCRATCH = "storage.scratch=/scratch/$SLURM_JOB_ID"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("apptainer", r" apptainer -s exec --rocm --no-home .* --bind \"(.+)\" /i/m.sif python3 -u"),
        (
            "/opt/s/singularity-4",
            r" /opt/s/singularity-4 -s exec --rocm --no-home .*\"(.+)\" /i/m.sif python3",
        ),
        (
            "pyxis",
            r"--export=ALL --container-image=/i/m.sif --container-mounts=\"(.+)\" "
            "--container-workdir=/runs/golden --no-container-mount-home --rocm "
            "env PYTHONNOUSERSITE=1 PYTHONSAFEPATH=1 PYTHONPATH= python3 -u",
        ),
        ("enroot", r" enroot start --rocm --mount \"(.+?)\" .*/i/m.sif env --chdir=/runs/golden PYTHONNO"),
    ],
)
def test_every_container_program_starts_the_image_with_run_shards_and_scratch(command, words):
    given = (
        "container.image=/i/m.sif",
        f"container.command={command}",
        'container.flags=["--rocm"]',
        SCRATCH,
    )
    text = script("score", *given, start="")
    assert re.search(words, text)
    for folder in ("/runs/golden", "/data/shards:/data/shards:ro", "/scratch/$SLURM_JOB_ID"):
        assert folder in text


def test_what_a_profile_asks_of_sbatch_and_srun_stands_in_the_script():
    given = ('resources.gpu_nodes.sbatch={ constraint = "a100", exclusive = true, hint = false }',)
    given += ('resources.gpu_nodes.srun=["--cpu-bind=cores"]',)
    launched = run("devcluster").model_copy(update={"site": load_site("devcluster", given)})
    lines = sbatch_parameters.batch(launched, Path("/runs/golden"), NODES["train"], 1, "", "python3")
    assert "#SBATCH --constraint=a100\n" in lines and "#SBATCH --exclusive\n" in lines
    assert "hint" not in lines
    assert re.search(r"^srun .*--cpu-bind=cores", lines, re.MULTILINE)
    others = sbatch_parameters.batch(launched, Path("/runs/golden"), NODES["score"], 1, "", "python3")
    assert "a100" not in others and "cpu-bind" not in others
