"""Checkpoints, optimize and vacuum."""

from __future__ import annotations

import logging
import math
import os
import sqlite3
import time
from contextlib import suppress

from ...concurrency.job import Operation
from .session import Session

__all__ = ["CHECKPOINT", "OPTIMIZE", "VACUUM", "Checkpointer"]

log: logging.Logger = logging.getLogger("aiomemdb")

# SQLite's own default for a checkpoint, in pages. The library runs its own, in a turn: the bug of SQLite 3.7.0 to
# 3.51.2 that corrupts a file when one connection checkpoints while another commits (https://www.sqlite.org/wal.html)
# can't strike where all processes take turns at both.
_PAGES = 1000
# A log that is cut takes its blocks from the file system anew, which is a third of the rate of large values: their log
# is often of 20 MB.
_TRUNCATE_ABOVE = 16
# Milliseconds for each usual size of the log: the more it has outgrown that, the longer all writers wait for those who
# read from it. New reads go on and are not waited for; a snapshot is left until the log has grown by a quarter, or by
# its usual size and so many times the wait has passed. (By the quarter alone it grew to 383 MiB within an hour, beside
# a reader that nearly always had one open.)
_WAIT_FOR_READERS = 20
_WAIT_AT_MOST = 250
_TIMES_THE_WAIT = 10
# The disk begins with the log this often, in seconds, where so many rows were changed since: a busy writer fills a
# megabyte in that time. A quiet one is left to the kernel, which gathers for longer; so is a log that no checkpoint has
# moved yet, as most programs end before one is due.
_BEGIN_EVERY = 0.02
_BEGIN_AFTER_CHANGES = 32


