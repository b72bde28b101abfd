"""One mammogram as training sees it: windowed, chest wall on the left, on a black background, aspect-true.

Everything here is a pure function of the file and the recipe. From the look-up table on, grey is a whole
number from 0 (black) to 65535.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom
from pydicom.uid import SecondaryCaptureImageStorage

from mammogan.config.pixel_settings import Pixels
from mammogan.data.breast_mask import Image, Mask, background, find_breast
from mammogan.data.dicom.decode import decode, has_trailing_bytes
from mammogan.data.dicom.orientation import Turn, patient_orientation
from mammogan.data.film_mask import film_base, find_breast_on_film, looks_inverted
from mammogan.data.preprocess.shrinking import shrunk
from mammogan.data.preprocess.voi_lut import WHITE, grey_table, odd_window, quantised
from mammogan.data.screening import pixel_rules
from mammogan.data.screening.pixel_rules import Measures

Levels = NDArray[np.uint16]
WIDE_STRIP = 0.05
"""From that fraction of the frame's width on, what is empty at the chest wall is worth a flag."""


@dataclass(frozen=True)
class Placing:
    """How the frame came into the picture: `scale` picture pixels a detector pixel, then margins.

    `crop_px` counts detector pixels, the others picture pixels. Before all else the frame was turned
    clockwise by `turned_deg`, and then mirrored if it was `mirrored`.
    """

    scale: float
    crop_px: int
    trim_px: int
    pad_top_px: int
    pad_right_px: int
    pad_bottom_px: int
    mirrored: bool
    turned_deg: int = 0


@dataclass(frozen=True)
class Picture:
    """`image_HW` runs from 0 (black) to 65535; `flags` mark what was found odd and let pass.

    `lies` says in words which way Patient Orientation says that the frame lies; empty where it is silent.
    """

    image_HW: Levels
    placing: Placing
    measures: Measures
    flags: tuple[str, ...] = ()
    lies: str = ""


def take(dicom: Dicom, view: str, laterality: str, pixels: Pixels, top_px: tuple[int, int]) -> Picture:
    """Decode, window, orient, clean and place one mammogram.

    Raises
    ------
    UnreadableError
        With the reason's name, if it can't be decoded or its window makes no sense.
    """
    lying = patient_orientation(dicom, view, laterality)
    turn = lying.turn
    halve = pixels.jpeg2000_reduce == 1 and _twice_as_large(dicom, pixels, top_px, turn)
    stored = decode(dicom, halve_jpeg2000=halve)
    table, windowed = grey_table(dicom, pixels.voi_index)
    halved = 2 if stored.shape[0] < dicom.Rows else 1
    crop_px = round(pixels.border_crop * min(stored.shape))
    inside = stored[crop_px : stored.shape[0] - crop_px, crop_px : stored.shape[1] - crop_px]
    # Upright before it is scaled: so it is the same picture, to the last bit, whichever way it was stored.
    upright = turn.applied(inside.view(f"u{stored.dtype.itemsize}"))
    frame, scale = shrunk(upright, table, top_px)
    constant = bool(frame.max() == frame.min())
    no_window = not windowed and pixels.fallback == "refuse"
    right = laterality == "R"  # as hung for reading, its chest wall is on the right
    if right:
        frame = cv2.flip(frame, 1)
    find = find_breast_on_film if pixels.background == "film" else find_breast
    inverted = pixels.background == "film" and looks_inverted(frame)
    mask = find(frame, pixels.breast_threshold, pixels.thin_part)
    strip_px, widest_px = _empty_strip(frame, mask), round(pixels.chest_wall_trim * frame.shape[1])
    trim_px = strip_px if pixels.chest_wall_trim and (strip_px <= widest_px or _cut_on_the_left(mask)) else 0
    wide_strip = strip_px > max(widest_px, WIDE_STRIP * frame.shape[1])
    frame, mask = frame[:, trim_px:], mask[:, trim_px:]
    if not windowed and pixels.fallback == "breast-range":
        black = film_base(frame, mask) if pixels.background == "film" else background(_fractions(frame))
        frame = _stretch(frame, mask, black, pixels.white_percentile)
    measures = pixel_rules.measure(pixel_rules.Pixels(stored, frame, mask, constant, no_window, view, lying))
    image, top, beside, below = _pad(frame, mask, view, top_px)
    placing = Placing(
        scale=round(scale / halved, 6),
        crop_px=crop_px * halved,
        trim_px=trim_px,
        pad_top_px=top,
        pad_right_px=beside,
        pad_bottom_px=below,
        mirrored=turn.mirrored != right,
        turned_deg=turn.turned_deg,
    )
    odd = {
        "chest-wall-strip": wide_strip,
        "enlarged": scale > 1 and dicom.get("SOPClassUID") == SecondaryCaptureImageStorage,
        "looks-inverted": inverted,
        "odd-window": odd_window(dicom, pixels.voi_index),
        "orientation-unreadable": lying.unreadable,
        "trailing-bytes": has_trailing_bytes(dicom),
    }
    flags = tuple(name for name, holds in odd.items() if holds)
    return Picture(image, placing, measures, flags, lying.tag)


