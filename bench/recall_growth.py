"""How recall's latency grows with the memory: MuSiQue's questions at 10 k to 1 M facts, idle and beside writers.

    python bench/recall_growth.py --data DIR [--facts 10000 100000 1000000] [--vectors] [--cache GIB] [--keep FOLDER]
        [--counts] [--json FOLDER]

A memory holds MuSiQue's texts and triples, then more of the same kind: each further text takes a real one's triples and
the words of another, with all names made anew from the parts of real ones, so that words and links are as frequent as
in real texts. Latency is that of one recall after another, without an embedder; with --vectors, by the packaged one,
its own time not counted; --cache: how many GiB they may take in memory (0.5, as by default).

"Beside writers": a task of the same process remembers 1,000 facts a second meanwhile, in texts of some nine.
--counts: instead of times what one question costs: CPU with and without SQLite, statements, hops to a thread, entries
of rooms (see _counting.py). A busy machine changes none of it but the CPU, by a half.
--keep: the memories are made there, and used again. --json: the table, and a plot of it beside.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from _counting import COUNTED, cost_of
from _harness import option_parser, print_context, write_json
from _plots import draw_lines
from _questions import Collection, Document, read_collections
from recall import Known

import aiomemdb
from aiomemdb import Memory, embedders
from aiomemdb.memory.recall import Strategy

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
STRATEGIES: tuple[Strategy, ...] = ("hybrid", "expand", "ppr")
FACTS_A_SECOND = 1_000
TOGETHER = 200


def more_like(documents: Sequence[Document], seed: str) -> Iterator[Document]:
    """Texts without end, made of the words and names of these."""
    chance = random.Random(seed)
    real = [document for document in documents if document.triples]
    names = [triple[0].split() for document in real for triple in document.triples]
    for number in range(sys.maxsize):
        model, words = chance.choice(real), chance.choice(real).text.split()
        renamed: dict[str, str] = {}
        for subject, _, object in model.triples:
            for name in (subject, object):
                if name not in renamed:
                    first, last = chance.choice(names), chance.choice(names)
                    renamed[name] = " ".join((*first[: max(1, len(first) // 2)], *last[len(last) // 2 :]))
        chance.shuffle(words)
        triples = [(renamed[subject], predicate, renamed[object]) for subject, predicate, object in model.triples]
        yield Document(f"{seed} {number}", " ".join(words), triples=triples)


async def remember(memory: Memory, documents: Sequence[Document]) -> None:
    async with asyncio.TaskGroup() as group:
        for each in documents:
            group.create_task(memory.remember(each.text, each.triples, key=each.key))


async def grow(memory: Memory, collection: Collection, facts: int) -> None:
    """Fills a memory up to so many facts, the real ones first where they have room."""
    real = iter(collection.documents if facts > 20_000 else collection.documents[: facts // 12])
    made = more_like(collection.documents, "more")
    while (have := (await memory.counts()).facts) < facts:
        documents = list(islice(real, TOGETHER)) or list(islice(made, max(1, min(10_000, (facts - have) // 10))))
        for start in range(0, len(documents), TOGETHER):
            await remember(memory, documents[start : start + TOGETHER])


class _Embedded(Exception):
    """All has its vector."""


async def embed(memory: Memory) -> None:
    """As reembed(), except the near names: each name is compared with all others, which takes hours for a million."""
    names = (await memory.counts()).entities

    def stop(done: int, total: int) -> None:
        if done > total - names:  # the file has changed over to the model
            raise _Embedded

    with suppress(_Embedded):
        await memory.reembed(progress=stop)


async def file_of(folder: Path, collection: Collection, facts: int, vectors: bool) -> Path:
    path = folder / f"growth-{facts}{'-vectors' if vectors else ''}.db"
    if path.exists():
        return path
    half = path.with_suffix(".half")
    for left in folder.glob(f"{half.name}*"):
        left.unlink()
    async with Memory.open(half) as memory:
        await grow(memory, collection, facts)
    if vectors:
        async with Memory.open(half, embedder=embedders.packaged()) as memory:
            await embed(memory)
    half.rename(path)
    return path


async def latencies(memory: Memory, questions: Sequence[str], **how: Any) -> list[float]:
    seconds = []
    for question in questions:
        began = time.perf_counter()
        await memory.recall(question, **how)
        seconds.append(time.perf_counter() - began)
    return seconds


async def write_steadily(memory: Memory, documents: Iterator[Document], written: list[int]) -> None:
    """Until it is cancelled: so many facts a second, however long each text takes."""
    began, facts = time.perf_counter(), 0
    async with asyncio.TaskGroup() as group:
        for document in documents:
            await asyncio.sleep(max(0.0, began + facts / FACTS_A_SECOND - time.perf_counter()))
            task = group.create_task(memory.remember(document.text, document.triples))
            task.add_done_callback(
                lambda task: written.append(len(task.result().facts)) if not task.cancelled() else None
            )
            facts += len(document.triples)


async def measure_one(path: Path, collection: Collection, vectors: bool, cache: float, count: int) -> dict[str, float]:
    questions = [question.text for question in collection.questions][:count]
    known = None
    if vectors:
        known = Known(embedders.packaged())
        await known.learn(questions)
    figures: dict[str, float] = {}
    async with Memory.open(path, embedder=known, vector_cache_bytes=int(cache * 2**30)) as memory:
        for strategy in STRATEGIES:
            await latencies(memory, questions[:20], strategy=strategy)
            seconds = await latencies(memory, questions, strategy=strategy)
            figures[f"{strategy} p50"] = 1e3 * statistics.median(seconds)
            figures[f"{strategy} p95"] = 1e3 * statistics.quantiles(seconds, n=20)[18]
        if not vectors:
            written: list[int] = []
            made = more_like(collection.documents, f"beside {time.time()}")
            writer = asyncio.create_task(write_steadily(memory, made, written))
            began = time.perf_counter()
            try:
                seconds = await latencies(memory, questions)
            finally:
                rate = sum(written) / (time.perf_counter() - began)
                writer.cancel()
                await asyncio.wait([writer])
            figures["beside p50"], figures["facts/s"] = 1e3 * statistics.median(seconds), rate
    return figures


COLUMNS = (*(f"{strategy} {what}" for strategy in STRATEGIES for what in ("p50", "p95")), "beside p50", "facts/s")


async def count(path: Path, collection: Collection, questions: int, results: dict[str, dict[str, float]]) -> None:
    for strategy in STRATEGIES:
        asked = [question.text for question in collection.questions[:questions]]
        results[f"{path.stem} {strategy}"] = figures = await cost_of(path, asked, strategy)
        print(
            f"{path.stem:>24} {strategy:<8}" + "".join(f"{figures[name]:9.1f} {name}" for name in COUNTED), flush=True
        )


# What is drawn.
LINES = {
    "hybrid": "hybrid p50",
    "expand": "expand p50",
    "ppr": "ppr p50",
    "expand beside 1,000 facts/s": "beside p50",
}


async def measure(options: argparse.Namespace, collection: Collection) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    if not options.counts:
        print("one recall in ms; beside: expand, while facts are written\n")
        print(f"{'facts':>16}" + "".join(f"{column:>12}" for column in COLUMNS))
    with tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for vectors in (False, True) if options.vectors else (False,):
            for facts in options.facts:
                path = await file_of(folder, collection, facts, vectors)
                if options.build:
                    continue
                if options.counts:
                    await count(path, collection, options.questions, results)
                    continue
                figures = await measure_one(path, collection, vectors, options.cache, options.questions)
                name = f"{facts}{' vectors' if vectors else ''}"
                results[name] = figures
                cells = (f"{figures[column]:12.1f}" if column in figures else f"{'':12}" for column in COLUMNS)
                print(f"{name:>16}" + "".join(cells), flush=True)
    return results


def plot(results: dict[str, dict[str, float]], folder: Path) -> None:
    lines = {
        f"{name}{', vectors' if vectors else ''}": [
            (float(size.split()[0]), figures[column])
            for size, figures in results.items()
            if size.endswith("vectors") == vectors and column in figures
        ]
        for name, column in LINES.items()
        for vectors in (False, True)
    }
    lines = {name: points for name, points in lines.items() if len(points) > 1}
    if lines:
        draw_lines(folder / "recall_growth", "One recall, by facts there", "facts", "median, ms", lines, ", vectors")


def main() -> int:
    parser = option_parser(__doc__, quick="10,000 and 30,000 facts")
    parser.add_argument("--data", type=Path, default=os.environ.get("AIOMEMDB_EVAL_DATA"), metavar="DIR")
    parser.add_argument("--facts", type=int, nargs="+", default=SIZES)
    parser.add_argument("--vectors", action="store_true")
    parser.add_argument("--questions", type=int, default=100, help="how many of them")
    parser.add_argument("--cache", type=float, default=0.5, metavar="GIB")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--counts", action="store_true", help="what a question costs beside time")
    parser.add_argument("--build", action="store_true", help="make the memories, measure nothing")
    options = parser.parse_args()
    if options.quick:
        options.facts = SIZES[:2]
    collections = read_collections(Path(options.data)) if options.data else []
    with_facts = [collection for collection in collections if any(each.triples for each in collection.documents)]
    if not with_facts:
        print("skipped: no evaluation data")
        return 0
    print_context(f"{options.questions} questions, one after another")
    results = aiomemdb.run(measure(options, with_facts[0]))
    if options.json and results:
        write_json(options.json, results, "recall_growth_counts" if options.counts else None)
        if not options.counts:
            plot(results, options.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
