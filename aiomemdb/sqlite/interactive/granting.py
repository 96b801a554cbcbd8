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
    try:
        return hold if await _waited(writer, waiting, hold.loop, patience, timeout) else None
    except BaseException:
        if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
            hold.leave()
        raise
    finally:
        if not waiting.done():
            waiting.cancel()
            writer.queue.caller_left()


async def _waited(
    writer: Writer,
    waiting: asyncio.Future[Hold],
    loop: asyncio.AbstractEventLoop,
    patience: float | None,
    timeout: float,
) -> bool:
    now = loop.time()
    deadline, holder, since = now + timeout, writer.present, now
    if isinstance(holder, Hold):
        since = writer.held_since
    looks = 0
    while not waiting.done():
        until = deadline if patience is None else min(deadline, since + patience)
        if now >= until:
            if looks == _LOOKS or patience is None or now >= deadline:
                return False
            # The loop may have stood still, and what the holder waited for be at hand: that is not the holder's time.
            looks, until = looks + 1, min(deadline, now + patience / _ONCE_MORE / _LOOKS)
        await asyncio.wait([waiting], timeout=until - now)
        now = loop.time()
        if (present := writer.present) is not holder:
            if holder is None or not holder.was_idle:
                since = writer.held_since if isinstance(present, Hold) else now
            holder, looks = present, 0
    waiting.result()  # or raises why the writer takes none
    return True


async def has_begun(hold: Hold, timeout: float) -> bool:
    """Begins it, and returns whether the file was to be had in time: other processes write it too."""
    begun = hold.begin()
    try:
        done, _ = await asyncio.wait([begun], timeout=max(0.0, timeout))
        if not done:
            hold.expire(WriteTimeout("the file was not to be had in time", started=False, applied=False))
        await begun
    except (LockTimeout, WriteTimeout):
        return False
    except BaseException:
        hold.leave()
        begun.add_done_callback(seen)
        raise
    return True
