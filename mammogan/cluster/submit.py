"""Submitting a run to Slurm: what is done is left out, what is queued is kept, the rest depends on both."""

from __future__ import annotations

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
from mammogan.cluster.run_state import LIVE, NodeState, Watcher
from mammogan.config.run_config import Launched
from mammogan.errors import ClusterError
from mammogan.run_folder import RunFolder
from mammogan.run_records import Submission
from mammogan.steps.job_graph import Node


def submit(
    folder: Path, wanted: Sequence[Node], left_out: Collection[tuple[str, int]] = ()
) -> list[Submission]:
    """Submit those of the `wanted` nodes' tasks that are neither done nor queued, after what they need.

    Tasks `left_out`, as (node, task), stay as they are.

    Raises
    ------
    ClusterError
        If Slurm refuses a job. What was submitted before stays, and the next launch goes on from there.
    """
    watcher = Watcher(folder)
    slurm_commands.use(watcher.run.site)
    preflight(watcher.run, folder, wanted)
    _cancel_unknown(folder)
    states = {state.node.name: state for state in watcher.read()}
    largest = slurm_commands.max_array_size()
    submitted: dict[str, list[Submission]] = {}
    for node in wanted:
        state = states[node.name]
        kept = set(state.among(*LIVE))
        if any(
            need in submitted for need in node.needs
        ):  # it waits for a job that has failed: it never starts
            waits = state.among("queued")
            slurm_commands.cancel(state.jobs[task] for task in waits)
            kept -= set(waits)
        kept |= {task for task in range(node.tasks) if (node.name, task) in left_out}
        tasks = [task for task in range(node.tasks) if task not in kept and state.tasks[task] != "done"]
        if not tasks:
            continue
        before = [job_id for need in node.needs for job_id in _awaited(states[need], submitted.get(need, []))]
        dependency = "afterok:" + ":".join(before) if before else ""
        submitted[node.name] = [
            _sbatch(watcher.run, folder, node, chunk, dependency) for chunk in _chunks(tasks, largest)
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
            try:
                slurm_commands.preflight(Path(file.name), run.site.environment.variables)
            except ClusterError as error:
                raise ClusterError(
                    f"Slurm could never run a job of [resources.{node.resource}] of the site "
                    f"'{run.site.site.name}': {error}"
                ) from None


def _cancel_unknown(folder: Path, patience_s: float = 120.0) -> None:
    """Cancel jobs of a launcher that died between submitting them and writing that down.

    Once it returns they are gone: two jobs of one stage must not write its checkpoints at once.
    """
    known, end = {record.job_id for record in submission_ledger.read(folder)}, time.monotonic() + patience_s
    while unknown := {queued.job_id.split("_")[0] for queued in slurm_commands.queue(str(folder))} - known:
        if time.monotonic() > end:
            raise ClusterError(
                f"Jobs of the run '{folder}' that nobody wrote down don't end: {', '.join(sorted(unknown))}. "
                "Cancel them with scancel, and launch the run again."
            )
        slurm_commands.cancel(unknown)
        time.sleep(0.5)


def _awaited(state: NodeState, new: Sequence[Submission]) -> Iterator[str]:
    """Name the jobs that hold a needed node's unfinished tasks: new ones, and those that were kept."""
    yield from (record.job_id for record in new)
    renewed = {task for record in new for task in record.tasks}
    yield from (state.jobs[task] for task in state.among(*LIVE) if task not in renewed)


def _chunks(tasks: list[int], largest: int) -> Iterator[tuple[int, ...]]:
    for start in range(0, len(tasks), largest):
        yield tuple(tasks[start : start + largest])


def _sbatch(run: Launched, folder: Path, node: Node, tasks: tuple[int, ...], dependency: str) -> Submission:
    for task in tasks:
        submission_ledger.forget(folder, node.name, task)
    several = len(tasks)
    try:
        with slurm_environment.in_force(run.site.environment.variables):
            jobs = sbatch_parameters.slurm(run, folder, node, tasks, dependency).map_array(
                job.main, [str(folder)] * several, [node.name] * several, tasks
            )
    except FailedJobError as error:
        for orphan in RunFolder(folder).logs(node.name).glob("[0-9a-f]" * 32 + ".pkl"):
            orphan.unlink()
        raise ClusterError(f"Slurm refused '{node.name}': {error}") from None
    return submission_ledger.append(folder, node.name, jobs[0].job_id.split("_")[0], tasks, "slurm")
