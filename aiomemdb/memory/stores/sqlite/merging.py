"""Entities changed: renamed, given an alias or rid of one, merged."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from ....errors import NotFound
from ...deciding.merging import BelievedFact, decide_moves
from ...searching import Model
from ...store import Scope
from ...values import Entity
from .facts import expire, write_evidence
from .identity import index_names
from .rows import entities_by_id
from .schema import UNBOUNDED
from .setwise import load
from .work import Work

__all__ = ["add_alias", "merge", "remove_alias", "update_entity"]


def update_entity(
    conn: sqlite3.Connection,
    scope: Scope,
    entity: int,
    changes: Mapping[str, Any],
    vector: bytes | None,
    model: Model | None,
) -> Entity:
    """Changes columns; aliases follow a new type, and a new name becomes one."""
    work = Work(conn, scope)
    id = work.root(entity)
    columns = ", ".join(f"{column} = ?" for column in changes)
    _, before = _keys(conn, id)
    conn.execute(f"UPDATE entity SET {columns} WHERE id = ?", (*changes.values(), id))
    if "type_key" in changes:
        # Those of other types are names of entities that were merged into it, which go on finding it.
        for row in conn.execute(
            "SELECT key, type FROM entity_alias WHERE entity = ? AND type IN ('', ?)", (id, before)
        ).fetchall():
            _set_alias(work, row["key"], changes["type_key"], id, instead_of=row["type"])
    if "key" in changes:
        _set_alias(work, changes["key"], changes.get("type_key", before), id)
        work.drop_vectors("entity", [id])  # those of other models too: they are of the old name
        if vector is not None and model is not None:
            work.add_vectors(work.model(model), "entity", [(id, vector)])
        index_names(conn, [id])
    work.note("update", "entity", id)
    work.finish()
    return entities_by_id(conn, [id])[id]


def add_alias(conn: sqlite3.Connection, scope: Scope, entity: int, key: str) -> Entity:
    work = Work(conn, scope)
    id = work.root(entity)
    _, type_key = _keys(conn, id)
    if _set_alias(work, key, type_key, id):
        index_names(conn, [id])
        work.note("alias", "entity", id)
        work.finish()
    return entities_by_id(conn, [id])[id]


def remove_alias(conn: sqlite3.Connection, scope: Scope, entity: int, key: str) -> Entity:
    """Takes a name from an entity, in whatever type it has it."""
    work = Work(conn, scope)
    id = work.root(entity)
    name, _ = _keys(conn, id)
    if key == name:
        raise ValueError(f"{key!r} is what entity {id} is called: rename it first, by memory.update_entity(name=...)")
    removed = conn.execute(
        "DELETE FROM entity_alias WHERE namespace = ? AND key = ? AND entity = ?", (work.namespace, key, id)
    ).rowcount
    if not removed:
        raise NotFound(f"entity {id} has no alias {key!r}")
    index_names(conn, [id])
    work.note("unalias", "entity", id)
    work.finish()
    return entities_by_id(conn, [id])[id]


def _keys(conn: sqlite3.Connection, entity: int) -> tuple[str, str]:
    """Of its name and of its type."""
    [[key, type_key]] = conn.execute("SELECT key, type_key FROM entity WHERE id = ?", (entity,)).fetchall()
    return key, type_key


def _set_alias(work: Work, key: str, type_key: str, entity: int, *, instead_of: str | None = None) -> bool:
    """Whether a new alias was made.

    Raises: ValueError: the alias is another entity's.
    """
    conn, space = work.conn, work.namespace
    row = conn.execute(
        "SELECT entity FROM entity_alias WHERE namespace = ? AND key = ? AND type = ?", (space, key, type_key)
    ).fetchone()
    if row is not None and row[0] != entity:
        kind = f" of type {type_key!r}" if type_key else ""
        raise ValueError(f"{key!r}{kind} is the name of entity {row[0]}: if they are one, use memory.merge()")
    if instead_of is not None and instead_of != type_key:
        conn.execute("DELETE FROM entity_alias WHERE namespace = ? AND key = ? AND type = ?", (space, key, instead_of))
    if row is None:
        conn.execute("INSERT INTO entity_alias VALUES (?, ?, ?, ?)", (space, key, type_key, entity))
    return row is None


def merge(conn: sqlite3.Connection, scope: Scope, keep: int, duplicate: int) -> Entity:
    """Moves all that a duplicate has to the entity that stays; its id goes on resolving."""
    work = Work(conn, scope)
    into, other = work.root(keep), work.root(duplicate)
    if into == other:
        if duplicate == other:
            raise ValueError(
                f"entity {keep} was merged into {duplicate} before: the other way round they would be a circle"
                if keep != duplicate
                else f"entity {keep} can't be merged with itself"
            )
        return entities_by_id(conn, [into])[into]
    _move_facts(work, into, other)
    _move_names(work, into, other)
    conn.execute(
        "INSERT INTO mention SELECT ?, episode FROM mention WHERE entity = ? ON CONFLICT DO NOTHING", (into, other)
    )
    conn.execute("DELETE FROM mention WHERE entity = ?", (other,))
    _move_similar(work, into, other)
    work.drop_vectors("entity", [other])
    conn.execute("UPDATE entity SET merged_into = ? WHERE id = ? OR merged_into = ?", (into, other, other))
    work.note("merge", "entity", other, into)
    work.note("update", "entity", into, other)
    work.finish()
    return entities_by_id(conn, [into])[into]


# Subject and object apart: for an OR of both SQLite would scan.
_OF_OTHER = "(SELECT id FROM fact WHERE subject = :other UNION SELECT id FROM fact WHERE object = :other)"
_MOVING = f"fact f WHERE f.expired_at IS NULL AND f.id IN {_OF_OTHER}"
# The believed facts that are what one of those will be.
_IN_THE_WAY = (
    "fact f CROSS JOIN fact b ON b.subject = iif(f.subject = :other, :into, f.subject) AND b.predicate = f.predicate "
    "AND coalesce(b.object, b.value) = coalesce(iif(f.object = :other, :into, f.object), f.value) "
    f"AND ifnull(b.valid_at, {UNBOUNDED}) = ifnull(f.valid_at, {UNBOUNDED}) "
    f"WHERE b.expired_at IS NULL AND f.expired_at IS NULL AND f.id IN {_OF_OTHER}"
)


def _move_facts(work: Work, into: int, other: int) -> None:
    conn, both = work.conn, {"into": into, "other": other}
    columns = "{0}.id, {0}.subject, {0}.predicate, {0}.object, {0}.value, {0}.valid_at"
    moving = [BelievedFact(*row) for row in sorted(load(conn, columns.format("f"), _MOVING, {"other": other}))]
    in_the_way = [BelievedFact(*row) for row in load(conn, columns.format("b"), _IN_THE_WAY, both)]
    moves = decide_moves(into, other, moving, in_the_way)
    write_evidence(conn, (), moves.united)
    expire(work, moves.expired)
    conn.execute(
        "UPDATE fact SET subject = iif(subject = :other, :into, subject), object = iif(object = :other, :into, object) "
        f"WHERE id IN {_OF_OTHER}",
        both,
    )


def _move_names(work: Work, into: int, other: int) -> None:
    """The one that stays takes over what it lacks: a type, a description, attributes, and the time since which there
    is one of the two.
    """
    conn = work.conn
    stays, goes = (
        conn.execute(
            "SELECT type, type_key, description, attributes, created_at, created_event FROM entity WHERE id = ?", (id,)
        ).fetchone()
        for id in (into, other)
    )
    typed = stays if stays["type_key"] else goes
    older = min(stays, goes, key=lambda one: one["created_event"])
    attributes = {**json.loads(goes["attributes"]), **json.loads(stays["attributes"])}
    conn.execute(
        "UPDATE entity SET type = ?, type_key = ?, description = ?, attributes = ?, created_at = ?, created_event = ? "
        "WHERE id = ?",
        (
            typed["type"],
            typed["type_key"],
            stays["description"] or goes["description"],
            json.dumps(attributes, ensure_ascii=False) if attributes else "{}",
            older["created_at"],
            older["created_event"],
            into,
        ),
    )
    conn.execute("UPDATE entity_alias SET entity = ? WHERE entity = ?", (into, other))
    # A name of another type stays an alias of that type: a caller that asks for it finds the one that stays.
    conn.execute("UPDATE OR IGNORE entity_alias SET type = ? WHERE entity = ? AND type = ''", (typed["type_key"], into))
    index_names(conn, [into])


def _move_similar(work: Work, into: int, other: int) -> None:
    conn = work.conn
    conn.execute(
        "INSERT INTO entity_similar SELECT min(?, x), max(?, x), cosine FROM ("
        "SELECT b AS x, cosine FROM entity_similar WHERE a = ? "
        "UNION ALL SELECT a, cosine FROM entity_similar WHERE b = ?"
        ") WHERE x <> ? ON CONFLICT DO UPDATE SET cosine = max(cosine, excluded.cosine)",
        (into, into, other, other, into),
    )
    conn.execute("DELETE FROM entity_similar WHERE a = ? OR b = ?", (other, other))
