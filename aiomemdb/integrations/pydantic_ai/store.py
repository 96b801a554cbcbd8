"""Pydantic AI's ``ConversationStore``."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_ai.conversation_store import ConversationEntry, ConversationRecord, ConversationStore
from pydantic_ai.messages import ModelMessagesTypeAdapter

from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_key, checked_limit
from .._tables import checked_database
from .jobs import LINE, RECORD, TABLES, delete, entry_row, record_row, write

__all__ = ["AiomemdbConversationStore"]


class AiomemdbConversationStore(ConversationStore):
    """Keeps conversations of Pydantic AI: ``store = AiomemdbConversationStore(db)``, then ``load`` and ``save``.

    A save is one job: the record, the entries and the look at the revision. The entries of a deleted conversation go
    with it, except those that another conversation's history uses.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
    """

    def __init__(self, db: SQLiteDatabase) -> None:
        self._db = checked_database(db, self)

    async def read_record(self, conversation_id: str) -> ConversationRecord | None:
        """Return the record of a conversation, or None where there is none."""
        checked_key("conversation_id", conversation_id, may_be_empty=True)
        sql = "SELECT record FROM pydantic_ai_conversation WHERE conversation_id = ?"
        text = await (await self._database()).read_value(sql, (conversation_id,))
        return None if text is None else RECORD.validate_json(text)

    async def read_records(self, *, scope: str | None = None, limit: int | None = None) -> Sequence[ConversationRecord]:
        """Return the records, of one scope or of all, the one saved last first."""
        limit = checked_limit("limit", limit)
        sql, values = "SELECT record FROM pydantic_ai_conversation", list[object]()
        if scope is not None:
            sql, values = f"{sql} WHERE scope = ?", [checked_key("scope", scope, may_be_empty=True)]
        sql = f"{sql} ORDER BY updated_at DESC, id LIMIT ?"
        rows = await (await self._database()).read(sql, (*values, -1 if limit is None else limit))
        return [RECORD.validate_json(text) for (text,) in rows]

    async def write_record(
        self,
        record: ConversationRecord,
        *,
        new_entries: Sequence[ConversationEntry] = (),
        expected_revision: str | None,
    ) -> None:
        """Store a record with the entries that its history adds, if the stored one's revision is the expected one.

        Raises:
            ConversationConflict: it is another one, or the history ends in an entry that is not stored.
            sqlite3.DataError: a message is larger than ``max_value_bytes``.

        Cancellation: all of it is stored, or nothing.
        """
        checked_key("conversation_id", record.conversation_id, may_be_empty=True)
        checked_key("scope", record.scope or "", may_be_empty=True)
        rows = [entry_row(entry) for entry in new_entries]
        await (await self._database()).write_fn(write, record_row(record), rows, expected_revision)

    async def delete_record(self, conversation_id: str, *, expected_revision: str) -> None:
        """Delete a conversation, with the entries that no other one's history uses.

        Raises:
            ConversationConflict: no such conversation of this revision is stored.
        """
        checked_key("conversation_id", conversation_id, may_be_empty=True)
        await (await self._database()).write_fn(delete, conversation_id, expected_revision)

    async def read_entry(self, entry_id: str) -> ConversationEntry:
        """Return an entry.

        Raises:
            KeyError: there is none of this id.
        """
        return (await self.read_history(entry_id, limit=1))[0]

    async def read_history(self, head_id: str | None, *, limit: int | None = None) -> list[ConversationEntry]:
        """Return the entries up to ``head_id`` in order, or the last ``limit`` of them: one query.

        Raises:
            KeyError: an entry is missing.
        """
        limit = checked_limit("limit", limit)
        if head_id is None:
            return []
        checked_key("entry_id", head_id, may_be_empty=True)
        rows = await (await self._database()).read(LINE, (head_id, -1 if limit is None else limit))
        by_id = {row["id"]: row for row in rows}
        entries: list[ConversationEntry] = []
        next_id: str | None = head_id
        while next_id is not None and len(entries) != limit:
            entry_id, next_id, kind, message = by_id.pop(next_id)  # KeyError: it is missing, or stands on itself
            [read] = ModelMessagesTypeAdapter.validate_json(message)
            entries.append(ConversationEntry(id=entry_id, parent_id=next_id, message=read, kind=kind))
        return entries[::-1]

    async def _database(self) -> SQLiteDatabase:
        await TABLES.made_in(self._db)
        return self._db
