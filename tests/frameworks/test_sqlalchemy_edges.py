"""The edges of ``sqlite+aiomemdb``: bad input, how databases are shared, forks, cancellations at any moment."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.ext.asyncio import create_async_engine as create_engine_of_url
from sqlalchemy.pool import NullPool

import aiomemdb
from aiomemdb import DatabaseClosed
from aiomemdb.integrations.sqlalchemy import create_async_engine
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.plain import assert_healthy, plain
from tests.support.scripts import run_script
from tests.support.whole import assert_whole, eventually

# -- bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("sqlite+aiomemdb:///a.db?cache=shared", "unknown option 'cache'"),
        ("sqlite+aiomemdb:///a.db?uri=true", "unknown option 'uri'"),
        ("sqlite+aiomemdb:///a.db?detect_types=1", "unknown option 'detect_types'"),
        ("sqlite+aiomemdb:///a.db?readers=many", "readers='many' is no such value"),
        ("sqlite+aiomemdb:///a.db?readers=0", "readers=0"),
        ("sqlite+aiomemdb:///a.db?durability=high", "durability='high'"),
        ("sqlite+aiomemdb:///a.db?read_only=perhaps", "read_only='perhaps' is no such value"),
        ("sqlite+aiomemdb:///a.db?timeout=-1", "timeout=-1.0: seconds"),
        ("sqlite+aiomemdb:///a.db?timeout=nan", "timeout=nan: seconds"),
        ("sqlite+aiomemdb://host/a.db", "a file has no host"),
        ("sqlite+aiomemdb://user:secret@/a.db", "a file has no host"),
        ("sqlite+aiomemdb:///file:a.db", "plain path"),
        ("sqlite+aiomemdb:///~/a.db", "expand"),
        ("sqlite+aiomemdb:///a\0.db", "NUL"),
    ],
)
def test_a_wrong_url_is_an_error_when_the_engine_is_made(url: str, message: str) -> None:
    for make in (create_engine_of_url, create_async_engine):
        with pytest.raises(ArgumentError, match=message) as caught:
            make(url)
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"nowhere": 1},
        {"isolation_level": None},
        {"readers": "4"},
        {"timeout": "5"},
        {"timeout": True},
        {"prepare": 5},
        {"pragmas": {"synchronous": "off"}},
    ],
)
async def test_wrong_options_are_an_error_when_the_engine_is_made_or_connects(
    db_path: Path, options: dict[str, Any]
) -> None:
    with pytest.raises(ArgumentError):
        create_async_engine(db_path, connect_args=options)
    engine = create_engine_of_url(f"sqlite+aiomemdb:///{db_path}", connect_args=options)
    with pytest.raises(ArgumentError):
        await engine.connect()
    assert not db_path.exists()


@pytest.mark.parametrize("target", [None, 5, b"a.db", object(), ["a.db"]])
def test_another_target_is_an_error(target: Any) -> None:
    with pytest.raises(TypeError, match="an open database, a path, or a URL"):
        create_async_engine(target)


def test_a_url_of_another_dialect_is_an_error_that_names_ours() -> None:
    for url in ("sqlite+aiosqlite:///a.db", "sqlite:///a.db", "postgresql+asyncpg://h/d"):
        with pytest.raises(ArgumentError, match=r"sqlite\+aiomemdb:///file\.db"):
            create_async_engine(url)


async def test_a_closed_database_is_an_error_at_once_and_one_that_is_not_open_when_it_connects(db_path: Path) -> None:
    db = await aiomemdb.connect(db_path)
    await db.close()
    with pytest.raises(DatabaseClosed):
        create_async_engine(db)
    db = aiomemdb.connect(db_path)
    engine = create_async_engine(db)
    with pytest.raises(OperationalError, match="not open yet"):
        await engine.connect()
    async with db, engine.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def test_options_of_a_file_can_not_be_given_for_an_open_database(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        with pytest.raises(ArgumentError, match=r"readers: .* set by aiomemdb\.connect"):
            create_async_engine(db, connect_args={"readers": 8})
        engine = create_async_engine(db, connect_args={"timeout": 0.05, "check_same_thread": False})
        hold = await db.begin()
        async with engine.connect() as connection:
            with pytest.raises(OperationalError, match="database is locked"):
                await connection.execute(text("CREATE TABLE t (x)"))
        await hold.rollback()
        await engine.dispose()


async def test_a_database_of_another_loop_is_an_error_that_names_it(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        engine = create_async_engine(db)

        async def elsewhere() -> None:
            with pytest.raises(OperationalError, match="loop"):
                await engine.connect()

        await asyncio.to_thread(asyncio.run, elsewhere())
        await engine.dispose()


async def test_a_file_that_can_not_be_opened_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    engine = create_async_engine(tmp_path / "missing" / "a.db")
    for _ in range(2):
        with pytest.raises((OSError, DBAPIError)):
            await engine.connect()
    (tmp_path / "missing").mkdir()
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


@pytest.mark.parametrize("value", ["a\0b", "\ud800", 2**70, object(), "x" * 2000, float("nan")])
async def test_a_value_that_can_not_be_kept_is_an_error_of_its_statement_alone(db_path: Path, value: object) -> None:
    engine = create_async_engine(db_path, connect_args={"max_value_bytes": 1024})
    async with engine.begin() as connection:
        await connection.execute(text("CREATE TABLE t (x)"))
        await connection.execute(text("INSERT INTO t VALUES ('before')"))
        try:
            await connection.execute(text("INSERT INTO t VALUES (:x)"), {"x": value})
        except (DBAPIError, UnicodeEncodeError, OverflowError):
            pass
        else:
            assert value == "a\0b" or value != value
        await connection.execute(text("INSERT INTO t VALUES ('behind')"))
    await engine.dispose()
    kept = [row[0] for row in plain(db_path, "SELECT x FROM t")]
    assert (kept[0], kept[-1]) == ("before", "behind")


# -- sharing -------------------------------------------------------------------------------------------------


async def test_cancelling_one_of_several_openings_leaves_the_others(db_path: Path) -> None:
    engine = create_async_engine(db_path)
    tasks = [asyncio.create_task(ask(engine)) for _ in range(3)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == [7, 7]
    await engine.dispose()


async def test_cancelling_all_openings_leaves_nothing(db_path: Path) -> None:
    threads = set(threading.enumerate())
    engine = create_async_engine(db_path)
    tasks = [asyncio.create_task(ask(engine)) for _ in range(3)]
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    await engine.dispose()
    await eventually(lambda: not set(threading.enumerate()) - threads)
    await eventually(lambda: len(asyncio.all_tasks()) == 1)


async def ask(engine: AsyncEngine) -> object:
    async with engine.connect() as connection:
        return await connection.scalar(text("SELECT 7"))


async def test_a_database_is_opened_again_while_it_is_closed(db_path: Path) -> None:
    engine = create_async_engine(db_path, poolclass=NullPool)
    assert await asyncio.gather(*(ask(engine) for _ in range(5)), ask(engine)) == [7] * 6
    first = asyncio.create_task(ask(engine))
    await asyncio.sleep(0)
    assert await ask(engine) == 7
    assert await first == 7
    await engine.dispose()


async def test_what_is_invalidated_in_its_transaction_is_rolled_back(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, max_hold=60) as db:
        await db.write("CREATE TABLE t (x)")
        engine = create_async_engine(db)
        raw = await engine.raw_connection()
        await connection_of(engine, raw.cursor())
        kept = raw.driver_connection  # otherwise the collector might roll it back
        raw.invalidate()  # as SQLAlchemy does where its caller is cancelled
        assert await db.write("INSERT INTO t VALUES (2)", timeout=30) == 1  # the writer is free
        assert await db.read_value("SELECT count(*) FROM t") == 1
        assert kept is not None
        await engine.dispose()


async def connection_of(engine: AsyncEngine, cursor: Any) -> None:
    from sqlalchemy.util import greenlet_spawn

    await greenlet_spawn(cursor.execute, "INSERT INTO t VALUES (1)")


def test_in_a_forked_child_it_is_an_error_and_never_a_hang(db_path: Path) -> None:
    program = """
        import asyncio, os, sys
        from sqlalchemy import text
        from aiomemdb.integrations.sqlalchemy import create_async_engine

        async def main():
            engine = create_async_engine(sys.argv[1])
            async with engine.begin() as connection:
                await connection.execute(text("CREATE TABLE t (x)"))
                pid = os.fork()
                if not pid:
                    try:
                        await connection.execute(text("INSERT INTO t VALUES (1)"))
                    except Exception as error:
                        print(type(error).__name__, error.connection_invalidated, flush=True)
                    os._exit(0)
                os.waitpid(pid, 0)
                await connection.execute(text("INSERT INTO t VALUES (2)"))
            await engine.dispose()

        asyncio.run(main())
    """
    ended = run_script(program, db_path)
    assert ended.stdout == "OperationalError True\n"
    ended.assert_ok()
    assert plain(db_path, "SELECT x FROM t") == [(2,)]


# -- cancellations -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [Way.WAITING, Way.RESUMING])
async def test_a_transaction_that_is_cancelled_at_any_moment_is_whole_or_not_there(db_path: Path, way: Way) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        engine = create_async_engine(db)

        async def transfer() -> None:
            async with engine.begin() as connection:
                await connection.execute(text("SELECT count(*) FROM t"))
                await connection.execute(text("INSERT INTO t VALUES (1)"))
                async with connection.begin_nested():
                    await connection.execute(text("INSERT INTO t VALUES (2)"))

        for k in suspension_points():
            if not await cancelled_at(k, way, transfer()):
                break
            assert await db.read_value("SELECT count(*) % 2 FROM t") == 0
            assert await db.write("INSERT INTO t VALUES (3)") is not None  # the writer is free
            assert await db.write_count("DELETE FROM t WHERE x = 3") == 1
        await engine.dispose()
        await assert_whole(db)
        assert_healthy(db_path)
