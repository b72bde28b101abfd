"""Files that belong together whatever their headers say: of one woman, and of one UID.

A woman who was anonymised or registered twice has two IDs and would be in two splits: identical pixels tell.
One SOP Instance UID stands for one picture (PS3.5, 9): where devices and anonymisers give it to several, each
is an image of its own.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from mammogan.data import process_pool
from mammogan.data.dicom.decode import decode
from mammogan.data.dicom.header import UnreadableError, hushed
from mammogan.data.shards import pixel_bytes, sources
from mammogan.data.store.private_folder import Line, pseudonym
from mammogan.errors import DataError

REUSED = "uid-reused"
"""Flag of an image whose SOP Instance UID another picture has, too."""
NOT_HERS = frozenset(
    {
        "modality", "no-pixel-data", "synthetic-data", "quality-control", "phantom-or-qc",
        "secondary-capture", "sop-class", "colour", "patient-unknown", "include-list", "not-in-table",
    }
)  # fmt: skip
"""Refused for these, a picture says nothing about whose the other images under its ID are."""
SHARED_PIXELS = """
SELECT pixels, patient FROM found WHERE patient <> '' AND pixels IN (
  SELECT pixels FROM found WHERE pixels <> '' AND patient <> '' GROUP BY 1
  HAVING min(patient) <> max(patient))
GROUP BY 1, 2 ORDER BY 1, 2
"""
SHARED_CONTENT = SHARED_PIXELS.replace("pixels", "content")
TELLING = """
SELECT woman, path FROM found JOIN woman USING (patient) WHERE
pixels IN (SELECT pixels FROM found WHERE pixels <> '' GROUP BY 1 HAVING min(patient) <> max(patient))
OR content IN (SELECT content FROM found WHERE content <> '' GROUP BY 1 HAVING min(patient) <> max(patient))
ORDER BY 1, 2
"""
RENAME = """
UPDATE found SET patient = (SELECT woman FROM woman WHERE woman.patient = found.patient)
WHERE patient IN (SELECT patient FROM woman)
"""
TWINS = """
INSERT INTO twin SELECT rowid, key, row_number() OVER (ORDER BY key, fingerprint, path), '', '' FROM found
WHERE outcome = 'accepted' AND key IN (
  SELECT key FROM found WHERE outcome = 'accepted' GROUP BY key HAVING count(*) > 1)
"""
DIFFERING = """
SELECT min(id) FROM twin
WHERE key IN (SELECT key FROM twin GROUP BY key HAVING min(bytes) <> max(bytes))
GROUP BY key, bytes ORDER BY min(place)
"""
SPREAD = """
UPDATE twin SET content = coalesce(
  (SELECT max(content) FROM twin AS one WHERE one.key = twin.key AND one.bytes = twin.bytes), '')
"""
TOLD = """
UPDATE found SET content = (SELECT content FROM twin WHERE id = found.rowid),
  broken = (SELECT content = '' FROM twin WHERE id = found.rowid)
WHERE rowid IN (SELECT id FROM twin WHERE key IN (SELECT key FROM twin WHERE content <> ''))
"""
SPOILT = """
UPDATE found SET content = (
  SELECT content FROM twin WHERE twin.key = found.key AND content <> '' ORDER BY place LIMIT 1)
WHERE broken
"""
STILL_SHARED = """
SELECT rowid, key, content, sample, row_number() OVER (PARTITION BY key ORDER BY fingerprint, path) FROM found
WHERE outcome = 'accepted' AND key IN (
  SELECT key FROM found WHERE outcome = 'accepted' GROUP BY key HAVING count(*) > 1)
