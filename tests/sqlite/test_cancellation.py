"""A cancellation, of whatever task at whatever await, leaves nothing behind and undoes no other job."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.concurrency import lifecycle
from aiomemdb.concurrency.worker import end_workers
from aiomemdb.sqlite.connection.connection import Connection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file.files import file_uri
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.gates import Gate
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.queries import ENDLESS_FROM_GATE, sql_gate
from tests.support.verbs import INSERT, LOG, VERBS
from tests.support.whole import assert_whole, eventually

LONG_QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT max(i) FROM n"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(LOG)
        yield db


@pytest.fixture
async def noticed(db_path: Path) -> AsyncIterator[tuple[SQLiteDatabase, Gate]]:
    """A database, and a gate that is open: ENDLESS_FROM_GATE enters it."""
    with Gate() as gate:
        gate.open()
        async with aiomemdb.connect(db_path, prepare=sql_gate(gate)) as db:
            await db.write_script(LOG)
            yield db, gate


@pytest.fixture(autouse=True)
async def _no_unheard_error() -> AsyncIterator[None]:
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    yield
    assert reports == []


async def is_whole_or_not_there(db: SQLiteDatabase, job: int, rows: int) -> bool:
    return await db.read_value("SELECT count(*) FROM log WHERE job = ?", (job,)) in (0, rows)


@pytest.mark.parametrize("way", Way)
@pytest.mark.parametrize("verb", VERBS)
async def test_a_verb_cancelled_at_any_suspension_leaves_the_database_whole(
    db: SQLiteDatabase, verb: str, way: Way
) -> None:
    run, rows = VERBS[verb]

    async def main(job: int) -> None:
        await run(db, job)

    for job in suspension_points():
        reached = await cancelled_at(job, way, main(job))
        await assert_whole(db)
        assert await is_whole_or_not_there(db, job, rows), f"cancelled at suspension {job}"
        if not reached:
            assert await db.read_value("SELECT count(*) FROM log WHERE job = ?", (job,)) == rows
            return


@pytest.mark.parametrize("way", Way)
async def test_a_backup_cancelled_at_any_suspension_is_there_whole_or_not_at_all(
    db: SQLiteDatabase, tmp_path: Path, way: Way
) -> None:
    await db.write_many(INSERT, [(0,)] * 100)
    for k in suspension_points():
        folder = tmp_path / str(k)
        folder.mkdir()
        reached = await cancelled_at(k, way, db.backup(folder / "copy.db"))
        await eventually(lambda: not any(thread.name.endswith(":backup") for thread in threading.enumerate()))
        await assert_whole(db)
        assert [path.name for path in folder.iterdir()] in ([], ["copy.db"])
        if (folder / "copy.db").exists():
            assert plain(folder / "copy.db", "SELECT count(*) FROM log") == [(100,)]
        if not reached:
            assert (folder / "copy.db").exists()
            return


@pytest.mark.parametrize("way", Way)
async def test_an_open_cancelled_at_any_suspension_leaves_no_thread(tmp_path: Path, way: Way) -> None:
    before = set(threading.enumerate())

    async def main(path: Path) -> None:
        db = await aiomemdb.connect(path, readers=2)
        await db.close()

    for k in suspension_points():
        reached = await cancelled_at(k, way, main(tmp_path / f"{k}.db"))
        # A cancelled close() goes on by itself.
        await eventually(lambda: set(threading.enumerate()) <= before)
        await eventually(lambda: len(asyncio.all_tasks()) == 1)
        async with aiomemdb.connect(tmp_path / f"{k}.db", readers=2) as db:
            await db.write("CREATE TABLE t (x)")
        assert_healthy(tmp_path / f"{k}.db")
        if not reached:
            return


@pytest.mark.parametrize("way", Way)
async def test_a_close_cancelled_at_any_suspension_goes_on(tmp_path: Path, way: Way) -> None:
    for k in suspension_points():
        path = tmp_path / f"{k}.db"
        db = await aiomemdb.connect(path, readers=2)
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        jobs = [db.submit(INSERT, (job,)) for job in range(100)]
        reached = await cancelled_at(k, way, db.close())
        await db.close()
        assert all(job.done() and job.exception() is None for job in jobs)
        assert plain(path, "SELECT count(*) FROM log") == [(100,)]
        assert_healthy(path)
        if not reached:
            return


@pytest.mark.parametrize("way", Way)
async def test_a_block_of_connect_cancelled_at_any_suspension_is_closed(tmp_path: Path, way: Way) -> None:
    before = set(threading.enumerate())

    async def main(path: Path) -> None:
        async with aiomemdb.connect(path, readers=2) as db:
            await db.write("CREATE TABLE t (x)")

    for k in suspension_points():
        path = tmp_path / f"{k}.db"
        reached = await cancelled_at(k, way, main(path))
        await eventually(lambda: set(threading.enumerate()) <= before)
        await eventually(lambda: len(asyncio.all_tasks()) == 1)
        if path.exists() and path.stat().st_size:
            assert_healthy(path)
        if not reached:
            return


# -- one caller and the others -------------------------------------------------------------------------------


async def test_a_cancelled_job_that_still_waits_never_runs(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        waiting = asyncio.create_task(db.write(INSERT, (1,)))
        await asyncio.sleep(0)
        waiting.cancel()
        gate.open()
        await held
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await db.flush()
    assert await db.read("SELECT * FROM log") == []


async def test_a_cancelled_job_that_was_taken_runs_to_its_end(db: SQLiteDatabase) -> None:
    def insert(conn: sqlite3.Connection, gate: Gate) -> None:
        conn.execute(INSERT, (1,))
        gate.block()
        conn.execute(INSERT, (1,))

    with Gate() as gate:
        running = asyncio.create_task(db.write_fn(insert, gate))
        await gate.wait_entered()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    await db.flush()
    assert await db.read_value("SELECT count(*) FROM log") == 2


async def test_a_job_cancelled_in_the_turn_before_it_would_be_taken_never_runs(db: SQLiteDatabase) -> None:
    """A caller that hears of the batch before cancels a job that waits::

    batch settles  >  first goes on, cancels  >  writer takes the queue  >  second hears that it is cancelled
    """
    with Gate() as gate:
        second: asyncio.Task[int | None] | None = None

        async def first() -> None:
            await db.write_fn(gate.block)
            assert second is not None
            second.cancel()

        first_task = asyncio.create_task(first())
        await gate.wait_entered()
        second = asyncio.create_task(db.write(INSERT, (1,)))
        await asyncio.sleep(0)
        gate.open()
        await first_task
    with pytest.raises(asyncio.CancelledError):
        await second
    await db.flush()
    assert await db.read("SELECT * FROM log") == []


async def test_a_cancelled_submit_that_still_waits_never_runs(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        cancelled, kept = db.submit(INSERT, (1,)), db.submit(INSERT, (2,))
        cancelled.cancel()
        gate.open()
        await held
        await kept
    assert [row["job"] for row in await db.read("SELECT job FROM log")] == [2]


async def test_cancelling_some_callers_of_a_batch_undoes_no_other_job(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        tasks = [asyncio.create_task(db.write(INSERT, (job,))) for job in range(100)]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        gate.open()
        await held
        results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [isinstance(result, asyncio.CancelledError) for result in results] == [job % 3 == 0 for job in range(100)]
    assert [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")] == [
        job for job in range(100) if job % 3
    ]


async def test_cancelling_a_task_group_leaves_the_jobs_of_others_alone(db: SQLiteDatabase) -> None:
    async def fail() -> None:
        raise ValueError("one of the group failed")

    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        other = asyncio.create_task(db.write(INSERT, (1,)))
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                for _ in range(10):
                    group.create_task(db.write(INSERT, (2,)))
                group.create_task(fail())
        gate.open()
        await held
        await other
    assert [row["job"] for row in await db.read("SELECT job FROM log")] == [1]


async def test_a_cancelled_query_is_stopped_and_its_reader_serves_the_next(db: SQLiteDatabase) -> None:
    queries = [asyncio.create_task(db.read_value(LONG_QUERY)) for _ in range(8)]
    await eventually(lambda: db.statistics().readers_busy > 0)
    for query in queries:
        query.cancel()
    await asyncio.wait(queries)
    await assert_whole(db)


async def test_a_query_function_cancelled_between_two_statements_is_stopped_at_the_second(db: SQLiteDatabase) -> None:
    def query(conn: sqlite3.Connection, gate: Gate) -> None:
        gate.block()
        conn.execute(LONG_QUERY).fetchall()

    with Gate() as gate:
        reading = asyncio.create_task(db.read_fn(query, gate))
        await gate.wait_entered()
        reading.cancel()
        await asyncio.wait([reading])
        gate.open()
        await assert_whole(db)


async def test_a_snapshot_cancelled_in_a_long_query_returns_its_reader(noticed: tuple[SQLiteDatabase, Gate]) -> None:
    db, gate = noticed

    async def look() -> None:
        async with db.snapshot() as snap:
            await snap.read(ENDLESS_FROM_GATE)

    looking = asyncio.create_task(look())
    await gate.wait_entered()
    looking.cancel()
    await asyncio.wait([looking])
    await assert_whole(db)


async def test_a_stream_cancelled_in_a_long_query_returns_its_reader(noticed: tuple[SQLiteDatabase, Gate]) -> None:
    db, gate = noticed

    async def look() -> None:
        async for _ in db.read_stream(ENDLESS_FROM_GATE):
            pass

    looking = asyncio.create_task(look())
    await gate.wait_entered()
    looking.cancel()
    await asyncio.wait([looking])
    await assert_whole(db)


async def test_an_interrupt_behind_the_last_step_of_a_fetch_costs_the_thread_nothing(db_path: Path) -> None:
    """While a query is open an interrupt stays, and strikes whatever the connection does next::

    thread: fetches a part of the rows  >  has not said so yet  >                goes on to the next call
    loop:                                                          interrupts
    """
    sqlite3.connect(db_path).close()
    connection = Connection("aiomemdb:test:reader", asyncio.get_running_loop())
    await connection.open(file_uri(db_path, read_only=False), lambda raw: None)
    cursors: list[sqlite3.Cursor] = []

    def fetch(raw: sqlite3.Connection, gate: Gate) -> None:
        cursors.append(raw.execute("SELECT value FROM json_each('[1, 2, 3]')"))
        cursors[0].fetchone()
        gate.block()

    with Gate() as gate:
        fetched = connection.submit(fetch, gate)
        await gate.wait_entered()
        assert connection.interrupt(fetched)
        gate.open()
        await fetched
    await connection.run(lambda raw: cursors.pop().close())
    assert await connection.run(lambda raw: raw.execute("SELECT 1").fetchone()[0]) == 1
    await end_workers([connection])


async def test_an_interrupt_that_comes_when_the_connection_is_closed_finds_nothing_to_stop(db_path: Path) -> None:
    connection = Connection("aiomemdb:test:writer", asyncio.get_running_loop())
    sqlite3.connect(db_path).close()
    with Gate() as gate:
        connection.at_end = lambda close: (close(), gate.block())  # type: ignore[func-returns-value]
        await connection.open(file_uri(db_path, read_only=False), lambda raw: None)
        work = object()
        connection.post(lambda: connection.switch(work))  # as a batch that has ended before the loop hears of it
        connection.stop()
        await gate.wait_entered()
        assert not connection.interrupt(work)
    await end_workers([connection])


async def test_an_interrupt_that_comes_late_leaves_no_log_behind(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    await db.write_script(LOG)
    connection = db._writer.connection  # type: ignore[union-attr]
    connection.post(lambda: sqlite3.Connection.interrupt(connection.raw))
    await db.close()
    assert names_in(db_path.parent) == [db_path.name]


async def test_a_reader_on_its_way_back_is_waited_for_by_a_task_that_holds_others(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(
            db_path, readers=3, prepare=lambda conn: conn.create_function("block", 0, gate.block)
        ) as db:

            async def look() -> None:
                async with db.snapshot() as snap:
                    await snap.read("SELECT block()")

            looking = asyncio.create_task(look())
            await gate.wait_entered()
            async with db.snapshot():
                looking.cancel()
                await asyncio.wait([looking])

                async def look_again() -> object:
                    async with db.snapshot() as snap:
                        return await snap.read_value("SELECT 1")

                again = look_again()  # in this task, which holds the only other one
                asyncio.get_running_loop().call_later(0.05, gate.open)
                assert await again == 1
            await assert_whole(db)


async def test_waiters_for_a_reader_that_are_cancelled_lose_none(db: SQLiteDatabase) -> None:
    async def look(entered: asyncio.Event, leave: asyncio.Event) -> None:
        async with db.snapshot():
            entered.set()
            await leave.wait()

    entered = [asyncio.Event() for _ in range(20)]
    leave = asyncio.Event()
    tasks = [asyncio.create_task(look(event, leave)) for event in entered]
    await asyncio.gather(*(event.wait() for event in entered[:3]))
    for task in tasks[3::2]:
        task.cancel()
    leave.set()
    await asyncio.wait(tasks)
    assert all(event.is_set() for event in entered[4::2])
    await assert_whole(db)


async def test_a_transaction_cancelled_in_a_long_statement_does_not_hold_up_the_writer(
    noticed: tuple[SQLiteDatabase, Gate],
) -> None:
    db, gate = noticed

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            await tx.write(f"INSERT INTO log (job) {ENDLESS_FROM_GATE}")

    holding = asyncio.create_task(hold())
    await gate.wait_entered()
    holding.cancel()
    await asyncio.wait([holding], timeout=5)  # it is rolled back in any case: nothing to wait for
    assert holding.done()
    await assert_whole(db)
    assert await db.read("SELECT * FROM log") == []


# -- the library's own tasks ---------------------------------------------------------------------------------


def own_tasks(ending: str) -> list[asyncio.Task[object]]:
    return [task for task in asyncio.all_tasks() if task.get_name().endswith(ending)]


def own_task(ending: str) -> asyncio.Task[object]:
    [task] = own_tasks(ending)
    return task


async def test_the_writer_task_cancelled_while_idle_loses_no_job(db: SQLiteDatabase) -> None:
    await db.flush()
    own_task(":writer").cancel()
    await db.write(INSERT, (1,))
    await asyncio.sleep(0)
    await db.write(INSERT, (2,))
    await assert_whole(db)


async def test_the_writer_task_cancelled_before_its_first_step_loses_no_job(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        own_task(":writer").cancel()
        await db.write("CREATE TABLE t (x)")
        await assert_whole(db)


async def test_the_writer_task_cancelled_again_and_again_loses_no_job(db: SQLiteDatabase) -> None:
    dice = random.Random(1)

    async def harass(stop: asyncio.Event) -> None:
        while not stop.is_set():
            for task in own_tasks(":writer"):
                task.cancel()
            # A task that is cancelled before each first step gets nowhere, however often it is started anew.
            for _ in range(dice.randint(1, 6)):
                await asyncio.sleep(0)

    stop = asyncio.Event()
    harassing = asyncio.create_task(harass(stop))
    try:
        async with asyncio.timeout(60):
            await asyncio.gather(*(db.write(INSERT, (job,)) for job in range(200)))
            for job in range(20):
                await db.write(INSERT, (job,))
            async with db.transaction() as tx:
                await tx.write(INSERT, (300,))
            await db.vacuum()
    finally:
        stop.set()
        await harassing
    assert await db.read_value("SELECT count(*) FROM log") == 221
    await assert_whole(db)


async def test_a_write_between_the_end_of_a_cancelled_writer_task_and_its_callback_starts_one_task(
    db_path: Path,
) -> None:
    # the loop                          | the writer
    # ----------------------------------|---------------------------------------------
    # the task's first step: cancelled  | it has ended; its callback is behind the write
    # a write                           | finds that the task has ended, starts another
    # the callback of the first task    | is not to start a third
    async with aiomemdb.connect(db_path) as db:
        own_task(":writer").cancel()
        written: asyncio.Future[asyncio.Future[int | None]] = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(lambda: written.set_result(db.submit(LOG.partition(";")[0])))
        await (await written)
        assert len(own_tasks(":writer")) == 1
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
        await assert_whole(db)


@pytest.mark.parametrize("loop_name", ["asyncio", "uvloop"])
def test_the_writer_task_cancelled_at_random_between_writes_and_transactions_runs_once(
    db_path: Path, loop_name: str
) -> None:
    module = pytest.importorskip("uvloop") if loop_name == "uvloop" else asyncio
    with asyncio.Runner(loop_factory=module.new_event_loop) as runner:
        runner.run(_cancel_the_writer_at_random(db_path))


async def _cancel_the_writer_at_random(db_path: Path) -> None:
    reports: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context))
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(LOG)
        for seed in range(20):
            dice, stop = random.Random(seed), asyncio.Event()

            async def harass(dice: random.Random = dice, stop: asyncio.Event = stop) -> None:
                while not stop.is_set():
                    for task in own_tasks(":writer"):
                        task.cancel()
                    for _ in range(1 + dice.randrange(3)):
                        await asyncio.sleep(0)

            harassing = asyncio.create_task(harass())
            try:
                for job in range(30):
                    if dice.random() < 0.5:
                        async with db.transaction() as tx:
                            await tx.write(INSERT, (job,))
                    else:
                        await db.write(INSERT, (job,))
            finally:
                stop.set()
                await harassing
        assert await db.read_value("SELECT count(*) FROM log") == 600
        await assert_whole(db)
    assert reports == []


async def test_the_writer_task_cancelled_while_a_batch_runs_loses_no_job(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        behind = [db.submit(INSERT, (job,)) for job in range(10)]
        task = own_task(":writer")
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
        gate.open()
        await asyncio.gather(held, *behind)
    assert await db.read_value("SELECT count(*) FROM log") == 10
    await assert_whole(db)


async def test_the_writer_task_cancelled_fails_no_job_while_the_loop_goes_on(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Where asyncio.run cancels all tasks at its end it must, and soon: else the program would not end.
    monkeypatch.setattr(lifecycle, "_DRAIN_AFTER_CANCEL", 0.02)
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        behind = [db.submit(INSERT, (job,)) for job in range(10)]
        own_task(":writer").cancel()
        asyncio.get_running_loop().call_later(0.1, gate.open)
        await asyncio.gather(held, *behind)
    assert await db.read_value("SELECT count(*) FROM log") == 10


async def test_the_writer_task_cancelled_during_a_transaction_leaves_it_to_its_holder(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        own_task(":writer").cancel()
        await asyncio.sleep(0)
        await tx.write(INSERT, (2,))
    assert await db.read_value("SELECT count(*) FROM log") == 2
    await assert_whole(db)


@pytest.mark.parametrize("turns", [0, 1, 2, 5])
async def test_the_closing_task_cancelled_closes_all_the_same(db_path: Path, turns: int) -> None:
    db = await aiomemdb.connect(db_path)
    await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        behind = [db.submit(INSERT, (job,)) for job in range(10)]
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.sleep(0)
        own_task(":close").cancel()
        await asyncio.sleep(0)
        gate.open()
        await held
        await asyncio.gather(*behind)
        await asyncio.wait([closing])
    with suppress(asyncio.CancelledError):
        await closing
    await db.close()
    await eventually(lambda: not any(thread.name.startswith("aiomemdb:") for thread in threading.enumerate()))
    assert plain(db_path, "SELECT count(*) FROM log") == [(10,)]
    assert_healthy(db_path)


def test_a_loop_that_ends_with_a_database_open_cancels_all_tasks_and_ends(db_path: Path) -> None:
    # asyncio.run cancels all tasks at its end, the library's own too, and waits for them.
    async def main() -> list[asyncio.Future[int | None]]:
        db = await aiomemdb.connect(db_path)
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        jobs = [db.submit(INSERT, (job,)) for job in range(10)]
        main.closing = asyncio.create_task(db.close())  # type: ignore[attr-defined]
        await asyncio.sleep(0)
        return jobs

    jobs = aiomemdb.run(main())
    assert all(job.done() for job in jobs)
    assert plain(db_path, "SELECT count(*) FROM log") == [(sum(job.exception() is None for job in jobs),)]


# -- shuffled schedules --------------------------------------------------------------------------------------


async def run_shuffled(db: SQLiteDatabase, seed: int, numbers: count[int]) -> None:
    """A dozen tasks, each with a few verbs, every so often cancelled; the order is the seed's."""
    dice = random.Random(seed)
    expected: dict[int, tuple[int, bool]] = {}  # job: (rows, whether it must be there)

    async def agent() -> None:
        for _ in range(dice.randint(1, 3)):
            for _ in range(dice.randint(0, 3)):
                await asyncio.sleep(0)
            run, rows = VERBS[dice.choice(tuple(VERBS))]
            job = next(numbers)
            expected[job] = (rows, False)
            await run(db, job)
            expected[job] = (rows, True)

    tasks = [asyncio.create_task(agent()) for _ in range(12)]
    for _ in range(dice.randint(3, 9)):
        for _ in range(dice.randint(0, 4)):
            await asyncio.sleep(0)
        dice.choice(tasks).cancel()
        if dice.random() < 0.1:
            for task in own_tasks(":writer"):  # there is none after it was cancelled, until the next write
                task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, asyncio.CancelledError):
            raise result
    await assert_whole(db)
    found = dict(map(tuple, await db.read("SELECT job, count(*) FROM log GROUP BY job")))
    for job, (rows, acknowledged) in expected.items():
        assert found.get(job, 0) == rows or (not acknowledged and job not in found), f"job {job}: {expected[job]}"
    await db.write("DELETE FROM log")


@pytest.mark.parametrize("first", range(0, 200, 25))
async def test_shuffled_schedules_with_cancellations_leave_the_database_whole(db: SQLiteDatabase, first: int) -> None:
    numbers = count(1)
    for seed in range(first, first + 25):
        try:
            async with asyncio.timeout(60):
                await run_shuffled(db, seed, numbers)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise


@pytest.mark.soak
async def test_thousands_of_shuffled_schedules_leave_the_database_whole(db: SQLiteDatabase) -> None:
    numbers = count(1)
    first = random.randrange(1_000_000_000)
    for seed in range(first, first + 3_000):
        try:
            async with asyncio.timeout(60):
                await run_shuffled(db, seed, numbers)
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
