"""Rows of a store as values: their columns in the order of the values' fields, times in microseconds, JSON as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from .questions import Node
from .times import from_micros
from .values import Entity, Episode, Event, Evidence, Fact

__all__ = [
    "entity_of",
    "episode_of",
    "event_of",
    "evidence_by_fact",
    "evidence_of",
    "fact_of",
    "literal",
    "nodes_of",
]


def _time(micros: int | None, offset: int | None = None) -> datetime | None:
    return None if micros is None else from_micros(micros, offset)


def literal(text: str) -> Any:
    """A value of a fact from its JSON; most are texts with nothing to take apart."""
    return text[1:-1] if text[0] == '"' and "\\" not in text else json.loads(text)


def entity_of(
    id: int,
    namespace: str,
    name: str,
    type: str | None,
    description: str,
    attributes: str,
    agent: str | None,
    created_at: int,
    implied: int,
) -> Entity:
    return Entity(
        id,
        namespace,
        name,
        type,
        description,
        {} if attributes == "{}" else json.loads(attributes),
        agent,
        from_micros(created_at),
        bool(implied),
    )


def fact_of(
    id: int,
    namespace: str,
    subject: int,
    predicate: str,
    object: int | None,
    value: str | None,
    text: str,
    valid_at: int | None,
    valid_offset: int | None,
    invalid_at: int | None,
    invalid_offset: int | None,
    created_at: int,
    expired_at: int | None,
    superseded_by: int | None,
    agent: str | None,
) -> Fact:
    return Fact(
        id,
        namespace,
        subject,
        predicate,
        object,
        None if value is None else literal(value),
        text,
        # Most have none of these.
        None if valid_at is None else from_micros(valid_at, valid_offset),
        None if invalid_at is None else from_micros(invalid_at, invalid_offset),
        from_micros(created_at),
        None if expired_at is None else from_micros(expired_at),
        superseded_by,
        agent,
    )


def episode_of(
    id: int,
    namespace: str,
    key: str | None,
    version: int,
    session: str | None,
    seq: int | None,
    agent: str | None,
    source: str | None,
    content: str,
    metadata: str,
    occurred_at: int | None,
    occurred_offset: int | None,
    created_at: int,
    expired_at: int | None,
) -> Episode:
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


def evidence_of(
    id: int,
    fact: int,
    episode: int | None,
    quote: str | None,
    confidence: float,
    agent: str | None,
    created_at: int,
) -> Evidence:
    return Evidence(id, fact, episode, quote, confidence, agent, from_micros(created_at))


def event_of(
    id: int,
    at: int,
    operation: str,
    kind: str,
    ref: int,
    other: int | None,
    agent: str | None,
    reason: str | None,
) -> Event:
    return Event(id, from_micros(at), operation, kind, ref, other, agent, reason)


_OF: Mapping[str, Callable[..., Any]] = {"entity": entity_of, "episode": episode_of, "fact": fact_of}


def nodes_of(kind: str, rows: Iterable[Any]) -> dict[Node, Fact | Episode | Entity]:
    """Rows of a kind, by their nodes."""
    of = _OF[kind]
    return {(kind, row[0]): of(*row) for row in rows}


def evidence_by_fact(rows: Iterable[Any]) -> dict[int, list[Evidence]]:
    """Rows of evidence, in their order, by the facts that they are for."""
    found: dict[int, list[Evidence]] = {}
    for row in rows:
        found.setdefault(row[1], []).append(evidence_of(*row))
    return found
