"""The verbs of texts: remembered with the facts drawn from them, and read again."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from .names import checked_key
from .pages import Page, Place, page, place_of
from .values import Episode, NameLike, Remembered, Statement
from .view import View, by_id, checked_count, observed, one_more

__all__ = ["EpisodeVerbs"]


class EpisodeVerbs(View):
    """The verbs of texts."""

    @observed("upsert_memory")
    async def remember(
        self,
        content: str,
        facts: Iterable[Statement | tuple[NameLike, str, NameLike]] = (),
        *,
        mentions: Iterable[NameLike] = (),
        key: str | None = None,
        session: str | None = None,
        seq: int | None = None,
        source: str | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> Remembered:
        """Store a text, the entities that it mentions and the facts drawn from it, in ONE job: all of it or nothing.

        Names are found or created as by ``find_or_create_entity``. The entities of the facts are mentioned too.

        Args:
            key: names the text, so that it is stored once. The same text again adds the facts and mentions that it
                did not have yet, and changes nothing else: facts that are not given this time stay, and a fact that
                was retracted or superseded meanwhile stays so. Another text raises ``EpisodeExists``. With
                ``replace=True`` it is the next version instead, and expires the facts that only the old version
                evidenced and this one does not state.
            session: a conversation or a stream of notes.
            seq: the text's place in the session; None: the next, or the place of the version that it replaces.
            occurred_at: when it was said: an aware datetime, which comes back with its offset from UTC.

        Raises, and nothing was written then:
            EpisodeExists: see ``key``.
            NotFound: an ``Entity`` that is not of this namespace, or was forgotten.
            ValueError, TypeError: see ``add_fact``.
            EmbedderError, ModelChanged: the embedder's vectors can't be used.
        Cancellation: as of all verbs that write; calls of one session keep their order.
        """
        drafter = self._core.drafter()
        episode = drafter.episode(
            content,
            key=key,
            session=session,
            seq=seq,
            source=source,
            occurred_at=occurred_at,
            metadata=metadata,
            replace=replace,
        )
        drafter.facts(facts)
        drafter.mentions(mentions)
        draft, core = drafter.draft, self._core
        in_session = None if episode.session is None else (self._scope.namespace, episode.session)
        async with core.in_order(in_session) as before:
            await core.embed(self._scope, draft)
            if before is not None:
                await asyncio.wait([before])  # which a cancellation leaves alone
            written = await core.write(self._scope, draft)
        assert isinstance(written, Remembered)
        return written

    async def add_episode(
        self,
        content: str,
        *,
        key: str | None = None,
        session: str | None = None,
        seq: int | None = None,
        source: str | None = None,
        occurred_at: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        mentions: Iterable[NameLike] = (),
        replace: bool = False,
    ) -> Episode:
        """Store a text without facts; see ``remember``."""
        remembered = await self.remember(
            content,
            mentions=mentions,
            key=key,
            session=session,
            seq=seq,
            source=source,
            occurred_at=occurred_at,
            metadata=metadata,
            replace=replace,
        )
        return remembered.episode

    async def episode(self, id: int | None = None, *, key: str | None = None) -> Episode | None:
        """Return a text by its id (any version) or by its key (the latest version), or None.

        Raises: ValueError, TypeError: not exactly one of the two; no id, no key.
        """
        if (id is None) == (key is None):
            raise ValueError("an episode has an id or a key: give exactly one of the two")
        found = await self._core.store.episodes(
            self._scope.readable,
            ref=None if id is None else checked_count("id", id),
            key=None if key is None else checked_key("key", key),
            limit=1,
        )
        return found[0] if found else None

    @observed("search_memory")
    async def episodes(
        self, *, session: str | None = None, after: str | None = None, limit: int = 100
    ) -> Page[Episode]:
        """Return a page of the latest versions of texts: of a session, in its order, or all by id.

        ``after`` and ``limit``: as ``entities``.

        Raises: ValueError, TypeError: as ``entities``.
        """
        listing, place = ("episodes", by_id) if session is None else ("session", _by_turn)
        found = await self._core.store.episodes(
            self._scope.readable,
            session=session,
            after=place_of(listing, after, 1 if session is None else 2),
            limit=one_more(limit),
        )
        return page(listing, found, limit, place)


def _by_turn(item: Episode) -> Place:
    assert item.seq is not None  # every text of a session has one
    return (item.seq, item.id)
