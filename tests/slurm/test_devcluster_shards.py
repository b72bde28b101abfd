"""A shard set made by arrays of real Slurm jobs: the same bytes as on one machine, whatever happens."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from mammogan.cluster import slurm_commands
from mammogan.cluster.run_state import Watcher
from mammogan.config.dataset import load_recipe
from mammogan.data.phantom import make_cohort
from mammogan.data.shards.build_set import build
from mammogan.data.shards.shard_plan import plan
from mammogan.data.shards.verify_set import verify
from mammogan.data.store import private_folder
from tests.data.conftest import SMALL, digests
from tests.patience import PATIENCE_S

KEY = "cd" * 32


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("an archive") / "files"
    make_cohort(folder, 4, 0, defects=True, workers=2, frame_scale=0.2)
    (folder.parent / "key").write_text(KEY)
    return folder


@pytest.fixture(scope="module")
def expected(archive, tmp_path_factory):
    shardset = tmp_path_factory.mktemp("expected") / "set"
    plan(shardset, [(load_recipe("phantom", SMALL), archive)], key_file=archive.parent / "key", workers=0)
    build(shardset, workers=0)
    return digests(shardset)


def command(shardset: Path, archive: Path, *words: str) -> subprocess.CompletedProcess[str]:
    settings = [word for text in SMALL for word in ("--set", text)]
    start = [
        sys.executable,
        "-m",
        "mammogan",
        "shards",
        "build",
        shardset,
        "--from",
        f"phantom={archive}",
        *settings,
    ]
    site = [
        "--key",
        archive.parent / "key",
        "--site",
        "devcluster",
        "--set",
        "resources.cpu_array.cpus_per_task=1",
    ]
    return subprocess.run(
        [str(word) for word in (*start, *site, *words)],
        check=False,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )


def test_arrays_on_slurm_make_the_bytes_that_one_process_makes(devcluster, tmp_path, archive, expected):
    done = command(tmp_path / "set", archive, "--tasks", "3", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(tmp_path / "set") == expected
    assert verify(tmp_path / "set") == []
    jobs = private_folder.folder(tmp_path / "set") / "jobs"
    assert {state.node.name: len(state.tasks) for state in Watcher(jobs).read()} == {
        "list": 1, "catalogue": 3, "plan": 1, "shards": 3, "finalise": 1,
    }  # fmt: skip
    again = command(tmp_path / "set", archive, "--tasks", "3")
    assert "Nothing to submit" in again.stdout


@pytest.mark.slow
def test_a_build_that_is_cancelled_half_way_goes_on_with_another_number_of_tasks(
    devcluster, tmp_path, archive, expected
):
    shardset = tmp_path / "set"
    assert command(shardset, archive, "--tasks", "2").returncode == 0
    end = time.monotonic() + PATIENCE_S
    while not list(shardset.glob("160x128/*.tar")):
        assert time.monotonic() < end
        time.sleep(0.2)
    jobs = private_folder.folder(shardset) / "jobs"
    slurm_commands.cancel({job.job_id.split("_")[0] for job in slurm_commands.queue(str(jobs.resolve()))})
    assert not (shardset / "manifest.json").exists()
    done = command(shardset, archive, "--tasks", "4", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert digests(shardset) == expected
