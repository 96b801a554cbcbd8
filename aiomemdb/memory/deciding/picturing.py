"""What a page shows: the rule by which it is chosen, and made of rows. It only reads, and how much is bounded, whatever
the memory holds.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeAlias

from ...values import Row
from ..pictures import MOST_FACTS, Link, Picture, PictureQuery, Since, among, choose, cut, milliseconds, room_for_texts
from .steps import Request, Steps

__all__ = [
    "Drawn",
    "DrawnRows",
    "LinksAround",
    "Overview",
    "OverviewOf",
    "Starts",
    "Told",
    "ToldRows",
    "Written",
    "picture",
    "walk",
]

_LONG_VALUE = 400
_LONG_DESCRIPTION = 600
_LINES_OF_FACT = 4
_MOST_TEXTS = 20_000

_Row: TypeAlias = Sequence[Any] | Row


# -- what is asked -----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class OverviewOf:
    """What is readable.

    Attributes:
        spaces: namespaces by their ids.
        totals: how many entities, facts and texts they have.
        links: of the newest facts, these first.
        newest: entities, the newest first.
    """

    spaces: dict[int, str]
    totals: Mapping[str, int]
    links: Iterable[Any] = ()
    newest: Sequence[int] = ()


@dataclass(slots=True, eq=False)
class Overview(Request[OverviewOf]):
    """What is readable, and the newest of it: so many facts of all, so many entities of each namespace."""

    namespaces: Sequence[str]
    facts: int
    entities: int


@dataclass(slots=True, eq=False)
class Starts(Request[list[int]]):
    """Ids of entities: these, or what they were merged into, and the ends of facts; in order, each once."""

    spaces: Sequence[int]
    entities: Sequence[int]
    facts: Sequence[int]


@dataclass(slots=True, eq=False)
class LinksAround(Request[Iterable[Any]]):
    """Links of entities: of each of them at most so many as a subject, and as an object, the greatest ids."""

    spaces: Mapping[int, str]
    entities: Sequence[int]
    most: int


@dataclass(slots=True)
class DrawnRows:
    """Rows as ``stores/pictured.py`` has their columns.

    Attributes:
        entities: of those that were not merged away, in the order of the request.
        aliases: (entity, key), by key, without that of its name.
        facts: by id.
        near: (a, b, cosine), by ``a`` in the order of the request, and then by ``b``.
    """

    since: Since
    entities: Iterable[_Row]
    aliases: Iterable[_Row]
    facts: Iterable[_Row]
    near: Iterable[_Row]


@dataclass(slots=True, eq=False)
class Drawn(Request[DrawnRows]):
    """Entities and facts, by id."""

    spaces: Sequence[int]
    entities: Sequence[int]
    facts: Sequence[int]


@dataclass(slots=True)
class ToldRows:
    """Rows: evidence, the latest first; (entity, text), the greatest ids of texts first."""

    evidence: Iterable[_Row]
    mentions: Iterable[_Row]


@dataclass(slots=True, eq=False)
class Told(Request[ToldRows]):
    """The evidence of facts, and at most so many texts that mention each of some entities."""

    spaces: Sequence[int]
    facts: Sequence[int]
    entities: Sequence[int]
    mentions: int


@dataclass(slots=True, eq=False)
class Written(Request[Iterable[_Row]]):
    """Texts, each with the quote around which a long one is cut to so many characters; '': its begin."""

    spaces: Sequence[int]
    quotes: Sequence[tuple[int, str]]
    room: int


# -- the rule ----------------------------------------------------------------------------------------------------------


def picture(namespaces: Sequence[str], query: PictureQuery) -> Steps[Picture]:
    """What a page shows."""
    if query.start is None:
        seen = yield from Overview(namespaces, MOST_FACTS, query.limit)
        degrees, facts = choose(seen.links, seen.newest, query.limit)
    else:
        seen = yield from Overview(namespaces, 0, 0)
        # Each entity may be a hub: what is read of one leaves room for the others.
        most = max(50, 2 * MOST_FACTS // query.limit)
        start = yield from Starts(list(seen.spaces), query.start, query.facts)
        degrees, facts = yield from walk(start, query.hops, query.limit, seen.spaces, most)
        facts = list(dict.fromkeys([*query.facts, *facts]))
    filling = _Filling(seen, query)
    yield from filling.drawn(degrees, facts)
    yield from filling.told()
    return filling.shown


def walk(
    start: Iterable[int], hops: int, limit: int, spaces: Mapping[int, str], most: int
) -> Steps[tuple[dict[int, int], list[int]]]:
    """As ``choose``, for what is within ``hops`` facts of where it starts: nearest first, of those equally near the
    ones with most links to what was found before.
    """
    found, links = dict.fromkeys(start), dict[int, Link]()
    frontier = list(found)
    for hop in range(hops + 1):
        reached = Counter[int]()
        for link in (yield from LinksAround(spaces, frontier, most)):
            links[link[0]] = link
            for end in link[1:]:
                if end is not None and end not in found:
                    reached[end] += 1
        # Behind the last hop only the facts among those found are wanted.
        frontier = sorted(reached, key=lambda id: (-reached[id], id))[: limit - len(found)] if hop < hops else []
        if not frontier:
            break
        found.update(dict.fromkeys(frontier))
    degree = Counter(end for link in links.values() for end in set(link[1:]) if end is not None)
    newest_first = sorted(links.values(), reverse=True)
    return {id: degree[id] for id in found}, among(newest_first, found, limit)


class _Filling:
    """The rows of a picture, once it is known which they are."""

    def __init__(self, seen: OverviewOf, query: PictureQuery) -> None:
        self.spaces = seen.spaces
        self.query = query
        self.shown = Picture(seen.totals)
        self.since: Since

    def known(self, space: int, event: int, at: int | None, row_at: int) -> int | None:
        return milliseconds(self.since(self.spaces[space], event, row_at if at is None else at))

    def drawn(self, degrees: dict[int, int], facts: Sequence[int]) -> Steps[None]:
        rows = yield from Drawn(list(self.spaces), list(degrees), facts)
        self.since = rows.since
        aliases: dict[int, list[str]] = {}
        for entity, key in rows.aliases:
            aliases.setdefault(entity, []).append(key)
        for id, space, name, type, description, attributes, agent, created, event, at in rows.entities:
            if space in self.spaces:
                described = cut(description, _LONG_DESCRIPTION)
                more = cut("" if attributes == "{}" else attributes, _LONG_DESCRIPTION)
                times = milliseconds(created), self.known(space, event, at, created)
                self.shown.entities.append(
                    [
                        *(id, self.spaces[space], name, type, described, more, agent, *times),
                        *(degrees[id], aliases.get(id, [])),
                    ]
                )
        for row in rows.facts:
            self._fact(row)
        there = {entity[0] for entity in self.shown.entities}
        self.shown.near += [[a, b, round(cosine, 3)] for a, b, cosine in rows.near if a in there and b in there]

    def _fact(self, row: _Row) -> None:
        id, space, subject, predicate, object, value, text, valid, valid_offset, invalid, invalid_offset = row[:11]
        if space not in self.spaces:  # one that was asked for by its id
            return
        created, event, at, expired, expired_event, expired_clock, superseded_by, agent = row[11:]
        until = None if expired is None else self.known(space, expired_event, expired_clock, expired)
        self.shown.facts.append(
            [
                *(id, self.spaces[space], subject, predicate, object, _shown_value(value), cut(text, _LONG_VALUE)),
                *(milliseconds(valid), valid_offset, milliseconds(invalid), invalid_offset, milliseconds(created)),
                *(self.known(space, event, at, created), milliseconds(expired), until, superseded_by, agent),
            ]
        )

    def told(self) -> Steps[None]:
        """Why facts are believed, and which texts mention an entity; of a text the part around the first quote."""
        spaces, shown, query = list(self.spaces), self.shown, self.query
        facts, entities = [fact[0] for fact in shown.facts], [entity[0] for entity in shown.entities]
        rows = yield from Told(spaces, facts, entities, query.mentions)
        quotes: dict[int, str] = {}
        lines: dict[int, int] = {}
        for fact, episode, quote, confidence, agent, created in rows.evidence:
            lines[fact] = lines.get(fact, 0) + 1
            if lines[fact] <= _LINES_OF_FACT:
                said = None if quote is None else cut(quote, _LONG_VALUE)
                shown.evidence.append([fact, episode, said, confidence, agent, milliseconds(created)])
                if episode is not None:
                    quotes[episode] = quotes.get(episode) or quote or ""
        for entity, episode in rows.mentions:
            shown.mentions.append([entity, episode])
            quotes.setdefault(episode, "")
        for episode in query.texts:
            quotes.setdefault(episode, "")
        texts = yield from Written(spaces, list(islice(quotes.items(), _MOST_TEXTS)), room_for_texts(len(quotes)))
        for row in texts:
            *columns, occurred, created, event, at, expired = row
            space = columns[1]
            if space not in self.spaces:
                continue
            columns[1] = self.spaces[space]
            known = self.known(space, event, at, created)
            shown.episodes.append(
                [*columns, milliseconds(occurred), milliseconds(created), known, milliseconds(expired)]
            )


def _shown_value(value: str | None) -> Any:
    if value is None:
        return None
    read = json.loads(value)
    return cut(read, _LONG_VALUE) if isinstance(read, str) else read
