"""Pydantic AI on an aiomemdb database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict, ConversationEntry, ConversationRecord
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import BinaryContent, ModelRequest, UserPromptPart

import aiomemdb
from aiomemdb import SQLiteDatabase
from aiomemdb.integrations.pydantic_ai import AiomemdbConversationStore
from tests.frameworks.attacks import NO_KEYS, attack, refuses, survives_cancellations
from tests.frameworks.differential.harness import WAYS, Case
from tests.frameworks.differential.pydantic_ai import PydanticCase, PydanticConversation
from tests.frameworks.examples import run_example, run_guide
from tests.frameworks.hostile import loses_nothing_to_a_kill


@pytest.fixture
async def db(db_path: Path) -> AsyncIterator[SQLiteDatabase]:
    async with aiomemdb.connect(db_path) as db:
        yield db


def says(*texts: Any) -> list[ModelRequest]:
    return [ModelRequest(parts=[UserPromptPart(content=text)]) for text in texts]


async def add(store: AiomemdbConversationStore, name: str, *texts: Any) -> list[ConversationEntry]:
    conversation = await store.load(name) or Conversation(conversation_id=name)
    conversation.messages.extend(says(*texts))
    return await store.save(conversation)


@pytest.mark.parametrize("case", [PydanticCase])
@pytest.mark.parametrize("way", WAYS)
def test_random_steps_return_what_its_own_class_returns(way: Callable[[Case], None], case: type[Case]) -> None:
    way(case())


async def test_a_save_is_one_job_and_a_history_one_query(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    entries = await add(store, "a", *map(str, range(300)))
    before = db.statistics()
    await add(store, "a", "one more", "and more")
    assert db.statistics().writes == before.writes + 1
    before = db.statistics()
    history = await store.read_history(entries[-1].id)
    assert db.statistics().reads == before.reads + 1
    assert history == entries
    assert await store.read_history(entries[-1].id, limit=2) == entries[-2:]


async def test_of_many_saves_of_one_state_one_wins_and_all_others_are_conflicts(db: SQLiteDatabase) -> None:
    one, other = AiomemdbConversationStore(db), AiomemdbConversationStore(db)
    await add(one, "a", "0")
    conversations = [await store.load("a") for store in (one, other) * 20]

    async def save(number: int, conversation: Any) -> bool:
        conversation.messages.extend(says(str(number)))
        try:
            return bool(await (one, other)[number % 2].save(conversation))
        except ConversationConflict:
            return False

    won = await asyncio.gather(*[save(*numbered) for numbered in enumerate(conversations)])
    assert sum(won) == 1
    loaded = await one.load("a")
    assert loaded is not None and len(loaded.messages) == 2
    assert await db.read_value("SELECT count(*) FROM pydantic_ai_entry") == 2  # no conflict leaves one behind


async def test_messages_come_back_as_they_were(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    raw = BinaryContent(data=b"\x00\xff", media_type="application/octet-stream")
    given = says("text", ["look", raw], "🎈 \0")
    await add(store, "a")
    conversation = await store.load("a")
    assert conversation is not None
    conversation.messages.extend(given)
    await store.save(conversation)
    loaded = await store.load("a")
    assert loaded is not None and loaded.messages == given


async def test_a_record_without_its_head_is_a_conflict(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    record = ConversationRecord(conversation_id="a", head_id="nowhere")
    with pytest.raises(ConversationConflict):
        await store.write_record(record, expected_revision=None)
    assert await store.read_record("a") is None


async def test_an_entry_that_is_missing_is_a_lookup_error_and_one_that_stands_on_itself_no_hang(
    db: SQLiteDatabase,
) -> None:
    store = AiomemdbConversationStore(db)
    entries = await add(store, "a", "1", "2", "3")
    with pytest.raises(LookupError):
        await store.read_entry("nowhere")
    await db.write("UPDATE pydantic_ai_entry SET parent_id = ? WHERE id = ?", (entries[2].id, entries[0].id))
    async with asyncio.timeout(30):
        with pytest.raises(LookupError):
            await store.read_history(entries[2].id)
        await store.delete("a")
    assert await store.read_record("a") is None


async def test_deleting_a_conversation_keeps_what_its_forks_stand_on(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    entries = await add(store, "a", "1", "2", "3")
    await store.fork("a", at=2, new_conversation_id="b")
    await store.delete("a")
    assert await store.load_entries("b") == entries[:2]
    await store.fork("b", new_conversation_id="c")
    added = await add(store, "c", "4")
    await store.delete("b")
    assert await store.load_entries("c") == [*entries[:2], *added]
    await store.delete("c")
    assert await db.read_value("SELECT count(*) FROM pydantic_ai_entry") == 0
    assert await db.read_value("SELECT count(*) FROM pydantic_ai_tip") == 0


async def test_deleting_looks_at_no_other_conversation_s_entries(db: SQLiteDatabase) -> None:
    from aiomemdb.integrations.pydantic_ai.jobs import _RELEASE

    await add(AiomemdbConversationStore(db), "a", "1")
    plan = [row["detail"] for row in await db.read(f"EXPLAIN QUERY PLAN {_RELEASE}", {"conversation": 1})]
    assert not [step for step in plan if step.startswith("SCAN") and "pydantic_ai" in step]


async def test_the_adapter_withstands_wrong_input(db_path: Path) -> None:
    await attack(
        db_path, AiomemdbConversationStore, lambda store, text: add(store, "a", text), "pydantic_ai_conversation"
    )


@pytest.mark.parametrize("name", [*NO_KEYS, 7])
async def test_an_id_that_can_t_be_kept_is_an_error(db: SQLiteDatabase, name: Any) -> None:
    store = AiomemdbConversationStore(db)
    await add(store, "a", "1")
    await refuses(db, lambda: store.load(name), "conversation_id")
    await refuses(
        db, lambda: store.save(Conversation(conversation_id=name, messages=list(says("1")))), "conversation_id"
    )
    await refuses(db, lambda: store.save(Conversation(conversation_id="b"), scope=name), "scope")
    await refuses(db, lambda: store.read_entry(name), "entry_id")


async def test_a_limit_below_zero_is_an_error(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    with pytest.raises(UserError, match="limit"):
        await store.load("a", limit=-1)
    await refuses(db, lambda: store.read_records(limit=-1), "limit")
    await refuses(db, lambda: store.read_history("x", limit=-1), "limit")


async def test_a_message_that_is_half_of_a_surrogate_pair_is_an_error_that_writes_nothing(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    await add(store, "a", "1")
    with pytest.raises(ValueError, match="surrogate"):
        await add(store, "a", "2", "\ud800")
    loaded = await store.load("a")
    assert loaded is not None and len(loaded.messages) == 1


async def test_saves_that_are_cancelled_leave_nothing_open(db: SQLiteDatabase) -> None:
    store = AiomemdbConversationStore(db)
    await survives_cancellations(db, lambda number: add(store, f"{number % 20}", "1", "2", "3"))
    for record in await store.list_conversations():
        entries = await store.load_entries(record.conversation_id)
        assert entries is not None and len(entries) % 3 == 0


def test_the_example_loses_nothing(db_path: Path) -> None:
    assert run_example("pydantic_ai_conversations", db_path).startswith(
        "64 conversations; the last answers: I was sent 9 messages\n640 messages"
    )


async def test_four_processes_lose_nothing_though_one_is_killed(db_path: Path) -> None:
    await loses_nothing_to_a_kill(db_path, PydanticConversation)


def test_the_blocks_of_its_guide_run(tmp_path: Path) -> None:
    run_guide(
        "guides/pydantic-ai.md",
        tmp_path,
        """
        from pydantic_ai import Agent
        from pydantic_ai.models.function import FunctionModel
        from pydantic_ai_conversations import answer
        agent = Agent(FunctionModel(answer))
    """,
    )
    assert list(tmp_path.glob("*.db"))
