"""Contact sheets: what the images of a shard set look like, and what was left out for which reason."""

from __future__ import annotations

import hashlib
import heapq
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.label_fields import VIEWS
from mammogan.data import process_pool
from mammogan.data.dicom.decode import decode
from mammogan.data.dicom.file_kinds import NO_IMAGES
from mammogan.data.dicom.header import reading
from mammogan.data.preprocess.voi_lut import grey_table
from mammogan.data.shards import sources
from mammogan.data.shards.shard_reader import ImageReader, ShardSet
from mammogan.data.store import private_folder
from mammogan.data.store.private_folder import Line
from mammogan.files import write

TILE_PX = (320, 256)
MARGIN_PX, CAPTION_PX = 8, 28
PAPER = 96
"""Grey of the sheet, told apart from the images' black at a glance."""

Tile = NDArray[np.uint8]


def contact_sheet(shardset: ShardSet, path: Path, split: str, count: int = 16, columns: int = 8) -> int:
    """Write a PNG of up to `count` images of each view, evenly spread over the split; return how many."""
    rungs_px = shardset.manifest.rungs_px
    height, width = max((px for px in rungs_px if px[0] <= TILE_PX[0]), default=min(rungs_px))
    reader = shardset.reader(height, width, split)
    rows, shown = [], 0
    columns = min(columns, count, max(np.bincount(reader.views_N, minlength=1)))
    for view, name in enumerate(VIEWS):
        positions = np.flatnonzero(reader.views_N == view)
        if not len(positions):
            continue
        chosen = positions[np.linspace(0, len(positions) - 1, min(count, len(positions))).astype(int)]
        rows += _rows(_tiles(reader, chosen), f"{name}   {len(positions)} images, {split}", columns)
        shown += len(chosen)
    _write(path, rows)
    return shown


def reject_sheets(
    shardset: Path, most: int = 24, workers: int | None = None, columns: int = 8
) -> dict[str, tuple[int, Path]]:
    """Write a contact sheet for each reason of a refusal and for each flag, into the private folder.

    A sheet shows at most `most` files as their headers say they look, or that no picture comes out of them.
    Beside it lies a list of the files: tile n is line n.

    Returns
    -------
    dict
        By reason, or ``flag-`` and the flag: how many files there are, and the sheet.
    """
    chosen, counts = _choose(_ledger(shardset), most)
    private_folder.clear(shardset, "rejects")  # an earlier plan's sheets would be taken for this one's
    folder = private_folder.create(shardset, "rejects")
    secret = str(private_folder.folder(shardset))
    sheets = {}
    for reason, lines in sorted(chosen.items()):
        tasks = [_Glimpse(secret, line["recipe"], line["path"]) for line in lines]
        tiles = list(process_pool.ordered(_glimpse, tasks, workers, lambda task, why: _blank(why)))
        for number, tile in enumerate(tiles, 1):
            _letter(tile, str(number), TILE_PX[0] - MARGIN_PX)
        caption = f"{reason}   {len(lines)} of {counts[reason]} files"
        sheet = folder / f"{reason}.png"
        _write(sheet, _rows(tiles, caption, columns), mode=0o600)
        private_folder.write_lines(folder / f"{reason}.jsonl", lines)
        sheets[reason] = (counts[reason], sheet)
    return sheets


def _ledger(shardset: Path) -> Iterator[Line]:
    """Read the ledger, or what planning alone has left out."""
    whole = private_folder.folder(shardset) / "ledger.jsonl"
    return private_folder.read_lines(whole if whole.exists() else whole.with_name("refused.jsonl"))


def _choose(ledger: Iterable[Line], most: int) -> tuple[dict[str, list[Line]], dict[str, int]]:
    """Choose some files for each reason: the same ones each time, from anywhere in the archive."""
    kept: dict[str, list[tuple[str, str]]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for line in ledger:
        reasons = [line["reason"]] if line["reason"] and line["reason"] not in NO_IMAGES else []
        for reason in [*reasons, *(f"flag-{flag}" for flag in line.get("flags", ()))]:
            text = json.dumps(line)
            counts[reason] += 1
            place = hashlib.sha256(text.encode()).hexdigest()
            kept[reason] = heapq.nsmallest(most, [*kept[reason], (place, text)])
    return {reason: [json.loads(text) for _, text in lines] for reason, lines in kept.items()}, counts


@dataclass(frozen=True)
class _Glimpse:
    """A file to be looked at."""

    secret: str
    recipe: int
    path: str


def _glimpse(task: _Glimpse) -> Tile:
    """Show a file as its window says, or the whole of its stored range; unturned and uncut."""
    of = sources.load(Path(task.secret))
    try:
        with reading(Path(task.path)):
            dicom = of.archive(task.recipe).dicom(Path(task.path))
            table, _ = grey_table(dicom, of.recipes[task.recipe].pixels.voi_index)
            stored = decode(dicom)
        picture = cv2.LUT(stored.view(f"u{stored.dtype.itemsize}"), table)
        scale = min(side / whole for side, whole in zip(TILE_PX, picture.shape, strict=True))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    except Exception as error:  # noqa: BLE001  (what was refused may be anything; the sheet says so)
        return _blank(str(error) if len(str(error)) < 24 else "no picture")
    tile = np.zeros(TILE_PX, np.uint8)
    tile[: small.shape[0], : small.shape[1]] = (small >> 8)[: TILE_PX[0], : TILE_PX[1]]
    return tile


def _blank(why: str) -> Tile:
    tile = np.full(TILE_PX, PAPER - 40, np.uint8)
    _letter(tile, why, TILE_PX[0] // 2)
    return tile


def _tiles(reader: ImageReader, positions: NDArray[np.int64]) -> list[Tile]:
    """Show images by whole pixels, in the tiles' place and in their own shape."""
    scale = min(
        side / whole for side, whole in zip(TILE_PX, (reader.height_px, reader.width_px), strict=True)
    )
    size_px = (max(round(reader.width_px * scale), 1), max(round(reader.height_px * scale), 1))
    return [
        np.asarray(cv2.resize((image >> 8).astype(np.uint8), size_px, interpolation=cv2.INTER_NEAREST))
        for image in reader.read(positions)
    ]


def _rows(tiles: Sequence[Tile], caption: str, columns: int) -> list[NDArray[np.uint8]]:
    high, wide = tiles[0].shape
    width = columns * (wide + MARGIN_PX) + MARGIN_PX
    head = np.full((CAPTION_PX, width), PAPER, np.uint8)
    _letter(head, caption, CAPTION_PX - 9)
    rows = [head]
    for first in range(0, len(tiles), columns):
        row = np.full((high + MARGIN_PX, width), PAPER, np.uint8)
        for column, tile in enumerate(tiles[first : first + columns]):
            left = MARGIN_PX + column * (wide + MARGIN_PX)
            row[:high, left : left + wide] = tile
        rows.append(row)
    return rows


def _letter(image: NDArray[np.uint8], text: str, bottom_px: int) -> None:
    cv2.putText(image, text, (MARGIN_PX, bottom_px), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)


def _write(path: Path, rows: list[Any], mode: int = 0o644) -> None:
    done, png = cv2.imencode(".png", np.vstack(rows))
    assert done, "OpenCV did not encode a PNG"
    write(path, bytes(png), mode=mode)
