"""Random schemas: whatever makes a statement fail halfway, fire others, or mean another rowid."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

__all__ = ["Schema", "Table", "random_schema", "random_trigger"]

CONFLICTS = ("FAIL", "ABORT", "ROLLBACK", "IGNORE", "REPLACE")


@dataclass(frozen=True)
class Table:
    """A table, a view or an FTS5 table: ``columns`` can be written; ``never_again``: its key is AUTOINCREMENT."""

    name: str
    columns: tuple[str, ...]
    kind: str = "table"
    key: str | None = None
    never_again: bool = False


@dataclass(frozen=True)
class Schema:
    statements: tuple[str, ...]
    tables: tuple[Table, ...]
    has_deferred_keys: bool


def random_schema(rng: Random) -> Schema:
    statements: list[str] = ["CREATE TABLE log (what, x, y)"]
    tables: list[Table] = []
    defers = rng.random() < 0.2
    for number in range(rng.randint(1, 3)):
        table, statement = _table(rng, f"t{number}", tables, defers)
        tables.append(table)
        statements.append(statement)
        statements += [_index(rng, table, f"i{number}{n}") for n in range(rng.choice((0, 0, 1, 2)))]
    log = Table("log", ("what", "x", "y"))
    if rng.random() < 0.25:
        table = rng.choice(tables)
        view = Table("v", table.columns, "view")
        tables.append(view)
        statements.append(f"CREATE VIEW v AS SELECT {', '.join(table.columns)} FROM {table.name}")
        for event in ("INSERT", "UPDATE", "DELETE"):
            if rng.random() < 0.8:
                statements.append(random_trigger(rng, f"v_{event.lower()}", view, [*tables, log], event=event))
    if rng.random() < 0.25:
        statements += _full_text(rng, tables)
    tables.append(log)
    for number in range(rng.choice((0, 1, 1, 2, 3))):
        target = rng.choice([table for table in tables if table.kind == "table"])
        statements.append(random_trigger(rng, f"tr{number}", target, tables))
    return Schema(tuple(statements), tuple(tables), defers)


def _on_conflict(rng: Random) -> str:
    return f" ON CONFLICT {rng.choice(CONFLICTS)}" if rng.random() < 0.25 else ""


def _table(rng: Random, name: str, others: list[Table], defers: bool) -> tuple[Table, str]:
    strict = rng.random() < 0.25
    types = (
        ("INTEGER", "TEXT", "REAL", "ANY", "BLOB", "INT") if strict else ("", "", "INTEGER", "TEXT", "NUMERIC", "BLOB")
    )
    key_kind = rng.choice(("alias", "alias", "autoincrement", "none", "none", "without rowid", "composite"))
    columns, parts, ends = [], [], []
    key: str | None = None
    if key_kind in ("alias", "autoincrement"):
        key = "id"
        auto = " AUTOINCREMENT" if key_kind == "autoincrement" else ""
        parts.append(f"id INTEGER PRIMARY KEY{_on_conflict(rng)}{auto}")
        columns.append("id")
    elif key_kind == "without rowid":
        key = "id"
        parts.append(f"id {rng.choice(types) or ('ANY' if strict else '')} PRIMARY KEY{_on_conflict(rng)}")
        columns.append("id")
    elif key_kind == "composite":
        ends.append(f"PRIMARY KEY (a, b){_on_conflict(rng)}")
        key = "a, b"
    names = ["a", "b", *rng.sample(["c", "d"], rng.randint(0, 2))]
    is_bare = rng.random() < 0.3  # SQLite prepares to undo a statement only where it sees what may refuse a row
    for column in names:
        columns.append(column)
        constraints = "" if is_bare else _constraints(rng, column, others, defers)
        parts.append(f"{column} {rng.choice(types)}{constraints}")
    if is_bare:
        pass
    elif rng.random() < 0.2:
        expression = rng.choice(("a + 1", "a || b", "double(a)", "coalesce(a, b)", "a * 1000000000000000000"))
        place = rng.choice(("STORED", "VIRTUAL"))
        more = rng.choice(("", "", " UNIQUE", " NOT NULL", " CHECK (g <> 3)"))
        parts.append(f"g {'ANY' if strict else ''} GENERATED ALWAYS AS ({expression}) {place}{more}")
    elif rng.random() < 0.1:
        parts.append(f"g {'ANY' if strict else ''} GENERATED ALWAYS AS (picky(a)) STORED")
    if rng.random() < 0.1:
        ends.append(f"UNIQUE (a, b){_on_conflict(rng)}")
    if rng.random() < 0.1:
        ends.append(rng.choice(("CHECK (a <> b)", "CHECK (picky(b) IS NOT 5)", "CHECK (a IS NULL OR a <> 6)")))
    options = [
        *["STRICT"][:strict],
        *["WITHOUT ROWID"][: key_kind == "without rowid" or (key_kind == "composite" and rng.random() < 0.5)],
    ]
    table = Table(name, tuple(columns), key=key, never_again=key_kind == "autoincrement")
    return table, f"CREATE TABLE {name} ({', '.join(parts + ends)}) {', '.join(options)}".rstrip()


def _constraints(rng: Random, column: str, others: list[Table], defers: bool) -> str:
    found = ""
    if rng.random() < 0.2:
        found += f" NOT NULL{_on_conflict(rng)}"
    if rng.random() < 0.2:
        found += f" DEFAULT {rng.choice(('1', '7', 'NULL', chr(39) + 'a' + chr(39), '(double(2))'))}"
    if rng.random() < 0.2:
        found += f" UNIQUE{_on_conflict(rng)}"
    if rng.random() < 0.12:
        found += rng.choice(
            (f" CHECK ({column} <> 8)", f" CHECK (picky({column}) IS NOT 9)", f" CHECK (typeof({column}) <> 'blob')")
        )
    if rng.random() < 0.1:
        found += rng.choice((" COLLATE NOCASE", " COLLATE backwards"))
    keyed = [table for table in others if table.key is not None and "," not in table.key]
    if keyed and rng.random() < (0.5 if defers else 0.15):
        found += f" REFERENCES {rng.choice(keyed).name}"
        found += rng.choice(
            ("", "", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON DELETE RESTRICT", " ON UPDATE CASCADE")
        )
        if defers:
            found += " DEFERRABLE INITIALLY DEFERRED"
    return found


def _index(rng: Random, table: Table, name: str) -> str:
    unique = rng.choice(("", "", "UNIQUE "))
    column = rng.choice(table.columns)
    on = rng.choice(
        (column, column, f"double({column})", f"{column} COLLATE backwards", f"{column}, {rng.choice(table.columns)}")
    )
    where = rng.choice(("", "", f" WHERE {rng.choice(table.columns)} > 3", f" WHERE {column} IS NOT NULL"))
    return f"CREATE {unique}INDEX {name} ON {table.name} ({on}){where}"


def random_trigger(
    rng: Random, name: str, table: Table, tables: list[Table] | tuple[Table, ...], *, event: str = ""
) -> str:
    event = event or rng.choice(("INSERT", "INSERT", "UPDATE", "DELETE"))
    time = "INSTEAD OF" if table.kind == "view" else rng.choice(("BEFORE", "AFTER"))
    rows = {"INSERT": ("new",), "UPDATE": ("new", "old"), "DELETE": ("old",)}[event]

    def value() -> str:
        return f"{rng.choice(rows)}.{rng.choice(table.columns)}"

    targets = [one for one in tables if one.kind == "table"]
    body = [_in_trigger(rng, rng.choice(targets), value) for _ in range(rng.randint(1, 3))]
    if event != "INSERT" and rng.random() < 0.2:
        body.append("INSERT INTO log VALUES ('gone', 1, 2)")
    when = rng.choice(("", "", f" WHEN {value()} > 2", f" WHEN {value()} IS NOT NULL"))
    return f"CREATE TRIGGER {name} {time} {event} ON {table.name}{when} BEGIN {'; '.join(body)}; END"


def _in_trigger(rng: Random, target: Table, value: Any) -> str:
    kind = rng.random()
    conflict = f" OR {rng.choice(CONFLICTS)}" if rng.random() < 0.5 else ""
    column = rng.choice(target.columns)
    if kind < 0.3:
        action = rng.choice(("FAIL", "FAIL", "ABORT", "ROLLBACK", "IGNORE"))
        what = "RAISE(IGNORE)" if action == "IGNORE" else f"RAISE({action}, 'told')"
        return f"SELECT CASE WHEN {value()} IN ({rng.randint(0, 9)}, 4) THEN {what} END"
    if kind < 0.6:
        values = ", ".join(rng.choice((value(), value(), str(rng.randint(0, 9)))) for _ in target.columns)
        return f"INSERT{conflict} INTO {target.name} ({', '.join(target.columns)}) VALUES ({values})"
    if kind < 0.7:
        chosen = ", ".join(target.columns)
        rows = f"SELECT {chosen} FROM {target.name} WHERE {column} = {value()} LIMIT 3"
        return f"INSERT{conflict} INTO {target.name} ({chosen}) {rows}"
    if kind < 0.85:
        new = rng.choice((value(), f"{column} + 1", "4"))
        return f"UPDATE{conflict} {target.name} SET {column} = {new} WHERE {rng.choice(target.columns)} = {value()}"
    if kind < 0.95:
        return f"DELETE FROM {target.name} WHERE {column} = {value()}"
    return f"SELECT {rng.choice(('picky', 'double', 'abs'))}({value()})"


def _full_text(rng: Random, tables: list[Table]) -> list[str]:
    """An FTS5 table of its own, or one over a table's text, kept by triggers."""
    sources = [table for table in tables if table.kind == "table" and table.key == "id"]
    tables.append(Table("f", ("p", "q"), "full text"))
    if not sources or rng.random() < 0.6:
        return ["CREATE VIRTUAL TABLE f USING fts5 (p, q)"]
    tables.pop()
    source = rng.choice(sources)
    tables.append(Table("f", ("a", "b"), "full text"))
    return [
        f"CREATE VIRTUAL TABLE f USING fts5 (a, b, content={source.name}, content_rowid=id)",
        f"CREATE TRIGGER f_in AFTER INSERT ON {source.name} BEGIN"
        " INSERT INTO f (rowid, a, b) VALUES (new.id, new.a, new.b); END",
        f"CREATE TRIGGER f_out AFTER DELETE ON {source.name} BEGIN"
        " INSERT INTO f (f, rowid, a, b) VALUES ('delete', old.id, old.a, old.b); END",
    ]
