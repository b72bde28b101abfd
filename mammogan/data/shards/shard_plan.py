"""Planning a shard set from its catalogue: duplicates, split by patient, places in shards.

The catalogue of a million files is sorted on disk, in SQLite, so that memory does not grow with the archive.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from mammogan.config.dataset import Dataset, Splits
from mammogan.data.dicom.file_kinds import NO_IMAGES
from mammogan.data.shards import (
    build_status,
    catalogue_table,
    file_listing,
    header_catalogue,
    remedies,
    sources,
)
from mammogan.data.shards.patient_splits import assign_splits
from mammogan.data.store import manifest, private_folder
from mammogan.data.store.manifest import Plan, PlannedShard, Tally
from mammogan.errors import DataError
from mammogan.file_lock import sqlite_uri
from mammogan.files import replacing_folder, write

Progress = Callable[[int, int], None]
JOINED = "joined.jsonl"
"""In the private folder: women who have several IDs, and the files that tell."""
SAMPLES = """
SELECT path, patient, key, sample, uid, accepts FROM found JOIN patient ON patient = name
WHERE outcome = 'accepted' AND split = ? ORDER BY key
"""


def plan(
    shardset: Path,
    wanted: Sequence[tuple[Dataset, Path]],
    on_progress: Progress | None = None,
    key_file: Path | None = None,
    workers: int | None = None,
) -> Plan:
    """Decide what goes into `shardset` and write it down there; pixels are not read.

    The same files, recipes and key give the same plan, in whatever folder and order the files lie. A planning
    that was stopped goes on where it was, with the files that it had listed.

    Parameters
    ----------
    wanted
        A recipe and a folder (or a file) for each source of images.
    on_progress
        Called with the headers read and to be read.
    key_file
        Secret key to use; without it the set's own, or a new one.
    workers
        Reading processes; None for every core, 0 for none.

    Raises
    ------
    DataError
        If there is no usable mammogram, or if the folder holds shards of another plan.
    ConfigError
        If the recipes don't agree on the rungs and shards to write.
    """
    begin(shardset, wanted, key_file)
    return resume(shardset, on_progress, workers)


def resume(shardset: Path, on_progress: Progress | None = None, workers: int | None = None) -> Plan:
    """Do what is missing of a planning that has begun."""
    if build_status.is_arranged(shardset):
        return manifest.load_plan(shardset)
    file_listing.list_files(shardset)
    header_catalogue.read_headers(shardset, workers=workers, on_progress=on_progress)
    return arrange(shardset, workers)


def begin(shardset: Path, wanted: Sequence[tuple[Dataset, Path]], key_file: Path | None = None) -> None:
    """Write down what a planning starts from; the last one is forgotten, unless it was stopped half way."""
    key = private_folder.secret_key(shardset, key_file) if key_file else None
    if any(shardset.glob("*/*.tar")):
        _keep(shardset, [recipe for recipe, _ in wanted], key)
    of = sources.save(shardset, wanted)
    if key:
        write(of.secret / "key", key.hex() + "\n", mode=0o600)
    if build_status.is_arranged(shardset):
        private_folder.clear(shardset, "arranged", "listing", "catalogue")


def arrange(shardset: Path, workers: int | None = None) -> Plan:
    """Make the plan out of a complete catalogue; only files with one UID are opened again.

    Raises
    ------
    DataError
        If there is no usable mammogram, or if the folder holds shards of another plan.
    """
    of, key = sources.load(private_folder.folder(shardset)), private_folder.secret_key(shardset)
    base = of.secret / "arranging.sqlite"
    base.unlink(missing_ok=True)
    try:
        with closing(sqlite3.connect(sqlite_uri(base), isolation_level=None, uri=True)) as table:
            base.chmod(0o600)
            joined = catalogue_table.fill(table, shardset, key, workers)
            tallies = catalogue_table.tallies(table, of.recipes)
            if not any(tally.accepted for tally in tallies):
                raise DataError(_nothing(shardset, of, tallies))
            assign_splits(table, of.recipes, key)
            private_folder.write_lines(of.secret / JOINED, joined)
            return _write(shardset, of, table, tallies, sum(len(line["patients"]) - 1 for line in joined))
    finally:
        base.unlink(missing_ok=True)


def _keep(shardset: Path, recipes: Sequence[Dataset], key: bytes | None) -> None:
    """Refuse another key or other recipes where shards are: what is missing would be built by them."""
    secret = private_folder.folder(shardset)
    if not (secret / "key").exists() and key is None:
        raise DataError(
            f"'{secret / 'key'}' is missing: it named the images of '{shardset}'. Put the private folder "
            "back beside the set, or give its key by --key."
        )
    other = (secret / "key").exists() and key not in (None, private_folder.secret_key(shardset))
    if (secret / "sources.json").exists():
        other |= sources.load(secret).recipes != tuple(recipes)
    if other:
        raise DataError(_of_another_plan(shardset))


def is_planned(shardset: Path, wanted: Sequence[tuple[Dataset, Path]]) -> bool:
    """Whether the set has a plan of just these sources."""
    folder = private_folder.folder(shardset)
    there = (folder / "sources.json").exists() and build_status.is_arranged(shardset)
    return there and sources.load(folder).digest == sources.digest(wanted)


def _write(
    shardset: Path,
    of: sources.Sources,
    table: sqlite3.Connection,
    tallies: tuple[Tally, ...],
    joined_patients: int,
) -> Plan:
    with replacing_folder(of.secret / "plan") as folder:
        folder.chmod(0o700)
        shards = tuple(_shards(table, folder, of.recipes[0].packing.samples_per_shard))
        recipes = tuple(map(manifest.without_paths, of.recipes))
        made = Plan(
            identity=manifest.identity(recipes, shards),
            recipes=recipes,
            shards=shards,
            tallies=tallies,
            flags=catalogue_table.flags(table),
            lists=tuple(catalogue_table.lists(of, table)),
            joined_patients=joined_patients,
        )
        path = shardset / manifest.PLAN
        if any(shardset.glob("*/*.tar")):
            made = _continued(shardset, of, made)
    private_folder.write_lines(of.secret / "refused.jsonl", catalogue_table.left_out(table))
    if not (shardset / manifest.MANIFEST).exists():
        private_folder.clear(shardset, "ledger.jsonl")  # of an earlier plan, of which nothing passed
    shardset.mkdir(parents=True, exist_ok=True)
    write(path, manifest.render(made))
    write(of.secret / "arranged", of.digest, mode=0o600)  # last: what is marked is whole
    return made


def _continued(shardset: Path, of: sources.Sources, made: Plan) -> Plan:
    """Return the plan of a set that has shards already; a plan of an earlier version names its tables' files.

    Raises
    ------
    DataError
        If it is another plan.
    """
    old = manifest.load_record(Plan, shardset / manifest.PLAN)
    if old.identity == manifest.identity(of.recipes, made.shards):
        return made.model_copy(update={"identity": old.identity, "recipes": old.recipes})
    if old.identity != made.identity:
        raise DataError(_of_another_plan(shardset))
    return made


def _shards(table: sqlite3.Connection, folder: Path, length: int) -> Iterator[PlannedShard]:
    for split in Splits.model_fields:
        rows, number = table.execute(SAMPLES, [split]), 0
        while part := rows.fetchmany(length):
            name = f"{split}-{number:05d}"
            lines = (
                {
                    "path": json.loads(path),
                    "patient": patient,
                    "sample": json.loads(sample),
                    "uid": uid,
                    "accepts": accepts.split(),
                }
                for path, patient, _, sample, uid, accepts in part
            )
            private_folder.write_lines(folder / f"{name}.jsonl", lines)
            # What a list lets pass decides about bytes as the recipe does.
            keys = hashlib.sha256(
                "\n".join(f"{row[2]} {row[5]}".strip() for row in part).encode()
            ).hexdigest()
            yield PlannedShard(name=name, split=split, samples=len(part), sha256=keys)
            number += 1


def _of_another_plan(shardset: Path) -> str:
    return (
        f"'{shardset}' holds shards of another plan (other files, recipes or key). "
        "Give the new set a folder of its own, or remove this one first."
    )


def _nothing(shardset: Path, of: sources.Sources, tallies: Sequence[Tally]) -> str:
    if not (shardset / manifest.PLAN).exists():
        private_folder.clear(shardset, "")
    lines = ["No mammogram to learn from was found; nothing was written."]
    for folder, counts in zip(of.folders, tallies, strict=True):
        reasons = [f"{n} refused: {r}" for r, n in counts.refused.items()]
        reasons += [f"{n} unreadable: {r}" for r, n in counts.unreadable.items() if r not in NO_IMAGES]
        beside = {r: n for r, n in counts.unreadable.items() if r in NO_IMAGES}
        found = "; ".join(reasons) or "the folder holds none"
        files = counts.files - sum(beside.values())
        others = "; beside them " + ", ".join(f"{n} {r}" for r, n in beside.items()) if beside else ""
        lines.append(f"'{folder}' as '{counts.recipe}', {files} files: {found}{others}.")
    lines.append("Is it the right folder, and the right recipe for it?")
    for recipe, folder, counts in zip(of.recipes, of.folders, tallies, strict=True):
        command = remedies.anew(shardset, recipe, folder)
        lines += remedies.naming(counts.refused, recipe, command)
        if changes := remedies.settings([*counts.refused, *counts.unreadable], recipe):
            lines.append(f"To take images that a rule has left out:\n  {command} {remedies.given(changes)}")
    return "\n".join(lines)
