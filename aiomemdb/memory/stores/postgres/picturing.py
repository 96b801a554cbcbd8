"""What a page shows, asked for in one snapshot: one round trip for each request of the rule.

Ids of a process are a range: a greater one is not always newer. The newest of all are those by the clock and by the
audit's lines, which have indexes. Of one entity the greatest ids are taken, so that no more than those are read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from ....values import Row
from ...deciding import picturing
from ...deciding.picturing import Drawn, DrawnRows, LinksAround, Overview, OverviewOf, Starts, Told, ToldRows, Written
from ...deciding.steps import Request, Steps
from ...pictures import Picture, PictureQuery
from ...threads import in_thread
from .. import pictured
from ..exported import EVIDENCE
from .asking import Asking
from .exporting import BACKS, at, since
from .statements import rows_from, statement
from .states import SPACES

__all__ = ["picture"]


async def picture(asking: Asking, namespaces: Sequence[str], query: PictureQuery) -> Picture:
    """The rule runs in a thread: it counts hundreds of thousands of links, and the loop has others to serve."""
    steps, answer = picturing.picture(namespaces, query), None
    while True:
        request, shown = await in_thread(_next, steps, answer)
        if shown is not None:
            return shown
        assert request is not None
        answer = await _ANSWERS[type(request)](asking, request)


def _next(steps: Steps[Picture], answer: Any) -> tuple[Request[Any] | None, Picture | None]:
    """What a rule asks next, or what it returned."""
    try:
        return steps.send(answer), None
    except StopIteration as end:
        return None, end.value


# Counted by indexes alone: no row is looked at that was not merged.
_TOTALS = (
    f"SELECT (SELECT count(*) FROM aiomemdb.entity WHERE namespace = {SPACES}) - (SELECT count(*) "
    f"FROM aiomemdb.entity WHERE merged_into IS NOT NULL AND namespace = {SPACES}) AS entities, "
    f"(SELECT count(*) FROM aiomemdb.fact WHERE namespace = {SPACES}) AS facts, "
    f"(SELECT count(*) FROM aiomemdb.episode WHERE namespace = {SPACES}) AS texts"
)
_SPACES = "SELECT id, name FROM aiomemdb.memory_namespace WHERE name = ANY (:spaces::text[]) ORDER BY id"
# Of each namespace by an index that has its rows in order.
_NEWEST = (
    "SELECT {wanted} FROM aiomemdb.memory_namespace n CROSS JOIN LATERAL (SELECT t.* FROM aiomemdb.{table} t "
    "WHERE t.namespace = n.id {where} ORDER BY t.{since} DESC, t.id DESC LIMIT :most::bigint) x "
    "WHERE n.name = ANY (:spaces::text[]) ORDER BY x.{since} DESC, x.id DESC"
)
_FACTS = _NEWEST.format(wanted="x.id, x.subject, x.object, x.created_at", table="fact", where="", since="created_at")
# As one row of arrays: hundreds of thousands of rows would take the loop three times as long.
_IN_ORDER = "array_agg(l.{0} ORDER BY l.created_at DESC, l.id DESC)"
_LINKS = f"SELECT {', '.join(map(_IN_ORDER.format, ('id', 'subject', 'object')))} FROM ({_FACTS} LIMIT :most::bigint) l"
_ENTITIES = _NEWEST.format(wanted="x.id", table="entity", where="AND t.merged_into IS NULL", since="created_event")


async def _overview(asking: Asking, request: Overview) -> OverviewOf:
    given = {"spaces": list(request.namespaces)}
    asked = [statement(_SPACES, given), statement(_TOTALS, given)]
    if request.facts:
        asked += [
            statement(_LINKS, {**given, "most": request.facts}),
            statement(_ENTITIES, {**given, "most": request.entities}),
        ]
    spaces, totals, *newest = [result.rows for result in await asking.all(asked)]
    seen = OverviewOf({row[0]: row[1] for row in spaces}, dict(totals[0]))
    if newest:
        seen.links = zip(*(column or () for column in newest[0][0]), strict=True)
        seen.newest = [row[0] for row in newest[1]]
    return seen


async def _starts(asking: Asking, request: Starts) -> list[int]:
    facts = "FROM aiomemdb.fact WHERE namespace = ANY (:here::bigint[]) AND id = ANY (:facts::bigint[])"
    rows = await asking.rows(
        "SELECT coalesce(merged_into, id) AS start FROM aiomemdb.entity WHERE namespace = ANY (:here::bigint[]) "
        f"AND id = ANY (:entities::bigint[]) UNION SELECT subject {facts} "
        f"UNION SELECT object {facts} AND object IS NOT NULL ORDER BY start",
        here=list(request.spaces),
        entities=list(request.entities),
        facts=list(request.facts),
    )
    return [row[0] for row in rows]


def _each(table: str, letter: str, where: str) -> str:
    """Rows of a table, looked up for each row before it, whatever the planner thinks of how many there are."""
    return f"CROSS JOIN LATERAL (SELECT {letter}.* FROM aiomemdb.{table} {letter} WHERE {where} OFFSET 0) {letter}"


_ENTITY = _each("entity", "e", "e.namespace = ANY (:here::bigint[]) AND e.id = r.entity")
_FACT = _each("fact", "f", "f.namespace = ANY (:here::bigint[]) AND f.id = r.fact")


async def _around(asking: Asking, request: LinksAround) -> Iterable[Any]:
    source, params = rows_from("entity", [(id,) for id in request.entities])
    sql = " UNION ALL ".join(
        f"SELECT x.* FROM {source} {_ENTITY} CROSS JOIN LATERAL (SELECT f.id, f.subject, f.object "
        f"FROM aiomemdb.fact f WHERE f.namespace = e.namespace AND f.{end} = e.id ORDER BY f.id DESC "
        "LIMIT :most::bigint) x"
        for end in ("subject", "object")
    )
    return map(tuple, await asking.rows(sql, **params, here=list(request.spaces), most=request.most))


async def _drawn(asking: Asking, request: Drawn) -> DrawnRows:
    entities, of_entities = rows_from("entity", [(id,) for id in request.entities])
    facts, of_facts = rows_from("fact", [(id,) for id in request.facts])
    here = {"here": list(request.spaces)}
    asked = [
        statement(
            f"SELECT {pictured.entity_columns(at)} FROM {entities} {_ENTITY} WHERE e.merged_into IS NULL "
            "ORDER BY r.ord",
            {**here, **of_entities},
        ),
        statement(
            f"SELECT DISTINCT a.entity, a.key FROM {entities} {_ENTITY} "
            f"{_each('entity_alias', 'a', 'a.namespace = e.namespace AND a.entity = e.id')} "
            "WHERE a.key <> e.key ORDER BY a.key, a.entity",
            {**here, **of_entities},
        ),
        statement(f"SELECT {pictured.fact_columns(at)} FROM {facts} {_FACT} ORDER BY f.id", {**here, **of_facts}),
        statement(
            f"SELECT s.a, s.b, s.cosine FROM {entities} "
            f"{_each('entity_similar', 's', 's.namespace = ANY (:here::bigint[]) AND s.a = r.entity')} "
            "ORDER BY r.ord, s.b",
            {**here, **of_entities},
        ),
        statement(BACKS.format("n.id = ANY (:here::bigint[])"), here),
    ]
    drawn, aliases, said, near, backs = [result.rows for result in await asking.all(asked)]
    return DrawnRows(since(backs), entities=drawn, aliases=aliases, facts=said, near=near)


async def _told(asking: Asking, request: Told) -> ToldRows:
    facts, of_facts = rows_from("fact", [(id,) for id in request.facts])
    entities, of_entities = rows_from("entity", [(id,) for id in request.entities])
    here = {"here": list(request.spaces)}
    evidence, mentions = await asking.all(
        [
            statement(
                f"SELECT {EVIDENCE} FROM {facts} "
                f"{_each('fact_evidence', 'v', 'v.namespace = ANY (:here::bigint[]) AND v.fact = r.fact')} "
                "ORDER BY v.id DESC",
                {**here, **of_facts},
            ),
            statement(
                f"SELECT m.entity, m.episode FROM {entities} {_ENTITY} CROSS JOIN LATERAL (SELECT m.entity, m.episode "
                "FROM aiomemdb.mention m WHERE m.namespace = e.namespace AND m.entity = e.id ORDER BY m.episode DESC "
                "LIMIT :most::bigint) m ORDER BY r.ord, m.episode DESC",
                {**here, **of_entities, "most": request.mentions},
            ),
        ]
    )
    return ToldRows(evidence.rows, mentions.rows)


_BEGIN = pictured.begin("greatest", "least", "strpos", ":room::int", "length(p.content)", "r.quote")


async def _written(asking: Asking, request: Written) -> Sequence[Row]:
    source, params = rows_from("episode quote", request.quotes)
    columns = pictured.episode_columns(at, "substr(p.content, b.begin + 1, :room::int)", "b.begin")
    return await asking.rows(
        f"SELECT {columns} FROM {source} "
        f"{_each('episode', 'p', 'p.namespace = ANY (:here::bigint[]) AND p.id = r.episode')} CROSS JOIN LATERAL "
        f"(SELECT CASE WHEN r.quote <> '' AND length(p.content) > :room::int THEN {_BEGIN} ELSE 0 END AS begin) b "
        "ORDER BY r.ord",
        **params,
        here=list(request.spaces),
        room=request.room,
    )


_ANSWERS: Mapping[type[Request[Any]], Callable[[Asking, Any], Awaitable[Any]]] = {
    Overview: _overview,
    Starts: _starts,
    LinksAround: _around,
    Drawn: _drawn,
    Told: _told,
    Written: _written,
}
