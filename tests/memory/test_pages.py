"""Pages of listings: each row is on one of them, in the list's order, whatever is written meanwhile."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiomemdb import Fact, Memory, Page
from aiomemdb.memory.pages import page, place_of

Turn = Callable[[str | None], Awaitable[Page[Any]]]


async def pages(turn: Turn) -> list[list[Any]]:
    """All pages of a listing."""
    found, after = [], None
    while True:
        part = await turn(after)
        found.append(list(part))
        after = part.next
        if after is None:
            return found


async def test_a_page_is_a_list(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "is", value=1)
    facts = await memory.facts()
    assert facts == [fact] and facts.next is None
    assert await memory.facts("Bob") == []


async def test_the_pages_of_a_session_are_in_its_order(memory: Memory) -> None:
    for seq in (5, 1, 3, 3, 4, 2):  # two turns have one place
        await memory.add_episode(f"turn {seq}", session="talk", seq=seq)
    found = await pages(lambda after: memory.episodes(session="talk", after=after, limit=2))
    assert [[turn.seq for turn in part] for part in found] == [[1, 2], [3, 3], [4, 5]]
    assert [turn.id for part in found for turn in part] == [2, 6, 3, 4, 5, 1]


async def fill(memory: Memory) -> Fact:
    fact = await memory.add_fact("Ann", "says", value=0)
    for number in range(5):
        await memory.remember(f"text {number}", [("Ann", f"says {number}", "hello")])
        other = await memory.add_episode(f"more {number}")
        await memory.add_fact("Ann", "says", value=0, evidence=other)
        await memory.update_entity((await memory.entities(limit=1))[0], description=str(number))
    return fact


LISTINGS: dict[str, Callable[[Memory, Fact, str | None, int], Awaitable[Page[Any]]]] = {
    "entities": lambda memory, fact, after, limit: memory.entities(after=after, limit=limit),
    "facts": lambda memory, fact, after, limit: memory.facts("Ann", after=after, limit=limit),
    "all facts": lambda memory, fact, after, limit: memory.facts(after=after, limit=limit),
    "episodes": lambda memory, fact, after, limit: memory.episodes(after=after, limit=limit),
    "evidence": lambda memory, fact, after, limit: memory.evidence(fact, after=after, limit=limit),
    "history": lambda memory, fact, after, limit: history(memory, after, limit),
}


async def history(memory: Memory, after: str | None, limit: int) -> Page[Any]:
    ann = await memory.entity("Ann")
    assert ann is not None
    return await memory.history(ann, after=after, limit=limit)


@pytest.mark.parametrize("listing", LISTINGS)
@pytest.mark.parametrize("limit", [1, 2, 3])
async def test_pages_are_the_list_cut(memory: Memory, listing: str, limit: int) -> None:
    fact = await fill(memory)
    whole = await LISTINGS[listing](memory, fact, None, 100)
    assert len(whole) > 1 and whole.next is None
    found = await pages(lambda after: LISTINGS[listing](memory, fact, after, limit))
    assert found == [whole[start : start + limit] for start in range(0, len(whole), limit)]


async def test_a_thousand_facts_say_that_there_are_more(memory: Memory) -> None:
    await memory.remember("text", [("Ann", f"says {n}", "hello") for n in range(1001)])
    facts = await memory.facts()
    assert len(facts) == 1000 and facts.next is not None
    assert len(await memory.facts(after=facts.next)) == 1


async def test_what_is_forgotten_meanwhile_costs_no_other_row(memory: Memory) -> None:
    facts = [await memory.add_fact("Ann", "says", value=number) for number in range(6)]
    first = await memory.facts(limit=3)
    await memory.forget(facts[2])
    await memory.forget(facts[0])
    assert await memory.facts(after=first.next, limit=3) == facts[3:]


@pytest.mark.parametrize(
    "cursor", ["", "x", "Ä", "W10", "bnVsbA", base64.urlsafe_b64encode(b'["facts",1.5]').decode(), "WyJmYWN0cyIsMSwyXQ"]
)
async def test_what_is_no_cursor_is_refused(memory: Memory, cursor: str) -> None:
    with pytest.raises(ValueError, match="is not a cursor"):
        await memory.facts(after=cursor)


async def test_a_cursor_of_another_listing_is_refused(memory: Memory) -> None:
    for number in range(2):
        await memory.add_episode(f"turn {number}", session="talk")
    session, every = await memory.episodes(session="talk", limit=1), await memory.episodes(limit=1)
    for turn in (
        lambda: memory.episodes(after=session.next),
        lambda: memory.episodes(session="talk", after=every.next),
        lambda: memory.facts(after=every.next),
        lambda: memory.entities(after=every.next),
    ):
        with pytest.raises(ValueError, match="is not a cursor"):
            await turn()


async def test_an_id_is_no_cursor_and_no_page_is_empty(memory: Memory) -> None:
    with pytest.raises(TypeError, match="after=7"):
        await memory.entities(after=7)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="at least 1"):
        await memory.facts(limit=0)


@given(st.lists(st.integers(-(2**62), 2**62), min_size=2, max_size=2))
def test_a_cursor_is_the_place_that_it_was_made_of(place: list[int]) -> None:
    cursor = page("session", [place, place], 1, lambda item: (item[0], item[1])).next
    assert place_of("session", cursor, 2) == tuple(place)
