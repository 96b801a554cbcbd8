"""A query's rows in constant memory: a cursor of the server's, on a connection that is held."""

from __future__ import annotations

import asyncio
from typing import Any

from ..concurrency.row_stream import RowStream
from ..errors import ServerLost
from ..values import Row
from .driver import NOTHING, psycopg
from .link import Command, Lost
from .operations import Work, annotate, rows_of
from .reading import BEGIN_SNAPSHOT, Holder, Readers, read_timeout

__all__ = ["PostgresRowStream"]


class PostgresRowStream(RowStream[Holder]):
    """The rows of a cursor on a connection."""

    def __init__(self, readers: Readers, work: Work, *, chunk: int, timeout: float | None) -> None:
        super().__init__(readers.loop, readers.give_back, chunk)
        self._readers = readers
        self._work = work
        self._timeout = timeout

    async def _hold(self) -> Holder:
        return await self._readers.hold(self._timeout)

    async def _fetch(self, held: Holder, *, is_first: bool) -> list[Row]:
        fetch: Command = f"FETCH FORWARD {self._chunk} FROM aiomemdb_stream".encode(), NOTHING
        try:
            if not is_first:
                return await self._ask(held, [fetch])
            ((made, arguments),) = self._work
            declare = (b"DECLARE aiomemdb_stream NO SCROLL CURSOR WITHOUT HOLD FOR " + made.command, arguments)
            asked = self._ask(held, [BEGIN_SNAPSHOT, *self._readers.connector.settings, declare, fetch])
            return await self._readers.told("read_stream", self._work, asked)
        except Lost as lost:
            raise ServerLost(f"the connection of this stream was lost: {lost}") from lost.cause

    async def _ask(self, held: Holder, commands: list[Command]) -> list[Row]:
        request = held.link.ask(commands)
        if self._timeout is not None:
            await asyncio.wait([request], timeout=self._timeout)
            if not request.done():
                raise read_timeout(self._timeout, started=True)
        answers = await request
        for answer in answers:
            if isinstance(answer, psycopg.Error):
                raise annotate(answer, self._work[0][0])
        last: Any = answers[-1]
        return rows_of(last, held.link.loader)
