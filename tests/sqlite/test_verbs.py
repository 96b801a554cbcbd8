"""What each write verb returns, takes and refuses."""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
from array import array
from collections import ChainMap, UserList
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import ForbiddenStatement, Row
from aiomemdb.sqlite.connection.script import split_script
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing import operations, slow
from tests.support.batches import in_one_batch
from tests.support.plain import assert_healthy


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE, owner)")
        yield db
    assert_healthy(db_path)


async def xs(db: SQLiteDatabase) -> list[Any]:
    return [row["x"] for row in await db.read("SELECT x FROM t ORDER BY id")]


INSERT = "INSERT INTO t (x) VALUES (?)"

# -- parameters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("params", [(7,), [7], UserList([7]), array("i", [7]), range(7, 8)])
async def test_any_sequence_serves_for_question_marks(db: SQLiteDatabase, params: Any) -> None:
    await db.write(INSERT, params)
    assert await xs(db) == [7]


@pytest.mark.parametrize("params", [{"x": 7}, ChainMap({"x": 7}), {"x": 7, "more": 8}])
async def test_any_mapping_serves_for_names(db: SQLiteDatabase, params: Any) -> None:
    await db.write("INSERT INTO t (x) VALUES (:x)", params)
    assert await xs(db) == [7]


async def test_a_row_serves_as_parameters(db: SQLiteDatabase) -> None:
    row = await db.read_one("SELECT 7")
    assert row is not None
    await db.write(INSERT, row)  # type: ignore[arg-type]
    assert await xs(db) == [7]


@pytest.mark.parametrize("params", ["7", b"7", 7, None, {7}, iter([7])])
async def test_what_is_no_set_of_parameters_is_refused_at_once(db: SQLiteDatabase, params: Any) -> None:
    for verb in (db.write, db.write_count, db.write_returning, db.write_any, db.submit):
        with pytest.raises(TypeError, match="params must be a sequence"):
            future = verb(INSERT, params)
            await future


async def test_what_becomes_of_the_callers_list_changes_nothing(db: SQLiteDatabase) -> None:
    params = [1]
    future = db.submit(INSERT, params)
    params[0] = 2
    await future
    assert await xs(db) == [1]


@pytest.mark.parametrize("sql", [None, 7, b"SELECT 1", ["SELECT 1"]])
async def test_sql_that_is_no_text_is_a_type_error(db: SQLiteDatabase, sql: Any) -> None:
    for verb in (db.write, db.write_count, db.write_returning, db.write_script, lambda sql: db.write_many(sql, [()])):
        with pytest.raises(TypeError):
            await verb(sql)


@pytest.mark.parametrize("sql", ["", "  \n", ";", "-- nothing", "/* nothing */ ;", "\ufeff"])
async def test_sql_without_a_statement_is_an_error(db: SQLiteDatabase, sql: str) -> None:
    for verb in (db.write, db.write_count, db.write_returning, lambda sql: db.write_many(sql, [()])):
        with pytest.raises(sqlite3.ProgrammingError, match="empty"):
            await verb(sql)


