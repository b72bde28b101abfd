"""Metadata tables and lists of a source, read once into an index that every worker looks rows up in.

The index is one SQLite file: read-only and immutable once written, so that it works on a shared disk without
locks, and a million rows never stand in memory. It links images to patients; keep it with what is private.
"""

from __future__ import annotations

import csv
import json
import os
import re
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mammogan.config.settings import nearest
from mammogan.config.source_settings import Source, Table
from mammogan.data.dicom import vocabulary
from mammogan.data.dicom.fields import searched
from mammogan.data.shards import image_lists
from mammogan.errors import DataError
from mammogan.file_lock import sqlite_uri

Row = dict[str, str]
Key = tuple[str, ...]
BOTH = ("L", "R")
SCHEMA = """
CREATE TABLE rows (source_table INTEGER, key TEXT, row TEXT);
CREATE TABLE listed (list TEXT, value TEXT, rules TEXT);
"""
INDEXES = """
CREATE INDEX by_key ON rows (source_table, key);
CREATE INDEX by_value ON listed (value);
"""


@dataclass(frozen=True)
class Verdict:
    """What tables and lists say of one image: reasons to refuse it, and marks to put on it.

    `accepted` are rules that a list overrides, and `listed` the entries that name the image: list and value.
    """

    refused: tuple[str, ...]
    flags: tuple[str, ...]
    accepted: tuple[str, ...] = ()
    listed: tuple[tuple[str, str], ...] = ()


def index_tables(source: Source, folder: Path, index: Path) -> None:
    """Read the tables and lists of a recipe into `index`, which is written even if there are none.

    Raises
    ------
    DataError
        If a table or list is missing, lacks a column, or is not the CSV that the recipe says.
    """
    folder = folder if folder.is_dir() else folder.parent
    index.parent.mkdir(parents=True, exist_ok=True)
    temporary = index.with_name(f".{index.name}.{os.getpid()}.tmp")
    temporary.unlink(missing_ok=True)
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    try:
        base = sqlite3.connect(sqlite_uri(temporary), isolation_level=None, uri=True)
        try:
            base.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN;" + SCHEMA)
            for number, rows in enumerate(open_tables(source, folder)):
                base.executemany(
                    "INSERT INTO rows VALUES (?, ?, ?)", ((number, k, r) for k, r in rows.read())
                )
            base.executemany("INSERT INTO listed VALUES (?, ?, ?)", image_lists.entries(source, folder))
            base.executescript(INDEXES)
        finally:
            base.close()
        temporary.replace(index)
    finally:
        temporary.unlink(missing_ok=True)


def own_files(source: Source) -> list[str]:
    """Name the files that a recipe reads beside its images, relative to the source's folder."""
    listed = (getattr(source, name) for name in image_lists.LISTS)
    return [*(table.file for table in source.tables), *filter(None, listed)]


def open_tables(source: Source, folder: Path) -> list[_Rows]:
    """Read the heads of a recipe's tables, and its lists, which are short: before anything else is read.

    Raises
    ------
    DataError
        If a table or list is missing, a table lacks a column, or a line of `accept_list` names no rule.
    """
    folder = folder if folder.is_dir() else folder.parent
    tables = [_Rows(source, table, folder / table.file) for table in source.tables]
    known = {column for table in tables for column in table.columns}
    if missing := [column for column in source.columns if column not in known]:
        raise DataError(
            f"'table:{missing[0]}' stands in the recipe, but no table has such a column."
            f"{nearest(missing[0], known)}"
        )
    for _ in image_lists.entries(source, folder):
        pass
    return tables


class Tables:
    """The index of one source, open for looking up; not to be shared with a process forked later."""

    def __init__(self, source: Source, index: Path) -> None:
        self._source = source
        uri = f"file:{quote(str(index.resolve()))}?mode=ro&immutable=1"
        try:
            self._base = sqlite3.connect(uri, uri=True)
            self._base.execute("SELECT 1 FROM rows LIMIT 1")
        except sqlite3.Error as error:
            raise DataError(
                f"The index of tables '{index}' can't be read ({error}). Plan the set anew."
            ) from None

    def rows(self, number: int, key: Key) -> list[Row]:
        """Find the rows of a table whose key columns say `key`."""
        query = "SELECT row FROM rows WHERE source_table = ? AND key = ? ORDER BY rowid"
        return [json.loads(row) for (row,) in self._ask(query, number, _spell(key))]

    def judge(self, rows: Sequence[Sequence[Row]], names: Sequence[str]) -> Verdict:
        """Say what `rows`, a list for each table, and the lists decide about the image called `names`."""
        refused: list[str] = []
        flags: list[str] = []
        for table, found in zip(self._source.tables, rows, strict=True):
            if table.required and not found:
                refused.append("not-in-table")
            for refusal in table.refuse:
                if any(_holds(row[refusal.column], refusal.values) for row in found):
                    (flags if refusal.only_flag else refused).append(refusal.reason)
        named = self.listed(names)
        lists = {name for name, _, _ in named}
        if self._source.include_list and "include_list" not in lists:
            refused.append("include-list")
        if "exclude_list" in lists:
            refused.append("exclude-list")
        return Verdict(
            refused=tuple(dict.fromkeys(refused)),
            flags=tuple(dict.fromkeys(flags)),
            accepted=tuple(dict.fromkeys(rule for _, _, rules in named for rule in rules.split())),
            listed=tuple((name, value) for name, value, _ in named),
        )

    def listed(self, names: Sequence[str]) -> list[image_lists.Entry]:
        """Find the entries of lists that name one image by any of `names`."""
        if not any(getattr(self._source, name) for name in image_lists.LISTS):
            return []
        query = "SELECT DISTINCT list, value, rules FROM listed WHERE value = ?"
        return [entry for name in names for entry in self._ask(query, name)]

    def _ask(self, query: str, *values: str | int) -> list[Any]:
        """Look up; a failing disk must not pass for a row that isn't there, nor for a damaged image."""
        # File names need not be valid text, and SQLite takes no other.
        clean = [v.encode(errors="replace").decode() if isinstance(v, str) else v for v in values]
        try:
            return self._base.execute(query, clean).fetchall()
        except sqlite3.Error as error:
            raise DataError(
                f"The index of tables can't be read any more ({error}). Plan the set anew."
            ) from None


