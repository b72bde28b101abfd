"""Building a planned shard set: decode once, write every rung, go on where an earlier build stopped.

A shard is a pure function of its planned samples. Its record is written when all its files have their names,
so a build that is killed at any moment repeats the shards under way at most, and ends with the same bytes.
"""

from __future__ import annotations

import fcntl
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from mammogan.data import manifest, pool, private
from mammogan.data.manifest import BuiltShard, Count, Manifest, Moments, Plan, PlannedShard, ShardFile
from mammogan.data.plan import tally
from mammogan.data.sample import Made, Task, make
from mammogan.data.tar import ShardWriter
from mammogan.errors import DataError
from mammogan.files import write

Progress = Callable[[int, int], None]


def build(shardset: Path, workers: int | None = None, on_progress: Progress | None = None) -> Manifest:
    """Write the shards of a planned set, and its manifest; what is there already is kept.

    Parameters
    ----------
    workers
        Decoding processes; None for every core, 0 for none. The bytes don't depend on it.
    on_progress
        Called with the images done and the images planned.

    Raises
    ------
    DataError
        If there is no plan, no source, no room on the disk, or if no image at all passes.
    """
    plan = load_plan(shardset)
    if found := find_built(shardset):
        return found
    records = private.create(shardset) / "built" / plan.identity[:16]
    records.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _alone(records):
        for left_over in shardset.glob("*/.*.tmp"):
            left_over.unlink()
        built = _build_shards(shardset, plan, records, workers, on_progress or (lambda done, total: None))
        made = _manifest(shardset, plan, built)
        write(shardset / manifest.MANIFEST, manifest.render(made))
    return made


def find_built(shardset: Path) -> Manifest | None:
    """Read the manifest of a set that is complete; None if anything is still to be built."""
    path = shardset / manifest.MANIFEST
    plan = load_plan(shardset)
    made = manifest.load_record(Manifest, path) if path.exists() else None
    complete = made and made.identity == plan.identity and _all_there(shardset, made.files)
    return made if complete else None


def load_plan(shardset: Path) -> Plan:
    """Read the plan of a set.

    Raises
    ------
    DataError
        If there is none.
    """
    path = shardset / manifest.PLAN
    if not path.exists():
        raise DataError(
            f"'{shardset}' is not a shard set: it has no '{manifest.PLAN}'. "
            f"Make one with: mammogan shards plan {shardset} --from RECIPE=FOLDER"
        )
    return manifest.load_record(Plan, path)


@contextmanager
def _alone(records: Path) -> Iterator[None]:
    with (records / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise DataError(
                f"Another build is writing this set (it holds '{lock.name}'). Wait for it."
            ) from None
        yield


def _build_shards(
    shardset: Path, plan: Plan, records: Path, workers: int | None, on_progress: Progress
) -> list[BuiltShard]:
    paths = {entry.key: entry.path for entry in private.read_entries(shardset) if entry.key}
    missing = [shard for shard in plan.shards if not _is_built(shardset, records / f"{shard.name}.json")]
    tasks = [
        Task(paths[sample.key], sample, plan.recipes[sample.recipe])
        for sample in chain.from_iterable(shard.samples for shard in missing)
    ]
    total = sum(len(shard.samples) for shard in plan.shards)
    done = total - len(tasks)
    on_progress(done, total)

    def counted() -> Generator[Made, None, None]:
        for done_now, made in enumerate(pool.ordered(make, tasks, workers, _crashed), start=done + 1):
            on_progress(done_now, total)
            yield made

    results = counted()
    with closing(results):
        for shard in missing:
            record = _write_shard(shardset, plan, shard, islice(results, len(shard.samples)))
            write(records / f"{shard.name}.json", manifest.render(record))
    return [manifest.load_record(BuiltShard, records / f"{shard.name}.json") for shard in plan.shards]


def _is_built(shardset: Path, record: Path) -> bool:
    return record.exists() and _all_there(shardset, manifest.load_record(BuiltShard, record).files)


def _all_there(shardset: Path, files: Sequence[ShardFile]) -> bool:
    return all(
        (shardset / file.index).exists()
        and (shardset / file.path).exists()
        and (shardset / file.path).stat().st_size == file.bytes
        for file in files
    )


def _crashed(task: Task) -> Made:
    return Made(task.sample, "unreadable", "decoder-crashed")


def _write_shard(shardset: Path, plan: Plan, shard: PlannedShard, results: Iterator[Made]) -> BuiltShard:
    writers: list[ShardWriter] = []
    left: list[Made] = []
    counts: Counter[tuple[str, str, str, str]] = Counter()
    flags: Counter[str] = Counter()
    sums = [(0, 0, 0) for _ in plan.rungs]
    try:
        for made in results:
            if made.outcome != "accepted":
                left.append(made)
                continue
            if not writers:
                writers += [ShardWriter(shardset, h, w, shard.split, shard.name) for h, w in plan.rungs]
            sample = made.sample
            for writer, png, note in zip(writers, made.pngs, made.notes, strict=True):
                writer.add(sample.key, sample.view, png, note)
            counts[plan.recipes[sample.recipe].dataset.name, shard.split, sample.view, sample.vendor] += 1
            flags.update(made.flags)
            sums = [_add(old, new) for old, new in zip(sums, made.power_sums, strict=True)]
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
        counts=tuple(_counts(counts)),
        flags=dict(sorted(flags.items())),
        power_sums=tuple(sums),
    )


