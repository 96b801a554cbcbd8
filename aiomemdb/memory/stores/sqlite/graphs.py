"""The graph or a part of it, read in one snapshot."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from ...answers import Graph
from ...questions import GraphQuery
from ...records import entity_of, fact_of
from ...substrings import rare_character, shown, sure_run, takes_in
from ...values import Fact
from ..columns import ENTITY, FACT
from ..counting import believed, holds
from .held import HeldValues
from .reading import in_spaces
from .rows import entities_by_id, json_list
from .search import Searching

__all__ = ["graph"]

_NOW = f"{believed('f', 'fact', None)} AND {holds('f', '?')}"
# From so many entities on all facts are read in their order, and those of others left out.
_MANY = 2_000


def graph(
    conn: sqlite3.Connection, namespaces: Sequence[str], query: GraphQuery, held: HeldValues | None = None
) -> Graph:
    ids: set[int] | None = None
    if query.keys is not None:
        ids = {id for _, id in Searching(conn).named(namespaces, query.keys)}
    if query.containing:
        found = _with_part(conn, namespaces, query, query.containing, held)
        ids = found if ids is None else ids & found
    here, spaces = in_spaces(conn, namespaces, "e")
    source, params = "entity e", list[object]()
    if ids is not None:
        source, here = "json_each(?) j CROSS JOIN entity e ON e.id = j.value", f"+{here}"
        params.append(json_list(ids))
    rows = conn.execute(
        f"SELECT {ENTITY} FROM {source} CROSS JOIN memory_namespace n ON n.id = e.namespace WHERE {here} "
        f"AND e.merged_into IS NULL {'' if query.implied else 'AND e.established IS NOT NULL'} "
        "ORDER BY e.established IS NULL, e.established, e.id",
        (*params, spaces),
    )
    entities = [entity_of(*row) for row in rows.fetchall()]
    wanted = {entity.id for entity in entities}
    everything = query.keys is None and query.containing is None
    if len(wanted) > _MANY or everything:
        facts = [
            fact
            for fact in _facts(conn, namespaces, query)
            if fact.subject in wanted or (fact.object is not None and (everything or fact.object in wanted))
        ]
    else:
        facts = _facts_of(conn, query, wanted)
    ends = {end for fact in facts for end in (fact.subject, fact.object) if end is not None}
    others = entities_by_id(conn, sorted(ends - wanted))
    return Graph(tuple(entities), tuple(facts), tuple(others.values()))


def _which(query: GraphQuery) -> tuple[str, list[object]]:
    """The condition of facts that are answered, and its parameters."""
    if query.predicate is None:
        return _NOW, [query.as_of, query.as_of]
    return f"{_NOW} AND (f.object IS NOT NULL OR f.predicate = ?)", [query.as_of, query.as_of, query.predicate]


def _facts(conn: sqlite3.Connection, namespaces: Sequence[str], query: GraphQuery) -> list[Fact]:
    here, spaces = in_spaces(conn, namespaces, "f")
    where, params = _which(query)
    rows = conn.execute(
        f"SELECT {FACT} FROM fact f CROSS JOIN memory_namespace n ON n.id = f.namespace WHERE {here} AND {where} "
        "ORDER BY f.id",
        (spaces, *params),
    )
    return [fact_of(*row) for row in rows.fetchall()]


def _facts_of(conn: sqlite3.Connection, query: GraphQuery, entities: Iterable[int]) -> list[Fact]:
    """Each way has its index; one OR of both would scan."""
    where, params = _which(query)
    each_way = " UNION ".join(
        f"SELECT f.id FROM json_each(?) j CROSS JOIN fact f ON f.{end} = j.value WHERE {where}"
        for end in ("subject", "object")
    )
    of_one_way = (json_list(entities), *params)
    rows = conn.execute(
        f"SELECT {FACT} FROM ({each_way}) w CROSS JOIN fact f ON f.id = w.id "
        "CROSS JOIN memory_namespace n ON n.id = f.namespace ORDER BY f.id",
        (*of_one_way, *of_one_way),
    )
    return [fact_of(*row) for row in rows.fetchall()]


def _with_part(
    conn: sqlite3.Connection, namespaces: Sequence[str], query: GraphQuery, part: str, held: HeldValues | None
) -> set[int]:
    """Entities that take in a part. SQLite sorts out what has no run of it: the rest is looked at here."""
    here, spaces = in_spaces(conn, namespaces, "e")
    name, name_params = _may_have("e.name", part)
    type, type_params = _may_have("e.type", part)
    rows = conn.execute(
        f"SELECT e.id, e.name, e.type FROM entity e WHERE {here} AND e.merged_into IS NULL AND ({name} OR {type})",
        (spaces, *name_params, *type_params),
    )
    found = {row[0] for row in rows.fetchall() if takes_in(row[1], part) or takes_in(row[2] or "", part)}
    here, spaces = in_spaces(conn, namespaces, "f")
    where, params = _which(query)
    ids, last = ((), 0) if held is None else held.with_part(conn, part)
    if ids:
        rows = conn.execute(
            f"SELECT f.subject FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value WHERE +{here} AND {where}",
            (json_list(ids), spaces, *params),
        )
        found.update(row[0] for row in rows.fetchall())
    value, value_params = _may_have("ifnull(f.value_given, f.value)", part)
    rows = conn.execute(
        f"SELECT f.subject, ifnull(f.value_given, f.value) FROM fact f WHERE {here} AND f.id > ? "
        f"AND f.object IS NULL AND {value} AND {where}",
        (spaces, last, *value_params, *params),
    )
    found.update(row[0] for row in rows.fetchall() if takes_in(shown(json.loads(row[1])), part))
    return found


def _may_have(column: str, part: str) -> tuple[str, list[object]]:
    """What all rows fulfil that take in a part, and the parameters of that."""
    run = sure_run(part)
    if run is not None:
        text, others = run
        return (
            f"({column} LIKE ?{''.join(f' OR instr({column}, ?)' for _ in others)})",
            [f"%{text}%", *others],
        )
    rare = rare_character(part)
    return ("1", []) if rare is None else (f"instr({column}, ?)", [rare])
