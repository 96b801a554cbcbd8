"""What grows: rows in the file, jobs in the queue, processes on the file."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from random import Random

import processes as many
from _cells import OURS, Cell, Options
from _driving import Crowd, Sample, check_notes, run_for
from _harness import BODY, INSERT, check_count, fresh_database, fresh_folder, on_loop, pinned, plain
from _names import LIMIT, MANY
from peers import Aiomemdb, AiosqliteShared, Contestant

from ._common import POINT_READ, insert_with, opened, point_read_with

__all__ = ["processes", "queues", "rows"]


def rows(options: Options) -> Iterator[Cell]:
    templates = tempfile.mkdtemp(prefix="aiomemdb-bench-")
    atexit.register(shutil.rmtree, templates, ignore_errors=True)
    sizes = [1_000, 10_000] if options.quick else [10_000, 100_000, 1_000_000]
    for size in [*sizes, 10_000_000] if options.full else sizes:
        for kind in (Aiomemdb, AiosqliteShared):
            for workload, measure in (("storm by rows", storm_on), ("point reads by rows", reads_on)):
                bar = kind is Aiomemdb and size in (sizes[0], 10_000_000)
                run = partial(measure, kind, Path(templates), size, options.seconds)
                yield Cell(workload, kind.name, size, run, 1 if bar else 3, at_most=120)
        yield Cell("point reads by rows", LIMIT, size, partial(plain_reads_on, Path(templates), size, options.seconds))


def with_rows(templates: Path, size: int, path: str) -> str:
    """A new file with so many rows; built once, then copied."""
    template = templates / f"{size}.db"
    if not template.exists():
        with fresh_database(rows=size) as built:  # closed: without a log
            shutil.move(built, template)
    shutil.copyfile(template, path)
    # Otherwise the first checkpoint of the measurement waits until the disk has all of it: with ten million rows, 1 GB.
    with open(path, "rb") as copy:
        os.fsync(copy.fileno())
    return path


def storm_on(kind: Callable[..., Contestant], templates: Path, size: int, seconds: float) -> Sample:
    """Inserts a second of 1,000 tasks into a table of so many rows."""
    with fresh_folder() as path:
        with_rows(templates, size, path)

        async def main() -> tuple[Crowd, Sample]:
            async with opened(kind(path), MANY) as sessions:
                crowd = Crowd("write", [insert_with(session) for session in sessions], each=20)
                return crowd, await run_for(seconds, crowd)

        crowd, sample = on_loop(main)
        check_notes(path, crowd, sample, before=size)
    return sample


def reads_on(kind: Callable[..., Contestant], templates: Path, size: int, seconds: float) -> Sample:
    """Reads a second of 1,000 tasks, of random ones among so many rows."""
    with fresh_folder() as path:
        with_rows(templates, size, path)

        async def main() -> Sample:
            async with opened(kind(path), MANY) as sessions:
                operations = [point_read_with(session, size, number) for number, session in enumerate(sessions)]
                return await run_for(seconds, Crowd("read", operations))

        return on_loop(main)


def plain_reads_on(templates: Path, size: int, seconds: float) -> Sample:
    with fresh_folder() as path:
        connection = plain(with_rows(templates, size, path))
        randrange, done, began = Random(0).randrange, 0, time.perf_counter()
        while time.perf_counter() - began < seconds:
            for _ in range(100):
                connection.execute(POINT_READ, (randrange(size) + 1,)).fetchall()
            done += 100
        took = time.perf_counter() - began
        connection.close()
    return Sample(rate=done / took)


def queues(options: Options) -> Iterator[Cell]:
    lengths = [1_000, 10_000] if options.quick else [10_000, 100_000]
    for length in [*lengths, 1_000_000] if options.full else lengths:
        yield Cell("a queue of jobs", OURS, length, partial(queue_of, length), every=1)


def queue_of(length: int) -> Sample:
    """Jobs a second, from the first submit to the last answer, and the bytes that each takes while it waits.

    All share their parameters, which are thus not counted, but nothing else.
    """
    with fresh_database() as path:

        async def main() -> Sample:
            ours = Aiomemdb(path, max_pending=length)
            async with opened(ours, 1):
                params, submit = (1, BODY), ours.db.submit
                before, began = memory(), time.perf_counter()
                for _ in range(length):
                    last = submit(INSERT, params)
                waiting = memory() - before
                await last
                took = time.perf_counter() - began
            return Sample(rate=length / took, figures={"bytes a job": waiting / length})

        sample = on_loop(main)
        check_count(path, length)
    return sample


def memory() -> int:
    """What the process has in memory, in bytes (proc_pid_statm(5)); 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def processes(options: Options) -> Iterator[Cell]:
    """bench/processes.py's loads of 20 callers in each process; run by itself it knows more."""
    callers, seconds = 20, 0.3 if options.quick else 1.5
    for number in (1, 4) if options.quick else (1, 2, 10, 50):
        for name, program in many.PROGRAMS.items():
            measure = partial(load, program, number, callers, seconds)
            bar = name == OURS and number in (1, 50)
            contestant = name if name == OURS else "aiosqlite, one a process"
            yield Cell(
                "writes of many processes", contestant, number, measure, 1 if bar else 3, at_most=many.AT_MOST + 10
            )
            if number == 1 and name == OURS and hasattr(os, "sched_setaffinity"):
                yield Cell("writes of one process on one core", contestant, number, pinned(measure), 1)


def load(program: Callable[..., object], number: int, callers: int, seconds: float) -> Sample:
    measured = many.measure(program, number, callers, seconds)  # type: ignore[arg-type]
    return Sample(
        rate=measured.rate,
        errors=measured.errors,
        first_error=measured.first_error,
        figures={"Jain": measured.jain, "longest wait, s": measured.longest_wait, "cores": measured.cores},
    )
