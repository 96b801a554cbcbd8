"""What a transaction is told when it begins, and what its calls are."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..connection.guarded import GuardedConnection
from .snapshots import Snapshot
from .writing import Writing

__all__ = ["Mode", "Rule", "Work"]

R_co = TypeVar("R_co", covariant=True)


class Mode(enum.Enum):
    """How a transaction begins."""

    DEFERRED = enum.auto()
    IMMEDIATE = enum.auto()
    """With the writer, which it does not give up."""
    READ_ONLY = enum.auto()
    """On a snapshot; a write is SQLite's read-only error."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The times of the rule, in seconds."""

    patience: float = 0.25
    """How long a transaction waits for the writer behind one that holds it, before it begins as a snapshot."""
    idle: float = 0.1
    """How long one that has only read may keep the writer while it asks for nothing. While others wait: a 25th."""
    timeout: float = 5.0
    """How long a write waits for the writer; then it is "database is locked"."""


class Work(Protocol[R_co]):
    """What one call of a transaction does.

    Attributes:
        writes: it is known to write; otherwise SQLite says.
        only_reads: it is known not to write, and may be interrupted.
        verb, subject: what an observer is told: a verb of the core, and its SQL or function. None: nothing.
    """

    writes: bool
    only_reads: bool
    verb: str
    subject: object

    def run(self, writing: Writing, raw: GuardedConnection) -> R_co:
        """On the writer's thread.

        Raises: TooLarge: the result is to be read on a snapshot.
        """
        ...

    async def ask(self, snapshot: Snapshot) -> R_co:
        """On a snapshot."""
        ...
