"""What word search finds a row by, on every engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ..dates import Day
from ..deciding.facts import KnownFact
from ..records import literal
from ..times import from_micros
from ..words import indexed

__all__ = ["Indexed", "Quotes", "entity_text", "of_entity", "of_episode", "of_fact", "quotes_of"]

#: (form, terms).
Indexed: TypeAlias = tuple[str | None, str]
#: By text and agent, without those that quote nothing.
Quotes: TypeAlias = dict[tuple[int | None, str | None], str]


def entity_text(name: str, description: str, other_names: str) -> str:
    """The text of an entity."""
    return f"{name} {description} {other_names}"


def of_entity(name: str, description: str, other_names: str) -> Indexed:
    return indexed(entity_text(name, description, other_names))


def of_episode(content: str, occurred_at: int | None, occurred_offset: int | None) -> Indexed:
    return indexed(
        content, day=None if occurred_at is None else Day.of(from_micros(occurred_at, occurred_offset).date())
    )


def quotes_of(fact: KnownFact, before: Quotes | None = None) -> list[str | None]:
    """The quotes of a fact, in the order in which stores read all of a fact: by text, then by agent.

    Args:
        before: those that it has, or inherits; the job adds others.
    """
    if not before and len(fact.support) == 1:
        return [support.quote for support in fact.support.values()]
    quotes = {**{by: support.quote for by, support in fact.support.items()}, **(before or {})}
    return [quotes[by] for by in sorted(quotes, key=lambda by: (by[0] or 0, by[1] or ""))]


def of_fact(text: str, value: str | None, quotes: Iterable[str | None]) -> Indexed:
    return indexed(text, "" if value is None else str(literal(value)), *filter(None, quotes))
