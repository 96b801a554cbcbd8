"""The read verbs that a database, a transaction and a snapshot share, over the one step in which they differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, TypeVarTuple  # Any: a column may hold anything

from ...database import Params, Snapshot
from ...values import Row
from ..connection.arguments import checked_function, checked_params
from .queries import ALL, FIRST, FUNCTION_WITHIN, VALUE, Fetch

__all__ = ["ReadVerbs"]

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")
Ts = TypeVarTuple("Ts")


class ReadVerbs(Snapshot):
    """read, read_one, read_value and read_fn, over ``_read``."""

    def _read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> Awaitable[R]:
        raise NotImplementedError

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        return await self._read(ALL, sql, checked_params(params), timeout)

    async def read_one(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Row | None:
        return await self._read(FIRST, sql, checked_params(params), timeout)

    async def read_value(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Any:
        return await self._read(VALUE, sql, checked_params(params), timeout)

    async def read_fn(self, fn: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts, timeout: float | None = None) -> R:
        """Run ``fn(conn, *args)`` on a connection that can't write, and return what it returned.

        It sees one state throughout.

        Args:
            fn: a synchronous function.
            args: what it gets behind the connection.
            timeout: as for ``read``; it stops the function's statement.

        Raises:
            TypeError: ``fn`` is no synchronous function, or returned an awaitable, a generator or a cursor.
            Exception: what ``read`` raises, and what ``fn`` does.
        """
        return await self._read(FUNCTION_WITHIN, checked_function(fn, "read_fn"), args, timeout)
