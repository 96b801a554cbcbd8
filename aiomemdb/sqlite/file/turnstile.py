"""The turnstile: which process may write next, by two lock files beside the database.

All processes that wait for SQLite's own lock poll it: of 50 some starve for seconds, and it can't keep a checkpoint
apart from another process's commit, which corrupts the log on SQLite 3.7.0 to 3.51.2
(https://www.sqlite.org/wal.html, "The WAL-reset bug"). So each batch and each checkpoint of ours is run in a *turn*.

How it works
============

The process that has the turn holds ``-lock``, the process that gets it next holds ``-next``. For a turn a process takes
``-next``, then ``-lock``, then releases ``-next``. After its turn it has to pass ``-next`` again, so it can't barge.
 Only one process at a time polls ``-lock``, quickly. The crowd polls ``-next``, slowly and at random, each process
more often the longer it has waited.

Both are tried and never waited for inside the kernel: a thread blocked in ``flock`` can't be woken, would outlive
``close()`` and keep the interpreter from exiting. The kernel releases them when their holder dies. Measured with 50
processes, batches of 20, rows/s | Jain's index | worst wait: this 235 k | .985 | .11 s; SQLite's polling 418 k | .73 |
2.5 s; one blocking ``flock`` 238 k | .92 | .61 s; tickets by byte ranges 3.4 k at one row a commit.

``flock``, not POSIX's ``fcntl`` locks: those belong to the process, so that two databases of one process would not
exclude each other, and closing any descriptor of the file would drop them
(https://www.sqlite.org/howtocorrupt.html, 2.2).

The files are never deleted: two processes could then hold locks on two files of one name. A process that finds them
deleted makes them anew. Between containers they serve where the *folder* is shared, on a local file system.
"""

from __future__ import annotations

import errno
import math
import os
import random
import stat
import struct
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

from ...errors import DatabaseClosed, LockTimeout
from .holders import holder_of_turn, note_wait

try:
    import fcntl

    _TRY = fcntl.LOCK_EX | fcntl.LOCK_NB
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

__all__ = ["Turnstile"]

# The one that is next looks again and again for the end of the turn that runs: it takes about 0.1 ms, of 20 rows. Once
# it has waited for long, behind a transaction() or a stopped process, it looks after a further twentieth of its wait.
_LOOK_FOR_LOCK = (0.00001, 0.00005)
_PART_OF_WAIT = 1 / 20
# The crowd behind it looks for the end of its wait: the longer a process has waited, by the measure of what all usually
# wait, the more often it looks. So none starves, however long a turn takes. (Where all look alike it is a lottery: of
# 20 processes with turns of 0.1 s some waited for 18 s, not 2.) But 49 that each look 1,000 times a second burn 0.3 of
# a core.
_LOOKS_IN_A_WAIT = 6
_SHORTEST_USUAL_WAIT = 0.15
_URGENCY = 1.5
_AT_MOST_EVERY = 0.002
_AT_LEAST_EVERY = 0.25
_SHARE_OF_LATEST = 0.1
# Where no process has passed for so long, a stopped process must have the turn, or a transaction().
_LONG_WAIT = 1.0
_LOOK_AFTER_LONG_WAIT = (0.02, 0.04)
# In -next: how many have passed it, and what they usually waited, in seconds.
_CROWD = struct.Struct("<Qd")

_WAIT_TO_CLOSE = 0.5
# A note is read whole, whatever stands there.
_NOTE_BYTES = 64
# A look at what others have committed takes 4 us of a lone caller's 24, so it is taken once in so many seconds.
_BETWEEN_LOOKS = 0.005
# In -lock, behind the note: how often a handle has announced that it takes turns, for so many seconds each time. (To
# note each turn would take 0.5 us.)
_ANNOUNCED = struct.Struct("<Q")
_ANNOUNCED_FOR = 0.01


