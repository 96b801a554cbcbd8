"""Nothing is left after close, and memory stays flat however much goes through."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import sqlite3
import threading
import tracemalloc
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from tests.support.gates import Gate
from tests.support.killing import kill_behind, writer_of
from tests.support.whole import eventually

INSERT = "INSERT INTO t (x) VALUES (?)"
SCHEMA = "CREATE TABLE t (id INTEGER PRIMARY KEY, x, u UNIQUE)"
KIB = 1024

# asyncio's own set of tasks grows in steps of up to 128 KiB.
FLAT = 200 * KIB


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[Any]:
    async with aiomemdb.connect(db_path, max_pending=1_000_000) as db:
        await db.write(SCHEMA)
        yield db


@pytest.fixture
def traced() -> Iterator[None]:
    tracemalloc.start()
    yield
    tracemalloc.stop()


def in_use() -> int:
    """Bytes that Python objects take now."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def descriptors() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


# -- opening and closing -------------------------------------------------------------------------------------


async def quietly(db: Any) -> None:
    pass


async def with_everything(db: Any) -> None:
    await db.write("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, x)")
    async with db.transaction() as tx, tx.transaction() as inner:
        await inner.write(INSERT, (1,))
    async with db.snapshot() as snapshot:
        await snapshot.read("SELECT x FROM t")
    async for _ in db.read_stream("SELECT name FROM pragma_function_list", chunk=1):
        break
    await db.write_fn(lambda conn: conn.execute("SELECT 1").fetchone())
    with pytest.raises(sqlite3.OperationalError):
        await db.read("SELECT nothing FROM nowhere")
    db.submit(INSERT, (2,))


async def after_a_crash(db: Any) -> None:
    kill_behind(writer_of(db))
    with pytest.raises(aiomemdb.WriterCrashed):
        await db.write(INSERT, (1,))


@pytest.mark.parametrize("use", [quietly, with_everything, after_a_crash])
async def test_fifty_times_opened_and_closed_nothing_is_left(
    db_path: Path, traced: None, caplog: pytest.LogCaptureFixture, use: Callable[[Any], Awaitable[None]]
) -> None:
    caplog.set_level(logging.CRITICAL)  # records of crashes would be kept

    async def once() -> None:
        async with aiomemdb.connect(db_path, readers=2) as db:
            await use(db)

    async def growth() -> int:
        before = in_use()
        for _ in range(25):
            await once()
        return in_use() - before

    for _ in range(5):
        await once()
    threads, files = set(threading.enumerate()), descriptors()
    grown = [await growth(), await growth()]
    assert set(threading.enumerate()) == threads
    assert descriptors() == files
    assert asyncio.all_tasks() == {asyncio.current_task()}
    # The interpreter's set of threads is made anew once in a while, and is large: pytest-timeout keeps one a test.
    assert min(grown) < 25 * KIB


async def test_fifty_databases_that_were_never_closed_leave_nothing_once_collected(db_path: Path) -> None:
    before, files = set(threading.enumerate()), descriptors()
    for _ in range(50):
        db = await aiomemdb.connect(db_path, readers=2)
        await db.read("SELECT 1")
        started = set(threading.enumerate()) - before
        with pytest.warns(ResourceWarning, match="was not closed"):
            del db
            gc.collect()
        await eventually(lambda started=started: not any(thread.is_alive() for thread in started))
    assert set(threading.enumerate()) == before
    await eventually(lambda: descriptors() == files)  # the loop closes a thread's bell, once it hears of its end


# -- memory over many jobs -----------------------------------------------------------------------------------


async def writes(db: Any, count: int) -> None:
    for start in range(0, count, 1000):
        await asyncio.gather(*(db.write(INSERT, (start + n,)) for n in range(1000)))
        await db.write("DELETE FROM t")


async def submitted_writes(db: Any, count: int) -> None:
    for start in range(0, count, 1000):
        await asyncio.wait([db.submit(INSERT, (start + n,)) for n in range(1000)])
        await db.write("DELETE FROM t")


async def failing_writes(db: Any, count: int) -> None:
    await db.write("INSERT OR REPLACE INTO t (id, u) VALUES (1, 1)")
    for _ in range(0, count, 1000):
        jobs = [db.write("INSERT INTO t (u) VALUES (1)") for _ in range(1000)]
        outcomes = await asyncio.gather(*jobs, return_exceptions=True)
        assert {type(outcome) for outcome in outcomes} == {sqlite3.IntegrityError}


