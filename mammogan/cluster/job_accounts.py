"""What Slurm's accounting keeps of jobs, by sacct: many sites have none, and then nothing is known here."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass

from mammogan.cluster.slurm_commands import ANSWER_S, ask, chunks
from mammogan.errors import ClusterError


@dataclass(frozen=True)
class Kept:
    """What accounting keeps of a job: state, user and name."""

    state: str
    user: str
    name: str


@dataclass(frozen=True)
class Accounted:
    """What accounting knows of a job with all its restarts: its seconds, also times its GPUs and its CPUs."""

    seconds: int
    gpu_seconds: int
    cpu_seconds: int = 0


def kept(job_ids: Iterable[str], cluster: str = "") -> dict[str, Kept]:
    """Ask accounting for the states of jobs and of each task of an array, of another `cluster` if named.

    Empty where there is no accounting, or where it does not answer. Tasks that wait are ``12_*`` together.
    """
    if shutil.which("sacct") is None:
        return {}
    found: dict[str, Kept] = {}
    for ids in chunks(job_ids):
        options = ("-n", "-P", "-X", "-o", "JobID,State,User,JobName", "-j", ",".join(ids))
        try:
            lines = ask("sacct", *options, *(("-M", cluster) if cluster else ()), answer_s=ANSWER_S)
        except ClusterError:  # as where there is a sacct, but accounting is switched off
            return {}
        for fields in (line.split("|", 3) for line in lines.splitlines()):
            if len(fields) == 4 and fields[1]:
                job_id = re.sub(r"_\[.*", "_*", fields[0])
                found[job_id] = Kept(fields[1].split()[0], fields[2], fields[3])
    return found


def accounted(job_ids: Iterable[str]) -> dict[str, Accounted]:
    """Ask accounting for the hours of jobs; what it does not know is left out, and so is all without it."""
    job_ids = sorted(job_ids)
    if not job_ids or shutil.which("sacct") is None:
        return {}
    asked = ("-n", "-P", "-X", "-D", "-o", "JobID,ElapsedRaw,AllocTRES", "-j", ",".join(job_ids))
    try:
        lines = ask("sacct", *asked, answer_s=ANSWER_S).splitlines()
    except ClusterError:  # as where there is a sacct, but accounting is switched off
        return {}
    found: dict[str, Accounted] = {}
    for job_id, elapsed, resources in (line.split("|") for line in lines):
        before, seconds = found.get(job_id, Accounted(0, 0)), int(elapsed or 0)
        gpu_seconds, cpu_seconds = (seconds * _count(kind, resources) for kind in ("gres/gpu", "cpu"))
        found[job_id] = Accounted(
            before.seconds + seconds, before.gpu_seconds + gpu_seconds, before.cpu_seconds + cpu_seconds
        )
    return found


def _count(kind: str, resources: str) -> int:
    """Read how many of a kind a job was given, from words as ``cpu=8,gres/gpu=4``; their types come apart."""
    found = re.search(rf"(?:^|,){kind}=(\d+)", resources)
    return int(found.group(1)) if found else 0
