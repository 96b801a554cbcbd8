"""What recall asks: words by BM25 over tables of words, names, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...questions import ByWords, Found, Node, When
from ...records import entity_of, episode_of, evidence_of, fact_of
from ...values import Entity, Episode, Fact
from ...words import RARE, Asked, choose, counted, is_begin, passing
from ..columns import ENTITY, EPISODE, EVIDENCE, FACT
from ..counting import believed, holds
from .asking import Asking
from .statements import Statement, rows_from, statement
from .states import KNOWN, SPACES, as_known, known_of
from .tokens import tokens

__all__ = ["named", "read", "sources", "there", "words"]

# A row in which a word is takes some microseconds to be ranked: so many take some milliseconds.
_RANKED = 5_000
# Of so many of the best it is told which words they have.
_BEST = 5
_LETTERS = {"fact": "f", "episode": "p", "entity": "e"}


def counts(table: str, kind: str, when: When) -> str:
    """Which rows of a table count: readable, believed and holding. It names ``:spaces`` and ``:as_of``, and of a time
    the table ``known`` (``states.KNOWN``).
    """
    known = None if when.known is None else known_of(table)
    conditions = [f"{table}.namespace = {SPACES}", believed(table, kind, known)]
    if kind == "fact":
        conditions.append(holds(table, ":as_of::bigint"))
    return " AND ".join(conditions)


def asked_with(namespaces: Sequence[str], when: When) -> dict[str, Any]:
    """The parameters of ``counts``."""
    return {"spaces": list(namespaces), "as_of": when.as_of, **as_known(when.known)}


def with_known(when: When, *others: str) -> str:
    """The table expressions that a statement begins with."""
    tables = [*([] if when.known is None else [KNOWN]), *others]
    return f"WITH {', '.join(tables)} " if tables else ""


# -- words -------------------------------------------------------------------------------------------------------------

_HITS = "hits (number, namespace, ref, believed, length, often)"
# A word of a question is a token, the begin of some, or several in their order: (number, size, place, token).
_PARTS = "number size place word"
# Where each word of a question is: in which rows, how often, and how many words these have.
_SINGLE = (
    "SELECT r.number, w.namespace, w.ref, w.believed, w.length, cardinality(w.positions) AS often FROM parts r "
    "JOIN aiomemdb.{kind}_word w ON w.word = r.word WHERE r.size = 1"
)
_BEGIN = (
    "SELECT r.number, w.namespace, w.ref, bool_and(w.believed), max(w.length), sum(cardinality(w.positions)) "
    "FROM parts r JOIN aiomemdb.{kind}_word w ON w.word >= r.word AND w.word < r.word || chr(1114111) "
    "WHERE r.size = 0 GROUP BY 1, 2, 3"
)
_PHRASE = (
    "SELECT s.number, s.namespace, s.ref, bool_and(s.believed), max(s.length), count(*) FROM ("
    "SELECT r.number, w.namespace, w.ref, bool_and(w.believed) AS believed, max(w.length) AS length "
    "FROM parts r JOIN aiomemdb.{kind}_word w ON w.word = r.word CROSS JOIN unnest(w.positions) AS p (at) "
    "WHERE r.size > 1 GROUP BY r.number, r.size, w.namespace, w.ref, p.at - r.place HAVING count(*) = r.size) s "
    "GROUP BY 1, 2, 3"
)


def _parts(asked: Iterable[str]) -> list[tuple[int, int, int, str]]:
    found: list[tuple[int, int, int, str]] = []
    for number, word in enumerate(asked):
        pieces = tokens(word)
        size = 0 if is_begin(word) else len(pieces)
        found += [(number, size, place, piece) for place, piece in enumerate(pieces)]
    return found


def _wheres(parts: Sequence[tuple[int, int, int, str]], kind: str) -> str:
    """Where the words are: only what they need is asked."""
    sizes = {size for _, size, _, _ in parts}
    forms = [(_SINGLE, 1 in sizes), (_BEGIN, 0 in sizes), (_PHRASE, any(size > 1 for size in sizes))]
    return " UNION ALL ".join(form.format(kind=kind) for form, needed in forms if needed)


async def words(
    asking: Asking, namespaces: Sequence[str], kind: str, asked: Sequence[Asked], when: When, limit: int
) -> ByWords:
    if not asked:
        return ByWords()
    found, readable = await _count(asking, namespaces, kind, counted(asked), when)
    # A common word is in very many rows. That it is in a few is all that is to be known.
    common = passing(asked)
    most = RARE if any(count for word, count in found.items() if word not in common) else _RANKED
    capped = {word: min(count, (most if word in common else _RANKED) + 1) for word, count in found.items()}
    chosen = choose(asked, capped, _RANKED)
    if not chosen:
        return ByWords(counts=capped, readable=readable)
    best = await _rank(asking, namespaces, kind, chosen, when, limit)
    held = {id: [chosen[number] for number in numbers] for id, _, numbers in best[:_BEST]}
    return ByWords([(id, score) for id, score, _ in best], chosen, capped, readable, held)


async def _count(
    asking: Asking, namespaces: Sequence[str], kind: str, asked: Sequence[str], when: When
) -> tuple[dict[str, int], int]:
    """In how many readable rows each word is; how many of those there are."""
    parts = _parts(asked)
    found = dict.fromkeys(asked, 0)
    which, rows_of = ("AND h.believed", "believed_rows") if when.known is None else ("", "rows")
    statements = [
        statement(
            f"SELECT coalesce(sum(m.{rows_of}), 0)::bigint FROM aiomemdb.memory_words m WHERE m.namespace = {SPACES} "
            "AND m.kind = :kind::text",
            {"spaces": list(namespaces), "kind": kind},
        )
    ]
    if parts:
        source, params = rows_from(_PARTS, parts)
        sql = (
            f"WITH parts AS (SELECT * FROM {source}), {_HITS} AS ({_wheres(parts, kind)}) "
            f"SELECT h.number, count(*) FROM hits h WHERE h.namespace = {SPACES} {which} GROUP BY h.number"
        )
        statements.append(statement(sql, {**params, "spaces": list(namespaces)}))
    results = await asking.all(statements)
    for result in results[1:]:
        found |= {asked[number]: count for number, count in result.rows}
    return found, results[0].rows[0][0]


# As FTS5 ranks (https://www.sqlite.org/fts5.html, 5.1.1). Beside its words a row has there one for its namespace, and
# one more if it is believed.
_K1, _B = 1.2, 0.75
_TOTALS = (
    "totals AS MATERIALIZED (SELECT sum(m.rows)::float8 AS rows, "
    "(sum(m.words_count) + sum(m.rows) + sum(m.believed_rows))::float8 / sum(m.rows)::float8 AS average "
    "FROM aiomemdb.memory_words m WHERE m.kind = :kind)"
)
_WEIGHTS = (
    "weights AS MATERIALIZED (SELECT h.number, greatest(ln((t.rows - count(*) + 0.5) / (count(*) + 0.5)), 0.000001) "
    "AS weight FROM hits h CROSS JOIN totals t GROUP BY h.number, t.rows)"
)
_SCORE = (
    f"i.weight * (h.often * ({_K1} + 1.0)) / "
    f"(h.often + {_K1} * (1 - {_B} + {_B} * (h.length + 1 + h.believed::int) / t.average))"
)


async def _rank(
    asking: Asking, namespaces: Sequence[str], kind: str, chosen: Sequence[str], when: When, limit: int
) -> list[tuple[int, float, list[int]]]:
    """(id, BM25, which of the words it has), best first."""
    parts = _parts(chosen)
    source, params = rows_from(_PARTS, parts)
    letter = _LETTERS[kind]
    tables = (
        f"parts AS (SELECT * FROM {source})",
        f"{_HITS} AS MATERIALIZED ({_wheres(parts, kind)})",
        _TOTALS,
        _WEIGHTS,
        # Added in one order, so that equal rows are equal.
        f"scores AS (SELECT h.namespace, h.ref, sum(({_SCORE})::float8 ORDER BY h.number) AS score, "
        "array_agg(h.number ORDER BY h.number) AS numbers FROM hits h "
        f"JOIN weights i ON i.number = h.number CROSS JOIN totals t WHERE h.namespace = {SPACES} GROUP BY 1, 2)",
    )
    rows = await asking.rows(
        f"{with_known(when, *tables)} SELECT s.ref, s.score, s.numbers FROM scores s JOIN aiomemdb.{kind} {letter} "
        f"ON {letter}.namespace = s.namespace AND {letter}.id = s.ref WHERE {counts(letter, kind, when)} "
        "ORDER BY s.score DESC, s.ref DESC LIMIT :limit::bigint",
        **params,
        **asked_with(namespaces, when),
        kind=kind,
        limit=limit,
    )
    # With fifteen digits, as it comes from SQLite: what differs by less is equal.
    found = [(ref, float(f"{score:.15g}"), numbers) for ref, score, numbers in rows]
    return sorted(found, key=lambda one: (-one[1], -one[0]))


# -- names, links ------------------------------------------------------------------------------------------------------


async def named(asking: Asking, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
    rows = await asking.rows(
        "SELECT a.key, a.entity FROM unnest(:keys::text[]) WITH ORDINALITY AS r (key, ord) "
        f"JOIN aiomemdb.entity_alias a ON a.namespace = {SPACES} AND md5(a.key) = md5(r.key) AND a.key = r.key "
        "ORDER BY r.ord, a.entity",
        keys=list(keys),
        spaces=list(namespaces),
    )
    return [(row[0], row[1]) for row in rows]


async def sources(asking: Asking, namespaces: Sequence[str], episodes: Sequence[int]) -> dict[int, str]:
    rows = await asking.rows(
        f"SELECT p.id, p.source FROM aiomemdb.episode p WHERE p.namespace = {SPACES} "
        "AND p.id = ANY (:ids::bigint[]) AND p.source IS NOT NULL",
        spaces=list(namespaces),
        ids=list(episodes),
    )
    return {row[0]: row[1] for row in rows}


async def there(asking: Asking, namespaces: Sequence[str], kind: str, ids: Iterable[int], when: When) -> set[int]:
    rows = await asking.rows(
        f"{with_known(when)} SELECT t.id FROM aiomemdb.{kind} t WHERE t.id = ANY (:ids::bigint[]) "
        f"AND {counts('t', kind, when)}",
        ids=list(ids),
        **asked_with(namespaces, when),
    )
    return {row[0] for row in rows}


_READ = {
    "fact": (FACT, fact_of),
    "episode": (EPISODE, episode_of),
    "entity": (ENTITY, entity_of),
}


async def read(asking: Asking, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
    """One round trip: what there is of each kind, and the facts' evidence."""
    kinds = dict.fromkeys(kind for kind, _ in nodes)
    statements: list[Statement] = []
    params = asked_with(namespaces, when)
    for kind in kinds:
        letter, ids = _LETTERS[kind], [id for of, id in nodes if of == kind]
        statements.append(
            statement(
                f"{with_known(when)} SELECT {_READ[kind][0]} FROM aiomemdb.{kind} {letter} "
                f"JOIN aiomemdb.memory_namespace n ON n.id = {letter}.namespace "
                f"WHERE {letter}.id = ANY (:ids::bigint[]) AND {counts(letter, kind, when)} ORDER BY {letter}.id",
                {**params, "ids": ids},
            )
        )
    if "fact" in kinds:
        statements.append(
            statement(
                f"SELECT {EVIDENCE} FROM aiomemdb.fact_evidence v WHERE v.namespace = {SPACES} "
                "AND v.fact = ANY (:ids::bigint[]) ORDER BY v.id",
                {**params, "ids": [id for of, id in nodes if of == "fact"]},
            )
        )
    results = await asking.all(statements)
    items: dict[Node, Fact | Episode | Entity] = {}
    for kind, result in zip(kinds, results, strict=False):
        value_of: Any = _READ[kind][1]
        items |= {(kind, row[0]): value_of(*row) for row in result.rows}
    evidence: dict[int, list[Any]] = {}
    for row in results[-1].rows if "fact" in kinds else ():
        if ("fact", row[1]) in items:
            evidence.setdefault(row[1], []).append(evidence_of(*row))
    return Found(items, evidence)
