from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from tests.support.gates import Gate
from tests.support.plain import plain
from tests.support.queries import ENDLESS, NUMBERS, sql_gate
from tests.support.scripts import run_script_aside
from tests.support.whole import assert_whole, eventually

SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES (10), (20), (30)"
COUNT = "SELECT count(*) FROM t"
INSERT = "INSERT INTO t (x) VALUES (?)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[aiomemdb.Database]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        yield db


def busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    error.sqlite_errorname = "SQLITE_BUSY"
    return error


# -- what a read returns ---------------------------------------------------------------------------------------


async def test_read_returns_all_rows_in_order(db: aiomemdb.Database) -> None:
    assert [tuple(row) for row in await db.read("SELECT id, x FROM t ORDER BY id")] == [(1, 10), (2, 20), (3, 30)]
    assert await db.read("SELECT x FROM t WHERE id > 99") == []


async def test_read_one_returns_the_first_row_or_none(db: aiomemdb.Database) -> None:
    row = await db.read_one("SELECT * FROM t ORDER BY id DESC")
    assert row is not None and tuple(row) == (3, 30)
    assert await db.read_one("SELECT * FROM t WHERE id = ?", (99,)) is None


async def test_read_value_returns_the_first_column_or_none(db: aiomemdb.Database) -> None:
    assert await db.read_value("SELECT x, id FROM t ORDER BY id") == 10
    assert await db.read_value("SELECT x FROM t WHERE id = 99") is None
    assert await db.read_value("SELECT NULL") is None


async def test_parameters_are_a_sequence_or_a_mapping(db: aiomemdb.Database) -> None:
    assert await db.read_value("SELECT x FROM t WHERE id = ?", [2]) == 20
    assert await db.read_value("SELECT x FROM t WHERE id = :id", {"id": 3}) == 30
    with pytest.raises(TypeError, match="for one value write"):
        await db.read("SELECT x FROM t WHERE id = ?", 2)  # type: ignore[arg-type]


async def test_a_row_is_reached_by_name_in_any_case_and_by_index(db: aiomemdb.Database) -> None:
    row = await db.read_one("SELECT id, x AS Size FROM t WHERE id = 1")
    assert isinstance(row, aiomemdb.Row)
    assert (row["id"], row["size"], row["SIZE"], row[0], row[-1], len(row)) == (1, 10, 10, 1, 10, 2)
    assert dict(row) == {"id": 1, "Size": 10}
    assert repr(row) == "Row(id=1, Size=10)"
    with pytest.raises(IndexError):
        row["missing"]


