"""Where a run stands: the steps' own outputs say what is done, the queue and the ledger say the rest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mammogan import machine, steps
from mammogan.cluster import failed_attempts, failure_cause, slurm_commands, submission_ledger
from mammogan.cluster.live_jobs import UNKNOWN, JobFinder, LiveJob, alive
from mammogan.cluster.slurm_commands import SlurmSilentError
from mammogan.config.run_config import load
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.run_records import Submission
from mammogan.steps.job_graph import Node, graph

# A node shows the first of these that one of its tasks is in.
STATES = ("running", "queued", UNKNOWN, "failed", "cancelled", "blocked", "waiting", "done")
LIVE = ("running", "queued")
LOST = ("failed", "cancelled")


@dataclass(frozen=True)
class NodeState:
    """One node: its state, the state and the job of each task, and why it is as it is."""

    node: Node
    state: str
    tasks: tuple[str, ...]
    jobs: dict[int, str]
    reason: str
    progress: steps.Progress | None
    expected: str = ""  # when the scheduler thinks that a queued one begins

    @property
    def done(self) -> int:
        """Tasks that are done."""
        return self.tasks.count("done")

    def among(self, *states: str) -> tuple[int, ...]:
        """Tasks that are in one of `states`."""
        return tuple(task for task, state in enumerate(self.tasks) if state in states)


class Watcher:
    """Reads a run's state again and again; what was verified once is not verified again.

    `silence` says, after a look, that Slurm did not answer it, and since when; else it is empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = load(folder)
        self.nodes = graph(self.run)
        self.silence = ""
        self.users: dict[str, str] = {}
        """Other users by the ids of their jobs that are live or may be."""
        self._since: datetime | None = None
        self._done: set[tuple[str, int]] = set()
        self._outcomes: dict[str, str] = {}
        self._finder = JobFinder(folder, self.run.run_id)
        self._live: dict[str, LiveJob] = {}

    def read(self, certain: bool = False, ask: bool = True) -> tuple[NodeState, ...]:
        """Work out the state of every node, in the order of the graph.

        Parameters
        ----------
        certain
            Raise where Slurm does not answer, rather than tell what the run's folder and the last look say.
        ask
            Whether Slurm is asked at all.

        Raises
        ------
        SlurmSilentError
            If `certain`, and Slurm does not answer.
        """
        records = submission_ledger.read(self.folder)
        if not ask:
            return self._read(records, None)
        began = datetime.now()
        try:
            states = self._read(records, self._queued(records))
        except SlurmSilentError as error:
            if certain:
                raise
            self._since = self._since or began
            self.silence = (
                f"Slurm does not answer since {self._since:%H:%M:%S}: this is what the run's folder and the "
                f"last look say. ({error.words})"
            )
            return self._read(records, None)
        self.silence, self._since = "", None
        return states

    def is_done(self, node: Node, task: int) -> bool:
        """Ask the step whether the task's outputs exist and verify."""
        key = (node.name, task)
        if key not in self._done and steps.is_done(self.folder, node, task):
            self._done.add(key)
        return key in self._done

    def _queued(self, records: list[Submission]) -> dict[str, LiveJob]:
        """Ask Slurm for the jobs that hold the tasks."""
        latest = submission_ledger.latest(records).values()
        of_slurm = [record for record in latest if record.scheduler == "slurm"]
        if of_slurm or self.run.site.site.scheduler == "slurm":
            slurm_commands.use(self.run.site)
        self._live = self._finder.queued(of_slurm)
        return self._live

    def _read(self, records: list[Submission], queued: dict[str, LiveJob] | None) -> tuple[NodeState, ...]:
        last = submission_ledger.latest(records)
        found: dict[str, NodeState] = {}
        self.users = {}
        for node in self.nodes:
            found[node.name] = self._node(node, last, queued, found)
        return tuple(found.values())

    def _node(
        self,
        node: Node,
        last: dict[tuple[str, int], Submission],
        queued: dict[str, LiveJob] | None,
        before: dict[str, NodeState],
    ) -> NodeState:
        states, reasons, expected, jobs = [], [], [], {}
        stuck = any(before[need].state in (*LOST, "blocked") for need in node.needs)
        for task in range(node.tasks):
            record, live = last.get((node.name, task)), None
            if record:
                jobs[task] = record.task_id(task)
                live = self._in_queue(record, task, queued)
            if not live and self.is_done(node, task):
                state, reason = "done", ""
            elif not live and stuck:
                state, reason = "blocked", f"needs {' and '.join(node.needs)}"
            elif not live and record:
                state, reason, live = self._missing(record, task, queued)
            else:
                state, reason = "waiting", ""
            if live:
                state, reason = live.state, live.reason
                if live.user:
                    self.users[jobs[task]] = live.user
            states.append(state)
            reasons.append(reason)
            expected.append(live.expected if live else "")
        state = min(states, key=STATES.index)
        progress = steps.progress(self.folder, node) if state == "running" else None
        first = states.index(state)
        return NodeState(node, state, tuple(states), jobs, reasons[first], progress, expected[first])

    def _in_queue(self, record: Submission, task: int, queued: dict[str, LiveJob] | None) -> LiveJob | None:
        if record.scheduler == "local":
            running = alive(record.job_id, RunFolder(self.folder).logs(record.node))
            return LiveJob("running") if running else None
        return queued.get(record.task_id(task)) if queued else None

    def _missing(
        self, record: Submission, task: int, queued: dict[str, LiveJob] | None
    ) -> tuple[str, str, LiveJob | None]:
        """Tell (state, reason, job) of a task that is neither done nor in the queue; it may be lost, or not.

        Without a queue, Slurm was not asked.
        """
        live = None
        if record.scheduler == "slurm" and not self._failed_for_good(record, task):
            if queued is None:
                live = self._finder.by_signs(record, task, self._live.get(record.task_id(task)))
            else:
                live = self._finder.elsewhere(record, task)
        return (live.state, live.reason, live) if live else (*self._lost(record, task), None)

    def _failed_for_good(self, record: Submission, task: int) -> bool:
        """Tell whether a rank left word of its failure, and the batch script has not tried it again."""
        why = submission_ledger.failure(self.folder, record.node, task)
        job_id = record.task_id(task)
        return bool(why and failed_attempts.explain(self.folder, record.node, task, job_id))

    def _lost(self, record: Submission, task: int) -> tuple[str, str]:
        """Say how a task that is neither done nor in the queue was lost: (state, reason)."""
        job_id, failure = record.task_id(task), submission_ledger.failure(self.folder, record.node, task)
        explanation = failed_attempts.explain(self.folder, record.node, task, job_id)
        if explanation:
            return "failed", explanation
        if failure:
            return "failed", failure.message
        if job_id not in self._outcomes:
            self._outcomes[job_id] = slurm_commands.outcome(job_id) if record.scheduler == "slurm" else ""
        outcome = self._outcomes[job_id]
        if outcome.startswith("CANCELLED"):
            return "cancelled", outcome
        if record.scheduler == "local":
            return "cancelled", f"process {job_id} was ended: cancelled, or killed by the system"
        gone = f"job {job_id} is gone and left no output"
        return "failed", failure_cause.find(self.folder, record.node, job_id) or outcome or gone


