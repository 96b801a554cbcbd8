"""Forgetting, in two steps. The audit keeps operation, kind and id, never content.

1. One job hides what is forgotten: it moves to a namespace that has no name, which no question finds.
2. Further jobs delete that namespace's rows in slices, and at last the namespace. After a crash the next process that
   opens the file goes on.
"""

from __future__ import annotations

import json
import sqlite3
from collections import Counter

from ...deciding.moment import Moment, moment_of
from ...deciding.requests import Beginning, Changes, FactsOnlyBy, FactsWith, Hide, HideNamespace, Versions
from ...drafts import Scope
from ...values import Forgotten
from .applying import write_changes
from .indexing import reindex
from .loading import World, load_state
from .rows import json_list

__all__ = [
    "delete_slice",
    "forgotten_namespaces",
    "hide",
    "hide_namespace",
    "load_facts_only_by",
    "load_facts_with",
    "load_versions",
]

# Rows that one job deletes: some milliseconds, so that other writers get their turns.
_SLICE = 500
_LISTED = "(SELECT value FROM json_each(:ids))"


def load_versions(world: World, request: Versions) -> list[int]:
    rows = world.conn.execute(
        "SELECT o.id FROM episode p JOIN memory_namespace n ON n.id = p.namespace AND n.name = ? "
        "JOIN episode o ON o.id = p.id OR (o.namespace = p.namespace AND o.key = p.key) WHERE p.id = ? ORDER BY o.id",
        (request.namespace, request.episode),
    ).fetchall()
    return [row[0] for row in rows]


def load_facts_only_by(world: World, request: FactsOnlyBy) -> list[int]:
    return _ids(
        world.conn,
        f"SELECT DISTINCT v.fact AS id FROM fact_evidence v WHERE v.episode IN {_LISTED} AND NOT EXISTS ("
        f"SELECT 1 FROM fact_evidence o WHERE o.fact = v.fact AND ifnull(o.episode, 0) NOT IN {_LISTED})",
        ids=json_list(request.episodes),
    )


def load_facts_with(world: World, request: FactsWith) -> list[int]:
    """Facts that were hidden before, and still wait, are hidden with it now."""
    which = " AND expired_at IS NULL" if request.believed else ""
    return _ids(
        world.conn,
        f"SELECT id FROM fact WHERE subject IN {_LISTED}{which} UNION SELECT id FROM fact WHERE object IN {_LISTED}"
        f"{which} ORDER BY id",
        ids=json_list(request.entities),
    )


def _ids(conn: sqlite3.Connection, sql: str, **params: object) -> list[int]:
    [ids] = conn.execute(f"SELECT json_group_array(id) FROM ({sql})", params).fetchone()
    found: list[int] = json.loads(ids)
    return found


def _part(hidden: int) -> str:
    """The key in memory_meta of a hidden namespace that is a part of another: [the other one's id, who forgot it]."""
    return f"forgotten {hidden}"


