"""reembed(): vectors and near names by another model; resumable, and it reports how far it is."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import math
import random
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import aiomemdb
from aiomemdb import Database, Memory, ModelChanged
from aiomemdb.memory import reembedding
from aiomemdb.memory.deciding import embedding
from aiomemdb.memory.drafts import NameRequest, Scope
from aiomemdb.memory.questions import Model, NearNamesLeft
from aiomemdb.memory.stores.sqlite.running_rules import run
from aiomemdb.memory.stores.sqlite.store import SQLiteStore
from aiomemdb.memory.vectors import pack
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import SpellingEmbedder
from tests.support.plain import plain

NAMES = [f"S{vowel}mb{other}dy {letter}" for vowel in "aeiou" for other in "aeo" for letter in "bcdf"]
Told = list[tuple[int, int]]


class CloseEmbedder(SpellingEmbedder):
    """Many texts are near many others."""

    def __init__(self, model: str = "close") -> None:
        super().__init__(model=model, dim=2)

    def vector(self, text: str) -> list[float]:
        seed = hashlib.sha256(f"{self.model} {text.casefold()}".encode()).digest()
        angle = random.Random(seed).uniform(0, 2 * math.pi)
        return [math.cos(angle), math.sin(angle)]


@pytest.fixture(autouse=True)
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reembedding, "_EMBEDDED_AT_ONCE", 4)


async def create(memory: Memory, names: Sequence[str] = NAMES) -> None:
    for name in names:  # one after another: their ids are the same in all files
        await memory.find_or_create_entity(name)


def near_names(path: Path) -> list[tuple[int, int, float]]:
    return [(a, b, round(cosine, 5)) for a, b, cosine in plain(path, "SELECT * FROM entity_similar ORDER BY a, b")]


def grows_to_its_total(told: Told) -> bool:
    """Both numbers only grow, one is never beyond the other, and at the end they are equal."""
    pairs = list(itertools.pairwise(told))
    return (
        all(a <= c and b <= d and (a, b) != (c, d) for (a, b), (c, d) in pairs)
        and all(done <= total for done, total in told)
        and told[-1][0] == told[-1][1]
    )


@pytest.mark.parametrize("cache_bytes", [2**20, 0], ids=["cached", "sliced"])
@pytest.mark.parametrize("before", [SpellingEmbedder(), None], ids=["another model", "no embedder"])
async def test_near_names_are_those_of_a_memory_that_had_the_model_from_the_first(
    tmp_path: Path, before: SpellingEmbedder | None, cache_bytes: int
) -> None:
    anew, first = tmp_path / "anew.db", tmp_path / "first.db"
    async with Memory.open(anew, embedder=before) as memory:
        await create(memory)
        await create(memory.scoped(namespace="other"), NAMES[::2])
    noted = near_names(anew)
    async with Memory.open(anew, embedder=CloseEmbedder(), vector_cache_bytes=cache_bytes) as memory:
        await memory.reembed()
    async with Memory.open(first, embedder=CloseEmbedder()) as memory:
        await create(memory)
        await create(memory.scoped(namespace="other"), NAMES[::2])
    assert near_names(anew) == near_names(first) != noted
    assert len(near_names(anew)) > 5 * len(NAMES)
    assert_sound(anew)


async def test_what_was_written_without_the_embedder_gets_its_near_names_and_is_near_to_what_came_later(
    tmp_path: Path,
) -> None:
    path, first = tmp_path / "memory.db", tmp_path / "first.db"
    for names, embedder in ((NAMES[:20], CloseEmbedder()), (NAMES[20:30], None), (NAMES[30:], CloseEmbedder())):
        async with Memory.open(path, embedder=embedder) as memory:
            await create(memory, names)
    told: Told = []
    async with Memory.open(path, embedder=CloseEmbedder()) as memory:
        assert await memory.reembed(progress=lambda *now: told.append(now)) == 10
    async with Memory.open(first, embedder=CloseEmbedder()) as memory:
        await create(memory)
    assert near_names(path) == near_names(first)
    assert told[0] == (0, 10 + 40) and grows_to_its_total(told)  # those before 20 are left alone


@pytest.mark.parametrize("done", [4, 58, 60, 68, 116], ids="after {} of 120".format)
async def test_cancelled_anywhere_it_goes_on_where_it_was(tmp_path: Path, done: int) -> None:
    path, whole = tmp_path / "memory.db", tmp_path / "whole.db"
    for file in (path, whole):
        async with Memory.open(file, embedder=SpellingEmbedder()) as memory:
            await create(memory)
    async with Memory.open(whole, embedder=CloseEmbedder()) as memory:
        await memory.reembed()
    told: Told = []
    embedder = CloseEmbedder()

    def cancel(now: int, total: int) -> None:
        told.append((now, total))
        if now >= done:
            task.cancel()

    async with Memory.open(path, embedder=embedder) as memory:
        task = asyncio.create_task(memory.reembed(progress=cancel))
        with pytest.raises(asyncio.CancelledError):
            await task
    cut, _ = told[-1]
    assert told[0] == (0, 120) and done <= cut < done + 4
    again: Told = []
    async with Memory.open(path, embedder=embedder) as memory:
        await memory.reembed(progress=lambda *now: again.append(now))
        assert again[0] == (0, 120 - cut) and again[-1] == (120 - cut, 120 - cut) and grows_to_its_total(again)
        assert set(embedder.texts.values()) == {1}
        nothing: Told = []
        assert await memory.reembed(progress=lambda *now: nothing.append(now)) == 0
        assert nothing == [(0, 0)]
    assert near_names(path) == near_names(whole)
    assert_sound(path)


@pytest.mark.parametrize("count", [0, 3])
async def test_progress_ends_at_its_total_though_others_write_and_forget_meanwhile(db_path: Path, count: int) -> None:
    class Beside(SpellingEmbedder):
        """Five times when it is asked, another task has written some texts and forgotten a name by then."""

        async def embed(self, texts: Any) -> Any:
            if len(self.calls) < 5:
                for n in range(count):
                    await old.add_episode(f"text {len(self.calls)} {n}")
                doomed = await old.entity(NAMES[len(self.calls)])
                assert doomed is not None
                await old.forget(doomed)
            return await super().embed(texts)

    told: Told = []
    async with (
        Memory.open(db_path, embedder=SpellingEmbedder()) as old,
        Memory.open(db_path, embedder=Beside(model="new")) as new,
    ):
        await create(old)
        await new.reembed(progress=lambda *now: told.append(now))
        counts = await new.counts()
        assert (counts.entities, counts.episodes, counts.vectors) == (55, 5 * count, 55 + 5 * count)
    assert told[0] == (0, 120) and grows_to_its_total(told)
    if count:
        assert (70, 125) in told  # all is embedded, and 55 names are left: it knows of the texts that were not there
    else:
        assert told[-2:] == [(110, 120), (120, 120)]  # what was forgotten need not be done
    assert_sound(db_path)


async def test_what_is_done_is_never_beyond_the_total(target: Target) -> None:
    class Beside(SpellingEmbedder):
        """At first, another task has written eight texts by then."""

        async def embed(self, texts: Any) -> Any:
            if not self.calls:
                for n in range(8):
                    await old.add_episode(f"text {n}")
            return await super().embed(texts)

    told: Told = []
    async with (
        Memory.open(target, embedder=SpellingEmbedder()) as old,
        Memory.open(target, embedder=Beside(model="new")) as new,
    ):
        await old.remember("text", [("Ann", "met", "Bob")])  # names come first: so the texts are met in the same round
        assert await new.reembed(progress=lambda *now: told.append(now)) == 12
    assert told[0] == (0, 4 + 2) and told[-1] == (14, 14) and grows_to_its_total(told)


async def test_a_progress_that_raises_ends_it_and_harms_nothing(db_path: Path) -> None:
    async with Memory.open(db_path) as memory:
        await create(memory, NAMES[:9])
    async with Memory.open(db_path, embedder=CloseEmbedder()) as memory:

        def fail(done: int, total: int) -> None:
            if done:
                raise RuntimeError("no terminal")

        with pytest.raises(RuntimeError, match="no terminal"):
            await memory.reembed(progress=fail)
        assert await memory.reembed() == 5
    assert_sound(db_path)


# -- the store's part ------------------------------------------------------------------------------------------


OLD, NEW = Model("old", 2), Model("new", 2)
HERE = Scope("here")
SLICE = NearNamesLeft(0, 2, [(number, "here", b"") for number in (1, 2)])


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[Database]:
    async with aiomemdb.connect(db_path) as db:
        yield db


@pytest.fixture
async def store(db: Database) -> SQLiteStore:
    """Entities 1 to 5, of vectors by the old model and by the new one, which is the file's now."""
    store = SQLiteStore(db)
    await store.open({})
    [vector] = pack([[1.0, 0.0]], count=1, dim=2)
    await store.find_or_create(HERE, [NameRequest(n, n, vector=vector) for n in "abcde"], OLD, 0.8)
    await store.put_vectors(NEW, "entity", [(id, vector) for id in range(1, 6)])
    assert await store.switch_model(NEW)
    return store