# -- write_count -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "count"),
    [
        ("UPDATE t SET owner = 1 WHERE x < 3", 2),
        ("UPDATE t SET owner = 1 WHERE x > 99", 0),
        ("UPDATE t SET owner = 1 WHERE x < 4 RETURNING id", 3),
        ("DELETE FROM t", 5),
        ("DELETE FROM t WHERE x = 1", 1),
        ("INSERT INTO t (x) VALUES (6), (7)", 2),
        ("INSERT OR IGNORE INTO t (x) VALUES (1), (7)", 1),
        ("REPLACE INTO t (x) VALUES (1)", 1),
        ("INSERT INTO t (x) VALUES (1) ON CONFLICT DO NOTHING", 0),
        ("INSERT INTO t (x) VALUES (1) ON CONFLICT DO UPDATE SET owner = 3", 1),
        ("WITH w (x) AS (VALUES (8), (9)) INSERT INTO t (x) SELECT x FROM w", 2),
        ("WITH w (x) AS (VALUES (1), (9)) INSERT OR IGNORE INTO t (x) SELECT x FROM w", 1),
        ("WITH w (x) AS (VALUES (1), (2)) INSERT OR IGNORE INTO t (x) SELECT x FROM w", 0),
        ("WITH w (x) AS (VALUES (1)) DELETE FROM t WHERE x IN (SELECT x FROM w)", 1),
        ("CREATE TABLE other (x)", 0),
        ("\ufeffUPDATE t SET owner = 1 WHERE x < 3", 2),
        ("PRAGMA user_version = 4", 0),
        ("CREATE TABLE other AS SELECT * FROM t", 0),
    ],
)
async def test_write_count_returns_the_rows_changed(db: SQLiteDatabase, sql: str, count: int) -> None:
    await db.write_many(INSERT, [(n,) for n in range(1, 6)])
    assert await db.write_count(sql) == count


@pytest.mark.parametrize("sql", ["CREATE INDEX by_owner ON t (owner)", "REINDEX", "ANALYZE"])
async def test_write_count_of_no_change_of_rows_does_not_count_what_fts5_writes_behind_it(
    db: SQLiteDatabase, sql: str
) -> None:
    await db.write("CREATE VIRTUAL TABLE words USING fts5 (word)")
    outcomes = await in_one_batch(db, db.write("INSERT INTO words VALUES ('one')"), db.write_count(sql))
    assert outcomes == [1, 0]


async def test_exactly_one_caller_claims_a_task(db: SQLiteDatabase) -> None:
    await db.write(INSERT, (1,))
    claim = "UPDATE t SET owner = ? WHERE x = 1 AND owner IS NULL"
    counts = await asyncio.gather(*[db.write_count(claim, (n,)) for n in range(50)])
    assert sorted(counts) == [0] * 49 + [1]
    assert await db.read_value("SELECT owner FROM t") == counts.index(1)


# -- write_returning -------------------------------------------------------------------------------------------------


async def test_write_returning_returns_all_rows(db: SQLiteDatabase) -> None:
    rows = await db.write_returning("INSERT INTO t (x) VALUES (?), (?) RETURNING id, x AS value", ("a", "b"))
    assert [(row["id"], row[1]) for row in rows] == [(1, "a"), (2, "b")]
    assert all(isinstance(row, Row) for row in rows)


async def test_write_returning_returns_no_rows_where_nothing_matched(db: SQLiteDatabase) -> None:
    assert await db.write_returning("DELETE FROM t RETURNING id") == []


@pytest.mark.parametrize("sql", ["INSERT INTO t (x) VALUES (99)", "CREATE TABLE made (x)", "DROP TABLE t"])
@pytest.mark.parametrize("neighbours", [0, 3])
async def test_write_returning_without_returning_changes_nothing(db: SQLiteDatabase, sql: str, neighbours: int) -> None:
    outcomes = await in_one_batch(
        db, *[db.write(INSERT, (n,)) for n in range(neighbours)], db.write_returning(sql), db.write(INSERT, ("last",))
    )
    with pytest.raises(sqlite3.ProgrammingError, match="needs a statement with RETURNING"):
        raise outcomes[neighbours]
    assert await xs(db) == [*range(neighbours), "last"]
    assert await db.read_value("SELECT count(*) FROM sqlite_schema WHERE name = 'made'") == 0


