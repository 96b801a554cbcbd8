"""What the programs under test do: they write in every way, report each call at once, and go on through errors."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from enum import Enum
from itertools import count
from typing import Any

import aiomemdb
from aiomemdb.config import Durability
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.writing import checkpoints
from tests.faults.sabotage import SABOTAGES
from tests.support.nursery import Worker
from tests.support.workers import DURABLE_WAYS, SCHEMA, WAYS, Recorder

PLAIN, DURABLE = tuple(WAYS), tuple(DURABLE_WAYS)
ONE_JOB = tuple(way for way in PLAIN + DURABLE if way != "flush")  # the outcome is known as a whole
# One caller, mostly with lone inserts: without a sync those run in autocommit.
LONE: dict[str, Any] = {"callers": 1, "ways": ("write",) * 8 + ONE_JOB}
MOST_HANDLES = 16  # a recorder's tokens have four bits for it
FAILED = (sqlite3.Error, aiomemdb.AiomemdbError, OSError)


async def write_until_stopped(
    worker: Worker,
    *,
    path: str,
    durability: Durability,
    ways: Sequence[str] = PLAIN + DURABLE,
    callers: int = 3,
    seed: int = 0,
    sabotage: str | None = None,
) -> None:
    """``callers`` tasks write, in ways that the seed chooses, until something fails; then it waits to be killed."""
    logging.disable()  # what fails is told by the calls
    if sabotage is not None:
        SABOTAGES[sabotage]()

    async def call(number: int) -> None:
        choice = random.Random(f"{seed}.{number}")
        for _ in count():
            await recorder.append(choice.choice(ways))

    try:
        db = await aiomemdb.connect(path, durability=durability, readers=1)
        await db.write_script(SCHEMA)
        recorder = Recorder(worker, db, at_once=True)
        await asyncio.gather(*[call(number) for number in range(callers)])
    except FAILED:
        worker.report(failed=True)
    await asyncio.Event().wait()


async def write_jobs(
    worker: Worker,
    *,
    path: str,
    jobs: int,
    durability: Durability = "normal",
    ways: Sequence[str] = PLAIN + DURABLE,
    callers: int = 3,
    seed: int = 0,
    small_log: bool = False,
    die: bool = False,
    sabotage: str | None = None,
) -> None:
    """Each of ``callers`` does so many ``jobs``; then it closes the database, or dies of kill -9.

    With ``small_log`` the log is moved into the file after every 20 pages instead of every 1,000.
    """
    logging.disable()
    if sabotage is not None:
        SABOTAGES[sabotage]()
    if small_log:
        checkpoints._PAGES = 20

    async def call(number: int) -> None:
        choice = random.Random(f"{seed}.{number}")
        for _ in range(jobs):
            await recorder.append(choice.choice(ways))

    async with aiomemdb.connect(path, durability=durability, readers=1) as db:
        await db.write_script(SCHEMA)
        recorder = Recorder(worker, db, at_once=True)
        await asyncio.gather(*[call(number) for number in range(callers)])
        if die:
            os.kill(os.getpid(), signal.SIGKILL)


async def write_under_fire(
    worker: Worker, *, path: str, tasks: int, jobs: int, seed: int, faults: bool, sabotage: str | None = None
) -> None:
    """Each of ``tasks`` does so many ``jobs``; a third of these is cancelled, soon or later; one task only reads.

    With ``faults`` the log can't grow for this process every now and then; where its writer stopped, the database is
    opened anew.
    """
    logging.disable()
    if sabotage is not None:
        SABOTAGES[sabotage]()
    dice = random.Random(f"{seed}.{worker.number}")

    async def call(recorder: Recorder) -> None:
        for _ in range(jobs):
            job = asyncio.create_task(recorder.append(dice.choice(PLAIN)))
            if dice.random() < 0.3:
                for _ in range(dice.choice([0, 1, 2, 5, 20])):
                    await asyncio.sleep(0)
                job.cancel()
            [outcome] = await asyncio.gather(job, return_exceptions=True)
            if isinstance(outcome, BaseException) and not isinstance(outcome, (*FAILED, asyncio.CancelledError)):
                raise outcome

    async def look(recorder: Recorder) -> None:
        for _ in range(jobs):
            await recorder.look()

    async def break_log() -> None:
        while True:
            await asyncio.sleep(dice.uniform(0, 0.2))
            _limit_file_sizes(path)
            await asyncio.sleep(dice.uniform(0, 0.02))
            _lift_limit(path)

    worker.meet()
    breaking = asyncio.create_task(break_log()) if faults else None
    for handle in range(MOST_HANDLES):
        async with await _opened(path) as db:
            recorder = Recorder(worker, db, handle=handle, at_once=True)
            await asyncio.gather(look(recorder), *[call(recorder) for _ in range(tasks)])
            if await _still_writes(db):
                break
    if breaking is not None:
        breaking.cancel()


async def _opened(path: str) -> SQLiteDatabase:
    """With its tables, as soon as the log may grow."""
    while True:
        with suppress(*FAILED):
            db = await aiomemdb.connect(path, readers=1)
            try:
                await db.write_script(SCHEMA)
                return db
            except FAILED:
                await db.close()
        await asyncio.sleep(0.001)


async def _still_writes(db: SQLiteDatabase) -> bool:
    try:
        await db.write_fn(lambda conn: None)
    except aiomemdb.WriterCrashed:
        return False
    except FAILED:
        pass
    return True


class Ends(Enum):
    """How a program that has met faults ends."""

    CLOSED = "it closes the database"
    KILLED = "it dies of kill -9 when all is done"
    KILLED_AT_ONCE = "it dies of kill -9 when the first call has failed"


async def write_through_faults(
    worker: Worker,
    *,
    path: str,
    ends: str,
    jobs: int = 4,
    ways: Sequence[str] = ONE_JOB,
    callers: int = 3,
    durability: Durability = "normal",
    seed: int = 0,
    fault: str | None = None,
    room: int = 0,
    sabotage: str | None = None,
) -> None:
    """Writes while calls of the system fail, opening the database anew where its writer has stopped.

    Reports each error and, once a last write was acknowledged at the first or second try, the statistics then.

    Args:
        fault, room: one of ``FAULTS`` that it brings on itself when the database is open, and how many bytes can still
            be written; it ends the fault before the last write.
    """
    logging.disable()
    if sabotage is not None:
        SABOTAGES[sabotage]()
    checkpoints._PAGES = 10

    def failed(error: BaseException) -> None:
        worker.report(error=type(error).__name__, applied=getattr(error, "applied", False), text=str(error)[:300])
        if Ends(ends) is Ends.KILLED_AT_ONCE:
            os.kill(os.getpid(), signal.SIGKILL)

    async def call(recorder: Recorder, number: int) -> None:
        choice = random.Random(f"{seed}.{number}")
        for _ in range(jobs):
            try:
                await recorder.append(choice.choice(ways))
            except FAILED as error:
                failed(error)

    async def session(handle: int) -> None:
        async with aiomemdb.connect(path, durability=durability, readers=1) as db:
            await at_second_try(lambda: db.write_script(SCHEMA))
            recorder = Recorder(worker, db, handle=handle, at_once=True)
            if fault is not None and handle == 0:
                FAULTS[fault][0](path, room)
            await asyncio.gather(*[call(recorder, number) for number in range(callers)])
            for maintain in (db.checkpoint, db.flush):
                try:
                    await maintain()
                except FAILED as error:
                    failed(error)
            if fault is not None:
                FAULTS[fault][1](path)
            if Ends(ends) is Ends.KILLED:
                os.kill(os.getpid(), signal.SIGKILL)
            await at_second_try(lambda: recorder.append("durable write"))
            statistics = db.statistics()
            worker.report(
                statistics=[statistics.checkpoint_failures, statistics.pending, statistics.running], handle=handle
            )

    async def at_second_try(do: Callable[[], Awaitable[object]]) -> None:
        try:
            await do()
        except FAILED as error:
            failed(error)
            await do()

    for handle in range(3):
        try:
            await session(handle)
            return
        except FAILED as error:
            failed(error)


def _limit_file_sizes(path: str, room: int = 4096 + 24 + 2048) -> None:
    """The log can grow by so many bytes: what crosses the limit is written in part, what comes behind it, not."""
    size = os.stat(f"{path}-wal").st_size + room
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def _lift_limit(path: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


def _fill_disk(path: str, room: int = 6 * 4096) -> None:
    """All but so many bytes of the file system."""
    folder = os.path.dirname(path)
    file_system = os.statvfs(folder)
    with open(f"{folder}/filling", "wb") as file:
        file.write(bytes(file_system.f_bsize * file_system.f_bavail - room))


def _enlarge_disk(path: str) -> None:
    subprocess.run(["mount", "-o", "remount,size=64m", os.path.dirname(path)], check=True)


# By name: what brings the fault on, in a given room, and what ends it.
FAULTS: dict[str, tuple[Callable[[str, int], None], Callable[[str], None]]] = {
    "the log can't grow": (_limit_file_sizes, _lift_limit),
    "the disk is full": (_fill_disk, _enlarge_disk),
}


def main() -> None:
    """``python -m tests.faults.writing '{"name": "write_jobs", ...}'``: reports to standard output."""
    order = json.loads(sys.argv[1])
    worker = Worker(order.pop("number"), reports=1, barrier=-1)
    aiomemdb.run(globals()[order.pop("name")](worker, **order))


if __name__ == "__main__":
    main()
