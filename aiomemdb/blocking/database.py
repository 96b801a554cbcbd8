"""The database for synchronous code: opened, closed, and what is no plain call; see ``verbs`` for the rest."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from ..concurrency.loop_thread import LoopThread
from ..config import checked_timeout
from ..database import Params
from ..familiar import DATABASE, HOLD, SNAPSHOT, TRANSACTION, Familiar
from ..sqlite.engine.database import SQLiteDatabase
from ..sqlite.engine.statistics import SQLiteStatistics
from ..sqlite.engine.transaction import SQLiteHold, SQLiteTransaction
from ..sqlite.reading.snapshot import SQLiteSnapshot
from .verbs import DatabaseVerbs, HoldVerbs, ReadVerbs, WriteVerbs
from .waiting import Block, Opened, RowStream, Stream, for_threads, in_synchronous_code

__all__ = ["Database", "Hold", "Snapshot", "Transaction"]


class Snapshot(ReadVerbs, Familiar):
    """The verbs inside ``with db.snapshot() as snap``: those of ``aiomemdb.SQLiteSnapshot``."""

    _familiar = in_synchronous_code(SNAPSHOT)
    _inner: SQLiteSnapshot

    def __init__(self, inner: SQLiteSnapshot, thread: LoopThread) -> None:
        self._inner, self._thread = inner, thread


class Transaction(WriteVerbs, ReadVerbs, Familiar):
    """The verbs inside ``with db.transaction() as tx``: those of ``aiomemdb.SQLiteTransaction``."""

    _familiar = in_synchronous_code(TRANSACTION)
    _inner: SQLiteTransaction

    def __init__(self, inner: SQLiteTransaction, thread: LoopThread) -> None:
        self._inner, self._thread = inner, thread

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractContextManager[Transaction]:
        """Nest a transaction, as a savepoint."""
        return _transaction(self, durable, timeout)

    def begin(self, *, durable: bool = False, timeout: float | None = None) -> Hold:
        """Nest a transaction by hand, as a savepoint."""
        return _begin(self, durable=durable, timeout=timeout)


class Hold(HoldVerbs, Transaction):
    """A transaction by hand, which ``begin()`` returns: the verbs of ``aiomemdb.SQLiteHold``."""

    _familiar = in_synchronous_code(HOLD)
    _inner: SQLiteHold

    @property
    def alive(self) -> bool:
        """Whether it takes steps: it was not ended, and did not end early."""
        return self._inner.alive

    @property
    def error(self) -> BaseException | None:
        """Why it ended early, or None."""
        return self._inner.error


class Database(Opened, DatabaseVerbs, WriteVerbs, ReadVerbs, Familiar):
    """One SQLite file, opened by ``aiomemdb.blocking.connect``: the verbs of ``aiomemdb.SQLiteDatabase``.

    Any thread may use it in which no event loop runs.
    """

    _familiar = in_synchronous_code(DATABASE)
    _inner: SQLiteDatabase

    def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        """Take no new job, run what is queued, and end all threads; the loop's too, if no other database uses it.

        A second call does nothing. See ``aiomemdb.SQLiteDatabase.close``.
        """
        checked_timeout(timeout)
        self._close(partial(self._inner.close, timeout, drain=drain))

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractContextManager[Transaction]:
        """Run several steps on the writer, which no other job uses meanwhile: ``with ... as tx``.

        The end of the block commits. An error that leaves the block rolls back, a Ctrl-C too. In its own thread a write
        on the database inside the block is ``ReentrancyError``; another thread's waits until the block has ended.
        See ``aiomemdb.Database.transaction``.
        """
        return _transaction(self, durable, timeout)

    def begin(self, *, durable: bool = False, timeout: float | None = None, foreign_keys: bool | None = None) -> Hold:
        """Begin a transaction by hand, and return it once the writer is its own. See ``aiomemdb.SQLiteDatabase``."""
        return _begin(self, durable=durable, timeout=timeout, foreign_keys=foreign_keys)

    def submit(self, sql: str, params: Params = ()) -> Future[int | None]:
        """Enqueue what ``write`` would, without waiting for its COMMIT; return the future of the rowid.

        Raises:
            QueueFull: ``max_pending`` jobs wait already.

        Cancellation: of the future, before its job is taken into a batch: it takes the job back.
        """

        async def submit() -> Future[int | None]:
            return for_threads(self._inner.submit(sql, params))

        return self._thread.run(submit)

    def snapshot(self, *, timeout: float | None = None) -> AbstractContextManager[Snapshot]:
        """Read one and the same state in several calls: ``with db.snapshot() as snap``."""
        return Block(self._thread, self._inner.snapshot(timeout=timeout), partial(Snapshot, thread=self._thread))

    def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = 256, timeout: float | None = None
    ) -> RowStream:
        """Return the rows of a query one by one, in constant memory: ``for row in db.read_stream(...)``."""

        async def read_stream() -> RowStream:
            rows = self._inner.read_stream(sql, params, chunk=chunk, timeout=timeout)
            return RowStream(self._thread, rows, chunk)

        return self._thread.run(read_stream)

    def changes(self, *tables: str) -> Stream[frozenset[str]]:
        """Iterate over turns in which something in these tables may have changed: ``for tables in db.changes("note")``.

        It watches from the call on, until it is closed or dropped. See ``aiomemdb.SQLiteDatabase.changes``.
        """

        async def changes() -> Stream[frozenset[str]]:
            return Stream(self._thread, self._inner.changes(*tables), 1)

        return self._thread.run(changes)

    def check_writable(self) -> None:
        """Raise at once what a write of this thread would raise at once, whatever waits."""

        async def check_writable() -> None:
            self._inner.check_writable()

        self._thread.run(check_writable)

    def statistics(self) -> SQLiteStatistics:
        """Return what the database is doing now, and has done since it was opened."""

        async def statistics() -> SQLiteStatistics:
            return self._inner.statistics()

        return self._thread.run(statistics)


def _transaction(
    of: Database | Transaction, durable: bool, timeout: float | None
) -> AbstractContextManager[Transaction]:
    block = of._inner.transaction(durable=durable, timeout=timeout)
    return Block(of._thread, block, partial(Transaction, thread=of._thread))


def _begin(of: Database | Transaction, **options: Any) -> Hold:
    begin = partial(of._inner.begin, **options)
    return Hold(of._thread.run(begin, SQLiteHold.rollback), of._thread)
