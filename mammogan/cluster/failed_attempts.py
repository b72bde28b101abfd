"""The attempts of a task that failed, one line each, in RUN/attempts/NODE-TASK.log.

Batch scripts write them (`mammogan.cluster.batch_script`), since a process that was killed can't: what they
know is the exit code, how many images the task had come to, and what it left in RUN/failures, or else srun's
words.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

LINE = re.compile(r"job=(\S+) at=(\d+) rc=(\d+) time=(\S+) node=(\S*) said=(.*)")


@dataclass(frozen=True)
class Attempt:
    """One attempt: job, images it had come to, exit code, first node, and the task's own words."""

    job_id: str
    at: int
    code: int
    time: str
    node: str
    message: str

    @property
    def cause(self) -> str:
        """Why it failed, as far as anybody knows."""
        return self.message or f"exit code {self.code}"


def path(run: Path, node: str, task: int) -> Path:
    """File that holds the failed attempts of a task."""
    return run / "attempts" / f"{node}-{task}.log"


def read(run: Path, node: str, task: int) -> list[Attempt]:
    """List the failed attempts of a task, oldest first; a torn line is left out."""
    try:
        lines = path(run, node, task).read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    found = (LINE.fullmatch(line) for line in lines)
    return [
        Attempt(match[1], int(match[2]), int(match[3]), match[4], match[5], _message(match[6]))
        for match in found
        if match
    ]


def explain(run: Path, node: str, task: int, job_id: str) -> str:
    """Say why job `job_id` of a task has failed for good; empty if its script did not come to say so."""
    mine = [attempt for attempt in read(run, node, task) if attempt.job_id == job_id]
    if not mine:
        return ""
    last = mine[-1]
    if len(mine) == 1:
        return last.cause
    same = any(attempt.at == last.at for attempt in mine[:-1])
    why = (
        f"twice after {last.at}, so it was not tried again"
        if same
        else "which is as often as site.retries allows"
    )
    return f"failed {len(mine)} times, {why}: {last.cause}"


def _message(text: str) -> str:
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text.removeprefix("srun: error: ")
