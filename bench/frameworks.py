"""Frameworks: what their own classes on SQLite do with many agents, beside ours on one aiomemdb database.

    make bench-frameworks
    python bench/frameworks.py [--rounds 5] [--quick] [--agents 64 256 512] [--only langgraph] [--json FOLDER]

Each agent takes one step after another until the time is up; a step counts when all its awaits have returned. Both
classes are measured in turn, each in a process and on a file of its own, on the same loop. Afterwards the file is
compared with what the agents were told: "lost" is acknowledged and not there, "doubled" is there twice. "p99" is of
the steps' waits, "threads" the most that the process had. A framework that is not installed is left out.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import multiprocessing
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from multiprocessing.connection import Connection

from _harness import alternate, fresh_folder, on_loop, option_parser, print_context, write_json
from adapters._common import Bar, Open, Workload

FRAMEWORKS = ["langgraph", "openai_agents", "google_adk"]
AGENTS = [64, 256, 512]
_FORK = multiprocessing.get_context("fork")
_GRACE = 20.0  # seconds for steps under way when the time is up; what hangs longer has failed


@dataclass(slots=True)
class Measured:
    """What one class did; times are seconds, the rate is steps a second."""

    rate: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    threads: int = 0
    acknowledged: int = 0
    errors: int = 0
    lost: int = 0
    doubled: int = 0
    hung: int = 0
    kinds: list[str] = field(default_factory=list)


def workloads(only: list[str] | None) -> Iterator[Workload]:
    for name in only or FRAMEWORKS:
        try:
            module = importlib.import_module(f"adapters.{name}")
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        yield from module.WORKLOADS


async def drive(open_: Open, path: str, agents: int, seconds: float) -> tuple[Measured, list[tuple[int, int]]]:
    measured, waits, told = Measured(), [], []
    kinds: Counter[str] = Counter()
    async with open_(path) as step:
        for number in range(4):  # tables made, first statements compiled
            await step(agents, number)
            told.append((agents, number))
        gc.collect()
        began = time.perf_counter()
        end = began + seconds
        in_time = 0

        async def run(agent: int) -> None:
            nonlocal in_time
            number = 0
            while (start := time.perf_counter()) < end:
                number += 1
                try:
                    await step(agent, number)
                except Exception as error:
                    kinds[f"{type(error).__name__}: {error}"[:120]] += 1
                    continue
                now = time.perf_counter()
                told.append((agent, number))
                waits.append(now - start)
                in_time += now <= end

        tasks = [asyncio.create_task(run(agent)) for agent in range(agents)]
        await asyncio.sleep(seconds / 2)
        measured.threads = threading.active_count()
        _, hanging = await asyncio.wait(tasks, timeout=seconds / 2 + _GRACE)
        measured.hung = len(hanging)
        for task in hanging:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        measured.threads = max(measured.threads, threading.active_count())
    measured.rate = in_time / seconds
    measured.acknowledged = len(told)
    measured.errors = sum(kinds.values())
    measured.kinds = [f"{count} × {kind}" for kind, count in kinds.most_common(3)]
    if len(waits) > 1:
        cuts = statistics.quantiles(waits, n=100)
        measured.p50, measured.p99 = cuts[49], cuts[98]
    return measured, told


def _cell(pipe: Connection, workload: Workload, open_: Open, agents: int, seconds: float) -> None:
    with fresh_folder() as path:
        measured, told = on_loop(lambda: drive(open_, path, agents, seconds))
        stored = workload.stored(path)
    measured.lost = sum(stored[step] < count for step, count in Counter(told).items())
    measured.doubled = sum(count > 1 for count in stored.values())
    pipe.send(measured)


def cell(workload: Workload, open_: Open, agents: int, seconds: float) -> Measured:
    """In a process of its own: it has imported everything, and opened nothing."""
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_cell, args=(theirs, workload, open_, agents, seconds))
    process.start()
    theirs.close()
    try:
        if ours.poll(seconds + 3 * _GRACE):
            measured: Measured = ours.recv()
            return measured
    except EOFError:
        pass
    finally:
        process.kill()
        process.join()
    return Measured(hung=agents, kinds=["the process hung, or died"])


def median(rounds: list[Measured]) -> Measured:
    """Medians of speed; of all that went wrong, the sums."""

    def of(name: str, combine: Callable[[list[float]], float]) -> float:
        return combine([getattr(one, name) for one in rounds])

    middle = Measured(kinds=sorted({kind for one in rounds for kind in one.kinds}))
    for name in ("rate", "p50", "p99"):
        setattr(middle, name, of(name, statistics.median))
    for name in ("acknowledged", "errors", "lost", "doubled", "hung"):
        setattr(middle, name, int(of(name, sum)))
    middle.threads = int(of("threads", max))
    return middle


def line(agents: int, name: str, one: Measured, note: str = "") -> str:
    wrong = f"{one.errors:>8,} {one.lost:>6,} {one.doubled:>8,} {one.hung:>6,}"
    speed = f"{one.rate:>9,.0f} {1000 * one.p50:>9.1f} {1000 * one.p99:>9.1f} {one.threads:>8}"
    return f"{agents:>6}  {name:34} {wrong} {speed}  {note}"


def verdict(bar: Bar, rate: float, p99: float) -> str:
    met = rate >= bar.rate and (bar.p99 is None or p99 <= bar.p99)
    wanted = f"≥ {bar.rate:g} ×" + ("" if bar.p99 is None else f", ≤ {bar.p99:.2f} ×")
    return f"bar: {wanted}: {'met' if met else 'MISSED'}"


def main() -> int:
    parser = option_parser(__doc__, quick="one short round with 64 agents: does it run, is nothing lost?")
    parser.set_defaults(rounds=5)
    parser.add_argument("--agents", type=int, nargs="+", default=AGENTS)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--only", nargs="+", choices=FRAMEWORKS)
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.agents, options.seconds = 1, [64], 0.5
    print_context(f"{options.rounds} of {options.seconds:g} s each, in turn; medians, and sums of what went wrong")
    failed = False
    results: dict[str, object] = {}
    for workload in workloads(options.only):
        print(f"\n{workload.what}\n{'agents':>6}  {'':34} {'errors':>8} {'lost':>6} {'doubled':>8} {'hung':>6}", end="")
        print(f" {'steps/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'threads':>8}")
        for agents in sorted({*options.agents, workload.bar.agents}):
            sides = dict([workload.theirs, *workload.others, workload.ours])
            measured = alternate(
                {name: partial(cell, workload, open_, agents, options.seconds) for name, open_ in sides.items()},
                options.rounds,
            )
            of = {name: median(measured[name]) for name in sides}
            theirs, ours = of[workload.theirs[0]], of[workload.ours[0]]
            for name, one in of.items():
                rate = one.rate / theirs.rate if theirs.rate else float("inf")
                p99 = one.p99 / theirs.p99 if theirs.p99 else 0.0
                note = "" if one is theirs else f"{rate:5.1f} × the rate, {p99:.3f} × the p99"
                if one is ours and agents == workload.bar.agents and not options.quick:
                    note += f"  ({verdict(workload.bar, rate, p99)})"
                print(line(agents, name, one, note))
                for kind in one.kinds:
                    print(f"{'':8}{kind}")
            wrong = ours.errors or ours.lost or ours.doubled or ours.hung
            failed |= bool(wrong)
            results[f"{workload.what}, {agents}"] = {name: asdict(one) for name, one in of.items()}
    if options.json:
        write_json(options.json, results)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
