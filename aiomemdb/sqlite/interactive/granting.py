"""How a transaction gets the writer: in the order of arrival, but not behind one that keeps it for long."""

from __future__ import annotations

import asyncio

from ...concurrency.nesting import seen
from ...errors import LockTimeout, WriteTimeout
from ..writing.hold import Hold
from ..writing.writer import Writer

__all__ = ["has_begun", "take_writer"]

# When its patience is over it waits on for a part of that, in so many looks: a late look of a busy loop counts as one.
_ONCE_MORE = 10
_LOOKS = 8


async def take_writer(writer: Writer, *, patience: float | None, timeout: float) -> Hold | None:
    """Returns a transaction that has the writer, or None: it was not to be had in time. Nothing of it has begun.

    Args:
        patience: seconds that it waits, counted from when the present holder took the writer: anew for each that
            follows, except behind one that has released it because it was idle. Of these many may stand before it.
            None: as long as ``timeout``.
        timeout: seconds that it waits in all.
    Raises: what a write would raise at once.

    Cancellation: nothing is left.
    """
    hold, waiting = writer.hold(durable=False, timeout=None)
    if waiting is None:
        return hold
    wait = _Wait(writer, hold, waiting, patience, timeout)
    wait.go_on()
    try:
        await waiting
        return None if wait.is_over else hold
    except BaseException:
        if waiting.done() and not waiting.cancelled() and waiting.exception() is None and not wait.is_over:
            hold.leave()
        raise
    finally:
        wait.stop()
        if wait.is_over or waiting.cancelled():
            writer.queue.caller_left()


class _Wait:
    """The clock of one that waits. Its caller awaits the writer's own future, and so goes on an iteration sooner than
    by ``asyncio.wait``: all others wait for it then.

    Attributes:
        is_over: it was too long; the future is resolved, and the transaction has not got the writer.
    """

    def __init__(
        self, writer: Writer, hold: Hold, waiting: asyncio.Future[Hold], patience: float | None, timeout: float
    ) -> None:
        self.is_over: bool = False
        self._writer = writer
        self._hold = hold
        self._waiting = waiting
        self._patience = patience
        now = hold.loop.time()
        self._deadline = now + timeout
        self._holder = writer.present
        self._since = writer.held_since if isinstance(writer.present, Hold) else now
        self._looks = 0
        self._timer: asyncio.TimerHandle | None = None

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def go_on(self) -> None:
        loop, patience = self._hold.loop, self._patience
        now = loop.time()
        until = self._deadline if patience is None else min(self._deadline, self._since + patience)
        if now >= until:
            if self._looks == _LOOKS or patience is None or now >= self._deadline:
                self.is_over = True
                self._waiting.set_result(self._hold)
                return
            # The loop may have stood still, and what the holder waited for be at hand: that is not the holder's time.
            self._looks, until = self._looks + 1, min(self._deadline, now + patience / _ONCE_MORE / _LOOKS)
        self._timer = loop.call_later(until - now, self._look)

    def _look(self) -> None:
        if self._waiting.done():
            return
        holder, present = self._holder, self._writer.present
        if present is not holder:
            if holder is None or not holder.was_idle:
                self._since = self._writer.held_since if isinstance(present, Hold) else self._hold.loop.time()
            self._holder, self._looks = present, 0
        self.go_on()


async def has_begun(hold: Hold, timeout: float) -> bool:
    """Begins it, and returns whether the file was to be had in time: other processes write it too."""
    begun = hold.begin()
    try:
        done, _ = await asyncio.wait([begun], timeout=max(0.0, timeout))
        if not done:
            hold.expire(
                WriteTimeout("another process kept the file for longer than timeout", started=False, applied=False)
            )
        await begun
    except (LockTimeout, WriteTimeout):
        return False
    except BaseException:
        hold.leave()
        begun.add_done_callback(seen)
        raise
    return True
