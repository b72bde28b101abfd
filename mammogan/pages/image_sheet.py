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


def sheet(images: Sequence[Image], columns: int, enlarge: int = 1) -> Image:
    """Lay out images of one size row by row, pixels repeated `enlarge` times, white lines between."""
    height, width = (side * enlarge for side in images[0].shape)
    rows = -(-len(images) // columns)
    canvas = np.full(
        (rows * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX), WHITE, dtype=np.uint16
    )
    for number, image_HW in enumerate(images):
        top, left = (number // columns) * (height + GAP_PX), (number % columns) * (width + GAP_PX)
        canvas[top : top + height, left : left + width] = image_HW.repeat(enlarge, 0).repeat(enlarge, 1)
    return canvas


def png(image_HW: Image) -> bytes:
    """Encode for the eye: 8-bit greyscale PNG."""
    stream = io.BytesIO()
    imsave(stream, image_HW >> 8, cmap="gray", vmin=0, vmax=255, format="png")
    return stream.getvalue()
