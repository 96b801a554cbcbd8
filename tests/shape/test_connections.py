"""aiomemdb.aiosqlite: what its connections promise, which aiosqlite's do not."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiosqlite as theirs
import pytest

import aiomemdb.aiosqlite as aiosqlite
from aiomemdb import ForbiddenStatement
from aiomemdb.aiosqlite.connection import Connection
from aiomemdb.aiosqlite.sharing import _shared
from tests.support.gates import Gate
from tests.support.plain import plain
from tests.support.whole import assert_whole, eventually

ADD = "UPDATE counter SET n = n + 1"
READ = "SELECT n FROM counter"
NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[Connection]:
    async with aiosqlite.connect(db_path) as db:
        await db.executescript("CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)")
        yield db


async def value(db: Connection, sql: str = READ) -> Any:
    [[found]] = await db.execute_fetchall(sql)
    return found


async def is_whole(db: Connection) -> None:
    assert db._shared is not None
    await assert_whole(db._shared.database)


# -- one database for all ------------------------------------------------------------------------------------


async def test_two_hundred_connections_take_five_threads(db_path: Path) -> None:
    before = threading.active_count()
    connections = [await aiosqlite.connect(db_path) for _ in range(200)]
    await connections[0].execute("CREATE TABLE t (x)")
    await asyncio.gather(*(one.execute_fetchall("SELECT * FROM t") for one in connections))
    assert threading.active_count() - before <= 5
    await asyncio.gather(*(one.close() for one in connections))
    assert threading.active_count() == before


async def test_the_file_is_closed_with_the_last_one(db_path: Path) -> None:
    first, second = await asyncio.gather(*(aiosqlite.connect(str(db_path)), aiosqlite.connect(db_path)))
    await first.execute("CREATE TABLE t (x)")
    await first.close()
    assert await second.execute_fetchall("SELECT * FROM t") == []
    await second.close()
    assert not _shared[asyncio.get_running_loop()]
    assert not Path(f"{db_path}-wal").exists()


async def test_a_connection_that_opens_while_the_last_one_closes_opens_the_database_again(db_path: Path) -> None:
    first = await aiosqlite.connect(db_path)
    closing = asyncio.create_task(first.close())
    await asyncio.sleep(0)
    async with aiosqlite.connect(db_path) as second:
        await second.execute("CREATE TABLE t (x)")
    await closing


async def test_memory_is_private(db_path: Path) -> None:
    async with aiosqlite.connect(":memory:") as one, aiosqlite.connect(":memory:") as another:
        await one.execute("CREATE TABLE t (x)")
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await another.execute("SELECT * FROM t")


async def test_a_uri_may_say_how_it_is_opened(db: Connection, db_path: Path) -> None:
    async with aiosqlite.connect(f"file:{db_path}", uri=True) as same:
        assert await value(same) == 0
    with pytest.raises(sqlite3.OperationalError, match="unable to open database file"):
        await aiosqlite.connect(f"file:{db_path}.missing?mode=rw", uri=True)
    async with (
        aiosqlite.connect("file:x?mode=memory&cache=shared", uri=True) as one,
        aiosqlite.connect("file:x?mode=memory&cache=shared", uri=True) as another,
    ):
        await one.execute("CREATE TABLE t (x)")
        assert await another.execute_fetchall("SELECT * FROM t") == []


async def test_what_it_is_open_with_holds_for_all(db: Connection, db_path: Path) -> None:
    with pytest.raises(ValueError, match="readers=7: all connections of this file"):
        await aiosqlite.connect(db_path, readers=7)
    assert await value(db) == 0


async def test_a_connecting_that_is_cancelled_leaves_nothing(db_path: Path) -> None:
    for turns in range(6):
        opening = asyncio.create_task(aiosqlite.connect(db_path)._open())
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        if not opening.cancelled():
            await opening.result().close()
    assert not _shared[asyncio.get_running_loop()]


# -- transactions --------------------------------------------------------------------------------------------


async def test_increments_of_many_connections_are_all_there(db: Connection, db_path: Path) -> None:
    async def increment() -> None:
        async with aiosqlite.connect(db_path, isolation_level=None) as own:
            for _ in range(20):
                await own.execute("BEGIN")
                n = await value(own)
                await own.execute("UPDATE counter SET n = ?", (n + 1,))
                await own.commit()

    await asyncio.gather(*(increment() for _ in range(16)))
    assert await value(db) == 320


NEVER_RUNS: dict[str, tuple[str, Any]] = {
    "no such table": ("INSERT INTO missing VALUES (1)", ()),
    "no such column": ("UPDATE counter SET missing = 1", ()),
    "a syntax error": ("INSERT counter", ()),
    "two statements": (f"{ADD}; {ADD}", ()),
    "a value too few": ("UPDATE counter SET n = ?", ()),
    "a value of no type": ("UPDATE counter SET n = ?", ([],)),
    "a value that is no text": ("UPDATE counter SET n = ?", ("\ud800",)),
}


@pytest.mark.parametrize("case", NEVER_RUNS)
async def test_a_statement_that_never_ran_begins_no_transaction(db: Connection, db_path: Path, case: str) -> None:
    sql, params = NEVER_RUNS[case]
    async with aiosqlite.connect(db_path) as other:
        for call in (db.execute(sql, params), db.executemany(sql, [params])):
            with pytest.raises((sqlite3.Error, sqlite3.Warning, UnicodeError)):
                await call
            assert not db.in_transaction
            await other.execute(ADD)  # the writer is free
            await other.commit()


@pytest.mark.parametrize("before", ["BEGIN", "SELECT", "SELECT on a snapshot", "SAVEPOINT"])
async def test_a_statement_that_never_ran_keeps_no_writer_from_others(
    db: Connection, db_path: Path, before: str
) -> None:
    async with aiosqlite.connect(db_path) as holder, aiosqlite.connect(db_path, patience=0.0, idle=0.02) as own:
        if before == "SELECT on a snapshot":
            await holder.execute("BEGIN IMMEDIATE")
        await own.execute("SAVEPOINT a" if before == "SAVEPOINT" else "BEGIN")
        if before.startswith("SELECT"):
            assert await value(own) == 0
        await holder.rollback()
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await own.execute("INSERT INTO missing VALUES (1)")
        assert own.in_transaction
        await db.execute(ADD)  # while it waits for a model
        await db.commit()
        if before.startswith("SELECT"):
            assert await value(own) == 0
        else:
            await own.execute(ADD)
            await own.commit()
            assert await value(db) == 2


async def test_a_statement_that_failed_as_it_ran_keeps_its_transaction(db: Connection, db_path: Path) -> None:
    await db.execute("CREATE UNIQUE INDEX one ON counter (n)")
    async with aiosqlite.connect(db_path, timeout=0.01) as other:
        for sql in ("INSERT INTO counter VALUES (0)", "UPDATE counter SET n = abs(-9223372036854775808)"):
            with pytest.raises(sqlite3.Error):
                await db.execute(sql)
            assert db.in_transaction
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                await other.execute(ADD)
            await db.rollback()


async def test_a_write_that_waits_for_longer_than_timeout_finds_the_database_locked(
    db: Connection, db_path: Path
) -> None:
    await db.execute(ADD)  # and the same task waits for itself now
    for level in ("", None):
        async with aiosqlite.connect(db_path, timeout=0.01, isolation_level=level) as other:
            with pytest.raises(sqlite3.OperationalError, match="database is locked"):
                await other.execute(ADD)
            assert not other.in_transaction
            assert await value(other) == 0
    await db.commit()
    assert await value(db) == 1
    await is_whole(db)


async def test_a_connection_that_held_the_writer_too_long_reports_it_once(db_path: Path) -> None:
    async with aiosqlite.connect(db_path, max_hold=0.05) as db:
        await db.executescript("CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)")
        await db.execute(ADD)
        await eventually(lambda: not db.in_transaction)
        with pytest.raises(sqlite3.OperationalError, match="held a transaction for more than max_hold"):
            await db.execute(READ)
        assert await value(db) == 0
        await db.execute(ADD)
        await db.commit()
        assert await value(db) == 1
        await db.execute(ADD)
        await eventually(lambda: not db.in_transaction)
        with pytest.raises(sqlite3.OperationalError, match="max_hold"):
            await db.commit()
        await db.execute(ADD)
        await eventually(lambda: not db.in_transaction)
        await db.rollback()  # that is what has become of it
        assert await value(db) == 1


@pytest.mark.parametrize("turns", range(1, 8))
async def test_a_call_that_is_cancelled_is_as_if_never_made(db: Connection, turns: int) -> None:
    await db.execute(ADD)
    calling = asyncio.ensure_future(_awaited(db.execute(ADD)))
    for _ in range(turns):
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    expected = 1 if calling.cancelled() else 2
    assert await value(db) == expected
    await db.commit()
    assert await value(db) == expected
    await is_whole(db)


async def _awaited(result: Any) -> Any:
    return await result


@pytest.mark.parametrize("turns", range(1, 12))
async def test_if_it_had_begun_the_transaction_that_ends(db: Connection, turns: int) -> None:
    calling = asyncio.ensure_future(_awaited(db.execute(ADD)))
    for _ in range(turns):
        await asyncio.sleep(0)
    calling.cancel()
    await asyncio.wait([calling])
    if calling.cancelled():
        assert not db.in_transaction
        assert await value(db) == 0
    await db.rollback()
    await is_whole(db)


async def test_a_call_that_ran_when_it_was_cancelled_is_rolled_back(db: Connection) -> None:
    with Gate() as gate:
        await db.create_function("gate", 0, lambda: gate.block() or 0)
        await db.execute(ADD)
        calling = asyncio.ensure_future(_awaited(db.execute("UPDATE counter SET n = n + 10 + gate()")))
        await gate.wait_entered()
        calling.cancel()
        await asyncio.wait([calling])
        gate.open()
        await db.execute(ADD)
        await db.commit()
    assert await value(db) == 2


@pytest.mark.parametrize("turns", range(1, 4))
async def test_a_commit_that_is_cancelled_commits(db: Connection, turns: int) -> None:
    await db.execute(ADD)
    committing = asyncio.create_task(db.commit())
    for _ in range(turns):
        await asyncio.sleep(0)
    committing.cancel()
    await asyncio.wait([committing])
    assert not db.in_transaction
    await eventually(lambda: db._shared is not None and db._shared.database.statistics().running == 0)
    assert await value(db) == 1


async def test_a_commit_that_is_cancelled_behind_another_call_commits(db: Connection) -> None:
    with Gate() as gate:
        await db.create_function("gate", 0, lambda: gate.block() or 0)
        calling = asyncio.ensure_future(_awaited(db.execute("UPDATE counter SET n = n + 1 + gate()")))
        await gate.wait_entered()
        committing = asyncio.create_task(db.commit())
        await asyncio.sleep(0)
        committing.cancel()
        await asyncio.wait([committing])
        gate.open()
        await calling
    await eventually(lambda: not db.in_transaction)
    assert await value(db) == 1


async def test_an_interrupt_strikes_this_connection_alone(db: Connection, db_path: Path) -> None:
    endless = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*), gate() FROM n"
    async with aiosqlite.connect(db_path) as other:
        with Gate() as gate:
            await db.create_function("gate", 0, gate.block)
            theirs = asyncio.ensure_future(_awaited(other.execute("SELECT gate()")))
            await gate.wait_entered()
            for begin in ("SELECT 1", "BEGIN"):
                await db.execute(begin)
                running = asyncio.ensure_future(_awaited(db.execute(endless)))
                await eventually(lambda: _works(db) > 1)
                await db.interrupt()
                with pytest.raises(sqlite3.OperationalError, match="interrupted"):
                    await running
            gate.open()
            await theirs
    await db.rollback()


def _works(db: Connection) -> int:
    assert db._shared is not None
    database = db._shared.database
    workers = [*database._readers.threads, database._writer.connection]  # type: ignore[union-attr]
    return sum(asyncio.isfuture(worker.working_on) for worker in workers)


# -- cursors -------------------------------------------------------------------------------------------------


async def test_a_large_result_is_read_in_parts(db: Connection) -> None:
    cursor = await db.execute(NUMBERS, (100_000,))
    assert [row[0] async for row in cursor] == list(range(1, 100_001))
    await is_whole(db)


async def test_forgotten_half_read_results_keep_no_reader_from_others(db: Connection, db_path: Path) -> None:
    forgotten = [await db.execute(NUMBERS, (5000,)) for _ in range(20)]
    assert await value(db) == 0
    assert db._shared is not None
    async with db._shared.database.snapshot() as snapshot:
        assert await snapshot.read_value(READ) == 0
    assert [len(await cursor.fetchall()) for cursor in forgotten] == [5000] * 20
    del forgotten
    await is_whole(db)


async def test_a_result_dropped_half_read_returns_its_reader(db: Connection) -> None:
    cursor = await db.execute(NUMBERS, (5000,))
    await cursor.fetchone()
    del cursor
    gc.collect()
    await is_whole(db)


async def test_a_large_result_in_a_transaction_that_has_written_is_read_on_the_writer(db: Connection) -> None:
    await db.execute(ADD)
    cursor = await db.execute(NUMBERS, (5000,))
    rows = await cursor.fetchmany(2000)
    await db.execute(ADD)
    rows += await cursor.fetchall()
    assert rows == [(n,) for n in range(1, 5001)]
    cursor = await db.execute(NUMBERS, (5000,))
    await db.commit()
    with pytest.raises(sqlite3.OperationalError, match="transaction has ended"):
        await cursor.fetchall()
    assert await value(db) == 2
    await is_whole(db)


# -- ends ----------------------------------------------------------------------------------------------------


async def test_a_closed_connection_says_so_by_an_error_that_is_both(db_path: Path) -> None:
    db = await aiosqlite.connect(db_path)
    cursor = await db.execute("SELECT 1")
    await db.close()
    calls: list[Callable[[], Any]] = [
        lambda: db.execute("SELECT 1"), lambda: db.commit(), cursor.fetchone, lambda: db.cursor(), cursor.close,
        lambda: db.executescript(""), lambda: db.create_function("f", 0, int), lambda: db.backup(db),
    ]  # fmt: skip
    for call in calls:
        for kind in (sqlite3.ProgrammingError, ValueError):
            with pytest.raises(kind, match="Connection closed"):
                await call()
    for name in ("in_transaction", "total_changes", "isolation_level", "row_factory"):
        with pytest.raises(ValueError):
            getattr(db, name)
    with pytest.raises(ValueError):
        await db
    await db.close()


async def test_a_connection_that_was_not_opened_reports_it(db_path: Path) -> None:
    db = aiosqlite.connect(db_path)
    with pytest.raises(ValueError, match="no active connection"):
        await db.execute("SELECT 1")
    await db.close()


async def test_a_connection_that_is_dropped_warns_and_its_transaction_is_rolled_back(
    db: Connection, db_path: Path
) -> None:
    other = await aiosqlite.connect(db_path)
    await other.execute(ADD)
    with pytest.warns(ResourceWarning, match="was deleted before being closed"):
        del other
        gc.collect()
    await db.execute(ADD)
    await db.commit()
    assert await value(db) == 1


async def test_closing_rolls_back(db: Connection, db_path: Path) -> None:
    async with aiosqlite.connect(db_path) as other:
        await other.execute(ADD)
    assert await value(db) == 0


# -- other loops and threads ---------------------------------------------------------------------------------


def in_thread(work: Callable[[], Any]) -> Any:
    """Runs it on a loop of another thread, and waits: the loop here stands still."""
    got: list[Any] = []

    def run() -> None:
        try:
            got.append(asyncio.run(work()))
        except BaseException as error:
            got.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if isinstance(got[0], BaseException):
        raise got[0]
    return got[0]


async def test_other_loops_are_served_though_this_one_is_blocked(db: Connection) -> None:
    async def work() -> Any:
        await db.execute(ADD)
        assert db.in_transaction
        await db.commit()
        cursor = await db.execute(NUMBERS, (3000,))
        return await value(db), len(await cursor.fetchall())

    assert in_thread(work) == (1, 3000)
    assert await value(db) == 1


async def test_while_a_transaction_is_open_calls_from_everywhere_go_to_that(db: Connection) -> None:
    await db.execute(ADD)
    seen = await asyncio.to_thread(lambda: asyncio.run(value(db)))
    assert seen == 1
    await db.rollback()

    async def begin() -> None:
        await db.execute(ADD)

    await asyncio.to_thread(lambda: asyncio.run(begin()))
    assert db.in_transaction
    assert await value(db) == 1
    await db.commit()
    assert await value(db) == 1


# -- install -------------------------------------------------------------------------------------------------


async def test_install_has_aiosqlite_connect_be_this_one(db_path: Path) -> None:
    former = theirs.connect
    aiosqlite.install()
    aiosqlite.install()
    try:
        async with theirs.connect(db_path) as db:
            assert isinstance(db, Connection)
            await db.execute("CREATE TABLE t (x)")
    finally:
        aiosqlite.uninstall()
    assert theirs.connect is former
    aiosqlite.uninstall()
    async with theirs.connect(db_path) as other:
        assert isinstance(other, theirs.Connection)


# -- copies --------------------------------------------------------------------------------------------------


async def test_a_backup_into_one_of_ours_replaces_what_is_there(db: Connection, tmp_path: Path) -> None:
    await db.execute(ADD)  # not committed
    async with aiosqlite.connect(tmp_path / "copy.db") as copy:
        await copy.executescript("CREATE TABLE old (x)")
        assert await copy.execute_fetchall("SELECT * FROM old") == []
        await db.backup(copy)
        assert await value(copy) == 0
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await copy.execute("SELECT * FROM old")
        await copy.execute(ADD)
        await copy.commit()
        assert await value(copy) == 1
        await is_whole(copy)
    await db.rollback()


async def test_a_backup_into_a_connection_of_sqlite3(db: Connection) -> None:
    seen: list[tuple[int, int, int]] = []
    raw = sqlite3.connect(":memory:")
    await db.backup(raw, pages=1, progress=lambda *counts: seen.append(counts))
    assert raw.execute(READ).fetchall() == [(0,)]
    assert seen and seen[-1][1] == 0
    raw.close()


# -- what it refuses -----------------------------------------------------------------------------------------


async def test_attach_stays_forbidden(db: Connection) -> None:
    with pytest.raises(ForbiddenStatement):
        await db.execute("ATTACH 'other.db' AS other")
    assert await value(db) == 0


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"timeout": "soon"}, TypeError),
        ({"isolation_level": "NEVER"}, ValueError),
        ({"isolation_level": 1}, TypeError),
        ({"iter_chunk_size": 0}, ValueError),
        ({"detect_types": sqlite3.PARSE_DECLTYPES}, sqlite3.NotSupportedError),
        ({"factory": int}, sqlite3.NotSupportedError),
        ({"autocommit": False}, sqlite3.NotSupportedError),
        ({"readers": 0}, ValueError),
        ({"reeders": 3}, TypeError),
        ({"patience": -1}, ValueError),
        ({"database": "a\0b"}, ValueError),
        ({"database": "a\ud800b"}, ValueError),
    ],
)
async def test_bad_options_are_errors_at_the_call(db_path: Path, options: dict[str, Any], error: type) -> None:
    with pytest.raises(error):
        aiosqlite.connect(options.pop("database", db_path), **options)
    assert not db_path.exists()


@pytest.mark.parametrize(
    ("sql", "parameters", "error"),
    [
        (1, (), TypeError),
        ("INSERT INTO counter VALUES (?)", 5, TypeError),
        ("INSERT INTO counter VALUES (?)", "x", TypeError),
        ("INSERT INTO counter VALUES (?)", ("\ud800",), UnicodeEncodeError),
        ("INSERT INTO counter VALUES ('\ud800')", (), UnicodeEncodeError),
        ("INSERT INTO counter VALUES (1)\0", (), (ValueError, sqlite3.Error)),
        ("INSERT INTO counter VALUES (?)", (bytes(2000),), (sqlite3.DataError, sqlite3.DatabaseError)),
    ],
)
@pytest.mark.parametrize("level", ["", None])
async def test_bad_statements_are_errors_and_write_nothing(
    db_path: Path, sql: Any, parameters: Any, error: Any, level: Any
) -> None:
    async with aiosqlite.connect(db_path, isolation_level=level, max_value_bytes=1024) as db:
        await db.executescript("CREATE TABLE counter (n)")
        with pytest.raises(error):
            await db.execute(sql, parameters)
        await db.rollback()
        assert await db.execute_fetchall("SELECT count(*) FROM counter") == [(0,)]
        await is_whole(db)


async def test_setting_isolation_level_to_none_commits(db: Connection, db_path: Path) -> None:
    await db.execute(ADD)
    db.isolation_level = None
    assert not db.in_transaction
    await db.execute(ADD)
    assert plain(db_path, READ) == [(2,)]
