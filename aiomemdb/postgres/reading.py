"""Queries: on a connection for each, for as long as it runs; and on one that is held, for a snapshot.

A query that its caller has left, or that took too long, is stopped on the server. Its connection is then in doubt, as a
word to stop may come late, and is closed; one that is held is asked until the word has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

from ..errors import DatabaseClosed, ReadTimeout, ReentrancyError, ServerLost
from .codes import is_conflict, is_stale
from .connecting import Connector
from .driver import NOTHING, Loader, ServerResult, psycopg
from .link import NOT_RUN, Answer, Command, Link, Lost
from .operations import Work, annotate, commands_of, one_value, result_of, rows_of
from .pool import LinkPool
from .recorder import Recorder
from .replicas import Place, Replicas

__all__ = ["ALL", "EACH", "FIRST", "VALUE", "Fetch", "Readers", "culprit", "read_timeout"]

R = TypeVar("R")

#: What a read verb makes of the results.
Fetch = Callable[[Sequence[ServerResult], Loader], R]

ALL: Fetch[Any] = lambda results, loader: rows_of(results[0], loader)  # noqa: E731
EACH: Fetch[Any] = lambda results, loader: [result_of(result, loader) for result in results]  # noqa: E731
FIRST: Fetch[Any] = lambda results, loader: next(iter(rows_of(results[0], loader, 1)), None)  # noqa: E731


def _value(results: Sequence[ServerResult], loader: Loader) -> Any:
    rows_of(results[0], loader, 0)  # or raises that there are none
    return one_value(results[0], loader)


VALUE: Fetch[Any] = _value
VERBS: dict[Any, str] = {ALL: "read", FIRST: "read_one", VALUE: "read_value", EACH: "reads"}

BEGIN_SNAPSHOT: Command = (b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", NOTHING)
END: Command = (b"ROLLBACK", NOTHING)


def read_timeout(timeout: float, *, started: bool) -> ReadTimeout:
    state = "it was running, and was stopped" if started else "it was still waiting for a connection, and never runs"
    return ReadTimeout(f"the query took longer than timeout={timeout} s: {state}", started=started)


def culprit(work: Work, answers: Sequence[Answer]) -> psycopg.Error | None:
    """The error of the first statement that failed, with its SQL; None: all went well."""
    for (made, _), answer in zip(work, answers, strict=True):
        if isinstance(answer, psycopg.Error):
            annotate(answer, made)
            return answer
        if answer is NOT_RUN:
            return psycopg.errors.InFailedSqlTransaction("not run")
    return None


class Holder:
    """A snapshot, or a stream, and what it holds.

    Attributes:
        waiting: how many tasks that have it wait for another one.
    """

    def __init__(self, link: Link, pool: LinkPool) -> None:
        self.link: Link = link
        self.pool: LinkPool = pool
        self.waiting: int = 0


#: What the present task, and those that it descends from, hold.
held_holders: ContextVar[tuple[Holder, ...]] = ContextVar("held_holders", default=())


class Readers:
    """The connections that read.

    Attributes:
        primary: the server that is written.
        replicas: which server a read goes to.
    """

    def __init__(self, connector: Connector, replicas: list[Connector], recorder: Recorder) -> None:
        self.loop: asyncio.AbstractEventLoop = connector.loop
        self.recorder: Recorder = recorder
        self.connector: Connector = connector
        self.primary: Place = Place(connector, "reader", patient=True)
        places = [Place(each, "reader", patient=False) for each in replicas]
        self._holders: set[Holder] = set()
        self.replicas: Replicas = Replicas(self.primary, places, recorder, wait=connector.config.replica_wait)

    @property
    def pools(self) -> list[LinkPool]:
        return [pool for place in (self.primary, *self.replicas.places) for pool in (place.pool, place.held)]

    def __repr__(self) -> str:
        return f"<Readers {self.primary.pool!r} {len(self.replicas.places)} replicas>"

    async def hold(self, timeout: float | None) -> Holder:
        """A connection for a snapshot or a stream.

        Raises: ReentrancyError: all that hold one wait for another one, and this caller asked last.
        """
        place = await self.replicas.choose()
        try:
            return await self._hold(place.held, timeout)
        except ServerLost:
            if not place.is_replica:
                raise
            place.leave_out()
        return await self._hold(self.primary.held, timeout)

    async def _hold(self, pool: LinkPool, timeout: float | None) -> Holder:
        mine = [holder for holder in held_holders.get() if holder.pool is pool]
        for holder in mine:
            holder.waiting += 1
        try:
            holders = [holder for holder in self._holders if holder.pool is pool]
            if mine and len(holders) >= pool.most and all(holder.waiting for holder in holders):
                raise ReentrancyError(
                    "all connections for snapshots and streams are held by tasks that wait for another one, this one "
                    f"among them: read on the snapshot that you hold, or raise readers={pool.most}"
                )
            held = Holder(await self.lease(pool, timeout), pool)
        finally:
            for holder in mine:
                holder.waiting -= 1
        self._holders.add(held)
        held_holders.set((*(holder for holder in held_holders.get() if holder in self._holders), held))
        return held

    async def lease(self, pool: LinkPool, timeout: float | None, *, asked: float | None = None) -> Link:
        """A link, within ``timeout`` seconds; ``asked`` is what the caller has asked for.

        Raises: ReadTimeout, ServerLost, DatabaseClosed.
        Cancellation: holds nothing.
        """
        began = monotonic()
        waiter = pool.lease()
        try:
            if timeout is not None:
                await asyncio.wait([waiter], timeout=timeout)
                if not waiter.done():
                    waiter.cancel()
                    raise read_timeout(asked or timeout, started=False)
            link = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                pool.release(waiter.result())
            raise
        self.recorder.reader_wait_max = max(self.recorder.reader_wait_max, monotonic() - began)
        return link

    async def read(self, fetch: Fetch[R], work: Work, timeout: float | None) -> R:
        """One query, or several of one state."""
        return await self.told(VERBS[fetch], work, self._read(fetch, work, timeout))

    async def told(self, verb: str, work: Work, reading: Coroutine[Any, Any, R]) -> R:
        """Counts it, and reports it to observers."""
        self.recorder.reads += 1
        if not self.recorder.is_observed:
            return await reading
        done: asyncio.Future[None] = self.loop.create_future()
        self.recorder.tell_read(done, verb, work)
        try:
            result = await reading
        except asyncio.CancelledError:
            done.cancel()
            raise
        except BaseException as error:
            done.set_exception(error)
            done.exception()
            raise
        done.set_result(None)
        return result

    def give_back(self, holder: Holder) -> None:
        """Ends what the holder of a connection has left open; nothing is awaited."""
        self._holders.discard(holder)
        link, pool = holder.link, holder.pool
        if link.lost is not None or link.is_busy:  # its caller has left
            pool.discard(link)
            return

        def ended(answer: asyncio.Future[list[Answer]]) -> None:
            if answer.exception() is not None or culprit_of_begin(answer.result()) is not None:
                pool.discard(link)
            else:
                pool.release(link)

        link.ask([END]).add_done_callback(ended)

    async def _read(self, fetch: Fetch[R], work: Work, timeout: float | None) -> R:
        deadline = None if timeout is None else self.loop.time() + timeout
        until = self.loop.time() + self.connector.config.reconnect
        is_stale_once = False
        place = self.primary if not self.replicas.places else await self.replicas.choose()
        while True:
            pool = place.pool
            left = None if deadline is None else max(0.0, deadline - self.loop.time())
            try:
                link = pool.take() or await self.lease(pool, left, asked=timeout)
            except ServerLost:
                if not place.is_replica:
                    raise
                place.leave_out()
                place = await self.replicas.choose(but=place)
                continue
            try:
                answers = await self._ask(link, work, deadline, timeout)
            except Lost as lost:
                pool.release(link)
                place = await self.replicas.choose(but=place)
                if self.loop.time() >= until:
                    raise ServerLost(f"the connection was lost while the query ran: {lost}") from lost.cause
                continue
            except BaseException:
                pool.discard(link)
                raise
            error = culprit(work, answers)
            if error is not None and link.is_ending:
                raise DatabaseClosed("the database was closed while the query ran")
            if error is not None and is_stale(error) and not is_stale_once:
                is_stale_once = True
                link.forget_statements()
                pool.release(link)
                continue
            pool.release(link)
            if error is not None and place.is_replica and is_conflict(error):
                place = self.primary  # what it replays was in the way of the query
                continue
            if error is not None:
                raise error
            return fetch(answers, link.loader)  # type: ignore[arg-type]

    async def _ask(self, link: Link, work: Work, deadline: float | None, timeout: float | None) -> Sequence[Answer]:
        commands = commands_of(work)
        if self.connector.is_direct and len(commands) == 1:
            request = link.ask(commands)
            before = 0
        else:
            before = 1 + len(self.connector.settings)
            request = link.ask([BEGIN_SNAPSHOT, *self.connector.settings, *commands, END])
        if deadline is not None:
            await asyncio.wait([request], timeout=max(0.0, deadline - self.loop.time()))
            if not request.done():
                assert timeout is not None
                raise read_timeout(timeout, started=True)
        answers = await request
        if before:
            first = culprit_of_begin(answers[:before])
            if first is not None:
                raise first
            failed = any(isinstance(answer, psycopg.Error) for answer in answers)
            if failed:
                await link.ask([END])
            return answers[before:-1]
        return answers


def culprit_of_begin(answers: Sequence[Answer]) -> psycopg.Error | None:
    return next((answer for answer in answers if isinstance(answer, psycopg.Error)), None)


class HeldReads:
    """Queries in one transaction that only reads, one after another, each behind a savepoint; ``bare`` without: where
    one fails, those after it do too.
    """

    def __init__(self, link: Link, connector: Connector, *, bare: bool) -> None:
        self.link: Link = link
        self._line = asyncio.Lock()
        self._before: list[Command] = [BEGIN_SNAPSHOT, *connector.settings]
        self._is_bare = bare

    async def begin(self) -> None:
        """The state is that of now, not of the first query. A bare one begins with that."""
        if self._is_bare:
            return
        before, self._before = self._before, []
        error = culprit_of_begin(await self.link.ask([*before, (b"SELECT 1", NOTHING)]))
        if error is not None:
            raise error

    async def read(self, fetch: Fetch[R], work: Work, timeout: float | None, check: Callable[[], None]) -> R:
        deadline = None if timeout is None else self.link.loop.time() + timeout
        async with self._line:
            check()
            before, self._before = self._before, []
            around = ([], []) if self._is_bare else ([SAVE], [RELEASE])
            first = len(before) + len(around[0])
            request = self.link.ask([*before, *around[0], *commands_of(work), *around[1]])
            try:
                try:
                    if deadline is not None:
                        await asyncio.wait([request], timeout=max(0.0, deadline - self.link.loop.time()))
                        if not request.done():
                            assert timeout is not None
                            raise read_timeout(timeout, started=True)
                    answers = await asyncio.shield(request)
                except BaseException:
                    if not request.done():
                        await stopped(self.link, request, is_bare=self._is_bare)
                    raise
                error = culprit_of_begin(answers[: len(before)])
                answers = answers[first : len(answers) - len(around[1])]
                error = culprit(work, answers) if error is None else error
                if error is not None:
                    if self.link.is_ending:
                        raise DatabaseClosed("the database was closed while the query ran")
                    if not self._is_bare and await taken_back(self.link) is not None:
                        self.link.close()
                    raise error
            except Lost as lost:
                raise ServerLost(f"the connection of this snapshot was lost: {lost}") from lost.cause
        return fetch(answers, self.link.loader)  # type: ignore[arg-type]


SAVE: Command = (b"SAVEPOINT aiomemdb_step", NOTHING)
RELEASE: Command = (b"RELEASE SAVEPOINT aiomemdb_step", NOTHING)
BACK: Command = (b"ROLLBACK TO SAVEPOINT aiomemdb_step", NOTHING)


async def taken_back(link: Link) -> psycopg.Error | None:
    """Takes back what failed behind a savepoint. Returns why it can't be: then the transaction is lost."""
    for _ in range(3):  # a word to stop may strike here, too
        error = culprit_of_begin(await link.ask([BACK, RELEASE]))
        if error is None or error.sqlstate != "57014":
            break
    return error


async def stopped(link: Link, request: asyncio.Future[list[Answer]], *, is_bare: bool) -> None:
    """Stops what runs, and takes it back where that is behind a savepoint; a cancellation meanwhile closes the
    connection.
    """
    try:
        await link.stop()
        await asyncio.wait([request])
        if is_bare:
            return
        if request.exception() is None and any(isinstance(answer, psycopg.Error) for answer in request.result()):
            error = await taken_back(link)
            if error is not None:
                raise error
    except BaseException:
        link.close()
        raise
