"""SQLiteStore: the store on SQLite; composes the rooms of this package and does no work of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...database import Database
from ..store import Draft, FactQuery, Kind, Model, NameRequest, Scope, Store, VectorChanges
from ..values import Counts, Entity, Episode, Event, Evidence, Fact, Forgotten, Remembered
from . import documents, embeddings, facts, forgetting, identity, merging, reading
from .schema import is_current, migrate
from .work import active_model

__all__ = ["SQLiteStore"]


class SQLiteStore(Store):
    """The memory graph's tables in an ``aiomemdb.Database``."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def open(self, normalisers: Mapping[str, str]) -> None:
        if not await self._db.read_fn(is_current, normalisers):
            await self._db.write_fn(migrate, normalisers)
        for namespace in await self._db.read_fn(forgetting.forgotten_namespaces):
            await self._sweep(namespace)

    async def resolve(self, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
        found: list[Entity | Exception | None] = await self._db.read_fn(identity.resolve, namespace, names)
        return found

    async def find_or_create(
        self, scope: Scope, names: Sequence[NameRequest], model: Model | None, near: float
    ) -> list[Entity | Exception]:
        found: list[Entity | Exception] = await self._db.write_fn(identity.find_or_create, scope, names, model, near)
        return found

    async def write(self, drafts: Sequence[tuple[Scope, Draft]]) -> Sequence[Remembered | list[Fact] | BaseException]:
        # One job, as each has a savepoint, before which FTS5 writes out its new words: 200 us of 1,000 a document.
        written: list[Remembered | list[Fact] | BaseException] = []
        if len(drafts) > 1:
            try:
                written = await self._db.write_fn(documents.write_all, drafts)
                return written
            except documents.OneFailed:
                pass  # all of it was rolled back: each alone, so that nobody has another's error
        for scope, draft in drafts:
            try:
                written.append(await self._db.write_fn(documents.write, scope, draft))
            except Exception as error:
                written.append(error)
        return written

    async def update_entity(
        self, scope: Scope, entity: int, changes: Mapping[str, Any], vector: bytes | None, model: Model | None
    ) -> Entity:
        updated: Entity = await self._db.write_fn(merging.update_entity, scope, entity, changes, vector, model)
        return updated

    async def add_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        named: Entity = await self._db.write_fn(merging.add_alias, scope, entity, key)
        return named

    async def merge(self, scope: Scope, keep: int, duplicate: int) -> Entity:
        merged: Entity = await self._db.write_fn(merging.merge, scope, keep, duplicate)
        return merged

    async def retract(self, scope: Scope, fact: int, reason: str) -> Fact:
        retracted: Fact = await self._db.write_fn(facts.retract, scope, fact, reason)
        return retracted

    async def forget(self, scope: Scope, kind: Kind, ref: int) -> Forgotten:
        forgotten: Forgotten = await self._db.write_fn(forgetting.forget, scope, kind, ref)
        return forgotten

    async def forget_namespace(self, scope: Scope) -> Forgotten:
        namespace = await self._db.write_fn(forgetting.hide_namespace, scope)
        return Forgotten() if namespace is None else await self._sweep(namespace)

    async def _sweep(self, namespace: int) -> Forgotten:
        deleted, done = Forgotten(), False
        while not done:
            piece, done = await self._db.write_fn(forgetting.sweep, namespace)
            deleted += piece
        return deleted

    async def entities(
        self, namespaces: Sequence[str], *, ids: Iterable[int] | None, type_key: str | None, after: int, limit: int
    ) -> list[Entity]:
        found: list[Entity] = await self._db.read_fn(reading.entities, namespaces, ids, type_key, after, limit)
        return found

    async def facts(self, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
        found: list[Fact] = await self._db.read_fn(reading.facts, namespaces, query)
        return found

    async def links(self, namespaces: Sequence[str], frontier: Sequence[int], query: FactQuery) -> list[Fact]:
        found: list[Fact] = await self._db.read_fn(reading.links, namespaces, frontier, query)
        return found

    async def evidence(self, namespaces: Sequence[str], facts: Sequence[int]) -> list[Evidence]:
        found: list[Evidence] = await self._db.read_fn(reading.evidence, namespaces, facts)
        return found

    async def episodes(
        self,
        namespaces: Sequence[str],
        *,
        ref: int | None = None,
        key: str | None = None,
        session: str | None = None,
        after: int = 0,
        limit: int = -1,
    ) -> list[Episode]:
        found: list[Episode] = await self._db.read_fn(reading.episodes, namespaces, ref, key, session, after, limit)
        return found

    async def history(self, namespaces: Sequence[str], kind: Kind, ref: int) -> list[Event]:
        events: list[Event] = await self._db.read_fn(reading.history, namespaces, kind, ref)
        return events

    async def counts(self, namespace: str) -> Counts:
        counts: Counts = await self._db.read_fn(reading.counts, namespace)
        return counts

    async def model(self) -> Model | None:
        found: Model | None = await self._db.read_fn(_model)
        return found

    async def vector_changes(
        self, namespace: str, kind: Kind, model: Model, *, known: tuple[int, int] | None, since: int, most: int
    ) -> VectorChanges:
        changes: VectorChanges = await self._db.read_fn(
            embeddings.vector_changes, namespace, kind, model, known, since, most
        )
        return changes

    async def vectors_after(
        self, namespace: str, kind: Kind, model: Model, after: int, limit: int
    ) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = await self._db.read_fn(
            embeddings.vectors_after, namespace, kind, model, after, limit
        )
        return found

    async def without_vector(self, model: Model, kind: Kind, after: int, limit: int) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = await self._db.read_fn(embeddings.without_vector, model, kind, after, limit)
        return found

    async def put_vectors(self, model: Model, kind: Kind, vectors: Sequence[tuple[int, bytes]]) -> None:
        await self._db.write_fn(embeddings.put_vectors, model, kind, vectors)

    async def switch_model(self, model: Model) -> bool:
        switched: bool = await self._db.write_fn(embeddings.switch_model, model)
        return switched


def _model(conn: sqlite3.Connection) -> Model | None:
    found = active_model(conn)
    return None if found is None else found[1]
