"""How readers are opened: one with the database, the others when they are first needed.

A database that is read by one caller at a time needs one reader: 10 descriptors in all, and 2 threads. So a process may
have a hundred of them open. A reader that can't be opened later (there are too many files, the
function ``prepare`` raises) leaves the work to those that are there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any  # as sqlite3.connect takes it

from ...errors import DatabaseReplaced
from ..common.options import SQLiteConfig
from ..connection.configuring import configure_reader
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..connection.immutable import way_to_read
from ..connection.settings import Settings
from ..file.files import KnownFiles, why_not_opened

__all__ = ["MoreReaders", "ReaderOpener"]

log: logging.Logger = logging.getLogger("aiomemdb")

# Seconds that something waits for a reader before another is opened: one that is about to come back serves it sooner.
_SOON = 0.002
# Seconds from an opening that failed to the next one.
_OPEN_AGAIN = 1.0


class ReaderOpener:
    """Opens read-only connections, on the file that the first of them was opened on and on no other."""

    def __init__(self, path: Path, config: SQLiteConfig, settings: Settings, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self.settings: Settings = settings
        self._config = config
        self._loop = loop
        self._uri, self._make = way_to_read(path, read_only=config.read_only)
        self._files: KnownFiles | None = None

    def make(self, role: str) -> Connection:
        """Returns a connection that is not open yet; ``role`` names its thread."""
        return Connection(f"aiomemdb:{self._config.label}:{role}", self._loop)

    async def open(self, connection: Connection, *, keeps_statements: bool = True) -> None:
        """Opens it.

        Args:
            keeps_statements: whether what was compiled is kept for the next call of the same text.

        Raises:
            DatabaseReplaced: it would be another file.
            BaseException: whatever opening and ``prepare`` raise.

        Cancellation: nothing is left.
        """
        make = self._make if keeps_statements else partial(_without_statements, self._make)
        try:
            await connection.open(self._uri, partial(self._configure, connection), make)
        except Exception as error:
            if (cause := self.why(error)) is not error:
                raise cause from error
            raise

    def begin(self, connection: Connection) -> asyncio.Future[None]:
        """As ``open``, without a task that could be cancelled; the caller stops it where it fails."""
        return connection.begin(self._uri, partial(self._configure, connection), self._make)

    def why(self, error: BaseException) -> BaseException:
        """What SQLite does not say of the error: which file it was about, and what has become of that."""
        try:
            if self._files is not None:
                self._files.look()
        except DatabaseReplaced as replaced:
            return replaced
        return why_not_opened(error, self._path) or error

    def _configure(self, connection: Connection, raw: GuardedConnection) -> None:
        """On the connection's thread."""
        if self._files is not None:
            self._files.look()  # before anything of it is read
        configure_reader(raw, config=self._config, path=self._path, given_up=connection.given_up)
        self.settings.catch_up(raw)
        if self._files is None:
            self._files = KnownFiles(self._path)
        self._files.look()


def _without_statements(make: Callable[..., GuardedConnection], *args: Any, **options: Any) -> GuardedConnection:
    return make(*args, **{**options, "cached_statements": 0})


class MoreReaders:
    """Opens one reader after another, on the loop of those that need them.

    Attributes:
        connections: those that are being opened, and those that could not be and end.
        error: why the latest could not be opened, or None.
    """

    def __init__(
        self,
        opener: ReaderOpener,
        loop: asyncio.AbstractEventLoop,
        *,
        on_opened: Callable[[Connection], None],
        on_failed: Callable[[BaseException], None],
        on_lost: Callable[[Connection, BaseException | None], None],
        is_needed: Callable[[], bool],
    ) -> None:
        self.connections: set[Connection] = set()
        self.error: BaseException | None = None
        self._opener = opener
        self._loop = loop
        self._on_opened = on_opened
        self._on_failed = on_failed
        self._on_lost = on_lost
        self._is_needed = is_needed
        self._count = 1
        self._is_opening = False
        self._timer: asyncio.TimerHandle | None = None
        self._has_ended = False

    def open_soon(self) -> None:
        """Opens one if it is still needed then, and none is being opened or could not be a moment ago."""
        if self._timer is None and not self._is_opening and not self._has_ended:
            self._timer = self._loop.call_later(_SOON, self._open_if_needed)

    def _open_if_needed(self) -> None:
        self._timer = None
        if self._has_ended or not self._is_needed():
            return
        connection = self._opener.make(f"reader-{self._count + 1}")
        connection.on_lost = partial(self._on_lost, connection)
        try:
            self._is_opening = True
            self.connections.add(connection)
            self._opener.begin(connection).add_done_callback(partial(self._begun, connection))
        except Exception as error:  # no thread or no descriptor is left
            self._let_go(connection)
            self._failed(error)
        except BaseException:  # a Ctrl-C
            self._let_go(connection)
            self._failed(RuntimeError("its opening was interrupted"))
            raise

    def end(self) -> None:
        """On the loop: opens no more."""
        self.refuse()
        if self._timer is not None:
            self._timer.cancel()

    def refuse(self) -> None:
        """On any thread: opens no more."""
        self._has_ended = True

    def _begun(self, connection: Connection, opened: asyncio.Future[None]) -> None:
        error = opened.exception()
        if error is not None or not connection.is_open:
            self._let_go(connection)
            self._failed(error or RuntimeError(f"the thread {connection.name} has ended"))
            return
        self._is_opening = False
        self._count += 1
        self.error = None
        self._on_opened(connection)
        self.connections.discard(connection)

    def _let_go(self, connection: Connection) -> None:
        connection.stop()
        connection.stopped.add_done_callback(lambda _: self.connections.discard(connection))

    def _failed(self, error: BaseException) -> None:
        self._is_opening = False
        if self._has_ended:
            return
        why = self._opener.why(error)
        if why is not error:
            why.__cause__ = error
        if repr(why) != repr(self.error):
            log.warning("another reader can't be opened, the open ones go on: %r", why)
        self.error = why
        self._timer = self._loop.call_later(_OPEN_AGAIN, self._open_if_needed)
        self._on_failed(why)
