"""What a batch must survive: see the theory of operation in aiomemdb/sqlite/writing/batch.py."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import ForbiddenStatement
from aiomemdb.sqlite.common.errors import EmptyStatement, NotAQuery
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing.batch import run_batch
from tests.support.batches import in_one_batch, time_for_batches
from tests.support.plain import assert_healthy, plain

SCHEMA = """
CREATE TABLE log (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE t (x INTEGER UNIQUE, y NOT NULL DEFAULT 0 CHECK (y < 10));
INSERT INTO t VALUES (5, 0);
CREATE TABLE strict (n INTEGER) STRICT;
CREATE TABLE fails (x UNIQUE ON CONFLICT FAIL);
INSERT INTO fails VALUES (5);
CREATE TABLE audit (x);
CREATE TABLE audited (x UNIQUE);
INSERT INTO audited VALUES (5), (6);
CREATE TRIGGER audited_before BEFORE INSERT ON audited BEGIN INSERT INTO audit VALUES (NEW.x); END;
CREATE TABLE filled (x);
INSERT INTO filled VALUES (1), (9223372036854775807);
CREATE TABLE aborting (x);
CREATE TRIGGER aborting_abort AFTER INSERT ON aborting BEGIN SELECT RAISE(ABORT, 'no'); END;
CREATE TABLE raising (how);
CREATE TRIGGER raising_fail AFTER INSERT ON raising WHEN NEW.how = 'fail' BEGIN SELECT RAISE(FAIL, 'no'); END;
CREATE TRIGGER raising_rollback AFTER INSERT ON raising WHEN NEW.how = 'rollback'
    BEGIN SELECT RAISE(ROLLBACK, 'no'); END;
CREATE TABLE taken (x UNIQUE, y NOT NULL ON CONFLICT FAIL DEFAULT 0);
CREATE TABLE halving (how);
CREATE TRIGGER halving_unique BEFORE INSERT ON halving WHEN NEW.how = 'unique'
    BEGIN INSERT OR FAIL INTO taken (x) SELECT value FROM json_each('[1, 2, 2]'); END;
CREATE TRIGGER halving_null BEFORE INSERT ON halving WHEN NEW.how = 'null'
    BEGIN INSERT INTO taken SELECT value, value FROM json_each('[1, null]'); END;
CREATE TRIGGER halving_raise BEFORE INSERT ON halving WHEN NEW.how = 'raise'
    BEGIN INSERT INTO taken (x) SELECT iif(value = 2, RAISE(FAIL, 'no'), value) FROM json_each('[1, 2]'); END;
CREATE TRIGGER halving_update AFTER UPDATE ON halving
    BEGIN INSERT OR FAIL INTO taken (x) SELECT value FROM json_each('[1, 2, 2]'); END;
CREATE TRIGGER halving_delete AFTER DELETE ON halving
    BEGIN INSERT OR FAIL INTO taken (x) SELECT value FROM json_each('[1, 2, 2]'); END;
INSERT INTO halving VALUES ('old');
CREATE VIEW shown AS SELECT how FROM halving;
CREATE TRIGGER shown_insert INSTEAD OF INSERT ON shown
    BEGIN INSERT OR FAIL INTO taken (x) SELECT value FROM json_each('[1, 2, 2]'); END;
CREATE TABLE deeper (how);
CREATE TRIGGER deeper_insert AFTER INSERT ON deeper BEGIN INSERT INTO halving VALUES ('unique'); END;
CREATE VIRTUAL TABLE box USING rtree (id, low, high);
CREATE TABLE boxing (x);
CREATE TRIGGER boxing_insert BEFORE INSERT ON boxing
    BEGIN INSERT OR FAIL INTO box SELECT value, 0, 1 FROM json_each('[1, 2, 2]'); END;
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (id INTEGER PRIMARY KEY, parent REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
"""
TABLES = (
    *("t", "strict", "fails", "audit", "audited", "filled", "aborting", "raising", "taken", "halving", "deeper", "box"),
    *("boxing", "parent", "child"),
)
MANY_ROWS = "INSERT INTO t (x) WITH RECURSIVE n (i) AS (VALUES (100) UNION ALL SELECT i + 1 FROM n LIMIT 10000)"
LIMIT = 100_000


@pytest.fixture(autouse=True)
def _batches_have_all_the_time_they_need() -> Iterator[None]:
    with time_for_batches():
        yield


def interrupting(conn: sqlite3.Connection) -> None:
    """stop() has SQLite interrupt the running statement, give_up() has its progress handler stop it, once."""
    giving_up: list[bool] = []
    conn.create_function("stop", 0, lambda: sqlite3.Connection.interrupt(conn))
    conn.create_function("give_up", 0, lambda: giving_up.append(True))
    conn.set_progress_handler(lambda: bool(giving_up and giving_up.pop()), 50)


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, prepare=interrupting, max_value_bytes=LIMIT) as db:
        await db.write_script(SCHEMA)
        yield db
    assert_healthy(db_path)


@dataclass(frozen=True)
class Culprit:
    """A job that fails: how it is run, its error's class and sqlite_errorname."""

    name: str
    run: Callable[[SQLiteDatabase], Awaitable[Any]]
    error: type[BaseException]
    errorname: str | None = None

    def assert_is(self, outcome: object) -> None:
        assert isinstance(outcome, BaseException), f"it succeeded with {outcome!r}"
        assert type(outcome) is self.error, repr(outcome)
        name = getattr(outcome, "sqlite_errorname", None)
        if name != "unknown":  # the sqlite3 module does not know all of them
            assert name == self.errorname


def statement(name: str, sql: str, error: type[BaseException], errorname: str | None, *params: Any) -> Culprit:
    return Culprit(name, lambda db: db.write(sql, params), error, errorname)


def function(name: str, error: type[BaseException], errorname: str | None = None) -> Callable[..., Culprit]:
    return lambda fn: Culprit(name, lambda db: db.write_fn(fn), error, errorname)


UNIQUE, INTEGRITY, OPERATIONAL = "SQLITE_CONSTRAINT_UNIQUE", sqlite3.IntegrityError, sqlite3.OperationalError

UNDONE_BY_SQLITE = [
    statement("UNIQUE", "INSERT INTO t (x) VALUES (5)", INTEGRITY, UNIQUE),
    statement("UNIQUE, several rows", "INSERT INTO t (x) VALUES (6), (5), (7)", INTEGRITY, UNIQUE),
    statement("NOT NULL", "INSERT INTO t VALUES (6, NULL)", INTEGRITY, "SQLITE_CONSTRAINT_NOTNULL"),
    statement("CHECK", "INSERT INTO t VALUES (6, 10)", INTEGRITY, "SQLITE_CONSTRAINT_CHECK"),
    statement("RAISE(ABORT)", "INSERT INTO aborting VALUES (1)", INTEGRITY, "SQLITE_CONSTRAINT_TRIGGER"),
    statement("too few parameters", "INSERT INTO t VALUES (?, ?)", sqlite3.ProgrammingError, None, 6),
    statement("a parameter of no type", "INSERT INTO t (x) VALUES (?)", sqlite3.ProgrammingError, None, object()),
    statement("too large an integer", "INSERT INTO t (x) VALUES (?)", OverflowError, None, 2**70),
    statement("two statements", "INSERT INTO t (x) VALUES (6); SELECT 1", sqlite3.ProgrammingError, None),
    statement("denied", "PRAGMA synchronous = OFF", ForbiddenStatement, None),
    statement("no SQL", " -- nothing", EmptyStatement, None),
    Culprit("UNIQUE in write_count", lambda db: db.write_count("INSERT INTO t (x) VALUES (5)"), INTEGRITY, UNIQUE),
    Culprit(
        "UNIQUE in write_returning",
        lambda db: db.write_returning("INSERT INTO t (x) VALUES (6), (5) RETURNING x"),
        INTEGRITY,
        UNIQUE,
    ),
]

# Of these nothing stays, but their errors do not tell: see ``is_undone``.
PERHAPS_HALF_DONE = [
    statement("datatype", "INSERT INTO strict VALUES ('x')", INTEGRITY, "SQLITE_CONSTRAINT_DATATYPE"),
    statement("mismatch", "INSERT INTO log VALUES ('x', 'x')", INTEGRITY, "SQLITE_MISMATCH"),
    statement("syntax", "INSERT INTO t VALUS (1)", OPERATIONAL, "SQLITE_ERROR"),
    statement("missing table", "INSERT INTO missing VALUES (1)", OPERATIONAL, "SQLITE_ERROR"),
    statement("too big", "INSERT INTO t VALUES (6, ?)", sqlite3.DataError, "SQLITE_TOOBIG", "x" * (LIMIT + 1)),
    statement("too big a row", "INSERT INTO audit VALUES (zeroblob(200000))", sqlite3.DataError, "SQLITE_TOOBIG"),
    Culprit("not RETURNING", lambda db: db.write_returning("SELECT 1 FROM missing"), OPERATIONAL, "SQLITE_ERROR"),
]

HALF_DONE = [
    statement("a type, row 3", "INSERT INTO strict VALUES (1), (2), ('x')", INTEGRITY, "SQLITE_CONSTRAINT_DATATYPE"),
    statement(
        "a row too big, row 2",
        "INSERT INTO raising SELECT value || hex(zeroblob(value)) FROM json_each('[1, 60000]')",
        sqlite3.DataError,
        "SQLITE_TOOBIG",
    ),
    statement(
        "malformed JSON, row 2",
        'INSERT INTO raising SELECT e.value FROM json_each(\'["[1]", "{"]\') AS o, json_each(o.value) AS e',
        OPERATIONAL,
        "SQLITE_ERROR",
    ),
    statement(
        "a sum that overflows, row 2",
        "UPDATE filled SET x = (SELECT sum(v) FROM (SELECT x AS v UNION ALL SELECT 1))",
        OPERATIONAL,
        "SQLITE_ERROR",
    ),
    statement(
        "mismatch, row 2",
        "INSERT OR REPLACE INTO parent (id) SELECT value FROM json_each('[1, \"x\"]')",
        INTEGRITY,
        "SQLITE_MISMATCH",
    ),
    Culprit(
        "RETURNING what is no UTF-8",
        lambda db: db.write_returning("INSERT INTO raising VALUES (CAST(x'ff' AS TEXT)) RETURNING how"),
        OPERATIONAL,
    ),
    Culprit(
        "RETURNING what is no UTF-8, in write_count",
        lambda db: db.write_count("UPDATE filled SET x = CAST(x'ff' AS TEXT) RETURNING x"),
        OPERATIONAL,
    ),
    statement("OR FAIL", "INSERT OR FAIL INTO t (x) VALUES (6), (7), (5), (8)", INTEGRITY, UNIQUE),
    statement("UPDATE OR FAIL", "UPDATE OR FAIL audited SET x = 77", INTEGRITY, UNIQUE),
    statement("ON CONFLICT FAIL", "INSERT INTO fails VALUES (6), (7), (5)", INTEGRITY, UNIQUE),
    statement("RAISE(FAIL)", "INSERT INTO raising VALUES ('a'), ('fail')", INTEGRITY, "SQLITE_CONSTRAINT_TRIGGER"),
    statement("OR FAIL behind a trigger", "INSERT OR FAIL INTO audited VALUES (5)", INTEGRITY, UNIQUE),
    *[
        statement(f"{name} in a trigger", sql, INTEGRITY, errorname)
        for name, sql, errorname in [
            ("OR FAIL", "INSERT INTO halving VALUES ('unique')", UNIQUE),
            ("ON CONFLICT FAIL", "INSERT INTO halving VALUES ('null')", "SQLITE_CONSTRAINT_NOTNULL"),
            ("RAISE(FAIL)", "INSERT INTO halving VALUES ('raise')", "SQLITE_CONSTRAINT_TRIGGER"),
            ("OR FAIL of an UPDATE", "UPDATE halving SET how = 'new'", UNIQUE),
            ("OR FAIL of a DELETE", "DELETE FROM halving", UNIQUE),
            ("OR FAIL of a view", "INSERT INTO shown VALUES ('x')", UNIQUE),
            ("OR FAIL one deeper", "INSERT INTO deeper VALUES ('x')", UNIQUE),
            ("OR FAIL of a virtual table", "INSERT INTO boxing VALUES (1)", "SQLITE_CONSTRAINT"),
        ]
    ],
    Culprit(
        "OR FAIL in a trigger, in write_count",
        lambda db: db.write_count("INSERT INTO halving VALUES ('unique')"),
        INTEGRITY,
        UNIQUE,
    ),
    Culprit(
        "OR FAIL in write_count",
        lambda db: db.write_count("INSERT OR FAIL INTO t (x) VALUES (6), (5)"),
        INTEGRITY,
        UNIQUE,
    ),
    Culprit(
        "OR FAIL in write_returning",
        lambda db: db.write_returning("INSERT OR FAIL INTO t (x) VALUES (6), (5) RETURNING x"),
        INTEGRITY,
        UNIQUE,
    ),
    Culprit(
        "DDL in write_returning",
        lambda db: db.write_returning("CREATE TABLE made (x)"),
        NotAQuery,
    ),
    Culprit(
        "INSERT in write_returning",
        lambda db: db.write_returning("INSERT INTO t (x) VALUES (6)"),
        NotAQuery,
    ),
]

LOST = [
    statement("OR ROLLBACK", "INSERT OR ROLLBACK INTO t (x) VALUES (6), (5)", INTEGRITY, UNIQUE),
    statement("RAISE(ROLLBACK)", "INSERT INTO raising VALUES ('rollback')", INTEGRITY, "SQLITE_CONSTRAINT_TRIGGER"),
    statement("interrupt", f"{MANY_ROWS} SELECT i + coalesce(stop(), 0) FROM n", OPERATIONAL, "SQLITE_INTERRUPT"),
    statement(
        "progress handler", f"{MANY_ROWS} SELECT i + coalesce(give_up(), 0) FROM n", OPERATIONAL, "SQLITE_INTERRUPT"
    ),
]

REFUSED_AT_COMMIT = [
    statement("foreign key", "INSERT INTO child VALUES (1, 99)", INTEGRITY, "SQLITE_CONSTRAINT_FOREIGNKEY"),
]


def spoil(sql: str) -> Callable[[sqlite3.Connection], None]:
    def spoiling(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO audit VALUES ('before')")
        conn.execute(sql)

    return spoiling


SEVERAL_STATEMENTS = [
    Culprit(
        f"{verb}: {sql}",
        {
            "write_many": lambda db, sql=sql: db.write_many(sql, [()] * 3),
            "write_script": lambda db, sql=sql: db.write_script(f"INSERT INTO audit VALUES (1); {sql}; SELECT 1;"),
            "write_fn": lambda db, sql=sql: db.write_fn(spoil(sql)),
            "write_fn(once)": lambda db, sql=sql: db.write_fn(spoil(sql), once=True),
        }[verb],
        INTEGRITY,
        errorname,
    )
    for verb in ("write_many", "write_script", "write_fn", "write_fn(once)")
    for sql, errorname in [
        ("INSERT INTO t (x) VALUES (5)", UNIQUE),
        ("INSERT OR FAIL INTO t (x) VALUES (6), (5)", UNIQUE),
        ("INSERT OR ROLLBACK INTO t (x) VALUES (6), (5)", UNIQUE),
        ("INSERT INTO raising VALUES ('rollback')", "SQLITE_CONSTRAINT_TRIGGER"),
        ("INSERT INTO child (parent) VALUES (99)", "SQLITE_CONSTRAINT_FOREIGNKEY"),
    ]
]


def attempting(attempt: Callable[[sqlite3.Connection], object]) -> Callable[[SQLiteDatabase], Awaitable[Any]]:
    """A function that writes, attempts something with its connection, swallows what that raises, and writes again."""

    def fn(conn: sqlite3.Connection) -> None:
        conn.execute("INSERT INTO audit VALUES ('before')")
        with suppress(Exception):
            attempt(conn)
        with suppress(Exception):
            conn.execute("INSERT INTO audit VALUES ('after')")
        with suppress(Exception):
            conn.executemany("INSERT INTO audit VALUES (?)", [("after",)])
        with suppress(Exception):
            conn.cursor().execute("CREATE TABLE made (x)")

    return lambda db: db.write_fn(fn)


def leave_open(conn: sqlite3.Connection) -> None:
    with conn:
        conn.execute("INSERT INTO audit VALUES ('inside')")


ENDS_ITS_TRANSACTION = [
    Culprit(name, attempting(attempt), ForbiddenStatement)
    for name, attempt in {
        "commit()": lambda conn: conn.commit(),
        "rollback()": lambda conn: conn.rollback(),
        "COMMIT": lambda conn: conn.execute("COMMIT"),
        "END": lambda conn: conn.cursor().execute("END"),
        "ROLLBACK": lambda conn: conn.execute("ROLLBACK"),
        "SAVEPOINT": lambda conn: conn.execute("SAVEPOINT mine"),
        "executescript()": lambda conn: conn.executescript("SELECT 1"),
        "executescript() of a cursor": lambda conn: conn.cursor().executescript("SELECT 1"),
        "executescript() of the base class": lambda conn: sqlite3.Cursor.executescript(conn.cursor(), "SELECT 1"),
        "with connection": leave_open,
        "isolation_level = None": lambda conn: setattr(conn, "isolation_level", None),
        "isolation_level = DEFERRED": lambda conn: setattr(conn, "isolation_level", "DEFERRED"),
        "autocommit = True": lambda conn: setattr(conn, "autocommit", True),
        "autocommit = False": lambda conn: setattr(conn, "autocommit", False),
        "set_authorizer()": lambda conn: conn.set_authorizer(None),
        "OR ROLLBACK, swallowed": lambda conn: conn.execute("INSERT OR ROLLBACK INTO t (x) VALUES (6), (5)"),
        "RAISE(ROLLBACK), swallowed": lambda conn: conn.execute("INSERT INTO raising VALUES ('rollback')"),
        "interrupt, swallowed": lambda conn: conn.execute(f"{MANY_ROWS} SELECT i + coalesce(stop(), 0) FROM n"),
    }.items()
]

CULPRITS = [
    *UNDONE_BY_SQLITE,
    *PERHAPS_HALF_DONE,
    *HALF_DONE,
    *LOST,
    *REFUSED_AT_COMMIT,
    *SEVERAL_STATEMENTS,
    *ENDS_ITS_TRANSACTION,
]


def neighbour(db: SQLiteDatabase, n: int) -> Awaitable[Any]:
    """The n-th well-behaved job; each verb in turn. It adds (name: n) to the log once."""
    sql = "INSERT INTO log (name) VALUES (?)"
    match n % 6:
        case 0:
            return db.write_fn(lambda conn: conn.execute(sql, (str(n),)).lastrowid)
        case 1:
            return db.write_many(sql, [(str(n),)])
        case 2:
            return db.write_script(f"INSERT INTO log (name) VALUES ('{n}');")
        case 3:
            return db.write_returning(f"{sql} RETURNING id, name", (str(n),))
        case _:
            return db.write(sql, (str(n),))


async def state(db: SQLiteDatabase) -> list[Any]:
    """All that culprits could have changed."""
    tables = [tuple(row) for row in await db.read("SELECT name, sql FROM sqlite_schema ORDER BY name")]
    return [tables, *[[tuple(row) for row in await db.read(f"SELECT * FROM {name}")] for name in TABLES]]


async def run_among_neighbours(db: SQLiteDatabase, culprits: dict[int, Culprit], size: int = 20) -> None:
    before = await state(db)
    jobs = [culprits[n].run(db) if n in culprits else neighbour(db, n) for n in range(size)]
    outcomes = await in_one_batch(db, *jobs)
    for n, outcome in enumerate(outcomes):
        if n in culprits:
            culprits[n].assert_is(outcome)
        else:
            assert not isinstance(outcome, BaseException), (n, outcome)
    good = [n for n in range(size) if n not in culprits]
    log = {name: rowid for rowid, name in await db.read("SELECT id, name FROM log ORDER BY id")}
    assert list(log) == [str(n) for n in good], "each neighbour once, in order"
    assert len(log) == await db.read_value("SELECT count(*) FROM log")
    for n in good:
        match n % 6:
            case 1:
                assert outcomes[n] == 1
            case 2:
                assert outcomes[n] is None
            case 3:
                assert [tuple(row) for row in outcomes[n]] == [(log[str(n)], str(n))]
            case _:
                assert outcomes[n] == log[str(n)], "its own rowid"
    assert await state(db) == before
    statistics = db.statistics()
    await db.write("DELETE FROM log")
    assert await in_one_batch(db, *[neighbour(db, n) for n in range(6)]) != []
    assert await db.read_value("SELECT count(*) FROM log") == 6
    assert db.statistics().batch_splits == statistics.batch_splits, "the next batch is an ordinary one"
    await db.write("DELETE FROM log")


@pytest.mark.parametrize("position", [0, 10, 19], ids=["first", "in the middle", "last"])
@pytest.mark.parametrize("culprit", CULPRITS, ids=lambda culprit: culprit.name)
async def test_a_culprit_fails_alone(db: SQLiteDatabase, culprit: Culprit, position: int) -> None:
    await run_among_neighbours(db, {position: culprit})


@pytest.mark.parametrize("culprit", CULPRITS, ids=lambda culprit: culprit.name)
async def test_a_culprit_without_neighbours_changes_nothing(db: SQLiteDatabase, culprit: Culprit) -> None:
    await run_among_neighbours(db, {0: culprit}, size=1)


@pytest.mark.parametrize("positions", [(0, 1, 2), (0, 9, 19), (17, 18, 19), (3, 5, 7, 9, 11), tuple(range(20))])
async def test_several_culprits_fail_each_with_its_own_error(db: SQLiteDatabase, positions: tuple[int, ...]) -> None:
    kinds = [LOST[0], UNDONE_BY_SQLITE[0], REFUSED_AT_COMMIT[0], HALF_DONE[0], ENDS_ITS_TRANSACTION[0], LOST[2]]
    await run_among_neighbours(db, {at: kinds[i % len(kinds)] for i, at in enumerate(positions)})


@pytest.mark.parametrize("culprit", UNDONE_BY_SQLITE, ids=lambda culprit: culprit.name)
async def test_what_sqlite_undoes_itself_costs_the_neighbours_no_second_run(
    db: SQLiteDatabase, culprit: Culprit
) -> None:
    runs: list[int] = []
    outcomes = await in_one_batch(db, db.write_fn(lambda conn: runs.append(1)), culprit.run(db), neighbour(db, 4))
    culprit.assert_is(outcomes[1])
    assert (len(runs), db.statistics().batch_splits) == (1, 0)


@pytest.mark.parametrize("sql", ["", None, ["a list"], "SELECT 1", "COMMIT"])
async def test_what_is_refused_before_it_has_run_costs_the_neighbours_no_second_run(
    db: SQLiteDatabase, sql: Any
) -> None:
    await db.write("INSERT INTO log (name) VALUES ('before')")
    _, refused, _ = await in_one_batch(db, neighbour(db, 1), db.write(sql), neighbour(db, 2))
    assert isinstance(refused, Exception)
    assert db.statistics().batch_splits == 0


async def test_a_deferred_foreign_key_is_judged_by_the_batch_and_alone_where_that_is_asked_for(
    db: SQLiteDatabase,
) -> None:
    def orphan(conn: sqlite3.Connection, parent: int) -> None:
        conn.execute("INSERT INTO child (parent) VALUES (?)", (parent,))

    repaired = await in_one_batch(db, db.write_fn(orphan, 1), db.write("INSERT INTO parent VALUES (1)"))
    assert repaired == [None, 1]
    alone, _ = await in_one_batch(db, db.write_fn(orphan, 2, once=True), db.write("INSERT INTO parent VALUES (2)"))
    assert isinstance(alone, sqlite3.IntegrityError)


async def test_jobs_in_two_halves_of_a_refused_commit_keep_their_order(db: SQLiteDatabase) -> None:
    culprits = {n: REFUSED_AT_COMMIT[0] for n in (2, 3, 11)}
    await run_among_neighbours(db, culprits)


# -- once ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoiler", [LOST[0], HALF_DONE[0], REFUSED_AT_COMMIT[0]], ids=lambda culprit: culprit.name)
async def test_a_function_runs_again_when_a_neighbour_spoils_but_not_with_once(
    db: SQLiteDatabase, spoiler: Culprit
) -> None:
    runs: list[str] = []

    def fn(conn: sqlite3.Connection, name: str) -> None:
        runs.append(name)
        conn.execute("INSERT INTO log (name) VALUES (?)", (name,))

    await in_one_batch(
        db, db.write_fn(fn, "again"), spoiler.run(db), db.write_fn(fn, "once", once=True), spoiler.run(db)
    )
    assert runs.count("once") == 1
    assert runs.count("again") == 2
    assert [row[0] for row in await db.read("SELECT name FROM log")] == ["again", "once"]


@pytest.mark.parametrize("neighbours", [0, 2])
async def test_a_function_that_swallows_the_loss_of_its_transaction_fails(db: SQLiteDatabase, neighbours: int) -> None:
    def swallow(conn: sqlite3.Connection) -> str:
        conn.execute("INSERT INTO audit VALUES ('before')")
        with suppress(sqlite3.IntegrityError):
            conn.execute("INSERT OR ROLLBACK INTO t (x) VALUES (6), (5)")
        return "done"

    outcomes = await in_one_batch(db, db.write_fn(swallow), *[neighbour(db, n) for n in range(neighbours)])
    with pytest.raises(ForbiddenStatement, match="ended the transaction"):
        raise outcomes[0]
    assert [row[0] for row in await db.read("SELECT name FROM log")] == [str(n) for n in range(neighbours)]
    assert await db.read("SELECT * FROM audit") == []


async def test_a_cursor_kept_with_unread_rows_of_returning_stops_no_job(db: SQLiteDatabase) -> None:
    kept: list[sqlite3.Cursor] = []

    def keep(conn: sqlite3.Connection) -> None:
        cursor = conn.execute("INSERT INTO t (x) VALUES (6), (7) RETURNING x")
        cursor.fetchone()
        kept.append(cursor)

    culprit = Culprit("kept", lambda db: db.write_fn(keep), OPERATIONAL, "SQLITE_BUSY")
    await run_among_neighbours(db, {10: culprit})
    await run_among_neighbours(db, {0: culprit}, size=1)


# -- no job's fault --------------------------------------------------------------------------------------------------


async def test_a_full_disk_fails_the_whole_batch_and_the_writer_goes_on_when_there_is_space(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, pragmas={"max_page_count": 60}) as db:
        await db.write_script("CREATE TABLE blobs (x); CREATE TABLE log (id INTEGER PRIMARY KEY, name)")
        await db.write("INSERT INTO blobs VALUES (zeroblob(150000))")
        runs: list[int] = []

        def run(conn: sqlite3.Connection) -> None:
            runs.append(1)
            conn.execute("INSERT INTO log (name) VALUES ('function')")

        small = ("INSERT INTO log (name) VALUES (?)", ("small",))
        large = "INSERT INTO blobs VALUES (zeroblob(150000))"
        outcomes = await in_one_batch(
            db,
            *[db.write(*small) for _ in range(9)],
            db.write_fn(run),
            db.write(large),
            *[db.write(*small) for _ in "123"],
        )
        assert [getattr(outcome, "sqlite_errorname", outcome) for outcome in outcomes] == ["SQLITE_FULL"] * 14
        assert len(set(map(id, outcomes))) == 14, "an error of its own for each"
        assert runs == [1], "no second run"
        assert await db.read_value("SELECT count(*) FROM log") == 0
        await db.write("DELETE FROM blobs")
        assert await in_one_batch(db, db.write(*small), db.write(large)) == [1, 1]
    assert_healthy(db_path)


TAKE_THE_LARGEST = "INSERT INTO spent VALUES (9223372036854775807)"


async def by_an_earlier_job(db: SQLiteDatabase) -> Awaitable[object]:
    await db.write(TAKE_THE_LARGEST)
    return db.write("INSERT INTO spent DEFAULT VALUES")


async def by_the_same_job(db: SQLiteDatabase) -> Awaitable[object]:
    return db.write_script(f"{TAKE_THE_LARGEST}; INSERT INTO spent DEFAULT VALUES")


async def by_an_update(db: SQLiteDatabase) -> Awaitable[object]:
    await db.write("INSERT INTO spent DEFAULT VALUES")
    await db.write("UPDATE spent SET id = 9223372036854775807")
    return db.write("INSERT INTO spent DEFAULT VALUES")


@pytest.mark.parametrize("spend", [by_an_earlier_job, by_the_same_job, by_an_update], ids=lambda spend: spend.__name__)
async def test_a_table_out_of_rowids_is_no_full_disk_and_fails_alone(
    db_path: Path, spend: Callable[[SQLiteDatabase], Awaitable[Awaitable[object]]]
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE spent (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE TABLE log (name)")
        culprit = await spend(db)
        small = ("INSERT INTO log VALUES (?)", ("small",))
        outcomes = await in_one_batch(db, db.write(*small), culprit, db.write(*small))
        assert [getattr(outcome, "sqlite_errorname", outcome) for outcome in outcomes] == [1, "SQLITE_FULL", 2]
    assert_healthy(db_path)


async def test_each_job_that_a_full_disk_fails_has_a_note_of_its_own_sql(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, pragmas={"max_page_count": 30}) as db:
        await db.write("CREATE TABLE blobs (x)")
        outcomes = await in_one_batch(
            db,
            db.write("INSERT INTO blobs VALUES ('first')"),
            db.write("INSERT INTO blobs VALUES (zeroblob(1500000))"),
            db.write("INSERT INTO blobs VALUES ('last')"),
        )
    notes = [error.__notes__ for error in outcomes]
    assert notes == [
        ["SQL: INSERT INTO blobs VALUES ('first')"],
        ["SQL: INSERT INTO blobs VALUES (zeroblob(1500000))"],
        ["SQL: INSERT INTO blobs VALUES ('last')"],
    ]


# -- time ------------------------------------------------------------------------------------------------------------


async def test_a_batch_out_of_time_leaves_the_rest_for_the_next_in_order(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(run_batch.__kwdefaults__, "budget", 0.0)  # type: ignore[arg-type]
    before = db.statistics().batches
    outcomes = await in_one_batch(db, *[db.write("INSERT INTO log (name) VALUES (?)", (n,)) for n in range(100)])
    assert outcomes == list(range(1, 101))
    assert db.statistics().batches > before + 2


async def test_a_culprit_fails_alone_in_batches_out_of_time_too(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(run_batch.__kwdefaults__, "budget", 0.0)  # type: ignore[arg-type]
    await run_among_neighbours(db, {2: LOST[0], 9: REFUSED_AT_COMMIT[0], 12: HALF_DONE[0], 30: LOST[2]}, size=40)


async def test_a_second_run_that_is_out_of_time_goes_on_where_it_was(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # 40 jobs; number 30 spoils:    0 .. 30                  rolled back, to be cut in three
    #                               0, 1 (time is up)        committed
    #                               2 .. 29 | 30 | 31 .. 39  still in this order
    now, runs = [0.0], 0

    def take_long_the_second_time(conn: sqlite3.Connection) -> int | None:
        nonlocal runs
        runs += 1
        now[0] += 100.0 * (runs == 2)
        return conn.execute("INSERT INTO log (name) VALUES ('1')").lastrowid

    for room in ("batch", "operations"):
        monkeypatch.setattr(f"aiomemdb.sqlite.writing.{room}.monotonic", lambda: now[0])
    plain_insert = "INSERT INTO log (name) VALUES (?)"
    jobs = [db.write(plain_insert, (n,)) for n in range(40)]
    for n, job in ((1, db.write_fn(take_long_the_second_time)), (30, LOST[0].run(db))):
        jobs[n].close()
        jobs[n] = job  # type: ignore[call-overload]
    outcomes = await in_one_batch(db, *jobs)
    LOST[0].assert_is(outcomes.pop(30))
    assert outcomes == list(range(1, 40))
    names = [row[0] for row in await db.read("SELECT name FROM log ORDER BY id")]
    assert names == [str(n) for n in range(40) if n != 30]


# -- errors ----------------------------------------------------------------------------------------------------------


async def test_an_error_has_a_note_of_the_sql_and_never_of_the_parameters(db: SQLiteDatabase) -> None:
    sql, secret = "INSERT INTO t (x, y) VALUES (5, ?)", "a secret"
    outcomes = await in_one_batch(
        db,
        db.write(sql, (secret,)),
        db.write_count(sql, (secret,)),
        db.write_returning(f"{sql} RETURNING x", (secret,)),
        db.write_many(sql, [(secret,)]),
        db.write("INSERT OR ROLLBACK INTO t (x, y) VALUES (5, ?)", (secret,)),
        db.write("INSERT INTO child (parent) VALUES (?)", (secret,)),
        db.write("PRAGMA journal_mode = OFF"),
    )
    for outcome in outcomes:
        shown: BaseException | None = outcome
        while shown is not None:
            assert secret not in repr(shown) + str(getattr(shown, "__notes__", ""))
            frames = shown.__traceback__
            while frames is not None:
                # The caller's own frames hold them, those of the writer's thread must not be there.
                assert not frames.tb_frame.f_code.co_filename.endswith(("batch.py", "session.py"))
                frames = frames.tb_next
            shown = shown.__cause__ or shown.__context__
        assert outcome.__notes__[0].startswith("SQL: ")
        assert len(outcome.__notes__) == 1


async def test_the_note_shortens_an_endless_statement(db: SQLiteDatabase) -> None:
    with pytest.raises(sqlite3.OperationalError) as caught:
        await db.write("SELECT " + "1, " * 100_000)
    [note] = caught.value.__notes__
    assert len(note) < 1100


async def test_a_value_that_is_too_big_names_the_option(db: SQLiteDatabase) -> None:
    with pytest.raises(sqlite3.DataError) as caught:
        await db.write("INSERT INTO log (name) VALUES (?)", ("x" * (LIMIT + 1),))
    assert f"max_value_bytes={LIMIT}" in caught.value.__notes__[1]


async def test_errors_of_equal_jobs_are_not_shared(db: SQLiteDatabase) -> None:
    for sql in ("INSERT INTO t (x) VALUES (5)", "INSERT INTO child VALUES (1, 99)"):
        outcomes = await in_one_batch(db, *[db.write(sql) for _ in range(4)])
        assert len(set(map(id, outcomes))) == 4
        assert all(len(error.__notes__) == 1 for error in outcomes)


class Refusal(Exception):
    """Its constructor takes something else than what it hands on."""

    def __init__(self, name: str) -> None:
        super().__init__(f"refused: {name}")


async def test_an_error_of_a_function_arrives_as_it_was_raised(db: SQLiteDatabase) -> None:
    raised = Refusal("x")

    def refuse(conn: sqlite3.Connection) -> None:
        try:
            raise KeyError("context")
        except KeyError:
            raise raised  # noqa: B904

    for neighbours in (0, 2):
        outcome, *_ = await in_one_batch(db, db.write_fn(refuse), *[neighbour(db, 4) for _ in range(neighbours)])
        assert outcome is raised
        assert outcome.args == ("refused: x",)
        assert isinstance(outcome.__context__, KeyError) and not outcome.__suppress_context__
        frames = []
        trace = outcome.__traceback__
        while trace is not None:
            frames.append(trace.tb_frame.f_code.co_name)
            trace = trace.tb_next
        assert "refuse" in frames, "the way into the function is in its traceback"


async def test_statistics_count_what_failed_and_what_did_not(db: SQLiteDatabase) -> None:
    before = db.statistics()
    await in_one_batch(db, *[neighbour(db, n) for n in range(5)], LOST[0].run(db), UNDONE_BY_SQLITE[0].run(db))
    after = db.statistics()
    assert after.writes - before.writes == 6  # the gate's function too
    assert after.write_errors - before.write_errors == 2
    assert after.batch_splits - before.batch_splits == 1
    assert after.batches - before.batches == 2
    assert after.largest_batch == 7


async def test_nothing_of_a_culprit_is_in_the_file(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, prepare=interrupting, max_value_bytes=LIMIT) as db:
        await db.write_script(SCHEMA)
        before = await state(db)
        for culprit in CULPRITS:
            with suppress(Exception):
                await culprit.run(db)
        assert await state(db) == before
    assert plain(db_path, "SELECT count(*) FROM log") == [(0,)]
    assert_healthy(db_path)


async def test_a_caller_that_leaves_takes_nothing_from_its_neighbours_when_the_batch_is_split(
    db: SQLiteDatabase,
) -> None:
    # test                           writer's thread
    # -----------------------------  --------------------------------------------
    # 0, a spoiler, 1 queue up       a function holds the writer
    # 0 is cancelled
    #                                [spoiler, 1] is rolled back: [spoiler], [1]

    async def leave() -> None:
        leaving = db.submit("INSERT INTO log (name) VALUES ('0')")
        await asyncio.sleep(0)
        leaving.cancel()

    outcomes = await in_one_batch(db, leave(), LOST[0].run(db), neighbour(db, 1))
    LOST[0].assert_is(outcomes[1])
    assert outcomes[2] == 1
    assert [row[0] for row in await db.read("SELECT name FROM log")] == ["1"]
