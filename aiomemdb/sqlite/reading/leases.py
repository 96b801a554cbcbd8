"""Leases: a reader for one holder, a snapshot or a stream; and which task would wait for itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import ContextVar
from time import monotonic
from weakref import ref

from ...concurrency.pool import Pool
from ...errors import ReentrancyError
from ..connection.connection import Connection
from .queries import read_timeout

__all__ = ["Leases"]

# Seconds until a task is told that it waits for itself. Not at once: a stream that was just dropped is about to give
# its reader back, perhaps from its thread. Where the children of those who hold one wait, these may go on all the same.
_STUCK_FOR_SURE = 0.02
_STUCK_BY_CHILDREN = 1.0


class Lease:
    """That ``task`` holds a reader; ``over`` when it has left that."""

    __slots__ = ("over", "task")

    def __init__(self, task: asyncio.Task[object]) -> None:
        # Weakly: a finished task keeps its result, which may be the very stream, dropped everywhere besides.
        self.task: ref[asyncio.Task[object]] = ref(task)
        self.over: bool = False


class _Wait:
    """A task's wait for a reader; ``held``: by the task, or those that it descends from, meanwhile."""

    __slots__ = ("held", "limit", "look")

    def __init__(self, timeout: float | None) -> None:
        self.held: tuple[Lease, ...] = tuple(lease for lease in held_readers.get() if not lease.over)
        self.limit: asyncio.Timeout = asyncio.timeout(timeout)
        self.look: asyncio.TimerHandle | None = None


#: What the current task, or one that it descends from, holds: as ``hold.held_holds``.
held_readers: ContextVar[tuple[Lease, ...]] = ContextVar("aiomemdb_held_readers", default=())


class Leases:
    """Leases the readers of a pool to tasks.

    Attributes:
        reader_wait_max: see values.Statistics.
        cause: why there are fewer readers than there may be, or None.
    """

    def __init__(self, pool: Pool[Connection], loop: asyncio.AbstractEventLoop) -> None:
        self.reader_wait_max: float = 0.0
        self.cause: BaseException | None = None
        self._pool = pool
        self._loop = loop
        self._held: dict[Connection, Lease] = {}
        self._loans: dict[Connection, Callable[[], bool]] = {}
        self._leaving: set[Connection] = set()
        self._waiting: dict[asyncio.Task[object], _Wait] = {}

    async def acquire(
        self, timeout: float | None, wanted: Connection | None = None, let_go: Callable[[], bool] | None = None
    ) -> Connection:
        """A reader of one's own, in the order of arrival.

        Args:
            wanted: this one and no other.
            let_go: makes it a loan, tied to no task: it is called when others wait for a reader and no other is to be
                had, of all loans the oldest first; returns the reader at once, or returns False: it is in use. When
                it no longer is, ``rests`` is to be called.

        Raises:
            ReadTimeout: none came free in time.
            LookupError: the one that is wanted is lost.
            ReentrancyError: it would wait for itself: all that hold one wait for another, it or its parent among them.
        """
        task = asyncio.current_task()
        assert task is not None
        began = monotonic()
        wait = self._waiting[task] = _Wait(timeout)
        self._look_later(_STUCK_FOR_SURE, task, wait, by_children=False)
        if self._loans:
            self._loop.call_soon(self.rests)  # once it is among those who wait
        try:
            async with wait.limit:
                connection = await self._pool.acquire(wanted)
        except TimeoutError:
            if task not in self._waiting:
                raise ReentrancyError(
                    f"all {len(self._held)} readers that snapshots and streams may hold are held by tasks that wait "
                    "for one more, this task or its parent among them: it would wait for itself; read through the one "
                    "that is held, or raise connect(readers=...)"
                ) from self.cause
            assert timeout is not None
            raise read_timeout(timeout, started=False) from None
        finally:
            if wait.look is not None:
                wait.look.cancel()
            self._waiting.pop(task, None)
        self.reader_wait_max = max(self.reader_wait_max, monotonic() - began)
        if let_go is not None:
            self._loans[connection] = let_go
            return connection
        lease = self._held[connection] = Lease(task)
        held_readers.set((*wait.held, lease))
        return connection

    def _look_later(self, seconds: float, task: asyncio.Task[object], wait: _Wait, *, by_children: bool) -> None:
        wait.look = self._loop.call_later(seconds, self._look_whether_stuck, task, wait, by_children)

    def _look_whether_stuck(self, task: asyncio.Task[object], wait: _Wait, by_children: bool) -> None:
        if self._is_stuck(by_children=by_children):
            del self._waiting[task]  # at once: it leaves room for the others, which wait on
            wait.limit.reschedule(self._loop.time())
        else:
            self._look_later(_STUCK_BY_CHILDREN, task, wait, by_children=True)

    def _is_stuck(self, *, by_children: bool) -> bool:
        """Whether all readers that may be leased are held by tasks that wait for another, or have children that do."""
        if len(self._held) < self._pool.max_leases:
            return False
        if by_children:
            return {lease for wait in self._waiting.values() for lease in wait.held}.issuperset(self._held.values())
        return all(lease.task() in self._waiting for lease in self._held.values())

    def rests(self) -> None:
        """Calls loans in: those of readers that others want, and the oldest where there are too few leases."""
        if not self._pool.waiting:
            return
        for connection in self._pool.wanted:
            self._call_in(connection)
        missing = self._pool.missing - len(self._leaving)
        for connection in list(self._loans):
            if missing <= 0:
                break
            missing -= self._call_in(connection)

    def _call_in(self, connection: Connection) -> bool:
        let_go = self._loans.get(connection)
        return let_go is not None and let_go()

    def is_held(self, connection: Connection) -> bool:
        """Whether it is leased for as long as a task likes."""
        return connection in self._held

    def leaving(self, connection: Connection) -> None:
        """Its holder has left it; it comes back when what was left open is closed."""
        self._loans.pop(connection, None)
        self._leaving.add(connection)
        if (lease := self._held.pop(connection, None)) is not None:
            lease.over = True

    def release(self, connection: Connection) -> None:
        self._leaving.discard(connection)
        self._pool.release(connection)

    def discard(self, connection: Connection) -> None:
        """A leased reader could not be cleaned up: its thread is gone or the database is closing."""
        self._leaving.discard(connection)
        self._pool.discard_lease()
