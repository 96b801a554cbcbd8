"""What an agent may see: a scope."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ..common.names import folded
from ..connection.guarded import GuardedConnection
from .policy import FUNCTIONS, SEARCHING

__all__ = ["Readable", "Scope", "tables_scope"]

#: A function that agents may call: from the connection, past its guard, and one text.
Search = Callable[[sqlite3.Connection, str], str]


@dataclass(frozen=True, slots=True)
class Readable:
    """What may be read in one state of the file.

    Attributes:
        tables: names, as SQLite folds them (names.py).
        fulltext: those of them that are FTS5's.
        inner: the tables in which these keep their rows.
        views: views to be made for the query: name, and SELECT.
        base: the tables that these read, and nothing else of the query may.
        functions: those that may be called.
    """

    tables: frozenset[str]
    fulltext: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()
    views: tuple[tuple[str, str], ...] = ()
    base: frozenset[str] = frozenset()
    functions: frozenset[str] = FUNCTIONS


@dataclass(frozen=True, slots=True)
class Scope:
    """
    Attributes:
        read: what may be read, in the present state of the file; it runs past the guard. Raises: ValueError.
        searches: functions that the connection has for the query.
    """

    read: Callable[[GuardedConnection], Readable]
    searches: Mapping[str, Search] = field(default_factory=dict)


# The memory's tables, where the file has them: they are of all namespaces.
_MEMORY = frozenset(
    ["entity", "entity_alias", "entity_similar", "episode", "fact", "fact_evidence", "mention", "vector"]
)
_MEMORYS = re.compile(r"memory_|vector_model$|(entity|episode|fact)_(words|search)")
_OURS = re.compile(r"sqlite_|aiomemdb_")
_FTS5 = re.compile(r"\busing\s+[\"'`\[]?fts5\b", re.IGNORECASE)


def tables_scope(wanted: Iterable[str] | None) -> Scope:
    """The tables and views of the file except the library's own; of these, those ``wanted``.

    Raises: TypeError.
    """
    if isinstance(wanted, str):
        raise TypeError("tables must be several: tables=[...]")
    names = None if wanted is None else tuple(wanted)
    if not all(isinstance(name, str) for name in names or ()):
        raise TypeError(f"tables={names!r}: names")

    def read(raw: GuardedConnection) -> Readable:
        # The statement, for a table of the user's may have the name of the function.
        listed = [(folded(name), kind) for schema, name, kind, *_ in raw.own("PRAGMA table_list") if schema == "main"]
        made = raw.own("SELECT name, sql FROM sqlite_schema WHERE type = 'table'")
        texts = {folded(name): sql for name, sql in made}
        has_memory = "memory_migration" in texts
        usable, fulltext, inner = set[str](), set[str](), set[str]()
        for name, kind in listed:
            is_fulltext = kind == "virtual" and _FTS5.search(texts.get(name) or "") is not None
            if _OURS.match(name) or (has_memory and (name in _MEMORY or _MEMORYS.match(name))):
                continue
            if kind == "shadow":
                inner.add(name)
            elif kind != "virtual" or is_fulltext:
                usable.add(name)
                if is_fulltext:
                    fulltext.add(name)
        if names is not None:
            chosen = {folded(name) for name in names}
            if unknown := sorted(chosen - usable):
                raise ValueError(f"tables={names!r}: there is no table {', '.join(unknown)} that agents may read")
            usable &= chosen
            fulltext &= chosen
        own = {name for name in inner if any(name.startswith(f"{table}_") for table in fulltext)}
        return Readable(frozenset(usable), frozenset(fulltext), frozenset(own), functions=FUNCTIONS | SEARCHING)

    return Scope(read)
