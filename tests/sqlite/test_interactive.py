"""The rule of interactive transactions: a test a sentence. Nothing here waits for a clock: the looks for idleness are
called by the tests, and what a holder has held is set back.
"""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.interactive import granting
from aiomemdb.sqlite.interactive.connection import InteractiveConnection
from aiomemdb.sqlite.interactive.rule import Mode, Rule
from aiomemdb.sqlite.writing.writer import Writer
from tests.support.gates import Gate
from tests.support.others import OtherProcess
from tests.support.plain import plain
from tests.support.queries import NUMBERS, sql_gate
from tests.support.whole import assert_whole, eventually

READ = "SELECT n FROM counter"
ADD = "UPDATE counter SET n = n + 1"
NEVER = 3600.0
#: It waits for what it needs, and by itself it never releases anything.
PATIENT = Rule(patience=NEVER, idle=NEVER, timeout=NEVER)
HASTY = Rule(patience=0.0, idle=NEVER, timeout=0.0)


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def db(db_path: Path, gate: Gate) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, readers=3, prepare=sql_gate(gate)) as db:
        await db.write_script("CREATE TABLE counter (n INTEGER); INSERT INTO counter VALUES (0)")
        yield db
        gate.open()
        await assert_whole(db)


def writer_of(db: SQLiteDatabase) -> Writer:
    assert isinstance(db._writer, Writer)
    return db._writer


async def begun(
    db: SQLiteDatabase, rule: Rule = PATIENT, mode: Mode = Mode.DEFERRED, sql: str = READ
) -> InteractiveConnection:
    """A transaction that has done this one statement."""
    connection = InteractiveConnection(db, rule=rule)
    await connection.begin(mode)
    await connection.execute(sql)
    return connection


def has_writer(connection: InteractiveConnection) -> bool:
    return connection._transaction is not None and connection._transaction._writing is not None


def has_snapshot(connection: InteractiveConnection) -> bool:
    return connection._transaction is not None and connection._transaction._snapshot is not None


async def become_idle(connection: InteractiveConnection) -> None:
    """As after ``Rule.idle`` seconds."""
    transaction = connection._transaction
    assert transaction is not None
    for _ in range(5):  # the first one finds the latest call
        if not transaction._tasks:
            transaction._idling.look()
    await asyncio.gather(*transaction._tasks)


async def value(connection: InteractiveConnection, sql: str = READ) -> Any:
    [[found]] = (await connection.execute(sql)).rows
    return found


def is_waiting(db: SQLiteDatabase, count: int = 1) -> Callable[[], bool]:
    return lambda: sum(not future.done() for future, *_ in writer_of(db).queue.jobs) == count


async def must_roll_back(connection: InteractiveConnection, sql: str = ADD, *, locks: bool = False) -> None:
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
        await connection.execute(sql, locks=locks)
    assert caught.value.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"
    await connection.rollback()
    assert not connection.in_transaction


# -- it begins with the writer if it can have it soon ---------------------------------------------------------


async def test_a_transaction_begins_at_its_first_statement_and_on_the_writer_if_free(db: SQLiteDatabase) -> None:
    connection = InteractiveConnection(db, rule=PATIENT)
    await connection.begin()
    assert connection.in_transaction
    assert writer_of(db).present is None
    await connection.execute(READ)
    assert has_writer(connection)
    await connection.commit()
    assert not connection.in_transaction


async def test_a_snapshot_begins_in_the_hop_of_its_first_statement(db: SQLiteDatabase) -> None:
    def hops() -> int:
        return sum(reader._aside.posted for reader in db._reading().connections)

    await db.read(READ)
    holder = await begun(db, sql=ADD)
    before = hops()
    connection = await begun(db, HASTY)
    assert has_snapshot(connection)
    assert hops() == before + 1
    await connection.close()
    await holder.close()


