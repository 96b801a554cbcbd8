"""Plain sqlite3 doing the jobs of a program one by one, each in a transaction of its own, each step in a savepoint."""

from __future__ import annotations

import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from aiomemdb.errors import EmptyStatement, NotAQuery

from .programs import MAX_VALUE_BYTES, Job, Program, prepare

__all__ = [
    "FORBIDDEN",
    "GONE",
    "Oracle",
    "Refused",
    "StoppedError",
    "TooMuchError",
    "contents",
    "refused",
    "run_steps",
    "tuples",
]

#: Stands for the message where the library has one of its own.
OWN_TEXT = "..."
_FORBIDDEN = re.compile(
    r"(?:\s|;|--.*)*(BEGIN|COMMIT|ROLLBACK|SAVEPOINT|RELEASE|ATTACH|DETACH|VACUUM|PRAGMA foreign_keys=)"
)
#: Of a job, in hundreds of thousands of SQLite's: some hundredths of a second.
_MOST_STEPS = 10
_SENTINEL = -(2**61) - 5
_INSERTS = re.compile(r"\s*(INSERT|REPLACE|WITH)\b")
_CHANGES = re.compile(r"(?:\s|--[^\n]*)*(INSERT|REPLACE|UPDATE|DELETE|WITH)\b", re.IGNORECASE)
_COMMENTS = re.compile(r"(?:\s|--[^\n]*)*")
_COMMAND = re.compile(r"INSERT INTO f \(f\b")


class Refused(NamedTuple):
    """An error, as far as it is held against the other."""

    type: str
    name: str | None
    text: str


class StoppedError(Exception):
    """A function's or a block's own error."""


class TooMuchError(Exception):
    """A job of this program works for too long: triggers that fire each other."""


class _ForbiddenError(Exception):
    pass


class _GoneError(Exception):
    """The transaction was lost by an earlier step."""


GONE = Refused("OperationalError", None, OWN_TEXT)
FORBIDDEN = Refused("ForbiddenStatement", None, OWN_TEXT)


def refused(error: BaseException) -> Refused:
    if isinstance(error, _ForbiddenError) or type(error).__name__ == "ForbiddenStatement":
        return FORBIDDEN
    text = str(error)
    if isinstance(error, _GoneError) or text.startswith("the transaction is gone"):
        return GONE
    return Refused(type(error).__name__, getattr(error, "sqlite_errorname", None), text)


def tuples(value: Any) -> Any:
    """Rows as tuples, whatever they were; lists of them too."""
    if isinstance(value, list):
        return [tuples(each) for each in value]
    if isinstance(value, Refused) or value is None or isinstance(value, str | bytes | int | float):
        return value
    return tuple(value)


def contents(conn: sqlite3.Connection) -> dict[str, Any]:
    """All that the file says, but how FTS5 has cut its index into segments, and where pages are."""
    found: dict[str, Any] = {}
    schema = conn.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name").fetchall()
    found["sqlite_schema"] = schema
    for kind, name, _, sql in schema:
        if kind == "table" and not name.endswith(("_data", "_idx")) and not sql.startswith("CREATE VIRTUAL"):
            chosen = "*" if "WITHOUT ROWID" in sql else "rowid, *"
            try:
                found[name] = conn.execute(f"SELECT {chosen} FROM {name}").fetchall()
            except sqlite3.Error as error:
                found[name] = refused(error)
    return found


def run_steps(conn: Any, steps: tuple[Job, ...], end: str, before: Callable[[Job], None] = lambda _: None) -> list[Any]:
    """What a function of the program does on its connection; returns the outcome of each step."""
    outcomes: list[Any] = []
    for step in steps:
        try:
            before(step)
            cursor = getattr(conn, step.verb)(step.sql, step.params)
            outcomes.append([tuples(cursor.fetchall()), cursor.rowcount])
        except Exception as error:
            if end == "stop":
                raise
            outcomes.append(refused(error))
    if end == "raise":
        raise StoppedError("as it was told")
    return outcomes


