"""What a node sees: one small script that answers in lines, run by a job a partition, or here."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import mammogan
from mammogan.cluster import sbatch_parameters, slurm_commands
from mammogan.cluster.doctor.probe_script import ANSWER, LOCK, PING, PONG, READ, TOKEN, script
from mammogan.cluster.doctor.slurm_facts import words
from mammogan.config.run_config import shard_build
from mammogan.config.site import Resources, Site
from mammogan.errors import ClusterError
from mammogan.file_lock import locked, missing_locks
from mammogan.steps.job_graph import graph

LIMIT_MIN = 10
"""Time limit of a probe job: it needs seconds, or a minute where a shared disk is slow to give torch."""

_LIVE = ("PENDING", "CONFIGURING", "RUNNING", "COMPLETING", "SUSPENDED", "REQUEUED")


@dataclass(frozen=True)
class Probe:
    """The answers from one node, by question; or why there are none.

    Attributes
    ----------
    place : str
        The node in words, as ``a node of partition 'gpu'``.
    classes : tuple of str
        Keys of the resource classes that it stands for.
    """

    place: str
    classes: tuple[str, ...]
    answers: dict[str, str] = field(default_factory=dict)
    failure: str = ""
    died: bool = False
    """Whether the job ran and nothing came back, which is not for want of a place in the queue."""


def this_machine(site: Site) -> Probe:
    """Run the script on this machine, as the scheduler ``local`` would run a job."""
    place, classes = "this machine", tuple(f"resources.{name}" for name in Resources.model_fields)
    cuda = any(site.resources.of(name).device == "cuda" for name in Resources.model_fields)
    with _exchange(site) as folders:
        text = script(site, _python(site), folders, cuda)
        _answer_pings([folders], at_once=True)
        try:
            command = ["bash", "-c", text]
            subprocess.run(command, capture_output=True, timeout=LIMIT_MIN * 60, check=False)
        except subprocess.TimeoutExpired:
            return Probe(place, classes, failure=f"the probe did not end within {LIMIT_MIN} min", died=True)
        answers = _read(folders)
    return (
        Probe(place, classes, answers) if answers else Probe(place, classes, failure="no answer", died=True)
    )


def in_jobs(site: Site, patience_s: float) -> tuple[Probe, ...]:
    """Submit one job a partition, all at once, and wait for their answers.

    sbatch --wait would look at a job every ten seconds, and leave it in the queue when it is interrupted.
    """
    with _all_exchanges(site, _partitions(site)) as exchanges:
        waiting: dict[tuple[str, ...], str] = {}
        probes: dict[tuple[str, ...], Probe] = {}
        try:
            for classes, folders in exchanges.items():
                try:
                    waiting[classes] = _submit(site, classes, folders)
                except ClusterError as error:
                    probes[classes] = Probe(
                        _place(site, classes), classes, failure=f"sbatch refuses its job: {words(error)}"
                    )
            end = time.monotonic() + patience_s
            for classes, job_id in waiting.items():
                probes[classes] = _await(site, classes, job_id, exchanges, end)
        finally:
            with suppress(ClusterError):
                slurm_commands.cancel(
                    job for classes, job in waiting.items() if not _came(probes.get(classes))
                )
    return tuple(probes[classes] for classes in exchanges)


def _came(probe: Probe | None) -> bool:
    return probe is not None and not probe.failure


def _partitions(site: Site) -> list[tuple[str, ...]]:
    """Put the classes together that share a partition."""
    groups: dict[str, list[str]] = {}
    for name in Resources.model_fields:
        groups.setdefault(site.resources.of(name).partition, []).append(f"resources.{name}")
    return [tuple(group) for group in groups.values()]


def _place(site: Site, classes: Sequence[str]) -> str:
    partition = site.resources.of(classes[0].partition(".")[2]).partition
    return f"partition '{partition}'" if partition else "the default partition"


def _submit(site: Site, classes: Sequence[str], folders: Sequence[Path]) -> str:
    resources = [site.resources.of(key.partition(".")[2]) for key in classes]
    first, cuda = resources[0], any(resource.device == "cuda" for resource in resources)
    memory = [resource.mem_gb for resource in resources if resource.mem_gb]
    options = {
        "partition": first.partition,
        "account": first.account,
        "qos": first.qos,
        "gpus-per-node": "1" if any(resource.gpus_per_node for resource in resources) else "",
        "mem": f"{min(4, *memory) * 1024:.0f}M" if memory else "",
        "time": str(LIMIT_MIN),
        "comment": "mammogan doctor",
        "job-name": "mammogan-doctor",
        "output": os.devnull,  # where this could be written is what the probe is to find out
    }
    with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as file:
        file.write(script(site, _python(site), folders, cuda))
        file.flush()
        words = [f"--{name}={value}" for name, value in options.items() if value]
        return slurm_commands.ask("sbatch", "--parsable", *words, file.name).strip().split(";")[0]


def _await(
    site: Site,
    classes: tuple[str, ...],
    job_id: str,
    exchanges: Mapping[tuple[str, ...], Sequence[Path]],
    end: float,
) -> Probe:
    place, folders = _place(site, classes), exchanges[classes]
    grace = None  # a shared disk may show a file some seconds after the job that wrote it has ended
    while True:
        _answer_pings(exchanges.values())
        if answers := _read(folders):
            grace = grace or time.monotonic() + 5
            if f"back.{folders[0].parent}" in answers or time.monotonic() > grace:
                return Probe(f"'{answers.get('node', '')}' ({place})", classes, answers)
            time.sleep(0.3)
            continue
        try:
            state = slurm_commands.outcome(job_id)
        except slurm_commands.SlurmSilentError as error:
            state = f"PENDING Slurm does not answer: {error}"
        if not state or not state.startswith(_LIVE):
            grace = grace or time.monotonic() + 10
            if time.monotonic() > grace:
                seen = " nor in ".join(f"'{folder.parent}'" for folder in folders)
                why = f"probe job {job_id} ended ({state or 'forgotten'}), and left no answer in {seen}"
                return Probe(place, classes, failure=why, died=True)
        elif time.monotonic() > end:
            why = f"probe job {job_id} was still waiting ({state.split()[-1]}), and was cancelled: try later"
            return Probe(place, classes, failure=why)
        time.sleep(0.3)


def _python(site: Site) -> str:
    """Command that starts a job's Python: the very one of batch scripts, with /tmp for run and shards."""
    folder = Path(tempfile.gettempdir())
    build = shard_build(folder / "shards", 1, site, mammogan.__version__)  # what is bound is its parent
    return sbatch_parameters.python(build, folder, graph(build)[0])


