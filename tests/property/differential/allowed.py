"""The differences that are allowed, each with its reason."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .oracle import FORBIDDEN, Refused
from .programs import Program
from .runner import Difference
from .texts import LARGEST_ROWID

__all__ = ["ALLOWED", "Allowed", "listed"]


FOREIGN_KEY = Refused("IntegrityError", "SQLITE_CONSTRAINT_FOREIGNKEY", "FOREIGN KEY constraint failed")


@dataclass(frozen=True)
class Allowed:
    name: str
    reason: str
    matches: Callable[[Program, Difference], bool]


#: What Python says of parameters before SQLite has seen them all, by type and name, and how its text begins.
_BINDING = {
    ("ProgrammingError", None): (
        "Incorrect number of bindings",
        "Error binding parameter",
        "You did not supply a value",
    ),
    ("UnicodeEncodeError", None): ("'utf-8' codec can't encode character",),
    ("OverflowError", None): ("Python int too large to convert to SQLite INTEGER",),
    ("DataError", "SQLITE_TOOBIG"): ("string or blob too big",),
}
#: What SQLite says of a text that does not fit the schema.
_COMPILING = re.compile(
    "no such (table|column|view|index|trigger): |table .* has no column named |cannot modify .* because it is a view|"
    "foreign key mismatch|.*may not be modified|error in |.* already exists|there is already |"
    r"table .* has \d+ columns but \d+ values|duplicate column name: |[Cc]annot (add|drop|rename) "
)


def _is_binding(outcome: Any) -> bool:
    return isinstance(outcome, Refused) and outcome.text.startswith(_BINDING.get(outcome[:2], "?"))


def _is_compiling(outcome: Any) -> bool:
    return (
        isinstance(outcome, Refused)
        and outcome[:2] == ("OperationalError", "SQLITE_ERROR")
        and _COMPILING.match(outcome.text) is not None
    )


def _begins(one: Difference, words: str) -> bool:
    return one.job is not None and one.job.sql.startswith(words)


def _bound_first(program: Program, one: Difference) -> bool:
    return _is_compiling(one.expected) and _is_binding(one.got)


def _known_query(program: Program, one: Difference) -> bool:
    is_refused = isinstance(one.expected, Refused) and one.expected.name in (None, "SQLITE_ERROR")
    return _begins(one, "SELECT") and is_refused and one.got == FORBIDDEN


def _adapted_first(program: Program, one: Difference) -> bool:
    adapter = Refused("ZeroDivisionError", None, "the adapter")
    return one.got == adapter and isinstance(one.expected, Refused) and "RAISING" in repr(one.job)


def _random_rowid(program: Program, one: Difference) -> bool:
    is_used_up = str(LARGEST_ROWID) in repr(program) and any("fts5" in sql for sql in program.schema)
    if one.job is None:
        return is_used_up and all(name.startswith("f_") for name in one.expected)
    is_drawn = all(isinstance(outcome, int) and outcome > 2**40 for outcome in (one.expected, one.got))
    return is_used_up and is_drawn and _begins(one, "INSERT INTO f (")


def _read_only_first(program: Program, one: Difference) -> bool:
    is_refused = isinstance(one.got, Refused) and one.got[:2] == ("OperationalError", "SQLITE_READONLY")
    return _is_compiling(one.expected) and is_refused and _begins(one, "INSERT")


def _deferred(program: Program, one: Difference) -> bool:
    defers = any("DEFERRED" in statement for statement in program.schema)
    kept = not isinstance(one.got, Refused)
    return defers and one.expected == FOREIGN_KEY and one.job is not None and kept


ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        "bound first",
        "Python binds a text that was compiled before the schema changed before SQLite compiles it again. So of two "
        "reasons to refuse it the caller hears of the parameters.",
        _bound_first,
    ),
    Allowed(
        "a query that is known",
        "A query in a write verb that is known to be one is refused before it runs. So its caller does not hear that "
        "it would fail.",
        _known_query,
    ),
    Allowed(
        "adapted first",
        "Values are adapted at the call, so that they are stored as they were then. So the caller hears of an adapter "
        "that raises, where sqlite3 would find something else to refuse before it asks it.",
        _adapted_first,
    ),
    Allowed(
        "random rowids",
        "Above the largest rowid there is none: SQLite draws one at random (https://www.sqlite.org/autoinc.html).",
        _random_rowid,
    ),
    Allowed(
        "read-only first",
        "A write in a read verb is refused when it is compiled, before the schema is compared with the file's: its "
        "table may just have gone.",
        _read_only_first,
    ),
    Allowed(
        "deferred foreign keys",
        "A deferred foreign key is judged at the COMMIT, which a job shares with its neighbours: a job that is refused "
        "alone is kept where a neighbour brings the row that it lacks.",
        _deferred,
    ),
)


def listed(program: Program, difference: Difference) -> str | None:
    """The name of what allows it, or None."""
    return next((one.name for one in ALLOWED if one.matches(program, difference)), None)
