"""The database file: what may be opened, how it is created, and whether it still is the one we opened.

The database and its -shm are never opened by hand: POSIX drops all of a process's locks on a file when any descriptor
of it is closed, SQLite's among them (https://www.sqlite.org/howtocorrupt.html, 2.2). SQLite has no lock on the
-wal, which writeback.py opens.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import quote

from ...errors import DatabaseReplaced
from ..common.codes import primary_code
from .hazards import has_second_library, refuse_inherited, refuse_mounted_alone, second_library, warn_of_network

__all__ = ["FileIdentity", "KnownFiles", "check_length", "file_uri", "prepare_file", "why_not_opened"]

# os_unix.c: MAX_PATHNAME is 512, and pager.c wants 8 of it for "-journal".
_LONGEST_PATH = 504
_LONGEST_SUFFIX = len("-journal")

# A connection has the database, its -wal and a bell open; all together have a -shm, the writer has its lock files, the
# folder, and a -journal while it makes the file.
_DESCRIPTORS_OF_ONE, _DESCRIPTORS_OF_THE_WRITER = 3, 5
_DESCRIPTORS_OF_A_DATABASE = 2 * _DESCRIPTORS_OF_ONE + _DESCRIPTORS_OF_THE_WRITER  # that has one reader


def prepare_file(path: Path, *, read_only: bool) -> Path:
    """Checks the path and creates a missing file, readable by its owner alone; returns the real path.

    Raises:
        FileNotFoundError: its folder is missing; or the file is, with ``read_only``.
        IsADirectoryError, PermissionError: as they say.
        OSError: the path is too long, or too many files are open; not a regular file; or, unless it is ``read_only``,
            one with several names (hard links): SQLite would keep a log for each.
        OSError, PermissionError: so is its log, or that belongs to another user, in a folder that all users may write.
        ForkedError: this process is a forked child, and its parent had the file open.
        AiomemdbError: the file was mounted without its folder.

    Warns:
        RuntimeWarning: it lies on a network file system.
    """
    real = Path(os.path.realpath(path))
    check_length(real)
    _refuse_planted(real)
    refuse_mounted_alone(real)
    try:
        status = os.stat(real)
    except FileNotFoundError:
        if read_only:
            raise FileNotFoundError(
                errno.ENOENT, "no such database; read_only=True opens an existing one", str(path)
            ) from None
        if not real.parent.is_dir():
            raise FileNotFoundError(
                errno.ENOENT, f"the folder {real.parent} does not exist; create it first", str(path)
            ) from None
        _check_name(real)
        _check_descriptors(_DESCRIPTORS_OF_A_DATABASE)
        _create(real)
        warn_of_network(real, os.stat(real))
        return real
    except NotADirectoryError:
        raise NotADirectoryError(errno.ENOTDIR, "a part of this path is a file, not a folder", str(path)) from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder; name a file in it", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "this is not a regular file", str(path))
    if status.st_nlink > 1 and not read_only:
        raise OSError(
            errno.EMLINK,
            "this file has several names (hard links), and SQLite keeps a separate log for each: "
            "writes would be lost; keep one name, use symbolic links for others; read_only=True opens it for reading",
            str(path),
        )
    if not os.access(real, os.R_OK):
        raise PermissionError(errno.EACCES, "no permission to read this database", str(path))
    if not read_only and not (os.access(real, os.W_OK) and os.access(real.parent, os.W_OK)):
        raise PermissionError(
            errno.EACCES,
            "no permission to write this database and its folder (for its -wal); read_only=True opens it for reading",
            str(path),
        )
    refuse_inherited(real, status)
    warn_of_network(real, status)
    return real


def check_length(path: Path) -> None:
    """Raises: OSError: it is longer than SQLite takes."""
    if (length := len(os.fsencode(path))) > _LONGEST_PATH:
        raise OSError(
            errno.ENAMETOOLONG,
            f"SQLite takes paths of at most {_LONGEST_PATH} bytes, and this one, with all links followed, has {length}",
            str(path),
        )


def _check_name(path: Path) -> None:
    """Raises: OSError: what SQLite makes beside the file would have a name that is too long."""
    length = len(os.fsencode(path.name))
    try:
        longest = os.pathconf(path.parent, "PC_NAME_MAX") - _LONGEST_SUFFIX
    except (OSError, ValueError):
        return
    if length > longest:
        raise OSError(
            errno.ENAMETOOLONG,
            f"this name has {length} bytes, and {longest} are allowed here: SQLite makes a file of this name and "
            '"-journal" beside it',
            str(path),
        )


def _check_descriptors(count: int) -> None:
    """Raises: OSError: the process can't open so many files more."""
    opened: list[int] = []
    try:
        while len(opened) < count:
            opened.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise OSError(
                error.errno,
                f"too many files are open to open a database, which takes {count} more: close some, or raise the limit "
                "(ulimit -n)",
            ) from None
    finally:
        for descriptor in opened:
            os.close(descriptor)


