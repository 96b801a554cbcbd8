"""Calls from other threads, and from other loops, to one loop.

    in a thread, or on another loop        | on the loop
    ---------------------------------------+-----------------------------------------------
    run(make), await call(make)            | a task runs make(), in a copy of the caller's context
      waits                                |
      Ctrl-C, a cancellation          ->   | the task is cancelled, as any task is
    <- the outcome, and what it has set    |
       in its context                      |

So a transaction that a thread has entered is its own in its next call too: what would wait for itself is found.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from contextvars import Context, copy_context
from functools import partial
from typing import Any, Generic, NoReturn, TypeAlias, TypeVar

from ..errors import DatabaseClosed, ReentrancyError, WrongLoop
from .bell import call_on_loop
from .worker import forked_error, loop_served_here

__all__ = ["Crossing"]

T = TypeVar("T")
Undo: TypeAlias = Callable[[T], Awaitable[object]]

# Seconds after which a caller looks whether the loop was closed under its call.
_LOOK = 1.0

_UNSET: Any = object()


class Crossing:
    """The way to ``loop`` from other threads and other loops."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._process = os.getpid()
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def is_of_parent(self) -> bool:
        """Whether this is a forked child, where the loop's thread is not."""
        return os.getpid() != self._process

    def run(self, make: Callable[[], Awaitable[T]], undo: Undo[T] | None = None) -> T:
        """Wait in this thread for ``await make()`` on the loop.

        Args:
            make: as ``partial(db.write, sql, params)``.
            undo: returns what ``make`` has got, where Ctrl-C comes just as it has it.

        Raises:
            WrongLoop: an event loop runs in this thread, which would stand still; or this loop does not run.
            ReentrancyError: this thread works for the loop (a ``write_fn`` function), which may wait for it.
            DatabaseClosed: the loop is closed, or was before the call had ended.
            ForkedError: the loop is the parent's.
            Exception: what ``make`` raises, with its traceback.

        Ctrl-C cancels the call, as any task that waits for it, and raises ``KeyboardInterrupt`` at once.
        """
        if asyncio._get_running_loop() is not None:
            _refuse(self.loop, make)
        if loop_served_here() is self.loop:
            raise ReentrancyError(
                "this function runs on a thread of the database, which may wait for it: use the connection that it is "
                "given"
            )
        self._check()
        arrived = threading.Lock()
        arrived.acquire()

        def tell() -> bool:
            arrived.release()
            return True

        call = _Call(make, undo, tell, self._calls)
        try:
            self.loop.call_soon_threadsafe(call.start)
            while not arrived.acquire(timeout=_LOOK):
                if self.loop.is_closed() and not arrived.acquire(blocking=False):
                    raise _closed(None)
        except BaseException:
            call_on_loop(self.loop, call.abandon)
            raise
        try:
            return call.outcome()
        finally:
            del call  # an error's traceback holds this frame, and the call the error

    async def call(self, make: Callable[[], Awaitable[T]], undo: Undo[T] | None = None) -> T:
        """Await ``make()`` on the loop, from another loop as from this one. Args: as for ``run``.

        Raises: as ``run``, except a loop that runs here.
        Cancellation: of the task there; it is waited for, as it would be here.
        """
        here = asyncio.get_running_loop()
        if here is self.loop:
            return await make()
        self._check()
        arrived: asyncio.Future[None] = here.create_future()
        call = _Call(make, undo, partial(call_on_loop, here, _arrive, arrived), self._calls)
        cancelled = False
        try:
            self.loop.call_soon_threadsafe(call.start)
            while not arrived.done():
                try:
                    await asyncio.wait([arrived], timeout=_LOOK)
                except asyncio.CancelledError:
                    cancelled = True
                    call_on_loop(self.loop, call.cancel)
                if self.loop.is_closed():
                    await asyncio.sleep(0)  # what it has told last
                    if not arrived.done():
                        raise _closed(None)
            if cancelled and not call.was_cancelled:  # it had ended by then; a cancellation is never swallowed
                raise asyncio.CancelledError
        except BaseException:
            call_on_loop(self.loop, call.abandon)
            raise
        try:
            return call.outcome()
        finally:
            del call

    def _check(self) -> None:
        if self.is_of_parent:
            raise forked_error()
        if self.loop.is_closed():
            raise _closed(False)
        if not self.loop.is_running():
            raise WrongLoop("the event loop of this database does not run: its run_until_complete() has returned")


