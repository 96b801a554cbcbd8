"""One database for all connections of a file and a loop: opened with the first, closed with the last."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any  # Any: the options of connect()
from urllib.parse import parse_qs, unquote
from weakref import WeakKeyDictionary

import anyio

from .. import engines
from ..sqlite.engine.database import SQLiteDatabase

__all__ = ["Shared", "Target", "made", "share", "target_of"]


@dataclass(frozen=True, slots=True)
class Target:
    """What is to be opened.

    Attributes:
        path: of a file; "" of a private temporary one.
        key: what connections share it by; None: it is one connection's alone.
        options: of ``aiomemdb.connect``, as the caller gave them.
    """

    path: str
    key: str | None
    options: Mapping[str, Any] = field(default_factory=dict)
    must_exist: bool = False


def target_of(database: object, *, uri: bool, options: Mapping[str, Any]) -> Target:
    """What a caller of ``connect()`` means.

    Raises:
        ValueError, TypeError: it is no path, or a URI that says what can't be.
    """
    if isinstance(database, os.PathLike):
        database = os.fspath(database)
    name = os.fsdecode(database) if isinstance(database, bytes) else str(database)
    if "\0" in name:
        raise ValueError("embedded null character")
    name.encode("utf-8", "surrogateescape")  # or raises: no file can have such a name
    asked: dict[str, Any] = dict(options)
    must_exist = False
    if uri and name.startswith("file:"):
        name, _, query = name.removeprefix("file:").partition("#")[0].partition("?")
        if name.startswith("//"):
            host, slash, rest = name[2:].partition("/")
            if host not in ("", "localhost"):
                raise sqlite3.OperationalError(f"invalid uri authority: {host}")
            name = slash + rest
        name = unquote(name, errors="surrogateescape")
        said = {key: values[-1] for key, values in parse_qs(query).items()}
        mode = said.get("mode", "rwc")
        if mode not in ("ro", "rw", "rwc", "memory"):
            raise sqlite3.OperationalError(f"no such access mode: {mode}")
        if mode == "memory" or name in ("", ":memory:"):
            return Target("", f":memory:{name}" if said.get("cache") == "shared" else None, asked)
        must_exist = mode in ("ro", "rw")
        if mode == "ro":
            asked["read_only"] = True
    if name in ("", ":memory:"):
        return Target("", None, asked)
    return Target(name, os.path.realpath(name), asked, must_exist)


def made(target: Target) -> SQLiteDatabase:
    """A database of its own, not open yet.

    Raises: TypeError, ValueError: an option of the wrong type, or out of range.
    """
    options = {"label": os.path.basename(target.path) or "memory", **target.options}
    options["pragmas"] = {"foreign_keys": 0, **(options.get("pragmas") or {})}
    database: SQLiteDatabase = engines.connect(target.path or ":memory:", **options)
    return database


class Shared:
    """A database, and how many connections use it."""

    def __init__(self, target: Target, loop: asyncio.AbstractEventLoop) -> None:
        self.target: Target = target
        self.users: int = 0
        self.loop: asyncio.AbstractEventLoop = loop
        self.database: SQLiteDatabase = made(target)
        self.opening: asyncio.Task[object] = loop.create_task(self._open(), name="aiomemdb:aiosqlite:open")
        self._closing: asyncio.Task[None] | None = None

    async def _open(self) -> None:
        target = self.target
        if target.must_exist and not os.path.exists(target.path):  # noqa: ASYNC240
            raise sqlite3.OperationalError("unable to open database file")
        try:
            await self.database
        except OSError as error:
            refused = sqlite3.OperationalError(f"unable to open database file: {error}")
            refused.sqlite_errorcode, refused.sqlite_errorname = sqlite3.SQLITE_CANTOPEN, "SQLITE_CANTOPEN"
            raise refused from error

    def leave(self) -> asyncio.Task[None] | None:
        """One user less; returns the closing, where it was the last one. On the loop."""
        self.users -= 1
        if self.users:
            return None
        self._closing = self.loop.create_task(self._close(), name="aiomemdb:aiosqlite:close")
        return self._closing

    async def _close(self) -> None:
        try:
            await asyncio.wait([self.opening])
            if not self.opening.cancelled() and self.opening.exception() is None:
                await self.database.close()
        finally:
            here = _shared.get(self.loop, {})
            if self.target.key is not None and here.get(self.target.key) is self:
                del here[self.target.key]

    @property
    def path(self) -> str:
        """The file, of a private one too; once it is open."""
        assert self.database._assembly is not None
        return str(self.database._assembly.path)

    @property
    def closing(self) -> asyncio.Task[None] | None:
        return self._closing


_shared: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, Shared]] = WeakKeyDictionary()


async def share(target: Target) -> Shared:
    """The open database of this target on this loop; ``leave`` it again.

    Raises:
        ValueError: it is open with other options.
        sqlite3.OperationalError: it can't be opened.

    Cancellation: nothing is left.
    """
    loop = asyncio.get_running_loop()
    here = _shared.setdefault(loop, {})
    while True:
        shared = None if target.key is None else here.get(target.key)
        if shared is None or shared.closing is None:
            break
        await asyncio.wait([shared.closing])
    if shared is None:
        shared = Shared(target, loop)
        if target.key is not None:
            here[target.key] = shared
    else:
        _check_options(shared.target.options, target.options)
    shared.users += 1
    try:
        await asyncio.shield(shared.opening)
    except BaseException:
        closing = shared.leave()
        if closing is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([closing])
        raise
    return shared


def _check_options(open_with: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for name, value in wanted.items():
        if name not in open_with or open_with[name] != value:
            there = open_with.get(name, "its default")
            raise ValueError(
                f"{name}={value!r}: all connections of this file on this loop have {there!r}; give the same, or none"
            )
