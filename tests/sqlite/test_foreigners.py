"""Programs that write the file without aiomemdb: what is counted as one of them, and above all what is not."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file import turnstile
from tests.support.limits import log_can_grow_by
from tests.support.others import OtherProcess
from tests.support.whole import eventually

INSERT = "INSERT INTO log (job) VALUES (?)"

Verb = Callable[[SQLiteDatabase], Awaitable[object]]


@pytest.fixture(autouse=True)
def _each_turn_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turnstile, "_BETWEEN_LOOKS", 0.0)


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, lock_timeout=100) as db:
        await db.write_script("CREATE TABLE log (id INTEGER PRIMARY KEY, job INTEGER)")
        # What was announced before it was opened holds for so long, and what is committed meanwhile is not counted.
        await asyncio.sleep(turnstile._ANNOUNCED_FOR)
        await db.flush()
        yield db


@pytest.fixture
def foreign(db: SQLiteDatabase, db_path: Path) -> Iterator[sqlite3.Connection]:
    """Plain sqlite3 on the same file."""
    with closing(sqlite3.connect(db_path, isolation_level=None)) as foreign:
        foreign.execute("PRAGMA wal_autocheckpoint=0")
        yield foreign


def seen(*databases: SQLiteDatabase) -> list[int]:
    return [database.statistics().foreign_writers for database in databases]


# -- what is counted -------------------------------------------------------------------------------------------------


async def test_plain_commits_between_our_writes_are_counted_and_warned_of_once(
    db: SQLiteDatabase, foreign: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "aiomemdb"):
        for committed in (1, 2, 3, 4):
            foreign.execute(INSERT, (committed,))
            await db.write(INSERT, (committed,))
            assert seen(db) == [committed]
            assert len(caplog.records) == 1
    assert "a program that does not use aiomemdb" in caplog.records[0].getMessage()


async def _transaction(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (0,))


VERBS: dict[str, Verb] = {
    "write": lambda db: db.write(INSERT, (0,)),
    "write_fn": lambda db: db.write_fn(lambda conn: None),
    "transaction": _transaction,
    "flush": lambda db: db.flush(),
    "checkpoint": lambda db: db.checkpoint(),
    "vacuum": lambda db: db.vacuum(),
}


@pytest.mark.parametrize("verb", VERBS)
async def test_each_verb_that_takes_a_turn_notices_a_plain_commit(
    db: SQLiteDatabase, foreign: sqlite3.Connection, verb: str
) -> None:
    await VERBS[verb](db)
    assert seen(db) == [0]
    foreign.execute(INSERT, (1,))
    await VERBS[verb](db)
    assert seen(db) == [1]
    await VERBS[verb](db)
    assert seen(db) == [1]


async def test_a_plain_commit_is_noticed_once_a_handle_that_shared_the_file_is_silent(
    db: SQLiteDatabase, foreign: sqlite3.Connection, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aiomemdb.connect(db_path) as silent:
        await silent.write(INSERT, (0,))
        foreign.execute(INSERT, (1,))
        await db.write(INSERT, (2,))  # which of them committed is unknown
        assert seen(db) == [0]
        await asyncio.sleep(turnstile._ANNOUNCED_FOR)
        await db.write(INSERT, (3,))
        foreign.execute(INSERT, (4,))
        await db.write(INSERT, (5,))
        assert seen(db, silent) == [1, 0]


async def test_a_foreign_transaction_met_at_the_lock_is_counted_once(
    db: SQLiteDatabase, foreign: sqlite3.Connection
) -> None:
    foreign.execute("BEGIN IMMEDIATE")
    foreign.execute(INSERT, (1,))
    waiting = db.submit(INSERT, (2,))
    await eventually(lambda: seen(db) == [1])
    foreign.execute("COMMIT")
    await waiting
    await db.write(INSERT, (3,))
    assert seen(db) == [1]


# -- what is not -----------------------------------------------------------------------------------------------------


async def test_what_this_database_does_itself_is_not_foreign(db: SQLiteDatabase, tmp_path: Path) -> None:
    verbs: list[Verb] = [*VERBS.values(), lambda db: db.optimize(), lambda db: db.backup(tmp_path / "copy.db")]
    for verb in verbs:
        await verb(db)
        with pytest.raises(sqlite3.IntegrityError):
            await db.write("INSERT INTO log (id) VALUES (1), (1)")
        await db.read_fn(lambda conn: conn.execute("SELECT count(*) FROM log").fetchall())
    await db.write(INSERT, (0,))
    assert seen(db) == [0]


async def test_checkpoints_and_reads_of_others_are_no_commits(db: SQLiteDatabase, foreign: sqlite3.Connection) -> None:
    for mode in ("PASSIVE", "FULL", "RESTART", "TRUNCATE"):
        await db.write(INSERT, (0,))
        assert foreign.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0] == 0
        assert foreign.execute("SELECT count(*) FROM log").fetchone() != (0,)
    await db.write(INSERT, (0,))
    assert seen(db) == [0]


async def test_a_commit_of_ours_that_failed_is_not_foreign(db: SQLiteDatabase, db_path: Path) -> None:
    large = "INSERT INTO log (job) VALUES (zeroblob(5000000))"  # more than the cache, which is thrown away
    await db.write("INSERT INTO log (job) VALUES (zeroblob(2000000))")
    for verb in (db.write(large), db.write_script(large), db.write_count(large)):
        with log_can_grow_by(2, db_path), pytest.raises(sqlite3.OperationalError):
            await verb
        await db.write(INSERT, (0,))
    assert seen(db) == [0]


async def test_a_process_that_was_killed_behind_its_commit_is_not_foreign(
    db: SQLiteDatabase, foreign: sqlite3.Connection, db_path: Path
) -> None:
    """It announces its turns before it commits, so nothing is left to note behind that."""
    with OtherProcess(db_path) as other:
        await other.does("db = await aiomemdb.connect(path)")
        await asyncio.sleep(turnstile._ANNOUNCED_FOR)
        await db.write(INSERT, (0,))
        await other.does(f"await db.write({INSERT!r}, (1,))")
        other.kill()
    await db.write(INSERT, (2,))
    assert seen(db) == [0]
    await asyncio.sleep(turnstile._ANNOUNCED_FOR)
    await db.write(INSERT, (3,))
    foreign.execute(INSERT, (4,))
    await db.write(INSERT, (5,))
    assert seen(db) == [1]


WRITE_NOW_AND_THEN = f"""
import random
from aiomemdb.sqlite.file import turnstile
turnstile._BETWEEN_LOOKS = 0.0

