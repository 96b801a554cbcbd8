"""The book: all that is known of each SQL text, as the schema is now.

A text is explained when it comes for the second time: that costs as much as five inserts, and a text that holds its
values comes once. Of the first time ``mark`` and ``rowid`` make what they can; only where that is not enough is it
explained at once.

lastrowid is the connection's: after an UPDATE, an ignored INSERT, DO NOTHING, DO UPDATE or a WITHOUT ROWID insert it is
an earlier caller's id. Where it has moved, a row was inserted. Where it has not, and rows have changed, the bytecode
says whether the statement inserts any; but of an upsert not whether it has. So it is looked up before whether there is
a row of this rowid, and behind it once more. Where a trigger inserts into the table or deletes from it, that says
nothing: then the latest rowid is moved to a number that no row has, and put back if the statement inserts nothing.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from ...database import Params
from ...errors import ForbiddenStatement
from ..connection.guarded import GuardedConnection, door
from ..connection.policies import INSERT, SCHEMA, SELECT, UPDATE
from ..connection.script import check_text, first_word
from .bytecode import (
    Inserts,
    explained,
    fails_halfway,
    follows,
    gains,
    inserts,
    is_plain,
    moves_only_one_row,
    own_part,
)
from .many_rows import ManyRows, of_many_rows

__all__ = ["Astray", "Book", "Mark", "Statement", "refused"]

_TEXTS_KEPT = 2000
_LONGEST_KEPT = 4096  # characters; a longer text comes for the first time each time
# Of so many texts there are statements of many rows, so that the connection's cache (300) stays for those of callers:
# each costs 50 us to compile, three times what it gains. Once so many others were turned away, it is their turn. For so
# many rows at once it is worth it each time.
_MANY_ROWS_KEPT = 16
_TURNED_AWAY = 1000
_WORTH_COMPILING = 1000

_MAY_UPSERT = re.compile("conflict", re.IGNORECASE)
# A conflict's resolution, not the function. Where a row makes way for one of its own rowid, a SQLite that is compiled
# without the pre-update hook has no Delete for it, and nothing else in the bytecode says so.
_MAY_REPLACE = re.compile(r"\breplace\b(?!\s*\()", re.IGNORECASE)
_READS_ITS_PAST = re.compile("last_insert_rowid|changes", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """What is known of one text.

    Attributes:
        inserts: what the latest rowid means after it.
        tables: those that it may write: see ``Guard.written``.
        is_query: it only reads.
        is_simple: it returns no rows, Python counts those that it changes, and it is no upsert and inserts into no
            virtual table. So where it inserts and has changed any row, the latest rowid is its own.
        may_be_command: it names its virtual table's column of commands: INSERT INTO fts(fts) VALUES ('rebuild').
        is_upsert: it inserts or updates.
        lookup: of an upsert: selects the latest rowid, and whether its table has a row of it. "": that says nothing.
        follows, is_plain, fails_halfway: see bytecode.py.
        many: its texts of many rows; None: it was not asked for them yet.
    """

    inserts: Inserts = "nothing"
    tables: frozenset[str] = frozenset()
    is_query: bool = False
    is_simple: bool = False
    may_be_command: bool = False
    is_upsert: bool = False
    lookup: str = ""
    follows: bool = False
    is_plain: bool = False
    fails_halfway: bool = False
    many: tuple[ManyRows, ...] | None = ()


#: A text that has come once.
_SEEN = Statement()


class Mark(NamedTuple):
    """What is known before a statement runs of the rowid that it will have inserted.

    Attributes:
        before: the connection's latest rowid, if it says anything: another one behind is the statement's own.
        is_sure: the same one behind, or any if there is none before, is not the statement's own.
        former: the latest rowid that ``put_back`` restores; None: it was not moved.
    """

    before: int | None
    is_sure: bool
    former: int | None = None


class Astray(Exception):
    """What was known of a statement is wrong, and it may have left rows: it is to run again. Nothing is wrong with its
    job.
    """


class Book:
    """What is known of the texts of one connection.

    It holds as long as the schema's version is ``_version``: ``look`` compares. It need only do so where anything was
    compiled since, as SQLite compiles each statement anew that it runs on another schema.

    Attributes:
        known: of each text what is known; it holds where there are no ``news``. ``get`` looks.
        news: what was compiled since the schema was looked at, if anything.
        clear_cursor: drops the rows that its latest statement has left unread.
        altered: a job of the open transaction has changed the schema, perhaps a temporary one. As that may be rolled
            back, to a savepoint too, and is in no version, nothing is taken for known once anything is compiled.
    """

    def __init__(self, connection: GuardedConnection, cursor: sqlite3.Cursor) -> None:
        self.news: set[int] = connection.guard.news
        self.altered: bool = False
        self._connection = connection
        self._cursor = cursor
        self.clear_cursor: Callable[[], object] = partial(door(connection.guard, cursor), "SELECT 1")
        self.known: dict[str, Statement] = {}
        self._fast = self._turned_away = 0
        self._limits = (  # prepare may have lowered them; a job can't
            connection.getlimit(sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER),
            connection.getlimit(sqlite3.SQLITE_LIMIT_SQL_LENGTH),
        )
        self._version: int = self._ask("PRAGMA schema_version")[0]
        self.news.clear()  # what prepare has compiled was before that version

    # What is known

    def get(self, sql: str) -> Statement | None:
        """What is known of this text, if it is, and nothing was compiled since."""
        if self.news:
            self.look()
        known = self.known.get(sql)
        return None if known is _SEEN else known

    def of(self, sql: str, params: Params) -> Statement | None:
        """What is known of this text, which is explained if need be; None: it can't be."""
        known = self.get(sql)
        if known is None:
            known = self._explain(sql, params)
            if known is not None:
                self.keep(sql, known)
        return known

    def keep(self, sql: str, known: Statement) -> None:
        if len(sql) <= _LONGEST_KEPT:
            if len(self.known) >= _TEXTS_KEPT and sql not in self.known:
                self.forget()  # dynamic SQL; what is still used is learnt again
            self.known[sql] = known

    def look(self) -> None:
        """Forgets all if the schema is no longer the one that all this is about."""
        self.altered = self.altered or not SCHEMA.isdisjoint(self.news)
        self.news.clear()
        version = self._ask("PRAGMA schema_version")[0]
        if version != self._version or self.altered:
            self._version = version
            self.forget()

    def begin_anew(self) -> None:
        """A transaction has begun. Forgets all where an earlier one may have ``altered`` the schema: a change that was
        rolled back and then one by another process can give the file the same version.
        """
        self.look()
        self.altered = False

    def many_rows(self, sql: str, known: Statement, rows: int) -> tuple[ManyRows, ...]:
        """The texts by which so many rows may be inserted at once."""
        if known.many is None and len(sql) <= _LONGEST_KEPT:
            if self._fast >= _MANY_ROWS_KEPT:
                self._turned_away += 1
                if self._turned_away < _TURNED_AWAY:
                    return of_many_rows(sql, *self._limits) if rows >= _WORTH_COMPILING else ()
                self.forget()
            self._fast += 1
            known = replace(known, many=of_many_rows(sql, *self._limits))
            self.keep(sql, known)
        return known.many or ()

    def forget(self) -> None:
        self.known.clear()
        self._fast = self._turned_away = 0

    def _ask(self, sql: str) -> Sequence[int]:
        """One row of our own: what is compiled for it is no news."""
        rows: list[Sequence[int]] = self._connection.own(sql)
        [row] = rows
        return row

    def _explain(self, sql: str, params: Params) -> Statement | None:
        guard = self._connection.guard
        asked = guard.asked = []
        written: set[str] = set()
        outer, guard.written = guard.written, written
        try:
            nulls = dict.fromkeys(params) if isinstance(params, dict) else (None,) * len(params)
            program = explained(self._connection, sql, nulls)
        except Exception:  # the statement's own run raises it
            return None
        finally:
            guard.asked, guard.written = None, outer
            self.news.clear()
        own, what = own_part(program), inserts(program)
        targets = [(schema, table) for action, table, schema, trigger in asked if action == INSERT and not trigger]
        updates = any(action == UPDATE and not trigger for action, _, _, trigger in asked)
        is_upsert = bool(targets) and updates and _MAY_UPSERT.search(sql) is not None
        lookup = ""
        if is_upsert and what == "rows" and moves_only_one_row(program):
            lookup = self._lookup(sql, *targets[0])
            self.news.clear()  # from here on it is news where the lookup is compiled
        # Python counts no rows behind WITH, nor behind a byte order mark.
        is_counted = first_word(sql) in ("INSERT", "REPLACE", "UPDATE", "DELETE") and "\ufeff" not in sql
        only_reads = not any(op.opcode == "Transaction" and op.p2 for op in own)
        return Statement(
            inserts=what,
            tables=frozenset(written),
            # Of any other statement the first action that is asked for is its own.
            is_query=only_reads and bool(asked) and asked[0][0] == SELECT,
            is_simple=is_counted
            and not (is_upsert or what == "virtual rows" or any(op.opcode == "ResultRow" for op in own)),
            may_be_command=what == "virtual rows" and any(_names_twice(sql, str(table)) for _, table in targets),
            is_upsert=is_upsert,
            lookup=lookup,
            follows=follows(program),
            is_plain=is_plain(program),
            fails_halfway=fails_halfway(program),
            many=None if gains(program) else (),
        )

    def _lookup(self, sql: str, schema: str | None, table: str | None) -> str:
        find = f'SELECT sql FROM "{schema}".sqlite_schema WHERE name = ?'
        try:
            definitions = self._connection.execute(find, (table,)).fetchall()
        except sqlite3.DatabaseError:  # a user's authorizer
            return ""
        if any(_MAY_REPLACE.search(text) for text in (sql, *(row[0] or "" for row in definitions))):
            return ""
        of = f'"{schema}"."{str(table).replace(chr(34), chr(34) * 2)}"'
        for rowid in ("rowid", "_rowid_", "oid"):  # each may be the name of another column
            found = f"SELECT 1 FROM {of} WHERE {rowid} = last_insert_rowid()"
            if any(op.opcode == "SeekRowid" for op in explained(self._connection, found, ())):
                lookup = f"SELECT last_insert_rowid(), EXISTS ({found})"
                self._connection.execute(lookup).fetchone()
                return lookup
        return ""

    def fails_halfway(self, sql: str, params: Params) -> bool:
        """Whether this statement, which has just failed by a constraint, may have left rows all the same."""
        known = self.of(sql, params)
        return known is None or known.fails_halfway

    # The rowid that a statement inserted

    def mark(self, sql: str, params: Params) -> Mark:
        """To be called before a statement runs that is not known to be simple, for ``rowid`` behind it."""
        known = self.get(sql) if isinstance(sql, str) else None
        if known is None:
            check_text(sql)
            word = first_word(sql)
            may_insert = word in ("INSERT", "REPLACE", "WITH")
            # To be explained sets changes() to 0, which the text may read.
            may_wait = sql not in self.known or _READS_ITS_PAST.search(sql)
            if word != "WITH" and not (may_insert and _MAY_UPSERT.search(sql)) and may_wait:
                self.keep(sql, _SEEN)
                return Mark(self.last(), False) if may_insert else _NONE
            known = self.of(sql, params)
            if known is None:  # it fails
                return _NONE
        return self._mark_of_upsert(sql, params, known) if known.is_upsert else _IF_CHANGED

    def _mark_of_upsert(self, sql: str, params: Params, known: Statement) -> Mark:
        if known.lookup:
            try:
                latest, is_taken = self._connection.execute(known.lookup).fetchone()
            except sqlite3.DatabaseError:  # the table is another
                self._connection.forget_error()
            else:
                if not self.news:
                    return Mark(latest, bool(is_taken))
        self.look()  # what it would insert into another table can't be told behind it
        now = self.of(sql, params)
        if now is None or now.inserts == "nothing":
            return _NONE
        if now.lookup:
            latest, is_taken = self._ask(now.lookup)
            return Mark(latest, bool(is_taken))
        former = self.last()
        if _READS_ITS_PAST.search(sql):
            return Mark(former, True)
        of_none = -secrets.randbits(62) - 1
        self._set_last(of_none, 1)
        return Mark(of_none, True, former)

    def put_back(self, before: int | None, former: int) -> None:
        """Has the latest rowid be the former one if the statement, which has run or failed, inserted nothing: if it
        still is the one of before.
        """
        self.clear_cursor()  # unread rows would keep the table
        [(latest, changed)] = self._connection.own("SELECT last_insert_rowid(), changes()")
        if latest == before:
            self._set_last(former, changed)

    def _set_last(self, rowid: int, changed: int) -> None:
        """Sets the connection's latest rowid, and what changes() returns, by a table that is gone at once."""
        table = f"temp.aiomemdb_{secrets.token_hex(8)}"
        self._connection.own(f"CREATE TABLE {table} (id INTEGER PRIMARY KEY)")
        self._connection.own(f"INSERT INTO {table} VALUES ({rowid})")
        if changed != 1:
            numbers = f"WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {changed})"
            self._connection.own(f"REPLACE INTO {table} {numbers} SELECT {rowid} FROM n WHERE i <= {changed}")
        self._connection.own(f"DROP TABLE {table}")

    def rowid(self, sql: str, params: Params, mark: Mark, changed: int) -> int | None:
        """The rowid that a statement has inserted, or None.

        Args:
            changed: how many rows it has changed; it ran on the cursor, and its rows are fetched.
        """
        latest, (before, is_sure, _) = self._cursor.lastrowid, mark
        if not changed:
            return None
        if before is not None and latest != before and latest:
            return latest
        if is_sure and (before is None or latest == before):
            return None
        known = self.of(sql, params)
        if known is None or known.inserts == "nothing":
            return None
        if known.is_upsert and latest == before:
            return latest if known.lookup and self._ask(known.lookup)[1] else None
        return None if known.may_be_command and latest == 0 else latest  # 0 is what SQLite says of a command

    def last(self) -> int:
        """The connection's latest rowid; after ``executemany`` the cursor does not know it."""
        return self._ask("SELECT last_insert_rowid()")[0]


def _names_twice(sql: str, table: str) -> bool:
    """Whether a text names its table once more, where the column of the same name may be meant."""
    return len(re.findall(rf"(?<!\w){re.escape(table)}(?!\w)", sql, re.IGNORECASE)) > 1


_NONE = Mark(None, True)
_IF_CHANGED = Mark(None, False)


def refused() -> ForbiddenStatement:
    return ForbiddenStatement(
        "a write verb takes a statement that writes, and this is a query: use read(), read_one() or read_value() "
        "(inside a transaction those of tx)"
    )
