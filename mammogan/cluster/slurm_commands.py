"""Slurm's own commands, and whether it answers them at all."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mammogan.cluster import slurm_environment
from mammogan.cluster.job_words import ENDED
from mammogan.config.site import Site
from mammogan.errors import ClusterError

log = logging.getLogger(__name__)

ANSWER_S, PAUSE_S = 30.0, 5.0
"""How long a question about jobs may take, and how long one waits before it is asked again."""
LATE_S, BACK_S = 10.0, 60.0
"""What answer was late, and how long nodes may need to register with a controller that was started anew."""
IDS_AT_ONCE = 400
SILENCE = re.compile(
    "unable to contact slurm|socket timed out|connection (refused|timed out|reset)|connect failure"
    "|zero bytes were transmitted|standby mode|no route to host|network is unreachable"
    "|communication (connection|shutdown|receive|send) failure|message (receive|send) failure"
    "|(establish|obtain|fetch) .*(configuration source|config)|temporarily un(able|available)|munge",
    re.IGNORECASE,
)
"""What Slurm's commands say when the controller, or the way to it, is away: it may be back in a minute."""


class SlurmSilentError(ClusterError):
    """Slurm does not answer, which says nothing about any job; `words` are why."""

    def __init__(self, words: str) -> None:
        self.words = words
        super().__init__(f"Slurm does not answer: {words}. Try again once `scontrol ping` says UP.")


@dataclass(frozen=True)
class Queued:
    """A job, or one task of an array, as squeue shows it; `start` is when it began or may begin.

    `command` is the path of the batch script, "(null)" if it was piped in.
    """

    job_id: str
    state: str
    reason: str
    start: str
    comment: str
    user: str = ""
    name: str = ""
    command: str = ""


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


_patience_s: ContextVar[float] = ContextVar("patience_s", default=0.0)
_back: ContextVar[float] = ContextVar("back", default=float("-inf"))


@contextmanager
def patient(seconds: float) -> Iterator[None]:
    """Let every question of the block outlast so long a silence of Slurm; a warning says that it waits."""
    token = _patience_s.set(seconds)
    try:
        yield
    finally:
        _patience_s.reset(token)


def ask(*command: str, answer_s: float = 120.0, named: Mapping[str, str] | None = None) -> str:
    """Run a Slurm command in a clean environment, with the variables `named` in it, and give its output.

    Raises
    ------
    SlurmSilentError
        If its controller does not answer, within `answer_s` seconds for one.
    ClusterError
        With Slurm's own words, if the command fails.
    """
    began, since, waits = time.monotonic(), datetime.now(), False
    while True:
        asked = time.monotonic()
        try:
            answer = _answer(command, answer_s, named)
        except SlurmSilentError as error:
            if time.monotonic() - began + PAUSE_S > _patience_s.get():
                raise
            if not waits:
                at = f"{since:%H:%M:%S}"
                log.warning("Slurm does not answer since %s; waiting for it (%s)", at, error.words)
            waits = True
            time.sleep(PAUSE_S)
        except ClusterError:
            _note_return(waits, asked)
            raise
        else:
            _note_return(waits, asked)
            return answer


def _note_return(waited: bool, asked: float) -> None:
    """Remember that Slurm is back: it was `waited` for, or its commands have waited for it themselves."""
    if waited:
        log.warning("Slurm answers again.")
    if waited or time.monotonic() - asked > LATE_S:
        _back.set(time.monotonic())


def is_just_back() -> bool:
    """Tell whether Slurm was waited for until a moment ago: its nodes may not be back yet."""
    return time.monotonic() - _back.get() < BACK_S


def is_silence(words: str) -> bool:
    """Tell whether Slurm's words mean that it could not be asked, rather than that it refuses."""
    return SILENCE.search(words) is not None


def _answer(command: tuple[str, ...], answer_s: float, named: Mapping[str, str] | None) -> str:
    shown = f"`{' '.join(command)[:200]}`"
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=answer_s, check=True,
            env=slurm_environment.clean(os.environ, named),
        )  # fmt: skip
    except subprocess.CalledProcessError as error:
        words = (error.stderr or error.stdout).strip()
        kind = SlurmSilentError if is_silence(words) else ClusterError
        raise kind(f"{shown} failed: {words}") from None
    except subprocess.TimeoutExpired:
        raise SlurmSilentError(f"{shown} gave no answer within {answer_s:.0f} s") from None
    except FileNotFoundError as error:
        raise ClusterError(f"{shown} failed: {error}") from None
    return answer.stdout


def job_name(run_id: str, node: str) -> str:
    """Name the job of a run's node, as Slurm shows it."""
    return f"mammogan-{run_id}-{node}"


