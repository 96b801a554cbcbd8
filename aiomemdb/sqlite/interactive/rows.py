"""What a statement returns: its first rows at once, and of more than that the rest in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias  # Any: a column may hold anything

__all__ = ["Answer", "Rest", "TextFactory", "Values"]

Values: TypeAlias = tuple[Any, ...]
#: What makes of the bytes of a text what the row holds.
TextFactory: TypeAlias = Callable[[bytes], object]


class Rest(Protocol):
    """The rows of an ``Answer`` behind its first ones, in constant memory. One caller at a time."""

    async def fetch(self, count: int) -> list[Values]:
        """The next rows; fewer than ``count``: there are no more.

        Raises: sqlite3.OperationalError: the transaction has ended; or the reader was needed, and others have written
            since, so that the rest of this state can't be read any more.
        """
        ...

    def close(self) -> None:
        """Return what it holds; nothing is awaited."""
        ...


@dataclass(slots=True)
class Answer:
    """What one statement did.

    Attributes:
        columns: their names, of a statement that returns rows, also where it returned none; otherwise None.
        rows: plain tuples.
        rowid: that it inserted, or None.
        count: how many rows it changed; -1: it is none that changes rows.
        rest: the rows behind ``rows``, where there are too many to hold at once.
    """

    columns: tuple[str, ...] | None = None
    rows: list[Values] | tuple[()] = ()
    rowid: int | None = None
    count: int = -1
    rest: Rest | None = None
