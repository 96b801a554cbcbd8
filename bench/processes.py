"""Many processes, one file: throughput, fairness, the longest wait, and the CPU that waiting burns.

    python bench/processes.py [--rounds 9] [--quick] [--json FOLDER] [--processes 2 10 50] [--callers 20 1]

Each load is so many processes, with so many callers in each. Every caller awaits single inserts until the time
is up. The file is brand-new, and all open it at the same instant; when the last one has opened it they begin. The
measure of all is one process with as many callers as each of the many has: "of one" is the throughput of all together
against it as it comes, "pinned" against it held to one core, where its loop and its writer's thread wake each other
faster than across two. Jain's index of fairness, of the writes of each process, is 1 where all did the same, and 1/n
where one did everything. "waiting" is that part of the cores which the wait for turns burns. The peer is what one
writes by hand: in each process one aiosqlite connection, a busy timeout of 5 s, and BEGIN IMMEDIATE around each insert;
its file is already there, in WAL mode.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import resource
import signal
import sqlite3
import statistics
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier
from typing import Any

import aiosqlite
from _harness import (
    BODY,
    INSERT,
    SCHEMA,
    alternate,
    check_count,
    fresh_folder,
    option_parser,
    pinned,
    plain,
    print_context,
    write_json,
)

import aiomemdb
from aiomemdb.sqlite.file.turnstile import Turnstile

# Forked, 50 workers start in a tenth of a second; as 50 interpreters of their own they would cost 10 s of CPU. This
# process may be forked, because it has imported everything and opened nothing.
FORK = multiprocessing.get_context("fork")

# No worker outlives this by much, whatever becomes of the others and of this process, in seconds.
AT_MOST = 60

STOPPED = "beside a stopped holder"

Write = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Worker:
    """What one process did; times are seconds, ``writes`` those acknowledged before the time was up."""

    writes: int = 0
    acknowledged: int = 0
    longest_wait: float = 0.0
    opening: float = 0.0
    errors: list[str] = field(default_factory=list)
    cpu: float = 0.0
    cpu_waiting: float = 0.0
    switches: int = 0
    running: float = 0.0


@dataclass(frozen=True, slots=True)
class Load:
    """What all processes of one load did together."""

    rate: float
    jain: float
    longest_wait: float
    opening: float
    errors: int
    first_error: str
    cores: float
    cores_waiting: float
    switches: float


def jain(shares: Sequence[float]) -> float:
    """Jain's index of fairness (Jain, Chiu and Hawe 1984, https://arxiv.org/abs/cs/9809099)."""
    squares = sum(share * share for share in shares)
    return sum(shares) ** 2 / (len(shares) * squares) if squares else 0.0


# In a worker


async def write_until_time_is_up(write: Write, callers: int, seconds: float, worker: Worker) -> None:
    """So many callers, each awaiting one write after another; fills in what they did."""
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    end = began + seconds

    async def caller() -> None:
        now = time.monotonic()
        while now < end:
            asked = now
            try:
                await write()
            except (sqlite3.Error, aiomemdb.AiomemdbError) as error:
                worker.errors.append(repr(error))
                now = time.monotonic()
            else:
                now = time.monotonic()
                worker.acknowledged += 1
                worker.writes += now < end
            worker.longest_wait = max(worker.longest_wait, now - asked)

    await asyncio.gather(*[asyncio.create_task(caller()) for _ in range(callers)])
    after = resource.getrusage(resource.RUSAGE_SELF)
    worker.running = time.monotonic() - began
    worker.cpu = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    worker.switches = (after.ru_nvcsw + after.ru_nivcsw) - (before.ru_nvcsw + before.ru_nivcsw)


def count_waiting(worker: Worker) -> None:
    """From now on the CPU that waits for turns burn is added up."""
    wait_for_turn = Turnstile._wait

    def counted(turnstile: Turnstile, timeout: float, given_up: Callable[[], bool]) -> None:
        began = time.thread_time()
        try:
            wait_for_turn(turnstile, timeout, given_up)
        finally:
            worker.cpu_waiting += time.thread_time() - began

    Turnstile._wait = counted  # type: ignore[assignment,method-assign]


async def with_aiomemdb(path: str, callers: int, seconds: float, together: Barrier, number: int) -> Worker:
    worker, asked = Worker(), time.monotonic()
    async with aiomemdb.connect(path) as db:
        await db.write_script(SCHEMA)
        worker.opening = time.monotonic() - asked
        together.wait()
        count_waiting(worker)
        await write_until_time_is_up(lambda: db.write(INSERT, (number, BODY)), callers, seconds, worker)
    return worker


