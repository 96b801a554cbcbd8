"""How a file gets the tables of this version: ordered migrations, each recorded in the file."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping

from ...errors import NormaliserChanged, SchemaTooNew
from ..times import now_micros
from .normalising import normalise
from .schema import FIRST, SECOND

__all__ = ["check_version", "is_current", "migrate"]

# (name, statements, what then brings rows up to date or None), in order.
_MIGRATIONS: tuple[tuple[str, tuple[str, ...], Callable[[sqlite3.Connection], None] | None], ...] = (
    ("the memory graph", FIRST, None),
    ("one order of knowledge, offsets, one normal form", SECOND, normalise),
)

# What a statement of a migration makes.
_MADE = re.compile(r"CREATE (?:UNIQUE |VIRTUAL )?(?:TABLE|INDEX|TRIGGER) (\w+)")


def is_current(conn: sqlite3.Connection, normalisers: Mapping[str, str]) -> bool:
    """Whether there is nothing for ``migrate`` to do; asked first, as a reader waits for nobody.

    Raises: SchemaTooNew, NormaliserChanged: see ``migrate``.
    """
    if conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'memory_migration'").fetchone() is None:
        return False
    if check_version(conn) != len(_MIGRATIONS):
        return False
    return _check_normalisers(conn, normalisers)


def migrate(conn: sqlite3.Connection, normalisers: Mapping[str, str]) -> None:
    """Brings the file up to this version, in one job, and looks whether its keys were made as ours will be.

    Args:
        normalisers: what each is for, and its name.

    Raises:
        SchemaTooNew: a later version of the library wrote the file.
        NormaliserChanged: the file's keys were made by another normaliser.
        ValueError: the file has tables of somebody else's by our names.
    """
    conn.execute(
        "CREATE TABLE IF NOT EXISTS memory_migration "
        "(version INTEGER PRIMARY KEY, name TEXT NOT NULL, at INTEGER NOT NULL)"
    )
    version = check_version(conn)
    for number, (name, statements, rows) in enumerate(_MIGRATIONS[version:], start=version + 1):
        _check_names(conn, statements, [earlier for _, made, _ in _MIGRATIONS[: number - 1] for earlier in made])
        for statement in statements:
            conn.execute(statement)
        if rows is not None:
            rows(conn)
        conn.execute("INSERT INTO memory_migration VALUES (?, ?, ?)", (number, name, now_micros()))
    for use, name in normalisers.items():
        conn.execute("INSERT INTO memory_meta VALUES (?, ?) ON CONFLICT DO NOTHING", (use, name))
    _check_normalisers(conn, normalisers)


def check_version(conn: sqlite3.Connection) -> int:
    """The file's version. Raises: SchemaTooNew."""
    version: int = conn.execute("SELECT ifnull(max(version), 0) FROM memory_migration").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise SchemaTooNew(
            f"the file's memory has schema {version}, this version of aiomemdb knows {len(_MIGRATIONS)}: "
            "update aiomemdb"
        )
    return version


def _made(statements: Iterable[str]) -> set[str]:
    return {made[1] for statement in statements if (made := _MADE.match(statement))}


def _check_names(conn: sqlite3.Connection, statements: Iterable[str], earlier: Iterable[str]) -> None:
    """Raises: ValueError: what is to be made is there, so it is not ours; unless an earlier version made it."""
    wanted = _made(statements) - _made(earlier)
    rows = conn.execute(
        "SELECT name FROM sqlite_schema WHERE name COLLATE NOCASE IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(wanted)),),
    ).fetchall()
    if rows:
        raise ValueError(
            f"the database has {', '.join(repr(row[0]) for row in rows)} already, which is not the memory's: "
            "give the memory a file of its own"
        )


def _check_normalisers(conn: sqlite3.Connection, normalisers: Mapping[str, str]) -> bool:
    """Whether all are recorded. Raises: NormaliserChanged."""
    stored = dict(tuple(row) for row in conn.execute("SELECT key, value FROM memory_meta").fetchall())
    for use, name in normalisers.items():
        if stored.get(use, name) != name:
            raise NormaliserChanged(
                f"the file's {use} is {stored[use]!r}, not {name!r}: open it with the one that made its keys"
            )
    return all(use in stored for use in normalisers)