async def write_now_and_then(db, seed, turns):
    chance = random.Random(seed)
    for turn in range(turns):
        await asyncio.sleep(chance.choice([0, 0, 0, 0.003, 0.008, 0.01, 0.012, 0.025]))
        match chance.randrange(8):
            case 0:
                async with db.transaction() as tx:
                    await tx.write({INSERT!r}, (turn,))
                    await asyncio.sleep(chance.choice([0, 0.005, 0.011]))
            case 1:
                await db.checkpoint()
            case 2:
                await asyncio.gather(*[db.write({INSERT!r}, (turn,)) for _ in range(50)])
            case 3:
                await db.write({INSERT!r}, (turn,), durable=True)
            case _:
                await db.write({INSERT!r}, (turn,))
    return db.statistics().foreign_writers
"""


async def test_handles_and_processes_that_take_turns_are_not_foreign_to_each_other(
    db: SQLiteDatabase, db_path: Path, request: pytest.FixtureRequest
) -> None:
    scope: dict[str, Callable[[SQLiteDatabase, int, int], Awaitable[int]]] = {"asyncio": asyncio}  # type: ignore[dict-item]
    exec(WRITE_NOW_AND_THEN, scope)
    write, turns = scope["write_now_and_then"], 100
    with OtherProcess(db_path) as second, OtherProcess(db_path) as third:
        for process in (second, third):
            await process.does(WRITE_NOW_AND_THEN + "db = await aiomemdb.connect(path, lock_timeout=100)")
        async with aiomemdb.connect(db_path, lock_timeout=100) as beside:
            counts = await asyncio.gather(
                write(db, random.randrange(10**6), turns),
                write(beside, random.randrange(10**6), turns),
                second.does(f"await write_now_and_then(db, {random.randrange(10**6)}, {turns})"),
                third.does(f"await write_now_and_then(db, {random.randrange(10**6)}, {turns})"),
            )
    assert counts == [0, 0, 0, 0]
