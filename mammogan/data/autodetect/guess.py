"""View, side and patient of every picture in a folder: by a table, else by its name, else by its pixels."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.label_fields import VIEWS
from mammogan.data.autodetect import pixels, tables
from mammogan.data.autodetect.survey import ImageFile, Survey
from mammogan.data.dicom import vocabulary
from mammogan.errors import DataError
from mammogan.files import write

ATTACHED = re.compile(r"(?<=[a-z0-9])(?=[LR]?(?:CC|MLO)\b)")
COLUMNS = ("file", "view", "side", "patient", "view_by", "side_by", "patient_by")
TILE_PX, LINE_PX, PAPER = 180, 18, 64
SHOWN_PX = 640
"""Longer side at which pixels are looked at."""
MIAS = re.compile(r"(?:^|/)mdb(\d{3})[a-z]{0,2}\.[^/]*$", re.IGNORECASE)
PAIRS = 2
"""Pictures of mini-MIAS that are one woman's: an odd number and the even one after it, oblique views all."""
INBREAST = re.compile(r"(?:^|/)\d{8}_([0-9a-f]{16})_MG_([LR])_(CC|ML)_", re.IGNORECASE)
"""The number is the picture's, and what is called ML there is oblique."""
PATIENTS = (
    INBREAST,
    re.compile(r"(P_\d{5})_(?:LEFT|RIGHT)_", re.IGNORECASE),  # CBIS-DDSM
    re.compile(r"(?:^|[_/])([A-D]_\d{4})_\d\b", re.IGNORECASE),  # DDSM
)
"""How names of public sets say the patient."""


@dataclass(frozen=True)
class Guess:
    """What a picture is, and by what each is known: ``table``, ``name``, ``pixels`` or ``you``.

    What nobody knows is empty.
    """

    path: str
    view: str = ""
    side: str = ""
    patient: str = ""
    view_by: str = ""
    side_by: str = ""
    patient_by: str = ""

    def filled(self, by: str, view: str = "", side: str = "", patient: str = "") -> Guess:
        """Take what is still unknown from another source."""
        changes: dict[str, str] = {}
        for name, value in (("view", view), ("side", side), ("patient", patient)):
            if value and not getattr(self, name):
                changes |= {name: value, f"{name}_by": by}
        return replace(self, **changes)


def guess(
    survey: Survey,
    view: str = "",
    side: str = "",
    table: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Guess]:
    """Guess of each picture what it is; `view`, `side` and `table` are what the user says of all of them.

    One that only its pixels could tell, and that can't be decoded, is left out and counted in the survey.

    Raises
    ------
    DataError
        If `table` names none of the pictures.
    """
    names = tables.spellings([image.path for image in survey.images])
    rows = _rows(survey, table, names)
    guesses = []
    for done, image in enumerate(survey.images, 1):
        found = Guess(image.path).filled("you", view, side).filled("table", **rows.get(image.path, {}))
        found = found.filled("name", **by_name(image.path))
        if not (found.view and found.side):
            shown = _shown(survey, image)
            if shown is None:
                survey.others["decode-failed"] += 1
                continue
            seen = pixels.look(shown)
            found = found.filled("pixels", seen.view, seen.side)
        guesses.append(found.filled("name", patient=_patient(image.path)))
        on_progress(done, len(survey.images))
    return guesses


def by_name(path: str) -> dict[str, str]:
    """Return what a path says: view and side by words between separators, and what the names of MIAS mean."""
    if numbered := MIAS.search(path):
        return {"view": "MLO", "patient": f"mdb{(int(numbered[1]) + 1) // PAIRS:03d}"}
    if named := INBREAST.search(path):
        return {"view": "CC" if named[3].upper() == "CC" else "MLO", "side": named[2].upper()}
    for part in reversed(path.rpartition(".")[0].split("/")):  # a file's name goes before its folders'
        found = vocabulary.free_text(_parted(part))
        if found.view in VIEWS:
            side = found.side or vocabulary.free_text(path).side
            return {"view": found.view, "side": side}
    found = vocabulary.free_text(path.rpartition(".")[0])
    return {"view": found.view if found.view in VIEWS else "", "side": found.side}


def apart(guesses: Sequence[Guess]) -> list[Guess]:
    """Let each picture count as a woman of her own where all would be one, who can't be in two splits."""
    if len({each.patient for each in guesses}) > 1:
        return list(guesses)
    return [replace(each, patient=each.path, patient_by="") for each in guesses]


def unknown(guesses: Sequence[Guess]) -> list[Guess]:
    """List the pictures whose view or side nobody knows."""
    return [each for each in guesses if not (each.view and each.side)]


def counts(guesses: Sequence[Guess]) -> Counter[tuple[str, str, str, str]]:
    """Count the pictures by view, what tells it, side and what tells that."""
    return Counter((each.view, each.view_by, each.side, each.side_by) for each in guesses)


