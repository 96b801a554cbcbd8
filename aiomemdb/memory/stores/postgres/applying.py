"""What was decided, written: a statement a table, however many rows there are, in two round trips."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from ...deciding.requests import Changes
from ...questions import Model
from ..indexed import entity_text, of_entity, of_episode, of_fact, quotes_of
from ..written import ENTITY, EPISODE, EVENT, FACT, entity_row, episode_row, event_rows, fact_row, requoted
from .restoring import past_lines
from .statements import Statement, insert, rows_from, statement
from .words import Words, reindex, unbelieve
from .world import World

__all__ = ["write_changes"]


async def write_changes(world: World, changes: Changes) -> None:
    """Write all that a job does; most jobs write few of the tables."""
    assert world.ids is not None  # a rule that only reads leaves nothing
    world.wrote = True
    world.ids.use(len(changes.entities), len(changes.episodes), len(changes.facts))
    await world.give_events(sum(len(moment.events) for moment in changes.moments))
    words = Words()
    statements = [
        *_events(world, changes),
        *_entities(world, changes, words),
        *_episodes(world, changes, words),
        *_facts(world, changes, words),
        *_evidence(world, changes),
        *_successors(world, changes),
        *_merged(world, changes),
        *_mentions(world, changes),
        *_near_names(world, changes),
        *(await _vectors(world, changes)),
        *(await past_lines(world, world.spaces, changes.past)),
        *words.statements(),
    ]
    await world.asking.all(statements)
    here = list(world.spaces.values())
    if renamed := [*changes.renamed, *(entity.id for entity in changes.changed)]:
        await reindex(world.asking, "entity", here, renamed)
    if quoted := requoted(changes):
        await reindex(world.asking, "fact", here, quoted)


def _update(table: str, columns: str, rows: Sequence[Sequence[Any]]) -> Statement:
    """A statement that writes all columns of rows that are there, but those that say which they are."""
    source, params = rows_from(columns, rows)
    values = ", ".join(f"{name} = r.{name}" for name in columns.split() if name not in ("namespace", "id"))
    return statement(
        f"UPDATE aiomemdb.{table} t SET {values} FROM {source} WHERE t.namespace = r.namespace AND t.id = r.id", params
    )


# -- the audit ---------------------------------------------------------------------------------------------------------


def _events(world: World, changes: Changes) -> list[Statement]:
    spaces, lines = world.spaces, event_rows(changes, world.spaces)
    if not lines:
        return []
    ids = world.events[: len(lines)]
    newest = {line[1]: (line[1], id, line[0]) for id, line in zip(ids, lines, strict=True)}
    source, params = rows_from("namespace last_event last_at", list(newest.values()))
    statements = [
        insert("memory_event", f"id {EVENT}", [(id, *line) for id, line in zip(ids, lines, strict=True)]),
        statement(
            f"UPDATE aiomemdb.memory_namespace n SET last_event = r.last_event, last_at = r.last_at FROM {source} "
            "WHERE n.id = r.namespace",
            params,
        ),
    ]
    if changes.backs:
        backs = [(spaces[moment.namespace], world.event(moment)) for moment in changes.backs]
        statements.append(insert("memory_clock_back", "namespace event", backs))
    return statements


def _successors(world: World, changes: Changes) -> list[Statement]:
    if not changes.successors:
        return []
    source, params = rows_from("fact successor", changes.successors)
    sql = f"UPDATE aiomemdb.fact f SET superseded_by = r.successor FROM {source} WHERE f.{_HERE} AND f.id = r.fact"
    return [statement(sql, {**params, "here": list(world.spaces.values())})]


# -- who is who --------------------------------------------------------------------------------------------------------


def _entities(world: World, changes: Changes, words: Words) -> list[Statement]:
    spaces, statements = world.spaces, list[Statement]()
    made, merged = [], {other for other, _ in changes.merged}
    for entity in changes.entities:
        row = entity_row(entity, spaces, world.event)
        texts, stays = (entity.name, entity.description, ""), entity.id not in merged
        made.append((*row, *words.of("entity", row[1], entity.id, stays, entity_text(*texts), of_entity(*texts))))
    if made:
        statements.append(insert("entity", f"{ENTITY} words length", made))
    if changes.changed:
        rows = [entity_row(entity, spaces, world.event) for entity in changes.changed]
        statements.append(_update("entity", ENTITY, rows))
    if changes.aliases_gone:
        source, params = rows_from(
            "namespace key type", [(spaces[namespace], key, type) for namespace, key, type in changes.aliases_gone]
        )
        gone = "a.namespace = r.namespace AND md5(a.key) = md5(r.key) AND a.key = r.key AND a.type = r.type"
        statements.append(statement(f"DELETE FROM aiomemdb.entity_alias a USING {source} WHERE {gone}", params))
    if changes.aliases:
        aliases = [(spaces[namespace], *alias) for namespace, *alias in changes.aliases]
        statements.append(insert("entity_alias", "namespace key type entity", aliases))
    return statements


_HERE = "namespace = ANY (:here::bigint[])"
_MERGE = (
    "UPDATE aiomemdb.fact SET subject = CASE WHEN subject = :other THEN :into ELSE subject END, "
    f"object = CASE WHEN object = :other THEN :into ELSE object END WHERE {_HERE} "
    "AND (subject = :other OR object = :other)",
    "INSERT INTO aiomemdb.mention (namespace, entity, episode) SELECT namespace, :into, episode FROM aiomemdb.mention "
    f"WHERE {_HERE} AND entity = :other ON CONFLICT DO NOTHING",
    f"DELETE FROM aiomemdb.mention WHERE {_HERE} AND entity = :other",
    "INSERT INTO aiomemdb.entity_similar AS t (namespace, a, b, cosine) SELECT namespace, least(:into, x), "
    "greatest(:into, x), cosine FROM (SELECT namespace, b AS x, cosine FROM aiomemdb.entity_similar "
    f"WHERE {_HERE} AND a = :other UNION ALL SELECT namespace, a, cosine FROM aiomemdb.entity_similar "
    f"WHERE {_HERE} AND b = :other) near WHERE x <> :into "
    "ON CONFLICT (namespace, a, b) DO UPDATE SET cosine = greatest(t.cosine, excluded.cosine)",
    f"DELETE FROM aiomemdb.entity_similar WHERE {_HERE} AND (a = :other OR b = :other)",
    f"UPDATE aiomemdb.entity SET merged_into = :into WHERE {_HERE} AND (id = :other OR merged_into = :other)",
)


def _merged(world: World, changes: Changes) -> list[Statement]:
    statements, here = list[Statement](), list(world.spaces.values())
    made = {entity.id for entity in changes.entities}  # an import makes what was merged: its words come later
    for other, into in changes.merged:
        given = {"here": here, "other": other, "into": into}
        statements += [statement(_typed(sql), given) for sql in _MERGE]
        if other not in made:
            statements += unbelieve("entity", here, [other])
    return statements


def _typed(sql: str) -> str:
    return sql.replace(":other", ":other::bigint").replace(":into", ":into::bigint")


def _mentions(world: World, changes: Changes) -> list[Statement]:
    if not changes.mentions:
        return []
    source, params = rows_from("entity episode", list(changes.mentions))
    return [
        statement(
            "INSERT INTO aiomemdb.mention (namespace, entity, episode) SELECT e.namespace, r.entity, r.episode "
            f"FROM {source} JOIN aiomemdb.entity e ON e.{_HERE} AND e.id = r.entity ON CONFLICT DO NOTHING",
            {**params, "here": list(world.spaces.values())},
        )
    ]


def _near_names(world: World, changes: Changes) -> list[Statement]:
    statements, here = list[Statement](), list(world.spaces.values())
    if changes.similar_gone is not None:
        after, upto = changes.similar_gone
        statements.append(
            statement(
                f"DELETE FROM aiomemdb.entity_similar WHERE {_HERE} AND b > :after::bigint AND b <= :upto::bigint",
                {"here": here, "after": after, "upto": upto},
            )
        )
    if changes.similar:
        source, params = rows_from("a b cosine", changes.similar)
        statements.append(
            statement(
                "INSERT INTO aiomemdb.entity_similar (namespace, a, b, cosine) SELECT e.namespace, r.a, r.b, r.cosine "
                f"FROM {source} JOIN aiomemdb.entity e ON e.{_HERE} AND e.id = r.b ON CONFLICT DO NOTHING",
                {**params, "here": here},
            )
        )
    if changes.near_left is not None:
        statements.append(statement("DELETE FROM aiomemdb.memory_meta WHERE key = 'near names left'", {}))
        if changes.near_left[0] < changes.near_left[1]:
            statements.append(
                insert("memory_meta", "key value", [("near names left", json.dumps(list(changes.near_left)))])
            )
    return statements


# -- texts and facts ---------------------------------------------------------------------------------------------------


def _episodes(world: World, changes: Changes, words: Words) -> list[Statement]:
    spaces, statements = world.spaces, list[Statement]()
    outdated = [
        (spaces[text.namespace], text.id, text.expired_at, world.event(text.ended))
        for text in changes.outdated
        if text.ended is not None
    ]
    if outdated:
        statements.append(_update("episode", "namespace id expired_at expired_event", outdated))
        statements += unbelieve("episode", list(spaces.values()), [row[1] for row in outdated])
    made = []
    for text in changes.episodes:
        row = episode_row(text, spaces, world.event)
        found_by = of_episode(text.content, text.occurred_at, text.occurred_offset)
        made.append((*row, *words.of("episode", row[1], text.id, text.expired_at is None, text.content, found_by)))
    if made:
        statements.append(insert("episode", f"{EPISODE} words length", made))
    return statements


def _facts(world: World, changes: Changes, words: Words) -> list[Statement]:
    spaces, statements = world.spaces, list[Statement]()
    # What is believed no longer goes first: it is in the way of what takes its place.
    expired = [
        (spaces[moment.namespace], fact, moment.at, world.event(moment), successor)
        for fact, moment, successor in changes.expired
    ]
    if expired:
        statements.append(_update("fact", "namespace id expired_at expired_event superseded_by", expired))
        statements += unbelieve("fact", list(spaces.values()), [row[1] for row in expired])
    made = []
    for fact in changes.facts:
        row = fact_row(fact, spaces, world.event)
        found_by = of_fact(fact.text, fact.value, quotes_of(fact))
        made.append((*row, *words.of("fact", row[1], fact.id, fact.expired_at is None, fact.text, found_by)))
    if made:
        statements.append(insert("fact", f"{FACT} words length", made))
    return statements


# As ``Support.united``, among what comes and with what is there.
_UNITED = (
    "SELECT s.namespace, s.fact, s.episode, (array_agg(s.quote ORDER BY s.ord, s.id) "
    "FILTER (WHERE s.quote IS NOT NULL))[1], max(s.confidence), s.agent, "
    "(array_agg(s.created_at ORDER BY s.ord, s.id))[1] FROM ({said}) s "
    "GROUP BY s.namespace, s.fact, s.episode, s.agent ORDER BY min(s.ord), min(s.id) "
    "ON CONFLICT (namespace, fact, coalesce(episode, 0), md5(coalesce(agent, ''))) DO UPDATE SET "
    "quote = coalesce(t.quote, excluded.quote), confidence = greatest(t.confidence, excluded.confidence)"
)
_EVIDENCE = (
    "INSERT INTO aiomemdb.fact_evidence AS t (namespace, fact, episode, quote, confidence, agent, created_at) "
    f"{_UNITED}"
)
_INHERITED = (
    "SELECT v.namespace, r.fact, v.episode, v.quote, v.confidence, v.agent, v.created_at, r.ord, v.id FROM {rows} "
    f"JOIN aiomemdb.fact_evidence v ON v.{_HERE} AND v.fact = r.heir_of"
)
_OWN = (
    "SELECT f.namespace, r.fact, r.episode, r.quote, r.confidence, r.agent, r.created_at, r.ord, 0 AS id FROM {rows} "
    f"JOIN aiomemdb.fact f ON f.{_HERE} AND f.id = r.fact"
)


def _evidence(world: World, changes: Changes) -> list[Statement]:
    """Facts get first what they inherit, then what is said of themselves."""
    heirs = [(fact.heir_of, fact.id) for fact in changes.facts if fact.heir_of is not None]
    own = [
        (fact.id, text, support.quote, support.confidence, agent, support.at)
        for fact in changes.supported
        for (text, agent), support in fact.support.items()
    ]
    statements, here = list[Statement](), list(world.spaces.values())
    for said, columns, rows in (
        (_INHERITED, "heir_of fact", [*heirs, *changes.united]),
        (_OWN, "fact episode quote confidence agent created_at", own),
    ):
        if rows:
            source, params = rows_from(columns, rows)
            statements.append(statement(_EVIDENCE.format(said=said.format(rows=source)), {**params, "here": here}))
    return statements


# -- vectors -----------------------------------------------------------------------------------------------------------

_VECTORS_INHERITED = (
    "INSERT INTO aiomemdb.vector (namespace, model, kind, ref, data) SELECT v.namespace, v.model, "
    "v.kind, r.ref, v.data "
    "FROM {rows} JOIN aiomemdb.vector v ON v.namespace = r.namespace AND v.kind = 'fact' AND v.ref = r.heir_of "
    "AND v.model IN (SELECT id FROM aiomemdb.vector_model)"
)
_VECTORS_GONE = (
    "DELETE FROM aiomemdb.vector v USING {rows} WHERE v.namespace = r.namespace AND v.kind = r.kind AND v.ref = r.ref "
    "AND v.model IN (SELECT id FROM aiomemdb.vector_model)"
)


async def _model(world: World, model: Model, changes: Changes) -> tuple[int, list[Statement]]:
    """The id of the model of a job's vectors, which becomes the file's where that is wanted."""
    known = world.model
    if known is not None and known[1] == model:
        id: int = known[0]
    else:
        [_, found] = await world.asking.all(
            [
                insert("vector_model", "name dim", [(model.name, model.dim)], "ON CONFLICT DO NOTHING"),
                statement(
                    "SELECT id FROM aiomemdb.vector_model WHERE name = :name::text AND dim = :dim::int",
                    {"name": model.name, "dim": model.dim},
                ),
            ]
        )
        id = found.rows[0][0]
    if not (changes.switch or (changes.adopt and known is None)):
        return id, []
    return id, [statement("UPDATE aiomemdb.memory_meta SET value = :id::text WHERE key = 'model'", {"id": str(id)})]


async def _vectors(world: World, changes: Changes) -> list[Statement]:
    spaces, statements = world.spaces, list[Statement]()
    if changes.vectors_gone:
        source, params = rows_from("namespace kind ref", [(spaces[of], *one) for of, *one in changes.vectors_gone])
        statements.append(statement(_VECTORS_GONE.format(rows=source), params))
    heirs = [
        (spaces[fact.made.namespace], fact.id, fact.heir_of)
        for fact in changes.facts
        if fact.heir_of is not None and fact.made is not None
    ]
    if heirs:
        source, params = rows_from("namespace ref heir_of", heirs)
        statements.append(statement(_VECTORS_INHERITED.format(rows=source), params))
    if changes.model is not None:
        model, adopted = await _model(world, changes.model, changes)
        statements += adopted
        # A row's own vector takes the place of one that it inherits.
        own = {(spaces[of], model, kind, ref): data for of, kind, ref, data in changes.vectors}
        if own:
            statements.append(
                insert(
                    "vector",
                    "namespace model kind ref data",
                    [(*key, data.hex()) for key, data in own.items()],
                    "ON CONFLICT (namespace, model, kind, ref) DO UPDATE SET data = excluded.data",
                )
            )
    return statements
