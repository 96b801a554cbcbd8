"""What the rule that brings rows back asks, and the lines of the audit that it brings."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from ...deciding.parcels import EvidenceThere, FactLike, FactsLike, LinesThere, MergedLike, TextLike, TextsLike
from ..past import FIRST_LINE_OF_PAST
from .loading import World
from .setwise import insert, load

__all__ = ["evidence_there", "facts_like", "lines_there", "merged_like", "note_past", "texts_like"]

_UNDER_KEY = (
    "SELECT r.place, p.id, p.version, p.content = r.content AS same, p.created_at, p.expired_at IS NULL AS now "
    "FROM {rows} r "
    "CROSS JOIN memory_namespace n ON n.name = r.space "
    "CROSS JOIN episode p ON p.namespace = n.id AND p.key = r.key WHERE r.key IS NOT NULL"
)
_WITHOUT = (
    "SELECT r.place, p.id, p.version, 1, p.created_at, p.expired_at IS NULL FROM {rows} r "
    "CROSS JOIN memory_namespace n ON n.name = r.space CROSS JOIN episode p ON p.created_at = r.at "
    "WHERE r.key IS NULL AND p.namespace = n.id AND p.key IS NULL AND p.session IS r.session AND p.seq IS r.seq "
    "AND p.content = r.content"
)


def texts_like(world: World, request: TextsLike) -> list[TextLike]:
    found = load(
        world.conn,
        "t.place, t.id, t.version, t.same, t.created_at, t.now",
        f"({_UNDER_KEY} UNION ALL {_WITHOUT}) t",
        {},
        "place space key session seq at content",
        [(place, *text) for place, text in enumerate(request.texts)],
    )
    return sorted(
        (TextLike(place, id, version, bool(same), at, bool(now)) for place, id, version, same, at, now in found),
        key=lambda one: one.id,
    )


def facts_like(world: World, request: FactsLike) -> list[FactLike]:
    found = load(
        world.conn,
        "r.place, f.id, f.predicate, f.value, f.valid_at, f.invalid_at, f.expired_at IS NULL, f.superseded_by",
        "{rows} r CROSS JOIN fact f ON f.created_at = r.at AND f.subject = r.subject AND f.object IS r.object",
        {},
        "place subject object at",
        [(place, *fact) for place, fact in enumerate(request.facts)],
    )
    return sorted(
        (FactLike._make((*fact, bool(now), successor)) for *fact, now, successor in found),
        key=lambda one: one.id,
    )


def evidence_there(world: World, request: EvidenceThere) -> set[int]:
    found = load(
        world.conn,
        "r.place",
        "{rows} r CROSS JOIN fact_evidence v ON v.fact = r.fact AND ifnull(v.episode, 0) = r.episode "
        "AND ifnull(v.agent, '') = r.agent",
        {},
        "place fact episode agent",
        [(place, fact, text or 0, agent or "") for place, (fact, text, agent) in enumerate(request.evidence)],
    )
    return {row[0] for row in found}


def merged_like(world: World, request: MergedLike) -> list[tuple[int, int]]:
    found = load(
        world.conn,
        "r.place, e.id",
        "{rows} r CROSS JOIN entity e ON e.merged_into = r.root WHERE e.name = r.name AND e.created_at = r.at",
        {},
        "place root name at",
        [(place, *entity) for place, entity in enumerate(request.entities)],
    )
    return sorted(((place, id) for place, id in found), key=lambda one: one[1])


def lines_there(world: World, request: LinesThere) -> set[int]:
    found = load(
        world.conn,
        "r.place",
        "{rows} r CROSS JOIN memory_event v ON v.ref = r.ref AND v.kind = r.kind AND v.at = r.at "
        "AND v.operation = r.operation",
        {},
        "place kind ref at operation",
        [(place, *line) for place, line in enumerate(request.lines)],
    )
    return {row[0] for row in found}


def note_past(conn: sqlite3.Connection, lines: Sequence[Sequence[Any]]) -> None:
    """Write lines that stand before all others, in order: (namespace, at, agent, operation, kind, ref, other, reason).
    Their ids are negative: no feed and no "known at" looks there.
    """
    [last] = conn.execute("SELECT ifnull(max(id), ?) FROM memory_event WHERE id < 0", (FIRST_LINE_OF_PAST,)).fetchone()
    numbered = [(id, *line) for id, line in enumerate(lines, start=last + 1)]
    insert(conn, "memory_event", "id namespace at agent operation kind ref other reason", numbered)
