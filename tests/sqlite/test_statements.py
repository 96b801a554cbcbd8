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
from aiomemdb.sqlite.writing.bytecode import Program
from aiomemdb.sqlite.writing.bytecode import explained as explain
from aiomemdb.sqlite.writing.operations import WRITE
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
    "a trigger that notes the time": (
        f"{PLAIN}; CREATE TRIGGER touches AFTER UPDATE OF n ON t BEGIN UPDATE t SET k = k || '' WHERE id = NEW.id; END",
        UPSERT,
    ),
    "a trigger that updates all": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k UNIQUE, n); CREATE TABLE told (x);"
        "CREATE TRIGGER touches AFTER INSERT ON t BEGIN UPDATE t SET n = n + 1; DELETE FROM told; END",
        UPSERT,
    ),
    "a trigger that changes rowids": (
        f"{PLAIN}; CREATE TRIGGER moves AFTER UPDATE OF n ON t BEGIN UPDATE t SET id = -id WHERE k = NEW.k; END",
        UPSERT,
    ),
    "a trigger that replaces": (
        f"{PLAIN}; CREATE TRIGGER copies AFTER UPDATE ON t BEGIN INSERT OR REPLACE INTO t VALUES (NEW.n, 50, 0); END",
        UPSERT,
    ),
    "a trigger that upserts": (
        f"{PLAIN}; CREATE TRIGGER copies AFTER UPDATE OF n ON t WHEN NEW.k < 50 BEGIN "
        "INSERT INTO t (k, n) VALUES (NEW.n + 50, 0) ON CONFLICT DO UPDATE SET n = 1; END",
        UPSERT,
    ),
    "a trigger of another table's trigger": (
        f"{PLAIN}; CREATE TABLE told (x);"
        "CREATE TRIGGER tells AFTER UPDATE ON t BEGIN INSERT INTO told VALUES (1); END;"
        "CREATE TRIGGER clears AFTER INSERT ON told BEGIN DELETE FROM t WHERE n = 2; END",
        UPSERT,
    ),
    "a trigger that refuses": (
        f"{PLAIN}; CREATE TRIGGER clears AFTER UPDATE ON t BEGIN DELETE FROM t WHERE n = 2; END;"
        "CREATE TRIGGER refuses AFTER INSERT ON t WHEN NEW.n > 3 BEGIN SELECT RAISE(ABORT, 'no'); END",
        UPSERT,
    ),
    "a column that is set to NULL": (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k UNIQUE, n REFERENCES t (k) ON UPDATE SET NULL)",
        UPSERT.replace("SET n = excluded.n", "SET k = excluded.k"),
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
    """The same by plain sqlite3; its latest rowid is set to one that no row has before."""
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
    "a trigger that changes rowids",
    "a trigger that replaces",
    "a trigger that upserts",
    "a trigger of another table's trigger",
    "a trigger that refuses",
    "a column that is set to NULL",
    "a cascade",
    "no update",
]


@pytest.mark.parametrize("table", TABLES)
def test_the_latest_rowid_is_looked_up_where_that_says_whether_an_upsert_inserted(session: Session, table: str) -> None:
    schema, upsert = TABLES[table]
    sqlite3.Connection.executescript(session.connection, BEFORE + schema)
    session.connection.own("PRAGMA foreign_keys=ON")
    assert bool(known(session, upsert, 1, 1).lookup) == (table not in SAYS_NOTHING)


# -- the latest rowid of the connection ------------------------------------------------------------------------------

PAST = "SELECT last_insert_rowid(), changes()"


@pytest.mark.parametrize("verb", ["write", "write_any"])
@pytest.mark.parametrize("table", TABLES)
async def test_the_latest_rowid_and_count_behind_an_upsert_are_as_in_plain_sqlite3(
    db_path: Path, table: str, verb: str
) -> None:
    schema, upsert = TABLES[table]
    rng = Random(table)
    jobs: list[tuple[str, tuple[Any, ...]]] = []
    for _ in range(40):
        upserts = [(upsert, (rng.randint(1, 9), rng.randint(1, 5))) for _ in range(2)]
        jobs += [*upserts, ("INSERT INTO three SELECT x FROM three LIMIT 3", ()), (upsert, (1,)), upserts[0]]
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as single:
        single.executescript(f"{BEFORE}{schema}; PRAGMA foreign_keys=ON; SAVEPOINT s")
        async with aiomemdb.connect(db_path) as db:
            await db.write_script(BEFORE + schema)
            async with db.transaction() as tx:
                for n, (sql, params) in enumerate(jobs):
                    errors = []
                    for write in (single.execute, getattr(tx, verb)):
                        try:
                            done = write(sql, params)
                            _ = done.fetchall() if write == single.execute else await done
                        except sqlite3.Error as error:
                            errors.append(str(error))
                    assert len(set(errors)) == len(errors) / 2, errors
                    [plain] = single.execute(PAST)
                    if len(params) == 1:  # not bound: it has not run, and changes() is one earlier statement's
                        assert await tx.read_value(PAST) == plain[0]
                    elif n > 6:  # each text is known
                        assert tuple((await tx.read(PAST))[0]) == plain, (n, sql, params)


