"""``timeout=`` of a write or a read, and ``lock_timeout``."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import LockTimeout, ReadTimeout, WriteTimeout
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file.turnstile import Turnstile
from tests.support.batches import time_for_batches
from tests.support.gates import Gate
from tests.support.killing import all_readers_of
from tests.support.others import file_waits
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO log (job) VALUES (?)"
LONG_QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT max(i) FROM n"
LOCK_TIMEOUT = 0.5


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, lock_timeout=LOCK_TIMEOUT) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        yield db


@pytest.fixture
async def hasty(db: SQLiteDatabase, db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """Another handle on the same file, for what never comes."""
    async with aiomemdb.connect(db_path, lock_timeout=0.1) as hasty:
        yield hasty


@contextmanager
def lock_held_by_another_program(path: Path) -> Iterator[sqlite3.Connection]:
    """A plain connection that stands in a write transaction; commit or rollback releases the lock."""
    conn = sqlite3.connect(path, timeout=0, isolation_level=None)
    try:
        conn.execute("BEGIN IMMEDIATE")
        yield conn
    finally:
        conn.close()


async def jobs(db: SQLiteDatabase) -> list[int]:
    return [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")]


# -- writes --------------------------------------------------------------------------------------------------


async def test_a_write_that_times_out_while_it_waits_never_runs(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        with pytest.raises(WriteTimeout, match="never runs") as caught:
            await db.write(INSERT, (1,), timeout=0.01)
        gate.open()
        await held
    assert isinstance(caught.value, TimeoutError)
    assert (caught.value.started, caught.value.applied) == (False, False)
    await db.flush()
    assert await jobs(db) == []


async def test_a_write_that_times_out_while_it_runs_runs_to_its_end(db: SQLiteDatabase) -> None:
    def insert_twice(conn: sqlite3.Connection, gate: Gate) -> None:
        conn.execute(INSERT, (1,))
        gate.block()
        conn.execute(INSERT, (2,))

    with Gate() as gate:
        with pytest.raises(WriteTimeout, match="runs to its end") as caught:
            await db.write_fn(insert_twice, gate, timeout=0.05)
        assert (caught.value.started, caught.value.applied) == (True, None)
        gate.open()
        await db.flush()
    assert await jobs(db) == [1, 2]


@pytest.mark.parametrize("timeout", [0, 0.000_001])
async def test_a_timeout_of_next_to_nothing_is_still_one_or_the_other(db: SQLiteDatabase, timeout: float) -> None:
    for job in range(50):
        try:
            await db.write(INSERT, (job,), timeout=timeout)
        except WriteTimeout as error:
            await db.flush()
            there = job in await jobs(db)
            assert not there or error.started
        else:
            assert job in await jobs(db)
    await assert_whole(db)


async def test_a_write_that_is_done_in_time_is_as_one_without_a_timeout(db: SQLiteDatabase) -> None:
    assert await db.write(INSERT, (1,), timeout=30) == 1
    assert await db.write_count("UPDATE log SET job = 2", timeout=30) == 1
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        await db.write("INSERT INTO nowhere VALUES (1)", timeout=30)


async def test_a_timeout_of_one_job_takes_no_other_along(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        others = [db.submit(INSERT, (job,)) for job in range(5)]
        with pytest.raises(WriteTimeout):
            await db.write(INSERT, (9,), timeout=0.01)
        gate.open()
        await asyncio.gather(held, *others)
    assert await jobs(db) == [0, 1, 2, 3, 4]


async def test_a_flush_or_transaction_that_times_out_in_the_queue_says_so(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        for late in (db.flush(timeout=0.01), db.transaction(timeout=0.01).__aenter__()):
            with pytest.raises(WriteTimeout) as caught:
                await late
            assert (caught.value.started, caught.value.applied) == (False, False)
        gate.open()
        await held
    await assert_whole(db)


async def test_a_transaction_that_times_out_waiting_for_a_lock_is_known_not_to_be_applied(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        with lock_held_by_another_program(db_path), pytest.raises(WriteTimeout) as caught:
            async with db.transaction(timeout=0.05):
                raise AssertionError("it must not begin")
        assert (caught.value.started, caught.value.applied) == (False, False)
        await assert_whole(db)


# -- reads ---------------------------------------------------------------------------------------------------


async def test_a_read_that_times_out_is_stopped(db: SQLiteDatabase) -> None:
    for verb in (db.read, db.read_one, db.read_value):
        with pytest.raises(ReadTimeout) as caught:
            await verb(LONG_QUERY, timeout=0.05)
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.started, caught.value.applied) == (True, False)
    await assert_whole(db)


async def test_a_function_that_reads_on_after_its_timeout_is_stopped_at_its_next_query(db: SQLiteDatabase) -> None:
    def query(conn: sqlite3.Connection, gate: Gate) -> None:
        gate.block()
        with suppress(sqlite3.OperationalError):
            conn.execute(LONG_QUERY).fetchall()
        conn.execute(LONG_QUERY).fetchall()

    with Gate() as gate:
        with pytest.raises(ReadTimeout):
            await db.read_fn(query, gate, timeout=0.05)
        gate.open()
        await assert_whole(db)


async def test_a_timed_read_in_a_snapshot_leaves_the_snapshot_as_it_is(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snap:
        assert await snap.read_value("SELECT count(*) FROM log") == 0
        with pytest.raises(ReadTimeout):
            await snap.read(LONG_QUERY, timeout=0.05)
        await db.write(INSERT, (1,))
        assert await snap.read_value("SELECT count(*) FROM log") == 0
    await assert_whole(db)


async def test_a_stream_that_times_out_returns_its_reader(db: SQLiteDatabase) -> None:
    with pytest.raises(ReadTimeout):
        async for _ in db.read_stream(LONG_QUERY, timeout=0.05):
            pass
    await assert_whole(db)


async def test_a_read_that_times_out_while_it_waits_for_a_reader_has_not_started(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        readers = len(await all_readers_of(db))
        held = [asyncio.create_task(db.read_fn(gate.block)) for _ in range(readers)]
        await gate.wait_entered(readers)
        with pytest.raises(ReadTimeout) as caught:
            await db.read("SELECT 1", timeout=0.01)
        assert caught.value.started is False
        gate.open()
        await asyncio.gather(*held)
    await assert_whole(db)


def duration(query: str, path: Path) -> float:
    conn = sqlite3.connect(path)
    began = time.perf_counter()
    conn.execute(query).fetchall()
    conn.close()
    return time.perf_counter() - began


@pytest.mark.parametrize("where", ["database", "snapshot"])
async def test_a_late_interrupt_never_stops_the_next_query(db: SQLiteDatabase, db_path: Path, where: str) -> None:
    # A timeout as long as the query takes (some milliseconds, so that asyncio's clock, which ticks once in one, has a
    # say): it strikes before, within, and right behind it.
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000) SELECT max(i) FROM n"
    usual = min(duration(query, db_path) for _ in range(5))
    stopped = 0
    async with db.snapshot() as snap:
        reader = db if where == "database" else snap
        for n in range(100):
            try:
                await reader.read(query, timeout=usual * (0.5 + n % 20 / 10))
            except ReadTimeout:
                stopped += 1
            assert await reader.read_value("SELECT 1") == 1
            assert await reader.read_value(query) == 12000
    await assert_whole(db)
    assert stopped  # else this has tested nothing


async def test_reads_side_by_side_time_out_each_by_itself(db: SQLiteDatabase) -> None:
    quick = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) SELECT max(i) FROM n"

    async def read(n: int) -> object:
        if n % 10:
            return await db.read_value(quick)
        return await db.read_value(LONG_QUERY, timeout=0.02)

    results = await asyncio.gather(*(read(n) for n in range(100)), return_exceptions=True)
    assert [isinstance(result, ReadTimeout) for result in results] == [n % 10 == 0 for n in range(100)]
    assert all(results[n] == 2000 for n in range(100) if n % 10)
    await assert_whole(db)


# -- locks of other programs ---------------------------------------------------------------------------------


async def test_a_lock_held_for_too_long_is_a_lock_timeout_and_nothing_is_applied(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with lock_held_by_another_program(db_path):
        with pytest.raises(LockTimeout) as caught:
            await db.write(INSERT, (1,))
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.applied is False
    await db.write(INSERT, (2,))
    assert await jobs(db) == [2]


async def test_a_lock_that_is_released_in_time_is_waited_out(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        with lock_held_by_another_program(db_path) as other, file_waits() as waited:
            writes = [db.submit(INSERT, (job,)) for job in range(200)]
            await eventually(lambda: len(waited) >= 5)
            assert not any(write.done() for write in writes)
            other.rollback()
            await asyncio.gather(*writes)
        assert await jobs(db) == list(range(200))


async def test_a_wait_for_a_lock_is_not_counted_as_work_of_the_batch(db_path: Path) -> None:
    # Otherwise each batch would end at once after a wait, and a job that has to wait would also be slow.
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        with lock_held_by_another_program(db_path) as other, time_for_batches(0.5), file_waits() as waited:
            before = db.statistics().batches
            writes = [db.submit(INSERT, (job,)) for job in range(100)]
            await eventually(lambda: max(waited, default=0) > 0.5)
            other.rollback()
            await asyncio.gather(*writes)
        assert db.statistics().batches - before <= 2


async def test_jobs_queued_as_long_as_the_one_that_met_the_lock_fail_with_it(db: SQLiteDatabase, db_path: Path) -> None:
    with lock_held_by_another_program(db_path):
        began = time.monotonic()
        # A job that runs alone ends the batch before it: those behind it are in no batch yet.
        jobs_ = [
            asyncio.ensure_future(job)
            for job in (
                db.write(INSERT, (1,)),
                db.write_fn(lambda conn: None, once=True),
                db.write(INSERT, (2,)),
                db.flush(),
                db.transaction().__aenter__(),
                db.write(INSERT, (3,)),
            )
        ]
        results = await asyncio.gather(*jobs_, return_exceptions=True)
        waited = time.monotonic() - began
    assert [type(result) for result in results] == [LockTimeout] * len(jobs_)
    assert len({id(result) for result in results}) == len(jobs_)  # each has its own
    assert waited < 5 * LOCK_TIMEOUT, "one wait for all, not one each"
    await assert_whole(db)


async def test_a_job_that_came_later_has_its_own_wait_for_the_lock(db: SQLiteDatabase, db_path: Path) -> None:
    with lock_held_by_another_program(db_path) as other:
        first = asyncio.create_task(db.write(INSERT, (1,)))
        await eventually(lambda: db.statistics().running > 0)
        second = asyncio.create_task(db.write(INSERT, (2,)))
        with pytest.raises(LockTimeout):
            await first
        assert not second.done()
        other.rollback()
        await second
    assert await jobs(db) == [2]


@pytest.mark.parametrize("verb", ["transaction", "checkpoint", "optimize", "vacuum", "flush", "write_script"])
async def test_no_verb_says_database_is_locked(hasty: SQLiteDatabase, db_path: Path, verb: str) -> None:
    await hasty.write_many(INSERT, [(job,) for job in range(100)])

    async def call() -> None:
        if verb == "transaction":
            async with hasty.transaction():
                pass
        elif verb == "write_script":
            await hasty.write_script("DELETE FROM log; INSERT INTO log (job) VALUES (1)")
        else:
            await getattr(hasty, verb)()

    with lock_held_by_another_program(db_path), suppress(LockTimeout):
        await call()
    await call()
    await assert_whole(hasty)


async def test_a_write_with_a_timeout_shorter_than_the_locks_gets_its_own_error(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with lock_held_by_another_program(db_path):
        with pytest.raises(WriteTimeout):
            await db.write(INSERT, (1,), timeout=0.05)
        with pytest.raises(LockTimeout):
            await db.write(INSERT, (2,), timeout=30)
    await assert_whole(db)


@pytest.fixture
async def turn_elsewhere(db_path: Path, db: SQLiteDatabase) -> AsyncIterator[Turnstile]:
    """Another process has the turn; a turnstile of its own is as good as a process of its own."""
    await asyncio.gather(db.flush(), db.flush())  # behind several that wrote at once, the next ones share a batch too
    with closing(Turnstile(db_path)) as turnstile:
        turnstile.open()
        turnstile.acquire(1)
        yield turnstile


async def test_a_write_that_times_out_while_it_waits_for_its_turn_never_runs(
    db: SQLiteDatabase, turn_elsewhere: Turnstile
) -> None:
    neighbour = asyncio.create_task(db.write(INSERT, (2,)))
    with pytest.raises(WriteTimeout, match="never runs") as timeout:
        await db.write(INSERT, (1,), timeout=0.01)
    assert (timeout.value.started, timeout.value.applied) == (False, False)
    assert db.statistics().running == 2  # it had been taken into a batch
    turn_elsewhere.release()
    await neighbour
    assert [tuple(row) for row in await db.read("SELECT job FROM log")] == [(2,)]


async def test_a_write_that_is_cancelled_while_it_waits_for_its_turn_never_runs(
    db: SQLiteDatabase, turn_elsewhere: Turnstile, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Event()
    wait = Turnstile._wait
    monkeypatch.setattr(Turnstile, "_wait", lambda *args: waits.set() or wait(*args))  # type: ignore[func-returns-value]
    tasks = [asyncio.create_task(db.write(INSERT, (n,))) for n in range(3)]
    await eventually(waits.is_set)
    tasks[0].cancel()
    tasks[2].cancel()
    await asyncio.wait([tasks[0], tasks[2]])
    turn_elsewhere.release()
    await tasks[1]
    assert [tuple(row) for row in await db.read("SELECT job FROM log")] == [(1,)]


async def test_where_all_have_left_the_turn_is_given_back_at_once(
    db: SQLiteDatabase, turn_elsewhere: Turnstile
) -> None:
    with pytest.raises(WriteTimeout):
        await db.write(INSERT, (1,), timeout=0.01)
    turn_elsewhere.release()
    await assert_whole(db)
    turn_elsewhere.acquire(1)
    assert await db.read_value("SELECT count(*) FROM log") == 0


async def test_reads_go_on_while_another_program_holds_the_write_lock(db: SQLiteDatabase, db_path: Path) -> None:
    with lock_held_by_another_program(db_path) as other:
        other.execute(INSERT, (1,))
        assert await jobs(db) == []
        async with db.snapshot() as snap:
            assert await snap.read_value("SELECT count(*) FROM log") == 0
        other.commit()
        assert await jobs(db) == [1]
