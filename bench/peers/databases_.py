"""databases: ``await database.execute(query, values)``, as its pages have it; each call opens a connection."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from typing import Any

from _harness import Params
from databases import Database

from ._contestant import FIND, Contestant

__all__ = ["Databases"]


class Databases(Contestant):
    """Its options go to sqlite3.connect: a factory sets the PRAGMA that all contestants have."""

    name = "databases"
    page = "https://www.encode.io/databases/database_queries/"
    most_callers = 1_000  # a connection, and so a thread, for each call

    async def open(self) -> None:
        synchronous = self.synchronous

        class Connection(sqlite3.Connection):
            def __init__(self, *args: Any, **options: Any) -> None:
                super().__init__(*args, **options)
                self.execute(f"PRAGMA synchronous={synchronous}")

        self.database = Database(f"sqlite+aiosqlite:///{self.path}", factory=Connection)
        await self.database.connect()

    async def close(self) -> None:
        await self.database.disconnect()

    @staticmethod
    def query(sql: str, params: Params) -> tuple[str, dict[str, Any]]:
        parts = sql.split("?")
        marked = "".join(f"{part}:p{number}" for number, part in enumerate(parts[:-1])) + parts[-1]
        return marked, {f"p{number}": value for number, value in enumerate(params)}

    async def write(self, sql: str, params: Params) -> object:
        return await self.database.execute(*self.query(sql, params))

    async def read(self, sql: str, params: Params) -> Sequence[Any]:
        return await self.database.fetch_all(*self.query(sql, params))

    async def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        async with self.database.transaction():
            marked = self.query(sql, rows[0])[0]
            await self.database.execute_many(marked, [self.query(sql, row)[1] for row in rows])

    async def find_or_create(self, name: str) -> object:
        """In one statement: its transactions are DEFERRED, and one that reads before it writes fails under load."""
        once = "INSERT INTO entity (name) SELECT :p0 WHERE NOT EXISTS (SELECT 1 FROM entity WHERE name = :p0)"
        async with self.database.connection():
            await self.database.execute(once, {"p0": name})
            return await self.database.fetch_val(*self.query(FIND, (name,)))

    async def stream(self, sql: str) -> AsyncIterator[Any]:
        async for row in self.database.iterate(sql):
            yield row
