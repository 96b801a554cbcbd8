"""G9, G10 and G16 over a long life: mixed work, tasks that are killed at random, readers that dawdle, other processes.

An hour, or as many seconds as said: ``AIOMEMDB_LONG_LIFE=600 make soak ARGS="-k an_hour"``.
"""

from __future__ import annotations

import asyncio
import os
import random
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.reading import stream
from aiomemdb.sqlite.writing.batch import Batch
from aiomemdb.sqlite.writing.checkpoints import Checkpointer
from aiomemdb.sqlite.writing.writer import Writer
from tests.support.others import OtherProcess
from tests.support.plain import assert_healthy
from tests.support.verbs import INSERT, LOG, VERBS
from tests.support.whole import assert_whole

TASKS = 40
KEPT_ROWS = 20_000
MIB = 1 << 20
# A snapshot of three seconds keeps the log from being restarted meanwhile: SQLite writes on behind what it reads.
# (Beside a reader that always had one open, each for a second or so, it reached 315 MiB within 200 s.)
MOST_LOG = 256 * MIB
MOST_GROWTH = 32 * MIB
KEPT_A_SECOND = 100 * MIB  # by a writer that forgets nothing: as small results would add up to in an hour

# What takes all of the file is done now and then, by one task.
EVERYDAY = {name: verb for name, (verb, _) in VERBS.items() if name not in ("vacuum", "optimize", "checkpoint")}


@dataclass
class Life:
    """What was seen, once a second; of a short life twenty times."""

    resident: list[int] = field(default_factory=list)
    log: list[int] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)  # the median of the writes in that second
    kills: int = 0
    jobs: int = 0

    def __str__(self) -> str:
        return (
            f"{self.jobs:,} jobs, {self.kills:,} tasks killed; resident {self.memory_in_fifth(1) / MIB:.0f} MiB in "
            f"the second fifth of the time, {self.memory_in_fifth(4) / MIB:.0f} in the last; log at most "
            f"{max(self.log) / MIB:.0f} MiB; a write's median wait in the best second "
            f"{self.wait_in_fifth(1) * 1e3:.1f} ms, then {self.wait_in_fifth(4) * 1e3:.1f}"
        )

    def memory_in_fifth(self, number: int) -> float:
        return median(_fifth(self.resident, number))

    def wait_in_fifth(self, number: int) -> float:
        """In its best second: what else runs on the machine comes and goes, what the library keeps would stay."""
        return min(_fifth(self.waits, number))


def _fifth(values: Sequence[float], number: int) -> Sequence[float]:
    """One fifth of the values, counted from 0."""
    length = len(values) // 5
    return values[number * length : (number + 1) * length]


