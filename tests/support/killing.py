"""Kills database threads, and closes loops, under their users."""

from __future__ import annotations

import asyncio
import ctypes
from contextlib import AsyncExitStack

from aiomemdb.sqlite.connection.connection import Connection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.whole import eventually


class Killed(BaseException):
    """What a killed thread dies of."""


def writer_of(db: SQLiteDatabase) -> Connection:
    return db._writer.connection  # type: ignore[union-attr]


def readers_of(db: SQLiteDatabase) -> list[Connection]:
    assert db._readers is not None
    return list(db._readers.connections)


async def all_readers_of(db: SQLiteDatabase) -> list[Connection]:
    """Has each reader opened that there may be."""
    assert db._readers is not None
    async with AsyncExitStack() as stack:
        for _ in range(db._readers._at_most - 1):
            await stack.enter_async_context(db.snapshot())
        await db.read("SELECT 1")
    await eventually(lambda: db.statistics().readers_busy == 0)
    return readers_of(db)


async def all_threads_of(db: SQLiteDatabase) -> list[Connection]:
    return [writer_of(db), *await all_readers_of(db)]


def threads_of(db: SQLiteDatabase) -> list[Connection]:
    return [writer_of(db), *readers_of(db)]


def kill_behind(connection: Connection) -> None:
    """The thread dies when it has done what was posted to it so far."""

    def die() -> None:
        raise Killed(connection.name)

    connection.post(die)


def kill_now(connection: Connection) -> None:
    """The thread dies wherever it is, as soon as it runs Python code."""
    assert connection.thread.ident is not None
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(connection.thread.ident), ctypes.py_object(Killed))


async def ended(connection: Connection) -> None:
    """Waits until the thread has told the loop that it ends, and that was dealt with."""
    async with asyncio.timeout(60):
        await asyncio.shield(connection.stopped)
    assert connection.join(60)
