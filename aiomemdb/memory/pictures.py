"""What a page shows of a memory: read from one state, bounded, as JSON that holds each row as a list. Pure.

Times are whole milliseconds since 1970, rounded up: a moment in whole milliseconds then lies in a half-open period of
microseconds exactly where it lies in the rounded one. What was known at a moment is decided by the order of events,
whatever the clock did; ``known_times`` turns that order into times that are only to be compared.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, TypeAlias

__all__ = [
    "FIELDS",
    "MOST_FACTS",
    "Link",
    "Picture",
    "PictureQuery",
    "Since",
    "among",
    "choose",
    "cut",
    "known_times",
    "milliseconds",
    "room_for_texts",
]

#: A picture looks at this many facts, the newest: it takes no longer in a memory that has more.
MOST_FACTS = 200_000
# Of one entity, how many: literal values crowd out the rest where an agent counts something.
_MOST_OF_ONE = 400
# All texts of a page together, and one of them, in characters.
_TEXTS, _LONGEST, _SHORTEST = 1_400_000, 1_600, 160


@dataclass(frozen=True, slots=True)
class PictureQuery:
    """Which part of a memory.

    Attributes:
        start: ids of entities to begin at; None: the best connected and the newest.
        hops: how far from those; 0: them alone.
        limit: how many entities at most.
        facts, texts: further rows that are to be in it; the ends of such a fact are then too.
        mentions: how many of the texts that mention an entity, of each.
    """

    start: Sequence[int] | None
    hops: int
    limit: int
    facts: Sequence[int] = ()
    texts: Sequence[int] = ()
    mentions: int = 12


@dataclass(slots=True)
class Picture:
    """Rows as ``FIELDS`` names them. ``totals`` is of all that is readable."""

    totals: Mapping[str, int]
    entities: list[list[Any]] = field(default_factory=list)
    facts: list[list[Any]] = field(default_factory=list)
    evidence: list[list[Any]] = field(default_factory=list)
    episodes: list[list[Any]] = field(default_factory=list)
    mentions: list[list[int]] = field(default_factory=list)
    near: list[list[Any]] = field(default_factory=list)

    def to_json(self, **about: Any) -> bytes:
        """It and what is to be said ``about`` it, in UTF-8."""
        rows = {name: getattr(self, name) for name in FIELDS}
        whole = {**about, "totals": self.totals, "fields": FIELDS, **rows}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


FIELDS: Mapping[str, Sequence[str]] = {
    "entities": [
        "id",
        "namespace",
        "name",
        "type",
        "description",
        "attributes",
        "agent",
        "created_at",
        "known_from",
        "degree",  # how many facts are about it, of those that the picture looked at
        "aliases",
    ],
    "facts": [
        "id",
        "namespace",
        "subject",
        "predicate",
        "object",
        "value",
        "text",
        "valid_at",
        "valid_offset",
        "invalid_at",
        "invalid_offset",
        "created_at",
        "known_from",
        "expired_at",
        "known_until",
        "superseded_by",
        "agent",
    ],
    "evidence": ["fact", "episode", "quote", "confidence", "agent", "created_at"],
    "episodes": [
        "id",
        "namespace",
        "key",
        "version",
        "session",
        "seq",
        "agent",
        "source",
        "content",
        "begin",
        "length",
        "occurred_at",
        "created_at",
        "known_from",
        "expired_at",
    ],  # content: from the character ``begin`` on, of ``length``
    "mentions": ["entity", "episode"],
    "near": ["a", "b", "cosine"],
}

#: Of a namespace, a line of the audit and what the clock said there: since when what it made known is known; None:
#: since ever.
Since: TypeAlias = Callable[[str, int, int], int | None]
#: (fact, subject, object), newest first.
Link = tuple[int, int, int | None]


def choose(links: Iterable[Link], newest: Sequence[int], limit: int) -> tuple[dict[int, int], list[int]]:
    """The entities to show, each with how many facts are about it, and the facts among them.

    Three quarters are the best connected, the others the newest: a page of a large memory shows what it is about and
    what was learnt today.

    Args:
        newest: entities, the newest first.
    """
    links = list(links)
    # Counted within C: there are hundreds of thousands.
    degree = Counter(map(itemgetter(1), links))
    degree.update([object for _, subject, object in links if object is not None and object != subject])
    connected = _best_connected(degree, limit)
    chosen = dict.fromkeys(connected[: limit - limit // 4])
    for id in [*newest, *connected[limit - limit // 4 :]]:
        if len(chosen) >= limit:
            break
        chosen[id] = None
    return {id: degree[id] for id in chosen}, among(links, chosen, limit)


def _best_connected(degree: Mapping[int, int], most: int) -> list[int]:
    """At most so many: those with the most links, of equals the older. In a large memory few of all are."""
    least = sorted(degree.values())[-most] if len(degree) > most else 0
    more = [id for id, links in degree.items() if links > least]
    equal = sorted([id for id, links in degree.items() if links == least])
    return [*sorted(more, key=lambda id: (-degree[id], id)), *equal[: most - len(more)]]


def among(links: Iterable[Link], chosen: Mapping[int, object], limit: int) -> list[int]:
    """Facts among the chosen, newest first: of one entity and of all a bounded number."""
    most, facts, values = 10 * limit, list[int](), Counter[int]()
    for fact, subject, object in links:
        if subject not in chosen or (object is not None and object not in chosen):
            continue
        if object is None:
            values[subject] += 1
            if values[subject] > _MOST_OF_ONE:
                continue
        facts.append(fact)
        if len(facts) == most:
            break
    return facts


def known_times(backs: Iterable[tuple[int, int]]) -> Callable[[int, int], int | None]:
    """A function of (event, its clock) to the time from which on what that event made known is known.

    "Known at t" is all up to the newest event with a clock not after t. So an event counts as soon as any event from
    it on has such a clock: from the least of their clocks on. Within a stretch the clock only went on, so that is its
    own, or the first one's of a later stretch. What was there before all events was known since ever: None.

    Args:
        backs: (event, clock) of the first event of each stretch before which the clock had gone back.
    """
    stretches = [(first, clock) for first, clock in backs]

    def known_from(event: int, at: int) -> int | None:
        return None if event == 0 else min([at, *(clock for first, clock in stretches if first > event)])

    return known_from


def milliseconds(micros: int | None) -> int | None:
    """Rounded up."""
    return None if micros is None else -(-micros // 1000)


def cut(text: str, most: int) -> str:
    """A text as the page shows it: of a long one its begin, and how long it is."""
    return text if len(text) <= most else f"{text[:most]}… ({len(text):,} characters)"


def room_for_texts(count: int) -> int:
    """How many characters of each text the page holds."""
    return max(_SHORTEST, min(_LONGEST, _TEXTS // max(1, count)))
