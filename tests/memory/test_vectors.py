"""Vectors in memory: whatever happened to the rows since, a search finds what the file holds."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import Memory
from aiomemdb.memory import coarse, matrices
from aiomemdb.memory.coarse import CoarseRows, bytes_of_coarse
from aiomemdb.memory.vectors import Matrix, nearest, pack, unpack
from tests.memory.conftest import Target, assert_sound
from tests.memory.support import SpellingEmbedder

NAMES = [f"Somebody {letter}{other}" for letter in "bcdfg" for other in "hjklm"]


async def nearest_to(memory: Memory, name: str) -> list[int]:
    own = memory._core.vectors
    assert own is not None
    [near], _ = await own.nearest("default", "entity", await own.embed([name]), top=3, at_least=0.99)
    return [ref for ref, _ in near]


async def everything_agrees(memory: Memory, ids: dict[str, int]) -> None:
    for name in NAMES:
        assert await nearest_to(memory, name) == ([ids[name]] if name in ids else []), name


# What a vector of 32 numbers takes as it is, and coarse.
WHOLE, COARSE = 4 * 32, 32 + 4 + 8


@pytest.mark.parametrize(
    "cache_bytes",
    [2**20, 0, WHOLE * 4 * 10, COARSE * len(NAMES), COARSE * 10],
    ids=["cached", "sliced", "outgrown and coarse", "coarse", "coarse and outgrown"],
)
async def test_a_search_sees_what_was_added_changed_merged_and_forgotten(
    db_path: Path, cache_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrices, "_SLICE", 4)
    monkeypatch.setattr(coarse, "_LEFT", 4)
    async with (
        Memory.open(db_path, embedder=SpellingEmbedder(), vector_cache_bytes=cache_bytes) as memory,
        Memory.open(db_path, embedder=SpellingEmbedder()) as elsewhere,
    ):
        ids: dict[str, int] = {}
        await everything_agrees(memory, ids)
        for place, name in enumerate(NAMES):
            who = (memory, elsewhere)[place % 2]
            ids[name] = (await who.find_or_create_entity(name)).id
        await everything_agrees(memory, ids)
        for name in (NAMES[0], NAMES[-1], NAMES[7]):
            entity = await elsewhere.entity(name)
            assert entity is not None
            await elsewhere.forget(entity)
            del ids[name]
        keep, gone = await elsewhere.entity(NAMES[1]), await elsewhere.entity(NAMES[2])
        assert keep is not None and gone is not None
        await elsewhere.merge(keep, gone)
        del ids[NAMES[2]]
        renamed = await elsewhere.entity(NAMES[3])
        assert renamed is not None
        ids[NAMES[0]] = (await elsewhere.update_entity(renamed, name=NAMES[0])).id
        del ids[NAMES[3]]
        await everything_agrees(memory, ids)
        await elsewhere.forget_namespace()
        await everything_agrees(memory, {})
    assert_sound(db_path)


async def test_what_changes_while_a_matrix_is_read_in_slices_is_in_it_at_once(
    db_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrices, "_SLICE", 4)
    async with Memory.open(db_path, embedder=SpellingEmbedder()) as elsewhere:
        ids = {name: (await elsewhere.find_or_create_entity(name)).id for name in NAMES}
        first, last = await elsewhere.entity(NAMES[0]), await elsewhere.entity(NAMES[-1])
        assert first is not None and last is not None
        async with Memory.open(db_path, embedder=SpellingEmbedder()) as memory:
            store = memory._core.store
            read, slices = store.vectors, 0

            async def change_on_the_way(*args: Any, **options: Any) -> Any:
                nonlocal slices
                slices += 1
                if slices == 3:
                    await elsewhere.forget(first)
                    await elsewhere.update_entity(last, name=NAMES[0])
                    await elsewhere.forget(last)
                    ids[NAMES[0]] = (await elsewhere.find_or_create_entity(NAMES[0])).id
                return await read(*args, **options)

            monkeypatch.setattr(store, "vectors", change_on_the_way)
            del ids[NAMES[-1]]
            assert await nearest_to(memory, NAMES[0]) == [ids[NAMES[0]]]
            read_once = slices
            await everything_agrees(memory, ids)
            assert slices == read_once > 3


async def test_matrices_together_stay_within_their_bound(target: Target) -> None:
    room = COARSE * len(NAMES)
    async with Memory.open(target, embedder=SpellingEmbedder(), vector_cache_bytes=2 * room) as memory:
        for namespace in "abcd":
            view = memory.scoped(namespace=namespace)
            await asyncio.gather(*(view.find_or_create_entity(name) for name in NAMES))
            vectors = memory._core.vectors
            assert vectors is not None
            await vectors.nearest(namespace, "entity", await vectors.embed(["x"]), top=1, at_least=0.5)
            assert sum(cached.nbytes for cached in vectors._matrices.values()) <= 2 * room
        assert ("d", "entity") in vectors._matrices and ("a", "entity") not in vectors._matrices


async def test_reembed_goes_on_where_it_was_cut_short(db_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("aiomemdb.memory.reembedding._EMBEDDED_AT_ONCE", 4)
    async with Memory.open(db_path) as memory:
        await memory.remember("text", [(name, "is near", name[::-1]) for name in NAMES])
    failing = SpellingEmbedder()
    original = failing.embed

    async def fail_at_last(texts: list[str]) -> object:
        if len(failing.calls) == 3:
            raise RuntimeError("no model")
        return await original(texts)

    failing.embed = fail_at_last  # type: ignore
    async with Memory.open(db_path, embedder=failing) as memory:
        with pytest.raises(RuntimeError, match="no model"):
            await memory.reembed()
        assert (await memory.counts()).vectors == 12
        failing.embed = original  # type: ignore[method-assign]
        assert await memory.reembed() == 50 + 25 + 1 - 12
        assert await memory.reembed() == 0
        assert sum(failing.texts.values()) == 76
    assert_sound(db_path)


def test_the_nearest_come_best_first_and_none_below_the_bound() -> None:
    vectors = unpack(pack([[1, 0], [1, 1], [0, 1], [-1, 0]], count=4, dim=2), 2)
    found = nearest(vectors, [10, 20, 30, 40], unpack(pack([[2, 0.1]], count=1, dim=2), 2), top=9, at_least=0.0)
    assert [ref for ref, _ in found[0]] == [10, 20, 30]
    found = nearest(vectors, [10, 20, 30, 40], vectors[:1], top=1, at_least=0.0)
    assert found == [[(10, 1.0)]]


async def test_vectors_that_have_no_room_are_not_read_into_memory(target: Target) -> None:
    async with Memory.open(target, embedder=SpellingEmbedder()) as memory:
        ids = {name: (await memory.find_or_create_entity(name)).id for name in NAMES}
    count = len(NAMES)
    for room, taken in (
        (COARSE * (count - 1), 0),
        (COARSE * count, COARSE * count),
        (4 * WHOLE * count - 1, COARSE * count),
        (4 * WHOLE * count, WHOLE * count),
    ):
        async with Memory.open(target, embedder=SpellingEmbedder(), vector_cache_bytes=room) as memory:
            await everything_agrees(memory, ids)
            own = memory._core.vectors
            assert own is not None and sum(cached.nbytes for cached in own._matrices.values()) == taken, room


async def test_a_matrix_that_grows_makes_no_more_room_than_it_may_have(target: Target) -> None:
    most = 100
    embedder = SpellingEmbedder()
    async with Memory.open(target, embedder=embedder, vector_cache_bytes=most * 4 * embedder.dim) as memory:
        vectors = memory._core.vectors
        assert vectors is not None
        for start in range(0, most, 10):
            await asyncio.gather(*(memory.find_or_create_entity(f"name {n}") for n in range(start, start + 10)))
            [[_, cached]] = vectors._matrices.items()
            assert cached.nbytes <= most * 4 * embedder.dim
        assert len(await nearest_to(memory, "name 3")) > 0


@pytest.mark.parametrize("count", [1, 8, 9, 40])
def test_few_queries_and_many_find_the_same(count: int) -> None:
    """Few are multiplied row by row, many by BLAS."""
    chance = random.Random(count)
    rows = [[chance.gauss(0, 1) for _ in range(16)] for _ in range(300)]
    matrix = unpack(pack(rows, count=300, dim=16), 16)
    found = nearest(matrix, range(300), matrix[:count], top=5, at_least=-1.0)
    one_by_one = [
        nearest(matrix, range(300), matrix[place : place + 1], top=5, at_least=-1.0)[0] for place in range(count)
    ]
    assert [[ref for ref, _ in near] for near in found] == [[ref for ref, _ in near] for near in one_by_one]
    for place, near in enumerate(found):
        assert near[0] == (place, pytest.approx(1, abs=1e-5))
        assert [cosine for _, cosine in near] == pytest.approx([cosine for _, cosine in one_by_one[place]], abs=1e-5)


def in_clusters(count: int, dim: int, seed: int) -> Matrix:
    """Vectors as texts have them: some near each other, all with a direction in common."""
    chance = random.Random(seed)
    middles = [[chance.gauss(0.5, 1) for _ in range(dim)] for _ in range(40)]
    rows = [[number + chance.gauss(0, 0.7) for number in chance.choice(middles)] for _ in range(count)]
    return unpack(pack(rows, count=count, dim=dim), dim)


@pytest.mark.parametrize("dim", [32, 100, 256])
def test_coarse_rows_find_what_whole_ones_find(dim: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the ten nearest those that the bits leave, by whichever way they came into their places."""
    monkeypatch.setattr(coarse, "_LEFT", 200)
    matrix = in_clusters(2_000, dim, seed=dim)
    made = CoarseRows(100, dim)
    made.put(range(100), matrix[:100])
    made.grow(2_100, 100)
    made.put(range(100, 2_000), matrix[100:])
    made.put([5, 6], matrix[[6, 5]])
    made.put([2_000], matrix[5:6])
    made.move(2_000, to=5)
    made.put([6], matrix[6:7])
    assert made.nbytes == 2_100 * bytes_of_coarse(dim)
    refs = range(1_000, 3_000)
    how = {"top": 10, "at_least": -1.0}
    exact = nearest(matrix, refs, matrix[:50], **how)  # type: ignore[arg-type]
    found = made.nearest(refs, matrix[:50], below=None, **how)  # type: ignore[arg-type]
    shared = [len({ref for ref, _ in one} & {ref for ref, _ in other}) for one, other in zip(exact, found, strict=True)]
    assert sum(shared) >= 0.95 * 500, shared
    for one, other in zip(exact, found, strict=True):
        assert one[0][0] == other[0][0]
        assert [cosine for _, cosine in other] == pytest.approx([cosine for _, cosine in one], abs=coarse._OFF)
    earlier = made.nearest(refs, matrix[:50], below=range(1_000, 1_050), **how)  # type: ignore[arg-type]
    assert all(ref < 1_000 + place for place, near in enumerate(earlier) for ref, _ in near)
    assert [len(near) for near in earlier] == [min(10, place) for place in range(50)]


def test_what_is_just_near_enough_is_a_candidate() -> None:
    """Bytes say a little more or less than the whole vector does."""
    matrix = in_clusters(300, 32, seed=1)
    made = CoarseRows(300, 32)
    made.put(range(300), matrix)
    for place in range(299):
        cosine = float(matrix[place] @ matrix[place + 1])
        [found] = made.nearest(range(300), matrix[place : place + 1], top=300, at_least=cosine - 1e-6, below=None)
        assert place + 1 in [ref for ref, _ in found]


def test_a_question_wakes_no_threads_of_the_matrix_product(tmp_path: Path) -> None:
    """BLAS's threads burn CPU beside the one that asks: a second of questions takes a second of one core."""
    program = """
import time
import numpy as np
from aiomemdb.memory.vectors import nearest
matrix = np.random.default_rng(1).standard_normal((20_000, 256)).astype("f4")
def cpu_of_others():
    return time.process_time() - time.thread_time()
before = cpu_of_others()
for _ in range(50):
    nearest(matrix, range(20_000), matrix[:1], top=5, at_least=-1.0)
mine, others = time.thread_time(), cpu_of_others() - before
assert others < 0.05 * mine, (mine, others)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
