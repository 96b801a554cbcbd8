"""What was decided, written: a statement a table, however many rows there are."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from typing import TypeAlias

from ..deciding.documents import Deciding, KnownEpisode
from ..deciding.facts import Facts, KnownFact
from ..deciding.identity import Identities
from ..deciding.moment import Moment
from .facts import write_evidence, write_expired
from .identity import index_names
from .loading import World
from .setwise import apply
from .work import write_events, write_vectors

__all__ = ["write_decided"]

_Vector: TypeAlias = tuple[int, str, int, bytes | None, int | None]


def write_decided(
    conn: sqlite3.Connection, world: World, decided: Deciding, facts: Facts | None, model: int | None
) -> None:
    """Write all that a job's calls do.

    Args:
        model: the id of the model whose vectors they have.
    """
    spaces = _Namespaces(conn, world, decided.moments)
    _write_entities(conn, spaces, decided.identities)
    _write_episodes(conn, spaces, decided)
    vectors: list[_Vector] = [
        *(
            (spaces[entity.namespace], "entity", entity.id, vector, None)
            for entity, vector in decided.identities.vectors
        ),
        *((spaces[text.namespace], "episode", text.id, text.vector, None) for text in decided.made if text.vector),
    ]
    if facts is not None:
        _write_facts(conn, spaces, facts)
        vectors += _vectors_of_facts(spaces, facts)
    apply(
        conn,
        "INSERT INTO mention SELECT r.entity, r.episode FROM {rows} r WHERE TRUE ON CONFLICT DO NOTHING",
        "entity episode",
        list(decided.mentioned),
    )
    write_vectors(conn, model, vectors)
    apply(
        conn,
        "INSERT INTO memory_clock_back SELECT r.event FROM {rows} r",
        "event",
        [(event,) for event in decided.backs],
    )
    write_events(
        conn,
        [
            (moment.at, spaces[moment.namespace], moment.agent, *event, None)
            for moment in decided.moments
            for event in moment.events
        ],
    )


class _Namespaces(dict[str, int]):
    """The ids of the namespaces in which calls write; those that are missing are made."""

    def __init__(self, conn: sqlite3.Connection, world: World, moments: list[Moment]) -> None:
        super().__init__(world.namespaces)
        for moment in moments:
            if moment.namespace not in self:
                made = conn.execute("INSERT INTO memory_namespace (name) VALUES (?)", (moment.namespace,)).lastrowid
                assert made is not None
                self[moment.namespace] = made


def _write_entities(conn: sqlite3.Connection, spaces: _Namespaces, identities: Identities) -> None:
    apply(
        conn,
        "INSERT INTO entity (id, namespace, name, key, type, type_key, description, agent, created_at, created_event) "
        "SELECT r.id, r.namespace, r.name, r.key, r.type, r.type_key, r.description, r.agent, r.at, r.event "
        "FROM {rows} r",
        "id namespace name key type type_key description agent at event",
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
    apply(
        conn,
        "INSERT INTO entity_alias SELECT r.namespace, r.key, r.type, r.entity FROM {rows} r",
        "namespace key type entity",
        [(spaces[alias.entity.namespace], alias.key, alias.type, alias.id) for alias in identities.aliases_made],
    )
    adopted = [(entity.id, entity.type, entity.type_key) for entity in identities.adopted]
    columns = "id type type_key"
    apply(
        conn,
        "UPDATE entity SET type = r.type, type_key = r.type_key FROM {rows} r WHERE entity.id = r.id",
        columns,
        adopted,
    )
    apply(
        conn,
        "UPDATE OR IGNORE entity_alias SET type = r.type_key FROM {rows} r "
        "WHERE entity_alias.entity = r.id AND entity_alias.type = ''",
        columns,
        adopted,
    )
    apply(
        conn,
        "INSERT INTO entity_similar SELECT r.a, r.b, r.cosine FROM {rows} r",
        "a b cosine:real",
        identities.similar,
    )
    if identities.renamed:
        index_names(conn, [entity.id for entity in identities.renamed])


def _write_episodes(conn: sqlite3.Connection, spaces: _Namespaces, decided: Deciding) -> None:
    apply(
        conn,
        "UPDATE episode SET expired_at = r.at, expired_event = r.event FROM {rows} r WHERE episode.id = r.id",
        "id at event",
        [(text.id, text.expired_at, text.ended.event) for text in decided.outdated if text.ended is not None],
    )
    # By parameters: a content may be as long as a value can. Most jobs have one.
    for text in decided.made:
        conn.execute(
            "INSERT INTO episode (id, namespace, key, version, session, seq, agent, source, content, metadata, "
            "occurred_at, occurred_offset, created_at, created_event, expired_at, expired_event) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            _episode(spaces, text),
        )


def _episode(spaces: _Namespaces, text: KnownEpisode) -> tuple[object, ...]:
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


_INSERT_FACTS = (
    "INSERT INTO fact (id, namespace, subject, predicate, predicate_given, object, value, value_given, text, valid_at, "
    "valid_offset, invalid_at, invalid_offset, created_at, created_event, expired_at, expired_event, superseded_by, "
    "agent) SELECT r.id, r.namespace, r.subject, r.predicate, r.predicate_given, r.object, r.value, r.value_given, "
    "r.text, r.valid_at, r.valid_offset, r.invalid_at, r.invalid_offset, r.created_at, r.created_event, r.expired_at, "
    "r.expired_event, r.superseded_by, r.agent FROM {rows} r"
)
_FACT_COLUMNS = (
    "id namespace subject predicate predicate_given object value value_given text valid_at valid_offset invalid_at "
    "invalid_offset created_at created_event expired_at expired_event superseded_by agent"
)


def _write_facts(conn: sqlite3.Connection, spaces: _Namespaces, facts: Facts) -> None:
    # What is believed no longer goes first: it is in the way of what takes its place.
    write_expired(
        conn,
        [
            (fact.id, fact.expired_at, fact.ended.event, fact.superseded_by)
            for fact in facts.expired
            if fact.ended is not None
        ],
    )
    apply(conn, _INSERT_FACTS, _FACT_COLUMNS, [_fact(spaces, fact) for fact in facts.made])
    write_evidence(
        conn,
        # What is inherited first: the first evidence of a text or an agent keeps its time.
        [
            *((fact.id, fact.heir_of, None, None, None, None, None) for fact in facts.made if fact.heir_of),
            *(
                (fact.id, None, text, support.quote, support.confidence, agent, support.at)
                for fact in facts.supported.values()
                for (text, agent), support in fact.support.items()
            ),
        ],
    )


def _fact(spaces: _Namespaces, fact: KnownFact) -> tuple[object, ...]:
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


def _vectors_of_facts(spaces: _Namespaces, facts: Facts) -> Iterator[_Vector]:
    """What is inherited first: a fact's own vector takes its place."""
    for fact in facts.made:
        if fact.made is not None and fact.heir_of is not None:
            yield spaces[fact.made.namespace], "fact", fact.id, None, fact.heir_of
    for fact in facts.made:
        if fact.made is not None and fact.vector is not None:
            yield spaces[fact.made.namespace], "fact", fact.id, fact.vector, None
