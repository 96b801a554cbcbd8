"""SQLiteStore: the store on SQLite; composes the rooms of this package and does no work of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar, TypeVarTuple

from ....agents import AgentAnswer, AgentLimits
from ....database import Params, Transaction
from ....formats.rows import EvidenceRow, Row
from ....sqlite.engine.change_verbs import TableChanges
from ....sqlite.engine.database import SQLiteDatabase
from ....sqlite.engine.transaction import SQLiteTransaction
from ....sqlite.reading.snapshot import SQLiteSnapshot
from ...answers import Graph
from ...deciding.steps import Steps
from ...drafts import NameRequest
from ...exporting import Contents, Part
from ...pages import Place
from ...pictures import Picture, PictureQuery
from ...questions import (
    BEFORE_ALL,
    ByWords,
    FactQuery,
    FeedLine,
    FeedPlace,
    Found,
    GraphQuery,
    Kind,
    Links,
    Model,
    Node,
    Token,
    VectorChanges,
    When,
)
from ...store import Reads, ReadsAndWrites, Store
from ...values import Counts, Entity, Episode, Event, Evidence, Fact, Forgotten
from ...words import Asked
from ..knowing import resolved
from . import (
    embeddings,
    erasing,
    exporting,
    feed,
    forgetting,
    graphs,
    identity,
    indexing,
    picturing,
    reading,
    search,
)
from .agents import agent_scope
from .held import HeldValues
from .jobs import Job, Opening, RuleJob
from .migrating import migrate, recorded_if_current
from .running_rules import run
from .states import known_upto

__all__ = ["SQLiteReads", "SQLiteReadsAndWrites", "SQLiteStore"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class SQLiteReads(Reads):
    """Questions to a database, each answered from a state of its own, to one snapshot of it, or in a transaction.

    Args:
        held: None in a transaction: what it writes may be undone, and its ids used again.
    """

    def __init__(
        self, reads: SQLiteDatabase | SQLiteSnapshot | SQLiteTransaction, held: HeldValues | None = None
    ) -> None:
        self._reads = reads
        self._held = held

    async def follow(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        return await self._reads.read_fn(run, rule, *args)

    async def search(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        """On a reader's thread, all of it."""
        return await self._reads.read_fn(search.run, rule, *args)

    # Who is who

    async def resolve(self, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
        rows = await self._reads.read(identity.RESOLVE, identity.resolve_params(namespace, names))
        return resolved(rows, names)

    async def named(self, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
        return await self._reads.read_fn(search.ask, "named", namespaces, keys)

    async def entities(
        self, namespaces: Sequence[str], *, ids: Iterable[int] | None, type_key: str | None, after: int, limit: int
    ) -> list[Entity]:
        return await self._reads.read_fn(reading.entities, namespaces, ids, type_key, after, limit)

    # What is known

    async def known_upto(self, known_at: int) -> Token:
        return await self._reads.read_fn(known_upto, known_at)

    async def facts(self, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
        return await self._reads.read_fn(reading.facts, namespaces, query)

    async def graph(self, namespaces: Sequence[str], query: GraphQuery) -> Graph:
        return await self._reads.read_fn(graphs.graph, namespaces, query, self._held)

    async def evidence(
        self, namespaces: Sequence[str], fact: int, *, after: int = 0, limit: int = -1
    ) -> list[Evidence]:
        return await self._reads.read_fn(reading.evidence, namespaces, fact, after, limit)

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
        return await self._reads.read_fn(reading.episodes, namespaces, ref, key, session, after, limit)

    async def history(
        self, namespaces: Sequence[str], kind: Kind, ref: int, *, after: int = BEFORE_ALL, limit: int = -1
    ) -> list[Event]:
        return await self._reads.read_fn(reading.history, namespaces, kind, ref, after, limit)

    async def counts(self, namespace: str) -> Counts:
        return await self._reads.read_fn(reading.counts, namespace)

    # Search

    async def words(
        self, namespaces: Sequence[str], kind: Kind, words: Sequence[Asked], when: When, limit: int
    ) -> ByWords:
        return await self._reads.read_fn(search.ask, "words", namespaces, kind, words, when, limit)

    async def around(
        self,
        namespaces: Sequence[str],
        frontier: Sequence[Node],
        turns: Sequence[int],
        when: When,
        hub: int,
        named: Sequence[int] = (),
    ) -> Links:
        return await self._reads.read_fn(search.ask, "around", namespaces, frontier, turns, when, hub, named)

    async def sources(self, namespaces: Sequence[str], episodes: Sequence[int]) -> dict[int, str]:
        return await self._reads.read_fn(search.ask, "sources", namespaces, episodes)

    async def there(self, namespaces: Sequence[str], kind: Kind, ids: Sequence[int], when: When) -> set[int]:
        return await self._reads.read_fn(search.ask, "there", namespaces, kind, ids, when)

    async def read(self, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
        return await self._reads.read_fn(search.ask, "read", namespaces, nodes, when)

    # Vectors

    async def vector_changes(
        self, namespace: str, kind: Kind, model: Model, *, since: Token | None, most: int
    ) -> VectorChanges:
        return await self._reads.read_fn(embeddings.vector_changes, namespace, kind, model, since, most)

    async def vectors(
        self,
        namespace: str,
        kind: Kind,
        model: Model,
        *,
        refs: Sequence[int] | None = None,
        after: int = 0,
        limit: int = -1,
    ) -> list[tuple[int, bytes]]:
        return await self._reads.read_fn(embeddings.vectors, namespace, kind, model, refs, after, limit)

    async def without_vector(self, model: Model, kind: Kind, before: int | None, limit: int) -> list[tuple[int, str]]:
        return await self._reads.read_fn(embeddings.without_vector, model, kind, before, limit)

    # Exporting

    async def export_contents(self, namespaces: Sequence[str] | None) -> Contents:
        return await self._reads.read_fn(exporting.contents, namespaces)

    async def export_rows(
        self, part: Part, namespaces: Sequence[str], *, after: int, limit: int, model: Model | None = None
    ) -> list[Row]:
        return await self._reads.read_fn(exporting.rows, part, namespaces, after, limit, model)

    async def export_evidence(self, namespaces: Sequence[str], texts: Sequence[int]) -> list[EvidenceRow]:
        return await self._reads.read_fn(exporting.evidence_of_texts, texts)


class SQLiteReadsAndWrites(SQLiteReads, ReadsAndWrites):
    """What is asked of a database, or inside a transaction: each job is one of its own there, here a step.

    Args:
        db: that of the transaction.
    """

    def __init__(self, on: SQLiteDatabase | SQLiteTransaction, db: SQLiteDatabase) -> None:
        super().__init__(on)
        self._writes = on
        self._db = db

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reads]:
        yield self

    def within(self, tx: Transaction) -> SQLiteReadsAndWrites:
        if not self._db._is_mine(tx):
            raise TypeError(f"{tx!r} is no transaction of {self._db!r}: async with memory.db.transaction() as tx")
        return SQLiteReadsAndWrites(tx, self._db)

    def job(self, title: str | None, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> Coroutine[Any, Any, R]:
        return self._writes.write_fn(RuleJob(rule, title), *args)

    async def delete(self, hidden: Token) -> Forgotten:
        assert isinstance(hidden, int)  # as forgetting.hide gave it
        deleted, done = Forgotten(), False
        while not done:
            piece, done = await self._writes.write_fn(Job(forgetting.delete_slice), hidden)
            deleted += piece
        return deleted


class SQLiteStore(SQLiteReadsAndWrites, Store):
    """The memory's tables in an SQLite database."""

    def __init__(self, db: SQLiteDatabase) -> None:
        super().__init__(db, db)
        self._held = HeldValues()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reads]:
        async with self._db.snapshot() as snapshot:
            yield SQLiteReads(snapshot, self._held)

    async def newest_place(self, namespaces: Sequence[str]) -> FeedPlace:
        return await self._db.read_fn(feed.newest_place, namespaces)

    async def lines_behind(
        self, namespaces: Sequence[str], place: FeedPlace, kinds: Sequence[str], limit: int
    ) -> tuple[list[FeedLine], FeedPlace]:
        return await self._db.read_fn(feed.lines_behind, namespaces, place, kinds, limit)

    def watch(self) -> TableChanges:
        return self._db.changes("memory_event")

    async def agent_read(
        self, namespaces: Sequence[str], sql: str, params: Params, limits: AgentLimits | None
    ) -> AgentAnswer:
        return await self._db._agent_read(agent_scope(namespaces), sql, params, limits)

    async def picture(self, namespaces: Sequence[str], query: PictureQuery) -> Picture:
        return await self._db.read_fn(picturing.picture, namespaces, query)

    async def open(self, normalisers: Mapping[str, str], *, given: Collection[str] | None = None) -> dict[str, str]:
        uses = list(normalisers if given is None else given)
        recorded = await self._db.read_fn(recorded_if_current, normalisers, uses)
        return await self._db.write_fn(Opening(migrate), normalisers, uses) if recorded is None else recorded

    async def sweep(self) -> None:
        for namespace in await self._db.read_fn(forgetting.forgotten_namespaces):
            await self.delete(namespace)
        while await self._db.read_fn(indexing.unindexed):
            await self._db.write_fn(Job(indexing.index_slice))

    async def erase(self) -> bool:
        await self.sweep()
        for index in erasing.INDEXES:
            more = await self._db.write_fn(Job(erasing.merge_slice), index, True)
            while more:
                more = await self._db.write_fn(Job(erasing.merge_slice), index, False)
        # It takes this: SQLite leaves copies of rows that it moved from one page to another, by secure_delete too.
        await self._db.vacuum()
        return await self._db.checkpoint()

    async def drop_vectors(self) -> None:
        while await self._db.write_fn(Job(embeddings.drop_slice)):
            pass
