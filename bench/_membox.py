"""How membox (https://github.com/royisme/membox) finds or creates an entity: its published algorithm, written anew.

An alias is looked up without a lock. If it is missing: one RLock for the whole process, the alias again, the embedding,
a linear scan of all vectors for the nearest above a threshold, and two inserts in a transaction, all under the lock.
Each thread has a connection of its own.
"""

from __future__ import annotations

import math
import sqlite3
import struct
import threading
from collections.abc import Callable, Iterable, Sequence

__all__ = ["Membox"]

_SCHEMA = """
    CREATE TABLE entity (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, type TEXT NOT NULL, description TEXT NOT NULL, vector BLOB
    );
    CREATE TABLE alias (alias TEXT PRIMARY KEY, entity INTEGER NOT NULL REFERENCES entity(id));
"""


class Membox:
    """``embed`` returns the vector of a name; None: names are told apart by their words alone."""

    def __init__(
        self, path: str, embed: Callable[[str], Sequence[float]] | None = None, threshold: float = 0.85
    ) -> None:
        self._path = path
        self._embed = embed
        self._threshold = threshold
        self._local = threading.local()
        self._lock = threading.RLock()

    def create(self) -> None:
        self._connection().executescript(_SCHEMA)

    def fill(self, names: Iterable[str], vectors: Iterable[Sequence[float] | None]) -> None:
        """Entities that are there before the measurement begins, in one transaction."""
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        for name, vector in zip(names, vectors, strict=True):
            self._insert(connection, name, vector)
        connection.execute("COMMIT")

    def close(self) -> None:
        """Closes the calling thread's connection."""
        self._connection().close()
        del self._local.connection

    def find_or_create(self, name: str) -> int:
        alias = _normalised(name)
        found = self._by_alias(alias)
        if found is not None:
            return found
        with self._lock:
            found = self._by_alias(alias)
            if found is not None:
                return found
            vector = None
            if self._embed is not None:
                vector = self._embed(name)
                near = self._nearest(vector)
                if near is not None:
                    self._write(lambda connection: self._add_alias(connection, alias, near))
                    return near
            return self._write(lambda connection: self._insert(connection, name, vector))

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = sqlite3.connect(self._path, isolation_level=None, timeout=30)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=NORMAL")
            connection.execute("PRAGMA foreign_keys=ON")
        return connection

    def _by_alias(self, alias: str) -> int | None:
        row = self._connection().execute("SELECT entity FROM alias WHERE alias = ?", (alias,)).fetchone()
        return None if row is None else row[0]

    def _nearest(self, vector: Sequence[float]) -> int | None:
        best, best_cosine = None, self._threshold
        length = math.sqrt(sum(x * x for x in vector))
        rows = self._connection().execute("SELECT id, vector FROM entity WHERE vector IS NOT NULL").fetchall()
        for id, data in rows:
            other = struct.unpack(f"{len(data) // 4}f", data)
            product = sum(x * y for x, y in zip(vector, other, strict=True))
            cosine = product / (length * math.sqrt(sum(y * y for y in other)))
            if cosine > best_cosine:
                best, best_cosine = id, cosine
        return best

    def _write(self, change: Callable[[sqlite3.Connection], int]) -> int:
        connection = self._connection()
        connection.execute("BEGIN IMMEDIATE")
        try:
            changed = change(connection)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        return changed

    def _insert(self, connection: sqlite3.Connection, name: str, vector: Sequence[float] | None) -> int:
        data = None if vector is None else struct.pack(f"{len(vector)}f", *vector)
        id = connection.execute(
            "INSERT INTO entity (name, type, description, vector) VALUES (?, 'thing', '', ?)", (name, data)
        ).lastrowid
        assert id is not None
        return self._add_alias(connection, _normalised(name), id)

    @staticmethod
    def _add_alias(connection: sqlite3.Connection, alias: str, entity: int) -> int:
        connection.execute("INSERT OR IGNORE INTO alias VALUES (?, ?)", (alias, entity))
        return entity


def _normalised(name: str) -> str:
    return " ".join(name.lower().split())
