"""A contact sheet: what the images of a shard set look like, one row a view."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.dataset import VIEWS
from mammogan.data.shardset import Rung, ShardSet
from mammogan.files import write

TILE_PX = 320
MARGIN_PX, CAPTION_PX = 8, 28
PAPER = 96
"""Grey of the sheet, told apart from the images' black at a glance."""


def contact_sheet(shardset: ShardSet, path: Path, split: str, columns: int = 8) -> int:
    """Write a PNG of some images of each view, evenly spread over the split; return how many."""
    height, width = max(rung for rung in shardset.manifest.rungs_px if rung[0] <= TILE_PX)
    rung = shardset.rung(height, width, split)
    rows, shown = [], 0
    for view, name in enumerate(VIEWS):
        positions = np.flatnonzero(rung.views_N == view)
        chosen = positions[np.linspace(0, len(positions) - 1, min(columns, len(positions))).astype(int)]
        rows.append(_row(rung, chosen, f"{name}   {len(positions)} images, {split}", columns))
        shown += len(chosen)
    done, png = cv2.imencode(".png", np.vstack(rows))
    assert done, "OpenCV did not encode a PNG"
    write(path, bytes(png))
    return shown


def _row(rung: Rung, positions: NDArray[np.int64], caption: str, columns: int) -> NDArray[np.uint8]:
    width = rung.width_px * TILE_PX // rung.height_px
    shape = CAPTION_PX + TILE_PX + MARGIN_PX, columns * (width + MARGIN_PX) + MARGIN_PX
    row = np.full(shape, PAPER, np.uint8)
    for column, image in enumerate(rung.read(positions)):
        left = MARGIN_PX + column * (width + MARGIN_PX)
        tile = cv2.resize((image >> 8).astype(np.uint8), (width, TILE_PX), interpolation=cv2.INTER_NEAREST)
        row[CAPTION_PX : CAPTION_PX + TILE_PX, left : left + width] = tile
    cv2.putText(row, caption, (MARGIN_PX, CAPTION_PX - 9), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    return row
