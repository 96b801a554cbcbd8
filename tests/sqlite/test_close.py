"""``close()``: what is queued is done or failed, every future is resolved, no thread stays, and it ends in time."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
import threading
import time
from collections.abc import AsyncIterator
from contextlib import closing, suppress
from contextvars import Context
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed, ReentrancyError
from aiomemdb.concurrency import failing
from aiomemdb.sqlite.engine import assembly
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.session import Session
from tests.support.gates import Gate
from tests.support.others import file_waits
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.queries import sql_gate
from tests.support.whole import eventually

INSERT = "INSERT INTO log (job) VALUES (?)"
ALMOST_AT_ONCE = 20.0  # seconds on a busy machine: what close() must not wait for would take longer
LONG_QUERY = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300000000) SELECT max(i) FROM n"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """Each test closes it in its own way; nothing may be left then but a healthy file."""
    db = await aiomemdb.connect(db_path)
    await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
    yield db
    await db.close()
    await eventually(lambda: threads() == [])  # a close() that ran out of time leaves them to their own end
    assert_healthy(db_path)


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aiomemdb:")]


def insert(conn: sqlite3.Connection, job: int, gate: Gate) -> None:
    conn.execute(INSERT, (job,))
    gate.block()


async def held_writer(db: SQLiteDatabase, gate: Gate) -> asyncio.Future[Any]:
    """A job that has the writer's thread until the gate opens."""
    held = asyncio.ensure_future(db.write_fn(insert, -1, gate))
    await gate.wait_entered()
    return held


def outcome(future: asyncio.Future[Any]) -> object:
    """What resolved it: 'done', or the error's ``applied``."""
    error = future.exception()
    if error is None:
        return "done"
    assert isinstance(error, DatabaseClosed), error
    return error.applied


# -- what is queued ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drain", [True, False])
async def test_ten_thousand_pending_jobs_are_all_resolved(db: SQLiteDatabase, db_path: Path, drain: bool) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        jobs = [db.submit(INSERT, (job,)) for job in range(10_000)]
        closing_ = asyncio.create_task(db.close(drain=drain))
        await asyncio.sleep(0)
        gate.open()
        await closing_
        assert all(job.done() for job in jobs)
    assert outcome(held) == "done"  # it ran already
    assert {outcome(job) for job in jobs} == ({"done"} if drain else {False})
    assert plain(db_path, "SELECT count(*) FROM log") == [(10_001 if drain else 1,)]


async def test_the_loop_goes_on_while_many_jobs_fail_and_all_are_resolved_before_close_returns(
    db: SQLiteDatabase,
) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        jobs = [db.submit(INSERT, (job,)) for job in range(10_000)]
        closing_ = asyncio.create_task(db.close(timeout=30, drain=False))
        resolved = [0]
        while resolved[-1] < len(jobs):
            await asyncio.sleep(0)
            resolved.append(sum(job.done() for job in jobs))
        assert max(after - before for before, after in pairwise(resolved)) < 2000
        gate.open()
        await asyncio.wait([held, closing_])
    assert {outcome(job) for job in jobs} == {False}


async def test_when_the_time_is_up_what_many_jobs_wait_for_is_told_at_once(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(failing, "_SLICE", 1)  # so that there is not the time for each to have its iteration
    with Gate() as gate:
        held = await held_writer(db, gate)
        jobs = [db.submit(INSERT, (job,)) for job in range(10_000)]
        await db.close(timeout=0)
        assert all(job.done() for job in jobs)
        gate.open()
        await asyncio.wait([held])
        await eventually(lambda: threads() == [])
    assert {outcome(job) for job in jobs} == {False}


async def test_awaited_jobs_and_transactions_that_wait_are_drained_in_order(db: SQLiteDatabase, db_path: Path) -> None:
    async def transact() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (2,))

    with Gate() as gate:
        held = await held_writer(db, gate)
        waiting = [
            asyncio.ensure_future(job)
            for job in (db.write(INSERT, (1,)), transact(), db.write(INSERT, (3,), durable=True), db.flush())
        ]
        await asyncio.sleep(0)
        closing_ = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        gate.open()
        await asyncio.gather(held, closing_, *waiting)
    assert plain(db_path, "SELECT job FROM log ORDER BY id") == [(-1,), (1,), (2,), (3,)]


