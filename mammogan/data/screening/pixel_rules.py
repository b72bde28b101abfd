"""Why an image is refused for what its pixels show: measures of its picture, and named rules over them.

The order of the table is the order of asking; the first rule that speaks gives the image its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.screening_settings import Screening
from mammogan.data.breast_mask import Mask
from mammogan.data.dicom import corruption
from mammogan.data.dicom.decode import Stored
from mammogan.data.screening import foreign_objects
from mammogan.data.screening.rule_outcome import judge

Levels = NDArray[np.uint16]


@dataclass(frozen=True)
class Measures:
    """What the finished picture shows, in the order of the rules that ask for it.

    Attributes
    ----------
    constant, no_window
        The frame has one grey only; neither window nor table maps it.
    row_break, repeated_rows
        Fraction of the width that jumps at one row; of the rows that repeat the one above.
    breast
        The breast's fraction of the frame.
    inner, outer
        The breast's brightness in the halves of the frame at the chest wall and away from it.
    straight_edge
        Length of the longest one along rows or columns, as a fraction of the frame's shorter side.
    smooth_bright, metal_body
        Fractions of the breast: the largest even bright region, and the largest white sharp one.
    thin_metal
        Length of the longest piece, as a fraction of the frame's height.
    """

    constant: bool
    no_window: bool
    row_break: float
    repeated_rows: float
    breast: float
    inner: float
    outer: float
    straight_edge: float
    smooth_bright: float
    metal_body: float
    thin_metal: float


PIXEL_RULES: dict[str, Callable[[Measures, Screening], bool]] = {
    "no-window": lambda m, s: m.no_window,
    "constant-image": lambda m, s: m.constant,
    "half-decoded": lambda m, s: m.row_break > s.row_break or m.repeated_rows > s.repeated_rows,
    "breast-area": lambda m, s: not s.breast_area[0] <= m.breast <= s.breast_area[1],
    "orientation": lambda m, s: m.inner <= m.outer,
    "paddle": lambda m, s: m.straight_edge > s.paddle_length,
    "implant-like": lambda m, s: m.smooth_bright > s.implant_area,
    "foreign-body": lambda m, s: m.metal_body > s.foreign_body_area,
    "metal": lambda m, s: m.thin_metal > s.metal_length,
}


def screen_pixels(measures: Measures, screening: Screening) -> tuple[str, tuple[str, ...]]:
    """Ask the rules of the pixels: the reason of a refusal (empty if there is none), and the flags."""
    said = [name for name, rule in PIXEL_RULES.items() if rule(measures, screening)]
    return judge(said, screening.only_flag)


def measure(
    stored_HW: Stored, frame_HW: Levels, mask_HW: Mask, *, constant: bool, no_window: bool
) -> Measures:
    """Measure a picture for the rules.

    Parameters
    ----------
    stored_HW
        Stored values of the whole frame, as decoded.
    frame_HW
        The frame windowed, chest wall on the left, at the picture's size, not padded; what lies outside
        the breast is still in it; 0 black .. 65535 white.
    mask_HW
        The breast in `frame_HW`.
    constant, no_window
        What was found before: that the frame has one grey only, and that neither window nor table maps it.
    """
    seen = foreign_objects.shrink(frame_HW, mask_HW)
    inside = cv2.copyTo(seen.levels_HW, seen.mask_HW.view(np.uint8))
    middle = inside.shape[1] // 2
    return Measures(
        constant=constant,
        no_window=no_window,
        row_break=corruption.row_break(frame_HW),
        repeated_rows=corruption.repeated_rows(stored_HW),
        breast=float(seen.mask_HW.mean()),
        inner=cv2.sumElems(inside[:, :middle])[0],
        outer=cv2.sumElems(inside[:, middle:])[0],
        straight_edge=foreign_objects.straight_edge(seen),
        smooth_bright=foreign_objects.smooth_bright(seen),
        metal_body=foreign_objects.metal_body(seen),
        thin_metal=foreign_objects.thin_metal(frame_HW, mask_HW, seen),
    )
