"""A primary and its standby: reads of the standby are never stale, and its promotion loses nothing that it had."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from contextlib import aclosing
from urllib.parse import urlsplit

import pytest

import aiomemdb
from aiomemdb import Memory
from aiomemdb.postgres.database import PostgresDatabase
from aiomemdb.postgres.replicas import Place
from tests.postgres.test_faults import Load, make, written
from tests.support.postgres import Server, create, drop, execute

INSERT = "INSERT INTO item (name) VALUES ($1)"


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[Server, Server]]:
    """A primary and its standby."""
    with Server.started("fsync=off") as primary, primary.replica() as standby:
        yield primary, standby


@pytest.fixture
def urls(pair: tuple[Server, Server]) -> Iterator[tuple[str, str]]:
    """A database of this test's own, on both."""
    primary, standby = pair
    made = make(create(primary.url))
    yield made, standby.url.replace("/postgres", urlsplit(made).path)
    drop(made)


async def opened(urls: tuple[str, str], **options: object) -> PostgresDatabase:
    db: PostgresDatabase = await aiomemdb.connect(urls[0], replicas=[urls[1]], **options)  # type: ignore[assignment, arg-type]
    while db.statistics().replica_reads == 0:  # the standby has to have this database first
        await db.read("SELECT 1")
    return db


async def test_a_read_of_a_replica_sees_each_write_that_was_awaited(urls: tuple[str, str]) -> None:
    async with await opened(urls, replica_wait=60.0) as db:
        before = db.statistics().replica_reads
        for number in range(1000):
            if number % 10:
                await db.write(INSERT, (str(number),))
            else:
                async with db.transaction() as tx:
                    await tx.write(INSERT, (str(number),))
            assert await db.read_value("SELECT count(*) FROM item") == number + 1
        statistics = db.statistics()
        assert statistics.replica_reads == before + 1000
        async with db.snapshot() as snap:
            assert await snap.read_value("SELECT count(*) FROM item") == 1000
            assert await snap.read_value("SELECT pg_is_in_recovery()") is True
        assert len([row async for row in db.read_stream("SELECT * FROM item")]) == 1000


async def test_a_replica_that_is_behind_leaves_the_read_to_the_primary(urls: tuple[str, str]) -> None:
    async with await opened(urls, replica_wait=0.05) as db:
        execute(urls[1], "SELECT pg_wal_replay_pause()")
        try:
            for number in range(3):
                await db.write(INSERT, (str(number),))
                assert await db.read_value("SELECT count(*) FROM item") == number + 1
            assert db.statistics().replica_waits >= 3
        finally:
            execute(urls[1], "SELECT pg_wal_replay_resume()")


async def test_a_feed_loses_no_line_that_one_server_has_and_another_has_not_yet(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Memory.open(urls[0]) as writer:
        await writer.add_fact("Ada", "knows", "Ben")
        async with await opened(urls) as db, Memory.open(db) as memory:
            position = await memory.position()
            replicas = db._reading().replicas
            execute(urls[1], "SELECT pg_wal_replay_pause()")
            try:
                fact = await writer.add_fact("Ada", "knows", "Cleo")
                places = itertools.cycle([replicas.primary, *replicas.places])

                async def choose(**_: object) -> Place:
                    return next(places)

                monkeypatch.setattr(replicas, "choose", choose)
                async with asyncio.timeout(60):
                    async with aclosing(memory.changes(position, kinds=["fact"])) as changes:
                        assert (await anext(changes)).item == fact
            finally:
                execute(urls[1], "SELECT pg_wal_replay_resume()")


async def test_a_replica_that_is_away_is_left_out_and_tried_again(
    urls: tuple[str, str], pair: tuple[Server, Server]
) -> None:
    async with await opened(urls) as db:
        await db.write(INSERT, ("a",))
        await asyncio.to_thread(pair[1].stop, "immediate")
        try:
            for _ in range(20):
                assert await db.read_value("SELECT count(*) FROM item") == 1
        finally:
            await asyncio.to_thread(pair[1].start)
        before = db.statistics().replica_reads
        while db.statistics().replica_reads < before + 5:
            assert await db.read_value("SELECT count(*) FROM item") == 1


async def test_a_replica_that_was_never_there_is_no_error(urls: tuple[str, str]) -> None:
    async with aiomemdb.connect(urls[0], replicas=["postgresql://tester@127.0.0.1:1/nowhere"]) as db:
        await db.write(INSERT, ("a",))
        assert await db.read_value("SELECT count(*) FROM item") == 1
        async with db.snapshot() as snap:
            assert await snap.read_value("SELECT count(*) FROM item") == 1
        assert db.statistics().replica_reads == 0


@pytest.mark.parametrize("is_synchronous", [True, False])
async def test_a_promotion_loses_nothing_that_the_standby_had(is_synchronous: bool) -> None:
    """Without a synchronous standby it may lose what was acknowledged last, and says so."""
    with Server.started("fsync=off") as primary, primary.replica() as standby:
        url = make(create(primary.url))
        if is_synchronous:
            primary.commit_with_standby()
        both = f"postgresql://tester@127.0.0.1:{primary.port},127.0.0.1:{standby.port}{urlsplit(url).path}"
        promoted = standby.url.replace("/postgres", urlsplit(url).path)
        db: PostgresDatabase
        async with aiomemdb.connect(both, reconnect=60.0) as db:  # type: ignore[assignment]
            load = Load(db)

            async def promote() -> None:
                await written(load, 200)
                await asyncio.to_thread(primary.stop, "immediate")
                await asyncio.to_thread(standby.promote)
                await written(load, 200)

            await load.during(promote)
            found = [str(name) for (name,) in execute(promoted, "SELECT name FROM item")]
            assert len(found) == len(set(found))
            assert not load.refused & set(found)
            assert not load.unknown
            missing = load.acknowledged - set(found)
            if is_synchronous:
                load.check(promoted)
                assert db.statistics().commits_lost == 0
            elif missing:
                # What a connection had committed, its successor asks: so as many as there were at the same time.
                all_are_open = asyncio.Barrier(3)

                async def ask() -> None:
                    async with db.transaction() as tx:
                        await tx.read_value("SELECT 1")
                        await all_are_open.wait()

                await asyncio.gather(*(ask() for _ in range(3)))
                assert db.statistics().commits_lost
