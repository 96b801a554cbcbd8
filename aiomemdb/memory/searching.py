"""What recall asks of a store: rows that words find, names, vectors, and the links of a frontier, set-wise, as ids.

The other half of the seam is ``store.py``, which gives it over one snapshot; the rows themselves are read last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from .values import Entity, Episode, Evidence, Fact

__all__ = ["Found", "Kind", "Links", "Model", "Node", "Search", "VectorChanges", "When"]

#: "entity", "fact" or "episode".
Kind = str

#: (kind, id): "entity", "fact" or "episode", and which.
Node: TypeAlias = tuple[str, int]


@dataclass(frozen=True, slots=True)
class When:
    """Facts that held at ``as_of``, in microseconds, and were believed up to the event ``known`` (None: are);
    texts that were known up to it.
    """

    as_of: int
    known: int | None = None


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
        beside: (one of the texts, the one before or after it in its session).
    """

    ends: Sequence[tuple[int, int]] = ()
    evidence: Sequence[tuple[int, int]] = ()
    facts: Sequence[tuple[int, int, int | None]] = ()
    mentions: Sequence[tuple[int, int]] = ()
    similar: Sequence[tuple[int, int, float]] = ()
    mentioned: Sequence[tuple[int, int]] = ()
    stated: Sequence[tuple[int, int]] = ()
    beside: Sequence[tuple[int, int]] = ()


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
    """What has become of one namespace's vectors of one kind since an event, seen in one snapshot.

    Attributes:
        namespace: the id of the namespace. None: there is none.
        model: the id of the model; None: the file has no vectors.
        event: the last event of the snapshot.
        highest: the highest id of an entity there.
        complete: what was known is of no use: all are to be read anew, see ``vectors_after``. None is listed.
        count: so many there are then, as far as they were counted.
        refs, data: the vectors that changed.
        gone: refs that have none any more.
    """

    namespace: int | None
    model: int | None
    event: int
    highest: int
    complete: bool
    count: int = 0
    refs: Sequence[int] = ()
    data: Sequence[bytes] = ()
    gone: Sequence[int] = ()


class Search(Protocol):
    """Each reads one committed state, of the namespaces named: the store's a state of its own, a snapshot's the same.

    Raises: what the engine's ``Database`` raises. Cancellation: nothing happens.
    """

    async def known_upto(self, known_at: int) -> int:
        """The newest event with a clock that is not after ``known_at``, in microseconds; 0: there is none."""
        ...

    async def words(
        self, namespaces: Sequence[str], kind: str, words: Sequence[str], when: When, limit: int
    ) -> list[tuple[int, float]]:
        """The rows of a kind in which these words are, whatever they are in a query language: (id, BM25), best first;
        the greater the better. Word statistics are those of the whole file.

        Where the words are in very many rows, only the rarest of them are looked for.
        """
        ...

    async def named(self, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
        """The entities of normalised names: (key, id)."""
        ...

    async def around(
        self, namespaces: Sequence[str], frontier: Sequence[Node], turns: Sequence[int], when: When, hub: int
    ) -> Links:
        """What a frontier is linked to, and what stands beside texts in their sessions; an entity or a text with more
        than ``hub`` links is not looked through.
        """
        ...

    async def there(self, namespaces: Sequence[str], kind: str, ids: Sequence[int], when: When) -> set[int]:
        """Those of the ids that are there, believed and readable."""
        ...

    async def read(self, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
        """The rows that are there, believed and readable, and their evidence."""
        ...

    async def vector_changes(
        self, namespace: str, kind: Kind, model: Model, *, known: tuple[int, int] | None, since: int, most: int
    ) -> VectorChanges:
        """Vectors that changed since an event; ``known`` is the namespace and model that it was of. Where that is
        another one now, they are counted instead, up to one more than ``most``.

        Raises: ModelChanged.
        """
        ...

    async def vectors_after(
        self, namespace: str, kind: Kind, model: Model, after: int, limit: int
    ) -> list[tuple[int, bytes]]:
        """The next vectors with a ref above ``after``, in order."""
        ...

    async def vectors_of(
        self, namespace: str, kind: Kind, model: Model, refs: Sequence[int]
    ) -> list[tuple[int, bytes]]:
        """The vectors of these refs, where they have one."""
        ...
