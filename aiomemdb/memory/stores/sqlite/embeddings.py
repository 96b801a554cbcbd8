"""Vectors as rows: of one model at a time, while the next one's are prepared beside them; which of them are missing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ...deciding.embedding import check_model
from ...deciding.requests import CountEntities, Embeddable, EmbeddedNames, Lacking
from ...questions import Kind, Model, Token, VectorChanges
from .loading import World
from .rows import json_list
from .states import SQLiteState, active_model, event_upto, namespace_id

__all__ = [
    "count_entities",
    "drop_slice",
    "load_embeddable",
    "load_embedded_names",
    "load_lacking",
    "vector_changes",
    "vectors",
    "without_vector",
]

# Vectors that one job drops: a millisecond or two of the writer's time.
_SLICE = 500
# What has a vector, and the words that it is made from. Merged entities have none: their names are aliases.
_TEXTS = {
    "entity": ("entity", "name", "merged_into IS NULL"),
    "fact": ("fact", "text", "TRUE"),
    "episode": ("episode", "content", "TRUE"),
}


def vector_changes(
    conn: sqlite3.Connection,
    namespace: str,
    kind: Kind,
    model: Model,
    since: Token | None,
    most: int,
) -> VectorChanges:
    """What became of a namespace's vectors since a state; how many there are, where that was of another model."""
    assert since is None or isinstance(since, SQLiteState)
    active, space = active_model(conn), namespace_id(conn, namespace)
    if active is not None:
        check_model(active[1], model)
    event, highest = conn.execute(
        "SELECT (SELECT ifnull(max(id), 0) FROM memory_event), (SELECT ifnull(max(id), 0) FROM entity)"
    ).fetchone()
    state = SQLiteState(event, highest, space, None if active is None else active[0])
    if active is None or space is None:
        return VectorChanges(state, complete=True)
    of_kind = (active[0], space, kind)
    if since is None or (since.space, since.model) != (space, active[0]):
        [count] = conn.execute(
            "SELECT count(*) FROM (SELECT 1 FROM vector WHERE model = ? AND namespace = ? AND kind = ? LIMIT ?)",
            (*of_kind, most + 1),
        ).fetchone()
        return VectorChanges(state, complete=True, count=count)
    touched = [
        row[0]
        for row in conn.execute(
            "SELECT DISTINCT ref FROM memory_event WHERE id > ? AND namespace = ? AND kind = ?",
            (since.event, space, kind),
        ).fetchall()
    ]
    found = _vectors_of(conn, of_kind, touched)
    refs, data = [ref for ref, _ in found], [data for _, data in found]
    gone = list(set(touched).difference(refs))
    return VectorChanges(state, complete=False, refs=refs, data=data, gone=gone)


def vectors(
    conn: sqlite3.Connection,
    namespace: str,
    kind: Kind,
    model: Model,
    refs: Sequence[int] | None,
    after: int,
    limit: int,
) -> list[tuple[int, bytes]]:
    active, space = active_model(conn), namespace_id(conn, namespace)
    if active is None or space is None:
        return []
    check_model(active[1], model)
    if refs is not None:
        return _vectors_of(conn, (active[0], space, kind), refs)
    cursor = conn.cursor()
    cursor.row_factory = None  # of a million rows: plain tuples take half the time
    return cursor.execute(
        "SELECT ref, data FROM vector WHERE model = ? AND namespace = ? AND kind = ? AND ref > ? ORDER BY ref LIMIT ?",
        (active[0], space, kind, after, limit),
    ).fetchall()


