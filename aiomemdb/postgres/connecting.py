"""How connections are made, and made again: by role, with what every session of that role has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from weakref import WeakSet

from .driver import NOTHING, checked_conninfo, open_connection, psycopg
from .link import Command, Link, Lost
from .operations import one_value
from .options import PostgresConfig
from .watching import Watch

__all__ = ["Connector"]

log: logging.Logger = logging.getLogger("aiomemdb")

# In seconds: how soon a server that was not there is asked again.
_AGAIN = (0.02, 1.0)
_ONE_ATTEMPT = 10.0


class Connector:
    """Opens the links of one database.

    Attributes:
        settings: what each transaction begins with, where a session keeps nothing.
        make_room: called where an attempt has failed: the server may have no connection to spare, and this database may
            have one that is idle.
        is_direct: each link has a server's process to itself; behind a pooler (``statement_cache=0``) it has not.
    """

    def __init__(self, target: str, config: PostgresConfig, loop: asyncio.AbstractEventLoop, *, primary: bool) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self.config: PostgresConfig = config
        self.is_direct: bool = config.statement_cache > 0
        self.settings: list[Command] = [] if self.is_direct else [_setting("lock_timeout", self.lock_timeout_ms)]
        self.make_room: Callable[[], object] = lambda: None
        self._primary = primary
        self._conninfo = checked_conninfo(target)
        self._opening: set[asyncio.Task[Link]] = set()
        self._links: WeakSet[Link] = WeakSet()
        self._watch = Watch(loop)
        self._is_closed = False

    async def open(self, role: str, *, writes: bool, timeout: float = _ONE_ATTEMPT) -> Link:
        """A new link, of the first host in turn that serves.

        Raises:
            psycopg.Error: none does.
        """
        if self._is_closed:
            raise psycopg.OperationalError("the database is closing or closed")
        # It awaits more than futures: in a task of its own.
        name = f"aiomemdb:{self.config.label}:{role}"
        opening = self.loop.create_task(self._open(name, writes=writes, timeout=timeout), name=f"{name}:connect")
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)
        try:
            return await opening
        except asyncio.CancelledError:
            opening.cancel()
            opening.add_done_callback(_close_unwanted)  # it may just be there
            raise

    async def _open(self, name: str, *, writes: bool, timeout: float) -> Link:
        connection = await open_connection(self._conninfo, name=name[:63], primary=self._primary, timeout=timeout)
        link = Link(connection, self.loop, self._watch, statement_cache=self.config.statement_cache)
        self._links.add(link)
        try:
            if self.is_direct:
                for answer in await link.ask(self._session(writes=writes)):
                    if isinstance(answer, psycopg.Error):
                        raise answer
        except Lost as lost:
            link.close()
            raise psycopg.OperationalError(str(lost)) from lost.cause
        except BaseException:
            link.close()
            raise
        return link

    def _session(self, *, writes: bool) -> list[Command]:
        commands = [f"SET lock_timeout = {self.lock_timeout_ms}"]
        if not writes:
            commands.append("SET default_transaction_read_only = on")
        return [(command.encode(), NOTHING) for command in commands]

    @property
    def lock_timeout_ms(self) -> int:
        return max(1, min(2**31 - 1, int(self.config.lock_timeout * 1000)))

    async def again(self, role: str, *, writes: bool, until: float) -> Link:
        """A new link, as soon as there is a server; ``until`` is of the loop's clock.

        Raises:
            psycopg.Error: there was none; the latest error.
        """
        pause, loop = _AGAIN[0], self.loop
        while True:
            left = until - loop.time()
            try:
                return await self.open(role, writes=writes, timeout=min(_ONE_ATTEMPT, max(left, 0.1)))
            except (psycopg.Error, asyncio.CancelledError) as error:
                # Cancelled: the loop may be ending, and has ended the attempt.
                if self._is_closed or loop.time() + pause >= until:
                    if isinstance(error, psycopg.Error):
                        raise
                    raise psycopg.OperationalError("the attempt to connect was cancelled") from None
            self.make_room()
            await asyncio.sleep(pause)
            pause = min(pause * 2, _AGAIN[1])

    async def close(self) -> None:
        """Ends the attempts that go on, and what is open still: a link may be being made ready. No more are made."""
        self._is_closed = True
        for opening in list(self._opening):
            opening.cancel()
            opening.add_done_callback(_close_unwanted)
        if self._opening:
            await asyncio.wait(list(self._opening))
        for link in list(self._links):
            link.close()
        self._watch.end()


def _setting(name: str, value: object) -> Command:
    """Of one transaction."""
    return f"SELECT set_config('{name}', '{value}', true)".encode(), NOTHING


def _close_unwanted(opening: asyncio.Task[Link]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


async def weak_setting(link: Link) -> str | None:
    """Which setting of the server's lets it acknowledge what is not on stable storage, or None."""
    for name, weak in (("fsync", "off"), ("synchronous_commit", "off")):
        [answer] = await link.ask([(f"SELECT current_setting('{name}')".encode(), NOTHING)])
        if not isinstance(answer, psycopg.Error) and one_value(answer, link.loader) == weak:  # type: ignore[arg-type]
            return f"{name}={weak}"
    return None
