"""The attempts of a task that failed, one line each, in RUN/attempts/NODE-TASK.log.

Batch scripts write them (`mammogan.cluster.batch_script`), since a process that was killed can't: what they
know is the exit code, how many images the task had come to, and what it left in RUN/failures. For the others
`mammogan.cluster.failure_cause` reads the logs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from mammogan.cluster import failure_cause
from mammogan.run_folder import RunFolder
from mammogan.run_records import Attempt

LINE = re.compile(
    r"job=(?P<job_id>\S+) at=(?P<at>\d+) rc=(?P<code>\d+) time=(?P<time>\S+) node=(?P<node>\S*) "
    r"said=(?P<message>.*)"
)


def read(run: Path, node: str, task: int) -> list[Attempt]:
    """List the failed attempts of a task, oldest first; a torn line is left out."""
    try:
        lines = RunFolder(run).attempts(node, task).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = (LINE.fullmatch(line) for line in lines)
    return [
        Attempt(**match.groupdict() | {"message": _message(match["message"])}) for match in found if match
    ]


def explain(run: Path, node: str, task: int, job_id: str) -> str:
    """Say why job `job_id` of a task has failed for good; empty if its script did not come to say so."""
    mine = [attempt for attempt in read(run, node, task) if attempt.job_id == job_id]
    if not mine:
        return ""
    last = mine[-1]
    cause = last.message or failure_cause.find(run, node, job_id) or last.cause
    if len(mine) == 1:
        return cause
    same = any(attempt.at == last.at for attempt in mine[:-1])
    why = (
        f"twice after {last.at}, so it was not tried again"
        if same
        else "which is as often as site.retries allows"
    )
    return f"failed {len(mine)} times, {why}: {cause}"


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.removeprefix("srun: error: ")
