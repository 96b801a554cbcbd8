"""What SQLite has in memory, by its own account: for functions that gather without any limit of SQLite's.

``json_group_array()`` and ``json_group_object()`` are refused a result that is too large only once they have gathered
it: 375 MB within 2 s. So a query that uses them is looked at every few instructions.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable

__all__ = ["LARGEST_GATHERED", "LOOKS_EVERY", "MOST_GATHERED", "memory_in_use"]

#: What such a query may gather, in bytes.
MOST_GATHERED = 16_000_000
#: Between two looks: so many instructions, and each may gather a value of this size; in JSON, of six times that.
LOOKS_EVERY, LARGEST_GATHERED = 100, 20_000


def _find() -> Callable[[], int] | None:
    """SQLite's own function, in the library that this Python has; None: it can't be found, or keeps no account."""
    try:
        import _sqlite3

        call = ctypes.CDLL(_sqlite3.__file__).sqlite3_memory_used
    except (ImportError, OSError, AttributeError):
        return None
    call.restype = ctypes.c_int64
    call.argtypes = []
    scratch = sqlite3.connect(":memory:")
    try:
        return call if call() > 0 else None
    finally:
        scratch.close()


#: The bytes that SQLite has in memory now, of all connections.
memory_in_use: Callable[[], int] | None = _find()
