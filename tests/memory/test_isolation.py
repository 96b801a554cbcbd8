"""Callers share jobs, flights and tasks, and never each other's errors, cancellations or transactions."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import (
    Database,
    EmbedderError,
    Entity,
    EpisodeExists,
    LockTimeout,
    Memory,
    NotFound,
    ReentrancyError,
    Remembered,
)
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import WRITING_VERBS, SpellingEmbedder, remembered


@asynccontextmanager
async def writer_held(db: Database) -> AsyncIterator[None]:
    """Another task holds a transaction meanwhile."""
    begun, done = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with db.transaction():
            begun.set()
            await done.wait()

    holder = asyncio.create_task(hold())
    await begun.wait()
    try:
        yield
    finally:
        done.set()
        await holder


async def turns(count: int = 20) -> None:
    """Lets everybody who can go on do so."""
    for _ in range(count):
        await asyncio.sleep(0)


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_only
async def test_a_name_with_a_row_that_can_not_be_written_fails_alone(memory: Memory) -> None:
    outcomes = await asyncio.gather(
        *(memory.find_or_create_entity(f"name {n}", description="x" * (17 << 20) * (n == 3)) for n in range(6)),
        return_exceptions=True,
    )
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, sqlite3.DataError)] == [3]
    assert (await memory.counts()).entities == 5


@pytest.mark.sqlite_only
async def test_the_names_of_one_agent_do_not_fail_with_anothers_job(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = memory._core.store.find_or_create

    async def fails_for_mail(scope: Any, *args: Any) -> Any:
        if scope.agent == "mail":
            raise LockTimeout("another holds the file")
        return await original(scope, *args)

    monkeypatch.setattr(memory._core.store, "find_or_create", fails_for_mail)
    made, failed = await asyncio.gather(
        memory.find_or_create_entity("Ann"),
        memory.scoped(agent="mail").find_or_create_entity("Bob"),
        return_exceptions=True,
    )
    assert isinstance(made, Entity)
    assert isinstance(failed, LockTimeout)


@pytest.mark.sqlite_only
async def test_texts_that_are_refused_leave_the_others_their_shared_job(memory: Memory) -> None:
    forgotten = await memory.find_or_create_entity("gone")
    await memory.forget(forgotten)
    await memory.remember("text", key="k")
    writes = memory._core.db.statistics().writes

    async def remember(n: int) -> None:
        if n % 5 == 3:
            await memory.remember(f"text {n}", [(f"a {n}", "is", "b")], key="k")
        elif n % 5 == 4:
            await memory.remember(f"text {n}", [(f"a {n}", "is", forgotten)])
        else:
            await memory.remember(f"text {n}", [("a", "is", "b")])

    outcomes = await asyncio.gather(*(remember(n) for n in range(30)), return_exceptions=True)
    refused = [type(outcome) for outcome in outcomes if outcome is not None]
    assert refused == [EpisodeExists, NotFound] * 6
    assert memory._core.db.statistics().writes <= writes + 2
    counts = await memory.counts()
    assert (counts.episodes, counts.entities) == (19, 2)  # no entity named by a refused text alone


@pytest.mark.sqlite_only
async def test_a_text_that_fails_while_being_written_fails_alone(memory: Memory) -> None:
    await memory._core.db.write_script(
        "CREATE TRIGGER fail BEFORE INSERT ON mention "
        "WHEN (SELECT content = 'text 2' FROM episode WHERE id = new.episode) "
        "BEGIN SELECT raise(ABORT, 'not this one'); END"
    )
    outcomes = await asyncio.gather(
        *(memory.remember(f"text {n}", [("a", "is", f"b {n}")]) for n in range(5)), return_exceptions=True
    )
    assert [n for n, outcome in enumerate(outcomes) if isinstance(outcome, sqlite3.IntegrityError)] == [2]
    assert [episode.content for episode in await memory.episodes()] == ["text 0", "text 1", "text 3", "text 4"]
    assert await memory.entity("b 2") is None


async def test_an_embedder_that_cancels_itself_is_an_error_and_closes_nothing(target: Target) -> None:
    class Cancels(SpellingEmbedder):
        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            if self.calls:
                return await super().embed(texts)
            self.calls.append(0)
            shared = asyncio.get_running_loop().create_future()
            shared.cancel()
            await shared
            raise AssertionError

    async with Memory.open(target, embedder=Cancels()) as memory:
        with pytest.raises(EmbedderError, match="cancelled from within"):
            await memory.find_or_create_entity("Ann")
        assert (await memory.find_or_create_entity("Ann")).name == "Ann"


# -- cancellations -----------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_only
async def test_a_text_is_not_written_if_its_caller_left_before_its_job_began(memory: Memory) -> None:
    """Its batch has been handed to the writer, which is held."""
    async with writer_held(memory._core.db):
        calls = [asyncio.create_task(memory.remember(f"text {n}", [(f"a {n}", "is", "b")])) for n in range(3)]
        await turns()
        assert not memory._core._writes._waiting  # type: ignore[union-attr]
        calls[1].cancel()
        await asyncio.wait([calls[1]])
    await asyncio.wait(calls)
    assert [episode.content for episode in await memory.episodes()] == ["text 0", "text 2"]
    assert await memory.entity("a 1") is None


async def test_a_name_is_embedded_once_though_a_lookup_ends_after_its_flight(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    first                         second
    finds nothing, takes off
                                  its lookup sees that there is nothing ...
    lands
                                  ... and answers only now
    """
    embedder = SpellingEmbedder()
    async with Memory.open(db_path, embedder=embedder) as memory:
        original, held, landed = memory._core.store.resolve, asyncio.Event(), asyncio.Event()
        lookups = 0

        async def resolve(*args: Any) -> Any:
            nonlocal lookups
            lookups += 1
            if lookups != 2:
                return await original(*args)
            held.set()
            await landed.wait()
            return [None]

        monkeypatch.setattr(memory._core.store, "resolve", resolve)
        embedding = asyncio.Event()
        go_on = asyncio.Event()
        embed = embedder.embed

        async def gated(texts: Sequence[str]) -> Sequence[Sequence[float]]:
            embedding.set()
            await go_on.wait()
            return await embed(texts)

        monkeypatch.setattr(embedder, "embed", gated)
        first = asyncio.create_task(memory.find_or_create_entity("Ann"))
        await embedding.wait()
        second = asyncio.create_task(memory.find_or_create_entity("Ann"))
        await held.wait()
        go_on.set()
        await first
        landed.set()
        assert await second == await first
    assert embedder.texts["ann"] == 1


