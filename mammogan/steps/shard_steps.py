"""The steps that make a shard set: list the files, read headers, plan, build shards, finish the set.

Each looks at the set's own records to say whether it is done.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

from mammogan.config.run_config import Launched, Run
from mammogan.errors import DataError, StopRequestedError
from mammogan.steps.job_graph import Node
from mammogan.steps.task import Task


def list_source_files(task: Task, run: Launched) -> list[Path]:
    """List them, on a compute node: an archive may hold a million."""
    from mammogan.data.shards.file_listing import list_files

    list_files(Path(run.shards))
    return []


def read_headers_of_part(task: Task, run: Launched) -> list[Path]:
    """Read every n-th part of the list, n being the number of tasks."""
    from mammogan.data.shards.header_catalogue import read_headers

    read_headers(Path(run.shards), task.number, task.node.tasks, _workers(), partial(_headers_done, task))
    return []


def _headers_done(task: Task, done: int, total: int) -> None:
    """Tell how far it is now and then, and stop where the scheduler asks for it."""
    if done % 1000 == 0 or done == total:
        task.progress(done, total, "headers")
    _stop_if_asked()


def plan_shards(task: Task, run: Launched) -> list[Path]:
    """Sort the catalogue, split it by patient, and write the plan."""
    from mammogan.data.shards.shard_plan import arrange

    arrange(Path(run.shards), _workers())
    return []


def build_part(task: Task, run: Launched) -> list[Path]:
    """Build every n-th shard, n being the number of tasks."""
    from mammogan.data.shards.build_shards import build_shards

    build_shards(Path(run.shards), task.number, task.node.tasks, _workers(), partial(_images_done, task))
    return []


def _images_done(task: Task, done: int, total: int) -> None:
    """Tell how far it is, and stop where the scheduler asks for it."""
    task.progress(done, total)
    _stop_if_asked()


def finish_shards(task: Task, run: Launched) -> list[Path]:
    """Finish the set, and see that it is the one that a training run was launched with."""
    from mammogan.data.shards import enough_images
    from mammogan.data.shards.finalise import finalise
    from mammogan.data.shards.shard_reader import ShardSet

    shards = Path(run.shards)
    made_now = not ShardSet(shards).is_built
    if made_now:
        finalise(shards)
    if isinstance(run, Run):
        plan, made = ShardSet(shards).plan, ShardSet(shards).manifest
        enough_images.check(shards, plan, made)
        if made_now:
            enough_images.check_refused(shards, plan, made)
    if isinstance(run, Run) and ShardSet(shards).identity != run.data_identity:
        raise DataError(
            f"The shard set '{run.shards}' is no longer the one that this run was launched with: plan it "
            "again from the same sources, or launch a new run."
        )
    return []


def _workers() -> int | None:
    """Count the cores that the job was given; None leaves it to what the process may use."""
    return int(os.environ.get("MAMMOGAN_CPUS", "0")) or None


def _stop_if_asked() -> None:
    """Leave before the time limit does it the hard way: the job is queued again and goes on."""
    notice = os.environ.get("MAMMOGAN_STOP_FILE")
    if notice and Path(notice).exists():
        raise StopRequestedError("Time is up; what is built stays, and the job goes on from there.")


def is_done(run: Launched, node: Node, task: int) -> bool:
    """Whether the set's records say that this task has done its work."""
    from mammogan.data.shards import build_status
    from mammogan.data.store import manifest

    shards = Path(run.shards)
    if not isinstance(run, Run):
        if node.step == "list":
            return build_status.is_listed(shards)
        if node.step == "catalogue":
            return build_status.is_read(shards, task, node.tasks)
        if not build_status.is_arranged(shards):
            return False
        if node.step == "plan":
            return True
    plan = manifest.load_plan(shards)
    if isinstance(run, Run) and plan.identity != run.data_identity:
        return False
    recorded = node.step == "shards" and build_status.are_built(shards, plan, task, node.tasks)
    return recorded or manifest.find_manifest(shards, plan) is not None
