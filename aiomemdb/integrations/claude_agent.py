"""The Claude Agent SDK's ``SessionStore``, in an aiomemdb database.

Each append is one job: entries, the summary that the SDK folds from them, and the time of both.
"""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

from ..sqlite.engine.database import SQLiteDatabase
from ._checks import checked_key
from ._tables import Tables, checked_database

try:
    from claude_agent_sdk import (
        SessionKey,
        SessionListSubkeysKey,
        SessionStore,
        SessionStoreEntry,
        SessionStoreListEntry,
        SessionSummaryEntry,
        fold_session_summary,
    )
except ImportError as _error:
    raise ImportError(
        "aiomemdb.integrations.claude_agent needs the Claude Agent SDK: pip install 'aiomemdb[claude]'"
    ) from _error

__all__ = ["AiomemdbSessionStore"]

_TABLES = Tables(
    "the Claude Agent SDK's sessions",
    """CREATE TABLE IF NOT EXISTS claude_transcript (
        id INTEGER PRIMARY KEY,
        project_key TEXT NOT NULL,
        session_id TEXT NOT NULL,
        subpath TEXT NOT NULL,  -- '' is the session itself, others are its subagents
        mtime INTEGER NOT NULL,
        summary TEXT  -- of a session, what the SDK folded
    )""",
    """CREATE UNIQUE INDEX IF NOT EXISTS claude_transcript_key
        ON claude_transcript (project_key, session_id, subpath)""",
    "CREATE INDEX IF NOT EXISTS claude_transcript_mtime ON claude_transcript (project_key, mtime)",
    """CREATE TABLE IF NOT EXISTS claude_entry (
        id INTEGER PRIMARY KEY,
        transcript INTEGER NOT NULL REFERENCES claude_transcript(id) ON DELETE CASCADE,
        uuid TEXT,
        entry TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS claude_entry_order ON claude_entry (transcript, id)",
    "CREATE UNIQUE INDEX IF NOT EXISTS claude_entry_uuid ON claude_entry (transcript, uuid) WHERE uuid IS NOT NULL",
)

#: project_key, session_id, subpath
_Key = tuple[str, str, str]


class AiomemdbSessionStore(SessionStore):
    """Keeps transcripts of the Claude Agent SDK: ``ClaudeAgentOptions(session_store=AiomemdbSessionStore(db))``.

    Any number of stores and processes share a file. An entry with a ``uuid`` is stored once for each transcript, so a
    batch that the SDK sends again adds nothing. Times of a project's sessions increase with each append, in
    milliseconds, also where the clock does not.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
    """

    def __init__(self, db: SQLiteDatabase) -> None:
        self._db = checked_database(db, self)

    async def append(self, key: SessionKey, entries: list[SessionStoreEntry]) -> None:
        """Add entries to a transcript, in their order, and fold them into the session's summary: one job.

        Args:
            key: the transcript; with a ``subpath`` that of a subagent, which has no summary.
            entries: objects of JSON. None: nothing is done.

        Raises:
            TypeError, ValueError: the key, a ``uuid`` or an entry can't be stored.
            sqlite3.DataError: an entry is larger than ``max_value_bytes``.
            Exception: what a write raises.

        Cancellation: all of it is stored, or nothing.
        """
        where = _checked(key)
        texts = [(_uuid(entry), json.dumps(entry)) for entry in entries]
        if texts:
            await _TABLES.made_in(self._db)
            await self._db.write_fn(_append, where, texts)

    async def load(self, key: SessionKey) -> list[SessionStoreEntry] | None:
        """Return a transcript's entries in order, or None where there is none."""
        await _TABLES.made_in(self._db)
        return await self._db.read_fn(_load, _checked(key))

    async def list_sessions(self, project_key: str) -> list[SessionStoreListEntry]:
        """Return the sessions of a project, and when each was last written, in milliseconds since 1970."""
        return [{"session_id": row[0], "mtime": row[1]} for row in await self._sessions(project_key)]

    async def list_session_summaries(self, project_key: str) -> list[SessionSummaryEntry]:
        """Return the summary of each session of a project."""
        return [_summary(*row) for row in await self._sessions(project_key)]

    async def _sessions(self, project_key: str) -> list[Any]:
        await _TABLES.made_in(self._db)
        return await self._db.read(
            "SELECT session_id, mtime, summary FROM claude_transcript WHERE project_key = ? AND subpath = '' "
            "AND summary IS NOT NULL ORDER BY id",
            (checked_key("project_key", project_key),),
        )

    async def delete(self, key: SessionKey) -> None:
        """Delete a session with its subagents' transcripts, or, with a ``subpath``, that one transcript."""
        where = _checked(key)
        await _TABLES.made_in(self._db)
        await self._db.write_fn(_delete, where)

    async def list_subkeys(self, key: SessionListSubkeysKey) -> list[str]:
        """Return the ``subpath`` of each subagent's transcript of a session."""
        await _TABLES.made_in(self._db)
        rows = await self._db.read(
            "SELECT subpath FROM claude_transcript WHERE project_key = ? AND session_id = ? AND subpath > '' "
            "ORDER BY id",
            _checked(key)[:2],
        )
        return [subpath for (subpath,) in rows]


def _checked(key: SessionKey | SessionListSubkeysKey) -> _Key:
    names: dict[str, Any] = dict(key)
    for name in ("project_key", "session_id"):
        if name not in names:
            raise ValueError(f"the key {key!r} has no {name!r}")
    return (
        checked_key("project_key", names["project_key"]),
        checked_key("session_id", names["session_id"]),
        checked_key("subpath", names.get("subpath") or "", may_be_empty=True),
    )


def _now() -> int:
    return time.time_ns() // 1_000_000


def _uuid(entry: SessionStoreEntry) -> str | None:
    if not isinstance(entry, dict):
        raise TypeError(f"an entry is a dict, not {type(entry).__name__}")
    uuid: object = entry.get("uuid")
    return checked_key("uuid", uuid) if isinstance(uuid, str) and uuid else None


# -- on the writer's and the readers' threads


def _append(conn: sqlite3.Connection, key: _Key, texts: list[tuple[str | None, str]]) -> None:
    last = conn.execute("SELECT max(mtime) FROM claude_transcript WHERE project_key = ?", key[:1]).fetchone()[0]
    mtime = max(_now(), (last or 0) + 1)
    row = conn.execute(f"SELECT id, summary FROM claude_transcript WHERE {_IS_KEY}", key).fetchone()
    if row is None:
        sql = "INSERT INTO claude_transcript (project_key, session_id, subpath, mtime) VALUES (?, ?, ?, ?)"
        row = conn.execute(sql, (*key, mtime)).lastrowid, None
    transcript, summary = row
    insert = "INSERT INTO claude_entry (transcript, uuid, entry) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
    added = [text for uuid, text in texts if conn.execute(insert, (transcript, uuid, text)).rowcount]
    if not key[2] and (added or summary is None):
        project_key, session_id, _ = key
        before = None if summary is None else _summary(session_id, mtime, summary)
        folded = fold_session_summary(
            before, {"project_key": project_key, "session_id": session_id}, [json.loads(text) for text in added]
        )
        summary = json.dumps(folded["data"])
    conn.execute("UPDATE claude_transcript SET mtime = ?, summary = ? WHERE id = ?", (mtime, summary, transcript))


_IS_KEY = "project_key = ? AND session_id = ? AND subpath = ?"


def _summary(session_id: str, mtime: int, data: str) -> SessionSummaryEntry:
    return {"session_id": session_id, "mtime": mtime, "data": json.loads(data)}


def _load(conn: sqlite3.Connection, key: _Key) -> list[SessionStoreEntry] | None:
    row = conn.execute(f"SELECT id FROM claude_transcript WHERE {_IS_KEY}", key).fetchone()
    if row is None:
        return None
    texts = conn.execute("SELECT entry FROM claude_entry WHERE transcript = ? ORDER BY id", (row[0],)).fetchall()
    return [json.loads(text) for (text,) in texts]


def _delete(conn: sqlite3.Connection, key: _Key) -> None:
    which = "project_key = ? AND session_id = ?" + (" AND subpath = ?" if key[2] else "")
    values = key if key[2] else key[:2]
    conn.execute(
        f"DELETE FROM claude_entry WHERE transcript IN (SELECT id FROM claude_transcript WHERE {which})", values
    )
    conn.execute(f"DELETE FROM claude_transcript WHERE {which}", values)
