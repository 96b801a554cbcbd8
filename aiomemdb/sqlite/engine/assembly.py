"""Assembly: what an open database is made of; opened in order, closed from the last to the first."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from threading import get_ident

import anyio

from ...concurrency.bell import call_on_loop
from ...concurrency.worker import end_workers, join_at_exit
from ...observing import Observers
from ..agents.agents import Agents
from ..common.options import SQLiteConfig
from ..common.recorder import Recorder
from ..connection.configuring import configure_writer
from ..connection.connection import Connection
from ..connection.settings import Setting, Settings
from ..file.files import FileIdentity, file_uri, prepare_file, why_not_opened
from ..file.turnstile import Turnstile
from ..reading.backup import back_up
from ..reading.opening import ReaderOpener
from ..reading.readers import Readers
from ..writing.checkpoints import Checkpointer
from ..writing.session import Session
from ..writing.writer import Writer
from .watcher import Watcher

__all__ = ["Assembly"]

log: logging.Logger = logging.getLogger("aiomemdb")

_LONG_CLOSE = 1.0  # seconds after which it is logged what close() waits for


class Assembly:
    """The file, the connections, the writer and the readers of one open database.

    Attributes:
        thread: in which it was opened.
        path: the file; known once ``open`` has returned, as the readers are, and those of agents.
        writer: None where the file is opened for reading alone.
        observers: what is told of all that happens.
        recorder: what reports them, and counts.
    """

    path: Path
    readers: Readers
    agents: Agents
    watcher: Watcher
    _opener: ReaderOpener

    def __init__(self, target: Path | None, config: SQLiteConfig, loop: asyncio.AbstractEventLoop) -> None:
        self._target = target
        self._config = config
        self.loop: asyncio.AbstractEventLoop = loop
        self.thread: int = get_ident()
        self.writer: Writer | None = None
        self.observers: Observers = Observers()
        self.recorder: Recorder = Recorder(self.observers)
        self._settings = Settings()
        self._backups: dict[Connection, threading.Event] = {}
        self._connections: list[Connection] = []
        self._folder: str | None = None

    async def open(self) -> None:
        """Opens all of it or, where that raises, nothing."""
        config = self._config
        path: Path | None = None
        try:
            if self._target is None:
                self._folder = tempfile.mkdtemp(prefix="aiomemdb-")
                self._target = Path(self._folder) / "memory.db"
            self.path = path = prepare_file(self._target, read_only=config.read_only)
            writing = None if config.read_only else await self._open_writing()
            self._opener = ReaderOpener(path, config, self._settings, self.loop)
            first = self._opener.make("reader-1")
            await self._opener.open(first)
            self._connections.append(first)
            if writing is not None:
                connection, session = writing
                checkpointer = await connection.run(lambda _: Checkpointer(session))
                self.writer = Writer(connection, session, checkpointer, config)
                self.observers.on_change.append(partial(self._observe, self.writer))
        except BaseException as error:
            with anyio.CancelScope(shield=True):
                # The writer last: only a connection that may write can empty the log and remove it.
                await end_workers(self._connections[1:])
                await end_workers(self._connections[:1])
            self._remove_folder()
            if path is not None and (cause := why_not_opened(error, path)) is not None:
                raise cause from error
            raise
        self.readers = Readers(first, self._opener, config, path, self.recorder)
        writing_on = None if self.writer is None else self.writer.connection
        self.watcher = Watcher(self.loop, path, self.observers, writing_on)
        self.agents = Agents(self._opener, self.loop, path, self.observers)

    async def _open_writing(self) -> tuple[Connection, Session]:
        config, path = self._config, self.path
        turnstile = Turnstile(path)
        connection = Connection(f"aiomemdb:{config.label}:writer", self.loop)
        connection.at_end = turnstile.end
        self.recorder.deliver = connection.deliver
        configure = partial(
            configure_writer, config=config, path=path, turnstile=turnstile, given_up=connection.given_up
        )
        await connection.open(file_uri(path, read_only=False), configure)
        self._connections.append(connection)
        session = await connection.run(
            lambda raw: Session(
                raw,
                FileIdentity(path),
                turnstile,
                full=config.durability == "full",
                lock_timeout=config.lock_timeout,
                max_value_bytes=config.max_value_bytes,
                recorder=self.recorder,
            )
        )
        connection.at_end = session.end
        return connection, session

    def _observe(self, writer: Writer, is_observed: bool) -> None:
        """Where none observes it, a job pays nothing for that."""
        append = writer.queue.append
        writer.enqueue = partial(self.recorder.enqueue, append) if is_observed else append

    def set(self, setting: Setting) -> None:
        """See connection/settings.py."""
        if not self._settings.make(setting):
            return
        writing = [] if self.writer is None else [self.writer.connection]
        for connection in [*writing, *self.readers.threads]:
            connection.post(partial(self._catch_up, connection))
        for connection in self.readers.connections:
            connection.raw.behind = True

    def _catch_up(self, connection: Connection) -> None:
        """On the connection's thread."""
        if connection.is_connected:
            self._settings.catch_up(connection.raw)

    async def back_up(self, target: Path, progress: Callable[[int, int], object] | None) -> None:
        reader = self._opener.make("backup")
        cancelled = self._backups[reader] = threading.Event()
        reader.stopped.add_done_callback(lambda _: self._backups.pop(reader, None))
        await self._opener.open(reader)
        await back_up(reader, target, progress, cancelled)

    async def close(self, timeout: float, *, drain: bool) -> None:
        deadline = self.loop.time() + timeout
        late = self.loop.call_later(_LONG_CLOSE, self._log_long_close, timeout)
        # From the last to the first, each whatever those before it have raised.
        async with AsyncExitStack() as ends:
            ends.callback(late.cancel)
            ends.callback(self._remove_folder)
            ends.push_async_callback(self._end_threads, deadline)
            ends.push_async_callback(self.readers.close, deadline, drain=drain)
            ends.callback(self.watcher.close)
            ends.push_async_callback(self.agents.close, deadline)
            if self.writer is not None:
                ends.callback(self.writer.give_up, "closed")
                ends.push_async_callback(self.writer.close, deadline, drain=drain)

    def _log_long_close(self, timeout: float) -> None:
        """So that a program that stands still after Ctrl-C says what it stands for."""
        doing = self.writer.doing if self.writer is not None else None
        what = doing or f"what {self.readers.busy} of its readers run"
        log.warning("%s: close() waits for %s, for up to %g s in all", self.path, what, timeout)

    async def _end_threads(self, deadline: float) -> None:
        for cancelled in self._backups.values():
            cancelled.set()
        await end_workers([*self.readers.threads, *self.agents.threads, *self._backups], deadline - self.loop.time())
        if self.writer is not None:
            self.writer.session.turnstile.end_by = time.monotonic() + (deadline - self.loop.time()) / 2
            # The last one: only a connection that may write can empty the log and remove it.
            await end_workers([self.writer.connection], deadline - self.loop.time())

    def abandon(self) -> None:
        """Ends it without a caller that could wait: its handle was collected, or the interpreter exits, without close.

        No acknowledged write can be lost: they are committed. What was submitted still runs, if the loop does; the
        threads end by themselves.
        """

        def end(*_: object) -> None:
            if writer is not None:
                writer.connection.stop()
            self.readers.stop()
            self.agents.stop()
            join_at_exit(
                [*self.readers.threads, *self.agents.threads, *([] if writer is None else [writer.connection])]
            )
            self._remove_folder()

        writer = self.writer
        if writer is None:
            end()
        elif not (writer.loop_is_running() and call_on_loop(self.loop, writer.abandon, end)):
            writer.give_up("the database was collected without close()")
            end()
        # Last, since a warning may be an error.
        warnings.warn(
            f"{self.path} was not closed: use `async with aiomemdb.connect(...)`, or `await db.close()`",
            ResourceWarning,
            stacklevel=2,
        )

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
