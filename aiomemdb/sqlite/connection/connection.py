"""One SQLite connection and the thread that owns it; the only importer of aiosqlite.

aiosqlite opens the connection in a thread of its own and runs functions there in turn. It has no public call for
that, and its own way back to the loop hangs when the loop is gone: so ONE function of ours is given to its queue
for the connection's whole life, with an inbox of ours inside. Then none of aiosqlite is on the hot path.

Python's lock
=============

CPython has a thread that waits for its lock ask for it after 5 ms, but it waits those anew each time that the lock
comes free. A loop frees it once a turn, for some microseconds, and has it back before the thread is awake. So beside a
loop that is busy in turns of less than 5 ms a thread gets the lock once in 20 to 75 turns, and for twenty writes it
needs it a hundred times: they took 1,500 turns of 4 ms, twenty reads 250. So the loop *steps aside* (now 3 turns, and
2): it waits, its lock free, until the thread has done its work, for 0.2 ms; then more seldom, for up to 1 ms, as the
thread may as well be in a long call of SQLite's; and for a small share of its time in all. Whether it has to, it asks a
turn after it has posted work; but not if it had posted some just before, which the thread has done since: that callback
is a tenth of a lone caller's read. A thread that finds its work old has the loop asked, too.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterable
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeVar, cast

import aiosqlite
import anyio
from aiosqlite.core import _STOP_RUNNING_SENTINEL

from ...concurrency.bell import Bell, call_on_loop
from ...concurrency.job import Failure, settle_one
from ...errors import AiomemdbError, DatabaseClosed, ForkedError, WriterCrashed
from ..file.hazards import has_second_library, hold, let_go
from .guard import GuardedConnection

__all__ = ["BUSY_SLICE", "Connection", "end_connections", "forked_error", "wait_out"]

log: logging.Logger = logging.getLogger("aiomemdb")

T = TypeVar("T")

# Waits for locks are cut in slices: sqlite3_interrupt does not break a busy wait, and close() must be able to.
BUSY_SLICE = 0.1

# How often an idle thread looks whether its event loop was closed under it, in seconds. To wait with a time limit costs
# 0.8 us, of a lone caller's read 14; so for the threads that a lone caller's work goes to the others look.
_LOOK_FOR_CLOSED_LOOP = 0.5

_INTERRUPT_AGAIN = 0.05

# In seconds: a thread that does its work within the first has Python's lock when it wants it; a turn that takes longer
# than the second keeps it from the thread; work that has waited for the third is old.
_JUST_BEFORE = 0.001
_BUSY_TURN = 0.0001
_OLD = 0.002
# When the loop steps aside again, twice as late each time; and for how long.
_PAUSES = (0.001, 0.1)
_PART_OF_PAUSE = 0.2
_STEP_ASIDE_AT_MOST = 0.001
# What a loop gives up at most, for all its connections together: of 120 databases it would else stand still.
_SHARE_OF_LOOP = 0.1
_SHARE_IN_VAIN = 0.05
_steps_aside_again_at: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float] = weakref.WeakKeyDictionary()


class Connection:
    """A connection whose every call runs on its own thread.

    Attributes:
        raw: for the connection's thread alone.
        working_on: what the thread works on now; ``interrupt`` stops that and nothing else.
        switching: guards it.
        on_lost: called on the loop's thread when the thread died of an error, and on the connection's thread when
            the loop was closed under it (then with ``None``).
        deliver: from the connection's thread: has a callback run on the loop; False where that is closed (bell.py).
        at_end: called on the connection's thread to close the connection, by the function that it gets, whatever the
            reason.
        alarm: for the connection's thread alone: (a time of ``time.monotonic``, what to call then), once, unless it is
            at work. What is called must raise nothing.
    """

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.name: str = name
        self.loop: asyncio.AbstractEventLoop = loop
        self.raw: GuardedConnection = cast(GuardedConnection, None)
        self.working_on: object = None
        self.on_lost: Callable[[BaseException | None], None] = lambda error: None
        self.at_end: Callable[[Callable[[], None]], None] = lambda close: close()
        self.alarm: tuple[float, Callable[[], None]] | None = None
        self.stopped: asyncio.Future[None] = loop.create_future()
        self.stopping: bool = False
        self._inbox: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._submitted: set[asyncio.Future[Any]] = set()
        self._lost: BaseException | None = None
        self.switching: threading.Lock = threading.Lock()
        self._posted = self._served = self._asked_for = 0
        self._posted_at = -math.inf
        self._way: threading.Lock | None = None
        self._steps_aside_later: asyncio.TimerHandle | None = None
        self._bell = Bell(loop)
        self.deliver: Callable[..., bool] = self._bell.tell
        self._looked_after = False
        self._looks_after: list[Connection] = []
        self._path = ""
        self._held: tuple[int, int] | None = None
        _made.add(self)

    def __repr__(self) -> str:
        return f"<Connection {self.name} {'open' if self.thread.is_alive() else 'stopped'}>"

    async def open(
        self,
        uri: str,
        configure: Callable[[GuardedConnection], None],
        make: Callable[..., GuardedConnection] = GuardedConnection,
    ) -> None:
        """Opens the connection, which ``make`` makes, and runs ``configure`` on it, both in its thread.

        A cancelled caller leaves nothing: the opening goes on to its end and is closed again.
        """
        self._start(uri, make)
        try:
            await self.run(self._connect, configure)
        except BaseException:
            # Posted, not behind an await: who is cancelled once more leaves nothing either.
            self.stop()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self.stopped])
            self.join(1.0)
            raise

    def _start(self, uri: str, make: Callable[..., GuardedConnection]) -> None:
        """Starts the thread. Not by awaiting aiosqlite's connection: cancelled meanwhile, it would leave its thread."""
        self._driver = driver = aiosqlite.connect(
            uri,
            uri=True,
            isolation_level=None,
            timeout=BUSY_SLICE,
            factory=make,
            cached_statements=300,  # of the library's own, about 40
        )
        # Until 0.21 the connection is a thread, since 0.22 it has one. Not a daemon, it would keep an interpreter
        # that exits without close from ever ending.
        self.thread: threading.Thread = getattr(driver, "_thread", driver)  # type: ignore[arg-type]
        self.thread.daemon = True
        self.thread.name = self.name
        # When our function has returned, the thread ends: since 0.22 by what it returns, until 0.21 by what waits
        # behind it. Not by SystemExit, which hooks for errors of threads (pytest's, Sentry's) take for an error.
        self._bell.hang()
        driver._tx.put_nowait((cast(Any, _Unheard()), self._serve))
        driver._tx.put_nowait(cast(Any, _STOP_RUNNING_SENTINEL))
        try:
            self.thread.start()
        except BaseException:  # there are too many
            self._bell.take_down()
            raise

    def _connect(self, _: GuardedConnection, configure: Callable[[GuardedConnection], None]) -> None:
        self.raw = cast(GuardedConnection, self._driver._connector())
        self.raw.text_factory = os.fsdecode  # a path may be no UTF-8
        _, _, self._path = self.raw.execute("PRAGMA database_list").fetchone()
        self.raw.text_factory = str
        configure(self.raw)
        self._held = hold(self._path)

    def _serve(self) -> object:
        """The thread's one function: runs what comes in, until it is told to stop or its loop is closed."""
        error: BaseException | None = None
        try:
            try:
                self._run_calls()
                self.switch(None)  # an interrupt that comes late meets a closed connection, or stops its closing
            finally:
                for other in self._looks_after:
                    other._inbox.put(other._look_for_itself)
                self.at_end(self._close_raw)
        except BaseException as caught:
            error = caught
            log.error("%s died of %r", self.name, caught)
        if error is not None:
            self.deliver(self._fail_submitted, error)
            self.deliver(self.on_lost, error)
        if not call_on_loop(self.loop, self._has_ended):
            self._fail_submitted(None)
            self.on_lost(None)
            self._bell.take_down()
        return _STOP_RUNNING_SENTINEL

    def _run_calls(self) -> None:
        while True:
            try:
                call = self._inbox.get(timeout=None if self._looked_after and not self.alarm else self._until_alarm())
            except Empty:
                if self.loop.is_closed():
                    return
                self._ring()
                continue
            if call is None:
                return
            is_old = time.monotonic() - self._posted_at > _OLD and self._served < self._posted
            if is_old and self._asked_for != self._served + 1:
                self._asked_for = self._served + 1
                self.deliver(self._step_aside, self._asked_for, 0.0, _PAUSES[0])
            call()
            del call  # keep nothing alive while waiting
            self._served += 1
            if (way := self._way) is not None:
                self._way = None
                way.release()

    def look_after(self, others: Iterable[Connection]) -> None:
        """From here on this thread looks for them too whether the loop was closed; they do when it has ended."""
        self._looks_after = list(others)
        for other in self._looks_after:
            other._looked_after = True

    def _look_for_itself(self) -> None:
        self._looked_after = False
        self._served -= 1  # nobody has posted this

    def _until_alarm(self) -> float:
        if self.alarm is None:
            return _LOOK_FOR_CLOSED_LOOP
        return min(max(0.0, self.alarm[0] - time.monotonic()), _LOOK_FOR_CLOSED_LOOP)

    def _ring(self) -> None:
        if self.alarm is not None and self.alarm[0] <= time.monotonic():
            call, self.alarm = self.alarm[1], None
            call()

    def _close_raw(self) -> None:
        if cast(object, self.raw) is None:  # it could not be opened
            return
        for step in (self._end_work, self._close_or_keep):
            try:
                step()
            except Exception as error:  # of whatever kind: the next step is to come all the same
                log.warning("%s: closing failed: %r", self.name, error)

    def _end_work(self) -> None:
        self.raw.roll_back()
        # It takes an interrupt that came late, which would have the close leave its log behind.
        self.raw.execute("SELECT 1").fetchone()

    def _close_or_keep(self) -> None:
        if has_second_library(self._path):
            # Closed, it would drop that library's locks, and remove the log that its commits still go to.
            _keep_for_good(self.raw)
            log.warning("%s: not closed, for a second SQLite library has %s open", self.name, self._path)
        else:
            if self._held is not None:
                let_go(self._held)
            self.raw.close()

    def post(self, call: Callable[[], None]) -> None:
        """On the loop: has ``call`` run on the thread, after what was posted before. It must raise nothing."""
        now, before = time.monotonic(), self._posted_at
        self._posted_at = now
        self._posted += 1
        self._inbox.put(call)
        if now - before > _JUST_BEFORE:
            self._asked_for = self._posted
            try:
                self.loop.call_soon(self._step_aside, self._posted, now + _BUSY_TURN, _PAUSES[0])
            except RuntimeError:
                pass  # the loop is closed

    def _step_aside(self, number: int, unless_before: float, pause: float) -> None:
        """On the loop: leaves Python's lock to the thread, where it keeps that from the call of this number."""
        if number != self._asked_for or self._served >= number or not self.thread.is_alive():
            return
        now = time.monotonic()
        if now < unless_before:
            self._asked_for = 0
            return
        not_before = _steps_aside_again_at.get(self.loop, now)
        if now >= not_before:
            self._way = way = threading.Lock()
            way.acquire()
            if self._served < number:
                way.acquire(timeout=min(pause * _PART_OF_PAUSE, _STEP_ASIDE_AT_MOST))
            self._way = None
            is_done = self._served >= number
            took = time.monotonic() - now
            _steps_aside_again_at[self.loop] = now + took / (_SHARE_OF_LOOP if is_done else _SHARE_IN_VAIN)
            if is_done:
                return
        later = max(pause, not_before - now)
        pause = min(2 * pause, _PAUSES[1])
        self._forget_stepping_aside()  # for an earlier call
        self._steps_aside_later = self.loop.call_later(later, self._step_aside, number, 0.0, pause)

    def _forget_stepping_aside(self) -> None:
        if self._steps_aside_later is not None:  # until it is due it would keep a closed database in memory
            self._steps_aside_later.cancel()

    def _has_ended(self) -> None:
        self._forget_stepping_aside()
        try:
            self._bell.take_down()
        finally:
            settle_one(self.stopped, None)

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

    def _fail_submitted(self, error: BaseException | None) -> None:
        self._lost = error or RuntimeError("the event loop was closed")
        for future in list(self._submitted):
            settle_one(future, Failure(_lost_error(self.name, self._lost)))

    async def run(self, function: Callable[..., T], *args: Any) -> T:
        """``submit`` and wait; off the hot path."""
        return await self.submit(function, *args)

    def switch(self, work: object) -> None:
        """On the thread: from here on it works on ``work``.

        An interrupt that comes late would stop the connection's next query: so the lock makes "is it still that work?"
        and the interrupt one step. Between two statements it stops nothing (https://www.sqlite.org/c3ref/interrupt.html).
        """
        with self.switching:
            self.working_on = work

    def interrupt(self, work: object) -> bool:
        """On the loop: stops ``work`` if the thread still works on it; tells whether it did.

        Again and again, until the thread has left it: between two statements an interrupt stops nothing, and a
        function may run several, or swallow the error.
        """
        with self.switching:
            if self.working_on is not work or not self.thread.is_alive():
                return False
            try:
                self.raw.stop_query()
            except Exception as error:  # of somebody's proxy: who stops work has more to clean up
                log.warning("%s: what runs can't be interrupted: %r", self.name, error)
                return True
        self.loop.call_later(_INTERRUPT_AGAIN, self.interrupt, work)
        return True

    def stop(self) -> None:
        """Ends the thread after what was posted before; ``stopped`` then resolves. From any thread."""
        self.stopping = True
        self._inbox.put(None)

    def given_up(self) -> bool:
        return self.stopping

    def join(self, timeout: float) -> bool:
        self.thread.join(timeout)
        return not self.thread.is_alive()


