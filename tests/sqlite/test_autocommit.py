"""The lone insert that runs in autocommit: it is whole, its outcome is known, and it stays so if the schema changes."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from aiomemdb.concurrency.job import Failure
from aiomemdb.errors import CommitOutcomeUnknown, LockTimeout, WriterCrashed
from aiomemdb.sqlite.writing.batch import Batch, run_batch
from aiomemdb.sqlite.writing.operations import WRITE
from aiomemdb.sqlite.writing.session import Session
from tests.support.batches import open_session
from tests.support.plain import plain

pytestmark = pytest.mark.fast_path("autocommit")  # they ask whether it is taken

SCHEMA = ["CREATE TABLE note (id INTEGER PRIMARY KEY, body UNIQUE)", "CREATE TABLE log (body)"]
INSERT = "INSERT INTO note (body) VALUES (?)"


@pytest.fixture
def session(db_path: Path) -> Iterator[Session]:
    with open_session(db_path, lock_timeout=0.1) as session:
        for statement in SCHEMA:
            session.connection.execute(statement)
        session.connection.guard.clear()
        yield session


def run(session: Session, *params: Any, sql: Any = INSERT, durable: bool = False) -> Any:
    """Runs the job alone; returns its rowid, or raises its error."""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    batch = Batch([(future, WRITE, sql, params)], durable=durable)
    run_batch(session, batch)
    [outcome] = batch.outcomes
    if batch.fatal is not None:
        assert isinstance(outcome, Failure)
        outcome.error.__context__ = batch.fatal
    if isinstance(outcome, Failure):
        raise outcome.error
    return outcome


def statements_of(session: Session, *params: Any, **options: Any) -> list[str]:
    """The first words of what SQLite runs for the job."""
    seen: list[str] = []
    sqlite3.Connection.set_trace_callback(session.connection, lambda text: seen.append(text.split()[0]))
    run(session, *params, **options)
    sqlite3.Connection.set_trace_callback(session.connection, None)
    return seen


def others_execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute(sql)


def test_the_first_runs_in_a_transaction_and_the_next_without_one(session: Session, db_path: Path) -> None:
    assert statements_of(session, "a")[0] == "BEGIN"
    assert statements_of(session, "b") == ["INSERT"]
    assert run(session, "c") == 3
    assert plain(db_path, "SELECT id, body FROM note") == [(1, "a"), (2, "b"), (3, "c")]


PLAIN = [
    "a",
    "a UNIQUE",
    "a TEXT NOT NULL, c DEFAULT 5",
    "a, b TEXT COLLATE NOCASE UNIQUE, UNIQUE (b, a DESC)",
    "id INTEGER PRIMARY KEY, a",
]
NOT_PLAIN = [
    "a, c DEFAULT (mine(1))",
    "a CHECK (mine(a) > 0)",
    "a, c AS (mine(a)) STORED",
    "a, c DEFAULT CURRENT_TIMESTAMP",
    "a COLLATE mine UNIQUE",
    "id INTEGER PRIMARY KEY AUTOINCREMENT, a",
]


@pytest.mark.parametrize("columns", [*PLAIN, *NOT_PLAIN])
def test_only_what_runs_no_users_code_and_touches_no_other_table_goes_without(session: Session, columns: str) -> None:
    connection = session.connection
    connection.create_function("mine", 1, lambda x: x, deterministic=True)
    connection.create_collation("mine", lambda x, y: (x > y) - (x < y))
    connection.execute(f"CREATE TABLE t ({columns})")
    connection.guard.clear()
    sql = "INSERT INTO t (a) VALUES (?)"
    run(session, 1, sql=sql)
    for number in (2, 3):
        assert statements_of(session, number, sql=sql)[0] == ("INSERT" if columns in PLAIN else "BEGIN")


def test_a_function_that_reads_what_it_needs_reads_it_each_time(session: Session) -> None:
    """One that has a default where it may not: in autocommit it would store that."""

    def doubled(x: int) -> int:
        try:
            [(found,)] = session.connection.execute(f"SELECT {x} * 2").fetchall()
        except sqlite3.Error:
            return -1
        return int(found)

    session.connection.create_function("doubled", 1, doubled)
    sql = "INSERT INTO log VALUES (doubled(?))"
    for number in range(4):
        run(session, number, sql=sql)
    assert [row[0] for row in session.connection.execute("SELECT body FROM log")] == [0, 2, 4, 6]


def test_what_has_committed_never_runs_again(session: Session, db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> bool:
        raise OSError("stale file handle")

    run(session, "a")
    monkeypatch.setattr(session.identity, "check", fail)
    with pytest.raises(OSError, match="stale"):  # it is the writer's, and ends its thread: unknown to the caller
        run(session, "b")
    assert plain(db_path, "SELECT body FROM note") == [("a",), ("b",)]


def test_a_parameter_may_raise_anything(session: Session) -> None:
    class Timeout(BaseException):
        pass

    class Value:
        def __conform__(self, protocol: object) -> str:
            raise Timeout

    run(session, "a")
    with pytest.raises(Timeout) as caught:
        run(session, Value())
    assert caught.value.__notes__ == [f"SQL: {INSERT}"]  # it is the job's own, not one that the thread died of
    assert run(session, "b") == 2


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT OR REPLACE INTO note (body) VALUES (?)",
        "INSERT OR FAIL INTO note (body) SELECT ? UNION SELECT NULL",
        "INSERT INTO note (id) VALUES (?)",
        "UPDATE note SET body = ?",
        "INSERT INTO note (body) VALUES (?) RETURNING id",
    ],
)
def test_anything_else_always_has_its_transaction(session: Session, sql: str) -> None:
    for number in range(3):
        assert statements_of(session, number + 10, sql=sql)[0] == "BEGIN"


def test_an_ignored_row_has_no_rowid(session: Session) -> None:
    sql = "INSERT OR IGNORE INTO note (body) VALUES (?)"
    assert [run(session, body, sql=sql) for body in "aabbc"] == [1, None, 2, None, 3]


def test_a_failing_one_fails_alone_and_leaves_nothing(session: Session, db_path: Path) -> None:
    run(session, "a")
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        run(session, "a")
    with pytest.raises(sqlite3.ProgrammingError, match="bindings"):
        run(session)
    assert run(session, "b") == 2
    with pytest.raises((sqlite3.InterfaceError, sqlite3.ProgrammingError), match="type"):
        run(session, object())
    with pytest.raises(OverflowError):
        run(session, 2**70)
    assert run(session, "c") == 3
    assert plain(db_path, "SELECT body FROM note") == [("a",), ("b",), ("c",)]


def test_no_sql_is_an_error_of_its_caller(session: Session) -> None:
    run(session, "a")
    for _ in range(2):
        with pytest.raises(TypeError, match="NoneType"):
            run(session, sql=None)


@pytest.mark.parametrize("action", ["RAISE(FAIL, 'no')", "RAISE(ROLLBACK, 'no')", "RAISE(ABORT, 'no')"])
def test_a_trigger_that_was_made_meanwhile_leaves_nothing_behind(session: Session, db_path: Path, action: str) -> None:
    run(session, "a")
    others_execute(
        db_path, f"CREATE TRIGGER t AFTER INSERT ON note BEGIN INSERT INTO log VALUES (1); SELECT {action}; END"
    )
    for _ in range(2):
        with pytest.raises(sqlite3.IntegrityError, match="no"):
            run(session, "b")
    assert plain(db_path, "SELECT body FROM note UNION ALL SELECT body FROM log") == [("a",)]
    others_execute(db_path, "DROP TRIGGER t")
    assert [run(session, "b"), run(session, "c")] == [2, 3]


def test_a_table_that_was_made_anew_meanwhile_is_met_as_it_is(session: Session, db_path: Path) -> None:
    run(session, "a")
    others_execute(db_path, "DROP TABLE note")
    with pytest.raises(sqlite3.OperationalError, match="no such table"):
        run(session, "b")
    others_execute(db_path, "CREATE TABLE note (body PRIMARY KEY) WITHOUT ROWID")
    assert [run(session, body) for body in "abc"] == [None, None, None]


def test_a_deferred_foreign_key_is_refused_whole(session: Session, db_path: Path) -> None:
    session.connection.execute("CREATE TABLE child (note REFERENCES note DEFERRABLE INITIALLY DEFERRED)")
    session.connection.own("PRAGMA foreign_keys=ON")
    run(session, "a")
    sql = "INSERT INTO child (note) VALUES (?)"
    run(session, 1, sql=sql)
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        run(session, 9, sql=sql)
    assert plain(db_path, "SELECT note FROM child") == [(1,)]


def test_a_durable_one_has_its_transaction_and_leaves_the_next_ones_unsynced(session: Session) -> None:
    def synchronous() -> int:
        level: int = session.connection.own("PRAGMA synchronous")[0][0]
        return level

    run(session, "a")
    assert "BEGIN" in statements_of(session, "b", durable=True)
    assert synchronous() == 2
    assert "BEGIN" in statements_of(session, "c")
    assert synchronous() == 1
    assert statements_of(session, "d") == ["INSERT"]


def test_at_full_durability_each_has_its_transaction(db_path: Path) -> None:
    with open_session(db_path, durability="full") as session:
        session.connection.execute(SCHEMA[0])
        session.connection.guard.clear()
        assert all("BEGIN" in statements_of(session, body) for body in "abc")


def test_another_programs_lock_is_waited_for(session: Session, db_path: Path) -> None:
    run(session, "a")
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(LockTimeout):
            run(session, "b")
    assert run(session, "b") == 2


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_INTERRUPT, sqlite3.SQLITE_PROTOCOL]
)
def test_an_error_that_no_commit_can_meet_is_told_by_a_transaction(
    session: Session, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def fail(sql: str, params: Any) -> None:
        raise failing(code)

    run(session, "a")
    monkeypatch.setattr(session, "autocommit", fail)
    assert run(session, "b") == 2


def failing(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize("stays", [False, True])
def test_where_its_commit_may_have_failed_a_fence_settles_it(
    session: Session, db_path: Path, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    def fail(sql: str, params: Any) -> None:
        raise failing(sqlite3.SQLITE_IOERR_WRITE)

    run(session, "a")
    monkeypatch.setattr(session, "autocommit", fail)
    if stays:
        monkeypatch.setattr(session, "settle_failed_commit", lambda: False)
        with pytest.raises(CommitOutcomeUnknown) as unknown:
            run(session, "b")
        assert isinstance(unknown.value.__context__, WriterCrashed)
    else:
        seen: list[str] = []
        sqlite3.Connection.set_trace_callback(session.connection, lambda text: seen.append(text.split()[0]))
        with pytest.raises(sqlite3.OperationalError, match="disk I/O error"):
            run(session, "b")
        sqlite3.Connection.set_trace_callback(session.connection, None)
        assert "BEGIN" in seen and "COMMIT" in seen[-1] and "INSERT" not in seen
    assert plain(db_path, "SELECT body FROM note") == [("a",)]


def test_a_first_one_for_which_there_was_no_time_left_allows_the_next_all_the_same(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(run_batch.__kwdefaults__, "budget", 0.0)  # type: ignore[arg-type]
    run(session, "a")
    assert statements_of(session, "b") == ["INSERT"]
