"""Why an image is refused for what its pixels show: rules, each with measure, threshold and reason.

The order of the table is the order of asking; the first rule that speaks gives the image its reason.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.screening_settings import Screening
from mammogan.data.breast_mask import Mask
from mammogan.data.dicom import corruption
from mammogan.data.dicom.decode import Stored
from mammogan.data.screening import foreign_objects, judge

Levels = NDArray[np.uint16]
Measures = Mapping[str, tuple[float, ...]]
"""By rule, what was measured for it: a number for each of its thresholds."""


@dataclass(frozen=True)
class Pixels:
    """What the rules look at.

    Attributes
    ----------
    stored_HW
        Stored values of the whole frame, as decoded.
    frame_HW
        The frame windowed, chest wall on the left, at the picture's size, not padded; what lies outside the
        breast is still in it; 0 black .. 65535 white.
    mask_HW
        The breast in `frame_HW`.
    constant, no_window
        What was found before: that the frame has one grey only, and that neither window nor table maps it.
    """

    stored_HW: Stored
    frame_HW: Levels
    mask_HW: Mask
    constant: bool
    no_window: bool

    @cached_property
    def shrunk(self) -> foreign_objects.Working:
        """Frame and mask at the size that foreign objects are looked for at."""
        return foreign_objects.shrink(self.frame_HW, self.mask_HW)


def above(value: float, threshold: Any) -> bool:
    """Whether a measure is above its threshold."""
    return bool(value > threshold)


def outside(value: float, threshold: Any) -> bool:
    """Whether a measure is outside of a range."""
    return not threshold[0] <= value <= threshold[1]


@dataclass(frozen=True)
class PixelRule:
    """One rule.

    Attributes
    ----------
    measure
        Computes a number for each of `thresholds`, or one alone where there are none.
    unit
        What these numbers are, for documents.
    reason
        Why an image is refused for them, for people.
    thresholds
        Keys of the recipe's ``[screening]``; a rule without any speaks if its number is above 0.
    speaks
        Compares a number with its threshold.
    """

    measure: Callable[[Pixels], tuple[float, ...]]
    unit: str
    reason: str
    thresholds: tuple[str, ...] = ()
    speaks: Callable[[float, Any], bool] = above

    def holds(self, values: tuple[float, ...], screening: Screening) -> bool:
        """Whether the rule speaks about an image of which `values` were measured."""
        limits = [getattr(screening, key) for key in self.thresholds] or [0]
        return any(map(self.speaks, values, limits))


def _imbalance(pixels: Pixels) -> float:
    """Compute how much brighter the half away from the chest wall is; above 0 also where both are equal."""
    inside = cv2.copyTo(pixels.shrunk.levels_HW, pixels.shrunk.mask_HW.view(np.uint8))
    middle = inside.shape[1] // 2
    inner, outer = cv2.sumElems(inside[:, :middle])[0], cv2.sumElems(inside[:, middle:])[0]
    return float(outer - inner + 0.5)  # both are sums of whole numbers


PIXEL_RULES: dict[str, PixelRule] = {
    "no-window": PixelRule(
        lambda p: (float(p.no_window),),
        "whether a window or table maps stored values to grey",
        "nobody says what is black and what is white",
    ),
    "constant-image": PixelRule(
        lambda p: (float(p.constant),),
        "whether the frame has one grey",
        "a blank exposure, or a lost picture",
    ),
    "half-decoded": PixelRule(
        lambda p: (corruption.row_break(p.frame_HW), corruption.repeated_rows(p.stored_HW)),
        "width that jumps at one row; rows that repeat others",
        "a damaged stream that decoded all the same",
        ("row_break", "repeated_rows"),
    ),
    "breast-area": PixelRule(
        lambda p: (float(p.shrunk.mask_HW.mean()),),
        "the breast's share of the frame",
        "a close-up, a failed exposure, or a breast that was not found",
        ("breast_area",),
        outside,
    ),
    "orientation": PixelRule(
        lambda p: (_imbalance(p),),
        "which half of the frame is the brighter",
        "the wrong side in the header, or a mirrored picture",
    ),
    "paddle": PixelRule(
        lambda p: (foreign_objects.straight_edge(p.shrunk),),
        "straight edge along rows or columns, of the shorter side",
        "a spot view, a shuttered field, or a misplaced paddle",
        ("paddle_length",),
    ),
    "implant-like": PixelRule(
        lambda p: (foreign_objects.smooth_bright(p.shrunk),),
        "largest bright region without texture, of the breast",
        "a prosthesis",
        ("implant_area",),
    ),
    "foreign-body": PixelRule(
        lambda p: (foreign_objects.metal_body(p.shrunk),),
        "largest white body with a sharp outline, of the breast",
        "a pacemaker, a port, or a large marker",
        ("foreign_body_area",),
    ),
    "metal": PixelRule(
        lambda p: (foreign_objects.thin_metal(p.frame_HW, p.mask_HW, p.shrunk),),
        "longest small white thing, of the height",
        "clips, localisation wires, or skin markers",
        ("metal_length",),
    ),
}


def screen_pixels(measures: Measures, screening: Screening) -> tuple[str, tuple[str, ...]]:
    """Ask the rules of the pixels: the reason of a refusal (empty if there is none), and the flags."""
    holding = [name for name, rule in PIXEL_RULES.items() if rule.holds(measures[name], screening)]
    return judge(holding, screening.only_flag)


def measure(pixels: Pixels) -> Measures:
    """Measure a picture for every rule."""
    return {name: rule.measure(pixels) for name, rule in PIXEL_RULES.items()}
