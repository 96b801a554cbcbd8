"""The rowid that a statement inserted, or None; never an earlier caller's.

lastrowid is the connection's: after an UPDATE, an ignored INSERT, DO NOTHING, DO UPDATE or a WITHOUT ROWID insert it is
an earlier caller's id. So each text is classed once, from what the authorizer saw when it was compiled: it inserts into
one rowid table (then rowcount tells), it inserts nothing, or it can't be told and is preceded by a sentinel insert each
time (0.55 us).
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from operator import length_hint
from typing import Any, TypeVar

from ...errors import ForbiddenStatement
from ..codes import is_undone
from ..connection.guard import GuardedConnection
from ..connection.script import check_text, first_word
from .sequence import FEWEST, ManyRows, Program, are_valid, explained, fails_halfway, inserts, of_many_rows, program_of

__all__ = ["Astray", "Rowids"]

# Classes of statements, by what lastrowid means after them; a query is refused.
_ROWID, _NO_ROWID, _ASK, _QUERY = object(), object(), object(), object()
_CLASSES_KEPT = 2000
_LONGEST_KEPT = 4096  # characters; longer texts are asked each time
# Of so many texts there are statements of many rows, so that the connection's cache (300) stays for those of callers:
# each costs 50 us to compile, three times what it gains. Once so many others were turned away, it is their turn. For so
# many rows at once it is worth it each time.
_MANY_ROWS_KEPT = 16
_TURNED_AWAY = 1000
_WORTH_COMPILING = 1000
_MAY_INSERT = re.compile(r"\b(insert|replace)\b", re.IGNORECASE)
_READS_ITS_PAST = re.compile("last_insert_rowid|changes", re.IGNORECASE)

K = TypeVar("K")


class Astray(Exception):
    """The rowids of a run can't be told: it is to run again, one by one. Nothing is wrong with its jobs."""


