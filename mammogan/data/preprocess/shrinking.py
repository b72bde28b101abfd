"""From stored values to grey at the picture's size; what is black is neither mapped nor averaged.

Half of a mammogram is empty. Whole rows and columns of it are left out of the area filter, which takes most
of the time, in steps after which the filter's weights repeat: so the picture is the one of the whole frame.

Shape suffixes: H x W pixels.
"""

from __future__ import annotations

from math import gcd

import cv2
import numpy as np
from numpy.typing import NDArray

Levels = NDArray[np.uint16]
Patterns = NDArray[np.unsignedinteger]
"""Stored values as they lie in memory: places in the table of greys."""
LEAST_STEPS = 4


def shrunk(patterns_HW: Patterns, table: Levels, top_px: tuple[int, int]) -> tuple[Levels, float]:
    """Map values by `table`, scale the frame to fit into `top_px`, aspect true, and say by how much."""
    height, width = patterns_HW.shape
    scale = min(top_px[0] / height, top_px[1] / width)
    size = (
        min(max(round(height * scale), 1), top_px[0]),
        min(max(round(width * scale), 1), top_px[1]),
    )
    if scale >= 1:
        grey = cv2.LUT(patterns_HW, table)
        return cv2.resize(grey, size[::-1], interpolation=cv2.INTER_LINEAR), scale
    rows, columns = _lit(patterns_HW, table, (gcd(height, size[0]), gcd(width, size[1])))
    (top, bottom), (above, below) = _in_steps(rows, height, size[0])
    (left, right), (before, behind) = _in_steps(columns, width, size[1])
    frame = np.zeros(size, np.uint16)
    if bottom > top and right > left:
        grey = cv2.LUT(patterns_HW[top:bottom, left:right], table)
        # Any other filter aliases when it shrinks, and a generator would learn the aliases.
        inside = (behind - before, below - above)
        frame[above:below, before:behind] = cv2.resize(grey, inside, interpolation=cv2.INTER_AREA)
    return frame, scale


def _lit(patterns_HW: Patterns, table: Levels, steps: tuple[int, int]) -> tuple[slice, slice]:
    """Give rows and columns outside of which everything is black; all of them where that is not quickly seen.

    It is where the blacks are all at one end of the table. Where there are few `steps`, nothing is gained.
    """
    rows, columns = (slice(0, length) for length in patterns_HW.shape)
    grey = np.flatnonzero(table)
    if not grey.size:
        return slice(0, 0), slice(0, 0)
    first, last = int(grey[0]), int(grey[-1])
    if (first == 0) == (last == len(table) - 1):
        return rows, columns

    def lit(part_HW: Patterns, axis: int) -> slice:
        return _span(part_HW.max(axis=axis) >= first if first else part_HW.min(axis=axis) <= last)

    if steps[0] >= LEAST_STEPS:
        rows = lit(patterns_HW, 1)
    if steps[1] >= LEAST_STEPS and rows.stop:
        columns = lit(patterns_HW[rows], 0)
    return rows, columns


def _span(lit: NDArray[np.bool_]) -> slice:
    places = np.flatnonzero(lit)
    return slice(int(places[0]), int(places[-1]) + 1) if places.size else slice(0, 0)


def _in_steps(lit: slice, length: int, size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Widen a span to places where the borders of pixels before and after scaling meet: both spans."""
    steps = gcd(length, size)
    before, after = length // steps, size // steps
    first, last = lit.start // before, -(-lit.stop // before)
    return (first * before, last * before), (first * after, last * after)
