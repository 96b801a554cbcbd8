"""``InteractiveConnection``: what a program takes for a connection of its own, and many share one database.

Outside a transaction each statement is by itself: a query goes to a reader, and what writes is a job of the database,
batched with all others. SQLite says which it is: what the text does not say for certain is tried on a reader, where
nothing can be written. Inside a transaction the rule holds (transaction.py).

What a layer above does with it (the shape of aiosqlite's, a dialect of SQLAlchemy's)::

    connection = InteractiveConnection(db, timeout=5.0)
    answer = await connection.execute("SELECT …", (1,))      # outside: alone
    await connection.begin()                                   # nothing runs yet; IMMEDIATE waits for the writer
    answer = await connection.execute("UPDATE …", (1,))      # answer.columns .rows .rowid .count .rest
    connection.savepoint("a"); connection.rollback_to("a"); connection.release("a")
    await connection.commit()                                  # or rollback(), or abandon(), which awaits nothing
    await connection.close()

``BEGIN``, ``COMMIT``, ``SAVEPOINT`` and their like may come as text, too.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Iterable
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TypeVar, TypeVarTuple

from ...concurrency.job import Operation
from ...database import Params
from ..common.errors import read_only_error
from ..connection.arguments import checked_function, checked_params, checked_rows
from ..engine.database import SQLiteDatabase
from ..reading.queries import Wanted
from ..writing.operations import FUNCTION, MANY
from .controls import control
from .errors import ConnectionClosed, Ended
from .outside import Outside, known
from .pragmas import Preferences, answer_pragma
from .rows import Answer, TextFactory
from .rule import Mode, Rule, Work
from .savepoints import Savepoints
from .texts import Kind, Text, text_of
from .transaction import Transaction
from .work import Reading, Statement, Verb

__all__ = ["InteractiveConnection"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

_AT_ONCE = 1000  # rows


class InteractiveConnection:
    """One logical connection. It belongs to the loop of its database, and is made without I/O.

    Args:
        database: open; many connections share it.
        rule: the times of its transactions.
        foreign_keys: whether what it writes checks them; None: as the database does.

    Attributes:
        chosen: what PRAGMAs have set: ``chosen.timeout`` is how long a write waits for the writer.
        is_closed: it takes no calls.
    """

    def __init__(self, database: SQLiteDatabase, *, rule: Rule | None = None, foreign_keys: bool | None = None) -> None:
        self._database = database
        self._rule = rule or Rule()
        self._is_checking = bool(database._config.pragmas.get("foreign_keys", True))
        checks = self._is_checking if foreign_keys is None else foreign_keys
        self.chosen: Preferences = Preferences(timeout=self._rule.timeout, checks_foreign_keys=checks)
        self.is_closed: bool = False
        self._transaction: Transaction | None = None
        self._by_savepoint = False
        self._uses_temporary = False
        self._outside = Outside(database, self.chosen)

    def __repr__(self) -> str:
        return f"<InteractiveConnection {'closed' if self.is_closed else self._transaction or 'open'}>"

    def like(self, database: SQLiteDatabase) -> InteractiveConnection:
        """Another one, of another database, of the same preferences as this has now."""
        made = InteractiveConnection(database, rule=self._rule)
        made.chosen = copy(self.chosen)
        made._outside = Outside(database, made.chosen)
        return made

    @property
    def has_transaction(self) -> bool:
        """There is one to be ended, perhaps one that ended early and has not said so yet."""
        return self._transaction is not None

    @property
    def in_transaction(self) -> bool:
        return self._transaction is not None and self._transaction.is_open

    # Statements

    async def execute(
        self,
        sql: str,
        params: Params = (),
        *,
        begins: Mode | None = None,
        locks: bool = False,
        text_factory: TextFactory = str,
    ) -> Answer:
        """Runs one statement, whatever it is.

        Args:
            sql: it may be transaction control, too.
            params: a sequence for ``?`` or a mapping for ``:name``.
            begins: where no transaction is open this statement begins one, so.
            locks: SELECT … FOR UPDATE: it waits for the writer.
            text_factory: what makes of the bytes of a text what the row holds.

        Raises:
            sqlite3.OperationalError: "database is locked": see ``Transaction.do``. And, once, that the transaction was
                open for too long.
            ConnectionClosed: the connection was closed.
            Exception: what SQLite says; ``ForbiddenStatement``.

        Cancellation: as if it had not been called. The transaction that it begins ends.
        """
        text = text_of(sql)
        self._check()
        if text.kind is Kind.CONTROL:
            await control(self, text)
            return Answer()
        if text.kind is Kind.PRAGMA and (answer := await self._pragma(sql)) is not None:
            return answer
        if text.kind is Kind.NOTHING:
            return Answer()
        if text.is_temporary:
            self._use_temporary()
        wanted = Wanted(checked_params(params), _AT_ONCE, text_factory)
        while True:
            transaction = self._transaction
            is_new = transaction is None and begins is not None
            if is_new and begins is not None:
                transaction = self._make(begins)
            if transaction is None:
                if text.kind is Kind.DML and not (self._has_other_foreign_keys or self.chosen.query_only):
                    return await self._outside.write(sql, text, wanted)
                if text.kind is Kind.VACUUM:
                    await known(self._database.vacuum())
                    return Answer()
                return await self._alone(sql, text, wanted)
            work = Statement(transaction, sql, text, wanted, begins=is_new)
            try:
                return await self._do(transaction, work, locks=locks, begins=is_new)
            except Ended:
                continue  # while it waited for its turn: it is another one's, or none's

    def insert_soon(self, sql: str, params: object) -> Coroutine[object, None, Answer] | None:
        """As ``Outside.insert_soon``; None: ``execute`` it."""
        if self._transaction is not None or self.is_closed or self._has_other_foreign_keys or self.chosen.query_only:
            return None
        return self._outside.insert_soon(sql, params)

    async def _do(self, transaction: Transaction, work: Work[R], *, locks: bool = False, begins: bool = False) -> R:
        try:
            return await transaction.do(work, locks=locks)
        except BaseException as error:
            if begins and (isinstance(error, asyncio.CancelledError) or not transaction.has_begun):
                transaction.abandon()
            raise
        finally:
            self._drop_if_over(transaction)

    def _drop_if_over(self, transaction: Transaction) -> None:
        if transaction.is_over and self._transaction is transaction:
            self._transaction = None

    async def execute_many(self, sql: str, rows: Iterable[Params], *, begins: Mode | None = None) -> int:
        """Runs one statement for each of many parameter sets, all or nothing; returns how many rows they changed."""
        text = text_of(sql)
        self._check()
        if text.kind not in (Kind.DML, Kind.UNSURE):
            raise sqlite3.ProgrammingError("executemany() can only execute DML statements.")
        return await self._verb(MANY, sql, checked_rows(rows), begins=begins)

    async def run(self, fn: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts, begins: Mode | None = None) -> R:
        """Runs ``fn(conn, *args)`` on the writer's thread, all or nothing: see ``write_fn``."""
        self._check()
        return await self._verb(FUNCTION, checked_function(fn, "run"), args, begins=begins)

    async def _verb(self, operation: Operation[R], subject: object, arguments: object, *, begins: Mode | None) -> R:
        while True:
            transaction = self._transaction
            is_new = transaction is None and begins is not None
            if is_new and begins is not None:
                transaction = self._make(begins)
            if transaction is None and not self._has_other_foreign_keys:
                return await self._outside.job(operation, subject, arguments)
            work = Verb(operation, subject, arguments)
            if transaction is None:
                return await self._in_own(partial(_first, work))
            try:
                return await self._do(transaction, work, begins=is_new)
            except Ended:
                continue

    async def read(self, fn: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts) -> R:
        """Runs ``fn(conn, *args)`` where it can't write; it sees the state of the transaction, if one is open."""
        self._check()
        function = checked_function(fn, "read")
        while (transaction := self._transaction) is not None:
            try:
                return await self._do(transaction, Reading(function, *args))
            except Ended:
                continue
        return await known(self._database.read_fn(function, *args))

    # Outside a transaction

    async def _alone(self, sql: str, text: Text, wanted: Wanted) -> Answer:
        if not text.writes and not self._uses_temporary:
            answer = await self._outside.ask(sql, wanted, may_write=not self.chosen.query_only)
            if answer is not None:
                return answer
        if self.chosen.query_only and text.kind is not Kind.QUERY:
            raise read_only_error()
        if not self._has_other_foreign_keys:
            return await self._outside.write(sql, text, wanted)
        return await self._in_own(lambda transaction: Statement(transaction, sql, text, wanted))

    @property
    def _has_other_foreign_keys(self) -> bool:
        return self.chosen.foreign_keys is not self._is_checking

    async def _in_own(self, make_work: Callable[[Transaction], Work[R]]) -> R:
        """In a transaction of its own: PRAGMAs that hold for it can't be another's."""
        transaction = self._make(Mode.IMMEDIATE, is_shared=False)
        try:
            result = await transaction.do(make_work(transaction))
        except BaseException:
            transaction.abandon()
            raise
        await transaction.commit()
        return result

    def _use_temporary(self) -> None:
        """What is temporary lives on the writer's connection, and is to be read there."""
        self._uses_temporary = True
        if self._transaction is not None:
            self._transaction.keep_writer()

    # Transactions

    def _make(self, mode: Mode, *, is_shared: bool = True) -> Transaction:
        database, config = self._database, self._database._config
        if self.chosen.query_only:
            mode = Mode.READ_ONLY
        elif self._uses_temporary:
            mode = Mode.IMMEDIATE
        writer = None if config.read_only else database._writing()
        timeout, rule = self.chosen.timeout, self._rule
        rule = rule if timeout == rule.timeout else replace(rule, timeout=timeout)
        transaction = Transaction(writer, database._reading(), mode, rule, lock_timeout=config.lock_timeout)
        if self._has_other_foreign_keys:
            transaction.foreign_keys = self.chosen.foreign_keys
        if is_shared:
            self._transaction, self._by_savepoint = transaction, False
        return transaction

    async def begin(self, mode: Mode = Mode.DEFERRED) -> None:
        """Begins a transaction; only an IMMEDIATE one waits, for the writer.

        Raises: sqlite3.OperationalError: there is one; or "database is locked".
        """
        self._check()
        if self._transaction is not None:
            self._look_whether_lost(self._transaction)
            raise sqlite3.OperationalError("cannot start a transaction within a transaction")
        transaction = self._make(mode)
        if mode is not Mode.IMMEDIATE:
            return
        try:
            await transaction.begin_now()
        except BaseException:
            transaction.abandon()
            raise
        finally:
            self._drop_if_over(transaction)

    def _look_whether_lost(self, transaction: Transaction) -> None:
        try:
            transaction.check()
        finally:
            self._drop_if_over(transaction)

    async def commit(self) -> None:
        """Commits; where there is no transaction, nothing. It commits also where its caller is cancelled.

        Raises:
            sqlite3.OperationalError: it was open for too long, or has read what is no longer the latest: it is rolled
                back.
            Exception: what the COMMIT refuses, a deferred foreign key for one: it is rolled back.
        """
        self._check()
        transaction = self._transaction
        if transaction is not None:
            try:
                await transaction.commit()
            finally:
                self._drop_if_over(transaction)

    def commit_soon(self) -> None:
        """Commits, behind the calls before it; nothing is awaited."""
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.commit_soon()

    def interrupt(self) -> None:
        """Interrupts its statements that run, and no others. A job can't be: it shares its commit."""
        self._outside.interrupt()
        if self._transaction is not None:
            self._transaction.interrupt()

    async def rollback(self) -> None:
        """Rolls back; where there is no transaction, nothing. It does also where its caller is cancelled."""
        self._check()
        transaction = self._transaction
        if transaction is not None:
            try:
                await transaction.rollback()
            finally:
                self._drop_if_over(transaction)

    def savepoint(self, name: str) -> None:
        """Opens a savepoint; where there is no transaction, one begins that the savepoint's release commits."""
        self._check()
        if self._transaction is None:
            self._make(Mode.DEFERRED)
            self._by_savepoint = True
        assert self._transaction is not None
        self._look_whether_lost(self._transaction)
        self._transaction.savepoints.open(name)

    def rollback_to(self, name: str) -> None:
        """Raises: sqlite3.OperationalError: there is no such savepoint."""
        self._savepoints(name).roll_back_to(name)

    async def release(self, name: str) -> None:
        """Raises: sqlite3.OperationalError: there is no such savepoint."""
        savepoints = self._savepoints(name)
        is_all = self._by_savepoint and savepoints.is_outermost(name)
        if is_all:
            await self.commit()
        else:
            savepoints.release(name)

    def _savepoints(self, name: str) -> Savepoints:
        self._check()
        if self._transaction is None:
            raise sqlite3.OperationalError(f"no such savepoint: {name}")
        self._look_whether_lost(self._transaction)
        return self._transaction.savepoints

    async def _pragma(self, sql: str) -> Answer | None:
        is_full = self._database._config.durability == "full"
        answer = answer_pragma(sql, self.chosen, in_transaction=self.in_transaction, is_full=is_full)
        if answer == "optimize":
            await known(self._database.optimize())
            return Answer()
        if answer == "wal_checkpoint":
            is_whole = await known(self._database.checkpoint())
            return Answer(("busy", "log", "checkpointed"), [(int(not is_whole), -1, -1)])
        assert not isinstance(answer, str)
        return answer

    # The end

    def _check(self) -> None:
        if self.is_closed:
            raise ConnectionClosed("Connection closed")

    def abandon(self) -> None:
        """Rolls back what is open and closes it; nothing is awaited. On the loop."""
        self.is_closed = True
        transaction, self._transaction = self._transaction, None
        if transaction is not None:
            transaction.abandon()

    async def close(self) -> None:
        """Rolls back what is open, and takes no calls any more; the database stays open."""
        transaction = self._transaction
        try:
            if transaction is not None and not self.is_closed:
                await self.rollback()
        finally:
            self.abandon()


def _first(work: Work[R], _: object) -> Work[R]:
    return work
