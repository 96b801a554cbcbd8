"""Agent Framework on an aiomemdb database."""

from __future__ import annotations

import asyncio
import base64
import json
import pickle
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from agent_framework import AgentSession, Message, WorkflowCheckpoint
from agent_framework.exceptions import WorkflowCheckpointException

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.agent_framework import (
    AiomemdbCheckpointStorage,
    AiomemdbHistoryProvider,
    AiomemdbSessionStore,
)
from tests.frameworks.attacks import NO_KEYS, attack, refuses, survives_cancellations
from tests.frameworks.differential.agent_framework import CheckpointCase, HistoryCase, HistoryConversation, SessionCase
from tests.frameworks.differential.harness import WAYS, Case
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.hostile import loses_nothing_to_a_kill

# Its session stores are an experiment, which their in-memory class says at its first use.
pytestmark = pytest.mark.filterwarnings("ignore:.*SESSION_STORE")


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


def checkpoint(name: str, second: int = 0, **state: Any) -> WorkflowCheckpoint:
    at = f"2026-01-01T00:00:{second:02}+00:00"
    return WorkflowCheckpoint("w", "hash", checkpoint_id=name, timestamp=at, state=state)


def says(*texts: str) -> list[Message]:
    return [Message("user", [text]) for text in texts]


async def said(history: AiomemdbHistoryProvider, session: str | None = "s") -> list[str]:
    return [message.text for message in await history.get_messages(session)]


@pytest.mark.parametrize("case", [CheckpointCase, HistoryCase, SessionCase])
@pytest.mark.parametrize("way", WAYS)
def test_random_steps_return_what_its_own_class_returns(way: Callable[[Case], None], case: type[Case]) -> None:
    way(case())


# -- checkpoints


@dataclass
class Own:
    """A type of an application."""

    value: int


class Evil:
    """What a pickle that another has written into the file may do: here it notes that it was read."""

    read: list[str] = []  # noqa: RUF012  it is one list on purpose

    def __reduce__(self) -> Any:
        return Evil.read.append, ("read",)


async def test_no_pickle_is_read_that_the_framework_would_not_read(db: SQLiteDatabase) -> None:
    storage = AiomemdbCheckpointStorage(db)
    await storage.save(checkpoint("good", 1))
    await storage.save(checkpoint("evil", 2))
    pickled = base64.b64encode(pickle.dumps(Evil())).decode()
    fields = checkpoint("evil", 2).to_dict() | {"state": {"a": {"__pickled__": pickled, "__type__": "builtins:int"}}}
    text = json.dumps(fields)
    await db.write("UPDATE agent_framework_checkpoint SET checkpoint = ? WHERE checkpoint_id = 'evil'", (text,))
    with pytest.raises(WorkflowCheckpointException, match="blocked"):
        await storage.load("evil")
    assert await storage.list_checkpoint_ids(workflow_name="w") == ["good"]
    latest = await storage.get_latest(workflow_name="w")
    assert latest is not None and latest.checkpoint_id == "good"
    assert Evil.read == []


async def test_types_of_the_application_are_kept_if_they_are_allowed(db: SQLiteDatabase) -> None:
    with pytest.raises(WorkflowCheckpointException):
        await AiomemdbCheckpointStorage(db).save(checkpoint("a", own=Own(1)))
    storage = AiomemdbCheckpointStorage(db, allowed_checkpoint_types=[f"{Own.__module__}:Own"])
    await storage.save(checkpoint("a", own=Own(1)))
    assert (await storage.load("a")).state == {"own": Own(1)}
    with pytest.raises(WorkflowCheckpointException):  # which is asked again by each storage
        await AiomemdbCheckpointStorage(db).load("a")


async def test_a_checkpoint_without_a_time_is_an_error(db: SQLiteDatabase) -> None:
    storage = AiomemdbCheckpointStorage(db)
    await storage.save(checkpoint("a"))
    wrong = WorkflowCheckpoint("w", "hash", timestamp="yesterday")
    await refuses(db, lambda: storage.save(wrong), "yesterday")


async def test_checkpoints_withstand_what_is_wrong(db_path: Path) -> None:
    await attack(
        db_path,
        AiomemdbCheckpointStorage,
        lambda storage, text: storage.save(checkpoint("a", text=text)),
        "agent_framework_checkpoint",
    )


@pytest.mark.parametrize("name", [*NO_KEYS, "", 7])
async def test_a_checkpoint_s_key_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, name: Any) -> None:
    storage = AiomemdbCheckpointStorage(db)
    await storage.save(checkpoint("a"))
    await refuses(db, lambda: storage.save(checkpoint(name)), "checkpoint_id")
    await refuses(db, lambda: storage.load(name), "checkpoint_id")
    if name:
        await refuses(db, lambda: storage.list_checkpoints(workflow_name=name), "workflow_name")


async def test_allowed_types_are_no_string(db: SQLiteDatabase) -> None:
    with pytest.raises(TypeError, match="allowed_checkpoint_types"):
        AiomemdbCheckpointStorage(db, allowed_checkpoint_types="a:B")


