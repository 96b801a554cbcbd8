"""``connect``: which engine a target is for. An engine is imported when it is used."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .config import Durability
from .familiar import suggests_options
from .later import Later

if TYPE_CHECKING:
    import sqlite3

    from .postgres import database as postgres_database
    from .postgres import options as postgres_options
    from .sqlite.common import options as sqlite_options
    from .sqlite.engine import database as sqlite_database
else:
    sqlite3 = Later("sqlite3")
    postgres_database = Later(".postgres.database", __package__)
    postgres_options = Later(".postgres.options", __package__)
    sqlite_database = Later(".sqlite.engine.database", __package__)
    sqlite_options = Later(".sqlite.common.options", __package__)

__all__ = ["ENGINES", "Engine", "connect"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_USER = re.compile(r"(?<=://)[^/?#]*@")


class Engine(NamedTuple):
    """
    Attributes:
        make: imports the engine; returns a database of a target and options, not open yet.
        options: that it alone has.
    """

    name: str
    make: Callable[[str | os.PathLike[str], Mapping[str, Any]], Any]
    options: frozenset[str]


def _sqlite(target: str | os.PathLike[str], options: Mapping[str, Any]) -> sqlite_database.SQLiteDatabase:
    config = sqlite_options.SQLiteConfig(**options)
    path = sqlite_options.checked_path(target, read_only=config.read_only)
    return sqlite_database.SQLiteDatabase(path, config)


def _postgres(target: str | os.PathLike[str], options: Mapping[str, Any]) -> postgres_database.PostgresDatabase:
    config = postgres_options.PostgresConfig(**options)
    return postgres_database.PostgresDatabase(os.fspath(target), config)


_POSTGRES = Engine(
    "PostgreSQL",
    _postgres,
    frozenset({"reconnect", "replica_wait", "replicas", "statement_cache", "transactions"}),
)

#: By the scheme of a URL; a plain path is an SQLite file.
ENGINES: dict[str | None, Engine] = {
    None: Engine("SQLite", _sqlite, frozenset({"prepare", "pragmas"})),
    "postgresql": _POSTGRES,
    "postgres": _POSTGRES,
}


@suggests_options
def connect(
    target: str | os.PathLike[str],
    *,
    readers: int = 4,
    durability: Durability = "normal",
    max_pending: int = 10_000,
    max_value_bytes: int = 16 * 1024 * 1024,
    lock_timeout: float = 30.0,
    max_hold: float = 10.0,
    prepare: Callable[[sqlite3.Connection], object] | None = None,
    pragmas: Mapping[str, sqlite_options.PragmaValue] | None = None,
    transactions: int | None = None,
    reconnect: float | None = None,
    statement_cache: int | None = None,
    replicas: Sequence[str] | None = None,
    replica_wait: float | None = None,
    label: str | None = None,
    read_only: bool = False,
) -> sqlite_database.SQLiteDatabase:
    """Return a database, not open yet: ``async with connect("agent.db") as db``, or ``db = await connect("agent.db")``.

    Constructing does no I/O; opening does, and creates a missing file (readable by its owner alone). ``":memory:"``
    is a private temporary file, removed at close: every promise holds for it too.

    Values come back as SQLite stores them. There is no ``detect_types=``: sqlite3 would convert in every query of a
    connection, the library's own too, and one odd value would fail all rows. Convert where you read:
    ``datetime.fromisoformat(row["at"])``, ``json.loads(row["data"])``. Adapters of ``sqlite3.register_adapter`` serve
    for what you write.

    With a URL ``postgresql://user@host/database`` it is a ``PostgresDatabase``: the same verbs, on a server. (Type
    checkers see the type for a path; annotate ``db: aiomemdb.Database`` in code that is for both.)

    Args:
        target: a path, or a URL.
        readers: read-only connections at most, a thread each; those after the first are opened when they are needed.
        durability: "normal" survives any death of the process, "full" a power cut too.
        max_pending: jobs that may wait for the writer before ``submit`` raises ``QueueFull``.
        max_value_bytes: the largest string, blob or row that a write may store.
        lock_timeout: seconds to wait for another program's write lock.
        max_hold: seconds that one ``transaction()`` may keep the writer.
        prepare: of SQLite: called with each new ``sqlite3.Connection``: SQL functions, collations, extensions.
        pragmas: of SQLite: PRAGMAs for every connection; ``foreign_keys`` is on by default.
        transactions: of PostgreSQL: how many ``transaction()`` may be open at a time, by default 8.
        reconnect: of PostgreSQL: seconds in which a lost server is looked for, by default 30.
        statement_cache: of PostgreSQL: statements that a connection keeps prepared, by default 256; 0 behind a pooler.
        replicas: of PostgreSQL: URLs of standbys, which take the reads.
        replica_wait: of PostgreSQL: seconds that a read waits for a replica that is behind, by default 0.1.
        label: names the threads and tasks; default: the file's name, or the database's.
        read_only: open an existing file for reading alone, also on a file system that can't be written.

    The reasons for the defaults are in ``aiomemdb.config.Config``, ``aiomemdb.sqlite.common.options.SQLiteConfig`` and
    ``aiomemdb.postgres.options.PostgresConfig``.

    Raises:
        TypeError, ValueError: an option of the wrong type, out of range or of another engine, an unknown URL scheme; at
            once.
        ImportError: a URL of PostgreSQL, and no driver: ``aiomemdb[postgres]``.
        OSError, sqlite3.DatabaseError, psycopg.Error: when opened: see the message.
    """
    engine = _engine_of(target)
    own = {
        "prepare": prepare,
        "pragmas": pragmas,
        "transactions": transactions,
        "reconnect": reconnect,
        "statement_cache": statement_cache,
        "replicas": replicas,
        "replica_wait": replica_wait,
    }
    own = {name: value for name, value in own.items() if value is not None}
    for name in own:
        if name not in engine.options:
            others = " and ".join({other.name: None for other in ENGINES.values() if name in other.options})
            raise ValueError(f"{name}= is an option of {others}, and {_shown(target)} is of {engine.name}")
    options = {
        "readers": readers,
        "durability": durability,
        "max_pending": max_pending,
        "max_value_bytes": max_value_bytes,
        "lock_timeout": lock_timeout,
        "max_hold": max_hold,
        "label": _label(target) if label is None else label,
        "read_only": read_only,
        **own,
    }
    made: sqlite_database.SQLiteDatabase = engine.make(target, options)
    return made


def _engine_of(target: object) -> Engine:
    scheme = _SCHEME.match(target) if isinstance(target, str) else None
    engine = ENGINES.get(scheme and scheme[1].lower())
    if engine is None:
        assert scheme is not None
        raise ValueError(
            f"unknown URL scheme {scheme[1]!r} in {_shown(target)}: give the path of an SQLite file, or postgresql://..."
        )
    return engine


def _shown(target: object) -> str:
    """Without what stands before the host in a URL: it may be a password."""
    return repr(_USER.sub("", target) if isinstance(target, str) else target)


def _label(target: object) -> str:
    if isinstance(target, str) and _SCHEME.match(target):
        # What is behind "?" may be a password, too.
        return _USER.sub("", target).partition("?")[0].partition("://")[2].partition("/")[2] or "db"
    return Path(str(target)).name or "db"
