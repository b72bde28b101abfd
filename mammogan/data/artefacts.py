"""Why an image is refused for what its pixels show: measures of its picture, and named rules over them.

The order of the table is the order of asking; the first rule that speaks gives the image its reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.config.screening import Screening
from mammogan.data.breast import Mask
from mammogan.data.decode import Stored
from mammogan.data.rules import judge

Levels = NDArray[np.uint16]

WHITE = 65535
SATURATED = 0.995
SMOOTH_FROM, SMOOTH_SD = 0.85, 0.01


@dataclass(frozen=True)
class Measures:
    """What the finished picture shows; `breast` is a fraction of the frame, the next two of the breast.

    `inner` and `outer` are the breast's brightness in the halves of the frame at the chest wall and away from
    it.
    """

    constant: bool
    no_window: bool
    breast: float
    saturated: float
    smooth_bright: float
    inner: float
    outer: float


PIXEL_RULES: dict[str, Callable[[Measures, Screening], bool]] = {
    "no-window": lambda m, s: m.no_window,
    "constant-image": lambda m, s: m.constant,
    "breast-area": lambda m, s: not s.breast_area[0] <= m.breast <= s.breast_area[1],
    "orientation": lambda m, s: m.inner <= m.outer,
    "implant-like": lambda m, s: m.smooth_bright > s.implant_area,
    "saturated-body": lambda m, s: m.saturated > s.saturated_area,
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
    image_HW = np.where(mask_HW, frame_HW, np.uint16(0)).astype(np.float32) / np.float32(WHITE)
    area = max(int(mask_HW.sum()), 1)
    saturated = image_HW >= SATURATED
    middle = image_HW.shape[1] // 2
    return Measures(
        constant=constant,
        no_window=no_window,
        breast=float(mask_HW.mean()),
        saturated=float(saturated.sum()) / area,
        smooth_bright=_smooth_bright(image_HW) * image_HW.size / area,
        inner=float(image_HW[:, :middle].sum(dtype=np.float64)),
        outer=float(image_HW[:, middle:].sum(dtype=np.float64)),
    )


def _smooth_bright(image_HW: NDArray[np.float32]) -> float:
    """Measure the largest bright region without texture, as a fraction of the picture."""
    small = cv2.resize(image_HW, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)  # noise averages out
    mean = cv2.blur(small, (7, 7))
    spread = cv2.blur(small * small, (7, 7)) - mean * mean
    smooth = ((mean > SMOOTH_FROM) & (spread < SMOOTH_SD**2)).astype(np.uint8)
    _, _, stats, _ = cv2.connectedComponentsWithStats(smooth)
    return float(max([0, *stats[1:, cv2.CC_STAT_AREA].tolist()]) / small.size)
