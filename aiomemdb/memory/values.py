"""Frozen values that the memory graph hands out and takes. Ids are ints local to the file, never used again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeAlias

from .prompt import cut, estimate_tokens, excerpt, one_line, pack

__all__ = [
    "Change",
    "Counts",
    "Entity",
    "Episode",
    "Event",
    "Evidence",
    "Fact",
    "Forgotten",
    "Hit",
    "Name",
    "NameLike",
    "Recall",
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
    """When it was made, or the first of those that were merged into it."""
    implied: bool = False
    """So far only ``add_facts(..., missing="imply")`` has named it."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name with a type and a description, where a plain ``str`` says too little: ``Name("Apple", "company")``."""

    name: str
    type: str | None = None
    description: str = ""


#: The subject of a fact or a text: a name, found or created, or an entity that you have already.
NameLike: TypeAlias = str | Name | Entity


@dataclass(frozen=True, slots=True)
class Fact:
    """``subject predicate object`` (or a literal ``value``), with two times, both half-open.

    World time: it holds from ``valid_at`` until before ``invalid_at``; None is unbounded. Both come back with the
    offset from UTC that they were given with, in whole minutes.
    Knowledge time: it was believed from ``created_at`` until before ``expired_at``; None is until now. Both are what
    the clock said, in UTC; what came first is told by the events (see ``Event``).
    """

    id: int
    namespace: str
    subject: int
    predicate: str
    """As it was written; predicates are one if they are equal once normalised."""
    object: int | None
    value: Scalar | None
    """As it was given; strings are one in all their canonical forms (NFC), and in no other way."""
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

    id: int
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
    """With the offset from UTC that it was given with, in whole minutes."""
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
    """In the order in which they were given. Where the text was there already: all believed ones of it, by id."""
    entities: tuple[Entity, ...]
    """All that the text and its facts name, each once."""
    created: bool
    """False where this very text was there under its key."""


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
    """One line of the audit: what was done, to what, when and by which agent; never what it said."""

    id: int
    """The order of knowledge: ids only grow, whatever the clock does."""
    at: datetime
    """The clock's time, which may be before that of an earlier event. ``known_at=t`` is all up to the newest event with
    an ``at`` that is not after ``t``."""
    operation: str
    kind: str
    """"entity", "fact", "episode" or "namespace"."""
    ref: int
    other: int | None
    """What it was merged into or superseded by."""
    agent: str | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What was done, as the feed of a memory reports it."""

    event: Event
    item: Entity | Fact | Episode | None
    """What it was done to, as it is now. None: it was forgotten or merged since, or it is a namespace."""
    position: str
    """Behind it: ``memory.changes(after=position)`` goes on there."""


@dataclass(frozen=True, slots=True)
class Subgraph:
    """The surroundings of an entity."""

    entities: tuple[Entity, ...]
    """Nearest first; the first one is where the walk began."""
    facts: tuple[Fact, ...]
    truncated: bool
    """Whether ``limit`` cut it short."""


@dataclass(frozen=True, slots=True)
class Hit:
    """What recall found, and why."""

    kind: str
    """"fact", "episode" or "entity"."""
    item: Fact | Episode | Entity
    score: float
    """How sure recall is of it: from 0 to 1, and the same from one question to the next.

    The first hit has how much of what the question asks for the memory has: of its words, rare ones counting more, the
    share that the best text or fact has; with an embedder 0.6 of that and 0.4 of the cosine of the nearest one. The
    others stand to it as they rank. After a ``rerank`` hook it is what that returned.
    """
    bm25: float | None
    """How well the question's words fit it; None: by words it was not found."""
    similarity: float | None
    """The cosine of its vector and the question's; None: by vectors it was not found, or there are none."""
    hops: int
    """0: what was asked for is in it. More: it is so many links away from what was found."""
    via: tuple[tuple[str, int], ...]
    """(kind, id) of what led to it, from where that began; empty: the question itself."""
    evidence: tuple[Evidence, ...]
    """Of a fact: why it is believed."""

    @property
    def text(self) -> str:
        """What it says: a fact as a sentence, a text, an entity's name and description."""
        if isinstance(self.item, Fact):
            return self.item.text
        if isinstance(self.item, Episode):
            return self.item.content
        return f"{self.item.name}: {self.item.description}" if self.item.description else self.item.name

    def lines(self, question: str = "") -> tuple[str, ...]:
        """It as a line for a model, shorter ones after longer ones: with and without what evidences it, a long text
        whole and the part of it that has the question's words.
        """
        item, name = self.item, f"[{self.kind} {self.item.id}]"
        if isinstance(item, Fact):
            line = f"- {one_line(item.text)}{_period(item)} {name}"
            quotes = [one_line(each.quote) for each in self.evidence if each.quote]
            return (f'{line} "{quotes[0]}"', line) if quotes else (line,)
        if isinstance(item, Entity):
            parts = [
                item.name,
                f" ({item.type})" if item.type else "",
                f": {item.description}" if item.description else "",
            ]
            return (f"- {one_line(''.join(parts))} {name}",)
        when = "" if item.occurred_at is None else f"{item.occurred_at:%Y-%m-%d}: "
        content = one_line(item.content)
        return tuple(dict.fromkeys(f"- {when}{text} {name}" for text in (content, excerpt(content, question))))


