"""The connection below SQLAlchemy's adapter: what ``driver_connection`` returns, and ``run_async`` gets."""

from __future__ import annotations

import asyncio
import math
import re
import sqlite3
from collections.abc import Callable, Iterable
from threading import get_ident
from typing import Any, NoReturn, Protocol  # Any: SQLAlchemy hands on what its user gave

from ...concurrency.bell import call_on_loop
from ...errors import AiomemdbError, DatabaseClosed, ForkedError, WrongLoop
from ...sqlite.connection import settings
from ...sqlite.connection.settings import Setting
from ...sqlite.engine.database import SQLiteDatabase
from ...sqlite.interactive.connection import InteractiveConnection
from ...sqlite.interactive.rows import Answer
from ...sqlite.interactive.rule import Mode, Rule
from ...sqlite.interactive.texts import Kind, text_of

__all__ = ["ConnectionLost", "DriverConnection", "Used", "raise_as_known"]


class Used(Protocol):
    """A database that a connection uses: it is closed with the last one, or it is the caller's."""

    loop: asyncio.AbstractEventLoop
    database: SQLiteDatabase

    def leave(self) -> asyncio.Task[None] | None:
        """One user less; returns the closing, where it was the last one. On the loop."""
        ...


class ConnectionLost(sqlite3.OperationalError):
    """The connection's database is closed, or of another loop or process: a new connection may do better."""


def raise_as_known(error: Exception) -> NoReturn:
    """Raises ``error`` as SQLAlchemy knows it: errors of ``sqlite3`` are the driver's. ``applied`` is kept."""
    if isinstance(error, sqlite3.Error) or not isinstance(error, AiomemdbError):
        raise error
    is_lost = isinstance(error, WrongLoop | DatabaseClosed | ForkedError)
    known = ConnectionLost(str(error)) if is_lost else sqlite3.OperationalError(str(error))
    known.applied = error.applied  # type: ignore[attr-defined]
    raise known from error


def _regexp(pattern: str, text: str | None) -> bool | None:
    return None if text is None else re.search(pattern, text) is not None


#: What SQLAlchemy's SQLite has on each connection.
_FUNCTIONS = (
    settings.function("regexp", 2, _regexp, deterministic=True),
    settings.function("floor", 1, math.floor, deterministic=True),
)


