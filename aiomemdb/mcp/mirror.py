"""A file of JSON Lines that is kept as the memory is."""

from __future__ import annotations

import asyncio
import fcntl
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ..formats.files import replace_file
from ..memory.memory import Memory
from .lines import exported

__all__ = ["Mirror"]

_LOG = logging.getLogger("aiomemdb.mcp")
_WAIT = 0.005
_PATIENCE = 10.0


class Mirror:
    """Replaces its file after each answer. The server that replaces it holds a lock, and reads the memory only then:
    so no server puts an older state in the place of a newer one.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = asyncio.Lock()
        self._asked = self._done = 0

    async def refresh(self, memory: Memory) -> None:
        """Returns when the file has all that was committed before the call. Calls that wait together share one state.

        A file that can't be written is logged: what it mirrors was written.
        """
        self._asked += 1
        mine = self._asked
        async with self._lock:
            if self._done >= mine:
                return
            upto = self._asked
            try:
                async with self._alone():
                    await asyncio.to_thread(replace_file, self._path, await exported(memory))
            except (OSError, TimeoutError) as error:
                _LOG.error("the mirror %s was not written: %s", self._path, error)
                return
            self._done = upto

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """While no other process replaces the file. The lock is on another one, as the file itself is replaced."""
        lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            async with asyncio.timeout(_PATIENCE):
                while True:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(_WAIT)
            yield
        finally:
            os.close(lock)
