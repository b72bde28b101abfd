"""How far the build of a shard set is, by the records in its private folder.

Whoever watches a build asks all the time, also on a login node: nothing here needs the packages that read
images.
"""

from __future__ import annotations

from pathlib import Path

from mammogan.data.shards import file_listing, sources
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import Plan, PlannedShard


def is_listed(shardset: Path) -> bool:
    """Whether the files of the set's present sources are listed."""
    return file_listing.find_listing(shardset) is not None


def is_read(shardset: Path, task: int, tasks: int) -> bool:
    """Whether the headers of this task, every `tasks`-th part of the listing, are all read."""
    return is_listed(shardset) and all(
        catalogue_path(shardset, number).exists() for number in parts(shardset, task, tasks)
    )


def is_arranged(shardset: Path) -> bool:
    """Whether the plan of the set's present sources is made."""
    path = private_folder.folder(shardset) / "arranged"
    return path.exists() and path.read_text() == sources.load(private_folder.folder(shardset)).digest


def are_built(shardset: Path, plan: Plan, task: int, tasks: int) -> bool:
    """Whether all shards of this task have a record."""
    return all(record_path(shardset, plan, shard).exists() for shard in plan.shards[task::tasks])


def parts(shardset: Path, task: int, tasks: int) -> range:
    """Give the numbers of the parts of the listing whose headers this task reads."""
    whole = file_listing.find_listing(shardset)
    return range(task, whole.parts if whole else 0, tasks)


def catalogue_path(shardset: Path, number: int) -> Path:
    """Where what was read of part `number` lies."""
    return private_folder.folder(shardset) / "catalogue" / f"{number:06d}.jsonl"


def record_path(shardset: Path, plan: Plan, shard: PlannedShard) -> Path:
    """Where the record of a built shard lies."""
    return private_folder.folder(shardset) / "built" / plan.identity[:16] / f"{shard.name}.json"
