"""What a job's calls are decided by, read in a few statements, however much they say."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...deciding.documents import Begun, KnownEpisode, KnownTexts
from ...deciding.facts import Facts, KnownFact
from ...deciding.identity import Alias, Identities, KnownEntity, NewerEntities
from ...searching import Model
from ...store import NameRequest
from .rows import json_list
from .schema import UNBOUNDED
from .setwise import load
from .work import namespace_id

__all__ = ["World", "load_episodes", "load_facts", "load_identities", "load_world"]

_WORLD = (
    "SELECT (SELECT id FROM memory_namespace WHERE name = ?), "
    "(SELECT seq FROM sqlite_sequence WHERE name = 'entity'), "
    "(SELECT seq FROM sqlite_sequence WHERE name = 'episode'), "
    "(SELECT seq FROM sqlite_sequence WHERE name = 'fact'), e.id, e.at "
    "FROM (SELECT 1) LEFT JOIN (SELECT id, at FROM memory_event ORDER BY id DESC LIMIT 1) e"
)
# What few jobs ask for.
_MORE = """SELECT
    (SELECT json_array(m.id, m.name, m.dim) FROM memory_meta JOIN vector_model m ON m.id = CAST(value AS INTEGER)
        WHERE key = 'model'),
    (SELECT json_group_array(json_array(p.id, n.name, p.expired_at IS NOT NULL)) FROM json_each(:evidence) j
        CROSS JOIN episode p ON p.id = j.value JOIN memory_namespace n ON n.id = p.namespace),
    (SELECT json_group_array(json_array(j.key, (SELECT max(seq) FROM episode p
        WHERE p.namespace = n.id AND p.session = j.value->>1))) FROM json_each(:sessions) j
        CROSS JOIN memory_namespace n ON n.name = j.value->>0)"""


@dataclass(slots=True)
class World:
    """The state that a job begins with.

    Attributes:
        namespaces: ids by name, of those that are there.
        entity, episode, fact: the first ids that were never used. What is inserted with one of them and those after it
            counts as AUTOINCREMENT does (https://www.sqlite.org/autoinc.html), so that one statement serves where ids
            must be known.
        last_event: the newest one, and what the clock said then.
        model: the id of the file's model, and that, where it was asked for.
    """

    namespaces: dict[str, int]
    entity: int
    episode: int
    fact: int
    last_event: tuple[int, int]
    texts: KnownTexts
    model: tuple[int, Model] | None = None


def load_world(
    conn: sqlite3.Connection,
    namespaces: Iterable[str],
    *,
    with_model: bool,
    evidence: Sequence[int] = (),
    sessions: Sequence[tuple[str, str]] = (),
) -> World:
    first, *others = dict.fromkeys(namespaces)
    space, entity, episode, fact, event, at = conn.execute(_WORLD, (first,)).fetchone()
    ids = [(first, space), *((other, namespace_id(conn, other)) for other in others)]
    world = World(
        {name: id for name, id in ids if id is not None},
        (entity or 0) + 1,
        (episode or 0) + 1,
        (fact or 0) + 1,
        (event or 0, at or 0),
        KnownTexts(),
    )
    if with_model or evidence or sessions:
        model, evidencing, seqs = conn.execute(
            _MORE, {"evidence": json_list(evidence), "sessions": json.dumps(sessions)}
        ).fetchone()
        if model is not None:
            id, name, dim = json.loads(model)
            world.model = (id, Model(name, dim))
        for id, namespace, is_outdated in json.loads(evidencing):
            world.texts.namespaces[id] = namespace
            if is_outdated:
                world.texts.outdated.add(id)
        world.texts.last_seq = {sessions[place]: seq for place, seq in json.loads(seqs) if seq is not None}
    return world


_EPISODES = (
    "SELECT j.key AS place, p.id, p.version, p.session, p.seq, p.agent, p.source, p.content, p.metadata, "
    "p.occurred_at, p.occurred_offset, p.created_at FROM json_each(?) j "
    "CROSS JOIN memory_namespace n ON n.name = j.value->>0 "
    "CROSS JOIN episode p ON p.namespace = n.id AND p.key = j.value->>1 AND p.expired_at IS NULL"
)


def load_episodes(conn: sqlite3.Connection, world: World, keys: Sequence[tuple[str, str]]) -> None:
    """The newest versions of texts by their (namespace, key). Row by row: a content may be as long as a value can."""
    if keys:
        for place, *columns in conn.execute(_EPISODES, (json.dumps(keys),)).fetchall():
            namespace, key = keys[place]
            id, version, session, seq, *others = columns
            world.texts.current[keys[place]] = KnownEpisode(id, namespace, key, version, session, seq, *others)


# The entities that keys name, that ids stand for, and that texts mention.
_ENTITY = "e.id, e.key, e.name, e.type, e.type_key, e.description, e.attributes, e.agent, e.created_at"
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


class _Entities:
    """Entities as they are read: one object each, however often it is found."""

    def __init__(self) -> None:
        self._by_id: dict[int, KnownEntity] = {}

    def known(self, namespace: str, columns: Sequence[object]) -> KnownEntity:
        id, *others = columns
        assert isinstance(id, int)
        entity = self._by_id.get(id)
        if entity is None:
            entity = self._by_id[id] = KnownEntity(id, namespace, *others)  # type: ignore[arg-type]
        return entity


def load_identities(
    conn: sqlite3.Connection,
    world: World,
    asked: Sequence[tuple[str, NameRequest | int]],
    model: Model | None,
    again: Sequence[KnownEpisode] = (),
) -> Identities:
    """What names and ids mean, in their namespaces, and what is near names.

    Args:
        again: texts that come again: what they mention is asked too.
    """
    wanted: dict[tuple[str, str | None, int | None, int | None], None] = {}
    seen: dict[str, int] = {}
    for namespace, one in asked:
        if isinstance(one, int):
            wanted[namespace, None, one, None] = None
            continue
        wanted[namespace, one.key, None, None] = None
        if one.vector is not None and model is not None:
            seen[namespace] = min(one.seen, seen.get(namespace, one.seen))
            wanted.update(dict.fromkeys((namespace, None, id, None) for id, _ in one.near))
    wanted.update(dict.fromkeys((episode.namespace, None, None, episode.id) for episode in again))
    entities, aliases = _Entities(), dict[tuple[str, str], list[Alias]]()
    roots: dict[tuple[str, int], KnownEntity] = {}
    places, spaces = list(wanted), world.namespaces
    rows = load(
        conn,
        _ALIASED,
        _ENTITIES_BY_KEY if all(key is not None for _, key, _, _ in places) else _ENTITIES,
        {},
        "place namespace key id text",
        [(place, spaces[namespace], *one) for place, (namespace, *one) in enumerate(places) if namespace in spaces],
        few=not again,
    )
    # By type, as the index of aliases is.
    for place, alias, *columns in sorted(rows, key=lambda row: (row[0], row[1] or "")):
        namespace, key, id, text = places[place]
        entity = entities.known(namespace, columns)
        if key is not None:
            aliases.setdefault((namespace, key), []).append(Alias(key, alias, entity))
        elif id is not None:
            roots[namespace, id] = entity
        elif text is not None:
            world.texts.mentions.setdefault(text, {})[entity.id] = entity
    for episode in again:
        world.texts.mentions.setdefault(episode.id, {})
    newer = {} if model is None else _load_newer(conn, world, entities, seen, model)
    return Identities(aliases, roots, newer, world.entity)


def _load_newer(
    conn: sqlite3.Connection, world: World, entities: _Entities, seen: dict[str, int], model: Model
) -> dict[str, NewerEntities]:
    names = list(seen)
    found: dict[str, list[tuple[KnownEntity, bytes]]] = {namespace: [] for namespace in names}
    for place, vector, *columns in load(
        conn,
        f"r.place, hex(v.data), {_ENTITY}",
        _NEWER,
        {"model": model.name, "dim": model.dim},
        "place namespace seen",
        [
            (place, world.namespaces[namespace], seen[namespace])
            for place, namespace in enumerate(names)
            if namespace in world.namespaces
        ],
    ):
        found[names[place]].append((entities.known(names[place], columns), bytes.fromhex(vector)))
    for ones in found.values():
        ones.sort(key=lambda one: one[0].id)
    return {namespace: NewerEntities(model.dim, ones) for namespace, ones in found.items()}


_FACT = (
    "f.id, f.subject, f.predicate, f.predicate_given, f.object, f.value, f.value_given, f.text, f.valid_at, "
    "f.valid_offset, f.invalid_at, f.invalid_offset, f.created_at, f.expired_at, f.superseded_by, f.agent"
)
# In the words of the unique index, so that it serves.
_BELIEVED = (
    f"SELECT NULL AS text_id, {_FACT} FROM {{rows}} r CROSS JOIN fact f ON f.subject = r.subject "
    "AND f.predicate = r.predicate AND coalesce(f.object, f.value) = r.target "
    f"AND ifnull(f.valid_at, {UNBOUNDED}) = r.since WHERE f.expired_at IS NULL"
)
# Those that hold at a time, in ``target``, or later. A fact that was replaced again and again has a long past.
_OF_PAIR = (
    f"SELECT NULL AS text_id, {_FACT} FROM {{rows}} r CROSS JOIN fact f ON f.subject = r.subject "
    "AND f.predicate = r.predicate WHERE r.since IS NULL AND f.expired_at IS NULL "
    "AND (f.invalid_at IS NULL OR f.invalid_at > r.target)"
)
_OF_TEXT = (
    f"SELECT r.text AS text_id, {_FACT} FROM {{rows}} r CROSS JOIN episode p ON p.id = r.text "
    "CROSS JOIN fact_evidence v ON v.episode = p.id CROSS JOIN fact f ON f.id = v.fact AND f.namespace = p.namespace"
)
_FACTS_BELIEVED = f"({_BELIEVED}) f"
_FACTS = f"({_BELIEVED} UNION ALL {_OF_PAIR} UNION ALL {_OF_TEXT}) f"
# Whether more than the texts that the job touches evidences a fact: what is outdated evidences nothing.
_FOUNDED = (
    "EXISTS (SELECT 1 FROM fact_evidence v LEFT JOIN episode p ON p.id = v.episode WHERE v.fact = f.id "
    "AND p.expired_at IS NULL AND ifnull(v.episode, 0) NOT IN (SELECT value FROM json_each(:touched)))"
)
_FACT_ALONE = f"f.text_id, 0, {_FACT}"
_FACT_AND_FOUNDED = f"f.text_id, {_FOUNDED}, {_FACT}"


def load_facts(conn: sqlite3.Connection, world: World, calls: Sequence[Begun]) -> Facts:
    """What is believed of that which the calls state, and what their texts evidence."""
    outdated = [call.replaced for call in calls if call.replaced is not None]
    touched = [call.text for call in calls if call.again and call.text is not None]
    touched += [text.id for text in outdated if text.made is None]
    first_new = world.entity
    pairs: dict[tuple[int, str], int] = {}
    wanted: dict[tuple[object, ...], None] = {}
    for call in calls:
        for stated in call.stated:
            subject, predicate, target, valid_at = stated.identity
            since = UNBOUNDED if valid_at is None else valid_at
            if subject >= first_new:
                continue  # of a new entity there is nothing yet
            if stated.draft.replace:
                pairs[subject, predicate] = min(since, pairs.get((subject, predicate), since))
            if (stated.object or 0) < first_new:
                wanted[subject, predicate, target, since, None] = None
    wanted.update(dict.fromkeys((*pair, since, None, None) for pair, since in pairs.items()))
    wanted.update(dict.fromkeys((None, None, None, 0, text) for text in touched))
    known: dict[int, KnownFact] = {}
    evidence: list[tuple[KnownFact, int]] = []
    for text, founded, *columns in load(
        conn,
        _FACT_AND_FOUNDED if outdated else _FACT_ALONE,
        _FACTS if pairs or touched else _FACTS_BELIEVED,
        {"touched": json_list(touched)} if outdated else {},
        "subject predicate target since text",
        list(wanted),
        few=not (pairs or touched),
    ):
        fact = known.get(columns[0])
        if fact is None:
            fact = known[columns[0]] = KnownFact(*columns)
            fact.founded = bool(founded)
        if text is not None:
            evidence.append((fact, text))
    facts = Facts((known[id] for id in sorted(known)), world.fact, world.texts.outdated)
    for fact, text in evidence:
        facts.evidenced(fact, text)
    return facts
