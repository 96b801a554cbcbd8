"""States of a memory: how far each namespace has come. Lines of the audit are numbered in the order of their commits
within a namespace, as its jobs are serial; across namespaces they become visible in any order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ...questions import Token
from ..past import of_past

__all__ = ["KNOWN", "SPACES", "Known", "PostgresState", "as_known", "event_upto", "known_of"]

#: The ids of the namespaces that are named ``:spaces``.
SPACES = "ANY (ARRAY(SELECT id FROM aiomemdb.memory_namespace WHERE name = ANY (:spaces::text[])))"

# In each stretch of lines in which the clock only went on, the newest one with a clock that is not after ``:known_at``;
# of a namespace the newest of these. A namespace is a single stretch if its clock never went back.
_STRETCHES = (
    "SELECT s.event AS first, lead(s.event, 1, 9223372036854775807) OVER (ORDER BY s.event) AS next FROM ("
    "SELECT 0::bigint AS event UNION ALL SELECT b.event FROM aiomemdb.memory_clock_back b WHERE b.namespace = n.id) s"
)
_NEWEST = (
    "SELECT e.id FROM aiomemdb.memory_event e WHERE e.namespace = n.id AND e.at <= :known_at::bigint "
    "AND e.id >= s.first AND e.id < s.next ORDER BY e.at DESC, e.id DESC LIMIT 1"
)
#: A table expression: (namespace, event) of the namespaces that are named ``:spaces``.
KNOWN = (
    "known AS MATERIALIZED (SELECT n.id AS namespace, coalesce((SELECT max(x.id) FROM "
    f"({_STRETCHES}) s CROSS JOIN LATERAL ({_NEWEST}) x), 0) AS event "
    "FROM aiomemdb.memory_namespace n WHERE n.name = ANY (:spaces::text[]))"
)


def known_of(table: str) -> tuple[str, str]:
    """What was known of a table's rows in the state of ``KNOWN``, as ``counting`` takes it."""
    return f"(SELECT k.event FROM known k WHERE k.namespace = {table}.namespace)", ":known_past::bigint"


@dataclass(frozen=True, slots=True)
class Known:
    """A token: what was known at a time, in microseconds."""

    at: int

    def __lt__(self, other: Known) -> bool:
        return self.at < other.at


@dataclass(frozen=True, slots=True, order=True)
class PostgresState:
    """A token: the newest line that is seen.

    Attributes:
        event: that of the namespace, where it is of one.
        events: by the id of a namespace, where it is of all.
        space, model: the ids of the namespace and of the file's model, where it is of vectors.
    """

    event: int
    events: Mapping[int, int] = field(default_factory=dict, compare=False)
    space: int | None = field(default=None, compare=False)
    model: int | None = field(default=None, compare=False)


def event_upto(token: Token | None) -> int:
    """The newest line of a state; 0: none was seen."""
    assert token is None or isinstance(token, PostgresState)
    return 0 if token is None else token.event


def as_known(at: Token | int | None) -> dict[str, int | None]:
    """The parameters of ``KNOWN`` and ``known_of``."""
    if at is None:
        return {"known_at": None, "known_past": None}
    time = at if isinstance(at, int) else at.at if isinstance(at, Known) else None
    assert time is not None
    return {"known_at": time, "known_past": of_past(time)}
