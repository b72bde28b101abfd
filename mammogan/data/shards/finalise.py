"""Finishing a set whose shards are all built: what is there twice goes, ledger and manifest are written."""

from __future__ import annotations

import hashlib
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from functools import partial, reduce
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from mammogan.config.dataset import Splits
from mammogan.data.shards.build_shards import all_there, planned_lines
from mammogan.data.shards.build_status import record_path
from mammogan.data.shards.same_woman import Joins
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.intensity_moments import NOTHING, add, moments, power_sums
from mammogan.data.store.manifest import (
    BuiltShard,
    Count,
    Manifest,
    Moments,
    Plan,
    PlannedShard,
    ShardFile,
    Tally,
)
from mammogan.data.store.private_folder import Line
from mammogan.data.store.shard_writer import copy_without, load_index, read_image
from mammogan.errors import DataError
from mammogan.file_lock import sqlite_uri
from mammogan.files import sha256, write

DUPLICATE, ASTRAY = "duplicate-pixels", "same-woman"
TABLES = """
PRAGMA journal_mode = OFF;
CREATE TABLE made (pixels TEXT, key TEXT, shard INT, patient TEXT, split TEXT, gone TEXT);
"""
DUPLICATES = """
UPDATE made SET gone = ? WHERE rowid IN (
  SELECT id FROM (
    SELECT rowid AS id, row_number() OVER (PARTITION BY pixels ORDER BY key) AS place
    FROM made WHERE gone = '')
  WHERE place > 1)
"""
SHARED = """
SELECT pixels, patient FROM made
WHERE pixels IN (SELECT pixels FROM made GROUP BY 1 HAVING min(patient) <> max(patient))
GROUP BY 1, 2 ORDER BY 1, 2
"""
ELSEWHERE = """
UPDATE made SET gone = ? WHERE split <> ? AND patient IN (SELECT patient FROM woman WHERE woman = ?)
"""
SEAL = "manifest.sha256"
"""In the private folder: what the manifest was when it was written."""


def finalise(shardset: Path) -> Manifest:
    """Take out images whose pixels came before or whose woman is in another split; write ledger and manifest.

    Raises
    ------
    DataError
        If a shard is not built, or if no image at all has passed.
    """
    plan = manifest.load_plan(shardset)
    for shard, record in _records(shardset, plan):
        if not all_there(shardset, record.files):
            record_path(shardset, plan, shard).unlink()  # so that the same command makes the shard anew
            raise DataError(
                f"Files of the shard '{shard.name}' of '{shardset}' are gone: build the set again."
            )
    for left_over in shardset.glob("*/.*.tmp"):
        left_over.unlink()
    joined = _take_out(shardset, plan)
    private_folder.write_lines(private_folder.folder(shardset) / "ledger.jsonl", _ledger(shardset, plan))
    made = _manifest(shardset, plan, joined)
    text = manifest.render(made)
    write(private_folder.folder(shardset) / SEAL, hashlib.sha256(text.encode()).hexdigest(), mode=0o600)
    write(shardset / manifest.MANIFEST, text)
    return made


def is_sealed(shardset: Path) -> bool:
    """Whether the manifest is the one that was written; so, too, where the private folder is not at hand."""
    seal = private_folder.folder(shardset) / SEAL
    return not seal.exists() or seal.read_text() == sha256(shardset / manifest.MANIFEST)


def _records(shardset: Path, plan: Plan) -> Iterator[tuple[PlannedShard, BuiltShard]]:
    for shard in plan.shards:
        path = record_path(shardset, plan, shard)
        if not path.exists():
            raise DataError(f"The shard '{shard.name}' of '{shardset}' is not built: build the set again.")
        yield shard, manifest.load_record(BuiltShard, path)


