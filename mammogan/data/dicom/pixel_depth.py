"""How many bits of what is stored are grey: Bits Stored (0028,0101), the stream's own depth, and the values.

A value that needs more bits than Bits Stored would be masked, and wrap from white to black. High bits may
hold overlays (60xx,0102), as DICOM once allowed, or what is the same in every pixel; both are no grey.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset as Dicom

from mammogan.data.dicom.header import UnreadableError

Stored = NDArray[np.integer[Any]]

MOST_PX = 1 << 26
"""No mammogram has more; a header that says so would have memory set aside for it."""
FEW = 1e-3
"""A fraction of the frame: so many pixels may have high bits that nobody declares, such as burnt-in marks."""
OVERSHOOT = 1.03
"""A table that ends at 4096 is of 12 bits all the same."""
OVERLAYS = range(0x6000, 0x6020, 2)
BIT_POSITION = 0x0102


def fitting(dicom: Dicom, stored: Stored, stream_bits: int | None = None) -> Stored:
    """Return `stored`, which fits into the bits that `dicom` declares from now on.

    Parameters
    ----------
    stream_bits
        The depth that a compressed stream declares: where header and values disagree, it is believed.

    Raises
    ------
    UnreadableError
        ``bit-depth`` if many values need more bits than Bits Stored, and no stream says how many there are.
    """
    allocated, bits = int(dicom.BitsAllocated), int(dicom.BitsStored)
    high = max(int(dicom.get("HighBit", bits - 1)), bits - 1)
    if stream_bits is None or stored.dtype.kind == "i":
        if high >= allocated or _exceed(dicom, stored, high, FEW):
            raise UnreadableError("bit-depth")
        return stored
    # Many an encoder declares whole words, whatever is in them: that is no more than a hint. Of all others
    # the values are aligned at the lowest bit.
    high, few = (high, FEW) if stream_bits == allocated else (bits - 1, 0)
    if stream_bits < bits or (stream_bits > high + 1 and _exceed(dicom, stored, high, few)):
        bits, high = stream_bits, stream_bits - 1
    dicom.BitsStored, dicom.HighBit = bits, high
    return stored


def smallest_depth(greatest: int, declared: int) -> int:
    """Say how many bits values up to `greatest` have that are `declared` to have so many.

    What leaves its upper three quarters empty is of fewer bits, and what goes beyond is of more; depths are
    even ones, as detectors have them.
    """
    needed = round(greatest / OVERSHOOT).bit_length()
    return declared if needed in (0, declared, declared - 1) else needed + needed % 2


def _exceed(dicom: Dicom, stored: Stored, high: int, few: float) -> bool:
    """Say if more than the fraction `few` of the values need bits above `high`; overlays and signs do not."""
    signed, least = stored.dtype.kind == "i", -(1 << high)
    if int(stored.max()) < 1 << (high + 1) and not (signed and int(stored.min()) < least):
        return False
    words = stored.view(f"u{stored.dtype.itemsize}")
    above = words.astype(np.uint16) >> (high + 1)
    above[words == np.iinfo(words.dtype).max] = 0  # white in any depth, as marks burnt in are
    for group in OVERLAYS:
        place = dicom.get((group, BIT_POSITION))
        if place is not None and int(place.value or 0) > high:
            above &= ~np.uint16(1 << (int(place.value) - high - 1))
    if signed:
        above[(stored < 0) & (stored >= least)] = 0
    return bool(np.count_nonzero(above) > few * above.size and above.min() != above.max())
