"""What was decided, written: a statement a table, however many rows there are."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any, TypeAlias

from ...deciding.facts import KnownFact
from ...deciding.known import KnownEntity
from ...deciding.requests import Changes
from ...questions import Model
from ..indexed import of_entity, of_episode, of_fact, quotes_of
from ..written import ENTITY, EPISODE, EVENT, FACT, entity_row, episode_row, event_rows, fact_row, is_quoted, requoted
from .identity import index_names
from .indexing import reindex
from .loading import OF_OTHER, World
from .restoring import note_past
from .setwise import apply, insert
from .states import model_id

__all__ = ["note", "write_changes"]


def write_changes(world: World, changes: Changes) -> None:
    """Write all that a job does; most jobs write few of the tables."""
    spaces = _namespaces(world, changes)
    if changes.entities or changes.changed or changes.renamed or changes.aliases_gone:
        _write_entities(world, spaces, changes)
    if changes.episodes or changes.outdated:
        _write_episodes(world, spaces, changes)
    if changes.facts or changes.expired or changes.supported or changes.united:
        _write_facts(world, spaces, changes)
    for other, into in changes.merged:
        _merge(world.conn, other, into)
    if changes.mentions:
        insert(world.conn, "mention", "entity episode", list(changes.mentions), "ON CONFLICT DO NOTHING")
    _write_near_names(world.conn, changes)
    _write_vectors(world, spaces, changes)
    if changes.past:
        note_past(world.conn, [(spaces[namespace], *line) for namespace, *line in changes.past])
    if changes.successors:
        apply(
            world.conn,
            "UPDATE fact SET superseded_by = r.successor FROM {rows} r WHERE fact.id = r.fact",
            "fact successor",
            changes.successors,
        )
    if changes.backs:
        insert(world.conn, "memory_clock_back", "event", [(world.event(moment),) for moment in changes.backs])
    note(world.conn, event_rows(changes, spaces))


def note(conn: sqlite3.Connection, events: Sequence[Sequence[Any]]) -> None:
    """Write lines of the audit, in order: (at, namespace, agent, operation, kind, ref, other, reason)."""
    insert(conn, "memory_event", EVENT, events)


def _namespaces(world: World, changes: Changes) -> dict[str, int]:
    """The ids of the namespaces in which calls write; those that are missing are made."""
    for moment in changes.moments:
        if moment.namespace not in world.namespaces:
            made = world.conn.execute("INSERT INTO memory_namespace (name) VALUES (?)", (moment.namespace,)).lastrowid
            assert made is not None
            world.namespaces[moment.namespace] = made
    return world.namespaces


# -- who is who --------------------------------------------------------------------------------------------------------


_ENTITY = f"{ENTITY} form terms"
_CHANGE_ENTITY = (
    f"UPDATE entity SET {', '.join(f'{column} = r.{column}' for column in _ENTITY.split()[1:])} FROM {{rows}} r "
    "WHERE entity.id = r.id"
)


def _write_entities(world: World, spaces: dict[str, int], changes: Changes) -> None:
    conn = world.conn
    insert(conn, "entity", _ENTITY, [_entity_row(world, spaces, entity) for entity in changes.entities])
    if changes.changed:
        apply(conn, _CHANGE_ENTITY, _ENTITY, [_entity_row(world, spaces, entity) for entity in changes.changed])
    if changes.aliases_gone:
        apply(
            conn,
            "DELETE FROM entity_alias WHERE (namespace, key, type) IN (SELECT namespace, key, type FROM {rows})",
            "namespace key type",
            [(spaces[namespace], key, type) for namespace, key, type in changes.aliases_gone],
        )
    insert(
        conn,
        "entity_alias",
        "namespace key type entity",
        [(spaces[namespace], key, type, entity) for namespace, key, type, entity in changes.aliases],
    )
    if changes.renamed:
        index_names(conn, changes.renamed)
        reindex(conn, "entity", changes.renamed)


def _entity_row(world: World, spaces: dict[str, int], entity: KnownEntity) -> tuple[Any, ...]:
    found_by = of_entity(entity.name, entity.description, entity.other_names)
    return (*entity_row(entity, spaces, world.event), *found_by)


def _merge(conn: sqlite3.Connection, other: int, into: int) -> None:
    both = {"other": other, "into": into}
    for sql in (
        "UPDATE fact SET subject = iif(subject = :other, :into, subject), object = iif(object = :other, :into, object) "
        f"WHERE id IN {OF_OTHER}",
        "INSERT INTO mention SELECT :into, episode FROM mention WHERE entity = :other ON CONFLICT DO NOTHING",
        "DELETE FROM mention WHERE entity = :other",
        "INSERT INTO entity_similar SELECT min(:into, x), max(:into, x), cosine FROM ("
        "SELECT b AS x, cosine FROM entity_similar WHERE a = :other "
        "UNION ALL SELECT a, cosine FROM entity_similar WHERE b = :other"
        ") WHERE x <> :into ON CONFLICT DO UPDATE SET cosine = max(cosine, excluded.cosine)",
        "DELETE FROM entity_similar WHERE a = :other OR b = :other",
        "UPDATE entity SET merged_into = :into WHERE id = :other OR merged_into = :other",
    ):
        conn.execute(sql, both)


# -- texts -------------------------------------------------------------------------------------------------------------


def _write_episodes(world: World, spaces: dict[str, int], changes: Changes) -> None:
    apply(
        world.conn,
        "UPDATE episode SET expired_at = r.at, expired_event = r.event FROM {rows} r WHERE episode.id = r.id",
        "id at event",
        [(text.id, text.expired_at, world.event(text.ended)) for text in changes.outdated if text.ended is not None],
    )
    made = [
        (
            *episode_row(text, spaces, world.event),
            *of_episode(text.content, text.occurred_at, text.occurred_offset),
        )
        for text in changes.episodes
    ]
    insert(world.conn, "episode", f"{EPISODE} form terms", made)


# -- facts -------------------------------------------------------------------------------------------------------------

_EVIDENCE = "fact episode quote confidence:real agent created_at"
# As ``Support.united``.
_UNITE = (
    "ON CONFLICT (fact, ifnull(episode, 0), ifnull(agent, '')) DO UPDATE SET "
    "quote = ifnull(quote, excluded.quote), confidence = max(confidence, excluded.confidence)"
)
_EVIDENCE_INHERITED = (
    "INSERT INTO fact_evidence (fact, episode, quote, confidence, agent, created_at) SELECT r.fact, "
    "iif(r.heir_of IS NULL, r.episode, v.episode), iif(r.heir_of IS NULL, r.quote, v.quote), "
    "iif(r.heir_of IS NULL, r.confidence, v.confidence), iif(r.heir_of IS NULL, r.agent, v.agent), "
    "iif(r.heir_of IS NULL, r.created_at, v.created_at) "
    "FROM {rows} r LEFT JOIN fact_evidence v ON v.fact = r.heir_of WHERE (r.heir_of IS NULL OR v.id IS NOT NULL) "
    f"{_UNITE}"
)


# What a row lacks stays: most facts are other in one of the two.
_CHANGE_FACT = (
    "UPDATE fact SET expired_at = ifnull(r.at, fact.expired_at), expired_event = ifnull(r.event, fact.expired_event), "
    "superseded_by = iif(r.at IS NULL, fact.superseded_by, r.successor), "
    "form = iif(r.terms IS NULL, fact.form, r.form), terms = ifnull(r.terms, fact.terms) "
    "FROM {rows} r WHERE fact.id = r.fact"
)


def _write_facts(world: World, spaces: dict[str, int], changes: Changes) -> None:
    # What is believed no longer goes first: it is in the way of what takes its place.
    apply(world.conn, _CHANGE_FACT, "fact at event successor form terms", _changed_facts(world, changes))
    made = [
        (*fact_row(fact, spaces, world.event), *of_fact(fact.text, fact.value, _quotes(world, fact)))
        for fact in changes.facts
    ]
    insert(world.conn, "fact", f"{FACT} form terms", made)
    heirs = [(fact.heir_of, fact.id) for fact in changes.facts if fact.heir_of is not None]
    _write_evidence(
        world.conn,
        [
            (fact.id, text, support.quote, support.confidence, agent, support.at)
            for fact in changes.supported
            for (text, agent), support in fact.support.items()
        ],
        [*heirs, *changes.united],
    )
    if unread := requoted(changes, world.quotes):
        reindex(world.conn, "fact", unread)


def _changed_facts(world: World, changes: Changes) -> list[tuple[Any, ...]]:
    """Those that were there before: what is believed no longer, and what is found by other words."""
    expired = {fact: (moment.at, world.event(moment), successor) for fact, moment, successor in changes.expired}
    words = {
        fact.id: of_fact(fact.text, fact.value, _quotes(world, fact))
        for fact in changes.supported
        if fact.id in world.quotes and is_quoted(fact)
    }
    stays, same_words = (None, None, None), (None, None)
    return [(fact, *expired.get(fact, stays), *words.get(fact, same_words)) for fact in {**expired, **words}]


def _quotes(world: World, fact: KnownFact) -> list[str | None]:
    """All that a fact will be quoted by, as far as the job has read it."""
    return quotes_of(fact, world.quotes.get(fact.id if fact.made is None else fact.heir_of or 0))


def _write_evidence(
    conn: sqlite3.Connection, evidence: Sequence[Sequence[Any]], heirs: Sequence[tuple[int, int]]
) -> None:
    """Add to the second fact of each of the heirs the evidence that the first has, then evidence of its own."""
    if heirs:
        inherited = [(fact, None, None, None, None, None, heir_of) for heir_of, fact in heirs]
        apply(conn, _EVIDENCE_INHERITED, f"{_EVIDENCE} heir_of", [*inherited, *((*row, None) for row in evidence)])
    else:
        insert(conn, "fact_evidence", _EVIDENCE, evidence, _UNITE)


# -- vectors -----------------------------------------------------------------------------------------------------------

# A row's own vector takes the place of one that it inherits, of whatever model.
_OWN = "ON CONFLICT (model, namespace, kind, ref) DO UPDATE SET data = excluded.data"
_VECTORS_INHERITED = (
    "INSERT INTO vector (model, namespace, kind, ref, data) SELECT ifnull(r.model, v.model), r.namespace, r.kind, "
    "r.ref, ifnull(r.data, v.data) FROM {rows} r LEFT JOIN vector v ON v.model IN (SELECT id FROM vector_model) "
    "AND v.namespace = r.namespace AND v.kind = r.kind AND v.ref = r.heir_of "
    f"WHERE (r.heir_of IS NULL OR v.id IS NOT NULL) {_OWN}"
)
_Vector: TypeAlias = tuple[int, int, str, int, bytes]


def _model(world: World, model: Model, changes: Changes) -> int:
    """The id of the model of a job's vectors, which becomes the file's where that is wanted."""
    known = world.model
    id = known[0] if known is not None and known[1] == model else model_id(world.conn, model)
    if changes.switch or (changes.adopt and known is None):
        world.conn.execute(
            "INSERT INTO memory_meta VALUES ('model', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (str(id),),
        )
    return id


def _write_vectors(world: World, spaces: dict[str, int], changes: Changes) -> None:
    for namespace, kind, ref in changes.vectors_gone:
        world.conn.execute(
            "DELETE FROM vector WHERE model IN (SELECT id FROM vector_model) "
            "AND namespace = ? AND kind = ? AND ref = ?",
            (spaces[namespace], kind, ref),
        )
    columns, vectors = "model namespace kind ref data:blob", list[_Vector]()
    if changes.model is not None:
        model = _model(world, changes.model, changes)
        vectors = [(model, spaces[space], kind, ref, data) for space, kind, ref, data in changes.vectors]
    heirs = [
        (None, spaces[fact.made.namespace], "fact", fact.id, None, fact.heir_of)
        for fact in changes.facts
        if fact.heir_of is not None and fact.made is not None
    ]
    if heirs:
        own = [(*vector, None) for vector in vectors]
        apply(world.conn, _VECTORS_INHERITED, f"{columns} heir_of", [*heirs, *own])
    elif vectors:
        insert(world.conn, "vector", columns, vectors, _OWN)


def _write_near_names(conn: sqlite3.Connection, changes: Changes) -> None:
    if changes.similar_gone is not None:
        conn.execute("DELETE FROM entity_similar WHERE b > ? AND b <= ?", changes.similar_gone)
    if changes.similar:
        insert(conn, "entity_similar", "a b cosine:real", changes.similar, "ON CONFLICT DO NOTHING")
    if changes.near_left is not None:
        after, upto = changes.near_left
        conn.execute("DELETE FROM memory_meta WHERE key = 'near names left'")
        if after < upto:
            conn.execute("INSERT INTO memory_meta VALUES ('near names left', ?)", (json.dumps([after, upto]),))
