"""What a URL and ``connect_args`` may hold, and how a connection is made of it."""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import Callable, Mapping
from typing import Any  # Any: SQLAlchemy hands on what its user gave

from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from ...aiosqlite.sharing import Target, share
from ...engines import connect
from ...sqlite.engine.database import SQLiteDatabase
from ...sqlite.interactive.rule import Rule
from .driver import DriverConnection, Used

__all__ = ["checked_options", "connected", "options_of_url"]


def _bool(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}[text.lower()]


#: By its name, what a URL's text of an option is.
_FROM_URL: Mapping[str, Callable[[str], object]] = {
    "readers": int,
    "durability": str,
    "max_pending": int,
    "max_value_bytes": int,
    "lock_timeout": float,
    "max_hold": float,
    "label": str,
    "read_only": _bool,
    "timeout": float,
    "patience": float,
    "idle": float,
    "check_same_thread": _bool,
}
_OF_RULE = ("timeout", "patience", "idle")
_OF_DATABASE = frozenset(inspect.signature(connect).parameters) - {"target"}
#: sqlite3's: programs that were written for it give them, and here they change nothing.
_WITHOUT_EFFECT = ("check_same_thread", "cached_statements")


def options_of_url(url: URL) -> dict[str, Any]:
    """Raises: ArgumentError: an option is unknown, or no such value; or it has a host or user."""
    if url.username or url.password or url.host or url.port:
        raise ArgumentError(f"{url}: a file has no host and no user: sqlite+aiomemdb:///relative.db, ////absolute.db")
    options: dict[str, Any] = {"database": url.database or ":memory:"}
    for name, text in url.query.items():
        if name not in _FROM_URL:
            raise ArgumentError(f"{url}: unknown option {name!r}; there are {', '.join(sorted(_FROM_URL))}")
        try:
            options[name] = _FROM_URL[name](str(text))
        except (ValueError, KeyError):
            raise ArgumentError(f"{url}: {name}={text!r} is no such value") from None
    checked_options(options)
    return options


def checked_options(options: Mapping[str, Any]) -> None:
    """Raises: ArgumentError: an option is unknown or wrong. Nothing is opened."""
    options = dict(options)
    database = options.pop("database", None)
    for name in _WITHOUT_EFFECT:
        options.pop(name, None)
    for name in _OF_RULE:
        seconds = options.pop(name, 0.0)
        if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 <= seconds < 1e9:
            raise ArgumentError(f"{name}={seconds!r}: seconds, 0 or more")
    if unknown := sorted(set(options) - _OF_DATABASE):
        known = sorted({*_OF_DATABASE, *_OF_RULE})
        raise ArgumentError(f"unknown option {', '.join(map(repr, unknown))}; there are {', '.join(known)}")
    if isinstance(database, SQLiteDatabase):
        if options:
            raise ArgumentError(f"{', '.join(sorted(options))}: of an open database these are set by aiomemdb.connect")
        return
    try:
        connect(database, **options)
    except (TypeError, ValueError) as error:
        raise ArgumentError(str(error)) from error


class _Given:
    """An open database that the caller closes."""

    def __init__(self, database: SQLiteDatabase) -> None:
        self.loop: asyncio.AbstractEventLoop = asyncio.get_running_loop()
        self.database: SQLiteDatabase = database

    def leave(self) -> None:
        pass


async def connected(memory: str, *, database: Any, **options: Any) -> DriverConnection:
    """A connection to a file, or to an open database, on the running loop.

    All connections of a file and loop share one database, those of ``aiomemdb.aiosqlite`` too. What is ":memory:" is
    shared by those of the same ``memory``, which is an engine's.

    Raises: ArgumentError: an option is unknown or wrong, or the file is open with another.
    """
    checked_options({"database": database, **options})
    rule = Rule(**{name: float(options.pop(name)) for name in _OF_RULE if name in options})
    for name in _WITHOUT_EFFECT:
        options.pop(name, None)
    used: Used
    if isinstance(database, SQLiteDatabase):
        used = _Given(database)
    else:
        path = "" if database == ":memory:" else os.fspath(database)
        try:
            used = await share(Target(path, os.path.realpath(path) if path else memory, options))  # noqa: ASYNC240
        except (TypeError, ValueError) as error:
            raise ArgumentError(str(error)) from error
    try:
        return DriverConnection(used, rule)
    except BaseException:
        used.leave()
        raise
