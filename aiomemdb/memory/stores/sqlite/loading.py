"""What rules ask for, read in a few statements, however much it is."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from functools import lru_cache

from ...deciding.documents import KnownEpisode, KnownTexts
from ...deciding.facts import KnownFact
from ...deciding.known import Alias, KnownEntity
from ...deciding.moment import Moment
from ...deciding.requests import (
    Beginning,
    BelievedFact,
    FactsAlike,
    FactsOf,
    FactsSaid,
    KnownFacts,
    KnownNames,
    Names,
    NamesOf,
    NewerNames,
    OneFact,
    State,
    Texts,
)
from ...questions import Model
from ..columns import KNOWN_ENTITY, KNOWN_EPISODE, KNOWN_FACT
from ..indexed import Quotes
from ..knowing import Entities, known_facts, known_names, known_names_of, known_texts, wanted_names
from ..past import of_past
from .rows import json_list
from .schema import UNBOUNDED
from .setwise import load
from .states import FROM_ACTIVE_MODEL, SQLiteState, entity_upto, namespace_id

__all__ = [
    "OF_OTHER",
    "World",
    "load_facts",
    "load_facts_alike",
    "load_facts_of",
    "load_names",
    "load_names_of",
    "load_newer",
    "load_one_fact",
    "load_state",
    "load_texts",
]

_IDS = (
    "(SELECT id FROM memory_namespace WHERE name = :name), (SELECT seq FROM sqlite_sequence WHERE name = 'entity'), "
    "(SELECT seq FROM sqlite_sequence WHERE name = 'episode'), (SELECT seq FROM sqlite_sequence WHERE name = 'fact'), "
    "e.id, e.at"
)
# What few jobs ask for.
_MORE = f"""
    (SELECT json_array(m.id, m.name, m.dim) {FROM_ACTIVE_MODEL}),
    (SELECT value FROM memory_meta WHERE key = 'near names left'),
    (SELECT json_group_array(json_array(p.id, n.name, p.expired_at IS NOT NULL)) FROM json_each(:evidence) j
        CROSS JOIN episode p ON p.id = j.value JOIN memory_namespace n ON n.id = p.namespace),
    (SELECT json_group_array(json_array(j.key, (SELECT max(seq) FROM episode p
        WHERE p.namespace = n.id AND p.session = j.value->>1))) FROM json_each(:sessions) j
        CROSS JOIN memory_namespace n ON n.name = j.value->>0)"""
_LAST = "FROM (SELECT 1) LEFT JOIN (SELECT id, at FROM memory_event ORDER BY id DESC LIMIT 1) e"
_STATE = f"SELECT {_IDS} {_LAST}"
_STATE_AND_MORE = f"SELECT {_IDS}, {_MORE} {_LAST}"


@dataclass(slots=True)
class World:
    """What one rule has been told, on one connection.

    Attributes:
        namespaces: ids by name, of those that are there, as far as a job asked for them.
        last_event: the newest one as the job began.
        model: the id of the file's model, and that, where it was asked for.
        quotes: by fact, what it is quoted by, where it was asked for.
        entities: one object each, however often it is found.
        links: the statement for the links of an entity, and its first parameters, once it was asked for.
    """

    conn: sqlite3.Connection
    namespaces: dict[str, int] = field(default_factory=dict)
    last_event: int = 0
    model: tuple[int, Model] | None = None
    entities: Entities = field(default_factory=Entities)
    quotes: dict[int, Quotes] = field(default_factory=dict)
    links: tuple[str, list[object]] | None = None

    def event(self, moment: Moment, place: int = 0, /) -> int:
        """An event that a call of the job leaves, its first one or one of those after it, or what stands for one in the
        past.
        """
        if moment.past is not None:
            return of_past(moment.past) + place
        return self.last_event + moment.before + place + 1


def load_state(world: World, request: Beginning) -> State:
    """What is inserted with the next ids counts as AUTOINCREMENT does (https://www.sqlite.org/autoinc.html), so that
    one statement serves where ids must be known.
    """
    conn = world.conn
    first, *others = list[str | None](request.namespaces) or [None]
    params, more = {"name": first}, None
    if request.with_model or request.evidence or request.sessions:
        params |= {"evidence": json_list(request.evidence), "sessions": json.dumps(request.sessions)}
        space, entity, episode, fact, event, at, *more = conn.execute(_STATE_AND_MORE, params).fetchone()
    else:
        space, entity, episode, fact, event, at = conn.execute(_STATE, params).fetchone()
    ids = [(first, space), *((other, namespace_id(conn, other)) for other in others if other is not None)]
    world.namespaces = {name: id for name, id in ids if name is not None and id is not None}
    world.last_event = event or 0
    token, texts = SQLiteState(world.last_event), KnownTexts()
    state = State((entity or 0) + 1, (episode or 0) + 1, (fact or 0) + 1, at or 0, token, texts, world.namespaces)
    if more is not None:
        model, left, evidencing, seqs = more
        if model is not None:
            id, name, dim = json.loads(model)
            state.model = Model(name, dim)
            world.model = (id, state.model)
        if left is not None:
            after, upto = json.loads(left)
            state.near_left = (after, upto)
        for id, namespace, is_outdated in json.loads(evidencing):
            texts.namespaces[id] = namespace
            if is_outdated:
                texts.outdated.add(id)
        texts.last_seq = {request.sessions[place]: seq for place, seq in json.loads(seqs) if seq is not None}
    return state


_EPISODES = (
    f"SELECT j.key AS place, {KNOWN_EPISODE} FROM json_each(?) j CROSS JOIN memory_namespace n ON n.name = j.value->>0 "
    "CROSS JOIN episode p ON p.namespace = n.id AND p.key = j.value->>1 AND p.expired_at IS NULL"
)


def load_texts(world: World, request: Texts) -> dict[tuple[str, str], KnownEpisode]:
    """Row by row: a content may be as long as a value can."""
    return known_texts(request.keys, world.conn.execute(_EPISODES, (json.dumps(request.keys),)).fetchall())


_ENTITY = f"{KNOWN_ENTITY}, e.other_names"
# The entities that keys name, that ids stand for, and that texts mention.
_ALIASED = f"e.place, e.alias, {_ENTITY}"
_BY_KEY = (
    f"SELECT r.place, a.type AS alias, {_ENTITY} FROM {{rows}} r "
    "CROSS JOIN entity_alias a ON a.namespace = r.namespace AND a.key = r.key CROSS JOIN entity e ON e.id = a.entity"
)
_BY_ID = (
    f"SELECT r.place, NULL AS alias, {_ENTITY} FROM {{rows}} r "
    "CROSS JOIN entity o ON o.id = r.id AND o.namespace = r.namespace "
    "CROSS JOIN entity e ON e.id = ifnull(o.merged_into, o.id)"
)
_BY_TEXT = (
    f"SELECT r.place, NULL AS alias, {_ENTITY} FROM {{rows}} r "
    "CROSS JOIN mention m ON m.episode = r.text CROSS JOIN entity e ON e.id = m.entity AND e.namespace = r.namespace"
)
_ENTITIES_BY_KEY = f"({_BY_KEY}) e"
_ENTITIES = f"({_BY_KEY} UNION ALL {_BY_ID} UNION ALL {_BY_TEXT}) e"
_NEWER = (
    "{rows} r CROSS JOIN vector v "
    "ON v.model = (SELECT id FROM vector_model WHERE name = :model AND dim = :dim) AND v.namespace = r.namespace "
    "AND v.kind = 'entity' AND v.ref > r.seen CROSS JOIN entity e ON e.id = v.ref"
)


# A key of an entity, and whatever has it.
_NAMES_OF = (
    "{rows} r CROSS JOIN entity_alias o ON o.entity = r.entity CROSS JOIN memory_namespace n ON n.id = o.namespace "
    "CROSS JOIN entity_alias a ON a.namespace = o.namespace AND a.key = o.key CROSS JOIN entity e ON e.id = a.entity"
)


def load_names(world: World, request: Names) -> KnownNames:
    """In one statement. The names of most jobs are keys alone."""
    wanted, spaces = wanted_names(request), world.namespaces
    rows = load(
        world.conn,
        _ALIASED,
        _ENTITIES if request.ids or request.texts else _ENTITIES_BY_KEY,
        {},
        "place namespace key id text",
        [(place, spaces[namespace], *one) for place, (namespace, *one) in enumerate(wanted) if namespace in spaces],
        few=not request.texts,
    )
    return known_names(request, wanted, rows, world.entities)


def load_names_of(world: World, request: NamesOf) -> dict[tuple[str, str], list[Alias]]:
    rows = load(
        world.conn,
        f"n.name, a.key, a.type, {_ENTITY}",
        _NAMES_OF,
        {},
        "entity",
        [(entity,) for entity in request.entities],
    )
    return known_names_of(rows, world.entities)


def load_newer(world: World, request: NewerNames) -> dict[str, list[tuple[KnownEntity, bytes]]]:
    names = list(request.since)
    found: dict[str, list[tuple[KnownEntity, bytes]]] = {namespace: [] for namespace in names}
    for place, vector, *columns in load(
        world.conn,
        f"r.place, hex(v.data), {_ENTITY}",
        _NEWER,
        {"model": request.model.name, "dim": request.model.dim},
        "place namespace seen",
        [
            (place, world.namespaces[namespace], entity_upto(request.since[namespace]))
            for place, namespace in enumerate(names)
            if namespace in world.namespaces
        ],
    ):
        found[names[place]].append((world.entities.known(names[place], columns), bytes.fromhex(vector)))
    for ones in found.values():
        ones.sort(key=lambda one: one[0].id)
    return found


# In the words of the unique index, so that it serves.
_BELIEVED = (
    f"SELECT NULL AS text_id, {KNOWN_FACT} FROM {{rows}} r CROSS JOIN fact f ON f.subject = r.subject "
    "AND f.predicate = r.predicate AND coalesce(f.object, f.value) = r.target "
    f"AND ifnull(f.valid_at, {UNBOUNDED}) = r.since WHERE f.expired_at IS NULL"
)
# Those that hold at a time, in ``target``, or later.
_OR_LATER = (
    "{rows} r CROSS JOIN fact f ON f.subject = r.subject AND f.predicate = r.predicate "
    "WHERE r.since IS NULL AND f.expired_at IS NULL AND (f.invalid_at IS NULL OR f.invalid_at > r.target)"
)
_OF_PAIR_OR_LATER = f"SELECT NULL AS text_id, {KNOWN_FACT} FROM {_OR_LATER}"
# Of what begins later the first, as a fact that was replaced again and again has a long past, and what is replaced far
# in that a long future. The id is that of the least ``valid_at``: https://www.sqlite.org/lang_select.html#bareagg
_OF_PAIR = (
    f"SELECT NULL AS text_id, {KNOWN_FACT} FROM (SELECT f.id, min(f.valid_at) FROM {_OR_LATER} "
    "GROUP BY r.subject, r.predicate, r.target, iif(f.valid_at > r.target, 0, f.id)) w CROSS JOIN fact f ON f.id = w.id"
)
_OF_TEXT = (
    f"SELECT r.text AS text_id, {KNOWN_FACT} FROM {{rows}} r CROSS JOIN episode p ON p.id = r.text "
    "CROSS JOIN fact_evidence v ON v.episode = p.id CROSS JOIN fact f ON f.id = v.fact AND f.namespace = p.namespace"
)
_ALIKE = (
    "{rows} r CROSS JOIN fact f ON f.subject = r.subject AND f.predicate = r.predicate "
    "AND coalesce(f.object, f.value) = r.target WHERE f.expired_at IS NULL"
)
_FACTS_BELIEVED = f"({_BELIEVED}) f"
_FACTS = f"({_BELIEVED} UNION ALL {_OF_PAIR} UNION ALL {_OF_TEXT}) f"
_FACTS_AND_LATER = f"({_BELIEVED} UNION ALL {_OF_PAIR_OR_LATER} UNION ALL {_OF_TEXT}) f"
# Whether more than the texts that the job touches evidences a fact: what is outdated evidences nothing.
_FOUNDED = (
    "EXISTS (SELECT 1 FROM fact_evidence v LEFT JOIN episode p ON p.id = v.episode WHERE v.fact = f.id "
    "AND p.expired_at IS NULL AND ifnull(v.episode, 0) NOT IN (SELECT value FROM json_each(:touched)))"
)
# What a fact that is asked for by itself is quoted by.
_QUOTED = (
    "CASE WHEN f.text_id IS NULL THEN (SELECT json_group_array(json_array(v.episode, v.agent, v.quote)) "
    "FROM fact_evidence v WHERE v.fact = f.id AND v.quote IS NOT NULL) END"
)


@lru_cache
def _fact_columns(with_founded: bool, with_quotes: bool) -> str:
    return f"f.text_id, {_FOUNDED if with_founded else 0}, {_QUOTED if with_quotes else 'NULL'}, {KNOWN_FACT}"


def load_facts(world: World, request: FactsSaid) -> KnownFacts:
    wanted: list[tuple[object, ...]] = [
        (subject, predicate, target, _since(valid_at), None)
        for subject, predicate, target, valid_at in request.identities
    ]
    wanted += [(*pair, _since(at), None, None) for pair, times in request.pairs.items() for at in times]
    wanted += [(None, None, None, 0, text) for text in request.texts]
    alone = not (request.pairs or request.texts)
    rows = load(
        world.conn,
        _fact_columns(request.with_founded, request.with_quotes),
        _FACTS_BELIEVED if alone else _FACTS_AND_LATER if request.with_founded else _FACTS,
        {"touched": json_list(request.texts)} if request.with_founded else {},
        "subject predicate target since text",
        wanted,
        few=alone,
    )
    for row in rows:
        quotes = row.pop(2)
        if quotes is not None:
            quoted = json.loads(quotes) if isinstance(quotes, str) else quotes
            world.quotes[row[2]] = {(text, agent): quote for text, agent, quote in quoted}
    return known_facts(rows)


def _since(valid_at: int | None) -> int:
    return UNBOUNDED if valid_at is None else valid_at


def load_facts_alike(world: World, request: FactsAlike) -> list[KnownFact]:
    rows = load(world.conn, KNOWN_FACT, _ALIKE, {}, "subject predicate target", request.wanted)
    return [KnownFact(*columns) for columns in sorted(rows, key=lambda row: row[0])]


def load_one_fact(world: World, request: OneFact) -> KnownFact | None:
    row = world.conn.execute(
        f"SELECT {KNOWN_FACT} FROM fact f JOIN memory_namespace n ON n.id = f.namespace WHERE f.id = ? AND n.name = ?",
        (request.id, request.namespace),
    ).fetchone()
    return None if row is None else KnownFact(*row)


#: The facts of an entity. Subject and object apart: for an OR of both SQLite would scan.
OF_OTHER: str = "(SELECT id FROM fact WHERE subject = :other UNION SELECT id FROM fact WHERE object = :other)"
_MOVING = f"fact f WHERE f.expired_at IS NULL AND f.id IN {OF_OTHER}"
# The believed facts that are what one of those will be.
_IN_THE_WAY = (
    "fact f CROSS JOIN fact b ON b.subject = iif(f.subject = :other, :into, f.subject) AND b.predicate = f.predicate "
    "AND coalesce(b.object, b.value) = coalesce(iif(f.object = :other, :into, f.object), f.value) "
    f"AND ifnull(b.valid_at, {UNBOUNDED}) = ifnull(f.valid_at, {UNBOUNDED}) "
    f"WHERE b.expired_at IS NULL AND f.expired_at IS NULL AND f.id IN {OF_OTHER}"
)


def load_facts_of(world: World, request: FactsOf) -> tuple[list[BelievedFact], list[BelievedFact]]:
    both = {"into": request.into, "other": request.entity}
    columns = "{0}.id, {0}.subject, {0}.predicate, {0}.object, {0}.value, {0}.valid_at"
    moving = sorted(load(world.conn, columns.format("f"), _MOVING, {"other": request.entity}))
    in_the_way = load(world.conn, columns.format("b"), _IN_THE_WAY, both)
    return [BelievedFact(*row) for row in moving], [BelievedFact(*row) for row in in_the_way]
