"""Which table beside pictures says what each is: known by what its columns hold, whatever their names."""

from __future__ import annotations

import csv
import re
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mammogan.config.label_fields import VIEWS
from mammogan.data.dicom import vocabulary

SAMPLE_ROWS = 2000
MOST_ROWS = 5_000_000
SHARE = 0.5
"""Of the cells of a column that are not empty, so many must be views, sides, or files that are there."""
PATIENT = re.compile(r"patient|subject|case|woman|person|study.?id|^id$|^pid$", re.IGNORECASE)
ENCODINGS = ("utf-8-sig", "cp1252")


@dataclass(frozen=True)
class Columns:
    """A table and its columns by what they hold; empty where it has none."""

    path: Path
    delimiter: str
    encoding: str
    file: str
    view: str = ""
    side: str = ""
    patient: str = ""


Row = dict[str, str]


def find(path: Path, names: Mapping[str, str]) -> Columns | None:
    """Return how to read a table, or None if it names none of the files.

    `names` maps each way in which a cell may name a file, as `spellings` gives them, to its path.
    """
    encoding, delimiter, rows = decoded(path, SAMPLE_ROWS)
    if not rows:
        return None
    found = {column: [row[column] for row in rows if row[column]] for column in rows[0]}
    files = {column: _share(cells, lambda cell: bool(named(cell, names))) for column, cells in found.items()}
    # A table of a whole archive names many files that are not here, so any column that names several will do.
    file = max(files, key=lambda column: files[column], default="")
    several = sum(bool(named(cell, names)) for cell in found.get(file, ()))
    if not file or (files[file] < SHARE and several < min(3, len(set(names.values())))):
        return None
    rest = [column for column in found if column != file]
    views = [c for c in rest if _share(found[c], lambda cell: bool(view_of(cell))) >= SHARE]
    sides = [c for c in rest if _share(found[c], lambda cell: bool(side_of(cell))) >= SHARE]
    patients = [c for c in rest if PATIENT.search(c) and c not in (*views, *sides)]
    return Columns(
        path,
        delimiter,
        encoding,
        file,
        *(next(iter(columns), "") for columns in (views, sides, patients)),
    )


def decoded(path: Path, most: int = MOST_ROWS) -> tuple[str, str, list[Row]]:
    """Read a table in whichever encoding and with whichever delimiter it has; no rows if it is none.

    Returns
    -------
    tuple
        Encoding, delimiter, and up to `most` rows by column.
    """
    for encoding in _encodings(path):
        try:
            with path.open(encoding=encoding, newline="") as stream:
                delimiter = _delimiter(stream.read(1 << 16))
            return encoding, delimiter, list(_rows(path, encoding, delimiter, most))
        except (UnicodeError, csv.Error):
            continue
        except OSError:
            break
    return "", "", []


def _encodings(path: Path) -> tuple[str, ...]:
    """Choose what to try: UTF-16 begins with a mark, and without one would decode nearly anything."""
    try:
        with path.open("rb") as stream:
            return ("utf-16",) if stream.read(2) in (BOM_UTF16_LE, BOM_UTF16_BE) else ENCODINGS
    except OSError:
        return ()


def read(columns: Columns, names: Mapping[str, str]) -> dict[str, Row]:
    """Return what the table says of each file: ``view``, ``side`` and ``patient``, by path."""
    known: dict[str, Row] = {}
    for row in _rows(columns.path, columns.encoding, columns.delimiter, MOST_ROWS):
        path = named(row.get(columns.file, ""), names)
        if path:
            known.setdefault(
                path,
                {
                    "view": view_of(row.get(columns.view, "")),
                    "side": side_of(row.get(columns.side, "")),
                    "patient": row.get(columns.patient, ""),
                },
            )
    return known


def spellings(paths: Sequence[str]) -> dict[str, str]:
    """Map each way to name a file to its path: the path, its name, and that without suffix; none twice."""
    ways: dict[str, str | None] = {}
    for path in paths:
        name = path.rpartition("/")[2]
        for way in {path, path.rpartition(".")[0], name, name.rpartition(".")[0] or name}:
            ways[way.lower()] = path if way.lower() not in ways else None
    return {way: path for way, path in ways.items() if path}


def named(cell: str, names: Mapping[str, str]) -> str:
    """Return the file that a cell names, perhaps by a path of another machine or with another suffix."""
    text = cell.strip().replace("\\", "/").lower()
    name = text.rpartition("/")[2]
    ways = (text, text.rpartition(".")[0], name, name.rpartition(".")[0])
    return next((names[way] for way in ways if way and way in names), "")


def view_of(cell: str) -> str:
    """Return the view that a cell says, CC or MLO; empty if it says neither."""
    found = vocabulary.position(cell.strip())
    view = found.view if found.view in VIEWS else vocabulary.free_text(cell).view
    return view if view in VIEWS else ""


def side_of(cell: str) -> str:
    """Return the side that a cell says, L or R; empty if it says neither."""
    side = vocabulary.side(cell.strip())
    side = side if side in ("L", "R") else vocabulary.position(cell.strip()).side
    return side or vocabulary.free_text(cell).side


def _share(cells: Sequence[str], holds: Callable[[str], bool]) -> float:
    return sum(map(holds, cells)) / len(cells) if cells else 0.0


def _delimiter(head: str) -> str:
    line = next(iter(head.splitlines()), "")
    return max(",;\t|", key=line.count)


def _rows(path: Path, encoding: str, delimiter: str, most: int) -> Iterator[Row]:
    with path.open(encoding=encoding, newline="") as stream:
        reader = csv.DictReader(stream, delimiter=delimiter)
        for number, row in enumerate(reader):
            if number >= most:
                return
            yield {str(key).strip(): (value or "") for key, value in row.items() if isinstance(key, str)}
