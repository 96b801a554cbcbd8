"""Memories of every kind, and whether two of them answer alike."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest import mock

from hypothesis import strategies as st

from aiomemdb import AiomemdbError, Entity, Episode, Fact, Memory, Name, Statement
from aiomemdb.memory.deciding import moment
from aiomemdb.memory.questions import FactQuery
from tests.memory.support import day

__all__ = ["apply_all", "assert_alike", "exported", "filled", "moments", "operations"]

BEGAN = 1_500_000_000_000_000
SPACES = ("default", "mail", "ünï\u2028 code")

any_text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
odd_names = st.builds(lambda text, n: f"{text}{n}", any_text, st.integers(0, 3))
names = st.sampled_from(["Ann", "ann", "Bob", "Apple", "Zoë", "Ｗｉｄｅ"]) | odd_names
types = st.sampled_from([None, None, None, "fruit", "company"])
wholes = st.builds(Name, names, types, st.sampled_from(["", "", "known for something"]))
predicates = st.sampled_from(["is", "IS", "works at", "a\u0301"]) | st.just("knows")
days = st.sampled_from([None, None, 0, 1, 2, 3])
values = any_text | st.integers(-(2**70), 2**70) | st.booleans() | st.floats(allow_nan=False, allow_infinity=False)
spaces = st.sampled_from(SPACES)


def _day(number: int | None) -> datetime | None:
    return None if number is None else day(number).astimezone(tz=None if number == 3 else UTC)


@st.composite
def statements(draw: Any) -> Statement:
    begin, end = draw(days), draw(days)
    by_object = draw(st.booleans())
    return Statement(
        subject=draw(wholes),
        predicate=draw(predicates),
        object=draw(wholes) if by_object else None,
        value=None if by_object else draw(values),
        text=draw(st.none() | any_text),
        quote=draw(st.none() | any_text),
        valid_at=_day(begin),
        invalid_at=_day(end) if end is not None and (begin is None or begin < end) else None,
        confidence=draw(st.sampled_from([1.0, 0.25, 1 / 3])),
        replace=draw(st.booleans()),
    )


contents = st.sampled_from(["one", "two", "three of Ann"]) | any_text.map(lambda text: f"t {text}")
remembering = st.fixed_dictionaries(
    {
        "content": contents,
        "facts": st.lists(statements(), max_size=3),
        "mentions": st.lists(wholes, max_size=2),
        "key": st.sampled_from([None, None, "k", "l"]),
        "session": st.sampled_from([None, None, "s"]),
        "source": st.none() | any_text,
        "occurred_at": days.map(_day),
        "metadata": st.none() | st.dictionaries(any_text, st.none() | values | st.lists(any_text), max_size=2),
        "replace": st.booleans(),
    }
)
which = st.integers(0, 9)
# (what, namespace, agent, arguments); how far the clock goes before it, or back.
one = st.one_of(
    st.tuples(st.just("remember"), remembering),
    st.tuples(st.just("remember"), remembering),
    st.tuples(st.just("fact"), statements()),
    st.tuples(st.just("facts"), st.lists(statements(), min_size=1, max_size=3), st.sampled_from(["create", "imply"])),
    st.tuples(st.just("entity"), wholes),
    st.tuples(st.just("merge"), which, which),
    st.tuples(st.just("retract"), which, any_text),
    st.tuples(st.just("forget"), st.sampled_from(["entity", "fact", "episode"]), which),
    st.tuples(st.just("alias"), which, names),
    st.tuples(st.just("rename"), which, names),
    st.tuples(st.just("forget_namespace")),
)
operations = st.lists(
    st.tuples(spaces, st.sampled_from([None, "ann", "bot"]), st.sampled_from([0, 1, 1_000_000, -3_000_000]), one),
    max_size=14,
)


async def apply_all(memory: Memory, some: Iterable[tuple[str, str | None, int, tuple[Any, ...]]]) -> None:
    """Do them, each at its time; what can't be done is left out."""
    now = BEGAN
    for space, agent, step, (what, *args) in some:
        now += step
        view = memory.scoped(namespace=space, agent=agent)
        ticks = itertools.count(now, 1_000)  # a job has a microsecond for each of its lines
        with mock.patch.object(moment, "now_micros", lambda ticks=ticks: next(ticks)):
            try:
                await _apply(view, what, args)
            except (AiomemdbError, ValueError):
                pass
        now = next(ticks)


