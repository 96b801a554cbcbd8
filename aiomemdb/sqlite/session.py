"""The writer's connection, seen from its own thread: transactions, durability, and how each verb runs.

Every function here is synchronous and runs on the writer's thread. What a batch does with it is in batch.py.
"""

from __future__ import annotations

import logging
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DatabaseClosed, ForbiddenStatement, LockTimeout
from ..values import Row
from .files import FileIdentity
from .guard import GuardedConnection, finished, primary_code
from .job import Operation
from .sequence import follows

__all__ = ["COUNT", "FLUSH", "FUNCTION", "FUNCTION_ONCE", "MANY", "RETURNING", "SCRIPT", "WRITE", "Session"]

log: logging.Logger = logging.getLogger("aiomemdb")

# A function that keeps the writer for longer than this is logged with its name: everybody else waits for it.
SLOW_FUNCTION = 0.25

# Classes of statements, by what lastrowid means after them. See Session.write.
_ROWID, _NO_ROWID, _VIRTUAL, _ASK = object(), object(), object(), object()
_CLASSES_KEPT = 2000
_MAY_INSERT = re.compile("insert|replace", re.IGNORECASE)


class Session:
    """One writer's connection and what is known of it.

    Attributes:
        connection: the guarded connection; nobody else runs anything on it.
        abandoned: set by ``close()`` from the loop: stop waiting for locks.
        changes_before: ``total_changes`` before the statement that runs now: if it fails and they have moved, rows of
            it may have stayed.
    """

    def __init__(
        self,
        connection: GuardedConnection,
        identity: FileIdentity,
        *,
        full: bool,
        lock_timeout: float,
        max_value_bytes: int,
    ) -> None:
        self.connection: GuardedConnection = connection
        self.identity: FileIdentity = identity
        self.abandoned: bool = False
        self.changes_before: int = 0
        # The text of the latest plain insert: nearly always the next one's too, and comparing identities (5 ns) is
        # all that the usual job pays for knowing what its lastrowid means.
        self.plain: str | None = None
        self.max_value_bytes: int = max_value_bytes
        self._lock_timeout = lock_timeout
        self._always_full = full
        self._is_full = full
        self._durable = full
        guard = connection.guard
        self._begin_sql = f"BEGIN IMMEDIATE /* {guard.savepoint} */"
        # Not commit(), which compiles its statement anew each time (2.5 us).
        self._commit_sql = f"COMMIT /* {guard.savepoint} */"
        self._savepoint_sql = f"SAVEPOINT {guard.savepoint}"
        self._release_sql = f"RELEASE {guard.savepoint}"
        self._rollback_to_sql = f"ROLLBACK TO {guard.savepoint}"
        self.cursor: sqlite3.Cursor = connection.cursor()
        self.cursor.row_factory = Row
        self._control = connection.cursor()
        connection.cursors += [self.cursor, self._control]
        self._classes: dict[str, object] = {}
        self._follows: dict[str, bool] = {}
        # A row in a temp table of ours: inserting it moves the connection's lastrowid to an id that nobody else
        # has, so that afterwards it tells whether a statement inserted.
        self._sentinel = -secrets.randbits(62) - 1
        table = f"aiomemdb_{secrets.token_hex(8)}"  # not the savepoint's name: users can read this one
        self._sentinel_sql = f"INSERT OR REPLACE INTO temp.{table} VALUES ({self._sentinel})"
        connection.execute(f"CREATE TEMP TABLE {table} (id INTEGER PRIMARY KEY)")
        guard.learning = True

    # Transactions

    def begin(self, *, durable: bool) -> None:
        """Opens the transaction, waiting for other programs' locks in slices.

        IMMEDIATE always: a deferred transaction that reads and then writes fails at once with BUSY_SNAPSHOT,
        whatever the timeout.

        Raises:
            LockTimeout: another program held the lock for ``lock_timeout``.
            DatabaseClosed: ``close()`` ran out of time meanwhile.
        """
        self._durable = durable or self._always_full
        if self._durable is not self._is_full:
            # Not inside a transaction: SQLite refuses to change it there.
            self.connection.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
            self._is_full = self._durable
        self.execute_when_free(self._begin_sql)

    def execute_when_free(self, sql: str) -> sqlite3.Cursor:
        """Runs a statement that takes the write lock, waiting for other programs' locks in slices.

        Raises: LockTimeout, DatabaseClosed: as ``begin``.
        """
        first_refused: float | None = None
        while True:
            try:
                return self._control.execute(sql)
            except sqlite3.OperationalError as error:
                if primary_code(error) != sqlite3.SQLITE_BUSY:
                    raise
            now = time.monotonic()
            if first_refused is None:
                first_refused = now - min(0.1, self._lock_timeout)  # SQLite has slept for one slice itself
            if self.abandoned:
                raise DatabaseClosed("closed while it waited for another program's lock on the file")
            if now - first_refused >= self._lock_timeout:
                raise LockTimeout(
                    f"another program has held the write lock of {self.identity.path} for {self._lock_timeout} s; "
                    "find it, or raise connect(lock_timeout=...)"
                )

    def commit(self) -> None:
        """Commits; afterwards the file must still be the one that was opened.

        A durable transaction rewrites one number, so that there is a frame to sync even where it changed nothing:
        what it saw, perhaps committed without a sync by somebody else, is then on stable storage too. (total_changes
        can't tell: what was rolled back or went into temp tables counts. It costs 3 us beside a sync of the disk.)

        Raises:
            sqlite3.Error: COMMIT failed; the transaction may still be open.
            DatabaseReplaced: COMMIT returned success, but into a file that nobody else can see.
        """
        connection = self.connection
        if self._durable:
            self._touch()
        self._control.execute(self._commit_sql)
        if connection.noted:
            connection.close_noted()
        self.identity.check(connection.total_changes)

    def _touch(self) -> None:
        [version] = self.connection.execute("PRAGMA user_version").fetchone()
        self.connection.execute(f"PRAGMA user_version={version}")

    def rollback(self) -> None:
        self.connection.close_noted()  # interrupted, an open one would have the rollback refused
        if self.connection.in_transaction:
            self.connection.rollback()

    def settle_failed_commit(self) -> bool:
        """After a COMMIT that failed with an I/O error its frames may come back at a restart. A further small
        commit that succeeds (a fence) overwrites them in the log, and so settles that they are gone.

        Returns: whether the fence held.
        """
        try:
            self.rollback()
            self.begin(durable=self._durable)
            self._touch()
            self.connection.commit()
        except (sqlite3.Error, LockTimeout, DatabaseClosed):
            return False
        return True

    # Jobs of several steps

    def run_in_savepoint(self, operation: Operation, subject: Any, arguments: Any) -> Any:
        """Runs a job whole or not at all inside the open transaction.

        Raises:
            TransactionSpoilt: it can't be undone alone; the whole transaction must be rolled back.
            BaseException: the job's own error; the job is undone, the transaction goes on.
        """
        execute = self.connection.execute
        execute(self._savepoint_sql)
        try:
            result = self.run(operation, subject, arguments)
        except BaseException as error:
            try:
                execute(self._rollback_to_sql)
                execute(self._release_sql)
            except sqlite3.Error:
                raise TransactionSpoilt(error) from None
            if isinstance(error, TransactionSpoilt):
                raise error.args[0] from None
            raise
        try:
            execute(self._release_sql)
        except sqlite3.Error as error:  # a kept cursor with unread rows of RETURNING
            raise TransactionSpoilt(error) from None
        return result

    def run(self, operation: Operation, subject: Any, arguments: Any) -> Any:
        """Runs a job with the guard armed, and looks whether it kept to the rules.

        Raises:
            ForbiddenStatement: it tried what is forbidden, even if it swallowed the refusal.
            BaseException: its own error.
        """
        connection = self.connection
        self.changes_before = connection.total_changes
        with connection.guarded() as guard:
            try:
                result = operation.run(self, subject, arguments)
            except BaseException as error:
                explained = guard.explain(error)
                if explained is error:
                    raise
                raise explained from explained.__cause__
        if guard.denied is not None:
            raise ForbiddenStatement(guard.denied)
        if not connection.in_transaction:
            raise ForbiddenStatement("the job ended the transaction that it ran in")
        return result

    # The verbs

    def write(self, sql: str, params: Any) -> int | None:
        """One statement; gives the rowid that it inserted.

        lastrowid is the connection's: after an UPDATE, an ignored INSERT, DO NOTHING, DO UPDATE or a WITHOUT ROWID
        insert it is an earlier caller's id. So each text is classed once, from what the authorizer saw when it was
        compiled: it inserts into one rowid table (then rowcount tells), it inserts nothing, or it can't be told
        and is preceded by the sentinel insert each time (0.55 us).
        """
        try:
            kind = self._classes.get(sql)
        except TypeError:
            _check_text(sql)
            raise
        self.changes_before = self.connection.total_changes
        if kind is _ROWID or kind is _NO_ROWID:
            self.cursor.execute(sql, params)
            return self.rowid_of_known(sql) if self.connection.guard.compiled or kind is _NO_ROWID else self._rowid()
        _check_text(sql)
        cursor, compiled = self.cursor, self.connection.guard.compiled
        cursor.execute(self._sentinel_sql)
        compiled.clear()
        self.changes_before = self.connection.total_changes
        cursor.execute(sql, params)
        if cursor.description is not None:
            cursor.fetchall()  # rows of RETURNING left unread would block the COMMIT
        rowid = cursor.lastrowid
        if compiled:
            kind = self._learn(sql)
        if rowid == 0 and kind is _VIRTUAL:  # a command: INSERT INTO fts(fts) VALUES ('rebuild')
            return None
        return None if rowid == self._sentinel or kind is _NO_ROWID else rowid

    def inserts_rowid(self, sql: str) -> bool:
        """Whether this text is known to insert into one rowid table, so that rowcount and lastrowid tell all."""
        return self._classes.get(sql) is _ROWID

    def follows(self, sql: str, params: Any) -> bool:
        """Whether a run of this plain insert has consecutive rowids; see sequence.py."""
        known = self._follows.get(sql)
        if known is None:
            try:
                known = self._follows[sql] = follows(self.connection, sql, params)
            except Exception:  # these parameters do not fit; their own job is to tell
                known = False
            self.connection.guard.compiled.clear()
        return known

    def forget_sequence(self, sql: str) -> None:
        self._follows[sql] = False

    def last_insert_rowid(self) -> int:
        rowid: int = self.connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        self.connection.guard.compiled.clear()
        return rowid

    def rowid_of_known(self, sql: str) -> int | None:
        """What a statement of a known class inserted; it is classed anew if it was compiled anew."""
        kind = self._classes.get(sql, _ROWID)
        if self.connection.guard.compiled:
            learnt = self._learn(sql)  # perhaps the schema has changed
            if learnt is not _ASK:
                kind = learnt
        return None if kind is _NO_ROWID else self._rowid()

    def _rowid(self) -> int | None:
        return self.cursor.lastrowid if self.cursor.rowcount else None

    def _learn(self, sql: str) -> object:
        """Classes the text by what was compiled; to be called where something was."""
        guard, cursor = self.connection.guard, self.cursor
        inserts = guard.inserts_rowid()
        has_rows, counted = cursor.description is not None, cursor.rowcount != -1
        kind = _ASK
        if inserts is False:
            # If the text was compiled before, it is a statement inside a function or a virtual table that was seen
            # now (FTS5 compiles some of its own after many inserts), and tells nothing of this text.
            unknown = _ASK if _MAY_INSERT.search(sql) else _NO_ROWID
            kind = self._classes.get(sql, unknown)
        elif inserts and counted and not has_rows:
            schema, table = inserts
            found = self.connection.execute(
                "SELECT type, wr FROM pragma_table_list(?) WHERE schema = ?", (table, schema)
            ).fetchone()
            if found is not None and found[0] == "table":
                kind = _NO_ROWID if found[1] else _ROWID
            elif found is not None and found[0] == "virtual":
                kind = _VIRTUAL
        if kind is _NO_ROWID and has_rows:
            kind = _ASK  # its rows are to be fetched each time
        guard.compiled.clear()
        self._follows.pop(sql, None)
        if len(self._classes) >= _CLASSES_KEPT:
            self._classes.clear()  # dynamic SQL; what is still used is learnt again
            self._follows.clear()
        self._classes[sql] = kind
        return kind

    def write_count(self, sql: str, params: Any) -> int:
        """One statement; gives the number of rows that it changed."""
        _check_text(sql)
        cursor, connection = self.cursor, self.connection
        changes = connection.total_changes
        cursor.execute(sql, params)
        if cursor.description is not None:
            cursor.fetchall()
        if cursor.rowcount >= 0:
            return cursor.rowcount
        if connection.total_changes == changes:  # changes() would be an earlier statement's
            return 0
        count: int = connection.execute("SELECT changes()").fetchone()[0]  # WITH ... INSERT has no rowcount
        return count

    def write_returning(self, sql: str, params: Any) -> list[Row]:
        _check_text(sql)
        cursor = self.cursor
        cursor.execute(sql, params)
        if cursor.description is None:  # but it has run, and total_changes do not tell where it was DDL or a PRAGMA
            raise TransactionSpoilt(
                sqlite3.ProgrammingError("write_returning() needs a statement with RETURNING; use write()")
            )
        return cursor.fetchall()

    def write_many(self, sql: str, rows: list[Any]) -> int:
        _check_text(sql)
        if not rows:
            return 0
        cursor = self.cursor
        cursor.executemany(sql, rows)
        return cursor.rowcount

    def write_script(self, sql: str, _: Any) -> None:
        for statement in split_script(sql):
            self.connection.execute(statement)

    def write_function(self, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        connection = self.connection
        began = time.monotonic()
        connection.note_cursors()
        try:
            result = function(connection, *arguments)
        finally:
            connection.stop_noting()
            took = time.monotonic() - began
            if took > SLOW_FUNCTION:
                name = getattr(function, "__qualname__", repr(function))
                log.warning("write_fn(%s) kept the writer for %.2f s; all other writes waited", name, took)
            connection.row_factory = Row
            connection.text_factory = str
        return finished(result)

    def flush(self, _: Any, __: Any) -> None:
        """Does nothing, durably."""


class TransactionSpoilt(Exception):
    """The open transaction is lost or can't go on, because of one job; ``args[0]`` is that job's error."""


WRITE = Operation("write", Session.write, single=True)
COUNT = Operation("write_count", Session.write_count, single=True)
RETURNING = Operation("write_returning", Session.write_returning, single=True)
MANY = Operation("write_many", Session.write_many)
SCRIPT = Operation("write_script", Session.write_script)
FUNCTION = Operation("write_fn", Session.write_function)
FUNCTION_ONCE = Operation("write_fn(once=True)", Session.write_function, alone=True)
FLUSH = Operation("flush", Session.flush)


def split_script(sql: str) -> Iterator[str]:
    """The statements of a script, one by one; triggers, strings and comments are kept whole."""
    start = 0
    end = sql.find(";")
    while end >= 0:
        statement = sql[start : end + 1]
        # To SQLite a byte order mark is white space, but this function would take it for the first word.
        if sqlite3.complete_statement(statement.replace("\ufeff", " ")):
            if not _is_blank(statement.rstrip().rstrip(";")):
                yield statement
            start = end + 1
        end = sql.find(";", end + 1)
    rest = sql[start:]
    if not _is_blank(rest):
        yield rest


_WHITE_SPACE = " \t\n\f\r\ufeff"  # to SQLite, and nothing else


def _is_blank(sql: str) -> bool:
    """Whether there is nothing but white space and comments."""
    at, end = 0, len(sql)
    while at < end:
        if sql[at] in _WHITE_SPACE:
            at += 1
        elif sql.startswith("--", at):
            newline = sql.find("\n", at)
            at = end if newline < 0 else newline + 1
        elif sql.startswith("/*", at) and at + 2 < end:  # at the very end it is no comment to SQLite
            close = sql.find("*/", at + 2)
            at = end if close < 0 else close + 2
        else:
            return False
    return True


def _check_text(sql: str) -> None:
    if not isinstance(sql, str):
        raise TypeError(f"sql must be a str, not {type(sql).__name__}")
    if _is_blank(sql.rstrip().rstrip(";")):
        raise sqlite3.ProgrammingError("the SQL is empty")
