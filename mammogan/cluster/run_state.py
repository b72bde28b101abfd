"""Where a run stands: the steps' own outputs say what is done, the queue and the ledger say the rest."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mammogan import steps
from mammogan.cluster import failed_attempts, failure_cause, slurm_commands, submission_ledger
from mammogan.config.run_config import load
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.run_records import Submission
from mammogan.steps.job_graph import Node, graph

# A node shows the first of these that one of its tasks is in.
STATES = ("running", "queued", "failed", "cancelled", "blocked", "waiting", "done")
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
    """Reads a run's state again and again; what was verified once is not verified again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.run = load(folder)
        self.nodes = graph(self.run)
        self._done: set[tuple[str, int]] = set()
        self._outcomes: dict[str, str] = {}

    def read(self) -> tuple[NodeState, ...]:
        """Work out the state of every node, in the order of the graph."""
        records = submission_ledger.read(self.folder)
        live = self._live(records)
        last = submission_ledger.latest(records)
        found: dict[str, NodeState] = {}
        for node in self.nodes:
            found[node.name] = self._node(node, last, live, found)
        return tuple(found.values())

    def is_done(self, node: Node, task: int) -> bool:
        """Ask the step whether the task's outputs exist and verify."""
        key = (node.name, task)
        if key not in self._done and steps.is_done(self.folder, node, task):
            self._done.add(key)
        return key in self._done

    def _live(self, records: list[Submission]) -> dict[str, tuple[str, str, str]]:
        """Map the ids of jobs that are in the queue, or running here, to (state, reason, expected start)."""
        live = {}
        if any(record.scheduler == "slurm" for record in records) or self.run.site.site.scheduler == "slurm":
            slurm_commands.use(self.run.site)
            for job in slurm_commands.queue(str(self.folder)):
                queued = job.state == "PENDING"
                expected = job.start if queued and job.start != "N/A" else ""
                live[job.job_id] = (
                    "queued" if queued else "running",
                    slurm_commands.explained(job.reason),
                    expected,
                )
        for record in records:
            if record.scheduler == "local" and alive(record.job_id, RunFolder(self.folder).logs(record.node)):
                live[record.job_id] = ("running", "", "")
        return live

    def _node(
        self,
        node: Node,
        last: dict[tuple[str, int], Submission],
        live: dict[str, tuple[str, str, str]],
        before: dict[str, NodeState],
    ) -> NodeState:
        states, reasons, expected, jobs = [], [], [], {}
        stuck = any(before[need].state in (*LOST, "blocked") for need in node.needs)
        for task in range(node.tasks):
            record, begins = last.get((node.name, task)), ""
            if record:
                jobs[task] = record.task_id(task)
            if task in jobs and jobs[task] in live:
                state, reason, begins = live[jobs[task]]
            elif self.is_done(node, task):
                state, reason = "done", ""
            elif stuck:
                state, reason = "blocked", f"needs {' and '.join(node.needs)}"
            elif record:
                state, reason = self._lost(record, task)
            else:
                state, reason = "waiting", ""
            states.append(state)
            reasons.append(reason)
            expected.append(begins)
        state = min(states, key=STATES.index)
        progress = steps.progress(self.folder, node) if state == "running" else None
        first = states.index(state)
        return NodeState(node, state, tuple(states), jobs, reasons[first], progress, expected[first])

    def _lost(self, record: Submission, task: int) -> tuple[str, str]:
        """Say how a task that is neither done nor in the queue was lost: (state, reason)."""
        job_id, failure = record.task_id(task), submission_ledger.failure(self.folder, record.node, task)
        if job_id not in self._outcomes:
            self._outcomes[job_id] = slurm_commands.outcome(job_id) if record.scheduler == "slurm" else ""
        outcome = self._outcomes[job_id]
        explanation = failed_attempts.explain(self.folder, record.node, task, job_id)
        if explanation:
            return "failed", explanation
        if failure:
            return "failed", failure.message
        if outcome.startswith("CANCELLED"):
            return "cancelled", outcome
        if record.scheduler == "local":
            return "cancelled", f"process {job_id} was ended: cancelled, or killed by the system"
        cause = failure_cause.find(self.folder, record.node, job_id)
        return "failed", cause or outcome or f"job {job_id} is gone and left no output"


def alive(pid: str, folder: Path) -> bool:
    """Tell whether the process is one that submitit started for jobs logging into `folder`."""
    try:
        return os.fsencode(folder) in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


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
    """
    idle = 0
    while idle < 2:
        states = watcher.read()
        yield states
        idle = 0 if any(state.among(*LIVE) for state in states) else idle + 1
        if idle < 2:
            time.sleep(poll_s)


def cancel(folder: Path) -> int:
    """Cancel all jobs of a run; gives their number."""
    watcher = Watcher(folder)
    states = watcher.read()
    records = submission_ledger.latest(submission_ledger.read(folder))
    live = {(state.node.name, task): state.jobs[task] for state in states for task in state.among(*LIVE)}
    local = [job_id for key, job_id in live.items() if records[key].scheduler == "local"]
    slurm_commands.cancel(job_id for key, job_id in live.items() if records[key].scheduler == "slurm")
    launcher = submission_ledger.launcher(folder)
    if local and launcher:
        os.kill(launcher, signal.SIGTERM)
    else:
        for pid in local:
            os.kill(int(pid), signal.SIGINT)
    return len(live)
