"""What observers are told, in what order, and which tables a transaction may have written."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

import pytest

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.observing import Begun, Checkpointed, Committed, Enqueued, Event, LockWaited, ReadDone
from tests.support.others import file_waits
from tests.support.whole import eventually

E = TypeVar("E", bound=Event)

SCHEMA = """
    CREATE TABLE note (id INTEGER PRIMARY KEY, name TEXT UNIQUE, text TEXT);
    CREATE TABLE tag (id INTEGER PRIMARY KEY, note INTEGER REFERENCES note ON DELETE CASCADE ON UPDATE SET NULL);
    CREATE TABLE mark (id INTEGER PRIMARY KEY, tag INTEGER REFERENCES tag ON DELETE SET NULL);
    CREATE TABLE gone (tag INTEGER);
    CREATE INDEX by_tag ON tag (note);
    CREATE TRIGGER tag_gone AFTER DELETE ON tag BEGIN INSERT INTO gone VALUES (old.id); END;
    CREATE TABLE pair (a INTEGER, b BLOB, PRIMARY KEY (a)) WITHOUT ROWID;
    CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, data BLOB);
    CREATE VIRTUAL TABLE words USING fts5 (text);
    CREATE TABLE page (id INTEGER PRIMARY KEY, text TEXT);
    CREATE VIRTUAL TABLE page_words USING fts5 (text, content='page', content_rowid='id');
    CREATE TRIGGER page_in AFTER INSERT ON page
        BEGIN INSERT INTO page_words (rowid, text) VALUES (new.id, new.text); END;
    CREATE VIEW seen AS SELECT * FROM page;
    CREATE TRIGGER seen_in INSTEAD OF INSERT ON seen BEGIN INSERT INTO page (text) VALUES (new.text); END;
    INSERT INTO note VALUES (1, 'one', ''), (2, 'two', '');
    INSERT INTO counted (data) VALUES (x'00');
    ANALYZE;
"""


class Observed:
    """All that an observer was told."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def tables(self) -> list[set[str] | None]:
        """Of each commit; without those in which FTS5 keeps its rows."""
        return [
            None
            if event.tables is None
            else {name for name in event.tables if not name.startswith(("words_", "page_words_", "late_"))}
            for event in self.of(Committed)
        ]


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        yield db


@pytest.fixture
async def told(db: SQLiteDatabase) -> Observed:
    observed = Observed()
    db._observe(observed.events.append)
    return observed


# What is told


async def test_a_write_is_enqueued_begun_and_committed_before_its_caller_hears_of_it(
    db: SQLiteDatabase, told: Observed
) -> None:
    await db.write("INSERT INTO note (name) VALUES ('a')")
    enqueued, begun, committed = told.events
    assert isinstance(enqueued, Enqueued) and isinstance(begun, Begun) and isinstance(committed, Committed)
    assert (enqueued.verb, enqueued.subject) == ("write", "INSERT INTO note (name) VALUES ('a')")
    assert begun.jobs == committed.jobs == (enqueued.job,) and begun.waited >= 0
    assert committed.began <= committed.ended


async def test_jobs_that_share_a_batch_share_its_commit_and_those_that_fail_in_it_are_named(
    db: SQLiteDatabase, told: Observed
) -> None:
    names = ("a", "b", "one", "c")  # the first of them may not wait for the others
    results = await asyncio.gather(
        *(db.write("INSERT INTO note (name) VALUES (?)", (name,)) for name in names), return_exceptions=True
    )
    assert isinstance(results[2], sqlite3.IntegrityError)
    begun, committed = told.of(Begun)[-1], told.of(Committed)[-1]
    assert begun.jobs == committed.jobs == tuple(event.job for event in told.of(Enqueued))[-len(begun.jobs) :]
    assert [job.exception() is None for job in committed.jobs][-3:] == [True, False, True]


async def test_each_transaction_of_a_batch_that_was_cut_is_told(db: SQLiteDatabase, told: Observed) -> None:
    texts = [
        "DELETE FROM mark",
        "INSERT INTO note (name) VALUES ('a')",
        "INSERT OR ROLLBACK INTO note VALUES (1, '', '')",
        "DELETE FROM gone",
    ]
    await asyncio.gather(*map(db.write, texts), return_exceptions=True)
    assert told.tables[-2:] in ([{"note"}, {"gone"}], [{"mark", "note"}, {"gone"}])
    jobs = [event.job for event in told.of(Enqueued)]
    assert [job for event in told.of(Committed) for job in event.jobs] == [*jobs[:2], jobs[3]]


