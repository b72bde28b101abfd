"""Building a planned shard set from end to end in this process and its workers."""

from __future__ import annotations

from pathlib import Path

from mammogan.data.shards.build_shards import Progress, all_there, build_shards
from mammogan.data.shards.finalise import finalise
from mammogan.data.store import manifest
from mammogan.data.store.manifest import Manifest, load_plan


def build(shardset: Path, workers: int | None = None, on_progress: Progress | None = None) -> Manifest:
    """Build what is missing of a planned set, in `workers` processes, and finish it.

    Raises
    ------
    DataError
        If there is no plan, no source, or if no image at all passes.
    """
    if found := find_built(shardset):
        return found
    build_shards(shardset, workers=workers, on_progress=on_progress)
    return finalise(shardset)


def find_built(shardset: Path) -> Manifest | None:
    """Read the manifest of a set that is complete; None if anything is still to be built."""
    path = shardset / manifest.MANIFEST
    plan = load_plan(shardset)
    made = manifest.load_record(Manifest, path) if path.exists() else None
    complete = made and made.identity == plan.identity and all_there(shardset, made.files)
    return made if complete else None
