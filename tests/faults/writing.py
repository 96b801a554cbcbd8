"""What the programs under test do: they write in every way, report each call at once, and go on through errors."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Sequence
from itertools import count

import aiomemdb
from aiomemdb.config import Durability
from aiomemdb.sqlite import maintenance
from tests.faults.sabotage import SABOTAGES
from tests.support.nursery import Worker
from tests.support.workers import DURABLE_WAYS, SCHEMA, WAYS, Recorder

PLAIN, DURABLE = tuple(WAYS), tuple(DURABLE_WAYS)
FAILED = (sqlite3.Error, aiomemdb.AiomemdbError, OSError)


async def write_until_stopped(
    worker: Worker,
    *,
    path: str,
    durability: Durability,
    ways: Sequence[str],
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
    """Each of ``callers`` does so many ``jobs``, whatever fails; then it closes the database, or dies of kill -9.

    With ``small_log`` the log is moved into the file after every 20 pages instead of every 1,000.
    """
    logging.disable()
    if sabotage is not None:
        SABOTAGES[sabotage]()
    if small_log:
        maintenance._PAGES = 20

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


def main() -> None:
    """``python -m tests.faults.writing '{"name": "write_jobs", ...}'``: reports to standard output."""
    order = json.loads(sys.argv[1])
    worker = Worker(order.pop("number"), reports=1, barrier=-1)
    aiomemdb.run(globals()[order.pop("name")](worker, **order))


if __name__ == "__main__":
    main()
