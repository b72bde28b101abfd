"""A planning and building that is killed -9 again and again, with its workers, alone, or a worker only."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mammogan.config.dataset import load_recipe
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.verify_set import verify
from tests.data.conftest import SMALL, digests
from tests.patience import PATIENCE_S

TO_THE_END = """
import sys
from pathlib import Path
from mammogan.config.dataset import load_recipe
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import is_planned, plan
shardset, source, key = map(Path, sys.argv[1:4])
wanted = [(load_recipe("phantom", sys.argv[4:]), source)]
if not is_planned(shardset, wanted):
    plan(shardset, wanted, lambda done, total: print("plan", done, flush=True), key, workers=2)
build(shardset, 2, lambda done, total: print("build", done, flush=True))
"""
PATIENTS = int(os.environ.get("MAMMOGAN_TORTURE_PATIENTS", "500"))


def start(shardset, source, key_file, settings):
    command = [sys.executable, "-c", TO_THE_END, shardset, source, key_file, *settings]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


def children(pid):
    return list(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def workers(pid):
    return [child for child in children(pid) if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(run, whom):
    """Kill the whole group, the parent alone, or one of its workers; nobody outlives a dead parent."""
    family = [run.pid, *children(run.pid)]
    if whom == "worker":
        if there := workers(run.pid):
            os.kill(there[0], signal.SIGKILL)
        return
    (os.killpg if whom == "group" else os.kill)(run.pid, signal.SIGKILL)
    run.communicate(timeout=PATIENCE_S)  # the pipe ends when nobody holds it any more
    assert run.returncode == -signal.SIGKILL
    end = time.monotonic() + PATIENCE_S
    while any(map(is_alive, family)):
        assert time.monotonic() < end, "a worker outlived its parent"
        time.sleep(0.05)


def disturbed(rng, moments, whom, *arguments):
    """Go on after each kill, to the end; a moment is a phase and what it has done. Give the kills."""
    kills, run, moments = 0, start(*arguments), list(moments)
    while line := run.stdout.readline():
        phase, done = line.split()
        if moments and phase == moments[0][0] and int(done) >= moments[0][1]:
            moments.pop(0)
            time.sleep(rng.random() * 0.05)
            victim = rng.choice(whom)
            kill(run, victim)
            kills += 1
            if victim != "worker":
                run = start(*arguments)
    assert run.wait(PATIENCE_S) == 0
    return kills


SOME_SLOW = ["group", *(pytest.param(whom, marks=pytest.mark.slow) for whom in ("parent", "worker"))]


@pytest.mark.parametrize("whom", SOME_SLOW)
def test_killed_three_times_a_set_ends_with_the_same_bytes(tmp_path, cohort, key_file, built, whom):
    rng = random.Random(whom)
    moments = [("plan", rng.randrange(50)), ("build", rng.randrange(14)), ("build", rng.randrange(14, 28))]
    assert disturbed(rng, moments, [whom], tmp_path / "set", cohort, key_file, SMALL) == 3
    assert digests(tmp_path / "set") == digests(built)
    assert verify(tmp_path / "set") == []


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_thousand_images_killed_ten_times_end_with_the_same_bytes(tmp_path, key_file):
    make_cohort(tmp_path / "files", PATIENTS, 0, workers=2, frame_scale=0.1)
    settings = ("packing.top_px=[160,128]", "packing.samples_per_shard=64")
    wanted = [(load_recipe("phantom", settings), tmp_path / "files")]
    plan(tmp_path / "calm", wanted, key_file=key_file, workers=2)
    images = build(tmp_path / "calm", workers=2).images
    rng = random.Random(0)
    moments = [("plan", done) for done in sorted(rng.sample(range(4 * PATIENTS), 3))]
    moments += [("build", done) for done in sorted(rng.sample(range(images), 7))]
    arguments = (tmp_path / "set", tmp_path / "files", key_file, settings)
    assert disturbed(rng, moments, ["group", "parent", "worker"], *arguments) == 10
    assert digests(tmp_path / "set") == digests(tmp_path / "calm")
