"""Group commit: many jobs, one hop to the writer's thread, one transaction.

Theory of operation
===================

``run_batch`` gets the jobs that waited and returns one outcome a job, in order. Its rules:

1.  Jobs run in the order in which they came, in ONE transaction, and have an outcome only after its COMMIT returned.
2.  A job that is one statement needs no savepoint (one costs half a write): SQLite undoes most failed statements
    itself. Any other job runs inside one. Even a batch of one statement has its BEGIN and COMMIT, unless it is as
    plain as in rule 8: in autocommit, OR FAIL commits the rows before the failing one in spite of the error.
3.  A failed statement has *spoilt* the transaction where its rows stayed (OR FAIL, RAISE(FAIL): ``total_changes``
    moved) or may have stayed (of one that inserts more than a row: all errors except a constraint's, see ``is_undone``;
    a trigger that fails halfway, see bytecode.py), and where it took the transaction with it (OR ROLLBACK, out of
    memory, an interrupt). So has a job with a savepoint that can't be closed. The transaction is rolled back and cut in
    three, which run again one after another: the jobs before it, the culprit alone, the jobs after it. So the culprit
    fails alone, and the order is kept.
4.  Where COMMIT refuses the content (a deferred foreign key), the batch is halved until the culprit is known.
5.  A full disk or an I/O error is no job's fault: all fail, nothing runs again. (A full disk where a table is
    AUTOINCREMENT is like rule 3: one out of rowids reports the same.) If it struck during COMMIT, the frames may come
    back at a restart; a further small commit that succeeds settles that they won't. If that fails too, the outcome is
    unknown and the writer stops. It also stops on corruption and when the file was replaced.
6.  After about ``budget`` seconds a batch ends where it is; the jobs that were not reached have no outcome and
    run in the next one. No caller waits long for the writer, and other processes get their turn.
7.  A run of one insert, many parameters, is the usual batch of many agents (runs.py). If its rowids must follow one
    another (bytecode.py), then behind the first of them, which has its rowid, the rest runs by statements of many rows,
    at a third of the price, or by ``executemany``. That the rowids did follow is checked; if not, the range runs again,
    one by one. A statement of many rows that fails and leaves nothing (rule 3) is run by ``executemany``, which finds
    the culprit; and once a job has failed, the rest of the batch is. Where one may have left something, all runs again,
    and its text never so. ``write_many`` is such a run, in one job.
8.  Where one such insert is all that waits, the writes of a lone caller, it runs in autocommit, if it is one row and
    its keys, with no trigger, no row that makes way and no user's function (bytecode.py): nothing of it can stay.
    It must be the very program that was looked at: while it runs nothing may be compiled, so that where the schema has
    changed it fails, and runs again in a transaction, as it does after any error that surely left nothing. (Without it
    the thread spends 18 us on such a job, with it 14.)

Source of the errors' effects: https://www.sqlite.org/lang_transaction.html (response to errors within a
transaction), https://www.sqlite.org/lang_conflict.html, and the tests in tests/sqlite/test_batch.py.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from time import monotonic

from ...concurrency.job import Failure, WriteJob, copy_error
from ...database import Params
from ...errors import AiomemdbError, CommitOutcomeUnknown, DatabaseReplaced, LockTimeout, WriterCrashed
from ..common.codes import is_corruption, is_doubtful, is_no_jobs_fault, is_undone, primary_code
from ..connection.error_notes import annotate
from .operations import WRITE, run, run_in_savepoint, write_each
from .runs import runs_of
from .session import Session, TransactionSpoilt
from .statements import Astray

__all__ = [
    "BATCH_SECONDS",
    "Batch",
    "Spoilt",
    "culprit_of",
    "do_commit",
    "flush",
    "may_have_stayed",
    "not_begun",
    "not_flushed",
    "run_batch",
    "stop_if_corrupt",
    "take_turn",
]

BATCH_SECONDS = 0.005


class Batch:
    """The jobs of one hop and what became of them; filled by ``run_batch`` on the writer's thread.

    Attributes:
        jobs: as they were taken from the queue.
        outcomes: one for each of the first jobs, a result or a Failure; appended only after their COMMIT.
        failed: whether any outcome is a Failure.
        splits: how often a transaction was rolled back to find a culprit.
        committing: a COMMIT is under way; if the thread dies now, the outcome is unknown.
        fatal: why the writer must stop, or None.
        has_left: a caller may have left before it had its turn.
        lock_timeout: it waited for another program's lock in vain, or None.
        on_wanted: called where a job is enqueued behind it, or None.
        was_idle: it has ended because it asked for nothing.
    """

    # Of the class until they change: a batch of one job is made 0.2 us sooner.
    failed: bool = False
    splits: int = 0
    committing: bool = False
    fatal: AiomemdbError | None = None
    has_left: bool = False
    lock_timeout: LockTimeout | None = None
    on_wanted: Callable[[], object] | None = None
    was_idle: bool = False

    def __init__(self, jobs: Sequence[WriteJob], *, durable: bool = False) -> None:
        self.jobs: Sequence[WriteJob] = jobs
        self.durable: bool = durable
        self.outcomes: list[object] = []

    def leave_out_left(self) -> None:
        """Drops the jobs of callers that left while it waited for its turn: they never run."""
        self.jobs = [job for job in self.jobs if not job[0].done()]

    def let_go(self) -> None:
        """Once it has settled: an idle writer, its task and its thread, keep nothing of what it ran last."""
        self.outcomes.clear()
        if isinstance(self.jobs, list):
            self.jobs.clear()

    def _fail(self, count: int, error: BaseException, max_value_bytes: int) -> None:
        """The next jobs fail: each with an error of its own, and a note of its own SQL."""
        self.failed = True
        done = len(self.outcomes)
        for _, _, subject, _ in self.jobs[done : done + count]:
            own = error if count == 1 else copy_error(error)
            self.outcomes.append(Failure(annotate(own, subject, max_value_bytes=max_value_bytes)))


class Spoilt(Exception):
    """Rule 3: (the culprit's place in its range, its error, whether the transaction was lost, whether the error is of
    our file).
    """


class _Refused(Exception):
    """Rule 4: (index behind the last job that was reached, the error of COMMIT)."""


class _Broken(Exception):
    """Rule 5: (the error,)."""


def take_turn(session: Session, batch: Batch) -> bool:
    """Waits for the batch's turn among the processes; reports whether it came. If not, all its jobs have failed."""
    try:
        session.take_turn()
    except AiomemdbError as error:
        batch._fail(len(batch.jobs), not_begun(batch, error), session.max_value_bytes)
        return False
    return True


