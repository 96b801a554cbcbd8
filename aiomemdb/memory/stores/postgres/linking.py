"""What a frontier is linked to: one statement, however large it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...questions import Links, Node, When
from .asking import Asking
from .search import asked_with, counts, with_known

__all__ = ["around"]

# How many turns away a neighbour in a conversation is, at most.
_TURNS = 2

# What has more than :hub links is linked to everything, and says nothing.
_LINKS = (
    "(SELECT count(*) FROM ((SELECT 1 FROM aiomemdb.mention m WHERE m.namespace = e.namespace AND m.entity = e.id "
    "LIMIT :hub::bigint + 1) UNION ALL (SELECT 1 FROM aiomemdb.fact x WHERE x.namespace = e.namespace "
    "AND x.subject = e.id LIMIT :hub::bigint + 1) UNION ALL (SELECT 1 FROM aiomemdb.fact x "
    "WHERE x.namespace = e.namespace AND x.object = e.id LIMIT :hub::bigint + 1)) links)"
)
_MENTIONS = (
    "(SELECT count(*) FROM (SELECT 1 FROM aiomemdb.mention m WHERE m.namespace = p.namespace AND m.episode = p.id "
    "LIMIT :hub::bigint + 1) links)"
)


def _tables(when: When) -> list[str]:
    """The frontier, of what is there: facts, entities with few links and with many, texts with few."""
    return [
        "facts AS MATERIALIZED (SELECT f.id, f.namespace, f.subject, f.object FROM aiomemdb.fact f "
        f"WHERE f.id = ANY (:facts::bigint[]) AND {counts('f', 'fact', when)})",
        f"entities AS MATERIALIZED (SELECT e.id, e.namespace, {_LINKS} <= :hub::bigint AS few FROM aiomemdb.entity e "
        f"WHERE e.id = ANY (:entities::bigint[]) AND {counts('e', 'entity', when)})",
        f"texts AS MATERIALIZED (SELECT p.id, p.namespace FROM aiomemdb.episode p WHERE p.id = ANY (:texts::bigint[]) "
        f"AND {counts('p', 'episode', when)} AND {_MENTIONS} <= :hub::bigint)",
        "turns AS MATERIALIZED (SELECT p.id, p.namespace, p.session, p.seq FROM aiomemdb.episode p "
        f"WHERE p.id = ANY (:turns::bigint[]) AND p.session IS NOT NULL AND {counts('p', 'episode', when)})",
    ]


def _of_entities(when: When) -> dict[str, str]:
    """What entities are linked to, each the query that finds it: (from, to, a third one or None, cosine or None)."""
    f, p, e = counts("f", "fact", when), counts("p", "episode", when), counts("e", "entity", when)
    found: dict[str, str] = {}
    for end, other in (("subject", "object"), ("object", "subject")):
        once = "" if end == "subject" else "AND f.subject IS DISTINCT FROM f.object"
        found[f"facts by {end}"] = (
            f"SELECT j.id, f.id, f.{other}, NULL::float8 FROM entities j JOIN aiomemdb.fact f ON "
            "f.namespace = j.namespace "
            f"AND f.{end} = j.id WHERE j.few AND {f} {once}"
        )
        # Of what is named the newest ones are followed all the same.
        found[f"facts by {end} newest"] = (
            f"SELECT j.id, f.id, f.{other}, NULL::float8 FROM entities j CROSS JOIN LATERAL (SELECT f.id, f.{other} "
            f"FROM aiomemdb.fact f WHERE f.namespace = j.namespace AND f.{end} = j.id AND {f} {once} "
            "ORDER BY f.id DESC LIMIT :hub::bigint) f WHERE NOT j.few AND j.id = ANY (:named::bigint[])"
        )
        one, another = ("a", "b") if end == "subject" else ("b", "a")
        found[f"similar by {one}"] = (
            "SELECT j.id, e.id, NULL::bigint, s.cosine FROM entities j JOIN aiomemdb.entity_similar s "
            "ON s.namespace = j.namespace "
            f"AND s.{one} = j.id JOIN aiomemdb.entity e ON e.namespace = s.namespace AND e.id = s.{another} "
            f"WHERE j.few AND {e}"
        )
    found["mentions"] = (
        "SELECT j.id, p.id, NULL::bigint, NULL::float8 FROM entities j JOIN aiomemdb.mention m ON "
        "m.namespace = j.namespace "
        "AND m.entity = j.id JOIN aiomemdb.episode p ON p.namespace = m.namespace AND p.id = m.episode "
        f"WHERE j.few AND {p}"
    )
    found["mentions newest"] = (
        "SELECT j.id, l.id, NULL::bigint, NULL::float8 FROM entities j CROSS JOIN LATERAL (SELECT "
        "p.id FROM aiomemdb.mention m "
        "JOIN aiomemdb.episode p ON p.namespace = m.namespace AND p.id = m.episode WHERE m.namespace = j.namespace "
        f"AND m.entity = j.id AND {p} ORDER BY m.episode DESC LIMIT :hub::bigint) l "
        "WHERE NOT j.few AND j.id = ANY (:named::bigint[])"
    )
    return found


def _of_others(when: When) -> dict[str, str]:
    """What facts, texts and turns of a conversation are linked to."""
    f, p, e = counts("f", "fact", when), counts("p", "episode", when), counts("e", "entity", when)
    found = {
        "ends": (
            "SELECT j.id, x.id, x.at::bigint, NULL::float8 FROM facts j CROSS JOIN LATERAL (VALUES "
            "(j.subject, 0), (j.object, 1)) "
            "x (id, at) WHERE x.id IS NOT NULL AND (x.at = 0 OR x.id <> j.subject)"
        ),
        "evidence": (
            "SELECT j.id, p.id, NULL::bigint, NULL::float8 FROM facts j JOIN aiomemdb.fact_evidence v "
            "ON v.namespace = j.namespace "
            f"AND v.fact = j.id JOIN aiomemdb.episode p ON p.namespace = v.namespace AND p.id = v.episode WHERE {p}"
        ),
        "mentioned": (
            "SELECT j.id, e.id, NULL::bigint, NULL::float8 FROM texts j JOIN aiomemdb.mention m ON "
            "m.namespace = j.namespace "
            f"AND m.episode = j.id JOIN aiomemdb.entity e ON e.namespace = m.namespace AND e.id = m.entity WHERE {e}"
        ),
        "stated": (
            "SELECT j.id, f.id, NULL::bigint, NULL::float8 FROM texts j JOIN aiomemdb.fact_evidence v "
            "ON v.namespace = j.namespace "
            f"AND v.episode = j.id JOIN aiomemdb.fact f ON f.namespace = v.namespace AND f.id = v.fact WHERE {f}"
        ),
    }
    # The next texts of a session, and those before; of those at one place the lower id comes first.
    for way, order in ((">", "ASC"), ("<", "DESC")):
        found[f"beside {order}"] = (
            "SELECT j.id, l.id, l.away, NULL::float8 FROM turns j CROSS JOIN LATERAL (SELECT p.id, "
            f"row_number() OVER (ORDER BY p.seq {order}, p.id {order}) AS away FROM aiomemdb.episode p "
            "WHERE p.namespace = j.namespace AND md5(p.session) = md5(j.session) AND p.session = j.session "
            f"AND (p.seq, p.id) {way} (j.seq, j.id) AND {p} ORDER BY p.seq {order}, p.id {order} LIMIT {_TURNS}) l"
        )
    return found


# Of what in a frontier each link is.
_OF = {
    "ends": "fact",
    "evidence": "fact",
    "facts": "entity",
    "mentions": "entity",
    "similar": "entity",
    "mentioned": "episode",
    "stated": "episode",
    "beside": "turn",
}


async def around(
    asking: Asking,
    namespaces: Sequence[str],
    frontier: Sequence[Node],
    turns: Sequence[int],
    when: When,
    hub: int,
    named: Sequence[int],
) -> Links:
    ids = {kind: [id for of, id in frontier if of == kind] for kind in ("fact", "entity", "episode")}
    parts: dict[str, str] = {}
    if ids["entity"]:
        parts |= _of_entities(when)
    if ids["fact"] or ids["episode"] or turns:
        parts |= _of_others(when)
    if not parts:
        return Links()
    # Each query has its number, and what it finds an order.
    names = list(parts)
    union = " UNION ALL ".join(
        f"SELECT {at}, l.* FROM ({parts[name]}) l (one, other, third, cosine)" for at, name in enumerate(names)
    )
    rows = await asking.rows(
        f"{with_known(when, *_tables(when))} SELECT * FROM ({union}) l (part, one, other, third, cosine) "
        "ORDER BY part, one, other",
        **asked_with(namespaces, when),
        facts=ids["fact"],
        entities=ids["entity"],
        texts=ids["episode"],
        turns=list(turns),
        named=list(named),
        hub=hub,
    )
    found: dict[str, list[Any]] = {}
    for part, one, other, third, cosine in rows:
        found.setdefault(names[part].partition(" ")[0], []).append((one, other, third, cosine))

    # As they come where the frontier is walked in its order: of equal ways the first one counts.
    places = {name: {id: at for at, id in enumerate(those)} for name, those in (*ids.items(), ("turn", turns))}
    for name, links in found.items():
        place, own = places[_OF[name]], name in ("ends", "beside")
        links.sort(key=lambda link: (place[link[0]], link[2] if own else 0))

    def pairs(name: str) -> list[tuple[int, int]]:
        return [(one, other) for one, other, _, _ in found.get(name, ())]

    return Links(
        ends=pairs("ends"),
        evidence=pairs("evidence"),
        facts=[(one, fact, other) for one, fact, other, _ in found.get("facts", ())],
        mentions=pairs("mentions"),
        similar=[(one, other, cosine) for one, other, _, cosine in found.get("similar", ())],
        mentioned=pairs("mentioned"),
        stated=pairs("stated"),
        beside=[(one, other, away) for one, other, away, _ in found.get("beside", ())],
    )
