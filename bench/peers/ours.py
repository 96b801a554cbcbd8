"""aiomemdb."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

from _harness import Params

import aiomemdb

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["Aiomemdb"]


class Aiomemdb(Contestant):
    name = "aiomemdb"
    page = "README.md"

    def __init__(self, path: str, *, synchronous: str = "NORMAL", **options: Any) -> None:
        super().__init__(path, synchronous=synchronous)
        self.db = aiomemdb.connect(path, durability="full" if synchronous == "FULL" else "normal", **options)

    async def open(self) -> None:
        await self.db

    async def close(self) -> None:
        await self.db.close()

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        return self.db.write(sql, params)

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        return self.db.read(sql, params)

    def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> Awaitable[object]:
        return self.db.write_many(sql, rows)

    def find_or_create(self, name: str) -> Awaitable[object]:
        return self.db.write_fn(_find_or_create, name)

    def stream(self, sql: str) -> AsyncIterator[Any]:
        return self.db.read_stream(sql)


def _find_or_create(connection: sqlite3.Connection, name: str) -> Any:
    row = connection.execute(FIND, (name,)).fetchone()
    return row[0] if row else connection.execute(INSERT_NAME, (name,)).lastrowid
