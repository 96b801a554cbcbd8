"""Who keeps a lock is named, and a long wait for one is logged."""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import LockTimeout
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file import holders
from aiomemdb.sqlite.file.turnstile import Turnstile
from tests.support.others import OtherProcess

INSERT = "INSERT INTO log (job) VALUES (?)"
FOREIGN_LOCK = "conn = sqlite3.connect(path, isolation_level=None); conn.execute('BEGIN IMMEDIATE'); None"
PROC_LOCKS = Path("/proc/locks")


@pytest.fixture
async def hasty(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, lock_timeout=0.1) as hasty:
        await hasty.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        yield hasty


async def test_another_connection_of_this_process_that_keeps_its_lock_is_named_as_such(
    hasty: SQLiteDatabase, db_path: Path
) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as foreign:
        foreign.execute("BEGIN IMMEDIATE")
        who = "another connection of this process" if PROC_LOCKS.exists() else "another program"
        with pytest.raises(LockTimeout, match=f"^{who} has held the write lock"):
            await hasty.write(INSERT, (1,))


async def test_a_wait_for_a_turn_is_logged_once_it_is_long_and_once(
    db_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "LONG_WAIT", 0.05)
    async with aiomemdb.connect(db_path, lock_timeout=0.2) as db:
        await db.write("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        with closing(Turnstile(db_path)) as turnstile, caplog.at_level(logging.WARNING, "aiomemdb"):
            turnstile.open()
            turnstile.acquire(0)
            for _ in range(2):
                with pytest.raises(LockTimeout):
                    await db.write(INSERT, (1,))
    [line] = [record.getMessage() for record in caplog.records]
    assert re.match(
        rf"{re.escape(str(db_path))}: has waited 0\.\d s for the turn to write, which (process|another)", line
    )
    assert "waits for up to 0.2 s" in line


async def test_a_wait_for_a_program_that_takes_no_turns_is_logged_with_its_process(
    hasty: SQLiteDatabase, db_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holders, "LONG_WAIT", 0.0)
    with OtherProcess(db_path) as other:
        await other.does(FOREIGN_LOCK)
        with caplog.at_level(logging.WARNING, "aiomemdb"), pytest.raises(LockTimeout):
            await hasty.write(INSERT, (1,))
    [line] = [record.getMessage() for record in caplog.records]
    who = f"process {other.pid} " if PROC_LOCKS.exists() else "another program"
    assert f"for SQLite's write lock, which {who}" in line


def test_locks_of_other_files_and_lines_that_are_not_known_are_passed_over(
    db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db_path.touch()
    status = db_path.stat()
    file = f"{status.st_dev >> 8:02x}:{status.st_dev & 0xFF:02x}:{status.st_ino}"
    table = tmp_path / "locks"
    table.write_text(
        f"1: POSIX  ADVISORY  READ 1 {file} 0 EOF\n"
        f"2: OFDLCK ADVISORY  WRITE -1 {file} 0 EOF\n"
        "3: POSIX  ADVISORY  WRITE 1 00:00:1 0 EOF\n"
        f"4: -> POSIX  ADVISORY  WRITE 1 {file} 0 EOF\n"
        "5: LEASE\n"
        f"6: POSIX  ADVISORY  WRITE 0 {file} 0 EOF\n"
    )
    monkeypatch.setattr(holders, "open", lambda _: table.open(), raising=False)
    assert holders.holder_of_write_lock(db_path) is None
