"""The store's tables, and what each operation does with them. SQL alone: nothing here knows LangGraph."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias

from .._tables import Tables
from .filters import matches, narrowed
from .rows import Row
from .scores import Distance, by_meaning, by_words

__all__ = [
    "REFRESH",
    "TABLES",
    "Delete",
    "Get",
    "Namespaces",
    "Put",
    "Row",
    "Search",
    "Step",
    "refreshed",
    "run",
    "sweep",
]

TABLES = Tables(
    "LangGraph's store",
    """CREATE TABLE IF NOT EXISTS store (
        prefix text NOT NULL,
        key text NOT NULL,
        value text NOT NULL,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        expires_at TIMESTAMP,
        ttl_minutes REAL,
        PRIMARY KEY (prefix, key)
    )""",
    "CREATE INDEX IF NOT EXISTS store_prefix_idx ON store (prefix)",
    "CREATE INDEX IF NOT EXISTS idx_store_expires_at ON store (expires_at) WHERE expires_at IS NOT NULL",
    """CREATE TABLE IF NOT EXISTS store_vectors (
        prefix text NOT NULL,
        key text NOT NULL,
        field_name text NOT NULL,
        embedding BLOB,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        PRIMARY KEY (prefix, key, field_name),
        FOREIGN KEY (prefix, key) REFERENCES store(prefix, key) ON DELETE CASCADE
    )""",
    # So that LangGraph's own store takes the tables for its own, and makes none of these steps again.
    "CREATE TABLE IF NOT EXISTS store_migrations (v INTEGER PRIMARY KEY)",
    "INSERT OR IGNORE INTO store_migrations VALUES (0), (1), (2), (3), (4)",
    "CREATE TABLE IF NOT EXISTS vector_migrations (v INTEGER PRIMARY KEY)",
    "INSERT OR IGNORE INTO vector_migrations VALUES (0)",
    added={("store", "expires_at"): "TIMESTAMP", ("store", "ttl_minutes"): "REAL"},
)

# Texts of times are UTC and compare as they stand, with a fraction of a second or without.
_NOW = "strftime('%Y-%m-%d %H:%M:%f', 'now')"
_COLUMNS = "prefix, key, value, created_at, updated_at, ttl_minutes"
_AT = "prefix = ? AND key = ?"
_PUT = (
    "INSERT INTO store (prefix, key, value, created_at, updated_at, expires_at, ttl_minutes) "
    "VALUES (:prefix, :key, :value, :now, :now, :expires_at, :ttl) ON CONFLICT DO UPDATE SET "
    "value = :value, updated_at = :now, expires_at = :expires_at, ttl_minutes = :ttl"
)
_PUT_VECTOR = (
    "INSERT INTO store_vectors (prefix, key, field_name, embedding, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)"
)
_FORGET_VECTORS = f"DELETE FROM store_vectors WHERE {_AT}"
REFRESH = (
    "UPDATE store SET expires_at = strftime('%Y-%m-%d %H:%M:%f', 'now', ttl_minutes || ' minutes') "
    "WHERE ttl_minutes IS NOT NULL AND (prefix, key) IN "
    "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?))"
)
# At most so many in a job, so that others wait shortly.
_SWEPT = 1000
_SWEEP = f"DELETE FROM store WHERE rowid IN (SELECT rowid FROM store WHERE expires_at < {_NOW} LIMIT {_SWEPT})"

Loads: TypeAlias = Callable[[str | bytes], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Put:
    prefix: str
    key: str
    value: str
    now: str
    expires_at: str | None
    ttl: float | None
    vectors: Sequence[tuple[str, bytes]] = ()

    def run(self, conn: sqlite3.Connection) -> None:
        at = (self.prefix, self.key)
        conn.execute(
            _PUT,
            {
                "prefix": self.prefix,
                "key": self.key,
                "value": self.value,
                "now": self.now,
                "expires_at": self.expires_at,
                "ttl": self.ttl,
            },
        )
        conn.execute(_FORGET_VECTORS, at)
        for name, vector in self.vectors:
            conn.execute(_PUT_VECTOR, (*at, name, vector, self.now, self.now))


@dataclass(frozen=True, slots=True)
class Delete:
    prefix: str
    key: str

    def run(self, conn: sqlite3.Connection) -> None:
        conn.execute(_FORGET_VECTORS, (self.prefix, self.key))  # also where foreign keys are off
        conn.execute(f"DELETE FROM store WHERE {_AT}", (self.prefix, self.key))


@dataclass(frozen=True, slots=True)
class Get:
    prefix: str
    key: str
    live: bool
    refreshes: bool

    def run(self, conn: sqlite3.Connection) -> list[Row]:
        where = f"{_AT} AND {_LIVE}" if self.live else _AT
        row = conn.execute(f"SELECT {_COLUMNS} FROM store WHERE {where}", (self.prefix, self.key)).fetchone()
        return [] if row is None else [Row(*row)]


@dataclass(frozen=True, slots=True)
class Search:
    """Items of a namespace and of those below it, the best or latest first.

    Attributes:
        live: whether those that have expired are left out.
        vector: items are compared with it; None: by the words of ``text``, where there are some.
        loads: reads a value.
    """

    prefix: str
    filter: Mapping[str, Any]
    limit: int
    offset: int
    live: bool
    refreshes: bool
    loads: Loads
    text: str = ""
    vector: Sequence[float] | None = None
    distance: Distance = "cosine"

    def run(self, conn: sqlite3.Connection) -> list[Row]:
        if self.vector is not None:
            return self._by_meaning(conn, self.vector)
        rows = self._rows(conn, as_many=None if self.text or self.filter else self.offset + self.limit)
        if self.text:
            rows = iter(by_words(self.text, rows, self.loads))
        return list(islice(rows, self.offset, self.offset + self.limit))

    def _where(self) -> tuple[str, list[object]]:
        conditions, params = _within(self.prefix)
        if self.live:
            conditions.append(_LIVE)
        for condition, values in narrowed(self.filter):
            conditions.append(condition)
            params.extend(values)
        return " AND ".join(conditions) or "TRUE", params

    def _rows(self, conn: sqlite3.Connection, *, as_many: int | None) -> Iterator[Row]:
        where, params = self._where()
        # A value is read by no other means than one row after another, so that the first ones are enough.
        found = conn.execute(
            f"SELECT {_COLUMNS} FROM store WHERE {where} ORDER BY updated_at DESC, prefix, key LIMIT ?",
            [*params, -1 if as_many is None else as_many],
        )
        rows = (Row(*row) for row in found)
        return self._matching(rows) if self.filter else rows

    def _matching(self, rows: Iterable[Row]) -> Iterator[Row]:
        for row in rows:
            assert not isinstance(row.value, dict)
            value = self.loads(row.value)
            if matches(value, self.filter):
                yield row._replace(value=value)

    def _by_meaning(self, conn: sqlite3.Connection, vector: Sequence[float]) -> list[Row]:
        where, params = self._where()
        value = "value" if self.filter else "NULL"
        found = conn.execute(
            f"SELECT prefix, key, {value}, embedding FROM store JOIN store_vectors USING (prefix, key) WHERE {where}",
            params,
        )
        keys: list[tuple[str, str]] = []
        vectors: list[bytes] = []
        for prefix, key, text, embedding in found:
            if not self.filter or matches(self.loads(text), self.filter):
                keys.append((prefix, key))
                vectors.append(embedding)
        best = by_meaning(vector, keys, vectors, self.distance)[self.offset : self.offset + self.limit]
        of_key = f"SELECT {_COLUMNS} FROM store WHERE {_AT}"
        return [Row(*conn.execute(of_key, key).fetchone())._replace(score=score) for key, score in best]


@dataclass(frozen=True, slots=True)
class Namespaces:
    """The names of all namespaces that hold an item, as they are kept; those that begin otherwise are left out."""

    prefixes: Sequence[str] = field(default_factory=tuple)
    live: bool = False

    def run(self, conn: sqlite3.Connection) -> list[str]:
        conditions: list[str] = [_LIVE] if self.live else []
        params: list[object] = []
        for prefix in self.prefixes:
            more, values = _within(prefix)
            conditions += more
            params += values
        where = " AND ".join(conditions) or "TRUE"
        return [prefix for (prefix,) in conn.execute(f"SELECT DISTINCT prefix FROM store WHERE {where}", params)]


Step: TypeAlias = Put | Delete | Get | Search | Namespaces

_LIVE = f"(expires_at IS NULL OR expires_at >= {_NOW})"


def _within(prefix: str) -> tuple[list[str], list[object]]:
    """The namespace of this name and those below it: "/" is the character behind ".". Every other one is a letter."""
    if not prefix:
        return [], []
    return ["(prefix = ? OR (prefix >= ? AND prefix < ?))"], [prefix, f"{prefix}.", f"{prefix}/"]


def run(conn: sqlite3.Connection, steps: Sequence[Step]) -> list[Any]:
    """Runs steps in their order; with one that writes among them, what they have read is refreshed in the end."""
    results = [step.run(conn) for step in steps]
    if any(isinstance(step, Put | Delete) for step in steps) and (keys := refreshed(steps, results)):
        conn.execute(REFRESH, (keys,))
    return results


def refreshed(steps: Sequence[Step], results: Sequence[Any]) -> str | None:
    """The keys of what was read and lives on by that, as JSON; None: none does."""
    read = {
        (row.prefix, row.key)
        for step, rows in zip(steps, results, strict=True)
        if isinstance(step, Get | Search) and step.refreshes
        for row in rows
        if row.ttl is not None
    }
    return json.dumps(sorted(read)) if read else None


def sweep(conn: sqlite3.Connection) -> tuple[int, bool]:
    """Deletes some of what has expired; returns how many, and whether there may be more."""
    swept = conn.execute(_SWEEP).rowcount
    return swept, swept == _SWEPT