async def test_write_returning_without_returning_leaves_a_transaction_as_it_was(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(sqlite3.ProgrammingError, match="needs a statement with RETURNING"):
            await tx.write_returning("DROP TABLE t")
        await tx.write(INSERT, (2,))
    assert await xs(db) == [1, 2]


# -- write_any -------------------------------------------------------------------------------------------------------

ANY = {
    "INSERT INTO t (x) VALUES (5)": ((), [], 3, 1),
    "INSERT OR IGNORE INTO t (x) VALUES (1)": ((), [], None, 0),
    "INSERT INTO t (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET owner = 'me'": ((), [], None, 1),
    "INSERT INTO t (x) VALUES (7), (8) RETURNING id, x AS X2": (("id", "X2"), [(3, 7), (4, 8)], 4, 2),
    "UPDATE t SET owner = 'me' WHERE x < 9": ((), [], None, 2),
    "DELETE FROM t WHERE x > 9 RETURNING *": (("id", "x", "owner"), [], None, 0),
    "WITH w AS (SELECT 6 AS six) INSERT INTO t (x) SELECT six FROM w": ((), [], 3, 1),
    "CREATE TABLE made (a)": ((), [], None, 0),
    "SELECT x, x AS x, 1 + 1 FROM t": (("x", "x", "1 + 1"), [(1, 1, 2), (2, 2, 2)], None, 0),
    "SELECT id, x FROM t WHERE x > 9": (("id", "x"), [], None, 0),
    "WITH w AS (SELECT 6 AS six) SELECT six FROM w": (("six",), [(6,)], None, 0),
    "VALUES (1), (2)": (("column1",), [(1,), (2,)], None, 0),
    "PRAGMA user_version": (("user_version",), [(0,)], None, 0),
    "PRAGMA user_version = 3": ((), [], None, 0),
}


@pytest.mark.parametrize("times", [1, 2, 3])
@pytest.mark.parametrize("sql", ANY)
async def test_write_any_returns_all_that_a_statement_did(db: SQLiteDatabase, sql: str, times: int) -> None:
    """The first time it comes, the second, by which it is known, and later."""
    await db.write_many(INSERT, [(1,), (2,)])
    for _ in range(times - 1):
        with pytest.raises(KeyError):
            async with db.transaction() as tx:
                await tx.write_any(sql)
                raise KeyError
    result = await db.write_any(sql)
    assert isinstance(result, aiomemdb.Result)
    assert (result.columns, [*map(tuple, result.rows)], result.rowid, result.count) == ANY[sql]
    assert all(isinstance(row, Row) for row in result.rows)


async def test_write_any_is_batched_and_sees_what_came_before_it(db: SQLiteDatabase) -> None:
    before = db.statistics().batches
    outcomes = await in_one_batch(
        db, db.write(INSERT, (1,)), db.write_any("SELECT x FROM t"), db.write_any(INSERT, (2,)), db.write(INSERT, (3,))
    )
    assert [outcomes[0], outcomes[3]] == [1, 3]
    assert [row["x"] for row in outcomes[1].rows] == [1] and outcomes[2].rowid == 2
    assert db.statistics().batches == before + 2


async def test_write_any_in_a_transaction_is_undone_with_it(db: SQLiteDatabase) -> None:
    with pytest.raises(KeyError):
        async with db.transaction() as tx:
            assert (await tx.write_any(INSERT, (1,))).rowid == 1
            assert [*map(tuple, (await tx.write_any("SELECT x FROM t")).rows)] == [(1,)]
            raise KeyError
    assert await xs(db) == []


@pytest.mark.parametrize("sql", ["SELECT json('[')", "INSERT INTO t (x) VALUES (1)", "SELECT missing FROM t"])
async def test_what_fails_in_write_any_fails_alone(db: SQLiteDatabase, sql: str) -> None:
    for _ in range(2):
        first, failed, last = await in_one_batch(
            db, db.write("INSERT OR IGNORE INTO t (x) VALUES (1)"), db.write_any(sql), db.write_any("SELECT x FROM t")
        )
        assert isinstance(failed, sqlite3.Error) and failed.__notes__ == [f"SQL: {sql}"]
        assert first in (1, None) and [row["x"] for row in last.rows] == [1]


@pytest.mark.parametrize("sql", ["COMMIT", "BEGIN", "ATTACH ':memory:' AS more", "PRAGMA foreign_keys = 0", "VACUUM"])
async def test_write_any_is_no_way_round_the_guard(db: SQLiteDatabase, sql: str) -> None:
    with pytest.raises(ForbiddenStatement):
        await db.write_any(sql)


async def test_a_query_that_failed_in_write_any_costs_its_neighbours_no_second_run(db: SQLiteDatabase) -> None:
    sql = "SELECT json(x) FROM t"
    await db.write_any(sql)
    await db.write_any(sql)
    await in_one_batch(db, db.write(INSERT, ("[",)), db.write_any(sql), db.write(INSERT, (2,)))
    assert await xs(db) == ["[", 2]
    assert db.statistics().batch_splits == 0


# -- write_many ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rows",
    [
        [(1,), (2,)],
        ((n,) for n in (1, 2)),
        {(1,): None, (2,): None},
        iter([[1], [2]]),
        map(lambda n: (n,), (1, 2)),
        [UserList([1]), (2,)],
    ],
    ids=["list", "generator", "keys", "iterator", "map", "mixed"],
)
async def test_write_many_takes_any_iterable(db: SQLiteDatabase, rows: Any) -> None:
    if isinstance(rows, dict):
        rows = rows.keys()
    assert await db.write_many(INSERT, rows) == 2
    assert await xs(db) == [1, 2]


