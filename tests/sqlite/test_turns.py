"""G13: what a database does in its turns with other processes, and what it does while it waits for one."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import sqlite3
import threading
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed, LockTimeout, TransactionTimeout, WriterCrashed
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file import files
from aiomemdb.sqlite.file.turnstile import Turnstile
from aiomemdb.sqlite.writing import checkpoints as checkpoints_module
from aiomemdb.sqlite.writing import foreigners
from aiomemdb.sqlite.writing.session import Session
from tests.support.batches import open_session
from tests.support.killing import kill_behind, writer_of
from tests.support.others import OtherProcess, turn_taken
from tests.support.plain import assert_healthy, plain
from tests.support.scripts import run_script_aside
from tests.support.whole import assert_whole, eventually

LONG = 60.0  # more than any wait here, less than a test's time limit
INSERT = "INSERT INTO log (job) VALUES (?)"
MANY_PAGES = "INSERT INTO blobs VALUES (zeroblob(?))"

BEGIN = f"""
transaction = db.transaction()
tx = await transaction.__aenter__()
await tx.write({INSERT!r}, (0,))
"""
END = "await transaction.__aexit__(None, None, None)"
FOREIGN_LOCK = "conn = sqlite3.connect(path, isolation_level=None); conn.execute('BEGIN IMMEDIATE'); None"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """It does not wait for long."""
    async with aiomemdb.connect(db_path, lock_timeout=0.3) as db:
        await db.write_script("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER); CREATE TABLE blobs (x)")
        yield db


@pytest.fixture
async def hasty(db: SQLiteDatabase, db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """Another handle on the same file, for what never comes."""
    async with aiomemdb.connect(db_path, lock_timeout=0.1) as hasty:
        yield hasty


@pytest.fixture
async def patient(db: SQLiteDatabase, db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    """Another handle on the same file, which waits for as long as a test may take."""
    async with aiomemdb.connect(db_path, lock_timeout=100) as patient:
        yield patient


@pytest.fixture
async def other(db: SQLiteDatabase, db_path: Path) -> AsyncIterator[OtherProcess]:
    """Another process, with a database ``db`` on the same file."""
    with OtherProcess(db_path) as other:
        await other.does("db = await aiomemdb.connect(path)")
        yield other


def assert_free(path: Path) -> None:
    """The turn is free, or about to be returned."""
    with turn_taken(path, LONG):
        pass


def a_process_is_next(path: Path) -> bool:
    with open(f"{path}-next") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def jobs(db: SQLiteDatabase) -> list[int]:
    return [row["job"] for row in await db.read("SELECT job FROM log ORDER BY id")]


# -- beside another process's transaction ----------------------------------------------------------------------------


async def test_a_write_beside_a_transaction_of_another_process_times_out_and_is_not_applied(
    db: SQLiteDatabase, other: OtherProcess
) -> None:
    await other.does(BEGIN)
    with pytest.raises(LockTimeout, match=f"^process {other.pid} ") as caught:
        await db.write(INSERT, (1,))
    assert caught.value.applied is False
    await other.does(END)
    assert await db.write(INSERT, (2,)) == 2
    assert await jobs(db) == [0, 2]


async def test_a_write_that_waits_for_another_process_is_done_when_its_turn_comes(
    patient: SQLiteDatabase, other: OtherProcess, db_path: Path
) -> None:
    await other.does(BEGIN)
    waiting = patient.submit(INSERT, (1,))
    await eventually(lambda: a_process_is_next(db_path))
    await other.does(END)
    assert await waiting == 2
    assert patient.statistics().lock_wait > 0
    assert patient.statistics().lock_wait_max == patient.statistics().lock_wait


@pytest.mark.parametrize("verb", ["checkpoint", "optimize", "vacuum", "flush"])
async def test_each_verb_that_writes_waits_for_its_turn_and_times_out(
    hasty: SQLiteDatabase, db_path: Path, verb: str
) -> None:
    with turn_taken(db_path), pytest.raises(LockTimeout):
        await getattr(hasty, verb)()
    await getattr(hasty, verb)()
    assert_free(db_path)


async def test_all_jobs_that_waited_as_long_fail_with_the_one_that_had_no_turn(
    hasty: SQLiteDatabase, db_path: Path
) -> None:
    with turn_taken(db_path):
        waiting = [
            asyncio.ensure_future(job)
            for job in (
                hasty.write(INSERT, (1,)),
                hasty.write_fn(lambda conn: None, once=True),
                hasty.flush(),
                hasty.transaction().__aenter__(),
                hasty.write(INSERT, (2,)),
            )
        ]
        errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(error) for error in errors] == [LockTimeout] * len(waiting)
    assert [error.applied for error in errors if isinstance(error, LockTimeout)] == [False] * len(waiting)
    await assert_whole(hasty)
    assert await jobs(hasty) == []


async def test_reads_snapshots_and_streams_go_on_while_writes_wait(patient: SQLiteDatabase, db_path: Path) -> None:
    await patient.write_many(INSERT, [(1,), (2,)])
    with turn_taken(db_path):
        waiting = patient.submit(INSERT, (3,))
        await eventually(lambda: patient.statistics().running == 1)
        assert await patient.read_value("SELECT count(*) FROM log") == 2
        async with patient.snapshot() as snapshot:
            assert await snapshot.read_value("SELECT count(*) FROM log") == 2
        assert [row["job"] async for row in patient.read_stream("SELECT job FROM log")] == [1, 2]
        assert not waiting.done()
    await waiting


async def test_close_does_not_wait_for_another_process_past_its_timeout(
    patient: SQLiteDatabase, other: OtherProcess
) -> None:
    await other.does(BEGIN)
    waiting = [patient.submit(INSERT, (job,)) for job in range(3)]
    await eventually(lambda: patient.statistics().running > 0)
    async with asyncio.timeout(LONG):  # far below lock_timeout
        await patient.close(timeout=0.5)
    assert all(future.done() for future in waiting)
    errors = await asyncio.gather(*waiting, return_exceptions=True)
    assert [(type(error), error.applied) for error in errors] == [(DatabaseClosed, False)] * 3  # type: ignore[union-attr]
    await other.does(END)
    assert await other.does("[row[0] for row in await db.read('SELECT job FROM log')]") == [0]


async def test_what_waits_for_a_turn_when_all_is_cancelled_never_runs(
    patient: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = threading.Event()
    wait = Turnstile._wait
    monkeypatch.setattr(Turnstile, "_wait", lambda *args: waits.set() or wait(*args))  # type: ignore[func-returns-value]
    with turn_taken(db_path):
        write = asyncio.create_task(patient.write(INSERT, (1,)))
        await eventually(waits.is_set)
        write.cancel()
        await asyncio.wait([write])
    await patient.flush()
    assert await jobs(patient) == []


async def test_an_existing_file_is_opened_beside_another_process_that_keeps_the_turn(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with turn_taken(db_path):
        async with aiomemdb.connect(db_path) as another:
            assert await jobs(another) == []


async def test_a_new_file_is_made_in_a_turn_that_is_waited_for_no_longer_than_lock_timeout(db_path: Path) -> None:
    db_path.touch()
    with turn_taken(db_path), pytest.raises(LockTimeout):
        await aiomemdb.connect(db_path, lock_timeout=0.1)
    assert db_path.stat().st_size == 0
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")


async def test_an_opening_that_waits_for_its_turn_can_be_cancelled(db_path: Path) -> None:
    async def open_it() -> None:
        await aiomemdb.connect(db_path, lock_timeout=100)

    db_path.touch()
    with turn_taken(db_path):
        opening = asyncio.create_task(open_it())
        await eventually(lambda: os.path.exists(f"{db_path}-next"))
        opening.cancel()
        async with asyncio.timeout(LONG):
            await asyncio.wait([opening])
        assert opening.cancelled()


@pytest.mark.timeout(30)
def test_the_wait_for_the_turn_counts_as_a_part_of_lock_timeout(db_path: Path) -> None:
    with (
        open_session(db_path, lock_timeout=1000.0) as alone,
        closing(sqlite3.connect(db_path, isolation_level=None)) as foreign,
    ):
        foreign.execute("BEGIN IMMEDIATE")
        alone.take_turn()
        alone.turnstile.waited = 1000.0  # as if it had been waited for; otherwise this takes as long once more
        with pytest.raises(LockTimeout):
            alone.begin(durable=False)
        alone.turnstile.release()


# -- another process that is stopped, or killed ----------------------------------------------------------------------


async def stop_in_transaction(db: SQLiteDatabase, other: OtherProcess, seconds: float) -> None:
    await other.does(BEGIN)
    other.stop()
    with pytest.raises(LockTimeout, match="which is stopped") as caught:
        await db.write(INSERT, (1,))
    assert caught.value.applied is False
    assert await jobs(db) == []
    await asyncio.sleep(seconds)
    other.go_on()
    await other.does(END)
    assert await db.write(INSERT, (2,)) == 2
    assert await other.does(f"await db.write({INSERT!r}, (3,))") == 3
    assert await jobs(db) == [0, 2, 3]


async def test_a_stopped_process_that_keeps_the_turn_is_a_timeout_and_all_go_on_when_it_wakes(
    db: SQLiteDatabase, other: OtherProcess
) -> None:
    await stop_in_transaction(db, other, 0)


@pytest.mark.soak
async def test_all_go_on_when_a_process_wakes_that_was_stopped_for_ten_seconds(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with OtherProcess(db_path) as other:
        # Otherwise it would find its own transaction too old when it wakes.
        await other.does("db = await aiomemdb.connect(path, max_hold=100)")
        await stop_in_transaction(db, other, 10)


async def test_close_returns_beside_a_stopped_process(patient: SQLiteDatabase, other: OtherProcess) -> None:
    await other.does(BEGIN)
    other.stop()
    waiting = patient.submit(INSERT, (1,))
    async with asyncio.timeout(LONG):
        await patient.close(timeout=0.5)
    with pytest.raises(DatabaseClosed):
        await waiting


async def test_a_write_goes_on_when_the_process_before_it_is_killed_in_its_transaction(
    patient: SQLiteDatabase, other: OtherProcess
) -> None:
    await other.does(BEGIN)
    waiting = patient.submit(INSERT, (1,))
    await eventually(lambda: patient.statistics().running == 1)
    other.kill()
    assert await waiting == 1
    assert await jobs(patient) == [1]
    await assert_whole(patient)


# -- programs that take no turns -------------------------------------------------------------------------------------


async def test_a_program_that_takes_no_turns_is_waited_for(patient: SQLiteDatabase, other: OtherProcess) -> None:
    await other.does(FOREIGN_LOCK)
    waiting = patient.submit(INSERT, (1,))
    await eventually(lambda: patient.statistics().foreign_writers == 1)
    assert not waiting.done()
    await other.does("conn.execute('COMMIT'); None")
    await waiting


async def test_a_program_that_takes_no_turns_and_keeps_its_lock_is_a_timeout(
    hasty: SQLiteDatabase, other: OtherProcess, db_path: Path
) -> None:
    await other.does(FOREIGN_LOCK)
    who = (
        f"^process {other.pid} .* has held the write lock"
        if os.path.exists("/proc/locks")
        else "^another program has held"
    )
    for verb in (
        hasty.write(INSERT, (1,)),
        hasty.transaction(durable=True).__aenter__(),  # which begins at once
        hasty.vacuum(),
        hasty.write(INSERT, (2,)),
    ):
        with pytest.raises(LockTimeout, match=who) as caught:
            await verb
        assert caught.value.applied is False
        assert_free(db_path)
    await other.does("conn.execute('COMMIT'); None")
    assert await jobs(hasty) == []
    await assert_whole(hasty)


async def test_close_does_not_wait_for_a_program_that_takes_no_turns_past_its_timeout(
    patient: SQLiteDatabase, other: OtherProcess
) -> None:
    await other.does(FOREIGN_LOCK)
    waiting = patient.submit(INSERT, (1,))
    await eventually(lambda: patient.statistics().foreign_writers == 1)
    async with asyncio.timeout(LONG):
        await patient.close(timeout=2)
    with pytest.raises(DatabaseClosed) as caught:
        await waiting
    assert caught.value.applied is False


def test_a_lock_that_is_given_back_at_once_is_counted_too(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        open_session(db_path) as alone,
        closing(sqlite3.connect(db_path, isolation_level=None)) as foreign,
    ):
        foreign.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr(time, "sleep", lambda _: foreign.in_transaction and foreign.execute("COMMIT"))
        alone.take_turn()
        alone.begin(durable=False)
        assert not foreign.in_transaction
        assert alone.foreigners.count == 1
        alone.rollback()
        alone.turnstile.release()


def test_no_lock_is_waited_for_inside_sqlite_but_readers_by_a_checkpoint(db_path: Path) -> None:
    def waits(session: Session) -> int:
        [[milliseconds]] = session.connection.own("PRAGMA busy_timeout")
        return int(milliseconds)

    with open_session(db_path) as alone:
        assert waits(alone) == 0
        with pytest.raises(ZeroDivisionError), alone.waiting_for_readers(20):
            assert waits(alone) == 20
            raise ZeroDivisionError
        assert waits(alone) == 0


@pytest.mark.parametrize("has_bug", [True, False])
async def test_a_program_that_takes_no_turns_is_warned_of_once_and_counted_each_time(
    hasty: SQLiteDatabase,
    other: OtherProcess,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    has_bug: bool,
) -> None:
    monkeypatch.setattr(foreigners, "has_wal_reset_bug", lambda: has_bug)
    await other.does(FOREIGN_LOCK)
    with caplog.at_level(logging.WARNING, "aiomemdb"):
        for met in (1, 2, 3, 4):
            with pytest.raises(LockTimeout):
                await hasty.write(INSERT, (1,))
            assert hasty.statistics().foreign_writers == met
            assert len(caplog.records) == (met >= 3)  # a reader's look at a log's header may have been taken for one
    [warning] = [record.getMessage() for record in caplog.records]
    assert "a program that does not use aiomemdb" in warning
    assert ("the WAL-reset bug" in warning) is has_bug


async def test_processes_that_take_turns_are_not_taken_for_others(
    patient: SQLiteDatabase, other: OtherProcess, db_path: Path
) -> None:
    write_and_checkpoint = f"""
