"""PostgresStatistics: what a database of this engine is doing and has done."""

from __future__ import annotations

from dataclasses import dataclass

from ..values import Statistics

__all__ = ["PostgresStatistics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresStatistics(Statistics):
    """``aiomemdb.Statistics``, and what lost connections, their outcomes, and replicas have to do with it."""

    transactions: int
    """Gauge: ``transaction()`` that are open now, each on a connection of its own."""
    transactions_pending: int
    """Gauge: callers that wait for such a connection."""
    reconnects: int
    """Counter: times that the writer's connection was made anew."""
    outcomes_asked: int
    """Counter: times that a connection was lost while a COMMIT may have been under way, and a new one was asked."""
    outcomes_applied: int
    """Counter: of these, COMMITs that had come through."""
    outcomes_unknown: int
    """Counter: jobs and transactions that ended in ``CommitOutcomeUnknown``, as no server could be asked in time."""
    commits_lost: int
    """Counter: times that a server had lost what it had acknowledged: a standby without ``synchronous_standby_names``
    was promoted, or ``synchronous_commit`` is off. The next connection finds out, in the place of the one that
    committed."""
    replica_reads: int
    """Counter: queries that a replica answered."""
    replica_waits: int
    """Counter: queries that waited for a replica to catch up, those among them that then went to the primary."""
