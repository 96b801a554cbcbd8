"""A database that keeps a memory in dicts: ``Memory.open(DictDatabase())``."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiomemdb import Hold, Transaction
from aiomemdb.memory.store import Store
from aiomemdb.memory.stores.choosing import store_of
from tests.memory.dict_search import SearchingDictStore
from tests.memory.dict_store import DictStore
from tests.memory.dict_tables import Tables
from tests.support.fake_database import FakeDatabase, FakeHold

__all__ = ["DictDatabase"]


class DictDatabase(FakeDatabase):
    def __init__(self, store: type[DictStore] = SearchingDictStore) -> None:
        super().__init__()
        self.store = store(Tables(dict))

    @asynccontextmanager
    async def transaction(self, *, durable: bool = False, timeout: float | None = None) -> AsyncIterator[Transaction]:
        hold = await self.begin()
        try:
            yield hold
        except BaseException:
            await hold.rollback()
            raise
        await hold.commit()

    async def begin(self, *, durable: bool = False, timeout: float | None = None) -> Hold:
        await self.store.turn.acquire()
        return DictHold(self)


class DictHold(FakeHold):
    """Works on a copy, which takes the place of the store's tables."""

    def __init__(self, database: DictDatabase) -> None:
        super().__init__(database, {})
        self._outer, self._inner = database.store, database.store.copy()
        self.store_of = {self._outer: self._inner}

    async def commit(self) -> None:
        self._outer.t = self._inner.t
        await super().commit()

    async def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        self._outer.turn.release()
        await super().close()


@store_of.register
def _(db: DictDatabase) -> Store:
    return db.store
