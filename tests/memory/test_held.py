"""What facts state, held in memory by those who look for parts of it: it finds what a scan of the file finds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from aiomemdb import Memory, Statement
from aiomemdb.memory.questions import GraphQuery
from aiomemdb.memory.store import Reads
from aiomemdb.memory.stores.sqlite import held
from aiomemdb.memory.stores.sqlite.store import SQLiteStore

pytestmark = pytest.mark.sqlite_only


@pytest.fixture(autouse=True)
def small_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_RANGE", 2)


def seen(subject: str, value: object) -> Statement:
    return Statement(subject=subject, predicate="is", value=value)  # type: ignore[arg-type]


async def found(memory: Memory, part: str) -> list[str]:
    return [entity.name for entity in (await memory.graph(containing=part)).entities]


def ranges(memory: Memory) -> tuple[held._Range, ...]:
    store = memory._core.store
    assert isinstance(store, SQLiteStore) and store._held is not None
    return store._held._ranges


async def filled(memory: Memory) -> None:
    names = [f"n{n}" for n in range(9)]
    await memory.add_entities(names, facts=[seen(name, f"Secret of {name}") for name in names])
    for _ in range(2):  # the second question reads
        assert await found(memory, "secret") == names
    assert len(ranges(memory)) == 4


async def test_one_question_holds_nothing(memory: Memory) -> None:
    await memory.add_entities(["Ann"], facts=[seen("Ann", n) for n in range(9)])
    assert await found(memory, "7") == ["Ann"] and not ranges(memory)


async def test_nothing_that_is_forgotten_stays_held(memory: Memory) -> None:
    await filled(memory)
    await memory.forget_entities(["n3"])
    for _ in range(3):
        assert await found(memory, "secret of n3") == []
    assert len(ranges(memory)) == 4 and not any(b"n3" in each.values for each in ranges(memory))


async def test_a_snapshot_from_before_finds_what_was_forgotten_since(memory: Memory) -> None:
    await filled(memory)
    query = GraphQuery(2**60, containing="secret of n3")
    async with memory._core.store.snapshot() as reads:
        assert len((await reads.graph(["default"], query)).entities) == 1
        await memory.forget_entities(["n3"])
        for _ in range(3):
            assert await found(memory, "secret of n3") == []
        assert len((await reads.graph(["default"], query)).entities) == 1


async def test_what_a_transaction_undoes_is_not_held(memory: Memory) -> None:
    await filled(memory)

    class Undone(Exception):
        pass

    with pytest.raises(Undone):
        async with memory.db.transaction() as tx:
            within = memory.within(tx)
            await within.add_facts([seen("n0", f"undone {n}") for n in range(9)])
            for _ in range(2):
                assert await found(within, "undone") == ["n0"]
            raise Undone
    await memory.add_facts([seen("n1", f"done {n}") for n in range(9)])
    for _ in range(2):
        assert await found(memory, "done 3") == ["n1"] and await found(memory, "undone") == []


async def test_facts_that_are_believed_no_more_are_not_found(memory: Memory) -> None:
    await filled(memory)
    await memory.retract_facts([seen("n3", "Secret of n3")])
    assert await found(memory, "secret of n3") == []
    await memory.merge(*[await memory.find_or_create_entity(name) for name in ("n5", "n4")])
    assert await found(memory, "secret of n4") == ["n5"]


async def test_of_too_much_text_none_is_held(memory: Memory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held, "_MOST", 60)
    names = [f"n{n}" for n in range(9)]
    await memory.add_entities(names, facts=[seen(name, f"Secret of {name}") for name in names])
    for _ in range(3):
        assert await found(memory, "secret") == names and not ranges(memory)


_TEXTS = st.text(st.sampled_from('aAkK\u212aiIİ ßSsΣσς名😀%_\\"\n1.'), min_size=1, max_size=4)
_VALUES = st.one_of(_TEXTS, st.sampled_from([True, False, 1, 1.5, -0.0, 1e300, 10**30]))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(_VALUES, min_size=1, max_size=8, unique_by=json.dumps),
    parts=st.lists(_TEXTS | st.sampled_from(["true", "e", "\ud800", "\0"]), min_size=1, max_size=6),
)
def test_the_held_vectors_find_what_a_look_at_all_finds(
    tmp_path: Path, values: list[str | float], parts: list[str]
) -> None:
    async def work() -> None:
        async with Memory.open(tmp_path / "memory.db") as memory:
            try:
                made = [f"n{n}" for n in range(len(values))]
                await memory.add_entities(made, facts=[seen(n, value) for n, value in zip(made, values, strict=True)])
                await memory.graph(containing="nothing")
                for part in parts:
                    query = GraphQuery(2**60, containing=part.lower())
                    assert await memory.graph(containing=part) == await Reads.graph(
                        memory._core.store, ["default"], query
                    ), part
            finally:
                await memory.forget_namespace()

    asyncio.run(work())
