"""What the rule that brings rows back asks, and the lines of the audit that it brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ...deciding.parcels import EvidenceThere, FactLike, FactsLike, LinesThere, MergedLike, TextLike, TextsLike
from ..written import EVENT
from .statements import Statement, insert, rows_from
from .world import World

__all__ = ["evidence_there", "facts_like", "lines_there", "merged_like", "past_lines", "texts_like"]

_HERE = "namespace = ANY (:here::bigint[])"


async def _like(world: World, sql: str, columns: str, rows: Sequence[Sequence[Any]]) -> list[Any]:
    """The rows of a statement that reads others from ``{rows}``."""
    if not rows:
        return []
    source, params = rows_from(columns, rows)
    return list(await world.asking.rows(sql.format(rows=source), **params, here=list(world.spaces.values())))


_UNDER_KEY = (
    "SELECT r.place, p.id, p.version, p.content = r.content AS same, p.created_at, p.expired_at IS NULL AS now "
    "FROM {rows} JOIN aiomemdb.episode p ON p.namespace = r.namespace AND md5(p.key) = md5(r.key) AND p.key = r.key "
    "ORDER BY p.id"
)
_WITHOUT = (
    "SELECT r.place, p.id, p.version, TRUE AS same, p.created_at, p.expired_at IS NULL AS now FROM {rows} "
    "JOIN aiomemdb.episode p ON p.namespace = r.namespace AND p.created_at = r.created_at WHERE p.key IS NULL "
    "AND p.session IS NOT DISTINCT FROM r.session AND p.seq IS NOT DISTINCT FROM r.seq AND p.content = r.content "
    "ORDER BY p.id"
)


async def texts_like(world: World, request: TextsLike) -> list[TextLike]:
    asked = [(place, world.spaces.get(of), *text) for place, (of, *text) in enumerate(request.texts)]
    columns = "place namespace key session seq created_at content"
    found = await _like(world, _UNDER_KEY, columns, [text for text in asked if text[2] is not None])
    found += await _like(world, _WITHOUT, columns, [text for text in asked if text[2] is None])
    return sorted((TextLike._make(row) for row in found), key=lambda one: one.id)


async def facts_like(world: World, request: FactsLike) -> list[FactLike]:
    found = await _like(
        world,
        "SELECT r.place, f.id, f.predicate, f.value, f.valid_at, f.invalid_at, f.expired_at IS NULL, f.superseded_by "
        f"FROM {{rows}} JOIN aiomemdb.fact f ON f.{_HERE} AND f.created_at = r.at AND f.subject = r.subject "
        "AND f.object IS NOT DISTINCT FROM r.object ORDER BY f.id",
        "place subject object at",
        [(place, *fact) for place, fact in enumerate(request.facts)],
    )
    return [FactLike._make(row) for row in found]


async def evidence_there(world: World, request: EvidenceThere) -> set[int]:
    found = await _like(
        world,
        f"SELECT r.place FROM {{rows}} JOIN aiomemdb.fact_evidence v ON v.{_HERE} AND v.fact = r.fact "
        "AND coalesce(v.episode, 0) = r.episode AND coalesce(v.agent, '') = r.agent",
        "place fact episode agent",
        [(place, fact, text or 0, agent or "") for place, (fact, text, agent) in enumerate(request.evidence)],
    )
    return {row[0] for row in found}


async def merged_like(world: World, request: MergedLike) -> list[tuple[int, int]]:
    found = await _like(
        world,
        f"SELECT r.place, e.id FROM {{rows}} JOIN aiomemdb.entity e ON e.{_HERE} AND e.merged_into = r.entity "
        "AND e.name = r.name AND e.created_at = r.at ORDER BY e.id",
        "place entity name at",
        [(place, *entity) for place, entity in enumerate(request.entities)],
    )
    return [(row[0], row[1]) for row in found]


async def lines_there(world: World, request: LinesThere) -> set[int]:
    found = await _like(
        world,
        f"SELECT r.place FROM {{rows}} JOIN aiomemdb.memory_event v ON v.{_HERE} AND v.ref = r.ref "
        "AND v.kind = r.kind AND v.at = r.at AND v.operation = r.operation",
        "place kind ref at operation",
        [(place, *line) for place, line in enumerate(request.lines)],
    )
    return {row[0] for row in found}


async def past_lines(world: World, spaces: Mapping[str, int], lines: Sequence[tuple[Any, ...]]) -> list[Statement]:
    """What writes lines that stand before all others, in order. Their ids are negative: no feed and no "known at" looks
    there.
    """
    if not lines:
        return []
    rows = await world.asking.rows("SELECT nextval('aiomemdb.past_id') FROM generate_series(1, :n::int)", n=len(lines))
    ids = sorted(row[0] for row in rows)
    written = [(id, at, spaces[of], *rest) for id, (of, at, *rest) in zip(ids, lines, strict=True)]
    return [insert("memory_event", f"id {EVENT}", written)]
