"""Which calls wait for which: agents that remember beside others that ask, long documents, a thread that computes.

    python bench/beside.py --data DIR [--facts 100000] [--seconds 5] [--rounds 5] [--keep FOLDER] [--quick]

=================================================================  =========================================
12 agents remember texts of nine facts, beside 1 and 4 that ask    at least 0.75 and 0.5 of their own rate
the questions of the 4: p50                                        at most 60 ms at 100,000 facts
one fact after another, beside ``remember`` of 700-fact documents  p99 at most 50 ms, where the documents are
                                                                   of this process and of another one
``db.read`` of 500 rows beside a thread that computes              compared with the same rows as one JSON text,
                                                                   both with another switch interval too
=================================================================  =========================================

In turn, on one file, that is made first (--keep: there, and used again). A busy machine makes all of these worse: they
are for a quiet one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from _documents import Document, documents_in, joined
from _harness import option_parser, print_context, write_json
from _questions import Collection, read_collections
from recall_growth import file_of, more_like

import aiomemdb
from aiomemdb import Memory

AGENTS = 12
ASKERS = (0, 1, 4)
LONG = 700
ROWS = 500
THREAD = "beside a thread that computes"
# What the reads are beside, and the interval at which threads ask for Python's lock, in s.
READS = (("idle", False, None), (THREAD, True, None), (f"{THREAD}, switching each 0.5 ms", True, 0.0005))


async def remember_and_ask(
    memory: Memory, collection: Collection, askers: int, seconds: float
) -> tuple[float, list[float]]:
    """Facts remembered a second, and how long each question took."""
    texts = more_like(collection.documents, f"beside {time.time_ns()}")
    questions = [question.text for question in collection.questions]
    until = time.perf_counter() + seconds
    facts, took = 0, list[float]()

    async def agent() -> None:
        nonlocal facts
        while time.perf_counter() < until:
            text = next(texts)
            await memory.remember(text.text, text.triples)
            facts += len(text.triples)

    async def ask(number: int) -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await memory.recall(questions[number % len(questions)])
            took.append(time.perf_counter() - began)
            number += 1

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(AGENTS):
            group.create_task(agent())
        for number in range(askers):
            group.create_task(ask(number * 7))
    return facts / (time.perf_counter() - began), took


# Another process that remembers long documents until it is told to stop.
_OTHER = """
import asyncio, json, sys
import aiomemdb

async def main():
    documents = json.load(open(sys.argv[2]))
    async with aiomemdb.Memory.open(sys.argv[1], namespace="other") as memory:
        stop = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        print("ready", flush=True)
        number = 0
        while not stop.done():
            text, triples = documents[number % len(documents)]
            await memory.remember(f"{number} {text}", [(f"{s} {number}", p, f"{o} {number}") for s, p, o in triples])
            number += 1

