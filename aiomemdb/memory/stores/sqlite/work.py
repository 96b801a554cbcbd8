"""What every job of the memory needs: its namespace, its knowledge time, fresh ids, and the audit."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

from ....errors import ModelChanged, NotFound
from ...deciding.moment import Moment
from ...searching import Model
from ...store import Scope
from ...times import now_micros
from .rows import json_list
from .setwise import apply, insert

__all__ = [
    "Work",
    "active_model",
    "adopted_model",
    "check_model",
    "known_upto",
    "model_id",
    "moment_of",
    "namespace_id",
    "root",
    "write_events",
    "write_vectors",
]


def write_events(conn: sqlite3.Connection, events: Sequence[Sequence[Any]]) -> None:
    """Write lines of the audit, in order: (at, namespace, agent, operation, kind, ref, other, reason)."""
    insert(conn, "memory_event", "at namespace agent operation kind ref other reason", events)


# A row's own vector takes the place of one that it inherits.
_OWN = "ON CONFLICT (model, namespace, kind, ref) DO UPDATE SET data = excluded.data"
_INHERITED = (
    "INSERT INTO vector (model, namespace, kind, ref, data) SELECT ifnull(r.model, v.model), r.namespace, r.kind, "
    "r.ref, ifnull(r.data, v.data) FROM {rows} r LEFT JOIN vector v ON v.model IN (SELECT id FROM vector_model) "
    "AND v.namespace = r.namespace AND v.kind = r.kind AND v.ref = r.heir_of "
    f"WHERE (r.heir_of IS NULL OR v.id IS NOT NULL) {_OWN}"
)
_Heir: TypeAlias = tuple[None, int, str, int, None, int]


def write_vectors(
    conn: sqlite3.Connection, vectors: Sequence[tuple[int, int, str, int, bytes]], heirs: Sequence[_Heir] = ()
) -> None:
    """Write vectors: (model, namespace, kind, ref, data).

    Args:
        heirs: (None, namespace, kind, ref, None, heir_of): it has all vectors that another row of its kind has, of
            whatever model, except where it gets one of its own.
    """
    columns = "model namespace kind ref data:blob"
    if heirs:
        apply(conn, _INHERITED, f"{columns} heir_of", [*heirs, *((*vector, None) for vector in vectors)])
    else:
        insert(conn, "vector", columns, vectors, _OWN)


def moment_of(scope: Scope) -> Moment:
    """A call that decides now."""
    return Moment(scope.namespace, scope.agent, now_micros())


def namespace_id(conn: sqlite3.Connection, name: str) -> int | None:
    row = conn.execute("SELECT id FROM memory_namespace WHERE name = ?", (name,)).fetchone()
    return None if row is None else row[0]


def known_upto(conn: sqlite3.Connection, at: int) -> int:
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
            return int(low)
        last = first - 1
    return 0


def active_model(conn: sqlite3.Connection) -> tuple[int, Model] | None:
    """The model of the file's vectors."""
    row = conn.execute(
        "SELECT m.id, m.name, m.dim FROM memory_meta JOIN vector_model m ON m.id = CAST(value AS INTEGER) "
        "WHERE key = 'model'"
    ).fetchone()
    return None if row is None else (row[0], Model(row[1], row[2]))


def check_model(active: Model, model: Model) -> None:
    """Raises: ModelChanged."""
    if active != model:
        raise ModelChanged(
            f"the file's vectors are of {active.name!r} ({active.dim} numbers), the embedder is {model.name!r} "
            f"({model.dim}): open it with that one, or await memory.reembed()"
        )


def adopted_model(conn: sqlite3.Connection, active: tuple[int, Model] | None, model: Model) -> int:
    """The id of the embedder's model, which becomes the file's if it has none yet, as ``active`` says.

    Raises: ModelChanged.
    """
    if active is not None:
        check_model(active[1], model)
        return active[0]
    id = model_id(conn, model)
    conn.execute("INSERT INTO memory_meta VALUES ('model', ?)", (str(id),))
    return id


def model_id(conn: sqlite3.Connection, model: Model) -> int:
    """The id of a model."""
    conn.execute("INSERT INTO vector_model (name, dim) VALUES (?, ?) ON CONFLICT DO NOTHING", (model.name, model.dim))
    found: int = conn.execute(
        "SELECT id FROM vector_model WHERE name = ? AND dim = ?", (model.name, model.dim)
    ).fetchone()[0]
    return found


def root(conn: sqlite3.Connection, scope: Scope, namespace: int | None, entity: int) -> int:
    """The entity of an id, old ones of merged entities included; ``namespace`` is the id of the scope's.

    Raises: NotFound: none, or one of another namespace.
    """
    row = conn.execute("SELECT namespace, merged_into FROM entity WHERE id = ?", (entity,)).fetchone()
    if row is None or row[0] != namespace:
        raise NotFound(f"no entity {entity} in namespace {scope.namespace!r}")
    found: int = entity if row[1] is None else row[1]
    return found


class Work:
    """One job under way. Made on the writer's thread, so that no other job writes while it lives.

    Attributes:
        namespace: the id of the scope's namespace, which is made if it is missing.
        at: the clock's time, which may be before that of an earlier job.
        event: the first event that the job leaves: the order of knowledge. A job that takes it leaves one, and none is
            ever deleted.
    """

    __slots__ = ("_clock_went_back", "_events", "agent", "at", "conn", "event", "namespace", "scope")

    def __init__(self, conn: sqlite3.Connection, scope: Scope, namespace: int | None = None) -> None:
        self.conn: sqlite3.Connection = conn
        self.scope: Scope = scope
        self.agent: str | None = scope.agent
        found = namespace_id(conn, scope.namespace) if namespace is None else namespace
        if found is None:
            found = conn.execute("INSERT INTO memory_namespace (name) VALUES (?)", (scope.namespace,)).lastrowid
            assert found is not None
        self.namespace: int = found
        last = conn.execute("SELECT id, at FROM memory_event ORDER BY id DESC LIMIT 1").fetchone() or (0, 0)
        self.event: int = last[0] + 1
        self.at: int = now_micros()
        self._clock_went_back: bool = self.at < last[1]
        self._events: list[tuple[object, ...]] = []

    def note(self, operation: str, kind: str, ref: int, other: int | None = None, reason: str | None = None) -> None:
        """A line for the audit; written by ``finish``."""
        self._events.append((operation, kind, ref, other, reason))

    def finish(self) -> None:
        if self._clock_went_back and self._events:
            self.conn.execute("INSERT INTO memory_clock_back VALUES (?)", (self.event,))
        write_events(self.conn, [(self.at, self.namespace, self.agent, *event) for event in self._events])

    def root(self, entity: int) -> int:
        """Raises: NotFound."""
        return root(self.conn, self.scope, self.namespace, entity)

    def model(self, model: Model) -> int:
        """The id of the embedder's model, which becomes the file's if it has none yet.

        Raises: ModelChanged.
        """
        return adopted_model(self.conn, active_model(self.conn), model)

    def add_vectors(self, model: int, kind: str, vectors: Iterable[tuple[int, bytes]]) -> None:
        write_vectors(self.conn, [(model, self.namespace, kind, ref, data) for ref, data in vectors])

    def drop_vectors(self, kind: str, refs: Sequence[int]) -> None:
        self.conn.execute(
            "DELETE FROM vector WHERE model IN (SELECT id FROM vector_model) "
            "AND namespace = ? AND kind = ? AND ref IN (SELECT value FROM json_each(?))",
            (self.namespace, kind, json_list(refs)),
        )
