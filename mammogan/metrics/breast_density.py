"""The breast in a picture, and the dense part of it: a proxy for density, not a BI-RADS class.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.patch_sampling import breast

Mask = NDArray[np.bool_]
Image = NDArray[np.uint16]

WORKING_ROWS = 320
"""Height at which outline and density are looked for: there film grain is averaged away."""
SMOOTH_PART = 0.01
"""Deviation of the smoothing before densities are told apart, as a part of the height."""
CORNER_PART = 0.6
"""The pectoral muscle reaches down to this part of the height at most."""


def outline(image_HW: Image) -> Mask:
    """Outline the breast at full size, of reals and synthetics alike, as patches are sampled."""
    small_HW = _shrunk(image_HW)
    mask_HW = breast(small_HW)
    if mask_HW.shape == image_HW.shape:
        return mask_HW
    size = (image_HW.shape[1], image_HW.shape[0])
    whole_HW = cv2.resize(mask_HW.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    return np.asarray(whole_HW, dtype=bool)


def box(mask_HW: Mask) -> tuple[int, int, int, int]:
    """Give first row, first column, height and width of the box around the breast; zeros without one."""
    left, top, width, height = cv2.boundingRect(mask_HW.astype(np.uint8))
    return top, left, height, width


def depth(mask_HW: Mask) -> NDArray[np.float32]:
    """Give each pixel's distance in pixels to the outside of the breast; the picture's edge is no outside."""
    found = cv2.distanceTransform(mask_HW.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
    return np.asarray(found, np.float32)


def dense_share(image_HW: Image, *, oblique: bool) -> float:
    """Give the dense part of the breast's area: the brightest of three classes of grey; NaN without a breast.

    Classes are those that Otsu's criterion separates best (1979), in a smoothed picture. Of an `oblique` view
    (MLO), whose chest wall is on the left, the bright region in the upper left corner is taken away first: it
    is muscle.
    """
    small_HW = _shrunk(image_HW)
    mask_HW = breast(small_HW)
    sigma = max(0.5, SMOOTH_PART * small_HW.shape[0])
    smooth_HW = np.asarray(cv2.GaussianBlur(small_HW, (0, 0), sigma), np.float32)
    if oblique and mask_HW.any():
        mask_HW &= ~_muscle(smooth_HW, mask_HW)
    if not mask_HW.any():
        return float("nan")
    _, bright = thresholds(smooth_HW[mask_HW])
    return float((smooth_HW[mask_HW] > bright).mean())


def thresholds(values: NDArray[np.float32], bins: int = 128) -> tuple[float, float]:
    """Give the two thresholds that leave the largest variance between three classes."""
    low, high = float(values.min()), float(values.max())
    if high <= low:
        return low, high
    counts_K = np.histogram(values, bins, (low, high))[0]
    weight_K = np.append(0, counts_K.cumsum()) / len(values)
    sum_K = np.append(0, (counts_K * np.arange(bins)).cumsum()) / len(values)

    def between(first: NDArray[np.int64], last: NDArray[np.int64]) -> NDArray[np.float64]:
        weight, total = weight_K[last] - weight_K[first], sum_K[last] - sum_K[first]
        return np.asarray(total**2 / np.where(weight > 0, weight, 1))

    i, j = np.triu_indices(bins - 1, 1)
    i, j = i + 1, j + 1
    best = int(np.argmax(between(np.zeros_like(i), i) + between(i, j) + between(j, np.full_like(j, bins))))
    step = (high - low) / bins
    return low + step * float(i[best]), low + step * float(j[best])


def _muscle(smooth_HW: NDArray[np.float32], mask_HW: Mask) -> Mask:
    """Find the bright region that holds the upper left corner, up to the line across its two ends."""
    _, bright = thresholds(smooth_HW[mask_HW])
    regions = cv2.connectedComponents(((smooth_HW > bright) & mask_HW).astype(np.uint8))[1]
    found = np.zeros(mask_HW.shape, bool)
    top, left = np.flatnonzero(mask_HW[0]), np.flatnonzero(mask_HW[:, 0])
    if not len(top) or not len(left) or not regions[0, top[0]]:
        return found
    region = regions == regions[0, top[0]]
    across, down = region[0].sum(), region[: int(CORNER_PART * len(region)), 0].sum()
    if across and down:
        y, x = np.indices(mask_HW.shape)
        found = region & (x / across + y / down <= 1.0)
    return found


def _shrunk(image_HW: Image) -> NDArray[np.float32]:
    height, width = image_HW.shape
    if height <= WORKING_ROWS:
        return image_HW.astype(np.float32)
    size = (max(1, round(width * WORKING_ROWS / height)), WORKING_ROWS)
    return np.asarray(cv2.resize(image_HW, size, interpolation=cv2.INTER_AREA), np.float32)
