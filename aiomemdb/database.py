"""The contract in words: what every engine has. What SQLite adds is in ``aiomemdb.SQLiteDatabase``.

Two families of verbs, so that a reader of a call sees where it runs: ``write*`` on the one writer, ``read*`` on the
readers. A bare ``execute`` does not exist. ``params`` is a sequence for ``?`` or a mapping for ``:name``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeAlias

from .values import Result, Row, Statistics

__all__ = ["Database", "Hold", "Opened", "Params", "Snapshot", "Transaction"]

Params: TypeAlias = Sequence[Any] | Mapping[str, Any]


class Opened:
    """Opens by ``async with x`` or by ``await x``. ``async with await x`` opens once, and its block closes."""

    _is_awaited = False

    async def _open(self) -> Self:
        raise NotImplementedError

    def _check(self) -> None:
        """Raises what a call to the opened object would raise at once."""

    def __await__(self) -> Generator[Any, None, Self]:
        yield from self._open().__await__()
        self._is_awaited = True
        return self

    async def __aenter__(self) -> Self:
        is_awaited, self._is_awaited = self._is_awaited, False
        if not is_awaited:
            return await self._open()
        self._check()
        return self

    if not TYPE_CHECKING:

        def __enter__(self) -> Any:
            raise TypeError("use `async with`, in a coroutine; in a plain function: aiomemdb.blocking, with `with`")

        def __exit__(self, *exc_info: object) -> None:  # Python asks for both before it calls the first
            raise NotImplementedError


class Snapshot(Protocol):
    """The read verbs. On a database each call sees the last committed state, and all writes that were awaited
    before it began; on a ``snapshot()`` all calls see one and the same state; on a ``transaction()`` they see its own
    changes too.

    Raises, from each verb: the driver's error (``sqlite3.Error``) as it words it, a write in a read verb included;
    ``NotAQuery``; ``ReadTimeout``; ``ForbiddenStatement``; ``LockTimeout``; ``DatabaseClosed``; ``ForkedError``;
    ``WrongLoop``; after the end of a block ``SnapshotEnded`` or ``TransactionEnded``.
    Cancellation: the query is interrupted, and no other.
    """

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        """Return all rows of a query.

        Args:
            sql: one query.
            params: a sequence for ``?``, or a mapping for ``:name``.
            timeout: seconds, waiting included; it interrupts this query and no other.
        """
        ...

    async def read_one(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Row | None:
        """Return the first row, or None where there is none. Args: as for ``read``."""
        ...

    async def read_value(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Any:
        """Return the first column of the first row, or None where there is no row. Args: as for ``read``."""
        ...


class Transaction(Snapshot, Protocol):
    """The write verbs, and the read verbs beside them.

    A write resolves only after the COMMIT that holds it returned success (inside a transaction: when it has run; the
    COMMIT is at the end of the block). It is applied whole or not at all, in the order of enqueueing, and an error
    of its own is raised to its own caller alone.

    A deferred foreign key is judged by the COMMIT of the batch. So a job that breaks one is acknowledged where a later
    job of the same batch repairs it; otherwise it fails alone. A ``transaction()`` has a COMMIT of its own. (One for
    each write would take eight times the writer's time.)

    ``params`` is copied at the call, buffers in it too (``bytearray``, ``memoryview``, an array); a scalar of numpy
    becomes the number that it stands for.

    ``durable=True`` forces the job to stable storage, with all that it saw, before it resolves. ``timeout`` (seconds)
    counts from the call, waiting for room and lock included.

    Raises, from each verb: the driver's error (``sqlite3.Error``) unchanged, with a note that holds the SQL and never
    the parameters: not applied. ``EmptyStatement``, ``NotAQuery``, ``ForbiddenStatement``, ``WriteTimeout``,
    ``LockTimeout``, ``ReentrancyError``, ``TransactionEnded``, ``TransactionLost``, ``DatabaseClosed``,
    ``WriterCrashed``, ``DatabaseReplaced``, ``CommitOutcomeUnknown``, ``ForkedError``, ``WrongLoop``: see
    ``aiomemdb.errors``; each says whether the job was applied.
    Cancellation: a job not yet taken into a batch never runs; one already taken runs to its end, wholly, and its
    result is dropped. Never half, never twice.
    """

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        """Run one statement, and return the rowid that it inserted, or None if it inserted nothing.

        Args:
            sql: one statement that writes.
            params: a sequence for ``?``, or a mapping for ``:name``.
            durable: whether it is on stable storage, with all that it saw, before the call returns.
            timeout: seconds from the call on, waiting for room and for the lock included.

        Raises:
            ForbiddenStatement: it is a query; the message names ``read``.
        """
        ...

    async def write_count(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int:
        """Run one statement, and return the number of rows that it changed. Args: as for ``write``.

        It is the way to claim a task: of all callers that run ``UPDATE task SET owner = ? WHERE id = ? AND owner IS
        NULL``, one gets 1 and all others get 0.
        """
        ...

    async def write_returning(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> list[Row]:
        """Run one statement with RETURNING, and return its rows. Args: as for ``write``.

        Raises:
            NotAQuery: it has no RETURNING.
        """
        ...

    async def write_any(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> Result:
        """Run any one statement on the writer, whatever it is, and return all that it did.

        It is batched as ``write`` is. Where you know what a statement is, another verb says so: a query too takes the
        writer's time here, reads its rows to the end while all writes wait, and shares a batch with them. It is for
        adapters, which get any text: a query sees all jobs before it in its batch.

        Args:
            sql: one statement: it may write, query, list (a PRAGMA) or EXPLAIN.
            params: as for ``write``.
            durable: as for ``write``.
            timeout: as for ``write``.

        Returns:
            ``Result(columns, rows, rowid, count)``.

        Raises:
            Exception: what ``write`` raises; a query is no error.

        Cancellation: as for ``write``.
        """
        ...

    async def write_many(
        self, sql: str, rows: Iterable[Params], *, durable: bool = False, timeout: float | None = None
    ) -> int:
        """Run one statement for each of many parameter sets, all or nothing, and return the number of rows changed.

        Args:
            sql: one statement that writes.
            rows: the parameter sets. The caller's task reads them to the end before the job is enqueued.
            durable: as for ``write``.
            timeout: as for ``write``.

        Raises:
            Exception: what ``write`` raises; a note names the row.
        """
        ...

    async def write_script(self, sql: str, *, durable: bool = False, timeout: float | None = None) -> None:
        """Run several statements (a schema) as one job, all or nothing. They hold no BEGIN and no COMMIT.

        Args: as for ``write``.
        """
        ...

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """Run several awaited steps on the writer, which no other job uses meanwhile: ``async with ... as tx``.

        The end of the block commits. An error that leaves the block rolls back. ``tx.transaction()`` nests: it is a
        savepoint. Every other writer waits meanwhile, so hold it shortly.

        Other programs are kept from writing from its first step on. A read on the database inside the block, before any
        step, waits until they are: what it has read is so until the transaction commits. With ``durable`` or
        ``timeout`` they are kept from it before the block begins.

        Args:
            durable: whether all of it is on stable storage when the block has ended.
            timeout: seconds to wait for the writer, and for other programs.

        Raises:
            LockTimeout: from its first step, or such a read: another program kept the file for ``lock_timeout``.
            TransactionTimeout: it was held for longer than ``max_hold``, and is rolled back.

        Cancellation: inside the block it rolls back. During the COMMIT, the COMMIT runs to its end.
        """
        ...

    async def begin(self, *, durable: bool = False, timeout: float | None = None) -> Hold:
        """Begin a transaction by hand, and return it once the writer is its own.

        It is for steps over several calls; where there is a block, ``transaction()`` ends it too. It is tied to no
        task: any task may take its next step, or end it. So nothing says that ``db.write`` of the same task would wait
        for it; that waits until ``max_hold`` has passed. On a transaction it nests, as a savepoint.

        Other programs are kept from writing from its first step on, a read on it included.

        Args:
            durable: as for ``transaction``.
            timeout: seconds to wait for the writer.

        Raises: as ``transaction``, and what a write would raise at once.

        Cancellation: nothing is begun.
        """
        ...


class Hold(Transaction, Protocol):
    """A transaction by hand, which ``begin()`` returns: the verbs of a transaction, and its end.

    It is rolled back with a ``ResourceWarning`` where it is collected without one, and where it is held for longer than
    ``max_hold``.
    """

    @property
    def alive(self) -> bool:
        """Whether it takes steps: it was not ended, and did not end early."""
        ...

    @property
    def error(self) -> BaseException | None:
        """Why it ended early, or None: ``TransactionTimeout``, ``TransactionLost``, ``DatabaseClosed``, …"""
        ...

    async def commit(self) -> None:
        """Commit it. Where it nests in another one, its steps become that one's.

        Raises:
            TransactionEnded: it was committed or rolled back before.
            Exception: why it ended early; what the COMMIT refuses, a deferred foreign key for one: nothing was applied.

        Cancellation: the COMMIT runs to its end.
        """
        ...

    async def rollback(self) -> None:
        """Roll it back. Of one that has ended, nothing.

        Cancellation: the ROLLBACK runs to its end.
        """
        ...


class Database(Transaction, Protocol):
    """A database that ``aiomemdb.connect`` makes: ``async with connect(...) as db``, or ``db = await connect(...)``."""

    def __await__(self) -> Generator[Any, None, Self]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    def submit(self, sql: str, params: Params = ()) -> asyncio.Future[int | None]:
        """Enqueue at once, without awaiting, what ``write`` would; return the future of the rowid.

        Raises:
            QueueFull: ``max_pending`` jobs wait already.

        Cancellation: of the future, before its job is taken into a batch: it takes the job back.
        """
        ...

    def check_writable(self) -> None:
        """Raise at once what a write of this caller would raise at once, whatever waits.

        It is for a task that writes for other tasks.

        Raises:
            ReentrancyError: the caller is inside its own ``transaction()``.
            DatabaseClosed, ForkedError, WrongLoop: as a write would.
            Exception: the driver's own error, where the database is read-only.
        """
        ...

    async def flush(self, *, timeout: float | None = None) -> None:
        """Wait until everything that was submitted before has committed, and is on stable storage.

        Args:
            timeout: seconds.
        """
        ...

    def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = ..., timeout: float | None = None
    ) -> AsyncIterator[Row]:
        """Return the rows of a query one by one, in constant memory: ``async for row in db.read_stream(...)``.

        All rows are of one snapshot. The stream holds a reader until it ends, is left, closed or collected. It is an
        async context manager too, which closes it.

        Args:
            sql: one query.
            params: as for ``read``.
            chunk: rows of a hop to the reader.
            timeout: seconds for each hop, waiting for a reader included.
        """
        ...

    def snapshot(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Snapshot]:
        """Read one and the same state in several awaited calls: ``async with db.snapshot() as snap``.

        It holds a reader, and keeps the log from being reset.

        Args:
            timeout: seconds to wait for a reader.

        Raises:
            ReentrancyError: all tasks that hold a reader wait for another one, and this task asked last: it would wait
                for itself. A task counts as those that it descends from.
        """
        ...

    def statistics(self) -> Statistics:
        """Return what the database is doing now, and has done since it was opened."""
        ...

    async def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        """Take no new job, run what is queued, and end all threads. A second call waits for the first.

        Every future that was handed out is resolved before it returns. It returns in time even if another program holds
        the lock, or a job never returns. The loop goes on while many jobs fail; those that are left when the time is up
        share one error.

        Args:
            timeout: seconds for all of it.
            drain: whether what is queued runs; otherwise it fails with ``DatabaseClosed``.

        Cancellation: the closing goes on.
        """
        ...
