"""Many tasks insert: the storm by the number of callers, at full durability, and of large values.

The floor of N awaited writes is the time of plain sqlite3 running the same N statements in one transaction, plus that
of N bare asyncio futures resolved in turns: nothing that keeps its promises can be faster than about that.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Iterator
from functools import partial

from _cells import OURS, Cell, Options
from _driving import Crowd, Sample, run_for
from _harness import BODY, INSERT, disk_sync, fresh_database, on_loop, pinned, plain
from peers import CONTESTANTS, Aiomemdb, AiosqliteShared

from ._common import storm

__all__ = ["FUTURES", "ONE_TRANSACTION", "SYNC", "full", "storms", "values"]

FUTURES = "bare futures"
ONE_TRANSACTION = "plain sqlite3, one transaction"
COMMIT_EACH = "plain sqlite3, a commit each"
SYNC = "the disk's fdatasync"

MANY = 1_000
LARGE = "x" * 65_536


def storms(options: Options) -> Iterator[Cell]:
    for callers in (1, 100) if options.quick else (1, 10, 100, MANY, 10_000):
        # One caller writes on and on; of many, each writes 20 times and ends.
        each = None if callers == 1 else 20
        for kind in CONTESTANTS:
            if callers <= kind.most_callers:
                bar = kind in (Aiomemdb, AiosqliteShared) and callers in (1, MANY)
                measure = partial(storm, kind, callers, options.seconds, each=each)
                yield Cell("storm", kind.name, callers, measure, bar)
                if callers == 1 and kind in (Aiomemdb, AiosqliteShared) and hasattr(os, "sched_setaffinity"):
                    yield Cell("storm, one core", kind.name, 1, pinned(measure), bar)
        if callers in (100, MANY):
            yield Cell("storm", FUTURES, callers, partial(bare_futures, callers, options.seconds), bar=True)
            yield Cell("storm", ONE_TRANSACTION, callers, partial(one_transaction, options.seconds), bar=True)


def full(options: Options) -> Iterator[Cell]:
    callers = 100 if options.quick else MANY
    yield Cell("storm, full durability", SYNC, callers, lambda: Sample(rate=1 / disk_sync()), bar=True)
    yield Cell("storm, full durability", COMMIT_EACH, callers, partial(commit_each_full, options.seconds), bar=True)
    for kind in CONTESTANTS:
        measure = partial(storm, kind, callers, options.seconds, synchronous="FULL")
        yield Cell("storm, full durability", kind.name, callers, measure, bar=kind is Aiomemdb)
    # Its rate at "normal" once more, beside it: a bar compares the two.
    yield Cell("storm beside it", OURS, callers, partial(storm, Aiomemdb, callers, options.seconds), bar=True)


def values(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        measure = partial(storm, kind, 100, options.seconds, each=None, body=LARGE)
        yield Cell("64 KB values", kind.name, 100, measure)


def one_transaction(seconds: float) -> Sample:
    with fresh_database() as path:
        connection = plain(path)
        done, began = 0, time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        while time.perf_counter() - began < seconds:
            for number in range(1000):
                connection.execute(INSERT, (number, BODY))
            done += 1000
        connection.execute("COMMIT")
        took = time.perf_counter() - began
        connection.close()
    return Sample(rate=done / took)


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


def bare_futures(callers: int, seconds: float) -> Sample:
    """The same crowd, whose futures are resolved in the next turn of the loop."""

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
        sample = await run_for(seconds, Crowd("write", [ask] * callers, each=20))
        resolving.cancel()
        return sample

    return on_loop(main)