def why_not_opened(error: BaseException, path: Path) -> OSError | None:
    """What SQLite does not say where it "can't open" a file; None where it is another thing, or not known."""
    is_about_descriptors = isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE)
    if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY) and not is_about_descriptors:
        return None
    try:
        _check_descriptors(_DESCRIPTORS_OF_ONE)
    except OSError as too_many:
        return too_many
    if not os.access(path, os.R_OK):
        return PermissionError(errno.EACCES, "no permission to read this database", str(path))
    if not os.access(path.parent, os.W_OK):
        return PermissionError(
            errno.EACCES,
            "a database with a write-ahead log is read through a -shm beside it, and this folder can't be written: "
            "make it writable, or copy the database and its -wal to one that is",
            str(path),
        )
    return None


def _refuse_planted(path: Path) -> None:
    """SQLite moves any log with right checksums into the database, and writes into any file of these names. In a folder
    such as /tmp any user might have put it there.
    """
    for name in (f"{path}-wal", f"{path}-shm", f"{path}-journal"):
        try:
            status = os.lstat(name)
        except OSError:
            continue
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:
            raise OSError(errno.EINVAL, "this is a link or no regular file, and SQLite would write there", name)
        if status.st_uid in (0, os.geteuid()) or not os.stat(path.parent).st_mode & stat.S_IWOTH:
            continue
        if not path.exists() or status.st_uid != os.stat(path).st_uid:
            raise PermissionError(
                errno.EACCES,
                "this belongs to another user, in a folder that all users may write: SQLite would take it for a part "
                "of the database; remove it, or keep the database in a folder of its own",
                name,
            )


def _create(path: Path) -> None:
    try:
        # O_EXCL only: closing a descriptor of a file that this process has open would drop its locks.
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return  # another program was quicker
    except PermissionError:
        raise PermissionError(errno.EACCES, f"no permission to create a file in {path.parent}", str(path)) from None
    except OSError as error:
        if error.errno == errno.EROFS:
            raise OSError(errno.EROFS, f"{path.parent} is on a read-only file system", str(path)) from None
        raise
    try:
        # Whatever the umask: to a file that no user may read SQLite (os_unix.c, robust_open) makes a log for all users.
        os.fchmod(descriptor, 0o600)
    except OSError:
        pass  # a file system without modes
    finally:
        os.close(descriptor)


def file_uri(path: Path, *, read_only: bool) -> str:
    # From bytes, for names that are not UTF-8.
    return f"file:{quote(os.fsencode(path))}?mode={'ro' if read_only else 'rw'}"


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_ino, status.st_dev


_Known = list[tuple[str, tuple[int, int]]]


def _known(names: Iterable[str]) -> _Known:
    return [(name, _identity(os.stat(name))) for name in names]