def save(guesses: Sequence[Guess], path: Path) -> None:
    """Write a table of the guesses, to be corrected by hand; for its owner only, since names may tell."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((g.path, g.view, g.side, g.patient, g.view_by, g.side_by, g.patient_by) for g in guesses)
    if not path.exists() or path.read_text(encoding="utf-8") != text.getvalue():  # its time tells a change
        write(path, text.getvalue(), mode=0o600)


def load(path: Path) -> list[Guess]:
    """Read a table of guesses again, as somebody has corrected it.

    Raises
    ------
    DataError
        If it has other columns, or a cell that is neither a view nor a side.
    """
    _, _, rows = tables.decoded(path)
    there = rows[0] if rows else {}
    if missing := [name for name in COLUMNS[:4] if name not in there]:
        raise DataError(
            f"'{path}' has no column '{missing[0]}': it needs {', '.join(COLUMNS[:4])}. Remove it to "
            "have it made anew."
        )
    guesses = []
    for number, row in enumerate(rows, 2):
        view, side = tables.view_of(row["view"]), tables.side_of(row["side"])
        for name, read, allowed in (("view", view, "CC or MLO"), ("side", side, "L or R")):
            if row[name] and not read:
                raise DataError(f"'{path}', line {number}: {name} is '{row[name]}': write {allowed}.")
        by = (row.get(name) or "you" for name in COLUMNS[4:])
        guesses.append(Guess(row["file"], view, side, row["patient"], *by))
    return guesses


def sheet(survey: Survey, guesses: Sequence[Guess], path: Path, columns: int = 8, rows: int = 4) -> None:
    """Write a sheet of some pictures, each with what it is taken for and by what; unknown ones first."""
    chosen = sorted(guesses, key=lambda each: bool(each.view and each.side))
    chosen = chosen[:: max(1, len(chosen) // (columns * rows))][: columns * rows]
    images = {image.path: image for image in survey.images}
    tiles = [_tile(survey, images[each.path], each) for each in chosen if each.path in images]
    tiles += [np.full_like(tiles[0], PAPER)] * (-len(tiles) % columns)
    lines = [np.hstack(tiles[first : first + columns]) for first in range(0, len(tiles), columns)]
    _, png = cv2.imencode(".png", np.vstack(lines))
    write(path, png.tobytes(), mode=0o600)


def _tile(survey: Survey, image: ImageFile, found: Guess) -> NDArray[np.uint8]:
    tile = np.full((TILE_PX + 2 * LINE_PX, TILE_PX), PAPER, np.uint8)
    raw = _shown(survey, image)
    shown = np.full((1, 1), PAPER, np.uint8) if raw is None else np.asarray(raw >> 8, dtype=np.uint8)
    scale = TILE_PX / max(shown.shape)
    small = cv2.resize(shown, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)[:TILE_PX, :TILE_PX]
    tile[: small.shape[0], : small.shape[1]] = small
    texts = (
        f"{found.view or '?'} {found.side or '?'}  {found.view_by}/{found.side_by}",
        Path(found.path).name[-24:],
    )
    for line, text in enumerate(texts, 1):
        at = (3, TILE_PX + line * LINE_PX - 5)
        cv2.putText(tile, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1, cv2.LINE_AA)
    return tile


def _rows(survey: Survey, table: Path | None, names: Mapping[str, str]) -> dict[str, dict[str, str]]:
    if table is not None:
        columns = tables.find(table, names)
        if columns is None:
            raise DataError(
                f"The table '{table}' names none of the {len(survey.images)} pictures in '{survey.folder}': "
                "one of its columns should hold their names or paths, and its first line their names."
            )
        return tables.read(columns, names)
    found = [columns for path in survey.tables if (columns := tables.find(path, names))]
    rows: dict[str, dict[str, str]] = {}
    for columns in found:
        for path, row in tables.read(columns, names).items():
            rows[path] = row | {name: value for name, value in rows.get(path, {}).items() if value}
    return rows


def _patient(path: str) -> str:
    """Take for the patient what public sets' names say, else what stands in the name before view and side.

    What comes behind them counts the pictures, unless nothing comes before. Folders count, but for those that
    say a view or a side: a woman is in several of them.
    """
    for pattern in PATIENTS:
        if found := pattern.search(path):
            return found[1]
    stem = path.rpartition(".")[0]
    *folders, name = (_parted(part) for part in stem.split("/"))
    words = re.split(r"[ _.-]+", name)
    known = [_is_known(word) for word in words]
    first = known.index(True) if any(known) else 0
    kept = words[:first] or [word for word, is_known in zip(words, known, strict=True) if not is_known]
    above = [folder for folder in folders if not any(map(_is_known, re.split(r"[ _.-]+", folder)))]
    return "-".join(filter(None, [*above, *kept])) or stem


def _parted(part: str) -> str:
    """Part a view, and a side before it, from what it is written to without a gap, as in ``p3RCC``."""
    return ATTACHED.sub(" ", part)


def _is_known(word: str) -> bool:
    return bool(tables.view_of(word) or tables.side_of(word))


def _shown(survey: Survey, image: ImageFile) -> NDArray[np.uint16] | None:
    """Read a picture, made small; None if its pixels are damaged."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    raw = cv2.imdecode(np.fromfile(survey.folder / image.path, np.uint8), cv2.IMREAD_ANYDEPTH)
    cv2.utils.logging.setLogLevel(before)
    if raw is None:
        return None
    scale = SHOWN_PX / max(raw.shape)
    size = (max(2, round(raw.shape[1] * scale)), max(2, round(raw.shape[0] * scale)))
    small = cv2.resize(raw, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small * (65535 / max(float(small.max()), 1)), dtype=np.uint16)
