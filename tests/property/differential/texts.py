"""Statements over a random schema: few texts, used again and again as applications do, and few values, so that they
meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from .programs import HALF, LARGE, RAISING, UNBINDABLE
from .schemas import CONFLICTS, Schema, Table, random_trigger

__all__ = ["LARGEST_ROWID", "Text", "Texts"]

LARGEST_ROWID = 2**63 - 1
FORBIDDEN = (
    "COMMIT",
    "BEGIN",
    "ROLLBACK",
    "SAVEPOINT mine",
    "ATTACH ':memory:' AS more",
    "VACUUM",
    "PRAGMA foreign_keys=0",
)
WRONG = (
    "INSERT INTO missing VALUES (?)",
    "UPDATE t0 SET missing = ?",
    "INSERT INTO t0 VALUES",
    "DELETE FROM t0; DELETE FROM log",
    "",
    " -- nothing",
    "SELEKT 1",
)


@dataclass(frozen=True)
class Text:
    """A statement with ``values`` question marks; ``kind`` is insert, change, schema, query, forbidden or wrong."""

    sql: str
    values: int
    kind: str
    has_rows: bool = False


class Texts:
    def __init__(self, rng: Random, schema: Schema) -> None:
        self.rng = rng
        self.schema = schema
        self.tables = schema.tables
        self.inserts = [self.plain_insert(rng.choice(self.tables)) for _ in range(2)]
        if schema.has_deferred_keys:  # of a parent and its child, keys and all
            self.inserts = [self.plain_insert(table, with_key=True) for table in (*self.tables[:2], self.tables[0])[:2]]
        self.inserts += [self._insert(rng.choice(self.tables)) for _ in range(8)]
        self.changes = [self._change(rng.choice(self.tables)) for _ in range(8)]
        self.queries = [self._query(rng.choice(self.tables)) for _ in range(5)]
        self.odd = [
            Text(rng.choice(FORBIDDEN), 0, "forbidden"),
            Text(sql := rng.choice(WRONG), sql.count("?"), "wrong"),
        ]
        self.full_text = [text for table in self.tables if table.kind == "full text" for text in self._full_text(table)]
        self.made = 0

    # Values

    def value(self) -> Any:
        rng = self.rng
        kind = rng.random()
        if kind < 0.55:
            return rng.randint(0, 9)
        if kind < 0.65:
            return rng.randint(10, 200)
        if kind < 0.85:
            return rng.choice(("a", "b", "c", "A", "7", "", "one two", "a\0b", "[3, 7]", "[1, 2]", "["))
        if kind < 0.94:
            return None
        if kind < 0.975:
            return rng.choice((0.5, -1.0, b"x", bytearray(b"y"), True, -3, 2**62, -(2**63)))
        return rng.choice(("x\ud800", "\udfff", UNBINDABLE, RAISING, 2**63, LARGE, HALF, {}, float("inf")))

    def params(self, text: Text) -> Any:
        rng = self.rng
        count = text.values
        if rng.random() < 0.015:
            count += rng.choice((-1, 1))
        values = tuple(self.value() for _ in range(max(count, 0)))
        if len(values) > 3 and rng.random() < 0.05:  # the last row is too large, whatever its values are
            values = (*values[:-2], HALF, HALF)
        return list(values) if rng.random() < 0.1 else values

    def numbers(self, text: Text) -> tuple[int, ...]:
        return tuple(self.rng.randint(0, 10**6) for _ in range(text.values))

    def literal(self, text: Text) -> str:
        """The statement with literals for its parameters."""
        rng = self.rng
        statement = text.sql
        while "?" in statement:
            literal = rng.choice((str(rng.randint(0, 9)), "'a'", "NULL", "'it;s'", "X'31'", "0.5"))
            statement = statement.replace("?", literal, 1)
        return statement

    # Texts

    def _columns(self, table: Table) -> tuple[str, ...]:
        """Often without the key, so that SQLite chooses it."""
        columns = table.columns
        if columns[0] == "id" and len(columns) > 1 and self.rng.random() < 0.6:
            return columns[1:]
        return columns

    def plain_insert(self, table: Table, *, with_key: bool = False) -> Text:
        columns = table.columns if with_key else self._columns(table)
        return Text(
            f"INSERT INTO {table.name} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})",
            len(columns),
            "insert",
        )

    def _insert(self, table: Table) -> Text:
        rng = self.rng
        columns = self._columns(table)
        conflict = f" OR {rng.choice(CONFLICTS)}" if rng.random() < 0.4 else ""
        head = f"INSERT{conflict} INTO {table.name} ({', '.join(columns)})"
        marks = f"({', '.join('?' * len(columns))})"
        shape = rng.random()
        source = rng.choice([each for each in self.tables if len(each.columns) >= len(columns)])
        chosen = ", ".join(source.columns[: len(columns)])
        if shape < 0.4:
            sql = f"{head} VALUES {marks}"
        elif shape < 0.62:
            sql = f"{head} VALUES {', '.join([marks] * rng.randint(2, 4))}"
        elif shape < 0.75:
            sql = f"{head} SELECT {chosen} FROM {source.name} WHERE {rng.choice(source.columns)} > ? LIMIT 5"
        elif shape < 0.8:
            sql = f"WITH w AS (SELECT * FROM {source.name} LIMIT 4) {head} SELECT {chosen} FROM w"
        elif shape < 0.85:
            values = ", ".join(["value"] * len(columns))
            sql = f"{head} SELECT {values} FROM (SELECT ? AS list UNION ALL SELECT ?) AS l, json_each(l.list)"
        elif shape < 0.9:
            function = rng.choice(("picky", "double", "broken", "abs"))
            sql = f"{head} VALUES ({', '.join([f'{function}(?)', *'?' * (len(columns) - 1)])})"
        elif shape < 0.93 and table.columns[0] == "id":
            others = ", ".join(columns[1:]) if columns[0] == "id" else ", ".join(columns)
            marks = ", ".join(["?"] * (len(columns) - (columns[0] == "id")))
            # SQLite draws lots once the largest is taken, except for AUTOINCREMENT.
            key = rng.choice(("NULL", "-5", "0", str(LARGEST_ROWID) if table.never_again else "40"))
            sql = f"INSERT{conflict} INTO {table.name} (id, {others}) VALUES ({key}, {marks})"
        else:
            sql = f"REPLACE INTO {table.name} ({', '.join(columns)}) VALUES {marks}"
        if sql.startswith("INSERT INTO") and rng.random() < 0.25 and table.kind == "table":
            if " SELECT " in sql and "WHERE" not in sql:
                sql += " WHERE true"
            target = f" ({table.key})" if table.key and rng.random() < 0.5 else ""
            sql += f" ON CONFLICT{target} DO " + rng.choice(
                (
                    "NOTHING",
                    f"UPDATE SET {rng.choice(table.columns)} = excluded.{rng.choice(table.columns)}",
                    f"UPDATE SET {columns[-1]} = ?",
                )
            )
        return self._perhaps_returning(table, sql, "insert")

    def _change(self, table: Table) -> Text:
        rng = self.rng
        column, other = rng.choice(table.columns), rng.choice(table.columns)
        conflict = f" OR {rng.choice(CONFLICTS)}" if rng.random() < 0.4 else ""
        where = rng.choice((f"{other} = ?", f"{other} > ?", f"{other} IS ?", f"{other} < ?"))
        if rng.random() < 0.3:
            sql = f"DELETE FROM {table.name} WHERE {where}"
        else:
            new = rng.choice(
                (
                    "?",
                    "?",
                    f"{column} + 1",
                    f"{other}",
                    "picky(?)",
                    f"{column} * ?",
                    "json_extract(?, '$.a')",
                    "zeroblob(?)",
                )
            )
            sql = f"UPDATE{conflict} {table.name} SET {column} = {new} WHERE {where}"
        return self._perhaps_returning(table, sql, "change")

    def _perhaps_returning(self, table: Table, sql: str, kind: str) -> Text:
        rng = self.rng
        has_rows = rng.random() < 0.15 and table.kind != "full text"
        if has_rows:
            sql += " RETURNING " + rng.choice(
                ("*", table.columns[0], f"picky({table.columns[-1]})", f"{table.columns[0]}, 1 + 1 AS two")
            )
        return Text(sql, sql.count("?"), kind, has_rows)

    def _query(self, table: Table) -> Text:
        rng = self.rng
        column = rng.choice(table.columns)
        sql = rng.choice(
            (
                f"SELECT * FROM {table.name} ORDER BY {column}, 1 LIMIT 20",
                f"SELECT count(*), max({column}) FROM {table.name}",
                f"SELECT {column} FROM {table.name} WHERE {column} = ?",
                f"SELECT picky({column}) FROM {table.name} ORDER BY 1 LIMIT 20",
                f"SELECT sum({column} * 9000000000000000000) FROM {table.name}",
                f"PRAGMA table_xinfo({table.name})",
                f"PRAGMA index_list({table.name})",
                f"PRAGMA foreign_key_list({table.name})",
                f"PRAGMA index_info(i{rng.randint(0, 3)}0)",
                "SELECT type, name FROM sqlite_schema ORDER BY name",
                f"INSERT INTO {table.name} DEFAULT VALUES",
                "SELECT * FROM missing",
            )
        )
        if table.kind == "full text" and rng.random() < 0.6:
            sql = rng.choice(("SELECT rowid FROM f WHERE f MATCH ?", "SELECT rowid FROM f ORDER BY rowid"))
        return Text(sql, sql.count("?"), "query", True)

    def _full_text(self, table: Table) -> list[Text]:
        one, two = table.columns
        texts = (
            f"INSERT INTO f ({one}, {two}) VALUES (?, ?)",
            f"INSERT INTO f (rowid, {one}, {two}) VALUES (?, ?, ?)",
            f"UPDATE f SET {one} = ? WHERE rowid = ?",
            f"UPDATE f SET {one} = ?, {two} = ?",
            "DELETE FROM f WHERE rowid = ?",
            "INSERT INTO f (f) VALUES ('rebuild')",
            "INSERT INTO f (f) VALUES ('optimize')",
            "INSERT INTO f (f) VALUES ('integrity-check')",
            f"INSERT INTO f (f, rowid, {one}, {two}) VALUES ('delete', ?, ?, ?)",
            "INSERT INTO f (f, rank) VALUES ('merge', 4)",
            "INSERT INTO f (f) VALUES ('no such command')",
        )
        kinds = ["insert", "insert", "change", "change", "change", *["command"] * 6]
        return [Text(sql, sql.count("?"), kind) for sql, kind in zip(texts, kinds, strict=True)]

    def schema_change(self) -> Text:
        rng = self.rng
        table = rng.choice(self.tables)
        column, other = rng.choice(table.columns), rng.choice(table.columns)
        self.made += 1
        sql = rng.choice(
            (
                f"CREATE INDEX x{self.made} ON {table.name} ({column})",
                f"CREATE INDEX x{self.made} ON {table.name} ({column})",
                f"CREATE UNIQUE INDEX x{self.made} ON {table.name} ({column}, {other})",
                f"CREATE INDEX same ON {table.name} ({column})",
                f"DROP INDEX x{rng.randint(1, self.made)}",
                "DROP INDEX same",
                "DROP INDEX i00",
                f"ALTER TABLE {table.name} ADD COLUMN z{self.made} DEFAULT 5",
                f"ALTER TABLE {table.name} RENAME COLUMN {column} TO {other}",
                f"ALTER TABLE {table.name} RENAME COLUMN {column} TO renamed",
                f"ALTER TABLE {table.name} RENAME COLUMN renamed TO {column}",
                f"ALTER TABLE {table.name} DROP COLUMN {column}",
                "CREATE TABLE made (a INTEGER PRIMARY KEY, b UNIQUE)",
                "CREATE TABLE IF NOT EXISTS made (a, b) STRICT",
                "CREATE TABLE made AS SELECT * FROM log LIMIT 3",
                "DROP TABLE IF EXISTS made",
                "ALTER TABLE made RENAME TO made2",
                "DROP TRIGGER IF EXISTS tr0",
                "DROP TRIGGER IF EXISTS tr1",
                random_trigger(rng, rng.choice(("tr0", "tr1", "tr2", f"trx{self.made}")), table, self.tables)
                if table.kind != "full text"
                else "REINDEX",
                f"DROP TABLE {table.name}" if rng.random() < 0.1 else "REINDEX",
                self._again(),
                self._again(),
            )
        )
        return Text(sql, 0, "schema")

    def _again(self) -> str:
        """A statement of the schema itself: mostly it is there already, otherwise it is made anew."""
        return self.rng.choice(self.schema.statements)

    def text(self) -> Text:
        rng = self.rng
        kind = rng.random()
        if kind < 0.03:
            return rng.choice(self.odd)
        if kind < 0.05:
            return rng.choice(self.queries)
        if kind < 0.12:
            return self.schema_change()
        if kind < 0.25 and self.full_text:
            return rng.choice(self.full_text)
        if kind < 0.65:
            return self.inserts[min(int(rng.expovariate(0.4)), len(self.inserts) - 1)]
        return rng.choice(self.changes)
