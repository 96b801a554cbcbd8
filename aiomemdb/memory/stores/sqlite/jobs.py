"""The memory's jobs: what each looks at first, and how the writer's log names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .migrating import check_version

__all__ = ["Job", "Opening"]


@dataclass(frozen=True, slots=True)
class Opening:
    """A function for the writer, and the call that needs it: what makes the file one of this version.

    Attributes:
        log_name: the call as its caller knows it, named if it keeps the writer for long; None: the job's length is the
            library's own choice, a slice of deletions say, and nothing that a caller can change.
    """

    function: Callable[..., Any]
    log_name: str | None = None

    def __call__(self, conn: sqlite3.Connection, *args: Any) -> Any:
        return self.function(conn, *args)


class Job(Opening):
    """The same for all other jobs, which look first whether the file is still of this version: another process may have
    migrated it meanwhile. Raises, beside what the function does: SchemaTooNew.
    """

    __slots__ = ()

    def __call__(self, conn: sqlite3.Connection, *args: Any) -> Any:
        check_version(conn)
        return self.function(conn, *args)
