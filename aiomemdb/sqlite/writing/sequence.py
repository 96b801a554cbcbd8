"""What an insert is made of: whether its rowids are consecutive, so that a run of them needs no statement a row,
whether it is so plain that it may run in autocommit, and its text for many rows.

``executemany`` is faster than a statement at a time (0.68 us a row against 0.87), and one statement of 64 rows is
faster still (0.35), and gives up the GIL once, not for each row; but they tell no rowids. For a statement that inserts
at most one row, leaves its rowid to SQLite and fires no trigger they follow all the same: each is one above the largest
in the table, so it grows with each row; and if after k rows the last is just k above the first known, each has grown by
exactly one. ``follows`` reads from the bytecode whether a statement is of that kind; the sum is checked after each run
(rowids.py).

A statement of many rows must mean what as many of one row do. The bytecode of the one tells that it takes its values,
adds a row, and does nothing else; and its text tells how to repeat it, read from its first character on by a grammar
that has no comment, no string and no expression, so that nothing in it can look like what it is not. What is written
otherwise goes by ``executemany``.

The opcodes are SQLite's (https://www.sqlite.org/opcode.html).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, count
from operator import length_hint
from typing import Any, Literal

from ..connection.guard import GuardedConnection

__all__ = [
    "FEWEST",
    "ManyRows",
    "Program",
    "are_valid",
    "explained",
    "fails_halfway",
    "inserts",
    "of_many_rows",
    "program_of",
]

_unique = count()

# Several rows from one statement, a trigger or a cascade, rows that make way, virtual tables.
_NEVER = frozenset(["InitCoroutine", "Yield", "Program", "Delete", "VUpdate", "OpenEphemeral", "RowData", "RowCell"])


# All that a plain insert does: it takes values, looks whether they are NULL or unique, and adds a row and its keys. No
# loop, no trigger, no other table, no function: code of others could run SQL, or do to the connection what no job may.
# fmt: off
_PLAIN = frozenset(
    ["Init", "Transaction", "Goto", "Halt", "Noop", "OpenWrite", "Variable", "Null", "SoftNull", "Integer",
     "Int64", "Real", "String8", "Blob", "Copy", "SCopy", "IntCopy", "Affinity", "TypeCheck", "HaltIfNull",
     "IsNull", "NotNull", "NoConflict", "NewRowid", "MakeRecord", "Insert", "IdxInsert"]
)
# fmt: on
_REFUSES = frozenset(["HaltIfNull", "NoConflict"])
_COLLATIONS = frozenset(["", "B", "BINARY", "NOCASE", "RTRIM"])


@dataclass(frozen=True, slots=True)
class Program:
    """What is known of a statement's bytecode.

    Attributes:
        follows: each run adds at most one row, whose rowid is one above the table's largest. A kind of opcode that
            stands for more is known by ``_NEVER``; the sum is checked all the same.
        is_plain: it follows, and is nothing but opcodes that are known.
        gains: it is plain, and many rows at once are quicker. Where one of them may be refused, SQLite copies each page
            that it changes, to undo them all; of an index that is a page a row (UNIQUE: 10 to 20 % slower).
    """

    follows: bool
    is_plain: bool = False
    gains: bool = False


def program_of(connection: GuardedConnection, sql: str, params: Any) -> Program:
    """Compiles an INSERT, and looks at what it is."""
    rows = explained(connection, sql, params)
    follows = _follows([(row["opcode"], row["p1"], row["p2"]) for row in rows])
    is_plain = follows and all(map(_is_plain, rows))
    names = {row["opcode"] for row in rows}
    copies = "IdxInsert" in names and not _REFUSES.isdisjoint(names)
    return Program(follows, is_plain, is_plain and not copies)


def _follows(program: list[tuple[str, int, int]]) -> bool:
    names = [name for name, *_ in program]
    if _NEVER.intersection(names):
        return False
    rowids = [p2 for name, _, p2 in program if name == "NewRowid"]
    # AUTOINCREMENT has a second one, for its row in sqlite_sequence, and looks for that row in a loop.
    autoincrement = "MemMax" in names
    if len(rowids) != 1 + autoincrement or names.count("Next") != autoincrement:
        return False
    # A rowid that the caller gives goes to the same register.
    return all(p1 not in rowids for name, p1, _ in program if name == "MustBeInt")


def _is_plain(row: Any) -> bool:
    if row["opcode"] not in _PLAIN:
        return False
    count, *collations = str(row["p4"] or "").removesuffix(")").split(",")  # of an index: k(2,NOCASE,)
    return not count.startswith("k(") or all(name.lstrip("-") in _COLLATIONS for name in collations)


def inserts(connection: GuardedConnection, sql: str, params: Any) -> Literal["nothing", "rows", "virtual rows"]:
    """What this statement inserts, itself and not by a trigger. The latest rowid moves without it too: a virtual table
    inserts into tables of its own when its rows are updated or deleted.
    """
    rows = explained(connection, sql, params)
    own = rows[: next((n for n, row in enumerate(rows) if n and row["addr"] == 0), None)]  # triggers' come behind
    if any(row["opcode"] == "VUpdate" and row["p1"] == 1 for row in own):
        return "virtual rows"
    return "rows" if any(row["opcode"] == "Insert" and row["p5"] & _LASTROWID for row in own) else "nothing"


_LASTROWID = 0x20  # of an Insert whose rowid is the latest (OPFLAG_LASTROWID)
_FAIL = 3  # of a conflict: what was done before it stays (OE_Fail in SQLite's sources)


def fails_halfway(connection: GuardedConnection, sql: str, params: Any) -> bool:
    """Whether a trigger of this statement may refuse a row by FAIL: rows that it has changed before then stay, and
    those of its unfinished statement are not in ``total_changes``. (Without a trigger they are.)
    """
    rows = explained(connection, sql, params)
    return any(row["opcode"] == "Program" for row in rows) and any(
        (row["opcode"] in ("Halt", "HaltIfNull") and row["p2"] == _FAIL)
        or (row["opcode"] == "VUpdate" and row["p5"] == _FAIL)
        for row in rows
    )


# Few sizes: each is a text of its own in the connection's cache of statements.
_SIZES = (64, 16)
FEWEST: int = min(_SIZES)
_MOST_PARAMETERS = 999  # of one statement: more of them make it no quicker
# A statement in the cache keeps its latest values, and they are copied all before the first row goes in.
_MOST_CHARACTERS = 1 << 17
_NAME = r'(?:[\w$\x80-\U0010ffff]+|"(?:[^"]|"")+")'
_ONE_ROW = re.compile(
    rf"(?P<head>\s*INSERT\s+INTO\s+{_NAME}(?:\s*\.\s*{_NAME})?\s*(?:\(\s*{_NAME}(?:\s*,\s*{_NAME})*\s*\)\s*)?VALUES)"
    r"\s*(?P<row>\(\s*\?(?:\s*,\s*\?)*\s*\))\s*;?\s*",
    re.ASCII | re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class ManyRows:
    """An insert of ``rows`` rows of ``columns`` values each."""

    rows: int
    columns: int
    text: str

    def values(self, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """All values of so many parameter sets, if each is a tuple that fits and they are not too large together."""
        if [*map(type, parameters)].count(tuple) < self.rows or [*map(len, parameters)].count(self.columns) < self.rows:
            return None
        values = tuple(chain.from_iterable(parameters))
        try:
            characters = sum(map(length_hint, values))
        except Exception:  # an object of the caller's, for whose type there is an adapter
            return None
        return values if characters <= _MOST_CHARACTERS else None


def of_many_rows(sql: str, most_parameters: int = _MOST_PARAMETERS, longest: int = 1_000_000) -> tuple[ManyRows, ...]:
    """The same insert for many rows, the largest first; none if its text is not simple enough.

    Args:
        most_parameters, longest: what the connection's limits allow a statement; ``longest`` in bytes.
    """
    match = _ONE_ROW.fullmatch(sql)
    if match is None:
        return ()
    head, row = match["head"], match["row"]
    columns = row.count("?")
    texts = [
        ManyRows(size, columns, f"{head} {', '.join([row] * size)}")
        for size in _SIZES
        if size * columns <= min(most_parameters, _MOST_PARAMETERS)
    ]
    return tuple(many for many in texts if 4 * len(many.text) < longest)  # a character is four bytes at most


def are_valid(connection: GuardedConnection, texts: Sequence[ManyRows]) -> bool:
    """Whether SQLite takes these, though it takes that of one row. It does not where the key of a child does not fit
    the table: one row more is never a violation of it, and many may be.
    """
    try:
        for many in texts:
            explained(connection, many.text, (None,) * many.rows * many.columns)
    except sqlite3.OperationalError:
        connection.forget_error()
        return False
    return True


def explained(connection: GuardedConnection, sql: str, params: Any) -> list[Any]:
    """The bytecode of this text, compiled now; the authorizer sees it."""
    # A text of its own each time: Python would take an EXPLAIN from its cache, with the bytecode of an older schema.
    return connection.execute(f"EXPLAIN /* {next(_unique)} */ {sql}", params).fetchall()
