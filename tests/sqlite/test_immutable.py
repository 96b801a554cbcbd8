"""A database on a file system that can't be written is read as it is, as long as it stays so."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.connection import immutable
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.reading import opening
from tests.support.killing import all_readers_of
from tests.support.plain import plain

COUNT = "SELECT count(*) FROM t"


def fill(path: Path, *, rows: int = 100) -> None:
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        conn.executemany("INSERT INTO t (x) VALUES (?)", [(n,) for n in range(rows)])
        conn.commit()


def contents(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


class Disc:
    """A file system of its own, which can be written until ``burn()``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def burn(self) -> None:
        self._remount("ro")

    def unburn(self) -> None:
        self._remount("rw")

    def _remount(self, option: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{option}", str(self.folder)], check=True, capture_output=True)


@pytest.fixture
def disc(tmp_path: Path) -> Iterator[Disc]:
    folder = tmp_path / "disc"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], capture_output=True).returncode != 0:
        pytest.skip("only root may mount")
    try:
        yield Disc(folder)
    finally:
        subprocess.run(["umount", str(folder)], check=True)


async def test_every_read_verb_reads_from_a_disc_and_leaves_nothing_there(disc: Disc, tmp_path: Path) -> None:
    fill(disc.folder / "a.db")
    disc.burn()
    before = contents(disc.folder)
    async with aiomemdb.connect(disc.folder / "a.db", read_only=True) as db:
        assert await db.read_value(COUNT) == 100
        assert len(await asyncio.gather(*[db.read("SELECT x FROM t WHERE id = ?", (n,)) for n in range(50)])) == 50
        assert len([row async for row in db.read_stream("SELECT * FROM t", chunk=7)]) == 100
        assert await db.read_fn(lambda conn: conn.execute(COUNT).fetchone()[0]) == 100
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value(COUNT) == 100
        await db.backup(tmp_path / "copy.db")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await db.write("DELETE FROM t")
        assert contents(disc.folder) == before
    assert plain(tmp_path / "copy.db", COUNT) == [(100,)]


async def test_a_disc_is_no_place_to_write(disc: Disc) -> None:
    fill(disc.folder / "a.db")
    disc.burn()
    with pytest.raises(PermissionError, match="read_only=True opens it for reading"):
        async with aiomemdb.connect(disc.folder / "a.db"):
            pass


async def test_a_log_that_was_burnt_too_is_a_clear_error(disc: Disc) -> None:
    with closing(sqlite3.connect(disc.folder / "a.db")) as conn:
        conn.execute("PRAGMA journal_mode=WAL")
        conn.execute("CREATE TABLE t (x)")
        copy = (disc.folder / "a.db").read_bytes(), (disc.folder / "a.db-wal").read_bytes()
    for name, content in zip(("b.db", "b.db-wal"), copy, strict=True):
        (disc.folder / name).write_bytes(content)
    disc.burn()
    with pytest.raises(PermissionError, match="copy the database and its -wal"):
        async with aiomemdb.connect(disc.folder / "b.db", read_only=True):
            pass


async def read_all(db: SQLiteDatabase) -> None:
    await db.read(COUNT)


async def read_one(db: SQLiteDatabase) -> None:
    await db.read_value(COUNT)


async def read_function(db: SQLiteDatabase) -> None:
    await db.read_fn(lambda conn: conn.execute(COUNT).fetchone())


async def read_stream(db: SQLiteDatabase) -> None:
    async for _ in db.read_stream(COUNT):
        pass


async def read_snapshot(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        await snapshot.read(COUNT)


READS = [read_all, read_one, read_function, read_stream, read_snapshot]


@pytest.mark.parametrize("read", READS)
async def test_a_log_that_appears_there_later_stops_every_read(disc: Disc, read: Any) -> None:
    fill(disc.folder / "a.db")
    disc.burn()
    async with aiomemdb.connect(disc.folder / "a.db", read_only=True) as db:
        await read(db)
        disc.unburn()
        with closing(sqlite3.connect(disc.folder / "a.db")) as conn:
            conn.execute("INSERT INTO t (x) VALUES (1)")
            conn.commit()
            with pytest.raises(aiomemdb.DatabaseReplaced, match="open it again"):
                await read(db)


@pytest.mark.parametrize("read", READS)
async def test_a_file_that_has_changed_stops_every_read(disc: Disc, read: Any) -> None:
    fill(disc.folder / "a.db")
    disc.burn()
    async with aiomemdb.connect(disc.folder / "a.db", read_only=True) as db:
        await read(db)
        disc.unburn()
        with closing(sqlite3.connect(disc.folder / "a.db")) as conn:  # its close moves its log into the file
            conn.execute("INSERT INTO t (x) VALUES (1)")
            conn.commit()
        assert contents(disc.folder) == ["a.db"]
        with pytest.raises(aiomemdb.DatabaseReplaced):
            await read(db)
    async with aiomemdb.connect(disc.folder / "a.db", read_only=True) as db:
        assert await db.read_value(COUNT) == 101


async def test_rows_that_were_read_while_the_file_changed_are_not_given(disc: Disc) -> None:
    fill(disc.folder / "a.db")
    disc.burn()

    def prepare(conn: sqlite3.Connection) -> None:
        conn.create_function("change", 0, change)

    def change() -> int:
        disc.unburn()
        os.utime(disc.folder / "a.db")
        return 1

    async with aiomemdb.connect(disc.folder / "a.db", read_only=True, prepare=prepare) as db:
        with pytest.raises(aiomemdb.DatabaseReplaced):
            await db.read("SELECT change()")


async def test_a_folder_that_may_not_be_written_is_no_such_case(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(db_path)
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))  # as if it were root's
    uri, _ = immutable.way_to_read(db_path, read_only=True)
    assert "immutable" not in uri
    async with aiomemdb.connect(db_path, read_only=True) as db, aiomemdb.connect(db_path, read_only=True) as other:
        assert await db.read_value(COUNT) == await other.read_value(COUNT) == 100


async def test_a_reader_that_is_opened_later_reads_a_disc_as_the_first_does(disc: Disc) -> None:
    fill(disc.folder / "a.db")
    disc.burn()
    async with aiomemdb.connect(disc.folder / "a.db", read_only=True) as db:
        for reader in await all_readers_of(db):
            assert await reader.run(lambda raw: raw.execute(COUNT).fetchone()[0]) == 100
        assert db.statistics().readers == 4
    assert contents(disc.folder) == ["a.db"]


async def test_no_reader_is_opened_later_on_a_disc_that_has_changed(
    disc: Disc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
    fill(disc.folder / "a.db")
    disc.burn()
    async with aiomemdb.connect(disc.folder / "a.db", read_only=True) as db, db.snapshot():
        disc.unburn()
        with closing(sqlite3.connect(disc.folder / "a.db")) as conn:
            conn.execute("INSERT INTO t (x) VALUES (1)")
            conn.commit()
            async with asyncio.timeout(60):
                with pytest.raises(aiomemdb.DatabaseReplaced, match="open it again"):
                    await db.read(COUNT)
        assert db.statistics().readers == 1
