"""``connect``, and how it takes the place of aiosqlite's own."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import warnings
from importlib import import_module
from importlib.metadata import version
from typing import Any  # Any: anything with a str() may name a file

from ..config import checked_timeout
from ..sqlite.interactive.rule import Rule
from .connection import Connection, IsolationLevel, checked_isolation_level
from .sharing import made, target_of

__all__ = ["__version__", "connect", "install", "uninstall"]

#: aiosqlite's: this has its shape.
__version__: str = version("aiosqlite")

# Of sqlite3.connect, and without a meaning here: threads and statements are the library's own.
_IGNORED = ("check_same_thread", "cached_statements")


def connect(
    database: Any,
    *,
    iter_chunk_size: int = 64,
    loop: asyncio.AbstractEventLoop | None = None,
    timeout: float = 5.0,
    isolation_level: IsolationLevel = "",
    detect_types: int = 0,
    uri: bool = False,
    autocommit: int | bool = -1,
    factory: type[sqlite3.Connection] = sqlite3.Connection,
    patience: float = 0.25,
    idle: float = 0.1,
    **options: Any,
) -> Connection:
    """Return a connection, not open yet: ``async with connect("agent.db") as db``, or ``db = await connect(...)``.

    Args:
        database: a path, as str, bytes, Path or anything with a ``str()``; ":memory:" is one connection's own.
        iter_chunk_size: rows that ``async for`` fetches at once.
        loop: has no meaning any more.
        timeout: seconds that a write waits for the writer; then it is "database is locked".
        isolation_level: "" has the first INSERT, UPDATE, DELETE or REPLACE begin a transaction; None none.
        detect_types: 0 alone: values come back as SQLite stores them; convert where you read.
        uri: whether ``database`` may be a ``file:`` URI.
        autocommit: of Python 3.12; True is ``isolation_level=None``.
        factory: ``sqlite3.Connection`` alone.
        patience: seconds that a BEGIN waits for the writer behind one that holds it, before it begins on a snapshot.
        idle: seconds that a transaction which has only read may keep the writer while it asks for nothing.
        **options: those of ``aiomemdb.connect``, for all connections of the file.

    Raises:
        TypeError, ValueError: an option of the wrong type or out of range; a path that none can be; at once.
        sqlite3.NotSupportedError: ``detect_types``, ``factory`` and the like, where they are not what is said above.
    """
    if loop is not None:
        warnings.warn("aiosqlite.connect() no longer uses the `loop` parameter", DeprecationWarning, stacklevel=2)
    if not isinstance(iter_chunk_size, int) or iter_chunk_size < 1:
        raise ValueError(f"iter_chunk_size={iter_chunk_size!r}: a whole number of rows, at least 1")
    if detect_types:
        raise sqlite3.NotSupportedError(
            "detect_types: all connections of a file share theirs; convert where you read, by a row factory"
        )
    if factory is not sqlite3.Connection:
        raise sqlite3.NotSupportedError("factory: the connections are the library's own")
    if autocommit is False:
        raise sqlite3.NotSupportedError("autocommit=False: BEGIN by hand, or leave it to isolation_level")
    if autocommit is True:
        isolation_level = None
    for name in _IGNORED:
        options.pop(name, None)
    for name, seconds in (("patience", patience), ("idle", idle)):
        if checked_timeout(seconds) is None:
            raise TypeError(f"{name}=None: a number of seconds")
    rule = Rule(patience=patience, idle=idle, timeout=_seconds(timeout))
    target = target_of(database, uri=uri, options=options)
    made(target)  # or raises what is wrong with the options
    return Connection(target, iter_chunk_size, checked_isolation_level(isolation_level), rule)


def _seconds(timeout: float) -> float:
    if not isinstance(timeout, int | float) or isinstance(timeout, bool) or timeout != timeout:
        raise TypeError(f"timeout={timeout!r}: a number of seconds")
    return max(0.0, float(timeout))  # as sqlite3 takes it


_former: Any = None


def install() -> None:
    """Have ``aiosqlite.connect`` be this one, for code that calls it inside; ``uninstall`` puts it back.

    What has imported the name ``connect`` itself before keeps the former.
    """
    global _former
    aiosqlite = import_module("aiosqlite")
    if aiosqlite.connect is not connect:
        _former, aiosqlite.connect = aiosqlite.connect, connect  # type: ignore[attr-defined]


def uninstall() -> None:
    """Undo ``install``."""
    global _former
    aiosqlite = sys.modules.get("aiosqlite")
    if aiosqlite is not None and _former is not None and aiosqlite.connect is connect:
        aiosqlite.connect = _former  # type: ignore[attr-defined]
    _former = None