async def test_write_many_takes_mappings(db: SQLiteDatabase) -> None:
    assert await db.write_many("INSERT INTO t (x) VALUES (:x)", [{"x": 1}, {"x": 2}]) == 2
    assert await xs(db) == [1, 2]


async def test_write_many_of_nothing_changes_nothing(db: SQLiteDatabase) -> None:
    assert await db.write_many(INSERT, []) == 0
    assert await db.write_many(INSERT, iter(())) == 0


@pytest.mark.parametrize("rows", ["ab", b"ab", {"x": 1}, 7, None])
async def test_write_many_refuses_what_is_no_iterable_of_parameter_sets(db: SQLiteDatabase, rows: Any) -> None:
    with pytest.raises(TypeError, match="iterable of parameter sets"):
        await db.write_many(INSERT, rows)


@pytest.mark.parametrize("bad", [(1,), (), (7, 8), (object(),)])
@pytest.mark.parametrize("neighbours", [0, 2])
async def test_a_failing_row_in_the_middle_takes_all_with_it(db: SQLiteDatabase, bad: Any, neighbours: int) -> None:
    many = db.write_many(INSERT, [(1,), (2,), bad, (4,)])
    outcomes = await in_one_batch(db, many, *[db.write(INSERT, (100 + n,)) for n in range(neighbours)])
    assert isinstance(outcomes[0], sqlite3.Error)
    assert await xs(db) == [100 + n for n in range(neighbours)]


@pytest.mark.parametrize("at", [0, 1, 20, 70, 199])
@pytest.mark.parametrize(
    ("sql", "good", "bad"),
    [
        (INSERT, lambda n: (n,), (None,)),
        ("INSERT INTO bare (x) VALUES (?)", lambda n: (n,), (None,)),
        (f"{INSERT} RETURNING id", lambda n: (n,), (None,)),
        ("WITH w (x) AS (VALUES (?)) INSERT INTO t (x) SELECT x FROM w", lambda n: (n,), (None,)),
        ("INSERT INTO t (x) VALUES (:x)", lambda n: {"x": n}, {"x": None}),
        (INSERT, lambda n: (n,), (object(),)),
        (INSERT, lambda n: (n,), (2**63,)),
        (INSERT, lambda n: (n,), ()),
    ],
)
async def test_write_many_says_which_row_has_failed(
    db: SQLiteDatabase, sql: str, good: Callable[[int], Any], bad: Any, at: int
) -> None:
    await db.write_script(
        "DROP TABLE t; CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE NOT NULL); CREATE TABLE bare (x NOT NULL)"
    )
    rows = [good(n) for n in range(200)]
    rows[at] = bad
    with pytest.raises((sqlite3.Error, OverflowError)) as caught:
        await db.write_many(sql, rows)
    assert f"in row {at + 1} of 200" in caught.value.__notes__