async def writes_of_many_texts(db: Any, count: int) -> None:
    for start in range(0, count, 1000):
        await asyncio.gather(*(db.write(f"DELETE FROM t WHERE id = {start + n}") for n in range(1000)))


async def abandoned_writes(db: Any, count: int) -> None:
    for _ in range(0, count, 1000):
        jobs = [db.submit(INSERT, (1,)) for _ in range(1000)]
        for job in jobs:
            job.cancel()
        await db.flush()


async def transactions(db: Any, count: int) -> None:
    for n in range(count // 50):
        try:
            async with db.transaction() as tx:
                await tx.write("INSERT INTO t (id) VALUES (?)", (n,))
                raise LookupError
        except LookupError:
            pass


async def reads(db: Any, count: int) -> None:
    for _ in range(0, count, 1000):
        await asyncio.gather(*(db.read("SELECT 1, 2, 3") for _ in range(1000)))


async def failing_reads(db: Any, count: int) -> None:
    for _ in range(0, count, 1000):
        jobs = [db.read("SELECT nothing FROM nowhere") for _ in range(1000)]
        await asyncio.gather(*jobs, return_exceptions=True)


async def streams_and_snapshots(db: Any, count: int) -> None:
    for _ in range(count // 100):
        async for _ in db.read_stream("SELECT name FROM pragma_function_list", chunk=1):
            break
        async with db.snapshot() as snapshot:
            await snapshot.read("SELECT 1")


WORK = [
    writes,
    submitted_writes,
    failing_writes,
    writes_of_many_texts,
    abandoned_writes,
    transactions,
    reads,
    failing_reads,
    streams_and_snapshots,
]


async def grows(db: Any, work: Callable[[Any, int], Awaitable[None]], count: int) -> int:
    await work(db, 5000)  # caches fill
    await db.flush()  # the loop has let go of what it last woke a task with
    before = in_use()
    await work(db, count)
    await db.flush()
    return in_use() - before


@pytest.mark.parametrize("work", WORK)
async def test_memory_stays_flat(db: Any, traced: None, work: Callable[[Any, int], Awaitable[None]]) -> None:
    assert await grows(db, work, 6_000) < FLAT


async def test_memory_stays_flat_to_the_byte_over_forty_thousand_writes(db: Any, traced: None) -> None:
    assert await grows(db, writes, 40_000) < FLAT  # 5 bytes a write: what is kept in a list takes 8


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("work", WORK)
async def test_memory_stays_flat_over_a_million_jobs(
    db: Any, traced: None, work: Callable[[Any, int], Awaitable[None]]
) -> None:
    before = resident()
    assert await grows(db, work, 1_000_000) < FLAT
    assert resident() - before < 64 * KIB * KIB


def resident() -> int:
    """Bytes of this process in memory, SQLite's own among them."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


# -- what one waiting job costs ------------------------------------------------------------------------------


async def test_a_submitted_job_takes_at_most_512_bytes_beside_its_parameters(db: Any, traced: None) -> None:
    parameters = [(n,) for n in range(20_000)]
    with Gate() as gate:
        held = asyncio.ensure_future(db.write_fn(gate.block))
        await gate.wait_entered()
        before = in_use()
        jobs = [db.submit(INSERT, params) for params in parameters]
        assert (in_use() - before) / len(jobs) <= 512
        gate.open()
        await held
        await asyncio.wait(jobs)
    assert db.statistics().pending == 0
    assert await db.read_value("SELECT count(*) FROM t") == 20_000


async def test_what_a_job_held_is_let_go_when_it_has_settled(db: Any) -> None:
    class Payload:
        def __conform__(self, protocol: object) -> bytes:
            return b"x" * 1000

    payload = Payload()
    alive = weakref.ref(payload)
    await db.write(INSERT, (payload,))
    await db.write_fn(lambda conn, it: conn.execute(INSERT, (it,)).rowcount, payload)
    with pytest.raises(sqlite3.Error):
        await db.write("INSERT INTO nowhere VALUES (?)", (payload,))
    await db.read("SELECT ?", (payload,))
    del payload
    await db.read("SELECT 1")  # the reader's thread has gone on; the writer's idles
    gc.collect()
    assert alive() is None


async def test_an_idle_writer_keeps_no_result_of_its_last_batch(db: Any) -> None:
    class Result:
        pass

    alive = weakref.ref(await db.write_fn(lambda conn: Result()))
    await db.read("SELECT 1")  # the loop, too, has gone on
    gc.collect()
    assert alive() is None
