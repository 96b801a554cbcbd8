"""How a file gets the tables of this version: ordered migrations, each recorded in the file."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping

from ....errors import SchemaTooNew
from ...times import now_micros
from ..recorded import recorded_of
from .identity import index_all_names
from .indexing import begin
from .normalising import normalise
from .schema import FIFTH, FIRST, FOURTH, SECOND, SIXTH, THIRD

__all__ = ["check_version", "migrate", "newest_version", "recorded_if_current", "version_of"]

# (name, statements, what then brings rows up to date or None), in order.
_MIGRATIONS: tuple[tuple[str, tuple[str, ...], Callable[[sqlite3.Connection], None] | None], ...] = (
    ("the memory graph", FIRST, None),
    ("one order of knowledge, offsets, one normal form", SECOND, normalise),
    ("words of all names", THIRD, index_all_names),
    ("one form of words", FOURTH, begin),
    ("implied entities", FIFTH, None),
    ("rows by time", SIXTH, None),
)

# What a statement of a migration makes, and the tables that FTS5 keeps behind one of its own
# (https://www.sqlite.org/fts5.html, 9).
_MADE = re.compile(r"CREATE (?:UNIQUE |VIRTUAL )?(?:TABLE|INDEX|TRIGGER|VIEW) (\w+)( USING fts5)?")
_BEHIND_FTS5 = ("data", "idx", "content", "docsize", "config")


def recorded_if_current(
    conn: sqlite3.Connection, normalisers: Mapping[str, str], given: Iterable[str]
) -> dict[str, str] | None:
    """What ``migrate`` returns, if there is nothing to do for it; asked first, as a reader waits for no writer.

    Raises: SchemaTooNew, NormaliserChanged, ValueError: see ``migrate``.
    """
    if version_of(conn) != len(_MIGRATIONS):
        return None
    recorded = _recorded(conn, normalisers, given)
    return recorded if all(use in recorded for use in normalisers) else None


def migrate(conn: sqlite3.Connection, normalisers: Mapping[str, str], given: Iterable[str] = ()) -> dict[str, str]:
    """Brings the file up to this version, in one job, and looks whether its keys were made as ours will be.

    Args:
        normalisers: what each is for, and its name, recorded where nothing is.
        given: for what the file must have the same.

    Returns: what is recorded of normalisers.
    Raises:
        SchemaTooNew: a later version of the library wrote the file.
        NormaliserChanged: the file's keys were made by another normaliser.
        ValueError: the file has tables, views, indexes or triggers by our names that are not ours, or one that hides a
            function.
    """
    version = version_of(conn)
    pending = _MIGRATIONS[version:]
    if pending:
        _check_functions(conn)
    for number, (name, statements, _) in enumerate(pending, start=version + 1):
        _check_names(conn, statements, [earlier for _, made, _ in _MIGRATIONS[: number - 1] for earlier in made])
        for statement in statements:
            conn.execute(statement)
        conn.execute("INSERT INTO memory_migration VALUES (?, ?, ?)", (number, name, now_micros()))
    for _, _, rows in pending:
        if rows is not None:  # at last, as it is this version's code, for its tables
            rows(conn)
    recorded = _recorded(conn, normalisers, given)
    for use, name in normalisers.items():
        if use not in recorded:
            conn.execute("INSERT INTO memory_meta VALUES (?, ?)", (use, name))
    return {**normalisers, **recorded}


def version_of(conn: sqlite3.Connection) -> int:
    """The file's version; 0: it has no memory. Raises: SchemaTooNew; ValueError: its record of them is not ours."""
    tables = "name COLLATE NOCASE = 'memory_migration' AND type IN ('table', 'view')"
    if conn.execute(f"SELECT 1 FROM sqlite_schema WHERE {tables}").fetchone() is None:
        return 0
    first = conn.execute("SELECT * FROM memory_migration ORDER BY 1 LIMIT 1").fetchone()
    if first is None or tuple(first)[:2] != (1, _MIGRATIONS[0][0]):  # the job that makes it puts that in
        raise _not_ours(["memory_migration"])
    return check_version(conn)


def newest_version() -> int:
    """The version of the schema that this library makes."""
    return len(_MIGRATIONS)


def check_version(conn: sqlite3.Connection) -> int:
    """The version of a file that has a memory. Raises: SchemaTooNew."""
    version: int = conn.execute("SELECT ifnull(max(version), 0) FROM memory_migration").fetchone()[0]
    if version > len(_MIGRATIONS):
        raise SchemaTooNew(
            f"the file's memory has schema {version}, this version of aiomemdb knows {len(_MIGRATIONS)}: "
            "update aiomemdb"
        )
    return version


def _made(statements: Iterable[str]) -> set[str]:
    names = set()
    for statement in statements:
        if made := _MADE.match(statement):
            names.add(made[1])
            if made[2]:
                names.update(f"{made[1]}_{part}" for part in _BEHIND_FTS5)
    return names


def _check_names(conn: sqlite3.Connection, statements: Iterable[str], earlier: Iterable[str]) -> None:
    """Raises: ValueError: what is to be made is there, so it is not ours; unless an earlier version made it."""
    wanted = _made(statements) - _made(earlier)
    rows = conn.execute(
        "SELECT DISTINCT name FROM sqlite_schema WHERE name COLLATE NOCASE IN (SELECT value FROM json_each(?))",
        (json.dumps(sorted(wanted)),),
    ).fetchall()
    if rows:
        raise _not_ours([row[0] for row in rows])


def _check_functions(conn: sqlite3.Connection) -> None:
    """Raises: ValueError: a table hides the function that the memory asks with."""
    hiding = "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name = 'json_each' COLLATE NOCASE"
    if row := conn.execute(hiding).fetchone():
        raise ValueError(
            f"the file has a table or view called {row[0]}, which hides SQLite's function json_each() from the "
            "memory: rename it, or keep the memory in another file"
        )


def _not_ours(names: Iterable[str]) -> ValueError:
    return ValueError(
        f"the database has {', '.join(map(repr, names))} already, which is not the memory's: "
        "give the memory a file of its own"
    )


def _recorded(conn: sqlite3.Connection, normalisers: Mapping[str, str], given: Iterable[str]) -> dict[str, str]:
    """What the file has recorded of these. Raises: NormaliserChanged."""
    meta = dict(tuple(row) for row in conn.execute("SELECT key, value FROM memory_meta").fetchall())
    return recorded_of(meta, normalisers, given)