async def test_write_many_says_which_row_is_no_set_of_parameters(db: SQLiteDatabase) -> None:
    with pytest.raises(TypeError) as caught:
        await db.write_many(INSERT, [(1,), (2,), 3])  # type: ignore[list-item]
    assert caught.value.__notes__ == ["in row 3 of write_many"]


async def test_an_iterable_that_raises_never_becomes_a_job(db: SQLiteDatabase) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await db.write_many(INSERT, rows())
    assert await xs(db) == []


async def test_write_many_counts_changed_rows_not_parameter_sets(db: SQLiteDatabase) -> None:
    await db.write_many(INSERT, [(1,), (2,), (3,)])
    assert await db.write_many("UPDATE t SET owner = ? WHERE x > ?", [("a", 1), ("b", 2), ("c", 9)]) == 3


# -- write_script ----------------------------------------------------------------------------------------------------

SCRIPTS = {
    "CREATE TABLE a (x); CREATE TABLE b (x)": 2,
    "CREATE TABLE a (x); -- a ; comment\nCREATE TABLE b (x);": 2,
    "/* one; two */ CREATE TABLE a (x) /* ; */; -- the end;": 1,
    "INSERT INTO t (x) VALUES ('a;b'); INSERT INTO t (x) VALUES ('it''s; fine');": 2,
    'CREATE TABLE "a;b" (x); CREATE TABLE [c;d] (x); CREATE TABLE `e;f` (x)': 3,
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET owner = 1; DELETE FROM t WHERE x = 2; END; SELECT 1": 2,
    "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; END;": 1,
    "create /* ; */ trigger r after insert on t begin select 1; end": 1,
    "-- only a comment": 0,
    "": 0,
    " ;; ; \n;": 0,
    "\ufeffCREATE TABLE a (x);": 1,
    "SELECT 1;\r\nSELECT 2;\r\n": 2,
}


@pytest.mark.parametrize("script", SCRIPTS)
async def test_a_script_is_cut_where_its_statements_end(db: SQLiteDatabase, script: str) -> None:
    assert len(list(split_script(script))) == SCRIPTS[script]
    await db.write_script(script)


async def test_a_script_runs_in_order_and_its_rows_are_dropped(db: SQLiteDatabase) -> None:
    await db.write_script("INSERT INTO t (x) VALUES (1), (2) RETURNING x; SELECT * FROM t; DELETE FROM t WHERE x = 1")
    assert await xs(db) == [2]


@pytest.mark.parametrize("bad", ["INSERT INTO t (x) VALUES (1)", "SYNTAX", "INSERT INTO missing VALUES (1)", "'open"])
async def test_a_failing_statement_in_the_middle_leaves_nothing(db: SQLiteDatabase, bad: str) -> None:
    with pytest.raises(sqlite3.Error) as caught:
        await db.write_script(f"CREATE TABLE made (x); INSERT INTO t (x) VALUES (1); {bad}; CREATE TABLE more (x)")
    assert caught.value.__notes__[0].startswith(f"in statement 3: {bad}")
    assert caught.value.__notes__[1].startswith("SQL: CREATE TABLE made")
    assert await xs(db) == []
    assert await db.read("SELECT name FROM sqlite_schema WHERE name IN ('made', 'more')") == []


