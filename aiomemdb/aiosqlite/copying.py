"""``Connection.backup``: a database copied into another one."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TypeAlias

from ..concurrency.job import Operation
from ..sqlite.connection.guarded import GuardedConnection
from ..sqlite.engine.database import SQLiteDatabase
from ..sqlite.writing.session import Session

__all__ = ["copy_into", "copy_into_file"]

Progress: TypeAlias = Callable[[int, int, int], object]


async def copy_into_file(
    source: SQLiteDatabase, target: sqlite3.Connection, pages: int, progress: Progress | None
) -> None:
    """Copies the last committed state into a connection of sqlite3's."""
    if not isinstance(target, sqlite3.Connection):
        raise TypeError(f"target={target!r}: a connection of aiomemdb.aiosqlite, or of sqlite3")
    await source.read_fn(_copy, target, pages, progress)


def _copy(conn: sqlite3.Connection, target: sqlite3.Connection, pages: int, progress: Progress | None) -> None:
    assert isinstance(conn, GuardedConnection)
    conn.copy_into(target, progress or _ignore, pages=pages or -1)


def _ignore(status: int, remaining: int, total: int) -> None:
    pass


async def copy_into(source: SQLiteDatabase, target: SQLiteDatabase, pages: int, progress: Progress | None) -> None:
    """Copies the last committed state into an open database, in one transaction. It replaces all that is there.

    By way of a file: one connection can't be read on the thread of another.
    """
    with tempfile.TemporaryDirectory(prefix="aiomemdb-") as folder:
        copy = Path(folder) / "copy.db"
        await source.backup(copy)
        await target._write(_RESTORE, None, (copy, pages or -1, progress or _ignore), False, None)


def _restore(session: Session, copy: Path, pages: int, progress: Progress) -> None:
    with closing(sqlite3.connect(copy)) as source, session.turn():
        source.backup(session.connection, pages=pages, progress=progress)
        session.connection.look_at_schema()
        session.book.look()


_RESTORE: Operation[None] = Operation("backup", _restore, outside=True)
