"""What driver.py uses of aiosqlite beyond its public calls, name by name. If a test here fails, aiosqlite has changed:
look at driver.py, and only there."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import inspect
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import aiosqlite
import aiosqlite.core
import pytest

import aiomemdb
from aiomemdb.sqlite.connection import driver as room
from aiomemdb.sqlite.connection.connection import Connection
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from tests.support.scripts import run_script

VERSION = importlib.metadata.version("aiosqlite")
CHANGED = f"aiosqlite {VERSION} has changed; aiomemdb/sqlite/connection/driver.py relies on: "


class Unheard:
    """A future that aiosqlite may resolve."""

    def get_loop(self) -> Unheard:
        return self

    def call_soon_threadsafe(self, *_: object) -> None:
        pass


@pytest.fixture
def driver(db_path: Path) -> Iterator[Any]:
    """A connection of aiosqlite's, not started. Ended here as driver.py ends it."""
    driver = aiosqlite.connect(str(db_path), isolation_level=None)
    yield driver
    thread = thread_of(driver)
    if thread.ident is not None:
        driver._tx.put_nowait((Unheard(), lambda: aiosqlite.core._STOP_RUNNING_SENTINEL))
        driver._tx.put_nowait(aiosqlite.core._STOP_RUNNING_SENTINEL)
        thread.join(60)
        assert not thread.is_alive(), CHANGED + "how its thread ends"


def thread_of(driver: Any) -> threading.Thread:
    thread = getattr(driver, "_thread", driver)
    assert isinstance(thread, threading.Thread), CHANGED + "Connection._thread, or Connection being a thread"
    return thread


def test_the_installed_version_is_one_that_we_support() -> None:
    major, minor, *_ = (int(part) for part in importlib.metadata.version("aiosqlite").split("."))
    assert (0, 20) <= (major, minor) < (0, 23)


def test_a_connection_has_a_thread_of_its_own_that_has_not_started(driver: Any) -> None:
    thread = thread_of(driver)
    assert thread.ident is None, CHANGED + "the thread starting only when we start it"
    thread.daemon = True
    thread.name = "ours"


def test_its_queue_takes_pairs_of_a_future_and_a_function(driver: Any) -> None:
    assert isinstance(driver._tx, SimpleQueue), CHANGED + "Connection._tx, a SimpleQueue"
    ran: SimpleQueue[threading.Thread] = SimpleQueue()
    driver._tx.put_nowait((Unheard(), lambda: ran.put(threading.current_thread())))
    thread_of(driver).start()
    assert ran.get(timeout=60) is thread_of(driver), CHANGED + "(future, function) in Connection._tx"


def test_its_connector_opens_with_our_options_on_whatever_thread_calls_it(tmp_path: Path) -> None:
    uri = (tmp_path / "é.db").as_uri()
    driver: Any = aiosqlite.connect(
        uri, uri=True, isolation_level=None, timeout=0.1, factory=GuardedConnection, cached_statements=256
    )
    raw = driver._connector()
    try:
        assert type(raw) is GuardedConnection, CHANGED + "Connection._connector, which opens a sqlite3.Connection"
        assert raw.isolation_level is None
        assert raw.own("PRAGMA busy_timeout") == [(100,)]
    finally:
        raw.end()
    assert driver._connection is None, CHANGED + "Connection._connection staying None: it warns of it otherwise"


def test_its_thread_ends_by_what_our_function_returns_or_by_what_waits_behind_it(driver: Any) -> None:
    sentinel = aiosqlite.core._STOP_RUNNING_SENTINEL
    driver._tx.put_nowait((Unheard(), lambda: sentinel))
    driver._tx.put_nowait(sentinel)
    thread_of(driver).start()
    thread_of(driver).join(60)
    assert not thread_of(driver).is_alive(), CHANGED + "_STOP_RUNNING_SENTINEL"


def test_the_driver_asks_a_future_for_its_loop_alone(driver: Any) -> None:
    asked: list[str] = []

    class Asked:
        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return lambda *_: self

    done = threading.Event()
    driver._tx.put_nowait((Asked(), int))
    driver._tx.put_nowait((Unheard(), done.set))
    thread_of(driver).start()
    assert done.wait(2)
    assert set(asked) <= {"get_loop", "call_soon_threadsafe"}, CHANGED + "get_loop().call_soon_threadsafe(...)"


async def test_an_opened_connection_is_aiosqlites_thread_and_ends_without_aiosqlite(db_path: Path) -> None:
    connection = Connection("ours", asyncio.get_running_loop())
    await connection.open(db_path.as_uri(), lambda raw: raw.execute("SELECT 1").fetchall() and None)
    assert connection.thread.name == "ours"
    assert connection.thread.daemon
    assert await connection.run(lambda raw: threading.current_thread()) is connection.thread
    connection.stop()
    await connection.stopped
    assert connection.join(60)
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.raw.total_changes  # noqa: B018


async def test_its_thread_is_aiosqlites_own(db_path: Path) -> None:
    driver = room.Driver(db_path.as_uri(), GuardedConnection, busy_timeout=0.1)
    ran: list[threading.Thread] = []
    thread = driver.make_thread(lambda: ran.append(threading.current_thread()))
    assert thread is thread_of(driver._connection)
    thread.start()
    thread.join(60)
    assert not thread.is_alive()
    assert ran == [thread]


# -- that no name is missing above ---------------------------------------------------------------------------

# Each is what a test here looks at.
WATCHED = {"_STOP_RUNNING_SENTINEL", "_connection", "_connector", "_thread", "_tx"}


def test_each_name_that_is_private_to_aiosqlite_is_watched_here() -> None:
    tree = ast.parse(inspect.getsource(room))
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)}
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names}
    names |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    names |= {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    private = {name for name in names if name.startswith("_") and not name.startswith("__") and name.isidentifier()}
    assert private - own == WATCHED


def test_no_other_room_knows_aiosqlite() -> None:
    root = Path(aiomemdb.__file__).parent
    for file in root.rglob("*.py"):
        if file.name != "driver.py":
            private = set() if "postgres" in file.parts else {"_tx", "_connector"}
            assert not {"aiosqlite", *private} & set(_names(ast.parse(file.read_text()))), file


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.split(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.split(".")[0]
            case ast.Attribute(attr=attribute):
                yield attribute


def test_a_connection_is_opened_though_aiosqlite_connect_is_bound_to_another_function(tmp_path: Path) -> None:
    """As ours, for programs that call it: it would call itself."""
    program = """
        import asyncio, sys, aiosqlite, aiomemdb

        def recurse(*args, **kwargs):
            raise RecursionError

        async def main():
            aiosqlite.connect = recurse
            async with aiomemdb.connect(sys.argv[1]) as db:
                print(await db.read_value("SELECT 7"))

        asyncio.run(main())
    """
    assert run_script(program, tmp_path / "test.db").stdout == "7\n"
