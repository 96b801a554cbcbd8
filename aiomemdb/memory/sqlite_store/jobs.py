"""How the writer's log names the memory's jobs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["Job"]


@dataclass(frozen=True, slots=True)
class Job:
    """A function for the writer, and the call that needs it.

    Attributes:
        log_name: the call as its caller knows it, named if it keeps the writer for long; None: the job's length is the
            library's own choice, a slice of deletions say, and nothing that a caller can change.
    """

    function: Callable[..., Any]
    log_name: str | None = None

    def __call__(self, conn: sqlite3.Connection, *args: Any) -> Any:
        return self.function(conn, *args)
