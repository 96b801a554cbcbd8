"""AiomemdbCache: LangGraph's cache of what nodes returned."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Self, TypeVar

from langgraph.cache.base import BaseCache, FullKey, Namespace
from langgraph.checkpoint.base import SerializerProtocol

from ...engines import connect
from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_text
from .._tables import Tables, checked_database
from .._threads import Synchronously

__all__ = ["AiomemdbCache"]

V = TypeVar("V")

_TABLES = Tables(
    "LangGraph's cache",
    """CREATE TABLE IF NOT EXISTS cache (
        ns TEXT,
        key TEXT,
        expiry REAL,
        encoding TEXT NOT NULL,
        val BLOB NOT NULL,
        PRIMARY KEY (ns, key)
    )""",
    "CREATE INDEX IF NOT EXISTS cache_expiry ON cache (expiry) WHERE expiry IS NOT NULL",
)
_GET = "SELECT encoding, val FROM cache WHERE ns = ? AND key = ? AND (expiry IS NULL OR expiry > ?)"  # of one key
_SET = "INSERT OR REPLACE INTO cache (ns, key, expiry, encoding, val) VALUES (?, ?, ?, ?, ?)"
# With each job that sets; more than any is likely to put in, so the file does not grow.
_FORGET_EXPIRED = "DELETE FROM cache WHERE rowid IN (SELECT rowid FROM cache WHERE expiry <= ? LIMIT 100)"


class AiomemdbCache(BaseCache[V]):
    """A cache on an aiomemdb database: ``builder.compile(cache=AiomemdbCache(db))``.

    The table is that of LangGraph's ``SqliteCache``. A namespace is kept as a JSON array, so that no two are one; what
    ``SqliteCache`` has put into the file is under other names, and is not found.

    Args:
        db: an open database of ``aiomemdb.connect``, or one that is opened before the first call.
        serde: the serializer; default: LangGraph's own, which unpickles nothing.

    Raises, from each call: ``ValueError``: a key that is no text, or the file has another table of this name; what the
    database's verbs raise.
    Cancellation, of each call: the job never runs, or runs wholly.
    """

    def __init__(self, db: SQLiteDatabase, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self.db: SQLiteDatabase = checked_database(db, self)
        self._synchronously = Synchronously(type(self).__name__)

    @classmethod
    @asynccontextmanager
    async def from_conn_string(
        cls, conn_string: str, *, serde: SerializerProtocol | None = None, **options: Any
    ) -> AsyncIterator[Self]:
        """Open a database, and close it at the end of the block. Args: as for ``AiomemdbSaver.from_conn_string``."""
        async with connect(conn_string, **options) as db:
            yield cls(db, serde=serde)

    async def setup(self) -> None:
        """Make the table, where it is missing. Each method does so first."""
        self._synchronously.note_loop()
        await _TABLES.made_in(self.db)

    async def aget(self, keys: Sequence[FullKey]) -> dict[FullKey, V]:
        """Return the values of those keys that have one, all of one state."""
        rows = {_row_key(key): (tuple(key[0]), key[1]) for key in keys}
        if not rows:
            return {}
        await self.setup()
        found = await self.db.read_fn(_get, list(rows), time.time())
        return {rows[at]: self.serde.loads_typed(typed) for at, typed in found.items()}

    async def aset(self, pairs: Mapping[FullKey, tuple[V, int | None]]) -> None:
        """Keep values, in one job.

        Args:
            pairs: by key, a value and the seconds that it is kept for, or None: until it is cleared.

        Raises: TypeError, ValueError: such seconds are no number.
        """
        now = time.time()
        rows = [
            (*_row_key(key), None if ttl is None else now + _seconds(ttl, key), *self.serde.dumps_typed(value))
            for key, (value, ttl) in pairs.items()
        ]
        if rows:
            await self.setup()
            await self.db.write_fn(_set, rows, now)

    async def aclear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """Forget the values of these namespaces, or of all, in one job."""
        names = None if namespaces is None else [(_row_namespace(namespace),) for namespace in namespaces]
        await self.setup()
        if names is None:
            await self.db.write("DELETE FROM cache")
        else:
            await self.db.write_many("DELETE FROM cache WHERE ns = ?", names)

    # For other threads

    def get(self, keys: Sequence[FullKey]) -> dict[FullKey, V]:
        """As ``aget``, from another thread."""
        return self._synchronously.run(self.aget, keys)

    def set(self, pairs: Mapping[FullKey, tuple[V, int | None]]) -> None:
        """As ``aset``, from another thread."""
        self._synchronously.run(self.aset, pairs)

    def clear(self, namespaces: Sequence[Namespace] | None = None) -> None:
        """As ``aclear``, from another thread."""
        self._synchronously.run(self.aclear, namespaces)


def _row_key(key: FullKey) -> tuple[str, str]:
    return _row_namespace(key[0]), checked_text("key", key[1])


def _seconds(ttl: object, key: FullKey) -> float:
    if not isinstance(ttl, int | float):
        raise TypeError(f"ttl={ttl!r} of {key[1]!r}: seconds, or None")
    if math.isnan(ttl):  # which SQLite keeps as NULL: for ever
        raise ValueError(f"ttl={ttl!r} of {key[1]!r}: seconds, or None")
    return ttl


def _row_namespace(namespace: Namespace) -> str:
    if isinstance(namespace, str):
        raise TypeError(f"namespace={namespace!r}: a tuple of labels, not one")
    return json.dumps([checked_text("a namespace's label", label) for label in namespace], ensure_ascii=False)


def _get(
    conn: sqlite3.Connection, keys: Sequence[tuple[str, str]], now: float
) -> dict[tuple[str, str], tuple[str, bytes]]:
    found = ((key, conn.execute(_GET, (*key, now)).fetchone()) for key in keys)
    return {key: tuple(row) for key, row in found if row is not None}


def _set(conn: sqlite3.Connection, rows: Sequence[tuple[str, str, float | None, str, bytes]], now: float) -> None:
    conn.executemany(_SET, rows)
    conn.execute(_FORGET_EXPIRED, (now,))