def _look(files: _Known) -> os.stat_result:
    """Returns the status of the last one.

    Raises: DatabaseReplaced: one is gone or another.
    """
    try:
        for name, identity in files:
            status = os.stat(name)
            if _identity(status) != identity:
                raise DatabaseReplaced(f"{name} was replaced under a running program")
    except OSError as error:
        raise DatabaseReplaced(f"{error.filename} was removed under a running program") from None
    return status


def _files_of(path: Path) -> tuple[str, str, str]:
    """The log last: its size is wanted. A new -shm has other locks in it, and another index of the log."""
    return str(path), f"{path}-shm", f"{path}-wal"


class KnownFiles:
    """The database and, where there is a log, that: as they were when a reader was opened."""

    def __init__(self, path: Path) -> None:
        self._files = _known(name for name in _files_of(path) if os.path.exists(name))

    def look(self) -> None:
        """Raises: DatabaseReplaced: one of them is gone or another."""
        _look(self._files)


# A look at all files costs 8 us of a small batch's 30, one at their open folder 0.6. A file can't be removed or
# replaced without a new ctime of its folder (its mtime may be set back: rsync and tar do). So the folder is looked at
# before each acknowledgement, and the files when it has changed, when some time has passed (the log's size is wanted
# too, and a folder above it may be moved away), and while the folder's ctime is so young that a second change
# within one tick of the clock could hide behind it.
_BETWEEN_LOOKS = 0.01  # s; beside writers of large values the log grows by up to 1 MB a millisecond
_CLOCK_TICK = 20_000_000  # ns; kernels tick every 1 to 10 ms

# A look at what the process has open costs 1 us a descriptor. It is taken so often, in seconds, except no more than
# this share of the writer's time.
_BETWEEN_LOOKS_AT_PROCESS = 1.0
_SHARE_OF_LOOKS_AT_PROCESS = 0.001


class FileIdentity:
    """Device and inode of the database, its -wal and its -shm, as they were when it was opened.

    Attributes:
        path: the real path.
        wal_bytes: the size of the -wal at the latest look.
    """

    def __init__(self, path: Path) -> None:
        self._folder = -1
        self.path: Path = path
        self.wal_bytes: int = 0
        self._path = str(path)
        # The folder, not the database: closing a descriptor of that would drop SQLite's locks.
        self._folder = os.open(path.parent, getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC)
        self._files = _known(_files_of(path))
        self._folder_changed: int | None = None
        self._look_at = 0.0
        self._look_at_process_at = 0.0
        self.look()

    def check(self) -> bool:
        """Before each acknowledgement.

        Returns: whether it looked at the files.
        Raises:
            DatabaseReplaced: one of the files is gone or another: no other program can see what is written now. Or a
                second SQLite library has opened the database in this process: it may overwrite what is written now.
        """
        now = time.monotonic()
        if now >= self._look_at_process_at:
            self._look_at_process()
        if now < self._look_at and os.stat(self._folder).st_ctime_ns == self._folder_changed:
            return False
        self.look()
        return True

    @property
    def wal_inode(self) -> int:
        [*_, (_, (inode, _))] = self._files
        return inode

    def look(self) -> None:
        """Looks at all files.

        Raises: DatabaseReplaced: as ``check``.
        """
        changed = os.stat(self._folder).st_ctime_ns  # it was opened, and so is there
        status = _look(self._files)
        self._look_at = time.monotonic() + _BETWEEN_LOOKS
        self._folder_changed = changed if time.time_ns() - changed > _CLOCK_TICK else None
        self.wal_bytes = status.st_size

    def _look_at_process(self) -> None:
        began = time.monotonic()
        if has_second_library(self.path):
            raise DatabaseReplaced(second_library(self.path))
        now = time.monotonic()
        self._look_at_process_at = now + max(_BETWEEN_LOOKS_AT_PROCESS, (now - began) / _SHARE_OF_LOOKS_AT_PROCESS)

    def close(self) -> None:
        folder, self._folder = self._folder, -1
        if folder >= 0:
            os.close(folder)

    def __del__(self) -> None:
        self.close()
