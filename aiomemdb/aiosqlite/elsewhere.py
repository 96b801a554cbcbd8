"""Calls of a connection from other loops and threads.

Its own loop may be blocked by the very thread that made the others, and waits for them. So they are served by a second
logical connection, on a loop in a thread of the library's own. While a transaction is open on the one, calls from
everywhere go to that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from ..concurrency.bell import call_on_loop
from ..concurrency.crossing import Crossing
from ..concurrency.loop_thread import Stay, stay
from ..sqlite.interactive.connection import InteractiveConnection
from ..sqlite.interactive.errors import locked
from ..sqlite.interactive.rows import Answer, Rest, Values
from .sharing import Shared, Target, share

__all__ = ["Elsewhere"]

R = TypeVar("R")


class Elsewhere:
    """The second logical connection of a connection, opened when it is first needed."""

    def __init__(self, home: Shared, inner: InteractiveConnection) -> None:
        self._home = home
        self._inner = inner
        self._stay: Stay | None = None
        self._shared: Shared | None = None
        self._second: InteractiveConnection | None = None

    @property
    def in_transaction(self) -> bool:
        return self._second is not None and self._second.in_transaction

    async def call(self, call: Callable[[InteractiveConnection], Awaitable[R]]) -> R:
        """Does what ``call`` does, on the connection that has the turn."""
        loop = asyncio.get_running_loop()
        if loop is self._home.loop and not self.in_transaction:
            return await call(self._inner)
        if self._inner.in_transaction:
            return await self._at_home(call)
        if self._stay is None:
            self._stay = stay()
        return await self._stay.thread.call(partial(self._on_second, call))

    async def _at_home(self, call: Callable[[InteractiveConnection], Awaitable[R]]) -> R:
        """A transaction is open there: its loop must do it, if it does anything."""
        crossing, timeout = Crossing(self._home.loop), self._inner.chosen.timeout
        try:
            async with asyncio.timeout(timeout):
                return _crossed(await crossing.call(partial(call, self._inner)), crossing)
        except TimeoutError:
            raise locked(timeout, "a transaction on a loop that is blocked") from None

    async def _on_second(self, call: Callable[[InteractiveConnection], Awaitable[R]]) -> R:
        """On the library's loop."""
        assert self._stay is not None
        second = self._second or await self._open()
        return _crossed(await call(second), self._stay.thread)

    async def _open(self) -> InteractiveConnection:
        path = self._home.path
        shared = await share(Target(path, path, self._home.target.options))
        if self._second is not None:  # meanwhile
            shared.leave()
            return self._second
        self._shared, self._second = shared, self._inner.like(shared.database)
        return self._second

    async def close(self) -> None:
        if self._stay is None:
            return
        try:
            await self._stay.thread.call(self._close)
        finally:
            self._stay.end(wait=False)

    async def _close(self) -> None:
        if self._second is not None and self._shared is not None:
            await self._second.close()
            closing = self._shared.leave()
            if closing is not None:
                await closing


def _crossed(result: R, crossing: Crossing) -> R:
    if isinstance(result, Answer) and result.rest is not None:
        result.rest = _Rest(result.rest, crossing)
    return result


class _Rest:
    """The rest of a result that another loop reads."""

    def __init__(self, rest: Rest, crossing: Crossing) -> None:
        self._rest = rest
        self._crossing = crossing

    async def fetch(self, count: int) -> list[Values]:
        return await self._crossing.call(partial(self._rest.fetch, count))

    def close(self) -> None:
        call_on_loop(self._crossing.loop, self._rest.close)
