"""Reads: single rows and ranges, by the number of callers; rows in a stream; many rows written at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

from _cells import Cell, Options
from _driving import Operation, Sample
from _harness import BODY, INSERT, fresh_database, pinned, plain
from _names import LIMIT, MANY
from peers import CONTESTANTS, Aiomemdb, AiosqliteFour, AiosqliteShared, Contestant

from ._common import POINT_READ, on_fresh_database, opened, reads

__all__ = ["bulk", "points", "ranges", "streams"]

READERS: tuple[type[Contestant], ...] = (*CONTESTANTS, AiosqliteFour)
ROWS = 10_000
RANGE_READ = "SELECT id, agent, body FROM note WHERE id BETWEEN ? AND ?"
RANGE = 100
BULK = 10_000


def points(options: Options) -> Iterator[Cell]:
    sizes = (1, 100) if options.quick else (1, 10, 100, MANY)
    for callers in (*sizes, 10_000) if options.full else sizes:
        for kind in READERS:
            if callers <= kind.most_callers:
                ours_or_its_bar = kind in (Aiomemdb, AiosqliteShared, AiosqliteFour)
                measure = partial(reads, kind, callers, options.seconds, rows=ROWS)
                every = 1 if ours_or_its_bar and callers in (1, MANY) else 3
                yield Cell("point reads", kind.name, callers, measure, every)
                if callers == 1 and kind in (Aiomemdb, AiosqliteShared) and hasattr(os, "sched_setaffinity"):
                    yield Cell("point reads, one core", kind.name, 1, pinned(measure), every=1)
        if callers in (100, MANY):
            yield Cell("point reads", LIMIT, callers, partial(plain_reads, options.seconds), every=1)


def ranges(options: Options) -> Iterator[Cell]:
    for kind in READERS:
        measure = partial(reads, kind, 64, options.seconds, rows=ROWS, operation=range_read_with)
        yield Cell("reads of 100 rows", kind.name, 64, measure)


def range_read_with(session: Contestant, seed: int) -> Operation:
    read, randrange = session.read, Random(seed).randrange

    def ask(job: int) -> object:
        first = randrange(ROWS - RANGE) + 1
        return read(RANGE_READ, (first, first + RANGE - 1))

    return ask  # type: ignore[return-value]


def plain_reads(seconds: float) -> Sample:
    with fresh_database(rows=ROWS) as path:
        connection = plain(path)
        randrange, done, began = Random(0).randrange, 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            for _ in range(1000):
                connection.execute(POINT_READ, (randrange(ROWS) + 1,)).fetchall()
            done += 1000
        took = time.perf_counter() - began
        connection.close()
    return Sample(rate=done / took)


def streams(options: Options) -> Iterator[Cell]:
    rows = 20_000 if options.quick else 200_000
    for kind in CONTESTANTS:
        if kind.stream is not Contestant.stream:
            yield Cell("a stream of all rows", kind.name, rows, partial(stream, kind, rows))


def stream(kind: Callable[..., Contestant], rows: int) -> Sample:
    """Rows a second, and by how many bytes the process grew meanwhile."""

    async def main(path: str) -> Sample:
        async with opened(kind(path), 1) as [session]:
            reset_peak_memory()
            before, done, began = peak_memory(), 0, time.perf_counter()
            async for _ in session.stream("SELECT id, agent, body FROM note"):
                done += 1
            took, grown = time.perf_counter() - began, peak_memory() - before
        return Sample(rate=done / took, lost=rows - done, figures={"bytes more": grown})

    return on_fresh_database(main, rows=rows)


def reset_peak_memory() -> None:
    """The peak starts anew from what is in memory now (proc_pid_clear_refs(5)); elsewhere than on Linux it is 0."""
    if Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory() -> int:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def bulk(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        if kind.write_many is not Contestant.write_many:
            yield Cell("bulk, 10,000 rows a call", kind.name, 1, partial(write_many, kind, options.seconds))
    yield Cell("bulk, 10,000 rows a call", LIMIT, 1, partial(plain_write_many, options.seconds))


def write_many(kind: Callable[..., Contestant], seconds: float) -> Sample:
    rows = [(number, BODY) for number in range(BULK)]

    async def main(path: str) -> Sample:
        async with opened(kind(path), 1) as [session]:
            calls, began = 0, time.perf_counter()
            while time.perf_counter() - began < seconds:
                await session.write_many(INSERT, rows)
                calls += 1
            took = time.perf_counter() - began
            found = (await session.read("SELECT count(*) FROM note", ()))[0][0]
        return Sample(rate=calls * BULK / took, lost=calls * BULK - found)

    return on_fresh_database(main)


def plain_write_many(seconds: float) -> Sample:
    rows = [(number, BODY) for number in range(BULK)]
    with fresh_database() as path:
        connection = plain(path)
        calls, began = 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(INSERT, rows)
            connection.execute("COMMIT")
            calls += 1
        took = time.perf_counter() - began
        connection.close()
    return Sample(rate=calls * BULK / took)
