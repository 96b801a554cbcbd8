"""An adapter's synchronous methods: they run on the database's loop for callers in other threads."""

from __future__ import annotations

import asyncio
import concurrent.futures
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from ..errors import ReentrancyError, WrongLoop

__all__ = ["Synchronously"]

R = TypeVar("R")

# Seconds between two looks at whether the loop still runs.
_LOOK = 1.0


class _OnItsLoop(ReentrancyError, asyncio.InvalidStateError):
    """A synchronous method on the loop's own thread; frameworks raise ``InvalidStateError`` there."""


class Synchronously:
    """Runs coroutines on the loop of an adapter for callers in other threads.

    The loop is the one that runs where the adapter is made, or the one that first awaits it: ``note_loop``.

    Args:
        what: the adapter's class, for messages.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._loop = _loop_here()

    def note_loop(self) -> None:
        """The loop that runs here is the adapter's, unless it has one that runs."""
        if self._loop is None or not self._loop.is_running():
            self._loop = asyncio.get_running_loop()

    def run(self, method: Callable[..., Coroutine[Any, Any, R]], *args: Any, **kwargs: Any) -> R:
        """Return what ``await method(*args, **kwargs)`` returns on the loop.

        Raises:
            ReentrancyError: this is the loop's own thread, which would wait for itself.
            WrongLoop: no loop of the adapter runs.
            Exception: what the method raises.
        """
        loop = self._running_loop(method.__name__)
        future = asyncio.run_coroutine_threadsafe(method(*args, **kwargs), loop)
        try:
            while True:
                try:
                    return future.result(_LOOK)
                except concurrent.futures.TimeoutError:
                    if future.done():  # the method's own
                        raise
                    self._running_loop(method.__name__)
        finally:
            future.cancel()  # where the thread was interrupted; of one that is done, nothing

    def iterate(self, method: Callable[..., AsyncIterator[R]], *args: Any, **kwargs: Any) -> Iterator[R]:
        """Return what ``async for _ in method(*args, **kwargs)`` does on the loop, item by item. Raises: as ``run``."""
        self._running_loop(method.__name__)
        return self._iterated(method.__name__, method(*args, **kwargs))

    def _iterated(self, name: str, items: AsyncIterator[R]) -> Iterator[R]:
        ended = object()

        async def following() -> Any:
            return await anext(items, ended)

        following.__name__ = name
        while (item := self.run(following)) is not ended:
            yield item

    def _running_loop(self, name: str) -> asyncio.AbstractEventLoop:
        loop = self._loop
        if loop is None or not loop.is_running():
            raise WrongLoop(
                f"{self._what} knows no loop that runs: make it where the loop runs, or await one of its methods there"
            )
        if loop is _loop_here():
            raise _OnItsLoop(
                f"a synchronous method of {self._what} on the thread of its own event loop would wait for itself: "
                f"use `await {name}(...)`"
            )
        return loop


def _loop_here() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
