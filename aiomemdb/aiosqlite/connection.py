"""Connections: many logical ones over one database."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable
from typing import Any, Literal, Self, TypeAlias, TypeVar, cast  # Any: a column may hold anything

import anyio

from ..concurrency.bell import call_on_loop
from ..sqlite.connection.script import split_script
from ..sqlite.interactive.connection import InteractiveConnection
from ..sqlite.interactive.errors import ConnectionClosed
from ..sqlite.interactive.rows import Answer
from ..sqlite.interactive.rule import Mode, Rule
from ..sqlite.interactive.texts import Kind, text_of
from .copying import copy_into, copy_into_file
from .cursor import Cursor, RowFactory, made_by
from .elsewhere import Elsewhere
from .results import Result
from .setting import SetOnAll
from .sharing import Shared, Target, share

__all__ = ["Connection", "IsolationLevel", "checked_isolation_level"]

R = TypeVar("R")

IsolationLevel: TypeAlias = Literal["", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"] | None
_LEVELS = frozenset(["", "DEFERRED", "IMMEDIATE", "EXCLUSIVE"])

#: What sqlite3 counts for a connection: many share one here, so they are answered.
_COUNTED = re.compile(
    r"\s*SELECT\s+(?P<what>last_insert_rowid|changes|total_changes)\s*\(\s*\)\s*(?:AS\s+(?P<name>\w+))?\s*;?\s*",
    re.IGNORECASE,
)


def checked_isolation_level(level: object) -> IsolationLevel:
    if level is None:
        return None
    if not isinstance(level, str):
        raise TypeError(f"isolation_level must be a string or None, not {type(level).__name__}")
    if level.upper() not in _LEVELS:
        raise ValueError("isolation_level string must be '', 'DEFERRED', 'IMMEDIATE', or 'EXCLUSIVE'")
    return cast(IsolationLevel, level.upper())


class Connection(SetOnAll):
    """A connection of a program's own. Made by ``connect``.

    It belongs to the loop that opens it. Calls from other loops and threads are served by a loop in a thread of the
    library's own.
    """

    _inner: InteractiveConnection | None = None  # of one that was not made, too

    def __init__(self, target: Target, iter_chunk_size: int, isolation_level: IsolationLevel, rule: Rule) -> None:
        self._target = target
        self._iter_chunk_size = iter_chunk_size
        self._isolation_level: IsolationLevel = isolation_level
        self._rule = rule
        self._row_factory: RowFactory | None = None
        self._text_factory: Callable[[bytes], Any] = str
        self._shared: Shared | None = None
        self._elsewhere: Elsewhere | None = None
        self._is_over = False
        self._last_rowid = self._changes = self._total_changes = 0

    def __repr__(self) -> str:
        state = "closed" if self._is_over else "not open" if self._inner is None else "open"
        return f"<aiomemdb.aiosqlite.Connection to {self._target.path or ':memory:'} {state}>"

    # Open and close

    def __await__(self) -> Generator[Any, None, Self]:
        return self._open().__await__()

    async def _open(self) -> Self:
        if self._is_over:
            raise ConnectionClosed("Connection closed")
        if self._inner is None:
            shared = await share(self._target)
            if self._is_taken:  # meanwhile, by another task
                shared.leave()
                return self
            self._shared = shared
            keeps = "foreign_keys" not in (self._target.options.get("pragmas") or {})
            self._inner = InteractiveConnection(shared.database, rule=self._rule, foreign_keys=False if keeps else None)
        return self

    @property
    def _is_taken(self) -> bool:
        return self._inner is not None or self._is_over

    async def __aenter__(self) -> Self:
        return await self

    async def __aexit__(self, *exc_info: object) -> None:
        with anyio.CancelScope(shield=True):
            await self.close()

    async def close(self) -> None:
        """Roll back what is open, and close the connection. The file is closed with the last one of it.

        Cancellation: the closing goes on.
        """
        closing = self._end()
        if closing is None:
            return
        await asyncio.shield(closing)

    def stop(self) -> asyncio.Future[None] | None:
        """As ``close``, without awaiting it. Prefer ``async with``, or ``await close()``."""
        closing = self._end()
        if closing is not None:
            return closing
        try:
            done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        except RuntimeError:
            return None
        done.set_result(None)
        return done

    def _end(self) -> asyncio.Task[None] | None:
        """Ends it at once; returns what is still to be waited for."""
        shared, inner = self._shared, self._inner
        if self._is_over or shared is None or inner is None:
            self._is_over = True
            return None
        self._is_over = True
        loop = shared.loop
        if loop.is_closed():  # the database goes with it
            return None
        elsewhere, self._elsewhere = self._elsewhere, None
        try:
            if asyncio.get_running_loop() is loop:
                return loop.create_task(_close(inner, shared, elsewhere), name="aiomemdb:aiosqlite:close")
        except RuntimeError:
            pass
        call_on_loop(loop, _close_soon, inner, shared, elsewhere)
        return None

    def __del__(self) -> None:
        if self._inner is None or self._is_over:
            return
        self._end()
        warnings.warn(
            f"{self!r} was deleted before being closed. "
            "Please use 'async with' or '.close()' to close the connection properly.",
            ResourceWarning,
            stacklevel=1,
            source=self,
        )

    def _check(self) -> InteractiveConnection:
        if self._is_over or self._inner is None:
            raise ConnectionClosed("Connection closed" if self._is_over else "no active connection")
        return self._inner

    # Statements

    async def _here(self, call: Callable[[InteractiveConnection], Awaitable[R]]) -> R:
        """Where the call comes from the connection's loop, on that; otherwise elsewhere."""
        inner = self._check()
        assert self._shared is not None
        if asyncio.get_running_loop() is self._shared.loop and self._elsewhere is None:
            return await call(inner)
        if self._elsewhere is None:
            self._elsewhere = Elsewhere(self._shared, inner)
        return await self._elsewhere.call(call)

    async def _run(self, sql: str, parameters: Iterable[Any] | None) -> Answer:
        text = text_of(sql)
        if len(sql) < 100 and text.kind is Kind.QUERY and (counted := _COUNTED.fullmatch(sql)) is not None:
            self._check()
            what = counted["what"].lower()
            value = {"last_insert_rowid": self._last_rowid, "changes": self._changes}.get(what, self._total_changes)
            return Answer((counted["name"] or sql.strip().rstrip(";")[6:].strip(),), [(value,)])
        begins = Mode.DEFERRED if text.kind is Kind.DML and self._isolation_level is not None else None
        params: Any = () if parameters is None else parameters
        inner, shared = self._check(), self._shared
        if shared is not None and self._elsewhere is None and asyncio.get_running_loop() is shared.loop:
            answer = await inner.execute(sql, params, begins=begins, text_factory=self._text_factory)
        else:
            answer = await self._here(
                lambda inner: inner.execute(sql, params, begins=begins, text_factory=self._text_factory)
            )
        self._count(answer.count, answer.rowid)
        return answer

    def _count(self, changed: int, rowid: int | None) -> None:
        if changed >= 0:
            self._changes = changed
            self._total_changes += changed
        if rowid is not None:
            self._last_rowid = rowid

    async def _run_many(self, sql: str, parameters: Iterable[Iterable[Any]]) -> int:
        begins = None if self._isolation_level is None else Mode.DEFERRED
        rows = cast(Any, parameters)
        count = await self._here(lambda inner: inner.execute_many(sql, rows, begins=begins))
        self._count(count, None)
        return count

    async def _run_script(self, sql_script: str) -> None:
        if not isinstance(sql_script, str):
            raise TypeError(f"executescript() argument must be str, not {type(sql_script).__name__}")
        await self.commit()
        for statement in split_script(sql_script):
            answer = await self._here(lambda inner, one=statement: inner.execute(one))  # type: ignore[misc]
            if answer.rest is not None:
                answer.rest.close()
            self._count(answer.count, answer.rowid)

    def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> Result[Cursor]:
        """Run one statement, and return a cursor of its rows.

        A query outside a transaction runs on a reader. The first INSERT, UPDATE, DELETE or REPLACE begins a
        transaction, unless ``isolation_level`` is None: then it is a job that shares its commit with others.

        Args:
            sql: one statement.
            parameters: a sequence for ``?`` or a mapping for ``:name``.

        Raises:
            sqlite3.OperationalError: "database is locked": the writer was not to be had for ``timeout``, or the
                transaction has read what is no longer the latest: roll it back, and run it again. Or, once, that the
                transaction was open for longer than ``max_hold``.
            sqlite3.Error: what SQLite says.
            ForbiddenStatement: ATTACH, and what else the library can't allow.

        Cancellation: as if it had not been called.
        """
        return Result(self._execute(sql, parameters))

    async def _execute(self, sql: str, parameters: Iterable[Any] | None) -> Cursor:
        inner, inserting = self._inner, None
        if self._isolation_level is None and inner is not None and self._elsewhere is None:
            inserting = inner.insert_soon(sql, parameters)
        if inserting is None:
            answer = await self._run(sql, parameters)
        else:
            answer = await inserting
            self._count(answer.count, answer.rowid)
        return Cursor(self, answer)

    def cursor(self) -> Result[Cursor]:
        """Return a cursor."""
        return Result(self._cursor())

    async def _cursor(self) -> Cursor:
        self._check()
        return Cursor(self)

    def execute_insert(self, sql: str, parameters: Iterable[Any] | None = None) -> Result[Any]:
        """Run an insert, and return a row with the rowid that the connection inserted last."""
        return Result(self._execute_insert(sql, parameters))

    async def _execute_insert(self, sql: str, parameters: Iterable[Any] | None) -> Any:
        await self._run(sql, parameters)
        [row] = made_by(self._row_factory, ("last_insert_rowid()",), [(self._last_rowid,)])
        return row

    def execute_fetchall(self, sql: str, parameters: Iterable[Any] | None = None) -> Result[list[Any]]:
        """Run a query, and return all its rows."""
        return Result(self._execute_fetchall(sql, parameters))

    async def _execute_fetchall(self, sql: str, parameters: Iterable[Any] | None) -> list[Any]:
        return await (await self._execute(sql, parameters)).fetchall()

    def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> Result[Cursor]:
        """Run one statement for each of many parameter sets, all or nothing."""
        return Result(Cursor(self).executemany(sql, parameters))

    def executescript(self, sql_script: str) -> Result[Cursor]:
        """Commit what is open, then run several statements; they may BEGIN and COMMIT."""
        return Result(Cursor(self).executescript(sql_script))

    async def commit(self) -> None:
        """Commit the transaction, if one is open.

        Cancellation: it commits.
        """
        await self._here(InteractiveConnection.commit)

    async def rollback(self) -> None:
        """Roll the transaction back, if one is open."""
        await self._here(InteractiveConnection.rollback)

    async def interrupt(self) -> None:
        """Interrupt the statements of this connection that run, and no others."""
        self._check().interrupt()

    # What it has

    @property
    def in_transaction(self) -> bool:
        return self._check().in_transaction or (self._elsewhere is not None and self._elsewhere.in_transaction)

    @property
    def total_changes(self) -> int:
        """How many rows the statements of this connection have changed."""
        self._check()
        return self._total_changes

    @property
    def isolation_level(self) -> IsolationLevel:
        self._check()
        return self._isolation_level

    @isolation_level.setter
    def isolation_level(self, value: IsolationLevel) -> None:
        inner = self._check()
        self._isolation_level = checked_isolation_level(value)
        if value is None:  # as sqlite3 does
            inner.commit_soon()

    @property
    def row_factory(self) -> RowFactory | None:
        self._check()
        return self._row_factory

    @row_factory.setter
    def row_factory(self, factory: RowFactory | None) -> None:
        self._check()
        self._row_factory = factory

    @property
    def text_factory(self) -> Callable[[bytes], Any]:
        self._check()
        return self._text_factory

    @text_factory.setter
    def text_factory(self, factory: Callable[[bytes], Any]) -> None:
        self._check()
        self._text_factory = factory

    # Copies

    async def iterdump(self) -> AsyncIterator[str]:
        """Return the database as SQL, line by line; what an open transaction has changed is in it."""
        for line in await self._here(lambda inner: inner.read(_dumped)):
            yield line

    async def backup(
        self,
        target: Connection | sqlite3.Connection,
        *,
        pages: int = 0,
        progress: Callable[[int, int, int], object] | None = None,
        name: str = "main",
        sleep: float = 0.250,
    ) -> None:
        """Copy the last committed state into another database, which it replaces.

        Args:
            target: a connection of this library's, or of ``sqlite3``.
            pages: at a time; 0: all.
            progress: called with (status, pages left, pages in all).
            name: "main" alone.
            sleep: has no meaning: readers and writers are not kept waiting.
        """
        if name != "main":
            raise sqlite3.OperationalError(f"unknown database {name}")
        self._check()
        assert self._shared is not None
        if isinstance(target, Connection):
            target._check()
            assert target._shared is not None
            await copy_into(self._shared.database, target._shared.database, pages, progress)
        else:
            await copy_into_file(self._shared.database, target, pages, progress)


def _dumped(conn: sqlite3.Connection) -> list[str]:
    return list(conn.iterdump())


async def _close(inner: InteractiveConnection, shared: Shared, elsewhere: Elsewhere | None) -> None:
    try:
        await inner.close()
        if elsewhere is not None:
            await elsewhere.close()
    finally:
        closing = shared.leave()
        if closing is not None:
            await closing


def _close_soon(inner: InteractiveConnection, shared: Shared, elsewhere: Elsewhere | None) -> None:
    """On the loop, for a caller who does not wait."""
    inner.abandon()
    shared.loop.create_task(_close(inner, shared, elsewhere), name="aiomemdb:aiosqlite:close")
