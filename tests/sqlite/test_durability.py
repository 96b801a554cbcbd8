"""What is on the disk when a write has resolved; and what a failing disk leaves known."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import CommitOutcomeUnknown, WriterCrashed
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.session import Session
from tests.support.batches import in_one_batch
from tests.support.limits import log_can_grow_by
from tests.support.plain import assert_healthy, plain

ROOT = Path(__file__).parents[2]

# -- syncs, counted by strace ----------------------------------------------------------------------------------------
#
# mark() makes a system call that can be found in the trace; between two marks are a scenario's syncs.

PROGRAM = """
    import asyncio, os, sys
    import aiomemdb

    def mark(name):
        try:
            os.rmdir(f"/nonexistent/mark:{name}")
        except OSError:
            pass

    async def scenario(name, job):
        mark(name)
        await job()
        mark("between")

    async def raising(job, *others):
        await asyncio.gather(job, *others, return_exceptions=True)

    async def step(db, **options):
        async with db.transaction(**options) as tx:
            await tx.write(insert)

    async def durable_step(db):
        async with db.transaction() as tx:
            await tx.write(insert)
            await tx.write(insert, durable=True)
            await tx.write(insert, durable=True)

    insert = "INSERT INTO t VALUES (1)"

    async def main(folder):
        async with aiomemdb.connect(f"{folder}/normal.db") as db:
            await db.write_script("CREATE TABLE t (x); CREATE TABLE u (x UNIQUE); INSERT INTO u VALUES (1)")
            await scenario("normal", lambda: db.write(insert))
            await scenario("normal many", lambda: asyncio.gather(*[db.write(insert) for _ in range(300)]))
            await scenario("durable", lambda: db.write(insert, durable=True))
            await scenario("after durable", lambda: db.write(insert))
            await scenario("durable among others", lambda: asyncio.gather(
                *[db.write(insert, durable=n == 5) for n in range(10)]))
            await scenario("durable no rows", lambda: db.write("UPDATE t SET x = 2 WHERE x = 9", durable=True))
            await scenario("durable no rows again", lambda: db.write("UPDATE t SET x = 2 WHERE x = 9", durable=True))
            await scenario("durable count", lambda: db.write_count("DELETE FROM t WHERE x = 9", durable=True))
            await scenario("durable ignored", lambda: db.write("INSERT OR IGNORE INTO u VALUES (1)", durable=True))
            await scenario("durable select", lambda: db.write_returning("SELECT * FROM t", durable=True))
            await scenario("durable many of nothing", lambda: db.write_many(insert, [], durable=True))
            await scenario("durable function", lambda: db.write_fn(lambda conn: None, durable=True))
            await scenario("durable temp", lambda: db.write_script("CREATE TEMP TABLE w (x)", durable=True))
            await scenario("durable temp row", lambda: db.write("INSERT INTO w VALUES (1)", durable=True))
            await scenario("durable beside a failure", lambda: raising(
                db.write_many("INSERT INTO u VALUES (?)", [(2,), (1,)]),
                db.write_count("DELETE FROM t WHERE x = 9", durable=True)))
            await scenario("flush", lambda: db.flush())
            await scenario("flush again", lambda: db.flush())
            await scenario("transaction", lambda: step(db))
            await scenario("durable transaction", lambda: step(db, durable=True))
            await scenario("durable steps", lambda: durable_step(db))
            await scenario("normal at last", lambda: db.write(insert))
        async with aiomemdb.connect(f"{folder}/full.db", durability="full") as db:
            await db.write("CREATE TABLE t (x)")
            await scenario("full", lambda: db.write(insert))
            await scenario("full batch", lambda: asyncio.gather(*[db.write(insert) for _ in range(50)]))
            await scenario("full no rows", lambda: db.write("UPDATE t SET x = 2 WHERE x = 9"))
            await scenario("full durable", lambda: db.write(insert, durable=True))
            await scenario("full flush", lambda: db.flush())
            await scenario("full transaction", lambda: step(db))
            await scenario("full read", lambda: db.read("SELECT 1"))

    asyncio.run(main(sys.argv[1]))
