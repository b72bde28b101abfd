"""A tiny shard set and tiny runs, trained by real DeepSpeed processes."""

import os
import shutil
import socket

import pytest

from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import claim, merge
from mammogan.config.site import load_site
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from tests.forked import Forked
from tests.patience import PATIENCE_S

SMALL = (
    "ladder.stages=2",
    "network.latent_size=8",
    "network.channels_base=32",
    "network.channels_max=8",
    "schedule.fade_kimg=[0, 0.032]",
    "schedule.stable_kimg=[0.032, 0.064]",
    "schedule.batch=[8]",
    "schedule.tick_kimg=[0.016]",
    "engine.micro_batch=[8]",
    # Adam divides a gradient by its own size: with an epsilon of 1e-8 the rounding noise of a gradient of 0
    # would move a weight by the whole learning rate, one way on one rank and the other way on two.
    "optimiser.epsilon=1e-3",
    "scoring.checkpoints=2",
    "sampling.images_per_view=5",
    "sampling.images_per_task=4",
)
PAPERS = (
    "network.kind=pggan",
    "loss.objective=wgan-gp",
    "loss.penalty_weight=10",
    "loss.penalty_every=1",
    "loss.shared_fakes=false",
    "optimiser.keep_moments=false",
    "optimiser.cosine_decay=0",
    "ema.half_life_kimg=0",
    "ema.decay=0.99",
)
"""What the papers train with."""
TINY = (*SMALL, *PAPERS)
STEP = "import sys, pathlib; from mammogan import steps; steps.run(pathlib.Path(sys.argv[1]), sys.argv[2])"


def make_shards(folder, top_px="[10,8]"):
    """Make a shard set of a few phantoms, of all resolutions up to the given one."""
    make_cohort(folder / "dicoms", 5, 0, workers=1, frame_scale=0.25)
    settings = (f"packing.top_px={top_px}", "splits.train=0.6", "splits.validation=0.4")
    # By one key, for the order of images decides how far rounding is blown up in so short a training.
    key = folder / "key"
    key.write_text("0" * 64)
    source = load_recipe("phantom", settings), folder / "dicoms"
    plan(folder / "shards", [source], key_file=key, workers=0)
    build(folder / "shards", workers=0)
    return folder / "shards"


@pytest.fixture(scope="session")
def tiny_shards(tmp_path_factory):
    return make_shards(tmp_path_factory.mktemp("tiny"))


def new_run(folder, shards, *overrides):
    """Make a tiny run; tracking, which costs seconds, has tests of its own."""
    shard_set, site = ShardSet(shards), load_site("local", ("tracking.uri=off",))
    method = load_method("tour", (*TINY, *overrides))
    claim(folder, merge(method, shard_set.recipes, site, shards, shard_set.identity, "test"))
    return folder


@pytest.fixture
def make_run(tmp_path, tiny_shards):
    """Make a tiny run in a folder of its own, with the stages of run `after` behind it."""

    def make(name, *overrides, after=None, stages=1):
        run = new_run(tmp_path / name, tiny_shards, *overrides)
        for stage in range(stages if after else 0):
            shutil.copytree(after / "stages" / str(stage), run / "stages" / str(stage))
        return run

    return make


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, tiny_shards):
    """Train both stages in one go; no test may change it."""
    run = new_run(tmp_path_factory.mktemp("undisturbed") / "run", tiny_shards)
    train(run, "train-0", "train-1")
    return run


def free_port():
    """Find a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(run, node, ranks=1, **environment):
    """Start one process a rank on step `node` of `run`."""
    common = os.environ | {
        "WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port()),
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    return [
        Forked(STEP, run, node, environment=common | {"RANK": str(rank), "LOCAL_RANK": str(rank)})
        for rank in range(ranks)
    ]


def train(run, *nodes, ranks=1, **environment):
    """Run steps to their end and give what the leading rank said."""
    for node in nodes:
        processes = start(run, node, ranks, **environment)
        said = [process.communicate(timeout=PATIENCE_S)[1] for process in processes]
        assert all(process.returncode == 0 for process in processes), "\n".join(said)
    return said[0]
