"""The guard of a connection: the authorizer, which SQLite asks when a statement is compiled.

``mode=ro`` and ``query_only`` are not enough: SQL may switch query_only off, ATTACH and write new files, or
VACUUM INTO a copy. The authorizer sees all of these. It is closed always: what is compiled is put to the connection's
policy. ``GuardedConnection.own`` alone opens it, for one statement of the library's. It is installed once, and not for
each job: installing one expires every prepared statement (3.5 us each).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from ...errors import ForbiddenStatement
from .policies import ALTER, ANALYZE, REINDEX, SCHEMA, SCHEMA_TABLES, WRITES, Policy

__all__ = ["Guard"]


def tables_written(action: int, first: str | None, second: str | None, schema: str | None) -> Iterator[str]:
    """Tables of the file that this action may write; "sqlite_schema" where it changes the schema.

    SQLite asks for what triggers and cascades of foreign keys do, too.
    """
    if schema == "temp" or (action == ALTER and first == "temp"):
        return
    if action in SCHEMA:
        yield "sqlite_schema"
    if action == ANALYZE:
        yield "sqlite_stat1"
    table = second if action == ALTER else first if action in WRITES else None
    if table is not None and table not in SCHEMA_TABLES:
        yield table


class Guard:
    """Judges what is compiled, and remembers what it saw.

    Attributes:
        policy: what is allowed; ``GuardedConnection.obey`` changes it.
        is_open: a statement of the library's own is compiled: all is allowed, and nothing is remembered.
        frozen: nothing at all may be compiled.
        denied: what was refused since ``clear``, or None.
        news: the actions of all that was compiled, until a reader of the news empties it.
        asked: if a list, the (action, table, schema, trigger) of each of these, in order.
        restriction: a user's authorizer, asked of what the policy allows.
        written: if a set, the tables that what was compiled may write, in the file; and of the indexes that it builds
            anew the names, in ``built``.
    """

    __slots__ = ("asked", "built", "denied", "frozen", "is_open", "news", "policy", "restriction", "written")

    def __init__(self, policy: Policy) -> None:
        self.policy: Policy = policy
        self.is_open: bool = False
        self.frozen: bool = False
        self.denied: str | None = None
        self.news: set[int] = set()
        self.asked: list[tuple[int, str | None, str | None, str | None]] | None = None
        self.restriction: Callable[..., int] | None = None
        self.written: set[str] | None = None
        self.built: set[str] = set()

    def authorize(
        self, action: int, first: str | None, second: str | None, schema: str | None, trigger: str | None
    ) -> int:
        if self.is_open:
            return sqlite3.SQLITE_OK
        if self.frozen:
            return sqlite3.SQLITE_DENY
        self.news.add(action)
        if self.asked is not None:
            self.asked.append((action, first, schema, trigger))
        if self.written is not None:
            self.written.update(tables_written(action, first, second, schema))
            if action == REINDEX and first is not None and schema != "temp":
                self.built.add(first)
        policy = self.policy
        if action in policy.rules or policy.others is not None:
            refusal = policy.refusal(action, first, second, schema, trigger)
            if refusal is not None:
                self.deny(refusal)
                return sqlite3.SQLITE_DENY
        if self.restriction is None:
            return sqlite3.SQLITE_OK
        return self.restriction(action, first, second, schema, trigger)

    def deny(self, refusal: str) -> None:
        if self.denied is None:
            self.denied = refusal

    def clear(self) -> None:
        self.denied = None

    def refuse_call(self, what: str) -> None:
        """To be called before what the authorizer doesn't see.

        Raises: ForbiddenStatement: the policy refuses it.
        """
        refusal = self.policy.refusal_of_call(what)
        if refusal is not None:
            self.deny(refusal)
            raise ForbiddenStatement(refusal)

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
        if is_vacuum and (refusal := self.policy.refusal_of_call("VACUUM")) is not None:
            self.deny(refusal)