def run_batch(session: Session, batch: Batch, *, budget: float = BATCH_SECONDS) -> None:
    """In a turn: runs the jobs of a batch; see the theory of operation above. Raises nothing that a job could cause."""
    if len(batch.jobs) == 1 and _run_in_autocommit(session, batch):
        return
    deadline = monotonic() + budget
    # Ranges of jobs that share a transaction, the next one last; (start, stop).
    ranges = [(0, len(batch.jobs))] if batch.jobs else []
    while ranges:
        start, stop = ranges.pop()
        size = stop - start
        try:
            done = _run_range(session, batch, start, stop, deadline)
        except Spoilt as spoilt:
            at, cause, *_ = spoilt.args
            culprit = start + at
            if size == 1:
                batch._fail(1, cause, session.max_value_bytes)
                continue
            batch.splits += 1
            parts = [(culprit + 1, stop), (culprit, culprit + 1), (start, culprit)]
            ranges.extend(part for part in parts if part[0] < part[1])
        except _Refused as refused:
            reached, refusal = refused.args
            batch.splits += 1
            if reached < stop:
                ranges.append((reached, stop))
            if reached - start == 1:
                batch._fail(1, refusal, session.max_value_bytes)
            else:
                middle = (start + reached) // 2
                ranges.extend([(middle, reached), (start, middle)])
        except Astray:
            batch.splits += 1
            ranges.append((start, stop))
        except _Broken as broken:
            batch._fail(len(batch.jobs) - start, broken.args[0], session.max_value_bytes)
            return
        else:
            if done < size:
                if not ranges:
                    return  # rule 6
                ranges.append((start + done, stop))


