"""A run on a real Slurm: process groups, dependencies, arrays, requeues, exit codes."""

from __future__ import annotations

import json
import subprocess
import time

import pytest

from mammogan.cluster import failed_attempts, run_state, slurm_commands, submission_ledger
from mammogan.errors import ClusterError
from mammogan.steps.task_progress import report_progress

NODES = ("shards", "finalise", "train-0", "score-0", "select", "sample", "assess", "compare", "report")
NODE = {name: index for index, name in enumerate(NODES)}


def seen(run, node, task=0, rank=0):
    return json.loads(run.stub.output(run.folder, node, task, rank).read_text())


def start_now(job_id):
    """Let a job that was queued again begin before its two minutes are over."""
    time.sleep(3)  # slurmd refuses a job in the very second in which it has ended the same one
    subprocess.run(["scontrol", "update", f"jobid={job_id}", "StartTime=now"], check=True)


def test_whole_graph_runs_in_order_with_a_process_group_on_two_nodes(launcher):
    run = launcher()
    run.stub.order(run.folder, train_0="reduce")
    assert len(run.submit()) == len(run.nodes)
    states = run.finish()
    assert {s.state for s in states.values()} == {"done"}
    for node in run.nodes:
        for need in node.needs:
            assert seen(run, need)["ended"] <= seen(run, node.name)["started"]
    ranks = [seen(run, "train-0", rank=rank) for rank in (0, 1)]
    assert [rank["total"] for rank in ranks] == [3.0, 3.0]
    assert [(r["RANK"], r["WORLD_SIZE"], r["LOCAL_RANK"], r["SLURM_NODEID"]) for r in ranks] == [
        ("0", "2", "0", "0"),
        ("1", "2", "0", "1"),
    ]
    assert {(r["MASTER_ADDR"], r["OMP_NUM_THREADS"]) for r in ranks} == {("127.0.0.1", "1")}
    assert {r["CUDA_VISIBLE_DEVICES"] for r in ranks} <= {"0", "1"}
    assert seen(run, "shards")["OMP_NUM_THREADS"] == "2"
    assert run.submit() == []


def test_failed_job_cancels_what_depends_on_it_and_a_relaunch_goes_on_from_there(launcher):
    run = launcher()
    run.stub.order(run.folder, train_0="fail")
    run.submit()
    states = run.finish()
    assert slurm_commands.outcome(states["train-0"].jobs[0]).startswith("FAILED")
    assert states["train-0"].reason == "'train-0' was told to fail"
    assert "told to fail" in run_state.log_of(run.folder, states["train-0"]).read_text()
    assert {states[name].state for name in ("score-0", "select", "sample", "report")} == {"blocked"}
    assert slurm_commands.outcome(states["report"].jobs[0]).startswith("CANCELLED")
    run.stub.order(run.folder)
    assert [record.node for record in run.submit()] == list(NODE)[2:]
    assert {s.state for s in run.finish().values()} == {"done"}


def test_launching_twice_submits_nothing_twice_and_cancel_empties_the_queue(launcher):
    run = launcher()
    run.stub.order(run.folder, shards="sleep 3600")
    run.submit(run.nodes[:3])
    assert [record.node for record in run.submit(run.nodes[:4])] == ["score-0"]
    assert run.submit(run.nodes[:4]) == []
    assert run_state.cancel(run.folder) == 5
    states = run.finish()
    assert states["shards"].state == "cancelled"
    assert states["train-0"].state == "blocked"


def test_job_of_a_launcher_that_died_before_writing_it_down_is_replaced(launcher):
    run = launcher()
    run.stub.order(run.folder, shards="sleep 3600")
    run.submit(run.nodes[:3])
    path = run.folder / "jobs.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))  # the line of train-0 is lost
    assert [record.node for record in run.submit(run.nodes[:3])] == ["train-0"]
    assert len(slurm_commands.queue(str(run.folder))) == 3
    run_state.cancel(run.folder)


def test_array_is_throttled_and_its_failed_task_alone_is_submitted_again(launcher):
    run = launcher("resources.gpu_one.array_parallelism=2", checkpoints=5)
    run.stub.order(run.folder, **{f"score_0_{task}": "sleep 5" for task in (0, 1, 2, 4)}, score_0_3="fail")
    run.submit()
    states = run.finish()
    assert states["score-0"].tasks == ("done", "done", "done", "failed", "done")
    spans = [
        (seen(run, "score-0", task)["started"], seen(run, "score-0", task)["ended"]) for task in (0, 1, 2, 4)
    ]
    assert max(sum(start <= at < end for start, end in spans) for at, _ in spans) == 2
    run.stub.order(run.folder)
    again = run.submit()
    assert again[0].tasks == (3,)
    assert [record.node for record in again] == list(NODE)[3:]
    assert {s.state for s in run.finish().values()} == {"done"}


def test_relaunch_while_an_array_still_runs_renews_what_waits_for_its_failed_task(launcher):
    run = launcher()
    run.stub.order(run.folder, score_0_0="fail", score_0_1="until go")
    run.submit()
    run.until(lambda states: states["score-0"].tasks == ("failed", "running"))
    run.stub.order(run.folder)
    again = run.submit()
    (run.folder / "go").touch()
    assert [(record.node, record.tasks[0]) for record in again] == [(name, 0) for name in list(NODE)[3:]]
    assert {s.state for s in run.finish().values()} == {"done"}
    assert seen(run, "score-0", 1)["ended"] <= seen(run, "select")["started"]


