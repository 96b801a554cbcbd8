"""A transaction that has the writer, and what of it runs on the writer's thread.

What has run can be taken back, as long as nothing has followed it: the savepoint of the latest statement stays open.
Savepoints of callers are opened and closed together with the statement that follows; so they take no hop of their own,
and no cancellation can meet one halfway. Each has the name of its depth.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Generic, Protocol, TypeVar

from ...concurrency.job import Operation
from ...concurrency.nesting import seen
from ...observing import AskedElsewhere
from ..connection.guarded import GuardedConnection
from ..reading.queries import Found, Wanted, answer, find_some
from ..writing.hold import Hold
from ..writing.operations import run_and_keep
from .errors import is_read_only
from .savepoints import Mark

__all__ = ["Step", "TooLarge", "Writing"]

R = TypeVar("R")


class TooLarge(AskedElsewhere):
    """The result is to be read on a snapshot: it would keep the writer for long."""


class Step(Generic[R]):
    """One call of a transaction on the writer's thread.

    Attributes:
        marks: what is to be done with savepoints before it.
        has_begun: it has run, or runs.
    """

    __slots__ = ("has_begun", "marks", "run")

    def __init__(self, run: Callable[[Writing, GuardedConnection], R], marks: list[Mark]) -> None:
        self.run: Callable[[Writing, GuardedConnection], R] = run
        self.marks: list[Mark] = marks
        self.has_begun: bool = False


class Told(Protocol):
    """See ``rule.Work``."""

    writes: bool
    verb: str
    subject: object


class Writing:
    """What one transaction does with the writer.

    Attributes:
        hold: the transaction of the core.
        has_written: a statement has written, or is about to.
        may_move: on any thread: whether it goes on as a snapshot, as long as it has only read.
    """

    def __init__(self, hold: Hold, *, may_move: Callable[[], bool]) -> None:
        self.hold: Hold = hold
        self.may_move: Callable[[], bool] = may_move
        self.has_written: bool = False
        self._is_kept = False  # the savepoint of the latest statement is open

    # On the loop

    def post(self, step: Step[R]) -> asyncio.Future[R]:
        """Raises: why the transaction takes no step any more."""
        return self.hold.step(partial(self._run, step), wanted_only=True)

    def tell(self, posted: asyncio.Future[R], work: Told, began: float | None) -> None:
        """An observer is told of a step. ``began``: None: there was none when it was asked."""
        recorder = self.hold.session.recorder
        if began is None or work.subject is None or not recorder.is_observed:
            return
        if work.writes:
            recorder.stepped(self.hold, posted, work.verb, work.subject, began)
        else:
            recorder.tell_read(posted, work.verb, work.subject, began)

    def take_back(self, step: Step[R], posted: asyncio.Future[R]) -> None:
        """The caller has left: it is as if the step had never been. Nothing is awaited."""
        posted.cancel()
        if self.hold.active:
            self.hold.step(partial(self._take_back, step)).add_done_callback(seen)

    # On the writer's thread

    def _run(self, step: Step[R], raw: GuardedConnection) -> R:
        step.has_begun = True
        self._follow(step.marks)
        return step.run(self, raw)

    def _follow(self, marks: list[Mark]) -> None:
        if marks:
            self._let_stand()
        for mark in marks:
            self.hold.session.keep_savepoint(mark.verb, mark.depth)

    def _let_stand(self) -> None:
        if self._is_kept:
            self._is_kept = False
            self.hold.session.let_stand()

    def _take_back(self, step: Step[R], _: GuardedConnection) -> None:
        if not step.has_begun:
            self._follow(step.marks)
        elif self._is_kept:
            self._is_kept = False
            self.hold.session.undo_savepoint()

    def query(self, raw: GuardedConnection, sql: str, wanted: Wanted, *, is_query: bool) -> Found | None:
        """Asks where nothing can be written; None: it would write. ``is_query``: the text says that it does not."""
        if is_query:
            return answer(raw, find_some, sql, wanted)
        raw.own("PRAGMA query_only=1")
        try:
            return answer(raw, find_some, sql, wanted)
        except sqlite3.OperationalError as error:
            if is_read_only(error):
                return None
            raise
        finally:
            raw.end_query_only()

    def write(self, operation: Operation[R], subject: object, arguments: object, *, is_kept: bool) -> R:
        """Writes. ``is_kept``: it can be taken back, until the next one."""
        has_written, self.has_written = self.has_written, True
        self._let_stand()
        try:
            if not is_kept:
                return self.hold.write_here(operation, subject, arguments)
            result = self.hold.run_here(run_and_keep, operation, subject, arguments)
        except Exception as error:
            if not has_written and isinstance(subject, str):
                self.has_written = has_run(self.hold.session.connection, subject, error)
            raise
        self._is_kept = True
        return result


def has_run(raw: GuardedConnection, sql: str, error: Exception) -> bool:
    """Whether a statement that failed had begun to run. Otherwise it was not compiled, or a value of it not bound: the
    error has no code of SQLite's, or it has one of those that compiling it once more shows.
    """
    code = getattr(error, "sqlite_errorcode", None)
    if code not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_AUTH):
        return code is not None
    try:
        raw.own(f"EXPLAIN {sql}")
    except sqlite3.ProgrammingError:  # it is compiled, and has no values here
        return True
    except sqlite3.Error:
        return False
    return True
