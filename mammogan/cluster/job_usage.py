"""What the steps of a run have used: starts, failures, hours; by accounting where there is one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mammogan.cluster import job_accounts, job_spans, slurm_commands, submission_ledger
from mammogan.cluster.run_state import NodeState
from mammogan.cluster.slurm_commands import SlurmSilentError
from mammogan.config.resource import Resource
from mammogan.config.run_config import load
from mammogan.run_folder import RunFolder
from mammogan.run_records import Span

RAN = ("running", "done", "failed")
"""States of tasks that have begun."""


@dataclass(frozen=True)
class Usage:
    """A step's jobs: how often they were started or submitted, attempts that failed, and hours.

    Attributes
    ----------
    gpu_hours, cpu_hours, rank_hours
        Of the GPUs and CPUs that the jobs held, and of their processes.
    unknown, unknown_cpus
        Tasks that ran, and neither accounting nor the run's folder knows for how long; or on how many CPUs.
    began, ended
        Seconds since 1970 of the first begin and of the last sign of life; None if nobody noted them.
    """

    starts: int
    failed: int
    gpu_hours: float
    rank_hours: float
    cpu_hours: float = 0.0
    unknown: int = 0
    unknown_cpus: int = 0
    began: float | None = None
    ended: float | None = None

    def __add__(self, other: Usage) -> Usage:
        """Add up two steps."""
        begins = [time for time in (self.began, other.began) if time is not None]
        ends = [time for time in (self.ended, other.ended) if time is not None]
        return Usage(
            self.starts + other.starts,
            self.failed + other.failed,
            self.gpu_hours + other.gpu_hours,
            self.rank_hours + other.rank_hours,
            self.cpu_hours + other.cpu_hours,
            self.unknown + other.unknown,
            self.unknown_cpus + other.unknown_cpus,
            min(begins, default=None),
            max(ends, default=None),
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

    used = {state.node.name: NOTHING for state in states}
    noted: set[tuple[str, int]] = set()
    for record in records:
        resource = site.resources.of(next(s.node.resource for s in states if s.node.name == record.node))
        for task in record.tasks:
            job = record.task_id(task)
            mine = (
                by_job.get(job, []) if record.scheduler == "slurm" else _local(by_job, record.node, task, job)
            )
            again = max([restarts.get(job, 0), *(span.restart for span in mine)])
            hours = _hours(mine, job in running, resource)
            if job in accounted:
                of_job, gpus = accounted[job], resource.nodes * resource.gpus_per_node
                hours = replace(
                    hours,
                    # Many sites' accounting does not count GPUs.
                    gpu_hours=(of_job.gpu_seconds or of_job.seconds * gpus) / 3600,
                    cpu_hours=of_job.cpu_seconds / 3600,
                    rank_hours=of_job.seconds * resource.ranks / 3600,
                    unknown_cpus=0,
                )
            if mine or job in accounted:
                noted.add((record.node, task))
            used[record.node] += replace(hours, starts=1 + again)
    for state in states:
        name = state.node.name
        ran = {(name, task) for task in state.among(*RAN) if task in state.jobs}
        failed = sum(failed_attempts(folder, name, task) for task in range(state.node.tasks))
        used[name] += replace(NOTHING, failed=failed, unknown=len(ran - noted))
    return used


def failed_attempts(folder: Path, node: str, task: int) -> int:
    """Count the attempts of a task that failed: a line each, which its batch script wrote."""
    try:
        return len(RunFolder(folder).attempts(node, task).read_text(encoding="utf-8").splitlines())
    except OSError:
        return 0


def _local(by_job: dict[str, list[Span]], node: str, task: int, job: str) -> list[Span]:
    """Pick a process' spans: its number may have been another task's before."""
    return [span for span in by_job.get(job, []) if (span.node, span.task) == (node, task)]


def _hours(mine: Sequence[Span], running: bool, resource: Resource) -> Usage:
    """Add up the hours of a job's starts; the last one of a job that runs has not ended."""
    total = NOTHING
    for span in mine:
        goes_on = running and span is mine[-1] and not span.ended
        ended = time.time() if goes_on else span.seen
        hours, cpus = (ended - span.began) / 3600, span.cpus or span.ranks * resource.cpus_per_task
        total += replace(
            NOTHING,
            gpu_hours=hours * span.gpus,
            rank_hours=hours * span.ranks,
            cpu_hours=hours * cpus,
            began=span.began,
            ended=ended,
        )
    return replace(total, unknown_cpus=int(any(not (s.cpus or resource.cpus_per_task) for s in mine)))