def _add(left: tuple[int, int, int], right: tuple[int, int, int]) -> tuple[int, int, int]:
    return left[0] + right[0], left[1] + right[1], left[2] + right[2]


def _counts(counts: Counter[tuple[str, str, str, str]]) -> Iterator[Count]:
    for (recipe, split, view, vendor), images in sorted(counts.items()):
        yield Count(recipe=recipe, split=split, view=view, vendor=vendor, images=images)


def _manifest(shardset: Path, plan: Plan, built: Sequence[BuiltShard]) -> Manifest:
    outcomes = {key: ("refused", reason) for shard in built for key, reason in shard.refused.items()}
    outcomes |= {key: ("unreadable", reason) for shard in built for key, reason in shard.unreadable.items()}
    ledger = []
    for entry in private.read_entries(shardset):
        outcome, reason = outcomes.get(entry.key, (entry.outcome, entry.reason))
        ledger.append(replace(entry, outcome=outcome, reason=reason))
    tallies = tally(plan.recipes, ledger)
    if not any(shard.files for shard in built):
        reasons = Counter(reason for _, reason in outcomes.values())
        found = "; ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
        raise DataError(
            f"None of the {len(outcomes)} planned images passed: {found}. See the recipe's [screening]."
        )
    private.write_entries(private.folder(shardset) / "ledger.jsonl", ledger)
    counts: Counter[tuple[str, str, str, str]] = Counter()
    flags: Counter[str] = Counter()
    for shard in built:
        counts.update({(c.recipe, c.split, c.view, c.vendor): c.images for c in shard.counts})
        flags.update(shard.flags)
    return Manifest(
        identity=plan.identity,
        recipes=tuple(manifest.recipe_record(recipe) for recipe in plan.recipes),
        rungs_px=plan.rungs,
        tallies=tallies,
        counts=tuple(_counts(counts)),
        flags=dict(sorted(flags.items())),
        moments=tuple(_moments(plan, built)),
        files=tuple(file for shard in built for file in shard.files),
    )


def _moments(plan: Plan, built: Sequence[BuiltShard]) -> Iterator[Moments]:
    training = [shard for shard, planned in zip(built, plan.shards, strict=True) if planned.split == "train"]
    for index, (height, width) in enumerate(plan.rungs):
        pixels, total, squares = 0, 0, 0
        for shard in training:
            pixels, total, squares = _add((pixels, total, squares), shard.power_sums[index])
        mean = total / max(pixels, 1) / 65535
        variance = squares / max(pixels, 1) / 65535**2 - mean**2
        yield Moments(
            height_px=height, width_px=width, mean=round(mean, 9), sd=round(max(variance, 0) ** 0.5, 9)
        )
