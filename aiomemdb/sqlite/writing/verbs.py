"""The write verbs that a database and a transaction share, over the one step in which they differ."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar, TypeVarTuple

from ...concurrency.job import Operation
from ...config import checked_timeout
from ...database import Params, Transaction
from ...values import Result, Row
from ..connection.arguments import checked_function, checked_params, checked_rows
from .operations import ANY, COUNT, FUNCTION, FUNCTION_ONCE, MANY, RETURNING, SCRIPT, WRITE

__all__ = ["WriteVerbs"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


class WriteVerbs(Transaction):
    """The write verbs, over ``_write``."""

    def _write(
        self, operation: Operation[R], subject: object, arguments: object, durable: bool, timeout: float | None
    ) -> Awaitable[R]:
        raise NotImplementedError

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        return await self._write(WRITE, sql, checked_params(params), durable, checked_timeout(timeout))

    async def write_count(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int:
        return await self._write(COUNT, sql, checked_params(params), durable, checked_timeout(timeout))

    async def write_returning(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> list[Row]:
        return await self._write(RETURNING, sql, checked_params(params), durable, checked_timeout(timeout))

    async def write_any(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> Result:
        result: Result = await self._write(ANY, sql, checked_params(params), durable, checked_timeout(timeout))
        return result

    async def write_many(
        self, sql: str, rows: Iterable[Params], *, durable: bool = False, timeout: float | None = None
    ) -> int:
        if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
            raise TypeError(f"write_many takes an iterable of parameter sets, not {type(rows).__name__}")
        return await self._write(MANY, sql, checked_rows(rows), durable, checked_timeout(timeout))

    async def write_script(self, sql: str, *, durable: bool = False, timeout: float | None = None) -> None:
        if not isinstance(sql, str):
            raise TypeError(f"sql must be a str, not {type(sql).__name__}")
        await self._write(SCRIPT, sql, (), durable, checked_timeout(timeout))

    async def write_fn(
        self,
        fn: Callable[[sqlite3.Connection, *Ts], R],
        *args: *Ts,
        durable: bool = False,
        timeout: float | None = None,
        once: bool = False,
    ) -> R:
        """Run ``fn(conn, *args)`` on the writer's thread, all or nothing, and return what it returned.

        It is the way to check and then act: no other job writes between its statements. If a neighbour spoils the
        shared transaction, the function runs again and one run counts. So it touches nothing but its connection. It
        waits for nothing that goes through its own database, as that waits for it. A function that takes long is logged
        with its name.

        Args:
            fn: a synchronous function.
            args: what it gets behind the connection.
            durable: as for ``write``.
            timeout: as for ``write``.
            once: whether it has a transaction of its own, and never runs a second time.

        Raises:
            TypeError: ``fn`` is no synchronous function, or returned an awaitable, a generator or a cursor.
            Exception: what ``write`` raises, and what ``fn`` does: nothing of it was applied.

        Cancellation: as for ``write``: a function that has begun runs to its end.
        """
        operation = FUNCTION_ONCE if once else FUNCTION
        function = checked_function(fn, "write_fn")
        result: R = await self._write(operation, function, args, durable, checked_timeout(timeout))
        return result
