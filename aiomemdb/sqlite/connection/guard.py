"""What SQL may do on our connections: the wall around jobs and queries.

``mode=ro`` and ``query_only`` are not enough: SQL may switch query_only off, ATTACH and write new files, or
VACUUM INTO a copy. An authorizer sees all of these when a statement is compiled. It is installed once and
switched by a flag of ours: installing or removing one expires every prepared statement (3.5 us each).
"""

from __future__ import annotations

import contextlib
import inspect
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any, NoReturn, TypeVar
from weakref import ref

from ...errors import ForbiddenStatement
from ..codes import primary_code
from ..rows import SQLiteRow

__all__ = [
    "DELETE",
    "INSERT",
    "READING_PRAGMAS",
    "SCHEMA",
    "SELECT",
    "UPDATE",
    "Guard",
    "GuardedConnection",
    "finished",
]

# Codes of the authorizer: https://www.sqlite.org/c3ref/c_alter_table.html
DELETE, INSERT, SELECT, UPDATE = 9, 18, 21, 23
_PRAGMA, _TRANSACTION, _ATTACH, _DETACH, _FUNCTION, _SAVEPOINT = 19, 22, 24, 25, 31, 32
SCHEMA: frozenset[int] = frozenset([*range(1, 9), *range(10, 18), 26, 29, 30])  # CREATE, DROP and ALTER of anything

# FTS, ALTER, ANALYZE and the like compile some of them behind the user's statement.
READING_PRAGMAS: frozenset[str] = frozenset(
    [
        "collation_list",
        "compile_options",
        "data_version",
        "database_list",
        "encoding",
        "foreign_key_check",
        "foreign_key_list",
        "freelist_count",
        "function_list",
        "index_info",
        "index_list",
        "index_xinfo",
        "integrity_check",
        "max_page_count",
        "module_list",
        "page_count",
        "page_size",
        "pragma_list",
        "quick_check",
        "schema_version",
        "table_info",
        "table_list",
        "table_xinfo",
    ]
)
# Those that are part of the transaction too: in page 1.
_PRAGMAS = READING_PRAGMAS | {"application_id", "user_version"}
_READ_ONLY_PRAGMAS = frozenset(["encoding", "max_page_count", "page_size", "schema_version"])

_ADVICE = {
    _TRANSACTION: "a job is a transaction already; use db.transaction() or db.write_fn() for several steps",
    _SAVEPOINT: "use tx.transaction(), which nests as a savepoint",
    _ATTACH: "open the other file with its own aiomemdb.connect(); to copy, db.backup(); to compact, db.vacuum()",
    _DETACH: "nothing is ever attached here",
    _PRAGMA: "set it with aiomemdb.connect(..., pragmas={...}), or use db.checkpoint() and db.optimize()",
    _FUNCTION: "load extensions in connect(prepare=...)",
}
_NAMES = {
    _TRANSACTION: "",
    _SAVEPOINT: "SAVEPOINT ",
    _ATTACH: "ATTACH ",
    _DETACH: "DETACH ",
    _PRAGMA: "PRAGMA ",
}


R = TypeVar("R")
Opened = TypeVar("Opened", sqlite3.Cursor, sqlite3.Blob)


def finished(result: R) -> R:
    """What a user's function returned, if all its work is done.

    Raises:
        TypeError: it is an awaitable, a generator or a cursor, which would go on outside the transaction and thread.
    """
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            result.close()
        raise TypeError("the function returned an awaitable: it must be synchronous, nothing is awaited on its thread")
    if inspect.isgenerator(result):
        raise TypeError("the function returned a generator, of which nothing has run: return a list")
    if isinstance(result, sqlite3.Cursor):
        raise TypeError("a cursor can't leave its thread: fetch the rows inside the function")
    return result


