"""A hold: a transaction as an object. It is a batch that stays open, while all other writers wait.

    on the loop                            | on the writer's thread
    ---------------------------------------+------------------------------------------------------
    the writer takes it from the queue     |
    step()                                 | BEGIN, behind this process's turn; and the step
    step()                                 | the step
    end()                                  | COMMIT or ROLLBACK, the end of the turn
    the writer goes on                     |

BEGIN travels with the first step, so that a transaction of one step takes two hops. COMMIT has a hop of its own: only
when the last step is awaited is it known to be the last. A hold without a step opens nothing.

The rules are those of batch.py. Its steps are the jobs, and it differs in one thing: what a step has returned can't be
run again. So a step that may leave rows behind where it fails runs in a savepoint (rule 2), and where a step spoils the
transaction (rule 3), or COMMIT refuses it (rule 4), all of it is gone.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from contextvars import ContextVar
from functools import partial
from math import inf
from threading import get_ident
from time import monotonic
from typing import Any, TypeVar  # Any: what a caller passes as arguments may be anything

from ...concurrency.job import Failure, Operation, SomeFuture, WriteJob, copy_error, settle_one
from ...errors import AiomemdbError, WrongLoop
from ..common.codes import primary_code
from ..common.errors import TransactionEnded, TransactionLost, held_too_long
from ..connection.connection import Connection
from ..connection.error_notes import annotate
from ..connection.guarded import GuardedConnection
from .batch import Batch, Spoilt, culprit_of, do_commit, flush, may_have_stayed, not_begun, not_flushed, stop_if_corrupt
from .checkpoints import Checkpointer
from .operations import ANY, WRITE, run, run_in_savepoint
from .session import Session

__all__ = ["HOLD", "Hold", "held_holds"]

#: The holds that the current task, or one that it descends from, is tied to by ``transaction()``: a task that
#: ``wait_for`` or ``gather`` made inside a transaction waits for it just as its parent does.
held_holds: ContextVar[tuple[Hold, ...]] = ContextVar("aiomemdb_held_holds", default=())

# How long the writer's thread leaves it to the loop to end what is held too long: that also stops a running step.
_LEFT_TO_LOOP = 0.1

#: What needs none where it inserts a row.
_NO_SAVEPOINT: tuple[Operation[Any], ...] = (WRITE, ANY)
R = TypeVar("R")


class Hold(Batch):
    """Made by ``Writer``, which has nothing else run until it is ``over``.

    Attributes:
        holder: the name of the task that began it.
        over: it has ended and the writer has gone on; ``error``: why early, or None; is_committed: by its COMMIT.
        writes, write_errors: how many writes succeeded, and failed.
        flush_after: a step asked to be durable: what is committed is then forced to stable storage.
        savepoints: what ``writes`` was at each that is open; for the thread alone.
        begun_at: when it had begun on the thread, of ``time.monotonic``; None: no step has run yet. It is given up
            where the file was not to be had by ``begin_by``. That and ``foreign_keys`` are set before.
    """

    def __init__(
        self,
        connection: Connection,
        session: Session,
        checkpointer: Checkpointer,
        *,
        durable: bool,
        max_hold: float,
        on_over: Callable[[Hold], None],
        on_struck: Callable[[BaseException], None],
    ) -> None:
        self.jobs: Sequence[WriteJob] = ()  # not by Batch's own, which costs a transaction 0.1 us
        self.durable: bool = durable
        self.foreign_keys: bool | None = None
        self.begin_by: float = inf
        self.outcomes: list[object] = []
        task = asyncio.current_task()
        self.holder: str = task.get_name() if task is not None else "?"
        self.over: bool = False
        self.error: BaseException | None = None
        self.is_committed: bool = False
        self.committing: bool = False
        self.writes: int = 0
        self.write_errors: int = 0
        self.flush_after: bool = False
        self.savepoints: list[int] = []
        self.begun_at: float | None = None
        self.loop: asyncio.AbstractEventLoop = connection.loop
        self.session: Session = session
        self._thread = get_ident()
        self._connection = connection
        self._checkpointer = checkpointer
        self._max_hold = max_hold
        self._on_over = on_over
        self._on_struck = on_struck
        self._steps: set[SomeFuture] = set()
        self._waiters: list[asyncio.Future[None]] | None = None  # of its end; None: it is not to end yet
        self._is_used = self._doomed = False
        self._is_open = False  # for the thread alone
        self._timer: asyncio.TimerHandle | None = None

    # On the loop

    @property
    def active(self) -> bool:
        """It takes steps."""
        return self._waiters is None and self.error is None and not self.over

    def check(self) -> None:
        """Raises why it takes no step, if it takes none."""
        if (why := self._why_ended()) is not None:
            raise why

    def _why_ended(self) -> BaseException | None:
        if self.error is not None:
            return copy_error(self.error)
        ended = self._waiters is not None or self.over
        return TransactionEnded("this transaction has ended") if ended else None

    def check_loop(self) -> None:
        if get_ident() != self._thread or not self.loop.is_running():
            raise WrongLoop.of("this transaction", self._thread, "tx.write(...)")

    def taken(self) -> None:
        """The writer is its own from here on."""
        self._timer = self.loop.call_later(self._max_hold, self._look_at_time)

    def _look_at_time(self) -> None:
        """What it waits for the file is not counted: from when it has begun it is held."""
        if self.over or self.error is not None:
            return
        if self.begun_at is not None:
            rest = self.begun_at + self._max_hold - monotonic()
        else:
            rest = self._max_hold if self._steps else 0
        if rest > 0:
            self._timer = self.loop.call_later(rest, self._look_at_time)
        else:
            self.expire(held_too_long(self.holder, self._max_hold))

    def step(self, function: Callable[[GuardedConnection], R], *, wanted_only: bool = False) -> asyncio.Future[R]:
        """Runs ``function`` on the writer's thread, inside the transaction.

        Args:
            wanted_only: it does not run if its future is done before, because its caller has left.
        Raises: what ended the hold, at once, if it has ended.
        """
        if self._waiters is not None or self.error is not None:
            self.check()
        self.check_loop()
        future: asyncio.Future[R] = self.loop.create_future()
        self._is_used = True
        self._connection.post(partial(self._run, future, function, wanted_only))
        self._steps.add(future)  # behind it: a Ctrl-C between the two must leave no step that nothing settles
        return future

    def write(self, operation: Operation[R], subject: object, arguments: object) -> asyncio.Future[R]:
        """A write verb as a step; an error undoes this step and no other."""
        return self.step(partial(self.write_here, operation, subject, arguments), wanted_only=True)

    def begin(self) -> asyncio.Future[None]:
        """A step that only begins."""
        return self.step(lambda _: None)

    def interrupt(self, future: asyncio.Future[R]) -> bool:
        return self._connection.interrupt(future)

    def _settle(self, future: SomeFuture, outcome: object, has_ended: bool) -> None:
        try:
            self._steps.discard(future)
            if outcome.__class__ is Failure:
                settle_one(future, outcome)
            elif not future.done():
                future.set_result(outcome)
            if has_ended and self.error is not None:  # by this step or one before: those behind it are told in turn
                self._abort(self.error)
        except BaseException as error:  # a Ctrl-C that struck inside it
            settle_one(future, outcome)
            self._on_struck(error)

    def end(self, *, commit: bool) -> asyncio.Future[None]:
        """Posts COMMIT or ROLLBACK at once. It runs even if the caller that waits for the future leaves."""
        waiter: asyncio.Future[None] = self.loop.create_future()
        self._post_end(commit)
        if self._waiters is None or self.over:
            settle_one(waiter, None)
        else:
            self._waiters.append(waiter)
        return waiter

    def leave(self) -> None:
        """Rolls it back, if it has not ended; no caller waits for that."""
        self._post_end(False)

    def _post_end(self, commit: bool) -> None:
        if self._waiters is not None:  # it is ending
            return
        self._waiters = []
        if not commit:
            self._stop_steps()
        if self._is_used:
            self._connection.post(partial(self._finish, commit))
        else:
            self._finished(None)

    def expire(self, error: AiomemdbError) -> None:
        """Ends it from outside: what runs is interrupted, the transaction rolled back, its holder told."""
        if self.over or self.error is not None or self.is_committed:
            return
        self.error = error
        self._abort(error)

    def _abort(self, error: BaseException) -> None:
        if self.over:
            return
        self._stop_steps()
        self._fail_steps(error)
        self._post_end(False)

    def _stop_steps(self) -> None:
        """They are rolled back in any case, even if a caller still waits for them."""
        self._doomed = True
        work = self._connection.working_on
        if work in self._steps:
            self._connection.interrupt(work)

    def _fail_steps(self, error: BaseException) -> None:
        for future in list(self._steps):
            settle_one(future, Failure(copy_error(error)))

    def _finished(self, outcome: object) -> None:
        if self.over:
            return
        self.over, self.jobs = True, ()
        if self.is_committed:  # too late to end it early
            self.error = None
        try:
            if self._timer is not None:
                self._timer.cancel()
            self._on_over(self)
        except BaseException as error:  # a Ctrl-C that struck inside it
            self._on_struck(error)
        finally:
            for waiter in self._waiters or ():
                if outcome is None and not waiter.done():
                    waiter.set_result(None)
                else:
                    settle_one(waiter, outcome)

    def lose(self, error: AiomemdbError) -> None:
        """The thread, or the loop, is gone, and the transaction with it."""
        if self.over:
            return
        self.error = self.error or error
        self._fail_steps(self.error)
        outcome = not_flushed("its sync was not waited for") if self.is_committed else copy_error(self.error)
        if self.committing:
            outcome.applied = None  # type: ignore[attr-defined]
        self._finished(Failure(outcome))

    def give_up(self, error: AiomemdbError) -> None:
        """As ``expire``, and its end is not waited for."""
        self.expire(error)
        self.lose(error)

    def leave_to_parent(self, error: AiomemdbError) -> None:
        """In a forked child: nothing of it is the child's to end."""
        self.error, self.over = error, True

    # On the writer's thread

    def _run(self, future: asyncio.Future[R], function: Callable[[GuardedConnection], R], wanted_only: bool) -> None:
        connection = self._connection
        outcome: object = None
        if not (wanted_only and future.done()):
            with connection.switching:
                connection.working_on = future
            try:
                if self._doomed:
                    self.check()
                if self.begun_at is None:
                    self._begin()
                outcome = function(connection.raw)
            except BaseException as error:
                if self._is_open and not connection.raw.in_transaction:
                    self._lose(error)
                by_rollback = self._doomed and primary_code(error) == sqlite3.SQLITE_INTERRUPT
                outcome = Failure((self._why_ended() if by_rollback else None) or error)
            with connection.switching:
                connection.working_on = None
        if not connection.deliver(self._settle, future, outcome, self.error is not None):
            settle_one(future, outcome)

    def _begin(self) -> None:
        given_up = lambda: self._doomed or monotonic() > self.begin_by  # noqa: E731
        try:
            self.session.begin_in_turn(self.foreign_keys, durable=self.durable, given_up=given_up)
        except BaseException as error:
            self._end_here(not_begun(self, error))
            if self.error is None:  # it was rolled back while it waited for the file
                self.check()
            raise copy_error(error) from None
        self._is_open = True
        self.begun_at = now = monotonic()
        self._connection.alarm = (now + self._max_hold + _LEFT_TO_LOOP, self._expire_here)

    def write_here(self, operation: Operation[R], subject: object, arguments: object, _: object = None) -> R:
        book = self.session.book
        known = book.known.get(subject) if isinstance(subject, str) and not book.news else None
        # Of one row nothing stays where it fails (rule 3); a savepoint would cost half a write.
        is_undone = known is not None and known.follows and operation in _NO_SAVEPOINT
        return self.run_here(run if is_undone else run_in_savepoint, operation, subject, arguments)

    def run_here(self, run_it: Callable[..., R], operation: Operation[R], subject: object, arguments: Any) -> R:
        """Inside a step: a write verb, as ``run_it`` runs it: ``run``, or one that undoes what fails."""
        session = self.session
        self.write_errors += 1
        try:
            result = run_it(session, operation, subject, arguments)
        except BaseException as error:
            spoilt = run_it is run and may_have_stayed(session, error, str(subject), arguments)
            try:
                culprit = culprit_of(session, error, subject, 0, spoilt=spoilt)
            except Spoilt as lost:
                _, culprit, _, is_ours = lost.args
                annotate(culprit, subject, max_value_bytes=session.max_value_bytes)
                self._lose(stop_if_corrupt(self, culprit) if is_ours else culprit)
            raise culprit from culprit.__cause__
        self.write_errors -= 1
        self.writes += 1
        return result

    def _lose(self, culprit: BaseException) -> None:
        """Rule 3: an earlier step can't be run again, and so the transaction is gone."""
        lost = TransactionLost(
            f"the transaction is gone, nothing of it was applied: an earlier step lost it ({culprit})"
        )
        lost.__cause__ = culprit
        self._end_here(lost)

    def _end_here(self, error: BaseException) -> None:
        """Before the loop hears of it: all other processes would wait until it does."""
        if not self._doomed:
            self.error, self._doomed = self.error or error, True
        with suppress(sqlite3.Error):  # tried again by _finish
            self._end(commit=False)
        self._checkpointer.end_turn()
        self._checkpointer.after_batch()

    def _expire_here(self) -> None:
        """The loop is blocked, or it had done so."""
        error = held_too_long(self.holder, self._max_hold)
        self._end_here(error)
        self._connection.deliver(self._abort, error)

    def _finish(self, commit: bool) -> None:
        outcome: object = None
        try:
            self._end(commit)
        except BaseException as error:
            outcome = Failure(error)
        self._checkpointer.end_turn()
        self._connection.deliver(self._finished, outcome)
        self._checkpointer.after_batch()

    def _end(self, commit: bool) -> None:
        self._connection.alarm = None
        # Before it is asked for an error: who sets one, and then finds no COMMIT under way, can say that none will be.
        self.committing = commit and self._is_open
        try:
            if self._is_open and (not commit or self.error is not None):
                self.session.rollback()
                self._is_open = False
            if commit and self.error is not None:
                raise copy_error(self.error)
            if self._is_open:
                self._is_open = False
                do_commit(self.session, self)
                self.is_committed = True
                if (recorder := self.session.recorder).is_observed:
                    recorder.held_committed(self, self.session.connection.tables_written(), self.begun_at)
        finally:
            self.committing = False
        if self.is_committed and self.flush_after:
            flush(self.session, self)


#: Its future resolves when the writer is its own.
HOLD: Operation[Hold] = Operation("transaction", lambda session, hold, _: hold, lends=True)
