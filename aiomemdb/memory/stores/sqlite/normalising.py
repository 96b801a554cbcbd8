"""Keys that were made by an earlier normal form get the present one, and what becomes one by it is merged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from itertools import groupby

from ...deciding.merging import merge
from ...deciding.moment import moment_of
from ...deciding.picking import Candidate, pick
from ...deciding.requests import Beginning, Changes
from ...drafter import canonical
from ...drafts import NameRequest, Scope
from ...names import FOLDED, FOLDED_PREDICATE
from .applying import write_changes
from .loading import World, load_state
from .rows import json_list
from .running_rules import run
from .schema import UNBOUNDED

__all__ = ["normalise"]

# What identifies a believed fact, in the words of the unique index, so that it serves.
_IDENTITY = (
    f"subject = ? AND predicate = ? AND coalesce(object, value) = ? AND ifnull(valid_at, {UNBOUNDED}) = ? "
    "AND expired_at IS NULL"
)


def normalise(conn: sqlite3.Connection) -> None:
    """Brings names, types and predicates that the default normalisers made, and all values, to their normal forms.

    What another normaliser made stays as it is, and so does a name if the present one would leave nothing of it.
    """
    spaces = conn.execute("SELECT id, name FROM memory_namespace WHERE name IS NOT NULL ORDER BY id").fetchall()
    if _is_new(conn, "normaliser", "nfkc-casefold-1", FOLDED.name):
        for id, name in spaces:
            _normalise_names(conn, id, Scope(name))
    predicate = FOLDED_PREDICATE if _is_new(conn, "predicate normaliser", "casefold-1", FOLDED_PREDICATE.name) else str
    changed = {
        "predicate": _changed(conn, "predicate", predicate),
        "value": _changed(conn, "value", lambda value: canonical(json.loads(value))),
    }
    for id, name in spaces:
        _normalise_facts(conn, id, Scope(name), changed)


def _is_new(conn: sqlite3.Connection, use: str, old: str, new: str) -> bool:
    """Whether the file's normaliser was the default, which is another one now."""
    return conn.execute("UPDATE memory_meta SET value = ? WHERE key = ? AND value = ?", (new, use, old)).rowcount > 0


def _key(key: str) -> str:
    return FOLDED(key) or key


# -- names -------------------------------------------------------------------------------------------------------------


def _normalise_names(conn: sqlite3.Connection, space: int, scope: Scope) -> None:
    rows = conn.execute("SELECT id, key, type_key FROM entity WHERE namespace = ?", (space,)).fetchall()
    renamed = [(_key(key), _key(type), id) for id, key, type in rows if (_key(key), _key(type)) != (key, type)]
    conn.executemany("UPDATE entity SET key = ?, type_key = ? WHERE id = ?", renamed)
    rows = conn.execute("SELECT key, type, entity FROM entity_alias WHERE namespace = ?", (space,)).fetchall()
    aliases = sorted((key, entity, type) for key, type, entity in rows if (_key(key), _key(type)) != (key, type))
    for key, group in groupby(aliases, lambda alias: alias[0]):
        _Alias(conn, space, scope, key).become(_key(key), [(entity, type) for _, entity, type in group])