def _take_out(shardset: Path, plan: Plan) -> int:
    """Leave each picture in the set once, and each woman in one split; return the IDs that were joined.

    Of images with the same pixels that of the first key is kept. Women whom no header joins, but a picture,
    stay in the split that has most of their images: the others, which are `astray`, go.
    """
    base = private_folder.folder(shardset) / "pixels.sqlite"
    base.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(sqlite_uri(base), isolation_level=None, uri=True)) as table:
            base.chmod(0o600)
            table.executescript(TABLES)
            table.execute("BEGIN")
            for number, (shard, record) in enumerate(_records(shardset, plan)):
                patients = {line["sample"]["key"]: line["patient"] for line in planned_lines(shardset, shard)}
                rows = (
                    (pixels, key, number, patients[key], shard.split)
                    for key, pixels in record.pixels_sha256.items()
                )
                table.executemany("INSERT INTO made VALUES (?, ?, ?, ?, ?, '')", rows)
            table.execute("CREATE INDEX by_pixels ON made (pixels)")
            table.execute("CREATE INDEX by_patient ON made (patient)")
            joined = _join(table)
            table.execute(DUPLICATES, [DUPLICATE])
            gone: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
            query = "SELECT shard, gone, key FROM made WHERE gone <> '' ORDER BY shard, key"
            for number, reason, key in table.execute(query):
                gone[number][reason].append(key)
    finally:
        base.unlink(missing_ok=True)
    for number, keys in gone.items():
        _rewrite(shardset, plan, plan.shards[number], tuple(keys[DUPLICATE]), tuple(keys[ASTRAY]))
    return joined


def _join(table: sqlite3.Connection) -> int:
    """Mark images of joined women that are in another split than most of theirs."""
    joins = Joins(table.execute(SHARED))
    joins.write(table)
    query = "SELECT woman, split, count(*) FROM made JOIN woman USING (patient) GROUP BY 1, 2 ORDER BY 1"
    for woman, rows in groupby(table.execute(query).fetchall(), key=itemgetter(0)):
        images = {split: count for _, split, count in rows}
        kept = max(Splits.model_fields, key=lambda split: images.get(split, 0))
        table.execute(ELSEWHERE, [ASTRAY, kept, woman])
    return sum(len(patients) - 1 for patients in joins.groups())


def _rewrite(
    shardset: Path, plan: Plan, shard: PlannedShard, duplicates: tuple[str, ...], astray: tuple[str, ...]
) -> None:
    """Write a shard again without some samples; killed half way, it is built anew."""
    path = record_path(shardset, plan, shard)
    record = manifest.load_record(BuiltShard, path)
    if (record.duplicates, record.astray) == (duplicates, astray):
        return
    path.unlink()
    if record.duplicates or record.astray:
        raise DataError(
            f"The shard '{shard.name}' of '{shardset}' was finished by another version: build the set again."
        )
    files, sums = [], []
    keys = (*duplicates, *astray)
    emptied = len(record.pixels_sha256) == len(keys)
    for file, left in zip(record.files, record.sums, strict=True):
        index = load_index(shardset, file)
        images = (read_image(shardset, file, index, index.keys.index(key)) for key in keys)
        gone = [power_sums(image) for image in images if image is not None]
        assert len(gone) == len(keys), f"{file.path} was damaged since it was built"
        sums.append(reduce(partial(add, sign=-1), gone, left))
        if emptied:  # a shard that never had an image has no files either
            for name in (file.path, file.index):
                (shardset / name).unlink()
        else:
            files.append(copy_without(shardset, file, keys))
    changed = {"files": tuple(files), "sums": tuple(sums), "duplicates": duplicates, "astray": astray}
    write(path, manifest.render(record.model_copy(update=changed)), mode=0o600)


def _outcomes(shard: Iterable[Line], record: BuiltShard) -> Iterator[tuple[Line, str, str]]:
    """Give each planned image with its outcome and reason."""
    for line in shard:
        key = line["sample"]["key"]
        if key in record.duplicates or key in record.astray:
            yield line, "refused", DUPLICATE if key in record.duplicates else ASTRAY
        elif key in record.refused:
            yield line, "refused", record.refused[key]
        elif key in record.unreadable:
            yield line, "unreadable", record.unreadable[key]
        else:
            yield line, "accepted", ""


