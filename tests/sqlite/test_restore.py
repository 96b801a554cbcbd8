"""A backup is put back as docs/guides/operating.md says."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import CommitOutcomeUnknown, DatabaseReplaced
from tests.support.plain import assert_healthy, plain
from tests.support.scripts import run_script

_DIES = """
    import asyncio, os, sys
    import aiomemdb

    async def main(path):
        db = await aiomemdb.connect(path)
        await db.write_script("CREATE TABLE t (x); INSERT INTO t VALUES ('kept')")
        await db.backup(path + ".copy")
        await db.write("INSERT INTO t VALUES ('lost')")
        os._exit(0)

    asyncio.run(main(sys.argv[1]))
"""


def put_back(path: Path) -> None:
    """Steps 2 and 3."""
    old = path.parent / "old"
    old.mkdir()
    for suffix in ("", "-wal", "-shm"):
        if os.path.exists(f"{path}{suffix}"):
            shutil.move(f"{path}{suffix}", old)
    shutil.copy(f"{path}.copy", path)


async def test_a_copy_that_is_put_back_is_the_state_that_was_copied(db_path: Path) -> None:
    run_script(_DIES, db_path).assert_ok()
    assert os.stat(f"{db_path}-wal").st_size > 0  # it died: its log is still there
    put_back(db_path)
    async with aiomemdb.connect(db_path) as db:
        assert [row["x"] for row in await db.read("SELECT x FROM t")] == ["kept"]
        await db.write("INSERT INTO t VALUES ('new')")
    assert_healthy(db_path)
    assert plain(db_path.parent / "old" / db_path.name, "SELECT x FROM t") == [("kept",), ("lost",)]


async def test_a_handle_that_was_forgotten_hears_that_the_file_is_another(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x); INSERT INTO t VALUES ('kept')")
        await db.backup(f"{db_path}.copy")
        put_back(db_path)
        for expected in (CommitOutcomeUnknown, DatabaseReplaced, DatabaseReplaced):
            with pytest.raises(expected):
                await db.write("INSERT INTO t VALUES ('lost')")
    assert plain(db_path, "SELECT x FROM t") == [("kept",)]
