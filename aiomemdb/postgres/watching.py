"""Watch: has sockets looked at now and then, beside the loop.

A loop hears that a socket can be read. uvloop hears nothing where the other side has reset the connection, as the
system does for a server's process that was killed: libuv takes that for a bad descriptor, and drops the reader without
a word. So as long as anything is awaited, the sockets themselves are asked.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable

__all__ = ["Watch", "is_ready"]

_AGAIN = 0.25  # seconds


def is_ready(descriptor: int, *, to_read: bool = True) -> bool:
    """Whether a call on the socket would not wait, or would fail."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN if to_read else select.POLLOUT)
    return bool(poll.poll(0))


class Watch:
    """Of one loop.

    Attributes:
        looks: what is called until it is taken out.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.looks: set[Callable[[], object]] = set()
        self._loop = loop
        self._timer: asyncio.TimerHandle | None = None

    def add(self, look: Callable[[], object]) -> None:
        self.looks.add(look)
        if self._timer is None:
            self._timer = self._loop.call_later(_AGAIN, self._tick)

    def _tick(self) -> None:
        self._timer = None
        for look in list(self.looks):
            look()
        if self.looks and self._timer is None:
            self._timer = self._loop.call_later(_AGAIN, self._tick)

    def end(self) -> None:
        self.looks.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
