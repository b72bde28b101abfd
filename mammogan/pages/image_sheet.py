"""Sheets of images side by side, as PNG.

Shape suffixes: N images, H x W pixels.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.image import imsave
from numpy.typing import NDArray

Image = NDArray[np.uint16]
GAP_PX = 2
WHITE = 0xFFFF
SCREEN = 1.6
"""Width over height of a screen."""
EMPTY = 0.3
"""How much a last row without images counts against a sheet, beside the logarithm of its misfit."""


def columns_for(images: int, shape_px: tuple[int, ...], blocks: int = 1) -> int:
    """Choose how many images of `shape_px` stand in a row, so that the sheet is about as wide as a screen.

    `blocks` is how many times so many images come below each other, each with rows of its own.
    """

    def misfit(columns: int) -> float:
        rows = blocks * -(-images // columns)
        aspect = columns * shape_px[1] / (rows * shape_px[0])
        empty = -images % columns / columns
        return abs(float(np.log(aspect / SCREEN))) + EMPTY * empty

    return min(range(1, images + 1), key=misfit)


def side_by_side(images: Sequence[Image]) -> Image:
    """Put images of one height beside each other, white lines between."""
    return sheet(images, len(images))


def sheet(images: Sequence[Image], columns: int, enlarge: int = 1, gap_px: int = GAP_PX) -> Image:
    """Lay out images of one size row by row, pixels repeated `enlarge` times, white lines between."""
    height, width = (side * enlarge for side in images[0].shape)
    rows = -(-len(images) // columns)
    canvas = np.full(
        (rows * (height + gap_px) - gap_px, columns * (width + gap_px) - gap_px), WHITE, dtype=np.uint16
    )
    for number, image_HW in enumerate(images):
        top, left = (number // columns) * (height + gap_px), (number % columns) * (width + gap_px)
        canvas[top : top + height, left : left + width] = image_HW.repeat(enlarge, 0).repeat(enlarge, 1)
    return canvas


def png(image_HW: Image) -> bytes:
    """Encode for the eye: 8-bit greyscale PNG."""
    stream = io.BytesIO()
    imsave(stream, image_HW >> 8, cmap="gray", vmin=0, vmax=255, format="png")
    return stream.getvalue()