def _vectors_of(
    conn: sqlite3.Connection, of_kind: tuple[int, int, Kind], refs: Sequence[int]
) -> list[tuple[int, bytes]]:
    rows = conn.execute(
        "SELECT v.ref, v.data FROM json_each(?) j CROSS JOIN vector v "
        "ON v.model = ? AND v.namespace = ? AND v.kind = ? AND v.ref = j.value ORDER BY v.ref",
        (json_list(refs), *of_kind),
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def without_vector(
    conn: sqlite3.Connection, model: Model, kind: Kind, before: int | None, limit: int
) -> list[tuple[int, str]]:
    lacking, params = _lacking(model, kind)
    rows = conn.execute(
        f"SELECT t.id, t.{_TEXTS[kind][1]} {lacking} AND t.id < ? ORDER BY t.id DESC LIMIT ?",
        (*params, 2**63 - 1 if before is None else before, limit),
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def _lacking(model: Model, kind: Kind) -> tuple[str, tuple[object, ...]]:
    """FROM and WHERE of the rows ``t`` that have no vector of a model, and their parameters."""
    table, _, where = _TEXTS[kind]
    return (
        f"FROM {table} t JOIN memory_namespace n ON n.id = t.namespace "
        f"WHERE {where} AND n.name IS NOT NULL AND NOT EXISTS ("
        "SELECT 1 FROM vector v WHERE v.model = (SELECT id FROM vector_model WHERE name = ? AND dim = ?) "
        "AND v.namespace = t.namespace AND v.kind = ? AND v.ref = t.id)",
        (model.name, model.dim, kind),
    )


def load_embeddable(world: World, request: Embeddable) -> dict[int, str]:
    table, _, where = _TEXTS[request.kind]
    rows = world.conn.execute(
        f"SELECT t.id, n.name FROM json_each(?) j CROSS JOIN {table} t ON t.id = j.value "
        f"JOIN memory_namespace n ON n.id = t.namespace WHERE {where} AND n.name IS NOT NULL",
        (json_list(request.ids),),
    )
    return {row[0]: row[1] for row in rows.fetchall()}


def load_lacking(world: World, request: Lacking) -> dict[Kind, tuple[int, int]]:
    found: dict[Kind, tuple[int, int]] = {}
    for kind in _TEXTS:
        lacking, params = _lacking(request.model, kind)
        if request.since is not None:
            lacking += " AND t.id IN (SELECT ref FROM memory_event WHERE id > ? AND kind = ?)"
            params = (*params, event_upto(request.since), kind)
        count, lowest = world.conn.execute(f"SELECT count(*), min(t.id) {lacking}", params).fetchone()
        if count:
            found[kind] = count, lowest
    return found


def load_embedded_names(world: World, request: EmbeddedNames) -> list[tuple[int, str, bytes]]:
    rows = world.conn.execute(
        "SELECT e.id, n.name, v.data FROM entity e CROSS JOIN memory_namespace n ON n.id = e.namespace "
        "CROSS JOIN vector v ON v.model = (SELECT id FROM vector_model WHERE name = ? AND dim = ?) "
        "AND v.namespace = e.namespace AND v.kind = 'entity' AND v.ref = e.id "
        "WHERE e.id > ? AND e.id <= ? AND n.name IS NOT NULL ORDER BY e.id LIMIT ?",
        (request.model.name, request.model.dim, request.after, request.upto, request.limit),
    )
    return [(row[0], row[1], row[2]) for row in rows.fetchall()]


def count_entities(world: World, request: CountEntities) -> int:
    [count] = world.conn.execute(
        "SELECT count(*) FROM entity e JOIN memory_namespace n ON n.id = e.namespace "
        "WHERE e.id > ? AND e.id <= ? AND e.merged_into IS NULL AND n.name IS NOT NULL",
        (request.after, request.upto),
    ).fetchone()
    return int(count)


def drop_slice(conn: sqlite3.Connection) -> bool:
    """Drops some of the vectors of all models but the file's, which may be another one by now; whether there may be
    more.
    """
    active = active_model(conn)
    for [other] in conn.execute("SELECT id FROM vector_model WHERE id <> ?", (active and active[0],)).fetchall():
        some = "SELECT id FROM vector WHERE model = ? LIMIT ?"
        if conn.execute(f"DELETE FROM vector WHERE id IN ({some})", (other, _SLICE)).rowcount:
            return True
        conn.execute("DELETE FROM vector_model WHERE id = ?", (other,))
    return False
