"""What the steps of a run have used: starts, failures, hours; by accounting where there is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mammogan.cluster import job_accounts, job_spans, slurm_commands, submission_ledger
from mammogan.cluster.run_state import NodeState
from mammogan.cluster.slurm_commands import SlurmSilentError
from mammogan.config.run_config import load
from mammogan.run_folder import RunFolder
from mammogan.run_records import Span


@dataclass(frozen=True)
class Usage:
    """A step's jobs: how often they were started or submitted, attempts that failed, and hours.

    `gpu_hours` counts the GPUs that the jobs held, `rank_hours` their processes.
    """

    starts: int
    failed: int
    gpu_hours: float
    rank_hours: float

    def __add__(self, other: Usage) -> Usage:
        """Add up two steps."""
        return Usage(
            self.starts + other.starts,
            self.failed + other.failed,
            self.gpu_hours + other.gpu_hours,
            self.rank_hours + other.rank_hours,
        )


NOTHING = Usage(0, 0, 0.0, 0.0)


def usage(folder: Path, states: Sequence[NodeState], ask: bool = True) -> dict[str, Usage]:
    """Add up what the tasks of each node have used so far, by the node's name.

    Unless it is to `ask` Slurm, or where that does not answer, by what the jobs have noted of themselves.
    """
    site, records = load(folder).site, submission_ledger.read(folder)
    running = {job for state in states for task, job in state.jobs.items() if state.tasks[task] == "running"}
    by_job: dict[str, list[Span]] = {}
    for span in job_spans.read(folder):
        by_job.setdefault(span.job_id, []).append(span)
    of_slurm = {record.job_id for record in records if record.scheduler == "slurm"} if ask else set()
    try:
        restarts = slurm_commands.restarts(of_slurm)
    except SlurmSilentError:
        restarts, of_slurm = {}, set()
    accounted = job_accounts.accounted(of_slurm)
    ranks = {state.node.name: site.resources.of(state.node.resource).ranks for state in states}

    used = dict.fromkeys(ranks, NOTHING)
    for record in records:
        for task in record.tasks:
            job = record.task_id(task)
            mine = (
                by_job.get(job, []) if record.scheduler == "slurm" else _local(by_job, record.node, task, job)
            )
            again = max([restarts.get(job, 0), *(span.restart for span in mine)])
            if job in accounted:
                job_account = accounted[job]
                hours = job_account.gpu_seconds / 3600, job_account.seconds * ranks[record.node] / 3600
            else:
                hours = _hours(mine, job in running)
            used[record.node] += Usage(1 + again, 0, *hours)
    return {
        name: each + Usage(0, sum(failed_attempts(folder, name, t) for t in range(tasks)), 0.0, 0.0)
        for name, each in used.items()
        for tasks in (next(state.node.tasks for state in states if state.node.name == name),)
    }


def failed_attempts(folder: Path, node: str, task: int) -> int:
    """Count the attempts of a task that failed: a line each, which its batch script wrote."""
    try:
        return len(RunFolder(folder).attempts(node, task).read_text(encoding="utf-8").splitlines())
    except OSError:
        return 0


def _local(by_job: dict[str, list[Span]], node: str, task: int, job: str) -> list[Span]:
    """Pick a process' spans: its number may have been another task's before."""
    return [span for span in by_job.get(job, []) if (span.node, span.task) == (node, task)]


def _hours(mine: Sequence[Span], running: bool) -> tuple[float, float]:
    """Add up GPU-hours and rank-hours; the last start of a job that runs has not ended."""
    gpu_s = rank_s = 0.0
    for span in mine:
        goes_on = running and span is mine[-1] and not span.ended
        seconds = (time.time() if goes_on else span.seen) - span.began
        gpu_s, rank_s = gpu_s + seconds * span.gpus, rank_s + seconds * span.ranks
    return gpu_s / 3600, rank_s / 3600
