"""What a memory consists of, as it moves: rows that refer to each other by numbers.

Numbers count from 1, each kind by itself. Times are microseconds since 1970 in UTC; offsets are minutes. ``known_from``
and ``known_until`` are between which times something was believed, where the clock of its row does not say that: the
clock had gone back.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

__all__ = ["EntityRow", "EpisodeRow", "EventRow", "EvidenceRow", "FactRow", "Row"]


@dataclass(slots=True, kw_only=True)
class EntityRow:
    """An entity.

    Attributes:
        key, type_key: normalised; ``type_key`` is "" where there is no type.
        attributes: JSON.
        established: since when it is no implied one, which relations alone have named; None: it is.
        merged_into: the entity that it became one with; it has no names of its own then.
        aliases: (key, type key) of all names that mean it.
        near: (an earlier entity, cosine).
        created: whether the audit's line of its making is the usual one; else the audit has what there is.
    """

    number: int
    namespace: str
    name: str
    key: str
    type: str | None = None
    type_key: str = ""
    description: str = ""
    attributes: str = "{}"
    agent: str | None = None
    created_at: int
    known_from: int
    established: int | None
    merged_into: int | None = None
    aliases: list[tuple[str, str]] = field(default_factory=list)
    near: list[tuple[int, float]] = field(default_factory=list)
    created: bool = True
    vector: bytes | None = None
    line: int = 0


@dataclass(slots=True, kw_only=True)
class EpisodeRow:
    """A text. ``metadata`` is JSON, ``mentions`` are entities."""

    number: int
    namespace: str
    content: str
    key: str | None = None
    version: int = 1
    session: str | None = None
    seq: int | None = None
    agent: str | None = None
    source: str | None = None
    metadata: str = "{}"
    occurred_at: int | None = None
    occurred_offset: int | None = None
    created_at: int
    known_from: int
    expired_at: int | None = None
    known_until: int | None = None
    mentions: list[int] = field(default_factory=list)
    created: bool = True
    vector: bytes | None = None
    line: int = 0


@dataclass(slots=True, kw_only=True)
class EvidenceRow:
    """Why a fact is believed. ``fact`` is 0 where it stands with its fact."""

    fact: int = 0
    episode: int | None = None
    quote: str | None = None
    confidence: float = 1.0
    agent: str | None = None
    created_at: int
    line: int = 0


@dataclass(slots=True, kw_only=True)
class FactRow:
    """A fact.

    Attributes:
        predicate, value: as they are compared; ``value`` is canonical JSON ...
        predicate_given, value_given: ... and as they are shown, where that differs.
        superseded_by: an earlier fact; ``supersedes``: earlier facts that this one took the place of.
    """

    number: int
    namespace: str
    subject: int
    predicate: str
    predicate_given: str | None = None
    object: int | None = None
    value: str | None = None
    value_given: str | None = None
    text: str
    valid_at: int | None = None
    valid_offset: int | None = None
    invalid_at: int | None = None
    invalid_offset: int | None = None
    agent: str | None = None
    created_at: int
    known_from: int
    expired_at: int | None = None
    known_until: int | None = None
    superseded_by: int | None = None
    supersedes: list[int] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)
    created: bool = True
    vector: bytes | None = None
    line: int = 0


@dataclass(slots=True, kw_only=True)
class EventRow:
    """A line of the audit, about a row of a kind; ``other`` is one of the same kind."""

    namespace: str
    at: int
    operation: str
    kind: str
    ref: int
    other: int | None = None
    agent: str | None = None
    reason: str | None = None
    line: int = 0


Row: TypeAlias = EntityRow | EpisodeRow | EvidenceRow | FactRow | EventRow
