"""What was submitted when, in RUN/jobs.jsonl: one line a submission, written once, never changed.

The scheduler forgets a job minutes after its end, and its word is not proof of success anyway; the ledger
knows which tasks a job held, and the steps' own outputs tell whether they are done.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from mammogan import machine
from mammogan.errors import ClusterError
from mammogan.file_lock import LockedError, locked, owner_of
from mammogan.files import write
from mammogan.run_folder import RunFolder
from mammogan.run_records import Failure, Submission


def log(run: Path, record: Submission, task: int, rank: int = 0) -> Path:
    """Locate what `rank` of `task` wrote to its output."""
    return RunFolder(run).logs(record.node) / f"{record.task_id(task)}_{rank}_log.out"


def failure(run: Path, node: str, task: int) -> Failure | None:
    """Read why a task failed, if it said so.

    Raises
    ------
    DataError
        If its word is damaged.
    """
    path = RunFolder(run).failure(node, task)
    return Failure.read(path, "Delete it: the task's log tells the same.") if path.exists() else None


def note_failure(run: Path, node: str, task: int, why: Failure) -> None:
    """Leave word of a failure; the first rank is believed, for others may fail of its absence."""
    path = RunFolder(run).failure(node, task)
    if not path.exists():
        write(path, why.line)


def forget(run: Path, node: str, task: int) -> None:
    """Forget that a task has failed: it is about to be tried anew."""
    for path in (RunFolder(run).failure(node, task), RunFolder(run).attempts(node, task)):
        path.unlink(missing_ok=True)


def read(run: Path) -> list[Submission]:
    """List all submissions of a run, oldest first; a torn last line (power cut) is left out."""
    path = RunFolder(run).ledger
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    return list(filter(None, map(Submission.from_line, lines)))


def append(
    run: Path, node: str, job_id: str, tasks: tuple[int, ...], scheduler: str, cluster: str = ""
) -> Submission:
    """Record a submission by this user, on disk before this returns."""
    attempt = 1 + sum(past.node == node for past in read(run))
    time = datetime.now(UTC).isoformat(timespec="seconds")
    record = Submission(
        node=node,
        job_id=job_id,
        tasks=tasks,
        attempt=attempt,
        scheduler=scheduler,
        time=time,
        user=this_user(),
        cluster=cluster,
    )
    with RunFolder(run).ledger.open("a", encoding="utf-8") as file:
        file.write(record.line + "\n")
        file.flush()
        os.fsync(file.fileno())
    return record


def latest(records: list[Submission]) -> dict[tuple[str, int], Submission]:
    """Map (node, task) to the last submission that held it."""
    return {(record.node, task): record for record in records for task in record.tasks}


def this_user() -> str:
    """Name this process' user, as Slurm does."""
    return machine.user_name()


@contextmanager
def only_launcher(run: Path) -> Iterator[None]:
    """Hold the run for one launcher at a time; who that is stands in the lock's file.

    Raises
    ------
    ClusterError
        If another process is launching this run.
    """
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(RunFolder(run).launch_lock))
        except LockedError as error:
            process = f"process {error.owner.pid} already ({error.who})" if error.owner else error.who
            raise ClusterError(
                f"The run '{run}' is being launched by {process}. Follow it with "
                f"`mammogan status {run}`, or stop it with `mammogan cancel {run}`.{error.way_out}"
            ) from None
        yield


def launcher(run: Path) -> int | None:
    """Process id of the launcher that holds the run, if there is one on this machine."""
    owner = owner_of(RunFolder(run).launch_lock)
    return owner.pid if owner and owner.on_this_machine and owner.is_running else None
