"""G10: every future is resolved, also if a thread dies or the loop is closed under it."""

from __future__ import annotations

import asyncio
import gc
import random
import sqlite3
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed
from aiomemdb.concurrency import bell
from aiomemdb.concurrency import worker as workers
from aiomemdb.concurrency.lifecycle import Event
from aiomemdb.concurrency.queue import JobQueue
from aiomemdb.sqlite.reading import readers
from aiomemdb.sqlite.reading.queries import ALL
from aiomemdb.sqlite.writing.hold import Hold
from aiomemdb.sqlite.writing.writer import Writer
from tests.support.gates import Gate
from tests.support.killing import (
    Killed,
    all_readers_of,
    ended,
    kill_behind,
    kill_now,
    readers_of,
    threads_of,
    writer_of,
)
from tests.support.plain import assert_healthy, plain
from tests.support.whole import eventually

INSERT = "INSERT INTO t VALUES (?)"
COUNT = "SELECT count(*) FROM t"


async def open_database(path: Path, **options: Any) -> Any:
    db = await aiomemdb.connect(path, **options)
    await db.write("CREATE TABLE t (x)")
    return db


def assert_told_the_truth(path: Path, told: dict[int, Any]) -> None:
    """A job with a result is in the file, a job with ``applied=False`` or an error of its own is not."""
    rows = {x for [x] in plain(path, "SELECT x FROM t")}
    for x, outcome in told.items():
        applied = getattr(outcome, "applied", False) if isinstance(outcome, BaseException) else True
        if applied is not None:
            assert (x in rows) is applied, (x, outcome)
    assert rows <= set(told)
    assert_healthy(path)


# -- the writer's thread dies --------------------------------------------------------------------------------


async def test_a_thousand_waiting_jobs_hear_within_two_seconds_that_the_writers_thread_died(db_path: Path) -> None:
    # writer's thread             | loop
    # ----------------------------+------------------------------------
    # stands in a function        |
    #                             | a thousand jobs wait; death is posted
    # commits the function's job  |
    #                             | the job is answered, the thousand are taken
    # dies                        |
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        with Gate() as gate:
            running = asyncio.create_task(
                db.write_fn(lambda conn: gate.block() or conn.execute(INSERT, (-1,)).rowcount)
            )
            await gate.wait_entered()
            waiting = {n: db.submit(INSERT, (n,)) for n in range(1000)}
            kill_behind(writer_of(db))
        async with asyncio.timeout(60):
            await asyncio.wait(waiting.values())
        assert await running == 1
        for future in waiting.values():
            error = future.exception()
            assert isinstance(error, aiomemdb.WriterCrashed)
            assert error.applied is False
            assert isinstance(error.__cause__, Killed)
    assert plain(db_path, "SELECT x FROM t") == [(-1,)]


