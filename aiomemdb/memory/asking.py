"""The verbs that read. Each sees one committed snapshot, and never waits for a writer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ..errors import NotFound
from .core import Core
from .drafts import canonical
from .names import checked_key
from .pages import Page, Place, page, place_of
from .searching import Kind
from .store import FactQuery, Scope
from .times import now_micros, optional_micros, to_micros
from .values import Counts, Entity, Episode, Event, Evidence, Fact, Name, Scalar, Subgraph

__all__ = ["Asking", "checked_count", "kind_of"]


def kind_of(target: Entity | Fact | Episode) -> tuple[Kind, int]:
    """Raises: TypeError: none of the three; a bare number is never an id."""
    for kind, of in (("entity", Entity), ("fact", Fact), ("episode", Episode)):
        if isinstance(target, of):
            return kind, target.id
    raise TypeError(f"{target!r}: an Entity, a Fact or an Episode")


class Asking:
    """The verbs of a view of the memory that read: its own namespace, and those in ``also_read``.

    Cancellation: nothing happens.
    """

    _core: Core
    _scope: Scope

    async def entity(self, name_or_id: str | int, type: str | None = None) -> Entity | None:
        """Return the entity of a name or an id, or None.

        Args:
            name_or_id: a name, looked for in the view's own namespace first; or an id, also of a merged entity.
            type: None: whatever its type; of several the oldest.

        Raises: ValueError, TypeError: no name and no id.
        """
        if isinstance(name_or_id, int) and not isinstance(name_or_id, bool):
            found = await self._entities([name_or_id])
            return found[0] if found else None
        if not isinstance(name_or_id, str):
            raise TypeError(f"{name_or_id!r}: a name or an id")
        wanted = self._core.drafter().name("name", Name(name_or_id, type))
        for namespace in self._scope.readable:
            entity = await self._core.identity.find(Scope(namespace), wanted)
            if entity is not None:
                return entity
        return None

    async def entities(self, *, type: str | None = None, after: str | None = None, limit: int = 100) -> Page[Entity]:
        """Return a page of entities by id, of one type or of any.

        Args:
            after: the ``next`` of the page before; None: the first page.
            limit: how many at most.

        Raises: ValueError, TypeError: ``limit`` is no count from 1, ``after`` no cursor of this listing.
        """
        type_key = None if type is None else self._core.drafter().key("type", type)
        found = await self._core.store.entities(
            self._scope.readable,
            ids=None,
            type_key=type_key,
            after=_after("entities", after),
            limit=_one_more(limit),
        )
        return page("entities", found, limit, _by_id)

    async def _entities(self, ids: Sequence[int]) -> list[Entity]:
        return await self._core.store.entities(self._scope.readable, ids=ids, type_key=None, after=0, limit=-1)

    async def fact(self, id: int) -> Fact | None:
        """Return a fact by its id, or None: believed or expired, whenever it holds."""
        found = await self._core.store.facts(
            self._scope.readable, FactQuery(0, any_time=True, any_knowledge=True, ids=[id])
        )
        return found[0] if found else None

    async def facts(
        self,
        subject: str | Entity | None = None,
        predicate: str | None = None,
        object: str | Entity | None = None,
        *,
        value: Scalar | None = None,
        as_of: datetime | None = None,
        known_at: datetime | None = None,
        after: str | None = None,
        limit: int = 1000,
    ) -> Page[Fact]:
        """Return a page of the facts that fit all that is given, by id.

        Args:
            subject, object: an entity, or a name; a name that no entity has fits no fact.
            value: a JSON scalar, as an alternative to ``object``.
            as_of: facts that held then; default: now.
            known_at: facts that were believed then; default: now.
            after, limit: as ``entities``.

        Raises: ValueError: a naive time; ValueError, TypeError: as ``entities``.
        """
        query = FactQuery(
            _as_of(as_of),
            optional_micros("known_at", known_at),
            subjects=None if subject is None else await self._ids(subject),
            objects=None if object is None else await self._ids(object),
            predicates=None if predicate is None else [self._core.drafter().predicate(predicate)],
            value=None if value is None else canonical(value),
            after=_after("facts", after),
            limit=_one_more(limit),
        )
        return page("facts", await self._core.store.facts(self._scope.readable, query), limit, _by_id)

    async def evidence(self, fact: Fact, *, after: str | None = None, limit: int = 1000) -> Page[Evidence]:
        """Return a page of why a fact is, or was, believed, in the order in which it was said.

        ``after`` and ``limit``: as ``entities``.

        Raises: ValueError, TypeError: as ``entities``.
        """
        if not isinstance(fact, Fact):
            raise TypeError(f"{fact!r}: a Fact (a bare number is never an id)")
        found = await self._core.store.evidence(
            self._scope.readable, fact.id, after=_after("evidence", after), limit=_one_more(limit)
        )
        return page("evidence", found, limit, _by_id)

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

    async def episodes(
        self, *, session: str | None = None, after: str | None = None, limit: int = 100
    ) -> Page[Episode]:
        """Return a page of the latest versions of texts: of a session, in its order, or all by id.

        ``after`` and ``limit``: as ``entities``.

        Raises: ValueError, TypeError: as ``entities``.
        """
        listing, place = ("episodes", _by_id) if session is None else ("session", _by_turn)
        found = await self._core.store.episodes(
            self._scope.readable,
            session=session,
            after=place_of(listing, after, 1 if session is None else 2),
            limit=_one_more(limit),
        )
        return page(listing, found, limit, place)

    async def neighbors(
        self,
        entity: str | Entity,
        *,
        hops: int = 1,
        predicates: Sequence[str] | None = None,
        as_of: datetime | None = None,
        limit: int = 200,
    ) -> Subgraph:
        """Return what is believed around an entity: all within ``hops`` facts of it, at most ``limit`` facts.

        Raises: NotFound: no such entity; ValueError, TypeError: ``hops`` or ``limit`` is no count from 1.
        """
        if checked_count("hops", hops) < 1 or checked_count("limit", limit) < 1:
            raise ValueError(f"hops={hops}, limit={limit}: both at least 1")
        start = await self._ids(entity)
        if not start:
            raise NotFound(f"no entity {entity!r}")
        drafter = self._core.drafter()
        chosen = None if predicates is None else [drafter.predicate(predicate) for predicate in predicates]
        query = FactQuery(_as_of(as_of), predicates=chosen, limit=limit)
        found = await self._core.store.surroundings(self._scope.readable, start, query, hops)
        if not found.entities:  # forgotten just now, or of another namespace
            raise NotFound(f"no entity {entity!r}")
        return found

    async def history(
        self, target: Entity | Fact | Episode, *, after: str | None = None, limit: int = 1000
    ) -> Page[Event]:
        """Return a page of what was done to it, by which agent and when, oldest first.

        Of what is forgotten these lines alone are kept. ``after`` and ``limit``: as ``entities``.

        Raises: ValueError, TypeError: as ``entities``.
        """
        kind, ref = kind_of(target)
        found = await self._core.store.history(
            self._scope.readable, kind, ref, after=_after("history", after), limit=_one_more(limit)
        )
        return page("history", found, limit, _by_id)

    async def counts(self) -> Counts:
        """Return how many rows of each kind this view's own namespace has."""
        return await self._core.store.counts(self._scope.namespace)

    async def _ids(self, who: str | Entity) -> list[int]:
        """The ids of a name or a handle, in all namespaces that are read. They may be merged away until they are used:
        the store follows that.
        """
        if isinstance(who, Entity):
            return [who.id]
        if not isinstance(who, str):
            raise TypeError(f"{who!r}: a name or an Entity (a bare number is never an id)")
        wanted = self._core.drafter().name("name", who)
        found = [await self._core.identity.find(Scope(namespace), wanted) for namespace in self._scope.readable]
        return [entity.id for entity in found if entity is not None]


def checked_count(what: str, limit: int) -> int:
    """Raises: TypeError, ValueError: no count."""
    if isinstance(limit, bool) or not isinstance(limit, int):
        raise TypeError(f"{what}={limit!r}: a whole number")
    if not 0 <= limit < 2**62:
        raise ValueError(f"{what}={limit}: from 0 to 2**62 - 1")
    return limit


def _one_more(limit: int) -> int:
    """By which it shows whether there is a next page. Raises: as ``checked_count``; ValueError: 0."""
    if checked_count("limit", limit) < 1:
        raise ValueError(f"limit={limit}: at least 1")
    return limit + 1


def _after(listing: str, cursor: str | None) -> int:
    """The id after which a page begins."""
    place = place_of(listing, cursor, 1)
    return 0 if place is None else place[0]


def _by_id(item: Entity | Fact | Episode | Event | Evidence) -> Place:
    return (item.id,)


def _by_turn(item: Episode) -> Place:
    assert item.seq is not None  # every text of a session has one
    return (item.seq, item.id)


def _as_of(when: datetime | None) -> int:
    return now_micros() if when is None else to_micros("as_of", when)
