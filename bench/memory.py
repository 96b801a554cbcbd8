"""The memory graph: known names, new names, whole documents; beside plain sqlite3, and beside membox's algorithm.

    python bench/memory.py [--rounds 5] [--quick] [--json FOLDER] [--data DIR] [--entities 100000]

Names are asked for by 100 tasks at once. membox (see _membox.py) is synchronous: the same tasks ask it through 16
threads; or 16 threads alone do, without an event loop, which is the best that it can have. With an embedder both have
the packaged one, and a file of so many entities.

A document is remembered with its facts, by 100 tasks at once. Its measure is plain sqlite3 that inserts the same rows,
one by one and without a look at what is there, at 100 documents a commit. Long documents are several of them joined, of
700 facts and more, one a commit. The documents, real ones with the triples that a language model drew from them, are in
DIR (default: $AIOMEMDB_EVAL_DATA), as openie_musique_train_gpt-3.5-turbo-1106_1890.json of the HippoRAG project;
without them that part is skipped.

At last, what a slow embedder costs those who don't need it: tasks state facts by a memory without one, while others
ask for new names by a memory on the same database with an embedder that takes a second; and while none does.
"""

from __future__ import annotations

import asyncio
import os
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from _documents import DOCUMENTS, DOCUMENTS_A_COMMIT, Document, check, documents_in, joined, replayed, rows_of
from _harness import alternate, fresh_folder, option_parser, print_context, write_json
from _membox import Membox

import aiomemdb
from aiomemdb import embedders

TASKS = 100
THREADS = 16
WRITERS = 16
# Facts of a long document, at least.
LONG = 700


@dataclass(frozen=True)
class Work:
    """How much of each is done in one round."""

    known: int
    new: int
    embedded: int
    embedded_membox: int
    documents: int
    facts: int


FULL = Work(known=40_000, new=20_000, embedded=1_000, embedded_membox=2, documents=1_000, facts=20_000)
QUICK = Work(known=4_000, new=2_000, embedded=100, embedded_membox=2, documents=100, facts=2_000)


# The input


def new_names(seed: str) -> Iterator[str]:
    """Names of two made-up words, without end: no two are the same, and few are near."""
    chance, seen = random.Random(seed), set[str]()
    while True:
        name = " ".join("".join(chance.choices(SYLLABLES, k=chance.randint(2, 4))).capitalize() for _ in range(2))
        if name not in seen:
            seen.add(name)
            yield name


SYLLABLES = [f"{first}{vowel}{last}" for first in "bdfgklmnprstvz" for vowel in "aeiou" for last in ("", "l", "n", "r")]


# Names; each measure returns names a second


def on_loop(main: Callable[[], Awaitable[float]]) -> float:
    async def run() -> float:
        return await main()

    return aiomemdb.run(run())


async def by_tasks(names: Sequence[str], memory: aiomemdb.Memory) -> float:
    async def agent(own: Sequence[str]) -> None:
        for name in own:
            await memory.find_or_create_entity(name)

    began = time.perf_counter()
    await asyncio.gather(*[asyncio.create_task(agent(names[number::TASKS])) for number in range(TASKS)])
    return len(names) / (time.perf_counter() - began)


def by_threads(names: Sequence[str], membox: Membox) -> float:
    threads = min(THREADS, len(names))

    def agent(own: Sequence[str]) -> None:
        for name in own:
            membox.find_or_create(name)
        membox.close()

    with ThreadPoolExecutor(threads) as pool:
        began = time.perf_counter()
        for done in [pool.submit(agent, names[number::threads]) for number in range(threads)]:
            done.result()
        return len(names) / (time.perf_counter() - began)


def by_tasks_in_threads(names: Sequence[str], membox: Membox) -> float:
    async def main() -> float:
        loop = asyncio.get_running_loop()

        async def agent(own: Sequence[str]) -> None:
            for name in own:
                await loop.run_in_executor(pool, membox.find_or_create, name)

        began = time.perf_counter()
        await asyncio.gather(*[asyncio.create_task(agent(names[number::TASKS])) for number in range(TASKS)])
        return len(names) / (time.perf_counter() - began)

    with ThreadPoolExecutor(THREADS) as pool:
        return on_loop(main)


