"""PostgresDatabase: the verbs, and the checks of their callers."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from threading import get_ident
from typing import Self, TypeGuard, TypeVar

import anyio

from ..concurrency.job import Operation
from ..config import checked_timeout
from ..database import Database, Opened, Params, Transaction
from ..errors import AiomemdbError, DatabaseClosed, ForkedError, WrongLoop
from ..familiar import POSTGRES, Familiar
from ..observing import Closed, Observer, opened
from .assembly import Assembly
from .driver import checked_conninfo, psycopg, without_password
from .granting import Granting
from .hold import ISOLATIONS, Isolation
from .operations import FLUSH, WRITE, Checker, Work, checked_params
from .options import PostgresConfig
from .reading import Fetch, Readers
from .snapshot import PostgresSnapshot, open_snapshot
from .statistics import PostgresStatistics
from .stream import PostgresRowStream
from .transaction import PostgresHold, PostgresTransaction, TransactionBlock, begin
from .verbs import ReadVerbs, WriteVerbs
from .writer import Writer

__all__ = ["PostgresDatabase"]

R = TypeVar("R")

_opened: weakref.WeakSet[PostgresDatabase] = weakref.WeakSet()


class PostgresDatabase(Opened, WriteVerbs, ReadVerbs, Familiar, Database):
    """One database of a PostgreSQL server. Made by ``aiomemdb.connect``.

    The verbs of ``aiomemdb.Database``. SQL is the server's own, with ``$1, $2, …`` for parameters, which are a
    sequence. Errors of SQL are ``psycopg.Error``: they have ``sqlstate``, and always mean *not applied*.

    ``write`` returns the first column of the first row of its RETURNING, where that is an int, else None.
    ``transaction()`` has a connection of its own: other jobs are written meanwhile.
    """

    _familiar = POSTGRES

    def __init__(self, target: str, config: PostgresConfig) -> None:
        for url in (target, *config.replicas):
            checked_conninfo(url)
        self._target = target
        self._config = config
        self._check_with = Checker(config.max_value_bytes)
        self._assembly: Assembly | None = None
        self._is_used = False
        self._forked = False
        self._closing: asyncio.Task[None] | None = None
        self._finalizer: weakref.finalize[[], PostgresDatabase] | None = None

    def __repr__(self) -> str:
        if self._forked:
            state = "of the parent process"
        elif self._closing is not None:
            state = "closed" if self._closing.done() else "closing"
        elif self._assembly is None:
            state = "not open"
        else:
            state = f"{self._assembly.writer!r} {self._assembly.readers!r}"
        return f"<aiomemdb {without_password(self._target)} {state}>"

    @property
    def _checker(self) -> Checker:
        return self._check_with

    # Open and close

    async def __aexit__(self, *exc_info: object) -> None:
        if self._forked:  # its block is the parent's to end
            return
        with anyio.CancelScope(shield=True):
            await self.close()

    async def _open(self) -> Self:
        if self._forked:
            raise self._look()
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            raise WrongLoop(
                "aiomemdb runs on asyncio (uvloop included); there is no asyncio loop here. In anyio programs use the "
                'asyncio backend: anyio.run(main, backend="asyncio"); trio is not supported'
            ) from None
        if self._is_used:
            raise AiomemdbError("this database was opened before; make a new one with aiomemdb.connect(...)")
        self._is_used = True
        assembly = Assembly(self._target, self._config, loop)
        await assembly.open()
        self._assembly = assembly
        # Not a method of self: what the finalizer holds must not keep the handle alive. It also runs at exit.
        self._finalizer = weakref.finalize(self, assembly.abandon)
        _opened.add(self)
        opened(self)
        return self

    async def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        checked_timeout(timeout)
        if self._assembly is None:  # never opened: nothing to close, and nothing to open afterwards
            self._is_used = True
            return
        if self._forked or self._is_elsewhere():
            raise self._look()
        if self._closing is None:
            if self._assembly.holds is not None:
                self._assembly.holds.check_caller()
            self._assembly.refuse_new()
            self._start_closing(self._assembly, timeout, drain)
        assert self._closing is not None
        # The caller that waits may be cancelled; the closing goes on.
        await asyncio.shield(self._closing)

    def _start_closing(self, assembly: Assembly, timeout: float, drain: bool) -> None:
        def start_again_if_cancelled(closing: asyncio.Task[None]) -> None:
            if closing.cancelled():
                self._start_closing(assembly, timeout, drain)

        name = f"aiomemdb:{self._config.label}:close"
        self._closing = assembly.loop.create_task(self._close(assembly, timeout, drain), name=name)
        self._closing.add_done_callback(start_again_if_cancelled)

    async def _close(self, assembly: Assembly, timeout: float, drain: bool) -> None:
        try:
            await assembly.close(timeout, drain=drain)
        finally:
            if self._finalizer is not None:
                self._finalizer.detach()
            assembly.observers.tell(Closed())

    # Who may call

    def _is_elsewhere(self) -> bool:
        assert self._assembly is not None
        try:
            return asyncio.get_running_loop() is not self._assembly.loop
        except RuntimeError:
            return True

    def _look(self) -> Exception:
        """Why a call may not go on."""
        if self._forked:
            return ForkedError(
                "this database was opened in the parent process, and a forked child can't use its connections; open it "
                "anew there"
            )
        if self._assembly is None:
            return DatabaseClosed("not open yet: use `async with aiomemdb.connect(...) as db`, or `await` it")
        if self._is_elsewhere():
            return WrongLoop.of("this database", self._assembly.thread, "db.write(...)")
        return DatabaseClosed("the database is closing or closed")

    def _check(self) -> None:
        assembly = self._assembly
        if self._forked or assembly is None or self._closing is not None:
            raise self._look()
        if get_ident() != assembly.thread or not assembly.loop.is_running():
            raise self._look()

    def _opened_one(self) -> Assembly:
        self._check()
        assert self._assembly is not None
        return self._assembly

    def _writing(self) -> Writer:
        writer = self._opened_one().writer
        if writer is None:
            raise _read_only_error()
        return writer

    def _holding(self) -> tuple[Granting, Checker]:
        writer, holds = self._writing(), self._opened_one().holds
        writer.check()
        assert holds is not None
        return holds, self._check_with

    def _reading(self) -> Readers:
        return self._opened_one().readers

    # Writes

    async def _write(self, operation: Operation[R], work: Work, durable: bool, timeout: float | None) -> R:
        writer = self._writing()
        try:
            return await writer.put(operation, work, durable=durable, timeout=timeout)
        except asyncio.CancelledError:
            writer.queue.caller_left()
            raise

    def submit(self, sql: str, params: Params = ()) -> asyncio.Future[int | None]:
        writer = self._writing()
        work = self._one(sql, params, WRITE)
        writer.queue.check_room()
        return writer.put(WRITE, work)

    def check_writable(self) -> None:
        self._writing().check()

    async def flush(self, *, timeout: float | None = None) -> None:
        await self._write(FLUSH, (), True, checked_timeout(timeout))

    def transaction(
        self, *, isolation: Isolation = "read committed", durable: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[PostgresTransaction]:
        """As ``Database.transaction``, on a connection of its own.

        Args:
            isolation: "read committed": each step sees what is committed when it begins. "repeatable read": all steps
                see one state. "serializable": it commits only if it would have come out the same alone.
            durable: whether all of it is on stable storage when the block has ended.
            timeout: seconds to wait for a connection.

        Raises:
            TransactionConflict: another transaction was in the way: run the block again.
        """
        return TransactionBlock(
            self._holding,
            isolation=_checked_isolation(isolation),
            durable=durable,
            timeout=checked_timeout(timeout),
        )

    async def begin(
        self, *, isolation: Isolation = "read committed", durable: bool = False, timeout: float | None = None
    ) -> PostgresHold:
        """As ``Database.begin``; ``isolation`` as for ``transaction``."""
        holds, checker = self._holding()
        isolation = _checked_isolation(isolation)
        return await begin(holds, checker, isolation=isolation, durable=durable, timeout=timeout)

    def _is_mine(self, tx: Transaction) -> TypeGuard[PostgresTransaction]:
        """For rooms of this package."""
        return (
            isinstance(tx, PostgresTransaction)
            and self._assembly is not None
            and tx._hold.holds is self._assembly.holds
        )

    # Reads

    def _read(self, fetch: Fetch[R], work: Work, timeout: float | None) -> Awaitable[R]:
        return self._reading().read(fetch, work, timeout)

    def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = 256, timeout: float | None = None
    ) -> PostgresRowStream:
        readers = self._reading()
        if not isinstance(chunk, int) or isinstance(chunk, bool) or chunk < 1:
            raise ValueError(f"chunk={chunk!r}: a whole number of rows, at least 1")
        work = self._check_with.one(sql, checked_params(params), None)
        return PostgresRowStream(readers, work, chunk=chunk, timeout=checked_timeout(timeout))

    def snapshot(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[PostgresSnapshot]:
        return open_snapshot(lambda: (self._reading(), self._check_with), timeout=checked_timeout(timeout))

    def _bare_snapshot(self) -> AbstractAsyncContextManager[PostgresSnapshot]:
        """A snapshot that begins with its first query, and in which one that fails is the last: a third of the
        statements. For rooms of this package.
        """
        return open_snapshot(lambda: (self._reading(), self._check_with), timeout=None, bare=True)

    def statistics(self) -> PostgresStatistics:
        if self._forked or self._assembly is None:
            raise self._look()
        return self._assembly.statistics()

    def _observe(self, observer: Observer) -> Callable[[], None]:
        """See ``aiomemdb.observing``."""
        return self._opened_one().observers.add(observer)

    @property
    def _observed_as(self) -> Mapping[str, str]:
        """See ``aiomemdb.observing``."""
        names = {"dbname": "db.namespace", "host": "server.address"}
        said = checked_conninfo(self._target)
        return {"db.system.name": "postgresql"} | {names[key]: str(said[key]) for key in names if said.get(key)}

    # Forks

    def _in_child(self) -> None:
        """In a forked child: every use is an error, and nothing goes through the parent's connections."""
        self._forked = True
        if self._assembly is not None:
            self._assembly.leave_to_parent()
        if self._finalizer is not None:
            self._finalizer.detach()


def _checked_isolation(isolation: str) -> Isolation:
    if isolation not in ISOLATIONS:
        raise ValueError(f"isolation={isolation!r}: {', '.join(map(repr, ISOLATIONS))}")
    return isolation  # type: ignore[return-value]


def _read_only_error() -> psycopg.Error:
    """The driver's own, for a write in a database that was opened for reading alone."""
    error = psycopg.errors.ReadOnlySqlTransaction("cannot write in a database that is opened for reading alone")
    error.add_note("it was opened with connect(read_only=True)")
    return error


def _after_fork_in_child() -> None:
    for database in list(_opened):
        database._in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
