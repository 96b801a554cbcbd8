"""How a query of an agent is asked, on its connection's thread. Theory of operation:

1. Before SQLite sees the text, its shape is looked at (shape.py): compiling can't be interrupted.
2. It is compiled by EXPLAIN, by the strict policy (policy.py). Whatever is refused is refused here, and from the
   program that SQLite made is known how large its values may be (program.py). EXPLAIN of what is an EXPLAIN itself, or
   more than one statement, is an error of syntax.
3. It runs in the same snapshot. FTS5 compiles statements of its own meanwhile, which read its inner tables.
4. Where a scope has views, these are temporary, and in two layers. ``facts`` selects from ``<token>_facts``, and that
   alone may read the tables: the authorizer is told the name of the view that reads. It is told the name of a WITH
   table as well. So the token is made anew with the views, has 128 bits, and a text in which it stands is refused.
5. Afterwards all is undone, and looked at: a connection that is not as it was is not used again.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep

from ...agents import AgentAnswer, AgentLimits
from ...database import Params
from ..common.codes import primary_code
from ..common.names import folded
from ..connection.guarded import GuardedConnection
from ..connection.policies import READER
from ..file.busy import retry_while_busy
from ..writing.bytecode import Op
from . import heap
from .advice import explain
from .policy import TABLE_FUNCTIONS, agent_policy, no_table
from .program import OneTooMany, gathered, largest_value
from .scope import Readable, Scope
from .shape import shape_of

__all__ = ["Desk", "Question"]

_MOST_COPIES = 200
_MOST_GROWTH = 200  # of 100 columns that takes 50 MB
_LONGEST_SEARCH = 500  # characters: FTS5 takes some 10 kB for each word, and can't be interrupted
_LONGEST_PATTERN = 100  # of LIKE and GLOB, in bytes: they take the time of its product with the value's
_SEARCHES = 20

# The step of each row lets go of Python's lock, and takes it back before a thread that waits for it has woken up. So a
# query that returns many rows rests now and then: these took 0.2 ms.
_BETWEEN_RESTS, _REST = 32, 20e-6  # rows, seconds

# After these a connection is as it was.
_HARMLESS = frozenset(
    [
        0,
        sqlite3.SQLITE_AUTH,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_ERROR,
        sqlite3.SQLITE_INTERRUPT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_TOOBIG,
    ]
)


# A text of the file, which may be no UTF-8.
_text = partial(str, encoding="utf-8", errors="replace")


@dataclass(frozen=True, slots=True)
class Question:
    """
    Attributes:
        began: when it was asked, by ``time.monotonic``.
    """

    scope: Scope
    sql: str
    params: Params
    limits: AgentLimits
    began: float


@dataclass(slots=True)
class Desk:
    """What a connection of agents has on it.

    Attributes:
        path: of the file.
        token: in the names of the views that read.
        views: those that it has, as they were asked for.
        is_doubtful: it is not to be used again.
        is_clean: whether the latest query has left the connection as it was; None: it has not left it yet.
    """

    path: object
    token: str = ""
    views: tuple[tuple[str, str], ...] = ()
    is_doubtful: bool = False
    is_clean: bool | None = None
    _limits: dict[int, int] = field(default_factory=dict)
    _refusals: list[str] = field(default_factory=list)
    _table_functions: frozenset[str] = frozenset()
    _changes: int = 0

    def set_up(self, raw: GuardedConnection) -> None:
        """Once: what keeps a query's memory small, and what would be compiled behind a query's text otherwise."""
        raw.own("PRAGMA temp_store=FILE")
        raw.own("PRAGMA cache_size=-2000")
        raw.own("PRAGMA mmap_size=0")
        raw.watch_progress(None, 0)
        raw.row_factory = None
        raw.asking.row_factory = None
        self._changes = raw.total_changes

    def ask(self, raw: GuardedConnection, question: Question) -> AgentAnswer:
        """Raises: ForbiddenStatement, sqlite3.Error: with a text for a model; ValueError: of the scope."""
        raw.guard.clear()
        self._refusals.clear()
        readable: Readable | None = None
        try:
            self._check_text(question)
            readable = self._begin(raw, question.scope, question.limits.deadline)
            with self._searching(raw, question.scope):
                return self._answer(raw, question, readable)
        except BaseException as error:
            raw.limit(self._limits)  # so small a limit may be in the way of the library's own, too
            self.is_doubtful |= primary_code(error) not in _HARMLESS or isinstance(error, MemoryError)
            raise explain(raw, error, question.sql, readable, hidden=self.token, refusals=self._refusals) from None

    def _check_text(self, question: Question) -> None:
        sql, limits = question.sql, question.limits
        size = len(sql.encode(errors="surrogatepass"))
        if size > limits.sql_bytes:
            raise OneTooMany(f"the SQL has {size:,} bytes, and may have {limits.sql_bytes:,}")
        if "\0" in sql:
            raise OneTooMany("the SQL has a null character")
        values = question.params.values() if isinstance(question.params, dict) else question.params
        held = sum(
            len(value) * 4 if isinstance(value, str) else len(value) for value in values if hasattr(value, "__len__")
        )
        if held > limits.value_bytes * 4:
            raise OneTooMany(f"the parameters are larger than {limits.value_bytes:,} bytes")
        shape = shape_of(sql)
        if shape.repeated == "with":
            raise OneTooMany('a table or column called with is to be written in quotes: "with"')
        if shape.repeated is not None:
            raise OneTooMany(f"two WITH tables are called {shape.repeated}: give them different names")
        if shape.copies > _MOST_COPIES:
            raise OneTooMany("the WITH tables are used too often in each other: use fewer of them, each once")
        if shape.growth > _MOST_GROWTH:
            raise OneTooMany("the expressions are used too often in each other: nest fewer SELECTs")
        if shape.joined > limits.joins:
            raise OneTooMany(f"{shape.joined} tables are joined, and {limits.joins} may be")

    # Before it is compiled

    def _begin(self, raw: GuardedConnection, scope: Scope, seconds: float) -> Readable:
        """Begins the snapshot of the query, and has the views that are right in it."""
        while True:
            retry_while_busy(lambda: self._begin_snapshot(raw), seconds, self.path)
            with _opened(raw):
                readable = scope.read(raw)
            if readable.views == self.views:
                return readable
            raw.roll_back()
            self._make_views(raw, readable.views)

    def _begin_snapshot(self, raw: GuardedConnection) -> None:
        raw.roll_back()
        raw.own("BEGIN")
        raw.look_at_schema()
        # A table of the same name hides a function, and is a table as all others.
        hiding = raw.own("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view')")
        self._table_functions = TABLE_FUNCTIONS - {folded(name) for (name,) in hiding}
        for function in self._table_functions:
            # Otherwise it would be connected while the query is compiled, which asks for more than to read.
            raw.own(f"SELECT 1 FROM {function}('[]')")
        raw.own("SELECT 1 FROM sqlite_temp_schema")

    def _make_views(self, raw: GuardedConnection, views: tuple[tuple[str, str], ...]) -> None:
        raw.own("PRAGMA query_only=0")
        try:
            for name, _ in self.views:
                raw.own(f"DROP VIEW temp.{name}")
                raw.own(f"DROP VIEW temp.{self.token}_{name}")
            self.views, self.token = (), f"v{secrets.token_hex(16)}"
            for name, select in views:
                raw.own(f"CREATE TEMP VIEW {self.token}_{name} AS {select}")
                raw.own(f"CREATE TEMP VIEW {name} AS SELECT * FROM temp.{self.token}_{name}")
            self.views = views
        except BaseException:
            self.is_doubtful = True
            raise
        finally:
            raw.own("PRAGMA query_only=1")

    @contextmanager
    def _searching(self, raw: GuardedConnection, scope: Scope) -> Iterator[None]:
        """The connection has the scope's functions."""
        known: dict[tuple[str, str], str] = {}

        def call(name: str, words: object) -> str:
            text = words.decode(errors="replace") if isinstance(words, bytes) else str(words)
            if (name, text) not in known:
                if len(known) == _SEARCHES:
                    raise OneTooMany(f"a query may search {_SEARCHES} times")
                held_to = raw.limit(self._limits)  # the library's own statement is not held to the agent's limits
                try:
                    with _opened(raw):
                        known[name, text] = scope.searches[name](raw, text)
                finally:
                    raw.limit(held_to)
            return known[name, text]

        def kept(name: str, words: object) -> str:
            try:
                return call(name, words)
            except OneTooMany as error:
                self._refusals.append(str(error))
                raise

        for name in scope.searches:
            raw.create_function(name, 1, partial(kept, name), deterministic=True)
        try:
            yield
        finally:
            raw.renew_asking()
            raw.asking.row_factory = None
            for name in scope.searches:
                raw.create_function(name, 1, None)

    # Compiled, and run

    def _answer(self, raw: GuardedConnection, question: Question, readable: Readable) -> AgentAnswer:
        limits, sql = question.limits, question.sql
        if self.token and self.token in sql.lower():
            raise OneTooMany(no_table("of this name"))
        named = self._named(raw, sql)
        policy = partial(
            agent_policy,
            partial(self._may_read, readable, named),
            readable.functions,
            table_functions=self._table_functions,
        )
        self._limits = raw.limit(
            {
                sqlite3.SQLITE_LIMIT_SQL_LENGTH: limits.sql_bytes + 100,
                sqlite3.SQLITE_LIMIT_LENGTH: max(limits.value_bytes, limits.sql_bytes + 100),
                sqlite3.SQLITE_LIMIT_COLUMN: limits.columns,
                sqlite3.SQLITE_LIMIT_EXPR_DEPTH: limits.depth,
                sqlite3.SQLITE_LIMIT_COMPOUND_SELECT: limits.compounds,
                sqlite3.SQLITE_LIMIT_VDBE_OP: limits.program,
                sqlite3.SQLITE_LIMIT_FUNCTION_ARG: 32,
                sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: _LONGEST_PATTERN,
                sqlite3.SQLITE_LIMIT_VARIABLE_NUMBER: 1_000,
                sqlite3.SQLITE_LIMIT_ATTACHED: 0,
                sqlite3.SQLITE_LIMIT_WORKER_THREADS: 0,
            }
        )
        raw.obey(policy(inner_tables=None))
        raw.guard.asked, raw.text_factory = [], _text
        try:
            rows = raw.asking.execute(f"EXPLAIN {sql}", question.params).fetchall()
            read = {folded(str(table)) for action, table, *_ in raw.guard.asked if action == sqlite3.SQLITE_READ}
        finally:
            raw.guard.asked, raw.text_factory = None, str
        program = [*map(Op._make, rows)]
        searches = bool(read & readable.fulltext)
        if searches:
            self._check_search(question)
        most = min(limits.value_bytes, largest_value(program, searches=searches))
        raw.obey(policy(inner_tables=readable.inner))
        if per_instruction := gathered(program):
            most, instructions = heap.looks(most, per_instruction)
            raw.watch_progress(self._look_at_memory(), instructions)
        raw.limit({sqlite3.SQLITE_LIMIT_LENGTH: most})
        raw.text_factory = _text
        try:
            return self._fetch(raw, question)
        finally:
            raw.text_factory = str
            raw.watch_progress(None, 0)

    def _look_at_memory(self) -> Callable[[], bool]:
        """Returns what stops a query that gathers too much."""
        memory_in_use = heap.memory_in_use
        if memory_in_use is None:
            raise OneTooMany("json_group_array() and json_group_object() are not available here: select the rows")
        most = memory_in_use() + heap.MOST_GATHERED

        def look() -> bool:
            if memory_in_use() <= most:
                return False
            self._refusals.append("json_group_array() and json_group_object() gather too much here: fewer rows at once")
            return True

        return look

    def _named(self, raw: GuardedConnection, sql: str) -> frozenset[str]:
        """Its WITH tables. Not those with a name that the file has, too: elsewhere in the text that may be meant."""
        named = {name for name in shape_of(sql).tables if not name.startswith(("sqlite_", "pragma_"))}
        if named:
            named.difference_update(folded(name) for (name,) in raw.own("SELECT name FROM sqlite_schema"))
        return frozenset(named)

    def _check_search(self, question: Question) -> None:
        values = question.params.values() if isinstance(question.params, dict) else question.params
        longest = max((len(value) for value in values if isinstance(value, (str, bytes))), default=0)
        if max(longest, shape_of(question.sql).longest) > _LONGEST_SEARCH:
            raise OneTooMany(
                f"a query of a full-text table may have texts of {_LONGEST_SEARCH} characters: search for fewer words"
            )

    def _may_read(
        self,
        readable: Readable,
        named: frozenset[str],
        table: str,
        column: str | None,
        schema: str | None,
        within: str | None,
    ) -> bool:
        if table in named and column == "" and schema is None:
            return True  # the rows of a WITH table are counted
        if not readable.views:
            return schema in ("main", None) and table in readable.tables
        if schema == "main":
            return table in readable.base and within is not None and self._is_secret(within)
        return table in readable.tables or self._is_secret(table)

    def _is_secret(self, name: str) -> bool:
        return name.startswith(f"{self.token}_")

    def _fetch(self, raw: GuardedConnection, question: Question) -> AgentAnswer:
        limits, cursor = question.limits, raw.asking.execute(question.sql, question.params)
        columns = tuple(column[0] for column in cursor.description or ())
        left, truncated = limits.answer_bytes - sum(map(len, columns)), False
        rows: list[tuple[object, ...]] = []
        if left < 0:
            raise OneTooMany(f"the names of the columns are longer than {limits.answer_bytes:,} bytes")
        for row in cursor:
            left -= sum(map(_size, row))
            if len(rows) == limits.rows or left < 0:
                truncated = True
                break
            rows.append(row)
            if len(rows) % _BETWEEN_RESTS == 0:
                sleep(_REST)
        cursor.close()
        return AgentAnswer(columns, rows, truncated, monotonic() - question.began)

    # Behind it

    def leave(self, raw: GuardedConnection) -> bool:
        """Undoes what the query has left open. Returns whether the connection is as it was."""
        try:
            raw.obey(READER)
            raw.close_noted()
            raw.roll_back()
            raw.limit(self._limits)
            [[is_query_only]] = raw.own("PRAGMA query_only")
            [[objects]] = raw.own("SELECT count(*) FROM sqlite_temp_schema")
            databases = raw.own("PRAGMA database_list")
        except sqlite3.Error:
            return False
        return (
            not self.is_doubtful
            and is_query_only == 1
            and objects == 2 * len(self.views)
            and raw.total_changes == self._changes
            and len(databases) <= 2
        )


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode())
    return len(value) if isinstance(value, bytes) else 8


@contextmanager
def _opened(raw: GuardedConnection) -> Iterator[None]:
    """The library's own statements, on whatever cursor, pass the guard."""
    before, raw.guard.is_open = raw.guard.is_open, True
    try:
        yield
    finally:
        raw.guard.is_open = before
