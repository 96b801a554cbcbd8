"""Tables of a framework: made once for each database, and refused where the file has others of their names."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from functools import cached_property
from typing import TypeAlias
from weakref import WeakKeyDictionary, WeakSet

from ..sqlite.engine.database import SQLiteDatabase

__all__ = ["Tables", "checked_database"]

#: By a table's name, its columns; of each, its place in the primary key, or 0.
Columns: TypeAlias = dict[str, dict[str, int]]


def checked_database(db: object, asker: object) -> SQLiteDatabase:
    """Return ``db``.

    Raises: TypeError: it is no database of ``aiomemdb.connect``; the message names the class of ``asker``.
    """
    if isinstance(db, SQLiteDatabase):
        return db
    name = type(asker).__name__
    raise TypeError(f"{name}({db!r}): it takes a database on an SQLite file that aiomemdb.connect() returned")


class Tables:
    """The tables of one framework, as a constant of its module.

    Args:
        owner: what they belong to, for messages: "LangGraph's checkpoints".
        statements: each makes one table, index or trigger, or puts in a row, where it is missing (``IF NOT EXISTS``,
            ``OR IGNORE``). Tables come before what refers to them.
        added: by (table, column), the declaration of a column that earlier versions of the framework did not make.
    """

    def __init__(self, owner: str, *statements: str, added: Mapping[tuple[str, str], str] | None = None) -> None:
        self._owner = owner
        self._statements = statements
        self._added = dict(added or {})
        self._made: WeakSet[SQLiteDatabase] = WeakSet()
        self._making: WeakKeyDictionary[SQLiteDatabase, asyncio.Lock] = WeakKeyDictionary()

    async def made_in(self, db: SQLiteDatabase) -> None:
        """Return when ``db`` has the tables. One job makes them, however many tasks ask at once.

        Where the file has them already, that is a read: a file opened with ``read_only=True`` will do.

        Raises:
            ValueError: the file has tables of these names that are other ones.
            Exception: what a read and a write raise: ``ReentrancyError`` inside a ``transaction()`` of the caller.

        Cancellation: another caller that waits makes them instead.
        """
        if db in self._made:
            return
        if not await db.read_fn(self._are_in):
            # Before it waits for a task that has a job behind the caller's own transaction.
            db.check_writable()
            async with self._making.setdefault(db, asyncio.Lock()):
                if db not in self._made:
                    await db.write_fn(self._make)
                    self._made.add(db)
        self._made.add(db)

    @cached_property
    def _wanted(self) -> tuple[set[str], Columns]:
        """The names of all that the statements make, and the tables' columns."""
        with closing(sqlite3.connect(":memory:")) as scratch:
            for statement in self._statements:
                scratch.execute(statement)
            return _names(scratch), _columns(scratch, _tables(scratch))

    def _are_in(self, conn: sqlite3.Connection) -> bool:
        names, columns = self._wanted
        if not names <= _names(conn):
            return False
        found = _columns(conn, columns)
        if any(column not in found[table] for table, column in self._added):
            return False
        self._check(found)
        return True

    def _make(self, conn: sqlite3.Connection) -> None:
        found = _columns(conn, self._wanted[1])
        to_add = [at for at in self._added if found[at[0]] and at[1] not in found[at[0]]]
        for table, column in to_add:
            found[table][column] = 0
        # First, as an index on another's table would fail with an error that says less.
        self._check({table: columns for table, columns in found.items() if columns})
        for table, column in to_add:
            conn.execute(f"ALTER TABLE {table} ADD COLUMN {column} {self._added[table, column]}")
        for statement in self._statements:
            conn.execute(statement)

    def _check(self, found: Columns) -> None:
        for table, has in found.items():
            wanted = self._wanted[1][table]
            if missing := sorted(wanted.keys() - has.keys()):
                raise self._other(table, f"it has no column {', '.join(missing)}")
            if any(has[name] != key for name, key in wanted.items()):
                raise self._other(table, "its primary key is another one")

    def _other(self, table: str, why: str) -> ValueError:
        return ValueError(
            f"the file has a table {table!r} that is none of {self._owner}: {why}; give {self._owner} another file"
        )


def _names(conn: sqlite3.Connection) -> set[str]:
    return {name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE sql IS NOT NULL")}


def _tables(conn: sqlite3.Connection) -> list[str]:
    return [name for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]


def _columns(conn: sqlite3.Connection, tables: list[str] | Columns) -> Columns:
    conn.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()  # a PRAGMA alone may answer from an older schema
    return {
        table: {row[1]: row[5] for row in conn.execute(f"PRAGMA table_info({table})").fetchall()} for table in tables
    }
