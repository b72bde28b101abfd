"""Copies of pictures, changed as a generator that memorises would change them: what a detector must find.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.metrics.histogram_moments import WHITE

Image = NDArray[np.uint16]

KINDS = ("noise", "shift", "crop")
NOISE_SD = 0.03
"""Deviation of the noise, white being 1."""
SHIFT_PART = 0.03
"""Largest shift down or up, and into the picture, as a part of the side."""
CROP_PART = 0.9
"""Part of height and width that is left, and stretched to the whole."""


def plant(image_HW: Image, kind: str, random: np.random.Generator) -> Image:
    """Copy a picture with noise where it is not black, shifted, or cropped; a shift uncovers black."""
    height, width = image_HW.shape
    if kind == "noise":
        noisy_HW = image_HW + random.normal(0, NOISE_SD * WHITE, image_HW.shape) * (image_HW > 0)
        return np.asarray(np.clip(np.rint(noisy_HW), 0, WHITE), np.uint16)
    if kind == "shift":
        down, right = (max(1, round(random.uniform(0.3, 1) * SHIFT_PART * side)) for side in image_HW.shape)
        down *= int(random.choice([-1, 1]))
        matrix = np.array([[1, 0, right], [0, 1, down]], np.float32)
        return np.asarray(cv2.warpAffine(image_HW, matrix, (width, height), flags=cv2.INTER_NEAREST))
    assert kind == "crop", kind
    rows, columns = max(2, round(CROP_PART * height)), max(2, round(CROP_PART * width))
    top = int(random.integers(0, height - rows + 1))
    part_HW = np.ascontiguousarray(image_HW[top : top + rows, :columns])
    return np.asarray(cv2.resize(part_HW, (width, height), interpolation=cv2.INTER_LINEAR))