def _ledger(shardset: Path, plan: Plan) -> Iterator[Line]:
    """Say of every file what became of it."""
    yield from private_folder.read_lines(private_folder.folder(shardset) / "refused.jsonl")
    for shard, record in _records(shardset, plan):
        for line, outcome, reason in _outcomes(planned_lines(shardset, shard), record):
            sample = line["sample"]
            value, threshold = record.seen.get(sample["key"], ({}, {}))
            yield {
                "path": line["path"],
                "recipe": sample["recipe"],
                "outcome": outcome,
                "reason": reason,
                "key": sample["key"],
                "uid": line.get("uid", ""),
                "value": value,
                "threshold": threshold,
                "flags": record.flags.get(sample["key"], ()),
            }


def _manifest(shardset: Path, plan: Plan, joined: int) -> Manifest:
    names = [recipe.dataset.name for recipe in plan.recipes]
    counts: Counter[tuple[str, str, str, str]] = Counter()
    left: Counter[tuple[int, str, str]] = Counter()
    flags: Counter[str] = Counter()
    files: list[ShardFile] = []
    sums = [NOTHING for _ in plan.resolutions]
    for shard, record in _records(shardset, plan):
        files += record.files
        for line, outcome, reason in _outcomes(planned_lines(shardset, shard), record):
            sample = line["sample"]
            if outcome == "accepted":
                counts[names[sample["recipe"]], shard.split, sample["view"], sample["vendor"]] += 1
                flags.update(record.flags.get(sample["key"], ()))
            else:
                left[sample["recipe"], outcome, reason] += 1
        if shard.split == "train":
            sums = [add(old, new) for old, new in zip(sums, record.sums, strict=True)]
    if not counts:
        reasons: Counter[str] = Counter()
        for (_, _, reason), n in left.items():
            reasons[reason] += n
        found = "; ".join(f"{n} {reason}" for reason, n in sorted(reasons.items()))
        raise DataError(
            f"None of the {left.total()} planned images passed: {found}. Look at them with: "
            f"mammogan shards show {shardset} --rejects. Then mend the recipe's [screening]."
        )
    return Manifest(
        identity=plan.identity,
        recipes=tuple(manifest.recipe_record(recipe) for recipe in plan.recipes),
        rungs_px=plan.resolutions,
        tallies=tuple(_tally(tally, index, left) for index, tally in enumerate(plan.tallies)),
        counts=tuple(
            Count(recipe=recipe, split=split, view=view, vendor=vendor, images=images)
            for (recipe, split, view, vendor), images in sorted(counts.items())
        ),
        flags=dict(sorted(flags.items())),
        moments=tuple(
            _moments(resolution, sum_) for resolution, sum_ in zip(plan.resolutions, sums, strict=True)
        ),
        files=tuple(files),
        joined_patients=plan.joined_patients + joined,
    )


def _tally(planned: Tally, index: int, left: Counter[tuple[int, str, str]]) -> Tally:
    """Take from a source's accepted files what its pixels or its damage have ruled out since."""
    by_outcome = {"refused": Counter(planned.refused), "unreadable": Counter(planned.unreadable)}
    for (recipe, outcome, reason), n in left.items():
        if recipe == index:
            by_outcome[outcome][reason] += n
    gone = sum(n for (recipe, _, _), n in left.items() if recipe == index)
    return Tally(
        recipe=planned.recipe,
        files=planned.files,
        accepted=planned.accepted - gone,
        **{outcome: dict(sorted(reasons.items())) for outcome, reasons in by_outcome.items()},
    )


def _moments(size_px: tuple[int, int], sums: Sequence[int]) -> Moments:
    mean, sd, skewness, kurtosis = (round(value, 9) for value in moments(sums))
    return Moments(
        height_px=size_px[0],
        width_px=size_px[1],
        mean=mean,
        sd=sd,
        skewness=skewness,
        kurtosis=kurtosis,
    )