async def test_rows_outlive_their_database(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        rows = await db.read("SELECT 1 AS one, 'two' AS two")
    assert repr(rows[0]) == "Row(one=1, two='two')"


async def test_a_read_that_fails_at_its_second_row_leaves_no_snapshot_open(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script(SCHEMA)
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError, match="decode"):
                await db.read("SELECT 'good' UNION ALL SELECT CAST(x'ff' AS TEXT) UNION ALL SELECT x FROM t")
        await db.write(INSERT, (40,))
        assert plain(db_path, "PRAGMA wal_checkpoint(TRUNCATE)") == [(0, 0, 0)]
        assert [tuple(row) for row in await db.read(COUNT)] == [(4,)]


# -- snapshots, and read-your-writes -------------------------------------------------------------------------


async def test_a_read_that_starts_after_a_write_returned_sees_it(db: aiomemdb.Database) -> None:
    async def agent(name: int) -> None:
        for step in range(25):
            rowid = await db.write(INSERT, (f"{name}.{step}",))
            assert await db.read_value("SELECT x FROM t WHERE id = ?", (rowid,)) == f"{name}.{step}"

    async with asyncio.TaskGroup() as group:
        for name in range(8):
            group.create_task(agent(name))


async def test_it_is_seen_through_another_handle_on_the_same_file(db: aiomemdb.Database, db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as other:
        for step in range(10):
            await db.write(INSERT, (step,))
            assert await other.read_value(COUNT) == 4 + 2 * step
            await other.write(INSERT, (step,))
            assert await db.read_value(COUNT) == 5 + 2 * step


async def test_it_is_seen_from_another_process_and_the_other_way_round(db: aiomemdb.Database, db_path: Path) -> None:
    await db.write(INSERT, ("ours",))
    child = await run_script_aside(
        """
        import asyncio, sys, aiomemdb

        async def main():
            async with aiomemdb.connect(sys.argv[1]) as db:
                print(await db.read_value("SELECT x FROM t ORDER BY id DESC"), flush=True)
                await db.write("INSERT INTO t (x) VALUES ('theirs')")

        asyncio.run(main())
        """,
        db_path,
    )
    child.assert_ok()
    assert child.stdout == "ours\n"
    assert await db.read_value("SELECT x FROM t ORDER BY id DESC") == "theirs"


async def test_one_read_sees_one_committed_state(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=sql_gate(gate)) as db:
            await db.write_script(SCHEMA)
            # read    count │ gate()            │ count
            # write         │        3 more rows │
            read = asyncio.create_task(db.read_one(f"SELECT ({COUNT}), gate(), ({COUNT} WHERE x IS NOT NULL)"))
            await gate.wait_entered()
            await db.write_many(INSERT, [(1,), (2,), (3,)])
            assert await db.read_value(COUNT) == 6
            gate.open()
            row = await read
            assert row is not None and (row[0], row[2]) == (3, 3)


async def test_a_function_reads_one_snapshot_throughout(db: aiomemdb.Database) -> None:
    def count_twice(conn: sqlite3.Connection) -> tuple[int, int]:
        before = conn.execute(COUNT).fetchone()[0]
        gate.block()
        return before, conn.execute(COUNT).fetchone()[0]

    with Gate() as gate:
        counting = asyncio.create_task(db.read_fn(count_twice))
        await gate.wait_entered()
        await db.write(INSERT, (40,))
        gate.open()
        assert await counting == (3, 3)
    assert await db.read_value(COUNT) == 4


# -- reads and writes do not block each other ------------------------------------------------------------


async def test_readers_go_on_while_a_function_keeps_the_writer(db: aiomemdb.Database) -> None:
    def insert_and_stay(conn: sqlite3.Connection) -> None:
        conn.execute(INSERT, (40,))
        gate.block()

    with Gate() as gate:
        writing = asyncio.create_task(db.write_fn(insert_and_stay))
        await gate.wait_entered()
        assert await db.read_value(COUNT) == 3
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value(COUNT) == 3
        assert [row["x"] async for row in db.read_stream("SELECT x FROM t")] == [10, 20, 30]
        gate.open()
        await writing
    assert await db.read_value(COUNT) == 4


async def test_readers_see_the_committed_state_while_a_transaction_is_open(db: aiomemdb.Database) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (40,))
        assert await tx.read_value(COUNT) == 4
        assert await db.read_value(COUNT) == 3
    assert await db.read_value(COUNT) == 4


async def test_the_writer_goes_on_while_every_reader_is_busy(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=sql_gate(gate)) as db:
            await db.write_script(SCHEMA)
            async with db.snapshot() as snapshot:
                reports = [asyncio.create_task(db.read(f"SELECT gate(), ({COUNT})")) for _ in range(3)]
                await gate.wait_entered(3)
                await db.write(INSERT, (40,))
                await db.write_count("DELETE FROM t WHERE id = 1")
                assert await snapshot.read_value(COUNT) == 3
            gate.open()
            await asyncio.gather(*reports)


async def test_quick_reads_are_answered_while_three_of_four_readers_are_in_reports(db: aiomemdb.Database) -> None:
    reports = [asyncio.create_task(db.read(ENDLESS)) for _ in range(3)]
    await eventually(lambda: db.statistics().readers_busy == 3)
    for _ in range(10):
        quick = await asyncio.gather(*[db.read_value("SELECT x FROM t WHERE id = ?", (1 + n % 3,)) for n in range(64)])
        assert quick == [10 * (1 + n % 3) for n in range(64)]
    assert not any(report.done() for report in reports)
    for report in reports:
        report.cancel()
    await asyncio.wait(reports)
    await assert_whole(db)  # type: ignore[arg-type]


async def test_quick_reads_queued_behind_reports_are_answered_first(db: aiomemdb.Database) -> None:
    # All are in the queue before any reader wakes: one thread takes the first report, the others must follow.
    reports = [asyncio.create_task(db.read(ENDLESS)) for _ in range(3)]
    quick = [asyncio.create_task(db.read_value(COUNT)) for _ in range(100)]
    assert await asyncio.gather(*quick) == [3] * 100
    assert not any(report.done() for report in reports)
    for report in reports:
        report.cancel()
    await asyncio.wait(reports)


async def test_reads_beside_a_slow_query_do_not_wait_for_it_with_one_reader(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, readers=1, prepare=sql_gate(gate)) as db:
            report = asyncio.create_task(db.read("SELECT gate()"))
            await gate.wait_entered()
            assert await db.read_value("SELECT 1") == 1
            gate.open()
            await report


# -- nothing stays open --------------------------------------------------------------------------------------


async def test_reading_the_first_of_many_rows_leaves_no_statement_open(db: aiomemdb.Database, db_path: Path) -> None:
    await db.write_many(INSERT, [(n,) for n in range(1000)])
    await asyncio.gather(*[db.read_one("SELECT * FROM t") for _ in range(20)])
    await asyncio.gather(*[db.read_value("SELECT * FROM t") for _ in range(20)])
    await db.read_fn(lambda conn: conn.execute("SELECT * FROM t").fetchone())
    assert await db.checkpoint()
    assert os.stat(f"{db_path}-wal").st_size == 0  # a statement left open would keep the log from being cut


async def test_a_query_that_failed_halfway_leaves_no_statement_open(db: aiomemdb.Database, db_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="malformed JSON"):
        await db.read("SELECT json(CASE id WHEN 3 THEN '{' ELSE '{}' END) FROM t")
    assert await db.checkpoint()


async def test_a_cursor_kept_by_a_function_pins_nothing(db_path: Path) -> None:
    kept = []

    def keep(conn: sqlite3.Connection) -> None:
        for cursor in (conn.execute("SELECT x FROM t"), conn.cursor().execute("SELECT x FROM t")):
            next(cursor)
            kept.append(cursor)

    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script(SCHEMA)
        for _ in range(4):
            await db.read_fn(keep)
        await db.write(INSERT, (40,))
        assert [await db.read_value(COUNT) for _ in range(4)] == [4] * 4
        assert await db.checkpoint()


async def test_an_error_that_a_caller_keeps_pins_nothing(db_path: Path) -> None:
    def fail_while_reading(conn: sqlite3.Connection) -> None:
        for _ in conn.execute("SELECT x FROM t"):
            raise KeyError("its traceback keeps the cursor")

    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script(SCHEMA)
        kept = await asyncio.gather(*[db.read_fn(fail_while_reading) for _ in range(4)], return_exceptions=True)
        assert {type(error) for error in kept} == {KeyError}
        await db.write(INSERT, (40,))
        assert [await db.read_value(COUNT) for _ in range(4)] == [4] * 4


async def test_a_cursor_kept_by_a_writing_function_does_not_stop_the_writer(db_path: Path) -> None:
    kept = []

    def keep(conn: sqlite3.Connection) -> None:
        kept.append(conn.execute("SELECT x FROM t"))
        next(kept[0])

    async with aiomemdb.connect(db_path, lock_timeout=1) as db:
        await db.write_script(SCHEMA)
        await db.write_fn(keep)
        # Another program commits: a writer that still held its old snapshot could never write again.
        plain(db_path, "INSERT INTO t (x) VALUES (40)")
        await db.write(INSERT, (50,))
        assert await db.read_value(COUNT) == 5
        assert await db.checkpoint()


async def test_a_timed_out_function_with_another_cursor_open_leaves_no_transaction_open(db_path: Path) -> None:
    kept = []

    def keep_one_and_run(conn: sqlite3.Connection) -> None:
        kept.append(conn.execute("SELECT x FROM t"))
        next(kept[-1])
        conn.execute(ENDLESS)

    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script(SCHEMA)
        for _ in range(2):
            with pytest.raises(aiomemdb.ReadTimeout):
                await db.read_fn(keep_one_and_run, timeout=0.05)
        await eventually(lambda: db.statistics().readers_busy == 0)
        await db.write(INSERT, (40,))
        for _ in range(2):
            assert await db.read_value(COUNT) == 4
            assert await db.read_fn(lambda conn: conn.execute(COUNT).fetchone()[0]) == 4


# -- errors --------------------------------------------------------------------------------------------------


async def test_each_error_goes_to_its_own_caller_with_the_sql_and_without_the_parameters(db: aiomemdb.Database) -> None:
    good, bad, missing, worse = await asyncio.gather(
        db.read_value(COUNT),
        db.read("SELECT no_such FROM t WHERE x = ?", ("secret",)),
        db.read("SELECT * FROM missing"),
        db.read("SELECT x FROM t WHERE id = ?", ("secret", 2)),
        return_exceptions=True,
    )
    assert good == 3
    assert isinstance(bad, sqlite3.OperationalError) and "no such column" in str(bad)
    assert bad.__notes__ == ["SQL: SELECT no_such FROM t WHERE x = ?"]
    assert isinstance(missing, sqlite3.OperationalError) and "no such table" in str(missing)
    assert isinstance(worse, sqlite3.ProgrammingError)
    assert "secret" not in repr(worse) + "".join(worse.__notes__)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t (x) VALUES (1)",
        "INSERT INTO t (x) VALUES (1) RETURNING id",
        "WITH n AS (SELECT 1) INSERT INTO t SELECT 99, 1 FROM n",
        "UPDATE t SET x = 0",
        "DELETE FROM t",
        "CREATE TABLE u (x)",
    ],
)
async def test_a_write_in_a_read_verb_is_sqlites_own_read_only_error(db: aiomemdb.Database, sql: str) -> None:
    for read in (db.read, db.read_one, db.read_value):
        with pytest.raises(sqlite3.OperationalError, match="readonly") as caught:
            await read(sql)
        assert caught.value.sqlite_errorname == "SQLITE_READONLY"
    async with db.transaction() as tx:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await tx.read(sql)
    assert await db.read_value("SELECT sum(x) FROM t") == 60


