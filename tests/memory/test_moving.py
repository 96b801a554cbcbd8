"""A memory that was exported and imported is the same memory."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiomemdb import EpisodeExists, Fact, Memory, ModelChanged, Normaliser, NormaliserChanged
from aiomemdb.memory.deciding import moment
from tests.memory.conftest import Target, assert_whole
from tests.memory.dict_database import DictDatabase
from tests.memory.moving_support import apply_all, assert_alike, exported, filled, moments, operations
from tests.memory.support import SpellingEmbedder, day


async def moved(source: Target, target: Target, some: Any, times: Sequence[Any]) -> None:
    async with Memory.open(source) as memory, Memory.open(target) as copy:
        await apply_all(memory, some)
        text = await exported(memory)
        await copy.import_(io.StringIO(text))
        assert await exported(copy) == text
        await assert_alike(memory, copy, times, recalls=type(memory.db) is type(copy.db))
        # Once more it changes nothing.
        writes = copy.db.statistics().writes
        assert (await copy.import_(io.StringIO(text))).new == 0
        assert copy.db.statistics().writes == writes
    assert_whole(target)


@pytest.mark.parametrize(
    "examples", [10, pytest.param(1500, marks=[pytest.mark.soak, pytest.mark.timeout(3600)])], ids=["few", "many"]
)
def test_what_was_exported_is_imported_as_it_was(examples: int, kept_by: str, request: pytest.FixtureRequest) -> None:
    emptied: Callable[[], Target] = DictDatabase
    if kept_by == "postgres":
        from tests.memory import on_postgres

        emptied = partial(on_postgres.emptied, request.getfixturevalue("postgres_database"))

    @settings(max_examples=examples)
    @given(operations, st.lists(moments(), min_size=3, max_size=10))
    def is_the_same(some: Any, times: list[tuple[datetime, datetime | None]]) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            if kept_by == "sqlite":
                asyncio.run(moved(folder / "a.db", folder / "b.db", some, times))
            else:
                asyncio.run(moved(folder / "a.db", emptied(), some, times))
                asyncio.run(moved(emptied(), folder / "b.db", some, times))

    is_the_same()


async def test_a_namespace_that_is_empty_again_is_not_in_the_file(memory: Memory, other: Memory) -> None:
    await memory.forget(await memory.find_or_create_entity("Ann"))
    text = await exported(memory)
    assert json.loads(text.splitlines()[0])["namespaces"] == []
    await other.import_(io.StringIO(text))
    assert await exported(other) == text


# -- into a memory that holds something --------------------------------------------------------------------------------


async def test_an_import_joins_what_is_there_and_finds_its_names(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    ann = await other.find_or_create_entity("ANN", "person")
    mine = await other.add_fact("ann", "likes", "tea")
    before = (await other.history(mine))[0].at
    imported = await other.import_(io.StringIO(text))
    assert imported.new > 0
    assert await other.entity("Ann") == ann
    assert {fact.text for fact in await other.facts("Ann", as_of=day(9))} == {
        "ann likes tea",
        "Ann met Bob",
        "Ann age 8",
    }
    # What was known here before stays so, and what was known there comes before it.
    assert await other.facts(known_at=before, as_of=day(9)) == [
        fact for fact in await other.facts(as_of=day(9)) if fact.created_at <= before
    ]
    assert (await other.import_(io.StringIO(text))).new == 0


async def test_what_was_known_when_answers_as_where_it_comes_from(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    [before] = [each.at for each in await memory.history(await age(memory)) if each.operation == "retract"]
    await other.remember("something of its own", [("Zoë", "is", "here")])
    await other.import_(io.StringIO(text))
    for ask in (before, before - timedelta(microseconds=1)):
        ours = [fact.text for fact in await memory.facts("Ann", known_at=ask)]
        assert ours == [fact.text for fact in await other.facts("Ann", known_at=ask)]
    assert [fact.text for fact in await other.facts("Zoë", known_at=before)] == []


async def age(memory: Memory) -> Fact:
    """The fact that was retracted."""
    for number in itertools.count(1):
        fact = await memory.fact(number)
        if fact is not None and fact.value == 7:
            return fact
    raise AssertionError


async def test_a_fact_that_is_believed_already_gets_the_evidence_and_the_past_is_kept(
    memory: Memory, other: Memory
) -> None:
    text = await filled(memory)
    [theirs] = await memory.facts("Ann", "met")
    await asyncio.sleep(0)
    [mine] = [await other.add_fact("Ann", "met", "Bob")]
    await other.import_(io.StringIO(text))
    assert [fact.id for fact in await other.facts("Ann", "met")] == [mine.id]
    assert len(await other.evidence(mine)) == 2
    [then] = await other.facts("Ann", "met", known_at=theirs.created_at)
    assert (then.id != mine.id, then.superseded_by, then.created_at) == (True, mine.id, theirs.created_at)
    counts = await other.counts()
    assert (await other.import_(io.StringIO(text))).new == 0
    assert await other.counts() == counts


async def test_a_later_export_brings_what_was_added_and_takes_back_what_was_retracted(
    memory: Memory, other: Memory
) -> None:
    await other.import_(io.StringIO(await filled(memory)))
    [met] = await memory.facts("Ann", "met")
    await memory.retract(met)
    await memory.remember("Ann met Zoë.", [("Ann", "met", "Zoë")], key="diary", replace=True)
    later = await exported(memory)
    imported = await other.import_(io.StringIO(later))
    assert imported.new == 3  # a text, an entity, a fact
    assert [fact.text for fact in await other.facts("Ann", "met")] == ["Ann met Zoë"]
    diary = await other.episode(key="diary")
    assert diary is not None and (diary.version, diary.content) == (2, "Ann met Zoë.")
    assert await exported(other) == later


async def test_another_text_under_a_key_is_an_error_with_its_line(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    await other.remember("Another diary.", key="diary")
    with pytest.raises(EpisodeExists, match=r"line \d+: .*'diary'"):
        await other.import_(io.StringIO(text))
    assert (await other.import_(io.StringIO(text), namespace="elsewhere")).new > 0
    elsewhere = other.scoped(namespace="elsewhere")
    assert (await elsewhere.counts()).episodes == 2


async def test_two_namespaces_become_one_where_that_is_asked_for(memory: Memory, other: Memory) -> None:
    await memory.remember("Ann is here.", [("Ann", "is", "here")])
    await memory.scoped(namespace="mail").remember("Ann writes.", [("ANN", "writes", "mail")])
    await other.import_(io.StringIO(await exported(memory)), namespace="all of it")
    view = other.scoped(namespace="all of it")
    assert [fact.text for fact in await view.facts("Ann")] == ["Ann is here", "ANN writes mail"]


async def test_others_hear_of_what_is_imported(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    made = await other.add_fact("Own", "is", "here")
    await other.import_(io.StringIO(text))
    [met] = await other.facts("Ann", "met")
    assert [line.operation for line in await other.history(met)] == ["create", "import"]
    assert [line.operation for line in await other.history(made)] == ["create"]
    first = (await other.history(met, limit=1)).next
    assert [line.operation for line in await other.history(met, after=first)] == ["import"]


async def test_inside_a_transaction_it_is_undone_with_it(memory: Memory, other: Memory) -> None:
    text = await filled(memory)
    with pytest.raises(ZeroDivisionError):
        async with other.db.transaction() as tx:
            within = other.within(tx)
            assert (await within.import_(io.StringIO(text))).new > 0
            assert await exported(within) == text
            raise ZeroDivisionError
    assert (await other.counts()).entities == 0


async def test_vectors_move_by_wish(target: Target, other_target: Target) -> None:
    async with (
        Memory.open(target, embedder=SpellingEmbedder()) as memory,
        Memory.open(other_target, embedder=SpellingEmbedder()) as other,
    ):
        await filled(memory)
        text = io.StringIO()
        await memory.export(text, vectors=True)
        await other.import_(io.StringIO(text.getvalue()))
        assert (await other.counts()).vectors == (await memory.counts()).vectors > 0
        again = io.StringIO()
        await other.export(again, vectors=True)
        assert again.getvalue() == text.getvalue()
        assert [hit.item.id for hit in await other.recall("Ann met Bob")] == [
            hit.item.id for hit in await memory.recall("Ann met Bob")
        ]


async def test_vectors_of_another_model_are_an_error_before_anything_is_written(target: Target) -> None:
    async with Memory.open(DictDatabase(), embedder=SpellingEmbedder(model="one")) as memory:
        await filled(memory)
        text = io.StringIO()
        await memory.export(text, vectors=True)
    async with Memory.open(target, embedder=SpellingEmbedder(model="two")) as other:
        await other.add_fact("Own", "is", "here")
        with pytest.raises(ModelChanged):
            await other.import_(io.StringIO(text.getvalue()))
        assert (await other.counts()).entities == 2


async def test_names_of_another_normaliser_are_an_error(memory: Memory) -> None:
    text = await filled(memory)
    async with Memory.open(DictDatabase(), normaliser=Normaliser("exact enough", str)) as other:
        with pytest.raises(NormaliserChanged, match="same"):
            await other.import_(io.StringIO(text))


async def test_two_entities_of_one_name_stay_two(memory: Memory, other: Memory) -> None:
    await memory.add_fact(await memory.find_or_create_entity("Apple", "fruit"), "is", value="round")
    untyped = await memory.find_or_create_entity("Pear")
    await memory.update_entity(untyped, name="Apple")
    await memory.add_fact(untyped, "is", value="a firm")
    await other.import_(io.StringIO(await exported(memory)))
    assert [(each.name, each.type) for each in await other.entities()] == [("Apple", "fruit"), ("Apple", None)]
    assert len({fact.subject for fact in await other.facts()}) == 2


async def test_the_order_of_creation_is_that_of_the_source(memory: Memory, other: Memory) -> None:
    first = await memory.find_or_create_entity("First")
    await memory.add_facts([("Zoe", "knows", "Wide")])  # one moment
    zoe = await memory.entity("Zoe")
    late = await memory.find_or_create_entity("Ann")
    assert zoe is not None
    await memory.merge(late, zoe)  # which is there since Zoe is
    await other.import_(io.StringIO(await exported(memory)))
    for graph in (await memory.graph(), await other.graph()):
        assert [each.name for each in graph.entities] == [first.name, "Ann", "Wide"]


async def test_the_order_of_creation_stays_where_the_clock_went_back(
    memory: Memory, other: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_500_000_000_000_000
    monkeypatch.setattr(moment, "now_micros", lambda: now)
    await memory.find_or_create_entity("Ann")
    now += 1_000
    await memory.add_entities(["Bob", "Apple"])
    now += 1_000
    await memory.find_or_create_entity("Wide")
    now -= 3_000_000  # all of them are known since then
    await memory.merge(*[await memory.find_or_create_entity(name) for name in ("Ann", "Bob")])
    await other.import_(io.StringIO(await exported(memory)))
    for graph in (await memory.graph(), await other.graph()):
        assert [each.name for each in graph.entities] == ["Ann", "Apple", "Wide"]
