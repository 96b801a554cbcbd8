"""The savepoints of a transaction, by name. Nothing here touches a connection."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

__all__ = ["Mark", "Savepoints"]


@dataclass(frozen=True, slots=True)
class Mark:
    """What is to be done with the savepoint of this depth before the next statement: SAVEPOINT, RELEASE, …"""

    verb: str
    depth: int


class Savepoints:
    """Those that are open, and what the connection is still to be told of them.

    Where a transaction has written nothing they are names alone: on a snapshot none is opened, and when it gets the
    writer all are opened anew.

    Attributes:
        names: from the outermost to the innermost.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self._marks: list[Mark] = []

    def open(self, name: str) -> None:
        self.names.append(name)
        self._marks.append(Mark("SAVEPOINT", len(self.names)))

    def release(self, name: str) -> None:
        """Raises: sqlite3.OperationalError: there is no such savepoint."""
        depth = self._depth(name)
        del self.names[depth - 1 :]
        self._marks.append(Mark("RELEASE", depth))

    def roll_back_to(self, name: str) -> None:
        """Raises: sqlite3.OperationalError: there is no such savepoint."""
        depth = self._depth(name)
        del self.names[depth:]
        self._marks.append(Mark("ROLLBACK TO", depth))

    def is_outermost(self, name: str) -> bool:
        """Raises: sqlite3.OperationalError: there is no such savepoint."""
        return self._depth(name) == 1

    def _depth(self, name: str) -> int:
        for depth in range(len(self.names), 0, -1):
            if self.names[depth - 1] == name:
                return depth
        raise sqlite3.OperationalError(f"no such savepoint: {name}")

    def take(self) -> list[Mark]:
        """What is to be done before the next statement, once."""
        marks, self._marks = self._marks, []
        return marks

    def open_all(self) -> None:
        """A connection has begun on which none of them is open."""
        self._marks = [Mark("SAVEPOINT", depth) for depth in range(1, len(self.names) + 1)]
