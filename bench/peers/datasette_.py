"""datasette's Database: one write thread with a queue, a pool of threads for reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Sequence
from types import ModuleType
from typing import Any

from _harness import Params
from datasette import hookimpl
from datasette.app import Datasette
from datasette.database import Database
from datasette.plugins import pm

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["DatasetteDatabase"]


class DatasetteDatabase(Contestant):
    """Four read threads, as aiomemdb has, in place of its three; a plugin sets the PRAGMA that all contestants have."""

    name = "datasette's Database"
    page = "https://docs.datasette.io/en/stable/internals.html#database-class"

    async def open(self) -> None:
        self.plugin = ModuleType("bench_plugin")  # what it loads from --plugins-dir are modules
        self.plugin.prepare_connection = self.prepare_connection  # type: ignore[attr-defined]
        pm.register(self.plugin)
        self.datasette = Datasette(settings={"num_sql_threads": 4, "sql_time_limit_ms": 60_000})
        database = Database(self.datasette, path=self.path, is_mutable=True)
        self.db = self.datasette.add_database(database, name="bench")

    @hookimpl
    def prepare_connection(self, conn: sqlite3.Connection) -> None:
        conn.execute(f"PRAGMA synchronous={self.synchronous}")

    async def close(self) -> None:
        self.datasette.executor.shutdown()
        self.db.close()
        pm.unregister(self.plugin)

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        return self.db.execute_write(sql, params)

    async def read(self, sql: str, params: Params) -> Sequence[Any]:
        return (await self.db.execute(sql, params)).rows

    def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> Awaitable[object]:
        return self.db.execute_write_many(sql, rows)

    def find_or_create(self, name: str) -> Awaitable[object]:
        def act(connection: sqlite3.Connection) -> Any:
            with connection:
                row = connection.execute(FIND, (name,)).fetchone()
                return row[0] if row else connection.execute(INSERT_NAME, (name,)).lastrowid

        return self.db.execute_write_fn(act)
