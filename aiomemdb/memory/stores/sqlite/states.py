"""States of a file, as its events number them; its namespaces and its model."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from ...pictures import known_times
from ...questions import Model, Token
from ..past import clock_of_past, of_past

__all__ = [
    "SQLiteState",
    "active_model",
    "as_known",
    "clocks",
    "entity_upto",
    "event_upto",
    "known_upto",
    "model_id",
    "namespace_id",
]

#: The one row ``m`` of the model of the file's vectors, if it has one.
FROM_ACTIVE_MODEL: str = "FROM memory_meta JOIN vector_model m ON m.id = CAST(value AS INTEGER) WHERE key = 'model'"


@dataclass(slots=True, order=True)
class SQLiteState:
    """A token: the newest event that is seen. As all writers take turns at the file, that orders all namespaces.

    Attributes:
        entity: the highest id of an entity that is seen.
        past: up to where what was imported is seen, where it is what was known at a time; see ``of_past``.
        space, model: the ids of the namespace and of the file's model, where it is of vectors.
    """

    event: int
    entity: int = field(default=0, compare=False)
    space: int | None = field(default=None, compare=False)
    model: int | None = field(default=None, compare=False)
    past: int = field(default=-1, compare=False)


def event_upto(token: Token | None) -> int | None:
    """The newest event of a state."""
    assert token is None or isinstance(token, SQLiteState)
    return None if token is None else token.event


def as_known(token: Token | None) -> dict[str, int | None]:
    """The parameters of ``known_from`` and ``known_still`` for a state."""
    assert token is None or isinstance(token, SQLiteState)
    return {"known": None, "past": None} if token is None else {"known": token.event, "past": token.past}


def entity_upto(token: Token | None) -> int:
    """The highest id of an entity in a state."""
    assert token is None or isinstance(token, SQLiteState)
    return 0 if token is None else token.entity


def known_upto(conn: sqlite3.Connection, at: int) -> SQLiteState:
    """The newest event with a clock that is not after ``at``; 0: there is none.

    Looked for by halves, in each stretch of events in which the clock only went on, from the newest to the oldest.
    """
    last: int = conn.execute("SELECT ifnull(max(id), 0) FROM memory_event").fetchone()[0]
    backs = conn.execute("SELECT event FROM memory_clock_back ORDER BY event DESC").fetchall()
    for first in [*(row[0] for row in backs), 1]:
        low, high = first - 1, last
        while low < high:
            middle = (low + high + 1) // 2
            [clock] = conn.execute(
                "SELECT at FROM memory_event WHERE id >= ? ORDER BY id LIMIT 1", (middle,)
            ).fetchone()
            low, high = (low, middle - 1) if clock > at else (middle, high)
        if low >= first:
            return SQLiteState(low, past=of_past(at))
        last = first - 1
    return SQLiteState(0, past=of_past(at))


def clocks(conn: sqlite3.Connection) -> Callable[[int, int], int | None]:
    """A function of a line of the audit, and what the clock said at it, to the time since when what it made known is
    known; None: since ever.
    """
    known = known_times(
        conn.execute("SELECT b.event, v.at FROM memory_clock_back b JOIN memory_event v ON v.id = b.event").fetchall()
    )
    return lambda event, at: clock_of_past(event) if event < 0 else known(event, at)


def namespace_id(conn: sqlite3.Connection, name: str) -> int | None:
    row = conn.execute("SELECT id FROM memory_namespace WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def active_model(conn: sqlite3.Connection) -> tuple[int, Model] | None:
    """The model of the file's vectors, and its id."""
    row = conn.execute(f"SELECT m.id, m.name, m.dim {FROM_ACTIVE_MODEL}").fetchone()
    return None if row is None else (row[0], Model(row[1], row[2]))


def model_id(conn: sqlite3.Connection, model: Model) -> int:
    """The id of a model, which is new perhaps."""
    conn.execute("INSERT INTO vector_model (name, dim) VALUES (?, ?) ON CONFLICT DO NOTHING", (model.name, model.dim))
    found: int = conn.execute(
        "SELECT id FROM vector_model WHERE name = ? AND dim = ?", (model.name, model.dim)
    ).fetchone()[0]
    return found
