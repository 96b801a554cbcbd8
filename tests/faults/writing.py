"""What the programs under test do: they write in every way, report each call at once, and go on through errors."""

from __future__ import annotations

import asyncio
import logging
import random
import sqlite3
from collections.abc import Sequence
from itertools import count

import aiomemdb
from tests.faults.sabotage import SABOTAGES
from tests.support.nursery import Worker
from tests.support.workers import DURABLE_WAYS, SCHEMA, WAYS, Recorder

PLAIN, DURABLE = tuple(WAYS), tuple(DURABLE_WAYS)
FAILED = (sqlite3.Error, aiomemdb.AiomemdbError, OSError)


async def write_until_stopped(
    worker: Worker,
    *,
    path: str,
    durability: aiomemdb.Durability,
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
