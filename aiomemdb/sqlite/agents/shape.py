"""What SQLite would make of a text, before it makes it: compiling can't be interrupted, and two kinds of text of a few
hundred bytes would take all memory. Where a WITH table is named twice in the next one, and so on, its SELECT is copied
2, 4, 8, … times. And where a column is used twice in a column of the SELECT around it, and so on, its expression is.

Counted by the text's words alone, and rather too high than too low.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from ..common.names import folded

__all__ = ["Shape", "shape_of", "words_of"]

# https://www.sqlite.org/lang_expr.html; what SQLite can't read is a sign of its own here, and its error there.
_TOKEN = re.compile(
    r"""(?P<space>[ \t\n\f\r\ufeff]+|--[^\n]*|/\*.*?(?:\*/|\Z))
    |(?P<string>'(?:[^']|'')*'?)
    |(?P<name>"(?:[^"]|"")*"?|`(?:[^`]|``)*`?|\[[^\]]*\]?|[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_$\x80-\U0010ffff]*)
    |(?P<variable>[$@:\#](?:[A-Za-z0-9_$\x80-\U0010ffff]|::)*(?:\([^ \t\n\f\r)]*\)?)?)
    |(?P<number>[0-9.][A-Za-z0-9_.]*(?<!\.)|\.)
    |(?P<sign>.)""",
    re.DOTALL | re.VERBOSE,
)
# Those that can be no names: any other is counted as one (https://www.sqlite.org/lang_keywords.html).
_KEYWORDS = frozenset(
    [
        "all",
        "and",
        "as",
        "between",
        "case",
        "collate",
        "distinct",
        "else",
        "escape",
        "exists",
        "from",
        "group",
        "having",
        "in",
        "intersect",
        "except",
        "is",
        "isnull",
        "join",
        "limit",
        "not",
        "notnull",
        "null",
        "on",
        "or",
        "order",
        "select",
        "then",
        "union",
        "using",
        "values",
        "when",
        "where",
    ]
)
_BEGINS = frozenset(["select", "values", "with"])
_BEHIND_FROM = frozenset(["where", "group", "order", "having", "limit", "window", "union", "except", "intersect", "on"])


@dataclass(slots=True)
class _Select:
    """A SELECT with all that UNION and the like join to it.

    Attributes:
        name: of the WITH table that it is, or "".
        columns, widest: the most names in one of its columns; in one expression of any kind.
        refs: names that may be those of tables.
        inner: the SELECTs inside of it.
        joined: the most tables of one FROM.
    """

    name: str = ""
    columns: int = 1
    widest: int = 1
    joined: int = 1
    refs: list[str] = field(default_factory=list)
    inner: list[_Select] = field(default_factory=list)
    run: int = 0
    tables: int = 0
    place: str = "columns"


@dataclass(frozen=True, slots=True)
class Shape:
    """
    Attributes:
        copies: how many SELECTs it is once each WITH table stands where it is named.
        growth: how many names an expression may have once each column is what it stands for.
        joined: the most tables that one FROM names.
        longest: the characters of its longest string.
        repeated: the name of two WITH tables, or None; "with", where that is a name.
        tables: the names of the WITH tables.
    """

    copies: int
    growth: int
    joined: int
    longest: int
    repeated: str | None
    tables: tuple[str, ...]


def words_of(sql: str) -> Iterator[tuple[str, str]]:
    """The kind and text of each word and sign; names without their quotes, and folded."""
    for match in _TOKEN.finditer(sql):
        kind, text = match.lastgroup or "", match[0]
        if kind == "space":
            continue
        if kind == "name":
            if text[0] in '"`[':
                quote = "]" if text[0] == "[" else text[0]
                yield "quoted", folded(text[1:].removesuffix(quote).replace(quote * 2, quote))
            else:
                yield "name", folded(text)
        else:
            yield kind, text


def shape_of(sql: str) -> Shape:
    words = list(words_of(sql))
    top, tables = _Select(), dict[str, _Select]()
    repeated = None
    stack: list[tuple[_Select, bool]] = [(top, True)]  # False: a parenthesis of an expression in it
    longest = max((len(text) for kind, text in words if kind == "string"), default=0)
    for place, (kind, text) in enumerate(words):
        select, is_outermost = stack[-1]
        before = words[place - 1][1] if place else ""
        after = words[place + 1][1] if place + 1 < len(words) else ""
        if text == "(" and kind == "sign":
            if after in _BEGINS and (after != "with" or _is_with(words, place + 1)):
                inner = _Select(_name_of(words, place))
                if inner.name:
                    repeated = inner.name if inner.name in tables else repeated
                    tables[inner.name] = inner
                else:
                    select.inner.append(inner)
                stack.append((inner, True))
            else:
                stack.append((select, False))
        elif text == ")" and kind == "sign":
            if len(stack) > 1:
                stack.pop()
        elif text == "," and kind == "sign":
            if is_outermost:
                select.run = 0
            if select.place == "from" or (select.place == "on" and is_outermost):
                select.place = "from"
                _join(select)
        elif kind == "name" and text in _KEYWORDS:
            _turn(select, text, is_outermost=is_outermost)
        elif kind in ("name", "quoted", "string") and after != "." and before != "as":
            if before != ".":
                select.refs.append(folded(text.strip("'")) if kind == "string" else text)
            if kind != "string" and after != "(":
                _count(select)
    if any(word == ("name", "with") and not _is_with(words, place) for place, word in enumerate(words)):
        repeated = "with"
    counted = dict[int, tuple[int, int]]()
    copies, _ = _weigh(top, tables, counted, frozenset())
    everything = [top, *tables.values()]
    for each in everything:
        everything += each.inner
    below = [(each.widest, _below(each, tables, counted)) for each in everything]
    growth = max(widest * inner if inner > 1 else 1 for widest, inner in below)
    return Shape(copies, growth, max(each.joined for each in everything), longest, repeated, tuple(tables))


def _is_with(words: list[tuple[str, str]], place: int) -> bool:
    """Whether a WITH clause begins here, and not an expression in which "with" is a name."""
    if place > 0 and words[place - 1][1] != "(" and words[place - 1][1] != ";":
        return False
    rest = words[place + 1 :]
    if rest[:1] == [("name", "recursive")] and rest[1:2] not in ([("sign", "(")], [("name", "as")]):
        rest = rest[1:]
    if not rest or rest[0][0] not in ("name", "quoted", "string") or rest[0] in [("name", word) for word in _KEYWORDS]:
        return False
    behind = 1
    if rest[1:2] == [("sign", "(")]:
        while behind < len(rest) and rest[behind] != ("sign", ")"):
            behind += 1
        behind += 1
    return rest[behind : behind + 1] == [("name", "as")]


def _turn(select: _Select, keyword: str, *, is_outermost: bool) -> None:
    """A keyword; those of clauses count where they are of the SELECT itself."""
    if keyword == "join":
        select.place = "from"
        _join(select)
    if not is_outermost:
        return
    if keyword == "select":
        select.place, select.run = "columns", 0
    elif keyword == "from":
        select.place, select.run, select.tables = "from", 0, 1
    elif keyword in _BEHIND_FROM:
        select.place, select.run = ("on" if keyword == "on" else "behind"), 0


def _join(select: _Select) -> None:
    select.tables += 1
    select.joined = max(select.joined, select.tables)


def _count(select: _Select) -> None:
    select.run += 1
    select.widest = max(select.widest, select.run)
    if select.place == "columns":
        select.columns = max(select.columns, select.run)


def _name_of(words: list[tuple[str, str]], place: int) -> str:
    """The name of the WITH table that has its SELECT in this parenthesis, or ""."""
    place -= 1
    while place >= 0 and words[place] in (("name", "materialized"), ("name", "not")):
        place -= 1
    if place < 1 or words[place] != ("name", "as"):
        return ""
    place -= 1
    if words[place][1] == ")":
        while place > 0 and words[place][1] != "(":
            place -= 1
        place -= 1
    kind, text = words[place]
    return folded(text.strip("'")) if kind == "string" else text


def _used(select: _Select, tables: dict[str, _Select]) -> list[_Select]:
    return [*select.inner, *(tables[name] for name in select.refs if name in tables)]


def _weigh(
    select: _Select, tables: dict[str, _Select], counted: dict[int, tuple[int, int]], inside: frozenset[int]
) -> tuple[int, int]:
    """(copies, growth of a column). A table that names itself is one."""
    known = counted.get(id(select))
    if known is not None:
        return known
    inside |= {id(select)}
    below = [_weigh(each, tables, counted, inside) for each in _used(select, tables) if id(each) not in inside]
    weighed = 1 + sum(copies for copies, _ in below), select.columns * max((growth for _, growth in below), default=1)
    counted[id(select)] = weighed
    return weighed


def _below(select: _Select, tables: dict[str, _Select], counted: dict[int, tuple[int, int]]) -> int:
    below = [_weigh(each, tables, counted, frozenset([id(select)])) for each in _used(select, tables)]
    return max((growth for _, growth in below), default=1)
