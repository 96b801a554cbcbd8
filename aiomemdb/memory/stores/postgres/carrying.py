"""A memory in a PostgreSQL database, as what is moved or as where it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....postgres.database import PostgresDatabase
from ....postgres.snapshot import PostgresSnapshot
from ..carried import MARK, Carrier, Mark, Table
from .asking import Asking
from .opening import migrate, newest_version, version_of
from .schema import ANALYZED, ID_RANGE, KINDS
from .statements import Statement, insert, rows_from, statement
from .words import Words, reindex, text_of, unbelieve

__all__ = ["PostgresCarrier"]

_NAMED = "JOIN aiomemdb.memory_namespace n ON n.id = t.namespace AND n.name IS NOT NULL"
_FROM: dict[str, str] = {
    "memory_namespace": "aiomemdb.memory_namespace t WHERE t.name IS NOT NULL",
    "vector_model": "aiomemdb.vector_model t WHERE TRUE",
    "memory_event": "aiomemdb.memory_event t WHERE TRUE",
    "merged": f"aiomemdb.entity t {_NAMED} WHERE t.merged_into IS NOT NULL",
}
_INTEGERS = ("id", "namespace", "model", "ref", "a", "b", "entity", "episode")


def _source(table: Table) -> str:
    return _FROM.get(table.name, f"aiomemdb.{table.name} t {_NAMED} WHERE TRUE")


class PostgresCarrier(Carrier):
    """Args: ``reads``: where it is read; the database itself where it is written."""

    def __init__(self, db: PostgresDatabase, reads: PostgresDatabase | PostgresSnapshot) -> None:
        self._db = db
        self._asking = Asking(reads)

    async def meta(self) -> dict[str, str] | None:
        found = await version_of(self._asking)
        if not found:
            return None
        if found < newest_version():
            raise ValueError("the database's memory has an earlier schema: open it once with this version of aiomemdb")
        rows = await self._asking.rows("SELECT key, value FROM aiomemdb.memory_meta ORDER BY key")
        return {row["key"]: row["value"] for row in rows if row["value"]}

    async def state(self) -> list[int]:
        [row] = await self._asking.rows(
            "SELECT (SELECT min(at) FROM aiomemdb.memory_migration), coalesce(max(id), 0), count(*) "
            "FROM aiomemdb.memory_event"
        )
        return list(row)

    async def is_empty(self) -> bool:
        [[empty]] = await self._asking.rows("SELECT NOT EXISTS (SELECT 1 FROM aiomemdb.memory_event)")
        return bool(empty)

    async def slice(self, table: Table, after: Sequence[Any], limit: int) -> list[tuple[Any, ...]]:
        key = ", ".join(f"t.{name}" for name in table.key)
        given = dict(zip((f"after_{name}" for name in table.key), after, strict=False))
        places = ", ".join(f":after_{name}::{'bigint' if name in _INTEGERS else 'text'}" for name in table.key)
        rows = await self._asking.rows(
            f"SELECT {', '.join(f't.{name}' for name in table.columns)} FROM {_source(table)} "
            f"{f'AND ({key}) > ({places})' if after else ''} ORDER BY {key} LIMIT :limit::int",
            **given,
            limit=limit,
        )
        return [tuple(row) for row in rows]

    async def count(self, table: Table) -> int:
        [[count]] = await self._asking.rows(f"SELECT count(*) FROM {_source(table)}")
        return int(count)

    async def begin(self, normalisers: dict[str, str], mark: Mark) -> None:
        async with self._db.transaction() as tx:
            await migrate(tx, normalisers, normalisers)
            await Asking(tx).all([_mark(mark)])

    async def take(self, table: Table, rows: Sequence[Sequence[Any]], mark: Mark) -> None:
        columns = " ".join(table.columns)
        written = [dict(zip(table.columns, row, strict=True)) for row in rows]
        here = sorted({row["namespace"] for row in written if "namespace" in row})
        async with self._db.transaction() as tx:
            asking, words = Asking(tx), Words()
            statements: list[Statement] = []
            if table.name == "merged":
                source, params = rows_from(columns, rows)
                sql = f"UPDATE aiomemdb.entity t SET merged_into = r.merged_into FROM {source} "
                statements.append(statement(f"{sql} WHERE t.namespace = r.namespace AND t.id = r.id", params))
                statements += unbelieve("entity", here, [row["id"] for row in written])
            elif table.name in KINDS:
                found = [
                    (*row, *words.of(table.name, each["namespace"], each["id"], _believed(each), *_text(table, each)))
                    for row, each in zip(rows, written, strict=True)
                ]
                statements += [insert(table.name, f"{columns} words length", found), *words.statements()]
            else:
                hexed = [(*row[:-1], row[-1].hex()) for row in rows] if table.name == "vector" else rows
                statements.append(insert(table.name, columns, hexed))
            await asking.all([*statements, _mark(mark)])
            if table.name == "entity_alias":
                await reindex(asking, "entity", here, [row["entity"] for row in written])
            quoted = [row["fact"] for row in written if row.get("quote")]
            if quoted:
                await reindex(asking, "fact", here, quoted)

    async def finish(self, meta: dict[str, str]) -> None:
        async with self._db.transaction() as tx:
            asking = Asking(tx)
            for sql in _FINISH:
                await asking.all([(sql, [])])
            put = "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
            await asking.all([insert("memory_meta", "key value", list(meta.items()), put)] if meta else [])
            await asking.count("DELETE FROM aiomemdb.memory_meta WHERE key = :key::text", key=MARK)
            await asking.all([(f"ANALYZE aiomemdb.{name}", []) for name in ANALYZED])


def _believed(row: Mapping[str, Any]) -> bool:
    return row.get("expired_at") is None


def _text(table: Table, row: Mapping[str, Any]) -> Any:
    if table.name == "entity":
        return text_of("entity", row["name"], row["description"], "")
    if table.name == "episode":
        return text_of("episode", row["content"], row["occurred_at"], row["occurred_offset"])
    return text_of("fact", row["text"], row["value"], ())


def _mark(mark: Mark) -> Statement:
    put = "ON CONFLICT (key) DO UPDATE SET value = excluded.value"
    return insert("memory_meta", "key value", [(MARK, mark.to_text())], put)


def _next(sequence: str, highest: str) -> str:
    return f"SELECT setval({sequence}, greatest(({highest}), 1))"


# What an id was given to, deleted or not: the audit has it.
_HIGHEST = (
    "SELECT greatest(coalesce((SELECT max(id) FROM aiomemdb.{0}), 0), "
    "coalesce((SELECT max(ref) FROM aiomemdb.memory_event WHERE kind = '{0}'), 0))"
)
_FINISH = (
    "INSERT INTO aiomemdb.memory_clock_back (namespace, event) SELECT namespace, id FROM (SELECT namespace, id, "
    "at < lag(at) OVER (PARTITION BY namespace ORDER BY id) AS back FROM aiomemdb.memory_event WHERE id > 0) e "
    "WHERE back ON CONFLICT DO NOTHING",
    "UPDATE aiomemdb.memory_namespace n SET last_event = e.id, last_at = e.at FROM (SELECT DISTINCT ON (namespace) "
    "namespace, id, at FROM aiomemdb.memory_event WHERE id > 0 ORDER BY namespace, id DESC) e WHERE e.namespace = n.id",
    # The next range begins behind the one that these ids end in.
    *(
        f"SELECT setval('aiomemdb.{kind}_id', ((({_HIGHEST.format(kind)}) / {ID_RANGE}) * {ID_RANGE}) + 1)"
        for kind in KINDS
    ),
    _next("'aiomemdb.event_id'", "SELECT coalesce(max(id), 0) FROM aiomemdb.memory_event"),
    _next(
        "pg_get_serial_sequence('aiomemdb.memory_namespace', 'id')",
        "SELECT greatest(coalesce((SELECT max(id) FROM aiomemdb.memory_namespace), 0), "
        "coalesce((SELECT max(namespace) FROM aiomemdb.memory_event), 0))",
    ),
    _next(
        "pg_get_serial_sequence('aiomemdb.vector_model', 'id')",
        "SELECT coalesce(max(id), 0) FROM aiomemdb.vector_model",
    ),
    _next(
        "pg_get_serial_sequence('aiomemdb.fact_evidence', 'id')",
        "SELECT coalesce(max(id), 0) FROM aiomemdb.fact_evidence",
    ),
    "SELECT setval('aiomemdb.past_id', greatest((SELECT coalesce(max(id), 0) FROM aiomemdb.memory_event WHERE id < 0), "
    "(SELECT min_value FROM pg_sequences WHERE schemaname = 'aiomemdb' AND sequencename = 'past_id'))) "
    "WHERE EXISTS (SELECT 1 FROM aiomemdb.memory_event WHERE id < 0)",
)