async def live(path: Path, seconds: float, *, seed: int = 0, hang: float = 60.0) -> Life:
    """Ends in TimeoutError where the database does not come to rest within ``hang`` seconds of its life's end."""
    dice, life = random.Random(seed), Life()
    now: list[float] = []
    over = asyncio.Event()

    async def work(db: SQLiteDatabase) -> None:
        while True:
            await EVERYDAY[dice.choice(list(EVERYDAY))](db, life.jobs)
            life.jobs += 1
            began = time.monotonic()
            await db.write(INSERT, (life.jobs,))
            now.append(time.monotonic() - began)
            await asyncio.sleep(dice.uniform(0, 0.05))

    async def dawdle(db: SQLiteDatabase) -> None:
        while True:
            async with db.snapshot() as snapshot:
                before = await snapshot.read_value("SELECT count(*) FROM log")
                await asyncio.sleep(dice.uniform(0, min(3, seconds / 10)))
                assert await snapshot.read_value("SELECT count(*) FROM log") == before
            async for _ in db.read_stream("SELECT id FROM log LIMIT 1000", chunk=100):
                await asyncio.sleep(0)
            await asyncio.sleep(dice.uniform(0, min(3, seconds / 10)))

    async def keep_house(db: SQLiteDatabase) -> None:
        while True:
            await asyncio.sleep(dice.uniform(0, min(20, seconds / 5)))
            await db.write("DELETE FROM log WHERE id <= (SELECT max(id) FROM log) - ?", (KEPT_ROWS,))
            await dice.choice([db.checkpoint, db.optimize, db.vacuum])()

    async def be_killed(make: Callable[[SQLiteDatabase], Coroutine[Any, Any, None]], db: SQLiteDatabase) -> None:
        """Runs it anew each time that it was killed. It ends with the life: a cancellation of its own may meet that of
        what it runs, and then the two can't be told apart.
        """
        while not over.is_set():
            task = asyncio.create_task(make(db))
            try:
                await asyncio.wait([task], timeout=dice.expovariate(1))
            finally:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            life.kills += 1

    async def watch(db: SQLiteDatabase) -> None:
        looks = max(20, round(seconds))
        for _ in range(looks):
            await asyncio.sleep(seconds / looks)
            life.resident.append(_resident())
            life.log.append(db.statistics().wal_bytes)
            if now:
                life.waits.append(median(now))
                now.clear()

    async def other_process() -> None:
        """Writes the same file, and dies of kill -9."""
        while True:
            with OtherProcess(path) as other:
                await other.does("db = await aiomemdb.connect(path, readers=1)")
                for _ in range(dice.randint(1, 100)):
                    await other.does(f"await db.write({INSERT!r}, (0,))")

    async with aiomemdb.connect(path) as db:
        await db.write_script(LOG)
        makers = [work] * TASKS + [dawdle, keep_house]
        tasks = [asyncio.create_task(be_killed(make, db)) for make in makers]
        tasks.append(asyncio.create_task(other_process()))
        tasks.append(asyncio.create_task(watch(db)))  # the only one that ends by itself
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        over.set()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            assert task.cancelled() or task.exception() is None, task.exception()
        await assert_whole(db, timeout=hang)
        await db.checkpoint()
        assert db.statistics().wal_bytes == 0
    return life


def _resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


Figures = Callable[[str], None]


def assert_steady(life: Life) -> None:
    assert max(life.log) < MOST_LOG
    assert life.memory_in_fifth(4) - life.memory_in_fifth(1) < MOST_GROWTH, "it grows"


def assert_as_quick_as_before(life: Life) -> None:
    assert life.wait_in_fifth(4) < 2 * life.wait_in_fifth(1) + 0.01, "it slows down"


async def test_some_seconds_of_mixed_work_with_kills_leave_nothing_over(db_path: Path, figures: Figures) -> None:
    life = await live(db_path, 3)
    figures(str(life))
    assert_healthy(db_path)
    assert_steady(life)
    assert life.kills > 30
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("aiomemdb")] == []


@pytest.mark.soak
@pytest.mark.timeout(7200)
async def test_an_hour_of_mixed_work_neither_grows_nor_slows_down(db_path: Path, figures: Figures) -> None:
    life = await live(db_path, float(os.environ.get("AIOMEMDB_LONG_LIFE", "3600")))
    figures(str(life))
    assert_healthy(db_path)
    assert_steady(life)
    assert_as_quick_as_before(life)


async def test_a_writer_that_keeps_what_it_has_settled_is_found(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settle, kept, latest = Writer._settle, [], time.monotonic()

    def settle_and_keep(self: Writer, batch: Batch) -> None:
        nonlocal latest
        before, latest = latest, time.monotonic()
        kept.append(b"x" * int((latest - before) * KEPT_A_SECOND))
        settle(self, batch)

    monkeypatch.setattr(Writer, "_settle", settle_and_keep)
    with pytest.raises(AssertionError, match="it grows"):
        assert_steady(await live(db_path, 2))


def test_waits_that_grow_are_found() -> None:
    grow = [0.001 + 0.001 * second for second in range(100)]
    assert_as_quick_as_before(Life(waits=[0.001] * 100))
    with pytest.raises(AssertionError, match="it slows down"):
        assert_as_quick_as_before(Life(waits=grow))


async def test_a_log_that_is_never_moved_into_the_file_is_found(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Checkpointer, "run", lambda self, **_: False)
    with pytest.raises(AssertionError, match="wal_bytes"):
        await live(db_path, 1)


async def test_readers_that_streams_keep_are_found(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "give_back", lambda *_: None)
    with pytest.raises((AssertionError, TimeoutError)):
        await live(db_path, 1, hang=2)
