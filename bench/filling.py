"""Filling a memory: ``remember`` by 100 tasks, against a frozen program that inserts row by row (see _row_by_row.py).

    python bench/filling.py --data DIR [--facts 30000] [--rounds 9] [--quick] [--json FOLDER]

===============  =======================================================================  ===========================
documents        1,000 real ones with nine facts each                                     at least 1.0 of its rate
long documents   the same joined, 700 facts and more each, one a commit                   at least 2.0 of its rate
filling          documents like them until so many facts are there; a million: --facts    at most 1.2 of its time
                 1000000 --rounds 1
===============  =======================================================================  ===========================

In turn, each on a new file. Beside the time stands the CPU of the whole process: a busy machine changes it less. Both
files are compared afterwards: as many entities, facts, evidence, mentions and lines of the audit.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path

import _row_by_row
from _documents import DOCUMENTS_A_COMMIT, Document, documents_in, joined
from _harness import alternate, fresh_folder, option_parser, print_context, write_json
from _questions import Document as Text
from recall_growth import more_like

import aiomemdb

TASKS = 100
LONG = 700
_COUNTED = ("entity", "episode", "fact", "fact_evidence", "mention", "memory_event")


def counts(path: str) -> list[int]:
    connection = sqlite3.connect(path)
    found = [connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _COUNTED]
    connection.close()
    return found


def remembered(documents: Sequence[Document]) -> tuple[float, float, list[int]]:
    async def main() -> tuple[float, float]:
        waiting = iter(documents)

        async def agent(memory: aiomemdb.Memory) -> None:
            for document in waiting:
                await memory.remember(document.text, document.triples)

        async with aiomemdb.Memory.open(path) as memory:
            began, cpu = time.perf_counter(), time.process_time()
            await asyncio.gather(*[asyncio.create_task(agent(memory)) for _ in range(TASKS)])
            return time.perf_counter() - began, time.process_time() - cpu

    with fresh_folder() as path:
        return *aiomemdb.run(main()), counts(path)


def row_by_row(documents: Sequence[Document], a_commit: int) -> tuple[float, float, list[int]]:
    with fresh_folder() as path:
        filing = _row_by_row.Filing(path)
        began, cpu = time.perf_counter(), time.process_time()
        _row_by_row.fill(filing, ((document.text, document.triples) for document in documents), a_commit)
        took, cpu = time.perf_counter() - began, time.process_time() - cpu
        filing.connection.close()
        return took, cpu, counts(path)


def so_many(documents: Sequence[Document], facts: int) -> list[Document]:
    """Them, and more like them."""
    made: Iterator[Text] = more_like(
        [Text(str(n), each.text, triples=each.triples) for n, each in enumerate(documents)], "fill"
    )
    found, have = list[Document](), 0
    for each in chain(documents, (Document(text.text, text.triples) for text in made)):
        if have >= facts:
            break
        found.append(each)
        have += len(each.triples)
    return found


def main() -> int:
    parser = option_parser(__doc__, quick="little work, three rounds")
    parser.add_argument("--data", type=Path, metavar="DIR", default=os.environ.get("AIOMEMDB_EVAL_DATA"))
    parser.add_argument("--facts", type=int, default=30_000)
    options = parser.parse_args()
    documents = documents_in(options.data)
    if not documents:
        print("skipped: no evaluation data")
        return 0
    real, facts = documents[:1_000], options.facts
    if options.quick:
        options.rounds, real, facts = 3, documents[:200], min(facts, 5_000)
    print_context(f"{options.rounds} in turn, medians")
    long, filling = joined(real, LONG), so_many(documents, facts)
    results: dict[str, float] = {}
    for name, some, a_commit, bar, most in (
        ("documents", real, DOCUMENTS_A_COMMIT, 1.0, False),
        ("long documents", long, 1, 2.0, False),
        ("filling", filling, DOCUMENTS_A_COMMIT, 1.2, True),
    ):
        contestants: dict[str, Callable[[], tuple[float, float, list[int]]]] = {
            "remember": partial(remembered, some),
            "row by row": partial(row_by_row, some, a_commit),
        }
        rounds = alternate(contestants, options.rounds)
        [ours], [theirs] = ({tuple(found) for _, _, found in each} for each in rounds.values())
        pairs = list(zip(*rounds.values(), strict=True))
        elapsed, cpu = (statistics.median(our[part] / their[part] for our, their in pairs) for part in (0, 1))
        results[f"{name}, time"], results[f"{name}, CPU"] = elapsed, cpu
        said = (
            f"{elapsed:.2f} of its time (bar {bar} at most)" if most else f"{1 / elapsed:.2f} of its rate (bar {bar})"
        )
        ours_cpu = statistics.median(each[1] for each in rounds["remember"])
        print(
            f"{name:<15}{len(some):>8,} of {sum(len(each.triples) for each in some) / len(some):5.0f} facts: {said}; "
            f"CPU {cpu:.2f} of its ({ours_cpu:.2f} s)",
            flush=True,
        )
        if ours != theirs:
            print(f"  rows differ: {dict(zip(_COUNTED, zip(ours, theirs, strict=True), strict=True))}")
    if options.json:
        write_json(options.json, results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
