"""How a lock of another program on the file is waited for."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from ...errors import DatabaseClosed, LockTimeout
from ..common.codes import primary_code
from .holders import holder_of_write_lock, note_wait

__all__ = ["retry_while_busy"]

T = TypeVar("T")


def retry_while_busy(
    call: Callable[[], T], lock_timeout: float, path: object, given_up: Callable[[], bool] = lambda: False
) -> T:
    """Runs ``call`` again while another program holds a lock that it needs.

    Raises:
        LockTimeout: for longer than ``lock_timeout``.
        DatabaseClosed: it was ``given_up`` meanwhile.
    """
    began = time.monotonic()
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if primary_code(error) != sqlite3.SQLITE_BUSY:
                raise
            if given_up():
                raise DatabaseClosed("closed while it waited for another program's lock on the file") from error
            waited = time.monotonic() - began
            if waited >= lock_timeout:
                holder = holder_of_write_lock(path) or "another program"
                raise LockTimeout(f"{holder} has kept {path} locked for {lock_timeout} s") from error
            note_wait(path, waited, lock_timeout, "SQLite's lock on the file", partial(holder_of_write_lock, path))
