"""Words as rows: which are in which row, where, and how many each row has.

A row has its own words, each once: so they are found again when it changes, or goes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from ..indexed import Indexed, entity_text, of_entity, of_episode, of_fact
from .asking import Asking
from .statements import Statement, insert, rows_from, statement
from .tokens import positions_of

__all__ = ["Words", "reindex", "unbelieve", "without_words"]

_WORDS_OF = (
    "(SELECT t.namespace, t.id, u.word FROM aiomemdb.{kind} t CROSS JOIN unnest(t.words) u (word) "
    "WHERE t.namespace = ANY (:here::bigint[]) AND t.id = ANY (:ids::bigint[])) g"
)
_IS_ONE = "w.word = g.word AND w.namespace = g.namespace AND w.ref = g.id"
_BELIEVED = {"entity": "t.merged_into IS NULL", "episode": "t.expired_at IS NULL", "fact": "t.expired_at IS NULL"}
_COUNTED = (
    "UPDATE aiomemdb.memory_words m SET {changes} FROM (SELECT t.namespace, count(*) AS rows, "
    "count(*) FILTER (WHERE {believed}) AS believed, sum(t.length) AS length FROM aiomemdb.{kind} t "
    "WHERE t.namespace = ANY (:here::bigint[]) AND t.id = ANY (:ids::bigint[]) GROUP BY t.namespace) g "
    "WHERE m.namespace = g.namespace AND m.kind = :kind"
)
_ALL_GONE = (
    "rows = m.rows - g.rows, believed_rows = m.believed_rows - g.believed, words_count = m.words_count - g.length"
)


class Words:
    """The words of rows that a job writes."""

    def __init__(self) -> None:
        self._words: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
        self._counts: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0, 0, 0])

    def of(self, kind: str, namespace: int, ref: int, believed: bool, text: str, found_by: Indexed) -> tuple[str, int]:
        """Take the words of a row; return what it has of them: each once, and how many they are."""
        form, terms = found_by
        places, length = positions_of((text.lower() if form is None else form, terms))
        self._words[kind] += [
            (word, namespace, ref, believed, length, ",".join(map(str, positions)))
            for word, positions in places.items()
        ]
        counts = self._counts[namespace, kind]
        counts[0] += 1
        counts[1] += believed
        counts[2] += length
        return " ".join(places), length

    def statements(self) -> list[Statement]:
        found = [
            insert(f"{kind}_word", "word namespace ref believed length positions", rows)
            for kind, rows in self._words.items()
            if rows
        ]
        if self._counts:
            found.append(
                insert(
                    "memory_words",
                    "namespace kind rows believed_rows words_count",
                    [(*key, *counts) for key, counts in self._counts.items()],
                    "ON CONFLICT (namespace, kind) DO UPDATE SET rows = t.rows + excluded.rows, believed_rows = "
                    "t.believed_rows + excluded.believed_rows, words_count = t.words_count + excluded.words_count",
                )
            )
        return found


def without_words(kind: str, here: Sequence[int], ids: Sequence[int]) -> list[Statement]:
    """Take rows out of word search, before they change or go."""
    given = {"here": list(here), "ids": list(ids), "kind": kind}
    return [
        statement(_COUNTED.format(changes=_ALL_GONE, believed=_BELIEVED[kind], kind=kind), given),
        statement(f"DELETE FROM aiomemdb.{kind}_word w USING {_WORDS_OF.format(kind=kind)} WHERE {_IS_ONE}", given),
    ]


def unbelieve(kind: str, here: Sequence[int], ids: Sequence[int]) -> list[Statement]:
    """Note of rows that they are believed no longer, after they are."""
    given = {"here": list(here), "ids": list(ids), "kind": kind}
    changes = "believed_rows = m.believed_rows - g.rows"
    return [
        statement(_COUNTED.format(changes=changes, believed="TRUE", kind=kind), given),
        statement(
            f"UPDATE aiomemdb.{kind}_word w SET believed = FALSE FROM {_WORDS_OF.format(kind=kind)} WHERE {_IS_ONE}",
            given,
        ),
    ]


# -- rows that have changed --------------------------------------------------------------------------------------------

# Each with an alias of the tables' own, and its values in the order of what makes the words of them.
_TEXTS = {
    "entity": (
        "t.name, t.description, coalesce((SELECT string_agg(k.key, ' ' ORDER BY k.key) FROM (SELECT DISTINCT a.key "
        "FROM aiomemdb.entity_alias a WHERE a.namespace = t.namespace AND a.entity = t.id AND a.key <> t.key) k), '')"
    ),
    "episode": "t.content, t.occurred_at, t.occurred_offset",
    "fact": (
        "t.text, t.value, ARRAY(SELECT v.quote FROM aiomemdb.fact_evidence v WHERE v.namespace = t.namespace "
        "AND v.fact = t.id AND v.quote IS NOT NULL ORDER BY coalesce(v.episode, 0), coalesce(v.agent, ''))"
    ),
}
_ROWS = (
    "SELECT t.id, t.namespace, {believed} AS believed, {texts} FROM aiomemdb.{kind} t "
    "WHERE t.namespace = ANY (:here::bigint[]) AND t.id = ANY (:ids::bigint[]) ORDER BY t.id"
)


async def reindex(asking: Asking, kind: str, here: Sequence[int], ids: Iterable[int]) -> None:
    """Bring the words of rows up to date with them."""
    listed = list(dict.fromkeys(ids))
    rows = await asking.rows(
        _ROWS.format(kind=kind, believed=_BELIEVED[kind], texts=_TEXTS[kind]), here=list(here), ids=listed
    )
    words, changed = Words(), list[tuple[Any, ...]]()
    for id, namespace, believed, *texts in rows:
        changed.append((namespace, id, *words.of(kind, namespace, id, believed, *text_of(kind, *texts))))
    source, params = rows_from("namespace id words length", changed)
    update = statement(
        f"UPDATE aiomemdb.{kind} t SET words = string_to_array(r.words, ' '), length = r.length FROM {source} "
        "WHERE t.namespace = r.namespace AND t.id = r.id",
        params,
    )
    await asking.all([*without_words(kind, here, listed), update, *words.statements()])


def text_of(kind: str, *values: Any) -> tuple[str, Indexed]:
    """The text of a row, and what it is found by, of its values in the order of ``_TEXTS``."""
    if kind == "entity":
        return entity_text(*values), of_entity(*values)
    return values[0], of_episode(*values) if kind == "episode" else of_fact(*values)
