"""The main job on a file system without locks: launch, track, kill, resume, and two launchers at once."""

import errno
import os
import signal
import sqlite3
import subprocess
import sys
import time

import pytest

from docs.hooks.run_folder_page import undescribed
from tests.fixtures.lockless import preloaded
from tests.integration.test_main_job import MAMMOGAN, ONE_THREAD, PACKING, mammogan
from tests.patience import PATIENCE_S
from tests.train.conftest import SMALL

SETTINGS = [part for setting in (*SMALL, *ONE_THREAD, "ladder.stages=2") for part in ("--set", setting)]


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS])
def test_launch_track_and_resume_work_without_locks(tmp_path, code):
    environment = {name: value for name, value in preloaded(tmp_path, code).items() if name not in os.environ}
    both = os.environ | environment
    check = [sys.executable, "-c", "import fcntl, sys; fcntl.flock(sys.stdin, fcntl.LOCK_EX)"]
    refused = subprocess.run(check, env=both, check=False, capture_output=True, text=True)
    assert os.strerror(code) in refused.stderr

    mammogan("phantom", tmp_path / "dicoms", "--patients", 5, "--seed", 0, "--frame-scale", 0.25)
    source = f"phantom={tmp_path / 'dicoms'}"
    mammogan("shards", "plan", tmp_path / "shards", "--from", source, *PACKING, **environment)
    run = tmp_path / "run"
    words = ("launch", "--method", "tour", "--data", tmp_path / "shards", run)

    def begin():
        return subprocess.Popen(
            [*MAMMOGAN, *map(str, words), *SETTINGS],
            env=both,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def until(condition):
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.05)

    first = begin()
    until((run / "launch.lock.owner").exists)
    second = mammogan("launch", run, code=2, **environment)
    assert f"being launched by process {first.pid} already" in second
    assert f"delete '{run / 'launch.lock.owner'}'" in second
    until(lambda: any((run / "stages").glob("1/*")))
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert (run / "launch.lock.owner").exists()

    output = mammogan(*words, *SETTINGS, **environment)
    assert "has no locks" in output and "could not be" not in output
    assert undescribed(run) == []
    assert [path.name for path in tmp_path.glob(".*") if path.name.endswith(".owner")] == []
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        statuses = dict(database.execute("SELECT name, status FROM runs"))
        points = database.execute("SELECT count(*) FROM metrics").fetchone()[0]
    assert len(statuses) == 3 and set(statuses.values()) == {"FINISHED"}
    assert points > 50
    for log in (run / "logs").rglob("*.out"):
        assert "was not brought up to date" not in log.read_text()
    mammogan("sync", run, **environment)
