"""What SQLite has in memory, by its own account: for functions that gather without any limit of SQLite's.

``json_group_array()`` and ``json_group_object()`` are refused a result that is too large only once they have gathered
it: 375 MB within 2 s. So a query that uses them is looked at every so many instructions. Each look takes Python's lock,
which ordinary reads need, too: so there are as few looks as the program of the query allows.
"""

from __future__ import annotations

import ctypes
import sqlite3
from collections.abc import Callable

__all__ = ["BETWEEN_LOOKS", "MOST_GATHERED", "looks", "memory_in_use"]

#: What such a query may have gathered at a look, and what it may gather from one look to the next, in bytes. SQLite
#: takes twice the memory at most.
MOST_GATHERED, BETWEEN_LOOKS = 16_000_000, 14_000_000
#: A value of such a query has this size at most. Where its looks would be more frequent than this, it is half as large.
_LARGEST, _RARELY = 20_000, 700  # bytes, instructions


def looks(most: int, gathered: float) -> tuple[int, int]:
    """Returns how large a value may be, and how many instructions may lie between two looks.

    Args:
        most: how large a value may be by its program.
        gathered: as program.py has it.
    """
    largest = min(most, max(_LARGEST // 2, min(_LARGEST, int(BETWEEN_LOOKS / (gathered * _RARELY)))))
    return largest, max(1, int(BETWEEN_LOOKS / (gathered * largest)))


def _find() -> Callable[[], int] | None:
    """SQLite's own function, in the library that this Python has; None: it can't be found, or keeps no account."""
    try:
        import _sqlite3

        # PyDLL keeps Python's lock: letting go of it and taking it again would cost more than the call.
        call = ctypes.PyDLL(_sqlite3.__file__).sqlite3_memory_used
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
