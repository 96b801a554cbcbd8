"""What each verb does on the writer's thread, inside the open transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic
from typing import TypeVar, TypeVarTuple

from ...concurrency.job import Operation
from ...database import Params
from ...errors import AiomemdbError, ForbiddenStatement
from ...values import Result, Row
from ..common.errors import NotAQuery
from ..connection.script import check_text, first_word, may_change_rows, split_script
from .many_rows import FEWEST
from .runs import run_rows
from .session import Session, TransactionSpoilt
from .slow import SLOW_FUNCTION
from .statements import Astray, Mark, Statement, refused

__all__ = [
    "ANY",
    "COUNT",
    "FLUSH",
    "FUNCTION",
    "FUNCTION_ONCE",
    "MANY",
    "RETURNING",
    "SCRIPT",
    "WRITE",
    "run",
    "run_and_keep",
    "run_in_savepoint",
    "write_each",
    "write_marked",
]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_BLOCK = 64  # rows of a run, between two looks at the clock


def write(session: Session, sql: str, params: Params) -> int | None:
    """One statement; returns the rowid that it inserted. A simple one that is known is run as it is."""
    book, cursor = session.book, session.cursor
    known = book.known.get(sql) if sql.__class__ is str else None
    if known is not None and known.is_simple and not book.news:
        session.changes_before = session.connection.total_changes
        cursor.execute(sql, params)
        if book.news:  # it was compiled, perhaps for another schema
            return book.rowid(sql, params, Mark(None, False), _count(session, sql))
        return cursor.lastrowid if cursor.rowcount and known.inserts != "nothing" else None
    return write_marked(session, sql, params)


def write_marked(session: Session, sql: str, params: Params) -> int | None:
    """As ``write``, whatever it is: the latest rowid is marked before."""
    book = session.book
    session.changes_before = session.connection.total_changes
    known = book.known.get(sql) if sql.__class__ is str else None
    if known is not None and known.is_query:
        raise refused()
    mark = book.mark(sql, params)
    try:
        _execute(session, sql, params)
        return book.rowid(sql, params, mark, _count(session, sql))
    finally:
        _put_back(session, mark)


def write_any(session: Session, sql: str, params: Params) -> Result:
    """Any one statement, a query too; returns all that it did."""
    book, cursor = session.book, session.cursor
    mark = book.mark(sql, params)
    session.changes_before = session.connection.total_changes
    try:
        cursor.execute(sql, params)
        columns = tuple(column[0] for column in cursor.description or ())
        rows = cursor.fetchall() if columns else []
        count = _count(session, sql)
        return Result(columns, rows, book.rowid(sql, params, mark, count), count)
    finally:
        _put_back(session, mark)


def write_count(session: Session, sql: str, params: Params) -> int:
    """One statement; returns the number of rows that it changed."""
    check_text(sql)
    _execute(session, sql, params)
    return _count(session, sql)


def write_returning(session: Session, sql: str, params: Params) -> list[Row]:
    check_text(sql)
    cursor = session.cursor
    cursor.execute(sql, params)
    if cursor.description is None:  # but it has run, and total_changes do not tell where it was DDL or a PRAGMA
        raise TransactionSpoilt(NotAQuery("write_returning() needs a statement with RETURNING; use write()"))
    return cursor.fetchall()


def _execute(session: Session, sql: str, params: Params) -> None:
    """Runs one statement to its end.

    Raises: ForbiddenStatement: it is a query. (RETURNING, EXPLAIN and PRAGMAs return rows too.)
    """
    cursor = session.cursor
    session.changes_before = session.connection.total_changes
    cursor.execute(sql, params)
    if cursor.description is None:
        return
    if first_word(sql) in ("SELECT", "VALUES", "WITH"):
        known = session.book.of(sql, params)
        if known is not None and known.is_query:
            session.book.clear_cursor()  # its rows are not wanted
            raise refused()
    cursor.fetchall()  # rows of RETURNING left unread would block the COMMIT


def _put_back(session: Session, mark: Mark) -> None:
    """Puts the latest rowid back, if it was moved. The rows that this takes are none of the statement's."""
    if mark.former is not None:
        changes = session.connection.total_changes
        session.book.put_back(mark.before, mark.former)
        session.changes_before += session.connection.total_changes - changes


def _count(session: Session, sql: str) -> int:
    """How many rows the statement that has just run on the cursor has changed."""
    changed = session.cursor.rowcount
    if changed >= 0:
        return changed
    # Of others changes() would be an earlier statement's, although FTS5 may write behind them what it has kept.
    if session.connection.total_changes == session.changes_before or not may_change_rows(sql):
        return 0
    [[counted]] = session.connection.own("SELECT changes()")
    return int(counted)


def write_each(
    session: Session, sql: str, params: Sequence[Params], rowids: list[object], deadline: float, *, at_once: bool
) -> None:
    """Writes of one text, one after another, until one fails or time is up: appends the rowid of each (rule 7).

    Args:
        at_once: many of them may be one statement, if they can.
    Raises:
        Astray: the rowids did not follow each other after all.
    """
    book, at, end = session.book, 0, len(params)
    latest: int | None = None
    while at < end:
        known = book.get(sql) if latest is not None and end - at > 1 else None
        if known is not None and latest is not None and known.follows:
            block = params[at : at + _BLOCK]
            done, error = _write_block(session, sql, known, block, latest, at_once=at_once)
            rowids.extend(range(latest + 1, latest + done + 1))
            latest, at = latest + done, at + done
            if error is not None:
                raise error
        else:
            latest = write(session, sql, params[at])
            rowids.append(latest)
            at += 1
        if monotonic() > deadline:
            return


