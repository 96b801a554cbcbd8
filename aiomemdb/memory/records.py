"""Rows of a store as values: their columns in the order of the values' fields, times in microseconds, JSON as text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from .times import from_micros
from .values import Entity, Episode, Event, Evidence, Fact

__all__ = ["entity_of", "episode_of", "event_of", "evidence_of", "fact_of"]


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


def fact_of(row: Iterable[Any]) -> Fact:
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


def episode_of(row: Iterable[Any]) -> Episode:
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


def evidence_of(row: Iterable[Any]) -> Evidence:
    id, fact, episode, quote, confidence, agent, created_at = row
    return Evidence(id, fact, episode, quote, confidence, agent, from_micros(created_at))


def event_of(row: Iterable[Any]) -> Event:
    id, at, operation, kind, ref, other, agent, reason = row
    return Event(id, from_micros(at), operation, kind, ref, other, agent, reason)
