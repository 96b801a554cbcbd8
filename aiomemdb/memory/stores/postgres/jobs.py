"""The memory's jobs: each a transaction of its own, or a step of its caller's, run again where another was first."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from ....errors import TransactionConflict, TransactionLost
from ....postgres.database import PostgresDatabase
from ....postgres.transaction import PostgresTransaction
from .asking import Asking, turn_of
from .ids import Ids
from .opening import migrate, recorded_if_current
from .world import World

__all__ = ["Jobs", "Losses"]

R = TypeVar("R")

# Times that a job is run: conflicts are deadlocks with programs that lock in another order, and a first model.
_MOST_RUNS = 10

# The server's words for a schema, or a row of its own catalogue, that another process has made meanwhile.
_MADE_MEANWHILE = ("23505", "42P06", "42P07")


class _NothingWritten(Exception):
    """Rolls back what a job has locked and made for nothing."""

    def __init__(self, result: Any) -> None:
        self.result = result


class Losses:
    """The connections that one job or question has lost: it is run again for ``reconnect`` seconds from the first."""

    def __init__(self, db: PostgresDatabase) -> None:
        self._reconnect = db._config.reconnect
        self._until: float | None = None

    def goes_on(self) -> bool:
        """Count one more. Returns whether to run it again."""
        now = asyncio.get_running_loop().time()
        if self._until is None:
            self._until = now + self._reconnect
        return now < self._until


class Jobs:
    """Runs jobs on a database, or within a transaction.

    Args:
        written: called after each commit.

    Attributes:
        within: whether a transaction is the caller's.
    """

    within = False

    def __init__(self, db: PostgresDatabase, ids: Ids, written: Callable[[], None]) -> None:
        self._on: PostgresDatabase | PostgresTransaction = db
        self._ids = ids
        self._written = written

    def inside(self, tx: PostgresTransaction) -> Jobs:
        """The same in a transaction, in which each job is a step."""
        inside = Jobs.__new__(Jobs)
        inside._on, inside._ids, inside._written, inside.within = tx, self._ids, self._written, True
        return inside

    async def run(self, work: Callable[[World], Awaitable[R]]) -> R:
        """Run a job: whole or not at all."""
        if isinstance(self._on, PostgresTransaction):
            async with turn_of(self._on):
                return await self._run(work)
        losses, left = Losses(self._on), _MOST_RUNS
        while True:  # nothing was applied of a run that ends so
            try:
                return await self._run(work)
            except TransactionConflict:
                left -= 1
                if not left:
                    raise
            except TransactionLost:
                if not losses.goes_on():
                    raise

    async def _run(self, work: Callable[[World], Awaitable[R]]) -> R:
        ids = None
        try:
            async with self._on.transaction() as tx:
                asking = Asking(tx)
                ids = await self._ids.take(asking)
                world = World(asking, ids)
                result = await work(world)
                if not world.wrote:
                    raise _NothingWritten(result)
        except _NothingWritten as nothing:
            result = nothing.result
        else:
            self._written()
        finally:
            if ids is not None:
                self._ids.give_back(ids)
        return result

    async def open(self, normalisers: Mapping[str, str], given: Sequence[str]) -> dict[str, str]:
        """Make the tables or bring them up to date; return what is recorded of normalisers."""
        assert isinstance(self._on, PostgresDatabase)
        while True:
            recorded = await recorded_if_current(Asking(self._on), normalisers, given)
            if recorded is not None:
                return recorded
            try:
                async with self._on.transaction() as tx:
                    return await migrate(tx, normalisers, given)
            except TransactionConflict:
                pass
            except Exception as error:
                if getattr(error, "sqlstate", None) not in _MADE_MEANWHILE:
                    raise
