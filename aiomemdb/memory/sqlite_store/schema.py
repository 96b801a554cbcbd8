"""The tables of the memory graph, and how a file gets them: ordered migrations, each recorded in the file."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Mapping

from ...errors import NormaliserChanged, SchemaTooNew
from ..times import now_micros

__all__ = ["MIGRATIONS", "UNBOUNDED", "is_current", "migrate"]

#: Stands for "since ever" where NULL can't: in a unique index NULLs differ from each other.
UNBOUNDED = -(2**63)

# What a statement of a migration makes.
_MADE = re.compile(r"CREATE (?:UNIQUE |VIRTUAL )?(?:TABLE|INDEX|TRIGGER) (\w+)")

_FIRST = (
    # A forgotten namespace has no name: nothing finds its rows any more, while they are deleted slice by slice.
    """CREATE TABLE memory_namespace (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT UNIQUE
    )""",
    "CREATE TABLE memory_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # AUTOINCREMENT: an id is never used again, so what holds an old one can't reach somebody else's row.
    """CREATE TABLE entity (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        name TEXT NOT NULL,
        key TEXT NOT NULL,  -- the name, normalised
        type TEXT,
        type_key TEXT NOT NULL,  -- normalised; '' where there is no type
        description TEXT NOT NULL DEFAULT '',
        attributes TEXT NOT NULL DEFAULT '{}',
        agent TEXT,
        created_at INTEGER NOT NULL,
        merged_into INTEGER REFERENCES entity(id)
    )""",
    "CREATE INDEX entity_of_namespace ON entity (namespace)",
    "CREATE INDEX entity_merged ON entity (merged_into) WHERE merged_into IS NOT NULL",
    """CREATE TABLE entity_alias (
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        key TEXT NOT NULL,
        type TEXT NOT NULL,  -- '' or a type_key
        entity INTEGER NOT NULL REFERENCES entity(id),
        PRIMARY KEY (namespace, key, type)
    ) WITHOUT ROWID""",
    "CREATE INDEX alias_of_entity ON entity_alias (entity)",
    """CREATE TABLE entity_similar (
        a INTEGER NOT NULL REFERENCES entity(id),
        b INTEGER NOT NULL REFERENCES entity(id),
        cosine REAL NOT NULL,
        PRIMARY KEY (a, b),
        CHECK (a < b)
    ) WITHOUT ROWID""",
    "CREATE INDEX similar_back ON entity_similar (b)",
    """CREATE TABLE episode (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        key TEXT,
        version INTEGER NOT NULL,
        session TEXT,
        seq INTEGER,
        agent TEXT,
        source TEXT,
        content TEXT NOT NULL,
        metadata TEXT NOT NULL DEFAULT '{}',
        occurred_at INTEGER,
        created_at INTEGER NOT NULL,
        expired_at INTEGER
    )""",
    "CREATE INDEX episode_of_namespace ON episode (namespace)",
    "CREATE UNIQUE INDEX episode_of_key ON episode (namespace, key, version) WHERE key IS NOT NULL",
    "CREATE INDEX episode_of_session ON episode (namespace, session, seq) WHERE session IS NOT NULL",
    """CREATE TABLE mention (
        entity INTEGER NOT NULL REFERENCES entity(id),
        episode INTEGER NOT NULL REFERENCES episode(id),
        PRIMARY KEY (entity, episode)
    ) WITHOUT ROWID""",
    "CREATE INDEX mention_of_episode ON mention (episode)",
    """CREATE TABLE fact (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        subject INTEGER NOT NULL REFERENCES entity(id),
        predicate TEXT NOT NULL,
        object INTEGER REFERENCES entity(id),
        value TEXT,  -- canonical JSON
        text TEXT NOT NULL,
        valid_at INTEGER,
        invalid_at INTEGER,
        created_at INTEGER NOT NULL,
        expired_at INTEGER,
        superseded_by INTEGER,  -- no foreign key: that fact may be forgotten
        agent TEXT,
        CHECK ((object IS NULL) <> (value IS NULL)),
        CHECK (valid_at < invalid_at),
        CHECK (created_at <= expired_at)
    )""",
    f"""CREATE UNIQUE INDEX fact_believed
        ON fact (subject, predicate, coalesce(object, value), ifnull(valid_at, {UNBOUNDED}))
        WHERE expired_at IS NULL""",
    # The next two also serve the foreign keys and the times that are past, so they hold what is expired too.
    "CREATE INDEX fact_of_subject ON fact (subject, predicate)",
    "CREATE INDEX fact_of_object ON fact (object, predicate) WHERE object IS NOT NULL",
    "CREATE INDEX fact_of_namespace ON fact (namespace)",
    # Without an episode: an agent stated it directly.
    """CREATE TABLE fact_evidence (
        fact INTEGER NOT NULL REFERENCES fact(id),
        episode INTEGER REFERENCES episode(id),
        quote TEXT,
        confidence REAL NOT NULL CHECK (confidence BETWEEN 0 AND 1),
        agent TEXT,
        created_at INTEGER NOT NULL
    )""",
    "CREATE UNIQUE INDEX evidence_of_fact ON fact_evidence (fact, ifnull(episode, 0), ifnull(agent, ''))",
    "CREATE INDEX evidence_of_episode ON fact_evidence (episode) WHERE episode IS NOT NULL",
    "CREATE TABLE vector_model (id INTEGER PRIMARY KEY, name TEXT NOT NULL, dim INTEGER NOT NULL, UNIQUE (name, dim))",
    """CREATE TABLE vector (
        id INTEGER PRIMARY KEY,
        model INTEGER NOT NULL REFERENCES vector_model(id),
        namespace INTEGER NOT NULL REFERENCES memory_namespace(id),
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        data BLOB NOT NULL  -- float32, little endian, of length 1
    )""",
    "CREATE UNIQUE INDEX vector_of ON vector (model, namespace, kind, ref)",
    "CREATE INDEX vector_of_namespace ON vector (namespace)",
    """CREATE TABLE memory_event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at INTEGER NOT NULL,
        namespace INTEGER NOT NULL,
        agent TEXT,
        operation TEXT NOT NULL,
        kind TEXT NOT NULL,
        ref INTEGER NOT NULL,
        other INTEGER,
        reason TEXT
    )""",
    "CREATE INDEX event_of ON memory_event (ref, kind)",
    "CREATE INDEX event_with_reason ON memory_event (namespace) WHERE reason IS NOT NULL",
)


def _word_search(table: str, *columns: str) -> tuple[str, ...]:
    """An FTS5 index whose content is a table's own, kept by triggers (https://www.sqlite.org/fts5.html, 4.4.3).

    Rows whose words change have them taken out by their old text: that is how FTS5 finds them.
    """
    names = ", ".join(columns)
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("old", "new"))
    add = f"INSERT INTO {table}_words (rowid, {names}) VALUES (new.id, {new});"
    remove = f"INSERT INTO {table}_words ({table}_words, rowid, {names}) VALUES ('delete', old.id, {old});"
    return (
        f"CREATE VIRTUAL TABLE {table}_words USING fts5({names}, content='{table}', content_rowid='id', "
        "tokenize='porter unicode61 remove_diacritics 2')",
        f"CREATE TRIGGER {table}_words_insert AFTER INSERT ON {table} BEGIN {add} END",
        f"CREATE TRIGGER {table}_words_delete AFTER DELETE ON {table} BEGIN {remove} END",
        f"CREATE TRIGGER {table}_words_update AFTER UPDATE OF {names} ON {table} BEGIN {remove} {add} END",
    )


#: (name, statements), in order; what has been released is never changed, only followed by more.
MIGRATIONS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "the memory graph",
        (
            *_FIRST,
            *_word_search("entity", "name", "description"),
            *_word_search("episode", "content"),
            *_word_search("fact", "text"),
        ),
    ),
)


def is_current(conn: sqlite3.Connection, normalisers: Mapping[str, str]) -> bool:
    """Whether there is nothing for ``migrate`` to do; asked first, as a reader waits for nobody.

    Raises: SchemaTooNew, NormaliserChanged: see ``migrate``.
    """
    if conn.execute("SELECT 1 FROM sqlite_schema WHERE name = 'memory_migration'").fetchone() is None:
        return False
    if _version(conn) != len(MIGRATIONS):
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
    version = _version(conn)
    for number, (name, statements) in enumerate(MIGRATIONS[version:], start=version + 1):
        _check_names(conn, statements)
        for statement in statements:
            conn.execute(statement)
        conn.execute("INSERT INTO memory_migration VALUES (?, ?, ?)", (number, name, now_micros()))
    for use, name in normalisers.items():
        conn.execute("INSERT INTO memory_meta VALUES (?, ?) ON CONFLICT DO NOTHING", (use, name))
    _check_normalisers(conn, normalisers)


def _version(conn: sqlite3.Connection) -> int:
    """The file's version. Raises: SchemaTooNew."""
    version: int = conn.execute("SELECT ifnull(max(version), 0) FROM memory_migration").fetchone()[0]
    if version > len(MIGRATIONS):
        raise SchemaTooNew(
            f"the file's memory has schema {version}, this version of aiomemdb knows {len(MIGRATIONS)}: update aiomemdb"
        )
    return version


def _check_names(conn: sqlite3.Connection, statements: Iterable[str]) -> None:
    """Raises: ValueError: what is to be made is there, so it is not ours."""
    wanted = [made[1] for statement in statements if (made := _MADE.match(statement))]
    rows = conn.execute(
        "SELECT name FROM sqlite_schema WHERE name COLLATE NOCASE IN (SELECT value FROM json_each(?))",
        (json.dumps(wanted),),
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
