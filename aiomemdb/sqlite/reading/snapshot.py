"""Snapshots: several awaited reads of one state, on a reader of their own; and how a reader is given back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ...concurrency.job import Failure, settle_one
from ...config import checked_timeout
from ...familiar import SNAPSHOT, Familiar
from ..common.errors import SnapshotEnded
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..connection.settings import Settings
from ..file.busy import retry_while_busy
from .queries import VERBS, Fetch, answer, begin_snapshot, read_timeout
from .readers import Readers
from .verbs import ReadVerbs

__all__ = ["SQLiteSnapshot", "give_back", "open_snapshot", "wait_for_read"]


A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")


class SQLiteSnapshot(ReadVerbs, Familiar):
    """The verbs inside ``async with db.snapshot() as snap``: those of ``aiomemdb.Snapshot``, and ``read_fn``."""

    _familiar = SNAPSHOT

    def __init__(self, connection: Connection, readers: Readers) -> None:
        self._connection = connection
        self._readers = readers
        self._ended = False

    async def _read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> R:
        timeout = checked_timeout(timeout)
        if self._ended:
            raise SnapshotEnded("this snapshot has ended")

        def query(raw: GuardedConnection) -> R:
            if self._ended:  # meanwhile, by another task
                raise SnapshotEnded("this snapshot has ended")
            return answer(raw, fetch, subject, arguments)

        reading = self._connection.submit(query, wanted_only=True)
        self._readers.recorder.asked(reading, VERBS[fetch], subject)
        return await wait_for_read(reading, self._connection.interrupt, timeout)

    def _close(self) -> None:
        self._ended = True


def _end_reading(raw: GuardedConnection, settings: Settings) -> None:
    raw.close_noted()
    raw.roll_back()
    settings.catch_up(raw)  # a query that was open may have been in the way


@asynccontextmanager
async def open_snapshot(
    find_readers: Callable[[], Readers], *, timeout: float | None, lock_timeout: float
) -> AsyncIterator[SQLiteSnapshot]:
    readers = find_readers()  # or raises why there are none, now that the block is entered
    connection = await readers.lease(timeout)
    snapshot = SQLiteSnapshot(connection, readers)
    try:
        await connection.submit(lambda raw: retry_while_busy(lambda: begin_snapshot(raw), lock_timeout, readers.path))
        yield snapshot
    finally:
        snapshot._close()
        give_back(readers, connection)


def give_back(readers: Readers, connection: Connection) -> None:
    """Ends what the holder of a leased reader has left open, then returns the reader; nothing is awaited."""
    running = connection.working_on
    if running is not None:
        connection.interrupt(running)  # its caller has left
    readers.leases.leaving(connection)
    ended = connection.submit(_end_reading, readers.settings)

    def returned(ended: asyncio.Future[None]) -> None:
        if ended.cancelled() or ended.exception() is None:
            readers.leases.release(connection)
        else:
            readers.leases.discard(connection)

    ended.add_done_callback(returned)


async def wait_for_read(
    future: asyncio.Future[R], interrupt: Callable[[asyncio.Future[R]], bool], timeout: float | None
) -> R:
    if timeout is None:
        try:
            return await future
        except asyncio.CancelledError:
            interrupt(future)
            raise
    timer = future.get_loop().call_later(timeout, _expire_read, future, interrupt, timeout)
    try:
        return await future
    except asyncio.CancelledError:
        interrupt(future)
        raise
    finally:
        timer.cancel()


def _expire_read(future: asyncio.Future[R], interrupt: Callable[[asyncio.Future[R]], bool], timeout: float) -> None:
    if not future.done():
        started = interrupt(future)
        settle_one(future, Failure(read_timeout(timeout, started=started)))
