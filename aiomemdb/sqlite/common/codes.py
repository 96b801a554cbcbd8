"""What SQLite's result codes mean for a job: which job is at fault, and whether what the error struck may come back.

The codes: https://www.sqlite.org/rescode.html
"""

from __future__ import annotations

import sqlite3

__all__ = ["is_corruption", "is_doubtful", "is_no_jobs_fault", "is_undone", "primary_code"]

_NOBODYS_FAULT = frozenset([sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN])
_CONSTRAINT_DATATYPE = 3091  # sqlite3 does not name it
_CORRUPT = frozenset([sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB])
# After these nothing of an autocommitted statement can come back. 0: of Python's binding of the parameters.
_SURELY_NOT_APPLIED = frozenset(
    [
        0,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_PROTOCOL,
        sqlite3.SQLITE_RANGE,
        sqlite3.SQLITE_SCHEMA,
        sqlite3.SQLITE_TOOBIG,
    ]
)
_READING = frozenset(
    [
        sqlite3.SQLITE_IOERR_LOCK,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHMLOCK,
        sqlite3.SQLITE_IOERR_SHORT_READ,
    ]
)


def primary_code(error: BaseException) -> int:
    """The primary result code of an error of sqlite3, 0 for any other."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return 0 if code is None else code & 0xFF


def is_no_jobs_fault(connection: sqlite3.Connection, error: BaseException) -> bool:
    """Whether it is the disk's, and would strike any other job too."""
    code = primary_code(error)
    return code in _NOBODYS_FAULT and not (code == sqlite3.SQLITE_FULL and _has_autoincrement(connection))


def _has_autoincrement(connection: sqlite3.Connection) -> bool:
    """An AUTOINCREMENT table that has given its largest rowid answers as a full disk does, and takes the transaction
    with it, perhaps with the row that had that rowid. But that is the fault of the statement: where there is such a
    table, each job is to be tried alone (https://www.sqlite.org/autoinc.html).
    """
    find = "SELECT 1 FROM sqlite_schema WHERE sql LIKE '%AUTOINCREMENT%' LIMIT 1"
    try:
        return bool(connection.execute(find).fetchall())
    except sqlite3.Error:  # it is the disk's
        return False


def is_corruption(error: BaseException) -> bool:
    # CORRUPT_VTAB is what FTS5's integrity-check answers: the index disagrees with the table, not the file.
    return primary_code(error) in _CORRUPT and error.sqlite_errorcode != sqlite3.SQLITE_CORRUPT_VTAB  # type: ignore[attr-defined]


def is_undone(error: BaseException) -> bool:
    """Whether a statement that failed with it has surely left nothing in its transaction, if ``total_changes`` did not
    move.

    SQLite prepares to undo a statement only where it sees that a constraint or a function may refuse a row. Where any
    other error strikes, the rows before it stay, and are not counted: a malformed JSON in json_each(), a sum that
    overflows, a row that is too large, a wrong type in a STRICT table. What Python refuses never ran, except what it
    can't decode of RETURNING's rows.
    """
    if getattr(error, "sqlite_errorcode", None) is None:
        return not isinstance(error, sqlite3.OperationalError | MemoryError)
    refused = primary_code(error) in (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_AUTH)
    return refused and error.sqlite_errorcode != _CONSTRAINT_DATATYPE  # type: ignore[attr-defined]


def is_doubtful(error: BaseException) -> bool:
    """Whether it may be of the COMMIT of a statement in autocommit, so that the changes could come back."""
    if isinstance(error, sqlite3.Error):
        extended = getattr(error, "sqlite_errorcode", None)
        return primary_code(error) not in _SURELY_NOT_APPLIED and extended not in _READING
    return isinstance(error, MemoryError)
