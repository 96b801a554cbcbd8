"""SQLAlchemy 2, asyncio, over aiosqlite: as its tutorial shows it, and as fast as its documentation lets it be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

from _harness import Params
from sqlalchemy import Column, Integer, MetaData, Table, Text, event, insert, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["Sqlalchemy", "SqlalchemyBest"]

note = Table(
    "note", MetaData(), Column("id", Integer, primary_key=True), Column("agent", Integer), Column("body", Text)
)


def named(sql: str, params: Params) -> tuple[Any, dict[str, Any]]:
    """``sql`` with :p0, :p1, … for its question marks, which text() does not take."""
    parts = sql.split("?")
    marked = "".join(f"{part}:p{number}" for number, part in enumerate(parts[:-1])) + parts[-1]
    return text(marked), {f"p{number}": value for number, value in enumerate(params)}


class Sqlalchemy(Contestant):
    """Writes in a transaction each (``engine.begin()``), its default pool, BEGIN IMMEDIATE as its page on SQLite says
    for Python before 3.12; reads in autocommit, so that they don't take the writers' lock."""

    name = "SQLAlchemy"
    page = "https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#sqlite-transactions"
    options: ClassVar[dict[str, Any]] = {}

    async def open(self) -> None:
        self.engine = self.make_engine(**self.options)
        self.reading = self.make_engine().execution_options(isolation_level="AUTOCOMMIT")
        event.listen(self.engine.sync_engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
        self.texts: dict[str, Any] = {}

    def make_engine(self, **options: Any) -> AsyncEngine:
        engine = create_async_engine(f"sqlite+aiosqlite:///{self.path}", **options)

        @event.listens_for(engine.sync_engine, "connect")
        def set_up(connection: Any, record: Any) -> None:
            connection.isolation_level = None
            cursor = connection.cursor()
            cursor.execute(f"PRAGMA synchronous={self.synchronous}")
            cursor.close()

        return engine

    async def close(self) -> None:
        await self.engine.dispose()
        await self.reading.dispose()

    def statement(self, sql: str, params: Params) -> tuple[Any, dict[str, Any]]:
        if sql not in self.texts:
            self.texts[sql] = named(sql, params)[0]
        return self.texts[sql], {f"p{number}": value for number, value in enumerate(params)}

    async def write(self, sql: str, params: Params) -> object:
        async with self.engine.begin() as connection:
            return await connection.execute(*self.statement(sql, params))

    async def read(self, sql: str, params: Params) -> Sequence[Any]:
        async with self.reading.connect() as connection:
            return (await connection.execute(*self.statement(sql, params))).fetchall()

    async def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> object:
        async with self.engine.begin() as connection:
            return await connection.execute(insert(note), [{"agent": agent, "body": body} for agent, body in rows])

    async def find_or_create(self, name: str) -> object:
        async with self.engine.begin() as connection:
            row = (await connection.execute(*self.statement(FIND, (name,)))).fetchone()
            return row[0] if row else (await connection.execute(*self.statement(INSERT_NAME, (name,)))).lastrowid

    async def stream(self, sql: str) -> AsyncIterator[Any]:
        async with self.reading.connect() as connection:
            async for row in await connection.stream(text(sql)):
                yield row


class SqlalchemyBest(Sqlalchemy):
    """Its best case: single writes in autocommit on a pool of one, so that none waits for SQLite's lock, and SQL given
    to the driver as it is; four readers."""

    name = "SQLAlchemy, best case"
    page = "https://docs.sqlalchemy.org/en/20/core/connections.html#dbapi-autocommit"
    options: ClassVar[dict[str, Any]] = {"pool_size": 1, "max_overflow": 0, "pool_timeout": 60}

    async def open(self) -> None:
        await super().open()
        self.writing = self.make_engine(**self.options).execution_options(isolation_level="AUTOCOMMIT")
        await self.reading.dispose()
        readers = self.make_engine(pool_size=4, max_overflow=0, pool_timeout=60)
        self.reading = readers.execution_options(isolation_level="AUTOCOMMIT")

    async def close(self) -> None:
        await super().close()
        await self.writing.dispose()

    async def write(self, sql: str, params: Params) -> object:
        async with self.writing.connect() as connection:
            return await connection.exec_driver_sql(sql, tuple(params))

    async def read(self, sql: str, params: Params) -> Sequence[Any]:
        async with self.reading.connect() as connection:
            return (await connection.exec_driver_sql(sql, tuple(params))).fetchall()

    async def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> object:
        async with self.engine.begin() as connection:
            return await connection.exec_driver_sql(sql, list(rows))
