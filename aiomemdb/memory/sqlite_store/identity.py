"""Who is who: (namespace, key, type) names one entity, and the table of aliases is the one arbiter.

Everything here runs inside one job, so nobody writes between the look and the insert.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ...errors import AmbiguousEntity
from ..names import may_be_one
from ..searching import Model
from ..store import NEAR_KEPT, NameRequest, Scope
from ..values import Entity
from ..vectors import nearest, unpack
from .rows import ENTITY, entities_by_id, entity_of, json_list
from .work import Work

__all__ = ["Candidate", "find_or_create", "index_all_names", "index_names", "pick", "resolve", "resolve_in_job"]

_ALIASES = (
    "SELECT j.key, a.type, e.id, e.type_key FROM json_each(?) j "
    "CROSS JOIN entity_alias a ON a.namespace = ? AND a.key = j.value JOIN entity e ON e.id = a.entity"
)


def index_names(conn: sqlite3.Connection, entities: Iterable[int]) -> None:
    """Has word search find entities by their aliases too: for those that got one, lost one or were renamed."""
    conn.execute(
        "UPDATE entity SET other_names = ifnull((SELECT group_concat(key, ' ') FROM (SELECT DISTINCT a.key "
        "FROM entity_alias a WHERE a.entity = entity.id AND a.key <> entity.key)), '') "
        "WHERE id IN (SELECT value FROM json_each(?))",
        (json_list(entities),),
    )


def index_all_names(conn: sqlite3.Connection) -> None:
    rows = conn.execute("SELECT entity FROM entity_alias GROUP BY entity HAVING count(*) > 1").fetchall()
    index_names(conn, [row[0] for row in rows])


@dataclass(slots=True)
class Candidate:
    """An alias that has the wanted key."""

    alias_type: str
    entity: int
    type_key: str


def pick(candidates: Sequence[Candidate], wanted: NameRequest) -> tuple[int, bool] | AmbiguousEntity | None:
    """The entity that a name means, and whether it adopts the type; None: there is none.

    No type: the oldest of that name. A type: the same, else one without a type, which adopts it.
    """
    if not candidates:
        return None
    if not wanted.type_key:
        ids = {candidate.entity for candidate in candidates}
        if wanted.strict and len(ids) > 1:
            return AmbiguousEntity(
                f"{len(ids)} entities are called {wanted.name!r} ({', '.join(map(str, sorted(ids)))}): give type="
            )
        return min(ids), False
    for candidate in candidates:
        if candidate.alias_type == wanted.type_key:
            return candidate.entity, False
    for candidate in candidates:
        if candidate.type_key == wanted.type_key:
            return candidate.entity, False
    untyped = [candidate.entity for candidate in candidates if not candidate.type_key]
    return (min(untyped), True) if untyped else None


def resolve(conn: sqlite3.Connection, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
    """The entities that are there; None where one is to be made or to adopt a type. For a reader."""
    found: dict[int, list[Candidate]] = {}
    rows = conn.execute(
        "SELECT j.key, a.type, e.type_key, " + ENTITY + " FROM memory_namespace n, json_each(?) j "
        "CROSS JOIN entity_alias a ON a.namespace = n.id AND a.key = j.value JOIN entity e ON e.id = a.entity "
        "WHERE n.name = ?",
        (json.dumps([wanted.key for wanted in names]), namespace),
    ).fetchall()
    # Most names have one row, whose entity is it.
    entities: dict[int, Entity | sqlite3.Row] = {}
    for row in rows:
        place, alias_type, type_key, entity = row[0], row[1], row[2], row[3]
        found.setdefault(place, []).append(Candidate(alias_type, entity, type_key))
        entities[entity] = row
    results: list[Entity | Exception | None] = []
    for place, wanted in enumerate(names):
        picked = pick(found.get(place, ()), wanted)
        if picked is None or isinstance(picked, AmbiguousEntity):
            results.append(picked)
        elif picked[1]:
            results.append(None)
        else:
            known = entities[picked[0]]
            if not isinstance(known, Entity):
                known = entities[picked[0]] = entity_of(tuple(known)[3:])
            results.append(known)
    return results


def find_or_create(
    conn: sqlite3.Connection, names: Sequence[NameRequest], scope: Scope, model: Model | None, near: float
) -> list[Entity | Exception]:
    """The entity of each name, made where there is none."""
    work = Work(conn, scope)
    ids = resolve_in_job(work, names, None if model is None else work.model(model), model, near)
    work.finish()
    entities = entities_by_id(conn, [id for id in ids if isinstance(id, int)])
    return [entities[id] if isinstance(id, int) else id for id in ids]


def resolve_in_job(
    work: Work, names: Sequence[NameRequest], model_id: int | None, model: Model | None, near: float
) -> list[int | AmbiguousEntity]:
    """The id of each name's entity, made where there is none; all inserts are three statements."""
    return _Resolution(work, names, model_id, model, near).run()


