"""What SQL does, in a few words without a value: its operations and the tables that each names. Pure."""

from __future__ import annotations

import re
from functools import lru_cache, partial

__all__ = ["summary"]

_AT_MOST = 255  # characters, by the convention
_LOOKED_AT = 4_000

# What is left open runs to the end: a text that was cut says nothing of what was in it.
_TOKEN = re.compile(
    r"""--[^\n]* | /\*.*?(?:\*/|\Z) | '(?:[^']|'')*(?:'|\Z)
    | (?P<name> "(?:[^"]|"")*"? | `(?:[^`]|``)*`? | \[[^\]]*\]? )
    | (?P<word> [^\W\d][\w$]* ) | [\d][\w.]* | \S""",
    re.VERBOSE | re.DOTALL,
)
_OPERATIONS = frozenset(
    ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "ALTER", "DROP", "ANALYZE", "REINDEX", "PRAGMA", "EXPLAIN"]
)
#: A table's name comes after these.
_BEFORE = frozenset(["FROM", "JOIN", "INTO", "UPDATE", "TABLE", "INDEX", "TRIGGER", "VIEW"])
#: These may come between.
_BETWEEN = frozenset(["OR", "REPLACE", "ROLLBACK", "ABORT", "FAIL", "IGNORE", "IF", "NOT", "EXISTS"])
#: No table has such a name, unquoted.
_NO_NAMES = frozenset(["SELECT", "VALUES", "SET", "WHERE", "AS", "ON", "WITH"])


def summary(verb: str, subject: object) -> str:
    """As ``INSERT note``; of a function ``write_fn name``; otherwise the verb."""
    if isinstance(subject, str):
        return _of_sql(subject[:_LOOKED_AT]) or verb
    if callable(subject):
        function: object = subject
        while inner := function.func if isinstance(function, partial) else getattr(function, "__wrapped__", None):
            function = inner
        name = str(getattr(function, "__qualname__", None) or type(function).__qualname__)
        return f"{verb} {name}"[:_AT_MOST]
    return verb


@lru_cache(maxsize=512)
def _of_sql(sql: str) -> str:
    parts: list[str] = []
    before = ""  # the word before this one
    expects = ends = False
    for token in _TOKEN.finditer(sql):
        name, word = token["name"], token["word"]
        upper = word.upper() if word else ""
        if token[0][:2] in ("--", "/*"):
            continue
        if expects and (name or (word and upper not in _NO_NAMES and upper not in _BETWEEN)):
            parts.append(token[0])
            expects, ends = False, True
        elif ends and token[0] == ".":
            parts[-1] += "."
            expects = False
        elif parts and parts[-1].endswith(".") and (name or word):
            parts[-1] += token[0]
        else:
            ends = False
            is_clause = (before, upper) in (("DO", "UPDATE"), ("DISTINCT", "FROM"))
            if (upper in _OPERATIONS and not is_clause) or (upper == "REPLACE" and not parts):
                parts.append(upper)
            if upper in _BEFORE and not is_clause:
                expects = bool(parts)
            elif upper not in _BETWEEN:
                expects = False
        before = upper
    text = ""
    for part in parts:
        longer = f"{text} {part}" if text else part
        if len(longer) > _AT_MOST:
            break
        text = longer
    return text
