"""Checking a built shard set against its manifest, and against its own promises."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.finalise import is_sealed
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.manifest import Manifest, Plan, ShardFile
from mammogan.files import sha256

Progress = Callable[[int, int], None]


def verify(shardset: Path, on_progress: Progress | None = None) -> list[str]:
    """Name everything that is wrong with a built set: one sentence a problem, none if it is sound.

    Every byte is read. Where the private folder is at hand, the manifest's seal and the split by patient are
    checked as well.

    Raises
    ------
    DataError
        If there is no built set, or its plan or manifest can't be read.
    """
    built = ShardSet(shardset)
    plan, made = built.plan, built.manifest
    problems = []
    if manifest.identity(plan.recipes, plan.shards) != made.identity:
        problems.append(f"'{manifest.PLAN}' was changed: it is not the plan that the shards were built from.")
    for done, file in enumerate(made.files, start=1):
        problems += _check(shardset / file.path, file.bytes, file.sha256, file.path)
        problems += _check(shardset / file.index, None, file.index_sha256, file.index)
        if on_progress:
            on_progress(done, len(made.files))
    problems += _foreign(shardset, made)
    problems += _miscounted(made)
    if private_folder.folder(shardset).exists():
        problems += _leaks(shardset, plan)
        if not is_sealed(shardset):
            problems.append(f"'{manifest.MANIFEST}' was changed since the set was built.")
    return problems


def _check(path: Path, size: int | None, digest: str, name: str) -> Iterator[str]:
    if not path.exists():
        yield f"'{name}' is missing."
    elif size is not None and path.stat().st_size < size:
        yield f"'{name}' is cut short: {path.stat().st_size} bytes of {size}."
    elif sha256(path) != digest:
        yield f"'{name}' is damaged: its SHA-256 is not the manifest's."


def _foreign(shardset: Path, made: Manifest) -> Iterator[str]:
    known = {manifest.PLAN, manifest.MANIFEST}
    known |= {name for file in made.files for name in (file.path, file.index)}
    for path in sorted(shardset.rglob("*")):
        name = path.relative_to(shardset).as_posix()
        if path.is_file() and name not in known:
            yield f"'{name}' does not belong to the set."


def _miscounted(made: Manifest) -> Iterator[str]:
    by_rung: dict[tuple[int, int], list[ShardFile]] = defaultdict(list)
    for file in made.files:
        by_rung[file.height_px, file.width_px].append(file)
    for height, width in made.rungs_px:
        images = sum(file.samples for file in by_rung[height, width])
        if images != made.images:
            yield f"The rung {height}x{width} has {images} images, but the manifest counts {made.images}."


def _leaks(shardset: Path, plan: Plan) -> Iterator[str]:
    splits: dict[str, set[str]] = defaultdict(set)
    for shard in plan.shards:
        for line in planned_lines(shardset, shard):
            splits[line["patient"]].add(shard.split)
    for number, found in enumerate(sorted(tuple(sorted(s)) for s in splits.values() if len(s) > 1), start=1):
        yield f"A patient (leak {number}) is in several splits: {', '.join(found)}."
