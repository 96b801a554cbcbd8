"""The verbs that look after the file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TypeVar

from ...concurrency.job import Operation
from ..reading.backup import checked_backup_target
from ..writing.checkpoints import CHECKPOINT, OPTIMIZE, VACUUM
from ..writing.writer import Writer
from .assembly import Assembly

__all__ = ["MaintenanceVerbs"]

R = TypeVar("R")


class MaintenanceVerbs:
    """checkpoint, optimize, vacuum and backup, over ``_writing``, ``_write`` and ``_assembly``."""

    _assembly: Assembly | None

    def _check(self) -> None:
        raise NotImplementedError

    def _writing(self) -> Writer:
        raise NotImplementedError

    async def _write(
        self, operation: Operation[R], subject: object, arguments: object, durable: bool, timeout: float | None
    ) -> R:
        raise NotImplementedError

    async def checkpoint(self) -> bool:
        """Move the log into the database file and empty it; return whether all of it could be: no reader needed it."""
        return await self._maintain(CHECKPOINT)

    async def optimize(self) -> None:
        """Refresh the query planner's statistics where they are stale (PRAGMA optimize)."""
        await self._maintain(OPTIMIZE)

    async def vacuum(self) -> None:
        """Rebuild the file without its free pages (VACUUM). All other writes wait."""
        await self._maintain(VACUUM)

    async def _maintain(self, operation: Operation[R]) -> R:
        return await self._write(operation, None, (self._writing().checkpointer,), False, None)

    async def backup(
        self, path: str | os.PathLike[str], *, progress: Callable[[int, int], object] | None = None
    ) -> None:
        """Copy the last committed state into a new file, while reads and writes go on.

        The file appears whole or not at all.

        Args:
            path: of a file that does not exist.
            progress: called on the loop with (pages done, pages in all).

        Raises:
            FileExistsError: there is a file at ``path``.
            ValueError, OSError: ``path`` is none (":memory:"), or is too long for SQLite.

        Cancellation: it stops the copy and leaves nothing.
        """
        self._check()
        assert self._assembly is not None
        await self._assembly.back_up(checked_backup_target(path), progress)
