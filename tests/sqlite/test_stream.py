from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.gates import Gate
from tests.support.killing import all_readers_of
from tests.support.plain import names_in
from tests.support.queries import ENDLESS, NUMBERS, sql_gate
from tests.support.whole import assert_whole, eventually

MANY = (10_000_000,)  # more than a test reads: only an end ends such a stream


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


async def assert_reader_back(db: SQLiteDatabase) -> None:
    await eventually(lambda: db.statistics().readers_busy == 0)
    await assert_whole(db)


@pytest.mark.parametrize("chunk", [1, 2, 99, 100, 101, 1000])
async def test_a_stream_returns_every_row_once_and_in_order_whatever_the_chunk(db: SQLiteDatabase, chunk: int) -> None:
    assert [row["x"] async for row in db.read_stream(NUMBERS, (100,), chunk=chunk)] == list(range(1, 101))
    await assert_reader_back(db)


async def test_an_empty_result_is_an_empty_stream(db: SQLiteDatabase) -> None:
    assert [row async for row in db.read_stream("SELECT 1 WHERE 0")] == []
    await assert_reader_back(db)


async def test_a_stream_ends_once_and_stays_ended(db: SQLiteDatabase) -> None:
    stream = db.read_stream("SELECT 1")
    assert [row[0] async for row in stream] == [1]
    assert [row[0] async for row in stream] == []


async def test_parameters_may_be_a_mapping(db: SQLiteDatabase) -> None:
    assert [row["n"] async for row in db.read_stream("SELECT :n AS n", {"n": 7})] == [7]


@pytest.mark.parametrize("rows", [100_000, pytest.param(1_000_000, marks=pytest.mark.soak)])
async def test_its_memory_does_not_grow_with_the_result(db: SQLiteDatabase, rows: int) -> None:
    tracemalloc.start()
    try:
        seen = 0
        async for _ in db.read_stream("SELECT x, hex(zeroblob(100)) FROM (" + NUMBERS + ")", (rows,)):
            seen += 1
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seen == rows
    assert peak < 1_000_000  # 100,000 rows held at once are 40 MB


async def test_a_stream_reads_one_snapshot(db: SQLiteDatabase) -> None:
    await db.write_script("CREATE TABLE t (x)")
    await db.write_many("INSERT INTO t VALUES (?)", [(n,) for n in range(100)])
    seen = 0
    async for _ in db.read_stream("SELECT x FROM t", chunk=10):
        seen += 1
        if seen <= 5:
            await db.write("INSERT INTO t VALUES (0)")
    assert seen == 100
    assert await db.read_value("SELECT count(*) FROM t") == 105


# -- every way to leave it returns the reader -------------------------------------------------------------


async def test_a_stream_that_outlived_its_task_returns_the_reader_when_dropped(db: SQLiteDatabase) -> None:
    async def begin() -> object:
        stream = db.read_stream(NUMBERS, MANY, chunk=1)
        await anext(stream)
        return stream

    gc.disable()  # by the last reference, not by a collection that may come late
    try:
        stream = await asyncio.create_task(begin())
        assert db.statistics().readers_busy == 1
        del stream
        await assert_reader_back(db)
    finally:
        gc.enable()


async def test_a_break_returns_the_reader(db: SQLiteDatabase) -> None:
    for _ in range(8):  # twice as often as there are readers
        async for row in db.read_stream(NUMBERS, MANY, chunk=10):
            if row["x"] == 15:
                break
        await eventually(lambda: db.statistics().readers_busy == 0)
    await assert_reader_back(db)


async def test_an_error_in_the_loops_body_returns_the_reader(db: SQLiteDatabase) -> None:
    for _ in range(8):
        with pytest.raises(ZeroDivisionError):
            async for _ in db.read_stream(NUMBERS, MANY):
                raise ZeroDivisionError
        await eventually(lambda: db.statistics().readers_busy == 0)
    await assert_reader_back(db)


async def test_the_end_of_its_block_returns_the_reader_though_the_stream_is_kept(db: SQLiteDatabase) -> None:
    async with db.read_stream(NUMBERS, MANY, chunk=10) as stream:
        assert (await anext(stream))["x"] == 1
        assert db.statistics().readers_busy == 1
    assert [row async for row in stream] == []  # what was fetched already is dropped
    await assert_reader_back(db)


