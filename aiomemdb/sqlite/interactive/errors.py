"""What callers hear of a transaction that can't go on: sqlite3's own errors, which they know."""

from __future__ import annotations

import sqlite3

from ...concurrency.job import copy_error
from ...errors import AiomemdbError, LockTimeout, TransactionTimeout, WriteTimeout
from ..common.codes import primary_code

__all__ = ["ConnectionClosed", "Ended", "as_known", "is_read_only", "is_stale", "locked", "stale"]


class ConnectionClosed(sqlite3.ProgrammingError, ValueError):
    """The connection is closed: sqlite3 raises the one, aiosqlite the other."""


class Ended(sqlite3.OperationalError):
    """The transaction ended before the call's turn came: it is another one's, or none's."""


def locked(timeout: float, holder: str | None) -> sqlite3.OperationalError:
    """The writer was waited for for too long."""
    error = _operational("database is locked", sqlite3.SQLITE_BUSY, "SQLITE_BUSY")
    by = f"{holder!r} keeps it" if holder else "others keep it"
    error.add_note(f"it was waited for for timeout={timeout:g} s, and {by}: commit before slow work, or raise timeout=")
    return error


def stale(why: str = "others have committed since it began") -> sqlite3.OperationalError:
    """A transaction has read a state that is not the latest, and so may not write."""
    error = _operational("database is locked", sqlite3.SQLITE_BUSY_SNAPSHOT, "SQLITE_BUSY_SNAPSHOT")
    error.add_note(f"this transaction has read, and {why}: roll it back, and run it again")
    return error


def _operational(message: str, code: int, name: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(message)
    error.sqlite_errorcode = code
    error.sqlite_errorname = name
    return error


def is_read_only(error: BaseException) -> bool:
    """Whether SQLite refused to write where nothing can be written: the statement has done nothing."""
    return primary_code(error) == sqlite3.SQLITE_READONLY


def is_stale(error: BaseException) -> bool:
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY_SNAPSHOT


def as_known(error: BaseException) -> BaseException:
    """The error for a caller who knows sqlite3's alone; ``applied`` is kept."""
    if isinstance(error, sqlite3.Error) or not isinstance(error, AiomemdbError):
        return error
    if isinstance(error, LockTimeout | WriteTimeout) and error.applied is False:
        known: sqlite3.Error = _operational("database is locked", sqlite3.SQLITE_BUSY, "SQLITE_BUSY")
        known.add_note(str(error))
    elif isinstance(error, TransactionTimeout):
        known = sqlite3.OperationalError(str(error))
    else:
        return error
    known.applied = error.applied  # type: ignore[attr-defined]
    known.__cause__ = copy_error(error)
    return known
