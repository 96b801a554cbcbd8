"""recall is one snapshot: whatever is written between two of its steps, its answer is that of before, whole."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import product
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from aiomemdb import Entity, Episode, Fact, Hit, Memory, Recall
from aiomemdb.memory import matrices
from aiomemdb.memory.store import Reads
from aiomemdb.memory.stores.sqlite.search import Searching
from aiomemdb.memory.stores.sqlite.store import SQLiteReads, SQLiteStore
from aiomemdb.memory.vectors import pack
from tests.memory.conftest import assert_sound
from tests.memory.support import AngleEmbedder, GatedEmbedder, SpellingEmbedder
from tests.support.whole import eventually

pytestmark = pytest.mark.sqlite_only

ANGLES = {"flowers": 0, "roses_of_ada": 10, "tulips": 20, "ada_plants_roses": 5, "ada": 30, "ada_l": 33, "peonies": 1}
QUESTION = "What flowers, what roses of Ada?"


def embedder() -> AngleEmbedder:
    return AngleEmbedder(**ANGLES, **{"what_flowers,_what_roses_of_ada?": 0})


@pytest.fixture
async def memory(db_path: Path) -> AsyncIterator[Memory]:
    async with Memory.open(db_path, embedder=embedder()) as memory:
        await memory.remember("Where were you?", session="talk")
        await memory.remember("roses of Ada", [("Ada", "plants", "roses")], key="garden", session="talk")
        await memory.remember("tulips", [("Charles", "admires", "roses")], session="talk")
        await memory.remember("nothing of the kind", mentions=["Ada L"])
        yield memory
    assert_sound(db_path)


@pytest.fixture
async def elsewhere(memory: Memory, db_path: Path) -> AsyncIterator[Memory]:
    """As another process would: with caches of its own."""
    async with Memory.open(db_path, embedder=embedder()) as elsewhere:
        yield elsewhere


async def entity(memory: Memory, name: str) -> Entity:
    found = await memory.entity(name)
    assert found is not None
    return found


async def garden(memory: Memory) -> Episode:
    found = await memory.episode(key="garden")
    assert found is not None
    return found


async def planting(memory: Memory) -> Fact:
    [fact] = await memory.facts("Ada", "plants")
    return fact


async def forget_text(memory: Memory) -> None:
    await memory.forget(await garden(memory))


async def forget_entity(memory: Memory) -> None:
    await memory.forget(await entity(memory, "Ada"))


async def merge(memory: Memory) -> None:
    await memory.merge(await entity(memory, "Ada L"), await entity(memory, "Ada"))


async def retract(memory: Memory) -> None:
    await memory.retract(await planting(memory))


async def supersede(memory: Memory) -> None:
    await memory.add_fact("Ada", "plants", "tulips", replace=True)


async def next_version(memory: Memory) -> None:
    await memory.remember("peonies", key="garden", session="talk", replace=True)


async def rename(memory: Memory) -> None:
    await memory.update_entity(await entity(memory, "Ada"), name="flowers")


async def add(memory: Memory) -> None:
    await memory.remember("flowers, flowers", [("Ada", "sells", "flowers")], session="talk", seq=2)


async def forget_all(memory: Memory) -> None:
    await memory.forget_namespace()


Change: TypeAlias = Callable[[Memory], Awaitable[None]]
CHANGES: list[Change] = [
    forget_text, forget_entity, merge, retract, supersede, next_version, rename, add, forget_all,
]  # fmt: skip


BEFORE_LINKS = ["named", "words", "vector_changes", "there"]  # the same steps, whatever the strategy


def before_first(monkeypatch: pytest.MonkeyPatch, step: str, change: Callable[[], Awaitable[object]]) -> None:
    """Has a change made, to its end, just before recall first takes that step: on the loop, or on a reader's thread."""
    if step == "vector_changes":
        original, changed = getattr(SQLiteReads, step), False

        async def changed_first(self: SQLiteReads, *args: Any, **kwargs: Any) -> Any:
            nonlocal changed
            monkeypatch.setattr(SQLiteReads, step, original)
            if not changed:  # several may be under way at once
                changed = True
                await change()
            return await original(self, *args, **kwargs)

        monkeypatch.setattr(SQLiteReads, step, changed_first)
        return
    loop, answer = asyncio.get_running_loop(), getattr(Searching, step)

    async def made() -> None:
        await change()

    def changed_before(self: Searching, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(Searching, step, answer)
        asyncio.run_coroutine_threadsafe(made(), loop).result(timeout=60)
        return answer(self, *args, **kwargs)

    monkeypatch.setattr(Searching, step, changed_before)


def explained(found: Recall) -> list[object]:
    """All that is said of each hit, scores as far as they do not depend on the shape of a matrix."""

    def rounded(score: float | None) -> float | None:
        return None if score is None else round(score, 5)

    def of(hit: Hit) -> object:
        scores = (rounded(hit.score), rounded(hit.bm25), rounded(hit.similarity))
        return hit.kind, hit.item, scores, hit.hops, hit.via, hit.evidence

    return [of(hit) for hit in found]


async def ask(memory: Memory, strategy: str = "expand") -> list[object]:
    kinds = ["fact", "episode", "entity"]
    return explained(await memory.recall(QUESTION, strategy=strategy, kinds=kinds, limit=50))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("strategy", "step"),
    [
        *product(["expand"], [*BEFORE_LINKS, "around", "read"]),
        *product(["ppr"], ["around", "read"]),
        *(pytest.param("ppr", step, marks=pytest.mark.soak) for step in BEFORE_LINKS),
    ],
)
@pytest.mark.parametrize("change", CHANGES)
async def test_what_changes_between_two_steps_changes_nothing_of_the_answer(
    memory: Memory, elsewhere: Memory, monkeypatch: pytest.MonkeyPatch, change: Change, step: str, strategy: str
) -> None:
    before = await ask(memory, strategy)
    before_first(monkeypatch, step, lambda: change(elsewhere))
    assert await ask(memory, strategy) == before
    after = await ask(memory, strategy)
    assert after != before and after == await ask(elsewhere, strategy)