class _Alias:
    """One key, and all that it meant."""

    def __init__(self, conn: sqlite3.Connection, space: int, scope: Scope, key: str) -> None:
        self.conn = conn
        self.space = space
        self.scope = scope
        self.key = key

    def become(self, key: str, meant: list[tuple[int, str]]) -> None:
        """Entities that have one name by it are one, as if they had been asked for in turn. An alias that two of them
        have by it is the older one's.
        """
        conn = self.conn
        conn.executemany(
            "DELETE FROM entity_alias WHERE namespace = ? AND key = ? AND type = ?",
            [(self.space, self.key, type) for _, type in meant],
        )
        # What had one key before is apart for a reason.
        others = [] if key == self.key else self._others(key)
        for entity, type in meant:
            type, root = _key(type), self._root(entity)
            named = self._is_named(root, key)
            wanted = NameRequest(key, key, type_key=type)
            picked = pick([other for other, is_named in others if named or is_named], wanted)
            if isinstance(picked, tuple):
                root = self._merge(root, picked[0].id)
            [adopted] = conn.execute("SELECT type_key FROM entity WHERE id = ?", (root,)).fetchone()
            self._put(key, type or adopted, root)

    def _others(self, key: str) -> list[tuple[Candidate, bool]]:
        """What the key means already, and whether it is its name."""
        rows = self.conn.execute(
            "SELECT a.type, e.id, e.type_key, e.key FROM entity_alias a JOIN entity e ON e.id = a.entity "
            "WHERE a.namespace = ? AND a.key = ?",
            (self.space, key),
        ).fetchall()
        return [(Candidate(row[0], row[1], row[2]), row[3] == key) for row in rows]

    def _put(self, key: str, type: str, entity: int) -> None:
        alias = (self.space, key, type)
        row = self.conn.execute(
            "SELECT entity FROM entity_alias WHERE namespace = ? AND key = ? AND type = ?", alias
        ).fetchone()
        if row is None:
            self.conn.execute("INSERT INTO entity_alias VALUES (?, ?, ?, ?)", (*alias, entity))
        elif self._is_named(entity, key) or self._is_named(row[0], key):
            self._merge(entity, row[0])
        else:
            self.conn.execute(
                "UPDATE entity_alias SET entity = min(entity, ?) WHERE namespace = ? AND key = ? AND type = ?",
                (entity, *alias),
            )

    def _merge(self, one: int, other: int) -> int:
        """The older one stays."""
        one, other = self._root(one), self._root(other)
        if one != other:
            run(self.conn, merge, self.scope, min(one, other), max(one, other))
        return min(one, other)

    def _root(self, entity: int) -> int:
        root: int = self.conn.execute("SELECT ifnull(merged_into, id) FROM entity WHERE id = ?", (entity,)).fetchone()[
            0
        ]
        return root

    def _is_named(self, entity: int, key: str) -> bool:
        row = self.conn.execute("SELECT 1 FROM entity WHERE id = ? AND key = ?", (entity, key)).fetchone()
        return row is not None


# -- facts -------------------------------------------------------------------------------------------------------------


def _changed(conn: sqlite3.Connection, column: str, normal: Callable[[str], str]) -> dict[str, str]:
    """What a column holds, and its normal form where that is another."""
    rows = conn.execute(f"SELECT DISTINCT {column} FROM fact WHERE {column} IS NOT NULL").fetchall()
    return {row[0]: normal(row[0]) or row[0] for row in rows if not row[0].isascii() and normal(row[0]) != row[0]}


def _normalise_facts(conn: sqlite3.Connection, space: int, scope: Scope, changed: dict[str, dict[str, str]]) -> None:
    """As it was is shown; those that become the same unite their evidence and one is closed, as by ``merge``."""
    rows = conn.execute(
        "SELECT id, subject, predicate, object, value, valid_at, expired_at FROM fact WHERE namespace = ? AND "
        "(predicate IN (SELECT value FROM json_each(?)) OR value IN (SELECT value FROM json_each(?))) ORDER BY id",
        (space, json_list(changed["predicate"]), json_list(changed["value"])),
    ).fetchall()
    if not rows:
        return
    world, moment = World(conn), moment_of(scope)
    state = load_state(world, Beginning([scope.namespace]))
    for id, subject, predicate, object, value, valid_at, expired_at in rows:
        new_predicate, new_value = changed["predicate"].get(predicate, predicate), changed["value"].get(value, value)
        identity = (subject, new_predicate, new_value if object is None else object)
        begin = UNBOUNDED if valid_at is None else valid_at
        same = conn.execute(f"SELECT id FROM fact WHERE {_IDENTITY}", (*identity, begin)).fetchone()
        if expired_at is None and same is not None:
            # At once, as it is in the way of what comes next; its line of the audit is written at the end.
            moment.note("supersede", "fact", id, same["id"])
            write_changes(world, Changes(state, [], expired=[(id, moment, same["id"])], united=[(id, same["id"])]))
        conn.execute(
            "UPDATE fact SET predicate = ?, predicate_given = ?, value = ?, value_given = ? WHERE id = ?",
            (
                new_predicate,
                None if new_predicate == predicate else predicate,
                new_value,
                None if new_value == value else value,
                id,
            ),
        )
    write_changes(world, Changes(state, [moment]))
