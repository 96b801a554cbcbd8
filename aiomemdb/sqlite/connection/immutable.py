"""A database on a file system that can't be written: on a disc, in an image, behind a mount that is read-only.

SQLite reads a database with a write-ahead log by help of a -shm beside it, which can't be made there. A file that can't
be written it reads without, if it is told that the file is immutable (https://www.sqlite.org/uri.html, "immutable").
But a mount may be read-only here and not elsewhere, and may be mounted anew: then such a reader would answer from the
old state, and at last from pages of two states ("malformed"). So it is used where the file system itself says that it
can't be written, and only if no log lies there; and the file is looked at around each query. Where it is a folder that
may not be written, others may write it: that is no such case.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar  # Any: as in the stubs of sqlite3, which it stands for

from ...errors import DatabaseReplaced
from ..file.files import file_uri
from .guarded import GuardedConnection

if TYPE_CHECKING:
    from sqlite3 import _Parameters

__all__ = ["on_unwritable", "way_to_read"]


def on_unwritable(path: Path) -> bool:
    """Whether the file system says that it can't be written."""
    return bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def way_to_read(path: Path, *, read_only: bool) -> tuple[str, Callable[..., GuardedConnection]]:
    """The URI for connections that read, and what makes them."""
    uri = file_uri(path, read_only=True)
    if not (read_only and on_unwritable(path)) or _log_of(path) is not None:
        return uri, GuardedConnection
    return f"{uri}&immutable=1", partial(_ImmutableConnection, _Unchanged(path))


def _log_of(path: Path) -> str | None:
    names = (f"{path}-wal", f"{path}-journal")
    return next((name for name in names if os.path.lexists(name)), None)


P = ParamSpec("P")
R = TypeVar("R")


class _Unchanged:
    """Looks whether the file is as it was when this was made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._was = _state(os.stat(path))

    def look(self) -> None:
        """Raises: DatabaseReplaced: it is not."""
        try:
            is_changed = _state(os.stat(self._path)) != self._was
        except OSError:
            is_changed = True
        if is_changed or _log_of(self._path) is not None:
            raise DatabaseReplaced(
                f"{self._path} has been written, though its file system was read-only when it was opened: a read may "
                "see an old state, or two at once; open it again"
            )


def _state(status: os.stat_result) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


class _ImmutableCursor(sqlite3.Cursor):
    """Looks before a query, and again when it has rows or an error."""

    connection: _ImmutableConnection

    def execute(self, sql: str, parameters: _Parameters = (), /) -> _ImmutableCursor:
        look = self.connection.look
        look()
        try:
            super().execute(sql, parameters)
        except sqlite3.DatabaseError:
            look()
            raise
        return self

    def fetchone(self) -> Any:
        return self._fetch(super().fetchone)

    def fetchmany(self, size: int | None = 1) -> list[Any]:
        return self._fetch(super().fetchmany, size)

    def fetchall(self) -> list[Any]:
        return self._fetch(super().fetchall)

    def _fetch(self, fetch: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return fetch(*args, **kwargs)
        finally:
            self.connection.look()


class _ImmutableConnection(GuardedConnection):
    def __init__(self, unchanged: _Unchanged, *args: Any, **kwargs: Any) -> None:
        self.look: Callable[[], None] = unchanged.look
        self.look()  # it may be opened long after the first one
        super().__init__(*args, **kwargs)

    def cursor(self, factory: Any = _ImmutableCursor) -> Any:
        return super().cursor(factory)

    def execute(self, sql: str, parameters: _Parameters = (), /) -> sqlite3.Cursor:
        cursor: sqlite3.Cursor = self.cursor()
        return cursor.execute(sql, parameters)

    def look_at_schema(self) -> None:
        self.look()  # a snapshot begins, perhaps that of a function, and its cursors don't look
        super().look_at_schema()
