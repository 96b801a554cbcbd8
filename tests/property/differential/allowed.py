"""The differences that are allowed, each with its reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .oracle import FORBIDDEN, Refused
from .programs import Program
from .runner import Difference

__all__ = ["ALLOWED", "Allowed", "listed"]


@dataclass(frozen=True)
class Allowed:
    name: str
    reason: str
    matches: Callable[[Program, Difference], bool]


#: Errors that Python raises before SQLite has seen the values.
_BINDING = frozenset(["ProgrammingError", "UnicodeEncodeError", "OverflowError", "ZeroDivisionError", "DataError"])


def _is_binding(outcome: Any) -> bool:
    return isinstance(outcome, Refused) and outcome.type in _BINDING


def _begins(one: Difference, *words: str) -> bool:
    return one.job is not None and one.job.sql.startswith(words)


def _bound_first(program: Program, one: Difference) -> bool:
    is_refused = isinstance(one.expected, Refused) and one.expected[:2] == ("OperationalError", "SQLITE_ERROR")
    return (is_refused or _begins(one, "VACUUM")) and _is_binding(one.got)


def _query(program: Program, one: Difference) -> bool:
    return _begins(one, "SELECT") and one.expected == FORBIDDEN and isinstance(one.got, Refused)


def _adapted_first(program: Program, one: Difference) -> bool:
    return isinstance(one.got, Refused) and one.got.text == "the adapter"


def _random_rowid(program: Program, one: Difference) -> bool:
    is_used_up = str(2**63 - 1) in repr(program) and any("fts5" in sql for sql in program.schema)
    is_drawn = all(isinstance(outcome, int) and outcome > 2**40 for outcome in (one.expected, one.got))
    return is_used_up and (one.job is None or is_drawn)


def _read_only_first(program: Program, one: Difference) -> bool:
    both = [outcome.name for outcome in (one.expected, one.got) if isinstance(outcome, Refused)]
    return both == ["SQLITE_ERROR", "SQLITE_READONLY"]


def _deferred(program: Program, one: Difference) -> bool:
    defers = any("DEFERRED" in statement for statement in program.schema)
    names = {outcome.name for outcome in (one.expected, one.got) if isinstance(outcome, Refused)}
    return defers and "SQLITE_CONSTRAINT_FOREIGNKEY" in names


def _rowid_0(program: Program, one: Difference) -> bool:
    return _begins(one, "INSERT INTO f") and one.expected == 0 and one.got is None


ALLOWED: tuple[Allowed, ...] = (
    Allowed(
        "bound first",
        "Python binds a text that was compiled before the schema changed before SQLite compiles it again. So of two "
        "reasons to refuse it the caller hears of the parameters. A VACUUM is refused only when it runs.",
        _bound_first,
    ),
    Allowed(
        "a query that fails",
        "A query in a write verb is refused once it is seen to be one. If it can't be compiled or bound, or fails in "
        "its first row, it is refused for that.",
        _query,
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
    Allowed(
        "rowid 0 in FTS5",
        "SQLite reports 0 after a command too (INSERT INTO f (f) VALUES ('rebuild')), which inserts nothing.",
        _rowid_0,
    ),
)


def listed(program: Program, difference: Difference) -> str | None:
    """The name of what allows it, or None."""
    return next((one.name for one in ALLOWED if one.matches(program, difference)), None)
