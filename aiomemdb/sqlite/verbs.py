"""The verbs that a database, a transaction and a snapshot share, over the one step in which they differ."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from ..config import checked_timeout
from ..database import Params
from ..values import Row
from .arguments import checked_params, checked_rows
from .job import Operation
from .queries import ALL, FIRST, FUNCTION_WITHIN, VALUE, Fetch
from .session import COUNT, FUNCTION, FUNCTION_ONCE, MANY, RETURNING, SCRIPT, WRITE

__all__ = ["ReadVerbs", "WriteVerbs", "checked_function"]


class ReadVerbs:
    """read, read_one, read_value and read_fn, over ``_read``."""

    def _read(self, fetch: Fetch, subject: Any, arguments: Any, timeout: float | None) -> Awaitable[Any]:
        raise NotImplementedError

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        rows: list[Row] = await self._read(ALL, sql, checked_params(params), timeout)
        return rows

    async def read_one(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Row | None:
        row: Row | None = await self._read(FIRST, sql, checked_params(params), timeout)
        return row

    async def read_value(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Any:
        return await self._read(VALUE, sql, checked_params(params), timeout)

    async def read_fn(self, fn: Callable[..., Any], *args: Any, timeout: float | None = None) -> Any:
        return await self._read(FUNCTION_WITHIN, checked_function(fn, "read_fn"), args, timeout)


class WriteVerbs:
    """The write verbs, over ``_write``."""

    def _write(
        self, operation: Operation, subject: Any, arguments: Any, durable: bool, timeout: float | None
    ) -> Awaitable[Any]:
        raise NotImplementedError

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        rowid: int | None = await self._write(WRITE, sql, checked_params(params), durable, checked_timeout(timeout))
        return rowid

    async def write_count(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int:
        count: int = await self._write(COUNT, sql, checked_params(params), durable, checked_timeout(timeout))
        return count

    async def write_returning(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> list[Row]:
        rows: list[Row] = await self._write(RETURNING, sql, checked_params(params), durable, checked_timeout(timeout))
        return rows

    async def write_many(
        self, sql: str, rows: Iterable[Params], *, durable: bool = False, timeout: float | None = None
    ) -> int:
        if isinstance(rows, str | bytes | Mapping) or not isinstance(rows, Iterable):
            raise TypeError(f"write_many takes an iterable of parameter sets, not {type(rows).__name__}")
        count: int = await self._write(MANY, sql, checked_rows(rows), durable, checked_timeout(timeout))
        return count

    async def write_script(self, sql: str, *, durable: bool = False, timeout: float | None = None) -> None:
        if not isinstance(sql, str):
            raise TypeError(f"sql must be a str, not {type(sql).__name__}")
        await self._write(SCRIPT, sql, (), durable, checked_timeout(timeout))

    async def write_fn(
        self,
        fn: Callable[..., Any],
        *args: Any,
        durable: bool = False,
        timeout: float | None = None,
        once: bool = False,
    ) -> Any:
        operation = FUNCTION_ONCE if once else FUNCTION
        return await self._write(operation, checked_function(fn, "write_fn"), args, durable, checked_timeout(timeout))


def checked_function(fn: Any, verb: str) -> Callable[..., Any]:
    if not callable(fn):
        raise TypeError(f"{verb} takes a function fn(conn, *args), not {type(fn).__name__}")
    unwrapped = fn
    while hasattr(unwrapped, "func"):  # functools.partial
        unwrapped = unwrapped.func
    if inspect.iscoroutinefunction(unwrapped) or inspect.isasyncgenfunction(unwrapped):
        raise TypeError(
            f"{verb} takes a synchronous function: it runs on a database thread, where nothing can be awaited; "
            "await first and pass the result as an argument, or use transaction() for several awaited steps"
        )
    if inspect.isgeneratorfunction(unwrapped):
        raise TypeError(f"{verb} takes a function that runs when it is called, not a generator")
    return fn  # type: ignore[no-any-return]
