"""A query's rows in constant memory."""

from __future__ import annotations

import sqlite3
from collections import deque
from weakref import ref

from ...concurrency.bell import call_on_loop
from ...database import Params
from ...values import Row
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..file.busy import retry_while_busy
from .queries import execute_query, explain_read
from .readers import Readers
from .snapshot import give_back, wait_for_read

__all__ = ["RowStream"]


class RowStream:
    """``async for row in stream``; also ``async with stream as rows``, which closes it at the end of the block.

    It holds a reader from the first row on, and returns it when it is exhausted, fails, is cancelled, closed, or
    dropped: a ``break`` drops the last reference, and what is to be done then needs no await.
    """

    def __init__(
        self,
        readers: Readers,
        sql: str,
        params: Params,
        *,
        chunk: int,
        timeout: float | None,
        lock_timeout: float,
    ) -> None:
        self._readers = readers
        self._sql = sql
        self._params = params
        self._chunk = chunk
        self._timeout = timeout
        self._lock_timeout = lock_timeout
        self._rows: deque[Row] = deque()
        self._cursor: sqlite3.Cursor | None = None
        self._connection: Connection | None = None
        self._fetching = False
        self._closed = False

    def __aiter__(self) -> RowStream:
        return self

    async def __aenter__(self) -> RowStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def __anext__(self) -> Row:
        if self._rows:
            return self._rows.popleft()
        if self._closed:
            raise StopAsyncIteration
        if self._fetching:
            raise RuntimeError("another task is reading this stream: one reader a stream")
        self._fetching = True
        try:
            is_first = self._connection is None
            if self._connection is None:
                self._connection = await self._readers.lease(self._timeout)
            if self._closed:  # meanwhile, by another task
                raise StopAsyncIteration
            fetched = self._connection.submit(self._fetch, wanted_only=True)
            if is_first:
                self._readers.recorder.asked(fetched, "read_stream", self._sql)
            rows = await wait_for_read(fetched, self._connection.interrupt, self._timeout)
        except BaseException:
            self._release()
            raise
        finally:
            self._fetching = False
        if len(rows) < self._chunk:
            self._release()
        if not rows:
            raise StopAsyncIteration
        self._rows.extend(rows)
        return self._rows.popleft()

    def _fetch(self, raw: GuardedConnection) -> list[Row]:
        raw.guard.clear()
        try:
            if self._cursor is None:
                self._cursor = retry_while_busy(lambda: self._begin(raw), self._lock_timeout, self._readers.path)
                raw.noted.append(ref(self._cursor))  # closed by who takes the reader back, or closes it
            return self._cursor.fetchmany(self._chunk)
        except BaseException as error:
            raise explain_read(raw, error, self._sql) from None

    def _begin(self, raw: GuardedConnection) -> sqlite3.Cursor:
        raw.look_at_schema()  # it may be a PRAGMA that lists
        return execute_query(raw, self._sql, self._params)

    def _release(self) -> None:
        self._closed = True
        connection, self._connection = self._connection, None
        if connection is not None:
            give_back(self._readers, connection)

    async def aclose(self) -> None:
        """Returns the reader; rows that were fetched already are dropped."""
        self._rows.clear()
        self._release()

    def __del__(self) -> None:
        # Collected on any thread, perhaps after the loop has ended: the loop itself takes the reader back.
        if self._connection is not None:
            call_on_loop(self._connection.loop, give_back, self._readers, self._connection)
