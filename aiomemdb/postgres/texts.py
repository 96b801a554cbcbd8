"""What the text of a statement says for certain: its first words, where it ends, whether a job may hold it.

The server alone knows what SQL means. So much is read here as has to be known before it is sent: all jobs of a batch
share one transaction and one session, and what would end the first or change the second is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from ..errors import EmptyStatement, ForbiddenStatement

__all__ = ["Statement", "script", "statement"]

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|--[^\n]*)
    | (?P<comment>/\*)
    | (?P<text>[eE]'(?:[^'\\]|''|\\.)*(?:'|\Z) | (?:[bBxXnN]|[uU]&)?'(?:[^']|'')*(?:'|\Z))
    | (?P<quoted>(?:[uU]&)?"(?:[^"]|"")*(?:"|\Z))
    | (?P<dollar>\$(?:[^\W\d]\w*)?\$)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<number>\$?\d[\w.]*)
    | (?P<end>;)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")

_TRANSACTION = "a job is a part of a transaction of the library's own: for several steps use db.transaction()"
_SESSION = (
    "it would change the session for all jobs: set it in the URL (?options=-c%20name%3Dvalue), by ALTER ROLE, or by "
    "SET LOCAL inside db.transaction()"
)
_COPY = "it has a protocol of its own: use write_many(sql, rows), or psql"
_CURSOR = "use db.read_stream(sql, params)"
_PREPARED = "statements are prepared by the library"
_FORBIDDEN = {
    **dict.fromkeys(["ABORT", "BEGIN", "COMMIT", "END", "RELEASE", "ROLLBACK", "SAVEPOINT", "START"], _TRANSACTION),
    **dict.fromkeys(["DISCARD", "LOAD", "RESET", "SET"], _SESSION),
    **dict.fromkeys(["LISTEN", "UNLISTEN"], "connections are shared: listen on one of psycopg's own"),
    **dict.fromkeys(["CLOSE", "DECLARE", "FETCH", "MOVE"], _CURSOR),
    **dict.fromkeys(["DEALLOCATE", "EXECUTE", "PREPARE"], _PREPARED),
}
_QUERIES = frozenset(["EXPLAIN", "SELECT", "SHOW", "TABLE", "VALUES"])


class Statement:
    """
    Attributes:
        sql: its text, for notes.
        command: as the server gets it.
        is_query: it returns rows, and writes nothing but by what its functions do.
        forbidden: why no job may hold it, or None.
        within: that holds for a ``transaction()`` too.
        may_return: it may return rows.
        returns_rows: it has returned rows before, or none; None where it has not run yet.
        is_sure: what it has returned is of types that can always be read.
    """

    __slots__ = ("command", "forbidden", "is_query", "is_sure", "may_return", "returns_rows", "sql", "within")

    def __init__(self, sql: str, words: tuple[str, ...]) -> None:
        self.sql: str = sql
        self.command: bytes = sql.encode()
        self.returns_rows: bool | None = None
        self.is_sure: bool = False
        first = words[0] if words else ""
        self.is_query: bool = first in _QUERIES
        self.may_return: bool = first not in ("INSERT", "UPDATE", "DELETE", "MERGE") or "RETURNING" in words
        self.forbidden: str | None = _FORBIDDEN.get(first)
        self.within: bool = True
        if first == "SET" and len(words) > 1 and words[1] in ("LOCAL", "CONSTRAINTS"):
            # SET LOCAL is a transaction's; in a batch it would be its neighbours' too.
            self.within = words[1:3] in (("LOCAL", "TRANSACTION"), ("LOCAL", "SESSION"))
        elif first == "COPY" and ("STDIN" in words or "STDOUT" in words):
            self.forbidden = _COPY

    def __repr__(self) -> str:
        return f"<Statement {self.sql[:60]!r}>"

    def check(self, *, is_within: bool = False) -> None:
        """Raises: ForbiddenStatement: no job may hold it; ``is_within``: nor may a transaction."""
        if self.forbidden is not None and (self.within or not is_within):
            word = self.sql.split(None, 1)[0].upper() if self.sql else ""
            raise ForbiddenStatement(f"{word[:20]} can't be run here: {self.forbidden}")


def _tokens(sql: str) -> Iterator[tuple[str, str, int]]:
    """Kind, text and end of each token that is no space and no comment."""
    at, end = 0, len(sql)
    while at < end:
        match = _TOKEN.match(sql, at)
        assert match is not None and match.lastgroup is not None
        kind, begin, at = match.lastgroup, at, match.end()
        if kind == "space":
            continue
        if kind == "comment":
            depth = 1
            while depth:
                edge = _COMMENT_EDGE.search(sql, at)
                if edge is None:
                    at = end
                    break
                depth += 1 if edge[0] == "/*" else -1
                at = edge.end()
            continue
        if kind == "dollar":
            closing = sql.find(match[0], at)
            at = end if closing < 0 else closing + len(match[0])
        yield kind, sql[begin:at], at


def _cut(sql: str) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each statement, with the words that are looked at."""
    begin, words, depth, has_token = 0, list[str](), 0, False
    for kind, text, end in _tokens(sql):
        if kind == "end" and not depth:
            if has_token:
                yield sql[begin : end - 1], tuple(words)
            begin, words, depth, has_token = end, [], 0, False
            continue
        has_token = True
        if kind == "word":
            word = text.upper()
            # The body of a function in standard SQL: CREATE FUNCTION ... BEGIN ATOMIC ...; ...; END
            if depth:
                depth += {"CASE": 1, "BEGIN": 1, "END": -1}.get(word, 0)
            elif word == "ATOMIC" and words[-1:] == ["BEGIN"] and words[0] == "CREATE":
                depth = 1
            words.append(word)
        elif kind == "quoted" or kind == "text":
            words.append("")
    if has_token:
        yield sql[begin:], tuple(words)


@lru_cache(maxsize=2048)
def statement(sql: str) -> Statement:
    """The one statement of a text. (Of several the server says that it takes one.)

    Raises:
        TypeError: it is no text.
        EmptyStatement: it holds none.
    """
    if not isinstance(sql, str):
        raise TypeError(f"sql must be a str, not {type(sql).__name__}")
    first = next(_cut(sql), None)
    if first is None:
        raise EmptyStatement("the SQL holds no statement: it is empty, or has comments alone")
    return Statement(sql, first[1])


def script(sql: str) -> list[Statement]:
    """The statements of a text.

    Raises: TypeError, ForbiddenStatement.
    """
    if not isinstance(sql, str):
        raise TypeError(f"sql must be a str, not {type(sql).__name__}")
    return [Statement(text.strip(), words) for text, words in _cut(sql)]
