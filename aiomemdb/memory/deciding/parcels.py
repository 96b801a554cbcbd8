"""What is brought back in one job, and what its rule asks of a store beside the requests of all rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ...formats.rows import EntityRow, EpisodeRow, EventRow, EvidenceRow, FactRow
from ..questions import Kind, Model
from .steps import Request

__all__ = ["EvidenceThere", "FactLike", "FactsLike", "LinesThere", "MergedLike", "Parcel", "TextLike", "TextsLike"]

#: Kind, number in the file.
Numbered = tuple[Kind, int]


@dataclass(slots=True, eq=False)
class Parcel:
    """Rows of a file, in its order.

    Attributes:
        found: by kind and number, the ids of rows of earlier parcels that these refer to.
        taken: whether a row of the memory is what an earlier row of a namespace of the file has become: (kind, that
            namespace, id).
        here: by a namespace of the file, where its rows go.
        model: of the vectors.
    """

    here: Mapping[str, str]
    taken: Callable[[Kind, str, int], bool]
    model: Model | None = None
    found: dict[Numbered, int] = field(default_factory=dict)
    entities: list[EntityRow] = field(default_factory=list)
    episodes: list[EpisodeRow] = field(default_factory=list)
    facts: list[FactRow] = field(default_factory=list)
    evidence: list[EvidenceRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.entities) + len(self.episodes) + len(self.facts) + len(self.evidence) + len(self.events)


class TextLike(NamedTuple):
    """A text that is there: under the key that was asked for, or without one of the same session, place and time.

    Attributes:
        asked: which of those asked for.
        same: whether its content is the same.
    """

    asked: int
    id: int
    version: int
    same: bool
    created_at: int
    is_current: bool


@dataclass(slots=True, eq=False)
class TextsLike(Request[list[TextLike]]):
    """Texts under keys, all versions; and without a key those that are the same: (namespace, key, session, seq,
    created_at, content). By id.
    """

    texts: Sequence[tuple[str, str | None, str | None, int | None, int, str]]


class FactLike(NamedTuple):
    """A fact that is there, of the subject, object and time that were asked for. ``value`` is canonical JSON."""

    asked: int
    id: int
    predicate: str
    value: str | None
    valid_at: int | None
    invalid_at: int | None
    is_believed: bool
    superseded_by: int | None


@dataclass(slots=True, eq=False)
class FactsLike(Request[list[FactLike]]):
    """Facts that became known at a time: (subject, object, created_at). By id."""

    facts: Sequence[tuple[int, int | None, int]]


@dataclass(slots=True, eq=False)
class EvidenceThere(Request[set[int]]):
    """Which of these are evidence already: (fact, text, agent), by their places."""

    evidence: Sequence[tuple[int, int | None, str | None]]


@dataclass(slots=True, eq=False)
class MergedLike(Request[list[tuple[int, int]]]):
    """Which entities that were merged away are there: (into, name, created_at); (place of the asked one, id), by id."""

    entities: Sequence[tuple[int, str, int]]


@dataclass(slots=True, eq=False)
class LinesThere(Request[set[int]]):
    """Which of these are lines of the audit: (kind, ref, at, operation), by their places."""

    lines: Sequence[tuple[Kind, int, int, str]]
