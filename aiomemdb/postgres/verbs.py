"""The verbs that a database, a transaction and a snapshot share, over the one step in which they differ."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, TypeVar

from ..concurrency.job import Operation
from ..config import checked_timeout
from ..database import Params, Snapshot, Transaction
from ..values import Result, Row
from .operations import ANY, COUNT, MANY, RETURNING, SCRIPT, STEPS, WRITE, Checker, Work
from .reading import ALL, EACH, FIRST, VALUE, Fetch

__all__ = ["ReadVerbs", "WriteVerbs"]

R = TypeVar("R")

#: Several statements, each with its parameters.
Steps = Iterable[tuple[str, Params]]


class ReadVerbs(Snapshot):
    """The read verbs, over ``_read``."""

    _is_within = False

    @property
    def _checker(self) -> Checker:
        raise NotImplementedError

    def _read(self, fetch: Fetch[R], work: Work, timeout: float | None) -> Awaitable[R]:
        raise NotImplementedError

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        rows: list[Row] = await self._read(ALL, self._checker.one(sql, params, None), checked_timeout(timeout))
        return rows

    async def read_one(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Row | None:
        row: Row | None = await self._read(FIRST, self._checker.one(sql, params, None), checked_timeout(timeout))
        return row

    async def read_value(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Any:
        return await self._read(VALUE, self._checker.one(sql, params, None), checked_timeout(timeout))

    async def _reads(self, steps: Steps, *, timeout: float | None = None) -> Sequence[Result]:
        """Several queries of one state in one round trip. For rooms of this package."""
        work = self._checker.steps(steps, is_within=False)
        if not work:
            return []
        results: Sequence[Result] = await self._read(EACH, work, checked_timeout(timeout))
        return results


class WriteVerbs(Transaction):
    """The write verbs, over ``_write``."""

    _is_within = False

    @property
    def _checker(self) -> Checker:
        raise NotImplementedError

    def _write(self, operation: Operation[R], work: Work, durable: bool, timeout: float | None) -> Awaitable[R]:
        raise NotImplementedError

    def _one(self, sql: str, params: Params, operation: Operation[Any]) -> Work:
        return self._checker.one(sql, params, operation, is_within=self._is_within)

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        return await self._write(WRITE, self._one(sql, params, WRITE), durable, checked_timeout(timeout))

    async def write_count(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int:
        return await self._write(COUNT, self._one(sql, params, COUNT), durable, checked_timeout(timeout))

    async def write_returning(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> list[Row]:
        return await self._write(RETURNING, self._one(sql, params, RETURNING), durable, checked_timeout(timeout))

    async def write_any(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> Result:
        return await self._write(ANY, self._one(sql, params, ANY), durable, checked_timeout(timeout))

    async def write_many(
        self, sql: str, rows: Iterable[Params], *, durable: bool = False, timeout: float | None = None
    ) -> int:
        work = self._checker.many(sql, rows, is_within=self._is_within)
        return await self._write(MANY, work, durable, checked_timeout(timeout))

    async def write_script(self, sql: str, *, durable: bool = False, timeout: float | None = None) -> None:
        work = self._checker.script(sql, is_within=self._is_within)
        await self._write(SCRIPT, work, durable, checked_timeout(timeout))

    async def _steps(self, steps: Steps, *, timeout: float | None = None) -> Sequence[Result]:
        """Several statements in one round trip, all or nothing. For rooms of this package."""
        work = self._checker.steps(steps, is_within=self._is_within)
        if not work:
            return []
        return await self._write(STEPS, work, False, checked_timeout(timeout))
