"""Calls that share a job, and facts that share a text, do what each would by itself: table by table."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar
from unittest import mock

import pytest

from aiomemdb import AddedFact, Entity, Memory, Name, Remembered, Statement
from aiomemdb.memory.deciding import forgetting, merging, moment, remembering, renaming
from aiomemdb.memory.deciding.steps import Steps
from aiomemdb.memory.drafter import Drafter
from aiomemdb.memory.drafts import Draft, NameRequest, Scope
from aiomemdb.memory.names import Normalisers, fold
from aiomemdb.memory.questions import Model
from aiomemdb.memory.stores.knowing import resolved
from aiomemdb.memory.stores.sqlite import migrating
from aiomemdb.memory.stores.sqlite.identity import RESOLVE, resolve_params
from aiomemdb.memory.stores.sqlite.migrating import migrate
from aiomemdb.memory.stores.sqlite.rows import entities_by_id
from aiomemdb.memory.stores.sqlite.running_rules import run
from aiomemdb.memory.stores.sqlite.states import SQLiteState
from aiomemdb.memory.vectors import nearest, pack, unpack
from tests.memory.dict_search import SearchingDictStore
from tests.memory.dict_tables import Tables
from tests.memory.support import SpellingEmbedder, day

T = TypeVar("T")
Call = tuple[Scope, Draft]

MODEL, NEAR = Model("spelling", 4), 0.9
EMBEDDER = SpellingEmbedder(dim=MODEL.dim)
#: What two programs that do the same must have alike. The ids of evidence and vectors may differ.
TABLES = {
    "fact_evidence": "fact, episode, quote, confidence, agent, created_at",
    "vector": "model, namespace, kind, ref, data",
    **dict.fromkeys(
        (
            *(
                "memory_namespace",
                "memory_meta",
                "memory_event",
                "memory_clock_back",
                "vector_model",
                "sqlite_sequence",
            ),
            *("entity", "entity_alias", "entity_similar", "episode", "mention", "fact"),
        ),
        "*",
    ),
}
NAMES = ["Ann", "Annie", "Bob", "Bobby Tables", "Acme Corp", "ACME  corp", "Acm Corp", "Acme Corpo", "Queue Item"]
NAMES += ["Queue Itm", "O\u2019Brien the Great", "O'Brien the Great", '\u2028odd \U0001f600 "name" \\n']
VALUES: list[str | int | float | bool] = ["a", "A\u0301", "\u00c1", "", 'a\n"b"\\ \x01', 1, 1.0, True, -3, 2**70, 2.5]
SCOPES = [Scope("default"), Scope("default"), Scope("default", "ann"), Scope("default", "bob"), Scope("other", "ann")]


class Clock:
    """Now and then it goes back."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self._now = 1_600_000_000_000_000

    def __call__(self) -> int:
        self._now += self._chance.choice([1, 1, 1000, 10**6, -(10**6)])
        return self._now


