"""The memory's jobs: what each looks at first, and how the writer's log names it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar, TypeVarTuple

from ...deciding.steps import Steps
from .migrating import check_version
from .running_rules import run

__all__ = ["Job", "Opening", "RuleJob"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Opening(Generic[*Ts, R]):
    """A function for the writer, and the call that needs it: what makes the file one of this version.

    Attributes:
        log_name: the call as its caller knows it, named if it keeps the writer for long; None: the job's length is the
            library's own choice, a slice of deletions say, and nothing that a caller can change.
    """

    function: Callable[[sqlite3.Connection, *Ts], R]
    log_name: str | None = None

    @property
    def __wrapped__(self) -> Callable[[sqlite3.Connection, *Ts], R]:
        """By which it is known, as of a function that was decorated."""
        return self.function

    def __call__(self, conn: sqlite3.Connection, *args: *Ts) -> R:
        return self.function(conn, *args)


@dataclass(frozen=True, slots=True)
class RuleJob(Generic[*Ts, R]):
    """A rule for the writer, as ``Job`` is a function for it."""

    rule: Callable[[*Ts], Steps[R]]
    log_name: str | None

    @property
    def __wrapped__(self) -> Callable[[*Ts], Steps[R]]:
        return self.rule

    def __call__(self, conn: sqlite3.Connection, *args: *Ts) -> R:
        check_version(conn)
        return run(conn, self.rule, *args)


class Job(Opening[*Ts, R]):
    """The same for all other jobs, which look first whether the file is still of this version: another process may have
    migrated it meanwhile. Raises, beside what the function does: SchemaTooNew.
    """

    __slots__ = ()

    def __call__(self, conn: sqlite3.Connection, *args: *Ts) -> R:
        check_version(conn)
        return self.function(conn, *args)
