"""What a framework's module offers to bench/frameworks.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TypeAlias

__all__ = ["Bar", "Open", "Step", "Workload"]

#: ``await step(agent, number)``: one step of one agent, acknowledged when it returns.
Step: TypeAlias = Callable[[int, int], Awaitable[object]]
#: Opens a class on the file of this path.
Open: TypeAlias = Callable[[str], AbstractAsyncContextManager[Step]]


@dataclass(frozen=True, slots=True)
class Bar:
    """What ours must reach against theirs, in the same run, with so many agents."""

    agents: int
    rate: float
    """Ours is at least so many times theirs."""
    p99: float | None = None
    """Ours is at most this part of theirs."""


@dataclass(frozen=True, slots=True)
class Workload:
    """One piece of work, as a framework's own class does it and as ours does.

    Attributes:
        what: for the table.
        theirs: the framework's class as it is shipped, by its name for the table, and how it is opened.
        others: in the same way, what stands between the two.
        stored: of a file, how often each (agent, number) is there, whole.
    """

    what: str
    theirs: tuple[str, Open]
    ours: tuple[str, Open]
    stored: Callable[[str], Counter[tuple[int, int]]]
    bar: Bar
    others: tuple[tuple[str, Open], ...] = ()
