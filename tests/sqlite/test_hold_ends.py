"""A transaction by hand or as a block, where what it nests was not ended, where it waits, and where it ends badly."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import AiomemdbError, DatabaseClosed, ReentrancyError, TransactionEnded, TransactionLost, WrongLoop
from aiomemdb.sqlite.common.errors import TransactionEnded as SQLiteTransactionEnded
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.session import Session
from tests.support.gates import Gate
from tests.support.killing import writer_of
from tests.support.others import turn_taken
from tests.support.plain import plain
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO log (job) VALUES (?)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER UNIQUE)")
        yield db


async def jobs(db: SQLiteDatabase) -> list[int]:
    return [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")]


# -- nested --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("depth", [1, 2, 3])
async def test_a_rollback_undoes_all_that_is_nested_in_it_and_open(db: SQLiteDatabase, depth: int) -> None:
    outermost = await db.begin()
    await outermost.write(INSERT, (0,))
    first = innermost = await outermost.begin()
    await first.write(INSERT, (1,))
    for number in range(2, 2 + depth):
        innermost = await innermost.begin()
        await innermost.write(INSERT, (number,))
    await first.rollback()
    await outermost.write(INSERT, (9,))
    await outermost.commit()
    assert await jobs(db) == [0, 9]
    with pytest.raises(TransactionEnded):
        await innermost.write(INSERT, (10,))
    await assert_whole(db)


@pytest.mark.parametrize("is_left_by_an_error", [False, True])
async def test_a_block_undoes_what_was_begun_in_it_by_hand_and_not_ended(
    db: SQLiteDatabase, is_left_by_an_error: bool
) -> None:
    async with db.transaction() as one:
        await one.write(INSERT, (0,))
        try:
            async with one.transaction() as two:
                await two.write(INSERT, (1,))
                three = await two.begin()
                await three.write(INSERT, (2,))
                if is_left_by_an_error:
                    raise ZeroDivisionError
        except ZeroDivisionError:
            pass
    assert await jobs(db) == ([0] if is_left_by_an_error else [0, 1])
    await assert_whole(db)


async def test_the_outermost_block_undoes_what_was_begun_in_it_by_hand_and_not_ended(db: SQLiteDatabase) -> None:
    writes = db.statistics().writes
    async with db.transaction() as one:
        await one.write(INSERT, (0,))
        two = await one.begin()
        await two.write(INSERT, (1,))
    assert await jobs(db) == [0]
    assert db.statistics().writes == writes + 1


async def test_the_cause_of_a_lost_transaction_is_reported_though_a_nested_one_is_open(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    outer = await db.begin()
    nested = await outer.begin()
    with pytest.raises(sqlite3.IntegrityError):
        await nested.write("INSERT OR ROLLBACK INTO log (job) VALUES (1)")
    with pytest.raises(TransactionLost):
        await outer.commit()
    other = await db.begin()
    await other.begin()
    with pytest.raises(ReentrancyError):
        await other.commit()
    await other.rollback()


# -- waiting -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("by_hand", [False, True])
async def test_a_wait_for_the_file_ends_where_its_caller_leaves(
    db: SQLiteDatabase, db_path: Path, by_hand: bool
) -> None:
    async def one() -> None:
        if by_hand:
            hold = await db.begin()
            try:
                await hold.write(INSERT, (1,))
            finally:
                await hold.rollback()
        else:
            async with db.transaction() as tx:
                await tx.write(INSERT, (1,))

    with turn_taken(db_path):  # for as long as lock_timeout
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await one()
        # The writer waits for the file no more: what comes next may.
        assert db.statistics().transaction_holder is None
    await db.write(INSERT, (2,))
    assert await jobs(db) == [2]


async def test_a_block_that_another_task_entered_keeps_others_out_once_it_has_read(
    db: SQLiteDatabase, db_path: Path
) -> None:
    await db.write(INSERT, (1,))
    async with AsyncExitStack() as stack:
        entering = asyncio.create_task(stack.enter_async_context(db.transaction()))
        tx = await entering
        assert await jobs(db) == [1]
        with (
            closing(sqlite3.connect(db_path, timeout=0)) as other,
            pytest.raises(sqlite3.OperationalError, match="locked"),
        ):
            other.execute("INSERT INTO log (job) VALUES (2)")
        await tx.write(INSERT, (3,))
    assert await jobs(db) == [1, 3]


# -- ends ----------------------------------------------------------------------------------------------------


async def test_what_is_committed_is_told_so_where_close_does_not_wait_for_its_sync(
    db: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = Session.begin

    def begin_slowly(session: Session, *, durable: bool, foreign_keys: bool | None = None) -> None:
        begin(session, durable=durable, foreign_keys=foreign_keys)
        if durable:
            gate.block()

    async def write() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,), durable=True)

    with Gate() as gate:
        monkeypatch.setattr(Session, "begin", begin_slowly)
        writing = asyncio.create_task(write())
        await gate.wait_entered()
        await db.close(timeout=0.1)
        with pytest.raises(AiomemdbError, match="committed, but may not be on stable storage") as caught:
            await writing
        gate.open()
    assert caught.value.applied is True
    await eventually(lambda: not writer_of(db).thread.is_alive())  # as it closes it has the file for itself
    assert plain(db_path, "SELECT job FROM log") == [(1,)]


async def test_a_culprit_behind_another_step_gets_its_own_error_however_late_the_loop_hears(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    hold = await db.begin()
    await hold.read("SELECT 1")
    steps = [
        hold.write(INSERT, (2,)),
        hold.write("INSERT OR ROLLBACK INTO log (job) VALUES (1)"),
        hold.write(INSERT, (3,)),
    ]
    running = [asyncio.ensure_future(step) for step in steps]
    await asyncio.sleep(0)
    aside = writer_of(db)._aside
    while aside.served < aside.posted:  # the thread has done all three before the loop hears of the first
        time.sleep(0.001)  # noqa: ASYNC251
    fine, culprit, behind = await asyncio.gather(*running, return_exceptions=True)
    assert fine == 2
    assert isinstance(culprit, sqlite3.IntegrityError)
    assert isinstance(behind, TransactionLost)


async def test_a_ctrl_c_as_a_step_is_posted_leaves_max_hold_as_it_is(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aiomemdb.connect(db_path, max_hold=0.1) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER UNIQUE)")
        hold = await db.begin()

        def strike(call: object) -> None:
            monkeypatch.undo()
            raise KeyboardInterrupt

        monkeypatch.setattr(db._writer.connection, "post", strike)  # type: ignore[union-attr]
        with pytest.raises(KeyboardInterrupt):
            await hold.write(INSERT, (1,))
        async with asyncio.timeout(60):
            await db.write(INSERT, (2,))
        assert not hold.alive


@pytest.mark.parametrize("verb", ["write", "read_value", "commit", "rollback", "begin"])
async def test_a_transaction_refuses_another_loop_and_goes_on(db: SQLiteDatabase, verb: str) -> None:
    hold = await db.begin()
    await hold.write(INSERT, (1,))

    async def use() -> None:
        arguments: dict[str, Any] = {"write": (INSERT, (2,)), "read_value": ("SELECT 1",)}
        await getattr(hold, verb)(*arguments.get(verb, ()))

    with pytest.raises(WrongLoop, match="this transaction belongs to the event loop of another thread"):
        await asyncio.to_thread(lambda: asyncio.run(use()))
    await hold.write(INSERT, (3,))
    await hold.commit()
    assert await jobs(db) == [1, 3]


async def test_a_database_that_is_closed_says_so_though_a_nested_one_is_open(db: SQLiteDatabase) -> None:
    outer = await db.begin()
    await outer.begin()
    await db.close(drain=False)
    with pytest.raises(DatabaseClosed):
        await outer.commit()


# -- steps that run meanwhile --------------------------------------------------------------------------------

ENDLESS = """
    INSERT INTO log (job) WITH RECURSIVE n(i) AS (SELECT running() UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n
"""


async def test_a_step_that_a_rollback_interrupts_gets_the_same_error_as_the_steps_behind_it(db_path: Path) -> None:
    running = threading.Event()

    def prepare(connection: sqlite3.Connection) -> None:
        connection.create_function("running", 0, lambda: running.set() or 1)

    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER UNIQUE)")
        hold = await db.begin()
        interrupted = asyncio.create_task(hold.write(ENDLESS))
        behind = asyncio.create_task(hold.write(INSERT, (1,)))
        await asyncio.to_thread(running.wait)
        await hold.rollback()
        outcomes = await asyncio.gather(interrupted, behind, return_exceptions=True)
        assert [(type(error), error.applied) for error in outcomes] == [(SQLiteTransactionEnded, False)] * 2
        assert await jobs(db) == []
