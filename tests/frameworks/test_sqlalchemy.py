"""SQLAlchemy on ``sqlite+aiomemdb``: transactions, the pool, SQLAlchemy's own recipes for SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import ForeignKey, event, func, insert, select, text, update
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InvalidRequestError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.ext.asyncio import create_async_engine as create_engine_of_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import aiomemdb
from aiomemdb.integrations.sqlalchemy import create_async_engine
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.plain import plain
from tests.support.whole import assert_whole, eventually


class Base(DeclarativeBase):
    pass


class Counter(Base):
    __tablename__ = "counter"
    id: Mapped[int] = mapped_column(primary_key=True)
    n: Mapped[int] = mapped_column(default=0)


class Part(Base):
    __tablename__ = "part"
    id: Mapped[int] = mapped_column(primary_key=True)
    of: Mapped[int] = mapped_column(ForeignKey("counter.id"))


async def make_tables(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
        await connection.execute(insert(Counter).values(id=1, n=0))


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path, max_hold=60) as db:  # what is left open is not ended by that
        yield db
        await assert_whole(db)


@pytest.fixture
async def engine(db: SQLiteDatabase) -> AsyncIterator[AsyncEngine]:
    """On a database that the test has, too."""
    engine = create_async_engine(db)
    await make_tables(engine)
    yield engine
    await engine.dispose()


async def number(engine: AsyncEngine) -> int | None:
    async with AsyncSession(engine) as session:
        return await session.scalar(select(Counter.n))


async def again_if_locked(work: Callable[[], Any]) -> int:
    """Runs it until it is done; returns how often it was to be run again."""
    reruns = 0
    while True:
        try:
            await work()
        except OperationalError as error:
            assert "locked" in str(error)
            reruns += 1
        else:
            return reruns


# -- transactions --------------------------------------------------------------------------------------------


async def test_no_increment_of_many_sessions_is_lost(engine: AsyncEngine) -> None:
    async def increment() -> None:
        async with AsyncSession(engine) as session, session.begin():
            counter = (await session.scalars(select(Counter))).one()
            counter.n += 1

    async def work() -> None:
        for _ in range(10):
            await again_if_locked(increment)

    await asyncio.gather(*(work() for _ in range(8)))
    assert await number(engine) == 80


async def test_with_for_update_waits_for_the_writer_and_is_never_to_be_run_again(engine: AsyncEngine) -> None:
    reads = asyncio.Event()

    async def increment(meets: bool) -> None:
        async with AsyncSession(engine) as session, session.begin():
            counter = (await session.scalars(select(Counter).with_for_update())).one()
            if meets:
                reads.set()
                await asyncio.sleep(0.3)  # longer than the patience of a transaction that would begin as a snapshot
            counter.n += 1

    first = asyncio.create_task(increment(True))
    await reads.wait()
    await asyncio.gather(first, increment(False), increment(False))
    assert await number(engine) == 3


async def test_a_session_that_has_read_an_old_state_is_told_so_when_it_writes(
    engine: AsyncEngine, db: SQLiteDatabase
) -> None:
    hold = await db.begin()
    await hold.write("UPDATE counter SET n = 5")
    async with AsyncSession(engine) as session:
        counter = (await session.scalars(select(Counter))).one()  # on a snapshot, beside the one that holds the writer
        assert counter.n == 0
        await hold.commit()
        counter.n += 1
        with pytest.raises(OperationalError, match="database is locked") as caught:
            await session.commit()
        assert caught.value.orig is not None
        assert caught.value.orig.sqlite_errorname == "SQLITE_BUSY_SNAPSHOT"  # type: ignore[attr-defined]
        assert not caught.value.connection_invalidated
        await session.rollback()
        counter = (await session.scalars(select(Counter).execution_options(populate_existing=True))).one()
        counter.n += 1
        await session.commit()
    assert await number(engine) == 6


async def test_a_savepoint_is_rolled_back_alone(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session, session.begin():
        await session.execute(update(Counter).values(n=1))
        with pytest.raises(ZeroDivisionError):
            async with session.begin_nested():
                await session.execute(update(Counter).values(n=2))
                raise ZeroDivisionError
        assert await session.scalar(select(Counter.n)) == 1
    assert await number(engine) == 1


async def test_a_session_held_too_long_reports_it_and_commits_nothing_of_what_follows(db_path: Path) -> None:
    engine = create_async_engine(db_path, connect_args={"max_hold": 0.1})
    await make_tables(engine)
    async with engine.connect() as connection:
        await connection.execute(update(Counter).values(n=1))
        await eventually(lambda: plain(db_path, "SELECT 1") == [(1,)])
        await asyncio.sleep(0.15)
        with pytest.raises(OperationalError, match="max_hold"):
            await connection.execute(update(Counter).values(n=2))
        for _ in range(2):
            with pytest.raises(OperationalError, match="the transaction is gone"):
                await connection.execute(update(Counter).values(n=3))
        with pytest.raises(OperationalError, match="the transaction is gone"):
            await connection.commit()
        await connection.rollback()
        assert await connection.scalar(select(Counter.n)) == 0
        await connection.execute(update(Counter).values(n=4))
        await connection.commit()
    assert await number(engine) == 4
    await engine.dispose()


async def test_a_task_that_is_cancelled_in_a_transaction_leaves_nothing_open(
    engine: AsyncEngine, db: SQLiteDatabase
) -> None:
    has_written = asyncio.Event()

    async def work() -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(update(Counter).values(n=1))
            has_written.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await has_written.wait()
    task.cancel()
    await asyncio.wait([task])
    assert await db.write_count("UPDATE counter SET n = n + 5", timeout=30) == 1
    assert await number(engine) == 5


async def test_a_statement_that_is_cancelled_leaves_nothing_open(engine: AsyncEngine, db: SQLiteDatabase) -> None:
    hold = await db.begin()
    await hold.write("UPDATE counter SET n = 5")

    async def work() -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(update(Counter).values(n=1))

    task = asyncio.create_task(work())
    await eventually(lambda: db.statistics().pending > 0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await hold.commit()
    assert await db.write_count("UPDATE counter SET n = n + 1") == 1
    assert await number(engine) == 6


async def test_autocommit_writes_are_jobs_that_share_a_commit(engine: AsyncEngine, db: SQLiteDatabase) -> None:
    async def write(connection: Any) -> None:
        for _ in range(20):
            await connection.execute(update(Counter).values(n=Counter.n + 1))

    connections = [await engine.connect() for _ in range(20)]
    for connection in connections:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
    before = db.statistics()
    await asyncio.gather(*map(write, connections))
    after = db.statistics()
    assert after.writes - before.writes == 400
    assert after.batches - before.batches < 200
    for connection in connections:
        await connection.close()
    assert await number(engine) == 400


async def test_autocommit_ends_with_the_checkout(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(update(Counter).values(n=1))
        await connection.rollback()
    async with engine.connect() as connection:
        assert await connection.get_isolation_level() == "SERIALIZABLE"
        await connection.execute(update(Counter).values(n=2))
        await connection.rollback()
    assert await number(engine) == 1


# -- reading alone -------------------------------------------------------------------------------------------


async def test_a_read_only_connection_reads_beside_one_that_holds_the_writer_and_can_not_write(
    engine: AsyncEngine, db: SQLiteDatabase
) -> None:
    async with db.transaction() as tx, engine.connect() as connection:
        await tx.write("UPDATE counter SET n = 5")
        await connection.execution_options(aiomemdb_readonly=True)
        assert await connection.scalar(select(Counter.n)) == 0
        with pytest.raises(OperationalError, match="attempt to write a readonly database"):
            await connection.execute(update(Counter).values(n=2))
        await connection.rollback()
    async with engine.begin() as connection:  # the same one, given back
        await connection.execute(update(Counter).values(n=Counter.n + 1))
    assert await number(engine) == 6


async def test_a_read_only_engine_is_one_by_its_options(engine: AsyncEngine) -> None:
    reading = engine.execution_options(aiomemdb_readonly=True)
    async with AsyncSession(reading) as session:
        assert await session.scalar(select(Counter.n)) == 0
        with pytest.raises(OperationalError, match="readonly"):
            await session.execute(update(Counter).values(n=2))


async def test_the_read_only_option_is_set_outside_a_transaction_and_by_a_truth_value(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        with pytest.raises(ArgumentError, match="aiomemdb_readonly='yes': True or False"):
            await connection.execution_options(aiomemdb_readonly="yes")
        await connection.execute(select(Counter))
        with pytest.raises(InvalidRequestError, match="already initialized"):
            await connection.execution_options(aiomemdb_readonly=True)


# -- the pool ------------------------------------------------------------------------------------------------


async def test_hundreds_of_idle_sessions_need_no_more_threads_than_one(db_path: Path) -> None:
    threads = set(threading.enumerate())
    engine = create_async_engine(db_path)
    await make_tables(engine)
    reading = engine.execution_options(aiomemdb_readonly=True)
    sessions = [AsyncSession(reading) for _ in range(200)] + [AsyncSession(engine) for _ in range(8)]
    for session in sessions:
        assert await session.scalar(select(Counter.n)) == 0
    assert len(set(threading.enumerate()) - threads) <= 4 + 2
    for session in sessions:
        await session.close()
    await engine.dispose()
    assert not {thread for thread in set(threading.enumerate()) - threads if thread.is_alive()}


async def test_engines_of_one_file_and_loop_share_its_threads(db_path: Path) -> None:
    threads = set(threading.enumerate())
    engines = [create_async_engine(db_path), create_engine_of_url(f"sqlite+aiomemdb:///{db_path}")]
    await make_tables(engines[0])
    await asyncio.gather(*(number(engine) for engine in engines))
    names = [thread.name for thread in set(threading.enumerate()) - threads]
    assert sum("writer" in name for name in names) == 1
    await engines[0].dispose()
    assert await number(engines[1]) == 0
    await engines[1].dispose()


async def test_a_database_that_was_given_stays_open(db: SQLiteDatabase) -> None:
    engine = create_async_engine(db)
    await make_tables(engine)
    await engine.dispose()
    assert await db.read_value("SELECT n FROM counter") == 0
    assert await number(engine) == 0
    await engine.dispose()


async def test_in_memory_an_engine_has_its_own_and_its_sessions_share_it() -> None:
    engines = [create_engine_of_url("sqlite+aiomemdb://"), create_async_engine(":memory:")]
    for engine in engines:
        await make_tables(engine)

    async def increment() -> None:
        async with AsyncSession(engines[0]) as session, session.begin():
            (await session.scalars(select(Counter).with_for_update())).one().n += 1

    await asyncio.gather(*(increment() for _ in range(8)))
    assert [await number(engine) for engine in engines] == [8, 0]
    for engine in engines:
        await engine.dispose()


@pytest.mark.filterwarnings("ignore:.* was not closed:ResourceWarning")
def test_an_engine_outlives_its_loop(db_path: Path) -> None:
    engine = create_async_engine(db_path)
    asyncio.run(make_tables(engine))  # its connections are of a loop that is closed now
    assert asyncio.run(number(engine)) == 0

    async def end() -> None:
        async with AsyncSession(engine) as session, session.begin():
            await session.execute(update(Counter).values(n=3))
        assert await number(engine) == 3
        await engine.dispose()

    asyncio.run(end())


@pytest.mark.filterwarnings("ignore:.* was not closed:ResourceWarning")
def test_an_engine_is_disposed_of_on_another_loop(db_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    engine = create_async_engine(db_path)
    asyncio.run(make_tables(engine))
    asyncio.run(engine.dispose())
    assert not caplog.records  # SQLAlchemy logs what closing a connection raises
    assert asyncio.run(number(engine)) == 0
    asyncio.run(engine.dispose())


async def test_a_connection_to_a_closed_database_is_a_disconnect(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    engine = create_async_engine(db)
    await make_tables(engine)
    async with engine.connect() as connection:
        await connection.execute(select(Counter))
        await db.close()
        with pytest.raises(OperationalError, match="closed") as caught:
            await connection.execute(select(Counter))
        assert caught.value.connection_invalidated
    with pytest.raises(OperationalError, match="closed"):
        await number(engine)
    await engine.dispose()


# -- recipes -------------------------------------------------------------------------------------------------


def on_connect(engine: AsyncEngine) -> Callable[[Callable[..., None]], Callable[..., None]]:
    decorator: Callable[[Callable[..., None]], Callable[..., None]] = event.listens_for(engine.sync_engine, "connect")
    return decorator


async def test_foreign_keys_are_checked_where_the_recipe_says_so(db_path: Path) -> None:
    orphan = insert(Part).values(of=404)
    loose, strict = create_async_engine(db_path), create_async_engine(db_path)

    @on_connect(strict)
    def set_sqlite_pragma(dbapi_connection: Any, connection_record: Any) -> None:
        autocommit = dbapi_connection.isolation_level
        dbapi_connection.isolation_level = None
        cursor = dbapi_connection.cursor()
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()
        dbapi_connection.isolation_level = autocommit

    await make_tables(loose)
    for _ in range(2):
        async with loose.begin() as connection:
            await connection.execute(orphan)
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            async with strict.begin() as connection:
                await connection.execute(orphan)
    await loose.dispose()
    await strict.dispose()


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"])
async def test_a_begin_of_its_own_begins_the_transaction(engine: AsyncEngine, db: SQLiteDatabase, begin: str) -> None:
    @on_connect(engine)
    def do_connect(dbapi_connection: Any, connection_record: Any) -> None:
        dbapi_connection.isolation_level = None

    @event.listens_for(engine.sync_engine, "begin")
    def do_begin(conn: Any) -> None:
        conn.exec_driver_sql(begin)

    await engine.dispose()
    async with engine.connect() as connection:
        await connection.execute(select(Counter))
        assert (db.statistics().transaction_holder is not None) or begin == "BEGIN"
        async with connection.begin_nested() as nested:
            await connection.execute(update(Counter).values(n=1))
            await nested.rollback()
        await connection.execute(update(Counter).values(n=Counter.n + 2))
        await connection.commit()
        await connection.execute(update(Counter).values(n=9))
        await connection.rollback()
    assert await number(engine) == 2


async def test_functions_of_the_recipes_are_there_for_all(engine: AsyncEngine, db: SQLiteDatabase) -> None:
    @on_connect(engine)
    def do_connect(dbapi_connection: Any, connection_record: Any) -> None:
        dbapi_connection.create_function("double", 1, _double, deterministic=True)
        dbapi_connection.run_async(lambda connection: connection.create_collation("backwards", _backwards))

    await engine.dispose()
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT double(21)")) == 42
        found = await connection.execute(text("SELECT * FROM (VALUES ('a'), ('b')) ORDER BY 1 COLLATE backwards"))
        assert [row[0] for row in found] == ["b", "a"]
        assert await connection.scalar(text("SELECT 'abc' REGEXP 'b.'")) == 1
        assert await connection.scalar(select(func.floor(1.5))) == 1


def _double(value: int) -> int:
    return 2 * value


def _backwards(first: str, second: str) -> int:
    return (first < second) - (first > second)


async def test_functions_are_set_once_for_a_database_and_not_for_each_connection(
    engine: AsyncEngine, db: SQLiteDatabase
) -> None:
    assert db._assembly is not None
    before = db._assembly._settings._count
    connections = [await engine.connect() for _ in range(10)]
    assert db._assembly._settings._count == before == 2
    for connection in connections:
        await connection.close()


async def test_an_extension_is_loaded_only_where_that_was_enabled(engine: AsyncEngine) -> None:
    def load(dbapi_connection: Any) -> None:
        dbapi_connection.load_extension("/nowhere/at_all")

    async with engine.connect() as connection:
        raw = await connection.get_raw_connection()

        def recipe(_: Any) -> list[str]:
            met = []
            for enabled in (False, True):
                raw.dbapi_connection.enable_load_extension(enabled)
                try:
                    load(raw.dbapi_connection)
                except sqlite3.Error as error:
                    met.append(str(error))
            return met

        first, second = await connection.run_sync(recipe)
        assert first == "not authorized"
        assert "without loadable extensions" in second or "at_all" in second


# -- results and errors --------------------------------------------------------------------------------------


async def test_a_stream_reads_in_parts_and_returns_its_reader_where_it_is_left(
    engine: AsyncEngine, db: SQLiteDatabase
) -> None:
    numbers = text("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT i FROM n")
    async with engine.connect() as connection:
        result = await connection.stream(numbers)
        assert [row.i async for row in result] == list(range(1, 5001))
        result = await connection.stream(numbers)
        assert (await result.fetchone()).i == 1
        assert [row.i for row in await result.fetchmany(3)] == [2, 3, 4]
        await result.close()
        assert len((await connection.execute(numbers)).all()) == 5000
    await eventually(lambda: db.statistics().readers_busy == 0)


@pytest.mark.parametrize(
    "sql",
    ["ATTACH ':memory:' AS other", "VACUUM INTO 'copy.db'", "PRAGMA writable_schema = 1", "SELECT * FROM missing"],
)
async def test_an_error_is_one_that_callers_of_sqlalchemy_know(engine: AsyncEngine, sql: str) -> None:
    async with engine.connect() as connection:
        with pytest.raises(DBAPIError) as caught:
            await connection.execute(text(sql))
        assert not caught.value.connection_invalidated
        await connection.rollback()
        assert await connection.scalar(select(Counter.n)) == 0


async def test_a_deferred_constraint_that_the_commit_refuses_is_an_integrity_error(db_path: Path) -> None:
    engine = create_async_engine(db_path, connect_args={"pragmas": {"foreign_keys": True}})
    await make_tables(engine)
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE later (of REFERENCES counter (id) DEFERRABLE INITIALLY DEFERRED)"))
    async with engine.connect() as connection:
        await connection.execute(text("INSERT INTO later VALUES (404)"))
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            await connection.commit()
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM later")) == 0
    await engine.dispose()


async def test_ids_and_counts_are_the_statements_own(engine: AsyncEngine) -> None:
    async with AsyncSession(engine) as session:
        counters = [Counter(n=n) for n in range(3)]
        session.add_all(counters)
        await session.flush()
        assert [counter.id for counter in counters] == [2, 3, 4]
        result = await session.execute(update(Counter).where(Counter.id > 2).values(n=7))
        assert result.rowcount == 2  # type: ignore[attr-defined]
        connection = await session.connection()
        inserted = await connection.execute(insert(Counter).values(n=1))
        assert inserted.inserted_primary_key == (5,)
        many = await connection.execute(insert(Counter), [{"n": 1}, {"n": 2}])
        assert many.rowcount == 2
