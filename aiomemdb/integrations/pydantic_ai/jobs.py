"""The tables of Pydantic AI's conversations, their rows, and what runs on the writer's thread."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple, TypeAlias

from pydantic import TypeAdapter
from pydantic_ai.conversation_store import ConversationConflict, ConversationEntry, ConversationRecord
from pydantic_ai.messages import ModelMessagesTypeAdapter

from .._checks import checked_key
from .._tables import Tables

__all__ = ["LINE", "RECORD", "TABLES", "EntryRow", "RecordRow", "delete", "entry_row", "record_row", "write"]

TABLES = Tables(
    "Pydantic AI's conversations",
    """CREATE TABLE IF NOT EXISTS pydantic_ai_conversation (
        id INTEGER PRIMARY KEY,
        conversation_id TEXT NOT NULL UNIQUE,
        scope TEXT,
        revision TEXT NOT NULL,
        updated_at INTEGER NOT NULL,  -- microseconds since 1970
        record TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS pydantic_ai_latest ON pydantic_ai_conversation (updated_at)",
    "CREATE INDEX IF NOT EXISTS pydantic_ai_scope ON pydantic_ai_conversation (scope, updated_at)",
    """CREATE TABLE IF NOT EXISTS pydantic_ai_entry (
        id TEXT NOT NULL PRIMARY KEY,
        parent_id TEXT,
        kind TEXT NOT NULL,
        message TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS pydantic_ai_children ON pydantic_ai_entry (parent_id)",
    # Where histories end: of each conversation its newest entry, and the last ones of the branches that it left.
    """CREATE TABLE IF NOT EXISTS pydantic_ai_tip (
        entry TEXT NOT NULL,
        conversation INTEGER NOT NULL,
        PRIMARY KEY (entry, conversation)
    ) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS pydantic_ai_tips ON pydantic_ai_tip (conversation)",
)

#: The entries from one back to the first, or as many of them.
LINE = """
    WITH RECURSIVE line (id, parent_id) AS (
        SELECT id, parent_id FROM pydantic_ai_entry WHERE id = ?
        UNION SELECT entry.id, entry.parent_id FROM line JOIN pydantic_ai_entry AS entry ON entry.id = line.parent_id
        LIMIT ?
    ) SELECT id, entry.parent_id, kind, message FROM line JOIN pydantic_ai_entry AS entry USING (id)
"""

# What only the tips of a conversation lead to goes with it. An entry stays if another conversation's tip, or an entry
# outside, stands on it.
_RELEASE = """
    WITH RECURSIVE gone (id) AS (
        SELECT entry FROM pydantic_ai_tip WHERE conversation = :conversation
        UNION SELECT parent_id FROM gone JOIN pydantic_ai_entry USING (id) WHERE parent_id IS NOT NULL
    ), kept (id) AS (
        SELECT id FROM gone WHERE
            EXISTS (SELECT 1 FROM pydantic_ai_tip WHERE entry = gone.id AND conversation != :conversation)
            OR EXISTS (SELECT 1 FROM pydantic_ai_entry AS child
                       WHERE child.parent_id = gone.id AND child.id NOT IN (SELECT id FROM gone))
        UNION SELECT parent_id FROM kept JOIN pydantic_ai_entry USING (id)
    ) DELETE FROM pydantic_ai_entry WHERE id IN (SELECT id FROM gone EXCEPT SELECT id FROM kept)
"""

RECORD: TypeAdapter[ConversationRecord] = TypeAdapter(ConversationRecord)

#: id, parent_id, kind, message
EntryRow: TypeAlias = tuple[str, str | None, str, str]


def entry_row(entry: ConversationEntry) -> EntryRow:
    checked_key("an entry's id", entry.id, may_be_empty=True)
    message = ModelMessagesTypeAdapter.dump_json([entry.message]).decode()
    return entry.id, entry.parent_id, entry.kind, message


class RecordRow(NamedTuple):
    """A record as it is stored."""

    conversation_id: str
    scope: str | None
    revision: str
    updated_at: int
    text: str
    head_id: str | None
    tips: tuple[str, ...]


def record_row(record: ConversationRecord) -> RecordRow:
    tips = record.branches if record.head_id is None else [*record.branches, record.head_id]
    return RecordRow(
        record.conversation_id,
        record.scope,
        record.revision,
        round(record.updated_at.timestamp() * 1e6),
        RECORD.dump_json(record).decode(),
        record.head_id,
        tuple(dict.fromkeys(tips)),
    )


# -- on the writer's thread


def _revision(conn: sqlite3.Connection, conversation_id: str) -> str | None:
    sql = "SELECT revision FROM pydantic_ai_conversation WHERE conversation_id = ?"
    row = conn.execute(sql, (conversation_id,)).fetchone()
    return None if row is None else row[0]


def write(conn: sqlite3.Connection, record: RecordRow, rows: list[EntryRow], expected: str | None) -> None:
    if _revision(conn, record.conversation_id) != expected:
        raise ConversationConflict(record.conversation_id)
    conn.executemany("INSERT OR REPLACE INTO pydantic_ai_entry VALUES (?, ?, ?, ?)", rows)
    there = conn.execute("SELECT count(*) FROM pydantic_ai_entry WHERE id = ?", (record.head_id,)).fetchone()
    if record.head_id is not None and there[0] == 0:
        raise ConversationConflict(record.conversation_id)
    [(conversation,)] = conn.execute(
        "INSERT INTO pydantic_ai_conversation (conversation_id, scope, revision, updated_at, record) "
        "VALUES (?, ?, ?, ?, ?) ON CONFLICT (conversation_id) DO UPDATE SET scope = excluded.scope, "
        "revision = excluded.revision, updated_at = excluded.updated_at, record = excluded.record RETURNING id",
        record[:5],
    ).fetchall()
    conn.execute("DELETE FROM pydantic_ai_tip WHERE conversation = ?", (conversation,))
    conn.executemany("INSERT INTO pydantic_ai_tip VALUES (?, ?)", [(tip, conversation) for tip in record.tips])


def delete(conn: sqlite3.Connection, conversation_id: str, expected: str) -> None:
    if expected is None or _revision(conn, conversation_id) != expected:
        raise ConversationConflict(conversation_id)
    sql = "SELECT id FROM pydantic_ai_conversation WHERE conversation_id = ?"
    [(conversation,)] = conn.execute(sql, (conversation_id,)).fetchall()
    conn.execute(_RELEASE, {"conversation": conversation})
    conn.execute("DELETE FROM pydantic_ai_tip WHERE conversation = ?", (conversation,))
    conn.execute("DELETE FROM pydantic_ai_conversation WHERE id = ?", (conversation,))
