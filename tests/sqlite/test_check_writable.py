"""check_writable: what a write would raise at once, without one."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

import aiomemdb
from tests.support.gates import Gate


async def test_check_writable_raises_inside_the_callers_own_transaction_alone(db_path: Path) -> None:
    async def another_task() -> None:
        db.check_writable()

    async with aiomemdb.connect(db_path) as db:
        db.check_writable()
        others = asyncio.Event()

        async def stranger() -> None:
            await others.wait()
            db.check_writable()

        strange = asyncio.create_task(stranger())  # it was there before the transaction
        async with db.transaction():
            with pytest.raises(aiomemdb.ReentrancyError):
                db.check_writable()
            with pytest.raises(aiomemdb.ReentrancyError):
                await asyncio.create_task(another_task())  # which the holder waits for
            others.set()
            await strange
        db.check_writable()


async def test_a_full_queue_is_no_reason(db_path: Path) -> None:
    async with aiomemdb.connect(db_path, max_pending=1) as db:
        with Gate() as gate:
            held = asyncio.create_task(db.write_fn(gate.block))
            await gate.wait_entered()
            waiting = db.submit("PRAGMA user_version")
            with pytest.raises(aiomemdb.QueueFull):
                db.submit("PRAGMA user_version")
            db.check_writable()
            gate.open()
            await held
            await waiting


async def test_check_writable_raises_where_nothing_can_be_written(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        with pytest.raises(aiomemdb.WrongLoop):
            await asyncio.to_thread(db.check_writable)
    with pytest.raises(aiomemdb.DatabaseClosed):
        db.check_writable()
    async with aiomemdb.connect(db_path, read_only=True) as reading:
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            reading.check_writable()
