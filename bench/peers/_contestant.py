"""What each contestant can be asked for, whatever library it stands for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from typing import Any, ClassVar

from _harness import Params

__all__ = ["FIND", "INSERT_NAME", "Contestant", "NotOffered"]

# Check-then-act: the table has no UNIQUE constraint, so that each race is seen.
FIND = "SELECT id FROM entity WHERE name = ?"
INSERT_NAME = "INSERT INTO entity (name) VALUES (?)"


class NotOffered(Exception):
    """The library has no way to do this; says so plainly."""


class Contestant:
    """One library, open on one file, used as its documentation recommends.

    Attributes:
        name: how tables and plots call it.
        page: where its documentation shows this use.
        most_callers: with more it is not measured (a thread for each caller).
    """

    name: ClassVar[str]
    page: ClassVar[str]
    most_callers: ClassVar[int] = 10_000

    def __init__(self, path: str, *, synchronous: str = "NORMAL") -> None:
        self.path = path
        self.synchronous = synchronous

    async def open(self) -> None:
        raise NotImplementedError

    async def close(self) -> None:
        raise NotImplementedError

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Contestant]:
        """What one task uses, for as long as it lives: the same for all, where the library lets tasks share it."""
        yield self

    def write(self, sql: str, params: Params) -> Awaitable[object]:
        """One statement; it has committed when this returns."""
        raise NotOffered(f"{self.name} has no single writes")

    def read(self, sql: str, params: Params) -> Awaitable[Sequence[Any]]:
        """All rows of a query."""
        raise NotOffered(f"{self.name} has no reads")

    def write_many(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> Awaitable[object]:
        """One statement over many parameter sets, in one transaction."""
        raise NotOffered(f"{self.name} has no writes of many rows in one transaction")

    def find_or_create(self, name: str) -> Awaitable[object]:
        """The one row of this name: found, or made."""
        raise NotOffered(f"{self.name} has no transactions")

    def stream(self, sql: str) -> AsyncIterator[Any]:
        """A query's rows, without holding all of them in memory."""
        raise NotOffered(f"{self.name} has no streams")
