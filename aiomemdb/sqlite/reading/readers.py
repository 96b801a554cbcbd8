"""The readers: read-only connections that take queries from one queue.

All reader threads take from one queue, a query at a time, and finished ones go to another that the loop empties. So
a thread that is awake serves many waiting queries in one hop (172,000 to 187,000 point reads a second; one hop each
gave 32,000 to 54,000), and a slow query holds up nobody: the rest is still in the queue. A second thread is woken
only when the first is stuck, since Python runs one at a time and more of them make quick reads slower; a timer looks
for that, and also collects what a thread had finished before it got stuck.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from time import monotonic
from typing import Any, TypeVar
from weakref import ref

from ...concurrency.failing import Failing
from ...concurrency.job import Failure, settle, settle_one
from ...concurrency.pool import Pool
from ...concurrency.worker import end_workers, wait_out
from ...config import Config
from ...errors import AiomemdbError, DatabaseClosed, ReadTimeout, ReentrancyError
from ..codes import primary_code
from ..connection.connection import Connection
from ..connection.guard import GuardedConnection
from ..file.busy import retry_while_busy
from .queries import Fetch, explain_read

__all__ = ["Readers"]

# A query that runs for longer than this is slow: another thread takes over the queue.
_STUCK = 0.002
# Finished queries are handed to the loop when there are so many, or when the queue is empty. Not sooner: the loop and
# the thread, both awake, are in each other's way (8.9 us a query at 64, 8.2 at 256). Of slow ones ``_tick`` hands over
# fewer.
_HAND_OVER = 256


# Seconds until a task is told that it waits for itself. Not at once: a stream that was just dropped is about to give
# its reader back, perhaps from its thread. Where the children of those who hold one wait, these may go on all the same.
_STUCK_FOR_SURE = 0.02
_STUCK_BY_CHILDREN = 1.0


A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class Hold:
    """That ``task`` holds a reader; ``over`` when it has left that."""

    __slots__ = ("over", "task")

    def __init__(self, task: asyncio.Task[Any]) -> None:
        # Weakly: a finished task keeps its result, which may be the very stream that nobody else holds any more.
        self.task: ref[asyncio.Task[Any]] = ref(task)
        self.over: bool = False


class _Wait:
    """A task's wait for a reader; ``held``: by the task, or those that it descends from, meanwhile."""

    __slots__ = ("held", "limit", "look")

    def __init__(self, timeout: float | None) -> None:
        self.held: tuple[Hold, ...] = tuple(hold for hold in held_readers.get() if not hold.over)
        self.limit: asyncio.Timeout = asyncio.timeout(timeout)
        self.look: asyncio.TimerHandle | None = None


#: What the current task, or one that it descends from, holds: as ``lease.held_leases``.
held_readers: ContextVar[tuple[Hold, ...]] = ContextVar("aiomemdb_held_readers", default=())


