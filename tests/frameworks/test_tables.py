"""Tables of an adapter: made once, however many ask, and refused where the file has others of their names."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from contextvars import Context
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.integrations._tables import Tables, checked_database
from tests.support.fleet import Fleet
from tests.support.gates import Gate
from tests.support.nursery import Worker
from tests.support.plain import plain
from tests.support.whole import eventually


def tables() -> Tables:
    return Tables(
        "the parcels",
        "CREATE TABLE IF NOT EXISTS parcel (id TEXT PRIMARY KEY, weight REAL, sender TEXT NOT NULL DEFAULT '')",
        "CREATE INDEX IF NOT EXISTS parcel_weight ON parcel (weight)",
        added={("parcel", "sender"): "TEXT NOT NULL DEFAULT ''"},
    )


def made_by_hand(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as conn:
        conn.executescript(script)
    return path


async def test_one_job_makes_the_tables_however_many_tasks_ask_at_once(tmp_path: Path) -> None:
    parcels = tables()
    async with aiomemdb.connect(tmp_path / "a.db") as db:
        await asyncio.gather(*[parcels.made_in(db) for _ in range(200)])
        assert db.statistics().writes == 1
        await db.write("INSERT INTO parcel (id, weight) VALUES ('a', 1.5)")


async def test_each_database_gets_its_own(tmp_path: Path) -> None:
    parcels = tables()
    for name in ("a.db", "b.db"):
        async with aiomemdb.connect(tmp_path / name) as db:
            await parcels.made_in(db)
            assert await db.read("SELECT * FROM parcel") == []


async def test_a_file_that_has_them_is_read_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with aiomemdb.connect(path) as db:
        await tables().made_in(db)
    async with aiomemdb.connect(path, read_only=True) as db:
        await tables().made_in(db)
        assert await db.read("SELECT * FROM parcel") == []


async def test_a_file_that_is_read_only_and_has_none_is_an_error(tmp_path: Path) -> None:
    path = made_by_hand(tmp_path / "a.db", "CREATE TABLE other (x)")
    async with aiomemdb.connect(path, read_only=True) as db:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await tables().made_in(db)


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("CREATE TABLE parcel (id TEXT PRIMARY KEY, colour TEXT)", "no column weight"),
        ("CREATE TABLE parcel (id TEXT, weight REAL, sender TEXT)", "primary key"),
        ("CREATE TABLE base (id, weight, sender); CREATE VIEW parcel AS SELECT * FROM base", "primary key"),
    ],
)
async def test_tables_of_other_columns_are_refused_and_left_as_they_are(tmp_path: Path, script: str, why: str) -> None:
    path = made_by_hand(tmp_path / "a.db", script)
    before = plain(path, "SELECT sql FROM sqlite_schema")
    async with aiomemdb.connect(path) as db:
        for _ in range(2):
            with pytest.raises(ValueError, match=f"'parcel' that is none of the parcels.*{why}"):
                await tables().made_in(db)
    assert plain(path, "SELECT sql FROM sqlite_schema") == before


async def test_a_column_that_earlier_versions_did_not_make_is_added(tmp_path: Path) -> None:
    path = made_by_hand(
        tmp_path / "a.db", "CREATE TABLE parcel (id TEXT PRIMARY KEY, weight REAL); INSERT INTO parcel VALUES ('a', 1)"
    )
    async with aiomemdb.connect(path) as db:
        await tables().made_in(db)
        assert [tuple(row) for row in await db.read("SELECT * FROM parcel")] == [("a", 1.0, "")]


async def test_a_cancelled_caller_leaves_the_making_to_the_next(tmp_path: Path) -> None:
    parcels = tables()
    async with aiomemdb.connect(tmp_path / "a.db") as db:
        with Gate() as gate:
            held = asyncio.create_task(db.write_fn(gate.block))
            await gate.wait_entered()
            first, second = (asyncio.create_task(parcels.made_in(db)) for _ in range(2))
            await eventually(lambda: db.statistics().pending == 1)
            first.cancel()
            await asyncio.wait([first])
            gate.open()
            await held
        await second
        assert first.cancelled()
        assert await db.read("SELECT * FROM parcel") == []


async def test_inside_a_transaction_of_the_caller_it_is_an_error_though_others_are_making_them(tmp_path: Path) -> None:
    parcels = tables()
    async with aiomemdb.connect(tmp_path / "a.db") as db:
        async with db.transaction():
            other = asyncio.create_task(parcels.made_in(db), context=Context())
            await eventually(lambda: db.statistics().pending == 1)
            with pytest.raises(aiomemdb.ReentrancyError):
                await parcels.made_in(db)
        await other


@pytest.mark.parametrize("db", ["agents.db", None, sqlite3])
def test_what_is_no_database_is_refused(db: object) -> None:
    with pytest.raises(TypeError, match=r"object.*aiomemdb\.connect"):
        checked_database(db, object())


async def make_and_fill(worker: Worker, path: str) -> None:
    worker.meet()
    async with aiomemdb.connect(path) as db:
        await tables().made_in(db)
        await db.write("INSERT INTO parcel (id, weight) VALUES (?, 1)", (str(worker.number),))


def test_processes_that_open_one_new_file_at_once_make_them_together(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    with Fleet(limit=60) as fleet:
        for _ in range(8):
            fleet.start(make_and_fill, path=str(path))
        fleet.finish()
    assert plain(path, "SELECT count(*) FROM parcel") == [(8,)]
