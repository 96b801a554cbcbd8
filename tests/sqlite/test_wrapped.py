"""Objects of classes that others put in the place of Python's: tracers' connections, nest_asyncio's futures."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.reading.readers import Readers
from aiomemdb.sqlite.writing.writer import Writer
from tests.support.plain import names_in, plain
from tests.support.queries import ENDLESS
from tests.support.scripts import run_script_aside
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO t (x) VALUES (?)"


class Proxy:
    """As wrapt.ObjectProxy, on which OpenTelemetry, Datadog, Elastic and New Relic build theirs: everything is passed
    on, and ``isinstance`` answers for what is inside; but methods of C refuse it."""

    def __init__(self, wrapped: object) -> None:
        object.__setattr__(self, "_wrapped", wrapped)

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        return type(self._wrapped)

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        return vars(self._wrapped)

    def __getattr__(self, name: str) -> Any:
        return getattr(object.__getattribute__(self, "_wrapped"), name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(self._wrapped, name, value)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._wrapped)


class TracedConnection(Proxy):
    def cursor(self, *args: Any, **kwargs: Any) -> Proxy:
        return Proxy(self._wrapped.cursor(*args, **kwargs))


@pytest.fixture
async def traced(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SQLiteDatabase]:
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **kwargs: TracedConnection(connect(*args, **kwargs)))
    db = await aiomemdb.connect(db_path)
    await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
    yield db
    await db.close(timeout=5)
    assert threads() == []


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("aiomemdb:")]


# -- a tracer's connections ----------------------------------------------------------------------------------


async def test_every_write_verb_works_on_a_traced_connection(traced: SQLiteDatabase) -> None:
    def insert_twice(conn: sqlite3.Connection) -> int | None:
        conn.cursor().execute(INSERT, (3,))
        return conn.execute(INSERT, (4,)).lastrowid

    assert await traced.write(INSERT, (1,)) == 1
    assert await asyncio.gather(*[traced.write(INSERT, (2,)) for _ in range(100)]) == [*range(2, 102)]
    assert await traced.write_fn(insert_twice) == 103
    assert await traced.write_many(INSERT, [(5,)] * 50) == 50
    async with traced.transaction() as tx:
        await tx.write(INSERT, (6,))
        assert await tx.read_value("SELECT count(*) FROM t") == 154
    await assert_whole(traced)


async def test_a_timeout_stops_a_query_on_a_traced_connection(traced: SQLiteDatabase) -> None:
    with pytest.raises(aiomemdb.ReadTimeout) as caught:
        await traced.read(ENDLESS, timeout=0.05)
    assert caught.value.started
    await eventually(lambda: traced.statistics().readers_busy == 0)
    async with traced.snapshot() as snapshot:
        with pytest.raises(aiomemdb.ReadTimeout):
            await snapshot.read(ENDLESS, timeout=0.05)
        assert await snapshot.read_value("SELECT 1") == 1


async def test_a_traced_database_is_backed_up(traced: SQLiteDatabase, tmp_path: Path) -> None:
    await traced.write(INSERT, (1,))
    (tmp_path / "copies").mkdir()
    await traced.backup(tmp_path / "copies" / "copy.db")
    assert plain(tmp_path / "copies" / "copy.db", "SELECT x FROM t") == [(1,)]


async def test_a_traced_database_closes_beside_a_long_query_and_a_long_write(traced: SQLiteDatabase) -> None:
    reading = asyncio.create_task(traced.read(ENDLESS))
    writing = asyncio.create_task(traced.write(f"INSERT INTO t (x) {ENDLESS}"))
    await eventually(lambda: traced.statistics().readers_busy == 1 and traced.statistics().running == 1)
    await traced.close(timeout=0.3)
    for ended in await asyncio.gather(reading, writing, return_exceptions=True):
        assert isinstance(ended, aiomemdb.DatabaseClosed | sqlite3.OperationalError)
    await eventually(lambda: threads() == [])


async def test_prepare_gets_a_traced_connection_behind_the_same_wall(traced: SQLiteDatabase, tmp_path: Path) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        conn.execute("CREATE TEMP TABLE blobs (data BLOB)")
        conn.execute("INSERT INTO temp.blobs VALUES (x'00')")
        with conn.blobopen("blobs", "data", 1, readonly=True, name="temp") as blob:
            assert len(blob) == 1
        if sys.version_info >= (3, 12):
            conn.setconfig(sqlite3.SQLITE_DBCONFIG_DQS_DML, False)
        conn.create_function("seven", 0, lambda: 7)

    (tmp_path / "other").mkdir()
    async with aiomemdb.connect(tmp_path / "other" / "prepared.db", prepare=prepare) as db:
        assert await db.read_value("SELECT seven()") == 7


# -- clean-ups that meet what they did not expect ------------------------------------------------------------


@pytest.mark.parametrize("owner", [Writer, Readers])
async def test_an_unexpected_error_in_closing_is_raised_and_everything_is_closed_all_the_same(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, owner: type
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise TypeError("unexpected")

    db = await aiomemdb.connect(db_path)
    await db.write("CREATE TABLE t (x)")
    waiting = [db.submit("INSERT INTO t VALUES (1)") for _ in range(10)]
    monkeypatch.setattr(owner, "close", fail)
    with pytest.raises(TypeError, match="unexpected"):
        await db.close(timeout=5)
    assert all(future.done() for future in waiting)
    assert all(isinstance(future.exception(), aiomemdb.DatabaseClosed | None) for future in waiting)
    await eventually(lambda: threads() == [])
    assert names_in(db_path.parent) == [db_path.name]


@pytest.mark.parametrize("method", ["roll_back", "stop_query"])
async def test_a_connection_is_closed_though_its_clean_up_raises(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, method: str
) -> None:
    def fail(_: object) -> None:
        raise TypeError("unexpected")

    stop = threading.Event()
    db = await aiomemdb.connect(db_path)
    await db.write("CREATE TABLE t (x)")
    monkeypatch.setattr(GuardedConnection, method, fail)
    reading = asyncio.create_task(db.read_fn(lambda conn: stop.wait(30)))
    await eventually(lambda: db.statistics().readers_busy == 1)
    asyncio.get_running_loop().call_later(0.5, stop.set)
    await db.close(timeout=0.2)
    with pytest.raises(aiomemdb.DatabaseClosed):
        await reading
    await eventually(lambda: threads() == [])
    assert "unexpected" in caplog.text


async def test_a_read_is_answered_though_its_clean_up_raises(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise TypeError("unexpected")

    async with aiomemdb.connect(db_path) as db:
        monkeypatch.setattr(GuardedConnection, "forget_error", fail)
        with pytest.raises(aiomemdb.AiomemdbError, match="unexpected"):
            await db.read("SELECT nothing")
        assert await db.read_value("SELECT 1") == 1


# -- nest_asyncio --------------------------------------------------------------------------------------------

# What nest_asyncio.apply() puts in the place of asyncio's classes; it makes loops reentrant besides, which is nothing
# to a library that runs none.
_APPLY = """
import asyncio, sys
import aiomemdb

