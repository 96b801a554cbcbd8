"""Remembering documents with plain ``sqlite3``, row by row: what a person would write who knows the tables. Frozen.

It keeps what the library keeps: who a name is, each fact once while it is believed, its evidence, what a text mentions,
the audit, and word search by triggers. It leaves out what costs the library more: other spellings and dates for
word search, types, validity in time, embedders, other processes' turns. It is not to be improved with the library: its
rate is the measure of a bar.
"""

from __future__ import annotations

import sqlite3
import time
import unicodedata
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import TypeAlias

__all__ = ["Filing", "fill"]

Triple: TypeAlias = tuple[str, str, str]
_SCHEMA = Path(__file__).with_suffix(".sql")


def key_of(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


class Filing:
    """A file, and one connection to it. The caller begins and commits."""

    def __init__(self, path: str, namespace: str = "default") -> None:
        self.connection = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON"):
            self.connection.execute(f"PRAGMA {pragma}")
        self.connection.executescript(_SCHEMA.read_text())
        self.connection.execute("INSERT INTO memory_namespace (name) VALUES (?)", (namespace,))
        [self.namespace] = self.connection.execute(
            "SELECT id FROM memory_namespace WHERE name = ?", (namespace,)
        ).fetchone()

    def remember(self, text: str, triples: Sequence[Triple]) -> int:
        """A text and its facts; returns the text's id."""
        now = time.time_ns() // 1000
        names = {
            name: self._entity(name, now) for name in dict.fromkeys(name for s, _, o in triples for name in (s, o))
        }
        event = self._next_event()
        episode = self.connection.execute(
            "INSERT INTO episode (namespace, version, content, created_at, created_event, terms) "
            "VALUES (?, 1, ?, ?, ?, '')",
            (self.namespace, text, now, event),
        ).lastrowid
        assert episode is not None
        self._note("episode", episode, now)
        for subject, predicate, object in triples:
            self._fact(names[subject], (subject, predicate, object), names[object], episode, now)
        for entity in dict.fromkeys(names.values()):
            self.connection.execute(
                "INSERT INTO mention (entity, episode) VALUES (?, ?) ON CONFLICT DO NOTHING", (entity, episode)
            )
        return episode

    def _entity(self, name: str, now: int) -> int:
        key = key_of(name)
        found = self.connection.execute(
            "SELECT entity FROM entity_alias WHERE namespace = ? AND key = ? AND type = ''", (self.namespace, key)
        ).fetchone()
        if found is not None:
            return int(found[0])
        event = self._next_event()
        made = self.connection.execute(
            "INSERT INTO entity (namespace, name, key, type_key, created_at, created_event, established, terms) "
            "VALUES (?, ?, ?, '', ?, ?, ?, '')",
            (self.namespace, name, key, now, event, event),
        ).lastrowid
        assert made is not None
        self.connection.execute(
            "INSERT INTO entity_alias (namespace, key, type, entity) VALUES (?, ?, '', ?)", (self.namespace, key, made)
        )
        self._note("entity", made, now)
        return made

    def _fact(self, subject: int, words: Triple, object: int, episode: int, now: int) -> None:
        predicate = key_of(words[1])
        found = self.connection.execute(
            "SELECT id FROM fact WHERE subject = ? AND predicate = ? AND coalesce(object, value) = ? "
            "AND ifnull(valid_at, -9223372036854775808) = -9223372036854775808 AND expired_at IS NULL",
            (subject, predicate, object),
        ).fetchone()
        if found is not None:
            fact = int(found[0])
        else:
            event = self._next_event()
            shown = words[1] if words[1] != predicate else None
            made = self.connection.execute(
                "INSERT INTO fact (namespace, subject, predicate, predicate_given, object, text, created_at, "
                "created_event, terms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, '')",
                (self.namespace, subject, predicate, shown, object, " ".join(words), now, event),
            ).lastrowid
            assert made is not None
            fact = made
            self._note("fact", fact, now)
        self.connection.execute(
            "INSERT INTO fact_evidence (fact, episode, confidence, created_at) VALUES (?, ?, 1.0, ?) "
            "ON CONFLICT DO NOTHING",
            (fact, episode, now),
        )

    def _next_event(self) -> int:
        [last] = self.connection.execute("SELECT ifnull(max(id), 0) FROM memory_event").fetchone()
        return int(last) + 1

    def _note(self, kind: str, ref: int, now: int) -> None:
        self.connection.execute(
            "INSERT INTO memory_event (at, namespace, operation, kind, ref) VALUES (?, ?, 'create', ?, ?)",
            (now, self.namespace, kind, ref),
        )


def fill(filing: Filing, documents: Iterable[tuple[str, Sequence[Triple]]], a_commit: int) -> None:
    """All of them, so many a transaction."""
    waiting = iter(documents)
    while batch := list(islice(waiting, a_commit)):
        filing.connection.execute("BEGIN IMMEDIATE")
        for text, triples in batch:
            filing.remember(text, triples)
        filing.connection.execute("COMMIT")
