"""The errors of misuse, as this engine raises them: each is also the ``sqlite3`` error that people catch for it."""

from __future__ import annotations

import sqlite3

from ... import errors

__all__ = [
    "EmptyStatement",
    "NotAQuery",
    "SnapshotEnded",
    "TransactionEnded",
    "TransactionLost",
    "held_too_long",
    "read_only_error",
]


class EmptyStatement(errors.EmptyStatement, sqlite3.ProgrammingError):
    __doc__ = errors.EmptyStatement.__doc__


class NotAQuery(errors.NotAQuery, sqlite3.ProgrammingError):
    __doc__ = errors.NotAQuery.__doc__


class SnapshotEnded(errors.SnapshotEnded, sqlite3.ProgrammingError):
    __doc__ = errors.SnapshotEnded.__doc__


class TransactionEnded(errors.TransactionEnded, sqlite3.ProgrammingError):
    __doc__ = errors.TransactionEnded.__doc__


class TransactionLost(errors.TransactionLost, sqlite3.OperationalError):
    __doc__ = errors.TransactionLost.__doc__


def read_only_error() -> sqlite3.OperationalError:
    """SQLite's own, for a write in a database that was opened for reading alone."""
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    error.sqlite_errorname = "SQLITE_READONLY"
    error.add_note("it was opened with connect(read_only=True)")
    return error


def held_too_long(holder: str, max_hold: float) -> errors.TransactionTimeout:
    return errors.TransactionTimeout(
        f"the task {holder!r} held a transaction for more than max_hold={max_hold} s: it was rolled back; do slow work "
        "before the transaction"
    )