def in_file(path: str, names: Sequence[str], embedder: embedders.Embedder | None = None) -> float:
    """Names in a file that is there already; its vectors have been read before the clock starts."""

    async def main() -> float:
        async with aiomemdb.Memory.open(path, embedder=embedder) as memory:
            if embedder is not None:
                await memory.find_or_create_entity(f"warm {names[0]}")
            return await by_tasks(names, memory)

    return on_loop(main)


def in_new_file(names: Sequence[str]) -> float:
    with fresh_folder() as path:
        rate = in_file(path, names)
        check(path, "entity", len(names))
    return rate


def in_new_membox(ask: Callable[[Sequence[str], Membox], float], names: Sequence[str]) -> float:
    with fresh_folder() as path:
        membox = Membox(path)
        membox.create()
        rate = ask(names, membox)
        membox.close()
        check(path, "entity", len(names))
    return rate


# Documents; each measure returns documents a second


def remembered(documents: Sequence[Document]) -> float:
    with fresh_folder() as path:

        async def main() -> float:
            async with aiomemdb.Memory.open(path) as memory:

                async def agent(own: Sequence[Document]) -> None:
                    for document in own:
                        await memory.remember(document.text, document.triples)

                began = time.perf_counter()
                await asyncio.gather(*[asyncio.create_task(agent(documents[number::TASKS])) for number in range(TASKS)])
                return len(documents) / (time.perf_counter() - began)

        rate = on_loop(main)
        check(path, "episode", len(documents))
    return rate


# Beside a slow embedder; returns the 99th percentile of the seconds that stating a fact took


class SlowEmbedder:
    model = "slow"
    dim = 8

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        await asyncio.sleep(1.0)
        return [[1.0] * self.dim] * len(texts)


def stated(count: int, *, beside: bool) -> float:
    seconds: list[float] = []

    async def state(memory: aiomemdb.Memory, own: Iterable[int]) -> None:
        for number in own:
            began = time.perf_counter()
            await memory.add_fact(f"speaker {number % WRITERS}", "says", value=number)
            seconds.append(time.perf_counter() - began)

    async def ask(memory: aiomemdb.Memory, names: Iterable[str]) -> None:
        for name in names:
            await memory.find_or_create_entity(name)

    async def main() -> float:
        async with (
            aiomemdb.connect(":memory:") as db,
            aiomemdb.Memory.open(db) as memory,
            aiomemdb.Memory.open(db, namespace="embedded", embedder=SlowEmbedder()) as slow,
        ):
            names = iter(new_names("slow"))
            asking = [asyncio.create_task(ask(slow, names)) for _ in range(TASKS if beside else 0)]
            await asyncio.gather(*[state(memory, range(number, count, WRITERS)) for number in range(WRITERS)])
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return statistics.quantiles(seconds, n=100)[98]

    return on_loop(main)


# All of it


def prepare(folder: Path, names: Sequence[str], embedder: embedders.Embedder) -> tuple[str, str]:
    """The two files of so many entities with vectors: ours, and membox's."""
    ours, theirs = str(folder / "ours.db"), str(folder / "membox.db")

    async def fill() -> Sequence[Sequence[float]]:
        async with aiomemdb.Memory.open(ours) as memory:
            await by_tasks(names, memory)
        async with aiomemdb.Memory.open(ours, embedder=embedder) as memory:
            await memory.reembed()
        return await embedder.embed(names)

    membox = Membox(theirs)
    membox.create()
    membox.fill(names, aiomemdb.run(fill()))
    membox.close()
    return ours, theirs