async def test_a_writing_function_given_to_read_fn_is_refused_and_the_reader_goes_on(db: aiomemdb.Database) -> None:
    for _ in range(8):
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await db.read_fn(lambda conn: conn.execute("DELETE FROM t"))
    assert await db.read_value(COUNT) == 3


async def test_a_function_can_not_end_its_snapshot(db: aiomemdb.Database) -> None:
    def swallow(conn: sqlite3.Connection) -> int:
        try:
            conn.execute("COMMIT")
        except sqlite3.DatabaseError:
            pass
        return 1

    for attack in (lambda conn: conn.commit(), lambda conn: conn.execute("ROLLBACK"), swallow):
        with pytest.raises(aiomemdb.ForbiddenStatement):
            await db.read_fn(attack)
    await assert_whole(db)  # type: ignore[arg-type]


async def test_what_a_function_sets_on_its_connection_does_not_stay(db_path: Path) -> None:
    def meddle(conn: sqlite3.Connection) -> None:
        conn.row_factory = None
        conn.text_factory = bytes

    async with aiomemdb.connect(db_path, readers=1) as db:
        for _ in range(2):
            await db.read_fn(meddle)
        for _ in range(2):
            row = await db.read_one("SELECT 'text' AS word")
            assert row is not None and row["word"] == "text"


