"""Agent Framework's ``HistoryProvider``."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from typing import Any

from agent_framework import HistoryProvider, Message
from agent_framework._sessions import filter_new_messages

from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_key
from .._tables import Tables, checked_database

__all__ = ["AiomemdbHistoryProvider"]

_TABLES = Tables(
    "Agent Framework's history",
    """CREATE TABLE IF NOT EXISTS agent_framework_message (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        source_id TEXT NOT NULL,
        session_id TEXT NOT NULL,  -- '' where there is none
        message TEXT NOT NULL
    )""",
    """CREATE INDEX IF NOT EXISTS agent_framework_history
        ON agent_framework_message (source_id, session_id, id)""",
)


class AiomemdbHistoryProvider(HistoryProvider):
    """Keeps the messages of sessions: ``Agent(context_providers=[AiomemdbHistoryProvider(db)], ...)``.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
        source_id: of this provider; each has a history of its own.
        skip_excluded: whether messages that a compaction has excluded are left out.
        options: ``load_messages``, ``store_inputs``, … of ``HistoryProvider``.
    """

    def __init__(
        self, db: SQLiteDatabase, source_id: str = "aiomemdb", *, skip_excluded: bool = False, **options: Any
    ) -> None:
        super().__init__(checked_key("source_id", source_id), **options)
        self._db = checked_database(db, self)
        self.skip_excluded = skip_excluded

    async def get_messages(
        self, session_id: str | None, *, state: dict[str, Any] | None = None, **kwargs: Any
    ) -> list[Message]:
        """Return the messages of a session, oldest first."""
        _, messages = await self._read(self._key(session_id))
        if self.skip_excluded:
            return [message for message in messages if not message.additional_properties.get("_excluded", False)]
        return messages

    async def save_messages(
        self,
        session_id: str | None,
        messages: Sequence[Message],
        *,
        state: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Add the messages that the session does not have yet, in their order: one job.

        Raises:
            TypeError: a message is no JSON.
            sqlite3.DataError: a message is larger than ``max_value_bytes``.

        Cancellation: all of them are added, or none.
        """
        key, added = self._key(session_id), False
        while messages and not added:
            last, there = await self._read(key)
            texts = [json.dumps(message.to_dict()) for message in filter_new_messages(there, messages)]
            # What is new was decided by what was read: where others have written meanwhile, it is decided again.
            added = not texts or await self._db.write_fn(_add, key, last, texts)

    def _key(self, session_id: str | None) -> tuple[str, str]:
        return self.source_id, checked_key("session_id", session_id or "", may_be_empty=True)

    async def _read(self, key: tuple[str, str]) -> tuple[int, list[Message]]:
        await _TABLES.made_in(self._db)
        sql = "SELECT id, message FROM agent_framework_message WHERE source_id = ? AND session_id = ? ORDER BY id"
        rows = await self._db.read(sql, key)
        return rows[-1][0] if rows else 0, [Message.from_dict(json.loads(text)) for _, text in rows]


# -- on the writer's thread


def _add(conn: sqlite3.Connection, key: tuple[str, str], last: int, texts: list[str]) -> bool:
    sql = "SELECT max(id) FROM agent_framework_message WHERE source_id = ? AND session_id = ?"
    if (conn.execute(sql, key).fetchone()[0] or 0) != last:
        return False
    sql = "INSERT INTO agent_framework_message (source_id, session_id, message) VALUES (?, ?, ?)"
    conn.executemany(sql, [(*key, text) for text in texts])
    return True
