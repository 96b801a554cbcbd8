"""Rows to values, and the columns that they need."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from ..times import from_micros
from ..values import Entity, Episode, Event, Evidence, Fact

__all__ = [
    "BELIEVED",
    "ENTITY",
    "EPISODE",
    "EVIDENCE",
    "FACT",
    "entities_by_id",
    "entity_of",
    "episode_of",
    "event_of",
    "evidence_of",
    "fact_of",
    "facts_by_id",
    "json_list",
]

# Columns, for tables that are called e, f, p and n (memory_namespace).
ENTITY = "e.id, n.name AS namespace, e.name, e.type, e.description, e.attributes, e.agent, e.created_at"
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


def _time(micros: int | None, offset: int | None = None) -> datetime | None:
    return None if micros is None else from_micros(micros, offset)


def entity_of(row: Iterable[Any]) -> Entity:
    id, namespace, name, type, description, attributes, agent, created_at = row
    return Entity(
        id,
        namespace,
        name,
        type,
        description,
        {} if attributes == "{}" else json.loads(attributes),
        agent,
        from_micros(created_at),
    )


def fact_of(row: sqlite3.Row) -> Fact:
    (
        id,
        namespace,
        subject,
        predicate,
        object,
        value,
        text,
        valid_at,
        valid_offset,
        invalid_at,
        invalid_offset,
        created_at,
        expired_at,
        superseded_by,
        agent,
    ) = row
    return Fact(
        id,
        namespace,
        subject,
        predicate,
        object,
        None if value is None else json.loads(value),
        text,
        _time(valid_at, valid_offset),
        _time(invalid_at, invalid_offset),
        from_micros(created_at),
        _time(expired_at),
        superseded_by,
        agent,
    )


def episode_of(row: sqlite3.Row) -> Episode:
    (
        id,
        namespace,
        key,
        version,
        session,
        seq,
        agent,
        source,
        content,
        metadata,
        occurred_at,
        occurred_offset,
        created_at,
        expired_at,
    ) = row
    return Episode(
        id,
        namespace,
        key,
        version,
        session,
        seq,
        agent,
        source,
        content,
        {} if metadata == "{}" else json.loads(metadata),
        _time(occurred_at, occurred_offset),
        from_micros(created_at),
        _time(expired_at),
    )


def evidence_of(row: sqlite3.Row) -> Evidence:
    id, fact, episode, quote, confidence, agent, created_at = row
    return Evidence(id, fact, episode, quote, confidence, agent, from_micros(created_at))


def event_of(row: sqlite3.Row) -> Event:
    id, at, operation, kind, ref, other, agent, reason = row
    return Event(id, from_micros(at), operation, kind, ref, other, agent, reason)


def json_list(values: Iterable[int | str]) -> str:
    """For ``json_each``: one statement for any number of values, compiled once."""
    return json.dumps(list(values))


def entities_by_id(conn: sqlite3.Connection, ids: Sequence[int]) -> dict[int, Entity]:
    rows = conn.execute(
        f"SELECT {ENTITY} FROM json_each(?) j CROSS JOIN entity e ON e.id = j.value "
        "JOIN memory_namespace n ON n.id = e.namespace",
        (json_list(ids),),
    )
    return {row[0]: entity_of(row) for row in rows.fetchall()}


def facts_by_id(conn: sqlite3.Connection, ids: Sequence[int]) -> list[Fact]:
    rows = conn.execute(
        f"SELECT {FACT} FROM json_each(?) j CROSS JOIN fact f ON f.id = j.value "
        "JOIN memory_namespace n ON n.id = f.namespace ORDER BY j.key",
        (json_list(ids),),
    )
    return [fact_of(row) for row in rows.fetchall()]
