"""The memory for synchronous code: opened, viewed, closed; see ``memory_verbs`` for the rest."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import partial
from typing import Any, Self

from ..concurrency.loop_thread import stay
from ..familiar import MEMORY, Familiar
from ..memory.changes import KINDS
from ..memory.memory import Memory as AsyncMemory
from ..memory.names import Normaliser
from ..memory.values import Change
from .database import Database, Transaction
from .memory_verbs import MemoryVerbs
from .waiting import Opened, Stream, in_synchronous_code

__all__ = ["Memory"]


class Memory(Opened, MemoryVerbs, Familiar):
    """``aiomemdb.Memory`` for synchronous code: ``with Memory.open("agent.db") as memory``.

    Any thread may use it in which no event loop runs. An embedder is that of ``aiomemdb.Memory``: its ``embed`` is
    awaited on the library's loop.
    """

    _familiar = in_synchronous_code(MEMORY)
    _inner: AsyncMemory

    @classmethod
    def _open_on(cls, target: str | os.PathLike[str] | Database, **options: Any) -> Self:
        if isinstance(target, Database):
            return cls._open(AsyncMemory.open(target._inner, **options), target._stay.again())
        if not isinstance(target, str | os.PathLike):
            raise TypeError(f"{target!r}: a path, or a database of aiomemdb.blocking.connect()")
        return cls._open(AsyncMemory.open(target, **options), stay())

    @property
    def db(self) -> Database:
        """The database of the memory, for ``backup()``, ``statistics()`` and tables of your own."""
        return Database(self._inner.db, self._stay)

    @property
    def normaliser(self) -> Normaliser:
        """What says which spellings of a name are equal, as the file has recorded it.

        Raises: DatabaseClosed: the memory is not open.
        """
        return self._inner.normaliser

    def close(self, timeout: float = 10.0) -> None:
        """Close all views: refuse new calls, write what waits, close the database if the memory opened it. Idempotent.

        See ``aiomemdb.Memory.close``.
        """
        self._close(partial(self._inner.close, timeout))

    def scoped(self, *, namespace: str | None = None, agent: str | None = None, also_read: Iterable[str] = ()) -> Self:
        """Make a view of the same memory: same writer, readers and caches. Args: as for ``aiomemdb.Memory.scoped``."""
        return type(self)(self._inner.scoped(namespace=namespace, agent=agent, also_read=also_read), self._stay)

    def changes(self, after: str | None = None, *, kinds: Iterable[str] = KINDS) -> Stream[Change]:
        """Iterate over what is done in the namespaces that this view reads: ``for change in memory.changes(position)``.

        See ``aiomemdb.Memory.changes``.
        """

        async def changes() -> Stream[Change]:
            return Stream(self._thread, self._inner.changes(after, kinds=kinds), 1)

        return self._thread.run(changes)

    def within(self, tx: Transaction) -> Self:
        """Make a view with verbs that are steps of a transaction of ``memory.db``. See ``aiomemdb.Memory.within``."""
        return type(self)(self._inner.within(tx._inner), self._stay)
