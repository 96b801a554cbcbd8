"""Entities changed, given other names, merged; and what is forgotten."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import Entity, Forgotten, Memory, NotFound, Statement
from aiomemdb.memory.stores.sqlite import forgetting
from tests.memory.conftest import assert_sound
from tests.memory.support import AngleEmbedder, SpellingEmbedder, day
from tests.support.plain import plain


async def entities(memory: Memory, *names: str) -> list[Entity]:
    return [await memory.find_or_create_entity(name) for name in names]


# -- changed -----------------------------------------------------------------------------------------------------------


async def test_an_entity_can_be_renamed_and_keeps_its_old_name_too(memory: Memory) -> None:
    [entity] = await entities(memory, "Acme")
    renamed = await memory.update_entity(entity, name="Acme Inc", description="makes all", attributes={"n": [1]})
    assert (renamed.id, renamed.name, renamed.description, renamed.attributes) == (
        entity.id,
        "Acme Inc",
        "makes all",
        {"n": [1]},
    )
    assert await memory.entity("acme") == await memory.entity("ACME INC") == await memory.entity(entity.id) == renamed


@pytest.mark.sqlite_only
async def test_a_new_description_is_found_by_words_and_the_old_one_no_more(memory: Memory) -> None:
    [entity] = await entities(memory, "Acme")
    for description in ("anvils", "rockets"):
        await memory.update_entity(entity, description=description)
    for word, found in (("anvils", 0), ("rockets", 1), ("acme", 1)):
        sql = "SELECT rowid FROM entity_search WHERE entity_search MATCH ?"
        assert len(await memory._core.db.read(sql, (word,))) == found


async def test_a_new_type_leaves_what_it_is_called_in_other_types(memory: Memory) -> None:
    company = await memory.find_or_create_entity("Apple", "company")
    await memory.merge(company, await memory.find_or_create_entity("Apple", "fruit"))
    firm = await memory.update_entity(company, type="firm")
    for type in (None, "firm", "fruit"):
        assert await memory.find_or_create_entity("apple", type) == firm


async def test_a_new_type_counts_for_all_its_names(memory: Memory) -> None:
    fruit = await memory.find_or_create_entity("Apple", "fruit")
    await memory.add_alias(fruit, "Pomme")
    company = await memory.update_entity(fruit, type="Company")
    assert (await memory.find_or_create_entity("pomme", "company")) == company
    assert (await memory.find_or_create_entity("apple", "fruit")).id != company.id


async def test_a_name_that_is_anothers_is_refused_and_nothing_changes(memory: Memory) -> None:
    acme, beta = await entities(memory, "Acme", "Beta")
    with pytest.raises(ValueError, match=r"entity 2.*merge"):
        await memory.update_entity(acme, name="beta", description="new")
    with pytest.raises(ValueError, match=r"entity 2.*merge"):
        await memory.add_alias(acme, "BETA")
    assert await memory.entity("Acme") == acme and await memory.entity("Beta") == beta


async def test_an_alias_finds_its_entity_and_is_added_once(memory: Memory) -> None:
    [acme] = await entities(memory, "Acme")
    for _ in range(2):
        assert await memory.add_alias(acme, "The  Acme Company") == acme
    assert await memory.find_or_create_entity("the acme company") == acme
    assert (await memory.counts()).aliases == 2


async def test_an_alias_taken_back_finds_its_entity_no_more(memory: Memory) -> None:
    [acme] = await entities(memory, "Acme")
    fact = await memory.add_fact("Acme", "makes", "anvils")
    await memory.add_alias(acme, "Apex")
    assert await memory.scoped(agent="clerk").remove_alias(acme, " APEX ") == acme
    assert await memory.entity("Apex") is None
    assert (await memory.recall("Apex", kinds=["fact", "entity"])).hits == ()
    assert (await memory.find_or_create_entity("Apex")).id != acme.id
    assert await memory.facts("Acme") == [fact]
    last = (await memory.history(acme))[-1]
    assert (last.operation, last.agent, last.reason) == ("unalias", "clerk", None)


@pytest.mark.parametrize("how", ["renamed", "merged", "merged twice", "similar"])
async def test_an_alias_is_taken_back_whatever_made_it(db_path: Path, how: str) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        [acme] = await entities(memory, "Acme Corp")
        if how == "renamed":
            await memory.update_entity(acme, name="Other Corp")
        elif how == "similar":
            assert await memory.find_or_create_entity("Acmee Corp", similarity=0.9) == acme
        else:
            acme = await memory.merge(*await entities(memory, "Other Corp", "Acme Corp"))
        if how == "merged twice":
            acme = await memory.merge(*await entities(memory, "Third Corp", "Other Corp"))
        alias = "Acmee Corp" if how == "similar" else "Acme Corp"
        before = await memory.counts()
        await memory.remove_alias(acme, alias)
        assert await memory.entity(alias) is None
        after = await memory.counts()
        assert (after.aliases, after.vectors, after.similar) == (before.aliases - 1, before.vectors, before.similar)
    assert_sound(db_path)


async def test_an_alias_goes_in_all_types_and_from_no_other_entity(memory: Memory) -> None:
    company = await memory.find_or_create_entity("Apple Inc", "company")
    for type in ("fruit", "label"):
        await memory.merge(company, await memory.find_or_create_entity("Apple", type))
    tree = await memory.find_or_create_entity("Apple", "tree")
    await memory.remove_alias(company, "apple")
    for type in (None, "fruit", "label", "tree"):
        assert await memory.entity("Apple", type) == (tree if type in (None, "tree") else None)


async def test_the_name_that_an_entity_goes_by_stays(memory: Memory) -> None:
    [acme] = await entities(memory, "Acme")
    with pytest.raises(ValueError, match=r"called.*update_entity") as caught:
        await memory.remove_alias(acme, "ACME")
    assert await memory.entity("Acme") == acme
    renamed = await memory.update_entity(acme, name="Apex")
    assert await memory.remove_alias(acme, "Acme") == renamed
    assert caught.type is ValueError


@pytest.mark.sqlite_only
async def test_what_is_no_alias_of_it_is_an_error_and_changes_nothing(memory: Memory) -> None:
    acme, beta = await entities(memory, "Acme", "Beta")
    await memory.add_alias(beta, "B")
    events = await memory.db.read_value("SELECT count(*) FROM memory_event")
    for name in ("unknown", "B", "Beta"):
        with pytest.raises(NotFound, match=r"entity 1 has no alias"):
            await memory.remove_alias(acme, name)
    assert await memory.entity("B") == beta
    assert await memory.db.read_value("SELECT count(*) FROM memory_event") == events


async def test_a_renamed_entity_is_near_by_its_new_name(db_path: Path) -> None:
    embedder = AngleEmbedder(first_name=0, second_name=90, third_name=90)
    async with Memory.open(db_path, embedder=embedder) as memory:
        entity = await memory.find_or_create_entity("First Name")
        assert (await memory.find_or_create_entity("Third Name")).id != entity.id
        await memory.update_entity(entity, name="Second Name")
        assert (await memory.counts()).vectors == 2
    assert_sound(db_path)


# -- merged ------------------------------------------------------------------------------------------------------------


async def test_a_merged_entity_goes_on_resolving_by_name_and_id(memory: Memory) -> None:
    keep, other = await entities(memory, "Acme Corp", "Acme Inc")
    await memory.update_entity(other, description="makes all", attributes={"a": 1})
    merged = await memory.merge(keep, other)
    assert (merged.id, merged.description, merged.attributes) == (keep.id, "makes all", {"a": 1})
    for who in ("acme inc", "acme corp", other.id, keep.id):
        assert await memory.entity(who) == merged
    assert (await memory.add_fact(other, "is", value="big")).subject == keep.id
    assert (await memory.counts()).entities == 1


async def test_merging_again_changes_nothing(memory: Memory) -> None:
    keep, other = await entities(memory, "a", "b")
    merged = await memory.merge(keep, other)
    history = await memory.history(keep)
    assert await memory.merge(keep, other) == merged
    assert await memory.history(keep) == history


async def test_chains_are_compressed(memory: Memory) -> None:
    a, b, c, d = await entities(memory, "a", "b", "c", "d")
    await memory.merge(c, d)
    await memory.merge(b, c)
    await memory.merge(a, b)
    assert await memory.entity(d.id) == await memory.entity("d") == a
    # no row points at one that was itself merged: assert_sound looks


async def test_a_circle_is_an_error_and_changes_nothing(memory: Memory) -> None:
    a, b = await entities(memory, "a", "b")
    await memory.merge(a, b)
    with pytest.raises(ValueError, match="circle"):
        await memory.merge(b, a)
    with pytest.raises(ValueError, match="itself"):
        await memory.merge(a, a)
    assert await memory.entity("b") == a


async def test_facts_move_from_both_ends(memory: Memory) -> None:
    keep, other = await entities(memory, "keep", "other")
    one = await memory.add_fact(other, "knows", "x")
    two = await memory.add_fact("x", "knows", other)
    await memory.merge(keep, other)
    assert [fact.id for fact in await memory.facts("keep")] == [one.id]
    assert [fact.id for fact in await memory.facts(object="other")] == [two.id]


async def test_facts_that_collide_unite_their_evidence_and_one_is_closed(memory: Memory) -> None:
    keep, other = await entities(memory, "keep", "other")
    said = await memory.add_fact(keep, "knows", "x", confidence=0.2)
    text = await memory.remember("other knows x", [(other, "knows", "x")])
    await memory.merge(keep, other)
    assert [fact.id for fact in await memory.facts("keep")] == [said.id]
    assert [evidence.episode for evidence in await memory.evidence(said)] == [None, text.episode.id]
    closed = await memory.fact(text.facts[0].id)
    assert closed is not None and (closed.superseded_by, closed.subject) == (said.id, keep.id)
    assert (await memory.counts()).mentions == 2


async def test_two_facts_of_the_duplicate_may_collide_with_each_other(memory: Memory) -> None:
    keep, other = await entities(memory, "keep", "other")
    await memory.add_fact(other, "likes", other)
    await memory.add_fact("x", "knows", keep)
    await memory.add_fact("x", "knows", other)
    await memory.merge(keep, other)
    assert [fact.text for fact in await memory.facts()] == ["other likes other", "x knows keep"]


async def test_facts_about_itself_that_arise_are_closed(memory: Memory) -> None:
    keep, other = await entities(memory, "keep", "other")
    await memory.add_fact(keep, "is part of", other)
    await memory.add_fact(other, "owns", keep)
    await memory.merge(keep, other)
    assert await memory.facts() == []
    assert (await memory.counts()).expired_facts == 2


async def test_what_was_expired_moves_too(memory: Memory) -> None:
    keep, other = await entities(memory, "keep", "other")
    fact = await memory.add_fact(other, "knows", "x")
    await memory.retract(fact)
    await memory.merge(keep, other)
    assert [found.id for found in await memory.facts("keep", known_at=fact.created_at)] == [fact.id]


async def test_mentions_and_near_names_move(db_path: Path) -> None:
    angles = AngleEmbedder(john_smith=0, john_smyth=10, jon_smith=20)
    async with Memory.open(db_path, embedder=angles) as memory:
        first, second, third = await entities(memory, "John Smith", "John Smyth", "Jon Smith")
        await memory.add_episode("both", mentions=[first, second])
        await memory.add_episode("one", mentions=[second])
        await memory.merge(first, second)
        counts = await memory.counts()
        assert (counts.mentions, counts.similar, counts.vectors) == (2, 1, 4)
        assert third.id in {e.id for e in await memory.entities()}
    assert plain(db_path, "SELECT a, b FROM entity_similar") == [(first.id, third.id)]
    assert_sound(db_path)


async def test_types_of_merged_names_still_find_the_one_that_stays(memory: Memory) -> None:
    keep = await memory.find_or_create_entity("Apple", "company")
    other = await memory.find_or_create_entity("Apple Inc", "organization")
    await memory.merge(keep, other)
    assert (await memory.find_or_create_entity("apple inc", "organization")).id == keep.id
    untyped = await memory.find_or_create_entity("Apple Computer")
    await memory.merge(keep, untyped)
    assert (await memory.find_or_create_entity("Apple Computer", "company")).id == keep.id


async def test_an_untyped_one_takes_the_duplicates_type(memory: Memory) -> None:
    keep = await memory.find_or_create_entity("Acme")
    other = await memory.find_or_create_entity("Acme Inc", "company")
    assert (await memory.merge(keep, other)).type == "company"
    assert (await memory.find_or_create_entity("acme", "company")).id == keep.id


async def test_entities_of_two_namespaces_can_not_be_merged(memory: Memory) -> None:
    [own] = await entities(memory, "a")
    [others] = await entities(memory.scoped(namespace="team"), "a")
    for keep, duplicate in ((own, others), (others, own)):
        with pytest.raises(NotFound, match="namespace 'default'"):
            await memory.merge(keep, duplicate)


# -- forgotten ---------------------------------------------------------------------------------------------------------


async def test_a_forgotten_text_takes_along_what_it_alone_said(memory: Memory) -> None:
    both = await memory.add_fact("Ann", "met", "Bob")
    text = await memory.remember("Ann met Bob in Rome", [("Ann", "met", "Bob"), ("Ann", "was in", "Rome")])
    assert await memory.forget(text.episode) == Forgotten(episodes=1, mentions=3, evidence=2, facts=1)
    assert await memory.facts() == [both]
    assert await memory.fact(text.facts[1].id) is None
    assert await memory.episode(text.episode.id) is None
    assert (await memory.counts()).entities == 3


async def test_all_versions_of_a_text_are_forgotten_and_what_they_said(memory: Memory) -> None:
    await memory.remember("old", [("a", "is", "b")], key="k")
    new = await memory.remember("new", [("a", "is", "c")], key="k", replace=True)
    assert (await memory.forget(new.episode)).episodes == 2
    counts = await memory.counts()
    assert (counts.episodes, counts.facts, counts.expired_facts, counts.evidence) == (0, 0, 0, 0)


async def test_what_is_left_of_a_superseded_fact_goes_with_its_text(memory: Memory) -> None:
    fact = Statement(subject="Ann", predicate="lives in", object="Rome", valid_at=day(0))
    text = await memory.remember("Ann lives in Rome", [fact])
    stays = await memory.add_fact("Ann", "lives in", "Oslo", valid_at=day(9), replace=True)
    assert (await memory.forget(text.episode)).facts == 2
    assert await memory.facts(known_at=stays.created_at) == [stays]
    assert await memory.facts(as_of=day(1)) == []


async def test_a_forgotten_entity_takes_its_facts_names_and_mentions(memory: Memory) -> None:
    ann, other = await entities(memory, "Ann", "Anne")
    await memory.merge(ann, other)
    await memory.remember("...", [("Ann", "met", "Bob"), ("Bob", "met", "Ann"), ("Bob", "met", "Carl")])
    assert await memory.forget(ann) == Forgotten(entities=2, aliases=2, facts=2, evidence=2, mentions=1)
    for who in ("Ann", "Anne", ann.id, other.id):
        assert await memory.entity(who) is None
    assert [fact.text for fact in await memory.facts()] == ["Bob met Carl"]


async def test_the_audit_of_what_is_forgotten_holds_no_words(memory: Memory, db_path: Path) -> None:
    fact = await memory.add_fact("Ann", "hides", "gold", quote="the gold")
    await memory.retract(fact, "the gold is silver")
    await memory.forget(fact)
    events = await memory.history(fact)
    assert [(event.operation, event.reason) for event in events] == [
        ("create", None),
        ("retract", None),
        ("forget", None),
    ]
    for name in ("Ann", "gold"):
        entity = await memory.entity(name)
        assert entity is not None
        await memory.forget(entity)
    for table, columns in (("memory_event", "operation || kind || ifnull(reason, '')"), ("fact_evidence", "quote")):
        rows = await memory._core.db.read(f"SELECT {columns} FROM {table}")
        assert not [row for row in rows if "gold" in row[0] or "Ann" in row[0]]
    for table in ("entity", "fact", "episode"):
        assert (
            await memory._core.db.read(f"SELECT * FROM {table}_search WHERE {table}_search MATCH 'gold OR ann'") == []
        )


async def test_what_is_forgotten_can_not_be_forgotten_again(memory: Memory) -> None:
    fact = await memory.add_fact("Ann", "met", "Bob")
    await memory.forget(fact)
    with pytest.raises(NotFound):
        await memory.forget(fact)
    with pytest.raises(TypeError, match="Entity, a Fact or an Episode"):
        await memory.forget(fact.id)  # type: ignore[arg-type]


async def test_ids_are_never_used_again(memory: Memory) -> None:
    text = await memory.remember("a is b", [("a", "is", "b")])
    old = (text.episode.id, text.facts[0].id, text.entities[1].id)
    await memory.forget(text.episode)
    for entity in text.entities:
        await memory.forget(entity)
    text = await memory.remember("a is b", [("a", "is", "b")])
    assert text.episode.id > old[0] and text.facts[0].id > old[1] and text.entities[0].id > old[2]


async def test_vectors_go_with_what_they_are_of(db_path: Path) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        text = await memory.remember("a thing is b", [("a thing", "is", "b thing")])
        assert (await memory.counts()).vectors == 4
        await memory.forget(text.episode)
        assert (await memory.counts()).vectors == 2
        await memory.forget(text.entities[0])
        assert (await memory.counts()).vectors == 1
    assert_sound(db_path)


async def test_what_is_asked_by_name_while_it_is_merged_is_found(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name has been looked up when the merge comes between."""
    fact = await memory.add_fact("Anne", "met", "Bob")
    original = memory._core.identity.find

    async def find_then_merge(*args: Any) -> Entity | None:
        found = await original(*args)
        if found is not None:
            await memory.merge(await memory.find_or_create_entity("Ann"), found)
        return found

    for asked in (memory.facts, memory.neighbors):
        with monkeypatch.context() as patched:
            patched.setattr(memory._core.identity, "find", find_then_merge)
            found = await asked("Anne")
        facts = found if isinstance(found, list) else found.facts
        assert [one.id for one in facts] == [fact.id]
        await memory.forget(await memory.find_or_create_entity("Ann"))
        fact = await memory.add_fact("Anne", "met", "Bob")


