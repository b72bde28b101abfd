"""What a person sees of a run on a real Slurm: why it waits, its restarts, its log over a requeue."""

from __future__ import annotations

import subprocess
import threading
import time

from rich.console import Console

from mammogan.cli.log_follow import followed
from mammogan.cli.status_command import drawn
from mammogan.cluster import job_spans, slurm_commands
from mammogan.cluster.job_usage import usage
from mammogan.cluster.resubmission import renewal
from mammogan.cluster.run_state import LIVE, Watcher, log_of
from tests.patience import PATIENCE_S


def told_of(run, width=140):
    watcher, console = Watcher(run.folder), Console(width=width, record=True)
    console.print(drawn(watcher, watcher.read(), width))
    return console.export_text()


def test_why_jobs_wait_is_shown_and_their_hours_outlive_them(launcher):
    run = launcher("resources.gpu_one.array_parallelism=1")
    run.stub.order(run.folder, train_0="until go")
    submitted = time.monotonic()
    run.submit(run.nodes[:5])
    run.until(lambda states: states["train-0"].state == "running")
    run.until(lambda _: run.stub.asleep(run.folder, "train-0").exists())
    seen = time.monotonic()
    assert "waits for the steps before it (Dependency)" in told_of(run)
    time.sleep(4)
    (run.folder / "go").touch()
    least_s = time.monotonic() - seen - 1  # the stub sleeps a moment before its start is noted
    run.finish()
    most_s = time.monotonic() - submitted
    used = usage(run.folder, Watcher(run.folder).read())
    assert least_s < used["train-0"].gpu_hours / 2 * 3600 < most_s  # two nodes with a GPU each
    assert used["score-0"].starts == 2
    assert all(span.ended for span in job_spans.read(run.folder))
    assert "GPU-" in told_of(run)


def test_a_requeued_job_is_counted_and_its_log_is_followed_to_its_end(launcher):
    run = launcher()
    run.stub.order(run.folder, train_0="stop")
    run.submit(run.nodes[:3])
    run.until(lambda _: all((run.folder / f"waits-{rank}").exists() for rank in (0, 1)))
    state = run.states()["train-0"]
    job_id, told = state.jobs[0], []

    def follow():
        goes_on = lambda: 0 in run.states()["train-0"].among(*LIVE)  # noqa: E731
        told.extend(followed(lambda: log_of(run.folder, run.states()["train-0"], 0), goes_on, 0, 1))

    following = threading.Thread(target=follow)
    following.start()
    subprocess.run(["scancel", "--batch", "--signal=USR2", job_id], check=True)
    run.until(lambda states: "BeginTime" in states["train-0"].reason)  # told soon after it is queued
    assert slurm_commands.restarts([job_id])[job_id] == 1
    assert "(BeginTime); Slurm expects it to start" in " ".join(told_of(run).split())
    time.sleep(3)  # slurmd refuses a job in the very second in which it has ended the same one
    subprocess.run(["scontrol", "update", f"jobid={job_id}", "StartTime=now"], check=True)
    run.finish()
    following.join(PATIENCE_S)
    text = "".join(told)
    assert "saved and stopped" in text
    assert text.index("saved and stopped") < len(text.rstrip()) - len("saved and stopped")
    assert usage(run.folder, Watcher(run.folder).read())["train-0"].starts == 2
    assert [span.restart for span in job_spans.read(run.folder) if span.node == "train-0"] == [0, 1]


def test_retry_submits_a_failed_task_and_what_waits_for_it(launcher):
    run = launcher()
    run.stub.order(run.folder, score_0_1="fail")
    run.submit()
    states = run.finish()
    assert states["score-0"].tasks == ("done", "failed")
    run.stub.order(run.folder)
    again = renewal(list(states.values()), "score-0", 1)
    assert [node.name for node in again.nodes] == [
        "score-0",
        "select",
        "sample",
        "assess",
        "compare",
        "report",
    ]
    assert [record.tasks for record in run.submit(again.nodes)] == [(1,), (0,), (0, 1), (0,), (0,), (0,)]
    assert {state.state for state in run.finish().values()} == {"done"}
