"""The main job inside the image on a real Slurm of four nodes, beside the same without a container."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from mammogan.config.run_config import Run
from mammogan.files import sha256
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import graph
from mammogan.tracking.mlflow_sync import default_uri
from mammogan.train import checkpoint
from tests.container.conftest import ROOT

pytestmark = [pytest.mark.container, pytest.mark.slurm, pytest.mark.slow, pytest.mark.timeout(3600)]
MAMMOGAN = (sys.executable, "-m", "mammogan")
SETTINGS = (
    "ladder.stages=3",
    "schedule.fade_kimg=[0, 0.064]",
    "schedule.stable_kimg=[0.064, 0.064, 0.256]",
    "schedule.batch=[32]",
    "schedule.tick_kimg=[0.032]",
    "engine.micro_batch=[8]",
    "scoring.checkpoints=8",
    "scoring.checkpoints_per_task=1",
    "scoring.images=8",
    "sampling.images_per_view=8",
    "sampling.images_per_task=8",
    "resources.gpu_nodes.nodes=2",
    "resources.gpu_nodes.tasks_per_node=2",
    "resources.gpu_one.array_parallelism=3",
)


def mammogan(*words):
    done = subprocess.run(
        [*MAMMOGAN, *map(str, words)],
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=1800,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def cluster():
    """A devcluster of this test's own, so that nobody's jobs meet these."""
    if not shutil.which("slurmctld", path=os.environ["PATH"] + ":/usr/sbin"):
        pytest.skip("there is no Slurm here: slurm/devcluster/install")
    scripts, port = ROOT / "slurm" / "devcluster", _five_ports()
    state = Path(f"/tmp/mammogan-devcluster-{port}")  # munge wants a path that everybody may enter
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MAMMOGAN_DEVCLUSTER", str(state))
        patch.setenv("MAMMOGAN_DEVCLUSTER_PORT", str(port))
        patch.setenv("SLURM_CONF", str(state / "slurm.conf"))
        subprocess.run([scripts / "up"], check=True, timeout=120)
        yield
        subprocess.run([scripts / "down"], check=True, timeout=120)


def _five_ports():
    """Find five ports in a row that nobody has."""
    for port in range(17000, 20000, 10):
        taken = []
        for each in range(port, port + 5):
            with socket.socket() as asked:
                taken.append(asked.connect_ex(("127.0.0.1", each)) == 0)
        if not any(taken):
            return port
    raise AssertionError("no five ports are free")


@pytest.fixture(scope="module")
def place():
    """Phantoms and a planned shard set; unlike /tmp, Apptainer does not bind this folder by itself."""
    folder = ROOT / "build" / "it's the main job"  # with a space and a quote, as users' folders have
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    mammogan("phantom", folder / "dicoms", "--patients", 8, "--seed", 0, "--frame-scale", 0.25)
    small = ("packing.top_px=[20,16]", "splits.train=0.6", "splits.validation=0.4")
    sets = [word for setting in small for word in ("--set", setting)]
    mammogan("shards", "plan", folder / "shards", "--from", f"phantom={folder / 'dicoms'}", *sets)
    return folder


def launch(place, run, *settings):
    words = [word for setting in (*SETTINGS, *settings) for word in ("--set", setting)]
    mammogan(
        "launch",
        "--method",
        "tour",
        "--site",
        "devcluster",
        "--data",
        place / "shards",
        place / run,
        *words,
        "--wait",
    )
    return place / run


@pytest.fixture(scope="module")
def contained(image, cluster, place):
    return launch(
        place, "contained", f"container.image={image.path}", f'container.binds=["{place / "dicoms"}"]'
    )


@pytest.fixture(scope="module")
def bare(cluster, place, contained):
    return launch(place, "bare")


def scripts_of(run, node):
    return [path.read_text() for path in RunFolder(run).logs(node).glob("*_submission.sh")]


def test_the_main_job_ends_with_a_report_inside_the_image(contained, image):
    assert "Sliced Wasserstein distance" in (contained / "report" / "index.html").read_text()
    nodes = {node.name: node for node in graph(Run.load(contained))}
    assert nodes["score-2"].tasks == 8
    for name in nodes:
        [script] = scripts_of(contained, name)
        assert "apptainer -s exec" in script
        assert str(image.path) in script
    [script] = scripts_of(contained, "train-2")
    assert "#SBATCH --nodes=2\n" in script
    assert "#SBATCH --ntasks-per-node=2\n" in script
    assert "#SBATCH --array=0-7%3\n" in scripts_of(contained, "score-2")[0]
    ranks = list(RunFolder(contained).logs("train-2").glob("*_log.out"))
    assert len({path.name.split("_")[1] for path in ranks}) == 4


def test_the_tracking_server_is_told_which_image_and_commit_have_trained(contained, image):
    from mlflow import MlflowClient

    client = MlflowClient(default_uri(contained))
    [experiment] = [each for each in client.search_experiments() if each.name == "mammogan"]
    runs = client.search_runs([experiment.experiment_id])
    mine = [run for run in runs if "image.sha256" in run.data.tags]
    assert len(mine) == 1 + 3  # the run and its stages
    digest, commit = sha256(image.path), image.labels()["org.opencontainers.image.revision"]
    for run in mine:
        assert run.data.tags["image.sha256"] == digest
        assert run.data.tags["commit"] == commit
        assert run.data.tags["slurm.job_ids"]


def test_the_same_run_without_a_container_has_the_same_weights(contained, bare):
    compared = 0
    for stage in range(3):
        mine, theirs = (list(checkpoint.saved(run, stage)) for run in (contained, bare))
        assert [each.folder.name for each in mine] == [each.folder.name for each in theirs]
        for inside, outside in zip(mine, theirs, strict=True):
            for path in inside.folder.glob("*.safetensors"):
                here, there = inside.tensors(path.stem), outside.tensors(path.stem)
                assert here.keys() == there.keys()
                for name, tensor in here.items():
                    assert tensor.dtype == there[name].dtype
                    assert tensor.numpy().tobytes() == there[name].numpy().tobytes(), (path, name)
                    compared += 1
    assert compared > 100
    assert not any(
        "apptainer" in script for node in graph(Run.load(bare)) for script in scripts_of(bare, node.name)
    )