def _write_block(
    session: Session, sql: str, known: Statement, rows: Sequence[Params], latest: int, *, at_once: bool
) -> tuple[int, BaseException | None]:
    """Inserts rows with the rowids behind ``latest``; returns how many ran, and the error of the next one."""
    book, connection = session.book, session.connection
    changes = connection.total_changes
    done, _, last, error = run_rows(session, sql, known if at_once else None, rows)
    if error is None or connection.in_transaction:
        last = latest if not done else book.last() if last is None else last
        if not done == connection.total_changes - changes == last - latest:
            book.keep(sql, replace(known, follows=False, is_plain=False, many=()))
            raise Astray from error
    session.changes_before = connection.total_changes
    return done, error


def write_many(session: Session, sql: str, rows: list[Params]) -> int:
    """One statement for each of the rows; returns the number of rows that they changed. The first one says what it
    is: a plain insert goes on by texts of many rows, in three quarters of the time.
    """
    check_text(sql)
    if not rows:
        return 0
    cursor, connection, remaining = session.cursor, session.connection, rows[1:]
    done = 0
    try:
        count = write_count(session, sql, rows[0])
        done = 1
        if cursor.description is not None or cursor.rowcount < 0:  # RETURNING, WITH: executemany counts none
            for done, params in enumerate(remaining, 1):  # noqa: B007
                count += write_count(session, sql, params)
            return count
        may_go = len(remaining) >= FEWEST and type(remaining[0]) is tuple
        ran, changed, _, error = run_rows(session, sql, session.book.of(sql, rows[0]) if may_go else None, remaining)
        done, count = 1 + ran, count + changed
        if error is not None:
            raise error
    except (AiomemdbError, Astray):
        raise
    except Exception as error:
        if len(rows) > 1 and connection.in_transaction:  # otherwise a text of many rows may have lost it
            error.add_note(f"in row {done + 1} of {len(rows)}")
        raise
    return count


def write_script(session: Session, sql: str, _: object) -> None:
    for number, statement in enumerate(split_script(sql), 1):
        try:
            session.connection.execute(statement)
        except Exception as error:
            text = statement.strip()
            error.add_note(f"in statement {number}: {text if len(text) <= 200 else text[:200] + '…'}")
            raise


def write_function(session: Session, function: Callable[[sqlite3.Connection, *Ts], R], arguments: tuple[*Ts]) -> R:
    began = monotonic()
    try:
        return session.connection.run_function(function, arguments)
    finally:
        took = monotonic() - began
        if took > SLOW_FUNCTION:
            session.slow.note(function, took)


def flush(_: Session, __: object, ___: object) -> None:
    """Does nothing, durably."""


def run_in_savepoint(session: Session, operation: Operation[R], subject: object, arguments: object) -> R:
    """Runs a job whole or not at all inside the open transaction.

    Raises:
        TransactionSpoilt: it can't be undone alone; the whole transaction must be rolled back.
        BaseException: the job's own error; the job is undone, the transaction goes on.
    """
    result = run_and_keep(session, operation, subject, arguments)
    try:
        session.release_savepoint()
    except sqlite3.Error as error:
        raise TransactionSpoilt(error) from None
    return result


def run_and_keep(session: Session, operation: Operation[R], subject: object, arguments: object) -> R:
    """As ``run_in_savepoint``, but where the job succeeds its savepoint stays open: it may still be undone."""
    session.open_savepoint()
    try:
        return run(session, operation, subject, arguments)
    except BaseException as error:
        try:
            session.undo_savepoint()
        except sqlite3.Error:
            raise TransactionSpoilt(error) from None
        if isinstance(error, TransactionSpoilt):
            raise error.args[0] from None
        if isinstance(error, Astray):
            return run_and_keep(session, operation, subject, arguments)
        raise


def run(session: Session, operation: Operation[R], subject: object, arguments: object) -> R:
    """Runs a job, and looks whether it kept to the rules.

    Raises:
        ForbiddenStatement: it tried what is forbidden, even if it swallowed the refusal.
        Astray: it is to run again.
        BaseException: its own error.
    """
    connection = session.connection
    guard = connection.guard
    session.changes_before = connection.total_changes
    guard.clear()
    try:
        result = operation.run(session, subject, arguments)
    except BaseException as error:
        explained = guard.explain(error)
        if explained is error:
            raise
        raise explained from explained.__cause__
    if guard.denied is not None:
        raise ForbiddenStatement(guard.denied)
    if not connection.in_transaction:
        raise ForbiddenStatement("the job ended the transaction that it ran in")
    return result


WRITE = Operation("write", write, single=True)
ANY = Operation("write_any", write_any, single=True)
COUNT = Operation("write_count", write_count, single=True)
RETURNING = Operation("write_returning", write_returning, single=True)
MANY = Operation("write_many", write_many)
SCRIPT = Operation("write_script", write_script)
FUNCTION = Operation("write_fn", write_function)
FUNCTION_ONCE = Operation("write_fn(once=True)", write_function, alone=True)
FLUSH = Operation("flush", flush)
