"""The contract in words: what every engine gives. What SQLite adds is in ``aiomemdb.SQLiteDatabase``.

Two families of verbs, so that a reader of a call sees where it runs: ``write*`` on the one writer, ``read*`` on the
readers. A bare ``execute`` does not exist. ``params`` is a sequence for ``?`` or a mapping for ``:name``.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, Self, TypeAlias

from .values import Result, Row, Statistics

__all__ = ["Database", "Opened", "Params", "Snapshot", "Transaction"]

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
        """All rows of a query. ``timeout`` in seconds, waiting included: it interrupts this query and no other."""
        ...

    async def read_one(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Row | None:
        """The first row, or None where there is none."""
        ...

    async def read_value(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Any:
        """The first column of the first row, or None where there is no row."""
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
        """One statement; gives the rowid that it inserted, or None if it inserted nothing. A query is an error that
        names ``read`` (``ForbiddenStatement``), as it is for ``write_count`` and ``write_many``.
        """
        ...

    async def write_count(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int:
        """One statement; gives the number of rows that it changed. The way to claim a task:
        ``UPDATE task SET owner = ? WHERE id = ? AND owner IS NULL`` gives 1 to one caller and 0 to all others.
        """
        ...

    async def write_returning(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> list[Row]:
        """One statement with RETURNING; gives its rows."""
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
            What ``write`` raises; a query is no error.

        Cancellation: as for ``write``.
        """
        ...

    async def write_many(
        self, sql: str, rows: Iterable[Params], *, durable: bool = False, timeout: float | None = None
    ) -> int:
        """One statement over many parameter sets, all or nothing; gives the number of rows changed.

        ``rows`` is read to its end, in the caller's task, before the job is enqueued. A note of an error names the row.
        """
        ...

    async def write_script(self, sql: str, *, durable: bool = False, timeout: float | None = None) -> None:
        """Several statements (a schema) as one job, all or nothing; without BEGIN and COMMIT of its own."""
        ...

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[Transaction]:
        """Several awaited steps on the writer, exclusively: commit on exit, rollback on error; nesting
        (``tx.transaction()``) is a savepoint.

        Every other writer waits meanwhile, so hold it shortly: after ``max_hold`` it is rolled back
        (``TransactionTimeout``). ``timeout`` bounds the wait for the writer.
        Cancellation inside the block rolls back; during the COMMIT, the COMMIT runs to its end.
        """
        ...


class Database(Transaction, Protocol):
    """A database, as ``aiomemdb.connect`` gives it: ``async with connect(...) as db``, ``db = await connect(...)``."""

    def __await__(self) -> Generator[Any, None, Self]: ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc_info: object) -> None: ...

    def submit(self, sql: str, params: Params = ()) -> asyncio.Future[int | None]:
        """As ``write``, but enqueues at once, without awaiting.

        Raises:
            QueueFull: ``max_pending`` jobs wait already.
        Cancelling the future before its job is taken into a batch takes the job back.
        """
        ...

    def check_writable(self) -> None:
        """Raises at once what a write of this caller would raise at once, whatever waits: ``ReentrancyError`` inside
        its own ``transaction()``, ``DatabaseClosed``, ``ForkedError``, ``WrongLoop``, the driver's own where the
        database is read-only. For who writes on others' behalf, in a task of his own.
        """
        ...

    async def flush(self, *, timeout: float | None = None) -> None:
        """Waits until everything submitted before it has committed, and is on stable storage."""
        ...

    def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = ..., timeout: float | None = None
    ) -> AsyncIterator[Row]:
        """The rows of a query, one by one, in constant memory: ``async for row in db.read_stream(...)``.

        It reads one snapshot, ``chunk`` rows a hop, holds a reader until it ends, is left, closed or collected.
        ``timeout`` (seconds) bounds each hop, waiting for a reader included. Also an async context manager.
        """
        ...

    def snapshot(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[Snapshot]:
        """Several awaited reads of one and the same state. Holds a reader, and keeps the log from being reset.

        A task that holds one waits for a second like any other. Where all who hold one wait for another, the last to
        ask gets ``ReentrancyError``: it would wait for itself. A task counts as those that it descends from.
        """
        ...

    def statistics(self) -> Statistics:
        """What the database is doing now and has done since it was opened."""
        ...

    async def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        """Takes no new job, drains what is queued (or fails it: ``drain=False``) and ends all threads.

        Every future ever handed out is resolved before it returns, and it returns within ``timeout`` seconds, even
        if another program holds the lock or a job never returns. The loop goes on while many jobs fail; those that are
        left when the time is up share one error. Idempotent.
        Cancellation: the closing goes on.
        """
        ...
