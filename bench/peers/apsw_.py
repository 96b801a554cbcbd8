"""apsw's own asyncio mode (since 3.52): one connection on a thread of its own, with its recommended settings.

apsw brings a SQLite library of its own, here a newer one than the other contestants have.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from typing import Any

import apsw
import apsw.aio
import apsw.bestpractice
from _harness import Params

from ._contestant import FIND, INSERT_NAME, Contestant

__all__ = ["ApswAsync"]


class ApswAsync(Contestant):
    name = "apsw, async"
    page = "https://rogerbinns.github.io/apsw/async.html"

    async def open(self) -> None:
        apsw.bestpractice.apply(apsw.bestpractice.recommended)
        # On its own thread, in async_run, the connection's methods are synchronous, which its types don't say.
        self.db: Any = await apsw.Connection.as_async(self.path)
        await self.db.pragma("synchronous", self.synchronous)

    async def close(self) -> None:
        await self.db.aclose()

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        return self.db.execute(sql, params)

    async def read(self, sql: str, params: Params) -> Sequence[Any]:
        rows: Sequence[Any] = await (await self.db.execute(sql, params)).fetchall()
        return rows

    def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> Awaitable[object]:
        def act() -> None:
            with self.db:
                self.db.executemany(sql, rows)

        return self.db.async_run(act)

    def find_or_create(self, name: str) -> Awaitable[object]:
        """On the connection's thread, where no other call comes between: its page recommends that for several calls."""

        def act() -> Any:
            for row in self.db.execute(FIND, (name,)):
                return row[0]
            self.db.execute(INSERT_NAME, (name,))
            return self.db.last_insert_rowid()

        return self.db.async_run(act)

    async def stream(self, sql: str) -> AsyncIterator[Any]:
        async for row in await self.db.execute(sql):
            yield row