async def test_a_job_alone_that_fails_commits_nothing(db: SQLiteDatabase, told: Observed) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await db.write("INSERT INTO note VALUES (1, '', '')")
    assert told.of(Committed) == []


async def test_a_lone_writer_is_told_of_each_of_its_inserts(db: SQLiteDatabase, told: Observed) -> None:
    for _ in range(5):
        await db.write("INSERT INTO counted (data) VALUES (NULL)")
        await db.write("INSERT INTO mark (tag) VALUES (?)", (None,))
        await db.write("INSERT INTO mark (tag) VALUES (?)", (None,))
        await db.write("INSERT INTO mark (tag) VALUES (?)", (None,))
    assert told.tables == [{"counted"}, {"mark"}, {"mark"}, {"mark"}] * 5
    assert all(len(event.jobs) == 1 for event in told.of(Committed))


async def test_a_transaction_reports_its_steps_and_one_commit(db: SQLiteDatabase, told: Observed) -> None:
    async with db.transaction() as tx:
        await tx.write("INSERT INTO note (name) VALUES ('a')")
        await tx.read("SELECT * FROM note")
        async with tx.transaction() as inner:
            await inner.write_count("DELETE FROM gone")
        assert told.of(Committed) == []
    assert [event.verb for event in told.of(Enqueued)] == ["write", "write_count"]
    assert [event.verb for event in told.of(ReadDone)] == ["read"]
    [committed] = told.of(Committed)
    assert committed.jobs == tuple(event.job for event in told.of(Enqueued)) and told.of(Begun) == []
    assert told.tables == [{"note", "gone"}]


async def test_a_transaction_that_is_rolled_back_commits_nothing(db: SQLiteDatabase, told: Observed) -> None:
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            await tx.write("DELETE FROM gone")
            1 / 0  # noqa: B018
    assert told.of(Committed) == []


async def test_a_transaction_by_hand_is_told_as_a_block_is(db: SQLiteDatabase, told: Observed) -> None:
    tx = await db.begin()
    await tx.write("DELETE FROM gone")
    await tx.rollback()
    assert told.of(Committed) == []
    tx = await db.begin()
    await tx.write("INSERT INTO note (name) VALUES ('a')")
    await tx.commit()
    [committed] = told.of(Committed)
    assert committed.jobs == (told.of(Enqueued)[-1].job,) and told.tables == [{"note"}]


async def test_each_verb_is_told_by_its_name(db: SQLiteDatabase, told: Observed) -> None:
    def function(conn: sqlite3.Connection) -> None: ...

    await db.write("DELETE FROM gone")
    await db.submit("DELETE FROM gone")
    await db.write_count("DELETE FROM gone")
    await db.write_returning("DELETE FROM gone RETURNING tag")
    await db.write_any("DELETE FROM gone")
    await db.write_many("DELETE FROM gone WHERE tag = ?", [(1,), (2,)])
    await db.write_script("DELETE FROM gone")
    await db.write_fn(function)
    await db.write_fn(function, once=True)
    await db.flush()
    await db.checkpoint()
    verbs = ["write", "write", "write_count", "write_returning", "write_any", "write_many", "write_script", "write_fn"]
    assert [event.verb for event in told.of(Enqueued)] == [*verbs, "write_fn(once=True)", "flush", "checkpoint"]
    assert len(told.of(Committed)) == 10 and [event.subject for event in told.of(Enqueued)][7:9] == [function] * 2
    told.events.clear()
    await db.read("SELECT 1")
    await db.read_one("SELECT 1")
    await db.read_value("SELECT 1")
    await db.read_fn(function)
    async for _ in db.read_stream("SELECT 1"):
        pass
    async with db.snapshot() as snap:
        await snap.read_one("SELECT 1")
    verbs = ["read", "read_one", "read_value", "read_fn", "read_stream", "read_one"]
    assert [event.verb for event in told.of(ReadDone)] == verbs == [event.verb for event in told.events]  # type: ignore[union-attr]


async def test_a_read_that_fails_or_is_cancelled_says_so(db: SQLiteDatabase, told: Observed) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        await db.read("SELECT nothing")
    reading = asyncio.ensure_future(db.read("SELECT 1"))
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading
    await db.read("SELECT 1")
    failed, cancelled, done = told.of(ReadDone)
    assert failed.error is caught.value and isinstance(cancelled.error, asyncio.CancelledError) and done.error is None


