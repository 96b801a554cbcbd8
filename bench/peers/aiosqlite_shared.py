"""aiosqlite, one connection shared by all tasks, a commit for each write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import aiosqlite
from _harness import Params
from _names import AIOSQLITE, AIOSQLITE_FOUR

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["AiosqliteFour", "AiosqliteShared"]


class AiosqliteShared(Contestant):
    """In autocommit, one hop a write: with execute() and then commit() it would be two, and tasks that share a
    connection commit each other's halves."""

    name = AIOSQLITE
    page = "https://aiosqlite.omnilib.dev/en/stable/"

    async def open(self) -> None:
        self.db = await aiosqlite.connect(self.path, isolation_level=None)
        await self.db.execute(f"PRAGMA synchronous={self.synchronous}")
        self.lock = asyncio.Lock()

    async def close(self) -> None:
        await self.db.close()

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        return self.db.execute(sql, params)

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        return self.db.execute_fetchall(sql, params)  # type: ignore[return-value]

    async def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        async with self.lock:  # the transaction is the connection's, and so everybody's
            await self.db.execute("BEGIN IMMEDIATE")
            await self.db.executemany(sql, rows)
            await self.db.commit()

    async def find_or_create(self, name: str) -> object:
        async with self.lock:
            for row in await self.db.execute_fetchall(FIND, (name,)):
                return row[0]
            return (await self.db.execute(INSERT_NAME, (name,))).lastrowid

    async def stream(self, sql: str) -> AsyncIterator[Any]:
        async with self.db.execute(sql) as cursor:
            async for row in cursor:
                yield row


class AiosqliteFour(AiosqliteShared):
    """Four connections, queries dealt out in turn: as many threads as aiomemdb has readers. For reads alone."""

    name = AIOSQLITE_FOUR

    async def open(self) -> None:
        await super().open()
        self.others = [await aiosqlite.connect(self.path, isolation_level=None) for _ in range(3)]
        self.turns = [self.db, *self.others]
        self.turn = 0

    async def close(self) -> None:
        for other in self.others:
            await other.close()
        await super().close()

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        self.turn = (self.turn + 1) % 4
        return self.turns[self.turn].execute_fetchall(sql, params)  # type: ignore[return-value]
