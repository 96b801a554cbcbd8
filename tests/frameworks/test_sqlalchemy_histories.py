"""Random sessions beside ``db.write``, some cancelled: no increment is lost, and no transaction sees two states."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

import aiomemdb
from aiomemdb.integrations.sqlalchemy import create_async_engine
from tests.support.whole import assert_whole

TASKS, STEPS = 8, 12
READ, RAISE = text("SELECT n FROM counter WHERE id = :id"), text("UPDATE counter SET n = :n WHERE id = :id")


async def read(connection: AsyncConnection, counter: int) -> int:
    number = await connection.scalar(READ, {"id": counter})
    assert isinstance(number, int)
    return number


async def pause(chance: random.Random) -> None:
    """As for a model: shorter and longer than an idle transaction may keep the writer."""
    await asyncio.sleep(chance.choice([0, 0, 0.001, 0.01, 0.05]))


async def transact(engine: AsyncEngine, chance: random.Random, raised: list[int]) -> None:
    """Reads both counters, pauses, reads them again and raises one, perhaps inside a savepoint."""
    async with engine.begin() as connection:
        counters = await read(connection, 0), await read(connection, 1)
        await pause(chance)
        which = chance.randrange(2)
        if chance.random() < 0.3:
            async with connection.begin_nested() as undone:
                await connection.execute(RAISE, {"n": -1, "id": which})
                await undone.rollback()
        assert (await read(connection, 0), await read(connection, 1)) == counters, "two states in one transaction"
        if chance.random() < 0.7:
            await connection.execute(RAISE, {"n": counters[which] + 1, "id": which})
            await pause(chance)
            assert await read(connection, which) == counters[which] + 1
        else:
            which = -1
    if which >= 0:
        raised[which] += 1


@pytest.mark.parametrize("seed", range(3))
async def test_no_increment_is_lost_and_no_transaction_sees_two_states(db_path: Path, seed: int) -> None:
    raised, unknown = [0, 0], [0, 0]
    async with aiomemdb.connect(db_path, readers=3) as db:
        await db.write("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER)")
        await db.write_many("INSERT INTO counter VALUES (?, 0)", [(0,), (1,)])
        engine = create_async_engine(db, connect_args={"idle": 0.02, "patience": 0.02, "timeout": 30})

        async def work(chance: random.Random) -> None:
            for _ in range(STEPS):
                if chance.random() < 0.2:
                    which = chance.randrange(2)
                    await db.write("UPDATE counter SET n = n + 1 WHERE id = ?", (which,))
                    raised[which] += 1
                elif chance.random() < 0.2:
                    await cancelled(chance)
                else:
                    await until_done(chance)

        async def until_done(chance: random.Random) -> None:
            while True:
                try:
                    return await transact(engine, chance, raised)
                except OperationalError as error:
                    assert "database is locked" in str(error)

        async def cancelled(chance: random.Random) -> None:
            """Its COMMIT may have been under way: then it counts as one that may be there."""
            task = asyncio.create_task(transact(engine, chance, raised))
            await asyncio.wait([task], timeout=chance.random() * 0.05)
            task.cancel()
            await asyncio.wait([task])
            if task.cancelled():
                for which in range(2):
                    unknown[which] += 1
            elif isinstance(error := task.exception(), OperationalError):
                assert "database is locked" in str(error)
            elif error is not None:
                raise error

        async with asyncio.TaskGroup() as tasks:
            for number in range(TASKS):
                tasks.create_task(work(random.Random(100 * seed + number)))
        found = [row["n"] for row in await db.read("SELECT n FROM counter ORDER BY id")]
        for counted, certain, perhaps in zip(found, raised, unknown, strict=True):
            assert certain <= counted <= certain + perhaps
        await engine.dispose()
        await assert_whole(db)
