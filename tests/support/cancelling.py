"""Cancels a coroutine at its k-th suspension, for every k, in each of the ways in which a task can be cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from contextlib import suppress
from enum import Enum
from types import coroutine
from typing import Any

import anyio


class Way(Enum):
    """How a task is cancelled at its k-th suspension."""

    WAITING = "while it waits"
    RESUMING = "when what it waits for is done, before it goes on"
    AGAIN = "at this and at every later suspension"
    SCOPE = "by an anyio scope around it, which cancels every later wait too"


class Suspensions:
    """How often a coroutine has suspended; ``at(k)`` calls ``then`` at the k-th."""

    def __init__(self) -> None:
        self.count = 0

    @coroutine
    def watch(self, watched: Awaitable[Any], then: Callable[[int, Any], None]) -> Generator[Any, Any, Any]:
        """Awaits ``watched``; calls ``then(count, future)`` at each suspension, before its task sees it."""
        steps = watched.__await__()
        resume: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        while True:
            try:
                future = resume()
            except StopIteration as stop:
                return stop.value
            self.count += 1
            then(self.count, future)
            try:
                sent = yield future
                resume = lambda sent=sent: steps.send(sent)  # type: ignore[misc]  # noqa: E731
            except BaseException as error:
                resume = lambda error=error: steps.throw(error)  # type: ignore[misc]  # noqa: E731


async def cancelled_at(k: int, way: Way, main: Coroutine[Any, Any, Any]) -> bool:
    """Runs ``main`` as a task of its own, cancelled at its k-th suspension.

    Returns whether there was a k-th one; it may have finished in spite of the cancellation. Its errors are raised,
    and a cancellation that was not asked for.
    """
    suspensions = Suspensions()

    async def runner() -> None:
        task = asyncio.current_task()
        assert task is not None
        with anyio.CancelScope() as scope:

            def cancel(count: int, future: Any) -> None:
                if count == k and way is Way.SCOPE:
                    scope.cancel()
                elif count == k and way is Way.RESUMING and isinstance(future, asyncio.Future):
                    future.add_done_callback(lambda _: task.cancel())  # added before the task's own wake-up
                elif (count == k and way is not Way.SCOPE) or (count > k and way is Way.AGAIN):
                    task.cancel()

            await suspensions.watch(main, cancel)

    task = asyncio.ensure_future(runner())
    await asyncio.wait([task])
    reached = suspensions.count >= k
    if reached:
        with suppress(asyncio.CancelledError):
            task.result()
    else:
        task.result()
    return reached


def suspension_points(most: int = 200) -> Iterator[int]:
    """1, 2, 3, ...: to be left when ``cancelled_at`` says that there was no such suspension."""
    yield from range(1, most + 1)
    raise AssertionError(f"it suspends more than {most} times")
