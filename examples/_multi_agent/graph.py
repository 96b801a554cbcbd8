"""The graph in SQLite, what must be in it, and the comparison of the two.

All of today's ways of writing meet the same tables. Nothing in them forbids a second row of the same name, as in
most programs that look first and insert then: whether there is one is up to how they write.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field

from _multi_agent.source import Entity, FileFacts, Link

SCHEMA = """
CREATE TABLE entities (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, name TEXT NOT NULL);
CREATE INDEX entities_by_name ON entities (name, kind);
CREATE TABLE links (
    id INTEGER PRIMARY KEY, kind TEXT NOT NULL, source INTEGER NOT NULL, target INTEGER NOT NULL
);
CREATE INDEX links_from ON links (source, kind, target);
CREATE INDEX links_to ON links (target, kind, source);
"""

FIND_ENTITY = "SELECT id FROM entities WHERE kind = ? AND name = ?"
ADD_ENTITY = "INSERT INTO entities (kind, name) VALUES (?, ?)"
FIND_LINK = "SELECT id FROM links WHERE kind = ? AND source = ? AND target = ?"
ADD_LINK = "INSERT INTO links (kind, source, target) VALUES (?, ?, ?)"

# What a file holds: (id, kind, name) of each entity, and (kind, source, target) of each link.
PLAIN_TABLES = ("SELECT id, kind, name FROM entities", "SELECT kind, source, target FROM links")
MEMORY_TABLES = (
    "SELECT id, type, name FROM entity",
    "SELECT predicate, subject, object FROM fact WHERE expired_at IS NULL",
)


class GaveUp(Exception):
    """The agent dropped its file halfway, as when a tool call or a model call fails."""


def gives_up_first(facts: FileFacts) -> bool:
    """One file in forty is dropped halfway and then written again, the same ones in every way of writing."""
    return zlib.crc32(facts.module.encode()) % 40 == 0


@dataclass
class Graph:
    """Plain dicts, filled by one thread: what the files say, without any database."""

    entities: dict[Entity, None] = field(default_factory=dict)
    links: dict[Link, None] = field(default_factory=dict)

    def add(self, facts: FileFacts) -> None:
        self.entities.update(dict.fromkeys(facts.entities))
        self.links.update(dict.fromkeys(facts.links))


@dataclass
class Outcome:
    """What a way of writing says it did."""

    done: list[FileFacts] = field(default_factory=list)
    met: int = 0  # how many times an entity or a link was found or created for them
    errors: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0


@dataclass(frozen=True)
class Verdict:
    """A database file held against what must be in it; entities and links counted together."""

    lost: int  # reported as written, not in the file
    duplicates: int  # rows beyond the first that say the same
    stray: int  # in the file, although no file reported as written says so; links to nowhere among them
    integrity: str
    examples: tuple[str, ...]  # a few of the differences, in words

    @property
    def perfect(self) -> bool:
        return (self.lost, self.duplicates, self.stray, self.integrity) == (0, 0, 0, "ok")


def graph_of(units: Iterable[FileFacts]) -> Graph:
    graph = Graph()
    for facts in units:
        graph.add(facts)
    return graph


def compare(path: str, expected: Graph, tables: tuple[str, str]) -> Verdict:
    """Read the whole file back with plain `sqlite3`, after everyone has left it."""
    find_entities, find_links = tables
    with closing(sqlite3.connect(path)) as conn:
        names: dict[int, Entity] = {number: (kind, name) for number, kind, name in conn.execute(find_entities)}
        rows = conn.execute(find_links).fetchall()
        (integrity,) = conn.execute("PRAGMA integrity_check(1)").fetchone()
    entities = Counter(names.values())
    links = Counter((kind, names[a], names[b]) for kind, a, b in rows if a in names and b in names)
    lost_entities, lost_links = (
        expected.entities.keys() - entities.keys(),
        expected.links.keys() - links.keys(),
    )
    stray_entities, stray_links = (
        entities.keys() - expected.entities.keys(),
        links.keys() - expected.links.keys(),
    )
    differences: dict[str, list[tuple[str | Entity, ...]]] = {
        "lost": [*lost_entities, *lost_links],
        "more than once": [
            *(entity for entity, count in entities.items() if count > 1),
            *(link for link, count in links.items() if count > 1),
        ],
        "stray": [*stray_links, *stray_entities],
    }
    return Verdict(
        lost=len(lost_entities) + len(lost_links),
        duplicates=entities.total() - len(entities) + links.total() - len(links),
        stray=len(stray_entities) + len(stray_links) + len(rows) - links.total(),
        integrity=integrity,
        examples=tuple(f"{what}: {_words(things[0])}" for what, things in differences.items() if things),
    )


def _words(thing: tuple[str | Entity, ...]) -> str:
    """`("class", "Exception")` is "class Exception"; a link is its three parts in a row."""
    return " ".join(part if isinstance(part, str) else " ".join(part) for part in thing)
