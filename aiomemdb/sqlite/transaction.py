"""Transactions: several awaited steps on the writer's connection."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ..concurrency.job import Operation
from ..config import checked_timeout
from ..errors import ReentrancyError, WriteTimeout
from ..familiar import TRANSACTION, Familiar
from .connection.guarded import GuardedConnection
from .errors import TransactionEnded
from .reading.queries import Fetch, answer
from .reading.snapshot import wait_for_read
from .reading.verbs import ReadVerbs
from .writing.lease import Lease, held_leases, step_of
from .writing.session import Session
from .writing.verbs import WriteVerbs
from .writing.writer import Writer

__all__ = ["SQLiteTransaction", "open_transaction"]


A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class SQLiteTransaction(WriteVerbs, ReadVerbs, Familiar):
    """The verbs inside ``async with db.transaction() as tx``: ``aiomemdb.Transaction``'s, ``write_fn``, ``read_fn``."""

    _familiar = TRANSACTION

    def __init__(self, lease: Lease, session: Session) -> None:
        self._lease = lease
        self._session = session
        self._nested: SQLiteTransaction | None = None
        self._ended = False
        self._writes_before = 0

    def __repr__(self) -> str:
        return f"<Transaction held by {self._lease.holder!r} {'ended' if self._ended else 'open'}>"

    def _check(self) -> None:
        if self._nested is not None:
            raise ReentrancyError("a nested transaction is open: use its verbs until its block ends")
        if self._ended:
            self._lease.check()
            raise TransactionEnded("this transaction has ended")

    async def _write(
        self, operation: Operation[R], subject: object, arguments: object, durable: bool, timeout: float | None
    ) -> R:
        self._check()
        if durable:
            self._lease.flush_after = True
        # Where its caller leaves before it has begun, a step never runs.
        step = self._lease.step(step_of(self._lease, self._session, operation, subject, arguments), wanted_only=True)
        if timeout is None:
            return await step
        try:
            done, _ = await asyncio.wait([step], timeout=timeout)
        except asyncio.CancelledError:
            step.cancel()  # as awaiting it would
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

    async def _read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> R:
        self._check()
        timeout = checked_timeout(timeout)

        def query(raw: GuardedConnection) -> R:
            # On the writer's connection only query_only stands between a read verb and a write.
            raw.own("PRAGMA query_only=1")
            try:
                return answer(raw, fetch, subject, arguments)
            finally:
                try:
                    raw.own("PRAGMA query_only=0")
                except sqlite3.OperationalError:  # an interrupt that came late
                    raw.own("PRAGMA query_only=0")

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
            await self._lease.step(lambda _: self._session.release_savepoint())
        finally:
            self._nested = None

    def _begin(self, _: GuardedConnection) -> None:
        self._session.open_savepoint()
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


async def _settled(future: asyncio.Future[R]) -> None:
    """Waits until it is done, whatever becomes of it; a cancellation of the wait goes on its way."""
    future.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait([future])
