"""What must be in a database file, from plain sets and dicts, and the comparison of the two.

The storm's ways of writing all meet the same tables. Nothing in them forbids a second row of the same name, as in
most programs that look first and insert then: whether there is one depends on how they write.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Hashable, Iterable
from contextlib import closing
from dataclasses import dataclass, field
from typing import NamedTuple

from _multi_agent.source import Entity, Link, Note

SCHEMA = """
CREATE TABLE names (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL);
CREATE INDEX names_by_name ON names (name, kind);
CREATE TABLE facts (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL
);
CREATE INDEX facts_by_source ON facts (source, kind, target);
"""

FIND_NAME = "SELECT id FROM names WHERE kind = ? AND name = ?"
ADD_NAME = "INSERT INTO names (kind, name) VALUES (?, ?)"
FIND_FACT = "SELECT id FROM facts WHERE kind = ? AND source = ? AND target = ?"
ADD_FACT = "INSERT INTO facts (kind, source, target) VALUES (?, ?, ?)"


class Tables(NamedTuple):
    """Queries for all that a file holds: (id, kind, name), (kind, source, target), (key, text)."""

    names: str
    facts: str
    texts: str


PLAIN_TABLES = Tables(
    "SELECT id, kind, name FROM names",
    "SELECT kind, source, target FROM facts",
    "SELECT NULL, NULL WHERE FALSE",
)
MEMORY_TABLES = Tables(
    "SELECT id, type, name FROM entity",
    "SELECT predicate, subject, object FROM fact WHERE expired_at IS NULL",
    "SELECT key, content FROM episode WHERE expired_at IS NULL",
)


@dataclass
class Truth:
    """Plain sets and a dict, filled by one thread without any database."""

    names: set[Entity] = field(default_factory=set)
    facts: set[Link] = field(default_factory=set)
    texts: dict[str, str] = field(default_factory=dict)


def truth_of_facts(facts: Iterable[Link]) -> Truth:
    truth = Truth()
    for fact in facts:
        truth.facts.add(fact)
        truth.names.update(fact[1:])
    return truth


def truth_of_notes(notes: Iterable[Note]) -> Truth:
    truth = Truth()
    for note in notes:
        truth.names.add(note.about)
        truth.texts[note.key] = note.text
        for fact in note.links:
            truth.facts.add(fact)
            truth.names.update(fact[1:])
    return truth


@dataclass(frozen=True)
class Verdict:
    """A database held against the truth; names, facts and texts counted together."""

    lost: int  # reported as written, not in the file
    doubled: int  # rows beyond the first that say the same
    stray: int  # in the file, although nothing that was reported as written says so
    integrity: str  # "ok", or the first thing that SQLite finds wrong with the file
    examples: tuple[str, ...]  # a few of the differences, in words

    @property
    def perfect(self) -> bool:
        return (self.lost, self.doubled, self.stray, self.integrity) == (0, 0, 0, "ok")


def compare(path: str, truth: Truth, tables: Tables) -> Verdict:
    """Read the whole file back with plain `sqlite3`, after all have left it."""
    with closing(sqlite3.connect(path)) as conn:
        names, facts, texts = (conn.execute(query).fetchall() for query in tables)
        (integrity,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
    return held_against(truth, names, facts, texts, integrity)


def held_against(
    truth: Truth,
    name_rows: list[tuple[int, str, str]],
    facts: list[tuple[str, int, int]],
    texts: list[tuple[str, str]],
    integrity: str = "ok",
) -> Verdict:
    """Rows as the queries of `Tables` give them, against what must be there."""
    names: dict[int, Entity] = {number: (kind, name) for number, kind, name in name_rows}
    nowhere: Entity = ("nothing", "")
    held = Counter[Hashable](names.values())
    held.update((kind, names.get(source, nowhere), names.get(target, nowhere)) for kind, source, target in facts)
    held.update(texts)
    expected: set[Hashable] = {*truth.names, *truth.facts, *truth.texts.items()}
    lost, stray = expected - held.keys(), held.keys() - expected
    doubled = [thing for thing, count in held.items() if count > 1]
    found = {"lost": list(lost), "doubled": doubled, "stray": list(stray)}
    return Verdict(
        lost=len(lost),
        doubled=held.total() - len(held),
        stray=len(stray),
        integrity=integrity,
        examples=tuple(f"{what}: {things[0]}" for what, things in found.items() if things),
    )
