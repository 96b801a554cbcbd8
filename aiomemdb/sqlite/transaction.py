"""Transactions and snapshots: several awaited steps on one connection."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from ..config import checked_timeout
from ..errors import ForbiddenStatement, ReentrancyError, WriteTimeout
from ..familiar import SNAPSHOT, TRANSACTION, Familiar
from .codes import retry_while_busy
from .connection import Connection
from .guard import Guard, GuardedConnection
from .job import Failure, Operation, settle_one
from .lease import Lease, held_leases, step_of
from .queries import Fetch, begin_snapshot, explain_read
from .readers import Readers, read_timeout
from .session import Session
from .verbs import ReadVerbs, WriteVerbs
from .writer import Writer

__all__ = [
    "SQLiteSnapshot",
    "SQLiteTransaction",
    "give_back",
    "open_snapshot",
    "open_transaction",
    "wait_for_read",
]


class SQLiteTransaction(WriteVerbs, ReadVerbs, Familiar):
    """The verbs inside ``async with db.transaction() as tx``; see ``aiomemdb.database.Transaction``."""

    _familiar = TRANSACTION

    def __init__(self, lease: Lease, session: Session) -> None:
        self._lease = lease
        self._session = session
        self._nested: SQLiteTransaction | None = None
        self._ended = False
        self._writes_before = 0
        # a name that users can't address and that the authorizer lets pass
        self._savepoint = session.connection.guard.savepoint

    def __repr__(self) -> str:
        return f"<Transaction held by {self._lease.holder!r} {'ended' if self._ended else 'open'}>"

    def _check(self) -> None:
        if self._nested is not None:
            raise ReentrancyError("a nested transaction is open: use its verbs until its block ends")
        if self._ended:
            self._lease.check()
            raise sqlite3.ProgrammingError("this transaction has ended")

    async def _write(
        self, operation: Operation, subject: Any, arguments: Any, durable: bool, timeout: float | None
    ) -> Any:
        self._check()
        if durable:
            self._lease.flush_after = True
        # A step whose caller has left before it began never runs.
        step = self._lease.step(step_of(self._lease, self._session, operation, subject, arguments), wanted_only=True)
        if timeout is None:
            return await step
        try:
            done, _ = await asyncio.wait([step], timeout=timeout)
        except asyncio.CancelledError:
            step.cancel()  # as awaiting it would: nobody hears of it any more
            raise
        if not done:
            self._lease.expire(
                WriteTimeout(
                    f"{operation.name} took longer than timeout={timeout} s; the transaction was rolled back",
                    started=True,
                    applied=False,
                )
            )
        return await step

    async def _read(self, fetch: Fetch, subject: Any, arguments: Any, timeout: float | None) -> Any:
        self._check()
        timeout = checked_timeout(timeout)

        def query(raw: GuardedConnection) -> Any:
            # On the writer's connection only query_only stands between a read verb and a write.
            raw.execute("PRAGMA query_only=1")
            try:
                with raw.guarded() as guard:
                    return _answer(raw, guard, fetch, subject, arguments)
            finally:
                try:
                    raw.execute("PRAGMA query_only=0")
                except sqlite3.OperationalError:  # an interrupt that came late
                    raw.execute("PRAGMA query_only=0")

        return await wait_for_read(self._lease.step(query, wanted_only=True), self._lease.interrupt, timeout)

    @asynccontextmanager
    async def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AsyncIterator[SQLiteTransaction]:
        self._check()
        if durable:
            self._lease.flush_after = True
        nested = SQLiteTransaction(self._lease, self._session)
        self._nested = nested
        opened = False
        try:
            step = self._lease.step(nested._begin)
            opened = True
            await step
            yield nested
        except BaseException:
            nested._close()
            if opened and self._lease.active:
                # Posted before it is awaited: a cancelled caller can't leave the savepoint open.
                undone = self._lease.step(nested._undo)
                await _settled(undone)
            raise
        else:
            nested._close()
            await self._lease.step(lambda raw: raw.execute(f"RELEASE {self._savepoint}"))
        finally:
            self._nested = None

    def _begin(self, raw: GuardedConnection) -> None:
        raw.execute(f"SAVEPOINT {self._savepoint}")
        self._writes_before = self._lease.writes

    def _undo(self, raw: GuardedConnection) -> None:
        self._lease.writes = self._writes_before
        if raw.in_transaction:
            self._session.undo_savepoint()

    def _close(self) -> None:
        self._ended = True
        if self._nested is not None:
            self._nested._close()


@asynccontextmanager
async def open_transaction(
    find_writer: Callable[[], Writer], *, durable: bool, timeout: float | None
) -> AsyncIterator[SQLiteTransaction]:
    """Waits for the writer, begins, and ends as the block does. What ends it is posted before it is awaited: no
    cancellation can leave the transaction open."""
    writer = find_writer()  # or raises why there is none, now that the block is entered
    waiting = writer.lend(durable=durable, timeout=timeout)
    try:
        lease = await waiting
    except asyncio.CancelledError:
        writer.queue.caller_left()
        if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
            waiting.result().end(commit=False)
        raise
    outer = held_leases.get()
    held_leases.set((*outer, lease))
    transaction = SQLiteTransaction(lease, writer.session)
    try:
        yield transaction
    except BaseException:
        transaction._close()
        if lease.error is None:
            await _settled(lease.end(commit=False))
        raise
    else:
        transaction._close()
        if lease.error is not None:
            lease.check()
        await lease.end(commit=True)
    finally:
        held_leases.set(tuple(held for held in held_leases.get() if held.active))


class SQLiteSnapshot(ReadVerbs, Familiar):
    """The verbs inside ``async with db.snapshot() as snap``; see ``aiomemdb.database.Snapshot``."""

    _familiar = SNAPSHOT

    def __init__(self, connection: Connection, readers: Readers) -> None:
        self._connection = connection
        self._readers = readers
        self._ended = False

    async def _read(self, fetch: Fetch, subject: Any, arguments: Any, timeout: float | None) -> Any:
        timeout = checked_timeout(timeout)
        if self._ended:
            raise sqlite3.ProgrammingError("this snapshot has ended")

        def query(raw: GuardedConnection) -> Any:
            if self._ended:  # meanwhile, by another task
                raise sqlite3.ProgrammingError("this snapshot has ended")
            with raw.guarded() as guard:
                return _answer(raw, guard, fetch, subject, arguments)

        reading = self._connection.submit(query, wanted_only=True)
        self._readers.reads += 1
        return await wait_for_read(reading, self._connection.interrupt, timeout)

    def _close(self) -> None:
        self._ended = True


def _answer(raw: GuardedConnection, guard: Guard, fetch: Fetch, subject: Any, arguments: Any) -> Any:
    try:
        result = fetch(raw, subject, arguments)
    except BaseException as error:
        raise explain_read(raw, error, subject) from None
    if guard.denied is not None:  # and a function swallowed it
        raise ForbiddenStatement(guard.denied)
    return result


def _end_reading(raw: GuardedConnection) -> None:
    raw.close_noted()
    raw.roll_back()


@asynccontextmanager
async def open_snapshot(
    find_readers: Callable[[], Readers], *, timeout: float | None, lock_timeout: float
) -> AsyncIterator[SQLiteSnapshot]:
    readers = find_readers()  # or raises why there are none, now that the block is entered
    connection = await readers.lease(timeout)
    snapshot = SQLiteSnapshot(connection, readers)
    try:
        await connection.submit(lambda raw: retry_while_busy(lambda: begin_snapshot(raw), lock_timeout, readers.path))
        yield snapshot
    finally:
        snapshot._close()
        give_back(readers, connection)


def give_back(readers: Readers, connection: Connection) -> None:
    """Ends what the holder of a leased reader has left open, then returns the reader; nothing is awaited."""
    running = connection.working_on
    if running is not None:
        connection.interrupt(running)  # its caller has left
    readers.leaving(connection)
    ended = connection.submit(_end_reading)

    def returned(ended: asyncio.Future[None]) -> None:
        if ended.cancelled() or ended.exception() is None:
            readers.release(connection)
        else:
            readers.discard(connection)

    ended.add_done_callback(returned)


async def wait_for_read(future: asyncio.Future[Any], interrupt: Any, timeout: float | None) -> Any:
    if timeout is None:
        try:
            return await future
        except asyncio.CancelledError:
            interrupt(future)
            raise
    timer = future.get_loop().call_later(timeout, _expire_read, future, interrupt, timeout)
    try:
        return await future
    except asyncio.CancelledError:
        interrupt(future)
        raise
    finally:
        timer.cancel()


def _expire_read(future: asyncio.Future[Any], interrupt: Any, timeout: float) -> None:
    if not future.done():
        started = interrupt(future)
        settle_one(future, Failure(read_timeout(timeout, started=bool(started))))


async def _settled(future: asyncio.Future[Any]) -> None:
    """Waits until it is done, whatever becomes of it; a cancellation of the wait goes on its way."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([future])