async def with_aiosqlite(path: str, callers: int, seconds: float, together: Barrier, number: int) -> Worker:
    worker, asked = Worker(), time.monotonic()
    async with aiosqlite.connect(path, isolation_level=None, timeout=5.0) as db:
        await db.execute("PRAGMA synchronous=NORMAL")
        lock = asyncio.Lock()  # its callers share a connection, and with it the transaction

        async def write() -> None:
            async with lock:
                await db.execute("BEGIN IMMEDIATE")
                await db.execute(INSERT, (number, BODY))
                await db.commit()

        worker.opening = time.monotonic() - asked
        together.wait()
        await write_until_time_is_up(write, callers, seconds, worker)
    return worker


async def holder(path: str, together: Barrier, stopped: Synchronized[int]) -> Worker:
    """Is stopped inside a transaction; when it is woken, it commits."""
    async with aiomemdb.connect(path) as db, db.transaction() as tx:
        await tx.write(INSERT, (0, BODY))
        stopped.value = os.getpid()
        together.wait()
        os.kill(os.getpid(), signal.SIGSTOP)
    return Worker(acknowledged=1)


async def waiter(
    path: str, callers: int, seconds: float, together: Barrier, number: int, stopped: Synchronized[int]
) -> Worker:
    """Waits behind the stopped holder: ``cpu`` and ``running`` are those of the wait alone."""
    worker = Worker()
    async with aiomemdb.connect(path) as db:
        together.wait()
        began, before = time.monotonic(), time.process_time()
        writes = [asyncio.create_task(db.write(INSERT, (number, BODY))) for _ in range(callers)]
        await asyncio.wait(writes, timeout=seconds)
        worker.running, worker.cpu = time.monotonic() - began, time.process_time() - before
        if number == 1:  # not the parent: what is stopped would stay so if that were killed
            os.kill(stopped.value, signal.SIGCONT)
        for outcome in await asyncio.gather(*writes, return_exceptions=True):
            if isinstance(outcome, BaseException):
                worker.errors.append(repr(outcome))
        worker.acknowledged = callers - len(worker.errors)
        worker.longest_wait = time.monotonic() - began
    return worker


PROGRAMS = {"aiomemdb": with_aiomemdb, "aiosqlite": with_aiosqlite}