class Guard:
    """The switch, and what the authorizer saw while it was armed.

    Attributes:
        armed: whether what is compiled now comes from a user.
        denied: what was refused since ``clear``, or None.
        frozen: nothing at all may be compiled, while it is not armed.
        news: the actions of all that was compiled while it was armed, until a reader of the news empties it.
        asked: if a list, the (action, table, schema, trigger) of each of these, in order.
    """

    __slots__ = ("armed", "asked", "denied", "frozen", "news", "savepoint")

    def __init__(self) -> None:
        self.armed: bool = False
        self.frozen: bool = False
        self.denied: str | None = None
        self.news: set[int] = set()
        self.asked: list[tuple[int, str | None, str | None, str | None]] | None = None
        # Python's cache of statements skips the authorizer: what the library itself compiled would pass when a
        # user sends the same text. So our texts hold a word that can't be guessed.
        self.savepoint: str = f"aiomemdb_{secrets.token_hex(8)}"

    def authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, trigger: str | None
    ) -> int:
        if not self.armed:
            return sqlite3.SQLITE_DENY if self.frozen else sqlite3.SQLITE_OK
        self.news.add(action)
        if self.asked is not None:
            self.asked.append((action, first, schema, trigger))
        if action in (_TRANSACTION, _ATTACH, _DETACH):
            return self._deny(action, first)
        if action == _SAVEPOINT:
            return sqlite3.SQLITE_OK if second == self.savepoint else self._deny(action, second)
        if action == _PRAGMA:
            name = (first or "").lower()
            if name not in _PRAGMAS or (second is not None and name in _READ_ONLY_PRAGMAS):
                return self._deny(action, first)
        elif action == _FUNCTION and second == "load_extension":
            return self._deny(action, "load_extension()")
        return sqlite3.SQLITE_OK

    def _deny(self, action: int, what: str | None) -> int:
        if self.denied is None:
            self.denied = f"{_NAMES.get(action, '')}{what} is not allowed inside a job: {_ADVICE[action]}"
        return sqlite3.SQLITE_DENY

    def clear(self) -> None:
        self.denied = None

    def explain(self, error: BaseException) -> BaseException:
        """The error to hand to the caller: ForbiddenStatement where the authorizer refused."""
        if isinstance(error, ForbiddenStatement):
            return error
        self.note_vacuum(error)
        if self.denied is not None:
            forbidden = ForbiddenStatement(self.denied)
            forbidden.__cause__ = error
            return forbidden
        return error

    def note_vacuum(self, error: BaseException) -> None:
        """VACUUM inside a transaction never reaches the authorizer: SQLite refuses it first, by this text alone."""
        is_vacuum = isinstance(error, sqlite3.OperationalError) and "VACUUM from within a transaction" in str(error)
        if is_vacuum and self.denied is None:
            self.denied = "VACUUM is not allowed inside a job: use db.vacuum()"


class _JobCursor(sqlite3.Cursor):
    """A function's cursor. Some errors take the transaction with them (OR ROLLBACK, a full disk, an interrupt): if
    the function swallows one of these, its next statement would commit alone, and stay when the job fails.
    """

    __slots__ = ()

    def execute(self, *args: Any, **kwargs: Any) -> _JobCursor:
        if not self.connection.in_transaction:
            self.connection.refuse_outside()  # type: ignore[attr-defined]
        try:
            sqlite3.Cursor.execute(self, *args, **kwargs)
        except sqlite3.Error as error:
            self.connection.note_raised(error)  # type: ignore[attr-defined]
            raise
        return self

    def executemany(self, *args: Any, **kwargs: Any) -> _JobCursor:
        if not self.connection.in_transaction:
            self.connection.refuse_outside()  # type: ignore[attr-defined]
        try:
            sqlite3.Cursor.executemany(self, *args, **kwargs)
        except sqlite3.Error as error:
            self.connection.note_raised(error)  # type: ignore[attr-defined]
            raise
        return self

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        return self.connection.executescript(sql_script)


