"""A loop that is busy in turns shorter than 5 ms keeps the lock of Python from the threads: it steps aside."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb.concurrency.step_aside import StepAside
from aiomemdb.concurrency.worker import Worker, end_workers

pytestmark = pytest.mark.fast_path("step-aside")  # they ask whether it is taken

INSERT = "INSERT INTO t (x) VALUES (?)"
# Without stepping aside: 20 writes took 1,500 turns, one write 1,200, 20 reads 250.
FEW = 60
# Seconds from one stepping aside to the next.
AT_LEAST = [0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.1, 0.1, 0.1]


class Turns:
    """Counts the turns of a loop; each takes 4 ms, in Python alone."""

    count = 0

    async def take(self) -> None:
        while True:
            end = time.perf_counter() + 0.004
            while time.perf_counter() < end:
                pass
            self.count += 1
            await asyncio.sleep(0)


@asynccontextmanager
async def busy() -> AsyncIterator[Turns]:
    turns = Turns()
    taking = asyncio.create_task(turns.take())
    await asyncio.sleep(0)
    try:
        yield turns
    finally:
        taking.cancel()
        await asyncio.wait([taking])


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[aiomemdb.Database]:
    async with aiomemdb.connect(db_path) as db:
        await db.write_script("CREATE TABLE t (id INTEGER PRIMARY KEY, x)")
        yield db


async def in_a_transaction(db: aiomemdb.Database) -> None:
    async with db.transaction() as tx:
        await tx.write(INSERT, (1,))


async def in_a_snapshot(db: aiomemdb.Database) -> None:
    async with db.snapshot() as snapshot:
        await snapshot.read("SELECT * FROM t")


async def streamed(db: aiomemdb.Database) -> None:
    async for _ in db.read_stream("SELECT 1"):
        pass


@pytest.mark.parametrize(
    "work",
    [
        pytest.param(lambda db: asyncio.gather(*(db.write(INSERT, (n,)) for n in range(20))), id="20 writes"),
        pytest.param(lambda db: asyncio.gather(*(db.read("SELECT * FROM t") for _ in range(20))), id="20 reads"),
        pytest.param(lambda db: db.write(INSERT, (1,)), id="a write"),
        pytest.param(lambda db: db.write(INSERT, (1,), durable=True), id="a durable write"),
        pytest.param(lambda db: db.read("SELECT * FROM t"), id="a read"),
        pytest.param(lambda db: asyncio.gather(*(db.read("SELECT 1") for _ in range(1000))), id="1,000 reads"),
        pytest.param(in_a_transaction, id="a transaction"),
        pytest.param(in_a_snapshot, id="a snapshot"),
        pytest.param(streamed, id="a stream"),
    ],
)
async def test_work_takes_few_turns_of_a_busy_loop(
    db: aiomemdb.Database, work: Callable[[aiomemdb.Database], Awaitable[Any]]
) -> None:
    async with busy() as turns:
        for _ in range(3):
            began = turns.count
            await work(db)
            assert turns.count - began < FEW


async def test_a_loop_that_gets_busy_just_behind_a_write_does_not_keep_the_next_one(db: aiomemdb.Database) -> None:
    for _ in range(3):
        await db.write(INSERT, (1,))
        writing = asyncio.create_task(db.write(INSERT, (2,)))
        await asyncio.sleep(0)  # it is posted, and it is not asked whether it is done
        async with busy() as turns:
            await writing
            assert turns.count < 5 * FEW


class Postponing:
    """A loop on which nothing is due yet."""

    def __init__(self) -> None:
        self.later: list[asyncio.TimerHandle] = []
        self.pauses: list[float] = []
        self.next = (1, 0.0, 0.001)

    def call_later(self, delay: float, callback: Any, number: int, unless_before: float, pause: float) -> Any:
        self.pauses.append(delay)
        self.next = (number, unless_before, pause)
        self.later.append(asyncio.get_running_loop().call_later(3600, id, self))
        return self.later[-1]


def at_work(loop: Any, *, is_alive: bool = True) -> StepAside:
    """For a thread with a call that it never ends."""
    aside = StepAside(loop, deliver=lambda *_: True, is_alive=lambda: is_alive)
    aside.posted = aside._asked_for = 1
    return aside


async def test_the_loop_steps_aside_ever_more_seldom_for_a_call_that_takes_long() -> None:
    loop = Postponing()
    aside = at_work(loop)
    for _ in range(10):
        aside._step_aside(*loop.next)
        aside.end()
    assert [pause >= at_least for pause, at_least in zip(loop.pauses, AT_LEAST, strict=True)] == [True] * 10


async def test_no_loop_steps_aside_for_a_thread_that_is_gone() -> None:
    loop = Postponing()
    at_work(loop, is_alive=False)._step_aside(1, 0.0, 0.001)
    assert not loop.later


async def test_a_thread_that_has_ended_leaves_no_timer() -> None:
    loop = Postponing()
    aside = at_work(loop)
    for number in (1, 2):
        aside._asked_for = number
        aside._step_aside(number, 0.0, 0.001)
    aside.end()
    assert [timer.cancelled() for timer in loop.later] == [True, True]


async def test_a_worker_that_has_ended_leaves_no_timer() -> None:
    worker: Worker[None] = Worker("brief", asyncio.get_running_loop())
    timer = worker._aside._later = asyncio.get_running_loop().call_later(3600, id, worker)
    worker.start()
    await end_workers([worker])
    assert timer.cancelled()


async def test_a_loop_steps_aside_for_many_threads_together_as_little_as_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loop = Postponing()
    threads = [at_work(loop) for _ in range(100)]
    waits: list[threading.Lock] = []
    make_lock = threading.Lock
    monkeypatch.setattr(threading, "Lock", lambda: waits.append(make_lock()) or waits[-1])
    for aside in threads:
        aside._step_aside(1, 0.0, 0.1)
    assert len(loop.later) == 100  # the others ask again
    for timer in loop.later:
        timer.cancel()
    assert len(waits) == 1


async def test_a_thread_without_work_asks_for_nothing() -> None:
    asked: list[int] = []
    worker: Worker[None] = Worker("idle", asyncio.get_running_loop())
    worker.start()
    await worker.run(lambda _: None)  # on a busy machine the thread may find this old
    worker._aside._deliver = lambda *_: asked.append(1) is None
    worker._aside.posted_at = -1e9
    ran = threading.Event()
    worker._inbox.put(ran.set)
    assert ran.wait(60)
    await end_workers([worker])
    assert not asked
