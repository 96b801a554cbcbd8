"""Gates: a test decides how far another thread has got, instead of sleeping and hoping."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future
from types import TracebackType
from typing import Self

# Longer than any wait in a test, shorter than a test's time limit: a gate that was forgotten names itself.
_FORGOTTEN = 90.0


class Gate:
    """Holds functions on database threads until the test lets them go::

        with Gate() as gate:
            held = asyncio.create_task(db.write_fn(gate.block))
            await gate.wait_entered()
            ...                          # the writer's thread now stands inside the function
            gate.open()
            await held

    An open gate stays open. Leaving the block opens it, so that a test which fails inside does not hang.
    """

    def __init__(self) -> None:
        self.entered = 0
        self._lock = threading.Lock()  # over `entered` and `_arrivals`
        self._arrivals: dict[int, Future[None]] = {}  # the n-th is done once n callers have entered
        self._opened = threading.Event()

    def block(self, *_args: object) -> None:
        """Waits for `open()`, on the calling thread. Any arguments (a connection, say) are ignored."""
        with self._lock:
            self.entered += 1
            self._arrival(self.entered).set_result(None)
        if not self._opened.wait(_FORGOTTEN):
            raise TimeoutError(f"the gate was not opened within {_FORGOTTEN:g} s")

    async def wait_entered(self, count: int = 1, *, timeout: float = 60.0) -> None:
        """Returns once `count` callers altogether have entered `block()`."""
        with self._lock:
            arrival = self._arrival(count)
        try:
            # Shielded: a cancelled wait would otherwise cancel the arrival itself, for every later one.
            async with asyncio.timeout(timeout):
                await asyncio.shield(asyncio.wrap_future(arrival))
        except TimeoutError:
            raise TimeoutError(f"{self.entered} of {count} entered the gate within {timeout:g} s") from None

    def open(self) -> None:
        """Lets everybody through, now and later. May be called from any thread, and more than once."""
        self._opened.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.open()

    def _arrival(self, count: int) -> Future[None]:
        return self._arrivals.setdefault(count, Future())
