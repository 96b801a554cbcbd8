"""Statements outside a transaction: a query goes to a reader, what writes is a job, batched with all others."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Awaitable, Coroutine
from threading import get_ident
from typing import TypeVar

from ...concurrency.job import Operation, SomeFuture
from ...errors import AiomemdbError
from ..connection.arguments import are_plain
from ..engine.database import SQLiteDatabase
from ..reading.queries import SOME, Found, Wanted
from ..reading.readers import Readers
from ..writing.operations import ANY, WRITE
from ..writing.writer import Writer
from .errors import as_known, is_read_only, locked
from .pragmas import Preferences
from .rows import Answer
from .snapshots import Snapshot
from .texts import Text
from .work import answer_of

__all__ = ["Outside", "known"]

R = TypeVar("R")


class Outside:
    """Of one logical connection.

    Nothing of it is held for a job. A job waits for the writer up to ``chosen.timeout``, and one timer looks after all
    that wait.
    """

    def __init__(self, database: SQLiteDatabase, chosen: Preferences) -> None:
        self._database = database
        self._chosen = chosen
        self._waiting: deque[tuple[float, SomeFuture]] | None = None  # made when it is needed: it takes 0.6 KiB
        self._asked: set[SomeFuture] | None = None
        self._is_watching = False

    async def ask(self, sql: str, wanted: Wanted, *, may_write: bool) -> Answer | None:
        """Asks a reader; None: the statement would write.

        Raises: sqlite3.OperationalError: it would write, and may not.
        """
        database = self._database
        try:
            found = await self._found(database._reading(), sql, wanted)
            if found is not None:
                return Answer(found.columns, found.rows)
            limit = database._config.lock_timeout
            snapshot = Snapshot(database._reading(), timeout=self._chosen.timeout, lock_timeout=limit)
            return await snapshot.ask(sql, wanted, is_alone=True)
        except sqlite3.OperationalError as error:
            if may_write and is_read_only(error):
                return None
            raise

    async def _found(self, readers: Readers, sql: str, wanted: Wanted) -> Found | None:
        if readers.open_thread is None:  # something is to be waited for
            return await readers.read(SOME, sql, wanted, None)
        asked = readers.ask(SOME, sql, wanted)
        if self._asked is None:
            self._asked = set()
        self._asked.add(asked)
        try:
            return await asked
        except asyncio.CancelledError:
            readers.interrupt(asked)
            raise
        finally:
            self._asked.discard(asked)

    def interrupt(self) -> None:
        """Interrupts the queries that run."""
        for asked in tuple(self._asked or ()):
            self._database._reading().interrupt(asked)

    async def write(self, sql: str, text: Text, wanted: Wanted) -> Answer:
        """Runs it as a job."""
        if wanted.params.__class__ is tuple and (inserting := self.insert_soon(sql, wanted.params)) is not None:
            return await inserting
        return answer_of(await self.job(ANY, sql, wanted.params), text, wanted.text_factory)

    def insert_soon(self, sql: str, params: object) -> Coroutine[object, None, Answer] | None:
        """Enqueues an insert of one row, if it is known to be one and nothing is in the way, and returns its outcome,
        to be awaited: many of its kind are one statement.
        """
        writer = self._database._writer
        if get_ident() != writer.open_thread or params.__class__ is not tuple:
            return None
        known = writer.session.book.known.get(sql)
        if known is None or not known.follows or not known.is_simple or not are_plain(map(type, params)):
            return None
        if not writer.loop_is_running():
            return None
        future: asyncio.Future[int | None] = writer.create_future()
        writer.enqueue((future, WRITE, sql, params))
        if writer.idle:
            writer.wake()
        self._watch(writer, future)
        return self._inserted(writer, future)

    async def _inserted(self, writer: Writer, future: asyncio.Future[int | None]) -> Answer:
        try:
            rowid = await future
        except asyncio.CancelledError:
            writer.queue.caller_left()
            raise
        except AiomemdbError as error:
            raise as_known(error) from error.__cause__
        return Answer(None, (), rowid, 0 if rowid is None else 1)

    async def job(self, operation: Operation[R], subject: object, arguments: object) -> R:
        """A job of the database's."""
        writer = self._database._writing()
        try:
            future = writer.put(operation, subject, arguments)
            self._watch(writer, future)
            return await future
        except asyncio.CancelledError:
            writer.queue.caller_left()
            raise
        except AiomemdbError as error:
            raise as_known(error) from error.__cause__

    def _watch(self, writer: Writer, future: SomeFuture) -> None:
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append((future.get_loop().time() + self._chosen.timeout, future))
        if not self._is_watching:
            self._is_watching = True
            self._look(writer)

    def _look(self, writer: Writer) -> None:
        waiting, loop = self._waiting or deque(), writer.connection.loop
        now = loop.time()
        while waiting and (waiting[0][1].done() or waiting[0][0] <= now):
            _, future = waiting.popleft()
            if not future.done():
                error = locked(self._chosen.timeout, writer.transaction_holder)
                writer.unfinished.fail_if_waiting(writer.present, future, error)
        if waiting:
            loop.call_later(max(0.05, waiting[0][0] - now), self._look, writer)
        else:
            self._is_watching = False


async def known(doing: Awaitable[R]) -> R:
    """Raises: what ``doing`` raises, as callers of sqlite3 know it."""
    try:
        return await doing
    except AiomemdbError as error:
        raise as_known(error) from error.__cause__