class GuardedConnection(sqlite3.Connection):
    """The connection that ``write_fn``, ``read_fn`` and ``prepare`` functions get.

    While a job runs it refuses what would end the job's transaction or replace its guards. A subclass and not a
    proxy: it costs nothing on ``execute``, and a proxy leaks by ``cursor.connection``.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.guard: Guard = Guard()
        # The latest error that a function met on this connection: others may come from a file of its own.
        self.raised: sqlite3.Error | None = None
        self.cursors: list[sqlite3.Cursor] = []  # the library's own, closed with the connection
        self.asking: sqlite3.Cursor = self.cursor()  # of queries that are read to their end; see renew_asking
        self._looking: sqlite3.Cursor = sqlite3.Connection.cursor(self)  # of forget_error and look_at_schema
        self.noted: list[ref[sqlite3.Cursor | sqlite3.Blob]] = []
        self._noting: dict[str, Callable[..., object]] = {}

    def _refuse(self, what: str, instead: str) -> None:
        if self.guard.armed:
            message = f"{what} is not allowed inside a job: {instead}"
            if self.guard.denied is None:
                self.guard.denied = message
            raise ForbiddenStatement(message)

    def refuse_outside(self) -> NoReturn:
        message = "the job's transaction is gone, rolled back by an earlier error: let that error out of the function"
        if self.guard.denied is None:
            self.guard.denied = message
        raise ForbiddenStatement(message)

    def note_raised(self, error: sqlite3.Error) -> None:
        self.raised = error
        self.guard.note_vacuum(error)
        with contextlib.suppress(sqlite3.Error):
            self.look_at_schema()  # triggers are compiled by what an ALTER that failed has left of it
        self.forget_error()  # that of the look too

    def commit(self) -> None:
        self._refuse("commit()", "the job is committed when it returns")
        super().commit()

    def rollback(self) -> None:
        self._refuse("rollback()", "raise an error: the job is rolled back whole")
        super().rollback()

    def roll_back(self) -> None:
        """Ends what is open, for the library itself, with the guard off; once more where a late interrupt struck it."""
        self.guard.armed = False
        for is_last in (False, False, True):
            if not self.in_transaction:
                return
            try:
                super().rollback()
            except sqlite3.OperationalError as error:
                if is_last or primary_code(error) != sqlite3.SQLITE_INTERRUPT:
                    raise

    def stop_query(self) -> None:
        """Interrupts what runs, for the library itself: while a job runs too, and through a tracer's proxy."""
        super().interrupt()

    def copy_into(self, target: sqlite3.Connection, progress: Callable[[int, int, int], object]) -> None:
        """Copies the database, for the library itself, as ``stop_query``."""
        super().backup(target, pages=256, progress=progress, sleep=0)

    def executescript(self, sql_script: str, /) -> sqlite3.Cursor:
        self._refuse("executescript()", "it commits first; use db.write_script(), or execute() one by one")
        return super().executescript(sql_script)

    def __enter__(self) -> GuardedConnection:
        self._refuse("'with connection'", "it commits; the job is committed when it returns")
        super().__enter__()
        return self

    def backup(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("backup()", "it would never end inside a transaction; use db.backup()")
        super().backup(*args, **kwargs)

    def close(self) -> None:
        self._refuse("close()", "use await db.close()")
        # While a cursor keeps a statement (after executemany or an error) SQLite keeps the files open, and the log.
        self.close_noted()
        for cursor in (self.asking, self._looking, *self.cursors):
            cursor.close()
        super().close()

    def interrupt(self) -> None:
        self._refuse("interrupt()", "use timeout=")
        super().interrupt()

    def set_authorizer(self, authorizer_callback: Any) -> None:
        self._refuse("set_authorizer()", "aiomemdb's own keeps the job's transaction whole")
        super().set_authorizer(authorizer_callback)

    def setlimit(self, category: int, limit: int, /) -> int:
        self._refuse("setlimit()", "use connect(max_value_bytes=...)")
        return super().setlimit(category, limit)

    def set_progress_handler(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("set_progress_handler()", "it would stop other jobs too; set one in connect(prepare=...)")
        super().set_progress_handler(*args, **kwargs)

    def set_trace_callback(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("set_trace_callback()", "it would see other jobs too; set one in connect(prepare=...)")
        super().set_trace_callback(*args, **kwargs)

    def enable_load_extension(self, enable: bool, /) -> None:
        self._refuse("enable_load_extension()", "load extensions in connect(prepare=...)")
        super().enable_load_extension(enable)

    def load_extension(self, *args: Any, **kwargs: Any) -> None:
        self._refuse("load_extension()", "load extensions in connect(prepare=...)")
        super().load_extension(*args, **kwargs)

    def setconfig(self, op: int, enable: bool = True, /) -> None:  # Python 3.12 has it
        self._refuse("setconfig()", "configure the connection in connect(prepare=...)")
        super().setconfig(op, enable)  # type: ignore[misc]

    def __setattr__(self, name: str, value: object) -> None:
        # Setting isolation_level to None commits, and autocommit=False would begin a transaction behind each of ours.
        if name in ("isolation_level", "autocommit"):
            self._refuse(name, "the job is a transaction already")
        super().__setattr__(name, value)

    def deserialize(self, *args: Any, **kwargs: Any) -> NoReturn:
        what, why = "deserialize()", "it would replace the database behind the library"
        self._refuse(what, why)
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
            self._looking.execute("SELECT 1").fetchall()

    def look_at_schema(self) -> None:
        """Has SQLite compare the schema in memory with the file's, and read it anew where they differ.

        It does so by itself for each statement that uses a table, except in three cases. PRAGMAs that list what they do
        not find use none. CREATE and ALTER are refused by the schema in memory before. And after a ROLLBACK a schema
        can stay in memory that was never committed (CREATE INDEX, an ALTER that fails when the schema is read again,
        one more write): it is recognised only as long as the file has seen fewer changes than were rolled back.

        Raises: sqlite3.Error: the file can't be read.
        """
        self._looking.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()

    def note_cursors(self) -> None:
        """From here on notes what a user's function opens; see ``close_noted`` and ``_JobCursor``. It costs the
        function's statements 0.6 us each, and others nothing.
        """
        if not self._noting:
            self._noting = self._noting_methods()
        self.__dict__.update(self._noting)

    def _noting_methods(self) -> dict[str, Callable[..., object]]:
        made, make_cursor, make_blob = self.noted, super().cursor, super().blobopen

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

    def stop_noting(self) -> None:
        for name in self._noting:
            self.__dict__.pop(name, None)

    def close_noted(self) -> None:
        """Closes what functions and streams have left open. An unfinished query that one kept, perhaps in the
        traceback of its error, would hold its snapshot: a reader would answer from the old state, and the writer be
        refused (BUSY_SNAPSHOT) after the next commit of another process.
        """
        for one in self.noted:
            if (opened := one()) is not None:
                opened.close()
        self.noted.clear()

    @contextlib.contextmanager
    def guarded(self) -> Iterator[Guard]:
        """Runs a user's SQL or function in its block: the guard is armed and its memory clear."""
        guard = self.guard
        guard.clear()
        guard.armed = True
        try:
            yield guard
        finally:
            guard.armed = False
