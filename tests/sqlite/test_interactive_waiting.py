"""Transactions that wait for a writer that others keep idle: a test a sentence. As in test_interactive.py no clock is
waited for: what a holder has held is set back, and times are hours.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.sqlite.interactive import granting
from aiomemdb.sqlite.interactive.connection import InteractiveConnection
from aiomemdb.sqlite.interactive.rule import Mode, Rule
from aiomemdb.sqlite.writing.hold import Hold
from tests.sqlite.test_interactive import (
    ADD,
    NEVER,
    READ,
    become_idle,
    begun,
    has_snapshot,
    has_writer,
    is_waiting,
    must_roll_back,
    value,
    writer_of,
)
from tests.support.whole import assert_whole, eventually


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, readers=3) as db:
        await db.write_script("CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)")
        yield db
        await assert_whole(db)


def next_look(connection: InteractiveConnection) -> float | None:
    """In how many seconds it is looked whether it is idle; None: it never is."""
    transaction = connection._transaction
    assert transaction is not None
    timer = transaction._idling._timer
    return None if timer is None else timer.when() - asyncio.get_running_loop().time()


# -- a look comes sooner where others wait -------------------------------------------------------------------


@pytest.mark.parametrize("waits", ["db.write", "transaction", "interactive"])
async def test_a_write_that_comes_to_wait_brings_the_next_look_forward(db: SQLiteDatabase, waits: str) -> None:
    connection = await begun(db)
    usual = next_look(connection)
    assert usual is not None and usual > NEVER / 5

    async def other() -> None:
        if waits == "db.write":
            await db.write(ADD)
        elif waits == "transaction":
            async with db.transaction() as tx:
                await tx.write(ADD)
        else:
            await (await begun(db, mode=Mode.IMMEDIATE, sql=ADD)).commit()

    waiting = asyncio.create_task(other())
    await eventually(is_waiting(db))
    sooner = next_look(connection)
    assert sooner is not None and sooner < usual / 20
    await become_idle(connection)
    assert has_snapshot(connection)
    await waiting
    assert await value(connection) == 0 and await db.read_value(READ) == 1
    await connection.close()


async def test_a_transaction_that_gets_the_writer_while_others_wait_is_checked_soon(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    second = asyncio.create_task(begun(db))
    await eventually(is_waiting(db))
    third = asyncio.create_task(db.write(ADD))
    await eventually(is_waiting(db, 2))
    await holder.commit()
    connection = await second
    soon = next_look(connection)
    assert soon is not None and soon < NEVER / 20
    await connection.commit()
    await third


async def test_when_no_other_waits_any_more_looks_are_as_usual(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    waiting = asyncio.create_task(db.write(ADD))
    await eventually(is_waiting(db))
    waiting.cancel()
    await asyncio.wait([waiting])
    transaction = connection._transaction
    assert transaction is not None
    writer_of(db).queue._forget_left()
    transaction._idling.look()
    usual = next_look(connection)
    assert usual is not None and usual > NEVER / 5
    await connection.close()


@pytest.mark.parametrize("mode", [Mode.IMMEDIATE, Mode.DEFERRED])
async def test_a_transaction_that_keeps_the_writer_is_not_checked_for_idleness(db: SQLiteDatabase, mode: Mode) -> None:
    connection = await begun(db, mode=mode, sql=READ if mode is Mode.IMMEDIATE else ADD)
    waiting = asyncio.create_task(db.write(ADD))
    await eventually(is_waiting(db))
    assert next_look(connection) is None and has_writer(connection)
    await connection.commit()
    await waiting


async def test_many_that_wait_for_a_model_keep_no_other_waiting(db: SQLiteDatabase) -> None:
    """With the times that programs have: each ends only when a write has got past all of them."""
    written = asyncio.Event()

    async def thinks() -> None:
        connection = await begun(db, Rule())
        await written.wait()
        await connection.rollback()

    thinkers = [asyncio.create_task(thinks()) for _ in range(20)]
    await eventually(lambda: not writer_of(db).idle)
    for _ in range(20):
        await db.write(ADD)
    written.set()
    await asyncio.gather(*thinkers)
    assert await db.read_value(READ) == 20


# -- how long it waits behind those that are idle ------------------------------------------------------------


async def test_the_wait_is_not_counted_again_behind_an_idle_transaction(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granting, "_ONCE_MORE", 600)
    first = await begun(db)
    second = asyncio.create_task(begun(db))
    await eventually(is_waiting(db))
    writer_of(db).held_since -= 59.9
    third = asyncio.create_task(begun(db, Rule(patience=60, idle=NEVER, timeout=NEVER)))
    await eventually(is_waiting(db, 2))
    await become_idle(first)
    holder = await second
    async with asyncio.timeout(30):  # not 60
        connection = await third
    assert has_writer(holder) and has_snapshot(connection)
    for each in (first, holder, connection):
        await each.close()


async def test_a_wait_that_is_over_goes_on_a_little_as_the_loop_may_have_stood_still(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    writer_of(db).held_since -= 2 * NEVER
    waiting = asyncio.create_task(begun(db))
    await eventually(is_waiting(db))
    await holder.commit()
    connection = await waiting
    assert has_writer(connection)
    assert await value(connection) == 1
    await connection.close()


async def test_the_wait_is_no_longer_than_its_timeout(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    writer_of(db).held_since -= 2 * NEVER
    connection = await begun(db, Rule(patience=NEVER, idle=NEVER, timeout=0.0))
    assert has_snapshot(connection)
    await holder.commit()
    await connection.close()


# -- many snapshots that are to write ------------------------------------------------------------------------


async def test_a_snapshot_that_is_stale_says_so_without_waiting_for_the_writer(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    connection = await begun(db, Rule(patience=0.0, idle=NEVER, timeout=NEVER))
    assert has_snapshot(connection)
    await holder.commit()
    holder = await begun(db, sql=ADD)
    async with asyncio.timeout(60):
        await must_roll_back(connection)
    assert has_writer(holder)
    await holder.commit()


async def test_transactions_behind_a_writing_one_take_no_turn_at_the_file(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = await begun(db, sql=ADD)
    many = [await begun(db, Rule(patience=0.0, idle=NEVER, timeout=NEVER)) for _ in range(6)]
    waiting = [asyncio.create_task(connection.execute(ADD)) for connection in many]
    await eventually(is_waiting(db, len(many)))
    begins: list[object] = []
    begin = Hold.begin
    monkeypatch.setattr(Hold, "begin", lambda hold: (begins.append(hold), begin(hold))[1])
    await holder.commit()
    ended = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, sqlite3.OperationalError) for each in ended) and begins == []
    for connection in many:
        await connection.rollback()
