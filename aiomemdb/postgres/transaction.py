"""Transactions: several awaited steps on a connection of their own, as a block or by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, TypeVar  # Any: what a caller asks for

from ..concurrency.job import Operation, timed_step
from ..concurrency.nesting import ByHand, NestedBlock, Nesting, entered_before, settled
from ..config import checked_timeout
from ..errors import ReadTimeout
from ..familiar import HOLD, TRANSACTION, Familiar
from .driver import NOTHING
from .granting import Granting
from .hold import Hold, held_holds
from .operations import Checker, Work, answered, can_be_read
from .reading import VERBS, Fetch, read_timeout
from .texts import Statement
from .verbs import ReadVerbs, WriteVerbs

__all__ = ["PostgresHold", "PostgresTransaction", "TransactionBlock", "begin"]

R = TypeVar("R")


def _own(*texts: str) -> Work:
    return [(Statement(text, ()), NOTHING) for text in texts]


class PostgresTransaction(WriteVerbs, ReadVerbs, Nesting[Hold], Familiar):
    """The verbs inside ``async with db.transaction() as tx``: ``aiomemdb.Transaction``'s.

    A step that fails is taken back alone; the block may go on. One that is nested is a savepoint.
    """

    _familiar = TRANSACTION
    _is_within = True

    def __init__(self, hold: Hold, checker: Checker, outer: PostgresTransaction | None = None) -> None:
        self._hold = hold
        self._check_with = checker
        self._outer = outer
        self._nested: PostgresTransaction | None = None
        self._ended = False
        self._depth: int = 0 if outer is None else outer._depth + 1

    @property
    def _checker(self) -> Checker:
        return self._check_with

    # The verbs

    def _write(self, operation: Operation[R], work: Work, durable: bool, timeout: float | None) -> Awaitable[R]:
        self._check()
        if durable:
            self._hold.durable = True
        step = self._hold.step(
            work,
            lambda results, loader: answered(operation, work, results, loader),
            looks=not can_be_read(operation, work),
        )
        self._hold.stepped(step, operation.name, work)
        return step if timeout is None else timed_step(step, operation.name, timeout, self._hold.expire)

    async def _read(self, fetch: Fetch[R], work: Work, timeout: float | None) -> R:
        self._check()
        step = self._hold.step(work, fetch, reads=True)
        self._hold.asked(step, VERBS[fetch], work)
        if timeout is None:
            return await step
        try:
            done, _ = await asyncio.wait([step], timeout=timeout)
        except asyncio.CancelledError:
            step.cancel()
            raise
        if not done:
            step.cancel()
            late: ReadTimeout = read_timeout(timeout, started=True)
            raise late
        return await step

    # Nested

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[PostgresTransaction]:
        return NestedBlock(PostgresTransaction(self._hold, self._check_with, self), self, durable=durable)

    async def begin(self, *, durable: bool = False, timeout: float | None = None) -> PostgresHold:
        nested = PostgresHold(self._hold, self._check_with, self)
        await nested._open_within(self, durable=durable)
        return nested

    async def _open_within(self, outer: PostgresTransaction, *, durable: bool) -> None:
        outer._check()
        if durable:
            self._hold.durable = True
        outer._nested = self
        step = self._hold.step(_own(f"SAVEPOINT aiomemdb_{self._depth}"), _nothing, is_savepoint=True)
        try:
            await asyncio.shield(step)
        except BaseException:
            # Sent, or to be sent, before what ends it: a cancelled caller can't leave the savepoint open.
            await self._end(commit=False)
            raise

    # The end

    async def _end(self, *, commit: bool) -> None:
        """Puts what ends it into line before that is awaited: no cancellation can leave it open."""
        hold, outer, nested = self._hold, self._outer, self._nested
        if nested is not None:  # it was not ended: it is undone
            await settled(nested._finish(commit=False))
        self._close()
        if outer is None:
            if commit:
                hold.check()
                await asyncio.shield(hold.commit())
            elif hold.error is None and not hold.over:
                await settled(hold.rollback())
            return
        try:
            if commit:
                hold.check()
                await asyncio.shield(self._finish(commit=True))
            elif hold.active:
                await settled(self._finish(commit=False))
        finally:
            outer._nested = None

    def _finish(self, *, commit: bool) -> asyncio.Future[None]:
        name = f"aiomemdb_{self._depth}"
        texts = (
            [f"RELEASE SAVEPOINT {name}"] if commit else [f"ROLLBACK TO SAVEPOINT {name}", f"RELEASE SAVEPOINT {name}"]
        )
        return self._hold.step(_own(*texts), _nothing, is_savepoint=True)


class PostgresHold(PostgresTransaction, ByHand[Hold]):
    """A transaction by hand, which ``begin()`` returns: ``aiomemdb.Hold``'s verbs."""

    _familiar = HOLD


class TransactionBlock:
    """``async with db.transaction() as tx``: what ties a transaction to its task.

    Args:
        find: returns what grants one, or raises why there is none, when the block is entered.
    """

    def __init__(
        self, find: Callable[[], tuple[Granting, Checker]], *, isolation: str, durable: bool, timeout: float | None
    ) -> None:
        self._find = find
        self._isolation = isolation
        self._durable = durable
        self._timeout = timeout
        self._transaction: PostgresTransaction | None = None

    async def __aenter__(self) -> PostgresTransaction:
        if self._transaction is not None:
            raise entered_before()
        holds, checker = self._find()
        holds.check_caller()
        hold = await holds.grant(self._isolation, durable=self._durable, timeout=self._timeout)
        held_holds.set((*held_holds.get(), hold))
        self._transaction = PostgresTransaction(hold, checker)
        return self._transaction

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        transaction = self._transaction
        assert transaction is not None
        try:
            await transaction._end(commit=kind is None)
        finally:
            held_holds.set(tuple(held for held in held_holds.get() if not held.over and held is not transaction._hold))


async def begin(
    holds: Granting, checker: Checker, *, isolation: str, durable: bool, timeout: float | None
) -> PostgresHold:
    """A transaction by hand, tied to no task."""
    holds.check_caller()
    hold = await holds.grant(isolation, durable=durable, timeout=checked_timeout(timeout))
    return PostgresHold(hold, checker)


def _nothing(results: Any, loader: Any) -> None:
    return None
