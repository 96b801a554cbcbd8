"""LlamaIndex' ``AsyncDBChatStore``, in an aiomemdb database.

The table is that of ``SQLAlchemyChatStore``: either opens a file of the other.
"""

from __future__ import annotations

import json
import re
import sqlite3
import time
from collections.abc import Iterable
from typing import Any

from ..sqlite.engine.database import SQLiteDatabase
from ._checks import checked_key, checked_limit
from ._tables import Tables, checked_database

try:
    from llama_index.core.base.llms.types import ChatMessage
    from llama_index.core.bridge.pydantic import PrivateAttr
    from llama_index.core.storage.chat_store.base_db import AsyncDBChatStore, MessageStatus
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.llama_index needs LlamaIndex: pip install 'aiomemdb[llama-index]'"
    ) from _error

__all__ = ["AiomemdbChatStore"]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,100}")
_tables: dict[str, Tables] = {}


def _tables_of(name: str) -> Tables:
    if name not in _tables:
        _tables[name] = Tables(
            "LlamaIndex' chat store",
            f"""CREATE TABLE IF NOT EXISTS {name} (
                id INTEGER NOT NULL PRIMARY KEY,
                key VARCHAR NOT NULL,
                timestamp BIGINT NOT NULL,
                role VARCHAR NOT NULL,
                status VARCHAR NOT NULL,
                data JSON NOT NULL
            )""",
            *(
                f"CREATE INDEX IF NOT EXISTS ix_{name}_{column} ON {name} ({column})"
                for column in ("key", "status", "timestamp")
            ),
        )
    return _tables[name]


class AiomemdbChatStore(AsyncDBChatStore):
    """Keeps messages of LlamaIndex' ``Memory``: ``Memory.from_defaults(chat_store=AiomemdbChatStore(db))``.

    Messages of a key are in the order in which they were stored, whatever task stored them. Each call is one job; the
    methods that return messages and change them do both in it.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
        table_name: letters, digits and underscores.
    """

    table_name: str = "llama_index_memory"
    _db: SQLiteDatabase = PrivateAttr()

    def __init__(self, db: SQLiteDatabase, table_name: str = "llama_index_memory") -> None:
        if not isinstance(table_name, str) or not _NAME.fullmatch(table_name):
            raise ValueError(f"table_name={table_name!r}: letters, digits and underscores, a letter first")
        super().__init__(table_name=table_name)
        self._db = checked_database(db, self)

    async def get_messages(
        self,
        key: str,
        status: MessageStatus | None = MessageStatus.ACTIVE,
        limit: int | None = None,
        offset: int | None = None,
    ) -> list[ChatMessage]:
        """Return the messages of a key, oldest first; of all statuses where ``status`` is None.

        Raises:
            ValueError: ``limit`` or ``offset`` is negative.
        """
        limit, offset = checked_limit("limit", limit), checked_limit("offset", offset)
        where, values = _where(key, status)
        db = await self._database()
        sql = f"SELECT data FROM {self.table_name} WHERE {where} ORDER BY timestamp, id LIMIT ? OFFSET ?"
        rows = await db.read(sql, (*values, -1 if limit is None else limit, offset or 0))
        return [_message(data) for (data,) in rows]

    async def count_messages(self, key: str, status: MessageStatus | None = MessageStatus.ACTIVE) -> int:
        """Return how many messages a key has, of all statuses where ``status`` is None."""
        where, values = _where(key, status)
        db = await self._database()
        count: int = await db.read_value(f"SELECT count(*) FROM {self.table_name} WHERE {where}", values)
        return count

    async def add_message(self, key: str, message: ChatMessage, status: MessageStatus = MessageStatus.ACTIVE) -> None:
        """Add a message."""
        await self.add_messages(key, [message], status)

    async def add_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Add messages in their order: one job.

        Cancellation: all of them are added, or none.
        """
        if rows := _rows(messages):
            await self._add(key, status, rows, anew=False)

    async def set_messages(
        self, key: str, messages: list[ChatMessage], status: MessageStatus = MessageStatus.ACTIVE
    ) -> None:
        """Replace all messages of a key, whatever their status: one job."""
        await self._add(key, status, _rows(messages), anew=True)

    async def delete_message(self, key: str, idx: int) -> ChatMessage | None:
        """Delete a message of a key by the id of its row and return it, or None where there is none."""
        where, values = _where(key, None)
        taken = await self._take(f"{where} AND id = ?", (*values, checked_limit("idx", idx)))
        return taken[0] if taken else None

    async def delete_messages(self, key: str, status: MessageStatus | None = None) -> None:
        """Delete the messages of a key, of all statuses where ``status`` is None."""
        where, values = _where(key, status)
        db = await self._database()
        await db.write_count(f"DELETE FROM {self.table_name} WHERE {where}", values)

    async def delete_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Delete the ``n`` oldest active messages of a key and return them."""
        return await self._take(*_oldest(self.table_name, key, n))

    async def archive_oldest_messages(self, key: str, n: int) -> list[ChatMessage]:
        """Archive the ``n`` oldest active messages of a key and return them."""
        return await self._take(*_oldest(self.table_name, key, n), MessageStatus.ARCHIVED)

    async def get_keys(self) -> list[str]:
        """Return the keys that have messages."""
        db = await self._database()
        return [key for (key,) in await db.read(f"SELECT key FROM {self.table_name} GROUP BY key ORDER BY min(id)")]

    async def _database(self) -> SQLiteDatabase:
        await _tables_of(self.table_name).made_in(self._db)
        return self._db

    async def _add(self, key: str, status: MessageStatus, rows: list[tuple[str, str]], *, anew: bool) -> None:
        key, status = checked_key("key", key), MessageStatus(status)
        await (await self._database()).write_fn(_add, self.table_name, key, status, rows, anew)

    async def _take(
        self, where: str, values: tuple[Any, ...], status: MessageStatus | None = None
    ) -> list[ChatMessage]:
        return await (await self._database()).write_fn(_take, self.table_name, where, values, status)

    @classmethod
    def class_name(cls) -> str:
        return "AiomemdbChatStore"