# -- transactions ------------------------------------------------------------------------------------------------------


@pytest.mark.sqlite_only
async def test_only_the_holder_of_a_transaction_gets_an_error_at_once(memory: Memory) -> None:
    """The task that writes what waits together is made in the turn of the one who holds it."""
    db, others = memory._core.db, list[asyncio.Task[object]]()
    outside = asyncio.Event()

    async def other(n: int) -> object:
        await outside.wait()
        await memory.find_or_create_entity(f"other {n}")
        return await memory.remember(f"text {n}")

    others += [asyncio.create_task(other(n)) for n in range(3)]
    async with db.transaction():
        with pytest.raises(ReentrancyError):
            await memory.remember("text")
        with pytest.raises(ReentrancyError):
            await memory.find_or_create_entity("Ann")
        outside.set()
        await turns()
        for call in (memory.remember("text"), memory.find_or_create_entity("other 1")):
            async with asyncio.timeout(60):
                with pytest.raises(ReentrancyError):
                    await call
    await asyncio.gather(*others)
    counts = await memory.counts()
    assert (counts.entities, counts.episodes) == (3, 3)


@pytest.mark.parametrize("write", WRITING_VERBS.values(), ids=WRITING_VERBS)
async def test_a_write_inside_a_transaction_is_an_error_that_says_what_to_do(
    db_path: Path, write: Callable[[Memory, Remembered], Awaitable[object]]
) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        made = await remembered(memory)
        async with memory.db.transaction() as tx:
            with pytest.raises(ReentrancyError, match="before its block or after it") as caught:
                await write(memory, made)
            assert caught.value.applied is False
            await tx.write("CREATE TABLE own (x)")
        await write(memory, made)