"""

SYNCS = {
    "normal": 0,
    "normal many": 0,
    "durable": 1,
    "after durable": 0,
    "durable among others": 1,
    "durable no rows": 1,
    "durable no rows again": 1,
    "durable count": 1,
    "durable ignored": 1,
    "durable select": 1,
    "durable many of nothing": 1,
    "durable function": 1,
    "durable temp": 1,
    "durable temp row": 1,
    "durable beside a failure": 1,
    "flush": 1,
    "flush again": 1,
    "transaction": 0,
    "durable transaction": 1,
    "durable steps": 1,
    "normal at last": 0,
    "full": 1,
    "full batch": 1,
    "full no rows": 1,
    "full durable": 1,
    "full flush": 1,
    "full transaction": 1,
    "full read": 0,
}


def strace_works() -> bool:
    strace = shutil.which("strace")
    return (
        strace is not None and subprocess.run([strace, "-o", os.devnull, "true"], capture_output=True).returncode == 0
    )


@pytest.fixture(scope="module")
def syncs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    if not strace_works():
        pytest.skip("strace is not installed, or not permitted here")
    folder = tmp_path_factory.mktemp("traced")
    trace = folder / "trace"
    command = ["strace", "-f", "-qq", "-e", "trace=fdatasync,fsync,rmdir", "-o", str(trace)]
    subprocess.run(
        [*command, sys.executable, "-c", textwrap.dedent(PROGRAM), str(folder)],
        check=True,
        timeout=50,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    counts = {"": 0}
    at = ""
    for line in trace.read_text().splitlines():
        if mark := re.search(r'"/nonexistent/mark:([^"]+)"', line):
            at = mark[1]
            counts.setdefault(at, 0)
        elif re.search(r"\bf(data)?sync\(", line):
            counts[at] += 1
    return counts


@pytest.mark.parametrize("scenario", SYNCS)
def test_the_disk_is_synced_exactly_as_often_as_promised(syncs: dict[str, int], scenario: str) -> None:
    assert syncs[scenario] == SYNCS[scenario]


# -- a COMMIT that fails ---------------------------------------------------------------------------------------------


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x); CREATE TABLE blobs (x)")
        # Longer than anything that the test run itself may write meanwhile.
        await db.write("INSERT INTO blobs VALUES (zeroblob(2000000))")
        yield db
    assert_healthy(db_path)


LARGE, SMALL = "INSERT INTO blobs VALUES (zeroblob(100000))", "INSERT INTO t VALUES (1)"


async def test_a_commit_that_fails_and_is_settled_fails_its_batch_and_the_writer_goes_on(
    db: SQLiteDatabase, db_path: Path
) -> None:
    runs: list[int] = []
    with log_can_grow_by(2, db_path):  # the fence fits
        outcomes = await in_one_batch(
            db, db.write(SMALL), db.write(LARGE), db.write_fn(lambda conn: runs.append(1)), db.write(SMALL)
        )
        assert [outcome.sqlite_errorname for outcome in outcomes] == ["SQLITE_IOERR_WRITE"] * 4
        assert all(type(outcome) is sqlite3.OperationalError for outcome in outcomes)
        assert len(set(map(id, outcomes))) == 4
        assert outcomes[0].__notes__ == [f"SQL: {SMALL}"]
        assert runs == [1]
        assert await db.read_value("SELECT count(*) FROM t") == 0
    assert await db.write(SMALL) == 1
    await db.write(LARGE)
    assert plain(db_path, "SELECT count(*) FROM t") == [(1,)]


async def test_a_commit_that_can_not_be_settled_is_unknown_and_stops_the_writer(
    db: SQLiteDatabase, db_path: Path
) -> None:
    with log_can_grow_by(0, db_path):
        outcomes = await in_one_batch(db, db.write(SMALL), db.write(LARGE), db.write(SMALL))
    assert [type(outcome) for outcome in outcomes] == [CommitOutcomeUnknown] * 3
    assert [outcome.applied for outcome in outcomes] == [None] * 3
    assert isinstance(outcomes[0].__cause__, sqlite3.OperationalError)
    assert len(set(map(id, outcomes))) == 3
    for verb in (db.write(SMALL), db.write_fn(lambda conn: None), db.flush(), db.checkpoint()):
        with pytest.raises(WriterCrashed) as caught:
            await verb
        assert caught.value.applied is False
    with pytest.raises(WriterCrashed):
        db.submit(SMALL)
    with pytest.raises(WriterCrashed):
        async with db.transaction():
            pass
    assert await db.read_value("SELECT count(*) FROM blobs") == 1  # reads go on


async def test_what_waits_behind_an_unknown_outcome_is_not_applied(db: SQLiteDatabase, db_path: Path) -> None:
    # A function that runs alone ends the batch: what is queued behind it is in no batch yet.
    with log_can_grow_by(0, db_path):
        outcomes = await in_one_batch(db, db.write(LARGE), db.write_fn(lambda conn: None, once=True), db.write(SMALL))
    assert [outcome.applied for outcome in outcomes] == [None, False, False]
    assert [type(outcome) for outcome in outcomes[1:]] == [WriterCrashed] * 2


async def test_a_transactions_commit_that_fails_is_settled_the_same_way(db: SQLiteDatabase, db_path: Path) -> None:
    with log_can_grow_by(2, db_path):
        with pytest.raises(sqlite3.OperationalError) as caught:
            async with db.transaction() as tx:
                await tx.write(LARGE)
        assert caught.value.sqlite_errorname == "SQLITE_IOERR_WRITE"
        assert await db.read_value("SELECT count(*) FROM blobs") == 1
    await db.write(LARGE)


async def test_a_transactions_commit_that_can_not_be_settled_is_unknown(db: SQLiteDatabase, db_path: Path) -> None:
    with log_can_grow_by(0, db_path), pytest.raises(CommitOutcomeUnknown):
        async with db.transaction() as tx:
            await tx.write(LARGE)
    with pytest.raises(WriterCrashed):
        await db.write(SMALL)


async def test_an_unsettled_failure_never_comes_back_as_a_success(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write("INSERT INTO t VALUES (zeroblob(2000000))")
        with log_can_grow_by(0, db_path), pytest.raises(CommitOutcomeUnknown):
            await db.write("INSERT INTO t VALUES (zeroblob(100000))")
    async with aiomemdb.connect(db_path) as db:
        await db.write(SMALL)
        assert await db.read_value("SELECT count(*) FROM t") in (2, 3)
    assert_healthy(db_path)


async def test_a_commit_that_fails_with_its_transaction_still_open_is_settled_too(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, commits = Session.commit, 0

    def fail_second(session: Session) -> None:
        nonlocal commits
        commits += 1
        if commits == 2:  # the first one is that of the function which holds the writer
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode, error.sqlite_errorname = sqlite3.SQLITE_IOERR_FSYNC, "SQLITE_IOERR_FSYNC"
            raise error
        commit(session)

    monkeypatch.setattr(Session, "commit", fail_second)
    outcomes = await in_one_batch(db, db.write(SMALL, durable=True), db.write(SMALL))
    assert [outcome.sqlite_errorname for outcome in outcomes] == ["SQLITE_IOERR_FSYNC"] * 2
    assert await db.write(SMALL) == 1


# -- corruption ------------------------------------------------------------------------------------------------------


def damage(path: Path, table: str) -> None:
    """Overwrites the table's root page; no process has the file open."""
    [(page,)] = plain(path, "SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
    with open(path, "r+b") as file:
        file.seek((page - 1) * 4096)
        file.write(b"\xff" * 4096)


@pytest.mark.parametrize(
    "job",
    [
        lambda db: db.write("INSERT INTO broken VALUES (1)"),
        lambda db: db.write_count("DELETE FROM broken"),
        lambda db: db.write_many("INSERT INTO broken VALUES (?)", [(1,)]),
        lambda db: db.write_script("SELECT 1; INSERT INTO broken VALUES (1)"),
        lambda db: db.write_fn(lambda conn: conn.execute("INSERT INTO broken VALUES (1)") and None),
        lambda db: db.write_fn(lambda conn: conn.execute("INSERT INTO broken VALUES (1)") and None, once=True),
    ],
    ids=["write", "write_count", "write_many", "write_script", "write_fn", "write_fn once"],
)
@pytest.mark.parametrize("neighbours", [0, 2])
async def test_corruption_stops_the_writer_and_reads_go_on(db_path: Path, job: Any, neighbours: int) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x); CREATE TABLE broken (x); INSERT INTO t VALUES (0)")
    damage(db_path, "broken")
    async with aiomemdb.connect(db_path) as db:
        outcomes = await in_one_batch(db, *[db.write(SMALL) for _ in range(neighbours)], job(db))
        assert type(outcomes[-1]) is sqlite3.DatabaseError
        assert outcomes[-1].sqlite_errorname.startswith("SQLITE_CORRUPT")
        applied = sum(isinstance(outcome, int) for outcome in outcomes)
        with pytest.raises(WriterCrashed, match="restore the file from a backup") as caught:
            await db.write(SMALL)
        assert isinstance(caught.value.__cause__, sqlite3.DatabaseError)
        assert await db.read_value("SELECT count(*) FROM t") == 1 + applied
    assert plain(db_path, "SELECT count(*) FROM t") == [(1 + applied,)]


async def test_a_read_that_meets_corruption_fails_alone(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x); CREATE TABLE broken (x)")
    damage(db_path, "broken")
    async with aiomemdb.connect(db_path) as db:
        with pytest.raises(sqlite3.DatabaseError) as caught:
            await db.read("SELECT * FROM broken")
        assert caught.value.sqlite_errorname.startswith("SQLITE_CORRUPT")
        assert await db.write(SMALL) == 1
        assert await db.read_value("SELECT count(*) FROM t") == 1


async def test_a_transaction_that_meets_corruption_rolls_back_and_stops_the_writer(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (x); CREATE TABLE broken (x)")
    damage(db_path, "broken")
    async with aiomemdb.connect(db_path) as db:
        with suppress(sqlite3.DatabaseError):
            async with db.transaction() as tx:
                await tx.write(SMALL)
                with pytest.raises(sqlite3.DatabaseError) as caught:
                    await tx.write("INSERT INTO broken VALUES (1)")
                assert caught.value.sqlite_errorname.startswith("SQLITE_CORRUPT")
        with pytest.raises(WriterCrashed):
            await db.write(SMALL)
        assert await db.read_value("SELECT count(*) FROM t") == 0
