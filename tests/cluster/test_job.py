"""A job's way in and out, in this process."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from mammogan import steps
from mammogan.cluster import job, submission_ledger
from mammogan.errors import ClusterError, ConfigError, DataError, StopRequestedError
from mammogan.run_folder import RunFolder

REAL_MAIN = job.main  # the stub fixture puts another in its place


@pytest.fixture(autouse=True)
def _as_before(monkeypatch):
    """Give environment and signal handlers back as they were."""
    environ, handlers = dict(os.environ), {n: signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGUSR2)}
    yield
    os.environ.clear()
    os.environ.update(environ)
    for name, handler in handlers.items():
        signal.signal(name, handler)


@pytest.fixture
def run(stub, tmp_path, monkeypatch):
    stub.make_run(tmp_path, "local")
    monkeypatch.setattr(steps, "run", stub.perform)
    return tmp_path


def done(stub, run, *nodes):
    for node in nodes:
        stub.output(run, node).parent.mkdir(exist_ok=True)
        stub.output(run, node).touch()


def test_step_runs_once_what_it_needs_is_done(stub, run):
    with pytest.raises(ClusterError, match=r"'train-0' needs 'finalise', of which 1 of 1 tasks are not done"):
        job.by_hand(run, "train-0", 0)
    done(stub, run, "shards", "finalise")
    job.by_hand(run, "train-0", 0)
    assert stub.output(run, "train-0").stat().st_size > 0


def test_task_that_is_done_is_left_alone(stub, run):
    done(stub, run, "shards", "finalise")
    job.by_hand(run, "shards", 0)
    assert stub.output(run, "shards").stat().st_size == 0


def test_unknown_steps_and_tasks_are_explained(run):
    with pytest.raises(ConfigError, match=r"no step 'trian-0'. Did you mean 'train-0'"):
        job.by_hand(run, "trian-0", 0)
    with pytest.raises(ConfigError, match=r"'score-0' has no task '2': its tasks are 0 to 1"):
        job.by_hand(run, "score-0", 2)


def test_failure_leaves_its_message_and_its_exit_code(stub, run, monkeypatch):
    monkeypatch.setattr(job, "perform", stub.perform)
    stub.order(run, shards="fail")
    with pytest.raises(SystemExit) as left:
        REAL_MAIN(str(run), "shards", 0)
    assert left.value.code == 2
    assert submission_ledger.failure(run, "shards", 0) == submission_ledger.Failure(
        rank=0, code=2, message="'shards' was told to fail"
    )


def test_stop_leaves_with_the_code_that_queues_the_job_again(run, monkeypatch):
    def stop(*_):
        raise StopRequestedError("saved")

    monkeypatch.setattr(job, "perform", stop)
    with pytest.raises(SystemExit) as left:
        REAL_MAIN(str(run), "shards", 0)
    assert left.value.code == 85
    assert submission_ledger.failure(run, "shards", 0) is None


def test_scratch_is_a_folder_of_the_tasks_own_and_goes_with_it(run, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setenv("MAMMOGAN_SCRATCH", str(tmp_path))
    monkeypatch.setattr(job, "perform", lambda *_: seen.append(os.environ["TMPDIR"]))
    REAL_MAIN(str(run), "shards", 0)
    assert seen[0].startswith(str(tmp_path))
    assert not Path(seen[0]).exists()


def test_damaged_word_of_a_failure_is_named(tmp_path):
    path = RunFolder(tmp_path).failure("select", 0)
    path.parent.mkdir(parents=True)
    path.write_text('{"rank": 0}')
    with pytest.raises(DataError, match=r"is damaged \(.*code.*Delete it"):
        submission_ledger.failure(tmp_path, "select", 0)