MAKES_WAY = "CREATE TABLE t (id INTEGER PRIMARY KEY, k UNIQUE, n UNIQUE ON CONFLICT REPLACE)"
STEPS = [("INSERT INTO parent (x) VALUES ('a')", ()), (UPSERT, (1, 1))]
CHILD = "INSERT INTO child VALUES (last_insert_rowid())"


@pytest.mark.parametrize("verb", ["write", "write_any", "write_fn"])
async def test_a_row_that_refers_to_the_latest_one_does_so_behind_an_upsert(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(f"CREATE TABLE parent (id INTEGER PRIMARY KEY, x); CREATE TABLE child (id); {MAKES_WAY}")
        await db.write(UPSERT, (1, 1))
        async with db.transaction() as tx:
            for step in STEPS:
                await (tx.write_any if verb == "write_any" else tx.write)(*step)
            if verb == "write_fn":
                await tx.write_fn(lambda conn: conn.execute(CHILD) and None)
            else:
                await getattr(tx, verb)(CHILD)
        assert await db.read_value("SELECT id FROM child") == 1


@pytest.mark.parametrize("former", [0, 1, -1, 2**63 - 1, -(2**63)])
def test_any_latest_rowid_is_put_back(session: Session, former: int) -> None:
    sqlite3.Connection.executescript(session.connection, BEFORE + MAKES_WAY)
    session.connection.execute("INSERT INTO t VALUES (8, 1, 1)")
    session.connection.execute("INSERT INTO other (id) VALUES (?)", (former,))
    assert run(session, (UPSERT, (1, 1)), (UPSERT, (1, 2))) == [None, None]
    assert session.connection.own("SELECT last_insert_rowid()") == [(former,)]


def test_an_upsert_that_fails_splits_no_batch(session: Session) -> None:
    schema, upsert = TABLES["a trigger that refuses"]
    sqlite3.Connection.executescript(session.connection, BEFORE + schema.replace("AFTER INSERT", "BEFORE INSERT"))
    good, bad = (WRITE, upsert, (1, 1)), (WRITE, upsert, (2, 4))
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    batch = Batch([(future, *job) for job in (good, bad, good, bad, bad)])
    run_batch(session, batch, budget=60)
    assert [isinstance(outcome, Failure) for outcome in batch.outcomes] == [False, True, False, True, True]
    assert batch.splits == 0


@pytest.mark.parametrize("verb", ["write", "write_count", "write_any"])
async def test_a_text_that_reads_how_many_rows_were_changed_reads_it_each_time(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (a); CREATE TABLE log (n); INSERT INTO t VALUES (1), (2), (3)")
        async with db.transaction() as tx:
            for _ in range(4):
                await tx.write_count("UPDATE t SET a = a")
                await getattr(tx, verb)("INSERT INTO log VALUES (changes())")
            assert [row["n"] for row in await tx.read("SELECT n FROM log")] == [3, 3, 3, 3]


async def test_an_upsert_that_ends_its_transaction_leaves_the_latest_rowid(db_path: Path) -> None:
    schema, upsert = TABLES["a trigger that refuses"]
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(BEFORE + schema.replace("AFTER INSERT", "BEFORE INSERT").replace("ABORT", "ROLLBACK"))
        assert await db.write(OTHER, (77, 0)) == 77
        with pytest.raises(sqlite3.IntegrityError, match="no"):
            await db.write(upsert, (2, 4))
        assert (await db.write_any("SELECT last_insert_rowid()")).rows[0][0] == 77


@pytest.mark.parametrize("verb", ["write", "write_any"])
async def test_an_upsert_that_returns_what_is_no_text_leaves_the_latest_rowid_and_no_table(
    db_path: Path, verb: str
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(BEFORE + MAKES_WAY)
        await db.write_script("INSERT INTO t VALUES (5, 1, 1)")
        assert await db.write(OTHER, (78, 0)) == 78
        with pytest.raises(sqlite3.OperationalError, match="decode"):
            await getattr(db, verb)(f"{UPSERT} RETURNING CAST(? AS TEXT)", (1, 2, b"\xff"))
        assert (await db.write_any("SELECT last_insert_rowid()")).rows[0][0] == 78
        assert "aiomemdb" not in str(await db.write_returning("PRAGMA table_list"))


async def test_an_upsert_that_is_undone_leaves_the_latest_rowid(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(BEFORE + MAKES_WAY)
        await db.write(UPSERT, (1, 1))
        async with db.transaction() as tx:
            await tx.write(OTHER, (77, 0))
            with pytest.raises(KeyError):
                async with tx.transaction() as nested:
                    assert await nested.write(UPSERT, (1, 2)) is None
                    raise KeyError
            assert await tx.read_value("SELECT last_insert_rowid()") == 77


def test_a_trigger_that_notes_the_time_costs_no_table(session: Session) -> None:
    schema, upsert = TABLES["a trigger that notes the time"]
    sqlite3.Connection.executescript(session.connection, BEFORE + schema)
    traced: list[str] = []
    sqlite3.Connection.set_trace_callback(session.connection, traced.append)
    assert run(session, *[(upsert, (k, k)) for k in (1, 2, 1, 2)]) == [1, 2, None, None]
    assert any("INSERT" in text for text in traced) and not any("CREATE" in text for text in traced)


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
