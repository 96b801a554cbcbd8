"""The word indexes: what they get of a row, and how rows of an earlier version of the schema get into them.

A row without ``terms`` is still in the index of that version, ``<table>_words``. It moves when it is given terms: as it
changes, or in a slice. The last slice drops that index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable

from ..indexed import Indexed, of_entity, of_episode, of_fact
from .setwise import apply, load

__all__ = ["KINDS", "begin", "index_slice", "reindex", "unindexed"]

KINDS = ("entity", "episode", "fact")
# The keys in memory_meta of the greatest ids that may be without terms.
_LEFT = {kind: f"unindexed {kind}" for kind in KINDS}
_UNINDEXED = f"SELECT key FROM memory_meta WHERE key IN ({', '.join('?' * len(KINDS))})"
# Rows that one job indexes anew: some milliseconds, so that other writers get their turns.
_SLICE = 100


def _of_fact_row(text: str, value: str | None, quotes: list[str] | str) -> Indexed:
    return of_fact(text, value, json.loads(quotes) if isinstance(quotes, str) else quotes)


_QUOTES = "(SELECT json_group_array(v.quote) FROM fact_evidence v WHERE v.fact = t.id AND v.quote IS NOT NULL)"
_COLUMNS: dict[str, tuple[str, Callable[..., Indexed]]] = {
    "entity": ("t.name, t.description, t.other_names", of_entity),
    "episode": ("t.content, t.occurred_at, t.occurred_offset", of_episode),
    "fact": (f"t.text, t.value, {_QUOTES}", _of_fact_row),
}


def reindex(conn: sqlite3.Connection, kind: str, ids: Iterable[int]) -> None:
    """Bring the indexes up to date with rows that have changed."""
    columns, of = _COLUMNS[kind]
    listed = [(id,) for id in dict.fromkeys(ids)]
    rows = load(conn, f"t.id, {columns}", f"{{rows}} r CROSS JOIN {kind} t ON t.id = r.id", {}, "id", listed)
    apply(
        conn,
        f"UPDATE {kind} SET form = r.form, terms = r.terms FROM {{rows}} r WHERE {kind}.id = r.id",
        "id form terms",
        [(id, *of(*values)) for id, *values in rows],
    )


def begin(conn: sqlite3.Connection) -> None:
    """Note which rows are to be indexed; a new file has none."""
    for kind in KINDS:
        [last] = conn.execute(f"SELECT max(id) FROM {kind} WHERE terms IS NULL").fetchone()
        if last is None:
            _drop(conn, kind)
        else:
            conn.execute("INSERT INTO memory_meta VALUES (?, ?)", (_LEFT[kind], str(last)))


def unindexed(conn: sqlite3.Connection) -> list[str]:
    """The kinds that still have rows in the index of an earlier version."""
    left = {row[0] for row in conn.execute(_UNINDEXED, tuple(_LEFT.values())).fetchall()}
    return [kind for kind in KINDS if _LEFT[kind] in left]


def index_slice(conn: sqlite3.Connection) -> bool:
    """Index the next rows, from the newest on; return whether there may be more."""
    for kind in unindexed(conn):
        ids: str
        [ids] = conn.execute(
            f"SELECT json_group_array(id) FROM (SELECT id FROM {kind} WHERE terms IS NULL AND id <= "
            "(SELECT CAST(value AS INTEGER) FROM memory_meta WHERE key = :left) ORDER BY id DESC LIMIT :slice)",
            {"left": _LEFT[kind], "slice": _SLICE},
        ).fetchone()
        if ids != "[]":
            listed: list[int] = json.loads(ids)
            reindex(conn, kind, listed)
            conn.execute("UPDATE memory_meta SET value = ? WHERE key = ?", (str(min(listed) - 1), _LEFT[kind]))
            return True
        conn.execute("DELETE FROM memory_meta WHERE key = ?", (_LEFT[kind],))
        _drop(conn, kind)
    return False


def _drop(conn: sqlite3.Connection, kind: str) -> None:
    for trigger in ("delete", "update"):
        conn.execute(f"DROP TRIGGER {kind}_words_{trigger}")
    conn.execute(f"DROP TABLE {kind}_words")