class Readers:
    """Owns the read-only connections and the queue of queries."""

    def __init__(self, connections: list[Connection], config: Config, path: object) -> None:
        self.connections: list[Connection] = connections
        self.pool: Pool[Connection] = Pool(connections, max_leases=len(connections) - 1)
        self.reads: int = 0
        self.reader_wait_max: float = 0.0
        self._loop = connections[0].loop
        self._create_future: Callable[[], asyncio.Future[Any]] = self._loop.create_future
        self.loop_is_running: Callable[[], bool] = self._loop.is_running
        self._lock_timeout = config.lock_timeout
        self.path: object = path
        self._failing = Failing(self._loop)
        self._pending: deque[tuple[asyncio.Future[Any], Fetch[Any, Any, Any], Any, Any]] = deque()
        self._finished: deque[tuple[asyncio.Future[Any], Any]] = deque()
        self._handing_over = False
        self._step_aside = False
        self._active: dict[Connection, object] = {}
        self._stuck: set[Connection] = set()
        self._ticking = False
        self._drained: asyncio.Future[None] | None = None
        self._held: dict[Connection, Hold] = {}
        self._waiting: dict[asyncio.Task[Any], _Wait] = {}
        for connection in connections:
            connection.on_lost = partial(self._lost, connection)

    def __repr__(self) -> str:
        return f"<Readers {self.pool!r} active={len(self._active)} pending={len(self._pending)}>"

    @property
    def pending(self) -> int:
        return len(self._pending)

    @property
    def busy(self) -> int:
        return len(self.connections) - self.pool.idle

    # Shared queries

    def ask(self, fetch: Fetch[S, A, R], subject: S, arguments: A) -> asyncio.Future[R]:
        """Enqueues a query; who leaves its future must ``interrupt`` it."""
        future = self._create_future()
        self._pending.append((future, fetch, subject, arguments))
        if len(self._active) <= len(self._stuck):
            self._wake_one()
        elif not self._ticking:
            self._ticking = True
            self._tick()
        return future

    async def read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> R:
        future = self.ask(fetch, subject, arguments)
        timer = None if timeout is None else self._loop.call_later(timeout, self._expire, future, timeout)
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
        elif not self.connections:
            self._fail_pending(_all_lost())

    def _serve(self, connection: Connection) -> None:
        """On a reader's thread: answers queries until there are none, or somebody wants the reader for himself."""
        pending, finished, raw, guard = self._pending, self._finished, connection.raw, connection.raw.guard
        count = 0
        guard.clear()
        while pending and not self._step_aside:
            try:
                future, fetch, subject, arguments = pending.popleft()
            except IndexError:  # another thread took it
                break
            if future.done():  # its caller has left
                continue
            connection.switch(future)
            guard.armed = True
            try:
                outcome = fetch(raw, subject, arguments)
                if guard.denied is not None:
                    outcome = Failure(guard.explain(RuntimeError("refused")))
                    guard.clear()
            except BaseException as error:
                guard.armed = False
                outcome = self._failure(raw, fetch, subject, arguments, error)
            finished.append((future, outcome))
            count += 1
            if count % _HAND_OVER == 0 and not self._handing_over:
                self._handing_over = True
                connection.deliver(self._hand_over)
        guard.armed = False
        connection.switch(None)
        connection.deliver(self._parked, connection)

    def _failure(
        self, raw: GuardedConnection, fetch: Fetch[S, A, R], subject: S, arguments: A, error: BaseException
    ) -> R | Failure:
        if primary_code(error) == sqlite3.SQLITE_BUSY:
            # Another program recovers the log, or has the file for itself: nobody is to see "database is locked".
            try:
                with raw.guarded():
                    return retry_while_busy(lambda: fetch(raw, subject, arguments), self._lock_timeout, self.path)
            except BaseException as later:
                error = later
        explained = explain_read(raw, error, subject)
        raw.guard.clear()
        return Failure(explained)

    def _hand_over(self) -> None:
        self._handing_over = False  # before the queue is emptied: who appends behind us calls again
        popleft, count = self._finished.popleft, len(self._finished)
        if count <= 1:
            if count:
                self.reads += 1
                settle_one(*popleft())
            return
        finished = [popleft() for _ in range(count)]
        outcomes = [outcome for _, outcome in finished]
        self.reads += count
        try:
            settle(finished, outcomes, failed=Failure in map(type, outcomes))
        except BaseException:  # a Ctrl-C that struck inside it would leave them to nobody
            self._finished.extendleft(reversed(finished))
            raise

    def _parked(self, connection: Connection) -> None:
        """The thread has left the queue."""
        self._active.pop(connection, None)
        self._stuck.discard(connection)
        self.pool.give_back(connection)
        self._step_aside = self.pool.wants_item
        if self._pending and len(self._active) <= len(self._stuck):
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
        if self._pending and len(self._active) <= len(self._stuck):
            self._wake_one()
        # Not for one query that nobody waits behind: a timer that is set costs each turn of the loop 3 us, of 20.
        if self._pending or self._stuck or len(self._active) > 1:
            self._loop.call_later(_STUCK, self._tick)
        else:
            self._ticking = False

    def _expire(self, future: asyncio.Future[R], timeout: float) -> None:
        if not future.done():
            started = self.interrupt(future)
            future.set_exception(read_timeout(timeout, started=started))

    def interrupt(self, future: asyncio.Future[R]) -> bool:
        return any(connection.interrupt(future) for connection in self._active)

    # Leases: a reader for one holder

    async def lease(self, timeout: float | None) -> Connection:
        """A reader of one's own, in the order of arrival.

        Raises:
            ReadTimeout: none came free in time.
            ReentrancyError: it would wait for itself: all who hold one wait for another, it or its parent among them.
        """
        task = asyncio.current_task()
        assert task is not None
        began = monotonic()
        if self.pool.idle == 0:
            self._step_aside = True  # a reader that serves the queue leaves it after its query
        wait = self._waiting[task] = _Wait(timeout)
        self._look_later(_STUCK_FOR_SURE, task, wait, by_children=False)
        try:
            async with wait.limit:
                connection = await self.pool.acquire()
        except TimeoutError:
            if task not in self._waiting:
                raise ReentrancyError(
                    f"all {len(self._held)} readers that snapshots and streams may hold are held by tasks that wait "
                    "for one more, this task or its parent among them: it would wait for itself; read through the one "
                    "that is held, or raise connect(readers=...)"
                ) from None
            assert timeout is not None
            raise read_timeout(timeout, started=False) from None
        finally:
            if wait.look is not None:
                wait.look.cancel()
            self._waiting.pop(task, None)
        self.reader_wait_max = max(self.reader_wait_max, monotonic() - began)
        hold = self._held[connection] = Hold(task)
        held_readers.set((*wait.held, hold))
        return connection

    def _look_later(self, seconds: float, task: asyncio.Task[Any], wait: _Wait, *, by_children: bool) -> None:
        wait.look = self._loop.call_later(seconds, self._look_whether_stuck, task, wait, by_children)

    def _look_whether_stuck(self, task: asyncio.Task[Any], wait: _Wait, by_children: bool) -> None:
        if self._is_stuck(by_children=by_children):
            del self._waiting[task]  # at once: it leaves room for the others, which wait on
            wait.limit.reschedule(self._loop.time())
        else:
            self._look_later(_STUCK_BY_CHILDREN, task, wait, by_children=True)

    def _is_stuck(self, *, by_children: bool) -> bool:
        """Whether all readers that may be leased are held by tasks that wait for another, or whose children do."""
        if len(self._held) < self.pool.max_leases:
            return False
        if by_children:
            return {hold for wait in self._waiting.values() for hold in wait.held}.issuperset(self._held.values())
        return all(hold.task() in self._waiting for hold in self._held.values())

    def leaving(self, connection: Connection) -> None:
        """Its holder has left it; it comes back when what was left open is closed."""
        if (hold := self._held.pop(connection, None)) is not None:
            hold.over = True

    def release(self, connection: Connection) -> None:
        self.pool.release(connection)

    def discard(self, connection: Connection) -> None:
        """A leased reader could not be cleaned up: its thread is gone or the database is closing."""
        self.pool.discard_lease()

    # Ends

    def _lost(self, connection: Connection, cause: BaseException | None) -> None:
        """The thread died of ``cause``; or the loop was closed (None; then on that thread)."""
        working_on = connection.working_on
        error = AiomemdbError(f"the reader's thread {connection.name} died of {cause!r}")
        if cause is None:
            error = DatabaseClosed("the event loop was closed before the database")
        while self._finished:
            settle_one(*self._finished.popleft())
        if asyncio.isfuture(working_on):
            settle_one(working_on, Failure(error))
        if cause is None:
            self._fail_pending(error)
            return
        self._active.pop(connection, None)
        self._stuck.discard(connection)
        self.connections.remove(connection)
        self.pool.remove(connection)
        if not self.connections:
            self.pool.close(_all_lost)
        if self._pending:
            self._wake_one()
        self._look_whether_drained()

    def _fail_pending(self, error: BaseException) -> None:
        dropped = []
        while self._pending:
            with suppress(IndexError):  # a reader's thread took it
                dropped.append(self._pending.popleft()[0])
        if dropped:
            self._failing.add(dropped, error)

    async def close(self, deadline: float, *, drain: bool) -> None:
        """Answers what waits (or fails it), then ends all threads by ``deadline`` (of the loop's clock)."""

        def closed() -> DatabaseClosed:
            return DatabaseClosed("the database is closing or closed")

        self.pool.close(closed)
        if not drain:
            self._fail_pending(closed())
        if self._active or self._pending:
            self._drained = self._loop.create_future()
            # The last part of the time is for the queries that are stopped, as in Writer.close.
            remaining = max(0.0, deadline - self._loop.time())
            await wait_out([self._drained], remaining - min(0.5, remaining / 4))
        self._fail_pending(closed())
        for connection in list(self.connections):
            work = connection.working_on
            if asyncio.isfuture(work) and connection.interrupt(work):
                settle_one(work, Failure(closed()))
        await end_workers(self.connections, deadline - self._loop.time())
        self._hand_over()
        await wait_out([self._failing.finished()], max(0.0, (deadline - self._loop.time()) / 2))
        self._failing.finish()


def _all_lost() -> AiomemdbError:
    return AiomemdbError("the threads of all readers have died; close and reopen the database")


def read_timeout(timeout: float, *, started: bool) -> ReadTimeout:
    state = "its query was interrupted" if started else "it was still waiting for a reader"
    return ReadTimeout(f"a read took longer than timeout={timeout} s: {state}", started=started, applied=False)
