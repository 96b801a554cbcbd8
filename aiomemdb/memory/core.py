"""What the verbs of a view work with: rules of names, a store, vectors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

from ..database import Database, Transaction
from ..errors import ReentrancyError
from .deciding.documents import Answer
from .drafter import Drafter
from .drafts import Draft, NameRequest, Scope
from .matrices import Vectors
from .names import Normalisers
from .reembedding import Progress
from .store import ReadsAndWrites
from .values import Entity

__all__ = ["Core"]


class Core:
    """Each call is a job by itself. So it is inside a transaction: what calls of an open memory share (``SharedCore``)
    may wait for that transaction to end, and an embedder would have the writer wait.

    Args:
        find_store: returns the store, or raises why there is none.
    """

    vectors: Vectors | None = None
    #: Whether a call may prepare its next job while this one runs.
    works_ahead: bool = False

    def __init__(
        self,
        db: Database,
        find_store: Callable[[], ReadsAndWrites],
        normalisers: Normalisers,
        near: float,
    ) -> None:
        self.db: Database = db
        self.normalisers: Normalisers = normalisers
        self.near: float = near
        self._find_store = find_store

    @property
    def store(self) -> ReadsAndWrites:
        """Raises: DatabaseClosed."""
        return self._find_store()

    @property
    def writable_store(self) -> ReadsAndWrites:
        """The store, for a verb that writes. Raises: DatabaseClosed; why the caller must not wait for a write."""
        return self.store

    def drafter(self) -> Drafter:
        return Drafter(self.normalisers, self.near)

    # Names, texts and facts

    async def find(self, scope: Scope, wanted: NameRequest) -> Entity | None:
        """The entity of a name, or None where there is none that need not change."""
        [found] = await self.store.resolve(scope.namespace, [wanted])
        if isinstance(found, Exception):
            raise found
        return found

    async def find_or_create(self, scope: Scope, wanted: NameRequest) -> Entity:
        [made] = await self.writable_store.find_or_create(scope, [wanted], None, self.near)
        if isinstance(made, Exception):
            raise made
        return made

    async def write(self, scope: Scope, draft: Draft) -> Answer:
        """Write a draft."""
        [written] = await self.writable_store.write([(scope, draft)])
        if isinstance(written, Exception):
            raise written
        return written

    async def embed(self, scope: Scope, draft: Draft) -> None:
        """Fill in a draft's vectors, where there is an embedder."""
        await self.embed_all(scope, [draft])

    async def embed_all(self, scope: Scope, drafts: Sequence[Draft]) -> None:
        """Fill in the vectors of drafts, where there is an embedder, in one call of it."""

    @asynccontextmanager
    async def in_order(self, session: tuple[str, str] | None) -> AsyncIterator[asyncio.Future[None] | None]:
        """Calls of one session write in the order in which they were made, however long each one's embedding takes:
        ``async with in_order(...) as before``, embed, await ``before``, write.
        """
        yield None  # nothing is awaited before the writer's queue

    def within(self, tx: Transaction) -> Core:
        """Raises: TypeError: it is no transaction of this database."""
        store = self._find_store().within(tx)

        def find_store() -> ReadsAndWrites:
            self._find_store()
            return store

        return Core(self.db, find_store, self.normalisers, self.near)

    # What concerns the whole memory

    def keyed_by(self, normalisers: Normalisers) -> None:
        """Go on with the normalisers that the file has recorded."""
        self.normalisers = normalisers

    async def open(self) -> None:
        _refuse("a view of a memory within a transaction is open as long as both are")

    async def close(self, timeout: float) -> None:
        _refuse("close() is the memory's own: call it after the transaction")

    async def erase(self) -> bool:
        _refuse("erase() rebuilds the file, which can't be done in a transaction: call it on the memory, after that")

    async def reembed(self, progress: Progress | None) -> int:
        _refuse("reembed() would have the writer wait for the embedder: call it on the memory, after the transaction")


def _refuse(why: str) -> NoReturn:
    raise ReentrancyError(why)
