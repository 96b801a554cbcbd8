"""Opening: what may go wrong, what is set on each connection, and that nothing is left when it does not come off."""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

import aiomemdb
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.file.busy import retry_while_busy
from aiomemdb.sqlite.file.turnstile import Turnstile
from tests.support.cancelling import Way, cancelled_at, suspension_points
from tests.support.gates import Gate
from tests.support.killing import all_readers_of, all_threads_of
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.whole import eventually


async def open_and_close(target: Any, **options: Any) -> None:
    async with aiomemdb.connect(target, **options) as db:
        await db.read("SELECT 1")


def threads_of_the_library() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("aiomemdb")]


def pragma(name: str) -> Callable[[GuardedConnection], Any]:
    return lambda raw: raw.own(f"PRAGMA {name}")[0][0]


async def everywhere(db: Any, look: Callable[[GuardedConnection], Any]) -> dict[str, Any]:
    """What ``look`` returns on each connection, on its own thread, by the name of that thread."""

    def on_thread(raw: GuardedConnection) -> tuple[str, Any]:
        return threading.current_thread().name, look(raw)

    return dict([await connection.submit(on_thread) for connection in await all_threads_of(db)])


# -- constructing and opening --------------------------------------------------------------------------------


async def test_constructing_does_no_input_or_output(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    aiomemdb.connect(tmp_path / "test.db")
    aiomemdb.connect(tmp_path / "no folder" / "test.db")
    aiomemdb.connect(":memory:")
    assert set(threading.enumerate()) == before
    assert list(tmp_path.iterdir()) == []


async def test_a_database_is_opened_by_async_with_or_by_await(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        assert await db.read_value("SELECT 1") == 1
    db = await aiomemdb.connect(db_path)
    assert await db.read_value("SELECT 1") == 1
    await db.close()


async def test_a_handle_is_opened_once(db_path: Path) -> None:
    db = aiomemdb.connect(db_path)
    async with db:
        with pytest.raises(aiomemdb.AiomemdbError, match=r"make a new one with aiomemdb\.connect"):
            await db
    with pytest.raises(aiomemdb.AiomemdbError, match="make a new one"):
        await db


async def test_the_same_file_may_be_opened_by_two_handles(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as one, aiomemdb.connect(db_path) as two:
        await one.write("CREATE TABLE t (x)")
        await two.write("INSERT INTO t VALUES (1)")
        assert await one.read_value("SELECT x FROM t") == 1


async def test_in_memory_is_a_private_temporary_file_removed_at_close() -> None:
    async with aiomemdb.connect(":memory:") as one, aiomemdb.connect(":memory:") as two:
        await one.write("CREATE TABLE t (x)")
        file = await one.read_value("SELECT file FROM pragma_database_list")
        folder = Path(file).parent
        assert folder.stat().st_mode & 0o777 == 0o700
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            await two.read("SELECT x FROM t")
    assert not folder.exists()


async def test_a_new_database_in_memory_that_can_not_be_opened_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def prepare(conn: sqlite3.Connection) -> None:
        raise ValueError

    with pytest.raises(ValueError):
        await open_and_close(":memory:", prepare=prepare)
    assert list(tmp_path.iterdir()) == []


# -- outside of a loop ---------------------------------------------------------------------------------------


def test_without_a_running_loop_opening_names_asyncio(db_path: Path) -> None:
    for opening in (aiomemdb.connect(db_path).__await__(), aiomemdb.connect(db_path).__aenter__()):
        with pytest.raises(aiomemdb.WrongLoop, match=r"asyncio.*backend=.asyncio.*trio is not supported"):
            opening.send(None)
    assert not db_path.exists()


def test_a_database_runs_inside_anyio_programs_on_asyncio(db_path: Path) -> None:
    async def main() -> None:
        async with aiomemdb.connect(db_path) as db, anyio.create_task_group() as group:
            await db.write("CREATE TABLE t (x)")
            for n in range(10):
                group.start_soon(db.write, "INSERT INTO t VALUES (?)", (n,))

    anyio.run(main, backend="asyncio")
    assert plain(db_path, "SELECT count(*) FROM t") == [(10,)]


# -- options -------------------------------------------------------------------------------------------------


async def test_prepare_is_called_with_each_connection_in_its_own_thread(db_path: Path) -> None:
    called: list[str] = []

    def prepare(conn: sqlite3.Connection) -> None:
        called.append(threading.current_thread().name)
        conn.create_function("twice", 1, lambda x: 2 * x, deterministic=True)
        conn.create_collation("backwards", lambda a, b: (a < b) - (a > b))

    async with aiomemdb.connect(db_path, prepare=prepare, readers=3, label="mine") as db:
        await db.write("CREATE TABLE t (x)")
        await db.write("INSERT INTO t VALUES (twice(21))")
        assert await db.read_value("SELECT twice(x) FROM t") == 84
        assert await db.read_value("SELECT x FROM t ORDER BY 'a' COLLATE backwards") == 42
        assert set(await everywhere(db, lambda conn: conn.execute("SELECT twice(1)").fetchone()[0])) == set(called)
    assert called == [f"aiomemdb:mine:{role}" for role in ("writer", "reader-1", "reader-2", "reader-3")]


@pytest.mark.parametrize("fails_at", ["writer", "reader-1"])
async def test_a_prepare_that_raises_ends_the_opening_and_leaves_nothing(db_path: Path, fails_at: str) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        if threading.current_thread().name.endswith(fails_at):
            raise LookupError("of prepare")

    with pytest.raises(LookupError, match="of prepare"):
        await open_and_close(db_path, prepare=prepare)
    assert not threads_of_the_library()
    assert names_in(db_path.parent) == [db_path.name]  # no -wal, no -shm
    assert_healthy(db_path)


@pytest.mark.parametrize(
    "prepare",
    [
        lambda conn: setattr(conn, "isolation_level", "DEFERRED"),
        lambda conn: setattr(conn, "isolation_level", ""),
    ],
    ids=["isolation_level DEFERRED", "isolation_level ''"],
)
async def test_a_prepare_that_changes_isolation_level_is_told_so(
    db_path: Path, prepare: Callable[[sqlite3.Connection], Any]
) -> None:
    with pytest.raises(aiomemdb.AiomemdbError, match="isolation_level as it is"):
        await open_and_close(db_path, prepare=prepare)
    assert_healthy(db_path)


async def test_what_prepare_does_to_row_factory_and_text_factory_changes_no_result(db_path: Path) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        conn.row_factory = lambda cursor, row: {"not": "a row"}
        conn.text_factory = bytes

    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        row = await db.read_one("SELECT 'text' AS x")
        assert isinstance(row, aiomemdb.Row)
        assert row["x"] == "text"
        await db.write("CREATE TABLE t (x)")
        [row] = await db.write_returning("INSERT INTO t VALUES ('more text') RETURNING x")
        assert isinstance(row, aiomemdb.Row)
        assert row["x"] == "more text"


async def test_the_label_names_threads_and_tasks(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, label="agents", readers=2) as db:
        await all_readers_of(db)  # type: ignore[arg-type]
        names = {thread.name for thread in threading.enumerate()}
        assert {f"aiomemdb:agents:{role}" for role in ("writer", "reader-1", "reader-2")} <= names
        assert "aiomemdb:agents:writer" in {task.get_name() for task in asyncio.all_tasks()}
        with Gate() as gate:
            held = asyncio.ensure_future(db.write_fn(gate.block))
            await gate.wait_entered()
            closing_ = asyncio.ensure_future(db.close())
            await asyncio.sleep(0)
            assert "aiomemdb:agents:close" in {task.get_name() for task in asyncio.all_tasks()}
        await asyncio.gather(held, closing_)


async def test_one_reader_is_two_connections_so_that_a_query_never_waits_for_a_snapshot(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=1) as db, db.snapshot() as snapshot:
        assert await snapshot.read_value("SELECT 1") == 1
        assert await db.read_value("SELECT 2") == 2


async def test_foreign_keys_are_on_everywhere_by_default(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        assert set((await everywhere(db, pragma("foreign_keys"))).values()) == {1}
        await db.write_script("CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p (id))")
        with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
            await db.write("INSERT INTO c VALUES (1)")


@pytest.mark.parametrize("off", [False, 0, "off"])
async def test_foreign_keys_can_be_set_off(db_path: Path, off: Any) -> None:
    async with aiomemdb.connect(db_path, pragmas={"foreign_keys": off}) as db:
        assert set((await everywhere(db, pragma("foreign_keys"))).values()) == {0}


PRAGMAS: list[tuple[str, Any, Any]] = [
    ("analysis_limit", 100, 100),
    ("automatic_index", False, 0),
    ("cache_size", -4321, -4321),
    ("cache_spill", False, 0),
    ("cell_size_check", True, 1),
    ("ignore_check_constraints", True, 1),
    ("journal_size_limit", 12345, 12345),
    ("legacy_alter_table", True, 1),
    ("mmap_size", 65536, 65536),
    ("recursive_triggers", True, 1),
    ("reverse_unordered_selects", True, 1),
    ("secure_delete", "fast", 2),
    ("temp_store", "memory", 2),
    ("threads", 2, 2),
    ("trusted_schema", False, 0),
]


@pytest.mark.parametrize(("name", "value", "expected"), PRAGMAS, ids=[name for name, *_ in PRAGMAS])
async def test_a_pragma_is_set_on_every_connection(db_path: Path, name: str, value: Any, expected: Any) -> None:
    async with aiomemdb.connect(db_path, pragmas={name: value}, readers=2) as db:
        found = await everywhere(db, pragma(name))
        assert set(found.values()) == {expected}
        assert len(found) == 3


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("page_size", 8192, 8192),
        ("auto_vacuum", "incremental", 2),
        ("encoding", "UTF-16le", "UTF-16le"),
        ("application_id", 1234, 1234),
    ],
)
async def test_a_pragma_that_shapes_the_file_is_in_the_file(
    db_path: Path, name: str, value: Any, expected: Any
) -> None:
    for _ in range(2):  # when it is created, and when it is opened again
        async with aiomemdb.connect(db_path, pragmas={name: value}) as db:
            await db.write("CREATE TABLE IF NOT EXISTS t (x)")
        assert plain(db_path, f"PRAGMA {name}") == [(expected,)]


async def test_a_file_can_be_read_only_with_a_pragma_that_shapes_it(db_path: Path) -> None:
    await open_and_close(db_path)
    await open_and_close(db_path, read_only=True, pragmas={"application_id": 5, "page_size": 8192})


@pytest.mark.parametrize(("durability", "synchronous"), [("normal", 1), ("full", 2)])
async def test_durability_is_synchronous_and_readers_need_none(
    db_path: Path, durability: Any, synchronous: int
) -> None:
    async with aiomemdb.connect(db_path, durability=durability) as db:
        found = await everywhere(db, pragma("synchronous"))
        assert found[f"aiomemdb:{db_path.name}:writer"] == synchronous
        assert {value for name, value in found.items() if "reader" in name} <= {1, 2}


async def test_the_journal_is_a_write_ahead_log_that_no_other_connection_checkpoints(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        assert await db.read_value("SELECT 1") == 1
        assert set((await everywhere(db, pragma("journal_mode"))).values()) == {"wal"}
        found = await everywhere(db, pragma("wal_autocheckpoint"))
        assert found[f"aiomemdb:{db_path.name}:writer"] == 0


async def test_a_database_with_a_rollback_journal_is_switched_over(db_path: Path) -> None:
    with closing(sqlite3.connect(db_path)) as conn:
        conn.execute("CREATE TABLE t (x)")
    await open_and_close(db_path)
    assert plain(db_path, "PRAGMA journal_mode") == [("wal",)]


async def test_readers_can_write_nothing(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        assert {value for name, value in (await everywhere(db, pragma("query_only"))).items() if "reader" in name} == {
            1
        }
        for sql in ("INSERT INTO t VALUES (1)", "DROP TABLE t", "CREATE TABLE u (x)"):
            with pytest.raises(sqlite3.OperationalError, match="readonly"):
                await db.read(sql)


# -- busy, cancelled -----------------------------------------------------------------------------------------


async def test_opening_waits_for_another_programs_lock_and_no_longer_than_lock_timeout(db_path: Path) -> None:
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")  # with a rollback journal: it has to be switched over
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(aiomemdb.LockTimeout, match=str(db_path)) as caught:
            await open_and_close(db_path, lock_timeout=0.2)
        assert caught.value.applied is False
        assert any("lock_timeout=0.2 s in all" in note for note in caught.value.__notes__)
        other.execute("ROLLBACK")
    assert plain(db_path, "PRAGMA journal_mode") == [("delete",)]


async def test_an_opening_waits_for_lock_timeout_in_all_and_not_for_each_lock(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, left = 0.0, []
    acquire = Turnstile.acquire

    def wait(timeout: float) -> None:
        nonlocal now
        left.append(timeout)
        now += 3

    def retrying(call: Callable[[], Any], timeout: float, *rest: Any) -> Any:
        wait(timeout)
        return retry_while_busy(call, timeout, *rest)

    def acquiring(turnstile: Turnstile, timeout: float, *rest: Any) -> None:
        wait(timeout)
        acquire(turnstile, timeout, *rest)

    def prepare(_: sqlite3.Connection) -> None:  # no lock is waited for here
        nonlocal now
        now += 100

    monkeypatch.setattr("aiomemdb.sqlite.connection.configuring.time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr("aiomemdb.sqlite.connection.configuring.retry_while_busy", retrying)
    monkeypatch.setattr(Turnstile, "acquire", acquiring)
    await open_and_close(db_path, lock_timeout=19, prepare=prepare, pragmas={"application_id": 7})
    # Is it a database? Which journal? A turn to create it, and that; a turn for application_id, and that; the log.
    assert left[:7] == [19, 16, 13, 10, 7, 4, 1]


@pytest.mark.parametrize("way", list(Way))
async def test_opening_cancelled_at_any_await_leaves_no_thread_and_no_lock(tmp_path: Path, way: Way) -> None:
    for k in suspension_points():
        path = tmp_path / f"{k}.db"
        db = aiomemdb.connect(path, readers=2)

        async def main(db: Any = db) -> None:
            await db

        reached = await cancelled_at(k, way, main())
        await db.close()  # nothing, where it was not opened
        await eventually(lambda: not threads_of_the_library())  # cancelled again and again, it waits for none
        if path.exists():
            assert_healthy(path)
        if not reached:
            break
    assert k > 3


async def test_cancelling_an_opening_that_waits_for_a_lock_ends_it_soon(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = Gate()
    waits.open()

    def noted(*arguments: Any) -> Any:
        waits.block()
        return retry_while_busy(*arguments)

    monkeypatch.setattr("aiomemdb.sqlite.connection.configuring.retry_while_busy", noted)
    with closing(sqlite3.connect(db_path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        other.execute("BEGIN EXCLUSIVE")
        opening = asyncio.ensure_future(open_and_close(db_path))
        await waits.wait_entered()
        opening.cancel()
        async with asyncio.timeout(60):
            with pytest.raises(asyncio.CancelledError):
                await opening
        assert not threads_of_the_library()


async def test_an_opening_that_times_out_is_closed_again(db_path: Path) -> None:
    with Gate() as gate:
        opening = asyncio.ensure_future(open_and_close(db_path, prepare=gate.block))
        await gate.wait_entered()
        opening.cancel()
        gate.open()
        with pytest.raises(asyncio.CancelledError):
            await opening
    assert not threads_of_the_library()
    assert_healthy(db_path)


def test_a_loop_that_ends_while_it_is_opened_leaves_no_thread(tmp_path: Path) -> None:
    # asyncio.run cancels all tasks, the library's own among them.
    for turns in range(30):

        async def main(turns: int = turns) -> None:
            opening = asyncio.ensure_future(open_and_close(tmp_path / f"{turns}.db", readers=2))  # noqa: F841, RUF006
            for _ in range(turns):
                await asyncio.sleep(0)

        before = set(threading.enumerate())
        asyncio.run(main())
        gc.collect()
        for thread in set(threading.enumerate()) - before:
            thread.join(60)
            assert not thread.is_alive(), (turns, thread)


async def test_what_is_too_old_is_told_so(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sqlite3.sqlite_version_info", (3, 30, 1))
    with pytest.raises(aiomemdb.AiomemdbError, match=r"too old; aiomemdb needs 3\."):
        await open_and_close(db_path)


async def test_the_repr_shows_the_state(db_path: Path) -> None:
    db = aiomemdb.connect(db_path)
    assert repr(db) == f"<aiomemdb {db_path} not open>"
    async with db:
        assert str(db_path) in repr(db) and "pending=0" in repr(db)
    assert repr(db) == f"<aiomemdb {db_path} closed>"
    assert repr(aiomemdb.connect(":memory:")) == "<aiomemdb :memory: not open>"
    assert os.path.exists(db_path)
