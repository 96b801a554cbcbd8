"""SQLiteDatabase: the verbs, and who may call them."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from threading import get_ident
from typing import Self, TypeGuard, TypeVar, TypeVarTuple

import anyio

from ...concurrency.job import Operation
from ...concurrency.worker import forked_error
from ...config import checked_timeout
from ...database import Database, Opened, Params, Transaction
from ...errors import AiomemdbError, DatabaseClosed, WrongLoop
from ...familiar import DATABASE, Familiar
from ...observing import Closed, Observer, opened
from ...values import Row
from ..common.errors import read_only_error
from ..common.options import SQLiteConfig
from ..connection.arguments import PLAIN, checked_function, checked_params
from ..connection.settings import Setting
from ..reading.queries import ALL, FUNCTION_READ, Fetch
from ..reading.readers import Readers
from ..reading.snapshot import SQLiteSnapshot, open_snapshot
from ..reading.stream import SQLiteRowStream
from ..reading.verbs import ReadVerbs
from ..writing.operations import FLUSH, WRITE
from ..writing.verbs import WriteVerbs
from ..writing.writer import Writer
from .agent_verbs import AgentVerbs
from .assembly import Assembly
from .change_verbs import ChangeVerbs
from .maintenance import MaintenanceVerbs
from .statistics import SQLiteStatistics, statistics_of
from .transaction import SQLiteHold, SQLiteTransaction, TransactionBlock, begin

__all__ = ["SQLiteDatabase"]

A = TypeVar("A")
R = TypeVar("R")
S = TypeVar("S")
Ts = TypeVarTuple("Ts")

_opened: weakref.WeakSet[SQLiteDatabase] = weakref.WeakSet()


class _Nothing:
    """Stands for the writer, or the readers, where there are none. So the hot path asks nothing more: each call looks
    closer.
    """

    open_thread = None


class SQLiteDatabase(Opened, WriteVerbs, ReadVerbs, MaintenanceVerbs, AgentVerbs, ChangeVerbs, Familiar, Database):
    """One SQLite file. Made by ``aiomemdb.connect``.

    The verbs of ``aiomemdb.Database``, and what SQLite has beside them: ``write_fn`` and ``read_fn``, which run a
    function of yours on a connection; ``backup``, ``checkpoint``, ``optimize`` and ``vacuum``. Errors of SQL are
    ``sqlite3.Error``. ``write_fn(once=True)`` has a COMMIT of its own, as a ``transaction()`` has. A parameter that is
    an object is stored as its adapter says (``sqlite3.register_adapter``).
    """

    _familiar = DATABASE

    def __init__(self, path: Path | None, config: SQLiteConfig) -> None:
        self._target = path
        self._config = config
        self._writer: Writer | _Nothing = _Nothing()
        self._readers: Readers | _Nothing = _Nothing()
        self._assembly: Assembly | None = None
        self._is_used = False
        self._forked = False
        self._closing: asyncio.Task[None] | None = None
        self._finalizer: weakref.finalize[[], SQLiteDatabase] | None = None

    def __repr__(self) -> str:
        if self._forked:
            state = "of the parent process"
        elif self._closing is not None:
            state = "closed" if self._closing.done() else "closing"
        elif self._assembly is None:
            state = "not open"
        else:
            state = f"{self._writer!r} {self._readers!r}"
        return f"<aiomemdb {str(self._target) if self._target else ':memory:'} {state}>"

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
        if assembly.writer is not None:
            self._writer = assembly.writer
        self._readers = assembly.readers
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
            if isinstance(self._writer, Writer):
                self._writer.check_holder()
                self._writer.refuse_new()
            self._assembly.readers.refuse_new()
            self._assembly.agents.refuse_new()
            self._start_closing(self._assembly, timeout, drain)
        assert self._closing is not None
        # The caller that waits may be cancelled; the closing goes on.
        await asyncio.shield(self._closing)

    def _start_closing(self, assembly: Assembly, timeout: float, drain: bool) -> None:
        def start_again_if_cancelled(closing: asyncio.Task[None]) -> None:
            if closing.cancelled():  # before its first step; it outlasts every later cancellation
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
        """Why a call may not go on, where the one comparison of the hot path has failed."""
        if self._forked:
            return forked_error()
        if self._assembly is None:
            return DatabaseClosed("not open yet: use `async with aiomemdb.connect(...) as db`, or `await` it")
        if self._is_elsewhere():
            return WrongLoop.of("this database", self._assembly.thread, "db.write(...)")
        return DatabaseClosed("the database is closing or closed")

    def _check(self) -> None:
        """For every verb that is not on the hot path."""
        assembly = self._assembly
        if self._forked or assembly is None or self._closing is not None:
            raise self._look()
        if get_ident() != assembly.thread or not assembly.loop.is_running():
            raise self._look()

    def _writing(self) -> Writer:
        self._check()
        if isinstance(self._writer, Writer):
            return self._writer
        raise read_only_error()

    def _reading(self) -> Readers:
        self._check()
        assert isinstance(self._readers, Readers)
        return self._readers

    def _both(self) -> tuple[Writer, Readers]:
        writer, readers = self._writing(), self._readers
        assert isinstance(readers, Readers)
        return writer, readers

    # Writes

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        writer = self._writer
        # The hot path: everything that can be wrong has voided open_thread. get_running_loop() costs 140 ns on
        # 3.11 (it asks for the process id); a thread runs one loop at a time, so these two (35 ns) say the same.
        if get_ident() != writer.open_thread or durable or timeout is not None or not writer.loop_is_running():
            return await WriteVerbs.write(self, sql, params, durable=durable, timeout=timeout)
        if params.__class__ is not tuple:
            params = checked_params(params)
        else:
            for value in params:  # a loop here, not a call: 3 % of the storm for the few values of a row
                if type(value) not in PLAIN:
                    params = checked_params(params)
                    break
        future: asyncio.Future[int | None] = writer.create_future()
        writer.enqueue((future, WRITE, sql, params))
        if writer.idle:
            writer.wake()
        try:
            return await future
        except asyncio.CancelledError:
            writer.queue.caller_left()
            raise

    async def _write(
        self, operation: Operation[R], subject: object, arguments: object, durable: bool, timeout: float | None
    ) -> R:
        writer = self._writing()
        try:
            return await writer.put(operation, subject, arguments, durable=durable, timeout=timeout)
        except asyncio.CancelledError:
            writer.queue.caller_left()
            raise

    def submit(self, sql: str, params: Params = ()) -> asyncio.Future[int | None]:
        writer = self._writing()
        params = checked_params(params)
        writer.queue.check_room()
        return writer.put(WRITE, sql, params)

    def check_writable(self) -> None:
        self._writing().check()

    async def flush(self, *, timeout: float | None = None) -> None:
        await self._write(FLUSH, None, None, True, checked_timeout(timeout))

    def transaction(
        self, *, durable: bool = False, timeout: float | None = None
    ) -> AbstractAsyncContextManager[SQLiteTransaction]:
        timeout = None if timeout is None else checked_timeout(timeout)
        return TransactionBlock(self._both, durable=durable, timeout=timeout)

    async def begin(
        self, *, durable: bool = False, timeout: float | None = None, foreign_keys: bool | None = None
    ) -> SQLiteHold:
        """As ``Database.begin``; ``foreign_keys`` says whether this transaction checks them. None: as ``pragmas`` does.

        Each change has the statements compiled anew.
        """
        if foreign_keys is not None and not isinstance(foreign_keys, bool):
            raise TypeError(f"foreign_keys={foreign_keys!r}: True, False or None")
        timeout = checked_timeout(timeout)
        return await begin(self._writing(), durable=durable, timeout=timeout, foreign_keys=foreign_keys)

    def _is_mine(self, tx: Transaction) -> TypeGuard[SQLiteTransaction]:
        """For rooms of this package."""
        writer = self._writer
        return isinstance(tx, SQLiteTransaction) and isinstance(writer, Writer) and tx._hold.session is writer.session

    # Reads

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        # The hot path, as that of write.
        readers = self._readers
        if get_ident() != readers.open_thread or timeout is not None or params.__class__ is not tuple:
            return await ReadVerbs.read(self, sql, params, timeout=timeout)
        if not readers.loop_is_running():
            raise self._look()
        for value in params:
            if type(value) not in PLAIN:
                params = checked_params(params)
                break
        future = readers.ask(ALL, sql, params)
        try:
            return await future
        except asyncio.CancelledError:
            readers.interrupt(future)
            raise

    def _read(self, fetch: Fetch[S, A, R], subject: S, arguments: A, timeout: float | None) -> Awaitable[R]:
        readers = self._readers
        if get_ident() != readers.open_thread or not readers.loop_is_running():
            readers = self._reading()  # or raises why not
        if timeout is not None:
            checked_timeout(timeout)
        return readers.read(fetch, subject, arguments, timeout)

    async def read_fn(self, fn: Callable[[sqlite3.Connection, *Ts], R], *args: *Ts, timeout: float | None = None) -> R:
        return await self._read(FUNCTION_READ, checked_function(fn, "read_fn"), args, timeout)

    def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = 256, timeout: float | None = None
    ) -> SQLiteRowStream:
        readers = self._reading()
        if not isinstance(chunk, int) or chunk < 1:
            raise ValueError(f"chunk={chunk!r}: a whole number of rows, at least 1")
        return SQLiteRowStream(
            readers,
            sql,
            checked_params(params),
            chunk=chunk,
            timeout=checked_timeout(timeout),
            lock_timeout=self._config.lock_timeout,
        )

    def snapshot(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[SQLiteSnapshot]:
        return open_snapshot(self._reading, timeout=checked_timeout(timeout), lock_timeout=self._config.lock_timeout)

    def statistics(self) -> SQLiteStatistics:
        if self._forked or not isinstance(self._readers, Readers):
            raise self._look()
        assert self._assembly is not None
        writer = self._writer if isinstance(self._writer, Writer) else None
        return statistics_of(self._assembly.recorder, self._readers, writer)

    def _observe(self, observer: Observer) -> Callable[[], None]:
        """See ``aiomemdb.observing``."""
        self._check()
        assert self._assembly is not None
        return self._assembly.observers.add(observer)

    @property
    def _observed_as(self) -> Mapping[str, str]:
        """See ``aiomemdb.observing``."""
        return {"db.system.name": "sqlite", "db.namespace": str(self._target or ":memory:")}

    def _set(self, setting: Setting) -> None:
        """See ``aiomemdb.sqlite.connection.settings``."""
        self._check()
        assert self._assembly is not None
        self._assembly.set(setting)

    # Forks

    def _in_child(self) -> None:
        """In a forked child: every use is an error; Connection.leave_to_parent says what the child must not touch."""
        self._forked = True
        if isinstance(self._readers, Readers):
            self._readers.refuse_new()
        if isinstance(self._writer, Writer):
            self._writer.leave_to_parent()
        if self._finalizer is not None:
            self._finalizer.detach()


def _after_fork_in_child() -> None:
    for database in list(_opened):
        database._in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
