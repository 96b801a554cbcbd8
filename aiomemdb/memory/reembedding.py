"""reembed(): vectors for all that has none by the memory's model, then the switch, then near names."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import TypeAlias

from .drafts import NEAR_KEPT
from .matrices import Vectors
from .questions import Kind
from .store import Store

__all__ = ["Progress", "Reembedding"]

#: ``progress(done, total)``.
Progress: TypeAlias = Callable[[int, int], object]

# Texts embedded at once by reembed(), and names compared: little is lost where it is cut short.
_EMBEDDED_AT_ONCE = 64
# Rounds of it in which what others write meanwhile should become less.
_ROUNDS = 4
_KINDS: tuple[Kind, ...] = ("entity", "fact", "episode")


class Reembedding:
    """Makes a vector of the model for all that lacks one, then makes it the file's, then finds near names by it.

    Each slice is a job, and the file itself says what is left: the next call goes on from there.
    """

    def __init__(self, store: Callable[[], Store], vectors: Vectors, near: float, progress: Progress | None) -> None:
        self._store = store  # raises where the memory was closed meanwhile
        self._near = near
        self._vectors = vectors
        self._progress = progress
        self._done = 0
        self._total = -1

    async def run(self) -> int:
        """Returns how many rows got a vector.

        What others wrote meanwhile, by the old model, is met in a further round. If they write faster than this one
        embeds there is no last round: so the file is switched over all the same, which stops them, and then completed.
        """
        count = 0
        for round in itertools.count(1):
            await self._look()
            count += await self._embed()
            if await self._store().switch_model(self._vectors.model, force=round >= _ROUNDS):
                break
        await self._look()
        await self._note_near_names()
        if self._done < self._total:  # the rest was forgotten meanwhile, or done by others
            self._advance(self._total - self._done)
        return count

    async def _embed(self) -> int:
        model, count = self._vectors.model, 0
        for kind in _KINDS:
            before: int | None = None  # downwards: what is written meanwhile is for the next round
            while rows := await self._store().without_vector(model, kind, before, _EMBEDDED_AT_ONCE):
                vectors = await self._vectors.embed([text for _, text in rows])
                refs = [ref for ref, _ in rows]
                await self._store().put_vectors(model, kind, list(zip(refs, vectors, strict=True)))
                before = refs[-1]
                count += len(rows)
                self._advance(len(rows))
        return count

    async def _note_near_names(self) -> None:
        """What find_or_create would have noted, had it had this model from the first."""
        model = self._vectors.model
        while (left := await self._store().near_names_left(model, _EMBEDDED_AT_ONCE)) is not None:
            near: list[tuple[int, int, float]] = []
            for namespace in dict.fromkeys(namespace for _, namespace, _ in left.names):
                ids = [id for id, of, _ in left.names if of == namespace]
                vectors = [vector for _, of, vector in left.names if of == namespace]
                found, _ = await self._vectors.nearest(
                    namespace, "entity", vectors, top=NEAR_KEPT, at_least=self._near, below=ids
                )
                near += [(other, id, cosine) for id, ones in zip(ids, found, strict=True) for other, cosine in ones]
            await self._store().put_near_names(model, left, near)
            self._advance(len(left.names))

    async def _look(self) -> None:
        """Counts what is left: others write meanwhile."""
        if self._progress is not None:
            left = await self._store().to_reembed(self._vectors.model)
            if self._total < self._done + left:
                self._total = self._done + left
                self._progress(self._done, self._total)

    def _advance(self, count: int) -> None:
        self._done += count
        self._total = max(self._total, self._done)
        if self._progress is not None:
            self._progress(self._done, self._total)
