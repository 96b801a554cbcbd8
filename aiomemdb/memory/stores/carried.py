"""What is carried from one engine to another: tables, their columns and their keys. Ids are kept.

A namespace that has no name is not carried, nor what is in it: it waits to be deleted.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .written import ENTITY, EPISODE, EVENT, FACT

__all__ = ["MARK", "TABLES", "Carrier", "Mark", "Table", "checksum"]

#: The key in memory_meta of a move that is not finished.
MARK = "move"


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the memory.

    Attributes:
        columns: with the namespace, whether the engine's table has it or what the row belongs to.
        key: what orders the rows, and is unique.
    """

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...] = ("id",)

    def key_of(self, row: Sequence[Any]) -> list[Any]:
        return [row[self.columns.index(column)] for column in self.key]


#: In the order in which they are carried: what a row belongs to comes before it.
TABLES: tuple[Table, ...] = (
    Table("memory_namespace", ("id", "name")),
    Table("vector_model", ("id", "name", "dim")),
    Table("memory_event", ("id", *EVENT.split())),
    Table("entity", tuple(ENTITY.split())),
    Table("merged", ("id", "namespace", "merged_into")),
    Table("entity_alias", ("namespace", "key", "type", "entity"), ("namespace", "key", "type")),
    Table("entity_similar", ("namespace", "a", "b", "cosine"), ("a", "b")),
    Table("episode", tuple(EPISODE.split())),
    Table("mention", ("namespace", "entity", "episode"), ("entity", "episode")),
    Table("fact", tuple(FACT.split())),
    Table("fact_evidence", ("id", "namespace", "fact", "episode", "quote", "confidence", "agent", "created_at")),
    Table("vector", ("namespace", "model", "kind", "ref", "data"), ("namespace", "model", "kind", "ref")),
)


@dataclass(slots=True)
class Mark:
    """How far a move has come.

    Attributes:
        source: what the source was as it began: its schema's first day, its newest line, how many lines.
        table: which one it is at.
        after: the key of the last row that was carried; []: none of the table.
    """

    source: list[int]
    table: int = 0
    after: Sequence[Any] = ()

    def to_text(self) -> str:
        return json.dumps([self.source, self.table, list(self.after)])

    @classmethod
    def of_text(cls, text: str) -> Mark:
        return cls(*json.loads(text))


def checksum(rows: Iterable[Sequence[Any]]) -> int:
    """A number of the values of rows, in whatever order they are."""
    total = 0
    for row in rows:
        digest = hashlib.blake2b(repr(tuple(row)).encode("utf-8", "surrogatepass"), digest_size=8)
        total += int.from_bytes(digest.digest())
    return total % 2**64


class Carrier(Protocol):
    """What a store does for a move. The source is read in one snapshot."""

    async def meta(self) -> dict[str, str] | None:
        """What the memory has recorded of itself; None: there is none. Raises: SchemaTooNew."""
        ...

    async def state(self) -> list[int]:
        """What ``Mark.source`` is."""
        ...

    async def slice(self, table: Table, after: Sequence[Any], limit: int) -> list[tuple[Any, ...]]:
        """The next rows of a table behind a key, in its order."""
        ...

    async def count(self, table: Table) -> int: ...

    async def begin(self, normalisers: dict[str, str], mark: Mark) -> None:
        """Make the tables, where there is no memory, and the mark."""
        ...

    async def take(self, table: Table, rows: Sequence[Sequence[Any]], mark: Mark) -> None:
        """Write rows, what they are found by, and the mark, in one transaction."""
        ...

    async def finish(self, meta: dict[str, str]) -> None:
        """Give what is carried its order and its next ids, and take the mark away: it is whole."""
        ...

    async def is_empty(self) -> bool:
        """Whether nothing was ever written to the memory."""
        ...
