"""How a query runs on a connection's thread. A Fetch gets the connection, the SQL or function, and its arguments."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, TypeVarTuple  # Any: a column may hold anything

from ...database import Params
from ...errors import ForbiddenStatement, ReadTimeout
from ...values import Row
from ..common.errors import NotAQuery
from ..connection.error_notes import annotate
from ..connection.guarded import GuardedConnection

__all__ = [
    "ALL",
    "FIRST",
    "FUNCTION_READ",
    "FUNCTION_WITHIN",
    "VALUE",
    "VERBS",
    "Fetch",
    "answer",
    "begin_snapshot",
    "execute_query",
    "explain_read",
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


def read_timeout(timeout: float, *, started: bool) -> ReadTimeout:
    state = "its query was interrupted" if started else "it was still waiting for a reader"
    return ReadTimeout(f"a read took longer than timeout={timeout} s: {state}", started=started, applied=False)
