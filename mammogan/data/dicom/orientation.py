"""Which way a frame lies, as Patient Orientation (0020,0020) or Exif says it, and how it is laid upright.

DICOM names the direction of the rows (left to right) and that of the columns (top to bottom) by letters:
Anterior, Posterior, Right, Left, Head, Foot; of several letters the first is the principal one (PS3.3
C.7.6.1.1.1). Upright is as hung for reading: nipple away from the chest wall, which is on the left of a left
breast and on the right of a right one; foot down in an MLO, medial down in a CC.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom

from mammogan.config.label_fields import VIEWS
from mammogan.data.dicom.fields import text, texts
from mammogan.data.dicom.vocabulary import position

AXES = {"A": "AP", "P": "AP", "L": "LR", "R": "LR", "H": "FH", "F": "FH"}
"""The axis of every direction of a human."""
ANIMALS = "AnatomicalOrientationType"  # (0010,2210), whose quadrupeds have letters of their own


@dataclass(frozen=True)
class Turn:
    """By how much a frame is turned clockwise, in steps of 90 degrees, and if it is mirrored afterwards."""

    turned_deg: int = 0
    mirrored: bool = False

    @property
    def swaps(self) -> bool:
        """Whether rows become columns."""
        return self.turned_deg % 180 != 0

    def applied(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Turn pixels (H, W); contiguous, and the same array if there is nothing to do."""
        if self == Turn():
            return pixels
        turned = np.rot90(pixels, -self.turned_deg // 90)
        return np.ascontiguousarray(turned[:, ::-1] if self.mirrored else turned)


@dataclass(frozen=True)
class Orientation:
    r"""What a header says of the way its frame lies.

    Attributes
    ----------
    turn
        What brings the frame upright, or nothing where the header is silent.
    tag
        What it says, of DICOM's letters only, as in ``A\F``; empty where it is silent.
    unreadable
        Whether there is something that names no two directions of a mammogram.
    other_breast
        Whether it names an oblique view of the other breast, as that one hangs: then a side is wrong.
    """

    turn: Turn = Turn()
    tag: str = ""
    unreadable: bool = False
    other_breast: bool = False


SILENT = Orientation()

TURNS = {
    ("right", "down"): Turn(),
    ("left", "down"): Turn(0, mirrored=True),
    ("left", "up"): Turn(180),
    ("right", "up"): Turn(180, mirrored=True),
    ("down", "right"): Turn(90, mirrored=True),
    ("down", "left"): Turn(90),
    ("up", "right"): Turn(270),
    ("up", "left"): Turn(270, mirrored=True),
}
"""By where the rows and the columns of a frame should run to."""

EXIF = {
    1: Turn(),
    2: TURNS["left", "down"],
    3: TURNS["left", "up"],
    4: TURNS["right", "up"],
    5: TURNS["down", "right"],
    6: TURNS["down", "left"],
    7: TURNS["up", "left"],
    8: TURNS["up", "right"],
}
"""By Exif's tag Orientation (0x0112): where its rows and columns are seen."""


def patient_orientation(dicom: Dicom, view: str, laterality: str) -> Orientation:
    """Read Patient Orientation of a `view` of the breast at the side `laterality`.

    A view's name, which some archives keep there, says nothing of directions, and is no mistake.
    """
    values = texts(dicom, "PatientOrientation")
    if laterality not in ("L", "R"):  # which way it should hang nobody knows
        return SILENT
    if not any(values) or (len(values) == 1 and position(values[0]).view in VIEWS):
        return SILENT
    if len(values) != 2 or not all(map(_is_direction, values)) or text(dicom, ANIMALS) == "QUADRUPED":
        return Orientation(unreadable=True)
    rows, columns = (_side(value, view, laterality) for value in values)
    turn = TURNS.get((rows, columns))
    if turn is None:
        return Orientation(unreadable=True)
    # An oblique beam comes from the middle above: on the detector the foot and the middle are one way.
    tilted = view == "MLO" and {"F", laterality} <= set(values[1])
    return Orientation(turn, "\\".join(values), other_breast=tilted and turn == TURNS["left", "down"])


def _is_direction(value: str) -> bool:
    """Allow one to three letters, of one axis each."""
    axes = [AXES.get(letter, "") for letter in value]
    return "" not in axes and 1 <= len(value) == len(set(axes))


def _side(value: str, view: str, laterality: str) -> str:
    """Say where in an upright picture a direction leads to: ``right``, ``left``, ``up`` or ``down``."""
    if AXES[value[0]] == "AP":
        return "right" if (value[0] == "A") == (laterality == "L") else "left"
    medial = "R" if laterality == "L" else "L"
    # An oblique view leads down to the foot and the middle; how much to either depends on its angle.
    axes = ("FH", medial + laterality) if view == "MLO" else (medial + laterality, "FH")
    letters = next(axis for axis in axes if set(axis) & set(value))
    return "down" if letters[0] in value else "up"