class _Resolution:
    """Names are taken in order; one may mean what an earlier one is about to create."""

    def __init__(
        self, work: Work, names: Sequence[NameRequest], model_id: int | None, model: Model | None, near: float
    ) -> None:
        self.work = work
        self.names = names
        self.model_id = model_id
        self.near = near
        self.candidates: dict[str, list[Candidate]] = {}
        self.next_id = 0
        self.new_entities: list[tuple[object, ...]] = []
        self.new_aliases: list[tuple[object, ...]] = []
        self.new_vectors: list[tuple[int, bytes]] = []
        self.new_similar: list[tuple[int, int, float]] = []
        self.renamed: list[int] = []
        vectors = [wanted.vector for wanted in names]
        self.newer = None
        if model is not None and model_id is not None and any(vectors):
            self.newer = _Newer(work, model_id, model, min(wanted.seen for wanted in names if wanted.vector))

    def run(self) -> list[int | AmbiguousEntity]:
        keys = list(dict.fromkeys(wanted.key for wanted in self.names))
        for place, alias_type, entity, type_key in self.work.conn.execute(
            _ALIASES, (json.dumps(keys), self.work.namespace)
        ).fetchall():
            self.candidates.setdefault(keys[place], []).append(Candidate(alias_type, entity, type_key))
        ids = [self.one(wanted) for wanted in self.names]
        self.flush()
        return ids

    def one(self, wanted: NameRequest) -> int | AmbiguousEntity:
        picked = pick(self.candidates.get(wanted.key, ()), wanted)
        if isinstance(picked, AmbiguousEntity):
            return picked
        if picked is None:
            near = self.near_ones(wanted)
            return self.merged_into_near(wanted, near) or self.create(wanted, near)
        entity, adopts = picked
        if adopts:
            self.adopt(entity, wanted)
        return entity

    def create(self, wanted: NameRequest, near: list[_NearOne]) -> int:
        work = self.work
        self.next_id = id = self.next_id + 1 if self.next_id else work.next_id("entity")
        self.new_entities.append(
            (
                id,
                work.namespace,
                wanted.name,
                wanted.key,
                wanted.type,
                wanted.type_key,
                wanted.description,
                work.agent,
                work.at,
                work.event,
            )
        )
        self.add_alias(wanted.key, wanted.type_key, id, wanted.type_key)
        work.note("create", "entity", id)
        self.new_similar += [(one.id, id, one.cosine) for one in near[:NEAR_KEPT] if one.cosine >= self.near]
        if wanted.vector is not None:
            self.new_vectors.append((id, wanted.vector))
            if self.newer is not None:
                self.newer.append(id, wanted)
        return id

    def add_alias(self, key: str, alias_type: str, entity: int, type_key: str) -> None:
        self.new_aliases.append((self.work.namespace, key, alias_type, entity))
        self.candidates.setdefault(key, []).append(Candidate(alias_type, entity, type_key))

    def near_ones(self, wanted: NameRequest) -> list[_NearOne]:
        """What is near now: of the snapshot's what is still there, and what came since."""
        if wanted.vector is None or self.newer is None:
            return []
        cosines = dict(wanted.near)
        at_least = min(self.near, wanted.similarity if wanted.similarity is not None else self.near)
        rows = self.work.conn.execute(
            "SELECT e.id, e.key, e.type_key, j.key FROM json_each(?) j CROSS JOIN entity o ON o.id = j.value "
            "JOIN entity e ON e.id = ifnull(o.merged_into, o.id) WHERE o.namespace = ?",
            (json_list(cosines), self.work.namespace),
        ).fetchall()
        places = list(cosines.values())
        ones = {row[0]: _NearOne(row[0], places[row[3]], row[1], row[2]) for row in rows if places[row[3]] >= at_least}
        for id, cosine in self.newer.nearest(wanted.vector, at_least):
            key, type_key = self.newer.names[id]
            ones[id] = _NearOne(id, cosine, key, type_key)
        return sorted(ones.values(), key=lambda one: (-one.cosine, one.id))

    def merged_into_near(self, wanted: NameRequest, near: list[_NearOne]) -> int | None:
        if wanted.similarity is None:
            return None
        for one in near:
            if one.cosine < wanted.similarity:
                break
            # Types apart keep two names apart, however near they are; and the guards do.
            fits = not wanted.type_key or one.type_key in ("", wanted.type_key)
            if fits and may_be_one(wanted.key, one.key):
                # No alias of this key has the wanted type, or it would have been found; nor any, if none was wanted.
                self.add_alias(wanted.key, wanted.type_key or one.type_key, one.id, one.type_key)
                self.work.note("alias", "entity", one.id)
                self.renamed.append(one.id)
                if wanted.type_key and not one.type_key:
                    self.adopt(one.id, wanted)
                return one.id
        return None

    def adopt(self, entity: int, wanted: NameRequest) -> None:
        """An entity without a type gets one, and so do its aliases, but where another entity has that name and type."""
        self.flush()
        work = self.work
        work.conn.execute(
            "UPDATE entity SET type = ?, type_key = ? WHERE id = ?", (wanted.type, wanted.type_key, entity)
        )
        work.conn.execute(
            "UPDATE OR IGNORE entity_alias SET type = ? WHERE entity = ? AND type = ''", (wanted.type_key, entity)
        )
        work.note("update", "entity", entity)
        for candidates in self.candidates.values():
            for candidate in candidates:
                if candidate.entity == entity:
                    candidate.type_key = wanted.type_key
                    candidate.alias_type = candidate.alias_type or wanted.type_key
        if self.newer is not None and entity in self.newer.names:
            self.newer.names[entity] = (self.newer.names[entity][0], wanted.type_key)

    def flush(self) -> None:
        conn = self.work.conn
        if self.new_entities:
            conn.executemany(
                "INSERT INTO entity (id, namespace, name, key, type, type_key, description, agent, created_at, "
                "created_event) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self.new_entities,
            )
        if self.new_aliases:
            conn.executemany("INSERT INTO entity_alias VALUES (?, ?, ?, ?)", self.new_aliases)
        if self.new_vectors and self.model_id is not None:
            self.work.add_vectors(self.model_id, "entity", self.new_vectors)
        if self.new_similar:
            conn.executemany("INSERT INTO entity_similar VALUES (?, ?, ?)", self.new_similar)
        if self.renamed:
            index_names(conn, self.renamed)
        for pending in (self.new_entities, self.new_aliases, self.new_vectors, self.new_similar, self.renamed):
            pending.clear()


