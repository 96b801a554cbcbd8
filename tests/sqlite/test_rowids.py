"""What ``write`` returns: the rowid that this statement inserted, or None; never an earlier caller's."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import aiomemdb
from aiomemdb.concurrency.job import Failure, Operation, WriteJob
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.batch import Batch, run_batch
from aiomemdb.sqlite.writing.bytecode import Program, explained
from aiomemdb.sqlite.writing.operations import _BLOCK, COUNT, SCRIPT, WRITE, write_script
from aiomemdb.sqlite.writing.operations import run as run_job
from aiomemdb.sqlite.writing.session import Session
from tests.support.batches import in_one_batch, open_session

# `inserted` is set by inserts alone, to a number that no other job has. `truth` hears of each insert by a trigger, and
# so survives later deletions; tables without a trigger are never deleted from.
SCHEMA = """
CREATE TABLE plain (id INTEGER PRIMARY KEY, k, inserted, n DEFAULT 0);
CREATE TABLE other (inserted);
CREATE TABLE keyed (id INTEGER PRIMARY KEY, k UNIQUE, inserted, n DEFAULT 0);
CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, inserted);
CREATE TABLE strict (inserted INTEGER NOT NULL) STRICT;
CREATE TABLE without (k PRIMARY KEY, inserted) WITHOUT ROWID;
CREATE TABLE flip (k INTEGER PRIMARY KEY, inserted);
CREATE TABLE picky (inserted);
CREATE TABLE docs (id INTEGER PRIMARY KEY, inserted);
CREATE VIRTUAL TABLE found USING fts5 (inserted, content = docs, content_rowid = id);
CREATE VIRTUAL TABLE words USING fts5 (inserted);
CREATE VIEW seen AS SELECT inserted FROM plain;
CREATE TABLE numbers (n);
INSERT INTO numbers VALUES (0), (1), (2);
CREATE TABLE truth (inserted, id);
CREATE TRIGGER keyed_truth AFTER INSERT ON keyed BEGIN INSERT INTO truth VALUES (NEW.inserted, NEW.id); END;
CREATE TRIGGER auto_truth AFTER INSERT ON auto BEGIN INSERT INTO truth VALUES (NEW.inserted, NEW.id); END;
CREATE TRIGGER docs_index AFTER INSERT ON docs BEGIN
    INSERT INTO found (rowid, inserted) VALUES (NEW.id, NEW.inserted);
END;
CREATE TRIGGER docs_unindex AFTER DELETE ON docs BEGIN
    INSERT INTO found (found, rowid, inserted) VALUES ('delete', OLD.id, OLD.inserted);
