"""How this process keeps memory: two lines of glibc's that make arrays of megabytes cheap to come by."""

from __future__ import annotations

import ctypes
import ctypes.util

_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of glibc's mallopt
LARGEST_KEPT = 32 << 20  # the most that glibc takes


def keep_pages() -> None:
    """Tell glibc to keep the freed pages of arrays up to 32 MB: else each is paged in anew, 1.3 times slower.

    Larger arrays come from the system and go back to it. They are few, and kept they would be cut to pieces
    by smaller ones: a step at 1280x1024 would take nearly twice the memory.
    """
    name = ctypes.util.find_library("c")
    libc = ctypes.CDLL(name) if name else None
    if libc is not None and hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, LARGEST_KEPT)
        libc.mallopt(_M_TRIM_THRESHOLD, 2**31 - 1)
