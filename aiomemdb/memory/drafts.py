"""Drafts: what callers say, as the rules take it. Names are normalised, each once; times are microseconds, values
canonical JSON. ``drafter.py`` makes them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from .questions import Model, Token

__all__ = [
    "NEAR_KEPT",
    "Draft",
    "DraftEpisode",
    "DraftFact",
    "Missing",
    "NameRequest",
    "Near",
    "Scope",
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


#: What becomes of names that no entity has.
Missing: TypeAlias = Literal["create", "imply", "error"]

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
        any_type: whatever the type of an entity of this name, it is the one; the type is that of a new one.
        vector: of the name, packed; None without an embedder.
        near: what was near in a snapshot ...
        seen: ... and its state: what is newer is compared in the job. None: there was nothing.
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
    seen: Token | None = None
    any_type: bool = False


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
        added: the places of names that are to be added, one for each time that a name is given: what is new of them is
            reported, and facts are stated of that alone. None: it is no list of names.
        missing: what becomes of names that no entity has.
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
    added: list[int] | None = None
    missing: Missing = "create"