class File:
    """A memory's tables, a job at a time."""

    def __init__(self, seed: int) -> None:
        self.conn = sqlite3.connect(":memory:", isolation_level=None)
        self.conn.row_factory = sqlite3.Row
        self.conn.execute("PRAGMA foreign_keys = ON")
        self.clock = Clock(seed)
        with mock.patch.object(migrating, "now_micros", lambda: 0):
            migrate(self.conn, Normalisers().recorded())
        self.conn.execute("UPDATE memory_migration SET at = 0")

    def job(self, rule: Callable[..., Steps[T]], *args: Any) -> T | Exception:
        self.conn.execute("BEGIN")
        try:
            with mock.patch.object(moment, "now_micros", self.clock):
                answer = run(self.conn, rule, *args)
        except (LookupError, ValueError) as error:
            self.conn.execute("ROLLBACK")
            return error
        self.conn.execute("COMMIT")
        return answer

    def ids(self, table: str) -> list[int]:
        return [row[0] for row in self.conn.execute(f"SELECT id FROM {table} ORDER BY id").fetchall()] or [1]

    def dump(self) -> dict[str, list[str]]:
        return {
            table: sorted(repr(tuple(row)) for row in self.conn.execute(f"SELECT {columns} FROM {table}").fetchall())
            for table, columns in TABLES.items()
        }

    def embed(self, scope: Scope, names: Iterable[NameRequest], stale: int) -> None:
        """Vectors, and what was near in a snapshot from before the last few entities."""
        [last] = self.conn.execute("SELECT ifnull(max(id), 0) FROM entity").fetchone()
        upto = max(0, last - stale)
        rows = self.conn.execute(
            "SELECT v.ref, v.data FROM vector v JOIN memory_namespace n ON n.id = v.namespace "
            "WHERE n.name = ? AND v.kind = 'entity' AND v.ref <= ? ORDER BY v.ref",
            (scope.namespace, upto),
        ).fetchall()
        matrix = unpack([row[1] for row in rows], MODEL.dim)
        for name in names:
            found = self.conn.execute(RESOLVE, resolve_params(scope.namespace, [name]))
            if not isinstance(resolved(found, [name])[0], Entity):
                name.vector = packed(name.name)
                query = unpack([name.vector], MODEL.dim)
                [near] = nearest(matrix, [row[0] for row in rows], query, top=16, at_least=NEAR)
                name.near, name.seen = tuple(near), SQLiteState(upto, upto)


def packed(text: str) -> bytes:
    return pack([EMBEDDER.vector(text)], count=1, dim=MODEL.dim)[0]


