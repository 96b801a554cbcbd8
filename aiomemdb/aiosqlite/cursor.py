"""Cursors: the rows of a statement, made by the row factory as they are fetched."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from typing import Any, Protocol, Self, TypeAlias  # Any: a row factory may make anything

from ..sqlite.common.rows import cursor_of
from ..sqlite.interactive.rows import Answer, Values

__all__ = ["Cursor", "Description", "RowFactory", "made_by"]

RowFactory: TypeAlias = Callable[[sqlite3.Cursor, Values], Any]
Description: TypeAlias = tuple[tuple[str, None, None, None, None, None, None], ...]

_PART = 1000  # rows that fetchall() gets at once


class Owner(Protocol):
    """What a cursor needs of its connection."""

    _iter_chunk_size: int
    _row_factory: RowFactory | None
    _last_rowid: int

    def _check(self) -> object: ...
    async def _run(self, sql: str, parameters: Iterable[Any] | None) -> Answer: ...
    async def _run_many(self, sql: str, parameters: Iterable[Iterable[Any]]) -> int: ...
    async def _run_script(self, sql_script: str) -> None: ...


class Cursor:
    """One statement at a time, and its rows. Made by ``Connection.cursor`` and ``Connection.execute``."""

    __slots__ = (
        "_answer",
        "_connection",
        "_is_closed",
        "_last_rowid",
        "_rows",
        "arraysize",
        "iter_chunk_size",
        "row_factory",
    )

    def __init__(self, connection: Owner, answer: Answer | None = None) -> None:
        self.iter_chunk_size: int = connection._iter_chunk_size
        self.arraysize: int = 1
        self.row_factory: RowFactory | None = connection._row_factory
        self._connection = connection
        self._answer = answer or Answer()
        self._rows: deque[Values] | None = None  # made when the first is fetched
        self._last_rowid: int | None = None if answer is None else connection._last_rowid
        self._is_closed = False

    def __repr__(self) -> str:
        return f"<aiomemdb.aiosqlite.Cursor {'closed' if self._is_closed else f'of {self._connection!r}'}>"

    def _check(self) -> None:
        self._connection._check()
        if self._is_closed:
            raise sqlite3.ProgrammingError("Cannot operate on a closed cursor.")

    def _take(self, answer: Answer) -> Self:
        self._let_go()
        self._answer, self._rows = answer, None
        return self

    @property
    def _waiting(self) -> deque[Values]:
        if self._rows is None:
            self._rows = deque(self._answer.rows)
            self._answer.rows = ()
        return self._rows

    def _let_go(self) -> None:
        rest, self._answer.rest = self._answer.rest, None
        if rest is not None:
            rest.close()

    # Statements

    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Self:
        """Run one statement: see ``Connection.execute``."""
        self._check()
        self._take(await self._connection._run(sql, parameters))
        self._last_rowid = self._connection._last_rowid
        return self

    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Self:
        """Run one statement for each of the parameter sets, all or nothing."""
        self._check()
        count = await self._connection._run_many(sql, parameters)
        return self._take(Answer(count=count))

    async def executescript(self, sql_script: str) -> Self:
        """Commit what is open, then run several statements."""
        self._check()
        await self._connection._run_script(sql_script)
        return self._take(Answer())

    # Rows

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._iterate()

    async def _iterate(self) -> AsyncIterator[Any]:
        while rows := await self.fetchmany(self.iter_chunk_size):
            for row in rows:
                yield row

    async def fetchone(self) -> Any:
        """Return the next row, or None."""
        rows = await self._fetch(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Any]:
        """Return up to ``size`` rows, or ``arraysize``."""
        count = self.arraysize if size is None else size
        return await (self._fetch(count) if count > 0 else self.fetchall())  # as sqlite3 has it

    async def fetchall(self) -> list[Any]:
        """Return all rows that are left."""
        rows = await self._fetch(len(self._waiting))
        while self._answer.rest is not None:
            rows += await self._fetch(_PART)
        return rows

    async def _fetch(self, count: int) -> list[Any]:
        self._check()
        waiting = self._waiting
        rows: list[Values] = []
        while waiting and len(rows) < count:
            rows.append(waiting.popleft())
        answer = self._answer
        missing = count - len(rows)
        if missing > 0 and answer.rest is not None:
            wanted = max(missing, self.iter_chunk_size)
            found = await answer.rest.fetch(wanted)
            if len(found) < wanted:
                self._let_go()
            rows += found[:missing]
            waiting.extend(found[missing:])
        return made_by(self.row_factory, answer.columns, rows)

    async def close(self) -> None:
        """Give back what it holds; rows that were not fetched are dropped."""
        self._connection._check()
        self._is_closed = True
        self._rows = deque()
        self._let_go()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    # What the statement did

    @property
    def rowcount(self) -> int:
        return self._answer.count

    @property
    def lastrowid(self) -> int | None:
        """The rowid that the connection inserted last."""
        return self._last_rowid

    @property
    def description(self) -> Description | None:
        columns = self._answer.columns
        if columns is None:
            return None
        return tuple([(name, None, None, None, None, None, None) for name in columns])

    @property
    def connection(self) -> Any:
        """The connection that it is of."""
        return self._connection


def made_by(factory: RowFactory | None, columns: tuple[str, ...] | None, rows: list[Values]) -> list[Any]:
    """The rows as a row factory makes them of a cursor's description and the plain tuples."""
    if factory is None or not rows:
        return rows
    cursor = cursor_of(columns or ())
    return [factory(cursor, row) for row in rows]