def queue(folder: str) -> list[Queued]:
    """List one's own jobs in the queue that belong to the run in `folder`, by comment or batch script."""
    return [job for job in of_users([str(os.geteuid())]) if belongs(job, folder)]


def belongs(job: Queued, folder: str) -> bool:
    """Tell whether a job shows to be of the run in `folder`, whatever a site has made of its comment."""
    return job.comment == folder or job.command.startswith(f"{folder}/logs/")


def of_users(users: Iterable[str]) -> list[Queued]:
    """List the jobs of users, by name or number, that are in the queue."""
    return _parsed(_squeue(("-u", ",".join(users), "-o", _FORMAT)))


def by_id(job_ids: Iterable[str]) -> list[Queued]:
    """List jobs by the ids of jobs and arrays, whoever they belong to, and each task of an array.

    What is over and forgotten, or hidden from this user, is left out.
    """
    options = ("-t", "all", "-o", _FORMAT)
    return [job for ids in chunks(job_ids) for job in _parsed(_squeue_ids(ids, options))]


_FORMAT = "%i|%T|%r|%S|%u|%j|%o|%k"  # the comment, which may hold anything, is the last


def _squeue(options: tuple[str, ...]) -> list[str]:
    return ask("squeue", "-h", "-a", "-r", *options, answer_s=ANSWER_S).splitlines()


def _squeue_ids(ids: list[str], options: tuple[str, ...]) -> list[str]:
    """Ask for jobs by id: squeue fails if it is asked for a single one that it does not know."""
    try:
        return _squeue(("-j", ",".join(ids), *options))
    except SlurmSilentError:
        raise
    except ClusterError as error:
        if "invalid job id" not in str(error).lower():
            raise
    return [line for job_id in ids for line in _squeue_ids([job_id], options)] if len(ids) > 1 else []


def _parsed(lines: Iterable[str]) -> list[Queued]:
    fields = (line.split("|", 7) for line in lines)
    return [
        Queued(job_id, state, reason, start, comment, user, name, command)
        for job_id, state, reason, start, user, name, command, comment in (f for f in fields if len(f) == 8)
        if state not in ENDED
    ]


def chunks(job_ids: Iterable[str]) -> Iterator[list[str]]:
    """Put ids in order, and as many together as one command may name."""
    ids = sorted(set(job_ids), key=lambda job_id: (len(job_id), job_id))
    for first in range(0, len(ids), IDS_AT_ONCE):
        yield ids[first : first + IDS_AT_ONCE]


def restarts(job_ids: Iterable[str]) -> dict[str, int]:
    """Tell how often Slurm has started each of these jobs again that are in the queue."""
    options = ("-O", "JobArrayID:64,RestartCnt:16")
    lines = (line.split() for ids in chunks(job_ids) for line in _squeue_ids(ids, options))
    return {words[0]: int(words[1]) for words in lines if len(words) == 2 and words[1].isdigit()}


def outcome(job_id: str) -> str:
    """Say how a job ended, as ``FAILED 1:0 NonZeroExitCode``; empty once Slurm has forgotten it.

    Raises
    ------
    SlurmSilentError
        If Slurm does not answer.
    """
    try:
        text = ask("scontrol", "-o", "show", "job", job_id, answer_s=ANSWER_S)
    except SlurmSilentError:
        raise
    except ClusterError:
        return ""
    fields = dict(re.findall(r"\b(JobState|ExitCode|Reason)=(\S+)", text))
    return " ".join(fields.get(name, "") for name in ("JobState", "ExitCode", "Reason"))


def cancel(job_ids: Iterable[str]) -> None:
    """Cancel jobs; those that are over already do not matter."""
    job_ids = sorted(job_ids)
    if not job_ids:
        return
    try:
        ask("scancel", *job_ids)
    except SlurmSilentError:
        raise
    except ClusterError as error:
        words = str(error).partition(" failed: ")[2].lower().splitlines()
        if not words or not all("invalid job id" in line or "already" in line for line in words):
            raise


def config(answer_s: float = ANSWER_S) -> dict[str, str]:
    """Read Slurm's configuration, as ``ClusterName`` and ``PrivateData``, given within `answer_s` seconds."""
    lines = ask("scontrol", "show", "config", answer_s=answer_s).splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, _, value in pairs if value}


def max_array_size() -> int:
    """Most tasks that one array may have."""
    size = config().get("MaxArraySize", "")
    return int(size) if size.isdigit() else 1001


def preflight(script: Path, named: Mapping[str, str]) -> None:
    """Let Slurm check a batch script without submitting it; variables of a profile are `named`.

    Raises
    ------
    ClusterError
        If no node could ever run it.
    """
    ask("sbatch", "--test-only", str(script), named=named)
