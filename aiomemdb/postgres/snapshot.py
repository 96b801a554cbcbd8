"""Snapshots: several awaited reads of one state, on a connection of their own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from ..errors import ServerLost, SnapshotEnded
from ..familiar import SNAPSHOT, Familiar
from .link import Lost
from .operations import Checker, Work
from .reading import VERBS, Fetch, HeldReads, Readers
from .verbs import ReadVerbs

__all__ = ["PostgresSnapshot", "open_snapshot"]

R = TypeVar("R")


class PostgresSnapshot(ReadVerbs, Familiar):
    """The verbs inside ``async with db.snapshot() as snap``: those of ``aiomemdb.Snapshot``.

    It is one transaction, REPEATABLE READ and READ ONLY.
    """

    _familiar = SNAPSHOT

    def __init__(self, held: HeldReads, readers: Readers, checker: Checker) -> None:
        self._held = held
        self._readers = readers
        self._check_with = checker
        self._ended = False

    @property
    def _checker(self) -> Checker:
        return self._check_with

    def _check(self) -> None:
        if self._ended:
            raise SnapshotEnded("this snapshot has ended")

    async def _read(self, fetch: Fetch[R], work: Work, timeout: float | None) -> R:
        self._check()
        return await self._readers.told(VERBS[fetch], work, self._held.read(fetch, work, timeout, self._check))


@asynccontextmanager
async def open_snapshot(
    find: Callable[[], tuple[Readers, Checker]], *, timeout: float | None, bare: bool = False
) -> AsyncIterator[PostgresSnapshot]:
    readers, checker = find()  # or raises why there are none, now that the block is entered
    until = readers.loop.time() + readers.connector.config.reconnect
    while True:
        holder = await readers.hold(timeout)
        held = HeldReads(holder.link, readers.connector, bare=bare)
        try:
            await held.begin()
            break
        except Lost as lost:  # it has read nothing yet: another connection serves as well
            readers.give_back(holder)
            if readers.loop.time() >= until:
                raise ServerLost(f"the connection of this snapshot was lost: {lost}") from lost.cause
        except BaseException:
            readers.give_back(holder)
            raise
    snapshot = PostgresSnapshot(held, readers, checker)
    try:
        yield snapshot
    finally:
        snapshot._ended = True
        readers.give_back(holder)
