"""Misuse of ours is an error of ours, and also the ``sqlite3`` error that people catch for it."""

from __future__ import annotations

import copy
import inspect
import pickle
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.common import errors
from aiomemdb.sqlite.engine.database import SQLiteDatabase

CLASSES = [each for name in errors.__all__ if isinstance(each := getattr(errors, name), type)]


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x UNIQUE)")
        yield db


async def ended_transaction(db: SQLiteDatabase) -> object:
    async with db.transaction() as tx:
        pass
    return await tx.write("INSERT INTO t VALUES (1)")


async def ended_nested_transaction(db: SQLiteDatabase) -> object:
    async with db.transaction() as tx:
        async with tx.transaction() as nested:
            pass
        return await nested.read("SELECT 1")


async def ended_snapshot(db: SQLiteDatabase) -> object:
    async with db.snapshot() as snap:
        pass
    return await snap.read("SELECT 1")


async def lost_transaction(db: SQLiteDatabase) -> object:
    await db.write("INSERT INTO t VALUES (1)")
    async with db.transaction() as tx:
        with pytest.raises(sqlite3.IntegrityError):
            await tx.write("INSERT OR ROLLBACK INTO t VALUES (1)")
        return await tx.write("INSERT INTO t VALUES (2)")


MISUSES: dict[str, tuple[type[aiomemdb.AiomemdbError], Callable[[SQLiteDatabase], Awaitable[object]]]] = {
    "ended transaction": (aiomemdb.TransactionEnded, ended_transaction),
    "ended nested transaction": (aiomemdb.TransactionEnded, ended_nested_transaction),
    "lost transaction": (aiomemdb.TransactionLost, lost_transaction),
    "ended snapshot": (aiomemdb.SnapshotEnded, ended_snapshot),
    "no query in read": (aiomemdb.NotAQuery, lambda db: db.read("DROP TABLE IF EXISTS none")),
    "nothing in read_one": (aiomemdb.NotAQuery, lambda db: db.read_one(" -- nothing")),
    "no rows in write_returning": (aiomemdb.NotAQuery, lambda db: db.write_returning("DELETE FROM t")),
    "nothing in write": (aiomemdb.EmptyStatement, lambda db: db.write("")),
    "nothing in write_many": (aiomemdb.EmptyStatement, lambda db: db.write_many(" ; ", [()])),
}


@pytest.mark.parametrize("misuse", MISUSES)
async def test_misuse_is_an_error_of_ours_and_one_that_catches_of_sqlite3_see(db: SQLiteDatabase, misuse: str) -> None:
    expected, call = MISUSES[misuse]
    with pytest.raises(expected) as caught:
        await call(db)
    assert caught.value.applied is False
    assert isinstance(caught.value, sqlite3.OperationalError if "lost" in misuse else sqlite3.ProgrammingError)
    assert type(caught.value) in CLASSES


async def test_an_empty_script_is_none(db: SQLiteDatabase) -> None:
    await db.write_script(" -- nothing")


@pytest.mark.parametrize("kind", CLASSES)
def test_each_has_the_name_and_the_words_of_what_every_engine_raises(kind: type[aiomemdb.AiomemdbError]) -> None:
    neutral = getattr(aiomemdb, kind.__name__)
    assert issubclass(kind, neutral) and issubclass(kind, sqlite3.DatabaseError)
    assert inspect.getdoc(kind) == inspect.getdoc(neutral)


@pytest.mark.parametrize("kind", CLASSES)
def test_each_can_be_copied_and_sent_to_another_process(kind: type[aiomemdb.AiomemdbError]) -> None:
    error = kind("message", applied=None)
    for same in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(same) is kind and str(same) == "message" and same.applied is None
