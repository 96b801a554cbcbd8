"""How a query runs on a connection's thread. A Fetch gets the connection, the SQL or function, and its arguments."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeAlias, TypeVar, TypeVarTuple  # Any: a column may hold anything
from weakref import ref

from ...concurrency.job import Failure
from ...database import Params
from ...errors import ForbiddenStatement, ReadTimeout
from ...values import Row
from ..common.codes import primary_code
from ..common.errors import NotAQuery
from ..connection.error_notes import annotate
from ..connection.guarded import GuardedConnection
from ..file.busy import retry_while_busy

__all__ = [
    "ALL",
    "FIRST",
    "FUNCTION_READ",
    "FUNCTION_WITHIN",
    "SOME",
    "VALUE",
    "VERBS",
    "Fetch",
    "Found",
    "Wanted",
    "answer",
    "begin_snapshot",
    "execute_query",
    "explain_read",
    "failure_of",
    "find_some",
    "read_timeout",
]

S = TypeVar("S")
A = TypeVar("A")
R = TypeVar("R")
Ts = TypeVarTuple("Ts")

#: From the SQL or the function, and its arguments.
Fetch: TypeAlias = Callable[[GuardedConnection, S, A], R]

_MAY_BE_PRAGMA = re.compile("pragma", re.IGNORECASE)


def execute_query(on: GuardedConnection | sqlite3.Cursor, sql: str, params: Params) -> sqlite3.Cursor:
    if not isinstance(sql, str):
        raise TypeError(f"sql must be a str, not {type(sql).__name__}")
    cursor = on.execute(sql, params)
    if cursor.description is None:
        raise NotAQuery("a read verb takes one query: this SQL is empty or returns no rows")
    return cursor


def _look_if_pragma(raw: GuardedConnection, sql: str) -> bool:
    """Brings the schema in memory up to date if this may be a PRAGMA; returns whether it may be.

    Those that list (``foreign_key_list``, ``index_info``, …) answer from it, and compare it with the file's only where
    they find something.
    """
    is_pragma = _MAY_BE_PRAGMA.search(sql) is not None
    if is_pragma:
        raw.look_at_schema()
    return is_pragma


def explain_read(raw: GuardedConnection, error: BaseException, subject: object) -> BaseException:
    """The error to hand to the caller of a read verb; the connection has forgotten it then."""
    raw.forget_error()
    explained = annotate(raw.guard.explain(error), subject)
    if getattr(explained, "sqlite_errorcode", None) == sqlite3.SQLITE_READONLY:
        instead = "write_fn()" if callable(subject) else "write(), write_count(), write_returning() or write_script()"
        explained.add_note(f"a read verb can't write: use {instead}")
    return explained


def ALL(raw: GuardedConnection, sql: str, params: Params) -> list[Row]:
    try:
        rows: list[Row] = execute_query(raw.asking, sql, params).fetchall()
        if not rows and _look_if_pragma(raw, sql):
            rows = execute_query(raw.asking, sql, params).fetchall()
        return rows
    except BaseException:
        raw.renew_asking()
        raise


def FIRST(raw: GuardedConnection, sql: str, params: Params) -> Row | None:
    row = _first(raw, sql, params)
    if row is None and _look_if_pragma(raw, sql):
        row = _first(raw, sql, params)
    return row


def _first(raw: GuardedConnection, sql: str, params: Params) -> Row | None:
    cursor = execute_query(raw, sql, params)
    row: Row | None = cursor.fetchone()
    cursor.close()  # an unfinished statement would keep its snapshot, and the log with it
    return row


def VALUE(raw: GuardedConnection, sql: str, params: Params) -> Any:
    row = FIRST(raw, sql, params)
    return None if row is None else row[0]


class Wanted(NamedTuple):
    """How ``SOME`` is to answer: ``at_most`` rows, or all; texts as ``text_factory`` makes them."""

    params: Params
    at_most: int | None
    text_factory: Callable[[bytes], object]


class Found(NamedTuple):
    """Rows as plain tuples; ``cursor`` has more. No columns: it was no query."""

    columns: tuple[str, ...] | None
    rows: list[tuple[object, ...]]
    cursor: sqlite3.Cursor | None


def find_some(raw: GuardedConnection, sql: str, wanted: Wanted) -> Found:
    """The first rows of a query; where there are more than wanted at once, its cursor stays open."""
    params, at_most, text_factory = wanted
    cursor = raw.cursor()
    cursor.row_factory = None
    raw.text_factory = text_factory
    try:
        cursor.execute(sql, params)
        if cursor.description is None:
            return Found(None, [], None)
        columns = tuple([column[0] for column in cursor.description])
        rows = cursor.fetchall() if at_most is None else cursor.fetchmany(at_most + 1)
        if not rows and _look_if_pragma(raw, sql):
            rows = cursor.execute(sql, params).fetchall()
        elif at_most is not None and len(rows) > at_most:
            raw.noted.append(ref(cursor))
            return Found(columns, rows, cursor)
        return Found(columns, rows, None)
    except BaseException:
        cursor.close()
        raise
    finally:
        raw.text_factory = str


def SOME(raw: GuardedConnection, sql: str, wanted: Wanted) -> Found | None:
    """All rows, if there are so few; None: there are more."""
    found = find_some(raw, sql, wanted)
    if found.cursor is None:
        return found
    raw.close_noted()
    return None


def begin_snapshot(raw: GuardedConnection) -> None:
    raw.own("BEGIN")
    raw.look_at_schema()  # a snapshot is taken at the first SELECT, not at BEGIN


def FUNCTION_READ(raw: GuardedConnection, function: Callable[[sqlite3.Connection, *Ts], R], arguments: tuple[*Ts]) -> R:
    """One snapshot throughout, whatever the function does."""
    try:
        begin_snapshot(raw)
        return FUNCTION_WITHIN(raw, function, arguments)
    finally:
        raw.roll_back()


def FUNCTION_WITHIN(
    raw: GuardedConnection, function: Callable[[sqlite3.Connection, *Ts], R], arguments: tuple[*Ts]
) -> R:
    """In the snapshot or transaction that is open; nothing that the function leaves behind outlasts it."""
    try:
        return raw.run_function(function, arguments)
    finally:
        raw.close_noted()


#: The verb of each.
VERBS: Mapping[Callable[..., object], str] = {
    ALL: "read",
    SOME: "read",
    FIRST: "read_one",
    VALUE: "read_value",
    FUNCTION_READ: "read_fn",
    FUNCTION_WITHIN: "read_fn",
}


def answer(raw: GuardedConnection, fetch: Fetch[S, A, R], subject: S, arguments: A) -> R:
    guard = raw.guard
    guard.clear()
    try:
        result = fetch(raw, subject, arguments)
    except BaseException as error:
        raise explain_read(raw, error, subject) from None
    if guard.denied is not None:  # and a function swallowed it
        raise ForbiddenStatement(guard.denied)
    return result


def failure_of(
    raw: GuardedConnection,
    fetch: Fetch[S, A, R],
    subject: S,
    arguments: A,
    error: BaseException,
    lock_timeout: float,
    path: object,
) -> R | Failure:
    """What a query comes to that has failed: it is tried again while another program recovers the log, or has the file
    for itself.
    """
    if primary_code(error) == sqlite3.SQLITE_BUSY:  # no caller is to see "database is locked"
        try:
            raw.guard.clear()
            return retry_while_busy(lambda: fetch(raw, subject, arguments), lock_timeout, path)
        except BaseException as later:
            error = later
    explained = explain_read(raw, error, subject)
    raw.guard.clear()
    return Failure(explained)


def read_timeout(timeout: float, *, started: bool) -> ReadTimeout:
    state = "its query was interrupted" if started else "it was still waiting for a reader"
    return ReadTimeout(f"a read took longer than timeout={timeout} s: {state}", started=started, applied=False)
