"""How a transaction gets a connection."""

from __future__ import annotations

import asyncio

from ..concurrency.job import copy_error, timed_out
from ..errors import AiomemdbError, ReentrancyError
from .hold import Hold, Holds, held_holds

__all__ = ["Granting"]


class Granting(Holds):
    """Lends connections to transactions, in the order of their calls."""

    def check_caller(self) -> None:
        """Raises where the caller would wait for a transaction of its own."""
        if any(hold.holds is self and hold.active for hold in held_holds.get()):
            raise ReentrancyError(
                "a write on the database inside its own transaction() could wait for itself: use the transaction's "
                "verbs (async with db.transaction() as tx: await tx.write(...))"
            )

    async def grant(self, isolation: str, *, durable: bool, timeout: float | None) -> Hold:
        """A transaction, as soon as a connection is free.

        Raises: WriteTimeout, ServerLost, DatabaseClosed.
        Cancellation: holds nothing.
        """
        waiter = self.pool.lease()
        try:
            if timeout is not None:
                await asyncio.wait([waiter], timeout=timeout)
                if not waiter.done():
                    waiter.cancel()
                    raise timed_out("transaction", timeout, started=False)
            link = await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.pool.release(waiter.result())
            raise
        return Hold(self, link, isolation, durable=durable or self.is_full)

    def emptied(self) -> asyncio.Future[None]:
        """Resolves when none is open."""
        self._emptied = self.pool.loop.create_future()
        self.look_whether_empty()
        return self._emptied

    def expire_all(self, error: AiomemdbError) -> None:
        for hold in list(self.open):
            hold.expire(copy_error(error))
