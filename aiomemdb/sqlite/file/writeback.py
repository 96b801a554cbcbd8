"""The log's way to the disk, begun before a checkpoint waits for it.

A checkpoint syncs the log before it moves a page of it, and all writers wait meanwhile. Where no commit has synced the
log, that was the longest part of their wait. So the kernel is asked now and then to begin with what lies in its memory.
Nothing waits for that, and nothing relies on it: durable is what SQLite has synced, as before.

Linux alone has such a call. An ``fsync`` would wait. ``POSIX_FADV_DONTNEED`` begins it too, but drops what is on the
disk already, which readers and the checkpoint are about to read.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["LogWriteback"]

# Of linux/fs.h: begins to write all dirty pages of the range, and waits for none. The two flags that wait
# would also take an error of the disk for reported; this one leaves it to the next sync of each open file
# (https://docs.kernel.org/filesystems/vfs.html, "Handling errors during writeback").
_WRITE = 2


def _find() -> Callable[[int, int, int, int], int] | None:
    try:
        call = ctypes.CDLL(None).sync_file_range
    except (OSError, AttributeError, TypeError):  # macOS; a libc without it
        return None
    call.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
    call.restype = ctypes.c_int
    return call


_sync_file_range: Callable[[int, int, int, int], int] | None = _find()


class LogWriteback:
    """Begins to write one log; used by the writer's thread alone.

    It has a descriptor of the -wal of its own, from the first ``begin`` on. SQLite locks the database and the -shm,
    never the -wal (os_unix.c: UNIXFILE_NOLOCK). So no lock is lost where this descriptor is closed.
    """

    def __init__(self, path: Path, inode: int) -> None:
        self._descriptor = -1
        self._is_to_open = _sync_file_range is not None
        self._name = f"{path}-wal"
        self._inode = inode

    def begin(self) -> None:
        """Errors are left to SQLite's own sync, which meets them too."""
        if self._is_to_open:
            self._is_to_open = False
            self._open()
        if self._descriptor >= 0 and _sync_file_range is not None:
            _sync_file_range(self._descriptor, 0, 0, _WRITE)

    def _open(self) -> None:
        try:
            descriptor = os.open(self._name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:  # removed, or too many files are open: checkpoints take longer
            return
        if os.fstat(descriptor).st_ino == self._inode:
            self._descriptor = descriptor
        else:
            os.close(descriptor)

    def close(self) -> None:
        """Nothing begins any more."""
        self._is_to_open = False
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()
