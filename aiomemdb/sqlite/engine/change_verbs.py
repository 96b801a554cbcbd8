"""The verbs that wait for changes of tables."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable

from ...concurrency.bell import call_on_loop
from ...config import checked_timeout
from .assembly import Assembly
from .watcher import Watcher

__all__ = ["ChangeVerbs", "TableChanges"]


class TableChanges:
    """``async for tables in changes``; also ``async with changes``, which ends it with its block."""

    def __init__(self, watcher: Watcher, tables: frozenset[str] | None) -> None:
        self._watcher = watcher
        self._tables = tables
        self._seen = watcher.count
        watcher.begin()
        self._end = weakref.finalize(self, call_on_loop, watcher._loop, watcher.end)
        self._end.atexit = False

    def __aiter__(self) -> TableChanges:
        return self

    async def __aenter__(self) -> TableChanges:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def __anext__(self) -> frozenset[str]:
        if not self._end.alive:
            raise StopAsyncIteration
        while (changed := self._watcher.since(self._seen, self._tables)) is None:
            await self._watcher.wait()
            if not self._end.alive:
                raise StopAsyncIteration
        self._seen = self._watcher.count
        return changed

    async def aclose(self) -> None:
        """Ends it: nothing is watched for it any more."""
        if self._end.detach() is not None:
            self._watcher.end()
            self._watcher._wake()


class ChangeVerbs:
    _assembly: Assembly | None

    def _check(self) -> None:
        raise NotImplementedError

    def changes(self, *tables: str) -> TableChanges:
        """Iterate over turns in which something in these tables may have changed.

        ``async for tables in db.changes("note"): ...`` A turn says that something changed since the one before, by this
        process or any other, and not what. Several changes are one turn. After the last change there is at least one
        turn; a change is never missed. This process's changes are told at once, others' within 0.1 s. After a commit of
        another process, or a change of the schema, there may be a turn without a change of these tables.

        Args:
            tables: names, in any case.

        Returns: what to iterate over. It watches from the call on. ``aclose()`` ends it, as does dropping it.
        Raises: ValueError, TypeError: no names. From its iteration: DatabaseClosed.

        Cancellation: nothing is missed; the next turn reports it.
        """
        if not tables:
            raise ValueError("changes() needs the names of tables")
        return self._watch(_checked(tables))

    async def wait_for_change(self, timeout: float | None = None) -> bool:
        """Wait until anything in the database changes, by this process or any other.

        Args:
            timeout: seconds, at most.

        Returns: whether something may have changed; False: the time is over.
        Raises: DatabaseClosed.

        Cancellation: nothing is left.
        """
        timeout = checked_timeout(timeout)
        async with self._watch(None) as changes:
            try:
                async with asyncio.timeout(timeout):
                    await anext(changes)
            except TimeoutError:
                return False
            return True

    def _watch(self, tables: frozenset[str] | None) -> TableChanges:
        self._check()
        assert self._assembly is not None
        return TableChanges(self._assembly.watcher, tables)


def _checked(tables: Iterable[str]) -> frozenset[str]:
    names = tuple(tables)
    if not all(isinstance(name, str) for name in names):
        raise TypeError(f"{names!r}: names of tables")
    return frozenset(name.lower() for name in names)
