"""The book: what is known of a text, and that its rowid is told exactly, whatever the latest one was."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

import pytest

import aiomemdb
from aiomemdb.concurrency.job import Failure
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.writing import statements
from aiomemdb.sqlite.writing.batch import Batch, run_batch
from aiomemdb.sqlite.writing.operations import WRITE
from aiomemdb.sqlite.writing.programs import Program
from aiomemdb.sqlite.writing.programs import explained as explain
from aiomemdb.sqlite.writing.session import Session
from aiomemdb.sqlite.writing.statements import Statement
from tests.support.batches import open_session


@pytest.fixture
def session(db_path: Path) -> Iterator[Session]:
    with open_session(db_path) as session:
        yield session


def run(session: Session, *jobs: tuple[str, tuple[Any, ...]]) -> list[Any]:
    """Runs the writes as one batch; returns the rowid of each, or "failed"."""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    batch = Batch([(future, WRITE, sql, params) for sql, params in jobs])
    run_batch(session, batch, budget=60)
    assert batch.fatal is None
    return ["failed" if isinstance(outcome, Failure) else outcome for outcome in batch.outcomes]


def known(session: Session, sql: str, *params: Any) -> Statement:
    found = session.book.of(sql, params)
    assert found is not None
    return found


@pytest.fixture
def explained(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are explained."""
    texts: list[str] = []

    def noting(connection: GuardedConnection, sql: str, params: Any) -> Program:
        texts.append(sql)
        return explain(connection, sql, params)

    monkeypatch.setattr(statements, "explained", noting)
    return texts


# -- upserts ---------------------------------------------------------------------------------------------------------

PLAIN = "CREATE TABLE t (id INTEGER PRIMARY KEY, k UNIQUE, n)"
UPSERT = "INSERT INTO t (k, n) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET n = excluded.n"
# What a table may be like: (its schema, an upsert of two values).
TABLES = {
    "plain": (PLAIN, UPSERT),
    "without a key of its own": ("CREATE TABLE t (k PRIMARY KEY, n)", UPSERT),
    "a rowid that is given": (PLAIN, UPSERT.replace("(k, n)", "(id, k)").replace("excluded.n", "n + 1")),
    "a key that is updated": (PLAIN, UPSERT.replace("SET n = excluded.n", "SET id = excluded.n")),
    "a key that makes way": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k UNIQUE, n UNIQUE ON CONFLICT REPLACE)",
        UPSERT,
    ),
    "a row that makes way": (
        PLAIN,
        "INSERT OR REPLACE INTO t (id, k) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET n = 1",
    ),
    "a column that is called rowid": ("CREATE TABLE t (rowid, k UNIQUE, n)", UPSERT),
    "columns of all names of the rowid": ("CREATE TABLE t (rowid, _rowid_, k UNIQUE, oid, n)", UPSERT),
    "an odd name": (
        'CREATE TABLE "t""; --" (id INTEGER PRIMARY KEY, k UNIQUE, n)',
        UPSERT.replace("INTO t", 'INTO "t""; --"'),
    ),
    "without rowid": ("CREATE TABLE t (k PRIMARY KEY, n) WITHOUT ROWID", UPSERT),
    "a temp table": (PLAIN.replace("CREATE TABLE", "CREATE TEMP TABLE"), UPSERT),
    "a trigger that inserts beside it": (
        f"{PLAIN}; CREATE TRIGGER copies AFTER UPDATE ON t BEGIN INSERT INTO t (k, n) VALUES (-random(), 0); END",
        UPSERT,
    ),
    "a trigger that deletes": (
        f"{PLAIN}; CREATE TRIGGER clears AFTER INSERT ON t BEGIN DELETE FROM t WHERE n = NEW.n - 1; END",
        UPSERT,
    ),
    "a trigger that clears": (
        f"{PLAIN}; CREATE TRIGGER clears AFTER UPDATE ON t WHEN NEW.n = 3 BEGIN DELETE FROM t; END",
        UPSERT,
    ),
    "a trigger that fills another": (
        f"{PLAIN}; CREATE TRIGGER tells AFTER INSERT ON t BEGIN INSERT INTO other (x) VALUES (1); END",
        UPSERT,
    ),
    "a cascade": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k UNIQUE, n REFERENCES t (k) ON UPDATE CASCADE)",
        UPSERT.replace("SET n = excluded.n", "SET k = excluded.k"),
    ),
    "rows of a query": (
        PLAIN,
        "INSERT INTO t (k, n) SELECT ? + x, ? FROM three WHERE true ON CONFLICT (k) DO UPDATE SET n = n + 1",
    ),
    "a WITH before it": (PLAIN, f"WITH w AS (SELECT 1) {UPSERT}"),
    "rows that are returned": (PLAIN, f"{UPSERT} RETURNING id, n"),
    "an update that does not happen": (PLAIN, f"{UPSERT} WHERE excluded.n > 3"),
    "no update": (PLAIN, UPSERT.replace("DO UPDATE SET n = excluded.n", "DO NOTHING")),
    "a given rowid that makes way": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, k UNIQUE)",
        "INSERT INTO t (id, k) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET k = excluded.k",
    ),
    "its past is read": (PLAIN, UPSERT.replace("excluded.n", "n + 0 * last_insert_rowid()")),
}
OTHER = "INSERT INTO other (id, x) VALUES (?, ?)"
BEFORE = """
CREATE TABLE other (id INTEGER PRIMARY KEY, x);
CREATE TABLE three (x);
INSERT INTO three VALUES (0), (1), (2);
"""