async def test_the_database_of_a_path_is_the_memorys(db_path: Path, tmp_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        await memory.add_fact("Ann", "is", value=1)
        assert memory.scoped(namespace="mail").db is memory.db
        await memory.db.backup(tmp_path / "copy.db")
    async with Memory.open(tmp_path / "copy.db") as copy:
        assert len(await copy.facts("Ann")) == 1


@pytest.mark.sqlite_only
async def test_names_that_are_known_are_found_inside_a_transaction(memory: Memory) -> None:
    ann = await memory.find_or_create_entity("Ann")
    async with memory._core.db.transaction():
        assert await memory.find_or_create_entity("Ann") == ann


# -- closing -----------------------------------------------------------------------------------------------------------


async def test_closing_writes_what_waits(db_path: Path) -> None:
    memory = await Memory.open(db_path)
    calls = [asyncio.create_task(memory.remember(f"text {n}", [("a", "is", f"b {n}")])) for n in range(100)]
    await asyncio.sleep(0)
    await memory.close()
    assert [(await call).created for call in calls] == [True] * 100
    assert_sound(db_path)


async def test_what_can_not_be_written_in_time_is_answered_and_says_whether_it_was(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiomemdb.memory.sharing._WRITTEN_AT_ONCE", 2 * 31)
    async with aiomemdb.connect(db_path) as db:
        memory = await Memory.open(db)
        async with writer_held(db):
            calls = [asyncio.create_task(memory.remember(f"text {n}", [("a", "is", "b")] * 30)) for n in range(5)]
            await turns()
            await memory.close(timeout=0.05)
            outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert [getattr(outcome, "applied", 0) for outcome in outcomes] == [None, None, False, False, False]
        assert all(isinstance(outcome, aiomemdb.DatabaseClosed) for outcome in outcomes)


async def test_an_embedder_that_can_not_be_cancelled_does_not_hold_up_closing(
    target: Target, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiomemdb.memory.together._UNWINDING", 0.01)
    embedding, go_on = asyncio.Event(), asyncio.Event()

    class Stubborn(SpellingEmbedder):
        async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
            embedding.set()
            while not go_on.is_set():
                try:
                    await go_on.wait()
                except asyncio.CancelledError:
                    pass
            return await super().embed(texts)

    memory = await Memory.open(target, embedder=Stubborn())
    call = asyncio.create_task(memory.find_or_create_entity("Ann"))
    await embedding.wait()
    task = memory._core.identity._creations._task
    assert task is not None
    async with asyncio.timeout(60):
        await memory.close()
        with pytest.raises(aiomemdb.DatabaseClosed):
            await call
    go_on.set()
    await asyncio.wait([task])


@pytest.mark.parametrize("verb", ["facts", "entities", "episodes", "counts", "forget_namespace"])
async def test_a_closed_memory_over_an_open_database_is_closed(db_path: Path, verb: str) -> None:
    async with aiomemdb.connect(db_path) as db:
        memory = await Memory.open(db)
        await memory.close()
        with pytest.raises(aiomemdb.DatabaseClosed, match="the memory is closed"):
            await getattr(memory, verb)()


async def test_two_memories_share_one_database_and_close_apart(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        async with Memory.open(db, agent="one") as one, Memory.open(db, agent="two", namespace="team") as two:
            ann = await one.find_or_create_entity("Ann")
            await two.find_or_create_entity("Ann")
            async with Memory.open(db) as three:
                assert await three.find_or_create_entity("ann") == ann
            assert (await one.find_or_create_entity("Bob")).agent == "one"
            assert (await two.counts()).entities == 1
        assert await db.read_value("SELECT count(*) FROM entity") == 3
