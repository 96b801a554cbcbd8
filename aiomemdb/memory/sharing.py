"""What all views of an open memory share: the store, what creates names and writes texts, the vectors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from threading import get_ident
from typing import Any

import anyio

from ..database import Database
from ..embedders import Embedder
from ..errors import AiomemdbError, DatabaseClosed, ReentrancyError, WrongLoop
from .core import Core
from .deciding.documents import Answer
from .drafts import Draft, NameRequest, Scope
from .finding import Identity, find_near
from .matrices import Vectors
from .names import Normaliser, as_recorded, chosen
from .reembedding import Progress, Reembedding
from .store import Store
from .stores.choosing import store_of
from .together import Together
from .values import Entity

__all__ = ["SharedCore"]

# Facts and texts that one job writes: some 16 documents of 9 facts, 12 ms of the writer's time. Half as many a job cost
# 7 % of the rate, twice as many gain 2 %: the word indexes write out their words at each job's end.
_WRITTEN_AT_ONCE = 160


class SharedCore(Core):
    """Opened once, by the ``Memory`` that was made first; views borrow it. Calls that wait together are one job."""

    works_ahead = True

    def __init__(
        self,
        db: Database,
        *,
        owns_db: bool,
        embedder: Embedder | None,
        normaliser: Normaliser | str | None,
        predicate_normaliser: Normaliser | None,
        near: float,
        vector_cache_bytes: int,
    ) -> None:
        normalisers, self._given = chosen(normaliser, predicate_normaliser)
        super().__init__(db, self._open_store, normalisers, near)
        self.owns_db = owns_db
        self._store: Store = store_of(db)
        self.vectors: Vectors | None = None if embedder is None else Vectors(self._store, embedder, vector_cache_bytes)
        self._identity: Identity | None = None
        self._writes: Together[tuple[Scope, Draft], Answer] | None = None
        self._sweeping: asyncio.Task[None] | None = None
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None  # on which it was opened
        self._thread = 0
        self._last_in_session: dict[tuple[str, str], asyncio.Future[None]] = {}

    def _open_store(self) -> Store:
        if self._identity is None:
            raise self._not_open()
        return self._store

    @property
    def writable_store(self) -> Store:
        store = self._open_store()
        self.check_writable()
        return store

    def check_writable(self) -> None:
        """Raises what ``Database.check_writable`` does, and where a ``transaction()`` is the caller's, what to do."""
        try:
            self.db.check_writable()
        except ReentrancyError:
            raise ReentrancyError(
                "a memory writes by jobs of its own, which wait until this transaction() has ended: write to it "
                "before its block or after it, or in it by memory.within(tx)"
            ) from None

    @property
    def identity(self) -> Identity:
        """Raises: DatabaseClosed."""
        if self._identity is None:
            raise self._not_open()
        return self._identity

    def _not_open(self) -> DatabaseClosed:
        return DatabaseClosed(
            "the memory is closed" if self._closed else "the memory is not open: async with Memory.open(...)"
        )

    async def open(self) -> None:
        if self._identity is not None or self._closed:
            raise AiomemdbError("this memory was opened before; make a new one with Memory.open(...)")
        if self.owns_db:
            await self.db.__aenter__()
        try:
            recorded = await self._store.open(self.normalisers.recorded(), given=self._given)
            self.keyed_by(as_recorded(self.normalisers, recorded))
        except BaseException:
            if self.owns_db:
                with anyio.CancelScope(shield=True):
                    await self.db.close()
            raise
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._identity = Identity(self._store, self.vectors, self.near, self.check_writable)
        self._writes = Together(self._store.write, most=_WRITTEN_AT_ONCE, name="aiomemdb:memory:write", weigh=_weight)
        self._sweeping = asyncio.create_task(self._sweep(), name="aiomemdb:memory:sweep")

    async def _sweep(self) -> None:
        """Deletes the rest of what was forgotten. No question finds it, so no caller waits for that."""
        try:
            await self._store.sweep()
        except Exception:
            pass  # the file is read-only, say, or locked: the next opening goes on

    async def close(self, timeout: float) -> None:
        if self._identity is not None and asyncio.get_running_loop() is not self._loop:
            raise WrongLoop.of("this memory", self._thread, "memory.close()")
        began = time.monotonic()
        identity, self._identity, self._closed = self._identity, None, True
        with anyio.CancelScope(shield=True):
            if identity is not None and self._writes is not None and self._sweeping is not None:
                self._sweeping.cancel()
                await asyncio.wait([self._sweeping])
                await identity.close(timeout)
                await self._writes.close(timeout)
            if self.owns_db:
                await self.db.close(max(0.1, timeout - (time.monotonic() - began)))

    def find(self, scope: Scope, wanted: NameRequest) -> Coroutine[Any, Any, Entity | None]:
        return self.identity.find(scope, wanted)

    def find_or_create(self, scope: Scope, wanted: NameRequest) -> Coroutine[Any, Any, Entity]:
        return self.identity.find_or_create(scope, wanted)

    async def write(self, scope: Scope, draft: Draft) -> Answer:
        if self._writes is None:
            raise self._not_open()
        self.check_writable()  # the task that writes what waits together can't tell who waits in a transaction()
        try:
            written = await self._writes.add((scope, draft))
        except asyncio.CancelledError:
            draft.unwanted = True
            raise
        if isinstance(written, BaseException):
            raise written
        return written

    async def embed_all(self, scope: Scope, drafts: Sequence[Draft]) -> None:
        """Fills in the drafts' vectors: new names', facts' and texts', in one call of the embedder.

        A name that is known needs none; if it is forgotten meanwhile, it is made anew without, until ``reembed()``.
        """
        if self.vectors is None or not drafts:
            return
        wanted = [name for draft in drafts for name in draft.who if isinstance(name, NameRequest)]
        known = await asyncio.gather(*(self.identity.find(scope, name) for name in wanted))
        names = [name for name, entity in zip(wanted, known, strict=True) if entity is None]
        facts = [fact for draft in drafts for fact in draft.facts]
        texts = [draft.episode for draft in drafts if draft.episode is not None]
        said = [name.name for name in names] + [fact.text for fact in facts] + [text.content for text in texts]
        distinct = list(dict.fromkeys(said))  # documents of one source have names in common
        vectors = dict(zip(distinct, await self.vectors.embed(distinct), strict=True))
        for name in names:
            name.vector = vectors[name.name]
        for fact in facts:
            fact.vector = vectors[fact.text]
        for text in texts:
            text.vector = vectors[text.content]
        for draft in drafts:
            draft.model = self.vectors.model
        if names:
            await find_near(self.vectors, [(scope, name) for name in names], self.near)

    @asynccontextmanager
    async def in_order(self, session: tuple[str, str] | None) -> AsyncIterator[asyncio.Future[None] | None]:
        if session is None or self.vectors is None:  # without an embedder nothing is awaited before the writer's queue
            yield None
            return
        before = self._last_in_session.get(session)
        done = self._last_in_session[session] = asyncio.get_running_loop().create_future()
        try:
            yield before
        finally:
            if before is None or before.done():
                done.set_result(None)
            else:  # it failed or was cancelled before its turn: the next one still waits for those before
                before.add_done_callback(lambda _: done.set_result(None))
            if self._last_in_session.get(session) is done:
                done.add_done_callback(lambda _: self._leave(session, done))

    def _leave(self, session: tuple[str, str], done: asyncio.Future[None]) -> None:
        if self._last_in_session.get(session) is done:
            del self._last_in_session[session]

    async def erase(self) -> bool:
        return await self.writable_store.erase()

    async def reembed(self, progress: Progress | None) -> int:
        if self.vectors is None:
            raise ValueError("reembed() needs an embedder: Memory.open(..., embedder=...)")
        self.check_writable()
        return await Reembedding(self._open_store, self.vectors, self.near, progress).run()


def _weight(item: tuple[Scope, Draft]) -> int:
    return 1 + len(item[1].facts) + len(item[1].added or ())
