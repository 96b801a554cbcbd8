"""What hostile texts, names, values, modes and neighbours can do: nothing."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import aiomemdb
from aiomemdb.sqlite.common.options import SQLiteConfig
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.plain import assert_healthy, names_in, plain

SIZES = [100, pytest.param(10_000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])]
QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]

Do = Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def opened(path: Path, **options: Any) -> Iterator[tuple[SQLiteDatabase, Do]]:
    """A database and what runs a coroutine on its loop: one for all examples of a test."""
    with asyncio.Runner() as runner:
        db = runner.run(_open(path, **options))
        try:
            yield db, runner.run
        finally:
            runner.run(db.close())
    assert_healthy(path)


async def _open(path: Path, **options: Any) -> SQLiteDatabase:
    return await aiomemdb.connect(path, **options)


def examples(given_test: Callable[..., None], count: int) -> None:
    settings(max_examples=count, deadline=None, suppress_health_check=QUIET)(given_test)()


# -- SQL that hides something -----------------------------------------------------------------------------------------

FORBIDDEN = [
    "COMMIT",
    "END",
    "ROLLBACK",
    "BEGIN IMMEDIATE",
    "SAVEPOINT s",
    "RELEASE s",
    "ATTACH 'other.db' AS other",
    "DETACH main",
    "VACUUM INTO 'other.db'",
    "PRAGMA synchronous = OFF",
    "PRAGMA main . journal_mode ( DELETE )",
    "PRAGMA query_only = 0",
    "PRAGMA writable_schema = 1",
    "PRAGMA wal_checkpoint ( TRUNCATE )",
]
GAPS = st.sampled_from([" ", "\t", "\n", "\f", "/**/", "/* ; */", "-- ;\n", " /* 'a */ ", "\n--\n"])


@st.composite
def disguised(draw: st.DrawFn) -> str:
    """A forbidden statement with other gaps, cases and neighbours."""
    words = draw(st.sampled_from(FORBIDDEN)).split()
    cased = [
        draw(st.sampled_from([word, word.lower(), word.swapcase()])) if "'" not in word else word for word in words
    ]
    text = "".join(draw(GAPS) + word for word in cased) + draw(st.sampled_from(["", ";", " ;", "/**/;--", "\n"]))
    return draw(st.sampled_from(["", "", "EXPLAIN ", "EXPLAIN QUERY PLAN ", "SELECT 1; ", "\ufeff", ";"])) + text


def _by_function(conn: sqlite3.Connection, text: str) -> None:
    conn.execute(text).fetchall()


async def _in_transaction(db: SQLiteDatabase, text: str) -> None:
    async with db.transaction() as tx:
        await tx.write(text)


VERBS: dict[str, Callable[[SQLiteDatabase, str], Coroutine[Any, Any, Any]]] = {
    "write": lambda db, text: db.write(text),
    "write_count": lambda db, text: db.write_count(text),
    "write_returning": lambda db, text: db.write_returning(text),
    "write_any": lambda db, text: db.write_any(text),
    "write_script": lambda db, text: db.write_script(text),
    "write_fn": lambda db, text: db.write_fn(_by_function, text),
    "transaction": _in_transaction,
    "read": lambda db, text: db.read(text),
    "read_fn": lambda db, text: db.read_fn(_by_function, text),
}


@pytest.mark.parametrize("count", SIZES)
def test_no_disguise_of_a_forbidden_statement_gets_through(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    monkeypatch.chdir(db_path.parent)

    def state(conn: sqlite3.Connection) -> list[Any]:
        names = ("synchronous", "query_only", "wal_autocheckpoint", "foreign_keys")
        assert isinstance(conn, GuardedConnection)
        return [conn.in_transaction, *[conn.own(f"PRAGMA {name}") for name in names]]

    with opened(db_path, readers=2) as (db, do):
        do(db.write("CREATE TABLE t (x)"))
        before = [do(db.write_fn(state)), *[do(db.read_fn(state)) for _ in range(2)]]

        @given(disguised(), st.sampled_from(sorted(VERBS)))
        def attack(text: str, verb: str) -> None:
            explained = "explain" in text.lower() or ";" in text  # compiled, or perhaps refused as two; never run
            try:
                do(VERBS[verb](db, text))
                assert explained, "it was not refused"
            except (sqlite3.Error, aiomemdb.ForbiddenStatement):
                pass
            written = do(db.write_count("INSERT INTO t VALUES (1)"))
            assert written == 1
            assert [do(db.write_fn(state)), *[do(db.read_fn(state)) for _ in range(2)]] == before

        examples(attack, count)
    assert names_in(db_path.parent) == [db_path.name]


# -- names and values -------------------------------------------------------------------------------------------------

NAMES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)


@pytest.mark.parametrize("count", SIZES)
def test_any_name_of_a_table_and_a_column_is_that_name(db_path: Path, count: int) -> None:
    with opened(db_path, readers=2) as (db, do):

        @given(NAMES.filter(lambda name: not name.lower().startswith("sqlite_")), NAMES, st.text(max_size=40))
        def attack(table: str, column: str, value: str) -> None:
            value = value.replace("\0", "")
            table_sql, column_sql = (f'"{name.replace(chr(34), chr(34) * 2)}"' for name in (table, column))
            do(db.write(f"CREATE TABLE {table_sql} ({column_sql} TEXT)"))
            try:
                insert = f"INSERT INTO {table_sql} ({column_sql}) VALUES (?)"
                assert [do(db.write(insert, (value,))) for _ in range(3)] == [1, 2, 3]
                assert do(db.write_many(insert, [(value,)] * 2)) == 2
                assert do(db.write(f"UPDATE {table_sql} SET {column_sql} = ?", (value,))) is None
                rows = do(db.read(f"SELECT {column_sql} FROM {table_sql} LIMIT 1"))
                assert [dict(row) for row in rows] == [{column: value}]
            finally:
                do(db.write(f"DROP TABLE {table_sql}"))

        examples(attack, count)


@pytest.mark.parametrize("count", [30, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])])
def test_any_name_of_a_file_is_that_name(tmp_path: Path, count: int) -> None:
    async def use(path: Path) -> None:
        async with aiomemdb.connect(path, readers=1) as db:
            await db.write("CREATE TABLE t (x)")
            assert await db.read_value("SELECT count(*) FROM t") == 0

    names = st.binary(min_size=1, max_size=60).map(lambda name: name.translate(None, b"\0/")) | NAMES.map(
        lambda name: ("?#%&:;'\"" + name).replace("/", "").encode()[:60]
    )

    @given(names.filter(lambda name: name not in (b"", b".", b"..")))
    def attack(name: bytes) -> None:
        folder = tmp_path / "a?b#c%20"
        folder.mkdir()
        try:
            aiomemdb.run(use(folder / os.fsdecode(name)))
            assert names_in(folder) == [os.fsdecode(name)]
        finally:
            shutil.rmtree(folder)

    examples(attack, count)


@pytest.mark.parametrize("count", SIZES)
def test_the_value_of_a_pragma_is_a_number_or_a_plain_word_or_refused(count: int) -> None:
    tails = st.sampled_from(["", "; DROP TABLE t", ") --", "'", '"', " = 1", "/**/", "\n", "\0", "é"])
    words = st.sampled_from(["wal", "off", "1", "-5", "main", "incremental", "UTF-8"]) | st.text(max_size=10)

    @given(st.sampled_from(["cache_size", "auto_vacuum", "encoding", "temp_store", "mmap_size"]), words, tails)
    def attack(name: str, word: str, tail: str) -> None:
        value = word + tail
        try:
            config = SQLiteConfig(pragmas={name: value})
        except ValueError:
            return
        assert config.pragmas == {name: value}
        assert value.replace("-", "").replace("_", "").isalnum() and value.isascii()

    examples(attack, count)


# -- full-text queries, and what is too large -------------------------------------------------------------------------


@pytest.mark.parametrize("count", SIZES)
def test_a_query_that_is_no_fts5_fails_alone(db_path: Path, count: int) -> None:
    operators = st.sampled_from(
        ["AND", "OR", "NOT", "NEAR(", ")", "(", '"', "*", "^", ":", "-", "+", "{a b}", "\0", "'"]
    )
    queries = st.lists(operators | st.text(max_size=6), max_size=8).map(" ".join)
    with opened(db_path, readers=2) as (db, do):
        do(db.write_script("CREATE VIRTUAL TABLE words USING fts5(body); CREATE TABLE t (x)"))
        do(db.write("INSERT INTO words VALUES ('acme corp builds rockets')"))

        @given(queries)
        def attack(query: str) -> None:
            for call in (
                lambda: db.read("SELECT rowid FROM words WHERE words MATCH ?", (query,)),
                lambda: db.write_count("DELETE FROM words WHERE words MATCH ? AND rowid < 0", (query,)),
            ):
                try:
                    do(call())
                except (sqlite3.Error, UnicodeEncodeError) as error:
                    assert getattr(error, "sqlite_errorname", "") != "SQLITE_MISUSE"
            assert do(db.read_value("SELECT rowid FROM words WHERE words MATCH 'rockets'")) == 1
            assert do(db.write_count("INSERT INTO t VALUES (1)")) == 1

        examples(attack, count)


@pytest.mark.parametrize(
    ("sql", "params"),
    [
        ("SELECT " + "(" * 5000 + "1" + ")" * 5000, ()),
        ("SELECT " + " + ".join(["1"] * 50_000), ()),
        (" UNION ALL ".join(["SELECT 1"] * 2000), ()),
        ("SELECT " + ", ".join(["1"] * 40_000), ()),
        ("SELECT " + ", ".join(["?"] * 40_000), (1,) * 40_000),
        ("INSERT INTO t VALUES ('" + "x" * 20_000_000 + "')", ()),
        ("INSERT INTO t VALUES (zeroblob(1000000000))", ()),
        ("INSERT INTO t VALUES (replace(hex(zeroblob(8000000)), '0', 'xx'))", ()),
        ("INSERT INTO t SELECT group_concat(hex(randomblob(8000000))) FROM (VALUES (1), (2))", ()),
        ("INSERT INTO t VALUES (?)", (b"x" * 20_000_000,)),
        ("INSERT INTO t VALUES (?)", ("x" * 20_000_000,)),
        ("SELECT 'x' LIKE '" + "%x" * 40_000 + "'", ()),
    ],
    ids=[
        "deep",
        "many terms",
        "many selects",
        "many columns",
        "many parameters",
        "a long text",
        "zeroblob",
        "replace",
        "group_concat",
        "a large blob",
        "a large string",
        "a long pattern",
    ],
)
async def test_what_is_too_large_is_an_error_of_its_caller_alone(
    db_path: Path, sql: str, params: tuple[Any, ...]
) -> None:
    async with aiomemdb.connect(db_path, readers=2) as db:
        await db.write("CREATE TABLE t (x)")
        with pytest.raises((sqlite3.Error, OverflowError)) as caught:
            await db.write(sql, params)
        assert len("".join(caught.value.__notes__)) < 2000
        assert await db.write("INSERT INTO t VALUES (1)") == 1
        assert await db.read_value("SELECT count(*) FROM t") == 1


# -- modes and folders ------------------------------------------------------------------------------------------------

UMASKS = [0o000, 0o022, 0o077, 0o177, 0o600, 0o777]


@pytest.mark.parametrize("umasks", [UMASKS, pytest.param(range(0o1000), marks=pytest.mark.soak)], ids=["some", "all"])
def test_whatever_the_umask_no_file_is_for_others(tmp_path: Path, umasks: list[int]) -> None:
    async def use(path: Path) -> dict[str, int]:
        async with aiomemdb.connect(path, readers=1) as db:
            await db.write("CREATE TABLE t (x)")
            await db.backup(path.with_name("copy"))
            return {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    for umask in umasks:
        folder = tmp_path / oct(umask)
        folder.mkdir()
        before = os.umask(umask)
        try:
            modes = aiomemdb.run(use(folder / "a.db"))
        finally:
            os.umask(before)
        assert len(modes) == 6
        assert {mode & 0o177 for mode in modes.values()} == {0}, (oct(umask), modes)
        shutil.rmtree(folder)


@pytest.fixture
def shared_folder(tmp_path: Path) -> Path:
    """One that everybody may write into, as /tmp."""
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


async def make_database(path: Path) -> None:
    async with aiomemdb.connect(path) as db:
        await db.write_script("CREATE TABLE t (x); INSERT INTO t VALUES ('honest')")


def plant_log(path: Path) -> None:
    """Beside a closed database, a log that replaces its rows: SQLite takes any log with right checksums."""
    copy = path.with_name("copy.db")
    shutil.copy(path, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as conn:
        conn.execute("UPDATE t SET x = 'forged'")
        shutil.copy(f"{copy}-wal", f"{path}-wal")
    copy.unlink()


async def test_a_log_that_another_user_put_beside_the_database_is_refused(shared_folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change a file's owner")
    path = shared_folder / "a.db"
    await make_database(path)
    plant_log(path)
    os.chown(f"{path}-wal", 65534, 65534)
    with pytest.raises(PermissionError, match="belongs to another user"):
        await aiomemdb.connect(path)
    os.unlink(f"{path}-wal")
    assert plain(path, "SELECT x FROM t") == [("honest",)]


async def test_a_log_of_ones_own_in_a_shared_folder_is_recovered(shared_folder: Path) -> None:
    path = shared_folder / "a.db"
    await make_database(path)
    plant_log(path)
    async with aiomemdb.connect(path) as db:
        assert await db.read_value("SELECT x FROM t") == "forged"


async def test_in_a_folder_of_their_own_several_users_share_a_log(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may change a file's owner")
    path = tmp_path / "a.db"
    await make_database(path)
    plant_log(path)
    os.chown(f"{path}-wal", 65534, 65534)
    async with aiomemdb.connect(path) as db:
        assert await db.read_value("SELECT x FROM t") == "forged"


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal", "-lock", "-next"])
@pytest.mark.parametrize("link", [os.symlink, os.link], ids=["symbolic", "hard"])
@pytest.mark.parametrize("there", [True, False], ids=["a database that is there", "a new database"])
async def test_a_link_in_the_place_of_one_of_its_files_leads_nowhere(
    shared_folder: Path, suffix: str, link: Callable[[Path, str], None], there: bool
) -> None:
    path, victim = shared_folder / "a.db", shared_folder / "victim"
    victim.write_bytes(b"precious" * 10_000)
    if there:
        await make_database(path)
        for lock in ("-lock", "-next"):
            os.unlink(f"{path}{lock}")
    link(victim, f"{path}{suffix}")
    with pytest.raises(OSError):
        await aiomemdb.connect(path)
    assert victim.read_bytes() == b"precious" * 10_000
    assert victim.stat().st_mode & 0o777 == 0o644
