"""Keeping memory that large arrays have freed."""

from __future__ import annotations

import ctypes
import sys

# Parameters of glibc's mallopt, from malloc.h.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD = -1, -2, -3


def keep_freed_memory() -> None:
    """Has this process keep what it frees, up to its peak; elsewhere than on glibc it does nothing.

    glibc gives each array of over 128 KiB back to the system, which hands it out again page by page and
    zeroed: with pictures and feature maps that is a third of the time.
    """
    allocator = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if allocator is not None:
        allocator(_TRIM_THRESHOLD, 1 << 30)
        allocator(_TOP_PAD, 1 << 26)
        allocator(_MMAP_THRESHOLD, 1 << 25)