aiomemdb.run(main())
"""


@asynccontextmanager
async def long_documents(memory: Memory, path: Path, long: Sequence[Document], where: str) -> AsyncIterator[None]:
    """One after another: of no process, of this one or of another."""
    if where == "alone":
        yield
    elif where == "this process":

        async def remember() -> None:
            other = memory.scoped(namespace=f"long {time.time_ns()}")
            for number in range(sys.maxsize):
                each = long[number % len(long)]
                await other.remember(
                    f"{number} {each.text}", [(f"{s} {number}", p, f"{o} {number}") for s, p, o in each.triples]
                )

        task = asyncio.create_task(remember())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
    else:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump([(each.text, each.triples) for each in long], file)
            file.flush()
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _OTHER, path, file.name, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            assert process.stdout is not None
            await process.stdout.readline()
            try:
                yield
            finally:
                await process.communicate(b"stop\n")


async def single_writes(memory: Memory, seconds: float) -> list[float]:
    own = memory.scoped(namespace="single")
    took, until, number = list[float](), time.perf_counter() + seconds, time.time_ns()
    while time.perf_counter() < until:
        began = time.perf_counter()
        await own.add_fact(f"speaker {number % 50}", "says", value=number)
        took.append(time.perf_counter() - began)
        number += 1
        await asyncio.sleep(0.002)
    return took


@contextmanager
def computing(wanted: bool) -> Any:
    stop = threading.Event()

    def compute() -> None:
        number = 0
        while not stop.is_set():
            number += 1

    thread = threading.Thread(target=compute)
    if wanted:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        if wanted:
            thread.join()


_ROWS = f"SELECT id, subject, predicate, text FROM fact ORDER BY id LIMIT {ROWS}"
_TEXT = f"SELECT json_group_array(json_array(id, subject, predicate, text)) FROM ({_ROWS})"


async def reads(memory: Memory, busy: bool, count: int) -> tuple[float, float]:
    """Median ms of the rows one by one, and as one JSON text."""
    rows, texts = list[float](), list[float]()
    with computing(busy):
        for _ in range(count):
            began = time.perf_counter()
            await memory.db.read(_ROWS)
            rows.append(time.perf_counter() - began)
            began = time.perf_counter()
            json.loads(await memory.db.read_value(_TEXT))
            texts.append(time.perf_counter() - began)
    return 1e3 * statistics.median(rows), 1e3 * statistics.median(texts)


def p99(took: Sequence[float]) -> float:
    return 1e3 * (statistics.quantiles(took, n=100)[98] if len(took) > 1 else max(took, default=float("nan")))


async def measure(options: argparse.Namespace, collection: Collection, folder: Path) -> dict[str, float]:
    results: dict[str, float] = {}
    made = await file_of(folder, collection, options.facts, False)
    path = made.with_suffix(".beside.db")
    shutil.copyfile(made, path)
    try:
        async with Memory.open(path) as memory:
            for question in collection.questions[:10]:
                await memory.recall(question.text)
            await remember_and_ask(memory, collection, 0, 0.5)
            rates: dict[int, list[float]] = {askers: [] for askers in ASKERS}
            asked: dict[int, list[float]] = {askers: [] for askers in ASKERS}
            for _ in range(options.rounds):
                for askers in ASKERS:
                    rate, took = await remember_and_ask(memory, collection, askers, options.seconds)
                    rates[askers].append(rate)
                    asked[askers] += took
            alone = statistics.median(rates[0])
            print(f"{AGENTS} agents remember {alone:,.0f} facts/s, at {options.facts:,} facts and more")
            for askers, bar in ((1, 0.75), (4, 0.5)):
                ratio = statistics.median(each / own for each, own in zip(rates[askers], rates[0], strict=True))
                results[f"beside {askers}"] = ratio
                results[f"beside {askers}, p50"] = p50 = 1e3 * statistics.median(asked[askers])
                print(
                    f"  beside {askers} that ask: {ratio:.2f} of it (bar {bar}); {len(asked[askers])} questions, "
                    f"p50 {p50:.0f} ms" + (" (bar 60)" if askers == 4 else ""),
                    flush=True,
                )
            long = joined(documents_in(options.data), LONG)
            for where in ("alone", "this process", "another process"):
                async with long_documents(memory, path, long, where):
                    took = await single_writes(memory, options.rounds * options.seconds)
                results[f"long, {where}"] = p99(took)
                print(
                    f"one fact after another, long documents of {where}: {len(took)}, p50 "
                    f"{1e3 * statistics.median(took):.1f} ms, p99 {p99(took):.0f} ms (bar 50)",
                    flush=True,
                )
            interval = sys.getswitchinterval()
            for name, busy, switch in READS:
                sys.setswitchinterval(switch or interval)
                rows, text = await reads(memory, busy, 5 * options.rounds)
                sys.setswitchinterval(interval)
                results[f"read, {name}"], results[f"read as JSON, {name}"] = rows, text
                print(f"{ROWS} rows, {name}: {rows:.1f} ms, as one JSON text {text:.1f} ms", flush=True)
    finally:
        for left in path.parent.glob(f"{path.name}*"):
            left.unlink()
    return results


def main() -> int:
    parser = option_parser(__doc__, quick="10,000 facts, a second each, two rounds")
    parser.set_defaults(rounds=5)
    parser.add_argument("--data", type=Path, default=os.environ.get("AIOMEMDB_EVAL_DATA"), metavar="DIR")
    parser.add_argument("--facts", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    if options.quick:
        options.facts, options.seconds, options.rounds = 10_000, 1.0, 2
    collections = read_collections(Path(options.data)) if options.data else []
    with_facts = [collection for collection in collections if any(each.triples for each in collection.documents)]
    if not with_facts:
        print("skipped: no evaluation data")
        return 0
    options.data = Path(options.data)
    print_context(f"{options.rounds} of {options.seconds} s, in turn")
    with tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = aiomemdb.run(measure(options, with_facts[0], folder))
    if options.json:
        write_json(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
