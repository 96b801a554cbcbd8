"""aiosqlitepool: five aiosqlite connections with the settings that its README recommends, a commit for each write."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import aiosqlite
from _harness import Params
from aiosqlitepool import SQLiteConnectionPool

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["Aiosqlitepool"]


class Aiosqlitepool(Contestant):
    name = "aiosqlitepool"
    page = "https://pypi.org/project/aiosqlitepool/ (High-performance SQLite connection configuration)"

    async def open(self) -> None:
        self.pool = SQLiteConnectionPool(connection_factory=self.connect)

    async def connect(self) -> aiosqlite.Connection:
        connection = await aiosqlite.connect(self.path)
        for pragma in (
            "journal_mode = WAL",
            f"synchronous = {self.synchronous}",
            "cache_size = 10000",
            "temp_store = MEMORY",
            "foreign_keys = ON",
            "mmap_size = 268435456",
        ):
            await connection.execute(f"PRAGMA {pragma}")
        return connection

    async def close(self) -> None:
        await self.pool.close()

    async def write(self, sql: str, params: Params) -> None:
        async with self.pool.connection() as connection:
            await connection.execute(sql, params)
            await connection.commit()

    async def read(self, sql: str, params: Params) -> Sequence[Any]:
        async with self.pool.connection() as connection:
            rows: Sequence[Any] = await connection.execute_fetchall(sql, params)
            return rows

    async def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        async with self.pool.connection() as connection:
            await connection.executemany(sql, rows)
            await connection.commit()

    async def find_or_create(self, name: str) -> object:
        async with self.pool.connection() as connection:
            await connection.execute("BEGIN IMMEDIATE")
            try:
                for row in await connection.execute_fetchall(FIND, (name,)):
                    return row[0]
                return (await connection.execute(INSERT_NAME, (name,))).lastrowid
            finally:
                await connection.commit()

    async def stream(self, sql: str) -> AsyncIterator[Any]:
        async with self.pool.connection() as connection, connection.execute(sql) as cursor:
            async for row in cursor:
                yield row
