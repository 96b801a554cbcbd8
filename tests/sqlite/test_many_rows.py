"""Runs of plain inserts by statements of many rows: the same rows, rowids and errors as one by one."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import aiomemdb
from aiomemdb.concurrency.job import Failure, Operation
from aiomemdb.errors import ForbiddenStatement
from aiomemdb.sqlite.connection.arguments import checked_rows
from aiomemdb.sqlite.writing.batch import Batch, run_batch
from aiomemdb.sqlite.writing.bytecode import explained, gains
from aiomemdb.sqlite.writing.many_rows import of_many_rows
from aiomemdb.sqlite.writing.operations import COUNT, MANY, WRITE
from aiomemdb.sqlite.writing.operations import run as run_job
from aiomemdb.sqlite.writing.session import Session
from aiomemdb.sqlite.writing.statements import _MANY_ROWS_KEPT, _TURNED_AWAY, _WORTH_COMPILING
from tests.support.batches import in_one_batch, open_session
from tests.support.plain import plain

pytestmark = [pytest.mark.fast_path("many-rows"), pytest.mark.fast_path("runs")]  # they ask whether it is taken

LIMIT = 100_000

SCHEMA = """
CREATE TABLE t (a, b);
CREATE TABLE named (id INTEGER PRIMARY KEY, a TEXT NOT NULL, b REAL DEFAULT 7);
CREATE TABLE strict (n INTEGER, s TEXT) STRICT;
CREATE TABLE indexed (a, b);
CREATE INDEX by_a ON indexed (a) WHERE a IS NOT NULL;
CREATE TABLE failing (a NOT NULL ON CONFLICT FAIL);
CREATE TABLE rolling (a NOT NULL ON CONFLICT ROLLBACK);
CREATE TABLE ignoring (a NOT NULL ON CONFLICT IGNORE);
CREATE TABLE filling (a NOT NULL ON CONFLICT REPLACE DEFAULT 'filled');
CREATE TABLE "odd ""VALUES (?)"" name" ("a, b" INT, c);
CREATE TABLE keyed (a UNIQUE);
CREATE TABLE required (a NOT NULL, b);
CREATE INDEX by_b ON required (b);
CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, a);
CREATE TABLE without (a PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE parent (id INTEGER PRIMARY KEY);
CREATE TABLE child (a REFERENCES parent);
CREATE TABLE checked (a CHECK (a > 0));
CREATE TABLE computed (a, b AS (a + 1) STORED);
CREATE TABLE dated (a, b DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE expressed (a);
CREATE INDEX by_expression ON expressed (a + 1);
CREATE TABLE audited (a);
CREATE TRIGGER audits AFTER INSERT ON audited BEGIN INSERT INTO t VALUES ('audit', NEW.a); END;
CREATE VIEW seen AS SELECT a FROM t;
CREATE TRIGGER sees INSTEAD OF INSERT ON seen BEGIN INSERT INTO t VALUES ('seen', NEW.a); END;
"""


def create(session: Session) -> None:
    sqlite3.Connection.executescript(session.connection, SCHEMA)
    session.connection.guard.clear()


@pytest.fixture
def session(db_path: Path) -> Iterator[Session]:
    with open_session(db_path, max_value_bytes=LIMIT) as session:
        create(session)
        yield session


def run(session: Session, sql: str, parameters: list[Any]) -> list[Any]:
    """Runs the inserts as one batch; returns each one's rowid or its error."""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    batch = Batch([(future, WRITE, sql, params) for params in parameters])
    run_batch(session, batch, budget=60)
    assert batch.fatal is None
    return [o.error if isinstance(o, Failure) else o for o in batch.outcomes]


def statements_of(session: Session, job: Callable[[], object]) -> list[str]:
    """The inserts that SQLite ran for the job."""
    seen: list[str] = []
    sqlite3.Connection.set_trace_callback(session.connection, lambda text: seen.append(text))
    job()
    sqlite3.Connection.set_trace_callback(session.connection, None)
    return [text for text in seen if text.lstrip().upper().startswith("INSERT")]


def goes_at_once(session: Session, sql: str, parameters: list[Any]) -> bool:
    run(session, sql, parameters[:2])
    return len(statements_of(session, lambda: run(session, sql, parameters))) < len(parameters)


# -- which texts -----------------------------------------------------------------------------------------------------

REPEATED = {
    "INSERT INTO t VALUES (?, ?)": "INSERT INTO t VALUES (?, ?), (?, ?)",
    "insert into t(a,b)values(?,?);": "insert into t(a,b)values (?,?), (?,?)",
    " INSERT\tINTO\nmain . t ( a , b )\r\nVALUES ( ? , ? ) ; ": None,
    'INSERT INTO "odd ""VALUES (?)"" name" ("a, b", c) VALUES (?, ?)': None,
    "INSERT INTO tablé (ä$) VALUES (?)": None,
    "INSERT INTO t (a, a) VALUES (?, ?)": None,
}
NOT_REPEATED = [
    "INSERT INTO t VALUES (1) -- VALUES (?)",
    "INSERT INTO t VALUES (?, 1) /* */",
    "INSERT /* VALUES (?) */ INTO t VALUES (?, ?)",
    "INSERT INTO t VALUES (?, ?) -- (",
    "INSERT INTO t VALUES (?, ?), (?, ?)",
    "INSERT INTO t SELECT ?1, ?2 UNION ALL VALUES (?, ?)",
    "INSERT INTO t WITH c AS (SELECT 1) VALUES (?, ?)",
    "WITH c AS (SELECT 1) INSERT INTO t VALUES (?, ?)",
    "INSERT INTO t VALUES (?1, ?2)",
    "INSERT INTO t VALUES (?2, ?1)",
    "INSERT INTO t VALUES (:a, @b)",
    "INSERT INTO t VALUES (?, 'VALUES (?)')",
    "INSERT INTO t VALUES (?, ? + 1)",
    "INSERT INTO t VALUES (?, (?))",
    "INSERT INTO t AS u VALUES (?, ?)",
    "INSERT INTO t VALUES (?, ?) RETURNING a",
    "INSERT INTO keyed VALUES (?) ON CONFLICT DO NOTHING",
    "INSERT OR IGNORE INTO t VALUES (?, ?)",
    "INSERT OR FAIL INTO t VALUES (?, ?)",
    "INSERT OR ROLLBACK INTO t VALUES (?, ?)",
    "INSERT OR REPLACE INTO t VALUES (?, ?)",
    "REPLACE INTO t VALUES (?, ?)",
    "INSERT INTO t DEFAULT VALUES",
    "INSERT INTO t VALUES (?, ?); SELECT 1",
    "INSERT INTO t VALUES ()",
    "INSERT INTO 't' VALUES (?, ?)",
    "VALUES (?, ?)",
    "",
]


@pytest.mark.parametrize("sql", REPEATED)
def test_a_simple_text_has_one_of_many_rows(sql: str) -> None:
    columns = sql.rsplit("(", 1)[1].count("?")
    for many in of_many_rows(sql):
        assert many.columns == columns
        head, *rows = many.text.split("), ")
        assert len(rows) == many.rows - 1
        assert many.text.count("?") == sql.count("?") + (many.rows - 1) * columns
        if expected := REPEATED[sql]:
            assert ", ".join([f"{head})", f"{rows[0]})"]) == expected
    assert of_many_rows(sql)


@pytest.mark.parametrize("sql", NOT_REPEATED)
def test_any_other_text_has_none(sql: str) -> None:
    assert of_many_rows(sql) == ()


@pytest.mark.parametrize(("columns", "sizes"), [(1, [64, 16]), (15, [64, 16]), (16, [16]), (62, [16]), (63, [])])
def test_no_statement_has_more_parameters_than_any_sqlite_allows(columns: int, sizes: list[int]) -> None:
    sql = f"INSERT INTO t VALUES ({', '.join('?' * columns)})"
    assert [many.rows for many in of_many_rows(sql)] == sizes


# -- which tables ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["t", "named", "strict", "indexed", "failing", "filling"])
def test_a_run_into_a_simple_table_goes_at_once(session: Session, table: str) -> None:
    column = "n" if table == "strict" else "a"
    assert goes_at_once(session, f"INSERT INTO {table} ({column}) VALUES (?)", [(n,) for n in range(1, 101)])


@pytest.mark.parametrize(
    "table",
    ["keyed", "required", "auto", "without", "child", "checked", "computed", "dated", "expressed", "audited", "seen"],
)
def test_a_run_into_any_other_goes_row_by_row(session: Session, table: str) -> None:
    session.connection.execute(
        "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n) INSERT INTO parent SELECT i FROM n LIMIT 999"
    )
    session.connection.own("PRAGMA foreign_keys=ON")
    parameters = [(n,) for n in range(3, 103)]
    assert not goes_at_once(session, f"INSERT INTO {table} (a) VALUES (?)", parameters)


def test_a_run_takes_few_statements(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    for _ in range(2):
        run(session, sql, [(0, 0)] * 100)
    seen = statements_of(session, lambda: run(session, sql, [(n, "x") for n in range(1 + 64 + 16 + 16 + 3)]))
    assert [text.count("'x'") for text in seen] == [1, 64, 16, 16, 1, 1, 1]


def test_a_run_that_begins_a_batch_of_others_goes_at_once_as_far_as_it_reaches(session: Session) -> None:
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    insert, other = "INSERT INTO t VALUES (?, ?)", "INSERT INTO auto (a) VALUES (?)"
    run(session, insert, [(0, 0)] * 2)
    jobs = [*[(future, WRITE, insert, (n, "x")) for n in range(20)], *[(future, WRITE, other, (n,)) for n in range(5)]]
    batch = Batch(jobs)
    seen = statements_of(session, lambda: run_batch(session, batch, budget=60))
    assert [text.count("'x'") for text in seen if "'x'" in text] == [1, 16, 1, 1, 1]
    assert batch.outcomes == [*range(3, 23), *range(1, 6)]


def test_another_verb_of_the_same_text_is_no_part_of_a_run(session: Session) -> None:
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    sql = "INSERT INTO t VALUES (?, ?)"
    verbs = [COUNT if n == 50 else WRITE for n in range(100)]
    batch = Batch([(future, verb, sql, (n, 0)) for n, verb in enumerate(verbs)])
    run_batch(session, batch, budget=60)
    assert batch.outcomes == [1 if n == 50 else n + 1 for n in range(100)]


# -- parameters ------------------------------------------------------------------------------------------------------


class Raising:
    def __conform__(self, protocol: object) -> str:
        raise KeyError("no")


class Adapted:
    def __conform__(self, protocol: object) -> str:
        return "adapted"


class NoLength:
    def __len__(self) -> int:
        raise sqlite3.OperationalError("no length")

    def __conform__(self, protocol: object) -> str:
        return "of no length"


def test_parameters_that_fit_together_but_not_each_fail_alone(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    short, long = 30, 31
    outcomes = run(session, sql, [(n,) if n == short else (n, n, n) if n == long else (n, -n) for n in range(100)])
    assert [n for n, o in enumerate(outcomes) if isinstance(o, sqlite3.ProgrammingError)] == [short, long]
    rows = session.connection.execute("SELECT a, b FROM t").fetchall()
    assert [tuple(row) for row in rows] == [(n, -n) for n in range(100) if n not in (short, long)]


def test_a_mapping_among_tuples_is_not_taken_for_its_keys(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    outcomes = run(session, sql, [{"a": 1, "b": 2} if n == 40 else (n, n) for n in range(100)])
    assert [n for n, o in enumerate(outcomes) if isinstance(o, BaseException)] == [40]
    assert not session.connection.execute("SELECT 1 FROM t WHERE a = 'a'").fetchall()


def test_a_value_that_can_not_be_bound_fails_alone(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    bad: dict[int, Any] = {20: object(), 21: 2**70, 40: Raising(), 90: "x" * (LIMIT + 1), 99: "\ud800"}
    good: dict[int, Any] = {50: Adapted(), 51: NoLength(), 52: b"", 53: None}
    outcomes = run(session, sql, [(n, bad.get(n, good.get(n, n))) for n in range(100)])
    assert [n for n, o in enumerate(outcomes) if isinstance(o, BaseException)] == sorted(bad)
    assert isinstance(outcomes[40], KeyError)
    rows = dict(session.connection.execute("SELECT a, b FROM t").fetchall())
    assert [n for n in range(100) if n not in rows] == sorted(bad)
    assert [rows[n] for n in good] == ["adapted", "of no length", b"", None]


def test_large_values_are_not_copied_together(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    assert goes_at_once(session, sql, [(n, "x" * 1000) for n in range(65)])
    assert not goes_at_once(session, sql, [(n, "x" * 5000) for n in range(65)])
    assert not goes_at_once(session, sql, [(n, b"x" * 90_000 if n in (20, 60) else b"") for n in range(65)])


# -- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["named", "failing", "rolling"])
@pytest.mark.parametrize("at", [1, 2, 30, 64, 65, 81, 99])
def test_a_row_that_is_refused_fails_alone(session: Session, table: str, at: int) -> None:
    outcomes = run(session, f"INSERT INTO {table} (a) VALUES (?)", [(None if n == at else str(n),) for n in range(100)])
    assert isinstance(outcomes.pop(at), sqlite3.IntegrityError)
    assert outcomes == list(range(1, 100))
    rows = session.connection.execute(f"SELECT a FROM {table} ORDER BY rowid").fetchall()
    assert [row[0] for row in rows] == [str(n) for n in range(100) if n != at]


def test_a_row_that_is_ignored_has_no_rowid(session: Session) -> None:
    outcomes = run(session, "INSERT INTO ignoring VALUES (?)", [(None if n == 50 else n,) for n in range(100)])
    assert outcomes == [*range(1, 51), None, *range(51, 100)]


# SQLite does not undo a statement of many rows after these, nor count what stays.
UNFORESEEN = {
    "a wrong type": ("INSERT INTO strict VALUES (?, ?)", ("no number", "x"), sqlite3.IntegrityError),
    "too large a row": ("INSERT INTO t VALUES (?, ?)", ("x" * 60_000, "y" * 60_000), sqlite3.DataError),
}


@pytest.mark.parametrize("at", [1, 2, 30, 64, 65, 81, 99])
@pytest.mark.parametrize("kind", UNFORESEEN)
def test_an_error_that_sqlite_does_not_foresee_leaves_no_row_twice(session: Session, kind: str, at: int) -> None:
    sql, bad, error = UNFORESEEN[kind]
    for turn in range(3):
        outcomes = run(session, sql, [bad if n == at else (n, "x") for n in range(100)])
        assert isinstance(outcomes.pop(at), error)
        assert outcomes == list(range(99 * turn + 1, 99 * turn + 100))
    rows = session.connection.execute(f"SELECT * FROM {sql.split()[2]} ORDER BY rowid").fetchall()
    assert [row[0] for row in rows] == [n for n in range(100) if n != at] * 3


class Once:
    """A value that can be bound once."""

    def __init__(self) -> None:
        self.bound = False

    def __conform__(self, protocol: object) -> int:
        if self.bound:
            raise KeyError("twice")
        self.bound = True
        return 1


@pytest.mark.parametrize(
    ("sql", "bad"), [("INSERT INTO strict (n) VALUES (?)", "no number"), ("INSERT INTO failing VALUES (?)", None)]
)
def test_no_row_stays_of_a_statement_with_rows_that_can_not_be_bound_again(
    session: Session, sql: str, bad: object
) -> None:
    """Then nothing is inserted after it with a rowid that could reveal it."""
    for _ in range(2):
        run(session, sql, [(0,)] * 100)  # it is known: nothing more is compiled, or bound to be explained
    outcomes = run(session, sql, [(0,), *[(bad if n == 30 else Once(),) for n in range(64)]])
    assert outcomes[0] == 201
    assert [type(o) for o in outcomes[1:]] == [sqlite3.IntegrityError if n == 30 else KeyError for n in range(64)]
    assert session.connection.execute(f"SELECT count(*) FROM {sql.split()[2]}").fetchone()[0] == 201


def test_an_interrupt_leaves_each_row_once(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    assert goes_at_once(session, sql, [(-1, 0)] * 98)
    stops = [True]
    sqlite3.Connection.set_progress_handler(session.connection, lambda: bool(stops and stops.pop()), 300)
    outcomes = run(session, sql, [(n, "x") for n in range(100)])
    sqlite3.Connection.set_progress_handler(session.connection, None, 300)
    assert not stops
    assert outcomes == list(range(101, 201))
    assert [row[0] for row in session.connection.execute("SELECT a FROM t WHERE a >= 0")] == list(range(100))


def test_a_full_disk_fails_all(session: Session) -> None:
    session.connection.execute("DROP TABLE auto")
    sql = "INSERT INTO t VALUES (?, ?)"
    run(session, sql, [(-1, 0)] * 2)
    [pages] = session.connection.execute("PRAGMA page_count").fetchone()
    session.connection.own(f"PRAGMA max_page_count={pages + 3}")
    outcomes = run(session, sql, [(n, "x" * 1000) for n in range(100)])
    assert {getattr(outcome, "sqlite_errorname", None) for outcome in outcomes} == {"SQLITE_FULL"}
    assert session.connection.execute("SELECT count(*) FROM t").fetchone()[0] == 2
    session.connection.own("PRAGMA max_page_count=1000000")
    assert run(session, sql, [(n, "x" * 1000) for n in range(100)]) == list(range(3, 103))


def test_where_fewer_parameters_are_allowed_it_goes_row_by_row(session: Session) -> None:
    sqlite3.Connection.setlimit(session.connection, sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 20)
    assert run(session, "INSERT INTO t VALUES (?, ?)", [(n, "x") for n in range(100)]) == list(range(1, 101))


@pytest.mark.parametrize(
    ("category", "limit"),
    [(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER, 20), (sqlite3.SQLITE_LIMIT_SQL_LENGTH, 300)],
    ids=["parameters", "length of SQL"],
)
async def test_limits_that_prepare_has_lowered_are_kept_to(db_path: Path, category: int, limit: int) -> None:
    rows = [(n, "x") for n in range(100)]
    async with aiomemdb.connect(db_path, prepare=lambda conn: conn.setlimit(category, limit)) as db:
        await db.write("CREATE TABLE t (a, b)")
        assert await db.write_many("INSERT INTO t VALUES (?, ?)", rows) == 100
        assert await db.write_many("INSERT INTO t VALUES (?, ?)", rows) == 100
        assert await in_one_batch(db, *[db.write("INSERT INTO t VALUES (?, ?)", row) for row in rows]) == [
            *range(201, 301)
        ]


def test_after_a_failed_run_the_rest_of_the_batch_goes_row_by_row(session: Session) -> None:
    sql = "INSERT INTO named (a) VALUES (?)"
    run(session, sql, [("a",), ("b",)])
    parameters = [(None if n == 10 else "x",) for n in range(200)]
    seen = statements_of(session, lambda: run(session, sql, parameters))
    assert sum("'x'), (" in text for text in seen) == 1
    seen = statements_of(session, lambda: run(session, sql, [("x",)] * 200))
    assert sum("'x'), (" in text for text in seen) > 2


def test_rowids_at_the_end_of_their_range_are_told_right(session: Session) -> None:
    session.connection.execute("INSERT INTO named (id, a) VALUES (9223372036854775760, 'top')")  # 47 below the largest
    outcomes = run(session, "INSERT INTO named (a) VALUES (?)", [(str(n),) for n in range(100)])
    rows = dict(session.connection.execute("SELECT a, id FROM named WHERE a <> 'top'").fetchall())
    assert outcomes == [rows[str(n)] for n in range(100)]


# -- the cache of statements and the schema --------------------------------------------------------------------------


def has_many(session: Session, sql: str) -> bool:
    known = session.book.get(sql)
    return known is not None and bool(known.many)


def test_hundreds_of_texts_do_not_crowd_the_cache(session: Session) -> None:
    texts = [f"INSERT INTO t (a, b) {' ' * n}VALUES (?, ?)" for n in range(200)]
    for _ in range(3):
        for sql in texts:
            run(session, sql, [(0, 0)] * 40)
    assert [sql for sql in texts if has_many(session, sql)] == texts[:_MANY_ROWS_KEPT]
    for _ in range(_TURNED_AWAY):
        run(session, texts[-1], [(0, 0)] * 40)
    assert [sql for sql in texts if has_many(session, sql)] == texts[-1:], "what is used now has its turn"


OTHERS_CHANGE = {
    "trigger": "CREATE TRIGGER t_audits AFTER INSERT ON t BEGIN INSERT INTO auto (a) VALUES (NEW.a); END",
    "uneven trigger": """CREATE TRIGGER t_ignores BEFORE INSERT ON t WHEN NEW.a = 50
        BEGIN INSERT INTO auto (a) VALUES (1); SELECT RAISE(IGNORE); END""",
    "unique": "CREATE UNIQUE INDEX t_a ON t (a)",
    "autoincrement": "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a, b)",
    "without": "DROP TABLE t; CREATE TABLE t (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID",
    "columns": "DROP TABLE t; CREATE TABLE t (b, c, a, id INTEGER PRIMARY KEY)",
    "view": "DROP TABLE t; CREATE VIEW t AS SELECT 1 AS a, 2 AS b; "
    "CREATE TRIGGER t_in INSTEAD OF INSERT ON t BEGIN INSERT INTO auto (a) VALUES (NEW.a); END",
}


@pytest.mark.parametrize("change", OTHERS_CHANGE)
def test_what_another_process_made_of_the_table_is_met_as_it_is(session: Session, db_path: Path, change: str) -> None:
    sql = "INSERT INTO t (a, b) VALUES (?, ?)"
    run(session, sql, [(-n, 0) for n in range(1, 101)])
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.executescript(OTHERS_CHANGE[change])
    parameters = [(n, 0) for n in range(100)]
    outcomes = run(session, sql, parameters)
    if change == "view":
        assert outcomes == [None] * 100
        assert len(plain(db_path, "SELECT a FROM auto WHERE a >= 0")) == 100
        return
    rows = dict(plain(db_path, f"SELECT a, {'b' if change == 'without' else 'rowid'} FROM t WHERE a >= 0"))
    assert outcomes == [None if change == "without" else rows.get(n) for n in range(100)]
    assert len(rows) == (99 if "uneven" in change else 100)
    assert len(plain(db_path, "SELECT a FROM auto WHERE a >= 0")) == {"trigger": 100, "uneven trigger": 1}.get(
        change, 0
    )


def test_a_job_of_the_same_batch_that_changes_the_table_ends_the_run(session: Session) -> None:
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    sql = "INSERT INTO t VALUES (?, ?)"
    texts = [(sql, (n, 0)) for n in range(70)]
    change = [
        ("CREATE TRIGGER t_doubles AFTER INSERT ON t WHEN NEW.b = 0 BEGIN INSERT INTO t VALUES (NEW.a, 1); END", ())
    ]
    batch = Batch([(future, WRITE, *job) for job in [*texts, *change, *texts]])
    run_batch(session, batch, budget=60)
    rows = session.connection.execute("SELECT rowid FROM t WHERE b = 0").fetchall()
    assert (
        [o for o in batch.outcomes if o is not None] == [row[0] for row in rows] == [*range(1, 71), *range(71, 211, 2)]
    )


@pytest.mark.parametrize("size", [16, 64])
def test_a_callers_own_text_of_many_rows_is_told_what_it_inserted(session: Session, db_path: Path, size: int) -> None:
    """Where the library ran that very text just before, and so compiled it anew behind a change of the schema."""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    sql = "INSERT INTO without (a) VALUES (?)"
    [own] = [many for many in of_many_rows(sql) if many.rows == size]
    for turn in range(3):
        assert run(session, own.text, [tuple(range(turn * size, (turn + 1) * size))]) == [None]
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.executescript("DROP TABLE without; CREATE TABLE without (a)")
    jobs = [*[(future, WRITE, sql, (n,)) for n in range(150)], (future, WRITE, own.text, tuple(range(size)))]
    batch = Batch(jobs)
    run_batch(session, batch, budget=60)
    assert batch.outcomes == [*range(1, 151), 150 + size]


def test_what_a_run_compiles_says_nothing_of_the_next_text(session: Session) -> None:
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    insert, update = "INSERT INTO t VALUES (?, ?)", "UPDATE parent SET id = id"
    session.connection.execute("INSERT INTO parent VALUES (1)")
    for _ in range(3):
        run(session, insert, [(0, 0)] * 3)
        run(session, update, [()])
    batch = Batch([*[(future, WRITE, insert, (n, 0)) for n in range(1 + 8 + 16)], (future, WRITE, update, ())])
    seen = statements_of(session, lambda: run_batch(session, batch, budget=60))
    assert len(seen) == 1 + 8 + 1
    assert batch.outcomes[-1] is None


class Migrating:
    """A parameter with an adapter that changes the schema, on the connection that binds it."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def __conform__(self, protocol: object) -> str:
        self.session.connection.execute("DROP TABLE auto")
        self.session.connection.execute("CREATE TABLE auto (a PRIMARY KEY) WITHOUT ROWID")
        return "migrated"


def test_no_news_of_the_schema_is_lost_in_a_run(session: Session) -> None:
    sql, other = "INSERT INTO t VALUES (?, ?)", "INSERT INTO auto (a) VALUES (?)"
    assert run(session, other, [("first",), ("second",)]) == [1, 2]
    run(session, sql, [(Migrating(session) if n == 30 else n, 0) for n in range(100)])
    assert run(session, other, [("a",), ("b",)]) == [None, None]


# -- write_many ------------------------------------------------------------------------------------------------------


def write_many(session: Session, sql: str, parameters: list[Any], *, beside: bool = False) -> Any:
    """Returns the count or the error; ``beside`` another job, so that it has a savepoint."""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    neighbour = (future, WRITE, "INSERT INTO parent DEFAULT VALUES", ())
    batch = Batch([*[neighbour] * beside, (future, MANY, sql, parameters), *[neighbour] * beside])
    run_batch(session, batch, budget=60)
    assert batch.fatal is None
    outcomes: list[Any] = [o.error if isinstance(o, Failure) else o for o in batch.outcomes]
    if beside:
        first, _, last = outcomes
        assert last == first + 1
    return outcomes[beside]


def many_goes_at_once(session: Session, sql: str, parameters: list[Any]) -> bool:
    return len(statements_of(session, lambda: write_many(session, sql, parameters))) < len(parameters)


def test_write_many_takes_few_statements(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    seen = statements_of(session, lambda: write_many(session, sql, [(n, "x") for n in range(1 + 64 + 64 + 16 + 2)]))
    assert [text.count("'x'") for text in seen] == [1, 64, 64, 16, 1, 1]
    assert write_many(session, sql, [(n, "x") for n in range(1 + 64 + 64 + 16 + 2)]) == 147
    assert session.connection.execute("SELECT count(*), count(DISTINCT a) FROM t").fetchone()[:] == (294, 147)


@pytest.mark.parametrize("length", [1, 2, 17, 18, 65, 66, 81, 129, 145])
def test_write_many_counts_each_row(session: Session, length: int) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    for turn in (1, 2):
        assert write_many(session, sql, [(n, 0) for n in range(length)]) == length
        assert session.connection.execute("SELECT count(*) FROM t").fetchone()[0] == turn * length


def test_many_rows_are_worth_a_text_that_was_turned_away(session: Session) -> None:
    for n in range(_MANY_ROWS_KEPT):
        assert many_goes_at_once(session, f"INSERT INTO t {' ' * n}VALUES (?, ?)", [(0, 0)] * 100)
    for _ in range(2):
        assert not many_goes_at_once(session, "INSERT INTO named (a) VALUES (?)", [("a",)] * (_WORTH_COMPILING - 1))
        assert many_goes_at_once(session, "INSERT INTO named (a) VALUES (?)", [("a",)] * (_WORTH_COMPILING + 1))
    assert not has_many(session, "INSERT INTO named (a) VALUES (?)")


@pytest.mark.parametrize(
    ("table", "expected"),
    [("t", True), ("named", True), ("failing", True), ("ignoring", True), ("keyed", False), ("audited", False)],
)
def test_write_many_goes_at_once_where_a_run_does(session: Session, table: str, expected: bool) -> None:
    sql = f"INSERT INTO {table} (a) VALUES (?)"
    assert many_goes_at_once(session, sql, [(n,) for n in range(100)]) is expected


@pytest.mark.parametrize("change", OTHERS_CHANGE)
def test_write_many_meets_what_another_process_made_of_the_table(session: Session, db_path: Path, change: str) -> None:
    sql = "INSERT INTO t (a, b) VALUES (?, ?)"
    for _ in range(2):
        assert many_goes_at_once(session, sql, [(-n, 0) for n in range(1, 101)])
        session.connection.execute("DELETE FROM t")
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.executescript(OTHERS_CHANGE[change])
    assert many_goes_at_once(session, sql, [(n, 0) for n in range(100)]) is (change == "columns")
    assert len(plain(db_path, "SELECT a FROM auto WHERE a >= 0")) == {
        "trigger": 100,
        "uneven trigger": 1,
        "view": 100,
    }.get(change, 0)


@pytest.mark.parametrize("refused", [None, 90])
def test_write_many_has_each_value_adapted_once_at_the_call(session: Session, refused: int | None) -> None:
    adapted: list[int] = []

    class Adapted:
        def __init__(self, n: int) -> None:
            self.n = n

        def __conform__(self, protocol: object) -> str:
            adapted.append(self.n)
            return f"adapted {self.n}"

    rows = checked_rows([(None if n == refused else Adapted(n),) for n in range(100)])
    outcome = write_many(session, "INSERT INTO failing VALUES (?)", rows)
    assert outcome == 100 if refused is None else isinstance(outcome, sqlite3.IntegrityError)
    assert adapted == [n for n in range(100) if n != refused]


def test_a_refusal_that_an_adapter_swallows_is_told_by_write_many(session: Session) -> None:
    class Committing:
        def __conform__(self, protocol: object) -> int:
            with pytest.raises(ForbiddenStatement):
                session.connection.commit()
            return 1

    outcome = write_many(session, "INSERT INTO t (a) VALUES (?)", [(Committing(),), *[(n,) for n in range(100)]])
    assert isinstance(outcome, ForbiddenStatement)


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("at", [0, 1, 30, 64, 65, 99])
def test_a_row_that_takes_the_transaction_with_it_leaves_nothing_of_write_many(
    session: Session, at: int, beside: bool
) -> None:
    rows = [(None if n == at else n,) for n in range(100)]
    outcome = write_many(session, "INSERT INTO rolling VALUES (?)", rows, beside=beside)
    assert isinstance(outcome, sqlite3.IntegrityError) and str(outcome) == "NOT NULL constraint failed: rolling.a"
    assert not session.connection.execute("SELECT 1 FROM rolling").fetchall()


def test_an_interrupt_leaves_nothing_of_write_many(session: Session) -> None:
    sql = "INSERT INTO t VALUES (?, ?)"
    assert many_goes_at_once(session, sql, [(-1, 0)] * 98)
    stops = [True, False]
    sqlite3.Connection.set_progress_handler(session.connection, lambda: bool(stops and stops.pop()), 300)
    outcome = write_many(session, sql, [(n, "x") for n in range(100)])
    sqlite3.Connection.set_progress_handler(session.connection, None, 300)
    assert not stops
    assert isinstance(outcome, sqlite3.OperationalError) and outcome.sqlite_errorname == "SQLITE_INTERRUPT"
    assert not session.connection.execute("SELECT 1 FROM t WHERE a >= 0").fetchall()


def test_rows_that_stayed_of_a_text_of_many_rows_stand_there_once(session: Session) -> None:
    """Of a statement of many rows some stay when one is too large; then all of them fit, one by one."""
    sql, large = "INSERT INTO t VALUES (?, ?)", "x" * 60_000

    def trace(text: str) -> None:
        if "'second'" in text and text.count("(") == 1:
            sqlite3.Connection.setlimit(session.connection, sqlite3.SQLITE_LIMIT_LENGTH, 10 * LIMIT)

    sqlite3.Connection.set_trace_callback(session.connection, trace)
    rows = [(0, "first"), (1, "second"), (large, large), *[(n, "x") for n in range(20)]]
    outcome = write_many(session, sql, rows)
    sqlite3.Connection.set_trace_callback(session.connection, None)
    assert outcome == 23
    assert [row[0] for row in session.connection.execute("SELECT a FROM t")] == [row[0] for row in rows]


def test_texts_of_write_many_that_come_once_are_not_kept_forever(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiomemdb.sqlite.writing.statements._TEXTS_KEPT", 5)
    for n in range(20):
        assert write_many(session, f"INSERT INTO t {' ' * n}VALUES (?, ?)", [(n, n)] * 20) == 20
    assert len(session.book.known) <= 5
    long = f"INSERT INTO t {' ' * 5000}VALUES (?, ?)"
    assert write_many(session, long, [(0, 0)] * 20) == 20
    assert session.book.get(long) is None


def test_write_many_of_mappings_looks_at_no_program(session: Session) -> None:
    sql = "INSERT INTO t VALUES (:a, :b)"
    for _ in range(2):
        assert write_many(session, sql, [{"a": n, "b": n} for n in range(100)]) == 100
    assert session.book.get(sql) is None


def test_write_many_meets_what_another_verb_of_its_transaction_was_compiled_for(
    session: Session, db_path: Path
) -> None:
    sql, rows = "INSERT INTO t (a, b) VALUES (?, ?)", [(n, 0) for n in range(100)]
    for _ in range(2):
        assert many_goes_at_once(session, sql, rows)
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.executescript(OTHERS_CHANGE["trigger"])
    session.take_turn()
    session.begin(durable=False)
    assert run_job(session, COUNT, sql, (0, 0)) == 1
    seen = statements_of(session, lambda: run_job(session, MANY, sql, rows))
    assert not any("), (" in text for text in seen)
    session.rollback()


@pytest.mark.parametrize("verb", [WRITE, COUNT, MANY])
def test_write_many_meets_a_temp_trigger_that_a_savepoint_gave_back(session: Session, verb: Operation) -> None:
    sql, rows = "INSERT INTO t VALUES (?, ?)", [(n, 0) for n in range(100)]
    run(session, "CREATE TEMP TRIGGER tells AFTER INSERT ON main.t BEGIN DELETE FROM keyed; END", [()])
    session.take_turn()
    session.begin(durable=False)
    session.open_savepoint()
    run_job(session, WRITE, "DROP TRIGGER temp.tells", ())
    run_job(session, MANY, sql, [(bytearray(b""), 0)] * 20)  # row by row, so that no other text is compiled
    known = session.book.of(sql, (0, 0))
    assert known is not None and known.many != ()
    session.undo_savepoint()
    run_job(session, verb, sql, [(0, 0)] if verb is MANY else (0, 0))
    seen = statements_of(session, lambda: run_job(session, MANY, sql, rows))
    assert not any("), (" in text for text in seen)
    session.rollback()


# -- everything at random --------------------------------------------------------------------------------------------

INSERTS = [
    ("INSERT INTO t VALUES (?, ?)", 2),
    ("INSERT INTO named (a) VALUES (?)", 1),
    ("INSERT INTO named (b, a) VALUES (?, ?)", 2),
    ("INSERT INTO strict VALUES (?, ?)", 2),
    ("INSERT INTO indexed VALUES (?, ?)", 2),
    ("INSERT INTO failing VALUES (?)", 1),
    ("INSERT INTO rolling VALUES (?)", 1),
    ("INSERT INTO ignoring VALUES (?)", 1),
    ("INSERT INTO filling VALUES (?)", 1),
    ("INSERT INTO keyed VALUES (?)", 1),
    ("INSERT INTO required VALUES (?, ?)", 2),
    ("INSERT INTO auto (a) VALUES (?)", 1),
    ("INSERT INTO audited VALUES (?)", 1),
    ("INSERT INTO checked VALUES (?)", 1),
]
common = st.one_of(st.integers(-5, 10**6), st.text(max_size=3), st.floats(allow_nan=False), st.binary(max_size=3))
rare = st.sampled_from([None, 2**70, True, "x" * 60_000, b"y" * (LIMIT + 1), "1", "1.5", "x" * 3000])
Run = tuple[tuple[str, int], int, list[tuple[int, int, Any]], Any]
runs = st.tuples(
    st.sampled_from(INSERTS),
    st.integers(1, 170),
    st.lists(st.tuples(st.integers(0, 169), st.integers(0, 1), rare), max_size=3),
    st.lists(common, min_size=1, max_size=5),
)


def sql_and_rows(drawn: Run) -> tuple[str, list[tuple[Any, ...]]]:
    (sql, columns), length, odd, values = drawn
    rows = [[values[(n + c) % len(values)] for c in range(columns)] for n in range(length)]
    for n, column, value in odd:
        if n < length:
            rows[n][column % columns] = value
    return sql, [*map(tuple, rows)]


def assert_same_tables(session: Session, single: sqlite3.Connection, *, but: str = '"') -> None:
    for table in SCHEMA.split("CREATE TABLE ")[1:]:
        if not table.startswith(('"', but)):
            query = f"SELECT * FROM {table.split(' (')[0]}"
            assert [*map(tuple, session.connection.execute(query))] == single.execute(query).fetchall()


@settings(max_examples=120)
@given(batches=st.lists(runs, min_size=1, max_size=3))
@example([(("INSERT INTO strict VALUES (?, ?)", 2), 100, [(50, 0, "x" * 3000)], [1])])
@example([(("INSERT INTO t VALUES (?, ?)", 2), 100, [(50, 0, "x" * 60_000), (50, 1, "x" * 60_000)], [1])] * 2)
def test_runs_give_what_single_statements_give(batches: list[Run]) -> None:
    with TemporaryDirectory() as folder, open_session(Path(folder) / "runs.db", max_value_bytes=LIMIT) as session:
        create(session)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as single:
            single.executescript(SCHEMA)
            single.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT)
            for batch in batches:
                sql, parameters = sql_and_rows(batch)
                expected = [one(single, sql, row) for row in parameters]
                outcomes = run(session, sql, parameters)
                told = ["failed" if isinstance(o, BaseException) else o for o in outcomes]
                assert told == expected
            assert_same_tables(session, single)


@settings(max_examples=120)
@given(jobs=st.lists(runs, min_size=1, max_size=3), beside=st.booleans())
@example([(("INSERT INTO strict VALUES (?, ?)", 2), 100, [(50, 0, "x" * 3000)], [1])], False)
@example([(("INSERT INTO t VALUES (?, ?)", 2), 100, [(50, 0, "x" * 60_000), (50, 1, "x" * 60_000)], [1])] * 2, True)
@example([(("INSERT INTO failing VALUES (?)", 1), 100, [(30, 0, None), (40, 0, 2**70)], [1])], True)
@example([(("INSERT INTO failing VALUES (?)", 1), 100, [(30, 0, 2**70), (40, 0, None)], [1])], True)
@example([(("INSERT INTO ignoring VALUES (?)", 1), 170, [(30, 0, None), (165, 0, None)], [1])], True)
def test_write_many_returns_what_executemany_returns(jobs: list[Run], beside: bool) -> None:
    with TemporaryDirectory() as folder, open_session(Path(folder) / "many.db", max_value_bytes=LIMIT) as session:
        create(session)
        with closing(sqlite3.connect(":memory:", isolation_level=None)) as single:
            single.executescript(SCHEMA)
            single.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LIMIT)
            for job in jobs:
                sql, parameters = sql_and_rows(job)
                expected = all_of(single, sql, parameters)
                outcome = write_many(session, sql, parameters, beside=beside)
                told = (type(outcome), str(outcome)) if isinstance(outcome, BaseException) else outcome
                assert told == expected
            assert_same_tables(session, single, but="parent")


def all_of(connection: sqlite3.Connection, sql: str, parameters: list[tuple[Any, ...]]) -> Any:
    """Runs the statements, all or none; returns the count or the error."""
    connection.execute("BEGIN")
    try:
        count = connection.execute(sql, parameters[0]).rowcount
        count += max(connection.executemany(sql, parameters[1:]).rowcount, 0)
    except Exception as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        return type(error), str(error)
    connection.execute("COMMIT")
    return count


def one(connection: sqlite3.Connection, sql: str, parameters: tuple[Any, ...]) -> Any:
    """Runs one statement; returns the rowid that it inserted, or None. Its error is not compared: for a value that
    can't be bound, Python reads it from whatever error the connection met just before.
    """
    try:
        cursor = connection.execute(sql, parameters)
    except Exception:
        return "failed"
    return cursor.lastrowid if cursor.rowcount else None


def test_what_gains_is_told_by_the_bytecode(session: Session) -> None:
    def gains_of(sql: str) -> bool:
        return gains(explained(session.connection, sql, (1,)))

    assert gains_of("INSERT INTO named (a) VALUES (?)")
    session.connection.execute("CREATE INDEX by_a_too ON named (a)")
    assert not gains_of("INSERT INTO named (a) VALUES (?)")
    assert gains_of("INSERT INTO indexed (a) VALUES (?)")
    session.connection.execute("CREATE UNIQUE INDEX by_b_too ON indexed (b)")
    assert not gains_of("INSERT INTO indexed (a) VALUES (?)")


async def test_an_object_that_can_not_tell_its_length_goes_as_its_adapter_says(db_path: Path) -> None:
    class Odd:
        def __len__(self) -> int:
            raise RuntimeError("no length")

        def __conform__(self, protocol: object) -> str:
            return "odd"

    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        assert await db.write_many("INSERT INTO t (x) VALUES (?)", [(Odd(),) for _ in range(100)]) == 100
        assert await db.read_value("SELECT count(*) FROM t WHERE x = 'odd'") == 100


async def test_a_parent_of_children_with_keys_that_do_not_fit_takes_many_rows(db_path: Path) -> None:
    # SQLite refuses a statement of many rows for it ("foreign key mismatch"), and each of the rows alone it does not.
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE p (a, b); CREATE TABLE c (x REFERENCES p)")
        assert await db.write_many("INSERT INTO p VALUES (?, ?)", [(n, n) for n in range(100)]) == 100
        assert await in_one_batch(db, *[db.write("INSERT INTO p VALUES (1, ?)", (n,)) for n in range(100)]) == [
            *range(101, 201)
        ]
