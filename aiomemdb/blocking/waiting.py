"""What every handle for synchronous code stands on: the asynchronous one, and the thread of its loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from types import TracebackType
from typing import Any, Generic, ParamSpec, Self, TypeVar

from ..concurrency.bell import call_on_loop
from ..concurrency.loop_thread import LoopThread, Stay
from ..concurrency.worker import forked_error
from ..errors import AiomemdbError, DatabaseClosed
from ..values import Row

__all__ = ["Block", "Opened", "RowStream", "Stream", "Waits", "for_threads", "in_synchronous_code"]

P = ParamSpec("P")
T = TypeVar("T")
Inner = TypeVar("Inner")


class Waits:
    """A handle with verbs that wait for those of an asynchronous one.

    Each verb does what the verb of that name does, which documents it. It may be called in any thread in which no event
    loop runs, in many at once. Ctrl-C is to it what a cancellation is to the other.
    """

    _inner: Any
    _thread: LoopThread

    def __repr__(self) -> str:
        return f"<blocking {self._inner!r}>"

    def _wait(self, call: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs) -> T:
        # An iterator is the caller's: what it does to make its next item may block.
        given: list[Any] = [list(each) if isinstance(each, Iterator) else each for each in args]
        named: dict[str, Any] = {
            name: list(each) if isinstance(each, Iterator) else each for name, each in kwargs.items()
        }
        return self._thread.run(partial(call, *given, **named))


class Opened(Waits):
    """A handle that is opened when it is made, and closed by its block or by ``close()``."""

    def __init__(self, inner: Any, stay: Stay) -> None:
        self._inner, self._stay, self._thread = inner, stay, stay.thread

    @classmethod
    def _open(cls, inner: Any, stay: Stay) -> Self:
        try:
            stay.thread.run(inner.__aenter__, type(inner).close)
        except BaseException as error:
            stay.end(wait=isinstance(error, Exception))  # not after Ctrl-C
            raise
        return cls(inner, stay)

    def close(self) -> None:
        raise NotImplementedError

    def _close(self, close: Callable[[], Awaitable[None]]) -> None:
        try:
            with suppress(DatabaseClosed):  # its loop has ended: it was closed before
                self._thread.run(close)
        except AiomemdbError:  # refused: on this thread, or beside its own transaction
            raise
        except BaseException as error:
            self._stay.end(wait=isinstance(error, Exception))  # after Ctrl-C the closing goes on
            raise
        self._stay.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        if not self._thread.is_of_parent:  # and so is its block
            self.close()


class Block(Generic[T, Inner]):
    """``with`` what is an ``async with`` on the loop.

    Args:
        block: the asynchronous one, not entered yet.
        handle: makes of what it returns what the block in the thread gets.
    """

    def __init__(
        self, thread: LoopThread, block: AbstractAsyncContextManager[Inner], handle: Callable[[Inner], T]
    ) -> None:
        self._thread = thread
        self._block = block
        self._handle = handle

    def __enter__(self) -> T:
        return self._handle(self._thread.run(self._block.__aenter__, self._leave_again))

    async def _leave_again(self, _: Inner) -> None:
        error = KeyboardInterrupt()
        await self._block.__aexit__(type(error), error, None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._thread.is_of_parent:  # and so is the block
            if error is None:
                raise forked_error()
            return
        self._thread.run(partial(self._block.__aexit__, kind, error, traceback))


class Stream(Iterator[T]):
    """``for item in stream``; also ``with stream as items``, which closes it at the end of the block."""

    def __init__(self, thread: LoopThread, rows: AsyncIterator[T], chunk: int) -> None:
        self._thread = thread
        self._inner: Any = rows
        self._chunk = chunk
        self._rows: list[T] = []  # the next one last

    def __next__(self) -> T:
        while True:
            try:
                return self._rows.pop()
            except IndexError:
                pass
            self._rows = self._thread.run(self._next_rows)
            if not self._rows:
                raise StopIteration

    async def _next_rows(self) -> list[T]:
        rows: list[T] = []
        async for row in self._inner:
            rows.append(row)
            if len(rows) == self._chunk:
                break
        rows.reverse()
        return rows

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the reader back; rows that were fetched already are dropped."""
        self._rows = []
        self._thread.run(self._inner.aclose)


class RowStream(Stream[Row]):
    """``for row in stream``; also ``with stream as rows``, which closes it at the end of the block.

    It holds a reader from the first row on, until it is exhausted, fails, is closed or dropped. An error in a loop over
    it keeps it for as long as the error's traceback is kept; a ``with`` does not.
    """


def for_threads(job: asyncio.Future[T]) -> Future[T]:
    """On the loop: a job's future as threads wait for one. It is no task, which the end of the loop would cancel."""
    future: Future[T] = Future()

    def settle(job: asyncio.Future[T]) -> None:
        if job.cancelled():
            future.cancel()
        if not future.set_running_or_notify_cancel():
            return
        if (error := job.exception()) is not None:
            future.set_exception(error)
        else:
            future.set_result(job.result())

    def take_back(future: Future[T]) -> None:
        if future.cancelled():
            call_on_loop(job.get_loop(), job.cancel)

    future.add_done_callback(take_back)
    job.add_done_callback(settle)
    return future


def in_synchronous_code(advice: Mapping[str, str]) -> Mapping[str, str]:
    """The advice of ``familiar`` for those who have no ``await``."""
    return {
        name: text.replace("async with", "with").replace("await ", "").replace("aiomemdb.", "aiomemdb.blocking.")
        for name, text in advice.items()
    }