async def test_an_observer_is_called_in_the_context_of_the_caller(db: SQLiteDatabase) -> None:
    who = contextvars.ContextVar("who", default="?")
    seen: list[tuple[str, str]] = []
    stop = db._observe(lambda event: seen.append((type(event).__name__, who.get())))

    async def call(name: str, run: Callable[[], object]) -> None:
        who.set(name)
        await run()  # type: ignore[misc]

    await asyncio.gather(
        call("a", lambda: db.write("DELETE FROM gone")),
        call("b", lambda: db.write("DELETE FROM gone")),
        call("c", lambda: db.read("SELECT 1")),
    )
    await asyncio.sleep(0)
    stop()
    assert [name for event, name in seen if event == "Enqueued"] == ["a", "b"]
    assert [name for event, name in seen if event == "ReadDone"] == ["c"]


async def test_a_checkpoint_and_its_failure_are_told(db: SQLiteDatabase, told: Observed) -> None:
    await db.write("DELETE FROM gone")
    assert await db.checkpoint()
    [done] = told.of(Checkpointed)
    assert done.is_whole and done.error is None and done.log_bytes == 0 and done.took > 0


async def test_a_wait_for_another_process_is_told(db: SQLiteDatabase, db_path: Path, told: Observed) -> None:
    await db.write("DELETE FROM gone")
    assert told.of(LockWaited) == []
    async with aiomemdb.connect(db_path) as other:
        async with other.transaction() as tx:
            await tx.write("DELETE FROM gone")
            with file_waits() as waited:
                waiting = asyncio.ensure_future(db.write("DELETE FROM gone"))
                await eventually(lambda: len(waited) >= 5)
        await waiting
    [event] = told.of(LockWaited)
    assert event.waited >= max(waited) > 0


async def test_a_wait_for_a_program_that_takes_no_turns_is_told(
    db: SQLiteDatabase, db_path: Path, told: Observed
) -> None:
    foreign = sqlite3.connect(db_path, isolation_level=None)
    foreign.execute("BEGIN IMMEDIATE")
    with file_waits() as waited:
        waiting = asyncio.ensure_future(db.write("DELETE FROM gone"))
        await eventually(lambda: len(waited) >= 5)
    foreign.execute("COMMIT")
    foreign.close()
    await waiting
    [event] = told.of(LockWaited)
    assert event.waited >= max(waited) > 0


async def test_an_observer_that_fails_harms_no_job(db: SQLiteDatabase, caplog: pytest.LogCaptureFixture) -> None:
    def fail(event: Event) -> None:
        raise RuntimeError("no")

    db._observe(fail)
    with caplog.at_level(logging.ERROR, "aiomemdb"):
        rowids = await asyncio.gather(*(db.write("INSERT INTO mark (tag) VALUES (NULL)") for _ in range(5)))
        async with db.transaction() as tx:
            await tx.write("DELETE FROM gone")
        await db.checkpoint()
        assert rowids == [1, 2, 3, 4, 5] == [row[0] for row in await db.read("SELECT id FROM mark")]
    assert [record.message for record in caplog.records if "observer" in record.message] == [
        "an observer failed, further errors of it are not logged: 'Enqueued'"
    ]


async def test_an_observer_that_left_hears_nothing_and_a_job_pays_nothing(db: SQLiteDatabase) -> None:
    told: list[Event] = []
    writer = db._writer
    before = writer.enqueue  # type: ignore[union-attr]
    stop = db._observe(told.append)
    assert writer.enqueue != before  # type: ignore[union-attr]
    stop()
    assert writer.enqueue == before and not writer.session.recorder.is_observed  # type: ignore[union-attr]
    await db.write("DELETE FROM gone")
    await db.read("SELECT 1")
    assert told == [] and writer.session.connection.guard.written is None  # type: ignore[union-attr]


async def test_a_file_that_is_only_read_is_observed_too(db: SQLiteDatabase, db_path: Path) -> None:
    async with aiomemdb.connect(db_path, read_only=True) as reading:
        told: list[Event] = []
        reading._observe(told.append)
        await reading.read("SELECT 1")
        await asyncio.sleep(0)
        assert [type(event) for event in told] == [ReadDone]


# Which tables


