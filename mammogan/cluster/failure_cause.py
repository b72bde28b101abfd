"""Why a job failed that left no word: the line of its logs that Slurm, the container or Python wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from mammogan.run_folder import RunFolder

START = "mammogan: start"
"""Begins the line that a batch script writes first: what stands before it is of an earlier start."""
_LONGEST, _TAIL_BYTES = 500, 1_000_000

# Slurm cancels a step of which one rank has ended: that is no cause, but for a limit of the step's own.
_LIMIT = r"DUE TO (?!NODE|PREEMPTION|JOB REQUEUE)|oom[-_ ]kill|out of memory|memory limit"
LINES = (
    r"FATAL: +(?P<cause>.+)",  # Apptainer and Singularity
    r"(?:slurmstepd|srun).*?: (?P<cause>(?:pyxis|error: pyxis|enroot)\b.+)",
    r"(?P<cause>Fatal Python error: .+)",
    r"(?P<cause>[A-Za-z_][\w.]*(?:Error|Exception|Interrupt|Exit|Timeout|Expired)(?:: .+)?)",
    r"(?P<cause>\S*python[\d.]*: .+)",  # which module can't be found, which file can't be opened
    rf"(?P<cause>slurmstepd\S*: error: (?=.*(?:{_LIMIT})).+)",
    r"(?P<cause>srun: fatal: .+)",
    r"(?P<cause>slurmstepd\S*: error: (?:execve|task_p_pre|task \d+ .*prolog|prolog).+)",
    r"(?:srun: error: )(?P<cause>.+)",
    r"(?P<cause>slurmstepd\S*: (?:error|fatal): (?!\*\*\* ).+)",
    r"(?P<cause>(?:\S*/)?(?:slurm_script|bash|environment): (?:line \d+: )?.+)",  # a setup line
)
"""What a line of a log may be, the likeliest cause first. Of Python's the last one counts, else the first."""
_PATTERNS = tuple(re.compile(line, re.IGNORECASE if "oom" in line else 0) for line in LINES)
_PYTHONS = {3, 4}


def find(run: Path, node: str, job_id: str) -> str:
    """Return the line that tells best why the last start of a job failed; empty if none does.

    `job_id` is as in the names of logs: ``123``, or ``123_4`` for a task of an array. Of a long log the last
    megabyte is read.
    """
    logs = sorted(RunFolder(run).logs(node).glob(f"{job_id}_*_log.out"))
    lines = [line for log in logs for line in _last_start(log)]
    return cause(lines)


def cause(lines: Iterable[str]) -> str:
    """Return the likeliest cause among lines of logs; empty if there is none."""
    lines = [re.sub(r"^(\d+: +|\[rank\d+\]: ?)", "", line.strip()) for line in lines]  # of srun and torch
    for number, pattern in enumerate(_PATTERNS):
        found = [match["cause"].strip() for match in map(pattern.match, lines) if match]
        if found:
            return found[-1 if number in _PYTHONS else 0][:_LONGEST]
    return ""


def _last_start(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(START)[2].splitlines() if START in text else text.splitlines()
