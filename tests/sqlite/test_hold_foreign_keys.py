"""A transaction by hand checks foreign keys as it is told. Whatever its end, those behind it are as before."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import TransactionLost, TransactionTimeout
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.writer import Writer
from tests.support.whole import assert_whole

SCHEMA = """
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, of INTEGER REFERENCES parent (id) ON DELETE CASCADE);
"""
ORPHAN = "INSERT INTO child (of) VALUES (?)"


@pytest.fixture(params=[{}, {"pragmas": {"foreign_keys": "off"}}], ids=["checking", "not checking"])
async def db(db_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, max_hold=0.2, **request.param) as db:
        await db.write_script(SCHEMA)
        yield db


def checks(db: SQLiteDatabase) -> bool:
    return not db._config.pragmas


async def takes_orphans(writes: Any) -> bool:
    try:
        await writes.write(ORPHAN, (404,))
    except sqlite3.IntegrityError:
        return False
    return True


async def assert_as_before(db: SQLiteDatabase) -> None:
    assert await takes_orphans(db) is not checks(db)
    async with db.transaction() as tx:
        assert await takes_orphans(tx) is not checks(db)
    await assert_whole(db)


@pytest.mark.parametrize("foreign_keys", [True, False])
async def test_a_transaction_checks_foreign_keys_as_its_argument_says(db: SQLiteDatabase, foreign_keys: bool) -> None:
    hold = await db.begin(foreign_keys=foreign_keys)
    assert await takes_orphans(hold) is not foreign_keys
    await hold.commit()
    await assert_as_before(db)


async def test_a_transaction_without_the_argument_checks_foreign_keys_as_the_database_does(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    assert await takes_orphans(hold) is not checks(db)
    await hold.rollback()


async def test_jobs_after_it_check_as_before_when_it_is_rolled_back(db: SQLiteDatabase) -> None:
    hold = await db.begin(foreign_keys=not checks(db))
    assert await takes_orphans(hold) is checks(db)
    await hold.rollback()
    await assert_as_before(db)


async def test_jobs_after_it_check_as_before_when_its_time_is_over(db: SQLiteDatabase) -> None:
    hold = await db.begin(foreign_keys=not checks(db))
    await hold.read("SELECT 1")
    await assert_as_before(db)  # they wait for its end
    assert isinstance(hold.error, TransactionTimeout)
    await hold.rollback()


async def test_jobs_after_it_check_as_before_when_a_step_has_lost_it(db: SQLiteDatabase) -> None:
    hold = await db.begin(foreign_keys=not checks(db))
    await hold.write("INSERT INTO parent VALUES (1)")
    with pytest.raises(sqlite3.IntegrityError):
        await hold.write("INSERT OR ROLLBACK INTO parent VALUES (1)")
    assert isinstance(hold.error, TransactionLost)
    await assert_as_before(db)


async def test_jobs_after_it_check_as_before_when_its_caller_is_cancelled_and_drops_it(
    db: SQLiteDatabase,
) -> None:
    begun = asyncio.Event()

    async def begin() -> None:
        hold = await db.begin(foreign_keys=not checks(db))
        await hold.write("INSERT INTO parent VALUES (1)")
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await hold.rollback()

    task = asyncio.create_task(begin())
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    await assert_as_before(db)


async def test_nested_ones_and_others_that_wait_have_their_own(db: SQLiteDatabase) -> None:
    hold = await db.begin(foreign_keys=not checks(db))
    waiting = [asyncio.create_task(takes_orphans(db)), asyncio.create_task(_by_hand(db, checks(db)))]
    nested = await hold.begin()
    assert await takes_orphans(nested) is checks(db)
    await nested.commit()
    await hold.commit()
    assert await asyncio.gather(*waiting) == [not checks(db), not checks(db)]


async def _by_hand(db: SQLiteDatabase, foreign_keys: bool) -> bool:
    hold = await db.begin(foreign_keys=foreign_keys)
    try:
        return await takes_orphans(hold)
    finally:
        await hold.rollback()


async def test_what_the_bytecode_says_of_a_text_is_learnt_anew(db: SQLiteDatabase) -> None:
    async def is_plain(writes: Any) -> bool:
        for _ in range(3):
            await writes.write(ORPHAN, (None,))
        assert isinstance(db._writer, Writer)
        return db._writer.session.book.known[ORPHAN].is_plain

    hold = await db.begin(foreign_keys=not checks(db))
    assert await is_plain(hold) is checks(db)
    await hold.commit()
    assert await is_plain(db) is not checks(db)


@pytest.mark.parametrize("foreign_keys", [1, 0, "off", object()])
async def test_another_value_is_an_error_and_begins_nothing(db: SQLiteDatabase, foreign_keys: Any) -> None:
    with pytest.raises(TypeError, match=r"foreign_keys=.*: True, False or None"):
        await db.begin(foreign_keys=foreign_keys)
    await assert_as_before(db)