async def _apply(memory: Memory, what: str, args: Sequence[Any]) -> None:
    match what:
        case "remember":
            given = dict(args[0])
            await memory.remember(given.pop("content"), given.pop("facts"), **given)
        case "fact":
            [said] = args
            await memory.add_fact(
                said.subject,
                said.predicate,
                said.object,
                value=said.value,
                text=said.text,
                valid_at=said.valid_at,
                invalid_at=said.invalid_at,
                confidence=said.confidence,
                replace=said.replace,
            )
        case "facts":
            await memory.add_facts(args[0], missing=args[1])
        case "entity":
            [name] = args
            await memory.find_or_create_entity(name.name, name.type, name.description)
        case "merge":
            await memory.merge(await _entity(memory, args[0]), await _entity(memory, args[1]))
        case "retract":
            facts = await memory.facts(as_of=day(2))
            if facts:
                await memory.retract(facts[args[0] % len(facts)], args[1])
        case "forget":
            kind, number = args
            found: Sequence[Any] = await memory.episodes()
            if kind == "entity":
                found = [await _entity(memory, number)]
            elif kind == "fact":
                found = await memory.facts(as_of=day(2))
            if found:
                await memory.forget(found[number % len(found)])
        case "alias":
            await memory.add_alias(await _entity(memory, args[0]), args[1])
        case "rename":
            await memory.update_entity(
                await _entity(memory, args[0]), name=args[1], attributes={"b": 1, "a": [args[1]]}
            )
        case "forget_namespace":
            await memory.forget_namespace()


async def _entity(memory: Memory, number: int) -> Entity:
    entities = await memory.entities()
    if not entities:
        raise ValueError("there is none")
    return entities[number % len(entities)]


class Seen:
    """What a memory answers, without its ids: each row is called by its place among those of its kind."""

    def __init__(self, memory: Memory, recalls: bool = True) -> None:
        self.memory = memory
        self.recalls = recalls
        self.places: dict[tuple[str, int], int] = {}

    async def look(self) -> dict[str, Any]:
        memory, seen = self.memory, dict[str, Any]()
        entities = await memory.entities()
        facts = await memory._core.store.facts(memory._scope.readable, FactQuery(0, any_time=True, any_knowledge=True))
        self.versions = await _all_texts(memory)
        for rows in (entities, facts, self.versions):
            self.places.update(((type(row).__name__, row.id), place) for place, row in enumerate(rows))
        seen["entities"] = [self.plain(each) for each in entities]
        seen["facts"] = [self.plain(each) for each in facts]
        seen["episodes"] = [self.plain(each) for each in self.versions]
        seen["sessions"] = [self.plain(each) for each in await memory.episodes(session="s")]
        seen["counts"] = replace(await memory.counts(), vectors=0)
        seen["evidence"] = [
            sorted((self.plain(one) for one in await memory.evidence(fact)), key=repr) for fact in facts
        ]
        seen["history"] = [
            [
                (line.at, line.operation, line.agent, line.reason, self.place(type(each).__name__, line.other))
                for line in await memory.history(each)
                if line.operation != "import"
            ]
            for each in (*entities, *facts, *self.versions)
        ]
        seen["graph"] = await self.graph()
        return seen

    async def graph(self) -> Any:
        verb = getattr(self.memory, "graph", None)
        if verb is None:
            return None
        graph = await verb(implied=True)
        return [[self.plain(each) for each in rows] for rows in (graph.entities, graph.facts, graph.others)]

    async def at(self, as_of: datetime, known_at: datetime | None) -> dict[str, Any]:
        memory, seen = self.memory, dict[str, Any]()
        seen["facts"] = [self.plain(fact) for fact in await memory.facts(as_of=as_of, known_at=known_at)]
        for question in ("Ann works", "three two t", "Bob Apple"):
            for kinds in (("fact", "episode"), ("entity",)) if self.recalls else ():
                recall = await memory.recall(question, as_of=as_of, known_at=known_at, kinds=kinds, limit=50)
                seen[f"recall {question} {kinds}"] = sorted(
                    ((hit.kind, self.plain(hit.item), round(hit.score, 6), hit.hops) for hit in recall),
                    key=repr,
                )
        entities = await memory.entities()
        for each in entities[:3]:
            around = await memory.neighbors(each, hops=2, as_of=as_of)
            seen[f"around {self.plain(each)}"] = sorted(map(repr, map(self.plain, around.facts)))
        if len(entities) > 1:
            path = await memory.path(entities[0], entities[-1], as_of=as_of)
            seen["path"] = None if path is None else len(path)
        return seen

    def place(self, kind: str, id: int | None) -> int | None:
        """None: what is gone, too."""
        return None if id is None else self.places.get((kind, id))

    def plain(self, row: Any) -> Any:
        row = replace(row, id=self.place(type(row).__name__, row.id) or 0)
        if isinstance(row, Fact):
            subject, object = self.place("Entity", row.subject), self.place("Entity", row.object)
            return replace(
                row, subject=subject or 0, object=object, superseded_by=self.place("Fact", row.superseded_by)
            )
        if isinstance(row, Entity | Episode):
            return row
        return replace(row, fact=self.place("Fact", row.fact) or 0, episode=self.place("Episode", row.episode))


