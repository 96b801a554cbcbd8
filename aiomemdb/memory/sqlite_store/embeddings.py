"""Vectors as rows: of one model at a time, while the next one's are prepared beside them."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..store import Kind, Model, Scope, VectorChanges
from .rows import json_list
from .work import Work, active_model, check_model, model_id, namespace_id

__all__ = ["drop_slice", "put_vectors", "switch_model", "vector_changes", "vectors_after", "without_vector"]

# Vectors that one job drops: a millisecond or two of the writer's time.
_SLICE = 500
# What has a vector, and of which words. Merged entities have none: their names are aliases.
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
    known: tuple[int, int] | None,
    since: int,
    most: int,
) -> VectorChanges:
    """What became of a namespace's vectors since an event; all of them where the event was of another one."""
    active, space = active_model(conn), namespace_id(conn, namespace)
    if active is not None:
        check_model(active[1], model)
    event, highest = conn.execute(
        "SELECT (SELECT ifnull(max(id), 0) FROM memory_event), (SELECT ifnull(max(id), 0) FROM entity)"
    ).fetchone()
    if active is None or space is None:
        return VectorChanges(space, None if active is None else active[0], event, highest, complete=True)
    of_kind = (active[0], space, kind)
    if known != (space, active[0]):
        if conn.execute(
            "SELECT 1 FROM vector WHERE model = ? AND namespace = ? AND kind = ? LIMIT 1 OFFSET ?",
            (*of_kind, max(most, 0)),
        ).fetchone():
            return VectorChanges(space, active[0], event, highest, complete=True, too_many=True)
        rows = conn.execute(
            "SELECT ref, data FROM vector WHERE model = ? AND namespace = ? AND kind = ? ORDER BY ref",
            of_kind,
        ).fetchall()
        refs, data = [row[0] for row in rows], [row[1] for row in rows]
        return VectorChanges(space, active[0], event, highest, complete=True, refs=refs, data=data)
    touched = [
        row[0]
        for row in conn.execute(
            "SELECT DISTINCT ref FROM memory_event WHERE id > ? AND namespace = ? AND kind = ?", (since, space, kind)
        ).fetchall()
    ]
    rows = conn.execute(
        "SELECT v.ref, v.data FROM json_each(?) j CROSS JOIN vector v "
        "ON v.model = ? AND v.namespace = ? AND v.kind = ? AND v.ref = j.value ORDER BY v.ref",
        (json_list(touched), *of_kind),
    ).fetchall()
    refs, data = [row[0] for row in rows], [row[1] for row in rows]
    gone = list(set(touched).difference(refs))
    return VectorChanges(space, active[0], event, highest, complete=False, refs=refs, data=data, gone=gone)


def vectors_after(
    conn: sqlite3.Connection, namespace: str, kind: Kind, model: Model, after: int, limit: int
) -> list[tuple[int, bytes]]:
    active, space = active_model(conn), namespace_id(conn, namespace)
    if active is None or space is None:
        return []
    check_model(active[1], model)
    rows = conn.execute(
        "SELECT ref, data FROM vector WHERE model = ? AND namespace = ? AND kind = ? AND ref > ? ORDER BY ref LIMIT ?",
        (active[0], space, kind, after, limit),
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def without_vector(
    conn: sqlite3.Connection, model: Model, kind: Kind, before: int, limit: int
) -> list[tuple[int, str]]:
    table, text, where = _TEXTS[kind]
    rows = conn.execute(
        f"SELECT t.id, t.{text} FROM {table} t JOIN memory_namespace n ON n.id = t.namespace "
        f"WHERE t.id < ? AND {where} AND n.name IS NOT NULL AND NOT EXISTS ("
        "SELECT 1 FROM vector v WHERE v.model = (SELECT id FROM vector_model WHERE name = ? AND dim = ?) "
        "AND v.namespace = t.namespace AND v.kind = ? AND v.ref = t.id) ORDER BY t.id DESC LIMIT ?",
        (before, model.name, model.dim, kind, limit),
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def put_vectors(conn: sqlite3.Connection, model: Model, kind: Kind, vectors: Sequence[tuple[int, bytes]]) -> None:
    """Stores vectors of rows that are still there; where the model is the file's, the audit tells who keeps them."""
    id, active = model_id(conn, model), active_model(conn)
    table, _, where = _TEXTS[kind]
    spaces = dict(
        tuple(row)
        for row in conn.execute(
            f"SELECT t.id, n.name FROM json_each(?) j CROSS JOIN {table} t ON t.id = j.value "
            f"JOIN memory_namespace n ON n.id = t.namespace WHERE {where} AND n.name IS NOT NULL",
            (json_list(ref for ref, _ in vectors),),
        ).fetchall()
    )
    for space in dict.fromkeys(spaces.values()):
        work = Work(conn, Scope(space))
        own = [(ref, data) for ref, data in vectors if spaces.get(ref) == space]
        work.add_vectors(id, kind, own)
        if active is not None and active[0] == id:
            for ref, _ in own:
                work.note("embed", kind, ref)
        work.finish()


def switch_model(conn: sqlite3.Connection, model: Model, force: bool) -> bool:
    """Makes it the file's model if nothing lacks a vector of it; whether nothing does. See ``drop_slice``."""
    complete = not any(without_vector(conn, model, kind, 2**63 - 1, 1) for kind in _TEXTS)
    if not complete and not force:
        return False
    id = model_id(conn, model)
    conn.execute(
        "INSERT INTO memory_meta VALUES ('model', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (str(id),)
    )
    return complete


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
