"""What ``connect(prepare=...)`` may do with each new connection, and what it may not: it runs outside of the turns."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import ForbiddenStatement
from tests.support.killing import threads_of
from tests.support.others import OtherProcess
from tests.support.plain import assert_healthy, names_in


@pytest.fixture
def path(db_path: Path) -> Path:
    plain_script(db_path, "PRAGMA journal_mode=WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, x UNIQUE)")
    plain_script(db_path, "INSERT INTO t (x) VALUES ('a')")
    return db_path


def plain_script(path: Path, script: str) -> None:
    conn = sqlite3.connect(path, isolation_level=None)
    conn.executescript(script)
    conn.close()


async def prepared(path: Path, prepare: Callable[[sqlite3.Connection], Any], **options: Any) -> None:
    async with aiomemdb.connect(path, prepare=prepare, **options):
        pass


WRITES = [
    "INSERT INTO t (x) VALUES (1)",
    "REPLACE INTO t VALUES (1, 2)",
    "WITH n AS (SELECT 1) INSERT INTO t (x) SELECT * FROM n",
    "UPDATE t SET x = 1",
    "DELETE FROM t",
    "CREATE TABLE mine (x)",
    "CREATE TABLE IF NOT EXISTS t (x)",
    "CREATE INDEX i ON t (id)",
    "CREATE VIEW v AS SELECT 1",
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
    "CREATE VIRTUAL TABLE f USING fts5 (x)",
    "ALTER TABLE t ADD COLUMN y",
    "DROP TABLE t",
    "REINDEX",
    "ANALYZE",
    "VACUUM",
    "VACUUM INTO 'copy.db'",
    "ATTACH ':memory:' AS other",
    "DETACH other",
]
CONTROL = ["BEGIN", "BEGIN IMMEDIATE", "COMMIT", "ROLLBACK", "SAVEPOINT s", "RELEASE s"]
SETTINGS = [
    "PRAGMA wal_autocheckpoint = 1",
    "PRAGMA wal_checkpoint",
    "PRAGMA synchronous = OFF",
    "PRAGMA main.Synchronous = OFF",
    "PRAGMA locking_mode = EXCLUSIVE",
    "PRAGMA journal_mode = DELETE",
    "PRAGMA busy_timeout = 60000",
    "PRAGMA query_only = 0",
    "PRAGMA writable_schema = 1",
    "PRAGMA hard_heap_limit = 1000000",
    "PRAGMA count_changes = 1",
    "PRAGMA optimize",
    "PRAGMA incremental_vacuum",
    "PRAGMA auto_vacuum = 1",
    "PRAGMA user_version = 3",
    "PRAGMA application_id = 3",
    "PRAGMA schema_version = 9",
    "PRAGMA page_size = 8192",
    "PRAGMA encoding = 'UTF-16le'",
]


@pytest.mark.parametrize("how", ["execute", "executescript", "swallowed"])
@pytest.mark.parametrize("read_only", [False, True])
async def test_prepare_may_not_write_nor_begin_nor_change_settings_of_others(
    path: Path, monkeypatch: pytest.MonkeyPatch, how: str, read_only: bool
) -> None:
    monkeypatch.chdir(path.parent)  # for copy.db
    before = path.read_bytes()

    def prepare(conn: sqlite3.Connection, sql: str) -> None:
        with suppress(sqlite3.Error if how == "swallowed" else ZeroDivisionError):
            getattr(conn, "executescript" if how == "executescript" else "execute")(sql).fetchall()

    for sql in WRITES + CONTROL + SETTINGS:
        with pytest.raises(ForbiddenStatement, match=r"is not allowed in connect\(prepare=...\): ") as caught:
            await prepared(path, partial(prepare, sql=sql), read_only=read_only)
        assert caught.value.applied is False, sql
        assert path.read_bytes() == before, sql
        assert set(names_in(path.parent)) <= {path.name, f"{path.name}-shm", f"{path.name}-wal"}, sql


METHODS: dict[str, Callable[[Any], object]] = {
    "set_authorizer": lambda conn: conn.set_authorizer(None),
    "blobopen": lambda conn: conn.blobopen("t", "x", 1),
    "setconfig, WRITABLE_SCHEMA": lambda conn: conn.setconfig(1011, True),
    "setconfig, RESET_DATABASE": lambda conn: conn.setconfig(1009),
    "isolation_level": lambda conn: (
        conn.execute("CREATE TEMP TABLE w (x)"),
        setattr(conn, "isolation_level", "IMMEDIATE"),
        conn.execute("INSERT INTO w VALUES (1)"),
    ),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("swallowed", [False, True])
async def test_nor_by_a_method_of_the_connection(path: Path, method: str, swallowed: bool) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        with suppress(Exception if swallowed else ZeroDivisionError):
            METHODS[method](conn)

    with pytest.raises(ForbiddenStatement, match=r"connect\(prepare=...\)"):
        await prepared(path, prepare)
    assert_healthy(path)


async def test_nor_by_a_text_that_the_library_has_compiled_before(db_path: Path) -> None:
    with pytest.raises(ForbiddenStatement, match="PRAGMA page_size"):
        await prepared(db_path, lambda conn: conn.execute("PRAGMA page_size=8192"), pragmas={"page_size": 8192})


async def test_and_what_it_compiled_is_still_forbidden_in_jobs(path: Path) -> None:
    sql = "PRAGMA cache_size = 50"
    async with aiomemdb.connect(path, prepare=lambda conn: conn.execute(sql)) as db:
        for verb in (db.write, db.read):
            with pytest.raises(ForbiddenStatement, match="inside a job"):
                await verb(sql)


async def test_beside_anothers_transaction_it_is_told_what_is_forbidden_and_not_that_the_file_is_locked(
    path: Path,
) -> None:
    with OtherProcess(path) as other:
        await other.does("conn = sqlite3.connect(path, isolation_level=None); conn.execute('BEGIN IMMEDIATE'); None")
        with pytest.raises(ForbiddenStatement, match=r"changing mine is not allowed .* when the database is open"):
            await prepared(path, lambda conn: conn.execute("CREATE TABLE IF NOT EXISTS mine (x)"))
        await prepared(path, lambda conn: conn.execute("SELECT x FROM t").fetchall())


async def test_an_error_of_its_own_is_left_as_it_is(path: Path) -> None:
    with pytest.raises(sqlite3.OperationalError, match="no such table: missing"):
        await prepared(path, lambda conn: conn.execute("SELECT * FROM missing"))


if hasattr(sqlite3.Connection, "enable_load_extension"):  # some builds of Python load none

    async def test_extensions_can_be_loaded(path: Path) -> None:
        tried = []

        def prepare(conn: sqlite3.Connection) -> None:
            conn.enable_load_extension(True)
            for load in (
                conn.load_extension,
                lambda name: conn.execute("SELECT load_extension(?)", (name,)).fetchall(),
            ):
                with pytest.raises(sqlite3.OperationalError, match="missing"):  # the system's error, that there is none
                    load("missing")
                tried.append(load)
            conn.enable_load_extension(False)

        await prepared(path, prepare, readers=2)
        assert len(tried) == 6


async def test_a_text_that_only_prepare_may_send_is_compiled_anew_in_jobs(path: Path) -> None:
    sql = "SELECT load_extension('missing')"

    def prepare(conn: sqlite3.Connection) -> None:
        with suppress(sqlite3.OperationalError):  # of its run: it was compiled, and is kept in Python's cache
            conn.execute(sql)

    async with aiomemdb.connect(path, prepare=prepare, readers=2) as db:
        for verb in (db.write_any, db.read, db.read):
            with pytest.raises(ForbiddenStatement, match="inside a job"):
                await verb(sql)


@pytest.mark.parametrize(
    "script",
    [
        "SELECT * FROM t; SELECT * FROM json_each('[1]'); SELECT * FROM pragma_table_info('t')",
        "CREATE TEMP TABLE w (x); INSERT INTO w SELECT x FROM t; UPDATE w SET x = 3; DELETE FROM w; DROP TABLE w",
        "CREATE TEMP TABLE w AS SELECT * FROM t; ALTER TABLE w ADD COLUMN y; CREATE INDEX temp.i ON w (y)",
        "CREATE TEMP TABLE w (x UNIQUE); CREATE INDEX temp.i ON w (x); REINDEX temp.i; ANALYZE temp",
        "CREATE TEMP VIEW v AS SELECT * FROM t; CREATE TEMP TRIGGER r AFTER INSERT ON main.t BEGIN SELECT 1; END",
        "CREATE VIRTUAL TABLE temp.f USING fts5 (x); INSERT INTO f VALUES ('a'); SELECT * FROM f WHERE f MATCH 'a'",
        "PRAGMA user_version; PRAGMA application_id; PRAGMA encoding; PRAGMA page_size; PRAGMA schema_version",
        "PRAGMA table_info(t); PRAGMA quick_check; PRAGMA data_version; PRAGMA compile_options; PRAGMA auto_vacuum",
        "PRAGMA main.cache_size = 7; PRAGMA CASE_SENSITIVE_LIKE = 1; PRAGMA max_page_count = 1000000",
    ],
)
async def test_prepare_may_read_and_use_temp_tables(path: Path, script: str) -> None:
    before = path.read_bytes()

    await prepared(path, lambda conn: conn.executescript(script))
    assert path.read_bytes() == before


async def test_a_blob_may_be_read(path: Path) -> None:
    read = []

    def prepare(conn: sqlite3.Connection) -> None:
        with conn.blobopen("t", "x", 1, readonly=True) as blob:
            read.append(blob.read())

    await prepared(path, prepare)
    assert read == [b"a"] * 2  # of the writer and a reader


@pytest.mark.parametrize(
    "name", sorted(aiomemdb.sqlite.common.options.PRAGMAS - {"application_id", "auto_vacuum", "encoding", "page_size"})
)
async def test_what_can_be_set_by_pragmas_can_be_set_here(path: Path, name: str) -> None:
    await prepared(path, lambda conn: conn.execute(f"PRAGMA {name} = 0"))


@pytest.mark.parametrize(
    ("name", "value"), [("cache_size", 50), ("foreign_keys", 0), ("recursive_triggers", 1), ("temp_store", 2)]
)
async def test_what_it_sets_holds(path: Path, name: str, value: int) -> None:
    async with aiomemdb.connect(path, prepare=lambda conn: conn.execute(f"PRAGMA {name} = {value}")) as db:
        for connection in threads_of(db):
            [(found,)] = await connection.submit(lambda raw: raw.own(f"PRAGMA {name}"))
            assert found == value
