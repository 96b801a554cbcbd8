"""What recall asks of SQLite: FTS5 for words, indexes for names and links."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, TypeVar, TypeVarTuple

from ...deciding.recalling import Ask
from ...deciding.steps import Steps, follow
from ...questions import ByWords, Found, Links, Node, When
from ...records import evidence_by_fact, nodes_of
from ...values import Entity, Episode, Fact
from ...words import MARK, RARE, Asked, choose, counted, is_begin, passing
from ..columns import ENTITY, EPISODE, EVIDENCE, FACT
from . import linking
from .indexing import unindexed
from .linking import counts as countable
from .setwise import load
from .states import SQLiteState, as_known, known_upto

__all__ = ["Searching", "ask", "run", "string"]

R = TypeVar("R")
Ts = TypeVarTuple("Ts")

# FTS5 ranks every row in which a word is, and that takes some 2.5 us a row: so many take 12 ms, however large the file
# is. Counting them takes a hundredth of that.
_RANKED = 5_000
# Of so many of the best it is looked at which words they have. Six times as many change no figure by half a point.
_BEST = 3


def run(conn: sqlite3.Connection, rule: Callable[[*Ts], Steps[R]], *args: *Ts) -> R:
    """Run a rule that makes each request by an ``Ask``; the connection's present state answers all of it."""
    return follow(rule(*args), {Ask: _answers}, Searching(conn))


def _answers(searching: Searching, asked: Ask) -> list[Any]:
    return [getattr(searching, verb)(*what) for verb, what in asked.each]


def ask(conn: sqlite3.Connection, verb: str, *what: Any) -> Any:
    """Answer one of its questions."""
    return getattr(Searching(conn), verb)(*what)