class Turnstile:
    """One database's place at the lock files; used by the writer's thread alone.

    Attributes:
        held: it has the turn.
        waited: seconds that it waited for the latest turn, or gave up after.
        waited_max: the largest ``waited`` so far.
        end_by: when ``end`` must be done, as ``time.monotonic()``.
    """

    def __init__(self, path: Path) -> None:
        self._lock = self._next = -1
        self._is_deleted = False
        self._refused_at = -math.inf
        self._announced = -1
        self._look_at = self._announced_until = self._others_until = -math.inf
        self.end_by: float = math.inf
        self.held: bool = False
        self.waited: float = 0.0
        self.waited_max: float = 0.0
        self._path = path

    def open(self) -> None:
        """Opens the lock files of the database (which exists), or makes them, with its mode and owner.

        Raises:
            OSError: this system or file system has no ``flock``, or the files can't be opened.
        """
        if fcntl is None:
            raise OSError(
                errno.ENOTSUP, "this system has no flock, which aiomemdb needs to keep processes apart", str(self._path)
            )
        self.close()
        status = os.stat(self._path)
        try:
            with _not_forking:
                _opened.add(self)
                self._lock = _open_lock_file(f"{self._path}-lock", status)
                self._next = _open_lock_file(f"{self._path}-next", status)
            if _try(self._lock):
                fcntl.flock(self._lock, fcntl.LOCK_UN)
            self._is_deleted = False
            self._look_at = self._announced_until = -math.inf
        except OSError as error:
            self.close()
            if error.filename is not None:
                raise
            raise OSError(
                error.errno,
                f"the file system of this database has no flock, which keeps processes apart ({error.strerror}): "
                "use a local disk",
                str(self._path),
            ) from None

    def __repr__(self) -> str:
        return f"<Turnstile {self._path} {'held' if self.held else 'free'}>"

    def acquire(self, timeout: float, given_up: Callable[[], bool] = lambda: False) -> bool:
        """Waits for a turn.

        Returns: whether it is time to look at what others have committed, see ``others_since``.

        Raises:
            LockTimeout: for longer than ``timeout`` seconds; names its holder, where the system reports it.
            DatabaseClosed: it was ``given_up`` meanwhile.
        """
        if self._is_deleted:
            self.open()
        try:
            fcntl.flock(self._next, _TRY)
            fcntl.flock(self._lock, _TRY)
            self.waited = 0.0
        except BlockingIOError:
            self._wait(timeout, given_up)
        finally:
            fcntl.flock(self._next, fcntl.LOCK_UN)
        self.held = True
        now = time.monotonic()
        if now < self._look_at:
            return False
        self._look_at = now + _BETWEEN_LOOKS
        self._announce()
        return True

    def _wait(self, timeout: float, given_up: Callable[[], bool]) -> None:
        """Passes ``-next``, then ``-lock``, and notes how long that took."""
        began = time.monotonic()
        next_since: float | None = None
        latest, latest_since = -1, 0.0
        while True:
            waited = time.monotonic() - began
            if next_since is None and _try(self._next):  # where this process has it already, it gets it again
                next_since = waited
                self._note_passing(waited)
            if next_since is not None and _try(self._lock):
                self._note_waited(waited)
                return
            if given_up() or waited >= timeout:
                break
            note_wait(self._path, waited, timeout, "the turn to write", self._holder)
            if next_since is not None:
                pause = _pause_of_next(waited - next_since)
            else:
                passed, usual_wait = self._read_crowd()
                pause = _pause_in_crowd(waited, usual_wait)
                if passed != latest:
                    latest, latest_since = passed, waited
                elif waited - latest_since > _LONG_WAIT:
                    pause = max(pause, random.uniform(*_LOOK_AFTER_LONG_WAIT))
            time.sleep(min(pause, timeout - waited))
        self._note_waited(waited)
        self._refused_at = time.monotonic()
        if given_up():
            raise DatabaseClosed("closed while it waited for another process's turn to write")
        raise LockTimeout(
            f"{self._holder() or 'another process'} has kept the turn to write {self._path} for {timeout} s; wait for "
            "it, end it, or raise connect(lock_timeout=...)"
        )

    def _note_waited(self, waited: float) -> None:
        self.waited = waited
        self.waited_max = max(self.waited_max, waited)

    def _holder(self) -> str | None:
        return holder_of_turn(self._lock) or holder_of_turn(self._next)  # the next one may be stopped before its turn

    def _read_crowd(self) -> tuple[int, float]:
        """How many have passed ``-next``, and what they usually waited."""
        noted = os.pread(self._next, _CROWD.size, 0)
        passed, usual_wait = _CROWD.unpack(noted) if len(noted) == _CROWD.size else (0, 0.0)
        return passed, usual_wait if 0 <= usual_wait < 60 else 0.0  # a program may have written anything there

    def _note_passing(self, waited: float) -> None:
        passed, usual_wait = self._read_crowd()
        if waited > _AT_MOST_EVERY:  # it was in the crowd
            usual_wait += _SHARE_OF_LATEST * (waited - usual_wait)
        try:
            os.pwrite(self._next, _CROWD.pack((passed + 1) % 2**64, usual_wait), 0)
        except OSError:
            pass  # a full disk: the crowd waits as it has

    def _announce(self) -> None:
        """Looks for announcements of others and, where the latest of this one runs out, makes the next.

        Before anything is committed: so a process that is killed had announced what it committed.
        """
        try:
            noted = os.pread(self._lock, _ANNOUNCED.size, _NOTE_BYTES)
            [announced] = _ANNOUNCED.unpack(noted) if len(noted) == _ANNOUNCED.size else [0]
            if announced != self._announced:
                self._announced, self._others_until = announced, time.monotonic() + _ANNOUNCED_FOR
            if self._look_at > self._announced_until:
                announced = (announced + 1) % 2**64
                os.pwrite(self._lock, _ANNOUNCED.pack(announced), _NOTE_BYTES)
                self._announced, self._announced_until = announced, time.monotonic() + _ANNOUNCED_FOR
        except OSError:
            self._look_at = -math.inf  # a full disk: the next turn tries again

    def others_since(self, look: float) -> bool:
        """When it is time to look: whether others may have had a turn since the look of this ``time.monotonic()``.

        Turns exclude each other, and each lies in the time that its handle has announced. So where no announcement
        came since that look, the latest one was seen before it, and is valid for no longer than from then on.
        """
        return look < self._others_until

    def release(self) -> None:
        """Ends the turn; nothing where there is none."""
        if self.held:
            self.held = False
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def look(self) -> None:
        """Where the lock files were deleted or moved, the next turn is at new ones. (To ask each time is slow.)"""
        if self._lock >= 0:
            self._is_deleted = not (
                _is_named(self._lock, f"{self._path}-lock") and _is_named(self._next, f"{self._path}-next")
            )

    def end(self, close: Callable[[], None]) -> None:
        """Has the writer's connection closed in a turn: where it is the last one of the file, that is a checkpoint.

        A process that keeps the turn for long has the file open, so then this connection is not the last. So the wait
        for the turn is short: not past ``end_by``, and none where it was waited for just now.
        """
        now = time.monotonic()
        wait = 0.0 if now < self._refused_at + _WAIT_TO_CLOSE else min(_WAIT_TO_CLOSE, self.end_by - now)
        try:
            if self._lock >= 0:
                self.acquire(wait)
        except Exception:
            pass  # whatever it is, the connection is closed
        try:
            close()
        finally:
            self.close()

    # What a process leaves for the turn after its own

    def read_note(self) -> bytes:
        return os.pread(self._lock, _NOTE_BYTES, 0).rstrip(b"\0")

    def write_note(self, note: bytes) -> None:
        """At most 64 bytes."""
        os.pwrite(self._lock, note.ljust(_NOTE_BYTES, b"\0"), 0)

    # Files

    def close(self) -> None:
        """Releases what it has. The files stay."""
        self.release()
        with _not_forking:
            descriptors = [descriptor for descriptor in (self._lock, self._next) if descriptor >= 0]
            self._lock = self._next = -1
            for descriptor in descriptors:
                os.close(descriptor)

    def __del__(self) -> None:
        self.close()

    def leave_to_parent(self) -> None:
        """In a forked child: closes its copies. To unlock here would end the parent's turn, as both share the lock; and
        while a copy is open, the lock of a parent that was killed goes on.
        """
        self.held = False
        self.close()


