"""A query's rows in constant memory."""

from __future__ import annotations

import sqlite3
from functools import partial
from weakref import ref

from ...concurrency.row_stream import RowStream
from ...database import Params
from ...values import Row
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..file.busy import retry_while_busy
from .queries import execute_query, explain_read
from .readers import Readers
from .snapshot import give_back, wait_for_read

__all__ = ["SQLiteRowStream"]


class SQLiteRowStream(RowStream[Connection]):
    """The rows of a cursor on a reader."""

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
        super().__init__(readers.loop, partial(give_back, readers), chunk)
        self._readers = readers
        self._sql = sql
        self._params = params
        self._timeout = timeout
        self._lock_timeout = lock_timeout
        self._cursor: sqlite3.Cursor | None = None

    async def _hold(self) -> Connection:
        return await self._readers.lease(self._timeout)

    async def _fetch(self, held: Connection, *, is_first: bool) -> list[Row]:
        fetched = held.submit(self._fetched, wanted_only=True)
        if is_first:
            self._readers.recorder.asked(fetched, "read_stream", self._sql)
        return await wait_for_read(fetched, held.interrupt, self._timeout)

    def _fetched(self, raw: GuardedConnection) -> list[Row]:
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
