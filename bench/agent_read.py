"""What hostile queries of agents do to ordinary reads: their latency alone, beside one such query, and beside two.

    python bench/agent_read.py [--quick]

Callers ask for one row after another. Meanwhile agents ask what only their deadline ends, again and again: what counts
(``counts``), what gathers JSON, where Python is asked every 700 instructions whether it is too much (``gathers``), what
sorts on the disk (``sorts``), and what returns many rows (``returns``).

``no SQL`` is the same beside threads that compute without SQLite and without Python's lock: what is slow there, too, is
a matter of the machine's idle cores.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
import statistics
import time
from functools import partial

from _harness import alternate, fresh_database, on_loop, option_parser, print_context, write_json

import aiomemdb
from aiomemdb import AgentLimits, SQLiteDatabase

ROWS = 10_000
CALLERS = 4
#: (of the reads' p99 alone) beside one; seconds beside two.
TIMES, MOST = 2.0, 0.010
_NUMBERS = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n)"
HOSTILE: dict[str, str | None] = {
    "no SQL": None,
    "counts": f"{_NUMBERS} SELECT count(*) FROM n",
    "gathers": f"{_NUMBERS} SELECT json_group_array(i % 2) FROM (SELECT i FROM n LIMIT 1000000) WHERE i % 50 = 0",
    "sorts": "SELECT a.body FROM note a, note b ORDER BY a.body || b.id DESC",
    "returns": "SELECT a.id, b.id, a.body FROM note a, note b",
}


async def _attack(db: SQLiteDatabase, sql: str | None) -> None:
    while sql is None:
        await asyncio.to_thread(hashlib.pbkdf2_hmac, "sha256", b"", b"", 100_000)
    while True:
        try:
            await db.agent_read(sql, limits=AgentLimits(deadline=1.0, rows=1_000_000, answer_bytes=16_000_000))
        except (aiomemdb.AiomemdbError, sqlite3.Error):
            pass  # its deadline, or that it gathers too much


def _latencies(reads: int, sql: str | None, attackers: int) -> list[float]:
    """Seconds of each read."""
    with fresh_database(rows=ROWS) as path:

        async def main() -> list[float]:
            took: list[float] = []
            async with aiomemdb.connect(path) as db:

                async def ask(caller: int) -> None:
                    for number in range(reads // CALLERS):
                        began = time.perf_counter()
                        await db.read_one("SELECT body FROM note WHERE id = ?", ((caller + number * 7) % ROWS + 1,))
                        took.append(time.perf_counter() - began)
                        await asyncio.sleep(0.001)

                attacks = [asyncio.create_task(_attack(db, sql)) for _ in range(attackers)]
                await asyncio.sleep(0.2)  # until they run
                async with asyncio.TaskGroup() as group:
                    for caller in range(CALLERS):
                        group.create_task(ask(caller))
                for attack in attacks:
                    attack.cancel()
                await asyncio.gather(*attacks, return_exceptions=True)
            return took

        return on_loop(main)


def main() -> None:
    options = option_parser(__doc__, quick="fewer reads, three rounds").parse_args()
    reads, rounds = (1_000, 3) if options.quick else (8_000, options.rounds)
    print_context(str(rounds))
    print(f"{CALLERS} callers, {reads:,} reads a round, ms; median of the rounds")
    figures = {}
    for name, sql in HOSTILE.items():
        measured = alternate({str(count): partial(_latencies, reads, sql, count) for count in (0, 1, 2)}, rounds)
        found = {
            count: [statistics.median(_percentile(took, part) for took in each) for part in (0.5, 0.99)]
            for count, each in measured.items()
        }
        figures[name] = found
        alone, one, two = (found[count][1] for count in ("0", "1", "2"))
        shown = "   ".join(f"{count}: p50 {p50 * 1e3:6.2f} p99 {p99 * 1e3:6.2f}" for count, (p50, p99) in found.items())
        print(f"  {name:8} {shown}   beside one {one / alone:4.1f} x (bar {TIMES:g})", end="")
        print(f", beside two {two * 1e3:.1f} ms (bar {MOST * 1e3:g})  {_verdict(one / alone < TIMES, two < MOST)}")
    if options.json:
        write_json(options.json, figures)


def _percentile(took: list[float], part: float) -> float:
    return sorted(took)[min(len(took) - 1, int(part * len(took)))]


def _verdict(*held: bool) -> str:
    return "ok" if all(held) else "MISSED"


if __name__ == "__main__":
    main()
