"""The catalogue of all files as one table on disk, in SQLite: which copies go, what became of every file."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from mammogan.config.dataset import Dataset
from mammogan.data.shards import header_catalogue, image_lists, same_woman, sources
from mammogan.data.store import private_folder
from mammogan.data.store.manifest import Listed, Tally
from mammogan.data.store.private_folder import Line

UNMATCHED = "unmatched.jsonl"
"""In the private folder: entries of lists that name no file."""

TABLES = """
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
CREATE TABLE found (
  path TEXT, recipe INT, outcome TEXT, reason TEXT, key TEXT, uid TEXT, patient TEXT, pixels TEXT,
  fingerprint TEXT, sample TEXT, seen TEXT, accepts TEXT, content TEXT DEFAULT '', broken INT DEFAULT 0);
CREATE TABLE listed (recipe INT, list TEXT, value TEXT, PRIMARY KEY (recipe, list, value)) WITHOUT ROWID;
CREATE TABLE entry (recipe INT, list TEXT, value TEXT, PRIMARY KEY (recipe, list, value)) WITHOUT ROWID;
CREATE TABLE patient (name TEXT PRIMARY KEY, rank TEXT, split TEXT) WITHOUT ROWID;
"""
COLUMNS = (
    "path", "recipe", "outcome", "reason", "key", "uid", "patient", "pixels", "fingerprint", "sample", "seen",
    "accepts",
)  # fmt: skip
INSERT = """
INSERT INTO found
  (path, recipe, outcome, reason, key, uid, patient, pixels, fingerprint, sample, seen, accepts)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
LEFT_OUT = """
SELECT path, recipe, outcome, reason, key, uid, seen FROM found WHERE outcome <> 'accepted' ORDER BY path
"""
INDEXES = """
CREATE INDEX by_key ON found (key);
CREATE INDEX by_pixels ON found (pixels);
CREATE INDEX by_patient ON found (patient);
"""
# Of files with one picture the same one is kept wherever they lie, unless nothing tells them apart.
DUPLICATES = """
UPDATE found SET outcome = 'refused', reason = 'duplicate' WHERE rowid IN (
  SELECT id FROM (
    SELECT rowid AS id,
      row_number() OVER (PARTITION BY key, content ORDER BY broken, fingerprint, path) AS place
    FROM found WHERE outcome = 'accepted')
  WHERE place > 1)
"""
MATCHED = """
SELECT count(*), count(listed.value) FROM entry LEFT JOIN listed USING (recipe, list, value)
WHERE recipe = ? AND list = ?
"""
FLAGGED = """
SELECT sample FROM found WHERE outcome = 'accepted' AND sample NOT LIKE '%"flags": []%'
"""


def fill(table: sqlite3.Connection, shardset: Path, secret_key: bytes, workers: int | None) -> list[Line]:
    """Read the catalogue into `table`, of each picture one file, of each woman one patient.

    Returns
    -------
    list
        A line for each woman who has several IDs; see `same_woman.join_patients`.
    """
    table.executescript(TABLES)
    table.execute("BEGIN")
    table.executemany(INSERT, _rows(shardset, table))
    for statement in INDEXES.strip().splitlines():
        table.execute(statement)  # a script would end the transaction
    same_woman.tell_apart(table, private_folder.folder(shardset), workers)
    joined = same_woman.join_patients(table)
    table.execute(DUPLICATES)
    same_woman.rename_reused(table, secret_key)
    return joined


def _rows(shardset: Path, table: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Give the rows of the table `found`; entries of lists that name a file go into one of their own."""
    for found in header_catalogue.entries(shardset):
        if named := found.get("listed"):
            table.executemany(
                "INSERT OR IGNORE INTO listed VALUES (?, ?, ?)",
                ((found["recipe"], *entry) for entry in named),
            )
        sample, seen = found["sample"], [found.get("value", {}), found.get("threshold", {})]
        # A catalogue of an earlier version has fewer facts. A path need not be valid text: JSON is ASCII.
        row = {name: "" for name in COLUMNS} | found | {"path": json.dumps(found["path"])}
        row["key"] = row["key"] or (sample["key"] if sample else "")
        row["sample"], row["seen"] = json.dumps(sample) if sample else "", json.dumps(seen)
        row["accepts"] = " ".join(row["accepts"])
        row["uid"] = row["uid"].encode(errors="replace").decode()
        yield tuple(row[name] for name in COLUMNS)


def tallies(table: sqlite3.Connection, recipes: Sequence[Dataset]) -> tuple[Tally, ...]:
    """Count what became of the files of each source."""
    query = "SELECT outcome, reason, count(*) FROM found WHERE recipe = ? GROUP BY 1, 2 ORDER BY 1, 2"
    made = []
    for index, recipe in enumerate(recipes):
        rows = table.execute(query, [index]).fetchall()
        by_outcome = {
            wanted: {reason: n for outcome, reason, n in rows if outcome == wanted}
            for wanted in ("accepted", "refused", "unreadable")
        }
        made.append(
            Tally(
                recipe=recipe.dataset.name,
                files=sum(n for _, _, n in rows),
                accepted=by_outcome["accepted"].get("", 0),
                refused=by_outcome["refused"],
                unreadable=by_outcome["unreadable"],
            )
        )
    return tuple(made)


def flags(table: sqlite3.Connection) -> dict[str, int]:
    """Count the flags of accepted images."""
    samples = (json.loads(sample) for (sample,) in table.execute(FLAGGED))
    return dict(sorted(Counter(flag for sample in samples for flag in sample["flags"]).items()))


def left_out(table: sqlite3.Connection) -> Iterator[Line]:
    """Give the lines of the ledger for all files that were not accepted."""
    names = ("path", "recipe", "outcome", "reason", "key", "uid", "seen")
    for row in table.execute(LEFT_OUT):
        line = dict(zip(names, row, strict=True))
        value, threshold = json.loads(line.pop("seen"))
        yield {**line, "path": json.loads(line["path"]), "value": value, "threshold": threshold}


def lists(of: sources.Sources, table: sqlite3.Connection) -> Iterator[Listed]:
    """Count the entries of each list that name a file; those that name none stand in the private folder."""
    for index, (recipe, folder) in enumerate(zip(of.recipes, of.folders, strict=True)):
        entries = image_lists.entries(recipe.source, folder if folder.is_dir() else folder.parent)
        rows = ((index, name, value) for name, value, _ in entries)
        table.executemany("INSERT OR IGNORE INTO entry VALUES (?, ?, ?)", rows)
        for name in image_lists.LISTS:
            if getattr(recipe.source, name):
                count, matched = table.execute(MATCHED, [index, name]).fetchone()
                yield Listed(recipe=recipe.dataset.name, name=name, entries=count, matched=matched)
    names = ("recipe", "list", "entry")
    left = table.execute("SELECT * FROM entry EXCEPT SELECT * FROM listed ORDER BY 1, 2, 3")
    lines = (dict(zip(names, row, strict=True)) for row in left)
    private_folder.write_lines(of.secret / UNMATCHED, lines)
