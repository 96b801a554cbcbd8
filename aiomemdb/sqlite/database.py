"""SQLiteDatabase: composes the rooms of this package and does no work of its own."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
import sqlite3
import tempfile
import threading
import time
import warnings
import weakref
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from functools import partial
from pathlib import Path
from threading import get_ident
from typing import Any, Self

import anyio

from ..concurrency.bell import call_on_loop
from ..concurrency.job import Operation
from ..config import Config, checked_timeout
from ..database import Database, Opened, Params
from ..errors import AiomemdbError, DatabaseClosed, WrongLoop
from ..familiar import DATABASE, Familiar
from ..values import Row, Statistics
from .connection.arguments import are_plain, checked_function, checked_params
from .connection.configuring import configure_reader, configure_writer
from .connection.connection import Connection, end_connections, forked_error
from .connection.immutable import way_to_read
from .file.files import FileIdentity, file_uri, prepare_file, why_not_opened
from .file.hazards import has_wal_reset_bug
from .file.turnstile import Turnstile
from .reading.backup import Cancelled, checked_backup_target, copy_database
from .reading.queries import ALL, FUNCTION_READ, Fetch, begin_snapshot
from .reading.readers import Readers
from .reading.snapshot import SQLiteSnapshot, open_snapshot
from .reading.stream import RowStream
from .reading.verbs import ReadVerbs
from .transaction import SQLiteTransaction, open_transaction
from .writing.checkpoints import CHECKPOINT, OPTIMIZE, VACUUM, Checkpointer
from .writing.session import FLUSH, WRITE, Session
from .writing.verbs import WriteVerbs
from .writing.writer import Writer

__all__ = ["SQLiteDatabase"]

log: logging.Logger = logging.getLogger("aiomemdb")

_LONG_CLOSE = 1.0  # seconds after which it is logged what close() waits for

_opened: weakref.WeakSet[SQLiteDatabase] = weakref.WeakSet()


class _NoWriter:
    """Stands for the writer where there is none, so that the hot path asks nothing more: every call looks closer."""

    open_thread = None
    stopped = None


class SQLiteDatabase(Opened, WriteVerbs, ReadVerbs, Familiar, Database):
    """One SQLite file; see ``aiomemdb.database.Database`` for the verbs. Made by ``aiomemdb.connect``."""

    _familiar = DATABASE

    def __init__(self, path: Path | None, config: Config) -> None:
        self._target = path
        self._config = config
        self._writer: Writer | _NoWriter = _NoWriter()
        self._readers: Readers | None = None
        self._read_thread: int | None = None  # as Writer.open_thread, for reads
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: int | None = None  # in which it was opened
        self._path: Path | None = None
        self._checkpointer: Checkpointer | None = None
        self._folder: str | None = None
        self._opening = False
        self._forked = False
        self._closing: asyncio.Task[None] | None = None
        self._backups: dict[Connection, threading.Event] = {}
        self._finalizer: weakref.finalize[Any, Any] | None = None

    def __repr__(self) -> str:
        if self._forked:
            state = "of the parent process"
        elif self._closing is not None:
            state = "closed" if self._closing.done() else "closing"
        elif self._readers is None:
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
        if self._opening:
            raise AiomemdbError("this database was opened before; make a new one with aiomemdb.connect(...)")
        self._opening = True
        self._loop, self._thread = loop, get_ident()
        config = self._config
        connections: list[Connection] = []
        try:
            if self._target is None:
                self._folder = tempfile.mkdtemp(prefix="aiomemdb-")
                self._target = Path(self._folder) / "memory.db"
            path = self._path = prepare_file(
                self._target, read_only=config.read_only, connections=1 + config.reader_count
            )
            names = [f"aiomemdb:{config.label}:reader-{n}" for n in range(1, config.reader_count + 1)]
            session: Session | None = None
            writing: Connection | None = None
            if not config.read_only:
                turnstile = Turnstile(path)
                writing = Connection(f"aiomemdb:{config.label}:writer", loop)
                writing.at_end = turnstile.end
                configure = partial(
                    configure_writer, config=config, path=path, turnstile=turnstile, given_up=writing.given_up
                )
                await writing.open(file_uri(path, read_only=False), configure)
                connections.append(writing)
                session = await writing.run(
                    lambda raw: Session(
                        raw,
                        FileIdentity(path),
                        turnstile,
                        full=config.durability == "full",
                        lock_timeout=config.lock_timeout,
                        max_value_bytes=config.max_value_bytes,
                    )
                )
                writing.at_end = session.end
            readers: list[Connection] = []
            uri, make = self._way_to_read = way_to_read(path, read_only=config.read_only)
            for name in names:
                reader = Connection(name, loop)
                configure = partial(configure_reader, config=config, path=path, given_up=reader.given_up)
                await reader.open(uri, configure, make)
                connections.append(reader)
                readers.append(reader)
            if writing is not None and session is not None:
                self._checkpointer = await writing.run(lambda _: Checkpointer(session))
                self._writer = Writer(writing, session, self._checkpointer, config)
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                # The writer last: only a connection that may write can empty the log and remove it.
                await end_connections(connections[1:])
                await end_connections(connections[:1])
            _remove(self._folder)
            if self._path is not None and (cause := why_not_opened(error, self._path)) is not None:
                raise cause from error
            raise
        # Those that a lone caller's work goes to; the others look each for itself.
        hot = [connection for connection in (writing, readers[-1]) if connection is not None]
        for reader in readers[:-1]:
            reader.look_after(hot)
        self._readers = Readers(readers, config, path)
        self._read_thread = get_ident()
        # Not a method of self: what the finalizer holds must not keep the handle alive. It also runs at exit.
        self._finalizer = weakref.finalize(self, _abandon, self._writer, connections, str(path), self._folder)
        _opened.add(self)
        return self

    async def close(self, timeout: float = 10.0, *, drain: bool = True) -> None:
        checked_timeout(timeout)
        if self._readers is None:  # never opened: nothing to close, and nothing to open afterwards
            self._opening = True
            return
        if self._forked or self._is_elsewhere():
            raise self._look()
        if self._closing is None:
            if isinstance(self._writer, Writer):
                self._writer.check_holder()
                self._writer.refuse_new()
            self._read_thread = None
            self._start_closing(timeout, drain)
        assert self._closing is not None
        # Whoever waits may be cancelled; the closing goes on.
        await asyncio.shield(self._closing)

    def _start_closing(self, timeout: float, drain: bool) -> None:
        def start_again_if_cancelled(closing: asyncio.Task[None]) -> None:
            if closing.cancelled():  # before its first step; it outlasts every later cancellation
                self._start_closing(timeout, drain)

        assert self._loop is not None
        name = f"aiomemdb:{self._config.label}:close"
        self._closing = self._loop.create_task(self._close(timeout, drain), name=name)
        self._closing.add_done_callback(start_again_if_cancelled)

    async def _close(self, timeout: float, drain: bool) -> None:
        assert self._readers is not None and self._loop is not None
        deadline = self._loop.time() + timeout
        late = self._loop.call_later(_LONG_CLOSE, self._log_long_close, timeout)
        # From the last to the first, each whatever those before it have raised.
        async with AsyncExitStack() as ends:
            ends.callback(late.cancel)
            ends.callback(self._let_go)
            ends.push_async_callback(self._end_threads, deadline)
            ends.push_async_callback(self._readers.close, deadline, drain=drain)
            if isinstance(self._writer, Writer):
                ends.callback(self._writer.give_up, "closed")
                ends.push_async_callback(self._writer.close, deadline, drain=drain)

    def _log_long_close(self, timeout: float) -> None:
        """So that a program that stands still after Ctrl-C says what it stands for."""
        assert self._readers is not None
        doing = self._writer.doing if isinstance(self._writer, Writer) else None
        what = doing or f"what {self._readers.busy} of its readers run"
        log.warning("%s: close() waits for %s, for up to %g s in all", self._path, what, timeout)

    async def _end_threads(self, deadline: float) -> None:
        assert self._readers is not None and self._loop is not None
        for cancelled in self._backups.values():
            cancelled.set()
        await end_connections([*self._readers.connections, *self._backups], deadline - self._loop.time())
        if isinstance(self._writer, Writer):
            self._writer.session.turnstile.end_by = time.monotonic() + (deadline - self._loop.time()) / 2
            # The last one: only a connection that may write can empty the log and remove it.
            await end_connections([self._writer.connection], deadline - self._loop.time())

    def _let_go(self) -> None:
        if self._finalizer is not None:
            self._finalizer.detach()
        _remove(self._folder)

    # Who may call

    def _is_elsewhere(self) -> bool:
        try:
            return asyncio.get_running_loop() is not self._loop
        except RuntimeError:
            return True

    def _look(self) -> Exception:
        """Why a call may not go on, where the one comparison of the hot path has failed."""
        if self._forked:
            return forked_error()
        if self._readers is None:
            return DatabaseClosed("not open yet: use `async with aiomemdb.connect(...) as db`, or `await` it")
        if self._is_elsewhere():
            return WrongLoop.of("this database", self._thread, "db.write(...)")
        return DatabaseClosed("the database is closing or closed")

    def _check(self) -> None:
        """For every verb that is not on the hot path."""
        if self._forked or self._readers is None or self._closing is not None:
            raise self._look()
        if get_ident() != self._read_thread or not self._readers.loop_is_running():
            raise self._look()

    def _writing(self) -> Writer:
        self._check()
        if isinstance(self._writer, Writer):
            return self._writer
        raise _read_only()

    def _reading(self) -> Readers:
        self._check()
        assert self._readers is not None
        return self._readers

    # Writes

    async def write(
        self, sql: str, params: Params = (), *, durable: bool = False, timeout: float | None = None
    ) -> int | None:
        writer = self._writer
        # The hot path: everything that can be wrong has voided open_thread. get_running_loop() costs 140 ns on
        # 3.11 (it asks for the process id); a thread runs one loop at a time, so these two (35 ns) say the same.
        if get_ident() != writer.open_thread or durable or timeout is not None or not writer.loop_is_running():
            return await WriteVerbs.write(self, sql, params, durable=durable, timeout=timeout)
        if params.__class__ is not tuple or not are_plain(map(type, params)):
            params = checked_params(params)
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
        self, operation: Operation, subject: Any, arguments: Any, durable: bool, timeout: float | None
    ) -> Any:
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
        return open_transaction(self._writing, durable=durable, timeout=checked_timeout(timeout))

    # Reads

    async def read(self, sql: str, params: Params = (), *, timeout: float | None = None) -> list[Row]:
        # The hot path, as that of write.
        readers = self._readers
        if get_ident() != self._read_thread or timeout is not None or params.__class__ is not tuple or readers is None:
            return await ReadVerbs.read(self, sql, params, timeout=timeout)
        if not readers.loop_is_running():
            raise self._look()
        if not are_plain(map(type, params)):
            params = checked_params(params)
        future = readers.ask(ALL, sql, params)
        try:
            rows: list[Row] = await future
        except asyncio.CancelledError:
            readers.interrupt(future)
            raise
        return rows

    def _read(self, fetch: Fetch, subject: Any, arguments: Any, timeout: float | None) -> Awaitable[Any]:
        readers = self._readers
        if readers is None or get_ident() != self._read_thread or not readers.loop_is_running():
            raise self._look()
        if timeout is not None:
            checked_timeout(timeout)
        return readers.read(fetch, subject, arguments, timeout)

    async def read_fn(self, fn: Callable[..., Any], *args: Any, timeout: float | None = None) -> Any:
        return await self._read(FUNCTION_READ, checked_function(fn, "read_fn"), args, timeout)

    def read_stream(
        self, sql: str, params: Params = (), *, chunk: int = 256, timeout: float | None = None
    ) -> RowStream:
        readers = self._reading()
        if not isinstance(chunk, int) or chunk < 1:
            raise ValueError(f"chunk={chunk!r}: a whole number of rows, at least 1")
        return RowStream(
            readers,
            sql,
            checked_params(params),
            chunk=chunk,
            timeout=checked_timeout(timeout),
            lock_timeout=self._config.lock_timeout,
        )

    def snapshot(self, *, timeout: float | None = None) -> AbstractAsyncContextManager[SQLiteSnapshot]:
        return open_snapshot(self._reading, timeout=checked_timeout(timeout), lock_timeout=self._config.lock_timeout)

    # Maintenance

    async def checkpoint(self) -> bool:
        complete: bool = await self._write(CHECKPOINT, None, (self._checkpointer,), False, None)
        return complete

    async def optimize(self) -> None:
        await self._write(OPTIMIZE, None, (self._checkpointer,), False, None)

    async def vacuum(self) -> None:
        await self._write(VACUUM, None, (self._checkpointer,), False, None)

    async def backup(
        self, path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None
    ) -> None:
        self._check()
        assert self._loop is not None and self._path is not None
        target = checked_backup_target(path)
        reader = Connection(f"aiomemdb:{self._config.label}:backup", self._loop)
        cancelled = self._backups[reader] = threading.Event()
        reader.stopped.add_done_callback(lambda _: self._backups.pop(reader, None))
        uri, make = self._way_to_read
        configure = partial(configure_reader, config=self._config, path=self._path, given_up=reader.given_up)
        await reader.open(uri, configure, make)

        def report(done: int, total: int) -> None:
            if progress is not None:
                reader.deliver(progress, done, total)

        def copy(raw: Any) -> None:
            begin_snapshot(raw)
            copy_database(raw, target, report, cancelled)

        copying = reader.submit(copy)
        reader.stop()  # posted behind the copy: the thread ends however often its caller is cancelled
        try:
            await asyncio.shield(copying)
        except Cancelled:
            raise DatabaseClosed("closed before the backup was done; nothing of it is left") from None
        except asyncio.CancelledError:
            cancelled.set()
            copying.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody hears it any more
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([copying, reader.stopped])
                reader.join(0.5)

    def statistics(self) -> Statistics:
        if self._forked or self._readers is None:
            raise self._look()
        writer, readers, checkpointer = self._writer, self._readers, self._checkpointer
        written = writer if isinstance(writer, Writer) else None
        batches = written.batches if written else 0
        return Statistics(
            pending=len(written.queue) if written else 0,
            running=written.running if written else 0,
            transaction_holder=written.transaction_holder if written else None,
            readers=len(readers.connections),
            readers_busy=readers.busy,
            reads_pending=readers.pending,
            wal_bytes=written.session.identity.wal_bytes if written else 0,
            writes=written.writes if written else 0,
            write_errors=written.write_errors if written else 0,
            batches=batches,
            largest_batch=written.largest_batch if written else 0,
            mean_batch=(written.writes + written.write_errors) / batches if written and batches else 0.0,
            batch_splits=written.batch_splits if written else 0,
            queue_wait=written.queue_wait if written else 0.0,
            queue_wait_max=written.queue_wait_max if written else 0.0,
            reads=readers.reads,
            reader_wait_max=readers.reader_wait_max,
            checkpoints=checkpointer.checkpoints if checkpointer else 0,
            checkpoint_failures=checkpointer.failures if checkpointer else 0,
            checkpoint_error=checkpointer.error if checkpointer else None,
            lock_wait=written.session.turnstile.waited if written else 0.0,
            lock_wait_max=written.session.turnstile.waited_max if written else 0.0,
            foreign_writers=written.session.foreign_writers if written else 0,
            wal_reset_bug=has_wal_reset_bug(),
        )

    # Forks

    def _in_child(self) -> None:
        """In a forked child: every use is an error; see connection.py for what the child must not touch."""
        self._forked = True
        self._read_thread = None
        if isinstance(self._writer, Writer):
            self._writer.leave_to_parent()
        if self._finalizer is not None:
            self._finalizer.detach()


def _read_only() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("attempt to write a readonly database")
    error.sqlite_errorcode = sqlite3.SQLITE_READONLY
    error.sqlite_errorname = "SQLITE_READONLY"
    error.add_note("it was opened with connect(read_only=True)")
    return error


def _abandon(writer: Writer | _NoWriter, connections: list[Connection], path: str, folder: str | None) -> None:
    """The handle was collected, or the interpreter exits, without close. No acknowledged write can be lost: they
    are committed. What was submitted still runs, if the loop does; the threads end by themselves."""

    def end(*_: object) -> None:
        for connection in connections:
            connection.stop()
        _remove(folder)

    if not isinstance(writer, Writer):
        end()
    elif not (writer.loop_is_running() and call_on_loop(writer.loop, writer.abandon, end)):
        writer.fail_rest("the database was collected without close()")
        end()
    # Last, since a warning may be an error.
    warnings.warn(
        f"{path} was not closed: use `async with aiomemdb.connect(...)`, or `await db.close()`",
        ResourceWarning,
        stacklevel=2,
    )


def _remove(folder: str | None) -> None:
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)


def _after_fork_in_child() -> None:
    for database in list(_opened):
        database._in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
