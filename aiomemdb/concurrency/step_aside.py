"""A busy loop leaves Python's lock to a thread that it has given work.

CPython has a thread that waits for its lock ask for it after 5 ms, but it waits those anew each time that the lock
comes free. A loop frees it once an iteration, for some microseconds, and has it back before the thread is awake. So
beside a loop that is busy in iterations of less than 5 ms a thread gets the lock once in 20 to 75 iterations, and for
twenty writes it needs the lock a hundred times: they took 1,500 iterations of 4 ms, twenty reads 250. So the loop
*steps aside* (now 3 iterations, and 2): it waits, its lock free, until the thread has done its work, for 0.2 ms; then
more seldom, for up to 1 ms, as the thread may as well be in a long call of SQLite's; and for a small share of its time
in all. The loop asks whether it has to an iteration after it has posted work; but not if it had posted some just
before, which the thread has done since: that callback is a tenth of a lone caller's read. A thread that finds its work
old has the loop asked, too.
"""

from __future__ import annotations

import asyncio
import math
import threading
import weakref
from collections.abc import Callable
from time import monotonic

__all__ = ["JUST_BEFORE", "OLD", "StepAside"]

# In seconds: a thread that does its work within the first has Python's lock when it wants it; an iteration that takes
# longer than the second keeps it from the thread; work that has waited for the third is old.
JUST_BEFORE = 0.001
_BUSY_ITERATION = 0.0001
OLD = 0.002
# When the loop steps aside again, twice as late each time; and for how long.
_PAUSES = (0.001, 0.1)
_PART_OF_PAUSE = 0.2
_AT_MOST = 0.001
# What a loop gives up at most, for all its threads together: of 120 databases it would stand still otherwise.
_SHARE_OF_LOOP = 0.1
_SHARE_IN_VAIN = 0.05
_again_at: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, float] = weakref.WeakKeyDictionary()


class StepAside:
    """One loop's stepping aside for one thread.

    Attributes:
        posted: how many calls the loop has posted to the thread.
        posted_at: when it posted the latest one.
        served: how many of them the thread has done.
        way: what the loop waits for now, or None; the thread calls ``let_go`` then.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        *,
        deliver: Callable[..., bool],
        is_alive: Callable[[], bool],
    ) -> None:
        self.posted: int = 0
        self.posted_at: float = -math.inf
        self.served: int = 0
        self.way: threading.Lock | None = None
        self._loop = loop
        self._deliver = deliver
        self._is_alive = is_alive
        self._asked_for = 0
        self._later: asyncio.TimerHandle | None = None

    def ask_soon(self, now: float) -> None:
        """On the loop, which has just posted a call: looks an iteration later whether the thread has done it."""
        self._asked_for = self.posted
        try:
            self._loop.call_soon(self._step_aside, self.posted, now + _BUSY_ITERATION, _PAUSES[0])
        except RuntimeError:
            pass  # the loop is closed

    def ask_for_old(self) -> None:
        """On the thread, which gets to its next call only now."""
        if self._asked_for != self.served + 1:
            self._asked_for = self.served + 1
            self._deliver(self._step_aside, self._asked_for, 0.0, _PAUSES[0])

    def let_go(self) -> None:
        """On the thread, which has done a call: the loop need not wait any longer."""
        way, self.way = self.way, None
        if way is not None:
            way.release()

    def end(self) -> None:
        """On the loop, when the thread has ended: a timer would keep a closed database in memory until it is due."""
        if self._later is not None:
            self._later.cancel()

    def _step_aside(self, number: int, unless_before: float, pause: float) -> None:
        """On the loop: leaves Python's lock to the thread, where it keeps that from the call of this number."""
        if number != self._asked_for or self.served >= number or not self._is_alive():
            return
        now = monotonic()
        if now < unless_before:
            self._asked_for = 0
            return
        not_before = _again_at.get(self._loop, now)
        if now >= not_before:
            self.way = way = threading.Lock()
            way.acquire()
            if self.served < number:
                way.acquire(timeout=min(pause * _PART_OF_PAUSE, _AT_MOST))
            self.way = None
            is_done = self.served >= number
            took = monotonic() - now
            _again_at[self._loop] = now + took / (_SHARE_OF_LOOP if is_done else _SHARE_IN_VAIN)
            if is_done:
                return
        later = max(pause, not_before - now)
        pause = min(2 * pause, _PAUSES[1])
        self.end()  # that of an earlier call
        self._later = self._loop.call_later(later, self._step_aside, number, 0.0, pause)
