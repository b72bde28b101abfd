"""One mammogram as training sees it: windowed, chest wall on the left, on a black background, aspect-true.

Everything here is a pure function of the file and the recipe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom

from mammogan.config.pixels import Pixels
from mammogan.data.artefacts import Measures, measure
from mammogan.data.breast import Image, Mask, background, find_breast
from mammogan.data.decode import Stored, decode
from mammogan.data.grey import grey_table

WHITE = 65535


@dataclass(frozen=True)
class Placing:
    """How the frame came into the picture: `scale` picture pixels a detector pixel, then margins."""

    scale: float
    crop_px: int
    trim_px: int
    pad_top_px: int
    pad_right_px: int
    pad_bottom_px: int
    mirrored: bool


@dataclass(frozen=True)
class Picture:
    """`image_HW` runs from 0 to 65535, not yet rounded."""

    image_HW: Image
    placing: Placing
    measures: Measures


def take(dicom: Dicom, view: str, laterality: str, pixels: Pixels, top_px: tuple[int, int]) -> Picture:
    """Decode, window, orient, clean and place one mammogram.

    Raises
    ------
    UnreadableError
        With the reason's name, if it can't be decoded or its window makes no sense.
    """
    stored = decode(dicom)
    table, windowed = grey_table(dicom, pixels.voi_index)
    crop_px = round(pixels.border_crop * min(stored.shape))
    inside = (slice(crop_px, stored.shape[0] - crop_px), slice(crop_px, stored.shape[1] - crop_px))
    frame, scale = _fit(_look_up(table, stored[inside]), top_px)
    constant = bool(frame.max() - frame.min() < 1 / WHITE)
    no_window = not windowed and pixels.fallback == "refuse"
    mirrored = laterality == "R"  # as hung for reading, a right breast has its chest wall on the right
    if mirrored:
        frame = np.ascontiguousarray(frame[:, ::-1])
    mask = find_breast(frame, pixels.breast_threshold, pixels.thin_part)
    trim_px = _empty_strip(np.where(mask, frame, 0), round(pixels.chest_wall_trim * frame.shape[1]))
    frame, mask = frame[:, trim_px:], mask[:, trim_px:]
    if not windowed and pixels.fallback == "breast-range":
        frame = _stretch(frame, mask, pixels.white_percentile)
    frame = np.clip(frame, 0, 1)
    levels = np.rint(frame * np.float32(WHITE)).astype(np.uint16)
    measures = measure(stored, levels, mask, constant=constant, no_window=no_window)
    frame = np.where(mask, frame, np.float32(0))
    padded, top, right, bottom = _pad(frame, view, top_px)
    placing = Placing(round(scale, 6), crop_px, trim_px, top, right, bottom, mirrored)
    return Picture(padded * np.float32(WHITE), placing, measures)


def pyramid(image_HW: Image, rungs: tuple[tuple[int, int], ...]) -> list[NDArray[np.uint16]]:
    """Average 2 x 2 pixels again and again: one uint16 picture a rung, lowest first, each rounded once."""
    pictures = []
    for rung in reversed(rungs):
        if image_HW.shape != rung:
            pairs = image_HW[::2] + image_HW[1::2]
            image_HW = (pairs[:, ::2] + pairs[:, 1::2]) * np.float32(0.25)
        pictures.append(np.rint(image_HW).astype(np.uint16))
    return pictures[::-1]


def _look_up(table: NDArray[np.float32], stored: Stored) -> Image:
    unsigned = stored.view(np.dtype(f"u{stored.dtype.itemsize}"))
    grey = np.empty(stored.shape, dtype=np.float32)
    for top in range(0, len(stored), 64):  # bands that stay in the cache: twice as fast
        np.take(table, unsigned[top : top + 64], mode="clip", out=grey[top : top + 64])
    return grey


def _fit(image_HW: Image, top_px: tuple[int, int]) -> tuple[Image, float]:
    height, width = image_HW.shape
    scale = min(top_px[0] / height, top_px[1] / width)
    size = (min(round(width * scale), top_px[1]), min(round(height * scale), top_px[0]))
    # Any other filter aliases when it shrinks, and a generator would learn the aliases.
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return cv2.resize(image_HW, size, interpolation=method), scale


def _empty_strip(image_HW: Image, widest_px: int) -> int:
    """Measure the strip without breast at the left edge; 0 where it is wider than `widest_px`."""
    brightness = image_HW.mean(axis=0)
    empty = int((brightness > 0.1 * brightness.max()).argmax())
    return empty if empty <= widest_px else 0


def _stretch(image_HW: Image, mask: Mask, percentile: float) -> Image:
    if not mask.any():
        return image_HW
    black, white = background(image_HW), float(np.percentile(image_HW[mask], percentile))
    return (image_HW - np.float32(black)) / np.float32(max(white - black, 1e-6))


def _pad(image_HW: Image, view: str, top_px: tuple[int, int]) -> tuple[Any, int, int, int]:
    """Pad with background: away from the chest wall, and from the armpit that an MLO's upper edge cuts."""
    height, width = top_px[0] - image_HW.shape[0], top_px[1] - image_HW.shape[1]
    top = 0 if view == "MLO" else height // 2
    return np.pad(image_HW, ((top, height - top), (0, width))), top, width, height - top