@pytest.mark.slow
def test_array_larger_than_slurm_allows_is_cut_in_pieces(launcher, monkeypatch):
    run = launcher(checkpoints=5)
    monkeypatch.setattr(slurm_commands, "max_array_size", lambda: 2)
    pieces = [record.tasks for record in run.submit() if record.node == "score-0"]
    assert pieces == [(0, 1), (2, 3), (4,)]
    assert {s.state for s in run.finish().values()} == {"done"}


def test_job_told_to_stop_saves_and_is_queued_again_while_dependents_wait(launcher):
    run = launcher()
    run.stub.order(run.folder, train_0="stop")
    run.submit(run.nodes[:4])
    run.until(lambda _: all((run.folder / f"waits-{rank}").exists() for rank in (0, 1)))
    job_id = run.states()["train-0"].jobs[0]
    subprocess.run(["scancel", "--batch", "--signal=USR2", job_id], check=True)
    states = run.until(lambda states: states["train-0"].state == "queued")
    assert states["score-0"].state == "queued"
    start_now(job_id)
    states = run.finish()
    assert states["train-0"].jobs[0] == job_id
    assert {states[name].state for name in ("train-0", "score-0")} == {"done"}
    assert not list((run.folder / "stop").iterdir())


def test_a_result_that_was_half_written_when_its_job_died_stops_no_other(launcher):
    run = launcher()
    run.stub.order(run.folder, shards="until go")
    run.submit(run.nodes[:3])
    job_id = run.states()["train-0"].jobs[0]
    for rank in (0, 1):
        torso = run.folder / "logs" / "train-0" / f"{job_id}_{rank}_result.pkl.save_tmp"
        torso.write_bytes(b"torso")
    (run.folder / "go").touch()
    assert run.finish()["train-0"].state == "done"
    assert (torso.parent / f"{job_id}_1_result.pkl").exists() and not torso.exists()


def test_killed_rank_ends_the_whole_job_at_once(launcher):
    run = launcher("site.retries=0")
    run.stub.order(run.folder, train_0="kill-rank 1")
    run.submit(run.nodes[:4])
    states = run.finish(300)  # the other rank would go on for an hour
    assert states["train-0"].state == "failed"
    assert states["train-0"].reason == "n1: task 1: Killed"
    assert slurm_commands.outcome(states["train-0"].jobs[0]).startswith("FAILED")
    assert states["score-0"].state == "blocked"


def test_killed_rank_has_its_job_queued_again_until_it_dies_twice_in_the_same_place(launcher):
    run = launcher()
    run.stub.order(run.folder, train_0="kill-rank 1")
    run.submit(run.nodes[:4])
    job_id = run.states()["train-0"].jobs[0]
    for images in (16, 48, 48):  # as far as it says to have come when it dies
        run.until(lambda states: states["train-0"].state == "running")
        report_progress(run.folder, "train-0", 0, images, 80, "images", "")
        states = run.until(lambda states: states["train-0"].state != "running", 40)
        if states["train-0"].state == "queued":
            assert states["score-0"].state == "queued"
            start_now(job_id)
    assert [attempt.at for attempt in failed_attempts.read(run.folder, "train-0", 0)] == [16, 48, 48]
    assert states["train-0"].state == "failed"
    assert states["train-0"].reason == (
        "failed 3 times, twice after 48, so it was not tried again: n1: task 1: Killed"
    )
    assert run.finish()["score-0"].state == "blocked"


def test_what_a_user_must_mend_is_not_tried_again(launcher):
    run = launcher()
    run.stub.order(run.folder, train_0="fail")
    run.submit(run.nodes[:3])
    states = run.finish(300)  # the other rank would go on for an hour
    assert (states["train-0"].state, states["train-0"].reason) == ("failed", "'train-0' was told to fail")
    assert len(failed_attempts.read(run.folder, "train-0", 0)) == 1


def test_task_of_an_array_that_dies_is_queued_again_alone(launcher):
    run = launcher(checkpoints=3)
    run.stub.order(run.folder, score_0_2="crash")
    run.submit(run.nodes[:4])
    run.until(lambda _: failed_attempts.read(run.folder, "score-0", 2))
    states = run.until(lambda states: states["score-0"].tasks == ("done", "done", "queued"))
    others = [seen(run, "score-0", task) for task in (0, 1)]
    run.stub.order(run.folder)
    start_now(states["score-0"].jobs[2])
    assert run.finish()["score-0"].state == "done"
    assert [seen(run, "score-0", task) for task in (0, 1)] == others
    (attempt,) = failed_attempts.read(run.folder, "score-0", 2)
    assert attempt.job_id == states["score-0"].jobs[2]
    assert attempt.cause == "ZeroDivisionError: 'score-0' was told to crash"


def test_job_that_no_node_could_run_is_refused_before_anything_is_submitted(launcher):
    run = launcher("resources.gpu_nodes.nodes=9")
    with pytest.raises(
        ClusterError, match=r"never run a job of \[resources.gpu_nodes\] of the site 'devcluster'"
    ):
        run.submit()
    assert submission_ledger.read(run.folder) == []
    assert not slurm_commands.queue(str(run.folder))


def test_missing_image_is_refused_before_anything_is_submitted(launcher):
    run = launcher("container.image=/no/such.sif")
    with pytest.raises(ClusterError, match=r"container.image '/no/such.sif' .* does not exist: build it"):
        run.submit()
    assert submission_ledger.read(run.folder) == []
