"""One SQLite connection and the thread that owns it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
from collections.abc import Callable
from typing import cast

import anyio

from ...concurrency.worker import Worker
from ..file.hazards import has_second_library, hold, let_go
from .driver import Driver
from .guarded import GuardedConnection

__all__ = ["BUSY_SLICE", "Connection"]

log: logging.Logger = logging.getLogger("aiomemdb")

# Waits for locks are cut in slices: sqlite3_interrupt does not break a busy wait, and close() must be able to.
BUSY_SLICE = 0.1


class Connection(Worker[GuardedConnection]):
    """A connection that runs every call on its own thread.

    Attributes:
        at_end: called on the connection's thread to close the connection, by the function that it gets, whatever the
            reason.
    """

    raw: GuardedConnection

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name, loop)
        self.at_end: Callable[[Callable[[], None]], None] = lambda close: close()
        self._path = ""
        self._held: tuple[int, int] | None = None

    def begin(
        self,
        uri: str,
        configure: Callable[[GuardedConnection], None],
        make: Callable[..., GuardedConnection] = GuardedConnection,
    ) -> asyncio.Future[None]:
        """Has the thread open the connection, which ``make`` makes, and run ``configure`` on it.

        Where that fails, the caller stops it.
        """
        driver = Driver(uri, make, busy_timeout=BUSY_SLICE)
        self.start(driver.make_thread)
        return self.submit(self._connect, driver, configure)

    async def open(
        self,
        uri: str,
        configure: Callable[[GuardedConnection], None],
        make: Callable[..., GuardedConnection] = GuardedConnection,
    ) -> None:
        """As ``begin``, and waits until it is open.

        Cancellation: nothing is left; the opening goes on to its end and is closed again.
        """
        opened = self.begin(uri, configure, make)
        try:
            await opened
        except BaseException:
            # Posted, not behind an await: who is cancelled once more leaves nothing either.
            self.stop()
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self.stopped])
            self.join(1.0)
            raise

    def given_up(self) -> bool:
        return self.stopping

    # On the thread

    def _connect(self, _: object, driver: Driver, configure: Callable[[GuardedConnection], None]) -> None:
        self.raw = raw = driver.open()
        raw.text_factory = os.fsdecode  # a path may be no UTF-8
        [(_, _, self._path)] = raw.own("PRAGMA database_list")
        raw.text_factory = str
        configure(raw)
        self._held = hold(self._path)

    def _end(self) -> None:
        self.at_end(self._close)

    def _close(self) -> None:
        if not self.is_connected:
            return
        for step in (self._end_work, self._close_or_keep):
            try:
                step()
            except Exception as error:  # of whatever kind: the next step is to come all the same
                log.warning("%s: closing failed: %r", self.name, error)

    @property
    def is_connected(self) -> bool:
        return cast(object, self.raw) is not None

    def _end_work(self) -> None:
        self.raw.roll_back()
        # It takes an interrupt that came late, which would have the close leave its log behind.
        self.raw.own("SELECT 1")

    def _close_or_keep(self) -> None:
        if has_second_library(self._path):
            # Closed, it would drop that library's locks, and remove the log that its commits still go to.
            _keep_for_good(self.raw)
            log.warning("%s: not closed, for a second SQLite library has %s open", self.name, self._path)
        else:
            if self._held is not None:
                let_go(self._held)
            self.raw.end()

    # On the loop

    def _stop_work(self) -> None:
        self.raw.stop_query()

    def leave_to_parent(self) -> None:
        """In a forked child: not even the collector may touch the connection. To close it would end the parent's
        transaction in the log's shared memory."""
        super().leave_to_parent()
        if self.is_connected:
            _keep_for_good(self.raw)


def _keep_for_good(raw: GuardedConnection) -> None:
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(raw))
