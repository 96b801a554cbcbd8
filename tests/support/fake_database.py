"""A database for tests of programs that take an ``aiomemdb.Database``: it has no file, and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, overload

from aiomemdb import Database, DatabaseClosed, Hold, Result, Row, Snapshot, Statistics, Transaction
from aiomemdb.database import Params

__all__ = ["FakeDatabase", "FakeRow"]


class FakeRow:
    """A row of a dict."""

    def __init__(self, columns: Mapping[str, Any]) -> None:
        self._columns = dict(columns)

    @overload
    def __getitem__(self, key: int | str, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    def __getitem__(self, key: int | str | slice, /) -> Any:
        return self._columns[key] if isinstance(key, str) else tuple(self)[key]

    def __len__(self) -> int:
        return len(self._columns)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._columns.values())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, FakeRow) and self._columns == other._columns

    def __hash__(self) -> int:
        return hash(tuple(self._columns.items()))

    def keys(self) -> list[str]:
        return list(self._columns)

    def get(self, name: str, default: Any = None) -> Any:
        return self._columns.get(name, default)


class FakeDatabase:
    """Answers each SQL with the rows that ``answers`` has for it, and notes what is written.

    Attributes:
        written: the (SQL, parameters) of each write, in order.
    """

    def __init__(self, answers: Mapping[str, Sequence[Row]] | None = None) -> None:
        self._answers = dict(answers or {})
        self._is_closed = False
        self.written: list[tuple[str, Params]] = []

    async def _opened(self) -> FakeDatabase:
        return self

    def __await__(self) -> Generator[Any, None, FakeDatabase]:
        return self._opened().__await__()

    async def __aenter__(self) -> FakeDatabase:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    def check_writable(self) -> None:
        if self._is_closed:
            raise DatabaseClosed("the fake is closed")

    def _write(self, sql: str, params: Params) -> int:
        self.check_writable()
        self.written.append((sql, params))
        return len(self.written)

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        self.check_writable()
        return list(self._answers.get(sql, ()))

    async def read_one(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Row | None:
        return next(iter(await self.read(sql, params)), None)

    async def read_value(self, sql: str, params: Params = (), *, timeout: float | None = None) -> Any:
        row = await self.read_one(sql, params)
        return None if row is None else row[0]

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        return self._write(sql, params)

    async def write_count(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int:
        self._write(sql, params)
        return 1

    async def write_returning(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> list[Row]:
        self._write(sql, params)
        return await self.read(sql, params)

    async def write_any(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> Result:
        rows = await self.write_returning(sql, params)
        return Result(tuple(rows[0].keys()) if rows else (), rows, None, 0)

    async def write_many(
        self, sql: str, rows: Iterable[Params], *, durable: bool = False, timeout: float | None = None
    ) -> int:
        return sum(1 for params in rows if self._write(sql, params))

    async def write_script(self, sql: str, *, durable: bool = False, timeout: float | None = None) -> None:
        self._write(sql, ())

    def submit(self, sql: str, params: Params = ()) -> asyncio.Future[int | None]:
        future: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        future.set_result(self._write(sql, params))
        return future

    async def flush(self, *, timeout: float | None = None) -> None:
        self.check_writable()

    @asynccontextmanager
    async def transaction(self, *, durable: bool = False, timeout: float | None = None) -> AsyncIterator[Transaction]:
        before = len(self.written)
        try:
            yield self
        except BaseException:
            del self.written[before:]
            raise

    async def begin(self, *, durable: bool = False, timeout: float | None = None) -> Hold:
        return FakeHold(self, self._answers)

    @asynccontextmanager
    async def snapshot(self, *, timeout: float | None = None) -> AsyncIterator[Snapshot]:
        yield self

    async def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = 256, timeout: float | None = None
    ) -> AsyncIterator[Row]:
        for row in await self.read(sql, params):
            yield row

    def statistics(self) -> Statistics:
        return Statistics(
            pending=0,
            running=0,
            transaction_holder=None,
            readers=0,
            readers_busy=0,
            reads_pending=0,
            writes=len(self.written),
            write_errors=0,
            batches=len(self.written),
            largest_batch=1,
            mean_batch=1.0,
            batch_splits=0,
            queue_wait=0.0,
            queue_wait_max=0.0,
            reads=0,
            reader_wait_max=0.0,
        )

    async def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        self._is_closed = True


class FakeHold(FakeDatabase):
    """Writes at once, and takes it back."""

    def __init__(self, database: FakeDatabase, answers: Mapping[str, Sequence[Row]]) -> None:
        super().__init__(answers)
        self.written = database.written
        self.error: BaseException | None = None
        self._before = len(self.written)

    @property
    def alive(self) -> bool:
        return not self._is_closed

    async def commit(self) -> None:
        await self.close()

    async def rollback(self) -> None:
        del self.written[self._before :]
        await self.close()


def as_every_engine_is_used(db: FakeDatabase, row: FakeRow) -> tuple[Database, Row]:
    """What a type checker has to accept."""
    return db, row