def hide(world: World, request: Hide) -> tuple[Forgotten, int | None]:
    """Move rows to a namespace without a name, and delete a first slice of it. Only what would be found there all the
    same is deleted at once.

    Returns: how many rows went, and the namespace in which the others wait, or None.
    """
    conn, moment, counts = world.conn, request.moment, Counter[str]()
    hidden = conn.execute("INSERT INTO memory_namespace (name) VALUES (NULL)").lastrowid
    assert hidden is not None
    here: dict[str, object] = {
        "hidden": hidden,
        "namespace": world.namespaces[moment.namespace],
        "at": moment.at,
        "event": world.event(moment),
        "kind": request.kind,
        "ids": json_list(request.ids),
        "facts": json_list(request.facts),
    }
    conn.execute(
        "INSERT INTO memory_meta VALUES (?, ?)", (_part(hidden), json.dumps([here["namespace"], moment.agent]))
    )

    def execute(sql: str) -> int:
        return conn.execute(sql, here).rowcount

    execute("UPDATE fact SET namespace = :hidden WHERE id IN (SELECT value FROM json_each(:facts))")
    if request.kind != "entity":
        # Facts may be stated anew while these wait: no two believed ones are the same. Of a hidden entity none are.
        execute(
            "UPDATE fact SET expired_at = :at, expired_event = :event WHERE namespace = :hidden AND expired_at IS NULL"
        )
    if request.kind == "entity":
        counts["aliases"] = execute(f"DELETE FROM entity_alias WHERE entity IN {_LISTED}")
        execute(f"UPDATE entity SET namespace = :hidden WHERE id IN {_LISTED} OR merged_into IN {_LISTED}")
    elif request.kind == "episode":
        quoted = _ids(
            conn,
            "SELECT DISTINCT v.fact AS id FROM fact_evidence v JOIN fact f ON f.id = v.fact "
            f"WHERE v.episode IN {_LISTED} AND v.quote IS NOT NULL AND f.namespace <> :hidden",
            **here,
        )
        counts["evidence"] = execute(
            "DELETE FROM fact_evidence WHERE id IN (SELECT v.id FROM fact_evidence v JOIN fact f ON f.id = v.fact "
            f"WHERE v.episode IN {_LISTED} AND f.namespace <> :hidden)"
        )
        reindex(conn, "fact", quoted)
        execute(f"UPDATE episode SET namespace = :hidden WHERE id IN {_LISTED}")
    execute(
        "DELETE FROM vector WHERE model IN (SELECT id FROM vector_model) AND namespace = :namespace AND kind = :kind "
        f"AND ref IN {_LISTED}"
    )
    # Reasons are words.
    execute(
        "UPDATE memory_event SET reason = NULL WHERE reason IS NOT NULL AND ref IN "
        f"{_LISTED} AND kind = :kind AND :kind <> 'fact'"
    )
    execute(
        "UPDATE memory_event SET reason = NULL WHERE reason IS NOT NULL AND kind = 'fact' "
        "AND ref IN (SELECT value FROM json_each(:facts))"
    )
    forgotten, done = _delete_slice(conn, hidden, moment)
    return forgotten + Forgotten(**counts), None if done else hidden


def hide_namespace(world: World, request: HideNamespace) -> int:
    """Take its name from a namespace, so that nothing finds it."""
    id = world.namespaces[request.namespace]
    world.conn.execute("UPDATE memory_namespace SET name = NULL WHERE id = ?", (id,))
    world.conn.execute("UPDATE memory_event SET reason = NULL WHERE namespace = ? AND reason IS NOT NULL", (id,))
    return id


def forgotten_namespaces(conn: sqlite3.Connection) -> list[int]:
    """Those with rows that were not deleted yet, perhaps by a process that died."""
    return [row[0] for row in conn.execute("SELECT id FROM memory_namespace WHERE name IS NULL").fetchall()]


def delete_slice(conn: sqlite3.Connection, namespace: int) -> tuple[Forgotten, bool]:
    """Delete a slice of a hidden namespace; return what went, and whether nothing of it is left."""
    row = conn.execute("SELECT value FROM memory_meta WHERE key = ?", (_part(namespace),)).fetchone()
    if row is None:
        return _delete_slice(conn, namespace, None)
    of, agent = json.loads(row[0])
    world, moment = World(conn), moment_of(Scope("", agent))
    state = load_state(world, Beginning([]))
    deleted = _delete_slice(conn, namespace, moment)
    world.namespaces = {"": of}  # its name may be gone by now
    write_changes(world, Changes(state, [moment]))
    return deleted


def _delete_slice(conn: sqlite3.Connection, namespace: int, part: Moment | None) -> tuple[Forgotten, bool]:
    piece = _Slice(conn, part)
    done = piece.namespace(namespace)
    if done:
        conn.execute("DELETE FROM memory_meta WHERE key = ?", (_part(namespace),))
        conn.execute("DELETE FROM memory_namespace WHERE id = ?", (namespace,))
    return Forgotten(**piece.counts), done


class _Slice:
    """Deletes rows, and first what refers to them, until none is left or there were enough for one job.

    Each method returns whether none is left.

    Args:
        part: where the namespace is a part of another: the audit has a line for each fact of it. A namespace that was
            forgotten as a whole has a single one.
    """

    def __init__(self, conn: sqlite3.Connection, part: Moment | None) -> None:
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
                self.conn.execute(
                    "DELETE FROM vector WHERE model IN (SELECT id FROM vector_model) AND namespace IN "
                    f"(SELECT id FROM memory_namespace) AND kind = 'fact' AND ref IN {_LISTED}",
                    {"ids": listed},
                )
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
