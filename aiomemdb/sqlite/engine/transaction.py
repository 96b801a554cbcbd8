"""Transactions: several awaited steps on the writer's connection, as a block or by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from types import TracebackType
from typing import TypeVar
from weakref import ref

from ...concurrency.job import Operation, copy_error, timed_out, timed_step
from ...concurrency.nesting import ByHand, NestedBlock, Nesting, entered_before, seen, settled
from ...config import checked_timeout
from ...database import Params
from ...familiar import HOLD, TRANSACTION, Familiar
from ..common.errors import TransactionEnded
from ..connection.arguments import are_plain
from ..connection.guarded import GuardedConnection
from ..reading.queries import VERBS, Fetch, answer, read_timeout
from ..reading.readers import Readers
from ..reading.snapshot import wait_for_read
from ..reading.verbs import ReadVerbs
from ..writing.hold import Hold, held_holds
from ..writing.operations import WRITE
from ..writing.verbs import WriteVerbs
from ..writing.writer import Writer

__all__ = ["SQLiteHold", "SQLiteTransaction", "TransactionBlock", "begin"]


A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class SQLiteTransaction(WriteVerbs, ReadVerbs, Nesting[Hold], Familiar):
    """The verbs inside ``async with db.transaction() as tx``: ``aiomemdb.Transaction``'s, ``write_fn``, ``read_fn``.

    One that is nested is a savepoint.
    """

    _familiar = TRANSACTION
    _error_at_end = TransactionEnded

    def __init__(self, hold: Hold, outer: SQLiteTransaction | None = None) -> None:
        self._hold = hold
        self._outer = outer
        self._nested: SQLiteTransaction | None = None
        self._ended = False
        self._depth: int = 0 if outer is None else outer._depth + 1

    # The verbs

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        # As SQLiteDatabase.write: the usual call passes few rooms.
        if durable or timeout is not None or params.__class__ is not tuple or not are_plain(map(type, params)):
            return await WriteVerbs.write(self, sql, params, durable=durable, timeout=timeout)
        if self._nested is not None or self._ended or self._hold.session.recorder.is_observed:
            return await self._write(WRITE, sql, params, False, None)
        return await self._hold.write(WRITE, sql, params)

    def _write(
        self, operation: Operation[R], subject: object, arguments: object, durable: bool, timeout: float | None
    ) -> Awaitable[R]:
        self._check()
        if durable:
            self._hold.flush_after = True
        step = self._hold.write(operation, subject, arguments)
        if (recorder := self._hold.session.recorder).is_observed:
            recorder.stepped(self._hold, step, operation.name, subject)
        return step if timeout is None else timed_step(step, operation.name, timeout, self._hold.expire)

    async def _read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> R:
        self._check()
        timeout = checked_timeout(timeout)

        def query(raw: GuardedConnection) -> R:
            # On the writer's connection only query_only stands between a read verb and a write.
            raw.own("PRAGMA query_only=1")
            try:
                return answer(raw, fetch, subject, arguments)
            finally:
                raw.end_query_only()

        reading = self._hold.step(query, wanted_only=True)
        self._hold.session.recorder.asked(reading, VERBS[fetch], subject)
        return await wait_for_read(reading, self._hold.interrupt, timeout)

    # Nested

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[SQLiteTransaction]:
        return NestedBlock(SQLiteTransaction(self._hold, self), self, durable=durable)

    async def begin(self, *, durable: bool = False, timeout: float | None = None) -> SQLiteHold:
        nested = SQLiteHold(self._hold, self)
        await nested._open_within(self, durable=durable)
        return nested

    async def _open_within(self, outer: SQLiteTransaction, *, durable: bool) -> None:
        outer._check()
        self._hold.check_loop()
        if durable:
            self._hold.flush_after = True
        outer._nested = self
        opened = False
        try:
            step = self._hold.step(self._save)
            opened = True
            await step
        except BaseException:
            # Posted before it is awaited: a cancelled caller can't leave the savepoint open.
            await self._end(commit=False, opened=opened)
            raise

    # On the writer's thread. All savepoints have one name, which is that of the innermost: so each is closed behind
    # those inside of it.

    def _save(self, _: GuardedConnection) -> None:
        hold = self._hold
        hold.session.open_savepoint()
        hold.savepoints.append(hold.writes)

    def _release(self, raw: GuardedConnection) -> None:
        self._undo_inside(raw)
        self._hold.session.release_savepoint()
        self._hold.savepoints.pop()

    def _undo(self, raw: GuardedConnection) -> None:
        self._undo_to(raw, self._depth - 1)

    def _undo_inside(self, raw: GuardedConnection) -> None:
        """Undoes what is nested in this one and was not ended."""
        self._undo_to(raw, self._depth)

    def _undo_to(self, raw: GuardedConnection, depth: int) -> None:
        hold = self._hold
        while len(hold.savepoints) > depth:
            if raw.in_transaction:
                hold.session.undo_savepoint()
            hold.writes = hold.savepoints.pop()

    # The end

    async def _end(self, *, commit: bool, opened: bool = True) -> None:
        """Posts what ends it before that is awaited: no cancellation can leave it open."""
        hold, outer, nested = self._hold, self._outer, self._nested
        if not hold.over:
            hold.check_loop()
        self._ended = True
        if nested is not None:
            nested._close()
        if outer is None:
            if commit:
                if hold.error is not None:
                    raise copy_error(hold.error)
                if nested is not None:
                    hold.step(self._undo_inside).add_done_callback(seen)
                await hold.end(commit=True)
            elif hold.error is None:
                await settled(hold.end(commit=False))
            return
        try:
            if commit:
                await hold.step(self._release)
            elif opened and hold.active:
                await settled(hold.step(self._undo))
        finally:
            outer._nested = None


class SQLiteHold(SQLiteTransaction, ByHand[Hold]):
    """A transaction by hand, which ``begin()`` returns: ``aiomemdb.Hold``'s verbs, ``write_fn`` and ``read_fn``."""

    _familiar = HOLD