def _period(fact: Fact) -> str:
    """When it holds, where that is bounded."""
    begin = f"from {fact.valid_at:%Y-%m-%d}" if fact.valid_at else ""
    end = f"until {fact.invalid_at:%Y-%m-%d}" if fact.invalid_at else ""
    return f" ({' '.join(filter(None, (begin, end)))})" if begin or end else ""


@dataclass(frozen=True, slots=True)
class Recall:
    """What a question brought back, best first."""

    query: str
    hits: tuple[Hit, ...]
    found: int
    """How many were found in all; ``limit`` and ``budget`` left out the rest."""

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    def __str__(self) -> str:
        """A line for the question and one for each hit, of 80 columns at most: its score, what it is, what it says."""
        lines = (f"{hit.score:6.2f}  {hit.kind:<7} {hit.item.id:>6}  {one_line(hit.text)}" for hit in self.hits)
        first = f"{cut(one_line(self.query), 50)!r}: {len(self.hits)} of {self.found} found"
        return "\n".join([first, *(cut(line, 80) for line in lines)])

    def to_prompt(self, budget: int | None = None, *, count: Callable[[str], int] = estimate_tokens) -> str:
        """The hits as lines for a model, best first, and a last one that says how much was left out.

        Args:
            budget: how many tokens it may have; what is too long is shortened or left out, and what is shorter and
                comes later still gets in. None: all. If not even the last line has room, it is "".
            count: how many tokens a text has; the default is an estimate.

        Raises: ValueError: a negative budget.
        """
        return "\n".join(line for _, line in self._packed(budget, count))

    def within(self, budget: int, *, count: Callable[[str], int] = estimate_tokens) -> Recall:
        """The same with only the hits that ``to_prompt(budget)`` shows. Raises: ValueError: a negative budget."""
        places = [place for place, _ in self._packed(budget, count)[:-1]]
        return replace(self, hits=tuple(self.hits[place] for place in places))

    def _packed(self, budget: int | None, count: Callable[[str], int]) -> list[tuple[int, str]]:
        """(place of the hit, its line), and the last line."""
        entries = [hit.lines(self.query) for hit in self.hits]
        if budget is None:
            chosen = [(place, versions[0]) for place, versions in enumerate(entries)]
        elif budget < 0:
            raise ValueError(f"budget={budget}: how many tokens, from 0 on")
        else:
            room = budget - count(_coverage(self.found, self.found))  # its longest form
            if room < 0:
                return []
            chosen = pack(entries, room, count)
        return [*chosen, (-1, _coverage(len(chosen), self.found))]


def _coverage(shown: int, found: int) -> str:
    return f"({shown} of {found} found are shown, {found - shown} left out)"
