"""What a server shows of a memory: parts of it as JSON, and what is written, as it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Any

from .changes import KINDS, place_of, position_of
from .memory import Memory
from .pictures import PictureQuery, cut
from .times import now_micros
from .values import Entity, Fact, Hit

__all__ = ["FIRST_VIEW", "Showing"]

#: So many entities are sent at first; the rest when the reader asks for it.
FIRST_VIEW = 1200
# The panel of an entity asks for what is around it, and with that for more texts.
_FIRST_MENTIONS = 1
_AROUND = 300
# Events of one message. Between two messages others gather, so that a storm of writes is a few messages a second.
_AT_ONCE = 400
_PAUSE = 0.15
_SHORT = 300


class Showing:
    """A view of a memory, as a page asks for it.

    Args:
        title: what the page calls it.
    """

    def __init__(self, memory: Memory, title: str) -> None:
        self._memory = memory
        self._title = title

    async def picture(self) -> bytes:
        """The first view, with the position from which its changes are followed."""
        store, spaces = self._memory._core.store, self._memory._scope.readable
        position = await self._memory.position()  # before it is read: nothing is missed between
        picture = await store.picture(spaces, PictureQuery(None, 1, FIRST_VIEW, mentions=_FIRST_MENTIONS))
        return picture.to_json(
            title=self._title, around=None, made_at=now_micros() // 1000, namespaces=list(spaces), position=position
        )

    async def around(self, entity: int) -> bytes:
        """What is one fact away from an entity, which may have been merged away."""
        return await self._part(PictureQuery([entity], 1, _AROUND))

    async def item(self, kind: str, id: int) -> bytes:
        """An entity, a fact with its ends, or a text."""
        return await self._part(_query(**{kind: [id]}))

    async def _part(self, query: PictureQuery) -> bytes:
        store = self._memory._core.store
        return (await store.picture(self._memory._scope.readable, query)).to_json()

    async def recall(self, question: str, as_of: datetime | None, known_at: datetime | None) -> list[dict[str, Any]]:
        """What ``recall`` answers, as the page lists it."""
        found = await self._memory.recall(
            question, limit=30, kinds=("fact", "episode", "entity"), as_of=as_of, known_at=known_at
        )
        return [_shown(hit) for hit in found]

    async def path(self, source: int, target: int, as_of: datetime | None) -> list[int] | None:
        """The facts of the shortest chain."""
        ends = [await self._memory.entity(id) for id in (source, target)]
        if ends[0] is None or ends[1] is None:
            return None
        chain = await self._memory.path(ends[0], ends[1], as_of=as_of)
        return None if chain is None else [fact.id for fact in chain]

    async def changes(self, after: str) -> AsyncGenerator[tuple[str, bytes], None]:
        """What is written behind a position: (the position behind it, what it is as JSON), many events at once.

        Raises: ValueError, TypeError: it is no position.
        """
        place = place_of(after)
        store, spaces = self._memory._core.store, self._memory._scope.readable
        async with aclosing(store.watch()) as watch:
            while True:
                found, behind = await store.lines_behind(spaces, place, KINDS, _AT_ONCE)
                if not found:
                    place = behind
                    await anext(watch)
                    continue
                # Rows as they are now: those of a row that changes again are sent again.
                there = {(event.kind, event.ref) for event, item, _ in found if item is not None}
                refs = {kind: [ref for of, ref in there if of == kind] for kind in ("entity", "fact", "episode")}
                picture = await store.picture(spaces, _query(**refs))
                gone = [
                    [event.kind, event.ref] for event, item, _ in found if item is None and event.kind != "namespace"
                ]
                yield (
                    position_of(behind),
                    picture.to_json(
                        gone=gone,
                        merged=[event.other for event, _, _ in found if event.operation == "merge"],
                        changed=sorted(refs["fact"]),
                        forgotten=any(event.kind == "namespace" for event, _, _ in found),
                    ),
                )
                place = behind
                await asyncio.sleep(_PAUSE)


def _query(entity: Sequence[int] = (), fact: Sequence[int] = (), episode: Sequence[int] = ()) -> PictureQuery:
    return PictureQuery(entity, 0, 2000, facts=fact, texts=episode)


def _shown(hit: Hit) -> dict[str, Any]:
    item = hit.item
    text = item.name if isinstance(item, Entity) else item.text if isinstance(item, Fact) else item.content
    how = [f"BM25 {hit.bm25:.2f}"] if hit.bm25 is not None else []
    how += [f"cosine {hit.similarity:.2f}"] if hit.similarity is not None else []
    how += [f"{hit.hops} link{'s' * (hit.hops > 1)} away: {' › '.join(f'{kind} {id}' for kind, id in hit.via)}"] * bool(
        hit.via
    )
    return {
        "kind": hit.kind,
        "id": item.id,
        "text": cut(text, _SHORT),
        "score": round(hit.score, 3),
        "how": ", ".join(how),
    }
