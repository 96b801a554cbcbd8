"""G5 where the disk itself fails: a write that the kernel, or the library, had begun before the sync."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

import aiomemdb
from tests.faults.disk import Disk, why_not
from tests.support.kernel import dirty_pages
from tests.support.plain import assert_healthy, plain
from tests.support.whole import eventually


@pytest.fixture
def shelf(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory: a disk with its image there fails to write new blocks once that is full."""
    if reason := why_not(tmp_path_factory.getbasetemp()):
        pytest.skip(reason)
    folder = tmp_path / "shelf"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=160M", "shelf", str(folder)], check=True, timeout=30)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True, timeout=30)


@contextmanager
def full(folder: Path) -> Iterator[None]:
    ballast = folder / "ballast"
    with open(ballast, "wb", buffering=0) as file:
        for piece in (1 << 20, 4096):
            with suppress(OSError):
                while file.write(bytes(piece)) == piece:
                    pass
    try:
        yield
    finally:
        ballast.unlink()


async def test_where_a_write_had_failed_before_the_sync_nothing_is_called_durable_that_is_not(shelf: Path) -> None:
    with Disk(shelf) as disk:
        path = disk.folder / "a.db"
        async with aiomemdb.connect(path) as db:
            await db.write("CREATE TABLE t (x)", durable=True)
            session = db._writer.session  # type: ignore[union-attr]
            with full(shelf):
                await db.write_many("INSERT INTO t VALUES (randomblob(3500))", [()] * 400)
                if not dirty_pages(f"{path}-wal"):
                    pytest.skip("the kernel does not report pages that are to be written")

                def has_failed() -> bool:
                    session.writeback.begin()
                    return dirty_pages(f"{path}-wal") == 0  # Linux takes for clean what it could not write

                await eventually(has_failed)
            # The disk is well again, and has not all of these rows.
            with pytest.raises(sqlite3.OperationalError) as caught:
                await db.flush()
            assert caught.value.sqlite_errorcode == sqlite3.SQLITE_IOERR_FSYNC
            await db.flush()
            disk.cut()
        disk.restart()
        assert_healthy(path)
        assert plain(path, "SELECT count(*) FROM t") == [(400,)]
