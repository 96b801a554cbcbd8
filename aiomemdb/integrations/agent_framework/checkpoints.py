"""Agent Framework's ``CheckpointStorage``."""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime

from agent_framework import WorkflowCheckpoint
from agent_framework._workflows._checkpoint_encoding import decode_checkpoint_value, encode_checkpoint_value
from agent_framework.exceptions import WorkflowCheckpointException

from ...sqlite.engine.database import SQLiteDatabase
from .._checks import checked_key
from .._tables import Tables, checked_database

__all__ = ["AiomemdbCheckpointStorage"]

_log = logging.getLogger("aiomemdb.integrations.agent_framework")

_TABLES = Tables(
    "Agent Framework's checkpoints",
    """CREATE TABLE IF NOT EXISTS agent_framework_checkpoint (
        id INTEGER PRIMARY KEY,
        checkpoint_id TEXT NOT NULL UNIQUE,
        workflow_name TEXT NOT NULL,
        at INTEGER NOT NULL,  -- microseconds since 1970
        checkpoint TEXT NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS agent_framework_latest ON agent_framework_checkpoint (workflow_name, at)",
)


class AiomemdbCheckpointStorage:
    """Keeps checkpoints of workflows: ``WorkflowBuilder(checkpoint_storage=AiomemdbCheckpointStorage(db), ...)``.

    A checkpoint's plain values are JSON. The others are pickled by the framework, and read by its restricted unpickler
    alone: types of the framework, of Python's values, of ``openai.types``, and those that you allow.

    Args:
        db: an open database, as ``aiomemdb.connect`` returns it.
        allowed_checkpoint_types: more types, as "module:qualname"; ``register_checkpoint_type`` allows them too.
    """

    def __init__(self, db: SQLiteDatabase, *, allowed_checkpoint_types: Sequence[str] | None = None) -> None:
        self._db = checked_database(db, self)
        if isinstance(allowed_checkpoint_types, str):
            raise TypeError(f"allowed_checkpoint_types={allowed_checkpoint_types!r}: a list of strings")
        self._allowed = frozenset(allowed_checkpoint_types or ())

    async def save(self, checkpoint: WorkflowCheckpoint) -> str:
        """Store a checkpoint, in the place of one of its id, and return the id.

        Raises:
            WorkflowCheckpointException: it could not be read again: it holds what is not allowed.
            ValueError: its timestamp is none, or its id or its workflow's name can't be stored.
            sqlite3.DataError: it is larger than ``max_value_bytes``.

        Cancellation: it is stored, or not.
        """
        checkpoint_id = checked_key("checkpoint_id", checkpoint.checkpoint_id)
        name = checked_key("workflow_name", checkpoint.workflow_name, may_be_empty=True)
        at = datetime.fromisoformat(checkpoint.timestamp)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        try:
            text = json.dumps(encode_checkpoint_value(checkpoint.to_dict()))
            self._decoded(text)
        except WorkflowCheckpointException:
            raise
        except Exception as error:
            raise WorkflowCheckpointException(f"Checkpoint {checkpoint_id} can't be encoded: {error}") from error
        await (await self._database()).write(
            "INSERT INTO agent_framework_checkpoint (checkpoint_id, workflow_name, at, checkpoint) VALUES (?, ?, ?, ?) "
            "ON CONFLICT (checkpoint_id) DO UPDATE SET workflow_name = excluded.workflow_name, at = excluded.at, "
            "checkpoint = excluded.checkpoint",
            (checkpoint_id, name, round(at.timestamp() * 1e6), text),
        )
        return checkpoint_id

    async def load(self, checkpoint_id: str) -> WorkflowCheckpoint:
        """Return a checkpoint.

        Raises:
            WorkflowCheckpointException: there is none of this id, or it holds what is not allowed.
        """
        sql = "SELECT checkpoint FROM agent_framework_checkpoint WHERE checkpoint_id = ?"
        text = await (await self._database()).read_value(sql, (checked_key("checkpoint_id", checkpoint_id),))
        if text is None:
            raise WorkflowCheckpointException(f"No checkpoint found with ID {checkpoint_id}")
        return self._decoded(text)

    async def list_checkpoints(self, *, workflow_name: str) -> list[WorkflowCheckpoint]:
        """Return the checkpoints of a workflow, without those that hold what is not allowed, which are logged."""
        return await self._read(workflow_name, "id", False)

    async def list_checkpoint_ids(self, *, workflow_name: str) -> list[str]:
        """Return the ids of what ``list_checkpoints`` returns."""
        return [checkpoint.checkpoint_id for checkpoint in await self.list_checkpoints(workflow_name=workflow_name)]

    async def get_latest(self, *, workflow_name: str) -> WorkflowCheckpoint | None:
        """Return the checkpoint of the latest time, or None where there is none that may be read."""
        latest = await self._read(workflow_name, "at DESC, id", True)
        return latest[0] if latest else None

    async def delete(self, checkpoint_id: str) -> bool:
        """Delete a checkpoint, and return whether there was one."""
        sql = "DELETE FROM agent_framework_checkpoint WHERE checkpoint_id = ?"
        return await (await self._database()).write_count(sql, (checked_key("checkpoint_id", checkpoint_id),)) > 0

    async def _read(self, workflow_name: str, order: str, one: bool) -> list[WorkflowCheckpoint]:
        name = checked_key("workflow_name", workflow_name, may_be_empty=True)
        return await (await self._database()).read_fn(self._readable, name, order, one)

    def _readable(self, conn: sqlite3.Connection, name: str, order: str, one: bool) -> list[WorkflowCheckpoint]:
        sql = f"SELECT checkpoint FROM agent_framework_checkpoint WHERE workflow_name = ? ORDER BY {order}"
        found: list[WorkflowCheckpoint] = []
        for (text,) in conn.execute(sql, (name,)):
            try:
                found.append(self._decoded(text))
            except WorkflowCheckpointException as error:
                _log.warning("a checkpoint of %s is skipped: %s", name, error)
            if one and found:
                break
        return found

    def _decoded(self, text: str) -> WorkflowCheckpoint:
        fields = decode_checkpoint_value(json.loads(text), allowed_types=self._allowed)
        return WorkflowCheckpoint.from_dict(fields)

    async def _database(self) -> SQLiteDatabase:
        await _TABLES.made_in(self._db)
        return self._db