class Agents:
    """Says what comes to its mind."""

    def __init__(self, seed: int, file: File) -> None:
        self.chance = random.Random(seed)
        self.file = file
        self.embeds = self.chance.random() < 0.4

    def name(self) -> str | Name | Entity:
        name, type = self.chance.choice(NAMES), self.chance.choice([None, None, None, "company", "Company", "person"])
        if self.chance.random() < 0.15:
            id = self.chance.choice(self.file.ids("entity"))
            found = entities_by_id(self.file.conn, [id])
            return found.get(id, Entity(999, "default", "gone", None, "", {}, None, day(0)))
        return name if type is None else Name(name, type, self.chance.choice(["", "described"]))

    def fact(self) -> Statement:
        pick = self.chance.choice
        begin, end = pick([None, None, 0, 1, 2, 3]), pick([None, None, None, 2, 4, 6])
        has_object = self.chance.random() < 0.5
        return Statement(
            subject=self.name(),
            predicate=pick(["is", "Is", "knows", 'said "x"']),
            object=self.name() if has_object else None,
            value=None if has_object else pick(VALUES),
            text=pick([None, None, "text of it"]),
            quote=pick([None, "as said", 'otherwise "said"\n']),
            valid_at=days(begin),
            invalid_at=days(end if begin is None or end is None or begin < end else None),
            confidence=pick([1.0, 1.0, 0.5, 1 / 3, 0.0, 5e-324]),
            replace=self.chance.random() < 0.3,
        )

    def text(self, count: int) -> Call:
        pick = self.chance.choice
        drafter = Drafter(Normalisers(), NEAR)
        session = pick([None, None, "s1", "s2"])
        drafter.episode(
            pick(["one", "two", 'thr"ee\n']),
            key=pick([None, "k1", "k1", "k2", "k3"]),
            session=session,
            seq=pick([None, None, 5, -2]) if session else None,
            source=pick([None, "a book"]),
            occurred_at=pick([None, day(3)]),
            metadata=pick([None, {"a": "\u2028"}]),
            replace=self.chance.random() < 0.7,
        )
        for _ in range(count):
            drafter.fact(self.fact())
        drafter.mentions(self.name() for _ in range(pick([0, 0, 1, 3])))
        return self.embedded(pick(SCOPES), drafter.draft)

    def call(self) -> Call:
        if self.chance.random() < 0.6:
            return self.text(self.chance.choice([0, 1, 3, 6, 12]))
        drafter = Drafter(Normalisers(), NEAR)
        if self.chance.random() < 0.4:
            return self.added(drafter)
        if self.chance.random() < 0.5:
            drafter.draft.missing = self.chance.choice(["create", "imply", "imply", "error"])
            drafter.facts(self.fact() for _ in range(self.chance.choice([0, 1, 3, 9])))
            return self.embedded(self.chance.choice(SCOPES), drafter.draft)
        drafter.fact(self.fact())
        if self.chance.random() < 0.4:
            drafter.draft.evidence = self.chance.choice([*self.file.ids("episode"), 999])
        return self.embedded(self.chance.choice(SCOPES), drafter.draft)

    def added(self, drafter: Drafter) -> Call:
        pick, types = self.chance.choice, [None, None, "company", "person"]
        names = [Name(pick(NAMES), pick(types), pick(["", "described"])) for _ in range(pick([0, 1, 3, 9]))]
        drafter.added(names, any_type=pick([True, False]))
        drafter.facts(
            replace(self.fact(), subject=pick([name, name.name])) for name in names for _ in range(pick([0, 2]))
        )
        return self.embedded(pick(SCOPES), drafter.draft)

    def embedded(self, scope: Scope, draft: Draft) -> Call:
        if self.embeds:
            draft.model = MODEL
            names = [wanted for wanted in draft.who if isinstance(wanted, NameRequest)]
            self.file.embed(scope, names, self.chance.choice([0, 0, 1, 3, 100]))
            for fact in draft.facts:
                fact.vector = packed(fact.text)
            if draft.episode is not None:
                draft.episode.vector = packed(draft.episode.content)
        return scope, draft

    def other_job(self) -> tuple[Any, ...]:
        """What is done in between to what is there."""
        pick, scope, ids = self.chance.choice, self.chance.choice(SCOPES), self.file.ids
        one, other = pick(ids("entity")), pick(ids("entity"))
        kind = pick(["entity", "fact", "episode"])
        jobs: list[tuple[Any, ...]] = [
            (merging.merge, scope, one, other),
            (renaming.add_alias, scope, one, fold(pick(NAMES))),
            (renaming.update_entity, scope, one, {"type": "person", "type_key": "person"}, None, None),
            (forgetting.retract, scope, pick(ids("fact")), "why"),
            (forgetting.forget, scope, kind, pick(ids(kind))),
            self.taken_back(scope),
        ]
        return pick(jobs)

    def taken_back(self, scope: Scope) -> tuple[Any, ...]:
        """Facts or entities by what they are called."""
        pick, drafter = self.chance.choice, Drafter(Normalisers(), NEAR)
        if self.chance.random() < 0.5:
            drafter.facts(self.fact() for _ in range(pick([1, 3, 20])))
            return (forgetting.retract_facts, scope, drafter.draft.who, drafter.draft.facts, pick(["", "why"]))
        who = drafter.all_of(self.name() for _ in range(pick([0, 1, 3])))
        return pick([(forgetting.retract_entities, scope, who, "why"), (forgetting.forget_entities, scope, who)])


class Dicts:
    """The same in a store that knows no SQL."""

    def __init__(self, seed: int) -> None:
        self.clock = Clock(seed)
        self.store = SearchingDictStore(Tables(dict))

    def job(self, rule: Callable[..., Steps[T]], *args: Any) -> T | Exception:
        try:
            with mock.patch.object(moment, "now_micros", self.clock):
                answer: T = self.store.run(rule, *args)
        except (LookupError, ValueError) as error:
            return error
        return answer


def days(number: int | None) -> datetime | None:
    return None if number is None else day(number)


