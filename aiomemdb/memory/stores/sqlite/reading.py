"""What the memory holds, read in one snapshot each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ...deciding.requests import EntitiesOf, FactsWhere, LinksOf
from ...pages import Place
from ...questions import BEFORE_ALL, FactQuery, Kind
from ...records import entity_of, episode_of, event_of, evidence_of, fact_of
from ...values import Counts, Entity, Episode, Event, Evidence, Fact
from ..columns import ENTITY, EPISODE, EVENT, EVIDENCE, FACT
from ..counting import believed, holds
from .loading import World
from .rows import facts_by_id, json_list
from .states import known_upto, namespace_id

__all__ = [
    "counts",
    "entities",
    "entities_of",
    "episodes",
    "evidence",
    "facts",
    "facts_where",
    "history",
    "in_spaces",
    "links_of",
]

_VALUES = "(SELECT value FROM json_each(?))"
# A list of entities; for those merged away the ones that stayed, looked up in the snapshot of the question.
_ROOTS = "(SELECT DISTINCT ifnull(o.merged_into, o.id) AS value FROM json_each(?) j JOIN entity o ON o.id = j.value)"


def in_spaces(conn: sqlite3.Connection, namespaces: Sequence[str], table: str) -> tuple[str, object]:
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
    """By id; the ids of merged ones lead to those that stayed."""
    here, spaces = in_spaces(conn, namespaces, "e")
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
        where.append(believed("f", "fact", None))
    else:
        known = known_upto(conn, query.known_at)
        where.append(believed("f", "fact", ("?", "?")))
        params += [known.event, known.past] * 2
    if not query.any_time:
        where.append(holds("f", "?"))
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
    if query.around is not None:
        return _facts_around(conn, namespaces, query)
    here, spaces = in_spaces(conn, namespaces, "f")
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


# -- what is around ----------------------------------------------------------------------------------------------------


def entities_of(world: World, request: EntitiesOf) -> list[Entity]:
    return entities(world.conn, request.namespaces, request.ids, None)


def facts_where(world: World, request: FactsWhere) -> list[Fact]:
    return facts(world.conn, request.namespaces, request.query)


def _facts_around(conn: sqlite3.Connection, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
    """Each way has its index; one OR of both would scan."""
    here, spaces = in_spaces(conn, namespaces, "+f")
    where, params = _conditions(conn, query)
    each_way = " UNION ".join(
        f"SELECT f.id FROM json_each(?) j CROSS JOIN fact f ON f.{end} = j.value WHERE {' AND '.join([here, *where])}"
        for end in ("subject", "object")
    )
    of_one_way = (json_list(query.around or ()), spaces, *params)
    rows = conn.execute(f"{each_way} ORDER BY 1 LIMIT ?", (*of_one_way, *of_one_way, query.limit)).fetchall()
    return facts_by_id(conn, [row[0] for row in rows])


def links_of(world: World, request: LinksOf) -> list[tuple[int, int | None, bool]]:
    """Filtered afterwards: of a hundred thousand facts that don't hold, none may be stepped over for nothing."""
    conn, asked = world.conn, world.links
    if asked is None:  # a rule asks for many entities in the same words
        here, spaces = in_spaces(conn, request.namespaces, "f")
        where, params = _conditions(conn, request.query)
        counts = " AND ".join([here, *where])
        sql = " UNION ALL ".join(
            f"SELECT f.id, f.{other}, {counts} FROM fact f WHERE f.{end} = ?"
            for end, other in (("subject", "object"), ("object", "subject"))
        )
        asked = world.links = (f"{sql} LIMIT ?", [spaces, *params])
    sql, params = asked
    rows = conn.execute(sql, (*params, request.entity, *params, request.entity, request.most))
    return [(fact, other, bool(counts)) for fact, other, counts in rows.fetchall()]


# -- one by one --------------------------------------------------------------------------------------------------------


def evidence(
    conn: sqlite3.Connection, namespaces: Sequence[str], fact: int, after: int = 0, limit: int = -1
) -> list[Evidence]:
    here, spaces = in_spaces(conn, namespaces, "+f")
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
    here, spaces = in_spaces(conn, namespaces, "p")
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
    conn: sqlite3.Connection, namespaces: Sequence[str], kind: Kind, ref: int, after: int = BEFORE_ALL, limit: int = -1
) -> list[Event]:
    here, spaces = in_spaces(conn, namespaces, "+v")
    rows = conn.execute(
        f"SELECT {EVENT} FROM memory_event v "
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
