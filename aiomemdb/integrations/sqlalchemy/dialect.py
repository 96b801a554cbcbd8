"""The dialect ``sqlite+aiomemdb``, and ``create_async_engine``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any  # Any: of what is SQLAlchemy's there are no types here

from sqlalchemy import util
from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.engine import URL, make_url
from sqlalchemy.engine.characteristics import ConnectionCharacteristic
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import create_async_engine as create_engine_of_url
from sqlalchemy.pool import AsyncAdaptedQueuePool

from ...errors import DatabaseClosed
from ...sqlite.engine.database import SQLiteDatabase
from .adapter import Cursor, Driver
from .driver import ConnectionLost, DriverConnection
from .options import checked_options, connected, options_of_url

__all__ = ["AiomemdbDialect", "AiomemdbPool", "create_async_engine"]

_DRIVER = "sqlite+aiomemdb"


class AiomemdbPool(AsyncAdaptedQueuePool):
    """Without a limit, and 64 connections are kept: one costs a few objects, and no thread.

    A connection is replaced before it is handed out if its loop or database has gone; to see that needs no I/O.
    """

    def __init__(
        self, creator: Any, pool_size: int = 64, max_overflow: int = -1, pre_ping: bool = True, **options: Any
    ) -> None:
        super().__init__(creator, pool_size=pool_size, max_overflow=max_overflow, pre_ping=pre_ping, **options)


class _ReadOnly(ConnectionCharacteristic):
    """``execution_options(aiomemdb_readonly=True)``: readers alone; a write is SQLite's read-only error."""

    transactional = True

    def reset_characteristic(self, dialect: Any, dbapi_conn: Any) -> None:
        dbapi_conn.driver_connection.read_only = False

    def set_characteristic(self, dialect: Any, dbapi_conn: Any, value: object) -> None:
        if not isinstance(value, bool):
            raise ArgumentError(f"aiomemdb_readonly={value!r}: True or False")
        dbapi_conn.driver_connection.read_only = value

    def get_characteristic(self, dialect: Any, dbapi_conn: Any) -> bool:
        return bool(dbapi_conn.driver_connection.read_only)


class _ExecutionContext(SQLiteExecutionContext):
    def create_server_side_cursor(self) -> Cursor:
        cursor: Cursor = self._dbapi_connection.cursor(server_side=True)
        return cursor

    def pre_exec(self) -> None:
        super().pre_exec()
        statement = getattr(self.compiled, "statement", None)
        self.cursor.locks = getattr(statement, "_for_update_arg", None) is not None


class AiomemdbDialect(SQLiteDialect_pysqlite):
    """SQLAlchemy's SQLite, on a database of aiomemdb's."""

    driver = "aiomemdb"
    supports_statement_cache = True
    supports_server_side_cursors: Any = True
    is_async = True
    has_terminate = True
    execution_ctx_cls: Any = _ExecutionContext
    connection_characteristics: Any = util.immutabledict(
        {**SQLiteDialect_pysqlite.connection_characteristics, "aiomemdb_readonly": _ReadOnly()}
    )

    @classmethod
    def import_dbapi(cls) -> Any:
        return Driver(connected)

    @classmethod
    def get_pool_class(cls, url: URL) -> Any:
        return AiomemdbPool

    def create_connect_args(self, url: URL) -> tuple[list[str], dict[str, Any]]:
        return [], options_of_url(url)

    def on_connect(self) -> None:
        """What SQLAlchemy makes for each connection, each database has: driver.py."""

    def do_begin(self, dbapi_connection: Any) -> None:
        dbapi_connection.begin()

    def do_ping(self, dbapi_connection: Any) -> bool:
        return bool(dbapi_connection.driver_connection.is_usable)

    def do_terminate(self, dbapi_connection: Any) -> None:
        dbapi_connection.terminate()

    def get_driver_connection(self, connection: Any) -> DriverConnection:
        driver_connection: DriverConnection = connection.driver_connection
        return driver_connection

    def is_disconnect(self, e: Exception, connection: Any, cursor: Any) -> bool:
        return isinstance(e, ConnectionLost)

    # Isolation: each transaction has one state throughout, whatever is asked for

    def set_isolation_level(self, dbapi_connection: Any, level: str) -> None:
        dbapi_connection.isolation_level = None if level == "AUTOCOMMIT" else ""
        dbapi_connection.driver_connection.is_reading_uncommitted = level == "READ UNCOMMITTED"

    def get_isolation_level(self, dbapi_connection: Any) -> str:
        is_reading_uncommitted = dbapi_connection.driver_connection.is_reading_uncommitted
        return "READ UNCOMMITTED" if is_reading_uncommitted else "SERIALIZABLE"


def create_async_engine(
    target: SQLiteDatabase | str | os.PathLike[str] | URL,
    *,
    connect_args: Mapping[str, Any] | None = None,
    **options: Any,
) -> AsyncEngine:
    """Return SQLAlchemy's ``AsyncEngine`` on an aiomemdb database::

        engine = create_async_engine("app.db")
        async with AsyncSession(engine) as session, session.begin():
            session.add(Order(...))
        await engine.dispose()

    All connections of a file and loop share one database, which is closed with the last of them: by
    ``engine.dispose()``. Transactions follow one rule: they begin with the writer where it is soon free, otherwise as
    a snapshot. One that has read what is no longer the latest, and then writes, is an ``OperationalError``, to be run
    again; nothing is ever lost without an error.

    Args:
        target: an open database, which stays open when the engine is disposed; a path; or a URL, ``sqlite+aiomemdb:…``.
        connect_args: options of ``aiomemdb.connect`` for a file; and ``timeout``, how many seconds a write waits for
            the writer (5), ``patience`` (0.25) and ``idle`` (0.1), the times of the rule. A URL may hold them too.
        options: of SQLAlchemy's ``create_async_engine``.

    Raises:
        TypeError: ``target`` is of another kind.
        sqlalchemy.exc.ArgumentError: an unknown option, or a URL of another dialect.
        DatabaseClosed: the database is closed.
    """
    arguments: dict[str, Any] = dict(connect_args or {})
    if isinstance(target, SQLiteDatabase):
        if target._closing is not None:
            raise DatabaseClosed("the database is closing or closed: give create_async_engine an open one")
        url = URL.create(_DRIVER)
        arguments["database"] = target
    elif isinstance(target, URL) or (isinstance(target, str) and "://" in target):
        url = make_url(target)
        if url.drivername != _DRIVER:
            raise ArgumentError(f"a URL of {url.drivername!r}: this makes engines of '{_DRIVER}:///file.db'")
    elif isinstance(target, str | os.PathLike) and isinstance(os.fspath(target), str):
        url = URL.create(_DRIVER, database=os.fspath(target))
    else:
        raise TypeError(f"target={target!r}: an open database, a path, or a URL")
    checked_options({**options_of_url(url), **arguments})
    return create_engine_of_url(url, connect_args=arguments, **options)