"""


def join_patients(table: sqlite3.Connection) -> list[Line]:
    """Give patients who share pixels one pseudonym, the first of theirs, in the table `found`.

    Returns
    -------
    list
        A line for each woman with several IDs: `patients`, and the `paths` of the files that tell.
    """
    joins = Joins(table.execute(SHARED_PIXELS), table.execute(SHARED_CONTENT))
    joins.write(table)
    paths = {
        woman: [json.loads(path) for _, path in rows]
        for woman, rows in groupby(table.execute(TELLING), key=itemgetter(0))
    }
    table.execute(RENAME)
    return [{"patients": patients, "paths": paths[patients[0]]} for patients in joins.groups()]


class Joins:
    """Patients who stand for one another, directly or through others.

    `rows` are of a value and a patient, in the order of values: those with one value are one.
    """

    def __init__(self, *rows: Iterable[tuple[str, str]]) -> None:
        self._above: dict[str, str] = {}
        for one in rows:
            for _, alike in groupby(one, key=itemgetter(0)):
                self._add(patient for _, patient in alike)

    def write(self, table: sqlite3.Connection) -> None:
        """Name each joined patient's woman in the table `woman`: the first of her patients."""
        table.execute("CREATE TEMP TABLE woman (patient TEXT PRIMARY KEY, woman TEXT)")
        rows = ((patient, patients[0]) for patients in self.groups() for patient in patients)
        table.executemany("INSERT INTO woman VALUES (?, ?)", rows)

    def _add(self, names: Iterable[str]) -> None:
        first, *others = (self._top(name) for name in names)
        for other in others:
            low, high = sorted((self._top(first), self._top(other)))
            self._above[high] = low

    def groups(self) -> list[list[str]]:
        """Return the names that were joined, group by group, in order."""
        groups: dict[str, list[str]] = defaultdict(list)
        for name in sorted(self._above):
            groups[self._top(name)].append(name)
        return [names for names in groups.values() if len(names) > 1]

    def _top(self, name: str) -> str:
        above = self._above.setdefault(name, name)
        while above != self._above[above]:
            above = self._above[above]
        return above


@dataclass(frozen=True)
class _File:
    """A file among several with one UID: its row in the table, and where it lies."""

    row: int
    secret: str
    recipe: int
    path: str


def tell_apart(table: sqlite3.Connection, secret: Path, workers: int | None) -> None:
    """Say in the table `found` what each file with a UID that others have, too, holds: its `content`.

    Their pixels are read whole; where the bytes differ, one of each kind is decoded. What can't be decoded is
    taken for a spoilt copy, and `broken`: of the others one is kept.
    """
    table.execute("CREATE TEMP TABLE twin (id INTEGER PRIMARY KEY, key, place, bytes, content)")
    table.execute("CREATE INDEX temp.by_bytes ON twin (key, bytes)")
    table.execute(TWINS)
    every = _files(table, secret, "SELECT id FROM twin ORDER BY place")
    _fill(table, "UPDATE twin SET bytes = ?2 WHERE id = ?1", _bytes, every, workers)
    one_a_kind = _files(table, secret, DIFFERING)
    _fill(table, "UPDATE twin SET content = ?2 WHERE id = ?1", _values, one_a_kind, workers)
    for statement in (SPREAD, TOLD, SPOILT):
        table.execute(statement)
    table.execute("DROP TABLE twin")


def rename_reused(table: sqlite3.Connection, secret_key: bytes) -> None:
    """Give pictures that share a UID keys of their own, but for the first, and flag them all."""
    for row, key, content, text, place in table.execute(STILL_SHARED).fetchall():
        sample = json.loads(text)
        name = key if place == 1 else pseudonym(secret_key, "image", f"{key}/{content}")
        sample |= {"key": name, "flags": [*sample["flags"], REUSED]}
        table.execute("UPDATE found SET key = ?, sample = ? WHERE rowid = ?", [name, json.dumps(sample), row])


def _files(table: sqlite3.Connection, secret: Path, query: str) -> list[_File]:
    files = []
    for (row,) in table.execute(query).fetchall():
        recipe, path = table.execute("SELECT recipe, path FROM found WHERE rowid = ?", [row]).fetchone()
        files.append(_File(row, str(secret), recipe, json.loads(path)))
    return files


def _fill(
    table: sqlite3.Connection,
    statement: str,
    function: Callable[[_File], tuple[int, str]],
    files: list[_File],
    workers: int | None,
) -> None:
    if files:  # or a pool would start for nothing
        found = process_pool.ordered(function, files, workers, lambda file, _: (file.row, ""))
        table.executemany(statement, found)


def _bytes(file: _File) -> tuple[int, str]:
    path = Path(file.path)
    try:
        examined = sources.load(Path(file.secret)).archive(file.recipe).examine(path)
        return file.row, pixel_bytes.digest(pixel_bytes.place(path, examined.dicom, examined.pixels_at))
    except (OSError, UnreadableError):
        raise DataError(
            "A file that was listed can't be read any more. Bring the source back and plan again."
        ) from None


def _values(file: _File) -> tuple[int, str]:
    archive = sources.load(Path(file.secret)).archive(file.recipe)
    try:
        with hushed():
            return file.row, pixel_bytes.values_digest(decode(archive.dicom(Path(file.path))))
    except Exception:  # noqa: BLE001  (a damaged file can raise anything; it is no other picture for that)
        return file.row, ""
