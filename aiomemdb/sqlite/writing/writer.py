"""The writer: one task, one queue of jobs, one connection.

A job's whole way: ``enqueue`` → ``_take`` → ``run_batch`` on the connection's thread → ``_settle``. One batch follows
another by callbacks, which cost the loop less than a task that wakes: ``_settle``, then those in which its callers run
and enqueue what comes next, and behind them ``_take`` with all of it. The writer task runs what needs the writer for
itself (leases, maintenance), and owns the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from threading import get_ident
from time import monotonic
from typing import Any, TypeVar

from ...concurrency.failing import Failing
from ...concurrency.job import Failure, JobFuture, Operation, WriteJob, copy_error, fail, settle, settle_one
from ...concurrency.queue import JobQueue
from ...concurrency.worker import forked_error, wait_out
from ...config import Config
from ...errors import AiomemdbError, DatabaseClosed, LockTimeout, ReentrancyError, WriterCrashed, WriteTimeout
from ..connection.connection import Connection
from .batch import Batch, run_batch, take_turn
from .checkpoints import Checkpointer
from .lease import LEASE, Lease, held_leases
from .session import Session
from .slow import name_of

__all__ = ["Writer"]

log: logging.Logger = logging.getLogger("aiomemdb")

# How long a cancelled writer task (asyncio.run cancels all tasks at its end) goes on to drain its queue.
_DRAIN_AFTER_CANCEL = 2.0


R = TypeVar("R")


class Writer:
    """Owns the queue, the writer task and the writer's connection.

    Attributes:
        open_thread: the thread whose calls need no further look, or None while each needs one (a transaction is
            open, the writer stopped, closing, forked). ONE value that the hot path compares.
        enqueue: appends a job; then, where ``idle``, ``wake`` must be called.
        idle: there is nothing to do, and nothing looks whether there is.
    """

    def __init__(self, connection: Connection, session: Session, checkpointer: Checkpointer, config: Config) -> None:
        self.connection: Connection = connection
        self.session: Session = session
        self.checkpointer: Checkpointer = checkpointer
        self.queue: JobQueue = JobQueue(config.max_pending)
        self._failing = Failing(connection.loop)
        self.enqueue: Callable[[WriteJob], None] = self.queue.append
        self.loop: asyncio.AbstractEventLoop = connection.loop
        self.loop_is_running: Callable[[], bool] = self.loop.is_running
        self._call_soon = self.loop.call_soon
        self.create_future: Callable[[], asyncio.Future[Any]] = self.loop.create_future
        self.idle: bool = True
        self.stopped: AiomemdbError | None = None
        self._config = config
        self._is_full = config.durability == "full"
        self._thread = get_ident()
        self._batch: Batch | None = None
        self._is_lone = False
        self._alone: WriteJob | None = None
        self._lease: Lease | None = None
        self._waiter: asyncio.Future[None] = self.create_future()
        self._closing = False
        self._not_drained: DatabaseClosed | None = None
        self._cancelled = False
        self._gave_up = False
        self._waiting_since = monotonic()
        # counters, see SQLiteStatistics
        self.writes: int = 0
        self.write_errors: int = 0
        self.batches: int = 0
        self.largest_batch: int = 0
        self.batch_splits: int = 0
        self.queue_wait: float = 0.0
        self.queue_wait_max: float = 0.0
        connection.on_lost = self._lost
        self.open_thread: int | None = self._thread
        self._task = self._start()

    def __repr__(self) -> str:
        state = "idle" if self.idle else "lent" if self._lease else "running"
        return f"<Writer {self.connection.name} {state} pending={len(self.queue)} running={self.running}>"

    # What callers use

    @property
    def running(self) -> int:
        return 1 if self._lease is not None else len(self._batch.jobs) if self._batch is not None else 0

    @property
    def transaction_holder(self) -> str | None:
        return self._lease.holder if self._lease is not None and self._lease.active else None

    @property
    def doing(self) -> str | None:
        """What it does now, for the log: never a parameter."""
        if self._lease is not None:
            return f"the transaction() of {self._lease.holder!r}"
        jobs = [self._alone] if self._alone is not None else self._batch.jobs if self._batch is not None else ()
        if not jobs:
            return None
        _, operation, subject, _ = jobs[0]
        name = name_of(subject) if callable(subject) else f"{operation.name}({subject[:200]!r})" if subject else None
        return f"{name or operation.name}{f' and {len(jobs) - 1:,} others' if len(jobs) > 1 else ''}"

    def wake(self) -> None:
        """Ends the idleness: takes the waiting jobs behind all callbacks that are ready now, so that all writes of one
        iteration share a batch. Where the latest job was alone in its batch, this one does not wait for others, unless
        they could share a sync of the disk.
        """
        self.idle = False
        was_lone, self._is_lone = self._is_lone, True
        self._waiting_since = monotonic()
        if self._task.done():
            self._task = self._start()
        if was_lone and not self.queue.unusual and not self._is_full:
            self._take()
        else:
            self._call_soon(self._take)

    def check(self) -> None:
        """Raises what stops a write now, except what has to do with threads, loops and forks."""
        if self._closing:
            raise DatabaseClosed("the database is closing or closed")
        if self.stopped is not None:
            raise copy_error(self.stopped)
        self.check_holder()

    def check_holder(self) -> None:
        """Raises where the caller would wait for its own transaction to end."""
        if self._lease is not None and self._lease.active and self._lease in held_leases.get():
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
        """Enqueues any job; gives its future."""
        self.check()
        if durable or timeout is not None or operation.alone:
            future: asyncio.Future[R] = JobFuture(loop=self.loop)
            assert isinstance(future, JobFuture)
            future.durable = durable
            self.queue.unusual = True
            if timeout is not None:
                timer = self.loop.call_later(timeout, self._expire, future, operation, timeout)
                future.add_done_callback(lambda _: timer.cancel())
        else:
            future = self.create_future()
        self.enqueue((future, operation, subject, arguments))
        if self.idle:
            self.wake()
        return future

    def lend(self, *, durable: bool, timeout: float | None) -> asyncio.Future[Lease]:
        """Enqueues a lease: the future resolves when its transaction has begun."""
        lease = Lease(
            self.connection,
            self.session,
            self.checkpointer,
            durable=durable,
            max_hold=self._config.max_hold,
            on_over=self._lease_over,
        )
        return self.put(LEASE, lease, None, timeout=timeout)

    # The writer task

    def _start(self) -> asyncio.Task[None]:
        self._cancelled = self._gave_up = False
        task = self.loop.create_task(self._run(), name=self.connection.name)
        # Where the loop is closed, or the handle collected, under it: nothing is lost, and nothing could have been done
        # better; asyncio would print "Task was destroyed but it is pending".
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task is not self._task:  # a write that woke the writer since then has started the next one
            return
        if task.cancelled():  # before its first step; it outlasts every later cancellation
            if not self.idle:
                self._task = self._start()
        elif (error := task.exception()) is not None:
            self._lost(error)

    async def _run(self) -> None:
        """Never cancelled halfway: a cancelled writer task drains its queue and ends; the next write starts it anew."""
        while not self._gave_up:
            if self._alone is not None:
                serve = self._serve_lease if self._alone[1] is LEASE else self._maintain
                await serve(self._alone)
                self._alone = None
                self._take()
            elif self.idle and (self._closing or self._cancelled):
                return
            else:
                await self._sleep()
        if self._alone is not None:
            fail([self._alone], lambda: DatabaseClosed("the event loop is ending; this job had not started"))
            self._alone = None
        self.idle = True

    def _take(self) -> None:
        """What waits is the next batch, or the next thing that the task does alone."""
        if self._gave_up:
            return
        try:
            jobs, durable = self.queue.take()
            if not jobs:
                self._rest()
            elif jobs[0][1].by_task:
                self._alone = jobs[0]
                self._resume()
            else:
                now = monotonic()
                self.queue_wait = now - self._waiting_since
                if self.queue_wait > self.queue_wait_max:
                    self.queue_wait_max = self.queue_wait
                self._waiting_since = now
                self._batch = batch = Batch(jobs, durable=durable)
                self.connection.post(partial(self._run_batch, batch))
        except BaseException as error:
            self._die_of(error)

    def _rest(self) -> None:
        self.idle = True
        if self._closing or self._cancelled:
            self._resume()

    async def _sleep(self) -> None:
        self._waiter = self.create_future()
        try:
            await self._waiter
        except asyncio.CancelledError:
            if not self._cancelled:
                self._cancelled = True
                self.loop.call_later(_DRAIN_AFTER_CANCEL, self._give_up, self._task)

    def _resume(self) -> None:
        if not self._waiter.done():
            try:
                self._waiter.set_result(None)
            except RuntimeError:
                pass  # the loop is closed, and its tasks with it

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
            self._settle_unheard(batch, DatabaseClosed("the event loop was closed before the database"))
        self.checkpointer.after_batch()

    def _settle(self, batch: Batch) -> None:
        jobs, outcomes = batch.jobs, batch.outcomes
        done = len(outcomes)
        try:
            if done < len(jobs) or done > 1:
                self.queue.took_time_for(done, jobs)
            if self._not_drained is not None:
                self._fail_queued(self._not_drained)
            if done == 1:
                settle_one(jobs[0][0], outcomes[0])
            else:
                settle(jobs if done == len(jobs) else jobs[:done], outcomes, failed=batch.failed)
            errors = sum(isinstance(outcome, Failure) for outcome in outcomes) if batch.failed else 0
            self.writes += done - errors
            self.write_errors += errors
            self.batches += 1
            if done > self.largest_batch:
                self.largest_batch = done
            self.batch_splits += batch.splits
            if batch is self._batch:
                self._batch = None
                if done > 1 or self.queue:
                    self._is_lone = False
                    self._call_soon(self._take)
                else:
                    self._rest()
            if batch.lock_timeout is not None:
                self._fail_queued(batch.lock_timeout, self.queue.behind)  # they have waited for the lock as long
            if batch.fatal is not None:
                self._stop(batch.fatal)
            batch.let_go()
        except BaseException as error:
            self._die_of(error)

    def _die_of(self, error: BaseException) -> None:
        """An error of the writer's own (or a Ctrl-C that struck inside it): no caller is to wait for it."""
        self._lost(error)
        if not isinstance(error, Exception):
            raise error

    async def _maintain(self, job: WriteJob) -> None:
        future, operation, _, arguments = job
        running = self.connection.submit(lambda raw: operation.run(self.session, *arguments))
        running.add_done_callback(lambda _: self._resume())
        while not running.done() and not self._gave_up:
            await self._sleep()
        if running.done():
            error = running.exception()
            settle_one(future, running.result() if error is None else Failure(error))
        else:
            why = f"close() ran out of time while {operation.name} was running"
            settle_one(future, Failure(DatabaseClosed(why, applied=None)))

    # Leases

    async def _serve_lease(self, job: WriteJob) -> None:
        future, _, lease, _ = job
        self._lease = lease
        beginning = lease.begin()
        beginning.add_done_callback(lambda _: self._resume())
        while not beginning.done() and not self._gave_up:
            await self._sleep()
        error = beginning.exception() if beginning.done() else None
        if error is not None:
            self._lease = None
            settle_one(future, Failure(error))
            if isinstance(error, LockTimeout):
                self._fail_queued(error, self.queue.behind)
            return
        if lease.error is not None:  # the loop was blocked for so long that it has ended already
            settle_one(future, Failure(copy_error(lease.error)))
        if future.done():  # its caller has left
            lease.end(commit=False)
        else:
            self.open_thread = None
            lease.start_timer()
            future.set_result(lease)
        while not lease.over and not self._gave_up:
            await self._sleep()

    def _lease_over(self, lease: Lease) -> None:
        self.writes += lease.writes if lease.error is None else 0
        self.write_errors += lease.write_errors
        self.batches += 1
        if self._lease is lease:
            self._lease = None
            if not self._closing and self.stopped is None:
                self.open_thread = self._thread
        if lease.fatal is not None:
            self._stop(lease.fatal)
        self._resume()

    # Ends

    def _expire(self, future: JobFuture, operation: Operation[R], timeout: float) -> None:
        if future.done():
            return
        # One step: a batch begins by switch(), which takes the same lock, and leaves out who has left until then.
        with self.connection.switching:
            started = future.started
            if self._batch is not None and self.connection.working_on is not self._batch:
                started, self._batch.has_left = False, True
            state = "was running, and runs to its end" if started else "was still waiting, and never runs"
            future.set_exception(
                WriteTimeout(
                    f"{operation.name} took longer than timeout={timeout} s: it {state}",
                    started=started,
                    applied=None if started else False,
                )
            )

    def _fail_queued(self, error: BaseException, count: int | None = None) -> None:
        dropped = self.queue.drop(count)
        self.write_errors += len(dropped)
        if dropped:
            self._failing.add(dropped, error)

    def _drop_queued(self, why: str) -> None:
        """Fails what waits, and what a batch that runs now has no time for."""
        self._not_drained = DatabaseClosed(f"{why}; this job had not started")
        self._fail_queued(self._not_drained)

    def _stop(self, error: AiomemdbError) -> None:
        """Fails closed: nothing is written any more."""
        if self.stopped is None:
            log.error("%s has stopped: %s", self.connection.name, error, exc_info=error.__cause__)
            self.stopped = error
        self.open_thread = None
        self._fail_queued(error)
        self._resume()

    def _lost(self, cause: BaseException | None) -> None:
        """The thread died of ``cause``; or the loop was closed (None; then on that thread)."""
        batch, self._batch = self._batch, None
        error: AiomemdbError
        if cause is None:
            error = DatabaseClosed("the event loop was closed before the database")
        else:
            error = WriterCrashed(f"the writer died of {cause!r}; close and reopen the database")
            error.__cause__ = cause
        if batch is not None:
            self._settle_unheard(batch, error)
        if self._alone is not None:
            fail([self._alone], lambda: copy_error(error))
        self._closing = self._closing or cause is None
        if self._lease is not None:
            self._lease.lose(error)
        if cause is not None:
            self.idle = True
            self._stop(error)
        else:
            self.open_thread = None
            self._fail_queued(error)

    def _settle_unheard(self, batch: Batch, error: AiomemdbError) -> None:
        """The thread or the loop is gone: tells what was committed, and fails the rest of the batch."""
        done = len(batch.outcomes)
        settle(batch.jobs[:done], batch.outcomes, failed=True)
        rest = copy_error(error)
        rest.applied = None if batch.committing else False  # type: ignore[attr-defined]
        fail(batch.jobs[done:], lambda: copy_error(rest))
        if self._batch is batch:
            self._batch = None

    def _give_up(self, task: asyncio.Task[None]) -> None:
        """The cancelled task has had its time: fails the jobs that still wait, so that the loop can end."""
        if task is not self._task or task.done():
            return
        if any(not other.cancelling() for other in asyncio.all_tasks(self.loop)):
            # The loop is not ending, this task alone was cancelled: no job is to suffer.
            self.loop.call_later(_DRAIN_AFTER_CANCEL, self._give_up, task)
        else:
            self.give_up("the event loop is ending")

    def give_up(self, why: str) -> None:
        """Fails all that is left, and ends the writer task."""
        self._gave_up = True
        self.fail_rest(why)
        self._resume()

    def fail_rest(self, why: str) -> None:
        self._drop_queued(why)
        self._failing.finish()
        self._fail_running(why)

    def _fail_running(self, why: str) -> None:
        batch, self._batch = self._batch, None
        if batch is not None:
            with self.connection.switching:  # one step, as in _expire
                if self.connection.working_on is batch:
                    fail(batch.jobs, lambda: DatabaseClosed(f"{why} while this job was running", applied=None))
                else:
                    batch.has_left = True
                    fail(batch.jobs, lambda: DatabaseClosed(f"{why}; this job had not started"))
        if self._lease is not None:
            self._lease.expire(DatabaseClosed(f"{why}; the transaction is rolled back"))
        if self._task.done() and not self._task.cancelled():
            self._task.exception()  # a Ctrl-C that struck inside it: the loop has raised it already

    def abandon(self, end: Callable[[object], object]) -> None:
        """The handle was collected: runs what is queued, then calls ``end``."""
        self._closing = True
        self.open_thread = None
        if self.idle:
            self.wake()
        self._task.add_done_callback(end)

    def leave_to_parent(self) -> None:
        """In a forked child: the writer task ends, an open transaction is the parent's to end."""
        self.open_thread = None
        self.stopped = forked_error()
        self._gave_up = True
        if self._lease is not None:
            self._lease.error, self._lease.over = forked_error(), True

    def refuse_new(self) -> None:
        self._closing = True
        self.open_thread = None

    async def close(self, deadline: float, *, drain: bool) -> None:
        """Ends the writer task by ``deadline`` (of the loop's clock); all futures are resolved then."""
        self.refuse_new()
        if not drain:
            self._drop_queued("closed without draining")
            if self._lease is not None:
                self._lease.expire(DatabaseClosed("closed without draining; the transaction is rolled back"))
        self._resume()
        remaining = deadline - self.loop.time()
        # The last part of the time is for jobs that can be stopped cleanly: a wait for a lock, a lease, a query.
        await wait_out([self._task], remaining - min(0.5, remaining / 4))
        if not self._task.done():
            self.session.abandoned = True
            self._drop_queued("close() ran out of time")
            if self._lease is not None:
                self._lease.expire(DatabaseClosed("close() ran out of time; the transaction is rolled back"))
            await wait_out([self._task], max(0.05, (deadline - self.loop.time()) / 2))
        if not self._task.done():
            if self._batch is not None:
                self.connection.interrupt(self._batch)
            self._fail_running("close() ran out of time")
            self._gave_up = True
            self._resume()
        await wait_out([self._failing.finished()], max(0.0, (deadline - self.loop.time()) / 2))
        self._failing.finish()
