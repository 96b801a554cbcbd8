"""Rows as they move: all that a namespace has, in slices by id. Numbers are the ids of the database.

A slice is two round trips: its rows, then all that belongs to them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ....formats.rows import EvidenceRow, Row
from ....values import Row as Columns
from ...exporting import Contents, Part
from ...pictures import Since, known_times
from ...questions import Model
from .. import exported
from ..past import clock_of_past
from .asking import Asking
from .statements import Statement, rows_from, statement

__all__ = ["BACKS", "at", "contents", "evidence_of_texts", "rows", "since"]

_COUNTED = {"entities": "entity", "episodes": "episode", "facts": "fact"}
_IDS = "ANY (ARRAY(SELECT id FROM aiomemdb.memory_namespace WHERE name = ANY (:spaces::text[])))"


async def contents(asking: Asking, namespaces: Sequence[str] | None, model: Model | None) -> Contents:
    """What there is; None: of all namespaces, by name."""
    read = await asking.rows(exported.SPACES.format("aiomemdb."))
    there = [row[0] for row in read]
    chosen = there if namespaces is None else [name for name in dict.fromkeys(namespaces) if name in there]
    each = ", ".join(
        f"(SELECT count(*) FROM aiomemdb.{table} WHERE namespace = {_IDS}) AS {words}"
        for words, table in _COUNTED.items()
    )
    [counts] = await asking.rows(f"SELECT {each}", spaces=chosen)
    recorded = await asking.rows("SELECT key, value FROM aiomemdb.memory_meta WHERE key LIKE '%normaliser'")
    return Contents(chosen, {key: value for key, value in recorded}, model, dict(counts))


def at(letter: str, line: str) -> str:
    """What the clock said at the line in a column."""
    return (
        f"(SELECT w.at FROM aiomemdb.memory_event w WHERE w.namespace = {letter}.namespace AND w.id >= {letter}.{line} "
        "ORDER BY w.id LIMIT 1)"
    )


# By part: its table, the letter that its columns have, these, and which rows.
_PARTS: Mapping[Part, tuple[str, str, str, str]] = {
    "entity": ("entity", "e", exported.entity_columns(at), "AND e.merged_into IS NULL"),
    "merged": ("entity", "e", exported.entity_columns(at), "AND e.merged_into IS NOT NULL"),
    "episode": ("episode", "p", exported.episode_columns(at), ""),
    "fact": ("fact", "f", exported.fact_columns(at), ""),
    "event": ("memory_event", "v", exported.EVENT, f"AND {exported.OF_ROWS}"),
}
# Of each namespace by its key, which has the ids of one in order.
_SLICE = (
    "WITH slice AS MATERIALIZED (SELECT x.namespace, x.id FROM aiomemdb.memory_namespace n CROSS JOIN LATERAL "
    "(SELECT {0}.namespace, {0}.id FROM aiomemdb.{table} {0} WHERE {0}.namespace = n.id AND {0}.id > :after::bigint "
    "{where} ORDER BY {0}.id LIMIT :limit::bigint) x WHERE n.name = ANY (:spaces::text[]) ORDER BY x.id "
    "LIMIT :limit::bigint) SELECT {columns} FROM slice x JOIN aiomemdb.{table} {0} ON {0}.namespace = x.namespace "
    "AND {0}.id = x.id JOIN aiomemdb.memory_namespace n ON n.id = x.namespace ORDER BY x.id"
)
#: Where the clocks of namespaces ``n`` had gone back.
BACKS = (
    "SELECT n.name, b.event, v.at FROM aiomemdb.memory_namespace n JOIN aiomemdb.memory_clock_back b "
    "ON b.namespace = n.id JOIN aiomemdb.memory_event v ON v.namespace = b.namespace AND v.id = b.event "
    "WHERE {0} ORDER BY b.event"
)


async def rows(
    asking: Asking, part: Part, namespaces: Sequence[str], after: int, limit: int, model: Model | None
) -> list[Row]:
    """The next rows of a part, with the vectors of a model."""
    table, letter, columns, where = _PARTS[part]
    sql = _SLICE.format(letter, table=table, columns=columns, where=where)
    given = {"spaces": list(namespaces), "after": after, "limit": limit}
    read, backs = (
        each.rows
        for each in await asking.all(
            [statement(sql, given), statement(BACKS.format("n.name = ANY (:spaces::text[])"), given)]
        )
    )
    if part == "event":
        return [exported.event_row(row) for row in read]
    if not read:
        return []
    kind = "entity" if part == "merged" else part
    of = {"kind": kind, "model": None if model is None else model.name, "dim": None if model is None else model.dim}
    asked = {name: _of_rows(sql, read, of) for name, sql in {**_ALL, **_BELONGING[kind]}.items()}
    known_since = since(backs)
    made = {row[0]: _MADE[kind](row, known_since) for row in read}
    if kind == "entity":
        source, params = rows_from("space at low high", exported.moments(made.values(), read))
        asked["moments"] = statement(_MOMENTS.format(rows=source), params)
    if model is None:
        del asked["vectors"]
    results = await asking.all(list(asked.values()))
    found = {name: result.rows for name, result in zip(asked, results, strict=True)}
    if kind == "entity":
        exported.note_moments(made.values(), read, found["moments"])
    for id, key, type in found.get("aliases", ()):
        made[id].aliases.append((key, type))
    for id, other, cosine in found.get("near", ()):
        made[id].near.append((other, cosine))
    for id, entity in found.get("mentions", ()):
        made[id].mentions.append(entity)
    for row in found.get("evidence", ()):
        made[row[0]].evidence.append(exported.evidence_row(row, stands_with_its_fact=True))
    exported.note_made(made.values(), found["firsts"])
    for id, data in found.get("vectors", ()):
        made[id].vector = data
    return list(made.values())


def _of_rows(sql: str, read: Sequence[Columns], given: Mapping[str, Any]) -> Statement:
    """A statement about rows of a slice: ``r``, and their namespaces ``n``."""
    source, params = rows_from("id space", [(row[0], row[1]) for row in read])
    return statement(
        sql.format(rows=f"{source} JOIN aiomemdb.memory_namespace n ON n.name = r.space"), {**given, **params}
    )


def since(backs: Sequence[Columns]) -> Since:
    """By rows of ``BACKS``: a namespace has a clock of its own."""
    stretches: dict[str, list[tuple[int, int]]] = {}
    for space, event, at in backs:
        stretches.setdefault(space, []).append((event, at))
    known = {space: known_times(some) for space, some in stretches.items()}
    went_on = known_times(())

    def known_since(space: str, event: int, at: int) -> int | None:
        return clock_of_past(event) if event < 0 else known.get(space, went_on)(event, at)

    return known_since


# -- what belongs to rows ----------------------------------------------------------------------------------------------

_ALL = {
    "firsts": (
        "SELECT r.id, v.operation, v.at, v.agent, v.other, v.reason FROM {rows} LEFT JOIN LATERAL (SELECT w.* "
        "FROM aiomemdb.memory_event w WHERE w.namespace = n.id AND w.ref = r.id AND w.kind = :kind::text "
        "AND w.operation <> 'import' ORDER BY w.id LIMIT 1) v ON TRUE"
    ),
    "vectors": (
        "SELECT v.ref, v.data FROM {rows} JOIN aiomemdb.vector v ON v.namespace = n.id AND v.model = "
        "(SELECT id FROM aiomemdb.vector_model WHERE name = :model::text AND dim = :dim::int) "
        "AND v.kind = :kind::text AND v.ref = r.id"
    ),
}
_BELONGING: Mapping[str, Mapping[str, str]] = {
    "entity": {
        "aliases": (
            "SELECT a.entity, a.key, a.type FROM {rows} JOIN aiomemdb.entity_alias a ON a.namespace = n.id "
            "AND a.entity = r.id ORDER BY a.key, a.type"
        ),
        "near": (
            "SELECT s.b, s.a, s.cosine FROM {rows} JOIN aiomemdb.entity_similar s ON s.namespace = n.id "
            "AND s.b = r.id ORDER BY s.a"
        ),
    },
    "episode": {
        "mentions": (
            "SELECT m.episode, m.entity FROM {rows} JOIN aiomemdb.mention m ON m.namespace = n.id "
            "AND m.episode = r.id ORDER BY m.entity"
        )
    },
    "fact": {
        "evidence": (
            f"SELECT {exported.EVIDENCE} FROM {{rows}} JOIN aiomemdb.fact_evidence v ON v.namespace = n.id "
            "AND v.fact = r.id ORDER BY v.id"
        )
    },
}
# Lines are those of a namespace.
_MOMENTS = (
    "SELECT s.space, s.at, s.first, (SELECT min(w.id) FROM aiomemdb.memory_event w LEFT JOIN aiomemdb.entity m "
    "ON m.namespace = w.namespace AND m.id = w.ref WHERE w.namespace = s.namespace "
    f"AND w.id BETWEEN s.first AND s.high AND {exported.APART}) FROM (SELECT r.space, r.at, r.high, "
    "n.id AS namespace, coalesce((SELECT w.id FROM aiomemdb.memory_event w WHERE w.namespace = n.id AND w.id < r.low "
    "AND w.at < r.at ORDER BY w.id DESC LIMIT 1), 0) + 1 AS first FROM {rows} "
    "JOIN aiomemdb.memory_namespace n ON n.name = r.space) s"
)

_MADE: Mapping[str, Any] = {"entity": exported.entity_row, "episode": exported.episode_row, "fact": exported.fact_row}


async def evidence_of_texts(asking: Asking, namespaces: Sequence[str], texts: Sequence[int]) -> list[EvidenceRow]:
    """What texts evidence, in the order in which it was said."""
    read = await asking.rows(
        f"SELECT {exported.EVIDENCE} FROM aiomemdb.fact_evidence v WHERE v.namespace = {_IDS} "
        "AND v.episode = ANY (:texts::bigint[]) ORDER BY v.id",
        spaces=list(namespaces),
        texts=list(texts),
    )
    return [exported.evidence_row(row) for row in read]
