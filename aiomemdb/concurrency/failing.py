"""Futures that fail in large numbers, and the loop goes on meanwhile. Knows no SQLite."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice

from .job import Failure, copy_error, settle_one

__all__ = ["Failing"]

# Each error takes 4 to 7 us: so many keep the loop for about 3 ms.
_SLICE = 500


class Failing:
    """Futures that are being failed, in order: a slice at once, each other slice in an iteration of its own.

    Each gets an error of its own, as long as there is time: see ``finish``.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._rest: deque[tuple[deque[asyncio.Future[object]], BaseException]] = deque()
        self._goes_on = False
        self._finished: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return sum(len(futures) for futures, _ in self._rest)

    def add(self, futures: Iterable[asyncio.Future[object]], error: BaseException) -> None:
        """On the loop; or, where that is closed, on any thread: then all fail at once."""
        self._rest.append((deque(futures), error))
        if not self._goes_on:
            self._go_on()

    def _go_on(self) -> None:
        self._goes_on = False
        if not self._rest:  # finished meanwhile
            return
        try:
            futures, error = self._rest[0]
            for future in list(islice(futures, _SLICE)):
                settle_one(future, Failure(copy_error(error)))
                futures.popleft()
            if not futures:
                self._rest.popleft()
        finally:  # something was raised, a Ctrl-C perhaps
            if self._rest:
                try:
                    self._loop.call_soon(self._go_on)
                    self._goes_on = True
                except RuntimeError:  # the loop is closed
                    self.finish()
            elif self._finished is not None:
                settle_one(self._finished, None)

    def finished(self) -> asyncio.Future[None]:
        """Resolves when all have failed."""
        self._finished = self._loop.create_future()
        if not self._rest:
            self._finished.set_result(None)
        return self._finished

    def finish(self) -> None:
        """Fails the rest now: there is no time left, and so they share the error (0.3 us each)."""
        while self._rest:
            futures, error = self._rest[0]
            failure = Failure(error)
            for future in futures:
                settle_one(future, failure)
            self._rest.popleft()
