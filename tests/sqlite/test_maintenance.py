from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.reading import backup as backup_module
from aiomemdb.sqlite.reading.backup import copy_database
from aiomemdb.sqlite.writing import checkpoints
from tests.support.gates import Gate
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.whole import assert_whole, eventually

MB = 1024 * 1024
#: A row of about a page.
INSERT = "INSERT INTO t (x) VALUES (randomblob(3500))"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        yield db


def wal_size(path: Path) -> int:
    return os.stat(f"{path}-wal").st_size


async def write_megabytes(db: SQLiteDatabase, path: Path, megabytes: int) -> int:
    """In jobs of 100 rows; returns the largest size of the log meanwhile."""
    largest = 0
    for _ in range(megabytes * MB // 350_000):
        await db.write_many(INSERT, [()] * 100)
        largest = max(largest, wal_size(path))
    return largest


# -- the log -------------------------------------------------------------------------------------------------


async def test_the_log_stays_bounded_under_a_long_load(db: SQLiteDatabase, db_path: Path) -> None:
    assert await write_megabytes(db, db_path, 40) < 20 * MB
    statistics = db.statistics()
    assert statistics.checkpoints > 1
    assert (statistics.checkpoint_failures, statistics.checkpoint_error) == (0, None)


async def test_the_log_stays_bounded_while_readers_come_and_go(db: SQLiteDatabase, db_path: Path) -> None:
    done = asyncio.Event()

    async def read_on() -> None:
        while not done.is_set():
            await db.read("SELECT max(id) FROM t")  # quick: a restart waits for those that have begun

    readers = [asyncio.create_task(read_on()) for _ in range(4)]
    largest = await write_megabytes(db, db_path, 100)
    done.set()
    await asyncio.gather(*readers)
    assert largest < 60 * MB  # a restart may fail a few times in a row; without any it would be 100


async def test_the_log_is_cut_after_a_long_snapshot(
    db: SQLiteDatabase, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_TIMES_THE_WAIT", 0)  # else it is tried again after 2.5 s
    monkeypatch.setattr(checkpoints, "_TRUNCATE_ABOVE", 4)  # of its usual 4 MB; otherwise it must have grown to 64
    async with db.snapshot() as snapshot:
        await snapshot.read(COUNT)
        await write_megabytes(db, db_path, 30)
        assert wal_size(db_path) > 28 * MB  # nothing of it can be written over
    await write_megabytes(db, db_path, 10)
    assert wal_size(db_path) < 16 * MB


async def test_a_large_transaction_is_checkpointed_too(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        for _ in range(20):
            await tx.write_many(INSERT, [()] * 100)
    await db.flush()  # behind the checkpoint
    assert db.statistics().checkpoints == 1


async def test_after_close_there_is_no_log(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        await db.write_many(INSERT, [()] * 10)
    assert names_in(db_path.parent) == [db_path.name]
    assert plain(db_path, COUNT) == [(10,)]


async def test_after_an_error_and_close_there_is_no_log(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x UNIQUE); INSERT INTO t VALUES (1)")
        with pytest.raises(sqlite3.IntegrityError):
            await db.write("INSERT INTO t VALUES (1)")
    assert names_in(db_path.parent) == [db_path.name]


async def test_a_checkpoint_that_fails_is_counted_and_harms_no_job(
    db: SQLiteDatabase, db_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    connection = db._writer.session.connection  # type: ignore[union-attr]
    own = connection.own

    def failing(sql: str) -> list[Any]:
        if "wal_checkpoint" in sql:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error
        return own(sql)

    await db.write_many(INSERT, [()] * 100)
    connection.own = failing
    assert not await db.checkpoint()
    largest = await write_megabytes(db, db_path, 6)
    statistics = db.statistics()
    assert statistics.checkpoint_failures >= 2
    assert statistics.checkpoint_error == "SQLITE_IOERR_FSYNC: disk I/O error"
    assert statistics.checkpoints == 0
    assert "checkpoint of" in caplog.text
    connection.own = own
    assert largest > 5 * MB
    assert await db.checkpoint()
    assert db.statistics().wal_bytes == 0


# -- checkpoint ----------------------------------------------------------------------------------------------


async def test_checkpoint_empties_the_log(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write_many(INSERT, [()] * 100)
    assert wal_size(db_path) > 0
    assert await db.checkpoint() is True
    assert wal_size(db_path) == 0


async def test_checkpoint_reports_that_a_snapshot_still_needs_the_log(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write_many(INSERT, [()] * 10)
    async with db.snapshot() as snapshot:
        await db.write_many(INSERT, [()] * 10)
        assert await db.checkpoint() is False
        assert await snapshot.read_value(COUNT) == 10
    assert await db.checkpoint() is True
    assert wal_size(db_path) == 0


async def test_checkpoint_reports_that_a_snapshot_of_the_latest_state_keeps_the_log(
    db: SQLiteDatabase, db_path: Path
) -> None:
    await db.write_many(INSERT, [()] * 10)
    async with db.snapshot():
        assert await db.checkpoint() is False
        assert wal_size(db_path) > 0
    assert await db.checkpoint() is True


async def test_checkpoint_never_makes_the_writer_wait_for_a_reader(db: SQLiteDatabase) -> None:
    async with db.snapshot():
        await db.write_many(INSERT, [()] * 10)
        async with asyncio.timeout(20):  # SQLite's own TRUNCATE would wait for the busy timeout, while all writers wait
            for _ in range(20):
                await db.checkpoint()
                await db.write(INSERT)


# -- in the queue with other work ----------------------------------------------------------------------------


async def test_maintenance_takes_its_turn_between_writes(db: SQLiteDatabase) -> None:
    with Gate() as gate:
        held = asyncio.create_task(db.write_fn(gate.block))
        await gate.wait_entered()
        before = [db.submit(INSERT) for _ in range(5)]
        verbs = [asyncio.create_task(verb()) for verb in (db.checkpoint, db.optimize, db.vacuum, db.checkpoint)]
        await asyncio.sleep(0)
        after = [db.submit(INSERT) for _ in range(5)]
        gate.open()
        await asyncio.gather(held, *before, *verbs, *after)
    assert await db.read_value(COUNT) == 10
    await assert_whole(db)


@pytest.mark.parametrize("verb", ["checkpoint", "optimize", "vacuum"])
async def test_maintenance_inside_a_transaction_is_a_clear_error(db: SQLiteDatabase, verb: str) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT)
        with pytest.raises(aiomemdb.ReentrancyError):
            await getattr(db, verb)()
    assert await db.read_value(COUNT) == 1


async def test_maintenance_on_a_read_only_database_is_sqlites_own_error(db: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, read_only=True) as reading:
        for verb in (reading.checkpoint, reading.optimize, reading.vacuum):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await verb()


async def test_texts_of_the_library_pass_for_no_user(db: SQLiteDatabase, db_path: Path) -> None:
    async with db.transaction() as tx:
        await tx.read("SELECT 1")
    await db.vacuum()
    await db.flush()
    await write_megabytes(db, db_path, 1)
    await db.optimize()
    await db.checkpoint()
    # Python's cache of statements skips the authorizer, and what the library itself has run may be in it.
    for sql in (
        "PRAGMA busy_timeout=0",
        "PRAGMA busy_timeout=20",
        "PRAGMA busy_timeout=100",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA optimize",
        "PRAGMA query_only=1",
        "PRAGMA synchronous=NORMAL",
        "VACUUM",
        "BEGIN IMMEDIATE",
        "COMMIT",
        "ROLLBACK",
    ):
        with pytest.raises(aiomemdb.ForbiddenStatement):
            await db.write(sql)
    await assert_whole(db)


@pytest.mark.parametrize("verb", ["optimize", "vacuum"])
async def test_maintenance_waits_for_another_programs_lock(db: SQLiteDatabase, db_path: Path, verb: str) -> None:
    await db.write_script("CREATE INDEX t_x ON t (x)")
    await db.write_many(INSERT, [()] * 100)
    await db.read("SELECT id FROM t WHERE x = 1")
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        asyncio.get_running_loop().call_later(0.3, other.execute, "COMMIT")  # SQLite itself gives up after 0.1 s
        await getattr(db, verb)()


@pytest.mark.parametrize("verb", ["vacuum"])
async def test_maintenance_that_waits_too_long_is_a_lock_timeout(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path, lock_timeout=0.2) as db:
        await db.write_script("CREATE TABLE t (x)")
        with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(aiomemdb.LockTimeout):
                await getattr(db, verb)()
            other.execute("ROLLBACK")
        await getattr(db, verb)()


async def test_close_does_not_wait_for_a_vacuum_that_waits_for_a_lock(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    await db.write_script("CREATE TABLE t (x)")
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        vacuum = asyncio.create_task(db.vacuum())
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await db.close(timeout=1)
        with pytest.raises(aiomemdb.DatabaseClosed):
            await vacuum
        other.execute("ROLLBACK")


async def test_close_resolves_a_vacuum_that_its_thread_never_came_to(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    with Gate() as gate:
        db._writer.connection.post(gate.block)  # type: ignore[union-attr]
        vacuum = asyncio.create_task(db.vacuum())
        await gate.wait_entered()
        await asyncio.sleep(0)
        await db.close(timeout=0.2)
        assert isinstance(vacuum.exception(), aiomemdb.DatabaseClosed)
        gate.open()


async def test_vacuum_shrinks_the_file(db: SQLiteDatabase, db_path: Path) -> None:
    await db.write_many(INSERT, [()] * 1000)
    await db.checkpoint()
    full = os.stat(db_path).st_size
    await db.write_count("DELETE FROM t WHERE id > 10")
    await db.vacuum()
    assert os.stat(db_path).st_size < full / 10
    assert await db.read_value(COUNT) == 10
    assert db.statistics().wal_bytes == wal_size(db_path) == 0


async def test_vacuum_beside_a_snapshot_changes_nothing_for_it(db: SQLiteDatabase) -> None:
    await db.write_many(INSERT, [()] * 100)
    async with db.snapshot() as snapshot:
        await db.write_count("DELETE FROM t WHERE id > 10")
        await db.vacuum()
        assert await snapshot.read_value(COUNT) == 100
    assert await db.read_value(COUNT) == 10


async def test_optimize_gathers_statistics_for_the_planner(db: SQLiteDatabase) -> None:
    await db.write_script("CREATE TABLE s (a, b); CREATE INDEX s_a ON s (a)")
    await db.write_many("INSERT INTO s VALUES (?, ?)", [(n % 10, n) for n in range(2000)])
    await db.write_count("UPDATE s SET b = 0 WHERE a = 3")  # on the writer's connection, which then knows it is used
    await db.optimize()
    assert await db.read_value("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_stat1'") == 1


# -- backup --------------------------------------------------------------------------------------------------


def leftovers(folder: Path, *known: str) -> set[str]:
    return {name for name in os.listdir(folder) if name not in known}


async def test_a_backup_equals_the_source(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write_many(INSERT, [()] * 50)
    target = tmp_path / "backups" / "copy.db"
    target.parent.mkdir()
    await db.backup(target)
    assert_healthy(target)
    rows = [tuple(row) for row in await db.read("SELECT * FROM t")]
    assert plain(target, "SELECT * FROM t") == rows
    assert leftovers(target.parent) == {"copy.db"}
    assert target.stat().st_mode & 0o777 == 0o600


async def test_a_backup_can_be_opened_and_written(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write(INSERT)
    await db.backup(str(tmp_path / "copy.db"))
    async with aiomemdb.connect(tmp_path / "copy.db") as copy:
        await copy.write(INSERT)
        assert await copy.read_value(COUNT) == 2
    assert await db.read_value(COUNT) == 1


async def test_a_backup_is_one_moment_of_the_source_while_writes_go_on(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write_script("CREATE TABLE pair (a, b); INSERT INTO pair VALUES (0, 0)")
    await db.write_many(INSERT, [()] * 3000)

    async def write_on() -> None:
        while not copied.is_set():
            async with db.transaction() as tx:
                await tx.write("UPDATE pair SET a = a + 1")
                await tx.write(INSERT)
                await tx.write("UPDATE pair SET b = b + 1")

    copied = asyncio.Event()
    writing = asyncio.create_task(write_on())
    before = await db.read_value(COUNT)
    await db.backup(tmp_path / "copy.db")
    after = await db.read_value(COUNT)
    copied.set()
    await writing
    [(a, b)] = plain(tmp_path / "copy.db", "SELECT a, b FROM pair")
    [(count,)] = plain(tmp_path / "copy.db", COUNT)
    assert a == b == count - 3000
    assert before <= count <= after
    assert_healthy(tmp_path / "copy.db")


async def test_a_backup_holds_what_was_written_before_it_and_is_not_yet_in_the_file(
    db: SQLiteDatabase, tmp_path: Path
) -> None:
    await db.write(INSERT)  # it is in the log alone
    await db.backup(tmp_path / "copy.db")
    assert plain(tmp_path / "copy.db", COUNT) == [(1,)]


async def test_a_backup_that_was_overtaken_by_a_write_does_not_begin_again(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.write_many(INSERT, [()] * 1000)
    seen = []
    with Gate() as gate:
        # backup   256 pages │ in the gate │ the rest
        # write                another row

        def gated(source: Any, target: Path, progress: Callable[[int, int], None], cancelled: threading.Event) -> None:
            def progress_and_wait(done: int, total: int) -> None:
                seen.append(done)
                gate.block()

            copy_database(source, target, progress_and_wait, cancelled)

        monkeypatch.setattr(backup_module, "copy_database", gated)
        backup = asyncio.create_task(db.backup(tmp_path / "copy.db"))
        await gate.wait_entered()
        await db.write(INSERT)
        gate.open()
        await backup
    assert seen == sorted(set(seen))
    assert plain(tmp_path / "copy.db", COUNT) == [(1000,)]


async def test_progress_is_told_on_the_loop_and_reaches_the_end(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write_many(INSERT, [()] * 1500)
    seen: list[tuple[int, int]] = []
    threads = set()

    def progress(done: int, total: int) -> None:
        asyncio.get_running_loop()
        threads.add(threading.get_ident())
        seen.append((done, total))

    await db.backup(tmp_path / "copy.db", progress=progress)
    assert threads == {threading.get_ident()}
    assert len(seen) > 2 and seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1] >= 1500


async def test_an_existing_target_is_refused_and_left_as_it_is(db: SQLiteDatabase, tmp_path: Path) -> None:
    target = tmp_path / "precious.txt"
    target.write_text("precious")
    with pytest.raises(FileExistsError, match="back up to a new name"):
        await db.backup(target)
    assert target.read_text() == "precious"


async def test_a_target_that_comes_meanwhile_is_not_replaced(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write_many(INSERT, [()] * 1500)
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()

    def progress(done: int, total: int) -> None:
        target.write_text("precious")

    with pytest.raises(FileExistsError):
        await db.backup(target, progress=progress)
    assert target.read_text() == "precious"
    assert leftovers(target.parent) == {"copy.db"}


def _no_links(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("code", [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS])
async def test_a_file_system_without_links_takes_a_backup_too(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    await db.write_many(INSERT, [()] * 50)
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    monkeypatch.setattr(os, "link", refuse)
    await db.backup(target)
    assert plain(target, COUNT) == [(50,)]
    assert leftovers(target.parent) == {"copy.db"}
    assert target.stat().st_mode & 0o777 == 0o600


async def test_there_too_a_target_that_comes_meanwhile_is_not_replaced(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await db.write_many(INSERT, [()] * 1500)
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    monkeypatch.setattr(os, "link", _no_links)
    with pytest.raises(FileExistsError, match="back up to a new name"):
        await db.backup(target, progress=lambda done, total: target.write_text("precious"))
    assert target.read_text() == "precious"
    assert leftovers(target.parent) == {"copy.db"}


async def test_there_too_what_is_written_into_the_name_just_taken_is_not_replaced(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    fstat = os.fstat

    def written_meanwhile(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        if target.exists():
            target.write_text("precious")
        return status

    monkeypatch.setattr(os, "link", _no_links)
    monkeypatch.setattr(os, "fstat", written_meanwhile)
    with pytest.raises(FileExistsError):
        await db.backup(target)
    assert target.read_text() == "precious"
    assert leftovers(target.parent) == {"copy.db"}


@pytest.mark.parametrize("name", [":memory:", "file:copy.db", "file:copy.db?mode=memory"])
async def test_a_backup_to_what_is_no_path_is_refused_and_leaves_nothing(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with pytest.raises(ValueError, match="the plain path of a new file"):
        await db.backup(name)
    assert os.listdir() == []


async def test_a_backup_to_a_path_that_is_too_long_for_sqlite_is_refused_and_leaves_nothing(
    db: SQLiteDatabase, tmp_path: Path
) -> None:
    folder = tmp_path / ("x" * 200) / ("y" * 200)
    folder.mkdir(parents=True)
    missing = 507 - len(os.fsencode(folder)) - 1
    with pytest.raises(OSError, match="SQLite takes paths of at most 504 bytes"):
        await db.backup(folder / ("z" * missing))
    assert leftovers(folder) == set()


async def test_the_database_itself_is_refused_as_a_target(db: SQLiteDatabase, db_path: Path) -> None:
    with pytest.raises(FileExistsError):
        await db.backup(db_path)
    await assert_whole(db)


async def test_a_missing_folder_is_a_clear_error(db: SQLiteDatabase, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="create it first"):
        await db.backup(tmp_path / "missing" / "copy.db")


async def test_a_cancelled_backup_leaves_nothing(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write_many(INSERT, [()] * 3000)
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    begun = asyncio.Event()
    backup = asyncio.create_task(db.backup(target, progress=lambda done, total: begun.set()))
    await begun.wait()
    backup.cancel()
    await asyncio.wait([backup])
    # It may have been done before the cancellation came; then it is whole.
    assert leftovers(target.parent) == (set() if backup.cancelled() else {"copy.db"})
    await assert_whole(db)


async def test_a_backup_cancelled_before_it_began_leaves_nothing(db: SQLiteDatabase, tmp_path: Path) -> None:
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    for turns in range(8):
        backup = asyncio.create_task(db.backup(target))
        for _ in range(turns):
            await asyncio.sleep(0)
        backup.cancel()
        await asyncio.wait([backup])
        assert leftovers(target.parent) <= {"copy.db"}
        target.unlink(missing_ok=True)
    await assert_whole(db)


async def test_a_backup_that_fails_leaves_nothing(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    monkeypatch.setattr(os, "link", full)
    with pytest.raises(OSError, match="No space left"):
        await db.backup(target)
    assert leftovers(target.parent) == set()


async def test_backups_may_run_side_by_side(db: SQLiteDatabase, tmp_path: Path) -> None:
    await db.write_many(INSERT, [()] * 500)
    await asyncio.gather(*[db.backup(tmp_path / f"copy{n}.db") for n in range(3)])
    for n in range(3):
        assert plain(tmp_path / f"copy{n}.db", COUNT) == [(500,)]


async def test_closing_the_database_ends_a_backup_and_waits_for_its_thread(
    db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = await aiomemdb.connect(db_path)
    await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    await db.write_many(INSERT, [()] * 1000)
    target = tmp_path / "out" / "copy.db"
    target.parent.mkdir()
    told: list[threading.Event] = []
    with Gate() as gate:

        def gated(source: Any, target: Path, progress: Callable[[int, int], None], cancelled: threading.Event) -> None:
            told.append(cancelled)
            copy_database(source, target, gate.block, cancelled)

        monkeypatch.setattr(backup_module, "copy_database", gated)
        backup = asyncio.create_task(db.backup(target))
        await gate.wait_entered()
        closing = asyncio.create_task(db.close())
        await eventually(told[0].is_set)
        await asyncio.wait([closing], timeout=0.1)
        assert not closing.done()
        gate.open()
        await closing
    assert not [thread for thread in threading.enumerate() if thread.name.endswith(":backup")]
    with pytest.raises(aiomemdb.DatabaseClosed, match="nothing of it is left"):
        await backup
    assert leftovers(target.parent) == set()