async def test_a_name_given_meanwhile_is_not_in_the_question_yet(
    memory: Memory, elsewhere: Memory, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await ask(memory)
    charles = await entity(memory, "Charles")
    before_first(monkeypatch, "named", lambda: elsewhere.add_alias(charles, "flowers"))
    assert await ask(memory) == before
    assert await ask(memory) != before


def in_first_snapshot(monkeypatch: pytest.MonkeyPatch, change: Callable[[], Awaitable[object]]) -> None:
    """Has a change made, to its end, when recall's snapshot has begun and nothing was read there yet."""
    original = SQLiteStore.snapshot

    @asynccontextmanager
    async def changed_at_once(self: SQLiteStore) -> AsyncIterator[Reads]:
        monkeypatch.setattr(SQLiteStore, "snapshot", original)
        async with original(self) as reads:
            await change()
            yield reads

    monkeypatch.setattr(SQLiteStore, "snapshot", changed_at_once)


@pytest.mark.parametrize("remembered", [matrices._REMEMBERED, 0], ids=["changes remembered", "read in slices"])
@pytest.mark.parametrize("change", CHANGES)
async def test_vectors_are_those_of_the_snapshot_though_another_recall_has_caught_up_with_a_later_one(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, change: Change, remembered: int
) -> None:
    monkeypatch.setattr(matrices, "_REMEMBERED", remembered)
    before, after = await ask(memory), list[object]()

    async def be_overtaken() -> None:
        await change(memory)
        after.extend(await ask(memory))

    in_first_snapshot(monkeypatch, be_overtaken)
    assert await ask(memory) == before
    assert await ask(memory) == after != before


async def test_the_embedder_and_the_rerank_hook_hold_no_reader(db_path: Path) -> None:
    embedder = GatedEmbedder()
    async with Memory.open(db_path) as memory:
        await memory.remember("roses")
    async with Memory.open(db_path, embedder=embedder) as memory:
        database = memory._core.db

        async def all_are_free() -> None:
            await eventually(lambda: database.statistics().readers_busy == 0)

        async def rerank(query: str, hits: Any) -> list[float]:
            await all_are_free()
            return [float(len(await memory.recall("roses", strategy="hybrid"))) for _ in hits]  # it may ask, too

        asking = asyncio.create_task(memory.recall("roses", rerank=rerank))
        await embedder.entered.wait()
        await all_are_free()
        embedder.let_go.set()
        assert [hit.score for hit in await asking] == [1.0]


async def test_more_recalls_than_readers_are_all_answered(memory: Memory) -> None:
    expected = await ask(memory)
    answers = await asyncio.gather(*[ask(memory) for _ in range(50)])
    assert answers == [expected] * 50
    await eventually(lambda: memory._core.db.statistics().readers_busy == 0)


@pytest.mark.parametrize("step", ["words", "vector_changes", "around", "read"])
async def test_a_recall_cancelled_at_any_step_returns_its_reader(
    memory: Memory, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    expected = await ask(memory)
    there, may_go = asyncio.Event(), asyncio.Event()

    async def stay() -> None:
        there.set()
        await may_go.wait()

    for _ in range(8):
        there.clear()
        may_go.clear()
        before_first(monkeypatch, step, stay)
        asking = asyncio.create_task(ask(memory))
        await there.wait()
        asking.cancel()
        await asyncio.wait([asking], timeout=0)
        may_go.set()  # a function that runs already runs to its end
        with pytest.raises(asyncio.CancelledError):
            await asking
        # what still runs on the reader's thread must not be the next one's first step
        await eventually(lambda: memory._core.db.statistics().readers_busy == 0)
    assert await asyncio.gather(*[ask(memory) for _ in range(8)]) == [expected] * 8
    await eventually(lambda: memory._core.db.statistics().readers_busy == 0)


@pytest.mark.parametrize("whole", [matrices._WHOLE, 2**40], ids=["whole", "coarse"])
@pytest.mark.parametrize("remembered", [matrices._REMEMBERED, 5])
@pytest.mark.parametrize("seed", range(10))
async def test_a_matrix_that_is_asked_about_earlier_states_knows_what_each_of_them_held(
    db_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int, remembered: int, whole: int
) -> None:
    """Three snapshots of different states, asked in any order while others are written; beside them, one that reads
    its vectors from the file.
    """
    monkeypatch.setattr(matrices, "_REMEMBERED", remembered)
    monkeypatch.setattr(matrices, "_WHOLE", whole)
    chance, embedder = random.Random(seed), SpellingEmbedder()
    async with (
        Memory.open(db_path, embedder=embedder) as memory,
        Memory.open(db_path, embedder=embedder, vector_cache_bytes=0) as sliced,
        AsyncExitStack() as stack,
    ):
        wanted = await embedder.embed([f"b{n}c{n}" for n in range(6)])
        packed = pack(wanted, count=6, dim=embedder.dim)

        async def nearest(of: Memory, reads: Reads) -> list[list[tuple[int, float]]]:
            assert of._core.vectors is not None
            found, _ = await of._core.vectors.nearest("default", "episode", packed, top=4, at_least=-1.0, reads=reads)
            return [[(ref, round(cosine, 5)) for ref, cosine in near] for near in found]

        async def change() -> None:
            for _ in range(chance.randint(0, 6)):
                key = f"b{chance.randint(0, 7)}"
                if (known := await memory.episode(key=key)) is not None and chance.random() < 0.4:
                    await memory.forget(known)
                else:
                    await memory.remember(f"{key}c{chance.randint(0, 9)}", key=key, replace=True)
            if chance.random() < 0.1:
                await memory.forget_namespace()

        states: list[Reads] = []
        for _ in range(3):
            await change()
            states.append(await stack.enter_async_context(memory._core.store.snapshot()))
        for _ in range(12):
            reads = chance.choice([*states, memory._core.store])
            assert await nearest(memory, reads) == await nearest(sliced, reads)
            await change()
