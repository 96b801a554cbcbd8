"""Every verb, as a job that can be cancelled: it writes its number into a log, so often that half of it is seen."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable

from aiomemdb.sqlite.engine.database import SQLiteDatabase

LOG = "CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER); CREATE INDEX by_job ON log (job)"
INSERT = "INSERT INTO log (job) VALUES (?)"

Verb = Callable[[SQLiteDatabase, int], Awaitable[object]]


async def write_fn(db: SQLiteDatabase, job: int) -> None:
    def insert_twice(conn: sqlite3.Connection) -> None:
        conn.execute(INSERT, (job,))
        conn.execute(INSERT, (job,))

    await db.write_fn(insert_twice)


async def submit(db: SQLiteDatabase, job: int) -> None:
    await db.submit(INSERT, (job,))


async def transaction(db: SQLiteDatabase, job: int) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (job,))
        await tx.read("SELECT count(*) FROM log")
        await tx.write(INSERT, (job,))


async def nested_transaction(db: SQLiteDatabase, job: int) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (job,))
        async with tx.transaction() as inner:
            await inner.write(INSERT, (job,))
            async with inner.transaction() as innermost:
                await innermost.write(INSERT, (job,))


async def timed_transaction(db: SQLiteDatabase, job: int) -> None:
    async with db.transaction(timeout=30, durable=True) as tx:
        await tx.write(INSERT, (job,), timeout=30)
        await tx.read("SELECT count(*) FROM log", timeout=30)


async def hold(db: SQLiteDatabase, job: int) -> None:
    held = await db.begin()
    try:
        await held.write(INSERT, (job,))
        nested = await held.begin()
        await nested.write_any(INSERT, (job,))
        await nested.commit()
    except BaseException:
        await held.rollback()
        raise
    await held.commit()


async def read_in_transaction(db: SQLiteDatabase, job: int) -> None:
    async with db.transaction() as tx:
        await db.read_value("SELECT count(*) FROM log")
        await tx.write(INSERT, (job,))


async def stream(db: SQLiteDatabase, job: int) -> None:
    async for _ in db.read_stream("SELECT value FROM json_each('[1, 2, 3, 4, 5]')", chunk=2):
        pass


async def stream_block(db: SQLiteDatabase, job: int) -> None:
    async with db.read_stream("SELECT value FROM json_each('[1, 2, 3, 4, 5]')", chunk=2, timeout=30) as rows:
        async for _ in rows:
            await asyncio.sleep(0)


async def snapshot(db: SQLiteDatabase, job: int) -> None:
    async with db.snapshot(timeout=30) as snap:
        await snap.read("SELECT count(*) FROM log")
        await snap.read_value("SELECT count(*) FROM log", timeout=30)


async def write_with_room_for_others(db: SQLiteDatabase, job: int) -> None:
    # Behind other jobs, so that it is cancelled while it waits in the queue too.
    others = []
    for _ in range(20):
        others.append(db.submit("PRAGMA user_version"))
        others[-1].add_done_callback(lambda done: done.cancelled() or done.exception())  # a close() may fail it
    try:
        await db.write(INSERT, (job,))
    finally:
        await asyncio.wait(others)


# By name: the verb, which gets a job's number, and how many rows of the log make a whole job.
VERBS: dict[str, tuple[Verb, int]] = {
    "write": (lambda db, job: db.write(INSERT, (job,)), 1),
    "write durable": (lambda db, job: db.write(INSERT, (job,), durable=True), 1),
    "write timeout": (lambda db, job: db.write(INSERT, (job,), timeout=30), 1),
    "write behind others": (write_with_room_for_others, 1),
    "write_count": (lambda db, job: db.write_count(INSERT, (job,)), 1),
    "write_returning": (lambda db, job: db.write_returning(f"{INSERT} RETURNING id", (job,)), 1),
    "write_any": (lambda db, job: db.write_any(INSERT, (job,)), 1),
    "write_any of a query": (lambda db, job: db.write_any("SELECT * FROM log"), 0),
    "write_many": (lambda db, job: db.write_many(INSERT, [(job,)] * 3), 3),
    "write_script": (lambda db, job: db.write_script(f"{INSERT.replace('?', str(job))};" * 2), 2),
    "write_fn": (write_fn, 2),
    "submit": (submit, 1),
    "flush": (lambda db, job: db.flush(), 0),
    "transaction": (transaction, 2),
    "nested transaction": (nested_transaction, 3),
    "timed transaction": (timed_transaction, 1),
    "read in a transaction": (read_in_transaction, 1),
    "hold": (hold, 2),
    "read": (lambda db, job: db.read("SELECT * FROM log"), 0),
    "read timeout": (lambda db, job: db.read("SELECT * FROM log", timeout=30), 0),
    "read_one": (lambda db, job: db.read_one("SELECT * FROM log"), 0),
    "read_value": (lambda db, job: db.read_value("SELECT * FROM log"), 0),
    "read_fn": (lambda db, job: db.read_fn(lambda conn: conn.execute("SELECT 1").fetchall()), 0),
    "read_stream": (stream, 0),
    "read_stream block": (stream_block, 0),
    "snapshot": (snapshot, 0),
    "checkpoint": (lambda db, job: db.checkpoint(), 0),
    "optimize": (lambda db, job: db.optimize(), 0),
    "vacuum": (lambda db, job: db.vacuum(), 0),
}
