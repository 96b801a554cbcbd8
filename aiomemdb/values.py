"""Frozen values that the verbs hand out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, overload, runtime_checkable

__all__ = ["Result", "Row", "Statistics"]


@runtime_checkable
class Row(Protocol):
    """One row: ``row["name"]``, ``row[0]``, ``row.get("name")``, ``len(row)``, ``tuple(row)``, ``dict(row)``.

    It can't be changed, and can be copied and pickled. Two rows are equal, and have the same hash, where their names
    and their values are equal. How a name is looked up is the engine's: SQLite ignores case.

    Raises, from ``row[key]``: ``LookupError``: it has no such column. On SQLite it is an ``IndexError``; in Python's
    development mode (``python -X dev``) its message names the key and the columns.
    """

    @overload
    def __getitem__(self, key: int | str, /) -> Any: ...
    @overload
    def __getitem__(self, key: slice, /) -> tuple[Any, ...]: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Any]:
        """Its values, not its names."""
        ...

    def __hash__(self) -> int: ...
    def keys(self) -> list[str]:
        """The names of its columns, in order."""
        ...

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a column, or ``default`` where the row has no such column."""
        ...


@dataclass(frozen=True, slots=True)
class Result:
    """What one statement did, whatever it was: see ``write_any``."""

    columns: tuple[str, ...]
    """The names of its columns, also where it returned no row; () where it is a statement that returns none."""
    rows: list[Row]
    """The rows that it returned."""
    rowid: int | None
    """The rowid that it inserted, as ``write`` returns it."""
    count: int
    """How many rows it changed, as ``write_count`` returns it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """What a database is doing now (gauges) and has done since it was opened (counters); every engine says so much.

    Durations are seconds, sizes are bytes.
    """

    pending: int
    """Gauge: jobs that wait for the writer (those in ``running`` are not counted)."""
    running: int
    """Gauge: jobs in the batch that the writer runs now; 1 while a ``transaction()`` is open."""
    transaction_holder: str | None
    """Gauge: the name of the task that holds a ``transaction()`` now."""
    readers: int
    """Gauge: read-only connections that are open."""
    readers_busy: int
    """Gauge: of these, how many run queries or are held by a snapshot or a stream."""
    reads_pending: int
    """Gauge: queries that wait for a reader."""
    writes: int
    """Counter: jobs that were committed (each step of a ``transaction()`` counts as one)."""
    write_errors: int
    """Counter: jobs that ended in an error of their own."""
    batches: int
    """Counter: batches, one hop to the writer's thread each."""
    largest_batch: int
    """The most jobs that one batch held."""
    mean_batch: float
    """Jobs in a batch, on average."""
    batch_splits: int
    """Counter: times a transaction was rolled back and its jobs run again because one of them had spoilt it."""
    queue_wait: float
    """Upper bound of what the jobs of the latest batch waited before they were taken."""
    queue_wait_max: float
    """The largest ``queue_wait`` so far."""
    reads: int
    """Counter: queries answered, errors too; those of snapshots, streams and transactions as soon as they begin."""
    reader_wait_max: float
    """The longest that a snapshot or a stream waited for a reader."""
