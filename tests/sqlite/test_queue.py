"""The writer's queue: order, room, and how much of it makes a batch."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import QueueFull
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.batches import time_for_batches
from tests.support.gates import Gate
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO log (job) VALUES (?)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        yield db


@pytest.fixture
async def narrow(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """As ``db``, with room for five."""
    async with aiomemdb.connect(db_path, max_pending=5) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        yield db


async def jobs(db: SQLiteDatabase) -> list[int]:
    return [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")]


# -- order ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
async def test_jobs_commit_in_the_order_in_which_they_were_enqueued(db: SQLiteDatabase, seed: int) -> None:
    dice = random.Random(seed)
    enqueued: list[int] = []

    def insert(conn: sqlite3.Connection, job: int) -> None:
        conn.execute(INSERT, (job,))

    async def agent(first: int) -> None:
        for job in range(first, first + 20):
            for _ in range(dice.randint(0, 2)):
                await asyncio.sleep(0)
            # Each verb enqueues before it awaits anything.
            enqueued.append(job)
            kind = dice.randrange(7)
            if kind == 0:
                await db.write(INSERT, (job,))
            elif kind == 1:
                db.submit(INSERT, (job,))
            elif kind == 2:
                await db.write(INSERT, (job,), durable=True)
            elif kind == 3:
                await db.write_many(INSERT, [(job,)])
            elif kind == 4:
                await db.write_fn(insert, job)
            elif kind == 5:
                await db.write_fn(insert, job, once=True)
            else:
                async with db.transaction() as tx:
                    await tx.write(INSERT, (job,))

    await asyncio.gather(*(agent(100 * n) for n in range(20)))
    await db.flush()
    assert await jobs(db) == enqueued


async def test_a_flush_comes_behind_all_that_was_submitted_before_it(db: SQLiteDatabase) -> None:
    submitted = [db.submit(INSERT, (job,)) for job in range(3000)]
    await db.flush()
    assert all(future.done() for future in submitted)
    assert len(await jobs(db)) == 3000


async def test_jobs_that_a_batch_had_no_time_for_keep_their_place(db: SQLiteDatabase) -> None:
    def insert_slowly(conn: sqlite3.Connection, job: int) -> None:
        time.sleep(0.002)
        conn.execute(INSERT, (job,))

    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        tasks = [asyncio.create_task(db.write_fn(insert_slowly, job)) for job in range(40)]
        await asyncio.sleep(0)
        gate.open()
        await held
        late = [asyncio.create_task(db.write(INSERT, (job,))) for job in range(40, 80)]
        await asyncio.gather(*tasks, *late)
    assert await jobs(db) == list(range(80))


# -- room ----------------------------------------------------------------------------------------------------


async def test_submit_is_refused_where_max_pending_jobs_wait(narrow: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(narrow.write_fn(gate.block))
        await gate.wait_entered()
        accepted = [narrow.submit(INSERT, (job,)) for job in range(5)]
        with pytest.raises(QueueFull, match="max_pending=5") as caught:
            narrow.submit(INSERT, (9,))
        assert caught.value.applied is False
        gate.open()
        await held
        await asyncio.gather(*accepted)
    await narrow.submit(INSERT, (5,))
    assert await jobs(narrow) == [0, 1, 2, 3, 4, 5]


async def test_write_waits_its_turn_where_submit_is_refused_and_is_not_overtaken(narrow: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(narrow.write_fn(gate.block))
        await gate.wait_entered()
        writes = [asyncio.create_task(narrow.write(INSERT, (job,))) for job in range(20)]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            narrow.submit(INSERT, (99,))
        gate.open()
        submitted: asyncio.Future[int | None] | None = None
        while submitted is None:
            try:
                submitted = narrow.submit(INSERT, (20,))
            except QueueFull:
                await asyncio.sleep(0)
        await asyncio.gather(held, submitted, *writes)
    assert await jobs(narrow) == list(range(21))


@pytest.mark.parametrize("how", ["submit", "write"])
async def test_cancelled_jobs_free_their_room(narrow: SQLiteDatabase, how: str) -> None:
    with Gate() as gate:
        held = asyncio.create_task(narrow.write_fn(gate.block))
        await gate.wait_entered()
        waiting: list[asyncio.Future[int | None]] = [
            narrow.submit(INSERT, (job,)) if how == "submit" else asyncio.create_task(narrow.write(INSERT, (job,)))
            for job in range(5)
        ]
        await asyncio.sleep(0)
        with pytest.raises(QueueFull):
            narrow.submit(INSERT, (9,))
        waiting[1].cancel()
        waiting[3].cancel()
        await asyncio.sleep(0)
        fresh = [narrow.submit(INSERT, (job,)) for job in (5, 6)]
        with pytest.raises(QueueFull):
            narrow.submit(INSERT, (9,))
        gate.open()
        await held
        await asyncio.gather(*fresh, *waiting, return_exceptions=True)
    assert await jobs(narrow) == [0, 2, 4, 5, 6]


async def test_ten_thousand_jobs_cancelled_at_once_cost_no_time_to_speak_of(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        kept = db.submit(INSERT, (-1,))
        tasks = [asyncio.create_task(db.write(INSERT, (job,))) for job in range(10_000)]
        await asyncio.sleep(0)
        began = time.monotonic()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        took = time.monotonic() - began
        assert db.statistics().pending < 2000  # most of them are not kept until their turn comes
        gate.open()
        await held
        await kept
    assert took < 15.0, "looking through the queue once for each would take half a minute"
    assert await jobs(db) == [-1]
    await assert_whole(db)


async def test_jobs_cancelled_while_their_batch_waits_for_a_lock_fail_no_job_behind_them(db_path: Path) -> None:
    """Those behind a batch that met a lock fail with it, and it is counted who they are::

    1 in the batch, waits    1500 behind it    1500 are cancelled    1 more comes    lock_timeout
    """
    async with aiomemdb.connect(db_path, lock_timeout=0.3) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        other = sqlite3.connect(db_path, timeout=0, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            with Gate() as gate:
                # A transaction stays alone, so that the others are behind it and not with it. This one begins at once.
                first = asyncio.ensure_future(db.transaction(durable=True).__aenter__())
                behind = [asyncio.create_task(db.write(INSERT, (job,))) for job in range(1500)]
                await eventually(lambda: db.statistics().running > 0)
                for task in behind:
                    task.cancel()
                await asyncio.wait(behind)
                fresh = asyncio.create_task(db.write(INSERT, (-1,)))
                with pytest.raises(aiomemdb.LockTimeout):
                    await first
                other.rollback()
                gate.open()
                await fresh
        finally:
            other.close()
        assert await jobs(db) == [-1]


# -- batches -------------------------------------------------------------------------------------------------


async def test_jobs_that_wait_together_make_one_batch(db: SQLiteDatabase) -> None:
    await db.flush()
    before = db.statistics().batches
    with time_for_batches():
        await asyncio.gather(*(db.write(INSERT, (job,)) for job in range(100)))
    assert db.statistics().batches - before <= 2


async def test_slow_jobs_queued_behind_each_other_are_split_into_several_batches(db: SQLiteDatabase) -> None:
    def slow(conn: sqlite3.Connection) -> None:
        time.sleep(0.006)  # each of them is more than a batch's time

    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        before = db.statistics().batches
        tasks = [asyncio.create_task(db.write_fn(slow)) for _ in range(24)]
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(held, *tasks)
    assert db.statistics().batches - before >= 20
