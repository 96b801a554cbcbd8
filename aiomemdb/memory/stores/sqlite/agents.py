"""What an agent sees of a memory when it asks in SQL: views of the namespaces that it may read.

Two walls stand in each view. Its WHERE lets rows of these namespaces through. And each column except the row's id is a
CASE that has a value in these namespaces alone: SQLite may put an agent's conditions before the view's, and they could
say by an error, or by the time that they take, what is in a row that never comes out.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from functools import partial

from ....sqlite.agents.policy import FUNCTIONS
from ....sqlite.agents.scope import Readable, Scope
from ....sqlite.connection.guarded import GuardedConnection
from ...words import asked, counted
from .indexing import unindexed
from .rows import json_list
from .search import string

__all__ = ["agent_scope"]

_MOST_FOUND = 200
_MOST_WORDS = 32
_BASE = frozenset(["entity", "entity_alias", "episode", "fact", "fact_evidence"])


def agent_scope(namespaces: Sequence[str]) -> Scope:
    return Scope(
        partial(_readable, namespaces),
        {
            "search_facts": partial(_search, namespaces, "fact"),
            "search_episodes": partial(_search, namespaces, "episode"),
        },
    )


def _spaces(conn: sqlite3.Connection, namespaces: Sequence[str]) -> list[tuple[int, str]]:
    rows = conn.execute(
        "SELECT id, name FROM memory_namespace WHERE name IN (SELECT value FROM json_each(?)) ORDER BY id",
        (json_list(namespaces),),
    ).fetchall()
    return [(row[0], row[1]) for row in rows]


def _ids(spaces: Sequence[tuple[int, str]]) -> str:
    """For ``IN (...)``; none is -1: an empty list would be no condition on the column."""
    return ", ".join(str(id) for id, _ in spaces) or "-1"


def _readable(namespaces: Sequence[str], raw: GuardedConnection) -> Readable:
    views = tuple(_views(_spaces(raw, namespaces)))
    return Readable(
        frozenset(name for name, _ in views),
        views=views,
        base=_BASE,
        functions=FUNCTIONS | {"search_facts", "search_episodes"},
    )


def _time(column: str) -> str:
    """A time that SQLite's functions of time understand."""
    return f"strftime('%Y-%m-%d %H:%M:%S', {column} / 1000000, 'unixepoch')"


_NAME_OF = "(SELECT o.name FROM main.entity o WHERE o.id = {id} AND o.namespace = {row}.namespace)"
_FACT = {
    "id": "f.id",
    "namespace": "{space}",
    "subject": _NAME_OF.format(id="f.subject", row="f"),
    "subject_id": "f.subject",
    "predicate": "ifnull(f.predicate_given, f.predicate)",
    "object": _NAME_OF.format(id="f.object", row="f"),
    "object_id": "f.object",
    "value": "ifnull(f.value_given, f.value)",
    "text": "f.text",
    "valid_at": _time("f.valid_at"),
    "invalid_at": _time("f.invalid_at"),
    "created_at": _time("f.created_at"),
    "agent": "f.agent",
}
# By view: its table, as the letter that its columns have; which of the rows; its columns.
_VIEWS = {
    "entities": (
        "entity e",
        "e.merged_into IS NULL",
        {
            "id": "e.id",
            "namespace": "{space}",
            "name": "e.name",
            "type": "e.type",
            "description": "e.description",
            "attributes": "e.attributes",
            "created_at": _time("e.created_at"),
            "agent": "e.agent",
        },
    ),
    "aliases": (
        "entity_alias a",
        "1",
        {
            "namespace": "{space}",
            "alias": "a.key",
            "entity_id": "a.entity",
            "entity": _NAME_OF.format(id="a.entity", row="a"),
        },
    ),
    "facts": ("fact f", "f.expired_at IS NULL", _FACT),
    "fact_history": (
        "fact f",
        "1",
        {**_FACT, "expired_at": _time("f.expired_at"), "superseded_by": "f.superseded_by"},
    ),
    "episodes": (
        "episode p",
        "p.expired_at IS NULL",
        {
            "id": "p.id",
            "namespace": "{space}",
            "key": "p.key",
            "version": "p.version",
            "session": "p.session",
            "seq": "p.seq",
            "source": "p.source",
            "content": "p.content",
            "metadata": "p.metadata",
            "occurred_at": _time("p.occurred_at"),
            "created_at": _time("p.created_at"),
            "agent": "p.agent",
        },
    ),
}
# Evidence is of its fact's namespace. What a text said that has been replaced is not said.
_EVIDENCE = {
    "fact_id": "v.fact",
    "episode_id": "v.episode",
    "quote": "v.quote",
    "confidence": "v.confidence",
    "created_at": _time("v.created_at"),
    "agent": "v.agent",
}


def _views(spaces: Sequence[tuple[int, str]]) -> list[tuple[str, str]]:
    ids = _ids(spaces)
    views = []
    for view, (source, which, columns) in _VIEWS.items():
        letter = source.split()[1]
        here = f"{letter}.namespace IN ({ids})"
        names = "".join(f" WHEN {id} THEN {_literal(name)}" for id, name in spaces)
        space = f"CASE {letter}.namespace{names} END" if names else "NULL"
        # A retired row's values are behind the same wall.
        selected = _guarded(
            {name: column.format(space=space) for name, column in columns.items()}, f"{here} AND {which}"
        )
        views.append((view, f"SELECT {selected} FROM main.{source} WHERE {here} AND {which}"))
    here = (
        f"(SELECT f.namespace FROM main.fact f WHERE f.id = v.fact) IN ({ids}) AND (v.episode IS NULL OR EXISTS "
        f"(SELECT 1 FROM main.episode p WHERE p.id = v.episode AND p.namespace IN ({ids}) AND p.expired_at IS NULL))"
    )
    views.append(("evidence", f"SELECT {_guarded(_EVIDENCE, here)} FROM main.fact_evidence v WHERE {here}"))
    return views


def _guarded(columns: dict[str, str], here: str) -> str:
    # The row's own id stands bare, so that views are joined by it: it says that there is a row, and no more.
    return ", ".join(
        f"{column} AS id" if name == "id" else f"CASE WHEN {here} THEN {column} END AS {name}"
        for name, column in columns.items()
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _search(namespaces: Sequence[str], kind: str, conn: sqlite3.Connection, words: str) -> str:
    """The ids of those in which most of the words are, the newest first, as JSON.

    Nothing here ranks by how rare a word is: that would be told by what stands in other namespaces.
    """
    ids = _ids(_spaces(conn, namespaces))
    sought = [string(word) for word in counted(asked(words))[:_MOST_WORDS]]
    if not sought:
        return "[]"
    indexes = [f"{kind}_search", *([f"{kind}_words"] if kind in unindexed(conn) else [])]
    found = " UNION ALL ".join(
        f"SELECT t.id FROM {index} w CROSS JOIN {kind} t ON t.id = w.rowid "
        f"WHERE {index} MATCH ? AND t.namespace IN ({ids}) AND t.expired_at IS NULL"
        for index in indexes
        for _ in sought
    )
    rows = conn.execute(
        f"SELECT id FROM ({found}) GROUP BY id ORDER BY count(*) DESC, id DESC LIMIT {_MOST_FOUND}",
        sought * len(indexes),
    ).fetchall()
    return json.dumps([row[0] for row in rows])