async def test_aclose_returns_the_reader_and_may_come_twice_or_first(db: SQLiteDatabase) -> None:
    async with aclosing(db.read_stream(NUMBERS, MANY)) as stream:
        await anext(stream)
    await stream.aclose()
    never_begun = db.read_stream(NUMBERS, MANY)
    await never_begun.aclose()
    assert [row async for row in never_begun] == []
    await assert_reader_back(db)


@pytest.mark.parametrize("way", Way)
async def test_cancelled_at_any_await_no_reader_is_lost(db: SQLiteDatabase, way: Way) -> None:
    kept = []

    async def main() -> None:
        stream = db.read_stream(NUMBERS, (30,), chunk=10)
        kept.append(stream)  # so that it is not the collector that cleans up
        async for _ in stream:
            pass

    for k in suspension_points():
        if not await cancelled_at(k, way, main()):
            break
        await eventually(lambda: db.statistics().readers_busy == 0)
    await assert_reader_back(db)


async def test_a_cancelled_fetch_is_stopped(db: SQLiteDatabase) -> None:
    reading = asyncio.create_task(anext(db.read_stream(ENDLESS)))
    await eventually(lambda: db.statistics().readers_busy == 1)
    reading.cancel()
    await asyncio.wait([reading])
    await assert_reader_back(db)


async def test_a_fetch_that_was_left_before_its_thread_came_to_it_is_left_out(db_path: Path) -> None:
    with Gate() as query, Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=sql_gate(query)) as db:
            stream = db.read_stream("SELECT gate()")
            for connection in await all_readers_of(db):
                connection.post(gate.block)
            reading = asyncio.create_task(anext(stream))
            await gate.wait_entered(4)
            await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
            gate.open()
            await eventually(lambda: db.statistics().readers_busy == 0)
            assert query.entered == 0