async def pairs(db: Database) -> list[tuple[int, int]]:
    return [(row[0], row[1]) for row in await db.read("SELECT a, b FROM entity_similar ORDER BY a, b")]


async def test_near_names_of_what_was_merged_or_forgotten_since_are_the_others_or_none(
    db: Database, store: SQLiteStore
) -> None:
    left = await store.near_names_left(NEW, 9)
    assert left is not None and (left.after, left.upto, len(left.names)) == (0, 5, 5)
    await store.merge(HERE, 1, 2)
    await store.forget(HERE, "entity", 4)
    near = [(1, 2, 0.9), (1, 3, 0.9), (2, 3, 0.9), (3, 4, 0.9), (4, 5, 0.9), (2, 5, 0.9)]
    await store.put_near_names(NEW, left, near)
    assert await pairs(db) == [(1, 3), (1, 5)]
    assert await store.near_names_left(NEW, 9) is None


async def test_near_names_that_others_have_found_meanwhile_are_left_alone(db: Database, store: SQLiteStore) -> None:
    left = await store.near_names_left(NEW, 2)
    assert left is not None and left.upto == 2
    await store.put_near_names(NEW, SLICE, [(1, 2, 0.9)])
    before = await pairs(db)
    await store.put_near_names(NEW, SLICE, [])
    assert await pairs(db) == before and (1, 2) in before
    following = await store.near_names_left(NEW, 2)
    assert following is not None and [id for id, _, _ in following.names] == [3, 4]


