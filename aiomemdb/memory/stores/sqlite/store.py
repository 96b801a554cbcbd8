"""SQLiteStore: the store on SQLite; composes the rooms of this package and does no work of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from ....errors import AiomemdbError
from ....sqlite.database import SQLiteDatabase
from ...pages import Place
from ...searching import Kind, Model, Search
from ...store import Draft, FactQuery, NameRequest, NearNamesLeft, Scope, Store
from ...values import Counts, Entity, Episode, Event, Evidence, Fact, Forgotten, Remembered, Subgraph
from . import documents, embeddings, erasing, facts, forgetting, identity, merging, reading
from .jobs import Job, Opening
from .migrating import is_current, migrate
from .search import SQLiteSearch
from .work import active_model

__all__ = ["SQLiteStore"]


class SQLiteStore(SQLiteSearch, Store):
    """The memory graph's tables in an SQLite database."""

    def __init__(self, db: SQLiteDatabase) -> None:
        super().__init__(db)
        self._db = db

    async def open(self, normalisers: Mapping[str, str]) -> None:
        if not await self._db.read_fn(is_current, normalisers):
            await self._db.write_fn(Opening(migrate, "Memory.open()"), normalisers)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Search]:
        async with self._db.snapshot() as snapshot:
            yield SQLiteSearch(snapshot)

    async def resolve(self, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
        found: list[Entity | Exception | None] = await self._db.read_fn(identity.resolve, namespace, names)
        return found

    async def find_or_create(
        self, scope: Scope, names: Sequence[NameRequest], model: Model | None, near: float
    ) -> list[Entity | Exception]:
        return await self._write_together(
            documents.find_or_create, lambda _: "find_or_create_entity()", names, scope, model, near
        )

    async def write(self, drafts: Sequence[tuple[Scope, Draft]]) -> Sequence[Remembered | list[Fact] | BaseException]:
        # One job, as each has a savepoint, before which FTS5 writes out its new words: 200 us of 1,000 a document.
        return await self._write_together(documents.write, documents.title, drafts)

    async def _write_together(
        self, function: Callable[..., list[Any]], title: Callable[[Any], str], items: Sequence[Any], *args: Any
    ) -> list[Any]:
        """Runs ``function(conn, items, *args)``, which gives an answer for each item, as one job. If one of them fails
        it, all is rolled back and each is a job of its own, so that no caller gets another's error.
        """
        # What several calls take together is the library's doing, none of their callers'.
        job = Job(function, title(items[0]) if len(items) == 1 else None)
        try:
            answers: list[Any] = await self._db.write_fn(job, items, *args)
            return answers
        except AiomemdbError:
            raise  # not of one item alone
        except Exception as error:
            if len(items) == 1:
                return [error]
        answers = []
        for item in items:
            try:
                answers += await self._write_together(function, title, [item], *args)
            except Exception as error:
                answers.append(error)
        return answers

    async def update_entity(
        self, scope: Scope, entity: int, changes: Mapping[str, Any], vector: bytes | None, model: Model | None
    ) -> Entity:
        updated: Entity = await self._db.write_fn(
            Job(merging.update_entity, "update_entity()"), scope, entity, changes, vector, model
        )
        return updated

    async def add_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        named: Entity = await self._db.write_fn(Job(merging.add_alias, "add_alias()"), scope, entity, key)
        return named

    async def remove_alias(self, scope: Scope, entity: int, key: str) -> Entity:
        unnamed: Entity = await self._db.write_fn(Job(merging.remove_alias, "remove_alias()"), scope, entity, key)
        return unnamed

    async def merge(self, scope: Scope, keep: int, duplicate: int) -> Entity:
        merged: Entity = await self._db.write_fn(Job(merging.merge, "merge()"), scope, keep, duplicate)
        return merged

    async def retract(self, scope: Scope, fact: int, reason: str) -> Fact:
        retracted: Fact = await self._db.write_fn(Job(facts.retract, "retract()"), scope, fact, reason)
        return retracted

    async def forget(self, scope: Scope, kind: Kind, ref: int) -> Forgotten:
        forgotten: Forgotten
        forgotten, hidden = await self._db.write_fn(Job(forgetting.forget, "forget()"), scope, kind, ref)
        return forgotten if hidden is None else forgotten + await self._delete(hidden)

    async def forget_namespace(self, scope: Scope) -> Forgotten:
        namespace = await self._db.write_fn(Job(forgetting.hide_namespace, "forget_namespace()"), scope)
        return Forgotten() if namespace is None else await self._delete(namespace)

    async def sweep(self) -> None:
        for namespace in await self._db.read_fn(forgetting.forgotten_namespaces):
            await self._delete(namespace)

    async def _delete(self, namespace: int) -> Forgotten:
        deleted, done = Forgotten(), False
        while not done:
            piece, done = await self._db.write_fn(Job(forgetting.delete_slice), namespace)
            deleted += piece
        return deleted

    async def erase(self) -> bool:
        await self.sweep()
        for index in erasing.INDEXES:
            more = await self._db.write_fn(Job(erasing.merge_slice), index, True)
            while more:
                more = await self._db.write_fn(Job(erasing.merge_slice), index, False)
        # It takes this: SQLite leaves copies of rows that it moved from one page to another, by secure_delete too.
        await self._db.vacuum()
        return await self._db.checkpoint()

    async def entities(
        self, namespaces: Sequence[str], *, ids: Iterable[int] | None, type_key: str | None, after: int, limit: int
    ) -> list[Entity]:
        found: list[Entity] = await self._db.read_fn(reading.entities, namespaces, ids, type_key, after, limit)
        return found

    async def facts(self, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
        found: list[Fact] = await self._db.read_fn(reading.facts, namespaces, query)
        return found

    async def surroundings(
        self, namespaces: Sequence[str], start: Sequence[int], query: FactQuery, hops: int
    ) -> Subgraph:
        found: Subgraph = await self._db.read_fn(reading.surroundings, namespaces, start, query, hops)
        return found

    async def path(
        self, namespaces: Sequence[str], source: Sequence[int], target: Sequence[int], query: FactQuery, max_hops: int
    ) -> list[Fact] | None:
        chain: list[Fact] | None = await self._db.read_fn(reading.path, namespaces, source, target, query, max_hops)
        return chain

    async def evidence(
        self, namespaces: Sequence[str], fact: int, *, after: int = 0, limit: int = -1
    ) -> list[Evidence]:
        found: list[Evidence] = await self._db.read_fn(reading.evidence, namespaces, fact, after, limit)
        return found

    async def episodes(
        self,
        namespaces: Sequence[str],
        *,
        ref: int | None = None,
        key: str | None = None,
        session: str | None = None,
        after: Place | None = None,
        limit: int = -1,
    ) -> list[Episode]:
        found: list[Episode] = await self._db.read_fn(reading.episodes, namespaces, ref, key, session, after, limit)
        return found

    async def history(
        self, namespaces: Sequence[str], kind: Kind, ref: int, *, after: int = 0, limit: int = -1
    ) -> list[Event]:
        events: list[Event] = await self._db.read_fn(reading.history, namespaces, kind, ref, after, limit)
        return events

    async def counts(self, namespace: str) -> Counts:
        counts: Counts = await self._db.read_fn(reading.counts, namespace)
        return counts

    async def model(self) -> Model | None:
        found: Model | None = await self._db.read_fn(_model)
        return found

    async def without_vector(self, model: Model, kind: Kind, before: int, limit: int) -> list[tuple[int, str]]:
        found: list[tuple[int, str]] = await self._db.read_fn(embeddings.without_vector, model, kind, before, limit)
        return found

    async def put_vectors(self, model: Model, kind: Kind, vectors: Sequence[tuple[int, bytes]]) -> None:
        await self._db.write_fn(Job(embeddings.put_vectors), model, kind, vectors)

    async def switch_model(self, model: Model, *, force: bool = False) -> bool:
        upto = await self._db.read_fn(embeddings.complete_upto, model)
        complete: bool = await self._db.write_fn(Job(embeddings.switch_model), model, force, upto)
        if complete or force:
            while await self._db.write_fn(Job(embeddings.drop_slice)):
                pass
        return complete

    async def near_names_left(self, model: Model, limit: int) -> NearNamesLeft | None:
        left: NearNamesLeft | None = await self._db.read_fn(embeddings.near_names_left, model, limit)
        return left

    async def put_near_names(self, model: Model, after: int, upto: int, near: Sequence[tuple[int, int, float]]) -> None:
        await self._db.write_fn(Job(embeddings.put_near_names), model, after, upto, near)

    async def to_reembed(self, model: Model) -> int:
        count: int = await self._db.read_fn(embeddings.to_reembed, model)
        return count


def _model(conn: sqlite3.Connection) -> Model | None:
    found = active_model(conn)
    return None if found is None else found[1]
