"""The log's way to the disk is begun before a checkpoint waits for it, and nothing relies on that."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file.writeback import LogWriteback
from aiomemdb.sqlite.writing import checkpoints
from tests.support.kernel import dirty_pages
from tests.support.whole import eventually

INSERT = "INSERT INTO t VALUES (randomblob(3500))"
ENOUGH = checkpoints._BEGIN_AFTER_CHANGES


async def fill(db: SQLiteDatabase) -> None:
    """The log has its usual size, and more."""
    await db.write("CREATE TABLE t (x)")
    await db.write_many(INSERT, [()] * 1500)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[LogWriteback]]:
    calls: list[LogWriteback] = []
    begin = LogWriteback.begin

    def note(writeback: LogWriteback) -> None:
        begin(writeback)
        calls.append(writeback)

    monkeypatch.setattr(LogWriteback, "begin", note)
    yield calls


async def test_a_busy_writer_begins_to_write_its_log(db_path: Path, begun: list[LogWriteback]) -> None:
    async with aiomemdb.connect(db_path) as db:
        await fill(db)
        await db.write_many(INSERT, [()] * ENOUGH)
        await eventually(lambda: bool(begun))


async def test_a_transaction_begins_it_too(db_path: Path, begun: list[LogWriteback]) -> None:
    async with aiomemdb.connect(db_path) as db:
        await fill(db)
        assert not begun
        async with db.transaction() as tx:
            await tx.write_many(INSERT, [()] * ENOUGH)
        await eventually(lambda: bool(begun))


async def test_a_quiet_writer_leaves_it_to_the_kernel(
    db_path: Path, begun: list[LogWriteback], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_BEGIN_EVERY", 0.0)
    async with aiomemdb.connect(db_path) as db:
        await fill(db)
        await db.write_many(INSERT, [()] * ENOUGH)
        await db.flush()
        already = len(begun)
        for _ in range(ENOUGH - 2):  # with the number that flush() has rewritten
            await db.write(INSERT)
        await db.read("SELECT count(*) FROM t")
    assert len(begun) == already


async def test_a_log_that_no_checkpoint_has_moved_yet_is_left_to_the_kernel(
    db_path: Path, begun: list[LogWriteback]
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write_many(INSERT, [()] * 3 * ENOUGH)
    assert not begun


async def test_where_each_commit_syncs_the_log_there_is_nothing_to_begin(
    db_path: Path, begun: list[LogWriteback]
) -> None:
    async with aiomemdb.connect(db_path, durability="full") as db:
        await fill(db)
        for _ in range(3):
            await db.write_many(INSERT, [()] * ENOUGH)
    assert not begun


async def test_what_was_begun_reaches_the_disk_without_a_sync(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_BEGIN_AFTER_CHANGES", sys.maxsize)
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write_many(INSERT, [()] * 100)
        if not dirty_pages(f"{db_path}-wal"):
            pytest.skip("the kernel or the file system does not report pages that are to be written")
        session = db._writer.session  # type: ignore[union-attr]

        def is_written() -> bool:
            session.writeback.begin()  # a page that is locked is skipped, and begun with the next time
            return dirty_pages(f"{db_path}-wal") == 0

        await eventually(is_written)


def locks_on(*paths: str) -> set[str]:
    """What the kernel has noted of locks on these files.

    The kernel hands its list over a page at a time, and passes over lines where other programs let go of locks in
    between. So this looks again and again, and takes all that it has seen.
    """
    inodes = {str(os.stat(path).st_ino) for path in paths}
    lines = {line.split(": ", 1)[1] for _ in range(20) for line in Path("/proc/locks").read_text().splitlines()}
    return {line for line in lines if line.split()[-3].split(":")[-1] in inodes}


@pytest.mark.skipif(sys.platform != "linux", reason="it looks at /proc/locks")
async def test_its_descriptor_takes_no_lock_of_sqlite_along(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await fill(db)
        session = db._writer.session  # type: ignore[union-attr]
        async with db.snapshot() as snapshot:
            await snapshot.read("SELECT count(*) FROM t")

            def begin_and_close(conn: object) -> tuple[set[str], set[str]]:
                before = locks_on(str(db_path), f"{db_path}-shm")
                session.writeback.begin()
                assert session.writeback._descriptor >= 0
                session.writeback.close()
                return before, locks_on(str(db_path), f"{db_path}-shm")

            before, after = await db.write_fn(begin_and_close)
        assert before
        assert before == after


def test_a_log_that_is_another_or_gone_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    opened = set(os.listdir("/dev/fd"))
    for make in (lambda: None, Path(f"{path}-wal").touch):
        make()
        writeback = LogWriteback(path, inode=-1)
        writeback.begin()
        assert set(os.listdir("/dev/fd")) == opened
        writeback.close()


async def test_where_the_system_has_no_such_call_all_goes_on(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list[LogWriteback]
) -> None:
    monkeypatch.setattr("aiomemdb.sqlite.file.writeback._sync_file_range", None)
    async with aiomemdb.connect(db_path) as db:
        await fill(db)
        await db.write_many(INSERT, [()] * ENOUGH)
        await eventually(lambda: bool(begun))
        assert await db.write(INSERT) == 1500 + ENOUGH + 1
        assert db._writer.session.writeback._descriptor == -1  # type: ignore[union-attr]
