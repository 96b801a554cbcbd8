"""What each fast path is worth: figures that a bar compares, with it and without it, in turn.

    python bench/fast_paths.py [--only many-rows bell …] [--rounds 9]

The paths, and how one is taken away, are in tests/support/fast_paths.py. A gain is the time without it by the time with
it, of each round; of these the median and the quartiles.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from _cells import OURS, Cell, measure_all
from _driving import Sample
from _harness import pinned, print_context
from peers import Aiomemdb
from workloads._common import reads, storm
from workloads.beside import hot_row, on_a_busy_loop
from workloads.reading import ROWS
from workloads.storm import MANY, transactions

from aiomemdb.sqlite.writing.checkpoints import Checkpointer

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests.support.fast_paths import WITHOUT, take_away

TURNS = "turns for 20 writes"


def _turns() -> Sample:
    sample = on_a_busy_loop(Aiomemdb, 0.3)
    sample.rate = 1 / sample.figures[TURNS]
    return sample


def _checkpoints() -> Sample:
    """How long all writers wait for one: the mean."""
    lengths: list[float] = []
    run = Checkpointer.run

    def timed(checkpointer: Checkpointer) -> bool:
        began = time.perf_counter()
        restarted = run(checkpointer)
        lengths.append(time.perf_counter() - began)
        return restarted

    Checkpointer.run = timed  # type: ignore[assignment,method-assign]  # in this cell's own process
    sample = storm(Aiomemdb, 64, 3.0, each=None, body=2_000 * "x")
    sample.rate = 1 / statistics.mean(lengths)
    return sample


FIGURES: dict[str, Callable[[], Sample]] = {
    "storm": partial(storm, Aiomemdb, MANY, 10.0, each=20, once=True),
    "lone write": pinned(partial(storm, Aiomemdb, 1, 0.35, each=None)),
    "lone read": pinned(partial(reads, Aiomemdb, 1, 0.35, rows=ROWS)),
    "1,000 readers": partial(reads, Aiomemdb, MANY, 0.35, rows=ROWS),
    "updates of one row": partial(hot_row, Aiomemdb, 100, 0.35),
    "busy loop": _turns,
    "transaction": pinned(partial(transactions, 0.35)),
    "checkpoints": _checkpoints,
}

#: The figures that a path is made for.
MADE_FOR: dict[str, list[str]] = {
    "many-rows": ["storm"],
    "runs": ["storm"],
    "simple": ["updates of one row"],
    "autocommit": ["lone write"],
    "hot-write": ["storm", "lone write"],
    "hot-read": ["1,000 readers", "lone read"],
    "bell": ["lone write", "lone read"],
    "step-aside": ["busy loop"],
    "look-after": ["busy loop"],
    "just-before": ["lone write", "lone read"],
    "lone-wake": ["lone write"],
    "settle-in-c": ["storm", "1,000 readers"],
    "take-whole": ["storm", "lone write"],
    "one-cursor": ["1,000 readers", "lone read"],
    "folder": ["lone write"],
    "hot-step": ["transaction"],
    "no-savepoint": ["transaction"],
    "early-writeback": ["checkpoints", "storm", "lone write"],
}
assert MADE_FOR.keys() == WITHOUT.keys()


def _without(path: str, measure: Callable[[], Sample]) -> Sample:
    take_away([path])  # in this cell's own process
    return measure()


def cells(paths: list[str]) -> Iterator[Cell]:
    for path in paths:
        for figure in MADE_FOR[path]:
            yield Cell(f"{path}: {figure}", OURS, 1, FIGURES[figure], every=1)
            yield Cell(f"{path}: {figure}", "without", 1, partial(_without, path, FIGURES[figure]), every=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(WITHOUT), default=list(WITHOUT), metavar="PATH")
    parser.add_argument("--rounds", type=int, default=9)
    chosen = parser.parse_args()
    print_context(f"{chosen.rounds}, in turn")
    results, _ = measure_all(list(cells(chosen.only)), chosen.rounds)
    for taken, left in zip(results[::2], results[1::2], strict=True):
        gains = sorted(with_it / without for with_it, without in zip(taken.rates, left.rates, strict=True))
        low, _, high = statistics.quantiles(gains) if len(gains) > 1 else gains * 3
        flaws = " FLAWED" if taken.is_flawed or left.is_flawed else ""
        print(f"{taken.workload:28} {statistics.median(gains):5.2f} × ({low:.2f} to {high:.2f}){flaws}")


if __name__ == "__main__":
    main()
