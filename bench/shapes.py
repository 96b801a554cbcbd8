"""Connections and sessions that programs have today, on their own library and on aiomemdb: one line is changed.

    python bench/shapes.py [--only connections sessions] [--rounds 9] [--quick] [--json FOLDER]

aiosqlite beside ``aiomemdb.aiosqlite``, and SQLAlchemy's ``sqlite+aiosqlite`` beside ``sqlite+aiomemdb``: the same
code, in turn, each cell in a process of its own. The file has a write-ahead log and ``synchronous=NORMAL`` for both.
*Lost* is what was acknowledged and is not in the file. The exit code is 1 if aiomemdb erred, or lost or doubled a
write; what a peer does is a result. No time is judged.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict

from _bars import Bar, Measured, each
from _cells import OURS, Cell, Options, Result, measure_all
from _harness import option_parser, print_context, write_json
from _report import print_bars, print_results
from workloads import connections, sessions
from workloads.storm import MANY

PARTS: Mapping[str, Callable[[Options], Iterator[Cell]]] = {
    "connections": connections.connections,
    "sessions": sessions.sessions,
}


def _of_connections(of: Measured) -> Iterator[Bar]:
    for work, bar in ((connections.INSERTS, 1.5), (connections.QUERIES, 1.3)):
        for where in ("", ", one core"):
            ours, stock = of(work + where, 1), of(work + where, 1, connections.STOCK)
            yield Bar(
                work + where, each(ours), f"aiosqlite: {each(stock)}", stock.rate / ours.rate, "× its time", bar, False
            )
    ours, writes = of(connections.ONE, MANY), of(connections.ONE, MANY, connections.WRITES)
    yield Bar(
        connections.ONE, each(ours), f"db.write: {each(writes)}", ours.rate / writes.rate, "× its rate", 0.5, True
    )
    for agents in (64, 256, 512):
        ours = of(connections.AGENTS, agents)
        yield Bar(
            connections.AGENTS, f"{ours.rate:,.0f}/s", f"{agents} agents", ours.figures["threads"], "threads", 7, False
        )
    ours = of(connections.MEMORY, 200)
    yield Bar(connections.MEMORY, "200 of one file", "", ours.figures[connections.EACH_ONE], "bytes each", 4096, False)
    ours = of(connections.CURSOR, 1_000_000)
    yield Bar(connections.CURSOR, "a million rows", "its start", ours.figures["MiB more"], "MiB more", 16, False)


def _of_sessions(of: Measured) -> Iterator[Bar]:
    ours, stock = of(sessions.INCREMENTS, 320), of(sessions.INCREMENTS, 320, sessions.STOCK)
    against = f"stock: {stock.rate:,.0f}/s, {stock.figures['counted']:.0f} of 320 counted"
    reruns = f"{ours.rate:,.0f}/s, {ours.figures[sessions.RERUNS]:.0f} reruns"
    yield Bar(sessions.INCREMENTS, reruns, against, ours.rate / stock.rate, "× its rate", 3.0, True)
    most = of(sessions.INCREMENTS, 320, sessions.CEILING)
    without = f"without a thread: {most.rate:,.0f}/s"
    yield Bar(sessions.INCREMENTS, reruns, without, ours.rate / most.rate, "× its rate", 0.0, True)
    yield Bar(sessions.INCREMENTS, reruns, "320 acknowledged", ours.figures["counted"], "counted", 320, True)
    p99 = of(sessions.BESIDE, 16).waits["write"][1]
    yield Bar(sessions.BESIDE, f"p99 {p99 * 1e3:.1f} ms", "", p99 * 1e3, "ms", 50, False)
    ours, stock = of(sessions.READING, 16), of(sessions.READING, 16, sessions.STOCK)
    yield Bar(
        sessions.READING,
        f"{ours.rate:,.0f}/s",
        f"stock: {stock.rate:,.0f}/s",
        ours.rate / stock.rate,
        "× its rate",
        0.9,
        True,
    )
    p99 = of(sessions.HELD, 16).waits["read"][1]
    stock_p99 = of(sessions.HELD, 16, sessions.STOCK).waits["read"][1]
    yield Bar(sessions.HELD, f"p99 {p99:.3f} s", f"stock: {stock_p99:.3f} s", p99, "s", 0.4, False)


def _bars(results: Sequence[Result], parts: Sequence[str]) -> list[Bar]:
    of = Measured(results)
    bars = {"connections": _of_connections, "sessions": _of_sessions}
    return [bar for part in parts for bar in bars[part](of)]


def main() -> int:
    parser = option_parser(__doc__, quick="a little of each, one round: does it run, is nothing lost?")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART")
    parser.add_argument("--seconds", type=float, default=0.5, help="of each cell")
    chosen = parser.parse_args()
    options = Options(
        rounds=1 if chosen.quick else chosen.rounds, seconds=0.1 if chosen.quick else chosen.seconds, quick=chosen.quick
    )
    print_context(f"{options.rounds}, in turn; agents, memory and waits beside a holder in every third")
    cells: dict[str, list[Cell]] = {}
    for part in chosen.only:
        try:
            cells[part] = [*PARTS[part](options)]
        except ImportError as error:
            print(f"{part}: not measured: {error}")
    results, complete = measure_all([cell for of_part in cells.values() for cell in of_part], options.rounds)
    print_results(results)
    if complete and not chosen.quick:
        print_bars(_bars(results, [*cells]))
    if chosen.json:
        write_json(chosen.json, [asdict(result) for result in results])
    return int(any(result.contestant == OURS and result.is_flawed for result in results))


if __name__ == "__main__":
    sys.exit(main())
