"""What was submitted when, in RUN/jobs.jsonl: one line a submission, written once, never changed.

The scheduler forgets a job minutes after its end, and its word is not proof of success anyway; the ledger
knows which tasks a job held, and the steps' own outputs tell whether they are done.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from mammogan.errors import ClusterError
from mammogan.files import write


@dataclass(frozen=True)
class Submission:
    """One job, or one array, of a graph node: array index i runs task ``tasks[i]``."""

    node: str
    job_id: str
    tasks: tuple[int, ...]
    attempt: int
    scheduler: str
    time: str

    def task_id(self, task: int) -> str:
        """Name the job of `task` as the scheduler does: ``12``, or ``12_3`` in an array."""
        return self.job_id if len(self.tasks) == 1 else f"{self.job_id}_{self.tasks.index(task)}"

    def log(self, run: Path, task: int, rank: int = 0) -> Path:
        """Locate what `rank` of `task` wrote to its output."""
        return logs(run, self.node) / f"{self.task_id(task)}_{rank}_log.out"


def logs(run: Path, node: str) -> Path:
    """Folder of a node's batch scripts, pickles and logs."""
    return run / "logs" / node


@dataclass(frozen=True)
class Failure:
    """Why a task failed and with which exit code, by the word of the rank that failed first."""

    rank: int
    code: int
    message: str


def failure_path(run: Path, node: str, task: int) -> Path:
    """File in which a failing task leaves its `Failure`."""
    return run / "failures" / f"{node}-{task}.json"


def failure(run: Path, node: str, task: int) -> Failure | None:
    """Read why a task failed, if it said so."""
    path = failure_path(run, node, task)
    return Failure(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def note_failure(run: Path, node: str, task: int, why: Failure) -> None:
    """Leave word of a failure; the first rank is believed, for others may fail of its absence."""
    path = failure_path(run, node, task)
    if not path.exists():
        write(path, json.dumps(asdict(why)))


def forget(run: Path, node: str, task: int) -> None:
    """Forget that a task has failed: it is about to be tried anew."""
    failure_path(run, node, task).unlink(missing_ok=True)
    (run / "attempts" / f"{node}-{task}.log").unlink(missing_ok=True)


def read(run: Path) -> list[Submission]:
    """List all submissions of a run, oldest first; a torn last line (power cut) is left out."""
    path = run / "jobs.jsonl"
    if not path.exists():
        return []
    records = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:
            continue
        records.append(Submission(**record | {"tasks": tuple(record["tasks"])}))
    return records


def append(run: Path, node: str, job_id: str, tasks: tuple[int, ...], scheduler: str) -> Submission:
    """Record a submission, on disk before this returns."""
    attempt = 1 + sum(past.node == node for past in read(run))
    time = datetime.now(UTC).isoformat(timespec="seconds")
    record = Submission(node, job_id, tasks, attempt, scheduler, time)
    with (run / "jobs.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(record)) + "\n")
        file.flush()
        os.fsync(file.fileno())
    return record


def latest(records: list[Submission]) -> dict[tuple[str, int], Submission]:
    """Map (node, task) to the last submission that held it."""
    return {(record.node, task): record for record in records for task in record.tasks}


@contextmanager
def only_launcher(run: Path) -> Iterator[None]:
    """Hold the run for one launcher at a time; its process id stands in the lock file.

    Raises
    ------
    ClusterError
        If another process is launching this run.
    """
    path = run / "launch.lock"
    with path.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ClusterError(
                f"The run '{run}' is being launched by process {launcher(run)} already. Follow it with "
                f"`mammogan status {run}`, or stop it with `mammogan cancel {run}`."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            file.truncate(0)


def launcher(run: Path) -> int | None:
    """Process id of the launcher that holds the run, if there is one."""
    try:
        return int((run / "launch.lock").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
