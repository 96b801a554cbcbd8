"""What the memory holds, read in one snapshot each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ..store import FactQuery, Kind
from ..values import Counts, Entity, Episode, Event, Evidence, Fact
from .rows import ENTITY, EPISODE, EVIDENCE, FACT, entity_of, episode_of, event_of, evidence_of, fact_of, json_list
from .work import namespace_id

__all__ = ["counts", "entities", "episodes", "evidence", "facts", "history", "links"]

_NAMESPACES = "n.name IN (SELECT value FROM json_each(?))"


def entities(
    conn: sqlite3.Connection,
    namespaces: Sequence[str],
    ids: Iterable[int] | None,
    type_key: str | None,
    after: int,
    limit: int,
) -> list[Entity]:
    """By id; the ids of merged ones give those that stayed."""
    where = [_NAMESPACES, "e.merged_into IS NULL", "e.id > ?"]
    params: list[object] = [json_list(namespaces), after]
    if ids is not None:
        where.append("e.id IN (SELECT ifnull(o.merged_into, o.id) FROM json_each(?) j JOIN entity o ON o.id = j.value)")
        params.append(json_list(ids))
    if type_key is not None:
        where.append("e.type_key = ?")
        params.append(type_key)
    rows = conn.execute(
        f"SELECT {ENTITY} FROM entity e JOIN memory_namespace n ON n.id = e.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY e.id LIMIT ?",
        (*params, limit),
    )
    return [entity_of(row) for row in rows.fetchall()]


def _conditions(namespaces: Sequence[str], query: FactQuery) -> tuple[list[str], list[object]]:
    """Which facts; times are half-open: a fact holds from its begin until before its end."""
    where = [_NAMESPACES]
    params: list[object] = [json_list(namespaces)]
    if query.any_knowledge:
        pass
    elif query.known_at is None:
        where.append("f.expired_at IS NULL")
    else:
        where.append("f.created_at <= ? AND (f.expired_at IS NULL OR f.expired_at > ?)")
        params += [query.known_at, query.known_at]
    if not query.any_time:
        where.append("(f.valid_at IS NULL OR f.valid_at <= ?) AND (f.invalid_at IS NULL OR f.invalid_at > ?)")
        params += [query.as_of, query.as_of]
    chosen: Sequence[int | str] | None
    for column, chosen in (
        ("f.id", query.ids),
        ("f.subject", query.subjects),
        ("f.object", query.objects),
        ("f.predicate", query.predicates),
    ):
        if chosen is not None:
            where.append(f"{column} IN (SELECT value FROM json_each(?))")
            params.append(json_list(chosen))
    if query.value is not None:
        where.append("f.value = ?")
        params.append(query.value)
    return where, params


def facts(conn: sqlite3.Connection, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
    where, params = _conditions(namespaces, query)
    rows = conn.execute(
        f"SELECT {FACT} FROM fact f JOIN memory_namespace n ON n.id = f.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY f.id LIMIT ?",
        (*params, query.limit),
    )
    return [fact_of(row) for row in rows.fetchall()]


def links(conn: sqlite3.Connection, namespaces: Sequence[str], frontier: Sequence[int], query: FactQuery) -> list[Fact]:
    """The facts at a frontier. Each way has its index; one OR of both would scan."""
    where, params = _conditions(namespaces, query)
    each_way = " UNION ".join(
        f"SELECT {FACT} FROM json_each(?) j CROSS JOIN fact f ON f.{end} = j.value "
        f"JOIN memory_namespace n ON n.id = f.namespace WHERE {' AND '.join(where)}"
        for end in ("subject", "object")
    )
    chosen = json_list(frontier)
    rows = conn.execute(f"{each_way} ORDER BY 1 LIMIT ?", (chosen, *params, chosen, *params, query.limit))
    return [fact_of(row) for row in rows.fetchall()]


def evidence(conn: sqlite3.Connection, namespaces: Sequence[str], chosen: Sequence[int]) -> list[Evidence]:
    rows = conn.execute(
        f"SELECT {EVIDENCE} FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value "
        "JOIN memory_namespace n ON n.id = f.namespace JOIN fact_evidence v ON v.fact = f.id "
        f"WHERE {_NAMESPACES} ORDER BY j.key, v.rowid",
        (json_list(chosen), json_list(namespaces)),
    )
    return [evidence_of(row) for row in rows.fetchall()]


def episodes(
    conn: sqlite3.Connection,
    namespaces: Sequence[str],
    ref: int | None,
    key: str | None,
    session: str | None,
    after: int,
    limit: int,
) -> list[Episode]:
    where = [_NAMESPACES, "p.id > ?"]
    params: list[object] = [json_list(namespaces), after]
    if ref is None:
        where.append("p.expired_at IS NULL")
    for column, value in (("p.id", ref), ("p.key", key), ("p.session", session)):
        if value is not None:
            where.append(f"{column} = ?")
            params.append(value)
    order = "p.id" if session is None else "p.seq, p.id"
    rows = conn.execute(
        f"SELECT {EPISODE} FROM episode p JOIN memory_namespace n ON n.id = p.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?",
        (*params, limit),
    )
    return [episode_of(row) for row in rows.fetchall()]


def history(conn: sqlite3.Connection, namespaces: Sequence[str], kind: Kind, ref: int) -> list[Event]:
    rows = conn.execute(
        "SELECT v.id, v.at, v.operation, v.kind, v.ref, v.other, v.agent, v.reason FROM memory_event v "
        f"JOIN memory_namespace n ON n.id = v.namespace WHERE {_NAMESPACES} AND v.kind = ? AND v.ref = ? ORDER BY v.id",
        (json_list(namespaces), kind, ref),
    )
    return [event_of(row) for row in rows.fetchall()]


_COUNTS = {
    "entities": "entity WHERE namespace = :id AND merged_into IS NULL",
    "aliases": "entity_alias WHERE namespace = :id",
    "facts": "fact WHERE namespace = :id AND expired_at IS NULL",
    "expired_facts": "fact WHERE namespace = :id AND expired_at IS NOT NULL",
    "evidence": "fact f JOIN fact_evidence v ON v.fact = f.id WHERE f.namespace = :id",
    "episodes": "episode WHERE namespace = :id",
    "mentions": "episode p JOIN mention m ON m.episode = p.id WHERE p.namespace = :id",
    "similar": "entity e JOIN entity_similar s ON s.a = e.id WHERE e.namespace = :id",
    "vectors": "vector WHERE namespace = :id",
}


def counts(conn: sqlite3.Connection, namespace: str) -> Counts:
    id = namespace_id(conn, namespace)
    return Counts(
        **{
            name: conn.execute(f"SELECT count(*) FROM {what}", {"id": id}).fetchone()[0]
            for name, what in _COUNTS.items()
        }
    )
