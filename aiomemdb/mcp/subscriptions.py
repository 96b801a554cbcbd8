"""Which clients want to hear of changes; they hear of what other processes wrote, too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable
from contextvars import Context

from ..memory.memory import Memory

__all__ = ["Subscriptions"]

_LOG = logging.getLogger("aiomemdb.mcp")
_PATIENCE = 5.0


class Subscriptions:
    """Follows the memory's feed while there is a subscriber. One notification may stand for many changes."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._tellers: dict[tuple[str, Hashable], Callable[[], Awaitable[None]]] = {}
        self._changed = asyncio.Event()
        self._begun: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def watching(self) -> None:
        """Returns when each change from now on will be told. Raises: what reads raise."""
        if self._begun is None:
            self._begun = asyncio.get_running_loop().create_future()
            # In a context of their own: what they do later is no part of the request that came first.
            self._tasks = [
                asyncio.create_task(self._follow(self._begun), name="aiomemdb:mcp:follow", context=Context()),
                asyncio.create_task(self._tell(), name="aiomemdb:mcp:tell", context=Context()),
            ]
        await asyncio.shield(self._begun)

    def add(self, uri: str, key: Hashable, tell: Callable[[], Awaitable[None]]) -> None:
        self._tellers[uri, key] = tell

    def remove(self, uri: str, key: Hashable) -> None:
        self._tellers.pop((uri, key), None)
        if not self._tellers:
            self._stop()

    async def close(self) -> None:
        self._tellers.clear()
        tasks = self._stop()
        if tasks:
            await asyncio.wait(tasks)

    def _stop(self) -> list[asyncio.Task[None]]:
        tasks, self._tasks, self._begun = self._tasks, [], None
        for task in tasks:
            task.cancel()
        return tasks

    async def _follow(self, begun: asyncio.Future[None]) -> None:
        try:
            place = await self._memory.position()
        except Exception as error:
            begun.set_exception(error)
            self._begun = None
            return
        begun.set_result(None)
        try:
            async for _ in self._memory.changes(place):
                self._changed.set()
        except Exception:
            _LOG.exception("changes are no longer reported")

    async def _tell(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            for each, tell in list(self._tellers.items()):
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await tell()
                except Exception as error:  # the connection is gone, or its client reads no more
                    _LOG.debug("a subscriber is gone: %r", error)
                    self._tellers.pop(each, None)