async def test_every_verb_is_refused_once_closing_has_begun(db: SQLiteDatabase) -> None:
    async def enter(block: Any) -> None:
        async with block:
            pass

    async def stream() -> None:
        async for _ in db.read_stream("SELECT 1"):
            pass

    async def submit() -> None:
        await db.submit(INSERT, (1,))

    with Gate() as gate:
        held = await held_writer(db, gate)
        closing_ = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        for when in ("closing", "closed"):
            for verb in (
                lambda: db.write(INSERT, (1,)),
                lambda: db.write_fn(lambda conn: None),
                lambda: db.flush(),
                lambda: db.read("SELECT 1"),
                lambda: db.read_fn(lambda conn: None),
                lambda: db.checkpoint(),
                lambda: db.vacuum(),
                lambda: enter(db.transaction()),
                lambda: enter(db.snapshot()),
                stream,
                submit,
            ):
                with pytest.raises(DatabaseClosed) as caught:
                    async with asyncio.timeout(60):  # at once, not when the closing fails what it had accepted
                        await verb()
                assert caught.value.applied is False, when
            gate.open()
            await asyncio.gather(held, closing_)


async def test_a_batch_cut_short_by_its_time_is_not_drained_if_nothing_is_to_be(
    db: SQLiteDatabase, db_path: Path
) -> None:
    def slow(conn: sqlite3.Connection, job: int, gate: Gate) -> None:
        conn.execute(INSERT, (job,))
        gate.block()
        time.sleep(0.01)  # all the time of a batch

    with Gate() as first, Gate() as gate:
        held = await held_writer(db, first)
        slow_jobs = [asyncio.create_task(db.write_fn(slow, job, gate)) for job in range(10)]
        await asyncio.sleep(0)
        first.open()
        await gate.wait_entered()
        closing_ = asyncio.create_task(db.close(drain=False))
        await asyncio.sleep(0)
        gate.open()
        await closing_
        await asyncio.wait([held, *slow_jobs])
    assert [outcome(job) for job in slow_jobs] == ["done"] + [False] * 9
    assert plain(db_path, "SELECT job FROM log ORDER BY id") == [(-1,), (0,)]


async def test_reads_that_wait_are_answered(db: SQLiteDatabase) -> None:
    reads = [asyncio.create_task(db.read_value("SELECT ?", (n,))) for n in range(100)]
    await asyncio.sleep(0)
    await db.close()
    assert await asyncio.gather(*reads) == list(range(100))


