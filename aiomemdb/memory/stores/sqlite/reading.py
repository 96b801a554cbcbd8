"""What the memory holds, read in one snapshot each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TypeAlias

from ....errors import NotFound
from ...pages import Place
from ...records import entity_of, episode_of, event_of, evidence_of, fact_of
from ...searching import Kind
from ...store import FactQuery
from ...values import Counts, Entity, Episode, Event, Evidence, Fact, Subgraph
from .rows import (
    ENTITY,
    EPISODE,
    EVIDENCE,
    FACT,
    facts_by_id,
    json_list,
)
from .work import known_upto, namespace_id

__all__ = ["counts", "entities", "episodes", "evidence", "facts", "history", "path", "surroundings"]

# path: an entity with more facts is about everything, and that two are linked to it says nothing.
_GONE_THROUGH = 1_000
# path: facts that are looked at in all, those that don't count included, and at most half of them from one end.
_LOOKED_AT = 20_000

_VALUES = "(SELECT value FROM json_each(?))"
# A list of entities; for those merged away the ones that stayed, looked up in the snapshot of the question.
_ROOTS = "(SELECT DISTINCT ifnull(o.merged_into, o.id) AS value FROM json_each(?) j JOIN entity o ON o.id = j.value)"


def _in_spaces(conn: sqlite3.Connection, namespaces: Sequence[str], table: str) -> tuple[str, object]:
    """The condition that a row is of one of the namespaces, and its parameter. Of a single one, which is usual, an
    index has the rows in the order of their ids.
    """
    rows = conn.execute(f"SELECT id FROM memory_namespace WHERE name IN {_VALUES}", (json_list(namespaces),)).fetchall()
    if len(rows) == 1:
        return f"{table}.namespace = ?", rows[0][0]
    return f"{table}.namespace IN {_VALUES}", json_list(row[0] for row in rows)


def entities(
    conn: sqlite3.Connection,
    namespaces: Sequence[str],
    ids: Iterable[int] | None,
    type_key: str | None,
    after: int = 0,
    limit: int = -1,
) -> list[Entity]:
    """By id; the ids of merged ones give those that stayed."""
    here, spaces = _in_spaces(conn, namespaces, "e")
    source, params = "entity e", list[object]()
    if ids is not None:
        source = f"{_ROOTS} r CROSS JOIN entity e ON e.id = r.value"
        params.append(json_list(ids))
        here = f"+{here}"  # its index would lead to all of it
    where = [here, "e.merged_into IS NULL", "e.id > ?"]
    params += [spaces, after]
    if type_key is not None:
        where.append("e.type_key = ?")
        params.append(type_key)
    rows = conn.execute(
        f"SELECT {ENTITY} FROM {source} CROSS JOIN memory_namespace n ON n.id = e.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY e.id LIMIT ?",
        (*params, limit),
    )
    return [entity_of(*row) for row in rows.fetchall()]


def _conditions(conn: sqlite3.Connection, query: FactQuery) -> tuple[list[str], list[object]]:
    """Which facts; times are half-open: a fact holds from its begin until before its end."""
    where, params = list[str](), list[object]()
    if query.any_knowledge:
        pass
    elif query.known_at is None:
        where.append("f.expired_at IS NULL")
    else:
        where.append("f.created_event <= ? AND (f.expired_event IS NULL OR f.expired_event > ?)")
        params += [known_upto(conn, query.known_at)] * 2
    if not query.any_time:
        where.append("(f.valid_at IS NULL OR f.valid_at <= ?) AND (f.invalid_at IS NULL OR f.invalid_at > ?)")
        params += [query.as_of, query.as_of]
    if query.predicates is not None:
        where.append(f"f.predicate IN {_VALUES}")
        params.append(json_list(query.predicates))
    if query.value is not None:
        where.append("f.value = ?")
        params.append(query.value)
    if query.after:
        where.append("f.id > ?")
        params.append(query.after)
    return where, params


def facts(conn: sqlite3.Connection, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
    """What is named drives the search, each by its index; left to itself, SQLite prefers the order of ids to that."""
    here, spaces = _in_spaces(conn, namespaces, "f")
    where, params = _conditions(conn, query)
    source, driving = "fact f", list[object]()
    chosen = (("id", _VALUES, query.ids), ("subject", _ROOTS, query.subjects), ("object", _ROOTS, query.objects))
    for column, those, ids in chosen:
        if ids is None:
            continue
        if driving:
            where.append(f"f.{column} IN {those}")
            params.append(json_list(ids))
        else:
            source, driving = f"{those} r CROSS JOIN fact f ON f.{column} = r.value", [json_list(ids)]
            here = f"+{here}"  # its index would lead to all of it
    rows = conn.execute(
        f"SELECT {FACT} FROM {source} CROSS JOIN memory_namespace n ON n.id = f.namespace "
        f"WHERE {' AND '.join([here, *where])} ORDER BY f.id LIMIT ?",
        (*driving, spaces, *params, query.limit),
    )
    return [fact_of(*row) for row in rows.fetchall()]


def surroundings(
    conn: sqlite3.Connection, namespaces: Sequence[str], start: Sequence[int], query: FactQuery, hops: int
) -> Subgraph:
    """Breadth first, a statement a hop."""
    limit = query.limit
    query = replace(query, limit=limit + 1)
    frontier = [entity.id for entity in entities(conn, namespaces, start, None)]
    reached, facts = dict.fromkeys(frontier), dict[int, Fact]()
    for _ in range(hops):
        if not frontier or len(facts) > limit:
            break
        next_frontier: dict[int, None] = {}
        for fact in _links(conn, namespaces, frontier, query):
            facts.setdefault(fact.id, fact)
            if len(facts) > limit:
                break
            for end in (fact.subject, fact.object):
                if end is not None and end not in reached:
                    reached[end] = next_frontier[end] = None
        frontier = list(next_frontier)
    found = {entity.id: entity for entity in entities(conn, namespaces, list(reached), None)}
    return Subgraph(
        tuple(found[id] for id in reached if id in found), tuple(facts.values())[:limit], len(facts) > limit
    )


def _links(
    conn: sqlite3.Connection, namespaces: Sequence[str], frontier: Sequence[int], query: FactQuery
) -> list[Fact]:
    """The facts at a frontier. Each way has its index; one OR of both would scan."""
    here, spaces = _in_spaces(conn, namespaces, "+f")
    where, params = _conditions(conn, query)
    each_way = " UNION ".join(
        f"SELECT f.id FROM json_each(?) j CROSS JOIN fact f ON f.{end} = j.value WHERE {' AND '.join([here, *where])}"
        for end in ("subject", "object")
    )
    of_one_way = (json_list(frontier), spaces, *params)
    rows = conn.execute(f"{each_way} ORDER BY 1 LIMIT ?", (*of_one_way, *of_one_way, query.limit)).fetchall()
    return facts_by_id(conn, [row[0] for row in rows])


def path(
    conn: sqlite3.Connection,
    namespaces: Sequence[str],
    source: Sequence[int],
    target: Sequence[int],
    query: FactQuery,
    max_hops: int,
) -> list[Fact] | None:
    """Breadth first from both ends, the side with fewer entities first: two half circles are smaller than a whole one.

    Of several chains, the one that is found first from lower ids.
    """
    edges = []
    for ids in (source, target):
        edges.append([entity.id for entity in entities(conn, namespaces, ids, None)])
        if not edges[-1]:  # forgotten just now, or of another namespace
            raise NotFound(f"no entity {', '.join(map(str, ids))} in {', '.join(map(repr, namespaces))}")
    if set(edges[0]) & set(edges[1]):
        return []
    links = _Links(conn, namespaces, query)
    ends = {*edges[0], *edges[1]}
    ways: list[_Ways] = [dict.fromkeys(edge) for edge in edges]
    hops = 0
    while hops < max_hops and any(edges):
        side = 0 if edges[0] and (len(edges[0]) <= len(edges[1]) or not edges[1]) else 1
        reached = []
        for entity in edges[side]:
            # From an end even many are followed: it is what was asked for.
            reached += [(fact, entity, other) for fact, other in links.of(entity, entity in ends) or ()]
        grown: _Ways = {}
        for fact, entity, other in sorted(reached):
            if other not in ways[side] and other not in grown:
                grown[other] = (entity, fact)
        ways[side].update(grown)
        for entity in grown:
            if entity in ways[1 - side] and (entity in ends or links.of(entity) is not None):
                chain = [*reversed(_back(ways[0], entity)), *_back(ways[1], entity)]
                found = {fact.id: fact for fact in facts_by_id(conn, chain)}
                return [found[id] for id in chain]
        edges[side] = list(grown)
        hops += bool(grown)
    return None


# How each entity was reached: from which, by which fact; None: it is where the search began.
_Ways: TypeAlias = dict[int, tuple[int, int] | None]


def _back(ways: _Ways, entity: int) -> list[int]:
    """The facts from an entity back to where the search began."""
    facts = []
    while (way := ways[entity]) is not None:
        entity, fact = way
        facts.append(fact)
    return facts


class _Links:
    """What entities are linked to, looked up one by one: so it can stop before it has read too much."""

    def __init__(self, conn: sqlite3.Connection, namespaces: Sequence[str], query: FactQuery) -> None:
        here, spaces = _in_spaces(conn, namespaces, "f")
        where, params = _conditions(conn, query)
        counts = " AND ".join([here, *where])
        # Filtered afterwards: of a hundred thousand facts that don't hold, none may be stepped over for nothing.
        self._sql = " UNION ALL ".join(
            f"SELECT f.id, f.{other}, {counts} FROM fact f WHERE f.{end} = ?"
            for end, other in (("subject", "object"), ("object", "subject"))
        )
        self._params = (spaces, *params)
        self._conn = conn
        self._left = _LOOKED_AT
        self._known: dict[int, list[tuple[int, int]] | None] = {}

    def of(self, entity: int, end: bool = False) -> list[tuple[int, int]] | None:
        """(fact, the other entity); None: it has too many, or too many were looked at before."""
        if entity not in self._known:
            self._known[entity] = self._look(entity, min(self._left, _LOOKED_AT // 2 if end else _GONE_THROUGH))
        return self._known[entity]

    def _look(self, entity: int, most: int) -> list[tuple[int, int]] | None:
        if not most:
            return None
        rows = self._conn.execute(
            f"{self._sql} LIMIT ?", (*self._params, entity, *self._params, entity, most + 1)
        ).fetchall()
        self._left -= min(most, len(rows))
        if len(rows) > most:
            return None
        return [(fact, other) for fact, other, counts in rows if counts and other is not None]


def evidence(
    conn: sqlite3.Connection, namespaces: Sequence[str], fact: int, after: int = 0, limit: int = -1
) -> list[Evidence]:
    here, spaces = _in_spaces(conn, namespaces, "+f")
    rows = conn.execute(
        f"SELECT {EVIDENCE} FROM fact f CROSS JOIN fact_evidence v ON v.fact = f.id "
        f"WHERE f.id = ? AND {here} AND v.id > ? ORDER BY v.id LIMIT ?",
        (fact, spaces, after, limit),
    )
    return [evidence_of(*row) for row in rows.fetchall()]


def episodes(
    conn: sqlite3.Connection,
    namespaces: Sequence[str],
    ref: int | None,
    key: str | None,
    session: str | None,
    after: Place | None,
    limit: int,
) -> list[Episode]:
    here, spaces = _in_spaces(conn, namespaces, "p")
    where, params = [here], [spaces]
    for column, value in (("p.id", ref), ("p.key", key), ("p.session", session)):
        if value is not None:
            where.append(f"{column} = ?")
            params.append(value)
    # "+" keeps SQLite from walking all of the namespace in the order of ids, where an index finds the few.
    id = "p.id" if len(where) == 1 else "+p.id"
    order = id if session is None else f"p.seq, {id}"
    if after is not None:
        where.append(f"({order}) > ({', '.join('?' * len(after))})")
        params += after
    if ref is None:
        where.append("p.expired_at IS NULL")
    rows = conn.execute(
        f"SELECT {EPISODE} FROM episode p CROSS JOIN memory_namespace n ON n.id = p.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY {order} LIMIT ?",
        (*params, limit),
    )
    return [episode_of(*row) for row in rows.fetchall()]


def history(
    conn: sqlite3.Connection, namespaces: Sequence[str], kind: Kind, ref: int, after: int = 0, limit: int = -1
) -> list[Event]:
    here, spaces = _in_spaces(conn, namespaces, "+v")
    rows = conn.execute(
        "SELECT v.id, v.at, v.operation, v.kind, v.ref, v.other, v.agent, v.reason FROM memory_event v "
        f"WHERE v.ref = ? AND v.kind = ? AND {here} AND v.id > ? ORDER BY v.id LIMIT ?",
        (ref, kind, spaces, after, limit),
    )
    return [event_of(*row) for row in rows.fetchall()]


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
