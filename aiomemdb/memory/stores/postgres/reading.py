"""What the memory holds, each question one statement."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...answers import Graph
from ...deciding.requests import EntitiesOf, FactsWhere, LinksOf
from ...drafts import NameRequest
from ...pages import Place
from ...questions import BEFORE_ALL, FactQuery, Kind
from ...records import entity_of, episode_of, event_of, evidence_of, fact_of
from ...values import Counts, Entity, Episode, Event, Evidence, Fact
from ..columns import ENTITY, EPISODE, EVENT, EVIDENCE, FACT
from ..counting import believed, holds
from ..knowing import resolved
from .asking import Asking
from .statements import statement
from .states import KNOWN, SPACES, as_known, known_of
from .world import World

__all__ = [
    "counts",
    "entities",
    "entities_of",
    "episodes",
    "evidence",
    "facts",
    "facts_where",
    "history",
    "in_order",
    "links_of",
    "resolve",
]

# Those that were merged away lead to those that stayed.
_ROOTS = (
    f"ANY (ARRAY(SELECT coalesce(o.merged_into, o.id) FROM aiomemdb.entity o WHERE o.namespace = {SPACES} "
    "AND o.id = ANY (:{name}::bigint[])))"
)


def _most(limit: int) -> int | None:
    """For LIMIT: None is all."""
    return None if limit < 0 else limit


async def resolve(asking: Asking, namespace: str, names: Sequence[NameRequest]) -> list[Entity | Exception | None]:
    rows = await asking.rows(
        f"SELECT r.ord - 1, a.type, e.type_key, {ENTITY} FROM unnest(:keys::text[]) WITH ORDINALITY AS r (key, ord) "
        "JOIN aiomemdb.memory_namespace n ON n.name = :namespace::text JOIN aiomemdb.entity_alias a "
        "ON a.namespace = n.id AND md5(a.key) = md5(r.key) AND a.key = r.key "
        "JOIN aiomemdb.entity e ON e.namespace = a.namespace AND e.id = a.entity ORDER BY r.ord, a.type",
        keys=[wanted.key for wanted in names],
        namespace=namespace,
    )
    return resolved(rows, names)


async def entities(
    asking: Asking,
    namespaces: Sequence[str],
    ids: Iterable[int] | None,
    type_key: str | None,
    after: int = 0,
    limit: int = -1,
) -> list[Entity]:
    where = [f"e.namespace = {SPACES}", "e.merged_into IS NULL", "e.id > :after::bigint"]
    if ids is not None:
        where.append(f"e.id = {_ROOTS.format(name='ids')}")
    if type_key is not None:
        where.append("e.type_key = :type::text")
    rows = await asking.rows(
        f"SELECT {ENTITY} FROM aiomemdb.entity e JOIN aiomemdb.memory_namespace n ON n.id = e.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY e.id LIMIT :limit::bigint",
        spaces=list(namespaces),
        ids=None if ids is None else list(ids),
        type=type_key,
        after=after,
        limit=_most(limit),
    )
    return [entity_of(*row) for row in rows]


def _conditions(query: FactQuery) -> tuple[str, list[str], dict[str, Any]]:
    """What the statement begins with, which facts, and the parameters."""
    where, begin = [f"f.namespace = {SPACES}"], ""
    if query.any_knowledge:
        pass
    elif query.known_at is None:
        where.append(believed("f", "fact", None))
    else:
        begin = f"WITH {KNOWN} "
        where.append(believed("f", "fact", known_of("f")))
    if not query.any_time:
        where.append(holds("f", ":as_of::bigint"))
    if query.predicates is not None:
        where.append("f.predicate = ANY (:predicates::text[])")
    if query.value is not None:
        where.append("f.value = :value::text")
    if query.after:
        where.append("f.id > :after::bigint")
    return (
        begin,
        where,
        {
            **as_known(query.known_at),
            "as_of": query.as_of,
            "predicates": None if query.predicates is None else list(query.predicates),
            "value": query.value,
            "after": query.after,
            "limit": _most(query.limit),
        },
    )


async def facts(asking: Asking, namespaces: Sequence[str], query: FactQuery) -> list[Fact]:
    begin, where, params = _conditions(query)
    if query.ids is not None:
        where.append("f.id = ANY (:ids::bigint[])")
    if query.subjects is not None:
        where.append(f"f.subject = {_ROOTS.format(name='subjects')}")
    if query.objects is not None:
        where.append(f"f.object = {_ROOTS.format(name='objects')}")
    if query.around is not None:
        where.append("(f.subject = ANY (:around::bigint[]) OR f.object = ANY (:around::bigint[]))")
    rows = await asking.rows(
        f"{begin}SELECT {FACT} FROM aiomemdb.fact f JOIN aiomemdb.memory_namespace n ON n.id = f.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY f.id LIMIT :limit::bigint",
        **params,
        spaces=list(namespaces),
        **{
            name: None if some is None else list(some)
            for name, some in (
                ("ids", query.ids),
                ("subjects", query.subjects),
                ("objects", query.objects),
                ("around", query.around),
            )
        },
    )
    return [fact_of(*row) for row in rows]


# -- what is around ----------------------------------------------------------------------------------------------------


# Processes have ids in ranges, so a greater one is not always a later row. Lines of the audit have an order in their
# namespace.
_CREATED = (
    f"SELECT e.id FROM aiomemdb.entity e WHERE e.namespace = {SPACES} "
    "AND e.id = ANY (:ids::bigint[]) ORDER BY e.established IS NULL, e.namespace, e.established, e.id"
)
_STATED = (
    f"SELECT f.id FROM aiomemdb.fact f WHERE f.namespace = {SPACES} "
    "AND f.id = ANY (:ids::bigint[]) ORDER BY f.namespace, f.created_event, f.id"
)


async def in_order(asking: Asking, namespaces: Sequence[str], graph: Graph) -> Graph:
    """The graph in the order in which its entities were created, and its facts stated."""
    created, stated = await asking.all(
        [
            statement(sql, {"spaces": list(namespaces), "ids": [one.id for one in rows]})
            for sql, rows in ((_CREATED, graph.entities), (_STATED, graph.facts))
        ]
    )
    entities = {one.id: one for one in graph.entities}
    facts = {one.id: one for one in graph.facts}
    return Graph(
        tuple(entities[row[0]] for row in created.rows), tuple(facts[row[0]] for row in stated.rows), graph.others
    )


async def entities_of(world: World, request: EntitiesOf) -> list[Entity]:
    return await entities(world.asking, request.namespaces, request.ids, None)


async def facts_where(world: World, request: FactsWhere) -> list[Fact]:
    return await facts(world.asking, request.namespaces, request.query)


async def links_of(world: World, request: LinksOf) -> list[tuple[int, int | None, bool]]:
    """Filtered afterwards: of a hundred thousand facts that don't hold, none may be stepped over for nothing."""
    begin, where, params = _conditions(request.query)
    counts = " AND ".join(where)
    sql = " UNION ALL ".join(
        f"(SELECT f.id, f.{other} AS other, coalesce({counts}, FALSE) FROM aiomemdb.fact f "
        f"WHERE f.namespace = {SPACES} AND f.{end} = :entity::bigint ORDER BY f.id LIMIT :most::bigint)"
        for end, other in (("subject", "object"), ("object", "subject"))
    )
    rows = await world.asking.rows(
        f"{begin}{sql} LIMIT :most::bigint",
        **params,
        spaces=list(request.namespaces),
        entity=request.entity,
        most=request.most,
    )
    return [(fact, other, counts) for fact, other, counts in rows]


