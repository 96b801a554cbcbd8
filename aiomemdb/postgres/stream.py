"""A query's rows in constant memory: a cursor of the server's, on a connection that is held."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from ..concurrency.bell import call_on_loop
from ..errors import ServerLost
from ..values import Row
from .driver import NOTHING, psycopg
from .link import Command, Lost
from .operations import Work, annotate, rows_of
from .reading import BEGIN_SNAPSHOT, Holder, Readers, read_timeout

__all__ = ["RowStream"]


class RowStream:
    """``async for row in stream``; also ``async with stream as rows``, which closes it at the end of the block.

    It holds a connection from the first row on, and returns it when it is exhausted, fails, is cancelled, closed, or
    dropped.
    """

    def __init__(self, readers: Readers, work: Work, *, chunk: int, timeout: float | None) -> None:
        self._readers = readers
        self._work = work
        self._chunk = chunk
        self._timeout = timeout
        self._rows: deque[Row] = deque()
        self._holder: Holder | None = None
        self._fetching = False
        self._closed = False

    def __aiter__(self) -> RowStream:
        return self

    async def __aenter__(self) -> RowStream:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()

    async def __anext__(self) -> Row:
        if self._rows:
            return self._rows.popleft()
        if self._closed:
            raise StopAsyncIteration
        if self._fetching:
            raise RuntimeError("another task is reading this stream: one reader a stream")
        self._fetching = True
        try:
            if self._holder is None:
                self._holder = await self._readers.hold(self._timeout)
                rows = await self._readers.told("read_stream", self._work, self._first())
            else:
                rows = await self._ask([self._fetch()])
        except Lost as lost:
            self._release()
            raise ServerLost(f"the connection of this stream was lost: {lost}") from lost.cause
        except BaseException:
            self._release()
            raise
        finally:
            self._fetching = False
        if len(rows) < self._chunk:
            self._release()
        if not rows:
            raise StopAsyncIteration
        self._rows.extend(rows)
        return self._rows.popleft()

    def _fetch(self) -> Command:
        return f"FETCH FORWARD {self._chunk} FROM aiomemdb_stream".encode(), NOTHING

    async def _first(self) -> list[Row]:
        ((made, arguments),) = self._work
        declare = (b"DECLARE aiomemdb_stream NO SCROLL CURSOR WITHOUT HOLD FOR " + made.command, arguments)
        return await self._ask([BEGIN_SNAPSHOT, *self._readers.connector.settings, declare, self._fetch()])

    async def _ask(self, commands: list[Command]) -> list[Row]:
        assert self._holder is not None
        link = self._holder.link
        request = link.ask(commands)
        if self._timeout is not None:
            await asyncio.wait([request], timeout=self._timeout)
            if not request.done():
                raise read_timeout(self._timeout, started=True)
        answers = await request
        for answer in answers:
            if isinstance(answer, psycopg.Error):
                raise annotate(answer, self._work[0][0])
        last: Any = answers[-1]
        return rows_of(last, link.loader)

    def _release(self) -> None:
        self._closed = True
        holder, self._holder = self._holder, None
        if holder is not None:
            self._readers.give_back(holder)

    async def aclose(self) -> None:
        """Returns the connection; rows that were fetched already are dropped."""
        self._rows.clear()
        self._release()

    def __del__(self) -> None:
        # Collected on any thread, perhaps after the loop has ended: the loop itself takes the connection back.
        if self._holder is not None:
            call_on_loop(self._readers.loop, self._readers.give_back, self._holder)
