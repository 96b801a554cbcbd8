"""What a page shows, read in one snapshot; how much is read is bounded, whatever the memory holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from ...pictures import (
    MOST_FACTS,
    Link,
    Picture,
    PictureQuery,
    choose,
    cut,
    milliseconds,
    room_for_texts,
    walk,
)
from .rows import json_list
from .states import clocks

__all__ = ["picture"]

_VALUES = "(SELECT value FROM json_each(?))"
_AT = "(SELECT at FROM memory_event WHERE id >= {} ORDER BY id LIMIT 1)"
_LONG_VALUE = 400
_LONG_DESCRIPTION = 600
_LINES_OF_FACT = 4
_BEFORE_QUOTE = 240
_MOST_TEXTS = 20_000


def picture(conn: sqlite3.Connection, namespaces: Sequence[str], query: PictureQuery) -> Picture:
    spaces = {
        id: name
        for id, name in conn.execute(
            f"SELECT id, name FROM memory_namespace WHERE name IN {_VALUES}", (json_list(namespaces),)
        ).fetchall()
    }
    if query.start is None:
        newest = [id for space in spaces for id in _newest(conn, space, query.limit)]
        degrees, facts = choose(_recent(conn, list(spaces)), sorted(newest, reverse=True), query.limit)
    else:
        # Each entity may be a hub: what is read of one leaves room for the others.
        most = max(50, 2 * MOST_FACTS // query.limit)

        def links_of(ids: Sequence[int]) -> Iterator[Link]:
            return (link for id in ids for link in _links(conn, spaces, id, most))

        start = conn.execute(
            f"SELECT DISTINCT ifnull(merged_into, id) FROM entity WHERE id IN {_VALUES} "
            f"UNION SELECT subject FROM fact WHERE id IN {_VALUES} "
            f"UNION SELECT object FROM fact WHERE id IN {_VALUES} AND object IS NOT NULL",
            (json_list(query.start), *[json_list(query.facts)] * 2),
        ).fetchall()
        degrees, facts = walk([row[0] for row in start], query.hops, query.limit, links_of)
        facts = list(dict.fromkeys([*query.facts, *facts]))
    shown = Picture(_totals(conn, list(spaces)))
    _Filling(conn, spaces, shown).fill(degrees, facts, query)
    return shown


def _totals(conn: sqlite3.Connection, spaces: Sequence[int]) -> dict[str, int]:
    """Counted by indexes alone, and no row is looked at that was not merged: a million facts take some 50 ms."""

    def count(table: str, where: str = "namespace = ?") -> int:
        return sum(
            conn.execute(f"SELECT count(*) FROM {table} WHERE {where}", (space,)).fetchone()[0] for space in spaces
        )

    merged = count("entity INDEXED BY entity_merged", "merged_into IS NOT NULL AND namespace = ?")
    return {"entities": count("entity") - merged, "facts": count("fact"), "texts": count("episode")}


def _newest(conn: sqlite3.Connection, space: int, limit: int) -> list[int]:
    rows = conn.execute(
        "SELECT id FROM entity WHERE namespace = ? AND merged_into IS NULL ORDER BY id DESC LIMIT ?", (space, limit)
    )
    return [row[0] for row in rows.fetchall()]


def _recent(conn: sqlite3.Connection, spaces: Sequence[int]) -> list[Link]:
    found: list[Link] = []
    for space in spaces:
        found += conn.execute(
            "SELECT id, subject, object FROM fact WHERE namespace = ? ORDER BY id DESC LIMIT ?", (space, MOST_FACTS)
        ).fetchall()
    if len(spaces) > 1:
        found = sorted(found, key=lambda link: -link[0])[:MOST_FACTS]
    return found


def _links(conn: sqlite3.Connection, spaces: dict[int, str], entity: int, most: int) -> Iterator[Link]:
    for end in ("subject", "object"):
        rows = conn.execute(
            f"SELECT id, subject, object, namespace FROM fact WHERE {end} = ? ORDER BY id DESC LIMIT ?", (entity, most)
        )
        yield from (row[:3] for row in rows.fetchall() if row[3] in spaces)


class _Filling:
    """The rows of a picture, once it is known which they are."""

    def __init__(self, conn: sqlite3.Connection, spaces: dict[int, str], shown: Picture) -> None:
        self.conn = conn
        self.spaces = spaces
        self.shown = shown
        self.known_from = clocks(conn)

    def fill(self, degrees: dict[int, int], facts: Sequence[int], query: PictureQuery) -> None:
        entities = json_list(degrees)
        aliases: dict[int, list[str]] = {}
        for entity, key in self.conn.execute(
            "SELECT DISTINCT a.entity, a.key FROM json_each(?) j CROSS JOIN entity_alias a ON a.entity = j.value "
            "JOIN entity e ON e.id = a.entity WHERE a.key <> e.key ORDER BY a.key",
            (entities,),
        ).fetchall():
            aliases.setdefault(entity, []).append(key)
        for id, space, name, type, description, attributes, agent, created, event, at in self.conn.execute(
            "SELECT e.id, e.namespace, e.name, e.type, e.description, e.attributes, e.agent, e.created_at, "
            f"e.created_event, {_AT.format('e.created_event')} FROM json_each(?) j "
            "CROSS JOIN entity e ON e.id = j.value WHERE e.merged_into IS NULL",
            (entities,),
        ).fetchall():
            if space in self.spaces:
                known = milliseconds(self.known_from(event, created if at is None else at))
                described = cut(description, _LONG_DESCRIPTION)
                more = cut("" if attributes == "{}" else attributes, _LONG_DESCRIPTION)
                self.shown.entities.append(
                    [
                        *(id, self.spaces[space], name, type, described, more, agent, milliseconds(created), known),
                        *(degrees[id], aliases.get(id, [])),
                    ]
                )
        self._facts(facts)
        self._texts(query)
        self.shown.near += [
            [a, b, round(cosine, 3)]
            for a, b, cosine in self.conn.execute(
                "SELECT s.a, s.b, s.cosine FROM json_each(?) j CROSS JOIN entity_similar s ON s.a = j.value",
                (entities,),
            ).fetchall()
            if b in degrees
        ]

    def _facts(self, facts: Sequence[int]) -> None:
        for row in self.conn.execute(
            "SELECT f.id, f.namespace, f.subject, ifnull(f.predicate_given, f.predicate), f.object, "
            "ifnull(f.value_given, f.value), f.text, f.valid_at, f.valid_offset, f.invalid_at, f.invalid_offset, "
            f"f.created_at, f.created_event, {_AT.format('f.created_event')}, f.expired_at, f.expired_event, "
            f"{_AT.format('f.expired_event')}, f.superseded_by, f.agent "
            "FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value ORDER BY f.id",
            (json_list(facts),),
        ).fetchall():
            id, space, subject, predicate, object, value, text, valid, valid_offset, invalid, invalid_offset = row[:11]
            if space not in self.spaces:  # one that was asked for by its id
                continue
            created, event, at, expired, expired_event, expired_clock, superseded_by, agent = row[11:]
            known = self.known_from(event, created if at is None else at)
            until = None
            if expired is not None:
                until = self.known_from(expired_event, expired if expired_clock is None else expired_clock)
            self.shown.facts.append(
                [
                    *(id, self.spaces[space], subject, predicate, object, _shown_value(value), cut(text, _LONG_VALUE)),
                    *(milliseconds(valid), valid_offset, milliseconds(invalid), invalid_offset, milliseconds(created)),
                    *(milliseconds(known), milliseconds(expired), milliseconds(until), superseded_by, agent),
                ]
            )

    def _texts(self, query: PictureQuery) -> None:
        """Why facts are believed, and which texts mention an entity; of a text the part around the first quote."""
        quotes: dict[int, str] = {}
        lines: dict[int, int] = {}
        for fact, episode, quote, confidence, agent, created in self.conn.execute(
            "SELECT v.fact, v.episode, v.quote, v.confidence, v.agent, v.created_at FROM json_each(?) j "
            "CROSS JOIN fact_evidence v ON v.fact = j.value ORDER BY v.id DESC",
            (json_list(fact[0] for fact in self.shown.facts),),
        ).fetchall():
            lines[fact] = lines.get(fact, 0) + 1
            if lines[fact] <= _LINES_OF_FACT:
                said = None if quote is None else cut(quote, _LONG_VALUE)
                self.shown.evidence.append([fact, episode, said, confidence, agent, milliseconds(created)])
                if episode is not None:
                    quotes.setdefault(episode, quote or "")
        for entity in (entity[0] for entity in self.shown.entities):
            for (episode,) in self.conn.execute(
                "SELECT m.episode FROM mention m WHERE m.entity = ? ORDER BY m.episode DESC LIMIT ?",
                (entity, query.mentions),
            ).fetchall():
                self.shown.mentions.append([entity, episode])
                quotes.setdefault(episode, "")
        for episode in query.texts:
            quotes.setdefault(episode, "")
        room = room_for_texts(len(quotes))
        for row in self.conn.execute(
            "SELECT p.id, p.namespace, p.key, p.version, p.session, p.seq, p.agent, p.source, "
            "substr(p.content, 1, ?), 0, length(p.content), p.occurred_at, p.created_at, "
            f"p.created_event, {_AT.format('p.created_event')}, p.expired_at "
            "FROM json_each(?) j CROSS JOIN episode p ON p.id = j.value",
            (room, json_list(islice(quotes, _MOST_TEXTS))),
        ).fetchall():
            *columns, occurred, created, event, at, expired = row
            if columns[1] not in self.spaces:
                continue
            columns[1] = self.spaces[columns[1]]
            if columns[10] > room and quotes[row[0]]:
                columns[8:10] = self._around(row[0], columns[10], quotes[row[0]], room)
            known = milliseconds(self.known_from(event, created if at is None else at))
            times = [milliseconds(occurred), milliseconds(created), known, milliseconds(expired)]
            self.shown.episodes.append([*columns, *times])

    def _around(self, episode: int, length: int, quote: str, room: int) -> tuple[str, int]:
        """The part of a long text around a quote, and where it begins."""
        found: tuple[str, int] = self.conn.execute(
            "SELECT substr(content, begin + 1, :room), begin FROM (SELECT content, "
            "max(0, min(:length - :room, instr(content, :quote) - :before)) AS begin FROM episode WHERE id = :id)",
            {"id": episode, "length": length, "quote": quote, "before": _BEFORE_QUOTE, "room": room},
        ).fetchone()
        return found


def _shown_value(value: str | None) -> Any:
    if value is None:
        return None
    read = json.loads(value)
    return cut(read, _LONG_VALUE) if isinstance(read, str) else read
