"""Waiting for changes of tables: this process's are told by its writer, others' are looked for.

    every 0.05 s, while a caller waits                 | if the log's size or time is another, or just now
    ---------------------------------------------------+----------------------------------------------------
    os.stat of the log and the file: 10 us, no query   | PRAGMA data_version on the writer's connection: it is
                                                       | another where others have committed, and no one else

Two commits in one tick of the file system's clock look like one. And a commit is seen in the log before it can be read.
So after the log has changed, the version is asked for some time, and once a second in any case. Where the file is open
for reading alone there is none to ask: a change that is as young as a tick is told once more, when it is older.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import TypeAlias

from ...errors import DatabaseClosed
from ...observing import Committed, Event, Observers
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection

__all__ = ["Watcher"]

_LOOK = 0.05
_ASK_FOR = 0.5  # seconds after the log has changed
_ASK_AFTER = 1.0  # seconds without having asked
_TICK = 50_000_000  # ns

#: Of the log and the file: inode, size, time.
_Stat: TypeAlias = tuple[tuple[int, int, int], ...]


def _nothing() -> None:
    pass


class Watcher:
    """Counts the changes of tables while they are watched.

    Attributes:
        count: grows with each change; what was seen up to it is seen.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, path: Path, observers: Observers, writer: Connection | None
    ) -> None:
        self.count: int = 0
        self._loop = loop
        self._files = (f"{path}-wal", str(path))
        self._observers = observers
        self._writer = writer
        self._watchers = 0
        self._changed: dict[str, int] = {}
        self._all_changed = 0
        self._waiting: set[asyncio.Future[None]] = set()
        self._end_observing: Callable[[], object] = _nothing
        self._timer: asyncio.TimerHandle | None = None
        self._seen: _Stat = ()
        self._began: _Stat = ()
        self._is_recent = False
        self._version: object = None
        self._asked_at = self._changed_at = 0.0
        self._is_closed = False

    def begin(self) -> None:
        self._watchers += 1
        if self._watchers == 1 and not self._is_closed:
            self._end_observing = self._observers.add(self._told)
            self._seen, self._version = self._stat(), None
            self._began = self._seen
            self._is_recent = _is_recent(self._seen)
            self._changed_at = monotonic()
            self._ask()
            self._timer = self._loop.call_later(_LOOK, self._look)

    def end(self) -> None:
        self._watchers -= 1
        if self._watchers == 0:
            self._stop()

    def _stop(self) -> None:
        self._end_observing()
        self._end_observing = _nothing
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._changed.clear()

    def close(self) -> None:
        """The database closes: who waits hears that."""
        self._is_closed = True
        self._stop()
        self._wake()

    # What has changed

    def since(self, count: int, tables: frozenset[str] | None) -> frozenset[str] | None:
        """Those of the tables that may have changed since then; None of them: None."""
        if self._all_changed > count:
            return tables or frozenset()
        changed = {table for table, at in self._changed.items() if at > count}
        return frozenset(changed if tables is None else changed & tables) or None

    async def wait(self) -> None:
        """Until there is another change. Raises: DatabaseClosed."""
        if self._is_closed:
            raise DatabaseClosed("the database is closing or closed")
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiting.add(waiter)
        try:
            await waiter
        finally:
            self._waiting.discard(waiter)

    def _told(self, event: Event) -> None:
        if not isinstance(event, Committed) or event.tables == frozenset():
            return
        if event.tables is None or "sqlite_schema" in event.tables:
            self._all()
        else:
            self.count += 1
            self._changed |= dict.fromkeys((table.lower() for table in event.tables), self.count)
            self._wake()

    def _all(self) -> None:
        self.count += 1
        self._all_changed = self.count
        self._changed.clear()
        self._wake()

    def _wake(self) -> None:
        for waiter in self._waiting:
            if not waiter.done():
                waiter.set_result(None)

    # What others have done

    def _stat(self) -> _Stat:
        stats = []
        for name in self._files:
            try:
                status = os.stat(name)
                stats.append((status.st_ino, status.st_size, status.st_mtime_ns))
            except OSError:
                stats.append((0, 0, 0))
        return tuple(stats)

    def _look(self) -> None:
        now, seen = monotonic(), self._stat()
        if seen != self._seen:
            self._seen, self._changed_at = seen, now
        if now - self._changed_at < _ASK_FOR or now - self._asked_at > _ASK_AFTER:
            self._ask()
        self._timer = self._loop.call_later(_LOOK, self._look)

    def _ask(self) -> None:
        self._asked_at = monotonic()
        if self._writer is None:  # all commits are others'
            if self._is_recent and self._version is not None:
                self._version = ()  # another than any
            self._is_recent = _is_recent(self._seen)
            self._answered(self._seen)
            return
        asked = self._writer.submit(_version)
        asked.add_done_callback(self._heard)

    def _heard(self, asked: asyncio.Future[int]) -> None:
        if not asked.cancelled() and asked.exception() is None:
            self._answered(asked.result())

    def _answered(self, version: object) -> None:
        if self._version is None:  # what was committed between the beginning and this can't be told by it
            has_changed = self._is_recent or self._stat() != self._began
        else:
            has_changed = version != self._version
        self._version = version
        if has_changed and self._watchers:
            self._all()


def _is_recent(stat: _Stat) -> bool:
    """Whether a further change could have the same time, by a coarse clock."""
    return any(mtime > time.time_ns() - _TICK for _, _, mtime in stat)


def _version(raw: GuardedConnection) -> int:
    """Of the writer's connection: it is another when others have committed."""
    [[version]] = raw.own("PRAGMA data_version")
    assert isinstance(version, int)
    return version
