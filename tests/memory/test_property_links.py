"""Facts between entities agree with a plain model, whatever is merged or forgotten, as known at any time."""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiomemdb import Entity, Memory
from tests.memory.conftest import assert_sound

Link: TypeAlias = tuple[int, int]


@dataclass
class Row:
    """Which entity knows which, and from which step until before which it is believed."""

    ends: Link
    begun: int
    ended: int | None = None


class Model:
    def __init__(self) -> None:
        self.rows: list[Row] = []

    def believed(self, step: int | None = None) -> set[Link]:
        if step is None:
            return {row.ends for row in self.rows if row.ended is None}
        return {row.ends for row in self.rows if row.begun <= step and (row.ended is None or row.ended > step)}

    def add(self, ends: Link, step: int) -> None:
        if ends not in self.believed():
            self.rows.append(Row(ends, step))

    def retract(self, ends: Link, step: int) -> None:
        for row in self.rows:
            if row.ends == ends and row.ended is None:
                row.ended = step

    def merge(self, keep: int, other: int, step: int) -> None:
        """All of the past moves too. What becomes the same is one, and no entity comes to know itself by it."""
        seen = set[Link]()
        for row in self.rows:
            before, row.ends = row.ends, tuple(keep if end == other else end for end in row.ends)  # type: ignore[assignment]
            arisen = row.ends[0] == row.ends[1] and before[0] != before[1]
            if row.ended is None and (arisen or row.ends in seen):
                row.ended = step
            elif row.ended is None:
                seen.add(row.ends)

    def forget(self, who: int) -> None:
        self.rows = [row for row in self.rows if who not in row.ends]


names = st.sampled_from("vwxyz")
operations = st.lists(
    st.one_of(
        st.tuples(st.just("add"), names, names),
        st.tuples(st.just("add"), names, names),
        st.tuples(st.just("merge"), names, names),
        st.tuples(st.sampled_from(["retract", "forget"]), names, names),
    ),
    min_size=4,
    max_size=16,
)


async def apply(memory: Memory, model: Model, step: int, what: str, one: Entity, other: Entity) -> None:
    if what == "add":
        model.add((one.id, other.id), step)
        await memory.add_fact(one, "knows", other)
    elif what == "merge" and one != other:
        model.merge(one.id, other.id, step)
        await memory.merge(one, other)
    elif what == "retract":
        model.retract((one.id, other.id), step)
        for fact in await memory.facts(one, "knows", other):
            await memory.retract(fact)
    elif what == "forget":
        model.forget(one.id)
        await memory.forget(one)


async def run(path: Path, chosen: list[tuple[str, str, str]]) -> None:
    model, times = Model(), list[datetime]()
    async with Memory.open(path) as memory:
        for step, (what, *who) in enumerate(chosen):
            one, other = [await memory.find_or_create_entity(name) for name in who]
            await apply(memory, model, step, what, one, other)
            # A fact that states the time, on a subject of its own.
            times.append((await memory.add_fact("clock", "struck", value=step)).created_at)
            assert await links(memory) == model.believed()
        for step, when in enumerate(times):
            assert await links(memory, known_at=when) == model.believed(step)
    assert_sound(path)


async def links(memory: Memory, known_at: datetime | None = None) -> set[Link]:
    found = [(fact.subject, fact.object) for fact in await memory.facts(predicate="knows", known_at=known_at)]
    if known_at is None:
        assert len(found) == len(set(found)), "one fact is believed twice"
    return {(subject, object) for subject, object in found if object is not None}


@pytest.mark.parametrize(
    "examples", [25, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=["few", "many"]
)
def test_links_agree_with_a_plain_model_at_all_times(examples: int) -> None:
    @settings(max_examples=examples)
    @given(operations)
    def agrees(chosen: list[tuple[str, str, str]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder, "memory.db"), chosen))

    agrees()
