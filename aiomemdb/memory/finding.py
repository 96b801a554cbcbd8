"""find_or_create: a name that is missing is embedded and created once, however many callers ask for it.

1. A lookup by a reader; those that wait together are one query. A hit ends here, the writer is not involved.
2. One flight a name: every caller waits for it shielded: a caller that leaves harms no other. A failure reaches
   all of them and is then forgotten.
3. The names of all waiting flights are embedded as one batch, outside the writer, and compared in one snapshot.
4. One write job looks again, and creates what is still missing.

A lookup is never shared with one that began before: its caller may just have forgotten the entity that it would find.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeAlias

from .drafts import NameRequest, Scope
from .matrices import Vectors
from .store import Store
from .together import Together
from .values import Entity

__all__ = ["Identity", "find_near"]

_Asked: TypeAlias = tuple[Scope, NameRequest]
_Flight: TypeAlias = tuple[str, str, str, float | None, bool]

# How many names one query looks up, and one job creates: some milliseconds of the writer's time.
_MOST = 128
# Names near another that are looked for in the snapshot: more than are kept, since some may be gone by then.
_TOP = 16


class Identity:
    """Finds and creates entities for all views of one memory.

    Args:
        check_caller: raises where the calling task must not wait for a write.
    """

    def __init__(self, store: Store, vectors: Vectors | None, near: float, check_caller: Callable[[], None]) -> None:
        self._store = store
        self._vectors = vectors
        self._near = near
        self._check_caller = check_caller
        self._lookups: Together[_Asked, Entity | Exception | None] = Together(
            self._look_up, most=_MOST, name="aiomemdb:memory:lookup"
        )
        self._creations: Together[_Asked, Entity | Exception] = Together(
            self._create, most=_MOST, name="aiomemdb:memory:create"
        )
        self._flights: dict[_Flight, asyncio.Future[Entity | BaseException]] = {}

    async def find(self, scope: Scope, wanted: NameRequest) -> Entity | None:
        """The entity of a name, or None where there is none that need not change."""
        return _raised(await self._lookups.add((scope, wanted)))

    async def find_or_create(self, scope: Scope, wanted: NameRequest) -> Entity:
        key = _flight(scope, wanted)
        flight = None
        while flight is None:
            before = self._flights.get(key)
            found = _raised(await self._lookups.add((scope, wanted)))
            if found is not None and not found.implied:
                return found
            self._check_caller()
            flight = self._flights.get(key)
            if flight is None and before is None:
                flight = self._flights[key] = self._creations.add((scope, wanted))
            # Otherwise it has landed while we looked, perhaps just too early to see that: once more.
        made = _raised(await asyncio.shield(flight))
        assert made is not None
        return made

    async def close(self, timeout: float) -> None:
        """Answers callers that wait for a name to be made at once, lookups within ``timeout`` seconds."""
        await self._creations.close()
        self._flights.clear()
        await self._lookups.close(timeout)

    async def _look_up(self, asked: Sequence[_Asked]) -> Sequence[Entity | Exception | None]:
        answers: dict[int, Entity | Exception | None] = {}
        for namespace in dict.fromkeys(scope.namespace for scope, _ in asked):
            places = [place for place, (scope, _) in enumerate(asked) if scope.namespace == namespace]
            found = await self._store.resolve(namespace, [asked[place][1] for place in places])
            answers.update(zip(places, found, strict=True))
        return [answers[place] for place in range(len(asked))]

    async def _create(self, asked: Sequence[_Asked]) -> Sequence[Entity | Exception]:
        try:
            if self._vectors is not None:
                await embed_names(self._vectors, asked, self._near)
            answers: dict[int, Entity | Exception] = {}
            for owner in dict.fromkeys(scope for scope, _ in asked):
                places = [place for place, (scope, _) in enumerate(asked) if scope == owner]
                names = [asked[place][1] for place in places]
                model = None if self._vectors is None else self._vectors.model
                try:
                    made = await self._store.find_or_create(owner, names, model, self._near)
                except Exception as error:  # the other owners' jobs are their own
                    made = [error] * len(names)
                answers.update(zip(places, made, strict=True))
            return [answers[place] for place in range(len(asked))]
        finally:
            # At once, without an await: a caller that asks from now on looks by itself.
            for scope, wanted in asked:
                self._flights.pop(_flight(scope, wanted), None)


async def embed_names(vectors: Vectors, asked: Sequence[_Asked], near: float) -> None:
    """Fills in the vector of each name, all in one call of the embedder, and what is near it."""
    texts: dict[str, str] = {}
    for _, wanted in asked:
        texts.setdefault(wanted.key, wanted.name)
    embedded = dict(zip(texts, await vectors.embed(list(texts.values())), strict=True))
    for _, wanted in asked:
        wanted.vector = embedded[wanted.key]
    await find_near(vectors, asked, near)


async def find_near(vectors: Vectors, asked: Sequence[_Asked], near: float) -> None:
    """Fills in what is near each name that has a vector."""
    for namespace in dict.fromkeys(scope.namespace for scope, _ in asked):
        names = [wanted for scope, wanted in asked if scope.namespace == namespace]
        at_least = min([near, *(wanted.similarity for wanted in names if wanted.similarity is not None)])
        found, state = await vectors.nearest(
            namespace, "entity", [wanted.vector for wanted in names if wanted.vector], top=_TOP, at_least=at_least
        )
        for wanted, ones in zip(names, found, strict=True):
            wanted.near, wanted.seen = ones, state


def _flight(scope: Scope, wanted: NameRequest) -> _Flight:
    return (scope.namespace, wanted.key, wanted.type_key, wanted.similarity, wanted.strict)


def _raised(answer: Entity | BaseException | None) -> Entity | None:
    if isinstance(answer, BaseException):
        raise answer
    return answer
