"""What the pixels alone say of a mammogram: on which side its chest wall is, and whether it is oblique.

An oblique view is cut by the frame at the armpit: the breast is wide at its upper end, where the pectoral
muscle is, and narrow at its lower one. A cranio-caudal view has two ends alike.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.breast_mask import Mask, find_breast

EDGE = 0.06
"""Fraction of the breast's height within which it counts as cut by an edge."""
OBLIQUE, STRAIGHT = 0.25, 0.12
"""How much wider the breast is at its upper end than at its lower one, of its width: in an oblique view at
least, and in a cranio-caudal one at most. In between the pixels don't tell."""
LOPSIDED = 0.02
"""How much heavier one half must be to tell the side, of both together."""


@dataclass(frozen=True)
class Seen:
    """`side` is L where the chest wall is on the left of the picture; what the pixels don't tell is empty."""

    view: str = ""
    side: str = ""


def look(grey_HW: NDArray[np.uint16]) -> Seen:
    """Say what a picture from 0 (black) to 65535 (white) shows, upright as it is hung for reading."""
    frame = np.ascontiguousarray(grey_HW)
    mask = find_breast(frame, 0.05, 0.04)
    if mask.mean() < 0.02:
        return Seen()
    side = _side(frame, mask)
    if side == "R":
        mask = np.ascontiguousarray(mask[:, ::-1])
    return Seen(_view(mask) if side else "", side)


def _side(frame: NDArray[np.uint16], mask: Mask) -> str:
    inside = cv2.copyTo(frame, mask.view(np.uint8)).astype(np.float64)
    middle = inside.shape[1] // 2
    left, right = inside[:, :middle].sum(), inside[:, -middle:].sum()
    if abs(left - right) < LOPSIDED * (left + right):
        return ""
    return "L" if left > right else "R"


def _view(mask: Mask) -> str:
    """Compare how wide the breast is at its ends, or where the frame cuts it, the chest wall on the left."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    inside = mask[:, columns[0] : columns[-1] + 1]
    ends = _difference(inside[rows[0] : rows[-1] + 1])
    cut = _difference(inside)
    if max(ends, cut) >= OBLIQUE:
        return "MLO"
    return "CC" if max(abs(ends), abs(cut)) <= STRAIGHT else ""


def _difference(mask: Mask) -> float:
    """Compute how much wider it is above than below, as a fraction of its width."""
    height, width = mask.shape
    px = max(1, round(EDGE * height))
    upper, lower = (part.sum(axis=1).mean() / width for part in (mask[:px], mask[-px:]))
    return float(upper - lower)
