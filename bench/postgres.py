"""aiomemdb on a PostgreSQL server, against the same work done by a driver.

    python bench/postgres.py [--rounds 9] [--quick] [--json FOLDER] [--tasks 1000]

It starts a server of its own, or uses that of AIOMEMDB_TEST_POSTGRES. All contestants take turns in one run, and each
ratio is one of medians.

    storm     so many tasks, each awaits five single inserts, one after another. "floor" is what can't be undercut: the
              same rows by asyncpg's fetchmany in one transaction, and as many bare futures, resolved in turns.
              "pool" is what one writes by hand: ten pooled connections of asyncpg's, a commit for each insert.
    lone      one caller, one insert after another, against psycopg's own BEGIN, INSERT, COMMIT.
    failing   one batch of 1,000 jobs, of which one breaks a constraint, against one in which none does.
    reads     as many tasks as in the storm, each awaits five point reads, against ten pooled connections of asyncpg's.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import psycopg
from _harness import alternate, on_loop, option_parser, print_context, write_json

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiomemdb
from tests.support.postgres import RUNNING, Server, create, drop, execute

INSERTS = 5
INSERT = "INSERT INTO note (agent, body) VALUES ($1, $2)"
BODY = "x" * 100

#: What each ratio must not fall below, or exceed: see the head of this file.
BARS = {
    "storm against the floor's throughput": (0.25, "at least"),
    "storm against ten pooled connections": (5.0, "at least"),
    "lone against the driver's own commits, in time": (1.3, "at most"),
    "a batch with one failing job against a clean one, in time": (4.0, "at most"),
}


class Work:
    """The contestants, on one database. Each returns the seconds that it took."""

    def __init__(self, url: str, tasks: int) -> None:
        self.url = url
        self.tasks = tasks
        self.rows = [(number, BODY) for number in range(tasks * INSERTS)]

    def measure(self, contestant: Callable[[], Awaitable[float]], *, rows: int | None = None) -> Callable[[], float]:
        def run() -> float:
            execute(self.url, "TRUNCATE note")
            took = on_loop(contestant)
            if rows is not None:
                found = execute(self.url, "SELECT count(*) FROM note")
                assert found == [(rows,)], f"{found}: what was acknowledged is there, otherwise no figure is worth much"
            return took

        return run

    async def storm(self) -> float:
        async with aiomemdb.connect(self.url) as db:

            async def agent(number: int) -> None:
                for _ in range(INSERTS):
                    await db.write(INSERT, (number, BODY))

            await db.write("UPDATE note SET agent = agent WHERE false")
            began = time.perf_counter()
            await asyncio.gather(*(agent(number) for number in range(self.tasks)))
            return time.perf_counter() - began

    async def floor(self) -> float:
        connection = await asyncpg.connect(self.url)
        await connection.fetchval("SELECT 1")
        loop = asyncio.get_running_loop()
        began = time.perf_counter()
        async with connection.transaction():
            await connection.fetchmany(INSERT, self.rows)

        async def bare() -> None:
            for _ in range(INSERTS):
                future = loop.create_future()
                loop.call_soon(future.set_result, None)
                await future

        await asyncio.gather(*(bare() for _ in range(self.tasks)))
        took = time.perf_counter() - began
        await connection.close()
        return took

    async def pool(self) -> float:
        async with asyncpg.create_pool(self.url, min_size=10, max_size=10) as pool:

            async def agent(number: int) -> None:
                for _ in range(INSERTS):
                    async with pool.acquire() as connection:
                        await connection.execute(INSERT, number, BODY)

            began = time.perf_counter()
            await asyncio.gather(*(agent(number) for number in range(self.tasks)))
            return time.perf_counter() - began

    async def lone(self) -> float:
        async with aiomemdb.connect(self.url) as db:
            for _ in range(10):
                await db.write("UPDATE note SET agent = agent WHERE false")
            began = time.perf_counter()
            for number in range(self.tasks // 2):
                await db.write(INSERT, (number, BODY))
            return time.perf_counter() - began

    async def lone_by_hand(self) -> float:
        async with await psycopg.AsyncConnection.connect(self.url, autocommit=True, prepare_threshold=2) as connection:
            cursor = psycopg.AsyncRawCursor(connection)
            began = time.perf_counter()
            for number in range(self.tasks // 2):
                await connection.execute("BEGIN")
                await cursor.execute(INSERT, (number, BODY))
                await connection.execute("COMMIT")
            return time.perf_counter() - began

    async def _batch(self, culprit: int | None) -> float:
        async with aiomemdb.connect(self.url) as db:
            for _ in range(3):
                await db.write(INSERT, (-1, BODY))
            await db.write("DELETE FROM note")
            began = time.perf_counter()
            jobs = [db.submit(INSERT, (number, "" if number == culprit else BODY)) for number in range(1000)]
            results = await asyncio.gather(*jobs, return_exceptions=True)
            took = time.perf_counter() - began
            assert sum(isinstance(result, psycopg.errors.CheckViolation) for result in results) == (culprit is not None)
            return took

    async def clean(self) -> float:
        return await self._batch(None)

    async def failing(self) -> float:
        return await self._batch(500)

    async def reads(self) -> float:
        async with aiomemdb.connect(self.url, readers=10) as db:

            async def agent(number: int) -> None:
                for _ in range(INSERTS):
                    await db.read_one("SELECT $1::int AS agent", (number,))

            began = time.perf_counter()
            await asyncio.gather(*(agent(number) for number in range(self.tasks)))
            return time.perf_counter() - began

    async def reads_by_pool(self) -> float:
        async with asyncpg.create_pool(self.url, min_size=10, max_size=10) as pool:

            async def agent(number: int) -> None:
                for _ in range(INSERTS):
                    async with pool.acquire() as connection:
                        await connection.fetchrow("SELECT $1::int AS agent", number)

            began = time.perf_counter()
            await asyncio.gather(*(agent(number) for number in range(self.tasks)))
            return time.perf_counter() - began


def measure(url: str, tasks: int, rounds: int) -> dict[str, float]:
    """The medians, in seconds."""
    execute(
        url,
        "CREATE TABLE note (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, agent int, "
        "body text CHECK (body <> ''))",
    )
    work = Work(url, tasks)
    rows, lone = tasks * INSERTS, tasks // 2
    taken = alternate(
        {
            "storm": work.measure(work.storm, rows=rows),
            "storm, floor": work.measure(work.floor, rows=rows),
            "storm, ten pooled": work.measure(work.pool, rows=rows),
            "lone": work.measure(work.lone, rows=lone),
            "lone, by hand": work.measure(work.lone_by_hand, rows=lone),
            "clean": work.measure(work.clean, rows=1000),
            "failing": work.measure(work.failing, rows=999),
            "reads": work.measure(work.reads),
            "reads, ten pooled": work.measure(work.reads_by_pool),
        },
        rounds,
    )
    return {name: statistics.median(times) for name, times in taken.items()}


def ratios(medians: dict[str, float]) -> dict[str, float]:
    return {
        "storm against the floor's throughput": medians["storm, floor"] / medians["storm"],
        "storm against ten pooled connections": medians["storm, ten pooled"] / medians["storm"],
        "lone against the driver's own commits, in time": medians["lone"] / medians["lone, by hand"],
        "a batch with one failing job against a clean one, in time": medians["failing"] / medians["clean"],
        "reads against ten pooled connections": medians["reads, ten pooled"] / medians["reads"],
    }


def main() -> None:
    parser = option_parser(__doc__, quick="one round of a fifth of the tasks")
    parser.add_argument("--tasks", type=int, default=1000)
    options = parser.parse_args()
    rounds, tasks = (1, options.tasks // 5) if options.quick else (options.rounds, options.tasks)
    print_context(f"{rounds}, medians; {tasks} tasks of {INSERTS}")

    def run(server_url: str) -> None:
        url = create(server_url)
        try:
            print(f"server    {execute(url, 'SHOW server_version')[0][0]}\n")
            medians = measure(url, tasks, rounds)
        finally:
            drop(url)
        for name, seconds in medians.items():
            print(f"{name:20} {seconds * 1000:9.1f} ms")
        print()
        for name, ratio in ratios(medians).items():
            bar, sense = BARS.get(name, (None, ""))
            print(f"{name:60} {ratio:6.2f}{'' if bar is None else f'   ({sense} {bar:g})'}")
        if options.json is not None:
            write_json(options.json, medians)

    if RUNNING is not None:
        run(RUNNING)
    else:
        with Server.started() as server:
            run(server.url)


if __name__ == "__main__":
    main()