class TransactionBlock:
    """``async with db.transaction() as tx``: what ties a transaction to its task.

    Args:
        find: returns the writer and the readers, or raises why there are none, when the block is entered.
    """

    def __init__(self, find: Callable[[], tuple[Writer, Readers]], *, durable: bool, timeout: float | None) -> None:
        self._find = find
        self._durable = durable
        self._timeout = timeout
        self._transaction: SQLiteTransaction | None = None

    async def __aenter__(self) -> SQLiteTransaction:
        if self._transaction is not None:
            raise entered_before()
        writer, readers = self._find()
        hold, waiting = writer.hold(durable=self._durable, timeout=self._timeout)
        if waiting is not None or self._durable or self._timeout is not None:
            await _granted(writer, hold, waiting, self._timeout)
        held_holds.set((*held_holds.get(), hold))
        if hold.begun_at is None:
            task = asyncio.current_task()
            assert task is not None
            readers.wait_for(partial(_begin_first, hold, ref(task), readers))
        self._transaction = SQLiteTransaction(hold)
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transaction = self._transaction
        assert transaction is not None
        try:
            await transaction._end(commit=kind is None)
        finally:
            held_holds.set(tuple(held for held in held_holds.get() if not held.over))


async def begin(
    writer: Writer, *, durable: bool, timeout: float | None, foreign_keys: bool | None = None
) -> SQLiteHold:
    """A transaction by hand, tied to no task."""
    hold, waiting = writer.hold(durable=durable, timeout=timeout)
    hold.foreign_keys = foreign_keys
    await _granted(writer, hold, waiting, timeout)
    return SQLiteHold(hold)


async def _granted(writer: Writer, hold: Hold, waiting: asyncio.Future[Hold] | None, timeout: float | None) -> None:
    """Waits for the writer. What is to be durable, or has a time limit, begins at once: it may see what is to be
    synced without a step, and its wait for the file counts.
    """
    deadline = None if timeout is None else hold.loop.time() + timeout
    try:
        if waiting is not None:
            await waiting
        if hold.durable or deadline is not None:
            await _begun(hold, deadline, timeout)
            hold.check()  # the loop may have been blocked for so long that it has ended already
    except BaseException:
        writer.queue.caller_left()
        if waiting is None or (waiting.done() and not waiting.cancelled() and waiting.exception() is None):
            hold.leave()
        raise


async def _begun(hold: Hold, deadline: float | None, timeout: float | None) -> None:
    begun = hold.begin()
    left = None if deadline is None else max(0.0, deadline - hold.loop.time())
    if not await settled(begun, left):
        assert timeout is not None
        hold.expire(timed_out("transaction", timeout, started=False))
    await begun


async def _begin_first(
    hold: Hold, entered_in: ref[asyncio.Task[object]], readers: Readers, timeout: float | None
) -> None:
    """For a read beside a transaction, in its block: what it sees is to be so until the transaction commits. Where the
    task that entered the block has ended (``wait_for`` makes one of its own), any task may be the one in the block.
    """
    if hold.begun_at is not None or not hold.active:
        readers.wait_no_more()
        return
    entering = entered_in()
    if hold not in held_holds.get() and entering is not None and not entering.done():
        return
    begun = hold.begin()
    if not await settled(begun, timeout) and timeout is not None:
        raise read_timeout(timeout, started=False)
    await begun
