"""What rules ask for, read in a few statements, however much it is."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from ...deciding.documents import KnownEpisode, KnownTexts
from ...deciding.facts import KnownFact
from ...deciding.known import Alias, KnownEntity
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
from ..knowing import known_facts, known_names, known_names_of, known_texts, wanted_names
from .schema import UNBOUNDED
from .statements import Statement, rows_from, statement
from .states import PostgresState, event_upto
from .world import World

__all__ = [
    "load_facts",
    "load_facts_alike",
    "load_facts_of",
    "load_names",
    "load_names_of",
    "load_newer",
    "load_one_fact",
    "load_state",
    "load_texts",
    "lock",
]

#: What the server's clock says, in microseconds.
NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

# In the order of ids, so that no two jobs wait for each other.
_LOCK = (
    "SELECT id, name, last_event, last_at FROM aiomemdb.memory_namespace WHERE name = ANY (:names::text[]) "
    "ORDER BY id FOR UPDATE"
)
_MAKE = (
    "INSERT INTO aiomemdb.memory_namespace (name) SELECT unnest(:names::text[]) ON CONFLICT DO NOTHING "
    "RETURNING id, name, last_event, last_at"
)
_READ = "SELECT id, name, last_event, last_at FROM aiomemdb.memory_namespace WHERE name = ANY (:names::text[])"
_EVENTS = "SELECT id, last_event FROM aiomemdb.memory_namespace"
# Its row is that of "model" in memory_meta: a job that stores vectors holds it, one that takes another model has it for
# itself.
_MODEL = (
    "SELECT m.id, m.name, m.dim FROM aiomemdb.memory_meta a "
    "LEFT JOIN aiomemdb.vector_model m ON m.id::text = a.value WHERE a.key = 'model'"
)
_LAST_ENTITY = (
    "SELECT coalesce(max(l.id), 0) FROM aiomemdb.memory_namespace n CROSS JOIN LATERAL ("
    "SELECT e.id FROM aiomemdb.entity e WHERE e.namespace = n.id ORDER BY e.id DESC LIMIT 1) l"
)
_EVIDENCE = (
    "SELECT p.id, n.name, p.expired_at IS NOT NULL AS outdated FROM aiomemdb.episode p "
    "JOIN aiomemdb.memory_namespace n ON n.id = p.namespace WHERE p.namespace = ANY (:here::bigint[]) "
    "AND p.id = ANY (:evidence::bigint[])"
)
_SESSIONS = (
    "SELECT r.ord, (SELECT max(p.seq) FROM aiomemdb.episode p WHERE p.namespace = r.namespace "
    "AND md5(p.session) = md5(r.session) AND p.session = r.session) FROM {rows}"
)


async def lock(world: World, names: list[str]) -> dict[str, int]:
    """Have namespaces for the job alone, made where there are none; return what the clock said in each at last.

    A later statement sees all that those jobs wrote for which this one waited; this one does not.
    """
    clocks: dict[str, int] = {}
    while missing := [name for name in names if name not in world.spaces]:
        rows = await world.asking.rows(_LOCK, names=missing)
        found = {row["name"] for row in rows}
        for row in rows:
            world.spaces[row["name"]], clocks[row["name"]] = row["id"], row["last_at"]
        lacking = [name for name in missing if name not in found]
        if lacking:  # one that another job makes now is waited for, and found the next time
            for row in await world.asking.rows(_MAKE, names=lacking):
                world.spaces[row["name"]], clocks[row["name"]] = row["id"], row["last_at"]
                world.made.add(row["name"])
    return clocks


async def load_state(world: World, request: Beginning) -> State:
    ids, clocks = world.ids, dict[str, int]()
    if ids is None:
        await _spaces(world, request.namespaces)
    else:
        clocks = await lock(world, list(dict.fromkeys(request.namespaces)))
    here = list(world.spaces.values())
    asked: dict[str, Statement] = {"now": statement(f"SELECT {NOW}", {})}
    if ids is None:
        asked["events"] = statement(_EVENTS, {})
    if request.with_model:
        held = "" if ids is None else "FOR UPDATE OF a" if request.exclusive else "FOR SHARE OF a"
        asked["model"] = statement(f"{_MODEL} {held}", {})
        asked["left"] = statement("SELECT value FROM aiomemdb.memory_meta WHERE key = 'near names left'", {})
    if ids is None or request.exclusive:
        asked["entities"] = statement(_LAST_ENTITY, {})
    if request.evidence:
        asked["evidence"] = statement(_EVIDENCE, {"here": here, "evidence": list(request.evidence)})
    if request.sessions:
        source, params = rows_from("namespace session", [(world.spaces.get(of), name) for of, name in request.sessions])
        asked["sessions"] = statement(_SESSIONS.format(rows=source), params)
    found = {name: each.rows for name, each in zip(asked, await world.asking.all([*asked.values()]), strict=True)}

    texts = KnownTexts()
    for id, namespace, is_outdated in found.get("evidence", ()):
        texts.namespaces[id] = namespace
        if is_outdated:
            texts.outdated.add(id)
    texts.last_seq = {request.sessions[place - 1]: seq for place, seq in found.get("sessions", ()) if seq is not None}
    state = State(
        0 if ids is None else ids.entity,
        0 if ids is None else ids.episode,
        0 if ids is None else ids.fact,
        0,
        PostgresState(0, {row["id"]: row["last_event"] for row in found.get("events", ())}),
        texts,
        {name: id for name, id in world.spaces.items() if name not in world.made},
        last_at_of=clocks,
        at=found["now"][0][0],
    )
    if request.with_model:
        await _put_model(world, state, found)
    if "entities" in found:
        state.last_entity = found["entities"][0][0]
    return state


async def _put_model(world: World, state: State, found: dict[str, Any]) -> None:
    [row] = found["model"]
    if row["id"] is None and world.ids is not None:
        # No model yet: a job with the first one has it for itself.
        [row] = await world.asking.rows(f"{_MODEL} FOR UPDATE OF a")
    if row["id"] is not None:
        state.model = Model(row["name"], row["dim"])
        world.model = (row["id"], state.model)
    for [left] in found["left"]:
        after, upto = json.loads(left)
        state.near_left = (after, upto)


async def _spaces(world: World, names: Iterable[str]) -> dict[str, int]:
    """The ids of namespaces, of those that are there. A job has them from its beginning."""
    if world.ids is None and (missing := [name for name in dict.fromkeys(names) if name not in world.spaces]):
        rows = await world.asking.rows(_READ, names=missing)
        world.spaces |= {row["name"]: row["id"] for row in rows}
    return world.spaces


_TEXTS = (
    f"SELECT r.place, {KNOWN_EPISODE} FROM {{rows}} JOIN aiomemdb.episode p ON p.namespace = r.namespace "
    "AND md5(p.key) = md5(r.key) AND p.key = r.key AND p.expired_at IS NULL"
)


async def load_texts(world: World, request: Texts) -> dict[tuple[str, str], KnownEpisode]:
    spaces = await _spaces(world, (of for of, _ in request.keys))
    here = [(place, spaces[of], key) for place, (of, key) in enumerate(request.keys) if of in spaces]
    source, params = rows_from("place namespace key", here)
    return known_texts(request.keys, await world.asking.rows(_TEXTS.format(rows=source), **params))


_BY_KEY = (
    f"SELECT r.place, a.type AS alias, {KNOWN_ENTITY} FROM {{rows}} JOIN aiomemdb.entity_alias a "
    "ON a.namespace = r.namespace AND md5(a.key) = md5(r.key) AND a.key = r.key "
    "JOIN aiomemdb.entity e ON e.namespace = a.namespace AND e.id = a.entity"
)
_BY_ID = (
    f"SELECT r.place, NULL AS alias, {KNOWN_ENTITY} FROM {{rows}} JOIN aiomemdb.entity o "
    "ON o.namespace = r.namespace AND o.id = r.id "
    "JOIN aiomemdb.entity e ON e.namespace = o.namespace AND e.id = coalesce(o.merged_into, o.id)"
)
_BY_TEXT = (
    f"SELECT r.place, NULL AS alias, {KNOWN_ENTITY} FROM {{rows}} JOIN aiomemdb.mention m "
    "ON m.namespace = r.namespace AND m.episode = r.id "
    "JOIN aiomemdb.entity e ON e.namespace = m.namespace AND e.id = m.entity"
)


async def load_names(world: World, request: Names) -> KnownNames:
    wanted = wanted_names(request)
    spaces = await _spaces(world, (one[0] for one in wanted))
    here = [(place, spaces[one[0]], *one[1:]) for place, one in enumerate(wanted) if one[0] in spaces]
    statements: list[Statement] = []
    for sql, columns, rows in (
        (_BY_KEY, "place namespace key", [one[:3] for one in here if one[2] is not None]),
        (_BY_ID, "place namespace id", [(*one[:2], one[3]) for one in here if one[3] is not None]),
        (_BY_TEXT, "place namespace id", [(*one[:2], one[4]) for one in here if one[4] is not None]),
    ):
        if rows:
            source, params = rows_from(columns, rows)
            statements.append(statement(sql.format(rows=source), params))
    found = [row for each in await world.asking.all(statements) for row in each.rows]
    return known_names(request, wanted, found, world.entities)


_NAMES_OF = (
    f"SELECT n.name, a.key, a.type, {KNOWN_ENTITY} FROM aiomemdb.entity_alias o "
    "JOIN aiomemdb.memory_namespace n ON n.id = o.namespace JOIN aiomemdb.entity_alias a "
    "ON a.namespace = o.namespace AND md5(a.key) = md5(o.key) AND a.key = o.key "
    "JOIN aiomemdb.entity e ON e.namespace = a.namespace AND e.id = a.entity "
    "WHERE o.namespace = ANY (:here::bigint[]) AND o.entity = ANY (:entities::bigint[])"
)


async def load_names_of(world: World, request: NamesOf) -> dict[tuple[str, str], list[Alias]]:
    here = list(world.spaces.values())
    rows = await world.asking.rows(_NAMES_OF, here=here, entities=list(request.entities))
    return known_names_of(rows, world.entities)


_NEWER = (
    f"SELECT r.place, v.data, {KNOWN_ENTITY} FROM {{rows}} JOIN aiomemdb.entity e "
    "ON e.namespace = r.namespace AND e.created_event > r.seen JOIN aiomemdb.vector v ON v.namespace = e.namespace "
    "AND v.model = (SELECT id FROM aiomemdb.vector_model WHERE name = :model::text AND dim = :dim::int) "
    "AND v.kind = 'entity' AND v.ref = e.id ORDER BY e.id"
)


async def load_newer(world: World, request: NewerNames) -> dict[str, list[tuple[KnownEntity, bytes]]]:
    names = list(request.since)
    found: dict[str, list[tuple[KnownEntity, bytes]]] = {namespace: [] for namespace in names}
    source, params = rows_from(
        "place namespace seen",
        [(place, world.spaces[of], event_upto(seen)) for place, (of, seen) in enumerate(request.since.items())],
    )
    rows = await world.asking.rows(
        _NEWER.format(rows=source), **params, model=request.model.name, dim=request.model.dim
    )
    for place, vector, *columns in rows:
        found[names[place]].append((world.entities.known(names[place], columns), vector))
    return found


# -- facts -------------------------------------------------------------------------------------------------------------

# In the words of the unique index, so that it serves.
_OF_PAIR = (
    "f.namespace = ANY (:here::bigint[]) AND f.subject = r.subject AND md5(f.predicate) = "
    "md5(r.predicate) AND f.predicate = r.predicate AND f.expired_at IS NULL"
)
_SAME_END = (
    "coalesce(f.object, 0) = coalesce(r.object, 0) AND md5(coalesce(f.value, '')) = md5(coalesce(r.value, '')) "
    "AND f.value IS NOT DISTINCT FROM r.value"
)
_SAME = f"{_SAME_END} AND coalesce(f.valid_at, {UNBOUNDED}) = r.since"
# OFFSET keeps it a lookup for each row: a planner that does not know yet how many facts there are reads all of them.
_LOOKED_UP = "{{rows}} CROSS JOIN LATERAL (SELECT f.* FROM aiomemdb.fact f WHERE {0} OFFSET 0) f"
_BELIEVED = (
    f"SELECT NULL::bigint AS text, {{founded}}, {KNOWN_FACT} FROM {_LOOKED_UP.format(f'{_OF_PAIR} AND {_SAME}')}"
)
# Those that hold at a time or later; of what begins later the first, as a fact that was replaced again and again has a
# long past, and what is replaced far in that a long future.
_HOLDS_OR_LATER = f"{_OF_PAIR} AND (f.invalid_at IS NULL OR f.invalid_at > r.since)"
_AND_LATER = f"SELECT NULL::bigint AS text, {{founded}}, {KNOWN_FACT} FROM {_LOOKED_UP.format(_HOLDS_OR_LATER)}"
_AND_FIRST = (
    f"SELECT NULL::bigint AS text, {{founded}}, {KNOWN_FACT} FROM {{rows}} CROSS JOIN LATERAL ("
    f"(SELECT f.* FROM aiomemdb.fact f WHERE {_HOLDS_OR_LATER} AND (f.valid_at IS NULL OR f.valid_at <= r.since)) "
    f"UNION ALL (SELECT f.* FROM aiomemdb.fact f WHERE {_OF_PAIR} AND f.valid_at > r.since "
    "ORDER BY f.valid_at, f.id LIMIT 1)) f"
)
_OF_TEXT = (
    f"SELECT v.episode AS text, {{founded}}, {KNOWN_FACT} FROM aiomemdb.fact_evidence v "
    "JOIN aiomemdb.fact f ON f.namespace = v.namespace AND f.id = v.fact "
    "WHERE v.namespace = ANY (:here::bigint[]) AND v.episode = ANY (:texts::bigint[])"
)
# Whether more than the texts that the job touches evidences a fact: what is outdated evidences nothing.
_FOUNDED = (
    "EXISTS (SELECT 1 FROM aiomemdb.fact_evidence w LEFT JOIN aiomemdb.episode p ON p.namespace = w.namespace "
    "AND p.id = w.episode WHERE w.namespace = f.namespace AND w.fact = f.id AND p.expired_at IS NULL "
    "AND coalesce(w.episode, 0) <> ALL (:texts::bigint[]))"
)


async def load_facts(world: World, request: FactsSaid) -> KnownFacts:
    given = {"here": list(world.spaces.values()), "texts": list(request.texts)}
    founded, statements = _FOUNDED if request.with_founded else "false", list[Statement]()
    identities = [
        (subject, predicate, *_object_or_value(target), _since(at))
        for subject, predicate, target, at in request.identities
    ]
    pairs = [(*pair, _since(at)) for pair, times in request.pairs.items() for at in times]
    for sql, columns, rows in (
        (_BELIEVED, "subject predicate object value since", identities),
        (_AND_LATER if request.with_founded else _AND_FIRST, "subject predicate since", pairs),
    ):
        if rows:
            source, params = rows_from(columns, rows)
            statements.append(statement(sql.format(rows=source, founded=founded), {**params, **given}))
    if request.texts:
        statements.append(statement(_OF_TEXT.format(founded=founded), given))
    return known_facts(row for each in await world.asking.all(statements) for row in each.rows)


def _since(valid_at: int | None) -> int:
    return UNBOUNDED if valid_at is None else valid_at


_ALIKE = f"SELECT {KNOWN_FACT} FROM {_LOOKED_UP.format(f'{_OF_PAIR} AND {_SAME_END}')} ORDER BY f.id"


async def load_facts_alike(world: World, request: FactsAlike) -> list[KnownFact]:
    source, params = rows_from(
        "subject predicate object value",
        [(one, predicate, *_object_or_value(end)) for one, predicate, end in request.wanted],
    )
    rows = await world.asking.rows(_ALIKE.format(rows=source), **params, here=list(world.spaces.values()))
    return [KnownFact(*row) for row in rows]


def _object_or_value(end: int | str | None) -> tuple[int | None, str | None]:
    return (end, None) if isinstance(end, int) else (None, end)


async def load_one_fact(world: World, request: OneFact) -> KnownFact | None:
    rows = await world.asking.rows(
        f"SELECT {KNOWN_FACT} FROM aiomemdb.fact f WHERE f.namespace = :space::bigint AND f.id = :id::bigint",
        space=world.spaces[request.namespace],
        id=request.id,
    )
    return KnownFact(*rows[0]) if rows else None


# The facts of an entity, and those that they would be the same as.
_MOVING = (
    "f.namespace = ANY (:here::bigint[]) AND f.expired_at IS NULL AND (f.subject = :other::bigint OR "
    "f.object = :other::bigint)"
)
_BELIEVED_FACT = "{0}.id, {0}.subject, {0}.predicate, {0}.object, {0}.value, {0}.valid_at"
_IN_THE_WAY = (
    f"SELECT {_BELIEVED_FACT.format('b')} FROM aiomemdb.fact f JOIN aiomemdb.fact b ON b.namespace = f.namespace "
    "AND b.subject = CASE WHEN f.subject = :other::bigint THEN :into::bigint ELSE f.subject END "
    "AND md5(b.predicate) = md5(f.predicate) AND b.predicate = f.predicate "
    "AND coalesce(b.object, 0) = coalesce(CASE WHEN f.object = :other::bigint THEN :into::bigint ELSE f.object END, 0) "
    "AND md5(coalesce(b.value, '')) = md5(coalesce(f.value, '')) AND b.value IS NOT DISTINCT FROM f.value "
    f"AND coalesce(b.valid_at, {UNBOUNDED}) = coalesce(f.valid_at, {UNBOUNDED}) "
    f"WHERE b.expired_at IS NULL AND {_MOVING}"
)


async def load_facts_of(world: World, request: FactsOf) -> tuple[list[BelievedFact], list[BelievedFact]]:
    given = {"here": list(world.spaces.values()), "other": request.entity, "into": request.into}
    moving = f"SELECT {_BELIEVED_FACT.format('f')} FROM aiomemdb.fact f WHERE {_MOVING} ORDER BY f.id"
    both = await world.asking.all([statement(moving, given), statement(_IN_THE_WAY, given)])
    one, other = ([BelievedFact(*row) for row in each.rows] for each in both)
    return one, other
