"""Normalisers by name, recorded in what they have made: the folding one, the exact one, and private ones."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb import DatabaseClosed, Memory, Name, Normaliser, NormaliserChanged, Statement
from aiomemdb.memory.names import EXACT, FOLDED, Normalisers
from tests.memory.conftest import Target, assert_sound
from tests.memory.dict_database import DictDatabase
from tests.memory.filling import load
from tests.support.plain import plain

CAFE, CAFE_IN_PARTS = "caf\u00e9", "cafe\u0301"
PRIVATE = Normaliser("my-own-1", lambda name: name[::-1])


@pytest.fixture
async def exact(target: Target) -> AsyncIterator[Memory]:
    async with Memory.open(target, normaliser="exact") as memory:
        yield memory
    if isinstance(target, Path):
        assert_sound(target)


WAYS = ["Acme Corp", "acme corp", "Acme  Corp", " Acme Corp", "Acme\u200bCorp", CAFE, CAFE_IN_PARTS, "O'B", "O\u2019B"]


async def test_exact_names_are_one_only_if_they_are_equal(exact: Memory) -> None:
    added = await exact.add_entities(WAYS)
    assert [one.entity.name for one in added] == WAYS
    assert all(one.new for one in added)
    assert len({one.entity.id for one in added}) == len(WAYS)
    for name, one in zip(WAYS, added, strict=True):
        assert await exact.entity(name) == one.entity == await exact.find_or_create_entity(name)


async def test_exact_types_predicates_and_values_are_one_only_if_they_are_equal(exact: Memory) -> None:
    apples = await exact.add_entities([Name("Apple", way) for way in WAYS])
    assert [one.entity.type for one in apples] == WAYS
    assert [len(await exact.entities(type=way)) for way in WAYS] == [1] * len(WAYS)
    facts = await exact.add_facts([("Ann", way, "Bob") for way in WAYS])
    values = await exact.add_facts([Statement(subject="Ann", predicate="observation", value=way) for way in WAYS])
    assert all(one.new for one in (*facts, *values))
    assert [one.fact.predicate for one in facts] == WAYS
    assert [one.fact.value for one in values] == WAYS
    for way in WAYS:
        assert len(await exact.facts("Ann", way)) == len(await exact.facts("Ann", value=way)) == 1
    gone = await exact.retract_facts([("Ann", WAYS[2], "Bob")])
    assert [fact.predicate for fact in gone[0]] == [WAYS[2]]


async def test_exact_aliases_and_new_names_are_kept_as_they_are(exact: Memory) -> None:
    ann = await exact.find_or_create_entity("Ann")
    await exact.add_alias(ann, "ANN  B")
    assert await exact.entity("ANN  B") == ann
    assert await exact.entity("ANN B") is None
    renamed = await exact.update_entity(ann, name="ann  c", type="A  person")
    assert (renamed.name, renamed.type) == ("ann  c", "A  person")
    await exact.remove_alias(renamed, "ANN  B")
    assert await exact.entity("ANN  B") is None


async def test_what_is_no_exact_name_either_is_an_error(exact: Memory) -> None:
    for name in ("", "  ", "\u200b", "a\0b", "\ud800", "x" * 1001):
        with pytest.raises(ValueError, match="name"):
            await exact.find_or_create_entity(name)


async def test_an_exact_memory_is_asked_in_words_like_any_other(exact: Memory) -> None:
    fact = await exact.add_fact("Ann Lee", "WORKS_AT", "Acme  Corp")
    assert [hit.item for hit in await exact.recall("where does ann lee work?")][:1] == [fact]


async def test_a_memory_is_opened_by_the_normaliser_that_it_has_recorded(target: Target) -> None:
    async with Memory.open(target, normaliser="exact") as memory:
        assert memory.normaliser is EXACT
        await memory.add_facts([("Ann", "knows", "Bob"), Statement(subject="Ann", predicate="is", value=CAFE)])
    async with Memory.open(target) as memory:
        assert memory.normaliser is EXACT
        assert await memory.entity("ann") is None
        added = await memory.add_facts(
            [("Ann", "KNOWS", "Bob"), Statement(subject="Ann", predicate="is", value=CAFE_IN_PARTS)]
        )
        assert [one.new for one in added] == [True, True]
        assert (await memory.scoped(agent="b").add_facts([("Ann", "knows", "Bob")]))[0].new is False
    for other in ("folded", PRIVATE):
        with pytest.raises(NormaliserChanged, match="'exact'"):
            await Memory.open(target, normaliser=other)  # type: ignore[arg-type]


async def test_a_new_memory_folds(target: Target) -> None:
    async with Memory.open(target) as memory:
        assert memory.normaliser is FOLDED
        await memory.add_fact("Ann", "KNOWS", "Bob")
    async with Memory.open(target, normaliser="folded") as memory:
        [again] = await memory.add_facts([("ANN", "knows", "bob")])
        assert not again.new
    with pytest.raises(NormaliserChanged, match="'nfkc-casefold-2'"):
        await Memory.open(target, normaliser="exact")


async def test_a_memory_of_a_private_normaliser_wants_that(target: Target) -> None:
    async with Memory.open(target, normaliser=PRIVATE, predicate_normaliser=PRIVATE) as memory:
        fact = await memory.add_fact("Ann", "knows", "Bob")
    with pytest.raises(NormaliserChanged, match=r"my-own-1.*a private one.*normaliser="):
        await Memory.open(target)
    with pytest.raises(NormaliserChanged, match=r"private.*predicate_normaliser="):
        await Memory.open(target, normaliser=PRIVATE)
    async with Memory.open(target, normaliser=PRIVATE, predicate_normaliser=PRIVATE) as memory:
        assert await memory.facts("Ann") == [fact]


async def test_a_private_normaliser_alone_folds_predicates(target: Target) -> None:
    for _ in range(2):
        async with Memory.open(target, normaliser=PRIVATE) as memory:
            await memory.add_facts([("Ann", "KNOWS", "Bob"), ("Ann", "knows", "Bob")])
            assert len(await memory.facts()) == 1


@pytest.mark.parametrize("other", ["Exact", "", 7, str])
def test_a_normaliser_is_one_of_the_names_or_an_object(other: Any) -> None:
    with pytest.raises((ValueError, TypeError), match="Normaliser"):
        Memory.open(DictDatabase(), normaliser=other)
    with pytest.raises(TypeError, match="predicate_normaliser"):
        Memory.open(DictDatabase(), predicate_normaliser="exact")  # type: ignore[arg-type]


async def test_a_memory_that_is_not_open_has_no_normaliser_yet(target: Target) -> None:
    with pytest.raises(DatabaseClosed):
        _ = Memory.open(target, normaliser="exact").normaliser


async def test_a_file_from_before_goes_on_with_what_made_it(db_path: Path) -> None:
    load(4, db_path)
    with pytest.raises(NormaliserChanged):
        await Memory.open(db_path, normaliser="exact")
    async with Memory.open(db_path) as memory:
        assert memory.normaliser is FOLDED
        added = await memory.add_facts(
            [Statement(subject="Eve", predicate="is", value=way) for way in (CAFE, CAFE_IN_PARTS)]
        )
        assert [one.new for one in added] == [True, False]
    assert plain(db_path, "SELECT count(*) FROM memory_meta WHERE key = 'value normaliser' AND value <> 'nfc'") == [
        (0,)
    ]


async def test_what_made_its_keys_is_recorded_in_the_file(db_path: Path) -> None:
    async with Memory.open(db_path, normaliser="exact"):
        pass
    recorded = plain(db_path, "SELECT key, value FROM memory_meta WHERE key LIKE '%normaliser' ORDER BY key")
    assert dict(recorded) == Normalisers(EXACT, EXACT, True).recorded()


LETTERS = st.one_of(
    st.sampled_from("aA  \u0301\u00e1\u200b'\u2019\n"),
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
)
TEXTS = st.text(LETTERS, max_size=5).map(lambda text: f"{text}x{text}")


@given(st.lists(st.tuples(TEXTS, TEXTS, TEXTS), max_size=8))
async def test_whatever_is_said_exactly_comes_back_byte_for_byte(said: list[tuple[str, str, str]]) -> None:
    async with Memory.open(DictDatabase(), normaliser="exact") as memory:
        added = await memory.add_facts([Statement(subject=s, predicate=p, value=v) for s, p, v in said])
        assert [one.new for one in added] == [each not in said[:place] for place, each in enumerate(said)]
        names = {entity.id: entity.name for entity in await memory.entities()}
        assert [(names[one.fact.subject], one.fact.predicate, one.fact.value) for one in added] == said
