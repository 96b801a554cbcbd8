"""What a page shows, asked for in one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ...deciding import picturing
from ...deciding.picturing import Drawn, DrawnRows, LinksAround, Overview, OverviewOf, Starts, Told, ToldRows, Written
from ...deciding.steps import Request, follow
from ...pictures import Picture, PictureQuery
from .. import pictured
from ..exported import EVIDENCE
from .exporting import at, since
from .rows import json_list

__all__ = ["picture"]

_VALUES = "(SELECT value FROM json_each(?))"


def picture(conn: sqlite3.Connection, namespaces: Sequence[str], query: PictureQuery) -> Picture:
    return follow(picturing.picture(namespaces, query), _ANSWERS, conn)


def _overview(conn: sqlite3.Connection, request: Overview) -> OverviewOf:
    spaces = {
        id: name
        for id, name in conn.execute(
            f"SELECT id, name FROM memory_namespace WHERE name IN {_VALUES}", (json_list(request.namespaces),)
        ).fetchall()
    }
    seen = OverviewOf(spaces, _totals(conn, list(spaces)))
    if request.facts:
        seen.links = _recent(conn, list(spaces), request.facts)
        seen.newest = sorted((id for space in spaces for id in _newest(conn, space, request.entities)), reverse=True)
    return seen


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


def _recent(conn: sqlite3.Connection, spaces: Sequence[int], most: int) -> list[Any]:
    found: list[Any] = []
    for space in spaces:
        found += conn.execute(
            "SELECT id, subject, object FROM fact WHERE namespace = ? ORDER BY id DESC LIMIT ?", (space, most)
        ).fetchall()
    if len(spaces) > 1:
        found = sorted(found, key=lambda link: -link[0])[:most]
    return found


def _starts(conn: sqlite3.Connection, request: Starts) -> list[int]:
    rows = conn.execute(
        f"SELECT DISTINCT ifnull(merged_into, id) FROM entity WHERE id IN {_VALUES} "
        f"UNION SELECT subject FROM fact WHERE id IN {_VALUES} "
        f"UNION SELECT object FROM fact WHERE id IN {_VALUES} AND object IS NOT NULL",
        (json_list(request.entities), *[json_list(request.facts)] * 2),
    )
    return [row[0] for row in rows.fetchall()]


def _links(conn: sqlite3.Connection, request: LinksAround) -> Iterator[Any]:
    for entity in request.entities:
        for end in ("subject", "object"):
            rows = conn.execute(
                f"SELECT id, subject, object, namespace FROM fact WHERE {end} = ? ORDER BY id DESC LIMIT ?",
                (entity, request.most),
            )
            yield from (row[:3] for row in rows.fetchall() if row[3] in request.spaces)


def _drawn(conn: sqlite3.Connection, request: Drawn) -> DrawnRows:
    entities = (json_list(request.entities),)
    return DrawnRows(
        since(conn),
        aliases=conn.execute(
            "SELECT DISTINCT a.entity, a.key FROM json_each(?) j CROSS JOIN entity_alias a ON a.entity = j.value "
            "JOIN entity e ON e.id = a.entity WHERE a.key <> e.key ORDER BY a.key",
            entities,
        ).fetchall(),
        entities=conn.execute(
            f"SELECT {pictured.entity_columns(at)} FROM json_each(?) j "
            "CROSS JOIN entity e ON e.id = j.value WHERE e.merged_into IS NULL",
            entities,
        ).fetchall(),
        facts=conn.execute(
            f"SELECT {pictured.fact_columns(at)} FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value ORDER BY f.id",
            (json_list(request.facts),),
        ).fetchall(),
        near=conn.execute(
            "SELECT s.a, s.b, s.cosine FROM json_each(?) j CROSS JOIN entity_similar s ON s.a = j.value", entities
        ).fetchall(),
    )


def _told(conn: sqlite3.Connection, request: Told) -> ToldRows:
    evidence = conn.execute(
        f"SELECT {EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.fact = j.value ORDER BY v.id DESC",
        (json_list(request.facts),),
    ).fetchall()
    return ToldRows(evidence, _mentions(conn, request))


def _mentions(conn: sqlite3.Connection, request: Told) -> Iterator[tuple[int, int]]:
    for entity in request.entities:
        for (episode,) in conn.execute(
            "SELECT m.episode FROM mention m WHERE m.entity = ? ORDER BY m.episode DESC LIMIT ?",
            (entity, request.mentions),
        ).fetchall():
            yield entity, episode


_TEXTS = (
    f"SELECT {pictured.episode_columns(at, 'substr(p.content, 1, ?)', '0')} FROM json_each(?) j "
    "CROSS JOIN episode p ON p.id = j.value"
)
_BEGIN = pictured.begin("max", "min", "instr", ":room", ":length", ":quote")
_AROUND = (
    f"SELECT substr(content, begin + 1, :room), begin FROM (SELECT content, {_BEGIN} AS begin FROM episode p "
    "WHERE id = :id)"
)
# Of a text: its id, and what is shown of it, from which character on, of how many.
_ID, _CONTENT, _LENGTH = 0, slice(8, 10), 10


def _written(conn: sqlite3.Connection, request: Written) -> Iterator[list[Any]]:
    quotes = dict(request.quotes)
    for row in conn.execute(_TEXTS, (request.room, json_list(quotes))).fetchall():
        columns = list(row)
        if columns[_LENGTH] > request.room and quotes[columns[_ID]]:
            columns[_CONTENT] = conn.execute(
                _AROUND,
                {
                    "id": columns[_ID],
                    "length": columns[_LENGTH],
                    "quote": quotes[columns[_ID]],
                    "room": request.room,
                },
            ).fetchone()
        yield columns


_ANSWERS: Mapping[type[Request[Any]], Callable[[sqlite3.Connection, Any], Any]] = {
    Overview: _overview,
    Starts: _starts,
    LinksAround: _links,
    Drawn: _drawn,
    Told: _told,
    Written: _written,
}
