"""Submitting a run to Slurm: what is done is left out, what is queued is kept, the rest depends on both."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from submitit.core.utils import FailedJobError

from mammogan.cluster import (
    container,
    job,
    sbatch_parameters,
    slurm_commands,
    slurm_environment,
    submission_ledger,
)
from mammogan.cluster.live_jobs import JobFinder
from mammogan.cluster.run_state import LIVE, NodeState, Watcher, whose
from mammogan.cluster.slurm_commands import SlurmSilentError
from mammogan.cluster.submission_plan import plan
from mammogan.config.run_config import Launched
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.run_records import Submission
from mammogan.steps.job_graph import Node

log = logging.getLogger(__name__)


PATIENCE_S, SETTLE_S, TRIES = 180.0, 10.0, 3
"""How long a launch outlasts a silence of Slurm, how long after one it waits for what Slurm took all the
same, and how often a job is submitted whose answer was lost."""


def submit(
    folder: Path, wanted: Sequence[Node], left_out: Collection[tuple[str, int]] = ()
) -> list[Submission]:
    """Submit those of the `wanted` nodes' tasks that are neither done nor queued, after what they need.

    Tasks `left_out`, as (node, task), stay as they are.

    Raises
    ------
    ClusterError
        If Slurm refuses a job, or does not answer for `PATIENCE_S`, or nobody can tell whether another user's
        job still runs. What was submitted before stays, and the next launch goes on from there.
    """
    try:
        with slurm_commands.patient(PATIENCE_S):
            return _submit(folder, wanted, left_out)
    except SlurmSilentError as error:
        raise ClusterError(
            f"Slurm does not answer: {error.words}. What was submitted before is recorded in "
            f"'{RunFolder(folder).ledger}'; what Slurm may have taken without an answer is found and "
            "cancelled by the next launch. Once `scontrol ping` says UP, give the same command again."
        ) from None


def _submit(folder: Path, wanted: Sequence[Node], left_out: Collection[tuple[str, int]]) -> list[Submission]:
    watcher = Watcher(folder)
    slurm_commands.use(watcher.run.site)
    cluster = slurm_commands.config().get("ClusterName", "")
    largest = slurm_commands.max_array_size()
    preflight(watcher.run, folder, wanted)
    _cancel_unknown(watcher)
    states = {state.node.name: state for state in watcher.read(certain=True)}
    submitted: dict[str, list[Submission]] = {}
    for node, tasks, replaced in plan(watcher, wanted, states, left_out):
        slurm_commands.cancel(replaced)
        before = [job_id for need in node.needs for job_id in _awaited(states[need], submitted.get(need, []))]
        dependency = "afterok:" + ":".join(before) if before else ""
        submitted[node.name] = [
            _sbatch(watcher, node, chunk, dependency, cluster) for chunk in _chunks(tasks, largest)
        ]
    return [record for records in submitted.values() for record in records]


def preflight(run: Launched, folder: Path, wanted: Sequence[Node]) -> None:
    """Ask Slurm whether a job of each class could ever run, before any is submitted.

    Raises
    ------
    ClusterError
        If the image is missing, or no node could run the job.
    """
    image = run.site.container.image
    if container.is_file(image) and not Path(image).exists():
        raise ClusterError(
            f"container.image '{image}' of the site '{run.site.site.name}' does not exist: build it "
            "(containers/README.md), or correct the profile."
        )
    for node in {node.resource: node for node in wanted}.values():
        with tempfile.NamedTemporaryFile("w", suffix=".sbatch") as file:
            file.write(sbatch_parameters.batch(run, folder, node, 1))
            file.flush()
            _preflight(run, node, Path(file.name))


def _preflight(run: Launched, node: Node, script: Path) -> None:
    while True:
        try:
            slurm_commands.preflight(script, run.site.environment.variables)
            return
        except SlurmSilentError:
            raise
        except ClusterError as error:
            if not slurm_commands.is_just_back():
                raise ClusterError(
                    f"Slurm could never run a job of [resources.{node.resource}] of the site "
                    f"'{run.site.site.name}': {error}"
                ) from None
        time.sleep(slurm_commands.PAUSE_S)


def _cancel_unknown(watcher: Watcher, patience_s: float = 120.0) -> None:
    """Cancel jobs of a launcher that died, or got no answer, before it could write them down.

    Once it returns they are gone: two jobs of one stage must not write its checkpoints at once.
    """
    folder, names = watcher.folder, [node.name for node in watcher.nodes]
    finder, end = JobFinder(folder, watcher.run.run_id), time.monotonic() + patience_s
    while orphans := finder.orphans(names, submission_ledger.read(folder)):
        unknown = {job.job_id.split("_")[0]: job.user for job in orphans}
        listed = ", ".join(sorted(unknown))
        if time.monotonic() > end:
            raise ClusterError(
                f"Jobs of the run '{folder}' that nobody wrote down don't end: {listed}. "
                "Cancel them with scancel, and launch the run again."
            )
        try:
            slurm_commands.cancel(unknown)
        except SlurmSilentError:
            raise
        except ClusterError as error:
            raise ClusterError(
                f"Jobs of the run '{folder}' that nobody wrote down belong to {whose(unknown.values())}, who "
                f"alone can cancel them: {listed}. Ask for scancel, and launch the run again. ({error})"
            ) from None
        time.sleep(0.5)


def _awaited(state: NodeState, new: Sequence[Submission]) -> Iterator[str]:
    """Name the jobs that hold a needed node's unfinished tasks: new ones, and those that were kept."""
    yield from (record.job_id for record in new)
    renewed = {task for record in new for task in record.tasks}
    yield from (state.jobs[task] for task in state.among(*LIVE) if task not in renewed)


def _chunks(tasks: list[int], largest: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(tasks), largest):
        yield tuple(tasks[start : start + largest])


def _sbatch(
    watcher: Watcher, node: Node, tasks: tuple[int, ...], dependency: str, cluster: str
) -> Submission:
    """Submit one job or array, and record it.

    An answer that was lost says nothing: Slurm may have taken the job. Once Slurm answers again it is looked
    for and cancelled, and submitted anew.
    """
    folder, several = watcher.folder, len(tasks)
    for task in tasks:
        submission_ledger.forget(folder, node.name, task)
    for tried in range(1, TRIES + 1):
        try:
            with slurm_environment.in_force(watcher.run.site.environment.variables):
                jobs = sbatch_parameters.slurm(watcher.run, folder, node, tasks, dependency).map_array(
                    job.main, [str(folder)] * several, [node.name] * several, tasks
                )
            break
        except FailedJobError as error:
            for orphan in RunFolder(folder).logs(node.name).glob("[0-9a-f]" * 32 + ".pkl"):
                orphan.unlink()
            if not slurm_commands.is_silence(str(error)):
                _cancel_unknown(watcher)
                raise ClusterError(f"Slurm refused '{node.name}': {error}") from None
            log.warning("Slurm gave no answer for '%s'; what it took all the same is looked for", node.name)
            slurm_commands.config()  # which waits until it answers
            time.sleep(SETTLE_S)
            _cancel_unknown(watcher)
            if tried == TRIES:
                raise SlurmSilentError(f"sbatch for '{node.name}' got no answer {TRIES} times") from None
    return submission_ledger.append(folder, node.name, jobs[0].job_id.split("_")[0], tasks, "slurm", cluster)
