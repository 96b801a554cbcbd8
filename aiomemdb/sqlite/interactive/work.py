"""The work of a transaction's calls: a statement, one of many parameter sets, a function; and the rest of a result."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, TypeVar, TypeVarTuple

from ...concurrency.job import Operation
from ...values import Result
from ..connection.guarded import GuardedConnection
from ..reading.queries import FUNCTION_WITHIN, Wanted, answer
from ..writing.operations import ANY
from .rows import Answer, TextFactory, Values
from .snapshots import Snapshot
from .texts import Kind, Text
from .writing import TooLarge, Writing

if TYPE_CHECKING:
    from .transaction import Transaction

__all__ = ["Reading", "Statement", "Verb", "answer_of"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class Statement:
    """One statement. ``begins``: where its caller leaves, the transaction ends, and so it need not be undone alone."""

    def __init__(self, transaction: Transaction, sql: str, text: Text, wanted: Wanted, *, begins: bool = False) -> None:
        self.writes: bool = text.writes
        self.only_reads: bool = text.kind is Kind.QUERY
        self.verb: str = "read" if self.only_reads else ANY.name
        self.subject: object = sql
        self._transaction = transaction
        self._sql = sql
        self._text = text
        self._wanted = wanted
        self._begins = begins

    def run(self, writing: Writing, raw: GuardedConnection) -> Answer:
        if not self.writes:
            found = writing.query(raw, self._sql, self._wanted, is_query=self.only_reads)
            if found is not None:
                rest = None
                if found.cursor is not None:
                    if writing.may_move() and not writing.has_written:
                        found.cursor.close()
                        raise TooLarge
                    rest = _RestOnWriter(self._transaction, found.cursor, self._wanted.text_factory)
                return Answer(found.columns, found.rows, rest=rest)
        result = writing.write(ANY, self._sql, self._wanted.params, is_kept=not self._begins)
        return answer_of(result, self._text, self._wanted.text_factory)

    async def ask(self, snapshot: Snapshot) -> Answer:
        return await snapshot.ask(self._sql, self._wanted)


class Verb(Generic[R]):
    """A write verb: of many parameter sets, a script, a function."""

    writes: bool = True
    only_reads: bool = False

    def __init__(self, operation: Operation[R], subject: object, arguments: object) -> None:
        self.verb: str = operation.name
        self.subject: object = subject
        self._operation = operation
        self._arguments = arguments

    def run(self, writing: Writing, raw: GuardedConnection) -> R:
        return writing.write(self._operation, self.subject, self._arguments, is_kept=True)

    async def ask(self, snapshot: Snapshot) -> R:
        raise AssertionError("it writes")


class Reading(Generic[R]):
    """A function that reads."""

    writes: bool = False
    only_reads: bool = True
    verb: str = "read_fn"

    def __init__(self, function: Callable[[sqlite3.Connection, *Ts], R], *arguments: *Ts) -> None:
        self.subject: object = function
        self._run: Callable[[GuardedConnection], R] = lambda raw: answer(raw, FUNCTION_WITHIN, function, arguments)

    def run(self, writing: Writing, raw: GuardedConnection) -> R:
        raw.own("PRAGMA query_only=1")
        try:
            return self._run(raw)
        finally:
            raw.end_query_only()

    async def ask(self, snapshot: Snapshot) -> R:
        return await snapshot.run(self._run, self.subject, self.verb)


class _RestOnWriter:
    """The rows of a query behind the first ones, of a transaction that keeps the writer."""

    def __init__(self, transaction: Transaction, cursor: sqlite3.Cursor, text_factory: TextFactory) -> None:
        self._transaction = transaction
        self._cursor = cursor
        self._text_factory = text_factory

    async def fetch(self, count: int) -> list[Values]:
        return await self._transaction.do(_Fetch(self._cursor, count, self._text_factory))

    def close(self) -> None:
        self._transaction.soon(_Close(self._cursor))


class _Fetch:
    writes: bool = False
    only_reads: bool = True
    verb: str = "read"
    subject: object = None

    def __init__(self, cursor: sqlite3.Cursor, count: int, text_factory: TextFactory) -> None:
        self._cursor = cursor
        self._count = count
        self._text_factory = text_factory

    def run(self, writing: Writing, raw: GuardedConnection) -> list[Values]:
        raw.text_factory = self._text_factory
        try:
            return self._cursor.fetchmany(self._count)
        except sqlite3.ProgrammingError as error:  # it was closed: a function has run, or a savepoint was undone
            raise sqlite3.OperationalError(
                "the rest of this result is gone: fetch all rows before the next statement"
            ) from error
        finally:
            raw.text_factory = str

    async def ask(self, snapshot: Snapshot) -> list[Values]:
        raise sqlite3.OperationalError("the rest of this result is gone: fetch all rows before the transaction ends")


class _Close:
    writes: bool = False
    only_reads: bool = False
    verb: str = "read"
    subject: object = None

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    def run(self, writing: Writing, raw: GuardedConnection) -> None:
        self._cursor.close()

    async def ask(self, snapshot: Snapshot) -> None:
        pass


def answer_of(result: Result, text: Text, text_factory: TextFactory) -> Answer:
    """What a statement did that was run to write."""
    if not result.columns:
        return Answer(None, (), result.rowid, result.count if text.kind is Kind.DML else result.count or -1)
    rows: list[Values] = [tuple(row) for row in result.rows]
    if text_factory is not str:
        rows = [tuple([text_factory(v.encode()) if isinstance(v, str) else v for v in row]) for row in rows]
    return Answer(result.columns, rows, result.rowid, result.count if text.kind is Kind.DML else result.count or -1)