async def test_a_query_begun_for_a_stream_that_was_left_is_not_left_open(db: SQLiteDatabase) -> None:
    await db.write_script("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
    stream = db.read_stream("SELECT x FROM t", chunk=1)
    with Gate() as gate:
        # the reader's thread   in the gate              │ fetch │ end
        # the loop              fetch posted, cancelled
        for connection in await all_readers_of(db):
            connection.post(gate.block)
        reading = asyncio.create_task(anext(stream))
        await gate.wait_entered(4)
        await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        gate.open()
    await eventually(lambda: db.statistics().readers_busy == 0)
    await db.write("INSERT INTO t VALUES (4)")
    # A query left open by the stream, which is still referred to, would keep its reader at the old state.
    assert await asyncio.gather(*[db.read_fn(_count) for _ in range(20)]) == [4] * 20
    assert await db.checkpoint()
    await stream.aclose()


def _count(conn: sqlite3.Connection) -> int:
    count: int = conn.execute("SELECT count(*) FROM t").fetchone()[0]
    return count


async def test_a_timeout_bounds_each_fetch(db: SQLiteDatabase) -> None:
    slow_later = "SELECT x FROM (" + NUMBERS + f") WHERE x <= 10 OR ({ENDLESS}) > 0"
    stream = db.read_stream(slow_later, (20,), chunk=5, timeout=0.1)
    seen = []
    with pytest.raises(aiomemdb.ReadTimeout) as caught:
        async for row in stream:
            seen += [row["x"]]
    assert caught.value.started
    assert seen in (list(range(1, 6)), list(range(1, 11)))  # some Pythons fetch one row ahead
    assert [row async for row in stream] == []
    await assert_reader_back(db)


async def test_a_timeout_bounds_the_wait_for_a_reader(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        held = db.read_stream(NUMBERS, MANY)
        await anext(held)

        async def other() -> None:
            with pytest.raises(aiomemdb.ReadTimeout) as caught:
                await anext(db.read_stream("SELECT 1", timeout=0.01))
            assert not caught.value.started

        await asyncio.create_task(other())
        await held.aclose()
        await assert_reader_back(db)


async def test_collected_in_another_thread_it_returns_the_reader(db: SQLiteDatabase) -> None:
    streams = [db.read_stream(NUMBERS, MANY)]
    await anext(streams[0])
    thread = threading.Thread(target=streams.clear)
    thread.start()
    await asyncio.to_thread(thread.join)
    await assert_reader_back(db)


def test_collected_after_its_loop_was_closed_it_is_silent(db_path: Path) -> None:
    streams = []

    async def main() -> None:
        async with aiomemdb.connect(db_path) as db:
            streams.append(db.read_stream(NUMBERS, MANY))
            await anext(streams[0])

    aiomemdb.run(main)
    streams.clear()
    gc.collect()


# -- errors --------------------------------------------------------------------------------------------------


async def test_bad_sql_is_its_own_error_and_returns_the_reader(db: SQLiteDatabase) -> None:
    for _ in range(8):
        with pytest.raises(sqlite3.OperationalError, match="no such table") as caught:
            await anext(db.read_stream("SELECT * FROM missing WHERE x = ?", ("secret",)))
        assert caught.value.__notes__ == ["SQL: SELECT * FROM missing WHERE x = ?"]
    await assert_reader_back(db)


async def test_an_error_halfway_ends_the_stream_and_returns_the_reader(db: SQLiteDatabase) -> None:
    stream = db.read_stream(f"SELECT json(CASE x WHEN 15 THEN '{{' ELSE 1 END) FROM ({NUMBERS})", (20,), chunk=5)
    seen = 0
    with pytest.raises(sqlite3.OperationalError, match="malformed JSON"):
        async for _ in stream:
            seen += 1
    assert seen == 10
    assert [row async for row in stream] == []
    await assert_reader_back(db)


@pytest.mark.parametrize("sql", ["INSERT INTO t VALUES (1) RETURNING x", "DELETE FROM t"])
async def test_a_write_is_sqlites_own_read_only_error(db: SQLiteDatabase, sql: str) -> None:
    await db.write_script("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await anext(db.read_stream(sql))
    await assert_reader_back(db)


async def test_forbidden_statements_are_told(db: SQLiteDatabase) -> None:
    with pytest.raises(aiomemdb.ForbiddenStatement):
        await anext(db.read_stream("ATTACH 'other.db' AS other"))
    await assert_reader_back(db)


@pytest.mark.parametrize("chunk", [0, -1, 1.5, None])
async def test_a_chunk_that_is_no_positive_number_is_told_at_once(db: SQLiteDatabase, chunk: object) -> None:
    with pytest.raises(ValueError, match="chunk="):
        db.read_stream("SELECT 1", chunk=chunk)  # type: ignore[arg-type]


async def test_parameters_of_a_wrong_kind_are_told_at_once(db: SQLiteDatabase) -> None:
    with pytest.raises(TypeError, match="params must be"):
        db.read_stream("SELECT ?", 1)  # type: ignore[arg-type]


async def test_two_tasks_on_one_stream_is_a_clear_error_and_the_first_goes_on(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=sql_gate(gate)) as db:
            stream = db.read_stream("SELECT 1 AS one, gate()")
            first = asyncio.create_task(anext(stream))
            await gate.wait_entered()
            with pytest.raises(RuntimeError, match="another task is reading this stream"):
                await anext(stream)
            gate.open()
            assert (await first)["one"] == 1
            assert [row async for row in stream] == []


async def test_closed_by_another_task_while_it_waits_for_a_reader_it_ends(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        held = db.read_stream(NUMBERS, MANY)
        await anext(held)
        stream = db.read_stream(NUMBERS, MANY)

        async def read() -> list[aiomemdb.Row]:
            return [row async for row in stream]

        reading = asyncio.create_task(read())
        await asyncio.sleep(0)
        await stream.aclose()
        await held.aclose()
        assert await reading == []
        await assert_reader_back(db)


async def test_a_stream_that_is_open_at_close_keeps_neither_the_file_nor_its_log_open(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x); INSERT INTO t VALUES (1), (2), (3)")
        stream = db.read_stream("SELECT x FROM t", chunk=1)
        await anext(stream)
    assert names_in(db_path.parent) == [db_path.name]
    await stream.aclose()


async def test_closing_the_database_ends_a_stream_with_a_clear_error(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    begun, fresh = db.read_stream(NUMBERS, MANY, chunk=1), db.read_stream(NUMBERS, MANY)
    await anext(begun)
    await db.close()
    for stream in (begun, fresh):
        with pytest.raises(aiomemdb.DatabaseClosed):
            await anext(stream)
    with pytest.raises(aiomemdb.DatabaseClosed):
        db.read_stream("SELECT 1")