def written(conn: sqlite3.Connection, sql: str, params: tuple[Any, ...]) -> Any:
    """The same by plain sqlite3, whose latest rowid is set to one that no row has before."""
    conn.execute("INSERT OR REPLACE INTO temp.sentinel VALUES (-987654321)")
    try:
        conn.execute(sql, params).fetchall()
    except sqlite3.Error:
        return "failed"
    [rowid] = conn.execute("SELECT last_insert_rowid()").fetchone()
    return None if rowid == -987654321 else rowid


def without_the_hook(connection: GuardedConnection, sql: str, params: Any) -> Program:
    """The bytecode of a SQLite without the pre-update hook: it has no Delete that does nothing else."""
    return [op for op in explain(connection, sql, params) if not (op.opcode == "Delete" and op.p2 & 0x40)]


@pytest.mark.parametrize("has_hook", [True, False])
@pytest.mark.parametrize("together", [1, 7])
@pytest.mark.parametrize("table", TABLES)
def test_an_upsert_reports_the_rowid_that_it_inserted_or_none(
    session: Session, monkeypatch: pytest.MonkeyPatch, table: str, together: int, has_hook: bool
) -> None:
    if not has_hook:
        monkeypatch.setattr(statements, "explained", without_the_hook)
    schema, upsert = TABLES[table]
    sqlite3.Connection.executescript(session.connection, BEFORE + schema)
    session.connection.own("PRAGMA foreign_keys=ON")
    rng = Random(table)
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as single:
        single.executescript(f"{BEFORE}{schema}; CREATE TEMP TABLE sentinel (id INTEGER PRIMARY KEY)")
        single.execute("PRAGMA foreign_keys=ON")
        for _ in range(100 // together):
            jobs: list[tuple[str, tuple[Any, ...]]] = []
            for _ in range(together):
                # Few rowids, so that the latest one is often that of a row here, or of the next one.
                jobs.append((upsert, (rng.randint(1, 9), rng.randint(1, 5))))
                if rng.random() < 0.5:
                    key = rng.randint(1, 12)
                    jobs += [("DELETE FROM other WHERE id = ?", (key,)), (OTHER, (key, 0))]
            assert run(session, *jobs) == [written(single, *job) for job in jobs]


SAYS_NOTHING = [
    "a key that is updated",
    "a key that makes way",
    "a row that makes way",
    "a given rowid that makes way",
    "columns of all names of the rowid",
    "without rowid",
    "a trigger that inserts beside it",
    "a trigger that deletes",
    "a trigger that clears",
    "a cascade",
    "no update",
]


@pytest.mark.parametrize("table", TABLES)
def test_the_latest_rowid_is_looked_up_where_that_says_whether_an_upsert_inserted(session: Session, table: str) -> None:
    schema, upsert = TABLES[table]
    sqlite3.Connection.executescript(session.connection, BEFORE + schema)
    session.connection.own("PRAGMA foreign_keys=ON")
    assert bool(known(session, upsert, 1, 1).lookup) == (table not in SAYS_NOTHING)


BECOMES = {
    "rowid": PLAIN,
    "without rowid": "CREATE TABLE t (id INTEGER, k PRIMARY KEY, n) WITHOUT ROWID",
    "other columns": "CREATE TABLE t (n, k UNIQUE, id INTEGER PRIMARY KEY)",
    "a temp table": "CREATE TEMP TABLE t (id INTEGER, k PRIMARY KEY, n) WITHOUT ROWID",
}


@pytest.mark.parametrize("to", BECOMES)
@pytest.mark.parametrize("of", BECOMES)
def test_an_upsert_meets_what_its_table_has_become(session: Session, db_path: Path, of: str, to: str) -> None:
    sqlite3.Connection.executescript(session.connection, f"{BEFORE}{BECOMES[of]}")
    for _ in range(3):
        assert run(session, (UPSERT, (1, 1))) in ([1], [None])
    assert run(session, (OTHER, (1, 0))) == [1]
    for statement in ("DROP TABLE t", BECOMES[to]):
        if "temp" in of + to:
            run(session, (statement, ()))
        else:
            with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
                other.execute(statement)
    has_rowid = to in ("rowid", "other columns")
    assert run(session, (UPSERT, (1, 1))) == [1 if has_rowid else None]
    assert run(session, (UPSERT, (1, 2)), (UPSERT, (2, 2))) == [None, 2 if has_rowid else None]


# -- no table of the library's own -----------------------------------------------------------------------------------


async def test_no_statement_lists_a_table_of_the_librarys_own(db_path: Path) -> None:
    listed: set[str] = set()

    def prepare(conn: sqlite3.Connection) -> None:
        def look() -> int:
            for query in ("SELECT name FROM sqlite_temp_master", "SELECT name FROM pragma_table_list"):
                listed.update(row[0] for row in conn.execute(query))
            return 0

        conn.create_function("look", 0, look)

    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        await db.write_script(BEFORE + TABLES["a key that makes way"][0])
        for n in range(3):
            assert await db.write("INSERT INTO other (x) VALUES (look())") == n + 1
            await db.write(f"{UPSERT} WHERE look() = 0", (1, n))
            await db.write(f"WITH w AS (SELECT look()) {UPSERT}", (2, n + 10))
            await db.write_count("UPDATE other SET x = look()")
            await db.write_many("INSERT INTO three VALUES (look())", [()] * 20)
        async with db.transaction() as tx:
            await tx.write(UPSERT, (3, 3))
            listed.update(row[0] for row in await tx.read("SELECT name FROM pragma_table_list"))
            listed.update(row[0] for row in await tx.write_returning("PRAGMA table_list"))
    names = {name for name in listed if not name.startswith("sqlite_")}
    assert names <= {"other", "three", "t", "main", "temp"}
    assert "other" in names


# -- what is known ---------------------------------------------------------------------------------------------------

WRITES = {
    "INSERT INTO other (x) VALUES (?)": {"other"},
    "UPDATE other SET x = ?": {"other"},
    "DELETE FROM other WHERE x IN (SELECT x FROM three WHERE x = ?)": {"other"},
    "REPLACE INTO told VALUES (?)": {"told", "log"},
    "INSERT INTO seen VALUES (?)": {"seen", "told", "log"},
    "DELETE FROM parent WHERE id = ?": {"parent", "child"},
    "INSERT INTO words VALUES (?)": {"words"},
    "SELECT x FROM other WHERE x = ?": set(),
    "WITH w AS (SELECT ? AS x) INSERT INTO other (x) SELECT x FROM w": {"other"},
}


@pytest.mark.parametrize("sql", WRITES)
def test_the_tables_that_a_statement_writes_are_known(session: Session, sql: str) -> None:
    sqlite3.Connection.executescript(
        session.connection,
        BEFORE
        + """
        CREATE TABLE log (x);
        CREATE TABLE told (x);
        CREATE TRIGGER tells AFTER INSERT ON told BEGIN INSERT INTO log VALUES (NEW.x); END;
        CREATE VIEW seen AS SELECT x FROM told;
        CREATE TRIGGER sees INSTEAD OF INSERT ON seen BEGIN INSERT INTO told VALUES (NEW.x); END;
        CREATE TABLE parent (id INTEGER PRIMARY KEY);
        CREATE TABLE child (parent REFERENCES parent ON DELETE CASCADE);
        CREATE VIRTUAL TABLE words USING fts5 (x);
        """,
    )
    session.connection.own("PRAGMA foreign_keys=ON")
    assert known(session, sql, 1).tables == WRITES[sql]


def test_a_text_that_comes_once_is_not_explained(session: Session, explained: list[str]) -> None:
    sqlite3.Connection.executescript(session.connection, BEFORE)
    for n in range(20):
        jobs = [f"INSERT INTO other (x) VALUES ({n})", f"UPDATE other SET x = {n}", f"DELETE FROM three WHERE x = {n}"]
        assert run(session, *[(sql, ()) for sql in jobs]) == [n + 1, None, None]
    assert explained == []


def test_a_text_that_comes_again_is_explained_once(session: Session, explained: list[str]) -> None:
    sqlite3.Connection.executescript(session.connection, BEFORE + PLAIN)
    texts = ["INSERT INTO other (x) VALUES (1)", "UPDATE other SET x = 1", "INSERT OR IGNORE INTO t (k) VALUES (1)"]
    for _ in range(20):
        run(session, *[(sql, ()) for sql in texts])
    assert sorted(explained) == sorted(texts)


def test_an_upsert_is_explained_before_it_runs(session: Session, explained: list[str]) -> None:
    sqlite3.Connection.executescript(session.connection, BEFORE + PLAIN)
    assert run(session, (UPSERT, (1, 1))) == [1]
    assert explained[0] == UPSERT