class Oracle:
    def __init__(self, path: Path, program: Program) -> None:
        self._path = path
        self._program = program
        self._steps = 0
        self.conn = self._open()

    def _open(self) -> sqlite3.Connection:
        conn = sqlite3.connect(self._path, isolation_level=None, cached_statements=0)
        conn.execute("PRAGMA journal_mode=MEMORY")
        conn.execute("PRAGMA synchronous=OFF")
        conn.execute("PRAGMA foreign_keys=ON")
        for name, value in self._program.pragmas.items():
            conn.execute(f"PRAGMA {name}={value}")
        prepare(self._program, conn)
        conn.set_progress_handler(self._count_steps, 100_000)
        conn.execute("CREATE TEMP TABLE sentinel (id INTEGER PRIMARY KEY)")
        return conn

    def close(self) -> None:
        self.conn.close()

    def forked(self) -> Oracle:
        """Another one, with a copy of this one's file."""
        path = self._path.with_name(f"{self._path.name}-")
        shutil.copyfile(self._path, path)
        return Oracle(path, self._program)

    def _count_steps(self) -> bool:
        self._steps += 1
        return self._steps > _MOST_STEPS

    def run(self, job: Job) -> Any:
        """What the job returns: its value, or Refused.

        Raises: TooMuchError: it works for too long.
        """
        self._steps = 0
        outcome = self._run(job)
        if self._steps > _MOST_STEPS:
            raise TooMuchError
        return outcome

    def _run(self, job: Job) -> Any:
        if job.verb in _READING:
            return self._attempt(job, self._read)
        # max_value_bytes bounds the library's own writes alone.
        self.conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _UNLIMITED if job.verb == "other" else MAX_VALUE_BYTES)
        try:
            return self._run_writing(job)
        finally:
            self.conn.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _UNLIMITED)

    def _run_writing(self, job: Job) -> Any:
        self.conn.execute("BEGIN IMMEDIATE")
        outcome = self._attempt(job, self._whole)
        if self.conn.in_transaction or isinstance(outcome, Refused) or job.steps:
            # A connection of its own for what comes next: nothing of what was undone is left in its memory.
            self.conn.close()
            self.conn = self._open()
        return outcome

    def _attempt(self, job: Job, do: Callable[[Job], Any]) -> Any:
        try:
            return do(job)
        except Exception as error:
            return refused(error)

    # Writes

    def _whole(self, job: Job) -> Any:
        if job.verb == "transaction":
            return self._block(job, lambda: self._statement("COMMIT"), self._roll_back)
        value = self._write(job)
        self.conn.execute("COMMIT")
        return value

    def _statement(self, sql: str) -> None:
        self.conn.execute(sql)

    def _roll_back(self) -> None:
        if self.conn.in_transaction:
            self.conn.execute("ROLLBACK")

    def _block(self, job: Job, commit: Callable[[], None], roll_back: Callable[[], None]) -> list[Any]:
        """The steps of a transaction; returns their outcomes, and how it ended."""
        outcomes: list[Any] = []
        try:
            for step in job.steps:
                outcome = self._attempt(step, self._step)
                outcomes.append(outcome)
                if isinstance(outcome, Refused) and job.end == "stop":
                    raise StoppedError("as it was told")
            if job.end == "raise":
                raise StoppedError("as it was told")
            if not self.conn.in_transaction:
                raise _GoneError
            commit()
            outcomes.append("committed")
        except Exception as error:
            roll_back()
            outcomes.append(refused(error))
        return outcomes

    def _step(self, job: Job) -> Any:
        """One step, undone alone where it fails."""
        if not self.conn.in_transaction:
            if job.verb == "nested":
                return [GONE]
            raise _GoneError
        self._forget_undone()
        if job.verb in _READING:
            self.conn.execute("PRAGMA query_only=1")
            try:
                return self._read(job)
            finally:
                self.conn.execute("PRAGMA query_only=0")
        self.conn.execute("SAVEPOINT step")

        def undo() -> None:
            if self.conn.in_transaction:
                self.conn.execute("ROLLBACK TO step")
                self.conn.execute("RELEASE step")

        if job.verb == "nested":
            return self._block(job, lambda: self._statement("RELEASE step"), undo)
        try:
            value = self._write(job)
        except Exception:
            undo()
            raise
        self.conn.execute("RELEASE step")
        return value

    def _forget_undone(self) -> None:
        """Nothing of what the step before has undone, or of an ALTER that failed in it, is left in memory; nor its
        error, which CPython would raise in place of one of its own.
        """
        self.conn.execute("SELECT 1 FROM sqlite_schema").fetchall()

    def _write(self, job: Job) -> Any:
        verb = job.verb.removesuffix(" once")
        if verb == "write_fn":
            outcomes = self._function(job)
            if not self.conn.in_transaction:
                raise _ForbiddenError
            return outcomes
        if verb == "write_script":
            for statement in _statements(job.sql):
                self._check(statement)
                self.conn.execute(statement).fetchall()
            return None
        if verb == "write_many":
            self._check_not_empty(job.sql)
            return sum(self._count(job.sql, params) for params in job.params)
        self._check(job.sql, job.params)
        if verb == "write_count":
            return self._count(job.sql, job.params)
        if verb == "write_returning":
            cursor = self.conn.execute(job.sql, job.params)
            if cursor.description is None:
                raise NotAQuery("write_returning() needs a statement with RETURNING; use write()")
            return tuples(cursor.fetchall())
        if verb == "write_any":
            return self._any(job.sql, job.params)
        return self._rowid(job.sql, job.params)

    def _check(self, sql: str, params: Any = ()) -> None:
        if _is_forbidden(sql, params):
            raise _ForbiddenError
        self._check_not_empty(sql)

    def _check_not_empty(self, sql: str) -> None:
        if sql in ("", " -- nothing"):
            raise EmptyStatement("the SQL is empty")

    def _refuse_query(self, sql: str, params: Any) -> None:
        """It is seen to be one when it has given its first row."""
        if sql.startswith("SELECT"):
            self.conn.execute(sql, params)
            raise _ForbiddenError

    def _rowid(self, sql: str, params: Any) -> int | None:
        self._refuse_query(sql, params)
        self.conn.execute("INSERT OR REPLACE INTO temp.sentinel VALUES (?)", (_SENTINEL,))
        self.conn.execute(sql, params).fetchall()
        if not _INSERTS.match(sql) or _COMMAND.match(sql):
            return None
        [rowid] = self.conn.execute("SELECT last_insert_rowid()").fetchone()
        return None if rowid == _SENTINEL else rowid

    def _any(self, sql: str, params: Any) -> list[Any]:
        self.conn.execute("INSERT OR REPLACE INTO temp.sentinel VALUES (?)", (_SENTINEL,))
        before = self.conn.total_changes
        cursor = self.conn.execute(sql, params)
        columns, rows = [column[0] for column in cursor.description or ()], tuples(cursor.fetchall())
        changed = self.conn.total_changes != before
        [rowid], [count] = self.conn.execute("SELECT last_insert_rowid() UNION ALL SELECT changes()").fetchall()
        inserts = _INSERTS.match(sql) and not _COMMAND.match(sql) and rowid != _SENTINEL
        return [columns, rows, rowid if inserts else None, count if changed else 0]

    def _count(self, sql: str, params: Any) -> int:
        self._check(sql, params)
        self._refuse_query(sql, params)
        before = self.conn.total_changes
        self.conn.execute(sql, params).fetchall()
        # What DROP TABLE deletes is not counted: https://www.sqlite.org/c3ref/changes.html
        if self.conn.total_changes == before or not _CHANGES.match(sql):
            return 0
        [count] = self.conn.execute("SELECT changes()").fetchone()
        return count

    def _function(self, job: Job) -> list[Any]:
        forbidden = False

        def before(step: Job) -> None:
            nonlocal forbidden
            if not self.conn.in_transaction or _is_forbidden(step.sql, step.params):
                forbidden = True
                raise _ForbiddenError
            self._forget_undone()

        try:
            return run_steps(self.conn, job.steps, job.end, before)
        finally:
            if forbidden:  # also where the function swallowed it, or raised an error of its own
                raise _ForbiddenError from None

    # Reads

    def _read(self, job: Job) -> Any:
        if job.verb == "snapshot":
            return [self._attempt(step, self._read) for step in job.steps]
        was_inside = self.conn.in_transaction
        self.conn.execute("PRAGMA query_only=1")
        try:
            if job.verb == "read_fn":
                if was_inside:
                    return run_steps(self.conn, job.steps, job.end)
                self.conn.execute("BEGIN")
                try:
                    return run_steps(self.conn, job.steps, job.end)
                finally:
                    self._roll_back()
            cursor = self.conn.execute(job.sql, job.params)
            if cursor.description is None:
                raise NotAQuery("a read verb takes one query: this SQL is empty or returns no rows")
            if job.verb in ("read", "read_stream"):
                return tuples(cursor.fetchall())
            row = cursor.fetchone()
            cursor.close()
            return row[0] if row and job.verb == "read_value" else row
        finally:
            if not was_inside:
                self.conn.execute("PRAGMA query_only=0")

    # The other program

    def other(self, statements: tuple[str, ...]) -> list[Any]:
        return [self.run(Job("other", sql)) for sql in statements]


def _is_forbidden(sql: str, params: Any) -> bool:
    """A VACUUM is refused only when it runs: of values that do not fit it Python complains before."""
    return bool(_FORBIDDEN.match(sql)) and not (params and sql == "VACUUM")


_UNLIMITED = 2**31 - 1
_READING = frozenset(["read", "read_one", "read_value", "read_fn", "read_stream", "snapshot"])


def _statements(script: str) -> list[str]:
    statements: list[str] = []
    start = ""
    for piece in re.split(r"(?<=;)", script):
        start += piece
        if sqlite3.complete_statement(start):
            if start.strip(" \n;"):
                statements.append(start)
            start = ""
    if not _COMMENTS.fullmatch(start):
        statements.append(start)
    return statements
