"""What programs do with a connection of aiosqlite's: the same code on aiosqlite's ``connect`` and on ours."""

from __future__ import annotations

import asyncio
import os
import threading
import tracemalloc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from typing import Any

import aiosqlite
from _cells import OURS, Cell, Options
from _driving import Crowd, Sample, check_notes, run_for
from _harness import BODY, INSERT, fresh_database, on_loop, pinned
from peers import Aiomemdb

from ._common import POINT_READ, storm
from .reading import peak_memory, reset_peak_memory
from .storm import MANY

__all__ = ["AGENTS", "CURSOR", "EACH_ONE", "INSERTS", "MEMORY", "ONE", "QUERIES", "STOCK", "WRITES", "connections"]

STOCK = "aiosqlite"
WRITES = "db.write"

INSERTS = "aiosqlite's shape, one caller, insert and commit"
QUERIES = "aiosqlite's shape, one caller, a query"
ONE = "aiosqlite's shape, autocommit, callers of one connection"
AGENTS = "aiosqlite's shape, agents with a connection each"
MEMORY = "aiosqlite's shape, open connections"
CURSOR = "aiosqlite's shape, rows of one cursor"
EACH_ONE = "bytes each"

Connect = Callable[..., Any]

_ROWS = 10_000
_COUNTING = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ?) SELECT x, 'row ' || x FROM n"


def _contestants() -> Iterator[tuple[str, Connect]]:
    from aiomemdb.aiosqlite import connect

    yield STOCK, aiosqlite.connect
    yield OURS, connect


def connections(options: Options) -> Iterator[Cell]:
    agents = (16,) if options.quick else (64, 256, 512)
    for name, connect in _contestants():
        for work, measure in ((INSERTS, _inserts), (QUERIES, _queries)):
            yield Cell(work, name, 1, partial(measure, connect, options.seconds), 1)
            if hasattr(os, "sched_setaffinity"):
                yield Cell(f"{work}, one core", name, 1, pinned(partial(measure, connect, options.seconds)), 1)
        callers = 100 if options.quick else MANY
        yield Cell(ONE, name, callers, partial(_one_connection, connect, callers, options.seconds), 1)
        for number in agents:
            yield Cell(AGENTS, name, number, partial(_agents, connect, number, 4 * options.seconds))
        number = 50 if options.quick else 200
        yield Cell(MEMORY, name, number, partial(_open_connections, connect, number))
        rows = 10_000 if options.quick else 1_000_000
        yield Cell(CURSOR, name, rows, partial(_one_cursor, connect, rows))
    yield Cell(ONE, WRITES, callers, partial(storm, Aiomemdb, callers, options.seconds, each=None), 1)


async def _opened(connect: Connect, path: str, **options: Any) -> Any:
    """Open, warm, and as both are in a file with a write-ahead log, which stock has for good once it is set."""
    connection = await connect(path, **options)
    await connection.execute("PRAGMA synchronous=NORMAL")
    for _ in range(3):
        await connection.execute_fetchall(POINT_READ, (1,))
        await connection.execute("UPDATE counter SET n = n")
        await connection.commit()
    return connection


def _inserts(connect: Connect, seconds: float) -> Sample:
    with fresh_database() as path:

        async def main() -> tuple[Crowd, Sample]:
            connection = await _opened(connect, path)

            async def insert(job: int) -> None:
                await connection.execute(INSERT, (job, BODY))
                await connection.commit()

            crowd = Crowd("write", [insert])
            sample = await run_for(seconds, crowd)
            await connection.close()
            return crowd, sample

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample)
    return sample


def _queries(connect: Connect, seconds: float) -> Sample:
    with fresh_database(rows=_ROWS) as path:

        async def main() -> Sample:
            connection = await _opened(connect, path)

            async def query(job: int) -> None:
                async with connection.execute(POINT_READ, (job % _ROWS + 1,)) as cursor:
                    assert await cursor.fetchone()

            sample = await run_for(seconds, Crowd("read", [query]))
            await connection.close()
            return sample

        return on_loop(main)


def _one_connection(connect: Connect, callers: int, seconds: float) -> Sample:
    with fresh_database() as path:

        async def main() -> tuple[Crowd, Sample]:
            connection = await _opened(connect, path, isolation_level=None)

            def insert(job: int) -> Awaitable[object]:
                awaited: Awaitable[object] = connection.execute(INSERT, (job, BODY))
                return awaited

            crowd = Crowd("write", [insert] * callers)
            sample = await run_for(seconds, crowd)
            await connection.close()
            return crowd, sample

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample)
    return sample


def _agents(connect: Connect, agents: int, seconds: float) -> Sample:
    """Each writes a note, commits it, and reads three."""
    with fresh_database(rows=_ROWS) as path:

        async def main() -> tuple[Crowd, Sample]:
            async with AsyncExitStack() as stack:
                opened = []
                for _ in range(agents):
                    opened.append(await _opened(connect, path))
                    stack.push_async_callback(opened[-1].close)

                def of(connection: Any) -> Callable[[int], Awaitable[None]]:
                    async def step(job: int) -> None:
                        await connection.execute(INSERT, (job, BODY))
                        await connection.commit()
                        for number in range(3):
                            await connection.execute_fetchall(POINT_READ, ((job + number) % _ROWS + 1,))

                    return step

                crowd = Crowd("step", [of(connection) for connection in opened])
                sample = await run_for(seconds, crowd)
                sample.figures["threads"] = threading.active_count()
            return crowd, sample

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample, before=_ROWS)
    return sample


def _open_connections(connect: Connect, number: int) -> Sample:
    """What one more takes, where some are open and used already; threads' stacks are not counted."""
    with fresh_database(rows=1) as path:

        async def main() -> Sample:
            opened = []

            async def open_one() -> None:
                opened.append(connection := await connect(path))
                await connection.execute_fetchall(POINT_READ, (1,))

            for _ in range(5):
                await open_one()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            for _ in range(number):
                await open_one()
            taken = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            figures = {EACH_ONE: taken / number, "threads": float(threading.active_count())}
            for connection in opened:
                await connection.close()
            return Sample(rate=number, figures=figures)

        return on_loop(main)


def _one_cursor(connect: Connect, rows: int) -> Sample:
    with fresh_database() as path:

        async def main() -> Sample:
            clock, seen = asyncio.get_running_loop().time, count()
            async with connect(path) as connection:
                await connection.execute_fetchall(_COUNTING, (10,))
                reset_peak_memory()
                before, began = peak_memory(), clock()
                async with connection.execute(_COUNTING, (rows,)) as cursor:
                    async for _ in cursor:
                        next(seen)
                took, grown = clock() - began, peak_memory() - before
            return Sample(rate=rows / took, lost=rows - next(seen), figures={"MiB more": grown / 2**20})

        return on_loop(main)
