"""The writer, lent to one ``transaction()``: its steps run at once, one by one, and all other writers wait."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from contextvars import ContextVar
from time import monotonic
from typing import Any, TypeVar

from ...concurrency.job import Failure, Operation, copy_error, settle_one
from ...errors import AiomemdbError, TransactionTimeout
from ..codes import primary_code
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..connection.notes import annotate
from ..errors import TransactionEnded, TransactionLost
from .batch import commit_alone
from .checkpoints import Checkpointer
from .operations import run_in_savepoint
from .session import Session, TransactionSpoilt

__all__ = ["LEASE", "Lease", "held_leases"]

#: The leases that the current task, or one that it descends from, holds: a task that ``wait_for`` or ``gather``
#: made inside a transaction waits for it just as its parent does.
held_leases: ContextVar[tuple[Lease, ...]] = ContextVar("aiomemdb_held_leases", default=())

# How long the writer's thread leaves it to the loop to end what is held too long: that also stops a running step.
_LEFT_TO_LOOP = 0.1

R = TypeVar("R")


class Lease:
    """Made by ``Writer``, which begins its transaction and waits until it is over.

    Attributes:
        holder: the name of the task that holds it.
        over: the transaction has ended and the writer may go on.
        error: why it ended early, or None.
        writes: how many writes succeeded and, once it is over, were committed.
        write_errors: how many failed.
        flush_after: a step asked to be durable: what is committed is then forced to stable storage.
        fatal: why the writer must stop, or None.
        waiting: resolves when it has begun; that of its job.
    """

    def __init__(
        self,
        connection: Connection,
        session: Session,
        checkpointer: Checkpointer,
        *,
        durable: bool,
        max_hold: float,
        on_over: Callable[[Lease], None],
    ) -> None:
        task = asyncio.current_task()
        self.holder: str = task.get_name() if task is not None else "?"
        self.over: bool = False
        self.error: AiomemdbError | None = None
        self.writes: int = 0
        self.write_errors: int = 0
        self.durable: bool = durable
        self.flush_after: bool = False
        self.fatal: AiomemdbError | None = None
        self.waiting: asyncio.Future[Lease] | None = None
        self._connection = connection
        self._session = session
        self._checkpointer = checkpointer
        self._max_hold = max_hold
        self._on_over = on_over
        self._beginning: asyncio.Future[None] | None = None
        self._ending: asyncio.Future[None] | None = None
        self._doomed = False
        self._running: set[asyncio.Future[Any]] = set()
        self._spoilt: BaseException | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def active(self) -> bool:
        return self._ending is None and self.error is None and not self.over

    def begin(self) -> asyncio.Future[None]:
        self._beginning = self._connection.submit(self._begin)
        return self._beginning

    def start_timer(self) -> None:
        self._timer = self._connection.loop.call_later(self._max_hold, lambda: self.expire(self._held_too_long()))

    def _held_too_long(self) -> TransactionTimeout:
        return TransactionTimeout(
            f"the task {self.holder!r} held a transaction() for more than max_hold={self._max_hold} s: it was rolled "
            "back; do slow work before the transaction"
        )

    def step(self, function: Callable[[GuardedConnection], R], *, wanted_only: bool = False) -> asyncio.Future[R]:
        """Runs ``function`` on the writer's thread, inside the transaction.

        Raises: what ended the lease, at once, if it has ended.
        """
        self.check()
        future = self._connection.submit(self._run, function, wanted_only=wanted_only)
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return future

    def check(self) -> None:
        if self.error is not None:
            raise copy_error(self.error)
        if not self.active:
            raise TransactionEnded("this transaction has ended")

    def interrupt(self, future: asyncio.Future[R]) -> bool:
        return self._connection.interrupt(future)

    def end(self, *, commit: bool) -> asyncio.Future[None]:
        """Posts COMMIT or ROLLBACK at once. It runs even if the caller that waits for the future leaves."""
        if self._ending is None:
            self._ending = self._connection.submit(self._finish, commit)
            self._connection.post(self._checkpointer.after_batch)
            self._ending.add_done_callback(self._finished)
            if not commit:
                self._stop_steps()
        # Each caller a future of its own: cancelling the wait must not cancel what tells the writer.
        waiter: asyncio.Future[None] = self._connection.loop.create_future()

        def tell(ending: asyncio.Future[None]) -> None:
            error = ending.exception()
            settle_one(waiter, None if error is None else Failure(error))

        self._ending.add_done_callback(tell)
        return waiter

    def expire(self, error: AiomemdbError) -> None:
        """Ends it from outside: what runs is interrupted, the transaction rolled back, its holder told."""
        if self.over or self.error is not None:
            return
        self.error = error
        self._tell_waiting(error)
        self._abort(error)

    def _tell_waiting(self, error: AiomemdbError) -> None:
        if self.waiting is not None:
            settle_one(self.waiting, Failure(copy_error(error)))

    def _abort(self, error: AiomemdbError) -> None:
        if self.over:
            return
        running = list(self._running)
        self._stop_steps()
        self.end(commit=False).cancel()
        for future in running:
            settle_one(future, Failure(copy_error(error)))

    def _stop_steps(self) -> None:
        """They are rolled back in any case, even if a caller still waits for them."""
        self._doomed = True
        work = self._connection.working_on
        if asyncio.isfuture(work) and work is not self._beginning and work is not self._ending:
            self._connection.interrupt(work)

    def lose(self, error: AiomemdbError) -> None:
        """The thread is gone, and the transaction with it."""
        self.error = self.error or error
        self._tell_waiting(self.error)
        self._finished(None)

    def leave_to_parent(self, error: AiomemdbError) -> None:
        """In a forked child: nothing of it is the child's to end."""
        self.error, self.over = error, True

    # On the writer's thread

    def _begin(self, _: GuardedConnection) -> None:
        self._session.take_turn()
        try:
            self._session.begin(durable=self.durable)
        except BaseException:
            self._session.turnstile.release()
            raise
        self._connection.alarm = (monotonic() + self._max_hold + _LEFT_TO_LOOP, self._expire_here)

    def _expire_here(self) -> None:
        """The loop is blocked, or it had done so: all other processes would wait until it is not."""
        error = self.error = self.error or self._held_too_long()
        self._doomed = True
        with suppress(sqlite3.Error):  # tried again by _abort
            self._finish(self._connection.raw, commit=False)
        self._checkpointer.after_batch()
        self._connection.deliver(self._abort, error)

    def _run(self, raw: GuardedConnection, function: Callable[[GuardedConnection], R]) -> R:
        self._raise_if_spoilt()
        if self._doomed:
            self.check()
        try:
            result = function(raw)
        except TransactionSpoilt as spoilt:
            self._spoil(spoilt.args[0])
            raise spoilt.args[0] from None
        except BaseException as error:
            if not raw.in_transaction:
                self._spoil(error)
            raise
        return result

    def _spoil(self, error: BaseException) -> None:
        self._spoilt = error
        self._session.rollback()

    def _raise_if_spoilt(self) -> None:
        if self._spoilt is not None:
            raise TransactionLost(
                f"the transaction is gone, nothing of it was applied: an earlier step lost it ({self._spoilt})"
            ) from self._spoilt

    def _finish(self, raw: GuardedConnection, commit: bool) -> None:
        self._connection.alarm = None
        try:
            self._end(commit)
        finally:
            self._checkpointer.end_turn()

    def _end(self, commit: bool) -> None:
        written, self.writes = self.writes, 0
        if not commit or self._doomed:
            self._session.rollback()
            if commit and self.error is not None:
                raise copy_error(self.error)
            return
        self._raise_if_spoilt()
        error, self.fatal = commit_alone(self._session)
        if error is None:
            self.writes = written
        if error is not None:
            raise error
        if self.flush_after:
            self._flush()

    def _flush(self) -> None:
        """Forces what was just committed to stable storage."""
        error: BaseException | None
        try:
            self._session.begin(durable=True)
            error, self.fatal = commit_alone(self._session)
        except (AiomemdbError, sqlite3.Error) as refused:
            error = refused
        if error is not None:
            raise AiomemdbError(
                f"the transaction is committed, but may not be on stable storage yet: {error}", applied=True
            ) from error

    # On the loop

    def _finished(self, ending: asyncio.Future[None] | None) -> None:
        if ending is not None and not ending.cancelled():
            ending.exception()  # seen: the caller that waits gets it
        self.over = True
        if self._timer is not None:
            self._timer.cancel()
        self._on_over(self)


def step_of(
    lease: Lease, session: Session, operation: Operation[R], subject: object, arguments: object
) -> Callable[[GuardedConnection], R]:
    """A write verb as a step: always inside a savepoint, so that an error undoes this step and no other."""

    def step(raw: GuardedConnection) -> R:
        lease.write_errors += 1
        try:
            result = run_in_savepoint(session, operation, subject, arguments)
            lease.write_errors -= 1
            lease.writes += 1
            return result
        except TransactionSpoilt as spoilt:
            annotate(spoilt.args[0], subject, max_value_bytes=session.max_value_bytes)
            raise
        except BaseException as error:
            annotate(error, subject, max_value_bytes=session.max_value_bytes)
            if primary_code(error) == sqlite3.SQLITE_INTERRUPT and not raw.in_transaction:
                raise TransactionSpoilt(error) from None
            raise

    return step


def _lend(session: Session, lease: Lease, _: None) -> Lease:
    return lease


#: It results in its lease when it has begun; the writer task runs it.
LEASE: Operation[Lease] = Operation("transaction", _lend, lends=True)