class _Call(Generic[T]):
    """One call. All but its making and ``outcome`` happens on the loop.

    Attributes:
        was_cancelled: the cancellation met it before it had ended.
    """

    __slots__ = (
        "_before",
        "_calls",
        "_context",
        "_error",
        "_is_left",
        "_is_told",
        "_make",
        "_result",
        "_task",
        "_tell",
        "_undo",
        "was_cancelled",
    )

    def __init__(
        self,
        make: Callable[[], Awaitable[T]],
        undo: Undo[T] | None,
        tell: Callable[[], bool],
        calls: set[asyncio.Task[None]],
    ) -> None:
        self._before: Context = copy_context()
        self._context: Context = self._before.copy()
        self._make = make
        self._undo = undo
        self._tell = tell
        self._calls = calls
        self._task: asyncio.Task[None] | None = None
        self._is_left = False
        self._is_told = False
        self._result: T = _UNSET
        self._error: BaseException | None = None
        self.was_cancelled = False

    def start(self) -> None:
        self._task = self._in_task(self._run())
        self._task.add_done_callback(self._tell_at_last)

    def _in_task(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(coroutine, context=self._context)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return task

    async def _run(self) -> None:
        try:
            self._result = await self._make()
        except BaseException as error:
            self._error = error
        finally:
            self._tell_once()
        if self._is_left:
            await self._give_back()

    def _tell_once(self) -> None:
        if isinstance(self._error, asyncio.CancelledError) and not self.was_cancelled:
            self._error = _closed(None)  # not by its caller: the loop ends
        self._is_told = True
        if not self._tell():
            self._is_left = True

    def _tell_at_last(self, task: asyncio.Task[None]) -> None:
        """Where it was cancelled before its first step."""
        if not self._is_told:
            self._error = asyncio.CancelledError()
            self._tell_once()

    async def _give_back(self) -> None:
        if self._undo is not None and self._result is not _UNSET:
            await self._undo(self._result)

    def cancel(self) -> None:
        if self._task is not None and self._task.cancel():
            self.was_cancelled = True

    def abandon(self) -> None:
        """Its caller has gone, and will not look at its outcome."""
        self._is_left = True
        if self._task is not None and not self._task.cancel():
            self._in_task(self._give_back())

    def outcome(self) -> T:
        """In the caller's thread, once it was told."""
        for variable, value in self._context.items():
            if self._before.get(variable, _UNSET) is not value:
                variable.set(value)
        # The loop may keep this object a little longer than its caller what the call was of, and what it got.
        self._make = _nothing
        result, self._result = self._result, _UNSET
        error, self._error = self._error, None
        if error is None:
            return result
        try:
            raise error
        finally:
            del error


async def _nothing() -> Any:
    raise AssertionError


def _arrive(arrived: asyncio.Future[None]) -> None:
    if not arrived.done():
        arrived.set_result(None)


def _closed(applied: bool | None) -> DatabaseClosed:
    return DatabaseClosed("the event loop of this database was closed", applied=applied)


def _refuse(loop: asyncio.AbstractEventLoop, make: Callable[..., object]) -> NoReturn:
    verb = getattr(make.func if isinstance(make, partial) else make, "__name__", "__call__")
    what, instead = (f"{verb}()", f"await db.{verb}(...)") if verb[0] != "_" else ("this block", "async with")
    if asyncio._get_running_loop() is loop:
        raise WrongLoop(
            f"{what} would wait for itself: it is called on the database's own event loop, by a function that runs "
            "there (progress=, rerank=, an embedder)"
        )
    raise WrongLoop(
        f"{what} would block the event loop that runs in this thread: use `{instead}` on what aiomemdb.connect() or "
        "aiomemdb.Memory.open() makes, or run all of it in a thread: `await asyncio.to_thread(function)`"
    )
