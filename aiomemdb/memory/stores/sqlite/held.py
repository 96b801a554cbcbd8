"""Values of facts, held in memory: a part of a text is found there ten times as fast as by a scan of the table.

1. What is held of a fact never changes: a value is never written again, and no id is used twice.
2. It says which facts may have a part, and the snapshot of the question says which of them count. So it may hold facts
   that are believed no more, and newer ones than the snapshot has.
3. Where anything was forgotten, nothing stays held. The question that finds that out scans, and so does the first
   one of all: what is forgotten again and again, or asked once, is not read for nothing.
4. It is read by ranges of ids, each once it is full. Newer facts are scanned.
"""

from __future__ import annotations

import json
import sqlite3
from array import array
from collections.abc import Sequence
from threading import Lock
from typing import NamedTuple

from ...substrings import lowered

__all__ = ["HeldValues"]

_RANGE = 4096
# Bytes of text: of a memory that has more, none is held.
_MOST = 64 * 1024 * 1024
# Facts that may have a part: above that a scan is faster than a look at each of them.
_FOUND = 10_000
_FORGOTTEN = "SELECT EXISTS (SELECT 1 FROM memory_event WHERE id > ? AND operation = 'forget')"
_HERE = (
    "FROM fact f JOIN memory_namespace n ON n.id = f.namespace AND n.name IS NOT NULL "
    "WHERE f.id > ? AND f.id <= ? AND f.object IS NULL"
)
_GIVEN = "ifnull(f.value_given, f.value)"
# A text as it is, without JSON's quotes and escapes; other values as JSON, as which they are looked at.
_READ = (
    f"SELECT json_group_array(id), group_concat(iif(json_type(value) = 'text', value ->> '$', value), char(0)) "
    f"FROM (SELECT f.id, {_GIVEN} AS value {_HERE} ORDER BY f.id)"
)


class _Range(NamedTuple):
    """Ids, and behind one another, with a NUL between, the values in small letters, in UTF-8."""

    ids: array[int]
    values: bytes


class HeldValues:
    """Those of one database. For any number of threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._ranges: tuple[_Range, ...] = ()
        self._bytes = 0
        self._since: int | None = None  # the event since which nothing was forgotten ...
        self._seen = 0  # ... up to this one

    def with_part(self, conn: sqlite3.Connection, part: str) -> tuple[Sequence[int], int]:
        """(ids, last): the facts up to the last id that may have a part, which is in small letters. The rest is to be
        scanned; ((), 0) is all.

        Args:
            conn: a snapshot of what was committed.
        """
        if not self._lock.acquire(blocking=False):
            return (), 0  # another question reads
        try:
            ranges = self._up_to_date(conn)
        finally:
            self._lock.release()
        sought, found = part.encode("utf-8", "surrogatepass"), list[int]()
        for ids, values in ranges:
            if sought in values:
                found += [id for id, value in zip(ids, values.split(b"\0"), strict=True) if sought in value]
                if len(found) > _FOUND:
                    return (), 0
        return found, len(ranges) * _RANGE

    def _up_to_date(self, conn: sqlite3.Connection) -> tuple[_Range, ...]:
        newest: int
        last: int
        newest, last = conn.execute(
            "SELECT ifnull((SELECT max(id) FROM memory_event), 0), ifnull((SELECT max(id) FROM fact), 0)"
        ).fetchone()
        if self._since is None or conn.execute(_FORGOTTEN, (self._seen,)).fetchone()[0]:
            self._ranges, self._bytes, self._since, self._seen = (), 0, newest, newest
            return ()
        if newest < self._since:
            return ()  # a snapshot from before: what was forgotten since is there
        self._seen = max(self._seen, newest)
        while (len(self._ranges) + 1) * _RANGE <= last and self._bytes <= _MOST:
            self._read(conn, len(self._ranges) * _RANGE)
        return self._ranges if self._bytes <= _MOST else ()

    def _read(self, conn: sqlite3.Connection, after: int) -> None:
        ids = (after, after + _RANGE)
        [size] = conn.execute(f"SELECT total(length(CAST({_GIVEN} AS BLOB))) {_HERE}", ids).fetchone()
        self._bytes += int(size)
        if self._bytes > _MOST:
            self._ranges = ()
            return
        listed, values = conn.execute(_READ, ids).fetchone()
        self._ranges += (_Range(array("q", json.loads(listed)), lowered(values or "").encode()),)
