"""A thread with an inbox, which works for one event loop. Knows no SQL; tested with integers.

    on the loop                          | on the thread
    -------------------------------------+------------------------------------------------
    start()  hangs the bell              | begins
    post(call)      -> inbox             | call(), in the order of posting
    submit(f, *args) -> inbox            | f(raw, *args), then the future's outcome is delivered
    interrupt(work)                      | has what it works on now stopped, and nothing else
    stop()          -> inbox             | ends behind what was posted before
                                         |
    bell            <- deliver(callback) | what it has done

The thread waits for its inbox without a time limit, which would cost a lone caller's read 0.8 of 14 us. A loop that is
closed wakes it (bell.py); where the loop can't, and while an alarm is set, it waits by the clock.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, TypeVar, cast

from ..errors import AiomemdbError, DatabaseClosed, ForkedError, WriterCrashed
from .bell import Bell, call_on_loop
from .job import Failure, settle_one
from .step_aside import JUST_BEFORE, OLD, StepAside

__all__ = ["Worker", "end_workers", "forked_error", "join_at_exit", "loop_served_here", "wait_out"]

log: logging.Logger = logging.getLogger("aiomemdb")

T = TypeVar("T")
Raw = TypeVar("Raw")

# How often a thread that its loop can't tell looks whether that was closed, in seconds.
_LOOK_FOR_CLOSED_LOOP = 0.5

_INTERRUPT_AGAIN = 0.05


def _plain_thread(run: Callable[[], object]) -> threading.Thread:
    return threading.Thread(target=run)


class Worker(Generic[Raw]):
    """One thread, what it alone may touch, and its inbox.

    Attributes:
        raw: for the thread alone; what is submitted gets it.
        working_on: what the thread works on now; ``interrupt`` stops that alone.
        switching: guards it.
        on_lost: called on the loop's thread when the thread died of an error, and on the worker's thread when
            the loop was closed under it (then with ``None``).
        deliver: from the worker's thread: has a callback run on the loop; False where that is closed (bell.py).
        alarm: for the worker's thread alone: (a time of ``time.monotonic``, what to call then), once, unless it is
            at work. What is called must raise nothing.
        stopped: resolves when the thread has ended, or could not be started.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name: str = name
        self.loop: asyncio.AbstractEventLoop = loop
        self.thread: threading.Thread = threading.Thread()  # until it is started
        self.raw: Raw = cast(Raw, None)
        self.working_on: object = None
        self.switching: threading.Lock = threading.Lock()
        self.on_lost: Callable[[BaseException | None], None] = lambda error: None
        self.alarm: tuple[float, Callable[[], None]] | None = None
        self.stopped: asyncio.Future[None] = loop.create_future()
        self.stopping: bool = False
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._submitted: set[asyncio.Future[Any]] = set()
        self._lost: BaseException | None = None
        self._bell = Bell(loop)
        self.deliver: Callable[..., bool] = self._bell.tell
        self._is_deaf = True
        self._aside = StepAside(loop, deliver=self.deliver, is_alive=self._is_alive)
        _made.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name} {'open' if self._is_alive() else 'stopped'}>"

    # What depends on what the thread works with

    def _end(self) -> None:
        """On the thread, at its end, whatever the reason."""

    def _stop_work(self) -> None:
        """On the loop: stops what the thread is in the middle of."""

    def leave_to_parent(self) -> None:
        """In a forked child: nothing may touch it again. Its thread is not here."""
        self._lost = forked_error()
        self.switching = threading.Lock()  # the thread may have held it

    # On the loop

    def start(self, make_thread: Callable[[Callable[[], None]], threading.Thread] = _plain_thread) -> None:
        """Starts the thread, which ``make_thread`` makes of what it is to run."""
        try:
            thread = make_thread(self._serve)
            # Not a daemon, it would keep an interpreter that exits without close from ever ending.
            thread.daemon = True
            thread.name = self.name
            self._is_deaf = not self._bell.hang(partial(self._inbox.put, self._go_deaf))
            self.thread = thread
            thread.start()
        except BaseException:  # there are too many threads, or descriptors
            self._has_ended()
            raise

    def post(self, call: Callable[[], None]) -> None:
        """Has ``call`` run on the thread, after what was posted before. It must raise nothing."""
        aside = self._aside
        now, before = monotonic(), aside.posted_at
        aside.posted_at = now
        aside.posted += 1
        self._inbox.put(call)
        if now - before > JUST_BEFORE:
            aside.ask_soon(now)

    def submit(self, function: Callable[..., T], *args: Any, wanted_only: bool = False) -> asyncio.Future[T]:
        """Runs ``function(raw, *args)`` on the thread; ``interrupt(future)`` stops it.

        Cancelling the future does not: what has started runs to its end, and its result is dropped; what has not is
        left out with ``wanted_only`` alone.
        """
        future: asyncio.Future[T] = self.loop.create_future()
        if self.stopping:
            settle_one(future, Failure(DatabaseClosed("the database is closing or closed")))
            return future
        if self._lost is not None:
            settle_one(future, Failure(_lost_error(self.name, self._lost)))
            return future
        self._submitted.add(future)
        future.add_done_callback(self._submitted.discard)

        def call() -> None:
            if wanted_only and future.done():
                return
            self.switch(future)
            outcome: Any
            try:
                outcome = function(self.raw, *args)
            except BaseException as error:
                outcome = Failure(error)
            self.switch(None)
            if not self.deliver(settle_one, future, outcome):
                settle_one(future, outcome)

        self.post(call)
        return future

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """``submit`` and wait; off the hot path."""
        return await self.submit(function, *args)

    def interrupt(self, work: object) -> bool:
        """Stops ``work`` if the thread still works on it, and returns whether it did.

        Again and again, until the thread has left it: between two statements an interrupt stops nothing, and a
        function may run several, or swallow the error.
        """
        with self.switching:
            if self.working_on is not work or not self._is_alive():
                return False
            try:
                self._stop_work()
            except Exception as error:  # of a proxy: who stops work has more to clean up
                log.warning("%s: the running call can't be interrupted: %r", self.name, error)
                return True
        self.loop.call_later(_INTERRUPT_AGAIN, self.interrupt, work)
        return True

    # On any thread

    def stop(self) -> None:
        """Ends the thread after what was posted before; ``stopped`` then resolves."""
        self.stopping = True
        self._inbox.put(None)
        if self.thread.ident is None and not self.stopped.done():  # none was started, so none will end
            call_on_loop(self.loop, self._has_ended)

    def join(self, timeout: float) -> bool:
        if self.thread.ident is not None:
            self.thread.join(timeout)
        return not self.thread.is_alive()

    # On the thread

    def switch(self, work: object) -> None:
        """From here on the thread works on ``work``.

        An interrupt that comes late would stop the next work: so the lock makes "is it still that work?" and the
        interrupt one step. Between two statements it stops nothing (https://www.sqlite.org/c3ref/interrupt.html).
        """
        with self.switching:
            self.working_on = work

    def _serve(self) -> None:
        """The thread's one function: runs what comes in, until it is told to stop or its loop is closed."""
        _here.loop = self.loop
        error: BaseException | None = None
        try:
            try:
                self._run_calls()
                self.switch(None)  # an interrupt that comes late meets what is closed, or stops its closing
            finally:
                self._end()
        except BaseException as caught:
            error = caught
            log.error("%s died of %r", self.name, caught)
        if error is not None:
            self.deliver(self._fail_submitted, error)
            self.deliver(self.on_lost, error)
        if not call_on_loop(self.loop, self._has_ended):
            try:
                self._fail_submitted(None)
                self.on_lost(None)
            finally:
                self._bell.take_down()

    def _run_calls(self) -> None:
        get, aside = self._inbox.get, self._aside
        while (call := get() if self.alarm is None and not self._is_deaf else self._get_by_the_clock()) is not None:
            if monotonic() - aside.posted_at > OLD and aside.served < aside.posted:
                aside.ask_for_old()
            call()
            del call  # keep nothing alive while waiting
            aside.served += 1
            if aside.way is not None:
                aside.let_go()

    def _get_by_the_clock(self) -> Callable[[], None] | None:
        """The next call; None if it is told to stop or its loop is closed."""
        while True:
            try:
                return self._inbox.get(timeout=self._time_limit())
            except Empty:
                if self.loop.is_closed():
                    return None
                if self.alarm is not None and self.alarm[0] <= monotonic():
                    ring, self.alarm = self.alarm[1], None
                    ring()

    def _time_limit(self) -> float | None:
        if self.loop.is_closed():
            return 0.0
        limit = _LOOK_FOR_CLOSED_LOOP if self._is_deaf else None
        if self.alarm is None:
            return limit
        until_alarm = max(0.0, self.alarm[0] - monotonic())
        return until_alarm if limit is None else min(until_alarm, limit)

    def _go_deaf(self) -> None:
        """The loop has let go of the bell: it was closed, as a rule."""
        self._is_deaf = True
        self._aside.served -= 1  # this was not posted

    # Ends

    @property
    def is_open(self) -> bool:
        """Whether it takes what is submitted."""
        return self._lost is None and not self.stopping

    def _is_alive(self) -> bool:
        return self.thread.is_alive()

    def _fail_submitted(self, error: BaseException | None) -> None:
        self._lost = error or RuntimeError("the event loop was closed")
        for future in list(self._submitted):
            settle_one(future, Failure(_lost_error(self.name, self._lost)))

    def _has_ended(self) -> None:
        self._aside.end()
        try:
            self._bell.take_down()
        finally:
            settle_one(self.stopped, None)


