"""Runs: jobs of one text, one after another, and what executes many rows of one statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from operator import length_hint
from typing import Any, TypeAlias  # Any: what a caller passes as SQL may be anything

from ...concurrency.job import Operation, WriteJob
from ...database import Params
from ..common.codes import is_undone
from .many_rows import FEWEST
from .session import Session
from .statements import Astray, Statement

__all__ = ["Run", "run_rows", "runs_of"]


#: Jobs that differ in their arguments alone: (operation, subject, the arguments of each).
Run: TypeAlias = tuple[Operation[object], Any, list[Any]]


def runs_of(jobs: Iterable[WriteJob], joined: Operation[object]) -> Iterator[Run]:
    """Cuts jobs into runs, in their order: jobs that are ``joined`` share a run with a neighbour of the same text, any
    other job is one of its own.
    """
    before: Operation[object] | None = None
    text: object = None
    run: list[object] = []
    for _, operation, subject, arguments in jobs:
        # By identity: what a caller gave for SQL may be anything, with an == that raises or lies.
        if subject is text and operation is joined and before is joined:
            run.append(arguments)
        else:
            if before is not None:
                yield before, text, run
            before, text, run = operation, subject, [arguments]
    if before is not None:
        yield before, text, run


def run_rows(
    session: Session, sql: str, known: Statement | None, rows: Sequence[Params]
) -> tuple[int, int, int | None, BaseException | None]:
    """Runs a statement for each of these rows, until one fails: as many as go by texts of many rows, the rest one by
    one.

    Args:
        known: what the book says of it; None: all of them one by one.
    Returns: (how many ran, how many rows they changed, the latest rowid if it is at hand, the error of the next one).
    Raises:
        Astray: rows may have stayed of a text of many rows that failed; that statement will have none again.
    """
    connection, cursor = session.connection, session.cursor
    done = changed = 0
    if known is not None and known.many != () and len(rows) >= FEWEST:
        changes = connection.total_changes
        try:
            for count in _in_blocks(session, sql, known, rows):
                done, changed, changes = done + count, changed + cursor.rowcount, connection.total_changes
        except BaseException as error:
            if not connection.in_transaction:
                return done, changed, None, error
            connection.forget_error()
            if connection.total_changes != changes or not is_undone(error):
                session.book.keep(sql, replace(known, many=()))
                raise Astray from error
    if done == len(rows):
        return done, changed, cursor.lastrowid, None
    remaining = iter(rows[done:])
    try:
        cursor.executemany(sql, remaining)
    except BaseException as error:
        return len(rows) - length_hint(remaining) - 1, changed, None, error
    return len(rows), changed + max(cursor.rowcount, 0), None, None


def _in_blocks(session: Session, sql: str, known: Statement, rows: Sequence[Params]) -> Iterator[int]:
    """Runs as many as go by texts of many rows; yields the number of rows of each when it has run."""
    done = 0
    for many in session.book.many_rows(sql, known, len(rows)):
        while len(rows) - done >= many.rows:
            values = many.values(rows[done : done + many.rows])
            if values is None:
                return
            session.cursor.execute(many.text, values)
            yield many.rows
            done += many.rows
