"""peewee's SqliteQueueDatabase: a writer thread with a queue, made for threads; asyncio waits in worker threads."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from _harness import Params
from playhouse.sqliteq import SqliteQueueDatabase

from ._contestant import FIND, Contestant

__all__ = ["PeeweeQueue"]


class PeeweeQueue(Contestant):
    """A write is queued on the loop, at once; only the wait for its result takes one of 32 threads. Writes of many rows
    in a transaction are not offered: its atomic() is refused."""

    name = "peewee's SqliteQueueDatabase"
    page = "https://docs.peewee-orm.com/en/latest/peewee/playhouse.html#sqliteq"

    async def open(self) -> None:
        self.db = SqliteQueueDatabase(self.path, autostart=True, pragmas={"synchronous": self.synchronous})
        self.threads = ThreadPoolExecutor(32)
        self.loop = asyncio.get_running_loop()

    async def close(self) -> None:
        self.db.stop()
        self.threads.shutdown()

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        cursor = self.db.execute_sql(sql, params)
        return self.loop.run_in_executor(self.threads, lambda: cursor.rowcount)

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        return self.loop.run_in_executor(self.threads, lambda: self.db.execute_sql(sql, params).fetchall())

    async def find_or_create(self, name: str) -> object:
        """In one statement, as it has no transactions."""
        once = "INSERT INTO entity (name) SELECT ? WHERE NOT EXISTS (SELECT 1 FROM entity WHERE name = ?)"
        await self.write(once, (name, name))
        [row] = await self.read(FIND, (name,))
        return row[0]
