"""Facts: said, said again, superseded, late, retracted; asked at any time of the world and of knowledge."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from aiomemdb import Fact, Memory, NotFound, Statement
from aiomemdb.memory.deciding.facts import KnownFact
from aiomemdb.memory.stores import knowing
from tests.memory.filling import CAFE, CAFE_IN_PARTS
from tests.memory.support import day


async def places(memory: Memory, *, known_at: datetime | None = None, days: range = range(0, 60, 10)) -> list[Any]:
    """Where Ann works on each day: the values, joined."""
    found = []
    for number in days:
        facts = await memory.facts("Ann", "works at", as_of=day(number) + timedelta(hours=1), known_at=known_at)
        found.append(" ".join(str(fact.value) for fact in facts))
    return found


async def works_at(memory: Memory, where: str, begin: int | None = None, end: int | None = None, **more: Any) -> Fact:
    return await memory.add_fact(
        "Ann",
        "works at",
        value=where,
        valid_at=None if begin is None else day(begin),
        invalid_at=None if end is None else day(end),
        **more,
    )


async def test_a_predicate_is_one_however_it_is_written_and_is_shown_as_it_was(memory: Memory) -> None:
    oslo = await memory.add_fact("Ann", f"Meets At {CAFE}", "Oslo", replace=True)
    assert oslo.predicate == f"Meets At {CAFE}"
    bergen = await memory.add_fact("Ann", f"meets\u200b at {CAFE_IN_PARTS}", "Bergen", replace=True)
    assert await memory.facts("Ann", f"MEETS AT {CAFE.upper()}") == [bergen]
    around = await memory.neighbors("Ann", predicates=[f"meets at {CAFE}"])
    assert around.facts == (bergen,)


@pytest.mark.parametrize(
    ("one", "other", "same"), [(CAFE, CAFE_IN_PARTS, True), ("10\u00b2", "102", False), ("Id", "id", False)]
)
async def test_strings_are_one_in_their_canonical_form_alone(memory: Memory, one: str, other: str, same: bool) -> None:
    first = await memory.add_fact("Ann", "says", value=one)
    second = await memory.add_fact("Ann", "says", value=other)
    assert (first.id == second.id) is same
    assert first.value == one
    assert await memory.facts("Ann", value=other) == [second]


async def test_a_value_is_shown_as_it_was_given(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "says", value="\n\u0301" + CAFE_IN_PARTS)
    assert fact.value == "\n\u0301" + CAFE_IN_PARTS
    assert fact.text.endswith(CAFE_IN_PARTS)


async def test_a_fact_is_found_from_each_end(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "Works  At", "Acme")
    assert fact.text == "Ann Works At Acme"
    assert await memory.facts("ann") == await memory.facts(object="ACME") == await memory.facts(predicate="works at")
    assert (await memory.facts("ann"))[0] == fact == await memory.fact(fact.id)
    assert await memory.facts("nobody") == []


@pytest.mark.parametrize("value", ["Köln", "", 7, 2.5, True, False, -1])
async def test_a_literal_comes_back_as_it_was(memory: Memory, value: Any) -> None:
    fact = await memory.add_fact("Ann", "says", value=value)
    assert (fact.value, fact.object, type(fact.value)) == (value, None, type(value))
    assert await memory.facts("Ann", value=value) == [fact]


async def test_equal_numbers_are_one_fact_and_words_of_digits_another(memory: Memory) -> None:
    one = await memory.add_fact("Ann", "age", value=42)
    assert (await memory.add_fact("Ann", "age", value=42.0)).id == one.id
    assert (await memory.add_fact("Ann", "age", value="42")).id != one.id
    assert (await memory.add_fact("Ann", "age", value=True)).id != (await memory.add_fact("Ann", "age", value=1)).id


async def test_said_again_it_is_the_same_fact_with_more_evidence(memory: Memory) -> None:
    mail = memory.scoped(agent="mail")
    first = await memory.add_fact("Ann", "knows", "Bob", confidence=0.5, quote="she said so")
    assert await mail.add_fact("ann", "KNOWS", "bob", confidence=0.7) == first
    assert await memory.add_fact("ann", "knows", "bob", confidence=0.6, quote="again") == first
    evidence = await memory.evidence(first)
    assert [(e.agent, e.confidence, e.quote) for e in evidence] == [(None, 0.6, "she said so"), ("mail", 0.7, None)]


async def test_two_periods_of_one_fact_are_two(memory: Memory) -> None:
    one = await works_at(memory, "Acme", 0, 10)
    other = await works_at(memory, "Acme", 20, 30)
    assert one.id != other.id
    assert await places(memory) == ["Acme", "", "Acme", "", "", ""]


async def test_a_fact_holds_from_its_begin_until_before_its_end(memory: Memory) -> None:
    await works_at(memory, "Acme", 10, 20)
    tick = timedelta(microseconds=1)
    for when, holds in ((day(10) - tick, 0), (day(10), 1), (day(20) - tick, 1), (day(20), 0)):
        assert len(await memory.facts("Ann", as_of=when)) == holds


async def test_without_times_it_holds_always(memory: Memory) -> None:
    await works_at(memory, "Acme")
    assert await places(memory) == ["Acme"] * 6


async def test_as_of_is_now_unless_told(memory: Memory) -> None:
    await works_at(memory, "Acme", 0, 10)
    await memory.add_fact("Ann", "born in", "Rome", valid_at=day(0))
    await memory.add_fact("Ann", "moves to", "Mars", valid_at=day(1_000_000))
    assert [fact.predicate for fact in await memory.facts("Ann")] == ["born in"]


async def test_a_known_end_corrects_a_fact_and_keeps_its_evidence(memory: Memory) -> None:
    old = await works_at(memory, "Acme", 0, quote="hired")
    new = await memory.scoped(agent="mail").add_fact(
        "Ann", "works at", value="Acme", valid_at=day(0), invalid_at=day(20)
    )
    assert new.id != old.id
    assert await places(memory) == ["Acme", "Acme", "", "", "", ""]
    before = await memory.fact(old.id)
    assert before is not None and (before.superseded_by, before.expired_at) == (new.id, new.created_at)
    assert [evidence.quote for evidence in await memory.evidence(new)] == ["hired", None]


# -- supersession ------------------------------------------------------------------------------------------------------


async def test_replace_ends_what_held_before(memory: Memory) -> None:
    old = await works_at(memory, "Acme", 10, quote="hired")
    new = await works_at(memory, "Beta", 30, replace=True)
    assert await places(memory) == ["", "Acme", "Acme", "Beta", "Beta", "Beta"]
    expired = await memory.fact(old.id)
    assert expired is not None
    assert (expired.superseded_by, expired.expired_at, expired.invalid_at) == (new.id, new.created_at, None)
    [rest] = await memory.facts("Ann", as_of=day(20))
    assert (rest.invalid_at, rest.created_at) == (day(30), new.created_at)
    assert [evidence.quote for evidence in await memory.evidence(rest)] == ["hired"]


async def test_what_was_known_before_can_still_be_asked(memory: Memory) -> None:
    old = await works_at(memory, "Acme", 10)
    new = await works_at(memory, "Beta", 30, replace=True)
    assert await places(memory, known_at=old.created_at) == ["", *["Acme"] * 5]
    assert await places(memory, known_at=new.created_at - timedelta(microseconds=1)) == ["", *["Acme"] * 5]
    assert await places(memory, known_at=new.created_at) == ["", "Acme", "Acme", "Beta", "Beta", "Beta"]
    assert await places(memory, known_at=old.created_at - timedelta(microseconds=1)) == [""] * 6


async def test_a_late_arrival_ends_where_the_present_one_begins(memory: Memory) -> None:
    present = await works_at(memory, "Beta", 30)
    late = await works_at(memory, "Acme", 10, replace=True)
    assert late.invalid_at == day(30)
    assert await places(memory) == ["", "Acme", "Acme", "Beta", "Beta", "Beta"]
    assert await memory.fact(present.id) == present


async def test_a_late_arrival_between_two_shortens_one_and_ends_at_the_other(memory: Memory) -> None:
    await works_at(memory, "Acme", 0, replace=True)
    await works_at(memory, "Gamma", 40, replace=True)
    await works_at(memory, "Beta", 20, replace=True)
    assert await places(memory) == ["Acme", "Acme", "Beta", "Beta", "Gamma", "Gamma"]


async def test_replacing_from_the_same_day_leaves_no_rest(memory: Memory) -> None:
    await works_at(memory, "Acme", 10)
    await works_at(memory, "Beta", 10, replace=True)
    assert await places(memory) == ["", *["Beta"] * 5]
    assert (await memory.counts()).facts == 1


async def test_replacing_without_a_begin_leaves_no_rest(memory: Memory) -> None:
    await works_at(memory, "Acme")
    await works_at(memory, "Beta", replace=True)
    assert await places(memory) == ["Beta"] * 6


async def test_what_a_fact_with_an_end_replaced_does_not_come_back(memory: Memory) -> None:
    await works_at(memory, "Acme")
    await works_at(memory, "Beta", 20, 40, replace=True)
    assert await places(memory) == ["Acme", "Acme", "Beta", "Beta", "", ""]


async def test_what_ended_before_is_left_alone(memory: Memory) -> None:
    ended = await works_at(memory, "Acme", 0, 10)
    await works_at(memory, "Beta", 10, replace=True)
    assert await memory.fact(ended.id) == ended


async def test_another_predicate_or_subject_is_left_alone(memory: Memory) -> None:
    await memory.add_fact("Ann", "lives in", "Rome", valid_at=day(0))
    await memory.add_fact("Bob", "works at", "Acme", valid_at=day(0))
    await works_at(memory, "Beta", 10, replace=True)
    assert (await memory.counts()).expired_facts == 0


@pytest.mark.sqlite_only
async def test_what_is_replaced_far_in_the_past_reads_only_what_begins_next(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    for begin in range(10, 60, 10):
        await works_at(memory, f"place {begin}", begin, replace=True)
    read: list[object] = []

    def fact(*columns: Any) -> KnownFact:
        read.append(columns)
        return KnownFact(*columns)

    monkeypatch.setattr(knowing, "KnownFact", fact)
    await works_at(memory, "early", 0, replace=True)
    await works_at(memory, "between", 25, replace=True)
    await works_at(memory, "late", 70, replace=True)
    assert len(read) == 1 + 2 + 1  # the next one; the one that held, and the next; the one that held
    assert await places(memory, days=range(0, 80, 5)) == [
        *["early"] * 2, *["place 10"] * 2, "place 20", *["between"], *["place 30"] * 2, *["place 40"] * 2,
        *["place 50"] * 4, *["late"] * 2,
    ]  # fmt: skip


async def test_what_begins_next_may_go_with_a_text_in_the_same_job(memory: Memory) -> None:
    """Then the one behind it is where the new one ends."""
    said = Statement(subject="Ann", predicate="works at", value="next", valid_at=day(10))
    await memory.remember("old", [said], key="k")
    await works_at(memory, "later", 20, replace=True)
    await asyncio.gather(memory.remember("new", key="k", replace=True), works_at(memory, "early", 0, replace=True))
    [early] = [fact for fact in await memory.facts("Ann", as_of=day(1)) if fact.value == "early"]
    assert early.invalid_at == day(20)
    assert await places(memory, days=range(0, 40, 10)) == ["early", "early", "later", "later"]


async def test_said_again_with_replace_it_is_the_same_fact(memory: Memory) -> None:
    fact = await works_at(memory, "Acme", 10, replace=True)
    assert await works_at(memory, "Acme", 10, replace=True) == fact


@pytest.mark.sqlite_only
async def test_a_superseded_facts_words_stay_searchable(memory: Memory) -> None:
    await works_at(memory, "Acme", 10)
    await works_at(memory, "Beta", 30, replace=True)
    found = await memory._core.db.read("SELECT rowid FROM fact_search WHERE fact_search MATCH 'acme'")
    assert len(found) == 2


# -- retraction --------------------------------------------------------------------------------------------------------


async def test_a_retracted_fact_is_believed_no_longer_and_was_before(memory: Memory) -> None:
    fact = await works_at(memory, "Acme")
    retracted = await memory.retract(fact, "it was another Ann")
    assert retracted.expired_at is not None
    assert await memory.facts("Ann") == []
    assert await memory.facts("Ann", known_at=fact.created_at) == [retracted]
    assert [(event.operation, event.reason) for event in await memory.history(fact)] == [
        ("create", None),
        ("retract", "it was another Ann"),
    ]


async def test_retracting_again_changes_nothing(memory: Memory) -> None:
    retracted = await memory.retract(await works_at(memory, "Acme"))
    assert await memory.retract(retracted) == retracted
    assert len(await memory.history(retracted)) == 2


async def test_a_retracted_fact_can_be_said_anew(memory: Memory) -> None:
    fact = await works_at(memory, "Acme")
    await memory.retract(fact)
    assert (await works_at(memory, "Acme")).id != fact.id


async def test_a_fact_of_another_namespace_can_not_be_retracted(memory: Memory) -> None:
    fact = await works_at(memory, "Acme")
    with pytest.raises(NotFound):
        await memory.scoped(namespace="mail").retract(fact)
    assert await memory.facts("Ann") == [fact]


# -- surroundings ------------------------------------------------------------------------------------------------------


async def chain(memory: Memory) -> None:
    for one, other in (("a", "b"), ("b", "c"), ("c", "d"), ("x", "b")):
        await memory.add_fact(one, "next to", other)
    await memory.add_fact("a", "color", value="red")


@pytest.mark.parametrize(("hops", "names"), [(1, "ab"), (2, "abcx"), (3, "abcxd"), (9, "abcxd")])
async def test_neighbors_are_all_within_so_many_hops_both_ways(memory: Memory, hops: int, names: str) -> None:
    await chain(memory)
    found = await memory.neighbors("a", hops=hops)
    assert sorted(entity.name for entity in found.entities) == sorted(names)
    assert (found.entities[0].name, found.truncated) == ("a", False)


async def test_neighbors_by_predicate_and_time(memory: Memory) -> None:
    await memory.add_fact("a", "near", "b", invalid_at=day(10))
    await memory.add_fact("a", "far from", "c")
    assert [e.name for e in (await memory.neighbors("a", predicates=["Far  From"])).entities] == ["a", "c"]
    assert [e.name for e in (await memory.neighbors("a")).entities] == ["a", "c"]
    assert [e.name for e in (await memory.neighbors("a", as_of=day(0))).entities] == ["a", "b", "c"]


async def test_neighbors_end_at_the_limit_and_say_so(memory: Memory) -> None:
    for number in range(10):
        await memory.add_fact("hub", "has", f"spoke {number}")
    found = await memory.neighbors("hub", limit=4)
    assert (len(found.facts), found.truncated) == (4, True)
    assert {e.id for e in found.entities} == {e for f in found.facts for e in (f.subject, f.object)}
    found = await memory.neighbors("hub", limit=10)
    assert (len(found.facts), found.truncated) == (10, False)


async def test_neighbors_of_an_unknown_name_are_an_error(memory: Memory) -> None:
    with pytest.raises(NotFound):
        await memory.neighbors("nobody")
    with pytest.raises(ValueError, match="hops"):
        await memory.neighbors("nobody", hops=0)


async def test_other_namespaces_are_read_and_never_written(memory: Memory) -> None:
    team = memory.scoped(namespace="team")
    fact = await team.add_fact("Ann", "leads", "Sales")
    mail = memory.scoped(namespace="mail", also_read=["team"])
    assert await mail.facts("Ann") == [fact]
    assert (await mail.neighbors("Sales")).facts == (fact,)
    assert (await mail.entity("Ann")) == (await team.entity("Ann"))
    assert await memory.facts("Ann") == []
    own = await mail.add_fact("Ann", "reads", "mail")
    assert await mail.facts("Ann") == [fact, own]
    assert (await team.counts()).facts == 1