def pyramid(image_HW: Levels, resolutions: tuple[tuple[int, int], ...]) -> list[Levels]:
    """Average 2 x 2 pixels again and again: one picture a rung, lowest first, each rounded once."""
    means: Any = image_HW.astype(np.float32)
    pictures = [image_HW]
    for halvings, (height, width) in enumerate(resolutions[-2::-1], start=1):
        if halvings == 5:  # every halving takes two bits more, and float32 has 24
            means = means.astype(np.float64)
        means = cv2.resize(means, (width, height), interpolation=cv2.INTER_AREA)
        pictures.append(np.rint(means).astype(np.uint16))
    return pictures[::-1]


def _fractions(image_HW: Levels) -> Image:
    return image_HW.astype(np.float32) * np.float32(1 / WHITE)


def _twice_as_large(dicom: Dicom, pixels: Pixels, top_px: tuple[int, int], turn: Turn) -> bool:
    sides = (dicom.get("Rows"), dicom.get("Columns"))
    if turn.swaps:
        sides = sides[::-1]
    kept = 1 - 2 * pixels.border_crop
    return all(int(side or 0) / 2 * kept >= needed for side, needed in zip(sides, top_px, strict=True))


def _empty_strip(image_HW: Levels, mask: Mask) -> int:
    """Measure the strip without breast at the left edge."""
    brightness = np.where(mask, image_HW, np.uint16(0)).mean(axis=0)
    return int((brightness > 0.1 * brightness.max()).argmax())


def _cut_on_the_left(mask: Mask) -> bool:
    """Tell whether the breast is taller on the left, where the chest wall cuts it, than on the right.

    Else it lies the wrong way round, and what is empty beside it is no strip of the film.
    """
    heights = mask.sum(axis=0)
    heights = heights[heights > 0]
    third = max(len(heights) // 3, 1)
    return bool(len(heights) and heights[:third].mean() >= heights[-third:].mean())


def _stretch(image_HW: Levels, mask: Mask, background_grey: float, percentile: float) -> Levels:
    """Map the background, from 0 to 1, to black and the breast's `percentile` to white."""
    if not mask.any():
        return image_HW
    black = background_grey * WHITE
    white = float(np.percentile(image_HW[mask], percentile))
    grey = (np.arange(WHITE + 1, dtype=np.float64) - black) / max(white - black, 0.1)
    return np.asarray(cv2.LUT(image_HW, quantised(grey)))


def _pad(image_HW: Levels, mask: Mask, view: str, top_px: tuple[int, int]) -> tuple[Levels, int, int, int]:
    """Put the breast on black: room is left away from the chest wall, and from the armpit of an MLO.

    An MLO's upper edge cuts the armpit, so it stays at the picture's.
    """
    height, width = image_HW.shape
    free = top_px[0] - height
    top = 0 if view == "MLO" else free // 2
    breast = cv2.copyTo(np.ascontiguousarray(image_HW), np.ascontiguousarray(mask).view(np.uint8))
    margins = (top, free - top, 0, top_px[1] - width)
    padded = np.asarray(cv2.copyMakeBorder(breast, *margins, cv2.BORDER_CONSTANT, value=0))
    return padded, top, top_px[1] - width, free - top
