"""What is asked of a store by those that read, and what it answers: which facts, at which time, the links of a
frontier, vectors. ``store.py`` has the questions.
"""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

from .values import Entity, Episode, Event, Evidence, Fact

__all__ = [
    "ByWords",
    "FactQuery",
    "FeedLine",
    "FeedPlace",
    "Found",
    "GraphQuery",
    "Kind",
    "Links",
    "Model",
    "NearNamesLeft",
    "Node",
    "Token",
    "VectorChanges",
    "Watch",
    "When",
]

#: "entity", "fact" or "episode".
Kind = str

#: Less than the id of any line of the audit: lines that were imported have negative ones.
BEFORE_ALL: int = -(2**63) + 1

#: (kind, id): "entity", "fact" or "episode", and which.
Node: TypeAlias = tuple[str, int]


class Token(Protocol):
    """A state of a namespace, as the store that gave it knows it again. A later state is the greater one, as the jobs
    of one namespace are serial. Nothing else is to be known of it.
    """

    def __lt__(self, other: Any, /) -> bool: ...


@dataclass(frozen=True, slots=True)
class When:
    """Facts that held at ``as_of``, in microseconds, and were believed in the state ``known`` (None: are); texts that
    were known in it.
    """

    as_of: int
    known: Token | None = None


@dataclass(frozen=True, slots=True)
class ByWords:
    """What words find of a kind.

    Attributes:
        rows: (id, BM25), best first; the greater the better.
        sought: the words that were looked for.
        counts: in how many of the readable rows each word of the question is; of some it is enough to know that they
            are in more than ``words.RARE``, and the store may stop at some number, of rows too.
        readable: how many readable rows there are.
        held: for the best of the rows which of the words looked for they have.
    """

    rows: Sequence[tuple[int, float]] = ()
    sought: Collection[str] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    readable: int = 0
    held: Mapping[int, Collection[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Links:
    """What a frontier is linked to, of what is readable and believed.

    Attributes:
        ends: (fact of the frontier, an entity it is about).
        evidence: (fact of the frontier, a text that says so).
        facts: (entity of the frontier, a fact about it, the other entity or None).
        mentions: (entity of the frontier, a text that mentions it).
        similar: (entity of the frontier, one of a near name, cosine).
        mentioned: (text of the frontier, an entity that it mentions).
        stated: (text of the frontier, a fact drawn from it).
        beside: (one of the texts, one of its neighbours in its session, by how many turns they are apart).
    """

    ends: Sequence[tuple[int, int]] = ()
    evidence: Sequence[tuple[int, int]] = ()
    facts: Sequence[tuple[int, int, int | None]] = ()
    mentions: Sequence[tuple[int, int]] = ()
    similar: Sequence[tuple[int, int, float]] = ()
    mentioned: Sequence[tuple[int, int]] = ()
    stated: Sequence[tuple[int, int]] = ()
    beside: Sequence[tuple[int, int, int]] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """Rows by their ids, and the evidence of the facts among them."""

    items: Mapping[Node, Fact | Episode | Entity] = field(default_factory=dict)
    evidence: Mapping[int, Sequence[Evidence]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Model:
    """The model that made vectors; those of two models are never compared."""

    name: str
    dim: int


@dataclass(frozen=True, slots=True)
class VectorChanges:
    """What has become of one namespace's vectors of one kind since a state, seen in one snapshot.

    Attributes:
        state: that of the snapshot.
        complete: what was known is of no use: all are to be read anew, see ``Reads.vectors``. None is listed.
        count: so many there are then, as far as they were counted.
        refs, data: the vectors that changed.
        gone: refs that have none any more.
    """

    state: Token
    complete: bool
    count: int = 0
    refs: Sequence[int] = ()
    data: Sequence[bytes] = ()
    gone: Sequence[int] = ()


@dataclass(frozen=True, slots=True)
class FactQuery:
    """Which facts, each None for any; ids and predicates are sets. Times in microseconds; ``known_at`` None is now.

    What is known at a time is all up to the newest event with a clock that is not after it.

    Ids of entities that were merged away stand for those that stayed; ``around``, which wants facts from and to
    entities, takes ids of the latter alone. ``after`` is the id above which they begin.
    """

    as_of: int
    known_at: int | None = None
    ids: Sequence[int] | None = None
    subjects: Sequence[int] | None = None
    predicates: Sequence[str] | None = None
    objects: Sequence[int] | None = None
    around: Sequence[int] | None = None
    value: str | None = None
    any_time: bool = False
    any_knowledge: bool = False
    after: int = 0
    limit: int = -1


@dataclass(frozen=True, slots=True)
class GraphQuery:
    """Which part of the graph, as it is believed at ``as_of``, in microseconds; None for all of it.

    Attributes:
        keys: entities that one of these normalised names means.
        containing: entities with this in a name, a type or a value; in small letters (``substrings``).
        predicate: normalised; values of it alone are looked at and answered.
        implied: whether entities are answered that facts alone have named.
    """

    as_of: int
    keys: Sequence[str] | None = None
    containing: str | None = None
    predicate: str | None = None
    implied: bool = False


@dataclass(frozen=True, slots=True)
class NearNamesLeft:
    """The next entities that need their near names.

    Attributes:
        after, upto: which slice of all entities it is, for the store that gave it.
        names: (id, namespace, vector), by id.
    """

    after: int
    upto: int
    names: Sequence[tuple[int, str, bytes]]


@dataclass(frozen=True, slots=True)
class FeedPlace:
    """Behind which line of the audit a reader goes on.

    Attributes:
        event: the line.
        spaces: by name, the namespaces that the reader has read: one of that name may be another by now.
        events: by the id of a namespace, as text, the line in it, where lines have no order across namespaces.
        at: the line's time, which says that it is still the same line; None: it is not known.
        times: by the id of a namespace, as text, the time of the line in it, as far as that is known.
    """

    event: int
    spaces: Mapping[str, int]
    events: Mapping[str, int] | None = None
    at: int | None = None
    times: Mapping[str, int] = field(default_factory=dict)


#: A line of the audit, what it is about as it is now, and the place behind it.
FeedLine: TypeAlias = tuple[Event, Entity | Fact | Episode | None, FeedPlace]


class Watch(Protocol):
    """Turns in which the audit may have grown; to be closed."""

    def __anext__(self) -> Awaitable[object]: ...
    def __aiter__(self) -> Watch: ...
    async def aclose(self) -> None: ...
