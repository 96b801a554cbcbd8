"""Random interactive transactions beside ``db.write``, and a checker of the history that they leave.

Each transaction reads the counters, and writes what it has read, plus one, into some; it idles, uses savepoints, is
cancelled, rolled back or committed. Each ``db.write`` adds one. So where nothing was lost a counter holds the number
of increments that were acknowledged; and a transaction that reads twice reads the same, or its own.
"""

from __future__ import annotations

import asyncio
import random
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb.sqlite.engine.database import SQLiteDatabase
from aiomemdb.sqlite.interactive.connection import InteractiveConnection
from aiomemdb.sqlite.interactive.rule import Mode, Rule
from tests.support.whole import assert_whole

COUNTERS = 3
READ = "SELECT n FROM counter ORDER BY id"
# Far above what it takes: the bound of a wait is the timeout, and what the machine does beside.
RULE = Rule(patience=0.01, idle=0.004, timeout=0.3)
BOUND = 20.0


@dataclass
class History:
    """What was acknowledged, and what was odd."""

    added: list[int] = field(default_factory=lambda: [0] * COUNTERS)
    doubtful: list[int] = field(default_factory=lambda: [0] * COUNTERS)
    committed: int = 0
    reruns: int = 0
    odd: list[str] = field(default_factory=list)

    def check(self, found: list[int]) -> None:
        assert not self.odd
        for known, maybe, n in zip(self.added, self.doubtful, found, strict=True):
            assert known <= n <= known + maybe


class Agent:
    """One logical connection and what it does."""

    def __init__(self, db: SQLiteDatabase, chance: random.Random, history: History) -> None:
        self._connection = InteractiveConnection(db, rule=RULE)
        self._chance = chance
        self._history = history
        self._seen: list[int] | None = None
        self._mine = [0] * COUNTERS

    async def live(self, transactions: int) -> None:
        for _ in range(transactions):
            try:
                await self._transaction()
            except sqlite3.OperationalError as error:
                if error.sqlite_errorname not in ("SQLITE_BUSY", "SQLITE_BUSY_SNAPSHOT"):
                    self._history.odd.append(repr(error))
                self._history.reruns += 1
            await self._connection.rollback()
        await self._connection.close()

    async def _transaction(self) -> None:
        chance, connection = self._chance, self._connection
        self._seen, self._mine = None, [0] * COUNTERS
        await connection.begin(chance.choice([Mode.DEFERRED, Mode.DEFERRED, Mode.IMMEDIATE]))
        for _ in range(chance.randint(1, 5)):
            match chance.randrange(8):
                case 0 | 1 | 2:
                    await self._read()
                case 3 | 4:
                    await self._add(chance.randrange(COUNTERS))
                case 5:
                    await asyncio.sleep(chance.choice([0, 0.002, 0.02]))
                case 6:
                    await self._savepoint()
                case 7:
                    await self._cancelled()
        if chance.random() < 0.2:
            return
        adds, loop = list(self._mine), asyncio.get_running_loop()
        began = loop.time()
        await connection.commit()
        self._bounded(loop.time() - began)
        self._history.committed += 1
        for counter, count in enumerate(adds):
            self._history.added[counter] += count

    def _bounded(self, took: float) -> None:
        if took > BOUND:
            self._history.odd.append(f"a call took {took:.1f} s")

    async def _read(self) -> list[int]:
        began = asyncio.get_running_loop().time()
        found = [n for (n,) in (await self._connection.execute(READ)).rows]
        self._bounded(asyncio.get_running_loop().time() - began)
        base = [n - own for n, own in zip(found, self._mine, strict=True)]
        if self._seen is None:
            self._seen = base
        elif self._seen != base:
            self._history.odd.append(f"two states in one transaction: {self._seen}, {base}")
        return found

    async def _add(self, counter: int) -> None:
        found = await self._read()
        began = asyncio.get_running_loop().time()
        await self._connection.execute("UPDATE counter SET n = ? WHERE id = ?", (found[counter] + 1, counter))
        self._bounded(asyncio.get_running_loop().time() - began)
        self._mine[counter] += 1

    async def _savepoint(self) -> None:
        connection, before = self._connection, list(self._mine)
        connection.savepoint("s")
        await self._add(self._chance.randrange(COUNTERS))
        if self._chance.random() < 0.5:
            connection.rollback_to("s")
            self._mine = before
        await connection.release("s")

    async def _cancelled(self) -> None:
        """An increment that is cancelled at some moment: it is as if it had never been."""
        counter = self._chance.randrange(COUNTERS)
        found = await self._read()
        sql = "UPDATE counter SET n = ? WHERE id = ?"
        calling = asyncio.create_task(self._connection.execute(sql, (found[counter] + 1, counter)))
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)
        calling.cancel()
        await asyncio.wait([calling])
        if not calling.cancelled():
            calling.result()
            self._mine[counter] += 1


async def _write(db: SQLiteDatabase, chance: random.Random, history: History, writes: int) -> None:
    for _ in range(writes):
        counter = chance.randrange(COUNTERS)
        await db.write("UPDATE counter SET n = n + 1 WHERE id = ?", (counter,))
        history.added[counter] += 1
        await asyncio.sleep(chance.choice([0, 0.001, 0.01]))


async def _killed(db: SQLiteDatabase, chance: random.Random, history: History) -> None:
    """A task that is cancelled wherever it is, and drops its connection."""
    agent = Agent(db, chance, history)
    living = asyncio.create_task(agent.live(20))
    await asyncio.sleep(chance.uniform(0, 0.05))
    living.cancel()
    await asyncio.wait([living])
    if agent._connection._transaction is not None:  # a COMMIT that was cancelled has committed
        agent._connection.abandon()
    for counter in range(COUNTERS):
        history.doubtful[counter] += agent._mine[counter]


@pytest.mark.parametrize("seed", range(6))
async def test_no_update_is_lost_and_no_transaction_reads_two_states(db_path: Path, seed: int) -> None:
    chance, history = random.Random(seed), History()
    async with aiomemdb.connect(db_path, readers=3) as db:
        await db.write("CREATE TABLE counter (id INTEGER PRIMARY KEY, n INTEGER)")
        await db.write_many("INSERT INTO counter VALUES (?, 0)", [(counter,) for counter in range(COUNTERS)])
        await asyncio.gather(
            *(Agent(db, random.Random(chance.random()), history).live(12) for _ in range(8)),
            *(_write(db, random.Random(chance.random()), history, 20) for _ in range(2)),
            *(_killed(db, random.Random(chance.random()), history) for _ in range(6)),
        )
        history.check([row["n"] for row in await db.read(READ)])
        assert history.committed
        await assert_whole(db)