def _run_in_autocommit(session: Session, batch: Batch) -> bool:
    """Rule 8: runs the only job, if it needs no transaction around it; reports whether it ran or failed for good."""
    [(_, operation, subject, arguments)] = batch.jobs
    sql, cursor, connection = session.autocommit_sql, session.cursor, session.connection
    if sql is None or subject is not sql or operation is not WRITE or batch.durable:
        return False
    began = monotonic() if (is_observed := session.recorder.is_observed) else 0.0
    changes = connection.total_changes
    batch.committing = True
    try:
        session.autocommit(sql, arguments)
    except BaseException as error:  # a parameter may raise anything
        is_replaced = isinstance(error, DatabaseReplaced)
        if connection.total_changes != changes and not is_replaced:
            raise  # it has committed, and must not run again
        failure = failed_commit(session, batch, error, 1) if is_replaced or is_doubtful(error) else None
        batch.committing = False
        if failure is not None:
            batch._fail(1, failure.args[-1], session.max_value_bytes)
        return failure is not None
    batch.committing = False
    batch.outcomes.append(cursor.lastrowid if cursor.rowcount else None)
    if is_observed:
        known = session.book.known.get(sql)
        tables = known.tables if known is not None and known.is_plain else None
        session.recorder.committed([batch.jobs[0][0]], tables, began)
    return True


def _run_range(session: Session, batch: Batch, start: int, stop: int, deadline: float) -> int:
    """Runs these jobs in one transaction and commits it; returns the number of jobs that were reached."""
    outcomes: list[object] = []
    began = monotonic()
    try:
        session.begin(durable=batch.durable)
    except (AiomemdbError, sqlite3.Error) as error:
        raise _Broken(not_begun(batch, error)) from None
    try:
        # A wait for another program's lock is not work: a batch that had to wait is not to be cut short as well.
        failed = _run_jobs(session, batch.jobs[start:stop], deadline + monotonic() - began, outcomes)
    except Spoilt as spoilt:
        # A row of RETURNING that can't be decoded is left unread: no savepoint beside it. (For an empty text Python
        # 3.12 would raise the latest error once more.)
        session.book.clear_cursor()
        session.rollback()
        _, cause, lost, ours = spoilt.args
        if (lost and is_no_jobs_fault(session.connection, cause)) or (ours and is_corruption(cause)):
            raise _Broken(stop_if_corrupt(batch, cause)) from None
        raise
    except Astray:
        session.rollback()
        raise
    batch.committing = True
    try:
        session.commit()
    except (sqlite3.Error, DatabaseReplaced) as error:
        failure = failed_commit(session, batch, error, start + len(outcomes))
        batch.committing = False
        raise failure from None
    batch.committing = False
    batch.failed |= failed
    batch.outcomes += outcomes
    if session.recorder.is_observed:
        jobs = [job[0] for job in batch.jobs[start : start + len(outcomes)]]
        session.recorder.committed(jobs, session.connection.tables_written(), began)
    return len(outcomes)


def not_begun(batch: Batch, error: BaseException) -> BaseException:
    if isinstance(error, LockTimeout):
        batch.lock_timeout = error
    elif isinstance(error, DatabaseReplaced):
        batch.fatal = error
    return stop_if_corrupt(batch, error)


def _run_jobs(session: Session, jobs: Sequence[WriteJob], deadline: float, outcomes: list[object]) -> bool:
    """Runs jobs inside the open transaction until all are done or time is up; returns whether any failed."""
    guard, alone, failed, is_over = session.connection.guard, len(jobs) == 1, False, False
    guard.clear()
    for operation, subject, arguments in runs_of(jobs, WRITE):
        while arguments and not is_over:
            reached = len(outcomes)
            try:
                if operation is not WRITE:
                    run_job = run if alone or operation.single else run_in_savepoint
                    outcomes.append(run_job(session, operation, subject, arguments[0]))
                else:
                    write_each(session, subject, arguments, outcomes, deadline, at_once=not failed)
            except Astray:
                raise
            except BaseException as error:
                params = arguments[len(outcomes) - reached]
                spoilt = alone or (operation.single and may_have_stayed(session, error, subject, params))
                outcomes.append(Failure(culprit_of(session, error, subject, len(outcomes), spoilt=spoilt)))
                failed = True
            arguments = arguments[len(outcomes) - reached :]
            is_over = monotonic() > deadline
        if is_over:
            break
    if alone and not failed and operation is WRITE:
        session.allow_autocommit(subject, jobs[0][3])
    return failed