@contextmanager
def _all_exchanges(
    site: Site, groups: Sequence[tuple[str, ...]]
) -> Iterator[dict[tuple[str, ...], tuple[Path, ...]]]:
    with ExitStack() as stack:
        yield {group: stack.enter_context(_exchange(site)) for group in groups}


@contextmanager
def _exchange(site: Site) -> Iterator[tuple[Path, ...]]:
    """Make folders in which a node may leave its answer: `storage.permanent` first, here, and at home.

    Each holds a token, which tells whether the node reads what was written here, and a lock that is held.
    """
    folders: list[Path] = []
    locks = ExitStack()
    try:
        for root in (
            Path(site.storage.permanent) if site.storage.permanent else None,
            Path.cwd(),
            Path.home(),
        ):
            try:
                if root is None:
                    continue
                folders.append(Path(tempfile.mkdtemp(prefix=".mammogan-doctor-", dir=root)))
                (folders[-1] / TOKEN).write_text(READ)
                if not missing_locks(folders[-1]):
                    locks.enter_context(locked(folders[-1] / LOCK))
            except OSError:
                continue
        yield tuple(folders)
    finally:
        locks.close()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _answer_pings(exchanges: Iterable[Sequence[Path]], at_once: bool = False) -> None:
    """Answer what nodes have written into the first of their folders, or before they do."""
    for folders in exchanges:
        for folder in folders[:1]:
            if at_once or ((folder / PING).exists() and not (folder / PONG).exists()):
                (folder / PONG).touch()


def _read(folders: Sequence[Path]) -> dict[str, str]:
    """Read the answers from wherever the node could leave them, and note where that was."""
    answers: dict[str, str] = {}
    for folder in folders:
        path = folder / ANSWER
        if path.is_file():
            for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
                question, _, answer = line.partition(" ")
                answers[question] = answer.strip()
            answers[f"back.{folder.parent}"] = "yes"
    for number, folder in enumerate(folders):
        for question in ("read", "lock"):
            if f"{question}.{number}" in answers:
                answers[f"{question}.{folder.parent}"] = answers.pop(f"{question}.{number}")
    return answers
