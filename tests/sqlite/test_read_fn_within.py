"""read_fn on a snapshot and in a transaction: the state is theirs, and a function can neither end nor change it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.gates import Gate
from tests.support.queries import ENDLESS
from tests.support.whole import assert_whole

SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES (10), (20), (30)"
INSERT = "INSERT INTO t (x) VALUES (?)"

HANDLES: list[Callable[[SQLiteDatabase], Any]] = [lambda db: db.snapshot(), lambda db: db.transaction()]
both = pytest.mark.parametrize("open_handle", HANDLES, ids=["snapshot", "transaction"])


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        assert isinstance(db, SQLiteDatabase)
        yield db
        await assert_whole(db)


def count(conn: sqlite3.Connection) -> int:
    [found] = conn.execute("SELECT count(*) FROM t").fetchone()
    assert isinstance(found, int)
    return found


async def test_functions_in_a_snapshot_see_one_state_whatever_is_written_meanwhile(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        for _ in range(3):
            assert await snapshot.read_fn(count) == 3
            await db.write(INSERT, (40,))
        assert await snapshot.read_value("SELECT count(*) FROM t") == 3
        assert await db.read_fn(count) == 6


async def test_a_function_in_a_transaction_sees_its_changes_and_no_other_does(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (40,))
        async with tx.transaction() as nested:
            await nested.write(INSERT, (50,))
            assert await nested.read_fn(count) == 5
        assert (await tx.read_fn(count), await db.read_fn(count)) == (5, 3)
    assert await db.read_fn(count) == 5


@both
async def test_a_function_gets_its_arguments_and_returns_its_result(db: SQLiteDatabase, open_handle: Any) -> None:
    def above(conn: sqlite3.Connection, least: int) -> list[int]:
        return [row["x"] for row in conn.execute("SELECT x FROM t WHERE x > ? ORDER BY x", (least,)).fetchall()]

    async with open_handle(db) as handle:
        assert await handle.read_fn(above, 10) == [20, 30]


@both
async def test_a_function_that_writes_is_refused_and_all_else_goes_on(db: SQLiteDatabase, open_handle: Any) -> None:
    async with open_handle(db) as handle:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await handle.read_fn(lambda conn: conn.execute("DELETE FROM t").fetchall())
        assert await handle.read_fn(count) == 3
    await db.write(INSERT, (40,))
    assert await db.read_fn(count) == 4


def swallowed(sql: str) -> Callable[[sqlite3.Connection], None]:
    def attack(conn: sqlite3.Connection) -> None:
        with suppress(sqlite3.DatabaseError):
            conn.execute(sql)

    return attack


@both
@pytest.mark.parametrize(
    "attack",
    [
        lambda conn: conn.commit(),
        lambda conn: conn.rollback(),
        lambda conn: conn.execute("ROLLBACK"),
        swallowed("COMMIT"),
        swallowed("PRAGMA query_only=0"),
        swallowed("ATTACH ':memory:' AS other"),
    ],
    ids=["commit()", "rollback()", "ROLLBACK", "COMMIT, swallowed", "query_only, swallowed", "ATTACH, swallowed"],
)
async def test_a_function_can_not_end_what_it_runs_in_nor_loosen_its_guards(
    db: SQLiteDatabase, open_handle: Any, attack: Callable[[sqlite3.Connection], None]
) -> None:
    async with open_handle(db) as handle:
        with pytest.raises(aiomemdb.ForbiddenStatement):
            await handle.read_fn(attack)
        assert await handle.read_fn(count) == 3
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await handle.read("DELETE FROM t RETURNING id")


@both
async def test_what_a_function_leaves_behind_is_gone_with_it(db: SQLiteDatabase, open_handle: Any) -> None:
    kept: list[sqlite3.Cursor] = []

    def meddle(conn: sqlite3.Connection) -> None:
        kept.append(conn.execute("SELECT x FROM t"))
        next(kept[-1])
        conn.row_factory = None
        conn.text_factory = bytes

    async with open_handle(db) as handle:
        await handle.read_fn(meddle)
        row = await handle.read_one("SELECT 'text' AS word")
        assert row["word"] == "text"
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        next(kept[0])
    await db.write(INSERT, (40,))
    assert [await db.read_fn(count) for _ in range(8)] == [4] * 8  # no reader was left in the old state
    assert await db.checkpoint()


@both
async def test_what_is_no_function_that_ends_on_its_thread_is_a_clear_error(
    db: SQLiteDatabase, open_handle: Any
) -> None:
    async def later(conn: sqlite3.Connection) -> None: ...

    async with open_handle(db) as handle:
        for wrong, message in (
            ("SELECT 1", "takes a function"),
            (later, "synchronous function"),
            (lambda conn: later(conn), "returned an awaitable"),
            (lambda conn: conn.execute("SELECT 1"), "fetch the rows inside"),
        ):
            with pytest.raises(TypeError, match=message):
                await handle.read_fn(wrong)
        assert await handle.read_fn(count) == 3


@both
async def test_a_timeout_interrupts_a_function_and_leaves_the_state_as_it_is(
    db: SQLiteDatabase, open_handle: Any
) -> None:
    async with open_handle(db) as handle:
        assert await handle.read_fn(count) == 3
        with pytest.raises(aiomemdb.ReadTimeout) as caught:
            await handle.read_fn(lambda conn: conn.execute(ENDLESS).fetchall(), timeout=0.05)
        assert (caught.value.started, caught.value.applied) == (True, False)
        assert await handle.read_fn(count) == 3


async def test_a_cancelled_function_stops_and_its_snapshot_stays_what_it_was(db: SQLiteDatabase) -> None:
    def block_and_run(conn: sqlite3.Connection, gate: Gate) -> None:
        gate.block()
        conn.execute(ENDLESS).fetchall()

    with Gate() as gate:
        async with db.snapshot() as snapshot:
            running = asyncio.create_task(snapshot.read_fn(block_and_run, gate))
            await gate.wait_entered()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
            gate.open()
            await db.write(INSERT, (40,))
            assert await snapshot.read_fn(count) == 3


@both
async def test_an_ended_handle_runs_no_function(db: SQLiteDatabase, open_handle: Any) -> None:
    async with open_handle(db) as handle:
        pass
    with pytest.raises(sqlite3.ProgrammingError, match="has ended"):
        await handle.read_fn(count)
