"""A state that is read over several calls, on a reader that is lent.

    the transaction                         | the others
    ----------------------------------------+-----------------------------------------------------
    run(query): a reader, BEGIN, its        |
    version and the query, in one hop       |
    run(query)                              |
                                            | all readers are lent, and one more is wanted
    let go, if no query of it runs: the     |
    reader is given back, the version kept  |
    run(query): the very same reader again; |
    the same version: it goes on; another:  |
    it is stale                             |

A version is ``PRAGMA data_version``: it has moved if, and only if, another connection has committed. It is its own
connection's alone, so it can be compared on the same reader and on no other.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from ...concurrency.bell import call_on_loop
from ...errors import ReadTimeout
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..file.busy import retry_while_busy
from ..reading.queries import Found, Wanted, answer, begin_snapshot, find_some
from ..reading.readers import Readers
from ..reading.snapshot import give_back, wait_for_read
from .errors import locked, stale
from .rows import Answer, Values

__all__ = ["Snapshot"]

R = TypeVar("R")

# Seconds that a transaction which has the writer waits for its own reader.
_WHILE_OTHERS_WAIT = 0.25


def _begin(raw: GuardedConnection) -> int:
    begin_snapshot(raw)
    return _version(raw)


def _version(raw: GuardedConnection) -> int:
    [[version]] = raw.own("PRAGMA data_version")
    return int(version)


def _latest_version(raw: GuardedConnection) -> int:
    raw.close_noted()
    raw.roll_back()
    return _version(raw)


class Snapshot:
    """One state of the file.

    Args:
        timeout: seconds to wait for a reader.
        lock_timeout: seconds to wait for a lock of another program, which recovers the log.

    Attributes:
        times: how often it has got a reader: what was open on an earlier one is gone.
    """

    def __init__(self, readers: Readers, *, timeout: float, lock_timeout: float) -> None:
        self.times: int = 0
        self._readers = readers
        self._timeout = timeout
        self._lock_timeout = lock_timeout
        self._connection: Connection | None = None
        self._origin: Connection | None = None  # the reader that the version is of
        self._version = 0
        self._writes_before = 0
        self._calls = 0
        self._is_closed = False

    @property
    def is_taken(self) -> bool:
        """It is of a state, whether or not it has a reader now."""
        return self._origin is not None

    async def open(self, timeout: float | None = None) -> None:
        """Takes the latest state, or the same as before, if it still is the latest.

        Raises:
            sqlite3.OperationalError: others have committed since; or all readers are in use, for the whole time.
        """
        await self._open_and(lambda _: None, timeout=timeout)

    async def _open_and(
        self,
        query: Callable[[GuardedConnection], R],
        subject: object = None,
        verb: str = "",
        timeout: float | None = None,
    ) -> R:
        """As ``open``, and runs a query in the same hop. Where the query fails, it is open all the same."""
        connection = await self._lease(self._timeout if timeout is None else timeout)
        readers, former = self._readers, None if self._origin is None else self._version
        writes_before = readers.recorder.writes
        begun: list[int] = []

        def begin_and_ask(raw: GuardedConnection) -> R:
            version = retry_while_busy(lambda: _begin(raw), self._lock_timeout, readers.path)
            if former is not None and version != former:
                raise stale()
            begun.append(version)
            self.times += 1
            return query(raw)

        self._calls += 1
        self._connection = connection
        try:
            reading = connection.submit(begin_and_ask, wanted_only=True)
            if subject is not None:
                readers.recorder.asked(reading, verb, subject)
            return await wait_for_read(reading, connection.interrupt, None)
        except asyncio.CancelledError:
            begun.clear()  # or is being begun just now
            raise
        finally:
            self._calls -= 1
            if begun:
                self._origin, self._version, self._writes_before = connection, begun[0], writes_before
            if not begun or self._is_closed:  # meanwhile
                self._give_back()
            elif not self._calls:
                readers.leases.rests()

    async def _lease(self, timeout: float) -> Connection:
        leases = self._readers.leases
        if self._origin is not None and leases.is_held(self._origin):
            raise stale("its reader was given to a snapshot() or stream, so that what was committed since is not known")
        try:
            return await self._readers.lease(timeout, self._origin, self._let_go)
        except ReadTimeout:
            if self._origin is not None:
                raise stale("its reader is in use elsewhere") from None
            raise locked(timeout, "all readers: queries") from None
        except LookupError:
            raise stale("its reader was lost") from None

    def _let_go(self) -> bool:
        if self._calls or self._connection is None:
            return False
        self._give_back()
        return True

    def _give_back(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            give_back(self._readers, connection)

    async def run(self, query: Callable[[GuardedConnection], R], subject: object, verb: str = "read") -> R:
        """Runs a query of this state.

        Raises: sqlite3.OperationalError: as ``open``.

        Cancellation: stops the query.
        """
        connection = self._connection
        if connection is None:
            return await self._open_and(query, subject, verb)
        self._calls += 1
        try:
            reading = connection.submit(query, wanted_only=True)
            self._readers.recorder.asked(reading, verb, subject)
            return await wait_for_read(reading, connection.interrupt, None)
        finally:
            self._calls -= 1
            if not self._calls:
                self._readers.leases.rests()

    async def ask(self, sql: str, wanted: Wanted, *, is_alone: bool = False) -> Answer:
        """Asks for the first rows of a query; the others are read from the same reader, in parts.

        Args:
            is_alone: the snapshot is this query's alone, and ends with its rows.

        Raises: sqlite3.OperationalError: SQLite's own read-only error, where it would write.
        """
        found: Found = await self.run(lambda raw: answer(raw, find_some, sql, wanted), sql)
        result = Answer(found.columns, found.rows)
        if found.cursor is not None:
            result.rest = _Rest(self, sql, wanted, found.cursor, len(found.rows), is_alone=is_alone)
        elif is_alone:
            self.close()
        return result

    async def is_latest(self) -> bool:
        """Whether nothing was committed since; to be asked while no other can commit. Its reader is let go."""
        return await self._is_latest() is True

    async def check_early(self, *, patiently: bool) -> None:
        """Raises if it is stale, where this process has written since. If many snapshots are to write, one
        goes on, and the others need not take the file to learn that.

        Args:
            patiently: waits for its reader, if that is in use elsewhere; otherwise it is taken for stale then.
        """
        if self._readers.recorder.writes == self._writes_before:
            return
        is_latest = await self._is_latest() if patiently or self._connection is not None else False
        if is_latest is False:
            raise stale()

    async def _is_latest(self) -> bool | None:
        connection, self._connection = self._connection, None
        if connection is None:
            try:
                connection = await self._lease(min(self._timeout, _WHILE_OTHERS_WAIT))
            except sqlite3.OperationalError:
                return None
        try:
            return await connection.submit(_latest_version) == self._version
        finally:
            give_back(self._readers, connection)

    def interrupt(self) -> None:
        """Interrupts the query that runs."""
        connection = self._connection
        if connection is not None and self._calls and (running := connection.working_on) is not None:
            connection.interrupt(running)

    def soon(self, call: Callable[[GuardedConnection], object]) -> None:
        """Runs what needs no answer, if it has its reader; nothing is awaited."""
        if self._connection is not None:
            self._connection.submit(call)

    def close(self) -> None:
        """Nothing is awaited."""
        self._is_closed = True
        self._give_back()

    def close_from_anywhere(self) -> None:
        """On any thread, perhaps after the loop has ended."""
        if self._connection is not None:
            call_on_loop(self._connection.loop, self.close)


class _Rest:
    """The rows of a query behind the first ones. Where its reader was let go, the query runs again, up to the row that
    was next: it is the same state, and so the same rows.
    """

    def __init__(
        self, snapshot: Snapshot, sql: str, wanted: Wanted, cursor: sqlite3.Cursor, read: int, *, is_alone: bool
    ) -> None:
        self._snapshot = snapshot
        self._sql = sql
        self._wanted = wanted
        self._cursor: sqlite3.Cursor | None = cursor
        self._read = read
        self._is_alone = is_alone
        self._is_closed = False
        self._times = snapshot.times

    async def fetch(self, count: int) -> list[Values]:
        if self._is_closed:
            return []
        rows = await self._snapshot.run(lambda raw: self._fetch(raw, count), self._sql)
        self._read += len(rows)
        if len(rows) < count:
            self.close()
        return rows

    def _fetch(self, raw: GuardedConnection, count: int) -> list[Values]:
        """On the reader's thread."""
        if self._times != self._snapshot.times or self._cursor is None:
            self._times = self._snapshot.times
            self._cursor = answer(raw, find_some, self._sql, self._wanted._replace(at_most=0)).cursor
            skip = self._read - 1  # one is fetched to see whether there are any
            while self._cursor is not None and skip > 0:
                skip -= len(self._cursor.fetchmany(min(skip, 1000))) or skip
        if self._cursor is None:
            return []
        raw.text_factory = self._wanted.text_factory
        try:
            return self._cursor.fetchmany(count)
        finally:
            raw.text_factory = str

    def close(self) -> None:
        if self._is_alone:
            self._snapshot.close()
        elif not self._is_closed:
            self._snapshot.soon(self._close)
        self._is_closed = True

    def _close(self, _: GuardedConnection) -> None:
        if self._cursor is not None and self._times == self._snapshot.times:
            with suppress(sqlite3.Error):
                self._cursor.close()

    def __del__(self) -> None:
        if self._is_alone and not self._is_closed:
            self._snapshot.close_from_anywhere()
