"""What recall asks: words by BM25 over tables of words, names, links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

from ...questions import ByWords, Found, Kind, Node, When
from ...records import evidence_by_fact, nodes_of
from ...values import Entity, Episode, Fact
from ...words import RARE, Asked, choose, counted, is_begin, passing
from ..columns import ENTITY, EPISODE, EVIDENCE, FACT
from ..counting import believed, holds
from .asking import Asking
from .statements import Statement, rows_from, statement
from .states import KNOWN, SPACES, as_known, known_of
from .tokens import tokens

__all__ = ["Beside", "count", "read", "sources", "there", "together", "words"]

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

_HITS = "(number, namespace, ref, believed, length, often)"
# A word of a question is a token, the begin of some, or several in their order: (kind, number, size, place, token).
_PARTS = "kind number size place word"
_PARTS_OF = "(SELECT * FROM parts WHERE kind = '{kind}') r"
# Where each word of a question is: in which rows, how often, and how many words these have.
_SINGLE = (
    f"SELECT r.number, w.namespace, w.ref, w.believed, w.length, cardinality(w.positions) AS often FROM {_PARTS_OF} "
    "JOIN aiomemdb.{kind}_word w ON w.word = r.word WHERE r.size = 1"
)
_BEGIN = (
    "SELECT r.number, w.namespace, w.ref, bool_and(w.believed), max(w.length), sum(cardinality(w.positions)) "
    f"FROM {_PARTS_OF} JOIN aiomemdb.{{kind}}_word w ON w.word >= r.word AND w.word < r.word || chr(1114111) "
    "WHERE r.size = 0 GROUP BY 1, 2, 3"
)
_PHRASE = (
    "SELECT s.number, s.namespace, s.ref, bool_and(s.believed), max(s.length), count(*) FROM ("
    "SELECT r.number, w.namespace, w.ref, bool_and(w.believed) AS believed, max(w.length) AS length "
    f"FROM {_PARTS_OF} JOIN aiomemdb.{{kind}}_word w ON w.word = r.word CROSS JOIN unnest(w.positions) AS p (at) "
    "WHERE r.size > 1 GROUP BY r.number, r.size, w.namespace, w.ref, p.at - r.place HAVING count(*) = r.size) s "
    "GROUP BY 1, 2, 3"
)

_Part: TypeAlias = tuple[str, int, int, int, str]


def _parts(kind: str, asked: Iterable[str]) -> list[_Part]:
    found: list[_Part] = []
    for number, word in enumerate(asked):
        pieces = tokens(word)
        size = 0 if is_begin(word) else len(pieces)
        found += [(kind, number, size, place, piece) for place, piece in enumerate(pieces)]
    return found


def _wheres(parts: Sequence[_Part], kind: str) -> str:
    """Where the words are: only what they need is asked."""
    sizes = {size for of, _, size, _, _ in parts if of == kind}
    forms = [(_SINGLE, 1 in sizes), (_BEGIN, 0 in sizes), (_PHRASE, any(size > 1 for size in sizes))]
    return " UNION ALL ".join(form.format(kind=kind) for form, needed in forms if needed)


@dataclass(slots=True)
class Beside:
    """What is looked up with the words.

    Attributes:
        keys: names.
        ids: of rows, by their kind.
        named: who has which of these names.
        there: which of these rows there are.
    """

    keys: Sequence[str] = ()
    ids: Mapping[Kind, Sequence[int]] = field(default_factory=dict)
    named: list[tuple[str, int]] = field(default_factory=list)
    there: dict[Kind, set[int]] = field(default_factory=dict)


async def together(asking: Asking, each: Sequence[tuple[str, tuple[Any, ...]]]) -> dict[int, Any]:
    """The answers to those questions of one request that few statements answer together, by their places."""
    places = {verb: [at for at, (one, _) in enumerate(each) if one == verb] for verb in ("named", "there", "words")}
    if not places["words"]:
        return {}
    kinds = [each[at][1][1] for at in places["words"]]
    namespaces, _, asked, when, limit = each[places["words"][0]][1]
    beside = Beside(
        keys=each[places["named"][0]][1][1] if places["named"] else (),
        ids={each[at][1][1]: each[at][1][2] for at in places["there"]},
    )
    answers = await words(asking, namespaces, kinds, asked, when, limit, beside)
    found: dict[int, Any] = dict(zip(places["words"], answers, strict=True))
    found |= dict.fromkeys(places["named"], beside.named)
    return found | {at: beside.there[each[at][1][1]] for at in places["there"]}


async def words(
    asking: Asking,
    namespaces: Sequence[str],
    kinds: Sequence[Kind],
    asked: Sequence[Asked],
    when: When,
    limit: int,
    beside: Beside,
) -> list[ByWords]:
    """What is found of each kind, in two statements."""
    if not asked:
        return [ByWords() for _ in kinds]
    counts_of = await count(asking, namespaces, kinds, counted(asked), when, beside)
    found: dict[Kind, ByWords] = {}
    chosen: dict[Kind, list[str]] = {}
    for kind in kinds:
        counts, readable = counts_of[kind]
        # A common word is in very many rows. That it is in a few is all that is to be known.
        common = passing(asked)
        most = RARE if any(count for word, count in counts.items() if word not in common) else _RANKED
        capped = {word: min(count, (most if word in common else _RANKED) + 1) for word, count in counts.items()}
        found[kind] = ByWords(counts=capped, readable=readable)
        if words := choose(asked, capped, _RANKED):
            chosen[kind] = list(words)
    for kind, best in (await _rank(asking, namespaces, chosen, when, limit)).items():
        words = chosen[kind]
        held = {id: [words[number] for number in numbers] for id, _, numbers in best[:_BEST]}
        rows = [(id, score) for id, score, _ in best]
        found[kind] = replace(found[kind], rows=rows, sought=words, held=held)
    return [found[kind] for kind in kinds]


async def count(
    asking: Asking,
    namespaces: Sequence[str],
    kinds: Sequence[Kind],
    asked: Sequence[str],
    when: When,
    beside: Beside,
) -> dict[Kind, tuple[dict[str, int], int]]:
    """Of each kind in how many readable rows each word is, and how many of those there are."""
    which, rows_of = ("AND h.believed", "believed_rows") if when.known is None else ("", "rows")
    parts = [part for kind in kinds for part in _parts(kind, asked)]
    queries: list[str] = []
    for kind in kinds:
        queries.append(
            f"SELECT '{kind}', -1, coalesce(sum(m.{rows_of}), 0)::bigint FROM aiomemdb.memory_words m "
            f"WHERE m.namespace = {SPACES} AND m.kind = '{kind}'"
        )
        if wheres := _wheres(parts, kind):
            queries.append(
                f"SELECT '{kind}', h.number, count(*) FROM ({wheres}) h {_HITS} WHERE h.namespace = {SPACES} {which} "
                "GROUP BY h.number"
            )
    queries += [
        f"SELECT 'there {kind}', 0, t.id FROM aiomemdb.{kind} t WHERE t.id = ANY (:ids_{kind}::bigint[]) "
        f"AND {counts('t', kind, when)}"
        for kind in beside.ids
    ]
    if beside.keys:
        queries.append(
            "SELECT 'named', r.ord::int, a.entity FROM unnest(:keys::text[]) WITH ORDINALITY AS r (key, ord) "
            f"JOIN aiomemdb.entity_alias a ON a.namespace = {SPACES} AND md5(a.key) = md5(r.key) AND a.key = r.key"
        )
    found: dict[Kind, tuple[dict[str, int], int]] = {kind: (dict.fromkeys(asked, 0), 0) for kind in kinds}
    there = {f"there {kind}": beside.there.setdefault(kind, set()) for kind in beside.ids}
    named: list[tuple[int, int]] = []
    if not queries:
        return found
    source, params = rows_from(_PARTS, parts)
    rows = await asking.rows(
        f"{with_known(when, f'parts AS (SELECT * FROM {source})')} {' UNION ALL '.join(queries)}",
        **params,
        **asked_with(namespaces, when),
        **{f"ids_{kind}": list(ids) for kind, ids in beside.ids.items()},
        keys=list(beside.keys),
    )
    for kind, number, much in rows:
        if kind == "named":
            named.append((number, much))
        elif kind in there:
            there[kind].add(much)
        elif number < 0:
            found[kind] = found[kind][0], much
        else:
            found[kind][0][asked[number]] = much
    beside.named = [(beside.keys[number - 1], entity) for number, entity in sorted(named)]
    return found


# As FTS5 ranks (https://www.sqlite.org/fts5.html, 5.1.1). Beside its words a row has there one for its namespace, and
# one more if it is believed.
_K1, _B = 1.2, 0.75
_TOTALS = (
    "totals_{kind} AS MATERIALIZED (SELECT sum(m.rows)::float8 AS rows, "
    "(sum(m.words_count) + sum(m.rows) + sum(m.believed_rows))::float8 / sum(m.rows)::float8 AS average "
    "FROM aiomemdb.memory_words m WHERE m.kind = '{kind}')"
)
_WEIGHTS = (
    "weights_{kind} AS MATERIALIZED (SELECT h.number, "
    "greatest(ln((t.rows - count(*) + 0.5) / (count(*) + 0.5)), 0.000001) "
    "AS weight FROM hits_{kind} h CROSS JOIN totals_{kind} t GROUP BY h.number, t.rows)"
)
_SCORE = (
    f"i.weight * (h.often * ({_K1} + 1.0)) / "
    f"(h.often + {_K1} * (1 - {_B} + {_B} * (h.length + 1 + h.believed::int) / t.average))"
)
# Added in one order, so that equal rows are equal.
_SCORES = (
    f"scores_{{kind}} AS (SELECT h.namespace, h.ref, sum(({_SCORE})::float8 ORDER BY h.number) AS score, "
    "array_agg(h.number ORDER BY h.number) AS numbers FROM hits_{kind} h JOIN weights_{kind} i ON i.number = h.number "
    f"CROSS JOIN totals_{{kind}} t WHERE h.namespace = {SPACES} GROUP BY 1, 2)"
)


async def _rank(
    asking: Asking, namespaces: Sequence[str], chosen: Mapping[Kind, Sequence[str]], when: When, limit: int
) -> dict[Kind, list[tuple[int, float, list[int]]]]:
    """Of each kind (id, BM25, which of the words it has), best first."""
    if not chosen:
        return {}
    parts = [part for kind, words in chosen.items() for part in _parts(kind, words)]
    source, params = rows_from(_PARTS, parts)
    tables, queries = [f"parts AS (SELECT * FROM {source})"], []
    for kind in chosen:
        letter = _LETTERS[kind]
        tables.append(f"hits_{kind} {_HITS} AS MATERIALIZED ({_wheres(parts, kind)})")
        tables += [table.format(kind=kind) for table in (_TOTALS, _WEIGHTS, _SCORES)]
        queries.append(
            f"(SELECT '{kind}', s.ref, s.score, s.numbers FROM scores_{kind} s JOIN aiomemdb.{kind} {letter} "
            f"ON {letter}.namespace = s.namespace AND {letter}.id = s.ref WHERE {counts(letter, kind, when)} "
            "ORDER BY s.score DESC, s.ref DESC LIMIT :limit::bigint)"
        )
    rows = await asking.rows(
        f"{with_known(when, *tables)} {' UNION ALL '.join(queries)}",
        **params,
        **asked_with(namespaces, when),
        limit=limit,
    )
    found: dict[Kind, list[tuple[int, float, list[int]]]] = {kind: [] for kind in chosen}
    for kind, ref, score, numbers in rows:
        # With fifteen digits, as it comes from SQLite: what differs by less is equal.
        found[kind].append((ref, float(f"{score:.15g}"), numbers))
    return {kind: sorted(rows, key=lambda one: (-one[1], -one[0])) for kind, rows in found.items()}


# -- links -------------------------------------------------------------------------------------------------------------


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


_READ = {"fact": FACT, "episode": EPISODE, "entity": ENTITY}


async def read(asking: Asking, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
    """One round trip: what there is of each kind, and the facts' evidence."""
    kinds = dict.fromkeys(kind for kind, _ in nodes)
    statements: list[Statement] = []
    params = asked_with(namespaces, when)
    for kind in kinds:
        letter, ids = _LETTERS[kind], [id for of, id in nodes if of == kind]
        statements.append(
            statement(
                f"{with_known(when)} SELECT {_READ[kind]} FROM aiomemdb.{kind} {letter} "
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
        items |= nodes_of(kind, result.rows)
    rows = results[-1].rows if "fact" in kinds else ()
    return Found(items, evidence_by_fact(row for row in rows if ("fact", row[1]) in items))