@pytest.mark.parametrize(
    ("sql", "message"),
    [("", "empty"), ("  -- nothing", "empty"), (1, "must be a str"), ("SELECT 1; SELECT 2", "one statement at a time")],
)
async def test_what_is_not_one_query_is_a_clear_error(db: aiomemdb.Database, sql: Any, message: str) -> None:
    with pytest.raises((sqlite3.ProgrammingError, sqlite3.Warning, TypeError), match=message):
        await db.read(sql)


async def test_an_awaitable_or_a_cursor_as_a_functions_result_is_a_clear_error(db: aiomemdb.Database) -> None:
    async def read(conn: sqlite3.Connection) -> None: ...

    with pytest.raises(TypeError, match="synchronous function"):
        await db.read_fn(read)
    with pytest.raises(TypeError, match="returned an awaitable"):
        await db.read_fn(lambda conn: read(conn))
    with pytest.raises(TypeError, match="fetch the rows inside"):
        await db.read_fn(lambda conn: conn.execute(COUNT))


async def test_a_busy_database_is_asked_again_and_never_shows(db: aiomemdb.Database) -> None:
    refusals = [busy(), busy(), busy()]

    def refused_at_first(conn: sqlite3.Connection) -> int:
        if refusals:
            raise refusals.pop()
        return 1

    assert await db.read_fn(refused_at_first) == 1


async def test_a_database_that_stays_busy_is_a_lock_timeout(db_path: Path) -> None:
    def refused(conn: sqlite3.Connection) -> None:
        raise busy()

    async with aiomemdb.connect(db_path, lock_timeout=0.05) as db:
        with pytest.raises(aiomemdb.LockTimeout):
            await db.read_fn(refused)
        assert await db.read_value("SELECT 1") == 1


# -- timeouts and cancellation -------------------------------------------------------------------------------


