"""Vectors as rows: of one model at a time, while the next one's are prepared beside them; near names, found anew."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from ...searching import Kind, Model, VectorChanges
from ...store import NearNamesLeft, Scope
from .rows import json_list
from .work import Work, active_model, check_model, model_id, namespace_id

__all__ = [
    "complete_upto",
    "drop_slice",
    "near_names_left",
    "put_near_names",
    "put_vectors",
    "switch_model",
    "to_reembed",
    "vector_changes",
    "vectors_after",
    "vectors_of",
    "without_vector",
]

# In memory_meta, as long as there are any: [after, upto], between which ids near names are to be found anew. Those of
# later entities are by the file's model: find_or_create noted them.
_NEAR_LEFT = "near names left"
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
    """What became of a namespace's vectors since an event; how many there are, where the event was of another one."""
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
        [count] = conn.execute(
            "SELECT count(*) FROM (SELECT 1 FROM vector WHERE model = ? AND namespace = ? AND kind = ? LIMIT ?)",
            (*of_kind, most + 1),
        ).fetchone()
        return VectorChanges(space, active[0], event, highest, complete=True, count=count)
    touched = [
        row[0]
        for row in conn.execute(
            "SELECT DISTINCT ref FROM memory_event WHERE id > ? AND namespace = ? AND kind = ?", (since, space, kind)
        ).fetchall()
    ]
    found = _vectors_of(conn, of_kind, touched)
    refs, data = [ref for ref, _ in found], [data for _, data in found]
    gone = list(set(touched).difference(refs))
    return VectorChanges(space, active[0], event, highest, complete=False, refs=refs, data=data, gone=gone)


def vectors_after(
    conn: sqlite3.Connection, namespace: str, kind: Kind, model: Model, after: int, limit: int
) -> list[tuple[int, bytes]]:
    active, space = active_model(conn), namespace_id(conn, namespace)
    if active is None or space is None:
        return []
    check_model(active[1], model)
    cursor = conn.cursor()
    cursor.row_factory = None  # of a million rows: plain tuples take half the time
    return cursor.execute(
        "SELECT ref, data FROM vector WHERE model = ? AND namespace = ? AND kind = ? AND ref > ? ORDER BY ref LIMIT ?",
        (active[0], space, kind, after, limit),
    ).fetchall()


