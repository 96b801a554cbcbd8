"""Vectors as rows: of one model at a time, while the next one's are prepared beside them; which of them are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...deciding.embedding import check_model
from ...deciding.requests import CountEntities, Embeddable, EmbeddedNames, Lacking
from ...questions import Kind, Model, Token, VectorChanges
from .asking import Asking
from .statements import statement
from .states import PostgresState
from .world import World

__all__ = [
    "count_entities",
    "drop_slice",
    "load_embeddable",
    "load_embedded_names",
    "load_lacking",
    "vector_changes",
    "vectors",
    "without_vector",
]

# Vectors that one job drops.
_SLICE = 2_000
# What has a vector, and the words that it is made from. Merged entities have none: their names are aliases.
_TEXTS = {
    "entity": ("entity", "name", "t.merged_into IS NULL"),
    "fact": ("fact", "text", "TRUE"),
    "episode": ("episode", "content", "TRUE"),
}
# The file's model and the namespace: one row, of NULLs where they are not there.
_STATE = (
    "SELECT m.id, m.name, m.dim, n.id AS space, coalesce(n.last_event, 0) AS event FROM (SELECT 1) one "
    "LEFT JOIN aiomemdb.memory_namespace n ON n.name = :namespace::text "
    "LEFT JOIN aiomemdb.memory_meta a ON a.key = 'model' LEFT JOIN aiomemdb.vector_model m ON m.id::text = a.value"
)
_OF_KIND = "v.namespace = :space::bigint AND v.model = :model::bigint AND v.kind = :kind::text"


async def _state(asking: Asking, namespace: str, model: Model) -> PostgresState:
    """What there is now. Raises: ModelChanged."""
    row = None if asking.kept is None else asking.kept.get(namespace)
    if row is None:
        [row] = await asking.rows(_STATE, namespace=namespace)
        if asking.kept is not None:
            asking.kept[namespace] = row
    if row["id"] is not None:
        check_model(Model(row["name"], row["dim"]), model)
    return PostgresState(row["event"], space=row["space"], model=row["id"])


async def vector_changes(
    asking: Asking, namespace: str, kind: Kind, model: Model, since: Token | None, most: int
) -> VectorChanges:
    """What became of a namespace's vectors since a state; how many there are, where that was of another model.

    Where the statements are no snapshot, the state is read first: what comes after it is read again the next time.
    """
    assert since is None or isinstance(since, PostgresState)
    state = await _state(asking, namespace, model)
    if state.model is None or state.space is None:
        return VectorChanges(state, complete=True)
    given = {"space": state.space, "model": state.model, "kind": kind}
    if since is None or (since.space, since.model) != (state.space, state.model):
        [[count]] = await asking.rows(
            f"SELECT count(*) FROM (SELECT 1 FROM aiomemdb.vector v WHERE {_OF_KIND} LIMIT :most::bigint) listed",
            **given,
            most=most + 1,
        )
        return VectorChanges(state, complete=True, count=count)
    if since.event >= state.event:
        return VectorChanges(state, complete=False)
    rows = await asking.rows(
        "SELECT e.ref, v.data FROM (SELECT DISTINCT ref FROM aiomemdb.memory_event WHERE namespace = :space::bigint "
        "AND id > :since::bigint AND id <= :event::bigint AND kind = :kind::text) e "
        f"LEFT JOIN aiomemdb.vector v ON {_OF_KIND} AND v.ref = e.ref ORDER BY e.ref",
        **given,
        since=since.event,
        event=state.event,
    )
    found = [(ref, data) for ref, data in rows if data is not None]
    return VectorChanges(
        state,
        complete=False,
        refs=[ref for ref, _ in found],
        data=[data for _, data in found],
        gone=[ref for ref, data in rows if data is None],
    )


async def vectors(
    asking: Asking,
    namespace: str,
    kind: Kind,
    model: Model,
    refs: Sequence[int] | None,
    after: int,
    limit: int,
) -> list[tuple[int, bytes]]:
    state = await _state(asking, namespace, model)
    if state.model is None or state.space is None:
        return []
    where = "v.ref > :after::bigint" if refs is None else "v.ref = ANY (:refs::bigint[])"
    rows = await asking.rows(
        f"SELECT v.ref, v.data FROM aiomemdb.vector v WHERE {_OF_KIND} AND {where} ORDER BY v.ref LIMIT :limit::bigint",
        space=state.space,
        model=state.model,
        kind=kind,
        after=after,
        refs=None if refs is None else list(refs),
        limit=None if limit < 0 or refs is not None else limit,
    )
    return [(row[0], row[1]) for row in rows]


def _lacking(kind: Kind) -> str:
    """FROM and WHERE of the rows ``t`` that have no vector of a model."""
    table, _, where = _TEXTS[kind]
    return (
        f"FROM aiomemdb.{table} t JOIN aiomemdb.memory_namespace n ON n.id = t.namespace "
        f"WHERE {where} AND n.name IS NOT NULL AND NOT EXISTS (SELECT 1 FROM aiomemdb.vector v "
        "WHERE v.namespace = t.namespace AND v.model = (SELECT id FROM aiomemdb.vector_model "
        f"WHERE name = :model::text AND dim = :dim::int) AND v.kind = '{kind}' AND v.ref = t.id)"
    )


async def without_vector(
    asking: Asking, model: Model, kind: Kind, before: int | None, limit: int
) -> list[tuple[int, str]]:
    rows = await asking.rows(
        f"SELECT t.id, t.{_TEXTS[kind][1]} {_lacking(kind)} AND t.id < :before::bigint ORDER BY t.id DESC "
        "LIMIT :limit::bigint",
        model=model.name,
        dim=model.dim,
        before=2**63 - 1 if before is None else before,
        limit=None if limit < 0 else limit,
    )
    return [(row[0], row[1]) for row in rows]


async def load_embeddable(world: World, request: Embeddable) -> dict[int, str]:
    table, _, where = _TEXTS[request.kind]
    rows = await world.asking.rows(
        f"SELECT t.id, n.name FROM aiomemdb.memory_namespace n JOIN aiomemdb.{table} t ON t.namespace = n.id "
        f"WHERE {where} AND n.name IS NOT NULL AND t.id = ANY (:ids::bigint[]) ORDER BY t.id",
        ids=list(request.ids),
    )
    return {row[0]: row[1] for row in rows}


async def load_lacking(world: World, request: Lacking) -> dict[Kind, tuple[int, int]]:
    given: dict[str, Any] = {"model": request.model.name, "dim": request.model.dim}
    since, statements = "", []
    if request.since is not None:
        assert isinstance(request.since, PostgresState)
        events = request.since.events
        given |= {"known": list(events), "upto": list(events.values())}
        since = (
            "AND EXISTS (SELECT 1 FROM aiomemdb.memory_event e WHERE e.namespace = t.namespace AND e.ref = t.id "
            "AND e.kind = '{kind}' AND e.id > coalesce((SELECT s.upto FROM "
            "unnest(:known::bigint[], :upto::bigint[]) s (namespace, upto) WHERE s.namespace = t.namespace), 0))"
        )
    for kind in _TEXTS:
        sql = f"SELECT count(*), min(t.id) {_lacking(kind)} {since.format(kind=kind)}"
        statements.append(statement(sql, given))
    results = await world.asking.all(statements)
    found = {kind: tuple(result.rows[0]) for kind, result in zip(_TEXTS, results, strict=True)}
    return {kind: (count, lowest) for kind, (count, lowest) in found.items() if count}


async def load_embedded_names(world: World, request: EmbeddedNames) -> list[tuple[int, str, bytes]]:
    rows = await world.asking.rows(
        "SELECT e.id, n.name, v.data FROM aiomemdb.memory_namespace n JOIN aiomemdb.entity e ON e.namespace = n.id "
        "JOIN aiomemdb.vector v ON v.namespace = e.namespace AND v.model = (SELECT id FROM aiomemdb.vector_model "
        "WHERE name = :model::text AND dim = :dim::int) AND v.kind = 'entity' AND v.ref = e.id "
        "WHERE e.id > :after::bigint AND e.id <= :upto::bigint AND n.name IS NOT NULL ORDER BY e.id "
        "LIMIT :limit::bigint",
        model=request.model.name,
        dim=request.model.dim,
        after=request.after,
        upto=request.upto,
        limit=request.limit,
    )
    return [(row[0], row[1], row[2]) for row in rows]


async def count_entities(world: World, request: CountEntities) -> int:
    [[count]] = await world.asking.rows(
        "SELECT count(*) FROM aiomemdb.entity e JOIN aiomemdb.memory_namespace n ON n.id = e.namespace "
        "WHERE e.id > :after::bigint AND e.id <= :upto::bigint AND e.merged_into IS NULL AND n.name IS NOT NULL",
        after=request.after,
        upto=request.upto,
    )
    return int(count)


async def drop_slice(asking: Asking) -> bool:
    """Drop some of the vectors of all models but the file's, which may be another one by now; whether there may be
    more.
    """
    [[active]] = await asking.rows("SELECT value FROM aiomemdb.memory_meta WHERE key = 'model' FOR SHARE")
    others = await asking.rows(
        "SELECT id FROM aiomemdb.vector_model WHERE id::text <> :active ORDER BY id", active=active
    )
    for [other] in others:
        gone = await asking.count(
            "DELETE FROM aiomemdb.vector v WHERE v.model = :model::bigint AND (v.namespace, v.kind, v.ref) IN ("
            "SELECT w.namespace, w.kind, w.ref FROM aiomemdb.memory_namespace n JOIN aiomemdb.vector w "
            "ON w.namespace = n.id AND w.model = :model::bigint LIMIT :slice::int)",
            model=other,
            slice=_SLICE,
        )
        if gone:
            return True
        await asking.count("DELETE FROM aiomemdb.vector_model WHERE id = :model::bigint", model=other)
    return False