class Rowids:
    """What is known of the texts that ran on one connection.

    Attributes:
        plain: the text of the latest plain insert. It is nearly always the next one's too, and comparing identities
            (5 ns) is all that the usual job pays for knowing what its lastrowid means.
        altered: a job of the open transaction has changed the schema, perhaps a temporary one. As that may be rolled
            back, to a savepoint too, nothing is taken for known of a text that was compiled anew.
    """

    def __init__(self, connection: GuardedConnection, cursor: sqlite3.Cursor) -> None:
        self.plain: str | None = None
        self.altered: bool = False
        self._connection = connection
        self._cursor = cursor
        self._compiled = connection.guard.compiled
        self._classes: dict[str, object] = {}
        self._programs: dict[str, Program] = {}
        self._fails_halfway: dict[str, bool] = {}
        self._inserts: dict[str, str] = {}
        self._many_rows: dict[str, tuple[ManyRows, ...]] = {}
        self._turned_away = 0
        self._limits = (  # prepare may have lowered them; a job can't
            connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER),
            connection.getlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH),
        )
        # A row in a temp table of ours: inserting it moves the connection's lastrowid to an id that nobody else
        # has, so that afterwards it tells whether a statement inserted.
        self._sentinel = -secrets.randbits(62) - 1
        table = f"aiomemdb_{secrets.token_hex(8)}"  # not the savepoint's name: users can read this one
        self._sentinel_sql = f"INSERT OR REPLACE INTO temp.{table} VALUES ({self._sentinel})"
        connection.execute(f"CREATE TEMP TABLE {table} (id INTEGER PRIMARY KEY)")
        self._version = self._schema_version()
        connection.guard.learning = True

    def write(self, sql: str, params: Any) -> int | None:
        """Runs one statement; gives the rowid that it inserted."""
        try:
            kind = self._classes.get(sql)
        except TypeError:
            check_text(sql)
            raise
        connection, cursor, compiled = self._connection, self._cursor, self._compiled
        connection.changes_before = connection.total_changes
        if kind is _ROWID or kind is _NO_ROWID:
            cursor.execute(sql, params)
            if compiled or kind is _NO_ROWID:
                return self.of_known(sql)
            return cursor.lastrowid if cursor.rowcount else None
        check_text(sql)
        if kind is _QUERY:
            raise _refused()
        if _READS_ITS_PAST.search(sql) or not _MAY_INSERT.search(sql):
            # It, or the next statement, is not to see the sentinel; an id that has moved tells as well.
            before = self.last()
        else:
            before = self._sentinel
            cursor.execute(self._sentinel_sql)
        compiled.clear()
        connection.changes_before = connection.total_changes
        cursor.execute(sql, params)
        if cursor.description is not None:
            self.refuse_query(sql, params)
            kind = _ASK
            cursor.fetchall()  # rows of RETURNING left unread would block the COMMIT
        rowid = cursor.lastrowid
        if compiled:
            kind = self._learn(sql)
        elif kind is None and len(sql) <= _LONGEST_KEPT:
            kind = self._learn_anew(sql, params)
        if rowid == before:
            return rowid if kind is _ROWID and cursor.rowcount else None
        if kind is _NO_ROWID:
            return None
        what = self._what_it_inserts(sql, params)
        # Where it is a command, INSERT INTO fts(fts) VALUES ('rebuild'), a virtual table says 0.
        return None if what == "nothing" or (what == "virtual rows" and rowid == 0) else rowid

    def refuse_query(self, sql: str, params: Any) -> None:
        """To be called when a statement that gives rows has just run, before they are fetched.

        Raises: ForbiddenStatement: it is a query. (RETURNING, EXPLAIN and PRAGMAs give rows too.)
        """
        kind = self._classes.get(sql)
        if kind is None:
            kind = self._learn(sql) if self._compiled else self._learn_anew(sql, params)
        if kind is _QUERY:
            self._cursor.execute("SELECT 1").fetchall()  # its rows are not wanted
            self._compiled.clear()
            raise _refused()

    def of_known(self, sql: str) -> int | None:
        """What a statement of a known class has just inserted; it is classed anew if it was compiled anew."""
        kind = self._classes.get(sql, _ROWID)
        if self._compiled:
            learnt = self._learn(sql)  # perhaps the schema has changed
            if learnt is not _ASK:
                kind = learnt
            self.note_plain(sql)
        return self._cursor.lastrowid if kind is not _NO_ROWID and self._cursor.rowcount else None

    def note_plain(self, sql: str) -> None:
        """Sets ``plain`` to this text, if it is one."""
        self.plain = sql if self._classes.get(sql) is _ROWID else None

    def program(self, sql: str, params: Any) -> Program:
        """What this plain insert is made of, as the schema is now; see sequence.py."""
        return self._explained(self._programs, program_of, sql, params, otherwise=Program(follows=False))

    def fails_halfway(self, sql: str, params: Any) -> bool:
        """Whether this statement, which has just failed by a constraint, may have left rows all the same."""
        self._connection.guard.miss()  # it may have been compiled anew, and has told nothing of itself
        return self._explained(self._fails_halfway, fails_halfway, sql, params, otherwise=True)

    def write_run(
        self, sql: str, parameters: Sequence[Any], latest: int, *, at_once: bool
    ) -> tuple[int, BaseException | None]:
        """Runs plain inserts that follow the one whose rowid was ``latest``, until one of them fails.

        Args:
            at_once: many of them may be one statement, if they can.
        Returns: (how many have inserted, whose rowids are those next to ``latest``; the error of the next one or None).
        Raises: Astray: their rowids do not follow, or rows of them may have stayed that are not told.
        """
        connection, cursor = self._connection, self._cursor
        done, error = (
            self._write_at_once(sql, parameters, latest) if at_once and len(parameters) >= FEWEST else (0, None)
        )
        if error is not None or done == len(parameters):
            return done, error
        changes, remaining = connection.total_changes, iter(parameters[done:])
        try:
            cursor.executemany(sql, remaining)
        except BaseException as caught:
            error = caught
        inserted = len(parameters) - done - length_hint(remaining) - (error is not None)
        if error is None or connection.in_transaction:
            grown = self.last() - latest - done if inserted else 0
            self._check_sums(sql, inserted, connection.total_changes - changes, grown)
        return done + inserted, error

    def _write_at_once(self, sql: str, parameters: Sequence[Any], latest: int) -> tuple[int, BaseException | None]:
        """As ``write_run``, as far as statements of many rows go; an error is that of a lost transaction."""
        connection, cursor = self._connection, self._cursor
        done, changes = 0, connection.total_changes
        try:
            for rows in self._in_blocks(sql, parameters):
                self._check_sums(sql, rows, connection.total_changes - changes, (cursor.lastrowid or 0) - latest - done)
                done, changes = done + rows, connection.total_changes
        except Astray:
            raise
        except BaseException as error:
            stands = connection.in_transaction
            if stands and connection.total_changes == changes and is_undone(error):
                connection.forget_error()
                return done, None  # the fault of one of them: executemany finds it
            self._many_rows[sql] = ()
            if stands:
                raise Astray from None
            return done, error
        finally:
            connection.guard.clear()  # it may have been compiled: that is no news of ``sql``
        return done, None

    def write_first_of_many(self, sql: str, rows: Sequence[Any]) -> tuple[int, int, Exception | None]:
        """Runs an insert, which has just run, for the first of these rows, as far as statements of many rows go.

        Where one fails, its rows are to be tried one by one, so that the one at fault tells its error; they may stand
        there already. (Their values were adapted at the call: no adapter sees that they are bound twice.)

        Returns: (how many rows were tried, how many of them inserted; the error of the statement behind them or None).
        Raises: Exception: the transaction is lost.
        """
        connection, cursor = self._connection, self._cursor
        if self._compiled or connection.guard.missed:
            self.catch_up()
        if type(rows[0]) is not tuple or len(sql) > _LONGEST_KEPT:
            return 0, 0, None
        done = inserted = 0
        self.program(sql, (None,) * len(rows[0]))
        try:
            for count in self._in_blocks(sql, rows):
                done, inserted = done + count, inserted + cursor.rowcount
        except Exception as error:
            if not connection.in_transaction:
                raise
            connection.forget_error()
            # A row that is refused (IntegrityError) was reached: its statement had compiled.
            refused = isinstance(error, sqlite3.IntegrityError)
            if refused or are_valid(connection, self._of_many_rows(sql, len(rows))):
                return done, inserted, error
            self._many_rows[sql] = ()
        return done, inserted, None

    def _in_blocks(self, sql: str, parameters: Sequence[Any]) -> Iterator[int]:
        """Runs as many as go by statements of many rows; gives the number of rows of each when it has run."""
        done = 0
        for many in self._of_many_rows(sql, len(parameters)):
            while len(parameters) - done >= many.rows:
                values = many.values(parameters[done : done + many.rows])
                if values is None:
                    return
                self._cursor.execute(many.text, values)
                yield many.rows
                done += many.rows

    def _check_sums(self, sql: str, inserted: int, counted: int, grown: int) -> None:
        if not inserted == counted == grown:
            self._programs[sql] = Program(follows=False)
            raise Astray

    def _of_many_rows(self, sql: str, rows: int) -> tuple[ManyRows, ...]:
        program = self._programs.get(sql)
        if program is None or not program.gains:
            return ()
        known = self._many_rows.get(sql)
        if known is None:
            if len(self._many_rows) >= _MANY_ROWS_KEPT:
                self._turned_away += 1
                if self._turned_away < _TURNED_AWAY:
                    return of_many_rows(sql, *self._limits) if rows >= _WORTH_COMPILING else ()
                self._turned_away = 0
                self._many_rows.clear()
            known = self._many_rows[sql] = of_many_rows(sql, *self._limits)
        return known

    def catch_up(self) -> None:
        """Forgets all if the schema changed. To be called where something was compiled and not learnt from: it may
        be a known text, compiled anew by another verb, and its next run would bring no news.
        """
        self._look_at_schema()
        if self.altered:
            self._forget()

    def begin_anew(self) -> None:
        """To be called as a transaction begins, if the one before ``altered`` the schema: a change that was rolled back
        and then one by another process can give the file the same version.
        """
        self.altered = False
        self._version = -1

    def _look_at_schema(self) -> None:
        """Where something was compiled: forgets all if the file's schema is not that of which all this is known."""
        guard = self._connection.guard
        for changed in (guard.compiled_schema(), guard.missed_schema()):
            self.altered = self.altered or changed
        version = self._schema_version()
        if version != self._version:
            self._version = version
            self._forget()

    def _forget(self) -> None:
        self.plain = None
        self._classes.clear()
        self._programs.clear()
        self._fails_halfway.clear()
        self._inserts.clear()
        self._many_rows.clear()

    def _schema_version(self) -> int:
        version: int = self._connection.execute("PRAGMA schema_version").fetchone()[0]
        self._compiled.clear()
        return version

    def _learn_anew(self, sql: str, params: Any) -> object:
        """Classes a text that another verb has compiled, so that its run brought no news: EXPLAIN brings them."""
        try:
            explained(self._connection, sql, params)
        except Exception:  # parameters that can be read only once
            self._compiled.clear()
        return self._learn(sql)

    def _what_it_inserts(self, sql: str, params: Any) -> str:
        if not _MAY_INSERT.search(sql):
            return "nothing"
        return self._explained(self._inserts, inserts, sql, params, otherwise="rows")

    def _explained(
        self,
        book: dict[str, K],
        explain: Callable[[GuardedConnection, str, Any], K],
        sql: str,
        params: Any,
        *,
        otherwise: K,
    ) -> K:
        """What the bytecode of this text says; ``otherwise`` where these parameters do not fit, or can be read only
        once: their own job is to tell.
        """
        known = book.get(sql)
        if known is None:
            try:
                known = explain(self._connection, sql, params)
            except Exception:
                known = otherwise
            else:
                _keep(book, sql, known)
            self._compiled.clear()
        return known

    def last(self) -> int:
        """The connection's latest rowid; after ``executemany`` the cursor does not know it."""
        rowid: int = self._connection.execute("SELECT last_insert_rowid()").fetchone()[0]
        self._compiled.clear()
        return rowid

    def _learn(self, sql: str) -> object:
        """Classes the text by what was compiled; to be called where something was."""
        connection, cursor = self._connection, self._cursor
        guard = connection.guard
        inserts, is_query = guard.inserts_rowid(), guard.compiled_query()
        self._look_at_schema()
        if sql in self._classes and not self.altered:
            return self._classes[sql]  # it had been evicted from the connection's cache
        self._programs.pop(sql, None)
        has_rows, counted = cursor.description is not None, cursor.rowcount != -1
        kind = _ASK
        if inserts is False:
            # If the text was compiled before, it is a statement inside a function or a virtual table that was seen
            # now (FTS5 compiles some of its own after many inserts), and tells nothing of this text.
            unknown = _ASK if _MAY_INSERT.search(sql) else _NO_ROWID
            kind = self._classes.get(sql, unknown)
        elif inserts and counted and not has_rows:
            schema, table = inserts
            found = connection.execute(
                "SELECT type, wr FROM pragma_table_list(?) WHERE schema = ?", (table, schema)
            ).fetchone()
            if found is not None and found[0] == "table":
                kind = _NO_ROWID if found[1] else _ROWID
        if kind is _NO_ROWID and has_rows:
            kind = _ASK  # its rows are to be fetched each time
        # What has changed a row was compiled before, and just now a query inside it (FTS5 has some of its own).
        unchanged = connection.total_changes == connection.changes_before
        if has_rows and is_query and unchanged and first_word(sql) != "EXPLAIN":
            kind = _QUERY
        guard.compiled.clear()
        _keep(self._classes, sql, kind)
        return kind


def _keep(book: dict[str, K], sql: str, known: K) -> None:
    if len(book) >= _CLASSES_KEPT:
        book.clear()  # dynamic SQL; what is still used is learnt again
    if len(sql) <= _LONGEST_KEPT:
        book[sql] = known


def _refused() -> ForbiddenStatement:
    return ForbiddenStatement(
        "a write verb takes a statement that writes, and this is a query: use read(), read_one() or read_value() "
        "(inside a transaction those of tx)"
    )
