"""Rows as they move: all that a namespace has, in slices by id. Numbers are the ids of the file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from ....formats.rows import EntityRow, EpisodeRow, EvidenceRow, FactRow, Row
from ...exporting import Contents, Part
from ...pictures import Since
from ...questions import Model
from .. import exported
from .rows import json_list
from .setwise import load
from .states import active_model, clocks

__all__ = ["at", "contents", "evidence_of_texts", "rows", "since"]

_VALUES = "(SELECT value FROM json_each(:{0}))"


def contents(conn: sqlite3.Connection, namespaces: Sequence[str] | None) -> Contents:
    """What there is; None: of all namespaces, by name."""
    there = [row[0] for row in conn.execute(exported.SPACES.format(""))]
    chosen = there if namespaces is None else [name for name in dict.fromkeys(namespaces) if name in there]
    here = {"spaces": json_list(chosen)}
    counts = {
        words: conn.execute(
            f"SELECT count(*) FROM {table} WHERE namespace IN (SELECT id FROM memory_namespace "
            f"WHERE name IN {_VALUES.format('spaces')})",
            here,
        ).fetchone()[0]
        for words, table in (("entities", "entity"), ("episodes", "episode"), ("facts", "fact"))
    }
    normalisers = conn.execute("SELECT key, value FROM memory_meta WHERE key LIKE '%normaliser'").fetchall()
    model = active_model(conn)
    return Contents(chosen, {row[0]: row[1] for row in normalisers}, None if model is None else model[1], counts)


def at(letter: str, line: str) -> str:
    """What the clock said at the line in a column."""
    return f"(SELECT v.at FROM memory_event v WHERE v.id >= {letter}.{line} ORDER BY v.id LIMIT 1)"


def since(conn: sqlite3.Connection) -> Since:
    """All namespaces have one clock."""
    known = clocks(conn)
    return lambda _, event, at: known(event, at)


def rows(
    conn: sqlite3.Connection, part: Part, namespaces: Sequence[str], after: int, limit: int, model: Model | None
) -> list[Row]:
    """The next rows of a part, with the vectors of a model."""
    spaces = json_list(
        row[0]
        for row in conn.execute(
            f"SELECT id FROM memory_namespace WHERE name IN {_VALUES.format('spaces')}",
            {"spaces": json_list(namespaces)},
        )
    )
    params = {"spaces": spaces, "after": after, "limit": limit}
    found = _PARTS[part](conn, params)
    if part == "event" or not found:
        return found
    kind = "entity" if part == "merged" else part
    by_id = {row.number: row for row in found if isinstance(row, EntityRow | EpisodeRow | FactRow)}
    firsts = conn.execute(
        "SELECT j.value, v.operation, v.at, v.agent, v.other, v.reason FROM json_each(?) j LEFT JOIN memory_event v "
        "ON v.id = (SELECT min(w.id) FROM memory_event w WHERE w.ref = j.value AND w.kind = ? "
        "AND w.operation <> 'import')",
        (json_list(by_id), kind),
    )
    exported.note_made(by_id.values(), firsts.fetchall())
    if model is not None:
        vectors = conn.execute(
            "SELECT v.ref, v.data FROM memory_namespace n CROSS JOIN vector v "
            "ON v.model = (SELECT id FROM vector_model WHERE name = :model AND dim = :dim) "
            "AND v.namespace = n.id AND v.kind = :kind "
            f"AND v.ref IN {_VALUES.format('ids')} WHERE n.id IN {_VALUES.format('spaces')}",
            {"model": model.name, "dim": model.dim, "kind": kind, "ids": json_list(by_id), "spaces": spaces},
        )
        for ref, data in vectors.fetchall():
            by_id[ref].vector = data
    return found


# Lines are those of the file: of all namespaces.
_MOMENTS = (
    "s.space, s.at, s.first, (SELECT min(w.id) FROM memory_event w LEFT JOIN entity m ON m.id = w.ref "
    f"WHERE w.id BETWEEN s.first AND s.high AND {exported.APART})",
    "(SELECT r.space, r.at, r.high, ifnull((SELECT max(w.id) FROM memory_event w WHERE w.id < r.low "
    "AND w.at < r.at), 0) + 1 AS first FROM {rows} r) s",
)


def _entities(conn: sqlite3.Connection, params: dict[str, object], merged: bool = False) -> list[Row]:
    read = conn.execute(
        f"SELECT {exported.entity_columns(at)} FROM entity e JOIN memory_namespace n ON n.id = e.namespace "
        f"WHERE e.id > :after AND e.namespace IN {_VALUES.format('spaces')} "
        f"AND e.merged_into IS {'NOT' if merged else ''} NULL ORDER BY e.id LIMIT :limit",
        params,
    ).fetchall()
    known_since = since(conn)
    found = {row[0]: exported.entity_row(row, known_since) for row in read}
    lines = load(conn, *_MOMENTS, {}, "space at low high", exported.moments(found.values(), read))
    exported.note_moments(found.values(), read, lines)
    ids = (json_list(found),)
    for id, key, type in conn.execute(
        "SELECT a.entity, a.key, a.type FROM json_each(?) j CROSS JOIN entity_alias a ON a.entity = j.value "
        "ORDER BY a.key, a.type",
        ids,
    ).fetchall():
        found[id].aliases.append((key, type))
    for id, other, cosine in conn.execute(
        "SELECT s.b, s.a, s.cosine FROM json_each(?) j CROSS JOIN entity_similar s ON s.b = j.value ORDER BY s.a", ids
    ).fetchall():
        found[id].near.append((other, cosine))
    return list(found.values())


def _merged(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    return _entities(conn, params, merged=True)


def _episodes(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    read = conn.execute(
        f"SELECT {exported.episode_columns(at)} FROM episode p JOIN memory_namespace n ON n.id = p.namespace "
        f"WHERE p.id > :after AND p.namespace IN {_VALUES.format('spaces')} ORDER BY p.id LIMIT :limit",
        params,
    ).fetchall()
    known_since = since(conn)
    found = {row[0]: exported.episode_row(row, known_since) for row in read}
    for id, entity in conn.execute(
        "SELECT m.episode, m.entity FROM json_each(?) j CROSS JOIN mention m ON m.episode = j.value ORDER BY m.entity",
        (json_list(found),),
    ).fetchall():
        found[id].mentions.append(entity)
    return list(found.values())


def _facts(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    read = conn.execute(
        f"SELECT {exported.fact_columns(at)} FROM fact f JOIN memory_namespace n ON n.id = f.namespace "
        f"WHERE f.id > :after AND f.namespace IN {_VALUES.format('spaces')} ORDER BY f.id LIMIT :limit",
        params,
    ).fetchall()
    known_since = since(conn)
    found = {row[0]: exported.fact_row(row, known_since) for row in read}
    for row in conn.execute(
        f"SELECT {exported.EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.fact = j.value "
        "ORDER BY v.fact, v.id",
        (json_list(found),),
    ).fetchall():
        found[row[0]].evidence.append(exported.evidence_row(row, stands_with_its_fact=True))
    return list(found.values())


def evidence_of_texts(conn: sqlite3.Connection, texts: Sequence[int]) -> list[EvidenceRow]:
    """What texts evidence, in the order in which it was said."""
    read = conn.execute(
        f"SELECT {exported.EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.episode = j.value "
        "ORDER BY v.id",
        (json_list(texts),),
    )
    return [exported.evidence_row(row) for row in read.fetchall()]


def _events(conn: sqlite3.Connection, params: dict[str, object]) -> list[Row]:
    read = conn.execute(
        f"SELECT {exported.EVENT} FROM memory_event v JOIN memory_namespace n ON n.id = v.namespace "
        f"WHERE v.id > :after AND v.namespace IN {_VALUES.format('spaces')} AND {exported.OF_ROWS} "
        "ORDER BY v.id LIMIT :limit",
        params,
    )
    return [exported.event_row(row) for row in read.fetchall()]


_PARTS: dict[Part, Callable[[sqlite3.Connection, dict[str, object]], list[Row]]] = {
    "entity": _entities,
    "merged": _merged,
    "episode": _episodes,
    "fact": _facts,
    "event": _events,
}
