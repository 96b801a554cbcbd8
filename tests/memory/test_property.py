"""Facts agree with a plain model, asked as of any time, as known at any time."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiomemdb import Memory, Statement
from tests.memory.conftest import assert_sound
from tests.memory.support import day

SINCE_EVER, FOR_EVER = -1, 99
#: (value, begin, end), in days.
Period: TypeAlias = tuple[str, int, int]
Beliefs: TypeAlias = dict[str, set[Period]]


class Model:
    """What is believed of each subject, after each operation."""

    def __init__(self) -> None:
        self.states: list[Beliefs] = [{}]
        self.root = {name: name for name in "xyz"}

    @property
    def now(self) -> Beliefs:
        return self.states[-1]

    def step(self) -> None:
        self.states.append({subject: set(periods) for subject, periods in self.now.items()})

    def add(self, subject: str, value: str, begin: int, end: int, replace: bool) -> None:
        periods = self.now.setdefault(self.root[subject], set())
        closing = set()
        if replace:
            end = min([end, *(other for _, other, _ in periods if other > begin)])
            closing = {p for p in periods if p[1] <= begin < p[2] and p[:2] != (value, begin)}
        same = next((p for p in periods if p[:2] == (value, begin)), None)
        if same is None or end != FOR_EVER:
            periods.discard(same or (value, begin, end))
            periods.add((value, begin, end))
        for old in closing:
            periods.remove(old)
            if old[1] < begin:
                periods.add((old[0], old[1], begin))

    def merge(self, keep: str, other: str) -> None:
        """The past moves too: who asks for one finds what was known of the other."""
        for state in self.states:
            moved = state.pop(other, set())
            kept = state.setdefault(keep, set())
            if state is self.now:
                moved = {p for p in moved if p[:2] not in {own[:2] for own in kept}}
            kept |= moved
        self.root = {name: keep if root == other else root for name, root in self.root.items()}

    def forget(self, subject: str) -> None:
        for state in self.states:
            state.pop(subject, None)
        self.root = {name: name if root == subject else root for name, root in self.root.items()}


names, days = st.sampled_from("xyz"), st.integers(0, 5)
adding = st.tuples(
    st.just("add"),
    st.sampled_from("xxy"),  # most facts are of one subject, so that they meet
    st.sampled_from("ABC"),
    st.sampled_from([SINCE_EVER, 0, 1, 2, 3, 4]),
    st.sampled_from([FOR_EVER, FOR_EVER, 3, 5]),
    st.booleans(),
)
# Of one text, so that they are one job; and more of them, so that many rows go in at once.
remembering = st.tuples(st.just("remember"), st.lists(adding, min_size=2, max_size=12))
changing = st.one_of(
    st.tuples(st.just("retract"), names, st.integers(0, 9)),
    st.tuples(st.just("merge"), names, names),
    st.tuples(st.just("forget"), names),
)
operations = st.builds(
    lambda first, rest: [*first, *rest],
    st.lists(adding, min_size=3, max_size=8),
    st.lists(st.one_of(adding, adding, remembering, changing), max_size=10),
)


def begins(begin: int) -> datetime | None:
    return None if begin == SINCE_EVER else day(begin)


def statements(facts: list[Any]) -> list[Statement]:
    return [
        Statement(
            subject=subject,
            predicate="is",
            value=value,
            valid_at=begins(begin),
            invalid_at=None if end == FOR_EVER else day(end),
            replace=replace,
        )
        for _, subject, value, begin, end, replace in facts
        if begin < end
    ]


async def apply(memory: Memory, model: Model, operation: tuple[object, ...]) -> None:
    match operation:
        case ("add", str(subject), str(value), int(begin), int(end), bool(replace)) if begin < end:
            model.add(subject, value, begin, end, replace)
            [fact] = statements([operation])
            await memory.add_fact(
                fact.subject,
                fact.predicate,
                value=fact.value,
                valid_at=fact.valid_at,
                invalid_at=fact.invalid_at,
                replace=fact.replace,
            )
        case ("remember", list(facts)):
            for _, subject, value, begin, end, replace in facts:
                if begin < end:
                    model.add(subject, value, begin, end, replace)
            await memory.remember(f"text {len(model.states)}", statements(facts))
        case ("retract", str(subject), int(which)):
            periods = sorted(model.now.get(model.root[subject], ()))
            if periods:
                value, begin, end = period = periods[which % len(periods)]
                model.now[model.root[subject]].remove(period)
                found = await memory.facts(subject, "is", value=value, as_of=day(begin))
                [fact] = [fact for fact in found if fact.valid_at == begins(begin)]
                await memory.retract(fact)
        case ("merge", str(one), str(other)):
            keep, duplicate = await memory.entity(one), await memory.entity(other)
            if keep is not None and duplicate is not None and keep != duplicate:
                model.merge(model.root[one], model.root[other])
                await memory.merge(keep, duplicate)
        case ("forget", str(subject)):
            entity = await memory.entity(subject)
            if entity is not None:
                model.forget(model.root[subject])
                await memory.forget(entity)


async def run(path: Path, chosen: list[tuple[object, ...]]) -> None:
    model, known = Model(), list[datetime]()
    async with Memory.open(path) as memory:
        start = await memory.add_fact("clock", "is", value=True)
        known.append(start.created_at)
        for operation in chosen:
            model.step()
            await apply(memory, model, operation)
            # A fact that states the time, on a subject of its own.
            known.append((await memory.add_fact("clock", "struck", value=len(known))).created_at)
        for state, when in zip(model.states, known, strict=True):
            await agree(memory, model, state, when)
        await agree(memory, model, model.now, None)
    assert_sound(path)


async def agree(memory: Memory, model: Model, state: Beliefs, known_at: datetime | None) -> None:
    for name in "xyz":
        for number in range(-1, 7):
            holds = {p for p in state.get(model.root[name], ()) if p[1] <= number < p[2]}
            found = await memory.facts(name, "is", as_of=day(number), known_at=known_at)
            assert {fact.value for fact in found} == {value for value, _, _ in holds}, (name, number, known_at)


@pytest.mark.parametrize(
    "examples", [30, pytest.param(1000, marks=[pytest.mark.soak, pytest.mark.timeout(1800)])], ids=["few", "many"]
)
def test_facts_agree_with_a_plain_model_at_all_times(examples: int) -> None:
    @settings(max_examples=examples)
    @given(operations)
    def agrees(chosen: list[tuple[object, ...]]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            asyncio.run(run(Path(folder, "memory.db"), chosen))

    agrees()
