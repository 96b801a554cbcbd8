"""Steps on checkpoints, history and sessions of Agent Framework."""

from __future__ import annotations

import copy
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from agent_framework import (
    AgentSession,
    InMemoryCheckpointStorage,
    InMemoryHistoryProvider,
    Message,
    SessionStore,
    WorkflowCheckpoint,
)
from agent_framework.exceptions import WorkflowCheckpointException
from hypothesis import strategies as st

from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.agent_framework import (
    AiomemdbCheckpointStorage,
    AiomemdbHistoryProvider,
    AiomemdbSessionStore,
)
from tests.frameworks.differential.harness import Step

IDS, WORKFLOWS, SESSIONS = ["c", "d", "e"], ["w", "x"], ["s", "t"]
THEN = datetime(2026, 1, 1, tzinfo=UTC)

ids = st.sampled_from(IDS)
workflows = st.sampled_from(WORKFLOWS)
sessions = st.sampled_from(SESSIONS)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=3,
)
rich = plain | st.tuples(st.integers(), st.binary(max_size=3)) | st.frozensets(st.integers(), max_size=2)
states = st.dictionaries(st.text(max_size=3), rich, max_size=3)
times = st.tuples(st.integers(0, 5), st.sampled_from([0, 2, -7]))
messages = st.lists(
    st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from("xyz"), st.booleans()), max_size=3
)


class CheckpointCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(st.just("save"), st.tuples(ids, workflows, times, states)),
        st.tuples(st.just("delete"), st.tuples(ids)),
    )

    def theirs(self) -> Any:
        return InMemoryCheckpointStorage()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbCheckpointStorage(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        match step:
            case "save", (name, workflow, (second, offset), state):
                at = (THEN + timedelta(seconds=second)).astimezone(timezone(timedelta(hours=offset)))
                given: Any = {"checkpoint_id": name, "timestamp": at.isoformat(), "state": state}
                return await subject.save(WorkflowCheckpoint(workflow, "hash", iteration_count=number, **given))
            case _, (name,):
                return await subject.delete(name)

    async def look(self, subject: Any) -> Any:
        loaded = []
        for name in IDS:
            try:
                loaded.append(await subject.load(name))
            except WorkflowCheckpointException as error:
                loaded.append(str(error))
        of = {
            workflow: (
                await subject.list_checkpoints(workflow_name=workflow),
                await subject.list_checkpoint_ids(workflow_name=workflow),
                await subject.get_latest(workflow_name=workflow),
            )
            for workflow in WORKFLOWS
        }
        return loaded, of

    async def end(self, subject: Any) -> None:
        pass


class _InMemoryHistory(InMemoryHistoryProvider):
    """Theirs keeps a session's messages in its state; here the states are kept by session."""

    def __init__(self) -> None:
        super().__init__()
        self._states: dict[str, dict[str, Any]] = {name: {} for name in SESSIONS}

    async def get_messages(self, session_id: Any, **kwargs: Any) -> list[Message]:
        return await super().get_messages(session_id, state=self._states[session_id])

    async def save_messages(self, session_id: Any, messages: Any, **kwargs: Any) -> None:
        await super().save_messages(session_id, copy.deepcopy(messages), state=self._states[session_id])


class HistoryCase:
    steps: st.SearchStrategy[Step] = st.tuples(st.just("save"), st.tuples(sessions, messages))

    def theirs(self) -> Any:
        return _InMemoryHistory()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbHistoryProvider(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        session, given = step[1]
        made = [Message(role, [text], message_id=f"id {text}" if named else None) for role, text, named in given]
        return await subject.save_messages(session, made)

    async def look(self, subject: Any) -> Any:
        return [[message.to_dict() for message in await subject.get_messages(name)] for name in SESSIONS]

    async def end(self, subject: Any) -> None:
        pass


class SessionCase:
    steps: st.SearchStrategy[Step] = st.one_of(
        st.tuples(
            st.just("set"), st.tuples(sessions, st.dictionaries(st.text(max_size=3), plain, max_size=3), messages)
        ),
        st.tuples(st.just("delete"), st.tuples(sessions)),
    )

    def theirs(self) -> Any:
        return SessionStore()

    def ours(self, db: SQLiteDatabase) -> Any:
        return AiomemdbSessionStore(db)

    async def do(self, subject: Any, number: int, step: Step) -> Any:
        match step:
            case "set", (name, state, said):
                session = AgentSession(session_id=f"{number}", service_session_id={"id": f"{number}"})
                session.state = state | {"said": [Message(role, [text]) for role, text, _ in said]}
                return await subject.set(name, session)
            case _, (name,):
                return await subject.delete(name)

    async def look(self, subject: Any) -> Any:
        return [session and session.to_dict() for session in [await subject.get(name) for name in SESSIONS]]

    async def end(self, subject: Any) -> None:
        pass


class HistoryConversation:
    def __init__(self, db: SQLiteDatabase) -> None:
        self._history = AiomemdbHistoryProvider(db)

    async def start(self) -> None:
        await self._history.save_messages("s", [])

    async def say(self, first: str, second: str) -> None:
        await self._history.save_messages("s", [Message("user", [text]) for text in (first, second)])

    async def said(self) -> list[str]:
        return [message.text for message in await self._history.get_messages("s")]
