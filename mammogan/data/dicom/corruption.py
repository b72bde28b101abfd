"""Signs of a stream that was cut or damaged and decoded all the same: rows that repeat, and rows that break.

Seen in files that were damaged on purpose: raw and JPEG lossless data go on in zeros, which decode to black
or to one grey; JPEG-LS goes on in stripes; a JPEG lossless stream with a hole shifts every row that follows.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mammogan.data.dicom.pixel_depth import Stored

Levels = NDArray[np.uint16]

WHITE = 65535
JUMP = 0.15
"""So much grey within two rows of the full picture is no skin line, which takes a millimetre to rise."""
FINE_PX = 640
EVERY = 16
"""Of so many rows or columns one is looked at: damage takes many."""


def repeated_rows(stored_HW: Stored) -> float:
    """Give the fraction of the frame's rows that repeat the row above, though they are not flat.

    Noise alone keeps two rows of tissue from being equal.
    """
    first = stored_HW[: stored_HW.shape[0] // EVERY * EVERY : EVERY]
    second = stored_HW[1::EVERY][: len(first)]
    steps = second[:, 1:] != second[:, :-1]
    equal = np.count_nonzero(steps & (first == second)[:, 1:], axis=1)
    textured = np.count_nonzero(steps, axis=1)
    return float(np.mean((textured >= 16) & (equal >= 0.9 * textured))) if len(first) else 0.0


def row_break(frame_HW: Levels) -> float:
    """Give the fraction of the width that jumps at once from one row to the next or so: the worst row."""
    apart = 2 if frame_HW.shape[0] >= FINE_PX else 1  # a break between two rows may be smeared over three
    columns = np.ascontiguousarray(frame_HW[:, ::EVERY])
    jumps = cv2.absdiff(columns[apart:], columns[:-apart]) > round(JUMP * WHITE)
    return float(np.count_nonzero(jumps, axis=1).max(initial=0) / columns.shape[1])
