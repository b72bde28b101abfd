"""Slurm's own commands: squeue, scontrol, scancel, and sacct for hours alone: many have no accounting."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from mammogan.cluster import slurm_environment
from mammogan.config.site import Site
from mammogan.errors import ClusterError


@dataclass(frozen=True)
class Queued:
    """A job, or one task of an array, in Slurm's queue; `start` is when it began or may begin."""

    job_id: str
    state: str
    reason: str
    start: str
    comment: str


@dataclass(frozen=True)
class Accounted:
    """What accounting knows of a job with all its restarts: its seconds, and those times its GPUs."""

    seconds: int
    gpu_seconds: int


WAITS = {
    "AssocGrpGRES": "the account's GPUs are all in use",
    "AssocMaxJobsLimit": "the account runs as many jobs as it may",
    "BadConstraints": "no node can be what the job asks for: cancel it, and mend the site's profile",
    "BeginTime": "Slurm lets a job that was queued again wait for some minutes",
    "Dependency": "waits for the steps before it",
    "DependencyNeverSatisfied": "a step before it failed, so it never starts: `mammogan retry` renews it",
    "JobArrayTaskLimit": "as many tasks of its array run as array_parallelism allows",
    "JobHeldAdmin": "held by an administrator: ask them",
    "JobHeldUser": "held: `scontrol release` with its job lets it go",
    "Licenses": "a licence that it asks for is in use",
    "NodeDown": "a node that it needs is down",
    "PartitionDown": "its partition is closed",
    "PartitionNodeLimit": "asks for more nodes than its partition has or allows",
    "PartitionTimeLimit": "asks for more time than its partition allows: lower time_min",
    "Priority": "others are before it in the queue",
    "QOSGrpGRES": "the GPUs of its QOS are all in use",
    "QOSMaxGRESPerUser": "you use as many GPUs as the QOS allows",
    "QOSMaxJobsPerUserLimit": "you run as many jobs as the QOS allows",
    "ReqNodeNotAvail": "nodes that it needs are down or reserved",
    "Reservation": "waits for its reservation",
    "Resources": "next in line, and waits for nodes to become free",
}
"""Why a job waits, in plain words, by squeue's reason."""


def use(site: Site) -> None:
    """Make this process talk to the site's Slurm.

    Raises
    ------
    ClusterError
        If Slurm's commands or the site's configuration are not on this machine.
    """
    if shutil.which("sbatch") is None:
        raise ClusterError(
            f"The site '{site.site.name}' has site.scheduler 'slurm', but this machine has no 'sbatch': "
            "launch from a login node, or give --site local."
        )
    conf = site.site.slurm_conf
    if conf and "SLURM_CONF" not in os.environ:
        if not Path(conf).exists():
            raise ClusterError(
                f"site.slurm_conf '{conf}' of the site '{site.site.name}' does not exist: is its Slurm "
                "running? The devcluster is started by slurm/devcluster/up."
            )
        os.environ["SLURM_CONF"] = conf


def ask(*command: str, named: Mapping[str, str] | None = None) -> str:
    """Run a Slurm command in a clean environment, with the variables `named` in it, and give its output.

    Raises
    ------
    ClusterError
        With Slurm's own words, if the command fails or does not answer within two minutes.
    """
    try:
        answer = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            env=slurm_environment.clean(os.environ, named),
        )
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).strip()
        raise ClusterError(f"`{' '.join(command)}` failed: {words}") from None
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`{' '.join(command)}` failed: {error}") from None
    return answer.stdout


def queue(comment: str) -> list[Queued]:
    """List one's own jobs that carry `comment`: for a run's jobs, the run's folder."""
    lines = ask("squeue", "-h", "-r", "--me", "-o", "%i|%T|%r|%S|%k").splitlines()
    jobs = [Queued(*line.split("|", 4)) for line in lines]
    return [job for job in jobs if job.comment == comment]


def explained(reason: str) -> str:
    """Put squeue's reason into plain words and keep its own beside them; one not known stays as it is."""
    if reason == "None":
        return ""
    words = WAITS.get(reason.partition(",")[0].strip("()"))  # ReqNodeNotAvail goes on with the nodes' names
    return f"{words} ({reason})" if words else reason


def restarts() -> dict[str, int]:
    """Tell how often Slurm has started each of one's jobs again."""
    lines = ask("squeue", "-h", "-r", "--me", "-O", "JobArrayID:64,RestartCnt:16").splitlines()
    return {job_id: int(count) for job_id, count in (line.split() for line in lines)}


def accounted(job_ids: Iterable[str]) -> dict[str, Accounted]:
    """Ask accounting for the hours of jobs; what it does not know is left out, and so is all without it."""
    job_ids = sorted(job_ids)
    if not job_ids or shutil.which("sacct") is None:
        return {}
    asked = ("-n", "-P", "-X", "-D", "-o", "JobID,ElapsedRaw,AllocTRES", "-j", ",".join(job_ids))
    try:
        lines = ask("sacct", *asked).splitlines()
    except ClusterError:  # as where there is a sacct, but accounting is switched off
        return {}
    found: dict[str, Accounted] = {}
    for job_id, elapsed, resources in (line.split("|") for line in lines):
        gpus = re.search(r"\bgres/gpu=(\d+)", resources)
        before, seconds = found.get(job_id, Accounted(0, 0)), int(elapsed or 0)
        more = seconds * int(gpus.group(1)) if gpus else 0
        found[job_id] = Accounted(before.seconds + seconds, before.gpu_seconds + more)
    return found


def outcome(job_id: str) -> str:
    """Say how a job ended, as ``FAILED 1:0 NonZeroExitCode``; empty once Slurm has forgotten it."""
    try:
        text = ask("scontrol", "-o", "show", "job", job_id)
    except ClusterError:
        return ""
    fields = dict(re.findall(r"\b(JobState|ExitCode|Reason)=(\S+)", text))
    return " ".join(fields.get(name, "") for name in ("JobState", "ExitCode", "Reason"))


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs; those that are over already do not matter."""
    job_ids = sorted(job_ids)
    if job_ids:
        ask("scancel", *job_ids)


def max_array_size() -> int:
    """Most tasks that one array may have."""
    found = re.search(r"MaxArraySize\s*=\s*(\d+)", ask("scontrol", "show", "config"))
    return int(found.group(1)) if found else 1001


def preflight(script: Path, named: Mapping[str, str]) -> None:
    """Let Slurm check a batch script without submitting it; variables of a profile are `named`.

    Raises
    ------
    ClusterError
        If no node could ever run it.
    """
    ask("sbatch", "--test-only", str(script), named=named)
