"""Facts and entities that are taken back by what they say and what they are called, many in one job."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from aiomemdb import Entity, Forgotten, Memory, Name, Statement
from tests.memory.support import day


def observed(subject: str, value: str) -> Statement:
    return Statement(subject=subject, predicate="observation", value=value)


# -- facts -------------------------------------------------------------------------------------------------------------


async def test_facts_are_retracted_by_what_they_say(memory: Memory) -> None:
    kept = await memory.add_fact("Ann", "knows", "Dora")
    made = await memory.add_facts([("Ann", "knows", "Bob"), observed("Ann", "tall"), ("Bob", "knows", "Ann")])
    gone = await memory.retract_facts(
        [("ANN", "Knows", "bob"), observed("ann", "tall"), observed("Ann", "small")], "no"
    )
    assert [[fact.id for fact in each] for each in gone] == [[made[0].fact.id], [made[1].fact.id], []]
    assert all(fact.expired_at is not None for each in gone for fact in each)
    assert await memory.facts() == [kept, made[2].fact]
    assert [(event.operation, event.reason) for event in await memory.history(gone[0][0])] == [
        ("create", None),
        ("retract", "no"),
    ]
    assert await memory.fact(gone[0][0].id) == gone[0][0]


async def test_what_nothing_has_is_no_error_and_writes_nothing(memory: Memory) -> None:
    await memory.add_fact("Ann", "knows", "Bob")
    ghost = Entity(99, "default", "gone", None, "", {}, None, day(0))
    assert (
        await memory.retract_facts([("Eve", "knows", "Bob"), ("Ann", "knows", ghost), ("Ann", "likes", "Bob")])
        == [()] * 3
    )
    assert await memory.retract_entities(["Eve", ghost]) == []
    assert await memory.forget_entities(["Eve", ghost]) == Forgotten()
    assert await memory.retract_facts([]) == []
    assert (await memory.counts()).facts == 1
    assert await memory.entity("Eve") is None


async def test_a_fact_that_two_statements_mean_is_the_first_ones(memory: Memory) -> None:
    await memory.add_fact("Ann", "knows", "Bob")
    gone = await memory.retract_facts([("Ann", "knows", "Bob"), ("ann", "KNOWS", "bob")])
    assert [len(each) for each in gone] == [1, 0]
    assert await memory.retract_facts([("Ann", "knows", "Bob")]) == [()]


async def test_all_periods_are_meant_unless_one_is_said(memory: Memory) -> None:
    for begin in (0, 5):
        await memory.add_fact("Ann", "lives in", "Rome", valid_at=day(begin), invalid_at=day(begin + 1))
    [late] = await memory.retract_facts(
        [Statement(subject="Ann", predicate="lives in", object="Rome", valid_at=day(5))]
    )
    assert [fact.valid_at for fact in late] == [day(5)]
    [rest] = await memory.retract_facts([("Ann", "lives in", "Rome")])
    assert [fact.valid_at for fact in rest] == [day(0)]


async def test_a_name_means_all_that_have_it_and_a_typed_one_that_one(memory: Memory) -> None:
    for type in ("company", "fruit", "record"):
        await memory.add_fact(Name("Apple", type), "is", value="red")
    [typed] = await memory.retract_facts([Statement(subject=Name("apple", "Fruit"), predicate="is", value="red")])
    assert len(typed) == 1
    [plain] = await memory.retract_facts([Statement(subject="Apple", predicate="is", value="red")])
    assert len(plain) == 2
    assert await memory.facts() == []


async def test_a_value_is_no_name_of_an_entity(memory: Memory) -> None:
    bob = await memory.add_fact("Ann", "knows", "Bob")
    said = await memory.add_fact("Ann", "knows", value="Bob")
    assert await memory.retract_facts([Statement(subject="Ann", predicate="knows", value="Bob")]) != [()]
    assert await memory.facts() == [bob]
    assert said.object is None


async def test_callers_at_once_take_a_fact_back_once(memory: Memory) -> None:
    await memory.add_facts([("Ann", "knows", f"n {n}") for n in range(5)])
    same = [("Ann", "knows", f"n {n}") for n in range(5)]
    answers = await asyncio.gather(*(memory.retract_facts(same) for _ in range(6)))
    assert [sum(len(answer[place]) for answer in answers) for place in range(5)] == [1] * 5


@pytest.mark.parametrize("names", ["Ann", Name("Ann"), [1], [""]])
async def test_names_are_several_and_names(memory: Memory, names: Any) -> None:
    await memory.add_fact("Ann", "knows", "Bob")
    for verb in (memory.retract_entities, memory.forget_entities):
        with pytest.raises((TypeError, ValueError)):
            await verb(names)
    assert (await memory.counts()).facts == 1


# -- entities ----------------------------------------------------------------------------------------------------------


async def test_a_retracted_entity_is_implied_and_nothing_of_it_is_believed(memory: Memory) -> None:
    await memory.add_facts([("Ann", "knows", "Bob"), ("Carl", "knows", "ANN"), ("Bob", "knows", "Carl")])
    [ann] = await memory.retract_entities(["ann", "Ann"], "left")
    assert (ann.name, ann.implied) == ("Ann", True)
    assert [fact.text for fact in await memory.facts()] == ["Bob knows Carl"]
    assert await memory.entity("Ann") == ann
    assert [event.reason for event in await memory.history(ann)][-1] == "left"
    assert await memory.retract_entities(["Ann"]) == []
    [again] = await memory.add_entities([Name("Ann", "person")], any_type=True)
    assert (again.new, again.entity.id, again.entity.implied) == (True, ann.id, False)
    assert await memory.facts("Ann") == []


async def test_before_it_was_retracted_all_of_it_is_still_known(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "knows", "Bob")
    await memory.retract_entities(["Ann"])
    assert [one.id for one in await memory.facts("Ann", known_at=fact.created_at)] == [fact.id]


async def test_what_relations_say_of_an_implied_entity_is_retracted_too(memory: Memory) -> None:
    await memory.add_facts([("Ann", "knows", "Bob")], missing="imply")
    assert await memory.retract_entities(["Bob"]) == []
    assert await memory.facts() == []


async def test_all_entities_are_forgotten_at_once_with_all_of_theirs(memory: Memory) -> None:
    await memory.remember("Ann and Bob", [("Ann", "knows", "Bob"), ("Bob", "knows", "Carl")])
    kept = await memory.add_fact("Carl", "knows", "Dora")
    dora = await memory.entity("Dora")
    assert dora is not None
    gone = await memory.forget_entities(["ann", "Bob", "Eve", "BOB"])
    assert (gone.entities, gone.facts, gone.aliases) == (2, 2, 2)
    assert [entity.name for entity in await memory.entities()] == ["Carl", "Dora"]
    assert await memory.facts() == [kept]
    assert (await memory.forget_entities([dora])).entities == 1


async def test_all_homonyms_are_forgotten_by_their_name_and_one_by_its_type(memory: Memory) -> None:
    for type in ("company", "fruit", "record"):
        await memory.find_or_create_entity("Apple", type)
    assert (await memory.forget_entities([Name("apple", "fruit")])).entities == 1
    assert (await memory.forget_entities(["Apple"])).entities == 2


async def test_a_large_entity_is_forgotten_in_slices(memory: Memory) -> None:
    await memory.add_facts([observed(name, f"{n}") for n in range(400) for name in ("Ann", "Bob")])
    gone = await memory.forget_entities(["Ann", "Bob"])
    assert (gone.entities, gone.facts) == (2, 800)
    assert (await memory.counts()).entities == 0
