"""Runs that are killed without warning, again and again, and end as if nothing had been."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

import pytest

from mammogan import schedule
from mammogan.config.run_config import Run
from mammogan.errors import StopRequestedError
from mammogan.run_folder import RunFolder
from mammogan.train import checkpoint
from mammogan.train.training_loop import STOP_FILE, train_stage
from tests.train.conftest import make_shards, new_run, train
from tests.train.test_stage import assert_same, end_of

STAGES = 4
LONG = (
    f"ladder.stages={STAGES}",
    "schedule.fade_kimg=[0, 0.096]",
    "schedule.stable_kimg=[0.16]",
    "augmentation.kind=adaptive",
    "augmentation.adjust_kimg=0.2",
)
TRAIN = """
import sys, pathlib
from mammogan import steps
for stage in range(int(sys.argv[2])):
    steps.run(pathlib.Path(sys.argv[1]), f"train-{stage}")
"""


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """Make shards of all four resolutions."""
    return make_shards(tmp_path_factory.mktemp("shards"), "[40,32]")


def begin(run):
    """Start to train all stages."""
    kept = {
        key: value for key, value in os.environ.items() if key not in ("RANK", "WORLD_SIZE", "MASTER_PORT")
    }
    return subprocess.Popen(
        [sys.executable, "-c", TRAIN, str(run), str(STAGES)], env=kept, stderr=subprocess.DEVNULL
    )


def wait_for(process, found):
    """Look until `found` finds something, and give that; None if the process ended before."""
    while process.poll() is None:
        if something := found():
            return something
        time.sleep(0.001)
    return None


def folders(run):
    return set((run / "stages").glob("*/[0-9]*"))


def at_any_moment(run, known):
    return True


def in_mid_write(run, known):
    """Find a checkpoint that holds some file already, but not the last of them."""
    for folder in (run / "stages").glob("*/.*.tmp"):
        names = {path.name for path in folder.iterdir()} if folder.exists() else ()
        if names and "state.json" not in names:
            return folder
    return None


def in_mid_fade(run, known):
    """Find a checkpoint in mid-fade that was not known before."""
    for stage in schedule.plan(Run.load(run).method)[1:]:
        for saved in checkpoint.saved(run, stage.index):
            if saved.folder not in known and 0 < saved.images < stage.fade_images:
                return saved
    return None


KILLS = {at_any_moment: 6, in_mid_write: 2, in_mid_fade: 2}


def kill(run, how, delay_s):
    """Train to a tick, `delay_s` longer, and to a moment of the kind `how`; kill, and tell if that hit."""
    known = folders(run)
    process = begin(run)
    wait_for(process, lambda: folders(run) - known)
    until = time.monotonic() + delay_s
    wait_for(process, lambda: time.monotonic() >= until)
    known = folders(run)
    found = wait_for(process, lambda: how(run, known))
    process.send_signal(signal.SIGKILL)
    process.communicate()
    if how is in_mid_write:  # what is complete, or renamed already, was no hit
        return bool(found) and found.exists() and not (found / "state.json").exists()
    return process.returncode == -signal.SIGKILL


def ticks(run, stage):
    """Read all that was noted at a stage's ticks, but for what depends on the machine."""
    told = end_of(run, stage).facts
    kept = [
        {k: v for k, v in tick.items() if not k.startswith(("perf/", "system/"))} for tick in told["ticks"]
    ]
    return kept, told["augmentation"]


def seconds_of_training(run):
    process = begin(run)
    wait_for(process, lambda: folders(run))
    began = time.monotonic()
    process.communicate()
    return time.monotonic() - began


@pytest.mark.slow
def test_killed_at_ten_moments_a_run_of_four_stages_ends_bit_identical(shards, tmp_path, capsys):
    """Should a run end before it was killed so often, another one is begun."""
    seed = int(os.environ.get("MAMMOGAN_KILL_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
    chance = random.Random(seed)
    undisturbed, *runs = (new_run(tmp_path / name, shards, *LONG) for name in ("undisturbed", "killed-0"))
    longest_s = seconds_of_training(undisturbed) / 5
    wanted = [how for how, times in KILLS.items() for _ in range(times)]
    chance.shuffle(wanted)
    moments, tries = [], 0
    while wanted and (tries := tries + 1) <= 40:
        if kill(runs[-1], wanted[0], chance.uniform(0, longest_s)):
            newest = [next(checkpoint.saved(runs[-1], stage), None) for stage in range(STAGES)]
            moments.append((wanted.pop(0).__name__, [saved.images if saved else 0 for saved in newest]))
        if end_of(runs[-1], STAGES - 1).folder.exists():
            runs.append(new_run(tmp_path / f"killed-{len(runs)}", shards, *LONG))
    with capsys.disabled():
        lines = [f"MAMMOGAN_KILL_SEED={seed}: killed in {tries} tries, {len(runs)} runs", *map(str, moments)]
        sys.stdout.write("\n" + "\n  ".join(lines) + "\n")
    assert not wanted
    for run in runs:
        assert begin(run).wait() == 0
        for stage in range(STAGES):
            assert_same(undisturbed, run, stage)
            assert ticks(undisturbed, stage) == ticks(run, stage), f"stage {stage}, seed {seed}"
            left = [path.name for path in RunFolder(run).stage(stage).iterdir()]
            assert not [name for name in left if name.startswith(".")], "what kills have left is swept"


@pytest.mark.slow
def test_resumed_in_mid_fade_on_two_ranks_fifty_steps_end_in_the_weights_of_one(
    tiny_shards, tmp_path, monkeypatch
):
    longer = "schedule.fade_kimg=[0, 0.128]", "schedule.stable_kimg=[0.032, 0.384]"
    one, stop = new_run(tmp_path / "one", tiny_shards, *longer), tmp_path / "stop"
    monkeypatch.setenv(STOP_FILE, str(stop))

    def on_progress(images, total, note):
        if (total, images) == (512, 96):
            stop.touch()

    train_stage(one, Run.load(one), 0, on_progress)
    with pytest.raises(StopRequestedError, match="is saved after 104 images"):
        train_stage(one, Run.load(one), 1, on_progress)
    stop.unlink()
    two = new_run(tmp_path / "two", tiny_shards, *longer)
    shutil.copytree(one / "stages", two / "stages")
    stage = schedule.plan(Run.load(one).method)[1]
    assert stage.fade_images > 104 and stage.images - 104 > 50 * stage.batch
    train_stage(one, Run.load(one), 1, lambda *told: None)
    train(two, "train-1", ranks=2)
    assert_same(one, two, 1, rtol=1e-3, atol=5e-5)
