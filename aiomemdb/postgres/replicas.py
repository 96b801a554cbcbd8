"""Replicas: which server a read goes to, so that it sees what was written before it began.

A standby is behind by some milliseconds. So the place in the log behind each COMMIT is kept, and a standby answers a
read once it has replayed the log as far as that. Where it has not within ``replica_wait``, the primary answers. One
that is away is left out, and tried again later.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import Any

from .connecting import Connector
from .driver import NOTHING, psycopg
from .link import Command, Link, Lost
from .operations import one_value
from .pool import LinkPool
from .recorder import Recorder

__all__ = ["POSITION", "Place", "Replicas", "ask_position"]

log: logging.Logger = logging.getLogger("aiomemdb")

#: Where the log is behind what was just committed. Where COMMIT does not wait for the disk, that is not flushed yet.
POSITION: Command = (
    b"SELECT (CASE current_setting('synchronous_commit') WHEN 'off' THEN pg_current_wal_insert_lsn() "
    b"ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint",
    NOTHING,
)
_REPLAYED: Command = (b"SELECT (pg_last_wal_replay_lsn() - '0/0')::bigint WHERE pg_is_in_recovery()", NOTHING)

# In seconds: how soon one that is behind is asked again; how long one that is away is left out.
_ASK_AGAIN = (0.001, 0.02)
_AWAY = 1.0


async def ask_position(link: Link) -> int | None:
    """Where the log of the primary is now.

    Raises: Lost.
    """
    [answer] = await link.ask([POSITION])
    value: int | None = None if isinstance(answer, psycopg.Error) else one_value(answer, link.loader)  # type: ignore[arg-type]
    return value


class Place:
    """One server that reads go to.

    Attributes:
        pool: for queries; each has a connection while it runs.
        held: for snapshots and streams.
        replayed: how far it has replayed the log, when it was last asked.
        away_until: it is left out until then, of the loop's clock.
    """

    def __init__(self, connector: Connector, role: str, *, patient: bool) -> None:
        self.connector: Connector = connector
        self.pool: LinkPool = self._pool(role, patient=patient)
        self.held: LinkPool = self._pool("snapshot", patient=patient)
        self.is_replica: bool = not patient
        self.replayed: int = -1
        self.away_until: float = 0.0

    def _pool(self, role: str, *, patient: bool) -> LinkPool:
        connector = self.connector
        loop, reconnect = connector.loop, connector.config.reconnect

        async def again() -> Link:
            if not patient:  # other servers serve meanwhile
                return await connector.open(role, writes=False, timeout=2.0)
            return await connector.again(role, writes=False, until=loop.time() + reconnect)

        return LinkPool(connector.config.readers, loop, lambda: connector.open(role, writes=False), again)

    def leave_out(self) -> None:
        if self.is_replica:
            self.away_until = self.connector.loop.time() + _AWAY
            log.warning("a replica can't be reached, and gets no reads for %g s", _AWAY)


class Replicas:
    """
    Attributes:
        position: where the log is behind the latest COMMIT that was acknowledged.
    """

    def __init__(self, primary: Place, places: list[Place], recorder: Recorder, *, wait: float) -> None:
        self.primary: Place = primary
        self.places: list[Place] = places
        self.position: int = 0
        self._recorder = recorder
        self._wait = wait
        self._turns = count()

    def committed(self, position: Any, *, is_new_server: bool = False) -> None:
        """A COMMIT is acknowledged. ``is_new_server``: what another server has said before does not count."""
        if isinstance(position, int):
            self.position = position if is_new_server else max(self.position, position)

    async def choose(self, *, but: Place | None = None) -> Place:
        """The server for a read that begins now; ``but`` has just failed."""
        places = self.places
        if not places:
            return self.primary
        now = self.primary.connector.loop.time()
        turn = next(self._turns)
        for index in range(len(places)):
            place = places[(turn + index) % len(places)]
            if place is not but and place.away_until <= now and await self._has_caught_up(place):
                self._recorder.replica_reads += 1
                return place
        return self.primary

    async def _has_caught_up(self, place: Place) -> bool:
        wanted, loop = self.position, place.connector.loop
        if place.replayed >= wanted and place.replayed >= 0:
            return True
        until, pause, has_waited = loop.time() + self._wait, _ASK_AGAIN[0], False
        while True:
            try:
                replayed = await self._ask(place, max(0.0, until - loop.time()) if place.pool.links else 2.0)
            except (psycopg.Error, Lost, TimeoutError):
                place.leave_out()
                return False
            if replayed is None:  # it was promoted: it is no replica any more
                place.leave_out()
                return False
            place.replayed = replayed
            if replayed >= wanted:
                return True
            if not has_waited:
                has_waited = True
                self._recorder.replica_waits += 1
            if loop.time() + pause >= until:
                return False
            await asyncio.sleep(pause)
            pause = min(2 * pause, _ASK_AGAIN[1])

    async def _ask(self, place: Place, timeout: float) -> int | None:
        waiter = place.pool.lease()
        try:
            await asyncio.wait([waiter], timeout=timeout)
            if not waiter.done():
                waiter.cancel()
                raise TimeoutError
            link = waiter.result()
        except asyncio.CancelledError:
            waiter.cancel()
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                place.pool.release(waiter.result())
            raise
        except psycopg.Error:
            raise
        except Exception as error:  # ServerLost: it could not be reached
            raise TimeoutError from error
        try:
            [answer] = await link.ask([_REPLAYED])
        except Lost:
            place.pool.release(link)
            raise
        except BaseException:
            place.pool.discard(link)
            raise
        place.pool.release(link)
        if isinstance(answer, psycopg.Error):
            raise answer
        value: int | None = one_value(answer, link.loader)  # type: ignore[arg-type]
        return value