def apply():
    asyncio.Task = asyncio.tasks._CTask = asyncio.tasks.Task = asyncio.tasks._PyTask
    asyncio.Future = asyncio.futures._CFuture = asyncio.futures.Future = asyncio.futures._PyFuture

INSERT = "INSERT INTO t (x) VALUES (?)"

async def use(db):
    await db.write(INSERT, (1,))
    await asyncio.gather(*[db.write(INSERT, (2,)) for _ in range(50)])
    timed = [db.write(INSERT, (3,), timeout=20, durable=n % 2 == 0) for n in range(10)]
    await asyncio.gather(*timed, db.write(INSERT, (3,)))
    async with db.transaction() as tx:
        await tx.write(INSERT, (4,))
    timed = [db.read("SELECT x FROM t", timeout=20) for _ in range(50)]
    await asyncio.gather(*timed, *[db.read("SELECT 1") for _ in range(50)])
    async with db.snapshot() as snapshot:
        assert [row async for row in db.read_stream("SELECT 1")] == await snapshot.read("SELECT 1")
    try:
        await db.read(sys.argv[2], timeout=0.05)
    except aiomemdb.ReadTimeout:
        print(1)
"""

_AFTER_THE_IMPORT = """
async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
        await use(db)
        waiting = [db.submit(INSERT, (5,)) for _ in range(100)]
    await asyncio.gather(*waiting)

apply()
asyncio.run(main())
"""

_BETWEEN_WRITES = """
async def main():
    async with aiomemdb.connect(sys.argv[1]) as db:
        await db.write("CREATE TABLE t (x)")
        waiting = [db.submit(INSERT, (5,)) for _ in range(50)]
        reading = [db._reading().ask(*ask) for ask in [(aiomemdb.sqlite.reading.queries.ALL, "SELECT 1", ())] * 50]
        apply()
        waiting += [db.submit(INSERT, (5,)) for _ in range(50)]
        reading += [db._reading().ask(*ask) for ask in [(aiomemdb.sqlite.reading.queries.ALL, "SELECT 1", ())] * 50]
        await asyncio.gather(*waiting, *reading)
        await use(db)

asyncio.run(main())
"""


@pytest.mark.parametrize("program", [_AFTER_THE_IMPORT, _BETWEEN_WRITES], ids=["after the import", "between writes"])
async def test_asyncios_classes_may_be_swapped_for_those_in_python(db_path: Path, program: str) -> None:
    ended = await run_script_aside(_APPLY + program, db_path, ENDLESS)
    ended.assert_ok()
    ended.assert_quiet()
    assert ended.numbers() == {1}
    assert plain(db_path, "SELECT x, count(*) FROM t GROUP BY x") == [(1, 1), (2, 50), (3, 11), (4, 1), (5, 100)]