async def test_one_that_has_ended_leaves_nothing_to_the_garbage_collector(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    ended = weakref.ref(connection._transaction)
    gc.disable()
    try:
        await connection.commit()
        assert ended() is None
    finally:
        gc.enable()


async def test_so_no_increment_is_lost(db: SQLiteDatabase) -> None:
    async def increment() -> None:
        connection = InteractiveConnection(db, rule=PATIENT)
        for _ in range(20):
            await connection.begin()
            n = await value(connection)
            await connection.execute("UPDATE counter SET n = ?", (n + 1,))
            await connection.commit()

    await asyncio.gather(*(increment() for _ in range(16)))
    assert await db.read_value(READ) == 320


async def test_behind_a_holder_it_waits_and_then_has_the_writer(db: SQLiteDatabase) -> None:
    holder = await begun(db)
    behind = asyncio.create_task(begun(db))
    await eventually(is_waiting(db))
    await holder.commit()
    connection = await behind
    assert has_writer(connection)
    await connection.close()


async def test_behind_a_long_holder_a_transaction_begins_as_a_snapshot_at_once(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    writer_of(db).held_since -= 0.25
    connection = await begun(db, Rule(patience=0.25, idle=NEVER, timeout=NEVER))
    assert has_snapshot(connection)
    assert await value(connection) == 0
    await holder.commit()
    assert await value(connection) == 0
    await connection.close()


async def test_its_wait_counts_from_when_the_present_holder_took_it(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(granting, "_ONCE_MORE", 600)
    first = await begun(db)
    second = asyncio.create_task(begun(db))
    await eventually(is_waiting(db))
    writer_of(db).held_since -= 59  # of the first alone
    third = asyncio.create_task(begun(db, Rule(patience=60, idle=NEVER, timeout=NEVER)))
    await eventually(is_waiting(db, 2))
    await first.commit()
    holder = await second
    await asyncio.wait([third], timeout=1.2)
    assert not third.done()
    await holder.commit()
    connection = await third
    assert has_writer(connection)
    await connection.close()


async def test_a_wait_that_is_over_leaves_nothing_in_the_queue(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    waiting = asyncio.create_task(begun(db, Rule(patience=0.01, idle=NEVER, timeout=NEVER)))
    connection = await waiting
    assert has_snapshot(connection)
    await holder.commit()
    await connection.close()
    assert await db.write_count(ADD) == 1


async def test_a_file_that_another_process_keeps_is_waited_for_no_longer(db: SQLiteDatabase, db_path: Path) -> None:
    with OtherProcess(db_path) as other:
        await other.does("db = await aiomemdb.connect(path)")
        await other.does("hold = await db.begin(); await hold.write('UPDATE counter SET n = 7')")
        connection = await begun(db, Rule(patience=0.01, idle=NEVER, timeout=0.01))
        assert has_snapshot(connection)
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            await connection.execute(ADD)
        await connection.close()
        await other.does("await hold.commit()")
        await other.does("await db.close()")
    assert await db.read_value(READ) == 7


@pytest.mark.parametrize("locks", [False, True], ids=["IMMEDIATE", "FOR UPDATE"])
async def test_immediate_and_for_update_wait_for_the_writer_always(db: SQLiteDatabase, locks: bool) -> None:
    holder = await begun(db, sql=ADD)
    writer_of(db).held_since -= NEVER
    connection = InteractiveConnection(db, rule=Rule(patience=0.0, idle=NEVER, timeout=NEVER))

    async def begin() -> None:
        await connection.begin(Mode.DEFERRED if locks else Mode.IMMEDIATE)
        await connection.execute(READ, locks=locks)

    beginning = asyncio.create_task(begin())
    await eventually(is_waiting(db))
    await holder.commit()
    await beginning
    assert has_writer(connection)
    assert await value(connection) == 1
    await connection.close()


@pytest.mark.parametrize("locks", [False, True], ids=["IMMEDIATE", "FOR UPDATE"])
async def test_statements_wait_no_longer_than_timeout(db: SQLiteDatabase, locks: bool) -> None:
    holder = await begun(db)
    connection = InteractiveConnection(db, rule=HASTY)
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
        await connection.begin(Mode.DEFERRED if locks else Mode.IMMEDIATE)
        await connection.execute(READ, locks=locks)
    assert caught.value.sqlite_errorname == "SQLITE_BUSY"
    await connection.close()
    await holder.close()


@pytest.mark.parametrize("locks", [False, True], ids=["IMMEDIATE", "FOR UPDATE"])
async def test_writing_transactions_never_release_the_writer(db: SQLiteDatabase, locks: bool) -> None:
    connection = await begun(db, mode=Mode.DEFERRED if locks else Mode.IMMEDIATE)
    await connection.execute(READ, locks=locks)
    await become_idle(connection)
    assert has_writer(connection)
    assert len((await connection.execute(NUMBERS, (5000,))).rows) > 1000
    assert has_writer(connection)
    await connection.close()


async def test_a_transaction_that_writes_first_waits_for_the_writer(db: SQLiteDatabase) -> None:
    holder = await begun(db, sql=ADD)
    beginning = asyncio.create_task(begun(db, Rule(patience=0.0, idle=NEVER, timeout=NEVER), sql=ADD))
    await eventually(is_waiting(db))
    await holder.commit()
    await (await beginning).commit()
    assert await db.read_value(READ) == 2


async def test_a_statement_that_writes_by_with_is_found_on_a_snapshot_and_is_not_stale(db: SQLiteDatabase) -> None:
    by_with = "WITH one (n) AS (SELECT 1) UPDATE counter SET n = n + (SELECT n FROM one)"
    holder = await begun(db, sql=ADD)
    writer_of(db).held_since -= NEVER
    beginning = asyncio.create_task(begun(db, Rule(patience=0.0, idle=NEVER, timeout=NEVER), sql=by_with))
    await eventually(is_waiting(db))
    await holder.commit()
    await (await beginning).commit()
    assert await db.read_value(READ) == 2


# -- one that has only read releases the writer --------------------------------------------------------------


async def test_an_idle_transaction_that_has_only_read_releases_the_writer(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    await become_idle(connection)
    assert has_snapshot(connection)
    assert await db.write_count(ADD) == 1
    assert await value(connection) == 0
    await connection.commit()


async def test_its_snapshot_is_taken_before_it_lets_go(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    written = asyncio.create_task(db.write_count(ADD))  # runs as soon as the writer is free
    await eventually(is_waiting(db))
    await become_idle(connection)
    assert await written == 1
    assert await value(connection) == 0
    await must_roll_back(connection)


async def test_a_transaction_that_has_written_keeps_the_writer(db: SQLiteDatabase) -> None:
    connection = await begun(db, sql=ADD)
    await become_idle(connection)
    assert has_writer(connection)
    await connection.commit()
    assert await db.read_value(READ) == 1


async def test_a_transaction_is_not_idle_while_a_call_is_pending(db: SQLiteDatabase, gate: Gate) -> None:
    connection = await begun(db)
    reading = asyncio.create_task(connection.execute("SELECT gate()"))
    await gate.wait_entered()
    await become_idle(connection)
    gate.open()
    await reading
    assert has_writer(connection)
    await connection.close()


async def test_a_call_between_two_looks_begins_the_time_anew(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    transaction = connection._transaction
    assert transaction is not None
    for _ in range(3):
        transaction._idling.look()
        transaction._idling.look()
        await connection.execute(READ)
    assert has_writer(connection) and not transaction._tasks
    await connection.close()


async def test_a_look_that_comes_late_on_a_busy_loop_counts_as_one(db: SQLiteDatabase) -> None:
    connection = await begun(db, Rule(patience=NEVER, idle=0.004, timeout=NEVER))
    transaction = connection._transaction
    assert transaction is not None
    until = asyncio.get_running_loop().time() + 0.1
    while asyncio.get_running_loop().time() < until:  # as another task's work does
        pass
    await asyncio.sleep(0)
    assert transaction._idling._looks <= 1 and not transaction._tasks
    await connection.close()


async def test_savepoints_survive_it(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    connection.savepoint("outer")
    await connection.execute(READ)
    connection.savepoint("inner")
    await become_idle(connection)
    assert has_snapshot(connection)
    await connection.execute(ADD)
    assert has_writer(connection)
    connection.rollback_to("inner")
    assert await value(connection) == 0
    await connection.execute(ADD)
    await connection.release("inner")
    assert await value(connection) == 1
    connection.rollback_to("outer")
    await connection.commit()
    assert await db.read_value(READ) == 0


async def test_a_large_result_is_read_on_the_snapshot_from_the_start(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    written = asyncio.create_task(db.write_count(ADD))
    await eventually(is_waiting(db))
    answer = await connection.execute(NUMBERS, (2500,))
    assert has_snapshot(connection)
    assert await written == 1
    assert answer.rest is not None
    rows = [*answer.rows, *(await answer.rest.fetch(700)), *(await answer.rest.fetch(1000))]
    assert rows == [(n,) for n in range(1, 2501)]
    assert await value(connection) == 0
    await connection.close()


async def test_while_all_readers_are_in_use_it_keeps_the_writer(db: SQLiteDatabase) -> None:
    connection = await begun(db, Rule(patience=NEVER, idle=0.01, timeout=NEVER))
    async with db.snapshot(), db.snapshot():
        await become_idle(connection)
        assert has_writer(connection)
    await eventually(lambda: has_snapshot(connection))
    await connection.close()


# -- a snapshot that writes after all ------------------------------------------------------------------------


async def test_a_snapshot_that_writes_takes_the_writer_and_goes_on(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    await become_idle(connection)
    await connection.execute(ADD)
    assert has_writer(connection)
    await connection.commit()
    assert await db.read_value(READ) == 1


async def _by_database(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write(ADD)


async def _by_schema(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write_script("CREATE TABLE another (x)")


async def _by_connection(db: SQLiteDatabase, db_path: Path) -> None:
    await (await begun(db, sql=ADD)).commit()


async def _by_another_program(db: SQLiteDatabase, db_path: Path) -> None:
    await eventually(lambda: db.statistics().running == 0)  # the writer has let go of the file, too
    plain(db_path, ADD)


@pytest.mark.parametrize("commit", [_by_database, _by_schema, _by_connection, _by_another_program])
async def test_a_write_is_an_error_if_another_transaction_committed_since_the_begin(
    db: SQLiteDatabase, db_path: Path, commit: Callable[..., Any]
) -> None:
    connection = await begun(db)
    await become_idle(connection)
    await commit(db, db_path)
    await must_roll_back(connection)


async def test_a_write_is_an_error_too_if_the_commit_came_while_it_waited(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    await become_idle(connection)
    holder = await begun(db, sql=ADD)
    writing = asyncio.create_task(must_roll_back(connection))
    await eventually(is_waiting(db))
    await holder.commit()
    await writing


async def test_what_was_rolled_back_is_no_commit(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    await become_idle(connection)
    await (await begun(db, sql=ADD)).rollback()
    await connection.execute(ADD)
    await connection.commit()
    assert await db.read_value(READ) == 1


async def test_for_update_after_a_stale_read_is_the_same_error(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    await become_idle(connection)
    await db.write(ADD)
    await must_roll_back(connection, READ, locks=True)


async def test_a_stale_transaction_does_nothing_more_and_its_commit_reports_it(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    await become_idle(connection)
    await db.write(ADD)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            await connection.execute(ADD)
    assert connection.in_transaction
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        await connection.commit()
    assert not connection.in_transaction
    assert await value(connection) == 1


async def test_a_write_waits_no_longer_than_timeout_and_can_be_tried_again(db: SQLiteDatabase) -> None:
    connection = await begun(db, Rule(patience=NEVER, idle=NEVER, timeout=0.01))
    await become_idle(connection)
    holder = await begun(db)
    with pytest.raises(sqlite3.OperationalError, match="database is locked") as caught:
        await connection.execute(ADD)
    assert caught.value.sqlite_errorname == "SQLITE_BUSY"
    await holder.rollback()
    await connection.execute(ADD)
    await connection.commit()
    assert await db.read_value(READ) == 1


# -- idle snapshots hold at most readers - 1 readers ---------------------------------------------------------


async def snapshots(db: SQLiteDatabase, count: int) -> list[InteractiveConnection]:
    """So many transactions, from the oldest to the newest, each on a snapshot."""
    made = []
    for _ in range(count):
        connection = await begun(db)
        await become_idle(connection)
        made.append(connection)
    return made


def lets_go(connection: InteractiveConnection) -> bool:
    assert connection._transaction is not None and connection._transaction._snapshot is not None
    return connection._transaction._snapshot._connection is None


async def test_the_oldest_is_let_go_where_there_are_more(db: SQLiteDatabase) -> None:
    made = await snapshots(db, 4)
    assert [lets_go(connection) for connection in made] == [True, True, False, False]
    assert await db.read_value(READ) == 0  # a query has a reader always
    for connection in made:
        await connection.close()


async def test_its_next_statement_goes_on_if_nothing_was_committed_since(db: SQLiteDatabase) -> None:
    made = await snapshots(db, 5)
    for connection in [*made, *reversed(made)]:
        assert await value(connection) == 0
    await made[0].execute(ADD)
    await made[0].commit()
    for connection in made[1:]:
        await connection.close()
    assert await db.read_value(READ) == 1


async def test_its_next_statement_is_an_error_if_something_was(db: SQLiteDatabase) -> None:
    made = await snapshots(db, 4)
    await db.write(ADD)
    await must_roll_back(made[0], READ)
    await must_roll_back(made[1], ADD)
    for connection in made:
        await connection.close()


async def test_a_snapshot_or_stream_of_the_database_calls_the_oldest_in_too(db: SQLiteDatabase) -> None:
    made = await snapshots(db, 2)
    async with db.snapshot() as snapshot:
        assert await snapshot.read_value(READ) == 0
    assert lets_go(made[0]) and not lets_go(made[1])
    for connection in made:
        await connection.close()


async def test_a_snapshot_that_reads_keeps_its_reader(db: SQLiteDatabase, gate: Gate) -> None:
    made = await snapshots(db, 2)
    reading = asyncio.create_task(made[0].execute("SELECT gate(), n FROM counter"))
    await gate.wait_entered()
    [another] = await snapshots(db, 1)
    assert not lets_go(made[0]) and lets_go(made[1])
    gate.open()
    assert (await reading).rows == [(None, 0)]
    for connection in [*made, another]:
        await connection.close()


async def test_a_result_half_read_is_let_go_too_and_goes_on_from_its_next_row(db: SQLiteDatabase) -> None:
    connection = await begun(db)
    answer = await connection.execute(NUMBERS, (3000,))
    assert answer.rest is not None
    rows = [*answer.rows, *(await answer.rest.fetch(500))]
    others = await snapshots(db, 2)
    assert lets_go(connection)
    rows += await answer.rest.fetch(500)
    rows += await answer.rest.fetch(5000)
    assert rows == [(n,) for n in range(1, 3001)]
    for one in [connection, *others]:
        await one.close()


async def test_the_rest_of_a_result_is_an_error_where_it_was_let_go_and_others_have_committed(
    db: SQLiteDatabase,
) -> None:
    connection = InteractiveConnection(db, rule=PATIENT)
    answer = await connection.execute(NUMBERS, (3000,))  # outside a transaction
    assert answer.rest is not None
    others = await snapshots(db, 2)
    await db.write(ADD)
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        await answer.rest.fetch(500)
    answer.rest.close()
    for one in others:
        await one.close()