for job in range(100):
    await db.write({INSERT!r}, (job,))
    if job % 20 == 0:
        await db.write({MANY_PAGES!r}, (5_000_000,))
        await db.checkpoint()
"""

    async def write_here() -> None:
        for job in range(100):
            await patient.write(INSERT, (job,))

    with OtherProcess(db_path) as third:
        await third.does("db = await aiomemdb.connect(path)")
        await asyncio.gather(write_here(), other.does(write_and_checkpoint), third.does(write_and_checkpoint))
        counts = [await each.does("db.statistics().foreign_writers") for each in (other, third)]
    assert [*counts, patient.statistics().foreign_writers] == [0, 0, 0]
    assert len(await jobs(patient)) == 300


# -- the log, which all share ----------------------------------------------------------------------------------------


async def look_at_the_log(db: SQLiteDatabase) -> None:
    """Its size is looked at when some time has passed, and what follows from it is done before the next batch."""
    await asyncio.sleep(files._BETWEEN_LOOKS)
    for _ in range(2):
        await db.write_fn(lambda conn: None)


async def test_a_log_that_one_has_checkpointed_is_not_checkpointed_at_once_by_the_others(
    db: SQLiteDatabase, patient: SQLiteDatabase
) -> None:
    await db.write(MANY_PAGES, (5_000_000,))
    await look_at_the_log(db)
    assert db.statistics().checkpoints == 1
    await patient.write(INSERT, (1,))
    await look_at_the_log(patient)
    assert patient.statistics().wal_bytes > 5_000_000
    assert (db.statistics().checkpoints, patient.statistics().checkpoints) == (1, 0)


@pytest.mark.parametrize("note", [b"\xff\xfe garbage", b"1 2 3 4", b"-5 x", b"\0" * 64, b"9" * 64, b"7" * 5000])
async def test_a_note_that_says_nothing_costs_one_checkpoint_more(
    db: SQLiteDatabase, patient: SQLiteDatabase, db_path: Path, note: bytes
) -> None:
    await db.write(MANY_PAGES, (5_000_000,))
    await look_at_the_log(db)
    Path(f"{db_path}-lock").write_bytes(note)
    await patient.write(INSERT, (1,))
    await look_at_the_log(patient)
    await look_at_the_log(patient)
    assert patient.statistics().checkpoints == 1
    assert await jobs(db) == [1]


@pytest.mark.parametrize("same_inode", [False, True])
async def test_a_note_on_another_log_says_nothing(
    db: SQLiteDatabase, patient: SQLiteDatabase, db_path: Path, same_inode: bool
) -> None:
    await db.write(MANY_PAGES, (5_000_000,))
    await look_at_the_log(db)
    inode = os.stat(f"{db_path}-wal").st_ino if same_inode else 1  # ext4 reuses a deleted log's inode for the next one
    Path(f"{db_path}-lock").write_text(f"{inode} 999999999 999999999 0")
    await patient.write(INSERT, (1,))
    await look_at_the_log(patient)
    assert patient.statistics().checkpoints == 1


async def test_a_note_is_held_against_the_log_as_it_is_now(db: SQLiteDatabase, patient: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:  # keeps the log from its restart
        await snapshot.read("SELECT count(*) FROM log")
        await db.write_many(MANY_PAGES, [(5000,)] * 1000)  # so many rows that the log is looked at
        await eventually(lambda: db.statistics().checkpoints == 1)
        await patient.write(MANY_PAGES, (10_000_000,))
        await look_at_the_log(patient)
        assert patient.statistics().checkpoints == 1
        await db.write(INSERT, (1,))
        await db.flush()
        assert db.statistics().checkpoints == 1


async def test_a_log_that_is_kept_is_tried_again_when_it_has_grown_or_when_time_has_passed(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints_module, "_WAIT_AT_MOST", 1)
    now = time.monotonic()
    monkeypatch.setattr(checkpoints_module, "time", SimpleNamespace(monotonic=lambda: now))

    async def checkpoints_after(size: int) -> int:
        await db.write_many(MANY_PAGES, [(size // 5,)] * 5)
        await look_at_the_log(db)
        return db.statistics().checkpoints

    async with db.snapshot() as snapshot:  # keeps the log from its restart
        await snapshot.read("SELECT count(*) FROM log")
        assert await checkpoints_after(40_000_000) == 1
        assert await checkpoints_after(3_000_000) == 1
        now += 0.02
        assert await checkpoints_after(500_000) == 1  # not yet by its usual size
        assert await checkpoints_after(1_500_000) == 2
        assert await checkpoints_after(6_000_000) == 2  # not yet so long ago
        assert await checkpoints_after(6_000_000) == 3  # by a quarter
        now -= 1000  # the machine has started anew
        assert await checkpoints_after(5_000_000) == 4


async def test_a_log_that_was_cut_is_kept_small_by_all(db: SQLiteDatabase, patient: SQLiteDatabase) -> None:
    await db.write_many(MANY_PAGES, [(10_000_000,)] * 7)
    await look_at_the_log(db)
    assert db.statistics().wal_bytes == 0
    for checkpoints in (1, 3, 5):  # each time it has grown past its usual size again
        await patient.write(MANY_PAGES, (5_000_000 + 100_000 * checkpoints,))
        await look_at_the_log(patient)
        assert patient.statistics().checkpoints == checkpoints
        assert await patient.checkpoint()
        await look_at_the_log(db)
    assert db.statistics().checkpoints == 1


async def test_a_checkpoint_finds_lock_files_that_were_deleted(db: SQLiteDatabase, db_path: Path) -> None:
    for suffix in ("-lock", "-next"):
        os.unlink(f"{db_path}{suffix}")
    with turn_taken(db_path), pytest.raises(LockTimeout):  # at new ones
        await db.checkpoint()


async def test_lock_files_that_were_deleted_are_new_after_the_next_write(
    db: SQLiteDatabase, patient: SQLiteDatabase, db_path: Path
) -> None:
    for suffix in ("-lock", "-next"):
        os.unlink(f"{db_path}{suffix}")
    await db.write(INSERT, (1,))
    with turn_taken(db_path), pytest.raises(LockTimeout):
        await db.write(INSERT, (2,))
    await patient.write(INSERT, (3,))
    assert await jobs(db) == [1, 3]


async def test_lock_files_that_cannot_be_made_anew_are_an_error_of_ours_and_writes_go_on_when_they_can(
    db: SQLiteDatabase, db_path: Path
) -> None:
    os.unlink(f"{db_path}-lock")
    os.mkdir(f"{db_path}-lock")
    await db.write(INSERT, (1,))
    for verb in (db.write(INSERT, (2,)), db.checkpoint(), db.begin(durable=True), db.write(INSERT, (2,))):
        with pytest.raises(aiomemdb.AiomemdbError, match=r"the lock files of .* can't be used") as caught:
            await verb
        assert caught.value.applied is False
    os.rmdir(f"{db_path}-lock")
    await db.write(INSERT, (3,))
    assert await jobs(db) == [1, 3]


# -- the end of a turn -----------------------------------------------------------------------------------------------


async def test_two_handles_of_one_process_take_turns(db: SQLiteDatabase, patient: SQLiteDatabase) -> None:
    async with patient.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(LockTimeout, match=f"^process {os.getpid()} "):
            await db.write(INSERT, (2,))
    await asyncio.gather(*[handle.write(INSERT, (job,)) for handle in (db, patient) for job in range(10, 20)])
    assert sorted(await jobs(db)) == [1, *sorted([*range(10, 20)] * 2)]
    assert db.statistics().foreign_writers == patient.statistics().foreign_writers == 0


async def test_a_transaction_that_is_held_too_long_ends_its_turn(patient: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, max_hold=0.1) as holder:
        transaction = holder.transaction()
        tx = await transaction.__aenter__()
        await tx.read("SELECT 1")
        await patient.write(INSERT, (1,))  # waits as long
        with pytest.raises(TransactionTimeout):
            await tx.write(INSERT, (2,))
        with pytest.raises(TransactionTimeout):
            await transaction.__aexit__(None, None, None)
    assert await jobs(patient) == [1]


async def test_a_transaction_that_is_held_too_long_ends_its_turn_though_its_loop_is_blocked(
    db: SQLiteDatabase, db_path: Path
) -> None:
    async with aiomemdb.connect(db_path, max_hold=0.1) as holder:
        with pytest.raises(TransactionTimeout, match=r"max_hold=0\.1 s") as caught:
            async with holder.transaction() as tx:
                await tx.write(INSERT, (1,))
                assert_free(db_path)  # blocks the loop until it is
        assert caught.value.applied is False
        await holder.write(INSERT, (2,))
        await assert_whole(holder)
    assert await jobs(db) == [2]


async def test_a_transaction_that_blocked_the_loop_for_too_long_fails_at_each_further_step(
    db: SQLiteDatabase, db_path: Path
) -> None:
    async with aiomemdb.connect(db_path, max_hold=0.1) as holder:
        with pytest.raises(TransactionTimeout):
            async with holder.transaction() as tx:
                await tx.write(INSERT, (1,))
                assert_free(db_path)
                for _ in range(2):
                    with pytest.raises(TransactionTimeout):
                        await tx.write(INSERT, (2,))
        await holder.write(INSERT, (3,))
    assert await jobs(db) == [3]


async def test_a_transaction_times_out_if_its_loop_was_blocked_before_it_heard_of_its_begin(
    db: SQLiteDatabase, db_path: Path
) -> None:
    async with aiomemdb.connect(db_path, max_hold=0.1) as holder:
        with turn_taken(db_path):
            beginning = asyncio.ensure_future(holder.transaction(durable=True).__aenter__())
            await eventually(lambda: holder.statistics().running == 1)
        while writer_of(holder).alarm is None:  # blocks the loop until it has begun
            time.sleep(0.001)  # noqa: ASYNC251
        assert_free(db_path)
        with pytest.raises(TransactionTimeout):
            await beginning
        await holder.write(INSERT, (1,))
        await assert_whole(holder)
    assert await jobs(db) == [1]


async def test_a_process_with_a_loop_blocked_in_a_transaction_is_not_waited_for_any_longer(
    patient: SQLiteDatabase, db_path: Path, tmp_path: Path
) -> None:
    began, gate = tmp_path / "began", tmp_path / "gate"
    os.mkfifo(gate)
    blocked_before_the_end = f"{BEGIN}\nopen({str(began)!r}, 'w').close()\nopen({str(gate)!r}).close()\n{END}"
    with OtherProcess(db_path) as blocked:
        await blocked.does("db = await aiomemdb.connect(path, max_hold=0.1)")
        blocking = asyncio.create_task(blocked.does(blocked_before_the_end))
        await eventually(began.exists)
        assert await patient.write(INSERT, (1,)) == 1
        gate.open("w").close()
        with pytest.raises(RuntimeError, match="TransactionTimeout"):
            await blocking
        assert await blocked.does(f"await db.write({INSERT!r}, (2,))") == 2
    assert await jobs(patient) == [1, 2]


@pytest.mark.parametrize("ending", ["committed", "an error", "cancelled", "cancelled before it began"])
async def test_a_transaction_ends_its_turn_however_it_ends(db: SQLiteDatabase, db_path: Path, ending: str) -> None:
    began = asyncio.Event()

    async def hold() -> None:
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            began.set()
            if ending == "an error":
                raise ZeroDivisionError
            if ending == "cancelled":
                await asyncio.Event().wait()

    holding = asyncio.create_task(hold())
    if ending == "cancelled before it began":
        await asyncio.sleep(0)
        holding.cancel()
    else:
        await began.wait()
        if ending == "cancelled":
            with pytest.raises(LockTimeout), turn_taken(db_path):
                raise AssertionError("the transaction has the turn")
            holding.cancel()
    await asyncio.wait([holding])
    await db.flush()
    assert_free(db_path)
    assert await jobs(db) == ([1] if ending == "committed" else [])


async def test_a_transaction_that_could_not_begin_has_no_turn(db: SQLiteDatabase, db_path: Path) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeout):
            async with db.transaction() as tx:
                await tx.write(INSERT, (1,))
                raise AssertionError("it must not begin")
        assert_free(db_path)


async def test_a_writer_with_a_dead_thread_ends_its_turn(db: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as doomed:
        with pytest.raises(WriterCrashed):
            async with doomed.transaction() as tx:
                await tx.write(INSERT, (1,))
                kill_behind(writer_of(doomed))
                await asyncio.to_thread(writer_of(doomed).join, LONG)
                await tx.write(INSERT, (2,))
    await db.write(INSERT, (3,))
    assert await jobs(db) == [3]


async def test_a_handle_that_is_collected_has_no_turn(db: SQLiteDatabase, db_path: Path) -> None:
    forgotten = await aiomemdb.connect(db_path)
    await forgotten.write(INSERT, (1,))
    connection = writer_of(forgotten)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del forgotten
        gc.collect()
    await asyncio.wait([connection.stopped])
    connection.join(LONG)
    assert_free(db_path)
    await db.write(INSERT, (2,))


async def test_a_process_that_ends_inside_a_transaction_without_close_has_no_turn(
    db: SQLiteDatabase, db_path: Path
) -> None:
    ended = await run_script_aside(
        f"""
