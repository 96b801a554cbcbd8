"""Jobs that are sure to share one batch, and a session without a database around it."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Awaitable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from aiomemdb.observing import Observers
from aiomemdb.sqlite.common.options import SQLiteConfig
from aiomemdb.sqlite.common.recorder import Recorder
from aiomemdb.sqlite.connection.configuring import configure_writer
from aiomemdb.sqlite.connection.guarded import GuardedConnection
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.file.files import FileIdentity, prepare_file
from aiomemdb.sqlite.file.turnstile import Turnstile
from aiomemdb.sqlite.writing.batch import BATCH_SECONDS, run_batch
from aiomemdb.sqlite.writing.session import Session
from tests.support.gates import Gate
from tests.support.whole import eventually


@contextmanager
def time_for_batches(seconds: float = 60.0) -> Iterator[None]:
    """Batches have all the time they need, however busy the machine is: none ends before its jobs do (rule 6). Where a
    test has set a time, it stays.
    """
    limits = run_batch.__kwdefaults__
    assert limits is not None
    if limits["budget"] == BATCH_SECONDS:
        limits["budget"] = seconds
        try:
            yield
        finally:
            limits["budget"] = BATCH_SECONDS
    else:
        yield


async def in_one_batch(db: SQLiteDatabase, *jobs: Awaitable[Any]) -> list[Any]:
    """Runs the jobs while the writer is held, so that they queue up in this order; returns results and exceptions."""
    with Gate() as gate, time_for_batches():
        held = asyncio.create_task(db.write_fn(gate.block, once=True))
        await gate.wait_entered()
        waiting = asyncio.gather(*jobs, return_exceptions=True)
        await eventually(lambda: db.statistics().pending == len(jobs))
        gate.open()
        await held
        return await waiting


@contextmanager
def open_session(path: Path, **options: Any) -> Iterator[Session]:
    """The writer's connection on the calling thread."""
    config, path = SQLiteConfig(**options), prepare_file(path, read_only=False)
    with closing(Turnstile(path)) as turnstile, ExitStack() as ends:
        connection = sqlite3.connect(path, isolation_level=None, factory=GuardedConnection)
        ends.callback(connection.end)
        configure_writer(connection, config=config, path=path, turnstile=turnstile, given_up=lambda: False)
        with closing(FileIdentity(path)) as identity:
            yield Session(
                connection,
                identity,
                turnstile,
                full=config.durability == "full",
                lock_timeout=config.lock_timeout,
                max_value_bytes=config.max_value_bytes,
                recorder=Recorder(Observers()),
            )
