"""A bound on what a deflated data set (PS3.5 A.5) may inflate to: a few megabytes can ask for all memory."""

from __future__ import annotations

import zlib

MOST_BYTES = 1 << 28
"""Twice what the largest mammogram has."""
STEP_BYTES = 1 << 20
GREATEST_RATIO = 1032
"""No deflated stream grows by more."""


def not_a_bomb(zipped: bytes) -> bytes:
    """Return a deflated stream as it is, if it inflates to at most `MOST_BYTES`; a damaged one, too.

    Raises
    ------
    MemoryError
        If it inflates to more. At no time is more than a step of it in memory.
    """
    if len(zipped) * GREATEST_RATIO <= MOST_BYTES:
        return zipped
    inflater, left, inflated = zlib.decompressobj(-zlib.MAX_WBITS), zipped, 0
    try:
        while left and not inflater.eof:
            inflated += len(inflater.decompress(left, STEP_BYTES))
            left = inflater.unconsumed_tail
            if inflated > MOST_BYTES:
                raise MemoryError
    except zlib.error:
        pass  # whoever inflates it says so
    return zipped
