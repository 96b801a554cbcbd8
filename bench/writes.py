"""Writes against the physical floor and against aiosqlite: one run, contestants in turn, medians and ratios.

    python bench/writes.py [--rounds 9] [--quick] [--json FOLDER]

The floor of N awaited writes is the time of plain sqlite3 running the same N statements in one transaction, plus the
time of N bare asyncio futures resolved in turns: nothing that keeps its promises can be faster than about that.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import aiosqlite
from _harness import (
    BODY,
    INSERT,
    SCHEMA,
    alternate,
    check_count,
    fresh_folder,
    option_parser,
    pinned,
    plain,
    print_context,
    write_json,
)

import aiomemdb

POINT_READ = "SELECT body FROM note WHERE id = ?"
ROWS_TO_READ = 10_000
SLOWER = "x slower than aiomemdb"


@contextmanager
def fresh_database(*, rows: int = 0) -> Iterator[str]:
    """The path of a new WAL database with the table, and with ``rows`` rows."""
    with fresh_folder() as path:
        connection = plain(path)
        connection.execute(SCHEMA)
        connection.execute("BEGIN")
        connection.executemany(INSERT, ((n % 7, BODY) for n in range(rows)))
        connection.execute("COMMIT")
        connection.close()
        yield path


def on_loop(main: Callable[[], Awaitable[float]]) -> float:
    async def run() -> float:
        return await main()

    return aiomemdb.run(run())


# What is measured; each gives seconds a write (or read).


def plain_one_transaction(count: int) -> float:
    with fresh_database() as path:
        connection = plain(path)
        began = time.perf_counter()
        connection.execute("BEGIN IMMEDIATE")
        for n in range(count):
            connection.execute(INSERT, (n, BODY))
        connection.execute("COMMIT")
        took = time.perf_counter() - began
        connection.close()
    return took / count


def plain_commit_each_full(count: int) -> float:
    with fresh_database() as path:
        connection = plain(path, "FULL")
        began = time.perf_counter()
        for n in range(count):
            connection.execute(INSERT, (n, BODY))
        took = time.perf_counter() - began
        connection.close()
    return took / count


def bare_futures(tasks: int, each: int) -> float:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        waiting: list[asyncio.Future[int]] = []

        async def caller() -> None:
            for _ in range(each):
                future = loop.create_future()
                waiting.append(future)
                await future

        began = time.perf_counter()
        callers = [loop.create_task(caller()) for _ in range(tasks)]
        resolved = 0
        while resolved < tasks * each:
            await asyncio.sleep(0)
            turn = waiting[:]
            waiting.clear()
            for future in turn:
                future.set_result(1)
            resolved += len(turn)
        await asyncio.gather(*callers)
        return (time.perf_counter() - began) / (tasks * each)

    return on_loop(main)


def storm(tasks: int, each: int, durability: str = "normal") -> float:
    """So many tasks, each awaiting so many single inserts."""
    with fresh_database() as path:

        async def main() -> float:
            async with aiomemdb.connect(path, durability=durability) as db:  # type: ignore[arg-type]

                async def agent(number: int) -> None:
                    for _ in range(each):
                        await db.write(INSERT, (number, BODY))

                began = time.perf_counter()
                await asyncio.gather(*[asyncio.create_task(agent(n)) for n in range(tasks)])
                return (time.perf_counter() - began) / (tasks * each)

        took = on_loop(main)
        check_count(path, tasks * each)
    return took


def shared_aiosqlite(tasks: int, each: int, synchronous: str) -> float:
    """One aiosqlite connection for all tasks, a commit for each write.

    In autocommit: with execute() and then commit(), tasks that share a connection commit each other's halves.
    """
    with fresh_database() as path:

        async def main() -> float:
            async with aiosqlite.connect(path, isolation_level=None) as db:
                await db.execute(f"PRAGMA synchronous={synchronous}")

                async def agent(number: int) -> None:
                    for _ in range(each):
                        await db.execute(INSERT, (number, BODY))

                began = time.perf_counter()
                await asyncio.gather(*[asyncio.create_task(agent(n)) for n in range(tasks)])
                return (time.perf_counter() - began) / (tasks * each)

        took = on_loop(main)
        check_count(path, tasks * each)
    return took


def sequential_writes(count: int) -> float:
    with fresh_database() as path:

        async def main() -> float:
            async with aiomemdb.connect(path) as db:
                began = time.perf_counter()
                for n in range(count):
                    await db.write(INSERT, (n, BODY))
                return (time.perf_counter() - began) / count

        return on_loop(main)


def sequential_writes_aiosqlite(count: int) -> float:
    with fresh_database() as path:

        async def main() -> float:
            async with aiosqlite.connect(path, isolation_level=None) as db:
                await db.execute("PRAGMA synchronous=NORMAL")
                began = time.perf_counter()
                for n in range(count):
                    await db.execute(INSERT, (n, BODY))
                return (time.perf_counter() - began) / count

        return on_loop(main)


def sequential_reads(count: int) -> float:
    with fresh_database(rows=ROWS_TO_READ) as path:

        async def main() -> float:
            async with aiomemdb.connect(path) as db:
                began = time.perf_counter()
                for n in range(count):
                    await db.read(POINT_READ, (n % ROWS_TO_READ + 1,))
                return (time.perf_counter() - began) / count

        return on_loop(main)


def sequential_reads_aiosqlite(count: int) -> float:
    with fresh_database(rows=ROWS_TO_READ) as path:

        async def main() -> float:
            async with aiosqlite.connect(path) as db:
                began = time.perf_counter()
                for n in range(count):
                    await db.execute_fetchall(POINT_READ, (n % ROWS_TO_READ + 1,))
                return (time.perf_counter() - began) / count

        return on_loop(main)


def concurrent_reads(tasks: int, each: int) -> float:
    with fresh_database(rows=ROWS_TO_READ) as path:

        async def main() -> float:
            async with aiomemdb.connect(path) as db:

                async def agent(number: int) -> None:
                    for n in range(each):
                        await db.read(POINT_READ, ((number * each + n) % ROWS_TO_READ + 1,))

                began = time.perf_counter()
                await asyncio.gather(*[asyncio.create_task(agent(n)) for n in range(tasks)])
                return (time.perf_counter() - began) / (tasks * each)

        return on_loop(main)


def plain_reads(count: int) -> float:
    with fresh_database(rows=ROWS_TO_READ) as path:
        connection = plain(path)
        began = time.perf_counter()
        for n in range(count):
            connection.execute(POINT_READ, (n % ROWS_TO_READ + 1,)).fetchall()
        took = time.perf_counter() - began
        connection.close()
    return took / count


def disk_sync(count: int = 50) -> float:
    """The disk's fdatasync of a 4 KiB append."""
    with tempfile.NamedTemporaryFile(prefix="aiomemdb-bench-") as file:
        page = b"\0" * 4096
        began = time.perf_counter()
        for _ in range(count):
            os.write(file.fileno(), page)
            os.fdatasync(file.fileno())
        return (time.perf_counter() - began) / count


