"""What SQL and functions may not do, in whichever verb; and what they may."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import ForbiddenStatement
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.connection.script import split_script
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.batches import in_one_batch
from tests.support.plain import assert_healthy, names_in, plain


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, readers=2) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x); INSERT INTO t (x) VALUES (1), (2), (3)")
        yield db
        # Whatever was tried: both sides still work, and nothing stayed.
        assert await db.read_value("SELECT count(*) FROM t") == 3
        assert await db.write("INSERT INTO t (x) VALUES (4)") == 4
        assert [await db.read_value("SELECT count(*) FROM t") for _ in range(4)] == [4] * 4
        assert await db.read_value("SELECT count(*) FROM pragma_database_list WHERE name NOT IN ('main', 'temp')") == 0
    assert_healthy(db_path)


Run = Callable[[SQLiteDatabase, str], Awaitable[Any]]


async def in_transaction(db: SQLiteDatabase, sql: str) -> None:
    async with db.transaction() as tx:
        await tx.write(sql)


async def in_transaction_read(db: SQLiteDatabase, sql: str) -> None:
    async with db.transaction() as tx:
        await tx.read("SELECT 1")
        await tx.read(sql)


async def in_snapshot(db: SQLiteDatabase, sql: str) -> None:
    async with db.snapshot() as snapshot:
        await snapshot.read(sql)


async def in_stream(db: SQLiteDatabase, sql: str) -> None:
    async with db.read_stream(sql) as rows:
        async for _ in rows:
            pass


def swallow(conn: sqlite3.Connection, sql: str) -> str:
    with suppress(Exception):
        conn.execute(sql).fetchall()
    with suppress(Exception):
        conn.cursor().execute(sql)
    return "swallowed"


async def among_neighbours(db: SQLiteDatabase, sql: str) -> None:
    change = "UPDATE t SET x = x + 1 WHERE id = 1"
    before = await db.read_value("SELECT x FROM t")
    outcomes = await in_one_batch(db, db.write(change), db.write(sql), db.write(change))
    assert await db.read_value("SELECT x FROM t") == before + 2
    raise outcomes[1]


WRITE_VERBS: dict[str, Run] = {
    "write": lambda db, sql: db.write(sql),
    "write beside others": among_neighbours,
    "write_count": lambda db, sql: db.write_count(sql),
    "write_returning": lambda db, sql: db.write_returning(sql),
    "write_any": lambda db, sql: db.write_any(sql),
    "write_script": lambda db, sql: db.write_script(f"SELECT 1; {sql}; SELECT 2"),
    "submit": lambda db, sql: db.submit(sql),
    "write_fn": lambda db, sql: db.write_fn(lambda conn: conn.execute(sql).fetchall() and None),
    "write_fn, swallowed": lambda db, sql: db.write_fn(swallow, sql),
    "write_fn once, swallowed": lambda db, sql: db.write_fn(swallow, sql, once=True),
    "tx.write": in_transaction,
}
READ_VERBS: dict[str, Run] = {
    "read": lambda db, sql: db.read(sql),
    "read_one": lambda db, sql: db.read_one(sql),
    "read_value": lambda db, sql: db.read_value(sql),
    "read_fn": lambda db, sql: db.read_fn(lambda conn: conn.execute(sql).fetchall() and None),
    "read_fn, swallowed": lambda db, sql: db.read_fn(swallow, sql),
    "snapshot": in_snapshot,
    "read_stream": in_stream,
    "tx.read": in_transaction_read,
}
VERBS = {**WRITE_VERBS, **READ_VERBS}

TRANSACTION_CONTROL = [
    "BEGIN",
    "BEGIN IMMEDIATE",
    "begin exclusive transaction",
    "COMMIT",
    "commit;",
    "END",
    "END TRANSACTION",
    "ROLLBACK",
    "ROLLBACK TO s",
    "SAVEPOINT s",
    "RELEASE s",
    "/* hidden */ COMMIT -- here",
]
OUT_OF_REACH = [
    "ATTACH ':memory:' AS other",
    "ATTACH 'copy.db' AS other",
    "DETACH main",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "SELECT load_extension('mine')",
]
PRAGMAS = [
    "PRAGMA query_only = 0",
    "PRAGMA query_only = 1",
    "PRAGMA main.query_only(0)",
    "pragma Query_Only = off",
    "PRAGMA query_only",
    "PRAGMA writable_schema = 1",
    "PRAGMA hard_heap_limit = 1000000",
    "PRAGMA soft_heap_limit = 1000000",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA journal_mode",
    "PRAGMA synchronous = OFF",
    "PRAGMA synchronous = FULL",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA wal_checkpoint",
    "PRAGMA wal_checkpoint(PASSIVE)",
    "PRAGMA wal_checkpoint(TRUNCATE)",
    "PRAGMA wal_autocheckpoint = 1",
    "PRAGMA busy_timeout = 0",
    "PRAGMA busy_timeout",
    "PRAGMA foreign_keys = OFF",
    "PRAGMA defer_foreign_keys = ON",
    "PRAGMA ignore_check_constraints = ON",
    "PRAGMA recursive_triggers = ON",
    "PRAGMA trusted_schema = ON",
    "PRAGMA temp_store_directory = '/tmp'",
    "PRAGMA optimize",
    "PRAGMA incremental_vacuum",
    "PRAGMA cache_size = 1",
    "PRAGMA mmap_size = 1000",
    "PRAGMA max_page_count = 1",
    "PRAGMA schema_version = 1",
    "PRAGMA encoding = 'UTF-16'",
    "PRAGMA page_size = 512",
    "PRAGMA shrink_memory",
    "PRAGMA legacy_alter_table = ON",
]


@pytest.mark.parametrize("verb", VERBS)
async def test_what_is_forbidden_is_forbidden_in_every_verb(
    db: SQLiteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for _ in ("compiled for the first time", "perhaps in the cache"):
        for sql in [*TRANSACTION_CONTROL, *OUT_OF_REACH, *PRAGMAS]:
            with pytest.raises(ForbiddenStatement) as caught:
                await VERBS[verb](db, sql)
            assert caught.value.applied is False, sql
            assert "not allowed inside a job" in str(caught.value), sql
    assert names_in(tmp_path) == ["test.db", "test.db-shm", "test.db-wal"]


@pytest.mark.parametrize("verb", VERBS)
async def test_a_text_that_the_library_has_compiled_itself_is_no_way_round(db: SQLiteDatabase, verb: str) -> None:
    for sql in ["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "VACUUM", *PRAGMAS]:
        if sql not in PRAGMAS[1:]:  # what was compiled for itself is kept: enough for all of these
            await use_everything(db)
        with pytest.raises(ForbiddenStatement):
            await VERBS[verb](db, sql)


@pytest.mark.parametrize("verb", VERBS)
async def test_a_refused_vacuum_names_the_verb_that_does_it(db: SQLiteDatabase, verb: str) -> None:
    with pytest.raises(ForbiddenStatement, match=r"VACUUM is not allowed .* db\.vacuum\(\)"):
        await VERBS[verb](db, "VACUUM")


async def use_everything(db: SQLiteDatabase) -> None:
    """Has the library run each kind of statement of its own."""
    await db.flush()
    await db.write("INSERT INTO t (x) VALUES (-9)", durable=True)
    async with db.transaction() as tx:
        await tx.read("SELECT 1")
        async with tx.transaction() as nested:
            await nested.write("DELETE FROM t WHERE x = -9")
    with suppress(sqlite3.Error):
        async with db.transaction() as tx:
            await tx.write("SELECT no such column")
    await db.write_fn(lambda conn: None)
    async with db.snapshot() as snapshot:
        await snapshot.read("SELECT 1")
    await db.read_fn(lambda conn: None)
    await db.checkpoint()
    await db.optimize()
    await db.vacuum()


@pytest.mark.parametrize("verb", ["write", "write_fn", "tx.write", "read", "read_fn"])
async def test_none_of_the_librarys_own_statements_can_be_sent_by_a_user(
    db: SQLiteDatabase, tmp_path: Path, verb: str
) -> None:
    ran: list[str] = []
    path = tmp_path / "traced.db"
    async with aiomemdb.connect(path, prepare=lambda conn: conn.set_trace_callback(ran.append), readers=2) as traced:
        await traced.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        await use_everything(traced)
        texts = {re.sub(r"/\*.*?\*/", "", text).strip() for text in ran}
    own = {text for text in texts if text.split()[0] in CONTROL and not MAY_BE_SENT.match(text)}
    assert {text.split()[0] for text in own} == CONTROL
    for text in sorted(own):
        for spelling in (text, f"{text} ", f"{text} /**/"):
            await use_everything(db)
            with pytest.raises(ForbiddenStatement):
                await VERBS[verb](db, spelling)


CONTROL = {"BEGIN", "COMMIT", "PRAGMA", "RELEASE", "ROLLBACK", "SAVEPOINT", "VACUUM"}
MAY_BE_SENT = re.compile("PRAGMA (schema_version|data_version|user_version|page_size)")


def test_a_connection_is_closed_to_sql_from_the_start_and_behind_each_statement_of_the_librarys() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=GuardedConnection)

    def is_closed() -> bool:
        with pytest.raises(sqlite3.DatabaseError, match="not authorized"):
            connection.execute(f"PRAGMA cache_size = {next(different)}")
        with pytest.raises(ForbiddenStatement):
            connection.commit()
        with pytest.raises(ForbiddenStatement):
            connection.close()
        return not connection.in_transaction

    different = count(1)
    try:
        assert is_closed()
        assert connection.own("PRAGMA cache_size = 7") == []
        assert connection.own("PRAGMA cache_size") == [(7,)]
        assert is_closed()
        with pytest.raises(sqlite3.OperationalError):
            connection.own("SELECT missing")
        assert is_closed()
        connection.own("BEGIN")
        connection.roll_back()
        assert is_closed()
    finally:
        connection.end()


@pytest.mark.parametrize("verb", WRITE_VERBS)
async def test_names_that_users_can_read_are_no_way_round(db: SQLiteDatabase, verb: str) -> None:
    await db.write("UPDATE t SET x = x")
    names = await db.write_fn(
        lambda conn: [row[0] for row in conn.execute("SELECT name FROM temp.sqlite_schema").fetchall()]
    )
    for name in names:
        for text in (f"BEGIN IMMEDIATE /* {name} */", f"COMMIT /* {name} */", f"RELEASE {name}", f"ROLLBACK TO {name}"):
            with pytest.raises(ForbiddenStatement):
                await VERBS[verb](db, text)


@pytest.mark.parametrize("sql", ["COMMIT", "ATTACH ':memory:' AS a", "PRAGMA synchronous = OFF", "VACUUM"])
async def test_a_refusal_names_what_serves_instead(db: SQLiteDatabase, sql: str) -> None:
    with pytest.raises(ForbiddenStatement, match=r"db\.|aiomemdb\.connect") as caught:
        await db.write(sql)
    assert caught.value.__notes__ == [f"SQL: {sql}"]


# -- writes in read verbs --------------------------------------------------------------------------------------------

WRITES = [
    "INSERT INTO t (x) VALUES (1)",
    "INSERT INTO t (x) VALUES (1) RETURNING id",
    "WITH w (x) AS (SELECT 1) INSERT INTO t (x) SELECT x FROM w",
    "UPDATE t SET x = 9",
    "DELETE FROM t",
    "REPLACE INTO t (id) VALUES (1)",
    "CREATE TABLE made (x)",
    "CREATE TEMP TABLE made (x)",
    "CREATE INDEX made ON t (x)",
    "DROP TABLE t",
    "ALTER TABLE t ADD COLUMN y",
    "ANALYZE",
    "REINDEX t",
    "PRAGMA user_version = 9",
    "PRAGMA application_id = 9",
]


@pytest.mark.parametrize("verb", [verb for verb in READ_VERBS if "swallowed" not in verb])
async def test_a_write_in_a_read_verb_is_sqlites_own_read_only_error(db: SQLiteDatabase, verb: str) -> None:
    await db.write("CREATE INDEX i ON t (x)")  # for REINDEX
    for sql in WRITES:
        with pytest.raises(sqlite3.OperationalError) as caught:
            await VERBS[verb](db, sql)
        assert caught.value.sqlite_errorcode & 0xFF == sqlite3.SQLITE_READONLY, sql
        assert await db.read_value("SELECT group_concat(x) FROM t") == "1,2,3", sql


async def test_a_read_function_can_not_lift_its_guards(db: SQLiteDatabase) -> None:
    def fn(conn: Any) -> None:
        for lift in (
            lambda: conn.set_authorizer(None),
            lambda: conn.execute("PRAGMA query_only = 0"),
            lambda: conn.commit(),
            lambda: setattr(conn, "isolation_level", "IMMEDIATE"),
            lambda: conn.executescript("PRAGMA query_only = 0"),
            lambda: conn.cursor().executescript("PRAGMA query_only = 0"),
        ):
            with suppress(Exception):
                lift()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            conn.execute("DELETE FROM t")

    for _ in range(4):
        with pytest.raises(ForbiddenStatement):
            await db.read_fn(fn)


# -- the connection's methods ----------------------------------------------------------------------------------------

METHODS: dict[str, Callable[[Any], object]] = {
    "commit()": lambda conn: conn.commit(),
    "rollback()": lambda conn: conn.rollback(),
    "executescript()": lambda conn: conn.executescript("SELECT 1"),
    "executescript() of its cursor": lambda conn: conn.cursor().executescript("SELECT 1"),
    "with": lambda conn: conn.__enter__(),
    "exit": lambda conn: conn.__exit__(None, None, None),
    "exit with an error": lambda conn: conn.__exit__(ValueError, ValueError(), None),
    "backup()": lambda conn: conn.backup(conn),
    "close()": lambda conn: conn.close(),
    "interrupt()": lambda conn: conn.interrupt(),
    "set_authorizer()": lambda conn: conn.set_authorizer(None),
    "setlimit()": lambda conn: conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 10),
    "enable_load_extension()": lambda conn: conn.enable_load_extension(True),
    "load_extension()": lambda conn: conn.load_extension("mine"),
    "deserialize()": lambda conn: conn.deserialize(b""),
    "setconfig()": lambda conn: conn.setconfig(1011, True),
    "isolation_level": lambda conn: setattr(conn, "isolation_level", "DEFERRED"),
    "isolation_level = None": lambda conn: setattr(conn, "isolation_level", None),
    "autocommit": lambda conn: setattr(conn, "autocommit", False),
}


@pytest.mark.parametrize("verb", ["write_fn", "read_fn", "tx.write_fn"])
@pytest.mark.parametrize("swallowed", [False, True])
async def test_a_method_that_would_end_the_transaction_or_lift_its_guards_is_refused(
    db: SQLiteDatabase, verb: str, swallowed: bool
) -> None:
    def fn(conn: sqlite3.Connection, method: str) -> None:
        if verb != "read_fn":
            conn.execute("UPDATE t SET x = 9")
        try:
            METHODS[method](conn)
        except Exception:
            if not swallowed:
                raise

    for method in METHODS:
        with pytest.raises(ForbiddenStatement):
            if verb == "tx.write_fn":
                async with db.transaction() as tx:
                    await tx.write_fn(fn, method)
            else:
                await getattr(db, verb)(fn, method)
        assert await db.read_value("SELECT group_concat(x) FROM t") == "1,2,3", method


async def test_prepare_may_do_what_jobs_may_not(db_path: Path) -> None:
    seen: list[str] = []

    def prepare(conn: sqlite3.Connection) -> None:
        conn.create_function("double", 1, lambda x: 2 * x, deterministic=True)
        conn.create_collation("backwards", lambda a, b: (a < b) - (a > b))
        conn.executescript("PRAGMA cache_size = 50")
        seen.append(type(conn).__name__)

    async with aiomemdb.connect(db_path, prepare=prepare, readers=2) as db:
        assert seen == [GuardedConnection.__name__] * 2
        await db.write("CREATE TABLE t (x TEXT COLLATE backwards)")
        await db.write_many("INSERT INTO t VALUES (?)", [("a",), ("b",)])
        assert await db.read_value("SELECT group_concat(x) FROM (SELECT x FROM t ORDER BY x)") == "b,a"
        assert await db.write_returning("UPDATE t SET x = double(x) WHERE x = 'a' RETURNING 1") != []
        assert await db.read_value("SELECT double(21)") == 42


# -- what is allowed -------------------------------------------------------------------------------------------------


LOOKS = [
    "PRAGMA user_version",
    "PRAGMA application_id",
    "PRAGMA table_info(t)",
    "PRAGMA table_xinfo(t)",
    "PRAGMA table_list",
    "PRAGMA index_list(t)",
    "PRAGMA foreign_key_list(t)",
    "PRAGMA foreign_key_check",
    "PRAGMA integrity_check",
    "PRAGMA quick_check",
    "PRAGMA data_version",
    "PRAGMA page_count",
    "PRAGMA page_size",
    "PRAGMA freelist_count",
    "PRAGMA max_page_count",
    "PRAGMA schema_version",
    "PRAGMA encoding",
    "PRAGMA compile_options",
    "PRAGMA database_list",
    "PRAGMA function_list",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "EXPLAIN SELECT * FROM t",
    "-- what it does\nexplain SELECT * FROM t",
]
QUERIES = [
    "SELECT * FROM t",
    "/* SELECT */ SELECT 1 -- INSERT",
    "SELECT * FROM pragma_table_info('t')",
    "SELECT value FROM json_each('[1, 2]')",
    "SELECT json_extract('{\"a\": 1}', '$.a')",
    "SELECT replace('insert', 'a', 'b')",
    "SELECT changes(), last_insert_rowid()",
    "VALUES (1)",
    "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n LIMIT 3) SELECT i FROM n",
]
REFUSING_QUERIES: dict[str, Run] = {
    "write": lambda db, sql: db.write(sql),
    "write_count": lambda db, sql: db.write_count(sql),
    "write_many": lambda db, sql: db.write_many(sql, [(), ()]),
    "submit": lambda db, sql: db.submit(sql),
    "tx.write": in_transaction,
}


@pytest.mark.parametrize("verb", [verb for verb in VERBS if "beside" not in verb and "swallowed" not in verb])
async def test_what_only_looks_is_allowed_in_every_verb(db: SQLiteDatabase, verb: str) -> None:
    for sql in LOOKS if verb in REFUSING_QUERIES else LOOKS + QUERIES:
        await VERBS[verb](db, sql)


@pytest.mark.parametrize("verb", REFUSING_QUERIES)
@pytest.mark.parametrize("sql", QUERIES)
@pytest.mark.parametrize("known_to", ["nothing", "write_fn", "write_returning", "itself"])
async def test_a_query_in_a_write_verb_is_an_error_that_names_read(
    db: SQLiteDatabase, verb: str, sql: str, known_to: str
) -> None:
    if known_to == "write_fn":  # Python's cache of statements has it, and compiles nothing
        await db.write_fn(lambda conn: conn.execute(sql).fetchall() and None)
    elif known_to == "write_returning":
        await db.write_returning(sql)
    elif known_to == "itself":
        with pytest.raises(ForbiddenStatement):
            await REFUSING_QUERIES[verb](db, sql)
    with pytest.raises(ForbiddenStatement, match=r"this is a query: use read\(\)") as caught:
        await REFUSING_QUERIES[verb](db, sql)
    assert caught.value.applied is False
    assert f"SQL: {sql}" in caught.value.__notes__


async def test_a_query_is_refused_however_often_its_batch_runs(db: SQLiteDatabase) -> None:
    [sql, *_] = QUERIES
    await db.write_returning(sql)
    for _ in range(3):
        refused, failed = await in_one_batch(db, db.write_count(sql), db.write("CREATE TABLE t (x)"))
        assert isinstance(refused, ForbiddenStatement)
        assert isinstance(failed, sqlite3.OperationalError)


WRITES_WITH_ROWS = [
    "INSERT INTO t (x) VALUES (7) RETURNING id",
    "INSERT INTO t (x) SELECT 7 WHERE 0 RETURNING id",
    "WITH w AS (SELECT 7 AS x) INSERT INTO t (x) SELECT x FROM w RETURNING id",
    "UPDATE t SET x = x WHERE 0 RETURNING id",
    "WITH w AS (SELECT 7 AS x) UPDATE t SET x = 0 WHERE x IN w RETURNING id",
    "DELETE FROM t WHERE x IN (SELECT 8) RETURNING id",
    "WITH w AS (SELECT 8 AS x) DELETE FROM t WHERE x IN w RETURNING id",
    "DELETE FROM seen WHERE x IN (SELECT x FROM seen WHERE x = 7) RETURNING x",
]


@pytest.mark.parametrize("verb", REFUSING_QUERIES)
@pytest.mark.parametrize("known", [False, True])
async def test_a_write_that_returns_rows_is_no_query(db: SQLiteDatabase, verb: str, known: bool) -> None:
    await db.write_script(
        "CREATE VIEW seen AS SELECT x FROM t;"
        "CREATE TRIGGER forget INSTEAD OF DELETE ON seen BEGIN DELETE FROM t WHERE x = old.x; END"
    )
    for sql in WRITES_WITH_ROWS:
        if known:
            await db.write_returning(sql)
        await REFUSING_QUERIES[verb](db, sql)
    await db.write("DELETE FROM t WHERE id > 3")


async def test_a_write_with_a_trigger_that_compiles_the_first_query_is_no_query(db: SQLiteDatabase) -> None:
    await db.write_script(
        "CREATE VIRTUAL TABLE words USING fts5(word);"
        "CREATE TRIGGER note AFTER INSERT ON t BEGIN INSERT INTO words VALUES (new.x); END"
    )
    sql = "INSERT INTO t (x) VALUES (?) RETURNING id"
    for n in range(2000):
        assert await db.write(sql, (n,)) is not None
        if n % 500 == 0:
            await db.write_returning(sql, (-n,))
    assert await db.write_count("DELETE FROM t WHERE id > 3") == 2004


@pytest.mark.parametrize(
    "script",
    [
        "PRAGMA user_version = 7; PRAGMA application_id = 8",
        "CREATE INDEX i ON t (x); REINDEX i; REINDEX; DROP INDEX i",
        "CREATE UNIQUE INDEX i ON t (x) WHERE x > 1; ANALYZE; ANALYZE t; DROP INDEX i",
        "ALTER TABLE t ADD COLUMN y DEFAULT 1; ALTER TABLE t RENAME COLUMN y TO z; ALTER TABLE t DROP COLUMN z",
        "ALTER TABLE t RENAME TO u; ALTER TABLE u RENAME TO t",
        "CREATE VIEW v AS SELECT x FROM t; DROP VIEW v",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET x = 0 WHERE id = NEW.id; END; DROP TRIGGER r",
        "CREATE TEMP TABLE w (x); INSERT INTO w SELECT x FROM t; DROP TABLE w",
        "CREATE TABLE s (a INTEGER, b TEXT AS (a || '!') STORED) STRICT; INSERT INTO s (a) VALUES (1); DROP TABLE s",
        "INSERT INTO t (x) SELECT value FROM json_each('[7, 8]'); DELETE FROM t WHERE x > 3",
        """
        CREATE VIRTUAL TABLE f USING fts5 (x, content = t, content_rowid = id);
        CREATE TRIGGER fi AFTER INSERT ON t BEGIN INSERT INTO f (rowid, x) VALUES (NEW.id, NEW.x); END;
        CREATE TRIGGER fd AFTER DELETE ON t BEGIN INSERT INTO f (f, rowid, x) VALUES ('delete', OLD.id, OLD.x); END;
        INSERT INTO f (f) VALUES ('rebuild');
        INSERT INTO t (x) VALUES ('word');
        DELETE FROM t WHERE id IN (SELECT rowid FROM f WHERE f MATCH 'word');
        INSERT INTO f (f) VALUES ('integrity-check');
        INSERT INTO f (f, rank) VALUES ('merge', 16);
        INSERT INTO f (f) VALUES ('optimize');
        DROP TABLE f; DROP TRIGGER fi; DROP TRIGGER fd
        """,
        "CREATE VIRTUAL TABLE r USING rtree (id, a, b); INSERT INTO r VALUES (1, 2, 3); DROP TABLE r",
    ],
)
async def test_what_changes_data_or_schema_is_allowed_in_jobs(db: SQLiteDatabase, script: str) -> None:
    if "rtree" in script and not await db.read("SELECT 1 FROM pragma_module_list WHERE name = 'rtree'"):
        pytest.skip("this SQLite has no R*Tree module")
    for statement in split_script(script):
        await db.write(statement)
    async with db.transaction() as tx:
        with suppress(ZeroDivisionError):
            async with tx.transaction() as nested:
                await nested.write_script(script)
                raise ZeroDivisionError
    await db.write_script(script)
    assert await db.read_value("PRAGMA integrity_check") == "ok"


async def test_user_version_is_part_of_the_transaction(db: SQLiteDatabase, db_path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError):
        await db.write_script("PRAGMA user_version = 7; SELECT missing FROM t")
    assert await db.read_value("PRAGMA user_version") == 0
    await db.write("PRAGMA user_version = 8")
    assert plain(db_path, "PRAGMA user_version") == [(8,)]


async def test_an_index_that_disagrees_does_not_stop_the_writer(db: SQLiteDatabase) -> None:
    await db.write_script(
        "CREATE VIRTUAL TABLE f USING fts5 (x, content = t, content_rowid = id);"
        "INSERT INTO f (rowid, x) VALUES (9, 'a');"
    )
    with pytest.raises(sqlite3.DatabaseError) as caught:
        await db.write("INSERT INTO f (f, rank) VALUES ('integrity-check', 1)")
    assert caught.value.sqlite_errorname == "SQLITE_CORRUPT_VTAB"
    await db.write("DROP TABLE f")


def test_a_rollback_that_an_interrupt_strikes_is_done_all_the_same() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None, factory=GuardedConnection)
    connection.own("BEGIN")
    strikes = iter([1, 0])
    sqlite3.Connection.set_progress_handler(connection, lambda: next(strikes, 0), 1)
    connection.roll_back()
    assert not connection.in_transaction
    assert next(strikes, None) is None
    connection.end()
