"""Errors of agents' queries, written for a model: what was refused, what to use instead, the nearest names."""

from __future__ import annotations

import contextlib
import difflib
import re
import sqlite3
from collections.abc import Iterable, Sequence

from ...errors import ForbiddenStatement
from ..common.codes import primary_code
from ..common.names import folded
from ..connection.guarded import GuardedConnection
from .policy import no_table
from .program import OneTooMany
from .scope import Readable
from .shape import words_of

__all__ = ["explain"]

_READING = re.compile(r"reading (.*) is not allowed in agent_read\(\): $", re.DOTALL)
_CALLING = re.compile(r"(\S+)\(\) is not allowed in agent_read\(\): ")
_NO_TABLE = re.compile(r"no such table: (.*)", re.DOTALL)
_NO_FUNCTION = re.compile(r"no such function: (.*)", re.DOTALL)
_ABOUT_COLUMNS = re.compile(r"(no such column|ambiguous column name): ", re.DOTALL)
_MOST_NAMES = 2_000  # characters

_ADVICE = (
    ("one statement at a time", "agent_read() takes one SELECT: ask one after another"),
    ("VACUUM", "agent_read() takes one SELECT, which only reads"),
    ('near "explain"', "agent_read() takes one SELECT (or WITH ... SELECT), which only reads"),
    ("incomplete input", "the SQL ends too early: agent_read() takes one whole SELECT"),
    ("parser stack overflow", "the SQL is nested too deep: use WITH tables"),
    ("Expression tree is too large", "the SQL is nested too deep: use WITH tables, or fewer conditions"),
    ("LIKE or GLOB pattern too complex", "a pattern may have 100 bytes"),
    ("too big", "a value is too large for this query: use substr(), fewer columns, or LIKE instead of instr()"),
    ("is not a function", "a table of the file has this name, and hides the function"),
    ("unable to use function MATCH", "MATCH takes a full-text table on its left"),
)


def explain(
    raw: GuardedConnection,
    error: BaseException,
    sql: str,
    readable: Readable | None,
    *,
    hidden: str,
    refusals: Sequence[str] = (),
) -> BaseException:
    """The error to hand to the caller; the connection has forgotten it then."""
    denied = raw.guard.denied
    raw.guard.clear()
    raw.forget_error()
    if isinstance(error, OneTooMany):
        return ForbiddenStatement(str(error))
    if isinstance(error, MemoryError):  # SQLite's error where a program has too many instructions, too
        return ForbiddenStatement("the query is too large: use fewer expressions and tables")
    if not isinstance(error, sqlite3.Error | sqlite3.Warning):
        return error
    if refusals:
        return ForbiddenStatement(refusals[0])
    text = _text(raw, denied, str(error), sql, readable)
    if hidden:
        text = text.replace(f"{hidden}_", "")
    if denied is not None or _NO_TABLE.match(str(error)):  # the same, whether there is such a table or not
        return ForbiddenStatement(text)
    explained = type(error)(text)
    if isinstance(error, sqlite3.Error) and isinstance(explained, sqlite3.Error) and primary_code(error):
        explained.sqlite_errorcode, explained.sqlite_errorname = error.sqlite_errorcode, error.sqlite_errorname
    return explained


def _text(raw: GuardedConnection, denied: str | None, text: str, sql: str, readable: Readable | None) -> str:
    tables = () if readable is None else readable.tables
    functions = () if readable is None else readable.functions
    if denied is not None:
        if match := _READING.match(denied):
            return _without_table(match[1], sql, tables)
        if match := _CALLING.match(denied):
            instead = _nearest(match[1], functions) or f"; {denied[match.end() :]}"
            return f"{match[1]}() is not allowed in agent_read(){instead}"
        return denied
    if match := _NO_TABLE.match(text):
        return _without_table(match[1], sql, tables)
    if match := _NO_FUNCTION.match(text):
        return f"there is no function {match[1]}(){_nearest(match[1], functions)}"
    if _ABOUT_COLUMNS.match(text):
        return _with_columns(raw, text, sql, tables)
    return next((f"{text}: {advice}" for part, advice in _ADVICE if part.lower() in text.lower()), text)


def _names_in(sql: str) -> set[str]:
    """And all other words; a string may stand for a name, and ``.b`` of ``a.b`` is one word here."""
    words = {folded(word.strip("'")) for _, word in words_of(sql)}
    return words.union(*(word.split(".") for word in words))


def _nearest(name: str, names: Iterable[str]) -> str:
    near = difflib.get_close_matches(name.lower(), sorted(names), 3, 0.5)
    return f"; near it: {', '.join(near)}" if near else ""


def _without_table(name: str, sql: str, tables: Iterable[str]) -> str:
    """Where a view or FTS5 has named the table, and not the agent, its name is kept back."""
    last = name.rpartition(".")[2]
    if not last.startswith("sqlite_") and _names_in(sql).isdisjoint([folded(name), folded(last)]):
        return _with_tables(
            "a view or full-text table of this query reads a table that agents may not read", "", tables
        )
    return _with_tables(no_table(name), last, tables)


def _with_tables(text: str, name: str, tables: Iterable[str]) -> str:
    return f"{text}{_nearest(name, tables)}; the tables are {_cut(', '.join(sorted(tables)) or 'none')}"


def _with_columns(raw: GuardedConnection, text: str, sql: str, tables: Iterable[str]) -> str:
    words = _names_in(sql)
    columns: dict[str, list[str]] = {}
    with contextlib.suppress(sqlite3.Error):
        for table in sorted(words.intersection(tables)):
            literal = table.replace("'", "''")
            columns[table] = [name for (name,) in raw.own(f"SELECT name FROM pragma_table_info('{literal}')")]
    wanted = text.rpartition(": ")[2].rpartition(".")[2]
    near = _nearest(wanted, {name.lower() for names in columns.values() for name in names})
    listed = "; ".join(f"{table} has {', '.join(names)}" for table, names in columns.items())
    return f"{text}{near}{'; ' if listed else ''}{_cut(listed)}"


def _cut(text: str) -> str:
    return text if len(text) <= _MOST_NAMES else f"{text[:_MOST_NAMES]}…"
