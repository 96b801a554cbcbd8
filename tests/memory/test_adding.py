"""Many facts, and many names, in one job, which says what of them is new."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiomemdb import Entity, Memory, Name, NotFound, Statement
from tests.memory.support import SpellingEmbedder, day


def observed(subject: str, value: str) -> Statement:
    return Statement(subject=subject, predicate="observation", value=value)


# -- facts -------------------------------------------------------------------------------------------------------------


async def test_each_statement_is_answered_by_its_fact_and_whether_it_is_new(memory: Memory) -> None:
    before = await memory.add_fact("Ann", "knows", "Bob")
    added = await memory.add_facts([("Ann", "knows", "Bob"), ("Ann", "KNOWS", "Carl"), observed("Ann", "tall")])
    assert [one.new for one in added] == [False, True, True]
    assert added[0].fact == before
    assert [one.fact.predicate for one in added] == ["knows", "KNOWS", "observation"]
    assert [fact.id for fact in await memory.facts("Ann")] == [one.fact.id for one in added]


async def test_what_a_call_says_twice_is_new_once(memory: Memory) -> None:
    added = await memory.add_facts([observed("Ann", "tall"), observed("ann", "tall")])
    assert [one.new for one in added] == [True, False]
    assert added[0].fact == added[1].fact


async def test_a_corrected_fact_is_new(memory: Memory) -> None:
    await memory.add_fact("Ann", "age", value=7, valid_at=day(0))
    [added] = await memory.add_facts(
        [Statement(subject="Ann", predicate="age", value=7, valid_at=day(0), invalid_at=day(9))]
    )
    assert added.new
    assert added.fact.invalid_at == day(9)


async def test_no_statements_are_answered_by_none(memory: Memory) -> None:
    assert await memory.add_facts([]) == []
    assert await memory.add_entities([]) == []


async def test_of_statements_that_cant_be_none_is_written(memory: Memory) -> None:
    with pytest.raises(ValueError, match="exactly one"):
        await memory.add_facts([("Ann", "knows", "Bob"), Statement(subject="Ann", predicate="is")])
    with pytest.raises(NotFound):
        await memory.add_facts([("Ann", "knows", "Bob"), (gone(), "knows", "Bob")])
    assert (await memory.counts()).entities == 0


def gone() -> Entity:
    return Entity(99, "default", "gone", None, "", {}, None, day(0))


@pytest.mark.parametrize("facts", [Statement(subject="Ann", predicate="is", value=1), "Ann"])
async def test_one_statement_in_the_place_of_several_is_an_error(memory: Memory, facts: Any) -> None:
    with pytest.raises(TypeError, match="several"):
        await memory.add_facts(facts)


async def test_what_becomes_of_missing_names_is_one_of_three(memory: Memory) -> None:
    with pytest.raises(ValueError, match="imply"):
        await memory.add_facts([("Ann", "knows", "Bob")], missing="ignore")  # type: ignore[arg-type]


async def test_a_missing_name_is_an_error_that_names_the_first(memory: Memory) -> None:
    await memory.find_or_create_entity("Ann")
    statements = [observed("Ann", "tall"), observed("BOB", "small"), observed("Carl", "here")]
    with pytest.raises(NotFound, match="BOB") as caught:
        await memory.add_facts(statements, missing="error")
    assert (caught.value.name, caught.value.applied) == ("BOB", False)
    assert await memory.facts() == []
    assert await memory.entity("Bob") is None


async def test_an_implied_entity_is_missing(memory: Memory) -> None:
    await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    with pytest.raises(NotFound) as caught:
        await memory.add_facts([observed("Ann", "tall")], missing="error")
    assert caught.value.name == "Ann"


async def test_names_that_are_there_are_not_missing(memory: Memory) -> None:
    ann = await memory.find_or_create_entity("Ann", "person")
    [added] = await memory.add_facts([observed("ann", "tall")], missing="error")
    assert (added.fact.subject, added.new) == (ann.id, True)


async def test_calls_at_once_are_answered_each_by_its_own_error(memory: Memory) -> None:
    await memory.find_or_create_entity("Ann")
    answers = await asyncio.gather(
        memory.add_facts([observed("Ann", "one")], missing="error"),
        memory.add_facts([observed("Bob", "two")], missing="error"),
        memory.add_facts([observed("Ann", "one")], missing="error"),
        return_exceptions=True,
    )
    assert isinstance(answers[1], NotFound)
    assert [one.new for answer in (answers[0], answers[2]) for one in answer] == [True, False]  # type: ignore[union-attr]


# -- names -------------------------------------------------------------------------------------------------------------


async def test_each_name_is_answered_by_its_entity_and_whether_it_is_new(memory: Memory) -> None:
    ann = await memory.find_or_create_entity("Ann", "person")
    added = await memory.add_entities(["ANN", Name("Bob", "person", "a friend"), "bob"])
    assert [(one.entity.name, one.entity.type, one.new) for one in added] == [
        ("Ann", "person", False),
        ("Bob", "person", True),
        ("Bob", "person", False),
    ]
    assert added[0].entity == ann
    assert added[1].entity.description == "a friend"


@pytest.mark.parametrize("any_type", [False, True])
async def test_a_name_of_another_type_is_a_homonym_unless_any_type_will_do(memory: Memory, any_type: bool) -> None:
    fruit = await memory.find_or_create_entity("Apple", "fruit")
    [added] = await memory.add_entities([Name("Apple", "company")], any_type=any_type)
    assert added.new is not any_type
    assert (added.entity == fruit) is any_type


async def test_an_entity_without_a_type_adopts_none_where_any_type_will_do(memory: Memory) -> None:
    apple = await memory.find_or_create_entity("Apple")
    [added] = await memory.add_entities([Name("Apple", "company")], any_type=True)
    assert (added.new, added.entity) == (False, apple)
    assert await memory.entity(apple.id) == apple


async def test_of_two_types_in_one_call_the_first_is_made_where_any_type_will_do(memory: Memory) -> None:
    added = await memory.add_entities([Name("Apple", "fruit"), Name("Apple", "company")], any_type=True)
    assert [(one.entity.type, one.new) for one in added] == [("fruit", True), ("fruit", False)]


async def test_facts_are_stated_of_what_is_new_alone(memory: Memory) -> None:
    await memory.find_or_create_entity("Ann")
    added = await memory.add_entities(
        ["Ann", Name("Bob", "person")],
        facts=[
            observed("Ann", "left out"),
            observed("Bob", "kept"),
            ("bob", "knows", "Carl"),
            ("Ann", "knows", "Dora"),
        ],
    )
    assert [[fact.text for fact in one.facts] for one in added] == [[], ["Bob observation kept", "bob knows Carl"]]
    assert await memory.facts("Ann") == []
    assert await memory.entity("Carl") is not None
    assert await memory.entity("Dora") is None


async def test_a_fact_is_of_the_name_of_the_call_not_of_an_older_homonym(memory: Memory) -> None:
    company = await memory.find_or_create_entity("Apple", "company")
    [added] = await memory.add_entities([Name("Apple", "fruit")], facts=[observed("Apple", "red")])
    assert [fact.subject for fact in added.facts] == [added.entity.id] != [company.id]


@pytest.mark.parametrize("subject", ["Bob", Name("Ann", "person"), gone()])
async def test_a_fact_of_another_name_is_an_error(memory: Memory, subject: Any) -> None:
    with pytest.raises(ValueError, match="names that are added"):
        await memory.add_entities([Name("Ann", "cat")], facts=[(subject, "is", "here")])
    assert (await memory.counts()).entities == 0


@pytest.mark.parametrize("names", ["Ann", Name("Ann"), [gone()], [1]])
async def test_names_are_several_and_names(memory: Memory, names: Any) -> None:
    with pytest.raises(TypeError):
        await memory.add_entities(names)


async def test_one_of_many_callers_learns_that_a_name_is_new(memory: Memory) -> None:
    answers = await asyncio.gather(
        *(memory.add_entities([Name("Ann", f"type {n}"), "Bob"], any_type=True) for n in range(20)),
        *(memory.find_or_create_entity("Ann") for _ in range(5)),
    )
    added = [answer for answer in answers if isinstance(answer, list)]
    assert [sum(answer[place].new for answer in added) for place in range(2)] == [1, 1]
    assert (await memory.counts()).entities == 2


async def test_with_an_embedder_what_is_new_has_vectors(target: Any) -> None:
    async with Memory.open(target, embedder=SpellingEmbedder()) as memory:
        await memory.add_entities(["Ann", "Bob"], facts=[observed("Ann", "tall"), ("Bob", "knows", "Carl")])
        assert (await memory.counts()).vectors == 5
        assert await memory.reembed() == 0


# -- implied entities --------------------------------------------------------------------------------------------------


async def test_names_that_relations_alone_name_are_implied(memory: Memory) -> None:
    ann = await memory.find_or_create_entity("Ann")
    await memory.add_facts([("Ann", "knows", "Bob"), ("Carl", "knows", "Bob")], missing="imply")
    assert {one.name: one.implied for one in await memory.entities()} == {"Ann": False, "Bob": True, "Carl": True}
    assert await memory.entity("Ann") == ann
    assert (await memory.recall("Bob", kinds=["entity"])).hits[0].item == await memory.entity("bob")


ESTABLISHING: dict[str, Any] = {
    "find_or_create_entity": lambda memory, bob: memory.find_or_create_entity("BOB", "person", "a friend"),
    "add_entities": lambda memory, bob: memory.add_entities([Name("BOB", "person", "a friend")], any_type=True),
    "add_fact": lambda memory, bob: memory.add_fact(Name("BOB", "person", "a friend"), "is", value=1),
    "add_facts": lambda memory, bob: memory.add_facts([("Ann", "knows", Name("BOB", "person", "a friend"))]),
    "remember": lambda memory, bob: memory.remember("text", mentions=[Name("BOB", "person", "a friend")]),
}


@pytest.mark.parametrize("verb", ESTABLISHING)
async def test_an_implied_entity_is_created_as_it_is_written_then(memory: Memory, verb: str) -> None:
    await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    bob = await memory.entity("Bob")
    assert bob is not None and bob.implied
    await ESTABLISHING[verb](memory, bob)
    made = await memory.entity(bob.id)
    assert made is not None
    assert (made.name, made.type, made.description, made.implied) == ("BOB", "person", "a friend", False)
    assert await memory.entity("bob", "person") == made
    assert [event.operation for event in await memory.history(bob)][:1] == ["create"]
    assert "establish" in [event.operation for event in await memory.history(bob)]
    [again] = await memory.add_entities(["Bob"])
    assert not again.new


async def test_an_implied_entity_is_created_by_its_bare_name_too(memory: Memory) -> None:
    await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    assert not (await memory.find_or_create_entity("Bob")).implied
    [again] = await memory.add_entities(["Bob"])
    assert not again.new


BY_HANDLE: dict[str, Any] = {
    "update_entity": lambda memory, bob: memory.update_entity(bob, description="a friend"),
    "add_fact": lambda memory, bob: memory.add_fact(bob, "is", value=1),
    "remember": lambda memory, bob: memory.remember("text", mentions=[bob]),
}


@pytest.mark.parametrize("verb", BY_HANDLE)
async def test_a_handle_establishes_it_too(memory: Memory, verb: str) -> None:
    await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    bob = await memory.entity("Bob")
    assert bob is not None
    await BY_HANDLE[verb](memory, bob)
    made = await memory.entity(bob.id)
    assert made is not None
    assert (made.name, made.implied) == ("Bob", False)


async def test_what_is_implied_again_stays_as_it_is(memory: Memory) -> None:
    await memory.find_or_create_entity("Ann")
    for _ in range(2):
        added = await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    assert not added[0].new
    assert {one.name: one.implied for one in await memory.entities()} == {"Ann": False, "Bob": True}


async def test_an_implied_entity_is_new_once(memory: Memory) -> None:
    [related] = await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    first = await memory.add_entities([Name("bob", "person"), "Bob"], facts=[observed("BOB", "tall")], any_type=True)
    again = await memory.add_entities([Name("Bob", "cat")], facts=[observed("Bob", "left out")], any_type=True)
    assert [one.new for one in (*first, *again)] == [True, False, False]
    assert first[0].entity.id == related.fact.object
    assert [fact.value for fact in first[0].facts] == ["tall"]
    assert again[0].entity == first[0].entity


async def test_where_any_type_will_do_an_implied_homonym_is_none(memory: Memory) -> None:
    await memory.add_facts([("Ann", "eats", Name("Apple", "fruit"))], missing="imply")
    [added] = await memory.add_entities([Name("Apple", "company")], any_type=True)
    assert (added.new, added.entity.type) == (True, "company")
    assert (await memory.find_or_create_entity("Apple")).type == "company"
    [again] = await memory.add_entities([Name("Apple", "fruit")], any_type=True)
    assert not again.new


async def test_a_merge_with_one_that_is_not_implied_establishes(memory: Memory) -> None:
    await memory.add_facts([("Ann", "knows", "Bob"), ("Ann", "knows", "Rob")], missing="imply")
    bob, rob, robert = [await memory.entity(name) for name in ("Bob", "Rob", "Ann")]
    assert bob is not None and rob is not None and robert is not None
    assert (await memory.merge(bob, rob)).implied
    assert not (await memory.merge(bob, await memory.find_or_create_entity("Robert"))).implied
