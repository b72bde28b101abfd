"""Real training on phantoms, healthy and with planted faults, which alone set off alarms.

`pytest -m slow tests/train/test_alarms_trained.py -o log_cli=true --log-cli-level=INFO` logs
the rows of the table in docs/alarms.md.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mammogan import schedule, tracking
from mammogan.config.alarm_settings import Alarms
from mammogan.config.dataset import load_recipe
from mammogan.config.method import load_method
from mammogan.config.run_config import Run, claim, merge
from mammogan.config.site import load_site
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.train import checkpoint
from mammogan.train.alarms import WATCHES, judge, label_entropy, observe, sheet
from mammogan.train.build_networks import load_average
from mammogan.train.dataloader import to_uint16
from mammogan.train.image_faults import WATCHES as FAULTS
from tests.patience import PATIENCE_S
from tests.train.conftest import PAPERS, STEP

log = logging.getLogger(__name__)
pytestmark = pytest.mark.slow

DEAF = (
    "from mammogan.nets import Generator; draw = Generator.forward; "
    "Generator.forward = lambda self, z, *rest: draw(self, z * 0 + 1, *rest); "
)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    return made(tmp_path_factory.mktemp("phantoms"), "[20,16]")


@pytest.fixture(scope="session")
def larger(tmp_path_factory):
    return made(tmp_path_factory.mktemp("larger"), "[40,32]")


def made(folder, top_px):
    make_cohort(folder / "dicoms", 40, 0, workers=1, frame_scale=0.125)
    settings = (
        f"packing.top_px={top_px}",
        "splits.train=0.8",
        "splits.validation=0.2",
        "screening.smallest_px=[32,32]",
    )
    plan(folder / "shards", [(load_recipe("phantom", settings), folder / "dicoms")], workers=0)
    build(folder / "shards", workers=0)
    return folder / "shards"


def indices(shards):
    return sorted(shards.glob("*/train-*.index.json"))


def shuffle_labels(shards):
    for path in indices(shards):
        index = json.loads(path.read_text())
        index["labels"]["view"] = np.random.default_rng(0).permutation(index["labels"]["view"]).tolist()
        path.write_text(json.dumps(index))


def make_constant(shards):
    for path in indices(shards):
        index = json.loads(path.read_text())
        assert index["packed"]  # so that an image is its pixels
        with path.with_name(path.name.replace("index.json", "tar")).open("r+b") as tar:
            for offset, size in zip(index["offsets"], index["sizes"], strict=True):
                tar.seek(offset)
                tar.write(np.full(size // 2, 20000, "<u2").tobytes())


def trained(folder, phantoms, fault, seed, stages, *settings):
    """Train stages of `tour`, as the papers train, with a fault planted; give the ticks of each."""
    shards = shutil.copytree(phantoms, folder / "shards")
    {"labels": shuffle_labels, "constant": make_constant}.get(fault, lambda _: None)(shards)
    method = load_method(
        "tour",
        (
            f"method.seed={seed}",
            f"ladder.stages={stages}",
            "schedule.tick_kimg=[100]",
            "scoring.checkpoints=8",  # each is a tick, and is kept
            f"optimiser.learning_rate={0.2 if fault == 'rate' else 0.002}",
            *PAPERS,
            *settings,
        ),
    )
    shard_set, site = ShardSet(shards), load_site("local", ("tracking.uri=off",))
    run = folder / "run"
    claim(run, merge(method, shard_set.recipes, site, shards, shard_set.identity, "test"))
    for stage in range(stages):
        code = (DEAF if fault == "deaf" else "") + STEP
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-c", code, str(run), f"train-{stage}"]
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
        assert done.returncode == 0, done.stderr
    return [ticks_of(run, stage, deaf=fault == "deaf") for stage in range(stages)]


def ticks_of(run, index, deaf):
    method, shards = Run.load(run).method, ShardSet(Path(Run.load(run).shards))
    stage = schedule.plan(method)[index]
    reader = shards.reader(stage.height_px, stage.width_px, "train")
    places, labels = sheet(reader.classes("view")[:, None], Alarms().images)
    chance, ticks = label_entropy(reader.classes("view")[:, None], method.supervision.weight), []
    for entry in tracking.read(run, f"train-{index}"):
        if "metrics" in entry:
            source = checkpoint.at(run, index, entry["step"] - stage.images_before)
            model = load_average(method, source, torch.device("cpu"))
            latents = model.latents(method.method.seed, range(len(places)))
            fakes = model.images(latents * 0 + 1 if deaf else latents, torch.from_numpy(labels))
            ticks.append(entry["metrics"] | observe(reader.read(places), to_uint16(fakes)) | chance)
    return ticks


def tell(fault, seed, stage, ticks):
    """Log the row of docs/alarms.md: the extreme of each number, and the first tick of each alarm.

    Of a stage to 40x32 they are those of `image_faults`, which want images of such a size.
    """
    shown = FAULTS if stage == 3 else {name: watch for name, watch in WATCHES.items() if watch.acts}
    settings, first, values = Alarms(), {}, {name: [] for name in WATCHES}
    for end in range(1, len(ticks) + 1):
        for name in (alarm.name for alarm in judge(settings, ticks[:end])):
            first.setdefault(name, end)
        for name, watch in WATCHES.items():
            if found := watch.measure(ticks[:end]):
                values[name].append(found[0])
    extremes = [
        f"{(min if watch.low else max)(values[name]):.2g}" if values[name] else "-"
        for name, watch in shown.items()
    ]
    fired = ", ".join(f"{name} {end}" for name, end in first.items()) or "none"
    log.info("| %s %d | %d | %s | %s |", fault, seed, stage, " | ".join(extremes), fired)
    return first


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_healthy_training_sets_off_nothing(tmp_path, phantoms, seed):
    for stage, ticks in enumerate(trained(tmp_path, phantoms, "healthy", seed, 3)):
        assert len(ticks) == 8
        assert tell("healthy", seed, stage, ticks) == {}


def test_nor_does_it_at_40x32_where_stripes_grain_and_blur_are_seen(tmp_path, larger):
    ticks = trained(tmp_path, larger, "healthy", 1, 4)[3]
    assert all("alarm/fine_share" in tick for tick in ticks)
    assert tell("healthy", 1, 3, ticks) == {}


@pytest.mark.parametrize("objective", ["hinge", "non-saturating"])
def test_nor_do_critics_that_classify(tmp_path, phantoms, objective):
    settings = f"loss.objective={objective}", "loss.penalty_weight=1"
    for stage, ticks in enumerate(trained(tmp_path, phantoms, "healthy", 1, 2, *settings)):
        assert tell(objective, 1, stage, ticks) == {}


@pytest.mark.parametrize(
    ("fault", "alarm", "tick"),
    [("rate", "penalty", 2), ("labels", "labels", 4), ("constant", "reals", 1), ("deaf", "collapse", 2)],
)
def test_a_planted_fault_sets_off_its_alarm_in_every_stage_by_a_certain_tick(
    tmp_path, phantoms, fault, alarm, tick
):
    found = [tell(fault, 1, *numbered) for numbered in enumerate(trained(tmp_path, phantoms, fault, 1, 2))]
    assert all(first[alarm] <= tick for first in found), found
