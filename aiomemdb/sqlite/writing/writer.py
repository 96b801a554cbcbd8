"""The writer: one queue of jobs, one connection, and what is taken from the one to the other.

A job's whole way: ``enqueue`` → ``_take`` → ``run_batch`` on the connection's thread → ``_settle``. One batch follows
another by callbacks, which cost the loop less than a task that wakes: ``_settle``, then those in which its callers run
and enqueue what comes next, and behind them ``_take`` with all of it. A transaction (hold.py: a batch that stays open)
and maintenance are taken in the same order. When the writer takes jobs, and how it ends, is in
concurrency/lifecycle.py; what jobs hear that it does not run to their end is in unfinished.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from threading import get_ident
from time import monotonic
from typing import TypeVar

from ...concurrency.job import Failure, JobFuture, Operation, SomeFuture, WriteJob, settle, settle_one
from ...concurrency.lifecycle import Action, Event, Lifecycle, State
from ...concurrency.queue import JobQueue
from ...concurrency.worker import forked_error, wait_out
from ...config import Config
from ...errors import AiomemdbError, DatabaseClosed, ReentrancyError, WriterCrashed
from ..connection.connection import Connection
from .batch import Batch, run_batch, take_turn
from .checkpoints import Checkpointer
from .hold import HOLD, Hold, held_holds
from .session import Session
from .slow import name_of
from .unfinished import Unfinished, not_started

__all__ = ["Writer"]

log: logging.Logger = logging.getLogger("aiomemdb")

_OPEN = State.OPEN

R = TypeVar("R")


class Writer:
    """Owns the queue and the writer's connection.

    Attributes:
        open_thread: the thread that may call without a further look, or None while each needs one (a transaction is
            open, the writer stopped, closing, forked). ONE value that the hot path compares.
        enqueue: appends a job; then, where ``idle``, ``wake`` must be called.
        idle: there is nothing to do, and nothing looks whether there is.
        present: what it runs now; a transaction has it since ``held_since``, of the loop's clock.
    """

    def __init__(self, connection: Connection, session: Session, checkpointer: Checkpointer, config: Config) -> None:
        self.connection: Connection = connection
        self.session: Session = session
        self.checkpointer: Checkpointer = checkpointer
        self.queue: JobQueue = JobQueue(config.max_pending)
        self.enqueue: Callable[[WriteJob], None] = self.queue.append
        self.loop_is_running: Callable[[], bool] = connection.loop.is_running
        self.create_future: Callable[[], SomeFuture] = connection.loop.create_future
        self.idle: bool = True
        self.open_thread: int | None = get_ident()
        self._config = config
        self.held_since: float = 0.0
        self.present: Batch | None = None
        self._is_lone = False
        self.unfinished: Unfinished = Unfinished(connection, self.queue, self.session.recorder)
        self._life = Lifecycle(connection.loop, connection.name, tell=self._on, tell_error=self._lost)
        connection.on_lost = self._lost
        self._on(Event.WORK)

    def __repr__(self) -> str:
        state = self._life.state.name.lower()
        return f"<Writer {self.connection.name} {state} pending={len(self.queue)} running={self.running}>"

    # What callers use

    @property
    def running(self) -> int:
        running = self.present
        return 0 if running is None else 1 if isinstance(running, Hold) else len(running.jobs)

    @property
    def transaction_holder(self) -> str | None:
        return self.present.holder if isinstance(self.present, Hold) and self.present.active else None

    @property
    def doing(self) -> str | None:
        """What it does now, for the log: never a parameter."""
        running = self.present
        if isinstance(running, Hold):
            return f"the transaction() of {running.holder!r}"
        if running is None or not running.jobs:
            return None
        _, operation, subject, _ = running.jobs[0]
        name = name_of(subject) if callable(subject) else f"{operation.name}({subject[:200]!r})" if subject else None
        others = len(running.jobs) - 1
        return f"{name or operation.name}{f' and {others:,} others' if others else ''}"

    def wake(self) -> None:
        """Ends the idleness: takes the waiting jobs behind all callbacks that are ready now, so that all writes of one
        iteration share a batch. Where the latest job was alone in its batch, this one does not wait for others, unless
        they could share a sync of the disk.
        """
        self.idle = False
        was_lone, self._is_lone = self._is_lone, True
        self.session.recorder.waiting_since = monotonic()
        if self._life.state is not _OPEN:
            self._on(Event.WORK)
        if was_lone and not self.queue.unusual and not self.session.is_always_full:
            self._take()
        else:
            self.connection.loop.call_soon(self._take)

    def check(self) -> None:
        """Raises what stops a write now, except what has to do with threads, loops and forks."""
        if self._life.state is not _OPEN:
            self._life.check()
        self.check_holder()

    def check_holder(self) -> None:
        """Raises where the caller would wait for its own transaction to end."""
        running = self.present
        if isinstance(running, Hold) and running.active and running in held_holds.get():
            raise ReentrancyError(
                "a write on the database inside its own transaction() would wait for itself: use the "
                "transaction's verbs (async with db.transaction() as tx: await tx.write(...))"
            )

    def put(
        self,
        operation: Operation[R],
        subject: object,
        arguments: object,
        *,
        durable: bool = False,
        timeout: float | None = None,
    ) -> asyncio.Future[R]:
        """Enqueues any job; returns its future."""
        self.check()
        if durable or timeout is not None or operation.alone:
            loop = self.connection.loop
            future: asyncio.Future[R] = JobFuture(loop=loop)
            assert isinstance(future, JobFuture)
            future.durable = durable
            self.queue.unusual = True
            if timeout is not None:
                timer = loop.call_later(timeout, self._time_out, future, operation.name, timeout)
                future.add_done_callback(lambda _: timer.cancel())
        else:
            future = self.create_future()
        self.enqueue((future, operation, subject, arguments))
        if self.idle:
            self.wake()
        elif (present := self.present) is not None and present.on_wanted is not None:
            present.on_wanted()
        return future

    def _time_out(self, future: JobFuture, verb: str, timeout: float) -> None:
        self.unfinished.time_out(self.present, future, verb, timeout)

    def hold(self, *, durable: bool, timeout: float | None) -> tuple[Hold, asyncio.Future[Hold] | None]:
        """A transaction, which holds the writer once the future resolves; None: it does so already."""
        hold = Hold(
            self.connection,
            self.session,
            self.checkpointer,
            durable=durable,
            max_hold=self._config.max_hold,
            on_over=self._hold_over,
            on_struck=self._die_of,
        )
        if self._life.state is not _OPEN:
            self._life.check()
        if not self.idle:
            return hold, self.put(HOLD, hold, None, timeout=timeout)
        self.idle, self._is_lone = False, True
        self.queue.behind = 0
        if self._life.state is not _OPEN:
            self._on(Event.WORK)
        try:
            self._begin(hold)
        except BaseException as error:
            self._die_of(error)
            self._life.check()
        return hold, None

    # What waits is taken, and runs

    def _take(self) -> None:
        """What waits is the next batch, or the next thing that is done alone."""
        if self.present is not None:  # taken already: what ran before was given up, and the next job came
            return
        try:
            jobs, durable = self.queue.take()
            if not jobs:
                self._rest()
                return
            operation = jobs[0][1]
            if operation.lends:
                granted, _, hold, _ = jobs[0]
                hold.jobs = jobs
                self._begin(hold)
                settle_one(granted, hold)
                return
            self.present = batch = Batch(jobs, durable=durable)
            if operation.outside:
                self.connection.post(partial(self._run_outside, batch))
                return
            self.session.recorder.taken(jobs)
            self.connection.post(partial(self._run_batch, batch))
        except BaseException as error:
            self._die_of(error)

    def _rest(self) -> None:
        self.idle = True
        if self._life.state is not _OPEN:
            self._on(Event.IDLE)

    def _go_on(self, *, alone: bool = True) -> None:
        """What ran is over; the callers of several jobs are about to enqueue the next."""
        self.present = None
        if not alone or self.queue.jobs:
            self._is_lone = False
            self.connection.loop.call_soon(self._take)
        else:
            self._rest()

    def _look_at_end(self, batch: Batch) -> None:
        """What a batch or a transaction has met may concern the jobs that wait, too."""
        if batch.lock_timeout is not None:
            self.unfinished.fail_waiting(batch.lock_timeout, self.queue.behind)  # they have waited for it as long
        if batch.fatal is not None:
            self._on(Event.FAILED, batch.fatal)

    def _run_batch(self, batch: Batch) -> None:
        """On the connection's thread."""
        if take_turn(self.session, batch):
            self.connection.switch(batch)
            if batch.has_left or self.session.turnstile.waited:
                batch.leave_out_left()
            run_batch(self.session, batch)
        # Before the loop is woken: the kernel may run it at once, and all other processes would wait.
        self.checkpointer.end_turn()
        if not self.connection.deliver(self._settle, batch):
            self.unfinished.tell_unheard(batch, _loop_closed())
        self.checkpointer.after_batch()

    def _settle(self, batch: Batch) -> None:
        jobs, outcomes = batch.jobs, batch.outcomes
        done = len(outcomes)
        try:
            if (done < len(jobs) or done > 1) and batch is self.present:
                self.queue.took_time_for(done, jobs)
                if self._life.state is State.DROPPING and self._life.error is not None:
                    self.unfinished.fail_waiting(self._life.error)
            if done == 1:
                settle_one(jobs[0][0], outcomes[0])
            else:
                settle(jobs if done == len(jobs) else jobs[:done], outcomes, failed=batch.failed)
            errors = sum(isinstance(outcome, Failure) for outcome in outcomes) if batch.failed else 0
            self.session.recorder.settled(done, errors, batch.splits)
            if batch is self.present:
                self._go_on(alone=done <= 1)
            self._look_at_end(batch)
            batch.let_go()
        except BaseException as error:
            self._die_of(error)

    def _run_outside(self, batch: Batch) -> None:
        """On the connection's thread: maintenance, which takes its turn itself."""
        [(_, operation, _, arguments)] = batch.jobs
        outcome: object
        self.connection.switch(batch)
        try:
            outcome = None if batch.has_left else operation.run(self.session, *arguments)
        except BaseException as error:
            outcome = Failure(error)
        self.connection.switch(None)
        batch.outcomes.append(outcome)
        if not self.connection.deliver(self._settle_outside, batch):
            self.unfinished.tell_unheard(batch, _loop_closed())

    def _settle_outside(self, batch: Batch) -> None:
        settle_one(batch.jobs[0][0], batch.outcomes[0])
        if batch is self.present:
            self._go_on()

    # A transaction holds the writer

    def _begin(self, hold: Hold) -> None:
        self.present = hold
        self.open_thread, self.held_since = None, self.connection.loop.time()
        hold.taken()

    def _hold_over(self, hold: Hold) -> None:
        self.session.recorder.held(hold.writes if hold.is_committed else 0, hold.write_errors)
        self._look_at_end(hold)
        if hold is self.present:
            self._open()
            if self.queue.jobs and self.queue.jobs[0][1].lends:  # it shares its batch with none: all wait for it now
                self.present, self._is_lone = None, False
                self._take()
            else:
                self._go_on()

    def _open(self) -> None:
        """Calls need no further look, unless no job is taken."""
        if self._life.state is _OPEN or self._life.takes_jobs:
            self.open_thread = get_ident()

    # Its life: what the lifecycle says is done here alone

    def _on(self, event: Event, error: AiomemdbError | None = None, why: str = "the event loop is ending") -> None:
        """Does what is to be done when ``event`` happens.

        Args:
            error: what came of it, for the jobs that wait; or
            why: the same in words, where these jobs only come too late.
        """
        state = self._life.state
        error = error or not_started(why)
        action = self._life.on(event, error)
        if event in (Event.FAILED, Event.DIED) and state not in (State.STOPPED, State.LOST):
            log.error("%s has stopped: %s", self.connection.name, error, exc_info=error.__cause__)
        if Action.REFUSE in action:
            self.open_thread = None
        if Action.FAIL_WAITING in action:
            self.unfinished.fail_waiting(error)
        if Action.ROLL_BACK in action:
            self.unfinished.roll_back(self.present, why)
        if Action.END in action:
            self.idle = True
        if Action.FAIL_RUNNING in action:
            running, self.present = self.present, None
            self.unfinished.fail_running(running, why)
            self._open()
        if Action.TELL_UNHEARD in action:
            running, self.present = self.present, None
            self.unfinished.tell_unheard(running, error)
        if Action.LEAVE_TO_PARENT in action and isinstance(self.present, Hold):
            self.present.leave_to_parent(error)
        if event is not Event.IDLE and event is not Event.WORK:
            self._on(Event.IDLE if self.idle else Event.WORK)

    def _lost(self, cause: BaseException | None) -> None:
        """The thread, or the writer itself, died of ``cause``; or the loop was closed (None; then on that thread)."""
        if cause is None:
            self._on(Event.LOOP_CLOSED, _loop_closed())
        else:
            error = WriterCrashed(f"the writer died of {cause!r}; close and reopen the database")
            error.__cause__ = cause
            self._on(Event.DIED, error)

    def _die_of(self, error: BaseException) -> None:
        """An error of the writer's own (or a Ctrl-C that struck inside it): no caller is to wait for it."""
        self._lost(error)
        if not isinstance(error, Exception):
            raise error

    def leave_to_parent(self) -> None:
        """In a forked child."""
        self._on(Event.FORKED, forked_error())

    def refuse_new(self) -> None:
        self._on(Event.CLOSE)

    def abandon(self, end: Callable[[object], object]) -> None:
        """The handle was collected: runs what is queued, then calls ``end``."""
        self._on(Event.CLOSE)
        self._life.over.add_done_callback(end)

    def give_up(self, why: str) -> None:
        """Fails all that is left; also where the loop does not run."""
        self._on(Event.GIVE_UP, why=why)
        self.unfinished.fail_rest_now()

    async def close(self, deadline: float, *, drain: bool) -> None:
        """Ends the writer by ``deadline`` (of the loop's clock); all futures are resolved then."""
        now = self.connection.loop.time
        self._on(Event.CLOSE if drain else Event.DROP, why="closed without draining")
        remaining = deadline - now()
        # The last part of the time is for jobs that can be stopped cleanly: a wait for a lock, a transaction, a query.
        await wait_out([self._life.over], remaining - min(0.5, remaining / 4))
        if not self._life.over.done():
            self.session.abandoned = True
            self._on(Event.DROP, why="close() ran out of time")
            await wait_out([self._life.over], max(0.05, (deadline - now()) / 2))
        if not self._life.over.done():
            if self.present is not None:
                self.connection.interrupt(self.present)
            self._on(Event.GIVE_UP, why="close() ran out of time")
        await wait_out([self.unfinished.finished()], max(0.0, (deadline - now()) / 2))
        self.unfinished.fail_rest_now()


def _loop_closed() -> DatabaseClosed:
    return DatabaseClosed("the event loop was closed before the database")