@pytest.mark.parametrize("control", ["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "END", "ROLLBACK", "SAVEPOINT s", "VACUUM"])
@pytest.mark.parametrize("neighbours", [0, 2])
async def test_transaction_control_in_a_script_is_a_clear_error(
    db: SQLiteDatabase, control: str, neighbours: int
) -> None:
    outcomes = await in_one_batch(
        db,
        db.write_script(f"INSERT INTO t (x) VALUES (1); {control}; INSERT INTO t (x) VALUES (2);"),
        *[db.write(INSERT, (100 + n,)) for n in range(neighbours)],
    )
    with pytest.raises(ForbiddenStatement, match=r"not allowed inside a job: (a job is a tr|use )"):
        raise outcomes[0]
    assert await xs(db) == [100 + n for n in range(neighbours)]


# -- write_fn --------------------------------------------------------------------------------------------------------


async def test_a_function_gets_its_arguments_and_returns_its_result(db: SQLiteDatabase) -> None:
    def fn(conn: sqlite3.Connection, *args: Any) -> Any:
        return conn.execute("SELECT ?1", args[:1]).fetchone()[0] if args == (1, "two") else None

    result = await db.write_fn(lambda conn, *args: (args, isinstance(conn, sqlite3.Connection)), 1, "two")
    assert result == ((1, "two"), True)
    assert await db.write_fn(functools.partial(lambda conn, a, b: a + b, b=2), 1) == 3


async def test_check_then_act_has_no_writer_between(db: SQLiteDatabase) -> None:
    def add_once(conn: sqlite3.Connection, x: int) -> bool:
        if conn.execute("SELECT 1 FROM t WHERE x = ?", (x,)).fetchone():
            return False
        conn.execute(INSERT, (x,))
        return True

    results = await asyncio.gather(*[db.write_fn(add_once, n % 5) for n in range(50)])
    assert results == [True] * 5 + [False] * 45


async def test_rows_inside_a_function_have_names(db: SQLiteDatabase) -> None:
    def fn(conn: sqlite3.Connection) -> list[Any]:
        cursor = conn.cursor()
        cursor.execute("SELECT 1 AS one")
        return [
            cursor.fetchone()["one"],
            conn.execute("SELECT 2 AS two").fetchone()["two"],
            *[row["three"] for row in conn.execute("SELECT 3 AS three")],
        ]

    assert await db.write_fn(fn) == [1, 2, 3]


@pytest.mark.parametrize("error", [ValueError("x"), KeyError(1), sqlite3.IntegrityError("mine"), SystemExit(3)])
@pytest.mark.parametrize("once", [False, True])
async def test_an_error_inside_undoes_the_function_and_is_its_callers(
    db: SQLiteDatabase, error: BaseException, once: bool
) -> None:
    def fn(conn: sqlite3.Connection) -> None:
        conn.execute(INSERT, (1,))
        raise error

    outcomes = await in_one_batch(db, caught(db.write_fn(fn, once=once)), db.write(INSERT, (2,)))
    assert outcomes[0] is error
    assert await xs(db) == [2]


async def caught(job: Any) -> Any:
    """Its exception as a result: SystemExit ends a loop when it leaves a task."""
    try:
        return await job
    except BaseException as error:
        return error


async def test_stop_iteration_inside_is_an_error_that_says_so(db: SQLiteDatabase) -> None:
    def fn(conn: sqlite3.Connection) -> None:
        conn.execute(INSERT, (1,))
        next(iter(()))

    with pytest.raises(RuntimeError, match="StopIteration") as raised:
        await db.write_fn(fn)
    assert isinstance(raised.value.__cause__, StopIteration)
    assert await xs(db) == []


async def coroutine_function(conn: sqlite3.Connection) -> None: ...


async def async_generator_function(conn: sqlite3.Connection) -> AsyncIterator[None]:
    yield


def generator_function(conn: sqlite3.Connection) -> Iterator[None]:
    conn.execute(INSERT, (1,))
    yield


@pytest.mark.parametrize(
    ("fn", "message"),
    [
        (coroutine_function, "nothing can be awaited"),
        (functools.partial(coroutine_function), "nothing can be awaited"),
        (async_generator_function, "nothing can be awaited"),
        (generator_function, "not a generator"),
        ("SELECT 1", "takes a function"),
        (None, "takes a function"),
    ],
)
async def test_what_can_not_run_on_a_thread_is_refused_before_it_is_enqueued(
    db: SQLiteDatabase, fn: Any, message: str
) -> None:
    before = db.statistics()
    for verb in (db.write_fn, db.read_fn):
        with pytest.raises(TypeError, match=message):
            await verb(fn)
    assert db.statistics().batches == before.batches


def open_cursor(conn: sqlite3.Connection) -> sqlite3.Cursor:
    conn.execute(INSERT, (1,))
    return conn.execute("SELECT * FROM t")


def coroutine(conn: sqlite3.Connection) -> Any:
    conn.execute(INSERT, (1,))
    return coroutine_function(conn)


def generator(conn: sqlite3.Connection) -> Any:
    return generator_function(conn)


@pytest.mark.parametrize(
    ("fn", "message"), [(open_cursor, "fetch the rows"), (coroutine, "synchronous"), (generator, "generator")]
)
@pytest.mark.parametrize("neighbours", [0, 2])
async def test_a_result_that_is_not_finished_undoes_the_function(
    db: SQLiteDatabase, fn: Callable[..., Any], message: str, neighbours: int
) -> None:
    outcomes = await in_one_batch(db, db.write_fn(fn), *[db.write(INSERT, (100 + n,)) for n in range(neighbours)])
    with pytest.raises(TypeError, match=message):
        raise outcomes[0]
    assert await xs(db) == [100 + n for n in range(neighbours)]


async def test_factories_that_a_function_sets_do_not_leak(db: SQLiteDatabase) -> None:
    def fn(conn: sqlite3.Connection) -> Any:
        conn.row_factory = lambda cursor, row: "mine"
        conn.text_factory = bytes
        return conn.execute("SELECT 'a'").fetchone()

    for verb in (db.write_fn, db.read_fn):
        for _ in range(10):  # each reader
            assert await verb(fn) == "mine"
        assert await verb(lambda conn: tuple(conn.execute("SELECT 'a'").fetchone())) == ("a",)
    rows = await db.write_returning("INSERT INTO t (x) VALUES ('a') RETURNING x")
    assert rows[0]["x"] == "a"
    assert await asyncio.gather(*[db.read_value("SELECT 'a'") for _ in range(10)]) == ["a"] * 10


@pytest.mark.parametrize("neighbours", [0, 2])
async def test_a_refusal_that_a_function_swallows_still_fails_it(db: SQLiteDatabase, neighbours: int) -> None:
    def fn(conn: sqlite3.Connection) -> str:
        conn.execute(INSERT, (1,))
        try:
            conn.execute("PRAGMA synchronous = OFF")
        except sqlite3.DatabaseError:
            return "swallowed"
        return "passed"

    outcomes = await in_one_batch(db, db.write_fn(fn), *[db.write(INSERT, (100 + n,)) for n in range(neighbours)])
    with pytest.raises(ForbiddenStatement, match="PRAGMA synchronous"):
        raise outcomes[0]
    assert await xs(db) == [100 + n for n in range(neighbours)]


async def test_an_error_that_a_function_swallows_is_its_own_affair(db: SQLiteDatabase) -> None:
    def fn(conn: sqlite3.Connection) -> str:
        conn.execute(INSERT, (1,))
        try:
            conn.execute(INSERT, (1,))
        except sqlite3.IntegrityError:
            conn.execute(INSERT, (2,))
        return "done"

    assert await db.write_fn(fn) == "done"
    assert await xs(db) == [1, 2]


async def test_a_slow_function_is_logged_with_its_name(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def slow_one(conn: sqlite3.Connection) -> None: ...

    monkeypatch.setattr(slow, "LOG_EVERY", 0.0)
    with caplog.at_level(logging.WARNING, "aiomemdb"):
        await db.write_fn(slow_one)
        assert caplog.messages == []
        monkeypatch.setattr(operations, "SLOW_FUNCTION", -1.0)
        await db.write_fn(slow_one)
        await db.write_fn(functools.partial(slow_one))
    assert "slow_one" in caplog.messages[0] and "kept the writer" in caplog.messages[0]
    assert "slow_one) kept the writer" in caplog.messages[1]


async def test_slow_functions_are_logged_once_in_a_while_with_how_many_they_were(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def slow_one(conn: sqlite3.Connection) -> None: ...

    monkeypatch.setattr(operations, "SLOW_FUNCTION", -1.0)
    with caplog.at_level(logging.WARNING, "aiomemdb"):
        for _ in range(4):
            await db.write_fn(slow_one)
        assert len(caplog.messages) == 1 and "more" not in caplog.messages[0]
        monkeypatch.setattr(slow, "LOG_EVERY", 0.0)
        await db.write_fn(slow_one)
        await db.write_fn(slow_one)
    assert "(3 more did so since the last warning)" in caplog.messages[1]
    assert "more" not in caplog.messages[2]


async def test_a_cursor_in_the_traceback_of_an_error_holds_no_snapshot(db: SQLiteDatabase) -> None:
    def fn(conn: sqlite3.Connection) -> None:
        cursor = conn.execute("SELECT * FROM t")
        cursor.fetchone()
        raise ValueError

    await db.write_many(INSERT, [(-2,), (-1,)])
    errors = await asyncio.gather(*[db.read_fn(fn) for _ in range(10)], db.write_fn(fn), return_exceptions=True)
    for n in range(10):
        await db.write(INSERT, (n,))
        assert await db.read_value("SELECT count(*) FROM t") == n + 3
    assert await db.checkpoint()
    assert len(errors) == 11


# -- the same inside a transaction -----------------------------------------------------------------------------------


async def test_each_verb_returns_the_same_inside_a_transaction(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        assert await tx.write(INSERT, (1,)) == 1
        assert await tx.write_count("UPDATE t SET owner = 1") == 1
        assert [tuple(row) for row in await tx.write_returning("DELETE FROM t RETURNING id, x")] == [(1, 1)]
        assert await tx.write_many(INSERT, [(2,), (3,)]) == 2
        await tx.write_script("INSERT INTO t (x) VALUES (4); DELETE FROM t WHERE x = 2;")
        assert await tx.write_fn(lambda conn: conn.execute(INSERT, (5,)).lastrowid) == 4
    assert await xs(db) == [3, 4, 5]


@pytest.mark.parametrize(
    "step",
    [
        lambda tx: tx.write("INSERT OR FAIL INTO t (x) VALUES (2), (1), (3)"),
        lambda tx: tx.write_many(INSERT, [(2,), (1,)]),
        lambda tx: tx.write_script("INSERT INTO t (x) VALUES (2); INSERT INTO t (x) VALUES (1);"),
        lambda tx: tx.write_fn(lambda conn: [conn.execute(INSERT, (n,)) for n in (2, 1)]),
    ],
    ids=["write", "write_many", "write_script", "write_fn"],
)
async def test_a_failed_step_is_undone_whole_and_the_transaction_goes_on(db: SQLiteDatabase, step: Any) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))
        with pytest.raises(sqlite3.IntegrityError) as raised:
            await step(tx)
        assert raised.value.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE"
        await tx.write(INSERT, (9,))
    assert await xs(db) == [1, 9]


async def test_a_step_that_loses_the_transaction_loses_it_whole(db: SQLiteDatabase) -> None:
    with pytest.raises(sqlite3.OperationalError, match="the transaction is gone"):
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
            with pytest.raises(sqlite3.IntegrityError):
                await tx.write("INSERT OR ROLLBACK INTO t (x) VALUES (2), (1)")
            with pytest.raises(sqlite3.OperationalError, match="the transaction is gone"):
                await tx.write(INSERT, (3,))
    assert await xs(db) == []
    await db.write(INSERT, (4,))
    assert await xs(db) == [4]