def main() -> None:
    parser = option_parser(__doc__, quick="little work, one round: does it run?")
    parser.set_defaults(rounds=5)
    parser.add_argument("--data", type=Path, metavar="DIR", default=os.environ.get("AIOMEMDB_EVAL_DATA"))
    parser.add_argument("--entities", type=int, default=100_000, help="in the file of known names, and of vectors")
    options = parser.parse_args()
    work = FULL
    if options.quick:
        options.rounds, options.entities, work = 1, min(options.entities, 1_000), QUICK

    documents = documents_in(options.data)[: work.documents]
    long = joined(documents, LONG)
    embedder = embedders.packaged()

    def embed(name: str) -> Sequence[float]:
        return asyncio.run(embedder.embed([name]))[0]

    with tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as folder:
        known = list(islice(new_names("known"), options.entities))
        ours, theirs = prepare(Path(folder), known, embedder)
        asked = random.Random(0).choices(known, k=work.known)
        fresh = list(islice(new_names("fresh"), work.new))
        unknown = new_names("unknown")  # each round others, as the files are kept

        def take(count: int) -> list[str]:
            return list(islice(unknown, count))

        contestants: dict[str, Callable[[], float]] = {
            "known": partial(in_file, ours, asked),
            "known_membox": lambda: by_tasks_in_threads(asked, Membox(theirs)),
            "known_membox_alone": lambda: by_threads(asked, Membox(theirs)),
            "new": partial(in_new_file, fresh),
            "new_membox": partial(in_new_membox, by_tasks_in_threads, fresh),
            "new_membox_alone": partial(in_new_membox, by_threads, fresh),
            "embedded": lambda: in_file(ours, take(work.embedded), embedder),
            "embedded_membox": lambda: by_tasks_in_threads(take(work.embedded_membox), Membox(theirs, embed)),
        }
        contestants["stated"] = partial(stated, work.facts, beside=False)
        contestants["stated_beside"] = partial(stated, work.facts, beside=True)
        if documents:
            for name, some, a_commit in (("remember", documents, DOCUMENTS_A_COMMIT), ("remember_long", long, 1)):
                opening, each = rows_of(some)
                contestants[name] = partial(remembered, some)
                contestants[f"{name}_plain"] = partial(replayed, opening, each, a_commit)
        rates = {name: statistics.median(rates) for name, rates in alternate(contestants, options.rounds).items()}

    print_context(f"{options.rounds}, medians")
    report(rates, options.entities, documents, long)
    if options.json:
        write_json(options.json, rates | {"entities": options.entities})


def report(rates: dict[str, float], entities: int, documents: Sequence[Document], long: Sequence[Document]) -> None:
    print(f"{TASKS} tasks ask for names; membox's algorithm in {THREADS} threads")
    for what, name, bar in (
        (f"known names, {entities:,} in the file", "known", "40,000"),
        ("new names, without an embedder", "new", "10,000"),
        (f"new names, packaged embedder, {entities:,} there", "embedded", "400"),
    ):
        print(f"  {what:48} {rates[name]:10,.0f}/s (the bar: {bar} or more)")
        for suffix, how in (("_membox", "asked by the same tasks"), ("_membox_alone", "asked by its threads alone")):
            if theirs := rates.get(name + suffix):
                print(f"    membox, {how:38} {theirs:12,.4g}/s   aiomemdb: {rates[name] / theirs:.2f} x its rate")
    print(f"{WRITERS} tasks state facts, {TASKS} others ask for new names by an embedder that takes 1 s")
    alone, beside = 1e3 * rates["stated"], 1e3 * rates["stated_beside"]
    print(
        f"  99 % of facts within {beside:16.2f} ms  {beside / alone:5.2f} x alone: {alone:.2f} ms (the bar: up to 1.5)"
    )
    if not documents:
        print(f"documents: skipped, no {DOCUMENTS} in --data")
        return
    words = statistics.mean(len(document.text.split()) for document in documents)
    triples = statistics.mean(len(document.triples) for document in documents)
    print(
        f"{TASKS} tasks remember {len(documents):,} documents of {words:.0f} words and {triples:.1f} facts, on average"
    )
    for what, name, bar in (
        (f"documents, {DOCUMENTS_A_COMMIT} a commit", "remember", " (the bar: 0.6 or more)"),
        (
            f"{len(long)} of {statistics.mean(len(document.triples) for document in long):.0f} facts",
            "remember_long",
            "",
        ),
    ):
        ours, plain = rates[name], rates[f"{name}_plain"]
        print(
            f"  {what:28} {ours:10,.1f}/s  {ours / plain:5.2f} x plain sqlite3 with the same rows: {plain:,.1f}/s{bar}"
        )


if __name__ == "__main__":
    main()
