"""A memory in an SQLite file, as what is moved or as where it goes."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from ....sqlite.engine.database import SQLiteDatabase
from ....sqlite.reading.snapshot import SQLiteSnapshot
from ..carried import MARK, Carrier, Mark, Table
from ..indexed import of_entity, of_episode, of_fact
from .identity import index_names
from .indexing import reindex
from .jobs import Opening
from .migrating import migrate, newest_version, version_of

__all__ = ["SQLiteCarrier"]

_NAMED = "JOIN memory_namespace n ON n.id = {}.namespace AND n.name IS NOT NULL"
# Where the rows of a table are, by its own letter t, and columns that stand elsewhere.
_FROM: dict[str, tuple[str, Mapping[str, str]]] = {
    "memory_namespace": ("memory_namespace t WHERE t.name IS NOT NULL", {}),
    "vector_model": ("vector_model t WHERE TRUE", {}),
    "memory_event": ("memory_event t WHERE TRUE", {}),
    "merged": (f"entity t {_NAMED.format('t')} WHERE t.merged_into IS NOT NULL", {}),
    "entity_similar": (
        f"entity_similar t JOIN entity e ON e.id = t.b {_NAMED.format('e')} WHERE TRUE",
        {"namespace": "e.namespace"},
    ),
    "mention": (
        f"mention t JOIN entity e ON e.id = t.entity {_NAMED.format('e')} "
        "JOIN episode p ON p.id = t.episode AND p.namespace = e.namespace WHERE TRUE",
        {"namespace": "e.namespace"},
    ),
    "fact_evidence": (
        f"fact_evidence t JOIN fact e ON e.id = t.fact {_NAMED.format('e')} WHERE TRUE",
        {"namespace": "e.namespace"},
    ),
}
_KINDS = ("entity", "episode", "fact")


def _source(table: Table) -> tuple[str, dict[str, str]]:
    source, elsewhere = _FROM.get(table.name, (f"{table.name} t {_NAMED.format('t')} WHERE TRUE", {}))
    return source, {column: elsewhere.get(column, f"t.{column}") for column in table.columns}


class SQLiteCarrier(Carrier):
    """Args: ``reads``: where it is read; the database itself where it is written."""

    def __init__(self, db: SQLiteDatabase, reads: SQLiteDatabase | SQLiteSnapshot) -> None:
        self._db = db
        self._reads = reads

    async def meta(self) -> dict[str, str] | None:
        return await self._reads.read_fn(_meta)

    async def state(self) -> list[int]:
        return await self._reads.read_fn(_state)

    async def is_empty(self) -> bool:
        return bool(await self._reads.read_value("SELECT count(*) = 0 FROM memory_event"))

    async def slice(self, table: Table, after: Sequence[Any], limit: int) -> list[tuple[Any, ...]]:
        source, columns = _source(table)
        key = ", ".join(columns[name] for name in table.key)
        behind = f"AND ({key}) > ({', '.join('?' * len(after))})" if after else ""
        rows = await self._reads.read(
            f"SELECT {', '.join(columns.values())} FROM {source} {behind} ORDER BY {key} LIMIT ?", (*after, limit)
        )
        return [tuple(row) for row in rows]

    async def count(self, table: Table) -> int:
        return int(await self._reads.read_value(f"SELECT count(*) FROM {_source(table)[0]}"))

    async def begin(self, normalisers: dict[str, str], mark: Mark) -> None:
        await self._db.write_fn(Opening(_begin), normalisers, mark)

    async def take(self, table: Table, rows: Sequence[Sequence[Any]], mark: Mark) -> None:
        await self._db.write_fn(Opening(_take), table, rows, mark)

    async def finish(self, meta: dict[str, str]) -> None:
        await self._db.write_fn(Opening(_finish), meta)
        await self._db.optimize()


def _meta(conn: sqlite3.Connection) -> dict[str, str] | None:
    found = version_of(conn)
    if not found:
        return None
    if found < newest_version():
        raise ValueError("the file's memory has an earlier schema: open it once with this version of aiomemdb")
    return dict(tuple(row) for row in conn.execute("SELECT key, value FROM memory_meta").fetchall())


def _state(conn: sqlite3.Connection) -> list[int]:
    return [
        conn.execute(sql).fetchone()[0]
        for sql in (
            "SELECT min(at) FROM memory_migration",
            "SELECT ifnull(max(id), 0) FROM memory_event",
            "SELECT count(*) FROM memory_event",
        )
    ]


def _put_mark(conn: sqlite3.Connection, mark: Mark) -> None:
    conn.execute(
        "INSERT INTO memory_meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (MARK, mark.to_text()),
    )


def _begin(conn: sqlite3.Connection, normalisers: dict[str, str], mark: Mark) -> None:
    migrate(conn, normalisers, normalisers)
    _put_mark(conn, mark)


def _take(conn: sqlite3.Connection, table: Table, rows: Sequence[Sequence[Any]], mark: Mark) -> None:
    columns = list(table.columns)
    written = [dict(zip(columns, row, strict=True)) for row in rows]
    if table.name == "merged":
        conn.executemany("UPDATE entity SET merged_into = :merged_into WHERE id = :id", written)
    else:
        if table.name in ("entity_similar", "mention", "fact_evidence"):  # theirs is that of what they belong to
            columns.remove("namespace")
        if table.name in _KINDS:
            columns += ["form", "terms"]
            for row in written:
                row["form"], row["terms"] = _found_by(table.name, row)
        names = ", ".join(f":{column}" for column in columns)
        conn.executemany(f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({names})", written)
    if table.name == "entity_alias":
        entities = {row["entity"] for row in written}
        index_names(conn, entities)
        reindex(conn, "entity", entities)
    elif table.name == "fact_evidence":
        reindex(conn, "fact", {row["fact"] for row in written if row["quote"]})
    _put_mark(conn, mark)


def _found_by(kind: str, row: Mapping[str, Any]) -> tuple[str | None, str]:
    if kind == "entity":
        return of_entity(row["name"], row["description"], "")
    if kind == "episode":
        return of_episode(row["content"], row["occurred_at"], row["occurred_offset"])
    return of_fact(row["text"], row["value"], ())


def _finish(conn: sqlite3.Connection, meta: dict[str, str]) -> None:
    conn.execute(
        "INSERT INTO memory_clock_back SELECT id FROM (SELECT id, at < lag(at) OVER (ORDER BY id) AS back "
        "FROM memory_event WHERE id > 0) WHERE back"
    )
    for kind in _KINDS:  # an id is never used again, of what was deleted either: the audit has it
        conn.execute(
            "UPDATE sqlite_sequence SET seq = max(seq, (SELECT ifnull(max(ref), 0) FROM memory_event WHERE kind = ?)) "
            "WHERE name = ?",
            (kind, kind),
        )
    for key, value in meta.items():
        conn.execute("INSERT INTO memory_meta VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value))
    conn.execute("DELETE FROM memory_meta WHERE key = ?", (MARK,))
