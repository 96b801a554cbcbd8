"""What the kernel reports of a file."""

from __future__ import annotations

import ctypes
import os
import sys

__all__ = ["dirty_pages"]

_CACHESTAT = 451  # of every architecture; Linux 6.5


class _Range(ctypes.Structure):
    _fields_ = [("offset", ctypes.c_uint64), ("length", ctypes.c_uint64)]


class _Pages(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("cached", "dirty", "writeback", "evicted", "recently_evicted")]


def dirty_pages(path: str) -> int | None:
    """How many pages of a log are in memory alone; None where the kernel does not report it. Not of a database: to
    close it would drop SQLite's locks.
    """
    assert path.endswith("-wal")
    if sys.platform != "linux":
        return None
    whole, pages = _Range(0, 0), _Pages()
    descriptor = os.open(path, os.O_RDONLY)
    try:
        failed = ctypes.CDLL(None).syscall(_CACHESTAT, descriptor, ctypes.byref(whole), ctypes.byref(pages), 0)
    finally:
        os.close(descriptor)
    return None if failed else pages.dirty + pages.writeback
