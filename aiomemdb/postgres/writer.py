"""The writer: one queue of jobs, one connection, and what is taken from the one to the other.

A job's whole way: ``enqueue`` → ``_take`` → ``run_batch`` on the link → ``_settle``. While the server has a batch, the
loop is free, and the next jobs gather. A batch is no task's work (concurrency/detached.py). When the writer takes jobs,
and how it ends, is in concurrency/lifecycle.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from threading import get_ident
from time import monotonic
from typing import Any, TypeVar

from ..concurrency.detached import detached
from ..concurrency.failing import Failing
from ..concurrency.job import Failure, JobFuture, Operation, WriteJob, fail, settle, timed_out
from ..concurrency.lifecycle import Action, Event, Lifecycle, State
from ..concurrency.queue import JobQueue
from ..errors import (
    AiomemdbError,
    CommitOutcomeUnknown,
    DatabaseClosed,
    ServerLost,
    WriterCrashed,
)
from .batch import Batch, Session, run_batch
from .connecting import Connector
from .driver import psycopg
from .link import Command, Link, Lost
from .outcomes import Ledger
from .recorder import Recorder
from .replicas import ask_position

__all__ = ["Writer", "not_started"]

log: logging.Logger = logging.getLogger("aiomemdb")

_OPEN = State.OPEN

R = TypeVar("R")


def not_started(why: str) -> DatabaseClosed:
    return DatabaseClosed(f"{why}; this job had not started")


class Writer:
    """Owns the queue and the connection that commits.

    Attributes:
        open_thread: the thread that may call without a further look, or None while each needs one.
        enqueue: appends a job; then, where ``idle``, ``wake`` must be called.
        idle: there is nothing to do, and nothing looks whether there is.
        present: what it runs now.
        check_caller: raises where the caller would wait for a transaction of its own.
        on_position: called with the place in the log behind each COMMIT, if ``after`` asks for it.
        on_new_server: the same of a server that was found in the place of another.
    """

    def __init__(
        self,
        link: Link,
        ledger: Ledger,
        connector: Connector,
        recorder: Recorder,
        *,
        settings: list[Command],
        after: Command | None,
        check_caller: Callable[[], None],
        on_position: Callable[[Any], None],
        on_new_server: Callable[[Any], None],
    ) -> None:
        loop, config = connector.loop, connector.config
        self.loop: asyncio.AbstractEventLoop = loop
        self.name: str = f"aiomemdb:{config.label}:writer"
        self.queue: JobQueue = JobQueue(config.max_pending)
        self.enqueue: Callable[[WriteJob], None] = self.queue.append
        self.loop_is_running: Callable[[], bool] = loop.is_running
        self.idle: bool = True
        self.open_thread: int | None = get_ident()
        self.present: Batch | None = None
        self.ledger: Ledger = ledger
        self._is_full = config.durability == "full"
        self._link = link
        self._settings = settings
        self._after = after
        self._connector = connector
        self._recorder = recorder
        self._check_caller = check_caller
        self._on_position = on_position
        self._on_new_server = on_new_server
        self._failing = Failing(loop)
        self._lost_since: float | None = None
        self._life = Lifecycle(loop, self.name, tell=self._on, tell_error=self._died)
        self._on(Event.WORK)

    def __repr__(self) -> str:
        state = self._life.state.name.lower()
        return f"<Writer {self.name} {state} pending={len(self.queue)} running={self.running}>"

    # What callers use

    @property
    def running(self) -> int:
        return 0 if self.present is None else len(self.present.jobs)

    @property
    def doing(self) -> str | None:
        """What it does now, for the log: never a parameter."""
        if self.present is None or not self.present.jobs:
            return None
        _, operation, work, _ = self.present.jobs[0]
        others = len(self.present.jobs) - 1
        sql = f"({work[0][0].sql[:200]!r})" if work else ""
        return f"{operation.name}{sql}{f' and {others:,} others' if others else ''}"

    def check(self) -> None:
        """Raises what stops a write now, except what has to do with threads, loops and forks."""
        if self._life.state is not _OPEN:
            self._life.check()
        self._check_caller()

    def put(
        self, operation: Operation[R], work: object, *, durable: bool = False, timeout: float | None = None
    ) -> asyncio.Future[R]:
        """Enqueues any job; returns its future."""
        self.check()
        if durable or timeout is not None:
            future: asyncio.Future[R] = JobFuture(loop=self.loop)
            assert isinstance(future, JobFuture)
            future.durable = durable
            self.queue.unusual = True
            if timeout is not None:
                timer = self.loop.call_later(timeout, self._time_out, future, operation.name, timeout)
                future.add_done_callback(lambda _: timer.cancel())
        else:
            future = self.loop.create_future()
        self.enqueue((future, operation, work, None))
        if self.idle:
            self.wake()
        return future

    def wake(self) -> None:
        """Ends the idleness: all writes of one iteration share a batch."""
        self.idle = False
        self._recorder.waiting_since = monotonic()
        if self._life.state is not _OPEN:
            self._on(Event.WORK)
        self.loop.call_soon(self._take)

    def _time_out(self, future: JobFuture, verb: str, timeout: float) -> None:
        if future.done():
            return
        started = future.started and (self.present is None or self.present.is_sent)
        future.set_exception(timed_out(verb, timeout, started=started))

    # What waits is taken, and runs

    def _take(self) -> None:
        if self.present is not None:  # taken already: what ran before was given up, and the next job came
            return
        jobs, durable = self.queue.take()
        if not jobs:
            self._rest()
            return
        self.present = batch = Batch(jobs, durable=durable or self._is_full)
        self._recorder.taken(jobs)
        detached(self._run(batch), self.loop).add_done_callback(lambda done: self._ended(batch, done))

    def _rest(self) -> None:
        self.idle = True
        if self._life.state is not _OPEN:
            self._on(Event.IDLE)

    async def _run(self, batch: Batch) -> None:
        """Until each job has its outcome, whatever becomes of connections meanwhile."""
        began = monotonic()
        while batch is self.present:
            try:
                if self._link.lost is not None:
                    await self._reconnect(batch)
                if not batch.is_sent:  # those that have left meanwhile never run
                    batch.jobs = [job for job in batch.jobs if not job[0].done()]
                session = Session(self._link, self.ledger, self._settings, self._after)
                if batch.jobs:
                    await run_batch(session, batch, asyncio.sleep)
                if session.position is not None and not isinstance(session.position, psycopg.Error):
                    self._on_position(self._link.loader.rows(session.position, tuple)[0][0])  # type: ignore[arg-type]
                break
            except Lost as lost:
                if self._lost_since is None:
                    self._lost_since = self.loop.time()
                    log.warning("%s: the connection is lost: %s", self.name, lost)
        self._lost_since = None
        self._recorder.committed((job[0] for job in batch.jobs), began)

    async def _reconnect(self, batch: Batch) -> None:
        """A connection anew; what was in doubt is known then.

        Raises:
            Lost: that one is gone, too.
            _NoServer: there is none.
        """
        self._lost_since = since = self.loop.time() if self._lost_since is None else self._lost_since
        until = since + self._connector.config.reconnect
        try:
            link = await self._connector.again("writer", writes=True, until=until)
        except psycopg.Error as error:
            raise _NoServer(error) from None
        if batch is not self.present:  # given up meanwhile
            link.close()
            raise Lost(psycopg.OperationalError("given up"))
        try:
            applied = await self.ledger.adopt(link, is_direct=self._connector.is_direct)
            if self._after is not None:
                self._on_new_server(await ask_position(link))
        except (psycopg.Error, Lost) as error:
            link.close()
            if self.loop.time() < until:
                await asyncio.sleep(0.02)
                raise Lost(error) from None
            raise _NoServer(error) from None
        self._recorder.reconnects += 1
        if batch.is_sent:
            self._recorder.outcomes_asked += 1
            self._recorder.outcomes_applied += applied
        batch.settle_doubt(is_applied=applied)
        self._link = link
        log.warning("%s: connected again", self.name)

    def _ended(self, batch: Batch, done: asyncio.Future[None]) -> None:
        error = done.exception()
        if batch is not self.present:  # given up: its callers have heard
            return
        try:
            if isinstance(error, _NoServer):
                self._no_server(batch, error.error)
            elif error is not None:
                self._died(error)
                return
            outcomes = [batch.outcomes.get(index) for index in range(len(batch.jobs))]
            errors = sum(isinstance(outcome, Failure) for outcome in outcomes)
            self._recorder.settled(len(outcomes), errors, batch.splits)
            settle(batch.jobs, outcomes, failed=bool(errors))
            self.present = None
            if isinstance(error, _NoServer):
                self.fail_waiting(_server_lost(error.error), self.queue.behind)
            if self.queue.jobs or len(batch.jobs) > 1:
                self.loop.call_soon(self._take)
            else:
                self._rest()
        except BaseException as raised:
            self._died(raised)
            if not isinstance(raised, Exception):
                raise

    def _no_server(self, batch: Batch, error: BaseException) -> None:
        """What each job of a batch hears that was not settled in time."""
        self._lost_since = None
        for index in range(len(batch.jobs)):
            if index in batch.outcomes:
                continue
            if index in batch.in_doubt:
                self._recorder.outcomes_unknown += 1
                unknown = CommitOutcomeUnknown(
                    "the connection was lost during COMMIT, and no server could be asked within reconnect="
                    f"{self._connector.config.reconnect:g} s: {error}"
                )
                unknown.__cause__ = error
                batch.fail(index, unknown)
            else:
                batch.fail(index, _server_lost(error))

    # Its life: what the lifecycle says is done here alone

    def _on(self, event: Event, error: AiomemdbError | None = None, why: str = "the event loop is ending") -> None:
        """Does what is to be done when ``event`` happens."""
        error = error or not_started(why)
        state = self._life.state
        action = self._life.on(event, error)
        if event is Event.DIED and state not in (State.STOPPED, State.LOST):
            log.error("%s has stopped: %s", self.name, error, exc_info=error.__cause__)
        if Action.REFUSE in action:
            self.open_thread = None
        if Action.FAIL_WAITING in action:
            self.fail_waiting(error)
        if Action.END in action:
            self.idle = True
        if Action.FAIL_RUNNING in action or Action.TELL_UNHEARD in action:
            self._fail_running(why)
        if event is not Event.IDLE and event is not Event.WORK:
            self._on(Event.IDLE if self.idle else Event.WORK)

    def fail_waiting(self, error: BaseException, count: int | None = None) -> None:
        """The first ``count`` jobs that wait fail, or all; a few at once, the loop goes on between them."""
        dropped = self.queue.drop(count)
        self._recorder.write_errors += len(dropped)
        if dropped:
            self._failing.add(dropped, error)

    def _fail_running(self, why: str) -> None:
        """There is no time to wait for it."""
        batch, self.present = self.present, None
        if batch is None:
            return
        for index, (future, *_) in enumerate(batch.jobs):
            if index in batch.outcomes:
                settle([(future,)], [batch.outcomes[index]], failed=True)
            elif batch.is_sent:
                fail([batch.jobs[index]], lambda: DatabaseClosed(f"{why} while this job was running", applied=None))
            else:
                fail([batch.jobs[index]], lambda: not_started(why))

    def _died(self, cause: BaseException) -> None:
        error = WriterCrashed(f"the writer died of {cause!r}; close and reopen the database")
        error.__cause__ = cause
        self._on(Event.DIED, error)

    def refuse_new(self) -> None:
        """``close`` was called."""
        self._on(Event.CLOSE, why="the database is closing")

    async def close(self, deadline: float, *, drain: bool) -> None:
        """Runs what waits, or fails it; then ends, in time."""
        if not drain:
            self._on(Event.DROP, why="the database was closed with drain=False")
        if self._life.state is not State.CLOSED and not self._life.over.done():
            await asyncio.wait([self._life.over], timeout=max(0.0, deadline - self.loop.time()))
        self.give_up("close() ran out of time")
        finished = self._failing.finished()
        await asyncio.wait([finished], timeout=max(0.0, deadline - self.loop.time()))
        self._failing.finish()

    def give_up(self, why: str) -> None:
        self._on(Event.GIVE_UP, why=why)

    async def end_link(self, *, in_time: bool) -> None:
        """The last: its row is deleted where no outcome is open, and the connection closed."""
        link = self._link
        if link.lost is None and in_time and self.present is None:
            try:
                await asyncio.wait([link.ask([self.ledger.forget()])], timeout=1.0)
            except AssertionError:  # a batch that was given up is still running there
                pass
        await link.destroy()

    def abandon(self) -> None:
        """Its handle was collected, or the interpreter exits."""
        self.give_up("the database was collected without close()")
        self._failing.finish()
        self._link.close()

    def leave_to_parent(self) -> None:
        """In a forked child."""
        self._on(Event.FORKED)
        self._link.leave_to_parent()


class _NoServer(Exception):
    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error: BaseException = error


def _server_lost(error: BaseException) -> ServerLost:
    lost = ServerLost(f"no server could be reached that can be written: {error}")
    lost.__cause__ = error
    return lost
