"""Loading many texts: how fast, beside how many others, in how much memory. Ratios of one run are what counts.

python bench/loading.py [DOCUMENTS]
"""

from __future__ import annotations

import asyncio
import itertools
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aiomemdb import Document, Memory

FACTS = 9
ROUNDS = 3
TASKS = 100


def documents(count: int, round: int) -> Iterator[Document]:
    for n in range(count):
        facts = [(f"Person {round} {n} {f}", "belongs to", f"Thing {n % 997}") for f in range(FACTS)]
        yield Document(content=f"Document {n} says a little about thing {n % 997}.", facts=facts, key=f"{round} {n}")


def resident() -> float:
    """Megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


async def by_tasks(memory: Memory, some: Iterator[Document]) -> None:
    async def one() -> None:
        for each in some:
            await memory.remember(each.content, each.facts, key=each.key)

    await asyncio.gather(*(one() for _ in range(TASKS)))


async def rates(count: int) -> list[float]:
    """Of remember_many, as parts of that of remember by a hundred tasks, in alternating rounds."""
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for round in range(ROUNDS):
            took = []
            for name in ("many", "tasks"):
                async with Memory.open(Path(folder, f"{name} {round}.db")) as memory:
                    began = time.perf_counter()
                    if name == "many":
                        await memory.remember_many(documents(count, round))
                    else:
                        await by_tasks(memory, documents(count, round))
                    took.append(time.perf_counter() - began)
            found.append(took[1] / took[0])
    return found


# A process that writes single texts until it is told to stop, and prints how long each took.
OTHER = """
import asyncio, sys, time, aiomemdb

async def main():
    async with aiomemdb.Memory.open(sys.argv[1], namespace="other") as memory:
        print("ready", flush=True)
        stop = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        while not stop.done():
            began = time.perf_counter()
            await memory.remember("a single text", [("Ann", "wrote", "it")])
            print(time.perf_counter() - began, flush=True)
            await asyncio.sleep(0.01)

aiomemdb.run(main())
"""


async def waits(count: int) -> tuple[list[float], list[float], list[float]]:
    """How long single writes took: in this process before and meanwhile, and in another one meanwhile."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "memory.db")
        async with Memory.open(path) as memory:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", OTHER, path, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
            )
            assert process.stdout is not None and process.stdin is not None
            await process.stdout.readline()
            alone = [await single(memory, n) for n in range(100)]
            loading = asyncio.create_task(memory.remember_many(documents(count, 0)))
            own: list[float] = []
            for n in itertools.count():
                if loading.done():
                    break
                own.append(await single(memory, n))
            await loading
            out, _ = await process.communicate(b"stop\n")
        return alone, own, [float(line) for line in out.split()]


async def single(memory: Memory, n: int) -> float:
    """How long a single write takes; then a pause."""
    began = time.perf_counter()
    await memory.scoped(namespace="own").remember(f"text {n}", [("Bob", "wrote", "it")])
    took = time.perf_counter() - began
    await asyncio.sleep(0.01)
    return took


def p99(times: list[float]) -> float:
    return statistics.quantiles(times, n=100)[-1] * 1000 if len(times) > 1 else float("nan")


async def main(count: int) -> None:
    print(
        f"{os.cpu_count()} cores, {sys.implementation.name} {sys.version.split()[0]}, {count:,} texts of {FACTS} facts"
    )
    found = await rates(count)
    print(f"remember_many / remember by {TASKS} tasks: {statistics.median(found):.2f} (bar 0.8)")
    alone, own, other = await waits(count)
    print(
        f"single writes meanwhile, p99: this process {p99(own):.0f} ms, another {p99(other):.0f} ms (bar 50; ", end=""
    )
    print(f"{p99(alone):.0f} ms in this process before)")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.db"), Path(folder, "b.db")
        async with Memory.open(source) as memory:
            await memory.remember_many(documents(count // 10, 0))  # what is kept for good is there
            before = resident()
            began = time.perf_counter()
            await memory.remember_many(documents(count, 1))
            loaded, grown = time.perf_counter() - began, resident() - before
            began = time.perf_counter()
            await memory.export(Path(folder, "a.jsonl"))
            exported = time.perf_counter() - began
        async with Memory.open(target) as memory:
            began = time.perf_counter()
            await memory.import_(Path(folder, "a.jsonl"))
            imported = time.perf_counter() - began
            began = time.perf_counter()
            await memory.import_(Path(folder, "a.jsonl"))
            again = time.perf_counter() - began
    print(f"memory grows by {grown:.0f} MB while it loads (bar 100)")
    print(f"as parts of the time to load: export {exported / loaded:.2f}, import {imported / loaded:.2f}, ", end="")
    print(f"the same import again {again / loaded:.2f}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