END;
CREATE TRIGGER seen_insert INSTEAD OF INSERT ON seen BEGIN INSERT INTO other VALUES (0); END;
CREATE TRIGGER picky_ignores BEFORE INSERT ON picky WHEN NEW.inserted % 2 BEGIN SELECT RAISE(IGNORE); END;
CREATE TRIGGER picky_tells AFTER INSERT ON picky BEGIN INSERT INTO without VALUES (-NEW.inserted, 0); END;
"""

# What is to be learnt of a statement, by table: where its insert is looked up. None: it never inserts a rowid.
TRUTH, NOWHERE = "SELECT id FROM truth WHERE inserted = ?", None
STATEMENTS: dict[str, str | None] = {
    "INSERT INTO plain (inserted) VALUES (:new)": "SELECT id FROM plain WHERE inserted = ?",
    "insert into plain (k, inserted) values (:k, :new)": "SELECT id FROM plain WHERE inserted = ?",
    "INSERT INTO plain (id, inserted) VALUES (-:new, :new)": "SELECT id FROM plain WHERE inserted = ?",
    "INSERT INTO other VALUES (:new)": "SELECT rowid FROM other WHERE inserted = ?",
    "INSERT INTO strict VALUES (:new)": "SELECT rowid FROM strict WHERE inserted = ?",
    "INSERT INTO strict VALUES (nullif(:k, 1) + :new)": NOWHERE,  # looked at below
    "INSERT INTO keyed (k, inserted) VALUES (:k, :new)": TRUTH,
    "INSERT OR IGNORE INTO keyed (k, inserted) VALUES (:k, :new)": TRUTH,
    "INSERT OR REPLACE INTO keyed (k, inserted) VALUES (:k, :new)": TRUTH,
    "REPLACE INTO keyed (id, k, inserted) VALUES (:k, :k, :new)": TRUTH,
    "INSERT INTO keyed (k, inserted) VALUES (:k, :new) ON CONFLICT DO NOTHING": TRUTH,
    "INSERT INTO keyed (k, inserted) VALUES (:k, :new) ON CONFLICT (k) DO UPDATE SET n = n + 1": TRUTH,
    "INSERT INTO keyed (k, inserted) VALUES (:k, :new) ON CONFLICT (k) DO UPDATE SET n = n + 1 RETURNING id": TRUTH,
    "INSERT INTO keyed (k, inserted) VALUES (:k, :new) RETURNING id, k": TRUTH,
    "INSERT OR IGNORE INTO keyed (k, inserted) VALUES (:k, :new) RETURNING id": TRUTH,
    "INSERT INTO auto (inserted) VALUES (:new)": TRUTH,
    "DELETE FROM auto WHERE id > :k": NOWHERE,
    "WITH w (a) AS (SELECT :new) INSERT INTO plain (inserted) SELECT a FROM w":
        "SELECT id FROM plain WHERE inserted = ?",
    "WITH w (a) AS (SELECT :new) INSERT OR IGNORE INTO keyed (k, inserted) SELECT :k, a FROM w": TRUTH,
    "WITH w (a) AS (SELECT :k) UPDATE plain SET n = n + 1 WHERE k IN (SELECT a FROM w)": NOWHERE,
    "INSERT INTO plain (inserted) SELECT :new FROM numbers WHERE n < :k":
        "SELECT max(id) FROM plain WHERE inserted = ?",
    "INSERT INTO other SELECT :new FROM numbers WHERE n < :k": "SELECT max(rowid) FROM other WHERE inserted = ?",
    "INSERT INTO without VALUES (:new, :new)": NOWHERE,
    "INSERT OR REPLACE INTO without VALUES (:k, :new)": NOWHERE,
    "INSERT INTO seen VALUES (:new)": NOWHERE,
    "INSERT INTO picky VALUES (:new)": "SELECT rowid FROM picky WHERE inserted = ?",
    "INSERT INTO docs (inserted) VALUES (:new)": "SELECT id FROM docs WHERE inserted = ?",
    "INSERT INTO words VALUES (:new)": "SELECT rowid FROM words WHERE words MATCH ?",
    "INSERT INTO words (words) VALUES ('optimize')": NOWHERE,
    "UPDATE words SET inserted = inserted": NOWHERE,
    "UPDATE words SET inserted = replace(inserted, 'x', 'y')": NOWHERE,
    "DELETE FROM words WHERE inserted = 'insert'": NOWHERE,
    "INSERT INTO found (found) VALUES ('integrity-check')": NOWHERE,
    "INSERT INTO flip VALUES (:new, :new)": "SELECT rowid FROM flip WHERE inserted = ?",
    "UPDATE keyed SET n = n + 1 WHERE k = :k": NOWHERE,
    "UPDATE plain SET n = n + 1": NOWHERE,
    "UPDATE OR REPLACE keyed SET k = 1 WHERE k = :k": NOWHERE,
    "DELETE FROM keyed WHERE k = :k": NOWHERE,
    "DELETE FROM keyed": NOWHERE,
    "SELECT id FROM plain": NOWHERE,
    "SELECT :new": NOWHERE,
    "VALUES (1)": NOWHERE,
    "PRAGMA user_version = 3": NOWHERE,
    "CREATE TABLE IF NOT EXISTS made (a)": NOWHERE,
    "DROP TABLE IF EXISTS made": NOWHERE,
    "CREATE TABLE copied AS SELECT * FROM numbers": NOWHERE,
    "DROP TABLE IF EXISTS copied": NOWHERE,
    "ANALYZE": NOWHERE,
    "REINDEX": NOWHERE,
    "EXPLAIN INSERT INTO other VALUES (1)": NOWHERE,
}  # fmt: skip
del STATEMENTS["INSERT INTO strict VALUES (nullif(:k, 1) + :new)"]

# The same text as before means something else after each of these.
FLIPS = {
    "rowid": ["DROP TABLE flip", "CREATE TABLE flip (k INTEGER PRIMARY KEY, inserted)"],
    "without": ["DROP TABLE flip", "CREATE TABLE flip (k INTEGER PRIMARY KEY, inserted) WITHOUT ROWID"],
    "trigger": ["CREATE TRIGGER IF NOT EXISTS flips AFTER INSERT ON flip BEGIN INSERT INTO other VALUES (0); END"],
}

Step = tuple[str, int, int]  # a text, its k, how often it runs in a row
steps = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(list(STATEMENTS)), st.integers(0, 3), st.sampled_from([1, 1, 1, 2, 40])),
        st.tuples(st.sampled_from(list(FLIPS)), st.just(0), st.just(1)),
    ),
    min_size=1,
    max_size=30,
)


class Model:
    """Runs steps as jobs of one batch on a session, and compares each result with what is in the tables."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.new = 0
        self.without_rowid = False
        session.begin(durable=False)
        write_script(session, SCHEMA, ())
        session.commit()

    def run(self, steps: list[Step]) -> None:
        jobs: list[WriteJob] = []
        lookups: list[tuple[str, str | None, int]] = []
        for text, k, count in steps:
            for sql in FLIPS.get(text, [text]) * count:
                self.new += 1
                lookup = STATEMENTS.get(sql)
                jobs.append((None, WRITE, sql, {"k": k, "new": self.new}))  # type: ignore[arg-type]
                lookups.append((sql, None if text in FLIPS else lookup, self.new))
        batch = Batch(jobs)
        run_batch(self.session, batch, budget=60)
        assert batch.fatal is None
        assert len(batch.outcomes) == len(jobs)
        for (sql, lookup, new), outcome in zip(lookups, batch.outcomes, strict=True):
            if not isinstance(outcome, Failure) and "flip" not in sql:
                assert outcome == self.inserted(lookup, new), sql

    def inserted(self, lookup: str | None, new: int) -> int | None:
        row = self.session.connection.execute(lookup, (new,)).fetchone() if lookup else None
        return None if row is None else row[0]


