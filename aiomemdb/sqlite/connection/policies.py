"""What SQL and functions may do on a connection, as data: a table of what is refused, and what serves instead.

What no rule names is allowed, except where a policy says otherwise (``others``). guard.py puts SQL to the policy of its
connection, guarded.py the connection's methods.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from ..common.options import PRAGMAS

__all__ = [
    "ALL",
    "ALTER",
    "ANALYZE",
    "ATTACH",
    "DELETE",
    "DETACH",
    "FUNCTION",
    "INSERT",
    "JOB",
    "PRAGMA",
    "PREPARE",
    "READ",
    "READER",
    "RECURSIVE",
    "REINDEX",
    "SAVEPOINT",
    "SCHEMA",
    "SCHEMA_TABLES",
    "SELECT",
    "TRANSACTION",
    "UPDATE",
    "WRITES",
    "Policy",
    "Rule",
]

# Codes of the authorizer: https://www.sqlite.org/c3ref/c_alter_table.html
DELETE, INSERT, PRAGMA, SELECT, TRANSACTION, UPDATE, ATTACH, DETACH = 9, 18, 19, 21, 22, 23, 24, 25
ALTER, REINDEX, ANALYZE, FUNCTION, SAVEPOINT = 26, 27, 28, 31, 32
READ, RECURSIVE = 20, 33
SCHEMA: frozenset[int] = frozenset([*range(1, 9), *range(10, 18), ALTER, 29, 30])  # CREATE, DROP and ALTER of anything
#: Of a table or view: INSERT, UPDATE, DELETE, CREATE, DROP; the first name is the table's.
WRITES: frozenset[int] = frozenset([INSERT, UPDATE, DELETE, 2, 8, 11, 17, 29, 30])

#: Whether it is allowed all the same, by what the authorizer is told of it: two names, that of the schema, and that of
#: the trigger or view that does it. (The name of a WITH table stands there as well: it proves nothing by itself.)
Allows: TypeAlias = Callable[[str | None, str | None, str | None, str | None], bool]


def never(first: str | None, second: str | None, schema: str | None, within: str | None) -> bool:
    return False


def always(first: str | None, second: str | None, schema: str | None, within: str | None) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Rule:
    """What is refused of one action of the authorizer.

    Attributes:
        what: how the refusal names it, of ``first`` and ``second``.
        instead: what serves instead, or why it is refused.
        allows: what of it is allowed.
    """

    what: str
    instead: str
    allows: Allows = never


#: For a policy that refuses what no rule names.
ALL: Rule = Rule("", "", always)


@dataclass(frozen=True, slots=True)
class Policy:
    """What one kind of user may do.

    Attributes:
        where: where it holds, as the refusals say it.
        rules: by the authorizer's action.
        calls: by the name of what is refused without the authorizer: what serves instead, or why it is refused.
        others: what is refused of the actions that no rule names; None: nothing.
    """

    where: str
    rules: Mapping[int, Rule]
    calls: Mapping[str, str]
    others: Rule | None = None

    def refusal(
        self, action: int, first: str | None, second: str | None, schema: str | None, within: str | None
    ) -> str | None:
        """Returns: why SQL may not do this, or None: it may."""
        rule = self.rules.get(action, self.others)
        if rule is None or rule.allows(first, second, schema, within):
            return None
        return self._refusal(rule.what.format(first=first, second=second), rule.instead)

    def refusal_of_call(self, what: str) -> str | None:
        """Returns: why this may not be called, or None: it may."""
        instead = self.calls.get(what)
        return None if instead is None else self._refusal(what, instead)

    def _refusal(self, what: str, instead: str) -> str:
        return f"{what} is not allowed {self.where}: {instead}"


def _pragmas(*, to_read: frozenset[str], to_set: frozenset[str]) -> Allows:
    """Allows the PRAGMAs of these names, without a value and with one."""

    def allows(first: str | None, second: str | None, schema: str | None, within: str | None) -> bool:
        return (first or "").lower() in (to_read if second is None else to_set)

    return allows


# FTS, ALTER, ANALYZE and the like compile some of them behind the user's statement.
_LOOKING = frozenset(
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

# -- a job's ---------------------------------------------------------------------------------------------------------

# The latter two are part of the transaction too: in page 1.
_OF_JOBS = _LOOKING | {"application_id", "user_version"}

JOB: Policy = Policy(
    where="inside a job",
    rules={
        TRANSACTION: Rule(
            "{first}", "a job is a transaction already; use db.transaction() or db.write_fn() for several steps"
        ),
        SAVEPOINT: Rule("SAVEPOINT {second}", "use tx.transaction(), which nests as a savepoint"),
        ATTACH: Rule(
            "ATTACH or VACUUM",
            "open the other file with its own aiomemdb.connect(); to copy, db.backup(); to compact, db.vacuum()",
        ),
        DETACH: Rule("DETACH {first}", "nothing is ever attached here"),
        PRAGMA: Rule(
            "PRAGMA {first}",
            "set it with aiomemdb.connect(..., pragmas={...}), or use db.checkpoint() and db.optimize()",
            _pragmas(
                to_read=_OF_JOBS,
                to_set=_OF_JOBS - {"encoding", "max_page_count", "page_size", "schema_version"},
            ),
        ),
        FUNCTION: Rule(
            "load_extension()",
            "load extensions in connect(prepare=...)",
            lambda first, second, schema, within: second != "load_extension",
        ),
    },
    calls={
        "VACUUM": "use db.vacuum()",
        "commit()": "the job is committed when it returns",
        "rollback()": "raise an error: the job is rolled back whole",
        "executescript()": "it commits first; use db.write_script(), or execute() one by one",
        "'with connection'": "it commits; the job is committed when it returns",
        "backup()": "it would never end inside a transaction; use db.backup()",
        "close()": "use await db.close()",
        "interrupt()": "use timeout=",
        "set_authorizer()": "aiomemdb's own keeps the job's transaction whole",
        "setlimit()": "use connect(max_value_bytes=...)",
        "set_progress_handler()": "it would stop other jobs too; set one in connect(prepare=...)",
        "set_trace_callback()": "it would see other jobs too; set one in connect(prepare=...)",
        "enable_load_extension()": "load extensions in connect(prepare=...)",
        "load_extension()": "load extensions in connect(prepare=...)",
        "setconfig()": "configure the connection in connect(prepare=...)",
        "isolation_level": "the job is a transaction already",
        "autocommit": "the job is a transaction already",
        "deserialize()": "it would replace the database behind the library",
    },
)

#: A query's: as a job's, for SQLite itself refuses what writes on a connection that is query_only.
READER: Policy = JOB

# -- prepare's -------------------------------------------------------------------------------------------------------

# It runs outside of the turns: a commit there would meet other processes' locks and their checkpoints.
_WHEN_OPEN = "it is outside of the turns that keep processes apart; do that when the database is open"
_ELSEWHERE = "open the other file with its own aiomemdb.connect(); to compact this one, db.vacuum()"

# Read here, they write where they are given a value.
_STORED = frozenset(["application_id", "auto_vacuum", "encoding", "page_size", "schema_version", "user_version"])
_SETTINGS = PRAGMAS - _STORED  # of the connection alone
_OF_PREPARE = _SETTINGS | (_LOOKING - _STORED)

# Behind a query of json_each(), or a temp trigger on a table of the file, SQLite asks for a write of these, and makes
# none. For a real change of the schema it asks for a CREATE, DROP or ALTER too.
SCHEMA_TABLES: frozenset[str] = frozenset(["sqlite_master", "sqlite_schema"])

_WRITE_ROWS = Rule(
    "writing {first}", _WHEN_OPEN, lambda first, second, schema, within: schema == "temp" or first in SCHEMA_TABLES
)
_CHANGE_SCHEMA = Rule("changing {first}", _WHEN_OPEN, lambda first, second, schema, within: schema == "temp")

PREPARE: Policy = Policy(
    where="in connect(prepare=...)",
    rules={
        **dict.fromkeys([DELETE, INSERT, UPDATE], _WRITE_ROWS),
        **dict.fromkeys([*SCHEMA, REINDEX, ANALYZE], _CHANGE_SCHEMA),
        ALTER: Rule("changing {second}", _WHEN_OPEN, lambda first, second, schema, within: first == "temp"),
        TRANSACTION: Rule("{first}", _WHEN_OPEN),
        SAVEPOINT: Rule("SAVEPOINT {second}", _WHEN_OPEN),
        ATTACH: Rule("ATTACH {first!r}", _ELSEWHERE),  # VACUUM too
        DETACH: Rule("DETACH {first!r}", _ELSEWHERE),
        PRAGMA: Rule(
            "PRAGMA {first}",
            f"what others rely on is aiomemdb's own; these can be set here: {', '.join(sorted(_SETTINGS))}",
            _pragmas(to_read=_OF_PREPARE | _STORED, to_set=_OF_PREPARE),
        ),
    },
    calls={
        "set_authorizer()": "aiomemdb has one of its own",
        "blobopen() for writing": _WHEN_OPEN,
        "setconfig() of what unlocks the schema": _WHEN_OPEN,
    },
)
