"""path: the shortest chain of believed facts between two entities."""

from __future__ import annotations

import asyncio
import itertools
import sqlite3
from collections import deque
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import aiomemdb
from aiomemdb import Entity, Fact, Memory, NotFound
from aiomemdb.memory.deciding import walking
from aiomemdb.memory.questions import FactQuery
from aiomemdb.memory.stores.sqlite.running_rules import run
from tests.memory.support import day
from tests.support.gates import Gate


async def link(memory: Memory, *names: str) -> list[Fact]:
    return [await memory.add_fact(one, "knows", other) for one, other in itertools.pairwise(names)]


async def entity(memory: Memory, name: str) -> Entity:
    found = await memory.entity(name)
    assert found is not None
    return found


async def test_the_shortest_chain_is_found_whichever_way_its_facts_point(memory: Memory) -> None:
    await link(memory, "a", "x", "y", "z", "e")
    ab, bc = await link(memory, "a", "b", "c")
    ec = (await link(memory, "e", "c"))[0]
    assert await memory.path("a", "e") == [ab, bc, ec]
    assert await memory.path("e", "a") == [ec, bc, ab]


async def test_there_may_be_no_chain_or_only_a_longer_one(memory: Memory) -> None:
    facts = await link(memory, "a", "b", "c", "d", "e", "f")
    await memory.find_or_create_entity("alone")
    assert await memory.path("a", "alone") is None
    assert await memory.path("a", "f") is None
    assert await memory.path("a", "e") == facts[:4]
    assert await memory.path("a", "f", max_hops=5) == facts
    assert await memory.path("a", "b", max_hops=1) == facts[:1]
    assert await memory.path("a", "c", max_hops=1) is None


async def test_from_an_entity_to_itself_there_is_nothing_to_go(memory: Memory) -> None:
    await link(memory, "a", "b")
    assert await memory.path("a", "A ") == []


async def test_what_is_not_believed_or_does_not_hold_is_no_way(memory: Memory) -> None:
    first = await memory.add_fact("a", "owns", "b", valid_at=day(5), invalid_at=day(9))
    assert await memory.path("a", "b") is None
    assert await memory.path("a", "b", as_of=day(5)) == [first]
    assert await memory.path("a", "b", as_of=day(9)) is None
    (second,) = await link(memory, "a", "b")
    assert await memory.path("a", "b") == [second]
    await memory.retract(second)
    assert await memory.path("a", "b") is None


async def test_a_merged_entity_leads_where_the_other_does(memory: Memory) -> None:
    await link(memory, "a", "b")
    await link(memory, "bee", "c")
    keep, duplicate = await entity(memory, "b"), await entity(memory, "bee")
    assert await memory.path("a", "c") is None
    await memory.merge(keep, duplicate)
    chain = await memory.path("a", duplicate)
    assert chain is not None and len(chain) == 1
    chain = await memory.path("a", "c")
    assert chain is not None and [fact.text for fact in chain] == ["a knows b", "bee knows c"]


async def test_what_has_many_facts_may_be_gone_through(memory: Memory) -> None:
    await memory.remember("all", [(f"n{n}", "is in", "hub") for n in range(300)])
    chain = await memory.path("n7", "n299")
    assert chain is not None and [fact.text for fact in chain] == ["n7 is in hub", "n299 is in hub"]


async def test_no_chain_goes_through_a_hub_but_one_may_end_there(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "_GONE_THROUGH", 20)
    await memory.remember("all", [(f"n{n}", "is in", "hub") for n in range(21)])
    around = await link(memory, "n7", "x", "y", "z", "n8")
    assert await memory.path("n7", "n8") == around
    assert await memory.path("n7", "n9") is None
    for one, other in (("n7", "hub"), ("hub", "n7")):
        chain = await memory.path(one, other)
        assert chain is not None and [fact.text for fact in chain] == ["n7 is in hub"]
    assert len(await memory.path("hub", "y") or ()) == 3
    hubs = await memory.add_fact("hub", "is beside", "other hub")
    await memory.remember("all of the other", [(f"m{n}", "is in", "other hub") for n in range(21)])
    assert await memory.path("hub", "other hub") == [hubs]


async def test_few_rows_are_asked_for_however_many_facts_a_hub_has(memory: Memory, db_path: Path) -> None:
    asked = []
    for hub, count in (("small", 1_100), ("large", 4_400)):
        await memory.remember(hub, [(f"{hub} {n}", "is in", hub) for n in range(count)])
        chain, rows = rows_asked(db_path, (await entity(memory, f"{hub} 7")).id, (await entity(memory, f"{hub} 9")).id)
        assert chain is None
        asked.append(rows)
    assert asked[0] == asked[1] < 1_100


