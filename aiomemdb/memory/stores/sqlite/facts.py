"""Facts as rows: their evidence, how they expire, a fact retracted.

No row changes except in when it expired and ``superseded_by``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ....errors import NotFound
from ...store import Scope
from ...values import Fact
from .rows import facts_by_id
from .setwise import apply, insert
from .work import Work

__all__ = ["expire", "retract", "write_evidence", "write_expired"]

# Said again by the same text or agent: the first quote stays, and the greater confidence.
_UNITE = (
    "ON CONFLICT (fact, ifnull(episode, 0), ifnull(agent, '')) DO UPDATE SET "
    "quote = ifnull(quote, excluded.quote), confidence = max(confidence, excluded.confidence)"
)


_EVIDENCE = "fact episode quote confidence:real agent created_at"
_INHERITED = (
    "INSERT INTO fact_evidence (fact, episode, quote, confidence, agent, created_at) SELECT r.fact, "
    "iif(r.heir_of IS NULL, r.episode, v.episode), iif(r.heir_of IS NULL, r.quote, v.quote), "
    "iif(r.heir_of IS NULL, r.confidence, v.confidence), iif(r.heir_of IS NULL, r.agent, v.agent), "
    "iif(r.heir_of IS NULL, r.created_at, v.created_at) "
    "FROM {rows} r LEFT JOIN fact_evidence v ON v.fact = r.heir_of WHERE (r.heir_of IS NULL OR v.id IS NOT NULL) "
    f"{_UNITE}"
)


def write_evidence(
    conn: sqlite3.Connection, evidence: Sequence[Sequence[Any]], heirs: Sequence[tuple[int, int]] = ()
) -> None:
    """Add to the second fact of each of the heirs the evidence that the first has, then evidence of its own.

    Args:
        evidence: (fact, episode, quote, confidence, agent, created_at).
    """
    if heirs:
        inherited = [(fact, None, None, None, None, None, heir_of) for heir_of, fact in heirs]
        apply(conn, _INHERITED, f"{_EVIDENCE} heir_of", [*inherited, *((*row, None) for row in evidence)])
    else:
        insert(conn, "fact_evidence", _EVIDENCE, evidence, _UNITE)


def write_expired(conn: sqlite3.Connection, facts: Sequence[tuple[int, int | None, int, int | None]]) -> None:
    """Expire facts: (fact, when, the event, the fact that takes its place or None)."""
    apply(
        conn,
        "UPDATE fact SET expired_at = r.at, expired_event = r.event, superseded_by = r.successor FROM {rows} r "
        "WHERE fact.id = r.fact",
        "fact at event successor",
        facts,
    )


def expire(work: Work, facts: Sequence[tuple[int, int | None]]) -> None:
    """Expire facts, each with the one that takes its place, or None."""
    write_expired(work.conn, [(fact, work.at, work.event, successor) for fact, successor in facts])
    for fact, successor in facts:
        work.note("expire" if successor is None else "supersede", "fact", fact, successor)


def retract(conn: sqlite3.Connection, scope: Scope, fact: int, reason: str) -> Fact:
    """Believed no longer, from now on; one that is expired already stays as it is."""
    work = Work(conn, scope)
    row = conn.execute("SELECT namespace, expired_at FROM fact WHERE id = ?", (fact,)).fetchone()
    if row is None or row["namespace"] != work.namespace:
        raise NotFound(f"no fact {fact} in namespace {work.scope.namespace!r}")
    if row["expired_at"] is None:
        conn.execute("UPDATE fact SET expired_at = ?, expired_event = ? WHERE id = ?", (work.at, work.event, fact))
        work.note("retract", "fact", fact, reason=reason or None)
    work.finish()
    return facts_by_id(conn, [fact])[0]
