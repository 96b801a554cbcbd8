"""aiosqlite, a connection for each task: what its documentation's ``async with aiosqlite.connect(...)`` leads to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import aiosqlite
from _harness import Params

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["AiosqliteEach"]


class AiosqliteEach(Contestant):
    """In autocommit, one hop a write; SQLite's busy timeout is sqlite3's default, 5 s."""

    name = "aiosqlite, one a task"
    page = "https://aiosqlite.omnilib.dev/en/stable/"
    most_callers = 1_000

    async def open(self) -> None:
        pass

    async def close(self) -> None:
        pass

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Contestant]:
        own = AiosqliteEach(self.path, synchronous=self.synchronous)
        async with aiosqlite.connect(self.path, isolation_level=None) as own.db:
            await own.db.execute(f"PRAGMA synchronous={self.synchronous}")
            yield own

    db: aiosqlite.Connection

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        return self.db.execute(sql, params)

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        return self.db.execute_fetchall(sql, params)  # type: ignore[return-value]

    async def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        await self.db.execute("BEGIN IMMEDIATE")
        await self.db.executemany(sql, rows)
        await self.db.commit()

    async def find_or_create(self, name: str) -> object:
        await self.db.execute("BEGIN IMMEDIATE")
        try:
            for row in await self.db.execute_fetchall(FIND, (name,)):
                return row[0]
            return (await self.db.execute(INSERT_NAME, (name,))).lastrowid
        finally:
            await self.db.commit()

    async def stream(self, sql: str) -> AsyncIterator[Any]:
        async with self.db.execute(sql) as cursor:
            async for row in cursor:
                yield row