TABLES: dict[str, tuple[str, set[str]]] = {
    "an insert": ("INSERT INTO note (name) VALUES ('x')", {"note"}),
    "another case": ("INSERT INTO \"NOTE\" (name) VALUES ('x')", {"note"}),
    "a schema's name": ("INSERT INTO main.note (name) VALUES ('x')", {"note"}),
    "without rowid": ("INSERT INTO pair VALUES (1, 2)", {"pair"}),
    "replace without rowid": ("REPLACE INTO pair VALUES (1, 2)", {"pair"}),
    "autoincrement": ("INSERT INTO counted (data) VALUES (1)", {"counted"}),
    "an upsert": ("INSERT INTO note VALUES (1, 'x', '') ON CONFLICT DO UPDATE SET text = 'y'", {"note"}),
    "do nothing": ("INSERT INTO note VALUES (1, 'x', '') ON CONFLICT DO NOTHING", {"note"}),
    "a cascade, its trigger, and a cascade of it": ("DELETE FROM note WHERE id = 1", {"note", "tag", "gone", "mark"}),
    "a row that makes way": ("REPLACE INTO note VALUES (1, 'x', '')", {"note", "tag", "gone", "mark"}),
    "an update that cascades": ("UPDATE note SET id = 7 WHERE id = 1", {"note", "tag"}),
    "an update that does not": ("UPDATE note SET text = 'x'", {"note"}),
    "all rows": ("DELETE FROM gone", {"gone"}),
    "full text": ("INSERT INTO words VALUES ('x')", {"words"}),
    "a command of full text": ("INSERT INTO words (words) VALUES ('optimize')", {"words"}),
    "a trigger into full text": ("INSERT INTO page (text) VALUES ('x')", {"page", "page_words"}),
    "a view": ("INSERT INTO seen (text) VALUES ('x')", {"seen", "page", "page_words"}),
    "with": ("WITH n (i) AS (SELECT 1) INSERT INTO gone SELECT i FROM n", {"gone"}),
    "insert select": ("INSERT INTO gone SELECT id FROM tag", {"gone"}),
    "json": ("INSERT INTO gone SELECT value FROM json_each('[1]')", {"gone"}),
    "a query": ("SELECT * FROM note, json_each('[1]')", set()),
    "a pragma": ("PRAGMA user_version = 7", set()),
    "a temporary table": ("CREATE TEMP TABLE fleeting (x)", set()),
    "a table": ("CREATE TABLE late (x)", {"sqlite_schema", "late"}),
    "a table of a query": ("CREATE TABLE late AS SELECT 1 AS x", {"sqlite_schema", "late"}),
    "a virtual table": ("CREATE VIRTUAL TABLE late USING fts5 (x)", {"sqlite_schema", "late"}),
    "a view is made": ("CREATE VIEW late AS SELECT 1", {"sqlite_schema", "late"}),
    "an index": ("CREATE INDEX late ON gone (tag)", {"sqlite_schema", "gone"}),
    "all indexes of a table": ("REINDEX note", {"note"}),
    "an index, built anew": ("REINDEX by_tag", {"tag"}),
    "all indexes": ("REINDEX", {"note", "tag"}),
    "statistics of a table": ("ANALYZE note", {"sqlite_stat1"}),
    "statistics of all": ("ANALYZE", {"sqlite_stat1"}),
    "a trigger": ("CREATE TRIGGER late AFTER INSERT ON gone BEGIN SELECT 1; END", {"sqlite_schema"}),
    "a drop": ("DROP TABLE gone", {"sqlite_schema", "sqlite_stat1", "gone"}),
    "a view is dropped": ("DROP VIEW seen", {"sqlite_schema", "seen"}),
    "a new column": ("ALTER TABLE gone ADD COLUMN x", {"sqlite_schema", "gone"}),
    "a new name": ("ALTER TABLE gone RENAME TO late", {"sqlite_schema", "sqlite_sequence", "gone"}),
}


@pytest.mark.parametrize("case", TABLES)
async def test_the_tables_of_a_statement(db: SQLiteDatabase, told: Observed, case: str) -> None:
    sql, tables = TABLES[case]
    await db.write_any(sql)
    assert told.tables == [tables]


@pytest.mark.parametrize("case", TABLES)
async def test_the_tables_of_a_function(db: SQLiteDatabase, told: Observed, case: str) -> None:
    sql, tables = TABLES[case]
    await db.write_fn(lambda conn: conn.execute(sql).fetchall())
    assert told.tables == [tables]


AGAIN = [case for case in TABLES if not {"sqlite_schema", "pair"} & TABLES[case][1] and "temporary" not in case]