def _where(key: str, status: MessageStatus | None) -> tuple[str, tuple[str, ...]]:
    key = checked_key("key", key)
    return ("key = ?", (key,)) if status is None else ("key = ? AND status = ?", (key, MessageStatus(status).value))


def _oldest(table: str, key: str, n: int) -> tuple[str, tuple[Any, ...]]:
    where, values = _where(key, MessageStatus.ACTIVE)
    ids = f"SELECT id FROM {table} WHERE {where} ORDER BY timestamp, id LIMIT ?"
    return f"id IN ({ids})", (*values, checked_limit("n", n) or 0)


def _rows(messages: Iterable[ChatMessage]) -> list[tuple[str, str]]:
    return [(message.role.value, json.dumps(message.model_dump(mode="json"))) for message in messages]


def _message(data: str) -> ChatMessage:
    return ChatMessage.model_validate(json.loads(data))


def _now() -> int:
    return time.time_ns()


# -- on the writer's thread


def _add(
    conn: sqlite3.Connection, table: str, key: str, status: MessageStatus, rows: list[tuple[str, str]], anew: bool
) -> None:
    if anew:
        conn.execute(f"DELETE FROM {table} WHERE key = ?", (key,))
    last = conn.execute(f"SELECT timestamp FROM {table} WHERE key = ? ORDER BY id DESC LIMIT 1", (key,)).fetchone()
    first = max(_now(), last[0] + 1 if last else 0)  # where a clock goes back, too, the order is that of adding
    sql = f"INSERT INTO {table} (key, timestamp, role, status, data) VALUES (?, ?, ?, ?, ?)"
    values = ((key, first + place, role, status.value, data) for place, (role, data) in enumerate(rows))
    conn.executemany(sql, values)


def _take(
    conn: sqlite3.Connection, table: str, where: str, values: tuple[Any, ...], status: MessageStatus | None
) -> list[ChatMessage]:
    sql = f"SELECT id, data FROM {table} WHERE {where} ORDER BY timestamp, id"
    rows = conn.execute(sql, values).fetchall()
    messages = [_message(data) for _, data in rows]
    ids = [(row_id,) for row_id, _ in rows]
    if status is None:
        conn.executemany(f"DELETE FROM {table} WHERE id = ?", ids)
    else:
        conn.executemany(f"UPDATE {table} SET status = '{status.value}' WHERE id = ?", ids)
    return messages
