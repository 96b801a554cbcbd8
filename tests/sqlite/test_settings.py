"""What all connections of an open database have, set while it is open."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed, WrongLoop
from aiomemdb.sqlite.connection import settings
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.connection.policies import FUNCTION
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.gates import Gate
from tests.support.whole import assert_whole, eventually

NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE)")
        yield db


def seven(value: int) -> settings.Setting:
    return settings.function("seven", 0, lambda: value)


class Sum:
    def __init__(self) -> None:
        self.total = 0

    def step(self, value: int) -> None:
        self.total += value

    def inverse(self, value: int) -> None:
        self.total -= value

    def value(self) -> int:
        return self.total

    finalize = value


async def test_a_function_is_there_in_the_next_write_and_the_next_read(db: SQLiteDatabase) -> None:
    db._set(seven(7))
    await db.write("INSERT INTO t (x) VALUES (seven())")
    assert await db.read_value("SELECT x = seven() FROM t") == 1


async def test_a_function_is_there_within_a_transaction_and_a_snapshot_that_were_open_before(
    db: SQLiteDatabase,
) -> None:
    async with db.transaction() as tx, db.snapshot() as snap:
        await tx.write("INSERT INTO t (x) VALUES (1)")
        db._set(seven(7))
        assert await tx.read_value("SELECT seven()") == 7
        assert await snap.read_value("SELECT seven()") == 7


async def test_a_reader_that_is_opened_afterwards_has_it(db: SQLiteDatabase) -> None:
    db._set(seven(7))
    async with db.snapshot() as first, db.snapshot() as second:
        assert [await snap.read_value("SELECT seven()") for snap in (first, second)] == [7, 7]
    assert db.statistics().readers > 1


async def test_a_reader_that_is_being_opened_meanwhile_has_it(db_path: Path) -> None:
    with Gate() as gate:
        opened: list[object] = []

        def prepare(conn: sqlite3.Connection) -> None:
            opened.append(conn)
            if len(opened) == 3:
                gate.block()

        async with aiomemdb.connect(db_path, prepare=prepare) as db, db.snapshot():
            second = asyncio.create_task(_ask_in_snapshot(db, "SELECT seven()"))
            await gate.wait_entered()
            db._set(seven(7))
            gate.open()
            assert await second == 7


async def test_a_reader_that_has_just_been_set_up_when_it_is_set_has_it(db_path: Path) -> None:
    with Gate() as gate:
        seen: list[GuardedConnection] = []

        def apply(raw: GuardedConnection) -> None:
            seen.append(raw)
            if len(seen) == 4:  # behind the trial, the writer and the first reader
                gate.block()

        async with aiomemdb.connect(db_path) as db, db.snapshot() as first:
            db._set(settings.Setting(("mine",), (), apply))
            assert await first.read_value("SELECT 1") == 1
            await db.write_any("SELECT 1")
            second = asyncio.create_task(_ask_in_snapshot(db, "SELECT seven()"))
            await gate.wait_entered()
            db._set(seven(7))
            gate.open()
            assert await second == 7


async def _ask_in_snapshot(db: SQLiteDatabase, sql: str) -> object:
    async with db.snapshot() as snap:
        return await snap.read_value(sql)


async def test_a_query_that_waits_behind_another_has_what_was_set_before_it_was_asked(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, readers=2) as db:
            db._set(settings.function("gate", 0, gate.block))
            blocked = [asyncio.create_task(db.read("SELECT gate()")) for _ in range(2)]
            await gate.wait_entered(2)
            db._set(seven(7))
            waiting = asyncio.create_task(db.read_value("SELECT seven()"))
            await asyncio.sleep(0)
            gate.open()
            assert await waiting == 7
            await asyncio.gather(*blocked)


async def test_of_two_of_one_name_the_later_counts_and_of_other_arguments_both(db: SQLiteDatabase) -> None:
    for setting in (seven(7), seven(8), settings.function("SEVEN", 1, lambda x: x)):
        db._set(setting)
    assert tuple((await db.read("SELECT seven(), seven(3)"))[0]) == (8, 3)
    async with db.snapshot(), db.snapshot() as later:
        assert tuple((await later.read("SELECT seven(), seven(3)"))[0]) == (8, 3)


async def test_a_function_is_taken_away_again(db: SQLiteDatabase) -> None:
    db._set(seven(7))
    db._set(settings.function("seven", 0, None))
    for ask in (db.read, db.write_any):
        with pytest.raises(sqlite3.OperationalError, match="seven"):
            await ask("SELECT seven()")


async def test_while_a_stream_is_open_a_function_that_it_uses_is_replaced_when_its_reader_comes_back(
    db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with aiomemdb.connect(db_path, readers=2) as db:
        db._set(seven(7))
        stream = db.read_stream(f"{NUMBERS} seven() FROM n", chunk=1)
        assert tuple(await anext(stream)) == (7,)
        db._set(seven(8))
        assert [tuple(row) for row in [await anext(stream)]] == [(7,)]
        await stream.aclose()
        async with db.snapshot() as snap:
            assert await snap.read_value("SELECT seven()") == 8
        assert await db.read_value("SELECT seven()") == 8
    assert not caplog.records


async def test_what_is_set_twice_is_set_once(db: SQLiteDatabase) -> None:
    applied: list[GuardedConnection] = []
    setting = settings.Setting(("mine",), (1,), applied.append)
    db._set(setting)
    db._set(settings.Setting(("mine",), (1,), applied.append))
    await db.write_any("SELECT 1")
    await db.read("SELECT 1")
    assert len(applied) == 3  # on trial, the writer, the reader


async def test_aggregates_window_functions_and_collations_are_set_too(db: SQLiteDatabase) -> None:
    db._set(settings.aggregate("total_of", 1, Sum))
    db._set(settings.window_function("running", 1, Sum))
    db._set(settings.collation("reverse", lambda a, b: (a < b) - (a > b)))
    for ask in (db.read, lambda sql: _rows(db, sql)):
        assert [row[0] for row in await ask(f"{NUMBERS} total_of(i) FROM n")] == [6]
        assert [row[0] for row in await ask(f"{NUMBERS} running(i) OVER (ORDER BY i) FROM n")] == [1, 3, 6]
        assert [row[0] for row in await ask("SELECT * FROM (VALUES ('a'), ('b')) ORDER BY 1 COLLATE reverse")] == [
            "b",
            "a",
        ]


async def _rows(db: SQLiteDatabase, sql: str) -> list[aiomemdb.Row]:
    return (await db.write_any(sql)).rows


@pytest.mark.parametrize(
    "make",
    [
        lambda: settings.function("f", 1000, len),
        lambda: settings.function("f", "1", len),  # type: ignore[arg-type]
        lambda: settings.function("n\0ame", 1, len),
        lambda: settings.function("\ud800", 1, len),
        lambda: settings.collation("c", 5),  # type: ignore[arg-type]
        lambda: settings.trace_callback(5),  # type: ignore[arg-type]
        lambda: settings.progress_handler(5, 1),  # type: ignore[arg-type]
        lambda: settings.progress_handler(lambda: 0, "1"),  # type: ignore[arg-type]
        lambda: settings.authorizer(5),  # type: ignore[arg-type]
        lambda: settings.extension("/nowhere/at_all"),
        lambda: settings.extension(5),  # type: ignore[arg-type]
    ],
)
async def test_what_sqlite3_refuses_is_an_error_at_once_and_changes_no_connection(
    db: SQLiteDatabase, make: Callable[[], settings.Setting]
) -> None:
    with pytest.raises((sqlite3.Error, TypeError, ValueError)):
        db._set(make())
    async with db.snapshot(), db.snapshot() as later:
        assert await later.read_value("SELECT 1") == 1
    await assert_whole(db)


async def test_a_setting_that_a_connection_refuses_later_is_logged_and_the_connection_goes_on(
    db: SQLiteDatabase, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(raw: GuardedConnection) -> None:
        [(_, _, path)] = raw.own("PRAGMA database_list")
        if path:
            raise MemoryError

    with caplog.at_level(logging.WARNING, "aiomemdb"):
        db._set(settings.Setting(("mine",), (), refuse))
        await db.write("INSERT INTO t (x) VALUES (1)")
        assert await db.read_value("SELECT x FROM t") == 1
    assert "goes on without ('mine',): MemoryError()" in caplog.text


async def test_a_setting_is_changed_on_an_open_database_on_its_own_loop(db_path: Path) -> None:
    db = aiomemdb.connect(db_path)
    with pytest.raises(DatabaseClosed):
        db._set(seven(7))
    async with db:
        with pytest.raises(WrongLoop):
            await asyncio.to_thread(db._set, seven(7))
    with pytest.raises(DatabaseClosed):
        db._set(seven(7))


async def test_a_file_that_is_opened_for_reading_alone_has_it(db_path: Path) -> None:
    async with aiomemdb.connect(db_path):
        pass
    async with aiomemdb.connect(db_path, read_only=True) as db:
        db._set(seven(7))
        assert await db.read_value("SELECT seven()") == 7


# -- callbacks -----------------------------------------------------------------------------------------------


async def test_a_trace_sees_statements_of_both_kinds_and_none_of_the_librarys_own(db: SQLiteDatabase) -> None:
    seen: list[str] = []
    db._set(settings.trace_callback(seen.append))
    async with db.transaction() as tx:
        await tx.write("INSERT INTO t (x) VALUES (1)")
    await db.read("SELECT x FROM t")
    assert seen == ["INSERT INTO t (x) VALUES (1)", "SELECT x FROM t"]
    db._set(settings.trace_callback(None))
    await db.read("SELECT x FROM t")
    assert len(seen) == 2


async def test_a_progress_handler_interrupts_statements_but_never_the_librarys_own(db: SQLiteDatabase) -> None:
    db._set(settings.progress_handler(lambda: 1, 1))
    for ask in (db.read, db.write_any):
        with pytest.raises(sqlite3.OperationalError, match="interrupted"):
            await ask(f"{NUMBERS} max(i) FROM n")
    async with db.transaction():
        pass
    await db.flush()
    db._set(settings.progress_handler(None, 0))
    await db.write("INSERT INTO t (x) VALUES (1)")
    await assert_whole(db)


def deny(action: int) -> settings.Setting:
    return settings.authorizer(lambda asked, *_: sqlite3.SQLITE_DENY if asked == action else sqlite3.SQLITE_OK)


async def test_an_authorizer_is_asked_of_what_was_compiled_before_too(db: SQLiteDatabase) -> None:
    insert, select = "INSERT INTO t (x) VALUES (?)", "SELECT x FROM t"
    await db.write(insert, (1,))
    await db.read(select)
    db._set(deny(sqlite3.SQLITE_INSERT))
    with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
        await db.write(insert, (2,))
    assert [row[0] for row in await db.read(select)] == [1]
    db._set(deny(sqlite3.SQLITE_READ))
    with pytest.raises(sqlite3.DatabaseError, match=r"prohibited|not authorized"):
        await db.read(select)
    db._set(settings.authorizer(None))
    await db.write(insert, (2,))
    assert [row[0] for row in await db.read(select)] == [1, 2]


@pytest.mark.parametrize("sql", ["COMMIT", "ATTACH ':memory:' AS other", "PRAGMA synchronous = OFF", "SAVEPOINT s"])
async def test_an_authorizer_that_allows_all_allows_nothing_that_is_forbidden(db: SQLiteDatabase, sql: str) -> None:
    db._set(settings.authorizer(lambda *_: sqlite3.SQLITE_OK))
    with pytest.raises(aiomemdb.ForbiddenStatement):
        await db.write_any(sql)
    with pytest.raises(aiomemdb.ForbiddenStatement):
        await db.read(sql)
    await assert_whole(db)


async def test_what_an_authorizer_denies_concerns_no_statement_of_the_librarys_own(db: SQLiteDatabase) -> None:
    upsert = "INSERT INTO t (x) VALUES (?) ON CONFLICT (x) DO UPDATE SET x = excluded.x"

    def allow_x_alone(action: int, table: str | None, column: str | None, *_: object) -> int:
        allowed = action in (sqlite3.SQLITE_SELECT, FUNCTION) or (table == "t" and column != "id")
        return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY

    assert [await db.write(upsert, (x,)) for x in (1, 2, 1)] == [1, 2, None]
    db._set(settings.authorizer(allow_x_alone))  # neither the rowid, nor the schema
    assert [await db.write(upsert, (x,)) for x in (1, 3, 3)] == [None, 3, None]
    assert await db.write_many("INSERT INTO t (x) VALUES (?)", [(x,) for x in range(10, 30)]) == 20
    await db.checkpoint()
    assert (await db.read("SELECT x FROM t ORDER BY x"))[1]["x"] == 2


async def test_what_a_callback_raises_denies_and_stops_nothing_else(db: SQLiteDatabase) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError

    db._set(settings.authorizer(fail))
    with pytest.raises(sqlite3.DatabaseError):
        await db.write("INSERT INTO t (x) VALUES (1)")
    db._set(settings.authorizer(None))
    await db.write("INSERT INTO t (x) VALUES (1)")
    await eventually(lambda: db.statistics().pending == 0)
    await assert_whole(db)
