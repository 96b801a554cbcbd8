"""Rows as a job writes them, on every engine: the columns that all stores have, and their values."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Protocol

from ..deciding.documents import KnownEpisode
from ..deciding.facts import KnownFact
from ..deciding.known import KnownEntity
from ..deciding.moment import Moment
from ..deciding.requests import Changes

__all__ = [
    "ENTITY",
    "EPISODE",
    "EVENT",
    "FACT",
    "Lines",
    "entity_row",
    "episode_row",
    "event_rows",
    "fact_row",
    "is_quoted",
    "requoted",
]


class Lines(Protocol):
    """The line of the audit that a call of the job leaves first, as the store numbers it, or one of those after it."""

    def __call__(self, moment: Moment, place: int = 0, /) -> int: ...


ENTITY = "id namespace key name type type_key description attributes agent created_at created_event established"
EPISODE = (
    "id namespace key version session seq agent source content metadata occurred_at occurred_offset created_at "
    "created_event expired_at expired_event"
)
FACT = (
    "id namespace subject predicate predicate_given object value value_given text valid_at valid_offset invalid_at "
    "invalid_offset created_at created_event expired_at expired_event superseded_by agent"
)
EVENT = "at namespace agent operation kind ref other reason"


def entity_row(entity: KnownEntity, spaces: Mapping[str, int], lines: Lines) -> tuple[Any, ...]:
    return (
        entity.id,
        spaces[entity.namespace],
        entity.key,
        entity.name,
        entity.type,
        entity.type_key,
        entity.description,
        entity.attributes,
        entity.agent,
        entity.created_at,
        entity.since if entity.made is None else lines(entity.made),
        entity.established if entity.line is None else lines(entity.line.moment, entity.line.place),
    )


def episode_row(text: KnownEpisode, spaces: Mapping[str, int], lines: Lines) -> tuple[Any, ...]:
    assert text.made is not None
    return (
        text.id,
        spaces[text.namespace],
        text.key,
        text.version,
        text.session,
        text.seq,
        text.agent,
        text.source,
        text.content,
        text.metadata,
        text.occurred_at,
        text.occurred_offset,
        text.created_at,
        lines(text.made),
        text.expired_at,
        None if text.ended is None else lines(text.ended),
    )


def fact_row(fact: KnownFact, spaces: Mapping[str, int], lines: Lines) -> tuple[Any, ...]:
    assert fact.made is not None
    return (
        fact.id,
        spaces[fact.made.namespace],
        fact.subject,
        fact.predicate,
        fact.predicate_given,
        fact.object,
        fact.value,
        fact.value_given,
        fact.text,
        fact.valid_at,
        fact.valid_offset,
        fact.invalid_at,
        fact.invalid_offset,
        fact.created_at,
        lines(fact.made),
        fact.expired_at,
        None if fact.ended is None else lines(fact.ended),
        fact.superseded_by,
        fact.agent,
    )


def event_rows(changes: Changes, spaces: Mapping[str, int]) -> list[tuple[Any, ...]]:
    """The lines of the audit, in order."""
    return [
        (moment.at, spaces[moment.namespace], moment.agent, *event)
        for moment in changes.moments
        for event in moment.events
    ]


def is_quoted(fact: KnownFact) -> bool:
    """Whether a job quotes it."""
    return any(support.quote for support in fact.support.values())


def requoted(changes: Changes, read: Container[int] = ()) -> list[int]:
    """The facts that have quotes which word search lacks: new ones were inserted with their own.

    Args:
        read: the job knows all quotes of these facts; with them, word search has those of their heirs.
    """
    made = {fact.id for fact in changes.facts}
    quoting = [fact.id for fact in changes.supported if fact.id not in made and fact.id not in read and is_quoted(fact)]
    heirs = [fact.id for fact in changes.facts if fact.heir_of is not None and fact.heir_of not in read]
    return [*quoting, *heirs, *(id for _, id in changes.united)]
