"""Frozen values that the memory graph hands out and takes. Ids are ints local to the file, never used again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

__all__ = [
    "Counts",
    "Entity",
    "Episode",
    "Event",
    "Evidence",
    "Fact",
    "Forgotten",
    "Name",
    "NameLike",
    "Remembered",
    "Scalar",
    "Statement",
    "Subgraph",
]

#: A literal that a fact may state: a JSON scalar.
Scalar: TypeAlias = str | int | float | bool


@dataclass(frozen=True, slots=True)
class Entity:
    """A person, a thing, an idea: one of each name (and type) in a namespace."""

    id: int
    namespace: str
    name: str
    """As it was first written; other ways to write it are aliases."""
    type: str | None
    description: str
    attributes: Mapping[str, Any] = field(hash=False)
    """Whatever JSON an agent attached."""
    agent: str | None
    """Who made it."""
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Name:
    """A name with a type and a description, where a plain ``str`` says too little: ``Name("Apple", "company")``."""

    name: str
    type: str | None = None
    description: str = ""


#: Whom a fact or a text is about: a name, found or created, or an entity that one has already.
NameLike: TypeAlias = str | Name | Entity


@dataclass(frozen=True, slots=True)
class Fact:
    """``subject predicate object`` (or a literal ``value``), with two times, both half-open.

    World time: it holds from ``valid_at`` until before ``invalid_at``; None is unbounded.
    Knowledge time: it was believed from ``created_at`` until before ``expired_at``; None is until now.
    """

    id: int
    namespace: str
    subject: int
    predicate: str
    """Normalised."""
    object: int | None
    value: Scalar | None
    text: str
    """The fact as a sentence; what word search finds."""
    valid_at: datetime | None
    invalid_at: datetime | None
    created_at: datetime
    expired_at: datetime | None
    superseded_by: int | None
    """The fact that took its place; it may have been forgotten since."""
    agent: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a fact is believed: a text says so, or an agent did directly (``episode`` is None)."""

    fact: int
    episode: int | None
    quote: str | None
    confidence: float
    """From 0 to 1."""
    agent: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Episode:
    """A text that an agent read, heard or wrote, kept as it was."""

    id: int
    namespace: str
    key: str | None
    version: int
    """1, 2, ...: versions of one key; all but the latest are superseded."""
    session: str | None
    seq: int | None
    """Place in its session."""
    agent: str | None
    source: str | None
    content: str
    metadata: Mapping[str, Any] = field(hash=False)
    occurred_at: datetime | None
    created_at: datetime
    expired_at: datetime | None
    """When a newer version took its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A fact to be stated by ``remember``; the fields are the parameters of ``add_fact``.

    A tuple ``(subject, predicate, object)`` serves as well.
    """

    subject: NameLike
    predicate: str
    object: NameLike | None = None
    value: Scalar | None = None
    text: str | None = None
    quote: str | None = None
    valid_at: datetime | None = None
    invalid_at: datetime | None = None
    confidence: float = 1.0
    replace: bool = False


@dataclass(frozen=True, slots=True)
class Remembered:
    """What ``remember`` stored."""

    episode: Episode
    facts: tuple[Fact, ...]
    """In the order in which they were given."""
    entities: tuple[Entity, ...]
    """All that the text and its facts name, each once."""
    created: bool
    """False where this very text was there under its key, and nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """How many rows of each kind were deleted."""

    entities: int = 0
    aliases: int = 0
    facts: int = 0
    evidence: int = 0
    episodes: int = 0
    mentions: int = 0

    def __add__(self, other: Forgotten) -> Forgotten:
        return Forgotten(**{kind: getattr(self, kind) + getattr(other, kind) for kind in self.__slots__})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many rows of each kind a namespace has."""

    entities: int
    aliases: int
    facts: int
    """Believed now."""
    expired_facts: int
    evidence: int
    episodes: int
    mentions: int
    similar: int
    vectors: int


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit: what was done, to what, when and by whom; never what it said."""

    id: int
    at: datetime
    """Knowledge time: it never goes back, and no two jobs share one."""
    operation: str
    kind: str
    """"entity", "fact", "episode" or "namespace"."""
    ref: int
    other: int | None
    """What it was merged into or superseded by."""
    agent: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Subgraph:
    """The surroundings of an entity."""

    entities: tuple[Entity, ...]
    """Nearest first; the first one is where the walk began."""
    facts: tuple[Fact, ...]
    truncated: bool
    """Whether ``limit`` cut it short."""
