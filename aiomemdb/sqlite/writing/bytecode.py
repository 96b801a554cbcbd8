"""What a statement's bytecode says of it: what it inserts, whether its rowids follow one another, how it fails.

For a statement that inserts at most one row, leaves its rowid to SQLite and fires no trigger the rowids of a run are
consecutive: each is one above the largest in the table, so it grows with each row; and if after k rows the last is just
k above the first known, each has grown by exactly one. ``follows`` reads from the bytecode whether a statement is of
that kind; the sum is checked after each run (operations.py).

The opcodes are SQLite's (https://www.sqlite.org/opcode.html); their flags are named as in its sources.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from typing import Literal, NamedTuple, TypeAlias

from ...database import Params
from ..connection.guarded import GuardedConnection

__all__ = [
    "Inserts",
    "Op",
    "Program",
    "explained",
    "fails_halfway",
    "follows",
    "gains",
    "inserts",
    "is_plain",
    "moves_only_one_row",
    "own_part",
]

#: What the latest rowid means after it.
Inserts: TypeAlias = Literal["nothing", "rows", "virtual rows"]


class Op(NamedTuple):
    """A row of EXPLAIN."""

    addr: int
    opcode: str
    p1: int
    p2: int
    p3: int
    p4: str | None
    p5: int
    comment: str | None


Program: TypeAlias = Sequence[Op]

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

_LASTROWID = 0x20  # of an Insert: its rowid is the latest (OPFLAG_LASTROWID)
_UPDATES = 0x04  # of an Insert or Delete: it is half of an update (OPFLAG_ISUPDATE)
_IN_PLACE = _UPDATES | 0x40  # of a Delete that an Insert of the same rowid follows (OPFLAG_ISNOOP)
_FAIL = 3  # of a conflict: what was done before it stays (OE_Fail)


def explained(connection: GuardedConnection, sql: str, params: Params) -> Program:
    """The bytecode of this text, compiled now; the authorizer sees it."""
    # A text of its own each time: Python would take an EXPLAIN from its cache, with the bytecode of an older schema.
    rows = connection.execute(f"EXPLAIN /* {next(_unique)} */ {sql}", params).fetchall()
    return [*map(Op._make, rows)]


def own_part(program: Program) -> Program:
    """The statement itself, without its triggers, which come behind."""
    return _parts(program)[0]


def inserts(program: Program) -> Inserts:
    """What the statement inserts, itself and not by a trigger. The latest rowid moves without it too: a virtual table
    inserts into tables of its own when its rows are updated or deleted.
    """
    own = own_part(program)
    if any(op.opcode == "VUpdate" and op.p1 == 1 for op in own):
        return "virtual rows"
    return "rows" if any(op.opcode == "Insert" and op.p5 & _LASTROWID for op in own) else "nothing"


def moves_only_one_row(program: Program) -> bool:
    """Of an upsert: whether no row of its table gets or loses a rowid except by its own insert: nothing else of it, its
    triggers and cascades included, inserts into the table, deletes from it, or changes a rowid.
    """
    own = own_part(program)
    inserting = next(op for op in own if op.opcode == "Insert" and op.p5 & _LASTROWID)
    table = next((op.p2, op.p3) for op in own if op.opcode == "OpenWrite" and op.p1 == inserting.p1)
    return not any(op.opcode == "Clear" and (op.p1, op.p2) == table for op in program) and all(
        op is inserting or _is_in_place(op)
        for part in _parts(program)
        for cursors in [{op.p1 for op in part if op.opcode == "OpenWrite" and (op.p2, op.p3) == table}]
        for op in part
        if op.p1 in cursors
    )


def _parts(program: Program) -> list[Program]:
    """The statement itself and its triggers and cascades; each numbers its cursors anew."""
    starts = [n for n, op in enumerate(program) if op.addr == 0]
    return [program[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]


def _is_in_place(op: Op) -> bool:
    """Whether an opcode on a table leaves each row its rowid. Where an update changes a rowid, its Delete says so."""
    if op.opcode == "Delete":
        return op.p2 & _IN_PLACE == _IN_PLACE
    return op.opcode != "Insert" or bool(op.p5 & _UPDATES)


def follows(program: Program) -> bool:
    """Whether each run adds at most one row, with a rowid one above the table's largest.

    A kind of opcode that stands for more is known by ``_NEVER``. The sum is checked all the same.
    """
    names = [op.opcode for op in program]
    if _NEVER.intersection(names):
        return False
    rowids = [op.p2 for op in program if op.opcode == "NewRowid"]
    # AUTOINCREMENT has a second one, for its row in sqlite_sequence, and looks for that row in a loop.
    autoincrement = "MemMax" in names
    if len(rowids) != 1 + autoincrement or names.count("Next") != autoincrement:
        return False
    # A rowid that the caller passes goes to the same register.
    return all(op.p1 not in rowids for op in program if op.opcode == "MustBeInt")


def is_plain(program: Program) -> bool:
    """Whether it follows, and is nothing but opcodes that are known."""
    return follows(program) and all(map(_is_known, program))


def _is_known(op: Op) -> bool:
    if op.opcode not in _PLAIN:
        return False
    columns, *collations = str(op.p4 or "").removesuffix(")").split(",")  # of an index: k(2,NOCASE,)
    return not columns.startswith("k(") or all(name.lstrip("-") in _COLLATIONS for name in collations)


def gains(program: Program) -> bool:
    """Whether it is plain, and many rows at once are quicker. Where one of them may be refused, SQLite copies each page
    that it changes, to undo them all; of an index that is a page a row (UNIQUE: 10 to 20 % slower).
    """
    names = {op.opcode for op in program}
    return is_plain(program) and not ("IdxInsert" in names and not _REFUSES.isdisjoint(names))


def fails_halfway(program: Program) -> bool:
    """Whether a trigger of it may refuse a row by FAIL: rows that it has changed before then stay, and those of its
    unfinished statement are not in ``total_changes``. (Without a trigger they are.)
    """
    return any(op.opcode == "Program" for op in program) and any(
        (op.opcode in ("Halt", "HaltIfNull") and op.p2 == _FAIL) or (op.opcode == "VUpdate" and op.p5 == _FAIL)
        for op in program
    )
