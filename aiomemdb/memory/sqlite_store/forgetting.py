"""Forgetting: the one thing that deletes. The audit keeps operation, kind and id, never content."""

from __future__ import annotations

import sqlite3
from collections import Counter

from ...errors import NotFound
from ..searching import Kind
from ..store import Scope
from ..values import Forgotten
from .rows import json_list
from .work import Work, namespace_id

__all__ = ["delete_slice", "forget", "forgotten_namespaces", "hide_namespace"]

# Rows that one job deletes of a forgotten namespace, and what belongs to them: some milliseconds, so that other
# writers get their turns.
_SLICE = 200


class _Forgetting:
    def __init__(self, work: Work) -> None:
        self.work = work
        self.conn = work.conn
        self.counts: Counter[str] = Counter()

    def delete(self, count: str | None, sql: str, *params: object) -> None:
        changed = self.conn.execute(f"DELETE FROM {sql}", params).rowcount
        if count is not None:
            self.counts[count] += changed

    def facts(self, ids: list[int]) -> None:
        chosen = json_list(ids)
        self.delete("evidence", "fact_evidence WHERE fact IN (SELECT value FROM json_each(?))", chosen)
        self.delete("facts", "fact WHERE id IN (SELECT value FROM json_each(?))", chosen)
        self.leave("fact", ids)

    def entities(self, ids: list[int]) -> None:
        chosen = json_list(ids)
        these = "IN (SELECT value FROM json_each(?))"
        facts = self.conn.execute(
            f"SELECT id FROM fact WHERE subject {these} UNION SELECT id FROM fact WHERE object {these}",
            (chosen, chosen),
        ).fetchall()
        self.facts([row[0] for row in facts])
        self.delete("aliases", f"entity_alias WHERE entity {these}", chosen)
        self.delete("mentions", f"mention WHERE entity {these}", chosen)
        self.delete(None, f"entity_similar WHERE a {these}", chosen)
        self.delete(None, f"entity_similar WHERE b {these}", chosen)
        self.delete("entities", f"entity WHERE merged_into {these}", chosen)
        self.delete("entities", f"entity WHERE id {these}", chosen)
        self.leave("entity", ids)

    def episodes(self, ids: list[int]) -> None:
        """With the evidence that they gave, and the facts left without any."""
        chosen = json_list(ids)
        these = "IN (SELECT value FROM json_each(?))"
        touched = self.conn.execute(
            f"SELECT DISTINCT fact FROM fact_evidence WHERE episode {these}", (chosen,)
        ).fetchall()
        self.delete("evidence", f"fact_evidence WHERE episode {these}", chosen)
        unfounded = self.conn.execute(
            "SELECT value FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM fact_evidence WHERE fact = value)",
            (json_list([row[0] for row in touched]),),
        ).fetchall()
        self.facts([row[0] for row in unfounded])
        self.delete("mentions", f"mention WHERE episode {these}", chosen)
        self.delete("episodes", f"episode WHERE id {these}", chosen)
        self.leave("episode", ids)

    def leave(self, kind: Kind, ids: list[int]) -> None:
        """Nothing but lines of the audit, and these without reasons, which are words."""
        self.work.drop_vectors(kind, ids)
        self.conn.execute(
            "UPDATE memory_event SET reason = NULL WHERE ref IN (SELECT value FROM json_each(?)) AND kind = ? "
            "AND reason IS NOT NULL",
            (json_list(ids), kind),
        )
        for id in ids:
            self.work.note("forget", kind, id)


def forget(conn: sqlite3.Connection, scope: Scope, kind: Kind, ref: int) -> Forgotten:
    work = Work(conn, scope)
    forgetting = _Forgetting(work)
    if kind == "entity":
        forgetting.entities([work.root(ref)])
    elif kind == "episode":
        forgetting.episodes(_versions(work, ref))
    else:
        row = conn.execute("SELECT namespace FROM fact WHERE id = ?", (ref,)).fetchone()
        if row is None or row[0] != work.namespace:
            raise NotFound(f"no fact {ref} in namespace {work.scope.namespace!r}")
        forgetting.facts([ref])
    work.finish()
    return Forgotten(**forgetting.counts)


def _versions(work: Work, episode: int) -> list[int]:
    """An episode and all other versions of it, which say much the same."""
    row = work.conn.execute("SELECT namespace, key FROM episode WHERE id = ?", (episode,)).fetchone()
    if row is None or row["namespace"] != work.namespace:
        raise NotFound(f"no episode {episode} in namespace {work.scope.namespace!r}")
    if row["key"] is None:
        return [episode]
    rows = work.conn.execute(
        "SELECT id FROM episode WHERE namespace = ? AND key = ?", (work.namespace, row["key"])
    ).fetchall()
    return [row[0] for row in rows]


def hide_namespace(conn: sqlite3.Connection, scope: Scope) -> int | None:
    """Takes its name from a namespace, so that nothing finds it; gives its id, None where there is none."""
    id = namespace_id(conn, scope.namespace)
    if id is None:
        return None
    work = Work(conn, scope)
    work.note("forget", "namespace", id)
    work.finish()
    conn.execute("UPDATE memory_namespace SET name = NULL WHERE id = ?", (id,))
    conn.execute("UPDATE memory_event SET reason = NULL WHERE namespace = ? AND reason IS NOT NULL", (id,))
    return id


def forgotten_namespaces(conn: sqlite3.Connection) -> list[int]:
    """Those whose rows were not all deleted yet, perhaps by a process that died."""
    return [row[0] for row in conn.execute("SELECT id FROM memory_namespace WHERE name IS NULL").fetchall()]


_LISTED = "(SELECT value FROM json_each(?))"
# In the order in which foreign keys allow: whose rows, and first what belongs to each, by an index: (counted, what).
_OF_NAMESPACE: tuple[tuple[str, str, tuple[tuple[str | None, str], ...]], ...] = (
    ("vector", "TRUE", ()),
    ("fact", "TRUE", (("evidence", f"fact_evidence WHERE fact IN {_LISTED}"),)),
    ("episode", "TRUE", (("mentions", f"mention WHERE episode IN {_LISTED}"),)),
    ("entity", "merged_into IS NOT NULL", ()),
    (
        "entity",
        "TRUE",
        (
            ("aliases", f"entity_alias WHERE entity IN {_LISTED}"),
            (None, f"entity_similar WHERE a IN {_LISTED}"),
            (None, f"entity_similar WHERE b IN {_LISTED}"),
        ),
    ),
)
_COUNTED = {"fact": "facts", "episode": "episodes", "entity": "entities"}


def delete_slice(conn: sqlite3.Connection, namespace: int) -> tuple[Forgotten, bool]:
    """Deletes a slice of a forgotten namespace; whether nothing of it is left."""
    counts: Counter[str] = Counter()
    for table, where, belongings in _OF_NAMESPACE:
        rows = conn.execute(
            f"SELECT id FROM {table} WHERE namespace = ? AND {where} LIMIT ?", (namespace, _SLICE)
        ).fetchall()
        if not rows:
            continue
        ids = json_list(row[0] for row in rows)
        for counted, what in belongings:
            deleted = conn.execute(f"DELETE FROM {what}", (ids,)).rowcount
            if counted is not None:
                counts[counted] += deleted
        deleted = conn.execute(f"DELETE FROM {table} WHERE id IN {_LISTED}", (ids,)).rowcount
        if table in _COUNTED:
            counts[_COUNTED[table]] += deleted
        return Forgotten(**counts), False
    conn.execute("DELETE FROM memory_namespace WHERE id = ?", (namespace,))
    return Forgotten(**counts), True
