"""Finding the breast: a low threshold above the background, and the largest connected region."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint16]
Image = NDArray[np.float32]
Mask = NDArray[np.bool_]
Spots = NDArray[np.uint8]

WHITE = np.float32(65535)
WORKING_PX = 320
"""Height at which the breast is looked for: skin and labels are told apart there, film grain is not."""


def find_breast(frame_HW: Levels, threshold: float, thin_part: float) -> Mask:
    """Outline the breast in a picture from 0 (black) to 65535 (white); `threshold` is a fraction of that.

    Otsu's threshold would keep dense tissue only and lose the skin line; it serves here merely to know where
    the background is, whose most frequent grey is the level that `threshold` counts from. Labels, scan
    borders and specks are other components than the largest, once whatever is thinner than the fraction
    `thin_part` of the height is taken away.
    """
    small = shrunk_to_work(frame_HW)
    above = (small > background(small) + threshold).astype(np.uint8)
    return enlarged(outline(above, thin_part), frame_HW.shape)


def shrunk_to_work(frame_HW: Levels) -> Image:
    """Shrink a picture to `WORKING_PX` rows, from 0 (black) to 1, and smooth it."""
    height, width = frame_HW.shape
    size = (max(round(width * WORKING_PX / height), 1), WORKING_PX)
    while frame_HW.shape[0] >= 2 * WORKING_PX and frame_HW.shape[1] > 1:
        frame_HW = halve(frame_HW)
    small = cv2.resize(frame_HW, size, interpolation=cv2.INTER_AREA).astype(np.float32) / WHITE
    return np.asarray(cv2.GaussianBlur(small, (5, 5), 0))


def outline(above_HW: Spots, thin_part: float) -> Spots:
    """Take the largest region of what is above a threshold, without what is thin; its holes are filled."""
    thin = _disc(round(thin_part * WORKING_PX) | 1)
    # Outside the frame is empty: a scan's border strip along an edge is then as thin as it looks, and goes.
    opened = cv2.morphologyEx(above_HW, cv2.MORPH_OPEN, thin, borderType=cv2.BORDER_CONSTANT, borderValue=0)
    region = _fill_holes(_largest(np.asarray(opened, np.uint8)))
    # The opening rounded off corners and took haze from the skin: give back what lies close to the region.
    close = cv2.morphologyEx(above_HW | region, cv2.MORPH_CLOSE, _disc(5))
    return _largest(np.asarray(cv2.dilate(region, thin) & close, np.uint8))


def enlarged(region_HW: Spots, shape: tuple[int, ...]) -> Mask:
    """Enlarge a region that was found in a small picture, its outline smoothed."""
    smooth = cv2.resize(
        cv2.GaussianBlur(region_HW.astype(np.float32), (5, 5), 0),
        (shape[1], shape[0]),
        interpolation=cv2.INTER_LINEAR,
    )
    return np.asarray(smooth > 0.25)  # generous by a pixel or two: a ragged mask would cut skin


def halve(frame_HW: Levels) -> Levels:
    """Average two by two pixels, many times as fast as shrinking otherwise; an odd row or column is lost."""
    height, width = frame_HW.shape[0] // 2, frame_HW.shape[1] // 2
    even = frame_HW[: 2 * height, : 2 * width]
    return np.asarray(cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA), dtype=np.uint16)


def background(image_HW: Image) -> float:
    """Find the most frequent grey of the dark part of a picture from 0 to 1."""
    levels = np.clip(np.rint(image_HW * 255), 0, 255).astype(np.uint8)
    split, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY | cv2.THRESH_OTSU)
    counts = np.bincount(levels.ravel(), minlength=256)[: int(split) + 1]
    return float(counts.argmax()) / 255


def _disc(diameter_px: int) -> NDArray[np.uint8]:
    return np.asarray(
        cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (diameter_px, diameter_px)), dtype=np.uint8
    )


def _largest(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    if count < 2:
        return np.zeros_like(mask)
    return np.asarray(labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax()).astype(np.uint8)


def _fill_holes(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    outlines, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return np.asarray(cv2.drawContours(mask.copy(), outlines, -1, 1, cv2.FILLED), dtype=np.uint8)
