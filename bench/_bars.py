"""The bars that the project holds itself to: each a ratio, or a figure, of cells that one run measured in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from _cells import OURS, Result
from _names import AIOSQLITE, AIOSQLITE_FOUR, COMMIT_EACH, FUTURES, LIMIT, MANY, ONE_TRANSACTION, SYNC, UPDATES

__all__ = ["Bar", "bars_of"]

STORM = "1,000 tasks, 20 inserts each"


@dataclass(frozen=True, slots=True)
class Bar:
    """One line: what was measured, what it is held against, and the ratio or figure that came out.

    Attributes:
        bar: at least so much, or at most.
    """

    work: str
    measured: str
    against: str
    value: float
    unit: str
    bar: float
    at_least: bool

    @property
    def name(self) -> str:
        """What it compares, without the figures of the run."""
        return f"{self.work}, against {self.against.partition(':')[0].partition(',')[0]}"

    @property
    def holds(self) -> bool:
        return self.value >= self.bar if self.at_least else self.value <= self.bar


class Measured:
    """What was measured, by workload, contestant and size."""

    def __init__(self, results: Sequence[Result]) -> None:
        self.results = {(result.workload, result.contestant, result.x): result for result in results}

    def __call__(self, workload: str, x: int, contestant: str = OURS) -> Result:
        return self.results[workload, contestant, x]


def bars_of(results: Sequence[Result]) -> list[Bar]:
    """Those bars that have all their cells measured."""
    bars: list[Bar] = []
    for part in (_writes, _full, _updates, _alone, _transactions, _reads, _beside, _processes, _rows, _queue):
        try:
            bars += part(Measured(results))
        except KeyError:  # a cell of the part is missing: it was not run
            continue
    return bars


def each(result: Result) -> str:
    return f"{1e6 / result.rate:.2f} µs"


def _writes(of: Measured) -> Iterator[Bar]:
    ours, futures, plain = of(STORM, MANY), of(STORM, MANY, FUTURES), of(STORM, MANY, ONE_TRANSACTION)
    floor = 1 / futures.rate + 1 / plain.rate
    against = f"the floor, {floor * 1e6:.2f} µs (plain sqlite3 {each(plain)} + futures {each(futures)})"
    yield Bar(STORM, each(ours), against, floor * ours.rate, "× its throughput", 0.75, True)
    for peer, what, bar in (
        (
            of(f"{STORM}, full", MANY, AIOSQLITE),
            "one aiosqlite connection, a commit each, as it comes",
            40.0,
        ),
        (of(STORM, MANY, AIOSQLITE), "the same at synchronous=NORMAL, as ours", 0.0),
    ):
        yield Bar(STORM, each(ours), f"{what}: {each(peer)}", ours.rate / peer.rate, "× faster", bar, True)


def _updates(of: Measured) -> Iterator[Bar]:
    ours, peer = of(UPDATES, 100), of(UPDATES, 100, AIOSQLITE)
    against = f"aiosqlite, one connection: {each(peer)}"
    yield Bar("100 tasks update one row", each(ours), against, ours.rate / peer.rate, "× faster", 5.0, True)


def _full(of: Measured) -> Iterator[Bar]:
    work = f"{STORM}, full"
    ours, normal, plain, sync = of(work, MANY), of(STORM, MANY), of(work, MANY, COMMIT_EACH), of(work, MANY, SYNC)
    yield Bar(
        work, each(ours), f'aiomemdb at "normal", {each(normal)}', ours.rate / normal.rate, "× its rate", 0.85, True
    )
    against = f"plain sqlite3, a commit each: {each(plain)} (fdatasync {each(sync)})"
    yield Bar(work, each(ours), against, ours.rate / plain.rate, "× faster", 30.0, True)


def _alone(of: Measured) -> Iterator[Bar]:
    for work, workload, peer_call, pinned, unpinned in (
        ("one caller, one write after another", "storm", "autocommit execute", 1.25, 1.5),
        ("one caller, one point read after another", "point reads", "execute_fetchall", 1.15, 1.15),
    ):
        for where, name, bar in ((", one core", f"{workload}, one core", pinned), ("", workload, unpinned)):
            ours, peer = of(name, 1), of(name, 1, AIOSQLITE)
            against = f"aiosqlite's {peer_call}: {each(peer)}"
            yield Bar(work + where, each(ours), against, peer.rate / ours.rate, "× its time", bar, False)


def _transactions(of: Measured) -> Iterator[Bar]:
    ours, write = of("transactions of one write, one core", 1), of("storm, one core", 1)
    work, against = "one caller, a transaction() of one write, one core", f"the write alone: {each(write)}"
    yield Bar(work, each(ours), against, write.rate / ours.rate, "× its time", 2.5, False)


def _reads(of: Measured) -> Iterator[Bar]:
    work, ours = "1,000 tasks of point reads", of("point reads", MANY)
    four, plain = of("point reads", MANY, AIOSQLITE_FOUR), of("point reads", MANY, LIMIT)
    against = f"four aiosqlite connections: {each(four)}"
    yield Bar(work, each(ours), against, ours.rate / four.rate, "× faster", 1.5, True)
    against = f"plain sqlite3 in one thread: {each(plain)}"
    yield Bar(work, each(ours), against, ours.rate / plain.rate, "× its rate", 0.4, True)


def _beside(of: Measured) -> Iterator[Bar]:
    ms: Callable[[float], str] = lambda seconds: f"{seconds * 1e3:.2f} ms"  # noqa: E731
    work, p99 = "64 quick readers beside 3 reports", of("64 quick readers beside 3 reports", 64).waits["quick"][1]
    yield Bar(work, f"p99 {ms(p99)}", "reports of 250 ms, four readers", p99 * 1e3, "ms", 10.0, False)
    work = "64 readers beside 16 writers"
    alone, beside = of("64 readers alone", 64).waits["read"][1], of(work, 64).waits["read"][1]
    # The bar holds with three times as long, or with less than 5 ms.
    bar = max(3.0, 5e-3 / alone)
    yield Bar(work, f"p99 {ms(beside)}", f"without writers: {ms(alone)}", beside / alone, "× as long", bar, False)
    turns = of("20 writes on a busy loop", 20).figures["turns for 20 writes"]
    yield Bar(
        "20 writes on a loop busy in iterations of 4 ms",
        f"{turns:.0f} iterations",
        "one hop a batch",
        turns,
        "iterations",
        5.0,
        False,
    )


def _processes(of: Measured) -> Iterator[Bar]:
    many, one = of("writes of many processes", 50), of("writes of many processes", 1)
    work, rate = "50 processes of 20 callers", f"{many.rate:,.0f}/s"
    yield Bar(
        work, rate, f"one process of 20 callers: {one.rate:,.0f}/s", many.rate / one.rate, "× its rate", 0.6, True
    )
    yield Bar(work, rate, "Jain's index of fairness", many.figures["Jain"], "", 0.95, True)
    yield Bar(work, rate, "the longest wait", many.figures["longest wait, s"], "s", 2.0, False)
    yield Bar(work, rate, "errors", many.errors, "", 0, False)


def _rows(of: Measured) -> Iterator[Bar]:
    few = of("storm by rows", 10_000)
    for rows in (1_000_000, 10_000_000):
        if ("storm by rows", OURS, rows) in of.results:
            many = of("storm by rows", rows)
            against = f"with 10,000: {each(few)}"
            yield Bar(
                f"1,000 tasks insert, {rows:,} rows there",
                each(many),
                against,
                many.rate / few.rate,
                "× its rate",
                0.8,
                True,
            )


def _queue(of: Measured) -> Iterator[Bar]:
    queue = [result for (workload, _, _), result in of.results.items() if workload == "a queue of jobs"]
    if not queue:
        return
    longest, shortest = max(queue, key=lambda result: result.x), min(queue, key=lambda result: result.x)
    work = f"{longest.x:,} jobs wait"
    against = f"{shortest.x:,} jobs: {each(shortest)}"
    yield Bar(work, each(longest), against, longest.rate / shortest.rate, "× its rate", 0.0, True)
    yield Bar(work, each(longest), "memory", longest.figures["bytes a job"], "bytes a job", 512, False)
