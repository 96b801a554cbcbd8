"""What ``connect(prepare=...)`` may do: the wall around it, as guard.py is one around jobs.

It runs outside of the turns: a commit there would meet other processes' locks and their checkpoints.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from ...errors import AiomemdbError, ForbiddenStatement
from ..options import PRAGMAS
from .guard import READING_PRAGMAS, GuardedConnection

__all__ = ["run_prepare"]

# Codes of the authorizer: https://www.sqlite.org/c3ref/c_alter_table.html
_ROWS = frozenset([9, 18, 23])  # DELETE, INSERT, UPDATE
_ALTER = 26
_SCHEMA = frozenset([*range(1, 9), *range(10, 18), _ALTER, 27, 28, 29, 30])  # CREATE and DROP; REINDEX, ANALYZE
_PRAGMA = 19
_BEGIN, _ATTACH, _DETACH, _SAVEPOINT = 22, 24, 25, 32

# Behind a query of json_each(), or a temp trigger on a table of the file, SQLite asks for a write of these, and makes
# none. Who really changes a schema is asked for a CREATE, DROP or ALTER too.
_SCHEMA_TABLES = frozenset(["sqlite_master", "sqlite_schema"])
# By which they could be written, or the file be emptied: SQLITE_DBCONFIG_WRITABLE_SCHEMA and _RESET_DATABASE.
_UNLOCKING = frozenset([1011, 1009])

# Read here, they write where they are given a value.
_STORED = frozenset(["application_id", "auto_vacuum", "encoding", "page_size", "schema_version", "user_version"])
_READING = READING_PRAGMAS - _STORED
_SETTINGS = PRAGMAS - _STORED  # of the connection alone

_WHEN_OPEN = "it is outside of the turns that keep processes apart; do that when the database is open"
_ELSEWHERE = "open the other file with its own aiomemdb.connect(); to compact this one, db.vacuum()"
_LEAVE_ALONE = f"what others rely on is aiomemdb's own; these can be set here: {', '.join(sorted(_SETTINGS))}"


def run_prepare(raw: GuardedConnection, prepare: Callable[[sqlite3.Connection], object]) -> None:
    """Runs the user's function; afterwards the connection has the guard of jobs.

    Raises:
        ForbiddenStatement: it tried what is forbidden, even if it swallowed the refusal.
        AiomemdbError: it left a transaction open.
        BaseException: its own error.
    """
    wall = _Wall()
    # An authorizer that is set has every cached statement compiled, and asked for, again: both times.
    raw.set_authorizer(wall.authorize)
    methods = wall.methods(raw)
    raw.__dict__.update(methods)
    try:
        prepare(raw)
    except Exception as error:
        if wall.denied is None or isinstance(error, ForbiddenStatement):
            raise
        raise ForbiddenStatement(wall.denied) from error
    finally:
        for name in methods:
            del raw.__dict__[name]
        raw.set_authorizer(raw.guard.authorize)
    if wall.denied is not None:
        raise ForbiddenStatement(wall.denied)
    if raw.isolation_level is not None or raw.in_transaction:
        raise AiomemdbError("prepare must leave no transaction open, and isolation_level as it is")


class _Wall:
    """Lets a function read, set what is its connection's own, and use temp tables.

    Attributes:
        denied: what was refused first, or None.
    """

    def __init__(self) -> None:
        self.denied: str | None = None

    def authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, trigger: str | None
    ) -> int:
        if action in _ROWS and schema != "temp" and first not in _SCHEMA_TABLES:
            return self._deny(f"writing {first}", _WHEN_OPEN)
        if action in _SCHEMA and (first if action == _ALTER else schema) != "temp":
            return self._deny(f"changing {second if action == _ALTER else first}", _WHEN_OPEN)
        if action == _BEGIN:  # COMMIT and ROLLBACK too
            return self._deny(str(first), _WHEN_OPEN)
        if action == _SAVEPOINT:
            return self._deny(f"SAVEPOINT {second}", _WHEN_OPEN)
        if action in (_ATTACH, _DETACH):  # VACUUM too
            return self._deny(f"{'ATTACH' if action == _ATTACH else 'DETACH'} {first!r}", _ELSEWHERE)
        if action == _PRAGMA:
            name = (first or "").lower()
            if name not in _SETTINGS | _READING and (name not in _STORED or second is not None):
                return self._deny(f"PRAGMA {first}", _LEAVE_ALONE)
        return sqlite3.SQLITE_OK

    def methods(self, raw: GuardedConnection) -> dict[str, Callable[..., object]]:
        """In place of the connection's, while ``prepare`` runs: no authorizer sees what these do."""
        open_blob, set_config = raw.blobopen, raw.setconfig

        def set_authorizer(authorizer_callback: object) -> None:
            self._refuse("set_authorizer()", "aiomemdb has one of its own")

        def blobopen(*args: Any, readonly: bool = False, **kwargs: Any) -> sqlite3.Blob:
            if not readonly:
                self._refuse("blobopen() for writing", _WHEN_OPEN)
            return open_blob(*args, readonly=True, **kwargs)

        def setconfig(op: int, enable: bool = True, /) -> None:
            if op in _UNLOCKING:
                self._refuse("setconfig() of what unlocks the schema", _WHEN_OPEN)
            set_config(op, enable)

        return {"set_authorizer": set_authorizer, "blobopen": blobopen, "setconfig": setconfig}

    def _refuse(self, what: str, why: str) -> None:
        self._deny(what, why)
        raise ForbiddenStatement(str(self.denied))

    def _deny(self, what: str, why: str) -> int:
        if self.denied is None:
            self.denied = f"{what} is not allowed in connect(prepare=...): {why}"
        return sqlite3.SQLITE_DENY
