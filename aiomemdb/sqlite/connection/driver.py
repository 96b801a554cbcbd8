"""What we use of aiosqlite: the only room that knows it.

aiosqlite opens a connection in a thread of its own and runs functions there in turn. It has no public call for that,
and its own way back to the loop hangs when the loop is gone: so ONE function of ours is given to its queue for the
connection's whole life (concurrency/worker.py). Then none of aiosqlite is on the hot path. tests/sqlite/test_driver.py
watches each name that is private there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast  # Any: of what is private in aiosqlite there are no types

# connect from the module that defines it: aiosqlite.connect may be bound to another function, as to one of ours.
from aiosqlite.core import _STOP_RUNNING_SENTINEL, connect

from .guarded import GuardedConnection

__all__ = ["Driver"]


class Driver:
    """One connection of aiosqlite's, neither started nor opened by itself."""

    def __init__(self, uri: str, make: Callable[..., GuardedConnection], *, busy_timeout: float) -> None:
        self._connection = connect(
            uri,
            uri=True,
            isolation_level=None,
            timeout=busy_timeout,
            factory=make,
            cached_statements=300,  # of the library's own, about 40
        )

    def make_thread(self, run: Callable[[], None]) -> threading.Thread:
        """Returns its thread, which is to run ``run`` and then ends.

        Not by awaiting aiosqlite's connection: cancelled meanwhile, it would leave its thread.
        """

        def run_and_end() -> object:
            run()
            return _STOP_RUNNING_SENTINEL

        # Since 0.22 the thread ends by what the function returns, until 0.21 by what waits behind it. Not by
        # SystemExit, which hooks for errors of threads (pytest's, Sentry's) take for an error.
        self._connection._tx.put_nowait((cast(Any, _Unheard()), run_and_end))
        self._connection._tx.put_nowait(cast(Any, _STOP_RUNNING_SENTINEL))
        # Until 0.21 the connection is a thread, since 0.22 it has one.
        return cast(threading.Thread, getattr(self._connection, "_thread", self._connection))

    def open(self) -> GuardedConnection:
        """On the thread: opens the file."""
        return cast(GuardedConnection, self._connection._connector())


class _Unheard:
    """Stands where aiosqlite expects a future of its own, which it would now resolve on a loop that may be gone."""

    def get_loop(self) -> _Unheard:
        return self

    def call_soon_threadsafe(self, *_: object) -> None:
        pass
