"""Which jobs of a run are at work or will be: by the ledger's ids, and by what is seen of them anywhere.

The queue comes first. What it does not show is looked up in accounting, and by the signs of life that jobs
leave in RUN/spans. A job whose state nobody here can tell is ``unknown``, never taken for one that is over.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammogan import machine
from mammogan.cluster import job_accounts, job_spans, slurm_commands, submission_ledger
from mammogan.cluster.job_accounts import Kept
from mammogan.cluster.job_words import ENDED, WAITING, explained
from mammogan.cluster.slurm_commands import Queued, job_name
from mammogan.run_folder import RunFolder
from mammogan.run_records import Span, Submission

UNKNOWN = "unknown"
LIFE_S = 4 * job_spans.REFRESH_S
"""A job that has shown no life for so long may be dead."""


@dataclass(frozen=True)
class LiveJob:
    """A job that may write: ``running``, ``queued`` or ``unknown``, why, and when it may begin.

    `user` is whose it is, empty if one's own.
    """

    state: str
    reason: str = ""
    expected: str = ""
    user: str = ""


class JobFinder:
    """Finds the jobs of one run again and again; remembers which are over."""

    def __init__(self, folder: Path, run_id: str) -> None:
        self.folder, self.run_id = folder, run_id
        self._over: set[str] = set()
        self._config: dict[str, str] = {}
        self._kept: dict[str, dict[str, Kept]] = {}

    def queued(self, records: Sequence[Submission]) -> dict[str, LiveJob]:
        """Map the jobs of these submissions that Slurm's queue shows to what it says of them.

        Raises
        ------
        SlurmSilentError
            If Slurm does not answer.
        """
        self._kept.clear()
        nodes = {record.job_id: record.node for record in records}
        if not nodes:
            return {}
        jobs = slurm_commands.by_id(nodes)
        return {job.job_id: _shown(job) for job in jobs if self._is(job, nodes[_base(job)])}

    def elsewhere(self, record: Submission, task: int) -> LiveJob | None:
        """Look for a job that the queue does not show and whose outputs are not there; None if it is over.

        Raises
        ------
        SlurmSilentError
            If Slurm does not answer.
        """
        job_id = record.task_id(task)
        live = None if job_id in self._over else self._unseen(record, task)
        if live is None:
            self._over.add(job_id)
        return live

    def _unseen(self, record: Submission, task: int) -> LiveJob | None:
        self._config = self._config or slurm_commands.config()
        cluster = self._config.get("ClusterName", "")
        foreign = record.cluster if record.cluster not in ("", cluster) else ""
        user = record.user if record.user not in ("", submission_ledger.this_user()) else ""
        sign, known = sign_of_life(self.folder, record, task), self._account(record, task, foreign)
        word, lives = known.state if known else "", bool(sign and is_fresh(sign))
        hidden = bool(user) and "jobs" in self._config.get("PrivateData", "").split(",") and os.geteuid() != 0
        job = f"job {record.task_id(task)}"
        if word in ENDED:
            return None
        if foreign:
            at = f"the cluster '{foreign}'{word and f', where it is {word}'}"
            state, reason = UNKNOWN, f"{job} was submitted to {at}, and this Slurm is '{cluster}'"
        elif word and (word in WAITING or lives or sign is None):
            state = "queued" if word in WAITING else "running"
            reason = f"{word} by accounting, and squeue does not show it"
        elif hidden and lives:
            state, reason = "running", "by its signs of life in the run's folder"
        elif hidden:
            state, reason = UNKNOWN, f"{job} is not shown, as nobody else's are by this Slurm"
        else:
            return None
        return LiveJob(state, _whose(user, reason), user=user)

    def _account(self, record: Submission, task: int, cluster: str) -> Kept | None:
        """Look a job up in accounting, where all tasks of its array are asked for at once."""
        if record.job_id not in self._kept:
            self._kept[record.job_id] = job_accounts.kept([record.job_id], cluster)
        kept = self._kept[record.job_id]
        found = kept.get(record.task_id(task)) or kept.get(f"{record.job_id}_*")
        return found if found and found.name == job_name(self.run_id, record.node) else None

    def by_signs(self, record: Submission, task: int, before: LiveJob | None) -> LiveJob:
        """Tell what is likely while Slurm does not answer: by signs of life, or as it was `before`."""
        sign = sign_of_life(self.folder, record, task)
        if sign and is_fresh(sign):
            return LiveJob("running")
        return before or LiveJob(UNKNOWN, "Slurm can't be asked")

    def orphans(self, nodes: Iterable[str], records: Sequence[Submission]) -> list[Queued]:
        """List jobs of this run in the queue that the ledger lacks, of all users who stand in it.

        A run's folder shows in the comment or the batch script's path. Where a site keeps neither, the job's
        name is taken for it, unless the folder is that of another run.
        """
        known, names = {record.job_id for record in records}, {job_name(self.run_id, node) for node in nodes}
        users = {submission_ledger.this_user(), *(record.user for record in records)}
        jobs = slurm_commands.of_users(sorted(filter(_exists, users)))

        def ours(job: Queued) -> bool:
            by_name = job.name in names and not _of_another_run(job)
            return slurm_commands.belongs(job, str(self.folder)) or by_name

        return [job for job in jobs if _base(job) not in known and ours(job)]

    def _is(self, job: Queued, node: str) -> bool:
        """Tell whether a job is the one that the ledger means: ids are used again, and by other clusters."""
        return slurm_commands.belongs(job, str(self.folder)) or job.name == job_name(self.run_id, node)


def sign_of_life(folder: Path, record: Submission, task: int) -> Span | None:
    """Read what the newest start of a task's job has left of itself."""
    pattern = RunFolder(folder).span(record.task_id(task), task, 0).name.replace("_0.json", "_*.json")
    spans = filter(None, map(Span.read_if_sound, RunFolder(folder).spans.glob(pattern)))
    return max(spans, key=lambda span: span.restart, default=None)


def is_fresh(span: Span) -> bool:
    """Tell whether a job was at work a moment ago."""
    return not span.ended and time.time() - span.seen < LIFE_S


def _shown(job: Queued) -> LiveJob:
    waits = job.state in WAITING
    expected = job.start if waits and job.start != "N/A" else ""
    reason = explained(job.reason)
    if job.state not in ("PENDING", "RUNNING", "COMPLETING", "CONFIGURING"):
        reason = f"{job.state}: {reason}".removesuffix(": ")
    user = "" if job.user in ("", submission_ledger.this_user()) else job.user
    return LiveJob("queued" if waits else "running", _whose(user, reason), expected, user)


def _whose(user: str, reason: str) -> str:
    return "; ".join(filter(None, [f"belongs to user '{user}'" if user else "", reason]))


def _base(job: Queued) -> str:
    return job.job_id.partition("_")[0]


def _of_another_run(job: Queued) -> bool:
    """Tell whether comment or batch script, RUN/logs/NODE/..., lead to some run's folder, or none of ours."""
    places = [Path(job.comment), *Path(job.command).parents[2:3]]
    try:
        return any(place.is_absolute() and RunFolder(place).settings.exists() for place in places)
    except PermissionError:
        return True


def _exists(user: str) -> bool:
    return bool(user) and (user.isdigit() or machine.has_user(user))


def alive(pid: str, folder: Path) -> bool:
    """Tell whether the process is one that submitit started for jobs logging into `folder`."""
    return str(folder) in machine.command_line(pid)
