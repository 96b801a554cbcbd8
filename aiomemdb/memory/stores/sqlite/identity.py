"""Names as rows: those that a reader finds, and the words by which search finds entities."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from ...drafts import NameRequest
from ..columns import ENTITY
from .rows import json_list

__all__ = ["RESOLVE", "index_all_names", "index_names", "resolve_params"]


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
