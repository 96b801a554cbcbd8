"""A copy of the database, as one snapshot of it."""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import anyio

from ...errors import DatabaseClosed
from ..common.options import refuse_home
from ..connection.connection import Connection
from ..connection.guarded import GuardedConnection
from ..file.files import check_length
from .queries import begin_snapshot

__all__ = ["back_up", "checked_backup_target", "copy_database"]

# What link(2) says where the file system or the system has none.
_NO_LINKS = frozenset([errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS])


def checked_backup_target(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, (str, os.PathLike)) or not isinstance(name := os.fspath(path), str):
        raise TypeError(f"backup({path!r}): a path")
    if name.startswith((":memory:", "file:")):
        raise ValueError(f"backup({name!r}): give the plain path of a new file")
    refuse_home(name)
    target = Path(os.path.abspath(path))
    check_length(target)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"the folder {target.parent} does not exist; create it first")
    if os.path.lexists(target):
        raise FileExistsError(f"{target} exists already; back up to a new name")
    return target


async def back_up(
    reader: Connection, target: Path, progress: Callable[[int, int], object] | None, cancelled: threading.Event
) -> None:
    """Copies what ``reader`` sees, which is this backup's own and ends with it."""

    def report(done: int, total: int) -> None:
        if progress is not None:
            reader.deliver(progress, done, total)

    def copy(raw: GuardedConnection) -> None:
        begin_snapshot(raw)
        copy_database(raw, target, report, cancelled)

    copying = reader.submit(copy)
    reader.stop()  # posted behind the copy: the thread ends however often its caller is cancelled
    try:
        await asyncio.shield(copying)
    except _Cancelled:
        raise DatabaseClosed("closed before the backup was done; nothing of it is left") from None
    except asyncio.CancelledError:
        cancelled.set()
        copying.add_done_callback(lambda done: done.cancelled() or done.exception())  # its caller is gone
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await asyncio.wait([copying, reader.stopped])
            reader.join(0.5)


def copy_database(
    source: GuardedConnection,
    target: Path,
    progress: Callable[[int, int], None],
    cancelled: threading.Event,
) -> None:
    """Copies the snapshot that ``source`` (a reader of its own) sees to ``target``, whole or not at all.

    Raises:
        FileExistsError: there is a file at ``target``.
        _Cancelled: ``cancelled`` was set.
    """
    descriptor, name = tempfile.mkstemp(prefix=".backup-", suffix=".partial", dir=target.parent)
    os.close(descriptor)
    partial = Path(name)

    def report(status: int, remaining: int, total: int) -> None:
        progress(total - remaining, total)
        if cancelled.is_set():
            raise _Cancelled

    try:
        check_length(partial)
        copy = sqlite3.Connection(partial, isolation_level=None)  # not connect(): a tracer's proxy is no target
        try:
            copy.execute("PRAGMA synchronous=FULL")
            source.copy_into(copy, report)
        finally:
            copy.close()
        _put_in_place(partial, target)
        _sync_folder(target.parent)
    except FileExistsError:
        raise FileExistsError(f"{target} exists already; back up to a new name") from None
    finally:
        partial.unlink(missing_ok=True)


def _put_in_place(partial: Path, target: Path) -> None:
    """Names the file, unless another has it, which may have come meanwhile: a rename would replace that.

    Where there are no links (FAT, shared folders, Android), an empty file of ours takes the name, and then makes way.
    """
    try:
        os.link(partial, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        claim = os.fstat(descriptor)
        os.close(descriptor)
        if _is_still(claim, target):
            os.rename(partial, target)
        else:
            raise FileExistsError from None


def _is_still(claim: os.stat_result, target: Path) -> bool:
    now = os.lstat(target)
    return (now.st_dev, now.st_ino, now.st_size) == (claim.st_dev, claim.st_ino, 0)


class _Cancelled(Exception):
    """The caller of a backup has left."""


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