# -- a namespace forgotten ---------------------------------------------------------------------------------------------


async def fill(memory: Memory) -> None:
    for n in range(30):
        await memory.remember(f"{n} is next to {n + 1}", [(f"n {n}", "next to", f"n {n + 1}")], session="s")
    a, b = await entities(memory, "n 1", "n 2")
    await memory.merge(a, b)


@pytest.mark.sqlite_only
async def test_a_forgotten_namespace_is_empty_and_others_are_not(
    memory: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_SLICE", 7)
    team = memory.scoped(namespace="team")
    await fill(team)
    await fill(memory)
    kept = await memory.counts()
    forgotten = await team.forget_namespace()
    assert (forgotten.entities, forgotten.episodes, forgotten.facts) == (31, 30, 30)
    for table in ("entity", "fact", "episode", "mention", "fact_evidence", "entity_alias", "memory_namespace"):
        [[count]] = await memory._core.db.read(f"SELECT count(*) FROM {table}")
        assert count > 0
    assert await memory.counts() == kept
    assert (await team.counts()).entities == 0
    assert await team.forget_namespace() == Forgotten()


async def test_a_forgotten_namespace_is_hidden_at_once_and_a_process_that_dies_meanwhile_leaves_the_rest_to_the_next(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Memory.open(db_path, namespace="team") as memory:
        await fill(memory)
        old = await memory.entity("n 0")
        monkeypatch.setattr(memory._core.store, "delete", lambda namespace: entities(memory))  # dies here
        await memory.forget_namespace()
        assert (await memory.counts()).entities == 0 and await memory.entity("n 0") is None
        assert (await memory.find_or_create_entity("n 0")) != old
    assert len(plain(db_path, "SELECT id FROM fact")) == 30
    async with aiomemdb.connect(db_path, read_only=True) as db, Memory.open(db, namespace="team") as memory:
        assert (await memory.counts()).entities == 1  # and what is left stays hidden
        assert memory._core._sweeping is not None
        await memory._core._sweeping  # which could delete nothing, and is no caller's error
    async with Memory.open(db_path, namespace="team") as memory:
        assert memory._core._sweeping is not None
        await memory._core._sweeping
        assert plain(db_path, "SELECT id FROM fact") == []
        assert (await memory.counts()).entities == 1
    assert_sound(db_path)


async def test_a_slice_of_a_forgotten_namespace_costs_the_same_however_much_is_gone(
    memory: Memory, db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "_SLICE", 50)
    everybody = [f"n {number}" for number in range(1500)]
    await asyncio.gather(*(memory.remember(name, [(name, "is", "one")] * 2, mentions=[name]) for name in everybody))
    with closing(sqlite3.connect(db_path)) as conn:
        conn.row_factory = sqlite3.Row
        [[namespace]] = conn.execute("SELECT id FROM memory_namespace").fetchall()
        steps, costs, done = [0], list[int](), False

        def count() -> None:
            steps[0] += 100

        conn.set_progress_handler(count, 100)
        while not done:
            steps[0] = 0
            _, done = forgetting.delete_slice(conn, namespace)
            costs.append(steps[0])
        conn.rollback()
    assert len(costs) > 200  # of 50 of the 10,500 rows
    assert max(costs) < 3 * sorted(costs)[len(costs) // 2]
