"""find_or_create_entity: one entity for each name, whichever task asks, whenever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from aiomemdb import AmbiguousEntity, DatabaseClosed, Memory, NotFound
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import AngleEmbedder, AnsweringEmbedder, GatedEmbedder, SpellingEmbedder


@pytest.mark.parametrize("variant", ["acme corp", "ACME CORP", "  Acme \t Corp\n", "ＡＣＭＥ　Corp", "Acme\u00a0Corp"])
async def test_case_spaces_and_width_make_no_other_entity(memory: Memory, variant: str) -> None:
    first = await memory.find_or_create_entity("Acme Corp")
    assert await memory.find_or_create_entity(variant) == first
    assert (await memory.counts()).entities == 1


async def test_what_is_not_seen_makes_no_other_entity(memory: Memory) -> None:
    first = await memory.find_or_create_entity("Acme Corp", "for\u00adprofit")
    for name in ("Ac\u200bme Corp", "Acme\u00ad Corp", "\ufeffAcme Corp", "Acme Corp\u200e", "Ac\u200dme Corp"):
        assert await memory.find_or_create_entity(name, "forprofit") == first
    with pytest.raises(ValueError, match="is empty"):
        await memory.find_or_create_entity("\u200b")


async def test_joiners_stay_in_what_is_shown(memory: Memory) -> None:
    entity = await memory.find_or_create_entity("می\u200cخواهم")
    assert entity.name == "می\u200cخواهم"
    assert await memory.find_or_create_entity("میخواهم") == entity


async def test_the_first_way_to_write_a_name_stays_its_name(memory: Memory) -> None:
    await memory.find_or_create_entity("Acme  Corp")
    assert (await memory.find_or_create_entity("ACME CORP")).name == "Acme Corp"


@pytest.mark.sqlite_only
async def test_callers_at_once_get_one_entity_by_one_job(memory: Memory) -> None:
    writes = memory._core.db.statistics().writes
    found = await asyncio.gather(*(memory.find_or_create_entity("Acme") for _ in range(50)))
    assert {entity.id for entity in found} == {found[0].id}
    assert memory._core.db.statistics().writes == writes + 1


@pytest.mark.sqlite_only
async def test_a_known_name_is_not_the_writers_business(memory: Memory) -> None:
    await memory.find_or_create_entity("Acme")
    writes = memory._core.db.statistics().writes
    await memory.find_or_create_entity("Acme")
    assert memory._core.db.statistics().writes == writes


@pytest.mark.sqlite_only
async def test_names_that_wait_together_are_one_job(memory: Memory) -> None:
    writes = memory._core.db.statistics().writes
    found = await asyncio.gather(*(memory.find_or_create_entity(f"name {n}") for n in range(100)))
    assert len({entity.id for entity in found}) == 100
    assert memory._core.db.statistics().writes == writes + 1


async def test_a_caller_that_asks_as_a_lookup_ends_gets_an_answer(memory: Memory) -> None:
    """The task that answers ends in the very turn in which another asks again."""

    async def ask(start: int) -> None:
        for n in range(start, start + 50):
            await memory.find_or_create_entity(f"name {n % 7}")

    await asyncio.gather(*(ask(n) for n in range(20)))
    assert (await memory.counts()).entities == 7


# -- types -------------------------------------------------------------------------------------------------------------


async def test_an_untyped_name_later_typed_stays_one_entity(memory: Memory) -> None:
    plain = await memory.find_or_create_entity("Apple")
    typed = await memory.find_or_create_entity("apple", "Company")
    assert (typed.id, typed.type) == (plain.id, "Company")
    assert await memory.find_or_create_entity("APPLE", "company") == typed
    assert await memory.find_or_create_entity("APPLE") == typed


async def test_another_type_is_a_homonym(memory: Memory) -> None:
    company = await memory.find_or_create_entity("Apple", "company")
    fruit = await memory.find_or_create_entity("Apple", "fruit")
    assert company.id != fruit.id
    assert (await memory.find_or_create_entity("Apple")).id == company.id  # the oldest


async def test_strict_refuses_to_choose_between_homonyms(memory: Memory) -> None:
    await memory.find_or_create_entity("Apple", "company")
    assert (await memory.find_or_create_entity("Apple", strict=True)).type == "company"
    await memory.find_or_create_entity("Apple", "fruit")
    with pytest.raises(AmbiguousEntity, match="2 entities are called 'Apple'"):
        await memory.find_or_create_entity("Apple", strict=True)


async def test_typed_and_untyped_at_once_are_one(memory: Memory) -> None:
    found = await asyncio.gather(
        memory.find_or_create_entity("Apple"),
        memory.find_or_create_entity("Apple", "company"),
        memory.find_or_create_entity("apple", "COMPANY"),
    )
    assert len({entity.id for entity in found}) == 1
    assert (await memory.find_or_create_entity("Apple")).type == "company"


async def test_an_alias_of_the_adopting_entity_that_is_taken_stays_the_others(memory: Memory) -> None:
    adopts = await memory.find_or_create_entity("Big Apple")
    await memory.add_alias(adopts, "Apple")
    other = await memory.find_or_create_entity("Apfel", "city")
    await memory.add_alias(other, "Apple")
    assert (await memory.find_or_create_entity("Big Apple", "city")).id == adopts.id
    assert (await memory.find_or_create_entity("Apple", "city")).id == other.id


# -- near names --------------------------------------------------------------------------------------------------------


async def test_near_names_are_noted_and_not_merged(db_path: Path) -> None:
    embedder = AngleEmbedder(john_smith=0, john_smyth=20, jane_roe=90)
    async with Memory.open(db_path, embedder=embedder) as memory:
        for name in ("John Smith", "John Smyth", "Jane Roe"):
            await memory.find_or_create_entity(name)
        counts = await memory.counts()
    assert (counts.entities, counts.similar, counts.vectors) == (3, 1, 3)
    assert_sound(db_path)


async def test_similarity_merges_with_the_nearest_and_keeps_the_alias(db_path: Path) -> None:
    embedder = AngleEmbedder(john_smith=0, john_smyth=20, johan_smythe=17)
    async with Memory.open(db_path, embedder=embedder) as memory:
        await memory.find_or_create_entity("John Smith")
        smyth = await memory.find_or_create_entity("John Smyth")
        assert await memory.find_or_create_entity("Johan Smythe", similarity=0.9) == smyth
        assert await memory.find_or_create_entity("johan smythe") == smyth  # by its alias
        assert await memory.find_or_create_entity("Johan  Smythe", similarity=0.9999) == smyth
    assert_sound(db_path)


async def test_below_the_threshold_nothing_is_merged(target: Target) -> None:
    async with Memory.open(target, embedder=AngleEmbedder(john_smith=0, john_smyth=20)) as memory:
        smith = await memory.find_or_create_entity("John Smith")
        assert await memory.find_or_create_entity("John Smyth", similarity=0.95) != smith


@pytest.mark.parametrize(("one", "other"), [("Queue", "Queues"), ("Apollo 11", "Apollo 13"), ("Anna", "Anne Marie")])
async def test_short_words_and_other_numbers_are_never_merged(target: Target, one: str, other: str) -> None:
    embedder = AngleEmbedder(**{name.lower().replace(" ", "_"): 0 for name in (one, other)})
    async with Memory.open(target, embedder=embedder) as memory:
        first = await memory.find_or_create_entity(one)
        assert (await memory.find_or_create_entity(other, similarity=0.5)).id != first.id


async def test_types_keep_near_names_apart(db_path: Path) -> None:
    embedder = AngleEmbedder(mercury_one=0, mercury_oni=0)
    async with Memory.open(db_path, embedder=embedder) as memory:
        planet = await memory.find_or_create_entity("Mercury One", "planet")
        assert (await memory.find_or_create_entity("Mercury Oni", "ship", similarity=0.5)).id != planet.id
        assert (await memory.find_or_create_entity("Mercury Oni", "planet", similarity=0.5)).id == planet.id
    assert_sound(db_path)


async def test_near_names_of_one_batch_are_merged(db_path: Path) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        found = await asyncio.gather(
            *(memory.find_or_create_entity(n, similarity=0.9) for n in ("Jonathan Miller", "Jonathon Miller"))
        )
        assert found[0].id == found[1].id
        assert (await memory.counts()).aliases == 2
    assert_sound(db_path)


async def test_near_names_that_two_memories_embed_at_once_are_merged(db_path: Path) -> None:
    """Each finds the other missing in its snapshot; the job compares with what is newer than that."""
    first, second = GatedEmbedder(), GatedEmbedder()
    async with Memory.open(db_path, embedder=first) as one, Memory.open(db_path, embedder=second) as other:
        original = other._core.vectors.nearest  # type: ignore[union-attr]
        looked, go_on = asyncio.Event(), asyncio.Event()

        async def look_and_wait(*args: object, **options: object) -> object:
            found = await original(*args, **options)  # type: ignore[arg-type]
            looked.set()
            await go_on.wait()
            return found

        other._core.vectors.nearest = look_and_wait  # type: ignore
        first.let_go.set()
        second.let_go.set()
        late = asyncio.create_task(other.find_or_create_entity("Jonathon Miller", similarity=0.9))
        await looked.wait()
        early = await one.find_or_create_entity("Jonathan Miller", similarity=0.9)
        go_on.set()
        assert (await late).id == early.id
    assert_sound(db_path)


async def test_similarity_without_an_embedder_is_an_error(memory: Memory) -> None:
    with pytest.raises(ValueError, match="embedder"):
        await memory.find_or_create_entity("Acme", similarity=0.9)


# -- embedding ---------------------------------------------------------------------------------------------------------


async def test_a_name_is_embedded_once_however_many_ask(target: Target) -> None:
    embedder = SpellingEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        names = ["Acme Corp", "ACME corp", "Beta", "beta", "BETA "]
        await asyncio.gather(*(memory.find_or_create_entity(name) for name in names * 10))
        await memory.find_or_create_entity("acme corp")
    assert dict(embedder.texts) == {"acme corp": 1, "beta": 1}


async def test_names_that_wait_together_are_embedded_as_one_batch(target: Target) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        first = asyncio.create_task(memory.find_or_create_entity("first"))
        await embedder.entered.wait()
        others = [asyncio.create_task(memory.find_or_create_entity(f"name {n}")) for n in range(20)]
        while len(memory._core.identity._creations._waiting) < 20:  # noqa: ASYNC110
            await asyncio.sleep(0)
        embedder.let_go.set()
        await asyncio.gather(first, *others)
    assert embedder.calls == [1, 20]


async def test_no_call_waits_for_the_embedding_of_another(db_path: Path) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(db_path) as plain:
        await plain.find_or_create_entity("known")
    async with Memory.open(db_path, embedder=embedder) as memory:
        slow = asyncio.create_task(memory.find_or_create_entity("new"))
        await embedder.entered.wait()
        async with asyncio.timeout(60):
            assert (await memory.find_or_create_entity("known")).name == "known"
            await memory._core.db.write_fn(lambda conn: None)
        embedder.let_go.set()
        await slow


async def test_the_first_caller_cancelled_in_flight_harms_no_other(db_path: Path) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(db_path, embedder=embedder) as memory:
        first = asyncio.create_task(memory.find_or_create_entity("Acme"))
        await embedder.entered.wait()
        second = asyncio.create_task(memory.find_or_create_entity("acme"))
        third = asyncio.create_task(memory.find_or_create_entity("ACME"))
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        embedder.let_go.set()
        assert (await second) == (await third)
    assert embedder.texts["acme"] == 1
    assert_sound(db_path)


async def test_an_embedder_that_fails_once_fails_those_who_waited_and_is_forgotten(db_path: Path) -> None:
    failures = [RuntimeError("no model today")]

    def answer(right: list[list[float]]) -> list[list[float]]:
        if failures:
            raise failures.pop()
        return right

    async with Memory.open(db_path, embedder=AnsweringEmbedder(answer)) as memory:
        outcomes = await asyncio.gather(
            *(memory.find_or_create_entity("Acme") for _ in range(5)), return_exceptions=True
        )
        assert [str(outcome) for outcome in outcomes] == ["no model today"] * 5
        assert (await memory.counts()).entities == 0
        assert (await memory.find_or_create_entity("Acme")).name == "Acme"
    assert_sound(db_path)


async def test_closing_answers_those_who_wait_for_the_embedder(target: Target) -> None:
    embedder = GatedEmbedder()
    memory = await Memory.open(target, embedder=embedder)
    waiting = asyncio.create_task(memory.find_or_create_entity("Acme"))
    await embedder.entered.wait()
    await memory.close()
    with pytest.raises(DatabaseClosed):
        await waiting


# -- beside others -----------------------------------------------------------------------------------------------------


async def test_a_merge_during_find_or_create_leads_to_the_one_that_stays(db_path: Path) -> None:
    """The near one that the snapshot showed has been merged away before the job runs."""
    embedder = GatedEmbedder()
    async with Memory.open(db_path, embedder=embedder) as memory:
        embedder.let_go.set()
        stays = await memory.find_or_create_entity("Beta Industries")
        near = await memory.find_or_create_entity("Jonathan Miller")
        original = memory._core.vectors.nearest  # type: ignore[union-attr]

        async def nearest_then_merge(*args: object, **options: object) -> object:
            found = await original(*args, **options)  # type: ignore[arg-type]
            await memory.merge(stays, near)
            return found

        memory._core.vectors.nearest = nearest_then_merge  # type: ignore
        assert (await memory.find_or_create_entity("Jonathon Miller", similarity=0.9)).id == stays.id
    assert_sound(db_path)


async def test_a_forget_during_find_or_create_creates_it_anew(db_path: Path) -> None:
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
        near = await memory.find_or_create_entity("Jonathan Miller")
        original = memory._core.vectors.nearest  # type: ignore[union-attr]

        async def nearest_then_forget(*args: object, **options: object) -> object:
            found = await original(*args, **options)  # type: ignore[arg-type]
            await memory.forget(near)
            return found

        memory._core.vectors.nearest = nearest_then_forget  # type: ignore
        made = await memory.find_or_create_entity("Jonathon Miller", similarity=0.9)
        assert made.id != near.id
    assert_sound(db_path)


async def test_forgotten_then_asked_for_again_is_another_entity(memory: Memory) -> None:
    old = await memory.find_or_create_entity("Acme")
    asked = [asyncio.create_task(memory.find_or_create_entity("Acme")) for _ in range(5)]
    await asyncio.sleep(0)
    await memory.forget(old)
    new = await memory.find_or_create_entity("Acme")
    assert new.id > old.id
    await asyncio.gather(*asked)
    with pytest.raises(NotFound):
        await memory.add_fact(old, "is", value=True)


async def test_namespaces_have_entities_of_their_own(memory: Memory) -> None:
    mail = memory.scoped(namespace="mail")
    assert (await mail.find_or_create_entity("Acme")).id != (await memory.find_or_create_entity("Acme")).id
    assert (await mail.counts()).entities == 1