async def wait_out(futures: Iterable[asyncio.Future[Any]], timeout: float) -> None:
    """Waits for all of them, up to ``timeout`` seconds, though the task be cancelled meanwhile.

    For the library's own closing, which goes on whoever is cancelled, and for clean-ups that raise anyway.
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


async def end_connections(connections: list[Connection], timeout: float = 5.0) -> None:
    """Stops them and waits until their threads have ended, up to ``timeout`` seconds: one may hang in a call."""
    for connection in connections:
        connection.stop()
    if connections:
        await wait_out([connection.stopped for connection in connections], timeout=max(0.05, timeout))
    for connection in connections:
        if connection.stopped.done():
            connection.join(0.5)


_made: weakref.WeakSet[Connection] = weakref.WeakSet()


def _leave_to_parent() -> None:
    """In a forked child: nothing may touch the connections again, not even the collector. Their threads are not
    here, and closing one would end the parent's transaction in the log's shared memory."""
    for connection in list(_made):
        connection._lost = forked_error()
        connection.switching = threading.Lock()  # the thread may have held it
        if connection.raw is not None:
            _keep_for_good(connection.raw)
    # When all are safe: it needs a descriptor, of which the child may have none left.
    for connection in list(_made):
        with suppress(OSError):
            connection._bell.leave_to_parent()


def _keep_for_good(raw: GuardedConnection) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(raw))


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


class _Unheard:
    """Stands where aiosqlite expects a future of its own, which it would now resolve on a loop that may be gone."""

    def get_loop(self) -> _Unheard:
        return self

    def call_soon_threadsafe(self, *_: object) -> None:
        pass
