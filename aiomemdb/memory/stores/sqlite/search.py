"""What recall asks of SQLite: FTS5 for words, indexes for names and links."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ...questions import ByWords, Found, Links, Node, When
from ...records import entity_of, episode_of, evidence_of, fact_of
from ...values import Entity, Episode, Fact
from ...words import MARK, RARE, Asked, choose, counted, is_begin, passing
from .indexing import unindexed
from .rows import ENTITY, EPISODE, EVIDENCE, FACT, json_list
from .setwise import load
from .states import as_known, known_from, known_still

__all__ = ["around", "named", "read", "sources", "string", "there", "words"]

# FTS5 ranks every row in which a word is, and that takes some 2.5 us a row: so many take 12 ms, however large the file
# is. Counting them takes a hundredth of that.
_RANKED = 5_000
# Of so many of the best it is looked at which words they have. Four times as many change no figure by half a point.
_BEST = 5


def words(
    conn: sqlite3.Connection, namespaces: Sequence[str], kind: str, asked: Sequence[Asked], when: When, limit: int
) -> ByWords:
    """FTS5 returns its rows best first, so the join that finds which of them count ends with the last one wanted."""
    spaces = _spaces(conn, namespaces)
    if not spaces or not asked:
        return ByWords()
    scope = " OR ".join(f'"{MARK}{"b" if when.known is None else "n"}{space}"' for space in spaces.split(", "))
    before = [f"{kind}_words"] if kind in unindexed(conn) else []
    indexes, sought = [f"{kind}_search", *before], counted(asked)
    # A common word is in very many rows. That it is in a few is soon known.
    common = passing(asked)
    counts = _count(conn, indexes, [word for word in sought if word not in common], _RANKED, scope)
    counts |= _count(conn, indexes, sorted(common), RARE if any(counts.values()) else _RANKED, scope)
    chosen = choose(asked, counts, _RANKED)
    [readable] = conn.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM {kind}_search WHERE {kind}_search MATCH ? LIMIT ?)", (scope, _RANKED + 1)
    ).fetchone()
    if not chosen:
        return ByWords(counts=counts, readable=readable)
    strings = " OR ".join(map(string, chosen))
    # To rank by the scope takes a look at all that is in it: it pays where others have more rows than there are here.
    everywhere = _count(conn, indexes, chosen, _RANKED)
    scoped = max(everywhere.values()) > _RANKED
    ranked = [(f"{kind}_search", f"({strings}) AND ({scope})" if scoped else strings, "t.terms IS NOT NULL")]
    ranked += [(index, strings, "t.terms IS NULL") for index in before]
    found: list[tuple[int, float]] = []
    for index, match, rows in ranked:
        weights = "AND w.rank MATCH 'bm25(1.0, 1.0, 0.0)'" if rows == "t.terms IS NOT NULL" else ""
        [text] = conn.execute(
            f"SELECT json_group_array(json_array(id, score)) FROM (SELECT t.id, -w.rank AS score FROM {index} w "
            f"CROSS JOIN {kind} t ON t.id = w.rowid WHERE {index} MATCH :words {weights} AND {rows} "
            f"AND {_counts('t', kind, spaces, when)} ORDER BY w.rank LIMIT :limit)",
            {"words": match, "limit": limit, "as_of": when.as_of, **as_known(when.known)},
        ).fetchone()
        found += [(id, score) for id, score in json.loads(text)]
    best = sorted(found, key=lambda one: (-one[1], -one[0]))[:limit]
    held = _held(conn, indexes, chosen, [id for id, _ in best[:_BEST]])
    return ByWords(best, chosen, counts, readable, held)


def _held(
    conn: sqlite3.Connection, indexes: Sequence[str], words: Sequence[str], ids: Sequence[int]
) -> dict[int, list[str]]:
    """Which of the words each row has."""
    held: dict[int, list[str]] = {id: [] for id in ids}
    for index in indexes:
        [text] = conn.execute(
            "SELECT json_group_array(json_array(i.value, j.key)) FROM json_each(:words) j CROSS JOIN json_each(:ids) i "
            f"CROSS JOIN {index} w WHERE {index} MATCH j.value AND w.rowid = i.value",
            {"words": json_list(map(string, words)), "ids": json_list(ids)},
        ).fetchone()
        for id, place in json.loads(text):
            held[id].append(words[place])
    return held


def string(word: str) -> str:
    """An FTS5 string, in which nothing is syntax (https://www.sqlite.org/fts5.html, 3.1)."""
    escaped = word.replace('"', '""')
    return f'"{escaped}" *' if is_begin(word) else f'"{escaped}"'


def _count(
    conn: sqlite3.Connection, indexes: Sequence[str], words: Sequence[str], most: int, scope: str = ""
) -> dict[str, int]:
    """In how many rows of a scope each word is; up to one more than ``most``, in each index."""
    if not words:
        return {}
    # What an index of an earlier version has, has no scope.
    given = [[f"{one} AND ({scope})" if scope else one, one] for one in map(string, words)]
    counts = " + ".join(
        f"(SELECT count(*) FROM (SELECT 1 FROM {index} WHERE {index} MATCH j.value->>{int(index.endswith('_words'))} "
        "LIMIT :most))"
        for index in indexes
    )
    [text] = conn.execute(
        f"SELECT json_group_array(json_array(j.key, {counts})) FROM json_each(:words) j",
        {"words": json.dumps(given), "most": most + 1},
    ).fetchone()
    return {words[place]: count for place, count in json.loads(text)}


def named(conn: sqlite3.Connection, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
    rows = conn.execute(
        "SELECT a.key, a.entity FROM memory_namespace n CROSS JOIN json_each(?) j "
        "CROSS JOIN entity_alias a ON a.namespace = n.id AND a.key = j.value "
        "WHERE n.name IN (SELECT value FROM json_each(?)) ORDER BY j.key, a.entity",
        (json_list(keys), json_list(namespaces)),
    )
    return [(row[0], row[1]) for row in rows.fetchall()]


def around(
    conn: sqlite3.Connection,
    namespaces: Sequence[str],
    frontier: Sequence[Node],
    turns: Sequence[int],
    when: When,
    hub: int,
    named: Sequence[int],
) -> Links:
    spaces = _spaces(conn, namespaces)
    if not spaces:
        return Links()
    params = {"as_of": when.as_of, **as_known(when.known), "hub": hub, "looked_at": _LOOKED_AT}
    counts = {letter: _counts(letter, kind, spaces, when) for letter, kind in _KINDS.items()}

    def rows(ids: str, select: str, source: str, *condition: str) -> list[Any]:
        """``source`` joins the frontier ``j``; where that is empty, there is nothing to ask."""
        if ids == "[]":
            return []
        where = " AND ".join(counts.get(each, each) for each in condition)
        sql = f"SELECT {select} FROM json_each(:ids) j CROSS JOIN {source} WHERE {where}"
        return [tuple(row) for row in conn.execute(sql, {**params, "ids": ids}).fetchall()]

    facts, there_now, episodes = (
        there(conn, namespaces, kind, [id for of, id in frontier if of == kind], when)
        for kind in ("fact", "entity", "episode")
    )
    spoken = json_list(sorted(there(conn, namespaces, "episode", turns, when)))
    few = _few(conn, _FEW_LINKS_OF_ENTITY, there_now, hub)
    many = json_list(sorted(there_now.intersection(named).difference(few)))
    entities, talkative = json_list(few), json_list(_few(conn, _FEW_LINKS_OF_EPISODE, episodes, hub))
    ends = rows(json_list(sorted(facts)), "f.id, f.subject, f.object", "fact f ON f.id = j.value", "f")
    return Links(
        ends=[(id, end) for id, *both in ends for end in dict.fromkeys(both) if end is not None],
        evidence=rows(
            json_list(sorted(facts)),
            "v.fact, p.id",
            "fact_evidence v ON v.fact = j.value JOIN episode p ON p.id = v.episode",
            "p",
        ),
        facts=[
            *rows(entities, "f.subject, f.id, f.object", "fact f ON f.subject = j.value", "f"),
            *rows(entities, "f.object, f.id, f.subject", "fact f ON f.object = j.value", "f", "f.subject <> f.object"),
            *rows(many, "f.subject, f.id, f.object", _newest("subject", counts["f"]), "f"),
            *rows(many, "f.object, f.id, f.subject", _newest("object", counts["f"]), "f", "f.subject <> f.object"),
        ],
        mentions=[
            *rows(
                entities, "m.entity, p.id", "mention m ON m.entity = j.value JOIN episode p ON p.id = m.episode", "p"
            ),
            *rows(many, "j.value, p.id", f"episode p ON p.id IN ({_NEWEST_MENTIONS} {counts['p']} {_NEWEST})", "p"),
        ],
        similar=[
            *rows(
                entities, "s.a, e.id, s.cosine", "entity_similar s ON s.a = j.value JOIN entity e ON e.id = s.b", "e"
            ),
            *rows(
                entities, "s.b, e.id, s.cosine", "entity_similar s ON s.b = j.value JOIN entity e ON e.id = s.a", "e"
            ),
        ],
        mentioned=rows(
            talkative, "m.episode, e.id", "mention m ON m.episode = j.value JOIN entity e ON e.id = m.entity", "e"
        ),
        stated=rows(
            talkative, "v.episode, f.id", "fact_evidence v ON v.episode = j.value JOIN fact f ON f.id = v.fact", "f"
        ),
        beside=[
            *_beside(conn, spoken, ">", "ASC", counts, params),
            *_beside(conn, spoken, "<", "DESC", counts, params),
        ],
    )


# What has more than :hub links is linked to everything, and says nothing.
_FEW_LINKS_OF_ENTITY = (
    "SELECT j.value FROM json_each(:ids) j WHERE (SELECT count(*) FROM ("
    "SELECT 1 FROM mention WHERE entity = j.value UNION ALL SELECT 1 FROM fact WHERE subject = j.value "
    "UNION ALL SELECT 1 FROM fact WHERE object = j.value LIMIT :hub + 1)) <= :hub"
)
_FEW_LINKS_OF_EPISODE = (
    "SELECT j.value FROM json_each(:ids) j "
    "WHERE (SELECT count(*) FROM (SELECT 1 FROM mention WHERE episode = j.value LIMIT :hub + 1)) <= :hub"
)
_NEWEST_MENTIONS = "SELECT m.episode FROM mention m JOIN episode p ON p.id = m.episode WHERE m.entity = j.value AND"
_NEWEST = "ORDER BY m.episode DESC LIMIT :hub"
# Facts of an entity among which the newest are looked for: no index has them in their order.
_LOOKED_AT = 1_000


def _few(conn: sqlite3.Connection, sql: str, ids: Iterable[int], hub: int) -> list[int]:
    return [row[0] for row in conn.execute(sql, {"ids": json_list(sorted(ids)), "hub": hub}).fetchall()]


def _newest(end: str, counts: str) -> str:
    """A join with the newest facts of an entity."""
    some = f"SELECT f.id FROM fact f WHERE f.{end} = j.value AND {counts} LIMIT :looked_at"
    return f"fact f ON f.id IN (SELECT id FROM ({some}) ORDER BY id DESC LIMIT :hub)"


def _beside(
    conn: sqlite3.Connection, spoken: str, way: str, order: str, counts: Mapping[str, str], params: Mapping[str, Any]
) -> list[tuple[int, int, int]]:
    """The next two texts of a session, or the two before; of those at one place the lower id comes first."""
    if spoken == "[]":
        return []
    sql = (
        f"SELECT o.id, p.id, row_number() OVER (PARTITION BY o.id ORDER BY p.seq {order}, p.id {order}) "
        "FROM json_each(:ids) j CROSS JOIN episode o ON o.id = j.value CROSS JOIN episode p ON p.id IN ("
        "SELECT q.id FROM episode q WHERE q.namespace = o.namespace AND q.session = o.session "
        f"AND (q.seq, q.id) {way} (o.seq, o.id) AND {counts['p'].replace('p.', 'q.')} "
        f"ORDER BY q.seq {order}, q.id {order} LIMIT {_TURNS})"
    )
    return [tuple(row) for row in conn.execute(sql, {**params, "ids": spoken}).fetchall()]


# How many turns away a neighbour in a conversation is, at most.
_TURNS = 2


def sources(conn: sqlite3.Connection, episodes: Sequence[int]) -> dict[int, str]:
    source = "{rows} r CROSS JOIN episode p ON p.id = r.id WHERE p.source IS NOT NULL"
    return {id: of for id, of in load(conn, "p.id, p.source", source, {}, "id", [(id,) for id in episodes])}


def there(conn: sqlite3.Connection, namespaces: Sequence[str], kind: str, ids: Iterable[int], when: When) -> set[int]:
    spaces = _spaces(conn, namespaces)
    if not spaces:
        return set()
    rows = conn.execute(
        f"SELECT t.id FROM json_each(:ids) j CROSS JOIN {kind} t ON t.id = j.value "
        f"WHERE {_counts('t', kind, spaces, when)}",
        {"ids": json_list(ids), "as_of": when.as_of, **as_known(when.known)},
    )
    return {row[0] for row in rows.fetchall()}


def read(conn: sqlite3.Connection, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
    spaces = _spaces(conn, namespaces)
    if not spaces:
        return Found()
    items: dict[Node, Fact | Episode | Entity] = {}
    for kind, letter, columns, value_of in (
        ("fact", "f", FACT, fact_of),
        ("episode", "p", EPISODE, episode_of),
        ("entity", "e", ENTITY, entity_of),
    ):
        rows = conn.execute(
            f"SELECT {columns} FROM json_each(:ids) j CROSS JOIN {kind} {letter} ON {letter}.id = j.value "
            f"JOIN memory_namespace n ON n.id = {letter}.namespace WHERE {_counts(letter, kind, spaces, when)}",
            {
                "ids": json_list(id for of, id in nodes if of == kind),
                "as_of": when.as_of,
                **as_known(when.known),
            },
        )
        items |= {(kind, row[0]): value_of(*row) for row in rows.fetchall()}
    evidence: dict[int, list[Any]] = {}
    rows = conn.execute(
        f"SELECT {EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.fact = j.value ORDER BY v.id",
        (json_list(id for kind, id in items if kind == "fact"),),
    )
    for row in rows.fetchall():
        evidence.setdefault(row[1], []).append(evidence_of(*row))
    return Found(items, evidence)


_KINDS = {"f": "fact", "p": "episode", "e": "entity"}


def _spaces(conn: sqlite3.Connection, namespaces: Iterable[str]) -> str:
    """The ids of namespaces, for ``IN (...)``."""
    rows = conn.execute(
        "SELECT id FROM memory_namespace WHERE name IN (SELECT value FROM json_each(?))", (json_list(namespaces),)
    ).fetchall()
    return ", ".join(str(row[0]) for row in rows)


def _counts(table: str, kind: str, spaces: str, when: When) -> str:
    """Which rows of a table count: readable, believed and holding. Its parameters are :as_of, :known and :past.

    The ``+`` keeps the planner from walking through all of a namespace.
    """
    conditions = [f"+{table}.namespace IN ({spaces})"]
    if kind == "entity":  # a merged one is no more, whenever one asks: what was known of it is the other's
        conditions.append(f"{table}.merged_into IS NULL")
    elif when.known is None:
        conditions.append(f"{table}.expired_at IS NULL")
    else:
        conditions.append(known_still(table, ":known", ":past"))
    if when.known is not None:
        conditions.append(known_from(table, ":known", ":past"))
    if kind == "fact":
        conditions.append(f"({table}.valid_at IS NULL OR {table}.valid_at <= :as_of)")
        conditions.append(f"({table}.invalid_at IS NULL OR {table}.invalid_at > :as_of)")
    return " AND ".join(conditions)
