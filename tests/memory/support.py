"""Embedders for tests: their vectors are known, and a test sees and decides when they answer."""

from __future__ import annotations

import asyncio
import hashlib
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta

from aiomemdb import Memory, Remembered
from aiomemdb.memory.names import fold

_VOWELS = str.maketrans("", "", "aeiou ")


def day(number: int) -> datetime:
    """The first days of 2020, counted from 0."""
    return datetime(2020, 1, 1, tzinfo=UTC) + timedelta(days=number)


class SpellingEmbedder:
    """Names that differ in case, width, spaces or vowels have one direction; all others are far apart.

    Attributes:
        texts: how often each text, folded, was embedded.
        calls: how many texts each call had.
    """

    def __init__(self, *, model: str = "spelling", dim: int = 32, delay: float = 0.0) -> None:
        self.model = model
        self.dim = dim
        self.texts: Counter[str] = Counter()
        self.calls: list[int] = []
        self._delay = delay

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.calls.append(len(texts))
        self.texts.update(map(fold, texts))
        if self._delay:
            await asyncio.sleep(self._delay)  # a model at work; nothing waits for it by the clock
        return [self.vector(text) for text in texts]

    def vector(self, text: str) -> list[float]:
        seed = hashlib.sha256(f"{self.model} {fold(text).translate(_VOWELS)}".encode()).digest()
        chance = random.Random(seed)
        return [chance.gauss(0, 1) for _ in range(self.dim)]


class AngleEmbedder:
    """Maps each text to the direction of an angle, in degrees, that the test names."""

    model = "angles"
    dim = 2

    def __init__(self, **angles: float) -> None:
        self.angles = angles

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        angle = math.radians(self.angles.get(fold(text).replace(" ", "_"), 180))
        return [math.cos(angle), math.sin(angle)]


class GatedEmbedder(SpellingEmbedder):
    """Answers when the test lets it: ``entered`` is set while a call waits for ``let_go``."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = asyncio.Event()
        self.let_go = asyncio.Event()

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        self.entered.set()
        await self.let_go.wait()
        return await super().embed(texts)


class AnsweringEmbedder(SpellingEmbedder):
    """Returns what the test's function makes of the right answer, or raises what it raises."""

    def __init__(self, answer: Callable[[list[list[float]]], Sequence[Sequence[float]]]) -> None:
        super().__init__()
        self.answer = answer

    async def embed(self, texts: Sequence[str]) -> Sequence[Sequence[float]]:
        return self.answer([self.vector(text) for text in texts])


async def remembered(memory: Memory) -> Remembered:
    """Two entities, an alias of the first, and a fact."""
    made = await memory.remember("first", [("Ann", "knows", "Bob")], occurred_at=day(0))
    await memory.add_alias(made.entities[0], "Annie")
    return made


#: Each verb that writes, over a memory and what is ``remembered`` there.
WRITING_VERBS: dict[str, Callable[[Memory, Remembered], Awaitable[object]]] = {
    "find_or_create_entity": lambda memory, made: memory.find_or_create_entity("new"),
    "remember": lambda memory, made: memory.remember("text"),
    "add_episode": lambda memory, made: memory.add_episode("text"),
    "add_fact": lambda memory, made: memory.add_fact("a", "b", "c"),
    "add_facts": lambda memory, made: memory.add_facts([("a", "b", "c")]),
    "add_entities": lambda memory, made: memory.add_entities(["new"]),
    "update_entity": lambda memory, made: memory.update_entity(made.entities[0], name="x"),
    "add_alias": lambda memory, made: memory.add_alias(made.entities[0], "x"),
    "remove_alias": lambda memory, made: memory.remove_alias(made.entities[0], "Annie"),
    "merge": lambda memory, made: memory.merge(*made.entities),
    "retract_facts": lambda memory, made: memory.retract_facts([("Ann", "knows", "Bob")]),
    "retract_entities": lambda memory, made: memory.retract_entities(["Ann"]),
    "forget_entities": lambda memory, made: memory.forget_entities(["Ann"]),
    "retract": lambda memory, made: memory.retract(made.facts[0]),
    "forget": lambda memory, made: memory.forget(made.facts[0]),
    "forget_namespace": lambda memory, made: memory.forget_namespace(),
    "reembed": lambda memory, made: memory.reembed(),
}
