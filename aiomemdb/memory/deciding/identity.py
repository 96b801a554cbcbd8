"""Who is who: (namespace, key, type) names one entity, and the aliases are the one arbiter."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from ...errors import AmbiguousEntity
from ..names import may_be_one
from ..records import entity_of
from ..store import NEAR_KEPT, NameRequest
from ..values import Entity
from ..vectors import nearest, unpack_all
from .moment import Moment

__all__ = ["Alias", "Candidate", "Identities", "KnownEntity", "Named", "NewerEntities", "pick"]


class Named(Protocol):
    """An alias that has the wanted key: its type, the id of its entity, and that one's type."""

    @property
    def type(self) -> str: ...
    @property
    def id(self) -> int: ...
    @property
    def type_key(self) -> str: ...


class Candidate(NamedTuple):
    """An alias as a row."""

    type: str
    id: int
    type_key: str


def pick(candidates: Sequence[Named], wanted: NameRequest) -> tuple[Named, bool] | AmbiguousEntity | None:
    """Return the alias that a name means, and whether its entity adopts the type; None: there is none.

    No type: the oldest entity of that name. A type: the same, otherwise one without a type, which adopts it.
    """
    if not candidates:
        return None
    if not wanted.type_key:
        ids = {candidate.id for candidate in candidates}
        if wanted.strict and len(ids) > 1:
            return AmbiguousEntity(
                f"{len(ids)} entities are called {wanted.name!r} ({', '.join(map(str, sorted(ids)))}): give type="
            )
        return min(candidates, key=lambda candidate: candidate.id), False
    for candidate in candidates:
        if candidate.type == wanted.type_key:
            return candidate, False
    for candidate in candidates:
        if candidate.type_key == wanted.type_key:
            return candidate, False
    untyped = [candidate for candidate in candidates if not candidate.type_key]
    return (min(untyped, key=lambda candidate: candidate.id), True) if untyped else None


@dataclass(slots=True, eq=False)
class KnownEntity:
    """An entity as it is now, in the job that may have made it.

    Attributes:
        made: None: it was there before.
    """

    id: int
    namespace: str
    key: str
    name: str
    type: str | None
    type_key: str
    description: str
    attributes: str
    agent: str | None
    created_at: int
    made: Moment | None = None

    def value(self) -> Entity:
        return entity_of(
            self.id,
            self.namespace,
            self.name,
            self.type,
            self.description,
            self.attributes,
            self.agent,
            self.created_at,
        )


@dataclass(slots=True, eq=False)
class Alias:
    """A name of an entity; ``type`` is "" or a type's key."""

    key: str
    type: str
    entity: KnownEntity

    @property
    def id(self) -> int:
        return self.entity.id

    @property
    def type_key(self) -> str:
        return self.entity.type_key


class NewerEntities:
    """Entities newer than the snapshots in which near names were looked for: a few, compared here and now. That
    closes the race in which two near names each find the other missing.

    Args:
        found: with their vectors, by id.
    """

    def __init__(self, dim: int, found: Iterable[tuple[KnownEntity, bytes]]) -> None:
        self._dim = dim
        self._entities: dict[int, KnownEntity] = {}
        self._refs: list[int] = []
        self._data = bytearray()
        for entity, vector in found:
            self.append(entity, vector)

    def append(self, entity: KnownEntity, vector: bytes) -> None:
        self._entities[entity.id] = entity
        self._refs.append(entity.id)
        self._data += vector

    def nearest(self, vector: bytes, at_least: float, seen: int) -> Iterable[tuple[KnownEntity, float]]:
        """The nearest of those with an id above ``seen``, best first."""
        first = bisect_right(self._refs, seen)
        matrix, query = unpack_all(self._data, self._dim)[first:], unpack_all(vector, self._dim)
        [found] = nearest(matrix, self._refs[first:], query, top=NEAR_KEPT, at_least=at_least)
        return [(self._entities[id], cosine) for id, cosine in found]


