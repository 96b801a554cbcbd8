"""``transaction()``: several awaited steps, exclusively, whole or not at all."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from contextvars import Context
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import ReadTimeout, ReentrancyError, TransactionTimeout, WriteTimeout
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.gates import Gate
from tests.support.plain import assert_healthy, plain
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO log (job) VALUES (?)"
LONG_QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT max(i) FROM n"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER UNIQUE)")
        yield db


@pytest.fixture
async def hasty(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """As ``db``, but no transaction is held for long."""
    async with aiomemdb.connect(db_path, max_hold=0.5) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER UNIQUE)")
        yield db


async def jobs(db: SQLiteDatabase) -> list[int]:
    return [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")]


# -- commit, rollback, isolation -----------------------------------------------------------------------------


async def test_leaving_the_block_commits_all_steps(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        assert await tx.write(INSERT, (1,)) == 1
        assert await tx.write_count("UPDATE log SET job = 2") == 1
        assert [tuple(row) for row in await tx.write_returning(f"{INSERT} RETURNING id", (3,))] == [(2,)]
        assert await tx.write_many(INSERT, [(4,), (5,)]) == 2
        await tx.write_script("INSERT INTO log (job) VALUES (6); INSERT INTO log (job) VALUES (7);")
        assert await tx.write_fn(lambda conn: conn.execute("SELECT count(*) FROM log").fetchone()[0]) == 6
    assert await jobs(db) == [2, 3, 4, 5, 6, 7]


async def test_an_error_that_leaves_the_block_rolls_back_all_steps(db: SQLiteDatabase) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            _ = 1 / 0
    assert await jobs(db) == []
    await assert_whole(db)


async def test_reads_on_the_database_see_the_last_committed_state_meanwhile(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        assert await tx.read_value("SELECT count(*) FROM log") == 1
        assert await db.read_value("SELECT count(*) FROM log") == 0
        async with db.snapshot() as snap:
            assert await snap.read_value("SELECT count(*) FROM log") == 0
    assert await db.read_value("SELECT count(*) FROM log") == 1


async def test_a_write_in_a_read_verb_is_refused_and_the_transaction_goes_on(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        for job in range(3):  # more than once: the statements that switch this are cached
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await tx.read(f"{INSERT} RETURNING id", (100 + job,))
            await tx.write(INSERT, (job,))
            assert await tx.read_value("SELECT max(job) FROM log") == job
    assert await jobs(db) == [0, 1, 2]


async def test_a_failed_step_that_is_caught_is_undone_alone(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(sqlite3.IntegrityError):
            await tx.write_many(INSERT, [(2,), (1,)])
        with pytest.raises(sqlite3.IntegrityError):
            await tx.write("INSERT OR FAIL INTO log (job) VALUES (3), (1), (4)")
        await tx.write(INSERT, (5,))
    assert await jobs(db) == [1, 5]


async def test_a_step_that_lost_the_transaction_is_not_committed_piecewise(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    with pytest.raises(sqlite3.OperationalError, match="transaction is gone"):
        async with db.transaction() as tx:
            await tx.write(INSERT, (2,))
            with pytest.raises(sqlite3.IntegrityError):
                await tx.write("INSERT OR ROLLBACK INTO log (job) VALUES (1)")
            with pytest.raises(sqlite3.OperationalError, match="transaction is gone"):
                await tx.write(INSERT, (3,))
            with pytest.raises(sqlite3.OperationalError, match="transaction is gone"):
                await tx.read("SELECT 1")
    assert await jobs(db) == [1]
    await assert_whole(db)


async def test_a_transaction_lost_in_a_nested_one_is_lost_for_the_outer_too(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    with pytest.raises(sqlite3.OperationalError, match="transaction is gone"):
        async with db.transaction() as tx:
            await tx.write(INSERT, (2,))
            with pytest.raises(sqlite3.IntegrityError):
                async with tx.transaction() as inner:
                    await inner.write("INSERT OR ROLLBACK INTO log (job) VALUES (1)")
            await tx.write(INSERT, (3,))
    assert await jobs(db) == [1]


async def test_a_deferred_foreign_key_violation_is_raised_where_the_block_ends(db: SQLiteDatabase) -> None:
    await db.write("CREATE TABLE child (job INTEGER REFERENCES log (job) DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            await tx.write("INSERT INTO child VALUES (2)")
    assert await jobs(db) == []
    async with db.transaction() as tx:
        await tx.write("INSERT INTO child VALUES (2)")
        await tx.write(INSERT, (2,))
    assert await jobs(db) == [2]


async def test_durable_forces_what_a_transaction_committed_to_stable_storage(db_path: Path) -> None:
    def forces(sql: str) -> bool:
        return sql.startswith("PRAGMA synchronous=FULL")

    statements: list[str] = []
    async with aiomemdb.connect(db_path, prepare=lambda conn: conn.set_trace_callback(statements.append)) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        assert not any(map(forces, statements))
        async with db.transaction(durable=True) as tx:
            await tx.write(INSERT, (1,))
        [begun] = [at for at, sql in enumerate(statements) if forces(sql)]
        assert begun < statements.index("INSERT INTO log (job) VALUES (1)")
        async with db.transaction() as tx:
            await tx.write(INSERT, (2,), durable=True)
        # It could not know at its BEGIN: a further commit, at FULL, takes what it wrote along.
        written = statements.index("INSERT INTO log (job) VALUES (2)")
        assert any(map(forces, statements[written:]))


# -- nested --------------------------------------------------------------------------------------------------


async def test_transactions_nest_as_savepoints_three_deep(db: SQLiteDatabase) -> None:
    async with db.transaction() as one:
        await one.write(INSERT, (1,))
        async with one.transaction() as two:
            await two.write(INSERT, (2,))
            with suppress(ZeroDivisionError):
                async with two.transaction() as three:
                    await three.write(INSERT, (3,))
                    _ = 1 / 0
            assert await two.read_value("SELECT max(job) FROM log") == 2
            async with two.transaction() as three:
                await three.write(INSERT, (4,))
        await one.write(INSERT, (5,))
    assert await jobs(db) == [1, 2, 4, 5]


async def test_an_inner_rollback_takes_along_what_was_nested_in_it(db: SQLiteDatabase) -> None:
    async with db.transaction() as one:
        await one.write(INSERT, (1,))
        with suppress(ZeroDivisionError):
            async with one.transaction() as two:
                async with two.transaction() as three:
                    await three.write(INSERT, (3,))
                _ = 1 / 0
        await one.write(INSERT, (4,))
    assert await jobs(db) == [1, 4]


async def test_an_outer_rollback_takes_along_what_inner_ones_have_committed(db: SQLiteDatabase) -> None:
    with suppress(ZeroDivisionError):
        async with db.transaction() as one:
            async with one.transaction() as two:
                await two.write(INSERT, (2,))
            _ = 1 / 0
    assert await jobs(db) == []


async def test_the_outer_is_refused_while_an_inner_one_is_open(db: SQLiteDatabase) -> None:
    async with db.transaction() as one:
        async with one.transaction() as two:
            for refused in (one.write(INSERT, (1,)), one.read("SELECT 1"), one.write_fn(lambda conn: None)):
                with pytest.raises(ReentrancyError, match="nested"):
                    await refused
            with pytest.raises(ReentrancyError, match="nested"):
                async with one.transaction():
                    pass
            await two.write(INSERT, (2,))
        await one.write(INSERT, (3,))
    assert await jobs(db) == [2, 3]


async def test_a_transaction_is_refused_after_its_end(db: SQLiteDatabase) -> None:
    async with db.transaction() as one:
        async with one.transaction() as two:
            pass
        with pytest.raises(sqlite3.ProgrammingError, match="ended"):
            await two.write(INSERT, (2,))
    for late in (one, two):
        with pytest.raises(sqlite3.ProgrammingError, match="ended"):
            await late.write(INSERT, (1,))
        with pytest.raises(sqlite3.ProgrammingError, match="ended"):
            await late.read("SELECT 1")
        with pytest.raises(sqlite3.ProgrammingError, match="ended"):
            async with late.transaction():
                pass
    assert await jobs(db) == []


async def test_an_inner_one_still_open_where_the_outer_ends_ends_with_it(db: SQLiteDatabase) -> None:
    async with db.transaction() as one:
        inner = one.transaction()
        two = await inner.__aenter__()
        await two.write(INSERT, (2,))
    with pytest.raises(sqlite3.ProgrammingError, match="ended"):
        await two.write(INSERT, (3,))
    with pytest.raises(sqlite3.ProgrammingError, match="ended"):
        await inner.__aexit__(None, None, None)
    await assert_whole(db)


# -- reentrancy ----------------------------------------------------------------------------------------------

Verb = Callable[[SQLiteDatabase], Awaitable[object]]


async def enter_transaction(db: SQLiteDatabase) -> None:
    async with db.transaction():
        pass


async def submit(db: SQLiteDatabase) -> None:
    await db.submit(INSERT, (9,))


REFUSED: dict[str, Verb] = {
    "write": lambda db: db.write(INSERT, (9,)),
    "durable write": lambda db: db.write(INSERT, (9,), durable=True),
    "write_count": lambda db: db.write_count(INSERT, (9,)),
    "write_many": lambda db: db.write_many(INSERT, [(9,)]),
    "write_fn": lambda db: db.write_fn(lambda conn: None),
    "submit": submit,
    "flush": lambda db: db.flush(),
    "transaction": enter_transaction,
    "checkpoint": lambda db: db.checkpoint(),
    "optimize": lambda db: db.optimize(),
    "vacuum": lambda db: db.vacuum(),
    "close": lambda db: db.close(),
}


@pytest.mark.parametrize("verb", REFUSED)
async def test_a_verb_that_would_wait_for_its_own_transaction_is_refused(db: SQLiteDatabase, verb: str) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(ReentrancyError) as caught:
            await REFUSED[verb](db)
        assert caught.value.applied is False
    assert await jobs(db) == [1]


async def run_in_wait_for(main: Awaitable[object]) -> object:
    return await asyncio.wait_for(main, 60)


async def run_in_gather(main: Awaitable[object]) -> object:
    [result] = await asyncio.gather(main)
    return result


async def run_in_task(main: Awaitable[object]) -> object:
    return await asyncio.ensure_future(main)


@pytest.mark.parametrize("run", [run_in_wait_for, run_in_gather, run_in_task])
async def test_a_task_made_inside_a_transaction_is_refused_as_well(
    db: SQLiteDatabase, run: Callable[[Awaitable[object]], Awaitable[object]]
) -> None:
    async with db.transaction() as tx:
        with pytest.raises(ReentrancyError):
            await run(db.write(INSERT, (9,)))
        await run(tx.write(INSERT, (1,)))
    await run(db.write(INSERT, (2,)))
    assert await jobs(db) == [1, 2]


async def test_a_task_made_inside_a_transaction_may_write_once_it_is_over(db: SQLiteDatabase) -> None:
    over = asyncio.Event()

    async def later() -> None:
        await over.wait()
        await db.write(INSERT, (2,))

    async with db.transaction() as tx:
        task = asyncio.create_task(later())
        await tx.write(INSERT, (1,))
    over.set()
    await task
    assert await jobs(db) == [1, 2]


async def test_a_transaction_on_another_database_is_not_in_the_way(db: SQLiteDatabase, tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "other.db") as other:
        await other.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        async with db.transaction() as tx, other.transaction() as other_tx:
            await tx.write(INSERT, (1,))
            await other_tx.write(INSERT, (2,))
            with pytest.raises(ReentrancyError):
                await db.write(INSERT, (9,))
            with pytest.raises(ReentrancyError):
                await other.write(INSERT, (9,))
        async with db.transaction():
            await other.write(INSERT, (3,))
        assert await jobs(other) == [2, 3]


# -- order ---------------------------------------------------------------------------------------------------


async def test_a_transaction_takes_its_turn_between_the_writes_before_and_behind_it(db: SQLiteDatabase) -> None:
    async def transact() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (2,))
            await asyncio.sleep(0)
            await tx.write(INSERT, (3,))

    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        before = db.submit(INSERT, (1,))
        between = asyncio.create_task(transact())
        await asyncio.sleep(0)
        behind = db.submit(INSERT, (4,))
        gate.open()
        await asyncio.gather(held, before, between, behind)
    assert await jobs(db) == [1, 2, 3, 4]


async def test_two_transactions_never_overlap(db: SQLiteDatabase) -> None:
    inside = 0

    async def transact(job: int) -> None:
        nonlocal inside
        async with db.transaction() as tx:
            inside += 1
            assert inside == 1
            await tx.write(INSERT, (2 * job,))
            await asyncio.sleep(0)
            await tx.write(INSERT, (2 * job + 1,))
            assert inside == 1
            inside -= 1

    await asyncio.gather(*(transact(job) for job in range(20)))
    assert await jobs(db) == list(range(40))


async def test_a_transaction_that_waits_for_its_turn_can_time_out_and_never_begins(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))

        async def wait() -> None:
            async with db.transaction(timeout=0.01):
                raise AssertionError("it must not begin")

        with pytest.raises(WriteTimeout) as caught:
            # A task with no part in the transaction around it.
            await asyncio.get_running_loop().create_task(wait(), context=Context())
    assert (caught.value.started, caught.value.applied) == (False, False)
    assert await jobs(db) == [1]


# -- max_hold and timeouts -----------------------------------------------------------------------------------


async def test_a_transaction_held_too_long_is_rolled_back_and_its_holder_named(hasty: SQLiteDatabase) -> None:
    async def hold() -> None:
        async with hasty.transaction() as tx:
            await tx.write(INSERT, (1,))
            await asyncio.Event().wait()

    holding = asyncio.create_task(hold(), name="the sleeper")
    await eventually(lambda: hasty.statistics().transaction_holder == "the sleeper")
    await asyncio.wait_for(hasty.write(INSERT, (2,)), 60)  # others go on
    holding.cancel()
    with suppress(asyncio.CancelledError):
        await holding
    assert await jobs(hasty) == [2]
    await assert_whole(hasty)


async def test_a_transaction_held_too_long_fails_at_its_next_step(hasty: SQLiteDatabase) -> None:
    async def hold() -> None:
        async with hasty.transaction() as tx:
            await tx.write(INSERT, (1,))
            await eventually(lambda: hasty.statistics().transaction_holder is None)
            await tx.write(INSERT, (2,))

    with pytest.raises(TransactionTimeout, match="the sleeper") as caught:
        await asyncio.create_task(hold(), name="the sleeper")
    assert caught.value.applied is False
    assert await jobs(hasty) == []


async def test_a_transaction_held_too_long_fails_where_its_block_ends(hasty: SQLiteDatabase) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction() as tx:
            await tx.write(INSERT, (1,))
            await eventually(lambda: hasty.statistics().transaction_holder is None)
    assert await jobs(hasty) == []


async def test_a_nested_transaction_held_too_long_fails(hasty: SQLiteDatabase) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction() as tx, tx.transaction() as inner:
            await inner.write(INSERT, (1,))
            await eventually(lambda: hasty.statistics().transaction_holder is None)
            await inner.write(INSERT, (2,))
    assert await jobs(hasty) == []
    await assert_whole(hasty)


async def test_a_long_statement_is_stopped_when_its_transaction_was_held_too_long(hasty: SQLiteDatabase) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction() as tx:
            await tx.write(INSERT, (1,))
            await tx.write(f"INSERT INTO log (job) {LONG_QUERY}")
    await assert_whole(hasty)
    assert await jobs(hasty) == []


async def test_a_long_statement_is_stopped_as_well_if_its_caller_has_left(hasty: SQLiteDatabase) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction() as tx:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    await tx.write(f"INSERT INTO log (job) {LONG_QUERY}")
            await tx.write(INSERT, (1,))
    await assert_whole(hasty)
    assert await jobs(hasty) == []


async def test_queries_queued_behind_a_long_one_do_not_run_when_time_is_up(hasty: SQLiteDatabase) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction() as tx:
            await asyncio.gather(*(tx.read(LONG_QUERY) for _ in range(3)))
    await assert_whole(hasty)


async def test_a_long_statement_that_a_child_task_still_runs_where_the_block_ends_is_stopped(
    hasty: SQLiteDatabase,
) -> None:
    with pytest.raises(TransactionTimeout):
        async with hasty.transaction() as tx:
            child = asyncio.create_task(tx.write(f"INSERT INTO log (job) {LONG_QUERY}"))
            await asyncio.sleep(0)
    with pytest.raises(TransactionTimeout):
        await child
    await assert_whole(hasty)
    assert await jobs(hasty) == []


async def test_a_function_that_runs_one_statement_after_another_is_stopped_too(hasty: SQLiteDatabase) -> None:
    def many(conn: sqlite3.Connection, gate: Gate) -> None:
        gate.block()  # the time is up here, between two statements
        conn.execute(f"INSERT INTO log (job) {LONG_QUERY}")

    with Gate() as gate:
        with pytest.raises(TransactionTimeout):
            async with hasty.transaction() as tx:
                await tx.write_fn(many, gate)
        gate.open()
        await assert_whole(hasty)


async def test_a_step_that_times_out_rolls_its_transaction_back(db: SQLiteDatabase) -> None:
    with pytest.raises(WriteTimeout) as caught:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            await tx.write(f"INSERT INTO log (job) {LONG_QUERY}", timeout=0.05)
    assert caught.value.applied is False
    await assert_whole(db)
    assert await jobs(db) == []


@pytest.mark.parametrize("verb", ["read", "read_one", "read_value"])
async def test_a_read_that_times_out_in_a_transaction_stops_its_query_alone(db: SQLiteDatabase, verb: str) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(ReadTimeout) as caught:
            await getattr(tx, verb)(LONG_QUERY, timeout=0.05)
        assert (caught.value.started, caught.value.applied) == (True, False)
        assert await tx.read_value("SELECT count(*) FROM log") == 1
        await tx.write(INSERT, (2,))
    assert await jobs(db) == [1, 2]


async def test_a_read_that_is_cancelled_in_a_transaction_stops_its_query_alone(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await tx.read(LONG_QUERY)
        await tx.write(INSERT, (2,))
    assert await jobs(db) == [1, 2]


async def test_tiny_timeouts_around_reads_in_a_transaction_never_lose_it(db: SQLiteDatabase) -> None:
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) SELECT max(i) FROM n"
    async with db.transaction() as tx:
        for job in range(200):
            with suppress(ReadTimeout):
                await tx.read(query, timeout=0.000_01 * (job % 40))
            await tx.write(INSERT, (job,))
    assert await jobs(db) == list(range(200))


async def test_the_file_is_whole_after_a_process_would_have_ended_in_a_transaction(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        transaction = db.transaction()
        tx = await transaction.__aenter__()
        await tx.write(INSERT, (1,))
        assert plain(db_path, "SELECT count(*) FROM log") == [(0,)]
        await transaction.__aexit__(ValueError, ValueError(), None)
    assert_healthy(db_path)