@pytest.mark.parametrize(
    "call",
    [lambda store: store.near_names_left(NEW, 2), lambda store: store.put_near_names(NEW, SLICE, [(1, 2, 0.9)])],
    ids=["asked for", "written"],
)
async def test_near_names_by_a_model_that_is_not_the_files_any_more_are_refused(
    db: Database, store: SQLiteStore, call: Callable[[SQLiteStore], Any]
) -> None:
    await store.switch_model(Model("newest", 2), force=True)
    before = await pairs(db)
    with pytest.raises(ModelChanged, match="newest"):
        await call(store)
    assert await pairs(db) == before


@pytest.mark.sqlite_only
@pytest.mark.parametrize("written", ["entity", "renamed", "fact", "text", "nothing"])
async def test_what_is_written_after_all_was_looked_through_is_looked_at_before_the_switch(
    memory: Memory, written: str
) -> None:
    model, db = Model("spelling", 32), memory._core.db
    ada = await memory.find_or_create_entity("Ada")
    await memory.remember("roses", [("Ada", "likes", "roses")])
    for kind in ("entity", "fact", "episode"):
        lacking = await memory._core.store.without_vector(model, kind, 2**62, 99)
        packed = pack(await SpellingEmbedder().embed([text for _, text in lacking]), count=len(lacking), dim=32)
        assert await db.read_fn(run, embedding.complete_upto, model) is None
        await memory._core.store.put_vectors(
            model, kind, [(ref, data) for (ref, _), data in zip(lacking, packed, strict=True)]
        )
    upto = await db.read_fn(run, embedding.complete_upto, model)
    assert upto is not None
    if written == "entity":
        await memory.find_or_create_entity("Charles")
    elif written == "renamed":
        await memory.update_entity(ada, name="Countess Lovelace")
    elif written == "fact":
        await memory.add_fact("Ada", "grows", "roses")
    elif written == "text":
        await memory.remember("tulips")
    switched = await db.write_fn(run, embedding.switch_model, model, False, upto)
    assert switched is (written == "nothing")
    assert (await memory._core.store.model() == model) is switched
    assert await db.write_fn(run, embedding.switch_model, model, True, upto) is switched
    assert await memory._core.store.model() == model


async def test_a_name_that_was_changed_without_an_embedder_is_embedded_anew(target: Target) -> None:
    embedder = SpellingEmbedder()
    async with Memory.open(target, embedder=embedder) as memory:
        await memory.find_or_create_entity("Ada")
        async with Memory.open(target) as elsewhere:
            ada = await elsewhere.entity("Ada")
            assert ada is not None
            await elsewhere.update_entity(ada, name="Countess Lovelace")
        assert (await memory.counts()).vectors == 0
        assert await memory.reembed() == 1
        [hit] = await memory.recall("Countess Lovelace", kinds=["entity"], strategy="hybrid")
        assert hit.similarity == pytest.approx(1)
