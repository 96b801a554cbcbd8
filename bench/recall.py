"""Recall: how much of the evidence it brings back, and how fast, on questions with known evidence.

    python bench/recall.py --data DIR [--embedders none packaged minilm] [--keep FOLDER] [--vary [NAME ...]]
        [--json FOLDER]

DIR holds MuSiQue and LoCoMo as their authors publish them (see _questions.py); default: $AIOMEMDB_EVAL_DATA. A text is
remembered with the triples drawn from it, a conversation's turns are episodes of a session each; every conversation has
a file of its own. R@k: the share of a question's evidence among the first k texts, a fact counting as the texts that
evidence it; MRR: one by the place of the first of them; both are means over questions. The bar is BM25 alone. Latency
is that of ``recall`` with the vector of the question known: how long an embedder takes is its own business.

--keep: the memories are made there, and used again: MiniLM in numpy takes five minutes for MuSiQue.
--vary: R@5 as each of the parameters (or those named) changes, all others at their defaults. For want of a third set,
each is also chosen on one half of the questions and tried on the other: a default that was fitted to these questions
would not be the choice of both, and a choice that fits one half better gains on that half alone.

How it grows with the memory is measured by recall_growth.py.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import Any

from _harness import option_parser, print_context, write_json
from _minilm import MiniLM, is_installed
from _questions import Collection, read_collections

import aiomemdb
from aiomemdb import Hit, Memory, embedders
from aiomemdb.embedders import Embedder
from aiomemdb.memory import rank
from aiomemdb.memory.deciding import recalling
from aiomemdb.memory.stores.sqlite import search

DEPTHS = (2, 5, 10, 20)
STRATEGIES = ("hybrid", "expand", "ppr")
KINDS = {"episode": ("episode",), "fact": ("fact",), "both": ("fact", "episode")}
# Documents remembered at once.
TOGETHER = 50

# Each parameter, where it is, and what else it could be.
VARIED: dict[str, tuple[Any, str, Sequence[float]]] = {
    "vectors' share": (rank, "FUSION", (0.2, 0.3, 0.5, 0.6)),
    "decay": (rank, "DECAY", (0.3, 0.5, 0.6, 0.8, 0.9)),
    "candidates": (recalling, "CANDIDATES", (50, 100, 400)),
    "followed": (recalling, "FOLLOWED", (10, 30, 50, 100)),
    "hub": (recalling, "HUB", (10, 25, 100, 1000)),
    "rows ranked": (search, "_RANKED", (1000, 2500, 10_000, 50_000)),
    "damping": (rank, "DAMPING", (0.3, 0.7, 0.85)),
    "facts walked from": (rank, "WALKED_FACTS", (3, 4, 7, 10)),
    "weight of texts": (rank, "WALKED_TEXTS", (0.0, 0.02, 0.1, 0.2)),
    "steps": (rank, "STEPS", (2, 3, 6)),
    "least mass": (rank, "LEAST_MASS", (1e-3, 1e-4)),
}


class Known:
    """An embedder that has the vectors of questions by heart, so that a latency is that of recall alone."""

    def __init__(self, embedder: Embedder) -> None:
        self.model, self.dim = embedder.model, embedder.dim
        self._embedder = embedder
        self._vectors: dict[str, Sequence[float]] = {}

    async def learn(self, texts: Sequence[str]) -> None:
        self._vectors.update(zip(texts, await self._embedder.embed(texts), strict=True))

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        if all(text in self._vectors for text in texts):
            return [self._vectors[text] for text in texts]
        return await self._embedder.embed(texts)


def available(names: Sequence[str]) -> Iterator[tuple[str, Embedder | None]]:
    """The embedders asked for that are installed."""
    for name in names:
        if name == "none":
            yield name, None
        elif name == "packaged" and find_spec("wordllama"):
            yield name, embedders.packaged()
        elif name == "minilm" and is_installed():
            yield name, MiniLM()
        else:
            print(f"skipped: the embedder {name} is not installed")


# What is asked, and how good the answers are


@dataclass
class Score:
    """Of one way to ask, over all questions of a set."""

    recall: dict[int, list[float]] = field(default_factory=lambda: {depth: [] for depth in DEPTHS})
    reciprocal: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, documents: Sequence[str], evidence: frozenset[str], seconds: float) -> None:
        for depth in DEPTHS:
            self.recall[depth].append(len(evidence.intersection(documents[:depth])) / len(evidence))
        places = [place for place, document in enumerate(documents, start=1) if document in evidence]
        self.reciprocal.append(1 / places[0] if places else 0.0)
        self.seconds.append(seconds)

    def figures(self) -> dict[str, float]:
        found = {f"R@{depth}": 100 * statistics.fmean(values) for depth, values in self.recall.items()}
        times = statistics.quantiles(self.seconds, n=20)
        return found | {"MRR": 100 * statistics.fmean(self.reciprocal), "p50": 1e3 * times[9], "p95": 1e3 * times[18]}


def documents_of(hits: Sequence[Hit], keys: dict[int, str]) -> list[str]:
    """The texts that hits lead to, each once, best first."""
    found: dict[str, None] = {}
    for hit in hits:
        episodes = [hit.item.id] if hit.kind == "episode" else [each.episode for each in hit.evidence]
        found.update(dict.fromkeys(keys[episode] for episode in episodes if episode is not None))
    return list(found)


async def fill(memory: Memory, collection: Collection) -> None:
    documents = collection.documents
    for start in range(0, len(documents), TOGETHER):
        async with asyncio.TaskGroup() as group:
            for each in documents[start : start + TOGETHER]:
                group.create_task(
                    memory.remember(
                        each.text,
                        each.triples,
                        mentions=each.mentions,
                        key=each.key,
                        session=each.session,
                        source=each.source,
                    )
                )


@dataclass
class Asked:
    """An open memory with its questions."""

    memory: Memory
    collection: Collection
    keys: dict[int, str]

    async def score(self, score: Score, **how: Any) -> None:
        for question in self.collection.questions:
            began = time.perf_counter()
            found = await self.memory.recall(question.text, **how)
            seconds = time.perf_counter() - began
            score.add(documents_of(found.hits, self.keys), question.evidence, seconds)


async def opened(folder: Path, name: str, embedder: Embedder | None, collection: Collection) -> Asked:
    """The memory of a collection, made if it is not there yet."""
    path = folder / f"{collection.name}-{collection.part}-{name}.db"
    if not path.exists():
        half = path.with_suffix(".half")
        for left in folder.glob(f"{half.name}*"):
            left.unlink()
        async with Memory.open(half, embedder=embedder) as memory:
            await fill(memory, collection)
        half.rename(path)
    known = None if embedder is None else Known(embedder)
    if known is not None:
        await known.learn([question.text for question in collection.questions])
    memory = await Memory.open(path, embedder=known)
    episodes = await memory.episodes(limit=1_000_000)
    await memory.recall(collection.questions[0].text)  # vectors are read into memory once
    return Asked(memory, collection, {episode.id: episode.key or "" for episode in episodes})


async def ask(asked: Sequence[Asked], **how: Any) -> dict[str, float]:
    score = Score()
    for each in asked:
        await each.score(score, **how)
    return score.figures()


async def ask_halves(asked: Sequence[Asked], **how: Any) -> tuple[float, float, float]:
    """R@5 of all questions, and of two halves: every other conversation, or question where there is but one file."""
    found: list[tuple[int, float]] = []
    for number, each in enumerate(asked):
        score = Score()
        await each.score(score, **how)
        found += [(number if len(asked) > 1 else place, value) for place, value in enumerate(score.recall[5])]
    halves = ([value for place, value in found if place % 2 == half] for half in (0, 1))
    all_, even, odd = (100 * statistics.fmean(values) for values in ([value for _, value in found], *halves))
    return all_, even, odd


# Tables

COLUMNS = (*(f"R@{depth}" for depth in DEPTHS), "MRR", "p50", "p95")


def row(name: str, figures: dict[str, float]) -> str:
    return f"  {name:<34}" + "".join(f"{figures[column]:7.1f}" for column in COLUMNS)


async def compare(asked: Sequence[Asked], embedder: str, bars: dict[str, float]) -> dict[str, dict[str, float]]:
    """Each strategy and kind; a R@5 below that of BM25 alone is marked."""
    results: dict[str, dict[str, float]] = {}
    facts = (await asked[0].memory.counts()).facts
    for kind, kinds in KINDS.items():
        if not facts and kind != "episode":
            continue
        for strategy in STRATEGIES:
            figures = await ask(
                asked, kinds=kinds, strategy=strategy, limit=max(DEPTHS) * (1 if kind == "episode" else 4)
            )
            name = f"{embedder} {kind} {strategy}"
            results[name] = figures
            bar = bars.setdefault(kind, figures["R@5"])  # the first is "hybrid" without an embedder
            print(row(name, figures) + ("  below BM25" if figures["R@5"] < bar - 1e-9 else ""), flush=True)
    return results


@contextmanager
def changed(module: Any, name: str, value: float) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


async def vary(asked: Sequence[Asked], embedder: str, parameters: Sequence[str]) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    graph = STRATEGIES[1:]
    print(f"  {f'{embedder}: R@5 as a parameter changes':<39}" + "".join(f"{name:>9}   half  other" for name in graph))

    async def line(name: str) -> dict[str, tuple[float, float, float]]:
        found = {
            strategy: await ask_halves(asked, kinds=("episode",), strategy=strategy, limit=5) for strategy in graph
        }
        results[name] = {strategy: figures[0] for strategy, figures in found.items()}
        cells = (f"{all_:9.1f} {one:9.1f}{other:7.1f}" for all_, one, other in found.values())
        print(f"    {name:<37}" + "".join(cells), flush=True)
        return found

    as_it_is = await line("as it is")
    chosen: list[str] = []
    for what in parameters:
        module, name, values = VARIED[what]
        default = getattr(module, name)
        tried = {default: as_it_is}
        for value in values:
            with changed(module, name, value):
                tried[value] = await line(f"{what} {value:g} (is {default:g})")
        chosen.append(f"    {what:<20}" + "".join(choice(tried, default, strategy) for strategy in graph))
    print(f"  {embedder}: best on one half, and what that brings on the other, against the default")
    print("\n".join([f"    {'':20}" + "".join(f"{strategy:<40}" for strategy in graph), *chosen]), flush=True)
    return results


def choice(tried: dict[float, dict[str, tuple[float, float, float]]], default: float, strategy: str) -> str:
    """What each half would have chosen (the default where nothing is better), and what the other makes of it."""
    cells = []
    for half, other in ((1, 2), (2, 1)):
        best = max(tried, key=lambda value: (tried[value][strategy][half], value == default))
        gain = tried[best][strategy][other] - tried[default][strategy][other]
        cells.append(f"{best:g}{' (default)' if best == default else f': {gain:+.1f}'}")
    return f"{'; '.join(cells):<40}"


async def measure(options: argparse.Namespace, collections: Sequence[Collection]) -> dict[str, Any]:
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="aiomemdb-bench-") as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        for name, parts in groupby(collections, key=lambda collection: collection.name):
            set_ = list(parts)
            questions = sum(len(part.questions) for part in set_)
            print(f"{name}: {questions} questions; R@k and MRR in %, latency in ms")
            print(f"  {'embedder, kind, strategy':<34}" + "".join(f"{column:>7}" for column in COLUMNS))
            bars: dict[str, float] = {}
            for embedder_name, embedder in available(options.embedders):
                asked = [await opened(folder, embedder_name, embedder, part) for part in set_]
                try:
                    results[name] = results.get(name, {}) | await compare(asked, embedder_name, bars)
                    if options.vary is not None:
                        varied = await vary(asked, embedder_name, options.vary or list(VARIED))
                        results[f"{name} {embedder_name} varied"] = varied
                finally:
                    for each in asked:
                        await each.memory.close()
            print()
    return results


def main() -> int:
    parser = option_parser(__doc__, quick="without the embedders")
    parser.add_argument("--data", type=Path, default=os.environ.get("AIOMEMDB_EVAL_DATA"), metavar="DIR")
    parser.add_argument("--embedders", nargs="+", default=["none", "packaged", "minilm"])
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--vary", nargs="*", metavar="NAME", help=f"of {', '.join(VARIED)}; none: all of them")
    options = parser.parse_args()
    if options.quick:
        options.embedders = ["none"]
    if unknown := [name for name in options.vary or () if name not in VARIED]:
        parser.error(f"--vary: no {', '.join(unknown)}")
    collections = read_collections(Path(options.data)) if options.data else []
    if not collections:
        print("skipped: no evaluation data")
        return 0
    print_context("one pass over all questions, one at a time")
    results = aiomemdb.run(measure(options, collections))
    if options.json:
        write_json(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
