"""Several kinds of work at once: one hot row, reads beside writes, check-then-act, reports, a busy loop."""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial

from _cells import OURS, Cell, Options
from _driving import Crowd, Operation, Sample, check_notes, percentiles, run_for
from _harness import BODY, INSERT, fresh_database, on_loop
from _names import AIOSQLITE, UPDATES
from peers import CONTESTANTS, Aiomemdb, Contestant

from ._common import insert_with, on_fresh_database, opened, point_read_with, reads

__all__ = ["acts", "busy", "hot", "hot_row", "mixed", "reports", "writers"]

ROWS = 10_000
REPORT_SECONDS = 0.25
TURN_SECONDS = 0.004

# Steps through so many rows without holding Python's lock.
REPORT = "WITH RECURSIVE row (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM row WHERE n < ?) SELECT count(*) FROM row"


def hot(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        measure, is_in_a_bar = partial(hot_row, kind, 100, options.seconds), kind.name in (OURS, AIOSQLITE)
        yield Cell(UPDATES, kind.name, 100, measure, every=1 if is_in_a_bar else 3)


def hot_row(kind: Callable[..., Contestant], callers: int, seconds: float) -> Sample:
    """Updates a second; the row counts them, so that what was lost is seen."""
    with fresh_database() as path:

        def update_with(session: Contestant) -> Operation:
            write = session.write
            return lambda job: write("UPDATE counter SET n = n + 1 WHERE id = ?", (1,))

        async def main() -> tuple[Crowd, Sample]:
            async with opened(kind(path), callers) as sessions:
                crowd = Crowd("write", [update_with(session) for session in sessions])
                return crowd, await run_for(seconds, crowd)

        crowd, sample = on_loop(main)
        connection = sqlite3.connect(path)
        [counted] = connection.execute("SELECT n FROM counter WHERE id = 1").fetchone()
        connection.close()
        sample.lost = max(sum(crowd.done) - counted, 0)
        sample.duplicates = max(counted - sum(crowd.done), 0)
    return sample


def mixed(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        yield Cell("80 % reads, 20 % writes", kind.name, 100, partial(mix, kind, 100, options.seconds))


def mix(kind: Callable[..., Contestant], callers: int, seconds: float) -> Sample:
    """Calls a second of tasks that read four times, write once, and so on."""
    waits: dict[str, list[float]] = {"read": [], "write": []}

    def is_write(job: int) -> bool:
        return (job // callers + job) % 5 == 0

    def read_or_write_with(session: Contestant, number: int) -> Operation:
        read, write, clock = point_read_with(session, ROWS, number), insert_with(session), time.perf_counter

        async def ask(job: int) -> None:
            asked = clock()
            if is_write(job):
                await write(job)
                waits["write"].append(clock() - asked)
            else:
                await read(job)
                waits["read"].append(clock() - asked)

        return ask

    with fresh_database(rows=ROWS) as path:

        async def main() -> tuple[Crowd, Sample]:
            async with opened(kind(path), callers) as sessions:
                operations = [read_or_write_with(session, number) for number, session in enumerate(sessions)]
                crowd = Crowd("both", operations)
                return crowd, await run_for(seconds, crowd)

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample, before=ROWS, wrote=is_write)
    sample.waits = {side: percentiles(taken) for side, taken in waits.items() if taken}
    return sample


def acts(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        callers = 20 if options.quick else 100
        yield Cell("find or create", kind.name, callers, partial(find_or_create, kind, callers, options.seconds))


def find_or_create(kind: Callable[..., Contestant], callers: int, seconds: float) -> Sample:
    """Names a second: four tasks ask for the same new one at a time. A name that is there twice was doubled."""
    with fresh_database() as path:

        def ask_with(session: Contestant) -> Operation:
            return lambda job: session.find_or_create(f"name {job // 4}")

        async def main() -> tuple[Crowd, Sample]:
            async with opened(kind(path), callers) as sessions:
                crowd = Crowd("name", [ask_with(session) for session in sessions])
                return crowd, await run_for(seconds, crowd)

        crowd, sample = on_loop(main)
        connection = sqlite3.connect(path)
        found = [name for (name,) in connection.execute("SELECT name FROM entity")]
        connection.close()
        sample.lost = len({f"name {job // 4}" for job in crowd.acknowledged()} - set(found))
        sample.duplicates = len(found) - len(set(found))
    return sample


def reports(options: Options) -> Iterator[Cell]:
    seconds = 0.5 if options.quick else 1.5
    for kind in CONTESTANTS:
        measure = partial(beside_reports, kind, seconds)
        yield Cell("64 quick readers beside 3 reports", kind.name, 64, measure, every=1 if kind is Aiomemdb else 3)


def beside_reports(kind: Callable[..., Contestant], seconds: float) -> Sample:
    """Quick reads a second, beside three callers that each await one report of 250 ms after another."""
    rows = rows_of_a_report()

    async def main(path: str) -> Sample:
        async with opened(kind(path), 64 + 3) as sessions:
            quick = Crowd("quick", [point_read_with(session, ROWS, n) for n, session in enumerate(sessions[:64])])
            slow = Crowd("report", [report_with(session, rows) for session in sessions[64:]])
            return await run_for(seconds, quick, slow)

    return on_fresh_database(main, rows=ROWS)


def report_with(session: Contestant, rows: int) -> Operation:
    return lambda job: session.read(REPORT, (rows,))


def rows_of_a_report() -> int:
    """So many take 250 ms here and now, in a thread of its own."""
    connection = sqlite3.connect(":memory:")
    began = time.perf_counter()
    connection.execute(REPORT, (200_000,)).fetchall()
    took = time.perf_counter() - began
    connection.close()
    return int(200_000 * REPORT_SECONDS / took)


def writers(options: Options) -> Iterator[Cell]:
    seconds = max(options.seconds, 0.2)
    for kind in CONTESTANTS:
        alone = partial(reads, kind, 64, seconds, rows=ROWS)
        yield Cell("64 readers alone", kind.name, 64, alone, every=1 if kind is Aiomemdb else 3)
        measure = partial(beside_writers, kind, seconds)
        yield Cell("64 readers beside 16 writers", kind.name, 64, measure, every=1 if kind is Aiomemdb else 3)


def beside_writers(kind: Callable[..., Contestant], seconds: float) -> Sample:
    """Reads a second, beside sixteen callers that write flat out."""
    with fresh_database(rows=ROWS) as path:

        async def main() -> tuple[Crowd, Sample]:
            async with opened(kind(path), 64 + 16) as sessions:
                reading = Crowd("read", [point_read_with(session, ROWS, n) for n, session in enumerate(sessions[:64])])
                writing = Crowd("write", [insert_with(session) for session in sessions[64:]])
                return writing, await run_for(seconds, reading, writing)

        writing, sample = on_loop(main)
        check_notes(path, writing, sample, before=ROWS)
    return sample


def busy(options: Options) -> Iterator[Cell]:
    for kind in CONTESTANTS:
        measure = partial(on_a_busy_loop, kind, max(options.seconds, 0.3))
        if kind is Aiomemdb:
            yield Cell("20 writes on a busy loop", kind.name, 20, measure, 1)
        else:
            # Some peers take seconds for twenty writes: once is enough.
            yield Cell("20 writes on a busy loop", kind.name, 20, measure, 9, at_most=3 if options.quick else 10)


def on_a_busy_loop(kind: Callable[..., Contestant], seconds: float) -> Sample:
    """Twenty writes at a time, on a loop with iterations of 4 ms: how many of them until the last of them returns?

    The callers count them, as ``gather`` itself needs three more to begin its tasks and to tell that they have ended.
    """
    turns: list[int] = []
    turn = 0

    async def main(path: str) -> Sample:
        async with opened(kind(path), 20) as sessions:

            async def work() -> None:
                nonlocal turn
                while True:
                    end = time.perf_counter() + TURN_SECONDS
                    while time.perf_counter() < end:
                        pass
                    turn += 1
                    await asyncio.sleep(0)

            async def write(session: Contestant) -> int:
                asked = turn
                await session.write(INSERT, (turn, BODY))
                return turn - asked

            working, began = asyncio.create_task(work()), time.perf_counter()
            try:
                while time.perf_counter() - began < seconds:
                    turns.append(max(await asyncio.gather(*map(write, sessions))))
                took = time.perf_counter() - began
            finally:
                working.cancel()
        return Sample(
            rate=len(turns) * 20 / took,
            figures={"turns for 20 writes": statistics.median(turns), "turns at most": max(turns)},
        )

    return on_fresh_database(main)