@contextmanager
def histories(seed: int) -> Iterator[tuple[Agents, File, File]]:
    """Some agents, and two files to which the same is done."""
    one, other = File(seed), File(seed)
    with closing(one.conn), closing(other.conn):
        yield Agents(seed, one), one, other
        for table in ("entity", "episode", "fact"):
            one.conn.execute(f"INSERT INTO {table}_search ({table}_search, rank) VALUES ('integrity-check', 1)")


def one_by_one(file: File, calls: Sequence[Call]) -> list[Any]:
    answers: list[Any] = []
    for call in calls:
        answer = file.job(remembering.write, [call])
        answers += [answer] if isinstance(answer, Exception) else answer
    return answers


def said(answer: object) -> str:
    return f"{type(answer).__name__} {answer}"


def check_calls(seed: int) -> None:
    """Calls in one job, and each in one of its own."""
    with histories(seed) as (agents, together, apart):
        for _ in range(6):
            calls = [agents.call() for _ in range(agents.chance.choice([1, 2, 4, 8]))]
            answers = together.job(remembering.write, calls)
            assert not isinstance(answers, Exception)
            assert list(map(said, answers)) == list(map(said, one_by_one(apart, calls)))
            assert together.dump() == apart.dump()
            if agents.chance.random() < 0.5:
                job = agents.other_job()
                assert said(together.job(*job)) == said(apart.job(*job))


def check_facts(seed: int) -> None:
    """A text with its facts, and the same text with one fact after another."""
    with histories(seed) as (agents, one, other):
        for _ in range(4):
            scope, draft = agents.text(agents.chance.choice([2, 9, 20]))
            assert draft.episode is not None
            draft.episode.key = None
            [answer] = one.job(remembering.write, [(scope, draft)]) or []
            [text] = other.job(remembering.write, [(scope, mentions_alone(draft))]) or []
            if isinstance(answer, Exception):
                assert said(answer) == said(text)
                continue
            assert isinstance(answer, Remembered)
            assert isinstance(text, Remembered)
            for fact in draft.facts:
                alone = Draft(list(draft.who), [fact], evidence=text.episode.id, model=draft.model, near=NEAR)
                [stated] = other.job(remembering.write, [(scope, alone)]) or []
                assert isinstance(stated, list) and isinstance(stated[0], AddedFact)
            assert beliefs(one) == beliefs(other)


def mentions_alone(draft: Draft) -> Draft:
    places = [place for fact in draft.facts for place in (fact.subject, fact.object) if place is not None]
    return Draft(draft.who, [], [*draft.mentions, *places], draft.episode, None, draft.model, draft.near)


def beliefs(file: File) -> list[str]:
    """All that was ever believed, with its evidence, whatever the clock said."""
    rows = file.conn.execute(
        "SELECT f.id, subject, predicate, object, value, value_given, text, valid_at, invalid_at, expired_at IS NULL, "
        "superseded_by, f.agent, v.episode, v.quote, v.confidence, v.agent, (SELECT group_concat(hex(data)) FROM "
        "vector WHERE kind = 'fact' AND ref = f.id) FROM fact f JOIN fact_evidence v ON v.fact = f.id"
    ).fetchall()
    return sorted(repr(tuple(row)) for row in rows)


def check_stores(seed: int) -> None:
    """The same jobs by two stores."""
    dicts = Dicts(seed)
    with histories(seed) as (agents, file, _):
        for _ in range(6):
            calls = [agents.call() for _ in range(agents.chance.choice([1, 2, 4]))]
            jobs = [(remembering.write, calls), agents.other_job()]
            for job in jobs:
                assert said(dicts.job(*job)) == said(file.job(*job))
            entities = "SELECT id FROM entity WHERE merged_into IS NULL"
            assert [row[0] for row in file.conn.execute(entities).fetchall()] == [
                id for id, row in dicts.store.rows("entity") if row.merged_into is None
            ]


