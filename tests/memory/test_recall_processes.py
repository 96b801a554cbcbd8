"""What a writer in another process did is in the next recall that starts after it returned; vectors too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from aiomemdb import Entity, Episode, Memory
from tests.memory.conftest import assert_sound
from tests.memory.fleet import run_together
from tests.memory.support import AngleEmbedder

ANGLES = {"flowers": 0.0, "roses": 1.0, "tulips": 2.0, "anemones": 3.0, "plants": 4.0, "jon": 60.0, "john": 61.0}


def embedder(vectors: bool) -> AngleEmbedder | None:
    return AngleEmbedder(**ANGLES) if vectors else None


async def write(meet: Callable[[], None], path: str, vectors: bool) -> list[Any]:
    """Each step is done before the others go on, and the next is begun after they have looked."""

    async def acknowledged() -> None:
        meet()
        meet()

    async with Memory.open(path, embedder=embedder(vectors)) as memory:
        await acknowledged()
        roses = await memory.remember("roses", [("Jon", "plants", "roses")], key="a text")
        await acknowledged()
        await memory.remember("tulips", key="a text", replace=True)
        await acknowledged()
        await memory.remember("anemones", mentions=["John"])
        keep, duplicate = await memory.entity("Jon"), await memory.entity("John")
        assert keep is not None and duplicate is not None
        await memory.merge(keep, duplicate)
        await acknowledged()
        await memory.forget(roses.episode)
        await acknowledged()
        await memory.forget_namespace()
        await acknowledged()
    return []


async def ask(meet: Callable[[], None], path: str, vectors: bool) -> list[Any]:
    """After each step of the other: what a question finds by vectors (or words), and what is known of John."""
    seen = []
    async with Memory.open(path, embedder=embedder(vectors)) as memory:
        for _ in range(6):
            meet()
            question = "flowers" if vectors else "roses tulips anemones"
            found = await memory.recall(question, kinds=["episode", "entity"], strategy="hybrid")
            texts = [hit.item.content for hit in found if isinstance(hit.item, Episode)]
            linked = await memory.recall("John", kinds=["episode", "entity"])
            names = sorted(hit.item.name for hit in linked if isinstance(hit.item, Entity) and hit.score > 0.9)
            seen.append((sorted(texts), names))
            meet()
    return seen


@pytest.mark.parametrize("vectors", [False, True], ids=["words", "vectors"])
def test_what_another_process_added_changed_merged_or_forgot_is_in_the_next_recall(
    db_path: Path, vectors: bool
) -> None:
    arguments = (str(db_path), vectors)
    _, seen = run_together(_either, [(write, *arguments), (ask, *arguments)])
    texts = [step[0] for step in seen]
    assert texts == [[], ["roses"], ["tulips"], ["anemones", "tulips"], ["anemones"], []]
    names = [step[1] for step in seen]
    assert [("John" in each, "Jon" in each) for each in names][3:] == [(False, True), (False, True), (False, False)]
    assert_sound(db_path)


async def _either(meet: Callable[[], None], work: Callable[..., Any], *arguments: Any) -> Any:
    return await work(meet, *arguments)
