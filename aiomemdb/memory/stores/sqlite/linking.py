"""What a frontier is linked to: one statement; each of its columns is all links of a kind as one JSON text.

A step of a statement hands Python's lock over to other threads, so few rows are what lets them go on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from ...questions import Links, Node
from ..counting import believed, holds

__all__ = ["around", "counts"]

# Facts of an entity among which the newest are looked for: no index has them in their order.
_LOOKED_AT = 1_000
# How many turns away a neighbour in a conversation is, at most.
_TURNS = 2


@lru_cache(maxsize=64)
def counts(table: str, kind: str, spaces: str, past: bool) -> str:
    """Which rows of a table count: readable, believed and holding. Its parameters are :as_of, :known and
    :past.

    The ``+`` keeps the planner from walking through all of a namespace.
    """
    conditions = [f"+{table}.namespace IN ({spaces})", believed(table, kind, (":known", ":past") if past else None)]
    if kind == "fact":
        conditions.append(holds(table, ":as_of"))
    return " AND ".join(conditions)


def around(
    conn: sqlite3.Connection,
    spaces: str,
    frontier: Sequence[Node],
    turns: Sequence[int],
    times: Mapping[str, int | None],
    hub: int,
    named: Sequence[int] = (),
) -> Links:
    """See ``Reads``. ``spaces`` are the ids of the namespaces, ``times`` the parameters of ``counts``."""
    ids = {of: [id for kind, id in frontier if kind == of] for of in ("fact", "entity", "episode")}
    wanted = tuple(name for of, names in _OF.items() if (turns if of == "turn" else ids[of]) for name in names)
    if not spaces or not wanted:
        return Links()
    [*texts] = conn.execute(
        _statement(spaces, times["known"] is not None, wanted),
        {
            "facts": json.dumps(ids["fact"]),
            "entities": json.dumps(ids["entity"]),
            "episodes": json.dumps(ids["episode"]),
            "turns": json.dumps([*turns]),
            "named": json.dumps([*named]),
            **times,
            "hub": hub,
            "looked_at": _LOOKED_AT,
        },
    ).fetchone()
    found: dict[str, list[Any]] = dict(zip(wanted, map(json.loads, texts), strict=True))
    return Links(
        ends=[(id, end) for id, *both in found.get("ends", ()) for end in dict.fromkeys(both) if end is not None],
        facts=[*found.get("facts", ()), *found.get("facts of many", ())],
        mentions=[*found.get("mentions", ()), *found.get("mentions of many", ())],
        beside=[*found.get("after", ()), *found.get("before", ())],
        **{name: found.get(name, ()) for name in ("evidence", "similar", "mentioned", "stated")},
    )


# Which columns there are of each kind of the frontier.
_OF = {
    "fact": ("ends", "evidence"),
    "entity": ("facts", "facts of many", "mentions", "mentions of many", "similar"),
    "episode": ("mentioned", "stated"),
    "turn": ("after", "before"),
}


@lru_cache(maxsize=64)
def _statement(spaces: str, past: bool, wanted: tuple[str, ...]) -> str:
    columns = _columns(spaces, past)
    return f"{_frontier(spaces, past)} SELECT {', '.join(columns[name] for name in wanted)}"


def _frontier(spaces: str, past: bool) -> str:
    """What of it is readable, and how much an entity or a text has. What has more than :hub is cut to that."""
    of_entity = (
        "SELECT count(*) FROM (SELECT 1 FROM mention WHERE entity = e.id UNION ALL SELECT 1 FROM fact WHERE "
        "subject = e.id UNION ALL SELECT 1 FROM fact WHERE object = e.id LIMIT :hub + 1)"
    )
    of_episode = "SELECT count(*) FROM (SELECT 1 FROM mention WHERE episode = p.id LIMIT :hub + 1)"
    return (
        "WITH facts AS MATERIALIZED (SELECT f.id, f.subject, f.object FROM json_each(:facts) j "
        f"CROSS JOIN fact f ON f.id = j.value WHERE {counts('f', 'fact', spaces, past)}), "
        f"entities AS MATERIALIZED (SELECT e.id, ({of_entity}) <= :hub AS few FROM json_each(:entities) j "
        f"CROSS JOIN entity e ON e.id = j.value WHERE {counts('e', 'entity', spaces, past)}), "
        "few AS (SELECT id FROM entities WHERE few), "
        "many AS (SELECT id FROM entities WHERE NOT few AND id IN (SELECT value FROM json_each(:named))), "
        "episodes AS MATERIALIZED (SELECT p.id FROM json_each(:episodes) j CROSS JOIN episode p ON p.id = j.value "
        f"WHERE {counts('p', 'episode', spaces, past)} AND ({of_episode}) <= :hub), "
        "spoken AS (SELECT p.id, p.namespace, p.session, p.seq FROM json_each(:turns) j "
        f"CROSS JOIN episode p ON p.id = j.value WHERE {counts('p', 'episode', spaces, past)} "
        "AND p.session IS NOT NULL)"
    )


def _columns(spaces: str, past: bool) -> Mapping[str, str]:
    """By name; each is a list of lists as JSON."""
    fact, episode, entity = (
        counts(letter, kind, spaces, past) for letter, kind in (("f", "fact"), ("p", "episode"), ("e", "entity"))
    )

    def column(values: str, source: str) -> str:
        return f"(SELECT json_group_array(json_array({values})) FROM {source})"

    def union(*selects: str) -> str:
        return f"(SELECT json_group_array(json_array(a, b, c)) FROM ({' UNION ALL '.join(selects)}))"

    def newest(end: str) -> str:
        some = f"SELECT f.id FROM fact f WHERE f.{end} = x.id AND {fact} LIMIT :looked_at"
        return f"many x CROSS JOIN fact f ON f.id IN (SELECT id FROM ({some}) ORDER BY id DESC LIMIT :hub)"

    def beside(way: str, order: str) -> str:
        next = (
            "SELECT q.id FROM episode q WHERE q.namespace = o.namespace AND q.session = o.session "
            f"AND (q.seq, q.id) {way} (o.seq, o.id) AND {episode.replace('p.', 'q.')} "
            f"ORDER BY q.seq {order}, q.id {order} LIMIT {_TURNS}"
        )
        turn = f"row_number() OVER (PARTITION BY o.id ORDER BY p.seq {order}, p.id {order})"
        rows = (
            f"SELECT o.id AS one, p.id AS other, {turn} AS turn FROM spoken o CROSS JOIN episode p ON p.id IN ({next})"
        )
        return column("one, other, turn", f"({rows})")

    by_object = "f.subject <> f.object"
    newest_mentions = (
        f"SELECT m.episode FROM mention m JOIN episode p ON p.id = m.episode WHERE m.entity = x.id AND {episode} "
        "ORDER BY m.episode DESC LIMIT :hub"
    )
    return {
        "ends": column("id, subject, object", "facts"),
        "evidence": column(
            "v.fact, p.id",
            "facts x CROSS JOIN fact_evidence v ON v.fact = x.id CROSS JOIN episode p ON p.id = v.episode "
            f"WHERE {episode}",
        ),
        "facts": union(
            "SELECT f.subject AS a, f.id AS b, f.object AS c FROM few x CROSS JOIN fact f ON f.subject = x.id "
            f"WHERE {fact}",
            f"SELECT f.object, f.id, f.subject FROM few x CROSS JOIN fact f ON f.object = x.id WHERE {fact} "
            f"AND {by_object}",
        ),
        "facts of many": union(
            f"SELECT f.subject AS a, f.id AS b, f.object AS c FROM {newest('subject')} WHERE {fact}",
            f"SELECT f.object, f.id, f.subject FROM {newest('object')} WHERE {fact} AND {by_object}",
        ),
        "mentions": column(
            "m.entity, p.id",
            f"few x CROSS JOIN mention m ON m.entity = x.id CROSS JOIN episode p ON p.id = m.episode WHERE {episode}",
        ),
        "mentions of many": column("x.id, p.id", f"many x CROSS JOIN episode p ON p.id IN ({newest_mentions})"),
        "similar": union(
            "SELECT s.a AS a, e.id AS b, s.cosine AS c FROM few x CROSS JOIN entity_similar s ON s.a = x.id "
            f"CROSS JOIN entity e ON e.id = s.b WHERE {entity}",
            "SELECT s.b, e.id, s.cosine FROM few x CROSS JOIN entity_similar s ON s.b = x.id "
            f"CROSS JOIN entity e ON e.id = s.a WHERE {entity}",
        ),
        "mentioned": column(
            "m.episode, e.id",
            "episodes x CROSS JOIN mention m ON m.episode = x.id CROSS JOIN entity e ON e.id = m.entity "
            f"WHERE {entity}",
        ),
        "stated": column(
            "v.episode, f.id",
            "episodes x CROSS JOIN fact_evidence v ON v.episode = x.id CROSS JOIN fact f ON f.id = v.fact "
            f"WHERE {fact}",
        ),
        "after": beside(">", "ASC"),
        "before": beside("<", "DESC"),
    }