import asyncio, sys
import aiomemdb

async def main():
    db = await aiomemdb.connect(sys.argv[1])
    await db.write({INSERT!r}, (1,))
    transaction = db.transaction()
    tx = await transaction.__aenter__()
    await tx.write({INSERT!r}, (2,))

asyncio.run(main())
""",
        db_path,
    )
    ended.assert_ok()
    await db.write(INSERT, (3,))
    assert await jobs(db) == [1, 3]


async def test_a_batch_with_a_failing_commit_ends_its_turn(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write_script("CREATE TABLE parent (id INTEGER PRIMARY KEY)")
    await db.write("CREATE TABLE child (x REFERENCES parent DEFERRABLE INITIALLY DEFERRED)")
    with pytest.raises(sqlite3.IntegrityError):
        await db.write("INSERT INTO child VALUES (1)")
    assert_free(db_path)


async def test_the_last_one_closes_in_a_turn_that_it_does_not_wait_for_for_ever(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        with turn_taken(db_path):
            async with asyncio.timeout(LONG):
                await db.close()
    assert_healthy(db_path)
    assert plain(db_path, "SELECT count(*) FROM t") == [(0,)]


async def test_close_returns_the_wait_for_its_last_turn_a_part_of_its_own_time(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    db = await aiomemdb.connect(db_path)
    monkeypatch.setattr(Turnstile, "acquire", lambda _, timeout: waits.append(timeout))
    await db.close(timeout=0.2)
    await eventually(lambda: len(waits) == 1)
    assert waits[0] <= 0.1
