"""A hold: a transaction by hand, over several calls and tasks; and what ``transaction()`` has of it too."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import closing
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import (
    DatabaseClosed,
    LockTimeout,
    ReadTimeout,
    ReentrancyError,
    TransactionEnded,
    TransactionLost,
    TransactionTimeout,
    WriterCrashed,
    WriteTimeout,
)
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing import hold as holds
from aiomemdb.sqlite.writing.session import Session
from tests.support.gates import Gate
from tests.support.killing import ended, kill_behind, writer_of
from tests.support.others import file_waits, turn_taken
from tests.support.plain import plain
from tests.support.queries import ENDLESS_FROM_GATE, sql_gate
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO log (job) VALUES (?)"
SCHEMA = "CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER UNIQUE)"
LONG_QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT max(i) FROM n"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write(SCHEMA)
        yield db


@pytest.fixture
async def hasty(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """As ``db``, but neither a transaction nor a lock is waited for for long."""
    async with aiomemdb.connect(db_path, max_hold=0.1, lock_timeout=0.1) as db:
        await db.write(SCHEMA)
        yield db


async def jobs(db: SQLiteDatabase) -> list[int]:
    return [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")]


# -- by hand -------------------------------------------------------------------------------------------------


async def test_a_hold_lives_until_it_commits_and_then_all_of_it_is_there(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    assert (hold.alive, hold.error) == (True, None)
    assert await hold.write(INSERT, (1,)) == 1
    assert await hold.write_count("UPDATE log SET job = 2") == 1
    assert await hold.read_value("SELECT job FROM log") == 2
    assert await jobs(db) == []
    await hold.commit()
    assert (hold.alive, hold.error) == (False, None)
    assert await jobs(db) == [2]
    await assert_whole(db)


async def test_a_hold_that_is_rolled_back_leaves_nothing(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    await hold.write(INSERT, (1,))
    await hold.rollback()
    assert (hold.alive, hold.error) == (False, None)
    assert await jobs(db) == []
    await assert_whole(db)


async def test_an_ended_hold_is_not_committed_again_and_its_rollback_does_nothing(db: SQLiteDatabase) -> None:
    for end in ("commit", "rollback"):
        hold = await db.begin()
        await hold.write(INSERT, (len(end),))
        await getattr(hold, end)()
        for refused in (hold.commit(), hold.write(INSERT, (9,)), hold.read("SELECT 1"), hold.begin()):
            with pytest.raises(TransactionEnded):
                await refused
        await hold.rollback()
    assert await jobs(db) == [len("commit")]


async def test_each_step_may_be_another_tasks(db: SQLiteDatabase) -> None:
    hold = await asyncio.create_task(db.begin(), name="the first")
    assert db.statistics().transaction_holder == "the first"
    for job in range(3):
        await asyncio.create_task(hold.write(INSERT, (job,)))
    await asyncio.create_task(hold.commit())
    assert await jobs(db) == [0, 1, 2]


async def test_a_write_of_the_same_task_waits_for_it_as_any_other(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    behind = asyncio.create_task(db.write(INSERT, (2,)))
    await hold.write(INSERT, (1,))
    assert not behind.done()
    await hold.commit()
    assert await behind == 2
    assert await jobs(db) == [1, 2]


async def test_what_waits_for_it_goes_on_when_it_was_held_too_long(hasty: SQLiteDatabase) -> None:
    hold = await asyncio.create_task(hasty.begin(), name="the sleeper")
    await hold.write(INSERT, (1,))
    assert await hasty.write(INSERT, (2,)) == 1
    assert not hold.alive
    assert isinstance(hold.error, TransactionTimeout)
    with pytest.raises(TransactionTimeout, match="the sleeper"):
        await hold.commit()
    await hold.rollback()
    assert await jobs(hasty) == [2]


async def test_a_hold_without_a_step_has_the_same_time_limit(hasty: SQLiteDatabase) -> None:
    hold = await hasty.begin()
    assert await hasty.write(INSERT, (1,)) == 1
    assert isinstance(hold.error, TransactionTimeout)


async def test_any_statement_runs_in_it_with_its_columns_rows_rowid_and_count(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    inserted = await hold.write_any(INSERT, (7,))
    assert (inserted.columns, inserted.rows, inserted.rowid, inserted.count) == ((), [], 1, 1)
    found = await hold.write_any("SELECT job FROM log")
    assert (found.columns, [tuple(row) for row in found.rows], found.count) == (("job",), [(7,)], 0)
    none = await hold.write_any("SELECT job AS j FROM log WHERE job = 8")
    assert (none.columns, none.rows) == (("j",), [])
    with pytest.raises(sqlite3.IntegrityError):
        await hold.write_any(INSERT, (7,))
    returned = await hold.write_any("UPDATE log SET job = 8 RETURNING job")
    assert ([tuple(row) for row in returned.rows], returned.count) == ([(8,)], 1)
    await hold.commit()
    assert await jobs(db) == [8]


async def test_a_nested_one_is_a_savepoint_by_hand(db: SQLiteDatabase) -> None:
    outer = await db.begin()
    await outer.write(INSERT, (1,))
    kept = await outer.begin()
    await kept.write(INSERT, (2,))
    for refused in (outer.write(INSERT, (9,)), outer.read("SELECT 1"), outer.begin(), outer.commit()):
        with pytest.raises(ReentrancyError, match="nested"):
            await refused
    await kept.commit()
    assert not kept.alive
    dropped = await outer.begin()
    await dropped.write(INSERT, (3,))
    innermost = await dropped.begin()
    await innermost.write(INSERT, (4,))
    await innermost.commit()
    await dropped.rollback()
    async with outer.transaction() as block:
        await block.write(INSERT, (5,))
    await outer.commit()
    assert await jobs(db) == [1, 2, 5]
    await assert_whole(db)


async def test_the_outer_one_may_be_rolled_back_under_a_nested_one(db: SQLiteDatabase) -> None:
    outer = await db.begin()
    inner = await outer.begin()
    await inner.write(INSERT, (1,))
    await outer.rollback()
    assert not inner.alive
    with pytest.raises(TransactionEnded):
        await inner.write(INSERT, (2,))
    await inner.rollback()
    assert await jobs(db) == []
    await assert_whole(db)


async def test_inside_a_transaction_of_the_same_task_none_is_begun(db: SQLiteDatabase) -> None:
    async with db.transaction():
        with pytest.raises(ReentrancyError):
            await db.begin()


async def test_a_deferred_foreign_key_is_refused_by_its_commit_and_ends_it(db: SQLiteDatabase) -> None:
    await db.write("CREATE TABLE child (job INTEGER REFERENCES log (job) DEFERRABLE INITIALLY DEFERRED)")
    hold = await db.begin()
    await hold.write("INSERT INTO child VALUES (2)")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        await hold.commit()
    assert not hold.alive
    assert await db.read_value("SELECT count(*) FROM child") == 0
    await assert_whole(db)


# -- begin travels with the first step -----------------------------------------------------------------------


async def test_other_programs_may_write_until_its_first_step(db: SQLiteDatabase, db_path: Path) -> None:
    hold = await db.begin()
    with turn_taken(db_path):
        pass
    assert await hold.read("SELECT * FROM log") == []
    with pytest.raises(LockTimeout), turn_taken(db_path):
        raise AssertionError("the hold has the turn")
    await hold.rollback()
    with turn_taken(db_path):
        pass


async def test_a_transaction_without_a_step_opens_none(db_path: Path) -> None:
    statements: list[str] = []
    async with aiomemdb.connect(db_path, prepare=lambda conn: conn.set_trace_callback(statements.append)) as db:
        statements.clear()
        async with db.transaction():
            pass
        await (await db.begin()).commit()
        await (await db.begin()).rollback()
        assert not [sql for sql in statements if "BEGIN" in sql]
        async with db.transaction(durable=True):  # what it saw is to be synced
            pass
        assert [sql.split()[0] for sql in statements if "BEGIN" in sql or "COMMIT" in sql] == ["BEGIN", "COMMIT"]


async def test_a_first_step_that_waits_for_the_lock_in_vain_ends_it(hasty: SQLiteDatabase, db_path: Path) -> None:
    hold = await hasty.begin()
    behind = asyncio.ensure_future(hasty.write(INSERT, (2,)))
    with turn_taken(db_path):
        with pytest.raises(LockTimeout) as caught:
            await hold.write(INSERT, (1,))
        assert caught.value.applied is False
        with pytest.raises(LockTimeout):  # it has waited as long
            await behind
    assert (hold.alive, type(hold.error)) == (False, LockTimeout)
    with pytest.raises(LockTimeout):
        await hold.commit()
    assert await hasty.write(INSERT, (3,)) == 1
    assert await jobs(hasty) == [3]


async def test_the_wait_for_the_file_is_not_counted_as_held(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, max_hold=0.2) as db:
        await db.write(SCHEMA)
        hold = await db.begin()
        with turn_taken(db_path) as other, file_waits() as waited:
            first = asyncio.ensure_future(hold.write(INSERT, (1,)))
            await eventually(lambda: max(waited, default=0) > 0.4)
            assert not first.done()
            other.release()
            await first
        await hold.write(INSERT, (2,))
        await hold.commit()
        assert await jobs(db) == [1, 2]


async def test_a_time_limit_counts_the_wait_for_the_file(db: SQLiteDatabase, db_path: Path) -> None:
    with turn_taken(db_path) as other:
        with pytest.raises(WriteTimeout) as caught:
            await db.begin(timeout=0.05)
        assert (caught.value.started, caught.value.applied) == (False, False)
        other.release()
    await assert_whole(db)


READS: dict[str, Callable[[SQLiteDatabase], Coroutine[Any, Any, object]]] = {}


def reads(verb: Callable[[SQLiteDatabase], Coroutine[Any, Any, object]]) -> None:
    READS[verb.__name__] = verb


@reads
async def read(db: SQLiteDatabase) -> object:
    return (await db.read("SELECT count(*) FROM log"))[0][0]


@reads
async def read_value(db: SQLiteDatabase) -> object:
    return await db.read_value("SELECT count(*) FROM log", timeout=30)


@reads
async def read_fn(db: SQLiteDatabase) -> object:
    return await db.read_fn(lambda conn: conn.execute("SELECT count(*) FROM log").fetchone()[0])


@reads
async def snapshot(db: SQLiteDatabase) -> object:
    async with db.snapshot() as snap:
        return await snap.read_value("SELECT count(*) FROM log")


@reads
async def read_stream(db: SQLiteDatabase) -> object:
    async with db.read_stream("SELECT count(*) FROM log") as rows:
        return (await anext(rows))[0]


@pytest.mark.parametrize("verb", READS)
async def test_a_read_in_the_block_before_any_step_sees_what_is_so_until_the_commit(
    db: SQLiteDatabase, db_path: Path, verb: str
) -> None:
    # another program   | this one
    # ------------------|------------------------------------
    # has the turn      |
    #                   | async with db.transaction() as tx:
    #                   |     db.read(...)  waits for BEGIN
    # writes            |
    # ends its turn     |
    #                   |     sees it
    async with db.transaction() as tx:
        with turn_taken(db_path) as other:
            reading = asyncio.create_task(READS[verb](db))
            elsewhere = asyncio.get_running_loop().create_task(READS[verb](db), context=Context())
            assert await elsewhere == 0  # of a task with no part in the transaction
            assert not reading.done()
            with closing(sqlite3.connect(db_path)) as connection:
                connection.execute(INSERT, (1,))
                connection.commit()
            other.release()
            assert await reading == 1
        with pytest.raises(LockTimeout), turn_taken(db_path):
            raise AssertionError("the transaction has the turn")
        await tx.write(INSERT, (2,))
        assert await READS[verb](db) == 1
    assert await READS[verb](db) == 2


async def test_reads_at_once_in_the_block_all_wait(db: SQLiteDatabase, db_path: Path) -> None:
    async with db.transaction():
        with turn_taken(db_path) as other, file_waits() as waited:
            reading = asyncio.gather(*(db.read("SELECT 1") for _ in range(5)))
            await eventually(lambda: bool(waited))
            assert not reading.done()
            other.release()
            await reading


async def test_a_read_in_the_block_that_waits_for_the_lock_in_vain_says_so(
    hasty: SQLiteDatabase, db_path: Path
) -> None:
    with turn_taken(db_path), pytest.raises(LockTimeout):
        async with hasty.transaction():
            with pytest.raises(LockTimeout):
                await hasty.read("SELECT 1")
    assert [tuple(row) for row in await hasty.read("SELECT 1")] == [(1,)]
    await assert_whole(hasty)


async def test_a_read_in_the_block_has_its_own_time_limit(db: SQLiteDatabase, db_path: Path) -> None:
    with turn_taken(db_path) as other:
        async with db.transaction():
            with pytest.raises(ReadTimeout) as caught:
                await db.read("SELECT 1", timeout=0.02)
            assert caught.value.started is False
            other.release()
    await assert_whole(db)


async def test_a_read_after_the_early_end_of_its_blocks_transaction_is_a_read(hasty: SQLiteDatabase) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction():
            await eventually(lambda: hasty.statistics().transaction_holder is None)
            assert await hasty.read_value("SELECT 1") == 1


async def test_increments_by_check_then_act_lose_none(db_path: Path) -> None:
    async def increment(db: SQLiteDatabase) -> None:
        async with db.transaction() as tx:
            n = await db.read_value("SELECT n FROM counter")
            await tx.write("UPDATE counter SET n = ?", (n + 1,))

    async with aiomemdb.connect(db_path) as one, aiomemdb.connect(db_path) as other:
        await one.write_script("CREATE TABLE counter (n); INSERT INTO counter VALUES (0)")
        await asyncio.gather(*(increment(db) for db in (one, other) for _ in range(30)))
        assert await one.read_value("SELECT n FROM counter") == 60


# -- the rules of batches ------------------------------------------------------------------------------------


async def test_a_hold_that_a_step_has_lost_ends_at_once(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    hold = await db.begin()
    await hold.write(INSERT, (2,))
    with pytest.raises(sqlite3.IntegrityError) as caught:
        await hold.write("INSERT OR ROLLBACK INTO log (job) VALUES (1)")
    assert any("OR ROLLBACK" in note for note in caught.value.__notes__)
    assert await db.write(INSERT, (3,)) == 2  # the writer is free
    assert (hold.alive, type(hold.error)) == (False, holds.TransactionLost)
    assert hold.error is not None and hold.error.__cause__ is caught.value
    for refused in (hold.write(INSERT, (4,)), hold.commit()):
        with pytest.raises(TransactionLost):
            await refused
    assert await jobs(db) == [1, 3]


@pytest.mark.parametrize("warm", [False, True], ids=["first", "known"])
async def test_a_step_that_fails_leaves_nothing_and_the_others_are_kept(db: SQLiteDatabase, warm: bool) -> None:
    several = "INSERT OR FAIL INTO log (job) VALUES (?), (?), (?)"
    if warm:
        for job in (100, 200):
            await db.write(INSERT, (job,))
            await db.write(several, (job + 1, job + 2, job + 3))
        await db.write("DELETE FROM log")
    hold = await db.begin()
    await hold.write(INSERT, (1,))
    for sql, params in ((INSERT, (1,)), (several, (2, 1, 3)), (INSERT, ("x",))):
        if params == ("x",):
            await hold.write("CREATE TEMP TRIGGER strict BEFORE INSERT ON log BEGIN SELECT RAISE(FAIL, 'no'); END")
        with pytest.raises(sqlite3.IntegrityError):
            await hold.write(sql, params)
    await hold.write("DROP TRIGGER strict")
    await hold.write(INSERT, (4,))
    await hold.commit()
    assert await jobs(db) == [1, 4]


@pytest.mark.fast_path("no-savepoint")
@pytest.mark.fast_path("runs")
async def test_a_plain_insert_needs_no_savepoint_and_any_other_step_has_one(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    open_savepoint = Session.open_savepoint

    def counted(session: Session) -> None:
        nonlocal opened
        opened += 1
        open_savepoint(session)

    for job in range(3):
        await db.write(INSERT, (job,))
    monkeypatch.setattr(Session, "open_savepoint", counted)
    hold = await db.begin()
    await hold.write(INSERT, (10,))
    assert opened == 0
    await hold.write("INSERT INTO log (job) VALUES (11), (12)")
    assert opened == 1
    await hold.write_fn(lambda conn: None)
    assert opened == 2
    await hold.rollback()


async def test_a_full_disk_loses_it_and_the_writer_goes_on(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, prepare=lambda conn: conn.execute("PRAGMA max_page_count=20") and None) as db:
        await db.write("CREATE TABLE big (x)")
        hold = await db.begin()
        await hold.write("INSERT INTO big VALUES (1)")
        with pytest.raises(sqlite3.OperationalError, match="full"):
            await hold.write("INSERT INTO big VALUES (zeroblob(1000000))")
        await eventually(lambda: isinstance(hold.error, TransactionLost))
        assert await db.write("INSERT INTO big VALUES (2)") == 1


# -- cancellation --------------------------------------------------------------------------------------------


async def test_a_begin_that_is_cancelled_while_it_waits_begins_nothing(db: SQLiteDatabase) -> None:
    first = await db.begin()
    second = asyncio.create_task(db.begin())
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    await first.commit()
    await assert_whole(db)


async def test_a_begin_that_is_cancelled_as_it_is_granted_is_rolled_back(db: SQLiteDatabase) -> None:
    first = await db.begin()
    second = asyncio.create_task(db.begin())
    await asyncio.sleep(0)
    await first.commit()
    await eventually(lambda: db.statistics().pending == 0)
    second.cancel()
    await asyncio.wait([second])
    if not second.cancelled():
        await (await second).rollback()
    await assert_whole(db)


async def test_a_commit_that_is_cancelled_commits(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        writer_of(db).post(gate.block)
        committing = asyncio.create_task(hold.commit())
        await gate.wait_entered()
        committing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await committing
        assert not hold.alive
        gate.open()
        await db.flush()
    assert await jobs(db) == [1]


async def test_a_rollback_that_is_cancelled_rolls_back(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        writer_of(db).post(gate.block)
        ending = asyncio.create_task(hold.rollback())
        await gate.wait_entered()
        ending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await ending
        gate.open()
        await db.flush()
    assert await jobs(db) == []


@pytest.mark.parametrize("first", [True, False], ids=["that would begin", "later"])
async def test_a_step_that_is_cancelled_before_it_has_begun_never_runs_and_the_others_do(
    db: SQLiteDatabase, first: bool
) -> None:
    with Gate() as gate:
        hold = await db.begin()
        if not first:
            await hold.write(INSERT, (1,))
        writer_of(db).post(gate.block)
        step = asyncio.create_task(hold.write(INSERT, (2,)))
        await gate.wait_entered()
        step.cancel()
        await asyncio.wait([step])
        gate.open()
        assert hold.alive
        await hold.write(INSERT, (3,))
        await hold.commit()
    assert await jobs(db) == ([3] if first else [1, 3])


async def test_a_nested_begin_that_is_cancelled_leaves_no_savepoint(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        writer_of(db).post(gate.block)
        nested = asyncio.create_task(hold.begin())
        await gate.wait_entered()
        nested.cancel()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await nested
        await hold.write(INSERT, (2,))
        await hold.commit()
    assert await jobs(db) == [1, 2]


# -- forgotten -----------------------------------------------------------------------------------------------


async def forget(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    await hold.write(INSERT, (1,))


async def forget_block(db: SQLiteDatabase) -> None:
    await (await db.transaction().__aenter__()).write(INSERT, (1,))


@pytest.mark.parametrize("forget", [forget, forget_block])
async def test_a_forgotten_one_is_rolled_back_with_a_warning(
    db_path: Path, forget: Callable[[SQLiteDatabase], Awaitable[None]]
) -> None:
    async def forget_it(db: SQLiteDatabase) -> None:
        await forget(db)

    async with aiomemdb.connect(db_path, max_hold=3600) as db, asyncio.timeout(60):
        await db.write(SCHEMA)
        with pytest.warns(ResourceWarning, match="'the forgetful' was neither committed nor rolled back"):
            await asyncio.create_task(forget_it(db), name="the forgetful")
            gc.collect()
        assert await db.write(INSERT, (2,)) == 1
        assert await jobs(db) == [2]
        await assert_whole(db)


async def test_a_hold_that_another_thread_collects_is_rolled_back(db: SQLiteDatabase) -> None:
    kept = [await db.begin()]
    await kept[0].write(INSERT, (1,))
    with pytest.warns(ResourceWarning):
        thread = threading.Thread(target=kept.clear)
        thread.start()
        thread.join()
    assert await db.write(INSERT, (2,)) == 1


async def test_a_hold_with_a_nested_hold_in_use_is_not_forgotten(db: SQLiteDatabase) -> None:
    inner = await (await db.begin()).begin()
    gc.collect()
    await inner.write(INSERT, (1,))
    assert inner._outer is not None
    outer = inner._outer
    await inner.commit()
    await outer._end(commit=True)
    assert await jobs(db) == [1]


# -- ends from outside ---------------------------------------------------------------------------------------


async def test_close_waits_for_it(db: SQLiteDatabase, db_path: Path) -> None:
    hold = await db.begin()
    await hold.write(INSERT, (1,))
    closing_ = asyncio.create_task(db.close())
    await asyncio.sleep(0)
    with pytest.raises(DatabaseClosed):
        await db.begin()
    await hold.write(INSERT, (2,))
    await hold.commit()
    await closing_
    assert plain(db_path, "SELECT job FROM log") == [(1,), (2,)]


@pytest.mark.parametrize("steps", [0, 1])
async def test_a_close_that_does_not_drain_or_runs_out_of_time_ends_it(
    db: SQLiteDatabase, db_path: Path, steps: int
) -> None:
    hold = await db.begin()
    for job in range(steps):
        await hold.write(INSERT, (job,))
    await db.close(drain=False)
    assert (hold.alive, type(hold.error)) == (False, DatabaseClosed)
    for refused in (hold.write(INSERT, (9,)), hold.commit()):
        with pytest.raises(DatabaseClosed):
            await refused
    await hold.rollback()
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_commit_that_has_not_begun_when_it_is_ended_is_rolled_back_and_says_so(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        writer_of(db).post(gate.block)
        committing = asyncio.create_task(hold.commit())
        await gate.wait_entered()
        closing_ = asyncio.create_task(db.close(drain=False))
        await eventually(lambda: hold.error is not None)
        gate.open()
        with pytest.raises(DatabaseClosed) as caught:
            await committing
        assert caught.value.applied is False
        await closing_
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_commit_under_way_is_told_as_it_ends_though_it_was_to_end_early(
    db: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Session.commit

    def stopped_before(session: Session) -> None:
        gate.block()
        commit(session)

    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        monkeypatch.setattr(Session, "commit", stopped_before)
        committing = asyncio.create_task(hold.commit())
        await gate.wait_entered()
        closing_ = asyncio.create_task(db.close(drain=False))
        await eventually(lambda: hold.error is not None)
        gate.open()
        await committing
        assert hold.error is None
        await closing_
    assert plain(db_path, "SELECT job FROM log") == [(1,)]


async def test_a_commit_that_hangs_does_not_hold_up_close_and_its_outcome_is_unknown(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        monkeypatch.setattr(Session, "commit", lambda session: gate.block())
        committing = asyncio.create_task(hold.commit())
        await gate.wait_entered()
        await db.close(timeout=0.2)
        with pytest.raises(DatabaseClosed) as caught:
            await committing
        assert caught.value.applied is None
        gate.open()
        await eventually(lambda: not writer_of(db).thread.is_alive())


async def test_a_step_that_another_task_has_left_running_is_stopped_in_time(hasty: SQLiteDatabase) -> None:
    hold = await hasty.begin()
    await hold.write(INSERT, (1,))
    running = asyncio.create_task(hold.write(f"INSERT INTO log (job) {LONG_QUERY}"))
    await asyncio.sleep(0)
    with pytest.raises(TransactionTimeout):
        await hold.commit()
    with pytest.raises(TransactionTimeout):
        await running
    await assert_whole(hasty)
    assert await jobs(hasty) == []


async def test_what_was_to_be_committed_behind_a_read_that_takes_too_long_is_rolled_back(hasty: SQLiteDatabase) -> None:
    hold = await hasty.begin()
    await hold.write(INSERT, (1,))
    reading = asyncio.create_task(hold.read(LONG_QUERY))
    await asyncio.sleep(0)
    for late in (hold.commit(), reading):
        with pytest.raises(TransactionTimeout):
            await late
    assert await hasty.write(INSERT, (2,)) == 1
    assert await jobs(hasty) == [2]


async def test_a_running_step_is_stopped_where_close_gives_up(db_path: Path) -> None:
    with Gate() as gate:
        gate.open()
        db = await aiomemdb.connect(db_path, prepare=sql_gate(gate))
        await db.write(SCHEMA)
        hold = await db.begin()
        running = asyncio.create_task(hold.write(f"INSERT INTO log (job) {ENDLESS_FROM_GATE}"))
        await gate.wait_entered()
        await db.close(timeout=0.3)
    with pytest.raises(DatabaseClosed):
        await running
    await eventually(lambda: not writer_of(db).thread.is_alive())
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_hold_hears_that_the_writers_thread_died(db: SQLiteDatabase) -> None:
    hold = await db.begin()
    await hold.write(INSERT, (1,))
    kill_behind(writer_of(db))
    step = asyncio.ensure_future(hold.write(INSERT, (2,)))
    await ended(writer_of(db))
    with pytest.raises(WriterCrashed) as caught:
        await step
    assert caught.value.applied is False
    assert (hold.alive, type(hold.error)) == (False, WriterCrashed)
    with pytest.raises(WriterCrashed):
        await hold.commit()


async def test_a_thread_that_dies_during_its_commit_leaves_the_outcome_unknown(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Gate() as gate:
        hold = await db.begin()
        await hold.write(INSERT, (1,))
        monkeypatch.setattr(Session, "commit", lambda session: gate.block())
        committing = asyncio.create_task(hold.commit())
        await gate.wait_entered()
        db._writer._lost(RuntimeError("the thread"))  # type: ignore[union-attr]
        with pytest.raises(WriterCrashed) as caught:
            await committing
        assert caught.value.applied is None
        gate.open()


@pytest.mark.parametrize("where", ["a step is settled", "it is over"])
async def test_a_ctrl_c_that_strikes_as_it_is_reported_leaves_no_caller_waiting(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    async def hold_on() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))

    def strike(*_: object) -> None:
        raise RuntimeError("struck")

    if where == "it is over":
        monkeypatch.setattr(type(db._writer.session.recorder), "held", strike)  # type: ignore[union-attr]
    else:
        real = holds.Hold._settle

        def settle(self: holds.Hold, *args: Any) -> None:
            monkeypatch.setattr(self, "_steps", None)
            real(self, *args)

        monkeypatch.setattr(holds.Hold, "_settle", settle)
    behind = asyncio.create_task(hold_on())
    await asyncio.sleep(0)
    waiting = asyncio.ensure_future(db.write(INSERT, (2,)))
    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(behind, waiting, return_exceptions=True)
    assert isinstance(outcomes[1], WriterCrashed)
    with pytest.raises(WriterCrashed):
        await db.write(INSERT, (3,))
