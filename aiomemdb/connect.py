"""Chooses the engine for a target."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Callable, Mapping
from pathlib import Path

from .config import Config, Durability, PragmaValue, refuse_home
from .familiar import suggests_options
from .sqlite.database import SQLiteDatabase

__all__ = ["connect"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")


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
    pragmas: Mapping[str, PragmaValue] | None = None,
    label: str | None = None,
    read_only: bool = False,
) -> SQLiteDatabase:
    """A database, not open yet: ``async with connect("agent.db") as db`` or ``db = await connect("agent.db")``.

    Constructing does no I/O; opening does, and creates a missing file (readable by its owner alone). ``":memory:"``
    is a private temporary file, removed at close, so that every promise holds for it too.

    Values come back as SQLite stores them. There is no ``detect_types=``: sqlite3 would convert in every query of a
    connection, the library's own too, and one odd value would fail all rows. Convert where you read:
    ``datetime.fromisoformat(row["at"])``, ``json.loads(row["data"])``. Adapters of ``sqlite3.register_adapter`` serve
    for what you write.

    Args:
        target: a path.
        readers: read-only connections, a thread each.
        durability: "normal" survives any death of the process, "full" a power cut too.
        max_pending: jobs that may wait for the writer before ``submit`` raises ``QueueFull``.
        max_value_bytes: the largest string, blob or row that a write may store.
        lock_timeout: seconds to wait for another program's write lock.
        max_hold: seconds that one ``transaction()`` may keep the writer.
        prepare: called with each new ``sqlite3.Connection``: SQL functions, collations, extensions.
        pragmas: PRAGMAs for every connection; ``foreign_keys`` is on by default.
        label: names the threads and tasks; default: the file's name.
        read_only: open an existing file for reading alone, also on a file system that can't be written.

    The reasons for the defaults are in ``aiomemdb.config.Config``.

    Raises:
        TypeError, ValueError: an option of the wrong type or out of range, an unknown URL scheme; at once.
        OSError, sqlite3.DatabaseError: when opened: see the message.
    """
    config = Config(
        readers=readers,
        durability=durability,
        max_pending=max_pending,
        max_value_bytes=max_value_bytes,
        lock_timeout=lock_timeout,
        max_hold=max_hold,
        prepare=prepare,
        pragmas={} if pragmas is None else pragmas,
        label=_label(target) if label is None else label,
        read_only=read_only,
    )
    return SQLiteDatabase(_path(target, read_only=read_only), config)


def _path(target: str | os.PathLike[str], *, read_only: bool) -> Path | None:
    if not isinstance(target, str | os.PathLike):
        raise TypeError(f"target={target!r}: a path, or a URL")
    name = os.fspath(target)
    if not isinstance(name, str):
        raise TypeError(f"target={target!r}: a path in str, not bytes")
    if name == ":memory:":
        if read_only:
            raise ValueError('":memory:" is new and empty: read_only=True makes no sense of it')
        return None
    if match := _SCHEME.match(name):
        raise ValueError(f"unknown URL scheme {match[1]!r} in {name!r}: give the path of an SQLite file")
    if name.startswith("file:"):
        raise ValueError(f"{name!r}: give a plain path, not an SQLite URI; its options are options of connect()")
    refuse_home(name)
    if not name:
        raise ValueError('target="": give the path of an SQLite file, or ":memory:"')
    if "\0" in name:
        raise ValueError(f"target={name!r}: a path can't hold a NUL character")
    return Path(name)


def _label(target: object) -> str:
    return Path(str(target)).name or "db"
