"""What is known of a statement by its text: only what its first words say for certain.

A statement that begins with INSERT writes, one that begins with SELECT does not; of WITH or PRAGMA the text does not
say, and SQLite is asked: it runs where nothing can be written, and is refused there if it would.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass
from functools import lru_cache

from ..common.names import folded
from ..connection.script import first_word, is_blank, start_of

__all__ = ["Control", "Kind", "Text", "text_of"]


class Kind(enum.Enum):
    """What a statement is."""

    QUERY = enum.auto()
    """It reads: SELECT, VALUES, EXPLAIN."""
    DML = enum.auto()
    """It changes rows, and begins a transaction in sqlite3's own way of them."""
    DDL = enum.auto()
    """It writes, otherwise."""
    UNSURE = enum.auto()
    """SQLite is to say whether it writes."""
    PRAGMA = enum.auto()
    CONTROL = enum.auto()
    """BEGIN, COMMIT, SAVEPOINT, …"""
    VACUUM = enum.auto()
    """It rebuilds this file, and not into another."""
    NOTHING = enum.auto()
    """It holds no statement: white space and comments."""


class Control(enum.Enum):
    """What a statement of transaction control does."""

    BEGIN = enum.auto()
    BEGIN_IMMEDIATE = enum.auto()
    COMMIT = enum.auto()
    ROLLBACK = enum.auto()
    SAVEPOINT = enum.auto()
    RELEASE = enum.auto()
    ROLLBACK_TO = enum.auto()


@dataclass(frozen=True, slots=True)
class Text:
    """What is known of a text.

    Attributes:
        control: of transaction control, what it does; ``name``: the savepoint's.
        is_temporary: it makes something that lives on the writer's connection alone.
    """

    kind: Kind
    control: Control | None = None
    name: str = ""
    is_temporary: bool = False

    @property
    def writes(self) -> bool:
        return self.kind is Kind.DML or self.kind is Kind.DDL


_BY_WORD = {
    **dict.fromkeys(["SELECT", "VALUES", "EXPLAIN"], Text(Kind.QUERY)),
    **dict.fromkeys(["INSERT", "UPDATE", "DELETE", "REPLACE"], Text(Kind.DML)),
    **dict.fromkeys(["CREATE", "DROP", "ALTER", "REINDEX", "ANALYZE"], Text(Kind.DDL)),
    "PRAGMA": Text(Kind.PRAGMA),
}
_UNSURE, _NOTHING = Text(Kind.UNSURE), Text(Kind.NOTHING)

_SPACE = r"(?:[ \t\n\f\r\ufeff]|--[^\n]*(?:\n|$)|/\*(?:.|\n)*?(?:\*/|$))"
_NAME = r"(?P<name>\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'|`(?:[^`]|``)*`|\[[^\]]*\]|[^\W\d][\w$]*)"


def _control(pattern: str) -> re.Pattern[str]:
    """Of words, with white space and comments between them."""
    body = pattern.replace(" ", f"{_SPACE}+").replace("~", f"{_SPACE}*")
    return re.compile(rf"{_SPACE}*{body}{_SPACE}*;?(?:{_SPACE}|;)*", re.IGNORECASE)


_CONTROLS = (
    (Control.BEGIN, _control(r"BEGIN(?: DEFERRED)?(?: TRANSACTION)?")),
    (Control.BEGIN_IMMEDIATE, _control(r"BEGIN (?:IMMEDIATE|EXCLUSIVE)(?: TRANSACTION)?")),
    (Control.COMMIT, _control(r"(?:COMMIT|END)(?: TRANSACTION)?")),
    (Control.ROLLBACK_TO, _control(rf"ROLLBACK(?: TRANSACTION)? TO(?: SAVEPOINT)?~{_NAME}")),
    (Control.ROLLBACK, _control(r"ROLLBACK(?: TRANSACTION)?")),
    (Control.SAVEPOINT, _control(rf"SAVEPOINT~{_NAME}")),
    (Control.RELEASE, _control(rf"RELEASE(?: SAVEPOINT)?~{_NAME}")),
)
_VACUUM = _control(r"VACUUM(?: main)?")
_CONTROL_WORDS = frozenset(["BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"])
_TEMPORARY = re.compile(
    rf"CREATE{_SPACE}+(?:TEMP(?:ORARY)?\b|(?:UNIQUE{_SPACE}+)?\w+{_SPACE}+"
    rf"(?:IF{_SPACE}+NOT{_SPACE}+EXISTS{_SPACE}+)?[\"'`\[]?temp[\"'`\]]?{_SPACE}*\.)",
    re.IGNORECASE,
)


def text_of(sql: str) -> Text:
    """What is known of this text.

    Raises: TypeError: it is no str.
    """
    if not isinstance(sql, str):
        raise TypeError(f"sql must be a str, not {type(sql).__name__}")
    return _kept(sql) if len(sql) <= 4096 else _look(sql)


def _look(sql: str) -> Text:
    word = first_word(sql)
    known = _BY_WORD.get(word)
    if known is None:
        if is_blank(sql.rstrip().rstrip(";")):
            return _NOTHING
        if word == "VACUUM" and _VACUUM.fullmatch(sql):
            return Text(Kind.VACUUM)
        return _control_of(sql) if word in _CONTROL_WORDS else _UNSURE
    if word == "CREATE" and _TEMPORARY.match(sql, start_of(sql)):
        return Text(Kind.DDL, is_temporary=True)
    return known


_kept = lru_cache(2000)(_look)


def _control_of(sql: str) -> Text:
    for control, pattern in _CONTROLS:
        if found := pattern.fullmatch(sql):
            name = _unquoted(found["name"]) if "name" in found.groupdict() else ""
            return Text(Kind.CONTROL, control, name)
    return _UNSURE  # SQLite says what is wrong with it


def _unquoted(name: str) -> str:
    """As savepoints are compared: SQLite ignores the case of ASCII letters, and no other."""
    quote = name[0]
    if quote == "[":
        name = name[1:-1]
    elif quote in "\"'`":
        name = name[1:-1].replace(quote * 2, quote)
    return folded(name)
