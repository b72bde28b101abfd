"""Checking a built shard set against its manifest, and against its own promises."""

from __future__ import annotations

import json
import sqlite3
import tarfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from mammogan.data.shards.build_shards import planned_lines
from mammogan.data.shards.build_status import record_path
from mammogan.data.shards.finalise import is_sealed
from mammogan.data.shards.same_woman import Joins
from mammogan.data.shards.shard_reader import ShardSet
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.manifest import BuiltShard, Manifest, Plan, ShardFile
from mammogan.data.store.shard_writer import load_index, read_notes
from mammogan.files import sha256

Progress = Callable[[int, int], None]
SHARED = """
SELECT pixels, patient FROM made WHERE pixels IN (
  SELECT pixels FROM made WHERE pixels <> '' GROUP BY 1 HAVING min(patient) <> max(patient))
GROUP BY 1, 2 ORDER BY 1, 2
"""


def verify(shardset: Path, on_progress: Progress | None = None) -> list[str]:
    """Name everything that is wrong with a built set: one sentence a problem, none if it is sound.

    Every byte is read. Where the private folder is at hand, the manifest's seal and the split by patient are
    checked as well: women who have several IDs, but a picture in common, are one patient.

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
    if not problems:  # or the notes could not be read
        problems += _repeated(shardset, made)
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


def _repeated(shardset: Path, made: Manifest) -> Iterator[str]:
    """Compare what the images' own records say of their pixels: no picture may be there twice."""
    lowest = min(made.rungs_px)
    with closing(sqlite3.connect("")) as table:  # a file of its own, which nobody sees
        table.execute("CREATE TABLE noted (pixels TEXT, split TEXT)")
        for file in made.files:
            if (file.height_px, file.width_px) == lowest:
                with tarfile.open(shardset / file.path) as tar:
                    notes = read_notes(tar, load_index(shardset, file), Path(file.path).stem)
                rows = ((json.loads(note)["image_sha256_at_top"], file.split) for note in notes)
                table.executemany("INSERT INTO noted VALUES (?, ?)", rows)
        query = "SELECT count(*), group_concat(split, ', ') FROM noted GROUP BY pixels HAVING count(*) > 1"
        for number, (count, splits) in enumerate(table.execute(query), start=1):
            yield f"A picture (repeat {number}) is {count} times in the set: {splits}."


def _leaks(shardset: Path, plan: Plan) -> Iterator[str]:
    """Look for patients in several splits, those who have a picture in common being one."""
    with closing(sqlite3.connect("")) as table:
        table.execute("CREATE TABLE made (pixels TEXT, patient TEXT, split TEXT, kept INT)")
        for shard in plan.shards:
            path = record_path(shardset, plan, shard)
            record = manifest.load_record(BuiltShard, path) if path.exists() else None
            pixels = record.pixels_sha256 if record else {}
            gone = (
                {*record.duplicates, *record.astray, *record.refused, *record.unreadable} if record else set()
            )
            lines = ((line["sample"]["key"], line["patient"]) for line in planned_lines(shardset, shard))
            rows = ((pixels.get(key, ""), patient, shard.split, key not in gone) for key, patient in lines)
            table.executemany("INSERT INTO made VALUES (?, ?, ?, ?)", rows)
        table.execute("CREATE INDEX by_pixels ON made (pixels)")
        table.execute("CREATE INDEX by_patient ON made (patient)")
        query = "SELECT DISTINCT patient, split FROM made WHERE kept ORDER BY 1"
        for number, found in enumerate(_several(table.execute(query)), start=1):
            yield f"A patient (leak {number}) is in several splits: {found}."
        Joins(table.execute(SHARED)).write(table)
        query = "SELECT DISTINCT woman, split FROM made JOIN woman USING (patient) WHERE kept ORDER BY 1"
        for number, found in enumerate(_several(table.execute(query)), start=1):
            yield (
                f"Patients with the same pixels (join {number}) are in several splits: {found}. They are one "
                "woman: plan and build the set in a new folder."
            )


def _several(rows: Iterable[tuple[str, str]]) -> list[str]:
    """Name the splits of all that are in several."""
    splits = [sorted(split for _, split in alike) for _, alike in groupby(rows, key=itemgetter(0))]
    return sorted(", ".join(found) for found in splits if len(found) > 1)
