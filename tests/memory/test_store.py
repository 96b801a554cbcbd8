"""What every store must do for the memory graph; a new engine adds itself to the fixture."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import aiomemdb
from aiomemdb import AddedFact, AmbiguousEntity, Entity, EpisodeExists, Fact, ModelChanged, NotFound, Remembered
from aiomemdb.memory.drafts import Draft, DraftEpisode, DraftFact, NameRequest, Scope
from aiomemdb.memory.questions import FactQuery, Model, When
from aiomemdb.memory.store import Reads, Store
from aiomemdb.memory.stores.choosing import store_of
from aiomemdb.memory.vectors import pack
from aiomemdb.memory.words import Asked
from tests.memory.dict_database import DictDatabase

NORMALISERS = {"normaliser": "n-1", "predicate normaliser": "p-1"}
HERE, THERE = Scope("here", "agent"), Scope("there")
MODEL = Model("model", 2)
ALWAYS = FactQuery(0, any_time=True)


@pytest.fixture(params=["sqlite", "dict"])
async def store(db_path: Path, request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    db = aiomemdb.connect(db_path) if request.param == "sqlite" else DictDatabase()
    async with db:
        store = store_of(db)
        await store.open(NORMALISERS)
        yield store


def name(key: str, type_key: str = "", **more: object) -> NameRequest:
    return NameRequest(key.title(), key, type_key.title() or None, type_key, **more)  # type: ignore[arg-type]


def vector(x: float, y: float) -> bytes:
    return pack([[x, y]], count=1, dim=2)[0]


async def make(store: Store, *keys: str, scope: Scope = HERE) -> list[Entity]:
    made = await store.find_or_create(scope, [name(key) for key in keys], None, 1.0)
    assert all(isinstance(entity, Entity) for entity in made)
    return made  # type: ignore[return-value]


async def write(store: Store, draft: Draft) -> Remembered | list[Fact]:
    [written] = await store.write([(HERE, draft)])
    if isinstance(written, BaseException):
        raise written
    return written


async def write_facts(store: Store, *facts: tuple[str, str, str]) -> list[Fact]:
    keys = list(dict.fromkeys(key for subject, _, object in facts for key in (subject, object)))
    drafts = [DraftFact(keys.index(s), p, keys.index(o), None, f"{s} {p} {o}") for s, p, o in facts]
    written = await write(store, Draft([name(key) for key in keys], drafts))
    assert isinstance(written, list)
    return [one.fact for one in written if isinstance(one, AddedFact)]


async def test_opening_again_changes_nothing(store: Store) -> None:
    [entity] = await make(store, "a")
    await store.open(NORMALISERS)
    assert await store.resolve("here", [name("a")]) == [entity]


async def test_names_are_resolved_set_wise_and_in_order(store: Store) -> None:
    a, b = await make(store, "a", "b")
    assert await store.resolve("here", [name("b"), name("x"), name("a"), name("b")]) == [b, None, a, b]
    assert await store.resolve("there", [name("a")]) == [None]
    assert await store.resolve("here", []) == []


async def test_a_name_that_is_to_adopt_a_type_is_not_resolved(store: Store) -> None:
    [a] = await make(store, "a")
    assert await store.resolve("here", [name("a", "t")]) == [None]
    [typed] = await store.find_or_create(HERE, [name("a", "t")], None, 1.0)
    assert isinstance(typed, Entity) and typed.id == a.id and typed.type == "T"


async def test_one_job_may_name_a_thing_twice_and_in_two_types(store: Store) -> None:
    wanted = [name("a"), name("a", "t"), name("a", "u"), name("a"), name("a", strict=True)]
    first, typed, homonym, again, strict = await store.find_or_create(HERE, wanted, None, 1.0)
    assert isinstance(first, Entity) and isinstance(homonym, Entity)
    assert first == typed == again != homonym
    assert isinstance(strict, AmbiguousEntity)
    assert isinstance((await store.resolve("here", [name("a", strict=True)]))[0], AmbiguousEntity)


async def test_vectors_of_one_job_are_compared(store: Store) -> None:
    wanted = [name(f"long name {n}"[:-2] + letter, vector=vector(1, n / 100)) for n, letter in enumerate("abc")]
    for request in wanted:
        request.similarity = 0.99
    made = await store.find_or_create(HERE, wanted, MODEL, 0.9)
    assert len({entity.id for entity in made if isinstance(entity, Entity)}) == 1
    assert (await store.counts("here")).aliases == 3


async def test_a_draft_is_written_whole(store: Store) -> None:
    draft = Draft(
        [name("a"), name("b", "t"), name("c")],
        [DraftFact(0, "p", 1, None, "a p b", quote="q"), DraftFact(0, "p", None, "7", "a p 7")],
        mentions=[2],
        episode=DraftEpisode("text", key="k", session="s"),
    )
    written = await write(store, draft)
    assert isinstance(written, Remembered)
    assert [fact.value for fact in written.facts] == [None, 7]
    assert [entity.name for entity in written.entities] == ["A", "B", "C"]
    assert {fact.agent for fact in written.facts} == {written.episode.agent} == {"agent"}
    assert await store.facts(["here"], ALWAYS) == list(written.facts)
    assert await store.episodes(["here"], key="k") == [written.episode]
    assert [e.quote for fact in written.facts for e in await store.evidence(["here"], fact.id)] == ["q", None]
    again = await write(store, draft)
    assert isinstance(again, Remembered) and not again.created


@pytest.mark.parametrize("who", [[99], ["there"]], ids=["nobody", "of another namespace"])
async def test_a_draft_that_fails_leaves_nothing(store: Store, who: list[int | str]) -> None:
    [other] = await make(store, "x", scope=THERE)
    missing = other.id if who == ["there"] else 99
    draft = Draft([name("a"), missing], [DraftFact(0, "p", 1, None, "text")], episode=DraftEpisode("text"))
    with pytest.raises(NotFound):
        await write(store, draft)
    counts = await store.counts("here")
    assert (counts.entities, counts.episodes, counts.facts) == (0, 0, 0)


async def test_drafts_are_written_together_and_fail_alone(store: Store) -> None:
    def document(number: int, who: int | NameRequest) -> tuple[Scope, Draft]:
        facts = [DraftFact(0, "p", 1, None, "t")]
        return (HERE, Draft([who, name("a")], facts, episode=DraftEpisode(f"text {number}")))

    drafts = [document(1, name("b")), document(2, 99), document(3, name("c"))]
    first, second, third = await store.write(drafts)
    assert isinstance(first, Remembered) and isinstance(third, Remembered)
    assert isinstance(second, NotFound)
    assert await store.episodes(["here"]) == [first.episode, third.episode]
    assert first.episode.created_at <= third.episode.created_at
    assert len(await store.facts(["here"], ALWAYS)) == 2


async def test_another_text_of_one_key_is_refused_or_its_next_version(store: Store) -> None:
    for content in ("one", "two"):
        draft = Draft([], episode=DraftEpisode(content, key="k"))
        if content == "two":
            with pytest.raises(EpisodeExists):
                await write(store, draft)
            draft.episode.replace = True  # type: ignore[union-attr]
        written = await write(store, draft)
    assert isinstance(written, Remembered) and written.episode.version == 2


async def test_facts_are_chosen_by_all_that_is_given(store: Store) -> None:
    facts = await write_facts(store, ("a", "p", "b"), ("a", "q", "b"), ("b", "p", "c"))
    a, b = facts[0].subject, facts[0].object
    assert b is not None
    for query, chosen in (
        (FactQuery(0, subjects=[a]), [0, 1]),
        (FactQuery(0, subjects=[a, b], predicates=["p"]), [0, 2]),
        (FactQuery(0, objects=[b], predicates=["q", "x"]), [1]),
        (FactQuery(0, subjects=[]), []),
        (FactQuery(0, limit=1), [0]),
        (FactQuery(0, ids=[facts[2].id, facts[1].id]), [1, 2]),
    ):
        assert await store.facts(["here", "nowhere"], query) == [facts[place] for place in chosen]
        assert await store.facts(["there"], query) == []


async def test_surroundings_go_both_ways_and_end_at_the_limit(store: Store) -> None:
    facts = await write_facts(store, ("a", "p", "b"), ("b", "p", "c"), ("c", "p", "d"))
    b = facts[1].subject
    for hops, limit, found, truncated in ((1, 9, 2, False), (2, 9, 3, False), (1, 1, 1, True), (3, 2, 2, True)):
        around = await store.surroundings(["here"], [b], replace(ALWAYS, limit=limit), hops)
        assert (around.facts, around.truncated) == (tuple(facts[:found]), truncated)
        assert around.entities[0].id == b
        reached = {entity.id for entity in around.entities}
        assert {end for fact in around.facts for end in (fact.subject, fact.object)} <= reached
    assert (await store.surroundings(["there"], [b], replace(ALWAYS, limit=9), 1)).entities == ()


async def test_ids_that_were_merged_away_stand_for_those_that_stayed(store: Store) -> None:
    facts = await write_facts(store, ("a", "p", "b"), ("c", "p", "d"))
    a, c = facts[0].subject, facts[1].subject
    await store.merge(HERE, a, c)
    for query in (FactQuery(0, subjects=[c]), FactQuery(0, subjects=[a])):
        assert [fact.text for fact in await store.facts(["here"], query)] == ["a p b", "c p d"]
    around = await store.surroundings(["here"], [c], replace(ALWAYS, limit=9), 1)
    assert (around.entities[0].id, len(around.facts)) == (a, 2)


async def test_merged_ids_resolve_to_the_one_that_stays(store: Store) -> None:
    a, b = await make(store, "a", "b")
    await store.merge(HERE, a.id, b.id)
    assert await store.entities(["here"], ids=[b.id], type_key=None, after=0, limit=-1) == [a]
    assert await store.resolve("here", [name("b")]) == [a]


async def test_the_audit_records_what_was_done(store: Store) -> None:
    [fact] = await write_facts(store, ("a", "p", "b"))
    await store.retract(HERE, fact.id, "why")
    await store.forget(HERE, "fact", fact.id)
    events = await store.history(["here"], "fact", fact.id)
    assert [(event.operation, event.agent) for event in events] == [
        (operation, "agent") for operation in ("create", "retract", "forget")
    ]
    assert events[0].id < events[1].id < events[2].id


# -- vectors -----------------------------------------------------------------------------------------------------------


async def test_vectors_are_told_once_and_then_what_changed(store: Store) -> None:
    made = await store.find_or_create(HERE, [name("a", vector=vector(1, 0)), name("b", vector=vector(0, 1))], MODEL, 1)
    a, b = (entity.id for entity in made if isinstance(entity, Entity))
    everything = await store.vector_changes("here", "entity", MODEL, since=None, most=9)
    assert (everything.complete, everything.count) == (True, 2)
    assert await store.vectors("here", "entity", MODEL) == [(a, vector(1, 0)), (b, vector(0, 1))]
    nothing = await store.vector_changes("here", "entity", MODEL, since=everything.state, most=9)
    assert (nothing.complete, nothing.refs, nothing.gone) == (False, [], [])
    await store.forget(HERE, "entity", a)
    await store.update_entity(HERE, b, {"name": "C", "key": "c"}, vector(1, 1), MODEL)
    changed = await store.vector_changes("here", "entity", MODEL, since=everything.state, most=9)
    assert (changed.complete, changed.refs, changed.gone) == (False, [b], [a])
    assert changed.data == [vector(1, 1)]


async def test_too_many_vectors_are_read_in_slices(store: Store) -> None:
    wanted = [name(f"n {n}", vector=vector(1, n)) for n in range(5)]
    made = await store.find_or_create(HERE, wanted, MODEL, 1)
    ids = [entity.id for entity in made if isinstance(entity, Entity)]
    for most, counted in ((3, 4), (4, 5), (9, 5)):  # no further than shows that there are more
        changes = await store.vector_changes("here", "entity", MODEL, since=None, most=most)
        assert (changes.complete, changes.count, changes.refs) == (True, counted, ())
    found, after = [], 0
    while rows := await store.vectors("here", "entity", MODEL, after=after, limit=2):
        found += [ref for ref, _ in rows]
        after = found[-1]
    assert found == ids


async def test_another_model_is_prepared_and_switched_to_when_it_is_complete(store: Store) -> None:
    other = Model("other", 2)
    [a] = await store.find_or_create(HERE, [name("a", vector=vector(1, 0))], MODEL, 1)
    assert isinstance(a, Entity)
    assert not await store.switch_model(other)
    with pytest.raises(ModelChanged, match="'model'"):
        await store.find_or_create(HERE, [name("b", vector=vector(1, 0))], other, 1)
    assert await store.without_vector(other, "entity", 99, 9) == [(a.id, "A")]
    await store.put_vectors(other, "entity", [(a.id, vector(0, 1)), (99, vector(0, 1))])
    assert await store.model() == MODEL
    assert await store.without_vector(other, "entity", 99, 9) == []
    assert await store.switch_model(other)
    assert await store.model() == other
    assert (await store.counts("here")).vectors == 1


async def test_a_model_that_not_every_row_has_can_be_forced(store: Store) -> None:
    other = Model("other", 2)
    names = [name(f"n {n}", vector=vector(1, n)) for n in range(1200)]
    made = await store.find_or_create(HERE, names, MODEL, 1)
    assert isinstance(made[0], Entity)
    await store.put_vectors(other, "entity", [(made[0].id, vector(0, 1))])
    assert not await store.switch_model(other, force=True)
    assert await store.model() == other
    assert (await store.counts("here")).vectors == 1
    assert len(await store.without_vector(other, "entity", 9999, 9999)) == 1199


async def everything(reads: Reads) -> list[object]:
    """What each question is answered."""
    here, when, nodes = ["here"], When(0), [("entity", 1), ("fact", 1), ("episode", 1)]
    return [
        await reads.resolve("here", [name("a"), name("c")]),
        await reads.named(here, ["a", "c"]),
        await reads.entities(here, ids=None, type_key=None, after=0, limit=9),
        await reads.facts(here, ALWAYS),
        await reads.facts(here, FactQuery(0, known_at=2**62)),
        await reads.surroundings(here, [1], replace(ALWAYS, limit=9), 2),
        await reads.path(here, [1], [2], FactQuery(0), 3),
        await reads.evidence(here, 1),
        await reads.episodes(here),
        await reads.history(here, "fact", 1),
        await reads.counts("here"),
        [id for id, _ in (await reads.words(here, "fact", [Asked(("a",))], when, 9)).rows],
        await reads.around(here, nodes, [1], when, 50),
        await reads.there(here, "fact", [1, 2], when),
        (await reads.read(here, nodes, when)).items,
        await reads.model(),
        await reads.vectors("here", "entity", MODEL),
        await reads.without_vector(MODEL, "fact", None, 9),
        await reads.near_names_left(MODEL, 9),
        await reads.to_reembed(MODEL),
    ]


async def test_a_snapshot_answers_all_that_a_store_does_from_one_state(store: Store) -> None:
    text = Draft([name("a", vector=vector(1, 0)), name("b")], [DraftFact(0, "p", 1, None, "a p b")], model=MODEL)
    text.episode = DraftEpisode("text", key="k")
    await write(store, text)
    async with store.snapshot() as reads:
        before = await everything(reads)
        assert before == await everything(store)
        await store.put_vectors(MODEL, "fact", [(1, vector(0, 1))])
        await store.update_entity(HERE, 1, {"description": "other"}, None, None)
        await write_facts(store, ("a", "q", "c"))
        await store.retract(HERE, 1, "")
        assert await everything(reads) == before
    after = await everything(store)
    same = [place for place, (one, other) in enumerate(zip(before, after, strict=True)) if one == other]
    assert same == [7, 8, 15, 16, 18]  # evidence, texts, model, vectors of names, near names that are left
