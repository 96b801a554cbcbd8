"""What is measured, and by which names."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import SQLiteDatabase, telemetry
from aiomemdb.observing import LockWaited
from tests.telemetry.conftest import SCHEMA, Measures

INSERT = "INSERT INTO note (name) VALUES (?)"


async def test_the_duration_of_each_operation_is_measured_by_verb_and_error(
    db: SQLiteDatabase, measures: Measures
) -> None:
    await asyncio.gather(*(db.write(INSERT, (name,)) for name in "abc"))
    with pytest.raises(sqlite3.IntegrityError):
        await db.write(INSERT, ("a",))
    await db.read("SELECT * FROM note")
    counted = {
        (point.attributes["db.operation.name"], point.attributes.get("error.type")): point.count
        for point in measures.points("db.client.operation.duration")
    }
    assert counted == {("write", None): 3, ("write", "sqlite3.IntegrityError"): 1, ("read", None): 1}
    [point] = [
        p for p in measures.points("db.client.operation.duration") if p.attributes["db.operation.name"] == "read"
    ]
    assert point.attributes == {
        "db.system.name": "sqlite",
        "db.namespace": str(db._target),
        "db.operation.name": "read",
    }
    assert point.explicit_bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10) and 0 <= point.sum < 60


async def test_batches_are_measured_by_their_jobs_and_what_they_waited(db: SQLiteDatabase, measures: Measures) -> None:
    await asyncio.gather(*(db.write(INSERT, (name,)) for name in range(100)))
    [size], [wait] = measures.points("aiomemdb.batch.size"), measures.points("aiomemdb.queue.wait")
    assert size.sum == 100 and size.count == wait.count and size.max > 1 and wait.min >= 0


async def test_what_a_batch_waits_for_other_processes_is_measured(db: SQLiteDatabase, measures: Measures) -> None:
    assert db._assembly is not None
    assert measures.points("aiomemdb.lock.wait") == []
    db._assembly.observers.tell(LockWaited(0.25))
    [wait] = measures.points("aiomemdb.lock.wait")
    assert (wait.count, wait.sum) == (1, 0.25)


async def test_the_size_of_the_log_is_measured_when_it_is_asked_for(db: SQLiteDatabase, measures: Measures) -> None:
    await db.write(INSERT, ("x" * 100_000,))
    assert db._writer is not None
    db._writer.session.identity.look()  # as it does from time to time
    [size] = measures.points("aiomemdb.wal.size")
    assert size.value == db.statistics().wal_bytes >= 100_000
    assert size.attributes == {"db.system.name": "sqlite", "db.namespace": str(db._target)}


async def test_databases_of_one_provider_share_its_instruments(tmp_path: Path, measures: Measures) -> None:
    end = telemetry.instrument(meter_provider=measures.provider)
    try:
        async with aiomemdb.connect(tmp_path / "a.db") as one, aiomemdb.connect(":memory:") as other:
            await asyncio.gather(one.write_script(SCHEMA), other.write_script(SCHEMA))
            names = {point.attributes["db.namespace"] for point in measures.points("aiomemdb.wal.size")}
            assert names == {str(tmp_path / "a.db"), ":memory:"}
            sizes = measures.points("aiomemdb.batch.size")
            assert [point.count for point in sizes] == [1, 1]
    finally:
        end()
