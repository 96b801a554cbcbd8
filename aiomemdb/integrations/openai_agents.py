"""The OpenAI Agents SDK's ``Session``, in an aiomemdb database.

The tables are those of the SDK's ``AsyncSQLiteSession``: either opens a file of the other.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from ..sqlite.engine.database import SQLiteDatabase
from ._checks import checked_key, checked_limit
from ._tables import Tables, checked_database

try:
    from agents.items import TResponseInputItem
    from agents.memory import SessionABC, SessionSettings
    from agents.memory.session_settings import coerce_session_settings, resolve_session_limit
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.openai_agents needs the OpenAI Agents SDK: pip install 'aiomemdb[openai]'"
    ) from _error

__all__ = ["AiomemdbSession"]

_TABLES = Tables(
    "OpenAI Agents' sessions",
    """CREATE TABLE IF NOT EXISTS agent_sessions (
        session_id TEXT PRIMARY KEY,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP,
        updated_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )""",
    """CREATE TABLE IF NOT EXISTS agent_messages (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        session_id TEXT NOT NULL REFERENCES agent_sessions (session_id) ON DELETE CASCADE,
        message_data TEXT NOT NULL,
        created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
    )""",
    "CREATE INDEX IF NOT EXISTS idx_agent_messages_session_id ON agent_messages (session_id, id)",
)

# As bytes: a row that is no UTF-8 is then skipped as other corrupt rows are, and fails no query.
_NEWEST = "SELECT id, CAST(message_data AS BLOB) FROM agent_messages WHERE session_id = ? ORDER BY id DESC"


class AiomemdbSession(SessionABC):
    """A conversation: ``Runner.run(agent, input, session=AiomemdbSession("user 42", db))``.

    Any number of sessions, also in several processes, share one file, and one writer in each process. A row that is no
    JSON is skipped, and does not count towards a limit.

    Args:
        session_id: of the conversation.
        db: an open database, as ``aiomemdb.connect`` returns it.
        session_settings: an object or a dict; ``limit`` is how many items ``get_items()`` returns.

    Raises:
        TypeError, ValueError: an argument can't be used; the message names it.
    """

    session_id: str
    session_settings: SessionSettings | None

    def __init__(
        self,
        session_id: str,
        db: SQLiteDatabase,
        *,
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = checked_key("session_id", session_id)
        self.session_settings = coerce_session_settings({} if session_settings is None else session_settings)
        self._db = checked_database(db, self)
        self._is_closed = False

    async def get_items(self, limit: int | None = None) -> list[TResponseInputItem]:
        """Return the conversation, oldest item first.

        Args:
            limit: of the latest items; without it that of ``session_settings``.

        Raises:
            RuntimeError: the session is closed.
            ValueError: the limit is negative.
        """
        limit = checked_limit("limit", resolve_session_limit(limit, self.session_settings))
        return await (await self._database()).read_fn(_latest, self.session_id, limit)

    async def add_items(self, items: list[TResponseInputItem]) -> None:
        """Add items to the conversation, in their order: one job.

        Raises:
            RuntimeError: the session is closed.
            TypeError: an item is no JSON, or None; the items are no list.
            sqlite3.DataError: an item is larger than ``max_value_bytes``.

        Cancellation: all of them are added, or none.
        """
        self._check_open()
        given: object = items
        if isinstance(given, str):
            raise TypeError(f"items={items!r}: a list of them, not one")
        texts = [json.dumps(item) for item in items]
        if "null" in texts:  # it would be skipped as what no session has put there
            raise TypeError(f"items[{texts.index('null')}] is None, and no item")
        if texts:
            await (await self._database()).write_fn(_add, self.session_id, texts)

    async def pop_item(self) -> TResponseInputItem | None:
        """Remove the latest item and return it, or None where there is none. Corrupt rows after it go too.

        Raises:
            RuntimeError: the session is closed.

        Cancellation: the item is removed and lost, or left.
        """
        return await (await self._database()).write_fn(_pop, self.session_id)

    async def clear_session(self) -> None:
        """Remove the conversation.

        Raises:
            RuntimeError: the session is closed.
        """
        await (await self._database()).write_fn(_clear, self.session_id)

    async def close(self) -> None:
        """End the session: each later call raises ``RuntimeError``. The database stays open."""
        self._is_closed = True

    def _check_open(self) -> None:
        if self._is_closed:
            raise RuntimeError(f"{type(self).__name__} is closed")

    async def _database(self) -> SQLiteDatabase:
        self._check_open()
        await _TABLES.made_in(self._db)
        return self._db


# -- on the writer's and the readers' threads


def _decoded(data: bytes) -> Any:
    """Return the item, or None where it is none: no item is null."""
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _latest(conn: sqlite3.Connection, session_id: str, limit: int | None) -> list[TResponseInputItem]:
    items: list[TResponseInputItem] = []
    for _, data in conn.execute(_NEWEST, (session_id,)):
        if len(items) == limit:
            break
        if (item := _decoded(data)) is not None:
            items.append(item)
    return items[::-1]


def _add(conn: sqlite3.Connection, session_id: str, texts: list[str]) -> None:
    conn.execute(
        "INSERT INTO agent_sessions (session_id) VALUES (?) "
        "ON CONFLICT (session_id) DO UPDATE SET updated_at = CURRENT_TIMESTAMP",
        (session_id,),
    )
    conn.executemany(
        "INSERT INTO agent_messages (session_id, message_data) VALUES (?, ?)", [(session_id, text) for text in texts]
    )


def _pop(conn: sqlite3.Connection, session_id: str) -> TResponseInputItem | None:
    while (row := conn.execute(f"{_NEWEST} LIMIT 1", (session_id,)).fetchone()) is not None:
        conn.execute("DELETE FROM agent_messages WHERE id = ?", (row[0],))
        if (item := _decoded(row[1])) is not None:
            return item
    return None


def _clear(conn: sqlite3.Connection, session_id: str) -> None:
    conn.execute("DELETE FROM agent_messages WHERE session_id = ?", (session_id,))
    conn.execute("DELETE FROM agent_sessions WHERE session_id = ?", (session_id,))
