"""What holds of an open database whatever was cancelled, timed out or failed before."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack

from aiomemdb.sqlite.engine.database import SQLiteDatabase
from tests.support.plain import assert_healthy


async def eventually(holds: Callable[[], bool], *, timeout: float = 60.0) -> None:
    """Waits for what a database thread still reports to the loop; for nothing that a test could wait for itself."""
    async with asyncio.timeout(timeout):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def assert_whole(db: SQLiteDatabase, *, timeout: float = 60.0) -> None:
    """No transaction is open, no reader is lost, nothing waits, and every verb works."""
    async with asyncio.timeout(timeout):
        await db.flush()  # behind all that was posted to the writer
        assert_healthy(await db.read_value("SELECT file FROM pragma_database_list WHERE name = 'main'"))
        assert db._readers is not None
        async with AsyncExitStack() as stack:
            # Each but one may be leased, and the last one still answers. Those that were not needed yet are opened.
            for _ in range(db._readers._at_most - 1):
                snapshot = await stack.enter_async_context(db.snapshot())
                assert await snapshot.read_value("SELECT 1") == 1
            assert await db.read_value("SELECT 2") == 2
        async with db.transaction() as tx:
            await tx.read("SELECT 1")
        await eventually(lambda: db.statistics().readers_busy == 0)
    statistics = db.statistics()
    assert statistics.readers == db._readers._at_most
    assert (statistics.pending, statistics.running, statistics.reads_pending) == (0, 0, 0)
    assert statistics.transaction_holder is None
