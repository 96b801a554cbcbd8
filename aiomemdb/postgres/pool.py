"""LinkPool: connections of one role, opened when they are needed, first come, first served."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from ..concurrency.detached import detached
from ..errors import DatabaseClosed, ServerLost
from .driver import psycopg
from .link import Link, Lost

__all__ = ["LinkPool"]


class LinkPool:
    """
    Attributes:
        most: how many there may be.
        links: those that are open.
    """

    def __init__(
        self,
        most: int,
        loop: asyncio.AbstractEventLoop,
        open_link: Callable[[], Awaitable[Link]],
        open_again: Callable[[], Awaitable[Link]],
    ) -> None:
        self.most: int = most
        self.links: set[Link] = set()
        self.loop: asyncio.AbstractEventLoop = loop
        self._open_link = open_link
        self._open_again = open_again
        self._idle: deque[Link] = deque()
        self._waiters: deque[asyncio.Future[Link]] = deque()
        self._opening = 0
        self._ending: set[asyncio.Future[None]] = set()
        self._closed: str | None = None
        self._emptied: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<LinkPool {self.busy} of {len(self.links)} busy, {self.waiting} wait>"

    @property
    def busy(self) -> int:
        return len(self.links) - len(self._idle)

    @property
    def waiting(self) -> int:
        return sum(not waiter.done() for waiter in self._waiters)

    def take(self) -> Link | None:
        """An idle link at once, or None."""
        while self._idle and self._closed is None:
            link = self._idle.pop()
            if link.lost is None:
                return link
            self.links.discard(link)
        return None

    def lease(self) -> asyncio.Future[Link]:
        """The future of a link; a caller that leaves cancels it, or releases the link.

        Raises, of the future: ServerLost, DatabaseClosed.
        """
        waiter: asyncio.Future[Link] = self.loop.create_future()
        if self._closed is not None:
            waiter.set_exception(DatabaseClosed(self._closed))
        elif not self._waiters and (link := self.take()) is not None:
            waiter.set_result(link)
        else:
            self._waiters.append(waiter)
            self._grow()
        return waiter

    def release(self, link: Link) -> None:
        """It is idle: the next caller has it."""
        if link.lost is not None or self._closed is not None:
            link.close()
            self.links.discard(link)
            self._grow()
        else:
            while self._waiters:
                waiter = self._waiters.popleft()
                if not waiter.done():
                    waiter.set_result(link)
                    return
            self._idle.append(link)
        self._look_whether_empty()

    def discard(self, link: Link) -> None:
        """It is in doubt: what the server runs there is stopped, and it is closed."""
        self.links.discard(link)
        ending = detached(link.destroy(), self.loop)
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        self._grow()
        self._look_whether_empty()

    def give_up_idle(self) -> bool:
        """Closes a link that is idle, if there is one."""
        link = self.take()
        if link is not None:
            self.links.discard(link)
            link.close()
        return link is not None

    def add(self, link: Link) -> None:
        """One that was opened elsewhere, in the place of one that was lost."""
        self.links.add(link)
        self.release(link)

    def _grow(self) -> None:
        if self._closed is not None:
            return
        while self._opening + len(self.links) < self.most and self._opening < self.waiting:
            self._opening += 1
            detached(self._open(), self.loop)

    async def _open(self) -> None:
        try:
            # Where others are open, those serve until there is room for more.
            link = await (self._open_link() if self.links else self._open_again())
        except (psycopg.Error, Lost, asyncio.CancelledError) as error:
            self._opening -= 1
            if not self.links and not self._opening:
                cause = error
                self.fail_waiters(lambda: _no_server(cause))
            return
        except BaseException:
            self._opening -= 1
            raise
        self._opening -= 1
        self.links.add(link)
        self.release(link)

    def fail_waiters(self, make_error: Callable[[], BaseException]) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(make_error())

    # The end

    def refuse(self, why: str) -> None:
        """Takes no new caller; those that wait fail."""
        if self._closed is None:
            self._closed = why
        self.fail_waiters(lambda: DatabaseClosed(why))
        for link in list(self._idle):
            link.close()
            self.links.discard(link)
        self._idle.clear()

    def emptied(self) -> asyncio.Future[None]:
        """Resolves when no link is out."""
        self._emptied = self.loop.create_future()
        self._look_whether_empty()
        return self._emptied

    def _look_whether_empty(self) -> None:
        if self._emptied is not None and not self._emptied.done() and not self.links:
            self._emptied.set_result(None)

    async def close(self, deadline: float) -> None:
        """Waits for what is out, then ends it."""
        self.refuse("the database is closing or closed")
        await asyncio.wait([self.emptied()], timeout=max(0.0, deadline - self.loop.time()))
        for link in list(self.links):
            self.discard(link)
        if self._ending:
            await asyncio.wait(list(self._ending), timeout=max(0.1, deadline - self.loop.time()))
        self.end()

    def end(self) -> None:
        """At once, also where the loop does not run."""
        self._closed = self._closed or "the database is closing or closed"
        for link in list(self.links):
            link.close()
        self.links.clear()
        self._idle.clear()

    def leave_to_parent(self) -> None:
        for link in self.links:
            link.leave_to_parent()


def _no_server(cause: BaseException) -> ServerLost:
    lost = ServerLost(f"no server could be reached: {cause}")
    lost.__cause__ = cause
    return lost