# -- one by one --------------------------------------------------------------------------------------------------------


async def evidence(
    asking: Asking, namespaces: Sequence[str], fact: int, after: int = 0, limit: int = -1
) -> list[Evidence]:
    rows = await asking.rows(
        f"SELECT {EVIDENCE} FROM aiomemdb.fact f JOIN aiomemdb.fact_evidence v ON v.namespace = f.namespace "
        f"AND v.fact = f.id WHERE f.namespace = {SPACES} AND f.id = :fact::bigint AND v.id > :after::bigint "
        "ORDER BY v.id LIMIT :limit::bigint",
        spaces=list(namespaces),
        fact=fact,
        after=after,
        limit=_most(limit),
    )
    return [evidence_of(*row) for row in rows]


async def episodes(
    asking: Asking,
    namespaces: Sequence[str],
    ref: int | None,
    key: str | None,
    session: str | None,
    after: Place | None,
    limit: int,
) -> list[Episode]:
    where = [f"p.namespace = {SPACES}"]
    order = ("p.id",) if session is None else ("p.seq", "p.id")
    if ref is not None:
        where.append("p.id = :ref::bigint")
    else:
        where.append(believed("p", "episode", None))
    if key is not None:
        where.append("md5(p.key) = md5(:key::text) AND p.key = :key::text")
    if session is not None:
        where.append("md5(p.session) = md5(:session::text) AND p.session = :session::text")
    places: dict[str, Any] = {}
    if after is not None:
        places = {f"after_{number}": value for number, value in enumerate(after)}
        where.append(f"({', '.join(order)}) > ({', '.join(f':{name}::bigint' for name in places)})")
    rows = await asking.rows(
        f"SELECT {EPISODE} FROM aiomemdb.episode p JOIN aiomemdb.memory_namespace n ON n.id = p.namespace "
        f"WHERE {' AND '.join(where)} ORDER BY {', '.join(order)} LIMIT :limit::bigint",
        spaces=list(namespaces),
        ref=ref,
        key=key,
        session=session,
        limit=_most(limit),
        **places,
    )
    return [episode_of(*row) for row in rows]


async def history(
    asking: Asking, namespaces: Sequence[str], kind: Kind, ref: int, after: int = BEFORE_ALL, limit: int = -1
) -> list[Event]:
    rows = await asking.rows(
        f"SELECT {EVENT} FROM aiomemdb.memory_event v WHERE v.namespace = {SPACES} AND v.ref = :ref::bigint "
        "AND v.kind = :kind::text AND v.id > :after::bigint ORDER BY v.id LIMIT :limit::bigint",
        spaces=list(namespaces),
        ref=ref,
        kind=kind,
        after=after,
        limit=_most(limit),
    )
    return [event_of(*row) for row in rows]


_COUNTS = {
    "entities": "entity t WHERE t.merged_into IS NULL AND",
    "aliases": "entity_alias t WHERE",
    "facts": "fact t WHERE t.expired_at IS NULL AND",
    "expired_facts": "fact t WHERE t.expired_at IS NOT NULL AND",
    "evidence": "fact t JOIN aiomemdb.fact_evidence v ON v.namespace = t.namespace AND v.fact = t.id WHERE",
    "episodes": "episode t WHERE",
    "mentions": "mention t WHERE",
    "similar": "entity_similar t WHERE",
    "vectors": "vector t WHERE",
}


async def counts(asking: Asking, namespace: str) -> Counts:
    each = ", ".join(
        f"(SELECT count(*) FROM aiomemdb.{what} t.namespace = {SPACES}) AS {name}" for name, what in _COUNTS.items()
    )
    [row] = await asking.rows(f"SELECT {each}", spaces=[namespace])
    return Counts(**dict(row))