async def test_each_of_them_has_an_error_of_its_own(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        kill_behind(writer_of(db))
        jobs = [db.submit("CREATE TABLE t (x)") for _ in range(3)]
        errors = await asyncio.gather(*jobs, return_exceptions=True)
        assert len({id(error) for error in errors}) == 3


@pytest.mark.parametrize("in_order", [True, False], ids=["told to stop", "killed"])
async def test_a_writers_thread_that_fails_at_its_end_leaves_no_caller_waiting(db_path: Path, in_order: bool) -> None:
    db = await open_database(db_path)
    writer = writer_of(db)
    end = writer.at_end

    def end_badly(close: Callable[[], None]) -> None:
        end(close)
        raise OSError("the end fails")

    writer.at_end = end_badly
    if not in_order:
        kill_behind(writer)
    job = db.submit(INSERT, (1,))
    async with asyncio.timeout(60):
        await asyncio.wait([job, asyncio.create_task(db.close(timeout=60))])
        await asyncio.shield(writer.stopped)
    assert in_order or isinstance(job.exception(), aiomemdb.WriterCrashed)
    assert_told_the_truth(db_path, {1: job.exception() or job.result()})


async def test_after_the_writers_death_reads_go_on_and_writes_are_refused_at_once(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        kill_behind(writer_of(db))
        await ended(writer_of(db))
        assert await db.read_value(COUNT) == 0
        async with db.snapshot() as snapshot:
            assert await snapshot.read_value(COUNT) == 0
        assert [row[0] async for row in db.read_stream("SELECT 1")] == [1]
        with pytest.raises(aiomemdb.WriterCrashed, match="close and reopen") as caught:
            await db.write(INSERT, (1,))
        assert caught.value.applied is False
        with pytest.raises(aiomemdb.WriterCrashed):
            db.submit(INSERT, (1,))
        with pytest.raises(aiomemdb.WriterCrashed):
            async with db.transaction():
                pass
        with pytest.raises(aiomemdb.WriterCrashed):
            await db.flush()
        with pytest.raises(aiomemdb.WriterCrashed):
            await db.checkpoint()
    assert_healthy(db_path)


async def test_the_holder_of_a_transaction_hears_that_the_writers_thread_died(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        with pytest.raises(aiomemdb.WriterCrashed):
            async with db.transaction() as tx:
                await tx.write(INSERT, (1,))
                kill_behind(writer_of(db))
                await ended(writer_of(db))
                with pytest.raises(aiomemdb.WriterCrashed) as caught:
                    await tx.write(INSERT, (3,))
                assert caught.value.applied is False
        assert db.statistics().transaction_holder is None
    assert plain(db_path, COUNT) == [(0,)]


async def test_a_waiter_behind_a_transaction_hears_that_the_writer_died(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        entered, leave = asyncio.Event(), asyncio.Event()

        async def hold() -> None:
            async with db.transaction() as tx:
                await tx.write(INSERT, (1,))
                entered.set()
                await leave.wait()

        async def wait() -> None:
            async with db.transaction():
                pass

        holder = asyncio.create_task(hold())
        await entered.wait()
        waiters = [asyncio.create_task(wait()), asyncio.create_task(db.write(INSERT, (2,)))]
        await eventually(lambda: db.statistics().pending == 2)
        kill_behind(writer_of(db))
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*waiters, return_exceptions=True)
        leave.set()
        outcomes += await asyncio.gather(holder, return_exceptions=True)
        assert [type(outcome) for outcome in outcomes] == [aiomemdb.WriterCrashed] * 3
        assert [outcome.applied for outcome in outcomes] == [False] * 3  # type: ignore[union-attr]
    assert plain(db_path, COUNT) == [(0,)]


async def test_a_thread_that_dies_during_commit_leaves_the_outcome_unknown(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        session = db._writer.session  # type: ignore[union-attr]

        def die() -> None:
            raise Killed

        monkeypatch.setattr(type(session), "commit", lambda self: die())
        with pytest.raises(aiomemdb.WriterCrashed) as caught:
            await db.write(INSERT, (1,))
        assert caught.value.applied is None


def told(future: asyncio.Future[Any]) -> Any:
    return future.exception() or future.result()


@pytest.mark.parametrize("seed", range(12))
async def test_wherever_the_writers_thread_is_killed_every_job_is_told_the_truth(db_path: Path, seed: int) -> None:
    db = await open_database(db_path)
    choice = random.Random(seed)
    # The thread dies while it runs its n-th job, or soon after.
    victim = choice.randrange(300)
    jobs: dict[int, asyncio.Future[Any]] = {}
    for n in range(300):
        if n == victim:
            killing = asyncio.ensure_future(db.write_fn(lambda conn: kill_now(writer_of(db))))
            await asyncio.sleep(0)
        jobs[n] = db.submit(INSERT if n % 7 else "INSERT OR FAIL INTO t VALUES (?)", (n,))
    async with asyncio.timeout(60):
        await asyncio.wait([*jobs.values(), killing])
    killing.exception()
    outcomes = {n: told(future) for n, future in jobs.items()}
    await db.close()
    assert_told_the_truth(db_path, outcomes)


# -- a reader's thread dies ----------------------------------------------------------------------------------


async def test_a_reader_that_died_is_not_asked_again_and_the_others_go_on(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=4) as db:
        for reader in (await all_readers_of(db))[1:]:
            kill_behind(reader)
            await ended(reader)
            async with asyncio.timeout(60):
                assert await asyncio.gather(*(db.read_value("SELECT 7") for _ in range(100))) == [7] * 100
            assert reader not in readers_of(db)
        assert db.statistics().readers_busy == 0
        async with asyncio.timeout(60), db.snapshot() as snapshot:
            assert await snapshot.read_value("SELECT 8") == 8


async def test_an_exception_that_strikes_inside_a_query_fails_that_query_alone(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        [reader] = readers_of(db)
        with pytest.raises(Killed):
            await db.read_fn(lambda conn: kill_now(reader) or sum(range(100_000)))
        assert await db.read_value("SELECT 1") == 1


@pytest.mark.parametrize("verb", ["read", "read_stream", "snapshot"])
async def test_when_all_readers_have_died_the_next_read_has_another_opened(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        for reader in await all_readers_of(db):
            kill_behind(reader)
            await ended(reader)
        assert db.statistics().readers == 0
        async with asyncio.timeout(60):
            if verb == "read":
                assert await db.read_value(COUNT) == 0
            elif verb == "read_stream":
                assert [row[0] async for row in db.read_stream(COUNT)] == [0]
            else:
                async with db.snapshot() as snapshot:
                    assert await snapshot.read_value(COUNT) == 0
        assert await db.write(INSERT, (1,)) == 1
        assert db.statistics().readers == 1


@pytest.mark.parametrize("verb", ["read", "read_stream", "snapshot"])
async def test_when_all_readers_have_died_and_none_can_be_opened_reads_fail_at_once_and_writes_go_on(
    db_path: Path, verb: str
) -> None:
    def prepare(conn: sqlite3.Connection) -> None:
        if refused:
            raise LookupError("of prepare")

    refused: list[bool] = []
    async with aiomemdb.connect(db_path, prepare=prepare) as db:
        await db.write("CREATE TABLE t (x)")
        refused.append(True)
        for reader in readers_of(db):
            kill_behind(reader)
            await ended(reader)
        reads: dict[str, Callable[[], Any]] = {
            "read": lambda: db.read(COUNT),
            "read_stream": lambda: anext(db.read_stream(COUNT)),
            "snapshot": lambda: db.snapshot().__aenter__(),
        }
        async with asyncio.timeout(60):
            with pytest.raises(LookupError, match="of prepare"):
                await reads[verb]()
        assert await db.write(INSERT, (1,)) == 1


async def test_queries_that_wait_while_the_readers_die_are_failed(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=2) as db:
        with Gate() as gate:
            held = [asyncio.ensure_future(db.read_fn(gate.block)) for _ in range(2)]
            await gate.wait_entered(2)
            waiting = [asyncio.ensure_future(db.read("SELECT 1")) for _ in range(100)]
            for reader in readers_of(db):
                kill_now(reader)
        async with asyncio.timeout(60):
            outcomes = await asyncio.gather(*held, *waiting, return_exceptions=True)
        assert all(isinstance(outcome, BaseException | list) for outcome in outcomes[2:])


async def test_a_snapshot_and_a_stream_with_a_dead_reader_fail_and_return_nothing_to_the_pool(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, readers=4) as db:
        stream = db.read_stream("SELECT name FROM pragma_function_list", chunk=1)
        async with db.snapshot() as snapshot:
            await anext(stream)
            for reader in readers_of(db):
                if reader not in db._readers.pool._idle:  # type: ignore[union-attr]
                    kill_behind(reader)
                    await ended(reader)
            async with asyncio.timeout(60):
                with pytest.raises(aiomemdb.AiomemdbError):
                    await snapshot.read("SELECT 1")
                with pytest.raises(aiomemdb.AiomemdbError):
                    await anext(stream)
        async with asyncio.timeout(60):
            assert await db.read_value("SELECT 1") == 1
            async with db.snapshot() as snapshot:
                assert await snapshot.read_value("SELECT 2") == 2
        await eventually(lambda: db.statistics().readers_busy == 0)
    del stream
    gc.collect()  # its cursor keeps the dead reader's descriptors


# -- the loop is closed under it -----------------------------------------------------------------------------


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that the test may close; its threads hear of that, they don't look for it."""
    monkeypatch.setattr(workers, "_LOOK_FOR_CLOSED_LOOP", 3600.0)
    loop = pytest.importorskip(request.param).new_event_loop()
    yield loop
    loop.close()
    gc.collect()  # the handle, which no code could close


def abandoned(db: Any) -> None:
    """The threads have ended. The handle need not warn that it was not closed: there was no way to."""
    db._finalizer.detach()
    for connection in threads_of(db):
        assert connection.join(60), connection


def test_what_waits_when_the_loop_is_closed_is_failed_and_what_runs_is_told_its_outcome(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    async def main(gate: Gate) -> None:
        nonlocal db, running, waiting
        db = await open_database(db_path)
        operation = db.write_fn(lambda conn: gate.block() or conn.execute(INSERT, (-1,)).rowcount)
        running = asyncio.ensure_future(operation)
        await gate.wait_entered()
        waiting = {n: db.submit(INSERT, (n,)) for n in range(1000)}

    db: Any = None
    running: asyncio.Future[Any] | None = None
    waiting: dict[int, asyncio.Future[Any]] = {}
    with Gate() as gate:
        loop.run_until_complete(main(gate))
        loop.close()
    abandoned(db)
    running._log_destroy_pending = False  # type: ignore[union-attr]
    assert all(future.done() for future in waiting.values())
    for future in waiting.values():
        error = future.exception()
        assert isinstance(error, aiomemdb.DatabaseClosed)
        assert error.applied is False
    assert plain(db_path, "SELECT x FROM t") == [(-1,)]
    assert_healthy(db_path)


def test_jobs_submitted_right_before_the_loop_is_closed_are_told_the_truth(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    async def main() -> tuple[Any, dict[int, asyncio.Future[Any]]]:
        db = await open_database(db_path)
        return db, {n: db.submit(INSERT, (n,)) for n in range(100)}

    db, jobs = loop.run_until_complete(main())
    loop.close()
    abandoned(db)
    assert_told_the_truth(db_path, {n: told(future) for n, future in jobs.items()})


def test_idle_threads_end_when_their_loop_is_closed(loop: asyncio.AbstractEventLoop, db_path: Path) -> None:
    db: Any = loop.run_until_complete(open_database(db_path))
    loop.close()
    abandoned(db)


def test_a_thread_that_is_in_a_long_query_keeps_no_other_from_hearing_that_the_loop_is_closed(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    async def main(gate: Gate) -> tuple[Any, Any]:
        db: Any = await open_database(db_path)
        reader = readers_of(db)[0]
        reader.post(gate.block)
        await gate.wait_entered()
        return db, reader

    with Gate() as gate:
        db, reader = loop.run_until_complete(main(gate))
        loop.close()
        assert all(connection.join(60) for connection in threads_of(db) if connection is not reader)
    abandoned(db)


def test_the_threads_of_a_loop_that_can_not_tell_them_look_whether_it_is_closed(
    loop: asyncio.AbstractEventLoop, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "_HAS_EVENTFD", False)
    monkeypatch.setattr(workers, "_LOOK_FOR_CLOSED_LOOP", 0.05)
    db: Any = loop.run_until_complete(open_database(db_path))
    loop.close()
    abandoned(db)


def test_reads_that_wait_when_the_loop_is_closed_are_failed_though_all_threads_end_at_once(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    async def main(gate: Gate) -> tuple[Any, list[asyncio.Future[Any]]]:
        db: Any = await open_database(db_path)
        for _ in range(3):
            await stack.enter_async_context(db.snapshot())
        running = db._readers.ask(lambda *_: gate.block(), "SELECT 1", ())
        await gate.wait_entered()
        return db, [running, *(db._readers.ask(ALL, "SELECT 1", ()) for _ in range(3000))]

    stack = AsyncExitStack()
    with Gate() as gate:
        db, reads = loop.run_until_complete(main(gate))
        loop.close()
    abandoned(db)
    assert len(threads_of(db)) == 5
    assert all(read.done() for read in reads)
    assert {type(read.exception()) for read in reads[1:]} <= {DatabaseClosed, type(None)}
    stack.pop_all()


def test_a_database_in_a_transaction_ends_when_its_loop_is_closed_and_nothing_of_that_is_in_the_file(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    async def main() -> Any:
        db: Any = await open_database(db_path)
        tx = await stack.enter_async_context(db.transaction())
        await tx.write(INSERT, (1,))
        return db

    stack = AsyncExitStack()
    db = loop.run_until_complete(main())
    loop.close()
    abandoned(db)
    assert plain(db_path, COUNT) == [(0,)]
    stack.pop_all()


def test_on_another_loop_after_its_own_was_closed_every_use_is_wrong_loop(
    loop: asyncio.AbstractEventLoop, db_path: Path
) -> None:
    db = loop.run_until_complete(open_database(db_path))
    loop.close()
    uses: list[Callable[[], Any]] = [
        lambda: db.write(INSERT, (1,)),
        lambda: db.read(COUNT),
        lambda: db.flush(),
        lambda: db.close(),
        lambda: db.snapshot().__aenter__(),
        lambda: db.transaction().__aenter__(),
        lambda: anext(db.read_stream(COUNT)),
    ]

    async def later(use: Callable[[], Any]) -> None:
        await use()

    with asyncio.Runner() as runner:
        for use in uses:
            with pytest.raises(aiomemdb.WrongLoop):
                runner.run(later(use))
    abandoned(db)


# -- the handle is collected ---------------------------------------------------------------------------------


async def test_what_was_submitted_runs_although_the_handle_is_collected(db_path: Path) -> None:
    db = await open_database(db_path)
    threads = [connection.thread for connection in threads_of(db)]
    jobs = [db.submit(INSERT, (n,)) for n in range(3000)]
    with pytest.warns(ResourceWarning, match="was not closed"):
        del db
    async with asyncio.timeout(60):
        await asyncio.gather(*jobs)
    await asyncio.to_thread(lambda: [thread.join(60) for thread in threads])
    assert not set(threads) & set(threading.enumerate())
    assert plain(db_path, COUNT) == [(3000,)]


@pytest.mark.parametrize("part", ["take", "took_time_for"])
async def test_an_error_in_the_writer_itself_is_told_to_all_who_wait(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    async with aiomemdb.connect(db_path) as db:
        await asyncio.gather(db.write("CREATE TABLE t (x)"), db.flush())
        monkeypatch.setattr(JobQueue, part, broken)
        jobs = [db.submit(INSERT, (n,)) for n in range(3)]
        async with asyncio.timeout(60):
            errors = await asyncio.gather(*jobs, return_exceptions=True)
        committed = part == "took_time_for"  # then it strikes behind the COMMIT, and they are told their rowids
        assert [n if isinstance(n, int) else type(n) for n in errors] == (
            [1, 2, 3] if committed else [aiomemdb.WriterCrashed] * 3
        )
        with pytest.raises(aiomemdb.WriterCrashed):
            await db.write(INSERT, (3,))
        assert await db.read_value("SELECT count(*) FROM t") == 3 * committed


@pytest.mark.parametrize("verb", ["transaction", "checkpoint"])
async def test_an_error_in_what_the_writer_does_alone_is_told_to_its_caller(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("broken")

    async with aiomemdb.connect(db_path) as db:
        monkeypatch.setattr(Hold, "taken", broken)
        monkeypatch.setattr(writer_of(db), "post", broken)
        with pytest.raises(aiomemdb.WriterCrashed):
            async with asyncio.timeout(60):
                if verb == "transaction":
                    await db.transaction().__aenter__()
                else:
                    await db.checkpoint()
        monkeypatch.undo()


@pytest.mark.parametrize("runs", ["a batch", "a transaction that begins", "maintenance"])
async def test_what_runs_and_what_waits_is_told_where_the_writer_gives_up_and_the_next_job_is_served(
    db_path: Path, runs: str
) -> None:
    async with aiomemdb.connect(db_path) as db:
        await db.write("CREATE TABLE t (x)")
        await db.write("INSERT INTO t VALUES (0)")
        writer = db._writer
        assert isinstance(writer, Writer)
        with Gate() as gate:
            writer.connection.post(gate.block)
            verbs: dict[str, Callable[[], Awaitable[object]]] = {
                "a batch": lambda: db.write("INSERT INTO t VALUES (1)"),
                "a transaction that begins": lambda: db.transaction(durable=True).__aenter__(),
                "maintenance": lambda: db.checkpoint(),
            }
            told = [asyncio.ensure_future(verbs[runs]()), asyncio.ensure_future(db.flush())]
            await eventually(lambda: writer.running == 1)
            for event in (Event.CANCELLED, Event.TIME_UP):
                writer._on(event)
            async with asyncio.timeout(60):
                for future in told:
                    with pytest.raises(DatabaseClosed, match="the event loop is ending") as caught:
                        await future
                    assert caught.value.applied is False
            gate.open()
        assert await db.write("INSERT INTO t VALUES (2)") == 2
        assert writer.open_thread is not None
        assert db.statistics().checkpoints == 0
        assert [x for [x] in await db.read("SELECT x FROM t")] == [0, 2]


async def test_what_waits_is_not_taken_twice_at_once(db_path: Path) -> None:
    # the loop                              | the writer
    # --------------------------------------|-------------------------------------
    # a batch is settled, more waits        | the next is to be taken, soon
    # gives up: none is to be waited for    | nothing waits
    # a job, which is taken                 | runs it
    # the next is taken, as was to be soon  | leaves what waits until it has ended
    async with aiomemdb.connect(db_path) as db:
        writer = db._writer
        assert isinstance(writer, Writer)
        await db.write("CREATE TABLE t (x)")
        with Gate() as gate:
            running = asyncio.ensure_future(db.write_fn(gate.block))
            await gate.wait_entered()
            behind = db.submit(INSERT, (1,))
            writer._take()
            assert (db.statistics().running, db.statistics().pending) == (1, 1)
            gate.open()
            await asyncio.gather(running, behind)


async def test_answers_are_delivered_by_the_next_call_if_their_own_delivery_was_struck(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, struck = readers.settle, list[int]()

    def strike(finished: list[Any], *rest: Any, **options: Any) -> None:
        if not struck:
            struck.append(len(finished))
            raise RuntimeError("struck")
        original(finished, *rest, **options)

    async with aiomemdb.connect(db_path) as db:
        monkeypatch.setattr(readers, "settle", strike)
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)
        asked = [asyncio.create_task(db.read("SELECT 1")) for _ in range(10)]
        async with asyncio.timeout(60):
            await eventually(lambda: bool(struck))
            assert await db.read_value("SELECT 2") == 2
            assert [[tuple(row) for row in rows] for rows in await asyncio.gather(*asked)] == [[(1,)]] * 10
