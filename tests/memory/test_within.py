"""A memory within a transaction: its rows and the caller's own are written together, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import Context
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import DatabaseClosed, EpisodeExists, Memory, ReentrancyError, Remembered, TransactionEnded
from aiomemdb.memory.stores.sqlite import forgetting
from aiomemdb.postgres.database import PostgresDatabase
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import WRITING_VERBS, GatedEmbedder, SpellingEmbedder, remembered
from tests.support.gates import Gate

#: Those that a transaction can hold.
STEPS = {name: verb for name, verb in WRITING_VERBS.items() if name != "reembed"}


class Left(Exception):
    """By which a test leaves a transaction."""


@pytest.fixture
async def spelling(target: Target) -> AsyncIterator[Memory]:
    """With an embedder that counts."""
    async with Memory.open(target, embedder=SpellingEmbedder()) as memory:
        yield memory
    if isinstance(target, Path):
        assert_sound(target)


async def state(memory: Memory) -> tuple[Any, ...]:
    facts, texts = await memory.facts(), await memory.episodes()
    return await memory.counts(), [*facts], [*texts], [*await memory.entities()]


# -- together, or not at all -------------------------------------------------------------------------------------------


async def test_a_task_and_what_is_remembered_of_it_are_committed_together(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        await memory.db.write_script("CREATE TABLE task (id INTEGER PRIMARY KEY, done)")
        async with memory.db.transaction() as tx:
            await tx.write("INSERT INTO task (done) VALUES (1)")
            made = await memory.within(tx).remember("Ann met Bob", [("Ann", "met", "Bob")])
            assert await memory.db.read_value("SELECT count(*) FROM task") == 0
            assert (await memory.counts()).facts == 0
        assert await memory.db.read_value("SELECT count(*) FROM task") == 1
        assert await memory.fact(made.facts[0].id) == made.facts[0]
    assert_sound(db_path)


async def test_of_a_transaction_that_fails_neither_is_left(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        await memory.db.write_script("CREATE TABLE task (id INTEGER PRIMARY KEY, done)")
        before = await state(memory)
        with pytest.raises(Left):
            async with memory.db.transaction() as tx:
                await memory.within(tx).remember("Ann met Bob", [("Ann", "met", "Bob")])
                await tx.write("INSERT INTO task (done) VALUES (1)")
                raise Left
        assert await memory.db.read_value("SELECT count(*) FROM task") == 0
        assert await state(memory) == before
    assert_sound(db_path)


@pytest.mark.parametrize("write", STEPS.values(), ids=STEPS)
async def test_a_verb_does_inside_what_it_does_outside(
    memory: Memory, write: Callable[[Memory, Remembered], Awaitable[object]]
) -> None:
    made = await remembered(memory)
    before = await state(memory)
    with pytest.raises(Left):
        async with memory.db.transaction() as tx:
            await write(memory.within(tx), made)
            inside = _untimed(await state(memory.within(tx)))
            raise Left
    assert await state(memory) == before
    await write(memory, made)
    assert _untimed(await state(memory)) == inside


def _untimed(state: tuple[Any, ...]) -> list[Any]:
    counts, *rows = state
    return [counts, *([(row.namespace, _said(row)) for row in each] for each in rows)]


def _said(row: Any) -> str:
    return str(getattr(row, "content", None) or getattr(row, "text", None) or row.name)


async def test_a_transaction_by_hand_serves_too(memory: Memory) -> None:
    hold = await memory.db.begin()
    await memory.within(hold).add_fact("Ann", "knows", "Bob")
    await hold.rollback()
    hold = await memory.db.begin()
    await memory.within(hold).add_fact("Ann", "knows", "Eve")
    await hold.commit()
    assert [fact.text for fact in await memory.facts()] == ["Ann knows Eve"]


@pytest.mark.sqlite_only
async def test_what_is_nested_is_undone_alone(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        view = memory.within(tx)
        await view.add_fact("Ann", "knows", "Bob")
        with pytest.raises(Left):
            async with tx.transaction() as inner:
                with pytest.raises(ReentrancyError):
                    await view.add_fact("Ann", "knows", "Joe")
                await view.within(inner).add_fact("Ann", "knows", "Eve")
                raise Left
    assert [fact.text for fact in await memory.facts()] == ["Ann knows Bob"]


async def test_a_call_that_fails_is_undone_alone(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        view = memory.within(tx)
        await view.remember("one text", key="k")
        with pytest.raises(EpisodeExists):
            await view.remember("another text", [("Ann", "knows", "Bob")], key="k")
        await view.remember("a third")
    assert [text.content for text in await memory.episodes()] == ["one text", "a third"]
    assert (await memory.counts()).entities == 0


async def test_many_forgotten_rows_come_back_with_a_rollback(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "_SLICE", 7)
    await memory.remember("much", [("Ann", f"knows {n}", f"Bob {n}") for n in range(30)])
    before = await state(memory)
    with pytest.raises(Left):
        async with memory.db.transaction() as tx:
            assert (await memory.within(tx).forget_namespace()).facts == 30
            assert (await memory.within(tx).counts()).facts == 0
            raise Left
    assert await state(memory) == before


# -- what it reads -----------------------------------------------------------------------------------------------------


async def test_its_reads_see_what_the_transaction_has_written_and_no_others_do(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        view = memory.within(tx)
        made = await view.remember("Ann met Bob at the lake", [("Ann", "met", "Bob")], key="k", session="s")
        assert await view.entity("Ann") == made.entities[0]
        assert tuple(await view.facts("Ann")) == made.facts
        assert (await view.neighbors("Ann")).facts == made.facts
        assert await view.path("Ann", "Bob") == [*made.facts]
        assert await view.episode(key="k") == made.episode
        assert made.episode in [hit.item for hit in (await view.recall("lake")).hits]
        assert len(await view.history(made.episode)) == 1
        assert (await view.scoped(namespace="mail").counts()).episodes == 0
        assert await memory.entity("Ann") is None
        assert (await memory.recall("lake")).hits == ()
    assert await memory.entity("Ann") == made.entities[0]


async def test_its_tasks_get_one_entity_of_one_name(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        view = memory.within(tx)
        found = await asyncio.gather(*(view.find_or_create_entity(name) for name in ["Ann", "ann ", "ANN"] * 5))
    assert len({entity.id for entity in found}) == 1
    assert (await memory.counts()).entities == 1


# -- nothing is embedded, nothing is shared ----------------------------------------------------------------------------


async def test_nothing_is_embedded_until_reembed(spelling: Memory) -> None:
    embedder = spelling._core.vectors._embedder  # type: ignore[union-attr]
    assert isinstance(embedder, SpellingEmbedder)
    made = await remembered(spelling)
    calls = len(embedder.calls)
    async with spelling.db.transaction() as tx:
        view = spelling.within(tx)
        await view.remember("the dog barks", [("Joe", "owns", "dog")])
        await view.find_or_create_entity("Jo")
        await view.update_entity(made.entities[1], name="Robert")
        await view.add_fact("Joe", "owns", "cat")
        await view.recall("dog")
        assert len(embedder.calls) == calls
    assert await spelling.reembed() == 8  # a text, two facts, and Joe, dog, cat, Jo, Robert
    counts = await spelling.counts()
    assert counts.vectors == counts.entities + counts.facts + counts.episodes
    assert counts.similar == 1  # Joe and Jo
    assert "Joe owns dog" in [hit.item.text for hit in (await spelling.recall("JoOwns dg", kinds=["fact"])).hits]  # type: ignore[union-attr]


async def test_a_transaction_rolled_back_leaves_nothing_to_questions(spelling: Memory) -> None:
    """On SQLite the ids that it gave are given again, to something else."""
    await spelling.remember("known", [("Joe", "owns", "dog")])
    await spelling.recall("a question that loads the vectors")
    with pytest.raises(Left):
        async with spelling.db.transaction() as tx:
            view = spelling.within(tx)
            lost = await view.remember("zebra", [("Ann", "rides", "zebra")])
            assert await view.find_or_create_entity("Ann") == lost.entities[0]
            await view.recall("zebra")
            await spelling.recall("zebra")
            raise Left
    made = await spelling.remember("lion", [("Eve", "feeds", "lion")])
    if not isinstance(spelling.db, PostgresDatabase):
        assert made.episode.id == lost.episode.id and made.entities[0].id == lost.entities[0].id
    for item in (made.episode, made.facts[0], made.entities[0]):
        kind = type(item).__name__.lower()
        [best, *_] = (await spelling.recall(_said(item), kinds=[kind])).hits
        assert best.item == item and best.similarity == pytest.approx(1, abs=1e-5)
    for text in ("zebra", "Ann rides zebra", "Ann"):
        hits = (await spelling.recall(text, kinds=["fact", "episode", "entity"])).hits
        assert all((hit.similarity or 0) < 0.9 for hit in hits)
    assert await spelling.entity("Ann") is None
    assert (await spelling.find_or_create_entity("Ann")).id not in {entity.id for entity in made.entities}


async def test_a_name_that_waits_outside_is_not_waited_for_inside(target: Target) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        outside = asyncio.create_task(memory.find_or_create_entity("Ann"))
        await embedder.entered.wait()
        async with memory.db.transaction() as tx, asyncio.timeout(20):
            inside = await memory.within(tx).find_or_create_entity("Ann")
        assert not outside.done()
        embedder.let_go.set()
        assert (await outside).id == inside.id


async def test_a_session_that_waits_outside_is_not_waited_for_inside(target: Target) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        outside = asyncio.create_task(memory.remember("outside", session="s"))
        await embedder.entered.wait()
        async with memory.db.transaction() as tx, asyncio.timeout(20):
            inside = (await memory.within(tx).remember("inside", session="s")).episode
        embedder.let_go.set()
        assert (inside.seq, (await outside).episode.seq) == (1, 2)


async def test_a_name_made_inside_is_found_by_who_waited_outside(memory: Memory) -> None:
    """The job of a caller outside waits for the transaction, and looks again."""
    async with memory.db.transaction() as tx:
        inside = await memory.within(tx).find_or_create_entity("Ann")
        # With a context of its own, a task is not tied to the transaction.
        find = memory.find_or_create_entity("Ann")
        outside = asyncio.get_running_loop().create_task(find, context=Context())
        assert await memory.entity("Ann") is None
    assert await outside == inside


@pytest.mark.sqlite_only
async def test_a_call_that_is_cancelled_before_its_turn_never_runs(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        with Gate() as gate:
            held = asyncio.create_task(tx.write_fn(gate.block))  # type: ignore[attr-defined]
            await gate.wait_entered()
            call = asyncio.create_task(memory.within(tx).remember("text"))
            await asyncio.sleep(0)
            call.cancel()
            gate.open()
            await held
            with pytest.raises(asyncio.CancelledError):
                await call
        await memory.within(tx).remember("another")
    assert [text.content for text in await memory.episodes()] == ["another"]


# -- misuse ------------------------------------------------------------------------------------------------------------


async def test_what_a_transaction_can_not_hold_is_refused_and_harms_it_not(spelling: Memory) -> None:
    async with spelling.db.transaction() as tx:
        view = spelling.within(tx)
        for call in (view.reembed(), view.erase(), view.close(), view._open()):
            with pytest.raises(ReentrancyError):
                await call
        with pytest.raises(ValueError, match="in no transaction"):
            await view.find_or_create_entity("Ann", similarity=0.9)
        await view.add_fact("Ann", "knows", "Bob")
    assert len(await spelling.facts()) == 1


async def test_a_transaction_of_another_database_is_refused(memory: Memory, tmp_path: Path) -> None:
    async with aiomemdb.connect(tmp_path / "other.db") as other, other.transaction() as tx:
        for wrong in (tx, other, memory.db, None):
            with pytest.raises(TypeError, match="no transaction of"):
                memory.within(wrong)  # type: ignore[arg-type]


@pytest.mark.sqlite_only
async def test_after_its_end_its_verbs_say_so(memory: Memory) -> None:
    async with memory.db.transaction() as tx:
        view = memory.within(tx)
    for call in (view.remember("text"), view.entity("Ann"), view.recall("text"), view.forget_namespace()):
        with pytest.raises(TransactionEnded):
            await call


async def test_a_closed_memory_is_closed_within_a_transaction_too(db_path: Path) -> None:
    async with aiomemdb.connect(db_path) as db:
        memory = await Memory.open(db)
        async with db.transaction() as tx:
            view = memory.within(tx)
            await memory.close()
            for call in (view.remember("text"), view.entity("Ann"), view.recall("text")):
                with pytest.raises(DatabaseClosed, match="the memory is closed"):
                    await call
            with pytest.raises(DatabaseClosed, match="the memory is closed"):
                memory.within(tx)
