"""When a transaction that has only read has asked for nothing for so long that it releases the writer.

The time is counted in looks; four in a row must find it idle. A look that comes late, on a busy loop, counts
as one: so what a program does between two statements is no idleness, however long the loop takes for it.

    no other waits for the writer | a look each 25 ms  (``Rule.idle`` 0.1 s)
    others wait                   | a look each ms: those who wait for a model would be waited for one after another,
                                  | 0.1 s each, and 64 of them for 5 s
"""

from __future__ import annotations

import asyncio
from typing import Protocol

__all__ = ["Idling"]

_LOOKS = 4  # in a row that find it idle
_WANTED = 25  # times sooner where others wait


class Idler(Protocol):
    """What may be idle."""

    def calls(self) -> tuple[int, bool]:
        """How many it has got so far, and whether one is pending."""

    def may_release(self) -> bool:
        """Whether it may release the writer at all."""

    def is_wanted(self) -> bool:
        """Whether others wait for the writer."""

    def release(self) -> None:
        """It has been idle for so long."""


class Idling:
    """
    Args:
        seconds: for which it may be idle while no other waits.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self._loop = loop
        self._seconds = seconds
        self._of: Idler | None = None  # between begin() and stop() alone: a circle is left to the garbage collector
        self._looks = 0
        self._calls_at_look = 0
        self._quick = False
        self._timer: asyncio.TimerHandle | None = None

    def begin(self, of: Idler) -> None:
        """It has the writer, or goes on with it."""
        self._of = of
        self._looks, (self._calls_at_look, _) = 0, of.calls()
        self._look_later(of)

    def stop(self) -> None:
        self._of = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def wanted(self) -> None:
        """Another waits for the writer now."""
        if self._of is not None and self._timer is not None and not self._quick:
            self._timer.cancel()
            self._look_later(self._of)

    def has_been_called(self) -> bool:
        """Since the latest look."""
        return self._of is None or self._of.calls()[0] != self._calls_at_look

    def look(self) -> None:
        self._timer, of = None, self._of
        if of is None or not of.may_release():
            return
        calls, is_pending = of.calls()
        if is_pending or calls != self._calls_at_look:
            self._looks, self._calls_at_look = 0, calls
        else:
            self._looks += 1
        if self._looks < _LOOKS:
            self._look_later(of)
        else:
            self._looks = 0
            of.release()

    def _look_later(self, of: Idler) -> None:
        self._quick = of.is_wanted()
        seconds = self._seconds / _LOOKS
        self._timer = self._loop.call_later(seconds / _WANTED if self._quick else seconds, self.look)