def log_of(folder: Path, state: NodeState, task: int | None = None) -> Path:
    """Locate the newest log of a node: of `task`, or else of the task that explains the node's state.

    Of several ranks it is that of the one that failed first, or else of rank 0.

    Raises
    ------
    ClusterError
        If no job of the node, or no such task, was ever submitted.
    """
    name = state.node.name
    last = {
        t: record
        for (node, t), record in submission_ledger.latest(submission_ledger.read(folder)).items()
        if node == name
    }
    if task is None:
        telling = [t for t in state.among(state.state) if t in last] or sorted(last)
        task = telling[0] if telling else 0
    if task not in last:
        raise ClusterError(
            f"No job of '{name}' task {task} was submitted yet in '{folder}', so there is no log."
        )
    failure = submission_ledger.failure(folder, name, task)
    return submission_ledger.log(folder, last[task], task, failure.rank if failure else 0)


def follow(watcher: Watcher, poll_s: float = 5.0) -> Iterator[tuple[NodeState, ...]]:
    """Tell every `poll_s` seconds where a submitted run stands, until nothing of it is queued or runs.

    It looks once more before it ends: on a shared disk, outputs may be seen later than the queue is empty.
    While Slurm does not answer it goes on.
    """
    idle = 0
    while idle < 2:
        states = watcher.read()
        yield states
        goes_on = bool(watcher.silence) or any(state.among(*LIVE, UNKNOWN) for state in states)
        idle = 0 if goes_on else idle + 1
        if idle < 2:
            time.sleep(poll_s)


def cancel(folder: Path) -> int:
    """Cancel all jobs of a run; gives their number.

    Raises
    ------
    ClusterError
        If some belong to another user, who alone can cancel them, or can't be seen from here; all others are
        cancelled.
    """
    watcher = Watcher(folder)
    states = watcher.read(certain=True)
    records = submission_ledger.latest(submission_ledger.read(folder))
    live = {(state.node.name, task): state.jobs[task] for state in states for task in state.among(*LIVE)}
    local = [job_id for key, job_id in live.items() if records[key].scheduler == "local"]
    of_slurm = {job_id for key, job_id in live.items() if records[key].scheduler == "slurm"}
    others = {job_id: watcher.users[job_id] for job_id in sorted(of_slurm & watcher.users.keys())}
    slurm_commands.cancel(of_slurm - others.keys())
    launcher = submission_ledger.launcher(folder)
    if local and launcher:
        os.kill(launcher, signal.SIGTERM)
    else:
        for pid in local:
            machine.end(int(pid), signal.SIGTERM)
    try:
        slurm_commands.cancel(others)  # as an operator may
    except SlurmSilentError:
        raise
    except ClusterError:
        raise ClusterError(
            f"Jobs {', '.join(others)} of the run '{folder}' belong to {whose(others.values())}, who alone "
            f"can cancel them, by `mammogan cancel {folder}`. All others are cancelled."
        ) from None
    if hidden := [state for state in states if state.among(UNKNOWN)]:
        raise ClusterError(
            f"Whether '{hidden[0].node.name}' still runs is not known: {hidden[0].reason}. What can be seen "
            f"was cancelled ({len(live)} jobs)."
        )
    return len(live)


def whose(users: Iterable[str]) -> str:
    """Name other users, as ``user 'anna'``."""
    names = sorted(set(users))
    return f"user{'s' if len(names) > 1 else ''} {' and '.join(repr(each) for each in names)}"
