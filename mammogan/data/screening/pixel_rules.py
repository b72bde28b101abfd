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
from mammogan.data.dicom.orientation import SILENT, Orientation
from mammogan.data.dicom.pixel_depth import Stored
from mammogan.data.screening import foreign_objects, judge

Levels = NDArray[np.uint16]
WHITE = 65535
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
    view
        The view that the header names.
    lying
        What Patient Orientation says of the stored frame; `frame_HW` is turned by that.
    """

    stored_HW: Stored
    frame_HW: Levels
    mask_HW: Mask
    constant: bool
    no_window: bool
    view: str = ""
    lying: Orientation = SILENT

    @cached_property
    def shrunk(self) -> foreign_objects.Working:
        """Frame and mask at the size that foreign objects are looked for at."""
        return foreign_objects.shrink(self.frame_HW, self.mask_HW)


def above(value: float, threshold: Any) -> bool:
    """Whether a measure is above its threshold."""
    return bool(value > threshold)


def below(value: float, threshold: Any) -> bool:
    """Whether a measure is below its threshold."""
    return bool(value < threshold)


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
        limits = [getattr(screening, key) for key in self.thresholds] or [0] * len(values)
        return any(map(self.speaks, values, limits))


def _imbalance(pixels: Pixels) -> float:
    """Compute how much brighter the half away from the chest wall is; above 0 also where both are equal.

    A crop that cuts the breast on both sides hasn't two halves to compare.
    """
    mask = pixels.shrunk.mask_HW
    if min(mask[:, 0].mean(), mask[:, -1].mean()) > CUT:
        return -1.0
    inside = cv2.copyTo(pixels.shrunk.levels_HW, pixels.shrunk.mask_HW.view(np.uint8))
    middle = inside.shape[1] // 2
    inner, outer = cv2.sumElems(inside[:, :middle])[0], cv2.sumElems(inside[:, middle:])[0]
    return float(outer - inner + 0.5)  # both are sums of whole numbers


CUT = 0.5
"""Of an edge's pixels: where more of them are breast, it cuts the breast."""
SHOWN = (
    "laid by that, the pixels show the chest wall on the right instead of the left",
    "laid by that, the pixels show the chest wall at the top",
    "laid by that, the pixels show the chest wall at the bottom",
    "laid by that, the pixels show the armpit at the bottom",
    "that is how an oblique view of the other breast hangs",
)
"""What speaks against Patient Orientation."""
EDGE, EDGE_SHARE = 0.04, 0.1
"""A breast reaches an edge within that fraction of the height, as detectors have blank strips along them;
where it reaches so much more of another edge than of the left one, it lies wrong."""


def _conflict(pixels: Pixels) -> tuple[float, ...]:
    """Measure for each of `SHOWN` how much speaks for it; nothing does where Patient Orientation is silent.

    A breast is cut by the frame at the chest wall, and an oblique view's at the armpit.
    """
    if not pixels.lying.tag:
        return (-1.0,) * len(SHOWN)
    mask = pixels.shrunk.mask_HW
    px = round(EDGE * mask.shape[0])
    rows, columns = (mask[:, :px], mask[:, -px:]), (mask[:px], mask[-px:])
    left, right = (float(strip.any(axis=1).mean()) for strip in rows)
    top, bottom = (float(strip.any(axis=0).mean()) for strip in columns)
    wrong = [right - left, top - left, bottom - left, bottom - top if pixels.view == "MLO" else -1.0]
    if _imbalance(pixels) > 1:  # speaks, too, but any edge that the breast reaches says more
        wrong[0] = max(wrong[0], EDGE_SHARE + 0.01)
    wrong.append(float(pixels.lying.other_breast))
    return tuple(share - EDGE_SHARE for share in wrong)


def contradiction(measures: Measures, lies: str) -> str:
    """Say in words what Patient Orientation says and what speaks against it; empty if nothing does."""
    values = measures["orientation-conflict"]
    worst = int(np.argmax(values))
    if values[worst] <= 0:
        return ""
    return f"Patient Orientation is '{lies}'; {SHOWN[worst]}"


def _greys(pixels: Pixels) -> float:
    """Count the stored values that make up 95 % of the frame, its most frequent one (the background) aside.

    Where less than a hundredth of the frame is left, only one grey beside it says something: the mask of a
    small finding.
    """
    every = max(min(pixels.stored_HW.shape) // 256, 1)
    sample = np.ascontiguousarray(pixels.stored_HW[::every, ::every])
    counts = np.sort(np.bincount(sample.view(f"u{sample.itemsize}").ravel()))[-2::-1]
    many = int(counts.sum())
    if many < sample.size // 100:
        return 1.0 if np.count_nonzero(counts) == 1 else float(WHITE)
    return float(np.searchsorted(np.cumsum(counts), 0.95 * many) + 1)


def _row_break(pixels: Pixels) -> float:
    """Look for breaks along what were rows when the stream was written."""
    return corruption.row_break(pixels.frame_HW.T if pixels.lying.turn.swaps else pixels.frame_HW)


def _percentile(pixels: Pixels, percent: float) -> float:
    """Compute a percentile of the breast's grey, 0 to 1; of the whole frame where no breast was found."""
    seen = pixels.shrunk
    inside = seen.levels_HW[seen.mask_HW] if seen.mask_HW.any() else seen.levels_HW
    return float(np.percentile(inside, percent)) / WHITE


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
    "few-greys": PixelRule(
        lambda p: (_greys(p),),
        "how many stored values make up the frame",
        "an outline, a mask of a lesion, or a picture of a few greys",
        ("few_greys",),
        below,
    ),
    "half-decoded": PixelRule(
        lambda p: (_row_break(p), corruption.repeated_rows(p.stored_HW)),
        "width that jumps at one row; rows that repeat others",
        "a damaged stream that decoded all the same",
        ("row_break", "repeated_rows"),
    ),
    "too-dark": PixelRule(
        lambda p: (_percentile(p, 99),),
        "the grey that 99 % of the breast are below",
        "nearly black: a wrong window, or fewer bits than the header says",
        ("too_dark",),
        below,
    ),
    "too-bright": PixelRule(
        lambda p: (_percentile(p, 50),),
        "the breast's median grey",
        "nearly white: a wrong window, or more bits than the header says",
        ("too_bright",),
    ),
    "breast-area": PixelRule(
        lambda p: (float(p.shrunk.mask_HW.mean()),),
        "the breast's share of the frame",
        "a close-up, a failed exposure, or a breast that was not found",
        ("breast_area",),
        outside,
    ),
    "orientation": PixelRule(
        lambda p: (-1.0 if p.lying.tag else _imbalance(p),),
        "which half of the frame is the brighter",
        "the wrong side in the header, or a mirrored picture",
    ),
    "orientation-conflict": PixelRule(
        _conflict,
        "which edges of the frame cut the breast, laid by Patient Orientation",
        "the pixels lie another way than Patient Orientation says",
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
