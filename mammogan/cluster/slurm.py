"""Slurm's own commands, asked without accounting: squeue, scontrol and scancel, never sacct."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mammogan.config.site import Site
from mammogan.errors import ClusterError


@dataclass(frozen=True)
class Queued:
    """A job, or one task of an array, that Slurm still has in its queue."""

    job_id: str
    state: str
    reason: str
    comment: str


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


def ask(*command: str) -> str:
    """Run a Slurm command and give its output.

    Raises
    ------
    ClusterError
        With Slurm's own words, if the command fails or does not answer within two minutes.
    """
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).strip()
        raise ClusterError(f"`{' '.join(command)}` failed: {words}") from None
    except (FileNotFoundError, subprocess.TimeoutExpired) as error:
        raise ClusterError(f"`{' '.join(command)}` failed: {error}") from None
    return answer.stdout


def queue(comment: str) -> list[Queued]:
    """List one's own jobs that carry `comment`: for a run's jobs, the run's folder."""
    lines = ask("squeue", "-h", "-r", "--me", "-o", "%i|%T|%r|%k").splitlines()
    jobs = [Queued(*line.split("|", 3)) for line in lines]
    return [job for job in jobs if job.comment == comment]


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


def preflight(script: Path) -> None:
    """Let Slurm check a batch script without submitting it.

    Raises
    ------
    ClusterError
        If no node could ever run it.
    """
    ask("sbatch", "--test-only", str(script))
