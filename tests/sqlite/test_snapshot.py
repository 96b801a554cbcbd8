from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.gates import Gate
from tests.support.plain import plain
from tests.support.queries import ENDLESS, sql_gate
from tests.support.whole import assert_whole, eventually

COUNT = "SELECT count(*) FROM t"
INSERT = "INSERT INTO t (x) VALUES (?)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES (10), (20), (30)")
        yield db


async def test_all_reads_see_one_and_the_same_state(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        await db.write(INSERT, (40,))
        assert await snapshot.read_value(COUNT) == 3
        await db.write_count("DELETE FROM t")
        assert await snapshot.read_value(COUNT) == 3
        assert [row["x"] for row in await snapshot.read("SELECT x FROM t")] == [10, 20, 30]
        row = await snapshot.read_one("SELECT x FROM t WHERE id = :id", {"id": 2})
        assert row is not None and row["x"] == 20
        assert await db.read_value(COUNT) == 0


async def test_the_state_is_that_of_its_opening_and_not_of_its_first_read(db: SQLiteDatabase, db_path: Path) -> None:
    async with db.snapshot() as snapshot:
        plain(db_path, "DELETE FROM t")  # by another connection, so nothing in this process takes part
        assert await snapshot.read_value(COUNT) == 3


async def test_a_snapshot_sees_a_write_that_returned_before_it_was_opened(db: SQLiteDatabase) -> None:
    for step in range(50):
        await db.write(INSERT, (step,))
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value(COUNT) == 4 + step


async def test_snapshots_opened_one_after_another_see_each_its_own_state(db: SQLiteDatabase) -> None:
    async with db.snapshot() as first:
        await db.write(INSERT, (40,))
        async with db.snapshot() as second:
            await db.write(INSERT, (50,))
            assert [await view.read_value(COUNT) for view in (first, second, db)] == [3, 4, 5]


async def test_a_snapshot_does_not_see_an_open_transaction(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (40,))
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value(COUNT) == 3


async def test_an_error_in_a_read_leaves_the_snapshot_as_it_is(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        await db.write(INSERT, (40,))
        with pytest.raises(sqlite3.OperationalError, match="no such table") as caught:
            await snapshot.read("SELECT * FROM missing")
        assert caught.value.__notes__ == ["SQL: SELECT * FROM missing"]
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await snapshot.read("DELETE FROM t")
        with pytest.raises(aiomemdb.ForbiddenStatement):
            await snapshot.read("COMMIT")
        assert await snapshot.read_value(COUNT) == 3


async def test_a_timeout_stops_that_query_alone_and_leaves_the_snapshot_as_it_is(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        await db.write(INSERT, (40,))
        with pytest.raises(aiomemdb.ReadTimeout) as caught:
            await snapshot.read(ENDLESS, timeout=0.02)
        assert caught.value.started
        assert await snapshot.read_value(COUNT) == 3


async def test_a_cancelled_read_leaves_the_snapshot_as_it_is(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        await db.write(INSERT, (40,))
        reading = asyncio.create_task(snapshot.read(ENDLESS))
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert await snapshot.read_value(COUNT) == 3


async def test_queries_that_are_no_longer_awaited_are_not_run(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=sql_gate(gate)) as db, db.snapshot() as snapshot:
            # in the thread   gate()                │ 1
            # in its queue    ENDLESS, ENDLESS: left
            running = asyncio.create_task(snapshot.read("SELECT gate()"))
            await gate.wait_entered()
            cancelled = asyncio.create_task(snapshot.read(ENDLESS))
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(aiomemdb.ReadTimeout) as caught:
                await snapshot.read(ENDLESS, timeout=0.01)
            assert not caught.value.started
            gate.open()
            await running
            assert await snapshot.read_value("SELECT 1") == 1


async def test_leaving_the_block_stops_what_other_tasks_still_read_on_it(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        readings = [asyncio.create_task(snapshot.read(ENDLESS)) for _ in range(3)]
        await asyncio.sleep(0)
    results = await asyncio.gather(*readings, return_exceptions=True)
    assert all(isinstance(result, sqlite3.Error) for result in results)
    await assert_whole(db)


async def test_after_its_block_it_is_a_clear_error(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        pass
    with pytest.raises(sqlite3.ProgrammingError, match="this snapshot has ended"):
        await snapshot.read(COUNT)


async def test_an_error_in_the_block_returns_its_reader(db: SQLiteDatabase) -> None:
    for _ in range(8):
        with pytest.raises(ZeroDivisionError):
            async with db.snapshot() as snapshot:
                await snapshot.read(COUNT)
                raise ZeroDivisionError
    await assert_whole(db)


async def test_the_reader_that_comes_back_sees_the_latest_state(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script("CREATE TABLE t (x)")
        for step in range(10):
            async with db.snapshot() as snapshot:
                assert await snapshot.read_value(COUNT) == step
                await db.write(INSERT, (step,))
            assert [await db.read_value(COUNT) for _ in range(4)] == [step + 1] * 4


async def test_a_timeout_bounds_the_wait_for_a_reader(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        entered, leave = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with db.snapshot():
                entered.set()
                await leave.wait()

        holder = asyncio.create_task(hold())
        await entered.wait()
        with pytest.raises(aiomemdb.ReadTimeout) as caught:
            async with db.snapshot(timeout=0.01):
                pass
        assert not caught.value.started
        leave.set()
        await holder
        async with db.snapshot(timeout=5) as snapshot:
            assert await snapshot.read_value("SELECT 1") == 1


@pytest.mark.parametrize("way", Way)
async def test_cancelled_at_any_await_no_reader_is_lost(db: SQLiteDatabase, way: Way) -> None:
    async def main() -> None:
        async with db.snapshot() as snapshot:
            await snapshot.read_value(COUNT)
            await snapshot.read(COUNT, timeout=5)

    for k in suspension_points():
        if not await cancelled_at(k, way, main()):
            break
        await eventually(lambda: db.statistics().readers_busy == 0)
    await assert_whole(db)


async def test_closing_the_database_ends_a_snapshot_with_a_clear_error(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    async with db.snapshot() as snapshot:
        await db.close()
        with pytest.raises(aiomemdb.DatabaseClosed):
            await snapshot.read("SELECT 1")


async def test_closing_the_database_fails_those_who_wait_for_a_snapshot(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path, readers=1)

    async def take() -> None:
        async with db.snapshot():
            pass

    async with db.snapshot():
        waiting = asyncio.create_task(take())
        await asyncio.sleep(0)
        await db.close()
        with pytest.raises(aiomemdb.DatabaseClosed):
            await waiting