class _Here(threading.local):
    loop: asyncio.AbstractEventLoop | None = None


_here = _Here()


def loop_served_here() -> asyncio.AbstractEventLoop | None:
    """The loop that this thread works for as a ``Worker``, or None."""
    return _here.loop


async def wait_out(futures: Iterable[asyncio.Future[Any]], timeout: float) -> None:
    """Waits for all of them, up to ``timeout`` seconds, though the task be cancelled meanwhile.

    For the library's own closing, which goes on whichever task is cancelled, and for clean-ups that raise anyway.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout
    waiting = list(futures)
    while pending := [future for future in waiting if not future.done()]:
        try:
            await asyncio.wait(pending, timeout=deadline - loop.time())
            return
        except asyncio.CancelledError:
            continue


async def end_workers(workers: Iterable[Worker[Any]], timeout: float = 5.0) -> None:
    """Stops them and waits until their threads have ended, up to ``timeout`` seconds: one may hang in a call."""
    workers = list(workers)
    for worker in workers:
        worker.stop()
    if workers:
        await wait_out([worker.stopped for worker in workers], timeout=max(0.05, timeout))
    for worker in workers:
        if worker.stopped.done():
            worker.join(0.5)


def join_at_exit(workers: Iterable[Worker[Any]], timeout: float = 1.0) -> None:
    """Waits until their threads have ended, if the interpreter is about to end; they were told to stop before.

    A thread that wants Python's lock after that is ended where it stands, with the locks that it holds, and whatever
    needs one of these never ends. One that hangs in a call is waited for up to ``timeout`` seconds.
    """
    if not threading.main_thread().is_alive():
        deadline = monotonic() + timeout
        for worker in workers:
            worker.join(max(0.0, deadline - monotonic()))


_made: weakref.WeakSet[Worker[Any]] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked child."""
    for worker in list(_made):
        worker.leave_to_parent()
    # When all are safe: it needs a descriptor, and the child may have none left.
    for worker in list(_made):
        with suppress(OSError):
            worker._bell.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)


def forked_error() -> ForkedError:
    return ForkedError(
        "this database was opened in the parent process, and a forked child can't use the file that its parent had "
        'open; start processes by "spawn" or "forkserver", or fork before the parent opens it'
    )


def _lost_error(name: str, cause: BaseException) -> AiomemdbError:
    if isinstance(cause, ForkedError):
        return forked_error()
    error = WriterCrashed(f"the thread {name} is gone: {cause!r}; close and reopen the database", applied=None)
    error.__cause__ = cause
    return error