@pytest.mark.parametrize("check", [check_calls, check_facts, check_stores])
@pytest.mark.parametrize(
    "seeds",
    [range(15), pytest.param(range(15, 2_000), marks=[pytest.mark.soak, pytest.mark.timeout(3600)])],
    ids=["few", "many"],
)
def test_what_shares_a_job_does_what_each_would_by_itself(check: Callable[[int], None], seeds: range) -> None:
    for seed in seeds:
        check(seed)


async def test_a_fact_that_two_texts_said_expires_when_both_are_outdated_at_once(memory: Memory) -> None:
    for key in "ab":
        await memory.remember(f"text {key}", [("Ann", "knows", "Bob")], key=key)
    await asyncio.gather(*(memory.remember(f"next {key}", key=key, replace=True) for key in "ab"))
    assert await memory.facts("Ann", "knows") == []


async def test_a_fact_that_one_text_still_says_stays_when_two_are_outdated_at_once(memory: Memory) -> None:
    for key in "abc":
        await memory.remember(f"text {key}", [("Ann", "knows", "Bob")], key=key)
    await asyncio.gather(*(memory.remember(f"next {key}", key=key, replace=True) for key in "ab"))
    assert len(await memory.facts("Ann", "knows")) == 1


async def test_a_fact_expires_with_its_text_though_an_older_version_is_given_as_evidence_meanwhile(
    memory: Memory,
) -> None:
    outdated = await memory.remember("one", [], key="a")
    await memory.remember("two", [], key="a", replace=True)
    await memory.remember("says it", [Statement(subject="Ada", predicate="age", value=1)], key="b")
    await asyncio.gather(
        memory.add_fact("Ada", "age", value=1, evidence=outdated.episode),
        memory.remember("says no more", [], key="b", replace=True),
    )
    assert not await memory.facts()


async def test_a_text_that_comes_twice_at_once_has_the_facts_of_both_calls(memory: Memory) -> None:
    first, again = await asyncio.gather(
        memory.remember("text", [("Ann", "knows", "Bob")], key="k"),
        memory.remember("text", [("Ann", "knows", "Carl")], key="k"),
    )
    assert (first.created, again.created) == (True, False)
    assert [fact.text for fact in again.facts] == ["Ann knows Bob", "Ann knows Carl"]
    assert [entity.name for entity in again.entities] == ["Ann", "Bob", "Carl"]


async def test_an_answer_is_of_its_call_whatever_later_calls_of_the_job_do(memory: Memory) -> None:
    first, _ = await asyncio.gather(
        memory.remember("text", [Statement(subject="Ann", predicate="age", value=7)], key="k"),
        memory.remember(
            "next",
            [Statement(subject=Name("Ann", "person"), predicate="age", value=8, replace=True)],
            key="k",
            replace=True,
        ),
    )
    assert (first.episode.expired_at, first.facts[0].expired_at, first.entities[0].type) == (None, None, None)
    assert [fact.value for fact in await memory.facts("Ann", "age")] == [8]


async def test_a_name_means_the_same_whether_its_entity_got_its_type_in_this_text_or_before(memory: Memory) -> None:
    company = await memory.find_or_create_entity("Acme Corp", "company")
    await memory.add_alias(await memory.find_or_create_entity("Acme"), "Acme Corp")
    facts = [(Name(name, "company"), "is in", "Rome") for name in ("Acme", "Acme Corp")]
    stated = await memory.remember("text", facts)
    assert stated.facts[1].subject == company.id
    assert await memory.find_or_create_entity("Acme Corp", "company") == company


async def test_what_is_left_of_a_fact_of_the_same_text_has_its_evidence(memory: Memory) -> None:
    home = [
        Statement(subject="Ann", predicate="lives in", object="Rome", valid_at=day(0), quote="in Rome", confidence=0.1),
        Statement(subject="Ann", predicate="lives in", object="Oslo", valid_at=day(5), replace=True),
    ]
    await memory.remember("text", home)
    [left] = await memory.facts("Ann", "lives in", as_of=day(3))
    assert [(each.quote, each.confidence) for each in await memory.evidence(left)] == [("in Rome", 0.1)]
