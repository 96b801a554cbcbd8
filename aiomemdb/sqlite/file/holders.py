"""The holder of a lock on a file, where the system reports it (/proc/locks on Linux), and the log of long waits."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from time import monotonic

__all__ = ["holder_of_turn", "holder_of_write_lock", "note_wait"]

log: logging.Logger = logging.getLogger("aiomemdb")

# Seconds after which a wait is logged, and between two such lines of one file.
LONG_WAIT = 1.0
LOG_EVERY = 60.0

_logged_at: dict[str, float] = {}

# The byte of a -shm that a process locks to write into the log (os_unix.c: UNIX_SHM_BASE; wal.c: WAL_WRITE_LOCK).
_WRITE_LOCK = 120


def holder_of_turn(descriptor: int) -> str | None:
    """The holder of a ``flock`` on this open file; None where the system reports none (macOS, another container's)."""
    pids = [pid for kind, _, pid, *_ in _locks_on(os.fstat(descriptor)) if kind == "FLOCK"]
    return _described(pids[0]) if pids else None


def holder_of_write_lock(path: object) -> str | None:
    """The program that keeps others from writing this database by SQLite's own locks; None as ``holder_of_turn``."""
    for name in (f"{path}-shm", f"{path}"):
        try:
            status = os.stat(name)
        except OSError:
            continue
        for kind, mode, pid, first, last in _locks_on(status):
            # Of the database itself bytes are locked in exclusive mode, and without a log.
            if kind == "POSIX" and mode == "WRITE" and (name == f"{path}" or first <= _WRITE_LOCK <= last):
                return "another connection of this process" if pid == os.getpid() else _described(pid)
    return None


def _locks_on(status: os.stat_result) -> Iterator[tuple[str, str, int, int, int]]:
    """Kind, mode, process, first and last byte of each lock: proc_locks(5)."""
    file = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    try:
        with open("/proc/locks") as locks:
            lines = [line.split() for line in locks]
    except OSError:
        return
    for _, kind, _, mode, pid, locked, first, last, *_ in (fields for fields in lines if len(fields) == 8):
        if locked == file and int(pid) > 0:  # 0: of another container; -1: of an open file, not of a process
            yield kind, mode, int(pid), int(first), int(last) if last != "EOF" else 2**63


def _described(pid: int) -> str | None:
    try:
        with open(f"/proc/{pid}/cmdline") as command:
            words = " ".join(command.read().replace("\0", " ").split())[:80]
        with open(f"/proc/{pid}/stat") as state:
            is_stopped = state.read().rpartition(")")[2].split()[0] in "Tt"
    except (OSError, IndexError):
        return None
    return f"process {pid} ({words}){', which is stopped,' if is_stopped else ''}"


def note_wait(path: object, waited: float, timeout: float, what: str, find_holder: Callable[[], str | None]) -> None:
    """Logs a wait for a lock once it has become long; one line a minute for each file."""
    if waited < LONG_WAIT or monotonic() - _logged_at.get(str(path), -LOG_EVERY) < LOG_EVERY:
        return
    _logged_at[str(path)] = monotonic()
    log.warning(
        "%s: has waited %.1f s for %s, which %s keeps; it waits for up to %g s (connect(lock_timeout=...))",
        path,
        waited,
        what,
        find_holder() or "another program",
        timeout,
    )