class _Rows:
    """One CSV, row by row: its keys, and those of its columns that the recipe asks for."""

    def __init__(self, source: Source, table: Table, path: Path) -> None:
        self._source, self._table, self._path = source, table, path
        self.columns = self._header()
        wanted = {*(refusal.column for refusal in table.refuse), *source.columns} & {*self.columns}
        self._wanted = sorted(wanted)
        named = (*table.match, *table.extract, *(refusal.column for refusal in table.refuse))
        for column in named:
            if column not in self.columns:
                # A table without a head begins with somebody's data, which must not be told.
                headed = not {name.lower() for name in named}.isdisjoint(
                    name.lower() for name in self.columns
                )
                hint = nearest(column, self.columns) if headed else " Its first line should name the columns."
                raise DataError(
                    f"'{path}' has no column '{column}', which the recipe's [[source.tables]] names."
                    f"{hint} Mend the recipe, or its delimiter '{table.delimiter}'."
                )
            if self.columns.count(column) > 1:
                raise DataError(
                    f"'{path}' has {self.columns.count(column)} columns '{column}': rename all but one."
                )

    def read(self) -> Iterator[tuple[str, str]]:
        """Yield key and row; a row that serves both sides comes twice."""
        lines = self._lines()
        next(lines)
        patterns = {c: p for c, p in self._table.extract.items() if c in {*self._table.match, *self._wanted}}
        places = {column: self.columns.index(column) for column in {*self._table.match, *self._wanted}}
        for number, values in lines:
            if not values:
                continue
            if len(values) != len(self.columns):
                raise DataError(
                    f"'{self._path}', line {number}, has {len(values)} values, but the head has "
                    f"{len(self.columns)}. Mend it, or the recipe's delimiter '{self._table.delimiter}'."
                )
            row = {column: vocabulary.plain(values[place]) for column, place in places.items()}
            row |= {column: searched(pattern, row[column]) for column, pattern in patterns.items()}
            kept = json.dumps({column: row[column] for column in self._wanted}, ensure_ascii=False)
            for key in product(*(self._allowed(column, row[column]) for column in self._table.match)):
                yield _spell(key), kept

    def _header(self) -> list[str]:
        for _, values in self._lines():
            return [value.strip() for value in values]
        raise DataError(
            f"The table '{self._path}' is empty: give the file that the recipe's [[source.tables]] means."
        )

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        try:
            with self._path.open(encoding=self._table.encoding, newline="") as stream:
                reader = csv.reader(stream, delimiter=self._table.delimiter, strict=True)
                for values in reader:
                    yield reader.line_num, values
        except OSError as error:
            raise DataError(image_lists.missing(self._path, "[[source.tables]] file", error)) from None
        except (UnicodeError, LookupError, csv.Error) as error:
            raise DataError(
                f"The table '{self._path}' is no CSV in the encoding '{self._table.encoding}' ({error}). "
                "Set the recipe's encoding and delimiter, or save the table as UTF-8."
            ) from None

    def _allowed(self, column: str, value: str) -> tuple[str, ...]:
        """List what the origin of a key column may say for a row with `value` in it."""
        origin = self._table.match[column]
        if origin == "laterality":
            both = value.upper() in {side.upper() for side in self._table.both_sides}
            return BOTH if both else (vocabulary.side(vocabulary.translated(value, self._source.side_names)),)
        if origin == "view":
            return (vocabulary.position(vocabulary.translated(value, self._source.view_names)).view,)
        return (value,)


def _spell(key: Key) -> str:
    return "\x1f".join(map(vocabulary.plain, key))


def _holds(value: str, values: Sequence[str]) -> bool:
    """Say whether a cell, or one part of a cell that lists several codes, is among `values`."""
    wanted = {vocabulary.plain(one).upper() for one in values}
    parts = {
        value.upper(),
        *(vocabulary.plain(part).upper() for part in re.split("[,;|]", value) if part.strip()),
    }
    return (value != "" and "*" in wanted) or not wanted.isdisjoint(parts)