async def test_reads_that_wait_are_failed_without_drain(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        readers = db.statistics().readers
        held = [asyncio.create_task(db.read_fn(gate.block)) for _ in range(readers)]
        await gate.wait_entered(readers)
        waiting = asyncio.create_task(db.read("SELECT 1"))
        await asyncio.sleep(0)
        closing_ = asyncio.create_task(db.close(drain=False))
        with pytest.raises(DatabaseClosed):
            await waiting
        gate.open()
        await closing_
        await asyncio.gather(*held)


# -- in time -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drain", [True, False])
async def test_a_job_that_never_returns_does_not_hold_up_close(db: SQLiteDatabase, db_path: Path, drain: bool) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        behind = [db.submit(INSERT, (job,)) for job in range(10)]
        began = time.monotonic()
        await db.close(timeout=0.5, drain=drain)
        assert time.monotonic() - began < ALMOST_AT_ONCE
        assert held.done() and all(job.done() for job in behind)
        assert outcome(held) is None  # it may yet be applied
        assert {outcome(job) for job in behind} == {False}
        await eventually(lambda: threads() == ["aiomemdb:test.db:writer"])  # the one that the function has
        gate.open()
        await eventually(lambda: threads() == [])
    assert plain(db_path, "SELECT job FROM log") in ([(-1,)], [])


async def test_a_job_that_still_waits_for_its_turn_as_close_gives_up_is_not_applied(
    db: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_turn = Session.take_turn

    def wait_and_take_turn(session: Session) -> None:
        gate.block()
        take_turn(session)

    with Gate() as gate:
        monkeypatch.setattr(Session, "take_turn", wait_and_take_turn)
        waiting = db.submit(INSERT, (1,))
        await gate.wait_entered()
        await db.close(timeout=0.2)
        assert outcome(waiting) is False
        gate.open()
        await eventually(lambda: threads() == [])
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_transaction_that_never_ends_does_not_hold_up_close(db: SQLiteDatabase, db_path: Path) -> None:
    entered, leave = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            entered.set()
            await leave.wait()

    holding = asyncio.create_task(hold())
    await entered.wait()
    behind = db.submit(INSERT, (2,))
    began = time.monotonic()
    await db.close(timeout=0.5)
    assert time.monotonic() - began < ALMOST_AT_ONCE
    assert outcome(behind) is False
    leave.set()
    with pytest.raises(DatabaseClosed) as caught:
        await holding
    assert caught.value.applied is False
    await eventually(lambda: threads() == [])  # the writer's is still rolling back, where the time was too short
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_transaction_that_ends_in_time_is_waited_for(db: SQLiteDatabase, db_path: Path) -> None:
    async with asyncio.TaskGroup() as group, db.transaction() as tx:
        await tx.write(INSERT, (1,))
        group.create_task(db.close(), context=Context())  # a task with no part in the transaction
        await asyncio.sleep(0)
        await tx.write(INSERT, (2,))
    assert plain(db_path, "SELECT job FROM log") == [(1,), (2,)]


async def test_a_transaction_is_rolled_back_at_once_without_drain(db: SQLiteDatabase, db_path: Path) -> None:
    entered = asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            entered.set()
            await tx.write(f"INSERT INTO log (job) {LONG_QUERY}")

    holding = asyncio.create_task(hold())
    await entered.wait()
    await asyncio.sleep(0)
    began = time.monotonic()
    await db.close(drain=False)
    assert time.monotonic() - began < ALMOST_AT_ONCE
    with pytest.raises(DatabaseClosed):
        await holding
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_long_query_is_stopped_when_the_time_is_up(db: SQLiteDatabase) -> None:
    reading = asyncio.create_task(db.read(LONG_QUERY))
    await eventually(lambda: db.statistics().readers_busy == 1)
    began = time.monotonic()
    await db.close(timeout=0.5)
    assert time.monotonic() - began < ALMOST_AT_ONCE
    with pytest.raises(DatabaseClosed):
        await reading


async def test_a_query_that_ends_in_time_is_answered_however_short_that_is(db_path: Path) -> None:
    with Gate() as gate:
        db = await aiomemdb.connect(db_path, prepare=sql_gate(gate))
        reading = asyncio.create_task(db.read_value("SELECT gate()"))
        await gate.wait_entered()
        closing_ = asyncio.create_task(db.close(timeout=0.49))
        await eventually(lambda: db._readers is not None and db._readers.pool._closed is not None)
        gate.open()
        await asyncio.wait([reading])
        await closing_
    assert outcome(reading) == "done"


async def test_a_long_statement_is_stopped_when_the_time_is_up(db: SQLiteDatabase, db_path: Path) -> None:
    writing = asyncio.create_task(db.write(f"INSERT INTO log (job) {LONG_QUERY}"))
    await eventually(lambda: db.statistics().running == 1)
    began = time.monotonic()
    await db.close(timeout=0.5)
    assert time.monotonic() - began < ALMOST_AT_ONCE
    with pytest.raises((DatabaseClosed, sqlite3.OperationalError)):
        await writing
    await eventually(lambda: threads() == [])
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_query_function_that_never_returns_does_not_hold_up_close(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        reading = asyncio.create_task(db.read_fn(gate.block))
        await gate.wait_entered()
        began = time.monotonic()
        await db.close(timeout=0.5)
        assert time.monotonic() - began < ALMOST_AT_ONCE
        with pytest.raises(DatabaseClosed):
            await reading
        await eventually(lambda: [("reader" in name) for name in threads()] == [True])
        gate.open()
        await eventually(lambda: threads() == [])


async def test_maintenance_that_waits_for_a_lock_does_not_hold_up_close(db: SQLiteDatabase, db_path: Path) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        vacuuming = asyncio.create_task(db.vacuum())
        await eventually(lambda: db.statistics().pending == 0)
        began = time.monotonic()
        await db.close(timeout=0.5)
        assert time.monotonic() - began < ALMOST_AT_ONCE
        assert vacuuming.done() or await asyncio.wait([vacuuming], timeout=1)
        with pytest.raises(DatabaseClosed):
            await vacuuming
        await eventually(lambda: threads() == [])


@pytest.mark.parametrize("drain", [True, False])
async def test_another_program_s_lock_does_not_hold_up_close(db: SQLiteDatabase, db_path: Path, drain: bool) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        jobs = [db.submit(INSERT, (job,)) for job in range(10)]
        await eventually(lambda: db.statistics().running > 0)
        behind = db.submit(INSERT, (10,))
        began = time.monotonic()
        # The writer's thread has an eighth of that to say that it gave up: of one second too little on a busy machine.
        await db.close(timeout=2, drain=drain)
        assert time.monotonic() - began < ALMOST_AT_ONCE
        # It had not begun: known, though it was "running".
        assert {outcome(job) for job in (*jobs, behind)} == {False}
        await eventually(lambda: threads() == [])
    assert plain(db_path, "SELECT * FROM log") == []


async def test_a_lock_that_is_released_in_time_lets_close_drain(db: SQLiteDatabase, db_path: Path) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other, file_waits() as waited:
        other.execute("BEGIN IMMEDIATE")
        jobs = [db.submit(INSERT, (job,)) for job in range(10)]
        closing_ = asyncio.create_task(db.close())
        await eventually(lambda: bool(waited))
        other.rollback()
        await closing_
    assert {outcome(job) for job in jobs} == {"done"}
    assert plain(db_path, "SELECT count(*) FROM log") == [(10,)]


async def test_a_timeout_of_zero_fails_what_is_queued_and_returns(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        behind = db.submit(INSERT, (1,))
        began = time.monotonic()
        await db.close(timeout=0)
        assert time.monotonic() - began < ALMOST_AT_ONCE
        assert (outcome(held), outcome(behind)) == (None, False)
        gate.open()
        await eventually(lambda: threads() == [])


# -- more than once, cancelled, and beside other things ------------------------------------------------------


async def test_closing_twice_is_as_closing_once(db: SQLiteDatabase) -> None:
    await db.close()
    await db.close()
    await db.close(timeout=0, drain=False)


async def test_closing_from_two_tasks_at_once_closes_once_for_both(db: SQLiteDatabase, db_path: Path) -> None:
    jobs = [db.submit(INSERT, (job,)) for job in range(100)]
    await asyncio.gather(db.close(), db.close(drain=False), db.close(timeout=0))
    assert {outcome(job) for job in jobs} == {"done"}  # as the first one said
    assert plain(db_path, "SELECT count(*) FROM log") == [(100,)]


async def test_closing_inside_its_own_transaction_is_refused_and_the_transaction_goes_on(
    db: SQLiteDatabase, db_path: Path
) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(ReentrancyError):
            await db.close()
        await tx.write(INSERT, (2,))
    await db.write(INSERT, (3,))
    await db.close()
    assert plain(db_path, "SELECT job FROM log") == [(1,), (2,), (3,)]


async def test_a_cancelled_close_goes_on_by_itself(db: SQLiteDatabase, db_path: Path) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        jobs = [db.submit(INSERT, (job,)) for job in range(10)]
        closing_ = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        closing_.cancel()
        with pytest.raises(asyncio.CancelledError):
            await closing_
        gate.open()
        await asyncio.gather(held, *jobs)
        await eventually(lambda: threads() == [])
    assert plain(db_path, "SELECT count(*) FROM log") == [(11,)]


async def test_a_close_that_is_cancelled_while_it_drains_ends_at_once_and_the_draining_goes_on(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        closing_ = asyncio.create_task(db.close())
        for _ in range(5):  # the closing itself has begun, and waits for the writer
            await asyncio.sleep(0)
        closing_.cancel()
        await asyncio.wait([closing_], timeout=1)
        assert closing_.cancelled()
        gate.open()
        await held
        await eventually(lambda: threads() == [])
    assert plain(db_path, "SELECT count(*) FROM log") == [(1,)]


async def test_a_snapshot_that_is_open_is_told(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snap:
        await snap.read("SELECT 1")
        await db.close()
        assert threads() == []
        with pytest.raises(DatabaseClosed):
            await snap.read("SELECT 1")


async def test_a_stream_that_is_open_is_told(db: SQLiteDatabase) -> None:
    await db.write_many(INSERT, [(job,) for job in range(10)])
    rows = db.read_stream("SELECT job FROM log", chunk=2)
    assert (await anext(rows))["job"] == 0
    await db.close()
    assert threads() == []
    with pytest.raises(DatabaseClosed):
        async for _ in rows:
            pass


async def test_a_caller_that_waits_for_a_reader_gets_an_error(db: SQLiteDatabase) -> None:
    entered = asyncio.Event()

    async def look(leave: asyncio.Event) -> None:
        async with db.snapshot():
            entered.set()
            await leave.wait()

    leave = asyncio.Event()
    holding = [asyncio.create_task(look(leave)) for _ in range(3)]
    await entered.wait()
    waiting = asyncio.create_task(look(leave))
    await asyncio.sleep(0)
    await db.close()
    with pytest.raises(DatabaseClosed):
        await waiting
    leave.set()
    await asyncio.gather(*holding, return_exceptions=True)


async def test_a_backup_that_runs_is_not_in_the_way(db: SQLiteDatabase, tmp_path: Path) -> None:
    backing_up = asyncio.create_task(db.backup(tmp_path / "copy.db"))
    await asyncio.sleep(0)
    await db.close()
    with suppress(DatabaseClosed):
        await backing_up
        assert_healthy(tmp_path / "copy.db")
    await eventually(lambda: threads() == [])


async def test_closing_what_was_never_opened_is_nothing(db_path: Path) -> None:
    db = aiomemdb.connect(db_path)
    await db.close()
    assert not db_path.exists()


async def test_the_last_one_to_close_leaves_one_file(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write(INSERT, (1,))
    await db.close()
    assert names_in(db_path.parent) == ["test.db"]


async def test_statistics_can_be_asked_while_it_closes_and_afterwards(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = await held_writer(db, gate)
        db.submit(INSERT, (1,))
        closing_ = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        assert db.statistics().pending == 1
        gate.open()
        await asyncio.gather(held, closing_)
    assert db.statistics().pending == 0


# -- what it waits for -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda db, gate: db.write_fn(insert, 1, gate), r"write_fn\(insert\)"),
        (
            lambda db, gate: db.write("INSERT INTO log (job) VALUES (gate(?))", ("a secret",)),
            r"write\('INSERT INTO log",
        ),
        (lambda db, gate: db.read("SELECT gate(?)", ("a secret",)), "what 1 of its readers run"),
    ],
)
async def test_a_close_that_takes_long_logs_what_it_waits_for(
    db_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, use: Any, what: str
) -> None:
    monkeypatch.setattr(assembly, "_LONG_CLOSE", 0.01)
    with Gate() as gate, caplog.at_level(logging.WARNING, "aiomemdb"):
        db = await aiomemdb.connect(
            db_path, prepare=lambda conn: conn.create_function("gate", 1, lambda value: gate.block())
        )
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        working = asyncio.ensure_future(use(db, gate))
        await gate.wait_entered()
        closing = asyncio.ensure_future(db.close())
        await eventually(lambda: len(caplog.records) == 1)
        gate.open()
        await asyncio.wait([working, closing])
    [line] = [record.getMessage() for record in caplog.records]
    assert re.match(rf"{re.escape(str(db_path))}: close\(\) waits for {what}.*, for up to 10 s in all$", line)
    assert "secret" not in line


async def test_a_close_beside_a_transaction_logs_who_holds_it(
    db: SQLiteDatabase, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembly, "_LONG_CLOSE", 0.01)

    async def hold() -> None:
        async with db.transaction():
            await eventually(lambda: len(caplog.records) == 1)

    with caplog.at_level(logging.WARNING, "aiomemdb"):
        holding = asyncio.create_task(hold(), name="the holder")
        await eventually(lambda: db.statistics().transaction_holder is not None)
        await asyncio.gather(db.close(), holding)
    assert "close() waits for the transaction() of 'the holder'" in caplog.text


async def test_a_close_that_is_quick_logs_nothing(db: SQLiteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    await db.close()
    assert not caplog.records
