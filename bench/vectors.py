"""Vectors in memory: what a search for the nearest costs, whole and coarse, and what the coarse one finds.

    python bench/vectors.py --data DIR [--rows 10000 100000 1000000] [--rounds 9] [--quick]

The vectors are those of MuSiQue's passages by the packaged embedder, then mixtures of four of them with noise; what is
asked are its questions. Each search is measured in turn, whole (as a small memory's) and coarse (as a large one's),
idle and beside a process that multiplies matrices by BLAS on all cores. "Others" is the CPU of other threads than the
one that asks: where BLAS's threads spin, it is many times the work. The bar: beside the busy process at most twice the
CPU.
"Found" is the share of the 5, 10 and 200 nearest that the coarse search makes candidates. A memory then
ranks these by their whole vectors.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from _harness import option_parser, print_context, write_json
from _questions import read_collections

import aiomemdb
from aiomemdb import embedders
from aiomemdb.memory.coarse import CoarseRows
from aiomemdb.memory.vectors import Matrix, nearest, pack, unpack

TOP = 200
HOW: dict[str, Any] = {"top": TOP + TOP // 4, "at_least": 0.0, "below": None}
ASKED = 60
_BUSY = """
import numpy as np
a = np.random.default_rng(0).standard_normal((700, 700)).astype("f4")
print("busy", flush=True)
while True:
    a @ a
"""


async def real_vectors(data: Path) -> tuple[Matrix, Matrix]:
    """Of the passages, and of the questions."""
    [collection, *_] = [each for each in read_collections(data) if any(document.triples for document in each.documents)]
    embedder = embedders.packaged()

    async def of(texts: list[str]) -> Matrix:
        return unpack(pack(await embedder.embed(texts), count=len(texts), dim=embedder.dim), embedder.dim)

    return (
        await of([document.text for document in collection.documents]),
        await of([question.text for question in collection.questions][:ASKED]),
    )


def more_like(real: Matrix, rows: int, seed: int = 1) -> Matrix:
    chance = np.random.default_rng(seed)
    made = np.empty((rows, real.shape[1]), dtype=np.float32)
    made[: len(real)] = real[:rows]
    for begin in range(len(real), rows, 10_000):
        count = min(10_000, rows - begin)
        shares = chance.dirichlet((0.5, 0.5, 0.5, 0.5), count).astype("f4")
        mixed = chance.standard_normal((count, real.shape[1])).astype("f4") * np.float32(0.02)
        for part in range(4):
            mixed += shares[:, part, None] * real[chance.integers(0, len(real), count)]
        made[begin : begin + count] = mixed / np.linalg.norm(mixed, axis=1, keepdims=True)
    return made


@contextmanager
def busy_neighbours(wanted: bool) -> Iterator[None]:
    if not wanted:
        yield
        return
    with subprocess.Popen([sys.executable, "-c", _BUSY], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield
        finally:
            process.kill()


def ask(search: Callable[..., object], refs: list[int], questions: Matrix, count: int, number: int) -> None:
    """A few of the questions, others each time."""
    search(refs, questions[[(number + place) % len(questions) for place in range(count)]], **HOW)


def cpu_of(searches: dict[str, Callable[[int], object]], rounds: int) -> dict[str, tuple[float, float, float]]:
    """In turn: time, CPU of the asking thread and of the others, in ms, medians."""
    spent: dict[str, list[tuple[float, float, float]]] = {name: [] for name in searches}
    for number in range(rounds + 1):
        for name, search in searches.items():
            began, own, all_ = time.perf_counter(), time.thread_time(), time.process_time()
            search(number)
            took, own, all_ = time.perf_counter() - began, time.thread_time() - own, time.process_time() - all_
            if number:  # the first warms up
                spent[name].append((1e3 * took, 1e3 * own, 1e3 * max(0.0, all_ - own)))
    return {name: tuple(map(statistics.median, zip(*each, strict=True))) for name, each in spent.items()}


def measure(real: Matrix, questions: Matrix, options: argparse.Namespace) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    print(f"{'':24}{'time':>9}{'CPU':>9}{'others':>9}   beside / idle: time, CPU")
    for rows in options.rows:
        whole = more_like(real, rows)
        refs = list(range(rows))
        coarse = CoarseRows(rows, whole.shape[1])
        for begin in range(0, rows, 1024):
            coarse.put(range(begin, min(rows, begin + 1024)), whole[begin : begin + 1024])
        searches: dict[str, Callable[[int], object]] = {}
        for count in (1, 8, 64) if rows <= 100_000 else (1,):
            searches[f"whole, {count} asked"] = partial(ask, partial(nearest, whole), refs, questions, count)
            searches[f"coarse, {count} asked"] = partial(ask, coarse.nearest, refs, questions, count)
        measured = []
        for busy in (False, True):
            with busy_neighbours(busy):
                measured.append(cpu_of(searches, options.rounds))
        idle, beside = measured
        for name, (took, own, others) in idle.items():
            results[f"{rows} {name}"] = {
                "ms": took,
                "CPU": own,
                "CPU of others": others,
                "beside": beside[name][0] / took,
            }
            print(
                f"{rows:>9} {name:<14}{took:9.2f}{own:9.2f}{others:9.2f}"
                f"   {beside[name][0] / took:5.2f}, {sum(beside[name][1:]) / (own + others):5.2f}",
                flush=True,
            )
        found: dict[int, list[float]] = {depth: [] for depth in (5, 10, TOP)}
        for near, candidates in zip(
            nearest(whole, refs, questions, top=TOP, at_least=0.0), coarse.nearest(refs, questions, **HOW), strict=True
        ):
            held = {ref for ref, _ in candidates}
            for depth, shares in found.items():
                shares.append(sum(ref in held for ref, _ in near[:depth]) / max(1, len(near[:depth])))
        results[f"{rows} found"] = {f"of {depth}": 100 * statistics.fmean(shares) for depth, shares in found.items()}
        print(
            f"{rows:>9} found: "
            + ", ".join(f"{share:.1f} % {name}" for name, share in results[f"{rows} found"].items())
        )
        print(
            f"{rows:>9} bytes: whole {whole.nbytes / rows:.0f}, coarse {coarse.nbytes / rows:.0f} a vector", flush=True
        )
    return results


def main() -> int:
    parser = option_parser(__doc__, quick="10,000 and 100,000 rows")
    parser.add_argument("--data", type=Path, default=os.environ.get("AIOMEMDB_EVAL_DATA"), metavar="DIR")
    parser.add_argument("--rows", type=int, nargs="+", default=(1_000, 10_000, 100_000, 1_000_000))
    options = parser.parse_args()
    if options.quick:
        options.rows = (1_000, 10_000, 100_000)
    if not options.data:
        print("skipped: no evaluation data")
        return 0
    print_context(f"{options.rounds} searches in turn, idle and beside a process that multiplies matrices")
    results = measure(*aiomemdb.run(real_vectors(Path(options.data))), options)
    if options.json:
        write_json(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