@settings(max_examples=60)
@given(batches=st.lists(steps, min_size=1, max_size=4))
@example([[("INSERT INTO docs (inserted) VALUES (:new)", 0, 200), ("DELETE FROM keyed", 0, 1)]])
@example([[("INSERT INTO words VALUES (:new)", 0, 1), ("INSERT INTO words (words) VALUES ('optimize')", 0, 1)]])
def test_each_write_returns_the_rowid_that_it_inserted_or_none(batches: list[list[Step]]) -> None:
    with TemporaryDirectory() as folder, open_session(Path(folder) / "rowids.db") as session:
        model = Model(session)
        for steps in batches:
            model.run(steps)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@settings(max_examples=20_000)
@given(batches=st.lists(steps, min_size=1, max_size=6))
def test_each_write_returns_the_rowid_that_it_inserted_or_none_for_long(batches: list[list[Step]]) -> None:
    with TemporaryDirectory() as folder, open_session(Path(folder) / "rowids.db") as session:
        model = Model(session)
        for steps in batches:
            model.run(steps)


@pytest.mark.parametrize("sql", STATEMENTS)
@pytest.mark.parametrize("before", ["INSERT INTO plain (inserted) VALUES (:new)", "INSERT INTO other VALUES (:new)"])
def test_no_write_returns_an_earlier_callers_rowid(tmp_path: Path, sql: str, before: str) -> None:
    with open_session(tmp_path / "rowids.db") as session:
        model = Model(session)
        model.run([(before, 0, 50)])  # the connection's lastrowid is 50 now, and no other's
        for _ in range(3):  # unknown, learnt, known
            model.run([(before, 0, 1), (sql, 1, 1), (before, 0, 1), (sql, 1, 2), (before, 0, 40), (sql, 2, 40)])


