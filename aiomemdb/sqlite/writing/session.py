"""The writer's connection, seen from its own thread: turns, transactions, durability.

Every function here is synchronous and runs on the writer's thread. What the verbs do with it is in operations.py, what
a batch does in batch.py.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from ...database import Params
from ...errors import AiomemdbError, DatabaseClosed, LockTimeout
from ..common.codes import primary_code
from ..common.recorder import Recorder
from ..common.rows import SQLiteRow
from ..connection.guarded import GuardedConnection
from ..file.files import FileIdentity
from ..file.holders import holder_of_write_lock, note_wait
from ..file.turnstile import Turnstile
from ..file.writeback import LogWriteback
from .foreigners import Foreigners
from .slow import SlowFunctions
from .statements import Book

__all__ = ["Session", "TransactionSpoilt"]

# SQLite's own waiting for a lock would hide that there was one, and close() could not end it.
_NO_WAIT = "PRAGMA busy_timeout=0"
_PAUSES = (0.0005, 0.02)

_SAVEPOINT, _RELEASE, _ROLLBACK_TO = (f"{verb} aiomemdb" for verb in ("SAVEPOINT", "RELEASE", "ROLLBACK TO"))

_WAIT_TO_HEAL = 100


class Session:
    """One writer's connection and what is known of it.

    Attributes:
        connection: the guarded connection; nothing else runs anything on it.
        turnstile: a write or a checkpoint has the turn there, from ``take_turn`` on.
        writeback: what begins to write the log to the disk.
        foreigners: the programs that write the file and take no turns.
        abandoned: set by ``close()`` from the loop: stop waiting for locks.
        log_in_doubt: a sync of the log has failed, and the log was not restarted since: see ``heal_log``.
        book: what is known of the texts that ran.
        changes_before: ``total_changes`` before the statement that runs now: where it fails and they have moved, rows
            of it may have stayed.
        autocommit_sql: the insert that may run by ``autocommit`` now, or None.
        is_always_full: each commit waits for a sync of the disk.
        recorder: what happens is recorded there.
    """

    def __init__(
        self,
        connection: GuardedConnection,
        identity: FileIdentity,
        turnstile: Turnstile,
        *,
        full: bool,
        lock_timeout: float,
        max_value_bytes: int,
        recorder: Recorder,
    ) -> None:
        self.connection: GuardedConnection = connection
        self.identity: FileIdentity = identity
        self.turnstile: Turnstile = turnstile
        self.writeback: LogWriteback = LogWriteback(identity.path, identity.wal_inode)
        self.abandoned: bool = False
        self._given_up: Callable[[], bool] | None = None
        self.log_in_doubt: bool = False
        self.autocommit_sql: str | None = None
        self.recorder: Recorder = recorder
        self.max_value_bytes: int = max_value_bytes
        self._lock_timeout = lock_timeout
        self.is_always_full: bool = full
        self._is_full = full
        self._durable = full
        self.cursor: sqlite3.Cursor = connection.cursor()
        self.cursor.row_factory = SQLiteRow
        connection.cursors.append(self.cursor)
        self._own = connection.own
        connection.own(_NO_WAIT)
        [[foreign_keys]] = connection.own("PRAGMA foreign_keys")
        self._checks_foreign_keys = self._is_checking = bool(foreign_keys)
        self.foreigners: Foreigners = Foreigners(connection, turnstile, identity.path)
        self.book: Book = Book(connection, self.cursor)
        self.changes_before: int = 0
        self.slow: SlowFunctions = SlowFunctions()

    # Turns

    def take_turn(self) -> None:
        """Waits until this process may write; ``turnstile.release()`` ends the turn.

        Raises:
            LockTimeout: another process had the turn for ``lock_timeout``.
            DatabaseClosed: ``close()`` ran out of time meanwhile.
            DatabaseReplaced: the files were removed.
            AiomemdbError: the lock files can't be used any more.
        """
        try:
            is_time_to_look = self.turnstile.acquire(self._lock_timeout, self._is_abandoned)
        except LockTimeout:  # an OSError too, as every TimeoutError is
            self.recorder.lock_waited(self.turnstile.waited)
            raise
        except OSError as error:
            self.identity.look()
            raise AiomemdbError(
                f"the lock files of {self.identity.path} can't be used: {error}; see that they and their folder are "
                "yours to write, then try again"
            ) from error
        if self.turnstile.waited:
            self.recorder.lock_waited(self.turnstile.waited)
        if is_time_to_look:
            self.foreigners.look()

    @contextmanager
    def turn(self) -> Iterator[None]:
        self.turnstile.look()  # a commit is not sure to come, which does
        self.take_turn()
        try:
            yield
        finally:
            self.turnstile.release()

    def end(self, close: Callable[[], None]) -> None:
        self.turnstile.end(close)
        self.writeback.close()
        self.identity.close()

    def _is_abandoned(self) -> bool:
        return self.abandoned or (self._given_up is not None and self._given_up())

    # Transactions

    def begin(self, *, durable: bool, foreign_keys: bool | None = None) -> None:
        """In a turn: opens the transaction, waiting for the locks of programs that take no turns.

        ``foreign_keys``: whether it checks them; None: as the connection does. However it ends, the next one begins
        by its own.

        IMMEDIATE always: a deferred transaction that reads and then writes fails at once with BUSY_SNAPSHOT,
        whatever the timeout.

        Raises:
            LockTimeout: another program held the lock for what was left of ``lock_timeout``.
            DatabaseClosed: ``close()`` ran out of time meanwhile.
            AiomemdbError: it is to be durable, and the disk has failed to sync what came before it.
        """
        self.autocommit_sql = None
        self._durable = durable or self.is_always_full
        if self._durable and self.log_in_doubt:
            self.heal_log()
        if self._durable is not self._is_full:
            # Not inside a transaction: SQLite refuses to change it there.
            self.connection.own(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
            self._is_full = self._durable
        checks = self._checks_foreign_keys if foreign_keys is None else foreign_keys
        if checks is not self._is_checking:
            self.connection.own(f"PRAGMA foreign_keys={checks:d}")  # as above
            self._is_checking = checks
            self.book.forget()  # the bytecode is another
        self.execute_when_free("BEGIN IMMEDIATE")
        self.connection.guard.written = None
        try:
            if self.recorder.is_observed:
                self.connection.note_written()
            # CREATE and ALTER are refused by the schema in memory, before it is compared with the file's. (0.7 us)
            self.connection.look_at_schema()
            if self.book.altered or self.book.news:
                self.book.begin_anew()
        except sqlite3.Error:
            self.connection.roll_back()
            raise

    def begin_in_turn(self, foreign_keys: bool | None, *, durable: bool, given_up: Callable[[], bool]) -> None:
        """``take_turn`` and ``begin``; their waits end as at a ``close()`` where ``given_up`` says so."""
        self._given_up = given_up
        try:
            self.take_turn()
            self.begin(durable=durable, foreign_keys=foreign_keys)
        finally:
            self._given_up = None

    def execute_when_free(self, sql: str) -> None:
        """Runs a statement of the library's own that takes the write lock, waiting for other programs' locks.

        Raises: LockTimeout, DatabaseClosed: as ``begin``.
        """
        refused_at: float | None = None
        pause, longest_pause = _PAUSES
        while True:
            try:
                self._own(sql)
                if refused_at is not None:
                    self.recorder.lock_waited(time.monotonic() - refused_at)
                return
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise
                is_foreign = error.sqlite_errorcode != sqlite3.SQLITE_BUSY_RECOVERY
            now = time.monotonic()
            if refused_at is None:
                refused_at = now
                if is_foreign:
                    self.foreigners.note_lock()
            if self._is_abandoned():
                raise DatabaseClosed("closed while it waited for another program's lock on the file")
            path, timeout = self.identity.path, self._lock_timeout
            waited = self.turnstile.waited + now - refused_at
            if waited >= timeout:
                self.recorder.lock_waited(now - refused_at)
                raise LockTimeout(
                    f"{holder_of_write_lock(path) or 'another program'} has held the write lock of {path} for "
                    f"{timeout} s, without aiomemdb's turns; wait for it, end it, or raise connect(lock_timeout=...)"
                )
            note_wait(path, waited, timeout, "SQLite's write lock", partial(holder_of_write_lock, path))
            time.sleep(pause)
            pause = min(2 * pause, longest_pause)

    def commit(self) -> None:
        """Commits; afterwards the file must still be the one that was opened.

        A durable transaction rewrites one number, so that there is a frame to sync even where it changed nothing:
        what it saw, perhaps committed without a sync by another program, is then on stable storage too. (total_changes
        can't tell: what was rolled back or went into temp tables counts. It costs 3 us beside a sync of the disk.)

        Raises:
            sqlite3.Error: COMMIT failed; the transaction may still be open.
            DatabaseReplaced: COMMIT returned success, but into a file that no other program can see.
        """
        if self._durable:
            self._touch()
        self._own("COMMIT")  # not commit(), which compiles its statement anew each time (2.5 us)
        if self.connection.noted:
            self.connection.close_noted()
        self._look_at_files()

    def allow_autocommit(self, sql: str, params: Params) -> None:
        """This write has just run alone: it may do so in autocommit until the next transaction, if it is so plain an
        insert that nothing of it could stay behind. A durable one needs more (see ``commit``).
        """
        known = self.book.of(sql, params)
        if known is not None and known.is_plain and known.is_simple and not self._durable:
            self.autocommit_sql = sql

    def autocommit(self, sql: str, params: Params) -> None:
        """In a turn: runs ``autocommit_sql`` and commits it, if it need not be compiled anew.

        Raises:
            sqlite3.Error: the statement failed, or its COMMIT.
            DatabaseReplaced: as ``commit``.
        """
        guard = self.connection.guard
        guard.frozen = True
        try:
            self.cursor.execute(sql, params)
        finally:
            guard.frozen = False
        self._look_at_files()

    def _look_at_files(self) -> None:
        if self.identity.check():
            self.turnstile.look()

    def _touch(self) -> None:
        [[version]] = self.connection.own("PRAGMA user_version")
        self.connection.own(f"PRAGMA user_version={version}")

    def rollback(self) -> None:
        """In a turn: ends the transaction, also where SQLite has ended it already."""
        self.connection.close_noted()  # interrupted, an open one would have the rollback refused
        self.connection.roll_back()
        self.foreigners.start_anew()
        self._forget_undone_schema()

    def open_savepoint(self) -> None:
        self.connection.own(_SAVEPOINT)

    def release_savepoint(self) -> None:
        """Raises: sqlite3.Error: a statement is open (a kept cursor with unread rows of RETURNING)."""
        self.let_stand()
        if self.connection.noted:
            self.connection.close_noted()  # a neighbour's DROP TABLE would meet what a function left open

    def let_stand(self) -> None:
        """As ``release_savepoint``, but what is open and half read stays so."""
        self.connection.own(_RELEASE)

    def undo_savepoint(self) -> None:
        """Undoes what was done since the innermost savepoint, and removes that.

        Raises: sqlite3.Error: it is gone, and the transaction with it.
        """
        self.connection.own(_ROLLBACK_TO)
        self.connection.own(_RELEASE)
        self._forget_undone_schema()

    def keep_savepoint(self, verb: str, depth: int) -> None:
        """SAVEPOINT, RELEASE or ROLLBACK TO that of this depth, with all inside of it; ROLLBACK TO leaves it open."""
        self.connection.own(f"{verb} aiomemdb_{depth}")
        if verb == "ROLLBACK TO":
            self._forget_undone_schema()

    def _forget_undone_schema(self) -> None:
        """Each time: which statement has changed the schema is not known where a function or a trigger ran it, and the
        look takes 1 us.
        """
        try:
            self.connection.look_at_schema()
        except sqlite3.Error:  # the disk fails: without a look at it, all that is in memory goes
            self.connection.own("PRAGMA writable_schema=RESET")

    def settle_failed_commit(self) -> bool:
        """After a COMMIT that failed with an I/O error its frames may come back at a restart. A further small
        commit that succeeds (a fence) overwrites them in the log, and so settles that they are gone.

        Returns: whether the fence held.
        """
        try:
            self.rollback()
            self.begin(durable=self._durable)  # the turn is still ours
            self._touch()
            self.connection.own("COMMIT")
        except (sqlite3.Error, AiomemdbError):
            return False
        return True

    def note_failed_sync(self, error: BaseException) -> None:
        if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_FSYNC:
            self.log_in_doubt = True

    def heal_log(self) -> None:
        """In a turn: moves the whole log into the file, so that it is written anew from its start.

        What a sync that failed was to write may never reach the disk, though the next sync succeeds: Linux takes it for
        clean (https://www.usenix.org/conference/atc20/presentation/rebello). All frames behind such a gap are lost in a
        power cut, durable ones too; so nothing is called durable until they are in the file.

        Raises:
            AiomemdbError: a reader is in the way, or the disk fails again.
        """
        why = "a reader keeps the log"
        try:
            _, restarted = self.checkpoint("TRUNCATE", wait=_WAIT_TO_HEAL)
        except sqlite3.Error as error:
            restarted, why = False, str(error)
        if not restarted:
            raise AiomemdbError(
                f"nothing can be made durable in {self.identity.path}: the disk has failed to sync the log, and what "
                f"came before could not be written again ({why}); try again, and look after the disk"
            )

    def checkpoint(self, mode: str, *, wait: int = 0) -> tuple[bool, bool]:
        """In a turn: moves the log into the file; ``RESTART`` and ``TRUNCATE`` then have it written from its start.

        Waits ``wait`` milliseconds for those that read from it.

        Returns: whether it was done, and whether the whole log has reached the file (with the latter two: and no
            reader uses it).

        Raises:
            sqlite3.Error: the disk failed.
        """
        try:
            with self.waiting_for_readers(wait):
                [(busy, in_log, moved)] = self.connection.own(f"PRAGMA wal_checkpoint({mode})")
        except sqlite3.Error as error:
            self.note_failed_sync(error)
            raise
        whole = not busy and in_log == moved
        if whole and mode != "PASSIVE":
            self.log_in_doubt = False
        if whole and mode == "TRUNCATE":
            self.identity.wal_bytes = 0
        return not busy, whole

    @contextmanager
    def waiting_for_readers(self, milliseconds: int) -> Iterator[None]:
        """For a checkpoint, which is otherwise refused at once while a reader uses the log."""
        self.connection.own(f"PRAGMA busy_timeout={milliseconds}")
        try:
            yield
        finally:
            self.connection.own(_NO_WAIT)


class TransactionSpoilt(Exception):
    """The open transaction is lost or can't go on, because of one job; ``args[0]`` is that job's error."""
