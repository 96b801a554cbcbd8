"""The seam between the memory graph and an engine: what it asks of a store, set-wise, and in which words.

Nothing above it knows SQL. Nothing below it knows tasks, embedders or what a caller's arguments look like: all of it
arrives checked and normalised. A verb that writes is ONE job, whole or not at all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from .pages import Place
from .searching import Kind, Model, Search
from .values import Counts, Entity, Episode, Event, Evidence, Fact, Forgotten, Remembered, Subgraph

__all__ = [
    "NEAR_KEPT",
    "Draft",
    "DraftEpisode",
    "DraftFact",
    "FactQuery",
    "NameRequest",
    "Near",
    "NearNamesLeft",
    "Scope",
    "Store",
]


@dataclass(frozen=True, slots=True)
class Scope:
    """Where a call reads and writes, and who makes it."""

    namespace: str
    agent: str | None = None
    also_read: tuple[str, ...] = ()

    @property
    def readable(self) -> tuple[str, ...]:
        """Its own namespace first."""
        return (self.namespace, *self.also_read)


#: Near names noted of a name, older ones: the rest is the business of a search by vectors.
NEAR_KEPT = 8

#: Entities near a name, (id, cosine), best first.
Near = tuple[tuple[int, float], ...]


@dataclass(slots=True)
class NameRequest:
    """One name to be found or created.

    Attributes:
        key, type_key: normalised; ``type_key`` is "" where there is no type.
        similarity: merge it with a near name of at least this cosine, or None.
        strict: several entities of this name are an error.
        vector: of the name, packed; None without an embedder.
        near: what was near in a snapshot ...
        seen: ... and the highest entity id there: the store compares with newer ones itself.
    """

    name: str
    key: str
    type: str | None = None
    type_key: str = ""
    description: str = ""
    similarity: float | None = None
    strict: bool = False
    vector: bytes | None = None
    near: Near = ()
    seen: int = 0


@dataclass(slots=True)
class DraftEpisode:
    """A text to be stored. ``metadata`` is JSON, ``occurred_at`` microseconds, ``occurred_offset`` minutes."""

    content: str
    key: str | None = None
    session: str | None = None
    seq: int | None = None
    source: str | None = None
    metadata: str = "{}"
    occurred_at: int | None = None
    replace: bool = False
    vector: bytes | None = None
    occurred_offset: int | None = None


@dataclass(slots=True)
class DraftFact:
    """A fact to be stated.

    Attributes:
        subject, object: places in ``Draft.who``.
        predicate: normalised, and ``predicate_given`` as it is shown, where that differs.
        value: canonical JSON, compared, and ``value_given`` as it is shown, where that differs.
        valid_at, invalid_at: microseconds, and their offsets from UTC in minutes.
    """

    subject: int
    predicate: str
    object: int | None
    value: str | None
    text: str
    quote: str | None = None
    valid_at: int | None = None
    invalid_at: int | None = None
    confidence: float = 1.0
    replace: bool = False
    vector: bytes | None = None
    predicate_given: str | None = None
    value_given: str | None = None
    valid_offset: int | None = None
    invalid_offset: int | None = None


@dataclass(slots=True)
class Draft:
    """All that one job writes.

    Attributes:
        who: names to be found or created, and ids of entities, each once; the rest speaks of places in it.
        episode: the text that evidences the facts, or None: then they are stated directly, or by ``evidence``.
        evidence: the id of an episode that is there already.
        model: of the vectors; None where there are none.
        near: from which cosine on names are noted as near.
        unwanted: its caller has left; not written, unless its job has begun. Set while the job may be running.
    """

    who: list[NameRequest | int]
    facts: list[DraftFact] = field(default_factory=list)
    mentions: list[int] = field(default_factory=list)
    episode: DraftEpisode | None = None
    evidence: int | None = None
    model: Model | None = None
    near: float = 1.0
    unwanted: bool = False


@dataclass(frozen=True, slots=True)
class FactQuery:
    """Which facts, each None for any; ids and predicates are sets. Times in microseconds; ``known_at`` None is now.

    What is known at a time is all up to the newest event with a clock that is not after it.

    Ids of entities that were merged away stand for those that stayed. ``after`` is the id above which they begin.
    """

    as_of: int
    known_at: int | None = None
    ids: Sequence[int] | None = None
    subjects: Sequence[int] | None = None
    predicates: Sequence[str] | None = None
    objects: Sequence[int] | None = None
    value: str | None = None
    any_time: bool = False
    any_knowledge: bool = False
    after: int = 0
    limit: int = -1


@dataclass(frozen=True, slots=True)
class NearNamesLeft:
    """The next entities that need their near names: those above ``after``, up to ``upto``.

    Attributes:
        names: (id, namespace, vector), by id.
    """

    after: int
    upto: int
    names: Sequence[tuple[int, str, bytes]]


class Store(Search, Protocol):
    """What an engine does for the memory graph.

    Raises, from each verb, beside the errors named there: what the engine's ``Database`` raises.
    Cancellation: as ``aiomemdb.Database``: a job runs whole or never.
    """

    async def open(self, normalisers: Mapping[str, str]) -> None:
        """Makes the tables or brings them up to date. Raises: SchemaTooNew, NormaliserChanged."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[Search]:
        """All that is asked of it is answered from one and the same state. It holds one of the engine's readers: what
        takes long and needs none (an embedder) comes before it or after it.
        """
        ...

    async def resolve(self, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
        """The entity of each name, in one snapshot; None where one is to be created or changed; or AmbiguousEntity."""
        ...

    async def find_or_create(
        self, scope: Scope, names: Sequence[NameRequest], model: Model | None, near: float
    ) -> list[Entity | Exception]:
        """The entity of each name, made where there is none, in one job if none fails; an exception for one that did.

        Raises: ModelChanged.
        """
        ...

    async def write(self, drafts: Sequence[tuple[Scope, Draft]]) -> Sequence[Remembered | list[Fact] | BaseException]:
        """Texts with their facts (Remembered), or facts alone, in order; each whole or not at all, in one job if none
        fails. Gives an exception for one that did: EpisodeExists, NotFound. Raises: ModelChanged.
        """
        ...

    async def update_entity(
        self, scope: Scope, entity: int, changes: Mapping[str, Any], vector: bytes | None, model: Model | None
    ) -> Entity:
        """Changes columns of an entity; a new name is an alias too.

        Raises: NotFound; ValueError: the name is another's.
        """
        ...

    async def add_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        """Raises: NotFound; ValueError: it is another's of the same type."""
        ...

    async def remove_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        """Raises: NotFound; ValueError: it is the entity's name."""
        ...

    async def merge(self, scope: Scope, keep: int, duplicate: int) -> Entity:
        """Raises: NotFound; ValueError: of an entity with itself."""
        ...

    async def retract(self, scope: Scope, fact: int, reason: str) -> Fact:
        """Raises: NotFound."""
        ...

    async def forget(self, scope: Scope, kind: Kind, ref: int) -> Forgotten:
        """Hides it and what goes along in one job, then deletes the rows in slices. Raises: NotFound."""
        ...

    async def forget_namespace(self, scope: Scope) -> Forgotten:
        """Hides the namespace in one job, then deletes its rows in slices."""
        ...

    async def sweep(self) -> None:
        """Deletes what is left of all that was forgotten, in slices."""
        ...

    async def erase(self) -> bool:
        """Leaves no byte of what was forgotten in what the engine stores; whether nothing keeps old ones any more."""
        ...

    async def entities(
        self, namespaces: Sequence[str], *, ids: Iterable[int] | None, type_key: str | None, after: int, limit: int
    ) -> list[Entity]:
        """By id; ``ids`` may be those of merged ones. ``limit`` -1 is all."""
        ...

    async def facts(self, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
        """By id."""
        ...

    async def surroundings(
        self, namespaces: Sequence[str], start: Sequence[int], query: FactQuery, hops: int
    ) -> Subgraph:
        """All within ``hops`` facts of where it starts, nearest first; at most ``query.limit`` facts. One snapshot."""
        ...

    async def path(
        self, namespaces: Sequence[str], source: Sequence[int], target: Sequence[int], query: FactQuery, max_hops: int
    ) -> list[Fact] | None:
        """The shortest chain of facts between entities, of at most ``max_hops``; None: none. One snapshot; how much of
        it is looked at is bounded. Raises: NotFound.
        """
        ...

    async def evidence(
        self, namespaces: Sequence[str], fact: int, *, after: int = 0, limit: int = -1
    ) -> list[Evidence]:
        """By id."""
        ...

    async def episodes(
        self,
        namespaces: Sequence[str],
        *,
        ref: int | None = None,
        key: str | None = None,
        session: str | None = None,
        after: Place | None = None,
        limit: int = -1,
    ) -> list[Episode]:
        """Of a session by (seq, id), else by (id,); without ``ref`` only the latest versions."""
        ...

    async def history(
        self, namespaces: Sequence[str], kind: Kind, ref: int, *, after: int = 0, limit: int = -1
    ) -> list[Event]:
        """By id."""
        ...

    async def counts(self, namespace: str) -> Counts: ...

    async def model(self) -> Model | None:
        """The model of the file's vectors; None where it has none yet."""
        ...

    async def without_vector(self, model: Model, kind: Kind, before: int, limit: int) -> list[tuple[int, str]]:
        """The next refs below ``before``, downwards, that have no vector of this model, and their texts; of all
        namespaces.
        """
        ...

    async def put_vectors(self, model: Model, kind: Kind, vectors: Sequence[tuple[int, bytes]]) -> None:
        """Stores vectors of a model, which need not be the file's; those of rows that are gone are dropped."""
        ...

    async def switch_model(self, model: Model, *, force: bool = False) -> bool:
        """Makes it the file's model and drops others' vectors, if every row has one of it, or by ``force`` even so;
        whether every row has one. Near names are then all to be found anew.
        """
        ...

    async def near_names_left(self, model: Model, limit: int) -> NearNamesLeft | None:
        """The next entities that have no near names by this model yet, which is the file's; None: no more.

        Raises: ModelChanged.
        """
        ...

    async def put_near_names(self, model: Model, after: int, upto: int, near: Sequence[tuple[int, int, float]]) -> None:
        """Replaces what was noted for the entities above ``after``, up to ``upto``, by (older one, entity, cosine),
        unless others have done so since they were asked for.

        Raises: ModelChanged.
        """
        ...

    async def to_reembed(self, model: Model) -> int:
        """How many rows lack a vector of this model, and how many names their near ones by it, together."""
        ...
