"""What statements run on: a database (each call a snapshot of its own), a snapshot, or a transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from ....postgres.database import PostgresDatabase
from ....postgres.snapshot import PostgresSnapshot
from ....postgres.transaction import PostgresTransaction
from ....values import Result, Row
from .statements import Statement, statement

__all__ = ["Asking", "turn_of"]


class Asking:
    """Several statements are one round trip.

    Attributes:
        kept: answers that can't change while this is asked: those of a snapshot. None: they may.
    """

    def __init__(self, on: PostgresDatabase | PostgresSnapshot | PostgresTransaction) -> None:
        self._run = on._steps if isinstance(on, PostgresTransaction) else on._reads
        self.kept: dict[str, Row] | None = {} if isinstance(on, PostgresSnapshot) else None
        # In a transaction a job is a savepoint, which other tasks' questions must not come between.
        self._turn = turn_of(on) if isinstance(on, PostgresTransaction) else None

    async def all(self, statements: Sequence[Statement]) -> Sequence[Result]:
        """What each statement did, in order."""
        if not statements:
            return []
        if self._turn is None:
            return await self._run(statements)
        async with self._turn:
            return await self._run(statements)

    async def rows(self, sql: str, **params: Any) -> Sequence[Row]:
        """The rows of one statement."""
        [result] = await self.all([statement(sql, params)])
        return result.rows

    async def count(self, sql: str, **params: Any) -> int:
        """How many rows one statement changed."""
        [result] = await self.all([statement(sql, params)])
        return result.count


_turns: WeakKeyDictionary[PostgresTransaction, asyncio.Lock] = WeakKeyDictionary()


def turn_of(tx: PostgresTransaction) -> asyncio.Lock:
    """The lock of a transaction: a caller's tasks use it in turn."""
    return _turns.setdefault(tx, asyncio.Lock())
