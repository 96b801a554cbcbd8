"""Runs of plain inserts by ``executemany``: every caller still gets the rowid of its own row, and its own error."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from aiomemdb.concurrency.job import Failure, WriteJob
from aiomemdb.sqlite.connection.script import split_script
from aiomemdb.sqlite.writing import operations
from aiomemdb.sqlite.writing.batch import Batch, run_batch
from aiomemdb.sqlite.writing.bytecode import explained, follows
from aiomemdb.sqlite.writing.operations import WRITE
from aiomemdb.sqlite.writing.session import Session
from aiomemdb.sqlite.writing.statements import Statement
from tests.support.batches import open_session

pytestmark = pytest.mark.fast_path("runs")  # they ask whether it is taken

SCHEMA = """
CREATE TABLE plain (id INTEGER PRIMARY KEY, x, y TEXT);
CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, x UNIQUE);
CREATE TABLE keyed (x UNIQUE);
CREATE TABLE failing (x UNIQUE ON CONFLICT FAIL);
CREATE TABLE child (plain REFERENCES plain, x);
CREATE TABLE without (x PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE logged (x);
CREATE TABLE log (x);
CREATE TRIGGER logs AFTER INSERT ON logged BEGIN INSERT INTO log VALUES (NEW.x); END;
CREATE TABLE copied (id INTEGER PRIMARY KEY, x, y TEXT);
"""

FOLLOW = [
    ("INSERT INTO plain (x, y) VALUES (?, ?)", 2),
    ("insert into auto (x) values (?)", 1),
    ("INSERT INTO keyed VALUES (?)", 1),
    ("INSERT OR IGNORE INTO keyed VALUES (?)", 1),
    ("INSERT OR ROLLBACK INTO keyed VALUES (?)", 1),
    ("INSERT INTO failing VALUES (?)", 1),
    ("INSERT INTO child VALUES (?, ?)", 2),
]
DO_NOT_FOLLOW = [
    ("INSERT INTO plain VALUES (?, ?, ?)", 3),
    ("INSERT INTO plain (id, x) VALUES (?, ?)", 2),
    ("INSERT INTO keyed (rowid, x) VALUES (?, ?)", 2),
    ("INSERT INTO auto (id, x) VALUES (?, ?)", 2),
    ("INSERT OR REPLACE INTO keyed VALUES (?)", 1),
    ("INSERT INTO keyed VALUES (?) ON CONFLICT DO UPDATE SET x = 0", 1),
    ("INSERT INTO plain (x) VALUES (?), (?)", 2),
    ("INSERT INTO plain (x) SELECT ? WHERE ?", 2),
    ("INSERT INTO plain (x) SELECT x FROM log", 0),
    ("INSERT INTO plain SELECT * FROM copied", 0),
    ("INSERT INTO keyed SELECT x FROM keyed WHERE x > ?", 1),
    ("INSERT INTO logged VALUES (?)", 1),
    ("INSERT INTO without VALUES (?)", 1),
]


@pytest.fixture
def session(db_path: Path) -> Iterator[Session]:
    with open_session(db_path) as session:
        for statement in split_script(SCHEMA):
            session.connection.execute(statement)
        session.connection.guard.clear()
        yield session


def run(session: Session, jobs: list[tuple[str, Any]]) -> tuple[list[Any], Batch]:
    """Runs the jobs as one batch; returns each one's rowid or the name of its error."""
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    waiting: list[WriteJob] = [(future, WRITE, sql, params) for sql, params in jobs]
    batch = Batch(waiting)
    run_batch(session, batch, budget=60)
    return [o.error.sqlite_errorname if isinstance(o, Failure) else o for o in batch.outcomes], batch


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the runs that went by executemany."""
    lengths: list[int] = []
    original = operations._write_block

    def counting(session: Session, sql: str, known: Statement, rows: list[Any], *rest: Any, **options: Any) -> Any:
        lengths.append(len(rows))
        return original(session, sql, known, rows, *rest, **options)

    monkeypatch.setattr(operations, "_write_block", counting)
    return lengths


@pytest.mark.parametrize(("sql", "params"), FOLLOW)
def test_inserts_that_leave_their_rowid_to_sqlite_follow(session: Session, sql: str, params: int) -> None:
    assert follows(explained(session.connection, sql, (None,) * params))


@pytest.mark.parametrize(("sql", "params"), DO_NOT_FOLLOW)
def test_all_others_do_not(session: Session, sql: str, params: int) -> None:
    assert not follows(explained(session.connection, sql, (None,) * params))


def test_a_statement_is_judged_by_the_present_schema(session: Session) -> None:
    sql = "INSERT INTO keyed VALUES (?)"
    assert follows(explained(session.connection, sql, (1,)))
    session.connection.execute("CREATE TRIGGER t AFTER INSERT ON keyed BEGIN INSERT INTO log VALUES (1); END")
    assert not follows(explained(session.connection, sql, (1,)))


def test_each_caller_gets_the_rowid_of_its_own_row(session: Session, runs: list[int]) -> None:
    sql = "INSERT INTO plain (x) VALUES (?)"
    rowids, _ = run(session, [(sql, (x,)) for x in range(300)])
    assert sum(runs) > 200
    assert dict(session.connection.execute("SELECT id, x FROM plain").fetchall()) == {
        rowid: x for x, rowid in enumerate(rowids)
    }


def test_autoincrement_goes_on_above_what_was_deleted(session: Session, runs: list[int]) -> None:
    sql = "INSERT INTO auto (x) VALUES (?)"
    run(session, [(sql, (x,)) for x in range(100)])
    session.connection.execute("DELETE FROM auto WHERE x >= 50")
    rowids, _ = run(session, [(sql, (x,)) for x in range(100, 200)])
    assert rowids == list(range(101, 201))
    assert sum(runs) > 100


def test_a_run_is_not_continued_over_another_job(session: Session, runs: list[int]) -> None:
    sql = "INSERT INTO plain (x) VALUES (?)"
    jobs: list[tuple[str, Any]] = [(sql, (x,)) for x in range(80)]
    jobs += [("DELETE FROM plain WHERE x > ?", (9,))]
    jobs += [(sql, (x,)) for x in range(100, 180)]
    rowids, _ = run(session, jobs)
    assert runs
    assert rowids[81:] == list(range(11, 91))


@pytest.mark.parametrize("sql", ["INSERT INTO keyed VALUES (?)", "INSERT INTO failing VALUES (?)"])
def test_jobs_that_fail_in_a_run_fail_alone(session: Session, runs: list[int], sql: str) -> None:
    culprits = {20, 21, 60, 119}
    rowids, batch = run(session, [(sql, (0 if x in culprits else x,)) for x in range(120)])
    assert sum(runs) > 80
    assert [at for at, rowid in enumerate(rowids) if rowid == "SQLITE_CONSTRAINT_UNIQUE"] == sorted(culprits)
    table = sql.split()[2]
    stored = {x: rowid for rowid, x in session.connection.execute(f"SELECT rowid, x FROM {table}")}
    assert stored == {x: rowid for x, rowid in enumerate(rowids) if x not in culprits}
    assert batch.splits == 0


def test_wrong_parameters_in_a_run_fail_alone(session: Session, runs: list[int]) -> None:
    sql = "INSERT INTO plain (x, y) VALUES (?, ?)"
    bad: dict[int, Any] = {30: (1,), 40: (object(), 1), 50: (2**70, 1)}
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    batch = Batch([(future, WRITE, sql, bad.get(x, (x, "y"))) for x in range(100)])
    run_batch(session, batch, budget=60)
    assert sum(runs) > 60
    failures = {at: type(o.error) for at, o in enumerate(batch.outcomes) if isinstance(o, Failure)}
    assert failures == {30: sqlite3.ProgrammingError, 40: sqlite3.ProgrammingError, 50: OverflowError} or failures == {
        30: sqlite3.ProgrammingError,
        40: sqlite3.InterfaceError,
        50: OverflowError,
    }
    assert session.connection.execute("SELECT count(*) FROM plain").fetchone()[0] == 97


def test_a_job_that_rolls_back_in_a_run_is_found(session: Session, runs: list[int]) -> None:
    sql = "INSERT OR ROLLBACK INTO keyed VALUES (?)"
    rowids, batch = run(session, [(sql, (0 if x == 70 else x,)) for x in range(100)])
    assert runs and batch.splits == 1
    assert [at for at, rowid in enumerate(rowids) if isinstance(rowid, str)] == [70]
    assert session.connection.execute("SELECT count(*) FROM keyed").fetchone()[0] == 99


def test_ignored_rows_break_the_sum_and_the_range_runs_again(session: Session, runs: list[int]) -> None:
    sql = "INSERT OR IGNORE INTO keyed VALUES (?)"
    rowids, batch = run(session, [(sql, (0 if x == 70 else x,)) for x in range(100)])
    assert runs and batch.splits == 1
    assert rowids[70] is None
    stored = {x: rowid for rowid, x in session.connection.execute("SELECT rowid, x FROM keyed")}
    assert stored == {x: rowid for x, rowid in enumerate(rowids) if x != 70}


def test_rowids_at_the_end_of_their_range_are_told_right(session: Session, runs: list[int]) -> None:
    session.connection.execute("INSERT INTO plain (id) VALUES (9223372036854775760)")  # 47 below the largest
    sql = "INSERT INTO plain (x) VALUES (?)"
    rowids, _ = run(session, [(sql, (x,)) for x in range(100)])
    assert runs
    stored = dict(session.connection.execute("SELECT x, id FROM plain WHERE x IS NOT NULL").fetchall())
    assert stored == dict(enumerate(rowids))


def test_a_statement_wrongly_taken_for_one_that_follows_is_found(
    session: Session, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiomemdb.sqlite.writing.statements.follows", lambda _: True)
    sql = "INSERT INTO plain (id, x) VALUES (?, 1)"
    rowids, batch = run(session, [(sql, (10 * x,)) for x in range(100)])
    assert runs and batch.splits == 1
    assert rowids == [10 * x for x in range(100)]


class Unhelpful:
    """As an array's, its comparison can't be asked for truth."""

    def __eq__(self, other: object) -> bool:
        raise ValueError("ambiguous")

    __hash__ = None  # type: ignore[assignment]


def test_sql_that_can_not_be_compared_fails_alone_in_a_run(session: Session, runs: list[int]) -> None:
    sql = "INSERT INTO plain (x) VALUES (?)"
    with asyncio.Runner() as runner:
        future = runner.get_loop().create_future()
    texts: list[Any] = [Unhelpful() if x == 50 else sql for x in range(150)]
    batch = Batch([(future, WRITE, text, (x,)) for x, text in enumerate(texts)])
    run_batch(session, batch, budget=60)
    assert runs
    assert [at for at, o in enumerate(batch.outcomes) if isinstance(o, Failure)] == [50]
    assert isinstance(batch.outcomes[50].error, TypeError)
    assert session.connection.execute("SELECT count(*) FROM plain").fetchone()[0] == 149
