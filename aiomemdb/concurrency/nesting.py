"""What is begun, may nest, and is ended once, as a block or by hand: what transactions are to their tasks.

Knows no SQL: an engine says how one is begun and ended.
"""

from __future__ import annotations

import asyncio
import warnings
from types import TracebackType
from typing import Any, Generic, Protocol, Self, TypeVar  # Any: of any transaction, any future

from ..errors import ReentrancyError, TransactionEnded
from .bell import call_on_loop

__all__ = ["ByHand", "NestedBlock", "Nesting", "entered_before", "seen", "settled"]


class Held(Protocol):
    """What a transaction and all that nest in it stand on.

    Attributes:
        holder: the name of the task that began it.
        active: it takes steps.
        error: why it ended early, or None.
    """

    holder: str
    loop: asyncio.AbstractEventLoop
    error: BaseException | None

    @property
    def active(self) -> bool: ...

    def check(self) -> None:
        """Raises why it takes no step, where it ended early."""

    def leave(self) -> None:
        """Nothing will end it: it is rolled back."""


H = TypeVar("H", bound=Held)
N = TypeVar("N", bound="Nesting[Any]")


class Nesting(Generic[H]):
    """One that is open, perhaps within an outer one."""

    _hold: H
    _outer: Nesting[H] | None
    _nested: Nesting[H] | None
    _ended = True  # until it is made
    _error_at_end: type[BaseException] = TransactionEnded

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._hold.holder!r} {'open' if self._is_alive() else 'ended'}>"

    def _is_alive(self) -> bool:
        return not self._ended and self._hold.active

    def _check(self) -> None:
        """Raises why it takes no step now."""
        if self._ended or self._hold.error is not None:
            self._hold.check()
            raise self._error_at_end("this transaction has ended")
        if self._nested is not None:
            raise ReentrancyError("a nested transaction is open: use its verbs until it ends")

    async def _open_within(self, outer: Self, *, durable: bool) -> None:
        raise NotImplementedError

    async def _end(self, *, commit: bool) -> None:
        """Posts what ends it before that is awaited: no cancellation can leave it open."""
        raise NotImplementedError

    def _close(self) -> None:
        self._ended = True
        if self._nested is not None:
            self._nested._close()

    def __del__(self) -> None:
        """Collected on any thread, perhaps after the loop has ended: the loop itself rolls back."""
        if not self._ended and self._outer is None and self._hold.active:
            call_on_loop(self._hold.loop, self._hold.leave)
            warnings.warn(
                f"a transaction of {self._hold.holder!r} was neither committed nor rolled back, and is rolled back now",
                ResourceWarning,
                stacklevel=2,
            )


class ByHand(Nesting[H]):
    """One that its holder ends: the part of ``aiomemdb.Hold`` that no verb is."""

    @property
    def alive(self) -> bool:
        return self._is_alive()

    @property
    def error(self) -> BaseException | None:
        return self._hold.error

    async def commit(self) -> None:
        self._check()
        await self._end(commit=True)

    async def rollback(self) -> None:
        if not self._ended:
            await self._end(commit=False)


class NestedBlock(Generic[N]):
    """``async with`` one that nests: the end of the block keeps its steps, an error that leaves it undoes them."""

    def __init__(self, nested: N, outer: N, *, durable: bool) -> None:
        self._nested = nested
        self._outer = outer
        self._durable = durable
        self._is_entered = False

    async def __aenter__(self) -> N:
        if self._is_entered:
            raise entered_before()
        self._is_entered = True
        await self._nested._open_within(self._outer, durable=self._durable)
        return self._nested

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._nested._end(commit=kind is None)


def entered_before() -> RuntimeError:
    return RuntimeError("this block was entered before: each `async with` needs a transaction() of its own")


async def settled(future: asyncio.Future[Any], timeout: float | None = None) -> bool:
    """Wait until it is done, whatever becomes of it, and return whether it is; a cancellation of the wait goes on its
    way.
    """
    future.add_done_callback(seen)
    done, _ = await asyncio.wait([future], timeout=timeout)
    return bool(done)


def seen(done: asyncio.Future[Any]) -> None:
    """Its error is known: asyncio need not log it."""
    if not done.cancelled():
        done.exception()
