"""What SQLAlchemy takes for a driver: synchronous calls that each wait in SQLAlchemy's greenlet."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from itertools import count
from types import ModuleType
from typing import Any, TypeVar  # Any: SQLAlchemy hands on what its user gave

from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.util import concurrency

from ...sqlite.interactive.rows import Rest
from .driver import ConnectionLost, DriverConnection, raise_as_known

__all__ = ["Connection", "Cursor", "Driver", "StreamCursor"]

T = TypeVar("T")

_numbers = count(1)

# Rows that are fetched at once, of a result that is read to its end, and of a stream.
_ALL, _SOME = 10_000, 256

_await: Callable[[Coroutine[Any, Any, Any]], Any] = getattr(concurrency, "await_", None) or concurrency.await_only


def _waited(coroutine: Coroutine[Any, Any, T]) -> T:
    """What the coroutine returns. Raises: its error, as SQLAlchemy knows it."""
    try:
        result: T = _await(coroutine)
        return result
    except Exception as error:
        raise_as_known(error)


class Cursor:
    """A cursor that has read its result to the end.

    Attributes:
        locks: set before ``execute``: it is SELECT … FOR UPDATE.
    """

    server_side = False

    def __init__(self, connection: DriverConnection) -> None:
        self.arraysize: int = 1
        self.description: tuple[tuple[Any, ...], ...] | None = None
        self.lastrowid: int | None = None
        self.locks: bool = False
        self.rowcount: int = -1
        self._connection = connection
        self._rows: deque[tuple[Any, ...]] = deque()
        self._rest: Rest | None = None

    def execute(self, operation: str, parameters: Any = ()) -> Cursor:
        self._drop_rest()
        answer = _waited(self._connection.execute(operation, parameters or (), locks=self.locks))
        columns = answer.columns
        self.description = None if columns is None else tuple((name, *(None,) * 6) for name in columns)
        self.rowcount, self.lastrowid = answer.count, answer.rowid
        self._rows, self._rest = deque(answer.rows), answer.rest
        self._read()
        return self

    def executemany(self, operation: str, seq_of_parameters: Any) -> Cursor:
        self._drop_rest()
        self.description, self.lastrowid = None, None
        self._rows.clear()
        self.rowcount = _waited(self._connection.execute_many(operation, seq_of_parameters))
        return self

    def _read(self) -> None:
        """To the end: SQLAlchemy hands the rows out where nothing can be awaited."""
        while self._rest is not None:
            self._read_some(_ALL)

    def _read_some(self, count: int) -> None:
        """At least one row more, if there is one."""
        rest = self._rest
        if rest is not None:
            rows = _waited(rest.fetch(count))
            self._rows.extend(rows)
            if len(rows) < count:
                self._drop_rest()

    def _drop_rest(self) -> None:
        rest, self._rest = self._rest, None
        if rest is not None:
            rest.close()

    def fetchone(self) -> tuple[Any, ...] | None:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        wanted = self.arraysize if size is None else size
        return [self._rows.popleft() for _ in range(min(wanted, len(self._rows)))]

    def fetchall(self) -> list[tuple[Any, ...]]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        while (row := self.fetchone()) is not None:
            yield row

    def setinputsizes(self, *sizes: object) -> None:
        pass

    def close(self) -> None:
        self._rows.clear()
        self._drop_rest()

    async def _async_soft_close(self) -> None:
        """SQLAlchemy has taken what it needs, except the rows."""


class StreamCursor(Cursor):
    """A cursor that reads as it is asked, in constant memory."""

    server_side = True

    def _read(self) -> None:
        pass

    def fetchone(self) -> tuple[Any, ...] | None:
        if not self._rows:
            self._read_some(_SOME)
        return Cursor.fetchone(self)

    def fetchmany(self, size: int | None = None) -> list[tuple[Any, ...]]:
        wanted = self.arraysize if size is None else size
        while self._rest is not None and len(self._rows) < wanted:
            self._read_some(wanted - len(self._rows))
        return Cursor.fetchmany(self, wanted)

    def fetchall(self) -> list[tuple[Any, ...]]:
        Cursor._read(self)
        return Cursor.fetchall(self)


class Connection(AdaptedConnection):
    """One connection, as SQLAlchemy's pool keeps it."""

    _connection: DriverConnection

    def __init__(self, dbapi: Driver, connection: DriverConnection) -> None:
        self.dbapi = dbapi
        self._connection = connection

    def cursor(self, server_side: bool = False) -> Cursor:
        return StreamCursor(self._connection) if server_side else Cursor(self._connection)

    def execute(self, operation: str, parameters: Any = ()) -> Cursor:
        return self.cursor().execute(operation, parameters)

    @property
    def isolation_level(self) -> str | None:
        return self._connection.isolation_level

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        self._connection.isolation_level = value

    def begin(self) -> None:
        _waited(self._connection.begin())

    def commit(self) -> None:
        _waited(self._connection.commit())

    def rollback(self) -> None:
        _waited(self._connection.rollback())

    def close(self) -> None:
        _waited(self._connection.close())

    def terminate(self) -> None:
        self._connection.terminate()

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """``create_function``, ``load_extension`` and their like: as the driver's, waited for."""
        if name not in _SYNCHRONOUS:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}", name=name, obj=self)
        call = getattr(self._connection, name)
        return lambda *args, **kwargs: _waited(call(*args, **kwargs))


_SYNCHRONOUS = frozenset(
    [
        "create_aggregate",
        "create_collation",
        "create_function",
        "create_window_function",
        "enable_load_extension",
        "load_extension",
        "set_authorizer",
        "set_progress_handler",
        "set_trace_callback",
    ]
)


class Driver:
    """The module of a driver, as SQLAlchemy asks it."""

    paramstyle = "qmark"
    apilevel = "2.0"
    threadsafety = 1
    exceptions_module: ModuleType = sqlite3
    ConnectionLost = ConnectionLost

    def __init__(self, connect: Callable[..., Coroutine[Any, Any, DriverConnection]]) -> None:
        self._connect = connect
        self._memory = f":memory:of engine {next(_numbers)}"

    def connect(self, **options: Any) -> Any:
        creator = options.pop("async_creator_fn", None)
        connecting = self._connect(self._memory, **options) if creator is None else creator(**options)
        return Connection(self, _waited(connecting))

    def __getattr__(self, name: str) -> Any:
        """The errors, ``Binary``, ``sqlite_version`` and their like are sqlite3's."""
        return getattr(sqlite3, name)
