"""The columns that values need, and rows by their ids."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from ...records import entity_of, fact_of
from ...values import Entity, Fact
from ..columns import ENTITY, FACT

__all__ = [
    "entities_by_id",
    "facts_by_id",
    "json_list",
]


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
