from __future__ import annotations

import asyncio
import dataclasses
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file import files
from aiomemdb.sqlite.file.hazards import has_wal_reset_bug
from aiomemdb.sqlite.reading import leases
from tests.support.batches import time_for_batches
from tests.support.gates import Gate
from tests.support.queries import sql_gate
from tests.support.whole import eventually

INSERT = "INSERT INTO t (x) VALUES (?)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE)")
        yield db


async def test_statistics_are_a_frozen_value(db: SQLiteDatabase) -> None:
    statistics = db.statistics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        statistics.pending = 1  # type: ignore[misc]
    await db.write(INSERT, (1,))
    assert statistics.writes == 1 and db.statistics().writes == 2


async def test_a_new_database_has_done_nothing(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        statistics = db.statistics()
    nothing = {name: value for name, value in dataclasses.asdict(statistics).items() if value}
    assert nothing.pop("wal_reset_bug", False) == has_wal_reset_bug()  # of the library, not of what was done
    assert nothing == {"readers": 1}


async def test_statistics_can_be_read_after_close(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x)")
    assert db.statistics().writes == 1


async def test_before_the_opening_there_are_none(db_path: Path) -> None:
    with pytest.raises(aiomemdb.DatabaseClosed):
        aiomemdb.connect(db_path).statistics()


async def test_pending_and_running_are_what_waits_and_what_the_writer_is_at(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        futures = [db.submit(INSERT, (n,)) for n in range(5)]
        statistics = db.statistics()
        assert (statistics.pending, statistics.running) == (5, 1)
        gate.open()
        await asyncio.gather(held, *futures)
    statistics = db.statistics()
    assert (statistics.pending, statistics.running) == (0, 0)


async def test_a_transactions_holder_is_named_as_long_as_it_is_open(db: SQLiteDatabase) -> None:
    async def hold() -> None:
        async with db.transaction():
            statistics = db.statistics()
            assert (statistics.transaction_holder, statistics.running) == ("careful agent", 1)

    await asyncio.create_task(hold(), name="careful agent")
    statistics = db.statistics()
    assert (statistics.transaction_holder, statistics.running) == (None, 0)


async def test_writes_counts_what_was_committed_and_write_errors_what_was_not(db: SQLiteDatabase) -> None:
    before = db.statistics()
    await db.write(INSERT, (1,))
    await db.write_many(INSERT, [(2,), (3,)])  # one job
    await db.write_fn(lambda conn: None)
    with pytest.raises(sqlite3.IntegrityError):
        await db.write(INSERT, (1,))
    after = db.statistics()
    assert (after.writes - before.writes, after.write_errors - before.write_errors) == (3, 1)


async def test_each_write_of_a_transaction_counts_once_it_is_committed(db: SQLiteDatabase) -> None:
    before = db.statistics()
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        await tx.read("SELECT * FROM t")
        with pytest.raises(sqlite3.IntegrityError):
            await tx.write(INSERT, (1,))
        async with tx.transaction() as nested:
            await nested.write(INSERT, (2,))
        with pytest.raises(ZeroDivisionError):
            async with tx.transaction() as nested:
                await nested.write(INSERT, (3,))
                raise ZeroDivisionError
        assert db.statistics().writes == before.writes
    after = db.statistics()
    assert (after.writes - before.writes, after.write_errors - before.write_errors) == (2, 1)


async def test_a_transaction_that_was_rolled_back_counts_no_writes(db: SQLiteDatabase) -> None:
    before = db.statistics()
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            raise ZeroDivisionError
    assert db.statistics().writes == before.writes


async def test_batches_and_their_sizes(db: SQLiteDatabase) -> None:
    before = db.statistics()
    with Gate() as gate, time_for_batches():
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        futures = [db.submit(INSERT, (n,)) for n in range(5)]
        gate.open()
        await asyncio.gather(held, *futures)
    after = db.statistics()
    assert (after.batches - before.batches, after.largest_batch) == (2, 5)
    assert after.mean_batch == pytest.approx(after.writes / after.batches)


async def test_a_batch_that_one_job_had_spoilt_is_a_split(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        good, bad = db.submit(INSERT, (2,)), db.submit("INSERT OR ROLLBACK INTO t (x) VALUES (1)")
        gate.open()
        await asyncio.gather(held, good, bad, return_exceptions=True)
    assert isinstance(bad.exception(), sqlite3.IntegrityError)
    assert db.statistics().batch_splits == 1


async def test_queue_wait_is_what_jobs_waited_for_the_writer(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        waiting = db.submit(INSERT, (1,))
        enqueued = time.monotonic()
        await db.read("SELECT 1")
        at_least = time.monotonic() - enqueued
        gate.open()
        await asyncio.gather(held, waiting)
    waited = db.statistics().queue_wait
    assert waited >= at_least
    await db.write(INSERT, (2,))
    statistics = db.statistics()
    assert statistics.queue_wait < statistics.queue_wait_max == waited


async def test_readers_busy_and_reads_pending(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, readers=2, prepare=sql_gate(gate)) as db:
            reads = [asyncio.create_task(db.read("SELECT gate()")) for _ in range(2)]
            await gate.wait_entered(2)
            waiting = asyncio.create_task(db.read("SELECT 1"))
            await asyncio.sleep(0)
            statistics = db.statistics()
            assert (statistics.readers, statistics.readers_busy, statistics.reads_pending) == (2, 2, 1)
            gate.open()
            await asyncio.gather(*reads, waiting)
            await eventually(lambda: db.statistics().readers_busy == 0)
            assert db.statistics().reads_pending == 0
            async with db.snapshot():
                assert db.statistics().readers_busy == 1


async def test_reads_counts_every_query_that_was_answered(db: SQLiteDatabase) -> None:
    await db.read("SELECT 1")
    await db.read_one("SELECT 1")
    await db.read_value("SELECT 1")
    await db.read_fn(lambda conn: None)
    with pytest.raises(sqlite3.OperationalError):
        await db.read("SELECT * FROM missing")
    await eventually(lambda: db.statistics().reads == 5)
    async with db.snapshot() as snapshot:
        await snapshot.read("SELECT 1")
        with pytest.raises(sqlite3.OperationalError):
            await snapshot.read("SELECT * FROM missing")
    assert [row[0] async for row in db.read_stream("SELECT 1")] == [1]  # one query, however many hops
    async with db.transaction() as tx:
        await tx.read("SELECT 1")
    assert db.statistics().reads == 9


async def test_reader_wait_is_what_a_snapshot_waited(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(leases, "monotonic", lambda: now)
    async with aiomemdb.connect(db_path, readers=1) as db:

        async def take() -> None:
            async with db.snapshot():
                pass

        async with db.snapshot():
            assert db.statistics().reader_wait_max == 0.0
            waiting = asyncio.create_task(take())
            await asyncio.sleep(0)
            now += 3.0
        await waiting
        assert db.statistics().reader_wait_max == 3.0
        await take()
        assert db.statistics().reader_wait_max == 3.0


async def test_wal_bytes_is_the_logs_size_when_it_was_looked_at(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_BETWEEN_LOOKS", 0.0)  # each commit looks
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE)")
        # Few enough rows that the log is not yet checkpointed.
        await db.write_many(INSERT, [(n,) for n in range(1100)])
        assert db.statistics().wal_bytes == os.stat(f"{db_path}-wal").st_size > 0
        async with db.transaction() as tx:
            await tx.write_many(INSERT, [(-n,) for n in range(1, 1100)])
        assert db.statistics().wal_bytes == os.stat(f"{db_path}-wal").st_size
        assert await db.checkpoint()
        assert db.statistics().wal_bytes == os.stat(f"{db_path}-wal").st_size == 0


async def test_checkpoints_counts_those_that_were_asked_for_once_each(db: SQLiteDatabase) -> None:
    for count in (1, 2, 3):
        await db.write(INSERT, (count,))
        await db.checkpoint()
        assert db.statistics().checkpoints == count


async def test_a_read_only_database_has_only_readers(db: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, read_only=True) as reading:
        await reading.read("SELECT * FROM t")
        statistics = reading.statistics()
        assert (statistics.readers, statistics.batches, statistics.writes, statistics.wal_bytes) == (1, 0, 0, 0)