class Identities:
    """Names are taken in order; one may mean what an earlier one is about to create.

    Args:
        aliases: by (namespace, key), all that there are of the keys that will be asked for, by type.
        roots: by (namespace, id), the entities that ids stand for, those of near names among them.
        newer: by namespace; one without has no vectors.
        next_id: the first id of an entity that was never used.

    Attributes:
        made: the new entities, by id.
        aliases_made: the new aliases.
        adopted: entities that were there before and got a type.
        renamed: those that got an alias.
        similar: (older, newer, cosine).
        vectors: (entity, vector) of new ones.
    """

    def __init__(
        self,
        aliases: dict[tuple[str, str], list[Alias]],
        roots: dict[tuple[str, int], KnownEntity],
        newer: Mapping[str, NewerEntities],
        next_id: int,
    ) -> None:
        self._aliases = aliases
        self._newer = newer
        self._next_id = next_id
        self._names: dict[int, list[tuple[Alias, list[Alias]]]] | None = None
        self.roots = roots
        self.made: list[KnownEntity] = []
        self.aliases_made: list[Alias] = []
        self.adopted: list[KnownEntity] = []
        self.renamed: list[KnownEntity] = []
        self.similar: list[tuple[int, int, float]] = []
        self.vectors: list[tuple[KnownEntity, bytes]] = []

    def resolve(self, moment: Moment, names: Sequence[NameRequest], near: float) -> list[KnownEntity | AmbiguousEntity]:
        """The entity of each name, made where there is none.

        Args:
            near: from which cosine on names are noted as near.
        """
        seen = min((wanted.seen for wanted in names if wanted.vector), default=0)
        return [self._resolve(moment, wanted, near, seen) for wanted in names]

    def _resolve(self, moment: Moment, wanted: NameRequest, near: float, seen: int) -> KnownEntity | AmbiguousEntity:
        candidates = self._aliases.get((moment.namespace, wanted.key))
        picked = None if candidates is None else pick(candidates, wanted)
        if picked is None:
            near_ones = () if wanted.vector is None else self._near_ones(moment, wanted, wanted.vector, near, seen)
            return self._merged_into_near(moment, wanted, near_ones) or self._make(moment, wanted, near_ones, near)
        if isinstance(picked, AmbiguousEntity):
            return picked
        alias, adopts = picked
        assert isinstance(alias, Alias)
        if adopts:
            self._adopt(moment, alias.entity, wanted)
        return alias.entity

    def _make(
        self, moment: Moment, wanted: NameRequest, near_ones: Sequence[tuple[KnownEntity, float]], near: float
    ) -> KnownEntity:
        entity = KnownEntity(
            self._next_id,
            moment.namespace,
            wanted.key,
            wanted.name,
            wanted.type,
            wanted.type_key,
            wanted.description,
            "{}",
            moment.agent,
            moment.at,
            moment,
        )
        self._next_id += 1
        self.made.append(entity)
        self.roots[moment.namespace, entity.id] = entity
        self._add_alias(wanted.key, wanted.type_key, entity)
        moment.note("create", "entity", entity.id)
        self.similar += [(one.id, entity.id, cosine) for one, cosine in near_ones[:NEAR_KEPT] if cosine >= near]
        if wanted.vector is not None:
            self.vectors.append((entity, wanted.vector))
            if (newer := self._newer.get(moment.namespace)) is not None:
                newer.append(entity, wanted.vector)
        return entity

    def _add_alias(self, key: str, type: str, entity: KnownEntity) -> None:
        alias = Alias(key, type, entity)
        candidates = self._aliases.setdefault((entity.namespace, key), [])
        candidates.append(alias)
        self.aliases_made.append(alias)
        if self._names is not None:
            self._names.setdefault(entity.id, []).append((alias, candidates))

    def _near_ones(
        self, moment: Moment, wanted: NameRequest, vector: bytes, near: float, seen: int
    ) -> list[tuple[KnownEntity, float]]:
        """What is near now: of the snapshot's what is still there, and what came since. Best first."""
        newer = self._newer.get(moment.namespace)
        if newer is None:
            return []
        at_least = min(near, wanted.similarity if wanted.similarity is not None else near)
        ones: dict[KnownEntity, float] = {}
        for id, cosine in wanted.near:
            root = self.roots.get((moment.namespace, id))
            if root is not None and cosine >= at_least:
                ones[root] = cosine
        ones.update(newer.nearest(vector, at_least, seen))
        return sorted(ones.items(), key=lambda one: (-one[1], one[0].id))

    def _merged_into_near(
        self, moment: Moment, wanted: NameRequest, near_ones: Sequence[tuple[KnownEntity, float]]
    ) -> KnownEntity | None:
        if wanted.similarity is None:
            return None
        for entity, cosine in near_ones:
            if cosine < wanted.similarity:
                break
            # Types apart keep two names apart, however near they are; and the guards do.
            fits = not wanted.type_key or entity.type_key in ("", wanted.type_key)
            if fits and may_be_one(wanted.key, entity.key):
                # No alias of this key has the wanted type, or it would have been found; nor any, if none was wanted.
                self._add_alias(wanted.key, wanted.type_key or entity.type_key, entity)
                moment.note("alias", "entity", entity.id)
                self.renamed.append(entity)
                if wanted.type_key and not entity.type_key:
                    self._adopt(moment, entity, wanted)
                return entity
        return None

    def _adopt(self, moment: Moment, entity: KnownEntity, wanted: NameRequest) -> None:
        """An entity without a type gets one, and so do its aliases, except where another entity has that name and
        type.
        """
        entity.type, entity.type_key = wanted.type, wanted.type_key
        if self._names is None:  # few jobs need it
            self._names = {}
            for candidates in self._aliases.values():
                for alias in candidates:
                    self._names.setdefault(alias.id, []).append((alias, candidates))
        for alias, candidates in self._names.get(entity.id, ()):
            if not alias.type and all(other.type != wanted.type_key for other in candidates):
                alias.type = wanted.type_key
        if entity.made is None:
            self.adopted.append(entity)
        moment.note("update", "entity", entity.id)
