"""Where a fault lies: errors from elsewhere, things left behind, and what outlives a COMMIT."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.batches import in_one_batch
from tests.support.gates import Gate
from tests.support.plain import plain

INSERT = "INSERT INTO t (x) VALUES (?)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        yield db


def raises(error: BaseException) -> Any:
    def function(conn: sqlite3.Connection) -> None:
        raise error

    return function


async def test_a_lock_timeout_of_another_database_is_its_own_jobs_alone(db: SQLiteDatabase) -> None:
    foreign = aiomemdb.LockTimeout("of another database")
    outcomes = await in_one_batch(
        db, db.write_fn(raises(foreign)), db.write_fn(lambda conn: 7, once=True), db.write(INSERT, (1,))
    )
    assert outcomes == [foreign, 7, 1]


async def test_corruption_of_another_file_does_not_stop_the_writer(db: SQLiteDatabase, tmp_path: Path) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"no database " * 100)

    def look(conn: sqlite3.Connection) -> None:
        with closing(sqlite3.connect(other)) as foreign:
            foreign.execute("SELECT * FROM sqlite_schema")

    outcomes = await in_one_batch(db, db.write(INSERT, (1,)), db.write_fn(look), db.write(INSERT, (2,)))
    assert [type(outcome) for outcome in outcomes] == [int, sqlite3.DatabaseError, int]
    await db.write(INSERT, (3,))


async def test_a_file_that_a_function_can_not_open_fails_no_neighbour(db: SQLiteDatabase) -> None:
    await db.write("CREATE UNIQUE INDEX u ON t (x)")
    await db.write(INSERT, (0,))
    outcomes = await in_one_batch(
        db,
        db.write_fn(lambda conn: sqlite3.connect("/nonexistent/x.db")),
        db.write("INSERT OR ROLLBACK INTO t (x) VALUES (0)"),
        db.write(INSERT, (1,)),
    )
    assert [getattr(o, "sqlite_errorname", o) for o in outcomes[:2]] == ["SQLITE_CANTOPEN", "SQLITE_CONSTRAINT_UNIQUE"]
    assert outcomes[2] == 2


@pytest.mark.parametrize("name", ["set_progress_handler", "set_trace_callback"])
async def test_a_function_leaves_no_handler_behind(db: SQLiteDatabase, name: str) -> None:
    arguments = (lambda: 1, 1) if name == "set_progress_handler" else (lambda sql: None,)
    for call in (db.write_fn, db.read_fn):
        with pytest.raises(aiomemdb.ForbiddenStatement, match=name):
            await call(lambda conn: getattr(conn, name)(*arguments))
    await db.write(INSERT, (1,))


async def test_a_cursor_that_a_function_keeps_is_in_no_neighbours_way(db: SQLiteDatabase) -> None:
    kept: list[sqlite3.Cursor] = []

    def keep(conn: sqlite3.Connection) -> None:
        cursor = conn.execute("SELECT * FROM t")
        cursor.fetchone()
        kept.append(cursor)

    await db.write_many(INSERT, [(n,) for n in range(9)])
    assert await in_one_batch(db, db.write_fn(keep), db.write_script("DROP TABLE t")) == [None, None]


@pytest.mark.parametrize(
    "sql",
    [INSERT, f"{INSERT} RETURNING id", "WITH v (x) AS (VALUES (?)) INSERT INTO t (x) SELECT x FROM v"],
)
@pytest.mark.parametrize("count", [1, 2, 5])
async def test_write_many_counts_the_rows_of_every_kind_of_statement(db: SQLiteDatabase, sql: str, count: int) -> None:
    assert await db.write_many(sql, [(n,) for n in range(count)]) == count
    assert await db.read_value("SELECT count(*) FROM t") == count


async def test_a_flush_that_fails_behind_a_commit_says_that_it_is_applied(
    db: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = type(db._writer.session).begin  # type: ignore[union-attr]

    def refused(session: Any, *, durable: bool, **options: Any) -> None:
        if durable:
            raise aiomemdb.LockTimeout("held by another program")
        begin(session, durable=durable, **options)

    monkeypatch.setattr(type(db._writer.session), "begin", refused)  # type: ignore[union-attr]
    with pytest.raises(aiomemdb.AiomemdbError, match="committed") as caught:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,), durable=True)
    assert caught.value.applied is True
    assert not isinstance(caught.value, aiomemdb.LockTimeout)
    assert plain(db_path, "SELECT x FROM t") == [(1,)]


async def test_a_step_never_runs_if_its_caller_left_before_it_began(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        with Gate() as gate:
            slow = asyncio.create_task(tx.write_fn(gate.block))
            await gate.wait_entered()
            behind = asyncio.create_task(tx.write(INSERT, (1,)))
            await asyncio.sleep(0)
            behind.cancel()
            with pytest.raises(asyncio.CancelledError):
                await behind
            gate.open()
            await slow
    assert await db.read("SELECT * FROM t") == []


async def test_a_broken_off_stream_and_a_snapshot_at_once_need_no_second_reader(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=2) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write_many("INSERT INTO t VALUES (?)", [(n,) for n in range(1000)])
        async for _ in db.read_stream("SELECT * FROM t", chunk=2):
            break
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value("SELECT count(*) FROM t") == 1000


async def test_transactions_of_two_databases_may_end_out_of_order(db: SQLiteDatabase, tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "second.db") as second:
        await second.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        first_block, second_block = db.transaction(), second.transaction()
        await first_block.__aenter__()
        tx = await second_block.__aenter__()
        await first_block.__aexit__(None, None, None)
        with pytest.raises(aiomemdb.ReentrancyError):
            await second.write(INSERT, (1,))
        await tx.write(INSERT, (2,))
        await second_block.__aexit__(None, None, None)
        assert await second.read_value("SELECT x FROM t") == 2