# -- through the database --------------------------------------------------------------------------------------------


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        yield db


async def test_two_tables_in_turn_give_the_same_rowid_and_it_is_each_ones_own(db: SQLiteDatabase) -> None:
    first, second = "INSERT INTO plain (k) VALUES (?)", "INSERT INTO other VALUES (?)"
    outcomes = await in_one_batch(db, *[db.write(sql, (n,)) for n in range(40) for sql in (first, second)])
    assert outcomes == [rowid for n in range(1, 41) for rowid in (n, n)]


async def test_a_text_means_what_its_table_has_become(db: SQLiteDatabase) -> None:
    insert = "INSERT INTO flip VALUES (7, 1)"
    assert await db.write(insert) == 7
    await db.write("DELETE FROM flip")
    assert await db.write(insert) == 7
    for _ in range(2):
        await db.write_script("DROP TABLE flip; CREATE TABLE flip (k PRIMARY KEY, inserted) WITHOUT ROWID")
        assert await db.write("INSERT INTO other VALUES (1)") is not None
        assert await db.write(insert) is None
        await db.write("DELETE FROM flip")
        assert await db.write(insert) is None
        await db.write_script("DROP TABLE flip; CREATE TABLE flip (k INTEGER PRIMARY KEY, inserted)")
        assert await db.write(insert) == 7
        await db.write("DELETE FROM flip")
        assert await db.write(insert) == 7


async def test_a_table_that_becomes_a_view_returns_none(db: SQLiteDatabase) -> None:
    insert = "INSERT INTO flip VALUES (7, 1)"
    assert await db.write(insert) == 7
    await db.write("DELETE FROM flip")
    assert await db.write(insert) == 7
    await db.write_script(
        "DROP TABLE flip; CREATE VIEW flip AS SELECT 1 AS k, 2 AS inserted;"
        "CREATE TRIGGER flips INSTEAD OF INSERT ON flip BEGIN INSERT INTO other VALUES (1); END;"
    )
    assert [await db.write(insert) for _ in range(3)] == [None] * 3


async def test_a_temp_table_is_distinguished_from_the_table_that_it_shadows(db: SQLiteDatabase) -> None:
    insert = "INSERT INTO flip VALUES (7, 1)"
    assert await db.write(insert) == 7
    await db.write("CREATE TEMP TABLE flip (k PRIMARY KEY, inserted) WITHOUT ROWID")
    assert await db.write(insert) is None
    await db.write("DROP TABLE temp.flip")
    await db.write("DELETE FROM main.flip")
    assert await db.write(insert) == 7


async def test_thousands_of_texts_are_told_apart(db: SQLiteDatabase) -> None:
    for turn in (0, 1):
        inserts = [db.write(f"INSERT INTO other VALUES ({n})") for n in range(2100)]
        ignored = [db.write(f"UPDATE plain SET n = {n}") for n in range(50)]
        assert await asyncio.gather(*inserts) == list(range(2100 * turn + 1, 2100 * (turn + 1) + 1))
        assert await asyncio.gather(*ignored) == [None] * 50


async def test_a_text_that_another_verb_compiled_first(db: SQLiteDatabase) -> None:
    ignore = "INSERT OR IGNORE INTO keyed (k) VALUES (1)"
    assert await db.write_count(ignore) == 1
    assert await db.write("INSERT INTO other VALUES (1)") == 1
    assert [await db.write(ignore) for _ in range(3)] == [None] * 3
    await db.write("DELETE FROM keyed")
    assert await db.write(ignore) == 1


