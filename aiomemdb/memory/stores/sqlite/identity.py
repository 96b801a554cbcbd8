"""Names as rows: those that a reader finds, and the words by which search finds entities."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from ....values import Row
from ...deciding.picking import Candidate, meant
from ...drafts import NameRequest
from ...records import entity_of
from ...values import Entity
from .rows import ENTITY, json_list

__all__ = ["RESOLVE", "index_all_names", "index_names", "resolve_params", "resolved"]


def index_names(conn: sqlite3.Connection, entities: Iterable[int]) -> None:
    """Note the aliases by which word search finds entities too: of those that got one, lost one or were renamed."""
    conn.execute(
        "UPDATE entity SET other_names = ifnull((SELECT group_concat(key, ' ') FROM (SELECT DISTINCT a.key "
        "FROM entity_alias a WHERE a.entity = entity.id AND a.key <> entity.key)), '') "
        "WHERE id IN (SELECT value FROM json_each(?))",
        (json_list(entities),),
    )


def index_all_names(conn: sqlite3.Connection) -> None:
    rows = conn.execute("SELECT entity FROM entity_alias GROUP BY entity HAVING count(*) > 1").fetchall()
    index_names(conn, [row[0] for row in rows])


RESOLVE: str = (
    "SELECT j.key, a.type, e.type_key, " + ENTITY + " FROM memory_namespace n, json_each(?) j "
    "CROSS JOIN entity_alias a ON a.namespace = n.id AND a.key = j.value JOIN entity e ON e.id = a.entity "
    "WHERE n.name = ?"
)


def resolve_params(namespace: str, names: Sequence[NameRequest]) -> tuple[str, str]:
    return json.dumps([wanted.key for wanted in names]), namespace


def resolved(rows: Iterable[Row], names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
    """The entities that are there; None where one is to be made or to adopt a type."""
    found: dict[int, list[Candidate]] = {}
    # Most names have one row, with the entity that is meant.
    entities: dict[int, Entity | Row] = {}
    for row in rows:
        place, alias_type, type_key, entity = row[0], row[1], row[2], row[3]
        found.setdefault(place, []).append(Candidate(alias_type, entity, type_key, bool(row[-1])))
        entities[entity] = row
    results: list[Entity | Exception | None] = []
    for place, wanted in enumerate(names):
        id = meant(found.get(place, ()), wanted)
        if not isinstance(id, int):
            results.append(id)
            continue
        known = entities[id]
        if not isinstance(known, Entity):
            known = entities[id] = entity_of(*tuple(known)[3:])
        results.append(known)
    return results
