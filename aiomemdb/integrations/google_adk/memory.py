"""ADK's ``BaseMemoryService``: what was said, found by its words over FTS5."""

from __future__ import annotations

import hashlib
import json
import re
import sqlite3
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from google.adk.events import Event
from google.adk.memory.base_memory_service import BaseMemoryService, SearchMemoryResponse
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.sessions import Session
from google.genai import types

from .._checks import checked_key
from .._tables import Tables
from .opening import Service, checked_user

__all__ = ["AiomemdbMemoryService"]

_FOUND = 10  # memories of one search, as ADK's own services for development return

# Scripts that put no spaces between words are found by their characters and pairs of them.
_UNSPACED = (
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_WORD = re.compile(rf"{_UNSPACED}+|(?:(?!{_UNSPACED})\w)+")
_IS_UNSPACED = re.compile(_UNSPACED)


class AiomemdbMemoryService(Service, BaseMemoryService):
    """Remembers events of ADK's sessions: ``Runner(memory_service=AiomemdbMemoryService(db), ...)``.

    A search finds what shares words with the query, the best ten by BM25. No character of a query is syntax.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
    """

    _tables = Tables(
        "ADK's memory",
        """CREATE TABLE IF NOT EXISTS adk_memory (
            id INTEGER PRIMARY KEY,
            app_name TEXT NOT NULL,
            user_id TEXT NOT NULL,
            session_id TEXT NOT NULL,  -- '' where it is not known
            event_id TEXT NOT NULL,
            author TEXT NOT NULL,
            timestamp REAL NOT NULL,
            content TEXT NOT NULL,
            scope TEXT NOT NULL,  -- one word that stands for app and user
            words TEXT NOT NULL
        )""",
        """CREATE UNIQUE INDEX IF NOT EXISTS adk_memory_event
            ON adk_memory (app_name, user_id, session_id, event_id)""",
        "CREATE INDEX IF NOT EXISTS adk_memory_id ON adk_memory (app_name, user_id, event_id)",
        """CREATE VIRTUAL TABLE IF NOT EXISTS adk_memory_words USING fts5(scope, words, content='adk_memory',
            content_rowid='id', tokenize="unicode61 remove_diacritics 0 tokenchars '_'")""",
        """CREATE TRIGGER IF NOT EXISTS adk_memory_inserted AFTER INSERT ON adk_memory BEGIN
            INSERT INTO adk_memory_words (rowid, scope, words) VALUES (new.id, new.scope, new.words); END""",
        """CREATE TRIGGER IF NOT EXISTS adk_memory_removed AFTER DELETE ON adk_memory BEGIN
            INSERT INTO adk_memory_words (adk_memory_words, rowid, scope, words)
            VALUES ('delete', old.id, old.scope, old.words); END""",
        """CREATE TABLE IF NOT EXISTS adk_memory_deleted (
            app_name TEXT NOT NULL,
            user_id TEXT NOT NULL,
            event_id TEXT NOT NULL,
            PRIMARY KEY (app_name, user_id, event_id)
        ) WITHOUT ROWID""",
    )

    async def add_session_to_memory(self, session: Session) -> None:
        """Remember the events of a session, in the place of what is remembered of it: one job."""
        scope = *checked_user(session.app_name, session.user_id), checked_key("session_id", session.id)
        await (await self._database()).write_fn(_remember, scope, _entries(session.events), True)

    async def add_events_to_memory(
        self,
        *,
        app_name: str,
        user_id: str,
        events: Sequence[Event],
        session_id: str | None = None,
        custom_metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Remember more events; those of an id that is remembered stay as they are. One job.

        ``custom_metadata`` is not kept.
        """
        session = checked_key("session_id", session_id or "", may_be_empty=True)
        scope = *checked_user(app_name, user_id), session
        await (await self._database()).write_fn(_remember, scope, _entries(events), False)

    async def search_memory(self, *, app_name: str, user_id: str, query: str) -> SearchMemoryResponse:
        """Return what shares words with ``query``, best first: any text will do."""
        user = checked_user(app_name, user_id)
        if not isinstance(query, str):
            raise TypeError(f"query={query!r}: a string")
        words = dict.fromkeys(_words(query, pairs_alone=True))
        db = await self._database()
        if not words:
            return SearchMemoryResponse()
        quoted = " OR ".join(f'"{word}"' for word in words)
        rows = await db.read(
            "SELECT event_id, content, author, timestamp FROM adk_memory_words JOIN adk_memory ON id = "
            "adk_memory_words.rowid WHERE adk_memory_words MATCH ? ORDER BY bm25(adk_memory_words, 0, 1), id LIMIT ?",
            (f"scope : {_scope(*user)} AND words : ({quoted})", _FOUND),
        )
        return SearchMemoryResponse(
            memories=[
                MemoryEntry(
                    id=event_id,
                    content=types.Content.model_validate_json(content),
                    author=author,
                    timestamp=datetime.fromtimestamp(timestamp).isoformat(),
                )
                for event_id, content, author, timestamp in rows
            ]
        )

    async def delete_memory(self, *, app_name: str, user_id: str, memory_id: str | None = None) -> None:
        """Forget a memory by its id; its event is not remembered again."""
        user = checked_user(app_name, user_id)
        if memory_id:
            await (await self._database()).write_fn(_forget, (*user, checked_key("memory_id", memory_id)))


class _Entry(NamedTuple):
    event_id: str
    author: str
    timestamp: float
    content: str
    words: str


def _entries(events: Iterable[Event]) -> list[_Entry]:
    entries = []
    for event in events:
        if event.content and event.content.parts:
            text = " ".join(part.text for part in event.content.parts if part.text)
            event_id = checked_key("the event's id", event.id, may_be_empty=True)
            content, words = event.content.model_dump_json(exclude_none=True), " ".join(_words(text))
            entries.append(_Entry(event_id, event.author, event.timestamp, content, words))
    return entries


def _words(text: str, *, pairs_alone: bool = False) -> Iterable[str]:
    for word in _WORD.findall(unicodedata.normalize("NFC", text).lower()):
        if not _IS_UNSPACED.match(word):
            yield word
            continue
        if len(word) == 1 or not pairs_alone:
            yield from word
        yield from (word[place : place + 2] for place in range(len(word) - 1))


def _scope(app_name: str, user_id: str) -> str:
    return "of" + hashlib.sha256(json.dumps([app_name, user_id]).encode()).hexdigest()[:32]


# -- on the writer's thread

_OF_USER = "app_name = ? AND user_id = ?"


def _remember(conn: sqlite3.Connection, scope: tuple[str, str, str], entries: list[_Entry], is_all: bool) -> None:
    user = scope[:2]
    sql = f"SELECT event_id, author, timestamp, content, words FROM adk_memory WHERE {_OF_USER} AND session_id = ?"
    there = {row[0]: _Entry(*row) for row in conn.execute(sql, scope).fetchall()}
    sql = f"SELECT event_id FROM adk_memory_deleted WHERE {_OF_USER}"
    deleted = {event_id for (event_id,) in conn.execute(sql, user).fetchall()}
    if is_all:
        wanted = {entry.event_id: entry for entry in entries}
        gone = [name for name, entry in there.items() if wanted.get(name) != entry]
        sql = f"DELETE FROM adk_memory WHERE {_OF_USER} AND session_id = ? AND event_id = ?"
        conn.executemany(sql, [(*scope, name) for name in gone])
        there = {name: there[name] for name in there.keys() - gone}
    for entry in entries:
        if entry.event_id not in there and entry.event_id not in deleted:
            sql = "INSERT INTO adk_memory VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"
            conn.execute(sql, (*scope, *entry[:4], _scope(*user), entry.words))


def _forget(conn: sqlite3.Connection, memory: tuple[str, str, str]) -> None:
    if conn.execute(f"DELETE FROM adk_memory WHERE {_OF_USER} AND event_id = ?", memory).rowcount:
        conn.execute("INSERT OR IGNORE INTO adk_memory_deleted VALUES (?, ?, ?)", memory)
