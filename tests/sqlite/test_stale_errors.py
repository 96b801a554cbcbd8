"""An error is its own statement's. Where Python can't bind a value it asks SQLite for the latest error, and that may be
an earlier statement's: of another caller, and of another table.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.batches import in_one_batch

INSERT = "INSERT INTO t (x) VALUES (?)"
TAKEN = (5,)
CANT_BE_BOUND = [
    pytest.param("\ud800", UnicodeEncodeError, id="a lone surrogate"),
    pytest.param(2**70, OverflowError, id="too large a number"),
    pytest.param(object(), sqlite3.ProgrammingError, id="a type of no column"),
]


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE); INSERT INTO t (x) VALUES (5)")
        yield db


def is_error(outcome: object, expected: type[BaseException]) -> None:
    assert type(outcome) is expected, repr(outcome)
    assert getattr(outcome, "sqlite_errorname", None) is None


@pytest.mark.parametrize(
    "verb",
    [
        lambda db, value: db.write(INSERT, (value,)),
        lambda db, value: db.write_count(INSERT, (value,)),
        lambda db, value: db.write_returning(f"{INSERT} RETURNING id", (value,)),
        lambda db, value: db.write_many(INSERT, [(value,)]),
        lambda db, value: db.write_fn(lambda conn: conn.execute(INSERT, (value,))),
    ],
    ids=["write", "write_count", "write_returning", "write_many", "write_fn"],
)
@pytest.mark.parametrize(("value", "expected"), CANT_BE_BOUND)
async def test_a_value_that_cant_be_bound_has_no_neighbours_error(
    db: SQLiteDatabase,
    verb: Callable[[SQLiteDatabase, object], Awaitable[object]],
    value: object,
    expected: type[BaseException],
) -> None:
    # Twice: where a text was just compiled, SQLite has forgotten the error.
    for _ in range(2):
        job = [db.write(INSERT, (n,)) for n in (100, 101)]
        outcomes = await in_one_batch(db, *job, verb(db, 5), verb(db, value), verb(db, 5), verb(db, value))
        for outcome in outcomes[2::2]:
            assert isinstance(outcome, sqlite3.IntegrityError)
        for outcome in outcomes[3::2]:
            is_error(outcome, expected)
        await db.write("DELETE FROM t WHERE x > 99")


@pytest.mark.parametrize(("value", "expected"), CANT_BE_BOUND)
async def test_a_run_of_inserts_has_no_stale_error(
    db: SQLiteDatabase, value: object, expected: type[BaseException]
) -> None:
    values: list[object] = [*range(100, 120), 5, value, *range(120, 140)]
    outcomes = await in_one_batch(db, *[db.write(INSERT, (each,)) for each in values])
    assert isinstance(outcomes[20], sqlite3.IntegrityError)
    is_error(outcomes[21], expected)


@pytest.mark.parametrize(("value", "expected"), CANT_BE_BOUND)
async def test_write_many_has_no_stale_error(db: SQLiteDatabase, value: object, expected: type[BaseException]) -> None:
    await db.write_many(INSERT, [(n,) for n in range(1000, 1100)])  # its texts of many rows are known
    rows: list[tuple[object]] = [(n,) for n in range(100, 200)]
    rows[2] = (value,)
    with suppress(sqlite3.IntegrityError):
        await db.write_many(INSERT, [*rows[:1], *[TAKEN] * 100])
    with pytest.raises(expected) as caught:
        await db.write_many(INSERT, rows)
    is_error(caught.value, expected)


@pytest.mark.parametrize(("value", "expected"), CANT_BE_BOUND)
async def test_a_function_that_goes_on_after_an_error_has_no_stale_one(
    db: SQLiteDatabase, value: object, expected: type[BaseException]
) -> None:
    def fn(conn: sqlite3.Connection) -> None:
        for _ in range(2):
            with suppress(sqlite3.IntegrityError):
                conn.execute(INSERT, TAKEN)
        conn.execute(INSERT, (value,))

    with pytest.raises(expected) as caught:
        await db.write_fn(fn)
    is_error(caught.value, expected)


ASKS = "SELECT abs(?)"
TOO_SMALL = -(2**63)  # abs() can't answer: an error of SQLite's


async def by_read(db: SQLiteDatabase, value: object) -> object:
    return await db.read(ASKS, (value,))


async def by_read_value(db: SQLiteDatabase, value: object) -> object:
    return await db.read_value(ASKS, (value,))


async def by_read_fn(db: SQLiteDatabase, value: object) -> object:
    return await db.read_fn(lambda conn: conn.execute(ASKS, (value,)).fetchall())


@pytest.mark.parametrize("ask", [by_read, by_read_value, by_read_fn], ids=lambda ask: ask.__name__)
@pytest.mark.parametrize(("value", "expected"), CANT_BE_BOUND)
async def test_a_query_has_no_other_querys_error(
    db: SQLiteDatabase,
    ask: Callable[[SQLiteDatabase, object], Awaitable[object]],
    value: object,
    expected: type[BaseException],
) -> None:
    for _ in range(4):
        with pytest.raises(sqlite3.OperationalError, match="overflow"):
            await ask(db, TOO_SMALL)
        with pytest.raises(expected) as caught:
            await ask(db, value)
        is_error(caught.value, expected)


@pytest.mark.parametrize(("value", "expected"), CANT_BE_BOUND)
async def test_a_step_or_a_snapshot_has_no_stale_error(
    db: SQLiteDatabase, value: object, expected: type[BaseException]
) -> None:
    async def twice(read: Callable[[object], Awaitable[object]]) -> None:
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="overflow"):
                await read(TOO_SMALL)
            with pytest.raises(expected) as caught:
                await read(value)
            is_error(caught.value, expected)

    async with db.transaction() as tx:
        await twice(lambda value: tx.read_value(ASKS, (value,)))
        await twice(lambda value: tx.write_returning(ASKS, (value,)))
    async with db.snapshot() as snap:
        await twice(lambda value: snap.read_value(ASKS, (value,)))
