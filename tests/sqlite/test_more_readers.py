"""Readers are opened when they are first needed; where one can't be, those that are there go on, and nothing hangs."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.connection.connection import Connection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.reading import opening
from tests.support.gates import Gate
from tests.support.killing import all_readers_of, kill_behind, readers_of, threads_of
from tests.support.plain import assert_healthy, names_in, plain
from tests.support.queries import ENDLESS
from tests.support.scripts import run_script, run_script_aside
from tests.support.whole import assert_whole, eventually

INSERT = "INSERT INTO t VALUES (?)"
COUNT = "SELECT count(*) FROM t"


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        yield db


class Prepare:
    """For ``connect(prepare=...)``: lets the writer and the first reader through, and calls ``then`` for the others."""

    def __init__(self, then: Callable[[], object], *, after: int = 2) -> None:
        self.names: list[str] = []
        self._then = then
        self._after = after

    def __call__(self, conn: sqlite3.Connection) -> None:
        self.names.append(threading.current_thread().name.rpartition(":")[2])
        if len(self.names) > self._after:
            self._then()


def refuse() -> None:
    raise LookupError("of prepare")


# -- when they are opened ------------------------------------------------------------------------------------


async def test_a_lone_caller_never_needs_a_second_reader(db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "_SOON", 3600.0)  # a busy thread may be later than usual
    for number in range(50):
        await db.write(INSERT, (number,))
        assert await db.read_value(COUNT) == number + 1
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value(COUNT) == number + 1
        assert [row[0] async for row in db.read_stream(COUNT)] == [number + 1]
    assert db.statistics().readers == 1


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs Linux")
async def test_a_database_has_ten_descriptors_until_it_needs_a_second_reader(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_SOON", 3600.0)
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.read(COUNT)
        async with db.transaction() as tx:
            await tx.write(INSERT, (1,))
        async with db.snapshot() as snapshot:
            await snapshot.read(COUNT)
        assert len(os.listdir("/proc/self/fd")) - before <= 10


async def test_a_read_beside_a_snapshot_has_a_second_one_opened(db: SQLiteDatabase) -> None:
    async with db.snapshot() as snapshot:
        await db.write(INSERT, (1,))
        async with asyncio.timeout(60):
            assert await db.read_value(COUNT) == 1
        assert await snapshot.read_value(COUNT) == 0
    assert db.statistics().readers == 2
    await assert_whole(db)


async def test_many_reads_at_once_beside_a_snapshot_have_one_opened(db: SQLiteDatabase) -> None:
    async with db.snapshot(), asyncio.timeout(60):
        assert {row[0][0] for row in await asyncio.gather(*(db.read(COUNT) for _ in range(500)))} == {0}
    assert db.statistics().readers >= 2


async def test_a_quick_read_beside_a_slow_one_has_another_opened(db: SQLiteDatabase) -> None:
    slow = asyncio.create_task(db.read(ENDLESS))
    await eventually(lambda: db.statistics().readers_busy == 1)
    async with asyncio.timeout(60):
        assert await db.read_value(COUNT) == 0
    slow.cancel()
    await asyncio.wait([slow])
    await assert_whole(db)


async def test_queries_that_came_while_the_only_reader_was_lent_do_not_wait_for_a_slow_one_among_them(
    db: SQLiteDatabase,
) -> None:
    async with db.snapshot(), asyncio.timeout(60):
        slow = asyncio.create_task(db.read(ENDLESS))
        quick = [asyncio.create_task(db.read_value(COUNT)) for _ in range(3)]
        assert await asyncio.gather(*quick) == [0] * 3
        slow.cancel()
        await asyncio.wait([slow])


async def test_readers_are_opened_one_after_another_up_to_the_limit(db_path: Path) -> None:
    prepare = Prepare(lambda: None)
    async with aiomemdb.connect(db_path, readers=3, prepare=prepare) as db:
        assert prepare.names == ["writer", "reader-1"]
        slow = [asyncio.create_task(db.read(ENDLESS)) for _ in range(5)]
        await eventually(lambda: db.statistics().readers_busy == 3)
        assert prepare.names == ["writer", "reader-1", "reader-2", "reader-3"]
        for query in slow:
            query.cancel()
        await asyncio.wait(slow)
        await assert_whole(db)  # type: ignore[arg-type]
    assert len(prepare.names) == 4


@pytest.mark.parametrize("options", [{"read_only": True}, {}], ids=["read_only", ":memory:"])
async def test_so_it_is_with_read_only_and_in_memory(db: SQLiteDatabase, db_path: Path, options: Any) -> None:
    target = db_path if options else ":memory:"
    async with aiomemdb.connect(target, **options) as other:
        assert other.statistics().readers == 1
        assert len(await all_readers_of(other)) == 4  # type: ignore[arg-type]
        assert [
            await reader.run(lambda raw: raw.execute("SELECT 1").fetchone()[0]) for reader in readers_of(other)
        ] == [  # type: ignore[arg-type]
            1
        ] * 4


# -- one that can't be opened --------------------------------------------------------------------------------


async def test_a_read_without_a_reader_of_its_own_is_answered_when_the_snapshot_ends(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, prepare=(prepare := Prepare(refuse))) as db:
        await db.write("CREATE TABLE t (x)")
        async with db.snapshot() as snapshot:
            waiting = [asyncio.create_task(db.read_value(COUNT)) for _ in range(3)]
            await eventually(lambda: len(prepare.names) == 3)
            assert await snapshot.read_value(COUNT) == 0
        async with asyncio.timeout(60):
            assert await asyncio.gather(*waiting) == [0] * 3
        assert db.statistics().readers == 1


async def test_a_read_inside_a_snapshot_that_holds_the_only_reader_is_told_why_there_is_no_other(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
    async with aiomemdb.connect(db_path, prepare=Prepare(refuse)) as db:
        await db.write("CREATE TABLE t (x)")
        async with asyncio.timeout(60):
            async with db.snapshot() as snapshot:
                with pytest.raises(LookupError, match="of prepare") as caught:
                    await db.read_value(COUNT)
                assert "all are held, and another could not be opened" in caught.value.__notes__[-1]
                assert await snapshot.read_value(COUNT) == 0
            assert await db.read_value(COUNT) == 0


async def test_a_second_snapshot_inside_the_only_one_is_an_error_that_says_why(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, prepare=Prepare(refuse)) as db:
        async with asyncio.timeout(60), db.snapshot():
            with pytest.raises(aiomemdb.ReentrancyError, match="wait for itself") as caught:
                await db.snapshot().__aenter__()
        assert isinstance(caught.value.__cause__, LookupError)
        async with asyncio.timeout(60), db.snapshot():
            pass


async def test_snapshots_of_several_tasks_take_turns_on_the_only_reader_and_reads_come_between(db_path: Path) -> None:
    done: list[str] = []

    async def look(db: aiomemdb.Database, name: str) -> None:
        async with db.snapshot() as snapshot:
            await snapshot.read("SELECT 1")
            done.append(name)

    async def read(db: aiomemdb.Database) -> None:
        await db.read("SELECT 1")
        done.append("read")

    async with (
        aiomemdb.connect(db_path, prepare=(prepare := Prepare(refuse))) as db,
        asyncio.timeout(60),
        asyncio.TaskGroup() as group,
        db.snapshot(),
    ):
        for number in range(3):
            group.create_task(look(db, str(number)))
        group.create_task(read(db))
        await eventually(lambda: len(prepare.names) == 3)
    assert done.index("read") < 3
    assert [name for name in done if name != "read"] == ["0", "1", "2"]


async def test_quick_reads_wait_for_a_slow_one_where_no_second_reader_can_be_opened(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=(prepare := Prepare(refuse))) as db:
            slow = asyncio.create_task(db.read_fn(gate.block))
            await gate.wait_entered()
            quick = asyncio.create_task(db.read_value("SELECT 1"))
            await eventually(lambda: len(prepare.names) == 3)
            gate.open()
            async with asyncio.timeout(60):
                assert await quick == 1
                await slow


async def test_a_reader_that_could_not_be_opened_is_opened_later(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse_once() -> None:
        if len(prepare.names) == 3:
            refuse()

    monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
    prepare = Prepare(refuse_once)
    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        async with asyncio.timeout(60), db.snapshot():
            assert await db.read_value("SELECT 1") == 1
        assert prepare.names[-2:] == ["reader-2", "reader-2"]
        await assert_whole(db)  # type: ignore[arg-type]


async def test_a_failure_is_logged_once_and_not_at_each_try(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
    prepare = Prepare(refuse)
    async with aiomemdb.connect(db_path, prepare=prepare) as db, asyncio.timeout(60), db.snapshot():
        for _ in range(3):
            with pytest.raises(LookupError):
                await db.read("SELECT 1")
    assert len(prepare.names) > 4
    assert [(r.levelno, "of prepare" in r.getMessage()) for r in caplog.records] == [(logging.WARNING, True)]


async def test_a_thread_that_can_not_be_started_leaves_the_work_to_those_that_are_there(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with db.snapshot():
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", fail)
            waiting = asyncio.create_task(db.read_value(COUNT))
            await eventually(lambda: isinstance(db._readers._more.error, RuntimeError))  # type: ignore[union-attr]
    async with asyncio.timeout(60):
        assert await waiting == 0


async def test_a_reader_that_dies_while_it_is_opened_is_none(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Killed(BaseException):
        pass

    def die() -> None:
        if len(prepare.names) == 3:
            raise Killed

    monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
    prepare = Prepare(die)
    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        async with asyncio.timeout(60), db.snapshot():
            assert await db.read_value("SELECT 1") == 1
        await assert_whole(db)  # type: ignore[arg-type]


async def test_a_reader_that_dies_just_behind_its_opening_is_none(
    db: SQLiteDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = opening.ReaderOpener.begin

    def begin_and_die(opener: opening.ReaderOpener, connection: Connection) -> Any:
        monkeypatch.undo()
        monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
        opened = begin(opener, connection)
        kill_behind(connection)
        connection.thread.join(60)  # so the loop hears of both at once
        return opened

    monkeypatch.setattr(opening.ReaderOpener, "begin", begin_and_die)
    async with asyncio.timeout(60), db.snapshot():
        assert await db.read_value(COUNT) == 0
    await assert_whole(db)


async def test_too_many_open_files_are_told_and_those_readers_that_are_there_go_on(tmp_path: Path) -> None:
    # In a program of its own with a lower limit.
    ended = await run_script_aside(
        """
        import asyncio, os, resource, sys
        import aiomemdb

        async def main():
            async with aiomemdb.connect(sys.argv[1]) as db:
                await db.write("CREATE TABLE t (x)")
                taken = [os.open(os.devnull, os.O_RDONLY)]
                resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096))
                try:
                    while True:
                        taken.append(os.open(os.devnull, os.O_RDONLY))
                except OSError:
                    pass
                for free in range(4):
                    async with db.snapshot() as snapshot:
                        waiting = asyncio.create_task(db.read_value("SELECT count(*) FROM t"))
                        try:
                            await asyncio.wait_for(asyncio.shield(waiting), 30)
                        except OSError as error:
                            print(free, error)
                        assert await snapshot.read_value("SELECT count(*) FROM t") == 0
                    assert await db.read_value("SELECT count(*) FROM t") == 0
                    await db.write("INSERT INTO t VALUES (1)")
                    await db.write("DELETE FROM t")
                    os.close(taken.pop())
                print(db.statistics().readers)
                for descriptor in taken:
                    os.close(descriptor)
                async with db.snapshot():
                    await db.read("SELECT 1")
                print(db.statistics().readers)

        asyncio.run(main())
        """,
        tmp_path / "x",
    )
    ended.assert_ok()
    lines = ended.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines[:3]] == [
        f"{free} [Errno 24] too many files are open to open a database, which takes 3 more" for free in range(3)
    ], ended
    assert lines[-1] == "2"
    assert_healthy(tmp_path / "x")


def test_sixty_databases_are_open_at_once_in_640_descriptors(tmp_path: Path) -> None:
    ended = run_script(
        """
        import asyncio, contextlib, resource, sys
        import aiomemdb

        async def main():
            resource.setrlimit(resource.RLIMIT_NOFILE, (640, 4096))
            async with contextlib.AsyncExitStack() as stack:
                for n in range(60):
                    db = await stack.enter_async_context(aiomemdb.connect(f"{sys.argv[1]}/{n}.db"))
                    await db.write("CREATE TABLE t (x)")
                    assert await db.read_value("SELECT count(*) FROM t") == 0
                print("open")

        asyncio.run(main())
        """,
        tmp_path,
        timeout=170.0,
    )
    ended.assert_ok()
    assert ended.stdout == "open\n"


# -- the file is another -------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("how", ["replaced", "removed", "its log replaced"])
async def test_a_reader_that_would_read_another_file_is_not_opened(
    db: SQLiteDatabase, db_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, read_only: bool
) -> None:
    monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
    await db.write(INSERT, ("ours",))
    async with aiomemdb.connect(db_path, read_only=read_only) as reading:
        async with asyncio.timeout(60), reading.snapshot() as snapshot:
            if how == "its log replaced":
                shutil.copy(f"{db_path}-wal", tmp_path / "log")
                os.rename(tmp_path / "log", f"{db_path}-wal")
            else:
                os.rename(db_path, tmp_path / "moved")
                if how == "replaced":
                    with closing(sqlite3.connect(tmp_path / "other")) as other:
                        other.execute("CREATE TABLE t AS SELECT 'theirs' AS x")
                    os.rename(tmp_path / "other", db_path)
            word = "removed" if how == "removed" else "replaced"
            with pytest.raises(aiomemdb.DatabaseReplaced, match=f"was {word} under a running program"):
                await reading.read("SELECT x FROM t")
            assert await snapshot.read_value("SELECT x FROM t") == "ours"
        assert await reading.read_value("SELECT x FROM t") == "ours"
        with pytest.raises(aiomemdb.DatabaseReplaced):
            await reading.backup(tmp_path / "copy")
    assert "copy" not in names_in(tmp_path)


# -- while one is being opened -------------------------------------------------------------------------------


async def test_close_while_a_reader_opens_answers_its_waiters_and_leaves_no_thread(db_path: Path) -> None:
    with Gate() as gate:
        db: Any = await aiomemdb.connect(db_path, prepare=Prepare(gate.block))
        await db.write("CREATE TABLE t (x)")
        async with db.snapshot():
            waiting = asyncio.create_task(db.read_value(COUNT))
            await gate.wait_entered()
            threads = db._readers.threads
            assert len(threads) == 2
            closing = asyncio.create_task(db.close(timeout=60))
            await asyncio.sleep(0)
            gate.open()
            async with asyncio.timeout(60):
                assert await waiting == 0
        await closing
        assert not any(connection.thread.is_alive() for connection in threads)
    assert names_in(db_path.parent) == [db_path.name]
    assert_healthy(db_path)


async def test_close_without_draining_fails_the_waiters_of_a_reader_that_opens(db_path: Path) -> None:
    with Gate() as gate:
        db: Any = await aiomemdb.connect(db_path, prepare=Prepare(gate.block))
        await db.write("CREATE TABLE t (x)")
        async with db.snapshot():
            waiting = asyncio.create_task(db.read_value(COUNT))
            await gate.wait_entered()
            closing = asyncio.create_task(db.close(timeout=60, drain=False))
            with pytest.raises(aiomemdb.DatabaseClosed):
                await waiting
            gate.open()
        await closing
    assert names_in(db_path.parent) == [db_path.name]


async def test_close_waits_no_longer_than_it_may_for_a_prepare_that_never_returns(db_path: Path) -> None:
    with Gate() as gate:
        db: Any = await aiomemdb.connect(db_path, prepare=Prepare(gate.block))
        async with db.snapshot():
            waiting = asyncio.create_task(db.read("SELECT 1"))
            await gate.wait_entered()
        assert await waiting  # by the first, which came free
        async with asyncio.timeout(60):
            await db.close(timeout=0.2)
        [left] = [connection for connection in db._readers.threads if connection.thread.is_alive()]
        gate.open()
        await left.stopped
        assert left.join(60)


@pytest.mark.parametrize("way", ["cancelled", "timed out"])
async def test_a_caller_that_leaves_while_a_reader_opens_leaves_it_to_the_next(db_path: Path, way: str) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=Prepare(gate.block)) as db:
            await db.write("CREATE TABLE t (x)")
            async with db.snapshot():
                waiting = asyncio.create_task(db.read(COUNT, timeout=0.01 if way == "timed out" else None))
                await gate.wait_entered()
                if way == "cancelled":
                    waiting.cancel()
                outcome, *_ = await asyncio.gather(waiting, return_exceptions=True)
                assert isinstance(outcome, asyncio.CancelledError if way == "cancelled" else aiomemdb.ReadTimeout)
                gate.open()
                async with asyncio.timeout(60):
                    assert await db.read_value(COUNT) == 0
            await assert_whole(db)  # type: ignore[arg-type]


async def test_cancelling_every_task_there_is_stops_no_opening(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=Prepare(gate.block)) as db:
            await db.write("CREATE TABLE t (x)")
            async with db.snapshot():
                left = asyncio.create_task(db.read(COUNT))
                await gate.wait_entered()
                for task in asyncio.all_tasks() - {asyncio.current_task()}:
                    task.cancel()
                await asyncio.wait([left])
                gate.open()
                async with asyncio.timeout(60):
                    assert await db.read_value(COUNT) == 0


async def test_a_snapshot_cancelled_while_its_reader_opens_loses_no_reader(db_path: Path) -> None:
    with Gate() as gate:
        async with aiomemdb.connect(db_path, prepare=Prepare(gate.block)) as db:
            async with db.snapshot():
                waiting = asyncio.ensure_future(db.snapshot().__aenter__())
                await gate.wait_entered()
                waiting.cancel()
                await asyncio.wait([waiting])
                gate.open()
            await assert_whole(db)  # type: ignore[arg-type]


def test_a_loop_closed_while_a_reader_opens_leaves_no_thread(db_path: Path) -> None:
    async def main(gate: Gate) -> tuple[Any, asyncio.Future[Any]]:
        db: Any = await aiomemdb.connect(db_path, prepare=Prepare(gate.block))
        stack.append(db.snapshot())
        await stack[0].__aenter__()
        waiting = db._readers.ask(lambda *_: None, "SELECT 1", ())
        await gate.wait_entered()
        return db, waiting

    stack: list[Any] = []
    loop = asyncio.new_event_loop()
    with Gate() as gate:
        db, waiting = loop.run_until_complete(main(gate))
        threads = [*threads_of(db), *db._readers._more.connections]
        loop.close()
    db._finalizer.detach()
    assert all(connection.join(60) for connection in threads)
    assert len(threads) == 3
    assert isinstance(waiting.exception(), aiomemdb.DatabaseClosed)
    stack.clear()
    gc.collect()


async def test_a_handle_collected_while_a_reader_opens_leaves_no_thread(db_path: Path) -> None:
    with Gate() as gate:
        db: Any = await aiomemdb.connect(db_path, prepare=Prepare(gate.block))
        block = db.snapshot()
        await block.__aenter__()
        db._readers.ask(lambda *_: None, "SELECT 1", ()).cancel()
        await gate.wait_entered()
        await block.__aexit__(None, None, None)
        threads = [*threads_of(db), *db._readers._more.connections]
        assert len(threads) == 3
        with pytest.warns(ResourceWarning, match="was not closed"):
            del block, db
            gc.collect()
        gate.open()
        async with asyncio.timeout(60):
            await asyncio.gather(*(connection.stopped for connection in threads))
        assert all(connection.join(60) for connection in threads)


def test_a_ctrl_c_while_a_reader_opens_leaves_no_thread_and_the_next_call_opens_it(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strike(*_: Any) -> Any:
        monkeypatch.undo()
        monkeypatch.setattr(opening, "_OPEN_AGAIN", 0.01)
        raise KeyboardInterrupt

    async def opened() -> Any:
        db = await aiomemdb.connect(db_path)
        blocks.append(db.snapshot())
        await blocks[0].__aenter__()
        return db

    async def later() -> None:
        async with asyncio.timeout(60):
            assert await db.read_value("SELECT 1") == 1
        await blocks[0].__aexit__(None, None, None)
        # close() would wait for a thread that was never started
        assert all(connection.thread.ident is not None for connection in db._readers.threads)
        await db.close()

    blocks: list[Any] = []
    loop = asyncio.new_event_loop()
    db = loop.run_until_complete(opened())
    monkeypatch.setattr(opening.ReaderOpener, "begin", strike)
    with pytest.raises(KeyboardInterrupt):
        loop.run_until_complete(db.read_value("SELECT 1"))
    loop.run_until_complete(later())
    loop.close()


def test_ctrl_c_ends_a_program_that_has_one_opened(db_path: Path) -> None:
    ended = run_script(
        """
        import asyncio, os, signal, sys, threading, time
        import aiomemdb

        def prepare(conn):
            names.append(threading.current_thread().name)
            if len(names) == 3:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.3)

        names = []

        async def main():
            async with aiomemdb.connect(sys.argv[1], prepare=prepare) as db:
                async with db.snapshot():
                    await db.read("SELECT 1")
                    await asyncio.sleep(60)

        try:
            asyncio.run(main())
        except KeyboardInterrupt:
            print(len(names), [thread.name for thread in threading.enumerate() if "aiomemdb" in thread.name])
        """,
        db_path,
    )
    ended.assert_ok()
    assert ended.stdout == "3 []\n"
    assert_healthy(db_path)


def test_a_child_forked_while_a_reader_opens_harms_nothing(db_path: Path) -> None:
    ended = run_script(
        """
        import asyncio, gc, os, sys, threading, warnings
        import aiomemdb

        warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
        names, entered, leave = [], threading.Event(), threading.Event()

        def prepare(conn):
            names.append(threading.current_thread().name)
            if len(names) == 3:
                entered.set()
                leave.wait(60)

        async def main():
            async with aiomemdb.connect(sys.argv[1], prepare=prepare) as db:
                await db.write("CREATE TABLE t (x)")
                async with db.snapshot():
                    waiting = asyncio.create_task(db.read_value("SELECT count(*) FROM t"))
                    await asyncio.to_thread(entered.wait, 60)
                    pid = os.fork()
                    if pid == 0:
                        gc.collect()
                        try:
                            db.statistics()
                        except aiomemdb.ForkedError:
                            os._exit(7)
                        os._exit(1)
                    _, status = os.waitpid(pid, 0)
                    print(os.waitstatus_to_exitcode(status))
                    leave.set()
                    print(await waiting)
                await db.write("INSERT INTO t VALUES (1)")
                print(await db.read_value("SELECT count(*) FROM t"))

        asyncio.run(main())
        """,
        db_path,
    )
    ended.assert_ok()
    assert ended.stdout.split() == ["7", "0", "1"]
    assert plain(db_path, "SELECT x FROM t") == [(1,)]
    assert_healthy(db_path)
