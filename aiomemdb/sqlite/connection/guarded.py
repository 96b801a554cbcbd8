"""The connection that ``write_fn``, ``read_fn`` and ``prepare`` functions get, and that the library works with.

It refuses what its policy (policies.py) refuses. The methods that are for the library itself pass by the policy; of
these ``own`` alone runs SQL.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, TypeVar, TypeVarTuple  # Any: handed on as it came
from weakref import ref

from ...errors import ForbiddenStatement
from ..common.codes import primary_code
from ..common.rows import SQLiteRow
from .arguments import finished
from .guard import Guard
from .policies import JOB, Policy

if TYPE_CHECKING:
    from sqlite3 import _Parameters

__all__ = ["GuardedConnection", "door"]

# By which the schema's own tables could be written, or the file be emptied: SQLITE_DBCONFIG_WRITABLE_SCHEMA and
# _RESET_DATABASE.
_UNLOCKING = frozenset([1011, 1009])
_OWN_TEXTS = 100  # of them about 40

#: Of a statement of the library's own: what they hold stands in its text.
Rows: TypeAlias = list[Any]
Opened = TypeVar("Opened", sqlite3.Cursor, sqlite3.Blob)
R = TypeVar("R")
Ts = TypeVarTuple("Ts")


def door(guard: Guard, cursor: sqlite3.Cursor) -> Callable[[str], Rows]:
    """The only way through the guard. A closure: a method takes 0.1 us longer, three times a transaction."""
    # Python's cache of statements skips the authorizer: what the library itself compiled would pass when a user sends
    # the same text. So its texts hold a word that can't be guessed.
    word = secrets.token_hex(8)
    text_of = lru_cache(_OWN_TEXTS)(lambda sql: f"{sql} /* {word} */")
    execute, fetch_all = cursor.execute, cursor.fetchall

    def own(sql: str) -> Rows:
        guard.is_open = True
        try:
            return fetch_all() if execute(text_of(sql)).description else []
        finally:
            guard.is_open = False

    return own


class _JobCursor(sqlite3.Cursor):
    """A function's cursor. Some errors take the transaction with them (OR ROLLBACK, a full disk, an interrupt): if
    the function swallows one of these, its next statement would commit alone, and stay when the job fails.
    """

    __slots__ = ()

    def execute(self, sql: str, parameters: _Parameters = (), /) -> _JobCursor:
        if not self.connection.in_transaction:
            self.connection.refuse_outside()  # type: ignore[attr-defined]
        try:
            sqlite3.Cursor.execute(self, sql, parameters)
        except sqlite3.Error as error:
            self.connection.note_raised(error)  # type: ignore[attr-defined]
            raise
        return self

    def executemany(self, sql: str, parameters: Iterable[_Parameters], /) -> _JobCursor:
        if not self.connection.in_transaction:
            self.connection.refuse_outside()  # type: ignore[attr-defined]
        try:
            sqlite3.Cursor.executemany(self, sql, parameters)
        except sqlite3.Error as error:
            self.connection.note_raised(error)  # type: ignore[attr-defined]
            raise
        return self

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return self.connection.executescript(sql_script)


class GuardedConnection(sqlite3.Connection):
    """The connection that ``write_fn``, ``read_fn`` and ``prepare`` functions get.

    It refuses what would end the job's transaction or replace its guards. A subclass and not a proxy: it costs nothing
    on ``execute``, and a proxy leaks by ``cursor.connection``.

    Attributes:
        guard: the authorizer and its policy.
        own: runs a statement of the library's own to its end, whatever the policy says, and returns its rows.
        raised: the latest error that a function met on this connection; others may come from a file of its own.
        cursors: the library's own, closed with the connection.
        settled: the latest of the settings that it has; see settings.py.
        behind: there are later ones.
        asking: the cursor of queries that are read to their end; see ``renew_asking``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard: Guard = Guard(JOB)
        self.raised: sqlite3.Error | None = None
        self.cursors: list[sqlite3.Cursor] = []
        self.settled: int = 0
        self.behind: bool = False
        self.asking: sqlite3.Cursor = self.cursor()
        self.cursors.append(sqlite3.Connection.cursor(self))
        self.own: Callable[[str], Rows] = door(self.guard, self.cursors[0])
        self.noted: list[ref[sqlite3.Cursor | sqlite3.Blob]] = []
        self._noting: dict[str, Callable[..., object]] = {}
        self.obey(JOB)

    # For the library itself, while a job runs too, and through a tracer's proxy

    def obey(self, policy: Policy) -> None:
        """Sets the policy from here on, also for what is compiled already: SQLite compiles it anew, and asks."""
        self.guard.policy = policy
        super().set_authorizer(self.guard.authorize)

    def note_written(self) -> None:
        """From here on the guard notes which tables may be written. What is compiled already is compiled anew when it
        runs: it may have been compiled, and asked for, at any time.
        """
        self.guard.written = set()
        self.guard.built.clear()
        self.obey(self.guard.policy)

    def tables_written(self) -> set[str] | None:
        """What the guard has noted, behind the COMMIT; None: it has noted nothing. SQLite names an index that is
        built, and not its table.
        """
        written, built = self.guard.written, self.guard.built
        if written is not None and built:
            names = ", ".join("'" + name.replace("'", "''") + "'" for name in built)
            found = self.own(f"SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name IN ({names})")
            written.update(table for (table,) in found)
        return written

    def roll_back(self) -> None:
        """Ends the transaction that is open, if one is; once more where a late interrupt struck the rollback."""
        for is_last in (False, False, True):
            if not self.in_transaction:
                return
            try:
                self.own("ROLLBACK")
            except sqlite3.OperationalError as error:
                if is_last or primary_code(error) != sqlite3.SQLITE_INTERRUPT:
                    raise

    def restrict(self, authorizer: Callable[..., int] | None) -> None:
        """Has a user's authorizer asked, too."""
        self.guard.restriction = authorizer
        self.obey(self.guard.policy)

    def trace(self, callback: Callable[[str], object] | None) -> None:
        """Has a user's function told of each statement except the library's own."""
        guard = self.guard
        super().set_trace_callback(
            callback if callback is None else lambda sql: None if guard.is_open else callback(sql)
        )

    def watch_progress(self, handler: Callable[[], int | None] | None, instructions: int) -> None:
        """Has a user's function asked, every so many instructions, whether to interrupt the statement; not of the
        library's own: a COMMIT would be interrupted too.
        """
        guard = self.guard
        super().set_progress_handler(
            handler if handler is None else lambda: None if guard.is_open else handler(), instructions
        )

    def load_trusted(self, path: str, **options: str) -> None:
        """Loads an extension.

        Raises: sqlite3.Error: it can't be loaded, or this Python was built without loadable extensions.
        """
        if not hasattr(sqlite3.Connection, "load_extension"):
            raise sqlite3.NotSupportedError("this Python was built without loadable extensions of SQLite")
        super().enable_load_extension(True)
        try:
            super().load_extension(path, **options)
        finally:
            super().enable_load_extension(False)

    def end_query_only(self) -> None:
        """Has it write again, behind ``PRAGMA query_only=1``."""
        try:
            self.own("PRAGMA query_only=0")
        except sqlite3.OperationalError:  # an interrupt that came late
            self.own("PRAGMA query_only=0")

    def stop_query(self) -> None:
        """Interrupts what runs."""
        super().interrupt()

    def copy_into(
        self, target: sqlite3.Connection, progress: Callable[[int, int, int], object], *, pages: int = 256
    ) -> None:
        """Copies the database."""
        super().backup(target, pages=pages, progress=progress, sleep=0)

    def limit_values(self, max_bytes: int) -> None:
        """Has SQLite refuse larger values and rows."""
        self.limit({sqlite3.SQLITE_LIMIT_LENGTH: max_bytes})

    def limit(self, limits: Mapping[int, int]) -> dict[int, int]:
        """Sets limits of SQLite's (https://www.sqlite.org/limits.html); returns what they were."""
        return {category: super(GuardedConnection, self).setlimit(category, most) for category, most in limits.items()}

    def end(self) -> None:
        """Closes the connection."""
        # While a cursor keeps a statement (after executemany or an error) SQLite keeps the files open, and the log.
        self.close_noted()
        for cursor in (self.asking, *self.cursors):
            cursor.close()
        super().close()

    # What functions may call, if the policy allows it

    def refuse_outside(self) -> NoReturn:
        message = "the job's transaction is gone, rolled back by an earlier error: let that error out of the function"
        self.guard.deny(message)
        raise ForbiddenStatement(message)

    def note_raised(self, error: sqlite3.Error) -> None:
        self.raised = error
        self.guard.note_vacuum(error)
        with contextlib.suppress(sqlite3.Error):
            self.look_at_schema()  # triggers are compiled by what an ALTER that failed has left of it
        self.forget_error()  # that of the look too

    def commit(self) -> None:
        self.guard.refuse_call("commit()")
        super().commit()

    def rollback(self) -> None:
        self.guard.refuse_call("rollback()")
        super().rollback()

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        self.guard.refuse_call("executescript()")
        return super().executescript(sql_script)

    def __enter__(self) -> GuardedConnection:
        self.guard.refuse_call("'with connection'")
        super().__enter__()
        return self

    def backup(self, *args: Any, **kwargs: Any) -> None:
        self.guard.refuse_call("backup()")
        super().backup(*args, **kwargs)

    def close(self) -> None:
        self.guard.refuse_call("close()")
        self.end()

    def interrupt(self) -> None:
        self.guard.refuse_call("interrupt()")
        super().interrupt()

    def set_authorizer(self, authorizer_callback: object) -> NoReturn:
        self._refuse_always("set_authorizer()", "aiomemdb has one of its own")

    def setlimit(self, category: int, limit: int, /) -> int:
        self.guard.refuse_call("setlimit()")
        return super().setlimit(category, limit)

    def set_progress_handler(self, *args: Any, **kwargs: Any) -> None:
        self.guard.refuse_call("set_progress_handler()")
        super().set_progress_handler(*args, **kwargs)

    def set_trace_callback(self, *args: Any, **kwargs: Any) -> None:
        self.guard.refuse_call("set_trace_callback()")
        super().set_trace_callback(*args, **kwargs)

    def enable_load_extension(self, enable: bool, /) -> None:
        self.guard.refuse_call("enable_load_extension()")
        super().enable_load_extension(enable)

    def load_extension(self, *args: Any, **kwargs: Any) -> None:
        self.guard.refuse_call("load_extension()")
        super().load_extension(*args, **kwargs)

    def setconfig(self, op: int, enable: bool = True, /) -> None:  # Python 3.12 has it
        self.guard.refuse_call("setconfig()")
        if op in _UNLOCKING:
            self.guard.refuse_call("setconfig() of what unlocks the schema")
        super().setconfig(op, enable)  # type: ignore[misc]

    def __setattr__(self, name: str, value: object) -> None:
        # Setting isolation_level to None commits, and autocommit=False would begin a transaction behind each of ours.
        if name in ("isolation_level", "autocommit"):
            self.guard.refuse_call(name)
        super().__setattr__(name, value)

    def deserialize(self, *args: object, **kwargs: object) -> NoReturn:
        self._refuse_always("deserialize()", "it would replace the database behind the library")

    def blobopen(
        self, table: str, column: str, row: int, /, *, readonly: bool = False, name: str = "main"
    ) -> sqlite3.Blob:
        if not readonly:
            self.guard.refuse_call("blobopen() for writing")
        blob = super().blobopen(table, column, row, readonly=readonly, name=name)
        if self.guard.written is not None and not readonly and name.lower() != "temp":  # SQLite does not ask
            named = super().execute("SELECT name FROM sqlite_schema WHERE name = ? COLLATE NOCASE", (table,))
            self.guard.written.update(name for (name,) in named)
        return blob

    def _refuse_always(self, what: str, why: str) -> NoReturn:
        self.guard.refuse_call(what)
        raise ForbiddenStatement(f"{what} is not allowed: {why}")

    def renew_asking(self) -> None:
        """The cursor for queries is made once: one for each would cost 0.2 us, of 2.3. After an error it is made anew,
        as the query may be left unfinished in it, and so its snapshot.
        """
        self.asking.close()
        self.asking = type(self).cursor(self)
        self.asking.row_factory = SQLiteRow

    def forget_error(self) -> None:
        """To be called after each statement that failed, before another one is bound: where Python can't bind a value
        it asks SQLite for the latest error, and would raise that of the failed statement in place of its own.
        """
        with contextlib.suppress(sqlite3.Error):
            self.own("SELECT 1")

    def look_at_schema(self) -> None:
        """Has SQLite compare the schema in memory with the file's, and read it anew where they differ.

        It does so by itself for each statement that uses a table, except in three cases. PRAGMAs that list what they do
        not find use none. CREATE and ALTER are refused by the schema in memory before. And after a ROLLBACK a schema
        can stay in memory that was never committed (CREATE INDEX, an ALTER that fails when the schema is read again,
        one more write): it is recognised only as long as the file has seen fewer changes than were rolled back.

        Raises: sqlite3.Error: the file can't be read.
        """
        self.own("SELECT 1 FROM sqlite_schema LIMIT 1")

    def run_function(self, function: Callable[[sqlite3.Connection, *Ts], R], arguments: tuple[*Ts]) -> R:
        """Runs a user's function, and puts back how rows are made.

        What it opens is noted meanwhile; see ``close_noted`` and ``_JobCursor``. It costs the function's statements
        0.6 us each, and others nothing.

        Raises: what it raises; TypeError: it has not run to its end.
        """
        if not self._noting:
            self._noting = self._noting_methods()
        self.__dict__.update(self._noting)
        connection: sqlite3.Connection = self
        try:
            result = function(connection, *arguments)
        finally:
            for name in self._noting:
                self.__dict__.pop(name, None)
            connection.row_factory = SQLiteRow
            connection.text_factory = str
        return finished(result)

    def _noting_methods(self) -> dict[str, Callable[..., object]]:
        made, make_cursor, make_blob = self.noted, super().cursor, partial(type(self).blobopen, self)

        def note(opened: Opened) -> Opened:
            made.append(ref(opened))
            if len(made) > 1000:
                made[:] = [one for one in made if one() is not None]
            return opened

        def cursor(factory: type[sqlite3.Cursor] = _JobCursor) -> sqlite3.Cursor:
            return note(make_cursor(factory))

        return {
            "blobopen": lambda *args, **kwargs: note(make_blob(*args, **kwargs)),
            "cursor": cursor,
            "execute": lambda *args: cursor().execute(*args),
            "executemany": lambda *args: cursor().executemany(*args),
        }

    def close_noted(self) -> None:
        """Closes what functions and streams have left open. An unfinished query that one kept, perhaps in the
        traceback of its error, would hold its snapshot: a reader would answer from the old state, and the writer be
        refused (BUSY_SNAPSHOT) after the next commit of another process.
        """
        for one in self.noted:
            if (opened := one()) is not None:
                opened.close()
        self.noted.clear()
