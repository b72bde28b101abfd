"""Building planned shards: decode once, write every rung, go on where an earlier build stopped.

A shard is a pure function of its planned samples. Its record is written when all its files have their names,
so a build that is killed at any moment repeats the shards under way at most, and ends with the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from itertools import chain, islice
from pathlib import Path

from mammogan.data import process_pool
from mammogan.data.shards import sources
from mammogan.data.shards.build_status import record_path
from mammogan.data.shards.image_worker import Made, Task, make
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.intensity_moments import NOTHING, add
from mammogan.data.store.manifest import BuiltShard, Plan, PlannedShard, Sample, ShardFile
from mammogan.data.store.shard_writer import ShardWriter
from mammogan.errors import DataError
from mammogan.file_lock import LockedError, locked
from mammogan.files import write

Progress = Callable[[int, int], None]


def build_shards(
    shardset: Path,
    task: int = 0,
    tasks: int = 1,
    workers: int | None = None,
    on_progress: Progress | None = None,
) -> None:
    """Write every `tasks`-th planned shard from `task` on; those that are there already are kept.

    Parameters
    ----------
    workers
        Decoding processes; None for every core, 0 for none. Neither they nor `tasks` change the bytes.
    on_progress
        Called with the images done and the images planned.

    Raises
    ------
    DataError
        If there is no plan, no source, or no room on the disk.
    """
    plan = manifest.load_plan(shardset)
    _check_recipes(shardset, plan)
    records = private_folder.create(shardset, "built", plan.identity[:16])
    planned = plan.shards[task::tasks]
    with _alone(records / f"lock-{task}-{tasks}"):
        missing = [shard for shard in planned if not is_built(shardset, plan, shard)]
        total = sum(shard.samples for shard in planned)
        done = total - sum(shard.samples for shard in missing)

        def counted() -> Generator[Made, None, None]:
            todo = chain.from_iterable(_tasks(shardset, shard) for shard in missing)
            for number, made in enumerate(process_pool.ordered(make, todo, workers, _lost), start=done):
                if on_progress:
                    on_progress(number, total)
                yield made
            if on_progress:
                on_progress(total, total)

        with closing(counted()) as results:
            for shard in missing:
                record = _write_shard(shardset, plan, shard, islice(results, shard.samples))
                write(records / f"{shard.name}.json", manifest.render(record), mode=0o600)
            next(results, None)


def _check_recipes(shardset: Path, plan: Plan) -> None:
    """Refuse to build by other recipes than those planned: a planning that began anew may have failed."""
    recipes = sources.load(private_folder.folder(shardset)).recipes
    if plan.recipes not in (recipes, tuple(map(manifest.without_paths, recipes))):
        raise DataError(
            f"A new plan of '{shardset}' was begun and has not ended. End it, or plan as before, with: "
            f"mammogan shards plan {shardset} --again"
        )


def is_built(shardset: Path, plan: Plan, shard: PlannedShard) -> bool:
    """Whether a shard's record is there and its files are what it says, as far as their sizes tell."""
    path = record_path(shardset, plan, shard)
    return path.exists() and all_there(shardset, manifest.load_record(BuiltShard, path).files)


def all_there(shardset: Path, files: Sequence[ShardFile]) -> bool:
    """Whether all these files are there and as long as they were."""
    return all(
        (shardset / file.index).exists()
        and (shardset / file.path).exists()
        and (shardset / file.path).stat().st_size == file.bytes
        for file in files
    )


def planned_lines(shardset: Path, shard: PlannedShard) -> Iterator[private_folder.Line]:
    """Read the planned images of a shard: `path`, `patient`, `sample` and more of each."""
    return private_folder.read_lines(private_folder.folder(shardset) / "plan" / f"{shard.name}.jsonl")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with ExitStack() as stack:
        try:
            stack.enter_context(locked(path, 0o600, take_silent=True))
        except LockedError as error:
            raise DataError(
                f"Another build is writing these shards (it holds '{path}': {error.who}). Wait for it."
                f"{error.way_out}"
            ) from None
        yield


def _tasks(shardset: Path, shard: PlannedShard) -> Iterator[Task]:
    secret = str(private_folder.folder(shardset))
    for line in planned_lines(shardset, shard):
        sample, accepts = Sample.model_validate(line["sample"]), tuple(line.get("accepts", ()))
        yield Task(secret, line["path"], sample, accepts)


def _lost(task: Task, reason: str) -> Made:
    return Made(task.sample, "unreadable", reason)


def _write_shard(shardset: Path, plan: Plan, shard: PlannedShard, results: Iterator[Made]) -> BuiltShard:
    writers: list[ShardWriter] = []
    left: list[Made] = []
    flags: dict[str, tuple[str, ...]] = {}
    pixels: dict[str, str] = {}
    sums = [NOTHING for _ in plan.resolutions]
    try:
        for made in results:
            if made.outcome != "accepted":
                left.append(made)
                continue
            if not writers:
                writers += [ShardWriter(shardset, h, w, shard.split, shard.name) for h, w in plan.resolutions]
            for writer, image, note in zip(writers, made.images, made.notes, strict=True):
                writer.add(made.sample.key, made.sample.labels, image, note)
            flags |= {made.sample.key: made.flags} if made.flags else {}
            pixels[made.sample.key] = made.pixels_sha256
            sums = [add(old, new) for old, new in zip(sums, made.sums, strict=True)]
        files = tuple(writer.close() for writer in writers)
    except BaseException as error:
        for writer in writers:
            writer.abandon(error)
        raise
    return BuiltShard(
        name=shard.name,
        files=files,
        refused={made.sample.key: made.reason for made in left if made.outcome == "refused"},
        unreadable={made.sample.key: made.reason for made in left if made.outcome == "unreadable"},
        flags=flags,
        pixels_sha256=pixels,
        sums=tuple(sums),
        seen={made.sample.key: made.seen for made in left if made.outcome == "refused"},
    )
