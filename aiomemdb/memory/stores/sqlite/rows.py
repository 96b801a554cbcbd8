"""The columns that values need, and rows by their ids."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from ...records import entity_of, fact_of
from ...values import Entity, Fact

__all__ = [
    "BELIEVED",
    "ENTITY",
    "EPISODE",
    "EVIDENCE",
    "FACT",
    "entities_by_id",
    "facts_by_id",
    "json_list",
]

# Columns, for tables that are called e, f, p and n (memory_namespace).
ENTITY = (
    "e.id, n.name AS namespace, e.name, e.type, e.description, e.attributes, e.agent, e.created_at, "
    "e.established IS NULL"
)
FACT = (
    "f.id, n.name AS namespace, f.subject, ifnull(f.predicate_given, f.predicate) AS predicate, f.object, "
    "ifnull(f.value_given, f.value) AS value, f.text, f.valid_at, f.valid_offset, f.invalid_at, f.invalid_offset, "
    "f.created_at, f.expired_at, f.superseded_by, f.agent"
)
EPISODE = (
    "p.id, n.name AS namespace, p.key, p.version, p.session, p.seq, p.agent, p.source, p.content, p.metadata, "
    "p.occurred_at, p.occurred_offset, p.created_at, p.expired_at"
)
EVIDENCE = "v.id, v.fact, v.episode, v.quote, v.confidence, v.agent, v.created_at"

BELIEVED = "f.expired_at IS NULL"


def json_list(values: Iterable[int | str]) -> str:
    """For ``json_each``: one statement for any number of values, compiled once."""
    return json.dumps(list(values))


def entities_by_id(conn: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Entity]:
    rows = conn.execute(
        f"SELECT {ENTITY} FROM json_each(?) j CROSS JOIN entity e ON e.id = j.value "
        "JOIN memory_namespace n ON n.id = e.namespace",
        (json_list(ids),),
    )
    return {row[0]: entity_of(*row) for row in rows.fetchall()}


def facts_by_id(conn: sqlite3.Connection, ids: Sequence[int]) -> list[Fact]:
    rows = conn.execute(
        f"SELECT {FACT} FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value "
        "JOIN memory_namespace n ON n.id = f.namespace ORDER BY j.key",
        (json_list(ids),),
    )
    return [fact_of(*row) for row in rows.fetchall()]