class Checkpointer:
    """Keeps the log in check, on the writer's thread, after a batch was answered.

    The log is a file that is written again from its start after a complete checkpoint, so its size is that of its
    longest life so far. Whenever it is due a PASSIVE checkpoint moves what it can without waiting for
    readers. Then the log is restarted, and cut down where it has outgrown sixteen times the usual size. When it is due
    again is noted for the next process that has the turn. Otherwise each would checkpoint what one of them has
    checkpointed just now. A note that no checkpoint of the present log can have left, by its size, is of an earlier log
    (perhaps with the same inode: ext4 assigns that of a deleted file to the next), or of the time before it was cut.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._turnstile = session.turnstile
        self._recorder = session.recorder
        self._usual: int = _PAGES * session.connection.own("PRAGMA page_size")[0][0]
        self._small_enough = self._usual
        self._writeback = session.writeback
        # Where each commit has synced the log, there is nothing to begin with.
        self._begin_at = math.inf if session.is_always_full else 0.0
        self._begun_with = 0

    def end_turn(self) -> None:
        """Before a batch is answered: ends its turn, unless the log wants a checkpoint; that is done in the same turn
        (it would have to be waited for again), but behind the answer, in ``after_batch``.
        """
        size = self._session.identity.wal_bytes
        if size > self._usual and size != self._small_enough:
            size = self._look()
            if self._is_due(size):
                return
            self._small_enough = size
        self._turnstile.release()

    def after_batch(self) -> None:
        if self._turnstile.held:
            try:
                self.run()
            finally:
                self._turnstile.release()
        elif (now := time.monotonic()) >= self._begin_at:
            self._begin_writeback(now)

    def _begin_writeback(self, now: float) -> None:
        """Behind the turn and the answer: it takes up to a millisecond, and it may come at any time."""
        changes, size = self._session.connection.total_changes, self._session.identity.wal_bytes
        if abs(changes - self._begun_with) >= _BEGIN_AFTER_CHANGES and size > self._usual:
            self._begun_with = changes
            self._begin_at = now + _BEGIN_EVERY
            self._writeback.begin()

    def _look(self) -> int:
        """The log's size now: the others may have written since it was looked at."""
        identity = self._session.identity
        with suppress(OSError):  # removed: the next commit finds out
            identity.wal_bytes = os.stat(f"{identity.path}-wal").st_size
        return identity.wal_bytes

    def _is_due(self, size: int) -> bool:
        """Whether a log of this size has passed what the latest checkpoint has noted: a mark; or a lower one, and the
        time when it is to be tried again.
        """
        now = int(time.monotonic() * 1000)
        try:
            log, mark, lower_mark, again_at = map(int, self._turnstile.read_note().split())
        except (OSError, ValueError):
            return True
        return (
            log != self._session.identity.wal_inode
            or not size <= mark <= self._next_mark(size)
            or (size > lower_mark and not now < again_at <= now + _TIMES_THE_WAIT * _WAIT_AT_MOST)
        )

    def _next_mark(self, size: int) -> int:
        """The mark where a reader uses a log of this size."""
        return size + max(self._usual, size // 4)

    def _note(self, mark: int, lower_mark: int, again_in: int = 0) -> None:
        again_at = int(time.monotonic() * 1000) + again_in
        try:
            self._turnstile.write_note(b"%d %d %d %d" % (self._session.identity.wal_inode, mark, lower_mark, again_at))
        except OSError as error:  # a full disk: the next process checkpoints once more
            log.warning("%s: %s", self._turnstile, error)

    def run(self, *, truncate: bool = False) -> bool:
        """In a turn: checkpoints; returns whether the whole log has reached the file, and no reader uses it."""
        began, failures = time.monotonic(), self._recorder.checkpoint_failures
        size = self._session.identity.wal_bytes
        self._checkpoint("PASSIVE")
        # By itself the log restarts when a write begins while no reader uses it: among many readers, never. So this
        # waits for those that began before, shortly: no write can begin meanwhile.
        mode = "TRUNCATE" if truncate or size > _TRUNCATE_ABOVE * self._usual else "RESTART"
        wait = min(_WAIT_FOR_READERS * max(1, size // self._usual), _WAIT_AT_MOST)
        restarted = self._checkpoint(mode, wait=wait)
        if restarted:
            mark = self._usual if mode == "TRUNCATE" else max(size, self._usual)
            self._note(mark, mark)
        else:
            self._note(self._next_mark(size), size + self._usual, again_in=_TIMES_THE_WAIT * wait)
        recorder = self._recorder
        error = recorder.checkpoint_error if recorder.checkpoint_failures > failures else None
        recorder.checkpointed(began, self._session.identity.wal_bytes, error, is_whole=restarted)
        return restarted

    def _checkpoint(self, mode: str, *, wait: int = 0) -> bool:
        try:
            done, whole = self._session.checkpoint(mode, wait=wait)
        except sqlite3.Error as error:
            # No caller asked for it, so none would hear: commits go on, and the log grows until it can be done.
            what = f"{getattr(error, 'sqlite_errorname', type(error).__name__)}: {error}"
            self._recorder.checkpoint_failed(what)
            log.warning("checkpoint of %s failed: %s", self._session.identity.path, what)
            return False
        if done and mode == "PASSIVE":  # the others only follow it
            self._recorder.checkpoints += 1
        return whole


def _checkpoint(session: Session, checkpointer: Checkpointer) -> bool:
    with session.turn():
        session.identity.look()
        return checkpointer.run(truncate=True)


def _optimize(session: Session, checkpointer: Checkpointer) -> None:
    with session.turn():
        session.execute_when_free("PRAGMA optimize")
        session.identity.look()


def _vacuum(session: Session, checkpointer: Checkpointer) -> None:
    """The new file is in the log first: it is shorter only when the log was moved into it."""
    with session.turn():
        session.execute_when_free("VACUUM")
        session.identity.look()
        checkpointer.run(truncate=True)


CHECKPOINT = Operation("checkpoint", _checkpoint, outside=True)
OPTIMIZE = Operation("optimize", _optimize, outside=True)
VACUUM = Operation("vacuum", _vacuum, outside=True)
