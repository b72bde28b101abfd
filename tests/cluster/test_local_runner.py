"""A job graph as processes of this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from mammogan.cluster import live_jobs, local_runner, submission_ledger
from mammogan.cluster.run_state import Watcher, log_of
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.steps.job_graph import graph
from tests.patience import PATIENCE_S


def run_all(folder, run, until=None):
    nodes = graph(run)
    names = [node.name for node in nodes]
    with (
        local_runner.interruptible()
    ):  # tests may run in the background of a shell, whose children ignore INT
        *_, last = local_runner.run_graph(
            folder, nodes[: names.index(until) + 1] if until else nodes, poll_s=0.1
        )
    return {state.node.name: state for state in last}


def times(stub, folder, node, task=0):
    seen = json.loads(stub.output(folder, node, task).read_text())
    return seen["started"], seen["ended"]


def test_nodes_run_after_what_they_need_and_a_second_launch_starts_nothing(stub, tmp_path):
    run = stub.make_run(tmp_path, "local")
    states = run_all(tmp_path, run)
    assert {state.state for state in states.values()} == {"done"}
    for node in graph(run):
        for need in node.needs:
            ends = [times(stub, tmp_path, need, task)[1] for task in range(states[need].node.tasks)]
            assert max(ends) <= times(stub, tmp_path, node.name)[0]
    count = len(submission_ledger.read(tmp_path))
    assert count == sum(node.tasks for node in graph(run))
    run_all(tmp_path, run)
    assert len(submission_ledger.read(tmp_path)) == count


def test_failure_blocks_dependents_is_explained_and_only_it_runs_again(stub, tmp_path):
    run = stub.make_run(tmp_path, "local")
    stub.order(tmp_path, score_0_1="fail")
    states = run_all(tmp_path, run)
    assert states["score-0"].tasks == ("done", "failed")
    assert states["score-0"].reason == "'score-0' was told to fail"
    assert {states[name].state for name in ("select", "sample", "assess", "compare", "report")} == {"blocked"}
    log = log_of(tmp_path, states["score-0"]).read_text()
    assert "'score-0' was told to fail" in log
    assert "Traceback" not in log
    stub.order(tmp_path)
    assert run_all(tmp_path, run)["report"].state == "done"
    assert sum(record.node == "score-0" for record in submission_ledger.read(tmp_path)) == 3


def test_crash_leaves_its_traceback_in_the_log(stub, tmp_path):
    run = stub.make_run(tmp_path, "local")
    stub.order(tmp_path, shards="crash")
    states = run_all(tmp_path, run)
    assert states["shards"].reason == "ZeroDivisionError: 'shards' was told to crash"
    assert "Traceback" in log_of(tmp_path, states["shards"]).read_text()


def test_two_ranks_form_a_group_and_fail_together(stub, tmp_path, monkeypatch):
    monkeypatch.setattr(local_runner, "GRACE_S", 0.5)
    run = stub.make_run(tmp_path, "local", "resources.gpu_nodes.tasks_per_node=2")
    stub.order(tmp_path, train_0="fail-rank 1")
    states = run_all(tmp_path, run, until="train-0")
    assert states["train-0"].reason == "rank 1 was told to fail"
    assert "rank 1 was told to fail" in log_of(tmp_path, states["train-0"]).read_text()
    stub.order(tmp_path, train_0="reduce")
    assert run_all(tmp_path, run, until="train-0")["train-0"].state == "done"
    seen = [json.loads(stub.output(tmp_path, "train-0", rank=rank).read_text()) for rank in (0, 1)]
    assert [rank["total"] for rank in seen] == [3.0, 3.0]
    assert seen[0]["MASTER_PORT"] == seen[1]["MASTER_PORT"]


def test_only_one_launcher_holds_a_run(tmp_path):
    with submission_ledger.only_launcher(tmp_path):
        with pytest.raises(ClusterError, match=f"launched by process {os.getpid()} already"):
            with submission_ledger.only_launcher(tmp_path):
                pass
    with submission_ledger.only_launcher(tmp_path):
        assert submission_ledger.launcher(tmp_path) == os.getpid()
    assert submission_ledger.launcher(tmp_path) is None


LAUNCHER = """
import sys, stub_job
from pathlib import Path
from mammogan import steps
from mammogan.cluster import job, local_runner, submission_ledger
from mammogan.steps.job_graph import graph
steps.is_done, job.main, folder = stub_job.is_done, stub_job.main, Path(sys.argv[1])
with submission_ledger.only_launcher(folder), local_runner.interruptible():
    for _ in local_runner.run_graph(folder, graph(stub_job.Run.load(folder)), 0.1): pass
"""


def test_cancel_ends_a_background_launcher_and_its_processes(stub, tmp_path):
    from mammogan.cluster import run_state

    stub.make_run(tmp_path, "local")
    stub.order(tmp_path, shards="sleep 3600")
    launcher = subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(tmp_path)],
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # noqa: PLW1509 - as a shell's & does
    )
    watcher, end = Watcher(tmp_path), time.monotonic() + PATIENCE_S
    while not stub.asleep(tmp_path, "shards").exists() and time.monotonic() < end:
        time.sleep(0.1)
    states = watcher.read()
    assert states[0].state == "running"
    job_id = states[0].jobs[0]
    assert run_state.cancel(tmp_path) == 1
    launcher.wait(timeout=PATIENCE_S)
    assert not live_jobs.alive(job_id, RunFolder(tmp_path).logs("shards"))
    assert watcher.read()[0].state == "cancelled"
    assert run_state.cancel(tmp_path) == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_of_the_terminal_ends_all_processes_quietly(stub, tmp_path, number, code):
    stub.make_run(tmp_path, "local", 'environment.setup=["true"]')  # a shell stands between
    stub.order(tmp_path, shards="sleep 3600")
    quiet = "from mammogan import interruption\nwith interruption.quietly():\n" + "".join(
        f"    {line}\n" for line in LAUNCHER.strip().splitlines()
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", quiet, str(tmp_path)],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    watcher, end = Watcher(tmp_path), time.monotonic() + PATIENCE_S
    while not stub.asleep(tmp_path, "shards").exists() and time.monotonic() < end:
        time.sleep(0.1)
    job_id = watcher.read()[0].jobs[0]
    for _ in range(2):
        os.killpg(launcher.pid, number)
    _, words = launcher.communicate(timeout=PATIENCE_S)
    assert (launcher.returncode, words.count("\n")) == (code, 1)
    assert not live_jobs.alive(job_id, RunFolder(tmp_path).logs("shards"))
    states = ["ps", "-o", "stat=", "-s", str(launcher.pid)]
    left = subprocess.run(states, capture_output=True, text=True, check=False).stdout.split()
    assert [state for state in left if not state.startswith("Z")] == []
    assert "Traceback" not in log_of(tmp_path, watcher.read()[0]).read_text()
