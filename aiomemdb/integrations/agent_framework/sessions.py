"""Agent Framework's ``SessionStore``."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping

from agent_framework import AgentSession, SessionStore

from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_key
from .._tables import Tables, checked_database

__all__ = ["AiomemdbSessionStore"]

_TABLES = Tables(
    "Agent Framework's sessions",
    """CREATE TABLE IF NOT EXISTS agent_framework_session (
        session_id TEXT NOT NULL PRIMARY KEY,
        session TEXT NOT NULL
    ) WITHOUT ROWID""",
)


with warnings.catch_warnings():
    # It warns of an experiment where a class derives from this one: nothing uses it yet.
    warnings.simplefilter("ignore")

    class AiomemdbSessionStore(SessionStore):
        """Keeps snapshots of sessions: ``AiomemdbSessionStore(db)`` in the place of ``SessionStore()``.

        The framework calls its session stores an experiment. Of two writers of one session, the last one wins.

        Args:
            db: an open database, as ``aiomemdb.connect`` returns it.
        """

        def __init__(self, db: SQLiteDatabase) -> None:
            self._db = checked_database(db, self)

        async def get(self, session_id: str) -> AgentSession | None:
            """Return a session, or None where there is none."""
            sql = "SELECT session FROM agent_framework_session WHERE session_id = ?"
            text = await (await self._database()).read_value(sql, (checked_key("session_id", session_id),))
            return None if text is None else AgentSession.from_dict(json.loads(text))

        async def set(self, session_id: str, session: AgentSession) -> None:
            """Store a session, in the place of one of this id.

            Raises:
                TypeError: it is of a subclass, which could not be restored, or its state is no JSON.
            """
            if type(session) is not AgentSession:
                raise TypeError(f"session={session!r}: an AgentSession, and no subclass of it")
            fields = session.to_dict()
            if isinstance(fields["service_session_id"], Mapping):
                fields["service_session_id"] = dict(fields["service_session_id"])
            await (await self._database()).write(
                "INSERT OR REPLACE INTO agent_framework_session VALUES (?, ?)",
                (checked_key("session_id", session_id), json.dumps(fields)),
            )

        async def delete(self, session_id: str) -> None:
            """Delete a session, if there is one."""
            sql = "DELETE FROM agent_framework_session WHERE session_id = ?"
            await (await self._database()).write(sql, (checked_key("session_id", session_id),))

        async def _database(self) -> SQLiteDatabase:
            await _TABLES.made_in(self._db)
            return self._db