class Searching:
    """The verbs of ``Reads`` that search, in one state: what is the same for all of them is looked up once."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self._conn = conn
        self._spaces_of: dict[tuple[str, ...], str] = {}
        self._when: When | None = None
        self._times_of_when: dict[str, int | None] = {}
        self._asked: Sequence[Asked] = ()
        self._sought: tuple[list[str], set[str]] = [], set()
        self._unindexed: list[str] | None = None

    def known_upto(self, known_at: int) -> SQLiteState:
        return known_upto(self._conn, known_at)

    def _spaces(self, namespaces: Sequence[str]) -> str:
        """The ids of namespaces, for ``IN (...)``."""
        key = tuple(namespaces)
        if key not in self._spaces_of:
            [ids] = self._conn.execute(
                "SELECT json_group_array(id) FROM memory_namespace WHERE name IN (SELECT value FROM json_each(?))",
                (json.dumps([*namespaces]),),
            ).fetchone()
            self._spaces_of[key] = ids.strip("[]")
        return self._spaces_of[key]

    def _times(self, when: When) -> dict[str, int | None]:
        """The parameters of ``countable``."""
        if when is not self._when:
            self._when, self._times_of_when = when, {"as_of": when.as_of, **as_known(when.known)}
        return self._times_of_when

    def words(self, namespaces: Sequence[str], kind: str, asked: Sequence[Asked], when: When, limit: int) -> ByWords:
        spaces = self._spaces(namespaces)
        if not spaces or not asked:
            return ByWords()
        if self._unindexed is None:
            self._unindexed = unindexed(self._conn)
        if self._asked is not asked:
            self._asked, self._sought = asked, (counted(asked), passing(asked))
        before = [f"{kind}_words"] if kind in self._unindexed else []
        return _words(self._conn, spaces, kind, before, asked, self._sought, self._times(when), limit)

    def named(self, namespaces: Sequence[str], keys: Sequence[str]) -> list[tuple[str, int]]:
        spaces = self._spaces(namespaces)
        if not spaces or not keys:
            return []
        [text] = self._conn.execute(
            "SELECT json_group_array(json_array(j.value, a.entity)) FROM json_each(?) j CROSS JOIN entity_alias a "
            f"ON a.namespace IN ({spaces}) AND a.key = j.value",
            (json.dumps([*keys]),),
        ).fetchone()
        return sorted((key, id) for key, id in json.loads(text))

    def around(
        self,
        namespaces: Sequence[str],
        frontier: Sequence[Node],
        turns: Sequence[int],
        when: When,
        hub: int,
        named: Sequence[int] = (),
    ) -> Links:
        return linking.around(self._conn, self._spaces(namespaces), frontier, turns, self._times(when), hub, named)

    def sources(self, namespaces: Sequence[str], episodes: Sequence[int]) -> dict[int, str]:
        source = "json_each(:ids) j CROSS JOIN episode p ON p.id = j.value WHERE p.source IS NOT NULL"
        return {id: of for id, of in load(self._conn, "p.id, p.source", source, {"ids": json.dumps([*episodes])})}

    def there(self, namespaces: Sequence[str], kind: str, ids: Iterable[int], when: When) -> set[int]:
        spaces = self._spaces(namespaces)
        if not spaces:
            return set()
        [text] = self._conn.execute(
            f"SELECT json_group_array(t.id) FROM json_each(:ids) j CROSS JOIN {kind} t ON t.id = j.value "
            f"WHERE {countable('t', kind, spaces, when.known is not None)}",
            {"ids": json.dumps([*ids]), **self._times(when)},
        ).fetchone()
        return set(json.loads(text))

    def read(self, namespaces: Sequence[str], nodes: Sequence[Node], when: When) -> Found:
        spaces = self._spaces(namespaces)
        if not spaces:
            return Found()
        items: dict[Node, Fact | Episode | Entity] = {}
        for kind, (letter, columns) in _VALUES.items():
            ids = [id for of, id in nodes if of == kind]
            if not ids:
                continue
            source = (
                f"json_each(:ids) j CROSS JOIN {kind} {letter} ON {letter}.id = j.value JOIN memory_namespace n "
                f"ON n.id = {letter}.namespace WHERE {countable(letter, kind, spaces, when.known is not None)}"
            )
            items |= nodes_of(kind, load(self._conn, columns, source, {"ids": json.dumps(ids), **self._times(when)}))
        facts = [id for kind, id in items if kind == "fact"]
        if not facts:
            return Found(items)
        # Row by row: how sure each is may be any float.
        rows = self._conn.execute(
            f"SELECT {EVIDENCE} FROM json_each(?) j CROSS JOIN fact_evidence v ON v.fact = j.value ORDER BY v.id",
            (json.dumps(facts),),
        )
        return Found(items, evidence_by_fact(rows.fetchall()))


def _bare(columns: str) -> str:
    """Without their names."""
    return re.sub(r" AS \w+", "", columns)


_VALUES = {"fact": ("f", _bare(FACT)), "episode": ("p", _bare(EPISODE)), "entity": ("e", _bare(ENTITY))}


def _words(
    conn: sqlite3.Connection,
    spaces: str,
    kind: str,
    before: Sequence[str],
    asked: Sequence[Asked],
    counting: tuple[Sequence[str], Collection[str]],
    times: Mapping[str, int | None],
    limit: int,
) -> ByWords:
    """All rows are ranked first, so the join that finds which of them count ends with the last one wanted."""
    past = times["known"] is not None
    scope = " OR ".join(f'"{MARK}{"n" if past else "b"}{space}"' for space in spaces.split(","))
    indexes, (sought, common) = [f"{kind}_search", *before], counting
    # A common word is in very many rows. That it is in a few is soon known.
    rest = [word for word in sought if word not in common]
    counts, everywhere, readable = _count(conn, indexes, rest, sorted(common), scope)
    if common and not any(counts[word] for word in rest):
        counts, everywhere, readable = _count(conn, indexes, sought, [], scope)
    chosen = choose(asked, counts, _RANKED)
    if not chosen:
        return ByWords(counts=counts, readable=readable)
    strings = " OR ".join(map(string, chosen))
    # To rank by the scope takes a look at all that is in it: it pays where others have more rows than there are here.
    scoped = max(everywhere[word] for word in chosen) > _RANKED
    ranked = [(f"{kind}_search", f"({strings}) AND ({scope})" if scoped else strings, "t.terms IS NOT NULL")]
    ranked += [(index, strings, "t.terms IS NULL") for index in before]
    found: list[tuple[int, float]] = []
    for index, match, rows in ranked:
        weights = ", 1.0, 1.0, 0.0" if rows == "t.terms IS NOT NULL" else ""
        # Not ORDER BY rank: for that FTS5 compiles a statement of its own, each time. With a limit the order stays.
        all = (
            f"SELECT rowid AS id, -bm25({index}{weights}) AS score FROM {index} WHERE {index} MATCH :words "
            "ORDER BY score DESC, id DESC LIMIT -1"
        )
        [text] = conn.execute(
            f"SELECT json_group_array(json_array(id, score)) FROM (SELECT w.id, w.score FROM ({all}) w "
            f"CROSS JOIN {kind} t ON t.id = w.id WHERE {rows} AND {countable('t', kind, spaces, past)} LIMIT :limit)",
            {"words": match, "limit": limit, **times},
        ).fetchone()
        found += map(tuple, json.loads(text))
    found.sort(key=itemgetter(1, 0), reverse=True)
    best = found[:limit]
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
            {"words": json.dumps([string(word) for word in words]), "ids": json.dumps([*ids])},
        ).fetchone()
        for id, place in json.loads(text):
            held[id].append(words[place])
    return held


def string(word: str) -> str:
    """An FTS5 string, in which nothing is syntax (https://www.sqlite.org/fts5.html, 3.1)."""
    escaped = word.replace('"', '""')
    return f'"{escaped}" *' if len(word) == 1 and is_begin(word) else f'"{escaped}"'


def _count(
    conn: sqlite3.Connection, indexes: Sequence[str], words: Sequence[str], passing: Sequence[str], scope: str
) -> tuple[dict[str, int], dict[str, int], int]:
    """In how many rows of a scope each word is, in how many at all, and how many rows the scope has; each in each index
    up to one more than ``_RANKED``, of ``passing`` words than ``RARE``. An index of an earlier version has no scope.
    """
    given = [[f"{one} AND ({scope})", one] for one in map(string, words)]
    few = [[f"{one} AND ({scope})", one] for one in map(string, passing)]

    def counted(words: str, most: str) -> str:
        def count(index: str, place: int) -> str:
            matched = f"SELECT 1 FROM {index} WHERE {index} MATCH j.value->>{place} LIMIT {most}"
            return f"(SELECT count(*) FROM ({matched}))"

        scoped = " + ".join(count(index, int(index.endswith("_words"))) for index in indexes)
        everywhere = " + ".join(count(index, 1) for index in indexes)
        return f"(SELECT json_group_array(json_array({scoped}, {everywhere})) FROM json_each({words}) j)"

    texts = conn.execute(
        f"SELECT {counted(':words', ':most')}, {counted(':few', ':rare')}",
        {
            "words": json.dumps([*given, [scope, scope]]),
            "few": json.dumps(few),
            "most": _RANKED + 1,
            "rare": RARE + 1,
        },
    ).fetchone()
    *counts, (readable, _) = json.loads(texts[0])
    found = dict(zip((*words, *passing), (*counts, *json.loads(texts[1])), strict=True))
    return {word: here for word, (here, _) in found.items()}, {word: all for word, (_, all) in found.items()}, readable
