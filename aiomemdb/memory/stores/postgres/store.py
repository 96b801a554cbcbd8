"""PostgresStore: the store on PostgreSQL; composes the rooms of this package and does no work of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any, TypeVar, TypeVarTuple

from ....agents import AgentAnswer, AgentLimits
from ....database import Params, Transaction
from ....errors import AiomemdbError, LockTimeout, ServerLost
from ....formats.rows import EvidenceRow, Row
from ....postgres.database import PostgresDatabase
from ....postgres.snapshot import PostgresSnapshot
from ....postgres.transaction import PostgresTransaction
from ...answers import Graph
from ...deciding.recalling import Ask
from ...deciding.steps import Steps, follow_async
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
from . import embeddings, exporting, feed, forgetting, linking, picturing, reading, search
from .asking import Asking
from .ids import Ids
from .jobs import Jobs, Losses
from .running_rules import run
from .schema import ANALYZED
from .states import Known
from .world import World

__all__ = ["PostgresReads", "PostgresReadsAndWrites", "PostgresStore"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

# Texts of one load, or rows of a file, from which on the planner's numbers are no longer right.
_MANY = 1000


class PostgresReads(Reads):
    """Questions to a database, each answered from a state of its own, to one snapshot of it, or in a transaction."""

    def __init__(self, on: PostgresDatabase | PostgresSnapshot | PostgresTransaction) -> None:
        self._asking = Asking(on)

    async def follow(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        return await run(World(self._asking), rule, *args)

    # Who is who

    async def resolve(self, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
        return await reading.resolve(self._asking, namespace, names)

    async def search(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        return await follow_async(rule(*args), {Ask: PostgresReads._answers}, self)

    async def _answers(self, asked: Ask) -> list[Any]:
        together = await search.together(self._asking, asked.each)
        return [
            together[at] if at in together else await getattr(self, verb)(*what)
            for at, (verb, what) in enumerate(asked.each)
        ]

    async def named(self, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
        beside = search.Beside(keys)
        await search.count(self._asking, namespaces, [], [], When(0), beside)
        return beside.named

    async def entities(
        self, namespaces: Sequence[str], *, ids: Iterable[int] | None, type_key: str | None, after: int, limit: int
    ) -> list[Entity]:
        return await reading.entities(self._asking, namespaces, ids, type_key, after, limit)

    # What is known

    async def known_upto(self, known_at: int) -> Token:
        return Known(known_at)

    async def facts(self, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
        return await reading.facts(self._asking, namespaces, query)

    async def graph(self, namespaces: Sequence[str], query: GraphQuery) -> Graph:
        return await reading.in_order(self._asking, namespaces, await Reads.graph(self, namespaces, query))

    async def evidence(
        self, namespaces: Sequence[str], fact: int, *, after: int = 0, limit: int = -1
    ) -> list[Evidence]:
        return await reading.evidence(self._asking, namespaces, fact, after, limit)

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
        return await reading.episodes(self._asking, namespaces, ref, key, session, after, limit)

    async def history(
        self, namespaces: Sequence[str], kind: Kind, ref: int, *, after: int = BEFORE_ALL, limit: int = -1
    ) -> list[Event]:
        return await reading.history(self._asking, namespaces, kind, ref, after, limit)

    async def counts(self, namespace: str) -> Counts:
        return await reading.counts(self._asking, namespace)

    # Search

    async def words(
        self, namespaces: Sequence[str], kind: Kind, words: Sequence[Asked], when: When, limit: int
    ) -> ByWords:
        return (await search.words(self._asking, namespaces, [kind], words, when, limit, search.Beside()))[0]

    async def around(
        self,
        namespaces: Sequence[str],
        frontier: Sequence[Node],
        turns: Sequence[int],
        when: When,
        hub: int,
        named: Sequence[int] = (),
    ) -> Links:
        return await linking.around(self._asking, namespaces, frontier, turns, when, hub, named)

    async def sources(self, namespaces: Sequence[str], episodes: Sequence[int]) -> dict[int, str]:
        return await search.sources(self._asking, namespaces, episodes)

    async def there(self, namespaces: Sequence[str], kind: Kind, ids: Sequence[int], when: When) -> set[int]:
        return await search.there(self._asking, namespaces, kind, ids, when)

    async def read(self, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
        return await search.read(self._asking, namespaces, nodes, when)

    # Vectors

    async def vector_changes(
        self, namespace: str, kind: Kind, model: Model, *, since: Token | None, most: int
    ) -> VectorChanges:
        return await embeddings.vector_changes(self._asking, namespace, kind, model, since, most)

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
        return await embeddings.vectors(self._asking, namespace, kind, model, refs, after, limit)

    async def without_vector(self, model: Model, kind: Kind, before: int | None, limit: int) -> list[tuple[int, str]]:
        return await embeddings.without_vector(self._asking, model, kind, before, limit)

    # Exporting

    async def export_contents(self, namespaces: Sequence[str] | None) -> Contents:
        return await exporting.contents(self._asking, namespaces, await self.model())

    async def export_rows(
        self, part: Part, namespaces: Sequence[str], *, after: int, limit: int, model: Model | None = None
    ) -> list[Row]:
        return await exporting.rows(self._asking, part, namespaces, after, limit, model)

    async def export_evidence(self, namespaces: Sequence[str], texts: Sequence[int]) -> list[EvidenceRow]:
        return await exporting.evidence_of_texts(self._asking, namespaces, texts)


class PostgresReadsAndWrites(PostgresReads, ReadsAndWrites):
    """What is asked of a database, or inside a transaction: each job is one of its own there, here a step.

    Args:
        db: that of the transaction.
    """

    def __init__(self, on: PostgresDatabase | PostgresTransaction, db: PostgresDatabase, jobs: Jobs) -> None:
        super().__init__(on)
        self._on = on
        self._db = db
        self._jobs = jobs

    async def follow(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        return await self.of_one_state(lambda reads: reads.follow(rule, *args))

    async def search(self, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        return await self.of_one_state(lambda reads: reads.search(rule, *args))

    async def graph(self, namespaces: Sequence[str], query: GraphQuery) -> Graph:
        return await self.of_one_state(lambda reads: reads.graph(namespaces, query))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reads]:
        yield PostgresReads(self._on)

    def within(self, tx: Transaction) -> PostgresReadsAndWrites:
        if not self._db._is_mine(tx):
            raise TypeError(f"{tx!r} is no transaction of {self._db!r}: async with memory.db.transaction() as tx")
        return PostgresReadsAndWrites(tx, self._db, self._jobs.inside(tx))

    async def job(self, title: str | None, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
        def work(world: World) -> Awaitable[R]:
            return run(world, rule, *args)

        return await self._jobs.run(work)

    async def loaded(self, count: int) -> None:
        """ANALYZE, which the server itself does only a minute later; a table that others hold is left to it."""
        if count < _MANY or self._jobs.within:
            return
        for table in ANALYZED:  # each by itself: a transaction would hold all of them against vacuum
            with suppress(LockTimeout):
                await self._db.write_script(f"ANALYZE aiomemdb.{table}")

    async def delete(self, hidden: Token) -> Forgotten:
        assert isinstance(hidden, int)  # as forgetting.hide gave it
        deleted, done = Forgotten(), False
        while not done:
            piece, done = await self._jobs.run(lambda world: forgetting.delete_slice(world, hidden))
            deleted += piece
        return deleted


class PostgresStore(PostgresReadsAndWrites, Store):
    """The memory's tables in a PostgreSQL database."""

    def __init__(self, db: PostgresDatabase) -> None:
        self._turns: set[feed.Turns] = set()
        super().__init__(db, db, Jobs(db, Ids(), self._wake))

    def _wake(self) -> None:
        for turns in self._turns:
            turns.wake()

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Reads]:
        async with self._db._bare_snapshot() as snapshot:
            yield PostgresReads(snapshot)

    async def of_one_state(self, ask: Callable[[Reads], Awaitable[R]]) -> R:
        losses = Losses(self._db)
        while True:
            has_begun = False
            try:
                async with self.snapshot() as reads:
                    has_begun = True
                    return await ask(reads)
            except ServerLost:
                if not (has_begun and losses.goes_on()):
                    raise

    async def newest_place(self, namespaces: Sequence[str]) -> FeedPlace:
        return await feed.newest_place(self._asking, namespaces)

    async def lines_behind(
        self, namespaces: Sequence[str], place: FeedPlace, kinds: Sequence[str], limit: int
    ) -> tuple[list[FeedLine], FeedPlace]:
        async def ask(reads: Reads) -> tuple[list[FeedLine], FeedPlace]:
            assert isinstance(reads, PostgresReads)
            return await feed.lines_behind(reads._asking, namespaces, place, kinds, limit)

        try:  # of one state: another replica may lack lines that the first one has
            return await self.of_one_state(ask)
        except ValueError:
            async with self._db.transaction() as tx:  # on the primary
                await feed.check(Asking(tx), place)
            return [], place  # a replica has not come so far

    def watch(self) -> feed.Turns:
        return feed.Turns(self._turns)

    async def agent_read(
        self, namespaces: Sequence[str], sql: str, params: Params, limits: AgentLimits | None
    ) -> AgentAnswer:
        raise AiomemdbError(
            "SQL of agents is SQLite's alone: on PostgreSQL give the agent a role of its own, which reads views that "
            "you make for it, with statement_timeout and work_mem of that role"
        )

    async def picture(self, namespaces: Sequence[str], query: PictureQuery) -> Picture:
        async def ask(reads: Reads) -> Picture:
            assert isinstance(reads, PostgresReads)
            return await picturing.picture(reads._asking, namespaces, query)

        return await self.of_one_state(ask)

    async def open(self, normalisers: Mapping[str, str], *, given: Collection[str] | None = None) -> dict[str, str]:
        return await self._jobs.open(normalisers, list(normalisers if given is None else given))

    async def sweep(self) -> None:
        for namespace in await forgetting.forgotten_namespaces(self._asking):
            await self.delete(namespace)

    async def erase(self) -> bool:
        """Rows are gone from what queries see. The server's own files keep old versions until it vacuums them."""
        await self.sweep()
        return False

    async def drop_vectors(self) -> None:
        while await self._jobs.run(self._drop):
            pass

    @staticmethod
    async def _drop(world: World) -> bool:
        world.wrote = True
        return await embeddings.drop_slice(world.asking)
