"""aiosqlite's shape over aiomemdb: change one line, ``import aiomemdb.aiosqlite as aiosqlite``.

``connect()`` returns a connection of the program's own. All connections of a file share one database, so that a hundred
of them take five threads, none of them ever meets "database is locked" for long, and what is written outside a
transaction shares its commits with others. A transaction that is left open keeps no other from reading.

``install()`` has ``aiosqlite.connect`` itself be this one, for code that calls it inside.
"""

from sqlite3 import (
    DatabaseError,
    Error,
    IntegrityError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Row,
    Warning,
    paramstyle,
    register_adapter,
    register_converter,
    sqlite_version,
    sqlite_version_info,
)

from .connecting import __version__, connect, install, uninstall
from .connection import Connection
from .cursor import Cursor

__all__ = [
    "Connection",
    "Cursor",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Row",
    "Warning",
    "__version__",
    "connect",
    "install",
    "paramstyle",
    "register_adapter",
    "register_converter",
    "sqlite_version",
    "sqlite_version_info",
    "uninstall",
]
