"""States of a file, as its events number them; its namespaces and its model."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field

from ...pictures import known_times
from ...questions import Model, Token

__all__ = [
    "FIRST_LINE_OF_PAST",
    "SQLiteState",
    "active_model",
    "as_known",
    "clock_of_past",
    "clocks",
    "entity_upto",
    "event_upto",
    "known_from",
    "known_still",
    "known_upto",
    "model_id",
    "namespace_id",
    "of_past",
]

# What was imported is known since a time, not since a line of this file's audit. Its column holds that time less this:
# it is below all lines, and the order of times is kept.
_PAST = 2**62

#: Below it there is no line of the audit; those that were imported are above it, and below 0.
FIRST_LINE_OF_PAST: int = -(2**62)


def of_past(at: int) -> int:
    """A time as what stands for a line of the audit, in the rows of what was imported."""
    return at - _PAST


def clock_of_past(event: int) -> int:
    """The time that stands for a line."""
    return event + _PAST


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


def known_from(table: str, event: str, past: str) -> str:
    """The condition that a row was known in a state, of which these are parameters."""
    return f"({table}.created_event BETWEEN 0 AND {event} OR {table}.created_event <= {past})"


def known_still(table: str, event: str, past: str) -> str:
    """The condition that it was not yet known in a state that a row is believed no more."""
    column = f"{table}.expired_event"
    return f"({column} IS NULL OR {column} > {event} OR ({column} < 0 AND {column} > {past}))"


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