async def _all_texts(memory: Memory) -> list[Episode]:
    """All versions of all texts, by id."""
    newest = max((text.id for text in await memory.episodes()), default=0)
    found = [await memory.episode(id) for id in range(1, newest + 1)]
    return [text for text in found if text is not None]


async def assert_alike(
    one: Memory, other: Memory, times: Sequence[tuple[datetime, datetime | None]], *, recalls: bool = True
) -> None:
    """Each verb answers alike, in each namespace.

    Args:
        recalls: compare hits, too: characters that Unicode has not given yet are words to some engines.
    """
    for space in SPACES:
        ours, theirs = (Seen(each.scoped(namespace=space), recalls) for each in (one, other))
        _compare(await ours.look(), await theirs.look(), space)
        for as_of, known_at in times:
            _compare(await ours.at(as_of, known_at), await theirs.at(as_of, known_at), (space, as_of, known_at))


def _compare(ours: dict[str, Any], theirs: dict[str, Any], where: object) -> None:
    assert ours.keys() == theirs.keys(), where
    for what in ours:
        assert ours[what] == theirs[what], f"{what} {where}\n{ours[what]}\n{theirs[what]}"


def moments() -> Any:
    """Times to ask at: (as_of, known_at)."""
    began = datetime.fromtimestamp(BEGAN / 1e6, UTC)
    known = st.none() | st.integers(-4_000_000, 20_000_000).map(lambda micros: began + timedelta(microseconds=micros))
    return st.tuples(st.integers(-1, 4).map(day), known)


async def exported(memory: Memory) -> str:
    target = io.StringIO()
    await memory.export(target, namespaces="all")
    return target.getvalue()


async def filled(memory: Memory) -> str:
    """Some knowledge, with a past; returns it exported."""
    await memory.remember("Ann met Bob.", [("Ann", "met", "Bob")], key="diary", session="s", mentions=["Rome"])
    await memory.remember("Nameless.", [("Bob", "is", "old")])
    age = await memory.add_fact("Ann", "age", value=7)
    await memory.retract(age, "she had a birthday")
    await memory.add_fact("Ann", "age", value=8, valid_at=day(1))
    await memory.merge(*[await memory.find_or_create_entity(name) for name in ("Bob", "Robert")])
    return await exported(memory)
