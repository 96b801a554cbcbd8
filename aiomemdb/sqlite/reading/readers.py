"""The readers: read-only connections that take queries from one queue.

All reader threads take from one queue, a query at a time, and finished ones go to another that the loop empties. So
a thread that is awake serves many waiting queries in one hop (172,000 to 187,000 point reads a second; one hop each
gave 32,000 to 54,000), and a slow query delays no other: the rest is still in the queue. A second thread is woken
only when the first is stuck, since Python runs one at a time and more of them make quick reads slower; a timer looks
for that, and also collects what a thread had finished before it got stuck. Where there is no second one yet, it is
opened (opening.py).
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any, TypeVar  # Any: queries of all types wait in one queue

from ...concurrency.failing import Failing
from ...concurrency.job import Failure, SomeFuture, copy_error, settle, settle_one
from ...concurrency.pool import Pool
from ...concurrency.worker import end_workers, wait_out
from ...errors import AiomemdbError, DatabaseClosed
from ..common.options import SQLiteConfig
from ..common.recorder import Recorder
from ..connection.connection import Connection
from ..connection.settings import Settings
from .leases import Leases
from .opening import MoreReaders, ReaderOpener
from .queries import VERBS, Fetch, failure_of, read_timeout

__all__ = ["Readers"]

# A query that runs for longer than this is slow: another thread takes over the queue.
_STUCK = 0.002
# Finished queries are handed to the loop when there are so many, or when the queue is empty. Not sooner: the loop and
# the thread, both awake, are in each other's way (8.9 us a query at 64, 8.2 at 256). Of slow ones ``_tick`` hands over
# fewer.
_HAND_OVER = 256

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class Readers:
    """Owns the read-only connections and the queue of queries.

    Attributes:
        connections: those that are open; ``first`` at the beginning, up to ``config.reader_count``.
        open_thread: the thread from which a query needs no further look, or None while each needs one. ONE value that
            the hot path compares.
    """

    def __init__(
        self, first: Connection, opener: ReaderOpener, config: SQLiteConfig, path: object, recorder: Recorder
    ) -> None:
        self.connections: list[Connection] = [first]
        self._at_most = config.reader_count
        self.settings: Settings = opener.settings
        self.pool: Pool[Connection] = Pool(
            self.connections, max_leases=self._at_most - 1, on_release=self._serve_waiting
        )
        self.recorder: Recorder = recorder
        self.loop: asyncio.AbstractEventLoop = first.loop
        self._create_future: Callable[[], SomeFuture] = self.loop.create_future
        self.loop_is_running: Callable[[], bool] = self.loop.is_running
        self.open_thread: int | None = threading.get_ident()
        self._waits_for: Callable[[float | None], Awaitable[None]] | None = None
        self._is_refusing = False
        self._lock_timeout = config.lock_timeout
        self.path: object = path
        self._failing = Failing(self.loop)
        self._pending: deque[tuple[SomeFuture, Fetch[Any, Any, Any], Any, Any]] = deque()
        self._finished: deque[tuple[SomeFuture, object]] = deque()
        self._handing_over = self._step_aside = self._ticking = False
        self._active: dict[Connection, object] = {}
        self._stuck: set[Connection] = set()
        self._called: set[Connection] = set()  # those that a lease wants, and no other
        self._drained: asyncio.Future[None] | None = None
        self._ending = threading.Lock()
        self.leases: Leases = Leases(self.pool, self.loop)
        self._oldest_at_failure: SomeFuture | None = None
        self._more = MoreReaders(
            opener,
            self.loop,
            on_opened=self._opened,
            on_failed=self._not_opened,
            on_lost=self._lost,
            is_needed=self._needs_another,
        )
        first.on_lost = partial(self._lost, first)

    def __repr__(self) -> str:
        return f"<Readers {self.pool!r} active={len(self._active)} pending={len(self._pending)}>"

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def busy(self) -> int:
        return len(self.connections) - self.pool.idle

    @property
    def threads(self) -> list[Connection]:
        """Those that are being opened, or end, among them."""
        return [*self.connections, *self._more.connections]

    # What is looked at before a query

    def wait_for(self, first: Callable[[float | None], Awaitable[None]]) -> None:
        """Each query and lease waits first for what ``first`` returns, which gets the caller's timeout."""
        self.open_thread, self._waits_for = None, first

    def wait_no_more(self) -> None:
        self._waits_for = None
        if not self._is_refusing:
            self.open_thread = threading.get_ident()

    def refuse_new(self) -> None:
        """The database is closing, or a forked child's."""
        self._is_refusing, self.open_thread = True, None

    # Shared queries

    def ask(self, fetch: Fetch[S, A, R], subject: S, arguments: A) -> asyncio.Future[R]:
        """Enqueues a query; a caller that leaves its future must ``interrupt`` it."""
        future = self._create_future()
        if self.recorder.is_observed:
            self.recorder.tell_read(future, VERBS[fetch], subject)
        self._pending.append((future, fetch, subject, arguments))
        if len(self._active) <= len(self._stuck):
            self._wake_one()
        elif not self._ticking:
            self._ticking = True
            self._tick()
        return future

    async def read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> R:
        if self._waits_for is not None:
            await self._waits_for(timeout)
        future = self.ask(fetch, subject, arguments)
        timer = None if timeout is None else self.loop.call_later(timeout, self._expire, future, timeout)
        try:
            return await future
        except asyncio.CancelledError:
            self.interrupt(future)
            raise
        finally:
            if timer is not None:
                timer.cancel()

    def _wake_one(self) -> None:
        connection = self.pool.take()
        if connection is not None:
            self._active[connection] = None
            connection.post(partial(self._serve, connection))
        else:
            self._more.open_soon()

    def _needs_waking(self) -> bool:
        return bool(self._pending) and len(self._active) <= len(self._stuck)

    def _serve_waiting(self) -> None:
        """There is a reader more, or less, for what waits."""
        if self._needs_waking():
            self._wake_one()
            if self._active and not self._ticking:  # those that came while there was none have not begun it
                self._ticking = True
                self._tick()
        if self.pool.wants_item:
            self._more.open_soon()

    def _serve(self, connection: Connection) -> None:
        """On a reader's thread: answers queries until there are none, or a lease wants the reader."""
        pending, finished, raw, guard = self._pending, self._finished, connection.raw, connection.raw.guard
        count, called = 0, self._called
        guard.clear()
        while pending and not self._step_aside and connection not in called:
            try:
                future, fetch, subject, arguments = pending.popleft()
            except IndexError:  # another thread took it
                break
            if future.done():  # its caller has left
                continue
            connection.switch(future)
            if raw.behind:
                self.settings.catch_up(raw)
            try:
                outcome = fetch(raw, subject, arguments)
                if guard.denied is not None:
                    outcome = Failure(guard.explain(RuntimeError("refused")))
                    guard.clear()
            except BaseException as error:
                outcome = failure_of(raw, fetch, subject, arguments, error, self._lock_timeout, self.path)
            finished.append((future, outcome))
            count += 1
            if count % _HAND_OVER == 0 and not self._handing_over:
                self._handing_over = True
                connection.deliver(self._hand_over)
        connection.switch(None)
        connection.deliver(self._parked, connection)

    def _hand_over(self) -> None:
        self._handing_over = False  # before the queue is emptied: who appends behind us calls again
        popleft, count = self._finished.popleft, len(self._finished)
        if count <= 1:
            if count:
                self.recorder.reads += 1
                settle_one(*popleft())
            return
        finished = [popleft() for _ in range(count)]
        outcomes = [outcome for _, outcome in finished]
        self.recorder.reads += count
        try:
            settle(finished, outcomes, failed=Failure in map(type, outcomes))
        except BaseException:  # a Ctrl-C that struck inside it would lose them
            self._finished.extendleft(reversed(finished))
            raise

    def _parked(self, connection: Connection) -> None:
        """The thread has left the queue."""
        self._active.pop(connection, None)
        self._stuck.discard(connection)
        self._called.discard(connection)
        self.pool.give_back(connection)
        self._step_aside = self.pool.wants_item
        if self._needs_waking():
            self._wake_one()
        self._look_whether_drained()
        self._hand_over()

    def _look_whether_drained(self) -> None:
        if self._drained is not None and not self._active and not self._pending:
            settle_one(self._drained, None)

    def _tick(self) -> None:
        """Finds the threads that are stuck in one query since the last look."""
        self._hand_over()
        for connection, before in self._active.items():
            now = connection.working_on
            if now is before and now is not None:
                self._stuck.add(connection)
            else:
                self._stuck.discard(connection)
            self._active[connection] = now
        if self._needs_waking():
            self._wake_one()
        # Not for one query that no other waits behind: a timer that is set costs each turn of the loop 3 us, of 20.
        if self._active and (self._pending or self._stuck or len(self._active) > 1):
            self.loop.call_later(_STUCK, self._tick)
        else:
            self._ticking = False

    def _expire(self, future: asyncio.Future[R], timeout: float) -> None:
        if not future.done():
            future.set_exception(read_timeout(timeout, started=self.interrupt(future)))

    def interrupt(self, future: asyncio.Future[R]) -> bool:
        return any(connection.interrupt(future) for connection in self._active)

    # Leases

    async def lease(
        self, timeout: float | None, wanted: Connection | None = None, let_go: Callable[[], bool] | None = None
    ) -> Connection:
        """As ``Leases.acquire``."""
        if self._waits_for is not None:
            await self._waits_for(timeout)
        if self.pool.idle == 0:
            self._step_aside = True  # a reader that serves the queue leaves it after its query
        if self.pool.idle == 0 or self.leases.cause is not None:
            self._more.open_soon()
        if wanted is not None and wanted in self._active:
            self._called.add(wanted)
        return await self.leases.acquire(timeout, wanted, let_go)

    # Openings

    def _needs_another(self) -> bool:
        if len(self.connections) >= self._at_most:
            return False
        waits = self.pool.wants_item or (self.leases.cause is not None and self.pool.waiting > 0)
        return waits or self._needs_waking()

    def _opened(self, connection: Connection) -> None:
        self.connections.append(connection)
        self._oldest_at_failure = self.leases.cause = None
        self.pool.max_leases = self._at_most - 1
        self.pool.give_back(connection)
        self._serve_waiting()

    def _not_opened(self, error: BaseException) -> None:
        """Those that are there go on. But a query that waits for leases to end fails at the second time, since one of
        the leases may wait for it."""
        self.leases.cause = error
        self.pool.max_leases = max(1, len(self.connections) - 1)
        if not self.connections:
            self.pool.fail_waiters(lambda: copy_error(error))
        if not self._active:
            while self._pending and self._pending[0][0].done():  # its caller has left
                self._pending.popleft()
            oldest = self._pending[0][0] if self._pending else None
            if oldest is not None and (oldest is self._oldest_at_failure or not self.connections):
                error.add_note("the read waited for a reader: all are held, and another could not be opened")
                self._fail_pending(error)
            self._oldest_at_failure = oldest
        self._look_whether_drained()

    # Ends

    def _lost(self, connection: Connection, cause: BaseException | None) -> None:
        """The thread died of ``cause``; or the loop was closed (None; then on that thread)."""
        working_on = connection.working_on
        if cause is None:
            with self._ending:  # all threads end at once then
                self._fail_all(working_on, DatabaseClosed("the event loop was closed before the database"))
            return
        self._hand_over()
        if asyncio.isfuture(working_on):
            settle_one(working_on, Failure(AiomemdbError(f"the reader's thread {connection.name} died of {cause!r}")))
        if connection in self.connections:
            self._active.pop(connection, None)
            self._stuck.discard(connection)
            self.connections.remove(connection)
            self.pool.remove(connection)
        self._serve_waiting()
        self._look_whether_drained()

    def _fail_all(self, working_on: object, error: BaseException) -> None:
        while self._finished:
            settle_one(*self._finished.popleft())
        if asyncio.isfuture(working_on):
            settle_one(working_on, Failure(error))
        self._fail_pending(error)

    def _fail_pending(self, error: BaseException) -> None:
        dropped = []
        while self._pending:
            with suppress(IndexError):  # a reader's thread took it
                dropped.append(self._pending.popleft()[0])
        if dropped:
            self._failing.add(dropped, error)

    def stop(self) -> None:
        """On any thread: ends all threads, once they have done what they are at."""
        self._more.refuse()
        for connection in self.threads:
            connection.stop()

    async def close(self, deadline: float, *, drain: bool) -> None:
        """Answers what waits (or fails it), then ends all threads by ``deadline`` (of the loop's clock)."""

        def closed() -> DatabaseClosed:
            return DatabaseClosed("the database is closing or closed")

        self.pool.close(closed)
        if not drain:
            self._fail_pending(closed())
        if self._active or self._pending:
            self._drained = self.loop.create_future()
            # The last part of the time is for the queries that are stopped, as in Writer.close.
            remaining = max(0.0, deadline - self.loop.time())
            await wait_out([self._drained], remaining - min(0.5, remaining / 4))
        self._fail_pending(closed())
        for connection in list(self.connections):
            work = connection.working_on
            if asyncio.isfuture(work) and connection.interrupt(work):
                settle_one(work, Failure(closed()))
        self._more.end()
        await end_workers(self.threads, deadline - self.loop.time())
        self._hand_over()
        await wait_out([self._failing.finished()], max(0.0, (deadline - self.loop.time()) / 2))
        self._failing.finish()
