"""A memory on a PostgreSQL server, beside the same memory on SQLite.

    python bench/postgres_memory.py [--rounds 3] [--quick] [--json FOLDER] [--data DIR]

It starts a server of its own. DIR holds MuSiQue as its authors publish it (see _questions.py); default:
$AIOMEMDB_EVAL_DATA. Both engines take turns in one run, and each ratio is one of medians.

    fill        all texts with their triples, by remember_many and by fifty tasks that call remember.
    recall      each strategy and kind: how much of the evidence is among the first five, the median of a question's
                time, and how many statements one is in the server's log, BEGIN and COMMIT included.
    processes   four processes write to a namespace each, against one that writes to one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _harness import option_parser, print_context, write_json
from _questions import Collection, read_collections
from recall import KINDS, STRATEGIES, Asked, ask, fill

sys.path.insert(0, str(Path(__file__).parents[1]))

import aiomemdb
from aiomemdb import Document, Memory
from tests.memory.fleet import run_together
from tests.support.postgres import Server, create, drop, execute

#: What each figure must not exceed, or fall below.
BARS = {
    "fill by remember_many, in time": (3.0, "at most"),
    "R@5, points apart": (1.0, "at most"),
    "p50": (4.0, "at most"),
    "statements a question": (15, "at most"),
    "four processes against one": (1.3, "at least"),
}
TASKS = 8  # of each process


def say(name: str, value: float, bar: str | None = None) -> None:
    limit, sense = BARS[bar] if bar is not None else (None, "")
    print(f"{name:60} {value:8.2f}{'' if limit is None else f'   ({sense} {limit:g})'}", flush=True)


# --- fill -------------------------------------------------------------------------------------------------


async def by_many(memory: Memory, collection: Collection) -> None:
    await memory.remember_many(
        Document(content=each.text, facts=each.triples, key=each.key, session=each.session, source=each.source)
        for each in collection.documents
    )


async def filled(target: Path | str, collection: Collection, by: Callable[[Memory, Collection], Any]) -> float:
    async with Memory.open(target) as memory:
        began = time.perf_counter()
        await by(memory, collection)
        return time.perf_counter() - began


async def measure_fill(server: Server, folder: Path, collection: Collection, rounds: int) -> dict[str, float]:
    results = {}
    for name, by in (("remember_many", by_many), ("fifty tasks", fill)):
        taken: dict[str, list[float]] = {"sqlite": [], "postgres": []}
        for number in range(rounds):
            taken["sqlite"].append(await filled(folder / f"{name}{number}.db", collection, by))
            url = create(server.url)
            taken["postgres"].append(await filled(url, collection, by))
            drop(url)
        medians = {engine: statistics.median(times) for engine, times in taken.items()}
        results[name] = medians["postgres"] / medians["sqlite"]
        say(f"fill by {name}, in time", results[name], f"fill by {name}, in time" if by is by_many else None)
    return results


# --- recall -----------------------------------------------------------------------------------------------


async def opened(target: Path | str, collection: Collection) -> Asked:
    memory = await Memory.open(target)
    await by_many(memory, collection)
    keys = {episode.id: episode.key or "" for episode in await memory.episodes(limit=1_000_000)}
    return Asked(memory, collection, keys)


async def measure_recall(server: Server, folder: Path, collection: Collection, rounds: int) -> dict[str, Any]:
    url = create(server.url)
    sqlite, postgres = await opened(folder / "recall.db", collection), await opened(url, collection)
    results: dict[str, Any] = {}
    try:
        for strategy in STRATEGIES:
            for kind, kinds in KINDS.items():
                limit = 20 if kind == "episode" else 80
                times: dict[str, list[float]] = {"sqlite": [], "postgres": []}
                found: dict[str, float] = {}
                for _ in range(rounds):
                    for name, asked in (("sqlite", sqlite), ("postgres", postgres)):
                        figures = await ask([asked], kinds=kinds, strategy=strategy, limit=limit)
                        times[name].append(figures["p50"])
                        found[name] = figures["R@5"]
                ratio = statistics.median(times["postgres"]) / statistics.median(times["sqlite"])
                apart = abs(found["postgres"] - found["sqlite"])
                results[f"{strategy} {kind}"] = {"p50 ratio": ratio, "R@5 apart": apart, **found}
                say(f"recall {strategy} {kind}: p50 against SQLite's", ratio, "p50")
                say(f"recall {strategy} {kind}: R@5 {found['postgres']:.1f}, points apart", apart, "R@5, points apart")
    finally:
        await sqlite.memory.close()
        await postgres.memory.close()
    results["statements"] = await count_statements(server, url, collection)
    drop(url)
    return results


async def count_statements(server: Server, url: str, collection: Collection) -> dict[str, float]:
    """The most of one question, of each strategy and kind."""
    results: dict[str, float] = {}
    some = collection.questions[:20]
    execute(server.url, f"ALTER DATABASE {url.rsplit('/', 1)[1]} SET log_statement = 'all'")
    async with Memory.open(url) as memory:
        await memory.recall(some[0].text)
        for strategy in STRATEGIES:
            for kind, kinds in KINDS.items():
                counts = []
                for question in some:
                    before = len(server.log())
                    await memory.recall(question.text, kinds=kinds, strategy=strategy)  # type: ignore[arg-type]
                    await memory.db.read("SELECT 1")  # behind what ends the question's transaction
                    log = server.log()[before:]
                    counts.append(log.count("LOG:  execute ") + log.count("LOG:  statement: ") - 1)
                results[f"{strategy} {kind}"] = max(counts)
                say(f"statements a question, {strategy} {kind}", max(counts), "statements a question")
    return results


# --- processes --------------------------------------------------------------------------------------------


async def write(meet: Callable[[], None], url: str, namespace: str, notes: int) -> tuple[float, float]:
    """Seconds since the epoch at which it began and ended."""
    async with Memory.open(url, namespace=namespace) as memory:
        left = iter(range(notes))

        async def agent(number: int) -> None:
            for note in left:
                text = f"note {note} of {namespace}"
                await memory.remember(text, [(text, "is by", f"agent {number}"), (text, "is in", namespace)], key=text)

        await memory.remember("the first")
        meet()
        began = time.time()
        async with asyncio.TaskGroup() as team:
            for number in range(TASKS):
                team.create_task(agent(number))
        return began, time.time()


def rate(server: Server, processes: int, notes: int) -> float:
    url = create(server.url)
    aiomemdb.run(made(url))
    times = run_together(write, [(url, f"namespace {number}", notes) for number in range(processes)])
    drop(url)
    return processes * notes / (max(end for _, end in times) - min(begin for begin, _ in times))


async def made(url: str) -> None:
    async with Memory.open(url):
        pass


def measure_processes(server: Server, notes: int, rounds: int) -> float:
    ones, fours = [], []
    for _ in range(rounds):
        ones.append(rate(server, 1, notes))
        fours.append(rate(server, 4, notes))
    ratio = statistics.median(fours) / statistics.median(ones)
    say(
        f"four processes against one ({statistics.median(ones):,.0f} notes a second)",
        ratio,
        "four processes against one",
    )
    return ratio


def part(collection: Collection, documents: int) -> Collection:
    """Some of the texts, and the questions that these answer."""
    kept = collection.documents[:documents]
    keys = {each.key for each in kept}
    return Collection(collection.name, collection.part, kept, [q for q in collection.questions if q.evidence <= keys])


def main() -> int:
    parser = option_parser(__doc__, quick="one round of a part of the texts")
    parser.set_defaults(rounds=3)
    parser.add_argument("--data", type=Path, default=os.environ.get("AIOMEMDB_EVAL_DATA"), metavar="DIR")
    options: argparse.Namespace = parser.parse_args()
    rounds = 1 if options.quick else options.rounds
    print_context(f"{rounds}, medians")
    results: dict[str, Any] = {}
    with Server.started() as server, tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as temporary:
        print(f"server    {execute(server.url, 'SHOW server_version')[0][0]}\n")
        results["processes"] = measure_processes(server, 60 if options.quick else 400, rounds)
        collections = read_collections(Path(options.data)) if options.data else []
        musique = [each for each in collections if each.name.startswith("musique") and "mentions" not in each.name]
        if not musique:
            print("skipped: no MuSiQue in --data DIR")
        for whole in musique:
            collection = part(whole, 150) if options.quick else whole
            print(f"{whole.name}: {len(collection.documents):,} texts, {len(collection.questions)} questions")
            folder = Path(temporary)
            results["fill"] = aiomemdb.run(measure_fill(server, folder, collection, rounds))
            results["recall"] = aiomemdb.run(measure_recall(server, folder, collection, rounds))
    if options.json:
        write_json(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