@dataclass(frozen=True, slots=True)
class _NearOne:
    id: int
    cosine: float
    key: str
    type_key: str


class _Newer:
    """Entities newer than the snapshots in which near names were looked for: a few, compared here and now. That
    closes the race in which two near names each find the other missing.
    """

    def __init__(self, work: Work, model_id: int, model: Model, seen: int) -> None:
        rows = work.conn.execute(
            "SELECT v.ref, v.data, e.key, e.type_key FROM vector v JOIN entity e ON e.id = v.ref "
            "WHERE v.model = ? AND v.namespace = ? AND v.kind = 'entity' AND v.ref > ? ORDER BY v.ref",
            (model_id, work.namespace, seen),
        ).fetchall()
        self._dim = model.dim
        self._refs: list[int] = [row[0] for row in rows]
        self._data: list[bytes] = [row[1] for row in rows]
        self.names: dict[int, tuple[str, str]] = {row[0]: (row[2], row[3]) for row in rows}

    def append(self, id: int, wanted: NameRequest) -> None:
        assert wanted.vector is not None
        self._refs.append(id)
        self._data.append(wanted.vector)
        self.names[id] = (wanted.key, wanted.type_key)

    def nearest(self, vector: bytes, at_least: float) -> Iterable[tuple[int, float]]:
        matrix = unpack(self._data, self._dim)
        [found] = nearest(matrix, self._refs, unpack([vector], self._dim), top=NEAR_KEPT, at_least=at_least)
        return found
