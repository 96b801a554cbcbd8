"""What every adapter must withstand: wrong databases, tables of others, keys that can't be kept, values too large."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Any, TypeAlias

import pytest

import aiomemdb
from aiomemdb import SQLiteDatabase
from tests.support.plain import assert_healthy, plain
from tests.support.whole import assert_whole

__all__ = ["NO_KEYS", "attack", "contents", "refuses", "survives_cancellations"]

#: Keys that nothing can be kept under.
NO_KEYS = ["nul \0", "half \ud800"]

#: Makes an adapter.
Adapter: TypeAlias = Callable[[SQLiteDatabase], Any]
#: Writes a text by an adapter.
Write: TypeAlias = Callable[[Any, str], Awaitable[object]]


async def attack(path: Path, adapter: Adapter, write: Write, table: str) -> None:
    """Each is an error at the call that says what is wrong, and nothing is written.

    Args:
        adapter: makes one on a database.
        write: writes a text by it.
        table: one that it makes.
    """
    for no_database in (None, str(path), sqlite3):
        with pytest.raises(TypeError, match=r"aiomemdb\.connect"):
            adapter(no_database)  # type: ignore[arg-type]
    async with aiomemdb.connect(path.with_name("closed.db")) as db:
        closed = adapter(db)
    with pytest.raises(aiomemdb.DatabaseClosed):
        await write(closed, "x")
    unopened = adapter(aiomemdb.connect(path))
    with pytest.raises(aiomemdb.DatabaseClosed):
        await write(unopened, "x")

    other = path.with_name("other.db")
    with closing(sqlite3.connect(other)) as conn:
        conn.execute(f"CREATE TABLE {table} (colour TEXT)")
    before = plain(other, "SELECT name, sql FROM sqlite_schema")
    async with aiomemdb.connect(other) as db:
        with pytest.raises(ValueError, match=table):
            await write(adapter(db), "x")
    assert plain(other, "SELECT name, sql FROM sqlite_schema") == before

    async with aiomemdb.connect(path, max_value_bytes=10_000) as db:
        subject = adapter(db)
        await write(subject, "first")
        before = await contents(db)
        with pytest.raises(sqlite3.DataError, match="too big"):
            await write(subject, "x" * 20_000)
        with pytest.raises(aiomemdb.ReentrancyError):
            async with db.transaction() as tx:
                await tx.read("SELECT 1")
                await write(subject, "y")
        assert await contents(db) == before
        await write(subject, "second")
        await assert_whole(db)
    assert_healthy(path)
    async with aiomemdb.connect(path, read_only=True) as db:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await write(adapter(db), "third")


async def refuses(db: SQLiteDatabase, call: Callable[[], Awaitable[object]], match: str) -> None:
    """A call with an argument that can't be used is an error that names it, and writes nothing."""
    before = await contents(db)
    with pytest.raises((TypeError, ValueError), match=match):
        async with asyncio.timeout(30):
            await call()
    assert await contents(db) == before


async def contents(db: SQLiteDatabase) -> dict[str, list[Any]]:
    """All rows of all tables."""
    tables = await db.read(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return {name: [tuple(row) for row in await db.read(f"SELECT * FROM {name}")] for (name,) in tables}


async def survives_cancellations(
    db: SQLiteDatabase, write: Callable[[int], Awaitable[object]], agents: int = 40
) -> None:
    """Agents that write, each cancelled at another step of the loop; the database is whole afterwards."""

    async def agent(number: int) -> None:
        task = asyncio.ensure_future(write(number))
        for _ in range(number % 7):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    await asyncio.gather(*[agent(number) for number in range(agents)])
    await assert_whole(db)