async def test_a_timeout_interrupts_its_own_query_and_no_other(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=2) as db:
        other = asyncio.create_task(db.read(NUMBERS, (300_000,)))
        with pytest.raises(aiomemdb.ReadTimeout) as caught:
            await db.read(ENDLESS, timeout=0.03)
        assert (caught.value.started, caught.value.applied) == (True, False)
        assert len(await other) == 300_000
        await assert_whole(db)


async def test_a_read_that_waits_for_a_reader_times_out_unstarted(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, readers=2, prepare=sql_gate(gate)) as db:
            reports = [asyncio.create_task(db.read("SELECT gate()")) for _ in range(2)]
            await gate.wait_entered(2)
            with pytest.raises(aiomemdb.ReadTimeout) as caught:
                await db.read("SELECT 1", timeout=0.01)
            assert not caught.value.started
            gate.open()
            await asyncio.gather(*reports)
            assert db.statistics().reads_pending == 0


async def test_an_interrupt_never_hits_the_next_query(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        for _ in range(100):
            # Quick queries that are cancelled at any moment, and one behind each that is not cancelled.
            doomed = asyncio.create_task(db.read(NUMBERS, (500,)))
            waiting = [asyncio.create_task(db.read_value("SELECT 7")) for _ in range(3)]
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            doomed.cancel()
            assert await asyncio.gather(*waiting) == [7, 7, 7]
            await asyncio.wait([doomed])


async def test_a_cancelled_read_stops_its_query_and_returns_its_reader(db: aiomemdb.Database) -> None:
    for _ in range(5):
        reads = [asyncio.create_task(db.read(ENDLESS)) for _ in range(4)]
        await eventually(lambda: db.statistics().readers_busy == 4)
        for read in reads:
            read.cancel()
        await asyncio.wait(reads)
        assert all(read.cancelled() for read in reads)
    await assert_whole(db)  # type: ignore[arg-type]


async def test_a_function_that_swallows_the_interrupt_is_interrupted_again(db: aiomemdb.Database) -> None:
    interrupts = []

    def stubborn(conn: sqlite3.Connection) -> None:
        while len(interrupts) < 3:
            try:
                conn.execute(ENDLESS).fetchall()
            except sqlite3.OperationalError as error:
                interrupts.append(str(error))

    with pytest.raises(aiomemdb.ReadTimeout):
        await db.read_fn(stubborn, timeout=0.2)  # it has begun by then
    await eventually(lambda: db.statistics().readers_busy == 0)
    assert interrupts == ["interrupted"] * 3
    await assert_whole(db)  # type: ignore[arg-type]


# -- leases --------------------------------------------------------------------------------------------------


async def test_plain_reads_go_on_when_every_reader_that_can_be_held_is_held(db: aiomemdb.Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(db.snapshot())
        assert db.statistics().readers_busy == 3
        assert await asyncio.gather(*[db.read_value(COUNT) for _ in range(50)]) == [3] * 50


async def test_one_reader_serves_queries_beside_a_snapshot(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db:
        await db.write_script(SCHEMA)
        async with db.snapshot() as snapshot:
            await db.write(INSERT, (40,))
            assert (await snapshot.read_value(COUNT), await db.read_value(COUNT)) == (3, 4)


async def test_a_task_that_would_wait_for_its_own_snapshot_is_told_so_at_once(db: aiomemdb.Database) -> None:
    async with AsyncExitStack() as stack:
        for _ in range(3):
            await stack.enter_async_context(db.snapshot())
        with pytest.raises(aiomemdb.ReentrancyError, match="wait for itself"):
            async with db.snapshot():
                pass
        with pytest.raises(aiomemdb.ReentrancyError):
            async for _ in db.read_stream("SELECT 1"):
                pass
        with pytest.raises(aiomemdb.ReentrancyError):
            await db.read_stream("SELECT 1").__anext__()
    await assert_whole(db)  # type: ignore[arg-type]


async def _look(db: aiomemdb.Database) -> None:
    async with db.snapshot() as snapshot:
        await snapshot.read_value(COUNT)


async def _stream(db: aiomemdb.Database) -> None:
    async for _ in db.read_stream("SELECT id FROM t", chunk=1):
        pass


async def _in_a_child(coroutine: Coroutine[Any, Any, None]) -> None:
    await asyncio.create_task(coroutine)


async def _in_a_grandchild(coroutine: Coroutine[Any, Any, None]) -> None:
    await asyncio.gather(_in_a_child(coroutine))


async def _in_place(coroutine: Coroutine[Any, Any, None]) -> None:
    await coroutine


@pytest.mark.parametrize("second", [_look, _stream])
@pytest.mark.parametrize("run", [_in_place, _in_a_child, _in_a_grandchild])
async def test_of_tasks_that_each_hold_a_snapshot_and_ask_for_another_one_gets_an_error(
    db: aiomemdb.Database,
    second: Callable[[aiomemdb.Database], Coroutine[Any, Any, None]],
    run: Callable[[Coroutine[Any, Any, None]], Awaitable[None]],
) -> None:
    holding = asyncio.Barrier(3)

    async def greedy() -> str:
        async with db.snapshot():
            await holding.wait()
            try:
                await run(second(db))
            except aiomemdb.ReentrancyError:
                return "told"
            return "had two"

    async with asyncio.timeout(60):
        outcomes = await asyncio.gather(*[greedy() for _ in range(3)])
    assert sorted(outcomes) == ["had two", "had two", "told"]
    await assert_whole(db)  # type: ignore[arg-type]


@pytest.mark.parametrize("run", [_in_place, _in_a_child])
async def test_a_task_that_holds_a_snapshot_waits_for_a_second_where_others_go_on(
    db: aiomemdb.Database, run: Callable[[Coroutine[Any, Any, None]], Awaitable[None]]
) -> None:
    leave = asyncio.Event()
    holding = asyncio.Barrier(3)

    async def hold() -> None:
        async with db.snapshot():
            await holding.wait()
            await leave.wait()

    async def hold_and_look() -> None:
        async with db.snapshot():
            await holding.wait()
            await run(_look(db))

    others = [asyncio.create_task(hold()) for _ in range(2)]
    looking = asyncio.create_task(hold_and_look())
    await eventually(lambda: db._readers.pool.waiting == 1)  # type: ignore[attr-defined]
    leave.set()
    await asyncio.gather(looking, *others)
    await assert_whole(db)  # type: ignore[arg-type]


async def test_waiters_for_a_snapshot_are_served_in_order_of_arrival(db_path: Path) -> None:
    order: list[int] = []

    async def take(number: int) -> None:
        async with db.snapshot() as snapshot:
            order.append(number)
            await snapshot.read_value("SELECT 1")

    async with aiomemdb.connect(db_path, readers=1) as db:
        async with asyncio.TaskGroup() as group, db.snapshot():
            for number in range(20):
                group.create_task(take(number))
                await asyncio.sleep(0)
        assert order == list(range(20))


async def test_a_snapshot_that_waits_gets_the_next_reader_that_leaves_the_queue(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, readers=2, prepare=sql_gate(gate)) as db:
            # Both readers are in queries, and more of them wait; the snapshot needs one of the two.
            reports = [asyncio.create_task(db.read("SELECT gate()")) for _ in range(2)]
            await gate.wait_entered(2)
            quick = [asyncio.create_task(db.read_value("SELECT 1")) for _ in range(2000)]

            async def answered_before_it_was_had() -> int:
                connection = await db._readers.lease(None)  # type: ignore[union-attr]
                answered = sum(read.done() for read in quick)
                db._readers.leases.release(connection)  # type: ignore[union-attr]
                return answered

            leasing = asyncio.create_task(answered_before_it_was_had())
            await asyncio.sleep(0)
            gate.open()
            assert await leasing < 2000  # a reader leaves them for it
            await asyncio.gather(*reports, *quick)


# -- a write in a read verb ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "verb"),
    [
        *[
            (on, verb)
            for on in ("db", "snapshot", "transaction")
            for verb in ("read", "read_one", "read_value", "read_fn")
        ],
        ("db", "read_stream"),
    ],
)
async def test_a_write_in_a_read_verb_is_sqlites_error_with_a_note_that_names_write(
    db_path: Path, on: str, verb: str
) -> None:
    sql = "INSERT INTO t VALUES (1) RETURNING x"
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(aiomemdb.connect(db_path))
        await db.write("CREATE TABLE t (x)")
        reading: Any = db if on == "db" else await stack.enter_async_context(getattr(db, on)())
        with pytest.raises(sqlite3.OperationalError, match="readonly") as caught:
            if verb == "read_fn":
                await reading.read_fn(lambda conn: conn.execute(sql).fetchall())
            elif verb == "read_stream":
                await anext(reading.read_stream(sql))
            else:
                await getattr(reading, verb)(sql)
        instead = "write_fn" if verb == "read_fn" else "write"
        assert f"a read verb can't write: use {instead}()" in "".join(caught.value.__notes__)