@pytest.mark.parametrize("case", AGAIN)
async def test_what_is_compiled_already_is_told_again(db: SQLiteDatabase, told: Observed, case: str) -> None:
    """Python, and FTS5, keep compiled statements, and SQLite asks for no table where it compiles nothing."""
    sql, tables = TABLES[case]

    def function(conn: sqlite3.Connection) -> None:
        conn.execute("UPDATE note SET name = NULL WHERE name = 'x'")
        sqlite3.Connection.execute(conn, sql).fetchall()

    for _ in range(3):
        await db.write("UPDATE note SET name = NULL WHERE name = 'x'")
        told.events.clear()
        await db.write_any(sql)
        await db.write_fn(function)
        async with db.transaction() as tx:
            await tx.write("UPDATE note SET name = NULL WHERE name = 'x'")
            await tx.write_any(sql)
        assert told.tables == [tables, tables | {"note"}, tables | {"note"}]


async def test_what_was_compiled_before_it_was_observed_is_told(db: SQLiteDatabase) -> None:
    for _ in range(3):
        await db.write_count("DELETE FROM note WHERE id = ?", (9,))
    told = Observed()
    db._observe(told.events.append)
    await db.write_count("DELETE FROM note WHERE id = ?", (9,))
    assert told.tables == [{"note", "tag", "gone", "mark"}]


async def test_a_lone_insert_is_told_though_it_was_compiled_before_it_was_observed(db: SQLiteDatabase) -> None:
    for number in range(3):  # from the second on it may run in autocommit
        await db.write("INSERT INTO gone VALUES (?)", (number,))
    told = Observed()
    db._observe(told.events.append)
    await db.write("INSERT INTO gone VALUES (?)", (4,))
    assert told.tables == [{"gone"}]


async def test_a_transaction_that_was_open_may_have_written_any_table(db: SQLiteDatabase) -> None:
    told = Observed()
    async with db.transaction() as tx:
        await tx.write("DELETE FROM gone")
        db._observe(told.events.append)
    assert told.tables == [None]


async def test_runs_and_rows_of_write_many_are_told(db: SQLiteDatabase, told: Observed) -> None:
    await db.write_many("INSERT INTO gone VALUES (?)", [(n,) for n in range(200)])
    await db.write_many("INSERT INTO gone VALUES (?)", [(n,) for n in range(200)])
    await asyncio.gather(*(db.write("INSERT INTO mark (tag) VALUES (?)", (None,)) for _ in range(200)))
    assert {frozenset(tables or ["any"]) for tables in told.tables} == {frozenset({"gone"}), frozenset({"mark"})}


async def test_a_blob_that_is_opened_for_writing_is_told(db: SQLiteDatabase, told: Observed) -> None:
    def write(conn: sqlite3.Connection) -> None:
        with conn.blobopen("COUNTED", "data", 1) as blob:
            blob.write(b"1")

    def read(conn: sqlite3.Connection) -> bytes:
        with conn.blobopen("counted", "data", 1, readonly=True) as blob:
            return blob.read()

    await db.write_fn(write)
    assert await db.write_fn(read) == b"1"
    assert told.tables == [{"counted"}, set()]


async def test_a_script_and_a_foreign_schema_are_told(db: SQLiteDatabase, db_path: Path, told: Observed) -> None:
    await db.write("DELETE FROM gone")
    with sqlite3.connect(db_path) as foreign:
        foreign.execute("CREATE TRIGGER also AFTER DELETE ON gone BEGIN DELETE FROM mark; END")
    foreign.close()
    await db.write("DELETE FROM gone")
    await db.write_script("DELETE FROM tag; INSERT INTO pair VALUES (1, 1)")
    assert told.tables == [{"gone"}, {"gone", "mark"}, {"tag", "gone", "mark", "pair"}]


async def test_commits_are_told_in_their_order(db: SQLiteDatabase, told: Observed) -> None:
    """Each takes the next number; what is told goes up by it."""

    async def write(number: int) -> None:
        if number % 3 == 0:
            async with db.transaction() as tx:
                await tx.write("INSERT INTO counted (data) VALUES (NULL)")
        elif number % 3 == 1:
            await db.write("INSERT INTO counted (data) VALUES (NULL)")
        else:
            await db.write_fn(lambda conn: conn.execute("INSERT INTO counted (data) VALUES (NULL)").lastrowid)

    await asyncio.gather(*map(write, range(60)))
    ended = [event.ended for event in told.of(Committed)]
    assert ended == sorted(ended) and all({"counted"} == tables for tables in told.tables)
    assert sum(len(event.jobs) for event in told.of(Committed)) == 60