class DriverConnection:
    """One connection of an engine: transactions by the rule, on a database that it shares.

    Functions, collations and callbacks are the database's: each connection of it has them, and of two of one name the
    later counts.

    Attributes:
        isolation_level: as sqlite3's: "" begins a transaction before a statement that writes, None does not.
        is_reading_uncommitted: what was asked for; nothing uncommitted is ever read.
    """

    def __init__(self, used: Used, rule: Rule) -> None:
        self._used = used
        self._connection = InteractiveConnection(used.database, rule=rule)
        self._thread = get_ident()
        self._has_begun = False
        self._is_lost = False
        self._may_load_extensions = False
        self._has_left = False
        self.isolation_level: str | None = ""
        self.is_reading_uncommitted: bool = False
        for setting in _FUNCTIONS:
            used.database._set(setting)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._connection!r}>"

    @property
    def is_usable(self) -> bool:
        """Whether a call can come to anything: from here, now."""
        try:
            self._used.database._check()
        except AiomemdbError:
            return False
        return not self._connection.is_closed

    @property
    def in_transaction(self) -> bool:
        return self._connection.in_transaction

    @property
    def read_only(self) -> bool:
        """Whether it may only read. Set outside a transaction."""
        return self._connection.chosen.query_only

    @read_only.setter
    def read_only(self, value: bool) -> None:
        self._connection.chosen.query_only = value

    # Statements

    async def execute(self, sql: str, params: Any = (), *, locks: bool = False) -> Answer:
        """Runs one statement. ``locks``: SELECT … FOR UPDATE."""
        begins = None
        if self.isolation_level is not None and text_of(sql).kind is Kind.DML:
            begins = Mode.DEFERRED
        self._look()
        try:
            answer = await self._connection.execute(sql, params, begins=begins, locks=locks)
        except BaseException:
            self._note_error()
            raise
        self._has_begun = self._connection.in_transaction
        return answer

    async def execute_many(self, sql: str, rows: Iterable[Any]) -> int:
        """Runs one statement for each of many parameter sets; returns how many rows they changed."""
        self._look()
        try:
            begins = None if self.isolation_level is None else Mode.DEFERRED
            count = await self._connection.execute_many(sql, rows, begins=begins)
        except BaseException:
            self._note_error()
            raise
        self._has_begun = self._connection.in_transaction
        return count

    # Transactions

    def _note_error(self) -> None:
        in_transaction = self._connection.in_transaction
        self._is_lost = self._has_begun and not in_transaction
        self._has_begun = self._has_begun or in_transaction

    def _look(self) -> None:
        """What follows in a transaction that is gone would be committed alone."""
        if self._is_lost:
            raise sqlite3.OperationalError("the transaction is gone, rolled back by an earlier error: roll back first")

    async def begin(self) -> None:
        """Begins a transaction with the next statement, unless ``isolation_level`` is None."""
        if self.isolation_level is not None and not self._has_begun:
            await self._connection.begin()
            self._has_begun = True

    async def commit(self) -> None:
        is_lost, self._is_lost, self._has_begun = self._is_lost, False, False
        if is_lost:
            raise sqlite3.OperationalError("the transaction is gone, rolled back by an earlier error: run it again")
        await self._connection.commit()

    async def rollback(self) -> None:
        self._is_lost = self._has_begun = False
        await self._connection.rollback()

    # The end

    async def close(self) -> None:
        """Rolls back what is open, and leaves the database.

        Cancellation: all of that is done all the same.
        """
        if asyncio.get_running_loop() is not self._used.loop:  # an engine outlives its loop
            self.terminate()
            return
        try:
            await self._connection.close()
        finally:
            closing = self._leave()
        if closing is not None:
            await asyncio.shield(closing)

    def terminate(self) -> None:
        """As ``close``, from any thread; nothing is awaited."""
        if get_ident() == self._thread and self._used.loop.is_running():
            self._abandon()
        else:
            call_on_loop(self._used.loop, self._abandon)

    def _abandon(self) -> None:
        self._connection.abandon()
        self._leave()

    def _leave(self) -> asyncio.Task[None] | None:
        has_left, self._has_left = self._has_left, True
        return None if has_left else self._used.leave()

    # What the database has from here on

    def _set(self, setting: Setting) -> None:
        self._used.database._set(setting)

    async def create_function(
        self, name: str, narg: int, func: Callable[..., Any] | None, *, deterministic: bool = False
    ) -> None:
        self._set(settings.function(name, narg, func, deterministic=deterministic))

    async def create_aggregate(self, name: str, n_arg: int, aggregate_class: Callable[[], Any] | None) -> None:
        self._set(settings.aggregate(name, n_arg, aggregate_class))

    async def create_window_function(self, name: str, num_params: int, aggregate_class: Any) -> None:
        self._set(settings.window_function(name, num_params, aggregate_class))

    async def create_collation(self, name: str, callable: Callable[[str, str], int] | None) -> None:
        self._set(settings.collation(name, callable))

    async def set_trace_callback(self, handler: Callable[[str], object] | None) -> None:
        self._set(settings.trace_callback(handler))

    async def set_progress_handler(self, handler: Callable[[], int | None] | None, n: int) -> None:
        self._set(settings.progress_handler(handler, n))

    async def set_authorizer(self, authorizer_callback: Callable[..., int] | None) -> None:
        self._set(settings.authorizer(authorizer_callback))

    async def enable_load_extension(self, value: bool) -> None:
        self._may_load_extensions = bool(value)

    async def load_extension(self, path: str, *, entrypoint: str | None = None) -> None:
        if not self._may_load_extensions:
            raise sqlite3.OperationalError("not authorized")
        self._set(settings.extension(path, **({} if entrypoint is None else {"entrypoint": entrypoint})))