def main() -> None:
    options = option_parser(__doc__, quick="a tenth of the work, three rounds: does it run?").parse_args()
    rounds, scale = (3, 10) if options.quick else (options.rounds, 1)

    tasks, each, alone = 1000, 20 // min(scale, 4), 8000 // scale
    contestants: dict[str, Callable[[], float]] = {
        "plain": lambda: plain_one_transaction(tasks * each),
        "futures": lambda: bare_futures(tasks, each),
        "storm": lambda: storm(tasks, each),
        "storm_full": lambda: storm(tasks, each, "full"),
        # FULL is what a connection has unless somebody sets another.
        "shared_aiosqlite_full": lambda: shared_aiosqlite(tasks, 2, "FULL"),
        "shared_aiosqlite_normal": lambda: shared_aiosqlite(tasks, 4, "NORMAL"),
        "plain_full": lambda: plain_commit_each_full(200 // scale),
        "disk_sync": disk_sync,
        "write": lambda: sequential_writes(alone),
        "write_aiosqlite": lambda: sequential_writes_aiosqlite(alone),
        "read": lambda: sequential_reads(alone),
        "read_aiosqlite": lambda: sequential_reads_aiosqlite(alone),
        "reads": lambda: concurrent_reads(tasks, each),
        "plain_reads": lambda: plain_reads(tasks * each),
    }
    if hasattr(os, "sched_setaffinity"):
        for name in ("write", "write_aiosqlite", "read", "read_aiosqlite"):
            contestants[f"{name}_pinned"] = pinned(contestants[name])

    median = {name: statistics.median(seconds) for name, seconds in alternate(contestants, rounds).items()}
    report(median, tasks, each, rounds)
    if options.json:
        write_json(options.json, median)


def report(median: dict[str, float], tasks: int, each: int, rounds: int) -> None:
    us = {name: f"{value * 1e6:.2f} us" for name, value in median.items()}
    floor = median["plain"] + median["futures"]
    print_context(f"{rounds}, medians; the disk's fdatasync takes {us['disk_sync']}")

    print(f"{tasks} tasks, each awaiting {each} single inserts")
    print(f"  floor: plain sqlite3 {us['plain']} + bare futures {us['futures']} = {floor * 1e6:.2f} us a write")
    row("aiomemdb", us["storm"], floor / median["storm"], "x the floor's throughput", "0.75 or more")
    peer = "one aiosqlite connection, a commit each"
    row(peer, us["shared_aiosqlite_full"], median["shared_aiosqlite_full"] / median["storm"], SLOWER, "40 or more")
    row(
        "  the same, synchronous=NORMAL as ours",
        us["shared_aiosqlite_normal"],
        median["shared_aiosqlite_normal"] / median["storm"],
        SLOWER,
    )
    print("the same at durability=full")
    row("aiomemdb", us["storm_full"], median["storm"] / median["storm_full"], "x its rate at normal", "0.85 or more")
    row(peer, us["shared_aiosqlite_full"], median["shared_aiosqlite_full"] / median["storm_full"], SLOWER)
    row(
        "plain sqlite3, a commit each",
        us["plain_full"],
        median["plain_full"] / median["storm_full"],
        SLOWER,
        "30 or more",
    )
    for verb, peer, bars in (("write", "autocommit execute", (1.25, 1.5)), ("read", "execute_fetchall", (1.15, 1.15))):
        print(f"one caller, one {'write' if verb == 'write' else 'point read'} after another")
        for suffix, where, bar in (("_pinned", "one core", bars[0]), ("", "unpinned", bars[1])):
            if verb + suffix not in median:
                continue
            ratio = median[verb + suffix] / median[f"{verb}_aiosqlite{suffix}"]
            peer_time = us[f"{verb}_aiosqlite{suffix}"]
            row(f"aiomemdb, {where}", us[verb + suffix], ratio, f"x aiosqlite's {peer} ({peer_time})", f"{bar} or less")
    print(f"{tasks} tasks of point reads")
    row("aiomemdb", us["reads"], median["plain_reads"] / median["reads"], "x plain sqlite3's rate", "0.4 or more")


def row(what: str, time_each: str, ratio: float, unit: str, bar: str = "") -> None:
    print(f"  {what:40} {time_each:>12}   {ratio:6.2f} {unit}{f' (the bar: {bar})' if bar else ''}")


if __name__ == "__main__":
    main()
