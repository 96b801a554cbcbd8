"""What a program does with aiosqlite comes to the same with aiomemdb.aiosqlite: each runs on both."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import aiosqlite
import pytest

import aiomemdb.aiosqlite

Program = Callable[[Any, Any], Awaitable[Any]]

PROGRAMS: list[Program] = []


def program(run: Program) -> Program:
    PROGRAMS.append(run)
    return run


async def outcome(awaitable: Awaitable[Any]) -> Any:
    """What it comes to; of an error its class and its message."""
    try:
        return await awaitable
    except (sqlite3.Error, ValueError, TypeError, OverflowError) as error:
        return type(error).__name__, str(error)


@program
async def description_and_counts(db: Any, module: Any) -> Any:
    seen = []
    for sql in (
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x)",
        "INSERT INTO t (x) VALUES (1), (2), (3)",
        "SELECT id, x AS y FROM t WHERE x > 1",
        "SELECT * FROM t WHERE 0",
        "UPDATE t SET x = x + 1 WHERE id < 3",
        "REPLACE INTO t (id, x) VALUES (2, 9)",
        "DELETE FROM t WHERE id = 1",
        "EXPLAIN QUERY PLAN SELECT 1",
    ):
        cursor = await db.execute(sql)
        seen.append((cursor.description, cursor.rowcount, cursor.lastrowid, db.in_transaction, db.total_changes))
    return seen


@program
async def transactions_by_hand(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (x)")
    seen = []
    for sql in (
        "BEGIN", "INSERT INTO t VALUES (1)", "SAVEPOINT a", "INSERT INTO t VALUES (2)", "SAVEPOINT a",
        "INSERT INTO t VALUES (3)", "ROLLBACK TO a", "INSERT INTO t VALUES (4)", "RELEASE a", "ROLLBACK TO SAVEPOINT a",
        "RELEASE SAVEPOINT A", "RELEASE a", "BEGIN IMMEDIATE", "END TRANSACTION", "COMMIT", "ROLLBACK",
        "/* x */ begin -- y", "insert into t values (5)", "rollback;", "SAVEPOINT outer", "INSERT INTO t VALUES (6)",
        'RELEASE "outer"', "SELECT x FROM t ORDER BY x",
    ):  # fmt: skip
        answer = await outcome(db.execute_fetchall(sql))
        seen.append((sql, answer if isinstance(answer, tuple) else [tuple(row) for row in answer], db.in_transaction))
    return seen


@program
async def implicit_transactions(db: Any, module: Any) -> Any:
    seen = []
    for sql in (
        "CREATE TABLE t (x UNIQUE)", "SELECT * FROM t", "INSERT INTO t VALUES (1)", "CREATE TABLE u (y)",
        "INSERT INTO t VALUES (1)", "INSERT OR ROLLBACK INTO t VALUES (1)", "SELECT count(*) FROM t",
    ):  # fmt: skip
        answer = await outcome(db.execute_fetchall(sql))
        seen.append((sql, answer, db.in_transaction))
    await db.rollback()
    return seen


@program
async def without_isolation_level(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (x)")
    await db.execute("INSERT INTO t VALUES (1)")
    inside = db.in_transaction
    await db.rollback()
    return inside, db.isolation_level, await db.execute_fetchall("SELECT * FROM t")


@program
async def many_and_scripts(db: Any, module: Any) -> Any:
    await db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1); BEGIN; INSERT INTO t VALUES (2); COMMIT;")
    cursor = await db.executemany("INSERT INTO t VALUES (?)", [(n,) for n in range(3, 6)])
    seen = [cursor.rowcount, db.in_transaction]
    await db.executescript("INSERT INTO t VALUES (6)")
    seen += [db.in_transaction, await db.execute_fetchall("SELECT x FROM t ORDER BY x")]
    return seen


@program
async def factories(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
    await db.execute("INSERT INTO t (name) VALUES ('Ada')")
    seen: list[Any] = [await db.execute_insert("INSERT INTO t (name) VALUES (?)", ("Bob",))]
    await db.commit()
    db.row_factory = module.Row
    async with db.execute("SELECT * FROM t") as cursor:
        row = await cursor.fetchone()
        seen += [row["NAME"], row.keys(), tuple(row), isinstance(row, sqlite3.Row)]
    db.row_factory = lambda cursor, row: {
        column[0]: value for column, value in zip(cursor.description, row, strict=True)
    }
    seen.append(await db.execute_fetchall("SELECT * FROM t"))
    db.row_factory = None
    db.text_factory = bytes
    seen.append(await db.execute_fetchall("SELECT name FROM t"))
    db.text_factory = lambda text: text.decode().upper()
    seen.append(await db.execute_fetchall("SELECT name FROM t"))
    seen.append(await db.execute_fetchall("INSERT INTO t (name) VALUES ('Eve') RETURNING name"))
    await db.rollback()
    return seen


@program
async def fetching(db: Any, module: Any) -> Any:
    numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ?) SELECT i FROM n"
    cursor = await db.execute(numbers, (2500,))
    cursor.arraysize = 3
    seen = [await cursor.fetchone(), await cursor.fetchmany(), await cursor.fetchmany(1200), await cursor.fetchmany(0)]
    seen += [len(await cursor.fetchall()), await cursor.fetchone(), await cursor.fetchall(), await cursor.fetchmany(5)]
    async with db.execute(numbers, (5,)) as cursor:
        seen.append([row async for row in cursor])
    seen.append(await outcome(cursor.fetchall()))
    cursor = await db.cursor()
    seen += [await cursor.fetchone(), cursor.description, cursor.rowcount, cursor.arraysize]
    return seen


@program
async def parameters(db: Any, module: Any) -> Any:
    seen = []
    for sql, given in (
        ("SELECT ?, ?", (1, "a")), ("SELECT ?, ?", [1, None]), ("SELECT :a, :b", {"a": 1, "b": b"x"}),
        ("SELECT ?", ()), ("SELECT ?", (1, 2)), ("SELECT :a", {}), ("SELECT ?", (object,)),
        ("SELECT ?", (2**70,)), ("SELECT 1; SELECT 2", ()),
    ):  # fmt: skip
        answer = await outcome(db.execute_fetchall(sql, given))
        seen.append(answer[0] if isinstance(answer, tuple) else answer)
    return seen


@program
async def the_latest_rowid(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    seen: list[Any] = [await db.execute_fetchall("SELECT last_insert_rowid()")]
    cursor = await db.execute("INSERT INTO t (id, x) VALUES (7, 1)")
    seen += [cursor.lastrowid, await db.execute_fetchall("SELECT last_insert_rowid() AS id")]
    await db.commit()
    seen.append(await db.execute_fetchall("SELECT last_insert_rowid()"))
    await db.execute("UPDATE t SET x = 2")
    seen.append(await db.execute_fetchall("SELECT changes()"))
    await db.commit()
    return seen


@program
async def errors(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (x UNIQUE NOT NULL)")
    await db.execute("INSERT INTO t VALUES (1)")
    wrong = ("INSERT INTO t VALUES (1)", "INSERT INTO t VALUES (NULL)", "SELEC 1", "SELECT * FROM missing")
    seen: list[Any] = [(await outcome(db.execute(sql)), db.in_transaction) for sql in wrong]
    seen.append(await outcome(db.executemany("SELECT ?", [(1,)])))
    seen.append(await outcome(db.execute("-- nothing")) is not None)
    await db.rollback()
    return seen


@program
async def pragmas(db: Any, module: Any) -> Any:
    seen = []
    for sql in (
        "PRAGMA foreign_keys", "PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "PRAGMA busy_timeout",
        "PRAGMA busy_timeout = 300", "PRAGMA user_version", "PRAGMA user_version = 5", "PRAGMA user_version",
        "PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "PRAGMA synchronous = NORMAL", "PRAGMA synchronous",
        "PRAGMA read_uncommitted", "PRAGMA locking_mode", "PRAGMA query_only", "PRAGMA cache_size = -4000",
        "PRAGMA cache_size", "PRAGMA temp_store = MEMORY", "PRAGMA temp_store", "PRAGMA mmap_size = 0",
        "PRAGMA wal_autocheckpoint",
    ):  # fmt: skip
        cursor = await db.execute(sql)
        seen.append((sql, cursor.description and cursor.description[0][0], await cursor.fetchall()))
    return seen


@program
async def foreign_keys(db: Any, module: Any) -> Any:
    await db.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)")
    await db.execute("INSERT INTO b VALUES (1)")
    await db.rollback()
    await db.execute("PRAGMA foreign_keys = ON")
    seen = [await outcome(db.execute("INSERT INTO b VALUES (1)"))]
    await db.rollback()
    return seen


@program
async def foreign_keys_without_isolation_level(db: Any, module: Any) -> Any:
    await db.executescript("CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (a REFERENCES a)")
    await db.execute("PRAGMA foreign_keys = ON")
    return await outcome(db.execute("INSERT INTO b VALUES (2)")), db.in_transaction


@program
async def temporary_tables(db: Any, module: Any) -> Any:
    await db.execute("CREATE TEMP TABLE mine (x)")
    await db.execute("INSERT INTO mine VALUES (1)")
    await db.commit()
    return await db.execute_fetchall("SELECT * FROM mine")


@program
async def a_dump(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (x)")
    await db.execute("INSERT INTO t VALUES ('in the open transaction')")
    lines = [line async for line in db.iterdump()]
    await db.rollback()
    return lines


@program
async def functions(db: Any, module: Any) -> Any:
    await db.create_function("twice", 1, lambda x: 2 * x, deterministic=True)
    return await db.execute_fetchall("SELECT twice(4)")


@program
async def with_inserts(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (x)")
    await db.execute("WITH one (x) AS (SELECT 1) INSERT INTO t SELECT x FROM one")
    inside = db.in_transaction
    await db.rollback()
    return inside, await db.execute_fetchall("SELECT * FROM t")


@program
async def what_is_there(db: Any, module: Any) -> Any:
    return sorted(name for name in module.__all__ if name not in ("install", "uninstall")), [
        hasattr(db, name) for name in dir(aiosqlite.Connection) if not name.startswith("_")
    ]


@program
async def vacuum(db: Any, module: Any) -> Any:
    await db.execute("CREATE TABLE t (x)")
    return await outcome(db.execute_fetchall("VACUUM")), await outcome(db.execute_fetchall("vacuum main;"))


@pytest.mark.parametrize("run", PROGRAMS, ids=lambda run: run.__name__)
async def test_a_program_comes_to_the_same(tmp_path: Path, run: Program) -> None:
    async def on(module: ModuleType) -> Any:
        async with module.connect(tmp_path / f"{module.__name__}.db") as db:
            return await run(db, module)

    theirs = await on(aiosqlite)
    assert await on(aiomemdb.aiosqlite) == theirs


async def test_calls_at_once_come_to_the_same(tmp_path: Path) -> None:
    async with aiomemdb.aiosqlite.connect(tmp_path / "test.db") as db:
        await db.execute("CREATE TABLE t (x)")
        await asyncio.gather(*(db.execute("INSERT INTO t VALUES (?)", (n,)) for n in range(50)))
        assert db.in_transaction and db.total_changes == 50
        await db.commit()
        assert await db.execute_fetchall("SELECT count(*) FROM t") == [(50,)]