def _pause_in_crowd(waited: float, usual_wait: float) -> float:
    usual_wait = max(usual_wait, _SHORTEST_USUAL_WAIT)
    pause = usual_wait / _LOOKS_IN_A_WAIT * math.exp(-_URGENCY * waited / usual_wait)
    return max(_AT_MOST_EVERY, usual_wait / 200, random.uniform(0.1, 1.0) * min(pause, _AT_LEAST_EVERY))


def _pause_of_next(waited: float) -> float:
    return min(max(random.uniform(*_LOOK_FOR_LOCK), waited * _PART_OF_WAIT), _LOOK_AFTER_LONG_WAIT[1])


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, _TRY)
    except BlockingIOError:
        return False
    return True


def _is_named(descriptor: int, name: str) -> bool:
    """Whether the open file still has this name: it may have been renamed, or another put in its place."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(name, follow_symlinks=False))
    except OSError:
        return False


def _open_lock_file(name: str, database: os.stat_result) -> int:
    """Opens a lock file; a missing one gets the database's mode and, made by root, its owner, as SQLite's own files do.

    Raises:
        OSError: it is not a regular file, one with several names, or not accessible.
    """
    mode = stat.S_IMODE(database.st_mode) & 0o666
    flags = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK  # a FIFO of that name must not hang us
    try:
        descriptor = os.open(name, flags | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        descriptor = os.open(name, flags)
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_nlink > 1:  # it is written to
            os.close(descriptor)
            raise OSError(errno.EINVAL, "this is a link or no regular file; aiomemdb locks by it", name) from None
        return descriptor
    try:
        # Root may change its owner; others may at least assign it to the database's group, if they are in it.
        os.fchown(descriptor, database.st_uid if os.geteuid() == 0 else -1, database.st_gid)
    except OSError:
        pass  # a file system without owners, or a group that this user is not in
    try:
        os.fchmod(descriptor, mode)  # whatever the umask; after fchown, as that may take bits away
    except OSError:
        pass  # a file system without modes
    return descriptor


_opened: weakref.WeakSet[Turnstile] = weakref.WeakSet()


# Held while lock files are opened and closed, and while the process forks: a child that inherits one unseen would keep
# its parent's turn for as long as it lives. Reentrant, as the collector may close one at any moment.
_not_forking = threading.RLock()


def _leave_to_parent() -> None:
    _not_forking.release()
    for turnstile in list(_opened):
        turnstile.leave_to_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_not_forking.acquire, after_in_parent=_not_forking.release, after_in_child=_leave_to_parent
    )
