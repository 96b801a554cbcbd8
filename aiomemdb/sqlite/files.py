"""The database file: what may be opened, how it is created, and whether it still is the one we opened.

The database, its -wal and its -shm are never opened by hand here: POSIX drops all of a process's locks on a file
when any descriptor of it is closed, SQLite's among them (https://www.sqlite.org/howtocorrupt.html, 2.2).
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from urllib.parse import quote

from ..errors import DatabaseReplaced

__all__ = ["FileIdentity", "file_uri", "prepare_file"]


def prepare_file(path: Path, *, read_only: bool) -> Path:
    """Checks the path and creates a missing file, readable by its owner alone; gives the real path.

    Raises:
        FileNotFoundError: its folder is missing; or the file is, with ``read_only``.
        IsADirectoryError, PermissionError: as they say.
        OSError: not a regular file, or one with several names (hard links): SQLite would keep a log for each.
    """
    real = Path(os.path.realpath(path))
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
        _create(real)
        return real
    except NotADirectoryError:
        raise NotADirectoryError(errno.ENOTDIR, "a part of this path is a file, not a folder", str(path)) from None
    if stat.S_ISDIR(status.st_mode):
        raise IsADirectoryError(errno.EISDIR, "this is a folder; name a file in it", str(path))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(errno.EINVAL, "this is not a regular file", str(path))
    if status.st_nlink > 1:
        raise OSError(
            errno.EMLINK,
            "this file has several names (hard links), and SQLite keeps a separate log for each: "
            "writes would be lost; keep one name, use symbolic links for others",
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
    return real


def _create(path: Path) -> None:
    try:
        # O_EXCL only: closing a descriptor of a file that somebody has open would drop their locks.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        pass  # another program was quicker
    except PermissionError:
        raise PermissionError(errno.EACCES, f"no permission to create a file in {path.parent}", str(path)) from None
    except OSError as error:
        if error.errno == errno.EROFS:
            raise OSError(errno.EROFS, f"{path.parent} is on a read-only file system", str(path)) from None
        raise


def file_uri(path: Path, *, read_only: bool) -> str:
    # From bytes, for names that are not UTF-8; with an authority, an empty one, or "//x" would be taken for one.
    return f"file://{quote(os.fsencode(path))}?mode={'ro' if read_only else 'rw'}"


class FileIdentity:
    """Device and inode of the database and of its -wal, as they were when it was opened.

    Attributes:
        path: the real path.
        wal_bytes: the size of the -wal at the latest check.
    """

    __slots__ = ("_database", "_path", "_wal", "_wal_path", "path", "wal_bytes")

    def __init__(self, path: Path) -> None:
        self.path: Path = path
        self._path = str(path)
        self._wal_path = f"{path}-wal"
        database, wal = os.stat(self._path), os.stat(self._wal_path)
        self._database = (database.st_ino, database.st_dev)
        self._wal = (wal.st_ino, wal.st_dev)
        self.wal_bytes: int = wal.st_size

    def check(self) -> None:
        """Two stats, 3 us a batch.

        Raises:
            DatabaseReplaced: one of the files is gone or another: what is written now, nobody else can see.
        """
        try:
            database, wal = os.stat(self._path), os.stat(self._wal_path)
        except OSError as error:
            raise DatabaseReplaced(f"{error.filename} was removed under a running program") from None
        if (database.st_ino, database.st_dev) != self._database:
            raise DatabaseReplaced(f"{self._path} was replaced under a running program")
        if (wal.st_ino, wal.st_dev) != self._wal:
            raise DatabaseReplaced(f"{self._wal_path} was replaced under a running program")
        self.wal_bytes = wal.st_size
