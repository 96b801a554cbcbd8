"""The file as plain sqlite3 sees it, after the database was closed.

These open it through the sqlite3 module, in this process. That is safe: POSIX drops all of a process's locks
on a file when any descriptor of it is closed, but SQLite keeps book of its own and closes none too early.
Reading it by open() is not safe while a database has it open (https://sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any


def plain(path: str | Path, sql: str, params: Sequence[object] | Mapping[str, object] = ()) -> list[tuple[Any, ...]]:
    """The rows of one statement, on a connection of its own."""
    with closing(_open(path)) as conn:
        return conn.execute(sql, params).fetchall()


def names_in(folder: Path) -> list[str]:
    """The files of a folder, sorted, without lock files: those are never deleted."""
    return sorted(file.name for file in folder.iterdir() if not file.name.endswith(("-lock", "-next")))


def assert_healthy(path: str | Path) -> None:
    """The file is whole, and no connection holds a transaction on it."""
    with closing(_open(path)) as conn:
        assert conn.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        try:
            conn.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise AssertionError(f"a transaction is still open on {path}: {error}") from error
        conn.execute("ROLLBACK")


def _open(path: str | Path) -> sqlite3.Connection:
    # A missing file is an error (mode=rw; sqlite3 would make one), and so is a lock (timeout=0).
    uri = Path(path).absolute().as_uri() + "?mode=rw"
    return sqlite3.connect(uri, uri=True, timeout=0, isolation_level=None)
