"""Connections for agents' queries: their own, so that these never hold an ordinary reader."""

from __future__ import annotations

import asyncio
from functools import partial
from time import monotonic

from ...agents import AgentAnswer, AgentLimits
from ...concurrency.job import Failure, SomeFuture, settle_one
from ...concurrency.pool import Pool
from ...concurrency.worker import end_workers
from ...database import Params
from ...errors import DatabaseClosed, ReadTimeout
from ...observing import Observers
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..reading.opening import ReaderOpener
from ..reading.snapshot import wait_for_read
from .asking import Desk, Question
from .scope import Scope

__all__ = ["Agents"]

#: Queries of agents that run at one time; the others wait.
AT_ONCE = 2


class _Seat:
    """Where one query runs; its connection is opened when it is first needed, and anew after one that was doubtful."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.desk: Desk | None = None


class Agents:
    """Asks what agents ask."""

    def __init__(
        self, opener: ReaderOpener, loop: asyncio.AbstractEventLoop, path: object, observers: Observers
    ) -> None:
        self._opener = opener
        self._loop = loop
        self._path = path
        self._observers = observers
        self._pool: Pool[_Seat] = Pool([_Seat() for _ in range(AT_ONCE)], max_leases=AT_ONCE)
        self._connections: set[Connection] = set()
        self._count = 0

    @property
    def threads(self) -> list[Connection]:
        """Those that are being opened, or end, among them."""
        return list(self._connections)

    async def read(self, scope: Scope, sql: str, params: Params, limits: AgentLimits) -> AgentAnswer:
        """Raises: what ``SQLiteDatabase.agent_read`` does."""
        began = monotonic()
        try:
            async with asyncio.timeout(limits.deadline):
                seat = await self._pool.acquire()
        except TimeoutError:
            raise _late(limits, started=False) from None
        try:
            if seat.connection is None:
                try:
                    async with asyncio.timeout(max(0.0, began + limits.deadline - monotonic())):
                        await self._open(seat)
                except TimeoutError:
                    raise _late(limits, started=False) from None
            assert seat.connection is not None and seat.desk is not None
            seat.desk.is_clean = None
            question = Question(scope, sql, params, limits, began)
            asked = seat.connection.submit(self._ask, seat.desk, question, wanted_only=True)
            if self._observers:
                self._observers.tell_read(asked, "agent_read", sql)
            try:
                return await wait_for_read(asked, seat.connection.interrupt, began + limits.deadline - monotonic())
            except ReadTimeout as late:
                raise _late(limits, started=bool(late.started)) from None
        finally:
            self._leave(seat)

    def _ask(self, raw: GuardedConnection, desk: Desk, question: Question) -> AgentAnswer:
        """On the connection's thread."""
        try:
            self._opener.settings.catch_up(raw)
            return desk.ask(raw, question)
        finally:
            desk.is_clean = desk.leave(raw)

    async def _open(self, seat: _Seat) -> None:
        self._count += 1
        connection = self._opener.make(f"agent-{self._count}")
        self._connections.add(connection)
        connection.stopped.add_done_callback(lambda _: self._connections.discard(connection))
        desk = Desk(self._path)
        try:
            await self._opener.open(connection, keeps_statements=False)
            await connection.run(desk.set_up)
        except BaseException:
            connection.stop()
            raise
        seat.connection, seat.desk = connection, desk

    def _leave(self, seat: _Seat) -> None:
        """Its query has ended, or its caller has left; nothing is awaited."""
        connection, desk = seat.connection, seat.desk
        if connection is None or desk is None:
            self._pool.release(seat)
        elif desk.is_clean is not None and connection.is_open:
            self._free(seat, connection, is_clean=desk.is_clean)
        else:
            if (running := connection.working_on) is not None:
                connection.interrupt(running)
            connection.submit(lambda raw: desk.is_clean).add_done_callback(partial(self._left, seat, connection))

    def _left(self, seat: _Seat, connection: Connection, left: asyncio.Future[bool | None]) -> None:
        # None: its query had never begun.
        is_clean = not left.cancelled() and left.exception() is None and left.result() is not False
        self._free(seat, connection, is_clean=is_clean)

    def _free(self, seat: _Seat, connection: Connection, *, is_clean: bool) -> None:
        if not is_clean:
            seat.connection = seat.desk = None
            connection.stop()
        self._pool.release(seat)

    def refuse_new(self) -> None:
        self._pool.close(_closed)

    def stop(self) -> None:
        """On any thread: ends all threads, once they have done what they are at."""
        for connection in self.threads:
            connection.stop()

    async def close(self, deadline: float) -> None:
        """Stops what runs, and ends all threads by ``deadline`` (of the loop's clock)."""
        self.refuse_new()
        for connection in self.threads:
            work: SomeFuture | object = connection.working_on
            if asyncio.isfuture(work) and connection.interrupt(work):
                settle_one(work, Failure(_closed()))
        await end_workers(self.threads, deadline - self._loop.time())


def _closed() -> DatabaseClosed:
    return DatabaseClosed("the database is closing or closed")


def _late(limits: AgentLimits, *, started: bool) -> ReadTimeout:
    what = "the query took longer" if started else "the query waited longer for other queries"
    advice = "ask for less: a narrower WHERE, a LIMIT, fewer joins" if started else "ask again"
    return ReadTimeout(f"{what} than {limits.deadline:g} s, and was stopped: {advice}", started=started, applied=False)
