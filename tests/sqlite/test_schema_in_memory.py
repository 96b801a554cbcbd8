"""The schema that a connection has in memory is the file's: nothing of a change that was undone, and all that others
have committed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.batches import in_one_batch, open_session
from tests.support.plain import assert_healthy, plain
from tests.support.queries import ENDLESS

SCHEMA = "CREATE TABLE t (a UNIQUE, b); CREATE TABLE u (a, b); INSERT INTO t VALUES (1, 2)"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script(SCHEMA)
        yield db
    assert_healthy(db_path)


# -- what was undone -----------------------------------------------------------------------------------------
#
# SQLite forgets what a connection has changed in the schema when it is rolled back, except where an ALTER that fails
# has had it read the changed schema anew. What was undone then stays in memory until the file is seen to be another
# one, by a counter; and that is the same again when others have changed the schema as often.


class Undone(Exception):
    pass


LEAVE_A_GHOST = ("CREATE INDEX ghost ON t (b)", "ALTER TABLE t RENAME COLUMN a TO b", "INSERT INTO u VALUES (1, 1)")


def leave_a_ghost(conn: sqlite3.Connection) -> None:
    for sql in LEAVE_A_GHOST:
        with suppress(sqlite3.OperationalError):
            conn.execute(sql)


def leave_a_ghost_and_fail(conn: sqlite3.Connection) -> None:
    leave_a_ghost(conn)
    raise Undone


def leave_a_ghost_and_lose_the_transaction(conn: sqlite3.Connection) -> None:
    leave_a_ghost(conn)
    conn.execute("INSERT OR ROLLBACK INTO t VALUES (1, 1)")


async def in_a_function(db: SQLiteDatabase) -> None:
    with pytest.raises(Undone):
        await db.write_fn(leave_a_ghost_and_fail)


async def in_a_function_that_loses_the_transaction(db: SQLiteDatabase) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        await db.write_fn(leave_a_ghost_and_lose_the_transaction)


async def in_a_transaction(db: SQLiteDatabase) -> None:
    with pytest.raises(Undone):
        async with db.transaction() as tx:
            for sql in LEAVE_A_GHOST:
                with suppress(sqlite3.OperationalError):
                    await tx.write(sql)
            raise Undone


async def in_a_step_of_a_transaction(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        with pytest.raises(Undone):
            await tx.write_fn(leave_a_ghost_and_fail)


async def in_a_nested_transaction(db: SQLiteDatabase) -> None:
    async with db.transaction() as tx:
        with pytest.raises(Undone):
            async with tx.transaction() as nested:
                await nested.write_fn(leave_a_ghost)
                raise Undone


async def in_a_transaction_that_is_lost(db: SQLiteDatabase) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        async with db.transaction() as tx:
            await tx.write_fn(leave_a_ghost)
            await tx.write("INSERT OR ROLLBACK INTO t VALUES (1, 1)")


async def in_a_transaction_held_too_long(db: SQLiteDatabase) -> None:
    async with aiomemdb.connect(await path_of(db)) as other:
        await other.write("INSERT INTO u VALUES (1, 1)")
    with pytest.raises(aiomemdb.WriteTimeout):
        async with db.transaction() as tx:
            await tx.write_fn(leave_a_ghost)
            await tx.write(f"INSERT INTO u SELECT 1, 1 FROM ({ENDLESS})", timeout=0.2)


async def path_of(db: SQLiteDatabase) -> str:
    path: str = await db.read_value("SELECT file FROM pragma_database_list")
    return path


@pytest.mark.parametrize(
    "undo",
    [
        in_a_function,
        in_a_function_that_loses_the_transaction,
        in_a_transaction,
        in_a_step_of_a_transaction,
        in_a_nested_transaction,
        in_a_transaction_that_is_lost,
        in_a_transaction_held_too_long,
    ],
    ids=lambda undo: undo.__name__,
)
async def test_an_index_that_was_undone_is_never_used(
    db: SQLiteDatabase, db_path: Path, undo: Callable[[SQLiteDatabase], Awaitable[None]]
) -> None:
    await undo(db)
    async with aiomemdb.connect(db_path) as other:
        await other.write("CREATE INDEX real ON u (b)")
    await db.write("INSERT INTO t VALUES (3, 4)")
    assert await db.write_fn(lambda conn: conn.execute("SELECT a FROM t WHERE b = 4").fetchall()[0][0]) == 3
    await db.write("CREATE INDEX ghost ON t (b)")
    assert await db.write_fn(lambda conn: conn.execute("PRAGMA integrity_check").fetchone()[0]) == "ok"


@pytest.mark.parametrize("culprit", [leave_a_ghost_and_fail, leave_a_ghost_and_lose_the_transaction])
async def test_an_index_that_was_undone_is_in_no_neighbours_way(
    db: SQLiteDatabase, culprit: Callable[[sqlite3.Connection], None]
) -> None:
    first, behind = db.write("INSERT INTO u VALUES (1, 1)"), db.write("CREATE INDEX ghost ON t (b)")
    outcomes = await in_one_batch(db, first, db.write_fn(culprit), behind)
    assert isinstance(outcomes[1], Undone | sqlite3.IntegrityError)
    assert outcomes[2] is None


async def test_a_function_that_goes_on_after_an_alter_that_failed_meets_the_schema_as_it_is(db: SQLiteDatabase) -> None:
    await db.write_script("""
        CREATE TABLE kept (a, b);
        CREATE TRIGGER needs_b BEFORE DELETE ON kept WHEN old.b BEGIN SELECT 1; END;
        CREATE TRIGGER uses_b BEFORE INSERT ON u BEGIN INSERT INTO kept (b) VALUES (new.a); END;
    """)

    def fn(conn: sqlite3.Connection) -> None:
        with pytest.raises(sqlite3.OperationalError, match="after drop column"):
            conn.execute("ALTER TABLE kept DROP COLUMN b")
        conn.execute("INSERT INTO u VALUES (7, 8)")

    await db.write_fn(fn)
    assert await db.read_value("SELECT b FROM kept") == 7


def test_where_the_schema_cant_be_looked_at_all_of_it_is_forgotten(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: GuardedConnection) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    plain_connection = sqlite3.connect(db_path, isolation_level=None)
    plain_connection.execute("PRAGMA journal_mode = WAL")
    plain_connection.executescript(SCHEMA)
    plain_connection.close()
    with open_session(db_path) as session, session.turn():
        session.begin(durable=False)
        leave_a_ghost(session.connection)
        with monkeypatch.context() as patched:
            patched.setattr(GuardedConnection, "look_at_schema", fail)
            session.rollback()
        plain(db_path, "CREATE INDEX real ON u (b)")
        session.connection.execute("INSERT INTO t VALUES (3, 4)")
        assert session.connection.execute("SELECT a FROM t WHERE b = 4").fetchall()[0][0] == 3


# -- what others have committed ------------------------------------------------------------------------------

MADE = """
CREATE TABLE made (x PRIMARY KEY REFERENCES t (a));
CREATE INDEX made_index ON made (x);
"""
LISTS = {
    "foreign_key_list(made)": 1,
    "index_list(made)": 2,
    "index_info(made_index)": 1,
    "index_xinfo(made_index)": 2,
    "table_info(made)": 1,
    "table_xinfo(made)": 1,
    "table_list(made)": 1,
}


async def by_read(db: SQLiteDatabase, sql: str) -> int:
    return len(await db.read(sql))


async def by_read_one(db: SQLiteDatabase, sql: str) -> int:
    return int(await db.read_one(sql) is not None)


async def by_read_fn(db: SQLiteDatabase, sql: str) -> int:
    return len(await db.read_fn(lambda conn: conn.execute(sql).fetchall()))


async def by_read_stream(db: SQLiteDatabase, sql: str) -> int:
    return len([row async for row in db.read_stream(sql)])


async def by_snapshot(db: SQLiteDatabase, sql: str) -> int:
    async with db.snapshot() as snap:
        return len(await snap.read(sql))


async def by_write_fn(db: SQLiteDatabase, sql: str) -> int:
    return len(await db.write_fn(lambda conn: conn.execute(sql).fetchall()))


async def by_write_returning(db: SQLiteDatabase, sql: str) -> int:
    return len(await db.write_returning(sql))


async def by_transaction(db: SQLiteDatabase, sql: str) -> int:
    async with db.transaction() as tx:
        return len(await tx.read(sql))


@pytest.mark.parametrize(
    "ask",
    [
        by_read,
        by_read_one,
        by_read_fn,
        by_read_stream,
        by_snapshot,
        by_write_fn,
        by_write_returning,
        by_transaction,
    ],
    ids=lambda ask: ask.__name__,
)
async def test_a_pragma_lists_what_another_has_just_made(
    db: SQLiteDatabase, db_path: Path, ask: Callable[[SQLiteDatabase, str], Awaitable[int]]
) -> None:
    async with aiomemdb.connect(db_path) as other:
        for pragma, rows in LISTS.items():
            sql = f"PRAGMA {pragma}"
            for _ in range(5):  # each reader has seen that there is nothing
                assert await ask(db, sql) == 0
            await other.write_script(MADE)
            for _ in range(5):
                assert await ask(db, sql) == (1 if ask is by_read_one else rows), pragma
            await other.write("DROP TABLE made")


async def in_a_transaction_of_its_own(db: SQLiteDatabase, sql: str) -> None:
    async with db.transaction() as tx:
        await tx.write(sql)


CHANGES: dict[str, Callable[[SQLiteDatabase, str], Awaitable[object]]] = {
    "write": lambda db, sql: db.write(sql),
    "write_count": lambda db, sql: db.write_count(sql),
    "write_many": lambda db, sql: db.write_many(sql, [()]),
    "write_script": lambda db, sql: db.write_script(sql),
    "write_fn": lambda db, sql: db.write_fn(lambda conn: conn.execute(sql).close()),
    "transaction": in_a_transaction_of_its_own,
}


@pytest.mark.parametrize("verb", CHANGES)
async def test_a_change_of_the_schema_is_held_against_what_another_has_just_changed(
    db: SQLiteDatabase, db_path: Path, verb: str
) -> None:
    async with aiomemdb.connect(db_path) as other:
        await db.write("CREATE INDEX again ON t (b)")
        await other.write("DROP INDEX again")
        await CHANGES[verb](db, "CREATE INDEX again ON t (b)")
        await other.write("CREATE TABLE made (a, b)")
        # It is not there, says the schema in memory; and a STRICT table needs types.
        await CHANGES[verb](db, "CREATE TABLE IF NOT EXISTS made (a, b) STRICT")