def serve(main: Callable[[], Coroutine[Any, Any, Worker]], out: Connection) -> None:
    """The whole of a worker process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    signal.alarm(AT_MOST)
    out.send(aiomemdb.run(main()))


# In the parent


@contextmanager
def forked(mains: Sequence[Callable[[], Coroutine[Any, Any, Worker]]]) -> Iterator[list[Connection]]:
    """A worker process for each: where their results come from. None is left at the end."""
    processes, results = [], []
    try:
        for main in mains:
            result, out = FORK.Pipe(duplex=False)
            process = FORK.Process(target=serve, args=(main, out), daemon=True)
            process.start()
            out.close()  # ours: a worker that dies is then an end of file
            processes.append(process)
            results.append(result)
        yield results
        for process in processes:
            process.join()
    finally:
        for process in processes:
            process.kill()  # a stopped one too
            process.join()
            process.close()


def all_of(results: Sequence[Connection]) -> list[Worker]:
    """What the workers did, in whatever order they ended; exits as soon as one of them died."""
    workers: list[Worker] = []
    while missing := [result for result in results if not result.closed]:
        for result in wait(missing):
            assert isinstance(result, Connection)
            try:
                workers.append(result.recv())
            except EOFError:
                raise SystemExit("a worker process died; what it died of stands above") from None
            result.close()
    return workers


def measure(program: Callable[..., Coroutine[Any, Any, Worker]], processes: int, callers: int, seconds: float) -> Load:
    """One load of ``program`` in so many processes."""
    with fresh_folder() as path:
        if program is with_aiosqlite:
            connection = plain(path)
            connection.execute(SCHEMA)
            connection.close()
        together = FORK.Barrier(processes, timeout=AT_MOST)
        mains = [partial(program, path, callers, seconds, together, number) for number in range(processes)]
        with forked(mains) as results:
            workers = all_of(results)
        check_count(path, sum(worker.acknowledged for worker in workers))
    return summary(workers, seconds)


def beside_a_stopped_holder(processes: int, callers: int, seconds: float) -> Load:
    """One process is stopped inside a transaction, and for so long all others wait."""
    with fresh_folder() as path:
        connection = plain(path)
        connection.execute(SCHEMA)
        connection.close()
        together = FORK.Barrier(processes, timeout=AT_MOST)
        stopped = FORK.Value("i")
        mains = [partial(holder, path, together, stopped)]
        mains += [partial(waiter, path, callers, seconds, together, number, stopped) for number in range(1, processes)]
        with forked(mains) as results:
            workers = all_of(results)
        check_count(path, sum(worker.acknowledged for worker in workers))
    return summary(workers, seconds)


def summary(workers: Sequence[Worker], seconds: float) -> Load:
    running = max(worker.running for worker in workers)
    errors = [error for worker in workers for error in worker.errors]
    return Load(
        rate=sum(worker.writes for worker in workers) / seconds,
        jain=jain([worker.writes for worker in workers]),
        longest_wait=max(worker.longest_wait for worker in workers),
        opening=max(worker.opening for worker in workers),
        errors=len(errors),
        first_error=errors[0] if errors else "",
        cores=sum(worker.cpu for worker in workers) / running,
        cores_waiting=sum(worker.cpu_waiting for worker in workers) / running,
        switches=sum(worker.switches for worker in workers) / running,
    )


def main() -> None:
    parser = option_parser(__doc__, quick="one short round of up to 10 processes: does it run?")
    parser.add_argument("--processes", type=int, nargs="+", default=[2, 10, 50])
    parser.add_argument("--callers", type=int, nargs="+", default=[20, 1], help="in each process")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each load")
    options = parser.parse_args()
    if not 0 < options.seconds <= 10:
        parser.error(f"--seconds: at most 10, as no worker lives longer than {AT_MOST}")
    if options.quick:
        options.rounds, options.processes, options.seconds = 1, [min(options.processes), 10], 0.5

    stopped_for = 4 * options.seconds
    most = max(options.processes)
    stopped = partial(beside_a_stopped_holder, most, options.callers[0], stopped_for)
    contestants = dict(loads_of(options.processes, options.callers, options.seconds))
    loads = alternate(contestants | {STOPPED: stopped}, options.rounds)

    print_context(f"{options.rounds}, each load for {options.seconds:g} s; medians")
    for callers in options.callers:
        print_table(callers, loads)
    print(
        f"beside a process stopped for {stopped_for:g} s inside a transaction, {most - 1} waiting writers burn "
        f"{median(loads[STOPPED], 'cores'):.3f} cores (the bar: 0.2 or less)"
    )
    for name, rounds in loads.items():
        for error in [load.first_error for load in rounds if load.errors][:1]:
            print(f"{name}: {error}")
    if options.json:
        figures = ("rate", "jain", "longest_wait", "errors", "cores", "cores_waiting", "switches", "opening")
        medians = {name: {figure: median(rounds, figure) for figure in figures} for name, rounds in loads.items()}
        write_json(options.json, medians)


def loads_of(
    processes: Sequence[int], callers: Sequence[int], seconds: float
) -> Iterator[tuple[str, Callable[[], Load]]]:
    """Each load and its name; "1 pinned" is one process on one core."""
    for each in callers:
        for number in (1, *processes):
            for name, program in PROGRAMS.items():
                load = partial(measure, program, number, each, seconds)
                yield f"{name} {each} {number}", load
                if number == 1 and hasattr(os, "sched_setaffinity"):
                    yield f"{name} {each} 1 pinned", pinned(load)


def median(rounds: Sequence[Load], figure: str) -> float:
    return statistics.median(getattr(load, figure) for load in rounds)


def print_table(callers: int, loads: Mapping[str, Sequence[Load]]) -> None:
    print(
        f"callers in each process: {callers} (bars at 50 processes of 20: 0.6 of one, Jain 0.95, wait 2 s, 1.3 cores)"
    )
    print(
        "  processes    writes/s  of one  pinned  Jain (least)  longest wait (ever)  errors  cores  waiting"
        "  switches/s  opened in"
    )
    for program in PROGRAMS:
        print(f"  {program}")
        prefix = f"{program} {callers} "
        rows = {name.removeprefix(prefix): rounds for name, rounds in loads.items() if name.startswith(prefix)}
        one = median(rows["1"], "rate")
        one_pinned = median(rows.get("1 pinned", rows["1"]), "rate")
        for name, rounds in rows.items():
            print(
                f"  {name:9} {median(rounds, 'rate'):11,.0f} {median(rounds, 'rate') / one:7.2f} "
                f"{median(rounds, 'rate') / one_pinned:7.2f} "
                f"{median(rounds, 'jain'):6.3f} ({min(load.jain for load in rounds):.3f}) "
                f"{median(rounds, 'longest_wait'):9.3f} s ({max(load.longest_wait for load in rounds):.3f} s) "
                f"{sum(load.errors for load in rounds):7} {median(rounds, 'cores'):6.2f} "
                f"{median(rounds, 'cores_waiting'):8.2f} {median(rounds, 'switches'):11,.0f} "
                f"{max(load.opening for load in rounds):8.2f} s"
            )


if __name__ == "__main__":
    main()
