"""The columns of what a page shows, in the SQL that all engines have; ``deciding/picturing.py`` takes them apart."""

from __future__ import annotations

from .exported import At

__all__ = ["begin", "entity_columns", "episode_columns", "fact_columns"]

_BEFORE_QUOTE = 240

# The tables are called e, f and p.


def entity_columns(at: At) -> str:
    return (
        "e.id, e.namespace, e.name, e.type, e.description, e.attributes, e.agent, e.created_at, e.created_event, "
        f"{at('e', 'created_event')}"
    )


def fact_columns(at: At) -> str:
    return (
        "f.id, f.namespace, f.subject, coalesce(f.predicate_given, f.predicate), f.object, "
        "coalesce(f.value_given, f.value), f.text, f.valid_at, f.valid_offset, f.invalid_at, f.invalid_offset, "
        f"f.created_at, f.created_event, {at('f', 'created_event')}, f.expired_at, f.expired_event, "
        f"{at('f', 'expired_event')}, f.superseded_by, f.agent"
    )


def episode_columns(at: At, content: str, begin: str) -> str:
    """Args: the part of the text that is shown, and how many characters are before it."""
    return (
        f"p.id, p.namespace, p.key, p.version, p.session, p.seq, p.agent, p.source, {content}, {begin}, "
        f"length(p.content), p.occurred_at, p.created_at, p.created_event, {at('p', 'created_event')}, p.expired_at"
    )


def begin(greatest: str, least: str, position: str, room: str, length: str, quote: str) -> str:
    """Where the part of a long text around a quote begins. Args: functions, by name, and expressions."""
    return f"{greatest}(0, {least}({length} - {room}, {position}(p.content, {quote}) - {_BEFORE_QUOTE}))"
