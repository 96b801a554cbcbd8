"""Many tasks insert: the storm by the number of callers, at full durability, and of large values.

The floor of N awaited writes is the time of plain sqlite3 running the same N statements in one transaction, plus that
of N bare asyncio futures resolved in turns: nothing that keeps its promises can be faster than about that.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from _cells import OURS, Cell, Options
from _driving import Crowd, Sample, check_notes, run_for
from _harness import BODY, INSERT, disk_sync, fresh_database, on_loop, pinned, plain
from _names import COMMIT_EACH, FUTURES, MANY, ONE_TRANSACTION, SYNC
from peers import CONTESTANTS, Aiomemdb, AiosqliteShared, Contestant

from ._common import opened, storm

__all__ = ["floors", "full", "storms", "transactions", "values"]

LARGE = "x" * 65_536


def floors(options: Options) -> Iterator[Cell]:
    """The contract's own case, on a new file each time."""
    callers, each = (100, 5) if options.quick else (MANY, 20)
    workload = f"{callers:,} tasks, {each} inserts each"

    def once(kind: type[Contestant], synchronous: str = "NORMAL") -> Callable[[], Sample]:
        return partial(storm, kind, callers, 10.0, synchronous=synchronous, each=each, once=True)

    yield Cell(workload, FUTURES, callers, partial(bare_futures, callers, each), 1)
    yield Cell(workload, ONE_TRANSACTION, callers, partial(one_transaction, callers * each), 1)
    yield Cell(workload, OURS, callers, once(Aiomemdb), 1)
    yield Cell(workload, AiosqliteShared.name, callers, once(AiosqliteShared), 1)
    yield Cell(f"{workload}, full", OURS, callers, once(Aiomemdb, "FULL"), 1)
    # FULL is what a connection of sqlite3's or aiosqlite's has unless a program sets another.
    yield Cell(f"{workload}, full", AiosqliteShared.name, callers, once(AiosqliteShared, "FULL"), 1)
    yield Cell(f"{workload}, full", COMMIT_EACH, callers, partial(commit_each_full, options.seconds), 1)
    yield Cell(f"{workload}, full", SYNC, callers, lambda: Sample(rate=1 / disk_sync()), 1)


def storms(options: Options) -> Iterator[Cell]:
    for callers in (1, 100) if options.quick else (1, 10, 100, MANY, 10_000):
        # One caller writes on and on; of many, each writes 20 times and ends. Ten thousand take a while to begin.
        each = None if callers == 1 else 20
        seconds = options.seconds * 4 if callers > MANY else options.seconds
        for kind in CONTESTANTS:
            if callers <= kind.most_callers:
                measure = partial(storm, kind, callers, seconds, each=each)
                pair = callers == 1 and kind in (Aiomemdb, AiosqliteShared)
                every = 1 if pair else 9 if callers > MANY and kind is not Aiomemdb else 3
                yield Cell("storm", kind.name, callers, measure, every, at_most=15)
                if pair and hasattr(os, "sched_setaffinity"):
                    yield Cell("storm, one core", kind.name, 1, pinned(measure), 1)
    measure = partial(transactions, options.seconds)
    if hasattr(os, "sched_setaffinity"):
        yield Cell("transactions of one write, one core", OURS, 1, pinned(measure), 1)
    yield Cell("transactions of one write", OURS, 1, measure, 1)


def full(options: Options) -> Iterator[Cell]:
    callers = 20 if options.quick else 100
    for kind in CONTESTANTS:
        measure = partial(storm, kind, callers, options.seconds, synchronous="FULL")
        yield Cell("storm, full durability", kind.name, callers, measure)
    yield Cell("storm, full durability", COMMIT_EACH, callers, partial(commit_each_full, options.seconds))


def values(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        measure = partial(storm, kind, 100, options.seconds, each=None, body=LARGE)
        yield Cell("64 KB values", kind.name, 100, measure)


def transactions(seconds: float) -> Sample:
    """One caller's, one after another."""
    with fresh_database() as path:

        async def main() -> tuple[Crowd, Sample]:
            ours = Aiomemdb(path)
            async with opened(ours, 1):

                async def transact(job: int) -> None:
                    async with ours.db.transaction() as tx:
                        await tx.write(INSERT, (job, BODY))

                crowd = Crowd("write", [transact])
                return crowd, await run_for(seconds, crowd)

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample)
    return sample


def one_transaction(writes: int) -> Sample:
    with fresh_database() as path:
        connection = plain(path)
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for number in range(writes):
            connection.execute(INSERT, (number, BODY))
        connection.execute("COMMIT")
        took = time.perf_counter() - began
        connection.close()
    return Sample(rate=writes / took)


def commit_each_full(seconds: float) -> Sample:
    with fresh_database() as path:
        connection = plain(path, "FULL")
        done, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            connection.execute(INSERT, (done, BODY))
            done += 1
        took = time.perf_counter() - began
        connection.close()
    return Sample(rate=done / took)


def bare_futures(callers: int, each: int) -> Sample:
    """The same crowd; its futures are resolved in the next turn of the loop."""

    async def main() -> Sample:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[int]] = []

        def ask(job: int) -> Awaitable[int]:
            future = loop.create_future()
            waiting.append(future)
            return future

        async def resolve() -> None:
            while True:
                await asyncio.sleep(0)
                turn = waiting[:]
                waiting.clear()
                for future in turn:
                    future.set_result(1)

        resolving = asyncio.create_task(resolve())
        sample = await run_for(10.0, Crowd("write", [ask] * callers, each=each, once=True))
        resolving.cancel()
        return sample

    return on_loop(main)