# -- history


async def test_messages_that_many_save_at_once_are_all_there_once(db: SQLiteDatabase) -> None:
    one, other = AiomemdbHistoryProvider(db), AiomemdbHistoryProvider(db)

    async def save(number: int) -> None:
        await (one, other)[number % 2].save_messages("s", says(f"{number} a", f"{number} b"))

    await asyncio.gather(*[save(number) for number in range(30)])
    found = await said(one)
    assert sorted(found) == sorted(f"{number} {part}" for number in range(30) for part in "ab")
    assert all(found[place][:-1] == found[place + 1][:-1] for place in range(0, 60, 2))


async def test_a_transcript_that_is_saved_again_adds_what_is_new_alone(db: SQLiteDatabase) -> None:
    history = AiomemdbHistoryProvider(db)
    await history.save_messages("s", says("1", "2"))
    await history.save_messages("s", says("1", "2", "3"))
    assert await said(history) == ["1", "2", "3"]


async def test_a_transcript_that_many_save_at_once_is_there_once(db: SQLiteDatabase) -> None:
    history = AiomemdbHistoryProvider(db)
    await asyncio.gather(*[history.save_messages("s", says("1", "2")) for _ in range(10)])
    assert await said(history) == ["1", "2"]


async def test_each_source_and_each_session_has_its_own(db: SQLiteDatabase) -> None:
    history, audit = AiomemdbHistoryProvider(db), AiomemdbHistoryProvider(db, "audit", load_messages=False)
    await history.save_messages("s", says("1"))
    await history.save_messages(None, says("2"))
    await audit.save_messages("s", says("3"))
    assert [await said(history), await said(history, None), await said(audit)] == [["1"], ["2"], ["3"]]
    assert not audit.load_messages


async def test_messages_that_a_compaction_has_excluded_are_left_out_if_asked(db: SQLiteDatabase) -> None:
    excluded = Message("user", ["2"], additional_properties={"_excluded": True})
    await AiomemdbHistoryProvider(db).save_messages("s", [*says("1"), excluded])
    assert await said(AiomemdbHistoryProvider(db)) == ["1", "2"]
    assert await said(AiomemdbHistoryProvider(db, skip_excluded=True)) == ["1"]


async def test_history_withstands_what_is_wrong(db_path: Path) -> None:
    await attack(
        db_path,
        AiomemdbHistoryProvider,
        lambda history, text: history.save_messages("s", says(text)),
        "agent_framework_message",
    )


@pytest.mark.parametrize("name", [*NO_KEYS, 7])
async def test_a_session_id_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, name: Any) -> None:
    history, sessions = AiomemdbHistoryProvider(db), AiomemdbSessionStore(db)
    await history.save_messages("s", says("1"))
    await sessions.set("s", AgentSession())
    await refuses(db, lambda: history.save_messages(name, says("2")), "session_id")
    await refuses(db, lambda: history.get_messages(name), "session_id")
    await refuses(db, lambda: sessions.set(name, AgentSession()), "session_id")
    await refuses(db, lambda: sessions.get(name), "session_id")
    await refuses(db, lambda: sessions.delete(name), "session_id")


async def test_saves_that_are_cancelled_leave_nothing_open(db: SQLiteDatabase) -> None:
    history = AiomemdbHistoryProvider(db)
    await survives_cancellations(db, lambda number: history.save_messages("s", says(f"{number} a", f"{number} b")))
    assert len(await said(history)) % 2 == 0


# -- sessions


async def test_sessions_withstand_what_is_wrong(db_path: Path) -> None:
    async def write(store: AiomemdbSessionStore, text: str) -> None:
        session = AgentSession(session_id="s")
        session.state["text"] = text
        await store.set("s", session)

    await attack(db_path, AiomemdbSessionStore, write, "agent_framework_session")


# The framework warns of such a state, and says that stores refuse it.
@pytest.mark.filterwarnings("ignore:AgentSession state value")
async def test_a_session_that_could_not_be_restored_is_an_error(db: SQLiteDatabase) -> None:
    class Own(AgentSession):
        pass

    store = AiomemdbSessionStore(db)
    await store.set("s", AgentSession())
    await refuses(db, lambda: store.set("t", Own()), "subclass")
    await refuses(db, lambda: store.set("", AgentSession()), "session_id")
    session = AgentSession()
    session.state["a"] = {1, 2}
    await refuses(db, lambda: store.set("t", session), "JSON")


def test_the_example_loses_nothing(db_path: Path) -> None:
    assert run_example("agent_framework_sessions", db_path).startswith(
        "64 sessions; the last answers: I was sent 9 messages\n640 messages"
    )


async def test_four_processes_lose_nothing_though_one_is_killed(db_path: Path) -> None:
    await loses_nothing_to_a_kill(db_path, HistoryConversation)


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide(
        "guides/agent-framework.md",
        tmp_path,
        """
        from agent_framework_sessions import FakeClient
        client = FakeClient()
    """,
    )
    assert list(tmp_path.glob("*.db"))