async def test_a_function_that_queries_while_an_insert_runs_changes_nothing(db_path: Path) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        texts = iter(range(1000))
        conn.create_function("ask", 0, lambda: conn.execute(f"SELECT {next(texts)}").fetchone()[0])

    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        await db.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        assert [await db.write("INSERT INTO t (x) VALUES (ask())") for _ in range(5)] == [1, 2, 3, 4, 5]
        outcomes = await in_one_batch(db, *[db.write("INSERT INTO t (x) VALUES (ask())") for _ in range(50)])
        assert outcomes == list(range(6, 56))


async def test_a_function_that_queries_says_nothing_of_a_text_that_another_verb_compiled(db_path: Path) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        texts = iter(range(1000))
        conn.create_function("ask", 0, lambda: conn.execute(f"SELECT {next(texts)}").fetchone()[0])

    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        await db.write("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        insert = "INSERT INTO t (x) VALUES (ask())"
        assert await db.write_count(insert) == 1
        assert [await db.write(insert) for _ in range(4)] == [2, 3, 4, 5]


async def test_rowids_above_the_largest_possible_are_told_as_they_are(db: SQLiteDatabase) -> None:
    # Where it is taken, SQLite tries rowids at random: a run of inserts does not follow one by one.
    insert = "INSERT INTO other VALUES (?)"
    await db.write("INSERT INTO other (rowid, inserted) VALUES (9223372036854775807, -1)")
    outcomes = await in_one_batch(db, *[db.write(insert, (n,)) for n in range(100)])
    rows = {inserted: rowid for rowid, inserted in await db.read("SELECT rowid, inserted FROM other")}
    assert outcomes == [rows[n] for n in range(100)]


@pytest.mark.parametrize("id", ["?", "? + 0", "coalesce(?, 1)", "nullif(?, 0)"])
async def test_rowids_that_callers_give_are_told_as_they_are(db: SQLiteDatabase, id: str) -> None:
    # A run in which the sum fits: as many as there are jobs, the last one is the largest; but the others stand in
    # another order. Blocks begin behind the first two, by which a text is known.
    given = [1, 2, *range(_BLOCK + 1, 2, -1), _BLOCK + 2]
    sql = f"INSERT INTO plain (id) VALUES ({id})"  # one text: runs are found by its identity
    outcomes = await in_one_batch(db, *[db.write(sql, (n,)) for n in given])
    assert outcomes == given


async def test_a_rowid_of_zero_is_a_rowid(db: SQLiteDatabase) -> None:
    assert await db.write("INSERT INTO plain (id) VALUES (0)") == 0
    await db.write("DELETE FROM plain")
    assert await db.write("INSERT INTO plain (id) VALUES (0)") == 0
    assert await db.write("INSERT INTO keyed (id) VALUES (0) ON CONFLICT DO UPDATE SET n = 1") == 0
    assert await db.write("INSERT INTO keyed (id) VALUES (0) ON CONFLICT DO UPDATE SET n = 1") is None


async def test_a_rowid_of_zero_is_a_rowid_though_a_trigger_fills_an_index(db: SQLiteDatabase) -> None:
    for _ in range(3):
        assert await db.write("INSERT INTO docs (id, inserted) VALUES (0, 'a')") == 0
        assert await db.write("INSERT INTO words (words) VALUES ('optimize')") is None
        await db.write("DELETE FROM docs")


@pytest.mark.parametrize("sql", ["INSERT INTO {} (rowid, inserted) VALUES (0, ?)", "INSERT INTO {} VALUES (?)"])
@pytest.mark.parametrize("name", ["words", '"words"', "main.WORDS"])
async def test_a_rowid_of_zero_in_a_full_text_table_is_a_rowid(db: SQLiteDatabase, sql: str, name: str) -> None:
    for _ in range(3):
        await db.write("DELETE FROM words")
        await db.write("INSERT INTO words (rowid, inserted) VALUES (-1, 'so that the next one is 0')")
        assert await db.write(sql.format(name), ("a",)) == 0
        for command in ("optimize", "rebuild", "integrity-check"):
            assert await db.write(f"INSERT INTO {name} ({name.removeprefix('main.')}) VALUES (?)", (command,)) is None


async def test_the_same_rowid_again_is_told_from_none(db: SQLiteDatabase) -> None:
    upsert = "INSERT INTO keyed (id, k) VALUES (5, 5) ON CONFLICT DO UPDATE SET n = n + 1"
    assert await db.write(upsert) == 5
    assert await db.write(upsert) is None
    await db.write("DELETE FROM keyed")
    assert await db.write(upsert) == 5


async def test_each_caller_of_a_transaction_step_gets_its_own(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        for _ in range(3):
            assert await tx.write("INSERT INTO other VALUES (1)") is not None
            assert await tx.write("INSERT OR IGNORE INTO keyed (id, k) VALUES (9, 9)") in (9, None)
            assert await tx.write("UPDATE plain SET n = 1") is None
            assert await tx.write("INSERT INTO without VALUES (random(), 1)") is None
    assert await db.read_value("SELECT count(*) FROM keyed") == 1


@pytest.mark.parametrize("failing", [0, 1, 20, 39, 40, 99])
async def test_the_inserts_around_a_failing_one_get_their_own_rowids(db: SQLiteDatabase, failing: int) -> None:
    sql = "INSERT INTO strict VALUES (?)"
    await db.write(sql, (-1,))
    outcomes = await in_one_batch(db, *[db.write(sql, (None if n == failing else n,)) for n in range(100)])
    rows = {inserted: rowid for rowid, inserted in await db.read("SELECT rowid, inserted FROM strict")}
    error = outcomes[failing]
    assert isinstance(error, sqlite3.IntegrityError) and error.__notes__ == [f"SQL: {sql}"]
    assert [rows.get(n) for n in range(100) if n != failing] == outcomes[:failing] + outcomes[failing + 1 :]


@pytest.mark.parametrize("failing", [0, 1, 20, 39, 40, 99])
async def test_the_inserts_around_one_that_spoils_the_batch_get_their_own_rowids(
    db: SQLiteDatabase, failing: int
) -> None:
    sql = "INSERT OR ROLLBACK INTO strict VALUES (?)"
    await db.write(sql, (-1,))
    outcomes = await in_one_batch(db, *[db.write(sql, (None if n == failing else n,)) for n in range(100)])
    rows = {inserted: rowid for rowid, inserted in await db.read("SELECT rowid, inserted FROM strict")}
    assert isinstance(outcomes[failing], sqlite3.IntegrityError)
    assert [rows.get(n) for n in range(100) if n != failing] == outcomes[:failing] + outcomes[failing + 1 :]


@pytest.mark.parametrize(
    ("sql", "good", "bad"),
    [
        ("INSERT INTO strict VALUES (?)", [(1,), [2], range(3, 4)], [(), (1, 2), (object(),), ("x",)]),
        ("INSERT INTO strict VALUES (:n)", [{"n": 1}, {"n": 2, "m": 0}], [{}, {"m": 1}, {"n": None}]),
    ],
)
async def test_parameters_of_every_shape_in_a_run_of_inserts(
    db: SQLiteDatabase, sql: str, good: list[Any], bad: list[Any]
) -> None:
    await db.write(sql, good[0])
    shapes = [*good, *bad] * 12
    outcomes = await in_one_batch(db, *[db.write(sql, shape) for shape in shapes])
    given = [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert given == [row[0] for row in await db.read("SELECT rowid FROM strict WHERE rowid > 1 ORDER BY rowid")]
    assert [isinstance(outcome, int) for outcome in outcomes] == [shape in good for shape in shapes]


async def test_a_text_that_another_verb_compiled_anew_after_a_change_of_schema_is_classed_anew(
    db: SQLiteDatabase,
) -> None:
    sql = "INSERT INTO flip VALUES (?, 0)"
    assert [await db.write(sql, (k,)) for k in (1, 2)] == [1, 2]

    def migrate(connection: sqlite3.Connection) -> None:
        for statement in [*FLIPS["without"], sql.replace("?", "3")]:
            connection.execute(statement)
        connection.execute(sql, (4,))

    await db.write_fn(migrate)
    await db.write("INSERT INTO other VALUES (1)")
    assert await db.write(sql, (5,)) is None


async def test_a_text_that_failed_when_it_was_compiled_anew_is_classed_anew(db: SQLiteDatabase, db_path: Path) -> None:
    sql = "INSERT INTO flip VALUES (?, 0)"
    assert [await db.write(sql, (k,)) for k in (1, 2)] == [1, 2]
    async with aiomemdb.connect(db_path) as other:
        await other.write_script(";".join([*FLIPS["without"], sql.replace("?", "3")]))
    failed, *outcomes = await in_one_batch(db, *[db.write(sql, (k,)) for k in (3, 4, 5)])
    assert isinstance(failed, sqlite3.IntegrityError)
    assert outcomes == [None, None]


async def test_a_trigger_that_ignores_rows_ends_the_runs_of_a_text_that_write_many_compiled_anew(
    db: SQLiteDatabase,
) -> None:
    sql = "INSERT INTO other VALUES (?)"
    await in_one_batch(db, *[db.write(sql, (n,)) for n in range(100)])
    await db.write_script("""
        CREATE TRIGGER uneven BEFORE INSERT ON other WHEN new.inserted IN ('skip', 'double') BEGIN
            SELECT RAISE(IGNORE) WHERE new.inserted = 'skip';
            INSERT INTO other VALUES ('audit');
        END""")
    await db.write_many(sql, [(-1,)])
    values = [*range(1000, 1020), "skip", "double", *range(1020, 1030)]
    rowids = await in_one_batch(db, *[db.write(sql, (value,)) for value in values])
    rows = {inserted: rowid for rowid, inserted in await db.read("SELECT rowid, inserted FROM other")}
    assert rowids == [rows.get(value) for value in values]


async def test_sql_that_reads_the_latest_rowid_or_count_sees_the_callers_own(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write("INSERT INTO plain (id, inserted) VALUES (7, 0)")
        assert await tx.write("INSERT INTO other VALUES (last_insert_rowid())") == 1
        await tx.write("INSERT INTO plain (inserted) VALUES (1), (2), (3)")
        await tx.write("UPDATE other SET inserted = inserted")
        await tx.write("INSERT INTO without VALUES (last_insert_rowid(), 0)")
        await tx.write_count("UPDATE plain SET n = 1")
        assert await tx.write("INSERT INTO other VALUES (changes())") == 2
        assert await tx.write("INSERT INTO auto (id, inserted) VALUES (2, last_insert_rowid())") == 2
    assert [row[0] for row in await db.read("SELECT inserted FROM other")] == [7, 4]
    assert await db.read_value("SELECT k FROM without") == 10


def test_long_texts_are_not_kept(tmp_path: Path) -> None:
    with open_session(tmp_path / "rowids.db") as session:
        batch_of(session, (SCRIPT, SCHEMA, ()))
        session.begin(durable=False)
        sql = "INSERT INTO plain (inserted) VALUES (1) /* %s */"
        long, short = sql % ("x" * 4096), sql % "x"
        assert [run_job(session, WRITE, text, ()) for text in (long, short, long, short)] == [1, 2, 3, 4]
        assert session.book.get(short) is not None and session.book.get(long) is None
        session.rollback()


# -- what is known of a text that the connection's cache has lost ----------------------------------------------------

FLIP = "INSERT INTO flip VALUES (?, 0)"
WITHOUT = "CREATE {} TABLE flip (k PRIMARY KEY, inserted) WITHOUT ROWID"


@pytest.fixture
def session(db_path: Path) -> Iterator[Session]:
    with open_session(db_path) as session:
        batch_of(session, (SCRIPT, SCHEMA, ()))
        yield session


def batch_of(session: Session, *jobs: tuple[Operation, Any, Any]) -> list[Any]:
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    batch = Batch([(future, *job) for job in jobs])
    run_batch(session, batch, budget=60)
    return batch.outcomes


def crowd_out(session: Session) -> None:
    """Python's cache of statements holds 128."""
    for n in range(130):
        session.connection.execute(f"SELECT {n}")


def change_by_another(db_path: Path, script: str) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.executescript(script)


def test_a_text_that_is_compiled_anew_is_not_looked_at_again(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def look(connection: GuardedConnection, sql: str, params: Any) -> Program:
        looked.append(sql)
        return explained(connection, sql, params)

    monkeypatch.setattr("aiomemdb.sqlite.writing.statements.explained", look)
    texts = [f"INSERT INTO other {' ' * n}VALUES (?)" for n in range(150)]
    for _ in range(3):
        for sql in texts:
            batch_of(session, *[(WRITE, sql, (0,))] * 12)
    assert looked == texts


@pytest.mark.parametrize("first", [WRITE, COUNT])
def test_what_another_process_made_of_a_table_is_met_by_a_text_that_is_compiled_anew(
    session: Session, db_path: Path, first: Operation
) -> None:
    assert batch_of(session, *[(WRITE, FLIP, (k,)) for k in range(1, 20)]) == list(range(1, 20))
    crowd_out(session)
    change_by_another(db_path, f"DROP TABLE flip; {WITHOUT.format('')}")
    outcomes = batch_of(session, (first, FLIP, (100,)), *[(WRITE, FLIP, (k,)) for k in range(1, 20)])
    assert outcomes == [1 if first is COUNT else None, *[None] * 19]


def test_a_version_that_was_rolled_back_and_comes_again_is_not_taken_for_what_it_was(
    session: Session, db_path: Path
) -> None:
    session.take_turn()
    session.begin(durable=False)
    for operation, subject, arguments in [
        (SCRIPT, "CREATE TABLE one (a); CREATE TABLE two (a)", ()),
        *[(WRITE, FLIP, (k,)) for k in range(1, 4)],
    ]:
        run_job(session, operation, subject, arguments)
    session.rollback()
    session.turnstile.release()
    change_by_another(db_path, f"DROP TABLE flip; {WITHOUT.format('')}")  # two changes too
    assert batch_of(session, (WRITE, "INSERT INTO other VALUES (1)", ()), (WRITE, FLIP, (5,))) == [1, None]


@pytest.mark.parametrize("compile", ["write", "write_count", "write_many"])
async def test_what_a_rollback_to_a_savepoint_returns_back_is_met_as_it_is(db: SQLiteDatabase, compile: str) -> None:
    """A temp table is in no version of the file's schema."""
    await db.write(WITHOUT.format("TEMP"))
    async with db.transaction() as tx:
        with pytest.raises(KeyError):
            async with tx.transaction() as nested:
                await nested.write("DROP TABLE temp.flip")
                assert [await nested.write(FLIP, (k,)) for k in (1, 2, 3)] == [1, 2, 3]
                assert await nested.write_many(FLIP, [(k,) for k in range(10, 110)]) == 100
                raise KeyError
        if compile == "write_count":
            assert await tx.write_count(FLIP, (9,)) == 1
        elif compile == "write_many":
            assert await tx.write_many(FLIP, [(k,) for k in range(10, 110)]) == 100
        assert [await tx.write(FLIP, (k,)) for k in (1, 2, 3)] == [None] * 3


async def test_a_temp_trigger_that_a_savepoint_returns_back_fires(db: SQLiteDatabase) -> None:
    sql = "INSERT INTO other VALUES (?)"
    await db.write("CREATE TEMP TRIGGER tells AFTER INSERT ON main.other BEGIN DELETE FROM plain WHERE id = 1; END")
    async with db.transaction() as tx:
        with pytest.raises(KeyError):
            async with tx.transaction() as nested:
                await nested.write("DROP TRIGGER temp.tells")
                assert await nested.write_many(sql, [(n,) for n in range(100)]) == 100
                raise KeyError
        await tx.write("INSERT INTO plain (id) VALUES (1)")
        assert await tx.write_many(sql, [(n,) for n in range(100)]) == 100
        assert await tx.read_value("SELECT count(*) FROM plain") == 0