def may_have_stayed(session: Session, error: BaseException, sql: str, params: Params) -> bool:
    """Whether rows of a statement that failed may be in the open transaction (rule 3)."""
    if session.connection.total_changes != session.changes_before:
        return True
    known = session.book.get(sql) if isinstance(sql, str) else None
    if known is not None and (known.follows or known.is_query):  # one row, or none
        return False
    if not is_undone(error):
        return True
    return primary_code(error) == sqlite3.SQLITE_CONSTRAINT and session.book.fails_halfway(sql, params)


def culprit_of(session: Session, error: BaseException, subject: object, index: int, *, spoilt: bool) -> BaseException:
    """The error for the caller of a job that failed, if the transaction can go on without that job.

    Raises:
        Spoilt: it can't (rule 3).
    """
    guard = session.connection.guard
    session.connection.forget_error()
    culprit = error.args[0] if isinstance(error, TransactionSpoilt) else guard.explain(error)
    guard.clear()
    lost = not session.connection.in_transaction
    # A function may have met it in a file of its own.
    ours = not callable(subject) or session.connection.raised is error
    session.connection.raised = None
    if spoilt or lost or isinstance(error, TransactionSpoilt) or (ours and is_corruption(culprit)):
        raise Spoilt(index, culprit, lost, ours) from None
    return annotate(culprit, subject, max_value_bytes=session.max_value_bytes)


def do_commit(session: Session, batch: Batch) -> None:
    """Commits a batch that stayed open. Raises: what its COMMIT came to."""
    try:
        session.commit()
    except (sqlite3.Error, DatabaseReplaced) as error:
        raise failed_commit(session, batch, error, 1).args[-1] from None


def flush(session: Session, batch: Batch) -> None:
    """Forces what was just committed to stable storage."""
    try:
        session.begin(durable=True)
        do_commit(session, batch)
    except (AiomemdbError, sqlite3.Error) as error:
        raise not_flushed(error) from error


def not_flushed(why: object) -> AiomemdbError:
    return AiomemdbError(f"the transaction is committed, but may not be on stable storage yet: {why}", applied=True)


def failed_commit(session: Session, batch: Batch, error: BaseException, reached: int) -> _Refused | _Broken:
    """Rules 4 and 5: rolls back, and returns what is to be raised."""
    if isinstance(error, DatabaseReplaced):
        batch.fatal = error
        return _Broken(_unknown(error, f"committed, but {error}"))
    code = primary_code(error)
    if code == sqlite3.SQLITE_CONSTRAINT or code == sqlite3.SQLITE_BUSY:  # a foreign key; an open statement
        session.rollback()
        return _Refused(reached, error)
    settled = session.settle_failed_commit()
    session.note_failed_sync(error)
    # A full disk refused a write, and the frame that makes a commit valid is written last: it is not there.
    if settled or code == sqlite3.SQLITE_FULL:
        return _Broken(stop_if_corrupt(batch, error))
    batch.fatal = WriterCrashed(f"COMMIT failed ({error}) and its outcome could not be settled; reopen the database")
    return _Broken(_unknown(error, f"COMMIT failed: {error}; it may or may not be there after a restart"))


def _unknown(cause: BaseException, message: str) -> CommitOutcomeUnknown:
    unknown = CommitOutcomeUnknown(message)
    unknown.__cause__ = cause
    return unknown


def stop_if_corrupt(batch: Batch, error: BaseException) -> BaseException:
    if is_corruption(error):
        batch.fatal = WriterCrashed(f"the writer has stopped: {error}; restore the file from a backup")
        batch.fatal.__cause__ = error
    return error
