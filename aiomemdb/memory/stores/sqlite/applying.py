"""What was decided, written: a statement a table, however many rows there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from ...deciding.documents import Deciding, KnownEpisode
from ...deciding.facts import Facts, KnownFact
from ...deciding.identity import Identities
from .facts import write_evidence, write_expired
from .identity import index_names
from .loading import World
from .setwise import apply, insert
from .work import write_events, write_vectors

__all__ = ["write_decided"]


def write_decided(
    conn: sqlite3.Connection, world: World, decided: Deciding, facts: Facts | None, model: int | None
) -> None:
    """Write all that a job's calls do.

    Args:
        model: the id of the model that made their vectors, if they have any.
    """
    spaces = _namespaces(conn, world, decided)
    _write_entities(conn, spaces, decided.identities)
    _write_episodes(conn, spaces, decided)
    if facts is not None:
        _write_facts(conn, spaces, facts)
    insert(conn, "mention", "entity episode", list(decided.mentioned), "ON CONFLICT DO NOTHING")
    write_vectors(
        conn,
        []
        if model is None
        else [(model, spaces[space], kind, ref, vector) for space, kind, ref, vector in _vectors(decided, facts)],
        []
        if facts is None
        else [
            (None, spaces[fact.made.namespace], "fact", fact.id, None, fact.heir_of)
            for fact in facts.made
            if fact.heir_of is not None and fact.made is not None
        ],
    )
    insert(conn, "memory_clock_back", "event", [(event,) for event in decided.backs])
    write_events(
        conn,
        [
            (moment.at, spaces[moment.namespace], moment.agent, *event, None)
            for moment in decided.moments
            for event in moment.events
        ],
    )


def _namespaces(conn: sqlite3.Connection, world: World, decided: Deciding) -> dict[str, int]:
    """The ids of the namespaces in which calls write; those that are missing are made."""
    spaces = dict(world.namespaces)
    for moment in decided.moments:
        if moment.namespace not in spaces:
            made = conn.execute("INSERT INTO memory_namespace (name) VALUES (?)", (moment.namespace,)).lastrowid
            assert made is not None
            spaces[moment.namespace] = made
    return spaces


def _write_entities(conn: sqlite3.Connection, spaces: dict[str, int], identities: Identities) -> None:
    insert(
        conn,
        "entity",
        "id namespace name key type type_key description agent created_at created_event",
        [
            (
                entity.id,
                spaces[entity.namespace],
                entity.name,
                entity.key,
                entity.type,
                entity.type_key,
                entity.description,
                entity.agent,
                entity.created_at,
                entity.made.event,
            )
            for entity in identities.made
            if entity.made is not None
        ],
    )
    insert(
        conn,
        "entity_alias",
        "namespace key type entity",
        [(spaces[alias.entity.namespace], alias.key, alias.type, alias.id) for alias in identities.aliases_made],
    )
    adopted = [(entity.id, entity.type, entity.type_key) for entity in identities.adopted]
    apply(
        conn,
        "UPDATE entity SET type = r.type, type_key = r.type_key FROM {rows} r WHERE entity.id = r.id",
        "id type type_key",
        adopted,
    )
    apply(
        conn,
        "UPDATE OR IGNORE entity_alias SET type = r.type_key FROM {rows} r "
        "WHERE entity_alias.entity = r.id AND entity_alias.type = ''",
        "id type type_key",
        adopted,
    )
    insert(conn, "entity_similar", "a b cosine:real", identities.similar)
    if identities.renamed:
        index_names(conn, [entity.id for entity in identities.renamed])


def _write_episodes(conn: sqlite3.Connection, spaces: dict[str, int], decided: Deciding) -> None:
    apply(
        conn,
        "UPDATE episode SET expired_at = r.at, expired_event = r.event FROM {rows} r WHERE episode.id = r.id",
        "id at event",
        [(text.id, text.expired_at, text.ended.event) for text in decided.outdated if text.ended is not None],
    )
    insert(
        conn,
        "episode",
        "id namespace key version session seq agent source content metadata occurred_at occurred_offset created_at "
        "created_event expired_at expired_event",
        [_episode(spaces, text) for text in decided.made],
    )


def _episode(spaces: dict[str, int], text: KnownEpisode) -> tuple[object, ...]:
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
        text.made.event,
        text.expired_at,
        None if text.ended is None else text.ended.event,
    )


def _write_facts(conn: sqlite3.Connection, spaces: dict[str, int], facts: Facts) -> None:
    # What is believed no longer goes first: it is in the way of what takes its place.
    write_expired(
        conn,
        [
            (fact.id, fact.expired_at, fact.ended.event, fact.superseded_by)
            for fact in facts.expired
            if fact.ended is not None
        ],
    )
    insert(
        conn,
        "fact",
        "id namespace subject predicate predicate_given object value value_given text valid_at valid_offset "
        "invalid_at invalid_offset created_at created_event expired_at expired_event superseded_by agent",
        [_fact(spaces, fact) for fact in facts.made],
    )
    write_evidence(
        conn,
        [
            (fact.id, text, support.quote, support.confidence, agent, support.at)
            for fact in facts.supported.values()
            for (text, agent), support in fact.support.items()
        ],
        [(fact.heir_of, fact.id) for fact in facts.made if fact.heir_of is not None],
    )


def _fact(spaces: dict[str, int], fact: KnownFact) -> tuple[object, ...]:
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
        fact.made.event,
        fact.expired_at,
        None if fact.ended is None else fact.ended.event,
        fact.superseded_by,
        fact.agent,
    )


def _vectors(decided: Deciding, facts: Facts | None) -> Iterator[tuple[str, str, int, bytes]]:
    for entity, vector in decided.identities.vectors:
        yield entity.namespace, "entity", entity.id, vector
    for text in decided.made:
        if text.vector is not None:
            yield text.namespace, "episode", text.id, text.vector
    for fact in () if facts is None else facts.made:
        if fact.vector is not None and fact.made is not None:
            yield fact.made.namespace, "fact", fact.id, fact.vector
