"""Forgetting: the one thing that deletes. The audit keeps operation, kind and id, never content.

1. One job hides what is forgotten: it moves to a namespace that has no name, which no question finds.
2. Further jobs delete that namespace's rows in slices, and at last the namespace. After a crash the next process that
   opens the file goes on.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from ....errors import NotFound
from ...searching import Kind
from ...store import Scope
from ...values import Forgotten
from .rows import json_list
from .work import Work, namespace_id

__all__ = ["delete_slice", "forget", "forgotten_namespaces", "hide_namespace"]

# Rows that one job deletes: some milliseconds, so that other writers get their turns.
_SLICE = 500
_LISTED = "(SELECT value FROM json_each(:ids))"


def forget(conn: sqlite3.Connection, scope: Scope, kind: Kind, ref: int) -> tuple[Forgotten, int | None]:
    """Hide an entity, a fact or a text with what goes along, and delete a first slice.

    Returns: how many rows went, and the namespace in which the others wait, or None.
    """
    work = Work(conn, scope)
    forgetting = _Hiding(work)
    if kind == "entity":
        forgetting.entity(work.root(ref))
    elif kind == "episode":
        forgetting.episodes(_versions(work, ref))
    else:
        row = conn.execute("SELECT namespace FROM fact WHERE id = ?", (ref,)).fetchone()
        if row is None or row[0] != work.namespace:
            raise NotFound(f"no fact {ref} in namespace {work.scope.namespace!r}")
        forgetting.facts("SELECT :fact", fact=ref)
        forgetting.let_be_stated_anew()
    work.finish()
    forgotten, done = delete_slice(conn, forgetting.hidden)
    forgotten += Forgotten(**forgetting.counts)
    return forgotten, None if done else forgetting.hidden


def _part(hidden: int) -> str:
    """The key in memory_meta of a hidden namespace that is a part of another: [the other one's id, who forgot it]."""
    return f"forgotten {hidden}"


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


class _Hiding:
    """Moves rows to a namespace without a name. Deletes at once only what would be found there all the same."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self.counts: Counter[str] = Counter()
        hidden = work.conn.execute("INSERT INTO memory_namespace (name) VALUES (NULL)").lastrowid
        assert hidden is not None
        self.hidden: int = hidden
        work.conn.execute(
            "INSERT INTO memory_meta VALUES (?, ?)", (_part(hidden), json.dumps([work.namespace, work.agent]))
        )

    def execute(self, sql: str, **params: object) -> int:
        here = {"hidden": self.hidden, "namespace": self.work.namespace, "at": self.work.at, "event": self.work.event}
        return self.work.conn.execute(sql, {**here, **params}).rowcount

    def entity(self, id: int) -> None:
        # Facts and names that were hidden before, and still wait, are hidden with it now.
        self.facts(
            "SELECT id FROM fact WHERE subject = :entity UNION SELECT id FROM fact WHERE object = :entity", entity=id
        )
        self.counts["aliases"] += self.execute("DELETE FROM entity_alias WHERE entity = :entity", entity=id)
        self.execute("UPDATE entity SET namespace = :hidden WHERE id = :entity OR merged_into = :entity", entity=id)
        self.leave("entity", [id])

    def episodes(self, ids: list[int]) -> None:
        """With the evidence that they gave, and the facts left without any."""
        listed = json_list(ids)
        self.facts(
            f"SELECT v.fact FROM fact_evidence v WHERE v.episode IN {_LISTED} AND NOT EXISTS ("
            f"SELECT 1 FROM fact_evidence o WHERE o.fact = v.fact AND ifnull(o.episode, 0) NOT IN {_LISTED})",
            ids=listed,
        )
        self.let_be_stated_anew()
        self.counts["evidence"] += self.execute(
            "DELETE FROM fact_evidence WHERE id IN ("
            "SELECT v.id FROM fact_evidence v JOIN fact f ON f.id = v.fact "
            f"WHERE v.episode IN {_LISTED} AND f.namespace <> :hidden)",
            ids=listed,
        )
        self.execute(f"UPDATE episode SET namespace = :hidden WHERE id IN {_LISTED}", ids=listed)
        self.leave("episode", ids)

    def facts(self, chosen: str, **params: object) -> None:
        self.execute(f"UPDATE fact SET namespace = :hidden WHERE id IN ({chosen})", **params)
        self.execute(
            "UPDATE memory_event SET reason = NULL WHERE namespace = :namespace AND reason IS NOT NULL "
            "AND kind = 'fact' AND +ref IN (SELECT id FROM fact WHERE namespace = :hidden)"
        )

    def let_be_stated_anew(self) -> None:
        """While they wait: no two believed facts are the same. Of an entity that is hidden there are no others."""
        self.execute(
            "UPDATE fact SET expired_at = :at, expired_event = :event WHERE namespace = :hidden AND expired_at IS NULL"
        )

    def leave(self, kind: Kind, ids: list[int]) -> None:
        """Nothing but lines of the audit, and these without reasons, which are words."""
        self.work.drop_vectors(kind, ids)
        self.execute(
            f"UPDATE memory_event SET reason = NULL WHERE ref IN {_LISTED} AND kind = :kind AND reason IS NOT NULL",
            ids=json_list(ids),
            kind=kind,
        )
        for id in ids:
            self.work.note("forget", kind, id)


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
    """Those with rows that were not deleted yet, perhaps by a process that died."""
    return [row[0] for row in conn.execute("SELECT id FROM memory_namespace WHERE name IS NULL").fetchall()]


def delete_slice(conn: sqlite3.Connection, namespace: int) -> tuple[Forgotten, bool]:
    """Deletes a slice of a hidden namespace; whether nothing of it is left."""
    row = conn.execute("SELECT value FROM memory_meta WHERE key = ?", (_part(namespace),)).fetchone()
    part = None
    if row is not None:
        of, agent = json.loads(row[0])
        part = Work(conn, Scope("", agent), of)
    piece = _Slice(conn, part)
    done = piece.namespace(namespace)
    if part is not None:
        part.finish()
    if done:
        conn.execute("DELETE FROM memory_meta WHERE key = ?", (_part(namespace),))
        conn.execute("DELETE FROM memory_namespace WHERE id = ?", (namespace,))
    return Forgotten(**piece.counts), done


class _Slice:
    """Deletes rows, and first what refers to them, until none is left or there were enough for one job.

    Each method returns whether none is left.

    Args:
        part: of what the namespace is a part. The audit has a line for each fact of it; a namespace forgotten as a
            whole has a single one.
    """

    def __init__(self, conn: sqlite3.Connection, part: Work | None) -> None:
        self.conn = conn
        self.part = part
        self.left = _SLICE
        self.counts: Counter[str] = Counter()

    def namespace(self, id: int) -> bool:
        of = "namespace = :id"
        return (
            self.rows(None, "vector", of, id=id)
            and self.facts(of, id=id)
            and self.episodes(of, id=id)
            and self.entities(of, id=id)
        )

    def facts(self, where: str, **params: object) -> bool:
        while listed := self.some("fact", where, **params):
            if not self.rows("evidence", "fact_evidence", f"fact IN {_LISTED}", ids=listed):
                return False
            if self.part is not None:
                ids: list[int] = json.loads(listed)
                self.part.drop_vectors("fact", ids)
                for id in ids:
                    self.part.note("forget", "fact", id)
            self.rows("facts", "fact", f"id IN {_LISTED}", ids=listed)
        return self.left > 0

    def episodes(self, where: str, **params: object) -> bool:
        theirs = f"episode IN {_LISTED}"
        while listed := self.some("episode", where, **params):
            # The evidence is that of facts which were hidden before.
            if not self.rows("evidence", "fact_evidence", theirs, ids=listed):
                return False
            if not self.rows("mentions", "mention", theirs, key="entity, episode", ids=listed):
                return False
            self.rows("episodes", "episode", f"id IN {_LISTED}", ids=listed)
        return self.left > 0

    def entities(self, where: str, **params: object) -> bool:
        while listed := self.some("entity", where, **params):
            if not (
                # Facts that were hidden before.
                self.facts(f"subject IN {_LISTED}", ids=listed)
                and self.facts(f"object IN {_LISTED}", ids=listed)
                and self.rows("mentions", "mention", f"entity IN {_LISTED}", key="entity, episode", ids=listed)
                and self.rows(
                    "aliases", "entity_alias", f"entity IN {_LISTED}", key="entity, namespace, key, type", ids=listed
                )
                and self.rows(None, "entity_similar", f"a IN {_LISTED}", key="a, b", ids=listed)
                and self.rows(None, "entity_similar", f"b IN {_LISTED}", key="a, b", ids=listed)
                and self.rows("entities", "entity", f"merged_into IN {_LISTED}", ids=listed)
            ):
                return False
            self.rows("entities", "entity", f"id IN {_LISTED}", ids=listed)
        return self.left > 0

    def some(self, table: str, where: str, **params: object) -> str | None:
        """The ids of the next rows as JSON, None where there are none."""
        sql = f"SELECT json_group_array(id) FROM (SELECT id FROM {table} WHERE {where} LIMIT :left)"
        [ids] = self.conn.execute(sql, {"left": self.left, **params}).fetchone()
        return None if ids == "[]" else ids

    def rows(self, counted: str | None, table: str, where: str, *, key: str = "rowid", **params: object) -> bool:
        deleted = self.conn.execute(
            f"DELETE FROM {table} WHERE ({key}) IN (SELECT {key} FROM {table} WHERE {where} LIMIT :left)",
            {"left": self.left, **params},
        ).rowcount
        self.left -= deleted
        if counted is not None:
            self.counts[counted] += deleted
        return self.left > 0