async def test_no_more_facts_are_looked_at_than_the_limit_says(
    memory: Memory, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tree at each end, with leaves that don't meet; leaves that are retracted count all the same."""
    monkeypatch.setattr(walking, "_LOOKED_AT", 100)
    for root in ("a", "b"):
        tree = [(root, "has", f"{root}{n}") for n in range(9)]
        tree += [(f"{root}{n}", "has", f"{root}{n}{m}") for n in range(9) for m in range(9)]
        written = await memory.remember(root, tree)
        for fact in written.facts[9:39]:
            await memory.retract(fact)
    source, target = await entity(memory, "a"), await entity(memory, "b")
    chain, rows = rows_asked(db_path, source.id, target.id)
    assert chain is None and rows < 100 + 20  # the ends themselves, a hub's last row
    monkeypatch.setattr(walking, "_LOOKED_AT", 10_000)
    assert rows_asked(db_path, source.id, target.id)[1] > 140


async def test_of_an_end_with_very_many_facts_the_other_end_still_finds_it(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walking, "_LOOKED_AT", 40)
    await memory.remember("all", [(f"n{n}", "is in", "hub") for n in range(100)])
    chain = await memory.path("hub", "n7", max_hops=1)
    assert chain is not None and [fact.text for fact in chain] == ["n7 is in hub"]


async def test_a_merge_meanwhile_breaks_no_chain(
    memory: Memory, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = await link(memory, "a", "dup", "c")
    keep, duplicate = await memory.find_or_create_entity("keep"), await entity(memory, "dup")
    links_of = walking._Links.of
    looked: list[int] = []

    def after_the_first(self: Any, entity: int, end: bool = False) -> Any:
        if looked:  # one end has led to "dup" by now
            gate.block()
        looked.append(entity)
        return links_of(self, entity, end)

    monkeypatch.setattr(walking._Links, "of", after_the_first)
    with Gate() as gate:
        finding = asyncio.create_task(memory.path("a", "c"))
        await gate.wait_entered()
        await memory.merge(keep, duplicate)
        gate.open()
        chain = await finding
    assert chain == facts  # as it was when it was asked for
    again = await memory.path("a", "c")
    assert again is not None and [fact.text for fact in again] == [fact.text for fact in facts]
    assert {fact.subject for fact in again} | {fact.object for fact in again} >= {keep.id}


async def test_other_namespaces_are_no_way_unless_they_are_read(memory: Memory) -> None:
    await link(memory, "a", "b")
    team = memory.scoped(namespace="team")
    facts = await link(team, "a", "b", "c")
    stranger = await entity(team, "c")
    assert await memory.path("a", "b") is not None
    with pytest.raises(NotFound, match="'default'"):
        await memory.path("a", stranger)
    with pytest.raises(NotFound, match="'nobody'"):
        await memory.path("nobody", "a")
    both = memory.scoped(also_read=["team"])
    assert await both.path("c", "a") == facts[::-1]


async def test_bad_input_is_refused(memory: Memory) -> None:
    with pytest.raises(ValueError, match="max_hops=0"):
        await memory.path("a", "b", max_hops=0)
    with pytest.raises(ValueError, match="time zone"):
        await memory.path("a", "b", as_of=day(0).replace(tzinfo=None))
    with pytest.raises(TypeError, match="a bare number is never an id"):
        await memory.path(1, "b")  # type: ignore[arg-type]


def rows_asked(path: Path, source: int, target: int) -> tuple[list[Fact] | None, int]:
    """The chain, and how many rows SQLite gave for it."""
    rows = 0

    def count(cursor: sqlite3.Cursor, row: tuple[Any, ...]) -> sqlite3.Row:
        nonlocal rows
        rows += 1
        return sqlite3.Row(cursor, row)

    with closing(sqlite3.connect(path)) as conn:
        conn.row_factory = count
        chain = run(conn, walking.path, ["default"], [source], [target], FactQuery(0), 4)
    return chain, rows


def hops(pairs: list[tuple[int, int]], source: int, target: int) -> int | None:
    """The plain reference: breadth first."""
    seen, queue = {source}, deque([(source, 0)])
    while queue:
        node, far = queue.popleft()
        if node == target:
            return far
        for a, b in pairs:
            for here, there in ((a, b), (b, a)):
                if here == node and there not in seen:
                    seen.add(there)
                    queue.append((there, far + 1))
    return None


@settings(max_examples=25)
@given(pairs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=14))
def test_a_chain_is_as_short_as_breadth_first_search_finds_it(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[int, int]]
) -> None:
    async def run(path: Path) -> None:
        async with Memory.open(path) as memory:
            nodes = [str(node) for node in range(9)]
            await memory.remember("text", [(str(a), "knows", str(b)) for a, b in pairs], mentions=nodes)
            for target in range(1, 9):
                chain = await memory.path("0", str(target), max_hops=9)
                assert (None if chain is None else len(chain)) == hops(pairs, 0, target)
                here = await entity(memory, "0")
                at = here.id
                for fact in chain or ():
                    assert at in (fact.subject, fact.object)
                    at = fact.subject + (fact.object or 0) - at
                assert chain is None or at == (await entity(memory, str(target))).id

    aiomemdb.run(run(tmp_path_factory.mktemp("path") / "memory.db"))
