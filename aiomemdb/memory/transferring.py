"""A memory as it is, ids and all, from one database into another: of the same engine, or of another one.

1. The source is read in one snapshot, and only read.
2. A slice and its mark are one transaction: a move that was cut short goes on behind it.
3. While there is a mark, the target is opened as no memory.
4. At the end all rows of both are read again and compared; then the mark goes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from ..database import Database
from ..errors import AiomemdbError
from .stores.carried import MARK, TABLES, Carrier, Mark, Table, checksum
from .stores.choosing import carrier_of

__all__ = ["Moved", "transfer"]

# Rows of a slice, and of vectors, which are longer.
_SLICE, _OF_VECTORS = 2_000, 500
# What a memory says of itself, beside its normalisers; what waits in it to be done stays there.
_OWN = ("model", "near names left")
#: By table, how many rows there are.
Moved: TypeAlias = dict[str, int]


async def transfer(
    source: Database, target: Database, progress: Callable[[str, int, int], object] | None = None
) -> Moved:
    """Move a memory into a database that has none, or in which a move of this memory was cut short.

    Args:
        progress: called with a table, how many of its rows are there, and how many it has.

    Raises:
        ValueError: the source has no memory, or one of an earlier schema; the target has another one, or a part of
            another one; a text holds a NUL character, which the message names by its table and id.
        SchemaTooNew: one of them has a later schema.
        AiomemdbError: what has arrived is not what the source has.

    Cancellation: what was moved stays, and the next call goes on behind it.
    """
    async with source.snapshot() as snapshot:
        there, here = carrier_of(source, snapshot), carrier_of(target, target)
        meta = await there.meta()
        if meta is None:
            raise ValueError("the source has no memory: name a file or a database that holds one")
        if MARK in meta:
            raise ValueError("the source is itself the target of a move that is not finished: finish that one first")
        mark = await _begun(there, here, meta)
        moved: Moved = {}
        for number, table in enumerate(TABLES):
            count = moved[table.name] = await there.count(table)
            if number >= mark.table:
                await _carry(there, here, table, count, Mark(mark.source, number, mark.after), progress)
                mark.after = ()
        for table in TABLES:
            if await _sum(there, table) != await _sum(here, table):
                raise AiomemdbError(f"{table.name} is not what the source has: move it into an empty database again")
        await here.finish({key: value for key, value in meta.items() if key in _OWN})
        return moved


async def _begun(there: Carrier, here: Carrier, meta: dict[str, str]) -> Mark:
    """How far the target is. Raises: ValueError."""
    state = await there.state()
    found = await here.meta()
    if found is not None and MARK in found:
        mark = Mark.of_text(found[MARK])
        if mark.source != state:
            raise ValueError("the target has a part of another memory, or of this one as it was before: empty it first")
        return mark
    if found is not None and not await here.is_empty():
        raise ValueError("the target has a memory already: give one that has none")
    mark = Mark(state)
    await here.begin({key: value for key, value in meta.items() if key.endswith("normaliser")}, mark)
    return mark


async def _carry(
    there: Carrier,
    here: Carrier,
    table: Table,
    count: int,
    mark: Mark,
    progress: Callable[[str, int, int], object] | None,
) -> None:
    limit = _OF_VECTORS if table.name == "vector" else _SLICE
    while rows := await there.slice(table, mark.after, limit):
        for row in rows:
            if any(isinstance(value, str) and "\0" in value for value in row):
                raise ValueError(f"{table.name} {', '.join(map(str, table.key_of(row)))} holds a NUL character")
        mark.after = table.key_of(rows[-1])
        await here.take(table, rows, mark)
        if progress is not None:
            progress(table.name, await here.count(table), count)


async def _sum(carrier: Carrier, table: Table) -> tuple[int, int]:
    """How many rows there are, and a number of their values."""
    count, total, after = 0, 0, list[object]()
    limit = _OF_VECTORS if table.name == "vector" else _SLICE
    while rows := await carrier.slice(table, after, limit):
        count, total, after = count + len(rows), total + checksum(rows), table.key_of(rows[-1])
    return count, total % 2**64
