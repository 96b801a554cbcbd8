"""What a server goes through while many write: nothing acknowledged is missing, nothing is there twice, all end."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial

import psycopg
import pytest

import aiomemdb
from aiomemdb.postgres.database import PostgresDatabase
from tests.support.postgres import Server, create, drop, execute, no_connection_left

INSERT = "INSERT INTO item (name) VALUES ($1)"


class Load:
    """Tasks that write names until they are stopped, and what each has heard of its names."""

    def __init__(self, db: PostgresDatabase) -> None:
        self.db = db
        self.acknowledged: set[str] = set()
        self.refused: set[str] = set()
        self.unknown: set[str] = set()
        self.errors: list[BaseException] = []
        self.is_over = False

    async def _write(self, number: int) -> None:
        turn = 0
        while not self.is_over:
            turn += 1
            name = f"{number}.{turn}"
            try:
                if number % 8 == 0:
                    async with self.db.transaction() as tx:
                        await tx.write(INSERT, (name,))
                elif number % 8 == 1:
                    assert await self.db.write_count(INSERT, (name,)) == 1
                else:
                    await self.db.write(INSERT, (name,))
            except aiomemdb.AiomemdbError as error:
                heard = {True: self.acknowledged, False: self.refused, None: self.unknown}[error.applied]
                heard.add(name)
                self.errors.append(error)
            else:
                self.acknowledged.add(name)
            if number % 8 == 2:
                await self.db.read_value("SELECT count(*) FROM item")

    async def during(self, work: Callable[[], Awaitable[object]], tasks: int = 24) -> None:
        writing = [asyncio.ensure_future(self._write(number)) for number in range(tasks)]
        try:
            await work()
        finally:
            self.is_over = True
        await asyncio.gather(*writing)

    def check(self, url: str) -> None:
        found = [str(name) for (name,) in execute(url, "SELECT name FROM item")]
        assert len(found) == len(set(found)), "written twice"
        assert self.acknowledged <= set(found), "an acknowledged write is missing"
        assert not self.refused & set(found), "a write that was not applied is there"
        assert set(found) <= self.acknowledged | self.unknown


def make(url: str) -> str:
    execute(url, "CREATE TABLE item (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, name text)")
    return url


async def test_backends_that_are_ended_at_any_moment_lose_nothing(url: str) -> None:
    """By an administrator, 200 times."""
    make(url)
    randomness = random.Random(20)
    db: PostgresDatabase
    async with aiomemdb.connect(url) as db:  # type: ignore[assignment]
        load = Load(db)

        def end_backends() -> None:
            ended = 0
            of_writer = "application_name LIKE 'aiomemdb:%writer'"
            with psycopg.connect(url, autocommit=True) as administrator:
                while ended < 200:
                    which = of_writer if ended % 2 else "application_name LIKE 'aiomemdb:%' AND state <> 'idle'"
                    found = administrator.execute(f"SELECT pid FROM pg_stat_activity WHERE {which}").fetchall()
                    time.sleep(randomness.random() * 0.003)
                    if found:
                        administrator.execute("SELECT pg_terminate_backend(%s)", randomness.choice(found))
                        ended += 1

        await load.during(partial(asyncio.to_thread, end_backends))
        load.check(url)
        assert not load.unknown
        assert db.statistics().reconnects and db.statistics().outcomes_asked
    no_connection_left(url)


@pytest.fixture(scope="module")
def own_server() -> object:
    """One that these tests may treat badly. It syncs: a crash is to lose nothing."""
    with Server.started("restart_after_crash=on") as started:
        yield started


@pytest.fixture
def crashing(own_server: Server) -> object:
    made = create(own_server.url)
    yield make(made)
    drop(made)


WRITERS = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'aiomemdb:%writer'"


async def written(load: Load, count: int) -> None:
    """Until so many more were acknowledged."""
    goal = len(load.acknowledged) + count
    while len(load.acknowledged) < goal:  # noqa: ASYNC110
        await asyncio.sleep(0.005)


async def test_a_backend_that_is_killed_takes_the_server_down_and_nothing_is_lost(crashing: str) -> None:
    db: PostgresDatabase
    async with aiomemdb.connect(crashing) as db:  # type: ignore[assignment]
        load = Load(db)

        async def kill() -> None:
            for _ in range(2):
                await written(load, 200)
                # Transactions may be served before it is back.
                while not (found := execute(crashing, WRITERS)):  # noqa: ASYNC110
                    await asyncio.sleep(0.005)
                [(pid,), *_] = found
                os.kill(int(str(pid)), signal.SIGKILL)
                await written(load, 200)

        await load.during(kill)
        load.check(crashing)
        assert not load.unknown


@pytest.mark.parametrize("mode", ["fast", "immediate"])
async def test_a_server_that_is_stopped_and_started_loses_nothing(own_server: Server, crashing: str, mode: str) -> None:
    db: PostgresDatabase
    async with aiomemdb.connect(crashing) as db:  # type: ignore[assignment]
        load = Load(db)

        async def restart() -> None:
            await written(load, 200)
            await asyncio.to_thread(own_server.stop, mode)
            await asyncio.to_thread(own_server.start)
            await written(load, 200)

        await load.during(restart)
        load.check(crashing)
        assert not load.unknown
    no_connection_left(crashing)


async def test_a_server_that_stays_away_is_an_error_in_time_and_no_hang(own_server: Server, crashing: str) -> None:
    db: PostgresDatabase
    async with aiomemdb.connect(crashing, reconnect=0.3) as db:  # type: ignore[assignment]
        await db.write(INSERT, ("before",))
        own_server.stop("immediate")
        try:
            results = await asyncio.gather(
                db.write(INSERT, ("never",)), db.read("SELECT 1"), db.flush(), return_exceptions=True
            )
            assert all(isinstance(error, aiomemdb.AiomemdbError) for error in results), results
            with pytest.raises(aiomemdb.ServerLost):
                async with db.transaction():
                    pass
            with pytest.raises(aiomemdb.ServerLost):
                async with db.snapshot():
                    pass
        finally:
            own_server.start()
        await db.write(INSERT, ("after",))
        assert [str(name) for (name,) in execute(crashing, "SELECT name FROM item ORDER BY id")] == ["before", "after"]


async def test_an_open_is_an_error_at_once_where_there_is_no_server(own_server: Server) -> None:
    with pytest.raises(psycopg.OperationalError):
        await aiomemdb.connect("postgresql://tester@127.0.0.1:1/nowhere")
    with pytest.raises(psycopg.OperationalError, match="nowhere"):
        await aiomemdb.connect(own_server.url.replace("/postgres", "/nowhere"))