def vectors_of(
    conn: sqlite3.Connection, namespace: str, kind: Kind, model: Model, refs: Sequence[int]
) -> list[tuple[int, bytes]]:
    active, space = active_model(conn), namespace_id(conn, namespace)
    if active is None or space is None:
        return []
    check_model(active[1], model)
    return _vectors_of(conn, (active[0], space, kind), refs)


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
    conn: sqlite3.Connection, model: Model, kind: Kind, before: int, limit: int
) -> list[tuple[int, str]]:
    lacking, params = _lacking(model, kind)
    rows = conn.execute(
        f"SELECT t.id, t.{_TEXTS[kind][1]} {lacking} AND t.id < ? ORDER BY t.id DESC LIMIT ?", (*params, before, limit)
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
    if kind == "entity" and spaces and active is not None and active[0] == id:
        _set_near_left(conn, _near_left_with(conn, min(spaces)))


def complete_upto(conn: sqlite3.Connection, model: Model) -> int | None:
    """The last event, if nothing lacks a vector of the model; else None. It looks at every row."""
    if any(without_vector(conn, model, kind, 2**63 - 1, 1) for kind in _TEXTS):
        return None
    [event] = conn.execute("SELECT ifnull(max(id), 0) FROM memory_event").fetchone()
    return int(event)


def _lacks_since(conn: sqlite3.Connection, model: Model, event: int) -> bool:
    """Whether one of the rows to which something was done since then lacks a vector of the model."""
    for kind in _TEXTS:
        lacking, params = _lacking(model, kind)
        touched = "SELECT ref FROM memory_event WHERE id > ? AND kind = ?"
        if conn.execute(f"SELECT 1 {lacking} AND t.id IN ({touched}) LIMIT 1", (*params, event, kind)).fetchone():
            return True
    return False


def switch_model(conn: sqlite3.Connection, model: Model, force: bool, upto: int | None) -> bool:
    """Makes it the file's model if nothing lacks a vector of it; whether nothing does. See ``drop_slice``.

    Args:
        upto: what ``complete_upto`` gave, so that all writers wait no longer than it takes to look at what came since.
    """
    complete = upto is not None and not _lacks_since(conn, model, upto)
    if not complete and not force:
        return False
    id, active = model_id(conn, model), active_model(conn)
    if active is None or active[0] != id:
        _set_near_left(conn, (0, _highest(conn)))
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


def _near_left(conn: sqlite3.Connection) -> tuple[int, int] | None:
    row = conn.execute("SELECT value FROM memory_meta WHERE key = ?", (_NEAR_LEFT,)).fetchone()
    if row is None:
        return None
    after, upto = json.loads(row[0])
    return after, upto


def _set_near_left(conn: sqlite3.Connection, left: tuple[int, int]) -> None:
    conn.execute("DELETE FROM memory_meta WHERE key = ?", (_NEAR_LEFT,))
    if left[0] < left[1]:
        conn.execute("INSERT INTO memory_meta VALUES (?, ?)", (_NEAR_LEFT, json.dumps(left)))


def _near_left_with(conn: sqlite3.Connection, first: int) -> tuple[int, int]:
    """From this entity on, as it has its vector only now, and those after it may be near to it."""
    left = _near_left(conn)
    return first - 1 if left is None else min(left[0], first - 1), _highest(conn)


def _highest(conn: sqlite3.Connection) -> int:
    highest: int = conn.execute("SELECT ifnull(max(id), 0) FROM entity").fetchone()[0]
    return highest


def near_names_left(conn: sqlite3.Connection, model: Model, limit: int) -> NearNamesLeft | None:
    active, left = active_model(conn), _near_left(conn)
    if active is None or left is None:
        return None
    check_model(active[1], model)
    rows = conn.execute(
        "SELECT e.id, n.name, v.data FROM entity e CROSS JOIN memory_namespace n ON n.id = e.namespace "
        "CROSS JOIN vector v ON v.model = ? AND v.namespace = e.namespace AND v.kind = 'entity' AND v.ref = e.id "
        "WHERE e.id > ? AND e.id <= ? AND n.name IS NOT NULL ORDER BY e.id LIMIT ?",
        (active[0], *left, limit),
    ).fetchall()
    names = [(row[0], row[1], row[2]) for row in rows]
    return NearNamesLeft(left[0], names[-1][0] if len(names) == limit else left[1], names)


def put_near_names(
    conn: sqlite3.Connection, model: Model, after: int, upto: int, near: Sequence[tuple[int, int, float]]
) -> None:
    active, left = active_model(conn), _near_left(conn)
    if active is not None:
        check_model(active[1], model)
    if left is None or left[0] != after:
        return
    conn.execute("DELETE FROM entity_similar WHERE b > ? AND b <= ?", (after, upto))
    ids = {id for older, entity, _ in near for id in (older, entity)}
    rows = conn.execute(
        "SELECT e.id, ifnull(e.merged_into, e.id) FROM json_each(?) j CROSS JOIN entity e ON e.id = j.value",
        (json_list(ids),),
    ).fetchall()
    now = {row[0]: row[1] for row in rows}  # some may have been forgotten or merged since
    conn.executemany(
        "INSERT INTO entity_similar VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        [
            (min(one, other), max(one, other), cosine)
            for one, other, cosine in ((now.get(older), now.get(entity), cosine) for older, entity, cosine in near)
            if one is not None and other is not None and one != other
        ],
    )
    _set_near_left(conn, (upto, left[1]))


def to_reembed(conn: sqlite3.Connection, model: Model) -> int:
    lacking = 0
    left = _near_left(conn)
    for kind in _TEXTS:
        rows, params = _lacking(model, kind)
        count, first = conn.execute(f"SELECT count(*), min(t.id) {rows}", params).fetchone()
        lacking += count
        if kind == "entity" and count:
            left = _near_left_with(conn, first)
    active = active_model(conn)
    if active is None or active[1] != model:
        left = (0, _highest(conn))
    if left is None:
        return lacking
    [names] = conn.execute(
        "SELECT count(*) FROM entity e JOIN memory_namespace n ON n.id = e.namespace "
        "WHERE e.id > ? AND e.id <= ? AND e.merged_into IS NULL AND n.name IS NOT NULL",
        left,
    ).fetchone()
    return lacking + int(names)
